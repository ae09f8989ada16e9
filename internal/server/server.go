package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"

	"github.com/latchwork/latchwork/internal/audit"
	"github.com/latchwork/latchwork/internal/awsapi"
	"github.com/latchwork/latchwork/internal/certs"
	"github.com/latchwork/latchwork/internal/clock"
	"github.com/latchwork/latchwork/internal/credential"
	"github.com/latchwork/latchwork/internal/gateway"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/oidc"
	"github.com/latchwork/latchwork/internal/service/cloudmap"
	"github.com/latchwork/latchwork/internal/service/ec2"
	"github.com/latchwork/latchwork/internal/service/iam"
	"github.com/latchwork/latchwork/internal/service/lattice"
	"github.com/latchwork/latchwork/internal/service/mesh"
	"github.com/latchwork/latchwork/internal/service/operator"
	"github.com/latchwork/latchwork/internal/service/sts"
	"github.com/latchwork/latchwork/internal/sigv4"
	"github.com/latchwork/latchwork/internal/snapshot"
	"github.com/latchwork/latchwork/internal/store"
	"github.com/latchwork/latchwork/internal/store/etcd"
	"github.com/latchwork/latchwork/internal/wire"
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

func (s *Server) openStore(ctx context.Context) (store.Backend, error) {
	if len(s.cfg.endpoints) == 0 {
		return opened(etcd.Start(ctx, etcd.Embedded{
			Dir: s.cfg.DataDir, Prefix: s.cfg.EtcdPrefix, MinFree: s.cfg.MinFreeMiB << 20, Log: s.log,
		}))
	}
	external := etcd.External{
		Endpoints: s.cfg.endpoints, Prefix: s.cfg.EtcdPrefix, Username: s.cfg.EtcdUsername, Log: s.log,
	}
	if s.cfg.EtcdPasswordFile != "" {
		password, err := os.ReadFile(s.cfg.EtcdPasswordFile)
		if err != nil {
			return nil, fmt.Errorf("etcd-password-file: %w", err)
		}
		external.Password = strings.TrimSpace(string(password))
	}
	if s.cfg.EtcdCAFile != "" || s.cfg.EtcdCertFile != "" {
		external.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
		if s.cfg.EtcdCAFile != "" {
			pool, err := readPool(s.cfg.EtcdCAFile)
			if err != nil {
				return nil, fmt.Errorf("etcd-ca-file: %w", err)
			}
			external.TLS.RootCAs = pool
		}
		if s.cfg.EtcdCertFile != "" {
			pair, err := tls.LoadX509KeyPair(s.cfg.EtcdCertFile, s.cfg.EtcdKeyFile)
			if err != nil {
				return nil, fmt.Errorf("etcd-cert-file: %w", err)
			}
			external.TLS.Certificates = []tls.Certificate{pair}
		}
	}
	return opened(etcd.Connect(ctx, external))
}

// opened keeps a nil backend from becoming an interface that is not nil.
func opened(b *etcd.Backend, err error) (store.Backend, error) {
	if err != nil {
		return nil, err
	}
	return b, nil
}

func readPool(path string) (*x509.CertPool, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s holds no certificate in PEM", path)
	}
	return pool, nil
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

func (s *Server) openAPI(authenticator *credential.Authenticator, tokens *credential.Tokens) error {
	auth := &apiAuth{authenticator: authenticator, clock: s.clock, decided: s.metrics.decided("api")}
	observer := &observer{metrics: s.metrics, writer: s.calls, log: s.log, used: map[string]lastUse{}}
	iamConfig := s.iamConfig()
	iamConfig.LastUsed = func(key string) (iam.LastUsed, bool) {
		u, ok := observer.lastUsed(key)
		return iam.LastUsed{At: u.at, Service: u.service, Region: u.region}, ok
	}
	api, err := awsapi.New(awsapi.Config{
		Bindings: []awsapi.Binding{
			lattice.New(lattice.Config{
				State: s.state(), Clock: s.clock, Partition: partition,
				DefaultAccount: s.cfg.AccountID, Observed: s.cfg.observed, Log: s.log, Health: s.gateway.Health, PortProblem: s.gateway.PortProblem,
			}),
			iam.New(iamConfig),
			sts.New(sts.Config{
				World: sts.Pinned{}, Decider: roleDecider{auth}, Tokens: tokens, Clock: s.clock, Partition: partition, Authorizer: auth,
				Identities: s.identities,
			}),
			ec2.New(ec2.Config{State: s.state(), Clock: s.clock, Settings: &s.cfg.world}),
			cloudmap.New(cloudmap.Config{State: s.state(), Clock: s.clock, Partition: partition, Shuffle: rand.Shuffle, OperationLife: operationLife}),
			mesh.New(mesh.Config{State: s.state(), Clock: s.clock, Partition: partition, Quotas: s.cfg.MeshQuotas}),
			operator.New(operator.Config{
				State: s.state(), Clock: s.clock,
				Explain:  func(id, account string) (any, bool) { return s.recorder.Explain(id, account, s.verifier) },
				Problems: s.problems, Proxies: s.proxies,
				AddressOwner: func(addr netip.Addr) (string, bool) { return s.publisher.Current().AddressOwner(addr) },
				PodAccount:   s.cfg.AccountID,
			}),
		},
		Authenticator: auth, Authorizer: auth, Clock: s.clock, Log: s.log, Idempotency: s.answers,
		Snapshot: func() any { return s.publisher.Current() }, Observe: observer.observe, Region: s.cfg.Region, Partition: partition,
	})
	if err != nil {
		return err
	}
	s.api = &http.Server{
		Handler: api, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 256 << 10, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	return nil
}

func (s *Server) state() model.State { return model.State{Store: s.store, Published: s.publisher} }

func (s *Server) iamConfig() iam.Config {
	return iam.Config{
		State: s.state(), Clock: s.clock, Partition: partition, Secrets: s.ring,
		// On machines of one's own there is no reason to ration entities.
		Quotas: iam.Quotas{
			Users: iam.Unlimited, Groups: iam.Unlimited, Roles: iam.Unlimited, Policies: iam.Unlimited, InstanceProfiles: iam.Unlimited,
			OIDCProviders: iam.Unlimited,
		},
	}
}

// proxies are the Envoys of an account that are connected, and those that were
// refused.
func (s *Server) proxies(account string) (connected, refused any) {
	if s.ems == nil {
		return []xds.Proxy{}, []xds.Attempt{}
	}
	return s.ems.Proxies(account), s.ems.Refused(account)
}

// problems are the records of an account that could not be compiled.
func (s *Server) problems(account string) map[string]string {
	out := map[string]string{}
	if snap := s.publisher.Current(); snap != nil {
		for _, p := range snap.Problems() {
			if model.AccountOf(p.Record) == account {
				out[p.Record] = p.Err.Error()
			}
		}
	}
	return out
}

// Admin is the first administrator of an account, as it is kept in the data
// directory.
type Admin struct {
	Account         string `json:"account"`
	UserName        string `json:"userName"`
	AccessKeyID     string `json:"accessKeyId"`
	SecretAccessKey string `json:"secretAccessKey"`
}

// AdminFile is where an account's first administrator is kept.
func AdminFile(dataDir, account string) string {
	return filepath.Join(dataDir, "admin-"+account+".json")
}

// bootstrap makes the first administrator of each account.
func (s *Server) bootstrap(ctx context.Context) error {
	// Half a store is no store: wait for the first snapshot.
	if err := s.publisher.WaitFor(ctx, 0); err != nil {
		return err
	}
	for _, a := range s.cfg.accounts {
		var admin *Admin
		path := AdminFile(s.cfg.DataDir, a.ID)
		made, err := iam.Administrator(ctx, s.iamConfig(), a.ID, "admin", func(keyID string, secret wire.Secret) error {
			admin = &Admin{Account: a.ID, UserName: "admin", AccessKeyID: keyID, SecretAccessKey: secret.Reveal()}
			return writeSecret(path, admin)
		})
		switch {
		case err != nil:
			// The file stays: the administrator may have been stored all the same, and is
			// made anew if not.
			return fmt.Errorf("making the first administrator of account %s: %w", a.ID, err)
		case made:
			s.admins[a.ID] = admin
		case admin != nil:
			// Another server made the administrator meanwhile, with a key of its own.
			if err := os.Remove(path); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeSecret writes a file of JSON that nobody else can read. It appears whole, and
// is on the disk when writeSecret returns.
func writeSecret(path string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".new-*") // its mode is 0600
	if err != nil {
		return err
	}
	_, err = f.Write(append(text, '\n'))
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
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

// adminHandler serves health, readiness and metrics, without secrets and without
// authentication: bind it to where only operators are.
func (s *Server) adminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		state := s.readiness(r.Context())
		w.Header().Set("Content-Type", "application/json")
		if !state.Ready {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_ = json.NewEncoder(w).Encode(state)
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{}))
	return mux
}

// Readiness is what /readyz answers.
type Readiness struct {
	Ready    bool  `json:"ready"`
	Revision int64 `json:"revision"`
	// Reasons say why the server is not ready; Warnings what is wrong all the same.
	Reasons  []string `json:"reasons,omitzero"`
	Warnings []string `json:"warnings,omitzero"`
	// StaleSeconds is how long ago the store was last known to be followed; 0 while
	// it is.
	StaleSeconds float64 `json:"staleSeconds"`
}

func (s *Server) readiness(ctx context.Context) Readiness {
	out := Readiness{Ready: true}
	not := func(format string, args ...any) {
		out.Ready = false
		out.Reasons = append(out.Reasons, fmt.Sprintf(format, args...))
	}
	if snap := s.publisher.Current(); snap == nil {
		not("no state has been read yet")
	} else {
		out.Revision = int64(snap.Revision())
		if n := len(snap.Problems()); n > 0 {
			out.Warnings = append(out.Warnings, fmt.Sprintf("%d records cannot be compiled; what depends on them is denied", n))
		}
	}
	if since := s.publisher.BrokenSince(); !since.IsZero() {
		out.StaleSeconds = s.clock().Sub(since).Seconds()
		not("the store cannot be followed; the state in force is %.0f seconds old", out.StaleSeconds)
	}
	if err := s.backend.Healthy(ctx); err != nil {
		not("the store cannot be written to: %v", err)
	}
	select {
	case <-s.gateway.Ready():
	default:
		not("the gateway has not opened its ports yet")
	}
	for _, a := range s.cfg.accounts {
		if s.ems != nil && a.ProxyAuthorization == string(snapshot.ProxyAuthorizationOff) {
			out.Warnings = append(out.Warnings, fmt.Sprintf("Envoys of account %s are served unsigned and unauthorized: proxy-authorization is off", a.ID))
		}
	}
	for port, err := range s.gateway.Problems() {
		out.Warnings = append(out.Warnings, fmt.Sprintf("listener port %d is not open: %v", port, err))
	}
	return out
}
