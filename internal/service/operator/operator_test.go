package operator

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/latchwork/latchwork/internal/awsapi"
	"github.com/latchwork/latchwork/internal/clock"
	"github.com/latchwork/latchwork/internal/fault"
	"github.com/latchwork/latchwork/internal/identity"
	"github.com/latchwork/latchwork/internal/inbound"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/store"
	"github.com/latchwork/latchwork/internal/store/etcd"
)

const account = "123456789012"

var now = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

// world is the service behind a dispatcher, on a store of its own.
type world struct {
	t     *testing.T
	api   *awsapi.API
	store *store.Store
	// asked are the questions to the decision, as "action resource"; deny lists actions
	// that it refuses.
	asked []string
	deny  string
}

func (w *world) WaitFor(context.Context, store.Revision) error { return nil }

func (w *world) Authenticate(context.Context, *inbound.Request, []byte, awsapi.Expectation) (awsapi.Caller, error) {
	return awsapi.Caller{
		Principal: &identity.Principal{Kind: identity.User, Partition: "aws", Account: account, ARN: "arn:aws:iam::" + account + ":user/u"},
		Region:    "us-west-2", Service: Name,
	}, nil
}

func (w *world) Authorize(_ context.Context, c *awsapi.Call) error {
	for _, r := range c.Resources {
		action := c.Action
		if r.Action != "" {
			action = r.Action
		}
		w.asked = append(w.asked, action+" "+r.ARN)
		if action == w.deny {
			return fault.New("AccessDenied", "no %s", action)
		}
	}
	return nil
}

func newWorld(t *testing.T) *world {
	t.Helper()
	backend, err := etcd.Start(t.Context(), etcd.Embedded{Dir: t.TempDir(), Prefix: "latchwork/", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { backend.Close() })
	w := &world{t: t, store: store.New(backend)}
	binding := New(Config{State: model.State{Store: w.store, Published: w}, Clock: clock.Fixed(now)})
	if gaps := binding.Gaps(); len(gaps) > 0 {
		t.Fatal(gaps)
	}
	if w.api, err = awsapi.New(awsapi.Config{
		Bindings: []awsapi.Binding{binding}, Authenticator: w, Authorizer: w, Clock: clock.Fixed(now), Log: slog.New(slog.DiscardHandler),
	}); err != nil {
		t.Fatal(err)
	}
	return w
}

// call gives status and body of an answer.
func (w *world) call(method, path, body string) (int, string) {
	w.asked = nil
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	rec := httptest.NewRecorder()
	w.api.ServeHTTP(rec, r)
	return rec.Code, rec.Body.String()
}

func (w *world) update(fn func(*store.Tx) error) {
	w.t.Helper()
	if _, err := w.store.Update(w.t.Context(), fn); err != nil {
		w.t.Fatal(err)
	}
}

func TestPutOIDCProviderKeys(t *testing.T) {
	const set = `{"keys":[{"kty":"EC","crv":"P-256","kid":"a","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}`
	w := newWorld(t)
	key := model.OIDCProviderKey(account, "oidc.example/id")
	w.update(func(tx *store.Tx) error {
		return model.OIDCProviders.Put(tx, key, &model.OIDCProvider{Meta: model.Meta{ARN: "arn"}, URL: "https://oidc.example/id", ClientIDs: []string{"a"}})
	})
	put := func(issuer, keys string) (int, string) {
		quoted := strings.ReplaceAll(keys, `"`, `\"`)
		return w.call("PUT", "/latchwork/oidc-provider-keys", `{"issuer":"`+issuer+`","keySet":"`+quoted+`"}`)
	}
	stored := func() (p *model.OIDCProvider) {
		if err := w.store.View(t.Context(), func(tx *store.Tx) (err error) {
			p, err = model.OIDCProviders.Get(tx, key)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return p
	}
	for _, keys := range []string{set, ""} {
		if code, body := put("https://oidc.example/id", keys); code != 200 || body != `{"arn":"arn"}` {
			t.Fatal(code, body)
		}
		if p := stored(); p.KeySet != keys || len(p.ClientIDs) != 1 || !p.Updated.Equal(now) {
			t.Errorf("%+v", p)
		}
		if want := "latchwork:PutOIDCProviderKeys arn:aws:iam::" + account + ":oidc-provider/oidc.example/id"; len(w.asked) != 1 || w.asked[0] != want {
			t.Errorf("asked %v", w.asked)
		}
	}
	for _, c := range []struct{ issuer, keys, deny, want string }{
		{"https://oidc.example/ID", set, "", "has no identity provider for https://oidc.example/ID"},
		{"http://oidc.example/id", set, "", "has no identity provider for http://oidc.example/id"},
		{"https://oidc.example/id", "{}", "", "the key set cannot be used: the set has no public key"},
		{"https://oidc.example/id", `{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}`, "", "key 1 of the set is a secret key"},
		{"https://oidc.example/id", set, "latchwork:PutOIDCProviderKeys", "no latchwork:PutOIDCProviderKeys"},
	} {
		w.deny = c.deny
		if code, body := put(c.issuer, c.keys); code < 400 || !strings.Contains(body, c.want) || strings.Contains(body, "c2VjcmV0") {
			t.Errorf("%s %s: %d %s", c.issuer, c.keys, code, body)
		}
	}
	if p := stored(); p.KeySet != "" {
		t.Error("a refused call stored something")
	}
}
