package snapshot

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/latchwork/latchwork/internal/clock"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/store"
)

const trust = `{"Statement":{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"}}`

// script is a backend that answers what a test tells it to. Only what a
// publisher uses is there.
type script struct {
	store.Backend
	t testing.TB

	mu      sync.Mutex
	records []store.KV
	at      store.Revision
	fail    error
	changes chan store.Batch
}

func (b *script) Range(_ context.Context, _, after string, limit int, at store.Revision) (store.Page, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fail != nil {
		return store.Page{}, b.fail
	}
	page := store.Page{Revision: b.at}
	if at != 0 {
		page.Revision = at
	}
	for _, kv := range b.records {
		if kv.Key <= after {
			continue
		}
		if len(page.KVs) == limit {
			page.More = true
			break
		}
		page.KVs = append(page.KVs, kv)
	}
	return page, nil
}

func (b *script) Watch(context.Context, store.Revision) <-chan store.Batch {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.changes = make(chan store.Batch)
	return b.changes
}

// become makes the store hold these roles, at a revision.
func (b *script) become(at store.Revision, fail error, roles ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.at, b.fail, b.records = at, fail, nil
	for _, name := range roles {
		b.records = append(b.records, roleKV(b.t, name))
	}
}

func roleKV(t testing.TB, name string) store.KV {
	t.Helper()
	return store.KV{Key: model.Roles.Key(model.IAMKey(account, name)), Value: encode(t, &model.Role{Meta: iamMeta("role", name), Trust: trust})}
}

// encode is the stored form of a record.
func encode(t testing.TB, record any) []byte {
	t.Helper()
	value, err := json.Marshal(record)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func has(s *Snapshot, role string) bool {
	_, ok := s.EntityByARN(iamMeta("role", role).ARN)
	return ok
}

func TestPublisherSurvivesTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &script{t: t, fail: store.ErrUnavailable}
		p := NewPublisher(Config{Backend: b, Settings: settings, OpenSecret: opener, Clock: clock.System, Log: slog.New(slog.DiscardHandler)})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- p.Run(ctx) }()

		started := clock.System()
		short, cancel := context.WithTimeout(ctx, 3*retryDelay) // In a bubble this takes no time.
		if err := p.WaitFor(short, 1); !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("waiting for what does not come: %v", err)
		}
		cancel()
		if p.Current() != nil || !p.BrokenSince().Equal(started) {
			t.Errorf("before the store was there: %v, broken since %s, want %s", p.Current(), p.BrokenSince(), started)
		}

		b.become(5, nil, "a", "b")
		if err := p.WaitFor(ctx, 5); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		first := p.Current()
		if !p.BrokenSince().IsZero() || first.Revision() != 5 || !has(first, "a") || !has(first, "b") {
			t.Errorf("with the store: broken since %s, revision %d", p.BrokenSince(), first.Revision())
		}

		// What comes together is published together.
		b.changes <- store.Batch{Revision: 6, Events: []store.Event{{Key: model.Roles.Key(model.IAMKey(account, "a"))}}}
		b.changes <- store.Batch{Revision: 7, Events: []store.Event{{Key: "family/unknown", Value: []byte("?")}}}
		if err := p.WaitFor(ctx, 7); err != nil {
			t.Fatal(err)
		}
		if s := p.Current(); s.Revision() != 7 || has(s, "a") || !has(s, "b") || len(s.Problems()) != 0 {
			t.Errorf("after a deletion: revision %d, problems %v", s.Revision(), s.Problems())
		}

		// The stream breaks: the last snapshot stays until everything was read anew,
		// also what was deleted meanwhile.
		last, changed := p.Changed()
		b.become(0, store.ErrUnavailable)
		close(b.changes)
		synctest.Wait()
		if p.Current() != last || p.BrokenSince().IsZero() {
			t.Error("the last snapshot does not stay in force, or nothing says that it is old")
		}
		b.become(9, nil, "c")
		<-changed
		synctest.Wait()
		if s := p.Current(); s.Revision() != 9 || has(s, "b") || !has(s, "c") || s.Counts()["entity"] != 1 {
			t.Errorf("after everything was read anew: %v at revision %d", s.Counts(), s.Revision())
		}
		if !has(last, "b") {
			t.Error("a published snapshot has changed")
		}

		stop()
		close(b.changes)
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run ended with %v", err)
		}
	})
}

// TestFollow: a follower sees every snapshot before it is in force, also the first one
// if it comes late.
func TestFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &script{t: t}
		b.become(5, nil, "a")
		p := NewPublisher(Config{Backend: b, Settings: settings, OpenSecret: opener, Clock: clock.System, Log: slog.New(slog.DiscardHandler)})
		type seen struct{ revision, inForce store.Revision }
		var early, late []seen
		follow := func(to *[]seen) {
			p.Follow(func(s *Snapshot) {
				now := seen{revision: s.Revision()}
				if c := p.Current(); c != nil {
					now.inForce = c.Revision()
				}
				*to = append(*to, now)
			})
		}
		follow(&early)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- p.Run(ctx) }()
		if err := p.WaitFor(ctx, 5); err != nil {
			t.Fatal(err)
		}
		follow(&late)
		synctest.Wait()
		b.changes <- store.Batch{Revision: 6, Events: []store.Event{{Key: model.Roles.Key(model.IAMKey(account, "a"))}}}
		if err := p.WaitFor(ctx, 6); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]seen{{5, 0}, {6, 5}}, early, cmp.AllowUnexported(seen{})); diff != "" {
			t.Errorf("from the start (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]seen{{5, 5}, {6, 5}}, late, cmp.AllowUnexported(seen{})); diff != "" {
			t.Errorf("from later on (-want +got):\n%s", diff)
		}
		stop()
		close(b.changes)
		<-done
	})
}

// TestPublisherStopsWhileItWaits: nobody waits for a retry at the end.
func TestPublisherStopsWhileItWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPublisher(Config{Backend: &script{t: t, fail: store.ErrUnavailable}, OpenSecret: opener, Clock: clock.System, Log: slog.New(slog.DiscardHandler)})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- p.Run(ctx) }()
		synctest.Wait()
		before := clock.System()
		stop()
		if err := <-done; !errors.Is(err, context.Canceled) || !clock.System().Equal(before) {
			t.Errorf("Run ended with %v after %s", err, clock.System().Sub(before))
		}
	})
}

func TestPublisherReadsPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &script{t: t, at: 1}
		for i := range loadPage + 1 {
			b.records = append(b.records, roleKV(t, string([]rune{'a' + rune(i/1000), 'a' + rune(i/100%10), 'a' + rune(i/10%10), 'a' + rune(i%10)})))
		}
		p := NewPublisher(Config{Backend: b, Settings: settings, OpenSecret: opener, Clock: clock.System, Log: slog.New(slog.DiscardHandler)})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- p.Run(ctx) }()
		if err := p.WaitFor(ctx, 1); err != nil {
			t.Fatal(err)
		}
		if got := p.Current().Counts()["entity"]; got != loadPage+1 {
			t.Errorf("%d of %d records are there", got, loadPage+1)
		}
		synctest.Wait()
		stop()
		close(b.changes)
		<-done
	})
}
