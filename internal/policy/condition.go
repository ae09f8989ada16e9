package policy

import (
	"encoding/base64"
	"net/netip"
	"strings"
	"unicode/utf8"
)

// condition is one operator on one key, ready to be evaluated.
type condition struct {
	operator
	// remembered is the place of its result among those that an evaluation remembers;
	// -1 for none.
	remembered int32
	key        Key
	// texts and ranges are the operands that are found by a look-up, however many
	// there are; operands are the others.
	texts    textSet
	ranges   addressRanges
	operands []operand
}

// operand is one value of a condition, parsed for its family.
type operand struct {
	text     string // lower-case for comparisons without case
	pattern  pattern
	arn      *arnPattern
	number   *number
	date     *instant
	template template // not nil: the value depends on the request
}

func compileCondition(e *ConditionEntry, variables bool) condition {
	op, _ := parseOperator(e.Operator)
	c := condition{operator: op, key: ParseKey(e.Key)}
	for _, v := range e.Values {
		c.operand(v.Text, variables)
	}
	c.ranges = c.ranges.merged()
	return c
}

func (c *condition) operand(text string, variables bool) {
	o := operand{text: text}
	switch c.family {
	case familyString, familyStringFold, familyLike, familyARN, familyBool:
		if variables {
			wild := c.family == familyLike || c.family == familyARN
			o.template = parseTemplate(text, wild)
		}
	}
	switch c.family {
	case familyString:
		if o.template == nil {
			c.texts.add(text)
			return
		}
	case familyLike:
		o.pattern = compilePattern(text, false)
		if o.template == nil && o.pattern.shape == exact {
			c.texts.add(text)
			return
		}
	case familyStringFold, familyBool, familyNull:
		o.text = strings.ToLower(text)
	case familyARN:
		arn := compileARN(text)
		if o.template != nil {
			arn = arnPattern{never: !o.template.isARN()}
		}
		o.arn = &arn
	case familyNumeric:
		n, _ := parseNumber(text)
		o.number = &n
	case familyDate:
		d, _ := storedDate(text)
		o.date = &d
	case familyIP:
		p, _ := parseCIDR(text)
		c.ranges = append(c.ranges, rangeOf(p))
		return
	case familyBinary:
		raw, _ := base64.StdEncoding.DecodeString(text)
		o.text = string(raw)
	}
	c.operands = append(c.operands, o)
}

// holds tells whether the condition holds for a request. deny is the effect of
// its statement: it decides where a key came more than once, and where nobody can
// say whether the condition holds. Then a Deny does and an Allow does not.
func (c *condition) holds(keys Keys, deny bool) bool {
	v, present := keys.Lookup(&c.key)
	switch c.set {
	// Source: IUG, "Set operators for multivalued context keys": on an absent or
	// empty key ForAllValues is true and ForAnyValue is false, whatever the base
	// operator, and IfExists changes nothing.
	case forAll:
		return !present || c.all(keys, v, deny)
	case forAny:
		return present && c.any(keys, v, deny)
	}
	if c.family == familyNull {
		return c.null(present && !v.empty())
	}
	switch {
	case !present:
		// Source: IUG, "Condition operators": negated operators are true for an
		// absent key.
		return c.ifExists || c.negated
	case v.List:
		// Source: re:Inforce 2025 IAM431: an operator without set prefix does not
		// match a key that is a list.
		return false
	case v.Repeated:
		return c.repeated(keys, v, deny)
	default:
		return c.test(keys, v.One, deny)
	}
}

// all tells whether every value passes; true for none. An empty text counts as
// no value.
// Source: IUG, "Set operators": "a null data set such as an empty string".
func (c *condition) all(keys Keys, v Values, deny bool) bool {
	if !v.List && !v.Repeated {
		return v.One == "" || c.test(keys, v.One, deny)
	}
	for _, one := range v.Many {
		if one != "" && !c.test(keys, one, deny) {
			return false
		}
	}
	return true
}

// any tells whether some value passes; false for none.
func (c *condition) any(keys Keys, v Values, deny bool) bool {
	if !v.List && !v.Repeated {
		return v.One != "" && c.test(keys, v.One, deny)
	}
	for _, one := range v.Many {
		if one != "" && c.test(keys, one, deny) {
			return true
		}
	}
	return false
}

// repeated evaluates a key that came more than once under an operator for one
// value: the joined value and each single one count.
func (c *condition) repeated(keys Keys, v Values, deny bool) bool {
	if c.test(keys, v.One, deny) == deny {
		return deny
	}
	for _, one := range v.Many {
		if c.test(keys, one, deny) == deny {
			return deny
		}
	}
	return !deny
}

func (c *condition) null(present bool) bool {
	for i := range c.operands {
		if (c.operands[i].text == "true") == !present {
			return true
		}
	}
	return false
}

// test evaluates one value that is present. Operands of a positive operator are
// alternatives; a negated operator holds if none of them matches.
func (c *condition) test(keys Keys, value string, deny bool) bool {
	if c.family == familyString && len(c.operands) == 0 {
		return c.texts.has(value) != c.negated // Most conditions.
	}
	switch c.family {
	case familyNull:
		return c.null(true)
	case familyNumeric:
		n, ok := parseNumber(value)
		if !ok {
			return deny // Negated or not: what is no number cannot be compared.
		}
		for i := range c.operands {
			if c.relation.holds(n.compare(*c.operands[i].number)) {
				return !c.negated
			}
		}
		return c.negated
	case familyDate:
		d, ok := parseDate(value)
		if !ok {
			return deny
		}
		for i := range c.operands {
			if c.relation.holds(d.compare(*c.operands[i].date)) {
				return !c.negated
			}
		}
		return c.negated
	case familyIP:
		a, err := netip.ParseAddr(value)
		if err != nil {
			return deny
		}
		return c.ranges.contain(a.Unmap().WithZone("")) != c.negated
	case familyARN:
		// Source: PMapper's comparison with AWS's policy simulator: a value that is
		// no ARN matches neither the operator nor its negation.
		if !isARN(value) {
			return false
		}
	case familyString, familyLike:
		if c.texts.has(value) {
			return !c.negated
		}
	}
	for i := range c.operands {
		matched, sure := c.matches(&c.operands[i], keys, value)
		if !sure {
			// Nobody can say, so whichever is the answer that denies.
			matched = deny != c.negated
		}
		if matched {
			return !c.negated
		}
	}
	return c.negated
}

// matches compares one value with one operand of a family of texts; sure is false
// if nobody can say whether they match.
func (c *condition) matches(o *operand, keys Keys, value string) (matched, sure bool) {
	if o.arn != nil && o.arn.never {
		// It is the ARN of nothing, so it matches nothing. Its negation says nothing
		// either.
		return false, !c.negated
	}
	if o.template != nil {
		return c.matchesTemplate(o.template, keys, value)
	}
	switch c.family {
	case familyStringFold:
		return equalLower(o.text, value), true
	case familyLike:
		return o.pattern.match(value), true
	case familyARN:
		return o.arn.match(value), true
	case familyBool:
		// Source: PMapper's comparison with AWS's policy simulator: false stands for
		// everything that is not true.
		return strings.EqualFold(value, "true") == (o.text == "true"), true
	default: // familyBinary
		raw, err := base64.StdEncoding.DecodeString(value)
		return err == nil && string(raw) == o.text, err == nil
	}
}

func (c *condition) matchesTemplate(t template, keys Keys, value string) (matched, sure bool) {
	if c.family == familyString && t.alone() {
		// The form of nearly all variables: one key must be as another is.
		if v, present := keys.Lookup(&t[0].key); present && !v.List && !v.Repeated {
			return value == v.One, true
		}
	}
	var buf [128]token
	tokens, state := t.resolve(keys, buf[:0])
	if state == unset {
		return false, true
	}
	switch c.family {
	case familyStringFold:
		if state == ambiguous {
			return false, false
		}
		// A value that is no UTF-8 has no case, but it equals itself.
		text := tokenText(tokens)
		return text == value || utf8.ValidString(text) && equalLower(strings.ToLower(text), value), true
	case familyBool:
		text := strings.ToLower(tokenText(tokens))
		if state == ambiguous || text != "true" && text != "false" {
			return false, false
		}
		return strings.EqualFold(value, "true") == (text == "true"), true
	case familyARN:
		if t.alone() {
			matched = globTokens(tokens, value)
		} else {
			matched = matchARNTokens(tokens, value)
		}
	default:
		matched = globTokens(tokens, value)
	}
	if state == ambiguous {
		return false, !matched
	}
	return matched, true
}
