package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Finding is something in a document that is legal and probably not meant.
type Finding struct {
	Statement int    `json:"statement"`
	Sid       string `json:"sid,omitzero"`
	// Code is that of a Rule.
	Code    string `json:"code"`
	Message string `json:"message"`
	// Fix says what to write instead.
	Fix    string `json:"fix"`
	Offset int    `json:"offset"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
}

// MiscasedKeys lists the condition keys of VPC Lattice whose spelling is not that
// of AWS's documents. They compare all the same.
func MiscasedKeys(d *Document) []Finding {
	l := linter{doc: d}
	for i := range d.Statements {
		for _, c := range d.Statements[i].Conditions {
			k := ParseKey(c.Key)
			if strings.HasPrefix(k.Name, "vpc-lattice-svcs:") && k.ID != SvcsRequestHeader && k.Canonical() != c.Key ||
				k.ID == SvcsRequestHeader && !strings.HasPrefix(c.Key, keyNames[SvcsRequestHeader]) {
				l.find(&d.Statements[i], c.Offset, "miscased-key", "write "+k.Canonical(), "the condition key %s is spelled %s", c.Key, k.Canonical())
			}
		}
	}
	return l.out
}

// Lint lists what a writer of the document probably did not mean, in order of the
// places.
func Lint(d *Document) []Finding {
	l := linter{doc: d, out: MiscasedKeys(d)}
	for i := range d.Statements {
		s := &d.Statements[i]
		l.principals(s)
		l.everybody(s)
		l.actions(s)
		l.resources(s)
		l.conditions(s)
		l.together(s)
		l.variables(s)
	}
	l.size()
	slices.SortStableFunc(l.out, func(a, b Finding) int { return cmp.Compare(a.Offset, b.Offset) })
	return l.out
}

// LintFile is Lint for a text as a file has it, which may be sent as it is.
func LintFile(d *Document) []Finding {
	l := linter{doc: d, out: Lint(d)}
	if offset, found := FindNewline(d.Text); found && d.Kind == AuthPolicy {
		l.find(nil, offset, "newline", "take the line breaks out, as tr -d '\\n' does, or run the server with conformance: observed",
			"an auth policy must not contain line breaks: put-auth-policy refuses it")
	}
	return l.out
}

type linter struct {
	doc *Document
	out []Finding
}

// find notes a finding in a statement; of the whole document if it is nil.
func (l *linter) find(s *Statement, offset int, code, fix, format string, args ...any) {
	f := Finding{Code: code, Message: fmt.Sprintf(format, args...), Fix: fix, Offset: offset}
	if s != nil {
		f.Statement, f.Sid = s.Index, s.Sid
	}
	f.Line, f.Column = position(l.doc.Text, offset)
	l.out = append(l.out, f)
}

// Size counts what IAM counts against its quotas: characters that are not white space.
// Source: IUG, "IAM and AWS STS quotas", IAM name requirements and character limits.
func Size(text string) int {
	n := 0
	for _, r := range text {
		if !unicode.IsSpace(r) {
			n++
		}
	}
	return n
}

// counted is the size of the document as its service counts it.
// Source: as Size; VPC Lattice User Guide, "Quotas"; AWS Organizations User Guide,
// "Quotas".
func (d *Document) counted() int {
	switch d.Kind {
	case ServiceControl:
		return len(d.Text)
	case AuthPolicy:
		compact, _ := Compact(d.Text) // The document was parsed: it is JSON.
		return len(compact)
	}
	return Size(d.Text)
}

// sizes are the most that a document of a kind can be anywhere: of an identity policy
// as an inline policy of a role.
var sizes = map[Kind]int{Identity: 10240, Boundary: 6144, Session: 2048, Trust: 4096, AuthPolicy: 10240, ServiceControl: 5120}

func (l *linter) size() {
	if most, size := sizes[l.doc.Kind], l.doc.counted(); most > 0 && size > most {
		l.find(nil, 0, "too-long", "make several policies of it, or use wildcards", "the %s is %d characters long, and AWS stores %d at most", l.doc.Kind, size, most)
	}
}

// variables tells of variables that stand for nothing.
func (l *linter) variables(s *Statement) {
	check := func(v Text) {
		if !strings.Contains(v.Text, "${") {
			return
		}
		if !l.doc.variables() {
			l.find(s, v.Offset, "variable-is-text", `add "Version": "2012-10-17"`, "%q is compared as it is: variables need a Version", v.Text)
			return
		}
		for _, p := range parseTemplate(v.Text, false) {
			switch {
			case p.variable && (p.key.Text == "" || strings.ContainsAny(p.key.Text, " \t${")):
				l.find(s, v.Offset, "bad-variable", "name a condition key, such as ${aws:username}", "%q has a variable without a name that can be one", v.Text)
			case p.variable && p.comma && !p.has:
				l.find(s, v.Offset, "bad-variable", fmt.Sprintf("write ${%s, 'value'}", p.key.Text), "the default value of ${%s} in %q needs single quotes", p.key.Text, v.Text)
			case p.variable && lists[p.key.Name]:
				l.find(s, v.Offset, "bad-variable", "test the key with ForAnyValue or ForAllValues", "%s is a list and has no one value to put in the place of ${%s}", p.key.Text, p.key.Text)
			}
		}
	}
	for _, r := range slices.Concat(s.Resources, s.NotResources) {
		check(r)
	}
	for i := range s.Conditions {
		for _, v := range s.Conditions[i].Values {
			check(v)
		}
	}
}
