package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/latchwork/latchwork/internal/certs"
	"github.com/latchwork/latchwork/internal/credential"
	"github.com/latchwork/latchwork/internal/xds"
	"github.com/latchwork/latchwork/internal/xds/translate"
)

// openEMS opens the Envoy management service.
func (s *Server) openEMS(ctx context.Context, authenticator *credential.Authenticator) error {
	if s.cfg.EMSAddr == "off" {
		return nil
	}
	var err error
	if s.emsAddr, err = net.Listen("tcp", s.cfg.EMSAddr); err != nil {
		return fmt.Errorf("ems-addr: %w: choose another with --ems-addr, or off", err)
	}
	s.closers = append(s.closers, s.emsAddr)
	if err := s.openMeshAuthorities(ctx); err != nil {
		return err
	}
	names := s.emsNames()
	if _, err := s.authority.Issue(names...); err != nil {
		return fmt.Errorf("issuing the certificate of the Envoy management service: %w", err)
	}
	s.ems = xds.New(xds.Config{
		Publisher: s.publisher, Authenticator: authenticator, Audit: s.calls,
		Certificates: func(account string) translate.Certificates { return issued{account, s.meshAuthorities} },
		Clock:        s.clock, Log: s.log, Partition: partition, Region: s.cfg.Region, DefaultAccount: s.cfg.AccountID,
		TLS: &tls.Config{
			MinVersion: tls.VersionTLS12, NextProtos: []string{"h2"},
			GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return s.authority.Issue(names...) },
		},
		Hostnames: s.cfg.EMSHostnames, MaxProxies: s.cfg.MaxProxies, Decided: s.metrics.decided("xds"),
	})
	s.metrics.ems(s.ems)
	return nil
}

// emsNames are the names in the certificate of the Envoy management service: those
// of the configuration, AWS's own in the default region, and the address.
func (s *Server) emsNames() []string {
	var names []string
	add := func(name string) {
		if name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, name := range s.cfg.EMSHostnames {
		host, _, err := net.SplitHostPort(name)
		if err != nil {
			host = name
		}
		add(strings.ToLower(host))
	}
	add(fmt.Sprintf("appmesh-envoy-management.%s.amazonaws.com", s.cfg.Region))
	add("localhost")
	add("127.0.0.1")
	if a, ok := s.emsAddr.Addr().(*net.TCPAddr); ok && !a.IP.IsUnspecified() {
		add(a.IP.String())
	}
	return names
}

// openMeshAuthorities opens the authority of each account's meshes, and keeps its
// certificate in the data directory, for clients outside the mesh.
func (s *Server) openMeshAuthorities(ctx context.Context) error {
	s.meshAuthorities = map[string]*certs.Authority{}
	for _, a := range s.cfg.accounts {
		authority, err := certs.Open(ctx, s.store, s.ring, s.clock, certs.Mesh(a.ID))
		if err != nil {
			return err
		}
		s.meshAuthorities[a.ID] = authority
		if err := os.WriteFile(MeshCAFile(s.cfg.DataDir, a.ID), authority.PEM(), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// MeshCAFile is where the certificate of the authority of an account's meshes is kept.
func MeshCAFile(dataDir, account string) string {
	return filepath.Join(dataDir, "mesh-ca-"+account+".pem")
}

// issued are certificates of an account's own authority in the place of those of AWS
// Certificate Manager, for the account's mesh endpoints.
type issued struct {
	account     string
	authorities map[string]*certs.Authority
}

// authority is that of the account in an ARN.
func (c issued) authority(arn string) (account string, a *certs.Authority, err error) {
	if parts := strings.SplitN(arn, ":", 6); len(parts) == 6 {
		account = parts[4]
	}
	if a = c.authorities[account]; a == nil {
		return "", nil, fmt.Errorf("%s is not of an account of this installation", arn)
	}
	return account, a, nil
}

// Issue implements translate.Certificates. One ARN has a certificate for each set of
// names: nothing says which names AWS's had. A mesh endpoint has certificates of its
// own account only.
// Source: App Mesh User Guide, "Working with shared meshes".
func (c issued) Issue(arn string, names []string) (chain, key []byte, err error) {
	account, authority, err := c.authority(arn)
	if err != nil {
		return nil, nil, err
	}
	if account != c.account {
		return nil, nil, fmt.Errorf("%s is of another account than the mesh endpoint's, %s", arn, c.account)
	}
	leaf, err := authority.Issue(names...)
	if err != nil {
		return nil, nil, err
	}
	for _, der := range leaf.Certificate {
		chain = append(chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	der, err := x509.MarshalPKCS8PrivateKey(leaf.PrivateKey)
	if err != nil {
		return nil, nil, err
	}
	return chain, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// CA implements translate.Certificates: an account has one authority for all of its
// certificates and private authorities.
func (c issued) CA(arn string) ([]byte, error) {
	_, authority, err := c.authority(arn)
	if err != nil {
		return nil, err
	}
	return authority.PEM(), nil
}
