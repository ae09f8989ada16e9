package translate

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	wire "github.com/latchwork/latchwork/internal/wire/appmesh"
)

// overADS is a source of resources: the stream that all others come from.
func overADS() *corev3.ConfigSource {
	return &corev3.ConfigSource{
		ResourceApiVersion:    corev3.ApiVersion_V3,
		ConfigSourceSpecifier: &corev3.ConfigSource_Ads{Ads: &corev3.AggregatedConfigSource{}},
	}
}

// serveHTTP is a filter that routes requests.
func (t *translation) serveHTTP(stats, routes, protocol string, logs accessLogs) *listenerv3.Filter {
	manager := &hcmv3.HttpConnectionManager{
		StatPrefix: stats,
		RouteSpecifier: &hcmv3.HttpConnectionManager_Rds{Rds: &hcmv3.Rds{
			ConfigSource: overADS(), RouteConfigName: routes,
		}},
		HttpFilters: []*hcmv3.HttpFilter{{
			Name:       "envoy.filters.http.router",
			ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: t.pack(&routerv3.Router{})},
		}},
		NormalizePath:                wrapperspb.Bool(true),
		MergeSlashes:                 true,
		PathWithEscapedSlashesAction: hcmv3.HttpConnectionManager_KEEP_UNCHANGED,
		Tracing:                      &hcmv3.HttpConnectionManager_Tracing{},
		AccessLog:                    logs,
	}
	if protocol == wire.PortProtocolHttp {
		manager.UpgradeConfigs = []*hcmv3.HttpConnectionManager_UpgradeConfig{{UpgradeType: "websocket"}}
	}
	return &listenerv3.Filter{
		Name:       "envoy.filters.network.http_connection_manager",
		ConfigType: &listenerv3.Filter_TypedConfig{TypedConfig: t.pack(manager)},
	}
}

// hosts is a route configuration that grows. Envoy takes none in which two virtual
// hosts have a domain in common.
type hosts struct {
	config *routev3.RouteConfiguration
	taken  map[string]bool
}

func newHosts(name string) *hosts {
	return &hosts{&routev3.RouteConfiguration{Name: name}, map[string]bool{}}
}

// add makes a virtual host. One without routes answers 404, as App Mesh's did for a
// virtual service without provider. It is nil if no domain is left, or Envoy would not
// take it.
func (h *hosts) add(name string, domains []string, routes []*routev3.Route) *routev3.VirtualHost {
	host := &routev3.VirtualHost{Name: name}
	for _, d := range domains {
		if key := strings.ToLower(d); !h.taken[key] {
			h.taken[key] = true
			host.Domains = append(host.Domains, d)
		}
	}
	if len(host.Domains) == 0 || !valid(host) {
		return nil
	}
	host.Routes = routes // which were checked one by one
	h.config.VirtualHosts = append(h.config.VirtualHosts, host)
	return host
}

func sortedPorts[V any](m map[int64]V) []int64 { return slices.SortedFunc(maps.Keys(m), cmp.Compare) }
