// Package httpin makes the neutral view of a request out of net/http's.
package httpin

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/latchwork/latchwork/internal/inbound"
)

// Request is the neutral view of r. It copies no values: what is in it is what
// net/http received.
//
// net/http keeps no order between different header names, so they come sorted;
// values of one name keep their order. It fails for a request target that is not in
// origin form and cannot be made so (OPTIONS *, CONNECT), or has a query with bytes
// that no target can hold, which net/http accepts over HTTP/2; and for a host header
// that contradicts :authority. inbound.CheckPath is for the path.
func Request(r *http.Request) (*inbound.Request, error) {
	target, err := originForm(r.RequestURI)
	if err != nil {
		return nil, err
	}
	if _, query, ok := strings.Cut(target, "?"); ok {
		if err := inbound.CheckQueryBytes(query); err != nil {
			return nil, err
		}
	}
	// HTTP/2 allows a host header beside :authority; net/http leaves it among the
	// others then. Two hosts would be one for us and another for the target.
	// Source: RFC 9113, 8.3.1.
	for _, host := range r.Header["Host"] {
		if host != r.Host {
			return nil, errHost
		}
	}
	lines := 0
	for _, values := range r.Header {
		lines += len(values)
	}
	in := &inbound.Request{
		Method:    r.Method,
		Target:    target,
		Authority: r.Host,
		Headers:   make([]inbound.Header, 0, lines),
		Major:     r.ProtoMajor,
	}
	for name, values := range r.Header {
		if name == "Host" {
			continue
		}
		name = lower(name)
		for _, value := range values {
			in.Headers = append(in.Headers, inbound.Header{Name: name, Value: value})
		}
	}
	slices.SortStableFunc(in.Headers, func(a, b inbound.Header) int { return strings.Compare(a.Name, b.Name) })
	in.Remote, _ = netip.ParseAddrPort(r.RemoteAddr)
	in.Remote = unmap(in.Remote)
	if addr, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		in.Local = addrPort(addr)
	}
	if r.TLS != nil {
		in.TLS = &inbound.TLS{
			Version:    tlsVersion(r.TLS.Version),
			Cipher:     cipherName(r.TLS.CipherSuite),
			ServerName: r.TLS.ServerName,
		}
	}
	return in, nil
}

var (
	errTarget = errors.New("the request target is not a path")
	errHost   = errors.New("the host header is not the same as :authority")
)

// originForm reduces the absolute form, which a client sends that takes us for a
// proxy, to the path and query in it.
func originForm(target string) (string, error) {
	if strings.HasPrefix(target, "/") {
		return target, nil
	}
	for _, scheme := range []string{"http://", "https://"} {
		if len(target) < len(scheme) || !strings.EqualFold(target[:len(scheme)], scheme) {
			continue
		}
		rest := target[len(scheme):]
		i := strings.IndexAny(rest, "/?")
		switch {
		case i < 0:
			return "/", nil
		case rest[i] == '?':
			return "/" + rest[i:], nil
		default:
			return rest[i:], nil
		}
	}
	return "", errTarget
}

func addrPort(addr net.Addr) netip.AddrPort {
	if tcp, ok := addr.(*net.TCPAddr); ok {
		return unmap(tcp.AddrPort())
	}
	parsed, _ := netip.ParseAddrPort(addr.String())
	return unmap(parsed)
}

// unmap makes an IPv4 address that came in on a dual-stack socket compare equal
// to the same address from anywhere else.
func unmap(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// lower is strings.ToLower for header names, which come in Go's canonical form.
// The names that nearly every request has cost no allocation.
func lower(name string) string {
	switch name {
	case "Accept":
		return "accept"
	case "Accept-Encoding":
		return "accept-encoding"
	case "Authorization":
		return "authorization"
	case "Connection":
		return "connection"
	case "Content-Length":
		return "content-length"
	case "Content-Type":
		return "content-type"
	case "Cookie":
		return "cookie"
	case "User-Agent":
		return "user-agent"
	case "X-Amz-Content-Sha256":
		return "x-amz-content-sha256"
	case "X-Amz-Date":
		return "x-amz-date"
	case "X-Amz-Security-Token":
		return "x-amz-security-token"
	case "X-Forwarded-For":
		return "x-forwarded-for"
	}
	return strings.ToLower(name)
}

func tlsVersion(v uint16) string {
	switch v {
	case tls.VersionTLS10:
		return "TLSv1"
	case tls.VersionTLS11:
		return "TLSv1.1"
	case tls.VersionTLS12:
		return "TLSv1.2"
	case tls.VersionTLS13:
		return "TLSv1.3"
	}
	return ""
}

// cipherName is OpenSSL's name of a cipher suite, as AWS's access logs print it.
// TLS 1.3's suites have one name everywhere.
func cipherName(id uint16) string {
	switch id {
	case tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256:
		return "ECDHE-ECDSA-AES128-GCM-SHA256"
	case tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256:
		return "ECDHE-RSA-AES128-GCM-SHA256"
	case tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384:
		return "ECDHE-ECDSA-AES256-GCM-SHA384"
	case tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384:
		return "ECDHE-RSA-AES256-GCM-SHA384"
	case tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256:
		return "ECDHE-ECDSA-CHACHA20-POLY1305"
	case tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256:
		return "ECDHE-RSA-CHACHA20-POLY1305"
	case tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA:
		return "ECDHE-ECDSA-AES128-SHA"
	case tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA:
		return "ECDHE-ECDSA-AES256-SHA"
	case tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA:
		return "ECDHE-RSA-AES128-SHA"
	case tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA:
		return "ECDHE-RSA-AES256-SHA"
	}
	return tls.CipherSuiteName(id)
}
