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
