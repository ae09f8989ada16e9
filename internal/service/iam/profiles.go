package iam

import (
	"context"
	"strings"

	"github.com/latchwork/latchwork/internal/awsapi"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/store"
	"github.com/latchwork/latchwork/internal/wire"
	wireiam "github.com/latchwork/latchwork/internal/wire/iam"
)

// heldProfile is an instance profile with the role that it holds, nil if none.
type heldProfile struct {
	*model.InstanceProfile
	role *model.Role
}

func profileOf(p heldProfile) wireiam.InstanceProfile {
	out := wireiam.InstanceProfile{
		Arn: &p.ARN, CreateDate: wire.At(p.Created), InstanceProfileId: &p.ID, InstanceProfileName: &p.Name,
		Path: &p.Path, Roles: []wireiam.Role{},
	}
	if p.role != nil {
		out.Roles = append(out.Roles, roleOf(p.role))
	}
	return out
}

func fullProfile(p heldProfile) *wireiam.InstanceProfile {
	out := profileOf(p)
	out.Tags = tagsOf(p.Tags)
	return &out
}

// hold reads the role of a profile, for an answer.
func hold(tx *store.Tx, p *model.InstanceProfile) (heldProfile, error) {
	if p.Role == "" {
		return heldProfile{InstanceProfile: p}, nil
	}
	r, err := shownRole(tx, p.Account, p.Role)
	return heldProfile{p, r}, err
}

// profilesOf finds the profiles that hold a role.
func profilesOf(tx *store.Tx, r *model.Role) ([]*model.InstanceProfile, error) {
	all, err := profiles.all(tx, r.Account)
	if err != nil {
		return nil, err
	}
	var out []*model.InstanceProfile
	for _, p := range all {
		if strings.EqualFold(p.Role, r.Name) {
			out = append(out, p)
		}
	}
	return out, nil
}

// CreateInstanceProfile makes an instance profile without a role.
func (s *Service) CreateInstanceProfile(ctx context.Context, in *wireiam.CreateInstanceProfileRequest) (*wireiam.CreateInstanceProfileResponse, error) {
	made, err := create(ctx, s, &profiles, *in.InstanceProfileName, in.Path, in.Tags,
		func(*store.Tx, *model.InstanceProfile) error { return nil })
	if err != nil {
		return nil, err
	}
	return &wireiam.CreateInstanceProfileResponse{InstanceProfile: fullProfile(heldProfile{InstanceProfile: made})}, nil
}

// GetInstanceProfile shows an instance profile.
func (s *Service) GetInstanceProfile(ctx context.Context, in *wireiam.GetInstanceProfileRequest) (*wireiam.GetInstanceProfileResponse, error) {
	var found heldProfile
	err := s.cfg.View(ctx, func(tx *store.Tx) error {
		p, err := profiles.get(tx, accountOf(ctx), *in.InstanceProfileName)
		if err != nil {
			return err
		}
		found, err = hold(tx, p)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &wireiam.GetInstanceProfileResponse{InstanceProfile: fullProfile(found)}, nil
}

// ListInstanceProfiles lists the account's instance profiles.
func (s *Service) ListInstanceProfiles(ctx context.Context, in *wireiam.ListInstanceProfilesRequest) (*wireiam.ListInstanceProfilesResponse, error) {
	page, next, err := s.pageProfiles(ctx, func(tx *store.Tx) ([]*model.InstanceProfile, error) {
		all, err := profiles.all(tx, accountOf(ctx))
		var out []*model.InstanceProfile
		for _, p := range all {
			if strings.HasPrefix(p.Path, model.Deref(in.PathPrefix)) {
				out = append(out, p)
			}
		}
		return out, err
	})
	if err != nil {
		return nil, err
	}
	return &wireiam.ListInstanceProfilesResponse{InstanceProfiles: page, Marker: next, IsTruncated: new(next != nil)}, nil
}

// ListInstanceProfilesForRole lists the instance profiles that hold a role.
func (s *Service) ListInstanceProfilesForRole(ctx context.Context, in *wireiam.ListInstanceProfilesForRoleRequest) (*wireiam.ListInstanceProfilesForRoleResponse, error) {
	page, next, err := s.pageProfiles(ctx, func(tx *store.Tx) ([]*model.InstanceProfile, error) {
		r, err := roles.get(tx, accountOf(ctx), *in.RoleName)
		if err != nil {
			return nil, err
		}
		return profilesOf(tx, r)
	})
	if err != nil {
		return nil, err
	}
	return &wireiam.ListInstanceProfilesForRoleResponse{InstanceProfiles: page, Marker: next, IsTruncated: new(next != nil)}, nil
}

func (s *Service) pageProfiles(ctx context.Context, find func(*store.Tx) ([]*model.InstanceProfile, error)) ([]wireiam.InstanceProfile, *string, error) {
	var found []heldProfile
	revision, err := s.cfg.List(ctx, func(tx *store.Tx) error {
		records, err := find(tx)
		if err != nil {
			return err
		}
		for _, p := range records {
			held, err := hold(tx, p)
			if err != nil {
				return err
			}
			found = append(found, held)
		}
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	page, next, err := awsapi.Page(ctx, found, revision, func(p heldProfile) string { return profiles.sortKey(p.InstanceProfile) })
	if err != nil {
		return nil, nil, err
	}
	out := make([]wireiam.InstanceProfile, len(page))
	for i := range page {
		out[i] = profileOf(page[i])
	}
	return out, next, nil
}

// DeleteInstanceProfile removes an instance profile without a role.
func (s *Service) DeleteInstanceProfile(ctx context.Context, in *wireiam.DeleteInstanceProfileRequest) (*wireiam.DeleteInstanceProfileResponse, error) {
	return &wireiam.DeleteInstanceProfileResponse{}, s.cfg.Update(ctx, func(tx *store.Tx) error {
		p, err := profiles.get(tx, accountOf(ctx), *in.InstanceProfileName)
		if err != nil {
			return err
		}
		if p.Role != "" {
			return conflict("Cannot delete entity, must remove roles from instance profile first.")
		}
		return profiles.remove(tx, p)
	})
}

// AddRoleToInstanceProfile puts a role into an instance profile, which holds one.
// Source: IAM User Guide, "IAM and AWS STS quotas", roles in an instance profile.
func (s *Service) AddRoleToInstanceProfile(ctx context.Context, in *wireiam.AddRoleToInstanceProfileRequest) (*wireiam.AddRoleToInstanceProfileResponse, error) {
	return &wireiam.AddRoleToInstanceProfileResponse{}, change(ctx, s, &profiles, in.InstanceProfileName, func(tx *store.Tx, p *model.InstanceProfile) error {
		r, err := roles.get(tx, p.Account, *in.RoleName)
		if err != nil {
			return err
		}
		if p.Role != "" {
			return exceeded("InstanceSessionsPerInstanceProfile", 1)
		}
		p.Role = r.Name
		return nil
	})
}

// RemoveRoleFromInstanceProfile takes the role out.
func (s *Service) RemoveRoleFromInstanceProfile(ctx context.Context, in *wireiam.RemoveRoleFromInstanceProfileRequest) (*wireiam.RemoveRoleFromInstanceProfileResponse, error) {
	return &wireiam.RemoveRoleFromInstanceProfileResponse{}, change(ctx, s, &profiles, in.InstanceProfileName, func(_ *store.Tx, p *model.InstanceProfile) error {
		if !strings.EqualFold(p.Role, *in.RoleName) {
			return noSuchEntity("The role with name %s is not in the Instance Profile %s.", *in.RoleName, p.Name)
		}
		p.Role = ""
		return nil
	})
}

// TagInstanceProfile adds tags.
func (s *Service) TagInstanceProfile(ctx context.Context, in *wireiam.TagInstanceProfileRequest) (*wireiam.TagInstanceProfileResponse, error) {
	return &wireiam.TagInstanceProfileResponse{}, tag(ctx, s, &profiles, in.InstanceProfileName, in.Tags)
}

// UntagInstanceProfile removes tags.
func (s *Service) UntagInstanceProfile(ctx context.Context, in *wireiam.UntagInstanceProfileRequest) (*wireiam.UntagInstanceProfileResponse, error) {
	return &wireiam.UntagInstanceProfileResponse{}, untag(ctx, s, &profiles, in.InstanceProfileName, in.TagKeys)
}

// ListInstanceProfileTags lists tags.
func (s *Service) ListInstanceProfileTags(ctx context.Context, in *wireiam.ListInstanceProfileTagsRequest) (*wireiam.ListInstanceProfileTagsResponse, error) {
	page, next, err := listTags(ctx, s, &profiles, in.InstanceProfileName)
	if err != nil {
		return nil, err
	}
	return &wireiam.ListInstanceProfileTagsResponse{Tags: page, Marker: next, IsTruncated: new(next != nil)}, nil
}
