package reference

import (
	"encoding/base64"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/latchwork/latchwork/internal/policy"
)

// operator is the name of an operator, taken apart.
type operator struct {
	set      string // "", "forallvalues" or "foranyvalue"
	family   string // what is compared: "string", "numeric", …
	relation string // how numbers and dates compare: "equals", "lessthan", …
	negated  bool
	ifExists bool
}

// readOperator reads a name as its parts say: ForAnyValue:StringNotLikeIfExists. Case
// does not count.
// Source: IUG, "IAM JSON policy elements: Condition operators".
func readOperator(name string) operator {
	var op operator
	name = strings.ToLower(name)
	if set, base, ok := strings.Cut(name, ":"); ok {
		op.set, name = set, base
	}
	name, op.ifExists = strings.CutSuffix(name, "ifexists")
	op.negated = strings.Contains(name, "not")
	op.family = strings.Replace(name, "not", "", 1)
	for _, family := range []string{"numeric", "date"} {
		if relation, ok := strings.CutPrefix(op.family, family); ok {
			op.family, op.relation = family, relation
		}
	}
	return op
}

// condition tells whether one operator on one key holds. deny is the effect of its
// statement.
func (e *evaluation) condition(c *policy.ConditionEntry, deny bool) truth {
	op, v := readOperator(c.Operator), e.lookup(c.Key)
	full := slices.DeleteFunc(slices.Clone(v.all), func(s string) bool { return s == "" })
	switch {
	case op.set == "forallvalues":
		// Source: IUG, "Multivalued context keys": true of no value, and an empty text is
		// none; IfExists changes nothing.
		result := yes
		for _, one := range full {
			result = min(result, e.value(op, c.Values, one))
		}
		return result
	case op.set == "foranyvalue":
		// Source: the same: false of no value.
		result := no
		for _, one := range full {
			result = max(result, e.value(op, c.Values, one))
		}
		return result
	case op.family == "null":
		// Source: IUG, "Condition operator to check existence of condition keys".
		return null(c.Values, len(full) > 0)
	case v.absent:
		// Source: IUG, "Condition operators": the negated ones are true of an absent key.
		return is(op.negated || op.ifExists)
	case v.list:
		// Source: re:Inforce 2025 IAM431: without set prefix an operator does not match a
		// key that is a list.
		return no
	}
	// A key that came several times: a Deny holds if any value satisfies it, an Allow
	// only if every one does, and what they are together counts as one more.
	result := e.value(op, c.Values, v.one)
	for _, one := range v.all {
		if len(v.all) == 1 {
			break
		}
		if deny {
			result = max(result, e.value(op, c.Values, one))
		} else {
			result = min(result, e.value(op, c.Values, one))
		}
	}
	return result
}

// null: "true" asks for a key that is not there, "false" for one that is.
func null(operands []policy.Text, present bool) truth {
	for _, o := range operands {
		if strings.EqualFold(o.Text, "false") == present {
			return yes
		}
	}
	return no
}

// value tells whether one value that is there passes. The operands are alternatives; a
// negated operator wants none of them.
// Source: IUG, "Multivalued context keys", "Evaluation logic for multiple values".
func (e *evaluation) value(op operator, operands []policy.Text, value string) truth {
	switch {
	case op.family == "null":
		return null(operands, true)
	case !readable(op.family, value):
		return maybe // It cannot be compared with anything.
	case strings.HasPrefix(op.family, "arn") && !isARN(value):
		// Source: PMapper's comparison with AWS's policy simulator: neither the operator
		// nor its negation matches.
		return no
	}
	result := no
	for _, o := range operands {
		result = max(result, e.one(op, o.Text, value))
	}
	if op.negated {
		return not(result)
	}
	return result
}

// readable tells whether a value is one of the family.
func readable(family, value string) bool {
	ok := true
	switch family {
	case "numeric":
		_, ok = number(value)
	case "date":
		_, ok = date(value)
	case "ipaddress":
		_, ok = address(value)
	}
	return ok
}

// one compares a value with an operand, without the negation.
func (e *evaluation) one(op operator, operand, value string) truth {
	switch op.family {
	case "stringequals":
		return e.read(operand, false).compare(value, no)
	case "stringlike":
		return e.read(operand, true).compare(value, no)
	case "stringequalsignorecase":
		text, t := e.fill(operand)
		if t != yes {
			return t
		}
		return is(sameLower(text, value))
	case "bool":
		text, t := e.fill(operand)
		if t != yes {
			return t
		}
		return boolean(text, value)
	case "binaryequals":
		// Source: IUG, "Binary condition operators": the bytes compare.
		want, _ := base64.StdEncoding.DecodeString(operand)
		got, err := base64.StdEncoding.DecodeString(value)
		if err != nil {
			return maybe
		}
		return is(string(got) == string(want))
	case "numeric":
		want, _ := number(operand)
		got, _ := number(value)
		return related(op.relation, got.Cmp(want))
	case "date":
		got, _ := date(value)
		return related(op.relation, got.Cmp(writtenDate(operand)))
	case "ipaddress":
		got, _ := address(value)
		return is(within(operand, got))
	}
	return e.arn(op, operand, value)
}

// fill is a text with its variables filled in: yes if that can be done, no if one has
// no value, maybe if one has several.
func (e *evaluation) fill(operand string) (string, truth) {
	p := e.read(operand, false)
	switch {
	case p.unset:
		return "", no
	case p.several:
		return "", maybe
	}
	return p.text(), yes
}

// sameLower compares without regard to case, by the lower case of both and no more: "ß"
// is not "ss". Bytes that are no text have no case.
// Source: PMapper, "observed policy simulator behaviour".
func sameLower(a, b string) bool {
	if !utf8.ValidString(a) || !utf8.ValidString(b) {
		return a == b
	}
	left, right := strings.ToLower(a), strings.ToLower(b)
	return left == right
}

// boolean: false stands for everything that is not true.
// Source: PMapper's comparison with AWS's policy simulator.
func boolean(operand, value string) truth {
	switch strings.ToLower(operand) {
	case "true":
		return is(strings.EqualFold(value, "true"))
	case "false":
		return is(!strings.EqualFold(value, "true"))
	}
	return maybe // A variable can be anything.
}

func isARN(s string) bool { return strings.HasPrefix(s, "arn:") && strings.Count(s, ":") >= 5 }

// arn compares the six parts one by one, the sixth being all the rest. An operand that
// is no ARN matches nothing, and of its negation nobody can say anything. One that is
// "*", or a variable and nothing else, is the whole of an ARN.
// Source: IUG, "Amazon Resource Name (ARN) condition operators".
func (e *evaluation) arn(op operator, operand, value string) truth {
	p := e.read(operand, true)
	if operand == "*" || p.alone {
		return p.compare(value, no)
	}
	parts := p.parts()
	if len(parts) < 6 {
		if op.negated {
			return maybe
		}
		return no
	}
	result := yes
	for i, part := range strings.SplitN(value, ":", 6) {
		result = min(result, pattern{symbols: parts[i], unset: p.unset, several: p.several}.compare(part, no))
	}
	return result
}
