package xds

import (
	"net/netip"
	"strings"
	"unicode"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/xds/translate"
)

// claim is the mesh endpoint that a proxy says it stands for.
type claim struct {
	endpoint model.MeshEndpoint
	// owner is the mesh's, where the proxy names it; "" otherwise.
	owner string
}

// maxNodeID is how long a node id may be: the names in it have 255 characters at most.
// What is refused is kept for a while, and logged.
const maxNodeID = 1024

// parseNode reads a node id: the ARN of a mesh endpoint, or its short form, where
// the account and region are the caller's. The short form may name the owner of a
// shared mesh: mesh/NAME@OWNER/virtualNode/NAME.
// Source: App Mesh User Guide, "Envoy image configuration variables",
// APPMESH_RESOURCE_ARN; aws-app-mesh-controller-for-k8s, pkg/inject/envoy.go.
func parseNode(id, partition, account, region string) (claim, bool) {
	var c claim
	if len(id) > maxNodeID || strings.ContainsFunc(id, unicode.IsControl) {
		return c, false
	}
	if !strings.HasPrefix(id, "arn:") {
		id = "arn:" + partition + ":" + model.MeshService + ":" + region + ":" + account + ":" + id
	}
	head, rest, found := strings.Cut(id, ":mesh/")
	if !found {
		return c, false
	}
	mesh, rest, found := strings.Cut(rest, "/")
	if !found {
		return c, false
	}
	mesh, c.owner, _ = strings.Cut(mesh, "@")
	var ok bool
	c.endpoint, ok = model.ParseMeshEndpoint(head + ":mesh/" + mesh + "/" + rest)
	return c, ok && c.endpoint.Partition == partition
}

// Metadata of a node that shapes its configuration: our own extension, by which
// several Envoys can run on one machine without interception of traffic.
const (
	metadataNamespace    = "latchwork"
	metadataInterception = "interception"
	metadataBind         = "bind_address"
	metadataApplication  = "app_address"
)

// parseProxy reads how traffic gets to a proxy. problem is what is wrong with it.
func parseProxy(node *core.Node) (p translate.Proxy, problem string) {
	fields := node.GetMetadata().GetFields()[metadataNamespace].GetStructValue().GetFields()
	switch mode := fields[metadataInterception].GetStringValue(); mode {
	case "", "transparent":
	case "explicit":
		p.Explicit = true
	default:
		return p, "node metadata " + metadataNamespace + "." + metadataInterception + " must be transparent or explicit"
	}
	for _, a := range []struct {
		name string
		to   *netip.Addr
	}{{metadataBind, &p.Bind}, {metadataApplication, &p.App}} {
		text := fields[a.name].GetStringValue()
		if text == "" {
			continue
		}
		addr, err := netip.ParseAddr(text)
		if err != nil || !p.Explicit {
			return p, "node metadata " + metadataNamespace + "." + a.name + " must be an IP address, with " + metadataInterception + " explicit"
		}
		*a.to = addr.Unmap()
	}
	return p, ""
}
