package policy

import (
	"cmp"
	"slices"
	"strings"
)

// ContextKeys lists the condition keys that the document's conditions test and its
// variables stand for, each once, in the order and spelling of their first place.
func (d *Document) ContextKeys() []Key {
	type place struct {
		key    Key
		offset int
	}
	var found []place
	add := func(text Text) {
		if !d.variables() {
			return
		}
		for at := strings.Index(text.Text, "${"); at >= 0 && at < len(text.Text); at++ {
			name, size := variable(text.Text[at:])
			if size == 0 || name == "*" || name == "?" || name == "$" {
				continue
			}
			if key := parseVariable(name).key; key.Text != "" {
				found = append(found, place{key, text.Offset + at})
			}
			at += size - 1
		}
	}
	for i := range d.Statements {
		s := &d.Statements[i]
		for _, text := range slices.Concat(s.Resources, s.NotResources) {
			add(text)
		}
		for _, c := range s.Conditions {
			found = append(found, place{ParseKey(c.Key), c.Offset})
			for _, text := range c.Values {
				add(text)
			}
		}
	}
	slices.SortStableFunc(found, func(a, b place) int { return cmp.Compare(a.offset, b.offset) })
	var out []Key
	seen := map[string]bool{}
	for _, p := range found {
		if !seen[p.key.Name] {
			seen[p.key.Name] = true
			out = append(out, p.key)
		}
	}
	return out
}
