package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Store reads and writes records.
type Store struct{ backend Backend }

// New makes a Store on a backend.
func New(backend Backend) *Store { return &Store{backend: backend} }

// Backend gives what the store was made on: for watching, health and shutdown.
func (s *Store) Backend() Backend { return s.backend }

// Tx is one transaction, or one consistent read: everything it reads is as of
// one revision. It is used by one goroutine.
type Tx struct {
	ctx     context.Context
	backend Backend
	// at is the revision that all reads are done at; 0 until the first read.
	at Revision
	// newest is the last change of the records that were read.
	newest Revision
	// readOnly makes a write an error.
	readOnly bool
	read     map[string]KV
	ranges   map[string]bool
	writes   map[string][]byte
}

func newTx(ctx context.Context, backend Backend, readOnly bool) *Tx {
	return &Tx{
		ctx: ctx, backend: backend, readOnly: readOnly,
		read: map[string]KV{}, ranges: map[string]bool{}, writes: map[string][]byte{},
	}
}

// maxAttempts bounds how often a transaction is run again after losing against
// others. A loss means that another transaction won, so the system as a whole
// makes progress; the bound only keeps one caller from waiting forever.
const maxAttempts = 100

// Update runs fn in a transaction and commits what it wrote, if nothing that fn
// read has changed meanwhile; otherwise fn is run again from the start. fn must
// therefore have no effect outside the transaction. It returns the revision of
// the commit, or that of the newest record that was read if fn wrote nothing: the
// revision that was read at may be a change of others to a cluster that is shared,
// which nobody here is ever told of.
func (s *Store) Update(ctx context.Context, fn func(*Tx) error) (Revision, error) {
	for range maxAttempts {
		tx := newTx(ctx, s.backend, false)
		if err := fn(tx); err != nil {
			return 0, err
		}
		if len(tx.writes) == 0 {
			return tx.newest, nil
		}
		revision, err := s.backend.Commit(ctx, tx.conditions(), tx.sortedWrites())
		if errors.Is(err, ErrConflict) {
			continue
		}
		return revision, err
	}
	return 0, fmt.Errorf("%w: gave up after %d attempts to commit: %w", ErrUnavailable, maxAttempts, ErrConflict)
}

// View runs fn on one consistent view of the store.
func (s *Store) View(ctx context.Context, fn func(*Tx) error) error {
	return fn(newTx(ctx, s.backend, true))
}

// ViewAt is View as of a revision; ErrCompacted if that is no longer kept.
func (s *Store) ViewAt(ctx context.Context, at Revision, fn func(*Tx) error) error {
	tx := newTx(ctx, s.backend, true)
	tx.at = at
	return fn(tx)
}

// ReadOnly tells whether the transaction cannot write.
func (tx *Tx) ReadOnly() bool { return tx.readOnly }

// Context is the context that the transaction runs in.
func (tx *Tx) Context() context.Context { return tx.ctx }

// Revision that the transaction reads at; 0 before its first read.
func (tx *Tx) Revision() Revision { return tx.at }

func (tx *Tx) get(key string) ([]byte, bool, error) {
	if value, ok := tx.writes[key]; ok {
		return value, value != nil, nil
	}
	kv, ok := tx.read[key]
	if !ok {
		var err error
		var at Revision
		if kv, at, err = tx.backend.Get(tx.ctx, key, tx.at); err != nil {
			return nil, false, err
		}
		tx.at, tx.newest = at, max(tx.newest, kv.Revision)
		tx.read[key] = kv
	}
	return kv.Value, kv.Revision != 0, nil
}

// scan calls visit with every record below prefix in key order, the
// transaction's own writes included.
func (tx *Tx) scan(prefix string, visit func(key string, value []byte) error) error {
	page, err := tx.backend.Range(tx.ctx, prefix, "", 0, tx.at)
	if err != nil {
		return err
	}
	tx.at = page.Revision
	tx.ranges[prefix] = true
	found := make(map[string][]byte, len(page.KVs))
	for _, kv := range page.KVs {
		found[kv.Key] = kv.Value
		tx.newest = max(tx.newest, kv.Revision)
	}
	for key, value := range tx.writes {
		if !strings.HasPrefix(key, prefix) {
			continue
		}
		if value == nil {
			delete(found, key)
		} else {
			found[key] = value
		}
	}
	for _, key := range slices.Sorted(maps.Keys(found)) {
		if err := visit(key, found[key]); err != nil {
			return err
		}
	}
	return nil
}

func (tx *Tx) set(key string, value []byte) error {
	if tx.readOnly {
		return fmt.Errorf("write of %s in a read-only transaction", key)
	}
	tx.writes[key] = value
	return nil
}

func (tx *Tx) conditions() []Condition {
	out := make([]Condition, 0, len(tx.read)+len(tx.ranges))
	for _, key := range slices.Sorted(maps.Keys(tx.read)) {
		out = append(out, Condition{Key: key, Revision: tx.read[key].Revision})
	}
	for _, prefix := range slices.Sorted(maps.Keys(tx.ranges)) {
		out = append(out, Condition{Prefix: prefix, Revision: tx.at})
	}
	return out
}

func (tx *Tx) sortedWrites() []Write {
	out := make([]Write, 0, len(tx.writes))
	for _, key := range slices.Sorted(maps.Keys(tx.writes)) {
		out = append(out, Write{Key: key, Value: tx.writes[key]})
	}
	return out
}
