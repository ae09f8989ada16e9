package lattice

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/latchwork/latchwork/internal/fault"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/store"
	wire "github.com/latchwork/latchwork/internal/wire/vpclattice"
)

// change is what a batch makes of one rule.
type change struct {
	identifier    *string
	before, after *model.Rule
}

// BatchUpdateRule implements vpc-lattice:BatchUpdateRule. Rules that fail are
// reported and the others changed; priorities must be unique when all is done, so
// that two rules can change places.
// Source: VPC Lattice API Reference, BatchUpdateRule.
func (s *Service) BatchUpdateRule(ctx context.Context, in *wire.BatchUpdateRuleRequest) (*wire.BatchUpdateRuleResponse, error) {
	scope := s.scope(ctx)
	var out *wire.BatchUpdateRuleResponse
	err := s.cfg.Update(ctx, func(tx *store.Tx) error {
		out = &wire.BatchUpdateRuleResponse{Successful: []wire.RuleUpdateSuccess{}, Unsuccessful: []wire.RuleUpdateFailure{}}
		fail := func(identifier *string, err *fault.Error) {
			out.Unsuccessful = append(out.Unsuccessful, wire.RuleUpdateFailure{
				RuleIdentifier: identifier, FailureCode: &err.Code, FailureMessage: &err.Message,
			})
		}
		v, l, _, err := s.listener(tx, scope, *in.ServiceIdentifier, *in.ListenerIdentifier)
		if err != nil {
			return err
		}
		var changes []change
		for i, u := range in.Rules {
			before, after, err := s.changed(tx, scope, v, l, u)
			var public *fault.Error
			switch {
			case errors.As(err, &public):
				fail(u.RuleIdentifier, public)
				continue
			case err != nil:
				return err
			case slices.ContainsFunc(changes, func(c change) bool { return c.after.ID == after.ID }):
				return invalid(fmt.Sprintf("rules[%d].ruleIdentifier", i), "rule %s is named twice", after.ID)
			}
			changes = append(changes, change{u.RuleIdentifier, before, after})
		}
		for {
			i, err := clash(tx, scope, l, changes)
			var taken *fault.Error
			if !errors.As(err, &taken) {
				if err != nil {
					return err
				}
				break
			}
			fail(changes[i].identifier, taken)
			changes = slices.Delete(changes, i, i+1)
		}
		for _, c := range changes {
			if err := release(tx, scope, priorityClaim(l), fmt.Sprint(c.before.Priority)); err != nil {
				return err
			}
		}
		var before, after []*wire.RuleAction
		for _, c := range changes {
			r := c.after
			before, after = append(before, c.before.Action), append(after, r.Action)
			if err := claimPriority(tx, scope, l, r); err != nil {
				return err
			}
			if err := model.Rules.Put(tx, scope.Key(v.ID, l.ID, r.ID), r); err != nil {
				return err
			}
			out.Successful = append(out.Successful, wire.RuleUpdateSuccess{
				Action: r.Action, Arn: &r.ARN, Id: &r.ID, IsDefault: new(false), Match: r.Match, Name: &r.Name, Priority: &r.Priority,
			})
		}
		return replaced(tx, scope, v.ID, before, after)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// clash finds a change whose priority another rule has when all is done, and the
// error to report for it. A rule that fails keeps its priority, so what wanted that
// one may fail after it.
func clash(tx *store.Tx, scope model.Scope, l *model.Listener, changes []change) (int, error) {
	wanted := map[int64]string{}
	for i, c := range changes {
		if other, ok := wanted[c.after.Priority]; ok {
			return i, priorityTaken(l, c.after, other)
		}
		wanted[c.after.Priority] = c.after.ID
		holder, err := model.Unique.Get(tx, scope.Key(priorityClaim(l), fmt.Sprint(c.after.Priority)))
		if err != nil {
			return i, err
		}
		if holder != nil && !slices.ContainsFunc(changes, func(c change) bool { return c.after.ID == holder.ID }) {
			return i, priorityTaken(l, c.after, holder.ID)
		}
	}
	return 0, nil
}
