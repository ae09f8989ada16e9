package translate

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/latchwork/latchwork/internal/model"
	wire "github.com/latchwork/latchwork/internal/wire/appmesh"
)

func decoded[T any](t *testing.T, text string) *T {
	t.Helper()
	out := new(T)
	if err := yaml.UnmarshalStrict([]byte(text), out); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return out
}

func TestRetries(t *testing.T) {
	all := []uint32{500, 501, 502, 503, 504, 505, 506, 507, 508, 510, 511}
	for policy, want := range map[string]struct {
		on    string
		codes []uint32
	}{
		"httpRetryEvents: [server-error]":                                         {"reset,retriable-status-codes", all},
		"httpRetryEvents: [stream-error, server-error]":                           {"reset,refused-stream,retriable-status-codes", all},
		"httpRetryEvents: [gateway-error]":                                        {"reset,retriable-status-codes", []uint32{502, 503, 504}},
		"httpRetryEvents: [gateway-error, client-error]":                          {"reset,retriable-status-codes", []uint32{409, 502, 503, 504}},
		"httpRetryEvents: [gateway-error, server-error]":                          {"reset,retriable-status-codes", all},
		"httpRetryEvents: [client-error]":                                         {"retriable-status-codes", []uint32{409}},
		"httpRetryEvents: [stream-error]":                                         {"refused-stream", nil},
		"httpRetryEvents: [no-such-event]":                                        {"", nil},
		"tcpRetryEvents: [connection-error]":                                      {"connect-failure", nil},
		"grpcRetryEvents: [unavailable, cancelled]":                               {"cancelled,unavailable", nil},
		"grpcRetryEvents: [deadline-exceeded, internal, resource-exhausted]":      {"deadline-exceeded,internal,resource-exhausted", nil},
		"grpcRetryEvents: [internal], httpRetryEvents: [reset, connect-failure]":  {"internal", nil},
		"grpcRetryEvents: [internal], tcpRetryEvents: [connection-error, refuse]": {"internal,connect-failure", nil},
	} {
		tr := &translation{}
		got := tr.retries(decoded[wire.GrpcRetryPolicy](t, "{maxRetries: 3, perRetryTimeout: {unit: ms, value: 100}, "+policy+"}"))
		if got.RetryOn != want.on || !slices.Equal(got.RetriableStatusCodes, want.codes) ||
			got.NumRetries.GetValue() != 3 || got.PerTryTimeout.AsDuration() != 100*time.Millisecond {
			t.Errorf("%s: %v", policy, got)
		}
	}
}

func TestOrder(t *testing.T) {
	for want, routes := range map[string][]string{
		// The walkthrough howto-http-headers of aws-app-mesh-examples.
		"low high unsaid": {"high: {priority: 300, httpRoute: {match: {prefix: /a}}}", "low: {priority: 0, httpRoute: {match: {prefix: /}}}", "unsaid: {httpRoute: {match: {prefix: /very/long}}}"},
		"unsaid last":     {"last: {priority: 1000, httpRoute: {match: {prefix: /}}}", "unsaid: {httpRoute: {match: {prefix: /a}}}"},
		"longest long short root": {
			"root: {httpRoute: {match: {prefix: /}}}", "short: {httpRoute: {match: {prefix: /a}}}",
			"long: {http2Route: {match: {prefix: /a/b}}}", "longest: {grpcRoute: {match: {serviceName: long.Service}}}",
		},
		"exact regex prefix none": {
			"none: {grpcRoute: {match: {}}}", "prefix: {httpRoute: {match: {prefix: /long/prefix}}}",
			"regex: {httpRoute: {match: {path: {regex: /r}}}}", "exact: {httpRoute: {match: {path: {exact: /e}}}}",
		},
		"particular general": {
			"general: {httpRoute: {match: {prefix: /, method: GET}}}", "particular: {httpRoute: {match: {prefix: /, method: GET, queryParameters: [{name: a}]}}}",
		},
		"method service": {
			"service: {grpcRoute: {match: {serviceName: s.very.very.long}}}", "method: {grpcRoute: {match: {serviceName: s, methodName: m}}}",
		},
		"a b": {"a: {httpRoute: {match: {prefix: /}}}", "b: {httpRoute: {match: {prefix: /}}}", "c: "},
	} {
		var in []*model.Route
		for _, text := range routes {
			name, spec, _ := strings.Cut(text, ": ")
			r := &model.Route{}
			r.Name = name
			if spec != "" {
				r.Spec = decoded[wire.RouteSpec](t, spec)
			}
			in = append(in, r)
		}
		var got []string
		for _, r := range ordered(in) {
			got = append(got, r.Name)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("want %s, got %v", want, got)
		}
	}
}

func TestRewrites(t *testing.T) {
	for text, want := range map[string]string{
		"{match: {prefix: /}}":            "/",
		"{match: {hostname: {exact: a}}}": "/",
		"{match: {prefix: /red}}":         "/red/=>/ /red=>/",
		"{match: {prefix: /red/}}":        "/red/=>/",
		"{match: {prefix: /red}, action: {rewrite: {prefix: {defaultPrefix: ENABLED}}}}":         "/red/=>/ /red=>/",
		"{match: {prefix: /red}, action: {rewrite: {prefix: {defaultPrefix: DISABLED}}}}":        "/red",
		"{match: {prefix: /red/}, action: {rewrite: {prefix: {value: /blue/}}}}":                 "/red/=>/blue/",
		"{match: {prefix: /red}, action: {rewrite: {prefix: {value: /blue/}}}}":                  "/red/=>/blue/ /red=>/blue/",
		"{match: {prefix: /}, action: {rewrite: {prefix: {value: /blue/}}}}":                     "/=>/blue/",
		"{match: {path: {exact: /a}}}":                                                           "/a",
		"{match: {path: {exact: /a}}, action: {rewrite: {path: {exact: /b}}}}":                   "/a=>/b",
		"{match: {path: {regex: /a.*}}, action: {rewrite: {path: {exact: /b}}}}":                 "/a.*=>/b",
		"{match: {path: {exact: /a}}, action: {rewrite: {hostname: {defaultTargetHostname: }}}}": "/a",
	} {
		r := decoded[wire.HttpGatewayRoute](t, text)
		var got []string
		for _, w := range rewrites(gatewayConditions(r.Match), value(value(r.Action).Rewrite)) {
			from := value(w.prefix) + value(value(w.path).Exact) + value(value(w.path).Regex)
			if w.to != "" {
				from += "=>" + w.to
			}
			got = append(got, from)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: want %s, got %v", text, want, got)
		}
	}
}

// TestRegex: Envoy refuses what compiles to more than 100 instructions unless it is
// told otherwise, and is not told without need, for it warns of that.
func TestRegex(t *testing.T) {
	for expression, want := range map[string]bool{
		"redor.*": false, "/v[0-9]+/.*": false, "(GET|POST)": false, "[^/]+/[^/]+": false, ".{20}": false, "é": false,
		"[a-z]{101}": true, `(\S+\s+){9}`: true, "(a?){30}": true, strings.Repeat("a", 255): true, `\\x{100}`: true,
	} {
		r := regex(expression)
		if r == nil || r.Regex != expression || (r.EngineType != nil) != want {
			t.Errorf("%s: %v", expression, r)
		}
	}
	for _, expression := range []string{"(", "a{1001}", `\C`, "(?=a)", `(a)\1`, `\x{100}`, `[^\x{10FFFF}]`, `\x{fffffffff}`} {
		if r := regex(expression); r != nil {
			t.Errorf("%s is taken", expression)
		}
	}
}

func TestDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"{unit: s, value: 15}":                   15 * time.Second,
		"{unit: ms, value: 1}":                   time.Millisecond,
		"{unit: s, value: 0}":                    0,
		"{unit: s, value: 9223372036854775807}":  maxDuration,
		"{unit: ms, value: 9223372036854775807}": maxDuration,
	} {
		if got := duration(decoded[wire.Duration](t, text)); got.AsDuration() != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

// TestLongest: a virtual gateway does not end a request earlier than a route of the
// virtual service would.
func TestLongest(t *testing.T) {
	for routes, want := range map[string]string{
		"":                            "none",
		"a: {tcpRoute: {}}":           "none",
		"a: {httpRoute: {match: {}}}": "15s",
		"a: {httpRoute: {match: {}, timeout: {perRequest: {unit: s, value: 5}}}}":                                                     "5s",
		"a: {httpRoute: {timeout: {perRequest: {unit: s, value: 5}}}}, b: {grpcRoute: {}}":                                            "15s",
		"a: {httpRoute: {timeout: {perRequest: {unit: s, value: 20}}}}, b: {http2Route: {}}":                                          "20s",
		"a: {httpRoute: {timeout: {perRequest: {unit: s, value: 20}}}}, b: {httpRoute: {timeout: {perRequest: {unit: s, value: 0}}}}": "0s",
	} {
		p := publish(t, parse(t, fmt.Sprintf(`
mesh: m
virtualRouters: {r: {listeners: [{portMapping: {port: 80, protocol: http}}]}}
virtualServices: {s: {provider: {virtualRouter: {virtualRouterName: r}}}}
routes: {r: {%s}}
`, routes)))
		tr := &translation{mesh: newReader(p.snap, p.mesh)}
		got := "none"
		if d := tr.longest(destination{service: p.mesh.VirtualService("s")}); d != nil {
			got = d.AsDuration().String()
		}
		if got != want {
			t.Errorf("%s: want %s, got %s", routes, want, got)
		}
	}
}

// TestExplicitConflicts: what cannot be served without traffic interception is said.
func TestExplicitConflicts(t *testing.T) {
	p := publish(t, parse(t, `
mesh: m
virtualNodes:
  node:
    listeners: [{portMapping: {port: 8080, protocol: http}}]
  caller:
    listeners: [{portMapping: {port: 5432, protocol: http}}]
    backends: [{virtualService: {virtualServiceName: db}}]
  both:
    backends: [{virtualService: {virtualServiceName: db}}, {virtualService: {virtualServiceName: db2}}]
  egress:
    listeners: [{portMapping: {port: 15001, protocol: http}}]
  db:
    serviceDiscovery: {dns: {hostname: db}}
    listeners: [{portMapping: {port: 5432, protocol: tcp}}]
virtualServices:
  db: {provider: {virtualNode: {virtualNodeName: db}}}
  db2: {provider: {virtualNode: {virtualNodeName: db}}}
`))
	own, app := netip.MustParseAddr("127.0.1.1"), netip.MustParseAddr("127.0.0.1")
	for _, c := range []struct {
		node  string
		proxy Proxy
		want  string
	}{
		{"node", Proxy{Explicit: true, Bind: own}, ""},
		{"node", Proxy{Explicit: true, App: own}, ""},
		{"node", Proxy{Explicit: true}, "the Envoy of virtual node node and its application cannot both be on 127.0.0.1: give one an address of its own"},
		{"node", Proxy{Explicit: true, Bind: app}, "the Envoy of virtual node node and its application cannot both be on 127.0.0.1: give one an address of its own"},
		{"node", Proxy{Explicit: true, Bind: own, App: own}, "the Envoy of virtual node node and its application cannot both be on 127.0.1.1: give one an address of its own"},
		{"node", Proxy{Explicit: true, Bind: netip.IPv6Unspecified()}, ""}, // which is IPv6 alone
		{"node", Proxy{Explicit: true, Bind: netip.IPv6Unspecified(), App: netip.IPv6Loopback()}, "the Envoy of virtual node node and its application cannot both be on ::1: give one an address of its own"},
		{"node", Proxy{Bind: app}, ""},
		{"caller", Proxy{Explicit: true, Bind: own}, "port 5432 of virtual service db is that of a listener of virtual node caller: without traffic interception there is one listener a port"},
		{"caller", Proxy{}, ""},
		{"both", Proxy{Explicit: true, Bind: own}, "port 5432 of virtual service db2 is that of virtual service db: without traffic interception there is one listener a port"},
		{"egress", Proxy{Explicit: true, Bind: own}, "port 15001 of virtual node egress is that of requests to virtual services: without traffic interception there is one listener a port"},
	} {
		got := ""
		if _, err := Endpoint(p.snap, p.mesh, p.endpoint(model.VirtualNodeEndpoint, c.node), c.proxy, issuer{}); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s %+v: %s", c.node, c.proxy, got)
		}
	}
}

// TestSelf: a virtual gateway reaches itself where its listeners are.
func TestSelf(t *testing.T) {
	p := publish(t, parse(t, `
mesh: m
virtualGateways: {gate: {listeners: [{portMapping: {port: 80, protocol: http}}]}}
`))
	for proxy, want := range map[Proxy]string{
		{}:               "127.0.0.1",
		{Explicit: true}: "127.0.0.1",
		{Explicit: true, Bind: netip.IPv6Unspecified()}:          "::1",
		{Explicit: true, Bind: netip.MustParseAddr("127.0.1.1")}: "127.0.1.1",
		{Explicit: true, Bind: netip.MustParseAddr("fd00::1")}:   "fd00::1",
	} {
		r := p.of(p.endpoint(model.VirtualGatewayEndpoint, "gate"), proxy)
		at := r.Clusters[0].LoadAssignment.Endpoints[0].LbEndpoints[0].GetEndpoint().Address.GetSocketAddress()
		if at.Address != want || at.GetPortValue() != egressPort {
			t.Errorf("%+v: %v", proxy, at)
		}
	}
}

// failing is an issuer that has nothing.
type failing struct{}

func (failing) Issue(string, []string) (chain, key []byte, err error) {
	return nil, nil, fmt.Errorf("no certificate")
}
func (failing) CA(string) ([]byte, error) { return nil, fmt.Errorf("no authority") }

// TestUnusable: an endpoint that could not serve or check TLS is given nothing.
func TestUnusable(t *testing.T) {
	p := publish(t, parse(t, `
mesh: m
virtualNodes:
  acm:
    listeners: [{portMapping: {port: 1, protocol: http}, tls: {mode: STRICT, certificate: {acm: {certificateArn: c}}}}]
  nothing:
    listeners: [{portMapping: {port: 1, protocol: http}, tls: {mode: STRICT, certificate: {}}}]
  trustless:
    listeners: [{portMapping: {port: 1, protocol: http}, tls: {mode: STRICT, certificate: {sds: {secretName: s}}, validation: {trust: {}}}}]
  authority:
    backends: [{virtualService: {virtualServiceName: s, clientPolicy: {tls: {validation: {trust: {acm: {certificateAuthorityArns: [a]}}}}}}}]
  any-authority:
    backends: [{virtualService: {virtualServiceName: s, clientPolicy: {tls: {validation: {}}}}}]
  issued:
    backends: [{virtualService: {virtualServiceName: s}}]
virtualServices: {s: {provider: {virtualNode: {virtualNodeName: acm}}}}
`))
	for name, want := range map[string]string{
		"acm": "the certificate c: no certificate", "nothing": "the listener of port 1 has TLS without a certificate",
		"trustless": "a TLS validation trusts nobody", "authority": "the certificate authority of a: no authority",
		"any-authority": "a TLS validation trusts nobody", "issued": "the certificate authority of c: no authority",
	} {
		if _, err := Endpoint(p.snap, p.mesh, p.endpoint(model.VirtualNodeEndpoint, name), Proxy{}, failing{}); err == nil || err.Error() != want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAddressOf(t *testing.T) {
	const v4, v6 = "10.0.0.1", "2001:db8::1"
	for _, c := range []struct{ preference, both, only4, only6 string }{
		{"", v4, v4, v6},
		{wire.IpPreferenceIPv4Preferred, v4, v4, v6},
		{wire.IpPreferenceIPv6Preferred, v6, v4, v6},
		{wire.IpPreferenceIPv4Only, v4, v4, ""},
		{wire.IpPreferenceIPv6Only, v6, "", v6},
	} {
		for want, attributes := range map[*string]map[string]string{
			&c.both: {"AWS_INSTANCE_IPV4": v4, "AWS_INSTANCE_IPV6": v6}, &c.only4: {"AWS_INSTANCE_IPV4": v4},
			&c.only6: {"AWS_INSTANCE_IPV4": "nonsense", "AWS_INSTANCE_IPV6": v6},
		} {
			got := ""
			if a, ok := addressOf(attributes, c.preference); ok {
				got = a.String()
			}
			if got != *want {
				t.Errorf("%q of %v: %q", c.preference, attributes, got)
			}
		}
	}
}
