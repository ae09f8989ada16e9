package httpin

import (
	"bufio"
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
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
