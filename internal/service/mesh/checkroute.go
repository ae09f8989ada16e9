package mesh

import (
	"fmt"
	"slices"
	"strings"

	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/store"
	wire "github.com/latchwork/latchwork/internal/wire/appmesh"
)

// onlyOne checks that one kind of route is there. Neither RouteSpec nor
// GatewayRouteSpec is a union in the model.
func onlyOne(kinds string, present ...bool) error {
	n := 0
	for _, p := range present {
		if p {
			n++
		}
	}
	if n != 1 {
		return invalid("spec", "spec must have exactly one of %s: it has %d", kinds, n)
	}
	return nil
}

// targets are those of a route, of whatever kind it is.
func targets(spec *wire.RouteSpec) []wire.WeightedTarget {
	var out []wire.WeightedTarget
	for _, r := range []*wire.HttpRoute{spec.HttpRoute, spec.Http2Route} {
		if r != nil {
			out = append(out, r.Action.WeightedTargets...)
		}
	}
	if r := spec.GrpcRoute; r != nil {
		out = append(out, r.Action.WeightedTargets...)
	}
	if r := spec.TcpRoute; r != nil {
		out = append(out, r.Action.WeightedTargets...)
	}
	return out
}

// checkRoute checks a route of the virtual router that p names. The virtual nodes
// that it leads to must be there.
func checkRoute(tx *store.Tx, p *place, spec *wire.RouteSpec) error {
	err := onlyOne("[httpRoute, http2Route, grpcRoute, tcpRoute]", spec.HttpRoute != nil, spec.Http2Route != nil, spec.GrpcRoute != nil, spec.TcpRoute != nil)
	if err != nil {
		return err
	}
	router, err := routers.get(tx, p, p.names[0])
	if err != nil {
		return err
	}
	ports := routerPorts(router.Spec)
	var member string
	switch {
	case spec.HttpRoute != nil:
		member = "spec.httpRoute"
		err = checkHTTPRoute(member, ports, wire.PortProtocolHttp, spec.HttpRoute)
	case spec.Http2Route != nil:
		member = "spec.http2Route"
		err = checkHTTPRoute(member, ports, wire.PortProtocolHttp2, spec.Http2Route)
	case spec.GrpcRoute != nil:
		member = "spec.grpcRoute"
		err = checkGRPCRoute(member, ports, spec.GrpcRoute)
	case spec.TcpRoute != nil:
		member = "spec.tcpRoute"
		var port *int64
		if spec.TcpRoute.Match != nil {
			port = spec.TcpRoute.Match.Port
		}
		err = first(
			checkRoutePort(member, ports, wire.PortProtocolTcp, port),
			checkTCPTimeout(member+".timeout", spec.TcpRoute.Timeout),
		)
	}
	if err != nil {
		return err
	}
	return checkTargets(tx, p, member+".action.weightedTargets", targets(spec))
}

// checkTargets checks where a route leads.
// Source: App Mesh API Reference, WeightedTarget. The weights of AWS's own examples
// do not add up to 100: they are shares.
func checkTargets(tx *store.Tx, p *place, member string, targets []wire.WeightedTarget) error {
	total := int64(0)
	for i, t := range targets {
		node, err := nodes.get(tx, p, *t.VirtualNode)
		if err != nil {
			return err
		}
		if err := checkTargetPort(fmt.Sprintf("%s[%d].port", member, i), nodePorts(node.Spec), t.Port, "VirtualNode "+node.Name); err != nil {
			return err
		}
		total += *t.Weight
	}
	if total == 0 {
		return invalid(member, "%s must have a weight that is more than 0", member)
	}
	return nil
}

// checkTargetPort checks a port of what a route leads to.
// Source: App Mesh API Reference, WeightedTarget and GatewayRouteTarget.
func checkTargetPort(member string, ports []port, number *int64, of string) error {
	switch {
	case number == nil && len(ports) > 1:
		return invalid(member, "%s must be there: %s has %d listeners", member, of, len(ports))
	case number != nil && findPort(ports, *number) == nil:
		return invalid(member, "%s: %s has no listener with port %d", member, of, *number)
	}
	return nil
}

// checkRoutePort checks that a route is for a listener of its virtual router.
// Source: App Mesh User Guide, "Routes": the protocol of a route is the listener's.
func checkRoutePort(member string, ports []port, protocol string, number *int64) error {
	if number != nil {
		switch p := findPort(ports, *number); {
		case p == nil:
			return invalid(member+".match.port", "%s.match.port: the virtual router has no listener with port %d", member, *number)
		case p.protocol != protocol:
			return invalid(member, "%s does not fit the virtual router's listener with port %d, whose protocol is %s", member, p.number, p.protocol)
		}
		return nil
	}
	if len(ports) > 0 && !slices.ContainsFunc(ports, func(p port) bool { return p.protocol == protocol }) {
		return invalid(member, "%s does not fit the virtual router: it has no listener with the protocol %s", member, protocol)
	}
	return nil
}

func checkHTTPRoute(member string, ports []port, protocol string, r *wire.HttpRoute) error {
	match := member + ".match"
	if err := first(
		checkRoutePort(member, ports, protocol, r.Match.Port),
		checkPath(match, r.Match.Prefix, r.Match.Path),
		checkHTTPTimeout(member+".timeout", r.Timeout),
	); err != nil {
		return err
	}
	for i, h := range r.Match.Headers {
		if err := checkHeader(fmt.Sprintf("%s.headers[%d]", match, i), *h.Name, h.Match); err != nil {
			return err
		}
	}
	if p := r.RetryPolicy; p != nil {
		return checkRetry(member+".retryPolicy", p.PerRetryTimeout, p.HttpRetryEvents, p.TcpRetryEvents, nil)
	}
	return nil
}

func checkGRPCRoute(member string, ports []port, r *wire.GrpcRoute) error {
	if err := first(
		checkRoutePort(member, ports, wire.PortProtocolGrpc, r.Match.Port),
		checkGRPCTimeout(member+".timeout", r.Timeout),
	); err != nil {
		return err
	}
	// Source: App Mesh API Reference, GrpcRouteMatch: with a methodName there must be
	// a serviceName.
	if r.Match.MethodName != nil && model.Deref(r.Match.ServiceName) == "" {
		return invalid(member+".match.serviceName", "%s.match.serviceName must be there where methodName is", member)
	}
	for i, m := range r.Match.Metadata {
		if err := checkHeader(fmt.Sprintf("%s.match.metadata[%d]", member, i), *m.Name, (*wire.HeaderMatchMethod)(m.Match)); err != nil {
			return err
		}
	}
	if p := r.RetryPolicy; p != nil {
		return checkRetry(member+".retryPolicy", p.PerRetryTimeout, p.HttpRetryEvents, p.TcpRetryEvents, p.GrpcRetryEvents)
	}
	return nil
}

// checkPath checks the path of a match: a prefix or a path, or neither, which is
// every path.
// Source: App Mesh API Reference, HttpRouteMatch.
func checkPath(member string, prefix *string, path *wire.HttpPathMatch) error {
	if prefix != nil && path != nil {
		return invalid(member, "%s must not have both a prefix and a path", member)
	}
	if err := checkSlash(member+".prefix", prefix); err != nil || path == nil {
		return err
	}
	if (path.Exact == nil) == (path.Regex == nil) {
		return invalid(member+".path", "%s.path must have exactly one of [exact, regex]", member)
	}
	return first(checkSlash(member+".path.exact", path.Exact), checkRegex(member+".path.regex", path.Regex))
}

// checkHeader checks a match of a header, or of metadata, which gRPC has in headers.
// Source: App Mesh API Reference, HttpRouteHeader and MatchRange; RFC 9110, 5.1.
func checkHeader(member, name string, match *wire.HeaderMatchMethod) error {
	if !isHeader(name) {
		return invalid(member+".name", "%s.name must be the name of a header: %q", member, name)
	}
	if match == nil {
		return nil // The header must be there.
	}
	if r := match.Range; r != nil && *r.Start >= *r.End {
		return invalid(member+".match.range", "%s.match.range.start must be less than end", member)
	}
	return checkRegex(member+".match.regex", match.Regex)
}

// isHeader tells whether headers can have a name; those that begin with a colon are
// HTTP/2's.
func isHeader(name string) bool {
	token := strings.TrimPrefix(name, ":")
	return token != "" && !strings.ContainsFunc(token, func(c rune) bool {
		return (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && !strings.ContainsRune("!#$%&'*+-.^_`|~", c)
	})
}

// retryEvents are those of HTTP.
// Source: App Mesh API Reference, HttpRetryPolicy.
var retryEvents = []string{"server-error", "gateway-error", "client-error", "stream-error"}

func checkRetry(member string, timeout *wire.Duration, http, tcp, grpc []string) error {
	if err := checkDuration(member+".perRetryTimeout", timeout); err != nil {
		return err
	}
	if len(http)+len(tcp)+len(grpc) == 0 {
		return invalid(member, "%s must have at least one event to retry on", member)
	}
	for i, event := range http {
		if !slices.Contains(retryEvents, event) {
			return invalid(member, "%s.httpRetryEvents[%d] must be one of [%s]: %q", member, i, strings.Join(retryEvents, ", "), event)
		}
	}
	return nil
}

// gatewayTarget is where a gateway route leads, of whatever kind it is; nil where it
// is of none.
func gatewayTarget(spec *wire.GatewayRouteSpec) *wire.GatewayRouteTarget {
	switch {
	case spec.HttpRoute != nil:
		return spec.HttpRoute.Action.Target
	case spec.Http2Route != nil:
		return spec.Http2Route.Action.Target
	case spec.GrpcRoute != nil:
		return spec.GrpcRoute.Action.Target
	}
	return nil
}

// checkGatewayRoute checks a gateway route of the virtual gateway that p names. The
// virtual service that it leads to must be there.
func checkGatewayRoute(tx *store.Tx, p *place, spec *wire.GatewayRouteSpec) error {
	err := onlyOne("[httpRoute, http2Route, grpcRoute]", spec.HttpRoute != nil, spec.Http2Route != nil, spec.GrpcRoute != nil)
	if err != nil {
		return err
	}
	gateway, err := gateways.get(tx, p, p.names[0])
	if err != nil {
		return err
	}
	ports := gatewayPorts(gateway.Spec)
	var member string
	switch {
	case spec.HttpRoute != nil:
		member = "spec.httpRoute"
		err = checkHTTPGatewayRoute(member, ports, spec.HttpRoute)
	case spec.Http2Route != nil:
		member = "spec.http2Route"
		err = checkHTTPGatewayRoute(member, ports, spec.Http2Route)
	case spec.GrpcRoute != nil:
		member = "spec.grpcRoute"
		err = checkGRPCGatewayRoute(member, ports, spec.GrpcRoute)
	}
	if err != nil {
		return err
	}
	target := gatewayTarget(spec)
	v, err := services.get(tx, p, *target.VirtualService.VirtualServiceName)
	if err != nil {
		return err
	}
	var provides []port
	switch node, router := provider(v.Spec); {
	case node != "":
		n, err := nodes.get(tx, p, node)
		if err != nil {
			return err
		}
		provides = nodePorts(n.Spec)
	case router != "":
		r, err := routers.get(tx, p, router)
		if err != nil {
			return err
		}
		provides = routerPorts(r.Spec)
	default:
		return nil // Nobody can tell its ports.
	}
	return checkTargetPort(member+".action.target.port", provides, target.Port, "the provider of VirtualService "+v.Name)
}

// checkGatewayPort checks that a gateway route is for a listener of its virtual
// gateway.
// Source: App Mesh User Guide, "Gateway routes": with several listeners the port
// must be there.
func checkGatewayPort(member string, ports []port, number *int64) error {
	switch {
	case number == nil && len(ports) > 1:
		return invalid(member+".port", "%s.port must be there: the virtual gateway has %d listeners", member, len(ports))
	case number != nil && findPort(ports, *number) == nil:
		return invalid(member+".port", "%s.port: the virtual gateway has no listener with port %d", member, *number)
	}
	return nil
}

func checkHTTPGatewayRoute(member string, ports []port, r *wire.HttpGatewayRoute) error {
	match, m := member+".match", r.Match
	if m.Prefix == nil && m.Path == nil && m.Hostname == nil && m.Port == nil {
		return invalid(match, "%s must have at least one of [prefix, path, hostname, port]", match)
	}
	if err := first(
		checkGatewayPort(match, ports, m.Port),
		checkPath(match, m.Prefix, m.Path),
		checkHostname(match, m.Hostname),
		checkReserved(match+".prefix", m.Prefix, "/aws-appmesh", "/aws-app-mesh"),
	); err != nil {
		return err
	}
	for i, h := range m.Headers {
		if err := checkHeader(fmt.Sprintf("%s.headers[%d]", match, i), *h.Name, h.Match); err != nil {
			return err
		}
	}
	if r.Action.Rewrite == nil {
		return nil
	}
	return checkRewrite(member+".action.rewrite", m, r.Action.Rewrite)
}

// checkRewrite checks what becomes of a request's path.
// Source: App Mesh User Guide, "Gateway routes", rewrite.
func checkRewrite(member string, match *wire.HttpGatewayRouteMatch, w *wire.HttpGatewayRouteRewrite) error {
	if w.Path != nil {
		if w.Prefix != nil {
			return invalid(member, "%s must not have both a prefix and a path", member)
		}
		if w.Path.Exact == nil {
			return invalid(member+".path.exact", "%s.path.exact must be there", member)
		}
		return checkSlash(member+".path.exact", w.Path.Exact)
	}
	if w.Prefix == nil {
		return nil
	}
	member += ".prefix"
	switch value := w.Prefix.Value; {
	case match.Path != nil:
		return invalid(member, "%s needs a match by prefix: a path that was matched whole is rewritten with path", member)
	case (value == nil) == (w.Prefix.DefaultPrefix == nil):
		return invalid(member, "%s must have exactly one of [defaultPrefix, value]", member)
	case value != nil && (!strings.HasPrefix(*value, "/") || !strings.HasSuffix(*value, "/")):
		return invalid(member+".value", "%s.value must begin and end with a slash: %q", member, *value)
	}
	return nil
}

func checkGRPCGatewayRoute(member string, ports []port, r *wire.GrpcGatewayRoute) error {
	match, m := member+".match", r.Match
	if m.ServiceName == nil && m.Hostname == nil && m.Port == nil {
		return invalid(match, "%s must have at least one of [serviceName, hostname, port]", match)
	}
	if err := first(
		checkGatewayPort(match, ports, m.Port),
		checkHostname(match, m.Hostname),
		checkReserved(match+".serviceName", m.ServiceName, "aws.appmesh", "aws.app-mesh"),
	); err != nil {
		return err
	}
	for i, d := range m.Metadata {
		if err := checkHeader(fmt.Sprintf("%s.metadata[%d]", match, i), *d.Name, (*wire.HeaderMatchMethod)(d.Match)); err != nil {
			return err
		}
	}
	return nil
}

func checkHostname(member string, h *wire.GatewayRouteHostnameMatch) error {
	switch {
	case h == nil:
		return nil
	case (h.Exact == nil) == (h.Suffix == nil):
		return invalid(member+".hostname", "%s.hostname must have exactly one of [exact, suffix]", member)
	case h.Exact != nil:
		return checkHost(member+".hostname.exact", *h.Exact)
	}
	return checkHost(member+".hostname.suffix", *h.Suffix)
}

// checkReserved refuses what App Mesh keeps for itself.
// Source: App Mesh User Guide, "Gateway routes".
func checkReserved(member string, value *string, prefixes ...string) error {
	for _, prefix := range prefixes {
		if strings.HasPrefix(model.Deref(value), prefix) {
			return invalid(member, "%s must not begin with %s, which is reserved", member, prefix)
		}
	}
	return nil
}

// What a spec refers to, for authorization.

func usedByService(mesh, owner *string, spec *wire.VirtualServiceSpec) []ref {
	switch node, router := provider(spec); {
	case node != "":
		return []ref{toNode(mesh, owner, &node)}
	case router != "":
		return []ref{toRouter(mesh, owner, &router)}
	}
	return nil
}

func usedByRoute(mesh, owner *string, spec *wire.RouteSpec) []ref {
	var out []ref
	for _, t := range targets(spec) {
		out = append(out, toNode(mesh, owner, t.VirtualNode))
	}
	return out
}

func usedByGatewayRoute(mesh, owner *string, spec *wire.GatewayRouteSpec) []ref {
	if t := gatewayTarget(spec); t != nil {
		return []ref{toService(mesh, owner, t.VirtualService.VirtualServiceName)}
	}
	return nil
}
