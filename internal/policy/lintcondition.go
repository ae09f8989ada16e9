package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// operatorNames are the base operators in AWS's spelling.
var operatorNames = []string{
	"StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase", "StringLike", "StringNotLike",
	"NumericEquals", "NumericNotEquals", "NumericLessThan", "NumericLessThanEquals", "NumericGreaterThan", "NumericGreaterThanEquals",
	"DateEquals", "DateNotEquals", "DateLessThan", "DateLessThanEquals", "DateGreaterThan", "DateGreaterThanEquals",
	"Bool", "BinaryEquals", "IpAddress", "NotIpAddress", "ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike", "Null",
}

// spelledOperator is an operator in AWS's spelling.
func spelledOperator(name string) string {
	set, rest, base := "", name, strings.ToLower(name)
	for _, prefix := range []string{"ForAllValues:", "ForAnyValue:"} {
		if cut, ok := strings.CutPrefix(base, strings.ToLower(prefix)); ok {
			set, base, rest = prefix, cut, rest[len(prefix):]
		}
	}
	suffix := ""
	if cut, ok := strings.CutSuffix(base, "ifexists"); ok {
		base, suffix, rest = cut, "IfExists", rest[:len(cut)]
	}
	for _, spelled := range operatorNames {
		if strings.EqualFold(spelled, rest) {
			rest = spelled
		}
	}
	return set + rest + suffix
}

// condition is a condition of a statement with what is known of it.
type lintedCondition struct {
	*ConditionEntry
	key Key
	op  operator
	// known is nil for a key that the linter does not know.
	known *knownKey
}

func lintedConditions(s *Statement) []lintedCondition {
	out := make([]lintedCondition, len(s.Conditions))
	for i := range s.Conditions {
		c := lintedCondition{ConditionEntry: &s.Conditions[i], key: ParseKey(s.Conditions[i].Key)}
		c.op, _ = parseOperator(c.Operator)
		c.known = known(&c.key)
		out[i] = c
	}
	return out
}

// always tells whether requests that the document is about all have the key.
func (l *linter) always(c *lintedCondition) bool {
	signed := c.key.ID == PrincipalARN || c.key.ID == PrincipalIsAWSService || c.key.ID == ViaAWSService
	return c.known != nil && (c.known.always || signed && !l.doc.Kind.hasPrincipal())
}

func (l *linter) conditions(s *Statement) {
	for _, e := range s.Untested {
		l.find(s, e.Offset, "empty-operator", "add the keys and values to test, or leave the operator out", "%s tests nothing", e.Text)
	}
	for _, c := range lintedConditions(s) {
		if spelled := spelledOperator(c.Operator); spelled != c.Operator {
			l.find(s, c.Offset, "miscased-operator", "write "+spelled, "the operator %s is spelled %s: other tools compare its letter case", c.Operator, spelled)
		}
		if len(c.Values) == 0 {
			l.find(s, c.Offset, "empty-values", "add the values, or leave the condition out", "%s of %s has no value to compare with", c.Operator, c.Key)
		}
		l.key(s, &c)
		l.absent(s, &c)
		l.sets(s, &c)
		l.operands(s, &c)
	}
}

// key tells of keys that no request has, and of operators that do not fit them.
func (l *linter) key(s *Statement, c *lintedCondition) {
	prefix, _, colon := strings.Cut(c.key.Name, ":")
	switch {
	case c.known == nil && (!colon || slices.Contains(knownPrefixes, prefix+":")):
		var names []string
		for i := range knownKeys {
			names = append(names, knownKeys[i].name)
		}
		fix := "look the keys up in AWS's list of condition keys"
		if near := nearest(c.Key, names); near != "" {
			fix = "write " + near
		}
		l.find(s, c.Offset, "unknown-key", fix, "there is no condition key %s: it is absent from every request", c.Key)
		return
	case l.doc.Kind == AuthPolicy && slices.Contains([]string{"aws:sourcevpc", "aws:sourcevpce", "aws:vpcsourceip", "aws:sourcevpcarn"}, c.key.Name):
		l.find(s, c.Offset, "key-never-present", "use vpc-lattice-svcs:SourceVpc", "%s is absent from requests to VPC Lattice services", c.Key)
	case colon && prefix != "aws" && slices.Contains(knownPrefixes, prefix+":") && l.elsewhere(s, c, prefix):
		l.find(s, c.Offset, "key-never-present", "make a statement of its own for the actions of "+prefix, "%s is absent from requests for the actions of the statement", c.Key)
	}
	if c.known == nil || c.known.free() {
		return
	}
	if fits := fitting(c.known.family); !slices.Contains(fits, c.op.family) && c.op.family != familyNull {
		l.find(s, c.Offset, "operator-of-another-type", "use an operator such as "+fitOperators[c.known.family], "%s holds %s, which %s does not compare", c.Key, typeNames[c.known.family], c.Operator)
	}
}

// elsewhere tells whether none of the statement's actions is of the service that keys
// with a prefix belong to.
func (l *linter) elsewhere(s *Statement, c *lintedCondition, prefix string) bool {
	if l.doc.Kind == AuthPolicy {
		return prefix != "vpc-lattice-svcs"
	}
	for _, a := range s.Actions {
		vendor, _, _ := strings.Cut(strings.ToLower(a.Text), ":")
		// Who takes a role is asked about the role's tags by either name.
		if vendor == prefix || vendor == "sts" && strings.HasPrefix(c.key.Name, "iam:resourcetag/") || actionsOf[vendor] == nil {
			return false
		}
	}
	return len(s.Actions) > 0
}

// fitting are the operators that compare values of a type.
func fitting(f family) []family {
	switch f {
	case familyARN:
		return []family{familyARN, familyString, familyStringFold, familyLike}
	case familyBool:
		return []family{familyBool, familyString, familyStringFold}
	case familyNumeric:
		return []family{familyNumeric, familyString}
	case familyDate:
		return []family{familyDate, familyNumeric}
	case familyIP:
		return []family{familyIP}
	}
	return []family{familyString, familyStringFold, familyLike}
}

var typeNames = map[family]string{
	familyString: "text", familyARN: "an ARN", familyBool: "true or false", familyNumeric: "a number", familyDate: "a date", familyIP: "an IP address",
}

var fitOperators = map[family]string{
	familyString: "StringEquals", familyARN: "ArnLike", familyBool: "Bool", familyNumeric: "NumericEquals", familyDate: "DateLessThan", familyIP: "IpAddress",
}

// absent tells of conditions that do not mean what they seem to for a request without
// the key.
func (l *linter) absent(s *Statement, c *lintedCondition) {
	switch {
	case c.op.family == familyNull || l.always(c):
	case c.op.set == forAll && s.Allow:
		l.find(s, c.Offset, "forallvalues-absent", fmt.Sprintf(`add {"Null":{"%s":"false"}}`, c.Key), "ForAllValues holds if %s is absent", c.Key)
	case c.op.set == forAny && !s.Allow && c.op.negated:
		l.find(s, c.Offset, "foranyvalue-absent", fmt.Sprintf(`deny with {"Null":{"%s":"true"}} in a statement of its own too`, c.Key), "ForAnyValue does not hold if %s is absent, and nothing is denied then", c.Key)
	case c.op.set != noSet || c.known == nil && c.op.negated:
	case s.Allow && c.op.ifExists && !c.op.negated:
		l.find(s, c.Offset, "ifexists-allow", "write "+strings.TrimSuffix(spelledOperator(c.Operator), "IfExists"), "%s allows requests without %s too", c.Operator, c.Key)
	case s.Allow && c.op.negated && !l.required(s, c):
		l.find(s, c.Offset, "negated-allow", fmt.Sprintf(`add {"Null":{"%s":"false"}}`, c.Key), "%s holds if %s is absent, so such requests are allowed", c.Operator, c.Key)
	case !s.Allow && c.key.ID == MultiFactorAuthPresent && c.op.family == familyBool && !c.op.ifExists && says(c, "false"):
		l.find(s, c.Offset, "mfa-absent", "write BoolIfExists", "%s is absent from requests with long-term access keys, and nothing is denied then", c.Key)
	}
}

// required tells whether another condition of the statement demands the key.
func (l *linter) required(s *Statement, c *lintedCondition) bool {
	return slices.ContainsFunc(lintedConditions(s), func(other lintedCondition) bool {
		if other.key.Name != c.key.Name {
			return false
		}
		return other.op.family == familyNull && says(&other, "false") && !says(&other, "true") ||
			other.op.family != familyNull && !other.op.negated && !other.op.ifExists && other.op.set != forAll
	})
}

// says tells whether a word is among the values.
func says(c *lintedCondition, word string) bool {
	return slices.ContainsFunc(c.Values, func(v Text) bool { return strings.EqualFold(v.Text, word) })
}

// sets tells of keys with one value and with several.
func (l *linter) sets(s *Statement, c *lintedCondition) {
	both := fmt.Sprintf("write ForAnyValue:%s or ForAllValues:%s", c.Operator, c.Operator)
	switch {
	case lists[c.key.Name] && c.op.set == noSet && c.op.family != familyNull:
		l.find(s, c.Offset, "list-key", both, "%s is a list, which %s never matches", c.Key, c.Operator)
	case c.key.ID == SvcsRequestQueryString && c.op.set == noSet && c.op.family != familyNull:
		l.find(s, c.Offset, "multivalued-key", both+" to say what is meant", "a query key can come several times")
	}
}

// operands tells of values that are not what the operator or the key takes.
func (l *linter) operands(s *Statement, c *lintedCondition) {
	switch c.op.family {
	case familyNull, familyBool:
		if says(c, "true") && says(c, "false") {
			l.find(s, c.Offset, "always-true", "keep one of the values, or leave the condition out", "%s of %s is both true and false, which always holds", c.Operator, c.Key)
		}
	case familyLike:
		if (c.key.ID == PrincipalAccount || c.key.ID == UserID) && says(c, "*") && l.doc.Kind.hasPrincipal() {
			l.find(s, c.Offset, "anonymous-has-key", "test aws:PrincipalType", "%s is \"anonymous\" for unsigned requests, so %s \"*\" does not demand a signature", c.Key, c.Operator)
		}
	}
	for _, v := range c.Values {
		l.operand(s, c, v)
	}
}

func (l *linter) operand(s *Statement, c *lintedCondition, v Text) {
	plain := !l.doc.variables() || !strings.Contains(v.Text, "${")
	if c.op.family == familyARN {
		t := template(nil)
		if l.doc.variables() {
			t = parseTemplate(v.Text, true)
		}
		if t == nil && compileARN(v.Text).never || t != nil && !t.isARN() {
			l.find(s, v.Offset, "operand-is-no-arn", "write all six parts, with * for those that may be anything", "%q has not the six parts of an ARN and matches nothing", v.Text)
			return
		}
	}
	switch c.op.family {
	case familyString, familyStringFold:
		if plain && strings.Contains(v.Text, "*") {
			like := "StringLike"
			switch {
			case c.known != nil && c.known.family == familyARN && c.op.negated:
				like = "ArnNotLike"
			case c.known != nil && c.known.family == familyARN:
				like = "ArnLike"
			case c.op.negated:
				like = "StringNotLike"
			}
			l.find(s, v.Offset, "star-is-text", "use "+like, "%s compares the * of %q with a *", c.Operator, v.Text)
			return
		}
	case familyDate:
		l.date(s, c, v)
	case familyIP:
		if p, _ := parseCIDR(v.Text); strings.Contains(v.Text, "/") && !strings.HasPrefix(v.Text, p.Addr().String()+"/") && !strings.Contains(v.Text, "::") {
			l.find(s, v.Offset, "host-bits", "write "+p.String(), "%s is the whole range %s", v.Text, p)
		}
	}
	if plain {
		l.value(s, c, v)
	}
}

// date tells of dates that are others than they seem.
func (l *linter) date(s *Statement, c *lintedCondition, v Text) {
	parsed, strict := parseDate(v.Text)
	switch {
	case !strict:
		l.find(s, v.Offset, "odd-date", "write all of it, as in 2026-01-31T00:00:00Z", "%q is a date that few programs read as AWS does", v.Text)
	case digits(v.Text) && parsed.seconds >= 1e11:
		l.find(s, v.Offset, "milliseconds", "write "+strconv.FormatInt(parsed.seconds/1000, 10), "a number is seconds since 1970: %s is in the year %d", v.Text, 1970+parsed.seconds/31556952)
	case c.op.relation != equal && !digits(v.Text) && len(v.Text) <= len("2006-01-02"):
		l.find(s, v.Offset, "date-without-time", "write the time, as in "+v.Text+"T00:00:00Z", "%s is its first moment in UTC, and not the whole of it", v.Text)
	}
}

// value tells of values that the key never has.
func (l *linter) value(s *Statement, c *lintedCondition, v Text) {
	exact := c.op.family == familyString || c.op.family == familyLike && !strings.ContainsAny(v.Text, "*?")
	switch {
	case c.key.ID == PrincipalARN && strings.Contains(v.Text, ":assumed-role/"):
		l.find(s, v.Offset, "session-arn", "write the ARN of the role, arn:aws:iam::ACCOUNT:role/NAME", "%s is the ARN of the role and never of its session", c.Key)
		return
	case c.key.ID == UserID && exact && strings.HasPrefix(v.Text, "AROA") && !strings.Contains(v.Text, ":"):
		l.find(s, v.Offset, "userid-of-session", "use StringLike with "+v.Text+":*", "%s of a session is the id of its role, a colon and the name of the session", c.Key)
		return
	case c.known == nil:
		return
	}
	values := c.known.values
	if c.known.family == familyBool && c.op.family != familyBool {
		values = []string{"true", "false"}
	}
	if values == nil || c.op.family != familyStringFold && !exact {
		return
	}
	spelled := slices.IndexFunc(values, func(known string) bool { return strings.EqualFold(known, v.Text) })
	switch {
	case spelled < 0 && !c.known.open:
		l.find(s, v.Offset, "impossible-value", "the values are "+strings.Join(values, ", "), "%s is never %q", c.Key, v.Text)
	case spelled >= 0 && values[spelled] != v.Text && exact:
		l.find(s, v.Offset, "miscased-value", fmt.Sprintf("write %s, or use an operator with IgnoreCase", values[spelled]), "%s compares the letter case, and %s is spelled %s", c.Operator, v.Text, values[spelled])
	}
}
