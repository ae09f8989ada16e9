package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"sync/atomic"
)

// queueLength is how many entries may wait to be written; past it entries are
// dropped and counted, since a slow disk must not slow requests down.
const queueLength = 16384

// bufferSize is how many bytes of lines are written at once.
const bufferSize = 64 << 10

// Writer writes entries as JSON lines, in a goroutine of its own.
type Writer struct {
	name    string
	queue   chan any
	out     io.Writer
	log     *slog.Logger
	dropped atomic.Int64
}

// NewWriter makes a Writer to out of the log called name; Run makes it work. A nil
// out makes a Writer that takes entries and writes nothing.
func NewWriter(name string, out io.Writer, log *slog.Logger) *Writer {
	return &Writer{name: name, queue: make(chan any, queueLength), out: out, log: log}
}

// Access queues an entry of the data plane. The entry belongs to the Writer from
// here on.
func (w *Writer) Access(e *AccessEntry) { w.put(e) }

// Call queues an entry of the control plane.
func (w *Writer) Call(e *CallEntry) { w.put(e) }

// Stream queues an event of the stream of an Envoy.
func (w *Writer) Stream(e *StreamEntry) { w.put(e) }

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
	lines := &lines{w: w}
	encoder := json.NewEncoder(&lines.buffer)
	encoder.SetEscapeHTML(false)
	write := func(e any) {
		if access, ok := e.(*AccessEntry); ok {
			access.fill()
		}
		if err := encoder.Encode(e); err != nil {
			w.dropped.Add(1)
			w.log.Warn("an entry cannot be written", "log", w.name, "error", err)
		}
		if lines.buffer.Len() >= bufferSize {
			lines.flush()
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
			lines.flush()
		case <-ctx.Done():
			for {
				select {
				case e := <-w.queue:
					write(e)
				default:
					lines.flush()
					return ctx.Err()
				}
			}
		}
	}
}

// lines are the entries that are ready to be written.
type lines struct {
	w      *Writer
	buffer bytes.Buffer
	// failing tells that the last writing failed, torn that it left a part of a line.
	failing, torn bool
}

// flush writes the lines. Those that cannot be written are lost and counted; the
// next ones are tried anew, since a disk that was full may have room again.
func (l *lines) flush() {
	rest := l.buffer.Bytes()
	if len(rest) == 0 {
		return
	}
	defer l.buffer.Reset()
	var err error
	if l.torn {
		_, err = io.WriteString(l.w.out, "\n")
		l.torn = err != nil
	}
	if err == nil {
		var n int
		n, err = l.w.out.Write(rest)
		l.torn = n > 0 && rest[n-1] != '\n'
		rest = rest[n:]
	}
	lost := bytes.Count(rest, []byte{'\n'})
	l.w.dropped.Add(int64(lost))
	switch {
	case err != nil && !l.failing:
		l.w.log.Warn("a log cannot be written; its entries are lost until it can", "log", l.w.name, "lost", lost, "error", err)
	case err == nil && l.failing:
		l.w.log.Warn("a log can be written again", "log", l.w.name, "lost", l.w.Dropped())
	}
	l.failing = err != nil
}
