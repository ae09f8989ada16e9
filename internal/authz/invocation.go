package authz

import (
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/latchwork/latchwork/internal/inbound"
	"github.com/latchwork/latchwork/internal/policy"
	"github.com/latchwork/latchwork/internal/snapshot"
)

// Invoke is the action of a request to a VPC Lattice service.
// Source: Service Authorization Reference, Amazon VPC Lattice Services.
const Invoke = "vpc-lattice-svcs:Invoke"

// Invocation is one request to a VPC Lattice service: the question that it is, and the
// condition keys of that question.
type Invocation struct {
	In *inbound.Request
	// GRPC tells that it is a gRPC call: see inbound.Request.IsGRPC.
	GRPC bool
	// Port is that of the listener.
	Port    int64
	Service *snapshot.Service
	Network *snapshot.Network
	VPC     *snapshot.VPC
	Caller  CallerKeys
}

// Check refuses a request that must not be looked at any further, as two readers could
// understand it differently.
func (v *Invocation) Check() error {
	if err := v.In.CheckHeaders(); err != nil {
		return err
	}
	if err := inbound.CheckTarget(v.In.Target); err != nil {
		return err
	}
	if v.GRPC && v.In.RawQuery() != "" {
		// A gRPC call has no query; hiding the query keys of one would let a content
		// type hide them from a Deny.
		return errors.New("a gRPC request must not have a query string")
	}
	return nil
}

// Resource is the ARN that the decision is made on.
// Source: VPC Lattice User Guide, "Resource format for auth policies".
func (v *Invocation) Resource() string { return v.Service.ARN + v.In.Path() }

// Query is the question that the request stands for.
func (v *Invocation) Query() *Query {
	return &Query{
		Request: policy.Request{Principal: v.Caller.Principal, Action: Invoke, Resource: v.Resource(), Keys: v},
		Service: v.Service, Network: v.Network,
	}
}

// Lookup answers the condition keys of a request, from what the gateway saw, so
// that a decision makes no map of them.
// Source: VPC Lattice User Guide, "Condition keys that can be used in auth
// policies"; Service Authorization Reference, Amazon VPC Lattice Services.
func (v *Invocation) Lookup(k *policy.Key) (policy.Values, bool) {
	switch k.ID {
	case policy.SvcsPort:
		return policy.Single(strconv.FormatInt(v.Port, 10)), true
	case policy.SvcsRequestMethod:
		return policy.Single(v.In.Method), true
	case policy.SvcsRequestPath:
		return policy.Single(v.In.Path()), true
	case policy.SvcsRequestHeader:
		return v.headerValues(k.Tail)
	case policy.SvcsRequestQueryString:
		if v.GRPC {
			return policy.Values{}, false // A gRPC call with a query was refused.
		}
		return queryValues(v.In.RawQuery(), k.Tail)
	case policy.SvcsServiceARN:
		return policy.Single(v.Service.ARN), true
	case policy.SvcsServiceNetworkARN:
		if v.Network == nil {
			return policy.Values{}, false
		}
		return policy.Single(v.Network.ARN), true
	case policy.SvcsSourceVPC:
		if v.VPC == nil {
			return policy.Values{}, false
		}
		return policy.Single(v.VPC.ID), true
	case policy.SvcsSourceVPCOwnerAccount:
		if v.VPC == nil {
			return policy.Values{}, false
		}
		return policy.Single(v.VPC.Owner), true
	case policy.SourceIP:
		return policy.Single(v.In.Remote.Addr().Unmap().String()), true
	case policy.SecureTransport:
		if v.In.TLS != nil {
			return policy.Single("true"), true
		}
		return policy.Single("false"), true
	case policy.RequestedRegion:
		return policy.Single(v.Service.Region), true
	case policy.UserAgent:
		return v.headerValues("user-agent")
	case policy.Referer:
		return v.headerValues("referer")
	case policy.ResourceTag:
		return Tag(v.Service.Tags, k.Tail)
	}
	return v.Caller.Lookup(k)
}

// headerValues gives a header by its lower-case name. Credentials are no business
// of a policy.
func (v *Invocation) headerValues(name string) (policy.Values, bool) {
	switch name {
	case "authorization", "x-amz-security-token":
		return policy.Values{}, false
	case "host", ":authority":
		return text(v.In.Authority)
	}
	first, ok := v.In.Get(name)
	if !ok {
		return policy.Values{}, false
	}
	if v.In.Count(name) == 1 {
		return policy.Single(strings.Trim(first, " \t")), true
	}
	out := policy.Values{Repeated: true}
	for i := range v.In.Headers {
		if v.In.Headers[i].Name == name {
			out.Many = append(out.Many, strings.Trim(v.In.Headers[i].Value, " \t"))
		}
	}
	out.One = strings.Join(out.Many, ",")
	return out, true
}

// queryValues gives the values of a query key, percent-decoded, '+' as a space. A
// key without '=' is there with an empty value. Every text can be decoded: a request
// with an escape that is none was refused.
func queryValues(query, key string) (policy.Values, bool) {
	var out policy.Values
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
			out.One = value
		case !out.Repeated:
			out.Repeated, out.Many = true, []string{out.One, value}
		default:
			out.Many = append(out.Many, value)
		}
		found = true
	}
	return out, found
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

// Spoofable tells whether a header, by its lower-case name, is one that only the gateway may
// set. What a client sends under these names is taken off before anything is decided, so
// no condition and no target can take a client's word for them. Many
// targets (CGI, WSGI) cannot tell '_' from '-' in a name.
// Source: VPC Lattice User Guide, "HTTP headers".
func Spoofable(name string) bool {
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

// Strip takes the headers off that only the gateway may set, and those that do not
// reach the target, also those that the client's Connection header names: else a
// client could show a header to a policy and hide it from the target.
func (v *Invocation) Strip() {
	in := v.In
	var named []string
	for i := range in.Headers {
		if in.Headers[i].Name == "connection" {
			for name := range strings.SplitSeq(strings.ToLower(in.Headers[i].Value), ",") {
				named = append(named, strings.TrimSpace(name))
			}
		}
	}
	in.Headers = slices.DeleteFunc(in.Headers, func(h inbound.Header) bool {
		return Spoofable(h.Name) || hopByHop(h.Name) || slices.Contains(named, h.Name)
	})
}
