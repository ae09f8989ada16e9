package snapshot

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/latchwork/latchwork/internal/clock"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/store"
)

// Publisher follows the store and keeps the current Snapshot.
type Publisher struct {
	backend store.Backend
	builder *builder
	clock   clock.Clock
	log     *slog.Logger

	current atomic.Pointer[published]
	// broken is since when the stream of changes does not work, in Unix
	// nanoseconds; 0 while it works.
	broken atomic.Int64

	// following guards followers, and the change from one snapshot to the next.
	following sync.Mutex
	followers []func(*Snapshot)
}

// published is a snapshot with the signal that there is a newer one.
type published struct {
	snapshot *Snapshot
	replaced chan struct{}
}

// Config says what a Publisher needs.
type Config struct {
	Backend  store.Backend
	Settings Settings
	// OpenSecret decrypts a stored secret access key.
	OpenSecret func(*model.AccessKey) ([]byte, error)
	Clock      clock.Clock
	Log        *slog.Logger
}

// NewPublisher makes a Publisher; Run makes it work.
func NewPublisher(c Config) *Publisher {
	p := &Publisher{backend: c.Backend, clock: c.Clock, log: c.Log}
	settings := c.Settings
	p.builder = newBuilder(&settings, c.OpenSecret)
	p.current.Store(&published{replaced: make(chan struct{})})
	return p
}

// Current is the snapshot in force; nil before the first was published.
func (p *Publisher) Current() *Snapshot { return p.current.Load().snapshot }

// Changed gives the snapshot in force and a channel that is closed when there is
// a newer one.
func (p *Publisher) Changed() (*Snapshot, <-chan struct{}) {
	c := p.current.Load()
	return c.snapshot, c.replaced
}

// Follow calls f with the snapshot in force, if there is one, and from then on with
// every new one before it comes into force. So what f does has been done when WaitFor
// returns. Everybody waits for f, and f must not wait for the Publisher.
func (p *Publisher) Follow(f func(*Snapshot)) {
	p.following.Lock()
	defer p.following.Unlock()
	if snap := p.Current(); snap != nil {
		f(snap)
	}
	p.followers = append(p.followers, f)
}

// BrokenSince is when the stream of changes broke; the zero time while it works.
// The last snapshot stays in force meanwhile.
func (p *Publisher) BrokenSince() time.Time {
	if at := p.broken.Load(); at != 0 {
		return time.Unix(0, at)
	}
	return time.Time{}
}

// WaitFor returns when a snapshot of revision, or a newer one, is in force.
func (p *Publisher) WaitFor(ctx context.Context, revision store.Revision) error {
	for {
		snap, changed := p.Changed()
		if snap != nil && snap.revision >= revision {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%w: revision %d was stored and is not in force yet: %w", store.ErrUnavailable, revision, ctx.Err())
		}
	}
}

// retryDelay is how long the publisher waits before it reads everything anew
// after the stream of changes broke.
const retryDelay = 500 * time.Millisecond

// Run follows the store until ctx ends. When the stream of changes breaks, the
// last snapshot stays in force and everything is read anew.
func (p *Publisher) Run(ctx context.Context) error {
	for {
		err := p.follow(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		p.broken.CompareAndSwap(0, p.clock().UnixNano())
		p.log.Warn("the store cannot be followed; the last snapshot stays in force", "error", err)
		timer := time.NewTimer(retryDelay)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}

// loadPage is how many records are read at once at the start.
const loadPage = 2000

func (p *Publisher) follow(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var events []store.Event
	after := ""
	var at store.Revision
	for {
		page, err := p.backend.Range(ctx, "", after, loadPage, at)
		if err != nil {
			return err
		}
		at = page.Revision
		for _, kv := range page.KVs {
			events = append(events, store.Event(kv))
			after = kv.Key
		}
		if !page.More {
			break
		}
	}
	changes := p.backend.Watch(ctx, at)
	p.builder.st.reset()
	for _, e := range events {
		p.builder.st.apply(e)
	}
	p.publish(at)
	p.broken.Store(0)
	for batch := range changes {
		revision := p.take(batch)
		// What has come in meanwhile belongs to the same snapshot; nothing is
		// waited for.
		for more := true; more; {
			select {
			case next, ok := <-changes:
				if ok {
					revision = p.take(next)
				}
				more = ok
			default:
				more = false
			}
		}
		p.publish(revision)
	}
	return fmt.Errorf("the stream of changes ended")
}

func (p *Publisher) take(batch store.Batch) store.Revision {
	for _, e := range batch.Events {
		p.builder.st.apply(e)
	}
	return batch.Revision
}

func (p *Publisher) publish(revision store.Revision) {
	before := p.current.Load()
	next := p.builder.build(before.snapshot, revision, p.clock())
	for _, problem := range next.Problems() {
		if before.snapshot == nil || before.snapshot.problems[problem.Record] == nil {
			p.log.Warn("a record cannot be compiled; what depends on it is denied", "record", problem.Record, "error", problem.Err)
		}
	}
	p.following.Lock()
	for _, f := range p.followers {
		f(next)
	}
	p.current.Store(&published{snapshot: next, replaced: make(chan struct{})})
	p.following.Unlock()
	close(before.replaced)
}
