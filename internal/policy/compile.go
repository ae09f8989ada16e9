package policy

import (
	"strings"

	"github.com/latchwork/latchwork/internal/identity"
)

// Compiled is a document ready to be evaluated. It is immutable and shared.
type Compiled struct {
	doc *Document
	// denies come before allows: an explicit deny ends an evaluation.
	denies, allows []statement
}

type statement struct {
	source       *Statement
	actions      []pattern
	notActions   bool
	resources    []resource
	notResources bool
	anyResource  bool // "*", or a kind without resources
	principals   *principals
	notPrincipal bool
	conditions   []condition
}

// Compile makes a document ready. It fails for nothing that Parse accepts; the
// error is for rules that only the whole document shows.
func Compile(d *Document) (*Compiled, error) {
	c := &Compiled{doc: d}
	for i := range d.Statements {
		s := compileStatement(d, &d.Statements[i])
		if s.source.Allow {
			c.allows = append(c.allows, s)
		} else {
			c.denies = append(c.denies, s)
		}
	}
	return c, nil
}

// Document is what c was compiled from.
func (c *Compiled) Document() *Document { return c.doc }

func compileStatement(d *Document, src *Statement) statement {
	s := statement{source: src}
	actions := src.Actions
	if actions == nil {
		actions, s.notActions = src.NotActions, true
	}
	for _, a := range actions {
		// Actions compare without regard to case.
		s.actions = append(s.actions, compilePattern(a.Text, true))
	}
	resources := src.Resources
	if resources == nil && src.NotResources != nil {
		resources, s.notResources = src.NotResources, true
	}
	if resources == nil {
		s.anyResource = true // A trust policy speaks of its own role.
	}
	for _, r := range resources {
		if r.Text == "*" && !s.notResources {
			s.anyResource = true
		}
		s.resources = append(s.resources, compileResource(d, r.Text))
	}
	if d.Kind.hasPrincipal() {
		entries := src.Principals
		if entries == nil {
			entries, s.notPrincipal = src.NotPrincipals, true
		}
		s.principals = compilePrincipals(entries)
	}
	for i := range src.Conditions {
		s.conditions = append(s.conditions, compileCondition(&src.Conditions[i], d.variables()))
	}
	return s
}

// principals are the entries of Principal or NotPrincipal.
type principals struct {
	everybody bool
	accounts  map[string]bool
	arns      map[string]bool
	ids       map[string]bool
	services  map[string]bool
	federated map[string]bool
}

func compilePrincipals(entries []PrincipalEntry) *principals {
	p := &principals{}
	add := func(m *map[string]bool, key string) {
		if *m == nil {
			*m = map[string]bool{}
		}
		(*m)[key] = true
	}
	for _, e := range entries {
		text := e.Text.Text
		switch e.Type {
		case "*":
			p.everybody = true
		case "AWS":
			switch {
			case text == "*":
				p.everybody = true
			case isAccount(text):
				add(&p.accounts, text)
			case isUniqueID(text):
				add(&p.ids, text)
			default:
				parts := strings.SplitN(text, ":", 6)
				if parts[5] == "root" {
					add(&p.accounts, parts[4])
				} else {
					add(&p.arns, text)
				}
			}
		case "Service":
			add(&p.services, text)
		case "Federated":
			add(&p.federated, text)
		}
	}
	return p
}

// Grade is how directly a statement names the caller; a greater one is more
// direct. Outside of VPC Lattice it decides what a resource policy alone can
// allow.
// Source: IUG, "Policy evaluation logic" and "AWS JSON policy elements: Principal".
type Grade uint8

// The grades.
const (
	GradeNone       Grade = iota
	GradeAccount          // the caller's account: delegates to its identity policies
	GradeParentUser       // the user who made a federated session
	GradeRole             // the role of a role session
	GradeDirect           // everybody, or the caller itself
)

func (p *principals) match(who *identity.Principal) Grade {
	if p.everybody {
		return GradeDirect
	}
	if who.IsAnonymous() {
		return GradeNone
	}
	switch who.Kind {
	case identity.Service:
		if p.services[who.Name] {
			return GradeDirect
		}
		return GradeNone
	case identity.FederatedUser:
		if who.Session != nil && p.federated[who.Session.FederatedProvider] {
			return GradeDirect
		}
	}
	switch {
	case p.arns[who.ARN] && who.Kind != identity.Root:
		return GradeDirect
	case p.arns[who.IssuerARN] || p.ids[who.IssuerID]:
		switch who.Kind {
		case identity.AssumedRole:
			return GradeRole
		case identity.FederatedUser:
			return GradeParentUser
		default:
			return GradeDirect
		}
	case p.accounts[who.Account]:
		return GradeAccount
	}
	return GradeNone
}
