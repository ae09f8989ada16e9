package mesh

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/appmesh"
	"github.com/aws/aws-sdk-go-v2/service/appmesh/types"
	"github.com/aws/smithy-go"

	"github.com/latchwork/latchwork/internal/awsapi"
	"github.com/latchwork/latchwork/internal/identity"
	"github.com/latchwork/latchwork/internal/inbound"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/store"
	"github.com/latchwork/latchwork/internal/store/etcd"
)

var (
	shared *store.Store
	// accounts gives each test some of its own.
	accounts atomic.Int64
)

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "mesh")
	if err != nil {
		panic(err)
	}
	backend, err := etcd.Start(context.Background(), etcd.Embedded{Dir: dir, Prefix: "t/", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		panic(err)
	}
	shared = store.New(backend)
	code := m.Run()
	backend.Close()
	os.RemoveAll(dir)
	os.Exit(code)
}

const region = "us-west-2"

var ctx = context.Background()

// world is App Mesh behind a dispatcher, called with the AWS SDK for Go as an
// account of the test's own.
type world struct {
	*appmesh.Client
	t       *testing.T
	account string
	url     string
	mu      sync.Mutex
	// calls holds the last call of each operation that was authorized.
	calls  map[string]*awsapi.Call
	time   time.Time
	waited []store.Revision
}

// WaitFor says that everything is in force at once, and remembers that it was asked.
func (w *world) WaitFor(_ context.Context, r store.Revision) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waited = append(w.waited, r)
	return nil
}

// Authenticate takes the access key for the account.
func (w *world) Authenticate(_ context.Context, r *inbound.Request, _ []byte, _ awsapi.Expectation) (awsapi.Caller, error) {
	text, _ := r.Get("authorization")
	_, rest, _ := strings.Cut(text, "Credential=")
	account, _, _ := strings.Cut(rest, "/")
	return awsapi.Caller{Region: region, Principal: &identity.Principal{Kind: identity.User, Account: account, ARN: "arn:aws:iam::" + account + ":user/u"}}, nil
}

func (w *world) Authorize(_ context.Context, c *awsapi.Call) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls[c.Operation.Name] = c
	return nil
}

// once remembers answers by token, in memory.
type once struct {
	mu    sync.Mutex
	known map[string][2]string
}

func (o *once) Once(ctx context.Context, t *awsapi.Token, call func(context.Context) ([]byte, error)) ([]byte, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if k, ok := o.known[t.Key]; ok {
		if k[0] != t.Hash {
			return nil, awsapi.ErrTokenReused
		}
		return []byte(k[1]), nil
	}
	answer, err := call(ctx)
	if err == nil {
		o.known[t.Key] = [2]string{t.Hash, string(answer)}
	}
	return answer, err
}

func newAccount() string { return fmt.Sprintf("%012d", 100000000000+accounts.Add(1)) }

func newWorld(t *testing.T, change ...func(*Config)) *world {
	t.Helper()
	w := &world{
		t: t, account: newAccount(), calls: map[string]*awsapi.Call{}, time: time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC),
	}
	cfg := Config{
		State: model.State{Store: shared, Published: w}, Partition: "aws",
		Clock: func() time.Time {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.time = w.time.Add(time.Millisecond)
			return w.time
		},
	}
	for _, c := range change {
		c(&cfg)
	}
	binding := New(cfg)
	if gaps := binding.Gaps(); len(gaps) > 0 {
		t.Fatalf("operations without access row: %v", gaps)
	}
	if unbuilt := binding.Unbuilt(); len(unbuilt) > 0 {
		t.Fatalf("operations that are not built: %v", unbuilt)
	}
	api, err := awsapi.New(awsapi.Config{Log: slog.New(slog.DiscardHandler), Bindings: []awsapi.Binding{binding}, Authenticator: w, Authorizer: w, Idempotency: &once{known: map[string][2]string{}}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	w.url = server.URL
	w.Client = w.as(w.account)
	return w
}

// as is a client of an account.
func (w *world) as(account string) *appmesh.Client {
	return appmesh.New(appmesh.Options{
		Region: region, BaseEndpoint: &w.url, Credentials: credentials.NewStaticCredentialsProvider(account, "s", ""), RetryMaxAttempts: 1,
	})
}

// raw sends a body as it is and gives the answer's.
func (w *world) raw(method, path, body string) (int, string) {
	w.t.Helper()
	r, err := http.NewRequest(method, w.url+"/v20190125"+path, bytes.NewBufferString(body))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+w.account+"/x")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

// contents is everything that is stored of the test's account's meshes.
func (w *world) contents() string {
	w.t.Helper()
	page, err := shared.Backend().Range(ctx, "", "", 0, 0)
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

// mustRefuse checks that a call fails with a code and texts, and stores nothing.
func mustRefuse[Out any](w *world, code string, call func() (Out, error), texts ...string) {
	w.t.Helper()
	before := w.contents()
	_, err := call()
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != code {
		w.t.Errorf("%v, want %s", err, code)
		return
	}
	for _, text := range texts {
		if !strings.Contains(api.ErrorMessage(), text) {
			w.t.Errorf("%q does not contain %q", api.ErrorMessage(), text)
		}
	}
	if after := w.contents(); after != before {
		w.t.Errorf("a refused call changed the store:\n%s\nbefore:\n%s", after, before)
	}
}

// must gives the result of a call that has to succeed.
func must[Out any](w *world) func(Out, error) Out {
	return func(out Out, err error) Out {
		w.t.Helper()
		if err != nil {
			w.t.Fatal(err)
		}
		return out
	}
}

func (w *world) mesh(name string) *types.MeshData {
	w.t.Helper()
	return must[*appmesh.CreateMeshOutput](w)(w.CreateMesh(ctx, &appmesh.CreateMeshInput{MeshName: &name})).Mesh
}

// put makes or changes a resource whose spec is JSON text.
func (w *world) put(path, body string) map[string]any {
	w.t.Helper()
	status, text := w.raw("PUT", path, body)
	if status != 200 {
		w.t.Fatalf("PUT %s answered %d %s", path, status, text)
	}
	out := map[string]any{}
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		w.t.Fatal(err)
	}
	return out
}

// share shares a mesh of the test's account.
func (w *world) share(mesh string, with ...string) {
	w.t.Helper()
	_, err := shared.Update(ctx, func(tx *store.Tx) error {
		m, err := model.Meshes.Get(tx, model.MeshKey(w.account, region, mesh))
		if err != nil {
			return err
		}
		m.SharedWith = with
		return model.Meshes.Put(tx, m.MeshKey(), m)
	})
	if err != nil {
		w.t.Fatal(err)
	}
}
