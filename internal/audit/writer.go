package audit

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
)

// queueLength is how many entries may wait to be written; past it entries are
// dropped and counted, since a slow disk must not slow requests down.
const queueLength = 16384

// Writer writes entries as JSON lines, in a goroutine of its own.
type Writer struct {
	queue   chan any
	out     io.Writer
	log     *slog.Logger
	dropped atomic.Int64
}

// NewWriter makes a Writer to out; Run makes it work. A nil out makes a Writer
// that takes entries and writes nothing.
func NewWriter(out io.Writer, log *slog.Logger) *Writer {
	return &Writer{queue: make(chan any, queueLength), out: out, log: log}
}

// Access queues an entry of the data plane. The entry belongs to the Writer from
// here on.
func (w *Writer) Access(e *AccessEntry) { w.put(e) }

// Call queues an entry of the control plane.
func (w *Writer) Call(e *CallEntry) { w.put(e) }

func (w *Writer) put(e any) {
	if w.out == nil {
		return
	}
	select {
	case w.queue <- e:
	default:
		w.dropped.Add(1)
	}
}

// Dropped counts the entries that were lost because the queue was full or the
// writing failed.
func (w *Writer) Dropped() int64 { return w.dropped.Load() }

// Run writes entries until ctx ends, and then what is still queued.
func (w *Writer) Run(ctx context.Context) error {
	if w.out == nil {
		<-ctx.Done()
		return ctx.Err()
	}
	buffer := bufio.NewWriterSize(w.out, 64<<10)
	encoder := json.NewEncoder(buffer)
	encoder.SetEscapeHTML(false)
	write := func(e any) {
		if access, ok := e.(*AccessEntry); ok {
			access.fill()
		}
		if err := encoder.Encode(e); err != nil {
			w.fail(err)
		}
	}
	flush := func() {
		if err := buffer.Flush(); err != nil {
			w.fail(err)
			buffer.Reset(w.out) // a bufio.Writer keeps its error
		}
	}
	for {
		select {
		case e := <-w.queue:
			write(e)
			// Write what is there in one go, and never leave an entry waiting for
			// the next.
			for more := true; more; {
				select {
				case e := <-w.queue:
					write(e)
				default:
					more = false
				}
			}
			flush()
		case <-ctx.Done():
			for {
				select {
				case e := <-w.queue:
					write(e)
				default:
					flush()
					return ctx.Err()
				}
			}
		}
	}
}

func (w *Writer) fail(err error) {
	if w.dropped.Add(1) == 1 {
		w.log.Warn("an entry of the access log could not be written", "error", fmt.Errorf("access log: %w", err))
	}
}
