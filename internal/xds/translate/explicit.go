package translate

import (
	"fmt"
	"net/netip"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"

	"github.com/latchwork/latchwork/internal/model"
	wire "github.com/latchwork/latchwork/internal/wire/appmesh"
)

var loopback = netip.AddrFrom4([4]byte{127, 0, 0, 1})

// bind is where the listeners of an explicit proxy are.
func (t *translation) bind() netip.Addr {
	if t.proxy.Bind.IsValid() {
		return t.proxy.Bind
	}
	return netip.IPv4Unspecified()
}

// application is where the application beside a virtual node's Envoy is.
func (t *translation) application(preference string) string {
	switch {
	case t.proxy.Explicit && t.proxy.App.IsValid():
		return t.proxy.App.String()
	case !t.proxy.Explicit && (preference == wire.IpPreferenceIPv6Only || preference == wire.IpPreferenceIPv6Preferred):
		return netip.IPv6Loopback().String()
	default:
		return loopback.String()
	}
}

// self is where an Envoy reaches itself.
func (t *translation) self() string {
	if t.proxy.Explicit {
		switch bind := t.bind(); {
		case !bind.IsUnspecified():
			return bind.String()
		case bind.Is6():
			return netip.IPv6Loopback().String()
		}
	}
	return loopback.String()
}

// explicitIngress makes a listener of each of a virtual node's, on its own port. All
// count as App Mesh's one did.
func (t *translation) explicitIngress(n *model.VirtualNode, listeners []listener, logs accessLogs) {
	if app := t.application(""); t.bind().String() == app || t.bind().IsUnspecified() && app == t.self() {
		t.fail(fmt.Errorf("the Envoy of virtual node %s and its application cannot both be on %s: give one an address of its own", n.Name, app))
	}
	for _, l := range listeners {
		out := t.inbound(ingressListenerName(l.port), corev3.TrafficDirection_INBOUND, l.port, "")
		out.StatPrefix = listenerStats(ingressPort)
		out.FilterChains = t.chains(l, &listenerv3.FilterChainMatch{}, t.toApp(n, l, logs, len(listeners) > 1), certificateNames(n))
		if servesTLS(*l.of) {
			out.ListenerFilters = []*listenerv3.ListenerFilter{t.tlsInspector()}
		}
		t.app(n, l, "")
		t.listeners[out.Name] = out
	}
}

// explicitEgress makes one listener for all virtual services of requests, which Host
// tells apart, and for each of bytes one on its port.
func (t *translation) explicitEgress(n *model.VirtualNode) {
	logs := t.accessLog(n.Spec.Logging)
	taken := map[int64]string{egressPort: "requests to virtual services"}
	for _, l := range listenersOf(n.Spec.Listeners) {
		if what := taken[l.port]; what != "" {
			t.fail(fmt.Errorf("port %d of virtual node %s is that of %s: without traffic interception there is one listener a port", l.port, n.Name, what))
		}
		taken[l.port] = "a listener of virtual node " + n.Name
	}
	hosts := newHosts(egressRoutesName(egressPort))
	for _, b := range t.backends(n) {
		ports := t.ports(b.service)
		for i, l := range ports {
			if l.plain() {
				filter := t.serviceTCP(b, l, logs)
				if filter == nil {
					continue
				}
				if what := taken[l.port]; what != "" {
					t.fail(fmt.Errorf("port %d of virtual service %s is that of %s: without traffic interception there is one listener a port", l.port, b.service.Name, what))
				}
				taken[l.port] = "virtual service " + b.service.Name
				t.explicitListener(l.port, filter)
				continue
			}
			var domains []string
			if len(ports) > 1 {
				domains = append(domains, b.service.Name+":"+number(l.port))
			}
			if i == 0 {
				domains = append(domains, b.service.Name, b.service.Name+":*")
			}
			hosts.add(destination{service: b.service, listener: l, several: len(ports) > 1}.host(), domains, t.serviceRoutes(b, l))
		}
	}
	t.routes[hosts.config.Name] = hosts.config
	t.explicitListener(egressPort, t.serveHTTP(egressStats, hosts.config.Name, wire.PortProtocolHttp, logs))
}

func (t *translation) explicitListener(port int64, filter *listenerv3.Filter) {
	out := t.inbound(egressListenerName(port), corev3.TrafficDirection_OUTBOUND, port, "")
	out.StatPrefix = listenerStats(egressPort)
	out.FilterChains = []*listenerv3.FilterChain{{Filters: []*listenerv3.Filter{filter}}}
	t.listeners[out.Name] = out
}
