// Package certs is the installation's own certificate authorities. One issues the
// certificates of the installation's own listeners and of the gateway's, as AWS
// Certificate Manager does for VPC Lattice; its keys never leave the servers. Each
// account has another for its meshes, whose keys go to Envoys: what one of those
// vouches for must mean nothing outside the account.
package certs

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/latchwork/latchwork/internal/clock"
	"github.com/latchwork/latchwork/internal/store"
)

// Sealer encrypts the authority's key for the store.
type Sealer interface {
	Seal(plaintext []byte, aad string) ([]byte, error)
	Open(sealed []byte, aad string) ([]byte, error)
}

// record is the authority as it is stored: all servers of an installation share it.
type record struct {
	Certificate []byte `json:"certificate"` // DER
	Sealed      []byte `json:"sealed"`      // PKCS #8, encrypted
}

var authorities = store.NewCollection[record]("authority")

// aad of the sealed key.
const aad = "certificate authority"

// Lifetimes. A leaf is issued anew when a third of its time is left.
const (
	authorityLife = 10 * 365 * 24 * time.Hour
	leafLife      = 90 * 24 * time.Hour
)

// Installation is the name of the installation's own authority, Mesh that of an
// account's for its meshes.
const Installation = "default"

func Mesh(account string) string { return "mesh/" + account }

// Authority issues certificates.
type Authority struct {
	certificate *x509.Certificate
	key         crypto.Signer
	clock       clock.Clock
	mu          sync.Mutex
	leaves      map[string]*tls.Certificate
}

// Open takes the authority of a name from the store, and makes it if there is none.
func Open(ctx context.Context, s *store.Store, sealer Sealer, now clock.Clock, name string) (*Authority, error) {
	var r *record
	_, err := s.Update(ctx, func(tx *store.Tx) error {
		var err error
		if r, err = authorities.Get(tx, name); err != nil || r != nil {
			return err
		}
		if r, err = create(sealer, now(), name); err != nil {
			return err
		}
		return authorities.Put(tx, name, r)
	})
	if err != nil {
		return nil, fmt.Errorf("opening the certificate authority: %w", err)
	}
	plain, err := sealer.Open(r.Sealed, aad+suffix(name))
	if err != nil {
		return nil, fmt.Errorf("opening the certificate authority: %w", err)
	}
	key, err := x509.ParsePKCS8PrivateKey(plain)
	if err != nil {
		return nil, fmt.Errorf("opening the certificate authority: %w", err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, errors.New("opening the certificate authority: its key cannot sign")
	}
	certificate, err := x509.ParseCertificate(r.Certificate)
	if err != nil {
		return nil, fmt.Errorf("opening the certificate authority: %w", err)
	}
	return &Authority{certificate: certificate, key: signer, clock: now, leaves: map[string]*tls.Certificate{}}, nil
}

// suffix keeps the sealed keys of authorities apart.
func suffix(name string) string {
	if name == Installation {
		return ""
	}
	return " " + name
}

func create(sealer Sealer, now time.Time, name string) (*record, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	subject := "Latchwork installation CA"
	if name != Installation {
		subject = "Latchwork CA " + name
	}
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: subject},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(authorityLife),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	plain, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	sealed, err := sealer.Seal(plain, aad+suffix(name))
	return &record{Certificate: der, Sealed: sealed}, err
}

func serial() *big.Int {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		panic(err) // crypto/rand does not fail
	}
	return n
}

// PEM is the authority's certificate, for clients to trust.
func (a *Authority) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.certificate.Raw})
}

// maxLeaves bounds how many certificates are kept.
const maxLeaves = 10000

// Issue gives the certificate for DNS names and IP addresses, at least one. The
// same names have the same certificate until it is issued anew.
func (a *Authority) Issue(names ...string) (*tls.Certificate, error) {
	if len(names) == 0 {
		return nil, errors.New("a certificate needs a name")
	}
	for _, name := range names {
		// Below a space parts names, and what has one would be several.
		if name == "" || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || unicode.IsSpace(r) }) {
			return nil, fmt.Errorf("%q cannot be the name of a certificate", name)
		}
	}
	key := strings.ToLower(strings.Join(names, " "))
	now := a.clock()
	a.mu.Lock()
	defer a.mu.Unlock()
	if leaf := a.leaves[key]; leaf != nil && leaf.Leaf.NotAfter.Sub(now) > leafLife/3 {
		return leaf, nil
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: commonName(strings.Fields(key)[0])},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(leafLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, name := range strings.Fields(key) {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, private.Public(), a.key)
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	leaf := &tls.Certificate{Certificate: [][]byte{der, a.certificate.Raw}, PrivateKey: private, Leaf: parsed}
	if len(a.leaves) >= maxLeaves {
		clear(a.leaves)
	}
	a.leaves[key] = leaf
	return leaf, nil
}

// commonName is the name as a common name, which may have 64 characters; clients
// look at the DNS names.
func commonName(name string) string {
	if len(name) > 64 {
		return name[:61] + "..."
	}
	return name
}
