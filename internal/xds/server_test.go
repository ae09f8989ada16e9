package xds

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	rpc "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/latchwork/latchwork/internal/audit"
	"github.com/latchwork/latchwork/internal/credential"
	"github.com/latchwork/latchwork/internal/identity"
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
	md := metadata.MD{}
	for _, name := range []string{"Authorization", "X-Amz-Date", "X-Amz-Content-Sha256", "X-Amz-Security-Token"} {
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

// TestRefusals: what is wrong with a stream is said in its status, and nothing is
// sent on it.
func TestRefusals(t *testing.T) {
	w := newWorld(t, nil)
	w.node("a", 80)
	w.user(account, "a", arn("a"))
	w.user(other, "b", "*")
	foreign := "arn:aws:appmesh:eu-west-1:" + account + ":mesh/m/virtualNode/a"
	w.user(account, "all", "*")
	for _, test := range []struct {
		name, user string
		requests   []*discovery.DiscoveryRequest
		code       codes.Code
		text       string
	}{
		{"no node", "a", []*discovery.DiscoveryRequest{{TypeUrl: typeURLs[clusters]}}, codes.InvalidArgument, "must name its node"},
		{"no endpoint", "a", []*discovery.DiscoveryRequest{first("x", clusters)}, codes.InvalidArgument, `node.id "x" is not the ARN of a virtual node`},
		{"a router", "a", []*discovery.DiscoveryRequest{first("mesh/m/virtualRouter/r", clusters)}, codes.InvalidArgument, "is not the ARN"},
		{"no type", "a", []*discovery.DiscoveryRequest{{Node: node(arn("a"))}}, codes.InvalidArgument, "must have a type_url"},
		{"unknown type", "a", []*discovery.DiscoveryRequest{{Node: node(arn("a")), TypeUrl: "type.googleapis.com/x.Y"}}, codes.InvalidArgument, "no resources of type"},
		{"another node later", "all", []*discovery.DiscoveryRequest{first("mesh/m/virtualNode/a", listeners), first("mesh/m/virtualNode/b", clusters)}, codes.InvalidArgument, "must stay the same"},
		{"of another account", "b", []*discovery.DiscoveryRequest{first(arn("a"), clusters)}, codes.PermissionDenied, "Unauthorized to perform appmesh:StreamAggregatedResources for " + arn("a") + "."},
		{"of another endpoint", "a", []*discovery.DiscoveryRequest{first(arn("b"), clusters)}, codes.PermissionDenied, "Unauthorized to perform appmesh:StreamAggregatedResources for " + arn("b") + "."},
		{"not there", "all", []*discovery.DiscoveryRequest{first(arn("b"), clusters)}, codes.InvalidArgument, "No Virtual Node with name b found in mesh m."},
		{"no gateway", "all", []*discovery.DiscoveryRequest{first("mesh/m/virtualGateway/b", clusters)}, codes.InvalidArgument, "No Virtual Gateway with name b found in mesh m."},
		{"another region", "all", []*discovery.DiscoveryRequest{first(foreign, clusters)}, codes.Unauthenticated, textRegion},
		{"bad metadata", "a", []*discovery.DiscoveryRequest{{Node: &core.Node{Id: arn("a"), Metadata: metadataOf("x")}, TypeUrl: typeURLs[clusters]}}, codes.InvalidArgument, "must be transparent or explicit"},
		{"too many names", "a", []*discovery.DiscoveryRequest{{Node: node(arn("a")), TypeUrl: typeURLs[routes], ResourceNames: manyNames}}, codes.ResourceExhausted, "too many names"},
		{"huge", "a", []*discovery.DiscoveryRequest{{Node: node(arn("a") + strings.Repeat("x", 4<<20)), TypeUrl: typeURLs[routes]}}, codes.ResourceExhausted, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := w.open(test.user)
			for _, r := range test.requests {
				send(t, s, r)
			}
			ended(t, s, test.code, test.text)
		})
	}
	until(t, "no stream is left", func() bool { return w.server.Counts().Streams == 0 })
	list := w.server.Refused(account)
	if !slices.ContainsFunc(list, func(a Attempt) bool {
		return a.Endpoint == arn("b") && a.Code == int(codes.PermissionDenied) && a.Explanation != nil && !a.Explanation.Allowed
	}) {
		t.Errorf("the refusals do not tell of %s: %+v", arn("b"), list)
	}
	for _, a := range w.server.Refused(other) {
		if a.Account == account || strings.Contains(a.Principal, account) {
			t.Errorf("another account is told of %+v", a)
		}
	}
}

var manyNames = func() []string {
	out := make([]string, maxNames+1)
	for i := range out {
		out[i] = fmt.Sprint(i)
	}
	return out
}()

func metadataOf(mode string) *structpb.Struct {
	s, err := structpb.NewStruct(map[string]any{metadataNamespace: map[string]any{metadataInterception: mode}})
	if err != nil {
		panic(err)
	}
	return s
}

// TestSignatures: an unsigned stream is refused before anything is read, and a
// signature is good for five minutes.
func TestSignatures(t *testing.T) {
	w := newWorld(t, func(c *Config, _ *snapshot.Settings) { c.FirstRequest = 300 * time.Millisecond })
	w.node("a", 80)
	w.user(account, "a", arn("a"))
	plain, err := w.dial().StreamAggregatedResources(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	ended(t, plain, codes.Unauthenticated, textMissingToken)
	old, err := w.dial().StreamAggregatedResources(signed(t, long("a"), false, time.Now().Add(-6*time.Minute)))
	if err != nil {
		t.Fatal(err)
	}
	ended(t, old, codes.Unauthenticated, "Signature expired")
	wrong, err := w.dial().StreamAggregatedResources(signed(t, aws.Credentials{AccessKeyID: "AKIAa", SecretAccessKey: "wrong"}, false, time.Now()))
	if err != nil {
		t.Fatal(err)
	}
	ended(t, wrong, codes.Unauthenticated, "does not match the signature you provided")
	basic, err := w.dial().StreamAggregatedResources(metadata.AppendToOutgoingContext(context.Background(), "authorization", "Basic eDp5"))
	if err != nil {
		t.Fatal(err)
	}
	ended(t, basic, codes.Unauthenticated, textMissingToken)
	ended(t, w.open("a"), codes.DeadlineExceeded, "no request came")
	c, err := grpc.NewClient(w.addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	err = c.Invoke(signed(t, long("a"), false, time.Now()), "/envoy.service.discovery.v3.AggregatedDiscoveryService/Other", &discovery.DiscoveryRequest{}, &discovery.DiscoveryResponse{})
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("another method: %v", err)
	}
}

// TestServed: a proxy is sent its configuration, then what changes, and is in step
// when it has acknowledged.
func TestServed(t *testing.T) {
	w := newWorld(t, nil)
	w.node("a", 80)
	w.user(account, "a", arn("a"))
	s := w.open("a")
	send(t, s, first("mesh/m/virtualNode/a", clusters))
	cds := receiveOne(t, s)
	send(t, s, ack(cds))
	send(t, s, first("mesh/m/virtualNode/a", listeners))
	lds := receiveOne(t, s)
	send(t, s, ack(lds))
	if len(cds.GetResources()) == 0 || len(lds.GetResources()) == 0 {
		t.Fatalf("%d clusters, %d listeners", len(cds.GetResources()), len(lds.GetResources()))
	}
	step := func() Proxy { return w.server.Proxies(account)[0] }
	until(t, "the proxy is in step", func() bool { return step().InStep })
	p := step()
	if !p.Authorized || p.Endpoint != arn("a") || p.Explanation == nil || !p.Explanation.Allowed || len(w.server.Proxies(other)) != 0 {
		t.Errorf("%+v", p)
	}
	revision := w.node("a", 81)
	// The change is in force, whether the service has got to it or not.
	if step().InStep {
		t.Error("a proxy that nothing was sent to yet is in step")
	}
	cds = receiveOne(t, s)
	if step().InStep {
		t.Error("a proxy that has not acknowledged is in step")
	}
	// NACKs do not loop: it is sent the next version only.
	nack := ack(cds)
	nack.ErrorDetail = &rpc.Status{Message: "no such cluster"}
	for range 5 {
		send(t, s, nack)
	}
	until(t, "the rejection is known", func() bool { return len(step().Rejected) > 0 })
	if p := step(); p.Rejected[typeURLs[clusters]] != "no such cluster" || p.Rejections != 1 || p.InStep {
		t.Errorf("%+v", p)
	}
	lds = receiveOne(t, s)
	send(t, s, ack(lds))
	pushes := w.server.Counts().Pushes["cds"]
	w.node("a", 82)
	// The old cluster goes when the listeners no longer refer to it.
	var types []string
	for range 3 {
		r := receiveOne(t, s)
		types = append(types, r.GetTypeUrl())
		send(t, s, ack(r))
	}
	if !slices.Equal(types, []string{typeURLs[clusters], typeURLs[listeners], typeURLs[clusters]}) {
		t.Errorf("the order is %v", types)
	}
	until(t, "the proxy is in step again", func() bool { return step().InStep && step().Revision > revision })
	if n := w.server.Counts().Pushes["cds"]; n != pushes+2 {
		t.Errorf("%d responses for one change", n-pushes)
	}
	if w.server.Counts().Rejections != 1 {
		t.Errorf("%d rejections", w.server.Counts().Rejections)
	}
}

// TestClustersFirst: what refers to clusters is not sent before the proxy has answered
// for them, and what makes them warm is.
func TestClustersFirst(t *testing.T) {
	w := newWorld(t, nil)
	w.node("a", 80)
	w.user(account, "a", arn("a"))
	s := w.open("a")
	for _, k := range []kind{clusters, listeners} {
		send(t, s, first(arn("a"), k))
		send(t, s, ack(receiveOne(t, s)))
	}
	w.node("a", 81)
	cds := receiveOne(t, s)
	send(t, s, &discovery.DiscoveryRequest{TypeUrl: typeURLs[assignments], ResourceNames: []string{"x"}})
	eds := receiveOne(t, s)
	send(t, s, ack(cds))
	lds := receiveOne(t, s)
	for k, r := range map[kind]*discovery.DiscoveryResponse{clusters: cds, assignments: eds, listeners: lds} {
		if r.GetTypeUrl() != typeURLs[k] {
			t.Errorf("%s came in the place of %s", r.GetTypeUrl(), typeURLs[k])
		}
	}
}

// TestGrantLost: whatever a stream rests on, it ends when that goes, and no other
// stream does.
func TestGrantLost(t *testing.T) {
	w := newWorld(t, nil)
	w.node("a", 80)
	w.node("b", 80)
	keep := func() sotwStream {
		s := w.open("keep")
		send(t, s, first(arn("b"), clusters))
		send(t, s, ack(receiveOne(t, s)))
		return s
	}
	w.user(account, "keep", arn("b"))
	kept := keep()
	for name, lose := range map[string]func(){
		"policy": func() { w.user(account, "a", arn("b")) },
		"user": func() {
			w.change(func(tx *store.Tx) error { return model.Users.Delete(tx, model.IAMKey(account, "a")) })
		},
		"key": func() {
			w.change(func(tx *store.Tx) error {
				k, err := model.AccessKeys.Get(tx, "AKIAa")
				if err != nil {
					return err
				}
				k.Active = false
				return model.AccessKeys.Put(tx, "AKIAa", k)
			})
		},
		"node": func() {
			w.change(func(tx *store.Tx) error {
				return model.VirtualNodes.Delete(tx, model.MeshKey(account, region, "m", "a"))
			})
		},
	} {
		w.node("a", 80)
		w.user(account, "a", arn("a"))
		s := w.open("a")
		send(t, s, first(arn("a"), clusters))
		receiveOne(t, s)
		lose()
		switch name {
		case "key", "user":
			ended(t, s, codes.Unauthenticated, "The security token included in the request is invalid.")
		case "node":
			ended(t, s, codes.InvalidArgument, "No Virtual Node with name a found in mesh m.")
		default:
			ended(t, s, codes.PermissionDenied, "Unauthorized to perform")
		}
	}
	w.node("b", 81)
	if r := receiveOne(t, kept); r.GetTypeUrl() != typeURLs[clusters] {
		t.Errorf("the other stream got %v", r)
	}
}

// TestSessionExpires: a stream ends with the session that it rests on, and its proxy
// is to come back.
func TestSessionExpires(t *testing.T) {
	w := newWorld(t, nil)
	w.node("a", 80)
	role := "arn:aws:iam::" + account + ":role/r"
	w.change(func(tx *store.Tx) error {
		r := &model.Role{Meta: model.Meta{ID: "AROAr", ARN: role, Name: "r", Account: account}, Trust: `{"Statement":[]}`}
		r.Inline = map[string]string{"p": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"appmesh:*","Resource":"*"}]}`}
		return model.Roles.Put(tx, model.IAMKey(account, "r"), r)
	})
	end := time.Now().Add(1500 * time.Millisecond)
	id, secret, token, err := w.tokens.Mint(identity.Principal{
		Kind: identity.AssumedRole, Partition: "aws", Account: account, ARN: "arn:aws:sts::" + account + ":assumed-role/r/s", IssuerARN: role, IssuerID: "AROAr",
		UserID: "AROAr:s", Name: "r", Session: &identity.Session{Name: "s", Expires: end},
	}, time.Now(), end)
	if err != nil {
		t.Fatal(err)
	}
	s, err := w.dial().StreamAggregatedResources(signed(t, aws.Credentials{AccessKeyID: id, SecretAccessKey: secret, SessionToken: token}, false, time.Now()))
	if err != nil {
		t.Fatal(err)
	}
	send(t, s, first(arn("a"), clusters))
	receiveOne(t, s)
	ended(t, s, codes.OK, "")
	if time.Now().Before(end.Add(-1100 * time.Millisecond)) {
		t.Error("it ended before the session did")
	}
}

// TestRecycled: a stream ends well after its time.
func TestRecycled(t *testing.T) {
	w := newWorld(t, func(c *Config, _ *snapshot.Settings) { c.Recycle = 200 * time.Millisecond })
	w.node("a", 80)
	w.user(account, "a", arn("a"))
	s := w.open("a")
	send(t, s, first(arn("a"), clusters))
	ended(t, s, codes.OK, "")
}

// TestQuota: so many proxies may stand for one endpoint, and one more may come when
// one has gone.
func TestQuota(t *testing.T) {
	w := newWorld(t, func(c *Config, _ *snapshot.Settings) { c.MaxProxies = 2 })
	w.node("a", 80)
	w.node("b", 80)
	w.user(account, "a", arn("*"))
	open := func(name string) sotwStream {
		s := w.open("a")
		send(t, s, first(arn(name), clusters))
		return s
	}
	one, two := open("a"), open("a")
	receiveOne(t, one)
	receiveOne(t, two)
	ended(t, open("a"), codes.ResourceExhausted, "Connection limit exceeded for "+arn("a")+".")
	receiveOne(t, open("b"))
	if err := one.CloseSend(); err != nil {
		t.Fatal(err)
	}
	ended(t, one, codes.OK, "")
	until(t, "there is room", func() bool { return w.server.Counts().Streams == 2 })
	receiveOne(t, open("a"))
}

// TestSlowReader: a proxy that does not read holds up nobody, and is told the newest
// state when it reads again.
func TestSlowReader(t *testing.T) {
	w := newWorld(t, nil)
	w.user(account, "a", arn("*"))
	w.node("a", 80)
	slow := w.open("a", grpc.WithInitialWindowSize(65535), grpc.WithInitialConnWindowSize(65535))
	send(t, slow, first(arn("a"), clusters))
	quick := w.open("a")
	send(t, quick, first(arn("a"), clusters))
	for port := range int64(50) {
		send(t, quick, ack(receiveOne(t, quick)))
		w.node("a", 100+port)
	}
	var last *discovery.DiscoveryResponse
	answers := 0
	want := w.server.Proxies(account)[0].Current
	for {
		last = receiveOne(t, slow)
		send(t, slow, ack(last))
		if answers++; answers > 3 {
			t.Fatalf("a proxy that did not answer was sent %d responses", answers)
		}
		if answers == 2 {
			break
		}
	}
	fresh := w.open("a")
	send(t, fresh, first(arn("a"), clusters))
	if r := receiveOne(t, fresh); r.GetVersionInfo() != last.GetVersionInfo() {
		t.Errorf("the slow proxy is at %s, the newest is %s at revision %d", last.GetVersionInfo(), r.GetVersionInfo(), want)
	}
}

// TestBlockedReader: a proxy that reads nothing at all is let go when it loses its
// permission, although what it was sent is still under way.
func TestBlockedReader(t *testing.T) {
	w := newWorld(t, nil)
	w.user(account, "a", arn("a"))
	var names []string
	w.change(func(tx *store.Tx) error {
		for i := range 400 {
			name := fmt.Sprintf("b%d", i)
			v := &model.VirtualService{MeshMeta: inMesh(account, "/virtualService/"+name, name), Spec: &wire.VirtualServiceSpec{Provider: &wire.VirtualServiceProvider{
				VirtualNode: &wire.VirtualNodeServiceProvider{VirtualNodeName: &name},
			}}}
			n := &model.VirtualNode{MeshMeta: inMesh(account, "/virtualNode/"+name, name), Spec: &wire.VirtualNodeSpec{
				Listeners:        []wire.Listener{{PortMapping: &wire.PortMapping{Port: new(int64(80)), Protocol: new("http")}}},
				ServiceDiscovery: &wire.ServiceDiscovery{Dns: &wire.DnsServiceDiscovery{Hostname: new(strings.Repeat("x", 60) + ".local")}},
			}}
			if err := errors.Join(model.VirtualServices.Put(tx, model.MeshKey(account, region, "m", name), v), model.VirtualNodes.Put(tx, model.MeshKey(account, region, "m", name), n)); err != nil {
				return err
			}
			names = append(names, name)
		}
		return nil
	})
	w.node("a", 80, names...)
	s := w.open("a", grpc.WithInitialWindowSize(65535), grpc.WithInitialConnWindowSize(65535))
	send(t, s, first(arn("a"), clusters))
	until(t, "the response is under way", func() bool { return w.server.Counts().Pushes["cds"] == 1 })
	for port := range int64(5) {
		w.node("a", 90+port, names...)
	}
	w.user(account, "a")
	until(t, "the stream is gone", func() bool { return w.server.Counts().Streams == 0 })
	ended(t, s, codes.PermissionDenied, "Unauthorized to perform")
}

// TestOff: where the rule of an account is off, nobody has to sign for its endpoints,
// and for those of another account everybody has to.
func TestOff(t *testing.T) {
	w := newWorld(t, func(_ *Config, s *snapshot.Settings) {
		s.Accounts[account] = snapshot.Account{ID: account, ProxyAuthorization: snapshot.ProxyAuthorizationOff}
	})
	w.node("a", 80)
	open := func(id string) sotwStream {
		s, err := w.dial().StreamAggregatedResources(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		send(t, s, first(id, clusters))
		return s
	}
	s := open("mesh/m/virtualNode/a")
	receiveOne(t, s)
	if p := w.server.Proxies(account); len(p) != 1 || p[0].Authorized {
		t.Errorf("%+v", p)
	}
	ended(t, open(strings.Replace(arn("a"), account, other, 1)), codes.Unauthenticated, textMissingToken)
}

// TestForeignCertificate: a certificate of another account is nobody's to have, however
// much the role may do.
func TestForeignCertificate(t *testing.T) {
	w := newWorld(t, nil)
	w.change(func(tx *store.Tx) error {
		u := &model.User{Meta: model.Meta{ID: "AIDAa", ARN: "arn:aws:iam::" + account + ":user/a", Name: "a", Account: account}, Path: "/"}
		u.Inline = map[string]string{"p": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`}
		return errors.Join(
			model.Users.Put(tx, model.IAMKey(account, "a"), u),
			model.AccessKeys.Put(tx, "AKIAa", &model.AccessKey{Meta: model.Meta{ID: "AKIAa", Account: account}, User: "a", UserID: "AIDAa", Sealed: []byte("x"), Active: true}),
		)
	})
	for _, certificate := range []string{"arn:aws:acm:" + region + ":" + other + ":certificate/x", "nonsense"} {
		w.change(func(tx *store.Tx) error {
			return model.VirtualNodes.Put(tx, model.MeshKey(account, region, "m", "a"), &model.VirtualNode{MeshMeta: inMesh(account, "/virtualNode/a", "a"), Spec: &wire.VirtualNodeSpec{
				ServiceDiscovery: &wire.ServiceDiscovery{Dns: &wire.DnsServiceDiscovery{Hostname: new("a.local")}},
				Listeners: []wire.Listener{{PortMapping: &wire.PortMapping{Port: new(int64(80)), Protocol: new("http")}, Tls: &wire.ListenerTls{
					Mode: new("STRICT"), Certificate: &wire.ListenerTlsCertificate{Acm: &wire.ListenerTlsAcmCertificate{CertificateArn: &certificate}},
				}}},
			}})
		})
		s := w.open("a")
		send(t, s, first(arn("a"), clusters))
		ended(t, s, codes.PermissionDenied, "Unauthorized to perform acm:ExportCertificate for "+certificate+".")
	}
}

// TestUnshared: when a mesh is not shared any more, the proxies of the other account
// end.
func TestUnshared(t *testing.T) {
	w := newWorld(t, nil)
	share := func(with ...string) {
		w.change(func(tx *store.Tx) error {
			return model.Meshes.Put(tx, model.MeshKey(account, region, "m"), &model.Mesh{MeshMeta: inMesh(account, "", "m"), SharedWith: with})
		})
	}
	share(other)
	meta := inMesh(other, "/virtualNode/theirs", "theirs")
	w.change(func(tx *store.Tx) error {
		return model.VirtualNodes.Put(tx, model.MeshKey(account, region, "m", "theirs"), &model.VirtualNode{MeshMeta: meta, Spec: &wire.VirtualNodeSpec{}})
	})
	w.user(other, "b", "*")
	w.user(account, "a", "*")
	s := w.open("b")
	send(t, s, first("mesh/m@"+account+"/virtualNode/theirs", clusters))
	receiveOne(t, s)
	mine := w.open("a")
	send(t, mine, first(meta.ARN, clusters))
	ended(t, mine, codes.PermissionDenied, "Unauthorized")
	share()
	ended(t, s, codes.InvalidArgument, "No Virtual Node with name theirs found")
}
