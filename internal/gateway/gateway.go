// Package gateway is the data plane: it takes requests to VPC Lattice services,
// finds out who sent them, asks for a decision, and forwards or refuses.
package gateway

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/latchwork/latchwork/internal/audit"
	"github.com/latchwork/latchwork/internal/authz"
	"github.com/latchwork/latchwork/internal/clock"
	"github.com/latchwork/latchwork/internal/credential"
	"github.com/latchwork/latchwork/internal/snapshot"
)

// SigningService is the service part of the credential scope of requests to VPC
// Lattice services. The same word is the prefix of their actions.
const SigningService = "vpc-lattice-svcs"

// skew is how far a request's date may be from ours.
const skew = 5 * time.Minute

// Config says what a Gateway works with.
type Config struct {
	Publisher     *snapshot.Publisher
	Authenticator *credential.Authenticator
	// Addrs are the addresses to listen on, Ports which socket serves which
	// listener port. The ports in Ports are open from the start.
	Addrs []netip.Addr
	Ports PortMap
	// Certificate gives the certificate for a server name.
	Certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// TargetTLS is how HTTPS targets are spoken to. nil checks no certificate, as
	// VPC Lattice does.
	TargetTLS *tls.Config
	// MaxStaleness is how old the state may be, after the store was lost, for
	// requests still to be answered; 0 means that there is no bound.
	MaxStaleness time.Duration
	Access       *audit.Writer
	Recorder     *Recorder
	Clock        clock.Clock
	Log          *slog.Logger
	// Decided is called with every decision, for metrics; may be nil.
	Decided func(cause authz.Cause, stage authz.Stage)
}

// Gateway serves requests to VPC Lattice services.
type Gateway struct {
	cfg        Config
	clock      clock.Clock
	sockets    *sockets
	transports *transports
	pools      *pools
	idle       time.Duration
	ctx        context.Context
	stop       context.CancelFunc
	ready      chan struct{}
	opened     sync.Once
}

// New makes a Gateway; Run makes it work.
func New(c Config) *Gateway {
	targetTLS := c.TargetTLS
	if targetTLS == nil {
		// Source: VPC Lattice User Guide, "Target groups": the certificates of targets
		// are not checked.
		targetTLS = &tls.Config{InsecureSkipVerify: true} //nolint:gosec // by design, see above
	}
	ctx, stop := context.WithCancel(context.Background())
	g := &Gateway{
		cfg: c, clock: c.Clock, ctx: ctx, stop: stop, ready: make(chan struct{}), idle: idleTimeout,
		transports: newTransports(targetTLS), pools: newPools(ctx, targetTLS),
	}
	g.sockets = &sockets{
		addrs: c.Addrs, ports: c.Ports, open: map[int64][]*socket{}, failed: map[int64]error{}, idle: idleTimeout, log: serverLog(c.Log),
		serve: func(port int64) http.Handler { return &portHandler{g, port} },
		tls: &tls.Config{
			MinVersion: tls.VersionTLS12, GetCertificate: c.Certificate,
			NextProtos: []string{"h2", "http/1.1"},
		},
		problem: func(port int64, err error) {
			c.Log.Warn("a listener port cannot be opened; its listeners get no requests", "port", port, "error", err)
		},
	}
	return g
}

// Run opens the ports that listeners ask for and follows the state, until ctx
// ends; then it lets requests in flight finish.
func (g *Gateway) Run(ctx context.Context) error {
	var first []int64
	for port := range g.cfg.Ports {
		first = append(first, port)
	}
	g.sockets.ensure(first)
	g.cfg.Publisher.Follow(g.apply)
	<-ctx.Done()
	stopping, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	g.sockets.shutdown(stopping)
	g.stop()
	g.pools.wait()
	g.transports.close()
	return ctx.Err()
}

// apply makes the gateway ready for a snapshot that comes into force. After Run has
// ended it does nothing.
func (g *Gateway) apply(snap *snapshot.Snapshot) {
	g.sockets.ensure(snap.Ports())
	g.pools.update(snap)
	g.opened.Do(func() { close(g.ready) })
}

// Ready is closed once the gateway takes requests: Run has read a state, and its
// ports are open but for those that Problems lists.
func (g *Gateway) Ready() <-chan struct{} { return g.ready }

// Problems lists the listener ports that could not be opened.
func (g *Gateway) Problems() map[int64]error { return g.sockets.problems() }

// PortProblem tells why a listener port could not be opened, "" where it could.
func (g *Gateway) PortProblem(port int64) string {
	if err := g.sockets.problems()[port]; err != nil {
		return err.Error()
	}
	return ""
}

// Addresses lists the open sockets by listener port.
func (g *Gateway) Addresses() map[int64][]net.Addr { return g.sockets.addresses() }

// Health tells what this gateway thinks of a target.
func (g *Gateway) Health(groupARN, id string, port int64) (status, reason string, ok bool) {
	h, reason, ok := g.pools.health(groupARN, id, port)
	return string(h), reason, ok
}
