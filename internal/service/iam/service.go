// Package iam carries out the operations of IAM: users, groups, roles, their
// policies, access keys and instance profiles.
//
// Every operation reads and writes in one transaction of the store, so that what
// it checked still holds when it is written, and a write is answered when it is
// enforced.
package iam

import (
	"context"
	"errors"
	"time"

	"github.com/latchwork/latchwork/internal/awsapi"
	"github.com/latchwork/latchwork/internal/clock"
	"github.com/latchwork/latchwork/internal/fault"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/store"
	wire "github.com/latchwork/latchwork/internal/wire/iam"
)

// Config says what the service works with. Store, Published, Clock, Partition and
// Secrets are required.
type Config struct {
	Store *store.Store
	// Published tells when a revision of the store is enforced.
	Published interface {
		WaitFor(context.Context, store.Revision) error
	}
	Clock     clock.Clock
	Partition string
	// Secrets encrypts secret access keys; aad is the access key's id, so that a
	// sealed secret cannot be moved to another key.
	Secrets interface {
		Seal(plaintext []byte, aad string) ([]byte, error)
	}
	// AWSManaged lists AWS's own managed policies and is called once; nil means
	// those that snapshots enforce.
	AWSManaged func() []ManagedInfo
	// LastUsed tells when and for what an access key was used last; nil where
	// nobody keeps count.
	LastUsed func(accessKeyID string) (LastUsed, bool)
	// Quotas that are zero are AWS's defaults.
	Quotas Quotas
}

// LastUsed is the last use of an access key.
type LastUsed struct {
	At      time.Time
	Service string
	Region  string
}

// Service handles the operations.
type Service struct {
	wire.Unimplemented
	cfg Config
	// awsManaged holds AWS's own managed policies by ARN, in the form of
	// customers' ones.
	awsManaged map[string]*model.ManagedPolicy
}

// New makes IAM ready for the dispatcher.
func New(cfg Config) awsapi.Binding {
	s := newService(cfg)
	return wire.Bind(s, s.access())
}

func newService(cfg Config) *Service {
	cfg.Quotas = cfg.Quotas.withDefaults()
	s := &Service{cfg: cfg, awsManaged: map[string]*model.ManagedPolicy{}}
	if cfg.AWSManaged == nil {
		cfg.AWSManaged = enforcedManaged
	}
	for _, info := range cfg.AWSManaged() {
		s.awsManaged[info.ARN] = info.record()
	}
	return s
}

// view runs fn on one consistent state of the store and tells its revision.
func (s *Service) view(ctx context.Context, fn func(*store.Tx) error) (int64, error) {
	var revision store.Revision
	err := s.cfg.Store.View(ctx, func(tx *store.Tx) error {
		err := fn(tx)
		revision = tx.Revision()
		return err
	})
	return int64(revision), public(err)
}

// update runs fn in a transaction and returns when what it wrote is enforced.
func (s *Service) update(ctx context.Context, fn func(*store.Tx) error) error {
	revision, err := s.cfg.Store.Update(ctx, fn)
	if err == nil {
		err = s.cfg.Published.WaitFor(ctx, revision)
	}
	return public(err)
}

// public gives an unavailable store its AWS code. Other errors without a code
// stay what they are: internal failures.
func public(err error) error {
	if errors.Is(err, store.ErrUnavailable) {
		return fault.Unavailable(err)
	}
	return err
}

// accountOf is the account that a call works in: the caller's.
func accountOf(ctx context.Context) string { return awsapi.FromContext(ctx).Account }

// deref is the value of a member that may be absent.
func deref[T any](p *T) T {
	var zero T
	if p == nil {
		return zero
	}
	return *p
}

// present is the opposite of deref: an empty text is an absent member.
func present(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
