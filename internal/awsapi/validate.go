package awsapi

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/latchwork/latchwork/internal/fault"
)

// violation is one value that is not as the model says.
type violation struct {
	path string
	// value is the offending value as it is printed, with quotes; empty where it
	// is not repeated.
	value   string
	rule    string
	missing bool
}

// text is AWS's sentence for one violation.
// Source: messages of IAM and STS, e.g. AssumeRole with a bad session name.
func (v *violation) text() string {
	if v.value == "" {
		return "Value at '" + v.path + "' failed to satisfy constraint: " + v.rule
	}
	return "Value " + v.value + " at '" + v.path + "' failed to satisfy constraint: " + v.rule
}

// maxViolations bounds the answer to a request that is wrong everywhere.
const maxViolations = 50

// validator walks one input.
type validator struct {
	service *Service
	found   []violation
}

// validate checks a bound input against the model.
func (s *Service) validate(p *plan, input reflect.Value) *fault.Error {
	v := validator{service: s}
	v.structure(p, input, nil, "")
	if len(v.found) == 0 {
		return nil
	}
	return s.violated(v.found)
}

// violated makes the service's error of the violations found.
func (s *Service) violated(found []violation) *fault.Error {
	if s.Protocol == EC2Query {
		first := &found[0]
		if first.missing {
			return fault.New("MissingParameter", "The request must contain the parameter %s", first.path)
		}
		return s.fault(invalid, "%s", first.text())
	}
	texts := make([]string, len(found))
	fields := make([]fault.Field, len(found))
	for i := range found {
		texts[i] = found[i].text()
		fields[i] = fault.Field{Name: found[i].path, Message: found[i].rule}
	}
	noun := "errors"
	if len(found) == 1 {
		noun = "error"
	}
	e := s.fault(invalid, "%d validation %s detected: %s", len(found), noun, strings.Join(texts, "; "))
	if slices.Contains(s.Errors[e.Code].Members, "fieldList") {
		e.Reason = reasonField
		e.Fields = fields
	}
	return e
}

func (v *validator) add(path, value, format string, args ...any) {
	if len(v.found) < maxViolations {
		v.found = append(v.found, violation{path: path, value: value, rule: fmt.Sprintf(format, args...)})
	}
}

func (v *validator) value(p *plan, value reflect.Value, shape, path string) {
	c := v.service.Constraints[shape]
	switch p.kind {
	case kindString:
		if c != nil {
			v.text(c, value.String(), path)
		}
	case kindInt:
		if c != nil {
			v.number(c, value.Int(), path)
		}
	case kindBytes:
		if c != nil {
			v.length(c, int64(value.Len()), "", path)
		}
	case kindStruct:
		v.structure(p, value, c, path)
	case kindList:
		v.list(p, value, c, path)
	case kindMap:
		v.mapping(p, value, c, path)
	}
}

func (v *validator) text(c *Constraint, value, path string) {
	shown := quoted(c, value)
	if len(c.Enum) > 0 && !slices.Contains(c.Enum, value) {
		v.add(path, shown, "Member must satisfy enum value set: [%s]", strings.Join(c.Enum, ", "))
	}
	v.length(c, int64(utf8.RuneCountInString(value)), shown, path)
	if !c.matches(value) {
		v.add(path, shown, "Member must satisfy regular expression pattern: %s", c.Pattern)
	}
}

func (v *validator) length(c *Constraint, n int64, shown, path string) {
	if c.HasMax && n > c.Max {
		v.add(path, shown, "Member must have length less than or equal to %d", c.Max)
	}
	if c.HasMin && n < c.Min {
		v.add(path, shown, "Member must have length greater than or equal to %d", c.Min)
	}
}

func (v *validator) number(c *Constraint, n int64, path string) {
	shown := "'" + strconv.FormatInt(n, 10) + "'"
	if c.HasMax && n > c.Max {
		v.add(path, shown, "Member must have value less than or equal to %d", c.Max)
	}
	if c.HasMin && n < c.Min {
		v.add(path, shown, "Member must have value greater than or equal to %d", c.Min)
	}
}

func (v *validator) structure(p *plan, value reflect.Value, c *Constraint, path string) {
	set := 0
	for i := range p.fields {
		f := &p.fields[i]
		inner := v.join(path, f.name)
		member, ok := f.get(value)
		if !ok {
			if f.required && len(v.found) < maxViolations {
				v.found = append(v.found, violation{path: inner, value: "null", rule: "Member must not be null", missing: true})
			}
			continue
		}
		set++
		v.value(f.plan, member, f.shape, inner)
	}
	if c != nil && c.Union && set != 1 {
		names := make([]string, len(p.fields))
		for i := range p.fields {
			names[i] = p.fields[i].name
		}
		v.add(path, "", "Member must have exactly one of [%s] set", strings.Join(names, ", "))
	}
}

func (v *validator) list(p *plan, value reflect.Value, c *Constraint, path string) {
	elem := ""
	if c != nil {
		v.length(c, int64(value.Len()), "", path)
		elem = c.Elem
	}
	for i := range value.Len() {
		v.value(p.elem, value.Index(i), elem, v.index(path, i))
	}
}

func (v *validator) mapping(p *plan, value reflect.Value, c *Constraint, path string) {
	if c == nil {
		return
	}
	v.length(c, int64(value.Len()), "", path)
	keys := value.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	for _, key := range keys {
		inner := path + "." + shorten(key.String())
		if rule := v.service.Constraints[c.Key]; rule != nil {
			v.text(rule, key.String(), inner)
		}
		v.value(p.elem, value.MapIndex(key), c.Value, inner)
	}
}

// join and index write paths as the services do: names of the body with dots
// and brackets in REST-JSON; in the query protocols lower-case first letters and
// the form's own list syntax, counted from one.
func (v *validator) join(path, name string) string {
	switch v.service.Protocol {
	case Query:
		name = strings.ToLower(name[:1]) + name[1:]
	case EC2Query:
		name = upperFirst(name)
	}
	if path == "" {
		return name
	}
	return path + "." + name
}

func (v *validator) index(path string, i int) string {
	switch v.service.Protocol {
	case Query:
		return path + "." + strconv.Itoa(i+1) + ".member"
	case EC2Query:
		return path + "." + strconv.Itoa(i+1)
	default:
		return path + "[" + strconv.Itoa(i) + "]"
	}
}

// quoted prints a value for a message, unless it is a secret.
func quoted(c *Constraint, value string) string {
	if c.Sensitive {
		return ""
	}
	return "'" + shorten(value) + "'"
}

// shorten keeps what a caller sent from filling the answer and the log.
func shorten(value string) string {
	const most = 256
	if len(value) <= most {
		return value
	}
	cut := most
	for cut > 0 && !utf8.RuneStart(value[cut]) {
		cut--
	}
	return value[:cut] + "…"
}

func upperFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
