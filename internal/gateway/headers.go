package gateway

import (
	"net/http"
	"strings"

	"github.com/latchwork/latchwork/internal/authz"
	"github.com/latchwork/latchwork/internal/snapshot"
)

// Headers that only the gateway may set: see authz.Spoofable.
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

// outboundHeaders turns the client's headers into those that the target gets.
func (g *Gateway) outboundHeaders(h http.Header, x *exchange, group *snapshot.TargetGroup) {
	for name := range h {
		if authz.Spoofable(strings.ToLower(name)) {
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
	if x.GRPC {
		h.Set("Te", "trailers")
	}
	h.Set("X-Forwarded-For", x.In.Remote.Addr().String())
	h.Set("X-Forwarded-Port", itoa(x.Port))
	h.Set("X-Forwarded-Proto", x.scheme())
	h[headerRequestID] = []string{x.requestID}
	if x.VPC != nil {
		h[headerNetwork] = []string{"SourceVpcArn=" + x.VPC.ARN}
		h[headerSourceVPC] = []string{x.VPC.ID}
	}
	target := "ServiceArn=" + x.Service.ARN
	if x.Network != nil {
		target += "; ServiceNetworkArn=" + x.Network.ARN
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
