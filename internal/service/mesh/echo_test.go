package mesh

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	wire "github.com/latchwork/latchwork/internal/wire/appmesh"
)

// TestEcho: specs come back exactly as they were sent, empty lists, false and 0
// included, for each member of each shape. Clients compare what they read with what
// they wanted: the App Mesh controller for Kubernetes would update for ever.
func TestEcho(t *testing.T) {
	w := newWorld(t)
	w.furnish()
	w.put("/meshes/app/virtualRouter/all/routes", `{"routeName":"r","spec":{"tcpRoute":{"action":{"weightedTargets":[{"virtualNode":"n","weight":1}]}}}}`)
	w.put("/meshes/app/virtualGateway/g/gatewayRoutes", `{"gatewayRouteName":"r","spec":{"httpRoute":{"match":{"prefix":"/"},"action":{"target":{"virtualService":{"virtualServiceName":"none.local"}}}}}}`)
	w.put("/meshes/app/virtualRouters", `{"virtualRouterName":"free","spec":{}}`)
	w.put("/meshes/app/virtualGateways", `{"virtualGatewayName":"free","spec":{"listeners":[]}}`)
	w.put("/meshes/app/virtualServices", `{"virtualServiceName":"free","spec":{}}`)
	w.put("/meshes/app/virtualNodes", `{"virtualNodeName":"free","spec":{}}`)
	for path, typ := range map[string]reflect.Type{
		"/meshes/app":                                  reflect.TypeFor[wire.MeshSpec](),
		"/meshes/app/virtualNodes/free":                reflect.TypeFor[wire.VirtualNodeSpec](),
		"/meshes/app/virtualRouters/free":              reflect.TypeFor[wire.VirtualRouterSpec](),
		"/meshes/app/virtualGateways/free":             reflect.TypeFor[wire.VirtualGatewaySpec](),
		"/meshes/app/virtualServices/free":             reflect.TypeFor[wire.VirtualServiceSpec](),
		"/meshes/app/virtualRouter/all/routes/r":       reflect.TypeFor[wire.RouteSpec](),
		"/meshes/app/virtualGateway/g/gatewayRoutes/r": reflect.TypeFor[wire.GatewayRouteSpec](),
	} {
		t.Run(typ.Name(), func(t *testing.T) {
			m := &maker{rand: rand.New(rand.NewPCG(1, 2)), seen: map[string]bool{}}
			for range 120 {
				sent, err := json.Marshal(map[string]any{"spec": m.structure(typ).Interface()})
				if err != nil {
					t.Fatal(err)
				}
				status, updated := w.raw("PUT", path, string(sent))
				if status != 200 {
					t.Fatalf("%d %s\n%s", status, updated, sent)
				}
				_, described := w.raw("GET", path, "")
				for _, answer := range []string{updated, described} {
					if diff := cmp.Diff(member(t, string(sent)), member(t, answer)); diff != "" {
						t.Fatalf("%s\n%s", diff, sent)
					}
				}
			}
			for _, want := range everything(typ, map[reflect.Type]bool{}) {
				if !m.seen[want] {
					t.Errorf("%s was not tried", want)
				}
			}
		})
	}
}

func member(t *testing.T, text string) any {
	t.Helper()
	var out map[string]any
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatal(err)
	}
	return out["spec"]
}

// shapeOf reads a field's tag.
func shapeOf(f reflect.StructField) (shape string, required bool) {
	shape, rest, _ := strings.Cut(f.Tag.Get("aws"), ",")
	return shape, strings.Contains(rest, "required")
}

// mayBeEmpty lists take no elements too.
func mayBeEmpty(f reflect.StructField) bool {
	shape, _ := shapeOf(f)
	c := wire.API.Constraints[shape]
	return f.Type.Kind() == reflect.Slice && shape != "SubjectAlternativeNameList" && (c == nil || !c.HasMin || c.Min == 0)
}

// everything is what must be tried of a type: each member, each flag that is false,
// each list that is empty.
func everything(typ reflect.Type, done map[reflect.Type]bool) []string {
	if done[typ] {
		return nil
	}
	done[typ] = true
	var out []string
	for i := range typ.NumField() {
		f := typ.Field(i)
		name := typ.Name() + "." + f.Name
		out = append(out, name)
		inner := f.Type.Elem()
		switch {
		case inner.Kind() == reflect.Bool:
			out = append(out, name+" false")
		case mayBeEmpty(f):
			out = append(out, name+" empty")
		}
		if inner.Kind() == reflect.Struct {
			out = append(out, everything(inner, done)...)
		}
	}
	return out
}

// maker makes random values of wire types that are valid.
type maker struct {
	rand *rand.Rand
	seen map[string]bool
}

func (m *maker) chance() bool { return m.rand.IntN(3) > 0 }

// texts are values of shapes that are not any text.
var texts = map[string][]string{
	"Hostname": {"a.local", "a.local."}, "ServiceName": {"a.B", "c"}, "HeaderName": {"x-a", ":scheme"}, "HttpPathExact": {"/", "/a"},
	"HttpPathRegex": {".*", "/[a-z]+"}, "HttpGatewayRoutePrefix": {"/", "/a/"}, "TextFormat": {"%PROTOCOL%\n", "x"}, "JsonValue": {"%REQ(a)%", "y"},
	"HttpRetryPolicyEvent": retryEvents, "ExactHostName": {"www.example.com"}, "SuffixHostname": {".example.com"},
}

func (m *maker) text(shape, name string) string {
	switch c := wire.API.Constraints[shape]; {
	case name == "VirtualNode" || name == "VirtualNodeName":
		return "bare"
	case name == "VirtualRouterName":
		return "http"
	case shape == "ResourceName":
		return "none.local"
	case name == "Prefix" && shape == "String" || name == "Path" && shape == "String":
		return []string{"/", "/a/b"}[m.rand.IntN(2)]
	case texts[shape] != nil:
		return texts[shape][m.rand.IntN(len(texts[shape]))]
	case c != nil && c.Enum != nil:
		return c.Enum[m.rand.IntN(len(c.Enum))]
	}
	return string(rune('a'+m.rand.IntN(26))) + "z"
}

func (m *maker) value(typ reflect.Type, shape, name string) reflect.Value {
	out := reflect.New(typ).Elem()
	switch typ.Kind() {
	case reflect.String:
		out.SetString(m.text(shape, name))
	case reflect.Bool:
		out.SetBool(m.rand.IntN(2) == 0)
	case reflect.Int64:
		low, high := int64(0), int64(1000)
		if c := wire.API.Constraints[shape]; c != nil {
			if c.HasMin {
				low = c.Min
			}
			if high = low + 3; c.HasMax {
				high = c.Max
			}
		}
		out.SetInt(low + m.rand.Int64N(high-low+1))
	case reflect.Struct:
		return m.structure(typ)
	}
	return out
}

func (m *maker) structure(typ reflect.Type) reflect.Value {
	out := reflect.New(typ).Elem()
	c := wire.API.Constraints[typ.Name()]
	only := -1
	if c != nil && c.Union || typ.Name() == "RouteSpec" || typ.Name() == "GatewayRouteSpec" || typ.Name() == "HttpPathMatch" || typ.Name() == "GatewayRouteHostnameMatch" || typ.Name() == "HttpGatewayRoutePrefixRewrite" {
		for only < 0 || typ.Field(only).Name == "Priority" {
			only = m.rand.IntN(typ.NumField())
		}
	}
	for i := range typ.NumField() {
		f := typ.Field(i)
		shape, required := shapeOf(f)
		switch {
		case i == only || f.Name == "Priority" && m.chance() || only < 0 && (required || m.chance()):
		default:
			continue
		}
		if f.Type.Kind() == reflect.Pointer {
			v := reflect.New(f.Type.Elem())
			v.Elem().Set(m.value(f.Type.Elem(), shape, f.Name))
			out.Field(i).Set(v)
			continue
		}
		elem, n := "", m.rand.IntN(3)
		if c := wire.API.Constraints[shape]; c != nil {
			elem = c.Elem
			if c.HasMax {
				n = min(n, int(c.Max))
			}
		}
		if n == 0 && !mayBeEmpty(f) {
			n = 1
		}
		list := reflect.MakeSlice(f.Type, n, n)
		for j := range n {
			list.Index(j).Set(m.value(f.Type.Elem(), elem, f.Name))
		}
		out.Field(i).Set(list)
	}
	m.mend(out.Addr().Interface())
	m.note(out)
	return out
}

// note remembers what was tried.
func (m *maker) note(v reflect.Value) {
	for i := range v.NumField() {
		f := v.Field(i)
		name := v.Type().Name() + "." + v.Type().Field(i).Name
		if f.IsNil() {
			continue
		}
		m.seen[name] = true
		switch {
		case f.Kind() == reflect.Slice && f.Len() == 0:
			m.seen[name+" empty"] = true
		case f.Kind() == reflect.Pointer && f.Elem().Kind() == reflect.Bool && !f.Elem().Bool():
			m.seen[name+" false"] = true
		}
	}
}

// mend makes a random structure keep the rules that the model does not have.
func (m *maker) mend(v any) {
	switch v := v.(type) {
	case *wire.Duration:
		v.Unit, v.Value = new([]string{"s", "ms"}[m.rand.IntN(2)]), new(m.rand.Int64N(100))
	case *wire.OutlierDetection:
		v.Interval.Value, v.BaseEjectionDuration.Value = new(int64(1)), new(int64(2))
	case *wire.Listener:
		p := *v.PortMapping.Protocol
		if v.ConnectionPool != nil {
			*v.ConnectionPool = wire.VirtualNodeConnectionPool{}
			m.only(v.ConnectionPool, p)
		}
		if v.Timeout != nil {
			*v.Timeout = wire.ListenerTimeout{}
			m.only(v.Timeout, p)
		}
		if v.HealthCheck != nil && v.HealthCheck.Port != nil {
			v.HealthCheck.Port = v.PortMapping.Port
		}
	case *wire.VirtualGatewayListener:
		if v.ConnectionPool != nil {
			*v.ConnectionPool = wire.VirtualGatewayConnectionPool{}
			m.only(v.ConnectionPool, *v.PortMapping.Protocol)
		}
		if v.HealthCheck != nil && v.HealthCheck.Port != nil {
			v.HealthCheck.Port = v.PortMapping.Port
		}
	case *wire.VirtualNodeSpec:
		if len(v.Listeners) > 0 && v.ServiceDiscovery == nil {
			v.ServiceDiscovery = m.structure(reflect.TypeFor[wire.ServiceDiscovery]()).Addr().Interface().(*wire.ServiceDiscovery)
		}
		for i := range v.Listeners {
			v.Listeners[i].PortMapping.Port = new(int64(i + 1))
			if h := v.Listeners[i].HealthCheck; h != nil && h.Port != nil {
				h.Port = new(int64(i + 1))
			}
		}
		for i := range v.Backends {
			v.Backends[i].VirtualService.VirtualServiceName = new(fmt.Sprint("b", i))
		}
	case *wire.VirtualGatewaySpec:
		for i := range v.Listeners {
			v.Listeners[i].PortMapping.Port = new(int64(i + 1))
			if h := v.Listeners[i].HealthCheck; h != nil && h.Port != nil {
				h.Port = new(int64(i + 1))
			}
		}
	case *wire.VirtualRouterSpec:
		for i := range v.Listeners {
			v.Listeners[i].PortMapping.Port = new(int64(i + 1))
		}
	case *wire.LoggingFormat:
		for i := range v.Json {
			v.Json[i].Key = new(fmt.Sprint("k", i))
		}
	case *wire.MatchRange:
		v.End = new(*v.Start + 1)
	case *wire.HttpRouteMatch:
		if v.Path != nil {
			v.Prefix = nil
		}
	case *wire.GrpcRouteMatch:
		if v.MethodName != nil && v.ServiceName == nil {
			v.ServiceName = new("a.B")
		}
	case *wire.HttpRetryPolicy:
		if len(v.HttpRetryEvents)+len(v.TcpRetryEvents) == 0 {
			v.TcpRetryEvents = []string{"connection-error"}
		}
	case *wire.GrpcRetryPolicy:
		if len(v.HttpRetryEvents)+len(v.TcpRetryEvents)+len(v.GrpcRetryEvents) == 0 {
			v.GrpcRetryEvents = []string{"internal"}
		}
	case *wire.WeightedTarget:
		v.VirtualNode = new("n")
		if v.Port != nil {
			v.Port = new(int64(8080))
		}
	case *wire.HttpRoute:
		v.Action.WeightedTargets[0].Weight = new(int64(1))
	case *wire.GrpcRoute:
		v.Action.WeightedTargets[0].Weight = new(int64(1))
		if v.Match.Port != nil {
			v.Match.Port = new(int64(3))
		}
	case *wire.TcpRoute:
		v.Action.WeightedTargets[0].Weight = new(int64(1))
		if v.Match != nil && v.Match.Port != nil {
			v.Match.Port = new(int64(4))
		}
	case *wire.RouteSpec:
		for number, r := range map[int64]*wire.HttpRoute{1: v.HttpRoute, 2: v.Http2Route} {
			if r != nil && r.Match.Port != nil {
				r.Match.Port = new(number)
			}
		}
	case *wire.GatewayRouteTarget:
		v.VirtualService.VirtualServiceName = new("none.local")
	case *wire.HttpGatewayRouteMatch:
		if v.Path != nil {
			v.Prefix = nil
		}
		if v.Port != nil || v.Path == nil && v.Prefix == nil && v.Hostname == nil {
			v.Port = new(int64(9080))
		}
	case *wire.GrpcGatewayRouteMatch:
		if v.Port != nil || v.ServiceName == nil && v.Hostname == nil {
			v.Port = new(int64(9080))
		}
	case *wire.HttpGatewayRouteRewrite:
		if v.Path != nil {
			v.Prefix, v.Path.Exact = nil, new("/x")
		}
	case *wire.HttpGatewayRoute:
		if v.Match.Path != nil && v.Action.Rewrite != nil {
			v.Action.Rewrite.Prefix = nil
		}
	}
}

// only sets the member of a union that is for a protocol.
func (m *maker) only(union any, protocol string) {
	v := reflect.ValueOf(union).Elem()
	f, _ := v.Type().FieldByNameFunc(func(name string) bool { return strings.EqualFold(name, protocol) })
	value := reflect.New(f.Type.Elem())
	value.Elem().Set(m.structure(f.Type.Elem()))
	v.FieldByIndex(f.Index).Set(value)
	m.note(v)
}
