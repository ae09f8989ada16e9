package gateway

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/latchwork/latchwork/internal/audit"
	"github.com/latchwork/latchwork/internal/authz"
	"github.com/latchwork/latchwork/internal/clock"
	"github.com/latchwork/latchwork/internal/identity"
	"github.com/latchwork/latchwork/internal/inbound"
	"github.com/latchwork/latchwork/internal/inbound/httpin"
	"github.com/latchwork/latchwork/internal/sigv4"
	"github.com/latchwork/latchwork/internal/snapshot"
)

// exchange is one request and everything that became of it. It is written by the
// goroutine that serves the request, and read by others only when that is done.
type exchange struct {
	authz.Invocation

	requestID  string // the client's own, where it sent one
	decisionID string
	started    time.Time

	snap *snapshot.Snapshot

	principal     *identity.Principal
	signature     *sigv4.Signature // nil where nobody signed; else &signed
	signed        sigv4.Signature
	signatureErr  error
	authenticated bool
	decided       bool
	decision      authz.Decision

	entry *audit.AccessEntry
	// wroteRequest and firstByte are Unix nanoseconds; 0: not yet.
	wroteRequest atomic.Int64
	firstByte    atomic.Int64
	grpcTrailer  http.Header
	finished     bool
	recorded     bool

	// result is what is only known at the end. The exchange can be explained
	// before that, so it has a lock.
	mu     sync.Mutex
	result result
}

// result is what became of an exchange.
type result struct {
	status  int
	failure string
}

// remember makes the exchange known to the Recorder, before the client has an
// answer that it could ask about.
func (g *Gateway) remember(x *exchange) {
	if g.cfg.Recorder != nil && !x.recorded {
		x.recorded = true
		g.cfg.Recorder.add(x)
	}
}

func (x *exchange) scheme() string {
	if x.In.TLS != nil {
		return "https"
	}
	return "http"
}

// portHandler serves the requests that come in on one listener port.
type portHandler struct {
	gateway *Gateway
	port    int64
}

func (h *portHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	own := &responseWriter{ResponseWriter: w}
	h.gateway.serve(own, r, h.port)
	if r.ProtoMajor == 1 && r.ContentLength != 0 {
		own.bound(h.gateway.idle)
	}
}

// maxRequestID is how much of a client's own request id is kept.
// Source: VPC Lattice User Guide, "Request tracking".
const maxRequestID = 512

func newID() string {
	var b [16]byte
	rand.Read(b[:])
	text := hex.EncodeToString(b[:])
	return text[:8] + "-" + text[8:12] + "-" + text[12:16] + "-" + text[16:20] + "-" + text[20:]
}

// mark puts the request's ids into the headers of its answer.
func (x *exchange) mark(h http.Header) {
	h[headerRequestID] = []string{x.requestID}
	h[headerDecisionID] = []string{x.decisionID}
}

func (g *Gateway) serve(w *responseWriter, r *http.Request, port int64) {
	x := &exchange{started: g.clock(), decisionID: newID(), Invocation: authz.Invocation{Port: port}, principal: &identity.Principal{}}
	x.requestID = x.decisionID
	if own := r.Header.Get(headerRequestID); own != "" {
		x.requestID = own[:min(len(own), maxRequestID)]
	}
	x.entry = &audit.AccessEntry{}
	if began, ok := r.Context().Value(connStartKey{}).(time.Time); ok && x.started.Sub(began) > connectionLifetime {
		// Also ends an HTTP/2 connection, after the streams that it has.
		w.Header().Set("Connection", "close")
	}
	in, err := httpin.Request(r)
	if err != nil {
		x.In = &inbound.Request{Method: r.Method, Target: r.RequestURI, Authority: r.Host, Major: r.ProtoMajor}
		g.malformed(w, x, err)
		return
	}
	x.In = in
	x.GRPC = in.IsGRPC()
	if err := x.Check(); err != nil {
		g.malformed(w, x, err)
		return
	}
	x.snap = g.cfg.Publisher.Current()
	if x.snap == nil || g.stale(x) {
		x.entry.FailureReason = failInternal
		g.refuse(w, x, http.StatusServiceUnavailable, http.StatusText(http.StatusServiceUnavailable))
		g.finish(w, x)
		return
	}
	listener := g.locate(x)
	if listener == nil {
		g.refuse(w, x, http.StatusNotFound, http.StatusText(http.StatusNotFound))
		g.finish(w, x)
		return
	}
	if in.TLS != nil && snapshot.HostName(in.TLS.ServerName) != snapshot.HostName(in.Authority) {
		// The certificate that the client has seen is for one name, and not for this one.
		// Source: RFC 9110, 15.5.20; what VPC Lattice does is not documented.
		x.entry.FailureReason = failClientProtocol
		g.refuse(w, x, http.StatusMisdirectedRequest, http.StatusText(http.StatusMisdirectedRequest))
		g.finish(w, x)
		return
	}
	if !g.authorize(w, x) {
		return
	}
	g.remember(x)
	_, action := route(listener, in)
	switch {
	case listener.Incomplete:
		x.entry.FailureReason = failInternal
		g.refuse(w, x, http.StatusServiceUnavailable, http.StatusText(http.StatusServiceUnavailable))
	case action == nil:
		g.refuse(w, x, http.StatusNotFound, http.StatusText(http.StatusNotFound))
	case action.FixedResponse != nil && action.FixedResponse.StatusCode != nil:
		status := int(*action.FixedResponse.StatusCode)
		g.refuse(w, x, status, http.StatusText(status))
	case action.Forward != nil:
		g.toTarget(w, r, x, choose(action.Forward))
	default:
		g.refuse(w, x, http.StatusInternalServerError, http.StatusText(http.StatusInternalServerError))
	}
	g.finish(w, x)
}

// stale tells whether the store was lost so long ago that nothing may be answered
// any more.
func (g *Gateway) stale(x *exchange) bool {
	since := g.cfg.Publisher.BrokenSince()
	return g.cfg.MaxStaleness > 0 && !since.IsZero() && x.started.Sub(since) > g.cfg.MaxStaleness
}

// locate finds the service that a request is for, the VPC that it comes from and
// the service network that it enters through, and the listener. nil means that
// there is no such service for this client.
func (g *Gateway) locate(x *exchange) *snapshot.Listener {
	addresses := snapshot.Addresses{Client: x.In.Remote.Addr(), Gateway: x.In.Local.Addr()}
	for _, v := range x.snap.Host(snapshot.HostName(x.In.Authority)) {
		vpc, _ := x.snap.VPC(v.Region, addresses)
		if vpc == nil || vpc.Network == "" || !v.In(vpc.Network) {
			continue
		}
		network, ok := x.snap.Network(vpc.Network)
		if !ok {
			continue
		}
		l := v.Listener(x.Port)
		if l == nil || (l.Protocol == "HTTPS") != (x.In.TLS != nil) {
			continue
		}
		x.Service, x.Network, x.VPC = v, network, vpc
		return l
	}
	return nil
}

// authorize authenticates the caller and asks for the decision. It answers the
// request itself if that is no.
func (g *Gateway) authorize(w *responseWriter, x *exchange) bool {
	x.Caller = authz.CallerKeys{Snap: x.snap, Principal: x.principal, Owner: x.Service.Account, Now: x.started}
	if x.Service.AuthType == "NONE" && x.Network.AuthType == "NONE" {
		// Nobody is asked who they are, so a bad signature is not looked at either.
		x.Strip()
		x.decided, x.decision = true, authz.Decide(x.snap, x.Query())
		g.count(x)
		return x.decision.Allowed
	}
	principal, signature, err := g.cfg.Authenticator.Authenticate(x.snap, x.In, &x.signed, x.expect())
	x.signature, x.signatureErr = signature, err
	if err != nil {
		x.entry.ResolvedUser, x.entry.FailureReason = "Unknown", failDenied
		var bad *sigv4.Error
		status, body := http.StatusForbidden, "AccessDeniedException"
		if errors.As(err, &bad) {
			status, body = bad.DataPlane()
		}
		g.refuse(w, x, status, body)
		g.finish(w, x)
		return false
	}
	// The signature is of what the client sent; the decision, the rules and the
	// target must not see what only the gateway may say.
	x.Strip()
	x.principal, x.authenticated = principal, !principal.IsAnonymous()
	x.Caller.Principal = principal
	q := x.Query()
	x.decision, x.decided = authz.Decide(x.snap, q), true
	g.count(x)
	if x.decision.Allowed {
		return true
	}
	x.entry.FailureReason, x.entry.AuthDeniedReason = failDenied, deniedReason(x.decision.Stage)
	g.refuse(w, x, http.StatusForbidden, "AccessDeniedException: "+x.decision.DeniedText(q))
	g.finish(w, x)
	return false
}

// expect is what the signature must be made for.
func (x *exchange) expect() sigv4.Expect {
	return sigv4.Expect{Service: SigningService, Region: x.Service.Region, Now: x.started, Skew: skew, DataPlane: true}
}

func (g *Gateway) count(x *exchange) {
	if g.cfg.Decided != nil {
		g.cfg.Decided(x.decision.Cause, x.decision.Stage)
	}
}

// deniedReason is the layer in AWS's access logs, which know three.
func deniedReason(s authz.Stage) string {
	switch s {
	case authz.StageNetwork:
		return "Network"
	case authz.StageService:
		return "Service"
	}
	return "Identity"
}

// toTarget forwards to a target of a group.
func (g *Gateway) toTarget(w *responseWriter, r *http.Request, x *exchange, groupID string) {
	var p *pool
	if groupID != "" {
		p = g.pools.get(strings.TrimSuffix(x.Service.ARN, "service/"+x.Service.ID) + "targetgroup/" + groupID)
	}
	if p == nil {
		x.entry.FailureReason = failTargetConnection
		g.refuse(w, x, http.StatusServiceUnavailable, http.StatusText(http.StatusServiceUnavailable))
		return
	}
	group := p.group.Load()
	x.entry.TargetGroupArn = group.ARN
	if !speaks(group, x.In.Major, x.In.Method, x.GRPC) {
		x.entry.FailureReason = failTargetProtocol
		g.refuse(w, x, http.StatusBadGateway, http.StatusText(http.StatusBadGateway))
		return
	}
	t := p.pick()
	if t == nil {
		x.entry.FailureReason = failTargetConnection
		g.refuse(w, x, http.StatusServiceUnavailable, http.StatusText(http.StatusServiceUnavailable))
		return
	}
	g.forward(w, r, x, group, t)
}

// malformed answers a request that must not be looked at any further.
func (g *Gateway) malformed(w *responseWriter, x *exchange, err error) {
	x.entry.FailureReason = failClientProtocol
	g.refuse(w, x, http.StatusBadRequest, "BadRequest: "+err.Error())
	g.finish(w, x)
}

// grpcStatus is the gRPC status that stands for an HTTP status.
// Source: gRPC, "HTTP to gRPC Status Code Mapping".
func grpcStatus(status int) string {
	switch status {
	case http.StatusBadRequest:
		return "13"
	case http.StatusForbidden:
		return "7"
	case http.StatusNotFound:
		return "12"
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return "14"
	}
	return "2"
}

// refuse answers in the gateway's own name: one line of text, or for gRPC a status
// in the headers.
func (g *Gateway) refuse(w *responseWriter, x *exchange, status int, body string) {
	x.mu.Lock()
	x.result = result{status, x.entry.FailureReason}
	x.mu.Unlock()
	g.remember(x)
	w.bound(g.idle)
	h := w.Header()
	x.mark(h)
	if x.GRPC {
		x.entry.GrpcResponseCode = grpcStatus(status)
		h.Set("Content-Type", "application/grpc")
		h.Set("Grpc-Status", x.entry.GrpcResponseCode)
		h.Set("Grpc-Message", percentEncode(body))
		w.WriteHeader(http.StatusOK)
		x.entry.ResponseCode = http.StatusOK
		return
	}
	h.Set("Content-Type", "text/plain")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if x.In.Method != http.MethodHead {
		_, _ = w.Write([]byte(body))
	}
}

// percentEncode writes a grpc-message (gRPC over HTTP2, "Status-Message").
func percentEncode(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c >= ' ' && c <= '~' && c != '%' {
			b.WriteByte(c)
		} else {
			b.WriteString("%" + strings.ToUpper(hex.EncodeToString([]byte{c})))
		}
	}
	return b.String()
}

// finish writes the access log and remembers the exchange, once.
func (g *Gateway) finish(w *responseWriter, x *exchange) {
	if x.finished {
		return
	}
	x.finished = true
	now := g.clock()
	e := x.entry
	in := x.In
	if x.Service != nil {
		e.ServiceArn = x.Service.ARN
	}
	if x.Network != nil {
		e.ServiceNetworkArn = x.Network.ARN
	}
	if x.VPC != nil {
		e.SourceVpcArn, e.SourceVpcID, e.SourceVpcEvidence = x.VPC.ARN, x.VPC.ID, x.VPC.Evidence
	}
	if x.decided && e.ResolvedUser == "" && x.asked() {
		e.ResolvedUser = "Anonymous"
		if x.authenticated {
			e.ResolvedUser = x.principal.IssuerARN
			e.CallerPrincipal = x.principal.ARN
			e.CallerPrincipalOrgID = x.snap.Account(x.principal.Account).OrgID
			e.CallerPrincipalTags = tagText(principalTags(x.snap, x.principal))
		}
	}
	e.SourceIPPort = in.Remote.String()
	e.StartTime = x.started.UTC().Format(audit.StartTimeFormat)
	e.RequestMethod, e.RequestPath, e.HostHeader = in.Method, in.Path(), in.Authority
	e.UserAgent, _ = in.Get("user-agent")
	e.Protocol = "HTTP/1.1"
	if in.Major == 2 {
		e.Protocol = "HTTP/2"
	}
	if in.TLS != nil {
		e.TLSVersion, e.SSLCipher, e.ServerNameIndication = in.TLS.Version, in.TLS.Cipher, in.TLS.ServerName
	}
	e.ResponseCode = w.status
	e.BytesSent = w.written
	e.BytesReceived = requestSize(in) + w.received.Load()
	e.Duration = now.Sub(x.started).Milliseconds()
	if at := x.wroteRequest.Load(); at != 0 {
		e.RequestToTargetDuration = time.Unix(0, at).Sub(x.started).Milliseconds()
	}
	if at := x.firstByte.Load(); at != 0 {
		e.ResponseFromTargetDuration = now.Sub(time.Unix(0, at)).Milliseconds()
	}
	e.RequestID, e.DecisionID = x.requestID, x.decisionID
	if x.snap != nil {
		e.Revision = int64(x.snap.Revision())
	}
	x.mu.Lock()
	x.result = result{e.ResponseCode, e.FailureReason}
	x.mu.Unlock()
	g.cfg.Access.Access(e)
}

// asked tells whether the caller was asked who they are.
func (x *exchange) asked() bool {
	return x.Service != nil && (x.Service.AuthType != "NONE" || x.Network.AuthType != "NONE")
}

func tagText(tags []tag) string {
	if len(tags) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteByte('{')
	for i, t := range tags {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Quote(t.key) + ":" + strconv.Quote(t.value))
	}
	b.WriteByte('}')
	return b.String()
}

func requestSize(in *inbound.Request) int64 {
	n := len(in.Method) + len(in.Target) + len(in.Authority)
	for i := range in.Headers {
		n += len(in.Headers[i].Name) + len(in.Headers[i].Value)
	}
	return int64(n)
}

// responseWriter counts what is sent and received.
type responseWriter struct {
	http.ResponseWriter
	status   int
	written  int64
	received atomic.Int64 // of the request's body
	watch    *watch       // nil while nothing is being forwarded
	bodiless bool         // the target's answer ends with its headers
}

func (w *responseWriter) WriteHeader(status int) {
	if status >= 200 || status == http.StatusSwitchingProtocols {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *responseWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.watch.during(func() (int, error) { return w.ResponseWriter.Write(b) })
	w.written += int64(n)
	return n, err
}

// bound limits the time of what is left when the answer is known: net/http reads the
// rest of the request, and sends what it has buffered of the answer.
func (w *responseWriter) bound(idle time.Duration) {
	control, until := http.NewResponseController(w.ResponseWriter), clock.System().Add(idle)
	if w.watch == nil || w.watch.stop() == nobody {
		_ = control.SetReadDeadline(until)
	}
	_ = control.SetWriteDeadline(until)
}

// Unwrap lets http.ResponseController find the connection's own writer.
func (w *responseWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Flush implements http.Flusher, which httputil.ReverseProxy looks for. It may come
// before the handler ends, where there is no body: the headers would not end the stream
// then, and a gRPC client would take the status in them for none.
func (w *responseWriter) Flush() {
	if w.bodiless {
		return
	}
	if f, ok := w.ResponseWriter.(http.Flusher); ok {
		_, _ = w.watch.during(func() (int, error) { f.Flush(); return 0, nil })
	}
}
