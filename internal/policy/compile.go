package policy

// Compiled is a document ready to be evaluated. It is immutable and shared.
type Compiled struct {
	doc *Document
	// denies come before allows: an explicit deny ends an evaluation.
	denies, allows indexed
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
			c.allows.statements = append(c.allows.statements, s)
		} else {
			c.denies.statements = append(c.denies.statements, s)
		}
	}
	c.denies.index()
	c.allows.index()
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
