package translate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/snapshot"
	"github.com/latchwork/latchwork/internal/store"
)

// Reads is what a translation was made of: the records that it looked up, also those
// that were not there. With it a change of a mesh costs a few look-ups for each
// endpoint that the change does not touch, and not a translation.
type Reads []func(*snapshot.Snapshot, *snapshot.Mesh) bool

// Same tells whether a translation would find again what it found, and so make the
// same. Records are never changed, only replaced.
func (r Reads) Same(snap *snapshot.Snapshot, mesh *snapshot.Mesh) bool {
	for _, same := range r {
		if !same(snap, mesh) {
			return false
		}
	}
	return len(r) > 0
}

// reader is the mesh as a translation sees it. All look-ups go through it.
type reader struct {
	*model.Mesh
	snap  *snapshot.Snapshot
	from  *snapshot.Mesh
	seen  map[string]struct{}
	reads Reads
	// err is the first look-up of what cannot be read.
	err error
}

func newReader(snap *snapshot.Snapshot, mesh *snapshot.Mesh) *reader {
	r := &reader{Mesh: mesh.Mesh, snap: snap, from: mesh, seen: map[string]struct{}{}}
	r.reads = append(r.reads, func(_ *snapshot.Snapshot, m *snapshot.Mesh) bool { return m.Mesh == mesh.Mesh })
	return r
}

// remember adds to what was read, once for each key.
func (r *reader) remember(key string, same func(*snapshot.Snapshot, *snapshot.Mesh) bool) {
	if _, seen := r.seen[key]; !seen {
		r.seen[key] = struct{}{}
		r.reads = append(r.reads, same)
	}
}

// look finds something of the mesh by name, and remembers it. There is no translation
// of what cannot be read: the endpoint keeps the one that it has.
func look[R, T any](r *reader, c store.Collection[R], name string, equal func(a, b T) bool, find func(*snapshot.Mesh, string) T) T {
	key := c.Key(model.MeshKey(r.MeshOwner, r.Region, r.Name, name))
	found := find(r.from, name)
	if r.from.Unreadable(key) && r.err == nil {
		r.err = fmt.Errorf("what the store has of %s cannot be read", key)
	}
	r.remember(key, func(_ *snapshot.Snapshot, m *snapshot.Mesh) bool {
		return equal(find(m, name), found) && !m.Unreadable(key)
	})
	return found
}

func same[T comparable](a, b T) bool { return a == b }

// Node finds a virtual node; nil if there is none.
func (r *reader) Node(name string) *model.VirtualNode {
	return look(r, model.VirtualNodes, name, same, (*snapshot.Mesh).Node)
}

// Gateway finds a virtual gateway; nil if there is none.
func (r *reader) Gateway(name string) *model.VirtualGateway {
	return look(r, model.VirtualGateways, name, same, (*snapshot.Mesh).Gateway)
}

// Router finds a virtual router; nil if there is none.
func (r *reader) Router(name string) *model.VirtualRouter {
	return look(r, model.VirtualRouters, name, same, (*snapshot.Mesh).Router)
}

// VirtualService finds a virtual service; nil if there is none.
func (r *reader) VirtualService(name string) *model.VirtualService {
	return look(r, model.VirtualServices, name, same, (*snapshot.Mesh).VirtualService)
}

// Routes are those of a virtual router.
func (r *reader) Routes(router string) []*model.Route {
	return look(r, model.Routes, router, slices.Equal, (*snapshot.Mesh).Routes)
}

// GatewayRoutes are those of a virtual gateway.
func (r *reader) GatewayRoutes(gateway string) []*model.GatewayRoute {
	return look(r, model.GatewayRoutes, gateway, slices.Equal, (*snapshot.Mesh).GatewayRoutes)
}

// Instances are those of a service of AWS Cloud Map; none if there is no such service.
func (r *reader) Instances(account, region, namespace, service string) []*model.Instance {
	find := func(s *snapshot.Snapshot) []*model.Instance {
		if v := s.CloudMapService(account, region, namespace, service); v != nil {
			return v.Instances
		}
		return nil
	}
	found := find(r.snap)
	r.remember("instances "+strings.Join([]string{account, region, namespace, service}, "\x00"), func(s *snapshot.Snapshot, _ *snapshot.Mesh) bool {
		return slices.Equal(find(s), found)
	})
	return found
}
