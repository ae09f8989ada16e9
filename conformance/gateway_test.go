//go:build conformance

package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// TestHeaders: identity headers are added, spoofed ones never arrive, and no
// condition sees them.
func TestHeaders(t *testing.T) {
	w := build(t, "AWS_IAM", "NONE")
	who := w.role("rates-client", invokeAll)
	w.put(w.network, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"},{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*","Condition":{"Null":{"vpc-lattice-svcs:RequestHeader/x-amzn-lattice-identity":"false"}}}]}`)
	spoofed := [][2]string{
		{"X-Amzn-Lattice-Identity", "Principal=arn:aws:iam::1:root"},
		{"x-amzn-lattice-anything", "x"},
		{"X-Forwarded-For", "8.8.8.8"},
		{"X-Amzn-Source-Vpc", "vpc-evil"},
		{"X_Amzn_Lattice_Identity", "Principal=arn:aws:iam::1:root"},
		{"X-Kept", "yes"},
		{"X-Amzn-Requestid", "mine"},
	}
	for _, test := range []struct {
		name     string
		who      identity
		identity string
	}{
		{"signed", who, "Principal=arn:aws:sts::" + account + ":assumed-role/rates-client/test; SessionName=test; Type=AWS_IAM"},
		{"anonymous", identity{}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := w.send(request{method: "GET", url: site + "/x?y=1", who: test.who, headers: spoofed})
			if a.status != 200 {
				t.Fatalf("%d %s", a.status, a.body)
			}
			e := a.echo(t)
			for name, want := range map[string]string{
				"X-Amzn-Lattice-Identity": test.identity, "X_amzn_lattice_identity": "", "X-Amzn-Lattice-Anything": "", "X-Forwarded-For": "127.0.0.1",
				"X-Forwarded-Proto": "http", "X-Forwarded-Port": "80", "X-Amzn-Source-Vpc": w.vpc, "X-Kept": "yes", "X-Amzn-Requestid": "mine",
				"X-Amzn-Lattice-Network": "SourceVpcArn=arn:aws:ec2:us-west-2:" + account + ":vpc/" + w.vpc,
			} {
				if got := e.Headers.Get(name); got != want {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
			if e.Host != "rates.example.com" || e.Target != "/x?y=1" {
				t.Errorf("the target received %s %s", e.Host, e.Target)
			}
			mustContain(t, "the target header", e.Headers.Get("X-Amzn-Lattice-Target"), "ServiceArn="+w.arn, "TargetGroupArn=")
			if a.headers.Get("X-Amzn-Requestid") != "mine" || a.headers.Get("X-Latchwork-Request-Id") == "" {
				t.Errorf("response headers %v", a.headers)
			}
		})
	}
}

// TestExplainAndLog: a request can be explained by its id, and is in the log.
func TestExplainAndLog(t *testing.T) {
	w := build(t, "NONE", "AWS_IAM")
	who := w.role("rates-client", invokeAll)
	w.put(w.service, `{"Version":"2012-10-17","Statement":[{"Sid":"ReadOnly","Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{"StringEquals":{"vpc-lattice-svcs:RequestMethod":"GET"}}}]}`)
	a := w.send(request{method: "DELETE", url: site + "/rates", who: who})
	id := a.headers.Get("X-Amzn-Requestid")
	text, errs, code := w.command(w.admin, binary, "explain", "--data-dir", w.dir, id)
	if code != 0 {
		t.Fatalf("explain: exit %d %s", code, errs)
	}
	mustContain(t, "the explanation", text, "assumed-role/rates-client/test", "VALID", "identity   ALLOWS", "network    OFF",
		"service    NO ALLOW", "ReadOnly", "Condition StringEquals vpc-lattice-svcs:RequestMethod: wanted GET, received DELETE", "DENIED", "because no service-based policy")
	out, _, code := w.command(w.admin, binary, "explain", "--data-dir", w.dir, "-o", "json", "--expect", "allow", id[:8])
	if code != 4 {
		t.Errorf("explain --expect allow of a denied request: exit %d, want 4", code)
	}
	var x struct {
		Status   int
		Decision struct {
			Allowed bool
			Stage   string
			Layers  []struct{ Stage, Verdict string }
		}
		Signature struct{ State string }
	}
	if err := json.Unmarshal([]byte(out), &x); err != nil || x.Status != 403 || x.Decision.Allowed || x.Decision.Stage != "service" || x.Signature.State != "valid" || len(x.Decision.Layers) != 3 {
		t.Errorf("explanation %+v, %v", x, err)
	}
	bad := w.send(request{method: "GET", url: site + "/rates", who: identity{who.id, "wrong", who.token}})
	text, _, _ = w.command(w.admin, binary, "explain", "--data-dir", w.dir, bad.headers.Get("X-Amzn-Requestid"))
	mustContain(t, "the explanation of a wrong signature", text, "REFUSED", "another secret", "latchwork doctor sigv4 "+bad.headers.Get("X-Amzn-Requestid"))
	if strings.Contains(text, who.token) {
		t.Error("the explanation holds a session token")
	}
	w.aws(w.admin, "iam", "create-user", "--user-name", "bob")
	key := w.aws(w.admin, "iam", "create-access-key", "--user-name", "bob")["AccessKey"].(map[string]any)
	_, errs, code = w.command(identity{id: key["AccessKeyId"].(string), secret: key["SecretAccessKey"].(string)}, binary, "explain", "--data-dir", w.dir, id)
	if code != 1 || !strings.Contains(errs, "latchwork:ExplainRequest") {
		t.Errorf("explain without permission: exit %d %s", code, errs)
	}
	var entry map[string]any
	eventually(t, "the log entry", func() bool {
		log, err := os.ReadFile(filepath.Join(w.dir, "access.log"))
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range bytes.Split(log, []byte("\n")) {
			var e map[string]any
			if json.Unmarshal(line, &e) == nil && e["requestId"] == id {
				entry = e
			}
		}
		return entry != nil
	})
	for name, want := range map[string]any{
		"serviceArn": w.arn, "authDeniedReason": "Service", "failureReason": "ClientAccessDenied", "responseCode": 403.0,
		"requestMethod": "DELETE", "requestPath": "/rates", "hostHeader": "rates.example.com", "targetIpPort": "-", "protocol": "HTTP/1.1",
		"callerPrincipal": "arn:aws:sts::" + account + ":assumed-role/rates-client/test", "sourceVpcId": w.vpc, "requestToTargetDuration": 0.0,
	} {
		if entry[name] != want {
			t.Errorf("access log: %s is %v, want %v", name, entry[name], want)
		}
	}
}

// TestVPC: which service network a request enters through follows from the
// client's address or the gateway's, and a service that is not in it answers 404.
func TestVPC(t *testing.T) {
	w := build(t, "NONE", "AWS_IAM", "--gateway-addr", "127.0.0.1,127.0.0.9")
	w.put(w.service, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}`)
	_, port, _ := net.SplitHostPort(w.http)
	get := func(from, to string) int {
		client := &http.Client{Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
				return d.DialContext(ctx, network, net.JoinHostPort(to, port))
			},
		}}
		resp, err := client.Get(site + "/")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	if got := get("127.0.0.1", "127.0.0.1"); got != 200 {
		t.Errorf("from the default VPC: %d", got)
	}
	// A longer prefix takes addresses from the default VPC; it is in no network yet.
	vpc := w.aws(w.admin, "ec2", "create-vpc", "--cidr-block", "127.0.0.2/32")["Vpc"].(map[string]any)["VpcId"].(string)
	if got := get("127.0.0.2", "127.0.0.1"); got != 404 {
		t.Errorf("from a VPC without service network: %d, want 404", got)
	}
	network := w.aws(w.admin, "vpc-lattice", "create-service-network", "--name", "second")["id"].(string)
	w.aws(w.admin, "vpc-lattice", "create-service-network-vpc-association", "--service-network-identifier", network, "--vpc-identifier", vpc)
	if got := get("127.0.0.2", "127.0.0.1"); got != 404 {
		t.Errorf("from a service network that the service is not in: %d, want 404", got)
	}
	w.aws(w.admin, "vpc-lattice", "create-service-network-service-association", "--service-network-identifier", network, "--service-identifier", w.service)
	if got := get("127.0.0.2", "127.0.0.1"); got != 200 {
		t.Errorf("after the association: %d, want 200", got)
	}
	w.put(w.service, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{"StringEquals":{"vpc-lattice-svcs:SourceVpc":"`+vpc+`"}}}]}`)
	if one, two := get("127.0.0.1", "127.0.0.1"), get("127.0.0.2", "127.0.0.1"); one != 403 || two != 200 {
		t.Errorf("by SourceVpc: %d and %d, want 403 and 200", one, two)
	}
	// The gateway's address says it too, and wins.
	w.aws(w.admin, "ec2", "create-tags", "--resources", vpc, "--tags", "Key=latchwork:gateway-address,Value=127.0.0.9")
	if got := get("127.0.0.1", "127.0.0.9"); got != 200 {
		t.Errorf("by the gateway's address: %d, want 200", got)
	}
	mustContain(t, "the refusal of a range that is taken", w.awsFails(w.admin, "ec2", "create-vpc", "--cidr-block", "127.0.0.2/32"), "InvalidVpc.Range", vpc)
	mustContain(t, "the refusal to delete", w.awsFails(w.admin, "ec2", "delete-vpc", "--vpc-id", vpc), "DependencyViolation")
	mustContain(t, "a VPC that is not there", w.awsFails(w.admin, "vpc-lattice", "create-service-network-vpc-association", "--service-network-identifier", network, "--vpc-identifier", "vpc-00000000000000000"), "ResourceNotFoundException")
}

// TestRouting: rules by priority, fixed responses, weights, and targets by health.
func TestRouting(t *testing.T) {
	w := build(t, "NONE", "NONE")
	listener := w.aws(w.admin, "vpc-lattice", "list-listeners", "--service-identifier", w.service)["items"].([]any)[0].(map[string]any)["id"].(string)
	rule := func(name string, priority int, match, action string) {
		w.aws(w.admin, "vpc-lattice", "create-rule", "--service-identifier", w.service, "--listener-identifier", listener, "--name", name,
			"--priority", fmt.Sprint(priority), "--match", match, "--action", action)
	}
	gone := `{"fixedResponse":{"statusCode":404}}`
	broken := `{"fixedResponse":{"statusCode":500}}`
	rule("prefix", 20, `{"httpMatch":{"pathMatch":{"match":{"prefix":"/old"}}}}`, gone)
	rule("exact", 10, `{"httpMatch":{"pathMatch":{"match":{"exact":"/old/kept"},"caseSensitive":true}}}`, `{"forward":{"targetGroups":[{"targetGroupIdentifier":"`+w.group+`"}]}}`)
	rule("header", 30, `{"httpMatch":{"method":"GET","headerMatches":[{"name":"X-Mode","match":{"contains":"fail"}}]}}`, broken)
	for _, test := range []struct {
		q    request
		want int
	}{
		{request{method: "GET", url: site + "/"}, 200},
		{request{method: "GET", url: site + "/old/thing"}, 404},
		{request{method: "GET", url: site + "/OLD"}, 404},
		{request{method: "GET", url: site + "/old/kept"}, 200},
		{request{method: "GET", url: site + "/old/KEPT"}, 404},
		{request{method: "GET", url: site + "/", headers: [][2]string{{"X-Mode", "please FAIL"}}}, 500},
		{request{method: "POST", url: site + "/", headers: [][2]string{{"X-Mode", "fail"}}}, 200},
	} {
		if a := w.send(test.q); a.status != test.want {
			t.Errorf("%s %s %v: %d %s, want %d", test.q.method, test.q.url, test.q.headers, a.status, a.body, test.want)
		}
	}
	// An authorization comes before a rule: a denied caller does not learn of a
	// fixed response.
	w.aws(w.admin, "vpc-lattice", "update-service", "--service-identifier", w.service, "--auth-type", "AWS_IAM")
	if a := w.send(request{method: "GET", url: site + "/old/thing"}); a.status != 403 {
		t.Errorf("a denied caller got %d of a fixed response", a.status)
	}
	w.aws(w.admin, "vpc-lattice", "update-service", "--service-identifier", w.service, "--auth-type", "NONE")
	// A target that goes away: 503 while nobody answers there.
	w.backend.server.Close()
	if a := w.send(request{method: "GET", url: site + "/"}); a.status != 503 {
		t.Errorf("without a target: %d %s, want 503", a.status, a.body)
	}
	w.aws(w.admin, "vpc-lattice", "deregister-targets", "--target-group-identifier", w.group, "--targets", "id=127.0.0.1")
	second := newBackend(t)
	w.aws(w.admin, "vpc-lattice", "register-targets", "--target-group-identifier", w.group, "--targets", fmt.Sprintf("id=127.0.0.1,port=%d", second.addr.Port))
	if a := w.send(request{method: "GET", url: site + "/"}); a.status != 200 {
		t.Errorf("with another target: %d %s", a.status, a.body)
	}
	var statuses string
	eventually(t, "a healthy target", func() bool {
		text, _ := json.Marshal(w.aws(w.admin, "vpc-lattice", "list-targets", "--target-group-identifier", w.group))
		statuses = string(text)
		return strings.Contains(statuses, "HEALTHY")
	})
	mustContain(t, "list-targets", statuses, "DRAINING")
}

// TestPorts: a listener port that is not mapped is opened as it is, and one that
// cannot be is said.
func TestPorts(t *testing.T) {
	w := build(t, "NONE", "NONE")
	free := freePort(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	busy := taken.Addr().(*net.TCPAddr).Port
	// Two listeners a service are enough; the ports are those of a second service.
	id := w.aws(w.admin, "vpc-lattice", "create-service", "--name", "more", "--custom-domain-name", "more.example.com")["id"].(string)
	w.aws(w.admin, "vpc-lattice", "create-service-network-service-association", "--service-network-identifier", w.network, "--service-identifier", id)
	var arn string
	for n, port := range []int{free, busy} {
		arn = w.aws(w.admin, "vpc-lattice", "create-listener", "--service-identifier", id, "--name", fmt.Sprintf("port-%d", n), "--protocol", "HTTP", "--port", fmt.Sprint(port),
			"--default-action", "fixedResponse={statusCode=404}")["arn"].(string)
	}
	eventually(t, "the open port", func() bool {
		status := 0
		if conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", free)); err == nil {
			conn.Close()
			status, _ = exchange(t, fmt.Sprintf("127.0.0.1:%d", free), "GET / HTTP/1.1\r\nHost: more.example.com\r\n\r\n")
		}
		return status == 404
	})
	eventually(t, "the warning", func() bool {
		status, text := w.readiness()
		return status == 200 && strings.Contains(text, fmt.Sprintf("listener port %d is not open", busy))
	})
	mustContain(t, "the log", w.output(), fmt.Sprint(busy), "cannot be opened")
	tags, _ := w.aws(w.admin, "vpc-lattice", "list-tags-for-resource", "--resource-arn", arn)["tags"].(map[string]any)
	mustContain(t, "the listener", fmt.Sprint(tags["latchwork:problem"]), "address already in use", "--gateway-ports")
}

// healthGroup makes a target group with a gRPC service, which tells the health that the
// server has.
func (w *world) healthGroup() (service *health.Server, group string) {
	w.t.Helper()
	server := grpc.NewServer()
	service = health.NewServer()
	healthpb.RegisterHealthServer(server, service)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	go func() { _ = server.Serve(l) }()
	w.t.Cleanup(server.Stop)
	group = w.aws(w.admin, "vpc-lattice", "create-target-group", "--name", "grpc", "--type", "IP", "--config",
		fmt.Sprintf("port=%d,protocol=HTTP,protocolVersion=GRPC,vpcIdentifier=%s", l.Addr().(*net.TCPAddr).Port, w.vpc))["id"].(string)
	w.aws(w.admin, "vpc-lattice", "register-targets", "--target-group-identifier", group, "--targets", "id=127.0.0.1")
	return service, group
}

// withSignature gives a gRPC call the signature of a request that stands for it.
func withSignature(ctx context.Context, r *http.Request) context.Context {
	md := metadata.MD{}
	for name, values := range r.Header {
		if name == "Authorization" || strings.HasPrefix(name, "X-Amz-") {
			md.Set(name, values...)
		}
	}
	return metadata.NewOutgoingContext(ctx, md)
}

// TestHTTP2AndGRPC: HTTP/2 and gRPC, over TLS and cleartext.
func TestHTTP2AndGRPC(t *testing.T) {
	w := build(t, "NONE", "AWS_IAM")
	who := w.role("rates-client", invokeAll)
	w.put(w.service, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::`+account+`:role/rates-client"},"Action":"*","Resource":["`+w.arn+`/grpc.health.v1.Health/*","`+w.arn+`/rates"]}]}`)
	for _, url := range []string{site + "/rates", "https://rates.example.com/rates"} {
		a := w.send(request{method: "GET", url: url, who: who, http2: true})
		if a.status != 200 || a.proto != "HTTP/2.0" {
			t.Errorf("%s: %d %s %s", url, a.status, a.proto, a.body)
		}
		if a := w.send(request{method: "GET", url: url, http2: true}); a.status != 403 {
			t.Errorf("%s unsigned: %d", url, a.status)
		}
	}
	// A content type does not make a request gRPC, and gRPC has no query.
	if a := w.send(request{method: "POST", url: site + "/rates?x=1", who: who, http2: true, headers: [][2]string{{"Content-Type", "application/grpc"}}}); a.headers.Get("Grpc-Status") != "13" {
		t.Errorf("gRPC with a query: %d %v", a.status, a.headers)
	}
	service, group := w.healthGroup()
	for _, item := range w.aws(w.admin, "vpc-lattice", "list-listeners", "--service-identifier", w.service)["items"].([]any) {
		w.aws(w.admin, "vpc-lattice", "update-listener", "--service-identifier", w.service, "--listener-identifier", item.(map[string]any)["id"].(string),
			"--default-action", "forward={targetGroups=[{targetGroupIdentifier="+group+"}]}")
	}
	pem := filepath.Join(w.dir, "ca.pem")
	tlsCredentials, err := credentials.NewClientTLSFromFile(pem, "rates.example.com")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, socket, scheme string
		creds                credentials.TransportCredentials
	}{{"cleartext", w.http, "http", insecure.NewCredentials()}, {"TLS", w.https, "https", tlsCredentials}} {
		t.Run("gRPC over "+test.name, func(t *testing.T) {
			conn, err := grpc.NewClient("passthrough:///"+test.socket, grpc.WithTransportCredentials(test.creds), grpc.WithAuthority("rates.example.com"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			client := healthpb.NewHealthClient(conn)
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			_, err = client.Check(ctx, &healthpb.HealthCheckRequest{})
			if status.Code(err) != codes.PermissionDenied || !strings.Contains(err.Error(), "User: anonymous is not authorized") {
				t.Errorf("unsigned: %v", err)
			}
			signed := func(method string) context.Context {
				r, _ := http.NewRequest("POST", test.scheme+"://rates.example.com/grpc.health.v1.Health/"+method, nil)
				sign(t, r, who)
				return withSignature(ctx, r)
			}
			got, err := client.Check(signed("Check"), &healthpb.HealthCheckRequest{})
			if err != nil || got.Status != healthpb.HealthCheckResponse_SERVING {
				t.Errorf("signed: %v %v", got, err)
			}
			if _, err := client.Check(signed("Check"), &healthpb.HealthCheckRequest{Service: "none"}); status.Code(err) != codes.NotFound {
				t.Errorf("the target's own error: %v", err)
			}
			stream, err := client.Watch(signed("Watch"), &healthpb.HealthCheckRequest{})
			if err != nil {
				t.Fatal(err)
			}
			if first, err := stream.Recv(); err != nil || first.Status != healthpb.HealthCheckResponse_SERVING {
				t.Errorf("stream: %v %v", first, err)
			}
			service.SetServingStatus("", healthpb.HealthCheckResponse_NOT_SERVING)
			if second, err := stream.Recv(); err != nil || second.Status != healthpb.HealthCheckResponse_NOT_SERVING {
				t.Errorf("stream: %v %v", second, err)
			}
			service.SetServingStatus("", healthpb.HealthCheckResponse_SERVING)
		})
	}
}

// TestREADME runs the commands of the README's first screen against latchwork dev.
func TestREADME(t *testing.T) {
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(text), "```")
	var commands []string
	for i := 1; i < len(blocks); i += 2 {
		if body, ok := strings.CutPrefix(blocks[i], "sh\n"); ok {
			commands = append(commands, strings.Split(strings.TrimSpace(body), "\n")...)
		}
	}
	if len(commands) != 13 || commands[0] != "make run" || commands[12] != "make test" {
		t.Fatalf("the README's commands are %q: teach this test the new ones", commands)
	}
	// In a folder of its own, with the default ports.
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(binary, filepath.Join(dir, "bin", "latchwork")); err != nil {
		t.Fatal(err)
	}
	dev := exec.Command(binary, "dev")
	dev.Dir = dir
	var out bytes.Buffer
	dev.Stdout = &out
	began := time.Now()
	if err := dev.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- dev.Wait() }()
	defer func() {
		_ = dev.Process.Signal(os.Interrupt)
		if err := <-done; err != nil {
			t.Errorf("latchwork dev ended with %v", err)
		}
	}()
	run := func(command string) (string, int) {
		cmd := exec.Command("bash", "-c", command)
		cmd.Dir = dir
		cmd.Env = []string{"PATH=" + filepath.Dir(newest().path) + ":" + filepath.Join(tools, "envoy-"+envoys[0]) + ":" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "AWS_PAGER=", "AWS_EC2_METADATA_DISABLED=true"}
		text, _ := cmd.CombinedOutput()
		return string(text), cmd.ProcessState.ExitCode()
	}
	eventually(t, "the demonstration", func() bool {
		_, code := run(commands[1])
		return code == 0
	})
	got, code := run(commands[2])
	t.Logf("first denial %s after the start", time.Since(began).Round(time.Millisecond))
	if code != 4 {
		t.Errorf("%s: exit %d, want 4", commands[2], code)
	}
	mustContain(t, commands[2], got, "AccessDeniedException", "because no service-based policy allows")
	got, code = run(commands[3])
	if code != 0 {
		t.Errorf("%s: exit %d", commands[3], code)
	}
	mustContain(t, commands[3], got, "wanted GET, received DELETE", "<-- this layer denies", "SignedOnly", "ReadRates")
	got, code = run(commands[4] + "\n" + commands[5])
	if code != 0 {
		t.Errorf("%s: exit %d %s", commands[5], code, got)
	}
	mustContain(t, commands[5], got, "rates.demo.localhost")
	// All in one shell, which has the keys and ends the Envoy.
	got, code = run("set -e\n" + commands[4] + "\n" + strings.Join(commands[6:12], "\n") + "\nkill %1")
	if code != 0 {
		t.Errorf("%s: exit %d %s", commands[6:12], code, got)
	}
	mustContain(t, commands[11], got, "Envoys in step: 1", "mesh/app1/virtualNode/serviceB", "authorized", "in step")
}
