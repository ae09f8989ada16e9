package model

import (
	"context"
	"errors"

	"github.com/latchwork/latchwork/internal/awsapi"
	"github.com/latchwork/latchwork/internal/fault"
	"github.com/latchwork/latchwork/internal/store"
)

// State is the store as operations work on it: what they wrote is enforced when
// they answer, and a store that cannot be reached is an error with AWS's code.
// Other errors without a code stay what they are: internal failures.
type State struct {
	Store *store.Store
	// Published tells when a revision of the store is enforced.
	Published interface {
		WaitFor(context.Context, store.Revision) error
	}
}

// View runs fn on one consistent state.
func (s State) View(ctx context.Context, fn func(*store.Tx) error) error {
	return public(s.Store.View(ctx, fn))
}

// List is View for an operation that pages, and tells the revision of the state:
// all pages show the one that the first did. Were each page taken from the newest,
// a record that is renamed between two pages could be on none of them.
func (s State) List(ctx context.Context, fn func(*store.Tx) error) (int64, error) {
	cursor, err := awsapi.Start(ctx)
	if err != nil {
		return 0, err
	}
	var revision store.Revision
	err = s.Store.ViewAt(ctx, store.Revision(cursor.Revision), func(tx *store.Tx) error {
		err := fn(tx)
		revision = tx.Revision()
		return err
	})
	if errors.Is(err, store.ErrCompacted) {
		return 0, awsapi.StaleToken(ctx)
	}
	return int64(revision), public(err)
}

// Update runs fn in a transaction and returns when what it wrote is enforced.
func (s State) Update(ctx context.Context, fn func(*store.Tx) error) error {
	revision, err := s.Store.Update(ctx, fn)
	if err == nil {
		err = s.Published.WaitFor(ctx, revision)
	}
	return public(err)
}

func public(err error) error {
	if errors.Is(err, store.ErrUnavailable) {
		return fault.Unavailable(err)
	}
	return err
}
