package policy

import (
	"fmt"
	"slices"
	"strings"
)

// Warning is something in a document that is legal and probably not meant.
type Warning struct {
	Statement int    `json:"statement"`
	Sid       string `json:"sid,omitzero"`
	Code      string `json:"code"`
	Message   string `json:"message"`
	Offset    int    `json:"offset"`
	Line      int    `json:"line"`
	Column    int    `json:"column"`
}

// MiscasedKeys lists the condition keys of VPC Lattice whose spelling is not that
// of AWS's documents. They compare all the same.
func MiscasedKeys(d *Document) []Warning {
	l := linter{doc: d}
	for i := range d.Statements {
		for _, c := range d.Statements[i].Conditions {
			k := ParseKey(c.Key)
			if strings.HasPrefix(k.Name, "vpc-lattice-svcs:") && k.ID != SvcsRequestHeader && k.Canonical() != c.Key ||
				k.ID == SvcsRequestHeader && !strings.HasPrefix(c.Key, keyNames[SvcsRequestHeader]) {
				l.warn(&d.Statements[i], c.Offset, "miscased-key", "the condition key %s is spelled %s", c.Key, k.Canonical())
			}
		}
	}
	return l.out
}

// Lint lists what a writer of the document probably did not mean.
func Lint(d *Document) []Warning {
	l := linter{doc: d, out: MiscasedKeys(d)}
	for i := range d.Statements {
		s := &d.Statements[i]
		l.principals(s)
		l.actions(s)
		l.resources(s)
		l.conditions(s)
		l.variables(s)
		if d.Kind == AuthPolicy && s.Allow {
			l.everybody(s)
		}
		if d.Kind == Trust && s.Allow {
			l.subjects(s)
		}
	}
	return l.out
}

type linter struct {
	doc *Document
	out []Warning
}

func (l *linter) warn(s *Statement, offset int, code, format string, args ...any) {
	w := Warning{Statement: s.Index, Sid: s.Sid, Code: code, Message: fmt.Sprintf(format, args...), Offset: offset}
	w.Line, w.Column = position(l.doc.Text, offset)
	l.out = append(l.out, w)
}

func (l *linter) principals(s *Statement) {
	if l.doc.Kind != AuthPolicy {
		return
	}
	for _, list := range [][]PrincipalEntry{s.Principals, s.NotPrincipals} {
		for _, p := range list {
			switch {
			case p.Type == "Service" || p.Type == "Federated" || p.Type == "CanonicalUser":
				l.warn(s, p.Offset, "principal-never-matches", "no caller of a VPC Lattice service is the %s principal %s", p.Type, p.Text.Text)
			case p.Bare && p.Type == "AWS":
				l.warn(s, p.Offset, "bare-account", `an account alone is no principal of the policy grammar: write {"AWS":"%s"}`, p.Text.Text)
			}
		}
	}
}

// subjects warns of a trust in an identity provider that is not for some of its
// subjects: a cluster has a provider, and all its service accounts have tokens.
func (l *linter) subjects(s *Statement) {
	for _, p := range s.Principals {
		_, issuer, ok := strings.Cut(p.Text.Text, ":oidc-provider/")
		if p.Type != "Federated" || !ok {
			continue
		}
		bound := slices.ContainsFunc(s.Conditions, func(c ConditionEntry) bool {
			op, _ := parseOperator(c.Operator)
			return strings.EqualFold(c.Key, issuer+":sub") && !op.negated && !op.ifExists && op.set != forAll
		})
		if !bound {
			l.warn(s, p.Offset, "any-subject", `whoever has a token of %[1]s may take the role: add {"StringEquals":{"%[1]s:sub":"…"}}`, issuer)
		}
	}
}

// variables warns of variables that stand for nothing.
func (l *linter) variables(s *Statement) {
	check := func(v Text) {
		if !strings.Contains(v.Text, "${") {
			return
		}
		if !l.doc.variables() {
			l.warn(s, v.Offset, "variable-is-text", `%q is compared as it is: variables need "Version": "2012-10-17"`, v.Text)
			return
		}
		for _, p := range parseTemplate(v.Text, false) {
			switch {
			case p.variable && (p.key.Text == "" || strings.ContainsAny(p.key.Text, " \t${")):
				l.warn(s, v.Offset, "bad-variable", "%q has a variable without a name that can be one", v.Text)
			case p.variable && p.comma && !p.has:
				l.warn(s, v.Offset, "bad-variable", "the default value of ${%s} in %q needs single quotes: ${%s, 'value'}", p.key.Text, v.Text, p.key.Text)
			case p.variable && lists[p.key.Name]:
				l.warn(s, v.Offset, "bad-variable", "%s is a list and has no one value to put in the place of ${%s}", p.key.Text, p.key.Text)
			}
		}
	}
	for _, list := range [][]Text{s.Resources, s.NotResources} {
		for _, r := range list {
			check(r)
		}
	}
	for i := range s.Conditions {
		for _, v := range s.Conditions[i].Values {
			check(v)
		}
	}
}

// svcsActions are the actions of the data plane.
// Source: Service Authorization Reference, Amazon VPC Lattice Services.
var svcsActions = []string{"vpc-lattice-svcs:Invoke", "vpc-lattice-svcs:Connect"}

func (l *linter) actions(s *Statement) {
	for _, a := range append(s.Actions, s.NotActions...) {
		if strings.TrimSpace(a.Text) != a.Text || strings.ContainsAny(a.Text, ", \t") {
			l.warn(s, a.Offset, "action-never-matches", "the action %q has white space or a comma in it and matches nothing", a.Text)
			continue
		}
		vendor, _, _ := strings.Cut(a.Text, ":")
		if !strings.EqualFold(vendor, "vpc-lattice-svcs") {
			continue
		}
		known := false
		for _, action := range svcsActions {
			known = known || glob(a.Text, action, true)
		}
		if !known {
			l.warn(s, a.Offset, "unknown-action", "%q matches no action: the actions are %s", a.Text, strings.Join(svcsActions, " and "))
		}
	}
}

func (l *linter) resources(s *Statement) {
	if l.doc.Kind != AuthPolicy {
		return
	}
	for _, r := range append(s.Resources, s.NotResources...) {
		parts := strings.SplitN(r.Text, ":", 6)
		if len(parts) == 6 && strings.HasPrefix(parts[5], "service/") && !strings.ContainsAny(parts[5][len("service/"):], "/*?") {
			l.warn(s, r.Offset, "bare-service-arn", "%s matches no HTTP request, whose resource is the ARN and the path: add /*", r.Text)
		}
	}
}

func (l *linter) conditions(s *Statement) {
	for i := range s.Conditions {
		c := &s.Conditions[i]
		k := ParseKey(c.Key)
		op, _ := parseOperator(c.Operator)
		if op.family == familyARN {
			l.arns(s, c)
		}
		switch {
		case lists[k.Name] && op.set == noSet && op.family != familyNull:
			l.warn(s, c.Offset, "list-key", "%s is a list, which %s never matches: write ForAnyValue:%s or ForAllValues:%s", c.Key, c.Operator, c.Operator, c.Operator)
		case strings.HasPrefix(k.Name, "vpc-lattice-svcs:") && k.ID == Other:
			l.warn(s, c.Offset, "unknown-key", "there is no condition key %s: it is absent from every request", c.Key)
		case k.Name == "aws:sourcevpc" || k.Name == "aws:sourcevpce" || k.Name == "aws:vpcsourceip":
			if l.doc.Kind == AuthPolicy {
				l.warn(s, c.Offset, "key-never-present", "%s is absent from requests to VPC Lattice services: use vpc-lattice-svcs:SourceVpc", c.Key)
			}
		case (k.ID == PrincipalAccount || k.ID == UserID) && op.family == familyLike && hasStar(c.Values):
			l.warn(s, c.Offset, "anonymous-has-key", "%s is \"anonymous\" for unsigned requests, so %s \"*\" does not demand a signature: test aws:PrincipalType", c.Key, c.Operator)
		case k.ID == SvcsRequestQueryString && op.set == noSet:
			l.warn(s, c.Offset, "multivalued-key", "a query key can come several times: write ForAnyValue:%s or ForAllValues:%s to say what is meant", c.Operator, c.Operator)
		case op.set == forAll && s.Allow && op.family != familyNull:
			l.warn(s, c.Offset, "forallvalues-absent", "ForAllValues holds if %s is absent: add a Null condition to an Allow", c.Key)
		}
	}
}

// arns warns of operands of ARN operators that are the ARN of nothing.
func (l *linter) arns(s *Statement, c *ConditionEntry) {
	for _, v := range c.Values {
		t := template(nil)
		if l.doc.variables() {
			t = parseTemplate(v.Text, true)
		}
		if t == nil && compileARN(v.Text).never || t != nil && !t.isARN() {
			l.warn(s, v.Offset, "operand-is-no-arn", "%q has not the six parts of an ARN and matches nothing", v.Text)
		}
	}
}

func hasStar(values []Text) bool {
	for _, v := range values {
		if v.Text == "*" {
			return true
		}
	}
	return false
}

// everybody warns of an Allow that lets unsigned requests in.
func (l *linter) everybody(s *Statement) {
	open := false
	for _, p := range s.Principals {
		open = open || p.Text.Text == "*"
	}
	if !open {
		return
	}
	for i := range s.Conditions {
		// A condition on who the caller is can only be met by a signed request,
		// but for the keys that anonymous callers have too.
		k := ParseKey(s.Conditions[i].Key)
		op, _ := parseOperator(s.Conditions[i].Operator)
		switch k.ID {
		case PrincipalType:
			return
		case PrincipalARN, PrincipalOrgID, PrincipalOrgPaths, PrincipalTag, Username, PrincipalIsAWSService:
			if !op.negated && !op.ifExists && op.set != forAll {
				return
			}
		}
	}
	l.warn(s, s.Offset, "anonymous-allowed", `Principal "*" includes callers who do not sign: add {"StringNotEqualsIgnoreCase":{"aws:PrincipalType":"anonymous"}} to demand a signature`)
}
