package oidc

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/go-cmp/cmp"

	"github.com/latchwork/latchwork/internal/clock"
	"github.com/latchwork/latchwork/internal/fault"
	"github.com/latchwork/latchwork/internal/model"
)

var now = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

func rsaKey(t *testing.T, id string) jose.JSONWebKey {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return jose.JSONWebKey{Key: k, KeyID: id, Algorithm: "RS256", Use: "sig"}
}

func ecKey(t *testing.T, id string) jose.JSONWebKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return jose.JSONWebKey{Key: k, KeyID: id, Algorithm: "ES256", Use: "sig"}
}

// set is the key set of some keys, as an issuer publishes it.
func set(t *testing.T, keys ...jose.JSONWebKey) string {
	t.Helper()
	var s jose.JSONWebKeySet
	for _, k := range keys {
		s.Keys = append(s.Keys, k.Public())
	}
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// claim are claims by name.
type claim = map[string]any

// sign makes a token with good claims but for those that are given; nil takes one
// out.
func sign(t *testing.T, key jose.JSONWebKey, issuer string, change claim) string {
	t.Helper()
	claims := claim{
		"iss": issuer, "sub": "system:serviceaccount:ns:sa", "aud": []string{"sts.amazonaws.com"},
		"exp": now.Add(time.Hour).Unix(), "iat": now.Unix(), "nbf": now.Unix(),
	}
	for name, value := range change {
		claims[name] = value
		if value == nil {
			delete(claims, name)
		}
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(key.Algorithm), Key: key}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func check(t *testing.T, v *Verifier, p *model.OIDCProvider, token string) (*Claims, error) {
	t.Helper()
	parsed, err := Parse(token)
	if err != nil {
		return nil, err
	}
	return v.Verify(t.Context(), p, parsed)
}

// refused tells code and message of a refusal.
func refused(t *testing.T, err error) string {
	t.Helper()
	e, ok := errors.AsType[*fault.Error](err)
	if !ok {
		t.Fatalf("%v is not fit for a caller", err)
	}
	return e.Code + ": " + e.Message
}

const issuer = "https://oidc.example/id"

func TestVerify(t *testing.T) {
	rs, es, stranger := rsaKey(t, "a"), ecKey(t, "b"), rsaKey(t, "a")
	p := &model.OIDCProvider{URL: issuer, ClientIDs: []string{"other", "sts.amazonaws.com"}, KeySet: set(t, rs, es)}
	v := NewVerifier(clock.Fixed(now))
	for _, key := range []jose.JSONWebKey{rs, es} {
		got, err := check(t, v, p, sign(t, key, issuer, claim{
			"amr": []string{"pwd", "mfa"}, "repository": "a/b", "email_verified": true, "Sub": "somebody else", "n": 1, "kubernetes.io": claim{"namespace": "ns", "pod": claim{"name": "p", "uid": "u"}},
			"https://aws.amazon.com/tags":            claim{"principal_tags": claim{"Team": []string{"core"}, "Cost": "7"}, "transitive_tag_keys": []string{"Team"}},
			"https://aws.amazon.com/source_identity": "erika",
		}))
		if err != nil {
			t.Fatal(err)
		}
		want := &Claims{
			Subject: "system:serviceaccount:ns:sa", Audience: "sts.amazonaws.com", SourceIdentity: "erika", Pod: Pod{Name: "p", UID: "u"},
			Tags: map[string][]string{"Team": {"core"}, "Cost": {"7"}}, TransitiveKeys: []string{"Team"},
			Keys: map[string][]string{
				"iss": {issuer}, "sub": {"system:serviceaccount:ns:sa"}, "aud": {"sts.amazonaws.com"}, "oaud": {"sts.amazonaws.com"},
				"amr": {"pwd", "mfa"}, "repository": {"a/b"}, "email_verified": {"true"}, "https://aws.amazon.com/source_identity": {"erika"},
			},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	const noKey = "InvalidIdentityToken: Couldn't retrieve verification key from your identity provider, please reference AssumeRoleWithWebIdentity documentation for requirements"
	const noJWT = "InvalidIdentityToken: The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)"
	good := sign(t, rs, issuer, nil)
	parts := strings.Split(good, ".")
	unsigned := "eyJhbGciOiJub25lIn0." + parts[1] + "."
	symmetric, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: []byte(p.KeySet)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	confused, err := jwt.Signed(symmetric).Claims(claim{"iss": issuer, "sub": "s", "aud": "sts.amazonaws.com"}).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, token, want string
	}{
		{"no token", "what is this", noJWT},
		{"not signed", unsigned, noJWT},
		{"signed with the public key as a secret", confused, noJWT},
		{"another signature", parts[0] + "." + parts[1] + "." + strings.Split(sign(t, rs, issuer, claim{"sub": "x"}), ".")[2], "InvalidIdentityToken: Couldn't verify the signature of the ID Token with the keys of " + issuer},
		{"a stranger's key of the same id", sign(t, stranger, issuer, nil), "InvalidIdentityToken: Couldn't verify the signature of the ID Token with the keys of " + issuer},
		{"a key of another id", sign(t, rsaKey(t, "c"), issuer, nil), noKey},
		{"no key id", sign(t, jose.JSONWebKey{Key: rs.Key, Algorithm: "RS256"}, issuer, nil), noKey},
		{"no issuer", sign(t, rs, issuer, claim{"iss": nil}), "InvalidIdentityToken: Missing a required claim: iss"},
		{"another issuer", sign(t, rs, "https://oidc.example/ID", nil), "InvalidIdentityToken: No OpenIDConnect provider found in your account for https://oidc.example/ID"},
		{"no subject", sign(t, rs, issuer, claim{"sub": nil}), "InvalidIdentityToken: Missing a required claim: sub"},
		{"no end", sign(t, rs, issuer, claim{"exp": nil}), "InvalidIdentityToken: Missing a required claim: exp"},
		{"expired", sign(t, rs, issuer, claim{"exp": now.Unix()}), "ExpiredTokenException: Token expired: current date/time 1795255200 must be before the expiration date/time 1795255200"},
		{"of tomorrow", sign(t, rs, issuer, claim{"nbf": now.Add(24 * time.Hour).Unix()}), "InvalidIdentityToken: The ID Token provided is not valid yet: compare the clocks of the issuer and of this server"},
		{"made tomorrow", sign(t, rs, issuer, claim{"iat": now.Add(24 * time.Hour).Unix()}), "InvalidIdentityToken: The ID Token provided is not valid yet: compare the clocks of the issuer and of this server"},
		{"another audience", sign(t, rs, issuer, claim{"aud": "vault"}), "InvalidIdentityToken: Incorrect token audience"},
		{"no audience", sign(t, rs, issuer, claim{"aud": nil}), "InvalidIdentityToken: Incorrect token audience"},
		{"the audience, but for another party", sign(t, rs, issuer, claim{"azp": "app"}), "InvalidIdentityToken: Incorrect token audience"},
		{"claims of the wrong kind", sign(t, rs, issuer, claim{"sub": 7}), noJWT},
	} {
		t.Run(c.name, func(t *testing.T) {
			claims, err := check(t, v, p, c.token)
			if got := refused(t, err); got != c.want || claims != nil {
				t.Errorf("got %s\nwant %s", got, c.want)
			}
			if strings.Contains(err.Error(), parts[1]) {
				t.Error("the error holds the token")
			}
		})
	}
	got, err := check(t, v, p, sign(t, rs, issuer, claim{"azp": "other", "aud": []string{"x", "y"}}))
	if err != nil || got.Audience != "other" || !slices.Equal(got.Keys["oaud"], []string{"x", "y"}) || !slices.Equal(got.Keys["aud"], []string{"other"}) {
		t.Errorf("%+v %v", got, err)
	}
	if _, err := check(t, v, p, sign(t, rs, issuer, claim{"nbf": now.Add(time.Minute).Unix()})); err != nil {
		t.Errorf("a clock that is a minute ahead: %v", err)
	}
}

func TestParseKeySet(t *testing.T) {
	a := rsaKey(t, "a")
	secret, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{a}})
	if err != nil {
		t.Fatal(err)
	}
	one := strings.TrimSuffix(strings.TrimPrefix(set(t, a), `{"keys":[`), `]}`)
	point := strings.TrimSuffix(strings.TrimPrefix(set(t, ecKey(t, "b")), `{"keys":[`), `]}`)
	for _, c := range []struct{ text, want string }{
		{set(t, a), ""},
		{`{"keys":[{"kty":"future"},{"kty":"EC","crv":"P-9","x":"","y":""},` + one + `]}`, ""},
		{"", "this is not a JSON Web Key Set"},
		{`{"keys":[7]}`, "this is not a JSON Web Key Set"},
		{`{"keys":{}}`, "this is not a JSON Web Key Set"},
		{`{}`, "the set has no public key"},
		{strings.Replace(set(t, a), `"sig"`, `"enc"`, 1), "the set has no public key"},
		{`{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}`, "key 1 of the set is a secret key"},
		{string(secret), "key 1 of the set is a secret key"},
		{`{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`, "the set has no public key"},
		{`{"keys":[` + strings.Repeat(one+",", maxKeys) + point + `,` + one + `]}`, "the set has 101 RSA and 1 EC keys: there can be 100 of each"},
		{`{"keys":[` + strings.Repeat(point+",", maxKeys) + point + `]}`, "the set has 0 RSA and 101 EC keys"},
	} {
		keys, err := ParseKeySet(c.text)
		switch {
		case c.want == "":
			if err != nil || len(keys) != 1 || keys[0].KeyID != "a" {
				t.Errorf("%s: %v %v", c.text, keys, err)
			}
		case err == nil || !strings.HasPrefix(err.Error(), c.want) || strings.Contains(err.Error(), "c2VjcmV0"):
			t.Errorf("%.40s: %v, want %s", c.text, err, c.want)
		}
	}
}

// site is an issuer's web site.
type site struct {
	*httptest.Server
	mu sync.Mutex
	// keys is the key set, name the issuer in the configuration, keysAt where it says
	// that its keys are, and down makes it answer with an error.
	keys, name, keysAt string
	down               bool
	asked              int
}

func newSite(t *testing.T, start func(http.Handler) *httptest.Server) *site {
	s := &site{}
	s.Server = start(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		switch {
		case s.down:
			w.WriteHeader(http.StatusBadGateway)
		case r.URL.Path == "/own/.well-known/openid-configuration":
			s.asked++
			_ = json.NewEncoder(w).Encode(map[string]string{"issuer": s.name, "jwks_uri": s.keysAt})
		case r.URL.Path == "/keys":
			_, _ = w.Write([]byte(s.keys))
		default:
			http.Redirect(w, r, "/keys", http.StatusFound)
		}
	}))
	t.Cleanup(s.Close)
	s.name, s.keysAt = s.URL+"/own", s.URL+"/keys"
	return s
}

func (s *site) provider() *model.OIDCProvider {
	return &model.OIDCProvider{Meta: model.Meta{ARN: "arn"}, URL: s.URL + "/own", ClientIDs: []string{"sts.amazonaws.com"}}
}

func (s *site) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// TestPublishedKeys: keys are read once, again when one is missing or they are old,
// and not for every token with a key that nobody knows.
func TestPublishedKeys(t *testing.T) {
	a, b := rsaKey(t, "a"), rsaKey(t, "b")
	s := newSite(t, httptest.NewServer)
	s.keys = set(t, a)
	p := s.provider()
	at := now
	v := NewVerifier(func() time.Time { return at })
	ok := func(key jose.JSONWebKey, asked int) {
		t.Helper()
		if _, err := check(t, v, p, sign(t, key, p.URL, claim{"exp": at.Add(time.Hour).Unix()})); err != nil {
			t.Error(err)
		}
		if s.asked != asked {
			t.Errorf("asked %d times, want %d", s.asked, asked)
		}
	}
	fails := func(key jose.JSONWebKey, code string, asked int) {
		t.Helper()
		_, err := check(t, v, p, sign(t, key, p.URL, claim{"exp": at.Add(time.Hour).Unix()}))
		if got := refused(t, err); !strings.HasPrefix(got, code+": ") || s.asked != asked {
			t.Errorf("%s, asked %d times; want %s, %d", got, s.asked, code, asked)
		}
	}
	ok(a, 1)
	ok(a, 1)
	fails(b, "InvalidIdentityToken", 1)
	at = at.Add(askAgain)
	fails(b, "InvalidIdentityToken", 2)
	s.set(func() { s.keys = set(t, b) })
	fails(b, "InvalidIdentityToken", 2)
	at = at.Add(askAgain)
	ok(b, 3)
	// The old key is gone at once.
	fails(a, "InvalidIdentityToken", 3)
	at = at.Add(keysLast)
	ok(b, 4)
	// An issuer that is down stops nobody for a while.
	s.set(func() { s.down = true })
	at = at.Add(keysLast)
	ok(b, 4)
	at = at.Add(keysLinger)
	fails(b, "IDPCommunicationError", 4)
	s.set(func() { s.down = false })
	fails(b, "IDPCommunicationError", 4)
	at = at.Add(askAgain)
	ok(b, 5)
}

func TestBadSites(t *testing.T) {
	a := rsaKey(t, "a")
	for _, c := range []struct {
		name   string
		spoil  func(*site, *model.OIDCProvider)
		code   string
		reason string
	}{
		{"another issuer's configuration", func(s *site, _ *model.OIDCProvider) { s.name = "https://evil.example" }, "InvalidIdentityToken", "another issuer"},
		{"no keys", func(s *site, _ *model.OIDCProvider) { s.keys = "{}" }, "InvalidIdentityToken", "no public key"},
		{"a huge answer", func(s *site, _ *model.OIDCProvider) { s.keys = strings.Repeat(" ", maxDocument+1) }, "InvalidIdentityToken", "more than"},
		{"elsewhere", func(s *site, p *model.OIDCProvider) { p.URL = s.URL + "/elsewhere" }, "IDPCommunicationError", "302"},
		{"nobody there", func(s *site, _ *model.OIDCProvider) { s.Close() }, "IDPCommunicationError", "refused"},
		{"not secure", func(_ *site, p *model.OIDCProvider) { p.URL = "http://10.0.0.1" }, "InvalidIdentityToken", "https://"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t, httptest.NewServer)
			s.keys = set(t, a)
			p := s.provider()
			c.spoil(s, p)
			_, err := check(t, NewVerifier(clock.Fixed(now)), p, sign(t, a, p.URL, nil))
			if got := refused(t, err); !strings.HasPrefix(got, c.code+": ") || !strings.Contains(errors.Unwrap(err).Error(), c.reason) {
				t.Errorf("%s because of %v", got, errors.Unwrap(err))
			}
		})
	}
}

// TestThumbprint: the certificate of an issuer must be one that the machine trusts,
// or of an authority whose thumbprint the provider has.
func TestThumbprint(t *testing.T) {
	a := rsaKey(t, "a")
	s := newSite(t, httptest.NewTLSServer)
	s.keys = set(t, a)
	sum := sha1.Sum(s.Certificate().Raw)
	for _, c := range []struct {
		thumbprints []string
		ok          bool
	}{
		{nil, false},
		{[]string{strings.Repeat("0", 40)}, false},
		{[]string{strings.Repeat("0", 40), strings.ToUpper(hex.EncodeToString(sum[:]))}, true},
	} {
		p := s.provider()
		p.Thumbprints = c.thumbprints
		if _, err := check(t, NewVerifier(clock.Fixed(now)), p, sign(t, a, p.URL, nil)); (err == nil) != c.ok {
			t.Errorf("%v: %v", c.thumbprints, err)
		}
	}
	// Known or not, it must be the certificate of that host.
	if _, err := get(t.Context(), strings.Replace(s.URL, "127.0.0.1", "localhost", 1), []string{hex.EncodeToString(sum[:])}); err == nil || !strings.Contains(errors.Unwrap(err).Error(), "localhost") {
		t.Errorf("the certificate of another host: %v", err)
	}
}

// TestReferral: only an issuer that is on this machine itself refers to something on
// this machine without TLS.
func TestReferral(t *testing.T) {
	a := rsaKey(t, "a")
	here := newSite(t, httptest.NewServer)
	here.keys = set(t, a)
	s := newSite(t, httptest.NewTLSServer)
	s.keysAt = here.URL + "/keys"
	sum := sha1.Sum(s.Certificate().Raw)
	p := s.provider()
	p.Thumbprints = []string{hex.EncodeToString(sum[:])}
	_, err := check(t, NewVerifier(clock.Fixed(now)), p, sign(t, a, p.URL, nil))
	if got := refused(t, err); !strings.HasPrefix(got, "InvalidIdentityToken: ") || !strings.Contains(errors.Unwrap(err).Error(), "https://") {
		t.Errorf("%s because of %v", got, errors.Unwrap(err))
	}
}

// TestImpatientCaller: the answer to a caller who left is there for the next.
func TestImpatientCaller(t *testing.T) {
	a := rsaKey(t, "a")
	s := newSite(t, httptest.NewServer)
	s.keys = set(t, a)
	p := s.provider()
	v := NewVerifier(clock.Fixed(now))
	token, err := Parse(sign(t, a, p.URL, nil))
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock() // the site does not answer
	gone, leave := context.WithCancel(t.Context())
	leave()
	if _, err := v.Verify(gone, p, token); !strings.HasPrefix(refused(t, err), "IDPCommunicationError") {
		t.Error(err)
	}
	s.mu.Unlock()
	if _, err := v.Verify(t.Context(), p, token); err != nil || s.asked != 1 {
		t.Errorf("%v, asked %d times", err, s.asked)
	}
}
