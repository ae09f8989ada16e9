//go:build conformance

package conformance

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/smithy-go/aws-http-auth/credentials"
	"github.com/aws/smithy-go/aws-http-auth/sigv4a"
	v4a "github.com/aws/smithy-go/aws-http-auth/v4"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

// signer is one way to sign requests to a service.
type signer struct {
	name  string // of its column
	title string
	// pin says what is installed, in the words of the file that does it.
	pin string
	// send names who sends what it signed; see askAll.
	send string
	// unsigned says that the payload is not signed, sign signs into a header and presign
	// into the query string: code, which the test runs and docs/signers.md shows.
	unsigned, sign, presign string
	// notes are for docs/signers.md: what it gets wrong, and what to know.
	notes []string
	// missing says why it is not on this machine.
	missing func() string
}

// code is what signs.
func (s signer) code(unsigned, presign bool) (lines []string) {
	lines = []string{s.sign}
	if presign {
		lines[0] = s.presign
	}
	switch {
	case !unsigned || s.unsigned == "":
	case s.send == "curl":
		lines = append(lines, s.unsigned) // It is the end of a command.
	default:
		lines = append([]string{s.unsigned}, lines...)
	}
	return lines
}

// The code of signers in Python, JavaScript and shell is run as it stands here. That
// in Go is taken from the functions below.
var signers = []signer{
	{
		name: "botocore", title: "botocore, `SigV4Auth`", pin: "boto3[crt]==1.44.5", send: "python",
		unsigned: `request.headers["x-amz-content-sha256"] = "UNSIGNED-PAYLOAD"`,
		sign:     `SigV4Auth(credentials, "vpc-lattice-svcs", region).add_auth(request)`,
		presign:  `SigV4QueryAuth(credentials, "vpc-lattice-svcs", region, expires=300).add_auth(request)`,
		notes: []string{
			"Signs the query as it is typed: write a space as `%20` and not `+`, `/` as `%2F`, `:` as `%3A`, or take `crt`.",
		},
	},
	{
		name: "crt", title: "botocore with CRT, `CrtSigV4Auth`", pin: "boto3[crt]==1.44.5", send: "python",
		unsigned: `request.headers["x-amz-content-sha256"] = "UNSIGNED-PAYLOAD"`,
		sign:     `CrtSigV4Auth(credentials, "vpc-lattice-svcs", region).add_auth(request)`,
		presign:  `CrtSigV4QueryAuth(credentials, "vpc-lattice-svcs", region, expires=300).add_auth(request)`,
		notes: []string{
			"Takes `+` in a query for a plus sign: write a space as `%20`.",
			"Presigned for `vpc-lattice-svcs`, it adds the header itself.",
		},
	},
	{
		name: "crt-a", title: "botocore with CRT, `CrtSigV4AsymAuth` (SigV4A)", pin: "boto3[crt]==1.44.5", send: "python",
		unsigned: `request.headers["x-amz-content-sha256"] = "UNSIGNED-PAYLOAD"`,
		sign:     `CrtSigV4AsymAuth(credentials, "vpc-lattice-svcs", region).add_auth(request)`,
		presign:  `CrtSigV4AsymQueryAuth(credentials, "vpc-lattice-svcs", region, expires=300).add_auth(request)`,
		notes: []string{
			"As `crt`. `region` is a list with commas, or `*`.",
		},
	},
	{
		name: "go", title: "AWS SDK for Go v2, `aws/signer/v4`", pin: "github.com/aws/aws-sdk-go-v2 v1.48.0", send: "go",
		unsigned: `r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")`,
		sign:     `err = v4.NewSigner().SignHTTP(ctx, credentials, r, "UNSIGNED-PAYLOAD", "vpc-lattice-svcs", region, time.Now())`,
		presign:  `link, _, err = v4.NewSigner().PresignHTTP(ctx, credentials, r, "UNSIGNED-PAYLOAD", "vpc-lattice-svcs", region, time.Now())`,
		notes: []string{
			"Sends the query in the form that is signed, so that the target receives it sorted and encoded, and `flag=` for `flag`.",
			"The payload's hash, which is passed to it, does not set the header: set it first.",
			"gRPC: sign a `POST` of the method's path, and send `authorization` and the `x-amz-*` headers as metadata.",
		},
	},
	{
		name: "smithy-go-a", title: "smithy-go, `aws-http-auth/sigv4a` (SigV4A)", pin: "github.com/aws/smithy-go/aws-http-auth v1.2.2", send: "smithy-go",
		unsigned: `options = append(options, func(o *v4a.SignerOptions) { o.AddPayloadHashHeader = true })`,
		sign: `in := &sigv4a.SignRequestInput{Request: r, Credentials: credentials, Service: "vpc-lattice-svcs", RegionSet: regions, PayloadHash: v4a.UnsignedPayload()}
err := sigv4a.New().SignRequest(in, options...)`,
		presign: `in := &sigv4a.SignRequestInput{Request: r, Credentials: credentials, Service: "vpc-lattice-svcs", RegionSet: regions, PayloadHash: v4a.UnsignedPayload()}
in.SignatureType = v4a.SignatureTypeQueryString
err := sigv4a.New().SignRequest(in, options...)`,
		notes: []string{
			"Without `PayloadHash` it signs `UNSIGNED-PAYLOAD` where the body cannot seek, and that of `http.NewRequest` cannot: at the API pass the hash of the body.",
		},
	},
	{
		name: "js", title: "JavaScript, `@smithy/signature-v4`", pin: `"@smithy/signature-v4": "5.7.5"`, send: "smithy",
		unsigned: `request.headers["x-amz-content-sha256"] = "UNSIGNED-PAYLOAD";`,
		sign:     `const signed = await new SignatureV4({ credentials, region, service: "vpc-lattice-svcs", sha256: Sha256 }).sign(request);`,
		presign:  `const signed = await new SignatureV4({ credentials, region, service: "vpc-lattice-svcs", sha256: Sha256 }).presign(request, { expiresIn: 300, unhoistableHeaders: new Set(["x-amz-content-sha256"]) });`,
		notes: []string{
			"Puts the body's hash into the header by itself: set the header first.",
			"`host` must be among the headers.",
			"A header has one value: several are one with a comma.",
			"The SDK's HTTP handler sends the query in the form that is signed.",
			"Presigned: without `unhoistableHeaders` the header becomes a parameter of the query, and VPC Lattice wants a header.",
		},
	},
	{
		name: "js-a", title: "JavaScript, `@smithy/signature-v4a` (SigV4A)", pin: `"@smithy/signature-v4a": "3.6.2"`, send: "smithy",
		unsigned: `request.headers["x-amz-content-sha256"] = "UNSIGNED-PAYLOAD";`,
		sign:     `const signed = await new SignatureV4a({ credentials, region, service: "vpc-lattice-svcs", sha256: Sha256 }).sign(request);`,
		notes: []string{
			"As `js`. `region` is a list with commas, or `*`. It does not presign.",
		},
	},
	{
		name: "aws4fetch", title: "JavaScript, aws4fetch", pin: `"aws4fetch": "1.0.20"`, send: "fetch",
		unsigned: `headers["x-amz-content-sha256"] = "UNSIGNED-PAYLOAD";`,
		sign:     `const signed = await new AwsClient({ ...credentials, region, service: "vpc-lattice-svcs" }).sign(url, { method, headers, body });`,
		presign:  `const signed = await new AwsClient({ ...credentials, region, service: "vpc-lattice-svcs" }).sign(url, { method, headers, body, aws: { signQuery: true } });`,
		notes: []string{
			"Signs the body's hash and sends no header: set it.",
			"Its `fetch` signs in the same way; `sign` gives the request.",
			"Presigned: `X-Amz-Expires` is a parameter that the caller adds to the URL.",
		},
	},
	{
		name: "aws4", title: "JavaScript, aws4", pin: `"aws4": "1.13.2"`, send: "aws4",
		unsigned: `headers["x-amz-content-sha256"] = "UNSIGNED-PAYLOAD";`,
		sign:     `const signed = aws4.sign({ host, method, path, headers, body, region, service: "vpc-lattice-svcs" }, credentials);`,
		presign:  `const signed = aws4.sign({ host, method, path, headers, body, region, service: "vpc-lattice-svcs", signQuery: true }, credentials);`,
		notes: []string{
			"Signs the body's hash and sends no header: set it.",
			"Sends the query percent-encoded, and `flag=` for `flag`; the order stays.",
		},
	},
	{
		name: "curl", title: "curl 7.88, `--aws-sigv4`", missing: otherCurl, send: "curl",
		sign:     `curl --aws-sigv4 "aws:amz:$AWS_REGION:vpc-lattice-svcs" --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" ${AWS_SESSION_TOKEN:+-H "x-amz-security-token: $AWS_SESSION_TOKEN"}`,
		unsigned: `-H "x-amz-content-sha256: UNSIGNED-PAYLOAD"`,
		notes: []string{
			"Signs the query as it is typed: sort the parameters by name and value, encode them (`%20`, `%2F`, `%3A`), and write `flag=` for `flag`. Of its own, `-G --data-urlencode` encodes a space as `+`: that is refused.",
			"Signs the path as it is typed. The gateway accepts that, unless there is `%25` in it ([divergences](divergences.md)); the API does not, so that ARNs in paths are refused.",
			"Lists a header that is given twice as two signed headers: join the values with a comma.",
			"`-T FILE` signs the hash of an empty body: at the API use `-X PUT --data-binary @FILE`. With the header it signs what the header says.",
			"Does not presign. Nor does it sign with SigV4A.",
		},
	},
	{
		name: "libcurl", title: "curl 8.23, by its library", pin: "pycurl==7.49.0", send: "pycurl",
		sign:     `c.setopt(c.AWS_SIGV4, f"aws:amz:{region}:vpc-lattice-svcs"); c.setopt(c.USERPWD, f"{key}:{secret}"); headers += ["x-amz-security-token: " + token] if token else []`,
		unsigned: `headers.append("x-amz-content-sha256: UNSIGNED-PAYLOAD")`,
		notes: []string{
			"Sorts and encodes what it signs, path and query, as AWS does; `curl --aws-sigv4` of that version signs the same.",
			"An upload (`-T FILE`) still signs the hash of an empty body: at the API use `-X PUT --data-binary @FILE`.",
		},
	},
	{
		name: "latchwork", title: "`latchwork curl`", send: "latchwork",
		sign: `latchwork curl --region "$AWS_REGION"`,
		notes: []string{
			"Sets what VPC Lattice wants, and signs with the AWS SDK for Go: see `go`. It finds the gateway by the data directory, and prints the reason of a denial.",
		},
	},
}

// signGo and signSmithyGo hold what docs/signers.md shows, line by line.
func signGo(ctx context.Context, r *http.Request, credentials aws.Credentials, a ask) error {
	region, link := a.Region, ""
	var err error
	if service := a.probe.service; service != "" {
		sum := sha256.Sum256([]byte(a.Body))
		return v4.NewSigner().SignHTTP(ctx, credentials, r, hex.EncodeToString(sum[:]), service, region, time.Now())
	}
	if !a.probe.plain {
		r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
	}
	if !a.probe.presign {
		err = v4.NewSigner().SignHTTP(ctx, credentials, r, "UNSIGNED-PAYLOAD", "vpc-lattice-svcs", region, time.Now())
		return err
	}
	link, _, err = v4.NewSigner().PresignHTTP(ctx, credentials, r, "UNSIGNED-PAYLOAD", "vpc-lattice-svcs", region, time.Now())
	if err == nil {
		r.URL, err = url.Parse(link)
	}
	return err
}

func signSmithyGo(_ context.Context, r *http.Request, c aws.Credentials, a ask) error {
	credentials := credentials.Credentials{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken}
	regions, options := strings.Split(a.Region, ","), []v4a.SignerOption{}
	if service := a.probe.service; service != "" {
		sum := sha256.Sum256([]byte(a.Body))
		return sigv4a.New().SignRequest(&sigv4a.SignRequestInput{Request: r, Credentials: credentials, Service: service, RegionSet: regions, PayloadHash: sum[:]})
	}
	if !a.probe.plain {
		options = append(options, func(o *v4a.SignerOptions) { o.AddPayloadHashHeader = true })
	}
	in := &sigv4a.SignRequestInput{Request: r, Credentials: credentials, Service: "vpc-lattice-svcs", RegionSet: regions, PayloadHash: v4a.UnsignedPayload()}
	if a.probe.presign {
		in.SignatureType = v4a.SignatureTypeQueryString
	}
	err := sigv4a.New().SignRequest(in, options...)
	return err
}

// askAll has a signer sign and send.
func (w *world) askAll(t *testing.T, s signer, asks []ask) []signed {
	t.Helper()
	switch s.send {
	case "python", "pycurl":
		return w.drive(t, asks, filepath.Join(tools, "boto3", "bin", "python"), "testdata/signers.py")
	case "smithy", "fetch", "aws4":
		return w.drive(t, asks, filepath.Join(tools, "node", "node"), "testdata/signers.js")
	}
	var answers []signed
	for _, a := range asks {
		switch s.send {
		case "go":
			answers = append(answers, w.sendSigned(t, a, signGo))
		case "smithy-go":
			answers = append(answers, w.sendSigned(t, a, signSmithyGo))
		case "curl":
			answers = append(answers, w.curl(a))
		case "latchwork":
			answers = append(answers, w.latchworkCurl(a))
		}
	}
	return answers
}

// drive runs a program that signs and sends all.
func (w *world) drive(t *testing.T, asks []ask, program, script string) []signed {
	t.Helper()
	work, err := json.Marshal(map[string]any{"requests": asks})
	if err != nil {
		t.Fatal(err)
	}
	env := append(w.environ(identity{}), "NODE_PATH="+filepath.Join(tools, "node", "node_modules"))
	out, errs, code := w.execute(env, program, script, string(work))
	var answers []signed
	if err := json.Unmarshal([]byte(out), &answers); err != nil || code != 0 || len(answers) != len(asks) {
		t.Fatalf("%s: exit %d, %v\n%s%s", script, code, err, out, errs)
	}
	return answers
}

type goSigner func(context.Context, *http.Request, aws.Credentials, ask) error

func (w *world) sendSigned(t *testing.T, a ask, sign goSigner) signed {
	t.Helper()
	r, err := http.NewRequest(a.Method, a.URL, bytes.NewReader([]byte(a.Body)))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range a.Headers {
		r.Header.Add(h[0], h[1])
	}
	if err := sign(context.Background(), r, aws.Credentials{AccessKeyID: a.ID, SecretAccessKey: a.Secret, SessionToken: a.Token}, a); err != nil {
		return signed{Error: err.Error()}
	}
	if a.probe.grpc {
		return w.checkHealth(t, r)
	}
	client := w.client(a.HTTP2)
	if a.probe.service != "" {
		client = http.DefaultClient
	}
	answer, err := client.Do(r)
	if err != nil {
		return signed{Error: err.Error()}
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return signed{Error: err.Error()}
	}
	return signed{Status: answer.StatusCode, Code: answer.Header.Get("X-Amzn-Errortype"), Body: string(body), Proto: answer.Proto}
}

// checkHealth makes a gRPC call with the signature of a request.
func (w *world) checkHealth(t *testing.T, r *http.Request) signed {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+w.http, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithAuthority(r.Host))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	got, err := healthpb.NewHealthClient(conn).Check(withSignature(ctx, r), &healthpb.HealthCheckRequest{})
	if err != nil || got.Status != healthpb.HealthCheckResponse_SERVING {
		return signed{Error: fmt.Sprint(err, got)}
	}
	return signed{Status: http.StatusOK, Proto: "HTTP/2.0"}
}

// otherCurl tells what curl is there, if it is not the one that the table is about.
func otherCurl() string {
	out, err := exec.Command("curl", "--version").Output()
	if version, _, _ := strings.Cut(string(out), " ("); err != nil || !strings.HasPrefix(version, "curl 7.88.") {
		return fmt.Sprintf("the table is about curl 7.88, here is %q", version)
	}
	return ""
}

// shell runs a command, of which the signer's code is the beginning.
func (w *world) shell(a ask, args ...string) (stdout, stderr string, code int) {
	w.t.Helper()
	args = append(args, "-X", a.Method)
	switch {
	case a.Upload:
		file := filepath.Join(w.t.TempDir(), "body")
		if err := os.WriteFile(file, []byte(a.Body), 0o600); err != nil {
			w.t.Fatal(err)
		}
		args = append(args, "-T", file)
	case a.Body != "":
		args = append(args, "-d", a.Body)
	}
	for _, h := range a.Headers {
		args = append(args, "-H", h[0]+": "+h[1])
	}
	env := append(w.environ(identity{a.ID, a.Secret, a.Token}), "AWS_REGION="+a.Region, "PATH="+filepath.Dir(binary)+":"+os.Getenv("PATH"))
	return w.execute(env, "sh", append([]string{"-c", strings.Join(a.Lines, " ") + ` "$@"`, "sh"}, append(args, a.URL)...)...)
}

func (w *world) curl(a ask) signed {
	args := []string{"-s", "-w", "\n%{http_code} %{http_version} %header{x-amzn-errortype}", "--connect-to", "::" + a.Server}
	if a.HTTP2 {
		args = append(args, "--http2-prior-knowledge")
	}
	out, errs, code := w.shell(a, args...)
	i := strings.LastIndexByte(out, '\n')
	var status int
	var version, kind string
	if n, _ := fmt.Sscan(out[i+1:], &status, &version, &kind); n < 2 || code != 0 {
		return signed{Error: fmt.Sprintf("exit %d: %s", code, errs)}
	}
	return signed{Status: status, Code: kind, Body: out[:i], Proto: map[string]string{"1.1": "HTTP/1.1", "2": "HTTP/2.0"}[version]}
}

func (w *world) latchworkCurl(a ask) signed {
	out, errs, code := w.shell(a, "--data-dir", w.dir, "-i")
	head, body, _ := strings.Cut(out, "\n\n")
	var got signed
	if n, _ := fmt.Sscan(head, &got.Proto, &got.Status); n != 2 {
		return signed{Error: fmt.Sprintf("exit %d: %s", code, errs)}
	}
	got.Body = strings.TrimSpace(body)
	return got
}
