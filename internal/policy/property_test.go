package policy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/latchwork/latchwork/internal/policy"
)

// Generators of the properties.

var (
	someActions   = []string{"*", "vpc-lattice-svcs:Invoke", "vpc-lattice-svcs:Con*", "vpc-lattice-svcs:*"}
	someResources = []string{"*", "*/rates", "arn:aws:vpc-lattice:us-west-2:123456789012:service/svc-1/*", "*/??tes"}
	somePrincipal = []string{`"*"`, `{"AWS":"123456789012"}`, `{"AWS":"arn:aws:iam::123456789012:role/rates-client"}`, `{"AWS":"arn:aws:iam::123456789012:user/alice"}`}
	someCondition = []string{
		`{}`, `{"StringEquals":{"vpc-lattice-svcs:RequestMethod":"GET"}}`, `{"StringNotEquals":{"vpc-lattice-svcs:RequestHeader/x":"a"}}`,
		`{"ForAnyValue:StringLike":{"vpc-lattice-svcs:RequestQueryString/q":["b*","c"]}}`, `{"Null":{"vpc-lattice-svcs:RequestHeader/x":"true"}}`,
		`{"NumericLessThan":{"vpc-lattice-svcs:Port":"100"}}`, `{"ForAllValues:StringEquals":{"aws:PrincipalOrgPaths":"o-1/"}}`,
		`{"StringEqualsIfExists":{"vpc-lattice-svcs:RequestHeader/x":"A"},"Bool":{"aws:SecureTransport":"false"}}`,
	}
)

func anyStatement(effect string) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		return fmt.Sprintf(`{"Effect":%q,"Principal":%s,"Action":%q,"Resource":%q,"Condition":%s}`, effect,
			rapid.SampledFrom(somePrincipal).Draw(t, "principal"), rapid.SampledFrom(someActions).Draw(t, "action"),
			rapid.SampledFrom(someResources).Draw(t, "resource"), rapid.SampledFrom(someCondition).Draw(t, "condition"))
	})
}

func anyRequest(t *rapid.T) *policy.Request {
	keys := policy.MapKeys{}
	for name, values := range map[string][]string{
		"vpc-lattice-svcs:RequestMethod": {"GET", "POST"}, "vpc-lattice-svcs:RequestHeader/x": {"a", "A", ""},
		"vpc-lattice-svcs:RequestQueryString/q": {"bb", "c", "d"}, "vpc-lattice-svcs:Port": {"80", "443", "x"},
		"aws:PrincipalOrgPaths": {"o-1/", "o-2/"}, "aws:SecureTransport": {"true", "false"},
	} {
		if drawn := rapid.SliceOfN(rapid.SampledFrom(values), 0, 3).Draw(t, name); len(drawn) > 0 {
			keys.Set(name, drawn...)
		}
	}
	return &policy.Request{
		Principal: principals[rapid.SampledFrom([]string{"anonymous", "user", "session", "stranger"}).Draw(t, "caller")],
		Action:    rapid.SampledFrom([]string{"vpc-lattice-svcs:Invoke", "vpc-lattice-svcs:Connect"}).Draw(t, "action"),
		Resource:  rapid.SampledFrom([]string{"arn:aws:vpc-lattice:us-west-2:123456789012:service/svc-1/rates", "arn:aws:vpc-lattice:us-west-2:123456789012:service/svc-2/x"}).Draw(t, "resource"),
		Keys:      keys,
	}
}

func documentOf(statements []string) string {
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
}

func TestProperties(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		statements := append(rapid.SliceOfN(anyStatement("Allow"), 1, 4).Draw(rt, "allows"), rapid.SliceOfN(anyStatement("Deny"), 0, 2).Draw(rt, "denies")...)
		r := anyRequest(rt)
		c := compile(t, policy.AuthPolicy, documentOf(statements))
		m := c.Match(r)
		more := compile(t, policy.AuthPolicy, documentOf(append(slices.Clone(statements), anyStatement("Deny").Draw(rt, "another deny"))))
		if got := more.Match(r).Verdict; got == policy.Allow && m.Verdict != policy.Allow {
			rt.Fatalf("a deny that was added turned %s into allow", m.Verdict)
		}
		fewer := slices.Clone(statements)
		fewer = slices.Delete(fewer, 0, 1) // An allow, which comes first.
		if len(fewer) > 0 {
			if got := compile(t, policy.AuthPolicy, documentOf(fewer)).Match(r).Verdict; got == policy.Allow && m.Verdict != policy.Allow {
				rt.Fatalf("an allow that was removed turned %s into allow", m.Verdict)
			}
		}
		turned := slices.Clone(statements)
		slices.Reverse(turned)
		if got := compile(t, policy.AuthPolicy, documentOf(turned)).Match(r).Verdict; got != m.Verdict {
			rt.Fatalf("in another order %s, before %s", got, m.Verdict)
		}
		want := policy.NoMatch
		for _, s := range c.Explain(r) {
			if s.Matched && s.Effect == "Deny" {
				want = policy.ExplicitDeny
			} else if s.Matched && want == policy.NoMatch {
				want = policy.Allow
			}
		}
		if want != m.Verdict {
			rt.Fatalf("explained %s, decided %s", want, m.Verdict)
		}
	})
}
