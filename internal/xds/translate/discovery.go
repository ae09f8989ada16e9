package translate

import (
	"net/netip"
	"slices"
	"strings"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/latchwork/latchwork/internal/model"
	wire "github.com/latchwork/latchwork/internal/wire/appmesh"
)

// preference is which IP versions are used: what the virtual node says, or else the
// mesh; "" if neither does.
func (t *translation) preference(d *wire.ServiceDiscovery) string {
	own := value(value(d).Dns).IpPreference
	if d != nil && d.AwsCloudMap != nil {
		own = d.AwsCloudMap.IpPreference
	}
	if own == nil && t.mesh.Spec != nil {
		own = value(t.mesh.Spec.ServiceDiscovery).IpPreference
	}
	return value(own)
}

func cloudMap(n *model.VirtualNode) *wire.AwsCloudMapServiceDiscovery {
	return value(n.Spec.ServiceDiscovery).AwsCloudMap
}

// discoveryName is the DNS name of a virtual node's endpoints; "" if it has none.
func discoveryName(n *model.VirtualNode) string {
	if m := cloudMap(n); m != nil {
		return value(m.ServiceName) + "." + value(m.NamespaceName)
	}
	return strings.TrimSuffix(value(value(value(n.Spec.ServiceDiscovery).Dns).Hostname), ".")
}

// discover says how a cluster finds the endpoints of a virtual node.
func (t *translation) discover(c *clusterv3.Cluster, n *model.VirtualNode, l listener) {
	preference := t.preference(n.Spec.ServiceDiscovery)
	dns := value(n.Spec.ServiceDiscovery).Dns
	switch {
	case cloudMap(n) != nil:
		c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_EDS}
		c.EdsClusterConfig = &clusterv3.Cluster_EdsClusterConfig{EdsConfig: overADS()}
		t.assignments[c.Name] = assignment(c.Name, t.registered(n, l.port, preference)...)
	case dns != nil && value(dns.Hostname) != "":
		kind := clusterv3.Cluster_LOGICAL_DNS
		if value(dns.ResponseType) == wire.DnsResponseTypeEndpoints {
			kind = clusterv3.Cluster_STRICT_DNS
		}
		host := *dns.Hostname
		if _, err := netip.ParseAddr(host); err != nil {
			host = absolute(host)
		}
		c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: kind}
		c.DnsLookupFamily = lookupFamily[preference]
		c.LoadAssignment = assignment(c.Name, tcpAddress(host, l.port))
	default:
		// A virtual node that says nothing is called by nobody; there is no endpoint.
		c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC}
		c.LoadAssignment = assignment(c.Name)
	}
}

// lookupFamily says which addresses of a name are used; Envoy's AUTO prefers IPv6.
var lookupFamily = map[string]clusterv3.Cluster_DnsLookupFamily{
	wire.IpPreferenceIPv4Preferred: clusterv3.Cluster_V4_PREFERRED,
	wire.IpPreferenceIPv4Only:      clusterv3.Cluster_V4_ONLY,
	wire.IpPreferenceIPv6Only:      clusterv3.Cluster_V6_ONLY,
}

// registered are the addresses of a virtual node in AWS Cloud Map: of its service's
// healthy instances those that have all attributes that it wants. The port is the
// listener's, whatever AWS_INSTANCE_PORT says.
func (t *translation) registered(n *model.VirtualNode, port int64, preference string) []*corev3.Address {
	m := cloudMap(n)
	instances := t.mesh.Instances(n.Account, n.Region, value(m.NamespaceName), value(m.ServiceName))
	var out []*corev3.Address
	seen := map[netip.Addr]bool{}
	for _, i := range instances {
		unlike := func(a wire.AwsCloudMapInstanceAttribute) bool {
			have, ok := i.Attributes[value(a.Key)]
			return !ok || have != value(a.Value)
		}
		if !i.Healthy || slices.ContainsFunc(m.Attributes, unlike) {
			continue
		}
		if a, ok := addressOf(i.Attributes, preference); ok && !seen[a] {
			seen[a] = true // Envoy warns of an endpoint that is there twice
			out = append(out, tcpAddress(a.String(), port))
		}
	}
	return out
}

// addressOf is the address of an instance that an IP preference picks.
// Source: App Mesh User Guide, "Virtual nodes": without preference IPv4 is used.
func addressOf(attributes map[string]string, preference string) (netip.Addr, bool) {
	v4, v6 := "AWS_INSTANCE_IPV4", "AWS_INSTANCE_IPV6"
	order := []string{v4, v6}
	switch preference {
	case wire.IpPreferenceIPv4Only:
		order = []string{v4}
	case wire.IpPreferenceIPv6Only:
		order = []string{v6}
	case wire.IpPreferenceIPv6Preferred:
		order = []string{v6, v4}
	}
	for _, key := range order {
		if a, err := netip.ParseAddr(attributes[key]); err == nil && a.Zone() == "" {
			return a, true
		}
	}
	return netip.Addr{}, false
}
