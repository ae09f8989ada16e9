package lattice

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice/types"
	"github.com/google/go-cmp/cmp"
)

// ruled is a service with a listener, and rules by name.
type ruled struct {
	*world
	service, listener *string
	ids               map[string]*string
}

// newRuled makes rules called a, b, c … with the given priorities.
func newRuled(t *testing.T, priorities ...int32) *ruled {
	t.Helper()
	w := newWorld(t)
	v := w.service("rates")
	r := &ruled{world: w, service: v.Id, listener: w.listener(v.Id, "http", 80, fixed(404)).Id, ids: map[string]*string{}}
	for i, p := range priorities {
		r.ids[name(i)] = must[*vpclattice.CreateRuleOutput](w)(r.create(name(i), p, prefix("/"), fixed(404))).Id
	}
	return r
}

func name(i int) string { return strings.Repeat(string(rune('a'+i)), 3) }

func (r *ruled) create(name string, priority int32, match types.RuleMatch, action types.RuleAction) (*vpclattice.CreateRuleOutput, error) {
	return r.CreateRule(ctx, &vpclattice.CreateRuleInput{ServiceIdentifier: r.service, ListenerIdentifier: r.listener, Name: &name, Priority: &priority, Match: match, Action: action})
}

func (r *ruled) batch(updates ...types.RuleUpdate) (*vpclattice.BatchUpdateRuleOutput, error) {
	return r.BatchUpdateRule(ctx, &vpclattice.BatchUpdateRuleInput{ServiceIdentifier: r.service, ListenerIdentifier: r.listener, Rules: updates})
}

// priorities are those of the rules as they are listed, "name priority".
func (r *ruled) priorities() []string {
	r.t.Helper()
	out := must[*vpclattice.ListRulesOutput](r.world)(r.ListRules(ctx, &vpclattice.ListRulesInput{ServiceIdentifier: r.service, ListenerIdentifier: r.listener}))
	var got []string
	for _, i := range out.Items {
		if !*i.IsDefault {
			got = append(got, fmt.Sprintf("%s %d", *i.Name, *i.Priority))
		}
	}
	slices.Sort(got)
	return got
}

// TestBatch: priorities have to be unique when all is done, and not on the way.
// Source: VPC Lattice API Reference, BatchUpdateRule.
func TestBatch(t *testing.T) {
	type move struct {
		rule     string
		priority int32
	}
	for _, test := range []struct {
		name    string
		moves   []move
		unmoved map[string]string // rule to failure code
		want    []string
	}{
		{"one", []move{{"aaa", 9}}, nil, []string{"aaa 9", "bbb 2", "ccc 3"}},
		{"two change places", []move{{"aaa", 2}, {"bbb", 1}}, nil, []string{"aaa 2", "bbb 1", "ccc 3"}},
		{"three in a ring", []move{{"aaa", 2}, {"bbb", 3}, {"ccc", 1}}, nil, []string{"aaa 2", "bbb 3", "ccc 1"}},
		{"all one up", []move{{"aaa", 2}, {"bbb", 3}, {"ccc", 4}}, nil, []string{"aaa 2", "bbb 3", "ccc 4"}},
		{"to where it is", []move{{"aaa", 1}}, nil, []string{"aaa 1", "bbb 2", "ccc 3"}},
		{"one that is taken", []move{{"aaa", 3}, {"bbb", 8}}, map[string]string{"aaa": "ConflictException"}, []string{"aaa 1", "bbb 8", "ccc 3"}},
		{"two to one place", []move{{"aaa", 8}, {"bbb", 8}}, map[string]string{"bbb": "ConflictException"}, []string{"aaa 8", "bbb 2", "ccc 3"}},
		{
			"one that fails keeps its place from another",
			[]move{{"aaa", 2}, {"bbb", 3}},
			map[string]string{"aaa": "ConflictException", "bbb": "ConflictException"},
			[]string{"aaa 1", "bbb 2", "ccc 3"},
		},
		{"one that is not there", []move{{"aaa", 9}, {"zzz", 8}}, map[string]string{"zzz": "ResourceNotFoundException"}, []string{"aaa 9", "bbb 2", "ccc 3"}},
		{"one that is not there and wanted a place", []move{{"zzz", 1}, {"bbb", 1}, {"aaa", 2}}, map[string]string{"zzz": "ResourceNotFoundException"}, []string{"aaa 2", "bbb 1", "ccc 3"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRuled(t, 1, 2, 3)
			r.ids["zzz"] = aws.String("rule-00000000000000000")
			names := map[string]string{}
			for n, id := range r.ids {
				names[*id] = n
			}
			var updates []types.RuleUpdate
			for _, m := range test.moves {
				updates = append(updates, types.RuleUpdate{RuleIdentifier: r.ids[m.rule], Priority: aws.Int32(m.priority)})
			}
			out := must[*vpclattice.BatchUpdateRuleOutput](r.world)(r.batch(updates...))
			failed := map[string]string{}
			for _, f := range out.Unsuccessful {
				failed[names[*f.RuleIdentifier]] = *f.FailureCode
				if f.FailureMessage == nil || *f.FailureMessage == "" {
					t.Errorf("no message for %s", *f.RuleIdentifier)
				}
			}
			if diff := cmp.Diff(test.unmoved, failed); diff != "" && len(test.unmoved)+len(failed) > 0 {
				t.Errorf("failures (-want +got)\n%s", diff)
			}
			if len(out.Successful)+len(out.Unsuccessful) != len(test.moves) {
				t.Errorf("%d moves, answered %d and %d", len(test.moves), len(out.Successful), len(out.Unsuccessful))
			}
			if diff := cmp.Diff(test.want, r.priorities()); diff != "" {
				t.Errorf("priorities (-want +got)\n%s", diff)
			}
			// What is free can be taken, what is not cannot.
			taken := map[string]bool{}
			for _, p := range test.want {
				taken[strings.Fields(p)[1]] = true
			}
			for p := int32(1); p <= 9; p++ {
				_, err := r.create(fmt.Sprintf("new%d", p), p, prefix("/"), fixed(404))
				if (err != nil) != taken[fmt.Sprint(p)] {
					t.Errorf("priority %d, taken %t: %v", p, taken[fmt.Sprint(p)], err)
				}
			}
			// And nothing is left of it all.
			must[any](r.world)(r.DeleteService(ctx, &vpclattice.DeleteServiceInput{ServiceIdentifier: r.service}))
			if left := r.contents(); left != "" {
				t.Errorf("left\n%s", left)
			}
		})
	}
}

func TestBatchChangesEverything(t *testing.T) {
	r := newRuled(t, 1, 2)
	g := r.group("rates")
	out := must[*vpclattice.BatchUpdateRuleOutput](r.world)(r.batch(
		types.RuleUpdate{RuleIdentifier: r.ids["aaa"], Match: prefix("/new"), Action: forward(g.Id)},
		types.RuleUpdate{RuleIdentifier: r.ids["bbb"], Action: forward(aws.String("tg-00000000000000000"))},
	))
	if len(out.Successful) != 1 || *out.Successful[0].Priority != 1 || *out.Successful[0].Name != "aaa" || *out.Successful[0].IsDefault || len(out.Unsuccessful) != 1 || *out.Unsuccessful[0].FailureCode != "ResourceNotFoundException" {
		t.Errorf("batch %+v", out)
	}
	got := must[*vpclattice.GetRuleOutput](r.world)(r.GetRule(ctx, &vpclattice.GetRuleInput{ServiceIdentifier: r.service, ListenerIdentifier: r.listener, RuleIdentifier: r.ids["aaa"]}))
	if p := got.Match.(*types.RuleMatchMemberHttpMatch).Value.PathMatch.Match.(*types.PathMatchTypeMemberPrefix).Value; p != "/new" {
		t.Errorf("match %s", p)
	}
	if id := got.Action.(*types.RuleActionMemberForward).Value.TargetGroups[0].TargetGroupIdentifier; *id != *g.Id {
		t.Errorf("action to %s", *id)
	}
	// A rule named twice has no order of its updates.
	mustRefuse(r.world, "ValidationException", func(context.Context) (any, error) {
		return r.batch(types.RuleUpdate{RuleIdentifier: r.ids["aaa"], Priority: aws.Int32(5)}, types.RuleUpdate{RuleIdentifier: got.Arn, Priority: aws.Int32(6)})
	}, "named twice")
	mustRefuse(r.world, "ResourceNotFoundException", func(ctx context.Context) (any, error) {
		return r.BatchUpdateRule(ctx, &vpclattice.BatchUpdateRuleInput{ServiceIdentifier: r.service, ListenerIdentifier: aws.String("listener-00000000000000000"), Rules: []types.RuleUpdate{{RuleIdentifier: r.ids["aaa"]}}})
	})
}

// TestDefaultRule: it is listed and read as a rule, and changed through its listener
// only.
func TestDefaultRule(t *testing.T) {
	r := newRuled(t, 1)
	list := must[*vpclattice.ListRulesOutput](r.world)(r.ListRules(ctx, &vpclattice.ListRulesInput{ServiceIdentifier: r.service, ListenerIdentifier: r.listener}))
	if len(list.Items) != 2 || !*list.Items[0].IsDefault || *list.Items[1].IsDefault {
		t.Fatalf("rules %+v", list.Items)
	}
	id := list.Items[0].Id
	for _, identifier := range []*string{id, list.Items[0].Arn} {
		got := must[*vpclattice.GetRuleOutput](r.world)(r.GetRule(ctx, &vpclattice.GetRuleInput{ServiceIdentifier: r.service, ListenerIdentifier: r.listener, RuleIdentifier: identifier}))
		if !*got.IsDefault || got.Match != nil || got.Priority != nil || *got.Name != "default" || got.Action.(*types.RuleActionMemberFixedResponse).Value.StatusCode == nil {
			t.Errorf("default rule %+v", got)
		}
		mustRefuse(r.world, "ValidationException", func(ctx context.Context) (any, error) {
			return r.UpdateRule(ctx, &vpclattice.UpdateRuleInput{ServiceIdentifier: r.service, ListenerIdentifier: r.listener, RuleIdentifier: identifier, Priority: aws.Int32(7)})
		}, "update-listener")
		mustRefuse(r.world, "ValidationException", func(ctx context.Context) (any, error) {
			return r.DeleteRule(ctx, &vpclattice.DeleteRuleInput{ServiceIdentifier: r.service, ListenerIdentifier: r.listener, RuleIdentifier: identifier})
		}, "delete the listener")
		out := must[*vpclattice.BatchUpdateRuleOutput](r.world)(r.batch(types.RuleUpdate{RuleIdentifier: identifier, Priority: aws.Int32(7)}))
		if len(out.Unsuccessful) != 1 || *out.Unsuccessful[0].FailureCode != "ValidationException" {
			t.Errorf("batch %+v", out)
		}
	}
	must[any](r.world)(r.UpdateListener(ctx, &vpclattice.UpdateListenerInput{ServiceIdentifier: r.service, ListenerIdentifier: r.listener, DefaultAction: fixed(500)}))
	got := must[*vpclattice.GetRuleOutput](r.world)(r.GetRule(ctx, &vpclattice.GetRuleInput{ServiceIdentifier: r.service, ListenerIdentifier: r.listener, RuleIdentifier: id}))
	if s := got.Action.(*types.RuleActionMemberFixedResponse).Value.StatusCode; *s != 500 {
		t.Errorf("the default rule answers %d", *s)
	}

	// What lists rules asks for the tags of each.
	arn := list.Items[0].Arn
	tags := func(arn *string) map[string]string {
		return must[*vpclattice.ListTagsForResourceOutput](r.world)(r.ListTagsForResource(ctx, &vpclattice.ListTagsForResourceInput{ResourceArn: arn})).Tags
	}
	if got := tags(arn); len(got) != 0 {
		t.Errorf("tags %v", got)
	}
	must[any](r.world)(r.TagResource(ctx, &vpclattice.TagResourceInput{ResourceArn: arn, Tags: map[string]string{"a": "1", "b": "2"}}))
	must[any](r.world)(r.UntagResource(ctx, &vpclattice.UntagResourceInput{ResourceArn: arn, TagKeys: []string{"a"}}))
	listener := aws.String(strings.SplitN(*arn, "/rule/", 2)[0])
	if got, of := tags(arn), tags(listener); len(got) != 1 || got["b"] != "2" || len(of) != 0 {
		t.Errorf("tags %v, of the listener %v", got, of)
	}
}

func TestMatches(t *testing.T) {
	r := newRuled(t)
	path := func(m types.PathMatchType) *types.PathMatch { return &types.PathMatch{Match: m} }
	header := func(name string, m types.HeaderMatchType) types.HeaderMatch {
		return types.HeaderMatch{Name: &name, Match: m}
	}
	good := []types.HttpMatch{
		{Method: aws.String("GET")},
		{PathMatch: path(&types.PathMatchTypeMemberExact{Value: "/a"})},
		{HeaderMatches: []types.HeaderMatch{header("x-a", &types.HeaderMatchTypeMemberContains{Value: "b"})}},
	}
	for i, m := range good {
		out := must[*vpclattice.CreateRuleOutput](r.world)(r.create(name(i), int32(i+1), &types.RuleMatchMemberHttpMatch{Value: m}, fixed(404)))
		got := out.Match.(*types.RuleMatchMemberHttpMatch).Value
		if got.HeaderMatches == nil || len(got.HeaderMatches) != len(m.HeaderMatches) || aws.ToString(got.Method) != aws.ToString(m.Method) {
			t.Errorf("match %+v", got)
		}
		for _, h := range got.HeaderMatches {
			if h.CaseSensitive == nil || *h.CaseSensitive {
				t.Errorf("header %+v", h)
			}
		}
		if got.PathMatch != nil && (got.PathMatch.CaseSensitive == nil || *got.PathMatch.CaseSensitive) {
			t.Errorf("path %+v", got.PathMatch)
		}
	}
	six := make([]types.HeaderMatch, 6)
	for i := range six {
		six[i] = header(fmt.Sprint("x-", i), &types.HeaderMatchTypeMemberExact{Value: "1"})
	}
	for _, m := range []types.HttpMatch{
		{},
		{Method: aws.String("")},
		{PathMatch: path(&types.PathMatchTypeMemberExact{Value: "a"})},
		{PathMatch: path(&types.PathMatchTypeMemberExact{Value: "/" + strings.Repeat("a", 200)})},
		{Method: aws.String("TOO-LONG-A-METHOD")},
		{HeaderMatches: six},
	} {
		mustRefuse(r.world, "ValidationException", func(context.Context) (any, error) {
			return r.create("bad", 9, &types.RuleMatchMemberHttpMatch{Value: m}, fixed(404))
		})
		mustRefuse(r.world, "ValidationException", func(ctx context.Context) (any, error) {
			return r.UpdateRule(ctx, &vpclattice.UpdateRuleInput{ServiceIdentifier: r.service, ListenerIdentifier: r.listener, RuleIdentifier: aws.String(*must[*vpclattice.ListRulesOutput](r.world)(r.ListRules(ctx, &vpclattice.ListRulesInput{ServiceIdentifier: r.service, ListenerIdentifier: r.listener})).Items[1].Id), Match: &types.RuleMatchMemberHttpMatch{Value: m}})
		})
	}
	for _, priority := range []int32{0, 2001} {
		mustRefuse(r.world, "ValidationException", func(context.Context) (any, error) {
			return r.create("bad", priority, prefix("/"), fixed(404))
		})
	}
	for i, priority := range []int32{1000, 2000} {
		must[any](r.world)(r.create(fmt.Sprint("edge", i), priority, prefix("/"), fixed(404)))
	}
	mustRefuse(r.world, "ValidationException", func(context.Context) (any, error) {
		return r.create("rule-bad", 9, prefix("/"), fixed(404))
	})
}

// TestActions of listeners and rules.
// Source: VPC Lattice User Guide, "Listeners" and "Listener rules".
func TestActions(t *testing.T) {
	r := newRuled(t)
	one, two := r.group("one"), r.group("two")
	weighted := func(weights ...*int32) types.RuleAction {
		f := types.ForwardAction{TargetGroups: []types.WeightedTargetGroup{}}
		for i, w := range weights {
			f.TargetGroups = append(f.TargetGroups, types.WeightedTargetGroup{TargetGroupIdentifier: []*string{one.Id, two.Arn}[i%2], Weight: w})
		}
		return &types.RuleActionMemberForward{Value: f}
	}
	out := must[*vpclattice.CreateRuleOutput](r.world)(r.create("both", 1, prefix("/"), weighted(aws.Int32(0), aws.Int32(999))))
	got := out.Action.(*types.RuleActionMemberForward).Value.TargetGroups
	if len(got) != 2 || *got[0].Weight != 0 || *got[1].Weight != 999 || *got[1].TargetGroupIdentifier != *two.Id {
		t.Errorf("action %+v", got)
	}
	for _, test := range []struct {
		action types.RuleAction
		code   string
		text   string
	}{
		{weighted(nil, nil), "ValidationException", "weight is required"},
		{weighted(aws.Int32(1), nil), "ValidationException", "weight is required"},
		{weighted(aws.Int32(1), aws.Int32(1), aws.Int32(1)), "ValidationException", "named twice"},
		{weighted(aws.Int32(1000)), "ValidationException", ""},
		{weighted(), "ValidationException", ""},
		{weighted(make([]*int32, 11)...), "ValidationException", ""},
		{fixed(403), "ValidationException", "404 or 500"},
		{forward(aws.String("tg-00000000000000000")), "ResourceNotFoundException", "tg-00000000000000000"},
	} {
		mustRefuse(r.world, test.code, func(context.Context) (any, error) { return r.create("bad", 9, prefix("/"), test.action) }, test.text)
		mustRefuse(r.world, test.code, func(ctx context.Context) (any, error) {
			return r.UpdateRule(ctx, &vpclattice.UpdateRuleInput{ServiceIdentifier: r.service, ListenerIdentifier: r.listener, RuleIdentifier: out.Id, Action: test.action})
		}, test.text)
		mustRefuse(r.world, test.code, func(ctx context.Context) (any, error) {
			return r.UpdateListener(ctx, &vpclattice.UpdateListenerInput{ServiceIdentifier: r.service, ListenerIdentifier: r.listener, DefaultAction: test.action})
		}, test.text)
		mustRefuse(r.world, test.code, func(ctx context.Context) (any, error) {
			return r.CreateListener(ctx, &vpclattice.CreateListenerInput{ServiceIdentifier: r.service, Name: aws.String("bad"), Port: aws.Int32(81), Protocol: types.ListenerProtocolHttp, DefaultAction: test.action})
		}, test.text)
	}
}
