package inbound

import (
	"fmt"
	"strings"
)

// CheckPath refuses a raw path that two readers could understand differently: dot
// segments, plain or escaped, empty segments, backslashes, zero bytes, bad escapes
// and control characters. Every other escape stays as it is, %2F too: nothing is
// cleaned, so that what is signed, matched, routed and forwarded is the same.
func CheckPath(path string) error {
	if !strings.HasPrefix(path, "/") {
		return fmt.Errorf("the request path must begin with a slash")
	}
	for i := 0; i < len(path); i++ {
		switch c := path[i]; {
		case c <= ' ' || c == 0x7f || c == '#':
			return fmt.Errorf("the request path holds a control character, a space or a # at byte %d", i)
		case c == '\\':
			return fmt.Errorf("the request path holds a backslash at byte %d", i)
		case c == '%':
			if i+2 >= len(path) || !isHex(path[i+1]) || !isHex(path[i+2]) {
				return fmt.Errorf("the request path holds a bad percent escape at byte %d", i)
			}
			if b := unhex(path[i+1])<<4 | unhex(path[i+2]); b == 0 || b == '\\' {
				return fmt.Errorf("the request path holds the escape %s at byte %d, which is not allowed", path[i:i+3], i)
			}
			i += 2
		}
	}
	segments := strings.Split(path[1:], "/")
	for i, segment := range segments {
		if segment == "" && i < len(segments)-1 {
			return fmt.Errorf("the request path holds two slashes in a row; percent-encode a slash inside an identifier as %%2F")
		}
		if dots := Unescape(segment); dots == "." || dots == ".." {
			return fmt.Errorf("the request path holds the segment %q", segment)
		}
	}
	return nil
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func unhex(c byte) byte {
	switch {
	case c >= 'a':
		return c - 'a' + 10
	case c >= 'A':
		return c - 'A' + 10
	default:
		return c - '0'
	}
}

// Unescape decodes the percent escapes of one segment of a path that CheckPath
// accepted.
func Unescape(segment string) string {
	if !strings.Contains(segment, "%") {
		return segment
	}
	var b strings.Builder
	b.Grow(len(segment))
	for i := 0; i < len(segment); i++ {
		if c := segment[i]; c == '%' {
			b.WriteByte(unhex(segment[i+1])<<4 | unhex(segment[i+2]))
			i += 2
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// Limits of the headers of a request to VPC Lattice's data plane.
// Source: VPC Lattice User Guide, "Access logs", response codes: 400.
const (
	MaxHeaderBytes = 60 << 10
	MaxHeaders     = 100
)

// CheckHeaders refuses headers that are too many or too large together.
func (r *Request) CheckHeaders() error {
	if len(r.Headers) > MaxHeaders {
		return fmt.Errorf("the request has %d headers, the most are %d", len(r.Headers), MaxHeaders)
	}
	total := 0
	for i := range r.Headers {
		total += len(r.Headers[i].Name) + len(r.Headers[i].Value) + len(": \r\n")
	}
	if total > MaxHeaderBytes {
		return fmt.Errorf("the request's headers have %d bytes, the most are %d", total, MaxHeaderBytes)
	}
	return nil
}
