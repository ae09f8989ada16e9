package awsapi

import (
	"context"
	"time"

	"github.com/latchwork/latchwork/internal/identity"
	"github.com/latchwork/latchwork/internal/inbound"
)

// Caller is who made a call, as the Authenticator found it.
type Caller struct {
	// Principal is the anonymous one for an unsigned operation.
	Principal *identity.Principal
	// Region and Service are those of the credential scope.
	Region  string
	Service string
	// Signature is the Authenticator's own account of the signature.
	Signature any
}

// Expectation says what a signature must be made for.
type Expectation struct {
	// Service is the signing name of the service that the request was routed to.
	Service string
	// Protocol decides the family of error codes; an Authenticator may use the
	// codes of either family, the dispatcher translates them.
	Protocol Protocol
}

// Authenticator finds out who made a request. It returns a *fault.Error for a
// request that is unsigned or whose signature is bad. FromContext gives it the
// Call with RequestID, Service, Operation and Snapshot set.
type Authenticator interface {
	Authenticate(ctx context.Context, r *inbound.Request, body []byte, want Expectation) (Caller, error)
}

// Authorizer decides whether a call may go on: call.Action on every one of
// call.Resources. It returns nil only if every resource is allowed; a refusal is
// a *fault.Error with the code AccessDenied.
type Authorizer interface {
	Authorize(ctx context.Context, call *Call) error
}

// Call is everything known about the call in hand. The dispatcher fills it step
// by step; a handler only reads it. That of an unsigned operation fills in the
// Caller's Principal when it has found out who that is.
type Call struct {
	RequestID string
	Received  time.Time
	Request   *inbound.Request
	Service   *Service
	Operation *Operation

	Caller Caller
	// Account is the caller's account; empty for an unsigned operation.
	Account string
	// Region is the region of the credential scope, or the installation's own
	// for an unsigned operation.
	Region    string
	Partition string

	// Input is the bound and validated input: a pointer to the operation's
	// request type.
	Input any
	// Action, Resources and Keys come from the operation's access row.
	Action    string
	Resources []Resource
	Keys      []Key

	// Snapshot is what Config.Snapshot returned when the request came in: the
	// state that the whole call is decided on.
	Snapshot any
	// Token is set if the operation takes an idempotency token and the caller
	// sent one.
	Token *Token

	// plan is that of Input's type.
	plan *plan
}

type callKey struct{}

// FromContext returns the call that a handler was called for, or nil where there
// is none.
func FromContext(ctx context.Context) *Call {
	call, _ := ctx.Value(callKey{}).(*Call)
	return call
}

// NewContext returns a context that carries call; tests of handlers use it.
func NewContext(ctx context.Context, call *Call) context.Context {
	return context.WithValue(ctx, callKey{}, call)
}
