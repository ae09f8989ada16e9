// Package iam carries out the operations of IAM: users, groups, roles, their
// policies, access keys, instance profiles and identity providers.
//
// Every operation reads and writes in one transaction of the store, so that what
// it checked still holds when it is written, and a write is answered when it is
// enforced.
package iam

import (
	"context"
	"time"

	"github.com/latchwork/latchwork/internal/awsapi"
	"github.com/latchwork/latchwork/internal/clock"
	"github.com/latchwork/latchwork/internal/model"
	wire "github.com/latchwork/latchwork/internal/wire/iam"
)

// Config says what the service works with. State, Clock, Partition and Secrets are
// required.
type Config struct {
	model.State
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

// accountOf is the account that a call works in: the caller's.
func accountOf(ctx context.Context) string { return awsapi.FromContext(ctx).Account }
