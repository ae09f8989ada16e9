package sigv4

import (
	"slices"
	"strings"

	"github.com/latchwork/latchwork/internal/inbound"
)

// pathForm is a way to write the path in the canonical request.
type pathForm uint8

const (
	skipForm pathForm = iota
	// normalDouble takes dots and double slashes out and encodes what is there
	// once more: what every service but S3 does.
	normalDouble
	// rawSingle is the path as it is on the wire, as S3's signers and curl do.
	rawSingle
)

// pathForms lists the forms that are tried. On the data plane signers differ: AWS's
// own samples use both. The second is not tried where the path has "%25", because
// there the form of one path is the other form of another, and two paths would
// share a signature. Only spellings of the same path still do: "/a:b", "/a%3Ab".
func pathForms(path string, dataPlane bool) [2]pathForm {
	if !dataPlane || plain(path) || strings.Contains(path, "%25") {
		return [2]pathForm{normalDouble}
	}
	return [2]pathForm{normalDouble, rawSingle}
}

// plain tells whether a path is the same in both forms: nothing in it is encoded, and
// it has no empty segments nor dots.
func plain(path string) bool {
	last := byte(0)
	for i := range len(path) {
		c := path[i]
		if !unreserved(c) && c != '/' || last == '/' && (c == '/' || c == '.') {
			return false
		}
		last = c
	}
	return true
}

// hostForms lists the values of the host header that are tried: as received, and
// without the port of a gRPC request where it is the scheme's own, since gRPC
// clients send ":443" and the signers they use leave it out. In a stream any port is
// left out, or ":443" added: Envoys sign the name that they were told, and what is
// between may have changed the port.
// Source: VPC Lattice User Guide, "SIGv4 authenticated requests", Go gRPC sample;
// Envoy 1.36 to 1.40, tried.
func hostForms(r *inbound.Request, want Expect) [3]string {
	forms := [3]string{r.Authority}
	if want.Stream {
		host := withoutPort(r.Authority)
		if host != r.Authority {
			forms[1] = host
		}
		if port := host + ":443"; port != r.Authority {
			forms[2] = port
		}
		return forms
	}
	if !want.DataPlane || r.Major != 2 {
		return forms
	}
	port := ":80"
	if r.TLS != nil {
		port = ":443"
	}
	if host, ok := strings.CutSuffix(r.Authority, port); ok {
		forms[1] = host
	}
	return forms
}

func withoutPort(host string) string {
	if i := strings.LastIndexByte(host, ':'); i > 0 && !strings.HasSuffix(host, "]") {
		return host[:i]
	}
	return host
}

// canonical writes the canonical request into x.buf, with the query that sortQuery was
// given.
func (x *scratch) canonical(r *inbound.Request, s *Signature, form pathForm, host, payload string) {
	b := append(x.buf[:0], r.Method...)
	b = append(b, '\n')
	b = appendPath(b, r.Path(), form)
	b = append(b, '\n')
	b = x.appendQuery(b)
	b = append(b, '\n')
	for _, name := range s.SignedHeaders {
		b = append(b, name...)
		b = append(b, ':')
		if name == "host" {
			b = appendValue(b, host)
		} else {
			first := true
			for i := range r.Headers {
				if r.Headers[i].Name != name {
					continue
				}
				if !first {
					b = append(b, ',')
				}
				first = false
				b = appendValue(b, r.Headers[i].Value)
			}
		}
		b = append(b, '\n')
	}
	b = append(b, '\n')
	b = append(b, s.signedList...)
	b = append(b, '\n')
	x.buf = append(b, payload...)
}

// appendValue writes a header's value: trimmed, runs of spaces and tabs as one
// space.
func appendValue(b []byte, value string) []byte {
	value = trim(value)
	if strings.IndexByte(value, '\t') < 0 && (strings.IndexByte(value, ' ') < 0 || !strings.Contains(value, "  ")) {
		return append(b, value...)
	}
	space := false
	for i := range len(value) {
		if value[i] == ' ' || value[i] == '\t' {
			space = true
			continue
		}
		if space {
			b = append(b, ' ')
			space = false
		}
		b = append(b, value[i])
	}
	return b
}

func appendPath(b []byte, path string, form pathForm) []byte {
	if path == "" {
		path = "/"
	}
	if form == rawSingle || plain(path) {
		return append(b, path...)
	}
	if !normal(path) {
		path = normalize(path)
	}
	return appendEncoded(b, path, true)
}

// normal tells whether a path has no empty segments and no dots.
func normal(path string) bool {
	if strings.Contains(path, "//") {
		return false
	}
	for rest := path; ; {
		i := strings.Index(rest, "/.")
		if i < 0 {
			return true
		}
		rest = rest[i+2:]
		if rest == "" || rest[0] == '/' || rest[0] == '.' && (len(rest) == 1 || rest[1] == '/') {
			return false
		}
	}
}

// normalize resolves dots and drops empty segments.
func normalize(path string) string {
	var kept []string
	for _, segment := range strings.Split(path, "/") {
		switch segment {
		case "", ".":
		case "..":
			if len(kept) > 0 {
				kept = kept[:len(kept)-1]
			}
		default:
			kept = append(kept, segment)
		}
	}
	out := "/" + strings.Join(kept, "/")
	if len(kept) > 0 && (strings.HasSuffix(path, "/") || strings.HasSuffix(path, "/.") || strings.HasSuffix(path, "/..")) {
		out += "/"
	}
	return out
}

func unreserved(c byte) bool { return isUnreserved[c] }

var isUnreserved = func() (is [256]bool) {
	for _, c := range []byte("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~") {
		is[c] = true
	}
	return is
}()

const upperHex = "0123456789ABCDEF"

func appendEncoded(b []byte, s string, slash bool) []byte {
	for i := range len(s) {
		c := s[i]
		if unreserved(c) || slash && c == '/' {
			b = append(b, c)
		} else {
			b = append(b, '%', upperHex[c>>4], upperHex[c&15])
		}
	}
	return b
}

// pair is one query parameter, encoded.
type pair struct{ name, value string }

// sortQuery makes x.kv the canonical query: decoded, encoded anew, sorted by name and
// then by value. A ';' is no separator, '+' is a space, and a name alone has an empty
// value. It is the dearest part of a long query, so it is done once for all forms of
// the rest.
func (x *scratch) sortQuery(query string, presigned bool) {
	x.kv = x.kv[:0]
	for rest := query; rest != ""; {
		var part string
		part, rest, _ = cut(rest, '&')
		if part == "" {
			continue
		}
		name, value, _ := cut(part, '=')
		if presigned && name == presignParams[paramSignature] {
			continue
		}
		x.kv = append(x.kv, pair{reencode(name), reencode(value)})
	}
	slices.SortFunc(x.kv, func(a, b pair) int {
		if order := strings.Compare(a.name, b.name); order != 0 {
			return order
		}
		return strings.Compare(a.value, b.value)
	})
}

// appendQuery writes the query that sortQuery was given.
func (x *scratch) appendQuery(b []byte) []byte {
	for i, p := range x.kv {
		if i > 0 {
			b = append(b, '&')
		}
		b = append(b, p.name...)
		b = append(b, '=')
		b = append(b, p.value...)
	}
	return b
}

// reencode decodes a query text and encodes it in the one canonical way. A text
// that needs neither is returned as it is, which is nearly always.
func reencode(s string) string {
	i := 0
	for i < len(s) && unreserved(s[i]) {
		i++
	}
	if i == len(s) {
		return s
	}
	b := make([]byte, 0, len(s)+16)
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '+':
			c = ' '
		case c == '%' && i+2 < len(s) && inbound.IsHex(s[i+1]) && inbound.IsHex(s[i+2]):
			c = inbound.Unhex(s[i+1])<<4 | inbound.Unhex(s[i+2])
			i += 2
		}
		if unreserved(c) {
			b = append(b, c)
		} else {
			b = append(b, '%', upperHex[c>>4], upperHex[c&15])
		}
	}
	return string(b)
}
