// Package storetest is the contract of store.Backend: what every backend must do,
// as a test.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchwork/latchwork/internal/store"
)

type counter struct{ N int }

// Run tests a backend. Each call of open must give an empty one.
func Run(t *testing.T, open func(t *testing.T) store.Backend) {
	ctx := context.Background()
	counters := store.NewCollection[counter]("counter")

	t.Run("read what was written", func(t *testing.T) {
		s := store.New(open(t))
		wrote, err := s.Update(ctx, func(tx *store.Tx) error { return counters.Put(tx, "a", &counter{7}) })
		if err != nil {
			t.Fatal(err)
		}
		err = s.View(ctx, func(tx *store.Tx) error {
			got, err := counters.Get(tx, "a")
			if err != nil {
				return err
			}
			if got == nil || got.N != 7 {
				t.Errorf("read %v, want 7", got)
			}
			if tx.Revision() < wrote {
				t.Errorf("read at revision %d, before the write's %d", tx.Revision(), wrote)
			}
			if absent, err := counters.Get(tx, "b"); absent != nil || err != nil {
				t.Errorf("absent record: %v, %v", absent, err)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})

	t.Run("a transaction that writes nothing waits for nobody", func(t *testing.T) {
		backend := open(t)
		s := store.New(backend)
		wrote, err := s.Update(ctx, func(tx *store.Tx) error { return counters.Put(tx, "a", &counter{7}) })
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Update(ctx, func(tx *store.Tx) error { return counters.Put(tx, "b", &counter{8}) }); err != nil {
			t.Fatal(err)
		}
		for name, read := range map[string]func(*store.Tx) error{
			"get":  func(tx *store.Tx) error { _, err := counters.Get(tx, "a"); return err },
			"list": func(tx *store.Tx) error { _, err := counters.List(tx, "a"); return err },
		} {
			if at, err := s.Update(ctx, read); err != nil || at != wrote {
				t.Errorf("%s: revision %d, %v; the record is of %d", name, at, err, wrote)
			}
		}
	})

	t.Run("concurrent increments all count", func(t *testing.T) {
		s := store.New(open(t))
		const workers, each = 8, 10
		var wg sync.WaitGroup
		for range workers {
			wg.Go(func() {
				for range each {
					_, err := s.Update(ctx, func(tx *store.Tx) error {
						c, err := counters.Get(tx, "n")
						if err != nil {
							return err
						}
						if c == nil {
							c = &counter{}
						}
						c.N++
						return counters.Put(tx, "n", c)
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		_ = s.View(ctx, func(tx *store.Tx) error {
			c, err := counters.Get(tx, "n")
			if err != nil || c == nil || c.N != workers*each {
				t.Errorf("counted %v (%v), want %d", c, err, workers*each)
			}
			return nil
		})
	})

	t.Run("a record added to a listed range loses the commit", func(t *testing.T) {
		b := open(t)
		s := store.New(b)
		runs := 0
		_, err := s.Update(ctx, func(tx *store.Tx) error {
			runs++
			items, err := counters.List(tx, "group/")
			if err != nil {
				return err
			}
			if runs == 1 {
				if _, err := s.Update(ctx, func(tx *store.Tx) error { return counters.Put(tx, "group/late", &counter{1}) }); err != nil {
					return err
				}
			}
			if len(items) > 0 {
				return errors.New("in use")
			}
			return counters.Put(tx, "gone", &counter{})
		})
		if err == nil || err.Error() != "in use" || runs != 2 {
			t.Errorf("after %d runs: %v; want a second run that sees the record", runs, err)
		}
	})

	t.Run("conditions", func(t *testing.T) {
		b := open(t)
		first, err := b.Commit(ctx, []store.Condition{{Key: "k"}}, []store.Write{{Key: "k", Value: []byte("1")}})
		if err != nil {
			t.Fatal(err)
		}
		for _, test := range []struct {
			name string
			cond store.Condition
			want error
		}{
			{"absent but there", store.Condition{Key: "k"}, store.ErrConflict},
			{"another revision", store.Condition{Key: "k", Revision: first + 1}, store.ErrConflict},
			{"prefix changed after", store.Condition{Prefix: "k", Revision: first - 1}, store.ErrConflict},
			{"prefix as read", store.Condition{Prefix: "k", Revision: first}, nil},
			{"empty prefix", store.Condition{Prefix: "zzz", Revision: 1}, nil},
			{"this revision", store.Condition{Key: "k", Revision: first}, nil},
		} {
			_, err := b.Commit(ctx, []store.Condition{test.cond}, []store.Write{{Key: "other", Value: []byte(test.name)}})
			if !errors.Is(err, test.want) {
				t.Errorf("%s: %v, want %v", test.name, err, test.want)
			}
		}
	})

	t.Run("pages hold to their revision", func(t *testing.T) {
		b := open(t)
		var last store.Revision
		for i := range 5 {
			var err error
			if last, err = b.Commit(ctx, nil, []store.Write{{Key: "p/" + strconv.Itoa(i), Value: []byte{'v'}}}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := b.Commit(ctx, nil, []store.Write{{Key: "p/1x", Value: []byte("new")}, {Key: "p/4"}}); err != nil {
			t.Fatal(err)
		}
		var keys []string
		after := ""
		for {
			page, err := b.Range(ctx, "p/", after, 2, last)
			if err != nil {
				t.Fatal(err)
			}
			for _, kv := range page.KVs {
				keys = append(keys, kv.Key)
				after = kv.Key
			}
			if !page.More {
				break
			}
		}
		if diff := cmp.Diff([]string{"p/0", "p/1", "p/2", "p/3", "p/4"}, keys); diff != "" {
			t.Errorf("pages (-want +got):\n%s", diff)
		}
	})

	t.Run("watch sees every change once and in order", func(t *testing.T) {
		b := open(t)
		start, err := b.Commit(ctx, nil, []store.Write{{Key: "before", Value: []byte("x")}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		changes := b.Watch(ctx, start)
		var want []string
		for i := range 20 {
			key := fmt.Sprintf("w/%02d", i)
			if _, err := b.Commit(ctx, nil, []store.Write{{Key: key, Value: []byte("v")}}); err != nil {
				t.Fatal(err)
			}
			want = append(want, "+"+key)
		}
		end, err := b.Commit(ctx, nil, []store.Write{{Key: "w/00"}})
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, "-w/00")
		var got []string
		var previous store.Revision
		for batch := range changes {
			for _, e := range batch.Events {
				if e.Revision < previous {
					t.Errorf("revision %d after %d", e.Revision, previous)
				}
				previous = e.Revision
				sign := "+"
				if e.Value == nil {
					sign = "-"
				}
				got = append(got, sign+e.Key)
			}
			if batch.Revision >= end {
				break
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
		cancel()
		for range changes {
		}
	})
}
