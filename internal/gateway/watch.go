package gateway

import (
	"context"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/latchwork/latchwork/internal/clock"
)

// watch ends the forwarding of a request when nothing has moved in either direction
// for as long as a connection may be idle: else a client or target that stalls would
// hold the exchange for ever. A connection whose client takes nothing is ended by
// its own writes, see peekedConn.
type watch struct {
	control *http.ResponseController
	idle    time.Duration
	cancel  context.CancelFunc

	// moved is when something was last read from the client or written to it, in Unix
	// nanoseconds; waits counts the reads and writes that are under way.
	moved atomic.Int64
	waits atomic.Int64
	// answering is true from the first byte of the target's answer: then there is
	// nothing else to say to the client any more.
	answering atomic.Bool

	mu      sync.Mutex
	timer   *time.Timer
	over    bool
	expired stalled
}

// stalled says who has kept an exchange waiting for too long.
type stalled int

const (
	nobody stalled = iota
	theClient
	theTarget
)

// watched starts a watch; cancel ends what is going on with the target.
func watched(w *responseWriter, idle time.Duration, cancel context.CancelFunc) *watch {
	v := &watch{control: http.NewResponseController(w.ResponseWriter), idle: idle, cancel: cancel}
	v.moved.Store(clock.System().UnixNano())
	v.mu.Lock()
	defer v.mu.Unlock()
	v.timer = time.AfterFunc(idle, v.check)
	return v
}

// check is run by the timer.
func (v *watch) check() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.over {
		return
	}
	now := clock.System()
	if left := v.idle - now.Sub(time.Unix(0, v.moved.Load())); left > 0 {
		v.timer.Reset(left)
		return
	}
	v.expired = theTarget
	if v.waits.Load() > 0 {
		v.expired = theClient
		past := now.Add(-time.Second)
		_ = v.control.SetReadDeadline(past)
		if v.answering.Load() {
			_ = v.control.SetWriteDeadline(past)
		}
	}
	v.cancel()
}

// stop ends the watch and tells whom it has caught. It must be called before the
// handler returns: a ResponseController may not be used after that.
func (v *watch) stop() stalled {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.over = true
	v.timer.Stop()
	return v.expired
}

// during does one read from the client or write to it. A nil watch only does it.
func (v *watch) during(do func() (int, error)) (int, error) {
	if v == nil {
		return do()
	}
	v.waits.Add(1)
	n, err := do()
	v.waits.Add(-1)
	if err == nil || n > 0 {
		v.moved.Store(clock.System().UnixNano())
	}
	return n, err
}

// watchedBody is the body of a request that is being forwarded. The transport may
// read it after the exchange has ended.
type watchedBody struct {
	io.ReadCloser
	watch    *watch
	received *atomic.Int64
}

func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.watch.during(func() (int, error) { return b.ReadCloser.Read(p) })
	b.received.Add(int64(n))
	return n, err
}
