package main

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/appmesh"
	"github.com/aws/aws-sdk-go-v2/service/appmesh/types"
)

func free() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// startLatchwork starts a server with a mesh in which one virtual node has so many
// backends.
func startLatchwork(path string, clusters int) (*subject, error) {
	dir, err := os.MkdirTemp("", "bench-xds")
	if err != nil {
		return nil, err
	}
	addrs := make([]string, 4)
	for i := range addrs {
		if addrs[i], err = free(); err != nil {
			return nil, err
		}
	}
	_, port, _ := net.SplitHostPort(addrs[3])
	config := filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(config, []byte("max-proxies: 100000\nproxy-authorization: required\nmesh-quotas:\n  virtual-nodes: 5000\n  virtual-services: 5000\n  backends: 5000\n"), 0o600); err != nil {
		return nil, err
	}
	cmd := exec.Command(path, "server", "--config", config, "--data-dir", filepath.Join(dir, "data"), "--api-addr", addrs[0], "--admin-addr", addrs[1], "--ems-addr", addrs[2], "--gateway-ports", port+"=80")
	cmd.Stderr = nil
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &subject{cmd: cmd, addr: addrs[2], roots: x509.NewCertPool()}
	s.stop = func() { _ = cmd.Process.Kill(); _ = cmd.Wait(); os.RemoveAll(dir) }
	for range 300 {
		if r, err := http.Get("http://" + addrs[1] + "/readyz"); err == nil {
			r.Body.Close()
			if r.StatusCode == 200 {
				break
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	ca, err := os.ReadFile(filepath.Join(dir, "data", "ca.pem"))
	if err != nil {
		s.stop()
		return nil, err
	}
	s.roots.AppendCertsFromPEM(ca)
	text, err := os.ReadFile(filepath.Join(dir, "data", "admin-"+account+".json"))
	if err != nil {
		s.stop()
		return nil, err
	}
	var admin struct{ AccessKeyID, SecretAccessKey string }
	if err := json.Unmarshal(text, &admin); err != nil {
		s.stop()
		return nil, err
	}
	s.creds = aws.Credentials{AccessKeyID: admin.AccessKeyID, SecretAccessKey: admin.SecretAccessKey}
	mesh := appmesh.New(appmesh.Options{Region: region, BaseEndpoint: aws.String("http://" + addrs[0]), Credentials: credentials.StaticCredentialsProvider{Value: s.creds}})
	if err := fill(mesh, clusters); err != nil {
		s.stop()
		return nil, err
	}
	s.change = func(n int) error {
		_, err := mesh.UpdateVirtualNode(context.Background(), &appmesh.UpdateVirtualNodeInput{MeshName: aws.String("bench"), VirtualNodeName: aws.String("n0"), Spec: spec(0, n+1)})
		return err
	}
	return s, nil
}

// spec is a virtual node; a change of its health check changes one cluster of its
// callers.
func spec(i, n int) *types.VirtualNodeSpec {
	return &types.VirtualNodeSpec{
		Listeners: []types.Listener{{
			PortMapping: &types.PortMapping{Port: aws.Int32(8080), Protocol: types.PortProtocolHttp},
			HealthCheck: &types.HealthCheckPolicy{
				Protocol: types.PortProtocolHttp, Path: aws.String("/ping"), HealthyThreshold: aws.Int32(2), UnhealthyThreshold: aws.Int32(2),
				TimeoutMillis: aws.Int64(2000), IntervalMillis: aws.Int64(5000 + int64(n)),
			},
		}},
		ServiceDiscovery: &types.ServiceDiscoveryMemberDns{Value: types.DnsServiceDiscovery{Hostname: aws.String(fmt.Sprintf("n%d.bench.local", i))}},
	}
}

func fill(mesh *appmesh.Client, clusters int) error {
	ctx, name := context.Background(), aws.String("bench")
	if _, err := mesh.CreateMesh(ctx, &appmesh.CreateMeshInput{MeshName: name}); err != nil {
		return err
	}
	front := &types.VirtualNodeSpec{}
	for i := range clusters {
		node, service := fmt.Sprintf("n%d", i), fmt.Sprintf("s%d.bench.local", i)
		if _, err := mesh.CreateVirtualNode(ctx, &appmesh.CreateVirtualNodeInput{MeshName: name, VirtualNodeName: &node, Spec: spec(i, 0)}); err != nil {
			return err
		}
		if _, err := mesh.CreateVirtualService(ctx, &appmesh.CreateVirtualServiceInput{MeshName: name, VirtualServiceName: &service, Spec: &types.VirtualServiceSpec{
			Provider: &types.VirtualServiceProviderMemberVirtualNode{Value: types.VirtualNodeServiceProvider{VirtualNodeName: &node}},
		}}); err != nil {
			return err
		}
		front.Backends = append(front.Backends, &types.BackendMemberVirtualService{Value: types.VirtualServiceBackend{VirtualServiceName: &service}})
	}
	_, err := mesh.CreateVirtualNode(ctx, &appmesh.CreateVirtualNodeInput{MeshName: name, VirtualNodeName: aws.String("front"), Spec: front})
	return err
}
