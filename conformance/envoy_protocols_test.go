//go:build conformance

package conformance

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

// TestWalkGRPC is howto-grpc: routes by method, retries by gRPC's own codes.
func TestWalkGRPC(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "grpc", 27)
	front, color, app := f.address(), f.address(), f.address()
	var calls, failing atomic.Int64
	server := grpc.NewServer(grpc.UnknownServiceHandler(func(_ any, s grpc.ServerStream) error {
		method, _ := grpc.MethodFromServerStream(s)
		calls.Add(1)
		var in emptypb.Empty
		if err := s.RecvMsg(&in); err != nil {
			return err
		}
		if method == "/color.ColorService/GetColor" && failing.Add(-1) >= 0 {
			return status.Error(codes.Internal, "flaky")
		}
		return s.SendMsg(&in)
	}))
	l, err := net.Listen("tcp", app+":8080")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(server.Stop)
	f.node("color", listen(color, "grpc", 8080, ""))
	f.router("color", "grpc", 8080)
	route := func(match, more string) string {
		return `{"grpcRoute":{"match":{` + match + `},"action":{"weightedTargets":[{"virtualNode":"color","weight":1}]}` + more + `}}`
	}
	f.route("color", "all", route(`"serviceName":"color.ColorService","methodName":"GetColor"`, ""))
	f.service("color.local", "color", "")
	f.node("front", listen(front, "http", 8080, "", backends("color.local")))
	f.unsigned("virtualNode", "front")
	f.connect("virtualNode", "color", color, app)
	e := f.connect("virtualNode", "front", front, f.address())
	c, err := grpc.NewClient(front+":15001", grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithAuthority("color.local"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	invoke := func(method string) error {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		return c.Invoke(ctx, "/color.ColorService/"+method, &emptypb.Empty{}, &emptypb.Empty{})
	}
	eventually(t, "GetColor is answered", func() bool { return invoke("GetColor") == nil })
	if err := invoke("SetColor"); status.Code(err) != codes.Unimplemented {
		t.Errorf("a method without a route: %v", err)
	}
	f.updateRoute("color", "all", route(`"serviceName":"color.ColorService"`, ""))
	eventually(t, "SetColor is answered", func() bool { return invoke("SetColor") == nil })
	failing.Store(1)
	if err := invoke("GetColor"); status.Code(err) != codes.Internal {
		t.Errorf("a failure without a policy for it: %v", err)
	}
	f.updateRoute("color", "all", route(`"serviceName":"color.ColorService"`, `,"retryPolicy":{"maxRetries":3,"perRetryTimeout":{"unit":"s","value":2},"grpcRetryEvents":["internal"]}`))
	retries := "cluster.cds_egress_grpc_color_grpc_8080.upstream_rq_retry_success"
	eventually(t, "a retry succeeds", func() bool {
		failing.Store(1)
		return invoke("GetColor") == nil && e.stat(retries) > 0
	})
}

// TestWalkLimits is howto-circuit-breakers and howto-outlier-detection: a virtual node
// limits its own way in, and its callers throw out what fails.
func TestWalkLimits(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "limits", 28)
	front, color := f.address(), f.address()
	var mu sync.Mutex
	release := make(chan struct{})
	var bad atomic.Bool
	f.node("color", listen(color, "http", 8080, `,"connectionPool":{"http":{"maxConnections":1,"maxPendingRequests":1}}`))
	server := f.machine("color", color, 8080, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("wait") != "" {
			mu.Lock()
			c := release
			mu.Unlock()
			select {
			case <-c:
			case <-r.Context().Done():
			}
		}
		if bad.Load() {
			w.WriteHeader(500)
		}
		fmt.Fprint(w, "color")
	})
	f.service("color.local", "", "color")
	f.node("front", listen(front, "http", 8080, "", backends("color.local")))
	f.unsigned("virtualNode", "front")
	e := f.machine("front", front, 8080, nil)
	url := "http://" + front + ":15001/"
	reaches(t, 200, "color", url, "color.local")
	var wg sync.WaitGroup
	var overflowed atomic.Int64
	for range 6 {
		wg.Go(func() {
			if status, _ := call(t, url, "color.local", "wait", "yes"); status == 503 {
				overflowed.Add(1)
			}
		})
	}
	eventually(t, "the node's own limit is reached", func() bool {
		return server.stat("cluster.cds_ingress_limits_color_http_8080.circuit_breakers.default.rq_pending_open") == 1 && overflowed.Load() > 0
	})
	if n := e.stat("cluster.cds_egress_limits_color_http_8080.circuit_breakers.default.rq_pending_open"); n != 0 {
		t.Error("the caller's side has a limit too")
	}
	close(release)
	wg.Wait()

	f.updateNode("color", listen(color, "http", 8080, `,"outlierDetection":{"maxServerErrors":3,"interval":{"unit":"ms","value":200},"baseEjectionDuration":{"unit":"s","value":30},"maxEjectionPercent":100}`))
	bad.Store(true)
	eventually(t, "what fails is thrown out", func() bool {
		share(t, 5, url, "color.local")
		return e.stat("cluster.cds_egress_limits_color_http_8080.outlier_detection.ejections_active") == 1
	})
}

// TestWalkTCP: a virtual service of TCP, and a gateway of HTTP/2.
func TestWalkTCP(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "tcp", 29)
	front, store, app := f.address(), f.address(), f.address()
	l, err := net.Listen("tcp", app+":6379")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			fmt.Fprint(c, "+PONG")
			c.Close()
		}
	}()
	f.node("store", listen(store, "tcp", 6379, ""))
	f.router("store", "tcp", 6379)
	f.route("store", "all", `{"tcpRoute":{"action":{"weightedTargets":[{"virtualNode":"store","weight":1}]}}}`)
	f.service("store.local", "store", "")
	f.node("front", listen(front, "http", 8080, "", backends("store.local")))
	f.unsigned("virtualNode", "front")
	server := f.connect("virtualNode", "store", store, app)
	f.connect("virtualNode", "front", front, f.address())
	var got string
	eventually(t, "the store answers through two Envoys", func() bool {
		c, err := net.DialTimeout("tcp", front+":6379", time.Second)
		if err != nil {
			return false
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(5 * time.Second))
		b := make([]byte, 5)
		n, _ := c.Read(b)
		got = string(b[:n])
		return got == "+PONG"
	})
	if server.stat("cluster.cds_ingress_tcp_store_tcp_6379.upstream_cx_total") == 0 {
		t.Error("the connection did not pass the store's Envoy")
	}
}

// TestWalkCloudMap: virtual nodes whose instances are registered, with attributes that
// tell versions apart.
func TestWalkCloudMap(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "cloudmap", 30)
	front := f.address()
	discovery := func(args ...string) map[string]any {
		t.Helper()
		return f.aws(f.admin, append([]string{"servicediscovery"}, args...)...)
	}
	discovery("create-http-namespace", "--name", "apps.local")
	namespace := discovery("list-namespaces")["Namespaces"].([]any)[0].(map[string]any)["Id"].(string)
	service := discovery("create-service", "--name", "color", "--namespace-id", namespace)["Service"].(map[string]any)["Id"].(string)
	register := func(id, address, version string) {
		t.Helper()
		discovery("register-instance", "--service-id", service, "--instance-id", id, "--attributes", "AWS_INSTANCE_IPV4="+address+",AWS_INSTANCE_PORT=8080,version="+version)
	}
	f.router("color", "http", 8080)
	var targets string
	for _, version := range []string{"blue", "green"} {
		f.node(version, `{"listeners":[{"portMapping":{"port":8080,"protocol":"http"}}],"serviceDiscovery":{"awsCloudMap":{"namespaceName":"apps.local","serviceName":"color","attributes":[{"key":"version","value":"`+version+`"}]}}}`)
		targets += `,{"virtualNode":"` + version + `","weight":1}`
	}
	f.route("color", "all", `{"httpRoute":{"match":{"prefix":"/"},"action":{"weightedTargets":[`+targets[1:]+`]}}}`)
	f.service("color.apps.local", "color", "")
	f.node("front", listen(front, "http", 8080, "", backends("color.apps.local")))
	f.unsigned("virtualNode", "front")
	blue, green, second := f.address(), f.address(), f.address()
	for _, m := range []struct{ address, name string }{{blue, "blue"}, {green, "green"}, {second, "second"}} {
		serveHTTP(t, m.address+":8080", m.name, nil)
	}
	f.connect("virtualNode", "front", front, f.address())
	url := "http://" + front + ":15001/"
	answered := func(what string, names ...string) {
		t.Helper()
		eventually(t, what, func() bool {
			got := share(t, 30, url, "color.apps.local")
			for _, name := range names {
				if got[name] == 0 {
					return false
				}
			}
			return len(got) == len(names)
		})
	}
	answered("nothing is registered", "503")
	register("i-1", blue, "blue")
	register("i-2", green, "green")
	answered("each version has its instance", "blue", "green")
	register("i-3", second, "green")
	answered("a second instance is found", "blue", "green", "second")
	discovery("deregister-instance", "--service-id", service, "--instance-id", "i-2")
	answered("an instance that is deregistered is left", "blue", "second")
}

// TestWalkHTTP2 is howto-http2: virtual nodes of HTTP/2 share by weights, their health
// is asked for in their own protocol, and what fails is tried again elsewhere.
func TestWalkHTTP2(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "http2", 36)
	front := f.address()
	var failing atomic.Bool
	var targets string
	for _, name := range []string{"red", "blue", "green"} {
		address := f.address()
		f.node(name, listen(address, "http2", 8080, `,"healthCheck":{"protocol":"http2","path":"/ping","healthyThreshold":2,"unhealthyThreshold":2,"timeoutMillis":2000,"intervalMillis":5000}`))
		f.machine(name, address, 8080, func(w http.ResponseWriter, r *http.Request) {
			if name == "red" && r.URL.Path != "/ping" && failing.Load() {
				w.WriteHeader(500)
			}
			fmt.Fprint(w, name, r.ProtoMajor)
		})
		targets += `,{"virtualNode":"` + name + `","weight":1}`
	}
	route := func(more string) string {
		return `{"http2Route":{"match":{"prefix":"/"},"action":{"weightedTargets":[` + targets[1:] + `]}` + more + `}}`
	}
	f.router("color", "http2", 8080)
	f.route("color", "all", route(""))
	f.service("color.local", "color", "")
	f.node("front", listen(front, "http", 8080, "", backends("color.local")))
	f.unsigned("virtualNode", "front")
	e := f.machine("front", front, 8080, nil)
	url := "http://" + front + ":15001/"
	reaches(t, 200, "", url, "color.local")
	got := share(t, 90, url, "color.local")
	for _, name := range []string{"red", "blue", "green"} {
		if got[name+"2"] < 12 {
			t.Errorf("a third each is %v", got)
		}
		if e.stat("cluster.cds_egress_http2_"+name+"_http2_8080.health_check.success") == 0 {
			t.Errorf("the health of %s is not asked for", name)
		}
	}
	failing.Store(true)
	if got := share(t, 40, url, "color.local"); got["500"] == 0 {
		t.Errorf("a failing node without a policy: %v", got)
	}
	// A cluster once picked is kept: another try is for the same virtual node.
	f.updateRoute("color", "all", route(`,"retryPolicy":{"maxRetries":3,"perRetryTimeout":{"unit":"s","value":2},"httpRetryEvents":["server-error"]}`))
	eventually(t, "what fails is tried again", func() bool {
		share(t, 10, url, "color.local")
		return e.stat("cluster.cds_egress_http2_red_http2_8080.upstream_rq_retry") >= 3
	})
}

// TestWalkOutliers is howto-outlier-detection with four endpoints of one virtual node:
// one that fails is left alone, and when most have failed all are used again.
func TestWalkOutliers(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "outliers", 37)
	front := f.address()
	discovery := func(args ...string) map[string]any {
		t.Helper()
		return f.aws(f.admin, append([]string{"servicediscovery"}, args...)...)
	}
	discovery("create-http-namespace", "--name", "apps.local")
	namespace := discovery("list-namespaces")["Namespaces"].([]any)[0].(map[string]any)["Id"].(string)
	service := discovery("create-service", "--name", "color", "--namespace-id", namespace)["Service"].(map[string]any)["Id"].(string)
	var bad atomic.Int64 // so many of the endpoints fail
	for i := range 4 {
		address := f.address()
		serveHTTP(t, address+":8080", "color", func(w http.ResponseWriter, _ *http.Request) {
			if int64(i) < bad.Load() {
				w.WriteHeader(500)
			}
			fmt.Fprint(w, "color")
		})
		discovery("register-instance", "--service-id", service, "--instance-id", fmt.Sprint("i-", i), "--attributes", "AWS_INSTANCE_IPV4="+address)
	}
	node := func(more string) string {
		return `{"listeners":[{"portMapping":{"port":8080,"protocol":"http"}` + more + `}],"serviceDiscovery":{"awsCloudMap":{"namespaceName":"apps.local","serviceName":"color"}}}`
	}
	f.node("color", node(""))
	f.service("color.apps.local", "", "color")
	f.node("front", listen(front, "http", 8080, "", backends("color.apps.local")))
	f.unsigned("virtualNode", "front")
	e := f.machine("front", front, 8080, nil)
	url := "http://" + front + ":15001/"
	cluster := "cluster.cds_egress_outliers_color_http_8080."
	eventually(t, "all four endpoints are there", func() bool { return e.stat(cluster+"membership_healthy") == 4 })
	bad.Store(1)
	if got := share(t, 80, url, "color.apps.local"); got["500"] != 20 || got["color"] != 60 {
		t.Errorf("one of four endpoints fails: %v", got)
	}
	f.updateNode("color", node(`,"outlierDetection":{"maxServerErrors":5,"interval":{"unit":"ms","value":200},"baseEjectionDuration":{"unit":"s","value":60},"maxEjectionPercent":100}`))
	ejected := func(n int) {
		t.Helper()
		eventually(t, fmt.Sprint(n, " endpoints are thrown out"), func() bool {
			share(t, 8, url, "color.apps.local")
			return e.stat(cluster+"outlier_detection.ejections_active") == n
		})
	}
	ejected(1)
	if got := share(t, 40, url, "color.apps.local"); got["color"] != 40 {
		t.Errorf("the endpoint that fails is left alone: %v", got)
	}
	bad.Store(3)
	ejected(3)
	eventually(t, "with one of four left all are used", func() bool {
		got := share(t, 20, url, "color.apps.local")
		return got["500"] > 0 && got["color"] > 0 && e.stat(cluster+"lb_healthy_panic") > 0
	})
}
