package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/latchwork/latchwork/internal/snapshot"
)

var discardLog = log.New(io.Discard, "", 0)

// transports are the ways to reach a target: by protocol and version. They share
// nothing; a target group uses one.
type transports struct {
	http1, https1, http2, https2 *http.Transport
}

func newTransports(targetTLS *tls.Config) *transports {
	make := func(http1, http2, cleartext2 bool) *http.Transport {
		protocols := new(http.Protocols)
		protocols.SetHTTP1(http1)
		protocols.SetHTTP2(http2)
		protocols.SetUnencryptedHTTP2(cleartext2)
		return &http.Transport{
			DialContext:           (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
			TLSClientConfig:       targetTLS.Clone(),
			TLSHandshakeTimeout:   5 * time.Second,
			Protocols:             protocols,
			MaxIdleConnsPerHost:   256,
			MaxIdleConns:          4096,
			IdleConnTimeout:       idleTimeout - 5*time.Second, // before the target's own usual minute
			ResponseHeaderTimeout: idleTimeout,
			// What the target sends is passed on as it is.
			DisableCompression: true,
		}
	}
	return &transports{
		http1: make(true, false, false), https1: make(true, false, false),
		http2: make(false, false, true), https2: make(false, true, false),
	}
}

// of is the transport for a protocol and its version, as target groups and health
// checks name them.
func (t *transports) of(protocol, version string) (transport *http.Transport, scheme string) {
	secure, two := protocol == "HTTPS", version != "HTTP1"
	switch {
	case secure && two:
		return t.https2, "https"
	case secure:
		return t.https1, "https"
	case two:
		return t.http2, "http"
	default:
		return t.http1, "http"
	}
}

func (t *transports) close() {
	for _, transport := range t.all() {
		transport.CloseIdleConnections()
	}
}

func (t *transports) all() []*http.Transport {
	return []*http.Transport{t.http1, t.https1, t.http2, t.https2}
}

// protocol is a target group's protocol.
func protocol(g *snapshot.TargetGroup) string {
	if g.Config == nil || g.Config.Protocol == nil {
		return "HTTP"
	}
	return *g.Config.Protocol
}

// version is a target group's protocol version.
func version(g *snapshot.TargetGroup) string {
	if g.Config == nil || g.Config.ProtocolVersion == nil {
		return "HTTP1"
	}
	return *g.Config.ProtocolVersion
}

// speaks tells whether a request may go to a target group, by the protocols on
// both sides.
// Source: VPC Lattice User Guide, "Target groups", "Protocol version".
func speaks(g *snapshot.TargetGroup, major int, method string, grpc bool) bool {
	switch version(g) {
	case "HTTP2":
		return major == 2
	case "GRPC":
		return major == 2 && (grpc || method == http.MethodPost)
	default:
		return !grpc
	}
}

// Reasons of failure. Source: VPC Lattice User Guide, "Access logs", failureReason.
const (
	failTargetConnection = "TargetConnectionError"
	failTargetProtocol   = "TargetProtocolError"
	failTargetTimeout    = "TargetDataTimeout"
	failTargetClosed     = "TargetConnectionClosed"
	failClientClosed     = "ClientConnectionClosed"
	failClientProtocol   = "ClientProtocolError"
	failDenied           = "ClientAccessDenied"
	failInternal         = "InternalError"
)

// forward sends the request to a target and the answer back.
func (g *Gateway) forward(w *responseWriter, r *http.Request, x *exchange, group *snapshot.TargetGroup, t *target) {
	transport, scheme := g.transports.of(protocol(group), version(group))
	x.entry.TargetGroupArn = group.ARN
	x.entry.TargetIPPort = t.addr
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	w.watch = watched(w, g.idle, cancel)
	defer w.watch.stop()
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		// Both are called by the transport's own goroutines, which may outlive the
		// exchange where the target answers before it has read the request.
		WroteRequest:         func(httptrace.WroteRequestInfo) { x.wroteRequest.Store(g.clock().UnixNano()) },
		GotFirstResponseByte: func() { x.firstByte.Store(g.clock().UnixNano()) },
	})
	proxy := httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.Out.URL = &url.URL{Scheme: scheme, Host: t.addr}
			setTarget(p.Out.URL, x.In.Target)
			p.Out.Host = r.Host
			g.outboundHeaders(p.Out.Header, x, group)
		},
		Transport:     transport,
		BufferPool:    buffers,
		FlushInterval: -1, // streams and gRPC must not wait for a full buffer
		ErrorLog:      discardLog,
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) {
			// The answer is made below, where the error is at hand.
		},
	}
	var failure error
	proxy.ErrorHandler = func(_ http.ResponseWriter, _ *http.Request, err error) { failure = err }
	proxy.ModifyResponse = func(answer *http.Response) error {
		w.watch.answering.Store(true)
		w.bodiless = answer.ContentLength == 0
		x.mark(answer.Header) // whatever the target says that they are
		if x.GRPC {
			x.grpcTrailer = answer.Trailer
			if status := answer.Header.Get("Grpc-Status"); status != "" {
				x.entry.GrpcResponseCode = status
			}
		}
		return nil
	}
	func() {
		defer func() {
			// ReverseProxy ends a request whose answer broke off in the middle this
			// way; the server closes the connection for it, so it must go on.
			if p := recover(); p != nil {
				switch stalled := w.watch.stop(); {
				case stalled == theTarget:
					x.entry.FailureReason = failTargetTimeout
				case stalled == theClient || r.Context().Err() != nil:
					x.entry.FailureReason = failClientClosed
				default:
					x.entry.FailureReason = failTargetClosed
				}
				g.finish(w, x)
				panic(p)
			}
		}()
		out := r.WithContext(ctx)
		if r.Body != nil && r.Body != http.NoBody {
			out.Body = &watchedBody{r.Body, w.watch, &w.received}
		}
		proxy.ServeHTTP(w, out)
	}()
	if failure != nil {
		status, reason := classifyTargetError(r.Context(), failure)
		switch w.watch.stop() {
		case theClient:
			status, reason = http.StatusRequestTimeout, failClientClosed
		case theTarget:
			status, reason = http.StatusGatewayTimeout, failTargetTimeout
		}
		x.entry.FailureReason = reason
		g.refuse(w, x, status, http.StatusText(status))
	}
	if x.grpcTrailer != nil && x.grpcTrailer.Get("Grpc-Status") != "" {
		x.entry.GrpcResponseCode = x.grpcTrailer.Get("Grpc-Status")
	}
}

// setTarget makes the URL's request target exactly the bytes that were received,
// signed and matched: they have passed inbound.CheckTarget, so nothing in them can
// be read in two ways.
func setTarget(u *url.URL, raw string) {
	path, query, has := strings.Cut(raw, "?")
	u.RawQuery, u.ForceQuery = query, has && query == ""
	// A Path, also with a RawPath beside it, is encoded anew where net/url finds a
	// byte in it that it would not write so itself: then "/admin%2Fx|" is sent as
	// "/admin/x%7C", which nobody matched. An opaque part is sent as it is.
	u.Opaque = path
}

// classifyTargetError says what a failure to reach a target is to the client.
// Source: lattice-dataplane: 503 is what users see without a reachable target, 502
// for a bad answer, 504 for none in time.
func classifyTargetError(ctx context.Context, err error) (status int, reason string) {
	var timeout net.Error
	var dial *net.OpError
	switch {
	case ctx.Err() != nil:
		return http.StatusBadRequest, failClientClosed
	case errors.As(err, &dial) && dial.Op == "dial":
		return http.StatusServiceUnavailable, failTargetConnection
	case errors.As(err, &timeout) && timeout.Timeout():
		return http.StatusGatewayTimeout, failTargetTimeout
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return http.StatusBadGateway, failTargetClosed
	case errors.As(err, &dial):
		return http.StatusBadGateway, failTargetClosed
	default:
		return http.StatusBadGateway, failTargetProtocol
	}
}

// bufferPool lends ReverseProxy its copy buffers.
type bufferPool struct{ free chan []byte }

var buffers = &bufferPool{free: make(chan []byte, 256)}

func (p *bufferPool) Get() []byte {
	select {
	case b := <-p.free:
		return b
	default:
		return make([]byte, 32<<10)
	}
}

func (p *bufferPool) Put(b []byte) {
	select {
	case p.free <- b:
	default:
	}
}

func splitList(text string) []string {
	var out []string
	for _, part := range strings.Split(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
