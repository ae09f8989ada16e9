package gateway

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/latchwork/latchwork/internal/audit"
	"github.com/latchwork/latchwork/internal/clock"
	"github.com/latchwork/latchwork/internal/credential"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/sigv4"
	"github.com/latchwork/latchwork/internal/snapshot"
	"github.com/latchwork/latchwork/internal/store"
	"github.com/latchwork/latchwork/internal/store/etcd"
	wire "github.com/latchwork/latchwork/internal/wire/vpclattice"
)

var scope = model.Scope{Account: "123456789012", Region: "us-west-2"}

func meta(kind, id string) model.Meta {
	return model.Meta{
		ID: id, Name: id, Account: scope.Account, Region: scope.Region,
		ARN: "arn:aws:vpc-lattice:" + scope.Region + ":" + scope.Account + ":" + kind + "/" + id,
	}
}

// world is a gateway over a store of its own, with one service, svc.test, that
// forwards to one target. Clients are in the default VPC.
type world struct {
	store     *store.Store
	publisher *snapshot.Publisher
	gateway   *Gateway
	addr      string
}

// newWorld makes a world whose target is backend. policy is the service's auth
// policy; with "" nobody is asked who they are. configure sees the gateway before it
// runs.
func newWorld(t *testing.T, policy string, backend http.HandlerFunc, configure ...func(*Gateway)) *world {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	b, err := etcd.Start(t.Context(), etcd.Embedded{Dir: t.TempDir(), Prefix: "t/", Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	server := httptest.NewServer(backend)
	t.Cleanup(server.Close)
	w := &world{store: store.New(b)}
	target := server.Listener.Addr().(*net.TCPAddr)
	revision := w.update(t, func(tx *store.Tx) []error {
		network := &model.ServiceNetwork{Meta: meta("servicenetwork", "sn-1"), AuthType: "NONE"}
		service := &model.Service{Meta: meta("service", "svc-1"), AuthType: "NONE", Domain: "svc.generated", CustomDomain: "svc.test"}
		port := int64(target.Port)
		errs := []error{
			model.ServiceNetworks.Put(tx, scope.Key("sn-1"), network),
			model.Listeners.Put(tx, scope.Key("svc-1", "listener-1"), &model.Listener{
				Meta: meta("listener", "listener-1"), Service: "svc-1", Port: 80, Protocol: "HTTP", DefaultAction: forwardTo("tg-1"),
			}),
			model.TargetGroups.Put(tx, scope.Key("tg-1"), &model.TargetGroup{Meta: meta("targetgroup", "tg-1"), Config: &wire.TargetGroupConfig{Protocol: new("HTTP")}}),
			model.Targets.Put(tx, scope.Key("tg-1", model.TargetKey(target.IP.String(), port)), &model.Target{ID: target.IP.String(), Port: port}),
			model.ServiceAssociations.Put(tx, scope.Key("snsa-1"), &model.ServiceAssociation{
				Meta: meta("servicenetworkserviceassociation", "snsa-1"), ServiceARN: service.ARN, NetworkARN: network.ARN,
			}),
			model.VPCAssociations.Put(tx, scope.Key("snva-1"), &model.VPCAssociation{
				Meta: meta("servicenetworkvpcassociation", "snva-1"), VPC: model.DefaultVPC(scope.Account, scope.Region, time.Time{}).ID, NetworkARN: network.ARN,
			}),
		}
		if policy != "" {
			service.AuthType = "AWS_IAM"
			errs = append(errs, model.AuthPolicies.Put(tx, scope.Key("svc-1"), &model.AuthPolicy{Meta: service.Meta, Document: policy}))
		}
		return append(errs, model.Services.Put(tx, scope.Key("svc-1"), service))
	})
	w.publisher = snapshot.NewPublisher(snapshot.Config{
		Backend: b, Settings: snapshot.Settings{Partition: "aws", DefaultAccount: scope.Account}, Clock: clock.System, Log: quiet,
		OpenSecret: func(*model.AccessKey) ([]byte, error) { return nil, nil },
	})
	access := audit.NewWriter("access log", io.Discard, quiet)
	w.gateway = New(Config{
		Publisher: w.publisher, Authenticator: &credential.Authenticator{Verifier: sigv4.NewVerifier()},
		Addrs: []netip.Addr{netip.MustParseAddr("127.0.0.1")}, Ports: PortMap{80: 0},
		Access: access, Recorder: NewRecorder(64), Clock: clock.System, Log: quiet,
	})
	for _, f := range configure {
		f(w.gateway)
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for _, run := range []func(context.Context) error{w.publisher.Run, access.Run, w.gateway.Run} {
		running.Go(func() { _ = run(ctx) })
	}
	t.Cleanup(func() { stop(); running.Wait() })
	if err := w.publisher.WaitFor(t.Context(), revision); err != nil {
		t.Fatal(err)
	}
	<-w.gateway.Ready()
	w.addr = w.gateway.Addresses()[80][0].String()
	return w
}

func forwardTo(group string) *wire.RuleAction {
	return &wire.RuleAction{Forward: &wire.ForwardAction{TargetGroups: []wire.WeightedTargetGroup{{TargetGroupIdentifier: &group}}}}
}

// update writes records; it returns the revision that they have.
func (w *world) update(t *testing.T, put func(tx *store.Tx) []error) store.Revision {
	t.Helper()
	revision, err := w.store.Update(t.Context(), func(tx *store.Tx) error {
		for _, err := range put(tx) {
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return revision
}

// send sends a request as it is and reads one answer that is not an interim one.
func (w *world) send(t *testing.T, raw string) (*http.Response, string) {
	t.Helper()
	conn := w.dial(t, raw)
	reader := bufio.NewReader(conn)
	for {
		answer, err := http.ReadResponse(reader, nil)
		if err != nil {
			t.Fatalf("%.60q: %v", raw, err)
		}
		if answer.StatusCode < 200 {
			continue
		}
		body, _ := io.ReadAll(answer.Body)
		return answer, string(body)
	}
}

// dial opens a connection and sends what a request begins with.
func (w *world) dial(t *testing.T, raw string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", w.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(clock.System().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, raw); err != nil {
		t.Fatal(err)
	}
	return conn
}

// echo is a target that tells what it received.
func echo(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "%s\n", r.RequestURI)
	_ = r.Header.Write(w)
}
