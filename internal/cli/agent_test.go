package cli

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/latchwork/latchwork/internal/clock"
	"github.com/latchwork/latchwork/internal/inbound"
	"github.com/latchwork/latchwork/internal/sigv4"
)

const emsName = "appmesh-envoy-management.us-east-1.amazonaws.com"

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// management is an Envoy management service that checks signatures, and answers each
// request with its version; a version that begins with "end" ends the stream.
type management struct {
	discovery.UnimplementedAggregatedDiscoveryServiceServer
	mu sync.Mutex
	// secrets are by access key; who has another is refused.
	secrets map[string]string
	// keys are those that signed, in order.
	keys []string
}

// ends are how a stream ends that asks for it.
var ends = map[string]error{
	"end":         nil,
	"end denied":  status.Error(codes.PermissionDenied, "Unauthorized to perform appmesh:StreamAggregatedResources for "+serviceB+"."),
	"end invalid": status.Error(codes.InvalidArgument, "No Virtual Node with name serviceBv1 found in mesh app1."),
	"end broken":  status.Error(codes.Internal, "an error with ünïcode"),
}

func (m *management) authenticate(ctx context.Context) error {
	md, _ := metadata.FromIncomingContext(ctx)
	method, _ := grpc.Method(ctx)
	r := &inbound.Request{Method: "POST", Target: method, Major: 2, TLS: &inbound.TLS{}}
	for name, values := range md {
		switch {
		case name == ":authority":
			r.Authority = values[0]
		case strings.HasPrefix(name, "x-envoy"):
			return status.Error(codes.Internal, "a header of the Envoy's came through: "+name)
		default:
			r.Headers = append(r.Headers, inbound.Header{Name: name, Value: values[0]})
		}
	}
	s, err := sigv4.Parse(r)
	if err != nil {
		return status.Error(codes.Unauthenticated, err.Error())
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.keys = append(m.keys, s.AccessKeyID)
	err = sigv4.NewVerifier().Verify(r, s, sigv4.Secret(m.secrets[s.AccessKeyID]), sigv4.Expect{
		Service: "appmesh", Region: "us-east-1", Now: noon, Skew: time.Minute, Stream: true,
	})
	if err != nil {
		return status.Error(codes.Unauthenticated, err.Error())
	}
	return nil
}

func (m *management) StreamAggregatedResources(s discovery.AggregatedDiscoveryService_StreamAggregatedResourcesServer) error {
	if err := m.authenticate(s.Context()); err != nil {
		return err
	}
	for {
		r, err := s.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if end, ok := ends[r.VersionInfo]; ok {
			return end
		}
		if err := s.Send(&discovery.DiscoveryResponse{VersionInfo: r.VersionInfo, TypeUrl: r.TypeUrl}); err != nil {
			return err
		}
	}
}

func (m *management) DeltaAggregatedResources(s discovery.AggregatedDiscoveryService_DeltaAggregatedResourcesServer) error {
	if err := m.authenticate(s.Context()); err != nil {
		return err
	}
	r, err := s.Recv()
	if err != nil {
		return err
	}
	return s.Send(&discovery.DeltaDiscoveryResponse{TypeUrl: r.TypeUrl})
}

// agentWorld is a relay between an Envoy and a management service.
type agentWorld struct {
	service *management
	ads     discovery.AggregatedDiscoveryServiceClient
	conn    *grpc.ClientConn
	mu      sync.Mutex
	// given are the credentials that the chain finds, and loads counts how often it was
	// gone through.
	given aws.Credentials
	loads int
	// refusals are the codes and keys that the relay told of; served are the keys of
	// streams that were answered.
	refusals, served []string
}

func newAgentWorld(t *testing.T) *agentWorld {
	t.Helper()
	w := &agentWorld{
		service: &management{secrets: map[string]string{"ASIAFIRST": "one", "ASIASECOND": "two"}},
		given:   aws.Credentials{AccessKeyID: "ASIAFIRST", SecretAccessKey: "one", SessionToken: "token/1+="},
	}
	certificate, roots := certified(t, emsName)
	upstream, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	service := grpc.NewServer(grpc.Creds(credentials.NewTLS(&tls.Config{Certificates: []tls.Certificate{certificate}})))
	discovery.RegisterAggregatedDiscoveryServiceServer(service, w.service)
	go func() { _ = service.Serve(upstream) }()
	t.Cleanup(service.Stop)

	r, err := newRelay(relayConfig{
		address: upstream.Addr().String(), tls: &tls.Config{RootCAs: roots, ServerName: emsName}, region: "us-east-1", clock: clock.Fixed(noon),
		source: &credentialSource{load: func(context.Context) (aws.CredentialsProvider, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.loads++
			given := w.given
			return aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
				if given.AccessKeyID == "" {
					return given, errors.New("nobody has any")
				}
				return given, nil
			}), nil
		}},
		began: func(keyID string) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.served = append(w.served, keyID)
		},
		ended: func(err error, keyID string) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.refusals = append(w.refusals, status.Code(err).String()+" "+keyID)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(t.TempDir(), "xds.sock")
	listener, err := listenSocket(socket, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.serve(ctx, listener) }()
	t.Cleanup(func() {
		defer r.conn.Close()
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	w.conn, err = grpc.NewClient("unix:"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.conn.Close() })
	w.ads = discovery.NewAggregatedDiscoveryServiceClient(w.conn)
	return w
}

// certified is a certificate for a name, and the authority that vouches for it.
func certified(t *testing.T, name string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}

// ask opens a stream, sends one request of a version and gives what comes back.
func (w *agentWorld) ask(t *testing.T, version string) (*discovery.DiscoveryResponse, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	ctx = metadata.AppendToOutgoingContext(ctx, "x-envoy-internal", "true", "authorization", "none")
	s, err := w.ads.StreamAggregatedResources(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.Send(&discovery.DiscoveryRequest{VersionInfo: version, TypeUrl: "t"}); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return s.Recv()
}

func TestAgentRelays(t *testing.T) {
	w := newAgentWorld(t)
	s, err := w.ads.StreamAggregatedResources(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// Larger than what gRPC takes if it is not told otherwise.
	for _, version := range []string{"1", "2", strings.Repeat("3", 3<<20)} {
		if err := s.Send(&discovery.DiscoveryRequest{VersionInfo: version, TypeUrl: "t"}); err != nil {
			t.Fatal(err)
		}
		if r, err := s.Recv(); err != nil || r.VersionInfo != version || r.TypeUrl != "t" {
			t.Fatalf("%v, %v", r.GetTypeUrl(), err)
		}
	}
	if err := s.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("the stream ended with %v", err)
	}
	delta, err := w.ads.DeltaAggregatedResources(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := delta.Send(&discovery.DeltaDiscoveryRequest{TypeUrl: "d"}); err != nil {
		t.Fatal(err)
	}
	if r, err := delta.Recv(); err != nil || r.TypeUrl != "d" {
		t.Errorf("%v, %v", r, err)
	}
	if _, err := delta.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("the stream ended with %v", err)
	}
	if len(w.refusals) > 0 {
		t.Errorf("told of %q", w.refusals)
	}
}

// TestAgentPassesEnds: code and text reach the Envoy as the service gave them.
func TestAgentPassesEnds(t *testing.T) {
	w := newAgentWorld(t)
	for version, want := range ends {
		_, err := w.ask(t, version)
		if want == nil {
			if !errors.Is(err, io.EOF) {
				t.Errorf("%s: %v", version, err)
			}
			continue
		}
		if status.Code(err) != status.Code(want) || status.Convert(err).Message() != status.Convert(want).Message() {
			t.Errorf("%s: %v, want %v", version, err, want)
		}
	}
	if len(w.refusals) != len(ends)-1 {
		t.Errorf("told of %q", w.refusals)
	}
}

// TestAgentReadsCredentialsAnew: what was refused is looked for again, and the next
// stream is signed with what is there then.
func TestAgentReadsCredentialsAnew(t *testing.T) {
	w := newAgentWorld(t)
	give := func(key, secret string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.given = aws.Credentials{AccessKeyID: key, SecretAccessKey: secret}
	}
	for range 2 {
		if _, err := w.ask(t, "1"); err != nil {
			t.Fatal(err)
		}
	}
	if w.loads != 1 {
		t.Errorf("loaded %d times", w.loads)
	}
	w.service.mu.Lock()
	w.service.secrets["ASIAFIRST"] = "another"
	w.service.mu.Unlock()
	give("", "")
	if _, err := w.ask(t, "1"); status.Code(err) != codes.Unauthenticated || strings.Contains(err.Error(), textNoCredentials) {
		t.Errorf("with an old key: %v", err)
	}
	if _, err := w.ask(t, "1"); status.Code(err) != codes.Unauthenticated || !strings.Contains(err.Error(), textNoCredentials+": nobody has any") {
		t.Errorf("without a key: %v", err)
	}
	give("ASIASECOND", "two")
	if _, err := w.ask(t, "1"); err != nil {
		t.Errorf("with a new key: %v", err)
	}
	if got := strings.Join(w.service.keys, " "); got != "ASIAFIRST ASIAFIRST ASIAFIRST ASIASECOND" {
		t.Errorf("signed with %s", got)
	}
	if got := strings.Join(w.served, " "); got != "ASIAFIRST ASIAFIRST ASIASECOND" {
		t.Errorf("served with %s", got)
	}
	if got := strings.Join(w.refusals, ", "); got != "Unauthenticated ASIAFIRST, Unauthenticated " {
		t.Errorf("told of %s", got)
	}
}

func TestAgentRelaysNothingElse(t *testing.T) {
	w := newAgentWorld(t)
	err := w.conn.Invoke(t.Context(), "/grpc.health.v1.Health/Check", &discovery.DiscoveryRequest{}, &discovery.DiscoveryResponse{})
	if status.Code(err) != codes.Unimplemented || len(w.service.keys) > 0 {
		t.Errorf("%v, and the service was asked by %q", err, w.service.keys)
	}
}

func TestAgentWithoutService(t *testing.T) {
	_, roots := certified(t, emsName)
	r, err := newRelay(relayConfig{address: freeAddr(t), tls: &tls.Config{RootCAs: roots, ServerName: emsName}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.conn.Close()
	_, err = r.conn.NewStream(t.Context(), &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/x/y")
	if status.Code(err) != codes.Unavailable {
		t.Errorf("%v", err)
	}
}

func TestSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "xds.sock")
	first, err := listenSocket(path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != fs.ModeSocket|0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if _, err := listenSocket(path, 0o600); err == nil || !strings.Contains(err.Error(), "another agent") {
		t.Errorf("beside another: %v", err)
	}
	first.Close() // as if it was killed: the file stays
	second, err := listenSocket(path, 0o660)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if info, err := os.Stat(path); err != nil || info.Mode() != fs.ModeSocket|0o660 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	left, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".xds-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := listenSocket(file, 0o600); err == nil || !strings.Contains(err.Error(), "is no socket") {
		t.Errorf("over a file: %v", err)
	}
	if text, _ := os.ReadFile(file); string(text) != "x" {
		t.Error("the file is gone")
	}
}

// TestAgentAdvice: every refusal says what to do.
func TestAgentAdvice(t *testing.T) {
	c := agentCommand{emsFlags: emsFlags{Resource: serviceB}}
	to := &ems{host: "127.0.0.1", port: 4443, name: emsName, region: "us-east-1", ca: "/ca.pem"}
	for _, test := range []struct {
		code codes.Code
		text string
		want string
	}{
		{codes.Unauthenticated, textNoCredentials + ": x", "give the agent credentials"},
		{codes.Unauthenticated, sigv4.ErrUnknownKey.Error(), "does not know the access key AKIAX"},
		{codes.Unauthenticated, sigv4.ErrExpiredToken.Error(), "the session of AKIAX is over"},
		{codes.Unauthenticated, "Credential should be scoped to a valid region.", "signed for us-east-1"},
		{codes.Unauthenticated, "Signature expired: a is now earlier than b", "clock"},
		{codes.Unauthenticated, "The request signature we calculated does not match", "the secret is not that of the access key AKIAX"},
		{codes.PermissionDenied, "Unauthorized to perform", "latchwork confirm --resource " + serviceB},
		{codes.InvalidArgument, "No Virtual Node", "node.id must be " + serviceB},
		{codes.ResourceExhausted, "Connection limit exceeded", "latchwork proxies"},
		{codes.Unavailable, "connection refused", "nobody answers at 127.0.0.1:4443"},
		{codes.Unavailable, "authentication handshake failed: tls: failed to verify certificate", "is not one for " + emsName},
		{codes.Internal, "x", "the server's log"},
	} {
		if got := c.advice(status.New(test.code, test.text), to, "AKIAX"); !strings.Contains(got, test.want) {
			t.Errorf("%s %s: %s", test.code, test.text, got)
		}
	}
}
