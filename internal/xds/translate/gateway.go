package translate

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/proto"

	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/snapshot"
	wire "github.com/latchwork/latchwork/internal/wire/appmesh"
)

// specOf is the spec of a mesh endpoint as that of a virtual node; nil if the mesh
// has no such endpoint.
func specOf(mesh *snapshot.Mesh, e model.MeshEndpoint) *wire.VirtualNodeSpec {
	switch e.Kind {
	case model.VirtualNodeEndpoint:
		if n := mesh.Node(e.Name); n != nil && n.Account == e.Account {
			return n.Spec
		}
	case model.VirtualGatewayEndpoint:
		if g := mesh.Gateway(e.Name); g != nil && g.Account == e.Account && g.Spec != nil {
			return asNode(g.Spec)
		}
	}
	return nil
}

// asNode reads the spec of a virtual gateway as that of a virtual node. Its parts
// have types of their own in App Mesh's interface, with the members of the virtual
// node's, as far as a virtual gateway has them.
func asNode(s *wire.VirtualGatewaySpec) *wire.VirtualNodeSpec {
	raw, err := json.Marshal(s)
	out := &wire.VirtualNodeSpec{}
	if err == nil {
		err = json.Unmarshal(raw, out)
	}
	if err != nil {
		panic(fmt.Sprintf("the spec of a virtual gateway is not like that of a virtual node: %v", err))
	}
	return out
}

// gateway translates a virtual gateway. A request takes two hops through the same
// Envoy: a gateway route picks the virtual service, and the egress listener has that
// one's routes.
func (t *translation) gateway(g *model.VirtualGateway, spec *wire.VirtualNodeSpec) {
	logs, listeners, entries := t.accessLog(spec.Logging), listenersOf(spec.Listeners), t.entries(g.Name)
	keepHost := slices.ContainsFunc(entries, func(e entry) bool { return e.keepHost })
	preference, several := t.preference(nil), len(listeners) > 1
	for _, l := range listeners {
		self := selfName(t.mesh.Name, g.Name, l, several)
		t.near(self, tcpAddress(t.self(), egressPort), l)
		routes := t.gatewayHosts(entries, l, self, keepHost)
		t.routes[routes.Name] = routes
		out := t.inbound(ingressListenerName(l.port), corev3.TrafficDirection_INBOUND, l.port, preference)
		out.ListenerFilters = []*listenerv3.ListenerFilter{t.tlsInspector()}
		filter := t.serveHTTP(ingressStatsName(l, several), routes.Name, l.protocol, logs)
		out.FilterChains = t.chains(l, toPort(l.port), filter, gatewayNames(g, entries))
		t.listeners[out.Name] = out
	}
	routes := t.gatewayEgress(entries, value(value(spec.BackendDefaults).ClientPolicy).Tls)
	t.routes[routes.Name] = routes
	out := t.inbound(egressListenerName(egressPort), corev3.TrafficDirection_OUTBOUND, egressPort, preference)
	out.FilterChains = []*listenerv3.FilterChain{{
		FilterChainMatch: toPort(egressPort),
		Filters:          []*listenerv3.Filter{t.serveHTTP(egressStats, routes.Name, wire.PortProtocolHttp, logs)},
	}}
	t.listeners[out.Name] = out
}

// gatewayNames are the DNS names of the certificate that is issued for a virtual
// gateway: those that its gateway routes are for, or else its own.
func gatewayNames(g *model.VirtualGateway, entries []entry) []string {
	var out []string
	for _, e := range entries {
		if name := domainOf(e.hostname); name != "*" {
			out = append(out, name)
		}
	}
	if out == nil {
		return []string{g.Name}
	}
	return unique(out)
}

// gatewayHosts are the routes of one listener. Host names to match are virtual hosts,
// each with all gateway routes that a request for it may take.
func (t *translation) gatewayHosts(entries []entry, l listener, self string, keepHost bool) *routev3.RouteConfiguration {
	var here []entry
	var made [][]*routev3.Route
	domains := map[string]bool{"*": true}
	for _, e := range entries {
		if onPort(e.conditions.port, l) {
			here, made = append(here, e), append(made, t.toSelf(e, self, keepHost))
			domains[domainOf(e.hostname)] = true
		}
	}
	out := newHosts(ingressRoutesName(l.port))
	for _, domain := range slices.Sorted(maps.Keys(domains)) {
		var routes []*routev3.Route
		for i, e := range here {
			if covers(e.hostname, domain) {
				routes = append(routes, made[i]...)
			}
		}
		name := domain
		if domain == "*" {
			name = "self_redirect"
		}
		out.add(name, []string{domain}, routes)
	}
	// A host name means its port whatever it is.
	out.config.IgnorePortInHostMatching = len(domains) > 1
	return out.config
}

// gatewayEgress are the routes of the virtual services that gateway routes lead to.
func (t *translation) gatewayEgress(entries []entry, policy *wire.ClientPolicyTls) *routev3.RouteConfiguration {
	out := newHosts(egressRoutesName(egressPort))
	kept, seen := map[string]bool{}, map[string]bool{}
	for _, e := range entries {
		if e.keepHost {
			kept[e.host()] = true
		}
	}
	var byHeader []*routev3.Route
	destinations := slices.Clone(entries)
	slices.SortStableFunc(destinations, func(a, b entry) int { return cmp.Compare(a.host(), b.host()) })
	for _, e := range destinations {
		host := e.host()
		if seen[host] {
			continue
		}
		seen[host] = true
		routes := t.serviceRoutes(backend{e.service, policy}, e.listener)
		if kept[host] {
			for _, r := range routes {
				byHeader = append(byHeader, onlyWithHeader(r, host))
			}
		}
		var domains []string
		if e.several {
			domains = append(domains, host)
			for _, r := range routes {
				if a := r.GetRoute(); a != nil {
					a.HostRewriteSpecifier = &routev3.RouteAction_HostRewriteLiteral{HostRewriteLiteral: e.service.Name}
				}
			}
		}
		if e.first {
			domains = append(domains, e.service.Name, e.service.Name+":"+number(egressPort))
		}
		if len(kept) > 0 {
			routes = append([]*routev3.Route{notWithOtherHeader(host)}, routes...)
		}
		if h := out.add(host, domains, routes); h != nil && len(kept) > 0 {
			h.RequestHeadersToRemove = []string{virtualServiceHeader}
		}
	}
	if len(kept) > 0 {
		out.add("default_backend", []string{"*"}, byHeader)
	}
	return out.config
}

// onlyWithHeader is a route for requests that kept their Host.
func onlyWithHeader(r *routev3.Route, host string) *routev3.Route {
	out := proto.CloneOf(r)
	out.Match.Headers = append(out.Match.Headers, headerIs(virtualServiceHeader, exactly(host)))
	out.RequestHeadersToRemove = append(out.RequestHeadersToRemove, virtualServiceHeader)
	return out
}

// notWithOtherHeader answers requests that kept a Host which happens to be that of
// another virtual service than the one they were routed to: a caller must not choose.
func notWithOtherHeader(host string) *routev3.Route {
	other := headerIs(virtualServiceHeader, exactly(host))
	other.InvertMatch = true
	match := everything()
	match.Headers = []*routev3.HeaderMatcher{
		{Name: virtualServiceHeader, HeaderMatchSpecifier: &routev3.HeaderMatcher_PresentMatch{PresentMatch: true}}, other,
	}
	return &routev3.Route{
		Match:  match,
		Action: &routev3.Route_DirectResponse{DirectResponse: &routev3.DirectResponseAction{Status: http404}},
	}
}
