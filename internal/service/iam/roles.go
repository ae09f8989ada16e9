package iam

import (
	"context"

	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/store"
	"github.com/latchwork/latchwork/internal/wire"
	wireiam "github.com/latchwork/latchwork/internal/wire/iam"
)

// defaultMaxSession is that of a role whose maker names none, in seconds.
// Source: IAM API Reference, CreateRole, MaxSessionDuration.
const defaultMaxSession = 3600

// roleOf is a role as CreateRole and instance profiles show it.
// Source: output of create-role in the AWS CLI command reference.
func roleOf(r *model.Role) wireiam.Role {
	return wireiam.Role{
		Arn: &r.ARN, AssumeRolePolicyDocument: &r.Trust, CreateDate: wire.At(r.Created),
		Path: &r.Path, RoleId: &r.ID, RoleName: &r.Name,
	}
}

// listedRole is a role as ListRoles shows it.
func listedRole(r *model.Role) wireiam.Role {
	out := roleOf(r)
	out.Description = model.Present(r.Description)
	out.MaxSessionDuration = &r.MaxSession
	return out
}

func fullRole(r *model.Role) *wireiam.Role {
	out := listedRole(r)
	out.Tags = tagsOf(r.Tags)
	out.PermissionsBoundary = boundaryOf(r.Boundary)
	// AWS sends the element without members for a role that it saw no use of.
	out.RoleLastUsed = &wireiam.RoleLastUsed{}
	return &out
}

// CreateRole makes a role.
func (s *Service) CreateRole(ctx context.Context, in *wireiam.CreateRoleRequest) (*wireiam.CreateRoleResponse, error) {
	trust, err := s.checkTrust(*in.AssumeRolePolicyDocument)
	if err != nil {
		return nil, err
	}
	made, err := create(ctx, s, &roles, *in.RoleName, in.Path, in.Tags, func(tx *store.Tx, r *model.Role) error {
		r.Description = model.Deref(in.Description)
		r.MaxSession = defaultMaxSession
		if in.MaxSessionDuration != nil {
			r.MaxSession = *in.MaxSessionDuration
		}
		if err := setTrust(tx, r, trust); err != nil {
			return err
		}
		return s.setBoundary(tx, r.Account, &r.Boundary, in.PermissionsBoundary)
	})
	if err != nil {
		return nil, err
	}
	out := roleOf(made)
	out.AssumeRolePolicyDocument = in.AssumeRolePolicyDocument
	out.Tags = tagsOf(made.Tags)
	out.PermissionsBoundary = boundaryOf(made.Boundary)
	return &wireiam.CreateRoleResponse{Role: &out}, nil
}

// GetRole shows a role.
func (s *Service) GetRole(ctx context.Context, in *wireiam.GetRoleRequest) (*wireiam.GetRoleResponse, error) {
	var r *model.Role
	err := s.cfg.View(ctx, func(tx *store.Tx) (err error) {
		r, err = shownRole(tx, accountOf(ctx), *in.RoleName)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &wireiam.GetRoleResponse{Role: fullRole(r)}, nil
}

// ListRoles lists the account's roles.
func (s *Service) ListRoles(ctx context.Context, in *wireiam.ListRolesRequest) (*wireiam.ListRolesResponse, error) {
	page, next, err := list(ctx, s, &roles, in.PathPrefix, showTrust)
	if err != nil {
		return nil, err
	}
	return &wireiam.ListRolesResponse{Roles: each(page, listedRole), Marker: next, IsTruncated: new(next != nil)}, nil
}

// UpdateRole changes what is named and leaves the rest.
func (s *Service) UpdateRole(ctx context.Context, in *wireiam.UpdateRoleRequest) (*wireiam.UpdateRoleResponse, error) {
	return &wireiam.UpdateRoleResponse{}, change(ctx, s, &roles, in.RoleName, func(_ *store.Tx, r *model.Role) error {
		if in.Description != nil {
			r.Description = *in.Description
		}
		if in.MaxSessionDuration != nil {
			r.MaxSession = *in.MaxSessionDuration
		}
		return nil
	})
}

// UpdateRoleDescription changes the description.
func (s *Service) UpdateRoleDescription(ctx context.Context, in *wireiam.UpdateRoleDescriptionRequest) (*wireiam.UpdateRoleDescriptionResponse, error) {
	var changed model.Role
	err := change(ctx, s, &roles, in.RoleName, func(tx *store.Tx, r *model.Role) error {
		r.Description = *in.Description
		changed = *r
		return showTrust(tx, &changed)
	})
	if err != nil {
		return nil, err
	}
	return &wireiam.UpdateRoleDescriptionResponse{Role: new(listedRole(&changed))}, nil
}

// UpdateAssumeRolePolicy replaces the trust policy.
func (s *Service) UpdateAssumeRolePolicy(ctx context.Context, in *wireiam.UpdateAssumeRolePolicyRequest) (*wireiam.UpdateAssumeRolePolicyResponse, error) {
	trust, err := s.checkTrust(*in.PolicyDocument)
	if err != nil {
		return nil, err
	}
	return &wireiam.UpdateAssumeRolePolicyResponse{}, change(ctx, s, &roles, in.RoleName, func(tx *store.Tx, r *model.Role) error {
		return setTrust(tx, r, trust)
	})
}

// DeleteRole removes a role without policies that no instance profile holds.
func (s *Service) DeleteRole(ctx context.Context, in *wireiam.DeleteRoleRequest) (*wireiam.DeleteRoleResponse, error) {
	return &wireiam.DeleteRoleResponse{}, s.cfg.Update(ctx, func(tx *store.Tx) error {
		r, err := roles.get(tx, accountOf(ctx), *in.RoleName)
		if err != nil {
			return err
		}
		if err := bare(&r.Attachments); err != nil {
			return err
		}
		holders, err := profilesOf(tx, r)
		if err != nil {
			return err
		}
		if len(holders) > 0 {
			return conflict("Cannot delete entity, must remove roles from instance profile first.")
		}
		return roles.remove(tx, r)
	})
}

// TagRole adds tags.
func (s *Service) TagRole(ctx context.Context, in *wireiam.TagRoleRequest) (*wireiam.TagRoleResponse, error) {
	return &wireiam.TagRoleResponse{}, tag(ctx, s, &roles, in.RoleName, in.Tags)
}

// UntagRole removes tags.
func (s *Service) UntagRole(ctx context.Context, in *wireiam.UntagRoleRequest) (*wireiam.UntagRoleResponse, error) {
	return &wireiam.UntagRoleResponse{}, untag(ctx, s, &roles, in.RoleName, in.TagKeys)
}

// ListRoleTags lists tags.
func (s *Service) ListRoleTags(ctx context.Context, in *wireiam.ListRoleTagsRequest) (*wireiam.ListRoleTagsResponse, error) {
	page, next, err := listTags(ctx, s, &roles, in.RoleName)
	if err != nil {
		return nil, err
	}
	return &wireiam.ListRoleTagsResponse{Tags: page, Marker: next, IsTruncated: new(next != nil)}, nil
}
