package translate

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"sigs.k8s.io/yaml"

	"github.com/latchwork/latchwork/internal/model"
)

var update = flag.Bool("update", false, "write the golden files")

// message is what all resources are.
type message interface {
	proto.Message
	ValidateAll() error
}

// each calls fn for every resource, with the member of Resources that it is in.
func (r *Resources) each(fn func(kind string, m message)) {
	for _, m := range r.Clusters {
		fn("clusters", m)
	}
	for _, m := range r.Endpoints {
		fn("endpoints", m)
	}
	for _, m := range r.Listeners {
		fn("listeners", m)
	}
	for _, m := range r.Routes {
		fn("routes", m)
	}
	for _, m := range r.Secrets {
		fn("secrets", m)
	}
}

// text is the resources as YAML.
func (r *Resources) text(t testing.TB) string {
	t.Helper()
	out := map[string][]json.RawMessage{}
	r.each(func(kind string, m message) {
		raw, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		out[kind] = append(out[kind], raw)
	})
	raw, err := json.Marshal(out)
	if err != nil {
		t.Fatal(err)
	}
	text, err := yaml.JSONToYAML(raw)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestGolden translates the meshes of testdata/in. testdata/out has what became of
// them, NAME.ENDPOINT.yaml; go test -update writes it. Envoy itself takes it, says
// a test of package conformance.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/in/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	expected := map[string]bool{}
	for _, file := range files {
		d := read(t, file)
		p := publish(t, d)
		for _, proxy := range d.Proxies {
			e := p.endpoint(model.VirtualNodeEndpoint, proxy.VirtualNode)
			if proxy.VirtualGateway != "" {
				e = p.endpoint(model.VirtualGatewayEndpoint, proxy.VirtualGateway)
			}
			name := strings.TrimSuffix(filepath.Base(file), ".yaml") + "." + e.Name
			if proxy.Explicit {
				name += ".explicit"
			}
			golden := filepath.Join("testdata/out", name+".yaml")
			expected[golden] = true
			t.Run(name, func(t *testing.T) {
				r := p.of(e, proxy.proxy())
				got := r.text(t)
				sound(t, r, got)
				if *update {
					if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(golden)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(string(want), got); diff != "" {
					t.Errorf("want -, got +\n%s", diff)
				}
			})
		}
	}
	written, err := filepath.Glob("testdata/out/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range written {
		if !expected[file] {
			t.Errorf("%s is of no mesh in testdata/in", file)
		}
	}
}

// BenchmarkEndpoint translates for a virtual node with 50 backends, each a virtual
// router with five routes to two of a hundred virtual nodes.
func BenchmarkEndpoint(b *testing.B) {
	text := &strings.Builder{}
	text.WriteString("mesh: big\nvirtualNodes:\n  caller:\n    backends:\n")
	for i := range 50 {
		fmt.Fprintf(text, "    - {virtualService: {virtualServiceName: s%d}}\n", i)
	}
	for i := range 100 {
		fmt.Fprintf(text, "  n%d: {serviceDiscovery: {dns: {hostname: n%[1]d.example.com}}, listeners: [{portMapping: {port: 8080, protocol: http}}]}\n", i)
	}
	text.WriteString("virtualRouters:\n")
	for i := range 50 {
		fmt.Fprintf(text, "  r%d: {listeners: [{portMapping: {port: 80, protocol: http}}]}\n", i)
	}
	text.WriteString("virtualServices:\n")
	for i := range 50 {
		fmt.Fprintf(text, "  s%d: {provider: {virtualRouter: {virtualRouterName: r%[1]d}}}\n", i)
	}
	text.WriteString("routes:\n")
	for i := range 50 {
		fmt.Fprintf(text, "  r%d:\n", i)
		for j := range 5 {
			fmt.Fprintf(text, "    x%d: {httpRoute: {match: {prefix: /%[1]d}, action: {weightedTargets: [{virtualNode: n%[2]d, weight: 1}, {virtualNode: n%[3]d, weight: 2}]}}}\n", j, i, 99-i)
		}
	}
	p := publish(b, parse(b, text.String()))
	e := p.endpoint(model.VirtualNodeEndpoint, "caller")
	for b.Loop() {
		p.of(e, Proxy{})
	}
}
