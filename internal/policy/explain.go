package policy

// StatementResult is what came of one statement, element by element.
type StatementResult struct {
	Index   int    `json:"index"`
	Sid     string `json:"sid,omitzero"`
	Effect  string `json:"effect"`
	Line    int    `json:"line"`
	Matched bool   `json:"matched"`
	// Elements are in the order in which AWS documents name them.
	Elements []ElementResult `json:"elements"`
}

// ElementResult is what came of one element of a statement.
type ElementResult struct {
	Element string `json:"element"` // Principal, Action, Resource, Condition or their Not forms
	Matched bool   `json:"matched"`
	// Operator and Key are a condition's.
	Operator string   `json:"operator,omitzero"`
	Key      string   `json:"key,omitzero"`
	Wanted   []string `json:"wanted"`
	// Received holds the request's values; Present tells an absent key from an
	// empty one.
	Received []string `json:"received"`
	Present  bool     `json:"present"`
}

// Explain evaluates every element of every statement, in the document's order. It
// runs the same tests as Match, but stops at none of them.
func (c *Compiled) Explain(r *Request) []StatementResult {
	d := c.Document()
	e := evaluation{c: c, r: r, facts: &Facts{}}
	out := make([]StatementResult, len(d.Statements))
	for i := range d.Statements {
		out[i] = c.statements[i].explain(&e, d.Text, &d.Statements[i])
	}
	return out
}

func (s *statement) explain(e *evaluation, text string, src *Statement) StatementResult {
	r, deny := e.r, !s.allow
	out := StatementResult{Index: src.Index, Sid: src.Sid, Effect: "Allow"}
	if deny {
		out.Effect = "Deny"
	}
	out.Line, _ = position(text, src.Offset)
	if s.principals != nil {
		matched, _ := s.principal(r, deny)
		e := ElementResult{Element: "Principal", Matched: matched, Received: []string{r.Principal.Display()}, Present: true}
		entries := src.Principals
		if s.notPrincipal {
			e.Element, entries = "NotPrincipal", src.NotPrincipals
		}
		for _, p := range entries {
			e.Wanted = append(e.Wanted, p.Text.Text)
		}
		out.Elements = append(out.Elements, e)
	}
	action := ElementResult{Element: "Action", Matched: e.action(s), Wanted: texts(src.Actions), Received: []string{r.Action}, Present: true}
	if s.notActions {
		action.Element, action.Wanted = "NotAction", texts(src.NotActions)
	}
	out.Elements = append(out.Elements, action)
	if src.Resources != nil || src.NotResources != nil {
		e := ElementResult{
			Element: "Resource", Matched: s.resource(e.c.kind, r, deny), Wanted: texts(src.Resources),
			Received: []string{r.Resource}, Present: true,
		}
		if s.notResources {
			e.Element, e.Wanted = "NotResource", texts(src.NotResources)
		}
		out.Elements = append(out.Elements, e)
	}
	for i, id := range s.conditions {
		entry := &src.Conditions[i]
		c := ElementResult{
			Element: "Condition", Operator: entry.Operator, Key: entry.Key, Wanted: texts(entry.Values),
			Matched: e.holds(id, deny), Received: []string{},
		}
		v, present := r.Keys.Lookup(&e.c.conditions[id].key)
		c.Present = present
		switch {
		case !present:
		case v.List || v.Repeated:
			c.Received = v.Many
		default:
			c.Received = []string{v.One}
		}
		out.Elements = append(out.Elements, c)
	}
	out.Matched = true
	for _, e := range out.Elements {
		out.Matched = out.Matched && e.Matched
	}
	return out
}

func texts(list []Text) []string {
	out := make([]string, len(list))
	for i, t := range list {
		out[i] = t.Text
	}
	return out
}
