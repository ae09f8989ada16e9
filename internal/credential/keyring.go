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
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
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

// Format and LogValue keep the keys out of what is printed.
func (*KeyRing) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[redacted]") }

// LogValue is Format for log/slog.
func (*KeyRing) LogValue() slog.Value { return slog.StringValue("[redacted]") }

// keyFileHead is the first line of a key file.
const keyFileHead = "# Latchwork key file: keep it secret, and keep it: without it no stored secret can be read."

// OpenKeyRing reads a key file, and makes one with a new random key if there is
// none. The file holds lines "ID BASE64", ID from 1 to 255; the first line is the
// active key, the others only decrypt. A file that others can read is refused.
func OpenKeyRing(path string) (*KeyRing, error) {
	text, err := readKeyFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeKeyFile(path); err != nil {
			return nil, fmt.Errorf("making the key file: %w", err)
		}
		text, err = readKeyFile(path)
	}
	if err != nil {
		return nil, err
	}
	ring, err := ParseKeyRing(text)
	if err != nil {
		return nil, fmt.Errorf("key file %s: %w", path, err)
	}
	return ring, nil
}

func readKeyFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("reading the key file: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", fmt.Errorf("reading the key file: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return "", fmt.Errorf("the key file %s has mode %04o, so others can read it: run chmod 600 %s", path, mode, path)
	}
	text, err := io.ReadAll(f)
	if err != nil {
		return "", fmt.Errorf("reading the key file: %w", err)
	}
	return string(text), nil
}

// makeKeyFile writes a key file with a new key, unless there is one by now. The
// file appears whole, and is on the disk before anything is sealed with it: a crash
// leaves no half of a key, and two processes that start at once use the same one.
func makeKeyFile(path string) (err error) {
	key := make([]byte, 32)
	rand.Read(key)
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".new-*") // its mode is 0600
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(f.Name())) }()
	_, err = f.WriteString(keyFileHead + "\n1 " + base64.StdEncoding.EncodeToString(key) + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	// A link, unlike a rename, never takes the place of a file that is there.
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// ParseKeyRing reads the text of a key file.
func ParseKeyRing(text string) (*KeyRing, error) {
	ring := &KeyRing{byID: map[byte]keyRingKey{}}
	for n, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		fields := strings.Fields(line)
		if len(fields) != 2 {
			return nil, fmt.Errorf("line %d is not a number from 1 to 255 and a key in base64", n+1)
		}
		id, err := strconv.ParseUint(fields[0], 10, 8)
		if err != nil || id < 1 {
			return nil, fmt.Errorf("line %d is not a number from 1 to 255 and a key in base64", n+1)
		}
		raw, err := base64.StdEncoding.DecodeString(fields[1])
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
