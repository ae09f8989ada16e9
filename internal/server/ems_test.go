package server

import (
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/latchwork/latchwork/internal/certs"
)

// TestIssued: what an account's mesh endpoints are issued counts in the account's
// meshes only: its key is in the hands of an Envoy, and its name is what somebody
// wrote into a virtual node.
func TestIssued(t *testing.T) {
	s := openServer(t)
	const other = "222222222222"
	s.cfg.accounts = append(s.cfg.accounts, AccountConfig{ID: other})
	var err error
	if s.authority, err = certs.Open(t.Context(), s.store, s.ring, s.clock, certs.Installation); err != nil {
		t.Fatal(err)
	}
	if err := s.openMeshAuthorities(t.Context()); err != nil {
		t.Fatal(err)
	}
	own := issued{s.cfg.AccountID, s.meshAuthorities}
	arn := func(account string) string { return "arn:aws:acm:us-west-2:" + account + ":certificate/x" }
	const name = "sts.us-west-2.amazonaws.com"
	chain, key, err := own.Issue(arn(s.cfg.AccountID), []string{name})
	if err != nil || !strings.Contains(string(key), "PRIVATE KEY") {
		t.Fatal(err)
	}
	block, _ := pem.Decode(chain)
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	ca := func(arn string) []byte {
		text, err := own.CA(arn)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	for _, test := range []struct {
		who   string
		roots []byte
		good  bool
	}{
		{"the account's meshes", ca(arn(s.cfg.AccountID)), true},
		{"another account's meshes", ca(arn(other)), false},
		{"the installation", s.authority.PEM(), false},
	} {
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(test.roots)
		if _, err := leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: name}); (err == nil) != test.good {
			t.Errorf("%s: %v", test.who, err)
		}
	}
	for _, bad := range []string{arn(other), arn("333333333333"), "x", ""} {
		if _, _, err := own.Issue(bad, []string{name}); err == nil {
			t.Errorf("a certificate of %q is issued", bad)
		}
	}
	before := string(ca(arn(other)))
	if err := s.openMeshAuthorities(t.Context()); err != nil {
		t.Fatal(err)
	}
	own.authorities = s.meshAuthorities
	if string(ca(arn(other))) != before {
		t.Error("another start has another authority")
	}
	if _, err := own.CA(arn("333333333333")); err == nil {
		t.Error("there is an authority of an account that is not configured")
	}
}
