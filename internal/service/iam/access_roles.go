package iam

import (
	"github.com/latchwork/latchwork/internal/awsapi"
	"github.com/latchwork/latchwork/internal/model"
	wire "github.com/latchwork/latchwork/internal/wire/iam"
)

// roleRows are those of roles.
func (s *Service) roleRows() awsapi.AccessTable {
	return awsapi.AccessTable{
		"CreateRole": withTags(creates(s, &roles,
			func(in *wire.CreateRoleRequest) *string { return in.RoleName },
			func(in *wire.CreateRoleRequest) *string { return in.Path },
			func(in *wire.CreateRoleRequest, _ *model.Role) []awsapi.Key {
				return boundaryKey(model.Deref(in.PermissionsBoundary))
			}), func(in *wire.CreateRoleRequest) []wire.Tag { return in.Tags }),
		"GetRole":                     on(s, &roles, func(in *wire.GetRoleRequest) *string { return in.RoleName }),
		"ListRoles":                   everything(),
		"UpdateRole":                  on(s, &roles, func(in *wire.UpdateRoleRequest) *string { return in.RoleName }),
		"UpdateRoleDescription":       on(s, &roles, func(in *wire.UpdateRoleDescriptionRequest) *string { return in.RoleName }),
		"UpdateAssumeRolePolicy":      on(s, &roles, func(in *wire.UpdateAssumeRolePolicyRequest) *string { return in.RoleName }),
		"DeleteRole":                  on(s, &roles, func(in *wire.DeleteRoleRequest) *string { return in.RoleName }),
		"ListInstanceProfilesForRole": on(s, &roles, func(in *wire.ListInstanceProfilesForRoleRequest) *string { return in.RoleName }),
		"TagRole": on(s, &roles, func(in *wire.TagRoleRequest) *string { return in.RoleName },
			func(in *wire.TagRoleRequest, _ *model.Role) []awsapi.Key { return requestTags(in.Tags) }),
		"UntagRole": on(s, &roles, func(in *wire.UntagRoleRequest) *string { return in.RoleName },
			func(in *wire.UntagRoleRequest, _ *model.Role) []awsapi.Key { return tagKeys(in.TagKeys) }),
		"ListRoleTags": on(s, &roles, func(in *wire.ListRoleTagsRequest) *string { return in.RoleName }),
		"PutRolePolicy": on(s, &roles, func(in *wire.PutRolePolicyRequest) *string { return in.RoleName },
			func(_ *wire.PutRolePolicyRequest, r *model.Role) []awsapi.Key { return roleBoundary(r) }),
		"GetRolePolicy": on(s, &roles, func(in *wire.GetRolePolicyRequest) *string { return in.RoleName }),
		"DeleteRolePolicy": on(s, &roles, func(in *wire.DeleteRolePolicyRequest) *string { return in.RoleName },
			func(_ *wire.DeleteRolePolicyRequest, r *model.Role) []awsapi.Key { return roleBoundary(r) }),
		"ListRolePolicies": on(s, &roles, func(in *wire.ListRolePoliciesRequest) *string { return in.RoleName }),
		"AttachRolePolicy": on(s, &roles, func(in *wire.AttachRolePolicyRequest) *string { return in.RoleName },
			func(in *wire.AttachRolePolicyRequest, _ *model.Role) []awsapi.Key { return policyARN(in.PolicyArn) },
			func(_ *wire.AttachRolePolicyRequest, r *model.Role) []awsapi.Key { return roleBoundary(r) }),
		"DetachRolePolicy": on(s, &roles, func(in *wire.DetachRolePolicyRequest) *string { return in.RoleName },
			func(in *wire.DetachRolePolicyRequest, _ *model.Role) []awsapi.Key { return policyARN(in.PolicyArn) },
			func(_ *wire.DetachRolePolicyRequest, r *model.Role) []awsapi.Key { return roleBoundary(r) }),
		"ListAttachedRolePolicies": on(s, &roles, func(in *wire.ListAttachedRolePoliciesRequest) *string { return in.RoleName }),
		"PutRolePermissionsBoundary": on(s, &roles, func(in *wire.PutRolePermissionsBoundaryRequest) *string { return in.RoleName },
			func(in *wire.PutRolePermissionsBoundaryRequest, _ *model.Role) []awsapi.Key {
				return boundaryKey(*in.PermissionsBoundary)
			}),
		"DeleteRolePermissionsBoundary": on(s, &roles, func(in *wire.DeleteRolePermissionsBoundaryRequest) *string { return in.RoleName },
			func(_ *wire.DeleteRolePermissionsBoundaryRequest, r *model.Role) []awsapi.Key { return roleBoundary(r) }),
	}
}
