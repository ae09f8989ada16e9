// Package sts carries out the operations of STS: it tells callers who they are
// and gives out temporary credentials. It stores nothing; what it must know of
// roles and policies it takes from the state that the call was pinned to.
package sts

import (
	"context"
	"net/http"
	"time"

	"github.com/latchwork/latchwork/internal/awsapi"
	"github.com/latchwork/latchwork/internal/clock"
	"github.com/latchwork/latchwork/internal/fault"
	"github.com/latchwork/latchwork/internal/identity"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/oidc"
	"github.com/latchwork/latchwork/internal/wire"
	wirests "github.com/latchwork/latchwork/internal/wire/sts"
)

// Config says what the service works with; everything is required.
type Config struct {
	World     World
	Decider   Decider
	Tokens    Tokens
	Clock     clock.Clock
	Partition string
	// Authorizer is the dispatcher's own. GetFederationToken asks it for a second
	// permission when it is called with tags.
	Authorizer awsapi.Authorizer
	Identities Identities
}

// World is the part of the installation's state that STS reads. All methods answer
// from the snapshot of the call in ctx.
type World interface {
	Role(ctx context.Context, arn string) (Role, bool)
	// HasPolicy tells whether there is a managed policy, AWS's or a customer's.
	HasPolicy(ctx context.Context, arn string) bool
	// OIDCProvider finds what an account has for an issuer.
	OIDCProvider(ctx context.Context, account, issuer string) (*model.OIDCProvider, bool)
}

// Identities verifies the tokens of identity providers. Its errors are fit for the
// caller.
type Identities interface {
	Verify(ctx context.Context, p *model.OIDCProvider, t *oidc.Token) (*oidc.Claims, error)
}

// Role is what STS must know of a role.
type Role struct {
	ARN, ID, Account, Name string
	MaxSession             time.Duration
	Tags                   map[string]string
}

// Decider decides about roles: trust policy and identity policies together, by
// the installation's one decision function.
type Decider interface {
	// AssumeRole returns nil only if the action is allowed; a refusal is a
	// *fault.Error with the code AccessDenied, whose text the caller does not see.
	AssumeRole(ctx context.Context, ask Ask) error
}

// Ask is one question to the Decider: may Caller do Action on Role?
type Ask struct {
	Caller *identity.Principal
	// Action is sts:AssumeRole, sts:AssumeRoleWithWebIdentity, sts:TagSession or
	// sts:SetSourceIdentity.
	Action string
	// Role is the role's ARN.
	Role string
	// Keys are the condition keys of the request and of the role's tags.
	Keys []awsapi.Key
}

// Tokens makes temporary credentials.
type Tokens interface {
	// Mint makes credentials for p, whose Session is filled.
	Mint(p identity.Principal, expiry time.Time) (accessKeyID, secret, sessionToken string, err error)
}

// Service handles the operations.
type Service struct {
	wirests.Unimplemented
	cfg Config
}

// New makes STS ready for the dispatcher.
func New(cfg Config) awsapi.Binding {
	s := &Service{cfg: cfg}
	return wirests.Bind(s, s.access())
}

// mint fills the session's times and makes its credentials.
func (s *Service) mint(p identity.Principal, lifetime time.Duration) (*wirests.Credentials, error) {
	now := s.cfg.Clock()
	expiry := now.Add(lifetime)
	p.Session.IssuedAt, p.Session.Expires = now, expiry
	p.AccessKeyID = ""
	id, secret, token, err := s.cfg.Tokens.Mint(p, expiry)
	if err != nil {
		return nil, err
	}
	return &wirests.Credentials{
		AccessKeyId: &id, SecretAccessKey: new(wire.Secret(secret)), SessionToken: &token, Expiration: wire.At(expiry),
	}, nil
}

func callerOf(ctx context.Context) *identity.Principal {
	return awsapi.FromContext(ctx).Caller.Principal
}

func invalid(format string, args ...any) *fault.Error {
	return fault.New("ValidationError", format, args...)
}

func badValue(format string, args ...any) *fault.Error {
	return fault.New("InvalidParameterValue", format, args...)
}

func denied(format string, args ...any) *fault.Error {
	return fault.New("AccessDenied", format, args...)
}

// unauthorized is AWS's refusal without a reason.
func unauthorized(p *identity.Principal, action, resource string) *fault.Error {
	return denied("User: %s is not authorized to perform: %s on resource: %s", p.Display(), action, resource)
}

// noMFA refuses a proof of a second factor: there are no MFA devices.
func noMFA(serial, code *string) error {
	if serial == nil && code == nil {
		return nil
	}
	return denied("MultiFactorAuthentication failed, unable to validate MFA code.  Please verify your MFA serial number is valid and associated with this user.")
}

func notBuilt(what string) *fault.Error {
	return fault.New("NotImplemented", "STS %s is not built yet", what).WithStatus(http.StatusNotImplemented)
}
