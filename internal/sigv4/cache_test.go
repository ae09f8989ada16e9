package sigv4

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/latchwork/latchwork/internal/inbound"
)

// TestMadeUpKeysDoNotFillTheCache: whoever has no key can neither push out the keys
// in use nor take memory.
func TestMadeUpKeysDoNotFillTheCache(t *testing.T) {
	v := NewVerifier()
	want := Expect{Service: "s", Now: time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC), Skew: time.Minute}
	verify := func(id, region string, secret Secret) {
		t.Helper()
		r := &inbound.Request{Method: "GET", Target: "/", Authority: "a", Headers: []inbound.Header{
			{Name: "authorization", Value: AlgorithmHMAC + " Credential=" + id + "/20261125/" + region +
				"/s/aws4_request, SignedHeaders=host;x-amz-date, Signature=" + strings.Repeat("0", 64)},
			{Name: "x-amz-date", Value: "20261125T120000Z"},
		}}
		s, err := Parse(r)
		if err != nil {
			t.Fatal(err)
		}
		if v.Verify(r, s, secret, want) == nil {
			t.Fatal("a signature of zeros was verified")
		}
	}
	verify("AKIAKNOWN", "r", Secret("secret"))
	for i := range 100 {
		verify(fmt.Sprintf("AKIA%d", i), "r", nil)
	}
	if len(v.keys) != 2 {
		t.Errorf("the cache holds %d keys, want that of the known one and one for all others", len(v.keys))
	}
	for i := range maxKeys {
		verify("AKIAKNOWN", fmt.Sprint(i), Secret("secret"))
	}
	if len(v.keys) > maxKeys {
		t.Errorf("the cache holds %d keys, the most are %d", len(v.keys), maxKeys)
	}
}

// TestLongScopes: parts of a scope become keys of the cache, so they are bounded.
func TestLongScopes(t *testing.T) {
	for _, credential := range []string{
		strings.Repeat("A", maxName+1) + "/20261125/r/s/aws4_request",
		"A/20261125/" + strings.Repeat("r", maxName+1) + "/s/aws4_request",
		"A/20261125/r/" + strings.Repeat("s", maxName+1) + "/aws4_request",
	} {
		r := &inbound.Request{Method: "GET", Target: "/", Authority: "a", Headers: []inbound.Header{
			{Name: "authorization", Value: AlgorithmHMAC + " Credential=" + credential + ", SignedHeaders=host;x-amz-date, Signature=" + strings.Repeat("0", 64)},
			{Name: "x-amz-date", Value: "20261125T120000Z"},
		}}
		if _, err := Parse(r); err == nil {
			t.Errorf("parsed a credential of %d bytes", len(credential))
		}
	}
}

// TestNobodySignsWithTheDummy: the secret that stands for unknown keys is no secret.
func TestNobodySignsWithTheDummy(t *testing.T) {
	r := &inbound.Request{Method: "GET", Target: "/", Authority: "a", Headers: []inbound.Header{
		{Name: "authorization", Value: AlgorithmHMAC + " Credential=A/20261125/r/s/aws4_request, SignedHeaders=host;x-amz-date, Signature=" + strings.Repeat("0", 64)},
		{Name: "x-amz-date", Value: "20261125T120000Z"},
	}}
	s, err := Parse(r)
	if err != nil {
		t.Fatal(err)
	}
	want := Expect{Service: "s", Now: s.Time, Skew: time.Minute}
	for _, secret := range []string{string(dummySecret), ""} {
		x := NewVerifier().scratch()
		p, err := payload(r, s, want)
		if err != nil {
			t.Fatal(err)
		}
		x.canonical(r, s, normalDouble, r.Authority, p)
		x.toSign(s)
		x.signedWith(&signingKey{key: deriveKey(Secret(secret), s.Date, s.Region, s.Service)}, s)
		s.sum = x.sum
		v := NewVerifier()
		for _, known := range []Secret{nil, {}} {
			if err := v.Verify(r, s, known, want); err != ErrUnknownKey {
				t.Errorf("signed with %q: %v", secret, err)
			}
		}
	}
}
