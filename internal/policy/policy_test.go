package policy_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/latchwork/latchwork/internal/identity"
	"github.com/latchwork/latchwork/internal/policy"
)

// A case is a request and what a policy says of it, as it is written in testdata.
type testCase struct {
	Name      string              `json:"name"`
	Principal string              `json:"principal"` // a name of principals
	Action    string              `json:"action"`
	Resource  string              `json:"resource"`
	Keys      map[string][]string `json:"keys"`
	Boundary  bool                `json:"boundary"`
	Want      string              `json:"want"` // allow, explicit deny, no match
}

const account = "123456789012"

// principals are the callers of the cases.
var principals = map[string]*identity.Principal{
	"anonymous": {},
	"user": {
		Kind: identity.User, Account: account, ARN: "arn:aws:iam::" + account + ":user/alice",
		IssuerARN: "arn:aws:iam::" + account + ":user/alice", IssuerID: "AIDAALICEALICEALICE00", UserID: "AIDAALICEALICEALICE00", Name: "alice",
	},
	"session": {
		Kind: identity.AssumedRole, Account: account, ARN: "arn:aws:sts::" + account + ":assumed-role/rates-client/s1",
		IssuerARN: "arn:aws:iam::" + account + ":role/rates-client", IssuerID: "AROARATESRATESRATES00", Name: "rates-client",
		UserID: "AROARATESRATESRATES00:s1", Session: &identity.Session{Name: "s1"},
	},
	"stranger": {
		Kind: identity.AssumedRole, Account: "999999999999", ARN: "arn:aws:sts::999999999999:assumed-role/rates-client/s1",
		IssuerARN: "arn:aws:iam::999999999999:role/rates-client", IssuerID: "AROASTRANGERSTRANGER0", Name: "rates-client",
		UserID: "AROASTRANGERSTRANGER0:s1", Session: &identity.Session{Name: "s1"},
	},
	"root":      {Kind: identity.Root, Account: account, ARN: "arn:aws:iam::" + account + ":root", IssuerARN: "arn:aws:iam::" + account + ":root", IssuerID: account},
	"federated": {Kind: identity.FederatedUser, Account: account, ARN: "arn:aws:sts::" + account + ":federated-user/bob", IssuerARN: "arn:aws:iam::" + account + ":user/alice", IssuerID: "AIDAALICEALICEALICE00", Session: &identity.Session{}},
	"service":   {Kind: identity.Service, Name: "ec2.amazonaws.com"},
}

var kinds = map[string]policy.Kind{
	"identity": policy.Identity, "boundary": policy.Boundary, "session": policy.Session, "trust": policy.Trust,
	"auth": policy.AuthPolicy, "resource": policy.Resource, "scp": policy.ServiceControl,
}

// fataler is a test or one run of a property.
type fataler interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

func compile(t fataler, kind policy.Kind, text string) *policy.Compiled {
	t.Helper()
	d, err := policy.Parse(kind, text)
	if err != nil {
		t.Fatalf("%s\n%v", text, err)
	}
	c, err := policy.Compile(d)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func documentOf(statements []string) string {
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
}

// TestRules runs the cases of testdata: each file is a rule of AWS's, with its
// source in the comment, a policy and requests.
func TestRules(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files of cases, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			a := txtar.Parse(text)
			if !strings.Contains(string(a.Comment), "Source:") {
				t.Error("the rule names no source")
			}
			for i := 0; i+1 < len(a.Files); i += 2 {
				kind, ok := kinds[strings.TrimSuffix(filepath.Base(a.Files[i].Name), ".json")]
				if !ok {
					t.Fatalf("file %s is named for no kind of policy", a.Files[i].Name)
				}
				c := compile(t, kind, string(a.Files[i].Data))
				var cases []testCase
				if err := json.Unmarshal(a.Files[i+1].Data, &cases); err != nil {
					t.Fatalf("%s: %v", a.Files[i+1].Name, err)
				}
				for _, tc := range cases {
					run(t, c, tc)
				}
			}
		})
	}
}

func run(t *testing.T, c *policy.Compiled, tc testCase) {
	t.Helper()
	keys := policy.MapKeys{}
	for name, values := range tc.Keys {
		keys.Set(name, values...)
	}
	who := principals[tc.Principal]
	if who == nil {
		who = principals["session"]
	}
	r := &policy.Request{Principal: who, Action: tc.Action, Resource: tc.Resource, Keys: keys, HasBoundary: tc.Boundary}
	if r.Action == "" {
		r.Action = "vpc-lattice-svcs:Invoke"
	}
	if r.Resource == "" {
		r.Resource = "arn:aws:vpc-lattice:us-west-2:" + account + ":service/svc-0123456789abcdef0/rates"
	}
	if got := c.Match(r).Verdict.String(); got != tc.Want {
		t.Errorf("%s: %s, want %s\n%s", tc.Name, got, tc.Want, explain(c, r))
	}
}

func explain(c *policy.Compiled, r *policy.Request) string {
	out, _ := json.MarshalIndent(c.Explain(r), "", " ")
	return string(out)
}

func TestParseErrors(t *testing.T) {
	statement := func(s string) string { return `{"Version":"2012-10-17","Statement":[{` + s + `}]}` }
	const auth = `"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"`
	for _, test := range []struct {
		name, text string
		kind       policy.Kind
		want       string
		line       int
	}{
		{"no JSON", `{"Statement":`, policy.AuthPolicy, "Policy is not valid JSON", 1},
		{"text after the end", statement(auth) + "x", policy.AuthPolicy, "Policy is not valid JSON", 1},
		{"two documents", statement(auth) + statement(auth), policy.AuthPolicy, "Policy is not valid JSON", 1},
		{"element twice", "{\n\"Version\":\"2012-10-17\",\n\"Version\":\"2012-10-17\"}", policy.AuthPolicy, "Policy is not valid JSON", 3},
		{"not an object", `[]`, policy.AuthPolicy, "JSON object", 1},
		{"byte order mark", "\ufeff" + statement(auth), policy.AuthPolicy, "U+FEFF", 1},
		{"control character", "{\"Version\":\"2012-10-17\x01\"}", policy.AuthPolicy, "U+0001", 1},
		{"unknown element", `{"Version":"2012-10-17","Conditions":{},"Statement":[]}`, policy.AuthPolicy, "unsupported element Conditions", 1},
		{"version", `{"Version":"2012-10-18","Statement":[]}`, policy.AuthPolicy, "Version must be", 1},
		{"no statement", `{"Version":"2012-10-17"}`, policy.AuthPolicy, "at least one statement", 1},
		{"empty statements", `{"Statement":[]}`, policy.AuthPolicy, "at least one statement", 1},
		{"statement of another type", `{"Statement":"x"}`, policy.AuthPolicy, "must be an object", 1},
		{"unknown element of a statement", statement(auth + `,"Resources":"*"`), policy.AuthPolicy, "no element Resources", 1},
		{"effect", statement(`"Effect":"Permit","Principal":"*","Action":"*","Resource":"*"`), policy.AuthPolicy, "Effect must be Allow or Deny", 1},
		{"effect in lower case", statement(`"Effect":"allow","Action":"a:b","Resource":"*"`), policy.Identity, "legacy parsing", 1},
		{"no effect", statement(`"Principal":"*","Action":"*","Resource":"*"`), policy.AuthPolicy, "Effect must be", 1},
		{"no principal", statement(`"Effect":"Allow","Action":"*","Resource":"*"`), policy.AuthPolicy, "must contain a Principal", 1},
		{"both principals", statement(`"Effect":"Deny","Principal":"*","NotPrincipal":"*","Action":"*","Resource":"*"`), policy.AuthPolicy, "not both", 1},
		{"allow with NotPrincipal", statement(`"Effect":"Allow","NotPrincipal":{"AWS":"123456789012"},"Action":"*","Resource":"*"`), policy.AuthPolicy, "only be used with the effect Deny", 1},
		{"wildcard in a principal", statement(`"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:role/*"},"Action":"*","Resource":"*"`), policy.AuthPolicy, "wildcard", 1},
		{"principal of no type", statement(`"Effect":"Allow","Principal":{"Azure":"x"},"Action":"*","Resource":"*"`), policy.AuthPolicy, "Azure", 1},
		{"principal no ARN", statement(`"Effect":"Allow","Principal":{"AWS":"bob"},"Action":"*","Resource":"*"`), policy.AuthPolicy, "Invalid principal", 1},
		{"account id alone, elsewhere", statement(`"Effect":"Allow","Principal":"123456789012","Action":"*","Resource":"*"`), policy.Resource, "Syntax errors in policy.", 1},
		{"action of another service", statement(`"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"*"`), policy.AuthPolicy, "vpc-lattice-svcs", 1},
		{"no action", statement(`"Effect":"Allow","Principal":"*","Resource":"*"`), policy.AuthPolicy, "neither Action nor NotAction", 1},
		{"no resource", statement(`"Effect":"Allow","Principal":"*","Action":"*"`), policy.AuthPolicy, "neither Resource nor NotResource", 1},
		{"resource of no form", statement(`"Effect":"Allow","Principal":"*","Action":"*","Resource":"svc-1"`), policy.AuthPolicy, "Invalid resource", 1},
		{"unknown operator", statement(auth + `,"Condition":{"StringSame":{"aws:x":"y"}}`), policy.AuthPolicy, "no operator StringSame", 1},
		{"key without prefix", statement(auth + `,"Condition":{"StringEquals":{"x":"y"}}`), policy.AuthPolicy, "has no prefix", 1},
		{"bad range", statement(auth + `,"Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/40"}}`), policy.AuthPolicy, "no IP address", 1},
		{"bad date", statement(auth + `,"Condition":{"DateLessThan":{"aws:CurrentTime":"tomorrow"}}`), policy.AuthPolicy, "no date", 1},
		{"condition value an object", statement(auth + `,"Condition":{"StringEquals":{"aws:x":{}}}`), policy.AuthPolicy, "strings, numbers or booleans", 1},
		{"Sid twice", `{"Version":"2012-10-17","Statement":[{"Sid":"a",` + auth + `},{"Sid":"a",` + auth + `}]}`, policy.AuthPolicy, "Statement IDs must be unique", 1},

		{"identity with principal", statement(auth), policy.Identity, "should not specify a principal", 1},
		{"identity of 2008", `{"Version":"2008-10-17","Statement":{"Effect":"Allow","Action":"a:b","Resource":"*"}}`, policy.Identity, "must be version 2012-10-17 or greater.", 1},
		{"identity without version", `{"Statement":{"Effect":"Allow","Action":"a:b","Resource":"*"}}`, policy.Identity, "must be version 2012-10-17 or greater.", 1},
		{"identity, action without vendor", statement(`"Effect":"Allow","Action":"Invoke","Resource":"*"`), policy.Identity, "prefaced by a vendor", 1},
		{"identity, vendor with wildcard", statement(`"Effect":"Allow","Action":"s*:Get","Resource":"*"`), policy.Identity, "Vendor s* is not valid", 1},
		{"identity, two colons", statement(`"Effect":"Allow","Action":"a:b:c","Resource":"*"`), policy.Identity, "only one colon", 1},
		{"identity, resource no ARN", statement(`"Effect":"Allow","Action":"a:b","Resource":"bucket"`), policy.Identity, "must be in ARN format", 1},
		{"identity, empty actions", statement(`"Effect":"Allow","Action":[],"Resource":"*"`), policy.Identity, "must contain actions.", 1},
		{"trust with resource", statement(`"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole","Resource":"*"`), policy.Trust, "prohibited field Resource", 1},
		{"trust, another action", statement(`"Effect":"Allow","Principal":"*","Action":"s3:GetObject"`), policy.Trust, "can only be sts:AssumeRole", 1},
		{"trust, no JSON", `{`, policy.Trust, "invalid Json", 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := policy.Parse(test.kind, test.text)
			var bad *policy.Error
			if !errors.As(err, &bad) {
				t.Fatalf("accepted: %v", err)
			}
			if !strings.Contains(bad.Error(), test.want) || bad.Line != test.line {
				t.Errorf("%v, want %q in line %d", bad, test.want, test.line)
			}
		})
	}
}

func TestAccepted(t *testing.T) {
	for _, test := range []struct {
		kind policy.Kind
		text string
	}{
		{policy.AuthPolicy, `{"Statement":{"Effect":"Allow","Principal":"123456789012","Action":"vpc-lattice-svcs:*","Resource":"*/rates"}}`},
		{policy.AuthPolicy, `{"Version":"2008-10-17","Id":"x","Statement":[{"Sid":"a b","Effect":"Deny","NotPrincipal":{"AWS":["arn:aws:iam::123456789012:root"]},"NotAction":["vpc-lattice-svcs:Connect"],"NotResource":"arn:aws:vpc-lattice:us-west-2:1234567890:service/svc-0123456789abcdef0/rates"}]}`},
		{policy.AuthPolicy, `{"Statement":[{"Effect":"Allow","Principal":{"Service":"x.amazonaws.com","Federated":"y"},"Action":"*","Resource":"*","Condition":{"Unknown":{},"NumericLessThan":{"vpc-lattice-svcs:Port":81},"Bool":{"aws:SecureTransport":true}}}]}`},
		{policy.Trust, `{"Version":"2008-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":["sts:AssumeRole","sts:TagSession"]}]}`},
		{policy.Identity, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":["arn:aws:s3:::b/*",null]}]}`},
	} {
		if _, err := policy.Parse(test.kind, test.text); err != nil {
			t.Errorf("%s\n%v", test.text, err)
		}
	}
}

func TestCompactAndNewlines(t *testing.T) {
	const pretty = "{ \"b\" : 1.50,\r\n \"a\": \"x\\u0041 \\n\" }\n\n"
	got, err := policy.Compact(pretty)
	if want := `{"b":1.50,"a":"x\u0041 \n"}`; err != nil || got != want {
		t.Errorf("compact: %q, %v; want %q", got, err, want)
	}
	if at, found := policy.FindNewline(pretty); !found || at != 13 {
		t.Errorf("newline at %d, %t; want 13", at, found)
	}
	if _, found := policy.FindNewline("{}\n \r\n"); found {
		t.Error("a newline after the closing brace counts")
	}
	if _, err := policy.Compact(`{"a":1,"a":2}`); err == nil {
		t.Error("a member twice is compacted")
	}
}

// TestWithPrincipals: principals change, and nothing else does, wherever the same
// text is and however it is written.
func TestWithPrincipals(t *testing.T) {
	const text = `{"Version":"2012-10-17","Id":"arn:aws:iam::1:user/a" , "Statement":[
  {"Effect":"Allow","Principal":{"AWS":["arn:aws:iam::1:user\/\u0061",  "*", "arn:aws:iam::1:user/b"],"Federated":"accounts.google.com"},"Action":"sts:AssumeRole"},
  {"Action":"sts:AssumeRole","Effect":"Deny","NotPrincipal":{"AWS":"arn:aws:iam::1:user/a"},"Condition":{"StringEquals":{"aws:PrincipalArn":"arn:aws:iam::1:user/a"}}},
  {"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"}]}`
	const want = `{"Version":"2012-10-17","Id":"arn:aws:iam::1:user/a" , "Statement":[
  {"Effect":"Allow","Principal":{"AWS":["A\"B",  "*", "arn:aws:iam::1:user/b"],"Federated":"accounts.google.com"},"Action":"sts:AssumeRole"},
  {"Action":"sts:AssumeRole","Effect":"Deny","NotPrincipal":{"AWS":"A\"B"},"Condition":{"StringEquals":{"aws:PrincipalArn":"arn:aws:iam::1:user/a"}}},
  {"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"}]}`
	document, err := policy.Parse(policy.Trust, text)
	if err != nil {
		t.Fatal(err)
	}
	got := document.WithPrincipals(func(name string) string {
		if name == "arn:aws:iam::1:user/a" {
			return `A"B`
		}
		return name
	})
	if got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}
