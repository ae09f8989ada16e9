package server

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/latchwork/latchwork/internal/certs"
	"github.com/latchwork/latchwork/internal/credential"
	"github.com/latchwork/latchwork/internal/xds"
)

// openEMS opens the Envoy management service.
func (s *Server) openEMS(authenticator *credential.Authenticator) error {
	if s.cfg.EMSAddr == "off" {
		return nil
	}
	var err error
	if s.emsAddr, err = net.Listen("tcp", s.cfg.EMSAddr); err != nil {
		return fmt.Errorf("ems-addr: %w: choose another with --ems-addr, or off", err)
	}
	s.closers = append(s.closers, s.emsAddr)
	names := s.emsNames()
	if _, err := s.authority.Issue(names...); err != nil {
		return fmt.Errorf("issuing the certificate of the Envoy management service: %w", err)
	}
	s.ems = xds.New(xds.Config{
		Publisher: s.publisher, Authenticator: authenticator, Certificates: issued{s.authority}, Audit: s.calls,
		Clock: s.clock, Log: s.log, Partition: partition, Region: s.cfg.Region, DefaultAccount: s.cfg.AccountID,
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

// issued are certificates of the installation's own authority in the place of those
// of AWS Certificate Manager.
type issued struct{ authority *certs.Authority }

// Issue implements translate.Certificates. One ARN has a certificate for each set of
// names: nothing says which names AWS's had.
func (c issued) Issue(_ string, names []string) (chain, key []byte, err error) {
	leaf, err := c.authority.Issue(names...)
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

// CA implements translate.Certificates: there is one authority for all.
func (c issued) CA(string) ([]byte, error) { return c.authority.PEM(), nil }
