//go:build conformance

package conformance

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestDoctor: what curl signs wrongly is refused, and named by the id of the request
// and as the last one.
func TestDoctor(t *testing.T) {
	w := build(t, "NONE", "AWS_IAM")
	who := w.role("rates-client", invokeAll)
	w.put(w.service, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}`)
	version, _, _ := w.command(identity{}, "curl", "--version")
	known := strings.HasPrefix(version, "curl 7.88.")
	upload := filepath.Join(t.TempDir(), "upload")
	if err := os.WriteFile(upload, []byte("a body"), 0o600); err != nil {
		t.Fatal(err)
	}
	unsigned := []string{"-H", "x-amz-content-sha256: UNSIGNED-PAYLOAD"}
	for _, test := range []struct {
		name   string
		args   []string
		parts  []string
		client string // of the first part
	}{
		{"no payload header", []string{"-T", upload, site + "/rates"}, []string{"payload mode"}, "sent no x-amz-content-sha256"},
		{"query not sorted", append([]string{site + "/rates?b=2&a=1"}, unsigned...), []string{"query order"}, "b=2&a=1"},
		{"a parameter without value", append([]string{site + "/rates?flag"}, unsigned...), []string{"query encoding"}, "flag"},
		{"a value as it is typed", append([]string{site + "/rates?at=a/b:c"}, unsigned...), []string{"query encoding"}, "at=a/b:c"},
		{"path not encoded", append([]string{site + "/rates%2520all"}, unsigned...), []string{"path encoding"}, "/rates%2520all"},
		{"path and query", append([]string{site + "/rates%2520all?b=2&a=1"}, unsigned...), []string{"path encoding", "query order"}, "/rates%2520all"},
		{"a header twice", append([]string{site + "/rates", "-H", "x-a: 1", "-H", "x-a: 2"}, unsigned...), []string{"header"}, "host;x-a;x-a;x-amz-content-sha256;x-amz-date;x-amz-security-token"},
		{"a secret with a space", append([]string{site + "/rates", "-u", who.id + ":" + who.secret + " "}, unsigned...), []string{"secret"}, "the secret with a space at its end"},
	} {
		t.Run(test.name, func(t *testing.T) {
			args := append([]string{
				"-s", "-o", filepath.Join(t.TempDir(), "answer"), "-w", "%{http_code} %header{x-amzn-requestid}", "--connect-to", "::" + w.http,
				"--aws-sigv4", "aws:amz:" + region + ":vpc-lattice-svcs", "-H", "x-amz-security-token: " + who.token, "-u", who.id + ":" + who.secret,
			}, test.args...)
			out, _, _ := w.command(identity{}, "curl", args...)
			status, id, _ := strings.Cut(out, " ")
			if status == "200" && !known {
				t.Skipf("this signs rightly: %s", version)
			}
			if status != "403" {
				t.Fatalf("answered %s", out)
			}
			for _, name := range []string{id, "last"} {
				text, errs, code := w.command(w.admin, binary, "doctor", "sigv4", "--data-dir", w.dir, "-o", "json", name)
				var d struct {
					Valid       bool
					Server      struct{ CanonicalRequest, StringToSign string }
					Differences []struct{ Part, Server, Client, Fix string }
				}
				if err := json.Unmarshal([]byte(text), &d); err != nil || code != 1 || d.Valid {
					t.Fatalf("exit %d %s%s (%v)", code, text, errs, err)
				}
				var parts []string
				for _, difference := range d.Differences {
					parts = append(parts, difference.Part)
				}
				if !slices.Equal(parts, test.parts) || d.Differences[0].Client != test.client || !strings.Contains(text, "curl") && test.parts[0] != "secret" {
					t.Errorf("named %s", text)
				}
				if strings.Contains(text, who.token) || strings.Contains(text, who.secret) {
					t.Error("it shows a secret")
				}
			}
		})
	}
	good := w.send(request{method: "GET", url: site + "/rates?b=2&a=1", who: who})
	text, errs, code := w.command(w.admin, binary, "doctor", "sigv4", "--data-dir", w.dir, good.headers.Get("X-Amzn-Requestid"))
	if code != 0 || text != "VALID\n" {
		t.Errorf("a good signature: exit %d %s%s", code, text, errs)
	}
	_, errs, code = w.command(w.admin, binary, "doctor", "sigv4", "--data-dir", w.dir, "00000000")
	if code != 2 || !strings.Contains(errs, "there is no request 00000000") {
		t.Errorf("no such request: exit %d %s", code, errs)
	}
	w.aws(w.admin, "iam", "create-user", "--user-name", "bob")
	key := w.aws(w.admin, "iam", "create-access-key", "--user-name", "bob")["AccessKey"].(map[string]any)
	_, errs, code = w.command(identity{id: key["AccessKeyId"].(string), secret: key["SecretAccessKey"].(string)}, binary, "doctor", "sigv4", "--data-dir", w.dir, "last")
	if code != 2 || !strings.Contains(errs, "latchwork:ExplainRequest") {
		t.Errorf("without permission: exit %d %s", code, errs)
	}
}
