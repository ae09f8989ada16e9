package sigv4_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/latchwork/latchwork/internal/inbound"
	"github.com/latchwork/latchwork/internal/sigv4"
)

const emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// presign signs the query string of a GET with the AWS SDK for Go.
func presign(t *testing.T, service, target, payload string, headers ...inbound.Header) *inbound.Request {
	t.Helper()
	r, err := http.NewRequest("GET", "http://rates.example"+target, nil)
	if err != nil {
		t.Fatal(err)
	}
	in := &inbound.Request{Method: "GET", Authority: "rates.example", Headers: headers, Major: 1}
	for _, h := range headers {
		r.Header.Add(h.Name, h.Value)
	}
	c := creds
	c.SessionToken = "token/of+a=session"
	signed, _, err := v4.NewSigner().PresignHTTP(context.Background(), c, r, payload, service, region, now)
	if err != nil {
		t.Fatal(err)
	}
	in.Target = strings.TrimPrefix(signed, "http://rates.example")
	return in
}

func TestPresigned(t *testing.T) {
	for _, test := range []struct {
		name  string
		query string
		at    time.Duration
		want  sigv4.Cause // 0: verified
	}{
		{"at once", "X-Amz-Expires=300", 0, 0},
		{"within its time", "X-Amz-Expires=300", 300 * time.Second, 0},
		{"after its time", "X-Amz-Expires=300", 301 * time.Second, sigv4.Expired},
		{"a second", "X-Amz-Expires=1", 2 * time.Second, sigv4.Expired},
		{"no end of its own", "b=2", 15 * time.Minute, 0},
		{"no end of its own, after the service's", "b=2", 15*time.Minute + time.Second, sigv4.Expired},
		{"a week is the service's time", "X-Amz-Expires=604800", 15*time.Minute + time.Second, sigv4.Expired},
		{"from the future", "X-Amz-Expires=300", -15*time.Minute - time.Second, sigv4.NotYet},
		{"no seconds", "X-Amz-Expires=0", 0, sigv4.Malformed},
		{"more than a week", "X-Amz-Expires=604801", 0, sigv4.Malformed},
		{"negative", "X-Amz-Expires=-1", 0, sigv4.Malformed},
		{"signed number", "X-Amz-Expires=%2B1", 0, sigv4.Malformed},
		{"fraction", "X-Amz-Expires=1.5", 0, sigv4.Malformed},
		{"a unit", "X-Amz-Expires=5m0", 0, sigv4.Malformed},
		{"microseconds", "X-Amz-Expires=5%C2%B5", 0, sigv4.Malformed},
		{"empty", "X-Amz-Expires=", 0, sigv4.Malformed},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := presign(t, "sts", "/rates?"+test.query, emptyHash)
			err := verify(in, sigv4.Expect{Service: "sts", Now: now.Add(test.at), Skew: 15 * time.Minute})
			checkCause(t, err, test.want)
		})
	}
}

// TestPresignedChanged changes a good presigned request.
func TestPresignedChanged(t *testing.T) {
	want := sigv4.Expect{Service: "sts", Now: now.Add(time.Minute), Skew: 15 * time.Minute}
	replace := func(from, to string) func(*inbound.Request) {
		return func(r *inbound.Request) {
			if !strings.Contains(r.Target, from) {
				panic(from + " is not in " + r.Target)
			}
			r.Target = strings.Replace(r.Target, from, to, 1)
		}
	}
	for _, test := range []struct {
		name   string
		change func(*inbound.Request)
		want   sigv4.Cause
	}{
		{"nothing", func(*inbound.Request) {}, 0},
		{"parameters in another order", func(r *inbound.Request) {
			path, query, _ := strings.Cut(r.Target, "?")
			first, rest, _ := strings.Cut(query, "&")
			r.Target = path + "?" + rest + "&" + first
		}, 0},
		{"lower-case name is not a date", func(r *inbound.Request) { r.Target += "&x-amz-date=20261125T120000Z" }, sigv4.Mismatch},
		{"longer", replace("X-Amz-Expires=300", "X-Amz-Expires=301"), sigv4.Mismatch},
		{"end escaped away", replace("X-Amz-Expires=300", "X%2DAmz-Expires=300"), sigv4.Malformed},
		{"token escaped away", replace("X-Amz-Security-Token", "X-Amz-Security%2dToken"), sigv4.Malformed},
		{"signature escaped away", replace("X-Amz-Signature", "%58-Amz-Signature"), sigv4.Malformed},
		{"end twice", func(r *inbound.Request) { r.Target += "&X-Amz-Expires=300" }, sigv4.Malformed},
		{"signature twice", func(r *inbound.Request) { r.Target += "&X-Amz-Signature=00" }, sigv4.Malformed},
		{"no signature", replace("X-Amz-Signature=", "Sig="), sigv4.Malformed},
		{"no date", replace("X-Amz-Date=", "Date="), sigv4.Malformed},
		{"no signed headers", replace("X-Amz-SignedHeaders=", "Headers="), sigv4.Malformed},
		{"no credential", replace("X-Amz-Credential=", "Credential="), sigv4.Malformed},
		{"SigV4A", replace("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"), sigv4.Malformed},
		{"foreign authorization", func(r *inbound.Request) { add(r, "authorization", "AWS4-HMAC-SHA256 x") }, sigv4.Malformed},
		{"unsigned x-amz header", func(r *inbound.Request) { add(r, "x-amz-meta", "1") }, sigv4.UnsignedHeader},
		{"another token in a header", func(r *inbound.Request) { add(r, "x-amz-security-token", "another") }, sigv4.UnsignedHeader},
		{"semicolon", func(r *inbound.Request) { r.Target += "&x;admin=true" }, sigv4.Mismatch},
		{"bad escape", func(r *inbound.Request) { r.Target += "&admin=%zz" }, sigv4.Malformed},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := presign(t, "sts", "/rates?b=2&X-Amz-Expires=300", emptyHash)
			test.change(in)
			checkCause(t, verify(in, want), test.want)
		})
	}
}

// TestPresignedDataPlane: VPC Lattice takes a presigned request only with the
// signed header that says that the payload is not signed.
func TestPresignedDataPlane(t *testing.T) {
	header := inbound.Header{Name: "x-amz-content-sha256", Value: sigv4.UnsignedPayload}
	in := presign(t, "vpc-lattice-svcs", "/rates", sigv4.UnsignedPayload, header)
	checkCause(t, verify(in, dataPlane()), 0)
	s, err := sigv4.Parse(in)
	if err != nil || s.SessionToken != "token/of+a=session" || !s.Presigned {
		t.Errorf("parsed %+v, %v", s, err)
	}
	in = presign(t, "vpc-lattice-svcs", "/rates", emptyHash)
	checkCause(t, verify(in, dataPlane()), sigv4.MissingPayloadHeader)
}

// TestExplanations show what was signed and hide the session token, which is half
// of a credential.
func TestExplanations(t *testing.T) {
	header := inbound.Header{Name: "x-amz-content-sha256", Value: sigv4.UnsignedPayload}
	inQuery := presign(t, "vpc-lattice-svcs", "/rates", sigv4.UnsignedPayload, header)
	inHeader := sign(t, request{
		method: "GET", target: "/rates", service: "vpc-lattice-svcs",
		headers: [][2]string{{"X-Amz-Security-Token", "token/of+a=session"}},
	})
	v := sigv4.NewVerifier()
	for _, in := range []*inbound.Request{inQuery, inHeader} {
		d := v.Diagnose(in, sigv4.Secret(secret), dataPlane())
		if canonical := d.Server.CanonicalRequest; strings.Contains(canonical, "session") || !strings.Contains(canonical, "redacted") ||
			!strings.HasPrefix(canonical, "GET\n/rates\n") || !strings.HasSuffix(canonical, "\nUNSIGNED-PAYLOAD") {
			t.Errorf("canonical request:\n%s", canonical)
		}
		toSign := strings.Split(d.Server.StringToSign, "\n")
		if len(toSign) != 4 || toSign[1] != "20261125T120000Z" || toSign[2] != "20261125/us-west-2/vpc-lattice-svcs/aws4_request" || len(toSign[3]) != 64 {
			t.Errorf("string to sign: %q", toSign)
		}
	}
}

func checkCause(t *testing.T, err error, want sigv4.Cause) {
	t.Helper()
	var got *sigv4.Error
	switch {
	case want == 0 && err != nil:
		t.Errorf("refused: %v", err)
	case want != 0 && !errors.As(err, &got):
		t.Errorf("verified with %v, want cause %d", err, want)
	case want != 0 && got.Cause != want:
		t.Errorf("refused with cause %d (%v), want %d", got.Cause, got, want)
	}
}
