package policy_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/latchwork/latchwork/internal/policy"
)

// Texts of AWS for what is wrong with a policy.
const (
	sayJSON      = "This policy contains invalid Json"
	saySyntax    = "Syntax errors in policy."
	sayVersion   = "Policy document must be version 2012-10-17 or greater."
	sayLegacy    = "The policy failed legacy parsing"
	saySid       = "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [0-9A-Za-z]*"
	saySids      = "Statement IDs (SID) in a single policy must be unique."
	sayPrincipal = "Policy document should not specify a principal."
	sayActions   = "Policy statement must contain actions."
	sayResources = "Policy statement must contain resources."
	sayVendor    = "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."
	sayColon     = "Actions/Condition can contain only one colon."
	sayService   = "Resource vendor must be fully qualified and cannot contain regexes."
	sayIAMPath   = `IAM resource path must either be "*" or start with user/, federated-user/, role/, group/, instance-profile/, mfa/, server-certificate/, policy/, sms-mfa/, saml-provider/, oidc-provider/, report/, access-report/.`
	sayTrust     = "Trust Policy statement actions can only be sts:AssumeRole, sts:AssumeRoleWithSAML,  and sts:AssumeRoleWithWebIdentity"
	sayNobody    = "Invalid principal in policy: com.amazon.balsa.error.InvalidPolicyException: The passed in policy has a statement with no principals!"
	sayFederated = "Federated principals must be valid domain names or SAML metadata ARNs"
)

// of2012 is a document of statements.
func of2012(statements ...string) string {
	return `{"Version":"2012-10-17","Statement":[{` + strings.Join(statements, "},{") + `}]}`
}

const (
	allowS3  = `"Effect":"Allow","Action":"s3:ListBucket","Resource":"arn:aws:s3:::b"`
	allowAll = `"Effect":"Allow","Action":"*"`
)

// TestSaveErrors: IAM's answers to what it does not store, and in which order it
// looks: each document has one fault or several, of which AWS names the first.
// Source: AWS's answers as recorded by moto, and the texts of public issues.
func TestSaveErrors(t *testing.T) {
	resource := func(list string) string { return of2012(allowAll + `,"Resource":` + list) }
	condition := func(c string) string { return of2012(allowS3 + `,"Condition":` + c) }
	for _, test := range []struct {
		name, text, want string
		at               string // what the error points at; "" for anywhere
	}{
		{"no JSON", `no document`, saySyntax, "o document"},
		{"list", `[]`, saySyntax, "[]"},
		{"element of no policy", `{"Version":"2012-10-17","Statement":{` + allowS3 + `},"Extra":1}`, saySyntax, `"Extra"`},
		{"Conditions beside statements", `{"Version":"2012-10-17","Statement":{` + allowS3 + `},"Conditions":{}}`, saySyntax, `"Conditions"`},
		{"element in small letters", `{"version":"2012-10-17","Statement":{` + allowS3 + `}}`, saySyntax, `"version"`},
		{"version of no year", `{"Version":"2013-10-17","Statement":{` + allowS3 + `}}`, saySyntax, `"2013-10-17"`},
		{"version a number", `{"Version":2012,"Statement":{` + allowS3 + `}}`, saySyntax, `2012,`},
		{"Id a list", `{"Version":"2012-10-17","Id":["x"],"Statement":{` + allowS3 + `}}`, saySyntax, `["x"]`},
		{"no statement", `{"Version":"2012-10-17"}`, saySyntax, ""},
		{"empty statements", `{"Version":"2012-10-17","Statement":[]}`, saySyntax, "[]"},
		{"statement a string", `{"Version":"2012-10-17","Statement":["s"]}`, saySyntax, `"s"`},
		{"statement null", `{"Version":"2012-10-17","Statement":null}`, saySyntax, `null`},
		{"element of no statement", of2012(allowS3 + `,"Extra":1`), saySyntax, `"Extra"`},
		{"element of a statement in small letters", of2012(`"effect":"Allow","Action":"a:b","Resource":"*"`), saySyntax, `"effect"`},
		{"element twice", of2012(allowS3 + `,"Resource":"*"`), saySyntax, ""},
		{"condition key twice", condition(`{"Bool":{"aws:x":"true","aws:x":"false"}}`), saySyntax, ""},
		{"Sid an object", of2012(`"Sid":{},` + allowS3), saySyntax, `{},`},
		{"no effect", of2012(`"Action":"a:b","Resource":"*"`), saySyntax, ""},
		{"another effect", of2012(`"Effect":"Permit","Action":"a:b","Resource":"*"`), saySyntax, `"Permit"`},
		{"action an object", of2012(`"Effect":"Allow","Action":{},"Resource":"*"`), saySyntax, `{},`},
		{"actions nested", of2012(`"Effect":"Allow","Action":[[]],"Resource":"*"`), saySyntax, `[]]`},
		{"action null", of2012(`"Effect":"Allow","Action":null,"Resource":"*"`), saySyntax, `null`},
		{"resource a number", resource(`7`), saySyntax, `7`},
		{"Action and NotAction", of2012(allowS3 + `,"NotAction":[]`), saySyntax, ""},
		{"Resource and NotResource", of2012(allowS3 + `,"NotResource":[]`), saySyntax, ""},
		{"condition a list", condition(`[]`), saySyntax, `[]`},
		{"operator with a string", condition(`{"DateGreaterThan":"b"}`), saySyntax, `"b"`},
		{"value an object", condition(`{"DateGreaterThan":{"a":{}}}`), saySyntax, ""},
		{"value null", condition(`{"StringEquals":{"aws:x":null}}`), saySyntax, `null`},
		{"no such operator", condition(`{"x":{"a":"1"}}`), saySyntax, `"x"`},
		{"prefix with two colons", condition(`{"ForAnyValue::StringEquals":{"a":"1"}}`), saySyntax, ""},
		{"two prefixes", condition(`{"ForAnyValue:ForAllValues:StringEquals":{"a":"1"}}`), saySyntax, ""},
		{"NullIfExists", condition(`{"NullIfExists":{"aws:x":"true"}}`), saySyntax, ""},
		{"letter beyond Latin-1", of2012(`"Sid":"\u0061Ω",` + allowS3), saySyntax, "Ω"},

		{"no version", `{"Statement":{` + allowS3 + `}}`, sayVersion, "{"},
		{"old version", `{"Version":"2008-10-17","Statement":{` + allowS3 + `}}`, sayVersion, `"2008-10-17"`},
		{"version before effect", `{"Statement":{"Effect":"denY","Action":"a:b","Resource":"*"}}`, sayVersion, ""},
		{"version before Sids", `{"Statement":[{"Sid":"s",` + allowS3 + `},{"Sid":"s","Effect":"Allow"}]}`, sayVersion, ""},
		{"version before dates", `{"Statement":{` + allowS3 + `,"Condition":{"DateGreaterThan":{"a":"x"}}}}`, sayVersion, ""},
		{"syntax before effect", of2012(`"Effect":"denY","Action":"a:b","Resource":"*"`, `"Effect":"Permit"`), saySyntax, ""},

		{"effect in small letters", of2012(`"Effect":"denY","Action":"a:b","Resource":"*"`), sayLegacy, `"denY"`},
		{"effect before region", of2012(`"Effect":"allow","Resource":"arn:aws:s3:us-east-1::b"`), sayLegacy, ""},
		{"effect before Sids", of2012(`"Sid":"s","Effect":"aLLow","Action":"a:b","Resource":"*"`, `"Sid":"s","Effect":"Allow"`), sayLegacy, ""},
		{"date", condition(`{"DateGreaterThan":{"aws:CurrentTime":["2026-01-01","soon"]}}`), sayLegacy, `"soon"`},
		{"month 13", condition(`{"DateLessThanEquals":{"a":"234-13"}}`), sayLegacy, ""},
		{"zone of one digit", condition(`{"DateLessThanEquals":{"a":"2016-12-13t2:00:00.593194+1"}}`), sayLegacy, ""},
		{"ten digits of a second", condition(`{"DateLessThanEquals":{"a":"2016-12-13t2:00:00.1999999999+10:59"}}`), sayLegacy, ""},
		{"seconds beyond 63 bits", condition(`{"DateLessThan":{"a":"9223372036854775808"}}`), sayLegacy, ""},
		{"date before actions", of2012(`"Effect":"Allow","Condition":{"DateGreaterThan":{"a":"x"}}`), sayLegacy, ""},
		{"date before partition", of2012(allowAll + `,"Resource":"arn:error:s3:::b","Condition":{"DateGreaterThan":{"a":"x"}}`), sayLegacy, ""},
		{"five parts", resource(`"arn:aws:s3::b"`), sayLegacy, `"arn:aws:s3::b"`},
		{"five parts, NotResource", of2012(allowAll + `,"NotResource":["arn:aws:s3::b"]`), sayLegacy, ""},
		{"five parts before actions", of2012(`"Effect":"Allow","Resource":"arn:aws:s3::b"`), sayLegacy, ""},
		{"no service", resource(`"arn:aws::::b"`), sayLegacy, ""},
		{"no service, short", resource(`"arn:aws::b"`), sayLegacy, ""},

		{"Sid with a hyphen", of2012(`"Sid":"a-b",` + allowS3), saySid, ""},
		{"Sid twice, before actions", of2012(`"Sid":"s",`+allowS3, `"Sid":"s","Effect":"Allow"`), saySids, `{"Sid":"s","Effect"`},
		{"principal", of2012(`"Principal":"*",` + allowS3), sayPrincipal, ""},
		{"principal nobody", of2012(`"NotPrincipal":{},` + allowS3), sayPrincipal, ""},

		{"no action", of2012(`"Effect":"Allow","Resource":"*"`), sayActions, ""},
		{"no action nor resource", of2012(`"Effect":"Allow"`), sayActions, ""},
		{"empty actions", of2012(`"Effect":"Allow","Action":[],"Resource":"x"`), sayActions, ""},
		{"no action in the second", of2012(`"Effect":"Allow","Action":"nothing"`, `"Effect":"Deny"`), sayActions, `{"Effect":"Deny"`},

		{"resource no ARN", resource(`"a bucket"`), `Resource a bucket must be in ARN format or "*".`, `"a bucket"`},
		{"resource empty", resource(`""`), `Resource  must be in ARN format or "*".`, `""`},
		{"resource before actions' vendors", of2012(`"Effect":"Allow","Action":"s:3:x","Resource":"b"`), `Resource b must be in ARN format or "*".`, ""},
		{"resource of two parts", resource(`"a:b"`), `Partition "b" is not valid for resource "arn:b:*:*:*:*".`, ""},
		{"resource of three parts", resource(`"a:b:c"`), `Partition "b" is not valid for resource "arn:b:c:*:*:*".`, ""},
		{"resource of eight parts", resource(`"a:b:c:d:e:f:g:h"`), `Partition "b" is not valid for resource "arn:b:c:d:e:f:g:h".`, ""},
		{"resource without arn:", resource(`"aws:s3:::b"`), `Partition "s3" is not valid for resource "arn:s3:::b:*".`, ""},
		{"resource of another scheme", resource(`"urn:aws:s3:::b"`), `Resource urn:aws:s3:::b must be in ARN format or "*".`, ""},
		{"first of several in order of their texts", resource(`["arn:e:s3::x","arn:e:s3:::x"]`), `Partition "e" is not valid for resource "arn:e:s3:::x".`, `"arn:e:s3:::x"`},
		{"resource without a service", resource(`"arn:aws"`), sayService, ""},
		{"IAM with a region", resource(`"arn:aws:iam:us-east-1::user/x"`), "IAM resource arn:aws:iam:us-east-1::user/x cannot contain region information.", ""},
		{"S3 with a region", resource(`"arn:aws:s3:us-east-1::b"`), "Resource arn:aws:s3:us-east-1::b can not contain region information.", ""},
		{"IAM path", resource(`"arn:aws:iam::123456789012:x"`), sayIAMPath, ""},
		{"variable in the account", resource(`"arn:aws:iam::${aws:PrincipalAccount}:user/x"`), sayIAMPath, ""},
		{"IAM path of stars", resource(`"arn:aws:iam::123456789012:*/*"`), sayIAMPath, ""},

		{"action without vendor", of2012(`"Effect":"Allow","Action":"invalid"`), sayVendor, `"invalid"`},
		{"action empty", of2012(`"Effect":"Allow","NotAction":"","Resource":"*"`), sayVendor, ""},
		{"two colons", of2012(allowS3, `"Effect":"Allow","Action":"s:3s:x","Resource":"*"`), sayColon, `"s:3s:x"`},
		{"vendor with a space", of2012(`"Effect":"Allow","Action":"a a:x","Resource":"*"`), "Vendor a a is not valid", ""},
		{"vendor with a star", of2012(`"Effect":"Allow","Action":"s*:x","Resource":"*"`), "Vendor s* is not valid", ""},

		{"no resource", of2012(`"Effect":"Allow","Action":"s3:x"`), sayResources, ""},
		{"empty resources", of2012(`"Effect":"Allow","Action":"s3:x","Resource":[]`), sayResources, ""},
		{"only a null resource", resource(`[null]`), sayResources, ""},
	} {
		for _, kind := range []policy.Kind{policy.Identity, policy.Boundary, policy.Session, policy.ServiceControl} {
			saves(t, test.name, kind, test.text, test.want, test.at)
		}
	}
}

// saves checks that a document is refused, with AWS's text and at a place.
func saves(t *testing.T, name string, kind policy.Kind, text, want, at string) {
	t.Helper()
	_, err := policy.Parse(kind, text)
	var bad *policy.Error
	if !errors.As(err, &bad) {
		t.Errorf("%s: a %s is stored: %s", name, kind, text)
		return
	}
	if bad.Message != want || !strings.HasPrefix(text[bad.Offset:], at) {
		t.Errorf("%s, a %s: %q at %q, want %q at %q", name, kind, bad.Explained(), text[bad.Offset:], want, at)
	}
	if bad.Line != 1 || bad.Column != bad.Offset+1 {
		t.Errorf("%s: line %d, column %d for offset %d", name, bad.Line, bad.Column, bad.Offset)
	}
}

// TestSaved: what looks wrong and is stored all the same.
// Source: as TestSaveErrors.
func TestSaved(t *testing.T) {
	identities := []policy.Kind{policy.Identity, policy.Boundary, policy.Session, policy.ServiceControl}
	for _, text := range []string{
		`{"Version":"2012-10-17","Id":"a b","Statement":{"Sid":"",` + allowS3 + `}}`,
		of2012(`"Sid":"",`+allowS3, `"Sid":"",`+allowS3),
		of2012(`"Effect":"Allow","Action":["iam: one  two ","s3:a,s3:b","*:*","UNKNOWN:x","a-b.c:d"],"Resource":"*"`),
		of2012(`"Effect":"Allow","NotAction":"s3:x","NotResource":"*"`),
		of2012(allowAll + `,"Resource":["arn:aws:x","arn:aws:s3:::b",null,"*","arn:*:s3:::b","arn:aws-cn:nothing:us-east-1::b","arn:aws:s3:us-east-1:1:accesspoint/a","arn:aws:*:*:*:*"]`),
		of2012(allowAll + `,"Resource":["arn:aws:iam::*:user/${aws:username}","arn:aws:iam::1:*","arn:aws:iam::aws:policy/x","arn:aws:iam::*:root","arn:aws:s3:*:*:access-grants/default/*"]`),
		of2012(allowS3 + `,"Condition":{}`),
		of2012(allowS3 + `,"Condition":{"x":{},"y":{},"DateGreaterThan":{}}`),
		of2012(allowS3 + `,"Condition":{"DateGreaterThan":{"a":[]},"stringequals":{"b":"c"},"ForAnyValue:StringEqualsIfExists":{"b":"c"}}`),
		of2012(allowS3 + `,"Condition":{"Bool":{"aws:x":true},"NumericEquals":{"aws:x":[1,-2.5,"3"]},"DateEquals":{"aws:x":1767225600}}`),
		of2012(allowS3 + `,"Condition":{"DateLessThan":{"a":["01T","-292275054","2016-12-13t2:00:00.593194+23","2016-12-13T21:20:37.593194+00:00","292278993-1-1T1:2","0"]}}`),
	} {
		for _, kind := range identities {
			if _, err := policy.Parse(kind, text); err != nil {
				t.Errorf("%s: %v\n%s", kind, err, text)
			}
		}
	}
}

// TestSaveTrust: what a role's trust policy must have and must not.
// Source: as TestSaveErrors; IUG, "AWS JSON policy elements: Principal".
func TestSaveTrust(t *testing.T) {
	trust := func(principal string) string {
		return of2012(`"Effect":"Allow","Action":"sts:AssumeRole","Principal":` + principal)
	}
	invalid := func(kind, name string) string { return `Invalid principal in policy: "` + kind + `":"` + name + `"` }
	for _, test := range []struct{ text, want string }{
		{`{`, sayJSON},
		{of2012(`"Effect":"Allow","Action":"sts:AssumeRole","Action":"sts:AssumeRole","Principal":"*"`), sayJSON},
		{of2012(`"Effect":"Allow","Action":"sts:AssumeRole"`), "Missing required field Principal"},
		{trust(`{}`), sayNobody},
		{trust(`{"AWS":[]}`), sayNobody},
		{trust(`"123456789012"`), saySyntax},
		{trust(`{"aws":"123456789012"}`), saySyntax},
		{trust(`["*"]`), saySyntax},
		{trust(`{"AWS":"arn:aws:iam::123456789012:role/*"}`), invalid("AWS", "arn:aws:iam::123456789012:role/*")},
		{trust(`{"AWS":"arn:aws:iam::123456789012:group/g"}`), invalid("AWS", "arn:aws:iam::123456789012:group/g")},
		{trust(`{"AWS":"arn:aws:iam::123456789012:user/"}`), invalid("AWS", "arn:aws:iam::123456789012:user/")},
		{trust(`{"AWS":"arn:aws:iam:::role/r"}`), invalid("AWS", "arn:aws:iam:::role/r")},
		{trust(`{"AWS":"arn:aws:s3:::b"}`), invalid("AWS", "arn:aws:s3:::b")},
		{trust(`{"AWS":"arn:aws:sts::123456789012:assumed-role/r"}`), invalid("AWS", "arn:aws:sts::123456789012:assumed-role/r")},
		{trust(`{"AWS":"12345678901"}`), invalid("AWS", "12345678901")},
		{trust(`{"Service":"ec2"}`), invalid("Service", "ec2")},
		{trust(`{"Service":"*"}`), invalid("Service", "*")},
		{trust(`{"CanonicalUser":""}`), invalid("CanonicalUser", "")},
		{trust(`{"Federated":"*"}`), sayFederated},
		{trust(`{"Federated":"arn:aws:iam::123456789012:user/u"}`), sayFederated},
		{of2012(`"Effect":"Allow","Action":"sts:AssumeRole","NotPrincipal":{"AWS":"123456789012"}`), "Allow with NotPrincipal is not supported."},
		{of2012(`"Effect":"Allow","Action":"s3:GetObject","Principal":"*"`), sayTrust},
		{of2012(`"Effect":"Allow","Action":["sts:AssumeRole","sts:Assume*"],"Principal":"*"`), sayTrust},
		{of2012(`"Effect":"Deny","NotAction":"sts:AssumeRole","Principal":"*"`), sayTrust},
		{of2012(`"Effect":"Allow","Action":[],"Principal":"*"`), sayActions},
		{of2012(`"Effect":"Allow","Action":"sts:AssumeRole","Principal":"*","Resource":"*"`), "Has prohibited field Resource."},
		{of2012(`"Effect":"Allow","Action":"sts:AssumeRole","Principal":"*","NotResource":[]`), "Has prohibited field Resource."},
		{of2012(`"Sid":"a b","Effect":"Allow","Action":"sts:AssumeRole","Principal":"*"`), saySid},
	} {
		saves(t, "trust", policy.Trust, test.text, test.want, "")
	}
	for _, text := range []string{
		`{"Version":"2008-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"sts:assumerole"}}`,
		`{"Statement":{"Effect":"Allow","Principal":{"AWS":["*","123456789012","arn:aws:iam::123456789012:root","AROATESTTESTTESTTEST0"]},"Action":["sts:*","*"]}}`,
		trust(`{"AWS":["arn:aws:iam::123456789012:role/a/b","arn:aws:iam::123456789012:user/u","arn:aws:sts::123456789012:assumed-role/r/s","arn:aws:sts::123456789012:federated-user/f"]}`),
		trust(`{"Federated":["accounts.google.com","cognito-identity.amazonaws.com","arn:aws:iam::123456789012:oidc-provider/a.b/c","arn:aws:iam::123456789012:saml-provider/p"],"Service":["ec2.amazonaws.com"],"CanonicalUser":"79a5"}`),
		of2012(`"Effect":"Deny","NotPrincipal":{"AWS":"123456789012"},"Action":["sts:AssumeRole","sts:TagSession","sts:SetSourceIdentity","sts:SetContext","sts:GetCallerIdentity"]`),
	} {
		if _, err := policy.Parse(policy.Trust, text); err != nil {
			t.Errorf("%v\n%s", err, text)
		}
	}
}

// TestSaveResource: resource policies need a principal; their services say what their
// resources are, and what a Sid may be.
// Source: IUG, "Grammar of the IAM JSON policy language".
func TestSaveResource(t *testing.T) {
	saves(t, "resource", policy.Resource, of2012(allowS3), "Missing required field Principal", "")
	saves(t, "resource", policy.Resource, of2012(`"Effect":"Allow","Principal":"*","Action":"s3:x"`), sayResources, "")
	saves(t, "resource", policy.Resource, of2012(`"Effect":"Allow","Principal":"*","Action":"x","Resource":"*"`), sayVendor, "")
	saves(t, "resource", policy.Resource, of2012(`"Effect":"Allow","NotPrincipal":{"AWS":"*"},"Action":"s3:x","Resource":"*"`), "Allow with NotPrincipal is not supported.", "")
	for _, text := range []string{
		`{"Version":"2008-10-17","Statement":{"Sid":"any text: Ω","Effect":"Deny","NotPrincipal":{"AWS":"123456789012"},"Action":"s3:x","Resource":"bucket"}}`,
		of2012(`"Effect":"Allow","Principal":{"CanonicalUser":"79a5","Service":"s3.amazonaws.com"},"NotAction":"s3:x","NotResource":"arn:aws:s3::b"`),
	} {
		if _, err := policy.Parse(policy.Resource, text); err != nil {
			t.Errorf("%v\n%s", err, text)
		}
	}
}
