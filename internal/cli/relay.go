package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"

	"github.com/latchwork/latchwork/internal/clock"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/sigv4"
)

// relayConfig says between whom a relay is.
type relayConfig struct {
	address string
	tls     *tls.Config
	source  *credentialSource
	region  string
	clock   clock.Clock
	// began and ended are told of streams that the service answers, and of those that
	// did not end well, with the access key that signed them.
	began func(keyID string)
	ended func(err error, keyID string)
}

// relay gives Envoys their configuration: for each stream that an Envoy opens it opens
// one to the Envoy management service, signs it, and copies messages both ways as they
// are.
type relay struct {
	cfg    relayConfig
	conn   *grpc.ClientConn
	server *grpc.Server
}

// relayed are the two protocols of the aggregated discovery service.
var relayed = map[string]bool{
	"/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources": true,
	"/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources":  true,
}

func newRelay(cfg relayConfig) (*relay, error) {
	r := &relay{cfg: cfg}
	var err error
	r.conn, err = grpc.NewClient(cfg.address,
		grpc.WithTransportCredentials(credentials.NewTLS(cfg.tls)),
		grpc.WithPerRPCCredentials(streamSigner{&r.cfg}),
		grpc.WithUserAgent("latchwork-agent"),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, Timeout: 20 * time.Second}),
		// Envoy itself waits longer and longer between its tries.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 200 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 5 * time.Second},
			MinConnectTimeout: 5 * time.Second,
		}),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(asIs{}), grpc.MaxCallRecvMsgSize(math.MaxInt32)),
	)
	if err != nil {
		return nil, err
	}
	r.server = grpc.NewServer(
		grpc.ForceServerCodecV2(asIs{}), grpc.MaxRecvMsgSize(math.MaxInt32),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
		grpc.UnknownServiceHandler(func(_ any, down grpc.ServerStream) error { return r.handle(down) }),
	)
	return r, nil
}

// serve serves until ctx ends.
func (r *relay) serve(ctx context.Context, l net.Listener) error {
	stop := context.AfterFunc(ctx, r.server.Stop)
	defer stop()
	if err := r.server.Serve(l); ctx.Err() == nil {
		return err
	}
	return nil
}

// handle relays one stream. As the service ends it, so it ends.
func (r *relay) handle(down grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(down)
	if !relayed[method] {
		return status.Error(codes.Unimplemented, "the agent relays Envoy's aggregated discovery service alone, and not "+method)
	}
	keyID := new(atomic.Value)
	keyID.Store("")
	up, err := r.conn.NewStream(context.WithValue(down.Context(), signedBy{}, keyID), &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, method)
	if err == nil {
		go func() {
			// This ends with the handler at the latest.
			if errors.Is(pass(down, up, func() {}), io.EOF) {
				_ = up.CloseSend()
			}
		}()
		err = pass(up, down, func() { r.cfg.began(keyID.Load().(string)) })
	}
	if errors.Is(err, io.EOF) || down.Context().Err() != nil {
		return nil // it ended well, or the Envoy has gone
	}
	if status.Code(err) == codes.Unauthenticated {
		r.cfg.source.forget()
	}
	r.cfg.ended(err, keyID.Load().(string))
	return err
}

type (
	receiver interface{ RecvMsg(any) error }
	sender   interface{ SendMsg(any) error }
)

// pass copies messages until there are no more to receive; the error is why. After
// the first it calls began.
func pass(from receiver, to sender, began func()) error {
	for first := true; ; first = false {
		var message mem.BufferSlice
		if err := from.RecvMsg(&message); err != nil {
			return err
		}
		if first {
			began()
		}
		// The sender frees the message. Why it cannot be sent the other direction is told.
		if err := to.SendMsg(&message); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
	}
}

// asIs is a codec that leaves messages encoded.
type asIs struct{}

// Name implements encoding.CodecV2.
func (asIs) Name() string { return proto.Name }

// Marshal implements encoding.CodecV2. Who calls it frees what it gives.
func (asIs) Marshal(v any) (mem.BufferSlice, error) { return *v.(*mem.BufferSlice), nil }

// Unmarshal implements encoding.CodecV2. Who calls it frees data.
func (asIs) Unmarshal(data mem.BufferSlice, v any) error {
	data.Ref()
	*v.(*mem.BufferSlice) = data
	return nil
}

// signedBy is the key, in the context of a stream, of where its signer notes the
// access key.
type signedBy struct{}

// streamSigner signs each stream when it is opened, also when gRPC opens it again.
type streamSigner struct{ cfg *relayConfig }

// RequireTransportSecurity implements credentials.PerRPCCredentials: who sees a
// signature can use it for minutes.
func (streamSigner) RequireTransportSecurity() bool { return true }

// textNoCredentials begins the agent's own refusal.
const textNoCredentials = "the agent has no credentials"

// GetRequestMetadata implements credentials.PerRPCCredentials.
func (s streamSigner) GetRequestMetadata(ctx context.Context, _ ...string) (map[string]string, error) {
	who, err := s.cfg.source.Retrieve(ctx)
	if err != nil {
		return nil, status.Error(codes.Unauthenticated, textNoCredentials+": "+err.Error())
	}
	if note, ok := ctx.Value(signedBy{}).(*atomic.Value); ok {
		note.Store(who.AccessKeyID)
	}
	info, _ := credentials.RequestInfoFromContext(ctx)
	return s.sign(ctx, who, info.Method)
}

// sign makes the headers of a signature. The body, which has no end, is not signed.
func (s streamSigner) sign(ctx context.Context, who aws.Credentials, method string) (map[string]string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+s.cfg.tls.ServerName+method, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("X-Amz-Content-Sha256", sigv4.UnsignedPayload)
	if err := v4.NewSigner().SignHTTP(ctx, who, r, sigv4.UnsignedPayload, model.MeshService, s.cfg.region, s.cfg.clock()); err != nil {
		return nil, err
	}
	out := make(map[string]string, len(r.Header))
	for name := range r.Header {
		out[name] = r.Header.Get(name)
	}
	return out, nil
}
