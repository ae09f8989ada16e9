package policy_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchwork/latchwork/internal/policy"
)

func TestLint(t *testing.T) {
	for _, test := range []struct {
		name, statement string
		want            []string
	}{
		{"clean", `"Effect":"Allow","Principal":{"AWS":"123456789012"},"Action":"vpc-lattice-svcs:Invoke","Resource":"*"`, nil},
		{"everybody", `"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"`, []string{"anonymous-allowed"}},
		{"signed only", `"Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{"StringNotEqualsIgnoreCase":{"aws:PrincipalType":"anonymous"}}`, nil},
		{"organization", `"Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-1"}}`, nil},
		{"not the organization", `"Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{"StringNotEquals":{"aws:PrincipalOrgID":"o-1"}}`, []string{"anonymous-allowed", "negated-allow"}},
		{"bare ARN", `"Effect":"Deny","Principal":"*","Action":"*","Resource":"arn:aws:vpc-lattice:us-west-2:123456789012:service/svc-1"`, []string{"bare-service-arn"}},
		{"miscased", `"Effect":"Deny","Principal":"*","Action":"*","Resource":"*","Condition":{"StringEquals":{"vpc-lattice-svcs:requestmethod":"GET"}}`, []string{"miscased-key"}},
		{"header name", `"Effect":"Deny","Principal":"*","Action":"*","Resource":"*","Condition":{"StringEquals":{"vpc-lattice-svcs:RequestHeader/X-Role":"a"}}`, nil},
		{"unknown key", `"Effect":"Deny","Principal":"*","Action":"*","Resource":"*","Condition":{"StringEquals":{"vpc-lattice-svcs:Method":"GET"}}`, []string{"unknown-key"}},
		{"unknown action", `"Effect":"Deny","Principal":"*","Action":"vpc-lattice-svcs:Call","Resource":"*"`, []string{"unknown-action"}},
		{"comma", `"Effect":"Deny","Principal":"*","Action":"vpc-lattice-svcs:Invoke, x","Resource":"*"`, []string{"action-never-matches"}},
		{"query", `"Effect":"Deny","Principal":"*","Action":"*","Resource":"*","Condition":{"StringEquals":{"vpc-lattice-svcs:RequestQueryString/a":"b"}}`, []string{"multivalued-key"}},
		{"star on an anonymous key", `"Effect":"Allow","Principal":{"AWS":"*"},"Action":"*","Resource":"*","Condition":{"StringLike":{"aws:PrincipalAccount":"*"}}`, []string{"anonymous-allowed", "anonymous-has-key"}},
		{"account alone", `"Effect":"Deny","Principal" : "123456789012","Action":"*","Resource":"*"`, []string{"bare-account"}},
		{"account in an object", `"Effect":"Deny","NotPrincipal":{"AWS":["123456789012"]},"Action":"*","Resource":"*"`, []string{"not-principal"}},
		{"service principal", `"Effect":"Deny","Principal":{"Service":"ec2.amazonaws.com"},"Action":"*","Resource":"*"`, []string{"principal-never-matches"}},
		{"plain operator on a list", `"Effect":"Deny","Principal":"*","Action":"*","Resource":"*","Condition":{"StringNotEquals":{"aws:PrincipalOrgPaths":"o-1/"}}`, []string{"list-key"}},
		{"Null on a list", `"Effect":"Deny","Principal":"*","Action":"*","Resource":"*","Condition":{"Null":{"aws:PrincipalOrgPaths":"true"}}`, nil},
		{"no ARN", `"Effect":"Deny","Principal":"*","Action":"*","Resource":"*","Condition":{"ArnLike":{"aws:PrincipalArn":["arn:aws:iam::*:role/x","rates-client","arn:${aws:userid}"]}}`, []string{"operand-is-no-arn", "operand-is-no-arn"}},
		{"variables", `"Effect":"Deny","Principal":"*","Action":"*","Resource":["*/${}","*/${aws:username, x}","*/${aws:username, 'x'}","*/${*}"],"Condition":{"StringEquals":{"other:x":"${aws:PrincipalOrgPaths}"}}`, []string{"bad-variable", "bad-variable", "bad-variable"}},
		{"sets that hold without values", `"Effect":"Allow","Principal":{"AWS":"123456789012"},"Action":"*","Resource":"*","Condition":{"ForAllValues:StringEquals":{"aws:PrincipalOrgPaths":"o-1/"}}`, []string{"forallvalues-absent"}},
		{"another VPC key", `"Effect":"Deny","Principal":"*","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:SourceVpc":"vpc-1"}}`, []string{"key-never-present"}},
	} {
		d, err := policy.Parse(policy.AuthPolicy, `{"Version":"2012-10-17","Statement":[{`+test.statement+`}]}`)
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		var got []string
		for _, w := range policy.Lint(d) {
			got = append(got, w.Code)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

func TestLintOfVersion2008(t *testing.T) {
	d, err := policy.Parse(policy.AuthPolicy, "{\"Statement\":{\"Effect\":\"Deny\",\"Principal\":\"*\",\"Action\":\"*\",\n\"Resource\":\"*/${aws:username}\"}}")
	if err != nil {
		t.Fatal(err)
	}
	got := policy.Lint(d)
	if len(got) != 1 || got[0].Code != "variable-is-text" || got[0].Line != 2 || got[0].Column != 12 || d.Text[got[0].Offset:][:3] != "\"*/" {
		t.Errorf("%+v", got)
	}
}

func TestLintOfTrust(t *testing.T) {
	const provider = `"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::123456789012:oidc-provider/oidc.example/id/A"},"Action":"sts:AssumeRoleWithWebIdentity"`
	for condition, want := range map[string][]string{
		"": {"any-subject"},
		`,"Condition":{"StringEquals":{"oidc.example/id/A:aud":"sts.amazonaws.com"}}`:                                {"any-subject"},
		`,"Condition":{"StringEquals":{"oidc.example/id/B:sub":"s"}}`:                                                {"any-subject"},
		`,"Condition":{"StringNotEquals":{"oidc.example/id/A:sub":"s"}}`:                                             {"any-subject"},
		`,"Condition":{"StringEqualsIfExists":{"oidc.example/id/A:sub":"s"}}`:                                        {"any-subject", "ifexists-allow"},
		`,"Condition":{"StringEquals":{"oidc.example/id/A:sub":"s"}}`:                                                nil,
		`,"Condition":{"StringLike":{"OIDC.example/id/a:sub":"system:serviceaccount:ns1:*","aws:RequestTag/a":"b"}}`: nil,
	} {
		d, err := policy.Parse(policy.Trust, `{"Version":"2012-10-17","Statement":[{`+provider+condition+`}]}`)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, w := range policy.Lint(d) {
			got = append(got, w.Code)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", condition, diff)
		}
	}
}
