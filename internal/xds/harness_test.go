package xds

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/smithy-go/aws-http-auth/credentials"
	"github.com/aws/smithy-go/aws-http-auth/sigv4a"
	httpauth "github.com/aws/smithy-go/aws-http-auth/v4"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/latchwork/latchwork/internal/audit"
	"github.com/latchwork/latchwork/internal/credential"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/sigv4"
	"github.com/latchwork/latchwork/internal/snapshot"
	"github.com/latchwork/latchwork/internal/store"
	"github.com/latchwork/latchwork/internal/store/etcd"
	wire "github.com/latchwork/latchwork/internal/wire/appmesh"
	"github.com/latchwork/latchwork/internal/xds/translate"
)

const (
	account = "123456789012"
	other   = "222222222222"
	region  = "us-west-2"
	host    = "ems.example"
)

// world is a management service with a store, and users named after what they may
// read: each has the access key AKIA and its name, and the secret "secret".
type world struct {
	t      testing.TB
	store  *store.Store
	pub    *snapshot.Publisher
	server *Server
	tokens *credential.Tokens
	addr   string
	now    atomic.Int64 // what is added to the clock
}

func newWorld(t testing.TB, change func(*Config, *snapshot.Settings)) *world {
	t.Helper()
	backend, err := etcd.Start(t.Context(), etcd.Embedded{Dir: t.TempDir(), Prefix: "t/", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ring, err := credential.OpenKeyRing(t.TempDir() + "/key")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, store: store.New(backend), tokens: credential.NewTokens(ring)}
	clock := func() time.Time { return time.Now().Add(time.Duration(w.now.Load())) }
	settings := snapshot.Settings{
		Partition: "aws", DefaultAccount: account,
		Accounts: map[string]snapshot.Account{
			account: {ID: account, ProxyAuthorization: snapshot.ProxyAuthorizationRequired},
			other:   {ID: other, ProxyAuthorization: snapshot.ProxyAuthorizationRequired},
		},
	}
	cfg := Config{
		Authenticator: &credential.Authenticator{Tokens: w.tokens, Verifier: sigv4.NewVerifier()},
		Audit:         audit.NewWriter("audit log", nil, slog.New(slog.DiscardHandler)), Clock: clock, Log: slog.New(slog.DiscardHandler),
		Partition: "aws", Region: region, DefaultAccount: account, Hostnames: []string{host},
		Certificates: func(string) translate.Certificates { return nil },
	}
	if change != nil {
		change(&cfg, &settings)
	}
	w.pub = snapshot.NewPublisher(snapshot.Config{
		Backend: backend, Settings: settings, OpenSecret: func(*model.AccessKey) ([]byte, error) { return []byte("secret"), nil },
		Clock: clock, Log: slog.New(slog.DiscardHandler),
	})
	cfg.Publisher = w.pub
	w.server = New(cfg)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w.addr = l.Addr().String()
	running, stop := context.WithCancel(context.Background())
	publishing, end := context.WithCancel(context.Background())
	done := make(chan error, 3)
	go func() { done <- w.pub.Run(publishing) }()
	go func() { done <- w.server.Run(running) }()
	go func() { done <- w.server.Serve(l) }()
	t.Cleanup(func() {
		stop()
		<-done
		<-done
		end()
		<-done
		if err := backend.Close(); err != nil {
			t.Error(err)
		}
	})
	w.change(func(tx *store.Tx) error {
		return errors.Join(model.Meshes.Put(tx, model.MeshKey(account, region, "m"), &model.Mesh{MeshMeta: inMesh(account, "", "m")}))
	})
	return w
}

func inMesh(owner, path, name string) model.MeshMeta {
	m := model.MeshMeta{Mesh: "m", MeshOwner: account, Version: 1}
	m.Name, m.Account, m.Region = name, owner, region
	m.ARN = model.Scope{Partition: "aws", Account: owner, Region: region}.ARN(model.MeshService, "mesh/m"+path)
	return m
}

func arn(name string) string {
	return "arn:aws:appmesh:" + region + ":" + account + ":mesh/m/virtualNode/" + name
}

func (w *world) change(fn func(tx *store.Tx) error) store.Revision {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	revision, err := w.store.Update(ctx, fn)
	if err == nil {
		err = w.pub.WaitFor(ctx, revision)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return revision
}

// node makes or changes a virtual node that listens on a port.
func (w *world) node(name string, port int64, backends ...string) store.Revision {
	w.t.Helper()
	spec := &wire.VirtualNodeSpec{
		Listeners:        []wire.Listener{{PortMapping: &wire.PortMapping{Port: &port, Protocol: new("http")}}},
		ServiceDiscovery: &wire.ServiceDiscovery{Dns: &wire.DnsServiceDiscovery{Hostname: new(name + ".local")}},
	}
	for _, b := range backends {
		spec.Backends = append(spec.Backends, wire.Backend{VirtualService: &wire.VirtualServiceBackend{VirtualServiceName: &b}})
	}
	return w.change(func(tx *store.Tx) error {
		return model.VirtualNodes.Put(tx, model.MeshKey(account, region, "m", name), &model.VirtualNode{MeshMeta: inMesh(account, "/virtualNode/"+name, name), Spec: spec})
	})
}

// user makes a user who may read mesh endpoints.
func (w *world) user(owner, name string, resources ...string) {
	w.t.Helper()
	w.change(func(tx *store.Tx) error {
		meta := model.Meta{ID: "AIDA" + name, ARN: "arn:aws:iam::" + owner + ":user/" + name, Name: name, Account: owner}
		u := &model.User{Meta: meta, Path: "/"}
		if len(resources) > 0 {
			u.Inline = map[string]string{"p": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"appmesh:StreamAggregatedResources","Resource":["` + strings.Join(resources, `","`) + `"]}]}`}
		}
		return errors.Join(
			model.Users.Put(tx, model.IAMKey(owner, name), u),
			model.AccessKeys.Put(tx, "AKIA"+name, &model.AccessKey{Meta: model.Meta{ID: "AKIA" + name, Account: owner}, User: name, UserID: meta.ID, Sealed: []byte("x"), Active: true}),
		)
	})
}

// dial connects a client of its own.
func (w *world) dial(options ...grpc.DialOption) discovery.AggregatedDiscoveryServiceClient {
	w.t.Helper()
	c, err := grpc.NewClient(w.addr, append(options, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithAuthority(host))...)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.Close() })
	return discovery.NewAggregatedDiscoveryServiceClient(c)
}

// signed is a context that carries a signature, as Envoys make it.
func signed(t testing.TB, creds aws.Credentials, delta bool, at time.Time) context.Context {
	t.Helper()
	method := discovery.AggregatedDiscoveryService_StreamAggregatedResources_FullMethodName
	if delta {
		method = discovery.AggregatedDiscoveryService_DeltaAggregatedResources_FullMethodName
	}
	r, err := http.NewRequest("POST", "https://"+host+method, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Amz-Content-Sha256", sigv4.UnsignedPayload)
	if err := v4.NewSigner().SignHTTP(context.Background(), creds, r, sigv4.UnsignedPayload, "appmesh", region, at); err != nil {
		t.Fatal(err)
	}
	return carrying(t, r)
}

// signedFor is signed with SigV4A, for a set of regions.
func signedFor(t testing.TB, creds aws.Credentials, set string) context.Context {
	t.Helper()
	r, err := http.NewRequest("POST", "https://"+host+discovery.AggregatedDiscoveryService_StreamAggregatedResources_FullMethodName, nil)
	if err != nil {
		t.Fatal(err)
	}
	signer := sigv4a.New(func(o *httpauth.SignerOptions) { o.AddPayloadHashHeader = true })
	if err := signer.SignRequest(&sigv4a.SignRequestInput{
		Request: r, Credentials: credentials.Credentials{AccessKeyID: creds.AccessKeyID, SecretAccessKey: creds.SecretAccessKey},
		Service: "appmesh", RegionSet: []string{set}, PayloadHash: httpauth.UnsignedPayload(),
	}); err != nil {
		t.Fatal(err)
	}
	return carrying(t, r)
}

// carrying is a context that carries the signature of a request.
func carrying(t testing.TB, r *http.Request) context.Context {
	t.Helper()
	md := metadata.MD{}
	for _, name := range []string{"Authorization", "X-Amz-Date", "X-Amz-Content-Sha256", "X-Amz-Region-Set", "X-Amz-Security-Token"} {
		if v := r.Header.Get(name); v != "" {
			md.Set(name, v)
		}
	}
	ctx, cancel := context.WithTimeout(metadata.NewOutgoingContext(context.Background(), md), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func long(user string) aws.Credentials {
	return aws.Credentials{AccessKeyID: "AKIA" + user, SecretAccessKey: "secret"}
}

type sotwStream = discovery.AggregatedDiscoveryService_StreamAggregatedResourcesClient

// open opens a stream of a user.
func (w *world) open(user string, options ...grpc.DialOption) sotwStream {
	w.t.Helper()
	s, err := w.dial(options...).StreamAggregatedResources(signed(w.t, long(user), false, time.Now()))
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

func send(t testing.TB, s sotwStream, r *discovery.DiscoveryRequest) {
	t.Helper()
	if err := s.Send(r); err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
}

func node(id string) *core.Node { return &core.Node{Id: id, Cluster: "c"} }

func first(id string, k kind) *discovery.DiscoveryRequest {
	return &discovery.DiscoveryRequest{Node: node(id), TypeUrl: typeURLs[k]}
}

func receiveOne(t testing.TB, s sotwStream) *discovery.DiscoveryResponse {
	t.Helper()
	r, err := s.Recv()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func ack(r *discovery.DiscoveryResponse) *discovery.DiscoveryRequest {
	return &discovery.DiscoveryRequest{TypeUrl: r.GetTypeUrl(), VersionInfo: r.GetVersionInfo(), ResponseNonce: r.GetNonce()}
}

// ended waits for the end of a stream, and checks how it ends.
func ended(t testing.TB, s sotwStream, code codes.Code, text string) {
	t.Helper()
	for {
		_, err := s.Recv()
		if err == nil {
			continue
		}
		if errors.Is(err, io.EOF) {
			err = nil
		}
		if status.Code(err) != code || !strings.Contains(status.Convert(err).Message(), text) {
			t.Errorf("the stream ended with %v, want %s %q", err, code, text)
		}
		return
	}
}

func until(t testing.TB, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("not within 20 s: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
