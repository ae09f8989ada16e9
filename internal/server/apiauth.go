package server

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"time"

	"github.com/latchwork/latchwork/internal/authz"
	"github.com/latchwork/latchwork/internal/awsapi"
	"github.com/latchwork/latchwork/internal/clock"
	"github.com/latchwork/latchwork/internal/credential"
	"github.com/latchwork/latchwork/internal/fault"
	"github.com/latchwork/latchwork/internal/identity"
	"github.com/latchwork/latchwork/internal/inbound"
	"github.com/latchwork/latchwork/internal/policy"
	"github.com/latchwork/latchwork/internal/service/sts"
	"github.com/latchwork/latchwork/internal/sigv4"
	"github.com/latchwork/latchwork/internal/snapshot"
)

// apiAuth authenticates and authorizes calls of the APIs.
type apiAuth struct {
	authenticator *credential.Authenticator
	clock         clock.Clock
	region        string // the installation's own
	// decided is told every decision, for metrics.
	decided func(authz.Cause, authz.Stage)
}

// skew is how far the clock of a protocol's clients may be off. Source: AWS's error
// texts, "(… - 5 min.)" for REST and JSON services and "- 15 min." for STS and its
// like.
func skew(p awsapi.Protocol) time.Duration {
	switch p {
	case awsapi.Query, awsapi.EC2Query:
		return 15 * time.Minute
	}
	return 5 * time.Minute
}

// Authenticate implements awsapi.Authenticator. Any region is good: it is a
// partition of the state, chosen by the credential scope or, in SigV4A, by the set of
// regions.
func (a *apiAuth) Authenticate(ctx context.Context, r *inbound.Request, body []byte, want awsapi.Expectation) (awsapi.Caller, error) {
	snap, err := snapshot.Pinned(ctx)
	if err != nil {
		return awsapi.Caller{}, err
	}
	p, s, err := a.authenticator.Authenticate(snap, r, new(sigv4.Signature), sigv4.Expect{Service: want.Service, Now: a.clock(), Skew: skew(want.Protocol), Body: body})
	var bad *sigv4.Error
	switch {
	case errors.As(err, &bad):
		return awsapi.Caller{}, bad.Fault()
	case err != nil:
		return awsapi.Caller{}, err
	case s == nil:
		return awsapi.Caller{}, sigv4.ErrMissing.Fault()
	}
	region := s.RegionFor(a.region)
	if !validRegion(region) {
		return awsapi.Caller{}, fault.New("SignatureDoesNotMatch", "Credential should be scoped to a valid region.")
	}
	return awsapi.Caller{Principal: p, Region: region, Service: s.Service, Signature: s}, nil
}

// validRegion keeps what becomes a part of the store's keys plain.
func validRegion(s string) bool {
	return s != "" && len(s) <= 32 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

// Authorize implements awsapi.Authorizer: every resource of the call must be
// allowed.
func (a *apiAuth) Authorize(ctx context.Context, call *awsapi.Call) error {
	snap, err := snapshot.Pinned(ctx)
	if err != nil {
		return err
	}
	for i := range call.Resources {
		r := &call.Resources[i]
		action := call.Action
		if r.Action != "" {
			action = r.Action
		}
		q := &authz.Query{
			Request: policy.Request{
				Principal: call.Caller.Principal, Action: action, Resource: r.ARN,
			},
			Account: owner(r.ARN),
		}
		if r.Shared {
			q.Account = call.Account
		}
		q.Keys = a.keys(snap, call, call.Caller.Principal, q.Account, r.Keys)
		d := authz.Decide(snap, q)
		a.decided(d.Cause, d.Stage)
		if !d.Allowed {
			return fault.New("AccessDenied", "%s", d.DeniedText(q))
		}
	}
	return nil
}

// owner is the account of a resource's ARN; "" for what has none.
func owner(arn string) string {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) < 6 || parts[4] == "aws" {
		return ""
	}
	return parts[4]
}

// apiKeys are the condition keys of a call.
type apiKeys struct {
	own    policy.MapKeys
	caller authz.CallerKeys
}

// Lookup implements policy.Keys.
func (k *apiKeys) Lookup(key *policy.Key) (policy.Values, bool) {
	if v, ok := k.own.Lookup(key); ok {
		return v, true
	}
	return k.caller.Lookup(key)
}

// keys of a call on a resource of an account; "" stands for the caller's own.
func (a *apiAuth) keys(snap *snapshot.Snapshot, call *awsapi.Call, who *identity.Principal, owner string, more ...[]awsapi.Key) *apiKeys {
	k := &apiKeys{
		own:    policy.MapKeys{},
		caller: authz.CallerKeys{Snap: snap, Principal: who, Owner: cmp.Or(owner, call.Account), Now: a.clock()},
	}
	if r := call.Request; r != nil {
		k.own.Set("aws:SourceIp", r.Remote.Addr().Unmap().String())
		secure := "false"
		if r.TLS != nil {
			secure = "true"
		}
		k.own.Set("aws:SecureTransport", secure)
		if agent, ok := r.Get("user-agent"); ok {
			k.own.Set("aws:UserAgent", agent)
		}
		if referer, ok := r.Get("referer"); ok {
			k.own.Set("aws:referer", referer)
		}
	}
	if call.Region != "" {
		k.own.Set("aws:RequestedRegion", call.Region)
	}
	for _, list := range append([][]awsapi.Key{call.Keys}, more...) {
		for _, key := range list {
			// Without a value a key is absent, which is not the same as empty.
			if len(key.Values) > 0 {
				k.own.Set(key.Name, key.Values...)
			}
		}
	}
	return k
}

// roleDecider decides whether a role may be assumed: the role's trust policy and
// the caller's policies together.
type roleDecider struct{ auth *apiAuth }

// AssumeRole implements sts.Decider.
func (d roleDecider) AssumeRole(ctx context.Context, ask sts.Ask) error {
	snap, err := snapshot.Pinned(ctx)
	if err != nil {
		return err
	}
	call := awsapi.FromContext(ctx)
	role, ok := snap.EntityByARN(ask.Role)
	if !ok || role.Kind != identity.AssumedRole {
		return fault.New("AccessDenied", "there is no role %s", ask.Role)
	}
	q := authz.OfRole(role, ask.Caller, ask.Action, d.auth.keys(snap, call, ask.Caller, role.Account, ask.Keys))
	decision := authz.Decide(snap, q)
	d.auth.decided(decision.Cause, decision.Stage)
	if !decision.Allowed {
		return fault.New("AccessDenied", "%s", decision.DeniedText(q))
	}
	return nil
}
