package credential_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/latchwork/latchwork/internal/clock"
	"github.com/latchwork/latchwork/internal/credential"
	"github.com/latchwork/latchwork/internal/identity"
	"github.com/latchwork/latchwork/internal/inbound"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/sigv4"
	"github.com/latchwork/latchwork/internal/snapshot"
	"github.com/latchwork/latchwork/internal/store"
	"github.com/latchwork/latchwork/internal/store/etcd"
)

const (
	account = "123456789012"
	userARN = "arn:aws:iam::" + account + ":user/alice"
)

// published is a snapshot of a user with access keys in every state, made of real
// records whose secrets are sealed with a key ring.
func published(t testing.TB, k *credential.KeyRing) *snapshot.Snapshot {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	backend, err := etcd.Start(t.Context(), etcd.Embedded{Dir: t.TempDir(), Prefix: "t/", Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = backend.Close() })
	revision, err := store.New(backend).Update(t.Context(), func(tx *store.Tx) error {
		key := func(id, user, userID, sealedFor string, active bool) error {
			sealed, err := k.Seal([]byte("secret of "+id), sealedFor)
			if err != nil {
				return err
			}
			return model.AccessKeys.Put(tx, id, &model.AccessKey{
				Meta: model.Meta{ID: id, Account: account}, User: user, UserID: userID, Sealed: sealed, Active: active,
			})
		}
		return errors.Join(
			model.Users.Put(tx, model.IAMKey(account, "alice"), &model.User{Meta: model.Meta{ID: "AIDAALICE", ARN: userARN, Name: "alice", Account: account}}),
			key("AKIAGOOD", "alice", "AIDAALICE", "AKIAGOOD", true),
			key("AKIAROOT", "", "", "AKIAROOT", true),
			key("AKIAINACTIVE", "alice", "AIDAALICE", "AKIAINACTIVE", false),
			key("AKIAEARLIER", "alice", "AIDAEARLIERALICE", "AKIAEARLIER", true),
			key("AKIAGONE", "bob", "AIDABOB", "AKIAGONE", true),
			key("AKIAMOVED", "alice", "AIDAALICE", "AKIAGOOD", true),
		)
	})
	if err != nil {
		t.Fatal(err)
	}
	p := snapshot.NewPublisher(snapshot.Config{
		Backend: backend, Settings: snapshot.Settings{Partition: "aws"}, Clock: clock.Fixed(now), Log: quiet,
		OpenSecret: func(key *model.AccessKey) ([]byte, error) { return k.Open(key.Sealed, key.ID) },
	})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { _ = p.Run(ctx); close(done) }()
	defer func() { stop(); <-done }()
	if err := p.WaitFor(ctx, revision); err != nil {
		t.Fatal(err)
	}
	return p.Current()
}

// signed is a request of the data plane, signed with the AWS SDK for Go.
func signed(t testing.TB, id, secret, token string) *inbound.Request {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, "http://rates.example/rates", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Amz-Content-Sha256", sigv4.UnsignedPayload)
	if id != "" {
		c := aws.Credentials{AccessKeyID: id, SecretAccessKey: secret, SessionToken: token}
		if err := v4.NewSigner().SignHTTP(t.Context(), c, r, sigv4.UnsignedPayload, "vpc-lattice-svcs", "us-west-2", now); err != nil {
			t.Fatal(err)
		}
	}
	in := &inbound.Request{Method: r.Method, Target: "/rates", Authority: "rates.example", Major: 1}
	for name := range r.Header {
		in.Headers = append(in.Headers, inbound.Header{Name: strings.ToLower(name), Value: r.Header.Get(name)})
	}
	return in
}

// TestAuthenticate: nobody is somebody whose signature was not verified, as with
// CVE-2026-40344 and CVE-2020-11012 (an error that did not end the request), and no
// session is without its token, as with floci issue 3487.
func TestAuthenticate(t *testing.T) {
	k, _ := ring(t)
	other, _ := ring(t)
	snap := published(t, k)
	tokens := credential.NewTokens(k)
	id, secret, token := mint(t, tokens)
	id2, secret2, token2 := mint(t, tokens)
	strangeID, strangeSecret, strangeToken := mint(t, credential.NewTokens(other))
	for _, test := range []struct {
		name, id, secret, token string
		change                  func(*inbound.Request)
		after                   time.Duration
		want                    sigv4.Cause
		arn                     string
	}{
		{name: "nobody signed"},
		{name: "user", id: "AKIAGOOD", secret: "secret of AKIAGOOD", arn: userARN},
		{name: "root user", id: "AKIAROOT", secret: "secret of AKIAROOT", arn: "arn:aws:iam::" + account + ":root"},
		{name: "session", id: id, secret: secret, token: token, arn: "arn:aws:sts::" + account + ":assumed-role/r/s"},
		{name: "wrong secret", id: "AKIAGOOD", secret: "secret of AKIAROOT", want: sigv4.Mismatch},
		{name: "secret is the key id", id: "AKIAGOOD", secret: "AKIAGOOD", want: sigv4.Mismatch},
		{name: "unknown key", id: "AKIAUNKNOWN", secret: "x", want: sigv4.UnknownKey},
		{name: "inactive key", id: "AKIAINACTIVE", secret: "secret of AKIAINACTIVE", want: sigv4.UnknownKey},
		{name: "key of an earlier user of the name", id: "AKIAEARLIER", secret: "secret of AKIAEARLIER", want: sigv4.UnknownKey},
		{name: "key of a user who is gone", id: "AKIAGONE", secret: "secret of AKIAGONE", want: sigv4.UnknownKey},
		{name: "secret sealed for another key", id: "AKIAMOVED", secret: "secret of AKIAMOVED", want: sigv4.UnknownKey},
		{name: "session without its token", id: id, secret: secret, want: sigv4.UnknownKey},
		{name: "token of another session", id: id, secret: secret, token: token2, want: sigv4.UnknownKey},
		{name: "key id of another session", id: id2, secret: secret, token: token, want: sigv4.UnknownKey},
		{name: "secret of another session", id: id, secret: secret2, token: token, want: sigv4.Mismatch},
		{name: "user's key with a token", id: "AKIAGOOD", secret: "secret of AKIAGOOD", token: token, want: sigv4.UnknownKey},
		{name: "session of another installation", id: strangeID, secret: strangeSecret, token: strangeToken, want: sigv4.UnknownKey},
		{name: "token of nothing", id: id, secret: secret, token: "AAAA", want: sigv4.UnknownKey},
		{name: "session at its end", id: id, secret: secret, token: token, after: time.Hour, want: sigv4.ExpiredToken},
		{name: "session a second before", id: id, secret: secret, token: token, after: time.Hour - time.Second, arn: "arn:aws:sts::" + account + ":assumed-role/r/s"},
		{name: "half a signature", id: "AKIAGOOD", secret: "secret of AKIAGOOD", change: func(r *inbound.Request) {
			r.Headers = slices.DeleteFunc(r.Headers, func(h inbound.Header) bool { return h.Name == "x-amz-date" })
		}, want: sigv4.Malformed},
		{name: "changed request", id: "AKIAGOOD", secret: "secret of AKIAGOOD", change: func(r *inbound.Request) { r.Method = "PUT" }, want: sigv4.Mismatch},
	} {
		t.Run(test.name, func(t *testing.T) {
			// The sessions are what is old here, not the signatures.
			in := signed(t, test.id, test.secret, test.token)
			want := sigv4.Expect{
				Service: "vpc-lattice-svcs", Region: "us-west-2", Now: now.Add(test.after),
				Skew: 5*time.Minute + test.after, DataPlane: true,
			}
			if test.change != nil {
				test.change(in)
			}
			a := &credential.Authenticator{Tokens: tokens, Verifier: sigv4.NewVerifier()}
			p, s, err := a.Authenticate(snap, in, new(sigv4.Signature), want)
			if (s == nil) != (test.id == "" || test.want == sigv4.Malformed) {
				t.Errorf("signature %v", s)
			}
			var got *sigv4.Error
			switch {
			case test.want == 0 && (err != nil || p.ARN != test.arn):
				t.Errorf("principal %q, %v; want %q", p.ARN, err, test.arn)
			case test.want != 0 && (!errors.As(err, &got) || got.Cause != test.want):
				t.Errorf("error %v, want cause %d", err, test.want)
			case test.arn == "" && (p == nil || p.Kind != identity.Anonymous || p.ARN != ""):
				t.Errorf("principal %+v, want anonymous", p)
			case test.arn != "" && p.AccessKeyID != test.id:
				t.Errorf("access key id %q, want %q", p.AccessKeyID, test.id)
			}
			if got == nil {
				return
			}
			// The diagnosis is of the same refusal, and shows no more than it.
			d := a.Diagnose(snap, in, want, got)
			text := fmt.Sprintf("%+v %+v", d, d.Server)
			if d.Valid || d.Cause != test.want.String() || strings.Contains(text, test.secret) && len(test.secret) > 1 && test.secret != test.id ||
				test.token != "" && strings.Contains(text, test.token) {
				t.Errorf("diagnosed as %s", text)
			}
		})
	}
}

// BenchmarkAuthenticate is all that is done to know who sent a request: a user, and a
// session of a role. BenchmarkFloor of package sigv4 is the hashing in it.
func BenchmarkAuthenticate(b *testing.B) {
	k, _ := ring(b)
	snap, tokens := published(b, k), credential.NewTokens(k)
	id, secret, token := mint(b, tokens)
	want := sigv4.Expect{Service: "vpc-lattice-svcs", Region: "us-west-2", Now: now, Skew: 5 * time.Minute, DataPlane: true}
	for _, bench := range []struct {
		name string
		r    *inbound.Request
	}{{"user", signed(b, "AKIAGOOD", "secret of AKIAGOOD", "")}, {"session", signed(b, id, secret, token)}} {
		b.Run(bench.name, func(b *testing.B) {
			a := &credential.Authenticator{Tokens: tokens, Verifier: sigv4.NewVerifier()}
			var s sigv4.Signature
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := a.Authenticate(snap, bench.r, &s, want); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
