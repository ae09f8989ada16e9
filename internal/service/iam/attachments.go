package iam

import (
	"context"
	"slices"
	"strings"

	"github.com/latchwork/latchwork/internal/awsapi"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/store"
	wire "github.com/latchwork/latchwork/internal/wire/iam"
)

// attach attaches a managed policy; attaching it again changes nothing.
func attach[T any](ctx context.Context, s *Service, k *kind[T], name, arn *string) error {
	return change(ctx, s, k, name, func(tx *store.Tx, record *T) error {
		p, err := s.managed(tx, k.meta(record).Account, *arn)
		if err != nil {
			return err
		}
		if p == nil {
			return noSuchEntity("Policy %s does not exist or is not attachable.", *arn)
		}
		a := k.attachments(record)
		if slices.Contains(a.Attached, p.ARN) {
			return nil
		}
		if limit := k.attached(&s.cfg.Quotas); len(a.Attached) >= limit {
			return exceeded(k.attachedName, limit)
		}
		a.Attached = append(a.Attached, p.ARN)
		return nil
	})
}

func detach[T any](ctx context.Context, s *Service, k *kind[T], name, arn *string) error {
	if _, _, _, err := policyName(*arn); err != nil {
		return err
	}
	return change(ctx, s, k, name, func(_ *store.Tx, record *T) error {
		a := k.attachments(record)
		i := slices.Index(a.Attached, *arn)
		if i < 0 {
			return noManaged(*arn)
		}
		a.Attached = slices.Delete(a.Attached, i, i+1)
		return nil
	})
}

// listAttached pages through what is attached. The path prefix is that of the
// policies.
func listAttached[T any](ctx context.Context, s *Service, k *kind[T], name, pathPrefix *string) ([]wire.AttachedPolicy, *string, error) {
	record, revision, err := listed(ctx, s, k, name)
	if err != nil {
		return nil, nil, err
	}
	found := slices.DeleteFunc(attachedOf(k.attachments(record)), func(p wire.AttachedPolicy) bool {
		_, path, _ := strings.Cut(*p.PolicyArn, ":policy")
		return !strings.HasPrefix(path[:strings.LastIndexByte(path, '/')+1], model.Deref(pathPrefix))
	})
	return awsapi.Page(ctx, found, revision, attachedKey)
}

// attachedOf lists attached policies in order of attachedKey.
func attachedOf(a *model.Attachments) []wire.AttachedPolicy {
	out := make([]wire.AttachedPolicy, len(a.Attached))
	for i, arn := range a.Attached {
		out[i] = wire.AttachedPolicy{PolicyArn: &arn, PolicyName: new(arn[strings.LastIndexByte(arn, '/')+1:])}
	}
	slices.SortFunc(out, func(a, b wire.AttachedPolicy) int { return strings.Compare(attachedKey(a), attachedKey(b)) })
	return out
}

// attachedKey sorts by name; AWS's policies may have the name of an account's.
func attachedKey(p wire.AttachedPolicy) string {
	account := strings.SplitN(*p.PolicyArn, ":", 6)[4]
	return strings.ToLower(*p.PolicyName) + "/" + account
}

// AttachUserPolicy attaches a managed policy.
func (s *Service) AttachUserPolicy(ctx context.Context, in *wire.AttachUserPolicyRequest) (*wire.AttachUserPolicyResponse, error) {
	return &wire.AttachUserPolicyResponse{}, attach(ctx, s, &users, in.UserName, in.PolicyArn)
}

// AttachGroupPolicy attaches a managed policy.
func (s *Service) AttachGroupPolicy(ctx context.Context, in *wire.AttachGroupPolicyRequest) (*wire.AttachGroupPolicyResponse, error) {
	return &wire.AttachGroupPolicyResponse{}, attach(ctx, s, &groups, in.GroupName, in.PolicyArn)
}

// AttachRolePolicy attaches a managed policy.
func (s *Service) AttachRolePolicy(ctx context.Context, in *wire.AttachRolePolicyRequest) (*wire.AttachRolePolicyResponse, error) {
	return &wire.AttachRolePolicyResponse{}, attach(ctx, s, &roles, in.RoleName, in.PolicyArn)
}

// DetachUserPolicy detaches a managed policy.
func (s *Service) DetachUserPolicy(ctx context.Context, in *wire.DetachUserPolicyRequest) (*wire.DetachUserPolicyResponse, error) {
	return &wire.DetachUserPolicyResponse{}, detach(ctx, s, &users, in.UserName, in.PolicyArn)
}

// DetachGroupPolicy detaches a managed policy.
func (s *Service) DetachGroupPolicy(ctx context.Context, in *wire.DetachGroupPolicyRequest) (*wire.DetachGroupPolicyResponse, error) {
	return &wire.DetachGroupPolicyResponse{}, detach(ctx, s, &groups, in.GroupName, in.PolicyArn)
}

// DetachRolePolicy detaches a managed policy.
func (s *Service) DetachRolePolicy(ctx context.Context, in *wire.DetachRolePolicyRequest) (*wire.DetachRolePolicyResponse, error) {
	return &wire.DetachRolePolicyResponse{}, detach(ctx, s, &roles, in.RoleName, in.PolicyArn)
}

// ListAttachedUserPolicies lists attached managed policies.
func (s *Service) ListAttachedUserPolicies(ctx context.Context, in *wire.ListAttachedUserPoliciesRequest) (*wire.ListAttachedUserPoliciesResponse, error) {
	page, next, err := listAttached(ctx, s, &users, in.UserName, in.PathPrefix)
	return &wire.ListAttachedUserPoliciesResponse{AttachedPolicies: page, Marker: next, IsTruncated: new(next != nil)}, err
}

// ListAttachedGroupPolicies lists attached managed policies.
func (s *Service) ListAttachedGroupPolicies(ctx context.Context, in *wire.ListAttachedGroupPoliciesRequest) (*wire.ListAttachedGroupPoliciesResponse, error) {
	page, next, err := listAttached(ctx, s, &groups, in.GroupName, in.PathPrefix)
	return &wire.ListAttachedGroupPoliciesResponse{AttachedPolicies: page, Marker: next, IsTruncated: new(next != nil)}, err
}

// ListAttachedRolePolicies lists attached managed policies.
func (s *Service) ListAttachedRolePolicies(ctx context.Context, in *wire.ListAttachedRolePoliciesRequest) (*wire.ListAttachedRolePoliciesResponse, error) {
	page, next, err := listAttached(ctx, s, &roles, in.RoleName, in.PathPrefix)
	return &wire.ListAttachedRolePoliciesResponse{AttachedPolicies: page, Marker: next, IsTruncated: new(next != nil)}, err
}
