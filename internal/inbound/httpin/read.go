package httpin

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"

	"golang.org/x/net/http/httpguts"

	"github.com/latchwork/latchwork/internal/inbound"
)

// Read reads a request of HTTP/1.1 that somebody has kept in a file, as a server would
// have received it: the request line, headers, an empty line, and the body. Lines may
// end with LF alone. A request line that ends with HTTP/2, as tools write down what
// was sent over it, is read as one of HTTP/2. Without a Content-Length the body is all
// that follows.
func Read(text []byte) (in *inbound.Request, body []byte, err error) {
	line, rest, _ := bytes.Cut(text, []byte("\n"))
	line = bytes.TrimSuffix(line, []byte("\r"))
	if bytes.HasSuffix(line, []byte(" HTTP/2")) {
		line = append(bytes.Clone(line), ".0"...)
	}
	input := bufio.NewReader(io.MultiReader(bytes.NewReader(line), bytes.NewReader([]byte("\n")), bytes.NewReader(rest)))
	r, err := http.ReadRequest(input)
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return nil, nil, errors.New("the request ends before the empty line behind its headers")
	}
	if err != nil {
		return nil, nil, err
	}
	if in, err = Request(r); err != nil {
		return nil, nil, err
	}
	if err := check(r); err != nil {
		return nil, nil, err
	}
	if r.ContentLength == 0 && r.Header.Get("Content-Length") == "" {
		body, err = io.ReadAll(input)
		return in, body, err
	}
	if body, err = io.ReadAll(r.Body); err != nil {
		return nil, nil, fmt.Errorf("the body ends too early, after %d bytes: %w", len(body), err)
	}
	return in, body, nil
}

// check refuses what the server of net/http does, and its parser does not.
func check(r *http.Request) error {
	switch {
	case r.Host == "":
		return errors.New("the request has no host header")
	case !httpguts.ValidHostHeader(r.Host):
		return fmt.Errorf("the host header %q is not valid", r.Host)
	}
	for name := range r.Header {
		if !httpguts.ValidHeaderFieldName(name) {
			return fmt.Errorf("%q is no name of a header", name)
		}
	}
	return nil
}
