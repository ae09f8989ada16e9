package lattice

import (
	"context"
	"fmt"

	"github.com/latchwork/latchwork/internal/fault"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/store"
	wire "github.com/latchwork/latchwork/internal/wire/vpclattice"
)

// defaultRuleName is how the default rule of a listener is called.
const defaultRuleName = "default"

func (s *Service) rule(tx *store.Tx, scope model.Scope, v *model.Service, l *model.Listener, identifier string) (*model.Rule, string, error) {
	return find(tx, model.Rules, scope, typeRule, identifier, v.ID, l.ID)
}

// defaultRule is the rule that a listener's default action is shown as.
func defaultRule(l *model.Listener) *model.Rule {
	r := &model.Rule{Meta: l.Meta, Service: l.Service, Listener: l.ID, Action: l.DefaultAction}
	r.ID, r.ARN, r.Name, r.Tags = l.DefaultRule, l.ARN+"/rule/"+l.DefaultRule, defaultRuleName, l.DefaultRuleTags
	return r
}

func isDefault(r *model.Rule) bool { return r.Match == nil }

func priorityOf(r *model.Rule) *int64 {
	if isDefault(r) {
		return nil
	}
	return &r.Priority
}

// match checks a match and fills its defaults in.
func match(m *wire.RuleMatch) (*wire.RuleMatch, error) {
	if m.HttpMatch == nil {
		return nil, invalid("match", "match must have httpMatch")
	}
	h := *m.HttpMatch
	if model.Deref(h.Method) == "" && h.PathMatch == nil && len(h.HeaderMatches) == 0 {
		return nil, invalid("match.httpMatch", "httpMatch must have a method, a pathMatch or headerMatches")
	}
	if h.PathMatch != nil {
		p := *h.PathMatch
		if p.CaseSensitive == nil {
			p.CaseSensitive = new(false)
		}
		h.PathMatch = &p
	}
	// Clients compare with a list that is there and empty.
	headers := make([]wire.HeaderMatch, 0, len(h.HeaderMatches))
	for _, header := range h.HeaderMatches {
		if header.CaseSensitive == nil {
			header.CaseSensitive = new(false)
		}
		headers = append(headers, header)
	}
	h.HeaderMatches = headers
	return &wire.RuleMatch{HttpMatch: &h}, nil
}

func priorityClaim(l *model.Listener) string { return "rulepriority/" + l.Service + "/" + l.ID }

func claimPriority(tx *store.Tx, scope model.Scope, l *model.Listener, r *model.Rule) error {
	return claim(tx, scope, priorityClaim(l), fmt.Sprint(r.Priority), r.ID, func(holder string) error {
		return priorityTaken(l, r, holder)
	})
}

func priorityTaken(l *model.Listener, r *model.Rule, holder string) *fault.Error {
	return conflict(typeRule, holder, "Rule %s of listener %s has priority %d already", holder, l.ID, r.Priority)
}

// CreateRule implements vpc-lattice:CreateRule.
func (s *Service) CreateRule(ctx context.Context, in *wire.CreateRuleRequest) (*wire.CreateRuleResponse, error) {
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	m, err := match(in.Match)
	if err != nil {
		return nil, err
	}
	scope := s.scope(ctx)
	var r *model.Rule
	err = s.cfg.Update(ctx, func(tx *store.Tx) error {
		v, l, _, err := s.listener(tx, scope, *in.ServiceIdentifier, *in.ListenerIdentifier)
		if err != nil {
			return err
		}
		action, err := s.action(tx, scope, v, l.Protocol, "action", in.Action)
		if err != nil {
			return err
		}
		id := model.NewID("rule")
		r = &model.Rule{
			Meta:    s.meta(scope, id, "service/"+v.ID+"/listener/"+l.ID+"/rule/"+id, *in.Name, in.Tags),
			Service: v.ID, Listener: l.ID, Match: m, Priority: *in.Priority, Action: action,
		}
		if err := claim(tx, scope, "rule/"+v.ID+"/"+l.ID, r.Name, id, nameTaken(typeRule, r.Name)); err != nil {
			return err
		}
		if err := claimPriority(tx, scope, l, r); err != nil {
			return err
		}
		if err := model.Rules.Put(tx, scope.Key(v.ID, l.ID, id), r); err != nil {
			return err
		}
		return replaced(tx, scope, v.ID, nil, []*wire.RuleAction{action})
	})
	if err != nil {
		return nil, err
	}
	return &wire.CreateRuleResponse{Action: r.Action, Arn: &r.ARN, Id: &r.ID, Match: r.Match, Name: &r.Name, Priority: &r.Priority}, nil
}

// GetRule implements vpc-lattice:GetRule.
func (s *Service) GetRule(ctx context.Context, in *wire.GetRuleRequest) (*wire.GetRuleResponse, error) {
	scope := s.scope(ctx)
	var r *model.Rule
	err := s.cfg.View(ctx, func(tx *store.Tx) error {
		v, l, _, err := s.listener(tx, scope, *in.ServiceIdentifier, *in.ListenerIdentifier)
		if err != nil {
			return err
		}
		id, err := identify(scope, typeRule, *in.RuleIdentifier, v.ID, l.ID)
		if err != nil {
			return err
		}
		if id == l.DefaultRule {
			r = defaultRule(l)
			return nil
		}
		r, _, err = s.rule(tx, scope, v, l, *in.RuleIdentifier)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &wire.GetRuleResponse{
		Action: r.Action, Arn: &r.ARN, CreatedAt: at(r.Created), Id: &r.ID, IsDefault: new(isDefault(r)),
		LastUpdatedAt: at(r.Updated), Match: r.Match, Name: &r.Name, Priority: priorityOf(r),
	}, nil
}

// ListRules implements vpc-lattice:ListRules. The default rule is one of them.
func (s *Service) ListRules(ctx context.Context, in *wire.ListRulesRequest) (*wire.ListRulesResponse, error) {
	scope := s.scope(ctx)
	read := func(tx *store.Tx) ([]*model.Rule, error) {
		v, l, _, err := s.listener(tx, scope, *in.ServiceIdentifier, *in.ListenerIdentifier)
		if err != nil {
			return nil, err
		}
		rules, err := all(model.Rules, scope.Prefix(v.ID, l.ID), nil)(tx)
		return append(rules, defaultRule(l)), err
	}
	items, next, err := list(ctx, s, read, func(r *model.Rule) *model.Meta { return &r.Meta },
		func(r *model.Rule) wire.RuleSummary {
			return wire.RuleSummary{
				Arn: &r.ARN, CreatedAt: at(r.Created), Id: &r.ID, IsDefault: new(isDefault(r)), LastUpdatedAt: at(r.Updated),
				Name: &r.Name, Priority: priorityOf(r),
			}
		})
	if err != nil {
		return nil, err
	}
	return &wire.ListRulesResponse{Items: items, NextToken: next}, nil
}

// changed is a rule after an update; members that are not sent keep their value.
func (s *Service) changed(tx *store.Tx, scope model.Scope, v *model.Service, l *model.Listener, u wire.RuleUpdate) (before, after *model.Rule, err error) {
	id, err := identify(scope, typeRule, *u.RuleIdentifier, v.ID, l.ID)
	if err != nil {
		return nil, nil, err
	}
	if id == l.DefaultRule {
		return nil, nil, refused("The default rule cannot be changed: change the default action with update-listener")
	}
	if before, _, err = s.rule(tx, scope, v, l, *u.RuleIdentifier); err != nil {
		return nil, nil, err
	}
	r := *before
	if u.Match != nil {
		if r.Match, err = match(u.Match); err != nil {
			return nil, nil, err
		}
	}
	if u.Action != nil {
		if r.Action, err = s.action(tx, scope, v, l.Protocol, "action", u.Action); err != nil {
			return nil, nil, err
		}
	}
	if u.Priority != nil {
		r.Priority = *u.Priority
	}
	r.Updated = s.cfg.Clock()
	return before, &r, nil
}

// UpdateRule implements vpc-lattice:UpdateRule.
func (s *Service) UpdateRule(ctx context.Context, in *wire.UpdateRuleRequest) (*wire.UpdateRuleResponse, error) {
	scope := s.scope(ctx)
	var r *model.Rule
	err := s.cfg.Update(ctx, func(tx *store.Tx) error {
		v, l, _, err := s.listener(tx, scope, *in.ServiceIdentifier, *in.ListenerIdentifier)
		if err != nil {
			return err
		}
		before, after, err := s.changed(tx, scope, v, l, wire.RuleUpdate{
			RuleIdentifier: in.RuleIdentifier, Match: in.Match, Priority: in.Priority, Action: in.Action,
		})
		if err != nil {
			return err
		}
		r = after
		if before.Priority != after.Priority {
			if err := release(tx, scope, priorityClaim(l), fmt.Sprint(before.Priority)); err != nil {
				return err
			}
			if err := claimPriority(tx, scope, l, after); err != nil {
				return err
			}
		}
		if err := model.Rules.Put(tx, scope.Key(v.ID, l.ID, r.ID), r); err != nil {
			return err
		}
		return replaced(tx, scope, v.ID, []*wire.RuleAction{before.Action}, []*wire.RuleAction{r.Action})
	})
	if err != nil {
		return nil, err
	}
	return &wire.UpdateRuleResponse{
		Action: r.Action, Arn: &r.ARN, Id: &r.ID, IsDefault: new(false), Match: r.Match, Name: &r.Name, Priority: &r.Priority,
	}, nil
}

// DeleteRule implements vpc-lattice:DeleteRule.
func (s *Service) DeleteRule(ctx context.Context, in *wire.DeleteRuleRequest) (*wire.DeleteRuleResponse, error) {
	scope := s.scope(ctx)
	return nil, s.cfg.Update(ctx, func(tx *store.Tx) error {
		v, l, _, err := s.listener(tx, scope, *in.ServiceIdentifier, *in.ListenerIdentifier)
		if err != nil {
			return err
		}
		id, err := identify(scope, typeRule, *in.RuleIdentifier, v.ID, l.ID)
		if err != nil {
			return err
		}
		if id == l.DefaultRule {
			return refused("The default rule cannot be deleted: delete the listener")
		}
		r, _, err := s.rule(tx, scope, v, l, *in.RuleIdentifier)
		if err != nil {
			return err
		}
		if err := deleteRule(tx, scope, r); err != nil {
			return err
		}
		return replaced(tx, scope, v.ID, []*wire.RuleAction{r.Action}, nil)
	})
}

// deleteRule leaves the target groups of the rule's action to the caller.
func deleteRule(tx *store.Tx, scope model.Scope, r *model.Rule) error {
	if err := release(tx, scope, "rule/"+r.Service+"/"+r.Listener, r.Name); err != nil {
		return err
	}
	if err := release(tx, scope, "rulepriority/"+r.Service+"/"+r.Listener, fmt.Sprint(r.Priority)); err != nil {
		return err
	}
	return model.Rules.Delete(tx, scope.Key(r.Service, r.Listener, r.ID))
}
