package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/latchwork/latchwork/internal/policytest"
)

// TestTest: the exit code tells a difference from a file that is wrong.
func TestTest(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	one := func(want string) string {
		return "cases:\n- {name: open, principal: anonymous, service: {auth-type: NONE}, want: " + want + "}\n"
	}
	right, wrong, bad := write("right.yaml", one("allow")), write("wrong.yaml", one("deny")), write("bad.yaml", one("perhaps"))
	for _, test := range []struct {
		args   []string
		code   int
		output string // a part of it
		errors string
	}{
		{[]string{right}, ExitOK, "", "1 case, 1 as wanted, 0 not"},
		{[]string{right, wrong}, ExitFailure, wrong + ":2: open", "2 cases, 1 as wanted, 1 not"},
		{[]string{"--run", "^op", right}, ExitOK, "", "1 case"},
		{[]string{"--run", "closed", right}, ExitUsage, "", "no case has a name that matches closed"},
		{[]string{"--run", "(", right}, ExitUsage, "", "missing closing"},
		{[]string{"--explain", right}, ExitOK, "decision   ALLOWED", "1 case"},
		{[]string{"-o", "json", wrong}, ExitFailure, `"passed": false`, "1 not"},
		{[]string{"-o", "junit", wrong}, ExitFailure, `<failure message="wanted deny; got allow">`, "1 not"},
		{[]string{bad}, ExitUsage, "", bad + ":2:72: \"perhaps\" is neither allow nor deny"},
		{[]string{dir}, ExitUsage, "", "neither allow nor deny"},
		{[]string{t.TempDir()}, ExitUsage, "", "there are no .yaml, .yml or .json files of cases"},
		{nil, ExitUsage, "", "name files of cases"},
		{[]string{"--schema"}, ExitOK, policytest.SchemaID, ""},
	} {
		var stdout, stderr bytes.Buffer
		code := Main(append([]string{"test"}, test.args...), &stdout, &stderr)
		if code != test.code || !strings.Contains(stdout.String(), test.output) || !strings.Contains(stderr.String(), test.errors) {
			t.Errorf("test %v: exit %d, want %d\n%s\n%s", test.args, code, test.code, stdout.String(), stderr.String())
		}
		if len(test.args) > 1 && test.args[1] == "json" && !json.Valid(stdout.Bytes()) {
			t.Error("no JSON")
		}
	}
}
