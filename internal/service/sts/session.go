package sts

import (
	"context"
	"time"

	"github.com/latchwork/latchwork/internal/awsapi"
	"github.com/latchwork/latchwork/internal/identity"
	wire "github.com/latchwork/latchwork/internal/wire/sts"
)

const (
	// defaultSession is that of GetSessionToken and GetFederationToken.
	defaultSession = 12 * time.Hour
	// maxRootSession is the longest, and so the default, of the root user's.
	maxRootSession = time.Hour
)

// sessionLifetime is how long the credentials of a user or a root user last. A
// root user who asks for more than an hour gets an hour.
// Source: STS API Reference, GetSessionToken and GetFederationToken,
// DurationSeconds: "the session duration defaults to one hour" for the root user.
func sessionLifetime(p *identity.Principal, seconds *int64) time.Duration {
	lifetime := defaultSession
	if seconds != nil {
		lifetime = time.Duration(*seconds) * time.Second
	}
	if p.Kind == identity.Root {
		return min(lifetime, maxRootSession)
	}
	return lifetime
}

// GetSessionToken gives the caller temporary credentials of the caller's own.
func (s *Service) GetSessionToken(ctx context.Context, in *wire.GetSessionTokenRequest) (*wire.GetSessionTokenResponse, error) {
	caller := callerOf(ctx)
	if err := longTerm(caller, "GetSessionToken"); err != nil {
		return nil, err
	}
	if err := noMFA(in.SerialNumber, in.TokenCode); err != nil {
		return nil, err
	}
	p := *caller
	p.Session = &identity.Session{}
	credentials, err := s.mint(p, sessionLifetime(caller, in.DurationSeconds))
	if err != nil {
		return nil, err
	}
	return &wire.GetSessionTokenResponse{Credentials: credentials}, nil
}

// GetFederationToken gives credentials to somebody whom the calling user vouches
// for, with at most the user's permissions and those of the session policies.
func (s *Service) GetFederationToken(ctx context.Context, in *wire.GetFederationTokenRequest) (*wire.GetFederationTokenResponse, error) {
	call := awsapi.FromContext(ctx)
	caller := call.Caller.Principal
	tags, err := mergeTags(in.Tags, nil, nil)
	if err != nil {
		return nil, err
	}
	if len(in.Tags) > 0 {
		// The decision about sts:GetFederationToken was made by the dispatcher.
		tagging := *call
		tagging.Action = "sts:TagSession"
		if err := s.cfg.Authorizer.Authorize(ctx, &tagging); err != nil {
			return nil, err
		}
	}
	policies, err := s.sessionPolicies(ctx, caller.Account, in.Policy, in.PolicyArns)
	if err != nil {
		return nil, err
	}
	packed, err := packedSize(policies, tags.all)
	if err != nil {
		return nil, err
	}
	p := identity.Principal{
		Kind: identity.FederatedUser, Partition: s.cfg.Partition, Account: caller.Account,
		ARN:       s.federatedARN(caller.Account, *in.Name),
		IssuerARN: caller.IssuerARN, IssuerID: caller.IssuerID,
		UserID: caller.Account + ":" + *in.Name, Name: *in.Name,
		Session: &identity.Session{
			Name: *in.Name, Tags: tags.all, Policies: policies.inline, PolicyARNs: policies.arns,
		},
	}
	credentials, err := s.mint(p, sessionLifetime(caller, in.DurationSeconds))
	if err != nil {
		return nil, err
	}
	return &wire.GetFederationTokenResponse{
		Credentials:      credentials,
		FederatedUser:    &wire.FederatedUser{Arn: &p.ARN, FederatedUserId: &p.UserID},
		PackedPolicySize: packed,
	}, nil
}

func (s *Service) federatedARN(account, name string) string {
	return "arn:" + s.cfg.Partition + ":sts::" + account + ":federated-user/" + name
}
