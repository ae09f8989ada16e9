package policy_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/latchwork/latchwork/internal/identity"
	"github.com/latchwork/latchwork/internal/policy"
)

// The reference says what a policy means, as slowly and as literally as AWS's
// documents do, and shares no code with what it is held against. Where nobody can
// say whether something holds it says maybe, and only at the end of a statement
// does maybe become what denies.
type truth int

const (
	no truth = iota
	maybe
	yes
)

func is(b bool) truth {
	if b {
		return yes
	}
	return no
}

func not(t truth) truth { return yes - t }

type reference struct {
	kind      policy.Kind
	variables bool
	keys      map[string][]string // as a request has them, by any spelling
	r         *policy.Request
}

func refer(kind policy.Kind, text string, keys map[string][]string, r *policy.Request) policy.Verdict {
	var d struct {
		Version   string
		Statement []map[string]any
	}
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		panic(err)
	}
	ref := &reference{kind, d.Version == "2012-10-17", keys, r}
	verdict := policy.NoMatch
	for _, s := range d.Statement {
		deny := s["Effect"] == "Deny"
		t := min(ref.action(s), ref.principal(s), ref.resource(s), ref.conditions(s, deny))
		switch applies := t == yes || t == maybe && deny; {
		case applies && deny:
			return policy.ExplicitDeny
		case applies:
			verdict = policy.Allow
		}
	}
	return verdict
}

func list(v any) []any {
	if l, ok := v.([]any); ok {
		return l
	}
	return []any{v}
}

func (ref *reference) action(s map[string]any) truth {
	names, negated := s["Action"], false
	if n, ok := s["NotAction"]; ok {
		names, negated = n, true
	}
	for _, name := range list(names) {
		if like(ref.pattern(strings.ToLower(name.(string)), true, false), split(strings.ToLower(ref.r.Action))) {
			return is(!negated)
		}
	}
	return is(negated)
}

func (ref *reference) principal(s map[string]any) truth {
	named, negated := s["Principal"], false
	if n, ok := s["NotPrincipal"]; ok {
		named, negated = n, true
	}
	if named == nil {
		return yes
	}
	if negated && ref.r.HasBoundary {
		return yes
	}
	who, matched := ref.r.Principal, false
	if named == "*" {
		matched = true
	} else {
		for _, n := range list(named.(map[string]any)["AWS"]) {
			name := n.(string)
			switch {
			case name == "*":
				matched = true
			case who.Kind == identity.Anonymous:
			case name == who.Account, name == "arn:aws:iam::"+who.Account+":root", name == who.ARN, name == who.IssuerARN, name == who.IssuerID:
				matched = true
			}
		}
	}
	return is(matched != negated)
}

func (ref *reference) resource(s map[string]any) truth {
	entries, negated := s["Resource"], false
	if n, ok := s["NotResource"]; ok {
		entries, negated = n, true
	}
	result := no
	for _, e := range list(entries) {
		result = max(result, ref.oneResource(e.(string), negated))
	}
	if negated {
		return not(result)
	}
	return result
}

func (ref *reference) oneResource(text string, negated bool) truth {
	nothing := no // What stands for nothing matches nothing, and excepts nobody knows what.
	if negated {
		nothing = maybe
	}
	if text == "*" {
		return yes
	}
	if ref.kind == policy.AuthPolicy {
		return ref.compare(ref.pattern(text, true, ref.variables), ref.r.Resource, nothing)
	}
	short := ref.kind != policy.ServiceControl || strings.HasSuffix(text, "*")
	for strings.Count(text, ":") < 5 && short {
		text += ":*"
	}
	if strings.Count(text, ":") < 5 {
		return nothing
	}
	want, got := strings.SplitN(text, ":", 6), strings.SplitN(ref.r.Resource, ":", 6)
	if len(got) < 6 {
		return no
	}
	for i := range 5 {
		if !like(ref.pattern(want[i], true, false), split(got[i])) {
			return no
		}
	}
	return ref.compare(ref.pattern(want[5], true, ref.variables), got[5], nothing)
}

// compare matches a pattern; nothing is the answer for a variable without value.
func (ref *reference) compare(p []symbol, text string, nothing truth) truth {
	matched := like(p, split(text))
	for _, s := range p {
		switch {
		case s.unset:
			return nothing
		case s.any && matched:
			return maybe
		}
	}
	return is(matched)
}

// symbol is one character of a pattern: a literal, a wildcard, or what came of a
// variable.
type symbol struct {
	char        string
	star, one   bool
	unset, any  bool // a variable without value; one with several
	substituted bool
}

func split(s string) []string {
	var out []string
	for s != "" {
		_, n := utf8.DecodeRuneInString(s)
		out, s = append(out, s[:n]), s[n:]
	}
	return out
}

func like(p []symbol, s []string) bool {
	switch {
	case len(p) == 0:
		return len(s) == 0
	case p[0].star || p[0].any:
		return like(p[1:], s) || len(s) > 0 && like(p, s[1:])
	case len(s) == 0 || p[0].unset:
		return false
	}
	return (p[0].one || p[0].char == s[0]) && like(p[1:], s[1:])
}

var variablePattern = regexp.MustCompile(`^\$\{([^},]*)(, '([^']*)')?\}`)

func (ref *reference) pattern(text string, wild, variables bool) []symbol {
	var out []symbol
	for text != "" {
		if m := variablePattern.FindStringSubmatch(text); variables && m != nil {
			text = text[len(m[0]):]
			values, kind := ref.lookup(m[1])
			switch {
			case m[1] == "*" || m[1] == "?" || m[1] == "$":
				out = append(out, symbol{char: m[1]})
			case kind == "list":
				out = append(out, symbol{unset: true})
			case kind == "absent" && m[2] == "":
				out = append(out, symbol{unset: true})
			case len(values) > 1:
				out = append(out, symbol{any: true, substituted: true})
			default:
				value := m[3]
				if kind != "absent" {
					value = values[0]
				}
				for _, c := range split(value) {
					out = append(out, symbol{char: c, substituted: true})
				}
			}
			continue
		}
		c := split(text)[0]
		text = text[len(c):]
		out = append(out, symbol{char: c, star: wild && c == "*", one: wild && c == "?"})
	}
	return out
}

// lookup finds a key: its values, and whether it is "absent", a "list" or "single".
func (ref *reference) lookup(name string) ([]string, string) {
	query := regexp.MustCompile(`(?i)^vpc-lattice-svcs:RequestQueryString/`)
	for k, values := range ref.keys {
		same := strings.EqualFold(k, name)
		if query.MatchString(k) && query.MatchString(name) {
			same = query.ReplaceAllString(k, "") == query.ReplaceAllString(name, "")
		}
		if !same {
			continue
		}
		if strings.EqualFold(k, "aws:PrincipalOrgPaths") || strings.EqualFold(k, "aws:TagKeys") {
			return values, "list"
		}
		return values, "single"
	}
	return nil, "absent"
}

func (ref *reference) conditions(s map[string]any, deny bool) truth {
	result := yes
	operators, _ := s["Condition"].(map[string]any)
	for operator, keys := range operators {
		for key, operands := range keys.(map[string]any) {
			var texts []string
			for _, o := range list(operands) {
				texts = append(texts, fmt.Sprint(o))
			}
			result = min(result, ref.condition(operator, key, texts, deny))
		}
	}
	return result
}

func (ref *reference) condition(operator, key string, operands []string, deny bool) truth {
	set, base, ok := strings.Cut(operator, ":")
	if !ok {
		set, base = "", operator
	}
	base, ifExists := strings.CutSuffix(base, "IfExists")
	negated := strings.Contains(base, "Not")
	values, kind := ref.lookup(key)
	full := slices.DeleteFunc(slices.Clone(values), func(s string) bool { return s == "" })
	switch {
	case set == "ForAllValues":
		result := yes
		for _, v := range full {
			result = min(result, ref.value(base, operands, v))
		}
		return result
	case set == "ForAnyValue":
		result := no
		for _, v := range full {
			result = max(result, ref.value(base, operands, v))
		}
		return result
	case base == "Null":
		return is(slices.Contains(operands, fmt.Sprint(len(full) == 0)))
	case kind == "absent":
		return is(negated || ifExists)
	case kind == "list":
		return no
	}
	if len(values) > 1 {
		joined := strings.Join(values, ",")
		if strings.Contains(strings.ToLower(key), "querystring") {
			joined = values[0]
		}
		values = append([]string{joined}, values...)
	}
	result := ref.value(base, operands, values[0])
	for _, v := range values {
		if deny {
			result = max(result, ref.value(base, operands, v))
		} else {
			result = min(result, ref.value(base, operands, v))
		}
	}
	return result
}

// value tells whether one value passes a base operator.
func (ref *reference) value(base string, operands []string, value string) truth {
	if base == "Null" {
		return is(slices.Contains(operands, "false"))
	}
	positive := strings.Replace(base, "Not", "", 1)
	negated := positive != base
	if strings.HasPrefix(base, "Arn") && (!strings.HasPrefix(value, "arn:") || strings.Count(value, ":") < 5) {
		return no // Rule 9, for the negation too.
	}
	result := no
	for _, o := range operands {
		result = max(result, ref.one(positive, o, value, negated))
	}
	if negated {
		return not(result)
	}
	return result
}

func (ref *reference) one(operator, operand, value string, negated bool) truth {
	family, relation := operator, ""
	for _, f := range []string{"Numeric", "Date"} {
		if rest, ok := strings.CutPrefix(operator, f); ok {
			family, relation = f, rest
		}
	}
	switch family {
	case "StringEquals":
		return ref.compare(ref.pattern(operand, false, ref.variables), value, no)
	case "StringLike":
		return ref.compare(ref.pattern(operand, true, ref.variables), value, no)
	case "StringEqualsIgnoreCase":
		text, t := ref.fill(operand)
		if t != yes {
			return t
		}
		if !utf8.ValidString(text + value) {
			return is(text == value)
		}
		// Not strings.EqualFold, which folds more than lower case does.
		left, right := strings.ToLower(text), strings.ToLower(value)
		return is(left == right)
	case "Bool":
		text, t := ref.fill(operand)
		if t != yes {
			return t
		}
		switch strings.ToLower(text) {
		case "true":
			return is(strings.EqualFold(value, "true"))
		case "false":
			return is(!strings.EqualFold(value, "true"))
		}
		return maybe
	case "BinaryEquals":
		a, _ := base64.StdEncoding.DecodeString(operand)
		b, err := base64.StdEncoding.DecodeString(value)
		if err != nil {
			return maybe
		}
		return is(string(a) == string(b))
	case "IpAddress":
		return address(operand, value)
	case "ArnEquals", "ArnLike":
		return ref.arn(operand, value, negated)
	case "Numeric":
		decimal := regexp.MustCompile(`^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)$`)
		if !decimal.MatchString(value) {
			return maybe
		}
		a, _ := new(big.Rat).SetString(value)
		b, _ := new(big.Rat).SetString(operand)
		return related(relation, a.Cmp(b))
	case "Date":
		a, ok := date(value)
		b, _ := date(operand)
		if !ok {
			return maybe
		}
		return related(relation, a.Cmp(b))
	}
	panic("no operator " + operator)
}

// fill is a text with its variables filled in: yes if that can be done, no if one
// has no value, maybe if one has several.
func (ref *reference) fill(operand string) (string, truth) {
	text := ""
	result := yes
	for _, s := range ref.pattern(operand, false, ref.variables) {
		switch {
		case s.unset:
			return "", no
		case s.any:
			result = maybe
		}
		text += s.char
	}
	return text, result
}

func (ref *reference) arn(operand, value string, negated bool) truth {
	p := ref.pattern(operand, true, ref.variables)
	if operand == "*" || ref.variables && strings.HasPrefix(operand, "${") && strings.Index(operand, "}") == len(operand)-1 && !slices.Contains([]string{"${*}", "${?}", "${$}"}, operand) {
		return ref.compare(p, value, no)
	}
	parts := [][]symbol{nil}
	for _, s := range p {
		if s.char == ":" && !s.substituted && len(parts) < 6 {
			parts = append(parts, nil)
			continue
		}
		parts[len(parts)-1] = append(parts[len(parts)-1], s)
	}
	if len(parts) < 6 {
		if negated {
			return maybe
		}
		return no
	}
	result := yes
	for i, part := range strings.SplitN(value, ":", 6) {
		result = min(result, ref.compare(parts[i], part, no))
	}
	return result
}

func related(relation string, c int) truth {
	switch relation {
	case "LessThan":
		return is(c < 0)
	case "LessThanEquals":
		return is(c <= 0)
	case "GreaterThan":
		return is(c > 0)
	case "GreaterThanEquals":
		return is(c >= 0)
	}
	return is(c == 0)
}

// date is seconds since 1970.
func date(s string) (*big.Rat, bool) {
	if strings.ContainsAny(s, "-T") && !strings.HasPrefix(s, "-") {
		for _, form := range []string{time.RFC3339Nano, time.DateOnly, "2006-01"} {
			if t, err := time.Parse(form, s); err == nil {
				r := big.NewRat(int64(t.Nanosecond()), 1_000_000_000)
				return r.Add(r, new(big.Rat).SetInt64(t.Unix())), true
			}
		}
		return nil, false
	}
	if !regexp.MustCompile(`^[0-9]+(\.[0-9]*)?$`).MatchString(s) {
		return nil, false
	}
	return new(big.Rat).SetString(s)
}

func address(operand, value string) truth {
	ip := net.ParseIP(value)
	if ip == nil {
		return maybe
	}
	if !strings.Contains(operand, "/") {
		return is(ip.Equal(net.ParseIP(operand)))
	}
	_, n, err := net.ParseCIDR(operand)
	if err != nil {
		panic(err)
	}
	return is((ip.To4() != nil) == (len(n.Mask) == net.IPv4len) && n.Contains(ip))
}
