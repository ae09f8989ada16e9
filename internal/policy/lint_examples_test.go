package policy_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchwork/latchwork/internal/policy"
)

// example is a document in which the linter finds something, and one that says what was
// meant. They are lists of statements without braces, or documents.
type example struct {
	code      string
	kind      policy.Kind
	bad, good string
}

const (
	invoke       = `"Effect":"Allow","Principal":{"AWS":"123456789012"},"Action":"vpc-lattice-svcs:Invoke","Resource":"*"`
	noInvoke     = `"Effect":"Deny","Principal":"*","Action":"vpc-lattice-svcs:Invoke","Resource":"*"`
	allowGetUser = `"Effect":"Allow","Action":"iam:GetUser","Resource":"*"`
	denyGetUser  = `"Effect":"Deny","Action":"iam:GetUser","Resource":"*"`
	allowAnyS3   = `"Effect":"Allow","Action":"s3:GetObject","Resource":"*"`
	takes        = `"Effect":"Allow","Principal":{"AWS":"123456789012"},"Action":"sts:AssumeRole"`
	grants       = `"Effect":"Allow","Principal":{"AWS":"123456789012"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"`
	webIdentity  = `"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::123456789012:oidc-provider/a.b"},"Action":"sts:AssumeRoleWithWebIdentity"`
)

func with(statement, condition string) string { return statement + `,"Condition":{` + condition + `}` }

var examples = []example{
	{"action-never-matches", policy.Identity, `"Effect":"Allow","Action":"s3:GetObject, s3:PutObject","Resource":"*"`, `"Effect":"Allow","Action":["s3:GetObject","s3:PutObject"],"Resource":"*"`},
	{"action-never-matches", policy.Identity, `"Effect":"Allow","Action":"iam:GetUser ","Resource":"*"`, allowGetUser},
	{"allow-not-action", policy.Identity, `"Effect":"Allow","NotAction":"iam:*","Resource":"*"`, `"Effect":"Deny","NotAction":"iam:*","Resource":"*"`},
	{"allow-not-resource", policy.Identity, `"Effect":"Allow","Action":"s3:*","NotResource":"arn:aws:s3:::secret/*"`, `"Effect":"Deny","Action":"s3:*","NotResource":"arn:aws:s3:::open/*"`},
	{"always-true", policy.Identity, with(denyGetUser, `"Null":{"aws:SourceIp":["true","false"]}`), with(denyGetUser, `"Null":{"aws:SourceIp":"true"}`)},
	{"always-true", policy.Identity, with(allowGetUser, `"Bool":{"aws:SecureTransport":["true","False"]}`), with(allowGetUser, `"Bool":{"aws:SecureTransport":"true"}`)},
	{"anonymous-allowed", policy.AuthPolicy, `"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"`, with(`"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"`, `"StringNotEqualsIgnoreCase":{"aws:PrincipalType":"anonymous"}`)},
	{"anonymous-allowed", policy.Resource, `"Effect":"Allow","Principal":{"AWS":"*"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"`, with(`"Effect":"Allow","Principal":{"AWS":"*"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"`, `"StringEquals":{"aws:PrincipalOrgID":"o-1"}`)},
	{"anonymous-has-key", policy.AuthPolicy, with(invoke, `"StringLike":{"aws:PrincipalAccount":"*"}`), with(invoke, `"StringNotEquals":{"aws:PrincipalType":"Anonymous"}`)},
	{"any-subject", policy.Trust, webIdentity, with(webIdentity, `"StringEquals":{"a.b:sub":"system:serviceaccount:n:a"}`)},
	{"any-subject", policy.Trust, with(webIdentity, `"StringEqualsIfExists":{"a.b:sub":"s"}`), with(webIdentity, `"StringLike":{"A.b:Sub":"s*"}`)},
	{"anybody-trusted", policy.Trust, `"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"`, with(`"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"`, `"StringEquals":{"aws:PrincipalOrgID":"o-1"}`)},
	{"anybody-trusted", policy.Trust, `"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:*"`, with(`"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"`, `"StringEquals":{"aws:PrincipalAccount":"123456789012"}`)},
	{"bad-variable", policy.Identity, `"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::b/${}"`, `"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::b/${aws:username}"`},
	{"bad-variable", policy.Identity, `"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::b/${aws:username, none}"`, `"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::b/${aws:username, 'none'}"`},
	{"bad-variable", policy.Identity, with(allowAnyS3, `"StringEquals":{"s3:prefix":"${aws:PrincipalOrgPaths}"}`), with(allowAnyS3, `"StringEquals":{"s3:prefix":"${aws:PrincipalOrgID}"}`)},
	{"bare-account", policy.AuthPolicy, strings.Replace(invoke, `{"AWS":"123456789012"}`, `"123456789012"`, 1), invoke},
	{"bare-service-arn", policy.AuthPolicy, strings.Replace(invoke, `"*"`, `"arn:aws:vpc-lattice:us-west-2:123456789012:service/svc-1"`, 1), strings.Replace(invoke, `"*"`, `"arn:aws:vpc-lattice:us-west-2:123456789012:service/svc-1/*"`, 1)},
	{"bare-service-arn", policy.Identity, `"Effect":"Allow","Action":"vpc-lattice-svcs:*","Resource":"arn:aws:vpc-lattice:us-west-2:123456789012:service/svc-1"`, `"Effect":"Allow","Action":"vpc-lattice:GetService","Resource":"arn:aws:vpc-lattice:us-west-2:123456789012:service/svc-1"`},
	{"date-without-time", policy.Identity, with(allowGetUser, `"DateLessThan":{"aws:CurrentTime":"2026-12-31"}`), with(allowGetUser, `"DateLessThan":{"aws:CurrentTime":"2027-01-01T00:00:00Z"}`)},
	{"empty-operator", policy.Identity, with(allowGetUser, `"StringEquals":{}`), with(allowGetUser, `"StringEquals":{"aws:username":"a"}`)},
	{"empty-operator", policy.Identity, with(allowGetUser, `"NoOperator":{}`), allowGetUser},
	{"empty-values", policy.Identity, with(allowGetUser, `"StringEquals":{"aws:username":[]}`), with(allowGetUser, `"StringEquals":{"aws:username":["a"]}`)},
	{"excludes-everything", policy.Identity, `"Effect":"Deny","NotAction":"*","Resource":"*"`, `"Effect":"Deny","NotAction":"iam:GetUser","Resource":"*"`},
	{"excludes-everything", policy.Identity, `"Effect":"Deny","Action":"s3:*","NotResource":["*"]`, `"Effect":"Deny","Action":"s3:*","NotResource":"arn:aws:s3:::b/*"`},
	{"excludes-everything", policy.AuthPolicy, `"Effect":"Deny","NotPrincipal":"*","Action":"*","Resource":"*"`, noInvoke},
	{"forallvalues-absent", policy.Identity, with(`"Effect":"Allow","Action":"iam:TagUser","Resource":"*"`, `"ForAllValues:StringEquals":{"aws:TagKeys":"team"}`), with(`"Effect":"Allow","Action":"iam:TagUser","Resource":"*"`, `"ForAnyValue:StringEquals":{"aws:TagKeys":"team"}`)},
	{"foranyvalue-absent", policy.Identity, with(`"Effect":"Deny","Action":"iam:TagUser","Resource":"*"`, `"ForAnyValue:StringNotEquals":{"aws:TagKeys":"team"}`), with(`"Effect":"Deny","Action":"iam:TagUser","Resource":"*"`, `"ForAllValues:StringNotEquals":{"aws:TagKeys":"team"}`)},
	{"host-bits", policy.Identity, with(allowGetUser, `"IpAddress":{"aws:SourceIp":"10.1.2.3/8"}`), with(allowGetUser, `"IpAddress":{"aws:SourceIp":["10.0.0.0/8","10.1.2.3","2001:db8::/32"]}`)},
	{"ifexists-allow", policy.Identity, with(allowGetUser, `"StringEqualsIfExists":{"aws:PrincipalOrgID":"o-1"}`), with(allowGetUser, `"StringEquals":{"aws:PrincipalOrgID":"o-1"}`)},
	{"ifexists-allow", policy.Identity, with(allowGetUser, `"BoolIfExists":{"aws:MultiFactorAuthPresent":"true"}`), with(denyGetUser, `"BoolIfExists":{"aws:MultiFactorAuthPresent":"false"}`)},
	{"impossible-value", policy.AuthPolicy, with(noInvoke, `"StringEquals":{"aws:PrincipalType":"Role"}`), with(noInvoke, `"StringEquals":{"aws:PrincipalType":"AssumedRole"}`)},
	{"impossible-value", policy.Identity, with(`"Effect":"Deny","Action":"vpc-lattice:CreateService","Resource":"*"`, `"StringNotEquals":{"vpc-lattice:AuthType":"IAM"}`), with(`"Effect":"Deny","Action":"vpc-lattice:CreateService","Resource":"*"`, `"StringNotEquals":{"vpc-lattice:AuthType":"AWS_IAM"}`)},
	{"key-never-present", policy.AuthPolicy, with(noInvoke, `"StringNotEquals":{"aws:SourceVpc":"vpc-1"}`), with(noInvoke, `"StringNotEquals":{"vpc-lattice-svcs:SourceVpc":"vpc-1"}`)},
	{"key-never-present", policy.Identity, with(allowGetUser, `"StringEquals":{"sts:ExternalId":"x"}`), with(`"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"`, `"StringEquals":{"sts:ExternalId":"x","iam:ResourceTag/team":"a"}`)},
	{"key-never-present", policy.AuthPolicy, with(noInvoke, `"StringEquals":{"iam:PassedToService":"x"}`), noInvoke},
	{"list-key", policy.AuthPolicy, with(noInvoke, `"StringNotEquals":{"aws:PrincipalOrgPaths":"o-1/"}`), with(noInvoke, `"ForAllValues:StringNotEquals":{"aws:PrincipalOrgPaths":"o-1/"}`)},
	{"mfa-absent", policy.Identity, with(denyGetUser, `"Bool":{"aws:MultiFactorAuthPresent":"false"}`), with(denyGetUser, `"BoolIfExists":{"aws:MultiFactorAuthPresent":"false"}`)},
	{"milliseconds", policy.Identity, with(allowGetUser, `"DateLessThan":{"aws:EpochTime":"1767225600000"}`), with(allowGetUser, `"DateLessThan":{"aws:EpochTime":"1767225600"}`)},
	{"miscased-action", policy.Identity, `"Effect":"Allow","Action":"IAM:getuser","Resource":"*"`, allowGetUser},
	{"miscased-arn", policy.Identity, `"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:S3:::b/*"`, `"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"`},
	{"miscased-key", policy.AuthPolicy, with(noInvoke, `"StringEquals":{"vpc-lattice-svcs:requestmethod":"GET"}`), with(noInvoke, `"StringEquals":{"vpc-lattice-svcs:RequestMethod":"GET"}`)},
	{"miscased-operator", policy.Identity, with(denyGetUser, `"foranyvalue:stringequalsIfexists":{"aws:PrincipalOrgPaths":"o-1/"}`), with(denyGetUser, `"ForAnyValue:StringEqualsIfExists":{"aws:PrincipalOrgPaths":"o-1/"}`)},
	{"miscased-value", policy.AuthPolicy, with(invoke, `"StringNotEquals":{"aws:PrincipalType":"anonymous"}`), with(invoke, `"StringNotEquals":{"aws:PrincipalType":"Anonymous"}`)},
	{"miscased-value", policy.AuthPolicy, with(invoke, `"StringEquals":{"vpc-lattice-svcs:RequestMethod":["get","PURGE"]}`), with(invoke, `"StringEquals":{"vpc-lattice-svcs:RequestMethod":["GET","purge"]}`)},
	{"miscased-value", policy.Identity, with(allowGetUser, `"StringEquals":{"aws:SecureTransport":"True"}`), with(allowGetUser, `"StringEqualsIgnoreCase":{"aws:SecureTransport":"True"}`)},
	{"multivalued-key", policy.AuthPolicy, with(noInvoke, `"StringEquals":{"vpc-lattice-svcs:RequestQueryString/q":"a"}`), with(noInvoke, `"ForAnyValue:StringEquals":{"vpc-lattice-svcs:RequestQueryString/q":"a"}`)},
	{"negated-allow", policy.Identity, with(allowGetUser, `"StringNotEquals":{"aws:PrincipalTag/team":"x"}`), with(allowGetUser, `"StringNotEquals":{"aws:PrincipalTag/team":"x"},"Null":{"aws:PrincipalTag/team":"false"}`)},
	{"negated-allow", policy.Identity, with(allowGetUser, `"StringNotLike":{"aws:username":"a*"}`), with(allowGetUser, `"StringNotEquals":{"aws:PrincipalType":"User"},"StringNotLike":{"aws:username":"a*"},"StringLike":{"aws:username":"*"}`)},
	{"never-true", policy.Identity, with(allowGetUser, `"StringEquals":{"aws:username":"a"},"StringLike":{"aws:username":"b*"}`), with(allowGetUser, `"StringLike":{"aws:username":["a","b*"]}`)},
	{"never-true", policy.Identity, with(denyGetUser, `"Null":{"aws:username":"true"},"StringEquals":{"aws:username":"a"}`), with(denyGetUser, `"Null":{"aws:username":"true"}`)},
	{"newline", policy.AuthPolicy, "{\"Version\":\"2012-10-17\",\n\"Statement\":{" + invoke + `}}`, `{"Version":"2012-10-17","Statement":{` + invoke + "}}\n"},
	{"not-principal", policy.Resource, `"Effect":"Deny","NotPrincipal":{"AWS":"123456789012"},"Action":"s3:*","Resource":"arn:aws:s3:::b/*"`, with(`"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::b/*"`, `"ArnNotEquals":{"aws:PrincipalArn":"arn:aws:iam::123456789012:role/a"}`)},
	{"odd-date", policy.Identity, with(allowGetUser, `"DateGreaterThan":{"aws:CurrentTime":"2026-1-31t1:2"}`), with(allowGetUser, `"DateGreaterThan":{"aws:CurrentTime":"2026-01-31T01:02:00Z"}`)},
	{"operand-is-no-arn", policy.AuthPolicy, with(noInvoke, `"ArnLike":{"aws:PrincipalArn":["role/x","arn:${aws:userid}"]}`), with(noInvoke, `"ArnLike":{"aws:PrincipalArn":["arn:aws:iam::*:role/x","${aws:PrincipalArn}"]}`)},
	{"operator-of-another-type", policy.Identity, with(allowGetUser, `"StringLike":{"aws:SourceIp":"10.*"}`), with(allowGetUser, `"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}`)},
	{"operator-of-another-type", policy.Identity, with(allowGetUser, `"NumericEquals":{"aws:PrincipalAccount":"123456789012"}`), with(allowGetUser, `"StringEquals":{"aws:PrincipalAccount":"123456789012"}`)},
	{"operator-of-another-type", policy.Identity, with(allowGetUser, `"StringEquals":{"aws:CurrentTime":"2026-01-01T00:00:00Z"}`), with(allowGetUser, `"NumericGreaterThan":{"aws:EpochTime":"1767225600"}`)},
	{"operator-of-another-type", policy.Identity, with(allowGetUser, `"DateLessThan":{"aws:MultiFactorAuthAge":"2026-01-01T00:00:00Z"}`), with(allowGetUser, `"NumericLessThan":{"aws:MultiFactorAuthAge":"3600"}`)},
	{"pass-role-any", policy.Identity, `"Effect":"Allow","Action":"iam:PassRole","Resource":"*"`, with(`"Effect":"Allow","Action":"iam:PassRole","Resource":"*"`, `"StringEquals":{"iam:PassedToService":"ec2.amazonaws.com"}`)},
	{"principal-never-matches", policy.AuthPolicy, strings.Replace(invoke, `{"AWS":"123456789012"}`, `{"Service":"ec2.amazonaws.com"}`, 1), invoke},
	{"principal-never-matches", policy.Resource, strings.Replace(grants, `{"AWS":"123456789012"}`, `{"Federated":"accounts.google.com"}`, 1), strings.Replace(grants, `{"AWS":"123456789012"}`, `{"CanonicalUser":"79a5","Service":"x.amazonaws.com"}`, 1)},
	{"principal-never-matches", policy.Trust, `"Effect":"Allow","Principal":{"Federated":"accounts.google.com"},"Action":"sts:AssumeRole"`, `"Effect":"Allow","Principal":{"Federated":"accounts.google.com"},"Action":"sts:AssumeRoleWithWebIdentity"`},
	{"principal-never-matches", policy.Trust, `"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRoleWithSAML"`, `"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"`},
	{"principal-never-matches", policy.Trust, `"Effect":"Allow","Principal":{"CanonicalUser":"79a5"},"Action":"sts:AssumeRole"`, takes},
	{"query-in-resource", policy.AuthPolicy, strings.Replace(invoke, `"*"`, `"*/rates?day=1"`, 1), with(strings.Replace(invoke, `"*"`, `"*/rates"`, 1), `"ForAnyValue:StringEquals":{"vpc-lattice-svcs:RequestQueryString/day":"1"}`)},
	{"redundant", policy.Identity, `"Effect":"Allow","Action":["iam:Get*","iam:GetUser"],"Resource":"*"`, `"Effect":"Allow","Action":["iam:Get*","iam:ListUsers"],"Resource":"*"`},
	{"redundant", policy.Identity, `"Effect":"Allow","Action":["s3:GetObject","s3:getobject"],"Resource":"*"`, `"Effect":"Allow","Action":"s3:GetObject","Resource":"*"`},
	{"redundant", policy.Identity, `"Effect":"Deny","Action":"s3:*","NotResource":["arn:aws:s3:::b/x","arn:aws:s3:::b/*"]`, `"Effect":"Deny","Action":"s3:*","NotResource":["arn:aws:s3:::b","arn:aws:s3:::b/*"]`},
	{"resource-of-another-service", policy.Identity, `"Effect":"Allow","Action":["iam:GetUser","sts:AssumeRole"],"Resource":"arn:aws:s3:::b/*"`, `"Effect":"Allow","Action":["iam:GetUser","sts:AssumeRole"],"Resource":"arn:aws:iam::123456789012:role/a"`},
	{"resource-of-another-service", policy.AuthPolicy, strings.Replace(invoke, `"*"`, `"arn:aws:execute-api:us-west-2:123456789012:a/*"`, 1), strings.Replace(invoke, `"*"`, `"arn:aws:vpc-lattice:us-west-2:123456789012:service/*"`, 1)},
	{"session-arn", policy.Identity, with(denyGetUser, `"ArnLike":{"aws:PrincipalArn":"arn:aws:sts::123456789012:assumed-role/r/*"}`), with(denyGetUser, `"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::123456789012:role/r"}`)},
	{"short-arn", policy.ServiceControl, `"Effect":"Deny","Action":"s3:*","Resource":"arn:aws:s3"`, `"Effect":"Deny","Action":"s3:*","Resource":["arn:aws:s3:::*","arn:aws:sqs:*"]`},
	{"short-arn", policy.Resource, strings.Replace(grants, "arn:aws:s3:::b/*", "b/*", 1), grants},
	{"star-crosses-slash", policy.Identity, `"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*/logs"`, `"Effect":"Allow","Action":"s3:GetObject","Resource":["arn:aws:s3:::b/a/logs","arn:aws:s3:::b/b/logs"]`},
	{"star-is-text", policy.Identity, with(denyGetUser, `"StringEquals":{"aws:PrincipalArn":"arn:aws:iam::123456789012:role/a*"}`), with(denyGetUser, `"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::123456789012:role/a*"}`)},
	{"star-is-text", policy.Identity, with(denyGetUser, `"StringNotEquals":{"aws:PrincipalArn":"*"}`), with(denyGetUser, `"ArnNotLike":{"aws:PrincipalArn":"*"}`)},
	{"star-is-text", policy.Identity, with(denyGetUser, `"StringNotEqualsIgnoreCase":{"aws:username":"a*"}`), with(denyGetUser, `"StringNotLike":{"aws:username":"a*"}`)},
	{"star-is-text", policy.Identity, with(denyGetUser, `"StringEquals":{"aws:username":"a*"}`), with(denyGetUser, `"StringEquals":{"aws:username":"a${*}"}`)},
	{"star-joins-name", policy.Identity, `"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::bucket*"`, `"Effect":"Allow","Action":"s3:*","Resource":["arn:aws:s3:::bucket","arn:aws:s3:::bucket/*"]`},
	{"too-long", policy.Session, `"Sid":"` + strings.Repeat("x", 2000) + `",` + allowGetUser, allowGetUser},
	{"too-long", policy.AuthPolicy, `"Sid":"` + strings.Repeat("x", 10240) + `",` + invoke, invoke},
	{"too-long", policy.ServiceControl, `"Sid":"` + strings.Repeat("x", 5100) + `",` + denyGetUser, denyGetUser},
	{"two-spellings", policy.Identity, with(denyGetUser, `"StringEquals":{"aws:PrincipalTag/team":"a","aws:PrincipalTag/Team":"a"}`), with(denyGetUser, `"StringEquals":{"aws:PrincipalTag/team":"a"}`)},
	{"unknown-action", policy.Identity, `"Effect":"Allow","Action":["iam:GetUsr","vpc-lattice-svcs:Get*"],"Resource":"*"`, `"Effect":"Allow","Action":["iam:Get*","sts:TagSession","iam:GenerateCredentialReport","other:Anything"],"Resource":"*"`},
	{"unknown-action", policy.Identity, `"Effect":"Deny","Action":"vpc-lattice:BatchUpdateRule","Resource":"*"`, `"Effect":"Deny","Action":"vpc-lattice:UpdateRule","Resource":"*"`},
	{"unknown-key", policy.Identity, with(denyGetUser, `"StringEquals":{"aws:PrincipalOrgId2":"o-1","username":"a"}`), with(denyGetUser, `"StringEquals":{"aws:PrincipalOrgID":"o-1","other:key":"x","a.b:sub":"y"}`)},
	{"unknown-key", policy.AuthPolicy, with(noInvoke, `"StringEquals":{"vpc-lattice-svcs:RequestHeader/":"GET"}`), with(noInvoke, `"StringEquals":{"vpc-lattice-svcs:RequestHeader/X-Role":"a"}`)},
	{"userid-of-session", policy.Identity, with(denyGetUser, `"StringEquals":{"aws:userid":"AROATESTTESTTESTTEST0"}`), with(denyGetUser, `"StringLike":{"aws:userid":"AROATESTTESTTESTTEST0:*"}`)},
	{"variable-in-head", policy.Identity, `"Effect":"Allow","Action":"sqs:*","Resource":"arn:aws:sqs:*:${aws:PrincipalAccount}:q"`, with(`"Effect":"Allow","Action":"sqs:*","Resource":"arn:aws:sqs:*:*:q"`, `"StringEquals":{"aws:ResourceAccount":"${aws:PrincipalAccount}"}`)},
	{"variable-is-text", policy.AuthPolicy, `{"Statement":{` + strings.Replace(invoke, `"*"`, `"*/${aws:username}"`, 1) + `}}`, strings.Replace(invoke, `"*"`, `"*/${aws:username}"`, 1)},
	{"wildcard-service", policy.Identity, `"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s*:::b/*"`, `"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"`},
}

// lint parses an example and gives the codes of what is found in it.
func lint(t *testing.T, kind policy.Kind, text string) []policy.Finding {
	t.Helper()
	if !strings.HasPrefix(text, "{") {
		text = of2012(text)
	}
	d, err := policy.Parse(kind, text)
	if err != nil {
		t.Fatalf("%s\n%v", text, err)
	}
	return policy.LintFile(d)
}

// TestLintRules: every rule has an example in which it finds something, and one that
// says what was meant, in which nothing is found.
func TestLintRules(t *testing.T) {
	shown := map[string]bool{}
	for i, e := range examples {
		t.Run(fmt.Sprint(i, "-", e.code), func(t *testing.T) {
			found := false
			for _, f := range lint(t, e.kind, e.bad) {
				found = found || f.Code == e.code
				if f.Message == "" || f.Fix == "" || f.Line == 0 || f.Column == 0 || strings.HasSuffix(f.Message, ".") || strings.HasSuffix(f.Fix, ".") {
					t.Errorf("%+v", f)
				}
			}
			if !found {
				t.Errorf("found %+v", lint(t, e.kind, e.bad))
			}
			if left := lint(t, e.kind, e.good); len(left) > 0 {
				t.Errorf("found in the good one: %+v", left)
			}
		})
		shown[e.code] = true
	}
	if !slices.IsSortedFunc(policy.Rules, func(a, b policy.Rule) int { return strings.Compare(a.Code, b.Code) }) {
		t.Error("the rules are not in order")
	}
	for _, r := range policy.Rules {
		if !shown[r.Code] {
			t.Errorf("%s has no example", r.Code)
		}
		delete(shown, r.Code)
	}
	if len(shown) > 0 {
		t.Errorf("codes of no rule: %v", shown)
	}
}

// TestLintTogether: which pairs of conditions on one key can hold together.
func TestLintTogether(t *testing.T) {
	for _, test := range []struct {
		conditions string
		never      bool
	}{
		{`"StringEquals":{"a:k":"x"},"StringEqualsIgnoreCase":{"A:K":"X"}`, false},
		{`"StringEquals":{"a:k":["x","y"]},"StringEqualsIgnoreCase":{"a:k":["z","w"]}`, true},
		{`"StringEqualsIgnoreCase":{"a:k":"x"},"StringLike":{"a:k":"y"}`, true},
		{`"StringEqualsIgnoreCase":{"a:k":"x"},"stringequalsignorecase":{"a:k":"X"}`, false},
		{`"StringEqualsIgnoreCase":{"a:k":"x"},"stringequalsignorecase":{"a:k":"y"}`, true},
		{`"StringLike":{"a:k":"x*"},"stringlike":{"a:k":"y*"}`, false}, // Two wildcards are not compared.
		{`"StringLike":{"a:k":"x*"},"StringEquals":{"a:k":["z","xy"]}`, false},
		{`"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::1:role/*"},"StringEquals":{"aws:PrincipalArn":"arn:aws:iam::1:user/u"}`, true},
		{`"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::1:role/*"},"StringEquals":{"aws:PrincipalArn":"arn:aws:iam::1:role/r"}`, false},
		{`"StringEquals":{"a:k":"x"},"StringEqualsIfExists":{"a:k":"y"}`, false},
		{`"StringEquals":{"a:k":"x"},"StringLike":{"a:k":"${aws:username}"}`, false},
		{`"StringEquals":{"a:k":"x"},"ForAnyValue:StringEquals":{"a:k":"y"}`, false},
		{`"StringEquals":{"a:k":"x"},"StringEqualsIgnoreCase":{"a:k":[]}`, false},
		{`"StringEquals":{"a:k":["x","y"]},"StringNotLike":{"a:k":["x*","y"]}`, true},
		{`"StringNotEquals":{"a:k":["x","y"]},"StringEquals":{"a:k":"x"}`, true},
		{`"StringNotEquals":{"a:k":["x","y"]},"StringEquals":{"a:k":"z"}`, false},
		{`"StringNotEquals":{"a:k":"x"},"StringLike":{"a:k":"x*"}`, false},
		{`"StringNotEquals":{"a:k":"x"},"StringNotLike":{"a:k":"*"}`, false},
		{`"NumericLessThan":{"a:k":"5"},"NumericNotEquals":{"a:k":"5"}`, false},
		{`"NumericLessThan":{"a:k":"5"},"NumericGreaterThan":{"a:k":"5"}`, true},
		{`"NumericLessThan":{"a:k":"5"},"NumericGreaterThan":{"a:k":"4"}`, false},
		{`"NumericLessThanEquals":{"a:k":"5"},"NumericGreaterThanEquals":{"a:k":"5.0"}`, false},
		{`"NumericGreaterThanEquals":{"a:k":"5"},"NumericLessThanEquals":{"a:k":"5.0"}`, false},
		{`"NumericGreaterThan":{"a:k":"5"},"NumericLessThanEquals":{"a:k":"5"}`, true},
		{`"NumericGreaterThan":{"a:k":"5"},"NumericLessThanEquals":{"a:k":"6"}`, false},
		{`"NumericGreaterThan":{"a:k":"5"},"NumericGreaterThanEquals":{"a:k":"6"}`, false},
		{`"NumericEquals":{"a:k":"5"},"NumericGreaterThan":{"a:k":"5"}`, true},
		{`"NumericEquals":{"a:k":"6"},"NumericGreaterThan":{"a:k":"5"}`, false},
		{`"NumericLessThan":{"a:k":"5"},"NumericEquals":{"a:k":"5"}`, true},
		{`"NumericLessThan":{"a:k":"5"},"NumericEquals":{"a:k":"-5"}`, false},
		{`"DateLessThan":{"aws:CurrentTime":"2026-01-01T00:00:00Z"},"DateGreaterThan":{"aws:CurrentTime":"1767225600"}`, true},
		{`"DateLessThan":{"aws:CurrentTime":"2027-01-01T00:00:00Z"},"DateGreaterThan":{"aws:CurrentTime":"1767225600"}`, false},
		{`"Bool":{"a:k":"true"},"bool":{"a:k":"False"}`, true},
		{`"Bool":{"a:k":"true"},"bool":{"a:k":"True"}`, false},
		{`"IpAddress":{"aws:SourceIp":"10.0.0.0/8"},"ipaddress":{"aws:SourceIp":"192.0.2.0/24"}`, true},
		{`"IpAddress":{"aws:SourceIp":"10.0.0.0/8"},"ipaddress":{"aws:SourceIp":"10.1.0.0/16"}`, false},
		{`"BinaryEquals":{"a:k":"YQ=="},"binaryequals":{"a:k":"Yg=="}`, false}, // Bytes are not compared.
		{`"StringEquals":{"a:k":"true"},"Bool":{"a:k":"false"}`, false},
		{`"Null":{"a:k":"true"},"StringNotEquals":{"a:k":"x"}`, false},
		{`"Null":{"a:k":"true"},"StringEqualsIfExists":{"a:k":"x"}`, false},
		{`"Null":{"a:k":"true"},"ForAnyValue:StringEquals":{"a:k":"x"}`, true},
		{`"Null":{"a:k":"true"},"ForAllValues:StringEquals":{"a:k":"x"}`, false},
		{`"StringEquals":{"a:k":"x"},"Null":{"a:k":"true"}`, true},
		{`"StringEquals":{"a:k":"x"},"Null":{"a:k":["true","false"]}`, false},
		{`"Null":{"a:k":"true"},"null":{"a:k":"false"}`, true},
		{`"Null":{"a:k":"true"},"null":{"a:k":"true"}`, false},
	} {
		never := false
		for _, f := range lint(t, policy.Identity, with(denyGetUser, test.conditions)) {
			never = never || f.Code == "never-true"
		}
		if never != test.never {
			t.Errorf("%s: never %t", test.conditions, never)
		}
	}
}

// TestLintFixes: what is misspelt is named as AWS spells it.
func TestLintFixes(t *testing.T) {
	for statement, want := range map[string]string{
		`"Effect":"Deny","Action":"iam:CreatRole","Resource":"*"`:                                              `"iam:CreatRole" matches no action; fix: write iam:CreateRole`,
		`"Effect":"Deny","Action":"iam:Nothing","Resource":"*"`:                                                `"iam:Nothing" matches no action; fix: look the actions of the service up in AWS's Service Authorization Reference`,
		`"Effect":"Deny","Action":"vpc-lattice-svcs:Call","Resource":"*"`:                                      `"vpc-lattice-svcs:Call" matches no action; fix: the actions are vpc-lattice-svcs:Invoke and vpc-lattice-svcs:Connect`,
		with(denyGetUser, `"StringEquals":{"aws:PrincipleArn":"x"}`):                                           `there is no condition key aws:PrincipleArn: it is absent from every request; fix: write aws:PrincipalArn`,
		with(denyGetUser, `"StringEquals":{"aws:Nothing":"x"}`):                                                `there is no condition key aws:Nothing: it is absent from every request; fix: look the keys up in AWS's list of condition keys`,
		with(denyGetUser, `"DateLessThan":{"aws:CurrentTime":"1767225600000"}`):                                `a number is seconds since 1970: 1767225600000 is in the year 57971; fix: write 1767225600`,
		`"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::bucket*"`:                                   `arn:aws:s3:::bucket* is every bucket whose name begins so, whoever has it, with all that is in it; fix: write arn:aws:s3:::bucket and arn:aws:s3:::bucket/*`,
		`"Effect":"Deny","Action":"vpc-lattice-svcs:Invoke","Resource":"arn:aws:sqs:us-west-2:123456789012:q"`: `none of the actions is about arn:aws:sqs:us-west-2:123456789012:q, so the statement is not about it; fix: name a resource of vpc-lattice, or *`,
		with(denyGetUser, `"forallvalues:stringnotlikeifexists":{"aws:PrincipalOrgPaths":"o-1/*"}`):            `the operator forallvalues:stringnotlikeifexists is spelled ForAllValues:StringNotLikeIfExists: other tools compare its letter case; fix: write ForAllValues:StringNotLikeIfExists`,
	} {
		got := lint(t, policy.Identity, statement)
		if len(got) != 1 || got[0].Message+"; fix: "+got[0].Fix != want {
			t.Errorf("%s\n%+v\nwant %s", statement, got, want)
		}
	}
}

// TestLintPlaces: a finding names its statement, line and column.
func TestLintPlaces(t *testing.T) {
	got := lint(t, policy.Identity, "{\"Version\":\"2012-10-17\",\"Statement\":[{"+allowGetUser+"},\n {\"Sid\":\"second\","+strings.Replace(allowGetUser, "iam:GetUser", "iam:getUser", 1)+"}]}")
	want := []policy.Finding{{
		Statement: 1, Sid: "second", Code: "miscased-action", Message: "the action iam:getUser is spelled iam:GetUser: other tools compare its letter case",
		Fix: "write iam:GetUser", Offset: 138, Line: 2, Column: 44,
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestLintDocument holds docs/policy-check.md and the rules together.
func TestLintDocument(t *testing.T) {
	text, err := os.ReadFile("../../docs/policy-check.md")
	if err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	want.WriteString("| Code | What is wrong | Write instead |\n|---|---|---|\n")
	for _, r := range policy.Rules {
		fmt.Fprintf(&want, "| `%s` | %s | %s |\n", r.Code, r.Wrong, r.Fix)
	}
	_, got, _ := strings.Cut(string(text), "| Code |")
	got, _, _ = strings.Cut("| Code |"+got, "\n\n")
	if diff := cmp.Diff(want.String(), strings.TrimSuffix(got, "\n")+"\n"); diff != "" {
		t.Errorf("the table of docs/policy-check.md (-want +got):\n%s", diff)
	}
}
