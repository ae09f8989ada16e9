//go:build conformance

package conformance

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
)

// sdk is the AWS SDK for Go as somebody.
func (in *installation) sdk(who identity) *vpclattice.Client {
	return vpclattice.New(vpclattice.Options{
		Region: region, BaseEndpoint: aws.String(in.api), RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(who.id, who.secret, who.token),
	})
}

func (in *installation) readiness() (status int, text string) {
	in.t.Helper()
	resp, err := http.Get(in.admin + "/readyz")
	if err != nil {
		in.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body)
}

// TestSecondStart: everything is as it was, and a directory in use is refused.
func TestSecondStart(t *testing.T) {
	w := build(t, "NONE", "AWS_IAM")
	who := w.role("rates-client", invokeAll)
	w.put(w.service, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalType":"AssumedRole"}}}]}`)
	list := func() string {
		out, _ := json.Marshal([]any{
			w.aws(w.admin, "vpc-lattice", "list-services"), w.aws(w.admin, "vpc-lattice", "list-service-networks"),
			w.aws(w.admin, "iam", "list-roles"), w.aws(w.admin, "vpc-lattice", "get-auth-policy", "--resource-identifier", w.service),
		})
		return string(out)
	}
	before := list()
	_, errs, code := w.command(identity{}, binary, "server", "--data-dir", w.dir, "--api-addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0")
	if code == 0 || !strings.Contains(errs, "in use by another process") {
		t.Errorf("a second server on the directory: exit %d\n%s", code, errs)
	}
	w.kill()
	w.run()
	if after := list(); after != before {
		t.Errorf("after a restart there is\n%s\nbefore there was\n%s", after, before)
	}
	for _, x := range []struct {
		who  identity
		want int
	}{{who, 200}, {identity{}, 403}} {
		if a := w.send(request{method: "GET", url: site + "/", who: x.who}); a.status != x.want {
			t.Errorf("after a restart: %d %s, want %d", a.status, a.body, x.want)
		}
	}
	for _, secret := range []string{"admin-" + account + ".json", "../data.key"} {
		info, err := os.Stat(filepath.Join(w.dir, secret))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v; want 0600", secret, info.Mode(), err)
		}
	}
	out, _, _ := w.command(identity{}, "grep", "-rla", w.admin.secret, w.dir)
	if files := strings.Fields(out); len(files) != 1 || !strings.HasSuffix(files[0], "admin-"+account+".json") {
		t.Errorf("the administrator's secret is readable in %v", files)
	}
}

// TestKill kills the server in the middle of writes: nothing that was answered is
// lost.
func TestKill(t *testing.T) {
	in := start(t)
	admin := in.administrator(account)
	client := in.sdk(admin)
	var mu sync.Mutex
	answered := map[string]bool{}
	var n atomic.Int64
	var writers sync.WaitGroup
	ctx, stop := context.WithCancel(context.Background())
	for range 4 {
		writers.Go(func() {
			for ctx.Err() == nil {
				name := fmt.Sprintf("network-%d", n.Add(1))
				out, err := client.CreateServiceNetwork(ctx, &vpclattice.CreateServiceNetworkInput{Name: &name})
				if err != nil {
					return
				}
				mu.Lock()
				answered[*out.Id] = true
				mu.Unlock()
			}
		})
	}
	eventually(t, "the hundredth write", func() bool { mu.Lock(); defer mu.Unlock(); return len(answered) > 100 })
	in.kill()
	stop()
	writers.Wait()
	in.run()
	pages := vpclattice.NewListServiceNetworksPaginator(client, &vpclattice.ListServiceNetworksInput{})
	there := map[string]bool{}
	for pages.HasMorePages() {
		page, err := pages.NextPage(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		for _, item := range page.Items {
			there[*item.Id] = true
		}
	}
	for id := range answered {
		if !there[id] {
			t.Errorf("%s was answered and is lost", id)
		}
	}
	t.Logf("%d answered, %d there", len(answered), len(there))
}

// TestAPIAuthorization: the API itself is authenticated and authorized.
func TestAPIAuthorization(t *testing.T) {
	in := start(t)
	admin := in.administrator(account)
	in.aws(admin, "iam", "create-user", "--user-name", "bob")
	key := in.aws(admin, "iam", "create-access-key", "--user-name", "bob")["AccessKey"].(map[string]any)
	bob := identity{id: key["AccessKeyId"].(string), secret: key["SecretAccessKey"].(string)}
	if who := in.aws(bob, "sts", "get-caller-identity"); who["Arn"] != "arn:aws:iam::"+account+":user/bob" {
		t.Errorf("get-caller-identity answered %v", who)
	}
	for _, c := range clis() {
		text := in.awsFailsWith(c, bob, "vpc-lattice", "create-service", "--name", "rates")
		mustContain(t, "the denial", text, "(AccessDeniedException)", "User: arn:aws:iam::"+account+":user/bob is not authorized to perform: vpc-lattice:CreateService on resource: arn:aws:vpc-lattice:us-west-2:"+account+":service/svc-* because no identity-based policy allows the vpc-lattice:CreateService action")
	}
	mustContain(t, "IAM's denial", in.awsFails(bob, "iam", "list-users"), "(AccessDenied)", "iam:ListUsers")
	in.aws(admin, "iam", "put-user-policy", "--user-name", "bob", "--policy-name", "p", "--policy-document",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"vpc-lattice:*Service","Resource":"*"},{"Effect":"Deny","Action":"vpc-lattice:CreateService","Resource":"*","Condition":{"StringEquals":{"vpc-lattice:AuthType":"NONE"}}}]}`)
	id := in.aws(bob, "vpc-lattice", "create-service", "--name", "rates", "--auth-type", "AWS_IAM")["id"].(string)
	mustContain(t, "the explicit deny", in.awsFails(bob, "vpc-lattice", "create-service", "--name", "open", "--auth-type", "NONE"), "explicit deny in an identity-based policy")
	mustContain(t, "another operation", in.awsFails(bob, "vpc-lattice", "put-auth-policy", "--resource-identifier", id, "--policy", "{}"), "AccessDeniedException", "vpc-lattice:PutAuthPolicy")
	mustContain(t, "unsigned", in.awsFails(bob, "vpc-lattice", "list-services", "--no-sign-request"), "MissingAuthenticationTokenException")
	mustContain(t, "wrong secret", in.awsFails(identity{id: bob.id, secret: "x"}, "vpc-lattice", "list-services"), "InvalidSignatureException")
	mustContain(t, "unknown key", in.awsFails(identity{id: "AKIAAAAAAAAAAAAAAAAA", secret: "x"}, "sts", "get-caller-identity"), "InvalidClientTokenId")

	// A call that does two things needs the permission for both.
	in.aws(admin, "iam", "put-user-policy", "--user-name", "bob", "--policy-name", "two", "--policy-document",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["iam:CreateUser","iam:CreateInstanceProfile","iam:AddRoleToInstanceProfile","ec2:CreateVpc"],"Resource":"*"},`+
			`{"Effect":"Allow","Action":"ec2:CreateTags","Resource":"*","Condition":{"StringEquals":{"aws:RequestTag/team":"blue","ec2:CreateAction":"CreateVpc"}}}]}`)
	mustContain(t, "tags of a user", in.awsFails(bob, "iam", "create-user", "--user-name", "carol", "--tags", "Key=a,Value=b"), "(AccessDenied)", "iam:TagUser", "user/carol")
	in.aws(bob, "iam", "create-user", "--user-name", "carol")
	in.aws(admin, "iam", "create-role", "--role-name", "strong", "--assume-role-policy-document", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"`+account+`"},"Action":"sts:AssumeRole"}]}`)
	in.aws(bob, "iam", "create-instance-profile", "--instance-profile-name", "box")
	mustContain(t, "a role passed", in.awsFails(bob, "iam", "add-role-to-instance-profile", "--instance-profile-name", "box", "--role-name", "strong"), "(AccessDenied)", "iam:PassRole", "role/strong")
	vpcTags := func(team string) string { return "ResourceType=vpc,Tags=[{Key=team,Value=" + team + "}]" }
	mustContain(t, "tags of a VPC", in.awsFails(bob, "ec2", "create-vpc", "--cidr-block", "10.0.0.0/8", "--tag-specifications", vpcTags("red")), "ec2:CreateTags")
	in.aws(bob, "ec2", "create-vpc", "--cidr-block", "10.0.0.0/8", "--tag-specifications", vpcTags("blue"))

	in.aws(admin, "iam", "update-access-key", "--user-name", "bob", "--access-key-id", bob.id, "--status", "Inactive")
	mustContain(t, "inactive key", in.awsFails(bob, "sts", "get-caller-identity"), "InvalidClientTokenId")

	// A region is a partition of the state.
	west := in.aws(admin, "vpc-lattice", "list-services", "--region", "us-west-2")["items"].([]any)
	east := in.aws(admin, "vpc-lattice", "list-services", "--region", "eu-west-1")["items"].([]any)
	if len(west) != 1 || len(east) != 0 {
		t.Errorf("%d services in us-west-2, %d in eu-west-1; want 1 and 0", len(west), len(east))
	}
	mustContain(t, "not built", in.awsFails(admin, "vpc-lattice", "list-resource-gateways"), "not built yet")
}

// TestBadInput: a clear AWS-shaped error, and nothing stored.
func TestBadInput(t *testing.T) {
	in := start(t)
	admin := in.administrator(account)
	id := in.aws(admin, "vpc-lattice", "create-service", "--name", "rates")["id"].(string)
	for _, test := range []struct {
		args []string
		want []string
	}{
		{[]string{"put-auth-policy", "--resource-identifier", id, "--policy", `{"Statement":`}, []string{"ValidationException", "not valid JSON"}},
		{[]string{"put-auth-policy", "--resource-identifier", id, "--policy", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Effect":"Deny","Principal":"*","Action":"*","Resource":"*"}]}`}, []string{"ValidationException", "twice"}},
		{[]string{"put-auth-policy", "--resource-identifier", id, "--policy", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`}, []string{"ValidationException", "Principal"}},
		{[]string{"put-auth-policy", "--resource-identifier", id, "--policy", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"*"}]}`}, []string{"ValidationException", "vpc-lattice-svcs"}},
		{[]string{"put-auth-policy", "--resource-identifier", "svc-0000000000000dead", "--policy", `{}`}, []string{"ValidationException"}},
		{[]string{"get-service", "--service-identifier", "svc-00000000000000000"}, []string{"ResourceNotFoundException"}},
		{[]string{"get-service", "--service-identifier", "rates-is-no-identifier"}, []string{"ValidationException"}},
		{[]string{"create-service", "--name", "Rates"}, []string{"ValidationException"}},
		{[]string{"create-service", "--name", "svc-x"}, []string{"ValidationException"}},
		{[]string{"create-service", "--name", "rates"}, []string{"ConflictException"}},
		{[]string{"create-service", "--name", "x1x", "--auth-type", "FOO"}, []string{"ValidationException"}},
		{[]string{"list-services", "--max-items", "1", "--starting-token", "bm9uc2Vuc2U="}, []string{""}},
	} {
		text := in.awsFails(admin, append([]string{"vpc-lattice"}, test.args...)...)
		mustContain(t, strings.Join(test.args, " "), text, test.want...)
	}
	if got := in.aws(admin, "vpc-lattice", "get-auth-policy", "--resource-identifier", id); len(got) != 0 {
		t.Errorf("a refused policy was stored: %v", got)
	}
	// Raw requests that no client library would send.
	addr := strings.TrimPrefix(in.api, "http://")
	for _, raw := range []string{
		"GET /services/../services HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET //services HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /services/%zz HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nA=B&C",
		"PUT /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("a", 100_000) + "\r\n\r\n",
	} {
		status, body := exchange(t, addr, raw)
		if status < 400 || status >= 500 || strings.Contains(body, "<html") {
			t.Errorf("%.40q: %d %.200s", raw, status, body)
		}
	}
}

// exchange sends raw bytes and reads one response.
func exchange(t *testing.T, addr, raw string) (status int, body string) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, raw); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("%.60q: %v", raw, err)
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text)
}

// TestGatewayBadInput: what could be read in two ways is refused, and reaches no
// target.
func TestGatewayBadInput(t *testing.T) {
	w := build(t, "NONE", "NONE")
	host := "\r\nHost: rates.example.com\r\n\r\n"
	// What is odd and clear arrives as it was sent.
	for _, target := range []string{"/%2f%20?x", "/admin%2Fx|", "/public%2F..%2Fadmin%2Fx|", `/a"b%41`, "/é%2F%41"} {
		status, body := exchange(t, w.http, "GET "+target+" HTTP/1.1"+host)
		var got echo
		if err := json.Unmarshal([]byte(body), &got); err != nil || status != 200 || got.Target != target {
			t.Errorf("%s: %d, the target received %q", target, status, got.Target)
		}
	}
	before := w.backend.count()
	for _, test := range []struct {
		raw  string
		want int
	}{
		{"GET /a/../b HTTP/1.1" + host, 400},
		{"GET /a/%2e%2e/b HTTP/1.1" + host, 400},
		{"GET //a HTTP/1.1" + host, 400},
		{"GET /a\\b HTTP/1.1" + host, 400},
		{"GET /%5c HTTP/1.1" + host, 400},
		{"GET /%00 HTTP/1.1" + host, 400},
		{"GET /%zz HTTP/1.1" + host, 400},
		{"GET /. HTTP/1.1" + host, 400},
		{"GET /?q=%zz HTTP/1.1" + host, 400},
		{"GET /?q=100% HTTP/1.1" + host, 400},
		{"GET / HTTP/1.1\r\nHost: rates.example.com\r\nHost: other\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nX: " + strings.Repeat("a", 61<<10) + host, 400},
		{"GET / HTTP/1.1" + strings.Repeat("\r\nX: a", 101) + host, 400},
		{"GET / HTTP/1.1\r\nHost: nobody.example.com\r\n\r\n", 404},
	} {
		if status, body := exchange(t, w.http, test.raw); status != test.want && !(test.want == 400 && status == 431) {
			t.Errorf("%.60q: %d %.100s, want %d", test.raw, status, body, test.want)
		}
	}
	if after := w.backend.count(); after != before {
		t.Errorf("%d refused requests reached the target", after-before)
	}
}

// cluster is an etcd cluster of one, outside of the server.
func cluster(t *testing.T) (endpoint string, stop func()) {
	t.Helper()
	c := embed.NewConfig()
	c.Dir = t.TempDir()
	c.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	local := func() url.URL { return url.URL{Scheme: "http", Host: fmt.Sprintf("127.0.0.1:%d", freePort(t))} }
	client, peer := local(), local()
	c.ListenClientUrls, c.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
	c.ListenPeerUrls, c.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	c.InitialCluster = c.InitialClusterFromName(c.Name)
	e, err := embed.StartEtcd(c)
	if err != nil {
		t.Fatal(err)
	}
	<-e.Server.ReadyNotify()
	var once sync.Once
	stop = func() { once.Do(e.Close) }
	t.Cleanup(stop)
	return client.Host, stop
}

// TestCluster: two servers on one etcd cluster serve the same state; when it is
// lost, readiness and writes end and the gateways go on with what they have.
func TestCluster(t *testing.T) {
	endpoint, stop := cluster(t)
	key := filepath.Join(t.TempDir(), "key")
	w := build(t, "NONE", "AWS_IAM", "--etcd-endpoints", endpoint, "--key-file", key)
	second := start(t, "--etcd-endpoints", endpoint, "--key-file", key)
	if got := second.aws(w.admin, "vpc-lattice", "get-service", "--service-identifier", w.service); got["id"] != w.service {
		t.Errorf("the second server answered %v", got)
	}
	who := w.role("rates-client", invokeAll)
	w.put(w.service, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalType":"AssumedRole"}}}]}`)
	reached := func(in *installation, who identity) int {
		return in.send(request{method: "GET", url: site + "/", who: who}).status
	}
	eventually(t, "the policy on the second server", func() bool { return reached(second, who) == 200 })
	if got := reached(second, identity{}); got != 403 {
		t.Errorf("anonymous at the second server: %d", got)
	}
	stop()
	eventually(t, "the loss of readiness", func() bool { status, _ := w.readiness(); return status == 503 })
	_, text := w.readiness()
	mustContain(t, "readiness", text, "the store cannot be")
	if got := reached(w.installation, who); got != 200 {
		t.Errorf("the gateway without a store: %d, want the last snapshot's 200", got)
	}
	if got := reached(w.installation, identity{}); got != 403 {
		t.Errorf("the gateway without a store: %d, want the last snapshot's 403", got)
	}
	name := "late"
	_, err := w.sdk(w.admin).CreateService(context.Background(), &vpclattice.CreateServiceInput{Name: &name})
	if err == nil || !strings.Contains(err.Error(), "ServiceUnavailable") {
		t.Errorf("a write without a store: %v, want ServiceUnavailable", err)
	}
	resp, err := http.Get(w.installation.admin + "/healthz")
	if err != nil || resp.StatusCode != 200 {
		t.Errorf("health: %v %v", resp, err)
	}
}

// TestConfiguration: unknown keys are errors with their line, and a start says
// everything that is wrong at once.
func TestConfiguration(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.yaml")
	run := func(text string, args ...string) (string, int) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(binary, append([]string{"server", "--check-config", "--config", path}, args...)...)
		var out bytes.Buffer
		cmd.Stderr = &out
		_ = cmd.Run()
		return out.String(), cmd.ProcessState.ExitCode()
	}
	if text, code := run("region: eu-west-1\naccounts:\n- id: \"111122223333\"\n"); code != 0 {
		t.Errorf("a good file: exit %d\n%s", code, text)
	}
	text, code := run("region: eu-west-1\n\nregoin: x\n")
	if code != 2 {
		t.Errorf("an unknown key: exit %d", code)
	}
	mustContain(t, "the error", text, "line 3", "regoin")
	text, code = run("account-id: \"1\"\nconformance: maybe\n", "--gateway-ports", "a=b")
	if code != 2 {
		t.Errorf("wrong values: exit %d", code)
	}
	mustContain(t, "the error", text, "account-id", "conformance", "gateway-ports")
	for _, args := range [][]string{{"no-such-command"}, {"curl"}, {"curl", "not a url"}, {"server", "--no-such-flag"}} {
		cmd := exec.Command(binary, args...)
		_ = cmd.Run()
		if code := cmd.ProcessState.ExitCode(); code != 2 {
			t.Errorf("latchwork %v: exit %d, want 2", args, code)
		}
	}
}

// TestReadyInTime measures how long a start takes, on a directory with something in it.
func TestReadyInTime(t *testing.T) {
	in := start(t)
	in.kill()
	began := time.Now()
	in.run()
	t.Logf("ready after %s", time.Since(began).Round(time.Millisecond))
	if status, text := in.readiness(); status != 200 {
		t.Errorf("readiness: %d %s", status, text)
	}
}

// TestBrokenRecord: a record that cannot be compiled denies, is listed, and counts.
func TestBrokenRecord(t *testing.T) {
	endpoint, _ := cluster(t)
	w := build(t, "NONE", "AWS_IAM", "--etcd-endpoints", endpoint)
	w.put(w.service, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}`)
	get := func() int { return w.send(request{method: "GET", url: site + "/"}).status }
	if got := get(); got != 200 {
		t.Fatalf("before: %d", got)
	}
	store, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	key := "latchwork/lattice.authpolicy/" + account + "/" + region + "/" + w.service
	if _, err := store.Put(context.Background(), key, `{"id":"`+w.service+`","document":"{\"Statement\":"}`); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the denial", func() bool { return get() == 403 })
	a := w.send(request{method: "GET", url: site + "/"})
	mustContain(t, "the denial", a.body, "with an explicit deny in a service-based policy")
	text, _, _ := w.command(w.admin, binary, "explain", "--data-dir", w.dir, "last")
	mustContain(t, "the explanation", text, "cannot be evaluated, so it denies", "not valid JSON")
	_, ready := w.readiness()
	mustContain(t, "readiness", ready, "1 records cannot be compiled")
	resp, err := http.Get(w.installation.admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	metrics, _ := io.ReadAll(resp.Body)
	mustContain(t, "the metrics", string(metrics), "latchwork_snapshot_problems 1\n", `latchwork_decisions_total{cause="explicit deny",point="gateway",stage="service"}`)
	mustContain(t, "the log", w.output(), "a record cannot be compiled", key[len("latchwork/"):])
	r, err := http.NewRequest(http.MethodGet, w.api+"/latchwork/problems", nil)
	if err != nil {
		t.Fatal(err)
	}
	who := aws.Credentials{AccessKeyID: w.administrator(account).id, SecretAccessKey: w.administrator(account).secret}
	const empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	if err := v4.NewSigner().SignHTTP(context.Background(), who, r, empty, "latchwork", region, time.Now()); err != nil {
		t.Fatal(err)
	}
	list, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer list.Body.Close()
	problems, _ := io.ReadAll(list.Body)
	mustContain(t, "the list of problems", string(problems), w.service, "not valid JSON")
	// Another put mends it.
	w.put(w.service, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}`)
	if got := get(); got != 200 {
		t.Errorf("after another put: %d", got)
	}
}
