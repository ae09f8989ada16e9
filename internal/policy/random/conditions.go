package random

import (
	"encoding/base64"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/latchwork/latchwork/internal/policy"
)

// Operators are the base operators.
var Operators = []string{
	"StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase", "StringLike", "StringNotLike",
	"NumericEquals", "NumericNotEquals", "NumericLessThan", "NumericLessThanEquals", "NumericGreaterThan", "NumericGreaterThanEquals",
	"DateEquals", "DateNotEquals", "DateLessThan", "DateLessThanEquals", "DateGreaterThan", "DateGreaterThanEquals",
	"Bool", "BinaryEquals", "IpAddress", "NotIpAddress", "ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike", "Null",
}

// Qualified are all operators with each of their prefixes and suffixes.
var Qualified = func() []string {
	var out []string
	for _, set := range []string{"", "ForAllValues:", "ForAnyValue:"} {
		for _, base := range Operators {
			out = append(out, set+base)
			if base != "Null" {
				out = append(out, set+base+"IfExists")
			}
		}
	}
	return out
}()

// Keys that policies test, and Lists those of them whose type is a list.
var (
	singles = []string{
		"aws:username", "aws:PrincipalTag/team", "aws:PrincipalArn", "aws:SourceIp", "aws:CurrentTime", "aws:SecureTransport", "aws:PrincipalOrgID",
		"vpc-lattice-svcs:RequestHeader/x", "vpc-lattice-svcs:RequestQueryString/Q", "vpc-lattice-svcs:RequestMethod", "vpc-lattice-svcs:Port",
		"s3:prefix", "my:Key",
	}
	Lists = []string{"aws:PrincipalOrgPaths", "aws:TagKeys", "aws:CalledVia", "vpc-lattice:TargetGroupArns"}
)

func (m *Maker) condition() policy.ConditionEntry {
	c := policy.ConditionEntry{Operator: pick(m, Qualified...), Key: pick(m, singles...)}
	if m.chance(38) {
		c.Key = pick(m, Lists...)
	}
	c.Values = texts(m.operands(c.Operator))
	if m.chance(4) {
		c.Operator = strings.ToLower(c.Operator)
	}
	if m.chance(4) && !strings.Contains(c.Key, "Query") {
		c.Key = strings.ToUpper(c.Key)
	}
	return c
}

func (m *Maker) operands(operator string) []string {
	n := pick(m, 1, 1, 1, 1, 2, 2, 3)
	switch {
	case m.chance(3):
		n = 0
	case m.chance(2):
		n = 9 + m.IntN(10)
	}
	out := make([]string, n)
	for i := range out {
		out[i] = m.operand(operator)
	}
	return out
}

// family is what an operator compares, by the first word of its base name.
func family(operator string) string {
	name := strings.ToLower(operator)
	if _, base, ok := strings.Cut(name, ":"); ok {
		name = base
	}
	name = strings.TrimPrefix(name, "not")
	for _, f := range []string{"string", "numeric", "date", "bool", "binary", "ip", "arn", "null"} {
		if strings.HasPrefix(name, f) {
			return f
		}
	}
	panic("no operator " + operator)
}

var (
	words     = []string{"a", "b", "ab", "abc", "A", "blue", "GET", "é", "Straße", "STRASSE", "", "10", "true", "\u212a", "x y", "1", "1:x", "\ufffd"}
	pieces    = []string{"a", "b", "é", "*", "*", "?", "${aws:username}", "${aws:PrincipalTag/team}", "${aws:username, 'a'}", "${AWS:PrincipalTag/Team,'b c'}", "${*}", "${?}", "${$}", "${", "}", "${my:absent}", "${aws:PrincipalOrgPaths}", "${vpc-lattice-svcs:RequestHeader/x}", "${vpc-lattice-svcs:RequestQueryString/Q}", "${my:absent, ''}", "${my:absent, 'x}y'}"}
	numbers   = []string{"0", "5", "-1", "80", "80.0", "+5", "080", ".5", "5.", "-0.0", "2.5", "9007199254740993", "-9007199254740993.25", "123456789012345678901234567890", "0.00000000000000000001"}
	dates     = []string{"2026-01-01T00:00:00Z", "2026-01-01", "2026-01", "1767225600", "1767225600.5", "2026-01-01T01:00:00+01:00", "2026-01-01T01:00:00+0100", "2026-01-01T00:00", "20260101T000000Z", "2026-01-01T00:00:00.000000001Z", "9999-12-31T23:59:59Z", "1969-12-31T23:59:59Z", "0", "9223372036854775807", "2026-1-1t0:0z", "2026-01-01T02+02", "-1", "2026T", "2026-02-31", "2026-01-01T.5", "292278993-12-31"}
	ranges    = []string{"10.0.0.0/8", "10.1.2.3", "10.1.2.3/31", "192.168.0.0/16", "0.0.0.0/0", "2001:db8::/32", "2001:db8::1", "::/0", "::ffff:10.1.2.3", "::ffff:10.0.0.0/104", "fe80::/10", "10.1.2.3/32", "::ffff:0:0/90", "fe80::1"}
	arns      = []string{"arn:aws:iam::1:role/a", "arn:aws:iam::1:role/*", "arn:*:iam::?:role/a*", "arn:aws:s3:::b/${aws:username}", "arn:aws:iam::${aws:PrincipalTag/team}:role/a", "*", "arn:aws:iam", "arn:aws:*:role/a", "${aws:PrincipalArn}", "${my:absent}", "${*}", "arn:aws:iam::1:${vpc-lattice-svcs:RequestHeader/x}", "arn:aws:iam::1:role/a:b", "arn:aws:iam::${my:absent, '1'}:role/a", "arn:aws:i*m::1:r?le/a"}
	booleans  = []string{"true", "false", "True", "FALSE"}
	binaries  = []string{"YQ==", "Yg==", "", "YWJj", "/+8="}
	strangers = []string{"", "a", "5", "inf", "nan", "0x50", "1e3", "1_000", "true", "2026-13-01", "soon", "-5", "10.1.2", "fe80::1%eth0", "fe80::1%", "arn:aws", "arn:aws:iam::1:user/é", "*", "a?", "${aws:username}", "YQ", "\xff", "a\xff", "\xfe", "é", " 5"}
)

func (m *Maker) operand(operator string) string {
	switch family(operator) {
	case "string":
		if m.chance(50) {
			return pick(m, words...)
		}
		var b strings.Builder
		for range 1 + m.IntN(3) {
			b.WriteString(pick(m, pieces...))
		}
		return b.String()
	case "numeric":
		if m.chance(30) {
			return fmt.Sprint(m.IntN(200) - 100)
		}
		return pick(m, numbers...)
	case "date":
		return pick(m, dates...)
	case "bool", "null":
		return pick(m, booleans...)
	case "binary":
		if m.chance(50) {
			return base64.StdEncoding.EncodeToString([]byte(pick(m, words...)))
		}
		return pick(m, binaries...)
	case "ip":
		if m.chance(30) {
			return fmt.Sprintf("10.%d.0.0/%d", m.IntN(4), 8+m.IntN(25))
		}
		return pick(m, ranges...)
	}
	return pick(m, arns...)
}

// near is a value that has to do with an operand of an operator: itself, one that it
// matches or nearly matches, or a stranger.
func (m *Maker) near(operator, operand string, keys map[string][]string) string {
	if m.chance(6) {
		return pick(m, strangers...)
	}
	if strings.Contains(operator, "Not") && m.chance(60) {
		operand = m.operand(operator)
	}
	if family(operator) != "ip" && m.chance(30) {
		return m.fill(operand, keys)
	}
	switch family(operator) {
	case "string":
		return m.nearText(m.fill(operand, keys))
	case "numeric":
		return m.nearNumber(operand)
	case "date":
		return m.nearDate(operand)
	case "bool", "null":
		return pick(m, "true", "false", "TRUE", "False", "yes", "")
	case "binary":
		return pick(m, operand, operand, operand, strings.TrimRight(operand, "="), pick(m, binaries...))
	case "ip":
		return m.nearAddress(operand)
	}
	text := m.fill(operand, keys)
	switch m.IntN(8) {
	case 0:
		return "arn:aws:iam::1:role/a"
	case 1:
		return strings.Replace(text, ":", ":x", 1+m.IntN(2))
	case 2:
		return m.nearText(text)
	}
	return text
}

func (m *Maker) nearText(text string) string {
	switch m.IntN(16) {
	case 0:
		return strings.ToUpper(text)
	case 1:
		return strings.ToLower(text)
	case 2:
		return text + pick(m, "x", " ", "é", ":")
	case 3:
		return pick(m, "x", "/", "*") + text
	case 4:
		return pick(m, words...)
	case 5:
		return strings.ReplaceAll(text, "\ufffd", "\xff") // It looks like that.
	}
	return text
}

func (m *Maker) nearNumber(operand string) string {
	n, ok := new(big.Rat).SetString(operand)
	if !ok {
		return operand
	}
	switch m.IntN(7) {
	case 0:
		return operand
	case 1:
		return n.Add(n, big.NewRat(1, 1)).FloatString(m.IntN(3))
	case 2:
		return n.Sub(n, big.NewRat(1, 1)).FloatString(m.IntN(3))
	case 3:
		return n.Add(n, big.NewRat(1, 1_000_000_000)).FloatString(25)
	case 4:
		return n.Neg(n).FloatString(2)
	}
	return pick(m, "", "+") + strings.Replace(n.FloatString(21+m.IntN(3)), "-", "-00", 1)
}

func (m *Maker) nearDate(operand string) string {
	t, err := time.Parse(time.RFC3339Nano, operand)
	if err != nil || m.chance(20) {
		return pick(m, append(slices.Clone(dates), operand, operand, operand+"0", operand+".1", "253402300799", "1767225601", "1767225599.999999999", "2026-01-01T00:00:00.5Z")...)
	}
	t = t.Add(time.Duration(m.IntN(3)-1) * pick(m, time.Nanosecond, time.Second, time.Hour))
	switch m.IntN(3) {
	case 0:
		return fmt.Sprintf("%d.%09d", t.Unix(), t.Nanosecond())
	case 1:
		return t.In(time.FixedZone("", 60*60)).Format(time.RFC3339Nano)
	}
	return t.Format("2006-01-02T15:04:05.999999999Z0700")
}

func (m *Maker) nearAddress(operand string) string {
	base, _, _ := strings.Cut(operand, "/")
	if strings.Contains(base, ":") && m.chance(15) {
		return base + "%eth0"
	}
	switch m.IntN(6) {
	case 0:
		return base
	case 1:
		return pick(m, "10.1.2.3", "10.1.2.2", "10.1.2.4", "11.0.0.0", "192.168.255.255", "::1")
	case 2:
		return pick(m, "2001:db8::1", "2001:db9::", "fe80::1", "::ffff:10.1.2.3", "::ffff:11.0.0.1", "::a01:203", "fe80::1%eth0")
	case 3:
		if strings.Contains(base, ".") && !strings.Contains(base, ":") {
			return "::ffff:" + base
		}
		return strings.TrimPrefix(base, "::ffff:")
	}
	if strings.HasPrefix(base, "10.") {
		return fmt.Sprintf("10.%d.%d.%d", m.IntN(5), m.IntN(3), m.IntN(256))
	}
	return base
}
