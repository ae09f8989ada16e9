//go:build conformance

package conformance

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"
)

// envoys are the versions that the configuration is made for: the newest, and the
// oldest that there is a build of.
var envoys = []string{"1.40.0", "1.36.4"}

// TestEnvoyTakesIt gives what the translation makes, in its golden files, to Envoy
// itself, which knows more rules than its types do.
func TestEnvoyTakesIt(t *testing.T) {
	files, err := filepath.Glob("../internal/xds/translate/testdata/out/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	keys, logs := t.TempDir(), t.TempDir()
	here := strings.NewReplacer(`"/keys`, `"`+keys, `"/var/log/envoy`, `"`+logs)
	chain, key := selfSigned(t)
	for name, text := range map[string][]byte{
		"chain.pem": chain, "key.pem": key, "ca.pem": chain,
		"client-chain.pem": chain, "client-key.pem": key,
	} {
		if err := os.WriteFile(filepath.Join(keys, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var r map[string][]any
		if err := yaml.Unmarshal(text, &r); err != nil {
			t.Fatal(err)
		}
		boot, err := json.Marshal(static(r, chain, key))
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		path := filepath.Join(t.TempDir(), name+".json")
		if err := os.WriteFile(path, []byte(here.Replace(string(boot))), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, version := range envoys {
			t.Run(name+"/"+version, func(t *testing.T) {
				out, err := exec.Command(filepath.Join(tools, "envoy-"+version, "envoy"), "--mode", "validate", "-l", "warning", "-c", path).CombinedOutput()
				if err != nil {
					t.Errorf("%v: %s", err, out)
				}
			})
		}
	}
}

// static is a bootstrap that has in itself what would come over the stream.
func static(r map[string][]any, chain, key []byte) map[string]any {
	routes := byName(r["routes"], "name")
	endpoints := byName(r["endpoints"], "cluster_name")
	secrets := byName(r["secrets"], "name")
	edit(r["secrets"], func(m map[string]any) {
		// Not what the golden files have, which is only text.
		for member, text := range map[string][]byte{"trusted_ca": chain, "certificate_chain": chain, "private_key": key} {
			if source, ok := m[member].(map[string]any); ok && source["inline_bytes"] != nil {
				source["inline_bytes"] = base64.StdEncoding.EncodeToString(text)
			}
		}
	})
	for _, resources := range r {
		edit(resources, func(m map[string]any) {
			if rds, ok := m["rds"].(map[string]any); ok {
				m["route_config"] = routes[rds["route_config_name"].(string)]
				delete(m, "rds")
			}
			if m["eds_cluster_config"] != nil {
				m["load_assignment"], m["type"] = endpoints[m["name"].(string)], "STATIC"
				delete(m, "eds_cluster_config")
			}
			if name, ok := m["name"].(string); ok && secrets[name] != nil && m["sds_config"] != nil {
				delete(m, "sds_config")
			}
		})
	}
	agent := map[string]any{
		"name": "static_cluster_sds_unix_socket", "type": "STATIC",
		"typed_extension_protocol_options": map[string]any{"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": map[string]any{
			"@type":                "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
			"explicit_http_config": map[string]any{"http2_protocol_options": map[string]any{}},
		}},
		"load_assignment": map[string]any{
			"cluster_name": "static_cluster_sds_unix_socket",
			"endpoints": []any{map[string]any{"lb_endpoints": []any{map[string]any{"endpoint": map[string]any{
				"address": map[string]any{"pipe": map[string]any{"path": "/nowhere/agent.sock"}},
			}}}}},
		},
	}
	return map[string]any{
		"node": map[string]any{"id": "test", "cluster": "test"},
		"static_resources": map[string]any{
			"clusters": append(r["clusters"], agent), "listeners": r["listeners"], "secrets": r["secrets"],
		},
	}
}

func byName(resources []any, member string) map[string]any {
	out := map[string]any{}
	for _, r := range resources {
		out[r.(map[string]any)[member].(string)] = r
	}
	return out
}

// edit calls fn for every object in v, the outer first.
func edit(v any, fn func(map[string]any)) {
	switch v := v.(type) {
	case map[string]any:
		fn(v)
		for _, member := range v {
			edit(member, fn)
		}
	case []any:
		for _, e := range v {
			edit(e, fn)
		}
	}
}

// selfSigned is a certificate with its key, as PEM.
func selfSigned(t *testing.T) (chain, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, DNSNames: []string{"example.com"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
}
