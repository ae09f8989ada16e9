//go:build conformance

package conformance

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestWalkGatewayTLS is howto-ingress-gateway with TLS: a gateway ends the TLS of
// callers and speaks TLS of its own to virtual nodes that it checks.
func TestWalkGatewayTLS(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "edgetls", 33)
	dir := t.TempDir()
	ca := newAuthority(t, dir, "ca")
	edge, white, blue := f.address(), f.address(), f.address()
	strict := func(name string) string {
		ca.issue(name, name+".local")
		return fmt.Sprintf(`,"tls":{"mode":"STRICT","certificate":{"file":{"certificateChain":"%[1]s/%[2]s.pem","privateKey":"%[1]s/%[2]s.key"}}}`, dir, name)
	}
	f.node("white", listen(white, "http", 9080, strict("white")))
	f.node("blue", listen(blue, "http", 9080, ""))
	f.router("color", "http", 9080)
	f.route("color", "tell", `{"httpRoute":{"match":{"prefix":"/tell"},"action":{"weightedTargets":[{"virtualNode":"white","weight":1},{"virtualNode":"blue","weight":1}]}}}`)
	f.service("color.local", "color", "")
	f.gateway("edge", `{"listeners":[{"portMapping":{"port":9080,"protocol":"http"}`+strict("edge")+`}],"backendDefaults":{"clientPolicy":{"tls":{"validation":{"trust":{"file":{"certificateChain":"`+dir+`/ca.pem"}},
		"subjectAlternativeNames":{"match":{"exact":["white.local","blue.local"]}}}}}}}`)
	f.gatewayRoute("edge", "color", toService("/color", "color.local"))
	f.unsigned("virtualGateway", "edge")
	f.machine("white", white, 9080, nil)
	f.machine("blue", blue, 9080, nil)
	e := f.connect("virtualGateway", "edge", edge, "")
	pem, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "edge.local"}}}
	tell := func() (got map[string]int) {
		got = map[string]int{}
		for range 20 {
			answer, err := client.Get("https://" + edge + ":9080/color/tell")
			if err != nil {
				got[err.Error()]++
				continue
			}
			body, _ := io.ReadAll(answer.Body)
			answer.Body.Close()
			if answer.StatusCode != 200 {
				body = []byte(strconv.Itoa(answer.StatusCode))
			}
			got[string(body)]++
		}
		return got
	}
	eventually(t, "with TLS on one virtual node the other fails", func() bool {
		got := tell()
		return got["white /tell"] > 0 && got["503"] > 0 && len(got) == 2
	})
	f.updateNode("blue", listen(blue, "http", 9080, strict("blue")))
	eventually(t, "with TLS on both both are reached", func() bool {
		got := tell()
		return got["white /tell"] > 0 && got["blue /tell"] > 0 && len(got) == 2
	})
	if status, _ := call(t, "http://"+edge+":9080/color/tell", "any"); status == 200 {
		t.Error("plain text is let in by a gateway with TLS")
	}
	for _, name := range []string{"listener.0.0.0.0_9080", "cluster.cds_egress_edgetls_white_http_9080", "cluster.cds_egress_edgetls_blue_http_9080"} {
		if e.stat(name+".ssl.handshake") == 0 {
			t.Errorf("%s counts no handshake", name)
		}
	}
}

// waiting is an application that keeps requests with a header for as long.
func waiting(w http.ResponseWriter, r *http.Request) {
	if ms, err := strconv.Atoi(r.Header.Get("latency-ms")); err == nil {
		select {
		case <-time.After(time.Duration(ms) * time.Millisecond):
		case <-r.Context().Done():
		}
	}
	fmt.Fprint(w, "done")
}

// TestWalkGatewayTimeouts is howto-timeout-policy behind a gateway, quicker: the
// gateway has no time of its own and waits as long as the slowest of the routes.
func TestWalkGatewayTimeouts(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "edgetime", 34)
	edge, color := f.address(), f.address()
	f.node("color", listen(color, "http", 8080, ""))
	f.router("color", "http", 8080)
	route := func(prefix string, ms int) string {
		return fmt.Sprintf(`{"httpRoute":{"match":{"prefix":%q},"timeout":{"perRequest":{"unit":"ms","value":%d}},"action":{"weightedTargets":[{"virtualNode":"color","weight":1}]}}}`, prefix, ms)
	}
	f.route("color", "slow", route("/slow", 2500))
	f.route("color", "all", route("/", 300))
	f.service("color.local", "color", "")
	f.gateway("edge", `{"listeners":[{"portMapping":{"port":9080,"protocol":"http"}}]}`)
	f.gatewayRoute("edge", "all", toService("/", "color.local"))
	f.unsigned("virtualGateway", "edge")
	f.machine("color", color, 8080, waiting)
	e := f.connect("virtualGateway", "edge", edge, "")
	url := "http://" + edge + ":9080"
	reaches(t, 200, "done", url+"/", "any")
	for _, c := range []struct {
		path, latency string
		status        int
	}{{"/slow", "900", 200}, {"/quick", "900", 504}, {"/quick", "0", 200}} {
		if status, body := call(t, url+c.path, "any", "latency-ms", c.latency); status != c.status {
			t.Errorf("%s after %s ms: %d %s, want %d", c.path, c.latency, status, body, c.status)
		}
	}
	// Its own limit is the longest, also if that is more than the default.
	f.updateRoute("color", "slow", route("/slow", 20000))
	eventually(t, "the gateway waits as long as the slowest", func() bool {
		return strings.Contains(e.ask("/config_dump?resource=dynamic_route_configs&name_regex=rds_ingress_http_9080"), `"timeout": "20s"`)
	})
}

// TestWalkGatewayLimits is howto-circuit-breakers with a gateway: its connection pool
// limits its way to itself, that of a virtual node of HTTP/2 its requests, and the
// way between them is without limit.
func TestWalkGatewayLimits(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "edgelimits", 35)
	edge, black := f.address(), f.address()
	f.node("black", listen(black, "http2", 8080, `,"connectionPool":{"http2":{"maxRequests":2}}`))
	f.service("black.local", "", "black")
	gateway := func(connections, pending int) string {
		return fmt.Sprintf(`{"listeners":[{"portMapping":{"port":9080,"protocol":"http"},"connectionPool":{"http":{"maxConnections":%d,"maxPendingRequests":%d}}}]}`, connections, pending)
	}
	f.gateway("edge", gateway(100, 1000))
	f.gatewayRoute("edge", "all", toService("/", "black.local"))
	f.unsigned("virtualGateway", "edge")
	server := f.machine("black", black, 8080, waiting)
	e := f.connect("virtualGateway", "edge", edge, "")
	url := "http://" + edge + ":9080/"
	reaches(t, 200, "done", url, "any")
	crowd := func(what string, open func() bool) {
		t.Helper()
		eventually(t, what, func() bool {
			var wg sync.WaitGroup
			var overflowed atomic.Int64
			var opened atomic.Bool
			for range 8 {
				wg.Go(func() {
					if status, _ := call(t, url, "any", "latency-ms", "400"); status == 503 {
						overflowed.Add(1)
						if open() {
							opened.Store(true)
						}
					}
				})
			}
			wg.Wait()
			return opened.Load() && overflowed.Load() > 0
		})
	}
	crowd("the virtual node's limit is reached", func() bool {
		return server.stat("cluster.cds_ingress_edgelimits_black_http2_8080.circuit_breakers.default.rq_open") == 1
	})
	self := "cluster.cds_ingress_edgelimits_edge_self_redirect_http_15001"
	if n := e.stat(self + ".upstream_cx_overflow"); n != 0 {
		t.Errorf("%d overflows of a gateway that is not full", n)
	}
	f.updateGateway("edge", gateway(1, 1))
	crowd("the gateway's limit is reached", func() bool {
		return e.stat(self+".circuit_breakers.default.cx_open") == 1
	})
	if e.stat("cluster.cds_egress_edgelimits_black_http2_8080.upstream_rq_pending_overflow") != 0 {
		t.Error("the way between them has a limit")
	}
}
