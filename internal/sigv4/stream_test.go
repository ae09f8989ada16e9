package sigv4_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/latchwork/latchwork/internal/inbound"
	"github.com/latchwork/latchwork/internal/sigv4"
)

// streamVectors are what Envoys sign: computed once from their sources and, for the
// filter's, seen on the wire.
var streamVectors = []struct {
	name, host, signed, payload, token, signature string
}{
	{"aws_iam with a token", emsHost, "host;x-amz-content-sha256;x-amz-date;x-amz-security-token", emptyHash, "EXAMPLETOKEN", "0f0fffcd2219180efb45d5347999d99d57b926ea9a75f3b31d635f52494753fc"},
	{"aws_iam", emsHost, "host;x-amz-content-sha256;x-amz-date", emptyHash, "", "0e7eb08cd0d3d18db406a6006e89572f04952bce8cdd32aadfaf99a1e1fb9b24"},
	{"filter of 1.36, included x-amz-*", emsHost, "host;x-amz-content-sha256;x-amz-date;x-amz-security-token", sigv4.UnsignedPayload, "EXAMPLETOKEN", "cc3ea2583b3cb61f5c2249b8396610ab941806437c397b198b4762888c40a705"},
	{"AWS's relay", emsHost, "content-type;host", sigv4.UnsignedPayload, "EXAMPLETOKEN", "a1a248e95c8f62066c6d8578463ef6aa6735e5dd17197893d29d5e7893dcb1e5"},
	{"another port", emsHost + ":8443", "host;x-amz-content-sha256;x-amz-date;x-amz-security-token", emptyHash, "EXAMPLETOKEN", "c0063b0bd4b96bfe6fad9f770e42f1358ce5b4c37cda0445072aacac779b5db3"},
	{"filter from 1.37, with a token", emsHost, "content-type;host;x-amz-content-sha256;x-amz-date;x-amz-security-token", sigv4.UnsignedPayload, "EXAMPLETOKEN", "1d5f7e3bb9241e23524d7e095e3d21a395f6c93944a99a4ddb3e7c7afb22f029"},
	{"filter from 1.37", emsHost, "content-type;host;x-amz-content-sha256;x-amz-date", sigv4.UnsignedPayload, "", "7f9ffe12d9d8823d142e6934eefae1d301dbf53165b309eb968f363e858f5ae4"},
	{"filter as it comes", emsHost, "content-type;host;te;x-amz-content-sha256;x-amz-date;x-amz-security-token;x-envoy-internal", sigv4.UnsignedPayload, "EXAMPLETOKEN", "86251af2cb2b7a558c2d02d9ec9d0edf32fe5ca1ac34af6867906132984ba180"},
}

const (
	emsHost   = "appmesh-envoy-management.us-east-1.amazonaws.com"
	adsPath   = "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources"
	emsSecret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
)

func streamRequest(authority, signed, payload, token, signature string) *inbound.Request {
	r := &inbound.Request{
		Method: "POST", Target: adsPath, Authority: authority, Major: 2, TLS: &inbound.TLS{},
		Headers: []inbound.Header{
			{Name: "content-type", Value: "application/grpc"},
			{Name: "te", Value: "trailers"},
			{Name: "x-envoy-internal", Value: "true"},
			{Name: "x-forwarded-for", Value: "10.0.0.1"},
			{Name: "x-amz-content-sha256", Value: payload},
			{Name: "x-amz-date", Value: "20261001T120000Z"},
			{Name: "authorization", Value: "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261001/us-east-1/appmesh/aws4_request, SignedHeaders=" + signed + ", Signature=" + signature},
		},
	}
	if token != "" {
		r.Headers = append(r.Headers, inbound.Header{Name: "x-amz-security-token", Value: token})
	}
	return r
}

func verifyStream(r *inbound.Request, hosts ...string) error {
	s, err := sigv4.Parse(r)
	if err != nil {
		return err
	}
	return sigv4.NewVerifier().Verify(r, s, sigv4.Secret(emsSecret), sigv4.Expect{
		Service: "appmesh", Region: "us-east-1", Now: time.Date(2026, 10, 1, 12, 1, 0, 0, time.UTC), Skew: 5 * time.Minute,
		Stream: true, Hosts: hosts,
	})
}

func TestStreamVectors(t *testing.T) {
	for _, v := range streamVectors {
		// What is signed may have lost or won a port on the way.
		for _, authority := range []string{v.host, emsHost + ":443"} {
			hosts := []string{}
			if authority != v.host && v.host != emsHost {
				hosts = append(hosts, v.host)
			}
			if err := verifyStream(streamRequest(authority, v.signed, v.payload, v.token, v.signature), hosts...); err != nil {
				t.Errorf("%s at %s: %v", v.name, authority, err)
			}
		}
		if err := verifyStream(streamRequest("ems.example:4443", v.signed, v.payload, v.token, v.signature), v.host); err != nil {
			t.Errorf("%s by a configured name: %v", v.name, err)
		}
		if err := verifyStream(streamRequest("ems.example", v.signed, v.payload, v.token, v.signature)); err == nil {
			t.Errorf("%s is good for another host", v.name)
		}
		other := streamRequest(v.host, v.signed, v.payload, v.token, v.signature)
		other.Target = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"
		if err := verifyStream(other); err == nil {
			t.Errorf("%s is good for another method", v.name)
		}
	}
}

// TestStreamPayload: the two ways to say that nothing is signed, and no other.
func TestStreamPayload(t *testing.T) {
	v := streamVectors[1]
	for payload, want := range map[string]sigv4.Cause{
		emptyHash[:63] + "0": sigv4.PayloadHash,
		"":                   sigv4.PayloadHash,
	} {
		r := streamRequest(v.host, v.signed, payload, "", v.signature)
		if err := verifyStream(r); cause(err) != want {
			t.Errorf("payload %q: %v, want %v", payload, err, want)
		}
	}
	// Without the header the hash is that of nothing; it cannot be signed then.
	r := streamRequest(emsHost, "host;x-amz-date", emptyHash, "", strings.Repeat("0", 64))
	r.Headers = append(r.Headers[:4], r.Headers[5:]...)
	if err := verifyStream(r); cause(err) != sigv4.Mismatch {
		t.Errorf("without the header: %v", err)
	}
	r = streamRequest(v.host, v.signed, emptyHash, "", v.signature)
	r.Headers = append(r.Headers[:5], r.Headers[6:]...)
	if err := verifyStream(r); err == nil {
		t.Error("a stream without a date is verified")
	}
}

func cause(err error) sigv4.Cause {
	var failure *sigv4.Error
	errors.As(err, &failure)
	if failure == nil {
		return 0
	}
	return failure.Cause
}
