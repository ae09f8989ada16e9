//go:build conformance

// Package conformance drives the real binary with real clients: the AWS CLI in
// both versions, boto3, the AWS SDKs for Go and JavaScript, curl, other signers and gRPC.
// make test installs them.
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
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// tools is the folder that the clients are installed in.
var tools = os.Getenv("LATCHWORK_CLIENTS")

// binary is the latchwork that is tested.
var binary string

func TestMain(m *testing.M) {
	if tools == "" {
		fmt.Fprintln(os.Stderr, "LATCHWORK_CLIENTS is not set: run make test, which installs the clients")
		os.Exit(1)
	}
	dir, err := os.MkdirTemp("", "latchwork-conformance-")
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(dir, "latchwork")
	build := exec.Command("go", "build", "-o", binary, "./cmd/latchwork")
	build.Dir, build.Stderr = "..", os.Stderr
	if err := build.Run(); err != nil {
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

const (
	account = "123456789012"
	region  = "us-west-2"
)

// installation is a running server.
type installation struct {
	t       *testing.T
	dir     string
	args    []string
	cmd     *exec.Cmd
	done    chan struct{}
	api     string // URL
	admin   string // URL
	http    string // address of the socket of listener port 80
	https   string
	ems     string // address of the Envoy management service
	backend *backend

	mu  sync.Mutex
	log bytes.Buffer
}

// freePort is a port that nobody listens on.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// start runs a server on a new data directory and waits until it is ready.
func start(t *testing.T, args ...string) *installation {
	t.Helper()
	in := &installation{t: t, dir: filepath.Join(t.TempDir(), "data")}
	ports := []int{freePort(t), freePort(t), freePort(t), freePort(t), freePort(t)}
	local := func(n int) string { return fmt.Sprintf("127.0.0.1:%d", ports[n]) }
	in.api, in.admin, in.http, in.https, in.ems = "http://"+local(0), "http://"+local(1), local(2), local(3), local(4)
	in.args = append([]string{
		"server", "--data-dir", in.dir, "--api-addr", local(0), "--admin-addr", local(1),
		"--gateway-ports", fmt.Sprintf("%d=80,%d=443", ports[2], ports[3]), "--ems-addr", local(4),
	}, args...)
	in.run()
	t.Cleanup(in.stop)
	return in
}

// startLimit is how long a start may take on a busy machine.
const startLimit = 30 * time.Second

func (in *installation) run() {
	in.t.Helper()
	in.cmd = exec.Command(binary, in.args...)
	out, err := in.cmd.StderrPipe()
	if err != nil {
		in.t.Fatal(err)
	}
	if err := in.cmd.Start(); err != nil {
		in.t.Fatal(err)
	}
	ready := make(chan bool, 1)
	in.done = make(chan struct{})
	go func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			in.mu.Lock()
			fmt.Fprintln(&in.log, lines.Text())
			in.mu.Unlock()
			if lines.Text() == "latchwork is ready" {
				ready <- true
			}
		}
		_ = in.cmd.Wait()
		close(in.done)
	}()
	select {
	case <-ready:
	case <-in.done:
		in.t.Fatalf("the server ended:\n%s", in.output())
	case <-time.After(startLimit):
		in.t.Fatalf("the server is not ready after %s:\n%s", startLimit, in.output())
	}
}

func (in *installation) output() string {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.log.String()
}

func (in *installation) stop() {
	_ = in.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-in.done:
	case <-time.After(20 * time.Second):
		_ = in.cmd.Process.Kill()
		in.t.Error("the server did not stop")
	}
	if in.t.Failed() {
		in.t.Logf("server:\n%s", in.output())
	}
}

func (in *installation) kill() {
	_ = in.cmd.Process.Kill()
	<-in.done
}

// identity is what a client signs with.
type identity struct{ id, secret, token string }

func (in *installation) administrator(account string) identity {
	in.t.Helper()
	text, err := os.ReadFile(filepath.Join(in.dir, "admin-"+account+".json"))
	if err != nil {
		in.t.Fatal(err)
	}
	var a struct{ AccessKeyID, SecretAccessKey string }
	if err := json.Unmarshal(text, &a); err != nil {
		in.t.Fatal(err)
	}
	return identity{id: a.AccessKeyID, secret: a.SecretAccessKey}
}

// environ is the environment of a client: nothing of the machine's own.
func (in *installation) environ(who identity) []string {
	env := []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + in.t.TempDir(), "AWS_ENDPOINT_URL=" + in.api, "AWS_REGION=" + region,
		"AWS_DEFAULT_REGION=" + region, "AWS_EC2_METADATA_DISABLED=true", "AWS_PAGER=",
	}
	if who.id != "" {
		env = append(env, "AWS_ACCESS_KEY_ID="+who.id, "AWS_SECRET_ACCESS_KEY="+who.secret)
	}
	if who.token != "" {
		env = append(env, "AWS_SESSION_TOKEN="+who.token)
	}
	return env
}

// command runs a client and gives its output, error text and exit code.
func (in *installation) command(who identity, name string, args ...string) (stdout, stderr string, code int) {
	in.t.Helper()
	return in.execute(in.environ(who), name, args...)
}

// execute is command with an environment.
func (in *installation) execute(env []string, name string, args ...string) (stdout, stderr string, code int) {
	in.t.Helper()
	cmd := exec.Command(name, args...)
	var out, errs bytes.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr = env, &out, &errs
	err := cmd.Run()
	if _, exited := err.(*exec.ExitError); err != nil && !exited {
		in.t.Fatalf("%s: %v", name, err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// cli is one version of the AWS CLI.
type cli struct{ name, path string }

func clis() []cli {
	all := []cli{{"v1", filepath.Join(tools, "awscli1", "bin", "aws")}}
	if runtime.GOOS == "linux" && runtime.GOARCH == "amd64" {
		all = append(all, cli{"v2", filepath.Join(tools, "awscli", "v2", "2.38.5", "dist", "aws")})
	}
	return all
}

// newest is the CLI that tests use which are not about the CLI.
func newest() cli { all := clis(); return all[len(all)-1] }

// aws runs an AWS CLI command as somebody; its output must be JSON or nothing.
func (in *installation) aws(who identity, args ...string) map[string]any {
	in.t.Helper()
	return in.awsWith(newest(), who, args...)
}

func (in *installation) awsWith(c cli, who identity, args ...string) map[string]any {
	in.t.Helper()
	stdout, stderr, code := in.command(who, c.path, args...)
	if code != 0 {
		in.t.Fatalf("aws %s %s: exit %d\n%s%s", c.name, strings.Join(args, " "), code, stdout, stderr)
	}
	out := map[string]any{}
	if strings.TrimSpace(stdout) != "" {
		if err := json.Unmarshal([]byte(stdout), &out); err != nil {
			in.t.Fatalf("aws %s: %v\n%s", strings.Join(args, " "), err, stdout)
		}
	}
	return out
}

// awsFails runs a command that must fail, and gives its error text.
func (in *installation) awsFails(who identity, args ...string) string {
	in.t.Helper()
	return in.awsFailsWith(newest(), who, args...)
}

func (in *installation) awsFailsWith(c cli, who identity, args ...string) string {
	in.t.Helper()
	stdout, stderr, code := in.command(who, c.path, args...)
	if code == 0 {
		in.t.Errorf("aws %s %s succeeded, and must fail:\n%s", c.name, strings.Join(args, " "), stdout)
	}
	return stderr
}

func mustContain(t *testing.T, what, text string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(text, want) {
			t.Errorf("%s does not contain %q:\n%s", what, want, text)
		}
	}
}

// backend is what services forward to: it answers what it received.
type backend struct {
	server *httptest.Server
	addr   *net.TCPAddr
	mu     sync.Mutex
	seen   int
}

// echo is a request as the backend received it.
type echo struct {
	Method, Target, Host, Body string
	Headers                    http.Header
}

func newBackend(t *testing.T) *backend {
	b := &backend{}
	b.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Health checks come when they please and would blur the count.
		if !strings.HasPrefix(r.UserAgent(), "Latchwork-HealthChecker/") {
			b.mu.Lock()
			b.seen++
			b.mu.Unlock()
		}
		body, _ := io.ReadAll(r.Body)
		_ = json.NewEncoder(w).Encode(echo{r.Method, r.RequestURI, r.Host, string(body), r.Header})
	}))
	t.Cleanup(b.server.Close)
	b.addr = b.server.Listener.Addr().(*net.TCPAddr)
	return b
}

func (b *backend) count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.seen
}

// world is a service network with one service that forwards to the backend.
type world struct {
	*installation
	admin         identity
	vpc           string
	network       string
	service, arn  string
	domain, group string
}

// build makes the world with the AWS CLI. Both auth types are as given.
func build(t *testing.T, networkAuth, serviceAuth string, args ...string) *world {
	t.Helper()
	in := start(t, args...)
	in.backend = newBackend(t)
	w := &world{installation: in, admin: in.administrator(account)}
	w.populate(networkAuth, serviceAuth)
	return w
}

func (w *world) populate(networkAuth, serviceAuth string) {
	w.t.Helper()
	vpcs := w.aws(w.admin, "ec2", "describe-vpcs", "--filters", "Name=is-default,Values=true")
	w.vpc = vpcs["Vpcs"].([]any)[0].(map[string]any)["VpcId"].(string)
	w.network = w.aws(w.admin, "vpc-lattice", "create-service-network", "--name", "network", "--auth-type", networkAuth)["id"].(string)
	service := w.aws(w.admin, "vpc-lattice", "create-service", "--name", "rates", "--auth-type", serviceAuth, "--custom-domain-name", "rates.example.com")
	w.service, w.arn = service["id"].(string), service["arn"].(string)
	w.domain = service["dnsEntry"].(map[string]any)["domainName"].(string)
	w.group = w.aws(w.admin, "vpc-lattice", "create-target-group", "--name", "rates", "--type", "IP", "--config",
		fmt.Sprintf("port=%d,protocol=HTTP,vpcIdentifier=%s", w.backend.addr.Port, w.vpc))["id"].(string)
	w.aws(w.admin, "vpc-lattice", "register-targets", "--target-group-identifier", w.group, "--targets", "id=127.0.0.1")
	for _, l := range []string{"HTTP", "HTTPS"} {
		w.aws(w.admin, "vpc-lattice", "create-listener", "--service-identifier", w.service, "--name", strings.ToLower(l), "--protocol", l,
			"--default-action", "forward={targetGroups=[{targetGroupIdentifier="+w.group+"}]}")
	}
	w.aws(w.admin, "vpc-lattice", "create-service-network-service-association", "--service-network-identifier", w.network, "--service-identifier", w.service)
	w.aws(w.admin, "vpc-lattice", "create-service-network-vpc-association", "--service-network-identifier", w.network, "--vpc-identifier", w.vpc)
}

// put stores an auth policy.
func (w *world) put(id, document string) {
	w.t.Helper()
	w.aws(w.admin, "vpc-lattice", "put-auth-policy", "--resource-identifier", id, "--policy", document)
}

// role makes a role that the account may take, with an identity policy, and takes
// it.
func (w *world) role(name, document string) identity {
	w.t.Helper()
	w.aws(w.admin, "iam", "create-role", "--role-name", name, "--assume-role-policy-document",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"`+account+`"},"Action":"sts:AssumeRole"}]}`)
	if document != "" {
		w.aws(w.admin, "iam", "put-role-policy", "--role-name", name, "--policy-name", "invoke", "--policy-document", document)
	}
	return w.assume(w.admin, account, name)
}

// user makes a user with an identity policy and an access key.
func (w *world) user(name, document string) identity {
	w.t.Helper()
	w.aws(w.admin, "iam", "create-user", "--user-name", name)
	w.aws(w.admin, "iam", "put-user-policy", "--user-name", name, "--policy-name", "invoke", "--policy-document", document)
	key := w.aws(w.admin, "iam", "create-access-key", "--user-name", name)["AccessKey"].(map[string]any)
	return identity{id: key["AccessKeyId"].(string), secret: key["SecretAccessKey"].(string)}
}

func (in *installation) assume(who identity, account, name string) identity {
	in.t.Helper()
	c := in.aws(who, "sts", "assume-role", "--role-arn", "arn:aws:iam::"+account+":role/"+name, "--role-session-name", "test")["Credentials"].(map[string]any)
	return identity{c["AccessKeyId"].(string), c["SecretAccessKey"].(string), c["SessionToken"].(string)}
}

const invokeAll = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"vpc-lattice-svcs:Invoke","Resource":"*"}]}`

// eventually waits until a condition holds that another process brings about.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s did not come about", what)
		}
	}
}
