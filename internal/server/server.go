package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/latchwork/latchwork/internal/audit"
	"github.com/latchwork/latchwork/internal/certs"
	"github.com/latchwork/latchwork/internal/clock"
	"github.com/latchwork/latchwork/internal/credential"
	"github.com/latchwork/latchwork/internal/gateway"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/oidc"
	"github.com/latchwork/latchwork/internal/sigv4"
	"github.com/latchwork/latchwork/internal/snapshot"
	"github.com/latchwork/latchwork/internal/store"
	"github.com/latchwork/latchwork/internal/workload"
	"github.com/latchwork/latchwork/internal/xds"
)

// partition of all ARNs.
const partition = "aws"

// Server is a running installation.
type Server struct {
	cfg        *settings
	log        *slog.Logger
	clock      clock.Clock
	backend    store.Backend
	store      *store.Store
	ring       *credential.KeyRing
	publisher  *snapshot.Publisher
	authority  *certs.Authority
	gateway    *gateway.Gateway
	recorder   *gateway.Recorder
	verifier   *sigv4.Verifier
	identities *oidc.Verifier
	metrics    *metrics
	answers    *answers
	access     *audit.Writer
	calls      *audit.Writer
	closers    []io.Closer
	// ems is nil where the Envoy management service is off.
	ems     *xds.Server
	emsAddr net.Listener
	// meshAuthorities are those of the accounts, by account.
	meshAuthorities map[string]*certs.Authority

	api              *http.Server
	apiAddr, adminAt net.Listener
	// tasks, instances and pods are nil where they are not served.
	tasks, instances net.Listener
	pods             net.Listener
	fronts           []front
	admins           map[string]*Admin
}

// front is one of the HTTP servers.
type front struct {
	server   *http.Server
	listener net.Listener
}

// stopLimit is how long requests in flight may take to finish when the server ends.
const stopLimit = 5 * time.Second

// Run runs a server until ctx ends. ready is called when it answers requests; it
// may be nil. words takes the banner.
func Run(ctx context.Context, c Config, words io.Writer, ready func(*Info)) (err error) {
	checked, err := c.check()
	if err != nil {
		return err
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		return err
	}
	s := &Server{
		cfg: checked, clock: clock.System, log: slog.New(slog.NewTextHandler(words, &slog.HandlerOptions{Level: level})),
		verifier: sigv4.NewVerifier(), identities: oidc.NewVerifier(clock.System), admins: map[string]*Admin{},
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.open(ctx); err != nil {
		return err
	}
	// The state is followed, and the logs are written, until everything that needs
	// them has ended: a call that has stored something waits until it is in force.
	lasting, end := context.WithCancel(context.WithoutCancel(ctx))
	var lasts sync.WaitGroup
	for _, run := range []func(context.Context) error{s.publisher.Run, s.access.Run, s.calls.Run} {
		lasts.Go(func() { _ = run(lasting) })
	}
	defer func() { end(); lasts.Wait() }()
	s.api.BaseContext = func(net.Listener) context.Context { return lasting }
	if err := s.bootstrap(ctx); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	run := func(f func(context.Context) error) {
		group.Go(func() error {
			if err := f(ctx); err != nil && !errors.Is(err, context.Canceled) {
				return err
			}
			return nil
		})
	}
	run(s.gateway.Run)
	run(s.sweep)
	if s.ems != nil {
		run(s.ems.Run)
		run(func(context.Context) error { return s.ems.Serve(s.emsAddr) })
	}
	for _, h := range s.fronts {
		run(func(context.Context) error {
			if err := h.server.Serve(h.listener); !errors.Is(err, http.ErrServerClosed) {
				return err
			}
			return nil
		})
		run(func(ctx context.Context) error {
			<-ctx.Done()
			stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopLimit)
			defer cancel()
			return s.shutDown(stopping, h.server)
		})
	}
	run(func(ctx context.Context) error {
		select {
		case <-s.gateway.Ready():
		case <-ctx.Done():
			return nil
		}
		info, err := s.info()
		if err != nil {
			return err
		}
		s.banner(words, info)
		if ready != nil {
			ready(info)
		}
		return nil
	})
	return group.Wait()
}

// shutDown lets the requests in flight finish until ctx ends, and cuts off the rest.
func (s *Server) shutDown(ctx context.Context, h *http.Server) error {
	if err := h.Shutdown(ctx); err != nil {
		s.log.Warn("requests in flight were cut off", "error", err)
		return h.Close()
	}
	return nil
}

// open opens everything that can fail before anything runs.
func (s *Server) open(ctx context.Context) error {
	if err := os.MkdirAll(s.cfg.DataDir, 0o700); err != nil {
		return err
	}
	var err error
	if s.backend, err = s.openStore(ctx); err != nil {
		return err
	}
	s.store = store.New(s.backend)
	if s.ring, err = credential.OpenKeyRing(s.cfg.KeyFile); err != nil {
		return err
	}
	if s.authority, err = certs.Open(ctx, s.store, s.ring, s.clock, certs.Installation); err != nil {
		return err
	}
	if s.access, err = s.openLog("access log", s.cfg.AccessLog); err != nil {
		return err
	}
	if s.calls, err = s.openLog("audit log", s.cfg.AuditLog); err != nil {
		return err
	}
	s.publisher = snapshot.NewPublisher(snapshot.Config{
		Backend:    s.backend,
		Settings:   s.cfg.world,
		OpenSecret: func(k *model.AccessKey) ([]byte, error) { return s.ring.Open(k.Sealed, k.ID) },
		Clock:      s.clock, Log: s.log,
	})
	s.answers = &answers{store: s.store, clock: s.clock}
	s.recorder = gateway.NewRecorder(s.cfg.Remember)
	s.metrics = newMetrics(s.publisher, s.clock, s.access, s.calls, func() int { return len(s.gateway.Problems()) })
	tokens := credential.NewTokens(s.ring)
	authenticator := &credential.Authenticator{Tokens: tokens, Verifier: s.verifier}
	targetTLS, err := s.targetTLS()
	if err != nil {
		return err
	}
	s.gateway = gateway.New(gateway.Config{
		Publisher: s.publisher, Authenticator: authenticator, Addrs: s.cfg.gatewayAddrs, Ports: s.cfg.gatewayPorts,
		Certificate: s.certificate, TargetTLS: targetTLS, MaxStaleness: s.cfg.maxStaleness, Access: s.access,
		Recorder: s.recorder, Clock: s.clock, Log: s.log, Decided: s.metrics.decided("gateway"),
	})
	if err := s.openEMS(ctx, authenticator); err != nil {
		return err
	}
	if err := s.openAPI(authenticator, tokens); err != nil {
		return err
	}
	if s.apiAddr, err = s.listen("api-addr", s.cfg.APIAddr, s.api); err != nil {
		return err
	}
	if s.cfg.APITLSAddr != "" {
		if err := s.listenTLS(); err != nil {
			return err
		}
	}
	admin := &http.Server{Handler: s.adminHandler(), ReadHeaderTimeout: 10 * time.Second}
	if s.adminAt, err = s.listen("admin-addr", s.cfg.AdminAddr, admin); err != nil {
		return err
	}
	return s.openWorkloads(tokens)
}

// listen opens the address of an HTTP server.
func (s *Server) listen(setting, addr string, h *http.Server) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: choose another with --%[1]s", setting, err)
	}
	s.closers = append(s.closers, l)
	s.fronts = append(s.fronts, front{h, l})
	return l, nil
}

// listenTLS opens the address where the APIs are served with TLS.
func (s *Server) listenTLS() error {
	l, err := net.Listen("tcp", s.cfg.APITLSAddr)
	if err != nil {
		return fmt.Errorf("api-tls-addr: %w: choose another with --api-tls-addr", err)
	}
	s.closers = append(s.closers, l)
	s.fronts = append(s.fronts, front{s.api, tls.NewListener(l, &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}, GetCertificate: s.apiCertificate,
	})})
	return nil
}

// apiNames are the names that clients call AWS's APIs by: sts.us-west-2.amazonaws.com.
var apiNames = regexp.MustCompile(`^[a-z0-9-]+(\.[a-z0-9-]+){0,2}\.amazonaws\.com$`)

// apiCertificate is that of a name that AWS's APIs have, or of this machine.
func (s *Server) apiCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name := strings.ToLower(hello.ServerName)
	if name == "" {
		name = "localhost"
	}
	if name != "localhost" && !apiNames.MatchString(name) {
		return nil, fmt.Errorf("no API of AWS has the name %q", name)
	}
	return s.authority.Issue(name)
}

// openWorkloads opens what hands out credentials to workloads, as far as it is asked
// for.
func (s *Server) openWorkloads(tokens *credential.Tokens) (err error) {
	w := workload.New(workload.Config{
		Current: s.publisher.Current, Tokens: tokens, Secrets: s.ring, TokensOptional: s.cfg.IMDSTokens == "optional",
		Identities: s.identities, PodAccount: s.cfg.AccountID,
		Partition: partition, Audit: s.calls, Decided: s.metrics.decided("workload"), Clock: s.clock, Log: s.log,
	})
	serve := func(h http.Handler) *http.Server {
		return &http.Server{
			Handler: h, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
			MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		}
	}
	for _, f := range []struct {
		listener      *net.Listener
		setting, addr string
		handler       http.Handler
	}{
		{&s.tasks, "container-credentials-addr", s.cfg.ContainerCredentialsAddr, w.Tasks()},
		{&s.instances, "imds-addr", s.cfg.IMDSAddr, w.Instances()},
		{&s.pods, "pod-identity-addr", s.cfg.PodIdentityAddr, w.Pods()},
	} {
		if f.addr == "" {
			continue
		}
		if *f.listener, err = s.listen(f.setting, f.addr, serve(f.handler)); err != nil {
			return err
		}
	}
	return nil
}

func (s *Server) targetTLS() (*tls.Config, error) {
	if s.cfg.TargetCAFile == "" {
		return nil, nil
	}
	pool, err := readPool(s.cfg.TargetCAFile)
	if err != nil {
		return nil, fmt.Errorf("target-ca-file: %w", err)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}, nil
}

// openLog opens a log of JSON lines.
func (s *Server) openLog(name, path string) (*audit.Writer, error) {
	switch path {
	case "off":
		return audit.NewWriter(name, nil, s.log), nil
	case "-":
		return audit.NewWriter(name, os.Stdout, s.log), nil
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	s.closers = append(s.closers, f)
	return audit.NewWriter(name, f, s.log), nil
}

// certificate is that of a host name which a service has. Nobody else gets one.
func (s *Server) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	snap := s.publisher.Current()
	name := strings.ToLower(hello.ServerName)
	if snap == nil || name == "" || len(snap.Host(name)) == 0 {
		return nil, fmt.Errorf("no service has the name %q", name)
	}
	return s.authority.Issue(name)
}

// close ends what run does not.
func (s *Server) close() error {
	var errs []error
	for _, c := range s.closers {
		if err := c.Close(); err != nil && !errors.Is(err, net.ErrClosed) && !errors.Is(err, os.ErrClosed) {
			errs = append(errs, err)
		}
	}
	if s.backend != nil {
		errs = append(errs, s.backend.Close())
	}
	return errors.Join(errs...)
}
