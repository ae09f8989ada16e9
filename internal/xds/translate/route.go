package translate

import (
	"time"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/latchwork/latchwork/internal/model"
	wire "github.com/latchwork/latchwork/internal/wire/appmesh"
)

// router is the virtual router that provides a virtual service; nil if there is none.
func (t *translation) router(v *model.VirtualService) *model.VirtualRouter {
	if v.Spec == nil || v.Spec.Provider == nil || v.Spec.Provider.VirtualRouter == nil {
		return nil
	}
	r := t.mesh.Router(value(v.Spec.Provider.VirtualRouter.VirtualRouterName))
	if r == nil || r.Spec == nil {
		return nil
	}
	return r
}

// provider is the virtual node that provides a virtual service; nil if there is none.
func (t *translation) provider(v *model.VirtualService) *model.VirtualNode {
	if v.Spec == nil || v.Spec.Provider == nil || v.Spec.Provider.VirtualNode == nil {
		return nil
	}
	return t.target(v.Spec.Provider.VirtualNode.VirtualNodeName)
}

// target finds a virtual node that traffic can go to.
func (t *translation) target(name *string) *model.VirtualNode {
	if n := t.mesh.Node(value(name)); n != nil && n.Spec != nil {
		return n
	}
	return nil
}

// ports are those that a virtual service is called on: its provider's.
func (t *translation) ports(v *model.VirtualService) []listener {
	if n := t.provider(v); n != nil {
		return listenersOf(n.Spec.Listeners)
	}
	var out []listener
	if r := t.router(v); r != nil {
		for _, l := range r.Spec.Listeners {
			if p := l.PortMapping; p != nil {
				out = append(out, listener{port: value(p.Port), protocol: value(p.Protocol)})
			}
		}
	}
	return out
}

// weightedCluster is a cluster with its share of the traffic.
type weightedCluster struct {
	cluster string
	weight  uint32
}

// provided is the virtual node that provides a virtual service on one of its ports;
// none if a virtual router does.
func (t *translation) provided(b backend, l listener) []weightedCluster {
	if n := t.provider(b.service); n != nil {
		if l, ok := onlyOr(listenersOf(n.Spec.Listeners), &l.port); ok {
			return []weightedCluster{{t.cluster(n, l, b), 1}}
		}
	}
	return nil
}

// weighted are the clusters of a route's targets, in their order. What is no
// virtual node, or one without listeners, is left out.
func (t *translation) weighted(targets []wire.WeightedTarget, b backend) []weightedCluster {
	var out []weightedCluster
	for _, w := range targets {
		n := t.target(w.VirtualNode)
		if n == nil {
			continue
		}
		if l, ok := onlyOr(listenersOf(n.Spec.Listeners), w.Port); ok {
			out = append(out, weightedCluster{t.cluster(n, l, b), uint32(max(value(w.Weight), 0))})
		}
	}
	return out
}

// onlyOr finds the listener of a port; nil is the first, which App Mesh wants to be
// the only one.
func onlyOr(listeners []listener, port *int64) (listener, bool) {
	for _, l := range listeners {
		if port == nil || l.port == *port {
			return l, true
		}
	}
	return listener{}, false
}

// onPort tells whether a route with a port to match is one of a listener.
func onPort(port *int64, l listener) bool { return port == nil || *port == l.port }

// requestRoute is a route for requests, of whichever protocol.
type requestRoute struct {
	conditions
	protocol string
	targets  []wire.WeightedTarget
	retry    *wire.GrpcRetryPolicy // has all that the one for HTTP has
	timeout  *wire.HttpTimeout
}

// requests reads a route for requests; nil if it is none.
func requests(s *wire.RouteSpec) *requestRoute {
	h, protocol := s.HttpRoute, wire.PortProtocolHttp
	if h == nil {
		h, protocol = s.Http2Route, wire.PortProtocolHttp2
	}
	switch g := s.GrpcRoute; {
	case h != nil:
		r := &requestRoute{conditions: httpConditions(h.Match), protocol: protocol, targets: value(h.Action).WeightedTargets, timeout: h.Timeout}
		if p := h.RetryPolicy; p != nil {
			r.retry = &wire.GrpcRetryPolicy{
				HttpRetryEvents: p.HttpRetryEvents, TcpRetryEvents: p.TcpRetryEvents,
				MaxRetries: p.MaxRetries, PerRetryTimeout: p.PerRetryTimeout,
			}
		}
		return r
	case g != nil:
		return &requestRoute{
			conditions: grpcConditions(g.Match), protocol: wire.PortProtocolGrpc, targets: value(g.Action).WeightedTargets,
			retry: g.RetryPolicy, timeout: (*wire.HttpTimeout)(g.Timeout),
		}
	}
	return nil
}

// serviceRoutes are the routes of a virtual service on one of its ports, in the
// order in which they are tried. A route without port is for all ports of its
// protocol.
func (t *translation) serviceRoutes(b backend, l listener) []*routev3.Route {
	var out []*routev3.Route
	add := func(c conditions, action *routev3.RouteAction, timeout *wire.HttpTimeout, retry *wire.GrpcRetryPolicy) {
		match := c.match()
		if match == nil {
			return
		}
		r := &routev3.Route{Match: match}
		if action == nil {
			// There is nowhere to go, as when Envoy has no such cluster.
			r.Action = &routev3.Route_DirectResponse{DirectResponse: &routev3.DirectResponseAction{Status: http503}}
		} else {
			action.Timeout, action.IdleTimeout, action.RetryPolicy = perRequest(timeout), duration(value(timeout).Idle), t.retries(retry)
			r.Action = &routev3.Route_Route{Route: action}
		}
		if valid(r) {
			out = append(out, r)
		}
	}
	if to := t.provided(b, l); to != nil {
		add(conditions{}, &routev3.RouteAction{ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: to[0].cluster}}, nil, nil)
	}
	if router := t.router(b.service); router != nil {
		one := len(router.Spec.Listeners) == 1
		for _, route := range ordered(t.mesh.Routes(router.Name)) {
			if r := requests(route.Spec); r != nil && onPort(r.port, l) && (one || r.protocol == l.protocol) {
				add(r.conditions, share(t.weighted(r.targets, b)), r.timeout, r.retry)
			}
		}
	}
	return out
}

// Answers of Envoy itself.
const (
	http404 = 404
	http503 = 503
)

// share divides requests; nil if nothing takes any.
func share(to []weightedCluster) *routev3.RouteAction {
	var total uint32
	clusters := &routev3.WeightedCluster{}
	for _, c := range to {
		total += c.weight
		clusters.Clusters = append(clusters.Clusters, &routev3.WeightedCluster_ClusterWeight{Name: c.cluster, Weight: wrapperspb.UInt32(c.weight)})
	}
	if total == 0 {
		return nil
	}
	return &routev3.RouteAction{ClusterSpecifier: &routev3.RouteAction_WeightedClusters{WeightedClusters: clusters}}
}

// defaultPerRequest is the time that a request has where nothing is said.
// Source: App Mesh User Guide, "Routes", timeout.
const defaultPerRequest = 15 * time.Second

// perRequest is the time that a request has; 0 is without limit.
func perRequest(t *wire.HttpTimeout) *durationpb.Duration {
	if d := duration(value(t).PerRequest); d != nil {
		return d
	}
	return durationpb.New(defaultPerRequest)
}
