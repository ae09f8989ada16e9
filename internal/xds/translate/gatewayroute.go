package translate

import (
	"slices"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/latchwork/latchwork/internal/model"
	wire "github.com/latchwork/latchwork/internal/wire/appmesh"
)

// virtualServiceHeader says on the way from a virtual gateway's ingress listener to
// its egress listener which virtual service is meant, where Host is the caller's own.
const virtualServiceHeader = "x-app-mesh-virtual-service"

// entry is a gateway route, of whichever protocol.
type entry struct {
	conditions
	rank
	destination
	// keepHost leaves Host as the caller sent it.
	keepHost bool
	// rewrites are what becomes of the path.
	rewrites []rewrite
}

// rewrite is a path to match and what takes its place; "" leaves it.
type rewrite struct {
	prefix *string
	path   *wire.HttpPathMatch
	to     string
}

// destination is a virtual service on one of its ports.
type destination struct {
	service *model.VirtualService
	listener
	// first is the port that is meant where none is said, several that there are more.
	first, several bool
}

// host names the destination within an Envoy.
func (d destination) host() string {
	if d.several {
		return d.service.Name + ":" + number(d.port)
	}
	return d.service.Name
}

// destination finds what a gateway route leads to. A virtual service that is not
// there is one that has no routes.
func (t *translation) destination(target *wire.GatewayRouteTarget) destination {
	name := value(value(value(target).VirtualService).VirtualServiceName)
	d := destination{service: t.mesh.VirtualService(name), first: true}
	if d.service == nil {
		d.service = &model.VirtualService{}
		d.service.Name = name
	}
	ports := t.ports(d.service)
	d.several = len(ports) > 1
	if l, ok := onlyOr(ports, value(target).Port); ok {
		d.listener, d.first = l, l.port == ports[0].port
	} else {
		d.port = value(value(target).Port)
	}
	return d
}

// entries are the gateway routes of a virtual gateway in the order in which they are
// tried.
func (t *translation) entries(gateway string) []entry {
	var out []entry
	for _, r := range t.mesh.GatewayRoutes(gateway) {
		if r.Spec == nil {
			continue
		}
		h := r.Spec.HttpRoute
		if h == nil {
			h = r.Spec.Http2Route
		}
		var e entry
		switch g := r.Spec.GrpcRoute; {
		case h != nil && h.Action != nil:
			e.conditions = gatewayConditions(h.Match)
			e.destination = t.destination(h.Action.Target)
			e.keepHost = keepsHost(value(h.Action.Rewrite).Hostname)
			e.rewrites = rewrites(e.conditions, value(h.Action.Rewrite))
		case g != nil && g.Action != nil:
			e.conditions = grpcGatewayConditions(g.Match)
			e.destination = t.destination(g.Action.Target)
			e.keepHost = keepsHost(value(g.Action.Rewrite).Hostname)
			e.rewrites = []rewrite{{prefix: e.prefix}}
		default:
			continue
		}
		e.rank = e.conditions.rank(r.Spec.Priority)
		out = append(out, e)
	}
	slices.SortStableFunc(out, func(a, b entry) int { return a.compare(b.rank) })
	return out
}

func keepsHost(r *wire.GatewayRouteHostnameRewrite) bool {
	return value(value(r).DefaultTargetHostname) == wire.DefaultGatewayRouteRewriteDisabled
}

func gatewayConditions(m *wire.HttpGatewayRouteMatch) conditions {
	if m == nil {
		return conditions{}
	}
	c := conditions{port: m.Port, hostname: m.Hostname, prefix: m.Prefix, path: m.Path, method: m.Method, query: m.QueryParameters}
	for _, h := range m.Headers {
		c.headers = append(c.headers, wire.HttpRouteHeader(h))
	}
	return c
}

func grpcGatewayConditions(m *wire.GrpcGatewayRouteMatch) conditions {
	if m == nil {
		return conditions{}
	}
	c := conditions{port: m.Port, hostname: m.Hostname}
	c.grpc(m.ServiceName, nil)
	for _, h := range m.Metadata {
		c.headers = append(c.headers, wire.HttpRouteHeader{Name: h.Name, Invert: h.Invert, Match: (*wire.HeaderMatchMethod)(h.Match)})
	}
	return c
}

// rewrites says what becomes of paths. A prefix becomes "/" unless something else is
// said; so that no "//" is left one without slash at its end is matched with it too.
// Source: App Mesh User Guide, "Gateway routes", rewrite.
func rewrites(c conditions, r wire.HttpGatewayRouteRewrite) []rewrite {
	if c.path != nil {
		return []rewrite{{path: c.path, to: value(value(r.Path).Exact)}}
	}
	prefix := valueOr(c.prefix, "/")
	to := valueOr(value(r.Prefix).Value, "/")
	switch {
	case value(value(r.Prefix).DefaultPrefix) == wire.DefaultGatewayRouteRewriteDisabled, prefix == to:
		return []rewrite{{prefix: &prefix}}
	case strings.HasSuffix(prefix, "/"):
		return []rewrite{{prefix: &prefix, to: to}}
	default:
		return []rewrite{{prefix: new(prefix + "/"), to: to}, {prefix: &prefix, to: to}}
	}
}

// toSelf are the routes of an entry: to the egress listener of the same Envoy, which
// has the routes of the virtual service.
func (t *translation) toSelf(e entry, self string, stripHeader bool) []*routev3.Route {
	var out []*routev3.Route
	for _, w := range e.rewrites {
		c := e.conditions
		c.prefix, c.path = w.prefix, w.path
		action := &routev3.RouteAction{
			ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: self},
			PrefixRewrite:    w.to,
			Timeout:          t.longest(e.destination),
		}
		r := &routev3.Route{Match: c.match(), Action: &routev3.Route_Route{Route: action}}
		if e.keepHost {
			r.RequestHeadersToAdd = []*corev3.HeaderValueOption{{
				Header:       &corev3.HeaderValue{Key: virtualServiceHeader, Value: e.host()},
				AppendAction: corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
			}}
		} else {
			action.HostRewriteSpecifier = &routev3.RouteAction_HostRewriteLiteral{HostRewriteLiteral: e.host()}
			if stripHeader {
				r.RequestHeadersToRemove = []string{virtualServiceHeader}
			}
		}
		if r.Match != nil && valid(r) {
			out = append(out, r)
		}
	}
	return out
}

// longest is the longest time that a route of a virtual service gives to a request,
// which the virtual gateway must not end earlier; nil if there is no route.
// Source: the walkthrough howto-timeout-policy of aws-app-mesh-examples.
func (t *translation) longest(d destination) *durationpb.Duration {
	if t.provider(d.service) != nil {
		return perRequest(nil)
	}
	router := t.router(d.service)
	if router == nil {
		return nil
	}
	var longest *durationpb.Duration
	for _, route := range t.mesh.Routes(router.Name) {
		if route.Spec == nil {
			continue
		}
		if r := requests(route.Spec); r != nil {
			switch limit := perRequest(r.timeout); {
			case limit.AsDuration() == 0:
				return durationpb.New(0) // without limit
			case limit.AsDuration() > longest.AsDuration():
				longest = limit
			}
		}
	}
	return longest
}

// covers tells whether a host name to match covers another: an exact one itself,
// a suffix all that end with it.
func covers(m *wire.GatewayRouteHostnameMatch, domain string) bool {
	own := domainOf(m)
	if rest, wild := strings.CutPrefix(own, "*"); wild {
		return strings.HasSuffix(domain, rest)
	}
	return own == domain
}

// domainOf is the domain of a virtual host that a host name to match needs.
func domainOf(m *wire.GatewayRouteHostnameMatch) string {
	switch {
	case m == nil:
	case m.Exact != nil:
		return strings.ToLower(*m.Exact)
	case m.Suffix != nil:
		return "*" + strings.ToLower(strings.TrimPrefix(*m.Suffix, "*"))
	}
	return "*"
}
