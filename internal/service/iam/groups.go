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

func groupOf(g *model.Group) wireiam.Group {
	return wireiam.Group{
		Arn: &g.ARN, CreateDate: wire.At(g.Created), GroupId: &g.ID, GroupName: &g.Name, Path: &g.Path,
	}
}

// CreateGroup makes a group.
func (s *Service) CreateGroup(ctx context.Context, in *wireiam.CreateGroupRequest) (*wireiam.CreateGroupResponse, error) {
	made, err := create(ctx, s, &groups, *in.GroupName, in.Path, nil, func(*store.Tx, *model.Group) error { return nil })
	if err != nil {
		return nil, err
	}
	return &wireiam.CreateGroupResponse{Group: new(groupOf(made))}, nil
}

// GetGroup shows a group and its members.
func (s *Service) GetGroup(ctx context.Context, in *wireiam.GetGroupRequest) (*wireiam.GetGroupResponse, error) {
	var g *model.Group
	var members []*model.User
	revision, err := s.cfg.List(ctx, func(tx *store.Tx) (err error) {
		if g, err = groups.get(tx, accountOf(ctx), *in.GroupName); err != nil {
			return err
		}
		for _, name := range g.Members {
			u, err := users.get(tx, g.Account, name)
			if err != nil {
				return err
			}
			members = append(members, u)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	sortBy(members, users.sortKey)
	page, next, err := awsapi.Page(ctx, members, revision, users.sortKey)
	if err != nil {
		return nil, err
	}
	return &wireiam.GetGroupResponse{
		Group: new(groupOf(g)), Users: each(page, userOf), Marker: next, IsTruncated: new(next != nil),
	}, nil
}

func sortBy[T any](records []*T, key func(*T) string) {
	slices.SortFunc(records, func(a, b *T) int { return strings.Compare(key(a), key(b)) })
}

// ListGroups lists the account's groups.
func (s *Service) ListGroups(ctx context.Context, in *wireiam.ListGroupsRequest) (*wireiam.ListGroupsResponse, error) {
	page, next, err := list(ctx, s, &groups, in.PathPrefix, nil)
	if err != nil {
		return nil, err
	}
	return &wireiam.ListGroupsResponse{Groups: each(page, groupOf), Marker: next, IsTruncated: new(next != nil)}, nil
}

// maxRename is the most members of a group that is renamed: each of them is
// written in the same transaction, and etcd takes 128 writes in one.
const maxRename = 100

// UpdateGroup renames or moves a group; its members know it by name.
func (s *Service) UpdateGroup(ctx context.Context, in *wireiam.UpdateGroupRequest) (*wireiam.UpdateGroupResponse, error) {
	return &wireiam.UpdateGroupResponse{}, change(ctx, s, &groups, in.GroupName, func(tx *store.Tx, g *model.Group) error {
		old := g.Name
		if err := rename(tx, s, &groups, g, in.NewGroupName, in.NewPath); err != nil || g.Name == old {
			return err
		}
		if len(g.Members) > maxRename {
			return fault.New("LimitExceeded", "The group %s has %d members; a group with more than %d cannot be renamed.", old, len(g.Members), maxRename)
		}
		for _, name := range g.Members {
			u, err := users.get(tx, g.Account, name)
			if err != nil {
				return err
			}
			u.Groups = replaced(u.Groups, old, g.Name)
			if err := users.put(tx, u); err != nil {
				return err
			}
		}
		return nil
	})
}

// DeleteGroup removes a group without members and policies.
func (s *Service) DeleteGroup(ctx context.Context, in *wireiam.DeleteGroupRequest) (*wireiam.DeleteGroupResponse, error) {
	return &wireiam.DeleteGroupResponse{}, s.cfg.Update(ctx, func(tx *store.Tx) error {
		g, err := groups.get(tx, accountOf(ctx), *in.GroupName)
		if err != nil {
			return err
		}
		if err := bare(&g.Attachments); err != nil {
			return err
		}
		if len(g.Members) > 0 {
			return conflict("Cannot delete entity, must remove users from group first.")
		}
		return groups.remove(tx, g)
	})
}

// AddUserToGroup makes a user a member; a member stays one.
func (s *Service) AddUserToGroup(ctx context.Context, in *wireiam.AddUserToGroupRequest) (*wireiam.AddUserToGroupResponse, error) {
	return &wireiam.AddUserToGroupResponse{}, s.member(ctx, in.GroupName, in.UserName, func(g *model.Group, u *model.User) error {
		if hasName(u.Groups, g.Name) {
			return nil
		}
		if limit := s.cfg.Quotas.GroupsPerUser; len(u.Groups) >= limit {
			return exceeded("GroupsPerUser", limit)
		}
		u.Groups = append(u.Groups, g.Name)
		g.Members = append(g.Members, u.Name)
		return nil
	})
}

// RemoveUserFromGroup ends a membership.
func (s *Service) RemoveUserFromGroup(ctx context.Context, in *wireiam.RemoveUserFromGroupRequest) (*wireiam.RemoveUserFromGroupResponse, error) {
	return &wireiam.RemoveUserFromGroupResponse{}, s.member(ctx, in.GroupName, in.UserName, func(g *model.Group, u *model.User) error {
		var was bool
		if u.Groups, was = without(u.Groups, g.Name); !was {
			return noSuchEntity("The user with name %s is not in the group with name %s.", u.Name, g.Name)
		}
		g.Members, _ = without(g.Members, u.Name)
		return nil
	})
}

// member changes both sides of a membership in one transaction.
func (s *Service) member(ctx context.Context, groupName, userName *string, fn func(*model.Group, *model.User) error) error {
	return s.cfg.Update(ctx, func(tx *store.Tx) error {
		g, err := groups.get(tx, accountOf(ctx), *groupName)
		if err != nil {
			return err
		}
		u, err := users.get(tx, accountOf(ctx), *userName)
		if err != nil {
			return err
		}
		if err := fn(g, u); err != nil {
			return err
		}
		if err := users.put(tx, u); err != nil {
			return err
		}
		return groups.put(tx, g)
	})
}

// ListGroupsForUser lists the groups that a user is in.
func (s *Service) ListGroupsForUser(ctx context.Context, in *wireiam.ListGroupsForUserRequest) (*wireiam.ListGroupsForUserResponse, error) {
	var found []*model.Group
	revision, err := s.cfg.List(ctx, func(tx *store.Tx) error {
		u, err := users.get(tx, accountOf(ctx), *in.UserName)
		if err != nil {
			return err
		}
		for _, name := range u.Groups {
			g, err := groups.get(tx, u.Account, name)
			if err != nil {
				return err
			}
			found = append(found, g)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	sortBy(found, groups.sortKey)
	page, next, err := awsapi.Page(ctx, found, revision, groups.sortKey)
	if err != nil {
		return nil, err
	}
	return &wireiam.ListGroupsForUserResponse{Groups: each(page, groupOf), Marker: next, IsTruncated: new(next != nil)}, nil
}
