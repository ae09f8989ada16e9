package gateway

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestStalls: an exchange ends when nothing moves for the idle time, whoever is to
// blame, and one in which something moves goes on.
func TestStalls(t *testing.T) {
	const idle = 400 * time.Millisecond
	// ended gets a value for every request that the target sees the end of.
	ended := make(chan struct{}, 16)
	chunk := bytes.Repeat([]byte("x"), 64<<10)
	w := newWorld(t, `{"Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"},{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*/denied"}]}`,
		func(w http.ResponseWriter, r *http.Request) {
			defer func() { ended <- struct{}{} }()
			_, _ = io.Copy(io.Discard, r.Body)
			switch r.URL.Path {
			case "/silent":
				<-r.Context().Done()
			case "/begins":
				_, _ = w.Write([]byte("begins"))
				_ = http.NewResponseController(w).Flush()
				<-r.Context().Done()
			case "/endless":
				for r.Context().Err() == nil {
					if _, err := w.Write(chunk); err != nil {
						return
					}
				}
			}
		}, func(g *Gateway) { g.idle, g.sockets.idle = idle, idle })
	wait := func(t *testing.T) {
		t.Helper()
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			t.Fatal("the target is held")
		}
	}
	const head = " HTTP/1.1\r\nHost: svc.test\r\n"
	for _, test := range []struct {
		name, raw string
		want      int
		reached   bool
	}{
		{"an upload", "POST /upload" + head + "Content-Length: 100\r\n\r\nx", 408, true},
		{"a target without an answer", "GET /silent" + head + "\r\n", 504, true},
		{"a target without an answer to an upload", "POST /silent" + head + "Content-Length: 1\r\n\r\nx", 504, true},
		{"an upload that is denied", "POST /denied" + head + "Content-Length: 100\r\n\r\nx", 403, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			answer, _ := w.send(t, test.raw)
			if answer.StatusCode != test.want {
				t.Errorf("%s, want %d", answer.Status, test.want)
			}
			if test.reached {
				wait(t)
			}
		})
	}
	t.Run("a target in the middle of its answer", func(t *testing.T) {
		text, err := io.ReadAll(w.dial(t, "GET /begins"+head+"\r\n"))
		if err != nil || !strings.Contains(string(text), "begins") || strings.HasSuffix(string(text), "0\r\n\r\n") {
			t.Errorf("%q, %v; want an answer that breaks off", text, err)
		}
		wait(t)
	})
	t.Run("a client that takes nothing", func(t *testing.T) {
		w.dial(t, "GET /endless"+head+"\r\n")
		wait(t)
	})
	t.Run("an upload that moves", func(t *testing.T) {
		conn := w.dial(t, "POST /upload"+head+"Content-Length: 16\r\n\r\n")
		pace := time.NewTicker(idle / 8)
		defer pace.Stop()
		for range 16 {
			<-pace.C
			if _, err := conn.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
		}
		var answer [12]byte
		if _, err := io.ReadFull(conn, answer[:]); err != nil || string(answer[:]) != "HTTP/1.1 200" {
			t.Errorf("%q, %v", answer, err)
		}
		wait(t)
	})

	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	client := &http.Client{Transport: &http.Transport{Protocols: protocols}}
	t.Cleanup(client.CloseIdleConnections)
	do := func(t *testing.T, method, path string, body io.Reader) *http.Response {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		t.Cleanup(cancel)
		r, err := http.NewRequestWithContext(ctx, method, "http://"+w.addr+path, body)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = "svc.test"
		answer, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { answer.Body.Close() })
		return answer
	}
	t.Run("HTTP/2 upload", func(t *testing.T) {
		body, upload := io.Pipe()
		defer upload.Close()
		if answer := do(t, "POST", "/upload", body); answer.StatusCode != 408 || answer.ProtoMajor != 2 {
			t.Errorf("%s %s", answer.Proto, answer.Status)
		}
		wait(t)
	})
	t.Run("HTTP/2 target in the middle of its answer", func(t *testing.T) {
		if text, err := io.ReadAll(do(t, "GET", "/begins", nil).Body); err == nil {
			t.Errorf("%q; want an answer that breaks off", text)
		}
		wait(t)
	})
	t.Run("HTTP/2 client that takes nothing", func(t *testing.T) {
		do(t, "GET", "/endless", nil)
		wait(t)
	})
}
