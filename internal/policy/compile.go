package policy

// Compiled is a document ready to be evaluated. It is immutable and shared. It keeps
// the document's text and not the Document, which takes several times the memory
// and which only explanations need.
type Compiled struct {
	kind Kind
	text string
	// statements are in the document's order; denies and allows index them.
	statements     []statement
	conditions     []condition
	denies, allows index
}

// statement is one statement. What equal statements have in common they share: in a
// long document most actions, principals and conditions are there many times.
type statement struct {
	actions    []pattern
	resources  []resource
	principals *principals // nil for a kind without them
	conditions []int32     // of the document
	allow      bool
	// The Not forms of the elements.
	notActions, notResources, notPrincipal bool
	anyResource                            bool // "*", or a kind without resources
}

// Compile makes a document ready. It fails for nothing that Parse accepts; the
// error is for rules that only the whole document shows.
func Compile(d *Document) (*Compiled, error) {
	c := &compiler{
		d:     d,
		out:   &Compiled{kind: d.Kind, text: d.Text, statements: make([]statement, len(d.Statements))},
		known: shared{},
	}
	conditions := 0
	for i := range d.Statements {
		conditions += len(d.Statements[i].Conditions)
	}
	c.ids = make([]int32, 0, conditions)
	for i := range d.Statements {
		c.statement(&c.out.statements[i], &d.Statements[i])
	}
	remembered := int32(0)
	for i := range c.out.conditions {
		c.out.conditions[i].remembered = -1
		if c.uses[i] > 1 && remembered < maxRemembered {
			c.out.conditions[i].remembered = remembered
			remembered++
		}
	}
	c.index()
	return c.out, nil
}

// Kind of the document.
func (c *Compiled) Kind() Kind { return c.kind }

// Document is what c was compiled from, parsed again.
func (c *Compiled) Document() *Document {
	d, _ := Parse(c.kind, c.text) // It was parsed before, and parsing is pure.
	return d
}

type compiler struct {
	d     *Document
	out   *Compiled
	known shared
	// uses counts for each condition how many statements have it.
	uses []int
	// key is where the keys of known are made, and ids is where those of conditions
	// are kept until they are all known.
	key []byte
	ids []int32
}

// shared finds what was compiled before by the texts it was compiled from.
type shared struct {
	actions    map[string][]pattern
	resources  map[string][]resource
	principals map[string]*principals
	conditions map[string]int32
}

// once compiles what a key stands for, if that was not done before.
func once[V any](known *map[string]V, key []byte, compile func() V) V {
	if v, ok := (*known)[string(key)]; ok {
		return v
	}
	v := compile()
	if *known == nil {
		*known = map[string]V{}
	}
	(*known)[string(key)] = v
	return v
}

func (c *compiler) statement(s *statement, src *Statement) {
	s.allow = src.Allow
	actions := src.Actions
	if actions == nil {
		actions, s.notActions = src.NotActions, true
	}
	s.actions = once(&c.known.actions, c.textsKey(actions), func() []pattern {
		out := make([]pattern, len(actions))
		for i, a := range actions {
			out[i] = compilePattern(a.Text, true) // Actions compare without regard to case.
		}
		return out
	})
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
	}
	if !s.anyResource {
		s.resources = once(&c.known.resources, c.textsKey(resources), func() []resource {
			out := make([]resource, len(resources))
			for i, r := range resources {
				out[i] = compileResource(c.d, r.Text)
			}
			return out
		})
	}
	if c.d.Kind.hasPrincipal() {
		entries := src.Principals
		if entries == nil {
			entries, s.notPrincipal = src.NotPrincipals, true
		}
		s.principals = once(&c.known.principals, c.principalsKey(entries), func() *principals { return compilePrincipals(entries) })
	}
	first := len(c.ids)
	for i := range src.Conditions {
		c.ids = append(c.ids, c.condition(&src.Conditions[i], src.Allow))
	}
	s.conditions = c.ids[first:len(c.ids):len(c.ids)]
}

// condition compiles a condition of a statement with an effect, which may decide
// whether the condition holds.
func (c *compiler) condition(src *ConditionEntry, allow bool) int32 {
	key := append(append(c.textsKey(src.Values), src.Operator...), endOfText)
	key = append(append(key, src.Key...), endOfText)
	if allow {
		key = append(key, 'a')
	}
	id := once(&c.known.conditions, key, func() int32 {
		c.out.conditions = append(c.out.conditions, compileCondition(src, c.d.variables()))
		c.uses = append(c.uses, 0)
		return int32(len(c.out.conditions) - 1)
	})
	c.uses[id]++
	return id
}

// endOfText is between the texts of a key: no text of a document has it, for it is never
// part of UTF-8.
const endOfText = 0xFF

// textsKey is a key for a list of texts.
func (c *compiler) textsKey(list []Text) []byte {
	c.key = c.key[:0]
	for _, t := range list {
		c.key = append(append(c.key, t.Text...), endOfText)
	}
	return c.key
}

func (c *compiler) principalsKey(entries []PrincipalEntry) []byte {
	c.key = c.key[:0]
	for _, e := range entries {
		c.key = append(append(c.key, e.Type...), endOfText)
		c.key = append(append(c.key, e.Text.Text...), endOfText)
	}
	return c.key
}
