package gateway

import (
	"net/url"
	"slices"
	"strings"

	"github.com/latchwork/latchwork/internal/authz"
	"github.com/latchwork/latchwork/internal/identity"
	"github.com/latchwork/latchwork/internal/policy"
	"github.com/latchwork/latchwork/internal/snapshot"
)

// Lookup answers the condition keys of a request, from what the gateway saw: an
// exchange is its own policy.Keys, so a decision makes no map of them.
// Source: VPC Lattice User Guide, "Condition keys that can be used in auth
// policies"; Service Authorization Reference, Amazon VPC Lattice Services.
func (x *exchange) Lookup(k *policy.Key) (policy.Values, bool) {
	switch k.ID {
	case policy.SvcsPort:
		return policy.Single(itoa(x.port)), true
	case policy.SvcsRequestMethod:
		return policy.Single(x.in.Method), true
	case policy.SvcsRequestPath:
		return policy.Single(x.in.Path()), true
	case policy.SvcsRequestHeader:
		return x.headerValues(k.Tail)
	case policy.SvcsRequestQueryString:
		if x.grpc {
			return policy.Values{}, false // A gRPC call with a query was refused.
		}
		return queryValues(x.in.RawQuery(), k.Tail)
	case policy.SvcsServiceARN:
		return policy.Single(x.service.ARN), true
	case policy.SvcsServiceNetworkARN:
		if x.network == nil {
			return policy.Values{}, false
		}
		return policy.Single(x.network.ARN), true
	case policy.SvcsSourceVPC:
		if x.vpc == nil {
			return policy.Values{}, false
		}
		return policy.Single(x.vpc.ID), true
	case policy.SvcsSourceVPCOwnerAccount:
		if x.vpc == nil {
			return policy.Values{}, false
		}
		return policy.Single(x.vpc.Owner), true
	case policy.SourceIP:
		return policy.Single(x.in.Remote.Addr().Unmap().String()), true
	case policy.SecureTransport:
		if x.in.TLS != nil {
			return policy.Single("true"), true
		}
		return policy.Single("false"), true
	case policy.RequestedRegion:
		return policy.Single(x.service.Region), true
	case policy.UserAgent:
		return x.headerValues("user-agent")
	case policy.Referer:
		return x.headerValues("referer")
	case policy.ResourceAccount:
		return policy.Single(x.service.Account), true
	case policy.ResourceOrgID:
		id := x.snap.Account(x.service.Account).OrgID
		return policy.Single(id), id != ""
	case policy.ResourceOrgPaths:
		paths := x.snap.Account(x.service.Account).OrgPaths
		return policy.Values{Many: paths, List: true}, len(paths) > 0
	case policy.ResourceTag:
		return authz.Tag(x.service.Tags, k.Tail)
	}
	return x.caller.Lookup(k)
}

// headerValues gives a header by its lower-case name. Credentials are no business
// of a policy.
func (x *exchange) headerValues(name string) (policy.Values, bool) {
	switch name {
	case "authorization", "x-amz-security-token":
		return policy.Values{}, false
	case "host", ":authority":
		return policy.Single(x.in.Authority), true
	}
	first, ok := x.in.Get(name)
	if !ok {
		return policy.Values{}, false
	}
	if x.in.Count(name) == 1 {
		return policy.Single(strings.Trim(first, " \t")), true
	}
	v := policy.Values{Repeated: true}
	for i := range x.in.Headers {
		if x.in.Headers[i].Name == name {
			v.Many = append(v.Many, strings.Trim(x.in.Headers[i].Value, " \t"))
		}
	}
	v.One = strings.Join(v.Many, ",")
	return v, true
}

// queryValues gives the values of a query key, percent-decoded, '+' as a space. A
// key without '=' is there with an empty value. Every text can be decoded: a request
// with an escape that is none was refused.
func queryValues(query, key string) (policy.Values, bool) {
	var v policy.Values
	found := false
	for query != "" {
		var part string
		part, query, _ = strings.Cut(query, "&")
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		if decode(name) != key {
			continue
		}
		value = decode(value)
		switch {
		case !found:
			v.One = value
		case !v.Repeated:
			v.Repeated, v.Many = true, []string{v.One, value}
		default:
			v.Many = append(v.Many, value)
		}
		found = true
	}
	return v, found
}

func decode(s string) string {
	if !strings.ContainsAny(s, "%+") {
		return s
	}
	if d, err := url.QueryUnescape(s); err == nil {
		return d
	}
	return s
}

// tag is one tag of a principal.
type tag struct{ key, value string }

// principalTags lists the tags of a principal, a session's own before its role's,
// sorted by key.
func principalTags(snap *snapshot.Snapshot, p *identity.Principal) []tag {
	all := map[string]string{}
	if e := snap.Entity(p); e != nil {
		for k, v := range e.Tags {
			all[k] = v
		}
	}
	if p.Session != nil {
		for k, v := range p.Session.Tags {
			all[k] = v
		}
	}
	out := make([]tag, 0, len(all))
	for k, v := range all {
		out = append(out, tag{k, v})
	}
	slices.SortFunc(out, func(a, b tag) int { return strings.Compare(a.key, b.key) })
	return out
}
