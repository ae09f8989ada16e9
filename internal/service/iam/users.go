package iam

import (
	"context"
	"slices"
	"strings"

	"github.com/latchwork/latchwork/internal/identity"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/store"
	"github.com/latchwork/latchwork/internal/wire"
	wireiam "github.com/latchwork/latchwork/internal/wire/iam"
)

// userOf is a user as lists show it: tags and boundary are left out.
// Source: IAM API Reference, ListUsers: "IAM resource-listing operations return a
// subset of the available attributes".
func userOf(u *model.User) wireiam.User {
	return wireiam.User{
		Arn: &u.ARN, CreateDate: wire.At(u.Created), Path: &u.Path, UserId: &u.ID, UserName: &u.Name,
	}
}

func fullUser(u *model.User) *wireiam.User {
	out := userOf(u)
	out.Tags = tagsOf(u.Tags)
	out.PermissionsBoundary = boundaryOf(u.Boundary)
	return &out
}

// CreateUser makes a user.
func (s *Service) CreateUser(ctx context.Context, in *wireiam.CreateUserRequest) (*wireiam.CreateUserResponse, error) {
	made, err := create(ctx, s, &users, *in.UserName, in.Path, in.Tags, func(tx *store.Tx, u *model.User) error {
		return s.setBoundary(tx, u.Account, &u.Boundary, in.PermissionsBoundary)
	})
	if err != nil {
		return nil, err
	}
	return &wireiam.CreateUserResponse{User: fullUser(made)}, nil
}

// GetUser shows a user, by default the caller.
func (s *Service) GetUser(ctx context.Context, in *wireiam.GetUserRequest) (*wireiam.GetUserResponse, error) {
	name := in.UserName
	if name == nil {
		p, err := self(ctx)
		if err != nil {
			return nil, err
		}
		if p.Kind == identity.Root {
			return &wireiam.GetUserResponse{User: &wireiam.User{Arn: &p.ARN, UserId: &p.Account}}, nil
		}
		name = &p.Name
	}
	u, err := read(ctx, s, &users, name)
	if err != nil {
		return nil, err
	}
	return &wireiam.GetUserResponse{User: fullUser(u)}, nil
}

// ListUsers lists the account's users.
func (s *Service) ListUsers(ctx context.Context, in *wireiam.ListUsersRequest) (*wireiam.ListUsersResponse, error) {
	page, next, err := list(ctx, s, &users, in.PathPrefix, nil)
	if err != nil {
		return nil, err
	}
	return &wireiam.ListUsersResponse{Users: each(page, userOf), Marker: next, IsTruncated: new(next != nil)}, nil
}

// UpdateUser renames or moves a user. Groups and access keys know the user by
// name and follow in the same transaction.
func (s *Service) UpdateUser(ctx context.Context, in *wireiam.UpdateUserRequest) (*wireiam.UpdateUserResponse, error) {
	return &wireiam.UpdateUserResponse{}, change(ctx, s, &users, in.UserName, func(tx *store.Tx, u *model.User) error {
		old := u.Name
		if err := rename(tx, s, &users, u, in.NewUserName, in.NewPath); err != nil || u.Name == old {
			return err
		}
		for _, name := range u.Groups {
			g, err := groups.get(tx, u.Account, name)
			if err != nil {
				return err
			}
			g.Members = replaced(g.Members, old, u.Name)
			if err := groups.put(tx, g); err != nil {
				return err
			}
		}
		for _, id := range u.AccessKeys {
			key, err := model.AccessKeys.Get(tx, id)
			if err != nil {
				return err
			}
			if key == nil {
				continue
			}
			key.User = u.Name
			if err := model.AccessKeys.Put(tx, id, key); err != nil {
				return err
			}
		}
		return nil
	})
}

// DeleteUser removes a user who has nothing any more.
// Source: IAM API Reference, DeleteUser: "you must delete the items attached to
// the user manually, or the deletion fails".
func (s *Service) DeleteUser(ctx context.Context, in *wireiam.DeleteUserRequest) (*wireiam.DeleteUserResponse, error) {
	return &wireiam.DeleteUserResponse{}, s.cfg.Update(ctx, func(tx *store.Tx) error {
		u, err := users.get(tx, accountOf(ctx), *in.UserName)
		if err != nil {
			return err
		}
		if err := bare(&u.Attachments); err != nil {
			return err
		}
		if len(u.AccessKeys) > 0 {
			return conflict("Cannot delete entity, must delete access keys first.")
		}
		if len(u.Groups) > 0 {
			return conflict("Cannot delete entity, must remove users from group first.")
		}
		return users.remove(tx, u)
	})
}

// TagUser adds tags.
func (s *Service) TagUser(ctx context.Context, in *wireiam.TagUserRequest) (*wireiam.TagUserResponse, error) {
	return &wireiam.TagUserResponse{}, tag(ctx, s, &users, in.UserName, in.Tags)
}

// UntagUser removes tags.
func (s *Service) UntagUser(ctx context.Context, in *wireiam.UntagUserRequest) (*wireiam.UntagUserResponse, error) {
	return &wireiam.UntagUserResponse{}, untag(ctx, s, &users, in.UserName, in.TagKeys)
}

// ListUserTags lists tags.
func (s *Service) ListUserTags(ctx context.Context, in *wireiam.ListUserTagsRequest) (*wireiam.ListUserTagsResponse, error) {
	page, next, err := listTags(ctx, s, &users, in.UserName)
	if err != nil {
		return nil, err
	}
	return &wireiam.ListUserTagsResponse{Tags: page, Marker: next, IsTruncated: new(next != nil)}, nil
}

// each converts records to what the answer shows of them.
func each[In, Out any](in []*In, convert func(*In) Out) []Out {
	out := make([]Out, len(in))
	for i := range in {
		out[i] = convert(in[i])
	}
	return out
}

// replaced puts one name in the place of another; names differ in more than
// letter case.
func replaced(names []string, old, now string) []string {
	out := slices.Clone(names)
	for i := range out {
		if strings.EqualFold(out[i], old) {
			out[i] = now
		}
	}
	return out
}

// without removes a name in any letter case, and tells whether it was there.
func without(names []string, name string) ([]string, bool) {
	out := slices.DeleteFunc(slices.Clone(names), func(have string) bool { return strings.EqualFold(have, name) })
	return out, len(out) < len(names)
}

func hasName(names []string, name string) bool {
	return slices.ContainsFunc(names, func(have string) bool { return strings.EqualFold(have, name) })
}
