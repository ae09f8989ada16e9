package workload

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchwork/latchwork/internal/audit"
	"github.com/latchwork/latchwork/internal/authz"
	"github.com/latchwork/latchwork/internal/credential"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/snapshot"
	"github.com/latchwork/latchwork/internal/store"
	"github.com/latchwork/latchwork/internal/store/etcd"
)

const (
	account = "123456789012"
	region  = "us-west-2"
)

var start = time.Date(2026, 11, 21, 10, 0, 0, 500_000_000, time.UTC)

// buffer is written to by the audit log and read by tests.
type buffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

// world is the service on a real store, with a clock that a test moves.
type world struct {
	t         *testing.T
	service   *Service
	tokens    *credential.Tokens
	store     *store.Store
	publisher *snapshot.Publisher
	now       time.Time
	audit     *audit.Writer
	written   *buffer
	decided   []authz.Cause
}

func newWorld(t *testing.T) *world {
	t.Helper()
	backend, err := etcd.Start(t.Context(), etcd.Embedded{Dir: t.TempDir(), Prefix: "latchwork/", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, store: store.New(backend), now: start, written: &buffer{}}
	clock := func() time.Time { return w.now }
	ring, err := credential.ParseKeyRing("1 " + strings.Repeat("A", 43) + "=")
	if err != nil {
		t.Fatal(err)
	}
	w.tokens = credential.NewTokens(ring)
	log := slog.New(slog.NewTextHandler(w.written, nil))
	w.audit = audit.NewWriter("audit log", w.written, log)
	w.publisher = snapshot.NewPublisher(snapshot.Config{
		Backend: backend, Settings: snapshot.Settings{Partition: "aws"}, Clock: func() time.Time { return start }, Log: log,
		OpenSecret: func(*model.AccessKey) ([]byte, error) { return nil, nil },
	})
	running, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.publisher.Run(running)
	}()
	t.Cleanup(func() { stop(); <-done; backend.Close() })
	w.service = New(Config{
		Current: w.publisher.Current, Tokens: w.tokens, Secrets: ring, Partition: "aws", Audit: w.audit, Clock: clock, Log: log,
		Decided: func(c authz.Cause, _ authz.Stage) { w.decided = append(w.decided, c) },
	})
	return w
}

func (w *world) change(fn func(tx *store.Tx) error) {
	w.t.Helper()
	revision, err := w.store.Update(w.t.Context(), fn)
	if err == nil {
		err = w.publisher.WaitFor(w.t.Context(), revision)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

const roleARN = "arn:aws:iam::" + account + ":role/r/App"

// role stores the role with what its trust policy says of the service, besides whom
// it trusts.
func (w *world) role(id, trust string) {
	w.t.Helper()
	w.change(func(tx *store.Tx) error {
		return model.Roles.Put(tx, model.IAMKey(account, "App"), &model.Role{
			Meta: model.Meta{ID: id, ARN: roleARN, Name: "App", Account: account, Tags: map[string]string{"Team": "core"}}, Trust: trust, MaxSession: 3600,
		})
	})
}

func trust(service, condition string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"` + service + `"},"Action":"sts:AssumeRole"` + condition + `}]}`
}

func (w *world) bind(b model.Binding) {
	w.t.Helper()
	b.Account, b.Region, b.Created = account, region, start
	b.ARN = "arn:aws:latchwork:" + region + ":" + account + ":binding/" + b.ID
	w.change(func(tx *store.Tx) error {
		return model.Bindings.Put(tx, model.Scope{Account: account, Region: region}.Key(b.ID), &b)
	})
}

// ask sends a request; headers are "Name: value".
func (w *world) ask(h http.Handler, method, path, from string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	r.RemoteAddr = from
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		r.Header.Set(name, value)
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return rec
}

func decode(t *testing.T, rec *httptest.ResponseRecorder) map[string]any {
	t.Helper()
	out := map[string]any{}
	if err := json.Unmarshal(rec.Body.Bytes(), &out); err != nil {
		t.Fatalf("%d %s: %v", rec.Code, rec.Body, err)
	}
	return out
}

// session opens the credentials in an answer, and checks that they are of a session.
func (w *world) session(answer map[string]any, name string) *credential.Session {
	w.t.Helper()
	id, _ := answer["AccessKeyId"].(string)
	token, _ := answer["Token"].(string)
	s, err := w.tokens.Open(id, token, w.now)
	if err != nil {
		w.t.Fatalf("%v: %v", answer, err)
	}
	p := s.Principal
	if string(s.Secret) != answer["SecretAccessKey"] || p.ARN != "arn:aws:sts::"+account+":assumed-role/App/"+name || p.IssuerARN != roleARN || p.UserID != p.IssuerID+":"+name || p.Session.Chained {
		w.t.Errorf("%+v", p)
	}
	if want := s.Expires.UTC().Format("2006-01-02T15:04:05Z"); answer["Expiration"] != want {
		w.t.Errorf("expiration %v, want %s", answer["Expiration"], want)
	}
	return s
}

func TestTasks(t *testing.T) {
	w := newWorld(t)
	h := w.service.Tasks()
	starting := w.ask(New(Config{Current: func() *snapshot.Snapshot { return nil }}).Tasks(), "GET", "/v2/credentials/x", "127.0.0.1:1")
	if got := decode(t, starting); starting.Code != 500 || got["code"] != "InternalServerError" {
		t.Errorf("before the first snapshot: %v", got)
	}
	w.role("AROA1", trust("ecs-tasks.amazonaws.com", ""))
	w.bind(model.Binding{Meta: model.Meta{ID: "t1"}, Kind: model.ECSTask, Role: roleARN, CredentialHash: model.SecretHash("open"), TokenHash: model.SecretHash("sesame")})
	w.bind(model.Binding{Meta: model.Meta{ID: "t2"}, Kind: model.ECSTask, Role: roleARN, CredentialHash: model.SecretHash("relative")})

	rec := w.ask(h, "GET", "/v2/credentials/open", "127.0.0.1:1", "Authorization: sesame")
	got := decode(t, rec)
	s := w.session(got, "t1")
	if rec.Code != 200 || rec.Header().Get("Content-Type") != "application/json" || got["RoleArn"] != roleARN || len(got) != 5 ||
		!s.Expires.Equal(time.Date(2026, 11, 21, 16, 0, 0, 0, time.UTC)) {
		t.Errorf("%d %v", rec.Code, got)
	}
	// The first version's path; no token where none was given out, and one is not
	// looked at then. Envoy always sends the header.
	for _, path := range []string{"/v1/credentials?id=relative", "/v2/credentials/relative"} {
		for _, token := range []string{"", "x"} {
			w.session(decode(t, w.ask(h, "GET", path, "127.0.0.1:1", "Authorization: "+token)), "t2")
		}
	}
	for _, c := range []struct {
		method, path, token string
		status              int
		code, message       string
	}{
		{"GET", "/v2/credentials/", "", 400, "NoIdInRequest", "CredentialsV2Request: No Credential ID in the request"},
		{"GET", "/v2/credentials", "", 400, "NoIdInRequest", "CredentialsV2Request: No Credential ID in the request"},
		{"GET", "/v1/credentials", "", 400, "NoIdInRequest", "CredentialsV1Request: No Credential ID in the request"},
		{"GET", "/v2/credentials/other", "sesame", 400, "InvalidIdInRequest", "CredentialsV2Request: Credentials not found"},
		{"GET", "/v1/credentials?id=other", "", 400, "InvalidIdInRequest", "CredentialsV1Request: Credentials not found"},
		{"GET", "/v2/credentials/open", "", 403, "AccessDenied", ""},
		{"GET", "/v2/credentials/open", "Sesame", 403, "AccessDenied", ""},
	} {
		rec := w.ask(h, c.method, c.path, "127.0.0.1:1", "Authorization: "+c.token)
		got := decode(t, rec)
		if rec.Code != c.status || got["code"] != c.code || got["HTTPErrorCode"] != float64(c.status) || c.message != "" && got["message"] != c.message {
			t.Errorf("%s %s: %d %v", c.method, c.path, rec.Code, got)
		}
	}
	for path, status := range map[string]int{"/v3/credentials/open": 404, "/": 404, "/v2/credentials/open/more": 404} {
		if rec := w.ask(h, "GET", path, "127.0.0.1:1", "Authorization: sesame"); rec.Code != status {
			t.Errorf("%s: %d", path, rec.Code)
		}
	}
	if rec := w.ask(h, "POST", "/v2/credentials/open", "127.0.0.1:1", "Authorization: sesame"); rec.Code != 405 {
		t.Errorf("POST: %d", rec.Code)
	}
}

// TestTrust: the role's trust policy decides, at each request.
func TestTrust(t *testing.T) {
	w := newWorld(t)
	h := w.service.Tasks()
	w.bind(model.Binding{Meta: model.Meta{ID: "t1"}, Kind: model.ECSTask, Role: roleARN, CredentialHash: model.SecretHash("id")})
	const task = `"arn:aws:ecs:` + region + ":" + account + `:task/t1"`
	for _, c := range []struct {
		name, trust string
		ok          bool
	}{
		{"the service", trust("ecs-tasks.amazonaws.com", ""), true},
		{"another service", trust("ec2.amazonaws.com", ""), false},
		{"the account only", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + account + `"},"Action":"sts:AssumeRole"}]}`, false},
		{"another action", strings.Replace(trust("ecs-tasks.amazonaws.com", ""), "sts:AssumeRole", "sts:AssumeRoleWithWebIdentity", 1), false},
		{"a deny", strings.Replace(trust("ecs-tasks.amazonaws.com", ""), "}]", `},{"Effect":"Deny","Principal":"*","Action":"sts:*"}]`, 1), false},
		{"the account's tasks", trust("ecs-tasks.amazonaws.com", `,"Condition":{"StringEquals":{"aws:SourceAccount":"`+account+`"},"ArnLike":{"aws:SourceArn":"arn:aws:ecs:us-west-2:`+account+`:*"}}`), true},
		{"another account's tasks", trust("ecs-tasks.amazonaws.com", `,"Condition":{"StringEquals":{"aws:SourceAccount":"444455556666"}}`), false},
		{"this task", trust("ecs-tasks.amazonaws.com", `,"Condition":{"ArnEquals":{"aws:SourceArn":`+task+`},"StringEquals":{"sts:RoleSessionName":"t1","aws:ResourceTag/team":"core","aws:PrincipalServiceName":"ecs-tasks.amazonaws.com"}}`), true},
		{"until now", trust("ecs-tasks.amazonaws.com", `,"Condition":{"DateLessThan":{"aws:CurrentTime":"2026-11-21T10:00:00Z"}}`), false},
		{"with the caller's address", trust("ecs-tasks.amazonaws.com", `,"Condition":{"IpAddress":{"aws:SourceIp":"127.0.0.1"}}`), false},
		{"a trust policy that cannot be compiled", "{", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.t = t
			w.role("AROA1", c.trust)
			w.decided = nil
			rec := w.ask(h, "GET", "/v2/credentials/id", "127.0.0.1:1")
			got := decode(t, rec)
			if c.ok {
				w.session(got, "t1")
			} else if rec.Code != 503 || got["code"] != "CredentialsUninitialized" || got["message"] != "CredentialsV2Request: Credentials uninitialized for ID" || got["HTTPErrorCode"] != 503.0 {
				t.Errorf("%d %v", rec.Code, got)
			}
			if len(w.decided) != 1 || (w.decided[0] == authz.Allowed) != c.ok {
				t.Errorf("decided %v", w.decided)
			}
		})
	}
	w.t = t
	w.change(func(tx *store.Tx) error { return model.Roles.Delete(tx, model.IAMKey(account, "App")) })
	if rec := w.ask(h, "GET", "/v2/credentials/id", "127.0.0.1:1"); rec.Code != 503 {
		t.Errorf("without a role: %d %s", rec.Code, rec.Body)
	}
}

// TestRenewal: whoever asks again and again gets the same keys, new ones long before
// the old ones end, and new ones at once for a role that was made anew.
func TestRenewal(t *testing.T) {
	w := newWorld(t)
	h := w.service.Tasks()
	w.bind(model.Binding{Meta: model.Meta{ID: "t1"}, Kind: model.ECSTask, Role: roleARN, CredentialHash: model.SecretHash("id")})
	w.role("AROA1", trust("ecs-tasks.amazonaws.com", ""))
	ask := func() *credential.Session {
		return w.session(decode(t, w.ask(h, "GET", "/v2/credentials/id", "127.0.0.1:1")), "t1")
	}
	first := ask()
	w.now = start.Add(renewal - time.Second)
	if ask() != first {
		t.Error("new keys too early")
	}
	w.now = start.Add(renewal)
	second := ask()
	if second == first || !w.now.Before(first.Expires) || second.Expires.Sub(w.now) < lifetime-time.Second {
		t.Errorf("at %v: %v, before %v", w.now, second.Expires, first.Expires)
	}
	w.role("AROA2", trust("ecs-tasks.amazonaws.com", ""))
	if third := ask(); third.Principal.IssuerID != "AROA2" {
		t.Errorf("%+v", third.Principal)
	}
}

// TestAudit: what was given out is written down, and no secret with it.
func TestAudit(t *testing.T) {
	w := newWorld(t)
	h := w.service.Tasks()
	w.bind(model.Binding{Meta: model.Meta{ID: "t1"}, Kind: model.ECSTask, Role: roleARN, CredentialHash: model.SecretHash("hunter2"), TokenHash: model.SecretHash("swordfish")})
	w.role("AROA1", trust("ecs-tasks.amazonaws.com", ""))
	got := decode(t, w.ask(h, "GET", "/v2/credentials/hunter2", "10.0.0.7:1", "Authorization: swordfish"))
	w.ask(h, "GET", "/v2/credentials/hunter2", "10.0.0.7:1", "Authorization: swordfish")
	w.role("AROA1", trust("ec2.amazonaws.com", ""))
	w.ask(h, "GET", "/v2/credentials/hunter2", "10.0.0.7:1", "Authorization: swordfish")
	stopped, stop := context.WithCancel(t.Context())
	stop()
	_ = w.audit.Run(stopped)
	var entries []audit.CallEntry
	for line := range strings.Lines(w.written.String()) {
		var e audit.CallEntry
		if json.Unmarshal([]byte(line), &e) == nil {
			entries = append(entries, e)
		}
	}
	binding := "arn:aws:latchwork:" + region + ":" + account + ":binding/t1"
	given := audit.CallEntry{
		Time: start, Service: "sts", Operation: "AssumeRole", Caller: "ecs-tasks.amazonaws.com", Account: account, Region: region,
		SourceIP: "10.0.0.7", Resources: []string{binding, roleARN}, Status: 200,
	}
	denied := given
	denied.Status, denied.Code = 403, "AccessDenied"
	denied.Message = "User: ecs-tasks.amazonaws.com is not authorized to perform: sts:AssumeRole on resource: " + roleARN + " because no role trust policy allows the sts:AssumeRole action"
	if diff := cmp.Diff([]audit.CallEntry{given, denied}, entries); diff != "" {
		t.Error(diff)
	}
	for _, secret := range []string{"hunter2", "swordfish", got["SecretAccessKey"].(string), got["Token"].(string)} {
		if strings.Contains(w.written.String(), secret) {
			t.Errorf("a secret is in the log: %s", w.written)
		}
	}
}
