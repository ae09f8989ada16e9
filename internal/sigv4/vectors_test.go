package sigv4_test

import (
	"strings"
	"testing"
	"time"

	"github.com/latchwork/latchwork/internal/inbound"
	"github.com/latchwork/latchwork/internal/sigv4"
)

// TestVectors verifies signatures that AWS published, so that the SDK is not the
// only judge.
// Source: aws-c-auth, the AWS Signature Version 4 test suite, and the IAM User
// Guide, "Signature Version 4" (ListUsers).
func TestVectors(t *testing.T) {
	const example = "example.amazonaws.com"
	for _, test := range []struct {
		name, method, target, host, service, headers, signature string
		more                                                    []inbound.Header
	}{
		{
			name: "get-vanilla", method: "GET", target: "/", host: example, service: "service", headers: "host;x-amz-date",
			signature: "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
		},
		{
			name: "post-vanilla", method: "POST", target: "/", host: example, service: "service", headers: "host;x-amz-date",
			signature: "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
		},
		{
			name: "get-vanilla-query-order-key-case", method: "GET", target: "/?Param2=value2&Param1=value1", host: example,
			service: "service", headers: "host;x-amz-date",
			signature: "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
		},
		{
			name: "ListUsers", method: "GET", target: "/?Action=ListUsers&Version=2010-05-08", host: "iam.amazonaws.com",
			service: "iam", headers: "content-type;host;x-amz-date",
			more:      []inbound.Header{{Name: "content-type", Value: "application/x-www-form-urlencoded; charset=utf-8"}},
			signature: "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := &inbound.Request{Method: test.method, Target: test.target, Authority: test.host, Major: 1, Headers: test.more}
			add(in, "x-amz-date", "20150830T123600Z")
			add(in, "authorization", sigv4.AlgorithmHMAC+" Credential="+creds.AccessKeyID+"/20150830/us-east-1/"+test.service+
				"/aws4_request, SignedHeaders="+test.headers+", Signature="+test.signature)
			want := sigv4.Expect{Service: test.service, Region: "us-east-1", Now: time.Date(2015, 8, 30, 12, 36, 0, 0, time.UTC), Skew: time.Minute}
			checkCause(t, verify(in, want), 0)
			edit(in, test.signature[:4], strings.Repeat("0", 4))
			checkCause(t, verify(in, want), sigv4.Mismatch)
		})
	}
}
