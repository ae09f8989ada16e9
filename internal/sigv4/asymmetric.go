package sigv4

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
)

// This is SigV4A: the same canonical request, signed by a key pair that both sides
// derive from the secret, for a set of regions and not for one.
// Source: awslabs/aws-c-auth, key_derivation.c and aws_signing.c; VPC Lattice User
// Guide, "SIGv4 authenticated requests".

// publicKey verifies the signatures of one access key, of every day and service.
type publicKey struct {
	secret Secret // that the key was derived from
	key    *ecdsa.PublicKey
}

// mostScalar is n-2, where n is the order of P-256: what is not above it gives, plus
// one, a private key.
var mostScalar = []byte{
	0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x4f,
}

var errNoScalar = errors.New("no key pair can be derived from the secret")

// derivePublic derives the public key that belongs to an access key.
func derivePublic(accessKeyID string, secret Secret) (*ecdsa.PublicKey, error) {
	for counter := byte(1); counter < 255; counter++ {
		h := hmac.New(sha256.New, append([]byte("AWS4A"), secret...))
		h.Write([]byte{0, 0, 0, 1})
		h.Write([]byte(AlgorithmECDSA))
		h.Write([]byte{0})
		h.Write([]byte(accessKeyID))
		h.Write([]byte{counter, 0, 0, 1, 0}) // the size of the key in bits: 256
		scalar := h.Sum(nil)
		if slices.Compare(scalar, mostScalar) > 0 {
			continue // once in four billion
		}
		carry := 1
		for i := len(scalar) - 1; i >= 0; i-- {
			carry += int(scalar[i])
			scalar[i] = byte(carry)
			carry >>= 8
		}
		private, err := ecdh.P256().NewPrivateKey(scalar)
		if err != nil {
			return nil, err
		}
		return ecdsa.ParseUncompressedPublicKey(elliptic.P256(), private.PublicKey().Bytes())
	}
	return nil, errNoScalar
}

// public is signingKey for SigV4A.
func (v *Verifier) public(s *Signature, secret Secret) (*ecdsa.PublicKey, error) {
	id := s.AccessKeyID
	if len(secret) == 0 {
		id, secret = "", dummySecret
	}
	v.mu.RLock()
	k := v.publics[id]
	v.mu.RUnlock()
	if k != nil && k.secret.same(secret) {
		return k.key, nil
	}
	key, err := derivePublic(id, secret)
	if err != nil {
		return nil, err
	}
	v.mu.Lock()
	if len(v.publics) >= maxKeys {
		clear(v.publics)
	}
	v.publics[strings.Clone(id)] = &publicKey{secret, key}
	v.mu.Unlock()
	return key, nil
}

// admission bounds how many verifications of SigV4A run and wait. One costs as much as
// fifty of SigV4, and anybody can ask for it with a signature of nothing: without a
// bound, a flood of them would leave no processor for the others.
type admission struct {
	running chan struct{}
	waiting atomic.Int64
}

// maxWaiting is how many may wait for one that runs. Each takes less than a millisecond,
// so nobody waits for long, and those whose client is gone need no other way out.
const maxWaiting = 64

func newAdmission() *admission {
	return &admission{running: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2))}
}

// enter waits for its turn; false if too many wait already.
func (a *admission) enter() bool {
	select {
	case a.running <- struct{}{}:
		return true
	default:
	}
	if a.waiting.Add(1) > int64(maxWaiting*cap(a.running)) {
		a.waiting.Add(-1)
		return false
	}
	a.running <- struct{}{}
	a.waiting.Add(-1)
	return true
}

func (a *admission) leave() { <-a.running }

// covers tells whether a region set includes a region: by name, or by a '*' that
// stands for any characters.
// Source: AWS Signature Version 4A as the SDKs send it, a list with commas; what a '*'
// within a name means is not documented, and here it is what it looks like.
func covers(set, region string) bool {
	for one := range strings.SplitSeq(set, ",") {
		one = trim(one)
		before, after, wild := strings.Cut(one, "*")
		switch {
		case !wild && one == region && one != "":
			return true
		case wild && !strings.Contains(after, "*") && len(region) >= len(before)+len(after) &&
			strings.HasPrefix(region, before) && strings.HasSuffix(region, after):
			return true
		}
	}
	return false
}

// RegionFor is the region that a request is for where one endpoint serves all: that of
// the scope. The scope of SigV4A has none; there it is own, if the set of regions covers
// it, else the only region of the set, and "" if the set leaves it open.
func (s *Signature) RegionFor(own string) string {
	switch {
	case !s.asymmetric():
		return s.Region
	case covers(s.RegionSet, own):
		return own
	case strings.ContainsAny(s.RegionSet, ",*"):
		return ""
	}
	return trim(s.RegionSet)
}
