package inbound

import (
	"fmt"
	"strings"
)

// CheckTarget refuses a raw request target that two readers could understand
// differently: CheckPath for its path, CheckQuery for what follows the first '?'.
func CheckTarget(target string) error {
	path, query, _ := strings.Cut(target, "?")
	if err := CheckPath(path); err != nil {
		return err
	}
	return CheckQuery(query)
}

// CheckPath refuses a raw path that two readers could understand differently. Every
// escape that it accepts stays as it is, %2F too: nothing is cleaned, so that what
// is signed, matched, routed and forwarded is the same. It allocates nothing for a
// path that it accepts.
//
//   - Dot segments, plain or escaped: some targets resolve them, so that
//     /public/../admin would be decided as one thing and served as another.
//   - Two slashes in a row: some targets merge them.
//   - Backslashes, plain or escaped: some targets take them for slashes.
//   - Zero bytes, escaped: some targets end the path there.
//   - Escapes that are none: they stay as they are, vanish or fail, as the target likes.
//   - Spaces and control characters: they end the request line or a line of a log.
//   - '#': what follows is not for the server at all; who sends it takes another
//     reader's view of where the path ends.
func CheckPath(path string) error {
	if !strings.HasPrefix(path, "/") {
		return fmt.Errorf("the request path must begin with a slash")
	}
	// The segment being read begins at start; so far it has that many dots, plain or
	// escaped, and other characters.
	start, dots, others := 1, 0, 0
	for i := 1; i < len(path); i++ {
		switch c := path[i]; {
		case c == '/':
			if dots+others == 0 {
				return fmt.Errorf("the request path holds two slashes in a row; percent-encode a slash inside an identifier as %%2F")
			}
			if others == 0 && dots <= 2 {
				return dotSegment(path[start:i])
			}
			start, dots, others = i+1, 0, 0
		case c == '.':
			dots++
		case noTarget(c):
			return fmt.Errorf("the request path holds a control character, a space or a # at byte %d", i)
		case c == '\\':
			return fmt.Errorf("the request path holds a backslash at byte %d", i)
		case c == '%':
			if i+2 >= len(path) || !IsHex(path[i+1]) || !IsHex(path[i+2]) {
				return fmt.Errorf("the request path holds a bad percent escape at byte %d", i)
			}
			switch Unhex(path[i+1])<<4 | Unhex(path[i+2]) {
			case 0, '\\':
				return fmt.Errorf("the request path holds the escape %s at byte %d, which is not allowed", path[i:i+3], i)
			case '.':
				dots++
			default:
				others++
			}
			i += 2
		default:
			others++
		}
	}
	if others == 0 && (dots == 1 || dots == 2) {
		return dotSegment(path[start:])
	}
	return nil
}

func dotSegment(segment string) error {
	return fmt.Errorf("the request path holds the segment %q", segment)
}

// noTarget tells whether a byte cannot be in a request target: over HTTP/1.1 a space
// or a line break would end it, so that a target which a client sent over HTTP/2
// would be read as something else when it is forwarded.
// Source: RFC 9112, 3.2; RFC 3986, 3.3 and 3.4.
func noTarget(c byte) bool { return c <= ' ' || c == 0x7f || c == '#' }

// CheckQuery refuses a raw query string that two readers could understand
// differently: one with bytes that no request target can hold, and one with escapes
// that are none, which a condition could not compare as the target reads them.
func CheckQuery(query string) error {
	if err := CheckQueryBytes(query); err != nil {
		return err
	}
	if i := BadEscape(query); i >= 0 {
		return fmt.Errorf("the query string holds a bad percent escape at byte %d", i)
	}
	return nil
}

// BadEscape is where a text has a '%' without two hexadecimal digits behind it, -1 if
// nowhere. What such a text means is anybody's guess.
func BadEscape(s string) int {
	for at := 0; ; {
		i := strings.IndexByte(s[at:], '%')
		if i < 0 {
			return -1
		}
		at += i
		if at+2 >= len(s) || !IsHex(s[at+1]) || !IsHex(s[at+2]) {
			return at
		}
		at += 3
	}
}

// CheckQueryBytes refuses a query string with bytes that no request target can hold.
func CheckQueryBytes(query string) error {
	for i := range len(query) {
		if noTarget(query[i]) {
			return fmt.Errorf("the query string holds a control character, a space or a # at byte %d", i)
		}
	}
	return nil
}

// IsHex tells whether a character is a hexadecimal digit.
func IsHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// Unhex is the value of a hexadecimal digit.
func Unhex(c byte) byte {
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
			b.WriteByte(Unhex(segment[i+1])<<4 | Unhex(segment[i+2]))
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
