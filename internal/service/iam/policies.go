package iam

import (
	"context"
	"slices"
	"strings"

	"github.com/latchwork/latchwork/internal/awsapi"
	"github.com/latchwork/latchwork/internal/fault"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/store"
	"github.com/latchwork/latchwork/internal/wire"
	wireiam "github.com/latchwork/latchwork/internal/wire/iam"
)

// policyOf is a managed policy as lists show it.
func policyOf(p *model.ManagedPolicy, u *usage) wireiam.Policy {
	return wireiam.Policy{
		Arn: &p.ARN, PolicyId: &p.ID, PolicyName: &p.Name, Path: &p.Path, DefaultVersionId: &p.Default,
		CreateDate: wire.At(p.Created), UpdateDate: wire.At(p.Updated), IsAttachable: new(true),
		AttachmentCount: new(u.attached[p.ARN]), PermissionsBoundaryUsageCount: new(u.boundary[p.ARN]),
	}
}

// CreatePolicy makes a customer managed policy with its version v1.
func (s *Service) CreatePolicy(ctx context.Context, in *wireiam.CreatePolicyRequest) (*wireiam.CreatePolicyResponse, error) {
	if err := s.checkManaged(*in.PolicyDocument); err != nil {
		return nil, err
	}
	made, err := create(ctx, s, &policies, *in.PolicyName, in.Path, in.Tags, func(_ *store.Tx, p *model.ManagedPolicy) error {
		p.Description = model.Deref(in.Description)
		p.Last, p.Default = 1, "v1"
		p.Versions = []model.PolicyVersion{{ID: "v1", Document: *in.PolicyDocument, Created: p.Created}}
		return nil
	})
	if err != nil {
		return nil, err
	}
	out := policyOf(made, &usage{})
	out.Tags = tagsOf(made.Tags)
	return &wireiam.CreatePolicyResponse{Policy: &out}, nil
}

// GetPolicy shows a managed policy of the account or of AWS.
func (s *Service) GetPolicy(ctx context.Context, in *wireiam.GetPolicyRequest) (*wireiam.GetPolicyResponse, error) {
	var out wireiam.Policy
	err := s.cfg.View(ctx, func(tx *store.Tx) error {
		p, err := s.getManaged(tx, accountOf(ctx), *in.PolicyArn)
		if err != nil {
			return err
		}
		u, err := usageOf(tx, accountOf(ctx))
		if err != nil {
			return err
		}
		out = policyOf(p, u)
		out.Description = model.Present(p.Description)
		out.Tags = tagsOf(p.Tags)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &wireiam.GetPolicyResponse{Policy: &out}, nil
}

// ListPolicies lists managed policies: the account's, AWS's or both.
func (s *Service) ListPolicies(ctx context.Context, in *wireiam.ListPoliciesRequest) (*wireiam.ListPoliciesResponse, error) {
	var found []*model.ManagedPolicy
	var u *usage
	revision, err := s.cfg.List(ctx, func(tx *store.Tx) (err error) {
		if u, err = usageOf(tx, accountOf(ctx)); err != nil {
			return err
		}
		candidates, err := s.inScope(tx, accountOf(ctx), model.Deref(in.Scope))
		if err != nil {
			return err
		}
		for _, p := range candidates {
			if strings.HasPrefix(p.Path, model.Deref(in.PathPrefix)) &&
				u.passes(p.ARN, model.Deref(in.PolicyUsageFilter), model.Deref(in.OnlyAttached)) {
				found = append(found, p)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	page, next, err := awsapi.Page(ctx, found, revision, policyKey)
	if err != nil {
		return nil, err
	}
	return &wireiam.ListPoliciesResponse{
		Policies: each(page, func(p *model.ManagedPolicy) wireiam.Policy { return policyOf(p, u) }),
		Marker:   next, IsTruncated: new(next != nil),
	}, nil
}

// inScope lists the policies of a scope in order of policyKey. All is the scope
// of a call that names none.
func (s *Service) inScope(tx *store.Tx, account, scope string) ([]*model.ManagedPolicy, error) {
	var out []*model.ManagedPolicy
	if scope != wireiam.PolicyScopeTypeLocal {
		for _, p := range s.awsManaged {
			out = append(out, p)
		}
	}
	if scope != wireiam.PolicyScopeTypeAws {
		own, err := policies.all(tx, account)
		if err != nil {
			return nil, err
		}
		out = append(out, own...)
	}
	slices.SortFunc(out, func(a, b *model.ManagedPolicy) int { return strings.Compare(policyKey(a), policyKey(b)) })
	return out, nil
}

// policyKey puts an account's policies before AWS's, which may have equal names.
func policyKey(p *model.ManagedPolicy) string { return p.Account + "/" + strings.ToLower(p.Name) }

// DeletePolicy removes a policy that nothing uses and that has one version.
func (s *Service) DeletePolicy(ctx context.Context, in *wireiam.DeletePolicyRequest) (*wireiam.DeletePolicyResponse, error) {
	return &wireiam.DeletePolicyResponse{}, s.cfg.Update(ctx, func(tx *store.Tx) error {
		p, err := s.ownManaged(tx, accountOf(ctx), *in.PolicyArn)
		if err != nil {
			return err
		}
		u, err := usageOf(tx, p.Account)
		if err != nil {
			return err
		}
		if u.attached[p.ARN]+u.boundary[p.ARN] > 0 {
			return conflict("Cannot delete a policy attached to entities.")
		}
		if len(p.Versions) > 1 {
			return conflict("This policy has more than one version. Before you delete a policy, you must delete the policy's versions. The default version is deleted with the policy.")
		}
		return policies.remove(tx, p)
	})
}

// changePolicy lets fn alter a policy of the account and stores it.
func (s *Service) changePolicy(ctx context.Context, arn *string, fn func(*model.ManagedPolicy) error) error {
	return s.cfg.Update(ctx, func(tx *store.Tx) error {
		p, err := s.ownManaged(tx, accountOf(ctx), *arn)
		if err != nil {
			return err
		}
		if err := fn(p); err != nil {
			return err
		}
		return policies.put(tx, p)
	})
}

// TagPolicy adds tags.
func (s *Service) TagPolicy(ctx context.Context, in *wireiam.TagPolicyRequest) (*wireiam.TagPolicyResponse, error) {
	return &wireiam.TagPolicyResponse{}, s.changePolicy(ctx, in.PolicyArn, func(p *model.ManagedPolicy) error {
		return addTags(&p.Meta, in.Tags, policies.resource)
	})
}

// UntagPolicy removes tags.
func (s *Service) UntagPolicy(ctx context.Context, in *wireiam.UntagPolicyRequest) (*wireiam.UntagPolicyResponse, error) {
	return &wireiam.UntagPolicyResponse{}, s.changePolicy(ctx, in.PolicyArn, func(p *model.ManagedPolicy) error {
		removeTags(&p.Meta, in.TagKeys)
		return nil
	})
}

// ListPolicyTags lists tags.
func (s *Service) ListPolicyTags(ctx context.Context, in *wireiam.ListPolicyTagsRequest) (*wireiam.ListPolicyTagsResponse, error) {
	p, revision, err := s.listedPolicy(ctx, in.PolicyArn)
	if err != nil {
		return nil, err
	}
	page, next, err := pageTags(ctx, &p.Meta, revision)
	if err != nil {
		return nil, err
	}
	return &wireiam.ListPolicyTagsResponse{Tags: page, Marker: next, IsTruncated: new(next != nil)}, nil
}

func (s *Service) readPolicy(ctx context.Context, arn *string) (*model.ManagedPolicy, error) {
	var p *model.ManagedPolicy
	err := s.cfg.View(ctx, func(tx *store.Tx) (err error) {
		p, err = s.getManaged(tx, accountOf(ctx), *arn)
		return err
	})
	return p, err
}

// listedPolicy is readPolicy for an operation that pages through what the policy
// holds.
func (s *Service) listedPolicy(ctx context.Context, arn *string) (*model.ManagedPolicy, int64, error) {
	var p *model.ManagedPolicy
	revision, err := s.cfg.List(ctx, func(tx *store.Tx) (err error) {
		p, err = s.getManaged(tx, accountOf(ctx), *arn)
		return err
	})
	return p, revision, err
}

func noVersion(arn, version string) *fault.Error {
	return noSuchEntity("Policy %s version %s does not exist or is not attachable.", arn, version)
}
