package sigv4_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/latchwork/latchwork/internal/sigv4"
)

// escaped draws text and percent-encodes it as the SDKs write it on the wire.
func escaped(t *rapid.T, label string, min int) string {
	return strings.ReplaceAll(url.QueryEscape(rapid.StringN(min, 12, -1).Draw(t, label)), "+", "%20")
}

// TestAgreesWithTheSDKOnAnything: whatever the SDK signs is verified, on both
// planes, and is not any more once one parameter is added.
func TestAgreesWithTheSDKOnAnything(t *testing.T) {
	v := sigv4.NewVerifier()
	outer := t
	rapid.Check(t, func(t *rapid.T) {
		q := request{method: rapid.SampledFrom([]string{"GET", "POST", "PUT", "DELETE", "PATCH"}).Draw(t, "method")}
		for range rapid.IntRange(0, 4).Draw(t, "segments") {
			// A segment of dots alone is never on the wire: inbound.CheckPath.
			q.target += "/s" + escaped(t, "segment", 0)
		}
		if q.target == "" || rapid.Bool().Draw(t, "slash") {
			q.target += "/"
		}
		var pairs []string
		for range rapid.IntRange(0, 6).Draw(t, "parameters") {
			pairs = append(pairs, escaped(t, "key", 1)+"="+escaped(t, "value", 0))
		}
		q.target += "?" + strings.Join(pairs, "&")
		for range rapid.IntRange(0, 4).Draw(t, "headers") {
			name := "X-H-" + rapid.SampledFrom([]string{"A", "B", "C"}).Draw(t, "header")
			q.headers = append(q.headers, [2]string{name, rapid.StringMatching(`[!-~ ]{0,12}`).Draw(t, "header value")})
		}
		if q.method != http.MethodGet {
			q.body = rapid.String().Draw(t, "body")
		}

		q.service = "vpc-lattice-svcs"
		q.single = rapid.Bool().Draw(t, "S3's path") && !strings.Contains(q.target, "%25")
		in := sign(outer, q)
		if err := verifyWith(v, in, dataPlane()); err != nil {
			t.Fatalf("data plane: %v\n%+v", err, in)
		}
		in.Target += "&extra"
		if err := verifyWith(v, in, dataPlane()); err == nil {
			t.Fatalf("verified with a parameter more: %s", in.Target)
		}

		q.service, q.single = "iam", false
		want := sigv4.Expect{Service: "iam", Now: now, Skew: time.Minute, Body: []byte(q.body)}
		in = sign(outer, q)
		if err := verifyWith(v, in, want); err != nil {
			t.Fatalf("control plane: %v\n%+v", err, in)
		}
		want.Body = append(want.Body, '\n')
		if err := verifyWith(v, in, want); err == nil {
			t.Fatal("verified with another body")
		}
	})
}

// TestPathsDoNotShareASignature: a signature that is good for one path is not good
// for another.
func TestPathsDoNotShareASignature(t *testing.T) {
	for _, test := range []struct{ signed, sent string }{
		{"/a%20b", "/a%2520b"},
		{"/a%2520b", "/a%20b"},
		{"/a%2Fb", "/a/b"},
		{"/a/b", "/a%2Fb"},
		{"/a%2Fb", "/a%252Fb"},
		{"/a%252Fb", "/a%2Fb"},
		{"/a", "/%61"},
		{"/%41", "/A"},
		{"/a/", "/a"},
	} {
		for _, single := range []bool{false, true} {
			in := sign(t, request{method: "GET", target: test.signed, service: "vpc-lattice-svcs", single: single})
			// What S3's form makes of "%25" is the double form of another path, so it is
			// no signature of this one.
			accepted := verify(in, dataPlane()) == nil
			if want := !single || !strings.Contains(test.signed, "%25"); accepted != want {
				t.Errorf("%s (S3's form: %t): accepted %t, want %t", test.signed, single, accepted, want)
			}
			if !accepted {
				continue
			}
			in.Target = test.sent
			if err := verify(in, dataPlane()); err == nil {
				t.Errorf("a signature of %s (S3's form: %t) is good for %s", test.signed, single, test.sent)
			}
		}
	}
}
