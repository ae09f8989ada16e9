package model

import (
	"strings"

	wire "github.com/latchwork/latchwork/internal/wire/appmesh"
)

// MeshService is the service name in ARNs of App Mesh.
const MeshService = "appmesh"

// MeshMeta is what every App Mesh resource has besides Meta. There Account is the
// resource owner, ID the uid, and the ARN has the resource owner's account.
type MeshMeta struct {
	Meta
	// Mesh and MeshOwner, with Region, name the mesh that the resource is in. Two
	// meshes of one name with different owners are distinct.
	Mesh      string `json:"mesh"`
	MeshOwner string `json:"meshOwner"`
	// Version is 1 for a new resource, and one more after each change.
	Version int64 `json:"version"`
}

// MeshKey is the key of the mesh that the resource is in, or is.
func (m *MeshMeta) MeshKey() string { return MeshKey(m.MeshOwner, m.Region, m.Mesh) }

// MeshKey is the key of a mesh, or with further parts that of what is in it.
func MeshKey(owner, region, mesh string, parts ...string) string {
	return Scope{Account: owner, Region: region}.Key(append([]string{mesh}, parts...)...)
}

// Mesh is an App Mesh service mesh. All specs are kept as they were sent: clients
// compare what is described with what they wanted.
type Mesh struct {
	MeshMeta
	Spec *wire.MeshSpec `json:"spec,omitzero"`
	// SharedWith are the accounts that may put resources of their own into the mesh.
	SharedWith []string `json:"sharedWith,omitzero"`
}

// VirtualNode is an App Mesh virtual node.
type VirtualNode struct {
	MeshMeta
	Spec *wire.VirtualNodeSpec `json:"spec"`
}

// VirtualGateway is an App Mesh virtual gateway.
type VirtualGateway struct {
	MeshMeta
	Spec *wire.VirtualGatewaySpec `json:"spec"`
}

// VirtualRouter is an App Mesh virtual router.
type VirtualRouter struct {
	MeshMeta
	Spec *wire.VirtualRouterSpec `json:"spec"`
}

// VirtualService is an App Mesh virtual service.
type VirtualService struct {
	MeshMeta
	Spec *wire.VirtualServiceSpec `json:"spec"`
}

// Route is a route of a virtual router.
type Route struct {
	MeshMeta
	Router string          `json:"router"` // name
	Spec   *wire.RouteSpec `json:"spec"`
}

// GatewayRoute is a gateway route of a virtual gateway.
type GatewayRoute struct {
	MeshMeta
	Gateway string                 `json:"gateway"` // name
	Spec    *wire.GatewayRouteSpec `json:"spec"`
}

// EndpointKind says which of the two a mesh endpoint is, in the words of its ARN.
type EndpointKind string

// The kinds of mesh endpoint.
const (
	VirtualNodeEndpoint    EndpointKind = "virtualNode"
	VirtualGatewayEndpoint EndpointKind = "virtualGateway"
)

// MeshEndpoint names a virtual node or a virtual gateway: what the Envoy beside a
// workload stands for. It can be compared and be the key of a map.
type MeshEndpoint struct {
	Partition string
	Region    string
	// Account is the resource owner's.
	Account string
	Mesh    string
	Kind    EndpointKind
	Name    string
}

// ARN of the endpoint.
func (e MeshEndpoint) ARN() string {
	return Scope{Partition: e.Partition, Account: e.Account, Region: e.Region}.
		ARN(MeshService, "mesh/"+e.Mesh+"/"+string(e.Kind)+"/"+e.Name)
}

// ParseMeshEndpoint reads the ARN of a mesh endpoint; ok is false for anything
// else.
func ParseMeshEndpoint(arn string) (e MeshEndpoint, ok bool) {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" || parts[2] != MeshService {
		return MeshEndpoint{}, false
	}
	path := strings.Split(parts[5], "/")
	if len(path) != 4 || path[0] != "mesh" {
		return MeshEndpoint{}, false
	}
	e = MeshEndpoint{
		Partition: parts[1], Region: parts[3], Account: parts[4],
		Mesh: path[1], Kind: EndpointKind(path[2]), Name: path[3],
	}
	if e.Kind != VirtualNodeEndpoint && e.Kind != VirtualGatewayEndpoint {
		return MeshEndpoint{}, false
	}
	for _, part := range []string{e.Partition, e.Region, e.Account, e.Mesh, e.Name} {
		if part == "" {
			return MeshEndpoint{}, false
		}
	}
	return e, true
}
