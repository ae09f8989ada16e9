package cli

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchwork/latchwork/internal/server"
)

var update = flag.Bool("update", false, "write the golden files")

// golden compares a text with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-want +got):\n%s\nif that is meant: go test ./internal/cli -update", path, d)
	}
}

// alone takes away what the environment of the tests could say.
func alone(t *testing.T) {
	t.Helper()
	for _, name := range []string{
		"APPMESH_RESOURCE_ARN", "APPMESH_RESOURCE_NAME", "APPMESH_VIRTUAL_NODE_NAME", "APPMESH_RESOURCE_CLUSTER", "APPMESH_VIRTUAL_NODE_CLUSTER", "APPMESH_XDS_ENDPOINT", "APPNET_RELAY_LISTENER_UDS_PATH", "AWS_REGION",
	} {
		t.Setenv(name, "")
		os.Unsetenv(name)
	}
}

const serviceB = "arn:aws:appmesh:us-east-1:123456789012:mesh/app1/virtualNode/serviceBv1"

func TestBootstrap(t *testing.T) {
	alone(t)
	data := t.TempDir()
	if err := os.WriteFile(server.InfoFile(data), []byte(`{"region":"us-west-2","ems":"127.0.0.1:4443","emsNames":["ems.example.com","localhost"],"ca":"/data/ca.pem"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	given := []string{"--ems", "ems.mesh.internal:443", "--ca-file", "/etc/appmesh/ems-ca.pem"}
	for _, test := range []struct {
		name string
		args []string
		says string // on standard error
	}{
		{"agent", []string{"--socket", "/run/appmesh/xds.sock"}, ""},
		{"agent-explicit", []string{"--socket", "/run/appmesh/xds.sock", "--interception", "explicit", "--bind", "127.0.0.2", "--app", "127.0.0.3", "--api", "DELTA_GRPC", "--cluster", "b", "--admin", "127.0.0.1:0"}, ""},
		{"filter", append(given, "--via", "filter"), ""},
		{"filter-inline-ca", []string{"--via", "filter", "--ems", "ems.mesh.internal:443", "--ca-file", "testdata/ca.pem", "--inline-ca"}, ""},
		{"filter-data-dir", []string{"--via", "filter", "--data-dir", data}, ""},
		{"filter-1.36-file", append(given, "--via", "filter", "--envoy", "1.36.4", "--credentials", "file", "--credentials-file", "/run/appmesh/aws/credentials"), "without HOME"},
		{"filter-chain", append(given, "--via", "filter", "--credentials", "chain", "--authority", "10.0.0.1"), "will not be signed"},
		{"legacy", append(given, "--via", "legacy"), ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if code := Main(append([]string{"envoy", "bootstrap", "--resource", serviceB}, test.args...), &stdout, &stderr); code != ExitOK {
				t.Fatalf("%d: %s", code, stderr.String())
			}
			if got := stderr.String(); !strings.Contains(got, test.says) || (got == "") != (test.says == "") {
				t.Errorf("said %q, want %q", got, test.says)
			}
			golden(t, "bootstrap/"+test.name+".yaml", stdout.String())
		})
	}
}

// TestBootstrapOfOldNames: what task definitions and pods of old have in their
// environment is as good as a flag; the newer name wins.
func TestBootstrapOfOldNames(t *testing.T) {
	alone(t)
	t.Setenv("APPMESH_VIRTUAL_NODE_NAME", "mesh/app1/virtualNode/serviceBv1")
	t.Setenv("APPMESH_VIRTUAL_NODE_CLUSTER", "b")
	for _, want := range []string{"id: mesh/app1/virtualNode/serviceBv1\n", "id: " + serviceB + "\n"} {
		var stdout, stderr bytes.Buffer
		if code := Main([]string{"envoy", "bootstrap"}, &stdout, &stderr); code != ExitOK || !strings.Contains(stdout.String(), want) || !strings.Contains(stdout.String(), "cluster: b\n") {
			t.Errorf("%d, %q, %q; want %q", code, stdout.String(), stderr.String(), want)
		}
		t.Setenv("APPMESH_RESOURCE_ARN", serviceB)
	}
}

func TestBootstrapRefuses(t *testing.T) {
	alone(t)
	data := t.TempDir()
	if err := os.WriteFile(server.InfoFile(data), []byte(`{"region":"us-west-2","ca":"/data/ca.pem"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	given := []string{"--ems", "ems.mesh.internal:443", "--ca-file", "/ca.pem"}
	for _, test := range []struct {
		name, resource string
		args           []string
		code           int
		says           string
	}{
		{"a virtual service", "arn:aws:appmesh:us-east-1:123456789012:mesh/app1/virtualService/b", nil, ExitUsage, "is not the ARN of a virtual node or a virtual gateway"},
		{"an old version for the filter", serviceB, append(given, "--via", "filter", "--envoy", "1.34.1"), ExitUsage, "use --via legacy or --via agent"},
		{"a new version for the plugin", serviceB, append(given, "--via", "legacy", "--envoy", "1.35.0"), ExitUsage, "has no envoy.grpc_credentials.aws_iam any more"},
		{"no version", serviceB, append(given, "--via", "filter", "--envoy", "new"), ExitUsage, "is not a version of Envoy"},
		{"no file", serviceB, append(given, "--via", "filter", "--credentials", "file"), ExitUsage, "go together"},
		{"a file for nothing", serviceB, append(given, "--via", "filter", "--credentials-file", "x"), ExitUsage, "go together"},
		{"credentials for the agent", serviceB, []string{"--credentials", "chain"}, ExitUsage, "are for --via filter"},
		{"a file for the plugin", serviceB, append(given, "--via", "legacy", "--credentials-file", "x"), ExitUsage, "are for --via filter"},
		{"an address for nothing", serviceB, []string{"--bind", "127.0.0.1"}, ExitUsage, "--interception explicit"},
		{"a certificate for nothing", serviceB, []string{"--inline-ca"}, ExitUsage, "--inline-ca is for"},
		{"no certificate", serviceB, append(given, "--via", "filter", "--inline-ca"), ExitFailure, "/ca.pem"},
		{"no address", serviceB, []string{"--admin", "localhost"}, ExitUsage, "--admin"},
		{"no port", serviceB, []string{"--via", "filter", "--ems", "localhost", "--ca-file", "x"}, ExitUsage, "--ems"},
		{"no server", serviceB, []string{"--via", "filter", "--data-dir", filepath.Join(data, "none")}, ExitFailure, "or give --ems and --ca-file"},
		{"no service", serviceB, []string{"--via", "filter", "--data-dir", data}, ExitFailure, "start it with --ems-addr"},
		{"no region", "mesh/app1/virtualNode/b", append(given, "--via", "filter"), ExitUsage, "which region"},
		{"a name that cannot be chosen", serviceB, append(given, "--via", "legacy", "--authority", "x"), ExitUsage, "the host of --ems"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			code := Main(append([]string{"envoy", "bootstrap", "--resource", test.resource}, test.args...), &stdout, &stderr)
			if code != test.code || !strings.Contains(stderr.String(), test.says) || stdout.Len() > 0 {
				t.Errorf("%d, %q, %q; want %d and %q", code, stdout.String(), stderr.String(), test.code, test.says)
			}
		})
	}
}

// TestCA: of what authority the certificate is, is never left to a guess.
func TestCA(t *testing.T) {
	data := t.TempDir()
	for file, text := range map[string]string{
		server.InfoFile(data): `{"accountId":"123456789012","ca":"` + filepath.Join(data, "ca.pem") + `"}`, filepath.Join(data, "ca.pem"): "installation",
		server.MeshCAFile(data, "123456789012"): "default", server.MeshCAFile(data, "222222222222"): "other",
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		args []string
		code int
		want string
	}{
		{nil, ExitOK, "installation"},
		{[]string{"--mesh"}, ExitOK, "default"},
		{[]string{"--mesh", "--account", "222222222222"}, ExitOK, "other"},
		{[]string{"--mesh", "--account", "333333333333"}, ExitFailure, ""},
		{[]string{"--account", "222222222222"}, ExitUsage, ""},
	} {
		var stdout, stderr bytes.Buffer
		if code := Main(append([]string{"ca", "--data-dir", data}, test.args...), &stdout, &stderr); code != test.code || stdout.String() != test.want {
			t.Errorf("%q: %d, %q, %q", test.args, code, stdout.String(), stderr.String())
		}
	}
}
