package lattice

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice/types"
	"github.com/google/go-cmp/cmp"

	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/store"
)

// inUse tells from the stored actions which services forward to which target
// groups.
func (w *world) inUse() map[string]string {
	w.t.Helper()
	scope := model.Scope{Account: w.account, Region: region}
	out := map[string]string{}
	err := shared.View(ctx, func(tx *store.Tx) error {
		listeners, err := model.Listeners.List(tx, scope.Prefix())
		if err != nil {
			return err
		}
		rules, err := model.Rules.List(tx, scope.Prefix())
		if err != nil {
			return err
		}
		add := func(service string, ids map[string]bool) {
			for id := range ids {
				if other := out[id]; other != "" && other != service {
					w.t.Errorf("target group %s is used by %s and %s", id, other, service)
				}
				out[id] = service
			}
		}
		for _, l := range listeners {
			ids := map[string]bool{}
			groups(ids, l.Record.DefaultAction)
			add(l.Record.Service, ids)
		}
		for _, r := range rules {
			ids := map[string]bool{}
			groups(ids, r.Record.Action)
			add(r.Record.Service, ids)
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

// TestUsersFollowActions: whatever is done, allowed or refused, target groups know
// who forwards to them.
func TestUsersFollowActions(t *testing.T) {
	w := newWorld(t)
	const seed = 7
	r := rand.New(rand.NewPCG(seed, 0)) // the same calls in every run
	var made []*string
	for i := range 5 {
		made = append(made, w.group(fmt.Sprint("group", i)).Id)
	}
	action := func() types.RuleAction {
		switch n := r.IntN(len(made)); r.IntN(3) {
		case 0:
			return fixed(404)
		case 1:
			return forward(made[n])
		default:
			return forward(made[n], made[(n+1)%len(made)])
		}
	}
	v1, v2 := w.service("one"), w.service("two")
	succeeded, failed := 0, 0
	for step := range 150 {
		service := []*string{v1.Id, v2.Id}[r.IntN(2)]
		listeners := must[*vpclattice.ListListenersOutput](w)(w.ListListeners(ctx, &vpclattice.ListListenersInput{ServiceIdentifier: service})).Items
		var err error
		name := fmt.Sprint("step", step)
		if len(listeners) == 0 || r.IntN(8) == 0 {
			_, err = w.CreateListener(ctx, &vpclattice.CreateListenerInput{ServiceIdentifier: service, Name: &name, Protocol: "HTTP", Port: aws.Int32(int32(1 + step)), DefaultAction: action()})
		} else {
			l := listeners[r.IntN(len(listeners))].Id
			rules := must[*vpclattice.ListRulesOutput](w)(w.ListRules(ctx, &vpclattice.ListRulesInput{ServiceIdentifier: service, ListenerIdentifier: l})).Items[1:]
			switch kind := r.IntN(7); {
			case kind == 0:
				_, err = w.UpdateListener(ctx, &vpclattice.UpdateListenerInput{ServiceIdentifier: service, ListenerIdentifier: l, DefaultAction: action()})
			case kind == 1 && r.IntN(2) == 0:
				_, err = w.DeleteListener(ctx, &vpclattice.DeleteListenerInput{ServiceIdentifier: service, ListenerIdentifier: l})
			case len(rules) < 2 || kind == 2:
				_, err = w.CreateRule(ctx, &vpclattice.CreateRuleInput{ServiceIdentifier: service, ListenerIdentifier: l, Name: &name, Priority: aws.Int32(int32(1 + r.IntN(9))), Match: prefix("/"), Action: action()})
			case kind < 5:
				// Priorities that clash and actions that fail, beside ones that do not.
				_, err = w.BatchUpdateRule(ctx, &vpclattice.BatchUpdateRuleInput{ServiceIdentifier: service, ListenerIdentifier: l, Rules: []types.RuleUpdate{
					{RuleIdentifier: rules[0].Id, Priority: aws.Int32(int32(1 + r.IntN(9))), Action: action()}, {RuleIdentifier: rules[1].Id, Priority: aws.Int32(int32(1 + r.IntN(9))), Action: action()},
				}})
			case kind == 5:
				_, err = w.UpdateRule(ctx, &vpclattice.UpdateRuleInput{ServiceIdentifier: service, ListenerIdentifier: l, RuleIdentifier: rules[0].Id, Action: action()})
			default:
				_, err = w.DeleteRule(ctx, &vpclattice.DeleteRuleInput{ServiceIdentifier: service, ListenerIdentifier: l, RuleIdentifier: rules[0].Id})
			}
		}
		if err == nil {
			succeeded++
		} else {
			failed++
		}
		var known map[string]string
		if err := shared.View(ctx, func(tx *store.Tx) (err error) {
			known, err = users(tx, model.Scope{Account: w.account, Region: region})
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(w.inUse(), known); diff != "" {
			t.Fatalf("seed %d, step %d, after %v (-stored actions +users)\n%s", seed, step, err, diff)
		}
	}
	if succeeded < 30 || failed < 10 {
		t.Errorf("%d calls succeeded and %d failed: this tries too little", succeeded, failed)
	}
	for _, v := range []*string{v1.Id, v2.Id} {
		must[any](w)(w.DeleteService(ctx, &vpclattice.DeleteServiceInput{ServiceIdentifier: v}))
	}
	for _, g := range made {
		must[any](w)(w.DeleteTargetGroup(ctx, &vpclattice.DeleteTargetGroupInput{TargetGroupIdentifier: g}))
	}
	if left := w.contents(); left != "" {
		t.Errorf("left\n%s", left)
	}
}
