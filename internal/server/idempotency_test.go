package server

import (
	"encoding/hex"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/store"
)

func TestTokensShareFewLocks(t *testing.T) {
	a := new(answers)
	used := map[*sync.Mutex]bool{}
	for i := range 1 << 12 {
		used[a.lock(hex.EncodeToString([]byte{byte(i), byte(i >> 8)}))] = true
	}
	if len(used) != len(a.locks) {
		t.Errorf("%d of %d locks are used", len(used), len(a.locks))
	}
}

func TestSweep(t *testing.T) {
	now := time.Unix(1e9, 0)
	records := openServer(t).store
	put := func(tx *store.Tx, id string, expires time.Time) error {
		return model.Tokens.Put(tx, id, &model.TokenAnswer{Hash: id, Expires: expires})
	}
	_, err := records.Update(t.Context(), func(tx *store.Tx) error {
		for id, expires := range map[string]time.Time{"old": now, "again": now, "new": now.Add(time.Second)} {
			if err := put(tx, id, expires); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	// While the sweep looks at the time, a token that it has read is used again.
	meanwhile := sync.OnceFunc(func() {
		_, err := records.Update(t.Context(), func(tx *store.Tx) error { return put(tx, "again", now.Add(tokenLife)) })
		if err != nil {
			t.Error(err)
		}
	})
	a := &answers{store: records, clock: func() time.Time { meanwhile(); return now }}
	if err := a.sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	err = records.View(t.Context(), func(tx *store.Tx) error {
		for id, want := range map[string]bool{"old": false, "again": true, "new": true} {
			if there, err := model.Tokens.Has(tx, id); err != nil || there != want {
				t.Errorf("the token %s is there: %t, %v; want %t", id, there, err, want)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestSweepOperations(t *testing.T) {
	now := time.Unix(1e9, 0)
	s := &Server{store: openServer(t).store, clock: func() time.Time { return now }}
	_, err := s.store.Update(t.Context(), func(tx *store.Tx) error {
		return errors.Join(
			model.CloudMapOperations.Put(tx, "old", &model.CloudMapOperation{Expires: now}),
			model.CloudMapOperations.Put(tx, "new", &model.CloudMapOperation{Expires: now.Add(time.Second)}),
		)
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.sweepOperations(t.Context()); err != nil {
		t.Fatal(err)
	}
	err = s.store.View(t.Context(), func(tx *store.Tx) error {
		left, err := model.CloudMapOperations.List(tx, "")
		if len(left) != 1 || left[0].ID != "new" {
			t.Errorf("left: %v", left)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
