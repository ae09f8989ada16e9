package iam

import (
	"github.com/latchwork/latchwork/internal/awsapi"
	"github.com/latchwork/latchwork/internal/model"
	wire "github.com/latchwork/latchwork/internal/wire/iam"
)

// profileRows are those of instance profiles.
func (s *Service) profileRows() awsapi.AccessTable {
	return awsapi.AccessTable{
		"CreateInstanceProfile": creates(s, &profiles,
			func(in *wire.CreateInstanceProfileRequest) *string { return in.InstanceProfileName },
			func(in *wire.CreateInstanceProfileRequest) *string { return in.Path },
			func(in *wire.CreateInstanceProfileRequest, _ *model.InstanceProfile) []awsapi.Key {
				return requestTags(in.Tags)
			}),
		"GetInstanceProfile":            on(s, &profiles, func(in *wire.GetInstanceProfileRequest) *string { return in.InstanceProfileName }),
		"DeleteInstanceProfile":         on(s, &profiles, func(in *wire.DeleteInstanceProfileRequest) *string { return in.InstanceProfileName }),
		"AddRoleToInstanceProfile":      on(s, &profiles, func(in *wire.AddRoleToInstanceProfileRequest) *string { return in.InstanceProfileName }),
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
