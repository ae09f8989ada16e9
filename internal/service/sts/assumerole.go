package sts

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/latchwork/latchwork/internal/awsapi"
	"github.com/latchwork/latchwork/internal/fault"
	"github.com/latchwork/latchwork/internal/identity"
	"github.com/latchwork/latchwork/internal/model"
	wire "github.com/latchwork/latchwork/internal/wire/sts"
)

// maxChained is the longest session that temporary credentials can make. Those of
// an instance are excepted.
// Source: IAM User Guide, "Terms and concepts for roles", role chaining: "AWS does
// not treat using roles to grant permissions to applications that run on EC2
// instances as role chaining".
const maxChained = time.Hour

// AssumeRole gives a session of a role.
//
// What concerns the caller and the request alone is checked first, then the
// permission, and what would tell something of the role last: to those who may not
// assume it a role that is there looks like one that is not.
func (s *Service) AssumeRole(ctx context.Context, in *wire.AssumeRoleRequest) (*wire.AssumeRoleResponse, error) {
	caller := callerOf(ctx)
	if caller.Kind == identity.Root {
		return nil, denied("Roles may not be assumed by root accounts.")
	}
	account, ok := roleAccount(*in.RoleArn)
	if !ok {
		return nil, invalid("%s is invalid", *in.RoleArn)
	}
	if caller.Kind == identity.FederatedUser {
		// Source: IAM User Guide, "Compare AWS STS credentials".
		return nil, unauthorized(caller, "sts:AssumeRole", *in.RoleArn)
	}
	if len(in.ProvidedContexts) > 0 {
		return nil, notBuilt("AssumeRole with ProvidedContexts")
	}
	lifetime := roleLifetime(in.DurationSeconds)
	if caller.Session != nil && !caller.Session.Instance && lifetime > maxChained {
		return nil, invalid("The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.")
	}
	tags, err := mergeTags(in.Tags, in.TransitiveTagKeys, transitiveOf(caller))
	if err != nil {
		return nil, err
	}
	source, err := sourceIdentity(caller, in.SourceIdentity)
	if err != nil {
		return nil, err
	}
	if err := noMFA(in.SerialNumber, in.TokenCode); err != nil {
		return nil, err
	}
	var keys []awsapi.Key
	if in.ExternalId != nil {
		keys = []awsapi.Key{{Name: "sts:ExternalId", Values: []string{*in.ExternalId}}}
	}
	p, credentials, packed, err := s.take(ctx, &taking{
		caller: caller, action: "sts:AssumeRole", role: *in.RoleArn, account: account, session: *in.RoleSessionName,
		keys: keys, asked: in.Tags, transitive: in.TransitiveTagKeys, tags: tags, source: source,
		lifetime: lifetime, policy: in.Policy, policyARNs: in.PolicyArns,
		refusal: func(action string) *fault.Error { return unauthorized(caller, action, *in.RoleArn) },
	})
	if err != nil {
		return nil, err
	}
	return &wire.AssumeRoleResponse{
		AssumedRoleUser:  &wire.AssumedRoleUser{Arn: &p.ARN, AssumedRoleId: &p.UserID},
		Credentials:      credentials,
		PackedPolicySize: packed,
		SourceIdentity:   model.Present(source),
	}, nil
}

// roleAccount reads the account out of the ARN of a role.
func roleAccount(arn string) (string, bool) {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" || parts[1] == "" || parts[2] != "iam" || parts[3] != "" {
		return "", false
	}
	account := parts[4]
	name, ok := strings.CutPrefix(parts[5], "role/")
	if len(account) != 12 || strings.Trim(account, "0123456789") != "" || !ok || name == "" || strings.HasSuffix(name, "/") {
		return "", false
	}
	return account, true
}

// transitiveOf are the tags that a session hands on.
func transitiveOf(p *identity.Principal) map[string]string {
	if p.Session == nil {
		return nil
	}
	out := maps.Clone(p.Session.Tags)
	maps.DeleteFunc(out, func(key, _ string) bool {
		return !slices.ContainsFunc(p.Session.TransitiveKeys, func(have string) bool { return strings.EqualFold(have, key) })
	})
	return out
}

// sourceIdentity is that of the new session: the calling session's, which cannot
// change on the way, or the one that the request sets.
// Source: IAM User Guide, "Monitor and control actions taken with assumed roles".
func sourceIdentity(p *identity.Principal, asked *string) (string, error) {
	inherited := ""
	if p.Session != nil {
		inherited = p.Session.SourceIdentity
	}
	switch {
	case asked == nil:
		return inherited, nil
	case inherited != "" && inherited != *asked:
		return "", denied("The source identity of the calling session is %s and cannot be changed.", inherited)
	default:
		return *asked, nil
	}
}
