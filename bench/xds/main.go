// Command xds measures the Envoy management service beside go-control-plane's own
// server and caches, in one run and in turns: what a push costs the server for each
// stream, how long it takes until every proxy has it, what an idle stream keeps, and
// how long a fleet takes to come back. Servers and clients are processes of their own,
// so that what is counted is the server's.
package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/appmesh"
	"github.com/aws/aws-sdk-go-v2/service/appmesh/types"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	cachetypes "github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	server "github.com/envoyproxy/go-control-plane/pkg/server/v3"
	"google.golang.org/grpc"
	grpccreds "google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
)

const (
	region  = "us-west-2"
	account = "123456789012"
	host    = "appmesh-envoy-management." + region + ".amazonaws.com"
	nodeARN = "arn:aws:appmesh:" + region + ":" + account + ":mesh/bench/virtualNode/front"
)

func main() {
	latchwork := flag.String("latchwork", "bin/latchwork", "the program to measure")
	streams := flag.Int("streams", 1000, "streams")
	pushes := flag.Int("pushes", 10, "pushes that are measured")
	storm := flag.Int("storm", 5000, "proxies that come back at once")
	peer := flag.String("peer", "", "be the peer: snapshot or linear")
	clusters := flag.Int("clusters", 100, "clusters of the peer")
	serve := flag.String("serve", "", "where the peer serves")
	flag.Parse()
	var err error
	if *peer != "" {
		err = runPeer(*peer, *serve, *clusters)
	} else {
		err = run(*latchwork, *streams, *pushes, *storm)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench/xds:", err)
		os.Exit(1)
	}
}

// subject is a server that is measured.
type subject struct {
	cmd   *exec.Cmd
	addr  string
	roots *x509.CertPool
	creds aws.Credentials
	// change makes the change number n: one cluster is another.
	change func(n int) error
	stop   func()
}

// result is what was measured of one subject.
type result struct {
	cpu       time.Duration // of the server, for each stream and push
	latencies []time.Duration
	bytes     int64
	resident  int64 // KiB for each stream
}

func run(latchwork string, streams, pushes, storm int) error {
	fmt.Printf("\n## Envoy management service\n\n`make bench` runs `bench/xds`: %d streams with TLS of one mesh endpoint, one cluster of 100 or of 1,000 changes, each proxy acknowledges; %d pushes. %d CPUs, shared by server and clients. The peers are go-control-plane 0.14's server with its own caches, authentication and authorization left out. CPU is the server's, by the kernel's count; of Latchwork it holds the call of the API, the store and the translation.\n\n",
		streams, pushes, runtime.NumCPU())
	fmt.Println("| server | protocol | clusters | CPU for each stream and push | ratio to Latchwork | all have it, median (worst) | bytes a stream and push | KiB a stream |\n|---|---|---|---|---|---|---|---|")
	for _, incremental := range []bool{true, false} {
		for _, clusters := range []int{100, 1000} {
			var ours result
			subjects := []string{"latchwork", "snapshot", "linear"}
			for _, kind := range subjects {
				if kind == "snapshot" && clusters == 1000 && !incremental {
					continue // minutes, and the answer is known: ten times that of 100
				}
				r, err := measure(kind, latchwork, clusters, streams, pushes, incremental)
				if err != nil {
					return fmt.Errorf("%s with %d clusters: %w", kind, clusters, err)
				}
				if kind == "latchwork" {
					ours = r
				}
				protocol := "state of the world"
				if incremental {
					protocol = "incremental"
				}
				slices.Sort(r.latencies)
				fmt.Printf("| %s | %s | %d | %.0f µs | %.1f | %d ms (%d ms) | %d | %d |\n", map[string]string{"latchwork": "Latchwork", "snapshot": "go-control-plane, SnapshotCache", "linear": "go-control-plane, LinearCache"}[kind],
					protocol, clusters, float64(r.cpu.Nanoseconds())/1000, float64(r.cpu)/float64(ours.cpu),
					r.latencies[len(r.latencies)/2].Milliseconds(), r.latencies[len(r.latencies)-1].Milliseconds(), r.bytes, r.resident)
			}
		}
	}
	return comeBack(latchwork, storm)
}

// comeBack measures a fleet that loses its server and comes back at once.
func comeBack(latchwork string, n int) error {
	s, err := startLatchwork(latchwork, 100)
	if err != nil {
		return err
	}
	defer s.stop()
	before := resident(s.cmd.Process.Pid)
	cpu := processor(s.cmd.Process.Pid)
	began := time.Now()
	f, err := connect(s, n, true)
	if err != nil {
		return err
	}
	took := time.Since(began)
	used := processor(s.cmd.Process.Pid) - cpu
	time.Sleep(2 * time.Second)
	idle := resident(s.cmd.Process.Pid)
	fmt.Printf("\nA storm: %d proxies connect at once, each with a TLS handshake, a signature, a decision and 100 clusters: all are served after %.1f s (the clients' own work on the same CPUs included), the server used %.0f µs for each. %d idle streams keep %d MiB resident (%d KiB each; the server without them %d MiB).\n",
		n, took.Seconds(), float64(used.Microseconds())/float64(n), n, idle>>10, (idle-before)/int64(n), before>>10)
	f.close()
	return nil
}

func measure(kind, latchwork string, clusters, streams, pushes int, incremental bool) (result, error) {
	var s *subject
	var err error
	if kind == "latchwork" {
		s, err = startLatchwork(latchwork, clusters)
	} else {
		s, err = startPeer(kind, clusters)
	}
	if err != nil {
		return result{}, err
	}
	defer s.stop()
	idle := resident(s.cmd.Process.Pid)
	f, err := connect(s, streams, incremental)
	if err != nil {
		return result{}, err
	}
	defer f.close()
	time.Sleep(time.Second)
	r := result{resident: (resident(s.cmd.Process.Pid) - idle) / int64(streams)}
	for n := range 2 { // warm
		if _, err := f.push(s, n); err != nil {
			return r, err
		}
	}
	received := f.bytes.Load()
	cpu := processor(s.cmd.Process.Pid)
	for n := range pushes {
		took, err := f.push(s, n+2)
		if err != nil {
			return r, err
		}
		r.latencies = append(r.latencies, took)
	}
	r.cpu = (processor(s.cmd.Process.Pid) - cpu) / time.Duration(pushes*streams)
	r.bytes = (f.bytes.Load() - received) / int64(pushes*streams)
	return r, nil
}

// fleet is many proxies.
type fleet struct {
	connections []*grpc.ClientConn
	// got counts the responses of each push.
	got   chan struct{}
	bytes atomic.Int64
	err   atomic.Pointer[error]
}

func (f *fleet) close() {
	for _, c := range f.connections {
		c.Close()
	}
}

// push makes a change, and returns when every proxy has it.
func (f *fleet) push(s *subject, n int) (time.Duration, error) {
	began := time.Now()
	failed := make(chan error, 1)
	go func() {
		if err := s.change(n); err != nil {
			failed <- err
		}
	}()
	deadline := time.After(2 * time.Minute)
	for range f.connections {
		select {
		case <-f.got:
		case err := <-failed:
			return 0, err
		case <-deadline:
			return 0, errors.New("a push did not come")
		}
	}
	took := time.Since(began)
	time.Sleep(100 * time.Millisecond) // the acknowledgements
	return took, nil
}

// connect opens n streams on connections of their own, and waits until each has its
// first response.
func connect(s *subject, n int, incremental bool) (*fleet, error) {
	f := &fleet{got: make(chan struct{}, n)}
	gate := make(chan struct{}, 64)
	var wg sync.WaitGroup
	errs := make(chan error, n)
	var mu sync.Mutex
	for range n {
		wg.Go(func() {
			gate <- struct{}{}
			defer func() { <-gate }()
			c, err := grpc.NewClient(s.addr, grpc.WithAuthority(host), grpc.WithReadBufferSize(4<<10), grpc.WithWriteBufferSize(4<<10),
				grpc.WithTransportCredentials(grpccreds.NewTLS(&tls.Config{RootCAs: s.roots, ServerName: host})), grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)))
			if err != nil {
				errs <- err
				return
			}
			mu.Lock()
			f.connections = append(f.connections, c)
			mu.Unlock()
			first := make(chan error, 1)
			go f.follow(discovery.NewAggregatedDiscoveryServiceClient(c), s.creds, incremental, first)
			if err := <-first; err != nil {
				errs <- err
			}
		})
	}
	wg.Wait()
	close(errs)
	if err := <-errs; err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

// follow is one proxy: it takes and acknowledges clusters.
func (f *fleet) follow(c discovery.AggregatedDiscoveryServiceClient, creds aws.Credentials, incremental bool, first chan<- error) {
	node := &core.Node{Id: nodeARN, Cluster: "bench"}
	begun := false
	note := func(m proto.Message) {
		f.bytes.Add(int64(proto.Size(m)))
		if begun {
			f.got <- struct{}{}
		}
		if !begun {
			begun = true
			first <- nil
		}
	}
	fail := func(err error) {
		if !begun {
			first <- err
		}
	}
	ctx := signed(creds, incremental)
	if incremental {
		s, err := c.DeltaAggregatedResources(ctx)
		if err != nil {
			fail(err)
			return
		}
		if err := s.Send(&discovery.DeltaDiscoveryRequest{Node: node, TypeUrl: resource.ClusterType, ResourceNamesSubscribe: []string{"*"}}); err != nil && !errors.Is(err, io.EOF) {
			fail(err)
			return
		}
		for {
			r, err := s.Recv()
			if err != nil {
				fail(err)
				return
			}
			_ = s.Send(&discovery.DeltaDiscoveryRequest{TypeUrl: resource.ClusterType, ResponseNonce: r.GetNonce()})
			note(r)
		}
	}
	s, err := c.StreamAggregatedResources(ctx)
	if err != nil {
		fail(err)
		return
	}
	if err := s.Send(&discovery.DiscoveryRequest{Node: node, TypeUrl: resource.ClusterType}); err != nil && !errors.Is(err, io.EOF) {
		fail(err)
		return
	}
	for {
		r, err := s.Recv()
		if err != nil {
			fail(err)
			return
		}
		_ = s.Send(&discovery.DiscoveryRequest{TypeUrl: resource.ClusterType, VersionInfo: r.GetVersionInfo(), ResponseNonce: r.GetNonce()})
		note(r)
	}
}

// signed is a context with a signature, as an Envoy makes it; without keys there is
// none.
func signed(creds aws.Credentials, incremental bool) context.Context {
	if creds.AccessKeyID == "" {
		return context.Background()
	}
	method := discovery.AggregatedDiscoveryService_StreamAggregatedResources_FullMethodName
	if incremental {
		method = discovery.AggregatedDiscoveryService_DeltaAggregatedResources_FullMethodName
	}
	r, err := http.NewRequest("POST", "https://"+host+method, nil)
	if err != nil {
		panic(err)
	}
	const payload = "UNSIGNED-PAYLOAD"
	r.Header.Set("X-Amz-Content-Sha256", payload)
	if err := v4.NewSigner().SignHTTP(context.Background(), creds, r, payload, "appmesh", region, time.Now()); err != nil {
		panic(err)
	}
	md := metadata.MD{}
	for _, name := range []string{"Authorization", "X-Amz-Date", "X-Amz-Content-Sha256"} {
		md.Set(name, r.Header.Get(name))
	}
	return metadata.NewOutgoingContext(context.Background(), md)
}

func free() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// startLatchwork starts a server with a mesh in which one virtual node has so many
// backends.
func startLatchwork(path string, clusters int) (*subject, error) {
	dir, err := os.MkdirTemp("", "bench-xds")
	if err != nil {
		return nil, err
	}
	addrs := make([]string, 4)
	for i := range addrs {
		if addrs[i], err = free(); err != nil {
			return nil, err
		}
	}
	_, port, _ := net.SplitHostPort(addrs[3])
	config := filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(config, []byte("max-proxies: 100000\nproxy-authorization: required\nmesh-quotas:\n  virtual-nodes: 5000\n  virtual-services: 5000\n  backends: 5000\n"), 0o600); err != nil {
		return nil, err
	}
	cmd := exec.Command(path, "server", "--config", config, "--data-dir", filepath.Join(dir, "data"), "--api-addr", addrs[0], "--admin-addr", addrs[1], "--ems-addr", addrs[2], "--gateway-ports", port+"=80")
	cmd.Stderr = nil
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &subject{cmd: cmd, addr: addrs[2], roots: x509.NewCertPool()}
	s.stop = func() { _ = cmd.Process.Kill(); _ = cmd.Wait(); os.RemoveAll(dir) }
	for range 300 {
		if r, err := http.Get("http://" + addrs[1] + "/readyz"); err == nil {
			r.Body.Close()
			if r.StatusCode == 200 {
				break
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	ca, err := os.ReadFile(filepath.Join(dir, "data", "ca.pem"))
	if err != nil {
		s.stop()
		return nil, err
	}
	s.roots.AppendCertsFromPEM(ca)
	text, err := os.ReadFile(filepath.Join(dir, "data", "admin-"+account+".json"))
	if err != nil {
		s.stop()
		return nil, err
	}
	var admin struct{ AccessKeyID, SecretAccessKey string }
	if err := json.Unmarshal(text, &admin); err != nil {
		s.stop()
		return nil, err
	}
	s.creds = aws.Credentials{AccessKeyID: admin.AccessKeyID, SecretAccessKey: admin.SecretAccessKey}
	mesh := appmesh.New(appmesh.Options{Region: region, BaseEndpoint: aws.String("http://" + addrs[0]), Credentials: credentials.StaticCredentialsProvider{Value: s.creds}})
	if err := fill(mesh, clusters); err != nil {
		s.stop()
		return nil, err
	}
	s.change = func(n int) error {
		_, err := mesh.UpdateVirtualNode(context.Background(), &appmesh.UpdateVirtualNodeInput{MeshName: aws.String("bench"), VirtualNodeName: aws.String("n0"), Spec: spec(0, n+1)})
		return err
	}
	return s, nil
}

// spec is a virtual node; a change of its health check changes one cluster of its
// callers.
func spec(i, n int) *types.VirtualNodeSpec {
	return &types.VirtualNodeSpec{
		Listeners: []types.Listener{{
			PortMapping: &types.PortMapping{Port: aws.Int32(8080), Protocol: types.PortProtocolHttp},
			HealthCheck: &types.HealthCheckPolicy{
				Protocol: types.PortProtocolHttp, Path: aws.String("/ping"), HealthyThreshold: aws.Int32(2), UnhealthyThreshold: aws.Int32(2),
				TimeoutMillis: aws.Int64(2000), IntervalMillis: aws.Int64(5000 + int64(n)),
			},
		}},
		ServiceDiscovery: &types.ServiceDiscoveryMemberDns{Value: types.DnsServiceDiscovery{Hostname: aws.String(fmt.Sprintf("n%d.bench.local", i))}},
	}
}

func fill(mesh *appmesh.Client, clusters int) error {
	ctx, name := context.Background(), aws.String("bench")
	if _, err := mesh.CreateMesh(ctx, &appmesh.CreateMeshInput{MeshName: name}); err != nil {
		return err
	}
	front := &types.VirtualNodeSpec{}
	for i := range clusters {
		node, service := fmt.Sprintf("n%d", i), fmt.Sprintf("s%d.bench.local", i)
		if _, err := mesh.CreateVirtualNode(ctx, &appmesh.CreateVirtualNodeInput{MeshName: name, VirtualNodeName: &node, Spec: spec(i, 0)}); err != nil {
			return err
		}
		if _, err := mesh.CreateVirtualService(ctx, &appmesh.CreateVirtualServiceInput{MeshName: name, VirtualServiceName: &service, Spec: &types.VirtualServiceSpec{
			Provider: &types.VirtualServiceProviderMemberVirtualNode{Value: types.VirtualNodeServiceProvider{VirtualNodeName: &node}},
		}}); err != nil {
			return err
		}
		front.Backends = append(front.Backends, &types.BackendMemberVirtualService{Value: types.VirtualServiceBackend{VirtualServiceName: &service}})
	}
	_, err := mesh.CreateVirtualNode(ctx, &appmesh.CreateVirtualNodeInput{MeshName: name, VirtualNodeName: aws.String("front"), Spec: front})
	return err
}

// startPeer starts this program again, as a peer.
func startPeer(kind string, clusters int) (*subject, error) {
	addr, err := free()
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, "-peer", kind, "-serve", addr, "-clusters", strconv.Itoa(clusters))
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &subject{cmd: cmd, addr: addr, roots: x509.NewCertPool()}
	s.stop = func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }
	var certificate string
	if err := json.NewDecoder(out).Decode(&certificate); err != nil {
		s.stop()
		return nil, err
	}
	s.roots.AppendCertsFromPEM([]byte(certificate))
	s.change = func(n int) error { _, err := fmt.Fprintln(in, n); return err }
	return s, nil
}

// runPeer is go-control-plane's server with one of its caches. Each line of standard
// input is a change of one cluster.
func runPeer(kind, addr string, clusters int) error {
	set := make([]cachetypes.Resource, clusters)
	for i := range set {
		set[i] = cluster(i, 0)
	}
	var c cache.Cache
	var change func(n int) error
	switch kind {
	case "snapshot":
		// One snapshot for all proxies, as they stand for one endpoint.
		snapshots := cache.NewSnapshotCache(true, oneNode{}, nil)
		version := 0
		change = func(n int) error {
			version++
			set[0] = cluster(0, n)
			snapshot, err := cache.NewSnapshot(strconv.Itoa(version), map[resource.Type][]cachetypes.Resource{resource.ClusterType: set})
			if err != nil {
				return err
			}
			return snapshots.SetSnapshot(context.Background(), "front", snapshot)
		}
		c = snapshots
	case "linear":
		initial := map[string]cachetypes.Resource{}
		for i := range set {
			initial[cluster(i, 0).Name] = set[i]
		}
		linear := cache.NewLinearCache(resource.ClusterType, cache.WithInitialResources(initial))
		change = func(n int) error { return linear.UpdateResource(cluster(0, n).Name, cluster(0, n)) }
		c = &cache.MuxCache{Classify: func(*cache.Request) string { return "c" }, ClassifyDelta: func(*cache.DeltaRequest) string { return "c" }, Caches: map[string]cache.Cache{"c": linear}}
	}
	if err := change(0); err != nil {
		return err
	}
	certificate, text, err := selfSigned()
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	g := grpc.NewServer(grpc.Creds(grpccreds.NewTLS(&tls.Config{Certificates: []tls.Certificate{certificate}})),
		grpc.ReadBufferSize(4<<10), grpc.WriteBufferSize(16<<10),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}))
	discovery.RegisterAggregatedDiscoveryServiceServer(g, server.NewServer(context.Background(), c, nil))
	go func() {
		var n int
		for {
			if _, err := fmt.Scanln(&n); err != nil {
				g.Stop()
				return
			}
			if err := change(n + 1); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
		}
	}()
	if err := json.NewEncoder(os.Stdout).Encode(text); err != nil {
		return err
	}
	return g.Serve(l)
}

type oneNode struct{}

// ID implements cache.NodeHash.
func (oneNode) ID(*core.Node) string { return "front" }

// cluster is as large as one of Latchwork's.
func cluster(i, n int) *clusterv3.Cluster {
	name := fmt.Sprintf("cds_egress_bench_n%d_http_8080", i)
	limit := &clusterv3.CircuitBreakers_Thresholds{}
	return &clusterv3.Cluster{
		Name: name, ConnectTimeout: durationpb.New(time.Second),
		ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_LOGICAL_DNS},
		AltStatName:          strings.Repeat("x", 400), // what Latchwork's have of metadata, limits and endpoints
		CircuitBreakers:      &clusterv3.CircuitBreakers{Thresholds: []*clusterv3.CircuitBreakers_Thresholds{limit, limit}},
		HealthChecks: []*core.HealthCheck{{
			Timeout: durationpb.New(2 * time.Second), Interval: durationpb.New(5*time.Second + time.Duration(n)*time.Millisecond),
			HealthChecker: &core.HealthCheck_HttpHealthCheck_{HttpHealthCheck: &core.HealthCheck_HttpHealthCheck{Path: "/ping", Host: fmt.Sprintf("n%d.bench.local", i)}},
		}},
	}
}

func selfSigned() (tls.Certificate, string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, "", err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, "", err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), nil
}

// processor is how long a process has used a CPU.
func processor(pid int) time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+2:]))
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond
}

// resident is how much memory a process has, in KiB.
func resident(pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return n
		}
	}
	return 0
}
