package xds

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"time"
	"unicode"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/latchwork/latchwork/internal/identity"
	"github.com/latchwork/latchwork/internal/store"
)

// request is a request of either protocol: one of the two is set.
type request struct {
	sotw  *discovery.DiscoveryRequest
	delta *discovery.DeltaDiscoveryRequest
}

func (r request) node() *core.Node {
	if r.delta != nil {
		return r.delta.GetNode()
	}
	return r.sotw.GetNode()
}

// names counts the names in the request, of any list.
func (r request) names() int {
	return len(r.sotw.GetResourceNames()) + len(r.delta.GetResourceNamesSubscribe()) + len(r.delta.GetResourceNamesUnsubscribe()) +
		len(r.delta.GetInitialResourceVersions())
}

func (r request) typeURL() string {
	if r.delta != nil {
		return r.delta.GetTypeUrl()
	}
	return r.sotw.GetTypeUrl()
}

// stream is one proxy that is connected.
type stream struct {
	server      *Server
	grpc        grpc.ServerStream
	incremental bool
	id          string
	grant       *grant
	node        *core.Node
	entry       *entry
	opened      time.Time
	// wake says that there may be something to send.
	wake chan struct{}
	// cut ends the stream with a status; nil ends it well.
	cut chan error

	mu sync.Mutex
	// authorized is false for a proxy that is served without the permission.
	authorized bool
	subs       [kinds]subscription
	nonce      uint64
	// acked is the newest revision that the proxy is known to have.
	acked store.Revision
}

// end ends the stream, if nothing has ended it yet.
func (s *stream) end(err error) {
	select {
	case s.cut <- err:
	default:
	}
}

func (s *stream) notify() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// maxNames bounds what a proxy can make us remember, by kind.
const maxNames = 20000

var errTooMany = status.Error(codes.ResourceExhausted, "too many names of one type are subscribed to")

// receive reads requests until the stream ends.
func receive(gs grpc.ServerStream, incremental bool, to chan<- request) {
	defer close(to)
	for {
		var r request
		var err error
		if incremental {
			r.delta = &discovery.DeltaDiscoveryRequest{}
			err = gs.RecvMsg(r.delta)
		} else {
			r.sotw = &discovery.DiscoveryRequest{}
			err = gs.RecvMsg(r.sotw)
		}
		if err != nil {
			return
		}
		select {
		case to <- r:
		case <-gs.Context().Done():
			return
		}
	}
}

// run serves the stream: first is the request that it began with.
func (s *stream) run(first request, requests <-chan request) error {
	err := s.take(first)
	for err == nil {
		if err = s.flush(); err != nil {
			break
		}
		select {
		case r, more := <-requests:
			if !more {
				return io.EOF
			}
			err = s.take(r)
		case <-s.wake:
		}
	}
	return err
}

// take takes over one request.
func (s *stream) take(r request) error {
	if n := r.node(); n != nil && n.GetId() != s.node.GetId() {
		return status.Error(codes.InvalidArgument, "the node of a stream must stay the same: it was "+quote(s.node.GetId())+" and is "+quote(n.GetId()))
	}
	if r.typeURL() == "" {
		return status.Error(codes.InvalidArgument, "a request must have a type_url")
	}
	k, ok := kindOf(r.typeURL())
	if !ok {
		return status.Error(codes.InvalidArgument, "there are no resources of type "+quote(r.typeURL()))
	}
	if r.names() > maxNames {
		return errTooMany
	}
	current := s.entry.state()
	s.mu.Lock()
	defer s.mu.Unlock()
	sub := &s.subs[k]
	rejections := sub.rejections
	if r.delta != nil {
		sub.deltaRequest(r.delta)
	} else {
		sub.sotwRequest(k, r.sotw, current.tables[k])
	}
	if len(sub.names) > maxNames {
		return errTooMany
	}
	if sub.rejections > rejections {
		s.server.rejected(s, k, sub.rejected)
	}
	s.settle(current)
	return nil
}

// settle notes what the proxy has come to. s.mu is held.
func (s *stream) settle(current state) {
	for k := range kinds {
		if !s.subs[k].inStep(current.tables[k]) {
			return
		}
	}
	if s.subs[clusters].active && s.subs[listeners].active {
		s.acked = max(s.acked, current.revision)
	}
}

// flush sends what is due, of each kind in its turn. What refers to clusters waits
// until the proxy has answered for them: Envoy does so when they are warm, and has
// no host for a request that comes earlier.
// Source: Envoy, ClusterManagerImpl::updateClusterCounts.
func (s *stream) flush() error {
	for k := range kinds {
		current := s.entry.state()
		s.mu.Lock()
		if k >= listeners && s.subs[clusters].underWay(current.tables[clusters]) {
			s.mu.Unlock()
			continue
		}
		sub := &s.subs[k]
		settled := s.subs[listeners].inStep(current.tables[listeners]) && s.subs[routes].inStep(current.tables[routes])
		message, behind := sub.due(current.tables[k], s.incremental, settled)
		var f *frame
		if message != nil {
			s.nonce++
			sub.begun(current.tables[k].version, s.nonce)
			f = &frame{message, s.nonce}
		}
		s.settle(current)
		s.mu.Unlock()
		if behind {
			return errBehind
		}
		if f == nil {
			continue
		}
		s.server.pushes[k].Add(1)
		if err := s.grpc.SendMsg(f); err != nil {
			return err
		}
	}
	return nil
}

// errBehind ends the stream of a proxy that has missed too much to be told of. It
// comes back at once and says what it has.
var errBehind = errors.New("the proxy is too far behind")

// quote shows a text of a client in an error.
func quote(s string) string { return `"` + line(s, 256) + `"` }

// line is a text of a client in one line of bounded length.
func line(s string, most int) string {
	if len(s) > most {
		s = s[:most] + "…"
	}
	return strings.ToValidUTF8(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s), "?")
}

// errorText is a proxy's error text, in bounded length.
func errorText(s string) string {
	const most = 4096
	if s == "" {
		return "the proxy gave no reason"
	}
	if len(s) > most {
		s = s[:most] + "…"
	}
	return strings.ToValidUTF8(s, "?")
}

// serve is the handler of both protocols.
func (s *Server) serve(gs grpc.ServerStream, incremental bool) error {
	ctx := gs.Context()
	snap := s.cfg.Publisher.Current()
	if snap == nil {
		return status.Error(codes.Unavailable, "the server is starting and has not read its state yet")
	}
	method := discovery.AggregatedDiscoveryService_StreamAggregatedResources_FullMethodName
	if incremental {
		method = discovery.AggregatedDiscoveryService_DeltaAggregatedResources_FullMethodName
	}
	who, err := s.authenticate(ctx, snap, method)
	if err != nil {
		s.refused(&attempt{caller: &caller{principal: &identity.Principal{}, request: neutral(ctx, method)}, err: err})
		return err
	}
	requests := make(chan request)
	go receive(gs, incremental, requests)
	first, err := s.first(ctx, requests)
	if err != nil {
		return err
	}
	st, err := s.open(gs, incremental, who, first)
	if err != nil {
		return err
	}
	err = st.wait(ctx, first, requests)
	s.closed(st, err)
	return err
}

// first waits for the first request, which a proxy sends at once.
func (s *Server) first(ctx context.Context, requests <-chan request) (request, error) {
	timer := time.NewTimer(s.cfg.FirstRequest)
	defer timer.Stop()
	select {
	case r, ok := <-requests:
		if !ok {
			return r, status.Error(codes.InvalidArgument, "the stream ended before its first request")
		}
		if r.node() == nil || r.node().GetId() == "" {
			return r, status.Error(codes.InvalidArgument, "the first request must name its node: set node.id to the ARN of a virtual node or a virtual gateway")
		}
		return r, nil
	case <-timer.C:
		return request{}, status.Error(codes.DeadlineExceeded, "no request came after the stream was opened")
	case <-ctx.Done():
		return request{}, status.FromContextError(ctx.Err()).Err()
	}
}

// wait runs the stream until it ends by itself, is cut, or its time is over. The
// status of a stream that is to come back is OK.
func (s *stream) wait(ctx context.Context, first request, requests <-chan request) error {
	done := make(chan error, 1)
	go func() { done <- s.run(first, requests) }()
	timer := time.NewTimer(s.server.lifetime(s))
	defer timer.Stop()
	select {
	case err := <-done:
		if errors.Is(err, io.EOF) || errors.Is(err, errBehind) {
			return nil
		}
		return err
	case err := <-s.cut:
		return err
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return status.FromContextError(ctx.Err()).Err()
	}
}
