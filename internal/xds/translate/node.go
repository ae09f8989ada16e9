package translate

import (
	"slices"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/latchwork/latchwork/internal/model"
	wire "github.com/latchwork/latchwork/internal/wire/appmesh"
)

// node translates a virtual node: what comes in goes to the application, what goes
// out to the backends.
func (t *translation) node(n *model.VirtualNode) {
	t.nodeIngress(n)
	if t.proxy.Explicit {
		t.explicitEgress(n)
	} else {
		t.nodeEgress(n)
	}
}

// certificateNames are the DNS names of the certificate that is issued for a virtual
// node: those that clients want to see.
func certificateNames(n *model.VirtualNode) []string { return []string{discoveryName(n)} }

func (t *translation) nodeIngress(n *model.VirtualNode) {
	listeners := listenersOf(n.Spec.Listeners)
	if len(listeners) == 0 {
		return
	}
	preference := t.preference(n.Spec.ServiceDiscovery)
	logs := t.accessLog(n.Spec.Logging)
	if t.proxy.Explicit {
		t.explicitIngress(n, listeners, logs)
		return
	}
	out := t.inbound(ingressListenerName(ingressPort), corev3.TrafficDirection_INBOUND, ingressPort, preference)
	out.ListenerFilters = append(out.ListenerFilters, t.originalDestination())
	if slices.ContainsFunc(n.Spec.Listeners, servesTLS) {
		out.ListenerFilters = append(out.ListenerFilters, t.tlsInspector())
	}
	for _, l := range listeners {
		filter := t.toApp(n, l, logs, len(listeners) > 1)
		out.FilterChains = append(out.FilterChains, t.chains(l, toPort(l.port), filter, certificateNames(n))...)
		t.app(n, l, preference)
	}
	t.listeners[out.Name] = out
}

// toApp is what a listener of a virtual node does with a connection.
func (t *translation) toApp(n *model.VirtualNode, l listener, logs accessLogs, several bool) *listenerv3.Filter {
	stats, cluster := ingressStatsName(l, several), appName(t.mesh.Name, n.Name, l)
	if l.plain() {
		return t.proxyTCP(stats, tcpTo(cluster), idleOf(l.of.Timeout), logs)
	}
	timeouts := httpTimeoutOf(l)
	t.routes[ingressRoutesName(l.port)] = &routev3.RouteConfiguration{
		Name: ingressRoutesName(l.port),
		VirtualHosts: []*routev3.VirtualHost{{
			Name: ingressRoutesName(l.port), Domains: []string{"*"},
			Routes: []*routev3.Route{{
				Match: everything(),
				Action: &routev3.Route_Route{Route: &routev3.RouteAction{
					ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: cluster},
					Timeout:          perRequest(timeouts), IdleTimeout: duration(value(timeouts).Idle),
				}},
			}},
		}},
	}
	return t.serveHTTP(stats, ingressRoutesName(l.port), l.protocol, logs)
}

// backend is a virtual service that a virtual node calls, with how.
type backend struct {
	service *model.VirtualService
	policy  *wire.ClientPolicyTls
}

// backends of a virtual node, in order of names. One that is not there, or not yet,
// is none.
func (t *translation) backends(n *model.VirtualNode) []backend {
	var defaults *wire.ClientPolicy
	if n.Spec.BackendDefaults != nil {
		defaults = n.Spec.BackendDefaults.ClientPolicy
	}
	var out []backend
	for _, b := range n.Spec.Backends {
		if b.VirtualService == nil {
			continue
		}
		if v := t.mesh.VirtualService(value(b.VirtualService.VirtualServiceName)); v != nil {
			policy := b.VirtualService.ClientPolicy
			if policy == nil {
				policy = defaults
			}
			out = append(out, backend{v, value(policy).Tls})
		}
	}
	slices.SortFunc(out, func(a, b backend) int { return byName(a.service, b.service) })
	return out
}

func (t *translation) nodeEgress(n *model.VirtualNode) {
	logs := t.accessLog(n.Spec.Logging)
	out := t.inbound(egressListenerName(egressPort), corev3.TrafficDirection_OUTBOUND, egressPort, t.preference(n.Spec.ServiceDiscovery))
	out.ListenerFilters = []*listenerv3.ListenerFilter{t.originalDestination(), t.tlsInspector()}
	ports := map[int64]bool{}
	chain := func(match *listenerv3.FilterChainMatch, f *listenerv3.Filter) {
		out.FilterChains = append(out.FilterChains, &listenerv3.FilterChain{FilterChainMatch: match, Filters: []*listenerv3.Filter{f}})
	}
	hosts := map[int64]*hosts{}
	plain := map[int64]*listenerv3.Filter{}
	for _, b := range t.backends(n) {
		for _, l := range t.ports(b.service) {
			switch {
			case !l.plain():
				if hosts[l.port] == nil {
					hosts[l.port] = newHosts(egressRoutesName(l.port))
				}
				hosts[l.port].add(b.service.Name, []string{b.service.Name, b.service.Name + ":" + number(l.port)}, t.serviceRoutes(b, l))
			case plain[l.port] == nil:
				// Nothing but the port tells virtual services of TCP apart: the first has it.
				if f := t.serviceTCP(b, l, logs); f != nil {
					plain[l.port] = f
				}
			}
		}
	}
	for _, port := range sortedPorts(hosts) {
		ports[port] = true
		t.routes[hosts[port].config.Name] = hosts[port].config
		chain(toPort(port), t.serveHTTP(egressStats, hosts[port].config.Name, wire.PortProtocolHttp, logs))
	}
	for _, port := range sortedPorts(plain) {
		if !ports[port] {
			ports[port] = true
			chain(toPort(port), plain[port])
		}
	}
	t.bypass(chain, ports, logs)
	t.listeners[out.Name] = out
}

// bypass lets through what is for AWS, and if the mesh says so all that is for no
// backend. That AWS is always reached lets an application work that uses it.
// Source: App Mesh API Reference, EgressFilter: DROP_ALL leaves egress to the mesh's
// resources and to *.amazonaws.com.
func (t *translation) bypass(chain func(*listenerv3.FilterChainMatch, *listenerv3.Filter), taken map[int64]bool, logs accessLogs) {
	const https = 443
	through := func(what string) *listenerv3.Filter {
		name := bypassName(t.mesh.Name, what)
		t.clusters[name] = originalDestinationCluster(name)
		return t.proxyTCP(egressStats, tcpTo(name), nil, logs)
	}
	chain(&listenerv3.FilterChainMatch{
		DestinationPort: wrapperspb.UInt32(https), ServerNames: []string{"*.amazonaws.com"},
	}, through("amazonaws"))
	if spec := t.mesh.Spec; spec == nil || spec.EgressFilter == nil || value(spec.EgressFilter.Type) != wire.EgressFilterTypeAllowAll {
		return
	}
	all := through("mesh-allow-all")
	// Envoy does not look further than the port that has a match: without its own the
	// port of the one above would be closed to all other names.
	if !taken[https] {
		chain(toPort(https), all)
	}
	chain(&listenerv3.FilterChainMatch{}, all)
}
