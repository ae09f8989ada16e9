package credential

import (
	"errors"
	"time"

	"github.com/latchwork/latchwork/internal/identity"
	"github.com/latchwork/latchwork/internal/inbound"
	"github.com/latchwork/latchwork/internal/sigv4"
	"github.com/latchwork/latchwork/internal/snapshot"
)

// Authenticator finds out who signed a request: a long-term key is looked up in
// the snapshot, a session's key is in its token.
type Authenticator struct {
	Tokens   *Tokens
	Verifier *sigv4.Verifier
}

// Authenticate verifies a request's signature, which it parses into s: the caller's,
// so that a good signature costs no memory. It returns the anonymous principal and no
// Signature for a request that nobody signed; whoever signed wrongly is an error and
// never anonymous. The error is a *sigv4.Error. The Signature is given with an error
// too, if it could be parsed.
func (a *Authenticator) Authenticate(snap *snapshot.Snapshot, r *inbound.Request, s *sigv4.Signature, want sigv4.Expect) (*identity.Principal, *sigv4.Signature, error) {
	if attempted, err := s.Parse(r); !attempted || err != nil {
		return &anonymous, nil, err
	}
	principal, secret, lookup := a.find(snap, s, want.Now)
	// The signature is checked whatever the look-up found, so that the time it
	// takes tells nothing: a nil secret is an unknown key.
	err := a.Verifier.Verify(r, s, secret, want)
	if lookup == sigv4.ErrExpiredToken && errors.Is(err, sigv4.ErrUnknownKey) {
		err = lookup
	}
	if err != nil {
		return &anonymous, s, err
	}
	return principal, s, nil
}

// Diagnose tells why Authenticate refused a request, with the keys of the snapshot
// that it had.
func (a *Authenticator) Diagnose(snap *snapshot.Snapshot, r *inbound.Request, want sigv4.Expect, refusal *sigv4.Error) sigv4.Diagnosis {
	switch refusal {
	case sigv4.ErrBusy, sigv4.ErrExpiredToken:
		return sigv4.Refused(refusal, r, want) // says nothing of the signature
	}
	var secret sigv4.Secret
	if s, err := sigv4.Parse(r); err == nil && s != nil {
		_, secret, _ = a.find(snap, s, want.Now)
	}
	return a.Verifier.Diagnose(r, secret, want)
}

// anonymous is the caller who did not sign. Principals are never changed.
var anonymous identity.Principal

func (a *Authenticator) find(snap *snapshot.Snapshot, s *sigv4.Signature, now time.Time) (*identity.Principal, sigv4.Secret, error) {
	if s.SessionToken != "" {
		session, err := a.Tokens.Open(s.AccessKeyID, s.SessionToken, now)
		switch {
		case errors.Is(err, ErrExpiredToken):
			return nil, nil, sigv4.ErrExpiredToken
		case err != nil:
			return nil, nil, sigv4.ErrUnknownKey
		}
		return session.Principal, session.Secret, nil
	}
	key, ok := snap.Key(s.AccessKeyID)
	if !ok || !key.Active || key.Principal == nil {
		return nil, nil, sigv4.ErrUnknownKey
	}
	return key.Principal, sigv4.Secret(key.Secret), nil
}
