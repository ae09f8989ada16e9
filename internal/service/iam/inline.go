package iam

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/latchwork/latchwork/internal/awsapi"
	"github.com/latchwork/latchwork/internal/fault"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/policy"
	"github.com/latchwork/latchwork/internal/store"
	wire "github.com/latchwork/latchwork/internal/wire/iam"
)

// bare refuses an entity that still has policies.
func bare(a *model.Attachments) error {
	if len(a.Attached) > 0 {
		return conflict("Cannot delete entity, must detach all policies first.")
	}
	if len(a.Inline) > 0 {
		return conflict("Cannot delete entity, must delete policies first.")
	}
	return nil
}

// inlineName finds the stored spelling of a policy's name: names of inline
// policies are unique without regard to case, as all names are.
func inlineName(a *model.Attachments, name string) (string, bool) {
	for have := range a.Inline {
		if strings.EqualFold(have, name) {
			return have, true
		}
	}
	return "", false
}

func (k *kind[T]) noPolicy(name string) *fault.Error {
	return noSuchEntity("The %s policy with name %s cannot be found.", k.resource, name)
}

// putInline writes an inline policy, new or not. What counts against the quota is
// the sum of all inline policies.
// Source: IAM User Guide, "IAM and AWS STS quotas", inline policies.
func putInline[T any](ctx context.Context, s *Service, k *kind[T], name, policyName, document *string) error {
	if err := s.checkDocument(*document); err != nil {
		return err
	}
	return change(ctx, s, k, name, func(_ *store.Tx, record *T) error {
		a := k.attachments(record)
		if old, ok := inlineName(a, *policyName); ok {
			delete(a.Inline, old)
		}
		if a.Inline == nil {
			a.Inline = map[string]string{}
		}
		a.Inline[*policyName] = *document
		size := 0
		for _, text := range a.Inline {
			size += policy.Size(text)
		}
		if limit := k.inlineSize(&s.cfg.Quotas); size > limit {
			return fault.New("LimitExceeded", "Maximum policy size of %d bytes exceeded for %s %s", limit, k.resource, k.meta(record).Name)
		}
		return nil
	})
}

func getInline[T any](ctx context.Context, s *Service, k *kind[T], name, policyName *string) (holder, policy, document string, err error) {
	record, err := read(ctx, s, k, name)
	if err != nil {
		return "", "", "", err
	}
	a := k.attachments(record)
	policy, ok := inlineName(a, *policyName)
	if !ok {
		return "", "", "", k.noPolicy(*policyName)
	}
	return k.meta(record).Name, policy, a.Inline[policy], nil
}

func deleteInline[T any](ctx context.Context, s *Service, k *kind[T], name, policyName *string) error {
	return change(ctx, s, k, name, func(_ *store.Tx, record *T) error {
		a := k.attachments(record)
		old, ok := inlineName(a, *policyName)
		if !ok {
			return k.noPolicy(*policyName)
		}
		delete(a.Inline, old)
		return nil
	})
}

func listInline[T any](ctx context.Context, s *Service, k *kind[T], name *string) ([]string, *string, error) {
	record, revision, err := listed(ctx, s, k, name)
	if err != nil {
		return nil, nil, err
	}
	return awsapi.Page(ctx, inlineNames(k.attachments(record)), revision, strings.ToLower)
}

// inlineNames lists policy names in order of their lower case.
func inlineNames(a *model.Attachments) []string {
	names := slices.Collect(maps.Keys(a.Inline))
	slices.SortFunc(names, func(a, b string) int { return strings.Compare(strings.ToLower(a), strings.ToLower(b)) })
	return names
}

// PutUserPolicy writes an inline policy.
func (s *Service) PutUserPolicy(ctx context.Context, in *wire.PutUserPolicyRequest) (*wire.PutUserPolicyResponse, error) {
	return &wire.PutUserPolicyResponse{}, putInline(ctx, s, &users, in.UserName, in.PolicyName, in.PolicyDocument)
}

// PutGroupPolicy writes an inline policy.
func (s *Service) PutGroupPolicy(ctx context.Context, in *wire.PutGroupPolicyRequest) (*wire.PutGroupPolicyResponse, error) {
	return &wire.PutGroupPolicyResponse{}, putInline(ctx, s, &groups, in.GroupName, in.PolicyName, in.PolicyDocument)
}

// PutRolePolicy writes an inline policy.
func (s *Service) PutRolePolicy(ctx context.Context, in *wire.PutRolePolicyRequest) (*wire.PutRolePolicyResponse, error) {
	return &wire.PutRolePolicyResponse{}, putInline(ctx, s, &roles, in.RoleName, in.PolicyName, in.PolicyDocument)
}

// GetUserPolicy shows an inline policy.
func (s *Service) GetUserPolicy(ctx context.Context, in *wire.GetUserPolicyRequest) (*wire.GetUserPolicyResponse, error) {
	holder, policy, document, err := getInline(ctx, s, &users, in.UserName, in.PolicyName)
	return &wire.GetUserPolicyResponse{UserName: &holder, PolicyName: &policy, PolicyDocument: &document}, err
}

// GetGroupPolicy shows an inline policy.
func (s *Service) GetGroupPolicy(ctx context.Context, in *wire.GetGroupPolicyRequest) (*wire.GetGroupPolicyResponse, error) {
	holder, policy, document, err := getInline(ctx, s, &groups, in.GroupName, in.PolicyName)
	return &wire.GetGroupPolicyResponse{GroupName: &holder, PolicyName: &policy, PolicyDocument: &document}, err
}

// GetRolePolicy shows an inline policy.
func (s *Service) GetRolePolicy(ctx context.Context, in *wire.GetRolePolicyRequest) (*wire.GetRolePolicyResponse, error) {
	holder, policy, document, err := getInline(ctx, s, &roles, in.RoleName, in.PolicyName)
	return &wire.GetRolePolicyResponse{RoleName: &holder, PolicyName: &policy, PolicyDocument: &document}, err
}

// DeleteUserPolicy removes an inline policy.
func (s *Service) DeleteUserPolicy(ctx context.Context, in *wire.DeleteUserPolicyRequest) (*wire.DeleteUserPolicyResponse, error) {
	return &wire.DeleteUserPolicyResponse{}, deleteInline(ctx, s, &users, in.UserName, in.PolicyName)
}

// DeleteGroupPolicy removes an inline policy.
func (s *Service) DeleteGroupPolicy(ctx context.Context, in *wire.DeleteGroupPolicyRequest) (*wire.DeleteGroupPolicyResponse, error) {
	return &wire.DeleteGroupPolicyResponse{}, deleteInline(ctx, s, &groups, in.GroupName, in.PolicyName)
}

// DeleteRolePolicy removes an inline policy.
func (s *Service) DeleteRolePolicy(ctx context.Context, in *wire.DeleteRolePolicyRequest) (*wire.DeleteRolePolicyResponse, error) {
	return &wire.DeleteRolePolicyResponse{}, deleteInline(ctx, s, &roles, in.RoleName, in.PolicyName)
}

// ListUserPolicies lists the names of inline policies.
func (s *Service) ListUserPolicies(ctx context.Context, in *wire.ListUserPoliciesRequest) (*wire.ListUserPoliciesResponse, error) {
	names, next, err := listInline(ctx, s, &users, in.UserName)
	return &wire.ListUserPoliciesResponse{PolicyNames: names, Marker: next, IsTruncated: new(next != nil)}, err
}

// ListGroupPolicies lists the names of inline policies.
func (s *Service) ListGroupPolicies(ctx context.Context, in *wire.ListGroupPoliciesRequest) (*wire.ListGroupPoliciesResponse, error) {
	names, next, err := listInline(ctx, s, &groups, in.GroupName)
	return &wire.ListGroupPoliciesResponse{PolicyNames: names, Marker: next, IsTruncated: new(next != nil)}, err
}

// ListRolePolicies lists the names of inline policies.
func (s *Service) ListRolePolicies(ctx context.Context, in *wire.ListRolePoliciesRequest) (*wire.ListRolePoliciesResponse, error) {
	names, next, err := listInline(ctx, s, &roles, in.RoleName)
	return &wire.ListRolePoliciesResponse{PolicyNames: names, Marker: next, IsTruncated: new(next != nil)}, err
}
