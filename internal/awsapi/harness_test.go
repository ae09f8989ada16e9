package awsapi_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchwork/latchwork/internal/awsapi"
	"github.com/latchwork/latchwork/internal/clock"
	"github.com/latchwork/latchwork/internal/fault"
	"github.com/latchwork/latchwork/internal/identity"
	"github.com/latchwork/latchwork/internal/inbound"
	"github.com/latchwork/latchwork/internal/wire/appmesh"
	"github.com/latchwork/latchwork/internal/wire/ec2"
	"github.com/latchwork/latchwork/internal/wire/iam"
	"github.com/latchwork/latchwork/internal/wire/servicediscovery"
	"github.com/latchwork/latchwork/internal/wire/sts"
	"github.com/latchwork/latchwork/internal/wire/vpclattice"
)

const account = "123456789012"

var now = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

// scopeReader is an Authenticator that believes every signature and takes the
// region from its scope. It tests nothing of signatures.
type scopeReader struct{}

func (scopeReader) Authenticate(_ context.Context, r *inbound.Request, _ []byte, want awsapi.Expectation) (awsapi.Caller, error) {
	value, ok := r.Get("authorization")
	if !ok {
		return awsapi.Caller{}, fault.New("MissingAuthenticationToken", "Missing Authentication Token").WithStatus(403)
	}
	_, scope, _ := strings.Cut(value, "Credential=")
	scope, _, _ = strings.Cut(scope, ",")
	parts := strings.Split(scope, "/")
	if len(parts) != 5 {
		return awsapi.Caller{}, fault.New("IncompleteSignature", "bad scope")
	}
	if parts[3] != want.Service {
		return awsapi.Caller{}, fault.New("SignatureDoesNotMatch", "Credential should be scoped to correct service: '%s'.", want.Service)
	}
	return awsapi.Caller{
		Principal: &identity.Principal{Kind: identity.User, Account: account, ARN: "arn:aws:iam::" + account + ":user/u"},
		Region:    parts[2],
		Service:   parts[3],
	}, nil
}

// authorizeFunc is an Authorizer.
type authorizeFunc func(*awsapi.Call) error

func (f authorizeFunc) Authorize(_ context.Context, c *awsapi.Call) error { return f(c) }

func allowAll(*awsapi.Call) error { return nil }

// harness is an API with everything that it logged and observed.
type harness struct {
	*awsapi.API
	mu      sync.Mutex
	log     strings.Builder
	results []awsapi.Result
}

func (h *harness) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.log.Write(p)
}

func (h *harness) logged() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.log.String()
}

func newHarness(t testing.TB, authorize authorizeFunc, mutate func(*awsapi.Config), bindings ...awsapi.Binding) *harness {
	t.Helper()
	h := &harness{}
	cfg := awsapi.Config{
		Bindings:      bindings,
		Authenticator: scopeReader{},
		Authorizer:    authorize,
		Clock:         clock.Fixed(now),
		Log:           slog.New(slog.NewTextHandler(h, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Observe: func(_ context.Context, r *awsapi.Result) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.results = append(h.results, *r)
		},
	}
	if mutate != nil {
		mutate(&cfg)
	}
	api, err := awsapi.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	h.API = api
	return h
}

// do sends one request, signed in name for the service unless service is "".
// Headers are names and values in turn.
func (h *harness) do(method, target, service, contentType, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://api.example/", strings.NewReader(body))
	r.RequestURI = target
	if service != "" {
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261121/us-west-2/"+service+"/aws4_request, SignedHeaders=host, Signature=00")
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

const formType = "application/x-www-form-urlencoded; charset=utf-8"

func (h *harness) last(t *testing.T) awsapi.Result {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.results) == 0 {
		t.Fatal("nothing was observed")
	}
	return h.results[len(h.results)-1]
}

// Handlers that embed an interface count as building every operation, so that
// requests go through all steps.
type (
	everyLattice struct{ vpclattice.Handler }
	everyMesh    struct{ appmesh.Handler }
	everyIAM     struct{ iam.Handler }
	everySTS     struct{ sts.Handler }
	everyEC2     struct{ ec2.Handler }
	everyMap     struct{ servicediscovery.Handler }
)

// exempt is an access table that asks no permission for any operation.
func exempt(b awsapi.Binding) awsapi.Binding {
	b.Access = awsapi.AccessTable{}
	for _, op := range b.Operations {
		b.Access[op.Name] = awsapi.Access{Exempt: "test"}
	}
	return b
}

// everyBinding has all operations of all services; each one that is called
// answers NotImplemented.
func everyBinding() []awsapi.Binding {
	return []awsapi.Binding{
		exempt(vpclattice.Bind(everyLattice{vpclattice.Unimplemented{}}, nil)),
		exempt(appmesh.Bind(everyMesh{appmesh.Unimplemented{}}, nil)),
		exempt(iam.Bind(everyIAM{iam.Unimplemented{}}, nil)),
		exempt(sts.Bind(everySTS{sts.Unimplemented{}}, nil)),
		exempt(ec2.Bind(everyEC2{ec2.Unimplemented{}}, nil)),
		exempt(servicediscovery.Bind(everyMap{servicediscovery.Unimplemented{}}, nil)),
	}
}

var errPlain = errors.New("disk on fire at /secret/place")

func header(w *httptest.ResponseRecorder, name string) string { return w.Result().Header.Get(name) }

var _ http.Handler = (*harness)(nil)
