package snapshot

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/store"
)

// table is the decoded form of one collection. It belongs to the builder's
// goroutine; records in it are never changed, only replaced.
type table[T any] struct {
	collection store.Collection[T]
	rows       map[string]*T
	// unreadable holds the ids of stored records that could not be decoded.
	unreadable set
	// changed tells what a change touches; before or after is nil for a record
	// that was made or removed, both for one that could not be decoded.
	changed func(id string, before, after *T)
}

// apply takes over one stored value. It tells whether the key is one of its own.
func (t *table[T]) apply(key string, value []byte, problems map[string]error) bool {
	id, ok := t.collection.Owns(key)
	if !ok {
		return false
	}
	delete(problems, key)
	delete(t.unreadable, id)
	before := t.rows[id]
	var after *T
	if value != nil {
		var err error
		if after, err = t.collection.Decode(value); err != nil {
			// A record that cannot be read is one that is not there: what depends
			// on it denies. Where one that is not there would allow more, unreadable
			// tells.
			problems[key], after = fmt.Errorf("the record cannot be read: %w", err), nil
			t.unreadable.add(id)
		}
	}
	if after == nil {
		delete(t.rows, id)
	} else {
		t.rows[id] = after
	}
	t.changed(id, before, after)
	return true
}

func (t *table[T]) clear() {
	for id, row := range t.rows {
		delete(t.rows, id)
		t.changed(id, row, nil)
	}
	for id := range t.unreadable {
		delete(t.unreadable, id)
		t.changed(id, nil, nil)
	}
}

func newTable[T any](c store.Collection[T], changed func(id string, before, after *T)) *table[T] {
	return &table[T]{collection: c, rows: map[string]*T{}, unreadable: set{}, changed: changed}
}

// applier is any table.
type applier interface {
	apply(key string, value []byte, problems map[string]error) bool
	clear()
}

// set is a set of strings.
type set map[string]struct{}

func (s set) add(key string) { s[key] = struct{}{} }

// state holds all decoded records, what is related to what, and what must be
// built anew.
type state struct {
	users     *table[model.User]
	groups    *table[model.Group]
	roles     *table[model.Role]
	policies  *table[model.ManagedPolicy]
	keys      *table[model.AccessKey]
	vpcs      *table[model.VPC]
	networks  *table[model.ServiceNetwork]
	services  *table[model.Service]
	listeners *table[model.Listener]
	rules     *table[model.Rule]
	groupsTG  *table[model.TargetGroup]
	targets   *table[model.Target]
	joins     *table[model.ServiceAssociation]
	vpcJoins  *table[model.VPCAssociation]
	auth      *table[model.AuthPolicy]
	providers *table[model.OIDCProvider]
	profiles  *table[model.InstanceProfile]
	bindings  *table[model.Binding]
	meshes    *table[model.Mesh]
	nodes     *table[model.VirtualNode]
	gateways  *table[model.VirtualGateway]
	routers   *table[model.VirtualRouter]
	virtual   *table[model.VirtualService]
	routes    *table[model.Route]
	entries   *table[model.GatewayRoute]
	spaces    *table[model.Namespace]
	found     *table[model.CloudMapService]
	instances *table[model.Instance]
	all       []applier

	// problems holds what is wrong with records, by their keys in the store.
	problems map[string]error

	// keysOf and the like index one table by another.
	keysOf        index // user key → access key ids
	listenersOf   index // service key → listener keys
	rulesOf       index // listener key → rule keys
	targetsOf     index // target group key → target keys
	joinsOf       index // service key → association keys
	forwardersTo  index // target group key → listener and rule keys
	servicesNamed index // host → service keys
	inMesh        meshIndex
	foundIn       index // namespace key → Cloud Map service keys
	foundNamed    index // discoveryKey → Cloud Map service keys
	instancesOf   index // Cloud Map service key → instance keys

	dirty dirty
}

// touched says which records must be built anew, and for each the ARN that the
// last snapshot has it under, "" if it has not or the ARN has not changed.
type touched map[string]string

func (t touched) add(key string) {
	if _, ok := t[key]; !ok {
		t[key] = ""
	}
}

// was notes the ARN of a record before a change; the first one counts.
func (t touched) was(key, arn string) {
	if t[key] == "" {
		t[key] = arn
	}
}

// dirty says what must be built anew, by record keys of the named table; vpcs,
// ports and bindings are built as a whole.
type dirty struct {
	users, roles, policies, networks, services, targetGroups, profiles touched
	spaces                                                             touched // with keys of names in place of ARNs
	groups, keys, hosts, meshes, providers, found, discovery           set
	vpcs, ports, bindings                                              bool
}

func newDirty() dirty {
	return dirty{
		users: touched{}, roles: touched{}, policies: touched{}, networks: touched{}, services: touched{},
		targetGroups: touched{}, profiles: touched{}, groups: set{}, keys: set{}, hosts: set{}, meshes: set{}, providers: set{},
		spaces: touched{}, found: set{}, discovery: set{},
	}
}

// index maps one key to several.
type index map[string]set

func (x index) link(from, to string) {
	if x[from] == nil {
		x[from] = set{}
	}
	x[from].add(to)
}

func (x index) unlink(from, to string) {
	delete(x[from], to)
	if len(x[from]) == 0 {
		delete(x, from)
	}
}

// relate keeps an index in step with a table: of gives what a record belongs to.
func relate[T any](x index, touched interface{ add(string) }, of func(*T) string) func(id string, before, after *T) {
	return func(id string, before, after *T) {
		if before != nil {
			x.unlink(of(before), id)
			touched.add(of(before))
		}
		if after != nil {
			x.link(of(after), id)
			touched.add(of(after))
		}
	}
}

// below keeps an index in step with a table whose ids begin with the root that a
// record belongs to. So it hears of one that cannot be read too.
func below[T any](x index, touched set) func(id string, before, after *T) {
	return func(id string, _, after *T) {
		of := root(id)
		touched.add(of)
		if after != nil {
			x.link(of, id)
		} else {
			x.unlink(of, id)
		}
	}
}

// root is the key that the id of a record begins with: account, region, and the mesh or
// the Cloud Map service that it belongs to.
func root(id string) string {
	parts := strings.SplitN(id, "/", 4)
	return strings.Join(parts[:min(3, len(parts))], "/")
}

// touch marks a record, and remembers the ARN it had.
func touch[T any](t touched, arn func(*T) string) func(string, *T, *T) {
	return func(id string, before, _ *T) {
		t.add(id)
		if before != nil {
			t.was(id, arn(before))
		}
	}
}

func newState() *state {
	s := &state{
		problems: map[string]error{},
		keysOf:   index{}, listenersOf: index{}, rulesOf: index{}, targetsOf: index{}, joinsOf: index{},
		forwardersTo: index{}, servicesNamed: index{},
		inMesh:  newMeshIndex(),
		foundIn: index{}, foundNamed: index{}, instancesOf: index{},
		dirty: newDirty(),
	}
	d := &s.dirty
	touchUser := touch(d.users, func(u *model.User) string { return u.ARN })
	s.users = newTable(model.Users, func(id string, before, after *model.User) {
		touchUser(id, before, after)
		for key := range s.keysOf[id] {
			d.keys.add(key)
		}
	})
	s.groups = newTable(model.Groups, func(id string, _, _ *model.Group) { d.groups.add(id) })
	s.roles = newTable(model.Roles, touch(d.roles, func(r *model.Role) string { return r.ARN }))
	s.policies = newTable(model.Policies, touch(d.policies, func(p *model.ManagedPolicy) string { return p.ARN }))
	s.keys = newTable(model.AccessKeys, func(id string, before, after *model.AccessKey) {
		d.keys.add(id)
		if before != nil {
			s.keysOf.unlink(model.IAMKey(before.Account, before.User), id)
		}
		if after != nil {
			s.keysOf.link(model.IAMKey(after.Account, after.User), id)
		}
	})
	s.vpcs = newTable(model.VPCs, func(string, *model.VPC, *model.VPC) { d.vpcs = true })
	s.vpcJoins = newTable(model.VPCAssociations, func(string, *model.VPCAssociation, *model.VPCAssociation) { d.vpcs = true })
	touchNetwork := touch(d.networks, func(n *model.ServiceNetwork) string { return n.ARN })
	s.networks = newTable(model.ServiceNetworks, func(id string, before, after *model.ServiceNetwork) {
		touchNetwork(id, before, after)
		d.services.add(id) // for its auth policy, which is under the same key
	})
	touchService := touch(d.services, func(v *model.Service) string { return v.ARN })
	s.services = newTable(model.Services, func(id string, before, after *model.Service) {
		touchService(id, before, after)
		d.vpcs = d.vpcs || before == nil || after == nil // a region may come or go
		for _, v := range []*model.Service{before, after} {
			if v == nil {
				continue
			}
			for _, host := range hostsOf(v) {
				d.hosts.add(host)
				if v == after {
					s.servicesNamed.link(host, id)
				} else {
					s.servicesNamed.unlink(host, id)
				}
			}
		}
	})
	inScope := func(m model.Meta, id string) string {
		return model.Scope{Account: m.Account, Region: m.Region}.Key(id)
	}
	listenerRelation := relate(s.listenersOf, d.services, func(l *model.Listener) string { return inScope(l.Meta, l.Service) })
	s.listeners = newTable(model.Listeners, func(id string, before, after *model.Listener) {
		d.ports = d.ports || before == nil || after == nil // a port cannot be changed
		listenerRelation(id, before, after)
		if before != nil {
			s.forwards(before.Meta, "l/"+id, before.DefaultAction, false)
		}
		if after != nil {
			s.forwards(after.Meta, "l/"+id, after.DefaultAction, true)
		}
	})
	s.rules = newTable(model.Rules, func(id string, before, after *model.Rule) {
		listener := parent(id)
		d.services.add(parent(listener))
		if before != nil {
			s.rulesOf.unlink(listener, id)
			s.forwards(before.Meta, "r/"+id, before.Action, false)
		}
		if after != nil {
			s.rulesOf.link(listener, id)
			s.forwards(after.Meta, "r/"+id, after.Action, true)
		}
	})
	s.groupsTG = newTable(model.TargetGroups, touch(d.targetGroups, func(g *model.TargetGroup) string { return g.ARN }))
	s.targets = newTable(model.Targets, func(id string, _, after *model.Target) {
		group := parent(id)
		d.targetGroups.add(group)
		if after != nil {
			s.targetsOf.link(group, id)
		} else {
			s.targetsOf.unlink(group, id)
		}
	})
	s.joins = newTable(model.ServiceAssociations, relate(s.joinsOf, d.services, func(a *model.ServiceAssociation) string {
		return keyOfARN(a.ServiceARN)
	}))
	s.auth = newTable(model.AuthPolicies, func(id string, _, _ *model.AuthPolicy) {
		d.networks.add(id)
		d.services.add(id)
	})
	s.providers = newTable(model.OIDCProviders, func(id string, _, _ *model.OIDCProvider) { d.providers.add(id) })
	s.profiles = newTable(model.Profiles, touch(d.profiles, func(p *model.InstanceProfile) string { return p.ARN }))
	s.bindings = newTable(model.Bindings, func(string, *model.Binding, *model.Binding) { d.bindings = true })
	s.meshes = newTable(model.Meshes, func(id string, _, _ *model.Mesh) { d.meshes.add(id) })
	s.nodes = newTable(model.VirtualNodes, below[model.VirtualNode](s.inMesh.nodes, d.meshes))
	s.gateways = newTable(model.VirtualGateways, below[model.VirtualGateway](s.inMesh.gateways, d.meshes))
	s.routers = newTable(model.VirtualRouters, below[model.VirtualRouter](s.inMesh.routers, d.meshes))
	s.virtual = newTable(model.VirtualServices, below[model.VirtualService](s.inMesh.services, d.meshes))
	s.routes = newTable(model.Routes, below[model.Route](s.inMesh.routes, d.meshes))
	s.entries = newTable(model.GatewayRoutes, below[model.GatewayRoute](s.inMesh.gatewayRoutes, d.meshes))
	s.spaces = newTable(model.Namespaces, touch(d.spaces, func(n *model.Namespace) string {
		return namespaceKey(n.Account, n.Region, n.Name)
	}))
	nameRelation := relate(s.foundNamed, d.discovery, func(v *model.CloudMapService) string {
		return discoveryKey(v.Account, v.Region, v.NamespaceName, v.Name)
	})
	s.found = newTable(model.CloudMapServices, func(id string, before, after *model.CloudMapService) {
		if before != nil {
			s.foundIn.unlink(inScope(before.Meta, before.Namespace), id)
		}
		if after != nil {
			s.foundIn.link(inScope(after.Meta, after.Namespace), id)
		}
		nameRelation(id, before, after)
	})
	s.instances = newTable(model.Instances, below[model.Instance](s.instancesOf, d.found))
	s.all = []applier{
		s.users, s.groups, s.roles, s.policies, s.keys, s.vpcs, s.vpcJoins, s.networks, s.services,
		s.listeners, s.rules, s.groupsTG, s.targets, s.joins, s.auth, s.providers, s.profiles, s.bindings,
		s.meshes, s.nodes, s.gateways, s.routers, s.virtual, s.routes, s.entries,
		s.spaces, s.found, s.instances,
	}
	return s
}

// parent is the key that the id of a record begins with: that of what it belongs to.
func parent(id string) string { return id[:max(strings.LastIndexByte(id, '/'), 0)] }

// apply takes over one change. Records of families that the snapshot does not
// need are passed over.
func (s *state) apply(e store.Event) {
	for _, t := range s.all {
		if t.apply(e.Key, e.Value, s.problems) {
			return
		}
	}
}

// reset empties the state, before everything is read anew.
func (s *state) reset() {
	for _, t := range s.all {
		t.clear()
	}
	clear(s.problems)
}

func hostsOf(v *model.Service) []string {
	hosts := []string{strings.ToLower(v.Domain)}
	if v.CustomDomain != "" {
		hosts = append(hosts, strings.ToLower(v.CustomDomain))
	}
	return hosts
}

// keyOfARN is the key of the record that a VPC Lattice ARN names: account,
// region and id.
func keyOfARN(arn string) string {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) < 6 {
		return arn
	}
	return model.Scope{Account: parts[4], Region: parts[3]}.Key(parts[5][strings.LastIndexByte(parts[5], '/')+1:])
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func sortedProblems(problems map[string]error) []Problem {
	out := make([]Problem, 0, len(problems))
	for _, key := range sortedKeys(problems) {
		out = append(out, Problem{Record: key, Err: problems[key]})
	}
	return out
}
