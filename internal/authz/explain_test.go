package authz_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/latchwork/latchwork/internal/authz"
	"github.com/latchwork/latchwork/internal/identity"
	"github.com/latchwork/latchwork/internal/policy"
	"github.com/latchwork/latchwork/internal/snapshot"
)

// explained checks that the explanation of a question has the verdict of its
// decision, and that the layers bear it out.
func explained(t reporter, q *authz.Query, d authz.Decision) {
	t.Helper()
	explainedIn(t, world, q, d)
}

type reporter interface {
	Helper()
	Errorf(string, ...any)
}

func explainedIn(t reporter, world *snapshot.Snapshot, q *authz.Query, d authz.Decision) {
	t.Helper()
	again := authz.Decide(world, q)
	// What stands for a policy that is gone is made anew each time.
	if d.Policy != nil && again.Policy != nil && d.Policy.Compiled == nil && d.Policy.ARN == again.Policy.ARN {
		again.Policy = d.Policy
	}
	if again != d {
		t.Errorf("decided %+v, and asked again %+v", d, again)
	}
	e := authz.Explain(world, q)
	if e.Allowed != d.Allowed || e.Cause != d.Cause.String() || e.Text != d.DeniedText(q) {
		t.Errorf("decided %+v, explained as %t %s %q", d, e.Allowed, e.Cause, e.Text)
	}
	if d.Allowed != (e.Stage == "") {
		t.Errorf("allowed %t, at stage %q", d.Allowed, e.Stage)
	}
	want := map[authz.Cause]string{authz.ExplicitDeny: "explicit deny", authz.ImplicitDeny: "no match"}[d.Cause]
	var deciding []authz.LayerResult
	for _, l := range e.Layers {
		if l.Decides {
			deciding = append(deciding, l)
		}
		switch {
		case l.Verdict == "explicit deny" && d.Cause != authz.ExplicitDeny:
			t.Errorf("%s although the %s layer denies explicitly", d.Cause, l.Stage)
		case l.Verdict != "allow" && l.Verdict != "off" && d.Allowed && q.Service != nil:
			t.Errorf("allowed although the %s layer says %s", l.Stage, l.Verdict)
		}
		for _, p := range l.Policies {
			// Of service control policies every level must allow.
			if l.Verdict == "no match" && p.Verdict != "no match" && l.Stage != "service-control" {
				t.Errorf("the %s layer says nothing, its policy %s %s", l.Stage, p.Name, p.Verdict)
			}
		}
	}
	switch {
	case d.Allowed && len(deciding) > 0:
		t.Errorf("allowed, and %+v denies", deciding)
	case !d.Allowed && len(deciding) != 1:
		t.Errorf("denied at %s by %d layers of %+v", e.Stage, len(deciding), e.Layers)
	case !d.Allowed && (deciding[0].Verdict != want || deciding[0].Stage != d.Stage.String()):
		t.Errorf("%s at %s, where the layer says %s", d.Cause, d.Stage, deciding[0].Verdict)
	}
	if d.Cause == authz.ExplicitDeny && d.Policy == nil {
		t.Errorf("an explicit deny at %s by no policy", d.Stage)
	}
	if _, err := json.Marshal(e); err != nil {
		t.Errorf("the explanation has no JSON: %v", err)
	}
}

// statements draws statements; those with principals are for the policies of
// resources.
func statements(principals bool) *rapid.Generator[[]string] {
	list := func(name string, of ...string) *rapid.Generator[string] {
		return rapid.Custom(func(t *rapid.T) string {
			raw, err := json.Marshal(rapid.SliceOfNDistinct(rapid.SampledFrom(of), 1, 2, rapid.ID).Draw(t, name))
			if err != nil {
				t.Fatal(err)
			}
			return string(raw)
		})
	}
	who := list("who",
		own, other, "arn:aws:iam::"+own+":root", "arn:aws:iam::"+own+":role/allowed", "arn:aws:iam::"+own+":role/nothing",
		"arn:aws:iam::"+own+":role/bounded-wide", "arn:aws:sts::"+own+":assumed-role/bounded/s", "arn:aws:iam::"+own+":user/erika",
		"arn:aws:sts::"+own+":federated-user/guest")
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) string {
		effect := rapid.SampledFrom([]string{"Allow", "Allow", "Deny"}).Draw(t, "effect")
		parts := []string{
			`"Effect":"` + effect + `"`,
			rapid.SampledFrom([]string{`"Action":`, `"Action":`, `"NotAction":`}).Draw(t, "action") + list("actions", "*", "vpc-lattice-svcs:*", invoke, "vpc-lattice-svcs:Connect").Draw(t, "actions"),
			rapid.SampledFrom([]string{`"Resource":`, `"Resource":`, `"NotResource":`}).Draw(t, "resource") + list("resources", "*", "arn:aws:vpc-lattice:*:*:service/svc-1/*", "arn:aws:vpc-lattice:*:*:service/svc-2/*").Draw(t, "resources"),
		}
		if principals {
			switch n := rapid.IntRange(0, 3).Draw(t, "principal"); {
			case n == 0:
				parts = append(parts, `"Principal":{"AWS":`+who.Draw(t, "names")+`}`)
			case n == 1 && effect == "Deny":
				parts = append(parts, `"NotPrincipal":{"AWS":`+who.Draw(t, "names")+`}`)
			default:
				parts = append(parts, `"Principal":"*"`)
			}
		}
		if c := rapid.SampledFrom([]string{
			"", "", `{"StringEquals":{"aws:PrincipalType":"AssumedRole"}}`, `{"StringNotEquals":{"aws:PrincipalAccount":"` + own + `"}}`,
			`{"StringEqualsIfExists":{"aws:username":"erika"}}`, `{"Null":{"vpc-lattice-svcs:SourceVpc":"true"}}`, `{"ForAllValues:StringLike":{"aws:PrincipalOrgPaths":"o-1/*"}}`,
		}).Draw(t, "condition"); c != "" {
			parts = append(parts, `"Condition":`+c)
		}
		return "{" + strings.Join(parts, ",") + "}"
	}), 1, 4)
}

func document(statements []string) string {
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
}

// question is a random question, with the statements that it was made of so that a
// property can change them.
type question struct {
	who                       string
	service, network, session []string
	authTypes                 [2]string
	general                   bool
	required                  bool
	account                   string
}

var callers = map[string]func(policies ...string) *identity.Principal{
	"anonymous":    func(...string) *identity.Principal { return anonymous },
	"root":         func(...string) *identity.Principal { return root },
	"erika":        func(...string) *identity.Principal { return user("erika") },
	"nobody":       func(...string) *identity.Principal { return user("nobody") },
	"federated":    federated,
	"allowed":      func(p ...string) *identity.Principal { return session(own, "allowed", p...) },
	"nothing":      func(p ...string) *identity.Principal { return session(own, "nothing", p...) },
	"bounded":      func(p ...string) *identity.Principal { return session(own, "bounded", p...) },
	"bounded-wide": func(p ...string) *identity.Principal { return session(own, "bounded-wide", p...) },
	"managed":      func(p ...string) *identity.Principal { return session(own, "managed", p...) },
	"elsewhere":    func(p ...string) *identity.Principal { return session(other, "allowed", p...) },
}

func drawQuestion(t *rapid.T) question {
	names := make([]string, 0, len(callers))
	for name := range callers {
		names = append(names, name)
	}
	slices.Sort(names)
	auth := rapid.SampledFrom([]string{"NONE", "AWS_IAM", "AWS_IAM"})
	return question{
		who:       rapid.SampledFrom(names).Draw(t, "who"),
		service:   statements(true).Draw(t, "service"),
		network:   statements(true).Draw(t, "network"),
		session:   rapid.OneOf(rapid.Just([]string(nil)), statements(false)).Draw(t, "session"),
		authTypes: [2]string{auth.Draw(t, "service auth"), auth.Draw(t, "network auth")},
		general:   rapid.Bool().Draw(t, "general"),
		required:  rapid.Bool().Draw(t, "required"),
		account:   rapid.SampledFrom([]string{"", own, other}).Draw(t, "account"),
	}
}

func (x *question) query() *authz.Query {
	var policies []string
	if x.session != nil {
		policies = append(policies, document(x.session))
	}
	p := callers[x.who](policies...)
	q := &authz.Query{Request: policy.Request{
		Principal: p, Action: invoke, Resource: "arn:aws:vpc-lattice:us-west-2:" + own + ":service/svc-1/",
		Keys: &authz.CallerKeys{Snap: world, Principal: p, Now: noon},
	}}
	service := compiled(policy.AuthPolicy, document(x.service))
	if x.general {
		q.Account, q.Required, q.Policy = x.account, x.required, service
		return q
	}
	q.Service, q.Network = &snapshot.Service{Policy: service}, &snapshot.Network{Policy: compiled(policy.AuthPolicy, document(x.network))}
	q.Service.AuthType, q.Network.AuthType = x.authTypes[0], x.authTypes[1]
	return q
}

// TestExplainAgreesOnAnyPolicies: whatever the policies say, the explanation tells
// the decision, and the same question has the same answer each time.
func TestExplainAgreesOnAnyPolicies(t *testing.T) {
	seen := map[string]int{}
	rapid.Check(t, func(rt *rapid.T) {
		x := drawQuestion(rt)
		q := x.query()
		if p := q.Policy; p != nil && p.Compiled == nil {
			rt.Fatal(p.Problem)
		}
		d := authz.Decide(world, q)
		explained(rt, q, d)
		seen[fmt.Sprint(x.general, d.Cause)]++
	})
	// A property of nothing but denials would show nothing.
	for _, want := range []string{"true allowed", "false allowed", "true explicit deny", "false explicit deny", "true implicit deny", "false implicit deny"} {
		if seen[want] == 0 {
			t.Errorf("no question had the answer %s: %v", want, seen)
		}
	}
}

// TestMoreDeniesNeverAllow: adding a deny, or leaving an allow out, turns no denial
// into an allow; and the order of statements is irrelevant.
func TestMoreDeniesNeverAllow(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		x := drawQuestion(rt)
		before := authz.Decide(world, x.query())
		where := rapid.SampledFrom([]*[]string{&x.service, &x.network, &x.session}).Draw(rt, "where")
		if len(*where) == 0 {
			return
		}
		was := slices.Clone(*where)
		deny := rapid.SampledFrom([]string{`"Action":"*","Resource":"*"`, `"NotAction":"s3:*","NotResource":"arn:aws:s3:::x"`}).Draw(rt, "deny")
		if where != &x.session {
			deny += `,"Principal":"*"`
		}
		*where = append(slices.Clone(was), `{"Effect":"Deny",`+deny+`}`)
		if after := authz.Decide(world, x.query()); after.Allowed && !before.Allowed {
			rt.Fatalf("a deny more turned %+v into %+v", before, after)
		}
		for i, s := range was {
			if len(was) == 1 || !strings.Contains(s, `"Effect":"Allow"`) {
				continue
			}
			*where = slices.Delete(slices.Clone(was), i, i+1)
			if after := authz.Decide(world, x.query()); after.Allowed && !before.Allowed {
				rt.Fatalf("without the allow %s, %+v became %+v", s, before, after)
			}
		}
		*where = slices.Clone(was)
		slices.Reverse(*where)
		after := authz.Decide(world, x.query())
		if diff := cmp.Diff([]any{before.Allowed, before.Cause, before.Stage}, []any{after.Allowed, after.Cause, after.Stage}); diff != "" {
			rt.Fatalf("the order of statements matters: %s", diff)
		}
	})
}
