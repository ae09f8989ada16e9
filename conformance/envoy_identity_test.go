//go:build conformance

package conformance

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tls "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	secret "github.com/envoyproxy/go-control-plane/envoy/service/secret/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/anypb"
)

// TestWalkCrossAccount is howto-cross-account: an account that a mesh is shared with
// has a virtual node in it, whose Envoy it alone lets in, and who calls it is the
// owner's.
func TestWalkCrossAccount(t *testing.T) {
	t.Parallel()
	const consumer = "444455556666"
	config := filepath.Join(t.TempDir(), "latchwork.yaml")
	if err := os.WriteFile(config, []byte("accounts:\n- id: \""+consumer+"\"\n  proxy-authorization: required\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := newFleet(t, "shared", 38, "--config", config)
	if out, errs, code := f.command(f.admin, binary, "mesh", "share", "--data-dir", f.dir, "--mesh", "shared", "--with", consumer); code != 0 {
		t.Fatalf("latchwork mesh share: %s%s", out, errs)
	}
	guest := &fleet{installation: f.installation, t: t, account: consumer, admin: f.administrator(consumer), mesh: f.mesh, net: 39}
	front, color := f.address(), guest.address()
	guest.node("color", listen(color, "http", 8080, ""))
	f.router("color", "http", 8080)
	f.route("color", "all", toNode("color"))
	f.service("color.local", "color", "")
	f.node("front", listen(front, "http", 8080, "", backends("color.local")))
	f.unsigned("virtualNode", "front")
	guest.machine("color", color, 8080, nil)
	f.machine("front", front, 8080, nil)
	reaches(t, 200, "color", "http://"+front+":15001/", "color.local")
	// Neither account's administrator stands for an endpoint of the other.
	for arn, who := range map[string]identity{arnOf(consumer, "shared/virtualNode/color"): f.admin, arnOf(account, "shared/virtualNode/front"): guest.admin} {
		e := f.envoy(t, proxy{node: arn, who: who})
		e.says(denied(arn))
		e.stop()
	}
}

// secrets delivers secrets by name on a Unix socket, as SPIRE's does: those that it has,
// and others when it has them.
type secrets struct {
	secret.UnimplementedSecretDiscoveryServiceServer
	mu      sync.Mutex
	known   map[string]*tls.Secret
	changed chan struct{}
}

func newSecrets(t *testing.T) (a *secrets, socket string) {
	t.Helper()
	// The name of a socket is short, which that of the test's folder is not.
	dir, err := os.MkdirTemp("", "sds")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket = filepath.Join(dir, "agent.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	a = &secrets{known: map[string]*tls.Secret{}, changed: make(chan struct{})}
	server := grpc.NewServer()
	secret.RegisterSecretDiscoveryServiceServer(server, a)
	go func() { _ = server.Serve(l) }()
	t.Cleanup(server.Stop)
	return a, socket
}

// put adds a secret.
func (a *secrets) put(s *tls.Secret) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.known[s.Name] = s
	close(a.changed)
	a.changed = make(chan struct{})
}

func (a *secrets) get(name string) (*tls.Secret, <-chan struct{}) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.known[name], a.changed
}

// StreamSecrets answers the first request, which names a secret. Envoy has a stream
// for each.
func (a *secrets) StreamSecrets(s secret.SecretDiscoveryService_StreamSecretsServer) error {
	r, err := s.Recv()
	if err != nil {
		return err
	}
	for {
		found, changed := a.get(r.GetResourceNames()[0])
		if found == nil {
			select {
			case <-changed:
				continue
			case <-s.Context().Done():
				return s.Context().Err()
			}
		}
		packed, err := anypb.New(found)
		if err == nil {
			err = s.Send(&discovery.DiscoveryResponse{TypeUrl: packed.TypeUrl, VersionInfo: "1", Nonce: "1", Resources: []*anypb.Any{packed}})
		}
		if err != nil {
			return err
		}
		<-s.Context().Done()
		return s.Context().Err()
	}
}

// TestWalkAgent is howto-k8s-mtls-sds-based without SPIRE: certificates for SPIFFE
// names come from an agent beside Envoy, and not through the management service.
func TestWalkAgent(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "sds", 40)
	dir := t.TempDir()
	ca := newAuthority(t, dir, "ca")
	a, socket := newSecrets(t)
	f.sds = socket
	inFile := func(name string) *core.DataSource {
		return &core.DataSource{Specifier: &core.DataSource_Filename{Filename: filepath.Join(dir, name)}}
	}
	const trust = "spiffe://walk.example"
	a.put(&tls.Secret{Name: trust, Type: &tls.Secret_ValidationContext{ValidationContext: &tls.CertificateValidationContext{TrustedCa: inFile("ca.pem")}}})
	issue := func(name string) {
		ca.issue(name, trust+"/"+name)
		a.put(&tls.Secret{Name: trust + "/" + name, Type: &tls.Secret_TlsCertificate{TlsCertificate: &tls.TlsCertificate{CertificateChain: inFile(name + ".pem"), PrivateKey: inFile(name + ".key")}}})
	}
	issue("front")
	issue("white")
	// side is what both sides of mutual TLS have: their own name, and whom they trust.
	side := func(own, names string) string {
		return fmt.Sprintf(`"certificate":{"sds":{"secretName":"%[1]s/%[2]s"}},"validation":{"trust":{"sds":{"secretName":"%[1]s"}},"subjectAlternativeNames":{"match":{"exact":[%[3]s]}}}`, trust, own, names)
	}
	front := f.address()
	var targets string
	envoys := map[string]*envoy{}
	for _, name := range []string{"white", "green"} {
		address := f.address()
		f.node(name, listen(address, "http", 8080, `,"tls":{"mode":"STRICT",`+side(name, `"`+trust+`/front"`)+`}`))
		envoys[name] = f.machine(name, address, 8080, nil)
		targets += `,{"virtualNode":"` + name + `","weight":1}`
	}
	f.router("color", "http", 8080)
	f.route("color", "all", `{"httpRoute":{"match":{"prefix":"/"},"action":{"weightedTargets":[`+targets[1:]+`]}}}`)
	f.service("color.local", "color", "")
	f.node("front", listen(front, "http", 8080, "", backends("color.local"),
		`"backendDefaults":{"clientPolicy":{"tls":{`+side("front", `"`+trust+`/white","`+trust+`/green"`)+`}}}`))
	f.unsigned("virtualNode", "front")
	f.machine("front", front, 8080, nil)
	url := "http://" + front + ":15001/"
	eventually(t, "who has no certificate yet is not reached", func() bool {
		got := share(t, 20, url, "color.local")
		return got["white"] > 0 && got["503"] > 0 && len(got) == 2
	})
	issue("green")
	eventually(t, "with its certificate it is", func() bool {
		got := share(t, 20, url, "color.local")
		return got["white"] > 0 && got["green"] > 0 && len(got) == 2
	})
	for name, e := range envoys {
		if e.stat("listener.0.0.0.0_15000.ssl.handshake") == 0 {
			t.Errorf("%s counts no handshake", name)
		}
	}
	// Another name than the virtual node's policy has is not let in.
	f.updateNode("white", listen(fmt.Sprintf("127.0.%d.2", f.net), "http", 8080, `,"tls":{"mode":"STRICT",`+side("white", `"`+trust+`/another"`)+`}`))
	eventually(t, "another name is refused", func() bool {
		got := share(t, 10, url, "color.local")
		return got["white"] == 0 && got["503"] > 0 && envoys["white"].stat("listener.0.0.0.0_15000.ssl.fail_verify_san") > 0
	})
}
