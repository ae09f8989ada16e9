package credential_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"
	"pgregory.net/rapid"

	"github.com/latchwork/latchwork/internal/credential"
	"github.com/latchwork/latchwork/internal/identity"
)

var now = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

func ring(t testing.TB) (*credential.KeyRing, string) {
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

// TestKeyFileAppearsWhole: of processes that start at once all get the same key, and
// nothing but the key file is left.
func TestKeyFileAppearsWhole(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "key")
	rings := make([]*credential.KeyRing, 16)
	var all errgroup.Group
	for i := range rings {
		all.Go(func() (err error) {
			rings[i], err = credential.OpenKeyRing(path)
			return err
		})
	}
	if err := all.Wait(); err != nil {
		t.Fatal(err)
	}
	sealed, _ := rings[0].Seal([]byte("secret"), "here")
	for i, ring := range rings {
		if plain, err := ring.Open(sealed, "here"); err != nil || string(plain) != "secret" {
			t.Errorf("ring %d: %q, %v", i, plain, err)
		}
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
		t.Errorf("files %v (%v), want the key file alone", files, err)
	}
}

func TestKeyFileCannotBeHad(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ name, path, want string }{
		{"no directory", filepath.Join(dir, "none", "key"), "making the key file"},
		{"a directory", dir, dir},
		{"an empty file", empty, "there is no key in it"},
	} {
		if _, err := credential.OpenKeyRing(test.path); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q in it", test.name, err, test.want)
		}
	}
}

func TestKeysDoNotPrint(t *testing.T) {
	k, path := ring(t)
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Fields(string(file))
	raw, err := base64.StdEncoding.DecodeString(lines[len(lines)-1])
	if err != nil || len(raw) != 32 {
		t.Fatal("no key in the file", err)
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("a", "ring", k)
	for _, text := range []string{log.String(), fmt.Sprint(k), fmt.Sprintf("%+v %#v %d", k, k, k), fmt.Sprint(struct{ K *credential.KeyRing }{k})} {
		if strings.Contains(text, strings.Trim(fmt.Sprint(raw), "[]")) || !strings.Contains(text, "[redacted]") {
			t.Errorf("printed a key ring: %s", text)
		}
	}
}

func TestIDs(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		id := credential.NewUniqueID("AROA")
		if !regexp.MustCompile(`^AROA[A-Z2-7]{17}$`).MatchString(id) || seen[id] {
			t.Fatalf("unique id %q", id)
		}
		seen[id] = true
		secret := credential.NewSecret()
		if !regexp.MustCompile(`^[A-Za-z0-9/+]{40}$`).MatchString(secret) || seen[secret] {
			t.Fatalf("a secret of %d characters, or twice the same", len(secret))
		}
		seen[secret] = true
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
	for _, bad := range []string{"", "x y", "1 short", "1", "-1 " + strings.Repeat("A", 43) + "=", "256 " + strings.Repeat("A", 43) + "=", strings.TrimSpace(line("1", "A")) + " 2", "# only a comment", "0 " + strings.Repeat("A", 43) + "=", line("1", "A") + line("1", "B")} {
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
	id, secret, token, err := tokens.Mint(p, now.Add(time.Hour))
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
		{"with a letter of no base64", id, token[:20] + "*" + token[20:], tokens},
		{"too long", id, strings.Repeat("A", 64<<10+1), tokens},
	} {
		if _, err := test.tokens.Open(test.id, test.token, now); !errors.Is(err, credential.ErrInvalidToken) {
			t.Errorf("token %s: %v", test.name, err)
		}
	}
}

// mint makes the credentials of a session of an hour.
func mint(t testing.TB, tokens *credential.Tokens) (id, secret, token string) {
	t.Helper()
	id, secret, token, err := tokens.Mint(identity.Principal{
		Kind: identity.AssumedRole, Account: "123456789012", ARN: "arn:aws:sts::123456789012:assumed-role/r/s",
		Session: &identity.Session{Name: "s", IssuedAt: now, Expires: now.Add(time.Hour)},
	}, now.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return id, secret, token
}

// TestEveryByteOfATokenCounts changes one character of a token.
func TestEveryByteOfATokenCounts(t *testing.T) {
	k, _ := ring(t)
	tokens := credential.NewTokens(k)
	id, _, token := mint(t, tokens)
	rapid.Check(t, func(t *rapid.T) {
		at := rapid.IntRange(0, len(token)-1).Draw(t, "at")
		c := rapid.SampledFrom([]byte("ABCDwxyz0189+/=")).Draw(t, "character")
		if token[at] == c {
			t.Skip("the same character")
		}
		changed := token[:at] + string(c) + token[at+1:]
		if _, err := tokens.Open(id, changed, now); !errors.Is(err, credential.ErrInvalidToken) {
			t.Fatalf("opened with %v", err)
		}
	})
	if _, err := tokens.Open(id, token, now); err != nil {
		t.Errorf("the token itself: %v", err)
	}
}

// TestTokensAfterRotation: a session outlives the active key that it was made with,
// and its secret does not change.
func TestTokensAfterRotation(t *testing.T) {
	first, second := "1 "+strings.Repeat("A", 43)+"=\n", "2 "+strings.Repeat("B", 42)+"A=\n"
	parse := func(text string) *credential.Tokens {
		k, err := credential.ParseKeyRing(text)
		if err != nil {
			t.Fatal(err)
		}
		return credential.NewTokens(k)
	}
	id, secret, token := mint(t, parse(first))
	s, err := parse(second+first).Open(id, token, now)
	if err != nil || string(s.Secret) != secret {
		t.Errorf("after rotation: %v", err)
	}
	if _, err := parse(second).Open(id, token, now); !errors.Is(err, credential.ErrInvalidToken) {
		t.Errorf("after the old key is gone: %v", err)
	}
}

func TestSessionsDoNotPrint(t *testing.T) {
	k, _ := ring(t)
	tokens := credential.NewTokens(k)
	id, secret, token := mint(t, tokens)
	s, err := tokens.Open(id, token, now)
	if err != nil {
		t.Fatal(err)
	}
	if text := fmt.Sprintf("%v %+v %#v", s, *s, *s); strings.Contains(text, secret) || !strings.Contains(text, "[redacted]") {
		t.Error("printed the secret of a session")
	}
}

// FuzzOpenToken: nothing that was not minted here opens.
func FuzzOpenToken(f *testing.F) {
	k, err := credential.ParseKeyRing("1 " + strings.Repeat("A", 43) + "=")
	if err != nil {
		f.Fatal(err)
	}
	id, _, token := mint(f, credential.NewTokens(k))
	f.Add(token)
	f.Add("AQ==")
	f.Fuzz(func(t *testing.T, text string) {
		if s, err := credential.NewTokens(k).Open(id, text, now); err == nil && text != token && strings.NewReplacer("\r", "", "\n", "").Replace(text) != token {
			t.Fatalf("opened %q: %+v", text, s.Principal)
		}
	})
}

func BenchmarkOpenToken(b *testing.B) {
	k, err := credential.ParseKeyRing("1 " + strings.Repeat("A", 43) + "=")
	if err != nil {
		b.Fatal(err)
	}
	tokens := credential.NewTokens(k)
	id, _, token := mint(b, tokens)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := tokens.Open(id, token, now); err != nil {
			b.Fatal(err)
		}
	}
}
