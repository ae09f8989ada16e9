package credential_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchwork/latchwork/internal/credential"
	"github.com/latchwork/latchwork/internal/identity"
)

var now = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

func ring(t *testing.T) (*credential.KeyRing, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	k, err := credential.OpenKeyRing(path)
	if err != nil {
		t.Fatal(err)
	}
	return k, path
}

func TestKeyFile(t *testing.T) {
	k, path := ring(t)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("key file has mode %v (%v), want 0600", info.Mode(), err)
	}
	sealed, err := k.Seal([]byte("secret"), "here")
	if err != nil {
		t.Fatal(err)
	}
	again, err := credential.OpenKeyRing(path)
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := again.Open(sealed, "here"); err != nil || string(plain) != "secret" {
		t.Errorf("opened %q, %v", plain, err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := credential.OpenKeyRing(path); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a key file that others can read: %v", err)
	}
}

func TestSealedValuesStayWhereTheyAre(t *testing.T) {
	k, _ := ring(t)
	other, _ := ring(t)
	sealed, _ := k.Seal([]byte("secret"), "record 1")
	changed := append([]byte{}, sealed...)
	changed[len(changed)-1] ^= 1
	for _, test := range []struct {
		name   string
		ring   *credential.KeyRing
		sealed []byte
		aad    string
	}{
		{"for another record", k, sealed, "record 2"},
		{"with another key", other, sealed, "record 1"},
		{"changed", k, changed, "record 1"},
		{"empty", k, nil, "record 1"},
		{"cut", k, sealed[:5], "record 1"},
	} {
		if plain, err := test.ring.Open(test.sealed, test.aad); !errors.Is(err, credential.ErrSealed) {
			t.Errorf("%s: opened %q, %v", test.name, plain, err)
		}
	}
}

func TestOldKeysOpenAndNewOnesSeal(t *testing.T) {
	line := func(id, fill string) string { return id + " " + strings.Repeat(fill, 42) + "A=\n" }
	old, err := credential.ParseKeyRing(line("1", "A"))
	if err != nil {
		t.Fatal(err)
	}
	rotated, err := credential.ParseKeyRing(line("2", "B") + line("1", "A"))
	if err != nil {
		t.Fatal(err)
	}
	sealed, _ := old.Seal([]byte("x"), "")
	if _, err := rotated.Open(sealed, ""); err != nil {
		t.Errorf("the old key does not open any more: %v", err)
	}
	sealed, _ = rotated.Seal([]byte("x"), "")
	if _, err := old.Open(sealed, ""); err == nil {
		t.Error("sealed with the old key after rotation")
	}
	for _, bad := range []string{"", "x y", "1 short", "0 " + strings.Repeat("A", 43) + "=", line("1", "A") + line("1", "B")} {
		if _, err := credential.ParseKeyRing(bad); err == nil {
			t.Errorf("accepted key file %q", bad)
		}
	}
}

func TestTokens(t *testing.T) {
	k, _ := ring(t)
	tokens := credential.NewTokens(k)
	p := identity.Principal{
		Kind: identity.AssumedRole, Account: "123456789012", ARN: "arn:aws:sts::123456789012:assumed-role/r/s",
		IssuerARN: "arn:aws:iam::123456789012:role/r", IssuerID: "AROAX", UserID: "AROAX:s", Name: "r",
		Session: &identity.Session{Name: "s", IssuedAt: now, Expires: now.Add(time.Hour), Tags: map[string]string{"a": "b"}},
	}
	id, secret, token, err := tokens.Mint(p, now, now.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(id, "ASIA") || len(id) != 20 || len(secret) != 40 {
		t.Errorf("access key id %q, secret of %d characters", id, len(secret))
	}
	// Another server with the same key ring opens it.
	s, err := credential.NewTokens(k).Open(id, token, now)
	if err != nil {
		t.Fatal(err)
	}
	want := p
	want.AccessKeyID = id
	if diff := cmp.Diff(&want, s.Principal); diff != "" {
		t.Errorf("principal (-minted +opened):\n%s", diff)
	}
	if string(s.Secret) != secret {
		t.Error("the secret differs")
	}
	if _, err := tokens.Open(id, token, now.Add(time.Hour)); !errors.Is(err, credential.ErrExpiredToken) {
		t.Errorf("at its end: %v", err)
	}
	other, _ := ring(t)
	for _, test := range []struct {
		name, id, token string
		tokens          *credential.Tokens
	}{
		{"of another key id", "ASIAAAAAAAAAAAAAAAAA", token, tokens},
		{"changed", id, token[:len(token)-8] + "AAAAAAA=", tokens},
		{"of another installation", id, token, credential.NewTokens(other)},
		{"none", id, "", tokens},
	} {
		if _, err := test.tokens.Open(test.id, test.token, now); !errors.Is(err, credential.ErrInvalidToken) {
			t.Errorf("token %s: %v", test.name, err)
		}
	}
}
