package sigv4_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/latchwork/latchwork/internal/inbound"
	"github.com/latchwork/latchwork/internal/sigv4"
)

var (
	now    = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
	creds  = aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: secret}
)

const region = "us-west-2"

// request is a request and how it is signed.
type request struct {
	method, target, host, body string
	headers                    [][2]string
	service                    string
	single                     bool // sign the path as it is, as S3's signers do
}

// sign signs with the AWS SDK for Go and gives the request as a server sees it.
func sign(t testing.TB, q request) *inbound.Request {
	t.Helper()
	host := q.host
	if host == "" {
		host = "rates.example"
	}
	r, err := http.NewRequest(q.method, "http://"+host+q.target, strings.NewReader(q.body))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range q.headers {
		r.Header.Add(h[0], h[1])
	}
	hash := sigv4.UnsignedPayload
	if q.service == "vpc-lattice-svcs" {
		if r.Header.Get("X-Amz-Content-Sha256") == "" {
			r.Header.Set("X-Amz-Content-Sha256", hash)
		}
	} else {
		sum := sha256.Sum256([]byte(q.body))
		hash = hex.EncodeToString(sum[:])
	}
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = q.single })
	if err := signer.SignHTTP(context.Background(), creds, r, hash, q.service, region, now); err != nil {
		t.Fatal(err)
	}
	return view(r, q.target)
}

func view(r *http.Request, target string) *inbound.Request {
	in := &inbound.Request{Method: r.Method, Target: target, Authority: r.Host, Major: 1}
	if in.Authority == "" {
		in.Authority = r.URL.Host
	}
	for name, values := range r.Header {
		for _, v := range values {
			in.Headers = append(in.Headers, inbound.Header{Name: strings.ToLower(name), Value: v})
		}
	}
	if r.ContentLength > 0 {
		in.Headers = append(in.Headers, inbound.Header{Name: "content-length", Value: fmt.Sprint(r.ContentLength)})
	}
	slices.SortStableFunc(in.Headers, func(a, b inbound.Header) int { return strings.Compare(a.Name, b.Name) })
	return in
}

func dataPlane() sigv4.Expect {
	return sigv4.Expect{Service: "vpc-lattice-svcs", Region: region, Now: now, Skew: 5 * time.Minute, DataPlane: true}
}

func verify(r *inbound.Request, want sigv4.Expect) error {
	return verifyWith(sigv4.NewVerifier(), r, want)
}

func verifyWith(v *sigv4.Verifier, r *inbound.Request, want sigv4.Expect) error {
	s, err := sigv4.Parse(r)
	if err != nil {
		return err
	}
	if s == nil {
		return sigv4.ErrMissing
	}
	// The access key id is no part of what is signed: it says which secret to take.
	known := sigv4.Secret(secret)
	if s.AccessKeyID != creds.AccessKeyID {
		known = nil
	}
	return v.Verify(r, s, known, want)
}

func TestAgreesWithTheSDK(t *testing.T) {
	for _, test := range []struct {
		name string
		q    request
	}{
		{"root", request{method: "GET", target: "/"}},
		{"path and query", request{method: "GET", target: "/rates?b=2&a=1&a=0"}},
		{"query that sorts after encoding", request{method: "GET", target: "/x?id-type=1&id=2&a%2Fb=1&a-b=2"}},
		{"query without value", request{method: "GET", target: "/x?flag&other="}},
		{"space in the path, double-encoded", request{method: "POST", target: "/orders/a%20b?x=1", body: `{"a":1}`}},
		{"space in the path, as S3 signs", request{method: "POST", target: "/orders/a%20b?x=1", single: true}},
		{"ARN in the path", request{method: "GET", target: "/authpolicy/arn%3Aaws%3Avpc-lattice%3Aus-west-2%3A123456789012%3Aservice%2Fsvc-1"}},
		{"headers", request{method: "GET", target: "/", headers: [][2]string{{"X-Role", "  two   spaces "}, {"X-Many", "a"}, {"X-Many", "b"}}}},
		{"port in the host", request{method: "GET", target: "/", host: "rates.example:8080"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.q.service = "vpc-lattice-svcs"
			if err := verify(sign(t, test.q), dataPlane()); err != nil {
				t.Errorf("data plane: %v", err)
			}
			if test.q.single {
				return
			}
			test.q.service = "vpc-lattice"
			want := sigv4.Expect{Service: "vpc-lattice", Now: now, Skew: 5 * time.Minute, Body: []byte(test.q.body)}
			if err := verify(sign(t, test.q), want); err != nil {
				t.Errorf("control plane: %v", err)
			}
		})
	}
}

func TestRefuses(t *testing.T) {
	good := request{method: "GET", target: "/rates", service: "vpc-lattice-svcs"}
	for _, test := range []struct {
		name   string
		change func(*inbound.Request, *sigv4.Expect)
		want   sigv4.Cause
	}{
		{"another service", func(_ *inbound.Request, e *sigv4.Expect) { e.Service = "iam" }, sigv4.BadScope},
		{"another region", func(_ *inbound.Request, e *sigv4.Expect) { e.Region = "eu-west-1" }, sigv4.BadScope},
		{"too old", func(_ *inbound.Request, e *sigv4.Expect) { e.Now = now.Add(5*time.Minute + 2*time.Second) }, sigv4.Expired},
		{"from the future", func(_ *inbound.Request, e *sigv4.Expect) { e.Now = now.Add(-5*time.Minute - 2*time.Second) }, sigv4.NotYet},
		{"another method", func(r *inbound.Request, _ *sigv4.Expect) { r.Method = "POST" }, sigv4.Mismatch},
		{"another path", func(r *inbound.Request, _ *sigv4.Expect) { r.Target = "/Rates" }, sigv4.Mismatch},
		{"a query added", func(r *inbound.Request, _ *sigv4.Expect) { r.Target = "/rates?admin=1" }, sigv4.Mismatch},
		{"another host", func(r *inbound.Request, _ *sigv4.Expect) { r.Authority = "other.example" }, sigv4.Mismatch},
		{"payload header gone", func(r *inbound.Request, _ *sigv4.Expect) { remove(r, "x-amz-content-sha256") }, sigv4.AbsentHeader},
		{"date gone", func(r *inbound.Request, _ *sigv4.Expect) { remove(r, "x-amz-date") }, sigv4.Malformed},
		{"two dates", func(r *inbound.Request, _ *sigv4.Expect) { add(r, "x-amz-date", "20261125T120000Z") }, sigv4.Malformed},
		{"two authorizations", func(r *inbound.Request, _ *sigv4.Expect) { add(r, "authorization", "Basic YTpi") }, sigv4.Malformed},
		{"signature in the query as well", func(r *inbound.Request, _ *sigv4.Expect) { r.Target += "?X-Amz-Signature=00" }, sigv4.Malformed},
		{"terminator", func(r *inbound.Request, _ *sigv4.Expect) { edit(r, "aws4_request", "aws5_request") }, sigv4.BadScope},
		{"scope of another day", func(r *inbound.Request, _ *sigv4.Expect) { edit(r, "/20261125/", "/20261124/") }, sigv4.BadScope},
		{"host not signed", func(r *inbound.Request, _ *sigv4.Expect) { edit(r, "host;", "") }, sigv4.Malformed},
		{"no signature", func(r *inbound.Request, _ *sigv4.Expect) { edit(r, "Signature=", "Sig=") }, sigv4.Malformed},
		{"upper-case signature", func(r *inbound.Request, _ *sigv4.Expect) { upper(r) }, sigv4.Malformed},
		{"SigV4A", func(r *inbound.Request, _ *sigv4.Expect) { edit(r, "AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256") }, sigv4.Malformed},
		{"unknown AWS4 scheme", func(r *inbound.Request, _ *sigv4.Expect) { edit(r, "AWS4-HMAC-SHA256", "AWS4-X509-RSA-SHA256") }, sigv4.Malformed},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, want := sign(t, good), dataPlane()
			test.change(r, &want)
			var got *sigv4.Error
			if err := verify(r, want); !errors.As(err, &got) || got.Cause != test.want {
				t.Errorf("verified with %v, want cause %d", err, test.want)
			}
		})
	}
}

func TestDataPlanePayload(t *testing.T) {
	signed := request{method: "GET", target: "/", service: "vpc-lattice-svcs", headers: [][2]string{{"X-Amz-Content-Sha256", strings.Repeat("0", 64)}}}
	var got *sigv4.Error
	if err := verify(sign(t, signed), dataPlane()); !errors.As(err, &got) || got.Cause != sigv4.SignedPayload {
		t.Errorf("signed payload: %v", err)
	}
	if status, body := got.DataPlane(); status != 403 || body != "InvalidSignatureException: Signed payloads are not supported" {
		t.Errorf("answer %d %q", status, body)
	}
}

func TestControlPlaneBody(t *testing.T) {
	q := request{method: "POST", target: "/services", body: `{"name":"a"}`, service: "vpc-lattice"}
	want := sigv4.Expect{Service: "vpc-lattice", Now: now, Skew: 5 * time.Minute, Body: []byte(`{"name":"b"}`)}
	var got *sigv4.Error
	if err := verify(sign(t, q), want); !errors.As(err, &got) || got.Cause != sigv4.Mismatch {
		t.Errorf("another body: %v", err)
	}
	q.headers = [][2]string{{"X-Amz-Thing", "1"}}
	want.Body = []byte(q.body)
	r := sign(t, q)
	if err := verify(r, want); err != nil {
		t.Errorf("signed x-amz header: %v", err)
	}
	add(r, "x-amz-other", "2")
	if err := verify(r, want); !errors.As(err, &got) || got.Cause != sigv4.UnsignedHeader {
		t.Errorf("unsigned x-amz header: %v", err)
	}
}

func TestUnsigned(t *testing.T) {
	for _, test := range []struct {
		name   string
		target string
		auth   string
		signed bool
	}{
		{"nothing", "/", "", false},
		{"bearer", "/", "Bearer abc", false},
		{"query of another", "/?My-X-Amz-Signature=1&x=X-Amz-Signature=", "", false},
		{"signature alone", "/?X-Amz-Signature=1", "", true},
		{"credential alone", "/?a=1&X-Amz-Credential=1", "", true},
		{"signature without a value", "/?X-Amz-Signature", "", true},
		{"signature, escaped", "/?X%2damz-Signature=1&X%2DAmz-Signature=1", "", true},
		{"other letters", "/?x-amz-signature=1", "", false},
		{"date and token alone", "/?X-Amz-Date=1&X-Amz-Security-Token=1", "", false},
		{"scheme alone", "/", "AWS4-HMAC-SHA256", true},
		{"scheme in other letters", "/", "aws4-hmac-sha256 Credential=a", true},
		{"unknown AWS4 scheme", "/", "AWS4-X Credential=a", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := &inbound.Request{Method: "GET", Target: test.target, Authority: "a", Major: 1}
			if test.auth != "" {
				add(r, "authorization", test.auth)
			}
			s, err := sigv4.Parse(r)
			if s != nil || (err != nil) != test.signed {
				t.Errorf("parsed %v, %v; attempted signature: want %t", s, err, test.signed)
			}
		})
	}
}

func TestUnknownKeyAndWrongSecret(t *testing.T) {
	r := sign(t, request{method: "GET", target: "/", service: "vpc-lattice-svcs"})
	s, err := sigv4.Parse(r)
	if err != nil {
		t.Fatal(err)
	}
	v := sigv4.NewVerifier()
	for _, none := range []sigv4.Secret{nil, {}} {
		if err := v.Verify(r, s, none, dataPlane()); !errors.Is(err, sigv4.ErrUnknownKey) {
			t.Errorf("unknown key: %v", err)
		}
	}
	var got *sigv4.Error
	if err := v.Verify(r, s, sigv4.Secret("another"), dataPlane()); !errors.As(err, &got) || got.Cause != sigv4.Mismatch {
		t.Errorf("wrong secret: %v", err)
	}
	if err := v.Verify(r, s, sigv4.Secret(secret), dataPlane()); err != nil {
		t.Errorf("right secret after a wrong one: %v", err)
	}
	// What is kept of a key that was in use is not good for the secret after it, and not
	// for a key that is gone.
	checkCause(t, v.Verify(r, s, sigv4.Secret("rotated"), dataPlane()), sigv4.Mismatch)
	checkCause(t, v.Verify(r, s, nil, dataPlane()), sigv4.UnknownKey)
}

func FuzzParse(f *testing.F) {
	good := sign(f, request{method: "GET", target: "/", service: "vpc-lattice-svcs"})
	auth, _ := good.Get("authorization")
	f.Add(auth, "/", "20261125T120000Z")
	f.Add("AWS4-HMAC-SHA256 Credential=a/b/c/d/e, SignedHeaders=host, Signature=1", "/?X-Amz-Signature=1", "x")
	f.Fuzz(func(t *testing.T, auth, target, date string) {
		r := &inbound.Request{Method: "GET", Target: target, Authority: "a", Headers: []inbound.Header{
			{Name: "authorization", Value: auth},
			{Name: "x-amz-date", Value: date},
			{Name: "x-amz-content-sha256", Value: sigv4.UnsignedPayload},
		}}
		s, err := sigv4.Parse(r)
		if err != nil || s == nil {
			return
		}
		if err := sigv4.NewVerifier().Verify(r, s, sigv4.Secret("guess"), dataPlane()); err == nil {
			t.Fatal("a signature made of nothing was accepted")
		}
	})
}

// TestSecretsDoNotPrint: CVE-2023-30610 was a secret in a log.
func TestSecretsDoNotPrint(t *testing.T) {
	s := sigv4.Secret(secret)
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("a", "secret", s)
	inJSON, err := json.Marshal(struct{ S sigv4.Secret }{s})
	if err != nil {
		t.Fatal(err)
	}
	texts := []string{
		log.String(), string(inJSON), s.String(), s.GoString(), fmt.Sprint(s), fmt.Sprint(struct{ S sigv4.Secret }{s}),
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o", "%b", "%c", "%U"} {
		texts = append(texts, fmt.Sprintf(verb, s))
	}
	for _, text := range texts {
		if !strings.Contains(text, "[redacted]") {
			t.Errorf("printed a secret: %s", text)
		}
	}
}

// benchmarkRequest is the request of all benchmarks of SigV4.
func benchmarkRequest(b *testing.B) *inbound.Request {
	return sign(b, request{method: "GET", target: "/rates/today?currency=eur", service: "vpc-lattice-svcs", headers: [][2]string{{"Accept", "*/*"}}})
}

// BenchmarkVerify parses and verifies: a good request, one with a forged signature, one
// with a key that nobody has, and the same by signing again with the AWS SDK for Go,
// as other verifiers do.
func BenchmarkVerify(b *testing.B) {
	forged := benchmarkRequest(b)
	setSignature(strings.Repeat("0", 64))(forged)
	for _, bench := range []struct {
		name   string
		r      *inbound.Request
		secret sigv4.Secret
		want   sigv4.Cause
	}{
		{"good", benchmarkRequest(b), sigv4.Secret(secret), 0},
		{"forged", forged, sigv4.Secret(secret), sigv4.Mismatch},
		{"unknown key", benchmarkRequest(b), nil, sigv4.UnknownKey},
	} {
		b.Run(bench.name, func(b *testing.B) { benchmarkVerify(b, bench.r, bench.secret, bench.want) })
	}
	b.Run("by the SDK's signer", func(b *testing.B) {
		r := benchmarkRequest(b)
		given, _ := r.Get("authorization")
		signer := v4.NewSigner()
		b.ReportAllocs()
		for b.Loop() {
			again, err := http.NewRequest(r.Method, "http://"+r.Authority+r.Target, nil)
			if err != nil {
				b.Fatal(err)
			}
			for _, h := range r.Headers {
				if h.Name != "authorization" {
					again.Header.Set(h.Name, h.Value)
				}
			}
			if err := signer.SignHTTP(context.Background(), creds, again, sigv4.UnsignedPayload, "vpc-lattice-svcs", region, now); err != nil {
				b.Fatal(err)
			}
			if subtle.ConstantTimeCompare([]byte(again.Header.Get("Authorization")), []byte(given)) != 1 {
				b.Fatal("another signature")
			}
		}
	})
}

func benchmarkVerify(b *testing.B, r *inbound.Request, known sigv4.Secret, cause sigv4.Cause) {
	v, want := sigv4.NewVerifier(), dataPlane()
	var s sigv4.Signature
	var got *sigv4.Error
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Parse(r); err != nil {
			b.Fatal(err)
		}
		err := v.Verify(r, &s, known, want)
		if cause == 0 && err != nil || cause != 0 && (!errors.As(err, &got) || got.Cause != cause) {
			b.Fatal(err)
		}
	}
}

// BenchmarkFloor is the hashing that no verifier of that request can avoid: SHA-256 of
// its canonical request and one HMAC with a prepared key.
func BenchmarkFloor(b *testing.B) {
	r := benchmarkRequest(b)
	computed := sigv4.NewVerifier().Diagnose(r, sigv4.Secret(secret), dataPlane()).Server
	canonical, toSign := []byte(computed.CanonicalRequest), []byte(computed.StringToSign)
	h, mac := sha256.New(), hmac.New(sha256.New, make([]byte, 32))
	var sum [32]byte
	b.ReportAllocs()
	for b.Loop() {
		h.Reset()
		h.Write(canonical)
		h.Sum(sum[:0])
		mac.Reset()
		mac.Write(toSign)
		mac.Sum(sum[:0])
	}
}

func add(r *inbound.Request, name, value string) {
	r.Headers = append(r.Headers, inbound.Header{Name: name, Value: value})
}

func remove(r *inbound.Request, name string) {
	r.Headers = slices.DeleteFunc(r.Headers, func(h inbound.Header) bool { return h.Name == name })
}

func edit(r *inbound.Request, from, to string) {
	for i := range r.Headers {
		if r.Headers[i].Name == "authorization" {
			r.Headers[i].Value = strings.Replace(r.Headers[i].Value, from, to, 1)
		}
	}
}

func upper(r *inbound.Request) {
	for i := range r.Headers {
		if h := &r.Headers[i]; h.Name == "authorization" {
			at := strings.Index(h.Value, "Signature=") + len("Signature=")
			h.Value = h.Value[:at] + strings.ToUpper(h.Value[at:])
		}
	}
}
