package httpin

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/latchwork/latchwork/internal/inbound"
)

func TestRequestKeepsWhatWasReceived(t *testing.T) {
	raw := "PUT /authpolicy/arn%3Aaws%3A%2Fsvc?a=1&b=%2f&&flag HTTP/1.1\r\nHost: api.example:4000\r\n" +
		"X-Two: b\r\nAuthorization: AWS4\r\nX-Two: a\r\nContent-Length: 0\r\n\r\n"
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(raw)))
	if err != nil {
		t.Fatal(err)
	}
	r.RemoteAddr = "[::ffff:10.0.0.1]:999"
	local := &net.TCPAddr{IP: net.ParseIP("10.9.9.9"), Port: 4000}
	r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, local))
	r.TLS = &tls.ConnectionState{Version: tls.VersionTLS12, CipherSuite: tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, ServerName: "api.example"}

	got, err := Request(r)
	if err != nil {
		t.Fatal(err)
	}
	want := &inbound.Request{
		Method:    "PUT",
		Target:    "/authpolicy/arn%3Aaws%3A%2Fsvc?a=1&b=%2f&&flag",
		Authority: "api.example:4000",
		Headers: []inbound.Header{
			{Name: "authorization", Value: "AWS4"},
			{Name: "content-length", Value: "0"},
			{Name: "x-two", Value: "b"},
			{Name: "x-two", Value: "a"},
		},
		Remote: netip.MustParseAddrPort("10.0.0.1:999"),
		Local:  netip.MustParseAddrPort("10.9.9.9:4000"),
		Major:  1,
		TLS:    &inbound.TLS{Version: "TLSv1.2", Cipher: "ECDHE-RSA-AES128-GCM-SHA256", ServerName: "api.example"},
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.AddrPort{})); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
}

// served is what a server makes of a request that a client really sent.
type served struct {
	in  *inbound.Request
	err error
}

// exchange sends a request over cleartext HTTP/2 or HTTP/1.1.
func exchange(t *testing.T, major int, target func(*url.URL)) served {
	t.Helper()
	got := make(chan served, 1)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		in, err := Request(r)
		got <- served{in, err}
	}))
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	defer server.Close()
	transport := &http.Transport{Protocols: new(http.Protocols)}
	defer transport.CloseIdleConnections()
	transport.Protocols.SetHTTP1(major == 1)
	transport.Protocols.SetUnencryptedHTTP2(major == 2)
	r, err := http.NewRequest(http.MethodGet, server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "rates.example"
	r.Header.Set("X-Role", "reader")
	target(r.URL)
	answer, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	select {
	case s := <-got:
		return s
	default:
		return served{err: fmt.Errorf("the server answered %s itself", answer.Status)}
	}
}

// TestTargets: net/http takes a target with a space over HTTP/2. Forwarded over
// HTTP/1.1 it would be another request line than the one that was decided on.
func TestTargets(t *testing.T) {
	for _, test := range []struct {
		query string
		ok    bool
	}{
		{"a=%20b&c", true},
		{"a b", false},
		{"a HTTP/1.1", false},
		{"a#b", false},
	} {
		for _, major := range []int{1, 2} {
			got := exchange(t, major, func(u *url.URL) { u.Path, u.RawQuery = "/x", test.query })
			if (got.err == nil) != test.ok {
				t.Errorf("HTTP/%d, %q: %+v, %v; want it accepted: %t", major, test.query, got.in, got.err, test.ok)
			}
			if !test.ok {
				continue
			}
			role, _ := got.in.Get("x-role")
			if got.in.Target != "/x?"+test.query || got.in.Major != major || got.in.Authority != "rates.example" || role != "reader" ||
				got.in.Count("host") != 0 || !got.in.Remote.Addr().IsLoopback() || !got.in.Local.Addr().IsLoopback() || got.in.TLS != nil {
				t.Errorf("HTTP/%d: %+v", major, got.in)
			}
		}
	}
}

// TestHostHeader: net/http leaves a host header that comes with :authority in the
// header map.
func TestHostHeader(t *testing.T) {
	r := &http.Request{Method: "GET", RequestURI: "/", Host: "rates.example", ProtoMajor: 2, Header: http.Header{}}
	for _, test := range []struct {
		hosts []string
		ok    bool
	}{
		{nil, true},
		{[]string{"rates.example"}, true},
		{[]string{"other.example"}, false},
		{[]string{"rates.example", "other.example"}, false},
		{[]string{""}, false},
	} {
		r.Header["Host"] = test.hosts
		in, err := Request(r)
		if (err == nil) != test.ok {
			t.Errorf("host headers %q: %v, want them accepted: %t", test.hosts, err, test.ok)
		}
		if err == nil && (in.Authority != "rates.example" || len(in.Headers) != 0) {
			t.Errorf("host headers %q: %+v", test.hosts, in)
		}
	}
}

// TestLower: the shortcuts say what strings.ToLower says.
func TestLower(t *testing.T) {
	for _, name := range []string{
		"Accept", "Accept-Encoding", "Authorization", "Connection", "Content-Length", "Content-Type", "Cookie",
		"User-Agent", "X-Amz-Content-Sha256", "X-Amz-Date", "X-Amz-Security-Token", "X-Forwarded-For", "X-Other_Name",
	} {
		if got, want := lower(name), strings.ToLower(name); got != want {
			t.Errorf("lower(%q) = %q", name, got)
		}
	}
}

// TestTLSNames: every suite that Go may agree on has a name, and those of TLS 1.2
// that of OpenSSL, which has no "TLS_" and no "_".
func TestTLSNames(t *testing.T) {
	for _, suite := range tls.CipherSuites() {
		name := cipherName(suite.ID)
		is13 := len(suite.SupportedVersions) == 1 && suite.SupportedVersions[0] == tls.VersionTLS13
		if is13 != strings.HasPrefix(name, "TLS_") || name == "" || !is13 && strings.Contains(name, "_") {
			t.Errorf("%s is called %q", suite.Name, name)
		}
	}
	for version, want := range map[uint16]string{
		tls.VersionTLS10: "TLSv1", tls.VersionTLS11: "TLSv1.1", tls.VersionTLS12: "TLSv1.2", tls.VersionTLS13: "TLSv1.3", 0x0300: "",
	} {
		if got := tlsVersion(version); got != want {
			t.Errorf("version %#x is called %q, want %q", version, got, want)
		}
	}
}

func BenchmarkRequest(b *testing.B) {
	r := &http.Request{
		Method: "GET", RequestURI: "/rates/today?currency=eur", Host: "rates.example", ProtoMajor: 1, RemoteAddr: "10.0.0.1:999",
		Header: http.Header{
			"Accept": {"*/*"}, "User-Agent": {"curl/8"}, "X-Amz-Date": {"20261125T120000Z"},
			"X-Amz-Content-Sha256": {"UNSIGNED-PAYLOAD"}, "Authorization": {"AWS4-HMAC-SHA256 Credential=a"},
		},
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Request(r); err != nil {
			b.Fatal(err)
		}
	}
}

func TestOriginForm(t *testing.T) {
	for _, test := range []struct{ target, want string }{
		{"/a?b", "/a?b"},
		{"//a", "//a"},
		{"http://h/a%2Fb?c", "/a%2Fb?c"},
		{"HTTPS://h", "/"},
		{"http://h?x=1", "/?x=1"},
		{"*", ""},
		{"h:443", ""},
		{"", ""},
	} {
		got, err := originForm(test.target)
		if got != test.want || (err != nil) != (test.want == "") {
			t.Errorf("originForm(%q) = %q, %v; want %q", test.target, got, err, test.want)
		}
	}
}
