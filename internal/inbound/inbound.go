// Package inbound is the neutral view of one request, shared by every place
// that authenticates or builds the context of a decision: the API, the gateway,
// Envoy's ext_authz and the management stream. It is neither net/http nor a
// protobuf, so a faster front end can take the place of either.
package inbound

import (
	"net/netip"
	"strings"
)

// Header is one header line as received. Name is lower-case.
type Header struct {
	Name  string
	Value string
}

// Request is one request as it came over the wire. Nothing in it is decoded,
// cleaned or merged: what is signed, matched and forwarded are these bytes.
type Request struct {
	// Method as received; methods are case-sensitive.
	Method string
	// Target is the raw request target in origin form: path, and "?query" where
	// there is one. The fragment never reaches a server.
	Target string
	// Authority is Host or :authority as received, port included.
	Authority string
	// Headers holds every header but host, in order of arrival as far as the
	// transport keeps it; repeated names keep their relative order.
	Headers []Header
	// Remote is the peer of the socket, Local the address it came in on.
	Remote netip.AddrPort
	Local  netip.AddrPort
	// Major is 1 or 2, the HTTP version.
	Major int
	// TLS is nil for cleartext.
	TLS *TLS
}

// TLS holds the facts of the client's TLS connection.
type TLS struct {
	Version    string // "TLSv1.3"
	Cipher     string // OpenSSL's name
	ServerName string // SNI
}

// Path is the raw path: Target up to the first '?'.
func (r *Request) Path() string {
	path, _, _ := strings.Cut(r.Target, "?")
	return path
}

// RawQuery is what follows the first '?', without it; "" if there is none.
func (r *Request) RawQuery() string {
	_, query, _ := strings.Cut(r.Target, "?")
	return query
}

// Get returns the first value of a header, by its lower-case name, and whether
// the header is there. Use Values where a repeated header matters.
func (r *Request) Get(name string) (string, bool) {
	for i := range r.Headers {
		if r.Headers[i].Name == name {
			return r.Headers[i].Value, true
		}
	}
	return "", false
}

// Count tells how often a header occurs.
func (r *Request) Count(name string) int {
	n := 0
	for i := range r.Headers {
		if r.Headers[i].Name == name {
			n++
		}
	}
	return n
}

// IsGRPC tells whether the request is a gRPC call: HTTP/2, POST, and a content
// type of application/grpc alone or followed by '+' or ';'. A content type on
// any other request does not make it one, so that no client can hide its query
// string or method from a policy by claiming to speak gRPC.
func (r *Request) IsGRPC() bool {
	if r.Major != 2 || r.Method != "POST" {
		return false
	}
	value, ok := r.Get("content-type")
	if !ok || r.Count("content-type") != 1 {
		return false
	}
	rest, ok := strings.CutPrefix(value, "application/grpc")
	return ok && (rest == "" || rest[0] == '+' || rest[0] == ';')
}
