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
	out := make([]StatementResult, len(c.doc.Statements))
	for _, list := range [][]statement{c.denies.statements, c.allows.statements} {
		for i := range list {
			s := &list[i]
			out[s.source.Index] = s.explain(c.doc, r)
		}
	}
	return out
}

func (s *statement) explain(d *Document, r *Request) StatementResult {
	deny := !s.source.Allow
	out := StatementResult{Index: s.source.Index, Sid: s.source.Sid, Effect: "Allow"}
	if deny {
		out.Effect = "Deny"
	}
	out.Line, _ = position(d.Text, s.source.Offset)
	if s.principals != nil {
		matched, _ := s.principal(r, deny)
		e := ElementResult{Element: "Principal", Matched: matched, Received: []string{r.Principal.Display()}, Present: true}
		entries := s.source.Principals
		if s.notPrincipal {
			e.Element, entries = "NotPrincipal", s.source.NotPrincipals
		}
		for _, p := range entries {
			e.Wanted = append(e.Wanted, p.Text.Text)
		}
		out.Elements = append(out.Elements, e)
	}
	action := ElementResult{Element: "Action", Matched: s.action(r), Wanted: texts(s.source.Actions), Received: []string{r.Action}, Present: true}
	if s.notActions {
		action.Element, action.Wanted = "NotAction", texts(s.source.NotActions)
	}
	out.Elements = append(out.Elements, action)
	if s.source.Resources != nil || s.source.NotResources != nil {
		e := ElementResult{
			Element: "Resource", Matched: s.resource(d.Kind, r, deny), Wanted: texts(s.source.Resources),
			Received: []string{r.Resource}, Present: true,
		}
		if s.notResources {
			e.Element, e.Wanted = "NotResource", texts(s.source.NotResources)
		}
		out.Elements = append(out.Elements, e)
	}
	for i := range s.conditions {
		c := &s.conditions[i]
		e := ElementResult{
			Element: "Condition", Operator: c.entry.Operator, Key: c.entry.Key, Wanted: texts(c.entry.Values),
			Matched: c.holds(r.Keys, deny),
		}
		v, present := r.Keys.Lookup(&c.key)
		e.Present = present
		switch {
		case !present:
			e.Received = []string{}
		case v.List || v.Repeated:
			e.Received = v.Many
		default:
			e.Received = []string{v.One}
		}
		out.Elements = append(out.Elements, e)
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
