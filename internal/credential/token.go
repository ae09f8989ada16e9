package credential

import (
	"bytes"
	"compress/flate"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/latchwork/latchwork/internal/identity"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/sigv4"
)

// Errors of session tokens.
var (
	ErrInvalidToken = errors.New("the session token is not valid")
	ErrExpiredToken = errors.New("the session token has expired")
)

// Tokens makes and opens session tokens. A token holds everything about its
// session, sealed; nothing is stored, so any server with the key ring opens the
// token of any other.
type Tokens struct {
	ring *KeyRing
	mu   sync.RWMutex
	// known has what was opened before, by the text of the token. Only tokens that
	// were made here can be opened, so nobody else fills it.
	known map[string]*Session
}

// Session is what a token opens to. It is shared and must not be changed.
type Session struct {
	Principal *identity.Principal
	Secret    sigv4.Secret
	Expires   time.Time
}

// NewTokens makes Tokens of a key ring.
func NewTokens(ring *KeyRing) *Tokens {
	return &Tokens{ring: ring, known: map[string]*Session{}}
}

// claims is what a token holds.
type claims struct {
	ID        []byte             `json:"i"`
	KeyID     string             `json:"k"`
	Expires   int64              `json:"e"`
	Principal identity.Principal `json:"p"`
}

// tokenAAD keeps tokens and other sealed values apart.
const tokenAAD = "session token"

// tokenText is strict so that a token has one spelling.
var tokenText = base64.StdEncoding.Strict()

// maxToken bounds the text of a token; AWS says 4096 or more.
const maxToken = 64 << 10

// maxClaims bounds what a token may unpack to.
const maxClaims = 256 << 10

// Mint makes the credentials of a session. p.Session is set; its Expires is the
// end of the session.
func (t *Tokens) Mint(p identity.Principal, expires time.Time) (accessKeyID, secret, token string, err error) {
	id := make([]byte, 16)
	rand.Read(id)
	if accessKeyID, err = model.NewAccessKeyID(model.TemporaryKey, p.Account); err != nil {
		return "", "", "", err
	}
	p.AccessKeyID = accessKeyID
	c := claims{ID: id, KeyID: accessKeyID, Expires: expires.Unix(), Principal: p}
	plain, err := json.Marshal(c)
	if err != nil {
		return "", "", "", err
	}
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, flate.BestSpeed)
	if err != nil {
		return "", "", "", err
	}
	if _, err := w.Write(plain); err != nil {
		return "", "", "", err
	}
	if err := w.Close(); err != nil {
		return "", "", "", err
	}
	sealed, err := t.ring.Seal(packed.Bytes(), tokenAAD)
	if err != nil {
		return "", "", "", err
	}
	return accessKeyID, t.secret(t.ring.active, id, accessKeyID), tokenText.EncodeToString(sealed), nil
}

// secret derives a session's secret access key: 40 characters that only the key
// ring can make again.
func (t *Tokens) secret(key keyRingKey, id []byte, accessKeyID string) string {
	h := hmac.New(sha256.New, key.raw)
	h.Write([]byte("session secret\x00"))
	h.Write(id)
	h.Write([]byte(accessKeyID))
	return base64.StdEncoding.EncodeToString(h.Sum(nil))[:40]
}

// maxKnown bounds the cache of opened tokens.
const maxKnown = 20000

// Open reads the token that came with a request signed by accessKeyID.
func (t *Tokens) Open(accessKeyID, token string, now time.Time) (*Session, error) {
	if token == "" || len(token) > maxToken {
		return nil, ErrInvalidToken
	}
	t.mu.RLock()
	s := t.known[token]
	t.mu.RUnlock()
	if s == nil {
		var err error
		if s, err = t.open(token); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrInvalidToken, err)
		}
		if now.Before(s.Expires) {
			t.keep(token, s)
		}
	}
	if s.Principal.AccessKeyID != accessKeyID {
		return nil, ErrInvalidToken
	}
	if !now.Before(s.Expires) {
		return nil, ErrExpiredToken
	}
	return s, nil
}

func (t *Tokens) keep(token string, s *Session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.known) >= maxKnown {
		clear(t.known)
	}
	t.known[strings.Clone(token)] = s
}

func (t *Tokens) open(token string) (*Session, error) {
	sealed, err := tokenText.DecodeString(token)
	if err != nil {
		return nil, err
	}
	packed, err := t.ring.Open(sealed, tokenAAD)
	if err != nil {
		return nil, err
	}
	plain, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(packed)), maxClaims+1))
	if err != nil {
		return nil, err
	}
	if len(plain) > maxClaims {
		return nil, errors.New("the token is too large")
	}
	var c claims
	if err := json.Unmarshal(plain, &c); err != nil {
		return nil, err
	}
	if c.Principal.IsAnonymous() || c.Principal.Session == nil || c.KeyID != c.Principal.AccessKeyID {
		return nil, errors.New("the token names nobody")
	}
	return &Session{
		Principal: &c.Principal,
		Secret:    sigv4.Secret(t.secret(t.ring.byID[sealed[0]], c.ID, c.KeyID)),
		Expires:   time.Unix(c.Expires, 0),
	}, nil
}
