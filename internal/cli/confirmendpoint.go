package cli

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/latchwork/latchwork/internal/authz"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/snapshot"
	"github.com/latchwork/latchwork/internal/wire/appmesh"
	"github.com/latchwork/latchwork/internal/xds/translate"
)

// describe tells what the mesh endpoint is, and whether its Envoys need the
// permission.
func (v *confirming) describe(rule snapshot.ProxyAuthorization) {
	e := v.endpoint
	kind, member := "virtualNodes", "a virtual node"
	if e.Kind == model.VirtualGatewayEndpoint {
		kind, member = "virtualGateways", "a virtual gateway"
	}
	var out struct {
		Spec     *appmesh.VirtualNodeSpec `json:"spec"`
		Metadata struct {
			ARN string `json:"arn"`
		} `json:"metadata"`
	}
	path := "/v20190125/meshes/" + url.PathEscape(e.Mesh) + "/" + kind + "/" + url.PathEscape(e.Name)
	err := v.client.rest(v.ctx, model.MeshService, http.MethodGet, path+v.owner(), nil, &out)
	var answered *apiError
	switch {
	case errors.As(err, &answered) && answered.status == http.StatusNotFound, err == nil && out.Metadata.ARN != v.out.Resource:
		out.Spec = nil
		v.add(levelWarn, "endpoint", "there is no such mesh endpoint: its Envoys are refused with code 3")
	case err != nil:
		v.add(levelWarn, "endpoint", "whether it exists cannot be determined: %v", err)
	}
	tls := out.Spec != nil && translate.UsesTLS(&model.VirtualNode{Spec: out.Spec})
	if out.Spec != nil {
		text := member
		if tls {
			text += " that uses TLS"
		}
		v.add(levelOK, "endpoint", "it exists, %s", text)
	}
	switch {
	case rule == snapshot.ProxyAuthorizationOff:
		v.out.Required = "no"
		v.add(levelWarn, "required", "no Envoy of the account is asked for the permission: proxy-authorization is off")
	case rule == snapshot.ProxyAuthorizationTLS && e.Kind == model.VirtualNodeEndpoint && out.Spec == nil:
		v.add(levelInfo, "required", "if it uses TLS; else an Envoy that signs is served without the permission")
	case rule == snapshot.ProxyAuthorizationTLS && e.Kind == model.VirtualNodeEndpoint && !tls:
		v.out.Required = "no"
		v.add(levelInfo, "required", "not for a virtual node that does not use TLS: its Envoy must sign, and is served without the permission unless a policy denies it. The permission is recommended all the same")
	case rule != "":
		v.out.Required = "yes"
		v.add(levelInfo, "required", "yes, by proxy-authorization %s", rule)
	}
	if out.Spec != nil {
		v.certificates(out.Spec)
	}
}

// owner is the query that names the mesh's owner.
func (v *confirming) owner() string {
	if v.flags.MeshOwner == "" {
		return ""
	}
	return "?meshOwner=" + url.QueryEscape(v.flags.MeshOwner)
}

// certificates tells whether the role has what AWS Certificate Manager asks for.
// Source: App Mesh User Guide, "Transport Layer Security", "Prerequisites".
func (v *confirming) certificates(spec *appmesh.VirtualNodeSpec) {
	certificates, authorities := translate.ACMOf(spec)
	for _, need := range []struct {
		action string
		arns   []string
	}{{"acm:ExportCertificate", certificates}, {"acm-pca:GetCertificateAuthorityCertificate", authorities}} {
		var missing, fixable []string
		for _, arn := range need.arns {
			x, _, err := v.explain(need.action, arn)
			if err != nil {
				v.add(levelWarn, "certificates", "%s on %s cannot be determined: %v", need.action, arn, err)
				return
			}
			if x.Allowed {
				continue
			}
			missing = append(missing, arn)
			if keys := depends(x); len(keys) > 0 {
				v.add(levelWarn, "certificates", "whether the role may %s on %s, which its TLS needs, depends on %s: say it with --key %s=VALUE", need.action, arn, strings.Join(keys, " and "), keys[0])
				if v.out.Verdict == "allowed" {
					v.out.Verdict = "unknown"
					v.out.Reason = "whether it may have the certificates depends on " + strings.Join(keys, " and ") + " of the Envoy's stream"
				}
				continue
			}
			if x.Cause == authz.ImplicitDeny.String() {
				fixable = append(fixable, arn)
			}
			v.add(levelFail, "certificates", "the role may not %s on %s, which its TLS needs (%s)", need.action, arn, x.Cause)
			if v.out.Verdict != "denied" {
				v.out.Verdict, v.out.Cause = "denied", x.Cause
				v.out.Reason = "the role may read the configuration, but not have the certificates in it"
			}
		}
		if len(fixable) > 0 {
			v.fixPermission("appmesh-envoy-certificates", need.action, fixable)
		}
		if len(missing) == 0 && len(need.arns) > 0 {
			v.add(levelOK, "certificates", "the role may %s", need.action)
		}
	}
}

// maxOthers is how many mesh endpoints are asked about.
const maxOthers = 500

// others lists the other mesh endpoints of the mesh.
func (v *confirming) others() ([]string, error) {
	var out []string
	for _, kind := range []string{"virtualNodes", "virtualGateways"} {
		query := url.Values{"limit": {"100"}}
		if v.flags.MeshOwner != "" {
			query.Set("meshOwner", v.flags.MeshOwner)
		}
		for more := true; more && len(out) < maxOthers; more = query.Get("nextToken") != "" {
			type item struct {
				ARN string `json:"arn"`
			}
			var page struct {
				Nodes     []item `json:"virtualNodes"`
				Gateways  []item `json:"virtualGateways"`
				NextToken string `json:"nextToken"`
			}
			path := "/v20190125/meshes/" + url.PathEscape(v.endpoint.Mesh) + "/" + kind + "?" + query.Encode()
			if err := v.client.rest(v.ctx, model.MeshService, http.MethodGet, path, nil, &page); err != nil {
				return nil, err
			}
			for _, i := range slices.Concat(page.Nodes, page.Gateways) {
				if i.ARN != v.out.Resource {
					out = append(out, i.ARN)
				}
			}
			query.Set("nextToken", page.NextToken)
		}
	}
	return out, nil
}

// scope tells what else the role may read: the user guide recommends nothing.
func (v *confirming) scope(x *authz.Explanation) {
	if wide := wildcards(x); len(wide) > 0 {
		v.add(levelWarn, "scope", "a policy of the role allows every mesh endpoint that %s matches: limit it to those that its own Envoys stand for", strings.Join(wide, ", "))
	}
	others, err := v.others()
	if err != nil {
		v.add(levelWarn, "scope", "what else the role may read cannot be determined: %v", err)
		return
	}
	if len(others) > maxOthers {
		v.add(levelInfo, "scope", "only the first %d other mesh endpoints are looked at", maxOthers)
		others = others[:maxOthers]
	}
	for _, arn := range others {
		x, _, err := v.explain(actionStream, arn)
		if err != nil {
			v.add(levelWarn, "scope", "what else the role may read cannot be determined: %v", err)
			return
		}
		if x.Allowed {
			v.out.AlsoReadable = append(v.out.AlsoReadable, arn)
		}
	}
	slices.Sort(v.out.AlsoReadable)
	const shown = 5
	switch n := len(v.out.AlsoReadable); {
	case n == 0:
		v.add(levelOK, "scope", "of the mesh the role may read nothing else")
	case n <= shown:
		v.add(levelInfo, "scope", "of the mesh the role may also read %s", strings.Join(v.out.AlsoReadable, ", "))
	default:
		v.add(levelInfo, "scope", "of the mesh the role may also read %s and %d more", strings.Join(v.out.AlsoReadable[:shown], ", "), n-shown)
	}
}

// live tells which Envoys came for the mesh endpoint.
func (v *confirming) live() {
	list, err := v.client.proxies(v.ctx, v.out.Resource)
	if err != nil {
		v.add(levelWarn, "live", "which Envoys have come cannot be determined: %v", err)
		return
	}
	if n := len(list.Connected); n > 0 {
		v.add(levelInfo, "live", "%d Envoys are connected", n)
	}
	for _, a := range list.Refused {
		v.add(levelInfo, "live", "%s from %s was refused last at %s: %d, %s", a.Principal, a.SourceIP, a.Time.Format("2006-01-02T15:04:05Z07:00"), a.Code, a.Text)
	}
}
