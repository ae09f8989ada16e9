package iam

import (
	"context"

	"github.com/latchwork/latchwork/internal/awsapi"
	wire "github.com/latchwork/latchwork/internal/wire/iam"
)

// simulationRows are those of the policy simulator. Who simulates the policies of a
// user, role or group needs the permission on it; given policies belong to nobody.
func (s *Service) simulationRows() awsapi.AccessTable {
	return awsapi.AccessTable{
		"SimulateCustomPolicy":          everything(),
		"GetContextKeysForCustomPolicy": everything(),
		"SimulatePrincipalPolicy":       onSource(s, func(in *wire.SimulatePrincipalPolicyRequest) *string { return in.PolicySourceArn }),
		"GetContextKeysForPrincipalPolicy": onSource(s, func(in *wire.GetContextKeysForPrincipalPolicyRequest) *string {
			return in.PolicySourceArn
		}),
	}
}

// onSource makes the row of an operation on the user, role or group with an ARN. One of
// the account is named by its own ARN, whatever spelling the caller uses.
func onSource[In any](s *Service, arn func(*In) *string) awsapi.Access {
	return awsapi.Access{Resources: awsapi.Targets(func(ctx context.Context, c *awsapi.Call, in *In) ([]awsapi.Resource, error) {
		kind, account, name, err := sourceName(*arn(in))
		switch {
		case err != nil:
			return nil, err
		case account != c.Account:
			return []awsapi.Resource{{ARN: *arn(in)}}, nil
		case kind == groups.resource:
			return on(s, &groups, func(*In) *string { return &name }).Resources(ctx, c)
		case kind == users.resource:
			return on(s, &users, func(*In) *string { return &name }).Resources(ctx, c)
		}
		return on(s, &roles, func(*In) *string { return &name }).Resources(ctx, c)
	})}
}
