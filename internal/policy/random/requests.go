package random

import (
	"maps"
	"slices"
	"strings"

	"github.com/latchwork/latchwork/internal/policy"
	"github.com/latchwork/latchwork/internal/policy/reference"
)

// Request makes a request for one of the statements of a document, and tells which.
func (m *Maker) Request(d *policy.Document) (r reference.Request, statement int) {
	statement = m.IntN(len(d.Statements))
	for range 2 { // Allows are asked for more often: a deny is found in passing.
		if s := &d.Statements[statement]; !s.Allow || len(s.Conditions) == 0 && m.chance(60) {
			statement = m.IntN(len(d.Statements))
		}
	}
	s := &d.Statements[statement]
	r = reference.Request{Principal: m.caller(s), Keys: map[string][]string{}, Boundary: m.chance(20)}
	for _, name := range []string{"aws:username", "aws:PrincipalTag/team", "vpc-lattice-svcs:RequestHeader/x", "vpc-lattice-svcs:RequestQueryString/Q", "aws:PrincipalArn"} {
		if m.chance(45) {
			r.Keys[name] = m.several(func() string { return pick(m, words...) })
		}
	}
	answered := map[string]bool{}
	for _, c := range s.Conditions {
		m.answer(&c, r.Keys)
		answered[canonical(c.Key)] = true
	}
	for range min(2, len(d.Statements)-1) {
		for _, c := range d.Statements[m.IntN(len(d.Statements))].Conditions {
			if !answered[canonical(c.Key)] {
				m.answer(&c, r.Keys)
			}
		}
	}
	r.Action = m.askedAction(d.Kind, s)
	r.Resource = m.askedResource(d.Kind, s, r.Keys)
	if m.chance(3) {
		// Names of keys have no case.
		for _, name := range slices.Sorted(maps.Keys(r.Keys)) {
			if !strings.Contains(name, "Query") {
				r.Keys[strings.ToUpper(name)] = r.Keys[name]
				delete(r.Keys, name)
			}
		}
	}
	return r, statement
}

// canonical is the spelling of a key as it is in singles and Lists.
func canonical(name string) string {
	for _, list := range [][]string{singles, Lists} {
		for _, k := range list {
			if strings.EqualFold(k, name) {
				return k
			}
		}
	}
	return name
}

// several makes one value, or two or three.
func (m *Maker) several(value func() string) []string {
	out := []string{value()}
	for m.chance(25) && len(out) < 3 {
		out = append(out, value())
	}
	return out
}

// answer gives the key of a condition values that have to do with its operands, or
// takes it away.
func (m *Maker) answer(c *policy.ConditionEntry, keys map[string][]string) {
	name := canonical(c.Key)
	if m.chance(26) {
		delete(keys, name)
		return
	}
	near := func() string {
		if len(c.Values) == 0 {
			return pick(m, strangers...)
		}
		return m.near(c.Operator, pick(m, c.Values...).Text, keys)
	}
	n := pick(m, 1, 1, 1, 2, 2, 3)
	if slices.Contains(Lists, name) {
		n = pick(m, 0, 1, 1, 2, 3)
	}
	values := make([]string, n)
	for i := range values {
		values[i] = near()
		if i > 0 && m.chance(30) {
			values[i] = values[0]
		}
	}
	keys[name] = values
}

// fill makes a text that a pattern matches: wildcards become some text, variables their
// values.
func (m *Maker) fill(pattern string, keys map[string][]string) string {
	var b strings.Builder
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; {
		case c == '*':
			b.WriteString(pick(m, "", "", "x", "a", "é", "a/b"))
		case c == '?':
			b.WriteString(pick(m, "x", "a", "é", "€"))
		case c == '$' && strings.HasPrefix(pattern[i:], "${"):
			end := strings.IndexByte(pattern[i:], '}')
			if end < 0 || m.chance(10) {
				b.WriteByte(c)
				continue
			}
			name := pattern[i+2 : i+end]
			i += end
			name, fallback, _ := strings.Cut(name, ",")
			switch values := keys[canonical(name)]; {
			case len(values) > 0:
				b.WriteString(pick(m, values...))
			case len(name) == 1:
				b.WriteString(name)
			default:
				b.WriteString(strings.Trim(fallback, " '"))
			}
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

func (m *Maker) askedAction(kind policy.Kind, s *policy.Statement) string {
	if len(s.Actions) > 0 && m.chance(95) {
		action := strings.TrimSpace(pick(m, s.Actions...).Text)
		switch {
		case action == "*" || action == "*:*":
		case m.chance(10):
			return strings.ToUpper(m.fill(action, nil))
		default:
			return m.fill(action, nil)
		}
	}
	switch kind {
	case policy.AuthPolicy:
		return pick(m, "vpc-lattice-svcs:Invoke", "vpc-lattice-svcs:Connect")
	case policy.Trust:
		return pick(m, "sts:AssumeRole", "sts:AssumeRoleWithWebIdentity", "sts:TagSession")
	}
	return pick(m, "s3:GetObject", "s3:PutObject", "ec2:RunInstances", "svc1:Get1", "iam:PassRole", "s3", "vpc-lattice-svcs:Invoke", "s3-outposts:GetObject")
}

func (m *Maker) askedResource(kind policy.Kind, s *policy.Statement, keys map[string][]string) string {
	if len(s.Resources) > 0 && m.chance(95) {
		if pattern := pick(m, s.Resources...).Text; pattern != "*" {
			for kind != policy.AuthPolicy && strings.Count(pattern, ":") < 5 && m.chance(90) {
				pattern += ":" + pick(m, "", "x")
			}
			resource := m.fill(pattern, keys)
			switch {
			case m.chance(5):
				return resource + pick(m, "x", "/", ":")
			case m.chance(1):
				return resource + strings.Repeat("/a", 30)
			}
			return resource
		}
	}
	if kind == policy.AuthPolicy {
		return pick(m, "arn:aws:vpc-lattice:us-west-2:"+own+":service/svc-1/rates", "arn:aws:vpc-lattice:us-west-2:"+own+":service/svc-2/a", "*")
	}
	return pick(m, "arn:aws:s3:::b/a", "arn:aws:s3:::bucket-1/ab", "*", "arn:aws:iam::"+own+":role/rates-client", "arn:aws:s3:::b:a/rates", "x", "arn:aws")
}
