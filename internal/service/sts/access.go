package sts

import (
	"context"

	"github.com/latchwork/latchwork/internal/awsapi"
	"github.com/latchwork/latchwork/internal/identity"
	wire "github.com/latchwork/latchwork/internal/wire/sts"
)

// access has the rows.
// Source: Service Authorization Reference, "Actions, resources, and condition
// keys for AWS Security Token Service".
func (s *Service) access() awsapi.AccessTable {
	return awsapi.AccessTable{
		"AssumeRole": {
			Action: "sts:AssumeRole",
			Exempt: "the handler asks: trust policy and identity policies are decided together, with sts:TagSession and sts:SetSourceIdentity",
		},
		"AssumeRoleWithWebIdentity": {
			Action: "sts:AssumeRoleWithWebIdentity",
			Exempt: "nobody signs; the handler verifies the token and asks the role's trust policy",
		},
		// Source: STS API Reference, GetCallerIdentity: "No permissions are
		// required"; not even an explicit deny counts.
		"GetCallerIdentity": {Action: "sts:GetCallerIdentity", Exempt: "AWS asks for no permission"},
		// Source: STS API Reference, GetSessionToken, "Permissions".
		"GetSessionToken": {Action: "sts:GetSessionToken", Exempt: "AWS asks for no permission"},
		"GetFederationToken": {
			Action: "sts:GetFederationToken",
			Resources: awsapi.Targets(func(_ context.Context, c *awsapi.Call, in *wire.GetFederationTokenRequest) ([]awsapi.Resource, error) {
				// Before the decision, as for GetSessionToken: nothing could allow it.
				if err := longTerm(c.Caller.Principal, "GetFederationToken"); err != nil {
					return nil, err
				}
				return []awsapi.Resource{{ARN: s.federatedARN(c.Account, *in.Name)}}, nil
			}),
			Keys: awsapi.ConditionKeys(func(_ *awsapi.Call, in *wire.GetFederationTokenRequest) []awsapi.Key {
				return requestTags(in.Tags)
			}),
		},
		"GetAccessKeyInfo": {
			Action: "sts:GetAccessKeyInfo",
			Resources: func(_ context.Context, c *awsapi.Call) ([]awsapi.Resource, error) {
				p := c.Caller.Principal
				// Credentials of GetSessionToken and GetFederationToken call
				// nothing of STS but AssumeRole and GetCallerIdentity.
				// Source: IAM User Guide, "Compare AWS STS credentials".
				if p.Session != nil && p.Kind != identity.AssumedRole {
					return nil, unauthorized(p, c.Action, "*")
				}
				return []awsapi.Resource{{ARN: "*"}}, nil
			},
		},
	}
}

// longTerm refuses temporary credentials.
func longTerm(p *identity.Principal, operation string) error {
	if p.Session != nil || p.Kind != identity.User && p.Kind != identity.Root {
		return denied("Cannot call %s with session credentials", operation)
	}
	return nil
}
