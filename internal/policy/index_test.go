package policy_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/latchwork/latchwork/internal/identity"
	"github.com/latchwork/latchwork/internal/policy"
)

// TestManyStatements: what a long document says, whose statements are found by
// whom they name, is what its statements say one by one: a deny first, then the
// most direct allow, and of equals the first.
func TestManyStatements(t *testing.T) {
	named := []string{
		`"*"`, `"123456789012"`, `"arn:aws:iam::123456789012:root"`, `"arn:aws:iam::123456789012:role/rates-client"`,
		`"arn:aws:sts::123456789012:assumed-role/rates-client/s1"`, `"arn:aws:iam::123456789012:user/alice"`, `"AROARATESRATESRATES00"`,
		`"AIDAALICEALICEALICE00"`, `"arn:aws:sts::123456789012:federated-user/bob"`, `"999999999999"`, `"arn:aws:iam::123456789012:role/x"`,
	}
	principal := rapid.Custom(func(t *rapid.T) string {
		switch rapid.IntRange(0, 5).Draw(t, "type") {
		case 0:
			return `{"Service":"ec2.amazonaws.com"}`
		case 1:
			return `{"Federated":["accounts.google.com","www.amazon.com"]}`
		default:
			return `{"AWS":[` + strings.Join(rapid.SliceOfN(rapid.SampledFrom(named), 1, 12).Draw(t, "named"), ",") + `]}`
		}
	})
	callers := maps.Clone(principals)
	callers["vouched for"] = &identity.Principal{Kind: identity.WebIdentity, Session: &identity.Session{FederatedProvider: "accounts.google.com"}}
	rapid.Check(t, func(rt *rapid.T) {
		statements := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) string {
			effect, element := "Allow", "Principal"
			if rapid.IntRange(0, 3).Draw(t, "deny") == 0 {
				effect, element = "Deny", rapid.SampledFrom([]string{"Principal", "NotPrincipal"}).Draw(t, "element")
			}
			return fmt.Sprintf(`{"Effect":%q,%q:%s,"Action":%q,"Resource":"*"}`, effect, element, principal.Draw(t, "principal"),
				rapid.SampledFrom([]string{"*", "a:b", "a:c"}).Draw(t, "action"))
		}), 1, 24).Draw(rt, "statements")
		r := &policy.Request{
			Principal: callers[rapid.SampledFrom(slices.Sorted(maps.Keys(callers))).Draw(rt, "caller")],
			Action:    "a:b", Resource: "arn:aws:a:::x", Keys: policy.NoKeys{}, HasBoundary: rapid.Bool().Draw(rt, "boundary"),
		}
		oneByOne(rt, policy.Resource, statements, r)
	})
}

// oneByOne fails if a document says something else than its statements do: a deny
// first, then the most direct allow, and of equals the first.
func oneByOne(t *rapid.T, kind policy.Kind, statements []string, r *policy.Request) {
	var want policy.Match
	for i, s := range statements {
		m := compile(t, kind, documentOf([]string{s})).Match(r)
		m.Statement = i
		switch {
		case m.Verdict == policy.NoMatch || want.Verdict == policy.ExplicitDeny:
		case m.Verdict == policy.ExplicitDeny, want.Verdict == policy.NoMatch, m.Grade > want.Grade:
			want = m
		}
	}
	if got := compile(t, kind, documentOf(statements)).Match(r); got != want {
		t.Fatalf("%+v of all statements, %+v of each\n%s", got, want, strings.Join(statements, "\n"))
	}
}

// TestManyActions is TestManyStatements for documents whose statements are found by
// the services of their actions.
func TestManyActions(t *testing.T) {
	actions := []string{`"s3:GetObject"`, `"S3:get*"`, `"ec2:*"`, `"*"`, `"*:GetObject"`, `"s3-outposts:GetObject"`, `"s3:?etObject"`, `"iam:PassRole"`}
	rapid.Check(t, func(rt *rapid.T) {
		statements := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) string {
			return fmt.Sprintf(`{"Effect":%q,%q:[%s],"Resource":"*"}`, rapid.SampledFrom([]string{"Allow", "Allow", "Deny"}).Draw(t, "effect"),
				rapid.SampledFrom([]string{"Action", "Action", "Action", "NotAction"}).Draw(t, "element"),
				strings.Join(rapid.SliceOfN(rapid.SampledFrom(actions), 1, 3).Draw(t, "actions"), ","))
		}), 1, 16).Draw(rt, "statements")
		oneByOne(rt, policy.Identity, statements, &policy.Request{
			Principal: principals["session"], Keys: policy.NoKeys{}, Resource: "arn:aws:s3:::b/x",
			Action: rapid.SampledFrom([]string{"s3:GetObject", "S3:GETOBJECT", "iam:PassRole", "ec2:RunInstances", "s3-outposts:GetObject", "sqs:GetObject", "s3"}).Draw(rt, "action"),
		})
	})
}

// counted counts what is asked of no keys.
type counted struct{ asked *int }

func (c counted) Lookup(*policy.Key) (policy.Values, bool) {
	*c.asked++
	return policy.Values{}, false
}

// TestRepeatedParts: statements that are found by a part of the resource are tested once,
// however often a client repeats it.
func TestRepeatedParts(t *testing.T) {
	var statements []string
	for i := range 12 {
		statements = append(statements, fmt.Sprintf(
			`{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*/p%d/*","Condition":{"StringEquals":{"aws:PrincipalTag/t%d":"x"}}}`, i, i))
	}
	asked := 0
	r := &policy.Request{
		Principal: principals["session"], Action: "vpc-lattice-svcs:Invoke", Keys: counted{&asked},
		Resource: "arn:aws:vpc-lattice:us-west-2:123456789012:service/svc-0123456789abcdef0" + strings.Repeat("/p3", 1000) + "/p4/x",
	}
	if m := compile(t, policy.AuthPolicy, documentOf(statements)).Match(r); m.Verdict != policy.NoMatch {
		t.Errorf("%+v", m)
	}
	if asked != 2 {
		t.Errorf("%d conditions are tested of the two statements that match", asked)
	}
}
