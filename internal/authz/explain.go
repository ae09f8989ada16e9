package authz

import (
	"fmt"
	"slices"

	"github.com/latchwork/latchwork/internal/identity"
	"github.com/latchwork/latchwork/internal/policy"
	"github.com/latchwork/latchwork/internal/snapshot"
)

// Explanation is a decision with everything that led to it.
type Explanation struct {
	Allowed bool   `json:"allowed"`
	Cause   string `json:"cause"`
	// Stage is the layer that denied.
	Stage string `json:"stage,omitzero"`
	Text  string `json:"text,omitzero"`
	// Layers are in the order of AWS's description: the caller's own side, network,
	// service.
	Layers []LayerResult `json:"layers"`
}

// LayerResult is what one layer says.
type LayerResult struct {
	Stage string `json:"stage"`
	// Verdict is "allow", "explicit deny", "no match" or "off".
	Verdict string `json:"verdict"`
	// Note says why a layer is off, or why it denies without a statement.
	Note     string         `json:"note,omitzero"`
	Decides  bool           `json:"decides"`
	Policies []PolicyResult `json:"policies"`
}

// PolicyResult is what one policy of a layer says.
type PolicyResult struct {
	Name       string                   `json:"name"`
	ARN        string                   `json:"arn,omitzero"`
	Owner      string                   `json:"owner,omitzero"`
	Verdict    string                   `json:"verdict"`
	Problem    string                   `json:"problem,omitzero"`
	Statements []policy.StatementResult `json:"statements"`
	// Source is the policy itself.
	Source *snapshot.Policy `json:"-"`
}

// Explain decides again and tells how: the same verdict as Decide, and what every
// layer, policy and statement said. It stops nowhere, so it costs more.
func Explain(snap *snapshot.Snapshot, q *Query) Explanation {
	d := Decide(snap, q)
	out := Explanation{Allowed: d.Allowed, Cause: d.Cause.String(), Text: d.DeniedText(q), Layers: []LayerResult{}}
	if !d.Allowed {
		out.Stage = d.Stage.String()
	}
	add := func(l LayerResult) {
		l.Decides = !d.Allowed && l.Stage == d.Stage.String()
		out.Layers = append(out.Layers, l)
	}
	switch {
	case q.Service != nil && networkLayer(q) == nil && serviceLayer(q) == nil:
		add(off(StageIdentity, "neither the service network nor the service has auth type AWS_IAM, so nobody is asked who they are"))
	case q.Service == nil && unconditional(q):
		add(off(StageIdentity, "AWS asks for no permission for "+q.Action+": not even an explicit deny counts"))
		return out
	default:
		explainControl(add, snap, q)
		explainIdentity(add, snap, q)
	}
	switch {
	case q.Service != nil:
		if q.Network != nil {
			add(explainAuth(StageNetwork, q.Network.ID, q.Network.AuthType, q.Network.Policy, q))
		}
		add(explainAuth(StageService, q.Service.ID, q.Service.AuthType, q.Service.Policy, q))
	case q.Policy != nil:
		add(explainLayer(StageResource, []*snapshot.Policy{q.Policy}, q, ""))
	case !q.Principal.Attachable():
		add(silent(StageResource, "only a policy of the resource could allow a caller without policies of its own, and it has none"))
	case q.Account != "" && q.Account != q.Principal.Account:
		add(silent(StageResource, "the resource belongs to account "+q.Account+" and has no policy for others"))
	case q.Required:
		add(silent(StageResource, "the resource must have a policy that allows the caller, and has none"))
	}
	return out
}

func off(s Stage, note string) LayerResult {
	return LayerResult{Stage: s.String(), Verdict: "off", Note: note, Policies: []PolicyResult{}}
}

// silent is a layer that has no policy, and so denies.
func silent(s Stage, note string) LayerResult {
	return LayerResult{Stage: s.String(), Verdict: policy.NoMatch.String(), Note: note, Policies: []PolicyResult{}}
}

func explainAuth(s Stage, id, authType string, p *snapshot.Policy, q *Query) LayerResult {
	switch {
	case !on(authType) && p != nil:
		return off(s, id+" has auth type NONE: its auth policy is inactive")
	case !on(authType):
		return off(s, id+" has auth type NONE")
	case p == nil:
		return silent(s, id+" has auth type AWS_IAM and no auth policy, which denies everything")
	}
	return explainLayer(s, []*snapshot.Policy{p}, q, "")
}

func explainIdentity(add func(LayerResult), snap *snapshot.Snapshot, q *Query) {
	p := q.Principal
	switch {
	case p.IsAnonymous():
		add(off(StageIdentity, "the request is not signed: an anonymous caller has no identity policies"))
		return
	case q.Service == nil && !p.Attachable():
		add(off(StageIdentity, p.Display()+" has no identity policies"))
		return
	case p.Kind == identity.Root:
		add(LayerResult{Stage: StageIdentity.String(), Verdict: policy.Allow.String(), Note: "the root user needs no policy", Policies: []PolicyResult{}})
		return
	}
	e := snap.Entity(p)
	if e == nil {
		add(silent(StageIdentity, p.IssuerARN+" is not there any more, or another of that name is"))
		return
	}
	note := ""
	identities := snap.IdentityPolicies(nil, e)
	if len(identities) == 0 {
		note = e.ARN + " has no identity policies"
	}
	add(explainLayer(StageIdentity, identities, q, note))
	if b := snap.Boundary(e); b != nil {
		add(explainLayer(StageBoundary, []*snapshot.Policy{b}, q, ""))
	}
	if session := sessionPolicies(nil, snap, p); len(session) > 0 {
		add(explainLayer(StageSession, session, q, ""))
	} else if p.Kind == identity.FederatedUser {
		add(silent(StageSession, "the federated session was made without a policy"))
	}
}

// explainControl tells of the service control policies of the caller's account, if it
// is under any.
func explainControl(add func(LayerResult), snap *snapshot.Snapshot, q *Query) {
	p := q.Principal
	if !p.Attachable() {
		return
	}
	account := snap.Account(p.Account)
	switch {
	case len(account.ControlPolicies) == 0:
		return
	case account.Management:
		add(off(StageServiceControl, p.Account+" is the management account of its organization: service control policies do not restrict it"))
		return
	case serviceLinked(p):
		add(off(StageServiceControl, "service control policies do not restrict service-linked roles"))
		return
	}
	out := explainLayer(StageServiceControl, slices.Concat(account.ControlPolicies...), q, "")
	if out.Verdict == policy.ExplicitDeny.String() {
		add(out)
		return
	}
	for _, level := range account.ControlPolicies {
		if l := evaluateAll(StageServiceControl, level, q); !l.allows() {
			out.Verdict, out.Note = policy.NoMatch.String(), "at every level from the root of the organization to the account a policy must allow; at one none does"
			if len(level) > 0 && level[0].Owner != "" {
				out.Note = "no policy of " + level[0].Owner + " allows it, and at every level from the root of the organization to the account one must"
			}
			break
		}
	}
	add(out)
}

func explainLayer(s Stage, policies []*snapshot.Policy, q *Query, note string) LayerResult {
	l := evaluateAll(s, policies, q)
	out := LayerResult{Stage: s.String(), Verdict: l.verdict.String(), Note: note, Policies: []PolicyResult{}}
	for _, p := range policies {
		r := PolicyResult{Name: p.Name, ARN: p.ARN, Owner: p.Owner, Statements: []policy.StatementResult{}, Source: p}
		switch {
		case p.Compiled == nil:
			r.Verdict, r.Problem = policy.ExplicitDeny.String(), fmt.Sprint(p.Problem)
		default:
			r.Verdict = p.Compiled.Match(&q.Request).Verdict.String()
			r.Statements = p.Compiled.Explain(&q.Request)
		}
		out.Policies = append(out.Policies, r)
	}
	return out
}
