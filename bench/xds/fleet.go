package main

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/grpc"
	grpccreds "google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
)

// fleet is many proxies.
type fleet struct {
	connections []*grpc.ClientConn
	// got counts the responses of each push.
	got   chan struct{}
	bytes atomic.Int64
	err   atomic.Pointer[error]
}

func (f *fleet) close() {
	for _, c := range f.connections {
		c.Close()
	}
}

// push makes a change, and returns when every proxy has it.
func (f *fleet) push(s *subject, n int) (time.Duration, error) {
	began := time.Now()
	failed := make(chan error, 1)
	go func() {
		if err := s.change(n); err != nil {
			failed <- err
		}
	}()
	deadline := time.After(2 * time.Minute)
	for range f.connections {
		select {
		case <-f.got:
		case err := <-failed:
			return 0, err
		case <-deadline:
			return 0, errors.New("a push did not come")
		}
	}
	took := time.Since(began)
	time.Sleep(100 * time.Millisecond) // the acknowledgements
	return took, nil
}

// connect opens n streams on connections of their own, and waits until each has its
// first response.
func connect(s *subject, n int, incremental bool) (*fleet, error) {
	f := &fleet{got: make(chan struct{}, n)}
	gate := make(chan struct{}, 64)
	var wg sync.WaitGroup
	errs := make(chan error, n)
	var mu sync.Mutex
	for range n {
		wg.Go(func() {
			gate <- struct{}{}
			defer func() { <-gate }()
			c, err := grpc.NewClient(s.addr, grpc.WithAuthority(host), grpc.WithReadBufferSize(4<<10), grpc.WithWriteBufferSize(4<<10),
				grpc.WithTransportCredentials(grpccreds.NewTLS(&tls.Config{RootCAs: s.roots, ServerName: host})), grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)))
			if err != nil {
				errs <- err
				return
			}
			mu.Lock()
			f.connections = append(f.connections, c)
			mu.Unlock()
			first := make(chan error, 1)
			go f.follow(discovery.NewAggregatedDiscoveryServiceClient(c), s.creds, incremental, first)
			if err := <-first; err != nil {
				errs <- err
			}
		})
	}
	wg.Wait()
	close(errs)
	if err := <-errs; err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

// follow is one proxy: it takes and acknowledges clusters.
func (f *fleet) follow(c discovery.AggregatedDiscoveryServiceClient, creds aws.Credentials, incremental bool, first chan<- error) {
	node := &core.Node{Id: nodeARN, Cluster: "bench"}
	begun := false
	note := func(m proto.Message) {
		f.bytes.Add(int64(proto.Size(m)))
		if begun {
			f.got <- struct{}{}
		}
		if !begun {
			begun = true
			first <- nil
		}
	}
	fail := func(err error) {
		if !begun {
			first <- err
		}
	}
	ctx := signed(creds, incremental)
	if incremental {
		s, err := c.DeltaAggregatedResources(ctx)
		if err != nil {
			fail(err)
			return
		}
		if err := s.Send(&discovery.DeltaDiscoveryRequest{Node: node, TypeUrl: resource.ClusterType, ResourceNamesSubscribe: []string{"*"}}); err != nil && !errors.Is(err, io.EOF) {
			fail(err)
			return
		}
		for {
			r, err := s.Recv()
			if err != nil {
				fail(err)
				return
			}
			_ = s.Send(&discovery.DeltaDiscoveryRequest{TypeUrl: resource.ClusterType, ResponseNonce: r.GetNonce()})
			note(r)
		}
	}
	s, err := c.StreamAggregatedResources(ctx)
	if err != nil {
		fail(err)
		return
	}
	if err := s.Send(&discovery.DiscoveryRequest{Node: node, TypeUrl: resource.ClusterType}); err != nil && !errors.Is(err, io.EOF) {
		fail(err)
		return
	}
	for {
		r, err := s.Recv()
		if err != nil {
			fail(err)
			return
		}
		_ = s.Send(&discovery.DiscoveryRequest{TypeUrl: resource.ClusterType, VersionInfo: r.GetVersionInfo(), ResponseNonce: r.GetNonce()})
		note(r)
	}
}

// signed is a context with a signature, as an Envoy makes it; without keys there is
// none.
func signed(creds aws.Credentials, incremental bool) context.Context {
	if creds.AccessKeyID == "" {
		return context.Background()
	}
	method := discovery.AggregatedDiscoveryService_StreamAggregatedResources_FullMethodName
	if incremental {
		method = discovery.AggregatedDiscoveryService_DeltaAggregatedResources_FullMethodName
	}
	r, err := http.NewRequest("POST", "https://"+host+method, nil)
	if err != nil {
		panic(err)
	}
	const payload = "UNSIGNED-PAYLOAD"
	r.Header.Set("X-Amz-Content-Sha256", payload)
	if err := v4.NewSigner().SignHTTP(context.Background(), creds, r, payload, "appmesh", region, time.Now()); err != nil {
		panic(err)
	}
	md := metadata.MD{}
	for _, name := range []string{"Authorization", "X-Amz-Date", "X-Amz-Content-Sha256"} {
		md.Set(name, r.Header.Get(name))
	}
	return metadata.NewOutgoingContext(context.Background(), md)
}
