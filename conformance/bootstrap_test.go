//go:build conformance

package conformance

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestBootstrap gives what latchwork envoy bootstrap prints to Envoy itself.
func TestBootstrap(t *testing.T) {
	dir := t.TempDir()
	ca, _ := selfSigned(t)
	keys := filepath.Join(dir, "credentials")
	for path, text := range map[string][]byte{filepath.Join(dir, "ca.pem"): ca, keys: []byte("[default]\naws_access_key_id=a\naws_secret_access_key=b\n")} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, version := range envoys {
		for name, args := range map[string][]string{
			"agent":       {"--via", "agent", "--socket", filepath.Join(dir, "xds.sock")},
			"explicit":    {"--via", "agent", "--interception", "explicit", "--bind", "127.0.0.2", "--app", "127.0.0.3", "--api", "DELTA_GRPC"},
			"environment": {"--via", "filter", "--ems", "127.0.0.1:4443"},
			"inline":      {"--via", "filter", "--ems", "127.0.0.1:4443", "--inline-ca"},
			"file":        {"--via", "filter", "--ems", "ems.example.com:443", "--credentials", "file", "--credentials-file", keys},
			"chain":       {"--via", "filter", "--ems", "ems.example.com:443", "--credentials", "chain", "--authority", "127.0.0.1"},
		} {
			t.Run(name+"/"+version, func(t *testing.T) {
				args := append([]string{
					"envoy", "bootstrap", "--resource", arnOf(account, "app1/virtualNode/serviceBv1"),
					"--envoy", version, "--ca-file", filepath.Join(dir, "ca.pem"),
				}, args...)
				text, err := exec.Command(binary, args...).Output()
				if err != nil {
					t.Fatal(err)
				}
				config := filepath.Join(t.TempDir(), "envoy.yaml")
				if err := os.WriteFile(config, text, 0o600); err != nil {
					t.Fatal(err)
				}
				out, err := exec.Command(filepath.Join(tools, "envoy-"+version, "envoy"), "--mode", "validate", "-l", "warning", "-c", config).CombinedOutput()
				if err != nil {
					t.Errorf("%v: %s", err, out)
				}
			})
		}
	}
}
