package lattice

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice/types"
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
	// accounts gives each test one of its own.
	accounts atomic.Int64
)

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "lattice")
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

// world is VPC Lattice behind a dispatcher, called with the AWS SDK for Go.
type world struct {
	*vpclattice.Client
	t       *testing.T
	account string
	vpc     string
	mu      sync.Mutex
	// calls holds the last call of each operation that was authorized, asked its
	// resources.
	calls map[string]*awsapi.Call
	asked map[string][]awsapi.Resource
	time  time.Time
}

// published says that everything is in force at once.
type published struct{}

func (published) WaitFor(context.Context, store.Revision) error { return nil }

func (w *world) Authenticate(context.Context, *inbound.Request, []byte, awsapi.Expectation) (awsapi.Caller, error) {
	return awsapi.Caller{Region: region, Principal: &identity.Principal{Kind: identity.User, Account: w.account, ARN: "arn:aws:iam::" + w.account + ":user/u"}}, nil
}

func (w *world) Authorize(_ context.Context, c *awsapi.Call) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked[c.Operation.Name], w.calls[c.Operation.Name] = c.Resources, c
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

func newWorld(t *testing.T, change ...func(*Config)) *world {
	t.Helper()
	w := &world{
		t: t, account: fmt.Sprintf("%012d", 100000000000+accounts.Add(1)), asked: map[string][]awsapi.Resource{}, calls: map[string]*awsapi.Call{},
		time: time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC),
	}
	w.vpc = model.DefaultVPC(w.account, region, w.time).ID
	cfg := Config{
		State: model.State{Store: shared, Published: published{}}, Partition: "aws", DefaultAccount: w.account,
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
	api, err := awsapi.New(awsapi.Config{Log: slog.New(slog.DiscardHandler), Bindings: []awsapi.Binding{binding}, Authenticator: w, Authorizer: w, Idempotency: &once{known: map[string][2]string{}}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	w.Client = vpclattice.New(vpclattice.Options{
		Region: region, BaseEndpoint: &server.URL, Credentials: credentials.NewStaticCredentialsProvider("k", "s", ""), RetryMaxAttempts: 1,
	})
	return w
}

// register stores a VPC as EC2's CreateVpc does.
func (w *world) register(id string) {
	w.t.Helper()
	_, err := shared.Update(ctx, func(tx *store.Tx) error {
		return model.VPCs.Put(tx, model.Scope{Account: w.account, Region: region}.Key(id), &model.VPC{Meta: model.Meta{ID: id, Account: w.account, Region: region}})
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) wait(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.time = w.time.Add(d)
}

// contents is everything that is stored of the test's account.
func (w *world) contents() string {
	w.t.Helper()
	page, err := shared.Backend().Range(context.Background(), "", "", 0, 0)
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
func mustRefuse[Out any](w *world, code string, call func(context.Context) (Out, error), texts ...string) {
	w.t.Helper()
	before := w.contents()
	_, err := call(context.Background())
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

// asError is errors.As under a name that reads in a condition.
func asError[E error](err error, target *E) bool { return errors.As(err, target) }

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

func (w *world) network(name string) *vpclattice.CreateServiceNetworkOutput {
	w.t.Helper()
	return must[*vpclattice.CreateServiceNetworkOutput](w)(w.CreateServiceNetwork(context.Background(), &vpclattice.CreateServiceNetworkInput{Name: &name}))
}

func (w *world) service(name string) *vpclattice.CreateServiceOutput {
	w.t.Helper()
	return must[*vpclattice.CreateServiceOutput](w)(w.CreateService(context.Background(), &vpclattice.CreateServiceInput{Name: &name}))
}

func (w *world) group(name string) *vpclattice.CreateTargetGroupOutput {
	w.t.Helper()
	return must[*vpclattice.CreateTargetGroupOutput](w)(w.CreateTargetGroup(context.Background(), &vpclattice.CreateTargetGroupInput{
		Name: &name, Type: types.TargetGroupTypeIp,
		Config: &types.TargetGroupConfig{Port: aws.Int32(8080), Protocol: types.TargetGroupProtocolHttp, VpcIdentifier: &w.vpc},
	}))
}

func forward(groups ...*string) types.RuleAction {
	a := types.ForwardAction{}
	for _, g := range groups {
		weighted := types.WeightedTargetGroup{TargetGroupIdentifier: g}
		if len(groups) > 1 {
			weighted.Weight = aws.Int32(1)
		}
		a.TargetGroups = append(a.TargetGroups, weighted)
	}
	return &types.RuleActionMemberForward{Value: a}
}

func fixed(status int32) types.RuleAction {
	return &types.RuleActionMemberFixedResponse{Value: types.FixedResponseAction{StatusCode: &status}}
}

func (w *world) listener(service *string, name string, port int32, action types.RuleAction) *vpclattice.CreateListenerOutput {
	w.t.Helper()
	return must[*vpclattice.CreateListenerOutput](w)(w.CreateListener(context.Background(), &vpclattice.CreateListenerInput{
		ServiceIdentifier: service, Name: &name, Protocol: types.ListenerProtocolHttp, Port: &port, DefaultAction: action,
	}))
}

func prefix(path string) types.RuleMatch {
	return &types.RuleMatchMemberHttpMatch{Value: types.HttpMatch{PathMatch: &types.PathMatch{Match: &types.PathMatchTypeMemberPrefix{Value: path}}}}
}
