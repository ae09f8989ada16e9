package policy_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/latchwork/latchwork/internal/policy"
	"github.com/latchwork/latchwork/internal/policy/random"
	"github.com/latchwork/latchwork/internal/policy/reference"
)

// seeds calls add with the policies of testdata.
func seeds(f *testing.F, add func(kind policy.Kind, text string)) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		f.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for _, part := range txtar.Parse(text).Files {
			if kind, ok := kinds[strings.TrimSuffix(filepath.Base(part.Name), ".json")]; ok {
				add(kind, string(part.Data))
			}
		}
	}
}

// FuzzParse: an error is at a place of the text, and what parses is the same policy when
// it is written anew, by us or compacted.
func FuzzParse(f *testing.F) {
	seeds(f, func(_ policy.Kind, text string) { f.Add(text) })
	f.Add(`{"Version":"2012-10-17","Id":"\ud83d\ude00","Statement":{"Sid":"","Effect":"Deny","NotPrincipal":{"AWS":["123456789012"],"Service":[]},"NotAction":["sts:*"],"NotResource":[null,"*"],"Condition":{"Bool":{"a:b":[true,1e5,"1e5"]},"x":{}}}}`)
	f.Fuzz(func(t *testing.T, text string) {
		for _, kind := range random.Kinds {
			d, err := policy.Parse(kind, text)
			if err != nil {
				var bad *policy.Error
				if !errors.As(err, &bad) || bad.Line < 1 || bad.Column < 1 || bad.Offset < 0 || bad.Offset > len(text) {
					t.Fatalf("%v at no place of the text", err)
				}
				lines := strings.SplitAfter(text, "\n")
				if bad.Line > len(lines) || bad.Column > 1+len(lines[bad.Line-1]) {
					t.Fatalf("line %d column %d of a text of %d lines", bad.Line, bad.Column, len(lines))
				}
				continue
			}
			policy.Lint(d)
			compact, err := policy.Compact(text)
			if err != nil {
				t.Fatalf("a policy that parses cannot be compacted: %v", err)
			}
			for _, other := range []string{compact, random.Text(d)} {
				again, err := policy.Parse(kind, other)
				if err != nil {
					t.Fatalf("%s does not parse: %v", other, err)
				}
				if diff := cmp.Diff(d, again, cmpopts.IgnoreFields(policy.Document{}, "Text"), cmpopts.IgnoreFields(policy.Statement{}, "Offset", "Untested"),
					cmpopts.IgnoreFields(policy.Text{}, "Offset"), cmpopts.IgnoreFields(policy.ConditionEntry{}, "Offset"),
					cmpopts.IgnoreFields(policy.PrincipalEntry{}, "Bare"), cmpopts.EquateEmpty()); diff != "" {
					t.Fatalf("%s is another policy: %s", other, diff)
				}
			}
		}
	})
}

// held holds the engine against the reference on one request, in its explanation too.
func held(t *testing.T, d *policy.Document, r *reference.Request) {
	t.Helper()
	c, err := policy.Compile(d)
	if err != nil {
		t.Fatal(err)
	}
	want, got := reference.Evaluate(d, *r), c.Match(random.Query(r))
	if got != want {
		t.Fatalf("decided %+v, by the reference %+v\n%s\n%s", got, want, d.Text, asked(r))
	}
	if err := explains(c, d, r, got); err != nil {
		t.Fatal(err)
	}
}

// sent is a value as a request may have it. A byte that belongs to no text is as good as
// another: half a character next to the other half would be one, and where it begins is
// another question.
func sent(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if r == utf8.RuneError {
			b.WriteByte(0xFF)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// FuzzEvaluate: any document and any request.
func FuzzEvaluate(f *testing.F) {
	seeds(f, func(kind policy.Kind, text string) {
		f.Add(uint8(kind), text, uint8(9), "vpc-lattice-svcs:Invoke", "arn:aws:vpc-lattice:us-west-2:123456789012:service/svc-1/rates", "GET", "a", true)
	})
	for n := range uint64(20) {
		m := random.NewMaker(1, n)
		d := m.Document(random.Kinds[n%7])
		r, _ := m.Request(d)
		f.Add(uint8(d.Kind), random.Text(d), uint8(n), r.Action, r.Resource, "a", "10.1.2.3", n%2 == 0)
	}
	f.Fuzz(func(t *testing.T, kind uint8, text string, who uint8, action, resource, one, another string, twice bool) {
		if kind < uint8(policy.Identity) || kind > uint8(policy.ServiceControl) || len(text) > 8192 || max(len(action), len(resource), len(one), len(another)) > 200 {
			return
		}
		d, err := policy.Parse(policy.Kind(kind), text)
		if err != nil {
			return
		}
		r := &reference.Request{
			Principal: random.Callers[int(who)%len(random.Callers)], Action: action, Resource: sent(resource), Keys: map[string][]string{}, Boundary: who > 127,
		}
		values := []string{sent(one), sent(another)}
		for _, s := range d.Statements {
			for _, c := range s.Conditions {
				switch n := len(r.Keys) % 4; {
				case n < 2:
					r.Keys[policy.ParseKey(c.Key).Name] = values[n : n+1]
				case twice:
					r.Keys[policy.ParseKey(c.Key).Name] = values
				}
			}
		}
		held(t, d, r)
	})
}

// allowIf is a policy that allows what fulfils a condition.
func allowIf(t *testing.T, operator, key, operand string) (*policy.Document, bool) {
	t.Helper()
	quoted, err := json.Marshal(operand)
	if err != nil {
		t.Fatal(err)
	}
	d, err := policy.Parse(policy.AuthPolicy, `{"Version":"2012-10-17","Statement":[
{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{"`+operator+`":{"`+key+`":`+string(quoted)+`}}},
{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*","Condition":{"`+operator+`":{"`+key+`":`+string(quoted)+`,"my:gate":"x"}}}]}`)
	return d, err == nil
}

// FuzzVariables: any text with variables, in a condition and in a resource, and any
// values of theirs.
func FuzzVariables(f *testing.F) {
	for i, operand := range []string{
		"${aws:username}", "x${aws:username}*${my:a}", "${aws:username, 'a'}", "${my:absent, 'it's}'}", "${a, '}x'}", "${", "${}", "${*}${?}${$}", "${ aws:username ,'b' }",
		"arn:aws:iam::${my:a}:role/${aws:username}", "${my:list}", "${aws:TagKeys}", "${my:a,}", "${my:a, '}", "${${my:a}}", "${my:absent, '${my:a}'}", "$${my:a}", "${my:a\u212a}",
	} {
		f.Add(uint8(i), operand, "a", "b:c", "*", false)
	}
	operators := []string{
		"StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringLike", "StringNotLike", "ArnLike", "ArnNotEquals", "Bool",
		"ForAllValues:StringLike", "ForAnyValue:StringNotLike",
	}
	f.Fuzz(func(t *testing.T, operator uint8, operand, a, b, value string, twice bool) {
		if len(operand) > 200 || max(len(a), len(b), len(value)) > 100 {
			return
		}
		r := &reference.Request{Principal: random.Callers[0], Action: "vpc-lattice-svcs:Invoke", Resource: sent(value), Keys: map[string][]string{
			"aws:username": {sent(a)}, "my:a": {sent(b)}, "my:key": {sent(value)}, "aws:TagKeys": {"a"}, "my:gate": {"x"},
		}}
		if twice {
			r.Keys["my:a"] = []string{sent(a), sent(b)}
		}
		if d, ok := allowIf(t, operators[int(operator)%len(operators)], "my:key", operand); ok {
			held(t, d, r)
		}
		resource, err := json.Marshal("arn:aws:x:::" + operand)
		if err != nil {
			t.Fatal(err)
		}
		for _, kind := range []policy.Kind{policy.Identity, policy.AuthPolicy} {
			principal := ""
			if kind == policy.AuthPolicy {
				principal = `"Principal":"*",`
			}
			for _, element := range []string{`"Effect":"Allow","Resource"`, `"Effect":"Allow","NotResource"`, `"Effect":"Deny","NotResource"`} {
				d, err := policy.Parse(kind, `{"Version":"2012-10-17","Statement":{`+principal+`"Action":"*",`+element+`:`+string(resource)+`}}`)
				if err == nil {
					r.Resource = "arn:aws:x:::" + sent(value)
					held(t, d, r)
				}
			}
		}
	})
}

// FuzzValues: any operand and any value of the operators that compare numbers, dates,
// addresses, bytes, ARNs and truth values.
func FuzzValues(f *testing.F) {
	operators := slices.DeleteFunc(slices.Clone(random.Qualified), func(o string) bool { return strings.Contains(o, "String") })
	for i, pair := range [][2]string{
		{"5", "5.0"},
		{"-0", "+0.00"},
		{".5", "0.50"},
		{"5.", "05"},
		{"9007199254740993", "9007199254740992.9999"},
		{"1e3", "1000"},
		{"2026-01-01T00:00:00Z", "1767225600"},
		{"2026-01-01", "2026-01-01T01:00:00+01:00"},
		{"1767225600.5", "2026-01-01T00:00:00.500000000999Z"},
		{"9223372036854775807", "9999-12-31"},
		{"-1", "0001-01"},
		{"2026-1-1t1:1", "2026-01-01T01:01"},
		{"2026-01-01T00:00:00,5Z", "2026-01-01T0:00:00Z"},
		{"10.0.0.0/8", "::ffff:10.1.2.3"},
		{"::ffff:10.0.0.0/104", "10.255.255.255"},
		{"::ffff:0:0/90", "10.1.2.3"},
		{"fe80::/10", "fe80::1%eth0"},
		{"::/0", "0.0.0.0"},
		{"0.0.0.0/0", "::"},
		{"YQ==", "YQ"},
		{"true", "TRUE"},
		{"arn:aws:iam::1:role/*", "arn:aws:iam::1:role/a:b"},
	} {
		for j := range 4 {
			f.Add(uint8(i*7+j*31), pair[0], pair[1], j > 1)
		}
	}
	f.Fuzz(func(t *testing.T, operator uint8, operand, value string, list bool) {
		if max(len(operand), len(value)) > 100 {
			return
		}
		key := "my:key"
		if list {
			key = "aws:TagKeys"
		}
		if d, ok := allowIf(t, operators[int(operator)%len(operators)], key, operand); ok {
			held(t, d, &reference.Request{Principal: random.Callers[0], Action: "vpc-lattice-svcs:Invoke", Resource: "x", Keys: map[string][]string{key: {sent(value)}, "my:gate": {"x"}}})
		}
	})
}
