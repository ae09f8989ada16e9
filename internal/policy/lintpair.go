package policy

import (
	"slices"
	"strings"
)

// together tells of conditions that no request can meet together.
func (l *linter) together(s *Statement) {
	all := lintedConditions(s)
	for i := range all {
		for j := range all[:i] {
			a, b := &all[j], &all[i]
			if a.key.Name != b.key.Name {
				continue
			}
			if a.Key != b.Key {
				l.find(s, b.Offset, "two-spellings", "write "+a.Key+" in both places", "%s and %s are one key", b.Key, a.Key)
			}
			if l.contradict(a, b) {
				l.find(s, b.Offset, "never-true", "put values of which any will do into one list, or make two statements of it",
					"%s and %s of %s cannot hold together, so the statement is about nothing", a.Operator, b.Operator, b.Key)
			}
		}
	}
}

// contradict tells whether two conditions on one key can never hold together. It is
// sure: what it cannot tell it takes for possible.
func (l *linter) contradict(a, b *lintedCondition) bool {
	if a.op.family == familyNull {
		return demandsAbsence(a) && demandsValue(b)
	}
	if b.op.family == familyNull {
		return demandsAbsence(b) && demandsValue(a)
	}
	// Of a list, or a key that comes several times, each condition can mean another value.
	one := a.op.set == noSet && b.op.set == noSet && !lists[a.key.Name] && !a.op.ifExists && !b.op.ifExists
	if !one || len(a.Values) == 0 || len(b.Values) == 0 || l.open(a) || l.open(b) {
		return false
	}
	switch {
	case a.op.negated && b.op.negated:
		return false
	case a.op.negated:
		a, b = b, a
		fallthrough
	case b.op.negated:
		return text(a.op.family) && text(b.op.family) && !slices.ContainsFunc(a.Values, func(v Text) bool {
			return wildcard(a, v) || !slices.ContainsFunc(b.Values, func(w Text) bool { return equals(b, w, v.Text) })
		})
	}
	for _, v := range a.Values {
		for _, w := range b.Values {
			if compatible(a, v, b, w) {
				return false
			}
		}
	}
	return true
}

func demandsAbsence(c *lintedCondition) bool {
	return c.op.set == noSet && says(c, "true") && !says(c, "false")
}

func demandsValue(c *lintedCondition) bool {
	if c.op.family == familyNull {
		return c.op.set == noSet && says(c, "false") && !says(c, "true")
	}
	return c.op.set == forAny || c.op.set == noSet && !c.op.negated && !c.op.ifExists
}

// open tells whether a value depends on the request.
func (l *linter) open(c *lintedCondition) bool {
	return l.doc.variables() && slices.ContainsFunc(c.Values, func(v Text) bool { return strings.Contains(v.Text, "${") })
}

// text tells whether operators of a family compare text.
func text(f family) bool {
	return f == familyString || f == familyStringFold || f == familyLike || f == familyARN
}

// wildcard tells whether a value stands for several texts.
func wildcard(c *lintedCondition, v Text) bool {
	return c.op.family == familyStringFold || (c.op.family == familyLike || c.op.family == familyARN) && strings.ContainsAny(v.Text, "*?")
}

// equals tells whether a condition's value matches a text, whatever the condition's sign.
func equals(c *lintedCondition, v Text, value string) bool {
	switch c.op.family {
	case familyStringFold:
		return strings.EqualFold(v.Text, value)
	case familyLike:
		return glob(v.Text, value, false)
	case familyARN:
		p := compileARN(v.Text)
		return p.match(value)
	}
	return v.Text == value
}

// compatible tells whether there may be a value that matches both.
func compatible(a *lintedCondition, v Text, b *lintedCondition, w Text) bool {
	switch {
	case text(a.op.family) && text(b.op.family):
		switch {
		case !wildcard(a, v):
			return equals(b, w, v.Text)
		case !wildcard(b, w):
			return equals(a, v, w.Text)
		}
		return a.op.family != familyStringFold || b.op.family != familyStringFold || equals(a, v, w.Text)
	case a.op.family != b.op.family:
		return true
	}
	switch a.op.family {
	case familyNumeric:
		m, _ := parseNumber(v.Text)
		n, _ := parseNumber(w.Text)
		return overlap(a.op.relation, b.op.relation, m.compare(n))
	case familyDate:
		m, _ := storedDate(v.Text)
		n, _ := storedDate(w.Text)
		return overlap(a.op.relation, b.op.relation, m.compare(n))
	case familyBool:
		return strings.EqualFold(v.Text, w.Text)
	case familyIP:
		m, _ := parseCIDR(v.Text)
		n, _ := parseCIDR(w.Text)
		return m.Overlaps(n)
	}
	return true
}

// overlap tells whether there is a value with one relation to x and another to y, of
// which it is known how x compares with y.
func overlap(toX, toY relation, x int) bool {
	switch {
	case toX == equal:
		return toY.holds(x)
	case toY == equal:
		return toX.holds(-x)
	case below(toX) == below(toY):
		return true
	case below(toX):
		return x > 0 || x == 0 && toX == lessEqual && toY == greaterEqual
	}
	return x < 0 || x == 0 && toX == greaterEqual && toY == lessEqual
}

func below(r relation) bool { return r == less || r == lessEqual }
