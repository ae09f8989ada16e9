package sigv4_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/smithy-go/aws-http-auth/credentials"
	smithy "github.com/aws/smithy-go/aws-http-auth/sigv4"
	smithyv4 "github.com/aws/smithy-go/aws-http-auth/v4"

	"github.com/latchwork/latchwork/internal/inbound"
	"github.com/latchwork/latchwork/internal/sigv4"
)

// hand is what a signer computes, part by part, and so can be made to compute wrongly.
type hand struct {
	method, path, query, payload string
	lines                        []string // of the signed headers, in order
	time                         string
	secret                       string
	date, region, service        string // that the key is for
}

const noon = "20261125T120000Z"

// byHand signs a request with what a signer computes; change makes its mistakes. The
// request's signed headers are host and all that it has.
func byHand(in *inbound.Request, service string, change func(*hand)) *inbound.Request {
	if in.Authority == "" {
		in.Authority = "rates.example"
	}
	in.Major = max(in.Major, 1)
	if _, ok := in.Get("x-amz-date"); !ok {
		in.Headers = append(in.Headers, inbound.Header{Name: "x-amz-date", Value: noon})
	}
	h := hand{
		method: in.Method, path: in.Path(), query: in.RawQuery(), time: noon,
		secret: secret, date: "20261125", region: region, service: service,
	}
	sum := sha256.Sum256(nil)
	h.payload = hex.EncodeToString(sum[:])
	if service == "vpc-lattice-svcs" {
		h.payload = sigv4.UnsignedPayload
		in.Headers = append(in.Headers, inbound.Header{Name: "x-amz-content-sha256", Value: h.payload})
	}
	names, values := []string{"host"}, map[string][]string{"host": {in.Authority}}
	for _, header := range in.Headers {
		names = append(names, header.Name)
		values[header.Name] = append(values[header.Name], header.Value)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	for _, name := range names {
		h.lines = append(h.lines, name+":"+strings.Join(values[name], ","))
	}
	if change != nil {
		change(&h)
	}
	signed := strings.Join(names, ";")
	canonical := sha256.Sum256([]byte(strings.Join([]string{h.method, h.path, h.query, strings.Join(h.lines, "\n") + "\n", signed, h.payload}, "\n")))
	scope := "20261125/" + region + "/" + service + "/aws4_request"
	key := []byte("AWS4" + h.secret)
	for _, part := range []string{h.date, h.region, h.service, "aws4_request", strings.Join([]string{sigv4.AlgorithmHMAC, h.time, scope, hex.EncodeToString(canonical[:])}, "\n")} {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(part))
		key = mac.Sum(nil)
	}
	in.Headers = append(in.Headers, inbound.Header{
		Name:  "authorization",
		Value: sigv4.AlgorithmHMAC + " Credential=" + creds.AccessKeyID + "/" + scope + ", SignedHeaders=" + signed + ", Signature=" + hex.EncodeToString(key),
	})
	return in
}

func get(target string, headers ...inbound.Header) *inbound.Request {
	return &inbound.Request{Method: "GET", Target: target, Headers: headers}
}

func header(name, value string) inbound.Header { return inbound.Header{Name: name, Value: value} }

// bySmithy signs with aws-http-auth of smithy-go.
func bySmithy(t *testing.T, target string, headers ...inbound.Header) *inbound.Request {
	t.Helper()
	r, err := http.NewRequest("GET", "http://rates.example"+target, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		r.Header.Add(h.Name, h.Value)
	}
	signer := smithy.New(func(o *smithyv4.SignerOptions) {
		o.AddPayloadHashHeader = true
		o.HeaderRules = all{}
	})
	err = signer.SignRequest(&smithy.SignRequestInput{
		Request: r, Credentials: credentials.Credentials{AccessKeyID: creds.AccessKeyID, SecretAccessKey: secret},
		Service: "vpc-lattice-svcs", Region: region, Time: now, PayloadHash: smithyv4.UnsignedPayload(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return view(r, target)
}

// all signs every header.
type all struct{}

func (all) IsSigned(string) bool { return true }

// apiWith is what the API demands of a request with a body.
func apiWith(body string) sigv4.Expect {
	return sigv4.Expect{Service: "vpc-lattice", Region: region, Now: now, Skew: 5 * time.Minute, Body: []byte(body)}
}

func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// TestDifferences: each way in which real signers differ from AWS's rules is found and
// named.
func TestDifferences(t *testing.T) {
	svcs, control := dataPlane(), apiWith("")
	for _, test := range []struct {
		name string
		in   *inbound.Request
		want sigv4.Expect
		// part, server, client and a text of the fix, of each difference.
		differences [][4]string
	}{
		{
			"path as it is typed", byHand(get("/orders/a%20b"), "vpc-lattice", nil), control,
			[][4]string{{sigv4.PartPath, "/orders/a%2520b", "/orders/a%20b", "curl --aws-sigv4 (7.88.1)"}},
		},
		{
			"the same by aws-sdk-go-v2 with S3's option, where the path has %25",
			sign(t, request{method: "GET", target: "/a%2520b", service: "vpc-lattice-svcs", single: true}), svcs,
			[][4]string{{sigv4.PartPath, "/a%252520b", "/a%2520b", "unless it has %25 in it"}},
		},
		{
			"path not normalised, by aws-sdk-go-v2", sign(t, request{method: "GET", target: "/a//b%20c/", service: "vpc-lattice"}), control,
			[][4]string{{sigv4.PartPath, "/a/b%2520c/", "/a//b%2520c/", "aws-sdk-go-v2"}},
		},
		{
			"path normalised and not encoded", byHand(get("/a//b%20c"), "vpc-lattice", func(h *hand) { h.path = "/a/b%20c" }), control,
			[][4]string{{sigv4.PartPath, "/a/b%2520c", "/a/b%20c", "encoded once more"}},
		},
		{
			"path decoded and encoded", byHand(get("/a:b%2fc"), "vpc-lattice", func(h *hand) { h.path = "/a%3Ab/c" }), control,
			[][4]string{{sigv4.PartPath, "/a%3Ab%252fc", "/a%3Ab/c", "encode the path twice"}},
		},
		{
			"path decoded", byHand(get("/a%20b"), "vpc-lattice", func(h *hand) { h.path = "/a b" }), control,
			[][4]string{{sigv4.PartPath, "/a%2520b", "/a b", "URL.Path"}},
		},
		{
			"path encoded three times", byHand(get("/a%20b"), "vpc-lattice", func(h *hand) { h.path = "/a%252520b" }), control,
			[][4]string{{sigv4.PartPath, "/a%2520b", "/a%252520b", "once less"}},
		},
		{
			"no slash at the end", byHand(get("/a/"), "vpc-lattice-svcs", func(h *hand) { h.path = "/a" }), svcs,
			[][4]string{{sigv4.PartPath, "/a/", "/a", "slash at the path's end"}},
		},
		{
			"a slash too much", byHand(get("/a"), "vpc-lattice-svcs", func(h *hand) { h.path = "/a/" }), svcs,
			[][4]string{{sigv4.PartPath, "/a", "/a/", "slash at the path's end"}},
		},
		{
			"no path", byHand(get("/a"), "vpc-lattice-svcs", func(h *hand) { h.path = "/" }), svcs,
			[][4]string{{sigv4.PartPath, "/a", "/", "only the host"}},
		},
		{
			"an empty path", byHand(get("/a"), "vpc-lattice-svcs", func(h *hand) { h.path = "" }), svcs,
			[][4]string{{sigv4.PartPath, "/a", "", "given none"}},
		},
		{
			"query not sorted", byHand(get("/?b=2&a=1"), "vpc-lattice-svcs", nil), svcs,
			[][4]string{{sigv4.PartQueryOrder, "a=1&b=2", "b=2&a=1", "curl --aws-sigv4 (7.88.1)"}},
		},
		{
			"query sorted by whole texts", byHand(get("/?id=2&id-type=1"), "vpc-lattice-svcs", func(h *hand) { h.query = "id-type=1&id=2" }), svcs,
			[][4]string{{sigv4.PartQueryOrder, "id=2&id-type=1", "id-type=1&id=2", "not by name=value"}},
		},
		{
			"sorted before encoding", byHand(get("/?b&a=x0&a=x%2Fb&a=x-b"), "vpc-lattice-svcs", func(h *hand) { h.query = "a=x-b&a=x%2Fb&a=x0&b=" }), svcs,
			[][4]string{{sigv4.PartQueryOrder, "a=x%2Fb&a=x-b&a=x0&b=", "a=x-b&a=x%2Fb&a=x0&b=", "Envoy"}},
		},
		{
			"values not sorted", byHand(get("/?b=1&a=2&a=1"), "vpc-lattice-svcs", func(h *hand) { h.query = "a=2&a=1&b=1" }), svcs,
			[][4]string{{sigv4.PartQueryOrder, "a=1&a=2&b=1", "a=2&a=1&b=1", "minio-go"}},
		},
		{
			"a name without value", byHand(get("/?flag"), "vpc-lattice-svcs", nil), svcs,
			[][4]string{{sigv4.PartQueryEncoding, "flag=", "flag", "type name="}},
		},
		{
			"a value as it is typed", byHand(get("/?a=x/y:z"), "vpc-lattice-svcs", nil), svcs,
			[][4]string{{sigv4.PartQueryEncoding, "a=x%2Fy%3Az", "a=x/y:z", "percent-encoded in capitals"}},
		},
		{
			"sorted as it is typed, as by botocore", byHand(get("/?b=%2f&a&c=+"), "vpc-lattice-svcs", func(h *hand) { h.query = "a=&b=%2f&c=+" }), svcs,
			[][4]string{{sigv4.PartQueryEncoding, "a=&b=%2F&c=%20", "a=&b=%2f&c=+", "botocore"}},
		},
		{
			"as it is typed altogether", byHand(get("/?b=%2f&a"), "vpc-lattice-svcs", nil), svcs,
			[][4]string{{sigv4.PartQueryEncoding, "a=&b=%2F", "b=%2f&a", "and sorted by name"}},
		},
		{
			"plus as itself", byHand(get("/?a=x+y"), "vpc-lattice-svcs", func(h *hand) { h.query = "a=x%2By" }), svcs,
			[][4]string{{sigv4.PartQueryEncoding, "a=x%20y", "a=x%2By", "common runtime"}},
		},
		{
			"query encoded twice", byHand(get("/?a=x%20y"), "vpc-lattice-svcs", func(h *hand) { h.query = "a=x%2520y" }), svcs,
			[][4]string{{sigv4.PartQueryEncoding, "a=x%20y", "a=x%2520y", "awscurl"}},
		},
		{
			"the first of several values", byHand(get("/?a=1&a=2"), "vpc-lattice-svcs", func(h *hand) { h.query = "a=1" }), svcs,
			[][4]string{{sigv4.PartQueryEncoding, "a=1&a=2", "a=1", "keeps one"}},
		},
		{
			"the last of several values", byHand(get("/?a=1&a=2"), "vpc-lattice-svcs", func(h *hand) { h.query = "a=2" }), svcs,
			[][4]string{{sigv4.PartQueryEncoding, "a=1&a=2", "a=2", "keeps the last"}},
		},
		{
			"query not signed", byHand(get("/?a=1"), "vpc-lattice-svcs", func(h *hand) { h.query = "" }), svcs,
			[][4]string{{sigv4.PartQueryEncoding, "a=1", "", "path alone"}},
		},
		{
			"host without its port", byHand(&inbound.Request{Method: "GET", Target: "/", Authority: "rates.example:8080"}, "vpc-lattice-svcs", func(h *hand) { h.lines[0] = "host:rates.example" }), svcs,
			[][4]string{{sigv4.PartHost, "rates.example:8080", "rates.example", "8080 stays"}},
		},
		{
			"host with the scheme's port", byHand(get("/"), "vpc-lattice-svcs", func(h *hand) { h.lines[0] += ":443" }), svcs,
			[][4]string{{sigv4.PartHost, "rates.example", "rates.example:443", "scheme's own port"}},
		},
		{
			"host before a proxy", byHand(get("/", header("x-forwarded-host", "api.example")), "vpc-lattice-svcs", func(h *hand) { h.lines[0] = "host:api.example" }), svcs,
			[][4]string{{sigv4.PartHost, "rates.example", "api.example", "preserve_host"}},
		},
		{
			"host in lower case", byHand(&inbound.Request{Method: "GET", Target: "/", Authority: "Rates.Example"}, "vpc-lattice-svcs", func(h *hand) { h.lines[0] = "host:rates.example" }), svcs,
			[][4]string{{sigv4.PartHost, "Rates.Example", "rates.example", "awscurl"}},
		},
		{
			"no host", byHand(get("/"), "vpc-lattice-svcs", func(h *hand) { h.lines[0] = "host:" }), svcs,
			[][4]string{{sigv4.PartHost, "rates.example", "", "set before signing"}},
		},
		{
			"host with a stop", byHand(&inbound.Request{Method: "GET", Target: "/", Authority: "rates.example."}, "vpc-lattice-svcs", func(h *hand) { h.lines[0] = "host:rates.example" }), svcs,
			[][4]string{{sigv4.PartHost, "rates.example.", "rates.example", "stop"}},
		},
		{
			"spaces inside a value, by smithy-go", bySmithy(t, "/", header("X-Role", "a   b")), svcs,
			[][4]string{{sigv4.PartHeader, "x-role:a b", "x-role:a   b", "smithy-go"}},
		},
		{
			"spaces around a value", byHand(get("/", header("x-role", " a ")), "vpc-lattice-svcs", nil), svcs,
			[][4]string{{sigv4.PartHeader, "x-role:a", "x-role: a ", "ends of a header"}},
		},
		{
			"values joined with a space", byHand(get("/", header("x-role", "a"), header("x-role", "b")), "vpc-lattice-svcs", func(h *hand) { h.lines[3] = "x-role:a, b" }), svcs,
			[][4]string{{sigv4.PartHeader, "x-role:a,b", "x-role:a, b", "comma alone"}},
		},
		{
			"a line for each value", byHand(get("/", header("x-role", "a"), header("x-role", "b")), "vpc-lattice-svcs", func(h *hand) { h.lines[3] = "x-role:a\nx-role:b" }), svcs,
			[][4]string{{sigv4.PartHeader, "x-role:a,b", "x-role:a\nx-role:b", "-H"}},
		},
		{
			"the first value", byHand(get("/", header("x-role", "a"), header("x-role", "b")), "vpc-lattice-svcs", func(h *hand) { h.lines[3] = "x-role:a" }), svcs,
			[][4]string{{sigv4.PartHeader, "x-role:a,b", "x-role:a", "signed the first"}},
		},
		{
			"the last value", byHand(get("/", header("x-role", "a"), header("x-role", "b")), "vpc-lattice-svcs", func(h *hand) { h.lines[3] = "x-role:b" }), svcs,
			[][4]string{{sigv4.PartHeader, "x-role:a,b", "x-role:b", "signed the last"}},
		},
		{
			"lines sorted whole", byHand(get("/", header("x-a", "1"), header("x-a-b", "2")), "vpc-lattice-svcs", func(h *hand) { slices.Sort(h.lines) }), svcs,
			[][4]string{{
				sigv4.PartHeader, "host:rates.example\nx-a:1\nx-a-b:2\nx-amz-content-sha256:UNSIGNED-PAYLOAD\nx-amz-date:20261125T120000Z",
				"host:rates.example\nx-a-b:2\nx-a:1\nx-amz-content-sha256:UNSIGNED-PAYLOAD\nx-amz-date:20261125T120000Z", "curl --aws-sigv4",
			}},
		},
		{
			"the body's hash although the header says otherwise, by aws-sdk-go-v2", goSDK(t, "{}", hash("{}")), withBody(svcs, "{}"),
			[][4]string{{sigv4.PartPayload, "UNSIGNED-PAYLOAD", hash("{}"), "SignHTTP"}},
		},
		{
			"the hash of nothing", byHand(get("/"), "vpc-lattice-svcs", func(h *hand) { h.payload = hash("") }), svcs,
			[][4]string{{sigv4.PartPayload, "UNSIGNED-PAYLOAD", hash(""), "the hash of nothing"}},
		},
		{
			"unsigned payload at the API", byHand(get("/"), "vpc-lattice", func(h *hand) { h.payload = "UNSIGNED-PAYLOAD" }), control,
			[][4]string{{sigv4.PartPayload, hash(""), "UNSIGNED-PAYLOAD", "SHA-256 of the body"}},
		},
		{
			"the body with a line break more", byHand(get("/"), "vpc-lattice", func(h *hand) { h.payload = hash("{}\n") }), apiWith("{}"),
			[][4]string{{sigv4.PartPayload, hash("{}"), hash("{}\n"), "--data-binary"}},
		},
		{
			"the body with a line break less", byHand(get("/"), "vpc-lattice", func(h *hand) { h.payload = hash("{}") }), apiWith("{}\r\n"),
			[][4]string{{sigv4.PartPayload, hash("{}\r\n"), hash("{}"), "--data-binary"}},
		},
		{
			"other line breaks", byHand(get("/"), "vpc-lattice", func(h *hand) { h.payload = hash("a\nb\n") }), apiWith("a\r\nb\r\n"),
			[][4]string{{sigv4.PartPayload, hash("a\r\nb\r\n"), hash("a\nb\n"), "CR LF"}},
		},
		{
			"method in small letters", byHand(get("/"), "vpc-lattice-svcs", func(h *hand) { h.method = "get" }), svcs,
			[][4]string{{sigv4.PartMethod, "GET", "get", "capitals"}},
		},
		{
			"another method", byHand(&inbound.Request{Method: "HEAD", Target: "/"}, "vpc-lattice-svcs", func(h *hand) { h.method = "GET" }), svcs,
			[][4]string{{sigv4.PartMethod, "HEAD", "GET", "redirect"}},
		},
		{
			"the date of another header", byHand(get("/", header("date", "Wed, 25 Nov 2026 11:59:00 GMT")), "vpc-lattice-svcs", func(h *hand) { h.time = "20261125T115900Z" }), svcs,
			[][4]string{{sigv4.PartDate, noon, "20261125T115900Z", "wins over"}},
		},
		{
			"a key for another service", byHand(get("/"), "vpc-lattice-svcs", func(h *hand) { h.service = "vpc-lattice" }), svcs,
			[][4]string{{sigv4.PartScope, "a key for 20261125/us-west-2/vpc-lattice-svcs/aws4_request", "a key for 20261125/us-west-2/vpc-lattice/aws4_request", "signing name"}},
		},
		{
			"a key for another region", byHand(get("/"), "vpc-lattice-svcs", func(h *hand) { h.region = "us-east-1" }), svcs,
			[][4]string{{sigv4.PartScope, "a key for 20261125/us-west-2/vpc-lattice-svcs/aws4_request", "a key for 20261125/us-east-1/vpc-lattice-svcs/aws4_request", "region"}},
		},
		{
			"a key of yesterday", byHand(get("/"), "vpc-lattice-svcs", func(h *hand) { h.date = "20261124" }), svcs,
			[][4]string{{sigv4.PartScope, "a key for 20261125/us-west-2/vpc-lattice-svcs/aws4_request", "a key for 20261124/us-west-2/vpc-lattice-svcs/aws4_request", "one day"}},
		},
		{
			"a secret with a line break", byHand(get("/"), "vpc-lattice-svcs", func(h *hand) { h.secret += "\n" }), svcs,
			[][4]string{{sigv4.PartSecret, "the secret of AKIDEXAMPLE", "the secret with a line break at its end", "printf"}},
		},
		{
			"a secret that went through a form", byHand(get("/"), "vpc-lattice-svcs", func(h *hand) { h.secret = strings.ReplaceAll(h.secret, "+", " ") }), svcs,
			[][4]string{{sigv4.PartSecret, "the secret of AKIDEXAMPLE", "the secret with spaces for +", "form"}},
		},
		{
			"three mistakes of curl 7.88.1", byHand(get("/a%20b?b=2&a=1", header("x-a", "1"), header("x-a-b", "2")), "vpc-lattice", func(h *hand) { slices.Sort(h.lines) }), control,
			[][4]string{
				{sigv4.PartPath, "/a%2520b", "/a%20b", "curl"},
				{sigv4.PartQueryOrder, "a=1&b=2", "b=2&a=1", "curl"},
				{sigv4.PartHeader, "", "", "curl"},
			},
		},
		{"another secret", byHand(get("/"), "vpc-lattice-svcs", func(h *hand) { h.secret = "another" }), svcs, nil},
		{
			"of SigV4A: the path", asymmetric(t, func(r *inbound.Request) { r.Target = "/rates/?b=2&a=1" }), svcs,
			[][4]string{{sigv4.PartPath, "/rates/", "/rates", "slash"}},
		},
		{
			"of SigV4A: the host and the path", asymmetric(t, func(r *inbound.Request) { r.Target = "/rates/?b=2&a=1"; r.Authority += ":80" }), svcs,
			[][4]string{{sigv4.PartPath, "/rates/", "/rates", "slash"}, {sigv4.PartHost, "rates.example:80", "rates.example", "port"}},
		},
		{
			"a target without a path", byHand(get("?b=2&a=1"), "vpc-lattice", func(h *hand) { h.path = "/" }), control,
			[][4]string{{sigv4.PartQueryOrder, "a=1&b=2", "b=2&a=1", "curl"}},
		},
		{
			"presigned, path not normalised", presign(t, "vpc-lattice", "/a//b", hash("")), control,
			[][4]string{{sigv4.PartPath, "/a/b", "/a//b", "aws-sdk-go-v2"}},
		},
		{
			"presigned, a parameter added after signing", after(presign(t, "vpc-lattice", "/a?b=1", hash("")), func(r *inbound.Request) { r.Target += "&b=2" }), control,
			[][4]string{{sigv4.PartQueryEncoding, "", "", "keeps one"}},
		},
		{"presigned, another path", after(presign(t, "vpc-lattice", "/a", hash("")), func(r *inbound.Request) { r.Target = "/b" + r.Target[2:] }), control, nil},
		{
			"a path with a bad escape", byHand(get("/a%zz"), "vpc-lattice", nil), control,
			[][4]string{{sigv4.PartPath, "/a%25zz", "/a%zz", "curl"}},
		},
		{"of SigV4A: another path", asymmetric(t, func(r *inbound.Request) { r.Target = "/r" }), svcs, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			v := sigv4.NewVerifier()
			checkCause(t, verifyWith(v, test.in, test.want), sigv4.Mismatch)
			d := v.Diagnose(test.in, sigv4.Secret(secret), test.want)
			if d.Valid || d.Cause != "mismatch" || d.Server == nil || strings.HasPrefix(d.Note, "nothing") != (test.differences == nil) || test.differences == nil && d.Client != nil {
				t.Fatalf("%+v", d)
			}
			if len(d.Differences) != len(test.differences) {
				t.Fatalf("differences %+v", d.Differences)
			}
			for i, want := range test.differences {
				got := d.Differences[i]
				if got.Part != want[0] || want[1]+want[2] != "" && (got.Server != want[1] || got.Client != want[2]) || !strings.Contains(got.Fix, want[3]) {
					t.Errorf("difference %q, want %q", got, want)
				}
			}
			text, err := json.Marshal(d)
			if err != nil || strings.Contains(string(text), secret) || strings.Contains(string(text), "session") {
				t.Errorf("%s (%v)", text, err)
			}
		})
	}
}

func after(r *inbound.Request, change func(*inbound.Request)) *inbound.Request {
	change(r)
	return r
}

func withBody(e sigv4.Expect, body string) sigv4.Expect {
	e.Body = []byte(body)
	return e
}

// goSDK signs a body's hash beside a header that says that there is none.
func goSDK(t *testing.T, body, payload string) *inbound.Request {
	t.Helper()
	r, err := http.NewRequest("POST", "http://rates.example/", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Amz-Content-Sha256", sigv4.UnsignedPayload)
	if err := v4.NewSigner().SignHTTP(context.Background(), creds, r, payload, "vpc-lattice-svcs", region, now); err != nil {
		t.Fatal(err)
	}
	return view(r, "/")
}

// asymmetric signs a request with SigV4A, which then is changed.
func asymmetric(t *testing.T, change func(*inbound.Request)) *inbound.Request {
	t.Helper()
	in := signAsymmetric(t, request{method: "GET", target: "/rates?b=2&a=1", service: "vpc-lattice-svcs"}, region)
	change(in)
	return in
}

// TestRefusalsExplained: what is refused without a key being needed names the part and
// the fix too.
func TestRefusalsExplained(t *testing.T) {
	good := request{method: "GET", target: "/?b=2&a=1", service: "vpc-lattice-svcs"}
	type change = func(*inbound.Request, *sigv4.Expect)
	for _, test := range []struct {
		name   string
		change change
		// cause, code, part, and texts of what the client has done and of the fix.
		cause, code, part, client, fix string
	}{
		{"not signed", func(r *inbound.Request, _ *sigv4.Expect) { remove(r, "authorization") }, "missing", "MissingAuthenticationTokenException", sigv4.PartHeader, "no Authorization", "curl --aws-sigv4 \"aws:amz:REGION:vpc-lattice-svcs\""},
		{"another key", func(r *inbound.Request, _ *sigv4.Expect) { edit(r, "AKIDEXAMPLE", "AKIDANOTHER") }, "unknown-key", "UnrecognizedClientException", sigv4.PartSecret, "AKIDANOTHER", "ASIA"},
		{"another service", func(_ *inbound.Request, e *sigv4.Expect) { e.Service = "vpc-lattice" }, "bad-scope", "InvalidSignatureException", sigv4.PartScope, "20261125/us-west-2/vpc-lattice-svcs/aws4_request", "signing name"},
		{"another region", func(_ *inbound.Request, e *sigv4.Expect) { e.Region = "eu-west-1" }, "bad-scope", "InvalidSignatureException", sigv4.PartScope, "us-west-2", "AWS_REGION"},
		{"another day", func(r *inbound.Request, _ *sigv4.Expect) { edit(r, "/20261125/", "/20261124/") }, "bad-scope", "InvalidSignatureException", sigv4.PartScope, "20261124", "midnight"},
		{"too old", func(_ *inbound.Request, e *sigv4.Expect) { e.Now = e.Now.Add(time.Hour) }, "expired", "InvalidSignatureException", sigv4.PartDate, noon, "NTP"},
		{"too early", func(_ *inbound.Request, e *sigv4.Expect) { e.Now = e.Now.Add(-time.Hour) }, "not-yet", "InvalidSignatureException", sigv4.PartDate, noon, "UTC"},
		{"payload header not signed", func(r *inbound.Request, _ *sigv4.Expect) { edit(r, "x-amz-content-sha256;", "") }, "missing-payload-header", "IncompleteSignatureException", sigv4.PartPayload, "not signed", "-H for curl"},
		{"payload header gone", func(r *inbound.Request, _ *sigv4.Expect) {
			remove(r, "x-amz-content-sha256")
			edit(r, "x-amz-content-sha256;", "")
		}, "missing-payload-header", "IncompleteSignatureException", sigv4.PartPayload, "sent no", "aws4fetch"},
		{"a signed payload", func(r *inbound.Request, _ *sigv4.Expect) { setHeader(r, "x-amz-content-sha256", hash("")) }, "signed-payload", "InvalidSignatureException", sigv4.PartPayload, hash(""), "before signing"},
		{"payload at the API", func(_ *inbound.Request, e *sigv4.Expect) { e.DataPlane = false }, "payload-hash", "InvalidSignatureException", sigv4.PartPayload, "UNSIGNED-PAYLOAD", "data plane"},
		{"payload of a stream", func(r *inbound.Request, e *sigv4.Expect) {
			e.DataPlane, e.Stream = false, true
			setHeader(r, "x-amz-content-sha256", hash("x"))
		}, "payload-hash", "UNAUTHENTICATED", sigv4.PartPayload, hash("x"), "use_unsigned_payload"},
		{"a header that is not there", func(r *inbound.Request, _ *sigv4.Expect) { edit(r, "host;", "accept;host;") }, "absent-header", "IncompleteSignatureException", sigv4.PartHeader, "signed accept", "Accept:"},
		{"a header that is not signed", func(r *inbound.Request, _ *sigv4.Expect) { add(r, "x-amz-security-token", "t") }, "unsigned-header", "IncompleteSignatureException", sigv4.PartHeader, "signed host;", "security-token"},
		{"a signature in both places", func(r *inbound.Request, _ *sigv4.Expect) { r.Target = "/?X-Amz-Signature=00" }, "malformed", "IncompleteSignatureException", sigv4.PartHeader, "in the query string", "presigned URL"},
		{"two Authorization headers", func(r *inbound.Request, _ *sigv4.Expect) { add(r, "authorization", "Bearer x") }, "malformed", "IncompleteSignatureException", sigv4.PartHeader, "sent 2", "bearer token"},
		{"two dates", func(r *inbound.Request, _ *sigv4.Expect) { add(r, "x-amz-date", noon) }, "malformed", "IncompleteSignatureException", sigv4.PartDate, "sent 2", "7.88.1"},
		{"two hashes", func(r *inbound.Request, _ *sigv4.Expect) { add(r, "x-amz-content-sha256", "UNSIGNED-PAYLOAD") }, "malformed", "IncompleteSignatureException", sigv4.PartPayload, "sent 2", "once"},
		{"two tokens", func(r *inbound.Request, _ *sigv4.Expect) {
			add(r, "x-amz-security-token", "t")
			add(r, "x-amz-security-token", "u")
		}, "malformed", "IncompleteSignatureException", sigv4.PartHeader, "sent 2", "session token once"},
		{"no date", func(r *inbound.Request, _ *sigv4.Expect) { remove(r, "x-amz-date") }, "malformed", "IncompleteSignatureException", sigv4.PartDate, "no date", "taken it out"},
		{"a date with hyphens", func(r *inbound.Request, _ *sigv4.Expect) { setHeader(r, "x-amz-date", "2026-11-25T12:00:00Z") }, "malformed", "IncompleteSignatureException", sigv4.PartDate, "2026-11-25", "hyphens"},
		{"another date with hyphens", func(r *inbound.Request, _ *sigv4.Expect) {
			remove(r, "x-amz-date")
			add(r, "date", "2026-11-25")
		}, "malformed", "IncompleteSignatureException", sigv4.PartDate, "date: 2026-11-25", "hyphens"},
		{"headers not sorted", func(r *inbound.Request, _ *sigv4.Expect) {
			edit(r, "host;x-amz-content-sha256", "x-amz-content-sha256;host")
		}, "malformed", "IncompleteSignatureException", sigv4.PartHeader, "x-amz-content-sha256;host", "whole lines"},
		{"headers in capitals", func(r *inbound.Request, _ *sigv4.Expect) { edit(r, "=host;", "=Host;") }, "malformed", "IncompleteSignatureException", sigv4.PartHeader, "Host;", "lower case"},
		{"many headers", func(r *inbound.Request, _ *sigv4.Expect) {
			var names strings.Builder
			for i := range 200 {
				fmt.Fprintf(&names, "a%03d;", i)
			}
			edit(r, "host;", names.String()+"host;")
		}, "malformed", "IncompleteSignatureException", sigv4.PartHeader, "more", "no other"},
		{"host not signed", func(r *inbound.Request, _ *sigv4.Expect) { edit(r, "host;", "") }, "malformed", "IncompleteSignatureException", sigv4.PartHost, "x-amz-date", "host"},
		{"a short credential", func(r *inbound.Request, _ *sigv4.Expect) { edit(r, "/us-west-2/", "/") }, "malformed", "IncompleteSignatureException", sigv4.PartScope, "parts", "without slashes"},
		{"no access key", func(r *inbound.Request, _ *sigv4.Expect) { edit(r, "AKIDEXAMPLE", "") }, "malformed", "IncompleteSignatureException", sigv4.PartSecret, "none", "environment"},
		{"signature in capitals", func(r *inbound.Request, _ *sigv4.Expect) { upper(r) }, "malformed", "IncompleteSignatureException", sigv4.PartHeader, "another", "lower-case"},
		{"another key, of IAM", func(r *inbound.Request, e *sigv4.Expect) {
			e.Service = "iam"
			edit(r, "AKIDEXAMPLE", "AKIDANOTHER")
			edit(r, "vpc-lattice-svcs", "iam")
			e.DataPlane = false
			remove(r, "x-amz-content-sha256")
			edit(r, "x-amz-content-sha256;", "")
		}, "unknown-key", "InvalidClientTokenId", sigv4.PartSecret, "AKIDANOTHER", "ASIA"},
		{"a presigned request too late", func(r *inbound.Request, e *sigv4.Expect) {
			*r = *presign(t, "vpc-lattice", "/?X-Amz-Expires=60", hash(""))
			*e = apiWith("")
			e.Now = e.Now.Add(2 * time.Minute)
		}, "expired", "InvalidSignatureException", sigv4.PartDate, noon, "X-Amz-Expires"},
		{"SigV4A for other regions", func(r *inbound.Request, _ *sigv4.Expect) {
			*r = *signAsymmetric(t, request{method: "GET", target: "/", service: "vpc-lattice-svcs"}, "eu-*")
		}, "bad-scope", "InvalidSignatureException", sigv4.PartScope, "20261125/vpc-lattice-svcs", "x-amz-region-set"},
		{"no equals sign", func(r *inbound.Request, _ *sigv4.Expect) { edit(r, ", SignedHeaders", ", x, SignedHeaders") }, "malformed", "IncompleteSignatureException", sigv4.PartHeader, "another Authorization", "cut"},
		{"SigV2", func(r *inbound.Request, _ *sigv4.Expect) { edit(r, "AWS4-HMAC-SHA256 ", "AWS x:") }, "malformed", "IncompleteSignatureException", sigv4.PartHeader, "algorithm", "SigV2"},
		{"SigV4A with a scope of SigV4", func(r *inbound.Request, _ *sigv4.Expect) { edit(r, "AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256") }, "malformed", "IncompleteSignatureException", sigv4.PartScope, "parts", "without slashes"},
		{"SigV4A without regions", func(r *inbound.Request, _ *sigv4.Expect) {
			edit(r, "AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256")
			edit(r, "/us-west-2/", "/")
		}, "malformed", "IncompleteSignatureException", sigv4.PartScope, "none", "x-amz-region-set"},
		{"SigV4A with regions twice", func(r *inbound.Request, _ *sigv4.Expect) {
			edit(r, "AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256")
			add(r, "x-amz-region-set", "a")
			add(r, "x-amz-region-set", "b")
		}, "malformed", "IncompleteSignatureException", sigv4.PartScope, "sent 2", "commas"},
		{"SigV4A with r and s", func(r *inbound.Request, _ *sigv4.Expect) {
			edit(r, "AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256")
			edit(r, "/us-west-2/", "/")
			edit(r, "Signature=", "Signature="+strings.Repeat("0", 128))
		}, "malformed", "IncompleteSignatureException", sigv4.PartHeader, "another", "DER"},
		{"a bad escape", func(r *inbound.Request, _ *sigv4.Expect) { r.Target = "/?a=50%" }, "malformed", "IncompleteSignatureException", sigv4.PartQueryEncoding, "a=50%", "%25"},
		{"a cut header", func(r *inbound.Request, _ *sigv4.Expect) { edit(r, ", Signature=", ", Sign=") }, "malformed", "IncompleteSignatureException", sigv4.PartHeader, "Authorization", "cut"},
		{"a cut URL", func(r *inbound.Request, _ *sigv4.Expect) {
			remove(r, "authorization")
			r.Target = "/?X-Amz-Algorithm=AWS4-HMAC-SHA256"
		}, "malformed", "IncompleteSignatureException", sigv4.PartHeader, "X-Amz-Algorithm", "single quotes"},
		{"a URL presigned twice", func(r *inbound.Request, _ *sigv4.Expect) {
			remove(r, "authorization")
			r.Target = "/?X-Amz-Signature=00&X-Amz-Security-Token=secret-token&X-Amz-Signature=00"
		}, "malformed", "IncompleteSignatureException", sigv4.PartQueryEncoding, "[redacted]", "presigned already"},
		{"an escaped parameter", func(r *inbound.Request, _ *sigv4.Expect) {
			remove(r, "authorization")
			r.Target = "/?X-Amz-Signatur%65=00"
		}, "malformed", "IncompleteSignatureException", sigv4.PartQueryEncoding, "%65", "as they are"},
		{"a bad parameter", func(r *inbound.Request, _ *sigv4.Expect) {
			remove(r, "authorization")
			r.Target = "/?X-Amz-Signature=%zz"
		}, "malformed", "IncompleteSignatureException", sigv4.PartQueryEncoding, "%zz", "whole"},
		{"a long life", func(r *inbound.Request, _ *sigv4.Expect) {
			*r = *presign(t, "vpc-lattice-svcs", "/?X-Amz-Expires=9999999", sigv4.UnsignedPayload)
		}, "malformed", "IncompleteSignatureException", sigv4.PartDate, "Expires", "seconds"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, want := sign(t, good), dataPlane()
			test.change(r, &want)
			key := sigv4.Secret(secret)
			if test.cause == "unknown-key" {
				key = nil
			}
			d := sigv4.NewVerifier().Diagnose(r, key, want)
			if d.Valid || d.Cause != test.cause || d.Code != test.code || d.Text == "" || len(d.Differences) == 0 {
				t.Fatalf("%+v", d)
			}
			got := d.Differences[0]
			if got.Part != test.part || !strings.Contains(got.Client, test.client) || !strings.Contains(got.Fix, test.fix) || got.Server == "" || got.Client == "sent something else" {
				t.Errorf("difference %+v", got)
			}
			if text := fmt.Sprint(d.Server, d.Client, d.Differences); strings.Contains(text, "secret-token") || strings.Contains(text, secret) {
				t.Errorf("it shows a secret: %s", text)
			}
		})
	}
}

// TestRefused: a refusal that nothing more is known of is diagnosed too, and none but
// those of the table is without a text of its own.
func TestRefused(t *testing.T) {
	for _, test := range []struct {
		err                 *sigv4.Error
		code, part, summary string
	}{
		{sigv4.ErrExpiredToken, "ExpiredTokenException", sigv4.PartSecret, "secret: get new credentials"},
		{sigv4.ErrBusy, "ThrottlingException", "", "Rate exceeded"},
		{&sigv4.Error{Cause: sigv4.Malformed, Detail: "something new"}, "IncompleteSignatureException", sigv4.PartHeader, "header: sign with AWS's own SDK"},
	} {
		d := sigv4.Refused(test.err, get("/"), dataPlane())
		if d.Valid || d.Text != test.err.Detail || d.Code != test.code || len(d.Differences) > 0 != (test.part != "") || !strings.HasPrefix(d.Summary(), test.summary) {
			t.Errorf("%+v", d)
		}
	}
	if d := sigv4.NewVerifier().Diagnose(sign(t, request{method: "GET", target: "/", service: "vpc-lattice-svcs"}), sigv4.Secret(secret), dataPlane()); !d.Valid || d.Summary() != "the signature is valid" {
		t.Errorf("%+v", d)
	}
}

// TestUnexplained: where nothing is found, what is likely is said.
func TestUnexplained(t *testing.T) {
	const proxies, bodies = "it signs user-agent, x-envoy-a, x-forwarded-for, which proxies change", "the gateway keeps no bodies"
	another := func(h *hand) { h.secret = "another" }
	for _, test := range []struct {
		in       *inbound.Request
		want     sigv4.Expect
		says     []string
		saysNone []string
	}{
		{byHand(get("/"), "vpc-lattice-svcs", another), dataPlane(), nil, []string{"proxies change", bodies}},
		{byHand(get("/", header("x-forwarded-for", "a"), header("user-agent", "b"), header("x-envoy-a", "c")), "vpc-lattice-svcs", another), dataPlane(), []string{proxies}, []string{bodies}},
		{goSDK(t, "{}", hash("{}")), dataPlane(), []string{"it signs content-length, which", bodies}, nil},
		{byHand(&inbound.Request{Method: "POST", Target: "/"}, "vpc-lattice", another), apiWith(""), nil, []string{bodies}},
	} {
		note := sigv4.NewVerifier().Diagnose(test.in, sigv4.Secret(secret), test.want).Note
		for _, text := range test.says {
			if !strings.Contains(note, text) {
				t.Errorf("%q does not say %q", note, text)
			}
		}
		for _, text := range test.saysNone {
			if note == "" || strings.Contains(note, text) {
				t.Errorf("%q says %q", note, text)
			}
		}
	}
}

func setHeader(r *inbound.Request, name, value string) {
	remove(r, name)
	add(r, name, value)
}

// TestMoreThanOneReason: a refusal that needs no key does not hide what else is wrong.
func TestMoreThanOneReason(t *testing.T) {
	in := byHand(get("/?b=2&a=1"), "vpc-lattice", nil)
	want := apiWith("")
	want.Now = want.Now.Add(time.Hour)
	d := sigv4.NewVerifier().Diagnose(in, sigv4.Secret(secret), want)
	if d.Cause != "expired" || len(d.Differences) != 2 || d.Differences[0].Part != sigv4.PartDate || d.Differences[1].Part != sigv4.PartQueryOrder || d.Client == nil {
		t.Errorf("%+v", d)
	}
	if got := d.Summary(); !strings.HasPrefix(got, "date, query order: set the client's clock") {
		t.Errorf("summary %q", got)
	}
}

// TestDiagnoseIsBounded: a request that is as large as one can be, and fits nothing,
// is given up.
func TestDiagnoseIsBounded(t *testing.T) {
	in := byHand(get("/a//b%20c?"+strings.Repeat("b=%2f&a&", 499), header("x-a", strings.Repeat("a  b", 10000)), header("x-a", "2")), "vpc-lattice", func(h *hand) { h.secret = "another" })
	d := sigv4.NewVerifier().Diagnose(in, sigv4.Secret(secret), apiWith(""))
	if d.Client != nil || d.Note == "" {
		t.Errorf("%+v", d)
	}
}

// FuzzDiagnose: it never panics, agrees with Verify, and finds for every mistake
// something that is signed as it says.
func FuzzDiagnose(f *testing.F) {
	f.Add("GET", "/a%20b?b=2&a", "rates.example:80", "x-role", " a  b", "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261125/us-west-2/vpc-lattice-svcs/aws4_request, SignedHeaders=host;x-amz-date, Signature="+strings.Repeat("0", 64), uint8(0))
	f.Add("GET", "/rates?a=1", "rates.example", "x-role", "a", "", uint8(0))
	f.Add("POST", "/?X-Amz-Security-Token=t", "", "x-amz-content-sha256", "UNSIGNED-PAYLOAD", "", uint8(7))
	f.Fuzz(func(t *testing.T, method, target, host, name, value, authorization string, mode uint8) {
		want := dataPlane()
		want.DataPlane, want.Stream = mode&1 == 0, mode&1 != 0 && mode&2 != 0
		v := sigv4.NewVerifier()
		raw := &inbound.Request{Method: method, Target: target, Authority: host, Major: 1, Headers: []inbound.Header{{Name: name, Value: value}, {Name: "authorization", Value: authorization}, {Name: "x-amz-date", Value: noon}}}
		made := byHand(&inbound.Request{Method: method, Target: target, Authority: host, Headers: []inbound.Header{{Name: strings.ToLower(name), Value: value}}}, "vpc-lattice-svcs", nil)
		for _, in := range []*inbound.Request{raw, made} {
			err := verifyWith(v, in, want)
			s, _ := sigv4.Parse(in)
			key := sigv4.Secret(secret)
			if s != nil && s.AccessKeyID != creds.AccessKeyID {
				key = nil
			}
			d := v.Diagnose(in, key, want)
			if d.Valid != (err == nil) || err != nil && d.Text != err.Error() {
				t.Fatalf("diagnosed as %+v, verified with %v", d, err)
			}
			if d.Cause == "mismatch" && (len(d.Differences) == 0) != strings.HasPrefix(d.Note, "nothing") {
				t.Fatalf("a signer is known and nothing differs: %+v", d)
			}
		}
	})
}

func BenchmarkDiagnose(b *testing.B) {
	in := byHand(get("/a%20b?b=2&a&c=%2f", header("x-a", "1")), "vpc-lattice-svcs", func(h *hand) { h.secret = "another" })
	for b.Loop() {
		sigv4.NewVerifier().Diagnose(in, sigv4.Secret(secret), dataPlane())
	}
}

// TestShownKeyID: people paste secrets where the id of a key belongs.
func TestShownKeyID(t *testing.T) {
	for id, want := range map[string]string{"AKIDEXAMPLE": "AKIDEXAMPLE", "ASIA234567": "ASIA234567", "wJalrXUtnFEMI+K7MDENG": "what is no access key id"} {
		in := sign(t, request{method: "GET", target: "/", service: "vpc-lattice-svcs"})
		edit(in, "Credential=AKIDEXAMPLE/", "Credential="+id+"/")
		s, err := sigv4.Parse(in)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.ShownKeyID(); got != want {
			t.Errorf("%s is shown as %s", id, got)
		}
		d := sigv4.NewVerifier().Diagnose(in, nil, dataPlane())
		if text := fmt.Sprint(d.Differences, d.Text, d.Server); want != id && strings.Contains(text, id) {
			t.Errorf("%s is in %s", id, text)
		}
	}
}
