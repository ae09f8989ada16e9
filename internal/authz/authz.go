// Package authz is where policies become a decision: Decide is the one function
// that says yes or no, for calls of the API, requests through the gateway and
// streams of proxies alike. Everything else builds its question and acts on its
// answer.
package authz

import (
	"github.com/latchwork/latchwork/internal/identity"
	"github.com/latchwork/latchwork/internal/policy"
	"github.com/latchwork/latchwork/internal/snapshot"
)

// Query is one question.
type Query struct {
	policy.Request

	// Service is the VPC Lattice service that a request is for, Network the
	// service network that it came in through. With a Service the question is
	// decided by VPC Lattice's rules, else by the general ones.
	Service *snapshot.Service
	Network *snapshot.Network

	// Account owns the resource of a general question; "" stands for the caller's
	// own.
	Account string
	// Policy is the resource's own policy in a general question, nil if it has
	// none. Required says that it must allow, also within one account: so it is
	// with the trust policy of a role.
	Policy   *snapshot.Policy
	Required bool
}

// OfRole is the question whether somebody may take a role, or do what goes with
// taking it: the role's trust policy must allow it, and within one account it may be
// enough.
func OfRole(role *snapshot.Entity, who *identity.Principal, action string, keys policy.Keys) *Query {
	return &Query{
		Request: policy.Request{Principal: who, Action: action, Resource: role.ARN, Keys: keys},
		Account: role.Account, Policy: role.Trust, Required: true,
	}
}

// Stage is a layer of a decision.
type Stage uint8

// The stages.
const (
	StageNone Stage = iota
	StageIdentity
	StageBoundary
	StageSession
	StageNetwork
	StageService
	StageResource
)

func (s Stage) String() string {
	switch s {
	case StageIdentity:
		return "identity"
	case StageBoundary:
		return "boundary"
	case StageSession:
		return "session"
	case StageNetwork:
		return "network"
	case StageService:
		return "service"
	case StageResource:
		return "resource"
	}
	return "none"
}

// Cause is why a decision fell as it did.
type Cause uint8

// The causes. The zero Cause denies.
const (
	ImplicitDeny Cause = iota
	ExplicitDeny
	Allowed
)

func (c Cause) String() string {
	switch c {
	case ExplicitDeny:
		return "explicit deny"
	case Allowed:
		return "allowed"
	}
	return "implicit deny"
}

// Decision is the answer. The zero Decision is an implicit deny.
type Decision struct {
	Allowed bool
	Cause   Cause
	// Stage is the layer that denied; StageNone for an allow.
	Stage Stage
	// Policy and Statement are what denied explicitly; Policy is nil for an
	// implicit deny and for an allow.
	Policy    *snapshot.Policy
	Statement int
}

// layer is what one layer says.
type layer struct {
	stage   Stage
	verdict policy.Verdict
	// by is the policy that decided.
	by        *snapshot.Policy
	statement int
	grade     policy.Grade
}

func (l *layer) allows() bool { return l.verdict == policy.Allow }

// Decide answers a question. It is pure and total: the same snapshot and question
// give the same answer, and what cannot be evaluated denies.
func Decide(snap *snapshot.Snapshot, q *Query) Decision {
	if q.Service != nil {
		return decideLattice(snap, q)
	}
	return decideGeneral(snap, q)
}

// decideLattice is the decision on a request to a VPC Lattice service: the
// policies of the network, of the service, and those of the caller must each
// allow. There is no shortcut within one account.
// Source: VPC Lattice User Guide, "How authorization works". Which layer a denial
// names first was observed: network, service, identity.
func decideLattice(snap *snapshot.Snapshot, q *Query) Decision {
	network, service := networkLayer(q), serviceLayer(q)
	if network == nil && service == nil {
		return Decision{Allowed: true, Cause: Allowed}
	}
	e := entity(snap, q)
	var layers [5]layer
	n := 0
	if network != nil {
		layers[n] = evaluate(StageNetwork, network, q)
		n++
	}
	if service != nil {
		layers[n] = evaluate(StageService, service, q)
		n++
	}
	if !q.Principal.IsAnonymous() {
		n += identityLayers(layers[n:], snap, q, e)
	}
	return conclude(layers[:n])
}

// conclude: an explicit deny anywhere wins, then every layer must allow.
func conclude(layers []layer) Decision {
	for i := range layers {
		if l := &layers[i]; l.verdict == policy.ExplicitDeny {
			return Decision{Cause: ExplicitDeny, Stage: l.stage, Policy: l.by, Statement: l.statement}
		}
	}
	for i := range layers {
		if l := &layers[i]; !l.allows() {
			return Decision{Cause: ImplicitDeny, Stage: l.stage}
		}
	}
	return Decision{Allowed: true, Cause: Allowed}
}

// none stands for the policy of a layer that is on and has none: it says nothing,
// so it denies.
var none = &snapshot.Policy{}

// networkLayer is the policy of the service network, nil if the layer is off. A
// request that came in through no network has no such layer to pass; the gateway
// answers it 404 before anybody asks.
func networkLayer(q *Query) *snapshot.Policy {
	if q.Network == nil || !on(q.Network.AuthType) {
		return nil
	}
	if q.Network.Policy == nil {
		return none
	}
	return q.Network.Policy
}

func serviceLayer(q *Query) *snapshot.Policy {
	if !on(q.Service.AuthType) {
		return nil
	}
	if q.Service.Policy == nil {
		return none
	}
	return q.Service.Policy
}

// on tells whether an auth type demands authorization. Only the exact text NONE
// switches a layer off.
func on(authType string) bool { return authType != "NONE" }

// evaluate asks one policy. A policy that could not be compiled denies: nobody can
// tell what it would have denied.
func evaluate(stage Stage, p *snapshot.Policy, q *Query) layer {
	l := layer{stage: stage}
	switch {
	case p == none:
	case p.Compiled == nil:
		l.verdict, l.by = policy.ExplicitDeny, p
	default:
		m := p.Compiled.Match(&q.Request)
		l.verdict, l.statement, l.grade = m.Verdict, m.Statement, m.Grade
		if m.Verdict != policy.NoMatch {
			l.by = p
		}
	}
	return l
}

// evaluateAll asks several policies of one layer: any deny denies, any allow
// allows.
func evaluateAll(stage Stage, policies []*snapshot.Policy, q *Query) layer {
	out := layer{stage: stage}
	for _, p := range policies {
		l := evaluate(stage, p, q)
		if l.verdict == policy.ExplicitDeny {
			return l
		}
		if l.verdict == policy.Allow && out.verdict != policy.Allow {
			out = l
		}
	}
	return out
}

// entity is the user or role that the caller's policies hang on; nil for a caller
// without one, and where it is gone. It notes in the question whether it has a
// permissions boundary: any policy may depend on that, so this comes before the
// first of them is asked.
func entity(snap *snapshot.Snapshot, q *Query) *snapshot.Entity {
	q.HasBoundary = false
	if !q.Principal.Attachable() || q.Principal.Kind == identity.Root {
		return nil
	}
	e := snap.Entity(q.Principal)
	if e != nil {
		q.HasBoundary = e.HasBoundary()
	}
	return e
}

// identityLayers fills in what the caller's own side says: identity policies, and
// where there are any, permissions boundary and session policies. It returns how
// many layers there are. A caller whose user or role is gone has no policies.
func identityLayers(out []layer, snap *snapshot.Snapshot, q *Query, e *snapshot.Entity) int {
	p := q.Principal
	if p.Kind == identity.Root {
		// Source: IUG, "Policy evaluation logic": the root user needs no policy.
		out[0] = layer{stage: StageIdentity, verdict: policy.Allow}
		return 1
	}
	if e == nil {
		out[0] = layer{stage: StageIdentity}
		return 1
	}
	var buf [24]*snapshot.Policy
	out[0] = evaluateAll(StageIdentity, snap.IdentityPolicies(buf[:0], e), q)
	n := 1
	if b := snap.Boundary(e); b != nil {
		out[n] = evaluate(StageBoundary, b, q)
		n++
	}
	if session := sessionPolicies(buf[:0], snap, p); len(session) > 0 {
		out[n] = evaluateAll(StageSession, session, q)
		n++
	} else if p.Kind == identity.FederatedUser {
		// Source: AWS STS API Reference, GetFederationToken: without a policy the
		// session has only what resource-based policies give it.
		out[n] = layer{stage: StageSession}
		n++
	}
	return n
}

// sessionPolicies lists the policies of a session.
func sessionPolicies(dst []*snapshot.Policy, snap *snapshot.Snapshot, p *identity.Principal) []*snapshot.Policy {
	if p.Session == nil {
		return nil
	}
	for _, text := range p.Session.Policies {
		dst = append(dst, snap.SessionPolicy(text))
	}
	for _, arn := range p.Session.PolicyARNs {
		managed, ok := snap.Managed(arn)
		if !ok {
			managed = &snapshot.Policy{ARN: arn, Name: arn, Problem: errGone}
		}
		dst = append(dst, managed)
	}
	return dst
}

type goneError struct{}

func (goneError) Error() string { return "there is no such policy any more" }

var errGone error = goneError{}

// decideGeneral is the decision on everything else.
// Source: IUG, "Policy evaluation logic" and "Cross-account policy evaluation
// logic".
func decideGeneral(snap *snapshot.Snapshot, q *Query) Decision {
	e := entity(snap, q)
	resource := layer{stage: StageResource}
	if q.Policy != nil {
		resource = evaluate(StageResource, q.Policy, q)
	}
	if !q.Principal.Attachable() {
		return conclude([]layer{resource})
	}
	var layers [5]layer
	layers[0] = resource
	own := layers[1 : 1+identityLayers(layers[1:], snap, q, e)]
	if d := conclude(layers[:1+len(own)]); d.Cause == ExplicitDeny {
		return d
	}
	sameAccount := q.Account == "" || q.Account == q.Principal.Account
	if sameAccount && resource.allows() && !gone(q.Principal, e) {
		switch {
		case resource.grade == policy.GradeDirect:
			return Decision{Allowed: true, Cause: Allowed}
		case resource.grade > policy.GradeAccount:
			// The role is named and not the session: its identity policies are not
			// needed, boundary and session policies still bound it.
			return conclude(own[1:])
		}
	}
	if !sameAccount && !resource.allows() || q.Required && !resource.allows() {
		return Decision{Cause: ImplicitDeny, Stage: StageResource}
	}
	return conclude(own)
}

// gone tells whether a caller's user or role was deleted since the caller got its
// credentials, or another of that name took its place. No policy of a resource
// that names it means this caller any more.
func gone(p *identity.Principal, e *snapshot.Entity) bool {
	switch p.Kind {
	case identity.User, identity.AssumedRole, identity.FederatedUser:
		return e == nil
	}
	return false
}
