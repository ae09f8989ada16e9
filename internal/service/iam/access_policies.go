package iam

import (
	"github.com/latchwork/latchwork/internal/awsapi"
	"github.com/latchwork/latchwork/internal/model"
	wire "github.com/latchwork/latchwork/internal/wire/iam"
)

// policyRows are those of managed policies.
func (s *Service) policyRows() awsapi.AccessTable {
	return awsapi.AccessTable{
		"CreatePolicy": withTags(creates(s, &policies,
			func(in *wire.CreatePolicyRequest) *string { return in.PolicyName },
			func(in *wire.CreatePolicyRequest) *string { return in.Path }),
			func(in *wire.CreatePolicyRequest) []wire.Tag { return in.Tags }),
		"ListPolicies":            everything(),
		"GetPolicy":               onPolicy(s, func(in *wire.GetPolicyRequest) *string { return in.PolicyArn }),
		"DeletePolicy":            onPolicy(s, func(in *wire.DeletePolicyRequest) *string { return in.PolicyArn }),
		"CreatePolicyVersion":     onPolicy(s, func(in *wire.CreatePolicyVersionRequest) *string { return in.PolicyArn }),
		"GetPolicyVersion":        onPolicy(s, func(in *wire.GetPolicyVersionRequest) *string { return in.PolicyArn }),
		"ListPolicyVersions":      onPolicy(s, func(in *wire.ListPolicyVersionsRequest) *string { return in.PolicyArn }),
		"SetDefaultPolicyVersion": onPolicy(s, func(in *wire.SetDefaultPolicyVersionRequest) *string { return in.PolicyArn }),
		"DeletePolicyVersion":     onPolicy(s, func(in *wire.DeletePolicyVersionRequest) *string { return in.PolicyArn }),
		"ListEntitiesForPolicy":   onPolicy(s, func(in *wire.ListEntitiesForPolicyRequest) *string { return in.PolicyArn }),
		"ListPolicyTags":          onPolicy(s, func(in *wire.ListPolicyTagsRequest) *string { return in.PolicyArn }),
		"TagPolicy": onPolicy(s, func(in *wire.TagPolicyRequest) *string { return in.PolicyArn },
			func(in *wire.TagPolicyRequest, _ *model.ManagedPolicy) []awsapi.Key { return requestTags(in.Tags) }),
		"UntagPolicy": onPolicy(s, func(in *wire.UntagPolicyRequest) *string { return in.PolicyArn },
			func(in *wire.UntagPolicyRequest, _ *model.ManagedPolicy) []awsapi.Key { return tagKeys(in.TagKeys) }),
	}
}
