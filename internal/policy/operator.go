package policy

import (
	"encoding/base64"
	"strconv"
	"strings"
	"time"
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
		if _, ok := storedDate(text); !ok {
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

// storedDate reads a date of a policy. AWS stores more than the forms of ISO 8601:
// years of any length and sign, parts without leading zeros, small letters, a zone
// of hours alone.
// Source: what IAM's check takes and refuses, as recorded by moto.
func storedDate(text string) (instant, bool) {
	if d, ok := parseDate(text); ok {
		return d, true
	}
	text = strings.ToUpper(text)
	if !strings.ContainsAny(text, "-T") {
		return instant{}, false
	}
	day, clock, _ := strings.Cut(text, "T")
	day, negative := strings.CutPrefix(day, "-")
	date, ok := numbers(day, "-", []int64{0, 1, 1}, []int64{292278993, 12, 31})
	if !ok || negative && date[0] > 292275054 {
		return instant{}, false
	}
	if negative {
		date[0] = -date[0]
	}
	clock, utc := strings.CutSuffix(clock, "Z")
	clock, zone, ahead := strings.Cut(clock, "+")
	offset := []int64{0, 0}
	if ahead {
		if offset, ok = numbers(zone, ":", offset, []int64{23, 59}); !ok || utc || len(zone) != 2 && len(zone) != 5 {
			return instant{}, false
		}
	}
	clock, fraction, _ := strings.Cut(clock, ".")
	nanos := fraction + "000000000"
	if !digits(fraction) || len(fraction) > 9 {
		return instant{}, false
	}
	at := []int64{0, 0, 0}
	if clock != "" {
		if at, ok = numbers(clock, ":", at, []int64{23, 59, 59}); !ok {
			return instant{}, false
		}
	}
	second := time.Date(int(date[0]), time.Month(date[1]), int(date[2]), int(at[0]-offset[0]), int(at[1]-offset[1]), int(at[2]), 0, time.UTC)
	part, _ := strconv.Atoi(nanos[:9])
	return instant{second.Unix(), part}, true
}

// numbers reads up to as many numbers as there are limits; those that are left out
// are as least says, and none may be less.
func numbers(text, separator string, least, most []int64) ([]int64, bool) {
	parts := strings.Split(text, separator)
	out := append([]int64{}, least...)
	if len(parts) > len(most) {
		return nil, false
	}
	for i, part := range parts {
		n, err := strconv.ParseInt(part, 10, 64)
		if err != nil || !digits(part) || n < least[i] || n > most[i] {
			return nil, false
		}
		out[i] = n
	}
	return out, true
}
