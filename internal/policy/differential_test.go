package policy_test

import (
	"encoding/json"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/latchwork/latchwork/internal/policy"
)

// Operands of conditions, by the first letters of the operators that take them.
var differentialOperands = map[string][]any{
	"String": {
		"a", "A", "a*", "?", "*", "", "é", "${aws:username}", "${aws:username, 'a'}", "${*}", "x${aws:PrincipalTag/team}",
		"${vpc-lattice-svcs:RequestQueryString/Q}", "${vpc-lattice-svcs:RequestHeader/x}?", "${aws:PrincipalOrgPaths}", "${", "a?", true, 5,
	},
	"Numeric": {"5", "80.0", "-1", 80, 2.5, "0", "9007199254740993"},
	"Date":    {"2026-01-01T00:00:00Z", "1767225600", "9999-12-31T23:59:59Z", "2026-01-01T01:00:00+01:00", "1767225600.5", "1969-01"},
	"Ip":      {"10.0.0.0/8", "10.1.2.3", "2001:db8::/32", "::ffff:10.1.2.3", "0.0.0.0/0", "::/0", "10.1.2.3/31"},
	"Arn": {
		"arn:aws:iam::1:role/a*", "arn:*:iam::?:role/${aws:username}", "*", "arn:aws:iam", "${aws:PrincipalArn}", "arn:aws:iam::${aws:PrincipalTag/team}:role/a",
		"arn:aws:iam::1:role/a", "arn:aws:*:role/a", "${vpc-lattice-svcs:RequestQueryString/Q}", "arn:aws:iam::1:${vpc-lattice-svcs:RequestHeader/x}/a",
	},
	"Bool":   {"true", "False", true, false},
	"Null":   {"true", "false"},
	"Binary": {"YQ==", "Yg=="},
}

var differentialOperators = []string{
	"StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase", "StringLike", "StringNotLike",
	"NumericEquals", "NumericNotEquals", "NumericLessThan", "NumericLessThanEquals", "NumericGreaterThan", "NumericGreaterThanEquals",
	"DateEquals", "DateNotEquals", "DateLessThan", "DateLessThanEquals", "DateGreaterThan", "DateGreaterThanEquals",
	"Bool", "BinaryEquals", "IpAddress", "NotIpAddress", "ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike", "Null",
}

var differentialKeys = []string{
	"aws:username", "vpc-lattice-svcs:RequestHeader/x", "vpc-lattice-svcs:RequestQueryString/Q", "aws:PrincipalOrgPaths",
	"aws:PrincipalTag/team", "aws:PrincipalArn",
}

var differentialValues = []string{
	"", "a", "A", "ab", "a:b", "é", "5", "5.0", "80", "-1", "abc", "inf", "0x50", "2026-01-01T00:00:00Z", "1767225600", "9999-12-31",
	"10.1.2.3", "::ffff:10.1.2.3", "2001:db8::1", "arn:aws:iam::1:role/a", "arn:aws:iam::1:role/a:b", "arn:aws:iam::a:b:role/a",
	"true", "FALSE", "YQ==", "*", "a?", "1", "role", "9007199254740992", "\xff", "\xfe",
}

// differentialResources are patterns by kind of policy; requests ask for what is
// in the list after it.
var differentialResources = map[policy.Kind][]string{
	policy.AuthPolicy: {
		"*", "*/rates", "*/??tes", "*/${aws:username}", "*/${aws:username, 'rates'}", "arn:aws:vpc-lattice:us-west-2:1234567890:service/svc-1/*",
		"*/${vpc-lattice-svcs:RequestQueryString/Q}", "*/${*}", "arn:*",
	},
	policy.Identity: {
		"*", "arn:aws:s3", "arn:aws:s3:::${aws:username}*", "arn:aws:*:*:*:b/*", "arn:aws:vpc-lattice:${aws:username}::b", "arn:aws:s3:::b/?",
		"arn:aws:s3:::*/${vpc-lattice-svcs:RequestQueryString/Q}", "arn:aws:vpc-lattice:*:1234567890:service/*",
	},
	policy.ServiceControl: {"*", "arn:aws:s3", "arn:aws:*", "arn:aws:s3:::b/*"},
}

var differentialRequests = []string{
	"arn:aws:vpc-lattice:us-west-2:1234567890:service/svc-1/rates", "arn:aws:vpc-lattice:us-west-2:1234567890:service/svc-2/a",
	"arn:aws:s3:::b/a", "arn:aws:s3:::a", "*", "arn:aws:s3:::a:b/x", "arn:aws:vpc-lattice:us-west-2:1234567890:service/svc-2/é",
}

func some[T any](t *rapid.T, name string, from []T) T { return rapid.SampledFrom(from).Draw(t, name) }

func differentialStatement(t *rapid.T, kind policy.Kind) map[string]any {
	s := map[string]any{"Effect": some(t, "effect", []string{"Allow", "Allow", "Deny"})}
	element := func(name string, allowNot bool) string {
		if allowNot && rapid.IntRange(0, 3).Draw(t, "not") == 0 {
			return "Not" + name
		}
		return name
	}
	s[element("Action", true)] = some(t, "action", []string{"*", "vpc-lattice-svcs:inv*", "vpc-lattice-svcs:Connect", "vpc-lattice-svcs:?nvoke"})
	s[element("Resource", true)] = rapid.SliceOfN(rapid.SampledFrom(differentialResources[kind]), 1, 2).Draw(t, "resources")
	if kind == policy.AuthPolicy {
		s[element("Principal", s["Effect"] == "Deny")] = some(t, "principal", []any{
			"*",
			map[string]any{"AWS": []string{account}},
			map[string]any{"AWS": "arn:aws:iam::" + account + ":role/rates-client"},
			map[string]any{"AWS": []string{"arn:aws:iam::" + account + ":user/alice", "AROASTRANGERSTRANGER0"}},
		})
	}
	conditions := map[string]any{}
	for range rapid.IntRange(0, 2).Draw(t, "conditions") {
		operator := some(t, "operator", differentialOperators)
		family := strings.TrimPrefix(operator, "Not")
		var operands []any
		for prefix, list := range differentialOperands {
			if strings.HasPrefix(family, prefix) {
				operands = list
			}
		}
		name := some(t, "set", []string{"", "", "ForAllValues:", "ForAnyValue:"}) + operator
		if operator != "Null" && rapid.Bool().Draw(t, "if exists") {
			name += "IfExists"
		}
		conditions[name] = map[string]any{
			some(t, "key", differentialKeys): rapid.SliceOfN(rapid.SampledFrom(operands), 1, 2).Draw(t, "operands"),
		}
	}
	s["Condition"] = conditions
	return s
}

// TestDifferential holds the engine against the reference on policies of all
// operators and requests that fit them, nearly fit them and are rubbish.
func TestDifferential(t *testing.T) {
	seen := map[policy.Verdict]int{}
	rapid.Check(t, func(rt *rapid.T) {
		kind := some(rt, "kind", []policy.Kind{policy.AuthPolicy, policy.AuthPolicy, policy.Identity, policy.ServiceControl})
		document := map[string]any{"Version": "2012-10-17"}
		if kind == policy.AuthPolicy && rapid.IntRange(0, 3).Draw(rt, "old") == 0 {
			document["Version"] = "2008-10-17"
		}
		var statements []map[string]any
		for range rapid.IntRange(1, 3).Draw(rt, "statements") {
			statements = append(statements, differentialStatement(rt, kind))
		}
		document["Statement"] = statements
		text, err := json.Marshal(document)
		if err != nil {
			rt.Fatal(err)
		}
		d, err := policy.Parse(kind, string(text))
		if err != nil {
			rt.Fatalf("%s\n%v", text, err)
		}
		c, err := policy.Compile(d)
		if err != nil {
			rt.Fatal(err)
		}
		keys, raw := policy.MapKeys{}, map[string][]string{}
		for _, name := range differentialKeys {
			if values := rapid.SliceOfN(rapid.SampledFrom(differentialValues), 0, 3).Draw(rt, name); len(values) > 0 {
				keys.Set(name, values...)
				raw[name] = values
			}
		}
		r := &policy.Request{
			Principal:   principals[some(rt, "caller", []string{"anonymous", "user", "session", "stranger", "root", "federated"})],
			Action:      some(rt, "asked action", []string{"vpc-lattice-svcs:Invoke", "vpc-lattice-svcs:Connect"}),
			Resource:    some(rt, "asked resource", differentialRequests),
			Keys:        keys,
			HasBoundary: rapid.Bool().Draw(rt, "boundary"),
		}
		want, got := refer(kind, string(text), raw, r), c.Match(r).Verdict
		seen[got]++
		if got != want {
			rt.Fatalf("decided %s, by the reference %s\n%s\n%s %s\n%q\n%s", got, want, text, r.Action, r.Resource, raw, explain(c, r))
		}
	})
	for _, v := range []policy.Verdict{policy.NoMatch, policy.Allow, policy.ExplicitDeny} {
		if !t.Failed() && seen[v] == 0 {
			t.Errorf("no request came to %s", v)
		}
	}
}
