package awsapi

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json/v2"
	"errors"
	"fmt"
	"hash"
	"reflect"
	"slices"
)

// Token is a caller's idempotency token together with what it stands for.
type Token struct {
	// Key is unique to account, region, service, operation and token. It is fit
	// for a store's key: 64 hexadecimal digits.
	Key string
	// Hash is that of all other members of the call's input.
	Hash string
}

// ErrTokenReused says that a token's key is stored with another hash: the caller
// used one token for two different requests.
var ErrTokenReused = errors.New("idempotency token was used with other parameters")

// Idempotency remembers the answers of operations that take an idempotency token
// (clientToken), so that a repeated request has no second effect.
type Idempotency interface {
	// Once returns the answer stored under token.Key if its hash is token.Hash,
	// and ErrTokenReused if it is another. Otherwise it runs call and stores what
	// call returns, if it succeeds. Two calls at a time with one key run one
	// after the other. How long answers are kept is the implementation's choice;
	// AWS's clients retry within minutes.
	Once(ctx context.Context, token *Token, call func(context.Context) ([]byte, error)) ([]byte, error)
}

// token finds the call's idempotency token, if the operation takes one and the
// caller sent it.
func (b *bound) token(c *Call, input reflect.Value) (*Token, error) {
	v := input.Elem()
	for i := range b.in.fields {
		f := &b.in.fields[i]
		if !f.token {
			continue
		}
		value, ok := f.get(v)
		if !ok || value.String() == "" {
			return nil, nil
		}
		sum, err := b.in.sum(v, f.goName)
		if err != nil {
			return nil, err
		}
		key := hashOf(c.Account, c.Region, c.Service.Name, b.op.Name, value.String())
		return &Token{Key: hex.EncodeToString(key), Hash: sum}, nil
	}
	return nil, nil
}

// writePart keeps the parts of a hash apart whatever is in them.
func writePart(h hash.Hash, part string) { fmt.Fprintf(h, "%d:%s", len(part), part) }

// sum hashes an input's members but those named by skip.
func (p *plan) sum(v reflect.Value, skip ...string) (string, error) {
	h := sha256.New()
	for i := range p.fields {
		f := &p.fields[i]
		value, ok := f.get(v)
		if !ok || slices.Contains(skip, f.goName) {
			continue
		}
		text, err := json.Marshal(value.Interface(), json.Deterministic(true))
		if err != nil {
			return "", fmt.Errorf("hashing %s: %w", f.goName, err)
		}
		writePart(h, f.goName)
		writePart(h, string(text))
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func hashOf(parts ...string) []byte {
	h := sha256.New()
	for _, part := range parts {
		writePart(h, part)
	}
	return h.Sum(nil)
}
