package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestPolicyCheck: files and folders of every kind of policy, what is printed of them,
// and the exit codes, which programs rely on.
func TestPolicyCheck(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, text := range map[string]string{
		"good.json":       `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"iam:GetUser","Resource":"*"}}`,
		"odd.json":        "{\"Version\":\"2012-10-17\",\n\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"iam:PasRole\",\"Resource\":\"*\"}}",
		"bad.json":        `{"Version":"2012-10-17"}`,
		"dir/a/one.json":  `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"sts:TagSession","Resource":"*"}}`,
		"dir/two.json":    `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"iam:*","Resource":"*"}}`,
		"dir/read.me":     `no policy`,
		"auth.json":       `{"Statement":{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*"}}` + "\n",
		"trust.json":      `{"Statement":{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}}`,
		"resource.json":   `{"Statement":{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::b"}}`,
		"empty/none.yaml": ``,
	} {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const found = "odd.json:2:40: \"iam:PasRole\" matches no action [unknown-action]\n    fix: write iam:PassRole\n"
	for _, test := range []struct {
		name           string
		args           []string
		code           int
		stdout, stderr string
	}{
		{"valid", []string{"--kind", "identity", "good.json"}, ExitOK, "", "good.json is a valid identity policy; findings: 0\n"},
		{"a finding", []string{"--kind", "boundary", "odd.json"}, ExitOK, found, "odd.json is a valid boundary policy; findings: 1\n"},
		{"a finding, strictly", []string{"--kind", "session", "--strict", "good.json", "odd.json"}, ExitInvalid, found, "good.json is a valid session policy; findings: 0\nodd.json is a valid session policy; findings: 1\n"},
		{"not valid", []string{"--kind", "identity", "bad.json", "good.json"}, ExitInvalid, "bad.json:1:1: error: Syntax errors in policy. (Policy must contain at least one statement: the element Statement is missing)\n", "good.json is a valid identity policy; findings: 0\n"},
		{"a folder", []string{"--kind", "service-control", "dir"}, ExitOK, "", "dir/a/one.json is a valid service-control policy; findings: 0\ndir/two.json is a valid service-control policy; findings: 0\n"},
		{"an auth policy", []string{"--strict", "auth.json"}, ExitOK, "", "auth.json is a valid auth policy; findings: 0\n"},
		{"a trust policy", []string{"--kind", "trust", "trust.json"}, ExitOK, "", "trust.json is a valid trust policy; findings: 0\n"},
		{"a resource policy", []string{"--kind", "resource", "resource.json"}, ExitOK, "", "resource.json is a valid resource policy; findings: 0\n"},
		{"no file", []string{"none.json"}, ExitFailure, "", "latchwork: stat none.json: no such file or directory\n"},
		{"a folder without policies", []string{"empty"}, ExitFailure, "", "latchwork: in empty there is no file named *.json\n"},
		{"no such kind", []string{"--kind", "other", "good.json"}, ExitUsage, "", "latchwork: --kind must be one of \"auth\",\"identity\",\"boundary\",\"session\",\"trust\",\"resource\",\"service-control\" but got \"other\"\nRun latchwork --help for the commands.\n"},
	} {
		var stdout, stderr bytes.Buffer
		code := Main(append([]string{"policy", "check"}, test.args...), &stdout, &stderr)
		if code != test.code {
			t.Errorf("%s: exit %d, want %d", test.name, code, test.code)
		}
		if diff := cmp.Diff([]string{test.stdout, test.stderr}, []string{stdout.String(), stderr.String()}); diff != "" {
			t.Errorf("%s: %s", test.name, diff)
		}
	}

	var stdout, stderr bytes.Buffer
	code := Main([]string{"policy", "check", "--kind", "identity", "-o", "json", "bad.json", "odd.json", "good.json"}, &stdout, &stderr)
	var got []map[string]any
	if err := json.Unmarshal(stdout.Bytes(), &got); err != nil || code != ExitInvalid || stderr.Len() > 0 {
		t.Fatalf("exit %d, %v\n%s%s", code, err, stdout.String(), stderr.String())
	}
	want := []map[string]any{
		{"file": "bad.json", "kind": "identity", "valid": false, "error": "Syntax errors in policy. (Policy must contain at least one statement: the element Statement is missing)", "line": 1.0, "column": 1.0, "findings": []any{}},
		{"file": "odd.json", "kind": "identity", "valid": true, "findings": []any{map[string]any{
			"statement": 0.0, "code": "unknown-action", "message": `"iam:PasRole" matches no action`, "fix": "write iam:PassRole", "offset": 64.0, "line": 2.0, "column": 40.0,
		}}},
		{"file": "good.json", "kind": "identity", "valid": true, "findings": []any{}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestPolicyCheckOfStandardInput: - is what comes in.
func TestPolicyCheckOfStandardInput(t *testing.T) {
	file := filepath.Join(t.TempDir(), "in")
	if err := os.WriteFile(file, []byte(`[]`), 0o600); err != nil {
		t.Fatal(err)
	}
	in, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	was := os.Stdin
	os.Stdin = in
	defer func() { os.Stdin = was }()
	var stdout, stderr bytes.Buffer
	if code := Main([]string{"policy", "check", "-"}, &stdout, &stderr); code != ExitInvalid || stdout.String() != "-:1:1: error: a policy is a JSON object, this is not\n" {
		t.Errorf("exit %d: %s%s", code, stdout.String(), stderr.String())
	}
}
