package snapshot

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/policy"
	"github.com/latchwork/latchwork/internal/store"
	wire "github.com/latchwork/latchwork/internal/wire/vpclattice"
)

// TestCompiledIsBounded: texts that nothing uses any more do not stay for ever.
func TestCompiledIsBounded(t *testing.T) {
	b := newBuilder(&settings, opener)
	var last *Policy
	for i := range 2 * maxIdleCompiled {
		last = b.document(policy.Identity, allow+fmt.Sprintf("%*s", i, ""), "record", Policy{Name: "p"})
		if last.Compiled == nil {
			t.Fatal(last.Problem)
		}
		if len(b.compiled) > maxIdleCompiled+1 {
			t.Fatalf("%d compiled policies are kept", len(b.compiled))
		}
	}
	if again := b.document(policy.Identity, last.Text, "record", Policy{}); again.Compiled != last.Compiled {
		t.Error("the newest is compiled again")
	}
	if other := b.document(policy.Session, last.Text, "record", Policy{}); other.Compiled == last.Compiled {
		t.Error("a document of another kind is taken for the same")
	}
}

// TestForwardWithoutGroup: a record that nobody should have stored breaks nothing.
func TestForwardWithoutGroup(t *testing.T) {
	s := newState()
	s.forwards(model.Meta{Account: account, Region: region}, "l/x", &wire.RuleAction{
		Forward: &wire.ForwardAction{TargetGroups: []wire.WeightedTargetGroup{{}, {TargetGroupIdentifier: new("tg-1")}}},
	}, true)
	if len(s.forwardersTo) != 1 || len(s.forwardersTo[scope.Key("tg-1")]) != 1 {
		t.Errorf("forwarders %v", s.forwardersTo)
	}
}

// TestAddressUnknown: a connection without an address is in no VPC.
func TestAddressUnknown(t *testing.T) {
	vpcs := newTable(model.VPCs, nil)
	vpcs.rows = map[string]*model.VPC{"x": {Meta: model.Meta{ID: "vpc-1", Region: region}, CIDRs: []model.CIDR{{Prefix: netip.MustParsePrefix("0.0.0.0/0")}}}}
	table := buildVPCTable(&settings, []string{region}, vpcs, nil, func(string, error) {})
	if vpc, _ := table.find(region, Addresses{}); vpc != nil {
		t.Errorf("in %+v", vpc)
	}
}

// BenchmarkPublish builds the snapshot after one change, in a world of 1,000
// services and 10,000 roles with a policy of their own each.
func BenchmarkPublish(b *testing.B) {
	const services, roles = 1000, 10000
	maker := newBuilder(&settings, opener)
	tx := events{}
	for i := range services {
		id := fmt.Sprintf("svc-%d", i)
		tx.add(b, model.Services.Key(scope.Key(id)), serviceRecord(id, id+".on.aws", ""))
		tx.add(b, model.AuthPolicies.Key(scope.Key(id)), &model.AuthPolicy{Meta: latticeMeta(id, "service/"), Document: open})
		tx.add(b, model.Listeners.Key(scope.Key(id, "listener-1")), &model.Listener{Meta: latticeMeta("listener-1", "x/"), Service: id, Port: 80, DefaultAction: forwardTo("tg-1")})
	}
	for i := range roles {
		name := fmt.Sprintf("r%d", i)
		tx.add(b, model.Roles.Key(model.IAMKey(account, name)), roleWith(name, fmt.Sprintf("arn:aws:vpc-lattice:us-west-2:%s:service/svc-%d/*", account, i)))
	}
	whole := func() *Snapshot {
		for _, e := range tx {
			maker.st.apply(e)
		}
		return maker.build(nil, 1, time.Time{})
	}
	snap := whole()
	if snap.Counts()["entity"] != roles || snap.Counts()["service"] != services || len(snap.Problems()) != 0 {
		b.Fatal(snap.Counts(), len(snap.Problems()))
	}
	change := func(i int) events {
		one := events{}
		name := fmt.Sprintf("r%d", i%roles)
		one.add(b, model.Roles.Key(model.IAMKey(account, name)), roleWith(name, fmt.Sprintf("arn:aws:vpc-lattice:us-west-2:%s:service/changed-%d/*", account, i)))
		return one
	}
	b.Run("one role of 10000", func(b *testing.B) {
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			for _, e := range change(i) {
				maker.st.apply(e)
			}
			snap = maker.build(snap, 1, time.Time{})
			i++
		}
	})
	b.Run("one service of 1000", func(b *testing.B) {
		b.ReportAllocs()
		one := events{}
		one.add(b, model.Services.Key(scope.Key("svc-7")), serviceRecord("svc-7", "svc-7.on.aws", ""))
		for b.Loop() {
			for _, e := range one {
				maker.st.apply(e)
			}
			snap = maker.build(snap, 1, time.Time{})
		}
	})
	b.Run("everything", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			maker = newBuilder(&settings, opener)
			snap = whole()
		}
	})
}

type events []store.Event

func (e *events) add(b *testing.B, key string, record any) {
	b.Helper()
	*e = append(*e, store.Event{Key: key, Value: encode(b, record)})
}

func roleWith(name, resource string) *model.Role {
	return &model.Role{Meta: iamMeta("role", name), Trust: trust, Attachments: model.Attachments{Inline: map[string]string{
		"invoke": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"vpc-lattice-svcs:Invoke","Resource":"` + resource + `"}]}`,
	}}}
}
