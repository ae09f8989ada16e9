package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	cachetypes "github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	server "github.com/envoyproxy/go-control-plane/pkg/server/v3"
	"google.golang.org/grpc"
	grpccreds "google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/protobuf/types/known/durationpb"
)

// startPeer starts this program again, as a peer.
func startPeer(kind string, clusters int) (*subject, error) {
	addr, err := free()
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, "-peer", kind, "-serve", addr, "-clusters", strconv.Itoa(clusters))
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &subject{cmd: cmd, addr: addr, roots: x509.NewCertPool()}
	s.stop = func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }
	var certificate string
	if err := json.NewDecoder(out).Decode(&certificate); err != nil {
		s.stop()
		return nil, err
	}
	s.roots.AppendCertsFromPEM([]byte(certificate))
	s.change = func(n int) error { _, err := fmt.Fprintln(in, n); return err }
	return s, nil
}

// runPeer is go-control-plane's server with one of its caches. Each line of standard
// input is a change of one cluster.
func runPeer(kind, addr string, clusters int) error {
	set := make([]cachetypes.Resource, clusters)
	for i := range set {
		set[i] = cluster(i, 0)
	}
	var c cache.Cache
	var change func(n int) error
	switch kind {
	case "snapshot":
		// One snapshot for all proxies, as they stand for one endpoint.
		snapshots := cache.NewSnapshotCache(true, oneNode{}, nil)
		version := 0
		change = func(n int) error {
			version++
			set[0] = cluster(0, n)
			snapshot, err := cache.NewSnapshot(strconv.Itoa(version), map[resource.Type][]cachetypes.Resource{resource.ClusterType: set})
			if err != nil {
				return err
			}
			return snapshots.SetSnapshot(context.Background(), "front", snapshot)
		}
		c = snapshots
	case "linear":
		initial := map[string]cachetypes.Resource{}
		for i := range set {
			initial[cluster(i, 0).Name] = set[i]
		}
		linear := cache.NewLinearCache(resource.ClusterType, cache.WithInitialResources(initial))
		change = func(n int) error { return linear.UpdateResource(cluster(0, n).Name, cluster(0, n)) }
		c = &cache.MuxCache{Classify: func(*cache.Request) string { return "c" }, ClassifyDelta: func(*cache.DeltaRequest) string { return "c" }, Caches: map[string]cache.Cache{"c": linear}}
	}
	if err := change(0); err != nil {
		return err
	}
	certificate, text, err := selfSigned()
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	g := grpc.NewServer(grpc.Creds(grpccreds.NewTLS(&tls.Config{Certificates: []tls.Certificate{certificate}})),
		grpc.ReadBufferSize(4<<10), grpc.WriteBufferSize(16<<10),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}))
	discovery.RegisterAggregatedDiscoveryServiceServer(g, server.NewServer(context.Background(), c, nil))
	go func() {
		var n int
		for {
			if _, err := fmt.Scanln(&n); err != nil {
				g.Stop()
				return
			}
			if err := change(n + 1); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
		}
	}()
	if err := json.NewEncoder(os.Stdout).Encode(text); err != nil {
		return err
	}
	return g.Serve(l)
}

type oneNode struct{}

// ID implements cache.NodeHash.
func (oneNode) ID(*core.Node) string { return "front" }

// cluster is as large as one of Latchwork's.
func cluster(i, n int) *clusterv3.Cluster {
	name := fmt.Sprintf("cds_egress_bench_n%d_http_8080", i)
	limit := &clusterv3.CircuitBreakers_Thresholds{}
	return &clusterv3.Cluster{
		Name: name, ConnectTimeout: durationpb.New(time.Second),
		ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_LOGICAL_DNS},
		AltStatName:          strings.Repeat("x", 400), // what Latchwork's have of metadata, limits and endpoints
		CircuitBreakers:      &clusterv3.CircuitBreakers{Thresholds: []*clusterv3.CircuitBreakers_Thresholds{limit, limit}},
		HealthChecks: []*core.HealthCheck{{
			Timeout: durationpb.New(2 * time.Second), Interval: durationpb.New(5*time.Second + time.Duration(n)*time.Millisecond),
			HealthChecker: &core.HealthCheck_HttpHealthCheck_{HttpHealthCheck: &core.HealthCheck_HttpHealthCheck{Path: "/ping", Host: fmt.Sprintf("n%d.bench.local", i)}},
		}},
	}
}

func selfSigned() (tls.Certificate, string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, "", err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, "", err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), nil
}
