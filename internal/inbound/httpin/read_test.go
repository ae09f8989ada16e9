package httpin

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/latchwork/latchwork/internal/inbound"
)

func TestRead(t *testing.T) {
	h := func(name, value string) inbound.Header { return inbound.Header{Name: name, Value: value} }
	for _, test := range []struct {
		name, text string
		want       *inbound.Request
		body       string
		err        string
	}{
		{
			name: "raw target, and headers several times", text: "GET /a%20b//c?b=%2f&&a=+ HTTP/1.1\r\nHost: A.example:80\r\nX-B: 2\r\nx-a:  a  b \r\nX-B: 1\r\n\r\n",
			want: &inbound.Request{Method: "GET", Target: "/a%20b//c?b=%2f&&a=+", Authority: "A.example:80", Major: 1, Headers: []inbound.Header{h("x-a", "a  b"), h("x-b", "2"), h("x-b", "1")}},
		},
		{
			name: "LF, and a body without a length", text: "POST / HTTP/1.1\nHost: a\n\n{\n}\r\n",
			want: &inbound.Request{Method: "POST", Target: "/", Authority: "a", Major: 1, Headers: []inbound.Header{}}, body: "{\n}\r\n",
		},
		{
			name: "a length, and a line break of the file behind the body", text: "POST / HTTP/1.1\nHost: a\nContent-Length: 2\n\n{}\n",
			want: &inbound.Request{Method: "POST", Target: "/", Authority: "a", Major: 1, Headers: []inbound.Header{h("content-length", "2")}}, body: "{}",
		},
		{
			name: "chunks", text: "POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n2\r\n{}\r\n0\r\n\r\n",
			want: &inbound.Request{Method: "POST", Target: "/", Authority: "a", Major: 1, Headers: []inbound.Header{}}, body: "{}",
		},
		{
			name: "HTTP/2", text: "GET / HTTP/2\nHost: a\n\n",
			want: &inbound.Request{Method: "GET", Target: "/", Authority: "a", Major: 2, Headers: []inbound.Header{}},
		},
		{
			name: "another scheme's target", text: "GET http://a/b?c HTTP/1.1\nHost: a\n\n",
			want: &inbound.Request{Method: "GET", Target: "/b?c", Authority: "a", Major: 1, Headers: []inbound.Header{}},
		},
		{name: "empty", err: "malformed"},
		{name: "no empty line", text: "GET / HTTP/1.1\nHost: a\n", err: "ends before"},
		{name: "no host", text: "GET / HTTP/1.1\nA: a\n\n", err: "no host"},
		{name: "two hosts", text: "GET / HTTP/1.1\nHost: a\nHost: b\n\n", err: "too many Host"},
		{name: "a short body", text: "POST / HTTP/1.1\nHost: a\nContent-Length: 3\n\n{}", err: "after 2 bytes"},
		{name: "no version", text: "GET /\nHost: a\n\n", err: "malformed"},
		{name: "no name of a header", text: "GET / HTTP/1.1\nHost: a\nX Y: a\n\n", err: "no name of a header"},
		{name: "a control character", text: "GET / HTTP/1.1\nHost: a\nX: \x01a\n\n", err: "malformed"},
		{name: "no name of a host", text: "GET / HTTP/1.1\nHost: a b\n\n", err: "not valid"},
		{name: "curl's output", text: "> GET / HTTP/1.1\n> Host: a\n>\n", err: "invalid method"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, body, err := Read([]byte(test.text))
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Errorf("error %v, want %q", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got, cmpopts.EquateComparable(netip.AddrPort{})); diff != "" || string(body) != test.body {
				t.Errorf("body %q, request (-want +got):\n%s", body, diff)
			}
		})
	}
}

// FuzzRead: it never panics, and what it reads was in the text.
func FuzzRead(f *testing.F) {
	f.Add([]byte("POST /a?b HTTP/1.1\r\nHost: a\r\nX-A: b\r\n\r\nbody"))
	f.Add([]byte("POST /a?b HTTP/2\nHost: a\nTransfer-Encoding: chunked\n\n2\n{}\n0\n\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		in, body, err := Read(text)
		if err != nil {
			return
		}
		if !bytes.Contains(text, []byte(in.Method)) || in.Target != "/" && !bytes.Contains(text, []byte(strings.TrimPrefix(in.Target, "/"))) ||
			!bytes.Contains(text, []byte(in.Authority)) || len(body) > len(text) {
			t.Errorf("read %+v", in)
		}
		for _, h := range in.Headers {
			if !strings.Contains(strings.ToLower(string(text)), h.Name) {
				t.Errorf("there is no header %q in it", h.Name)
			}
		}
	})
}
