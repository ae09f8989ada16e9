// Command bench measures Latchwork beside its backend alone and behind nginx, all
// in one run and in turns, and writes what it found as a page of Markdown.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice/types"

	"github.com/latchwork/latchwork/internal/model"
)

const (
	account = "123456789012"
	region  = "us-west-2"
)

func main() {
	latchwork := flag.String("latchwork", "bin/latchwork", "the program to measure")
	out := flag.String("out", "", "file for the page; standard output if empty")
	rounds := flag.Int("rounds", 7, "rounds of load")
	length := flag.Duration("length", 2*time.Second, "length of one round")
	connections := flag.Int("connections", 16, "connections of the load")
	services := flag.Int("services", 1000, "services of the large state")
	policies := flag.Int("policies", 10000, "policies of the large state")
	flag.Parse()
	var page bytes.Buffer
	b := &bench{latchwork: *latchwork, page: &page, rounds: *rounds, length: *length, connections: *connections}
	err := b.run(*services, *policies)
	b.stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	if *out == "" {
		_, _ = page.WriteTo(os.Stdout)
		return
	}
	if err := os.WriteFile(*out, page.Bytes(), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

type bench struct {
	latchwork   string
	page        io.Writer
	rounds      int
	length      time.Duration
	connections int

	dir                string
	server             *exec.Cmd
	nginx              *exec.Cmd
	backend            net.Listener
	api, admin, socket string
	creds              aws.Credentials
	started            []time.Duration
}

func (b *bench) say(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

func (b *bench) stop() {
	for _, cmd := range []*exec.Cmd{b.server, b.nginx} {
		if cmd != nil && cmd.Process != nil {
			_ = cmd.Process.Signal(syscall.SIGTERM)
			_ = cmd.Wait()
		}
	}
	if b.dir != "" {
		os.RemoveAll(b.dir)
	}
}

func free() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// start starts the server on its directory and measures the time until it is
// ready.
func (b *bench) start() error {
	began := time.Now()
	_, port, _ := net.SplitHostPort(b.socket)
	b.server = exec.Command(b.latchwork, "server", "--data-dir", filepath.Join(b.dir, "data"), "--api-addr", b.api,
		"--admin-addr", b.admin, "--gateway-ports", port+"=80")
	log, err := os.Create(filepath.Join(b.dir, "log"))
	if err != nil {
		return err
	}
	defer log.Close()
	b.server.Stderr = log
	if err := b.server.Start(); err != nil {
		return err
	}
	for time.Since(began) < time.Minute {
		resp, err := http.Get("http://" + b.admin + "/readyz")
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				b.started = append(b.started, time.Since(began))
				return nil
			}
		}
		time.Sleep(2 * time.Millisecond)
	}
	return fmt.Errorf("the server is not ready; its log is %s", log.Name())
}

func (b *bench) restart() error {
	_ = b.server.Process.Signal(syscall.SIGTERM)
	_ = b.server.Wait()
	return b.start()
}

// memory is the resident memory of the server in MiB.
func (b *bench) memory() (int, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", b.server.Process.Pid))
	if err != nil {
		return 0, err
	}
	for _, line := range strings.Split(string(text), "\n") {
		var kib int
		if _, err := fmt.Sscanf(line, "VmRSS: %d kB", &kib); err == nil {
			return kib >> 10, nil
		}
	}
	return 0, fmt.Errorf("no VmRSS")
}

func (b *bench) run(services, policies int) error {
	var err error
	if b.dir, err = os.MkdirTemp("", "latchwork-bench-"); err != nil {
		return err
	}
	for _, addr := range []*string{&b.api, &b.admin, &b.socket} {
		if *addr, err = free(); err != nil {
			return err
		}
	}
	if b.backend, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return err
	}
	go func() {
		_ = http.Serve(b.backend, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "2")
			_, _ = io.WriteString(w, "ok")
		}))
	}()
	b.say("starting")
	if err := b.start(); err != nil {
		return err
	}
	rest, err := b.memory()
	if err != nil {
		return err
	}
	var admin struct{ AccessKeyID, SecretAccessKey string }
	text, err := os.ReadFile(filepath.Join(b.dir, "data", "admin-"+account+".json"))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, &admin); err != nil {
		return err
	}
	b.creds = aws.Credentials{AccessKeyID: admin.AccessKeyID, SecretAccessKey: admin.SecretAccessKey}
	fmt.Fprintf(b.page, "# Performance\n\nWritten by `make bench` on a machine with %d processors (%s, %s). Client, proxies and backend share them, so read\nratios and not absolute figures. Medians of %d rounds of %s, in turns, with %d connections.\n\n",
		runtime.NumCPU(), runtime.GOARCH, runtime.Version(), b.rounds, b.length, b.connections)
	if err := b.proxy(); err != nil {
		return err
	}
	if err := b.functions(); err != nil {
		return err
	}
	return b.state(rest, services, policies)
}

// clients of the API.
func (b *bench) lattice() *vpclattice.Client {
	return vpclattice.New(vpclattice.Options{Region: region, BaseEndpoint: aws.String("http://" + b.api), Credentials: credentials.StaticCredentialsProvider{Value: b.creds}})
}

func (b *bench) iam() *iam.Client {
	return iam.New(iam.Options{Region: region, BaseEndpoint: aws.String("http://" + b.api), Credentials: credentials.StaticCredentialsProvider{Value: b.creds}})
}

// proxy compares the backend alone, behind nginx, and behind the gateway.
func (b *bench) proxy() error {
	ctx := context.Background()
	l := b.lattice()
	vpc := model.DefaultVPC(account, region, time.Time{}).ID
	network, err := l.CreateServiceNetwork(ctx, &vpclattice.CreateServiceNetworkInput{Name: aws.String("bench")})
	if err != nil {
		return err
	}
	if _, err := l.CreateServiceNetworkVpcAssociation(ctx, &vpclattice.CreateServiceNetworkVpcAssociationInput{ServiceNetworkIdentifier: network.Id, VpcIdentifier: &vpc}); err != nil {
		return err
	}
	port := int32(b.backend.Addr().(*net.TCPAddr).Port)
	for _, name := range []string{"open", "guarded"} {
		service, err := l.CreateService(ctx, &vpclattice.CreateServiceInput{Name: &name, CustomDomainName: aws.String(name + ".example.com")})
		if err != nil {
			return err
		}
		group, err := l.CreateTargetGroup(ctx, &vpclattice.CreateTargetGroupInput{Name: &name, Type: types.TargetGroupTypeIp, Config: &types.TargetGroupConfig{
			Port: &port, Protocol: types.TargetGroupProtocolHttp, VpcIdentifier: &vpc,
		}})
		if err != nil {
			return err
		}
		if _, err := l.RegisterTargets(ctx, &vpclattice.RegisterTargetsInput{TargetGroupIdentifier: group.Id, Targets: []types.Target{{Id: aws.String("127.0.0.1")}}}); err != nil {
			return err
		}
		if _, err := l.CreateListener(ctx, &vpclattice.CreateListenerInput{
			ServiceIdentifier: service.Id, Name: aws.String("http"), Protocol: types.ListenerProtocolHttp,
			DefaultAction: &types.RuleActionMemberForward{Value: types.ForwardAction{TargetGroups: []types.WeightedTargetGroup{{TargetGroupIdentifier: group.Id}}}},
		}); err != nil {
			return err
		}
		if _, err := l.CreateServiceNetworkServiceAssociation(ctx, &vpclattice.CreateServiceNetworkServiceAssociationInput{ServiceIdentifier: service.Id, ServiceNetworkIdentifier: network.Id}); err != nil {
			return err
		}
		if name == "guarded" {
			if err := b.guard(ctx, l, service.Id); err != nil {
				return err
			}
		}
	}
	backend := b.backend.Addr().String()
	plain := "GET /rates HTTP/1.1\r\nHost: %s\r\n\r\n"
	signed, err := b.signed("guarded.example.com")
	if err != nil {
		return err
	}
	contenders := []struct {
		name, addr, request string
		status              int
	}{
		{"backend alone", backend, fmt.Sprintf(plain, "x"), 200},
		{"nginx, proxying", "", fmt.Sprintf(plain, "x"), 200},
		{"latchwork, auth type NONE", b.socket, fmt.Sprintf(plain, "open.example.com"), 200},
		{"latchwork, anonymous, service policy", b.socket, fmt.Sprintf(plain, "guarded.example.com"), 200},
		{"latchwork, signed, service and identity policy", b.socket, signed, 200},
		{"latchwork, denied", b.socket, "DELETE /rates HTTP/1.1\r\nHost: guarded.example.com\r\n\r\n", 403},
	}
	if addr, err := b.startNginx(backend); err == nil {
		contenders[1].addr = addr
	} else {
		b.say("without nginx: %v", err)
		contenders = slices.Delete(contenders, 1, 2)
	}
	measured := make([][]result, len(contenders))
	for round := range b.rounds {
		b.say("load, round %d of %d", round+1, b.rounds)
		for i, c := range contenders {
			r, err := load(c.addr, c.request, c.status, b.connections, b.length)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			measured[i] = append(measured[i], r)
		}
	}
	fmt.Fprintf(b.page, "## Requests through the gateway\n\n| | requests/s | of the backend alone | p50 | p99 |\n|---|---|---|---|---|\n")
	for i, c := range contenders {
		var ratios []float64
		for n := range measured[i] {
			ratios = append(ratios, measured[i][n].perSecond/measured[0][n].perSecond)
		}
		fmt.Fprintf(b.page, "| %s | %.0f | %.2f | %s | %s |\n", c.name,
			median(measured[i], func(r result) float64 { return r.perSecond }), middle(ratios),
			time.Duration(median(measured[i], func(r result) float64 { return float64(r.p50) })).Round(time.Microsecond),
			time.Duration(median(measured[i], func(r result) float64 { return float64(r.p99) })).Round(time.Microsecond))
	}
	fmt.Fprintln(b.page)
	return nil
}

func (b *bench) guard(ctx context.Context, l *vpclattice.Client, id *string) error {
	document := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"vpc-lattice-svcs:Invoke","Resource":"*/rates","Condition":{"StringEquals":{"vpc-lattice-svcs:RequestMethod":"GET"}}}]}`
	if _, err := l.PutAuthPolicy(ctx, &vpclattice.PutAuthPolicyInput{ResourceIdentifier: id, Policy: &document}); err != nil {
		return err
	}
	_, err := l.UpdateService(ctx, &vpclattice.UpdateServiceInput{ServiceIdentifier: id, AuthType: types.AuthTypeAwsIam})
	return err
}

// signed is a request whose signature is good for some minutes.
func (b *bench) signed(host string) (string, error) {
	r, err := http.NewRequest(http.MethodGet, "http://"+host+"/rates", nil)
	if err != nil {
		return "", err
	}
	r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
	if err := v4.NewSigner().SignHTTP(context.Background(), b.creds, r, "UNSIGNED-PAYLOAD", "vpc-lattice-svcs", region, time.Now()); err != nil {
		return "", err
	}
	var out strings.Builder
	fmt.Fprintf(&out, "GET /rates HTTP/1.1\r\nHost: %s\r\n", host)
	_ = r.Header.Write(&out)
	return out.String() + "\r\n", nil
}

func (b *bench) startNginx(backend string) (string, error) {
	path, err := exec.LookPath("nginx")
	if err != nil {
		return "", err
	}
	addr, err := free()
	if err != nil {
		return "", err
	}
	config := fmt.Sprintf("daemon off; worker_processes 2; error_log stderr; pid %[1]s/nginx.pid; events {}\nhttp { keepalive_requests 100000000; access_log %[1]s/nginx.log; client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;\n upstream backend { server %[2]s; keepalive 64; keepalive_requests 100000000; }\n server { listen %[3]s; location / { proxy_pass http://backend; proxy_http_version 1.1; proxy_set_header Connection \"\"; } } }\n", b.dir, backend, addr)
	file := filepath.Join(b.dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return "", err
	}
	b.nginx = exec.Command(path, "-p", b.dir, "-c", file)
	if err := b.nginx.Start(); err != nil {
		return "", err
	}
	for range 500 {
		if conn, err := net.Dial("tcp", addr); err == nil {
			conn.Close()
			return addr, nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return "", fmt.Errorf("nginx does not answer")
}

// functions runs the benchmarks of the packages on the hot path.
func (b *bench) functions() error {
	b.say("functions")
	fmt.Fprintf(b.page, "## One decision, one signature\n\n`go test -bench` of the packages. The floor of a signature is the hashing that no verifier can avoid.\n\n```text\n")
	cmd := exec.Command("go", "test", "-run", "^$", "-bench", "Match|Decide|Authenticate|Verify|Floor", "-benchtime", "300ms", "-count", "3",
		"./internal/policy", "./internal/authz", "./internal/credential", "./internal/sigv4")
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("go test: %w", err)
	}
	for _, line := range strings.Split(string(out), "\n") {
		if strings.HasPrefix(line, "Benchmark") {
			fmt.Fprintln(b.page, line)
		}
	}
	fmt.Fprint(b.page, "```\n\n")
	return nil
}

// state measures start, memory and the way from a put to its enforcement, with
// little and with much state.
func (b *bench) state(rest, services, policies int) error {
	small, err := b.delay()
	if err != nil {
		return err
	}
	b.say("making %d services and %d policies", services, policies)
	if err := b.fill(services, policies); err != nil {
		return err
	}
	large, err := b.delay()
	if err != nil {
		return err
	}
	if err := b.restart(); err != nil {
		return err
	}
	grown, err := b.memory()
	if err != nil {
		return err
	}
	fmt.Fprintf(b.page, "## State\n\n| | new | %d services, %d policies |\n|---|---|---|\n", services, policies)
	fmt.Fprintf(b.page, "| start until ready | %s | %s |\n", b.started[0].Round(time.Millisecond), b.started[len(b.started)-1].Round(time.Millisecond))
	fmt.Fprintf(b.page, "| resident memory after the start | %d MiB | %d MiB |\n", rest, grown)
	fmt.Fprintf(b.page, "| `PutAuthPolicy`, stored and in force (median) | %s | %s |\n", small.Round(10*time.Microsecond), large.Round(10*time.Microsecond))
	fmt.Fprint(b.page, "\nA `PutAuthPolicy` is answered when this server enforces it: its duration is the delay from put to enforced. It holds one\nsynchronous write to the disk.\n")
	return nil
}

// delay is how long a PutAuthPolicy takes, which is answered when it is in force.
func (b *bench) delay() (time.Duration, error) {
	ctx := context.Background()
	l := b.lattice()
	list, err := l.ListServices(ctx, &vpclattice.ListServicesInput{})
	if err != nil {
		return 0, err
	}
	var took []float64
	for n := range 50 {
		document := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Sid":"s%d","Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}`, n)
		began := time.Now()
		if _, err := l.PutAuthPolicy(ctx, &vpclattice.PutAuthPolicyInput{ResourceIdentifier: list.Items[0].Id, Policy: &document}); err != nil {
			return 0, err
		}
		took = append(took, float64(time.Since(began)))
	}
	return time.Duration(middle(took)), nil
}

func (b *bench) fill(services, policies int) error {
	ctx := context.Background()
	l, i := b.lattice(), b.iam()
	var next atomic.Int64
	var mu sync.Mutex
	var failed error
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for {
				n := int(next.Add(1)) - 1
				if n >= services+policies {
					return
				}
				var err error
				if n < services {
					_, err = l.CreateService(ctx, &vpclattice.CreateServiceInput{Name: aws.String(fmt.Sprintf("service-%d", n)), AuthType: types.AuthTypeAwsIam})
				} else {
					document := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"vpc-lattice-svcs:Invoke","Resource":"arn:aws:vpc-lattice:us-west-2:123456789012:service/svc-%017d/*","Condition":{"StringEquals":{"vpc-lattice-svcs:RequestMethod":["GET","HEAD"]}}}]}`, n)
					_, err = i.CreatePolicy(ctx, &iam.CreatePolicyInput{PolicyName: aws.String(fmt.Sprintf("policy-%d", n)), PolicyDocument: &document})
				}
				if err != nil {
					mu.Lock()
					failed = err
					mu.Unlock()
					return
				}
			}
		})
	}
	wg.Wait()
	return failed
}

func median(rs []result, of func(result) float64) float64 {
	var values []float64
	for _, r := range rs {
		values = append(values, of(r))
	}
	return middle(values)
}

func middle(values []float64) float64 {
	sorted := slices.Clone(values)
	slices.Sort(sorted)
	return sorted[len(sorted)/2]
}
