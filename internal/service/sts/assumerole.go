package sts

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/latchwork/latchwork/internal/awsapi"
	"github.com/latchwork/latchwork/internal/fault"
	"github.com/latchwork/latchwork/internal/identity"
	wire "github.com/latchwork/latchwork/internal/wire/sts"
)

const (
	defaultRoleSession = time.Hour
	// maxChained is the longest session that temporary credentials can make.
	// Source: IAM User Guide, "Terms and concepts for roles", role chaining.
	maxChained = time.Hour
)

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
	lifetime := defaultRoleSession
	if in.DurationSeconds != nil {
		lifetime = time.Duration(*in.DurationSeconds) * time.Second
	}
	if caller.Session != nil && lifetime > maxChained {
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
	role, err := s.allowed(ctx, caller, in, tags, source)
	if err != nil {
		return nil, err
	}
	if lifetime > role.MaxSession {
		return nil, invalid("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
	}
	policies, err := s.sessionPolicies(ctx, account, in.Policy, in.PolicyArns)
	if err != nil {
		return nil, err
	}
	packed, err := packedSize(policies, tags.all)
	if err != nil {
		return nil, err
	}
	if in.Policy == nil && in.PolicyArns == nil && len(tags.all) == 0 {
		// AWS leaves the member out where nothing was passed.
		packed = nil
	}
	p := s.roleSession(caller, role, *in.RoleSessionName)
	p.Session.Tags, p.Session.TransitiveKeys = tags.all, tags.transitive
	p.Session.Policies, p.Session.PolicyARNs = policies.inline, policies.arns
	p.Session.SourceIdentity = source
	credentials, err := s.mint(p, lifetime)
	if err != nil {
		return nil, err
	}
	out := &wire.AssumeRoleResponse{
		AssumedRoleUser:  &wire.AssumedRoleUser{Arn: &p.ARN, AssumedRoleId: &p.UserID},
		Credentials:      credentials,
		PackedPolicySize: packed,
	}
	if source != "" {
		out.SourceIdentity = &source
	}
	return out, nil
}

// allowed asks for every permission that the request needs, and finds the role.
// Source: IAM User Guide, "Pass session tags in AWS STS" and "Monitor and control
// actions taken with assumed roles".
func (s *Service) allowed(ctx context.Context, caller *identity.Principal, in *wire.AssumeRoleRequest, tags *sessionTags, source string) (Role, error) {
	role, ok := s.cfg.World.Role(ctx, *in.RoleArn)
	if !ok {
		return Role{}, unauthorized(caller, "sts:AssumeRole", *in.RoleArn)
	}
	actions := []string{"sts:AssumeRole"}
	if len(tags.all) > 0 {
		actions = append(actions, "sts:TagSession")
	}
	if source != "" {
		actions = append(actions, "sts:SetSourceIdentity")
	}
	keys := assumeKeys(in, tags, source, role)
	for _, action := range actions {
		err := s.cfg.Decider.AssumeRole(ctx, Ask{Caller: caller, Action: action, Role: role.ARN, Keys: keys})
		if e, ok := errors.AsType[*fault.Error](err); ok && e.Code == "AccessDenied" {
			// The same text as for a role that is not there; the reason stays
			// with the audit entry.
			refusal := unauthorized(caller, action, *in.RoleArn)
			refusal.Cause = err
			return Role{}, refusal
		}
		if err != nil {
			return Role{}, err
		}
	}
	return role, nil
}

// assumeKeys are the condition keys of the request.
func assumeKeys(in *wire.AssumeRoleRequest, tags *sessionTags, source string, role Role) []awsapi.Key {
	keys := []awsapi.Key{{Name: "sts:RoleSessionName", Values: []string{*in.RoleSessionName}}}
	if in.ExternalId != nil {
		keys = append(keys, awsapi.Key{Name: "sts:ExternalId", Values: []string{*in.ExternalId}})
	}
	if source != "" {
		keys = append(keys, awsapi.Key{Name: "sts:SourceIdentity", Values: []string{source}})
	}
	keys = append(keys, requestTags(in.Tags)...)
	if len(in.TransitiveTagKeys) > 0 {
		keys = append(keys, awsapi.Key{Name: "sts:TransitiveTagKeys", Values: in.TransitiveTagKeys, Multi: true})
	}
	return append(keys, resourceTags(role.Tags, tags.inherited)...)
}

// roleSession is the principal of a role's session, without what the request
// adds.
func (s *Service) roleSession(caller *identity.Principal, role Role, name string) identity.Principal {
	return identity.Principal{
		Kind: identity.AssumedRole, Partition: s.cfg.Partition, Account: role.Account,
		ARN:       "arn:" + s.cfg.Partition + ":sts::" + role.Account + ":assumed-role/" + role.Name + "/" + name,
		IssuerARN: role.ARN, IssuerID: role.ID, UserID: role.ID + ":" + name, Name: role.Name,
		Session: &identity.Session{Name: name, Chained: caller.Kind == identity.AssumedRole},
	}
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
