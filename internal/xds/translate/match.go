package translate

import (
	"cmp"
	"math"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/latchwork/latchwork/internal/model"
	wire "github.com/latchwork/latchwork/internal/wire/appmesh"
)

// conditions are what a route, of a virtual router or of a virtual gateway, wants of
// a request.
type conditions struct {
	port     *int64
	hostname *wire.GatewayRouteHostnameMatch
	// prefix is "/" where neither it nor path is said.
	prefix  *string
	path    *wire.HttpPathMatch
	method  *string
	scheme  *string
	headers []wire.HttpRouteHeader
	query   []wire.HttpQueryParameter
}

func httpConditions(m *wire.HttpRouteMatch) conditions {
	if m == nil {
		return conditions{}
	}
	return conditions{m.Port, nil, m.Prefix, m.Path, m.Method, m.Scheme, m.Headers, m.QueryParameters}
}

func grpcConditions(m *wire.GrpcRouteMatch) conditions {
	if m == nil {
		return conditions{}
	}
	c := conditions{port: m.Port}
	c.grpc(m.ServiceName, m.MethodName)
	for _, h := range m.Metadata {
		c.headers = append(c.headers, wire.HttpRouteHeader{Name: h.Name, Invert: h.Invert, Match: (*wire.HeaderMatchMethod)(h.Match)})
	}
	return c
}

// grpc wants a method, or any method of a service.
func (c *conditions) grpc(service, method *string) {
	switch {
	case service == nil:
	case method == nil:
		c.prefix = new("/" + *service + "/")
	default:
		c.path = &wire.HttpPathMatch{Exact: new("/" + *service + "/" + *method)}
	}
}

func everything() *routev3.RouteMatch { return conditions{}.match() }

// match is nil if Envoy would not take an expression; the port and the host name
// are matched elsewhere.
func (c conditions) match() *routev3.RouteMatch {
	m := &routev3.RouteMatch{}
	switch p := value(c.path); {
	case p.Exact != nil:
		m.PathSpecifier = &routev3.RouteMatch_Path{Path: *p.Exact}
	case p.Regex != nil:
		r := regex(*p.Regex)
		if r == nil {
			return nil
		}
		m.PathSpecifier = &routev3.RouteMatch_SafeRegex{SafeRegex: r}
	default:
		m.PathSpecifier = &routev3.RouteMatch_Prefix{Prefix: valueOr(c.prefix, "/")}
	}
	if c.method != nil {
		m.Headers = append(m.Headers, headerIs(":method", exactly(*c.method)))
	}
	if c.scheme != nil {
		m.Headers = append(m.Headers, headerIs(":scheme", exactly(*c.scheme)))
	}
	for _, h := range c.headers {
		matcher := header(h)
		if matcher == nil {
			return nil
		}
		m.Headers = append(m.Headers, matcher)
	}
	for _, q := range c.query {
		matcher := &routev3.QueryParameterMatcher{Name: value(q.Name)}
		if q.Match != nil && q.Match.Exact != nil {
			matcher.QueryParameterMatchSpecifier = &routev3.QueryParameterMatcher_StringMatch{StringMatch: exactly(*q.Match.Exact)}
		} else {
			matcher.QueryParameterMatchSpecifier = &routev3.QueryParameterMatcher_PresentMatch{PresentMatch: true}
		}
		m.QueryParameters = append(m.QueryParameters, matcher)
	}
	return m
}

// header wants a header; nil if Envoy would not take its expression.
func header(h wire.HttpRouteHeader) *routev3.HeaderMatcher {
	out := &routev3.HeaderMatcher{}
	switch m := value(h.Match); {
	case m.Exact != nil:
		out = headerIs("", exactly(*m.Exact))
	case m.Prefix != nil:
		out = headerIs("", &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Prefix{Prefix: *m.Prefix}})
	case m.Suffix != nil:
		out = headerIs("", &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Suffix{Suffix: *m.Suffix}})
	case m.Regex != nil:
		r := regex(*m.Regex)
		if r == nil {
			return nil
		}
		out = headerIs("", &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_SafeRegex{SafeRegex: r}})
	case m.Range != nil:
		// Both leave the end out.
		out.HeaderMatchSpecifier = &routev3.HeaderMatcher_RangeMatch{RangeMatch: &typev3.Int64Range{Start: value(m.Range.Start), End: value(m.Range.End)}}
	default:
		out.HeaderMatchSpecifier = &routev3.HeaderMatcher_PresentMatch{PresentMatch: true}
	}
	out.Name, out.InvertMatch = value(h.Name), value(h.Invert)
	return out
}

func headerIs(name string, m *matcherv3.StringMatcher) *routev3.HeaderMatcher {
	return &routev3.HeaderMatcher{Name: name, HeaderMatchSpecifier: &routev3.HeaderMatcher_StringMatch{StringMatch: m}}
}

func exactly(s string) *matcherv3.StringMatcher {
	return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: s}}
}

// regex makes an expression that must match the whole value; nil if it is none.
// Go's expressions are those of RE2, which Envoy uses, but Envoy reads each byte as a
// character of Latin-1 and refuses the number of any other.
func regex(expression string) *matcherv3.RegexMatcher {
	for _, escape := range escapes.FindAllStringSubmatch(expression, -1) {
		if n, err := strconv.ParseUint(escape[1], 16, 32); escape[1] != "" && (err != nil || n > math.MaxUint8) {
			return nil
		}
	}
	var latin []rune
	for _, b := range []byte(expression) {
		latin = append(latin, rune(b))
	}
	parsed, err := syntax.Parse(string(latin), syntax.Perl)
	if err != nil {
		return nil
	}
	out := &matcherv3.RegexMatcher{Regex: expression}
	if large(parsed) {
		// Otherwise Envoy refuses what compiles to more than 100 instructions, and
		// everything else with it. App Mesh had a setting in the bootstrap.
		//lint:ignore SA1019 nothing has replaced it
		out.EngineType = &matcherv3.RegexMatcher_GoogleRe2{GoogleRe2: &matcherv3.RegexMatcher_GoogleRE2{
			//lint:ignore SA1019 nothing has replaced it
			MaxProgramSize: wrapperspb.UInt32(1 << 20),
		}}
	}
	return out
}

// escapes finds what is after a backslash, and the digits of a character by number.
var escapes = regexp.MustCompile(`(?s)\\(?:x\{([0-9A-Fa-f]+)\}|.)`)

// large tells whether RE2 may need more than 100 instructions. Go's are about as many,
// but that RE2 has one for each range of characters.
func large(r *syntax.Regexp) bool {
	program, err := syntax.Compile(r.Simplify())
	if err != nil {
		return true
	}
	size := 0
	for _, i := range program.Inst {
		size++
		for n := 2; n < len(i.Rune) && i.Rune[n] <= math.MaxUint8; n += 2 {
			size++
		}
	}
	return size > 50
}

// lastPriority is that of a route without one.
const lastPriority = 1000

// rank is a route's place among others.
type rank struct {
	priority int64
	// kind and length say how particular the path is.
	kind, length int
	conditions   int
}

func (c conditions) rank(priority *int64) rank {
	r := rank{
		priority: valueOr(priority, lastPriority),
		length:   len(valueOr(c.prefix, "/")), conditions: len(c.headers) + len(c.query),
	}
	switch p := value(c.path); {
	case p.Exact != nil:
		r.kind, r.length = 2, len(*p.Exact)
	case p.Regex != nil:
		r.kind, r.length = 1, len(*p.Regex)
	}
	for _, set := range []bool{c.method != nil, c.scheme != nil, c.hostname != nil} {
		if set {
			r.conditions++
		}
	}
	return r
}

func (a rank) compare(b rank) int {
	return cmp.Or(cmp.Compare(a.priority, b.priority), cmp.Compare(b.kind, a.kind),
		cmp.Compare(b.length, a.length), cmp.Compare(b.conditions, a.conditions))
}

// ordered gives routes as they are tried: the lower priority first, then the more
// particular path, then the one with more conditions, which would otherwise never be
// reached.
// Source: App Mesh User Guide, "Routes": 0 is the highest priority; of prefixes the
// longest is matched.
func ordered(routes []*model.Route) []*model.Route {
	type ranked struct {
		rank
		route *model.Route
	}
	sorted := make([]ranked, 0, len(routes))
	for _, route := range routes {
		if route.Spec == nil {
			continue
		}
		c := conditions{}
		if r := requests(route.Spec); r != nil {
			c = r.conditions
		}
		sorted = append(sorted, ranked{c.rank(route.Spec.Priority), route})
	}
	slices.SortStableFunc(sorted, func(a, b ranked) int { return a.compare(b.rank) })
	out := make([]*model.Route, len(sorted))
	for i, r := range sorted {
		out[i] = r.route
	}
	return out
}
