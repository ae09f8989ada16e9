package snapshot

import (
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/latchwork/latchwork/internal/model"
)

// Mesh is an App Mesh service mesh with all that is in it, whoever owns it. It is
// made anew when anything in it changes, so that the same pointer means the same
// mesh; records that did not change keep theirs.
type Mesh struct {
	*model.Mesh
	nodes         map[string]*model.VirtualNode
	gateways      map[string]*model.VirtualGateway
	routers       map[string]*model.VirtualRouter
	services      map[string]*model.VirtualService
	routes        map[string][]*model.Route        // by virtual router
	gatewayRoutes map[string][]*model.GatewayRoute // by virtual gateway
	// unreadable are the keys in the store of what is in the mesh and cannot be read.
	unreadable []string
}

// Unreadable tells whether what has a key in the store, or what belongs to it, is in
// the mesh and cannot be read. It looks as if it were not there, and nobody knows what
// it says: without a route its requests would go where those of a broader one do.
func (m *Mesh) Unreadable(key string) bool {
	return slices.ContainsFunc(m.unreadable, func(k string) bool { return k == key || strings.HasPrefix(k, key+"/") })
}

// Node finds a virtual node by name; nil if there is none.
func (m *Mesh) Node(name string) *model.VirtualNode { return m.nodes[name] }

// Gateway finds a virtual gateway by name; nil if there is none.
func (m *Mesh) Gateway(name string) *model.VirtualGateway { return m.gateways[name] }

// Router finds a virtual router by name; nil if there is none.
func (m *Mesh) Router(name string) *model.VirtualRouter { return m.routers[name] }

// VirtualService finds a virtual service by name; nil if there is none.
func (m *Mesh) VirtualService(name string) *model.VirtualService { return m.services[name] }

// Routes are those of a virtual router, by name. The caller must not change the
// slice; the same holds for GatewayRoutes.
func (m *Mesh) Routes(router string) []*model.Route { return m.routes[router] }

// GatewayRoutes are those of a virtual gateway, by name.
func (m *Mesh) GatewayRoutes(gateway string) []*model.GatewayRoute { return m.gatewayRoutes[gateway] }

// Nodes yields all virtual nodes, in no order.
func (m *Mesh) Nodes() iter.Seq[*model.VirtualNode] { return maps.Values(m.nodes) }

// Gateways yields all virtual gateways, in no order.
func (m *Mesh) Gateways() iter.Seq[*model.VirtualGateway] { return maps.Values(m.gateways) }

// VirtualServices yields all virtual services, in no order.
func (m *Mesh) VirtualServices() iter.Seq[*model.VirtualService] { return maps.Values(m.services) }

// EndpointTags are the tags of a mesh endpoint; a mesh that is not there has none.
func (m *Mesh) EndpointTags(e model.MeshEndpoint) map[string]string {
	if m == nil {
		return nil
	}
	if e.Kind == model.VirtualGatewayEndpoint {
		if g := m.Gateway(e.Name); g != nil {
			return g.Tags
		}
	} else if n := m.Node(e.Name); n != nil {
		return n.Tags
	}
	return nil
}

// endpoints are the ARNs of the mesh's endpoints.
func (m *Mesh) endpoints() set {
	out := set{}
	if m != nil {
		for _, n := range m.nodes {
			out.add(n.ARN)
		}
		for _, g := range m.gateways {
			out.add(g.ARN)
		}
	}
	return out
}

// Mesh finds a mesh by its owner, region and name; nil if there is none.
func (s *Snapshot) Mesh(owner, region, name string) *Mesh {
	m, _ := s.meshes.get(model.MeshKey(owner, region, name))
	return m
}

// Meshes yields all meshes, in no order.
func (s *Snapshot) Meshes(yield func(*Mesh) bool) {
	s.meshes.all(func(_ string, m *Mesh) bool { return yield(m) })
}

// MeshOf finds the mesh that has a virtual node or virtual gateway with an ARN; nil
// if there is no such mesh endpoint. The account in the ARN is the endpoint's owner
// and need not be the mesh's: owner says whose mesh is meant, and where it is ""
// the endpoint's account's own comes first.
func (s *Snapshot) MeshOf(endpointARN, owner string) *Mesh {
	keys, _ := s.endpoints.get(endpointARN)
	for _, key := range keys {
		if m, ok := s.meshes.get(key); ok && (owner == "" || m.MeshOwner == owner) {
			return m
		}
	}
	return nil
}

// meshIndex says what is in which mesh, by keys.
type meshIndex struct{ nodes, gateways, routers, services, routes, gatewayRoutes index }

func newMeshIndex() meshIndex {
	return meshIndex{index{}, index{}, index{}, index{}, index{}, index{}}
}

// named collects the records of a mesh by name.
func named[T any](t *table[T], keys set, name func(*T) string) map[string]*T {
	out := make(map[string]*T, len(keys))
	for key := range keys {
		out[name(t.rows[key])] = t.rows[key]
	}
	return out
}

// grouped collects the records of a mesh by what they belong to, in order of keys.
func grouped[T any](t *table[T], keys set, by func(*T) string) map[string][]*T {
	out := map[string][]*T{}
	for _, key := range sortedKeys(keys) {
		r := t.rows[key]
		out[by(r)] = append(out[by(r)], r)
	}
	return out
}

// unreadable are the keys in the store of those records of a mesh that cannot be read.
func unreadable[T any](t *table[T], mesh string) []string {
	var out []string
	for id := range t.unreadable {
		if root(id) == mesh {
			out = append(out, t.collection.Key(id))
		}
	}
	return out
}

func (b *builder) mesh(out *editor[*Mesh], endpoints *editor[[]string], before *Snapshot, key string) {
	old, _ := before.meshes.get(key)
	var made *Mesh
	if m, ok := b.st.meshes.rows[key]; ok {
		in := b.st.inMesh
		made = &Mesh{
			Mesh:          m,
			nodes:         named(b.st.nodes, in.nodes[key], func(n *model.VirtualNode) string { return n.Name }),
			gateways:      named(b.st.gateways, in.gateways[key], func(g *model.VirtualGateway) string { return g.Name }),
			routers:       named(b.st.routers, in.routers[key], func(r *model.VirtualRouter) string { return r.Name }),
			services:      named(b.st.virtual, in.services[key], func(v *model.VirtualService) string { return v.Name }),
			routes:        grouped(b.st.routes, in.routes[key], func(r *model.Route) string { return r.Router }),
			gatewayRoutes: grouped(b.st.entries, in.gatewayRoutes[key], func(r *model.GatewayRoute) string { return r.Gateway }),
		}
		made.unreadable = slices.Concat(
			unreadable(b.st.nodes, key), unreadable(b.st.gateways, key), unreadable(b.st.routers, key),
			unreadable(b.st.virtual, key), unreadable(b.st.routes, key), unreadable(b.st.entries, key),
		)
		out.set(key, made)
	} else {
		out.remove(key)
	}
	was, is := old.endpoints(), made.endpoints()
	for arn := range was {
		if _, still := is[arn]; !still {
			keys, _ := endpoints.get(arn)
			keys = slices.DeleteFunc(slices.Clone(keys), func(k string) bool { return k == key })
			if len(keys) == 0 {
				endpoints.remove(arn)
			} else {
				endpoints.set(arn, keys)
			}
		}
	}
	for arn := range is {
		if _, there := was[arn]; !there {
			keys, _ := endpoints.get(arn)
			keys = append(slices.Clone(keys), key)
			e, _ := model.ParseMeshEndpoint(arn)
			slices.SortFunc(keys, func(a, b string) int {
				own := model.MeshKey(e.Account, e.Region, e.Mesh)
				switch {
				case a == own:
					return -1
				case b == own:
					return 1
				}
				return strings.Compare(a, b)
			})
			endpoints.set(arn, keys)
		}
	}
}
