package iam

import (
	"context"

	"github.com/latchwork/latchwork/internal/awsapi"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/store"
	wire "github.com/latchwork/latchwork/internal/wire/iam"
)

// userRows are those of users and their access keys.
func (s *Service) userRows() awsapi.AccessTable {
	return awsapi.AccessTable{
		"CreateUser": withTags(creates(s, &users,
			func(in *wire.CreateUserRequest) *string { return in.UserName },
			func(in *wire.CreateUserRequest) *string { return in.Path },
			func(in *wire.CreateUserRequest, _ *model.User) []awsapi.Key {
				return boundaryKey(model.Deref(in.PermissionsBoundary))
			}), func(in *wire.CreateUserRequest) []wire.Tag { return in.Tags }),
		"GetUser":   onSelf(s, func(in *wire.GetUserRequest) *string { return in.UserName }),
		"ListUsers": everything(),
		"UpdateUser": moves(s, &users, func(in *wire.UpdateUserRequest) *string { return in.UserName },
			func(in *wire.UpdateUserRequest) *string { return in.NewUserName },
			func(in *wire.UpdateUserRequest) *string { return in.NewPath }),
		"DeleteUser":        on(s, &users, func(in *wire.DeleteUserRequest) *string { return in.UserName }),
		"ListGroupsForUser": on(s, &users, func(in *wire.ListGroupsForUserRequest) *string { return in.UserName }),
		"TagUser": on(s, &users, func(in *wire.TagUserRequest) *string { return in.UserName },
			func(in *wire.TagUserRequest, _ *model.User) []awsapi.Key { return requestTags(in.Tags) }),
		"UntagUser": on(s, &users, func(in *wire.UntagUserRequest) *string { return in.UserName },
			func(in *wire.UntagUserRequest, _ *model.User) []awsapi.Key { return tagKeys(in.TagKeys) }),
		"ListUserTags": on(s, &users, func(in *wire.ListUserTagsRequest) *string { return in.UserName }),
		"PutUserPolicy": on(s, &users, func(in *wire.PutUserPolicyRequest) *string { return in.UserName },
			func(_ *wire.PutUserPolicyRequest, u *model.User) []awsapi.Key { return userBoundary(u) }),
		"GetUserPolicy": on(s, &users, func(in *wire.GetUserPolicyRequest) *string { return in.UserName }),
		"DeleteUserPolicy": on(s, &users, func(in *wire.DeleteUserPolicyRequest) *string { return in.UserName },
			func(_ *wire.DeleteUserPolicyRequest, u *model.User) []awsapi.Key { return userBoundary(u) }),
		"ListUserPolicies": on(s, &users, func(in *wire.ListUserPoliciesRequest) *string { return in.UserName }),
		"AttachUserPolicy": on(s, &users, func(in *wire.AttachUserPolicyRequest) *string { return in.UserName },
			func(in *wire.AttachUserPolicyRequest, _ *model.User) []awsapi.Key { return policyARN(in.PolicyArn) },
			func(_ *wire.AttachUserPolicyRequest, u *model.User) []awsapi.Key { return userBoundary(u) }),
		"DetachUserPolicy": on(s, &users, func(in *wire.DetachUserPolicyRequest) *string { return in.UserName },
			func(in *wire.DetachUserPolicyRequest, _ *model.User) []awsapi.Key { return policyARN(in.PolicyArn) },
			func(_ *wire.DetachUserPolicyRequest, u *model.User) []awsapi.Key { return userBoundary(u) }),
		"ListAttachedUserPolicies": on(s, &users, func(in *wire.ListAttachedUserPoliciesRequest) *string { return in.UserName }),
		"PutUserPermissionsBoundary": on(s, &users, func(in *wire.PutUserPermissionsBoundaryRequest) *string { return in.UserName },
			func(in *wire.PutUserPermissionsBoundaryRequest, _ *model.User) []awsapi.Key {
				return boundaryKey(*in.PermissionsBoundary)
			}),
		"DeleteUserPermissionsBoundary": on(s, &users, func(in *wire.DeleteUserPermissionsBoundaryRequest) *string { return in.UserName },
			func(_ *wire.DeleteUserPermissionsBoundaryRequest, u *model.User) []awsapi.Key { return userBoundary(u) }),
		"CreateAccessKey":      onSelf(s, func(in *wire.CreateAccessKeyRequest) *string { return in.UserName }),
		"ListAccessKeys":       onSelf(s, func(in *wire.ListAccessKeysRequest) *string { return in.UserName }),
		"UpdateAccessKey":      onSelf(s, func(in *wire.UpdateAccessKeyRequest) *string { return in.UserName }),
		"DeleteAccessKey":      onSelf(s, func(in *wire.DeleteAccessKeyRequest) *string { return in.UserName }),
		"GetAccessKeyLastUsed": {Resources: awsapi.Targets(s.keyOwner)},
	}
}

// keyOwner is the user whom an access key belongs to.
func (s *Service) keyOwner(ctx context.Context, c *awsapi.Call, in *wire.GetAccessKeyLastUsedRequest) ([]awsapi.Resource, error) {
	var r awsapi.Resource
	err := s.cfg.View(ctx, func(tx *store.Tx) error {
		// Of a key that is not there nobody learns more than that.
		r = awsapi.Resource{ARN: users.arn(s, c.Account, "/", "*")}
		key, err := accountKey(tx, c.Account, *in.AccessKeyId)
		if err != nil || key == nil {
			return err
		}
		if key.User == "" {
			r.ARN = model.IAMARN(s.cfg.Partition, c.Account, "root", "", "")
			return nil
		}
		u, err := users.get(tx, c.Account, key.User)
		if err != nil {
			return err
		}
		r = awsapi.Resource{ARN: u.ARN, Keys: resourceTags(u.Tags)}
		return nil
	})
	return []awsapi.Resource{r}, err
}
