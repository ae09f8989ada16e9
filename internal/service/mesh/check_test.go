package mesh

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// furnish makes a mesh with something of every kind to refer to.
func (w *world) furnish() {
	w.t.Helper()
	w.mesh("app")
	node := func(name, listeners string) {
		w.put("/meshes/app/virtualNodes", fmt.Sprintf(`{"virtualNodeName":%q,"spec":{"serviceDiscovery":{"dns":{"hostname":"a.local"}},"listeners":[%s]}}`, name, listeners))
	}
	node("n", listener(8080, "http"))
	node("multi", listener(80, "http")+","+listener(81, "grpc"))
	w.put("/meshes/app/virtualNodes", `{"virtualNodeName":"bare","spec":{}}`)
	router := func(name, listeners string) {
		w.put("/meshes/app/virtualRouters", fmt.Sprintf(`{"virtualRouterName":%q,"spec":{"listeners":[%s]}}`, name, listeners))
	}
	router("http", listener(8080, "http"))
	router("all", listener(1, "http")+","+listener(2, "http2")+","+listener(3, "grpc")+","+listener(4, "tcp"))
	w.put("/meshes/app/virtualRouters", `{"virtualRouterName":"bare","spec":{}}`)
	service := func(name, provider string) {
		w.put("/meshes/app/virtualServices", fmt.Sprintf(`{"virtualServiceName":%q,"spec":{%s}}`, name, provider))
	}
	service("node.local", `"provider":{"virtualNode":{"virtualNodeName":"n"}}`)
	service("multi.local", `"provider":{"virtualRouter":{"virtualRouterName":"all"}}`)
	service("none.local", "")
	w.put("/meshes/app/virtualGateways", `{"virtualGatewayName":"g","spec":{"listeners":[`+listener(9080, "http")+`]}}`)
	w.put("/meshes/app/virtualGateways", `{"virtualGatewayName":"two","spec":{"listeners":[`+listener(1111, "http")+","+listener(2222, "grpc")+`]}}`)
}

func listener(port int, protocol string) string {
	return fmt.Sprintf(`{"portMapping":{"port":%d,"protocol":%q}}`, port, protocol)
}

// specCase is a spec and what is wrong with it: "" is nothing.
type specCase struct{ name, spec, want string }

// tryAll makes a resource for each spec; those that are refused leave nothing.
func tryAll(t *testing.T, w *world, path, member string, cases []specCase) {
	t.Helper()
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			before := w.contents()
			status, text := w.raw("PUT", path, fmt.Sprintf(`{%q:"case%d","spec":%s}`, member, i, c.spec))
			if c.want == "" {
				if status != 200 {
					t.Errorf("%d %s", status, text)
				}
				return
			}
			want := 400
			if strings.HasPrefix(c.want, "There is no ") {
				want = 404
			}
			if status != want || !strings.Contains(text, strings.ReplaceAll(c.want, `"`, `\"`)) {
				t.Errorf("%d %s, want %d %s", status, text, want, c.want)
			}
			if w.contents() != before {
				t.Error("a refused call changed the store")
			}
		})
	}
}

// node puts members into the spec of a virtual node with one listener, whose own
// members are more.
func node(protocol, more, spec string) string {
	return fmt.Sprintf(`{"serviceDiscovery":{"dns":{"hostname":"a.local"}},"listeners":[{"portMapping":{"port":80,"protocol":%q}%s}]%s}`, protocol, more, spec)
}

// TestCheckNode. Sources: App Mesh User Guide, "Virtual nodes"; App Mesh API
// Reference, the shapes below VirtualNodeSpec.
func TestCheckNode(t *testing.T) {
	w := newWorld(t)
	w.mesh("app")
	health := func(more string) string {
		return `,"healthCheck":{"healthyThreshold":2,"unhealthyThreshold":2,"timeoutMillis":2000,"intervalMillis":5000,` + more + `}`
	}
	outlier := func(interval string) string {
		return `,"outlierDetection":{"maxServerErrors":1,"maxEjectionPercent":0,"baseEjectionDuration":{"unit":"s","value":1},"interval":` + interval + `}`
	}
	log := func(format string) string {
		return `,"logging":{"accessLog":{"file":{"path":"/dev/stdout","format":` + format + `}}}`
	}
	const trust = `"trust":{"file":{"certificateChain":"/ca"}}`
	tryAll(t, w, "/meshes/app/virtualNodes", "virtualNodeName", []specCase{
		{"empty", `{}`, ""},
		{"service discovery without listeners", `{"serviceDiscovery":{"dns":{"hostname":"a.local."}}}`, ""},
		{"listener without service discovery", `{"listeners":[` + listener(80, "http") + `]}`, "spec.serviceDiscovery must be there where there are listeners"},
		{"two kinds of service discovery", `{"serviceDiscovery":{"dns":{"hostname":"a"},"awsCloudMap":{"namespaceName":"n","serviceName":"s"}}}`, "exactly one of"},
		{"no kind of service discovery", `{"serviceDiscovery":{}}`, "exactly one of"},
		{"host name", `{"serviceDiscovery":{"dns":{"hostname":"http://a"}}}`, `spec.serviceDiscovery.dns.hostname must be a host name: "http://a"`},
		{"empty host name", `{"serviceDiscovery":{"dns":{"hostname":""}}}`, "spec.serviceDiscovery.dns.hostname must be a host name"},
		{"host name of the root", `{"serviceDiscovery":{"dns":{"hostname":"."}}}`, `spec.serviceDiscovery.dns.hostname must be a host name: "."`},
		{"one port twice", `{"serviceDiscovery":{"dns":{"hostname":"a"}},"listeners":[` + listener(80, "http") + "," + listener(80, "grpc") + `]}`, "spec.listeners[1].portMapping.port: another listener has port 80 too"},
		{"port out of range", `{"serviceDiscovery":{"dns":{"hostname":"a"}},"listeners":[` + listener(65536, "http") + `]}`, "less than or equal to 65535"},
		{"unknown protocol", node("http3", "", ""), "[http, tcp, http2, grpc]"},
		{"health check", node("http", health(`"protocol":"http","path":"/ping","port":80`), ""), ""},
		{"health check without path", node("http", health(`"protocol":"http"`), ""), ""},
		{"health check of another protocol", node("http", health(`"protocol":"tcp","path":"ignored"`), ""), ""},
		{"health check of another port", node("http", health(`"protocol":"http","port":81`), ""), "spec.listeners[0].healthCheck.port must be the listener's port 80: it is 81"},
		{"health check's path", node("http", health(`"protocol":"http2","path":"ping"`), ""), `spec.listeners[0].healthCheck.path must begin with a slash: "ping"`},
		{"health check too often", node("http", strings.Replace(health(`"protocol":"tcp"`), "5000", "4999", 1), ""), "greater than or equal to 5000"},
		{"connection pool", node("grpc", `,"connectionPool":{"grpc":{"maxRequests":1}}`, ""), ""},
		{"connection pool of another protocol", node("http", `,"connectionPool":{"grpc":{"maxRequests":1}}`, ""), "spec.listeners[0].connectionPool.grpc does not fit the listener's protocol, which is http"},
		{"two connection pools", node("http", `,"connectionPool":{"http":{"maxConnections":1},"tcp":{"maxConnections":1}}`, ""), "exactly one of"},
		{"no connections", node("http", `,"connectionPool":{"http":{"maxConnections":0}}`, ""), "greater than or equal to 1"},
		{"timeout", node("tcp", `,"timeout":{"tcp":{"idle":{"unit":"ms","value":0}}}`, ""), ""},
		{"timeout of another protocol", node("tcp", `,"timeout":{"http":{"idle":{"unit":"ms","value":0}}}`, ""), "spec.listeners[0].timeout.http does not fit the listener's protocol, which is tcp"},
		{"timeout without unit", node("http2", `,"timeout":{"http2":{"perRequest":{"value":1}}}`, ""), "spec.listeners[0].timeout.http2.perRequest must have a unit and a value"},
		{"timeout without value", node("grpc", `,"timeout":{"grpc":{"idle":{"unit":"s"}}}`, ""), "spec.listeners[0].timeout.grpc.idle must have a unit and a value"},
		{"timeout of a year in milliseconds", node("http", `,"timeout":{"http":{"idle":{"unit":"ms","value":31536000000}}}`, ""), ""},
		{"endless timeout in milliseconds", node("http", `,"timeout":{"http":{"idle":{"unit":"ms","value":9223372036855}}}`, ""), "must be less than 292 years"},
		{"endless timeout", node("http", `,"timeout":{"http":{"idle":{"unit":"s","value":9223372037}}}`, ""), "must be less than 292 years"},
		{"negative timeout", node("http", `,"timeout":{"http":{"idle":{"unit":"s","value":-1}}}`, ""), "greater than or equal to 0"},
		{"outlier detection", node("http", outlier(`{"unit":"s","value":1}`), ""), ""},
		{"outlier detection all the time", node("http", outlier(`{"unit":"s","value":0}`), ""), "spec.listeners[0].outlierDetection.interval must be more than 0"},
		{"TLS", node("http", `,"tls":{"mode":"STRICT","certificate":{"sds":{"secretName":"x"}},"validation":{`+trust+`,"subjectAlternativeNames":{"match":{"exact":["a"]}}}}`, ""), ""},
		{"TLS with two certificates", node("http", `,"tls":{"mode":"STRICT","certificate":{"sds":{"secretName":"x"},"acm":{"certificateArn":"a"}}}`, ""), "exactly one of"},
		{"TLS that names nobody", node("http", `,"tls":{"mode":"STRICT","certificate":{"sds":{"secretName":"x"}},"validation":{`+trust+`,"subjectAlternativeNames":{"match":{"exact":[]}}}}`, ""), "spec.listeners[0].tls.validation.subjectAlternativeNames.match.exact must have at least one name"},
		{"backends", node("http", "", `,"backends":[{"virtualService":{"virtualServiceName":"not.there","clientPolicy":{"tls":{"enforce":false,"ports":[],"validation":{`+trust+`}}}}}]`), ""},
		{"one backend twice", `{"backends":[{"virtualService":{"virtualServiceName":"a"}},{"virtualService":{"virtualServiceName":"a"}}]}`, "spec.backends[1].virtualService.virtualServiceName: another backend is a too"},
		{"backend that is none", `{"backends":[{}]}`, "exactly one of"},
		{"backend's name", `{"backends":[{"virtualService":{"virtualServiceName":"a/b"}}]}`, "spec.backends[0].virtualService.virtualServiceName must not contain a slash"},
		{"backend that trusts nobody", `{"backends":[{"virtualService":{"virtualServiceName":"a","clientPolicy":{"tls":{"validation":{"trust":{}}}}}}]}`, "exactly one of"},
		{"backend that names nobody", `{"backends":[{"virtualService":{"virtualServiceName":"a","clientPolicy":{"tls":{"validation":{` + trust + `,"subjectAlternativeNames":{"match":{"exact":[]}}}}}}}]}`, "spec.backends[0].virtualService.clientPolicy.tls.validation.subjectAlternativeNames.match.exact must"},
		{"backends that name nobody", `{"backendDefaults":{"clientPolicy":{"tls":{"validation":{` + trust + `,"subjectAlternativeNames":{"match":{"exact":[]}}}}}}}`, "spec.backendDefaults.clientPolicy.tls.validation.subjectAlternativeNames.match.exact must"},
		{"four authorities", `{"backendDefaults":{"clientPolicy":{"tls":{"validation":{"trust":{"acm":{"certificateAuthorityArns":["a","b","c","d"]}}}}}}}`, "less than or equal to 3"},
		{"log", node("http", "", log(`{"text":"%START_TIME% %REQ(:path)%\n"}`)), ""},
		{"log that Envoy cannot write", node("http", "", log(`{"text":"%REQ%"}`)), "spec.logging.accessLog.file.format.text is not a format that Envoy can use: REQ needs parameters"},
		{"log as JSON", node("http", "", log(`{"json":[{"key":"a","value":"%PROTOCOL%"},{"key":"b","value":"x"}]}`)), ""},
		{"log as JSON that Envoy cannot write", node("http", "", log(`{"json":[{"key":"a","value":"50%"}]}`)), "spec.logging.accessLog.file.format.json[0].value is not a format that Envoy can use: there is no command at byte 2"},
		{"log as JSON with a key twice", node("http", "", log(`{"json":[{"key":"a","value":"b"},{"key":"a","value":"c"}]}`)), `spec.logging.accessLog.file.format.json[1].key: another entry has the key "a" too`},
		{"two formats", node("http", "", log(`{"text":"a","json":[]}`)), "exactly one of"},
		{"unknown members are passed over", `{"futureFeature":{"a":1}}`, ""},
		{"wrong type", `{"listeners":{}}`, "must be a list"},
	})
	if status, text := w.raw("PUT", "/meshes/app/virtualNodes", `{"virtualNodeName":"x"}`); status != 400 || !strings.Contains(text, "spec") {
		t.Errorf("without spec: %d %s", status, text)
	}
}

// TestCheckGateway. Source: App Mesh User Guide, "Virtual gateways".
func TestCheckGateway(t *testing.T) {
	w := newWorld(t)
	w.mesh("app")
	gateway := func(protocol, more, spec string) string {
		return fmt.Sprintf(`{"listeners":[{"portMapping":{"port":80,"protocol":%q}%s}]%s}`, protocol, more, spec)
	}
	health := func(more string) string {
		return `,"healthCheck":{"healthyThreshold":2,"unhealthyThreshold":2,"timeoutMillis":2000,"intervalMillis":5000,` + more + `}`
	}
	tryAll(t, w, "/meshes/app/virtualGateways", "virtualGatewayName", []specCase{
		{"listener", gateway("http2", health(`"protocol":"http2","path":"/"`)+`,"connectionPool":{"http2":{"maxRequests":1}}`, ""), ""},
		{"no listeners at all", `{}`, "spec.listeners"},
		{"TCP", gateway("tcp", "", ""), "[http, http2, grpc]"},
		{"one port twice", `{"listeners":[` + listener(1, "http") + "," + listener(1, "http") + `]}`, "another listener has port 1 too"},
		{"health check of another port", gateway("http", health(`"protocol":"http","port":81`), ""), "spec.listeners[0].healthCheck.port must be the listener's port 80"},
		{"health check's path", gateway("http", health(`"protocol":"http","path":"a"`), ""), "spec.listeners[0].healthCheck.path must begin with a slash"},
		{"connection pool of another protocol", gateway("http", `,"connectionPool":{"grpc":{"maxRequests":1}}`, ""), "spec.listeners[0].connectionPool.grpc does not fit"},
		{"TLS that names nobody", gateway("http", `,"tls":{"mode":"STRICT","certificate":{"sds":{"secretName":"x"}},"validation":{"trust":{"sds":{"secretName":"x"}},"subjectAlternativeNames":{"match":{"exact":[]}}}}`, ""), "at least one name"},
		{"backends that name nobody", gateway("http", "", `,"backendDefaults":{"clientPolicy":{"tls":{"validation":{"trust":{"sds":{"secretName":"x"}},"subjectAlternativeNames":{"match":{"exact":[]}}}}}}`), "spec.backendDefaults.clientPolicy.tls.validation.subjectAlternativeNames.match.exact must have at least one name"},
		{"log that Envoy cannot write", gateway("http", "", `,"logging":{"accessLog":{"file":{"path":"/a","format":{"text":"%"}}}}`), "not a format that Envoy can use"},
	})
}

// TestCheckRoute. Sources: App Mesh User Guide, "Routes"; App Mesh API Reference,
// the shapes below RouteSpec.
func TestCheckRoute(t *testing.T) {
	w := newWorld(t)
	w.furnish()
	const action = `"action":{"weightedTargets":[{"virtualNode":"n","weight":1}]}`
	http := func(match, more string) string {
		return `{"httpRoute":{"match":{` + match + `},` + action + more + `}}`
	}
	targets := func(list string) string {
		return `{"httpRoute":{"match":{"prefix":"/"},"action":{"weightedTargets":[` + list + `]}}}`
	}
	retry := func(more string) string {
		return http(`"prefix":"/"`, `,"retryPolicy":{"maxRetries":0,"perRetryTimeout":{"unit":"s","value":0}`+more+`}`)
	}
	tryAll(t, w, "/meshes/app/virtualRouter/http/routes", "routeName", []specCase{
		{"nothing", `{"priority":1}`, "spec must have exactly one of [httpRoute, http2Route, grpcRoute, tcpRoute]: it has 0"},
		{"two kinds", `{"httpRoute":{"match":{},` + action + `},"tcpRoute":{` + action + `}}`, "spec must have exactly one of [httpRoute, http2Route, grpcRoute, tcpRoute]: it has 2"},
		{"priority", `{"priority":1001,"httpRoute":{"match":{},` + action + `}}`, "less than or equal to 1000"},
		{"prefix", http(`"prefix":"/a"`, ""), ""},
		{"neither prefix nor path", http(`"port":8080`, ""), ""},
		{"prefix and path", http(`"prefix":"/","path":{"exact":"/"}`, ""), "spec.httpRoute.match must not have both a prefix and a path"},
		{"prefix without slash", http(`"prefix":"a"`, ""), `spec.httpRoute.match.prefix must begin with a slash: "a"`},
		{"path", http(`"path":{"exact":"/a"}`, ""), ""},
		{"path without slash", http(`"path":{"exact":"a"}`, ""), "spec.httpRoute.match.path.exact must begin with a slash"},
		{"empty path", http(`"path":{}`, ""), "spec.httpRoute.match.path must have exactly one of [exact, regex]"},
		{"path's regex", http(`"path":{"regex":"/a/.*[0-9]"}`, ""), ""},
		{"path's regex that is none", http(`"path":{"regex":"/a(?=b)"}`, ""), "spec.httpRoute.match.path.regex is not a regular expression in RE2's syntax, which Envoy has: "},
		{"header", http(`"headers":[{"name":"a","invert":true},{"name":":scheme","match":{"exact":"https"}},{"name":"b","match":{"range":{"start":-1,"end":1}}}]`, ""), ""},
		{"header's name", http(`"headers":[{"name":"a b"}]`, ""), `spec.httpRoute.match.headers[0].name must be the name of a header: "a b"`},
		{"header's range", http(`"headers":[{"name":"a","match":{"range":{"start":1,"end":1}}}]`, ""), "spec.httpRoute.match.headers[0].match.range.start must be less than end"},
		{"header's regex", http(`"headers":[{"name":"a","match":{"regex":"("}}]`, ""), "spec.httpRoute.match.headers[0].match.regex is not a regular expression"},
		{"header with two matches", http(`"headers":[{"name":"a","match":{"exact":"a","prefix":"b"}}]`, ""), "exactly one of"},
		{"no headers", http(`"headers":[]`, ""), "greater than or equal to 1"},
		{"another port", http(`"port":81`, ""), "spec.httpRoute.match.port: the virtual router has no listener with port 81"},
		{"timeout without unit", http(`"prefix":"/"`, `,"timeout":{"idle":{"value":1}}`), "spec.httpRoute.timeout.idle must have a unit and a value"},
		{"retry policy", retry(`,"httpRetryEvents":["server-error","gateway-error","client-error","stream-error"],"tcpRetryEvents":["connection-error"]`), ""},
		{"retry policy without events", retry(""), "spec.httpRoute.retryPolicy must have at least one event to retry on"},
		{"retry policy with an unknown event", retry(`,"httpRetryEvents":["5xx"]`), `spec.httpRoute.retryPolicy.httpRetryEvents[0] must be one of [server-error, gateway-error, client-error, stream-error]: "5xx"`},
		{"retry policy without timeout", http(`"prefix":"/"`, `,"retryPolicy":{"maxRetries":1,"tcpRetryEvents":["connection-error"]}`), "spec.httpRoute.retryPolicy.perRetryTimeout"},
		{"weights that do not add up to 100", targets(`{"virtualNode":"n","weight":1},{"virtualNode":"bare","weight":1}`), ""},
		{"no weight", targets(`{"virtualNode":"n","weight":0}`), "spec.httpRoute.action.weightedTargets must have a weight that is more than 0"},
		{"too much weight", targets(`{"virtualNode":"n","weight":101}`), "less than or equal to 100"},
		{"no targets", targets(""), "greater than or equal to 1"},
		{"eleven targets", targets(strings.TrimSuffix(strings.Repeat(`{"virtualNode":"n","weight":1},`, 11), ",")), "less than or equal to 10"},
		{"target that is not there", targets(`{"virtualNode":"gone","weight":1}`), "There is no VirtualNode with name gone in Mesh app of account"},
		{"target's port", targets(`{"virtualNode":"multi","weight":1,"port":81}`), ""},
		{"no target's port", targets(`{"virtualNode":"multi","weight":1}`), "spec.httpRoute.action.weightedTargets[0].port must be there: VirtualNode multi has 2 listeners"},
		{"another target's port", targets(`{"virtualNode":"n","weight":1,"port":81}`), "spec.httpRoute.action.weightedTargets[0].port: VirtualNode n has no listener with port 81"},
		{"kind that does not fit the router", `{"tcpRoute":{` + action + `}}`, "spec.tcpRoute does not fit the virtual router: it has no listener with the protocol tcp"},
		{"HTTP/2", `{"http2Route":{"match":{},` + action + `}}`, "spec.http2Route does not fit the virtual router"},
	})
	grpc := func(match, more string) string {
		return `{"grpcRoute":{"match":{` + match + `},` + action + more + `}}`
	}
	tryAll(t, w, "/meshes/app/virtualRouter/all/routes", "routeName", []specCase{
		{"HTTP on any listener that fits", http(`"prefix":"/"`, ""), ""},
		{"HTTP/2", `{"http2Route":{"match":{"port":2},` + action + `}}`, ""},
		{"listener of another protocol", `{"http2Route":{"match":{"port":3},` + action + `}}`, "spec.http2Route does not fit the virtual router's listener with port 3, whose protocol is grpc"},
		{"gRPC", grpc(`"port":3,"serviceName":"a.B","methodName":"C","metadata":[{"name":"k","match":{"suffix":"x"}}]`, `,"retryPolicy":{"maxRetries":1,"perRetryTimeout":{"unit":"s","value":1},"grpcRetryEvents":["cancelled"]}`), ""},
		{"gRPC of any service", grpc("", ""), ""},
		{"method without service", grpc(`"methodName":"C"`, ""), "spec.grpcRoute.match.serviceName must be there where methodName is"},
		{"metadata's range", grpc(`"metadata":[{"name":"k","match":{"range":{"start":2,"end":1}}}]`, ""), "spec.grpcRoute.match.metadata[0].match.range.start must be less than end"},
		{"gRPC's retry policy without events", grpc("", `,"retryPolicy":{"maxRetries":1,"perRetryTimeout":{"unit":"s","value":1}}`), "spec.grpcRoute.retryPolicy must have at least one event"},
		{"gRPC's timeout", grpc("", `,"timeout":{"perRequest":{"unit":"s"}}`), "spec.grpcRoute.timeout.perRequest must have"},
		{"TCP", `{"tcpRoute":{"match":{"port":4},` + action + `,"timeout":{"idle":{"unit":"s","value":1}}}}`, ""},
		{"TCP on a port of HTTP", `{"tcpRoute":{"match":{"port":1},` + action + `}}`, "spec.tcpRoute does not fit the virtual router's listener with port 1"},
	})
	tryAll(t, w, "/meshes/app/virtualRouter/bare/routes", "routeName", []specCase{
		{"router without listeners", http(`"prefix":"/"`, ""), ""},
	})
	tryAll(t, w, "/meshes/app/virtualRouter/gone/routes", "routeName", []specCase{
		{"router that is not there", http(`"prefix":"/"`, ""), "There is no VirtualRouter with name gone"},
	})
	// An update is checked as a create is.
	w.put("/meshes/app/virtualRouter/http/routes", `{"routeName":"again","spec":`+http(`"prefix":"/"`, "")+`}`)
	if status, text := w.raw("PUT", "/meshes/app/virtualRouter/http/routes/again", `{"spec":`+targets(`{"virtualNode":"gone","weight":1}`)+`}`); status != 404 {
		t.Errorf("%d %s", status, text)
	}
}

// TestCheckService. Source: App Mesh User Guide, "Virtual services".
func TestCheckService(t *testing.T) {
	w := newWorld(t)
	w.furnish()
	tryAll(t, w, "/meshes/app/virtualServices", "virtualServiceName", []specCase{
		{"no provider", `{}`, ""},
		{"virtual node", `{"provider":{"virtualNode":{"virtualNodeName":"n"}}}`, ""},
		{"virtual router", `{"provider":{"virtualRouter":{"virtualRouterName":"http"}}}`, ""},
		{"both", `{"provider":{"virtualNode":{"virtualNodeName":"n"},"virtualRouter":{"virtualRouterName":"http"}}}`, "exactly one of"},
		{"virtual node that is not there", `{"provider":{"virtualNode":{"virtualNodeName":"http"}}}`, "There is no VirtualNode with name http"},
		{"virtual router that is not there", `{"provider":{"virtualRouter":{"virtualRouterName":"n"}}}`, "There is no VirtualRouter with name n"},
	})
}

// TestCheckGatewayRoute. Sources: App Mesh User Guide, "Gateway routes"; App Mesh
// API Reference, the shapes below GatewayRouteSpec.
func TestCheckGatewayRoute(t *testing.T) {
	w := newWorld(t)
	w.furnish()
	to := func(service, port string) string {
		return `"target":{"virtualService":{"virtualServiceName":"` + service + `"}` + port + `}`
	}
	http := func(match, rewrite string) string {
		return `{"httpRoute":{"match":{` + match + `},"action":{` + to("node.local", "") + rewrite + `}}}`
	}
	leads := func(service, port string) string {
		return `{"http2Route":{"match":{"prefix":"/"},"action":{` + to(service, port) + `}}}`
	}
	grpc := func(match string) string {
		return `{"grpcRoute":{"match":{` + match + `},"action":{` + to("node.local", "") + `}}}`
	}
	tryAll(t, w, "/meshes/app/virtualGateway/g/gatewayRoutes", "gatewayRouteName", []specCase{
		{"nothing", `{}`, "spec must have exactly one of [httpRoute, http2Route, grpcRoute]: it has 0"},
		{"prefix", http(`"prefix":"/a/"`, ""), ""},
	})
	w.raw("DELETE", "/meshes/app/virtualGateway/g/gatewayRoutes/case1", "")
	// The quota of gateway routes is ten.
	each := func(cases []specCase) {
		for _, c := range cases {
			tryAll(t, w, "/meshes/app/virtualGateway/g/gatewayRoutes", "gatewayRouteName", []specCase{c})
			w.raw("DELETE", "/meshes/app/virtualGateway/g/gatewayRoutes/case0", "")
		}
	}
	each([]specCase{
		{"empty match", http("", ""), "spec.httpRoute.match must have at least one of [prefix, path, hostname, port]"},
		{"port alone", http(`"port":9080`, ""), ""},
		{"another port", http(`"port":1`, ""), "spec.httpRoute.match.port: the virtual gateway has no listener with port 1"},
		{"host name", http(`"hostname":{"exact":"www.example.com"}`, ""), ""},
		{"host name's end", http(`"hostname":{"suffix":".example.com"}`, ""), ""},
		{"host name that is none", http(`"hostname":{"exact":"a b"}`, ""), "spec.httpRoute.match.hostname.exact must be a host name"},
		{"two host names", http(`"hostname":{"exact":"a","suffix":"b"}`, ""), "spec.httpRoute.match.hostname must have exactly one of [exact, suffix]"},
		{"prefix and path", http(`"prefix":"/","path":{"exact":"/"}`, ""), "must not have both a prefix and a path"},
		{"headers", http(`"prefix":"/","method":"GET","headers":[{"name":"("}]`, ""), "spec.httpRoute.match.headers[0].name must be the name of a header"},
		{"query parameters", http(`"prefix":"/","queryParameters":[{"name":"a","match":{"exact":""}},{"name":"b"}]`, ""), ""},
		{"reserved prefix", http(`"prefix":"/aws-appmesh-x"`, ""), "spec.httpRoute.match.prefix must not begin with /aws-appmesh, which is reserved"},
		{"other reserved prefix", http(`"prefix":"/aws-app-mesh"`, ""), "which is reserved"},
		{"rewritten host name", http(`"prefix":"/"`, `,"rewrite":{"hostname":{"defaultTargetHostname":"DISABLED"}}`), ""},
		{"rewritten prefix", http(`"prefix":"/a/"`, `,"rewrite":{"prefix":{"value":"/b/"}}`), ""},
		{"prefix not rewritten", http(`"prefix":"/a/"`, `,"rewrite":{"prefix":{"defaultPrefix":"DISABLED"}}`), ""},
		{"prefix rewritten to nothing", http(`"prefix":"/a/"`, `,"rewrite":{"prefix":{}}`), "spec.httpRoute.action.rewrite.prefix must have exactly one of [defaultPrefix, value]"},
		{"prefix rewritten twice", http(`"prefix":"/a/"`, `,"rewrite":{"prefix":{"value":"/b/","defaultPrefix":"ENABLED"}}`), "exactly one of [defaultPrefix, value]"},
		{"rewritten prefix's slashes", http(`"prefix":"/a/"`, `,"rewrite":{"prefix":{"value":"/b"}}`), `spec.httpRoute.action.rewrite.prefix.value must begin and end with a slash: "/b"`},
		{"prefix rewritten where a path is matched", http(`"path":{"exact":"/a"}`, `,"rewrite":{"prefix":{"value":"/b/"}}`), "spec.httpRoute.action.rewrite.prefix needs a match by prefix"},
		{"rewritten path", http(`"path":{"exact":"/a"}`, `,"rewrite":{"path":{"exact":"/b"}}`), ""},
		{"rewritten path's slash", http(`"path":{"exact":"/a"}`, `,"rewrite":{"path":{"exact":"b"}}`), "spec.httpRoute.action.rewrite.path.exact must begin with a slash"},
		{"path rewritten to nothing", http(`"path":{"exact":"/a"}`, `,"rewrite":{"path":{}}`), "spec.httpRoute.action.rewrite.path.exact must be there"},
		{"prefix and path rewritten", http(`"prefix":"/a/"`, `,"rewrite":{"path":{"exact":"/b"},"prefix":{"value":"/b/"}}`), "spec.httpRoute.action.rewrite must not have both a prefix and a path"},
		{"gRPC", grpc(`"serviceName":"a.B","metadata":[{"name":"k","invert":false,"match":{"prefix":"x"}}]`), ""},
		{"gRPC by host name", grpc(`"hostname":{"suffix":".a"}`), ""},
		{"gRPC without match", grpc(`"metadata":[{"name":"k"}]`), "spec.grpcRoute.match must have at least one of [serviceName, hostname, port]"},
		{"reserved service", grpc(`"serviceName":"aws.app-mesh.A"`), "spec.grpcRoute.match.serviceName must not begin with aws.app-mesh, which is reserved"},
		{"metadata", grpc(`"serviceName":"a","metadata":[{"name":"k","match":{"regex":"["}}]`), "spec.grpcRoute.match.metadata[0].match.regex is not a regular expression"},
		{"target that is not there", leads("gone.local", ""), "There is no VirtualService with name gone.local"},
		{"target without provider", leads("none.local", `,"port":1`), ""},
		{"target's port", leads("multi.local", `,"port":2`), ""},
		{"no target's port", leads("multi.local", ""), "spec.http2Route.action.target.port must be there: the provider of VirtualService multi.local has 4 listeners"},
		{"another target's port", leads("node.local", `,"port":1`), "spec.http2Route.action.target.port: the provider of VirtualService node.local has no listener with port 1"},
	})
	tryAll(t, w, "/meshes/app/virtualGateway/two/gatewayRoutes", "gatewayRouteName", []specCase{
		{"port where there are two", http(`"prefix":"/","port":1111`, ""), ""},
		{"no port where there are two", http(`"prefix":"/"`, ""), "spec.httpRoute.match.port must be there: the virtual gateway has 2 listeners"},
		{"no port where there are two, gRPC", grpc(`"serviceName":"a"`), "spec.grpcRoute.match.port must be there"},
	})
}

// TestNames: a name that could be taken for another is refused, wherever it stands.
func TestNames(t *testing.T) {
	w := newWorld(t)
	w.furnish()
	for _, name := range []string{"a/b", "..", ".", "a\x7f", "a\u0085b"} {
		for path, body := range map[string]string{
			"/meshes":                                    `{"meshName":%q}`,
			"/meshes/app/virtualNodes":                   `{"virtualNodeName":%q,"spec":{}}`,
			"/meshes/app/virtualServices":                `{"virtualServiceName":%q,"spec":{}}`,
			"/meshes/app/virtualRouter/http/routes":      `{"routeName":%q,"spec":{"httpRoute":{"match":{},"action":{"weightedTargets":[{"virtualNode":"n","weight":1}]}}}}`,
			"/meshes/app/virtualGateways":                `{"virtualGatewayName":%q,"spec":{"listeners":[]}}`,
			"/meshes/app/virtualGateway/g/gatewayRoutes": `{"gatewayRouteName":%q,"spec":{"httpRoute":{"match":{"prefix":"/"},"action":{"target":{"virtualService":{"virtualServiceName":"node.local"}}}}}}`,
		} {
			before := w.contents()
			body = strings.Replace(body, "%q", quote(name), 1)
			if status, text := w.raw("PUT", path, body); status != 400 || !strings.Contains(text, "a name must not ") {
				t.Errorf("%s %q: %d %s", path, name, status, text)
			}
			if w.contents() != before {
				t.Errorf("%s %q: stored", path, name)
			}
		}
	}
	if status, text := w.raw("PUT", "/meshes/app/virtualServices", `{"virtualServiceName":"","spec":{}}`); status != 400 {
		t.Errorf("%d %s", status, text)
	}
	if status, text := w.raw("GET", "/meshes/app/virtualNodes/a%2Fb", ""); status != 400 || !strings.Contains(text, "slash") {
		t.Errorf("%d %s", status, text)
	}
	if status, text := w.raw("GET", "/meshes/app?meshOwner=abcdefghijkl", ""); status != 400 || !strings.Contains(text, "12 digits") {
		t.Errorf("%d %s", status, text)
	}
	// All else is a name, of any script.
	w.put("/meshes/app/virtualServices", `{"virtualServiceName":"*.example.com","spec":{}}`)
	w.put("/meshes/app/virtualNodes", `{"virtualNodeName":"приклад_ns","spec":{}}`)
}

func quote(s string) string {
	out, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(out)
}
