// Package layers keeps the imports of the packages pointing down. It has no code,
// only this test; docs/architecture.md draws what it checks.
package layers

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/latchwork/latchwork/"

// layers holds every package, lowest first. A package may import packages of lower
// layers, and of its own layer only what peers lists.
var layers = [][]string{
	{"internal/fault", "internal/identity", "internal/policy", "internal/spelling"},
	{
		"internal/policy/random", "internal/policy/reference",
		"internal/clock", "internal/inbound", "internal/inbound/httpin", "internal/wire", "internal/wire/appmesh",
		"internal/wire/ec2", "internal/wire/iam", "internal/wire/servicediscovery", "internal/wire/sts", "internal/wire/vpclattice", "internal/awsapi",
		"internal/sigv4", "internal/store", "internal/store/etcd", "internal/store/storetest",
	},
	{"internal/model", "internal/snapshot", "internal/authz", "internal/credential", "internal/oidc", "internal/audit", "internal/certs"},
	{
		"internal/gateway", "internal/policytest", "internal/service/cloudmap", "internal/service/ec2", "internal/service/iam",
		"internal/service/lattice", "internal/service/mesh", "internal/service/operator", "internal/service/sts", "internal/workload",
		"internal/xds", "internal/xds/translate",
	},
	{"internal/server", "internal/cli"},
	{"cmd/latchwork"},
}

// peers are the imports within a layer; each says what for.
var peers = map[string][]string{
	"internal/policy":                {"internal/identity", "internal/spelling"}, // a request has a principal; findings propose names
	"internal/policy/random":         {"internal/policy/reference"},              // makes requests for it
	"internal/inbound/httpin":        {"internal/inbound"},                       // makes one
	"internal/sigv4":                 {"internal/inbound"},                       // verifies one
	"internal/awsapi":                {"internal/clock", "internal/inbound", "internal/inbound/httpin", "internal/wire"},
	"internal/wire/appmesh":          {"internal/awsapi", "internal/wire"},
	"internal/wire/ec2":              {"internal/awsapi", "internal/wire"},
	"internal/wire/iam":              {"internal/awsapi", "internal/wire"},
	"internal/wire/servicediscovery": {"internal/awsapi", "internal/wire"},
	"internal/wire/sts":              {"internal/awsapi", "internal/wire"},
	"internal/wire/vpclattice":       {"internal/awsapi", "internal/wire"},
	"internal/store/etcd":            {"internal/store"},
	"internal/store/storetest":       {"internal/store"},
	"internal/snapshot":              {"internal/model"},                      // compiles records
	"internal/authz":                 {"internal/snapshot"},                   // decides on one
	"internal/credential":            {"internal/model", "internal/snapshot"}, // finds keys in one
	"internal/oidc":                  {"internal/model"},                      // verifies tokens of its providers
	"internal/xds":                   {"internal/xds/translate"},              // serves what it makes
	"internal/cli":                   {"internal/server"},                     // latchwork server, and where a server is
}

// fences say which packages alone may import what.
var fences = []struct {
	prefix  string
	allowed []string
	reason  string
}{
	{"go.etcd.io/", []string{"internal/store/etcd"}, "the store is behind internal/store"},
	{"go.uber.org/zap", []string{"internal/store/etcd"}, "our logger is log/slog"},
	{"github.com/prometheus/", []string{"internal/server"}, "metrics are registered in one place"},
	{"github.com/aws/", []string{"internal/cli"}, "the server does not depend on its clients"},
	{"github.com/envoyproxy/go-control-plane", []string{"internal/xds", "internal/xds/translate"}, "Envoy's types are known where they are made"},
	{"github.com/go-jose/", []string{"internal/oidc"}, "tokens are verified in one place"},
	{"github.com/alecthomas/kong", []string{"internal/cli"}, "commands are in internal/cli"},
}

// pure packages do no I/O and know no HTTP: they are tested without either.
var pure = []string{"internal/fault", "internal/identity", "internal/policy", "internal/spelling"}

var impure = []string{"net/http", "os", "log", "log/slog", "os/exec", "io/ioutil", "net"}

type listed struct {
	ImportPath string
	Imports    []string
}

func TestImportsPointDown(t *testing.T) {
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", "./...")
	cmd.Dir, cmd.Stderr = "../..", os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	level := map[string]int{}
	for n, packages := range layers {
		for _, p := range packages {
			level[p] = n
		}
	}
	seen := map[string]bool{}
	for d := json.NewDecoder(out); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimPrefix(p.ImportPath, module)
		if strings.HasPrefix(name, "tools/") || name == "conformance" || name == "internal/layers" || strings.HasPrefix(name, "bench") {
			continue
		}
		seen[name] = true
		from, known := level[name]
		if !known {
			t.Errorf("%s has no layer: put it into one", name)
			continue
		}
		for _, i := range p.Imports {
			check(t, name, from, level, i)
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	for name := range level {
		if !seen[name] {
			t.Errorf("%s is in the table and not there", name)
		}
	}
}

// TestOneClock: only package clock reads the time, so that tests can decide it.
func TestOneClock(t *testing.T) {
	err := filepath.WalkDir("..", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.HasPrefix(path, "../clock/") {
			return err
		}
		text, err := os.ReadFile(path)
		if strings.Contains(string(text), "time.Now()") {
			t.Errorf("%s reads the time: take a clock.Clock", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestModules keeps an eye on what is linked into the binary: a new module is a
// line of cmd/latchwork/modules.txt, to be thought about.
func TestModules(t *testing.T) {
	cmd := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", "./cmd/latchwork")
	cmd.Dir, cmd.Stderr = "../..", os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	modules := strings.Fields(string(out))
	slices.Sort(modules)
	got := strings.Join(slices.Compact(modules), "\n") + "\n"
	const file = "../../cmd/latchwork/modules.txt"
	want, err := os.ReadFile(file)
	if os.Getenv("UPDATE") != "" {
		err = os.WriteFile(file, []byte(got), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) && os.Getenv("UPDATE") == "" {
		t.Errorf("the modules of the binary have changed; if that is meant, run UPDATE=1 go test ./internal/layers\n%s", got)
	}
}

func check(t *testing.T, name string, from int, level map[string]int, imported string) {
	t.Helper()
	if slices.Contains(pure, name) && slices.Contains(impure, imported) {
		t.Errorf("%s is pure and may not import %s", name, imported)
	}
	for _, f := range fences {
		if strings.HasPrefix(imported, f.prefix) && !slices.Contains(f.allowed, name) {
			t.Errorf("%s may not import %s: %s", name, imported, f.reason)
		}
	}
	short, ours := strings.CutPrefix(imported, module)
	if !ours {
		return
	}
	to, known := level[short]
	switch {
	case !known:
		t.Errorf("%s imports %s, which has no layer", name, short)
	case to > from:
		t.Errorf("%s may not import %s, which is above it: move the code", name, short)
	case to == from && !slices.Contains(peers[name], short):
		t.Errorf("%s may not import %s of its own layer", name, short)
	}
}
