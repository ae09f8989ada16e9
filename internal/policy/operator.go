package policy

import (
	"encoding/base64"
	"strings"
)

// family is what an operator compares.
type family uint8

const (
	familyString family = iota + 1
	familyStringFold
	familyLike
	familyNumeric
	familyDate
	familyBool
	familyBinary
	familyIP
	familyARN
	familyNull
)

// relation is how numbers and dates compare.
type relation uint8

const (
	equal relation = iota
	less
	lessEqual
	greater
	greaterEqual
)

// setPrefix is how an operator treats several values.
type setPrefix uint8

const (
	noSet setPrefix = iota
	forAll
	forAny
)

// operator is a condition operator with its prefix and suffix.
type operator struct {
	family   family
	relation relation
	negated  bool
	ifExists bool
	set      setPrefix
}

// operators are the base operators.
// Source: IUG, "IAM JSON policy elements: Condition operators".
var operators = map[string]operator{
	"stringequals":              {family: familyString},
	"stringnotequals":           {family: familyString, negated: true},
	"stringequalsignorecase":    {family: familyStringFold},
	"stringnotequalsignorecase": {family: familyStringFold, negated: true},
	"stringlike":                {family: familyLike},
	"stringnotlike":             {family: familyLike, negated: true},
	"numericequals":             {family: familyNumeric},
	"numericnotequals":          {family: familyNumeric, negated: true},
	"numericlessthan":           {family: familyNumeric, relation: less},
	"numericlessthanequals":     {family: familyNumeric, relation: lessEqual},
	"numericgreaterthan":        {family: familyNumeric, relation: greater},
	"numericgreaterthanequals":  {family: familyNumeric, relation: greaterEqual},
	"dateequals":                {family: familyDate},
	"datenotequals":             {family: familyDate, negated: true},
	"datelessthan":              {family: familyDate, relation: less},
	"datelessthanequals":        {family: familyDate, relation: lessEqual},
	"dategreaterthan":           {family: familyDate, relation: greater},
	"dategreaterthanequals":     {family: familyDate, relation: greaterEqual},
	"bool":                      {family: familyBool},
	"binaryequals":              {family: familyBinary},
	"ipaddress":                 {family: familyIP},
	"notipaddress":              {family: familyIP, negated: true},
	"arnequals":                 {family: familyARN},
	"arnlike":                   {family: familyARN},
	"arnnotequals":              {family: familyARN, negated: true},
	"arnnotlike":                {family: familyARN, negated: true},
	"null":                      {family: familyNull},
}

// parseOperator reads an operator's name, without regard to case.
func parseOperator(name string) (operator, bool) {
	s := strings.ToLower(name)
	set := noSet
	if rest, ok := strings.CutPrefix(s, "forallvalues:"); ok {
		s, set = rest, forAll
	} else if rest, ok := strings.CutPrefix(s, "foranyvalue:"); ok {
		s, set = rest, forAny
	}
	base, ifExists := strings.CutSuffix(s, "ifexists")
	op, ok := operators[base]
	if !ok || ifExists && op.family == familyNull {
		return operator{}, false
	}
	op.set, op.ifExists = set, ifExists
	return op, true
}

// badOperand says what is wrong with a value in a policy, or nothing. variables
// says whether ${…} stands for a value in the document.
func (o operator) badOperand(text string, variables bool) string {
	switch o.family {
	case familyDate:
		if _, ok := parseDate(text); !ok {
			return "is no date: expected ISO 8601, for example 2026-01-31T00:00:00Z, or seconds since 1970"
		}
	case familyIP:
		if _, ok := parseCIDR(text); !ok {
			return "is no IP address or range, for example 10.0.0.0/8"
		}
	case familyNumeric:
		if _, ok := parseNumber(text); !ok {
			return "is no number, for example 80 or -2.5"
		}
	case familyBool, familyNull:
		if strings.EqualFold(text, "true") || strings.EqualFold(text, "false") {
			return ""
		}
		// Source: IUG, "IAM policy elements: Variables and tags": Null takes none.
		if o.family == familyNull || !variables || !strings.Contains(text, "${") {
			return "is neither true nor false"
		}
	case familyBinary:
		if _, err := base64.StdEncoding.DecodeString(text); err != nil {
			return "is not base64"
		}
	}
	return ""
}
