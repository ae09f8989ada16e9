package lattice

import (
	"context"
	"net/netip"
	"strconv"
	"strings"

	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/store"
	wire "github.com/latchwork/latchwork/internal/wire/vpclattice"
)

// drained tells whether a target was deregistered so long ago that it is gone.
func (s *Service) drained(t *model.Target) bool {
	return !t.Draining.IsZero() && s.cfg.Clock().Sub(t.Draining) >= s.cfg.DrainTime
}

// targets reads a group's targets; those that have drained are none.
func (s *Service) targets(tx *store.Tx, scope model.Scope, group string) ([]*model.Target, error) {
	return all(model.Targets, scope.Prefix(group), func(t *model.Target) bool { return !s.drained(t) })(tx)
}

// maxSweep bounds what one transaction removes beside its own business: one commit
// takes so many writes.
const maxSweep = 64

// sweep removes drained targets, maxSweep at most, and tells whether there may be
// more.
func (s *Service) sweep(tx *store.Tx, scope model.Scope, group string) (more bool, err error) {
	items, err := model.Targets.List(tx, scope.Prefix(group))
	if err != nil {
		return false, err
	}
	n := 0
	for _, item := range items {
		if !s.drained(item.Record) {
			continue
		}
		if n == maxSweep {
			return true, nil
		}
		n++
		if err := model.Targets.Delete(tx, item.ID); err != nil {
			return false, err
		}
	}
	return false, nil
}

// targetKey is where a target is stored. One address is one target, however it is
// written.
func targetKey(id string, port int64) string {
	if addr, err := netip.ParseAddr(id); err == nil {
		id = addr.String()
	}
	return model.TargetKey(id, port)
}

// badTarget says why a target cannot be in a group, or nothing.
func badTarget(g *model.TargetGroup, id string) string {
	switch g.Type {
	case wire.TargetGroupTypeIp:
		addr, err := netip.ParseAddr(id)
		switch {
		case err != nil:
			return "id " + strconv.Quote(id) + " is not an IP address"
		case addr.IsMulticast() || addr.IsUnspecified():
			return "an address of this kind cannot be a target"
		case addr.Is4() != (model.Deref(g.Config.IpAddressType) == wire.IpAddressTypeIpv4):
			return "the target group has the address type " + model.Deref(g.Config.IpAddressType)
		}
	case wire.TargetGroupTypeInstance:
		if _, err := netip.ParseAddr(id); err == nil {
			return "the target group takes instance ids or host names, not addresses"
		}
		if strings.ContainsAny(id, "/?#@: ") {
			return "id is neither an instance id nor a host name"
		}
	}
	return ""
}

// RegisterTargets implements vpc-lattice:RegisterTargets. A target that is there
// already stays as it is.
func (s *Service) RegisterTargets(ctx context.Context, in *wire.RegisterTargetsRequest) (*wire.RegisterTargetsResponse, error) {
	scope := s.scope(ctx)
	var out *wire.RegisterTargetsResponse
	err := s.cfg.Update(ctx, func(tx *store.Tx) error {
		out = &wire.RegisterTargetsResponse{Successful: []wire.Target{}, Unsuccessful: []wire.TargetFailure{}}
		g, _, err := s.targetGroup(tx, scope, *in.TargetGroupIdentifier)
		if err != nil {
			return err
		}
		for _, t := range in.Targets {
			port := t.Port
			if port == nil {
				port = g.Config.Port
			}
			if reason := badTarget(g, *t.Id); reason != "" {
				out.Unsuccessful = append(out.Unsuccessful, wire.TargetFailure{
					Id: t.Id, Port: port, FailureCode: new("UnsupportedTarget"), FailureMessage: &reason,
				})
				continue
			}
			key := scope.Key(g.ID, targetKey(*t.Id, *port))
			before, err := model.Targets.Get(tx, key)
			if err != nil {
				return err
			}
			if before == nil || !before.Draining.IsZero() {
				record := &model.Target{Group: g.ID, ID: *t.Id, Port: *port, Created: s.cfg.Clock()}
				if err := model.Targets.Put(tx, key, record); err != nil {
					return err
				}
			}
			out.Successful = append(out.Successful, wire.Target{Id: t.Id, Port: port})
		}
		return nil
	})
	return out, err
}

// DeregisterTargets implements vpc-lattice:DeregisterTargets. A target gets no new
// requests from here on and is listed as draining for a while.
func (s *Service) DeregisterTargets(ctx context.Context, in *wire.DeregisterTargetsRequest) (*wire.DeregisterTargetsResponse, error) {
	scope := s.scope(ctx)
	var out *wire.DeregisterTargetsResponse
	err := s.cfg.Update(ctx, func(tx *store.Tx) error {
		out = &wire.DeregisterTargetsResponse{Successful: []wire.Target{}, Unsuccessful: []wire.TargetFailure{}}
		g, _, err := s.targetGroup(tx, scope, *in.TargetGroupIdentifier)
		if err != nil {
			return err
		}
		user, err := userOf(tx, scope, g.ID)
		if err != nil {
			return err
		}
		// What is left of drained targets grows with every deployment otherwise.
		if _, err := s.sweep(tx, scope, g.ID); err != nil {
			return err
		}
		for _, t := range in.Targets {
			port := t.Port
			if port == nil {
				port = g.Config.Port
			}
			key := scope.Key(g.ID, targetKey(*t.Id, *port))
			record, err := model.Targets.Get(tx, key)
			if err != nil {
				return err
			}
			if record == nil {
				out.Unsuccessful = append(out.Unsuccessful, wire.TargetFailure{
					Id: t.Id, Port: port, FailureCode: new("TargetNotFound"), FailureMessage: new("the target is not registered"),
				})
				continue
			}
			// A group that nobody uses has nothing to drain.
			if user == "" {
				err = model.Targets.Delete(tx, key)
			} else if record.Draining.IsZero() {
				record.Draining = s.cfg.Clock()
				err = model.Targets.Put(tx, key, record)
			}
			if err != nil {
				return err
			}
			out.Successful = append(out.Successful, wire.Target{Id: t.Id, Port: port})
		}
		return nil
	})
	return out, err
}

// ListTargets implements vpc-lattice:ListTargets.
func (s *Service) ListTargets(ctx context.Context, in *wire.ListTargetsRequest) (*wire.ListTargetsResponse, error) {
	scope := s.scope(ctx)
	var g *model.TargetGroup
	used := false
	read := func(tx *store.Tx) ([]*model.Target, error) {
		var err error
		if g, _, err = s.targetGroup(tx, scope, *in.TargetGroupIdentifier); err != nil {
			return nil, err
		}
		user, err := userOf(tx, scope, g.ID)
		if err != nil {
			return nil, err
		}
		used = user != ""
		targets, err := s.targets(tx, scope, g.ID)
		if len(in.Targets) == 0 {
			return targets, err
		}
		var kept []*model.Target
		for _, t := range targets {
			for _, want := range in.Targets {
				port := model.Deref(want.Port)
				if want.Port == nil {
					port = t.Port
				}
				if targetKey(*want.Id, port) == targetKey(t.ID, t.Port) {
					kept = append(kept, t)
					break
				}
			}
		}
		return kept, err
	}
	items, next, err := list(ctx, s, read,
		func(t *model.Target) *model.Meta {
			return &model.Meta{ID: model.TargetKey(t.ID, t.Port), Created: t.Created}
		},
		func(t *model.Target) wire.TargetSummary {
			status, reason := s.health(g, t, used)
			return wire.TargetSummary{Id: &t.ID, Port: &t.Port, Status: &status, ReasonCode: model.Present(reason)}
		})
	if err != nil {
		return nil, err
	}
	return &wire.ListTargetsResponse{Items: items, NextToken: next}, nil
}

// health is a target's status and reason code.
func (s *Service) health(g *model.TargetGroup, t *model.Target, used bool) (status, reason string) {
	switch {
	case !t.Draining.IsZero():
		return wire.TargetStatusDraining, "DeregistrationInProgress"
	case !used:
		return wire.TargetStatusUnused, "TargetGroupNotInUse"
	}
	if s.cfg.Health != nil {
		if status, reason, ok := s.cfg.Health(g.ARN, t.ID, t.Port); ok {
			return status, reason
		}
	}
	if g.Config.HealthCheck != nil && !model.Deref(g.Config.HealthCheck.Enabled) {
		return wire.TargetStatusUnavailable, "HealthCheckNotEnabled"
	}
	return wire.TargetStatusInitial, "InitialHealthChecking"
}
