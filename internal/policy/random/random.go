// Package random makes random policies and requests for tests. A request is made
// for a policy: its values are the policy's own, their neighbours, and what has nothing
// to do with them, so that about half of all elements and conditions hold.
package random

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"unicode/utf16"

	"github.com/latchwork/latchwork/internal/policy"
	"github.com/latchwork/latchwork/internal/policy/reference"
)

// Maker makes policies and requests; the same seed makes the same ones.
type Maker struct{ *rand.Rand }

// NewMaker makes a Maker.
func NewMaker(seed, sequence uint64) *Maker {
	return &Maker{rand.New(rand.NewPCG(seed, sequence))}
}

// Pick is one of several.
func Pick[T any](m *Maker, from ...T) T { return pick(m, from...) }

func pick[T any](m *Maker, from ...T) T { return from[m.IntN(len(from))] }

// chance is true in percent of all cases.
func (m *Maker) chance(percent int) bool { return m.IntN(100) < percent }

// Kinds are all kinds of policy.
var Kinds = []policy.Kind{
	policy.Identity, policy.Boundary, policy.Session, policy.Trust, policy.AuthPolicy, policy.Resource, policy.ServiceControl,
}

// Named tells whether statements of a kind name who they are for.
func Named(kind policy.Kind) bool {
	return kind == policy.Trust || kind == policy.AuthPolicy || kind == policy.Resource
}

// Document makes a policy that is legal for its kind, of one statement to a dozen and
// now and then of more than a hundred.
func (m *Maker) Document(kind policy.Kind) *policy.Document {
	d := &policy.Document{Kind: kind, Version: "2012-10-17"}
	if Named(kind) && m.chance(12) {
		d.Version = pick(m, "", "2008-10-17")
	}
	n, long := 1+m.IntN(4), style{}
	switch {
	case m.chance(1):
		n, long = 100+m.IntN(60), style{m.chance(50), m.chance(50), m.chance(50)}
		if m.chance(10) { // Conditions that many statements have are many then, too.
			n = 500
		}
	case m.chance(20):
		n = 5 + m.IntN(8)
	}
	for i := range n {
		// The more statements, the fewer of them deny, or nothing would be allowed.
		s := m.statement(d, !m.chance(80/(n+2)), long)
		s.Index = i
		d.Statements = append(d.Statements, s)
	}
	return d
}

// style says of a long document what nearly each of its statements has for itself, and
// so can be found by.
type style struct{ callers, actions, resources bool }

// Statement makes one more statement for a document.
func (m *Maker) Statement(d *policy.Document, allow bool) policy.Statement {
	return m.statement(d, allow, style{})
}

func (m *Maker) statement(d *policy.Document, allow bool, long style) policy.Statement {
	s := policy.Statement{Allow: allow}
	if Named(d.Kind) {
		entries := m.principals(d.Kind, long.callers)
		if !s.Allow && m.chance(25) {
			s.NotPrincipals = entries
		} else {
			s.Principals = entries
		}
	}
	if actions := texts(m.some(func() string { return m.action(d.Kind, long.actions) })); d.Kind != policy.Trust && m.chance(8) {
		s.NotActions = actions
	} else {
		s.Actions = actions
	}
	if d.Kind != policy.Trust {
		if resources := texts(m.some(func() string { return m.resource(d.Kind, long.resources) })); m.chance(10) {
			s.NotResources = resources
		} else {
			s.Resources = resources
		}
	}
	for range m.conditionCount(s.Allow) {
		c := m.condition()
		if len(d.Statements) > 0 && m.chance(30) {
			// One of an earlier statement, whole or with other values.
			if earlier := pick(m, d.Statements...).Conditions; len(earlier) > 0 {
				c = pick(m, earlier...)
				if m.chance(40) {
					c.Values = texts(m.operands(c.Operator))
				}
			}
		}
		if !slices.ContainsFunc(s.Conditions, func(o policy.ConditionEntry) bool { return o.Operator == c.Operator && o.Key == c.Key }) {
			s.Conditions = append(s.Conditions, c)
		}
	}
	// In a document those of one operator stand together.
	slices.SortStableFunc(s.Conditions, func(a, b policy.ConditionEntry) int { return strings.Compare(a.Operator, b.Operator) })
	return s
}

func (m *Maker) conditionCount(allow bool) int {
	n := pick(m, 0, 0, 1, 1, 1, 1, 2, 2, 2, 3)
	if !allow && n == 0 && m.chance(80) {
		n = 1
	}
	return n
}

// some calls one a few times, and now and then many.
func (m *Maker) some(one func() string) []string {
	n := pick(m, 1, 1, 1, 2, 3)
	if m.chance(1) {
		n = 10 + m.IntN(10)
	}
	out := make([]string, n)
	for i := range out {
		out[i] = one()
	}
	return out
}

func texts(list []string) []policy.Text {
	out := make([]policy.Text, len(list))
	for i, t := range list {
		out[i].Text = t
	}
	return out
}

func (m *Maker) action(kind policy.Kind, many bool) string {
	switch kind {
	case policy.AuthPolicy:
		return pick(m, "*", "vpc-lattice-svcs:*", "vpc-lattice-svcs:Invoke", "vpc-lattice-svcs:Invoke", "VPC-Lattice-SVCS:invoke",
			"vpc-lattice-svcs:Conn*", "vpc-lattice-svcs:?nvoke", "vpc-lattice-svcs:I*v*", "vpc-lattice-svcs:Invoke ")
	case policy.Trust:
		return pick(m, "*", "sts:*", "sts:AssumeRole", "sts:AssumeRole", "STS:assumerole", "sts:AssumeRoleWithWebIdentity", "sts:TagSession")
	}
	if many && m.chance(95) {
		return fmt.Sprintf("%s%d:%s%d", pick(m, "svc", "Svc"), m.IntN(12), pick(m, "Get", "Put*", "L?st"), m.IntN(5))
	}
	return pick(m, "*", "*:*", "s3:*", "s3:GetObject", "s3:GetObject", "S3:getobject", "s3:Get*", "s3:?etObject", "s3:*Object", "s3:G*t*",
		"*:GetObject", "ec2:RunInstances", "ec2:*", "iam:Pass*", "s3-outposts:GetObject", "s3:a,s3:b", "s3: GetObject", "vpc-lattice-svcs:Invoke")
}

func (m *Maker) resource(kind policy.Kind, many bool) string {
	if m.chance(20) && (!many || m.chance(10)) {
		return "*"
	}
	if kind == policy.AuthPolicy {
		return m.authResource(many)
	}
	switch {
	case m.chance(6):
		return pick(m, "arn:aws:s3", "arn:aws:sqs:*", "arn:aws:*", "arn:aws:s3:::*", "arn:aws:sqs:us-*", "arn:*:sqs:*", "arn:*:sqs", "arn:aws:vpc-lattice:*:*")
	case kind == policy.Resource && m.chance(8):
		return pick(m, "arn:aws", "arn:*", "x", "x*", "", "arn:a?s:s3:us-?:*", "arn:aws::::b", "arn:aws:s3::b*", "arn:*:s3")
	case many && m.chance(95):
		return fmt.Sprintf("arn:aws:s3:::bucket-%d/%s", m.IntN(30), m.path())
	}
	service, region := pick(m, "s3", "s3", "s3", "*", "s?", "vpc-lattice"), ""
	if service != "s3" { // Whose ARNs have none.
		region = pick(m, "", "", "us-east-1", "*", "us-*-1")
	}
	return "arn:" + pick(m, "aws", "aws", "aws", "*", "aws-cn") + ":" + service + ":" + region + ":" + pick(m, "", "", "", "*", own, "12345678901?") + ":" +
		pick(m, "b", "b", "b*", "*", "bucket-1", "b?") + m.path()
}

func (m *Maker) authResource(many bool) string {
	switch {
	case m.chance(20):
		return pick(m, "*/rates", "*/*", "*/??tes", "*es", "arn:*", "arn:aws:vpc-lattice:*", "arn:aws:vpc-lattice", "*/${aws:username}", "**/r*")
	case many && m.chance(95):
		return fmt.Sprintf("arn:aws:vpc-lattice:us-west-2:%s:service/svc-%d/%s", own, m.IntN(30), m.path())
	}
	return "arn:aws:vpc-lattice:" + pick(m, "us-west-2", "*", "us-?*-2") + ":" + pick(m, own, own, "*", "1234567890", "${aws:PrincipalAccount}") +
		":service/" + pick(m, "svc-1", "svc-1", "*", "svc-?") + "/" + m.path()
}

// path is the end of a resource.
func (m *Maker) path() string {
	var b strings.Builder
	for range 1 + m.IntN(3) {
		b.WriteString(pick(m, "a", "a", "a", "ab", "ab", "rates", "rates", "é", "*", "*", "*", "?", "/", ":", "${aws:username}", "${aws:PrincipalTag/team, 'blue'}", "${*}", "${?}", "${$}",
			"${my:absent}", "${", "${vpc-lattice-svcs:RequestHeader/x}", "${aws:PrincipalOrgPaths}", "${aws:username,'a}b'}"))
	}
	return b.String()
}

// Text is a document as JSON. It keeps all that a document says; its white space and
// the forms of its values are by no rule, so that parsers see them all.
func Text(d *policy.Document) string {
	var b strings.Builder
	b.WriteByte('{')
	if d.Version != "" {
		b.WriteString(`"Version":` + quote(d.Version) + ",")
	}
	if d.ID != "" {
		b.WriteString(`"Id":` + quote(d.ID) + ",")
	}
	b.WriteString(`"Statement":`)
	if len(d.Statements) != 1 || len(d.Statements[0].Actions) > 1 {
		b.WriteString("[\n")
	}
	for i := range d.Statements {
		if i > 0 {
			b.WriteString(",\n")
		}
		writeStatement(&b, &d.Statements[i])
	}
	if len(d.Statements) != 1 || len(d.Statements[0].Actions) > 1 {
		b.WriteByte(']')
	}
	b.WriteByte('}')
	return b.String()
}

func writeStatement(b *strings.Builder, s *policy.Statement) {
	b.WriteByte('{')
	if s.Sid != "" {
		b.WriteString(`"Sid":` + quote(s.Sid) + ",")
	}
	effect := "Deny"
	if s.Allow {
		effect = "Allow"
	}
	b.WriteString(`"Effect":"` + effect + `"`)
	writePrincipals(b, "Principal", s.Principals)
	writePrincipals(b, "NotPrincipal", s.NotPrincipals)
	for _, e := range []struct {
		name  string
		texts []policy.Text
	}{{"Action", s.Actions}, {"NotAction", s.NotActions}, {"Resource", s.Resources}, {"NotResource", s.NotResources}} {
		if e.texts != nil {
			b.WriteString(`,"` + e.name + `":` + oneOrMore(e.texts, quote))
		}
	}
	if len(s.Conditions) > 0 {
		b.WriteString(`,"Condition":{`)
		for i, c := range s.Conditions {
			switch {
			case i == 0:
				b.WriteString(quote(c.Operator) + ":{")
			case c.Operator == s.Conditions[i-1].Operator:
				b.WriteByte(',')
			default:
				b.WriteString("}, " + quote(c.Operator) + ":{")
			}
			b.WriteString(quote(c.Key) + ":" + oneOrMore(c.Values, scalar))
		}
		b.WriteString("}}")
	}
	b.WriteByte('}')
}

func writePrincipals(b *strings.Builder, element string, entries []policy.PrincipalEntry) {
	if entries == nil {
		return
	}
	b.WriteString(`,"` + element + `":`)
	if len(entries) == 1 && (entries[0].Bare || entries[0].Type == "*") {
		b.WriteString(quote(entries[0].Text.Text))
		return
	}
	b.WriteByte('{')
	for i := 0; i < len(entries); {
		end := i + 1
		for end < len(entries) && entries[end].Type == entries[i].Type {
			end++
		}
		if i > 0 {
			b.WriteByte(',')
		}
		var names []policy.Text
		for _, e := range entries[i:end] {
			names = append(names, e.Text)
		}
		b.WriteString(quote(entries[i].Type) + ":" + oneOrMore(names, quote))
		i = end
	}
	b.WriteByte('}')
}

func oneOrMore(list []policy.Text, form func(string) string) string {
	if len(list) == 1 && len(list[0].Text)%3 != 0 {
		return form(list[0].Text)
	}
	out := make([]string, len(list))
	for i, t := range list {
		out[i] = form(t.Text)
	}
	return "[" + strings.Join(out, ", ") + "]"
}

func quote(s string) string {
	out, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	var b strings.Builder
	for _, r := range string(out) {
		switch {
		case r > 0xFFFF:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		case r > 0xFF: // IAM takes such a character only escaped.
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// scalar writes a value of a condition; some of those that could be a number or a
// boolean are written as one.
func scalar(s string) string {
	if len(s)%2 == 0 && s != "" && s[0] != '"' && s[0] != '{' && s[0] != '[' && s != "null" && json.Valid([]byte(s)) && strings.TrimSpace(s) == s {
		return s
	}
	return quote(s)
}

// Parsed is a document after it was written and read: the policy of a test.
func Parsed(d *policy.Document) (*policy.Document, error) {
	text := Text(d)
	out, err := policy.Parse(d.Kind, text)
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, text)
	}
	return out, nil
}

// Keys are those of a request as the engine takes them.
func Keys(r *reference.Request) policy.MapKeys {
	keys := make(policy.MapKeys, len(r.Keys))
	for name, values := range r.Keys {
		keys.Set(name, values...)
	}
	return keys
}

// Query is a request as the engine takes it.
func Query(r *reference.Request) *policy.Request {
	return &policy.Request{Principal: r.Principal, Action: r.Action, Resource: r.Resource, Keys: Keys(r), HasBoundary: r.Boundary}
}

// Shrink makes a document smaller as long as it is one that differs: without a
// statement, an entry of an element, a condition or a value.
func Shrink(d *policy.Document, differs func(*policy.Document) bool) *policy.Document {
	for smaller := true; smaller; {
		smaller = false
		for _, candidate := range reductions(d) {
			if differs(candidate) {
				d, smaller = candidate, true
				break
			}
		}
	}
	return d
}

// reductions are a document without one of its parts.
func reductions(d *policy.Document) []*policy.Document {
	var out []*policy.Document
	with := func(statements []policy.Statement) {
		c := *d
		c.Statements = statements
		out = append(out, &c)
	}
	if len(d.Statements) > 1 {
		for i := range d.Statements {
			with(without(d.Statements, i))
		}
	}
	for i := range d.Statements {
		change := func(f func(*policy.Statement)) {
			statements := slices.Clone(d.Statements)
			statements[i].Conditions = slices.Clone(statements[i].Conditions)
			f(&statements[i])
			with(statements)
		}
		s := &d.Statements[i]
		for j := range s.Conditions {
			change(func(s *policy.Statement) { s.Conditions = without(s.Conditions, j) })
			for k := range s.Conditions[j].Values {
				change(func(s *policy.Statement) { s.Conditions[j].Values = without(s.Conditions[j].Values, k) })
			}
		}
		lists := []func(*policy.Statement) *[]policy.Text{
			func(s *policy.Statement) *[]policy.Text { return &s.Actions },
			func(s *policy.Statement) *[]policy.Text { return &s.NotActions },
			func(s *policy.Statement) *[]policy.Text { return &s.Resources },
			func(s *policy.Statement) *[]policy.Text { return &s.NotResources },
		}
		for _, list := range lists {
			for j := range *list(s) {
				if len(*list(s)) > 1 {
					change(func(s *policy.Statement) { *list(s) = without(*list(s), j) })
				}
			}
		}
		for _, list := range []func(*policy.Statement) *[]policy.PrincipalEntry{
			func(s *policy.Statement) *[]policy.PrincipalEntry { return &s.Principals },
			func(s *policy.Statement) *[]policy.PrincipalEntry { return &s.NotPrincipals },
		} {
			for j := range *list(s) {
				if len(*list(s)) > 1 {
					change(func(s *policy.Statement) { *list(s) = without(*list(s), j) })
				}
			}
		}
	}
	return out
}

func without[T any](list []T, i int) []T { return slices.Delete(slices.Clone(list), i, i+1) }
