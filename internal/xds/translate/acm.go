package translate

import (
	"slices"

	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/snapshot"
	wire "github.com/latchwork/latchwork/internal/wire/appmesh"
)

// UsesTLS tells whether a virtual node uses TLS: it has a listener with TLS that is
// not disabled, or a client policy for TLS. Where that is what proxy authorization is
// for, it says whose Envoys need a permission.
// Source: App Mesh User Guide, "Envoy Proxy authorization".
func UsesTLS(n *model.VirtualNode) bool {
	return n.Spec != nil && (slices.ContainsFunc(n.Spec.Listeners, servesTLS) || len(policies(n.Spec)) > 0)
}

// servesTLS tells whether a listener terminates TLS.
func servesTLS(l wire.Listener) bool {
	return l.Tls != nil && value(l.Tls.Mode) != wire.ListenerTlsModeDisabled
}

// policies are all client policies for TLS of an endpoint.
func policies(s *wire.VirtualNodeSpec) []*wire.ClientPolicyTls {
	var out []*wire.ClientPolicyTls
	add := func(p *wire.ClientPolicy) {
		if p != nil && p.Tls != nil {
			out = append(out, p.Tls)
		}
	}
	add(value(s.BackendDefaults).ClientPolicy)
	for _, b := range s.Backends {
		add(value(b.VirtualService).ClientPolicy)
	}
	return out
}

// ACM lists what a mesh endpoint gets from AWS Certificate Manager: the ARNs of its
// listeners' certificates, and of the private certificate authorities that its client
// policies trust.
func ACM(mesh *snapshot.Mesh, e model.MeshEndpoint) (certificates, authorities []string) {
	spec := specOf(mesh, e)
	if spec == nil {
		return nil, nil
	}
	return ACMOf(spec)
}

// ACMOf is ACM by the spec of a virtual node, or of a virtual gateway read as one.
func ACMOf(spec *wire.VirtualNodeSpec) (certificates, authorities []string) {
	for _, l := range spec.Listeners {
		if c := value(value(l.Tls).Certificate).Acm; c != nil && servesTLS(l) {
			certificates = append(certificates, value(c.CertificateArn))
		}
	}
	for _, p := range policies(spec) {
		if ca := value(value(p.Validation).Trust).Acm; ca != nil {
			authorities = append(authorities, ca.CertificateAuthorityArns...)
		}
	}
	return unique(certificates), unique(authorities)
}

func unique(s []string) []string {
	slices.Sort(s)
	return slices.Compact(s)
}
