// Package store keeps records under keys, with one revision number for the whole
// store, atomic conditional writes and a stream of changes. It knows nothing of
// what the records mean.
//
// There is one backend, etcd: embedded in this process or a cluster elsewhere.
package store

import (
	"context"
	"errors"
)

// Revision numbers every change of the store; it is the only ordering in
// Latchwork. 0 is before everything.
type Revision int64

// KV is one stored record. A KV with Revision 0 is absent.
type KV struct {
	Key   string
	Value []byte
	// Revision of the record's last change.
	Revision Revision
}

// Page is a part of a key range, in key order, as it was at Revision.
type Page struct {
	KVs      []KV
	Revision Revision
	// More tells that there are keys after the last one.
	More bool
}

// Write sets or deletes one key.
type Write struct {
	Key string
	// Value is nil for a delete.
	Value []byte
}

// Condition must hold for a commit to happen. Either Key is set, and the key's
// last change must be Revision (0: the key is absent); or Prefix is set, and no
// key below it may have been changed after Revision. A deletion below Prefix does
// not break a condition. That is safe where what was found makes a transaction
// refuse, and not where it makes one leave something out: two that delete at once
// would each find the other's record. Such a transaction reads and writes a key that
// the other does too.
type Condition struct {
	Key      string
	Prefix   string
	Revision Revision
}

// Event is one change. Value is nil for a deletion.
type Event struct {
	Key      string
	Value    []byte
	Revision Revision
}

// Batch is a run of changes in order; the store had Revision after the last.
type Batch struct {
	Revision Revision
	Events   []Event
}

// Backend is what a store is made on. Keys are relative to the installation's
// own prefix. Methods return ErrUnavailable (wrapped) when the backend cannot be
// reached or cannot write.
type Backend interface {
	// Get reads one key at a revision, or at the newest if at is 0. The returned
	// revision is the one that was read at.
	Get(ctx context.Context, key string, at Revision) (KV, Revision, error)
	// Range reads keys that start with prefix and come after the key after, at
	// most limit of them (0: all).
	Range(ctx context.Context, prefix, after string, limit int, at Revision) (Page, error)
	// Commit does all writes if all conditions hold, else nothing and ErrConflict.
	Commit(ctx context.Context, conditions []Condition, writes []Write) (Revision, error)
	// Watch sends every change after from until ctx ends or the stream breaks,
	// and then closes the channel.
	Watch(ctx context.Context, from Revision) <-chan Batch
	// Healthy tells why the backend cannot be written to, or nil.
	Healthy(ctx context.Context) error
	Close() error
}

var (
	// ErrConflict says that a condition of a commit did not hold.
	ErrConflict = errors.New("the record was changed by someone else")
	// ErrUnavailable says that the backend cannot be reached or cannot write.
	ErrUnavailable = errors.New("the store is not available")
	// ErrTooLarge says that a commit has more conditions or writes than the backend
	// takes.
	ErrTooLarge = errors.New("the change is too large for the store")
	// ErrCompacted says that a revision is too old to be read.
	ErrCompacted = errors.New("the revision is no longer kept")
)
