package gateway

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/sigv4"
	"github.com/latchwork/latchwork/internal/snapshot"
	"github.com/latchwork/latchwork/internal/store"
	wire "github.com/latchwork/latchwork/internal/wire/vpclattice"
)

// TestSameBytes: a target receives the path that was decided on, byte by byte, also
// where net/url would write it in another way.
func TestSameBytes(t *testing.T) {
	w := newWorld(t, `{"Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"},{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*/admin/*"}]}`, echo)
	for _, target := range []string{
		"/", "/x?", "/x?a=b%20c", "/admin%2Fx", "/admin%2Fx|", "/public%2F..%2Fadmin%2Fx|", `/a"b%41`, "/\xc3\xa9%2F%41", "/a:b@c", "/a;b?x?y",
	} {
		answer, body := w.send(t, "GET "+target+" HTTP/1.1\r\nHost: svc.test\r\n\r\n")
		if got, _, _ := strings.Cut(body, "\n"); answer.StatusCode != 200 || got != target {
			t.Errorf("%q: %s, the target received %q", target, answer.Status, got)
		}
	}
	if answer, _ := w.send(t, "GET /admin/x HTTP/1.1\r\nHost: svc.test\r\n\r\n"); answer.StatusCode != 403 {
		t.Errorf("a path that is denied: %s", answer.Status)
	}
}

// TestSameHeaders: a condition sees no header that the target does not get, and the
// target none that only the gateway may set.
func TestSameHeaders(t *testing.T) {
	w := newWorld(t, `{"Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{"StringEquals":{"vpc-lattice-svcs:RequestHeader/x-dry-run":"true"}}}]}`, echo)
	const dry = "X-Dry-Run: true\r\n"
	for _, test := range []struct {
		headers string
		want    int
		absent  string // from what the target gets
	}{
		{"", 403, ""},
		{dry, 200, ""},
		{dry + "Connection: x-dry-run\r\n", 403, ""},
		{dry + "Connection: close, X-Dry-Run\r\n", 403, ""},
		{dry + "Connection: x-other\r\nX-Other: 1\r\n", 200, "X-Other"},
		{dry + "X_Amzn_Lattice_Identity: Principal=arn:aws:iam::1:root\r\n", 200, "Lattice_Identity"},
		{dry + "X-Amzn_Lattice-Identity: Principal=arn:aws:iam::1:root\r\n", 200, "_Lattice"},
		{dry + "X_Forwarded_For: 8.8.8.8\r\n", 200, "8.8.8.8"},
	} {
		answer, body := w.send(t, "GET / HTTP/1.1\r\nHost: svc.test\r\n"+test.headers+"\r\n")
		if answer.StatusCode != test.want {
			t.Errorf("%q: %s, want %d", test.headers, answer.Status, test.want)
		}
		if test.absent != "" && strings.Contains(body, test.absent) {
			t.Errorf("%q: the target received\n%s", test.headers, body)
		}
		if test.want == 200 && !strings.Contains(body, dry) {
			t.Errorf("%q: the header is gone:\n%s", test.headers, body)
		}
	}
}

// TestIDs: the ids of an answer are the gateway's, also after an interim answer and
// whatever the target sends.
func TestIDs(t *testing.T) {
	w := newWorld(t, "", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</x>")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Set(headerRequestID, "target")
		w.Header().Set(headerDecisionID, "target")
		w.WriteHeader(http.StatusOK)
	})
	answer, _ := w.send(t, "GET / HTTP/1.1\r\nHost: svc.test\r\nX-Amzn-Requestid: mine\r\n\r\n")
	if got := answer.Header[headerRequestID]; len(got) != 1 || got[0] != "mine" {
		t.Errorf("%s is %q", headerRequestID, got)
	}
	got := answer.Header[headerDecisionID]
	if len(got) != 1 {
		t.Fatalf("%s is %q", headerDecisionID, got)
	}
	if x, ok := w.gateway.cfg.Recorder.Explain(got[0], scope.Account, nil); !ok || x.RequestID != got[0] {
		t.Errorf("%s %s is not the gateway's", headerDecisionID, got[0])
	}
}

// TestEndOfStream: an answer without a body ends with its headers, also over HTTP/2.
// gRPC takes a status in headers that do not end the stream for none.
func TestEndOfStream(t *testing.T) {
	w := newWorld(t, "", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	client := &http.Client{Transport: &http.Transport{Protocols: protocols}}
	t.Cleanup(client.CloseIdleConnections)
	for range 300 {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+w.addr+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = "svc.test"
		answer, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != http.StatusNoContent || answer.ContentLength != 0 {
			t.Fatalf("%s; the headers do not end the stream", answer.Status)
		}
	}
}

// TestEarlyAnswer: a target may answer before it has read the request; then the
// transport goes on with the request after the exchange. For the race detector.
func TestEarlyAnswer(t *testing.T) {
	w := newWorld(t, "", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusRequestEntityTooLarge)
	})
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for range 50 {
		body, upload := io.Pipe()
		var uploading sync.WaitGroup
		uploading.Go(func() {
			for err := error(nil); err == nil; {
				_, err = upload.Write(make([]byte, 64<<10))
			}
		})
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+w.addr+"/", body)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = "svc.test"
		// Whether the answer is read before the connection breaks is up to chance.
		if answer, err := client.Do(r); err == nil {
			if answer.StatusCode != http.StatusRequestEntityTooLarge && answer.StatusCode != http.StatusBadGateway {
				t.Errorf("%s", answer.Status)
			}
			answer.Body.Close()
		}
		body.Close()
		uploading.Wait()
	}
}

// TestLateCheck: a check that is under way when its group changes counts by the
// configuration that it began with. For the race detector.
func TestLateCheck(t *testing.T) {
	now := time.Unix(1, 0)
	group := func(threshold int64) *snapshot.TargetGroup {
		return &snapshot.TargetGroup{
			InUse:       true,
			TargetGroup: &model.TargetGroup{Config: &wire.TargetGroupConfig{HealthCheck: &wire.HealthCheckConfig{Enabled: new(true), HealthyThresholdCount: &threshold}}},
			Targets:     []*model.Target{{ID: "a", Port: 80, Created: now}},
		}
	}
	p := &pool{targets: map[string]*target{}}
	p.update(group(5))
	a, began := p.targets["a:80"], p.checks
	var checking sync.WaitGroup
	checking.Go(func() {
		for i := range 500 {
			p.record(a, began, i%5 != 0, failed)
		}
	})
	for i := range 500 {
		p.update(group(int64(i%5 + 2)))
	}
	checking.Wait()
	p.update(group(2))
	p.record(a, began, false, failed)
	p.record(a, began, false, failed)
	for range 4 {
		p.record(a, began, true, "")
	}
	if h, _ := a.state(); h != Unhealthy {
		t.Errorf("after four passes of checks that need five: %s", h)
	}
}

// TestInForce: when a write has been answered, requests are served by it: its ports
// are open and its targets known.
func TestInForce(t *testing.T) {
	w := newWorld(t, "", echo)
	second := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("second")) }))
	t.Cleanup(second.Close)
	target := second.Listener.Addr().(*net.TCPAddr)
	for n, port := range freePorts(t, 30) {
		group := fmt.Sprintf("tg-next%d", n)
		revision := w.update(t, func(tx *store.Tx) []error {
			return []error{
				model.TargetGroups.Put(tx, scope.Key(group), &model.TargetGroup{Meta: meta("targetgroup", group), Config: &wire.TargetGroupConfig{Protocol: new("HTTP")}}),
				model.Targets.Put(tx, scope.Key(group, model.TargetKey("127.0.0.1", int64(target.Port))), &model.Target{ID: "127.0.0.1", Port: int64(target.Port)}),
				model.Listeners.Put(tx, scope.Key("svc-1", "listener-1"), &model.Listener{
					Meta: meta("listener", "listener-1"), Service: "svc-1", Port: 80, Protocol: "HTTP", DefaultAction: forwardTo(group),
				}),
				model.Listeners.Put(tx, scope.Key("svc-1", "listener-"+group), &model.Listener{
					Meta: meta("listener", "listener-"+group), Service: "svc-1", Port: port, Protocol: "HTTP", DefaultAction: forwardTo(group),
				}),
			}
		})
		if err := w.publisher.WaitFor(t.Context(), revision); err != nil {
			t.Fatal(err)
		}
		if answer, body := w.send(t, "GET / HTTP/1.1\r\nHost: svc.test\r\n\r\n"); body != "second" {
			t.Fatalf("a target group that was just made: %s %s", answer.Status, body)
		}
		if len(w.gateway.Addresses()[port]) == 0 {
			t.Fatalf("port %d is not open", port)
		}
	}
}

// freePorts finds ports that nobody listens on.
func freePorts(t *testing.T, n int) []int64 {
	t.Helper()
	var ports []int64
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close() // only at the end: each is another one
		ports = append(ports, int64(l.Addr().(*net.TCPAddr).Port))
	}
	return ports
}

// TestLeavingGroup: a group that is gone still serves the requests that hold the
// snapshot before, and nothing happens after the end.
func TestLeavingGroup(t *testing.T) {
	w := newWorld(t, "", echo)
	arn := meta("targetgroup", "tg-1").ARN
	change := func(f func(tx *store.Tx) error) {
		revision := w.update(t, func(tx *store.Tx) []error { return []error{f(tx)} })
		if err := w.publisher.WaitFor(t.Context(), revision); err != nil {
			t.Fatal(err)
		}
	}
	change(func(tx *store.Tx) error { return model.TargetGroups.Delete(tx, scope.Key("tg-1")) })
	if w.gateway.pools.get(arn) == nil {
		t.Error("the pool is gone with the first snapshot without its group")
	}
	change(func(tx *store.Tx) error {
		return model.TargetGroups.Put(tx, scope.Key("tg-2"), &model.TargetGroup{Meta: meta("targetgroup", "tg-2"), Config: &wire.TargetGroupConfig{}})
	})
	if w.gateway.pools.get(arn) != nil {
		t.Error("the pool outlives its group")
	}
	shutdown, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	w.gateway.sockets.shutdown(shutdown)
	w.gateway.sockets.ensure([]int64{80})
	if got := w.gateway.Addresses(); len(got) != 0 {
		t.Errorf("sockets after the shutdown: %v", got)
	}
}

// TestUnreadableRule: nobody knows what a rule says that cannot be read, so its
// listener forwards nothing.
func TestUnreadableRule(t *testing.T) {
	w := newWorld(t, "", echo)
	raw := store.NewCollection[string](strings.TrimSuffix(model.Rules.Prefix, "/"))
	revision := w.update(t, func(tx *store.Tx) []error {
		return []error{raw.Put(tx, scope.Key("svc-1", "listener-1", "rule-1"), new("not a record"))}
	})
	if err := w.publisher.WaitFor(t.Context(), revision); err != nil {
		t.Fatal(err)
	}
	if answer, body := w.send(t, "GET / HTTP/1.1\r\nHost: svc.test\r\n\r\n"); answer.StatusCode != 503 {
		t.Errorf("%s %s", answer.Status, body)
	}
}

// TestRefusedSignature: a signature that is refused is diagnosed, and one that is not
// there is not.
func TestRefusedSignature(t *testing.T) {
	w := newWorld(t, `{"Statement":[{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*"}]}`, echo)
	for _, test := range []struct{ headers, state, part, client string }{
		{"", "none", "", ""},
		{
			"X-Amz-Date: 20261125T120000Z\r\nAuthorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261125/us-west-2/vpc-lattice-svcs/aws4_request, SignedHeaders=x-amz-date;host, Signature=" + strings.Repeat("0", 64) + "\r\n",
			"refused", sigv4.PartHeader, "x-amz-date;host",
		},
		{
			"X-Amz-Date: 20261125T120000Z\r\nAuthorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261125/us-east-1/vpc-lattice-svcs/aws4_request, SignedHeaders=host;x-amz-date, Signature=" + strings.Repeat("0", 64) + "\r\n",
			"refused", sigv4.PartScope, "20261125/us-east-1/vpc-lattice-svcs/aws4_request",
		},
	} {
		answer, _ := w.send(t, "GET /rates HTTP/1.1\r\nHost: svc.test\r\n"+test.headers+"\r\n")
		x, ok := w.gateway.cfg.Recorder.Explain(answer.Header.Get(headerDecisionID), scope.Account, w.gateway.cfg.Authenticator)
		if !ok || answer.StatusCode != 403 || x.Signature.State != test.state || (x.Signature.Diagnosis == nil) != (test.part == "") {
			t.Fatalf("%s: explained as %+v", test.headers, x)
		}
		if test.part == "" {
			continue
		}
		if d := x.Signature.Diagnosis.Differences[0]; d.Part != test.part || d.Client != test.client {
			t.Errorf("%s: diagnosed as %+v", test.headers, d)
		}
	}
}

// TestStrays: of a request that reaches no service little is kept, and such requests
// do not push others out.
func TestStrays(t *testing.T) {
	w := newWorld(t, `{"Statement":[{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*"}]}`, echo)
	denied, _ := w.send(t, "GET /denied HTTP/1.1\r\nHost: svc.test\r\n\r\n")
	large := strings.Repeat("x", 50<<10)
	for range 100 {
		if answer, _ := w.send(t, "GET /"+large+" HTTP/1.1\r\nHost: svc.test\r\nX-A: "+large+"\r\nX-B: "+large+"\r\n\r\n"); answer.StatusCode != 400 {
			t.Fatal(answer.Status)
		}
	}
	answer, _ := w.send(t, "GET /"+large+" HTTP/1.1\r\nHost: nobody\r\nX-A: "+large+"\r\n\r\n")
	if answer.StatusCode != 404 {
		t.Fatal(answer.Status)
	}
	recorder := w.gateway.cfg.Recorder
	if last, ok := recorder.Explain(Last, scope.Account, nil); !ok || last.RequestID != denied.Header.Get(headerDecisionID) {
		t.Errorf("the last denial is %+v", last)
	}
	if e, ok := recorder.Explain(answer.Header.Get(headerDecisionID), scope.Account, nil); !ok || e.Status != 404 || e.Host != "nobody" || !strings.HasPrefix(e.Path, "/xxx") || e.Note == "" {
		t.Errorf("a host that nobody has: %+v", e)
	}
	kept := 0
	for _, x := range recorder.byID {
		kept += len(x.In.Method) + len(x.In.Target) + len(x.In.Authority) + int(requestSize(x.In))
	}
	if kept > 100<<10 {
		t.Errorf("%d bytes are kept", kept)
	}
}

// TestCheckVersion: a check speaks the version of HTTP that it is configured with.
func TestCheckVersion(t *testing.T) {
	for _, test := range []struct {
		protocol, version string
	}{{"HTTP", "HTTP1"}, {"HTTP", "HTTP2"}, {"HTTPS", "HTTP1"}, {"HTTPS", "HTTP2"}} {
		want := map[string]string{"HTTP1": "HTTP/1.1", "HTTP2": "HTTP/2.0"}[test.version]
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Proto != want {
				w.WriteHeader(http.StatusUpgradeRequired)
				return
			}
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		}))
		server.Config.Protocols = new(http.Protocols)
		server.Config.Protocols.SetHTTP1(true)
		server.Config.Protocols.SetHTTP2(true)
		server.Config.Protocols.SetUnencryptedHTTP2(true)
		server.EnableHTTP2 = true
		if test.protocol == "HTTPS" {
			server.StartTLS()
		} else {
			server.Start()
		}
		t.Cleanup(server.Close)
		at := server.Listener.Addr().(*net.TCPAddr)
		ps := newPools(t.Context(), &tls.Config{InsecureSkipVerify: true})
		c := checkConfig{protocol: test.protocol, version: test.version, path: "/", matcher: "302", timeout: 5 * time.Second}
		if reason := ps.probe(t.Context(), c, &target{record: &model.Target{ID: at.IP.String(), Port: int64(at.Port)}}); reason != "" {
			t.Errorf("%s %s: %s", test.protocol, test.version, reason)
		}
	}
}

// TestPanicIsLogged: a panic is told as a fault, what clients do wrong is not.
func TestPanicIsLogged(t *testing.T) {
	lines := make(chan string, 10)
	w := newWorld(t, "", echo, func(g *Gateway) {
		g.sockets.log = serverLog(slog.New(slog.NewTextHandler(channelWriter(lines), nil)))
		g.sockets.serve = func(int64) http.Handler {
			return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { panic("at " + r.URL.Path) })
		}
	})
	conn := w.dial(t, "GET /x HTTP/1.1\r\nHost: svc.test\r\n\r\n")
	if _, err := io.ReadAll(conn); err != nil {
		t.Error(err)
	}
	select {
	case line := <-lines:
		if !strings.Contains(line, "level=ERROR") || !strings.Contains(line, "at /x") {
			t.Errorf("logged %s", line)
		}
	default:
		t.Error("nothing is logged")
	}
	serverLog(slog.New(slog.NewTextHandler(channelWriter(lines), nil))).Print("http: TLS handshake error from 127.0.0.1:1: EOF")
	if len(lines) != 0 {
		t.Errorf("logged %s", <-lines)
	}
}

// channelWriter sends each line that is written.
type channelWriter chan string

func (c channelWriter) Write(line []byte) (int, error) {
	c <- string(line)
	return len(line), nil
}

// TestMisdirected: a request over TLS is for the name that the client has seen a
// certificate of.
func TestMisdirected(t *testing.T) {
	other := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(other.Close)
	w := newWorld(t, `{"Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}`, echo, func(g *Gateway) {
		g.sockets.tls.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &other.TLS.Certificates[0], nil }
	})
	revision := w.update(t, func(tx *store.Tx) []error {
		return []error{model.Listeners.Put(tx, scope.Key("svc-1", "listener-1"), &model.Listener{
			Meta: meta("listener", "listener-1"), Service: "svc-1", Port: 80, Protocol: "HTTPS", DefaultAction: forwardTo("tg-1"),
		})}
	})
	if err := w.publisher.WaitFor(t.Context(), revision); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		server, host string
		want         int
	}{
		{"svc.test", "svc.test", 200},
		{"svc.test", "SVC.test:443", 200},
		{"svc.generated", "svc.generated", 200},
		{"svc.generated", "svc.test", 421},
		{"other.test", "svc.test", 421},
		{"", "svc.test", 421},
		{"svc.test", "other.test", 404},
	} {
		for _, two := range []bool{false, true} {
			transport := &http.Transport{ForceAttemptHTTP2: two, DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ServerName: test.server}}
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+w.addr+"/", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Host = test.host
			answer, err := transport.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
			if answer.StatusCode != test.want || (answer.ProtoMajor == 2) != two {
				t.Errorf("host %q for server name %q: %s %s, want %d", test.host, test.server, answer.Proto, answer.Status, test.want)
			}
			if test.want != http.StatusMisdirectedRequest {
				continue
			}
			e, ok := w.gateway.cfg.Recorder.Explain(answer.Header.Get(headerDecisionID), scope.Account, nil)
			if !ok || e.Service == "" || e.Status != test.want || e.Decision != nil || e.Signature.State != "not checked" {
				t.Errorf("explained as %+v", e)
			}
		}
	}
}
