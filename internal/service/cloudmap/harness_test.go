package cloudmap

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchwork/latchwork/internal/awsapi"
	"github.com/latchwork/latchwork/internal/clock"
	"github.com/latchwork/latchwork/internal/identity"
	"github.com/latchwork/latchwork/internal/inbound"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/snapshot"
	"github.com/latchwork/latchwork/internal/store"
	"github.com/latchwork/latchwork/internal/store/etcd"
)

var (
	shared    *store.Store
	publisher *snapshot.Publisher
	// accounts gives each test one of its own.
	accounts atomic.Int64
)

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "cloudmap")
	if err != nil {
		panic(err)
	}
	backend, err := etcd.Start(context.Background(), etcd.Embedded{Dir: dir, Prefix: "t/", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		panic(err)
	}
	shared = store.New(backend)
	quiet := slog.New(slog.DiscardHandler)
	publisher = snapshot.NewPublisher(snapshot.Config{Backend: backend, Clock: clock.System, Log: quiet, Settings: snapshot.Settings{Partition: "aws"}})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { _ = publisher.Run(ctx); close(done) }()
	if err := publisher.WaitFor(ctx, 0); err != nil {
		panic(err)
	}
	code := m.Run()
	stop()
	<-done
	backend.Close()
	os.RemoveAll(dir)
	os.Exit(code)
}

const region = "us-west-2"

// world is Cloud Map behind a dispatcher, called as an account of the test's own.
type world struct {
	t       *testing.T
	api     *awsapi.API
	account string
	time    time.Time
	waited  int
	// shuffled counts the shuffles; each puts another one first.
	shuffled int
	// call is the last call that was authorized.
	call *awsapi.Call
}

// WaitFor waits, and counts.
func (w *world) WaitFor(ctx context.Context, revision store.Revision) error {
	w.waited++
	return publisher.WaitFor(ctx, revision)
}

// Authenticate takes the access key for the account.
func (w *world) Authenticate(_ context.Context, r *inbound.Request, _ []byte, _ awsapi.Expectation) (awsapi.Caller, error) {
	text, _ := r.Get("authorization")
	_, rest, _ := strings.Cut(text, "Credential=")
	account, _, _ := strings.Cut(rest, "/")
	return awsapi.Caller{Region: region, Principal: &identity.Principal{Kind: identity.User, Account: account, ARN: "arn:aws:iam::" + account + ":user/u"}}, nil
}

func (w *world) Authorize(_ context.Context, c *awsapi.Call) error {
	w.call = c
	return nil
}

func newAccount() string { return fmt.Sprintf("%012d", 100000000000+accounts.Add(1)) }

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, account: newAccount(), time: time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)}
	binding := New(Config{
		State: model.State{Store: shared, Published: w}, Partition: "aws", OperationLife: time.Hour,
		Shuffle: func(n int, swap func(i, j int)) {
			if n > 0 {
				w.shuffled++
				swap(0, w.shuffled%n)
			}
		},
		Clock: func() time.Time {
			w.time = w.time.Add(time.Millisecond)
			return w.time
		},
	})
	api, err := awsapi.New(awsapi.Config{Snapshot: func() any { return publisher.Current() }, Log: slog.New(slog.DiscardHandler), Bindings: []awsapi.Binding{binding}, Authenticator: w, Authorizer: w})
	if err != nil {
		t.Fatal(err)
	}
	w.api = api
	return w
}

type object = map[string]any

// as makes a call in an account's name and gives the status and the answer.
func (w *world) as(account, operation, body string) (int, object) {
	w.t.Helper()
	r := httptest.NewRequest("POST", "http://data-servicediscovery.us-west-2.amazonaws.com/", strings.NewReader(body))
	r.Header.Set("X-Amz-Target", "Route53AutoNaming_v20170314."+operation)
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+account+"/x")
	answer := httptest.NewRecorder()
	w.api.ServeHTTP(answer, r)
	out := object{}
	if err := json.Unmarshal(answer.Body.Bytes(), &out); err != nil {
		w.t.Fatalf("%s answered %d %q", operation, answer.Code, answer.Body)
	}
	return answer.Code, out
}

// do makes a call that has to succeed.
func (w *world) do(operation, body string, args ...any) object {
	w.t.Helper()
	status, out := w.as(w.account, operation, fmt.Sprintf(body, args...))
	if status != 200 {
		w.t.Fatalf("%s answered %d %v", operation, status, out)
	}
	return out
}

// refuse checks that a call fails with a code and a text, and stores nothing.
func (w *world) refuse(code, text, operation, body string, args ...any) object {
	w.t.Helper()
	before := w.contents()
	status, out := w.as(w.account, operation, fmt.Sprintf(body, args...))
	if status < 400 || out["__type"] != code || !strings.Contains(fmt.Sprint(out["Message"]), text) {
		w.t.Errorf("%s answered %d %v, want %s %q", operation, status, out, code, text)
	}
	if after := w.contents(); after != before {
		w.t.Errorf("a refused %s changed the store:\n%s\nbefore:\n%s", operation, after, before)
	}
	return out
}

// contents is everything that is stored of the test's account.
func (w *world) contents() string {
	w.t.Helper()
	page, err := shared.Backend().Range(w.t.Context(), "", "", 0, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	var b strings.Builder
	for _, kv := range page.KVs {
		if strings.Contains(kv.Key, "/"+w.account+"/") {
			fmt.Fprintf(&b, "%s %s\n", kv.Key, kv.Value)
		}
	}
	return b.String()
}

// finished checks that the operation of an answer can be looked up, and gives the id
// of a target.
func (w *world) finished(answer object, kind, target string) string {
	w.t.Helper()
	o := w.do("GetOperation", `{"OperationId":%q}`, answer["OperationId"])["Operation"].(object)
	if o["Status"] != "SUCCESS" || o["Type"] != kind || o["Id"] != answer["OperationId"] || o["OwnerAccount"] != w.account {
		w.t.Errorf("%v", o)
	}
	return o["Targets"].(object)[target].(string)
}

// namespace makes an HTTP namespace and gives its id.
func (w *world) namespace(name string) string {
	w.t.Helper()
	return w.finished(w.do("CreateHttpNamespace", `{"Name":%q}`, name), "CREATE_NAMESPACE", "NAMESPACE")
}

// service makes a service and gives its id; more are further members.
func (w *world) service(namespace, name, more string) string {
	w.t.Helper()
	return w.do("CreateService", `{"NamespaceId":%q,"Name":%q%s}`, namespace, name, more)["Service"].(object)["Id"].(string)
}

func (w *world) register(service, id, attributes string) {
	w.t.Helper()
	w.finished(w.do("RegisterInstance", `{"ServiceId":%q,"InstanceId":%q,"Attributes":%s}`, service, id, attributes), "REGISTER_INSTANCE", "INSTANCE")
}

func (w *world) arn(path string) string {
	return "arn:aws:servicediscovery:" + region + ":" + w.account + ":" + path
}
