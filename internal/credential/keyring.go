// Package credential makes and opens credentials: access keys, session tokens,
// and the sealing of secrets that are stored.
package credential

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"strings"
)

// KeyRing holds the installation's own keys. With it, secrets in the store can be
// read and session tokens made; whoever has the store alone has neither.
type KeyRing struct {
	active keyRingKey
	byID   map[byte]keyRingKey
}

type keyRingKey struct {
	id   byte
	aead cipher.AEAD
	raw  []byte
}

// keyFileHead is the first line of a key file.
const keyFileHead = "# Latchwork key file: keep it secret, and keep it: without it no stored secret can be read."

// OpenKeyRing reads a key file, and makes one with a new random key if there is
// none. The file holds lines "ID BASE64", ID from 1 to 255; the first line is the
// active key, the others only decrypt. A file that others can read is refused.
func OpenKeyRing(path string) (*KeyRing, error) {
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		key := make([]byte, 32)
		rand.Read(key)
		text := keyFileHead + "\n1 " + base64.StdEncoding.EncodeToString(key) + "\n"
		// O_EXCL: two processes that start at once must not each write a key.
		f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return nil, fmt.Errorf("making the key file: %w", err)
		}
		if _, err := f.WriteString(text); err != nil {
			return nil, errors.Join(fmt.Errorf("making the key file: %w", err), f.Close(), os.Remove(path))
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			return nil, fmt.Errorf("making the key file: %w", err)
		}
		return ParseKeyRing(text)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the key file: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("the key file %s has mode %04o, so others can read it: run chmod 600 %s", path, mode, path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the key file: %w", err)
	}
	ring, err := ParseKeyRing(string(text))
	if err != nil {
		return nil, fmt.Errorf("key file %s: %w", path, err)
	}
	return ring, nil
}

// ParseKeyRing reads the text of a key file.
func ParseKeyRing(text string) (*KeyRing, error) {
	ring := &KeyRing{byID: map[byte]keyRingKey{}}
	for n, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		var id int
		var encoded string
		if _, err := fmt.Sscanf(line, "%d %s", &id, &encoded); err != nil || id < 1 || id > 255 {
			return nil, fmt.Errorf("line %d is not a number from 1 to 255 and a key in base64", n+1)
		}
		raw, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil || len(raw) != 32 {
			return nil, fmt.Errorf("the key of line %d is not 32 bytes in base64", n+1)
		}
		if _, twice := ring.byID[byte(id)]; twice {
			return nil, fmt.Errorf("line %d: key %d is there twice", n+1, id)
		}
		block, err := aes.NewCipher(raw)
		if err != nil {
			return nil, err
		}
		aead, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			return nil, err
		}
		key := keyRingKey{id: byte(id), aead: aead, raw: raw}
		ring.byID[key.id] = key
		if ring.active.aead == nil {
			ring.active = key
		}
	}
	if ring.active.aead == nil {
		return nil, errors.New("there is no key in it")
	}
	return ring, nil
}

// ErrSealed says that a sealed value cannot be opened: it was made with another
// key or for another place, or it was changed.
var ErrSealed = errors.New("the value was not sealed here: is it the right key file?")

// Seal encrypts plaintext. aad says what it is for; the same is needed to open
// it, so that a sealed value cannot be moved to another record.
func (k *KeyRing) Seal(plaintext []byte, aad string) ([]byte, error) {
	return k.active.aead.Seal([]byte{k.active.id}, nil, plaintext, []byte(aad)), nil
}

// Open decrypts what Seal made.
func (k *KeyRing) Open(sealed []byte, aad string) ([]byte, error) {
	if len(sealed) == 0 {
		return nil, ErrSealed
	}
	key, ok := k.byID[sealed[0]]
	if !ok {
		return nil, ErrSealed
	}
	plaintext, err := key.aead.Open(nil, nil, sealed[1:], []byte(aad))
	if err != nil {
		return nil, ErrSealed
	}
	return plaintext, nil
}
