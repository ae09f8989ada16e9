// Package mesh carries out the operations of AWS App Mesh: meshes, virtual nodes,
// virtual gateways, virtual routers, virtual services, routes and gateway routes.
//
// Specs are checked so that Envoy will take what is made of them, and are stored
// and answered as they were sent. Every operation reads and writes in one
// transaction of the store, and a write is answered when it is in force.
package mesh

import (
	"context"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
	"uuid"

	"github.com/latchwork/latchwork/internal/awsapi"
	"github.com/latchwork/latchwork/internal/clock"
	"github.com/latchwork/latchwork/internal/fault"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/store"
	"github.com/latchwork/latchwork/internal/wire"
	wiremesh "github.com/latchwork/latchwork/internal/wire/appmesh"
)

// Config says what the service works with. State, Clock and Partition are
// required.
type Config struct {
	model.State
	Clock     clock.Clock
	Partition string
	Quotas    Quotas
}

// Quotas say how much there may be; 0 means AWS's number.
type Quotas struct {
	Meshes          int `json:"meshes"` // of an account in a region
	VirtualNodes    int `json:"virtual-nodes"`
	VirtualRouters  int `json:"virtual-routers"`
	VirtualServices int `json:"virtual-services"`
	VirtualGateways int `json:"virtual-gateways"`
	Routes          int `json:"routes"`         // of a virtual router
	GatewayRoutes   int `json:"gateway-routes"` // of a virtual gateway
	Backends        int `json:"backends"`       // of a virtual node
	Listeners       int `json:"listeners"`      // of a virtual node, gateway or router
}

// Unlimited is the quota of what may be there in any number; so is any other that is
// below 0.
const Unlimited = -1

// Source: AWS General Reference, "AWS App Mesh endpoints and quotas"; the number of
// listeners is not documented.
var defaultQuotas = Quotas{
	Meshes: 15, VirtualNodes: 200, VirtualRouters: 200, VirtualServices: 200, VirtualGateways: 3,
	Routes: 50, GatewayRoutes: 10, Backends: 50, Listeners: 10,
}

func (q *Quotas) fill() {
	for _, n := range []struct{ have, otherwise *int }{
		{&q.Meshes, &defaultQuotas.Meshes},
		{&q.VirtualNodes, &defaultQuotas.VirtualNodes},
		{&q.VirtualRouters, &defaultQuotas.VirtualRouters},
		{&q.VirtualServices, &defaultQuotas.VirtualServices},
		{&q.VirtualGateways, &defaultQuotas.VirtualGateways},
		{&q.Routes, &defaultQuotas.Routes},
		{&q.GatewayRoutes, &defaultQuotas.GatewayRoutes},
		{&q.Backends, &defaultQuotas.Backends},
		{&q.Listeners, &defaultQuotas.Listeners},
	} {
		if *n.have == 0 {
			*n.have = *n.otherwise
		}
	}
}

// Service handles the operations.
type Service struct {
	wiremesh.Unimplemented
	cfg Config
}

// New makes App Mesh ready for the dispatcher.
func New(cfg Config) awsapi.Binding {
	cfg.Quotas.fill()
	s := &Service{cfg: cfg}
	return wiremesh.Bind(s, s.access())
}

// scope is the part of the state that belongs to the caller.
func (s *Service) scope(ctx context.Context) model.Scope {
	c := awsapi.FromContext(ctx)
	return model.Scope{Partition: s.cfg.Partition, Account: c.Account, Region: c.Region}
}

func invalid(member, format string, args ...any) *fault.Error {
	return wiremesh.API.Invalid(member, format, args...)
}

// ref names a resource as a call does.
type ref struct {
	mesh string
	// owner is the mesh's; nil stands for the caller's account.
	owner *string
	// path is that of the ARN below the mesh, kinds and names by turns: "virtualRouter",
	// "colors", "route", "red". It is empty for the mesh.
	path []string
}

// to names what is in a mesh; path is pairs of a kind and a name.
func to(mesh, owner *string, path ...string) ref { return ref{*mesh, owner, path} }

// names are those on the path.
func (r *ref) names() []string { return every(r.path, 1) }

// arn is the resource's ARN if an account owns it.
func (r *ref) arn(scope model.Scope, account string) string {
	scope.Account = account
	return scope.ARN(model.MeshService, strings.Join(append([]string{"mesh", r.mesh}, r.path...), "/"))
}

// meshOwner is the account that owns the mesh, which need not be there.
func (r *ref) meshOwner(scope model.Scope) string {
	if r.owner == nil {
		return scope.Account
	}
	return *r.owner
}

// check refuses names that could be taken for other names: they are parts of ARNs,
// of paths, and of what Envoy calls things.
func (r *ref) check() error {
	for _, name := range append([]string{r.mesh}, r.names()...) {
		if err := checkName("a name", name); err != nil {
			return err
		}
	}
	if r.owner != nil && strings.Trim(*r.owner, "0123456789") != "" {
		return invalid("meshOwner", "meshOwner must be an account id of 12 digits")
	}
	return nil
}

func checkName(member, name string) error {
	switch {
	case name == "" || utf8.RuneCountInString(name) > 255:
		return invalid(member, "%s must have 1 to 255 characters", member)
	case name == "." || name == "..":
		return invalid(member, "%s must not be %q", member, name)
	case strings.Contains(name, "/"):
		return invalid(member, "%s must not contain a slash: %q", member, name)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return invalid(member, "%s must not contain control characters: %q", member, name)
	}
	return nil
}

// place is where a call works: a mesh that the caller may see.
type place struct {
	mesh   *model.Mesh
	caller string // account
	names  []string
}

// key is that of the mesh, or with names that of what is in it.
func (p *place) key(names ...string) string {
	return model.MeshKey(p.mesh.MeshOwner, p.mesh.Region, p.mesh.Name, names...)
}

// owns tells whether the mesh is the caller's.
func (p *place) owns() bool { return p.mesh.Account == p.caller }

// visible tells whether an account may see a mesh and work in it.
func visible(m *model.Mesh, account string) bool {
	return m.Account == account || slices.Contains(m.SharedWith, account)
}

// enter finds the mesh of a call. One of another account that is not shared with
// the caller's is not there.
func (s *Service) enter(ctx context.Context, tx *store.Tx, r ref) (*place, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	scope := s.scope(ctx)
	owner := r.meshOwner(scope)
	m, err := model.Meshes.Get(tx, model.MeshKey(owner, scope.Region, r.mesh))
	if err != nil {
		return nil, err
	}
	if m == nil || !visible(m, scope.Account) {
		return nil, fault.New("NotFoundException", "There is no Mesh with name %s of account %s", r.mesh, owner)
	}
	return &place{mesh: m, caller: scope.Account, names: r.names()}, nil
}

// kind is one kind of resource in a mesh.
type kind[T any] struct {
	records store.Collection[T]
	// noun is its name in texts.
	noun string
	meta func(*T) *model.MeshMeta
	// parent finds what the resource belongs to beside the mesh; nil for nothing.
	// parentNoun is that in texts.
	parentNoun string
	parent     func(*store.Tx, *place) (*model.MeshMeta, error)
	// meshOwnerOnly says that only the mesh's owner may create one.
	// Source: App Mesh User Guide, "Working with shared meshes".
	meshOwnerOnly bool
	quota         func(*Quotas) int
}

// get finds a resource in the mesh by the names on its path.
func (k *kind[T]) get(tx *store.Tx, p *place, names ...string) (*T, error) {
	record, err := k.records.Get(tx, p.key(names...))
	if err != nil {
		return nil, err
	}
	if record == nil {
		return nil, fault.New("NotFoundException", "There is no %s with name %s in Mesh %s of account %s",
			k.noun, names[len(names)-1], p.mesh.Name, p.mesh.Account)
	}
	return record, nil
}

// find is get of what a call names, after its parent.
func (k *kind[T]) find(tx *store.Tx, p *place) (*T, error) {
	if k.parent != nil {
		if _, err := k.parent(tx, p); err != nil {
			return nil, err
		}
	}
	return k.get(tx, p, p.names...)
}

// all lists the resources below the names.
func (k *kind[T]) all(tx *store.Tx, p *place, names ...string) ([]*T, error) {
	items, err := k.records.List(tx, p.key(names...)+"/")
	if err != nil {
		return nil, err
	}
	out := make([]*T, len(items))
	for i, item := range items {
		out[i] = item.Record
	}
	return out, nil
}

// vacant checks that a new resource has a free name and is not one too many.
func (k *kind[T]) vacant(tx *store.Tx, p *place, quotas *Quotas) error {
	name, above := p.names[len(p.names)-1], p.names[:len(p.names)-1]
	taken, err := k.records.Has(tx, p.key(p.names...))
	if err != nil {
		return err
	}
	if taken {
		return exists(k.noun, name)
	}
	most := k.quota(quotas)
	if most < 0 {
		return nil
	}
	siblings, err := k.all(tx, p, above...)
	if err == nil && len(siblings) >= most {
		in := "Mesh " + p.mesh.Name
		if len(above) > 0 {
			in = above[0] + " of " + in
		}
		return fault.New("LimitExceededException", "%s can have %d %ss", in, most, k.noun)
	}
	return err
}

func exists(noun, name string) error {
	return fault.New("ConflictException", "%s with name %s already exists", noun, name)
}

// notYours is the error of a call that only the owner of something may make.
func notYours(noun, name, owner string) error {
	return fault.New("ForbiddenException", "%s %s belongs to account %s, which alone may do this", noun, name, owner)
}

func (s *Service) meta(r ref, scope model.Scope, name string, tags map[string]string) model.MeshMeta {
	now := s.cfg.Clock()
	return model.MeshMeta{
		Meta: model.Meta{
			ID: uuid.NewV4().String(), ARN: r.arn(scope, scope.Account), Name: name, Account: scope.Account, Region: scope.Region,
			Created: now, Updated: now, Tags: tags,
		},
		Mesh: r.mesh, MeshOwner: r.meshOwner(scope), Version: 1,
	}
}

// create makes a resource; fill checks and adds what is its kind's own.
func create[T any](ctx context.Context, s *Service, k *kind[T], r ref, tags []wiremesh.TagRef, fill func(*store.Tx, *place, *T) error) (*T, error) {
	set, err := newTags(tags)
	if err != nil {
		return nil, err
	}
	var made *T
	err = s.cfg.Update(ctx, func(tx *store.Tx) error {
		p, err := s.enter(ctx, tx, r)
		if err != nil {
			return err
		}
		if k.meshOwnerOnly && !p.owns() {
			return notYours("Mesh", p.mesh.Name, p.mesh.Account)
		}
		if k.parent != nil {
			parent, err := k.parent(tx, p)
			if err != nil {
				return err
			}
			if parent.Account != p.caller {
				return notYours(k.parentNoun, parent.Name, parent.Account)
			}
		}
		if err := k.vacant(tx, p, &s.cfg.Quotas); err != nil {
			return err
		}
		made = new(T)
		*k.meta(made) = s.meta(r, s.scope(ctx), p.names[len(p.names)-1], set)
		if err := fill(tx, p, made); err != nil {
			return err
		}
		return k.records.Put(tx, p.key(p.names...), made)
	})
	return made, err
}

// describe reads a resource.
func describe[T any](ctx context.Context, s *Service, k *kind[T], r ref) (*T, error) {
	var found *T
	err := s.cfg.View(ctx, func(tx *store.Tx) error {
		p, err := s.enter(ctx, tx, r)
		if err != nil {
			return err
		}
		found, err = k.find(tx, p)
		return err
	})
	return found, err
}

// update changes a resource of the caller's own; fill checks and replaces its spec.
// An update that changes nothing is one too.
func update[T any](ctx context.Context, s *Service, k *kind[T], r ref, fill func(*store.Tx, *place, *T) error) (*T, error) {
	var changed *T
	err := s.cfg.Update(ctx, func(tx *store.Tx) error {
		p, err := s.enter(ctx, tx, r)
		if err != nil {
			return err
		}
		if changed, err = k.find(tx, p); err != nil {
			return err
		}
		m := k.meta(changed)
		if m.Account != p.caller {
			return notYours(k.noun, m.Name, m.Account)
		}
		if err := fill(tx, p, changed); err != nil {
			return err
		}
		m.Version, m.Updated = m.Version+1, s.cfg.Clock()
		return k.records.Put(tx, p.key(p.names...), changed)
	})
	return changed, err
}

// remove deletes a resource, if used does not say what needs it. The mesh's owner
// may delete those of other accounts.
// Source: App Mesh User Guide, "Working with shared meshes".
func remove[T any](ctx context.Context, s *Service, k *kind[T], r ref, used func(*store.Tx, *place, *T) error) (*T, error) {
	var gone *T
	err := s.cfg.Update(ctx, func(tx *store.Tx) error {
		p, err := s.enter(ctx, tx, r)
		if err != nil {
			return err
		}
		if gone, err = k.find(tx, p); err != nil {
			return err
		}
		m := k.meta(gone)
		if m.Account != p.caller && !p.owns() {
			return notYours(k.noun, m.Name, m.Account)
		}
		if used != nil {
			if err := used(tx, p, gone); err != nil {
				return err
			}
		}
		m.Version, m.Updated = m.Version+1, s.cfg.Clock()
		return k.records.Delete(tx, p.key(p.names...))
	})
	return gone, err
}

// list answers a page of the resources of a kind below what r names, by name.
func list[T, S any](ctx context.Context, s *Service, k *kind[T], r ref, show func(*T) S) ([]S, *string, error) {
	return page(ctx, s, func(tx *store.Tx) ([]*T, error) {
		p, err := s.enter(ctx, tx, r)
		if err != nil {
			return nil, err
		}
		if k.parent != nil {
			if _, err := k.parent(tx, p); err != nil {
				return nil, err
			}
		}
		return k.all(tx, p, p.names...)
	}, func(record *T) string { return k.meta(record).Name }, show)
}

// page answers a page of the records that read finds in order of key, as they were
// when the first page was asked for.
func page[T, S any](ctx context.Context, s *Service, read func(*store.Tx) ([]T, error), key func(T) string, show func(T) S) ([]S, *string, error) {
	var found []T
	revision, err := s.cfg.List(ctx, func(tx *store.Tx) (err error) {
		found, err = read(tx)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	cut, next, err := awsapi.Page(ctx, found, revision, key)
	if err != nil {
		return nil, nil, err
	}
	out := make([]S, len(cut))
	for i, r := range cut {
		out[i] = show(r)
	}
	return out, next, nil
}

// Statuses. Whatever is there is in force.
const (
	statusActive  = wiremesh.MeshStatusCodeActive
	statusDeleted = wiremesh.MeshStatusCodeDeleted
)

func metadata(m *model.MeshMeta) *wiremesh.ResourceMetadata {
	return &wiremesh.ResourceMetadata{
		Arn: &m.ARN, CreatedAt: wire.Epoch(m.Created), LastUpdatedAt: wire.Epoch(m.Updated), MeshOwner: &m.MeshOwner,
		ResourceOwner: &m.Account, Uid: &m.ID, Version: &m.Version,
	}
}
