package lattice

import (
	"maps"
	"slices"

	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/store"
	wire "github.com/latchwork/latchwork/internal/wire/vpclattice"
)

// groupUser is the kind of the unique name that says which service forwards to a
// target group. It is kept with the actions, so that neither a new action nor a
// look at a target group reads the actions of all services.
const groupUser = "targetgroupuser"

// userOf is the id of the service whose listeners or rules forward to a target
// group, "" if there is none.
func userOf(tx *store.Tx, scope model.Scope, group string) (string, error) {
	holder, err := model.Unique.Get(tx, scope.Key(groupUser, group))
	if err != nil || holder == nil {
		return "", err
	}
	return holder.ID, nil
}

// users is userOf of all target groups of a scope that are in use.
func users(tx *store.Tx, scope model.Scope) (map[string]string, error) {
	prefix := scope.Prefix(groupUser)
	items, err := model.Unique.List(tx, prefix)
	if err != nil {
		return nil, err
	}
	out := make(map[string]string, len(items))
	for _, item := range items {
		out[item.ID[len(prefix):]] = item.Record.ID
	}
	return out, nil
}

// serviceARNs is a target group's member of that name.
func serviceARNs(scope model.Scope, user string) []string {
	if user == "" {
		return []string{}
	}
	return []string{scope.ARN(model.LatticeService, "service/"+user)}
}

// groups adds the ids of the target groups that an action forwards to.
func groups(to map[string]bool, a *wire.RuleAction) {
	if a == nil || a.Forward == nil {
		return
	}
	for _, g := range a.Forward.TargetGroups {
		to[model.Deref(g.TargetGroupIdentifier)] = true
	}
}

// replaced keeps the users of target groups in step with actions of a service that
// were written in place of others, nil where there is none. It is called when the
// transaction has written them.
func replaced(tx *store.Tx, scope model.Scope, service string, before, after []*wire.RuleAction) error {
	now, left := map[string]bool{}, map[string]bool{}
	for _, a := range after {
		groups(now, a)
	}
	for _, id := range slices.Sorted(maps.Keys(now)) {
		user, err := userOf(tx, scope, id)
		if err == nil && user == "" {
			err = model.Unique.Put(tx, scope.Key(groupUser, id), &model.Claim{ID: service})
		}
		if err != nil {
			return err
		}
	}
	for _, a := range before {
		groups(left, a)
	}
	maps.DeleteFunc(left, func(id string, _ bool) bool { return now[id] })
	if len(left) == 0 {
		return nil
	}
	// The service may forward there from elsewhere.
	listeners, err := model.Listeners.List(tx, scope.Prefix(service))
	if err != nil {
		return err
	}
	rules, err := model.Rules.List(tx, scope.Prefix(service))
	if err != nil {
		return err
	}
	for _, l := range listeners {
		groups(now, l.Record.DefaultAction)
	}
	for _, r := range rules {
		groups(now, r.Record.Action)
	}
	for _, id := range slices.Sorted(maps.Keys(left)) {
		// Kept or not, the claim is read and written: a deletion does not break a scan,
		// so two that leave at once would each see the other's action and both keep it.
		if _, err := userOf(tx, scope, id); err != nil {
			return err
		}
		err := model.Unique.Delete(tx, scope.Key(groupUser, id))
		if now[id] {
			err = model.Unique.Put(tx, scope.Key(groupUser, id), &model.Claim{ID: service})
		}
		if err != nil {
			return err
		}
	}
	return nil
}
