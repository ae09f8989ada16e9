package iam

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/latchwork/latchwork/internal/authz"
	"github.com/latchwork/latchwork/internal/awsapi"
	"github.com/latchwork/latchwork/internal/identity"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/policy"
	"github.com/latchwork/latchwork/internal/snapshot"
	wire "github.com/latchwork/latchwork/internal/wire/iam"
)

// simulation is one call of the policy simulator.
type simulation struct {
	service *Service
	account string // of the call
	world   *snapshot.Snapshot
	// stored tells that what is stored counts.
	stored bool
	// source is the user or role whose policies are simulated, nil if there is none.
	source   *snapshot.Entity
	policies []*snapshot.Policy
	boundary *snapshot.Policy

	who  *identity.Principal
	keys simulatedKeys
	// owner has the resources whose ARN names no account.
	owner string
	// resourcePolicies has the resource policy as the actions of each kind understand
	// it; nil if there is none.
	resourcePolicies map[policy.Kind]*snapshot.Policy
	// documents are all policies that could be compiled, and referenced the keys that
	// any of them depends on.
	documents  []*snapshot.Policy
	referenced []policy.Key

	actions, resources []string
}

// answer gives a page of the decisions on each action on each resource, in this order.
func (r *simulation) answer(ctx context.Context, in *wire.SimulatePrincipalPolicyRequest) (*wire.SimulatePolicyResponse, error) {
	for _, read := range []func(*wire.SimulatePrincipalPolicyRequest) error{
		r.readPairs, r.readPolicies, r.readCaller, r.readOwner, r.readContext, r.readResourcePolicy,
	} {
		if err := read(in); err != nil {
			return nil, err
		}
	}
	cursor, err := awsapi.Start(ctx)
	if err != nil {
		return nil, err
	}
	first := 0
	if cursor.After != "" {
		// A marker is bound to its call: the number in it is one of ours.
		last, _ := strconv.Atoi(cursor.After)
		first = last + 1
	}
	all := len(r.actions) * len(r.resources)
	end := min(all, first+r.pageSize(cursor.Limit))
	out := &wire.SimulatePolicyResponse{EvaluationResults: []wire.EvaluationResult{}, IsTruncated: new(end < all)}
	for i := first; i < end; i++ {
		out.EvaluationResults = append(out.EvaluationResults, r.simulate(r.actions[i/len(r.resources)], r.resources[i%len(r.resources)]))
	}
	if end < all {
		out.Marker, err = awsapi.NextToken(ctx, strconv.Itoa(end-1), 0)
	}
	return out, err
}

// mostInPage is how much a page may have: a result can name every statement and every
// key of the policies.
const mostInPage = 100_000

// shortest is the size of the shortest statements. A long one takes as long to decide on
// as those that have its size together.
const shortest = 48

// pageSize is how many results a page has.
// Source: IAM API Reference, SimulateCustomPolicy, MaxItems: "IAM might return fewer
// results, even when there are more results available".
func (r *simulation) pageSize(limit int) int {
	weight := 1 + len(r.referenced)
	for _, p := range r.documents {
		weight += len(p.Text) / shortest
	}
	return max(1, min(limit, mostInPage/weight))
}

// readPairs reads the actions and the resources, which are "*" if none is named.
func (r *simulation) readPairs(in *wire.SimulatePrincipalPolicyRequest) error {
	r.actions, r.resources = in.ActionNames, in.ResourceArns
	if len(r.resources) == 0 {
		r.resources = []string{"*"}
	}
	for _, arn := range r.resources {
		if arn != "*" && !(strings.HasPrefix(arn, "arn:") && strings.Count(arn, ":") >= 5) {
			return invalidInput("Invalid Resource Arn: %s is neither the ARN of a resource nor *.", arn)
		}
	}
	for _, action := range r.actions {
		service, name, ok := strings.Cut(action, ":")
		if !ok || service == "" || name == "" || strings.ContainsAny(action, "*?, \t") || strings.Contains(name, ":") {
			return invalidInput("Invalid Action Name: %s is not the name of one action with its service, such as iam:CreateUser.", action)
		}
	}
	return checkHandling(model.Deref(in.ResourceHandlingOption), r.resources)
}

// handling says which resources of EC2 must be among the simulated ones.
// Source: IAM API Reference, SimulateCustomPolicy, ResourceHandlingOption.
var handling = map[string][]string{
	"EC2-VPC-InstanceStore":        {"instance", "image", "security-group", "network-interface"},
	"EC2-VPC-InstanceStore-Subnet": {"instance", "image", "security-group", "network-interface", "subnet"},
	"EC2-VPC-EBS":                  {"instance", "image", "security-group", "network-interface", "volume"},
	"EC2-VPC-EBS-Subnet":           {"instance", "image", "security-group", "network-interface", "subnet", "volume"},
}

func checkHandling(option string, resources []string) error {
	if option == "" {
		return nil
	}
	needed, ok := handling[option]
	if !ok {
		return invalidInput("Invalid Resource Handling Option: there is no option %s.", option)
	}
	for _, kind := range needed {
		if !slices.ContainsFunc(resources, func(arn string) bool { return strings.Contains(arn, ":"+kind+"/") }) {
			return invalidInput("Invalid Resource Handling Option: %s needs a resource of type %s.", option, kind)
		}
	}
	return nil
}

func (r *simulation) readPolicies(in *wire.SimulatePrincipalPolicyRequest) error {
	given, err := compiled(policy.Identity, "PolicyInputList", in.PolicyInputList)
	if err != nil {
		return err
	}
	r.policies = append(r.policies, given...)
	if r.source != nil {
		r.boundary = r.world.Boundary(r.source)
	}
	if len(in.PermissionsBoundaryPolicyInputList) > 1 {
		return invalidInput("Invalid Input Policy: only one permissions boundary can be simulated.")
	}
	if given, err = compiled(policy.Boundary, "PermissionsBoundaryPolicyInputList", in.PermissionsBoundaryPolicyInputList); err != nil {
		return err
	}
	for _, p := range given {
		r.boundary = p
	}
	r.refer(append(slices.Clone(r.policies), r.boundary)...)
	return nil
}

// refer notes on which keys policies depend.
func (r *simulation) refer(policies ...*snapshot.Policy) {
	seen := map[string]bool{}
	for _, key := range r.referenced {
		seen[key.Name] = true
	}
	for _, p := range policies {
		if p == nil || p.Compiled == nil {
			continue
		}
		r.documents = append(r.documents, p)
		for _, key := range p.Compiled.Document().ContextKeys() {
			if !seen[key.Name] {
				seen[key.Name] = true
				r.referenced = append(r.referenced, key)
			}
		}
	}
}

func compiled(kind policy.Kind, list string, texts []string) ([]*snapshot.Policy, error) {
	var out []*snapshot.Policy
	for i, text := range texts {
		p := snapshot.Compile(kind, fmt.Sprintf("%s.%d", list, i+1), text)
		if p.Problem != nil {
			return nil, invalidInput("Invalid Input Policy: %s: %v", p.Name, p.Problem)
		}
		out = append(out, p)
	}
	return out, nil
}

// readCaller finds out who the simulated caller is, and puts it into the world with
// the simulated policies.
func (r *simulation) readCaller(in *wire.SimulatePrincipalPolicyRequest) error {
	made := snapshot.Entity{Kind: identity.User, Account: r.account}
	switch {
	case in.CallerArn != nil:
		who, err := r.caller(*in.CallerArn)
		if err != nil {
			return err
		}
		r.who = who
		// The policies are the source's, all else is the caller's own.
		if entity, ok := r.world.EntityByARN(who.IssuerARN); ok && entity.Account == r.account {
			made = *entity
			who.IssuerID = entity.ID
			if who.Kind == identity.User {
				who.UserID = entity.ID
			}
		}
	case r.source != nil:
		made = *r.source
		r.who = principalOf(r.service.cfg.Partition, r.source)
	case in.ResourcePolicy != nil:
		return invalidInput("Invalid caller - Caller must be an IAM user in this context.")
	default:
		// Somebody of whom nothing is known.
		r.who = &identity.Principal{Kind: identity.User, Account: r.account}
	}
	made.Kind, made.ARN, made.ID, made.Account = r.who.Kind, r.who.IssuerARN, r.who.IssuerID, r.who.Account
	r.world = r.world.With(snapshot.Stated{Entity: made, Policies: r.policies, Boundary: r.boundary})
	r.keys.caller = authz.CallerKeys{Snap: r.world, Principal: r.who}
	return nil
}

// caller is the principal with an ARN: a user, the root user, a role, or a session of
// one. AWS takes users only; roles are who calls services of VPC Lattice.
func (r *simulation) caller(arn string) (*identity.Principal, error) {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) == 6 && parts[0] == "arn" && (parts[2] == "iam" || parts[2] == "sts") {
		partition, account := parts[1], parts[4]
		kind, rest, _ := strings.Cut(parts[5], "/")
		name := rest[strings.LastIndexByte(rest, '/')+1:]
		switch {
		case parts[2] == "iam" && parts[5] == "root":
			return &identity.Principal{
				Kind: identity.Root, Partition: partition, Account: account, ARN: arn, IssuerARN: arn, IssuerID: account, UserID: account,
			}, nil
		case parts[2] == "iam" && (kind == users.resource || kind == roles.resource) && name != "":
			e := &snapshot.Entity{Kind: identity.User, ARN: arn, Account: account, Name: name}
			if kind == roles.resource {
				e.Kind = identity.AssumedRole
			}
			return principalOf(partition, e), nil
		case parts[2] == "sts" && kind == "assumed-role" && strings.Count(rest, "/") == 1:
			e := &snapshot.Entity{Kind: identity.AssumedRole, Account: account}
			e.Name, _, _ = strings.Cut(rest, "/")
			e.ARN = model.IAMARN(partition, account, roles.resource, "/", e.Name)
			if s := r.source; s != nil && s.Kind == e.Kind && s.Name == e.Name && s.Account == account {
				e = s
			}
			p := principalOf(partition, e)
			p.ARN = arn
			return p, nil
		}
	}
	return nil, invalidInput("Invalid caller - Caller must be an IAM user in this context. Found %s, which is neither a user nor a role nor a session of a role.", arn)
}

// principalOf is the principal that a user is, or a session of a role. Of the session
// nothing is known.
func principalOf(partition string, e *snapshot.Entity) *identity.Principal {
	if e.Kind == identity.AssumedRole {
		p := identity.RoleSession(partition, e.Account, e.ARN, e.ID, e.Name, "simulation")
		p.UserID, p.Session = "", nil
		return &p
	}
	return &identity.Principal{
		Kind: identity.User, Partition: partition, Account: e.Account, ARN: e.ARN, IssuerARN: e.ARN, IssuerID: e.ID, UserID: e.ID, Name: e.Name,
	}
}

// readOwner takes the ARN that the guide demands and the account that the reference of
// SimulatePrincipalPolicy does.
func (r *simulation) readOwner(in *wire.SimulatePrincipalPolicyRequest) error {
	r.owner = r.who.Account
	if in.ResourceOwner == nil {
		return nil
	}
	r.owner = *in.ResourceOwner
	if parts := strings.Split(r.owner, ":"); len(parts) == 6 && parts[0] == "arn" && parts[2] == "iam" && parts[5] == "root" {
		r.owner = parts[4]
	}
	if !policy.IsAccount(r.owner) {
		return invalidInput("'%s' is not a valid as a Resource Owner.", *in.ResourceOwner)
	}
	return nil
}

func (r *simulation) readContext(in *wire.SimulatePrincipalPolicyRequest) error {
	r.keys.stated = map[string]policy.Values{}
	for _, e := range in.ContextEntries {
		key := policy.ParseKey(model.Deref(e.ContextKeyName))
		if key.Name == "" {
			return invalidInput("Invalid Context Entry: it has no ContextKeyName.")
		}
		if _, twice := r.keys.stated[key.Name]; twice {
			return invalidInput("Invalid Context Entry: %s is there twice.", key.Text)
		}
		name, list := strings.CutSuffix(model.Deref(e.ContextKeyType), "List")
		for _, value := range e.ContextKeyValues {
			if reason := policy.Type(name).Check(value); reason != "" {
				return invalidInput("Invalid Context Entry: %s: %q %s.", key.Text, value, reason)
			}
		}
		values := policy.Values{Many: e.ContextKeyValues, List: true}
		if !list && !key.IsList() {
			if len(e.ContextKeyValues) == 0 {
				continue // It has no value: it is absent.
			}
			one := policy.MapKeys{key.Name: e.ContextKeyValues}
			values, _ = one.Lookup(&key)
		}
		r.keys.stated[key.Name] = values
	}
	return nil
}

// simulatedKeys are the keys that a simulation states, and those that follow from its
// caller and the owner of the resource. Time and place of a call are not known unless
// they are stated.
type simulatedKeys struct {
	stated map[string]policy.Values
	caller authz.CallerKeys
}

// Lookup implements policy.Keys.
func (k *simulatedKeys) Lookup(key *policy.Key) (policy.Values, bool) {
	if v, ok := k.stated[key.Name]; ok {
		return v, true
	}
	switch key.ID {
	case policy.CurrentTime, policy.EpochTime:
		return policy.Values{}, false
	case policy.ResourceAccount, policy.ResourceOrgID, policy.ResourceOrgPaths:
	default:
		if k.caller.Principal.ARN == "" {
			return policy.Values{}, false // Nothing is known of the caller.
		}
	}
	return k.caller.Lookup(key)
}

// trusting are the actions that the trust policy of a role is about.
var trusting = []string{
	"assumerole", "assumerolewithsaml", "assumerolewithwebidentity", "tagsession", "setsourceidentity", "setcontext",
}

// kindFor is the kind of the policy that a resource has on which an action works: the
// auth policy of a service of VPC Lattice, the trust policy of a role, or any other.
func kindFor(action string) policy.Kind {
	service, name, _ := strings.Cut(strings.ToLower(action), ":")
	switch {
	case service == "vpc-lattice-svcs":
		return policy.AuthPolicy
	case service == "sts" && slices.Contains(trusting, name):
		return policy.Trust
	}
	return policy.Resource
}

func (r *simulation) readResourcePolicy(in *wire.SimulatePrincipalPolicyRequest) error {
	if in.ResourcePolicy == nil {
		return nil
	}
	r.resourcePolicies = map[policy.Kind]*snapshot.Policy{}
	for _, action := range r.actions {
		kind := kindFor(action)
		if r.resourcePolicies[kind] != nil {
			continue
		}
		made := snapshot.Compile(kind, "ResourcePolicy", *in.ResourcePolicy)
		if made.Problem != nil {
			return invalidInput("Invalid Input Policy: ResourcePolicy, as the %s that %s depends on: %v", kind, action, made.Problem)
		}
		r.resourcePolicies[kind] = made
		r.refer(made)
	}
	return nil
}

// question is what is asked of an action on a resource.
func (r *simulation) question(action, resource string) *authz.Query {
	keys := r.keys
	keys.caller.Owner = r.owner
	if parts := strings.SplitN(resource, ":", 6); len(parts) == 6 && policy.IsAccount(parts[4]) {
		keys.caller.Owner = parts[4]
	}
	q := &authz.Query{
		Request: policy.Request{Principal: r.who, Action: action, Resource: resource, Keys: &keys},
		Account: keys.caller.Owner,
	}
	if r.resourcePolicies == nil {
		return q
	}
	kind := kindFor(action)
	switch made := r.resourcePolicies[kind]; kind {
	case policy.AuthPolicy:
		q.Service = &snapshot.Service{Policy: made}
		q.Service.AuthType = "AWS_IAM"
	default:
		q.Policy, q.Required = made, kind == policy.Trust || authz.IsKey(resource)
	}
	return q
}
