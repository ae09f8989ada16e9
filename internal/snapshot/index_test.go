package snapshot

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchwork/latchwork/internal/clock"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/store"
	"github.com/latchwork/latchwork/internal/store/etcd"
	wire "github.com/latchwork/latchwork/internal/wire/vpclattice"
)

// world is a store with a publisher that follows it.
type world struct {
	t     testing.TB
	store *store.Store
	*Publisher
}

func newWorld(t testing.TB) *world {
	t.Helper()
	backend, err := etcd.Start(t.Context(), etcd.Embedded{Dir: t.TempDir(), Prefix: "t/", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return follow(t, backend)
}

// follow runs a publisher until the test ends, and then closes the backend.
func follow(t testing.TB, backend store.Backend) *world {
	p := NewPublisher(Config{
		Backend: backend, Settings: settings, OpenSecret: opener, Clock: clock.Fixed(time.Unix(1, 0)), Log: slog.New(slog.DiscardHandler),
	})
	running, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- p.Run(running) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run ended with %v", err)
		}
		if err := backend.Close(); err != nil {
			t.Error(err)
		}
	})
	return &world{t, store.New(backend), p}
}

// change writes, and gives the first snapshot that has what was written.
func (w *world) change(fn func(tx *store.Tx) error) *Snapshot {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 20*time.Second)
	defer cancel()
	revision, err := w.store.Update(ctx, fn)
	if err == nil {
		err = w.WaitFor(ctx, revision)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return w.Current()
}

func put[T any](w *world, c store.Collection[T], id string, record *T) *Snapshot {
	w.t.Helper()
	return w.change(func(tx *store.Tx) error { return c.Put(tx, id, record) })
}

func remove[T any](w *world, c store.Collection[T], id string) *Snapshot {
	w.t.Helper()
	return w.change(func(tx *store.Tx) error { return c.Delete(tx, id) })
}

// spoil writes what no reader of the collection understands.
func spoil[T any](w *world, c store.Collection[T], id string) *Snapshot {
	w.t.Helper()
	raw := store.NewCollection[string](strings.TrimSuffix(c.Prefix, "/"))
	if raw.Prefix != c.Prefix {
		w.t.Fatalf("the collection %s is not found again", c.Prefix)
	}
	return put(w, raw, id, new("not a record"))
}

func problems(s *Snapshot) []string {
	out := []string{}
	for _, p := range s.Problems() {
		out = append(out, p.Record+": "+p.Err.Error())
	}
	return out
}

// wantProblems tells which texts the problems must contain, one each.
func wantProblems(t *testing.T, s *Snapshot, want ...string) {
	t.Helper()
	got := problems(s)
	if len(got) != len(want) {
		t.Fatalf("problems %q, want %d", got, len(want))
	}
	for i, text := range want {
		if !strings.Contains(got[i], text) {
			t.Errorf("problem %q does not say %q", got[i], text)
		}
	}
}

func serviceRecord(id, domain, custom string) *model.Service {
	return &model.Service{Meta: latticeMeta(id, "service/"), AuthType: model.AuthIAM, Domain: domain, CustomDomain: custom}
}

func arnsOf(services []*Service) []string {
	out := []string{}
	for _, v := range services {
		out = append(out, v.ID)
	}
	return out
}

func TestHosts(t *testing.T) {
	w := newWorld(t)
	s := put(w, model.Services, scope.Key("svc-1"), serviceRecord("svc-1", "one.on.aws", "Rates.Example"))
	if got := s.Host("one.on.aws"); len(got) != 1 || got[0].ID != "svc-1" {
		t.Errorf("the generated name means %v", arnsOf(got))
	}
	s = put(w, model.Services, scope.Key("svc-2"), serviceRecord("svc-2", "two.on.aws", "rates.example"))
	if diff := cmp.Diff([]string{"svc-1", "svc-2"}, arnsOf(s.Host("rates.example"))); diff != "" {
		t.Errorf("a name of two services: %s", diff)
	}
	before := s
	s = put(w, model.Services, scope.Key("svc-1"), serviceRecord("svc-1", "one.on.aws", "other.example"))
	if diff := cmp.Diff([]string{"svc-2"}, arnsOf(s.Host("rates.example"))); diff != "" {
		t.Errorf("after a change: %s", diff)
	}
	if diff := cmp.Diff([]string{"svc-1"}, arnsOf(s.Host("other.example"))); diff != "" {
		t.Errorf("the new name: %s", diff)
	}
	if len(before.Host("rates.example")) != 2 {
		t.Error("a published snapshot has changed")
	}
	s = remove(w, model.Services, scope.Key("svc-2"))
	if got := s.Host("rates.example"); len(got) != 0 {
		t.Errorf("a name of no service means %v", arnsOf(got))
	}
	if _, ok := s.Service(scope.ARN(model.LatticeService, "service/svc-2")); ok {
		t.Error("the service is still there")
	}
	if _, ok := s.Service(scope.ARN(model.LatticeService, "service/svc-1")); !ok {
		t.Error("the other service is gone too")
	}
}

func TestServiceAndNetwork(t *testing.T) {
	w := newWorld(t)
	networkARN := scope.ARN(model.LatticeService, "servicenetwork/sn-1")
	serviceARN := scope.ARN(model.LatticeService, "service/svc-1")
	w.change(func(tx *store.Tx) error {
		return errors.Join(
			model.ServiceNetworks.Put(tx, scope.Key("sn-1"), &model.ServiceNetwork{Meta: latticeMeta("sn-1", "servicenetwork/"), AuthType: model.AuthIAM}),
			model.Services.Put(tx, scope.Key("svc-1"), serviceRecord("svc-1", "one", "")),
			model.ServiceAssociations.Put(tx, scope.Key("snsa-1"), &model.ServiceAssociation{Meta: latticeMeta("snsa-1", "x/"), NetworkARN: networkARN, ServiceARN: serviceARN}),
			model.AuthPolicies.Put(tx, scope.Key("sn-1"), &model.AuthPolicy{Meta: latticeMeta("sn-1", "servicenetwork/"), Document: open}),
		)
	})
	s := put(w, model.AuthPolicies, scope.Key("svc-1"), &model.AuthPolicy{Meta: latticeMeta("svc-1", "service/"), Document: open})
	service, _ := s.Service(serviceARN)
	network, ok := s.Network(networkARN)
	if service == nil || !ok {
		t.Fatal("not there")
	}
	if !service.In(networkARN) || service.In(serviceARN) {
		t.Error("the association is not seen, or one too many")
	}
	for _, p := range []*Policy{service.Policy, network.Policy} {
		if p == nil || p.Compiled == nil || p.Text != open {
			t.Errorf("auth policy %+v", p)
		}
	}
	if service.Policy.Compiled != network.Policy.Compiled {
		t.Error("equal documents are compiled twice")
	}

	// A document that does not compile is a problem of its own record, and the
	// policy is there and denies.
	s = put(w, model.AuthPolicies, scope.Key("sn-1"), &model.AuthPolicy{Meta: latticeMeta("sn-1", "servicenetwork/"), Document: `{"Statement":[]}`})
	wantProblems(t, s, "at least one statement")
	if network, _ := s.Network(networkARN); network.Policy == nil || network.Policy.Compiled != nil || network.Policy.Problem == nil {
		t.Errorf("a broken policy is %+v", network.Policy)
	}
	// Corrected, it is no problem any more.
	wantProblems(t, put(w, model.AuthPolicies, scope.Key("sn-1"), &model.AuthPolicy{Meta: latticeMeta("sn-1", "servicenetwork/"), Document: open}))

	s = spoil(w, model.AuthPolicies, scope.Key("svc-1"))
	wantProblems(t, s, "cannot be read")
	if service, _ := s.Service(serviceARN); service.Policy != nil {
		t.Error("a policy that cannot be read is in force")
	}
	s = remove(w, model.AuthPolicies, scope.Key("svc-1"))
	wantProblems(t, s)
	s = remove(w, model.ServiceAssociations, scope.Key("snsa-1"))
	if service, _ := s.Service(serviceARN); service.In(networkARN) {
		t.Error("the association is still there")
	}
	s = remove(w, model.ServiceNetworks, scope.Key("sn-1"))
	if _, ok := s.Network(networkARN); ok {
		t.Error("the network is still there")
	}
}

func forwardTo(groups ...string) *wire.RuleAction {
	a := &wire.RuleAction{Forward: &wire.ForwardAction{}}
	for _, g := range groups {
		a.Forward.TargetGroups = append(a.Forward.TargetGroups, wire.WeightedTargetGroup{TargetGroupIdentifier: new(g)})
	}
	return a
}

func TestListenersRulesAndTargets(t *testing.T) {
	w := newWorld(t)
	serviceARN := scope.ARN(model.LatticeService, "service/svc-1")
	groupARN := func(id string) string { return scope.ARN(model.LatticeService, "targetgroup/"+id) }
	listener := func(id string, port int64, action *wire.RuleAction) *model.Listener {
		return &model.Listener{Meta: latticeMeta(id, "service/svc-1/listener/"), Service: "svc-1", Port: port, DefaultAction: action}
	}
	rule := func(id string, priority int64, action *wire.RuleAction) *model.Rule {
		return &model.Rule{Meta: latticeMeta(id, "rule/"), Service: "svc-1", Listener: "listener-2", Priority: priority, Action: action}
	}
	s := w.change(func(tx *store.Tx) error {
		return errors.Join(
			model.Services.Put(tx, scope.Key("svc-1"), serviceRecord("svc-1", "one", "")),
			model.Listeners.Put(tx, scope.Key("svc-1", "listener-1"), listener("listener-1", 443, &wire.RuleAction{FixedResponse: &wire.FixedResponseAction{}})),
			model.Listeners.Put(tx, scope.Key("svc-1", "listener-2"), listener("listener-2", 80, forwardTo("tg-1"))),
			model.Rules.Put(tx, scope.Key("svc-1", "listener-2", "rule-a"), rule("rule-a", 20, forwardTo("tg-1", "tg-2"))),
			model.Rules.Put(tx, scope.Key("svc-1", "listener-2", "rule-b"), rule("rule-b", 10, forwardTo("tg-1"))),
			model.TargetGroups.Put(tx, scope.Key("tg-1"), &model.TargetGroup{Meta: latticeMeta("tg-1", "targetgroup/")}),
			model.TargetGroups.Put(tx, scope.Key("tg-2"), &model.TargetGroup{Meta: latticeMeta("tg-2", "targetgroup/")}),
			model.TargetGroups.Put(tx, scope.Key("tg-3"), &model.TargetGroup{Meta: latticeMeta("tg-3", "targetgroup/")}),
			model.Targets.Put(tx, scope.Key("tg-1", "10.0.0.1:80"), &model.Target{Group: "tg-1", ID: "10.0.0.1", Port: 80}),
			model.Targets.Put(tx, scope.Key("tg-1", "10.0.0.2:80"), &model.Target{Group: "tg-1", ID: "10.0.0.2", Port: 80, Draining: time.Unix(5, 0)}),
		)
	})
	if diff := cmp.Diff([]int64{80, 443}, s.Ports()); diff != "" {
		t.Errorf("ports: %s", diff)
	}
	service, _ := s.Service(serviceARN)
	if l := service.Listener(443); l == nil || len(l.Rules) != 0 {
		t.Errorf("listener on 443: %+v", l)
	}
	l := service.Listener(80)
	if l == nil || len(l.Rules) != 2 || l.Rules[0].ID != "rule-b" || l.Rules[1].ID != "rule-a" {
		t.Fatalf("listener on 80 has not its rules by priority: %+v", l)
	}
	if service.Listener(81) != nil {
		t.Error("a listener of a port that has none")
	}
	uses := func(s *Snapshot) string {
		out := ""
		for _, id := range []string{"tg-1", "tg-2", "tg-3"} {
			if g, ok := s.TargetGroup(groupARN(id)); ok {
				out += fmt.Sprintf("%s %t %d, ", id, g.InUse, len(g.Targets))
			}
		}
		return out
	}
	for _, step := range []struct {
		name   string
		change func() *Snapshot
		want   string
	}{
		{"at first", w.Current, "tg-1 true 1, tg-2 true 0, tg-3 false 0, "},
		{"another group in a rule", func() *Snapshot {
			return put(w, model.Rules, scope.Key("svc-1", "listener-2", "rule-a"), rule("rule-a", 20, forwardTo("tg-3")))
		}, "tg-1 true 1, tg-2 false 0, tg-3 true 0, "},
		{"one of two users gone", func() *Snapshot { return remove(w, model.Rules, scope.Key("svc-1", "listener-2", "rule-b")) }, "tg-1 true 1, tg-2 false 0, tg-3 true 0, "},
		{"both gone", func() *Snapshot { return remove(w, model.Listeners, scope.Key("svc-1", "listener-2")) }, "tg-1 false 1, tg-2 false 0, tg-3 true 0, "},
		{"a target in service again", func() *Snapshot {
			return put(w, model.Targets, scope.Key("tg-1", "10.0.0.2:80"), &model.Target{Group: "tg-1", ID: "10.0.0.2", Port: 80})
		}, "tg-1 false 2, tg-2 false 0, tg-3 true 0, "},
		{"a target gone", func() *Snapshot { return remove(w, model.Targets, scope.Key("tg-1", "10.0.0.1:80")) }, "tg-1 false 1, tg-2 false 0, tg-3 true 0, "},
		{"a group gone", func() *Snapshot { return remove(w, model.TargetGroups, scope.Key("tg-2")) }, "tg-1 false 1, tg-3 true 0, "},
	} {
		if got := uses(step.change()); got != step.want {
			t.Errorf("%s: %q, want %q", step.name, got, step.want)
		}
	}
	if diff := cmp.Diff([]int64{443}, w.Current().Ports()); diff != "" {
		t.Errorf("ports after a listener is gone: %s", diff)
	}
	var groups, services []string
	for g := range w.Current().TargetGroups {
		groups = append(groups, g.ID)
	}
	slices.Sort(groups)
	for v := range w.Current().Services {
		services = append(services, v.ID)
	}
	if diff := cmp.Diff([]string{"tg-1", "tg-3", "svc-1"}, append(groups, services...)); diff != "" {
		t.Errorf("all groups and services: %s", diff)
	}
}

func TestVPCsOfTheStore(t *testing.T) {
	w := newWorld(t)
	loopback := Addresses{Client: netip.MustParseAddr("127.0.0.1"), Gateway: netip.MustParseAddr("127.0.0.1")}
	if vpc, known := put(w, model.Groups, model.IAMKey(account, "g"), &model.Group{Meta: iamMeta("group", "g")}).VPC(region, loopback); vpc != nil || !known {
		t.Error("a default VPC in a region without services")
	}
	s := put(w, model.Services, scope.Key("svc-1"), serviceRecord("svc-1", "one", ""))
	fallback := model.DefaultVPC(account, region, time.Time{})
	vpc, _ := s.VPC(region, loopback)
	if vpc == nil || vpc.ID != fallback.ID || vpc.Owner != account || vpc.Network != "" {
		t.Fatalf("loopback is in %+v", vpc)
	}
	s = put(w, model.VPCAssociations, scope.Key("snva-1"), &model.VPCAssociation{Meta: latticeMeta("snva-1", "x/"), VPC: fallback.ID, NetworkARN: "arn:sn"})
	if vpc, _ := s.VPC(region, loopback); vpc.Network != "arn:sn" {
		t.Errorf("the default VPC enters %q", vpc.Network)
	}
	// Somebody takes one range off the default VPC: it is stored, and what is
	// stored counts.
	stored := *fallback
	stored.CIDRs = []model.CIDR{{Prefix: netip.MustParsePrefix("127.1.0.0/16")}}
	s = put(w, model.VPCs, scope.Key(fallback.ID), &stored)
	if vpc, known := s.VPC(region, loopback); vpc != nil || !known {
		t.Errorf("loopback is in %+v, which has not that range", vpc)
	}
	stored.Tags = map[string]string{model.GatewayAddressTag: "127.0.0.1"}
	s = put(w, model.VPCs, scope.Key(fallback.ID), &stored)
	if vpc, _ := s.VPC(region, loopback); vpc == nil || vpc.Evidence != "gateway-address" {
		t.Errorf("at the gateway's address: %+v", vpc)
	}
	other := &model.VPC{Meta: model.Meta{ID: "vpc-z", Account: account, Region: region}, CIDRs: stored.CIDRs}
	s = put(w, model.VPCs, scope.Key("vpc-z"), other)
	wantProblems(t, s, "another VPC has the range 127.1.0.0/16 too")
	both := Addresses{Client: netip.MustParseAddr("127.1.2.3")}
	if vpc, known := s.VPC(region, both); vpc != nil || known {
		t.Errorf("the range that two have is in %+v", vpc)
	}
	s = remove(w, model.VPCs, scope.Key(fallback.ID))
	wantProblems(t, s)
	if vpc, _ := s.VPC(region, both); vpc == nil || vpc.ID != "vpc-z" {
		t.Errorf("the range that is free now is in %+v", vpc)
	}
}

// TestUnreadable: a record that cannot be read never lets more pass than it did.
func TestUnreadable(t *testing.T) {
	w := newWorld(t)
	vpc := func(id, ranges, gateway string) *model.VPC {
		v := &model.VPC{Meta: model.Meta{ID: id, Account: account, Region: region}, CIDRs: []model.CIDR{{Prefix: netip.MustParsePrefix(ranges)}}}
		if gateway != "" {
			v.Tags = map[string]string{model.GatewayAddressTag: gateway}
		}
		return v
	}
	rule := &model.Rule{Meta: latticeMeta("rule-1", "rule/"), Service: "svc-1", Listener: "listener-1", Priority: 1}
	w.change(func(tx *store.Tx) error {
		return errors.Join(
			model.VPCs.Put(tx, scope.Key("vpc-trusted"), vpc("vpc-trusted", "10.0.0.0/8", "")),
			model.VPCs.Put(tx, scope.Key("vpc-guest"), vpc("vpc-guest", "10.1.0.0/16", "")),
			model.VPCs.Put(tx, scope.Key("vpc-bound"), vpc("vpc-bound", "11.0.0.0/16", "192.0.2.1")),
			model.Services.Put(tx, scope.Key("svc-1"), serviceRecord("svc-1", "one", "")),
			model.Listeners.Put(tx, scope.Key("svc-1", "listener-1"), &model.Listener{Meta: latticeMeta("listener-1", "x/"), Service: "svc-1", Port: 80}),
			model.Listeners.Put(tx, scope.Key("svc-1", "listener-2"), &model.Listener{Meta: latticeMeta("listener-2", "x/"), Service: "svc-1", Port: 81}),
			model.Rules.Put(tx, scope.Key("svc-1", "listener-1", "rule-1"), rule),
		)
	})
	where := func(s *Snapshot) string {
		out := ""
		for _, a := range []Addresses{
			{Client: netip.MustParseAddr("10.1.2.3")},
			{Client: netip.MustParseAddr("127.0.0.1")},
			{Client: netip.MustParseAddr("10.1.2.3"), Gateway: netip.MustParseAddr("192.0.2.1")},
		} {
			switch v, known := s.VPC(region, a); {
			case !known:
				out += "? "
			case v == nil:
				out += "none "
			default:
				out += v.ID + " "
			}
		}
		v, _ := s.Service(scope.ARN(model.LatticeService, "service/svc-1"))
		return out + fmt.Sprint(v.Listener(80).Incomplete, v.Listener(81).Incomplete, len(v.Listener(80).Rules))
	}
	loopback := model.DefaultVPC(account, region, time.Time{}).ID
	certain := "vpc-guest " + loopback + " vpc-bound false false 1"
	for _, step := range []struct {
		name   string
		change func() *Snapshot
		want   string
	}{
		{"at first", w.Current, certain},
		{"a rule", func() *Snapshot { return spoil(w, model.Rules, scope.Key("svc-1", "listener-1", "rule-1")) }, "vpc-guest " + loopback + " vpc-bound true false 0"},
		{"a rule that never was", func() *Snapshot { return spoil(w, model.Rules, scope.Key("svc-1", "listener-2", "rule-2")) }, "vpc-guest " + loopback + " vpc-bound true true 0"},
		{"the rule again", func() *Snapshot {
			return put(w, model.Rules, scope.Key("svc-1", "listener-1", "rule-1"), rule)
		}, "vpc-guest " + loopback + " vpc-bound false true 1"},
		{"the other one removed", func() *Snapshot { return remove(w, model.Rules, scope.Key("svc-1", "listener-2", "rule-2")) }, certain},
		{"a VPC", func() *Snapshot { return spoil(w, model.VPCs, scope.Key("vpc-guest")) }, "? ? vpc-bound false false 1"},
		{"the VPC again", func() *Snapshot {
			return put(w, model.VPCs, scope.Key("vpc-guest"), vpc("vpc-guest", "10.1.0.0/16", ""))
		}, certain},
		{"a VPC that never was", func() *Snapshot { return spoil(w, model.VPCs, scope.Key("vpc-new")) }, "? ? vpc-bound false false 1"},
		{"the VPC removed", func() *Snapshot { return remove(w, model.VPCs, scope.Key("vpc-new")) }, certain},
		{"a VPC of another region", func() *Snapshot {
			return spoil(w, model.VPCs, model.Scope{Account: account, Region: "eu-west-1"}.Key("vpc-new"))
		}, certain},
		{"a gateway address that is none", func() *Snapshot {
			return put(w, model.VPCs, scope.Key("vpc-trusted"), vpc("vpc-trusted", "10.0.0.0/8", "here"))
		}, "? ? vpc-bound false false 1"},
		{"a gateway address that two have", func() *Snapshot {
			return put(w, model.VPCs, scope.Key("vpc-trusted"), vpc("vpc-trusted", "10.0.0.0/8", "192.0.2.1"))
		}, "vpc-guest " + loopback + " ? false false 1"},
	} {
		if got := where(step.change()); got != step.want {
			t.Errorf("%s: %q, want %q", step.name, got, step.want)
		}
	}
}

func TestSessionPolicies(t *testing.T) {
	w := newWorld(t)
	s := put(w, model.Groups, model.IAMKey(account, "g"), &model.Group{Meta: iamMeta("group", "g")})
	first := s.SessionPolicy(allow)
	if first.Compiled == nil || first.Problem != nil {
		t.Fatalf("session policy %+v", first)
	}
	later := remove(w, model.Groups, model.IAMKey(account, "g"))
	if later.SessionPolicy(allow) != first {
		t.Error("compiled again")
	}
	if bad := s.SessionPolicy("{"); bad.Compiled != nil || bad.Problem == nil {
		t.Errorf("a broken session policy is %+v", bad)
	}
	for i := range maxSessionPolicies {
		s.sessions.known[fmt.Sprint(i)] = first
	}
	if s.SessionPolicy(allow+" ").Compiled == nil || len(s.sessions.known) != 1 {
		t.Errorf("%d session policies are kept, the bound is %d", len(s.sessions.known), maxSessionPolicies)
	}
}

func TestSnapshotOfSettings(t *testing.T) {
	w := newWorld(t)
	s := put(w, model.Groups, model.IAMKey(account, "g"), &model.Group{Meta: iamMeta("group", "g")})
	if s.Revision() <= 0 || !s.Published().Equal(time.Unix(1, 0)) || s.Settings().DefaultAccount != account {
		t.Errorf("revision %d, published %s, settings %+v", s.Revision(), s.Published(), s.Settings())
	}
	if got := s.Account("999999999999"); got.ID != "" || got.OrgID != "" {
		t.Errorf("an account that is not configured is %+v", got)
	}
	with := &Snapshot{settings: &Settings{Accounts: map[string]Account{account: {ID: account, OrgID: "o-1"}}}}
	if with.Account(account).OrgID != "o-1" {
		t.Error("the organization of an account is not known")
	}
}
