package iam

import (
	"github.com/latchwork/latchwork/internal/awsapi"
	"github.com/latchwork/latchwork/internal/model"
	wire "github.com/latchwork/latchwork/internal/wire/iam"
)

// groupRows are those of groups. Of a membership the group is the resource.
func (s *Service) groupRows() awsapi.AccessTable {
	return awsapi.AccessTable{
		"CreateGroup": creates(s, &groups,
			func(in *wire.CreateGroupRequest) *string { return in.GroupName },
			func(in *wire.CreateGroupRequest) *string { return in.Path }),
		"GetGroup":   on(s, &groups, func(in *wire.GetGroupRequest) *string { return in.GroupName }),
		"ListGroups": everything(),
		"UpdateGroup": moves(s, &groups, func(in *wire.UpdateGroupRequest) *string { return in.GroupName },
			func(in *wire.UpdateGroupRequest) *string { return in.NewGroupName },
			func(in *wire.UpdateGroupRequest) *string { return in.NewPath }),
		"DeleteGroup":         on(s, &groups, func(in *wire.DeleteGroupRequest) *string { return in.GroupName }),
		"AddUserToGroup":      on(s, &groups, func(in *wire.AddUserToGroupRequest) *string { return in.GroupName }),
		"RemoveUserFromGroup": on(s, &groups, func(in *wire.RemoveUserFromGroupRequest) *string { return in.GroupName }),
		"PutGroupPolicy":      on(s, &groups, func(in *wire.PutGroupPolicyRequest) *string { return in.GroupName }),
		"GetGroupPolicy":      on(s, &groups, func(in *wire.GetGroupPolicyRequest) *string { return in.GroupName }),
		"DeleteGroupPolicy":   on(s, &groups, func(in *wire.DeleteGroupPolicyRequest) *string { return in.GroupName }),
		"ListGroupPolicies":   on(s, &groups, func(in *wire.ListGroupPoliciesRequest) *string { return in.GroupName }),
		"AttachGroupPolicy": on(s, &groups, func(in *wire.AttachGroupPolicyRequest) *string { return in.GroupName },
			func(in *wire.AttachGroupPolicyRequest, _ *model.Group) []awsapi.Key { return policyARN(in.PolicyArn) }),
		"DetachGroupPolicy": on(s, &groups, func(in *wire.DetachGroupPolicyRequest) *string { return in.GroupName },
			func(in *wire.DetachGroupPolicyRequest, _ *model.Group) []awsapi.Key { return policyARN(in.PolicyArn) }),
		"ListAttachedGroupPolicies": on(s, &groups, func(in *wire.ListAttachedGroupPoliciesRequest) *string { return in.GroupName }),
	}
}
