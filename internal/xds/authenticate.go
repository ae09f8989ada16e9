package xds

import (
	"context"
	"encoding/base64"
	"errors"
	"net"
	"net/netip"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"

	"github.com/latchwork/latchwork/internal/identity"
	"github.com/latchwork/latchwork/internal/inbound"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/sigv4"
	"github.com/latchwork/latchwork/internal/snapshot"
)

// skew is how far the date of a signature may be from the clock.
const skew = 5 * time.Minute

// Texts of refusals. The first is AWS's for this service, the others are what AWS
// says elsewhere.
// Source: App Mesh User Guide, "Troubleshooting setup", "Unable to connect to the
// management service".
const (
	textMissingToken = "Missing Authentication Token"
	textRegion       = "Credential should be scoped to a valid region."
)

// errMissingToken refuses a stream that nobody signed.
var errMissingToken = status.Error(codes.Unauthenticated, textMissingToken)

// caller is who opened a stream, and from where.
type caller struct {
	// principal is the anonymous one if nobody signed.
	principal *identity.Principal
	// region that the signature is for; "" if nobody signed.
	region string
	// keyID is the access key.
	keyID   string
	request *inbound.Request
}

// keyHolds tells whether the access key that signed is still one of its owner's; a
// session's is as long as the session.
func (c *caller) keyHolds(snap *snapshot.Snapshot) bool {
	if c.principal.IsAnonymous() || c.principal.Session != nil {
		return true
	}
	key, ok := snap.Key(c.keyID)
	return ok && key.Active && key.Principal != nil && key.Principal.IssuerID == c.principal.IssuerID
}

// tap refuses a stream without a signature before anything is made for it: Envoys
// that have no credentials yet ask again and again.
func (s *Server) tap(ctx context.Context, info *tap.Info) (context.Context, error) {
	if len(info.Header.Get("authorization")) == 0 && !s.anonymousServed() {
		s.unsigned.Add(1)
		s.noteUnsigned(info)
		return nil, errMissingToken
	}
	return ctx, nil
}

// anonymousServed tells whether any account's rule lets Envoys in unsigned.
func (s *Server) anonymousServed() bool {
	snap := s.cfg.Publisher.Current()
	if snap == nil {
		return false
	}
	for _, a := range snap.Settings().Accounts {
		if a.ProxyAuthorization == snapshot.ProxyAuthorizationOff {
			return true
		}
	}
	return false
}

// noteUnsigned says in the log, at most once a while for all, that a proxy has no
// credentials.
func (s *Server) noteUnsigned(info *tap.Info) {
	now := s.cfg.Clock().Unix()
	last := s.unsignedNoted.Load()
	if now-last < 10 || !s.unsignedNoted.CompareAndSwap(last, now) {
		return
	}
	hint := "its ADS cluster does not sign"
	if len(info.Header.Get("x-amz-content-sha256")) > 0 {
		hint = "it has a signing filter that has no credentials"
	}
	s.cfg.Log.Warn("an Envoy was refused: its stream is not signed", "hint", hint, "method", info.FullMethodName, "unsigned", s.unsigned.Load())
}

// authenticate finds out who opened a stream. The error is a gRPC status.
func (s *Server) authenticate(ctx context.Context, snap *snapshot.Snapshot, method string) (*caller, error) {
	r := neutral(ctx, method)
	if r.Count("authorization") == 0 {
		return &caller{principal: &identity.Principal{}, request: r}, nil
	}
	principal, signature, err := s.cfg.Authenticator.Authenticate(snap, r, new(sigv4.Signature), sigv4.Expect{
		Service: model.MeshService, Now: s.cfg.Clock(), Skew: skew, Stream: true, Hosts: s.cfg.Hostnames,
	})
	var bad *sigv4.Error
	switch {
	case errors.As(err, &bad) && bad.Cause == sigv4.Busy:
		return nil, status.Error(codes.ResourceExhausted, bad.Detail)
	case errors.As(err, &bad):
		return nil, status.Error(codes.Unauthenticated, bad.Fault().Message)
	case err != nil:
		return nil, status.Error(codes.Internal, "the request could not be authenticated")
	case signature == nil || principal.IsAnonymous():
		// An Authorization header of another scheme is no signature.
		return nil, errMissingToken
	case signature.Presigned:
		return nil, status.Error(codes.Unauthenticated, textMissingToken)
	}
	return &caller{principal: principal, region: signature.RegionFor(s.cfg.Region), keyID: strings.Clone(signature.AccessKeyID), request: r}, nil
}

// neutral is the request that opened a stream. gRPC hides "te", which HTTP/2 lets
// have one value only; a signature over it is checked with that value.
func neutral(ctx context.Context, method string) *inbound.Request {
	r := &inbound.Request{Method: "POST", Target: method, Major: 2}
	md, _ := metadata.FromIncomingContext(ctx)
	for name, values := range md {
		for _, v := range values {
			switch {
			case name == ":authority":
				r.Authority = v
			case strings.HasPrefix(name, ":"):
			case strings.HasSuffix(name, "-bin"):
				r.Headers = append(r.Headers, inbound.Header{Name: name, Value: base64.RawStdEncoding.EncodeToString([]byte(v))})
			default:
				r.Headers = append(r.Headers, inbound.Header{Name: name, Value: v})
			}
		}
	}
	r.Headers = append(r.Headers, inbound.Header{Name: "te", Value: "trailers"})
	if p, ok := peer.FromContext(ctx); ok {
		r.Remote, r.Local = addrPort(p.Addr), addrPort(p.LocalAddr)
		if info, ok := p.AuthInfo.(credentials.TLSInfo); ok {
			r.TLS = &inbound.TLS{ServerName: info.State.ServerName}
		}
	}
	return r
}

func addrPort(a net.Addr) netip.AddrPort {
	if tcp, ok := a.(*net.TCPAddr); ok {
		ap := tcp.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return netip.AddrPort{}
}
