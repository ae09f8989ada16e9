package gateway

import (
	"net/http"
	"slices"
	"strings"

	"github.com/latchwork/latchwork/internal/inbound"
	"github.com/latchwork/latchwork/internal/snapshot"
)

// Headers that only the gateway may set. What a client sends under these names is
// taken off before anything is decided, so no condition and no target can take a
// client's word for them.
// Source: VPC Lattice User Guide, "HTTP headers".
const (
	headerIdentity     = "X-Amzn-Lattice-Identity"
	headerIdentityTags = "X-Amzn-Lattice-Identity-Tags"
	headerNetwork      = "X-Amzn-Lattice-Network"
	headerTarget       = "X-Amzn-Lattice-Target"
	headerSourceVPC    = "X-Amzn-Source-Vpc"
	headerRequestID    = "X-Amzn-Requestid"
	headerDecisionID   = "X-Latchwork-Request-Id"
)

// spoofable tells whether a header, by its lower-case name, is one of those. Many
// targets (CGI, WSGI) cannot tell '_' from '-' in a name.
func spoofable(name string) bool {
	if strings.Contains(name, "_") {
		name = strings.ReplaceAll(name, "_", "-")
	}
	switch name {
	case "x-amzn-source-vpc", "x-forwarded-for", "x-forwarded-port", "x-forwarded-proto", "x-forwarded-host",
		"forwarded", "x-latchwork-request-id":
		return true
	}
	return strings.HasPrefix(name, "x-amzn-lattice-")
}

// hopByHop tells whether a header, by its lower-case name, is for the gateway and
// ends here. Source: RFC 9110, 7.6.1.
func hopByHop(name string) bool {
	switch name {
	case "connection", "proxy-connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "transfer-encoding", "upgrade":
		return true
	}
	return false
}

// strip takes the headers off that only the gateway may set, and those that do not
// reach the target, also those that the client's Connection header names: else a
// client could show a header to a policy and hide it from the target.
func strip(in *inbound.Request) {
	var named []string
	for i := range in.Headers {
		if in.Headers[i].Name == "connection" {
			named = append(named, splitList(strings.ToLower(in.Headers[i].Value))...)
		}
	}
	in.Headers = slices.DeleteFunc(in.Headers, func(h inbound.Header) bool {
		return spoofable(h.Name) || hopByHop(h.Name) || slices.Contains(named, h.Name)
	})
}

// outboundHeaders turns the client's headers into those that the target gets.
func (g *Gateway) outboundHeaders(h http.Header, x *exchange, group *snapshot.TargetGroup) {
	for name := range h {
		if spoofable(strings.ToLower(name)) {
			delete(h, name)
		}
	}
	if x.authenticated {
		// They were for the gateway, and the token is a live credential.
		delete(h, "X-Amz-Security-Token")
		delete(h, "Authorization")
	}
	// Upgrades would end the gateway's part in what is said; the request goes on
	// without one, which RFC 9110 7.8 allows.
	delete(h, "Upgrade")
	if x.grpc {
		h.Set("Te", "trailers")
	}
	h.Set("X-Forwarded-For", x.in.Remote.Addr().String())
	h.Set("X-Forwarded-Port", itoa(x.port))
	h.Set("X-Forwarded-Proto", x.scheme())
	h[headerRequestID] = []string{x.requestID}
	if x.vpc != nil {
		h[headerNetwork] = []string{"SourceVpcArn=" + x.vpc.ARN}
		h[headerSourceVPC] = []string{x.vpc.ID}
	}
	target := "ServiceArn=" + x.service.ARN
	if x.network != nil {
		target += "; ServiceNetworkArn=" + x.network.ARN
	}
	h[headerTarget] = []string{target + "; TargetGroupArn=" + group.ARN}
	if x.authenticated {
		identity, tags := g.identityHeaders(x)
		h[headerIdentity] = []string{identity}
		if tags != "" {
			h[headerIdentityTags] = []string{tags}
		}
	}
}

// identityHeaders describes an authenticated caller to the target. An anonymous
// caller has none.
// Source: VPC Lattice User Guide, "HTTP headers"; separators as observed: "; ".
func (g *Gateway) identityHeaders(x *exchange) (identity, tags string) {
	p := x.principal
	account := x.snap.Account(p.Account)
	var b strings.Builder
	b.WriteString("Principal=" + p.ARN)
	if account.OrgID != "" {
		b.WriteString("; PrincipalOrgID=" + account.OrgID)
	}
	if len(account.OrgPaths) > 0 {
		b.WriteString("; PrincipalOrgPath=" + strings.Join(account.OrgPaths, ","))
	}
	if p.Session != nil && p.Session.Name != "" {
		b.WriteString("; SessionName=" + p.Session.Name)
	}
	b.WriteString("; Type=AWS_IAM")
	all := principalTags(x.snap, p)
	if len(all) == 0 {
		return b.String(), ""
	}
	t := "principal=" + escapeTag(p.ARN)
	if account.OrgID != "" {
		t += ";principalorgid=" + escapeTag(account.OrgID)
	}
	if len(account.OrgPaths) > 0 {
		t += ";principalorgpath=" + escapeTag(strings.Join(account.OrgPaths, ","))
	}
	for _, tag := range all {
		t += ";" + escapeTag(tag.key) + "=" + escapeTag(tag.value)
	}
	return b.String(), t
}

// escapeTag keeps a ';' in a value from being read as a separator. Line breaks
// cannot be in a header at all; tags may not hold them, but a header is no place
// to trust that.
func escapeTag(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
	return strings.ReplaceAll(s, ";", `\;`)
}
