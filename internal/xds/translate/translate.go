// Package translate turns what App Mesh's API says about a mesh into the
// configuration of the Envoy of one of its endpoints. It is pure: the same
// snapshot gives the same bytes.
//
// Names of clusters, listeners, routes and statistics are those that App Mesh's
// own Envoys had, since dashboards and alarms are made of them; docs/mesh.md has
// the tables, and says where App Mesh's own translation is not known.
//
// A configuration has only what its endpoint needs: of a virtual node the virtual
// services that are its backends, of a virtual gateway those that its gateway
// routes lead to, and of those the routes and the virtual nodes that they lead to.
// What refers to nothing is left out, and so is what Envoy would not take, lest it
// refuse the rest with it.
//
// # Explicit proxies
//
// App Mesh's Envoys are given all traffic by a redirection that needs root and a
// network namespace each. An explicit proxy (Proxy.Explicit) does without: its
// listeners are on an address of its own, and who wants to use it calls it there,
// with the virtual service in Host. It knows no original destinations, so that
// nothing passes it but what the mesh has.
package translate

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/snapshot"
	wire "github.com/latchwork/latchwork/internal/wire/appmesh"
)

// Proxy is what of a proxy's own telling shapes its configuration: how traffic gets
// to it. The zero value is the ordinary one, with traffic interception.
type Proxy struct {
	// Explicit: traffic is not redirected to the proxy but sent to it.
	Explicit bool
	// Bind is where the listeners of an explicit proxy are, by default on all
	// addresses; App where its application is, by default 127.0.0.1.
	Bind, App netip.Addr
}

// Certificates issues what AWS Certificate Manager did.
type Certificates interface {
	// Issue gives the PEM chain and key of the certificate with an ARN, for DNS names.
	Issue(arn string, names []string) (chain, key []byte, err error)
	// CA gives the PEM certificates to trust for the ARN of a private certificate
	// authority, or of a certificate: then those of who issued it.
	CA(arn string) ([]byte, error)
}

// Resources is the whole configuration of one mesh endpoint. Each list is in order
// of names.
type Resources struct {
	Clusters  []*clusterv3.Cluster
	Endpoints []*endpointv3.ClusterLoadAssignment
	Listeners []*listenerv3.Listener
	Routes    []*routev3.RouteConfiguration
	Secrets   []*tlsv3.Secret
	// Reads is what all of it was made of.
	Reads Reads
}

// Endpoint translates what the Envoy of a mesh endpoint must know. It is
// deterministic. There is an error only if the endpoint is not in the mesh, nothing
// could be served, or a record that it needs cannot be read.
func Endpoint(snap *snapshot.Snapshot, mesh *snapshot.Mesh, e model.MeshEndpoint, p Proxy, c Certificates) (*Resources, error) {
	t := &translation{
		mesh: newReader(snap, mesh), proxy: p, issuer: c,
		clusters:    map[string]*clusterv3.Cluster{},
		assignments: map[string]*endpointv3.ClusterLoadAssignment{},
		listeners:   map[string]*listenerv3.Listener{},
		routes:      map[string]*routev3.RouteConfiguration{},
		secrets:     map[string]*tlsv3.Secret{},
		policies:    map[string]*wire.ClientPolicyTls{},
	}
	if spec := specOf(mesh, e); spec != nil {
		if e.Kind == model.VirtualNodeEndpoint {
			t.node(t.mesh.Node(e.Name))
		} else {
			t.gateway(t.mesh.Gateway(e.Name), spec)
		}
		return t.done()
	}
	return nil, fmt.Errorf("mesh %s of account %s has no %s %s of account %s", mesh.Name, mesh.MeshOwner, e.Kind, e.Name, e.Account)
}

// translation is one call of Endpoint.
type translation struct {
	mesh   *reader
	proxy  Proxy
	issuer Certificates

	// What has been made, by name.
	clusters    map[string]*clusterv3.Cluster
	assignments map[string]*endpointv3.ClusterLoadAssignment
	listeners   map[string]*listenerv3.Listener
	routes      map[string]*routev3.RouteConfiguration
	secrets     map[string]*tlsv3.Secret
	// policies are what the clusters of virtual nodes are called with, by name.
	policies map[string]*wire.ClientPolicyTls
	// defaultRetry is what most routes have.
	defaultRetry *routev3.RetryPolicy

	// err is the first thing that makes the endpoint unusable.
	err error
}

func (t *translation) fail(err error) {
	if t.err == nil {
		t.err = err
	}
}

func (t *translation) done() (*Resources, error) {
	if err := cmp.Or(t.mesh.err, t.err); err != nil {
		return nil, err
	}
	return &Resources{
		Clusters: sorted(t.clusters), Endpoints: sorted(t.assignments), Listeners: sorted(t.listeners),
		Routes: sorted(t.routes), Secrets: sorted(t.secrets),
		Reads: t.mesh.reads,
	}, nil
}

// sorted gives the values in order of their keys.
func sorted[V any](m map[string]V) []V {
	out := make([]V, 0, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, m[k])
	}
	return out
}

// pack wraps a message. It fails only for text that is not UTF-8, which JSON cannot
// have brought.
func (t *translation) pack(m proto.Message) *anypb.Any {
	out := &anypb.Any{}
	if err := anypb.MarshalFrom(out, m, proto.MarshalOptions{Deterministic: true}); err != nil {
		t.fail(err)
	}
	return out
}

// value is what p points to; the zero value if that is nothing.
func value[T any](p *T) T {
	if p == nil {
		return *new(T)
	}
	return *p
}

// valueOr is what p points to, or what is said for nothing.
func valueOr[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}

// valid tells whether Envoy's own rules hold for a message.
func valid(m interface{ ValidateAll() error }) bool { return m.ValidateAll() == nil }

// byName orders records.
func byName(a, b *model.VirtualService) int { return cmp.Compare(a.Name, b.Name) }
