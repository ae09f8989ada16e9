package translate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"

	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/store"
	wire "github.com/latchwork/latchwork/internal/wire/appmesh"
)

// sound checks what must hold for any configuration: Envoy's own rules, as far as its
// types have them, and that whatever is referred to is there.
func sound(t rapid.TB, r *Resources, text string) {
	t.Helper()
	r.each(func(kind string, m message) {
		if err := m.ValidateAll(); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	})
	var all map[string]any
	if err := yaml.Unmarshal([]byte(text), &all); err != nil {
		t.Fatal(err)
	}
	there, used := map[string]map[string]bool{}, map[string]map[string]bool{}
	note := func(in map[string]map[string]bool, kind string, name any) {
		if in[kind] == nil {
			in[kind] = map[string]bool{}
		}
		in[kind][name.(string)] = true
	}
	for kind, resources := range all {
		last := ""
		for _, resource := range resources.([]any) {
			name := resource.(map[string]any)["name"]
			if kind == "endpoints" {
				name = resource.(map[string]any)["cluster_name"]
			}
			note(there, kind, name)
			if name.(string) <= last {
				t.Errorf("%s: %v is not after %s", kind, name, last)
			}
			last = name.(string)
		}
	}
	walk(all, func(m map[string]any) {
		if name, ok := m["cluster"].(string); ok {
			note(used, "clusters", name)
		}
		if w, ok := m["weighted_clusters"].(map[string]any); ok {
			for _, c := range w["clusters"].([]any) {
				note(used, "clusters", c.(map[string]any)["name"])
			}
		}
		if rds, ok := m["rds"].(map[string]any); ok {
			note(used, "routes", rds["route_config_name"])
		}
		if sds, ok := m["sds_config"].(map[string]any); ok && sds["ads"] != nil {
			note(used, "secrets", m["name"])
		}
		if m["eds_cluster_config"] != nil {
			note(used, "endpoints", m["name"])
		}
		if hosts, ok := m["virtual_hosts"].([]any); ok {
			var domains []string
			for _, h := range hosts {
				for _, d := range h.(map[string]any)["domains"].([]any) {
					domains = append(domains, strings.ToLower(d.(string)))
				}
			}
			slices.Sort(domains)
			if len(slices.Compact(slices.Clone(domains))) != len(domains) {
				t.Errorf("%v has a domain twice: %v", m["name"], domains)
			}
		}
		if chains, ok := m["filter_chains"].([]any); ok {
			matches := map[string]bool{}
			for _, c := range chains {
				match, err := json.Marshal(c.(map[string]any)["filter_chain_match"])
				if err != nil {
					t.Fatal(err)
				}
				if matches[string(match)] {
					t.Errorf("%v has two filter chains for %s", m["name"], match)
				}
				matches[string(match)] = true
			}
		}
	})
	for kind, names := range used {
		for name := range names {
			if !there[kind][name] {
				t.Errorf("there is no %s of %s", name, kind)
			}
		}
	}
	for _, kind := range []string{"routes", "secrets", "endpoints"} {
		for name := range there[kind] {
			if !used[kind][name] {
				t.Errorf("nothing uses %s of %s", name, kind)
			}
		}
	}
}

// walk calls fn for every object in v.
func walk(v any, fn func(map[string]any)) {
	switch v := v.(type) {
	case map[string]any:
		fn(v)
		for _, member := range v {
			walk(member, fn)
		}
	case []any:
		for _, e := range v {
			walk(e, fn)
		}
	}
}

// drawn draws a mesh. Names are such that none is in another; some refer to nothing.
func drawn(t *rapid.T) *description {
	names := func(kind string, most int) []string {
		var out []string
		for i := range rapid.IntRange(1, most).Draw(t, kind+"s") {
			out = append(out, fmt.Sprintf("%s-%02d", kind, i))
		}
		return out
	}
	one := func(of []string) string {
		return rapid.SampledFrom(append(slices.Clone(of), "nothing")).Draw(t, "name")
	}
	flip := func(what string) bool { return rapid.Bool().Draw(t, what) }
	protocol := func() string { return rapid.SampledFrom([]string{"http", "http2", "grpc", "tcp"}).Draw(t, "protocol") }
	port := func() int64 { return rapid.Int64Range(1, 3).Draw(t, "port") }
	nodes, gateways, routers, services := names("node", 5), names("gate", 2), names("router", 3), names("service", 5)
	d := &description{
		Mesh:         "mesh",
		VirtualNodes: map[string]*wire.VirtualNodeSpec{}, VirtualGateways: map[string]*wire.VirtualGatewaySpec{},
		VirtualRouters: map[string]*wire.VirtualRouterSpec{}, VirtualServices: map[string]*wire.VirtualServiceSpec{},
		Routes: map[string]map[string]*wire.RouteSpec{}, GatewayRoutes: map[string]map[string]*wire.GatewayRouteSpec{},
	}
	decode := func(text string, into any) {
		if err := yaml.UnmarshalStrict([]byte(text), into); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
	}
	policy := func(owner string) string {
		trust := rapid.SampledFrom([]string{"acm: {certificateAuthorityArns: [ca-of-%s]}", "file: {certificateChain: /ca-of-%s}", "sds: {secretName: ca-of-%s}"}).Draw(t, "trust")
		return fmt.Sprintf("{tls: {enforce: %t, ports: [%s], validation: {trust: {"+trust+"}}}}",
			flip("enforce"), rapid.SampledFrom([]string{"", "1", "2, 3"}).Draw(t, "ports"), owner)
	}
	tls := func(owner string) string {
		if !flip("tls") {
			return ""
		}
		certificate := rapid.SampledFrom([]string{"acm: {certificateArn: certificate-of-%[1]s}", "file: {certificateChain: /chain-of-%[1]s, privateKey: /key-of-%[1]s}", "sds: {secretName: secret-of-%[1]s}"}).Draw(t, "certificate")
		mode := rapid.SampledFrom([]string{"STRICT", "PERMISSIVE", "DISABLED"}).Draw(t, "mode")
		return fmt.Sprintf("tls: {mode: %[2]s, certificate: {"+certificate+"}}", owner, mode)
	}
	for _, n := range nodes {
		var listeners, backends []string
		for p := range rapid.IntRange(0, 3).Draw(t, "listeners") {
			listeners = append(listeners, fmt.Sprintf("{portMapping: {port: %d, protocol: %s}, %s}", p+1, protocol(), tls(n)))
		}
		for _, s := range services {
			if flip("backend") {
				with := ""
				if flip("policy") {
					with = "clientPolicy: " + policy(n)
				}
				backends = append(backends, fmt.Sprintf("{virtualService: {virtualServiceName: %s, %s}}", s, with))
			}
		}
		discovery := rapid.SampledFrom([]string{"dns: {hostname: %s.example.com}", "awsCloudMap: {namespaceName: example, serviceName: %s}"}).Draw(t, "discovery")
		text := fmt.Sprintf("{listeners: [%s], backends: [%s], serviceDiscovery: {"+discovery+"}}", strings.Join(listeners, ", "), strings.Join(backends, ", "), n)
		d.VirtualNodes[n] = &wire.VirtualNodeSpec{}
		decode(text, d.VirtualNodes[n])
		if flip("defaults") {
			d.VirtualNodes[n].BackendDefaults = &wire.BackendDefaults{}
			decode("clientPolicy: "+policy(n), d.VirtualNodes[n].BackendDefaults)
		}
	}
	for _, r := range routers {
		d.VirtualRouters[r] = &wire.VirtualRouterSpec{}
		decode(fmt.Sprintf("listeners: [{portMapping: {port: %d, protocol: %s}}]", port(), protocol()), d.VirtualRouters[r])
		d.Routes[r] = map[string]*wire.RouteSpec{}
		for i := range rapid.IntRange(0, 3).Draw(t, "routes") {
			kind := rapid.SampledFrom([]string{"httpRoute", "http2Route", "grpcRoute", "tcpRoute"}).Draw(t, "kind")
			spec := &wire.RouteSpec{}
			decode(fmt.Sprintf("%s: {match: {}, action: {weightedTargets: [{virtualNode: %s, weight: %d}, {virtualNode: %s, weight: 1, port: %d}]}}",
				kind, one(nodes), rapid.IntRange(0, 2).Draw(t, "weight"), one(nodes), port()), spec)
			d.Routes[r][fmt.Sprintf("route-%02d", i)] = spec
		}
	}
	for _, s := range services {
		d.VirtualServices[s] = &wire.VirtualServiceSpec{}
		decode(rapid.SampledFrom([]string{
			"{}", "provider: {virtualNode: {virtualNodeName: " + one(nodes) + "}}", "provider: {virtualRouter: {virtualRouterName: " + one(routers) + "}}",
		}).Draw(t, "provider"), d.VirtualServices[s])
	}
	for _, g := range gateways {
		d.VirtualGateways[g] = &wire.VirtualGatewaySpec{}
		decode(fmt.Sprintf("{listeners: [{portMapping: {port: 1, protocol: http}, %s}, {portMapping: {port: 2, protocol: grpc}, %s}], backendDefaults: {clientPolicy: %s}}",
			tls(g), tls(g), policy(g)), d.VirtualGateways[g])
		d.GatewayRoutes[g] = map[string]*wire.GatewayRouteSpec{}
		for i := range rapid.IntRange(0, 4).Draw(t, "gateway routes") {
			spec := &wire.GatewayRouteSpec{}
			decode(fmt.Sprintf("%s: {match: {hostname: %s}, action: {target: {virtualService: {virtualServiceName: %s}}, rewrite: {hostname: {defaultTargetHostname: %s}}}}",
				rapid.SampledFrom([]string{"httpRoute", "grpcRoute"}).Draw(t, "kind"),
				rapid.SampledFrom([]string{"", "{exact: www.a.example}", "{suffix: .a.example}", "{suffix: '*.example'}"}).Draw(t, "host"),
				one(services), rapid.SampledFrom([]string{"ENABLED", "DISABLED"}).Draw(t, "rewrite")), spec)
			d.GatewayRoutes[g][fmt.Sprintf("gateway-route-%02d", i)] = spec
		}
	}
	return d
}

// reach is what an endpoint may know the names of: itself, the virtual services it
// calls, and the virtual nodes that these lead to.
func (d *description) reach(e model.MeshEndpoint) map[string]bool {
	services := map[string]bool{}
	if e.Kind == model.VirtualNodeEndpoint {
		for _, b := range d.VirtualNodes[e.Name].Backends {
			services[value(b.VirtualService.VirtualServiceName)] = true
		}
	} else {
		for _, r := range d.GatewayRoutes[e.Name] {
			walkJSON(r, func(m map[string]any) {
				if name, ok := m["virtualServiceName"].(string); ok {
					services[name] = true
				}
			})
		}
	}
	reach := maps.Clone(services)
	reach[e.Name] = true
	for s := range services {
		walkJSON(d.VirtualServices[s], func(m map[string]any) {
			if node, ok := m["virtualNodeName"].(string); ok {
				reach[node] = true
			}
			if router, ok := m["virtualRouterName"].(string); ok {
				walkJSON(d.Routes[router], func(m map[string]any) {
					if node, ok := m["virtualNode"].(string); ok {
						reach[node] = true
					}
				})
			}
		})
	}
	return reach
}

func walkJSON(v any, fn func(map[string]any)) {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	var decoded any
	if err := json.Unmarshal(raw, &decoded); err != nil {
		panic(err)
	}
	walk(decoded, fn)
}

// TestAnyMesh: whatever the mesh, each endpoint's configuration is sound, the same
// each time, and tells nothing of what the endpoint has nothing to do with.
func TestAnyMesh(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		d := drawn(rt)
		p := publish(t, d)
		var endpoints []model.MeshEndpoint
		for name := range d.VirtualNodes {
			endpoints = append(endpoints, p.endpoint(model.VirtualNodeEndpoint, name))
		}
		for name := range d.VirtualGateways {
			endpoints = append(endpoints, p.endpoint(model.VirtualGatewayEndpoint, name))
		}
		all := slices.Concat(slices.Collect(maps.Keys(d.VirtualNodes)), slices.Collect(maps.Keys(d.VirtualGateways)), slices.Collect(maps.Keys(d.VirtualServices)))
		for _, e := range endpoints {
			r := p.of(e, Proxy{})
			text := r.text(t)
			sound(rt, r, text)
			if !bytes.Equal(wired(t, r), wired(t, p.of(e, Proxy{}))) {
				rt.Errorf("%s: other bytes the second time", e.Name)
			}
			reach := d.reach(e)
			for _, name := range all {
				if !reach[name] && strings.Contains(text, name) {
					rt.Errorf("%s is told of %s:\n%s", e.Name, name, text)
				}
			}
			for _, s := range r.Secrets {
				c := s.GetTlsCertificate()
				if c != nil && s.Name != "certificate-of-"+e.Name && !strings.HasPrefix(s.Name, "tls_certificate:/chain-of-"+e.Name) {
					rt.Errorf("%s is given the certificate %s", e.Name, s.Name)
				}
			}
		}
	})
}

// TestReads: where what a translation read is the same after a change, another gives
// the same; and a change of what an endpoint has nothing to do with is not one of
// what it read.
func TestReads(t *testing.T) {
	kept := 0
	rapid.Check(t, func(rt *rapid.T) {
		d := drawn(rt)
		before := publish(t, d)
		// Some records of one kind become those of another mesh, or are new.
		other, change := drawn(rt), &description{Mesh: d.Mesh}
		touched := map[string]bool{}
		switch rapid.IntRange(0, 4).Draw(rt, "change") {
		case 0:
			change.VirtualNodes = other.VirtualNodes
		case 1:
			change.VirtualServices = other.VirtualServices
		case 2:
			change.VirtualRouters = other.VirtualRouters
		case 3:
			change.Routes = other.Routes
		case 4:
			change.GatewayRoutes = other.GatewayRoutes
		}
		if n := len(change.VirtualNodes); n > 1 {
			one := slices.Sorted(maps.Keys(change.VirtualNodes))[rapid.IntRange(0, n-1).Draw(rt, "one")]
			change.VirtualNodes = map[string]*wire.VirtualNodeSpec{one: change.VirtualNodes[one]}
			touched[one] = true
		}
		after := put(t, change, before.account, false)
		for name := range d.VirtualNodes {
			e := before.endpoint(model.VirtualNodeEndpoint, name)
			r := before.of(e, Proxy{})
			if !r.Reads.Same(before.snap, before.mesh) {
				rt.Errorf("%s reads otherwise in the same mesh", name)
			}
			same := r.Reads.Same(after.snap, after.mesh)
			if same && !bytes.Equal(wired(t, r), wired(t, after.of(e, Proxy{}))) {
				rt.Errorf("%s reads the same after the change and is another", name)
			}
			reached := false
			for n := range d.reach(e) {
				reached = reached || touched[n]
			}
			if len(touched) > 0 && !reached && d.VirtualNodes[slices.Collect(maps.Keys(touched))[0]] != nil {
				if kept++; !same {
					rt.Errorf("%s reads otherwise after a change of %v", name, touched)
				}
			}
		}
	})
	if kept == 0 {
		t.Error("no endpoint was left alone")
	}
}

// wired is all resources as they are sent.
func wired(t testing.TB, r *Resources) []byte {
	var out []byte
	r.each(func(kind string, m message) {
		var err error
		if out, err = (proto.MarshalOptions{Deterministic: true}).MarshalAppend(append(out, kind...), m); err != nil {
			t.Fatal(err)
		}
	})
	return out
}

// TestUnreadable: what an endpoint needs and the store has in no readable form is not
// left out, or its requests would go where a broader route leads. There is no
// translation, and other endpoints have theirs.
func TestUnreadable(t *testing.T) {
	d := parse(t, `
mesh: m
virtualNodes:
  front: {backends: [{virtualService: {virtualServiceName: back}}]}
  back: {listeners: [{portMapping: {port: 8080, protocol: http}}], serviceDiscovery: {dns: {hostname: back.local}}}
virtualRouters:
  r: {listeners: [{portMapping: {port: 80, protocol: http}}]}
virtualServices:
  back: {provider: {virtualRouter: {virtualRouterName: r}}}
routes:
  r:
    admin: {httpRoute: {match: {prefix: /admin}, action: {weightedTargets: [{virtualNode: back, weight: 1}]}}}
    rest: {httpRoute: {match: {prefix: /}, action: {weightedTargets: [{virtualNode: back, weight: 1}]}}}
virtualGateways:
  gate: {listeners: [{portMapping: {port: 80, protocol: http}}]}
gatewayRoutes:
  gate:
    rest: {httpRoute: {match: {prefix: /}, action: {target: {virtualService: {virtualServiceName: back}}}}}
`)
	raw := func(p string) store.Collection[string] {
		return store.NewCollection[string](strings.TrimSuffix(p, "/"))
	}
	for _, test := range []struct {
		name       string
		collection store.Collection[string]
		id         []string
		gate, back bool // what is translated nevertheless
	}{
		{"a route", raw(model.Routes.Prefix), []string{"r", "admin"}, false, true},
		{"a route that nobody has read", raw(model.Routes.Prefix), []string{"r", "new"}, false, true},
		{"a gateway route", raw(model.GatewayRoutes.Prefix), []string{"gate", "narrow"}, false, true},
		{"a virtual router", raw(model.VirtualRouters.Prefix), []string{"r"}, false, true},
		{"a virtual service", raw(model.VirtualServices.Prefix), []string{"back"}, false, true},
		{"another router's route", raw(model.Routes.Prefix), []string{"r2", "admin"}, true, true},
	} {
		before := publish(t, d)
		front, gate, back := before.endpoint(model.VirtualNodeEndpoint, "front"), before.endpoint(model.VirtualGatewayEndpoint, "gate"), before.endpoint(model.VirtualNodeEndpoint, "back")
		reads := before.of(gate, Proxy{}).Reads
		after := change(t, before, func(tx *store.Tx) error {
			return test.collection.Put(tx, model.MeshKey(before.account, region, "m", test.id...), new("no record"))
		})
		if reads.Same(after.snap, after.mesh) != test.gate {
			t.Errorf("%s: whether the virtual gateway has to be translated anew", test.name)
		}
		for e, want := range map[model.MeshEndpoint]bool{front: test.gate || test.id[0] == "gate", gate: test.gate, back: test.back} {
			_, err := Endpoint(after.snap, after.mesh, e, Proxy{}, issuer{})
			if (err == nil) != want || err != nil && !strings.Contains(err.Error(), "cannot be read") {
				t.Errorf("%s: translating %s: %v", test.name, e.Name, err)
			}
		}
	}
}
