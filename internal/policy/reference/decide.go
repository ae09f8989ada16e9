package reference

import (
	"strings"

	"github.com/latchwork/latchwork/internal/identity"
	"github.com/latchwork/latchwork/internal/policy"
)

// Policy is a policy in force. One without a document cannot be read or is gone: it
// denies, for nobody can tell what it would have denied.
type Policy struct{ *policy.Document }

// Question is all that a decision depends on. Its Boundary is not looked at: Caller has
// the boundary itself.
type Question struct {
	Request
	Caller Caller

	// Lattice is set for a request to a service of VPC Lattice.
	Lattice *Lattice

	// Account owns the resource of any other request; "" is the caller's own.
	// ResourcePolicy is that of the resource, nil if it has none. Required tells that it
	// must allow within one account too, as the trust policy of a role must.
	Account        string
	ResourcePolicy *Policy
	Required       bool
}

// Lattice is where a request goes: Network is nil if it came in through none.
type Lattice struct{ Network, Service *Layer }

// Layer is the auth type and the auth policy of a service network or a service; Policy is
// nil if there is none.
type Layer struct {
	AuthType string
	Policy   *Policy
}

// Caller is what policies the caller has.
type Caller struct {
	// Gone: the user or role was deleted, and another may have its name.
	Gone     bool
	Identity []Policy
	Boundary *Policy
	Session  []Policy
	// Control are the service control policies of the caller's account, by level from
	// the root of the organization; Management exempts it from them.
	Control    [][]Policy
	Management bool
}

// Answer is a decision in the words of package authz.
type Answer struct {
	Allowed bool
	Cause   string // "allowed", "explicit deny", "implicit deny"
	Stage   string // which layer denied; "none" if none did
}

// layer is what the policies of one layer say together.
type layer struct {
	stage   string
	verdict policy.Verdict
	grade   policy.Grade
}

// Decide answers a question.
func Decide(q Question) Answer {
	// Source: IUG, "Permissions boundaries for IAM entities": they are of users and roles.
	q.Boundary = q.Principal.Attachable() && q.Principal.Kind != identity.Root && !q.Caller.Gone && q.Caller.Boundary != nil
	switch {
	case q.Lattice != nil:
		return q.lattice()
	case q.free():
		return conclude(nil, nil)
	case !q.Principal.Attachable():
		// Source: IUG, "Policy evaluation logic": somebody without policies of his own,
		// whom only the resource's policy can let in.
		resource := q.resourceLayer()
		return conclude([]layer{resource}, []layer{resource})
	}
	return q.general()
}

// lattice: whatever layers there are must all allow, and no grade is a shortcut.
// Source: VPC Lattice User Guide, "How authorization works". The order of names was
// observed for what nothing allows.
func (q Question) lattice() Answer {
	var auth []layer
	for _, l := range []struct {
		stage string
		*Layer
	}{{"network", q.Lattice.Network}, {"service", q.Lattice.Service}} {
		if l.Layer == nil || l.AuthType == "NONE" {
			continue // Its policy is inactive, even one that denies.
		}
		auth = append(auth, q.authLayer(l.stage, l.Policy))
	}
	switch {
	case auth == nil:
		return conclude(nil, nil) // Nobody is asked who he is.
	case q.Principal.IsAnonymous():
		return conclude(auth, auth)
	}
	explicit, implicit := auth[:len(auth):len(auth)], auth[:len(auth):len(auth)]
	own := q.own()
	for _, stage := range []string{"service-control", "boundary", "session", "identity"} {
		explicit = append(explicit, own[stage])
	}
	for _, stage := range []string{"service-control", "identity", "boundary", "session"} {
		implicit = append(implicit, own[stage])
	}
	return conclude(explicit, implicit)
}

// authLayer: auth type AWS_IAM without a policy denies.
func (q Question) authLayer(stage string, p *Policy) layer {
	if p == nil {
		return layer{stage: stage}
	}
	return q.layer(stage, *p)
}

// general is the decision on whatever is no request to a service of VPC Lattice.
// Source: IUG, "Policy evaluation logic" and "Cross-account policy evaluation logic".
func (q Question) general() Answer {
	own, resource := q.own(), q.resourceLayer()
	explicit := []layer{own["service-control"], own["boundary"], own["session"], own["identity"], resource}
	implicit := []layer{own["service-control"]}
	switch {
	case q.Account != "" && q.Account != q.Principal.Account:
		// Both sides must allow, however directly the resource's policy names the caller.
		implicit = append(implicit, own["identity"], own["boundary"], own["session"], resource)
	case q.Caller.Gone || resource.verdict != policy.Allow || resource.grade == policy.GradeAccount:
		// The own side must allow. A policy of the resource that names the account leaves
		// it to that side, and no policy means a caller who is gone.
		implicit = append(implicit, own["identity"], own["boundary"], own["session"])
		if q.Required {
			implicit = append(implicit, resource)
		}
	case resource.grade == policy.GradeRole || resource.grade == policy.GradeParentUser:
		// Source: IUG, "Permissions boundaries for IAM entities": what is given to the role
		// of a session is limited by its boundary and by session policies.
		implicit = append(implicit, own["boundary"], own["session"])
	}
	// What is left is that the policy of the resource names the caller itself, or
	// everybody: only service control policies limit that.
	return conclude(explicit, implicit)
}

// free tells whether AWS asks for no permission at all.
// Source: AWS STS API Reference, GetCallerIdentity and GetSessionToken.
func (q Question) free() bool {
	action := strings.ToLower(q.Action)
	return q.Principal.Attachable() && (action == "sts:getcalleridentity" || action == "sts:getsessiontoken")
}

// conclude: an explicit deny wins, then every layer must allow.
// Source: IUG, "Policy evaluation logic".
func conclude(explicit, implicit []layer) Answer {
	for _, l := range explicit {
		if l.verdict == policy.ExplicitDeny {
			return Answer{Cause: "explicit deny", Stage: l.stage}
		}
	}
	for _, l := range implicit {
		if l.verdict != policy.Allow {
			return Answer{Cause: "implicit deny", Stage: l.stage}
		}
	}
	return Answer{Allowed: true, Cause: "allowed", Stage: "none"}
}

// layer asks the policies of one layer: any deny denies, else any allow allows.
func (q Question) layer(stage string, policies ...Policy) layer {
	out := layer{stage: stage}
	for _, p := range policies {
		m := policy.Match{Verdict: policy.ExplicitDeny}
		if p.Document != nil {
			m = Evaluate(p.Document, q.Request)
		}
		switch {
		case m.Verdict == policy.ExplicitDeny:
			out.verdict = policy.ExplicitDeny
		case m.Verdict == policy.Allow && out.verdict == policy.NoMatch:
			out.verdict, out.grade = policy.Allow, m.Grade
		}
	}
	return out
}

func (q Question) resourceLayer() layer {
	if q.ResourcePolicy == nil {
		return layer{stage: "resource"}
	}
	return q.layer("resource", *q.ResourcePolicy)
}

// own is what the caller's own side says, by the names of its layers. One that there is
// not has nothing to say against anything.
func (q Question) own() map[string]layer {
	pass := func(stage string) layer { return layer{stage: stage, verdict: policy.Allow} }
	own := map[string]layer{
		"service-control": q.control(), "identity": {stage: "identity"}, "boundary": pass("boundary"), "session": pass("session"),
	}
	if q.Principal.Kind == identity.Root {
		own["identity"] = pass("identity") // Source: IUG, "AWS account root user": it needs no policy.
		return own
	}
	if q.Caller.Gone || !q.Principal.Attachable() {
		return own // Nobody has any policy.
	}
	own["identity"] = q.layer("identity", q.Caller.Identity...)
	if q.Caller.Boundary != nil {
		own["boundary"] = q.layer("boundary", *q.Caller.Boundary)
	}
	// Source: AWS STS API Reference, GetFederationToken: without a session policy the
	// session has no permissions but those of a resource's policy that names it.
	if len(q.Caller.Session) > 0 || q.Principal.Kind == identity.FederatedUser {
		own["session"] = q.layer("session", q.Caller.Session...)
	}
	return own
}

// control: at every level from the root of the organization to the account some policy
// must allow.
// Source: AWS Organizations User Guide, "SCP evaluation"; "Service control policies":
// they bind users, roles and the root user, but not service-linked roles, nor anybody
// of the management account.
func (q Question) control() layer {
	out := layer{stage: "service-control", verdict: policy.Allow}
	linked := q.Principal.Kind == identity.AssumedRole && strings.Contains(q.Principal.IssuerARN, ":role/aws-service-role/")
	if !q.Principal.Attachable() || linked || q.Caller.Management {
		return out
	}
	for _, level := range q.Caller.Control {
		switch l := q.layer(out.stage, level...); {
		case l.verdict == policy.ExplicitDeny:
			return l
		case l.verdict == policy.NoMatch && out.verdict == policy.Allow:
			out.verdict = policy.NoMatch // A deny of a later level still counts for more.
		}
	}
	return out
}
