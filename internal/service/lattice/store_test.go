package lattice

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice/types"
	"github.com/aws/smithy-go"

	"github.com/latchwork/latchwork/internal/store"
)

// flaky is a backend that can be told to fail.
type flaky struct {
	store.Backend
	reads, writes atomic.Bool
	// compacted refuses reads of the past.
	compacted atomic.Bool
}

func (f *flaky) Get(ctx context.Context, key string, at store.Revision) (store.KV, store.Revision, error) {
	if f.reads.Load() {
		return store.KV{}, 0, fmt.Errorf("%w: told to", store.ErrUnavailable)
	}
	return f.Backend.Get(ctx, key, at)
}

func (f *flaky) Range(ctx context.Context, prefix, after string, limit int, at store.Revision) (store.Page, error) {
	if f.reads.Load() {
		return store.Page{}, fmt.Errorf("%w: told to", store.ErrUnavailable)
	}
	if f.compacted.Load() && at != 0 {
		return store.Page{}, fmt.Errorf("%w: told to", store.ErrCompacted)
	}
	return f.Backend.Range(ctx, prefix, after, limit, at)
}

func (f *flaky) Commit(ctx context.Context, conditions []store.Condition, writes []store.Write) (store.Revision, error) {
	if f.writes.Load() {
		return 0, fmt.Errorf("%w: told to", store.ErrUnavailable)
	}
	return f.Backend.Commit(ctx, conditions, writes)
}

// TestUnavailable: a store that cannot be read or written is told from a resource
// that is not there, also where a call is authorized.
func TestUnavailable(t *testing.T) {
	f := &flaky{Backend: shared.Backend()}
	w := newWorld(t, func(c *Config) { c.Store = store.New(f) })
	n, v := w.network("network"), w.service("rates")
	unavailable := func(name string, err error) {
		t.Helper()
		var api smithy.APIError
		if !errors.As(err, &api) || api.ErrorCode() != "ServiceUnavailableException" || strings.Contains(api.ErrorMessage(), "told to") {
			t.Errorf("%s: %v", name, err)
		}
	}
	f.writes.Store(true)
	_, err := w.CreateService(ctx, &vpclattice.CreateServiceInput{Name: aws.String("other")})
	unavailable("create", err)
	_, err = w.UpdateService(ctx, &vpclattice.UpdateServiceInput{ServiceIdentifier: v.Id, AuthType: "AWS_IAM"})
	unavailable("update", err)
	_, err = w.DeleteService(ctx, &vpclattice.DeleteServiceInput{ServiceIdentifier: v.Id})
	unavailable("delete", err)
	if got := must[*vpclattice.GetServiceOutput](w)(w.GetService(ctx, &vpclattice.GetServiceInput{ServiceIdentifier: v.Id})); got.AuthType != "NONE" {
		t.Errorf("a write that failed changed it: %+v", got)
	}
	f.reads.Store(true)
	clear(w.calls)
	_, err = w.GetService(ctx, &vpclattice.GetServiceInput{ServiceIdentifier: v.Id})
	unavailable("get", err)
	_, err = w.join(v.Id, n.Id)
	unavailable("associate", err)
	if len(w.calls) > 0 {
		t.Errorf("decided without knowing the tags: %v", w.calls)
	}
	_, err = w.ListServices(ctx, &vpclattice.ListServicesInput{})
	unavailable("list", err)
	_, err = w.GetAuthPolicy(ctx, &vpclattice.GetAuthPolicyInput{ResourceIdentifier: v.Id})
	unavailable("get a policy", err)
	f.reads.Store(false)
	f.writes.Store(false)
	w.service("other")
}

// TestCompacted: a list whose revision is gone says to begin again.
func TestCompacted(t *testing.T) {
	f := &flaky{Backend: shared.Backend()}
	w := newWorld(t, func(c *Config) { c.Store = store.New(f) })
	w.service("one")
	w.service("two")
	token := must[*vpclattice.ListServicesOutput](w)(w.ListServices(ctx, &vpclattice.ListServicesInput{MaxResults: aws.Int32(1)})).NextToken
	f.compacted.Store(true)
	mustRefuse(w, "ValidationException", func(ctx context.Context) (any, error) {
		return w.ListServices(ctx, &vpclattice.ListServicesInput{NextToken: token})
	}, "too old")
}

// unpublished never learns that a revision is in force.
type unpublished struct{}

func (unpublished) WaitFor(context.Context, store.Revision) error {
	return fmt.Errorf("%w: the watch is broken", store.ErrUnavailable)
}

// TestUnpublished: what is stored and not known to be in force is no success.
func TestUnpublished(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Published = unpublished{} })
	_, err := w.CreateService(ctx, &vpclattice.CreateServiceInput{Name: aws.String("rates")})
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != "ServiceUnavailableException" {
		t.Errorf("created, and %v", err)
	}
}

// atOnce runs calls at the same time and gives the codes of those that failed.
func atOnce(calls ...func() error) (succeeded int, failed map[string]int) {
	var wg sync.WaitGroup
	errs := make([]error, len(calls))
	start := make(chan struct{})
	for i, call := range calls {
		wg.Go(func() {
			<-start
			errs[i] = call()
		})
	}
	close(start)
	wg.Wait()
	failed = map[string]int{}
	for _, err := range errs {
		var api smithy.APIError
		switch {
		case err == nil:
			succeeded++
		case errors.As(err, &api):
			failed[api.ErrorCode()]++
		default:
			failed[err.Error()]++
		}
	}
	return succeeded, failed
}

// TestAtOnce: what is checked still holds when it is written.
func TestAtOnce(t *testing.T) {
	w := newWorld(t)
	v1, v2, g := w.service("one"), w.service("two"), w.group("group")
	l := w.listener(v1.Id, "http", 80, fixed(404))
	for round := range 8 {
		name := fmt.Sprint("round", round)
		one := func() error {
			_, err := w.CreateServiceNetwork(ctx, &vpclattice.CreateServiceNetworkInput{Name: &name})
			return err
		}
		if n, failed := atOnce(one, one, one, one); n != 1 || failed["ConflictException"] != 3 {
			t.Errorf("%d networks of one name, %v", n, failed)
		}
		rule := func(i int) func() error {
			return func() error {
				_, err := w.CreateRule(ctx, &vpclattice.CreateRuleInput{ServiceIdentifier: v1.Id, ListenerIdentifier: l.Id, Name: aws.String(fmt.Sprint(name, "-", i)), Priority: aws.Int32(int32(round + 1)), Match: prefix("/"), Action: fixed(404)})
				return err
			}
		}
		if n, failed := atOnce(rule(1), rule(2), rule(3)); n != 1 || failed["ConflictException"] != 2 {
			t.Errorf("%d rules of one priority, %v", n, failed)
		}
		// A target group belongs to one service, whoever comes first.
		use := func(service *string) func() error {
			return func() error {
				_, err := w.CreateListener(ctx, &vpclattice.CreateListenerInput{ServiceIdentifier: service, Name: &name, Port: aws.Int32(int32(1000 + round)), Protocol: types.ListenerProtocolHttp, DefaultAction: forward(g.Id)})
				return err
			}
		}
		if n, failed := atOnce(use(v1.Id), use(v2.Id)); n != 1 || failed["ConflictException"] != 1 {
			t.Errorf("%d services of one target group, %v", n, failed)
		}
		for _, v := range []*string{v1.Id, v2.Id} {
			for _, found := range must[*vpclattice.ListListenersOutput](w)(w.ListListeners(ctx, &vpclattice.ListListenersInput{ServiceIdentifier: v})).Items {
				if *found.Name == name {
					must[any](w)(w.DeleteListener(ctx, &vpclattice.DeleteListenerInput{ServiceIdentifier: v, ListenerIdentifier: found.Id}))
				}
			}
		}
	}
}

// TestDeletedMeanwhile: nothing outlives what it belongs to.
func TestDeletedMeanwhile(t *testing.T) {
	w := newWorld(t)
	n := w.network("network")
	for round := range 8 {
		v := w.service(fmt.Sprint("round", round))
		var joined *vpclattice.CreateServiceNetworkServiceAssociationOutput
		atOnce(func() (err error) {
			joined, err = w.join(v.Id, n.Id)
			return err
		}, func() error {
			_, err := w.PutAuthPolicy(ctx, &vpclattice.PutAuthPolicyInput{ResourceIdentifier: v.Id, Policy: aws.String(compact)})
			return err
		}, func() error {
			_, err := w.CreateListener(ctx, &vpclattice.CreateListenerInput{ServiceIdentifier: v.Id, Name: aws.String("http"), Protocol: "HTTP", DefaultAction: fixed(404)})
			return err
		}, func() error {
			_, err := w.TagResource(ctx, &vpclattice.TagResourceInput{ResourceArn: v.Arn, Tags: map[string]string{"a": "b"}})
			return err
		}, func() error {
			_, err := w.DeleteService(ctx, &vpclattice.DeleteServiceInput{ServiceIdentifier: v.Id})
			return err
		})
		if joined != nil {
			must[any](w)(w.DeleteServiceNetworkServiceAssociation(ctx, &vpclattice.DeleteServiceNetworkServiceAssociationInput{ServiceNetworkServiceAssociationIdentifier: joined.Id}))
			must[any](w)(w.DeleteService(ctx, &vpclattice.DeleteServiceInput{ServiceIdentifier: v.Id}))
		}
		if left := w.contents(); strings.Contains(left, *v.Id) || strings.Contains(left, fmt.Sprint("round", round)) {
			t.Fatalf("left\n%s", left)
		}
	}
}

// meanwhile runs other once, right before a commit.
type meanwhile struct {
	store.Backend
	armed atomic.Bool
	other func()
}

func (m *meanwhile) Commit(ctx context.Context, conditions []store.Condition, writes []store.Write) (store.Revision, error) {
	if m.armed.CompareAndSwap(true, false) {
		m.other()
	}
	return m.Backend.Commit(ctx, conditions, writes)
}

// TestLeaveAtOnce: of two rules that go at once neither leaves their target group in
// use.
func TestLeaveAtOnce(t *testing.T) {
	m := &meanwhile{Backend: shared.Backend()}
	w := newWorld(t, func(c *Config) { c.Store = store.New(m) })
	v, g := w.service("rates"), w.group("group")
	l := w.listener(v.Id, "http", 80, fixed(404))
	rule := func(i int32) *string {
		return must[*vpclattice.CreateRuleOutput](w)(w.CreateRule(ctx, &vpclattice.CreateRuleInput{
			ServiceIdentifier: v.Id, ListenerIdentifier: l.Id, Name: aws.String(fmt.Sprint("rule", i)), Priority: &i, Match: prefix("/"), Action: forward(g.Id),
		})).Id
	}
	remove := func(id *string) {
		must[any](w)(w.DeleteRule(ctx, &vpclattice.DeleteRuleInput{ServiceIdentifier: v.Id, ListenerIdentifier: l.Id, RuleIdentifier: id}))
	}
	one, two := rule(1), rule(2)
	m.other = func() { remove(two) }
	m.armed.Store(true)
	remove(one)
	must[any](w)(w.DeleteTargetGroup(ctx, &vpclattice.DeleteTargetGroupInput{TargetGroupIdentifier: g.Id}))
}

// TestManyGo: what has many parts can be deleted all the same.
func TestManyGo(t *testing.T) {
	w := newWorld(t)
	v, g := w.service("rates"), w.group("group")
	l := w.listener(v.Id, "http", 80, forward(g.Id))
	for i := range int32(60) {
		must[any](w)(w.CreateRule(ctx, &vpclattice.CreateRuleInput{
			ServiceIdentifier: v.Id, ListenerIdentifier: l.Id, Name: aws.String(fmt.Sprint("rule", i)), Priority: aws.Int32(i + 1), Match: prefix("/"), Action: fixed(404),
		}))
	}
	var targets []types.Target
	for i := range 3*maxSweep - 1 {
		targets = append(targets, types.Target{Id: aws.String(fmt.Sprintf("10.0.%d.%d", i/100, i%100)), Port: aws.Int32(80)})
	}
	for batch := range slices.Chunk(targets, 100) {
		must[any](w)(w.RegisterTargets(ctx, &vpclattice.RegisterTargetsInput{TargetGroupIdentifier: g.Id, Targets: batch}))
		must[any](w)(w.DeregisterTargets(ctx, &vpclattice.DeregisterTargetsInput{TargetGroupIdentifier: g.Id, Targets: batch}))
	}
	w.wait(time.Hour)
	must[any](w)(w.DeleteListener(ctx, &vpclattice.DeleteListenerInput{ServiceIdentifier: v.Id, ListenerIdentifier: l.Id}))
	must[any](w)(w.DeleteTargetGroup(ctx, &vpclattice.DeleteTargetGroupInput{TargetGroupIdentifier: g.Id}))
	if left := w.contents(); strings.Contains(left, "10.0.") || strings.Contains(left, "rule") {
		t.Errorf("left\n%s", left)
	}
}
