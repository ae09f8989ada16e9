package policy_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/latchwork/latchwork/internal/policy"
)

func TestKindNames(t *testing.T) {
	for kind, want := range map[policy.Kind]string{
		policy.Identity: "identity policy", policy.Boundary: "permissions boundary", policy.Session: "session policy", policy.Trust: "trust policy",
		policy.AuthPolicy: "auth policy", policy.Resource: "resource policy", policy.ServiceControl: "service control policy", 0: "policy",
	} {
		if got := kind.String(); got != want {
			t.Errorf("kind %d is a %q, want %q", kind, got, want)
		}
	}
}

func TestErrorTexts(t *testing.T) {
	for _, test := range []struct {
		e               policy.Error
		text, explained string
	}{
		{policy.Error{Line: 2, Column: 3, Message: "No."}, "line 2 column 3: No.", "No."},
		{policy.Error{Line: 2, Column: 3, Message: "No.", Detail: "it is not"}, "line 2 column 3: No. (it is not)", "No. (it is not)"},
	} {
		if got := test.e.Error(); got != test.text {
			t.Errorf("%q, want %q", got, test.text)
		}
		if got := test.e.Explained(); got != test.explained {
			t.Errorf("explained %q, want %q", got, test.explained)
		}
	}
}

// TestExtent: where AWS's policy simulator says that statements are.
func TestExtent(t *testing.T) {
	const one, two = `{"Effect":"Allow","Action":"a:b","Resource":"*"}`, `{"Effect":"Deny","Action":"a:c","Resource":"*"}`
	for _, test := range []struct {
		text      string
		statement int
		want      string
	}{
		{`{"Version":"2012-10-17","Statement":` + one + `}`, 0, one[1:]},
		{`{"Version":"2012-10-17","Statement":[ ` + one + `, ` + two + `]}`, 0, " " + one},
		{`{"Version":"2012-10-17","Statement":[ ` + one + `, ` + two + `]}`, 1, ", " + two},
	} {
		d := compile(t, policy.Identity, test.text).Document()
		start, end := d.Extent(test.statement)
		if got := test.text[start:end]; got != test.want {
			t.Errorf("statement %d is %q, want %q", test.statement, got, test.want)
		}
		if line, column := d.Position(start); line != 1 || column != start+1 {
			t.Errorf("offset %d is line %d, column %d", start, line, column)
		}
	}
}

// TestContextKeys: the keys of conditions and of variables, each once, in the order and
// spelling of their first place.
// Source: IAM API Reference, GetContextKeysForCustomPolicy.
func TestContextKeys(t *testing.T) {
	const text = `{"Version":"VERSION","Statement":[
{"Effect":"Allow","Principal":"*","Action":"a:b","Resource":["arn:aws:s3:::${aws:username}/${*}${?}${$}/${S3:Prefix, 'x'}${","arn:aws:s3:::${}"],"Condition":{"StringLike":{"aws:PrincipalArn":["${AWS:UserName}","${my:a}"]}}},
{"Effect":"Deny","Principal":"*","Action":"a:b","NotResource":"*","Condition":{"Bool":{"aws:SecureTransport":false},"Null":{"s3:prefix":true}}}]}`
	for version, want := range map[string][]string{
		"2012-10-17": {"aws:username", "S3:Prefix", "aws:PrincipalArn", "my:a", "aws:SecureTransport"},
		"2008-10-17": {"aws:PrincipalArn", "aws:SecureTransport", "s3:prefix"},
	} {
		var got []string
		for _, key := range compile(t, policy.Resource, strings.Replace(text, "VERSION", version, 1)).Document().ContextKeys() {
			got = append(got, key.Text)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", version, got, want)
		}
	}
}

// TestRefused: what is wrong with a part of a document that other tests have right.
func TestRefused(t *testing.T) {
	for _, text := range []string{
		strings.Repeat("[", 40), `{"Version":"2012-10-17",`, `{"Version"`, `{`, `[`, `{"Statement":[`, `{"a`, `{a`, `{"Statement":{"Effect":"Allow","Principal":{"AWS":5},"Action":"*","Resource":"*"}}`,
		`{"Statement":{"Effect":"Allow","Principal":{"AWS":"AROAROAROAROAROaRO"},"Action":"*","Resource":"*"}}`,
		`{"Statement":{"Effect":"Allow","Principal":"12345678901x","Action":"*","Resource":"*"}}`,
	} {
		if d, err := policy.Parse(policy.AuthPolicy, text); err == nil {
			t.Errorf("%s is %+v", text, d)
		}
	}
}

// TestUnparsed: a document that no parser made allows nothing that it could not allow if
// one had.
func TestUnparsed(t *testing.T) {
	all := []policy.Text{{Text: "*"}}
	c, err := policy.Compile(&policy.Document{Kind: policy.AuthPolicy, Statements: []policy.Statement{
		{Allow: true, Actions: all, Resources: all, NotPrincipals: []policy.PrincipalEntry{{Type: "AWS", Text: policy.Text{Text: account}}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for name, who := range principals {
		if m := c.Match(&policy.Request{Principal: who, Action: "a:b", Resource: "x", Keys: policy.NoKeys{}}); m.Verdict != policy.NoMatch {
			t.Errorf("Allow with NotPrincipal: %s of %s", m.Verdict, name)
		}
	}
}

func TestTypes(t *testing.T) {
	for _, test := range []struct {
		kind  policy.Type
		value string
		ok    bool
	}{
		{policy.String, "x", true},
		{policy.Numeric, "5", true},
		{policy.Numeric, "x", false},
		{policy.Boolean, "TRUE", true},
		{policy.Boolean, "1", false},
		{policy.IP, "10.0.0.0/8", true},
		{policy.IP, "10", false},
		{policy.Binary, "YQ==", true},
		{policy.Binary, "YQ", false},
		{policy.Date, "2026-01-01", true},
		{policy.Date, "soon", false},
	} {
		if reason := test.kind.Check(test.value); (reason == "") != test.ok {
			t.Errorf("%q as %s: %q", test.value, test.kind, reason)
		}
	}
	for name, want := range map[string]bool{"aws:TagKeys": true, "aws:username": false} {
		if key := policy.ParseKey(name); key.IsList() != want {
			t.Errorf("%s is a list: %t", name, !want)
		}
	}
}

// TestMapKeys: a key is there with no value, one or several.
func TestMapKeys(t *testing.T) {
	keys := policy.MapKeys{}
	keys.Set("my:None")
	keys.Set("my:One", "a")
	keys.Set("my:Two", "a", "b")
	keys.Set("vpc-lattice-svcs:RequestQueryString/Two", "a", "b")
	keys.Set("aws:TagKeys", "a")
	for name, want := range map[string]policy.Values{
		"my:none": {}, "my:one": {One: "a"}, "my:two": {One: "a,b", Many: []string{"a", "b"}, Repeated: true},
		"vpc-lattice-svcs:requestquerystring/Two": {One: "a", Many: []string{"a", "b"}, Repeated: true}, "aws:tagkeys": {Many: []string{"a"}, List: true},
	} {
		key := policy.ParseKey(name)
		got, ok := keys.Lookup(&key)
		if !ok || got.One != want.One || !slices.Equal(got.Many, want.Many) || got.List != want.List || got.Repeated != want.Repeated {
			t.Errorf("%s is %+v, %t; want %+v", name, got, ok, want)
		}
		if _, ok := (policy.NoKeys{}).Lookup(&key); ok {
			t.Errorf("NoKeys has %s", name)
		}
	}
	for _, name := range []string{"my:three", "vpc-lattice-svcs:requestquerystring/two"} {
		if key := policy.ParseKey(name); keys[key.Name] != nil {
			t.Errorf("%s is there", name)
		}
	}
}
