package sts

import (
	"context"

	"github.com/latchwork/latchwork/internal/identity"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/snapshot"
)

// Pinned is the World of the snapshot that the dispatcher pinned for the call:
// awsapi.Config.Snapshot must give a *snapshot.Snapshot. Before the first one is
// published there are no roles.
type Pinned struct{}

// Role implements World.
func (Pinned) Role(ctx context.Context, arn string) (Role, bool) {
	snap, err := snapshot.Pinned(ctx)
	if err != nil {
		return Role{}, false
	}
	e, ok := snap.EntityByARN(arn)
	if !ok || e.Kind != identity.AssumedRole {
		return Role{}, false
	}
	return Role{ARN: e.ARN, ID: e.ID, Account: e.Account, Name: e.Name, MaxSession: e.MaxSession, Tags: e.Tags}, true
}

// HasPolicy implements World.
func (Pinned) HasPolicy(ctx context.Context, arn string) bool {
	snap, err := snapshot.Pinned(ctx)
	if err != nil {
		return false
	}
	_, ok := snap.Managed(arn)
	return ok
}

// OIDCProvider implements World.
func (Pinned) OIDCProvider(ctx context.Context, account, issuer string) (*model.OIDCProvider, bool) {
	snap, err := snapshot.Pinned(ctx)
	if err != nil {
		return nil, false
	}
	return snap.OIDCProvider(account, issuer)
}
