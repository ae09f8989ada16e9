package snapshot

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/latchwork/latchwork/internal/identity"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/policy"
	"github.com/latchwork/latchwork/internal/store"
	wire "github.com/latchwork/latchwork/internal/wire/vpclattice"
)

// builder makes each snapshot from the one before and what has changed. It is
// used by one goroutine.
type builder struct {
	settings *Settings
	// open decrypts a stored secret access key.
	open func(key *model.AccessKey) ([]byte, error)
	st   *state
	// compiled remembers compiled policies by kind and text, so that equal
	// documents share one and a touched record does not compile again.
	compiled map[policyKey]*compiled
}

type policyKey struct {
	kind policy.Kind
	text string
}

type compiled struct {
	policy *policy.Compiled
	err    error
}

func newBuilder(settings *Settings, open func(*model.AccessKey) ([]byte, error)) *builder {
	return &builder{settings: settings, open: open, st: newState(), compiled: map[policyKey]*compiled{}}
}

// build makes the snapshot of the state as it is now.
func (b *builder) build(before *Snapshot, revision store.Revision, now time.Time) *Snapshot {
	if before == nil {
		before = New(b.settings)
	}
	next := *before
	next.revision, next.published = revision, now
	d := &b.st.dirty

	managed := edit(before.managed)
	for id, was := range d.policies {
		b.managedPolicy(managed, id, was)
	}
	next.managed = managed.done()
	groups := edit(before.groups)
	for id := range d.groups {
		b.group(groups, id)
	}
	next.groups = groups.done()
	entities := edit(before.entities)
	for id, was := range d.users {
		b.user(entities, id, was)
	}
	for id, was := range d.roles {
		b.role(entities, id, was)
	}
	next.entities = entities.done()
	keys := edit(before.keys)
	for id := range d.keys {
		b.key(keys, id)
	}
	next.keys = keys.done()

	providers := edit(before.providers)
	for id := range d.providers {
		if p, ok := b.st.providers.rows[id]; ok {
			providers.set(id, p)
		} else {
			providers.remove(id)
		}
	}
	next.providers = providers.done()
	profiles := edit(before.profiles)
	for id, was := range d.profiles {
		b.profile(profiles, id, was)
	}
	next.profiles = profiles.done()
	if d.bindings || next.bindings == nil {
		next.bindings = buildBindingTable(b.st.bindings.rows)
	}

	networks := edit(before.networks)
	for id, was := range d.networks {
		b.network(networks, id, was)
	}
	next.networks = networks.done()
	services := edit(before.services)
	for id, was := range d.services {
		b.service(services, id, was)
	}
	next.services = services.done()
	for id := range d.services {
		if b.st.services.rows[id] == nil && b.st.networks.rows[id] == nil {
			// Without what it belongs to a policy has no effect, and no problem.
			delete(b.st.problems, model.AuthPolicies.Key(id))
		}
	}
	hosts := edit(before.hosts)
	for id := range d.services {
		if v, ok := b.st.services.rows[id]; ok {
			for _, host := range hostsOf(v) {
				d.hosts.add(host)
			}
		}
	}
	for host := range d.hosts {
		b.host(hosts, next.services, host)
	}
	next.hosts = hosts.done()
	targetGroups := edit(before.targetGroups)
	for id, was := range d.targetGroups {
		b.targetGroup(targetGroups, id, was)
	}
	next.targetGroups = targetGroups.done()
	meshes, endpoints := edit(before.meshes), edit(before.endpoints)
	for id := range d.meshes {
		b.mesh(meshes, endpoints, before, id)
	}
	next.meshes, next.endpoints = meshes.done(), endpoints.done()
	namespaces := edit(before.namespaces)
	for id, was := range d.spaces {
		b.namespace(namespaces, id, was)
	}
	next.namespaces = namespaces.done()
	discoverable := edit(before.discoverable)
	for key := range b.rediscovered() {
		b.discovery(discoverable, key)
	}
	next.discoverable = discoverable.done()
	if d.vpcs || next.vpcs == nil {
		next.vpcs = b.vpcs()
	}
	if d.ports {
		next.ports = b.ports()
	}
	next.problems = maps.Clone(b.st.problems)
	*d = dirtyReset(*d)
	return &next
}

// dirtyReset empties the sets in place: tables hold on to them.
func dirtyReset(d dirty) dirty {
	for _, t := range []touched{d.users, d.roles, d.policies, d.networks, d.services, d.targetGroups, d.profiles, d.spaces} {
		clear(t)
	}
	for _, s := range []set{d.groups, d.keys, d.hosts, d.meshes, d.providers, d.found, d.discovery} {
		clear(s)
	}
	d.vpcs, d.ports, d.bindings = false, false, false
	return d
}

// maxIdleCompiled bounds how many compiled policies are kept that nothing may
// use any more.
const maxIdleCompiled = 4096

// document compiles a policy document of a record.
func (b *builder) document(kind policy.Kind, text, record string, p Policy) *Policy {
	p.Text = text
	key := policyKey{kind, text}
	c, ok := b.compiled[key]
	if !ok {
		c = &compiled{}
		var doc *policy.Document
		if doc, c.err = policy.Parse(kind, text); c.err == nil {
			c.policy, c.err = policy.Compile(doc)
		}
		if len(b.compiled) > maxIdleCompiled+2*(len(b.st.policies.rows)+len(b.st.auth.rows)+len(b.st.roles.rows)+len(b.st.users.rows)) {
			clear(b.compiled)
		}
		b.compiled[key] = c
	}
	p.Compiled, p.Problem = c.policy, c.err
	if c.err != nil {
		b.st.problems[record] = fmt.Errorf("policy %s: %w", p.Name, c.err)
	}
	return &p
}

func missing(what string) *Policy {
	return &Policy{ARN: what, Name: what, Problem: errors.New("there is no such policy")}
}

// forget removes what the last snapshot has under an ARN that a record had; what
// the record is now is set after it.
func forget[V any](out *editor[V], was string) {
	if was != "" {
		out.remove(was)
	}
}

func (b *builder) managedPolicy(out *editor[*Policy], id, was string) {
	forget(out, was)
	record := model.Policies.Key(id)
	if p, ok := b.st.policies.rows[id]; ok {
		delete(b.st.problems, record)
		out.set(p.ARN, b.document(policy.Identity, p.DefaultDocument(), record, Policy{ARN: p.ARN, Name: p.Name}))
	}
}

func (b *builder) attachments(kind policy.Kind, owner, record string, a *model.Attachments) (inline []*Policy, attached []string) {
	for _, name := range sortedKeys(a.Inline) {
		inline = append(inline, b.document(kind, a.Inline[name], record, Policy{Name: name, Owner: owner}))
	}
	return inline, a.Attached
}

func (b *builder) group(out *editor[*group], id string) {
	record := model.Groups.Key(id)
	g, ok := b.st.groups.rows[id]
	if !ok {
		out.remove(id)
		return
	}
	delete(b.st.problems, record)
	made := &group{}
	made.inline, made.attached = b.attachments(policy.Identity, g.ARN, record, &g.Attachments)
	out.set(id, made)
}

func (b *builder) user(out *editor[*Entity], id, was string) {
	forget(out, was)
	record := model.Users.Key(id)
	u, ok := b.st.users.rows[id]
	if !ok {
		return
	}
	delete(b.st.problems, record)
	e := &Entity{
		Kind: identity.User, ARN: u.ARN, ID: u.ID, Account: u.Account, Name: u.Name, Tags: u.Tags,
		Created: u.Created, boundary: u.Boundary,
	}
	for _, name := range u.Groups {
		e.groups = append(e.groups, model.IAMKey(u.Account, name))
	}
	e.inline, e.attached = b.attachments(policy.Identity, u.ARN, record, &u.Attachments)
	out.set(u.ARN, e)
}

func (b *builder) role(out *editor[*Entity], id, was string) {
	forget(out, was)
	record := model.Roles.Key(id)
	r, ok := b.st.roles.rows[id]
	if !ok {
		return
	}
	delete(b.st.problems, record)
	e := &Entity{
		Kind: identity.AssumedRole, ARN: r.ARN, ID: r.ID, Account: r.Account, Name: r.Name, Tags: r.Tags,
		Created: r.Created, boundary: r.Boundary,
		MaxSession: time.Duration(r.MaxSession) * time.Second,
	}
	e.inline, e.attached = b.attachments(policy.Identity, r.ARN, record, &r.Attachments)
	e.Trust = b.document(policy.Trust, r.Trust, record, Policy{Name: "trust policy", Owner: r.ARN})
	out.set(r.ARN, e)
}

func (b *builder) key(out *editor[*Key], id string) {
	record := model.AccessKeys.Key(id)
	k, ok := b.st.keys.rows[id]
	if !ok {
		out.remove(id)
		return
	}
	delete(b.st.problems, record)
	secret, err := b.open(k)
	if err != nil {
		b.st.problems[record] = fmt.Errorf("the secret access key cannot be decrypted: %w", err)
		out.remove(id)
		return
	}
	made := &Key{ID: id, Secret: secret, Active: k.Active}
	if k.User == "" {
		made.Principal = &identity.Principal{
			Kind: identity.Root, Partition: b.settings.Partition, Account: k.Account,
			ARN:       model.IAMARN(b.settings.Partition, k.Account, "root", "", ""),
			IssuerARN: model.IAMARN(b.settings.Partition, k.Account, "root", "", ""),
			IssuerID:  k.Account, UserID: k.Account, AccessKeyID: id,
		}
	} else if u, ok := b.st.users.rows[model.IAMKey(k.Account, k.User)]; ok && u.ID == k.UserID {
		made.Principal = &identity.Principal{
			Kind: identity.User, Partition: b.settings.Partition, Account: k.Account,
			ARN: u.ARN, IssuerARN: u.ARN, IssuerID: u.ID, UserID: u.ID, Name: u.Name, AccessKeyID: id,
		}
	}
	out.set(id, made)
}

// authPolicy is the auth policy of the service or service network with a key;
// nil if there is none.
func (b *builder) authPolicy(key string) *Policy {
	p, ok := b.st.auth.rows[key]
	if !ok {
		return nil
	}
	record := model.AuthPolicies.Key(key)
	delete(b.st.problems, record)
	return b.document(policy.AuthPolicy, p.Document, record, Policy{Name: p.ID, Owner: p.ARN})
}

func (b *builder) network(out *editor[*Network], id, was string) {
	forget(out, was)
	if n, ok := b.st.networks.rows[id]; ok {
		out.set(n.ARN, &Network{ServiceNetwork: *n, Policy: b.authPolicy(id)})
	}
}

func (b *builder) service(out *editor[*Service], id, was string) {
	forget(out, was)
	v, ok := b.st.services.rows[id]
	if !ok {
		return
	}
	made := &Service{Service: *v, Policy: b.authPolicy(id)}
	for _, key := range sortedKeys(b.st.joinsOf[id]) {
		made.networks = append(made.networks, b.st.joins.rows[key].NetworkARN)
	}
	for _, key := range sortedKeys(b.st.listenersOf[id]) {
		l := &Listener{Listener: b.st.listeners.rows[key]}
		for _, rule := range sortedKeys(b.st.rulesOf[key]) {
			l.Rules = append(l.Rules, b.st.rules.rows[rule])
		}
		for rule := range b.st.rules.unreadable {
			l.Incomplete = l.Incomplete || parent(rule) == key
		}
		slices.SortFunc(l.Rules, func(a, b *model.Rule) int { return cmp.Compare(a.Priority, b.Priority) })
		made.Listeners = append(made.Listeners, l)
	}
	slices.SortFunc(made.Listeners, func(a, b *Listener) int { return cmp.Compare(a.Port, b.Port) })
	out.set(v.ARN, made)
}

func (b *builder) host(out *editor[[]*Service], services shards[*Service], host string) {
	var found []*Service
	for _, key := range sortedKeys(b.st.servicesNamed[host]) {
		if v, ok := services.get(b.st.services.rows[key].ARN); ok {
			found = append(found, v)
		}
	}
	if found == nil {
		out.remove(host)
		return
	}
	out.set(host, found)
}

func (b *builder) targetGroup(out *editor[*TargetGroup], id, was string) {
	forget(out, was)
	g, ok := b.st.groupsTG.rows[id]
	if !ok {
		return
	}
	made := &TargetGroup{TargetGroup: g, InUse: len(b.st.forwardersTo[id]) > 0}
	for _, key := range sortedKeys(b.st.targetsOf[id]) {
		if t := b.st.targets.rows[key]; t.Draining.IsZero() {
			made.Targets = append(made.Targets, t)
		}
	}
	out.set(g.ARN, made)
}

// forwards keeps the index of what forwards to which target group.
func (s *state) forwards(m model.Meta, from string, action *wire.RuleAction, on bool) {
	if action == nil || action.Forward == nil {
		return
	}
	scope := model.Scope{Account: m.Account, Region: m.Region}
	for _, t := range action.Forward.TargetGroups {
		if t.TargetGroupIdentifier == nil {
			continue
		}
		group := scope.Key(*t.TargetGroupIdentifier)
		s.dirty.targetGroups.add(group)
		if on {
			s.forwardersTo.link(group, from)
		} else {
			s.forwardersTo.unlink(group, from)
		}
	}
}

func (b *builder) vpcs() *vpcTable {
	regions := set{}
	for _, v := range b.st.services.rows {
		regions.add(v.Region)
	}
	for key := range b.st.vpcs.rows {
		delete(b.st.problems, model.VPCs.Key(key))
	}
	return buildVPCTable(b.settings, sortedKeys(regions), b.st.vpcs, b.st.vpcJoins.rows,
		func(record string, err error) { b.st.problems[record] = err })
}

func (b *builder) ports() []int64 {
	seen := map[int64]bool{}
	for _, l := range b.st.listeners.rows {
		seen[l.Port] = true
	}
	return slices.Sorted(maps.Keys(seen))
}
