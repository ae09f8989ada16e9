package policytest

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"net/netip"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/latchwork/latchwork/internal/authz"
	"github.com/latchwork/latchwork/internal/identity"
	"github.com/latchwork/latchwork/internal/inbound"
	"github.com/latchwork/latchwork/internal/policy"
	"github.com/latchwork/latchwork/internal/snapshot"
)

// What a file does not say.
const (
	defaultTime    = "2026-01-01T12:00:00Z"
	defaultNetwork = "arn:aws:vpc-lattice:us-west-2:123456789012:servicenetwork/sn-0123456789abcdef0"
	defaultService = "arn:aws:vpc-lattice:us-west-2:123456789012:service/svc-0123456789abcdef0"
	defaultHost    = "rates.example.com"
	defaultVPC     = "vpc-0123456789abcdef0"
	defaultAddress = "10.0.0.10"
	defaultSession = "session"
	defaultAge     = 5 * time.Minute

	anonymous = "anonymous"
)

// world is what a file states.
type world struct {
	*File
	d        *decoder
	compiled compiled
	// base has the accounts and the managed policies.
	base *snapshot.Snapshot
}

func newWorld(f *File, d *decoder, c compiled) *world {
	w := &world{File: f, d: d, compiled: c}
	settings := &snapshot.Settings{Partition: "aws", Accounts: map[string]snapshot.Account{}}
	for _, id := range sortedKeys(f.Accounts) {
		a := f.Accounts[id]
		if !policy.IsAccount(id) {
			d.errs = append(d.errs, fmt.Errorf("%s: accounts: %q is no id of an account: it has twelve digits", d.file, id))
		}
		account := snapshot.Account{ID: id, OrgID: a.Organization, OrgPaths: a.OrganizationPaths, Management: a.Management}
		for _, level := range a.ServiceControlPolicies {
			policies := []*snapshot.Policy{}
			for i := range level {
				if full := snapshot.FullAWSAccess(); level[i].Ref == full.Name {
					policies = append(policies, full)
				} else {
					policies = append(policies, w.policy(policy.ServiceControl, &level[i], "account "+id))
				}
			}
			account.ControlPolicies = append(account.ControlPolicies, policies)
		}
		settings.Accounts[id] = account
	}
	w.base = snapshot.New(settings)
	for name, p := range f.Policies {
		if !isARN(name) {
			continue
		}
		if _, own := w.base.Managed(name); own {
			d.wrong(p.node, "%s is a managed policy of AWS's own", name)
			continue
		}
		made := *c.compile(d, policy.Identity, &p)
		made.ARN, made.Name = name, name[strings.LastIndexByte(name, '/')+1:]
		w.base = w.base.WithManaged(&made)
	}
	return w
}

func isARN(text string) bool { return strings.HasPrefix(text, "arn:") }

// policy makes a policy of something that somebody has.
func (w *world) policy(kind policy.Kind, p *Policy, owner string) *snapshot.Policy {
	if isARN(p.Ref) {
		if made, ok := w.base.Managed(p.Ref); ok {
			return made
		}
		w.d.wrong(p.node, "there is no managed policy %s: write it under policies", p.Ref)
		return &snapshot.Policy{}
	}
	name := p.Ref
	if p.Ref != "" {
		named, ok := w.Policies[p.Ref]
		if !ok {
			names := []string{snapshot.FullAWSAccess().Name}
			for name := range w.Policies {
				names = append(names, name)
			}
			w.d.wrong(p.node, "there is no policy %q%s", p.Ref, suggest(p.Ref, names))
			return &snapshot.Policy{}
		}
		p = &named
	}
	made := *w.compiled.compile(w.d, kind, p)
	made.Owner = owner
	if name != "" {
		made.Name = name
	}
	return &made
}

func (w *world) optional(kind policy.Kind, p *Policy, owner string) *snapshot.Policy {
	if p == nil {
		return nil
	}
	return w.policy(kind, p, owner)
}

// arnOf reads an ARN of six parts.
func (w *world) arnOf(at *yaml.Node, what, text string) (parts [6]string) {
	found := strings.SplitN(text, ":", 6)
	if len(found) != 6 || found[0] != "arn" {
		w.d.wrong(at, "%s: %q is no ARN", what, text)
		return parts
	}
	copy(parts[:], found)
	return parts
}

// account checks the id of an account.
func (w *world) account(at *yaml.Node, id string) {
	if !policy.IsAccount(id) {
		w.d.wrong(at, "%q is no id of an account: it has twelve digits", id)
	}
}

func (w *world) instant(at *yaml.Node, what, text string) time.Time {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		w.d.wrong(at, "%s: %q is no time such as %s", what, text, defaultTime)
	}
	return t
}

// uniqueID is the id that a user or role has whose id is not stated.
func uniqueID(prefix, arn string) string {
	sum := sha256.Sum256([]byte(arn))
	return prefix + base32.StdEncoding.EncodeToString(sum[:])[:17]
}

// sessionName is what the session of a role may be called.
// Source: STS API Reference, AssumeRole, RoleSessionName.
var sessionName = regexp.MustCompile(`^[\w+=,.@-]{2,64}$`)

// misplaced names a field that a principal has and only others can have.
func (p *Principal) misplaced(what string) (field, of string) {
	v := reflect.ValueOf(*p)
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if of, ok := f.Tag.Lookup("of"); ok && !v.Field(i).IsZero() && !slices.Contains(strings.Fields(of), what) {
			return f.Tag.Get("json"), strings.Join(strings.Fields(of), ", ")
		}
	}
	return "", ""
}

// caller makes a principal, and the snapshot in which it has its policies.
func (w *world) caller(p *Principal, at *yaml.Node, now time.Time) (*identity.Principal, *snapshot.Snapshot) {
	var said []string
	for _, field := range []struct{ name, text string }{
		{"user", p.User}, {"role", p.Role}, {"root", p.Root}, {"service", p.Service}, {"web-identity", p.WebIdentity},
	} {
		if field.text != "" {
			said = append(said, field.name)
		}
	}
	if len(said) != 1 {
		w.d.wrong(at, "a principal is exactly one of user, role, root, service and web-identity; the caller who did not sign has the name anonymous")
		return &identity.Principal{}, w.base
	}
	what := said[0]
	if field, of := p.misplaced(what); field != "" {
		w.d.wrong(at, "a %s has no %s: it is for %s", what, field, of)
	}
	who := &identity.Principal{Partition: "aws"}
	switch {
	case p.Service != "":
		if !strings.Contains(p.Service, ".") {
			w.d.wrong(at, "service: %q is no service principal such as ec2.amazonaws.com", p.Service)
		}
		who.Kind, who.Name = identity.Service, p.Service
		return who, w.base
	case p.WebIdentity != "":
		provider := w.arnOf(at, "web-identity", p.WebIdentity)
		who.Kind = identity.WebIdentity
		who.Session = &identity.Session{FederatedProvider: p.WebIdentity, Keys: w.claims(p)}
		who.UserID = p.WebIdentity + ":" + first(p.Claims[strings.TrimPrefix(provider[5], "oidc-provider/")+":aud"]) +
			":" + first(p.Claims[strings.TrimPrefix(provider[5], "oidc-provider/")+":sub"])
		return who, w.base
	case p.Root != "":
		w.account(at, p.Root)
		arn := "arn:aws:iam::" + p.Root + ":root"
		who.Kind, who.Account, who.ARN, who.IssuerARN, who.IssuerID, who.UserID = identity.Root, p.Root, arn, arn, p.Root, p.Root
		return who, w.base
	}
	arn, kind, prefix := p.User, identity.User, "AIDA"
	if p.Role != "" {
		arn, kind, prefix = p.Role, identity.AssumedRole, "AROA"
	}
	parts := w.arnOf(at, "principal", arn)
	if parts[0] != "" {
		w.account(at, parts[4])
		if name, ok := strings.CutPrefix(parts[5], what+"/"); !ok || name == "" || parts[2] != "iam" {
			w.d.wrong(at, "%s is not the ARN of a %s, such as arn:aws:iam::123456789012:%s/name", arn, what, what)
		}
	}
	id := p.ID
	if id == "" {
		id = uniqueID(prefix, arn)
	}
	name := parts[5][strings.LastIndexByte(parts[5], '/')+1:]
	switch {
	case kind == identity.AssumedRole:
		session := p.Session
		or(&session, defaultSession)
		if !sessionName.MatchString(session) {
			w.d.wrong(at, "session: %q is no name of one: it has 2 to 64 letters, digits and _+=,.@-", session)
		}
		*who = identity.RoleSession(parts[1], parts[4], arn, id, name, session)
	case p.FederatedUser != "":
		*who = identity.Principal{
			Kind: identity.FederatedUser, Partition: parts[1], Account: parts[4],
			ARN:       "arn:" + parts[1] + ":sts::" + parts[4] + ":federated-user/" + p.FederatedUser,
			IssuerARN: arn, IssuerID: id, UserID: parts[4] + ":" + p.FederatedUser, Name: p.FederatedUser,
			Session: &identity.Session{Name: p.FederatedUser},
		}
	default:
		*who = identity.Principal{
			Kind: identity.User, Partition: parts[1], Account: parts[4], ARN: arn, IssuerARN: arn, IssuerID: id, UserID: id, Name: name,
		}
		if p.Temporary {
			who.Session = &identity.Session{}
		}
	}
	if s := who.Session; s != nil {
		w.session(s, p, at, now)
	} else if p.Issued != "" || p.MFAAge != nil || p.SessionPolicies != nil || p.SessionTags != nil || p.SourceIdentity != "" || p.Claims != nil || p.FederatedProvider != "" {
		w.d.wrong(at, "a user has no session: say temporary: true for credentials of GetSessionToken, or federated-user for those of GetFederationToken")
	}
	stated := snapshot.Stated{Entity: snapshot.Entity{Kind: kind, ARN: arn, ID: id, Account: parts[4], Name: name, Tags: p.Tags}}
	for i := range p.Policies {
		stated.Policies = append(stated.Policies, w.policy(policy.Identity, &p.Policies[i], arn))
	}
	for _, group := range p.Groups {
		policies, ok := w.Groups[group]
		if !ok || kind != identity.User {
			w.d.wrong(at, "there is no group %q, or its member is no user", group)
		}
		for i := range policies {
			stated.Policies = append(stated.Policies, w.policy(policy.Identity, &policies[i], "group "+group))
		}
	}
	stated.Boundary = w.optional(policy.Boundary, p.PermissionsBoundary, arn)
	return who, w.base.With(stated)
}

func (w *world) session(s *identity.Session, p *Principal, at *yaml.Node, now time.Time) {
	s.IssuedAt = now.Add(-defaultAge)
	if p.Issued != "" {
		s.IssuedAt = w.instant(at, "issued", p.Issued)
	}
	if p.MFAAge != nil {
		s.MFAAt = now.Add(-time.Duration(*p.MFAAge) * time.Second)
	}
	s.Tags, s.SourceIdentity, s.FederatedProvider, s.Keys = p.SessionTags, p.SourceIdentity, p.FederatedProvider, w.claims(p)
	for i := range p.SessionPolicies {
		if made := w.policy(policy.Session, &p.SessionPolicies[i], ""); made.ARN != "" {
			s.PolicyARNs = append(s.PolicyARNs, made.ARN)
		} else {
			s.Policies = append(s.Policies, made.Text)
		}
	}
}

func (w *world) claims(p *Principal) map[string][]string {
	out := map[string][]string{}
	for name, v := range p.Claims {
		out[strings.ToLower(name)] = v.Values
	}
	return out
}

func first(v Values) string {
	if len(v.Values) == 0 {
		return ""
	}
	return v.Values[0]
}

// authType is that of a service or service network.
func (w *world) authType(text string, p *Policy, at *yaml.Node) string {
	switch {
	case text == "AWS_IAM" || text == "NONE":
		return text
	case text != "":
		w.d.wrong(at, "the auth type %q is neither NONE nor AWS_IAM", text)
	case p != nil:
		w.d.wrong(at, "this has a policy and no auth-type: AWS_IAM, or NONE if the policy is not in force")
	}
	return "NONE"
}

func (w *world) network(n *Network, at *yaml.Node) *snapshot.Network {
	arn := n.ARN
	if arn == "" {
		arn = defaultNetwork
	}
	parts := w.arnOf(at, "service network", arn)
	out := &snapshot.Network{Policy: w.optional(policy.AuthPolicy, n.Policy, arn)}
	out.ID, out.ARN, out.Account, out.Region = idOf(arn), arn, parts[4], parts[3]
	out.AuthType = w.authType(n.AuthType, n.Policy, at)
	return out
}

func (w *world) service(v *Service, at *yaml.Node) *snapshot.Service {
	arn := v.ARN
	if arn == "" {
		arn = defaultService
	}
	parts := w.arnOf(at, "service", arn)
	out := &snapshot.Service{Policy: w.optional(policy.AuthPolicy, v.Policy, arn)}
	out.ID, out.ARN, out.Account, out.Region, out.Tags = idOf(arn), arn, parts[4], parts[3], v.Tags
	out.AuthType = w.authType(v.AuthType, v.Policy, at)
	return out
}

func idOf(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }

// invocation makes a request to a service, in the form that the gateway decides on.
func (w *world) invocation(r *Request, at *yaml.Node, service *snapshot.Service, network *snapshot.Network, caller authz.CallerKeys) *authz.Invocation {
	if r == nil {
		r = &Request{}
	}
	in := &inbound.Request{Method: r.Method, Target: r.Path, Authority: r.Host, Major: 1}
	caller.Owner = service.Account
	v := &authz.Invocation{In: in, Service: service, Network: network, Caller: caller, Port: r.Port}
	tls := r.TLS != nil && *r.TLS
	switch r.Protocol {
	case "", "http":
		or(&in.Method, "GET")
	case "grpc":
		in.Major = 2
		or(&in.Method, "POST")
		if _, ok := r.Headers["content-type"]; !ok {
			in.Headers = append(in.Headers, inbound.Header{Name: "content-type", Value: "application/grpc"})
		}
	default:
		w.d.wrong(at, "the protocol %q is neither http nor grpc", r.Protocol)
	}
	or(&in.Target, "/")
	or(&in.Authority, defaultHost)
	if tls {
		in.TLS = &inbound.TLS{ServerName: snapshot.HostName(in.Authority)}
	}
	if v.Port == 0 {
		v.Port = map[bool]int64{false: 80, true: 443}[tls]
	}
	if r.Query != nil {
		in.Target += "?" + r.Query.Text
	}
	for _, name := range sortedKeys(r.Headers) {
		for _, value := range r.Headers[name].Values {
			in.Headers = append(in.Headers, inbound.Header{Name: strings.ToLower(name), Value: value})
		}
	}
	address, owner := r.SourceAddress, r.SourceVPCOwner
	or(&address, defaultAddress)
	or(&owner, service.Account)
	addr, err := netip.ParseAddr(address)
	if err != nil {
		w.d.wrong(at, "source-address: %q is no IP address", address)
	}
	in.Remote = netip.AddrPortFrom(addr, 40000)
	v.VPC = &snapshot.VPC{ID: r.SourceVPC, Owner: owner, Network: network.ARN}
	or(&v.VPC.ID, defaultVPC)
	v.GRPC = in.IsGRPC()
	if r.Protocol == "grpc" && !v.GRPC {
		w.d.wrong(at, "this is no gRPC call: one is a POST with a content-type of application/grpc")
	}
	if err := v.Check(); err != nil {
		w.d.wrong(at, "the gateway answers such a request with 400: %v", err)
	}
	v.Strip()
	return v
}

func or(text *string, otherwise string) {
	if *text == "" {
		*text = otherwise
	}
}

// keys are the condition keys of a general question: what the case says, what follows
// from the resource, and what from the caller.
type keys struct {
	said     map[string]policy.Values
	resource *Resource
	caller   authz.CallerKeys
}

// Lookup implements policy.Keys.
func (k *keys) Lookup(key *policy.Key) (policy.Values, bool) {
	if v, ok := k.said[key.Name]; ok {
		return v, true
	}
	if key.ID == policy.ResourceTag {
		return authz.Tag(k.resource.Tags, key.Tail)
	}
	return k.caller.Lookup(key)
}

// general makes the question whether an action is allowed on a resource.
func (w *world) general(c *Case, r *Resource, at *yaml.Node, caller authz.CallerKeys) *authz.Query {
	vendor, name, ok := strings.Cut(c.Action, ":")
	if !ok || vendor == "" || name == "" || strings.ContainsAny(c.Action, "*?, \t") {
		w.d.wrong(at, "%q is not the name of one action with its service, such as s3:GetObject", c.Action)
	}
	if r.ARN != "" && r.ARN != "*" {
		w.arnOf(at, "resource", r.ARN)
	}
	if r.Account != "" {
		w.account(at, r.Account)
	}
	k := &keys{said: map[string]policy.Values{}, resource: r, caller: caller}
	for name, v := range c.Context {
		key := policy.ParseKey(name)
		switch {
		case v.List:
			k.said[key.Name] = policy.Values{Many: v.Values, List: true}
		default:
			// A key whose type is a list is one with one value too.
			said := policy.MapKeys{}
			said.Set(name, v.Values...)
			k.said[key.Name], _ = said.Lookup(&key)
		}
	}
	q := &authz.Query{
		Request: policy.Request{Principal: caller.Principal, Action: c.Action, Resource: r.ARN, Keys: k},
		Account: r.Account,
	}
	or(&q.Resource, "*")
	if parts := strings.SplitN(q.Resource, ":", 6); len(parts) == 6 && parts[4] != "aws" {
		or(&q.Account, parts[4])
	}
	k.caller.Owner = q.Account
	or(&k.caller.Owner, caller.Principal.Account)
	switch {
	case r.Policy != nil && r.TrustPolicy != nil:
		w.d.wrong(at, "a resource has a policy or a trust-policy, not both")
	case r.Policy != nil:
		q.Policy, q.Required = w.policy(policy.Resource, r.Policy, q.Resource), authz.IsKey(q.Resource)
	case r.TrustPolicy != nil:
		q.Policy, q.Required = w.policy(policy.Trust, r.TrustPolicy, q.Resource), true
	}
	return q
}
