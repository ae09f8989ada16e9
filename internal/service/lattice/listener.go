package lattice

import (
	"context"
	"fmt"

	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/store"
	wire "github.com/latchwork/latchwork/internal/wire/vpclattice"
)

func (s *Service) listener(tx *store.Tx, scope model.Scope, service, identifier string) (*model.Service, *model.Listener, string, error) {
	v, _, err := s.service(tx, scope, service)
	if err != nil {
		return nil, nil, "", err
	}
	l, key, err := find(tx, model.Listeners, scope, typeListener, identifier, v.ID)
	return v, l, key, err
}

// CreateListener implements vpc-lattice:CreateListener. The port defaults to that
// of the protocol.
func (s *Service) CreateListener(ctx context.Context, in *wire.CreateListenerRequest) (*wire.CreateListenerResponse, error) {
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	if *in.Protocol == wire.ListenerProtocolTlsPassthrough {
		return nil, refused("TLS_PASSTHROUGH listeners are not built yet: use HTTPS, whose connections end at the gateway")
	}
	port := int64(80)
	if *in.Protocol == wire.ListenerProtocolHttps {
		port = 443
	}
	if in.Port != nil {
		port = *in.Port
	}
	scope := s.scope(ctx)
	var l *model.Listener
	var v *model.Service
	err := s.cfg.Update(ctx, func(tx *store.Tx) error {
		var err error
		if v, _, err = s.service(tx, scope, *in.ServiceIdentifier); err != nil {
			return err
		}
		id := model.NewID("listener")
		action, err := s.action(tx, scope, v, *in.Protocol, "defaultAction", in.DefaultAction)
		if err != nil {
			return err
		}
		l = &model.Listener{
			Meta:    s.meta(scope, id, "service/"+v.ID+"/listener/"+id, *in.Name, in.Tags),
			Service: v.ID, Protocol: *in.Protocol, Port: port, DefaultAction: action, DefaultRule: model.NewID("rule"),
		}
		if err := claim(tx, scope, "listener/"+v.ID, l.Name, id, nameTaken(typeListener, l.Name)); err != nil {
			return err
		}
		if err := claim(tx, scope, "listenerport/"+v.ID, fmt.Sprint(port), id, func(holder string) error {
			return conflict(typeListener, holder, "Listener %s of service %s has port %d already", holder, v.ID, port)
		}); err != nil {
			return err
		}
		if err := model.Listeners.Put(tx, scope.Key(v.ID, id), l); err != nil {
			return err
		}
		return replaced(tx, scope, v.ID, nil, []*wire.RuleAction{action})
	})
	if err != nil {
		return nil, err
	}
	return &wire.CreateListenerResponse{
		Arn: &l.ARN, DefaultAction: l.DefaultAction, Id: &l.ID, Name: &l.Name, Port: &l.Port, Protocol: &l.Protocol,
		ServiceArn: &v.ARN, ServiceId: &v.ID,
	}, nil
}

// GetListener implements vpc-lattice:GetListener.
func (s *Service) GetListener(ctx context.Context, in *wire.GetListenerRequest) (*wire.GetListenerResponse, error) {
	var out *wire.GetListenerResponse
	err := s.cfg.View(ctx, func(tx *store.Tx) error {
		v, l, _, err := s.listener(tx, s.scope(ctx), *in.ServiceIdentifier, *in.ListenerIdentifier)
		if err != nil {
			return err
		}
		out = &wire.GetListenerResponse{
			Arn: &l.ARN, CreatedAt: at(l.Created), DefaultAction: l.DefaultAction, Id: &l.ID, LastUpdatedAt: at(l.Updated),
			Name: &l.Name, Port: &l.Port, Protocol: &l.Protocol, ServiceArn: &v.ARN, ServiceId: &v.ID,
		}
		return nil
	})
	return out, err
}

// ListListeners implements vpc-lattice:ListListeners.
func (s *Service) ListListeners(ctx context.Context, in *wire.ListListenersRequest) (*wire.ListListenersResponse, error) {
	scope := s.scope(ctx)
	read := func(tx *store.Tx) ([]*model.Listener, error) {
		v, _, err := s.service(tx, scope, *in.ServiceIdentifier)
		if err != nil {
			return nil, err
		}
		return all(model.Listeners, scope.Prefix(v.ID), nil)(tx)
	}
	items, next, err := list(ctx, s, read, func(l *model.Listener) *model.Meta { return &l.Meta },
		func(l *model.Listener) wire.ListenerSummary {
			return wire.ListenerSummary{
				Arn: &l.ARN, CreatedAt: at(l.Created), Id: &l.ID, LastUpdatedAt: at(l.Updated), Name: &l.Name,
				Port: &l.Port, Protocol: &l.Protocol,
			}
		})
	if err != nil {
		return nil, err
	}
	return &wire.ListListenersResponse{Items: items, NextToken: next}, nil
}

// UpdateListener implements vpc-lattice:UpdateListener. Only the default action
// can be changed.
func (s *Service) UpdateListener(ctx context.Context, in *wire.UpdateListenerRequest) (*wire.UpdateListenerResponse, error) {
	scope := s.scope(ctx)
	var l *model.Listener
	var v *model.Service
	err := s.cfg.Update(ctx, func(tx *store.Tx) error {
		var key string
		var err error
		if v, l, key, err = s.listener(tx, scope, *in.ServiceIdentifier, *in.ListenerIdentifier); err != nil {
			return err
		}
		before := l.DefaultAction
		if l.DefaultAction, err = s.action(tx, scope, v, l.Protocol, "defaultAction", in.DefaultAction); err != nil {
			return err
		}
		l.Updated = s.cfg.Clock()
		if err := model.Listeners.Put(tx, key, l); err != nil {
			return err
		}
		return replaced(tx, scope, v.ID, []*wire.RuleAction{before}, []*wire.RuleAction{l.DefaultAction})
	})
	if err != nil {
		return nil, err
	}
	return &wire.UpdateListenerResponse{
		Arn: &l.ARN, DefaultAction: l.DefaultAction, Id: &l.ID, Name: &l.Name, Port: &l.Port, Protocol: &l.Protocol,
		ServiceArn: &v.ARN, ServiceId: &v.ID,
	}, nil
}

// DeleteListener implements vpc-lattice:DeleteListener. Its rules go with it.
func (s *Service) DeleteListener(ctx context.Context, in *wire.DeleteListenerRequest) (*wire.DeleteListenerResponse, error) {
	scope := s.scope(ctx)
	return nil, s.cfg.Update(ctx, func(tx *store.Tx) error {
		_, l, _, err := s.listener(tx, scope, *in.ServiceIdentifier, *in.ListenerIdentifier)
		if err != nil {
			return err
		}
		return deleteListener(tx, scope, l)
	})
}

func deleteListener(tx *store.Tx, scope model.Scope, l *model.Listener) error {
	rules, err := model.Rules.List(tx, scope.Prefix(l.Service, l.ID))
	if err != nil {
		return err
	}
	actions := []*wire.RuleAction{l.DefaultAction}
	for _, r := range rules {
		if err := deleteRule(tx, scope, r.Record); err != nil {
			return err
		}
		actions = append(actions, r.Record.Action)
	}
	if err := release(tx, scope, "listener/"+l.Service, l.Name); err != nil {
		return err
	}
	if err := release(tx, scope, "listenerport/"+l.Service, fmt.Sprint(l.Port)); err != nil {
		return err
	}
	if err := model.Listeners.Delete(tx, scope.Key(l.Service, l.ID)); err != nil {
		return err
	}
	return replaced(tx, scope, l.Service, actions, nil)
}

// action checks an action and fills its defaults in. Target groups are stored by
// their ids, as AWS answers them.
func (s *Service) action(tx *store.Tx, scope model.Scope, v *model.Service, protocol, member string, a *wire.RuleAction) (*wire.RuleAction, error) {
	if f := a.FixedResponse; f != nil {
		// Source: VPC Lattice User Guide, "Listener rules": 404 and 500 only.
		if f.StatusCode == nil || *f.StatusCode != 404 && *f.StatusCode != 500 {
			return nil, invalid(member+".fixedResponse.statusCode", "statusCode of a fixed response must be 404 or 500")
		}
		return a, nil
	}
	if a.Forward == nil {
		return nil, invalid(member, "%s must have forward or fixedResponse", member)
	}
	out := &wire.ForwardAction{}
	seen := map[string]bool{}
	for i, w := range a.Forward.TargetGroups {
		g, _, err := s.targetGroup(tx, scope, *w.TargetGroupIdentifier)
		if err != nil {
			return nil, err
		}
		name := fmt.Sprintf("%s.forward.targetGroups[%d]", member, i)
		switch {
		case seen[g.ID]:
			return nil, invalid(name, "target group %s is named twice", g.ID)
		case w.Weight == nil && len(a.Forward.TargetGroups) > 1:
			return nil, invalid(name+".weight", "weight is required where an action has several target groups")
		case g.Type != wire.TargetGroupTypeLambda && g.Config != nil && model.Deref(g.Config.Protocol) == wire.TargetGroupProtocolTcp:
			return nil, invalid(name, "target group %s has protocol TCP, which an %s listener cannot forward to", g.ID, protocol)
		}
		seen[g.ID] = true
		// Source: AWS CLI command reference, create-listener: a single group without
		// weight has 100.
		weight := int64(100)
		if w.Weight != nil {
			weight = *w.Weight
		}
		// Source: VPC Lattice API Reference, CreateTargetGroup: "A target group can only
		// be used by a single service."
		user, err := userOf(tx, scope, g.ID)
		if err != nil {
			return nil, err
		}
		if user != "" && user != v.ID {
			return nil, conflict(typeTargetGroup, g.ID, "Target group %s is used by %s: a target group belongs to one service", g.ID, scope.ARN(model.LatticeService, "service/"+user))
		}
		out.TargetGroups = append(out.TargetGroups, wire.WeightedTargetGroup{TargetGroupIdentifier: &g.ID, Weight: &weight})
	}
	return &wire.RuleAction{Forward: out}, nil
}
