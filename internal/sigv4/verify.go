package sigv4

import (
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"hash"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/latchwork/latchwork/internal/inbound"
)

// Expect says what a signature must be made for.
type Expect struct {
	// Service is the signing name.
	Service string
	// Region of the credential scope; "" takes any.
	Region string
	Now    time.Time
	// Skew is how far the request's date may be from Now, both ways.
	Skew time.Duration
	// DataPlane selects VPC Lattice's own rules: the body is never signed and the
	// header that says so is; other x-amz-* headers need not be signed.
	DataPlane bool
	// Stream selects App Mesh's rules for the stream of an Envoy: nothing of the body
	// is signed, which each signer says in its own way, and only the host must be
	// among the signed headers.
	Stream bool
	// Hosts are names of this server that are tried where the host as received was
	// not what was signed, in a Stream.
	Hosts []string
	// Body is the whole body of a control plane request.
	Body []byte
}

// Verifier verifies signatures. It keeps derived signing keys, and the scratch
// space that makes a verification allocate nothing.
type Verifier struct {
	mu sync.RWMutex
	// keys has derived keys by what they are derived from but for the secret: the
	// credential, which is the access key id and the scope.
	keys map[string]*signingKey
	// publics has the public keys of SigV4A, by access key id.
	publics map[string]*publicKey
	// asymmetric admits to what those keys verify.
	asymmetric *admission
	// searching is held while Diagnose looks for what a signer has done.
	searching sync.Mutex
	free      sync.Pool // *scratch
}

// signingKey is a derived key. Its hashes are kept because an HMAC that was used
// once restarts without hashing the key again, which saves a third of the work.
type signingKey struct {
	secret Secret // that the key was derived from
	key    []byte
	free   sync.Pool // hash.Hash
}

// maxKeys bounds the cache. A key is used for one day; when the cache is full it
// starts anew.
const maxKeys = 20000

// NewVerifier makes a Verifier.
func NewVerifier() *Verifier {
	return &Verifier{keys: map[string]*signingKey{}, publics: map[string]*publicKey{}, asymmetric: newAdmission()}
}

type scratch struct {
	hash hash.Hash
	buf  []byte
	sum  [sha256.Size]byte
	kv   []pair
}

func (v *Verifier) scratch() *scratch {
	if s, ok := v.free.Get().(*scratch); ok {
		return s
	}
	return &scratch{hash: sha256.New(), buf: make([]byte, 0, 4096)}
}

// Verify checks a signature against a secret. Where the access key is not known,
// an empty secret does the same work and fails with UnknownKey, so that time does
// not tell which keys exist, and a record that lost its secret cannot be signed
// for with nothing. The error is an *Error.
func (v *Verifier) Verify(r *inbound.Request, s *Signature, secret Secret, want Expect) error {
	if err := s.check(r, want); err != nil {
		return err
	}
	payload, err := payload(r, s, want)
	if err != nil {
		return err
	}
	known := len(secret) > 0
	var key *signingKey
	var public *ecdsa.PublicKey
	if s.asymmetric() {
		if !v.asymmetric.enter() {
			return ErrBusy
		}
		defer v.asymmetric.leave()
		if public, err = v.public(s, secret); err != nil {
			return ErrUnknownKey
		}
	} else {
		key = v.signingKey(s, secret)
	}
	x := v.scratch()
	defer v.free.Put(x)
	x.sortQuery(r.RawQuery(), s.Presigned)
	ok := false
	hosts := hostForms(r, want)
	for _, form := range pathForms(r.Path(), want.DataPlane) {
		for i := 0; i < len(hosts)+len(want.Hosts) && form != skipForm && !ok; i++ {
			host := ""
			if i < len(hosts) {
				host = hosts[i]
			} else {
				host = want.Hosts[i-len(hosts)]
			}
			if host == "" && r.Authority != "" {
				continue
			}
			// Each form is a whole comparison; which of them fits is no secret.
			x.canonical(r, s, form, host, payload)
			x.toSign(s)
			if s.asymmetric() {
				ok = x.signedBy(public, s)
			} else {
				ok = x.signedWith(key, s)
			}
		}
	}
	switch {
	case !known:
		return ErrUnknownKey
	case !ok:
		return errMismatch
	}
	return nil
}

// check applies everything that needs no key.
func (s *Signature) check(r *inbound.Request, want Expect) error {
	if s.Service != want.Service {
		return failf(BadScope, "Credential should be scoped to correct service: '%s'. ", want.Service)
	}
	switch {
	case s.asymmetric():
		// Source: AWS SDKs: the set is a header or, in a presigned request, a parameter,
		// and it is signed.
		if s.RegionSet == "" {
			return failf(Malformed, "a request that is signed with %s must name its regions in a signed header 'X-Amz-Region-Set'.", AlgorithmECDSA)
		}
		if !s.Presigned && !s.Signs("x-amz-region-set") {
			return failf(UnsignedHeader, "'x-amz-region-set' must be a 'SignedHeader' in the AWS Authorization.")
		}
		if want.Region != "" && !covers(s.RegionSet, want.Region) {
			return failf(BadScope, "Credential should be scoped to a valid region, not '%.64s'. ", s.RegionSet)
		}
	case want.Region != "" && s.Region != want.Region:
		return failf(BadScope, "Credential should be scoped to a valid region, not '%.32s'. ", s.Region)
	}
	if err := s.checkTime(want); err != nil {
		return err
	}
	if query := r.RawQuery(); len(query) > maxQuery {
		return failf(Malformed, "the query string of a signed request has %d bytes, the most are %d.", len(query), maxQuery)
	} else if n := strings.Count(query, "&") + 1; n > maxParameters {
		return failf(Malformed, "the query string of a signed request has %d parameters, the most are %d.", n, maxParameters)
	} else if inbound.BadEscape(query) >= 0 {
		// It might be signed as one thing and read as another.
		return failf(Malformed, "the query string holds a bad percent escape.")
	}
	for _, name := range s.SignedHeaders {
		if name == "host" {
			continue
		}
		if _, ok := r.Get(name); !ok {
			return failf(AbsentHeader, "'%.64s' is named as a SignedHeader, but it does not exist in the HTTP request.", name)
		}
	}
	if !s.Presigned {
		dateHeader := "x-amz-date"
		if _, ok := r.Get(dateHeader); !ok {
			dateHeader = "date"
		}
		if !s.Signs(dateHeader) && !want.Stream {
			return failf(UnsignedHeader, "'%s' must be a 'SignedHeader' in the AWS Authorization.", dateHeader)
		}
	}
	for i := range r.Headers {
		name := r.Headers[i].Name
		if strings.HasPrefix(name, "x-amz-") && mustBeSigned(name, want) && !s.Signs(name) {
			return failf(UnsignedHeader, "There were headers present in the request which were not signed: '%.64s'.", name)
		}
	}
	return nil
}

// maxQuery and maxParameters bound the sorting that a forger can make us do: that of ten
// thousand parameters takes as long as two thousand signatures.
const (
	maxQuery      = 32 << 10
	maxParameters = 1000
)

// mustBeSigned tells whether an x-amz-* header may not be in a request without
// being signed. On the data plane that holds only for those that belong to the
// signature: others may come from a proxy on the way. (x-amz-content-sha256 has an
// answer of its own there; see payload.) In a stream it never holds: AWS's own relay
// leaves all of them out. The date and the payload's hash are in what is signed all
// the same, and the token is bound to the key.
func mustBeSigned(name string, want Expect) bool {
	switch {
	case want.Stream:
		return false
	case !want.DataPlane:
		return true
	}
	switch name {
	case "x-amz-date", "x-amz-security-token", "x-amz-region-set":
		return true
	}
	return false
}

// checkTime holds the request's date against the clock. X-Amz-Expires can make a
// presigned request's life shorter than the service's own, never longer: services
// other than S3 let a presigned request live as long as any other.
func (s *Signature) checkTime(want Expect) error {
	stamp := func(t time.Time) string { return t.UTC().Format(timeFormat) }
	age := want.Skew
	if s.Presigned && s.Expires > 0 && s.Expires < age {
		age = s.Expires
	}
	// Whole seconds are what a request can say.
	if limit := want.Now.Add(-age); s.Time.Unix() < limit.Unix() {
		return failf(Expired, "Signature expired: %s is now earlier than %s (%s - %s)", s.timeText, stamp(limit), stamp(want.Now), span(age))
	}
	if limit := want.Now.Add(want.Skew); s.Time.After(limit) {
		return failf(NotYet, "Signature not yet current: %s is still later than %s (%s + %s)", s.timeText, stamp(limit), stamp(want.Now), span(want.Skew))
	}
	return nil
}

// span is a duration as AWS's texts have it.
func span(d time.Duration) string {
	if d%time.Minute == 0 {
		return strconv.Itoa(int(d/time.Minute)) + " min."
	}
	return strconv.Itoa(int(d/time.Second)) + " sec."
}

// payload is the last line of the canonical request.
func payload(r *inbound.Request, s *Signature, want Expect) (string, error) {
	value, present := r.Get("x-amz-content-sha256")
	if r.Count("x-amz-content-sha256") > 1 {
		return "", failf(Malformed, "the request has several X-Amz-Content-Sha256 headers: send one")
	}
	if want.Stream {
		// Source: Envoy, source/extensions/grpc_credentials/aws_iam (hash of nothing) and
		// source/extensions/filters/http/aws_request_signing (use_unsigned_payload).
		switch {
		case !present:
			return emptyPayload, nil
		case value != emptyPayload && value != UnsignedPayload:
			return "", failf(PayloadHash, "The 'x-amz-content-sha256' header of a stream must be '%s' or the hash of an empty body.", UnsignedPayload)
		}
		return value, nil
	}
	if want.DataPlane {
		// Source: VPC Lattice User Guide, "SIGv4 authenticated requests": the header
		// must be there, say that the payload is not signed, and be signed itself.
		switch {
		case !present || !s.Signs("x-amz-content-sha256"):
			return "", failf(MissingPayloadHeader, textPayloadHeader)
		case value != UnsignedPayload:
			return "", failf(SignedPayload, textSignedPayload)
		}
		return UnsignedPayload, nil
	}
	if value == UnsignedPayload {
		// Whoever saw one such request could send it again with a body of their own.
		return "", failf(PayloadHash, "The payload of a request to this service must be signed: '%s' is not accepted in 'x-amz-content-sha256'.", UnsignedPayload)
	}
	sum := sha256.Sum256(want.Body)
	actual := hex.EncodeToString(sum[:])
	if present && value != actual {
		return "", failf(PayloadHash, "The provided 'x-amz-content-sha256' header does not match what was computed.")
	}
	return actual, nil
}

// emptyPayload is the SHA-256 of an empty body.
const emptyPayload = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// dummySecret stands for the secret of a key that is not known.
var dummySecret = Secret("0000000000000000000000000000000000000000")

// signingKey derives a signing key, or takes it from the cache. Unknown keys share
// one entry a scope: names that a forger makes up neither fill the cache nor take
// longer than a key in use.
func (v *Verifier) signingKey(s *Signature, secret Secret) *signingKey {
	id := s.credential
	if len(secret) == 0 {
		id, secret = s.credential[len(s.AccessKeyID):], dummySecret
	}
	v.mu.RLock()
	k := v.keys[id]
	v.mu.RUnlock()
	if k != nil && k.secret.same(secret) {
		return k
	}
	k = &signingKey{secret: secret, key: deriveKey(secret, s.Date, s.Region, s.Service)}
	v.mu.Lock()
	if len(v.keys) >= maxKeys {
		clear(v.keys)
	}
	v.keys[strings.Clone(id)] = k // It is a part of the request's header: keep a copy.
	v.mu.Unlock()
	return k
}

func deriveKey(secret Secret, date, region, service string) []byte {
	key := append([]byte("AWS4"), secret...)
	for _, part := range []string{date, region, service, terminator} {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(part))
		key = h.Sum(nil)
	}
	return key
}

// toSign turns the canonical request in x.buf into the string to sign.
func (x *scratch) toSign(s *Signature) {
	x.hash.Reset()
	x.hash.Write(x.buf)
	sum := x.hash.Sum(x.sum[:0])
	b := x.buf[:0]
	b = append(b, s.Algorithm...)
	b = append(b, '\n')
	b = append(b, s.timeText...)
	b = append(b, '\n')
	b = append(b, s.Scope...)
	b = append(b, '\n')
	x.buf = hex.AppendEncode(b, sum)
}

// signedWith tells whether the string to sign in x.buf was signed with a key.
func (x *scratch) signedWith(k *signingKey, s *Signature) bool {
	h, ok := k.free.Get().(hash.Hash)
	if !ok {
		h = hmac.New(sha256.New, k.key)
	}
	h.Reset()
	h.Write(x.buf)
	h.Sum(x.sum[:0])
	k.free.Put(h)
	return subtle.ConstantTimeCompare(x.sum[:], s.sum[:]) == 1
}

// signedBy is signedWith for SigV4A.
func (x *scratch) signedBy(k *ecdsa.PublicKey, s *Signature) bool {
	x.hash.Reset()
	x.hash.Write(x.buf)
	return ecdsa.VerifyASN1(k, x.hash.Sum(x.sum[:0]), s.der[:s.size])
}
