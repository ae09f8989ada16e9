package sigv4_test

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/smithy-go/aws-http-auth/credentials"
	"github.com/aws/smithy-go/aws-http-auth/sigv4a"
	v4 "github.com/aws/smithy-go/aws-http-auth/v4"

	"github.com/latchwork/latchwork/internal/inbound"
	"github.com/latchwork/latchwork/internal/sigv4"
)

// signAsymmetric signs for a set of regions, with the signer of the AWS SDK for Go.
func signAsymmetric(t testing.TB, q request, regions ...string) *inbound.Request {
	t.Helper()
	r, err := http.NewRequest(q.method, "http://rates.example"+q.target, strings.NewReader(q.body))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range q.headers {
		r.Header.Add(h[0], h[1])
	}
	input := &sigv4a.SignRequestInput{
		Request: r, Credentials: credentials.Credentials{AccessKeyID: creds.AccessKeyID, SecretAccessKey: secret},
		Service: q.service, RegionSet: regions, Time: now, PayloadHash: v4.UnsignedPayload(),
	}
	if q.service != "vpc-lattice-svcs" {
		sum := sha256.Sum256([]byte(q.body))
		input.PayloadHash = sum[:]
	}
	signer := sigv4a.New(func(o *v4.SignerOptions) { o.AddPayloadHashHeader = true })
	if err := signer.SignRequest(input); err != nil {
		t.Fatal(err)
	}
	in := view(r, q.target)
	remove(in, "host") // The signer adds it to the headers; a server has it as Authority.
	return in
}

func TestAsymmetric(t *testing.T) {
	rates := request{method: "POST", target: "/rates/a%20b?b=2&a=1", body: "{}", service: "vpc-lattice-svcs", headers: [][2]string{{"X-Tenant", "acme"}}}
	change := func(name, value string) func(*inbound.Request) {
		return func(r *inbound.Request) {
			for i := range r.Headers {
				if r.Headers[i].Name == name {
					r.Headers[i].Value = value
				}
			}
		}
	}
	for _, test := range []struct {
		name    string
		regions []string
		change  func(*inbound.Request)
		want    sigv4.Cause
		text    string
	}{
		{name: "our region", regions: []string{region}},
		{name: "all regions", regions: []string{"*"}},
		{name: "several", regions: []string{"eu-west-1", region}},
		{name: "a part of the world", regions: []string{"us-*"}},
		{name: "another part", regions: []string{"eu-*"}, want: sigv4.BadScope, text: "not 'eu-*'"},
		{name: "another region", regions: []string{"us-west-1"}, want: sigv4.BadScope},
		{name: "a part of its name", regions: []string{"us-west-22"}, want: sigv4.BadScope},
		{name: "path", regions: []string{"*"}, change: func(r *inbound.Request) { r.Target = "/rates/a%20c?b=2&a=1" }, want: sigv4.Mismatch},
		{name: "method", regions: []string{"*"}, change: func(r *inbound.Request) { r.Method = "PUT" }, want: sigv4.Mismatch},
		{name: "region set changed", regions: []string{"us-west-1"}, change: change("x-amz-region-set", region), want: sigv4.Mismatch},
		{name: "region set dropped", regions: []string{"*"}, change: func(r *inbound.Request) { remove(r, "x-amz-region-set") }, want: sigv4.Malformed, text: "X-Amz-Region-Set"},
		{name: "region set not signed", regions: []string{"*"}, change: func(r *inbound.Request) { edit(r, "x-amz-region-set;", ""); edit(r, ";x-amz-region-set", "") }, want: sigv4.UnsignedHeader, text: "'x-amz-region-set'"},
		{name: "region set twice", regions: []string{"*"}, change: func(r *inbound.Request) { add(r, "x-amz-region-set", "*") }, want: sigv4.Malformed},
		{name: "the algorithm of the other kind", regions: []string{"*"}, change: func(r *inbound.Request) { edit(r, sigv4.AlgorithmECDSA, sigv4.AlgorithmHMAC) }, want: sigv4.Malformed},
		{name: "a region in the scope", regions: []string{"*"}, change: func(r *inbound.Request) { edit(r, "/vpc-lattice-svcs/", "/us-west-2/vpc-lattice-svcs/") }, want: sigv4.Malformed, text: "exactly 4"},
		{name: "an empty signature", regions: []string{"*"}, change: setSignature(""), want: sigv4.Mismatch},
		{name: "half a byte", regions: []string{"*"}, change: setSignature("3"), want: sigv4.Malformed},
		{name: "capitals", regions: []string{"*"}, change: upper, want: sigv4.Malformed},
		{name: "too long", regions: []string{"*"}, change: setSignature(strings.Repeat("00", 73)), want: sigv4.Malformed},
		// CVE-2022-21449: r and s of 0 verify anything, for a verifier that does not look.
		{name: "r and s are 0", regions: []string{"*"}, change: setSignature("3006020100020100"), want: sigv4.Mismatch},
		{name: "r and s are 1", regions: []string{"*"}, change: setSignature("3006020101020101"), want: sigv4.Mismatch},
		{name: "bytes after the signature", regions: []string{"*"}, change: func(r *inbound.Request) { setSignature(signatureOf(r) + "00")(r) }, want: sigv4.Mismatch},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := signAsymmetric(t, rates, test.regions...)
			for len(signatureOf(in)) > 140 { // Leave room for a byte more.
				in = signAsymmetric(t, rates, test.regions...)
			}
			if test.change != nil {
				test.change(in)
			}
			err := verify(in, dataPlane())
			checkCause(t, err, test.want)
			if test.text != "" && !strings.Contains(err.Error(), test.text) {
				t.Errorf("text %q, want %q in it", err, test.text)
			}
		})
	}
}

func signatureOf(r *inbound.Request) string {
	value, _ := r.Get("authorization")
	return value[strings.Index(value, "Signature=")+len("Signature="):]
}

func setSignature(text string) func(*inbound.Request) {
	return func(r *inbound.Request) { edit(r, "Signature="+signatureOf(r), "Signature="+text) }
}

// TestAsymmetricKeys: the secret of another key, no secret, and another key's id do
// not verify; and the API takes such signatures too, of the body as it came.
func TestAsymmetricKeys(t *testing.T) {
	v := sigv4.NewVerifier()
	api := request{method: "POST", target: "/", body: "Action=GetCallerIdentity&Version=2011-06-15", service: "sts"}
	want := sigv4.Expect{Service: "sts", Now: now, Skew: 5 * time.Minute, Body: []byte(api.body)}
	for range 2 { // The second time the keys are in the cache.
		in := signAsymmetric(t, api, "*")
		s, err := sigv4.Parse(in)
		if err != nil {
			t.Fatal(err)
		}
		checkCause(t, v.Verify(in, s, sigv4.Secret(secret), want), 0)
		checkCause(t, v.Verify(in, s, sigv4.Secret("another"), want), sigv4.Mismatch)
		checkCause(t, v.Verify(in, s, nil, want), sigv4.UnknownKey)
		changed := want
		changed.Body = []byte("Action=DeleteUser")
		if err := v.Verify(in, s, sigv4.Secret(secret), changed); err == nil {
			t.Error("another body was accepted")
		}
		edit(in, creds.AccessKeyID, "AKIDANOTHER")
		if s, err = sigv4.Parse(in); err != nil {
			t.Fatal(err)
		}
		checkCause(t, v.Verify(in, s, sigv4.Secret(secret), want), sigv4.Mismatch)
	}
}

// TestDerivedKey is AWS's own vector.
// Source: awslabs/aws-c-auth, tests/key_derivation_tests.c.
func TestDerivedKey(t *testing.T) {
	key, err := sigv4.DerivePublic("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := key.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	const want = "04b6618f6a65740a99e650b33b6b4b5bd0d43b176d721a3edfea7e7d2d56d936b1865ed22a7eadc9c5cb9d2cbaca1b3699139fedc5043dc6661864218330c8e518"
	if got := hex.EncodeToString(raw); got != want {
		t.Errorf("key %s, want %s", got, want)
	}
}

// TestAdmission: as many verifications run and wait as may, and the next is refused
// before any work is done for it.
func TestAdmission(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := sigv4.NewVerifier()
		in := signAsymmetric(t, request{method: "GET", target: "/", service: "vpc-lattice-svcs"}, "*")
		release := v.Occupy()
		waiting := v.MaxWaiting()
		results := make(chan error, waiting)
		for range waiting {
			go func() { results <- verifyWith(v, in, dataPlane()) }()
		}
		synctest.Wait()
		checkCause(t, verifyWith(v, in, dataPlane()), sigv4.Busy)
		// SigV4 has no such bound.
		checkCause(t, verifyWith(v, sign(t, request{method: "GET", target: "/", service: "vpc-lattice-svcs"}), dataPlane()), 0)
		release()
		for range waiting {
			checkCause(t, <-results, 0)
		}
		checkCause(t, verifyWith(v, in, dataPlane()), 0)
	})
}

func BenchmarkVerifyAsymmetric(b *testing.B) {
	r := signAsymmetric(b, request{method: "GET", target: "/rates/today?currency=eur", service: "vpc-lattice-svcs"}, "*")
	v, want := sigv4.NewVerifier(), dataPlane()
	b.ReportAllocs()
	for b.Loop() {
		if err := verifyWith(v, r, want); err != nil {
			b.Fatal(err)
		}
	}
}

// TestRegionFor: a signature of SigV4A is for the server's own region if it may be.
func TestRegionFor(t *testing.T) {
	for set, want := range map[string]string{
		"*": "us-west-2", "us-west-2": "us-west-2", "us-east-1, us-west-2": "us-west-2", "us-*": "us-west-2", "eu-west-1": "eu-west-1", " eu-west-1": "eu-west-1",
		"eu-west-1,us-east-1": "", "eu-*": "", "eu-west-1,": "", "": "",
	} {
		s := &sigv4.Signature{Algorithm: sigv4.AlgorithmECDSA, RegionSet: set}
		if got := s.RegionFor("us-west-2"); got != want {
			t.Errorf("%q: %q, want %q", set, got, want)
		}
	}
	if got := (&sigv4.Signature{Algorithm: sigv4.AlgorithmHMAC, Region: "eu-west-1"}).RegionFor("us-west-2"); got != "eu-west-1" {
		t.Errorf("SigV4: %q", got)
	}
}
