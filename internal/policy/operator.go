package policy

import (
	"encoding/base64"
	"net/netip"
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

// badOperand says what is wrong with a value in a policy, or nothing.
func (o operator) badOperand(text string) string {
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
			return "is no number"
		}
	case familyBool, familyNull:
		if !strings.EqualFold(text, "true") && !strings.EqualFold(text, "false") && !strings.Contains(text, "${") {
			return "is neither true nor false"
		}
	case familyBinary:
		if _, err := base64.StdEncoding.DecodeString(text); err != nil {
			return "is not base64"
		}
	}
	return ""
}

// number is an integer, or where that is not enough a float.
type number struct {
	whole   int64
	float   float64
	isWhole bool
}

func parseNumber(s string) (number, bool) {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return number{whole: n, float: float64(n), isWhole: true}, true
	}
	f, err := strconv.ParseFloat(s, 64)
	return number{float: f}, err == nil && f == f
}

func (n number) compare(m number) int {
	if n.isWhole && m.isWhole {
		return order(n.whole, m.whole)
	}
	return order(n.float, m.float)
}

func order[T int64 | float64](a, b T) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func (r relation) holds(cmp int) bool {
	switch r {
	case less:
		return cmp < 0
	case lessEqual:
		return cmp <= 0
	case greater:
		return cmp > 0
	case greaterEqual:
		return cmp >= 0
	}
	return cmp == 0
}

// dateForms are the forms of W3C's profile of ISO 8601, with the zone left out
// too, which stands for UTC.
var dateForms = []string{
	time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04Z07:00", "2006-01-02T15:04",
	"2006-01-02", "2006-01", "2006-01-02T15:04:05.999999999Z0700", "20060102T150405Z",
}

// parseDate reads a date in nanoseconds since 1970. A text with '-' or 'T' is ISO
// 8601, any other is seconds.
// Source: PMapper's comparison with AWS's policy simulator.
func parseDate(s string) (int64, bool) {
	if i := strings.IndexAny(s, "-T"); i > 0 {
		for _, form := range dateForms {
			if t, err := time.Parse(form, s); err == nil {
				return t.UnixNano(), true
			}
		}
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > 1<<33 {
		f, err := strconv.ParseFloat(s, 64)
		if err != nil || f < 0 || f > 1<<33 {
			return 0, false
		}
		return int64(f * 1e9), true
	}
	return n * 1e9, true
}

func parseCIDR(s string) (netip.Prefix, bool) {
	if strings.Contains(s, "/") {
		p, err := netip.ParsePrefix(s)
		return p.Masked(), err == nil
	}
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return netip.Prefix{}, false
	}
	a = a.Unmap()
	return netip.PrefixFrom(a, a.BitLen()), true
}
