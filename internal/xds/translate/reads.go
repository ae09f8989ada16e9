package translate

import (
	"slices"
	"strings"

	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/snapshot"
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
}

func newReader(snap *snapshot.Snapshot, mesh *snapshot.Mesh) *reader {
	r := &reader{Mesh: mesh.Mesh, snap: snap, from: mesh, seen: map[string]struct{}{}}
	r.reads = append(r.reads, func(_ *snapshot.Snapshot, m *snapshot.Mesh) bool { return m.Mesh == mesh.Mesh })
	return r
}

// look finds something and remembers it under a key.
func look[T any](r *reader, key string, equal func(a, b T) bool, find func(*snapshot.Snapshot, *snapshot.Mesh) T) T {
	found := find(r.snap, r.from)
	if _, seen := r.seen[key]; !seen {
		r.seen[key] = struct{}{}
		r.reads = append(r.reads, func(s *snapshot.Snapshot, m *snapshot.Mesh) bool { return equal(find(s, m), found) })
	}
	return found
}

func same[T comparable](a, b T) bool { return a == b }

// Node finds a virtual node; nil if there is none.
func (r *reader) Node(name string) *model.VirtualNode {
	return look(r, "node "+name, same, func(_ *snapshot.Snapshot, m *snapshot.Mesh) *model.VirtualNode { return m.Node(name) })
}

// Gateway finds a virtual gateway; nil if there is none.
func (r *reader) Gateway(name string) *model.VirtualGateway {
	return look(r, "gateway "+name, same, func(_ *snapshot.Snapshot, m *snapshot.Mesh) *model.VirtualGateway { return m.Gateway(name) })
}

// Router finds a virtual router; nil if there is none.
func (r *reader) Router(name string) *model.VirtualRouter {
	return look(r, "router "+name, same, func(_ *snapshot.Snapshot, m *snapshot.Mesh) *model.VirtualRouter { return m.Router(name) })
}

// VirtualService finds a virtual service; nil if there is none.
func (r *reader) VirtualService(name string) *model.VirtualService {
	return look(r, "service "+name, same, func(_ *snapshot.Snapshot, m *snapshot.Mesh) *model.VirtualService { return m.VirtualService(name) })
}

// Routes are those of a virtual router.
func (r *reader) Routes(router string) []*model.Route {
	return look(r, "routes "+router, slices.Equal, func(_ *snapshot.Snapshot, m *snapshot.Mesh) []*model.Route { return m.Routes(router) })
}

// GatewayRoutes are those of a virtual gateway.
func (r *reader) GatewayRoutes(gateway string) []*model.GatewayRoute {
	return look(r, "gateway routes "+gateway, slices.Equal, func(_ *snapshot.Snapshot, m *snapshot.Mesh) []*model.GatewayRoute {
		return m.GatewayRoutes(gateway)
	})
}

// Instances are those of a service of AWS Cloud Map; none if there is no such service.
func (r *reader) Instances(account, region, namespace, service string) []*model.Instance {
	key := "instances " + strings.Join([]string{account, region, namespace, service}, "\x00")
	return look(r, key, slices.Equal, func(s *snapshot.Snapshot, _ *snapshot.Mesh) []*model.Instance {
		instances, _ := s.Instances(account, region, namespace, service)
		return instances
	})
}
