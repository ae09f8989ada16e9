package translate

import (
	"math"
	"strings"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	upstreamhttpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/latchwork/latchwork/internal/model"
	wire "github.com/latchwork/latchwork/internal/wire/appmesh"
)

// Connect timeouts: to what is beside Envoy, and to what is elsewhere.
const (
	nearTimeout = 250 * time.Millisecond
	farTimeout  = time.Second
)

// cluster makes, once, the cluster of a virtual node's listener, as the backend
// wants it to be called.
func (t *translation) cluster(n *model.VirtualNode, l listener, b backend) string {
	name := targetName(t.mesh.Name, n.Name, l)
	if known := t.clusters[name]; known != nil {
		if t.policies[name] == b.policy {
			return name
		}
		if proto.Equal(known.TransportSocket, t.upstream(n, l, b.policy)) {
			return name
		}
		// Another virtual service leads to the same virtual node and is called with
		// another policy. App Mesh's name is taken; the policy matters more.
		if name += "/" + b.service.Name; t.clusters[name] != nil {
			return name
		}
	}
	t.policies[name] = b.policy
	c := &clusterv3.Cluster{
		Name:           name,
		ConnectTimeout: durationpb.New(farTimeout),
		CircuitBreakers: &clusterv3.CircuitBreakers{Thresholds: []*clusterv3.CircuitBreakers_Thresholds{
			unlimited(corev3.RoutingPriority_DEFAULT), unlimited(corev3.RoutingPriority_HIGH),
		}},
		Metadata: &corev3.Metadata{FilterMetadata: map[string]*structpb.Struct{
			"aws.appmesh.aggregate_stats": {Fields: map[string]*structpb.Value{
				"TargetVirtualNode": structpb.NewStringValue(n.Name), "TargetVirtualService": structpb.NewStringValue(b.service.Name),
			}},
		}},
		TransportSocket:               t.upstream(n, l, b.policy),
		TypedExtensionProtocolOptions: t.upstreamHTTP(l),
		HealthChecks:                  healthChecks(n, l),
		IgnoreHealthOnHostRemoval:     true,
		OutlierDetection:              outlierDetection(l.of.OutlierDetection),
	}
	t.discover(c, n, l)
	t.clusters[name] = c
	return name
}

// unlimited is a circuit breaker that never opens.
// Source: App Mesh User Guide, "Envoy defaults set by App Mesh": the default circuit
// breaker.
func unlimited(p corev3.RoutingPriority) *clusterv3.CircuitBreakers_Thresholds {
	most := wrapperspb.UInt32(math.MaxInt32)
	return &clusterv3.CircuitBreakers_Thresholds{
		Priority: p, MaxConnections: most, MaxPendingRequests: most, MaxRequests: most, MaxRetries: most,
	}
}

// upstreamHTTP says that requests are sent as HTTP/2, if they are.
func (t *translation) upstreamHTTP(l listener) map[string]*anypb.Any {
	if !l.http2() {
		return nil
	}
	return map[string]*anypb.Any{
		"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": t.pack(&upstreamhttpv3.HttpProtocolOptions{
			UpstreamProtocolOptions: &upstreamhttpv3.HttpProtocolOptions_ExplicitHttpConfig_{
				ExplicitHttpConfig: &upstreamhttpv3.HttpProtocolOptions_ExplicitHttpConfig{
					ProtocolConfig: &upstreamhttpv3.HttpProtocolOptions_ExplicitHttpConfig_Http2ProtocolOptions{
						Http2ProtocolOptions: &corev3.Http2ProtocolOptions{},
					},
				},
			},
		}),
	}
}

// app is the cluster of the application beside a virtual node's Envoy. What limits
// the virtual node's connections limits these.
func (t *translation) app(n *model.VirtualNode, l listener, preference string) {
	t.near(appName(t.mesh.Name, n.Name, l), tcpAddress(t.application(preference), l.port), l)
}

// near makes a cluster of one address, beside Envoy or its own.
func (t *translation) near(name string, address *corev3.Address, l listener) {
	t.clusters[name] = &clusterv3.Cluster{
		Name:                          name,
		ClusterDiscoveryType:          &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC},
		ConnectTimeout:                durationpb.New(nearTimeout),
		LoadAssignment:                assignment(name, address),
		CircuitBreakers:               circuitBreakers(l.of.ConnectionPool),
		TypedExtensionProtocolOptions: t.upstreamHTTP(l),
	}
}

func assignment(cluster string, addresses ...*corev3.Address) *endpointv3.ClusterLoadAssignment {
	out := &endpointv3.ClusterLoadAssignment{ClusterName: cluster}
	if len(addresses) == 0 {
		return out
	}
	locality := &endpointv3.LocalityLbEndpoints{}
	for _, a := range addresses {
		locality.LbEndpoints = append(locality.LbEndpoints, &endpointv3.LbEndpoint{
			HostIdentifier: &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{Address: a}},
		})
	}
	out.Endpoints = []*endpointv3.LocalityLbEndpoints{locality}
	return out
}

// originalDestinationCluster sends connections where they were going.
func originalDestinationCluster(name string) *clusterv3.Cluster {
	return &clusterv3.Cluster{
		Name:                 name,
		ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_ORIGINAL_DST},
		LbPolicy:             clusterv3.Cluster_CLUSTER_PROVIDED,
		CircuitBreakers: &clusterv3.CircuitBreakers{Thresholds: []*clusterv3.CircuitBreakers_Thresholds{
			unlimited(corev3.RoutingPriority_DEFAULT), unlimited(corev3.RoutingPriority_HIGH),
		}},
	}
}

// circuitBreakers translates a connection pool; what it does not limit is not limited.
func circuitBreakers(p *wire.VirtualNodeConnectionPool) *clusterv3.CircuitBreakers {
	out := unlimited(corev3.RoutingPriority_DEFAULT)
	limit := func(to **wrapperspb.UInt32Value, n *int64) {
		if n != nil {
			*to = wrapperspb.UInt32(uint32(*n))
		}
	}
	pool := value(p)
	switch {
	case pool.Tcp != nil:
		limit(&out.MaxConnections, pool.Tcp.MaxConnections)
	case pool.Http != nil:
		limit(&out.MaxConnections, pool.Http.MaxConnections)
		limit(&out.MaxPendingRequests, pool.Http.MaxPendingRequests)
	case pool.Http2 != nil:
		limit(&out.MaxRequests, pool.Http2.MaxRequests)
	case pool.Grpc != nil:
		limit(&out.MaxRequests, pool.Grpc.MaxRequests)
	}
	return &clusterv3.CircuitBreakers{Thresholds: []*clusterv3.CircuitBreakers_Thresholds{out}}
}

// outlierDetection translates when an endpoint is left alone for a while.
func outlierDetection(o *wire.OutlierDetection) *clusterv3.OutlierDetection {
	if o == nil {
		return nil
	}
	return &clusterv3.OutlierDetection{
		Consecutive_5Xx:    wrapperspb.UInt32(uint32(value(o.MaxServerErrors))),
		Interval:           duration(o.Interval),
		BaseEjectionTime:   duration(o.BaseEjectionDuration),
		MaxEjectionPercent: wrapperspb.UInt32(uint32(value(o.MaxEjectionPercent))),
		// Nothing was said of success rates.
		EnforcingSuccessRate: wrapperspb.UInt32(0),
	}
}

// healthChecks translates how a virtual node's endpoints are asked whether they live.
func healthChecks(n *model.VirtualNode, l listener) []*corev3.HealthCheck {
	h := l.of.HealthCheck
	if h == nil {
		return nil
	}
	check := &corev3.HealthCheck{
		Timeout:            millis(h.TimeoutMillis),
		Interval:           millis(h.IntervalMillis),
		UnhealthyThreshold: wrapperspb.UInt32(uint32(value(h.UnhealthyThreshold))),
		HealthyThreshold:   wrapperspb.UInt32(uint32(value(h.HealthyThreshold))),
	}
	if h.Port != nil {
		check.AltPort = wrapperspb.UInt32(uint32(*h.Port))
	}
	switch protocol := value(h.Protocol); protocol {
	case wire.PortProtocolGrpc:
		if !l.http2() {
			return nil // Envoy takes no such check of a cluster that is not HTTP/2
		}
		check.HealthChecker = &corev3.HealthCheck_GrpcHealthCheck_{GrpcHealthCheck: &corev3.HealthCheck_GrpcHealthCheck{}}
	case wire.PortProtocolHttp, wire.PortProtocolHttp2:
		c := &corev3.HealthCheck_HttpHealthCheck{Host: discoveryName(n), Path: valueOr(h.Path, "/")}
		if cloudMap(n) != nil {
			c.Host += ":" + number(l.port)
		}
		if protocol == wire.PortProtocolHttp2 {
			c.CodecClientType = typev3.CodecClientType_HTTP2
		}
		check.HealthChecker = &corev3.HealthCheck_HttpHealthCheck_{HttpHealthCheck: c}
	default:
		check.HealthChecker = &corev3.HealthCheck_TcpHealthCheck_{TcpHealthCheck: &corev3.HealthCheck_TcpHealthCheck{}}
	}
	return []*corev3.HealthCheck{check}
}

func millis(n *int64) *durationpb.Duration {
	return durationpb.New(time.Duration(value(n)) * time.Millisecond)
}

// absolute writes a host name so that no search domain is tried.
func absolute(host string) string { return strings.TrimSuffix(host, ".") + "." }
