package xds

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"github.com/latchwork/latchwork/internal/audit"
	"github.com/latchwork/latchwork/internal/authz"
	"github.com/latchwork/latchwork/internal/clock"
	"github.com/latchwork/latchwork/internal/credential"
	"github.com/latchwork/latchwork/internal/snapshot"
	"github.com/latchwork/latchwork/internal/xds/translate"
)

// Config says what the service works with. Publisher, Authenticator, Certificates,
// Clock, Log and Audit are required.
type Config struct {
	Publisher     *snapshot.Publisher
	Authenticator *credential.Authenticator
	// Certificates issues what AWS Certificate Manager would, to the mesh endpoints of
	// an account.
	Certificates func(account string) translate.Certificates
	Audit        *audit.Writer
	Clock        clock.Clock
	Log          *slog.Logger
	// TLS serves the listener; nil is cleartext, for tests and for behind a proxy.
	TLS *tls.Config
	// Hostnames are names of the service that Envoys may have signed.
	Hostnames []string
	// Partition and Region complete short names of mesh endpoints, the region where
	// nobody signed.
	Partition string
	Region    string
	// DefaultAccount is that of short names of whoever did not sign.
	DefaultAccount string
	// MaxProxies is how many may stand for one mesh endpoint; 0 is AWS's 50.
	MaxProxies int
	// Recycle is how long a stream lives, give or take a tenth; 0 is AWS's half an
	// hour.
	Recycle time.Duration
	// FirstRequest is how long a new stream may be silent; 0 is 15 s.
	FirstRequest time.Duration
	// Decided is told the decision on every stream that is opened, for metrics; may be
	// nil.
	Decided func(authz.Cause, authz.Stage)
}

// Server is the Envoy management service.
type Server struct {
	discovery.UnimplementedAggregatedDiscoveryServiceServer
	cfg  Config
	grpc *grpc.Server

	mu sync.Mutex
	// snap is what all entries are at, or being brought to.
	snap    *snapshot.Snapshot
	entries map[entryKey]*entry
	streams map[*stream]struct{}
	// proxies counts the streams of each mesh endpoint, by ARN.
	proxies map[string]int
	// stopping refuses new streams.
	stopping bool

	attempts attempts

	unsigned      atomic.Int64
	unsignedNoted atomic.Int64
	rejections    atomic.Int64
	pushes        [kinds]atomic.Int64
}

// New makes the service; Serve makes it work.
func New(cfg Config) *Server {
	if cfg.MaxProxies == 0 {
		cfg.MaxProxies = 50
	}
	if cfg.Recycle == 0 {
		cfg.Recycle = 30 * time.Minute
	}
	if cfg.FirstRequest == 0 {
		cfg.FirstRequest = 15 * time.Second
	}
	if cfg.Decided == nil {
		cfg.Decided = func(authz.Cause, authz.Stage) {}
	}
	s := &Server{cfg: cfg, entries: map[entryKey]*entry{}, streams: map[*stream]struct{}{}, proxies: map[string]int{}}
	options := []grpc.ServerOption{
		grpc.ForceServerCodecV2(newCodec()),
		grpc.InTapHandle(s.tap),
		grpc.MaxConcurrentStreams(16),
		grpc.MaxRecvMsgSize(2 << 20),
		grpc.MaxHeaderListSize(64 << 10),
		grpc.ConnectionTimeout(20 * time.Second),
		// Buffers of thousands of idle connections are what memory goes to.
		grpc.ReadBufferSize(4 << 10), grpc.WriteBufferSize(16 << 10),
		// Envoys ping every ten seconds; gRPC's own rule would cut them off. A
		// connection that is dead at one end is found by our ping.
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: time.Minute, Timeout: 20 * time.Second, MaxConnectionIdle: 5 * time.Minute}),
	}
	if cfg.TLS != nil {
		options = append(options, grpc.Creds(credentials.NewTLS(cfg.TLS)))
	}
	s.grpc = grpc.NewServer(options...)
	discovery.RegisterAggregatedDiscoveryServiceServer(s.grpc, s)
	return s
}

// StreamAggregatedResources serves the state-of-the-world protocol.
func (s *Server) StreamAggregatedResources(gs discovery.AggregatedDiscoveryService_StreamAggregatedResourcesServer) error {
	return s.serve(gs, false)
}

// DeltaAggregatedResources serves the incremental protocol.
func (s *Server) DeltaAggregatedResources(gs discovery.AggregatedDiscoveryService_DeltaAggregatedResourcesServer) error {
	return s.serve(gs, true)
}

// recheck is how often grants are asked again although nothing has changed: a
// condition may be one of time. renew is how often certificates are looked at.
const (
	recheck = time.Minute
	renew   = 6 * time.Hour
)

// Run follows the snapshots until ctx ends, and then ends all streams so that their
// proxies come back to another server.
func (s *Server) Run(ctx context.Context) error {
	rechecks, renewals := time.NewTicker(recheck), time.NewTicker(renew)
	defer rechecks.Stop()
	defer renewals.Stop()
	for {
		snap, changed := s.cfg.Publisher.Changed()
		if snap != nil {
			s.follow(ctx, snap, false)
		}
		select {
		case <-changed:
		case <-rechecks.C:
		case <-renewals.C:
			s.follow(ctx, snap, true)
		case <-ctx.Done():
			s.stop()
			return ctx.Err()
		}
	}
}

// Serve accepts connections until Run ends.
func (s *Server) Serve(l net.Listener) error {
	if err := s.grpc.Serve(l); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		return err
	}
	return nil
}

// stopTime is how long streams have to end well.
const stopTime = 2 * time.Second

func (s *Server) stop() {
	s.mu.Lock()
	s.stopping = true
	for st := range s.streams {
		st.end(nil)
	}
	s.mu.Unlock()
	timer := time.AfterFunc(stopTime, s.grpc.Stop)
	defer timer.Stop()
	s.grpc.GracefulStop()
}

// follow brings everything to a snapshot: first the streams that have lost their
// permission end, then the others are sent what has changed.
func (s *Server) follow(ctx context.Context, snap *snapshot.Snapshot, anew bool) {
	s.mu.Lock()
	s.snap = snap
	streams := make([]*stream, 0, len(s.streams))
	for st := range s.streams {
		streams = append(streams, st)
	}
	entries := make([]*entry, 0, len(s.entries))
	for _, e := range s.entries {
		entries = append(entries, e)
	}
	s.mu.Unlock()
	users := map[*entry][]*stream{}
	for _, st := range streams {
		if s.still(snap, st) {
			users[st.entry] = append(users[st.entry], st)
		}
	}
	group, _ := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for _, e := range entries {
		group.Go(func() error {
			before := e.state().problem
			changed := e.update(snap, s.cfg.Certificates(e.claim.endpoint.Account), anew)
			if err := e.state().problem; err != nil && (before == nil || before.Error() != err.Error()) {
				s.cfg.Log.Warn("a mesh endpoint cannot be translated; its proxies keep what they have", "endpoint", e.key.arn, "error", err)
			}
			for _, st := range users[e] {
				if changed {
					st.notify()
				} else {
					// What the proxy has is right in this snapshot too.
					current := e.state()
					st.mu.Lock()
					st.settle(current)
					st.mu.Unlock()
				}
			}
			return nil
		})
	}
	_ = group.Wait()
}

// still asks for a stream's grant again, and ends the stream if it does not hold
// any more.
func (s *Server) still(snap *snapshot.Snapshot, st *stream) bool {
	v, err := s.decide(snap, st.grant)
	if err != nil {
		st.end(err)
		return false
	}
	st.mu.Lock()
	st.authorized = v.authorized
	st.mu.Unlock()
	return true
}

// open makes a stream of a first request, if its grant holds.
func (s *Server) open(gs grpc.ServerStream, incremental bool, who *caller, first request) (*stream, error) {
	refuse := func(c claim, v verdict, err error) (*stream, error) {
		s.refused(&attempt{caller: who, node: line(first.node().GetId(), maxNodeID), claim: c, verdict: v, err: err})
		return nil, err
	}
	account, region := who.principal.Account, who.region
	if who.principal.IsAnonymous() {
		account, region = s.cfg.DefaultAccount, s.cfg.Region
	}
	c, ok := parseNode(first.node().GetId(), s.cfg.Partition, account, region)
	if !ok {
		return refuse(c, verdict{}, status.Error(codes.InvalidArgument,
			"node.id "+quote(first.node().GetId())+" is not the ARN of a virtual node or a virtual gateway, such as arn:"+s.cfg.Partition+":appmesh:REGION:ACCOUNT:mesh/MESH/virtualNode/NAME"))
	}
	proxy, problem := parseProxy(first.node())
	if problem != "" {
		return refuse(c, verdict{}, status.Error(codes.InvalidArgument, problem))
	}
	st := &stream{
		server: s, grpc: gs, incremental: incremental, id: newID(), node: first.node(), opened: s.cfg.Clock(),
		grant: &grant{caller: who, claim: c, arn: c.endpoint.ARN()},
		wake:  make(chan struct{}, 1), cut: make(chan error, 1),
	}
	snap := s.cfg.Publisher.Current()
	v, err := s.decide(snap, st.grant)
	if v.question != nil {
		s.cfg.Decided(v.decision.Cause, v.decision.Stage)
	}
	if err != nil {
		return refuse(c, v, err)
	}
	st.authorized = v.authorized
	if err := s.admit(st, entryKey{st.grant.arn, c.owner, proxy}); err != nil {
		return refuse(c, v, err)
	}
	// What has changed since it was decided nobody would tell the stream of, had it
	// not been there yet.
	s.mu.Lock()
	newest := s.snap
	s.mu.Unlock()
	if newest != nil && newest.Revision() > snap.Revision() {
		if v, err = s.decide(newest, st.grant); err != nil {
			s.leave(st)
			return refuse(c, v, err)
		}
		snap = newest
	}
	st.entry.update(snap, s.cfg.Certificates(c.endpoint.Account), false)
	if current := st.entry.state(); current.tables[clusters] == nil {
		s.leave(st)
		return refuse(c, v, status.Error(codes.InvalidArgument, "the mesh endpoint cannot be translated: "+errorText(current.problem.Error())))
	}
	s.opened(st, v)
	return st, nil
}

// admit counts a stream in.
func (s *Server) admit(st *stream, key entryKey) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return status.Error(codes.Unavailable, "the server is stopping")
	}
	if s.proxies[key.arn] >= s.cfg.MaxProxies {
		return status.Error(codes.ResourceExhausted, "Connection limit exceeded for "+key.arn+".")
	}
	e := s.entries[key]
	if e == nil {
		e = &entry{key: key, claim: st.grant.claim}
		s.entries[key] = e
	}
	e.users++
	st.entry = e
	s.proxies[key.arn]++
	s.streams[st] = struct{}{}
	return nil
}

// leave counts a stream out.
func (s *Server) leave(st *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.streams, st)
	key := st.entry.key
	if s.proxies[key.arn]--; s.proxies[key.arn] == 0 {
		delete(s.proxies, key.arn)
	}
	if st.entry.users--; st.entry.users == 0 && s.entries[key] == st.entry {
		delete(s.entries, key)
	}
}

// lifetime is how long a stream may live: until it is recycled, with some jitter so
// that proxies which came together do not come back together, or until its session
// ends.
func (s *Server) lifetime(st *stream) time.Duration {
	d := s.cfg.Recycle + time.Duration((rand.Float64()-.5)/5*float64(s.cfg.Recycle))
	if at := expires(st.grant.caller.principal); !at.IsZero() {
		d = min(d, max(at.Sub(s.cfg.Clock()), 0))
	}
	return d
}
