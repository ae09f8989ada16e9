package oidc

import (
	"context"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/sync/singleflight"

	"github.com/latchwork/latchwork/internal/clock"
	"github.com/latchwork/latchwork/internal/fault"
	"github.com/latchwork/latchwork/internal/model"
)

const (
	// keysLast is how long an issuer's keys are used before it is asked again, and
	// keysLinger how long if it does not answer then.
	keysLast   = time.Hour
	keysLinger = 24 * time.Hour
	// askAgain is how soon an issuer is asked again at the earliest, so that tokens
	// with unknown key ids are not as many requests to it.
	askAgain = 10 * time.Second
	// askFor bounds one request to an issuer, and maxDocument its answer.
	askFor      = 5 * time.Second
	maxDocument = 1 << 20
	// maxKnown bounds how many issuers' keys are remembered.
	maxKnown = 1000
	// maxKeys bounds the keys of one kind in a set: each of those with the id that a
	// token names is tried on it.
	// Source: IAM User Guide, "Create an OpenID Connect (OIDC) identity provider in
	// IAM", prerequisites: at most 100 RSA and 100 EC keys.
	maxKeys = 100
)

// keySource finds the keys of issuers: those that are kept with the provider, or
// those that the issuer publishes.
type keySource struct {
	clock clock.Clock
	asks  singleflight.Group
	mu    sync.Mutex
	known map[string]*published
}

// published are the keys that an issuer had when it was asked.
type published struct {
	keys []jose.JSONWebKey
	// at is when they were read, tried when the issuer was asked last, and failed what
	// came of it.
	at, tried time.Time
	failed    error
}

// secretMembers are the members of a key that are not public.
// Source: RFC 7518, 6.2.2, 6.3.2 and 6.4.
var secretMembers = []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"}

// ParseKeySet reads a JSON Web Key Set. Keys of kinds that are not known, and those
// for encryption, are passed over; a set with none left, with too many, or with a
// secret in it, is an error.
func ParseKeySet(text string) ([]jose.JSONWebKey, error) {
	var set struct {
		Keys []map[string]json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal([]byte(text), &set); err != nil {
		return nil, errors.New(`this is not a JSON Web Key Set, {"keys":[…]}`)
	}
	var out []jose.JSONWebKey
	var rsaKeys, ecKeys int
	for i, members := range set.Keys {
		// The library must not see secrets that a stranger made.
		if slices.ContainsFunc(secretMembers, func(name string) bool { return members[name] != nil }) {
			return nil, fmt.Errorf("key %d of the set is a secret key: a key set has the public keys only", i+1)
		}
		raw, err := json.Marshal(members)
		if err != nil {
			return nil, err
		}
		var key jose.JSONWebKey
		if key.UnmarshalJSON(raw) != nil || !key.Valid() || !key.IsPublic() || key.Use != "" && key.Use != "sig" {
			continue
		}
		switch key.Key.(type) {
		case *rsa.PublicKey:
			rsaKeys++
		case *ecdsa.PublicKey:
			ecKeys++
		default:
			continue // no algorithm that tokens may be signed with
		}
		out = append(out, key)
	}
	if rsaKeys > maxKeys || ecKeys > maxKeys {
		return nil, fmt.Errorf("the set has %d RSA and %d EC keys: there can be %d of each", rsaKeys, ecKeys, maxKeys)
	}
	if len(out) == 0 {
		return nil, errors.New("the set has no public key that signatures can be verified with")
	}
	return out, nil
}

// choose finds the keys that an id means. A token without one can be of a set with a
// single key only.
func choose(keys []jose.JSONWebKey, id string) []jose.JSONWebKey {
	if id == "" && len(keys) == 1 {
		return keys
	}
	var out []jose.JSONWebKey
	for _, k := range keys {
		if id != "" && k.KeyID == id {
			out = append(out, k)
		}
	}
	return out
}

// errNoKey is AWS's text, whatever is wrong with the keys.
func errNoKey(cause error) error {
	return invalid(cause, "Couldn't retrieve verification key from your identity provider, please reference AssumeRoleWithWebIdentity documentation for requirements")
}

// find gives the keys of a provider that may have made a signature.
func (s *keySource) find(ctx context.Context, p *model.OIDCProvider, id string) ([]jose.JSONWebKey, error) {
	if p.KeySet != "" {
		keys, err := ParseKeySet(p.KeySet)
		if found := choose(keys, id); len(found) > 0 {
			return found, nil
		}
		return nil, errNoKey(err)
	}
	// Whom an issuer is believed to be depends on the thumbprints too.
	key := strings.Join(append([]string{p.ARN, p.URL}, p.Thumbprints...), " ")
	now := s.clock()
	s.mu.Lock()
	have := s.known[key]
	s.mu.Unlock()
	if have == nil {
		have = &published{}
	}
	found := choose(have.keys, id)
	if len(found) > 0 && now.Sub(have.at) < keysLast {
		return found, nil
	}
	if now.Sub(have.tried) >= askAgain {
		// The request goes on when the caller leaves: clients in a hurry come again.
		asked := s.asks.DoChan(key, func() (any, error) { return s.ask(key, p, have), nil })
		select {
		case r := <-asked:
			have = r.Val.(*published)
		case <-ctx.Done():
			return nil, unreachable(ctx.Err())
		}
	}
	if found = choose(have.keys, id); len(found) > 0 && now.Sub(have.at) < keysLinger {
		return found, nil
	}
	if have.failed != nil {
		return nil, have.failed
	}
	return nil, errNoKey(nil)
}

// ask reads an issuer's keys and remembers what came of it.
func (s *keySource) ask(key string, p *model.OIDCProvider, before *published) *published {
	now := s.clock()
	next := &published{at: now, tried: now}
	if next.keys, next.failed = read(p); next.failed != nil {
		next.keys, next.at = before.keys, before.at
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.known) >= maxKnown {
		clear(s.known)
	}
	s.known[key] = next
	return next
}

// read asks an issuer for its configuration, and then for its keys.
// Source: OpenID Connect Discovery, 4.
func read(p *model.OIDCProvider) ([]jose.JSONWebKey, error) {
	ctx, cancel := context.WithTimeout(context.Background(), askFor)
	defer cancel()
	text, err := get(ctx, strings.TrimSuffix(p.URL, "/")+"/.well-known/openid-configuration", p.Thumbprints)
	if err != nil {
		return nil, err
	}
	var configuration struct {
		Issuer string `json:"issuer"`
		Keys   string `json:"jwks_uri"`
	}
	if err := json.Unmarshal(text, &configuration); err != nil {
		return nil, errNoKey(fmt.Errorf("the configuration of %s: %w", p.URL, err))
	}
	if configuration.Issuer != p.URL {
		return nil, errNoKey(fmt.Errorf("the configuration of %s is that of another issuer", p.URL))
	}
	if !strings.HasPrefix(configuration.Keys, "https:") && !strings.HasPrefix(p.URL, "http:") {
		// Somebody elsewhere must not choose what is asked for on this machine.
		return nil, errNoKey(fmt.Errorf("the configuration of %s has keys at %q, which does not begin with https://", p.URL, configuration.Keys))
	}
	if text, err = get(ctx, configuration.Keys, p.Thumbprints); err != nil {
		return nil, err
	}
	keys, err := ParseKeySet(string(text))
	if err != nil {
		return nil, errNoKey(fmt.Errorf("the keys of %s: %w", p.URL, err))
	}
	return keys, nil
}

// get reads a document. It follows nobody elsewhere.
func get(ctx context.Context, location string, thumbprints []string) ([]byte, error) {
	u, err := url.Parse(location)
	if err != nil || !Reachable(u) {
		return nil, errNoKey(fmt.Errorf("%q is not a URL that begins with https://", location))
	}
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true, TLSClientConfig: trust(u.Hostname(), thumbprints),
	}
	client := &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, errNoKey(err)
	}
	r.Header.Set("Accept", "application/json")
	answer, err := client.Do(r)
	if err != nil {
		return nil, unreachable(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, unreachable(fmt.Errorf("%s answers %s", location, answer.Status))
	}
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxDocument+1))
	switch {
	case err != nil:
		return nil, unreachable(err)
	case len(text) > maxDocument:
		return nil, errNoKey(fmt.Errorf("%s answers more than %d bytes", location, maxDocument))
	}
	return text, nil
}

func unreachable(cause error) error {
	e := fault.New("IDPCommunicationError", "The identity provider (IDP) that was asked to verify the incoming identity token could not be reached.")
	e.Cause = cause
	return e
}

// trust checks an issuer's certificate with the machine's authorities, and if it is
// of none of them, with the authority at the end of the chain that the issuer sends,
// where the provider has the thumbprint of that one.
// Source: IAM User Guide, "Obtain the thumbprint for an OpenID Connect identity
// provider": thumbprints are for certificates that no trusted authority signed.
func trust(host string, thumbprints []string) *tls.Config {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if len(thumbprints) == 0 {
		return c
	}
	c.InsecureSkipVerify = true // VerifyConnection verifies
	c.VerifyConnection = func(s tls.ConnectionState) error {
		chain := s.PeerCertificates
		options := x509.VerifyOptions{DNSName: host, Intermediates: x509.NewCertPool()}
		for _, certificate := range chain[1:] {
			options.Intermediates.AddCert(certificate)
		}
		_, err := chain[0].Verify(options)
		if err == nil {
			return nil
		}
		last := chain[len(chain)-1]
		sum := sha1.Sum(last.Raw)
		known := hex.EncodeToString(sum[:])
		if slices.ContainsFunc(thumbprints, func(t string) bool { return strings.EqualFold(t, known) }) {
			options.Roots = x509.NewCertPool()
			options.Roots.AddCert(last)
			_, err = chain[0].Verify(options)
		}
		return err
	}
	return c
}
