package xds

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/latchwork/latchwork/internal/authz"
	"github.com/latchwork/latchwork/internal/identity"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/policy"
	"github.com/latchwork/latchwork/internal/sigv4"
	"github.com/latchwork/latchwork/internal/snapshot"
	"github.com/latchwork/latchwork/internal/xds/translate"
)

// Actions that an Envoy's principal needs.
// Source: App Mesh User Guide, "Envoy Proxy authorization" and "Transport Layer
// Security", "Prerequisites".
const (
	actionStream      = "appmesh:StreamAggregatedResources"
	actionCertificate = "acm:ExportCertificate"
	actionAuthority   = "acm-pca:GetCertificateAuthorityCertificate"
)

// grant is a principal and the mesh endpoint that its stream may read. It is asked
// for again with every snapshot.
type grant struct {
	caller *caller
	claim
	// arn of the endpoint.
	arn string
}

// verdict is the answer to a grant.
type verdict struct {
	// authorized says that the principal has the permissions; a stream may be served
	// without, where the rule of the account does not demand them.
	authorized bool
	mesh       *snapshot.Mesh
	// question is what was asked last: what denied, or what everything rests on.
	question *authz.Query
	decision authz.Decision
}

// decide says whether a grant holds in a snapshot. The error is a gRPC status, in
// the order and the words of AWS: account, permission, existence. Nobody learns by
// it whether an endpoint is there that may not be read.
// Source: App Mesh User Guide, "Envoy Proxy authorization" and "Troubleshooting
// setup"; the text of a denial from a user's log.
func (s *Server) decide(snap *snapshot.Snapshot, g *grant) (verdict, error) {
	e := g.endpoint
	rule := snap.Account(e.Account).ProxyAuthorization
	p := g.caller.principal
	mesh := snap.MeshOf(g.arn, g.owner)
	if mesh != nil && mesh.MeshOwner != e.Account && !slices.Contains(mesh.SharedWith, e.Account) {
		mesh = nil // it is not shared with the endpoint's account any more
	}
	v := verdict{mesh: mesh}
	switch {
	case p.IsAnonymous() && rule != snapshot.ProxyAuthorizationOff:
		return v, errMissingToken
	case !p.IsAnonymous() && p.Account != e.Account:
		return v, s.denied(actionStream, g.arn)
	case !p.IsAnonymous() && g.caller.region != e.Region:
		return v, status.Error(codes.Unauthenticated, textRegion)
	case !g.caller.keyHolds(snap):
		return v, status.Error(codes.Unauthenticated, sigv4.ErrUnknownKey.Fault().Message)
	case rule != snapshot.ProxyAuthorizationOff:
		if err := s.permitted(snap, g, rule, &v); err != nil {
			return v, err
		}
	}
	if mesh == nil {
		kind := "Virtual Node"
		if e.Kind == model.VirtualGatewayEndpoint {
			kind = "Virtual Gateway"
		}
		return v, status.Error(codes.InvalidArgument, fmt.Sprintf("No %s with name %s found in mesh %s.", kind, e.Name, e.Mesh))
	}
	return v, nil
}

// permitted asks for every permission that the grant needs.
func (s *Server) permitted(snap *snapshot.Snapshot, g *grant, rule snapshot.ProxyAuthorization, v *verdict) error {
	ask := func(action, resource string, tags map[string]string) bool {
		v.question = &authz.Query{
			Request: policy.Request{Principal: g.caller.principal, Action: action, Resource: resource, Keys: s.keys(snap, g, accountOf(resource), tags)},
			Account: accountOf(resource),
		}
		v.decision = authz.Decide(snap, v.question)
		return v.decision.Allowed
	}
	if !ask(actionStream, g.arn, v.mesh.EndpointTags(g.endpoint)) {
		if v.decision.Cause != authz.ExplicitDeny && rule == snapshot.ProxyAuthorizationTLS && plainNode(v.mesh, g.endpoint) {
			return nil
		}
		return s.denied(actionStream, g.arn)
	}
	v.authorized = true
	if v.mesh == nil {
		return nil
	}
	// AWS's certificates and authorities are not here: they have no tags.
	certificates, authorities := translate.ACM(v.mesh, g.endpoint)
	for _, arn := range certificates {
		if !ask(actionCertificate, arn, nil) {
			return s.denied(actionCertificate, arn)
		}
	}
	for _, arn := range authorities {
		if !ask(actionAuthority, arn, nil) {
			return s.denied(actionAuthority, arn)
		}
	}
	return nil
}

// accountOf is the account in an ARN. What is not one belongs to nobody, and so to
// no caller.
func accountOf(arn string) string {
	if parts := strings.SplitN(arn, ":", 6); len(parts) == 6 && parts[4] != "" {
		return parts[4]
	}
	return "nobody"
}

// plainNode tells whether an endpoint is a virtual node that does not use TLS.
func plainNode(mesh *snapshot.Mesh, e model.MeshEndpoint) bool {
	if mesh == nil || e.Kind != model.VirtualNodeEndpoint {
		return false
	}
	n := mesh.Node(e.Name)
	return n != nil && !translate.UsesTLS(n)
}

func (s *Server) denied(action, arn string) error {
	return status.Error(codes.PermissionDenied, "Unauthorized to perform "+action+" for "+arn+".")
}

// streamKeys are the condition keys of a stream.
type streamKeys struct {
	own    policy.MapKeys
	tags   map[string]string // of the resource
	caller authz.CallerKeys
}

// Lookup implements policy.Keys.
func (k *streamKeys) Lookup(key *policy.Key) (policy.Values, bool) {
	if key.ID == policy.ResourceTag {
		return authz.Tag(k.tags, key.Tail)
	}
	if v, ok := k.own.Lookup(key); ok {
		return v, true
	}
	return k.caller.Lookup(key)
}

func (s *Server) keys(snap *snapshot.Snapshot, g *grant, owner string, tags map[string]string) *streamKeys {
	k := &streamKeys{
		own:    policy.MapKeys{},
		tags:   tags,
		caller: authz.CallerKeys{Snap: snap, Principal: g.caller.principal, Owner: owner, Now: s.cfg.Clock()},
	}
	r := g.caller.request
	if r.Remote.IsValid() {
		k.own.Set("aws:SourceIp", r.Remote.Addr().Unmap().String())
	}
	secure := "false"
	if r.TLS != nil {
		secure = "true"
	}
	k.own.Set("aws:SecureTransport", secure)
	if agent, ok := r.Get("user-agent"); ok {
		k.own.Set("aws:UserAgent", agent)
	}
	if referer, ok := r.Get("referer"); ok {
		k.own.Set("aws:referer", referer)
	}
	k.own.Set("aws:RequestedRegion", g.endpoint.Region)
	return k
}

// expires is when the principal's session ends; the zero time for never.
func expires(p *identity.Principal) time.Time {
	if p == nil || p.Session == nil {
		return time.Time{}
	}
	return p.Session.Expires
}
