// Package authz is where policies become a decision: Decide is the one function
// that says yes or no, for calls of the API, requests through the gateway and
// streams of proxies alike. Everything else builds its question and acts on its
// answer.
package authz

import (
	"strings"

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
	// with the trust policy of a role and the policy of a key.
	Policy   *snapshot.Policy
	Required bool

	// facts are those of the request, which all policies of a decision share.
	facts policy.Facts
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

// IsKey tells whether a resource is a key of AWS KMS: its policy must allow also within
// one account.
// Source: AWS KMS Developer Guide, "Key policies in AWS KMS".
func IsKey(resource string) bool {
	parts := strings.SplitN(resource, ":", 6)
	return len(parts) == 6 && parts[2] == "kms" && strings.HasPrefix(parts[5], "key/")
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
	StageServiceControl
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
	case StageServiceControl:
		return "service-control"
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
	// foreign tells that the resource is neither of the caller's account nor of its
	// organization.
	foreign bool
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
	q.facts.Reset()
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
	networkPolicy, servicePolicy := networkLayer(q), serviceLayer(q)
	if networkPolicy == nil && servicePolicy == nil {
		return allowed
	}
	e := entity(snap, q)
	network, service, own := pass(StageNetwork), pass(StageService), passes()
	if networkPolicy != nil {
		network = evaluate(StageNetwork, networkPolicy, q)
	}
	if servicePolicy != nil {
		service = evaluate(StageService, servicePolicy, q)
	}
	if !q.Principal.IsAnonymous() {
		own.evaluate(snap, q, e)
	}
	if network.allows() && service.allows() && own.allows() {
		return allowed // Nearly always; what follows says the same.
	}
	return conclude(
		[]*layer{&network, &service, &own.control, &own.boundary, &own.session, &own.identity},
		[]*layer{&network, &service, &own.control, &own.identity, &own.boundary, &own.session},
	)
}

var allowed = Decision{Allowed: true, Cause: Allowed}

// conclude: an explicit deny anywhere wins, then every layer must allow. The order of
// the layers is that in which a denial names them: for explicit denies, and for the
// rest.
func conclude(explicit, implicit []*layer) Decision {
	for _, l := range explicit {
		if l.verdict == policy.ExplicitDeny {
			return Decision{Cause: ExplicitDeny, Stage: l.stage, Policy: l.by, Statement: l.statement}
		}
	}
	for _, l := range implicit {
		if !l.allows() {
			return Decision{Cause: ImplicitDeny, Stage: l.stage}
		}
	}
	return allowed
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
		m := p.Compiled.MatchKnowing(&q.Request, &q.facts)
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

// own is what the caller's own side says. A layer that there is not allows.
type own struct{ control, identity, boundary, session layer }

// pass is a layer that has nothing to say against anything.
func pass(s Stage) layer { return layer{stage: s, verdict: policy.Allow} }

func passes() own {
	return own{control: pass(StageServiceControl), identity: pass(StageIdentity), boundary: pass(StageBoundary), session: pass(StageSession)}
}

func (o *own) allows() bool {
	return o.control.allows() && o.identity.allows() && o.boundary.allows() && o.session.allows()
}

// evaluate asks the service control policies of the caller's account, its identity
// policies, and where there are any, permissions boundary and session policies. A
// caller whose user or role is gone has no policies.
func (o *own) evaluate(snap *snapshot.Snapshot, q *Query, e *snapshot.Entity) {
	p := q.Principal
	for _, level := range controlPolicies(snap, p) {
		l := evaluateAll(StageServiceControl, level, q)
		if l.verdict == policy.ExplicitDeny || o.control.allows() {
			o.control = l
		}
		if l.verdict == policy.ExplicitDeny {
			break
		}
	}
	if p.Kind == identity.Root {
		// Source: IUG, "Policy evaluation logic": the root user needs no policy.
		return
	}
	if e == nil {
		o.identity.verdict = policy.NoMatch
		return
	}
	var buf [24]*snapshot.Policy
	o.identity = evaluateAll(StageIdentity, snap.IdentityPolicies(buf[:0], e), q)
	if b := snap.Boundary(e); b != nil {
		o.boundary = evaluate(StageBoundary, b, q)
	}
	if session := sessionPolicies(buf[:0], snap, p); len(session) > 0 {
		o.session = evaluateAll(StageSession, session, q)
	} else if p.Kind == identity.FederatedUser {
		// Source: AWS STS API Reference, GetFederationToken: without a policy the
		// session has only what resource-based policies give it.
		o.session.verdict = policy.NoMatch
	}
}

// controlPolicies are the service control policies that restrict a caller, by level:
// every level must allow.
// Source: AWS Organizations User Guide, "Service control policies (SCPs)": they
// restrict the users and roles of an account and its root user, but not the management
// account, nor service-linked roles.
func controlPolicies(snap *snapshot.Snapshot, p *identity.Principal) [][]*snapshot.Policy {
	if !p.Attachable() {
		return nil
	}
	account := snap.Account(p.Account)
	if account.Management || len(account.ControlPolicies) == 0 || serviceLinked(p) {
		return nil
	}
	return account.ControlPolicies
}

// serviceLinked tells whether a caller is a session of a service-linked role.
// Source: IUG, "Create a service-linked role": their path.
func serviceLinked(p *identity.Principal) bool {
	return p.Kind == identity.AssumedRole && strings.Contains(p.IssuerARN, ":role/aws-service-role/")
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

// unconditional tells whether AWS asks for no permission at all, so that not even an
// explicit deny counts.
// Source: AWS STS API Reference, GetCallerIdentity and GetSessionToken.
func unconditional(q *Query) bool {
	return (strings.EqualFold(q.Action, "sts:GetCallerIdentity") || strings.EqualFold(q.Action, "sts:GetSessionToken")) && q.Principal.Attachable()
}

// decideGeneral is the decision on everything else.
// Source: IUG, "Policy evaluation logic" and "Cross-account policy evaluation
// logic". Which of several policies a denial names is not documented.
func decideGeneral(snap *snapshot.Snapshot, q *Query) Decision {
	if unconditional(q) {
		return allowed
	}
	e := entity(snap, q)
	resource, own := layer{stage: StageResource}, passes()
	if q.Policy != nil {
		resource = evaluate(StageResource, q.Policy, q)
	}
	if !q.Principal.Attachable() {
		only := []*layer{&resource}
		return conclude(only, only)
	}
	own.evaluate(snap, q, e)
	sameAccount := q.Account == "" || q.Account == q.Principal.Account
	needed := own
	if sameAccount && resource.allows() && !gone(q.Principal, e) {
		switch {
		case resource.grade == policy.GradeDirect:
			needed.identity, needed.boundary, needed.session = pass(StageIdentity), pass(StageBoundary), pass(StageSession)
		case resource.grade > policy.GradeAccount:
			// The role is named and not the session: its identity policies are not
			// needed, boundary and session policies still bound it.
			needed.identity = pass(StageIdentity)
		}
	}
	neededOfResource := resource
	if sameAccount && !q.Required {
		neededOfResource = pass(StageResource)
	}
	d := conclude(
		[]*layer{&own.control, &own.boundary, &own.session, &own.identity, &resource},
		[]*layer{&needed.control, &needed.identity, &needed.boundary, &needed.session, &neededOfResource},
	)
	d.foreign = !sameAccount && !sameOrganization(snap, q.Account, q.Principal.Account)
	return d
}

func sameOrganization(snap *snapshot.Snapshot, a, b string) bool {
	org := snap.Account(a).OrgID
	return org != "" && org == snap.Account(b).OrgID
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
