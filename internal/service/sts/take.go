package sts

import (
	"context"
	"errors"
	"time"

	"github.com/latchwork/latchwork/internal/awsapi"
	"github.com/latchwork/latchwork/internal/fault"
	"github.com/latchwork/latchwork/internal/identity"
	wire "github.com/latchwork/latchwork/internal/wire/sts"
)

// defaultRoleSession is how long a session of a role lasts if nobody says.
const defaultRoleSession = time.Hour

func roleLifetime(seconds *int64) time.Duration {
	if seconds == nil {
		return defaultRoleSession
	}
	return time.Duration(*seconds) * time.Second
}

// taking is a role that is being taken, in one way or another.
type taking struct {
	caller *identity.Principal
	// action is the permission for this way.
	action string
	// role is the role's ARN as it was asked for, account the one in it.
	role, account, session string
	// keys are the condition keys of this way.
	keys []awsapi.Key
	// asked and transitive are the session tags that the request brings, tags those of
	// the new session.
	asked      []wire.Tag
	transitive []string
	tags       *sessionTags
	source     string
	lifetime   time.Duration
	policy     *string
	policyARNs []wire.PolicyDescriptorType
	// refusal is the error for a permission that is missing.
	refusal func(action string) *fault.Error
}

// take makes a session of a role for somebody who may have it. What would tell
// something of the role comes after the permission.
func (s *Service) take(ctx context.Context, t *taking) (*identity.Principal, *wire.Credentials, *int64, error) {
	role, err := s.allowed(ctx, t)
	if err != nil {
		return nil, nil, nil, err
	}
	if t.lifetime > role.MaxSession {
		return nil, nil, nil, invalid("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
	}
	policies, err := s.sessionPolicies(ctx, t.account, t.policy, t.policyARNs)
	if err != nil {
		return nil, nil, nil, err
	}
	packed, err := packedSize(policies, t.tags.all)
	if err != nil {
		return nil, nil, nil, err
	}
	if t.policy == nil && t.policyARNs == nil && len(t.tags.all) == 0 {
		// AWS leaves the member out where nothing was passed.
		packed = nil
	}
	p := identity.RoleSession(s.cfg.Partition, role.Account, role.ARN, role.ID, role.Name, t.session)
	p.Session.Chained = t.caller.Kind == identity.AssumedRole && !t.caller.Session.Instance
	p.Session.Tags, p.Session.TransitiveKeys = t.tags.all, t.tags.transitive
	p.Session.Policies, p.Session.PolicyARNs = policies.inline, policies.arns
	p.Session.SourceIdentity = t.source
	if t.caller.Kind == identity.WebIdentity {
		p.Session.FederatedProvider, p.Session.Keys = t.caller.Session.FederatedProvider, t.caller.Session.Keys
	}
	credentials, err := s.mint(p, t.lifetime)
	return &p, credentials, packed, err
}

// allowed asks for every permission that the request needs, and finds the role.
// Source: IAM User Guide, "Pass session tags in AWS STS" and "Monitor and control
// actions taken with assumed roles".
func (s *Service) allowed(ctx context.Context, t *taking) (Role, error) {
	role, ok := s.cfg.World.Role(ctx, t.role)
	if !ok {
		return Role{}, t.refusal(t.action)
	}
	actions := []string{t.action}
	if len(t.tags.all) > 0 {
		actions = append(actions, "sts:TagSession")
	}
	if t.source != "" {
		actions = append(actions, "sts:SetSourceIdentity")
	}
	keys := t.conditionKeys(role)
	for _, action := range actions {
		err := s.cfg.Decider.AssumeRole(ctx, Ask{Caller: t.caller, Action: action, Role: role.ARN, Keys: keys})
		if e, ok := errors.AsType[*fault.Error](err); ok && e.Code == "AccessDenied" {
			// The same text as for a role that is not there; the reason stays
			// with the audit entry.
			refusal := t.refusal(action)
			refusal.Cause = err
			return Role{}, refusal
		}
		if err != nil {
			return Role{}, err
		}
	}
	return role, nil
}

func (t *taking) conditionKeys(role Role) []awsapi.Key {
	keys := append([]awsapi.Key{{Name: "sts:RoleSessionName", Values: []string{t.session}}}, t.keys...)
	if t.source != "" {
		keys = append(keys, awsapi.Key{Name: "sts:SourceIdentity", Values: []string{t.source}})
	}
	keys = append(keys, requestTags(t.asked)...)
	if len(t.transitive) > 0 {
		keys = append(keys, awsapi.Key{Name: "sts:TransitiveTagKeys", Values: t.transitive, Multi: true})
	}
	return append(keys, resourceTags(role.Tags, t.tags.inherited)...)
}
