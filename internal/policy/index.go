package policy

import (
	"slices"
	"strings"

	"github.com/latchwork/latchwork/internal/identity"
)

// indexed is a list of statements in the document's order, with an index of whom
// they name or, for kinds without principals, of which service's actions. What it
// buys: a policy with a statement for each of a hundred roles, or of a hundred
// services, costs a few lookups and not a hundred comparisons.
type indexed struct {
	statements []statement
	// byName holds for a name the statements that have it; always holds those that
	// may apply whatever the names are. byName is nil for a short list, where each
	// statement is tested.
	byName map[string][]int32
	always []int32
	// vendors says that the names are those of services.
	vendors bool
}

// fewStatements is where an index begins to be faster.
const fewStatements = 4

func (x *indexed) index() {
	if len(x.statements) <= fewStatements {
		return
	}
	x.byName = map[string][]int32{}
	x.vendors = x.statements[0].principals == nil
	for i := range x.statements {
		s := &x.statements[i]
		names, any := s.principalNames()
		if x.vendors {
			names, any = s.vendors()
		}
		if any {
			x.always = append(x.always, int32(i))
			continue
		}
		for _, name := range names {
			x.byName[name] = append(x.byName[name], int32(i))
		}
	}
}

// principalNames are the names of the principals of a statement; any is true if it
// may apply to everybody.
func (s *statement) principalNames() (names []string, any bool) {
	if s.principals == nil || s.notPrincipal || s.principals.everybody {
		return nil, true
	}
	for _, set := range []*textSet{&s.principals.accounts, &s.principals.arns, &s.principals.ids, &s.principals.services, &s.principals.federated} {
		names = slices.AppendSeq(names, set.all)
	}
	return names, false
}

// vendors are the services of a statement's actions; any is true if it may apply
// to actions of all.
func (s *statement) vendors() (names []string, any bool) {
	if s.notActions {
		return nil, true
	}
	for i := range s.actions {
		// Of a pattern without wildcard before its ':' the prefix has the ':'.
		vendor, _, ok := strings.Cut(s.actions[i].prefix, ":")
		if !ok {
			return nil, true
		}
		if vendor = lowerASCII(vendor); !slices.Contains(names, vendor) {
			names = append(names, vendor)
		}
	}
	return names, false
}

// names says how a statement may name a caller: it is the other side of
// principals.match, which has the last word.
func names(who *identity.Principal) [5]string {
	if who.IsAnonymous() {
		return [5]string{}
	}
	if who.Kind == identity.Service {
		return [5]string{who.Name}
	}
	out := [5]string{who.ARN, "", who.IssuerID, who.Account}
	if who.IssuerARN != who.ARN {
		out[1] = who.IssuerARN
	}
	if who.Session != nil {
		out[4] = who.Session.FederatedProvider
	}
	return out
}

// cursor walks the statements of an index that may apply to a caller, in the
// document's order.
type cursor struct {
	x     *indexed
	lists [6][]int32
	used  int
}

func (x *indexed) candidates(r *Request) cursor {
	c := cursor{x: x}
	c.add(x.always)
	if x.vendors {
		vendor, _, _ := strings.Cut(r.Action, ":")
		c.add(x.byName[lowerVendor(vendor)])
		return c
	}
	for _, name := range names(r.Principal) {
		if name != "" {
			c.add(x.byName[name])
		}
	}
	return c
}

// lowerVendor is the name of a service in lower case, as an index has it. All names
// are so already but those in a simulated request.
func lowerVendor(vendor string) string {
	for i := range len(vendor) {
		if lower(vendor[i]) != vendor[i] {
			return lowerASCII(vendor)
		}
	}
	return vendor
}

func (c *cursor) add(list []int32) {
	if len(list) > 0 {
		c.lists[c.used] = list
		c.used++
	}
}

// statement is the next one; nil at the end.
func (c *cursor) statement() *statement {
	first := int32(-1)
	for i := range c.used {
		if list := c.lists[i]; len(list) > 0 && (first < 0 || list[0] < first) {
			first = list[0]
		}
	}
	if first < 0 {
		return nil
	}
	for i := range c.used {
		// A statement may name the caller in several ways, or twice in one.
		for len(c.lists[i]) > 0 && c.lists[i][0] == first {
			c.lists[i] = c.lists[i][1:]
		}
	}
	return &c.x.statements[first]
}
