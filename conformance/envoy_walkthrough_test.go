//go:build conformance

package conformance

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"
)

// The tests here are walk-throughs of aws-app-mesh-examples, made anew: what they
// build and what they say must come of it.

// TestWalkUserGuide is the service of App Mesh's user guide: serviceA calls serviceB,
// whose versions share by weights; then all goes to the second, and nobody sees it
// happen.
func TestWalkUserGuide(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "app1", 20)
	a, v1, v2 := f.address(), f.address(), f.address()
	f.node("serviceBv1", listen(v1, "http", 8080, ""))
	f.node("serviceBv2", listen(v2, "http", 8080, ""))
	f.router("serviceB", "http", 8080)
	weights := func(one, two int) string {
		return fmt.Sprintf(`{"httpRoute":{"match":{"prefix":"/"},"action":{"weightedTargets":[{"virtualNode":"serviceBv1","weight":%d},{"virtualNode":"serviceBv2","weight":%d}]}}}`, one, two)
	}
	f.route("serviceB", "toServiceB", weights(2, 1))
	f.service("serviceb.apps.local", "serviceB", "")
	f.node("serviceA", listen(a, "http", 8080, "", backends("serviceb.apps.local")))
	f.unsigned("virtualNode", "serviceA")
	one := f.machine("serviceBv1", v1, 8080, nil)
	f.machine("serviceBv2", v2, 8080, nil)
	f.machine("serviceA", a, 8080, nil)
	url := "http://" + a + ":15001/x"
	reaches(t, 200, "serviceB", url, "serviceb.apps.local")
	if got := share(t, 90, url, "serviceb.apps.local"); got["serviceBv1"] < 40 || got["serviceBv2"] < 12 || len(got) != 2 {
		t.Errorf("2:1 is %v", got)
	}
	if status, _ := call(t, url, "unknown.apps.local"); status != 404 {
		t.Errorf("a virtual service that is no backend: %d", status)
	}
	// The shift, under load.
	stop := load(t, url, "serviceb.apps.local")
	for i := range 10 {
		f.updateRoute("serviceB", "toServiceB", weights(i%2, 1))
	}
	f.updateRoute("serviceB", "toServiceB", toNode("serviceBv2"))
	eventually(t, "all goes to the second", func() bool { return share(t, 10, url, "serviceb.apps.local")["serviceBv2"] == 10 })
	stop()
	if one.stat("cluster.cds_ingress_app1_serviceBv1_http_8080.upstream_rq_200") == 0 {
		t.Error("the Envoy of serviceBv1 has not counted what it passed on, under App Mesh's name")
	}
}

// TestWalkIngressGateway is howto-ingress-gateway, and the rewrites of
// howto-match-and-rewrite-at-ingress.
func TestWalkIngressGateway(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "ingress", 21)
	edge := f.address()
	colors := map[string][]string{"1": {"white", "blue"}, "2": {"black", "red"}}
	for n, names := range colors {
		var targets string
		for i, name := range names {
			address := f.address()
			f.node(name, listen(address, "http", 9080, ""))
			f.machine(name, address, 9080, nil)
			if i > 0 {
				targets += ","
			}
			targets += `{"virtualNode":"` + name + `","weight":1}`
		}
		f.router("color"+n, "http", 9080)
		f.route("color"+n, "tell", `{"httpRoute":{"match":{"prefix":"/tell"},"action":{"weightedTargets":[`+targets+`]}}}`)
		f.service("color"+n+".local", "color"+n, "")
	}
	f.gateway("edge", `{"listeners":[{"portMapping":{"port":9080,"protocol":"http"}}]}`)
	to := func(service, match, rewrite string) string {
		return `{"httpRoute":{"match":{` + match + `},"action":{"target":{"virtualService":{"virtualServiceName":"` + service + `"}}` + rewrite + `}}}`
	}
	f.gatewayRoute("edge", "color1", to("color1.local", `"prefix":"/color1"`, ""))
	f.gatewayRoute("edge", "color2", to("color2.local", `"prefix":"/color2"`, ""))
	f.unsigned("virtualGateway", "edge")
	e := f.connect("virtualGateway", "edge", edge, "")
	url := "http://" + edge + ":9080"
	reaches(t, 200, "", url+"/color1/tell", "any")
	for n, names := range colors {
		got := share(t, 60, url+"/color"+n+"/tell", "any")
		if got[names[0]] < 12 || got[names[1]] < 12 || len(got) != 2 {
			t.Errorf("color %s: %v", n, got)
		}
	}
	for _, path := range []string{"/color1", "/nothing"} {
		if status, _ := call(t, url+path, "any"); status != 404 {
			t.Errorf("%s: %d", path, status)
		}
	}
	if e.stat("http.ingress.downstream_rq_2xx") == 0 || e.stat("http.egress.downstream_rq_2xx") == 0 {
		t.Error("a virtual gateway's requests are counted at its way in and its way to itself")
	}

	f.gatewayRoute("edge", "host", to("color1.local", `"prefix":"/","hostname":{"exact":"www.example.com"}`, ""))
	reaches(t, 200, "", url+"/tell", "www.example.com")
	if status, _ := call(t, url+"/tell", "www.example.org"); status != 404 {
		t.Errorf("another host: %d", status)
	}
	f.gatewayRoute("edge", "kept", to("color2.local", `"prefix":"/tell/"`, `,"rewrite":{"prefix":{"defaultPrefix":"DISABLED"}}`))
	reaches(t, 200, "", url+"/tell/x", "any")
	f.gatewayRoute("edge", "query", to("color2.local", `"prefix":"/maroon/","queryParameters":[{"name":"fishes","match":{"exact":"nemo"}}]`, `,"rewrite":{"prefix":{"value":"/tell/"}}`))
	reaches(t, 200, "", url+"/maroon/x?fishes=nemo", "any")
	if status, _ := call(t, url+"/maroon/x", "any"); status != 404 {
		t.Errorf("without the query: %d", status)
	}
}

// TestWalkHeaders is howto-http-headers: priorities, and every way to match a header.
func TestWalkHeaders(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "headers", 22)
	front := f.address()
	f.router("color", "http", 8080)
	node := func(name string) {
		address := f.address()
		f.node(name, listen(address, "http", 8080, ""))
		app := f.address()
		serveHTTP(t, app+":8080", name, nil)
		f.connect("virtualNode", name, address, app)
	}
	for _, name := range []string{"green", "red", "blue", "yellow", "white"} {
		node(name)
	}
	route := func(name string, priority int, match string) string {
		return fmt.Sprintf(`{"priority":%d,"httpRoute":{"match":{"prefix":"/"%s},"action":{"weightedTargets":[{"virtualNode":%q,"weight":1}]}}}`, priority, match, name)
	}
	header := func(match string) string { return `,"headers":[{"name":"color_header"` + match + `}]` }
	f.route("color", "green", route("green", 2, header(`,"match":{"regex":"redor.*"}`)))
	f.route("color", "red", route("red", 5, header(`,"match":{"prefix":"redorgreen"}`)))
	f.route("color", "blue", route("blue", 900, header(`,"match":{"range":{"start":100,"end":150}}`)))
	f.route("color", "yellow", route("yellow", 990, header(``)))
	f.route("color", "white", route("white", 995, `,"method":"GET"`))
	f.service("color.local", "color", "")
	f.node("front", listen(front, "http", 8080, "", backends("color.local")))
	f.unsigned("virtualNode", "front")
	f.machine("front", front, 8080, nil)
	url := "http://" + front + ":15001/"
	reaches(t, 200, "white", url, "color.local")
	for value, want := range map[string]string{"redorgreencolor": "green", "149": "blue", "150": "yellow", "99": "yellow", "x": "yellow"} {
		if status, body := call(t, url, "color.local", "color_header", value); status != 200 || body[:len(want)] != want {
			t.Errorf("color_header %s: %d %s, want %s", value, status, body, want)
		}
	}
	f.updateRoute("color", "red", route("red", 1, header(`,"match":{"prefix":"redorgreen"}`)))
	reaches(t, 200, "red", url, "color.local", "color_header", "redorgreencolor")
}

// TestWalkRetriesAndTimeouts is howto-http-retries and howto-timeout-policy, quicker.
func TestWalkRetriesAndTimeouts(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "retries", 23)
	front, color := f.address(), f.address()
	f.node("color", listen(color, "http", 8080, ""))
	var first sync.Map
	f.machine("color", color, 8080, func(w http.ResponseWriter, r *http.Request) {
		if ms, err := strconv.Atoi(r.Header.Get("fault-ms")); err == nil {
			at, _ := first.LoadOrStore(r.Header.Get("id"), time.Now())
			if time.Since(at.(time.Time)) < time.Duration(ms)*time.Millisecond {
				w.WriteHeader(503)
				return
			}
		}
		if ms, err := strconv.Atoi(r.Header.Get("latency-ms")); err == nil {
			select {
			case <-time.After(time.Duration(ms) * time.Millisecond):
			case <-r.Context().Done():
			}
		}
		fmt.Fprint(w, "color")
	})
	route := func(more string) string {
		return `{"httpRoute":{"match":{"prefix":"/"},"action":{"weightedTargets":[{"virtualNode":"color","weight":1}]}` + more + `}}`
	}
	f.router("color", "http", 8080)
	f.route("color", "all", route(""))
	f.service("color.local", "color", "")
	f.node("front", listen(front, "http", 8080, "", backends("color.local")))
	f.unsigned("virtualNode", "front")
	e := f.machine("front", front, 8080, nil)
	url := "http://" + front + ":15001/"
	reaches(t, 200, "color", url, "color.local")
	// The default policy tries twice more at once: enough for a short fault.
	if status, _ := call(t, url, "color.local", "id", "long", "fault-ms", "1500"); status != 503 {
		t.Errorf("a long fault without a policy: %d", status)
	}
	f.updateRoute("color", "all", route(`,"retryPolicy":{"maxRetries":10,"perRetryTimeout":{"unit":"ms","value":500},"httpRetryEvents":["server-error"]}`))
	retries := "cluster.cds_egress_retries_color_http_8080.upstream_rq_retry"
	before := e.stat(retries)
	n := 0
	eventually(t, "retries pass a fault", func() bool {
		n++
		status, _ := call(t, url, "color.local", "id", fmt.Sprint("again", n), "fault-ms", "300")
		return status == 200
	})
	if got := e.stat(retries) - before; got < 3 {
		t.Errorf("%d retries", got)
	}
	dump := e.ask("/config_dump?resource=dynamic_route_configs")
	mustContain(t, "the routes", dump, `"num_retries": 10`, "envoy.retry_host_predicates.previous_hosts", `"host_selection_retry_max_attempts": "5"`)

	timeout := func(ms int) string { return fmt.Sprintf(`{"perRequest":{"unit":"ms","value":%d}}`, ms) }
	f.updateRoute("color", "all", route(`,"timeout":`+timeout(500)))
	reaches(t, 504, "upstream request timeout", url, "color.local", "latency-ms", "1500")
	f.updateRoute("color", "all", route(`,"timeout":`+timeout(4000)))
	reaches(t, 200, "color", url, "color.local", "latency-ms", "1000")
	// The listener of the called node has a timeout too.
	f.updateNode("color", listen(color, "http", 8080, `,"timeout":{"http":`+timeout(500)+`}`))
	reaches(t, 504, "upstream request timeout", url, "color.local", "latency-ms", "1000")
}

// TestWalkMultipleListeners is howto-multiple-listeners.
func TestWalkMultipleListeners(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "several", 24)
	edge, food, color := f.address(), f.address(), f.address()
	f.node("food", `{"serviceDiscovery":{"dns":{"hostname":"`+food+`"}},"listeners":[{"portMapping":{"port":5555,"protocol":"http"}},{"portMapping":{"port":6666,"protocol":"http"}}]}`)
	f.node("color", listen(color, "http", 7777, ""))
	f.router("food", "http", 3333, 4444)
	for _, r := range []struct {
		name       string
		from, port int
	}{{"fruit", 3333, 5555}, {"vegetable", 4444, 6666}} {
		f.route("food", r.name, fmt.Sprintf(`{"httpRoute":{"match":{"port":%d},"action":{"weightedTargets":[{"virtualNode":"food","weight":1,"port":%d}]}}}`, r.from, r.port))
	}
	f.service("food.local", "food", "")
	f.service("color.local", "", "color")
	f.gateway("edge", `{"listeners":[{"portMapping":{"port":1111,"protocol":"http"}},{"portMapping":{"port":2222,"protocol":"http"}}]}`)
	entry := func(match, service string, port int) string {
		return fmt.Sprintf(`{"httpRoute":{"match":{%s},"action":{"target":{"virtualService":{"virtualServiceName":%q},"port":%d}}}}`, match, service, port)
	}
	f.gatewayRoute("edge", "fruit", entry(`"port":1111,"prefix":"/fruit"`, "food.local", 3333))
	f.gatewayRoute("edge", "vegetable", entry(`"port":1111,"prefix":"/vegetable"`, "food.local", 4444))
	f.gatewayRoute("edge", "color", entry(`"port":2222`, "color.local", 7777))
	f.unsigned("virtualGateway", "edge")
	app := f.address()
	serveHTTP(t, app+":5555", "fruit", nil)
	serveHTTP(t, app+":6666", "vegetable", nil)
	f.connect("virtualNode", "food", food, app)
	f.machine("color", color, 7777, nil)
	e := f.connect("virtualGateway", "edge", edge, "")
	reaches(t, 200, "fruit", "http://"+edge+":1111/fruit", "any")
	reaches(t, 200, "vegetable", "http://"+edge+":1111/vegetable", "any")
	reaches(t, 200, "color", "http://"+edge+":2222/", "any")
	reaches(t, 200, "color", "http://"+edge+":2222/fruit", "any")
	if status, _ := call(t, "http://"+edge+":1111/", "any"); status != 404 {
		t.Errorf("nothing matches on the first listener: %d", status)
	}
	if e.stat("http.ingress.http.1111.downstream_rq_2xx") == 0 {
		t.Error("each listener counts under its own prefix")
	}
}

// TestWalkTLS is howto-tls-file-provided and howto-mutual-tls-file-provided: a client
// that validates nothing, one that trusts one authority, and one that has to show
// who it is.
func TestWalkTLS(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "tls", 25)
	dir := t.TempDir()
	one, two := newAuthority(t, dir, "ca1"), newAuthority(t, dir, "ca2")
	front, white, green := f.address(), f.address(), f.address()
	one.issue("white", "white.local")
	two.issue("green", "green.local")
	one.issue("front", "front.local")
	file := func(name string) string {
		return `{"file":{"certificateChain":"` + dir + "/" + name + `.pem","privateKey":"` + dir + "/" + name + `.key"}}`
	}
	strict := func(name, more string) string {
		return `,"tls":{"mode":"STRICT","certificate":` + file(name) + more + `}`
	}
	f.node("white", listen(white, "http", 8080, strict("white", "")))
	f.node("green", listen(green, "http", 8080, strict("green", "")))
	f.router("color", "http", 8080)
	f.route("color", "all", `{"httpRoute":{"match":{"prefix":"/"},"action":{"weightedTargets":[{"virtualNode":"white","weight":1},{"virtualNode":"green","weight":1}]}}}`)
	f.service("color.local", "color", "")
	client := func(policy string) string {
		if policy != "" {
			policy = `,"backendDefaults":{"clientPolicy":{"tls":` + policy + `}}`
		}
		return `{"serviceDiscovery":{"dns":{"hostname":"` + front + `"}},"listeners":[{"portMapping":{"port":8080,"protocol":"http"}}],` + backends("color.local") + policy + `}`
	}
	f.node("front", client(""))
	f.unsigned("virtualNode", "front")
	server := f.machine("white", white, 8080, nil)
	f.machine("green", green, 8080, nil)
	e := f.machine("front", front, 8080, nil)
	url := "http://" + front + ":15001/"
	both := func(what string) {
		t.Helper()
		eventually(t, what, func() bool {
			got := share(t, 20, url, "color.local")
			return got["white"] > 0 && got["green"] > 0 && got["white"]+got["green"] == 20
		})
	}
	both("without validation both are reached")
	if server.stat("listener.0.0.0.0_15000.ssl.handshake") == 0 {
		t.Error("no handshake is counted")
	}
	names := `,"subjectAlternativeNames":{"match":{"exact":["white.local","green.local"]}}`
	trust := func(ca, names, more string) string {
		return `{"validation":{"trust":{"file":{"certificateChain":"` + dir + "/" + ca + `.pem"}}` + names + `}` + more + `}`
	}
	f.updateNode("front", client(trust("ca1", names, "")))
	eventually(t, "with the first authority the second node fails", func() bool {
		got := share(t, 20, url, "color.local")
		return got["white"] > 0 && got["503"] > 0 && got["green"] == 0
	})
	if e.stat("cluster.cds_egress_tls_green_http_8080.ssl.fail_verify_error") == 0 {
		t.Error("no failed verification is counted")
	}
	one.bundle("both", two)
	f.updateNode("front", client(trust("both", names, "")))
	both("with both authorities both are reached")
	f.updateNode("front", client(trust("both", `,"subjectAlternativeNames":{"match":{"exact":["another.local"]}}`, "")))
	eventually(t, "another name is refused", func() bool { return share(t, 10, url, "color.local")["503"] == 10 })
	if e.stat("cluster.cds_egress_tls_white_http_8080.ssl.fail_verify_san") == 0 {
		t.Error("no name that fails is counted")
	}
	// The server asks for a certificate.
	f.updateNode("front", client(trust("both", names, "")))
	both("the names are right again")
	f.updateNode("white", listen(white, "http", 8080, strict("white", `,"validation":{"trust":{"file":{"certificateChain":"`+dir+`/ca1.pem"}},"subjectAlternativeNames":{"match":{"exact":["front.local"]}}}`)))
	eventually(t, "without a certificate the client is refused", func() bool {
		got := share(t, 20, url, "color.local")
		return got["white"] == 0 && got["503"] > 0
	})
	eventually(t, "a client without a certificate is counted", func() bool { return server.stat("listener.0.0.0.0_15000.ssl.fail_verify_no_cert") > 0 })
	f.updateNode("front", client(trust("both", names, `,"certificate":`+file("front"))))
	both("with a certificate the client is let in")
}

// TestWalkIssued: certificates of AWS Certificate Manager are issued by the
// installation's own authority, to whoever may have them.
func TestWalkIssued(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "acm", 26)
	front, color := f.address(), f.address()
	certificate := "arn:aws:acm:" + region + ":" + account + ":certificate/12345678-1234-1234-1234-123456789012"
	authority := "arn:aws:acm-pca:" + region + ":" + account + ":certificate-authority/12345678-1234-1234-1234-123456789012"
	f.node("color", listen(color, "http", 8080, `,"tls":{"mode":"STRICT","certificate":{"acm":{"certificateArn":"`+certificate+`"}}}`))
	f.service("color.local", "", "color")
	// client is the node that calls, and trusts the authority for names; for the name of
	// the service discovery without any.
	client := func(names string) string {
		return listen(front, "http", 8080, "", backends("color.local"),
			`"backendDefaults":{"clientPolicy":{"tls":{"validation":{"trust":{"acm":{"certificateAuthorityArns":["`+authority+`"]}}`+names+`}}}}`)
	}
	f.node("front", client(""))
	app := f.address()
	serveHTTP(t, app+":8080", "color", nil)
	server := f.connect("virtualNode", "color", color, app, `{"Effect":"Allow","Action":"acm:ExportCertificate","Resource":"`+certificate+`"}`)
	e := f.connect("virtualNode", "front", front, f.address(), `{"Effect":"Allow","Action":"acm-pca:GetCertificateAuthorityCertificate","Resource":"`+authority+`"}`)
	url := "http://" + front + ":15001/"
	reaches(t, 200, "color", url, "color.local")
	if server.stat("listener.0.0.0.0_15000.ssl.handshake") == 0 {
		t.Error("no handshake is counted")
	}
	// It is issued for the node's name, by the authority of the account's meshes.
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(f.latchwork("ca", "--mesh")))
	if c, err := tls.Dial("tcp", color+":8080", &tls.Config{RootCAs: roots, ServerName: color}); err != nil {
		t.Errorf("the certificate of the node: %v", err)
	} else {
		c.Close()
	}
	// The client refuses it for another name.
	f.updateNode("front", client(`,"subjectAlternativeNames":{"match":{"exact":["another.local"]}}`))
	reaches(t, 503, "", url, "color.local")
	eventually(t, "a name that fails is counted", func() bool { return e.stat("cluster.cds_egress_acm_color_http_8080.ssl.fail_verify_san") > 0 })
	f.updateNode("front", client(""))
	reaches(t, 200, "color", url, "color.local")
	// The permission to read the endpoint is not one to have its certificate, nor to
	// know the authority.
	for who, e := range map[string]*envoy{"color": server, "front": e} {
		mark := e.mark()
		f.aws(f.admin, "iam", "put-role-policy", "--role-name", "acm-"+who, "--policy-name", "envoy", "--policy-document",
			`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"appmesh:StreamAggregatedResources","Resource":"*"}]}`)
		denial := "acm:ExportCertificate for " + certificate
		if who == "front" {
			denial = "acm-pca:GetCertificateAuthorityCertificate for " + authority
		}
		e.saysAfter(mark, "closed: 7, Unauthorized to perform "+denial+".")
	}
}
