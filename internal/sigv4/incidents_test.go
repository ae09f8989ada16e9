package sigv4_test

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/latchwork/latchwork/internal/inbound"
	"github.com/latchwork/latchwork/internal/sigv4"
)

// TestIncidents: what went wrong in other verifiers does not here. Each has the number
// under which it was published, or the thread. Those of SigV4A are in TestAsymmetric,
// those of looking keys up in package credential, of headers that only the gateway may
// set in package authz. FuzzParse is for the overflows of curl's signer (OSV-2022-1046,
// OSV-2022-1065). Requests to STS that others relay, as in CVE-2020-16250, are taken
// nowhere: a signature is good for one service, as the cases of CVE-2025-65073 show.
func TestIncidents(t *testing.T) {
	lattice := func(t *testing.T, headers ...[2]string) *inbound.Request {
		return sign(t, request{method: "PUT", target: "/rates?a=1", service: "vpc-lattice-svcs", headers: headers})
	}
	iam := func(t *testing.T) *inbound.Request {
		return sign(t, request{method: "POST", target: "/", service: "iam", body: "Action=ListUsers"})
	}
	api := func() sigv4.Expect {
		return sigv4.Expect{Service: "iam", Now: now, Skew: 15 * time.Minute, Body: []byte("Action=ListUsers")}
	}
	sts := sigv4.Expect{Service: "sts", Now: now, Skew: 15 * time.Minute}
	later := func(w sigv4.Expect, by time.Duration) sigv4.Expect {
		w.Now = w.Now.Add(by)
		return w
	}
	for _, test := range []struct {
		name string
		in   func(*testing.T) *inbound.Request
		want sigv4.Expect
		// cause is why it is refused; 0 for what must be accepted.
		cause sigv4.Cause
	}{
		{
			"CVE-2025-31489, a payload mode whose signature nobody checked", func(t *testing.T) *inbound.Request {
				in := iam(t)
				add(in, "x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
				edit(in, "SignedHeaders=content-length;host;", "SignedHeaders=content-length;host;x-amz-content-sha256;")
				setSignature(strings.Repeat("0", 64))(in)
				return in
			}, api(), sigv4.PayloadHash,
		},
		{
			"CVE-2025-31489 on the data plane", func(t *testing.T) *inbound.Request {
				return lattice(t, [2]string{"X-Amz-Content-Sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"})
			}, dataPlane(), sigv4.SignedPayload,
		},
		{
			"CVE-2026-41145, a credential in the query and no signature", func(*testing.T) *inbound.Request {
				return &inbound.Request{Method: "GET", Target: "/?X-Amz-Credential=" + creds.AccessKeyID + "%2F20261125%2Fus-west-2%2Fsts%2Faws4_request", Authority: "rates.example"}
			}, sts, sigv4.Malformed,
		},
		{
			"SeaweedFS issue 2180 and PR 8878, a hash without key for a signature", func(t *testing.T) *inbound.Request {
				in := lattice(t)
				sum := sha256.Sum256([]byte(sigv4.NewVerifier().Diagnose(in, sigv4.Secret(secret), dataPlane()).Server.StringToSign))
				setSignature(hex.EncodeToString(sum[:]))(in)
				return in
			}, dataPlane(), sigv4.Mismatch,
		},
		{
			"SeaweedFS issue 9121, versitygw 57747021, GHSA-g8w9-qw9q-fghr: an x-amz header that is not signed", func(t *testing.T) *inbound.Request {
				in := iam(t)
				add(in, "x-amz-target", "AWSIdentityManagement.DeleteUser")
				return in
			}, api(), sigv4.UnsignedHeader,
		},
		{
			"the same in a presigned request", func(t *testing.T) *inbound.Request {
				in := presign(t, "sts", "/?Action=GetCallerIdentity", emptyHash)
				add(in, "x-amz-target", "a")
				return in
			}, sts, sigv4.UnsignedHeader,
		},
		{
			"SeaweedFS issue 10031, keys that begin alike", func(t *testing.T) *inbound.Request {
				return sign(t, request{method: "GET", target: "/?id-type=1&id=2&id=1&a%2Fb=1&a-b=2", service: "vpc-lattice-svcs"})
			}, dataPlane(), 0,
		},
		{
			"versitygw 9f6bf183, headers that seldom are signed", func(t *testing.T) *inbound.Request {
				// Whoever signs everything signs these too.
				return sign(t, request{method: "GET", target: "/", service: "vpc-lattice-svcs", headers: [][2]string{{"TE", "trailers"}, {"Range", "bytes=0-1"}}})
			}, dataPlane(), 0,
		},
		{
			"RustFS daa627ee, a presigned request for longer than a week", func(t *testing.T) *inbound.Request {
				return presign(t, "sts", "/?X-Amz-Expires=604801", emptyHash)
			}, sts, sigv4.Malformed,
		},
		{
			"s3proxy 05b8b93b, signatures of both kinds", func(t *testing.T) *inbound.Request {
				in := presign(t, "sts", "/?X-Amz-Expires=300", emptyHash)
				add(in, "authorization", "AWS4-HMAC-SHA256 Credential=a/20261125/us-west-2/sts/aws4_request, SignedHeaders=host, Signature="+strings.Repeat("0", 64))
				return in
			}, sts, sigv4.Malformed,
		},
		{
			"s3proxy 7243dc36, a presigned request after its time", func(t *testing.T) *inbound.Request {
				return presign(t, "sts", "/?X-Amz-Expires=60", emptyHash)
			}, later(sts, 61*time.Second), sigv4.Expired,
		},
		{
			"s3proxy 5ff5896a, the case of a value", func(t *testing.T) *inbound.Request {
				in := lattice(t, [2]string{"X-Role", "Reader"})
				for i := range in.Headers {
					if in.Headers[i].Name == "x-role" {
						in.Headers[i].Value = "reader"
					}
				}
				return in
			}, dataPlane(), sigv4.Mismatch,
		},
		{"CVE-2020-12692, a request that is old", lattice1(lattice), later(dataPlane(), 5*time.Minute+time.Second), sigv4.Expired},
		{"CVE-2020-12692, one from the future", lattice1(lattice), later(dataPlane(), -5*time.Minute-time.Second), sigv4.NotYet},
		{"CVE-2025-65073, CVE-2026-43001: a signature for another service", lattice1(lattice), func() sigv4.Expect {
			w := dataPlane()
			w.Service = "sts"
			return w
		}(), sigv4.BadScope},
		{
			"CVE-2022-2385, a parameter of the signature twice", func(t *testing.T) *inbound.Request {
				in := presign(t, "sts", "/?Action=GetCallerIdentity", emptyHash)
				in.Target += "&X-Amz-Credential=AKIDOTHER%2F20261125%2Fus-west-2%2Fsts%2Faws4_request"
				return in
			}, sts, sigv4.Malformed,
		},
		{
			"CVE-2022-2385, the same in other letters is a parameter like any", func(t *testing.T) *inbound.Request {
				in := presign(t, "sts", "/?Action=GetCallerIdentity", emptyHash)
				in.Target += "&x-amz-credential=AKIDOTHER%2F20261125%2Fus-west-2%2Fsts%2Faws4_request"
				return in
			}, sts, sigv4.Mismatch,
		},
		{
			"chimera issue 1187, the scope of another day", func(t *testing.T) *inbound.Request {
				in := lattice(t)
				edit(in, "/20261125/", "/20261124/")
				return in
			}, dataPlane(), sigv4.BadScope,
		},
		{
			"chimera issue 1187, of another region", func(t *testing.T) *inbound.Request {
				in := lattice(t)
				edit(in, "/us-west-2/", "/us-east-1/")
				return in
			}, dataPlane(), sigv4.BadScope,
		},
		{
			"one header for two by a comma", func(t *testing.T) *inbound.Request {
				// Two headers and one with a comma are the same to the signature, so a
				// condition must see them joined: as gateway and policy do.
				in := lattice(t, [2]string{"X-Role", "a"}, [2]string{"X-Role", "b"})
				remove(in, "x-role")
				add(in, "x-role", "a,b")
				return in
			}, dataPlane(), 0,
		},
	} {
		t.Run(test.name, func(t *testing.T) { checkCause(t, verify(test.in(t), test.want), test.cause) })
	}
}

func lattice1(f func(*testing.T, ...[2]string) *inbound.Request) func(*testing.T) *inbound.Request {
	return func(t *testing.T) *inbound.Request { return f(t) }
}

// TestSecretsThatAnybodyKnows: for floci issue 2680, an unknown key had its own id for
// a secret, and an empty one was a secret like others.
func TestSecretsThatAnybodyKnows(t *testing.T) {
	original := creds
	defer func() { creds = original }()
	for _, known := range []string{creds.AccessKeyID, "", strings.Repeat("0", 40)} {
		creds.SecretAccessKey = known
		if known == "" {
			creds.SecretAccessKey = "\x00" // The SDK signs with no empty one.
		}
		in := sign(t, request{method: "GET", target: "/", service: "vpc-lattice-svcs"})
		s, err := sigv4.Parse(in)
		if err != nil {
			t.Fatal(err)
		}
		checkCause(t, sigv4.NewVerifier().Verify(in, s, nil, dataPlane()), sigv4.UnknownKey)
	}
}
