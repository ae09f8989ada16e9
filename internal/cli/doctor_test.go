package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/latchwork/latchwork/internal/sigv4"
)

const doctorSecret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"

// captured writes a signed request down, as it goes over the wire, with changes.
func captured(t *testing.T, method, url, body, service string, change func(text string) string) string {
	t.Helper()
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	hash := sigv4.UnsignedPayload
	if service == "vpc-lattice-svcs" {
		r.Header.Set("X-Amz-Content-Sha256", hash)
	} else {
		hash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" // of nothing
	}
	credentials := aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: doctorSecret, SessionToken: "the-session-token"}
	err = v4.NewSigner().SignHTTP(context.Background(), credentials, r, hash, service, "us-west-2", time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", method, r.URL.RequestURI(), r.Host)
	if body != "" {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(body))
	}
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		fmt.Fprintf(&b, "%s: %s\r\n", name, r.Header.Get(name))
	}
	b.WriteString("\r\n" + body)
	text := b.String()
	if change != nil {
		text = change(text)
	}
	path := filepath.Join(t.TempDir(), "request")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestDoctorSigV4 diagnoses requests in files: what is printed, and the exit codes.
func TestDoctorSigV4(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	secret, empty := write("secret", doctorSecret+"\n"), write("empty", "\n")
	replace := func(old, new string) func(string) string {
		return func(text string) string { return strings.Replace(text, old, new, 1) }
	}
	const svcs, url = "vpc-lattice-svcs", "http://rates.example.com/rates?a=1&b=2"
	good := captured(t, "GET", url, "", svcs, nil)
	for _, test := range []struct {
		name, request, service string
		args                   []string
		code                   int
		golden, stderr         string
	}{
		{name: "valid", request: good, service: svcs, golden: "valid.txt"},
		{name: "valid at a time", request: good, service: svcs, args: []string{"--at", "2026-11-25T12:04:00Z", "--region", "us-west-2"}, golden: "valid.txt"},
		{name: "lines that end with LF", request: captured(t, "GET", url, "", svcs, func(text string) string { return strings.ReplaceAll(text, "\r\n", "\n") }), service: svcs, golden: "valid.txt"},
		{name: "of a body, over TLS", request: captured(t, "POST", "https://rates.example.com/", `{"a":1}`, svcs, nil), service: svcs, args: []string{"--scheme", "https", "-o", "json"}, golden: "valid.json"},
		{name: "of the API", request: captured(t, "GET", "http://localhost:4000/services", "", "vpc-lattice", nil), service: "vpc-lattice", golden: "api.txt"},
		{name: "of a stream", request: captured(t, "POST", "https://ems.example.com/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources", "", "appmesh", replace("\r\n\r\n", "\r\n\r\nmessages")), service: "appmesh", golden: "stream.txt"},
		{name: "changed query", request: captured(t, "GET", url, "", svcs, replace("a=1&b=2", "b=2&a=2")), service: svcs, code: ExitFailure, golden: "changed.txt"},
		{name: "query not sorted, by curl 7.88.1", request: "testdata/doctor/order.http", service: svcs, code: ExitFailure, golden: "order.txt"},
		{name: "slash added", request: captured(t, "GET", "http://rates.example.com/rates/", "", svcs, replace("/rates/", "/rates")), service: svcs, code: ExitFailure, golden: "slash.txt"},
		{name: "slash added, for programs", request: captured(t, "GET", "http://rates.example.com/rates/", "", svcs, replace("/rates/", "/rates")), service: svcs, args: []string{"-o", "json"}, code: ExitFailure, golden: "slash.json"},
		{name: "too late", request: good, service: svcs, args: []string{"--at", "2026-11-25T12:05:01Z"}, code: ExitFailure, golden: "late.txt"},
		{name: "sooner than IAM's limit", request: captured(t, "POST", "http://localhost:4000/", "", "iam", nil), service: "iam", args: []string{"--at", "2026-11-25T12:14:00Z"}, golden: "iam.txt"},
		{name: "another region", request: good, service: svcs, args: []string{"--region", "eu-west-1"}, code: ExitFailure, golden: "region.txt"},
		{name: "another key", request: good, service: svcs, args: []string{"--access-key", "AKIDANOTHER"}, code: ExitFailure, golden: "key.txt", stderr: `signed with the key "AKIDEXAMPLE", and not with AKIDANOTHER`},
		{name: "not signed", request: write("unsigned", "GET / HTTP/1.1\nHost: a\n\n"), service: svcs, code: ExitFailure, golden: "unsigned.txt"},
		{name: "a path that the gateway does not take", request: captured(t, "GET", "http://rates.example.com/a//b", "", svcs, nil), service: svcs, golden: "slashes.txt", stderr: "the gateway answers 400 before it looks at the signature: the request path holds two slashes"},
		{name: "no request", request: filepath.Join(dir, "nothing"), service: svcs, code: ExitUsage, stderr: "no such file"},
		{name: "no request in the file", request: secret, service: svcs, code: ExitUsage, stderr: "malformed HTTP request"},
		{name: "no secret", request: good, service: svcs, args: []string{"--secret-file", empty}, code: ExitUsage, stderr: "holds no secret"},
		{name: "no time", request: good, service: svcs, args: []string{"--at", "noon"}, code: ExitUsage, stderr: `"noon" is not a time such as`},
		{name: "no service", request: good, code: ExitUsage, stderr: "--request needs --service, --access-key and --secret-file"},
		{name: "an id and a file", request: good, service: svcs, args: []string{"last"}, code: ExitUsage, stderr: "give the id of a request, or --request FILE"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			args := []string{"doctor", "sigv4", "--request", test.request, "--service", test.service, "--access-key", "AKIDEXAMPLE", "--secret-file", secret}
			code := Main(append(args, test.args...), &stdout, &stderr)
			if code != test.code || !strings.Contains(stderr.String(), test.stderr) || test.stderr == "" && stderr.Len() > 0 {
				t.Errorf("exit %d, want %d; %s", code, test.code, stderr.String())
			}
			if test.golden == "" {
				if stdout.Len() > 0 {
					t.Errorf("printed %s", stdout.String())
				}
				return
			}
			golden(t, filepath.Join("doctor", test.golden), stdout.String())
			if text := stdout.String(); strings.Contains(text, doctorSecret) || strings.Contains(text, "the-session-token") {
				t.Error("it shows a secret")
			}
			if strings.HasSuffix(test.golden, ".json") {
				var d sigv4.Diagnosis
				if err := json.Unmarshal(stdout.Bytes(), &d); err != nil || d.Valid != (test.code == ExitOK) {
					t.Errorf("%+v, %v", d, err)
				}
			}
		})
	}
	for _, args := range [][]string{{}, {"--at", "2026-11-25T12:00:00Z"}, {"last", "--service", "iam"}} {
		var stdout, stderr bytes.Buffer
		if code := Main(append([]string{"doctor", "sigv4", "--data-dir", dir}, args...), &stdout, &stderr); code != ExitUsage || stdout.Len() > 0 {
			t.Errorf("%q: exit %d %s", args, code, stderr.String())
		}
	}
}

// TestSigningPage: the page names every part, and shows what is printed.
func TestSigningPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/signing.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{
		sigv4.PartPath, sigv4.PartQueryOrder, sigv4.PartQueryEncoding, sigv4.PartHeader, sigv4.PartHost, sigv4.PartDate, sigv4.PartScope,
		sigv4.PartPayload, sigv4.PartMethod, sigv4.PartSecret,
	} {
		if !strings.Contains(string(page), "\n| `"+part+"` | ") {
			t.Errorf("the part %q is not in the table", part)
		}
	}
	text, err := os.ReadFile("testdata/doctor/order.txt")
	if err != nil {
		t.Fatal(err)
	}
	if shown, _, _ := strings.Cut(string(text), "\n\nserver's"); !strings.Contains(string(page), "```text\n"+shown+"\n```") {
		t.Errorf("the page does not show\n%s", shown)
	}
}

func TestVisible(t *testing.T) {
	if got, want := visible("a\x1b[2J\u009b\tb\xff\nc é"), "a\\x1b[2J\\u009b\\tb\ufffd\nc é"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
