package operator

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

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
	// owners are accounts by the addresses in their VPCs.
	owners map[string]string
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

func (w *world) owner(addr netip.Addr) (string, bool) {
	owner := w.owners[addr.String()]
	return owner, owner != "?"
}

func newWorld(t *testing.T) *world {
	t.Helper()
	backend, err := etcd.Start(t.Context(), etcd.Embedded{Dir: t.TempDir(), Prefix: "latchwork/", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { backend.Close() })
	w := &world{t: t, store: store.New(backend)}
	w.serve(account)
	return w
}

// serve makes the API, with an account whose pods are served.
func (w *world) serve(podAccount string) {
	w.t.Helper()
	binding := New(Config{State: model.State{Store: w.store, Published: w}, Clock: clock.Fixed(now), AddressOwner: w.owner, PodAccount: podAccount})
	if gaps := binding.Gaps(); len(gaps) > 0 {
		w.t.Fatal(gaps)
	}
	var err error
	if w.api, err = awsapi.New(awsapi.Config{
		Bindings: []awsapi.Binding{binding}, Authenticator: w, Authorizer: w, Clock: clock.Fixed(now), Log: slog.New(slog.DiscardHandler),
	}); err != nil {
		w.t.Fatal(err)
	}
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

// bindings are a role, an instance profile with it and one without.
func bindings(t *testing.T) *world {
	w := newWorld(t)
	w.update(func(tx *store.Tx) error {
		if err := model.Roles.Put(tx, model.IAMKey(account, "App"), &model.Role{Meta: model.Meta{ARN: roleARN, Name: "App", Account: account}}); err != nil {
			return err
		}
		for name, role := range map[string]string{"Box": "App", "Empty": ""} {
			p := &model.InstanceProfile{Meta: model.Meta{ARN: "arn:aws:iam::" + account + ":instance-profile/" + name, Name: name, Account: account}, Role: role}
			if err := model.Profiles.Put(tx, model.IAMKey(account, name), p); err != nil {
				return err
			}
		}
		return nil
	})
	return w
}

const (
	roleARN    = "arn:aws:iam::" + account + ":role/r/App"
	allBinding = "latchwork:CreateBinding arn:aws:latchwork:us-west-2:" + account + ":binding/*"
	passRole   = "iam:PassRole " + roleARN
)

// stored are the bindings in the store.
func (w *world) stored() []*model.Binding {
	w.t.Helper()
	var out []*model.Binding
	if err := w.store.View(w.t.Context(), func(tx *store.Tx) error {
		all, err := model.Bindings.List(tx, "")
		for i := range all {
			out = append(out, all[i].Record)
		}
		return err
	}); err != nil {
		w.t.Fatal(err)
	}
	return out
}

func TestBindings(t *testing.T) {
	w := bindings(t)
	// made creates a binding and checks what was asked for.
	made := func(body string, asked ...string) (out struct{ ID, ARN, Kind, Role, InstanceProfile, Address, CredentialID, AuthorizationToken string }) {
		t.Helper()
		code, text := w.call("POST", "/latchwork/bindings", body)
		if err := json.Unmarshal([]byte(text), &out); code != 200 || err != nil {
			t.Fatalf("%d %s %v", code, text, err)
		}
		if diff := cmp.Diff(asked, w.asked); diff != "" {
			t.Error(diff)
		}
		return out
	}
	task := made(`{"kind":"ecs-task","role":"`+roleARN+`"}`, allBinding, passRole)
	relative := made(`{"kind":"ecs-task","role":"`+roleARN+`","relative":true}`, allBinding, passRole)
	box := made(`{"kind":"ec2-instance","instanceProfile":"BOX","address":"::ffff:10.0.0.1"}`, allBinding, passRole)
	// What is in a profile later is passed when it is put in.
	empty := made(`{"kind":"ec2-instance","instanceProfile":"Empty"}`, allBinding)
	if len(task.ID) != 32 || len(task.CredentialID) < 26 || len(task.AuthorizationToken) < 26 || task.Role != roleARN || task.CredentialID == relative.CredentialID ||
		relative.AuthorizationToken != "" || !strings.HasPrefix(box.ID, "i-0") || box.Address != "10.0.0.1" || box.CredentialID != "" || empty.Address != "" ||
		box.InstanceProfile != "arn:aws:iam::"+account+":instance-profile/Box" || box.ARN != "arn:aws:latchwork:us-west-2:"+account+":binding/"+box.ID {
		t.Errorf("%+v %+v %+v %+v", task, relative, box, empty)
	}
	var hashes int
	for _, b := range w.stored() {
		if bytes.Equal(b.CredentialHash, model.SecretHash(task.CredentialID)) && bytes.Equal(b.TokenHash, model.SecretHash(task.AuthorizationToken)) {
			hashes++
		}
		if text, _ := json.Marshal(b); strings.Contains(string(text), task.CredentialID) || strings.Contains(string(text), task.AuthorizationToken) {
			t.Errorf("a secret is in the store: %s", text)
		}
	}
	if hashes != 1 {
		t.Error("the task's secrets are not in the store, as hashes")
	}
	code, text := w.call("GET", "/latchwork/bindings", "")
	if code != 200 || strings.Count(text, `"arn"`) != 4 || strings.Contains(text, "credentialId") || strings.Contains(text, task.CredentialID) {
		t.Errorf("%d %s", code, text)
	}
	for _, c := range []struct{ body, deny, want string }{
		{`{"kind":"ecs-task","role":"` + roleARN + `"}`, "iam:PassRole", "no iam:PassRole"},
		{`{"kind":"ecs-task","role":"` + roleARN + `"}`, "latchwork:CreateBinding", "no latchwork:CreateBinding"},
		{`{"kind":"ec2-instance","instanceProfile":"Box"}`, "iam:PassRole", "no iam:PassRole"},
		{`{"kind":"lambda","role":"` + roleARN + `"}`, "", `\"lambda\" is none of ec2-instance, ecs-task, eks-pod`},
		{`{"kind":"ecs-task"}`, "", "a binding of kind ecs-task must have role"},
		{`{"kind":"ecs-task","role":"` + roleARN + `","address":"10.0.0.2"}`, "", "a binding of kind ecs-task has no address"},
		{`{"kind":"ec2-instance","role":"` + roleARN + `"}`, "", "a binding of kind ec2-instance must have instanceProfile"},
		{`{"kind":"ec2-instance","instanceProfile":"Box","relative":true}`, "", "a binding of kind ec2-instance has no relative"},
		{`{"kind":"ec2-instance","instanceProfile":"None"}`, "", "has no instance profile None"},
		{`{"kind":"ec2-instance","instanceProfile":"Box","address":"box"}`, "", "is not the IP address of a machine"},
		{`{"kind":"ec2-instance","instanceProfile":"Box","address":"0.0.0.0"}`, "", "is not the IP address of a machine"},
		{`{"kind":"ec2-instance","instanceProfile":"Box","address":"10.0.0.1"}`, "", "there is a binding for the address 10.0.0.1 already"},
		{`{"kind":"ec2-instance","instanceProfile":"Box"}`, "", "there is a binding for the server's own machine already"},
		{`{"kind":"ecs-task","role":"arn:aws:iam::` + account + `:role/App"}`, "", "has no role with the ARN"},
		{`{"kind":"ecs-task","role":"arn:aws:iam::210987654321:role/r/App"}`, "", "has no role with the ARN"},
		{`{"kind":"ecs-task","role":"App"}`, "", "has no role with the ARN"},
	} {
		w.deny = c.deny
		if code, text := w.call("POST", "/latchwork/bindings", c.body); code < 400 || !strings.Contains(text, c.want) {
			t.Errorf("%s: %d %s", c.body, code, text)
		}
	}
	w.deny = ""
	w.owners = map[string]string{"10.1.0.1": "210987654321", "::1": "210987654321", "10.1.0.2": account}
	for _, body := range []string{
		`{"kind":"ec2-instance","instanceProfile":"Box","address":"10.1.0.1"}`,
		`{"kind":"ec2-instance","instanceProfile":"Box"}`,
	} {
		if code, text := w.call("POST", "/latchwork/bindings", body); code != 400 || !strings.Contains(text, "is in a VPC of another account") {
			t.Errorf("%s: %d %s", body, code, text)
		}
	}
	w.owners["10.1.0.3"] = "?"
	if code, text := w.call("POST", "/latchwork/bindings", `{"kind":"ec2-instance","instanceProfile":"Box","address":"10.1.0.3"}`); code != 400 || !strings.Contains(text, "nobody can tell") {
		t.Errorf("an address of nobody knows whom: %d %s", code, text)
	}
	if n := len(w.stored()); n != 4 {
		t.Errorf("%d bindings after refusals", n)
	}
	for _, id := range []string{task.ID, relative.ID, box.ID, empty.ID} {
		if code, text := w.call("DELETE", "/latchwork/bindings/"+id, ""); code != 200 || w.asked[0] != "latchwork:DeleteBinding arn:aws:latchwork:us-west-2:"+account+":binding/"+id {
			t.Errorf("%d %s, asked %v", code, text, w.asked)
		}
	}
	if code, text := w.call("DELETE", "/latchwork/bindings/"+box.ID, ""); code != 404 {
		t.Errorf("once more: %d %s", code, text)
	}
	made(`{"kind":"ec2-instance","instanceProfile":"Box","address":"10.1.0.2"}`, allBinding, passRole)
	// The address is free again, and the machine.
	w.owners["::1"] = account
	made(`{"kind":"ec2-instance","instanceProfile":"Box"}`, allBinding, passRole)
	made(`{"kind":"ec2-instance","instanceProfile":"Box","address":"10.0.0.1"}`, allBinding, passRole)
}

// TestPodBindings: a service account of a cluster that the account trusts has one
// binding.
func TestPodBindings(t *testing.T) {
	w := bindings(t)
	const issuer = "https://oidc.example/id"
	w.update(func(tx *store.Tx) error {
		return model.OIDCProviders.Put(tx, model.OIDCProviderKey(account, model.OIDCProviderName(issuer)), &model.OIDCProvider{URL: issuer})
	})
	body := func(issuer, namespace string) string {
		return `{"kind":"eks-pod","role":"` + roleARN + `","issuer":"` + issuer + `","cluster":"blue","namespace":"` + namespace + `","serviceAccount":"sa"}`
	}
	code, text := w.call("POST", "/latchwork/bindings", body(issuer, "ns1"))
	var made struct{ ID, Issuer, Cluster, Namespace, ServiceAccount string }
	if err := json.Unmarshal([]byte(text), &made); code != 200 || err != nil || made.Issuer != issuer || made.Cluster != "blue" || made.Namespace != "ns1" || made.ServiceAccount != "sa" || len(made.ID) != 19 {
		t.Fatal(code, text)
	}
	if diff := cmp.Diff([]string{allBinding, passRole}, w.asked); diff != "" {
		t.Error(diff)
	}
	for _, c := range []struct{ body, want string }{
		{body(issuer, "ns1"), "there is a binding for system:serviceaccount:ns1:sa of " + issuer + " already"},
		{body("https://else.example", "ns1"), "has no identity provider for https://else.example"},
		{body(issuer, "a:b"), `is not a name of Kubernetes`},
		{`{"kind":"eks-pod","role":"` + roleARN + `"}`, "must have cluster, issuer, namespace, role, serviceAccount"},
		{strings.Replace(body(issuer, "ns2"), "{", `{"address":"10.0.0.1",`, 1), "a binding of kind eks-pod has no address"},
	} {
		if code, text := w.call("POST", "/latchwork/bindings", c.body); code < 400 || !strings.Contains(text, c.want) {
			t.Errorf("%s: %d %s", c.body, code, text)
		}
	}
	if code, text := w.call("POST", "/latchwork/bindings", body(issuer, "ns2")); code != 200 {
		t.Errorf("another namespace: %d %s", code, text)
	}
	if code, text := w.call("DELETE", "/latchwork/bindings/"+made.ID, ""); code != 200 {
		t.Error(code, text)
	}
	if code, text := w.call("POST", "/latchwork/bindings", body(issuer, "ns1")); code != 200 {
		t.Errorf("after the first is gone: %d %s", code, text)
	}
	// Nobody would serve those of another account.
	w.serve("210987654321")
	if code, text := w.call("POST", "/latchwork/bindings", body(issuer, "ns3")); code != 400 || !strings.Contains(text, "pods are served for account 210987654321 alone") {
		t.Errorf("another account's pods: %d %s", code, text)
	}
}
