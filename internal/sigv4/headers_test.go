package sigv4_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchwork/latchwork/internal/inbound"
	"github.com/latchwork/latchwork/internal/sigv4"
)

// TestUnsignedHeaders: the API wants every x-amz-* header signed; the data plane
// those that belong to the signature.
func TestUnsignedHeaders(t *testing.T) {
	for _, test := range []struct {
		name            string
		gateway, theAPI sigv4.Cause
	}{
		{"x-amz-security-token", sigv4.UnsignedHeader, sigv4.UnsignedHeader},
		{"x-amz-region-set", sigv4.UnsignedHeader, sigv4.UnsignedHeader},
		{"x-amz-cf-id", 0, sigv4.UnsignedHeader},
		{"x-amz-target", 0, sigv4.UnsignedHeader},
		{"x-amzn-trace-id", 0, 0},
		{"x-amz", 0, 0},
		{"x_amz_date", 0, 0},
		{"x-forwarded-for", 0, 0},
		{"content-type", 0, 0},
	} {
		in := sign(t, request{method: "GET", target: "/", service: "vpc-lattice-svcs"})
		add(in, test.name, "1")
		t.Run("gateway "+test.name, func(t *testing.T) { checkCause(t, verify(in, dataPlane()), test.gateway) })
		in = sign(t, request{method: "GET", target: "/", service: "iam"})
		add(in, test.name, "1")
		t.Run("API "+test.name, func(t *testing.T) {
			checkCause(t, verify(in, sigv4.Expect{Service: "iam", Now: now, Skew: time.Minute}), test.theAPI)
		})
	}
}

// TestPayloadOfTheAPI: the header never counts without the body.
func TestPayloadOfTheAPI(t *testing.T) {
	const hello = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
	for _, test := range []struct {
		name, header, body string
		want               sigv4.Cause
	}{
		{"right hash", hello, "hello", 0},
		{"hash of another body", hello, "hellO", sigv4.PayloadHash},
		{"hash of no body", emptyHash, "hello", sigv4.PayloadHash},
		{"chunked signature", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "hello", sigv4.PayloadHash},
		{"chunked without one", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "hello", sigv4.PayloadHash},
		{"unsigned", sigv4.UnsignedPayload, "hello", sigv4.PayloadHash},
		{"unsigned, another body", sigv4.UnsignedPayload, "hellO", sigv4.PayloadHash},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := sign(t, request{
				method: "POST", target: "/", service: "iam", body: "hello",
				headers: [][2]string{{"X-Amz-Content-Sha256", test.header}},
			})
			want := sigv4.Expect{Service: "iam", Now: now, Skew: time.Minute, Body: []byte(test.body)}
			checkCause(t, verify(in, want), test.want)
			add(in, "x-amz-content-sha256", test.header)
			checkCause(t, verify(in, want), sigv4.Malformed)
		})
	}
}

// TestUnsignedPayloadOfTheAPI: a request that was signed without its body is refused
// even though its signature is right, or it could be sent again with another body.
func TestUnsignedPayloadOfTheAPI(t *testing.T) {
	header := [][2]string{{"X-Amz-Content-Sha256", sigv4.UnsignedPayload}}
	in := sign(t, request{method: "POST", target: "/", service: "vpc-lattice-svcs", body: "hello", headers: header})
	checkCause(t, verify(in, dataPlane()), 0)
	asAPI := dataPlane()
	asAPI.DataPlane, asAPI.Body = false, []byte("hello")
	checkCause(t, verify(in, asAPI), sigv4.PayloadHash)
}

// TestHeaderValues: white space does not count, joins do, and "a,b" in one header
// is the same as a and b in two.
func TestHeaderValues(t *testing.T) {
	signed := request{method: "GET", target: "/", service: "vpc-lattice-svcs", headers: [][2]string{{"X-H", "a b"}, {"X-H", "c"}}}
	for _, test := range []struct {
		name   string
		values []string
		want   sigv4.Cause
	}{
		{"as signed", []string{"a b", "c"}, 0},
		{"around it", []string{"  a b\t", " c "}, 0},
		{"runs", []string{"a   b", "c"}, 0},
		{"tabs", []string{"a\tb", "c"}, 0},
		{"a tab among spaces", []string{"a \t b", "c"}, 0},
		{"joined", []string{"a b,c"}, 0},
		{"another order", []string{"c", "a b"}, sigv4.Mismatch},
		{"one less", []string{"a b"}, sigv4.Mismatch},
		{"one more", []string{"a b", "c", ""}, sigv4.Mismatch},
		{"no space", []string{"ab", "c"}, sigv4.Mismatch},
		{"none", nil, sigv4.AbsentHeader},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := sign(t, signed)
			remove(in, "x-h")
			for _, v := range test.values {
				add(in, "x-h", v)
			}
			checkCause(t, verify(in, dataPlane()), test.want)
		})
	}
}

// TestHostForms: gRPC clients send the port that their signers leave out.
func TestHostForms(t *testing.T) {
	for _, test := range []struct {
		name         string
		signed, sent string
		major        int
		tls          bool
		want         sigv4.Cause
	}{
		{"as signed", "rates.example", "rates.example", 1, true, 0},
		{"another port is a part of it", "rates.example:8443", "rates.example:8443", 2, true, 0},
		{"443 over TLS", "rates.example", "rates.example:443", 2, true, 0},
		{"80 in the clear", "rates.example", "rates.example:80", 2, false, 0},
		{"443 in the clear", "rates.example", "rates.example:443", 2, false, sigv4.Mismatch},
		{"80 over TLS", "rates.example", "rates.example:80", 2, true, sigv4.Mismatch},
		{"another port", "rates.example", "rates.example:8443", 2, true, sigv4.Mismatch},
		{"HTTP/1.1 clients leave it out themselves", "rates.example", "rates.example:443", 1, true, sigv4.Mismatch},
		{"no port where one was signed", "rates.example:8443", "rates.example", 2, true, sigv4.Mismatch},
		{"other letters", "rates.example", "Rates.example", 2, true, sigv4.Mismatch},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := sign(t, request{method: "POST", target: "/pkg.Service/Method", host: test.signed, service: "vpc-lattice-svcs"})
			in.Authority, in.Major = test.sent, test.major
			if test.tls {
				in.TLS = &inbound.TLS{}
			}
			checkCause(t, verify(in, dataPlane()), test.want)
		})
	}
}

// TestDates: X-Amz-Date wins over Date, which may have any of HTTP's forms.
func TestDates(t *testing.T) {
	const scope = "AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders="
	at := time.Date(2015, 8, 30, 12, 36, 0, 0, time.UTC)
	for _, test := range []struct {
		name, header, value string
		want                sigv4.Cause
	}{
		{"ISO 8601", "x-amz-date", "20150830T123600Z", sigv4.Mismatch},
		{"RFC 1123", "date", "Sun, 30 Aug 2015 12:36:00 GMT", sigv4.Mismatch},
		{"RFC 850", "date", "Sunday, 30-Aug-15 12:36:00 GMT", sigv4.Mismatch},
		{"ISO 8601 in Date", "date", "20150830T123600Z", sigv4.Mismatch},
		{"RFC 1123 in X-Amz-Date", "x-amz-date", "Sun, 30 Aug 2015 12:36:00 GMT", sigv4.Malformed},
		{"extended form", "x-amz-date", "2015-08-30T12:36:00Z", sigv4.Malformed},
		{"no zone", "x-amz-date", "20150830T123600", sigv4.Malformed},
		{"fraction", "x-amz-date", "20150830T1236.5Z", sigv4.Malformed},
		{"no such day", "x-amz-date", "20150230T123600Z", sigv4.Malformed},
		{"no such hour", "x-amz-date", "20150830T253600Z", sigv4.Malformed},
		{"another day than the scope", "x-amz-date", "20150831T000000Z", sigv4.BadScope},
		{"a day of year 0", "x-amz-date", "00000830T123600Z", sigv4.BadScope},
		{"empty", "x-amz-date", "", sigv4.Malformed},
		{"a minute and a second old", "x-amz-date", "20150830T123459Z", sigv4.Expired},
		{"a minute old", "x-amz-date", "20150830T123500Z", sigv4.Mismatch},
		{"a minute ahead", "x-amz-date", "20150830T123700Z", sigv4.Mismatch},
		{"a minute and a second ahead", "x-amz-date", "20150830T123701Z", sigv4.NotYet},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := &inbound.Request{Method: "GET", Target: "/", Authority: "a", Major: 1}
			add(in, "authorization", sigv4.AlgorithmHMAC+" Credential="+scope+strings.Join([]string{test.header, "host"}, ";")+
				", Signature="+strings.Repeat("0", 64))
			if test.header == "x-amz-date" {
				edit(in, "x-amz-date;host", "host;x-amz-date")
			}
			add(in, test.header, test.value)
			want := sigv4.Expect{Service: "service", Region: "us-east-1", Now: at, Skew: time.Minute}
			checkCause(t, verify(in, want), test.want)
			// The clock has parts of seconds, dates of requests have none.
			if want.Now = at.Add(999 * time.Millisecond); test.want == sigv4.Mismatch {
				checkCause(t, verify(in, want), test.want)
			}
			if test.header == "date" && test.want == sigv4.Mismatch {
				add(in, "x-amz-date", "20150830T123600Z")
				checkCause(t, verify(in, want), sigv4.UnsignedHeader)
				remove(in, "x-amz-date")
				edit(in, "date;host", "host")
				checkCause(t, verify(in, want), sigv4.UnsignedHeader)
			}
		})
	}
}

// TestAnswers are the codes and texts that callers see.
func TestAnswers(t *testing.T) {
	type answer struct{ API, Gateway string }
	got := map[sigv4.Cause]answer{}
	for cause := sigv4.Malformed; cause <= sigv4.UnsignedHeader; cause++ {
		e := &sigv4.Error{Cause: cause, Detail: "Why."}
		status, body := e.DataPlane()
		if status != http.StatusForbidden {
			t.Errorf("cause %d: status %d", cause, status)
		}
		f := e.Fault()
		if f.Message != "Why." {
			t.Errorf("cause %d: message %q", cause, f.Message)
		}
		got[cause] = answer{f.Code, body}
	}
	incomplete := answer{"IncompleteSignature", "IncompleteSignatureException: Why."}
	wrong := answer{"SignatureDoesNotMatch", "InvalidSignatureException: Why."}
	want := map[sigv4.Cause]answer{
		sigv4.Malformed:            incomplete,
		sigv4.Missing:              {"MissingAuthenticationToken", "MissingAuthenticationTokenException: Why."},
		sigv4.UnknownKey:           {"InvalidClientTokenId", "UnrecognizedClientException: Why."},
		sigv4.ExpiredToken:         {"ExpiredToken", "ExpiredTokenException: Why."},
		sigv4.Mismatch:             wrong,
		sigv4.Expired:              wrong,
		sigv4.NotYet:               wrong,
		sigv4.BadScope:             wrong,
		sigv4.PayloadHash:          wrong,
		sigv4.SignedPayload:        wrong,
		sigv4.MissingPayloadHeader: incomplete,
		sigv4.AbsentHeader:         incomplete,
		sigv4.UnsignedHeader:       incomplete,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
	if status, body := sigv4.ErrBusy.DataPlane(); status != http.StatusTooManyRequests || !strings.HasPrefix(body, "ThrottlingException: Rate exceeded") {
		t.Errorf("busy: %d %s", status, body)
	}
	if code := sigv4.ErrBusy.Fault().Code; code != "Throttling" {
		t.Errorf("busy: code %s", code)
	}
}
