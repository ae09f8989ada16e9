package translate

import (
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	tcpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	"google.golang.org/protobuf/types/known/durationpb"

	wire "github.com/latchwork/latchwork/internal/wire/appmesh"
)

// proxyTCP is a filter that forwards bytes. idle may be nil, for Envoy's default.
func (t *translation) proxyTCP(stats string, to tcpTargets, idle *durationpb.Duration, logs accessLogs) *listenerv3.Filter {
	proxy := &tcpv3.TcpProxy{StatPrefix: stats, IdleTimeout: idle, AccessLog: logs}
	if len(to) == 1 {
		proxy.ClusterSpecifier = &tcpv3.TcpProxy_Cluster{Cluster: to[0].Name}
	} else {
		proxy.ClusterSpecifier = &tcpv3.TcpProxy_WeightedClusters{WeightedClusters: &tcpv3.TcpProxy_WeightedCluster{Clusters: to}}
	}
	return &listenerv3.Filter{
		Name:       "envoy.filters.network.tcp_proxy",
		ConfigType: &listenerv3.Filter_TypedConfig{TypedConfig: t.pack(proxy)},
	}
}

// tcpTargets are where bytes go.
type tcpTargets []*tcpv3.TcpProxy_WeightedCluster_ClusterWeight

func tcpTo(cluster string) tcpTargets {
	return tcpTargets{{Name: cluster, Weight: 1}}
}

// serviceTCP forwards to the provider of a virtual service; nil if that is nowhere.
func (t *translation) serviceTCP(b backend, l listener, logs accessLogs) *listenerv3.Filter {
	var route *wire.TcpRoute
	targets := t.provided(b, l)
	if router := t.router(b.service); router != nil {
		for _, r := range ordered(t.mesh.Routes(router.Name)) {
			if tcp := r.Spec.TcpRoute; tcp != nil && tcp.Action != nil && onPort(value(tcp.Match).Port, l) {
				route, targets = tcp, t.weighted(tcp.Action.WeightedTargets, b)
				break
			}
		}
	}
	var to tcpTargets
	for _, target := range targets {
		// Here Envoy knows no weight of zero.
		if target.weight > 0 {
			to = append(to, &tcpv3.TcpProxy_WeightedCluster_ClusterWeight{Name: target.cluster, Weight: target.weight})
		}
	}
	if len(to) == 0 {
		return nil
	}
	return t.proxyTCP(egressStats, to, duration(value(value(route).Timeout).Idle), logs)
}

// idleOf is the idle timeout of a listener of TCP.
func idleOf(l *wire.ListenerTimeout) *durationpb.Duration {
	return duration(value(value(l).Tcp).Idle)
}
