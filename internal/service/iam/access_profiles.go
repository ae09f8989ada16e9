package iam

import (
	"context"

	"github.com/latchwork/latchwork/internal/awsapi"
	"github.com/latchwork/latchwork/internal/model"
	wire "github.com/latchwork/latchwork/internal/wire/iam"
)

// profileRows are those of instance profiles.
func (s *Service) profileRows() awsapi.AccessTable {
	return awsapi.AccessTable{
		"CreateInstanceProfile": withTags(creates(s, &profiles,
			func(in *wire.CreateInstanceProfileRequest) *string { return in.InstanceProfileName },
			func(in *wire.CreateInstanceProfileRequest) *string { return in.Path }),
			func(in *wire.CreateInstanceProfileRequest) []wire.Tag { return in.Tags }),
		"GetInstanceProfile":            on(s, &profiles, func(in *wire.GetInstanceProfileRequest) *string { return in.InstanceProfileName }),
		"DeleteInstanceProfile":         on(s, &profiles, func(in *wire.DeleteInstanceProfileRequest) *string { return in.InstanceProfileName }),
		"AddRoleToInstanceProfile":      s.passesRole(on(s, &profiles, func(in *wire.AddRoleToInstanceProfileRequest) *string { return in.InstanceProfileName })),
		"RemoveRoleFromInstanceProfile": on(s, &profiles, func(in *wire.RemoveRoleFromInstanceProfileRequest) *string { return in.InstanceProfileName }),
		"ListInstanceProfiles":          everything(),
		"TagInstanceProfile": on(s, &profiles, func(in *wire.TagInstanceProfileRequest) *string { return in.InstanceProfileName },
			func(in *wire.TagInstanceProfileRequest, _ *model.InstanceProfile) []awsapi.Key {
				return requestTags(in.Tags)
			}),
		"UntagInstanceProfile": on(s, &profiles, func(in *wire.UntagInstanceProfileRequest) *string { return in.InstanceProfileName },
			func(in *wire.UntagInstanceProfileRequest, _ *model.InstanceProfile) []awsapi.Key {
				return tagKeys(in.TagKeys)
			}),
		"ListInstanceProfileTags": on(s, &profiles, func(in *wire.ListInstanceProfileTagsRequest) *string { return in.InstanceProfileName }),
	}
}

// passesRole adds the role that comes into an instance profile: the caller must be
// allowed to pass it, or whoever may change a profile had every role.
// Source: IAM API Reference, AddRoleToInstanceProfile: "must be granted the PassRole
// permission on the IAM role".
func (s *Service) passesRole(row awsapi.Access) awsapi.Access {
	profile := row.Resources
	role := on(s, &roles, func(in *wire.AddRoleToInstanceProfileRequest) *string { return in.RoleName }).Resources
	row.Resources = func(ctx context.Context, c *awsapi.Call) ([]awsapi.Resource, error) {
		out, err := profile(ctx, c)
		if err != nil {
			return nil, err
		}
		passed, err := role(ctx, c)
		if err != nil {
			return nil, err
		}
		passed[0].Action = "iam:PassRole"
		// Instance profiles are for EC2's instances alone.
		passed[0].Keys = append(passed[0].Keys, awsapi.Key{Name: "iam:PassedToService", Values: []string{"ec2.amazonaws.com"}})
		return append(out, passed...), nil
	}
	return row
}

// accountRows are those of the account as a whole.
func (s *Service) accountRows() awsapi.AccessTable {
	return awsapi.AccessTable{
		"CreateAccountAlias":             everything(),
		"DeleteAccountAlias":             everything(),
		"ListAccountAliases":             everything(),
		"GetAccountSummary":              everything(),
		"GetAccountAuthorizationDetails": everything(),
	}
}
