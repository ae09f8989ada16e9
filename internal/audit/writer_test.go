package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
)

// disk is full for the first writes, and takes room bytes after them.
type disk struct {
	bytes.Buffer
	full, room int
}

func (d *disk) Write(p []byte) (int, error) {
	n := min(len(p), d.room)
	if d.full > 0 {
		d.full--
		n = 0
	}
	d.room -= n
	d.Buffer.Write(p[:n])
	if n < len(p) {
		return n, errors.New("no space left on device")
	}
	return n, nil
}

func TestWriterRecovers(t *testing.T) {
	const many = 200
	var warnings bytes.Buffer
	d := &disk{}
	w := NewWriter("audit log", d, slog.New(slog.NewTextHandler(&warnings, nil)))
	lines := &lines{w: w}
	put := func(n int) {
		for range n {
			lines.buffer.WriteString(`{"requestId":"` + strings.Repeat("x", 1000) + "\"}\n")
		}
		lines.flush()
	}
	put(many)
	put(many)
	if got := w.Dropped(); got != 2*many {
		t.Errorf("%d entries were lost on a full disk, want %d", got, 2*many)
	}
	if text := warnings.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, `log="audit log"`) || !strings.Contains(text, "no space left") {
		t.Errorf("warnings of a full disk:\n%s", text)
	}
	// Room for two lines and a half.
	d.room = 2500
	put(4)
	if got := w.Dropped(); got != 2*many+2 {
		t.Errorf("%d entries were lost, want 2 more than %d", got, 2*many)
	}
	d.room = 1 << 20
	put(3)
	if got := w.Dropped(); got != 2*many+2 {
		t.Errorf("%d entries were lost; the last ones had room", got)
	}
	if !strings.Contains(warnings.String(), "again") {
		t.Errorf("nobody is told that the disk has room again:\n%s", warnings.String())
	}
	whole, torn := 0, 0
	for line := range strings.Lines(d.String()) {
		if json.Valid([]byte(line)) {
			whole++
		} else {
			torn++
		}
	}
	if whole != 5 || torn != 1 {
		t.Errorf("%d whole lines and %d torn ones, want 5 and 1", whole, torn)
	}
}

func TestWriterRunsOn(t *testing.T) {
	d := &disk{full: 2, room: 1 << 20}
	w := NewWriter("access log", d, slog.New(slog.DiscardHandler))
	const many = 300
	for range many {
		w.Access(&AccessEntry{RequestPath: "/" + strings.Repeat("x", 1000)})
	}
	w.Access(&AccessEntry{RequestPath: "/a<b"})
	w.Call(&CallEntry{Operation: "ListServices"})
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := w.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("the writer ended with %v", err)
	}
	written, lost := strings.Count(d.String(), "\n"), int(w.Dropped())
	if lost == 0 || lost >= many || written+lost != many+2 {
		t.Errorf("%d entries were written and %d lost of %d", written, lost, many+2)
	}
	if !strings.Contains(d.String(), `"requestPath":"/a<b"`) || !strings.Contains(d.String(), `"userAgent":"-"`) {
		t.Error("the entries after the disk had room again are not written")
	}
}
