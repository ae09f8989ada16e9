package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"strings"

	"github.com/latchwork/latchwork/internal/store"
	"github.com/latchwork/latchwork/internal/store/etcd"
)

func (s *Server) openStore(ctx context.Context) (store.Backend, error) {
	if len(s.cfg.endpoints) == 0 {
		return opened(etcd.Start(ctx, etcd.Embedded{
			Dir: s.cfg.DataDir, Prefix: s.cfg.EtcdPrefix, MinFree: s.cfg.MinFreeMiB << 20, Log: s.log,
		}))
	}
	external := etcd.External{
		Endpoints: s.cfg.endpoints, Prefix: s.cfg.EtcdPrefix, Username: s.cfg.EtcdUsername, Log: s.log,
	}
	if s.cfg.EtcdPasswordFile != "" {
		password, err := os.ReadFile(s.cfg.EtcdPasswordFile)
		if err != nil {
			return nil, fmt.Errorf("etcd-password-file: %w", err)
		}
		external.Password = strings.TrimSpace(string(password))
	}
	if s.cfg.EtcdCAFile != "" || s.cfg.EtcdCertFile != "" {
		external.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
		if s.cfg.EtcdCAFile != "" {
			pool, err := readPool(s.cfg.EtcdCAFile)
			if err != nil {
				return nil, fmt.Errorf("etcd-ca-file: %w", err)
			}
			external.TLS.RootCAs = pool
		}
		if s.cfg.EtcdCertFile != "" {
			pair, err := tls.LoadX509KeyPair(s.cfg.EtcdCertFile, s.cfg.EtcdKeyFile)
			if err != nil {
				return nil, fmt.Errorf("etcd-cert-file: %w", err)
			}
			external.TLS.Certificates = []tls.Certificate{pair}
		}
	}
	return opened(etcd.Connect(ctx, external))
}

// opened keeps a nil backend from becoming an interface that is not nil.
func opened(b *etcd.Backend, err error) (store.Backend, error) {
	if err != nil {
		return nil, err
	}
	return b, nil
}

func readPool(path string) (*x509.CertPool, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s holds no certificate in PEM", path)
	}
	return pool, nil
}
