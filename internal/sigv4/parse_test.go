package sigv4_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/latchwork/latchwork/internal/inbound"
	"github.com/latchwork/latchwork/internal/sigv4"
)

// TestAuthorizationHeader parses one header; the signature in it is of nothing, so
// what is whole fails only when it is verified.
func TestAuthorizationHeader(t *testing.T) {
	const (
		credential = "Credential=AKID/20261125/us-west-2/vpc-lattice-svcs/aws4_request"
		signed     = "SignedHeaders=host;x-amz-content-sha256;x-amz-date"
	)
	signature := "Signature=" + strings.Repeat("0", 64)
	whole := func(c, h, s string) string { return sigv4.AlgorithmHMAC + " " + c + ", " + h + ", " + s }
	var many []string
	for i := range 130 {
		many = append(many, fmt.Sprintf("a%03d", i))
	}
	for _, test := range []struct {
		name, header string
		want         sigv4.Cause
		text         string
	}{
		{"whole", whole(credential, signed, signature), sigv4.Mismatch, "does not match the signature you provided"},
		{"another order", whole(signature, credential, signed), sigv4.Mismatch, ""},
		{"no spaces", sigv4.AlgorithmHMAC + " " + credential + "," + signed + "," + signature, sigv4.Mismatch, ""},
		{"more spaces", sigv4.AlgorithmHMAC + "  " + credential + " \t, " + signed + " ,  " + signature + " ", sigv4.Mismatch, ""},
		{"spaces before", " \t" + whole(credential, signed, signature), sigv4.Mismatch, ""},
		{"scheme alone", sigv4.AlgorithmHMAC, sigv4.Malformed, "Authorization header requires 'Credential' parameter. Authorization header requires 'SignedHeaders' parameter. Authorization header requires 'Signature' parameter."},
		{"no credential", whole("a=b", signed, signature), sigv4.Malformed, "Authorization header requires 'Credential' parameter."},
		{"no equals sign", whole("Credential", signed, signature), sigv4.Malformed, "missing equal-sign"},
		{"credential twice", whole(credential+", "+credential, signed, signature), sigv4.Malformed, "twice"},
		{"signature twice", whole(credential, signed, signature+", "+signature), sigv4.Malformed, "twice"},
		{"four parts", whole("Credential=AKID/20261125/us-west-2/aws4_request", signed, signature), sigv4.Malformed, "exactly 5 slash-delimited elements"},
		{"six parts", whole("Credential=AKID/20261125/us-west-2/vpc-lattice-svcs/x/aws4_request", signed, signature), sigv4.Malformed, "exactly 5 slash-delimited elements"},
		{"a slash in the key id", whole("Credential=AK/ID/20261125/us-west-2/vpc-lattice-svcs/aws4_request", signed, signature), sigv4.Malformed, ""},
		{"no key id", whole("Credential=/20261125/us-west-2/vpc-lattice-svcs/aws4_request", signed, signature), sigv4.Malformed, "access key id"},
		{"terminator", whole("Credential=AKID/20261125/us-west-2/vpc-lattice-svcs/aws5_request", signed, signature), sigv4.BadScope, "valid terminator: 'aws4_request'"},
		{"another day", whole("Credential=AKID/20261124/us-west-2/vpc-lattice-svcs/aws4_request", signed, signature), sigv4.BadScope, "'20261124' != '20261125', from '20261125T120000Z'."},
		{"no signed headers", whole(credential, "SignedHeaders=", signature), sigv4.Malformed, ""},
		{"an empty name", whole(credential, "SignedHeaders=;host;x-amz-content-sha256;x-amz-date", signature), sigv4.Malformed, "lower-case"},
		{"upper case", whole(credential, "SignedHeaders=Host;host;x-amz-content-sha256;x-amz-date", signature), sigv4.Malformed, "lower-case"},
		{"not sorted", whole(credential, "SignedHeaders=x-amz-date;host;x-amz-content-sha256", signature), sigv4.Malformed, "sorted"},
		{"a name twice", whole(credential, "SignedHeaders=host;host;x-amz-content-sha256;x-amz-date", signature), sigv4.Malformed, "sorted"},
		{"too many names", whole(credential, "SignedHeaders="+strings.Join(many, ";"), signature), sigv4.Malformed, "more than 128"},
		{"host not signed", whole(credential, "SignedHeaders=x-amz-content-sha256;x-amz-date", signature), sigv4.Malformed, "'Host' or ':authority' must be a 'SignedHeader'"},
		{"date not signed", whole(credential, "SignedHeaders=host;x-amz-content-sha256", signature), sigv4.UnsignedHeader, "'x-amz-date' must be"},
		{"payload header not signed", whole(credential, "SignedHeaders=host;x-amz-date", signature), sigv4.MissingPayloadHeader, "Missing the 'x-amz-content-sha256' in canonical headers"},
		{"absent header signed", whole(credential, "SignedHeaders=connection;host;x-amz-content-sha256;x-amz-date", signature), sigv4.AbsentHeader, "'connection' is named as a SignedHeader, but it does not exist in the HTTP request."},
		{"short signature", whole(credential, signed, signature[:len(signature)-1]), sigv4.Malformed, "64 lower-case"},
		{"long signature", whole(credential, signed, signature+"0"), sigv4.Malformed, "64 lower-case"},
		{"letters in the signature", whole(credential, signed, "Signature="+strings.Repeat("g", 64)), sigv4.Malformed, "64 lower-case"},
		{"capitals in the signature", whole(credential, signed, "Signature="+strings.Repeat("A", 64)), sigv4.Malformed, "64 lower-case"},
		{"SigV2", "AWS AKID:c2ln", sigv4.Malformed, "sign with AWS4-HMAC-SHA256"},
		{"Roles Anywhere", "AWS4-X509-RSA-SHA256 " + credential + ", " + signed + ", " + signature, sigv4.Malformed, "sign with AWS4-HMAC-SHA256"},
		{"SigV4A", "AWS4-ECDSA-P256-SHA256 " + credential + ", " + signed + ", " + signature, sigv4.Malformed, "exactly 4 slash-delimited elements"},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := &inbound.Request{Method: "GET", Target: "/", Authority: "a", Major: 1}
			add(in, "authorization", test.header)
			add(in, "x-amz-content-sha256", sigv4.UnsignedPayload)
			add(in, "x-amz-date", "20261125T120000Z")
			err := verify(in, dataPlane())
			if test.want == sigv4.Mismatch {
				s, parseErr := sigv4.Parse(in)
				if parseErr != nil {
					t.Fatal(parseErr)
				}
				err = sigv4.NewVerifier().Verify(in, s, sigv4.Secret(secret), dataPlane())
			}
			checkCause(t, err, test.want)
			if !strings.Contains(err.Error(), test.text) {
				t.Errorf("text %q, want %q in it", err, test.text)
			}
			if strings.Contains(err.Error(), "AKID") {
				t.Errorf("text %q repeats the credential, where people paste secrets", err)
			}
		})
	}
}

func TestLongQuery(t *testing.T) {
	for query, want := range map[string]sigv4.Cause{
		"a=" + strings.Repeat("b", 33<<10): sigv4.Malformed,
		"a=" + strings.Repeat("b", 31<<10): 0,
		strings.Repeat("a&", 1000) + "a":   sigv4.Malformed,
		strings.Repeat("a=&", 999) + "a=":  0,
	} {
		checkCause(t, verify(sign(t, request{method: "GET", target: "/?" + query, service: "vpc-lattice-svcs"}), dataPlane()), want)
	}
}
