package policy

import (
	"cmp"
	"slices"
	"strings"

	"github.com/latchwork/latchwork/internal/identity"
)

// An index finds the statements of one effect that may be about a request. It is a
// tree: a branch files its statements by whom they name, by what every resource that
// they match has for parts, or by their actions, whichever leaves the fewest to
// test, and those that are filed under one answer are filed by the rest. What it
// buys: a document with a statement for each of ten thousand roles, paths or actions
// costs a few look-ups and not ten thousand comparisons.
//
// A branch only chooses. Whatever it finds is tested in full, and statements of which
// nothing can be said are tested always.
type index struct {
	branches []branch
	root     ref
}

// branch has statements that are always tested, or if by is set, those that are filed
// under the answers to its questions, and the rest of them.
type branch struct {
	always []int32
	by     dimension
	probes []probe // of a branch by resource
	filed  table
	rest   ref
}

// ref is a statement, or if it is negative, the branch ^ref. nothing is none.
type ref int32

const nothing ref = 1<<31 - 1

// dimension is what statements are filed by; several are a set of bits.
type dimension uint8

const (
	byNothing  dimension = 0
	byCaller   dimension = 1
	byResource dimension = 2
	byAction   dimension = 4
)

// fewStatements is where an index begins to be faster. Once one is asked, its questions
// are answered, and a second costs less.
const (
	fewStatements     = 4
	fewMoreStatements = 1
)

// enough is how many statements are so few to test that no other way to file them is
// looked for.
const enough = 2

// maxProbes bounds the questions that a branch asks: each costs a look-up.
const maxProbes = 8

// table finds by a hash what is filed under it. It is a plain hash table with open
// addressing, because keys are hashes already, and a map would hash them again.
type table struct {
	keys []uint64 // 0 is free
	refs []ref
}

func newTable(size int) table {
	capacity := 4
	for capacity < 2*size {
		capacity *= 2
	}
	return table{make([]uint64, capacity), make([]ref, capacity)}
}

func (t *table) slot(key uint64) int {
	i := int(key) & (len(t.keys) - 1)
	for t.keys[i] != key && t.keys[i] != 0 {
		i = (i + 1) & (len(t.keys) - 1)
	}
	return i
}

func (t *table) put(key uint64, r ref) {
	i := t.slot(key)
	t.keys[i], t.refs[i] = key, r
}

func (t *table) get(key uint64) ref {
	i := t.slot(key)
	if t.keys[i] == 0 {
		return nothing
	}
	return t.refs[i]
}

// indexer builds the index of one effect.
type indexer struct {
	c        *Compiled
	branches []branch
	// resources are the answers for each list of resources, by its first entry:
	// statements share lists.
	resources map[*resource][][]answer
	// few statements are not filed.
	few int
}

func (c *compiler) index() {
	var denies, allows []int32
	for i := range c.out.statements {
		if c.out.statements[i].allow {
			allows = append(allows, int32(i))
		} else {
			denies = append(denies, int32(i))
		}
	}
	x := &indexer{c: c.out, resources: map[*resource][][]answer{}, few: fewStatements}
	if max(len(denies), len(allows)) > fewStatements {
		x.few = fewMoreStatements
	}
	c.out.denies = x.index(denies)
	c.out.allows = x.index(allows)
}

func (x *indexer) index(statements []int32) index {
	x.branches = nil
	root := x.build(statements, byCaller|byResource|byAction)
	return index{branches: x.branches, root: root}
}

// filing is how a list of statements would be filed by a dimension.
type filing struct {
	by     dimension
	probes []probe
	filed  map[uint64][]int32
	rest   []int32
	// tested is how many statements are tested for a request that some statement
	// is about, on average.
	tested int
}

func (x *indexer) build(statements []int32, dimensions dimension) ref {
	switch {
	case len(statements) == 0:
		return nothing
	case len(statements) == 1:
		return ref(statements[0])
	}
	var best *filing
	if len(statements) > x.few {
		for _, by := range []dimension{byCaller, byAction, byResource} {
			if dimensions&by == 0 || best != nil && best.tested <= enough {
				continue
			}
			if f := x.file(statements, by); best == nil || f.tested < best.tested {
				best = f
			}
		}
	}
	at := len(x.branches)
	if best == nil || best.tested > len(statements)/2 {
		x.branches = append(x.branches, branch{always: statements, rest: nothing})
		return ^ref(at)
	}
	x.branches = append(x.branches, branch{})
	n := branch{by: best.by, probes: best.probes, filed: newTable(len(best.filed))}
	dimensions &^= best.by
	for key, list := range best.filed {
		n.filed.put(key, x.build(list, dimensions))
	}
	n.rest = x.build(best.rest, dimensions)
	x.branches[at] = n
	return ^ref(at)
}

func (x *indexer) file(statements []int32, by dimension) *filing {
	f := &filing{by: by, filed: map[uint64][]int32{}}
	var chosen map[*resource][]answer
	if by == byResource {
		chosen, f.probes = x.choose(statements)
	}
	var keys []uint64
	for _, id := range statements {
		s := &x.c.statements[id]
		keys = keys[:0]
		switch by {
		case byCaller:
			keys = s.callers(keys)
		case byAction:
			keys = s.vendors(keys)
		case byResource:
			if !s.anyResource && !s.notResources {
				for _, a := range chosen[&s.resources[0]] {
					keys = append(keys, a.key)
				}
			}
		}
		if len(keys) == 0 {
			f.rest = append(f.rest, id)
			continue
		}
		for _, key := range keys {
			if list := f.filed[key]; len(list) == 0 || list[len(list)-1] != id {
				f.filed[key] = append(list, id)
			}
		}
	}
	entries, sum := 0, 0
	for _, list := range f.filed {
		entries += len(list)
		sum += len(list) * len(list)
	}
	f.tested = len(f.rest)
	if entries > 0 {
		f.tested += sum / entries
	}
	return f
}

// choose gives for each list of resources the answers to file it under, one for each
// of its patterns: those that the fewest statements have. A list with a pattern that
// tells nothing has none.
func (x *indexer) choose(statements []int32) (chosen map[*resource][]answer, probes []probe) {
	having := map[uint64]int{}
	var lists []*resource
	for _, id := range statements {
		s := &x.c.statements[id]
		if s.anyResource || s.notResources {
			continue
		}
		list := &s.resources[0]
		if _, ok := x.resources[list]; !ok {
			all := make([][]answer, len(s.resources))
			for i := range s.resources {
				all[i] = s.resources[i].answers(x.c.kind)
			}
			x.resources[list] = all
		}
		for _, pattern := range x.resources[list] {
			for _, a := range pattern {
				having[a.key]++
			}
		}
		lists = append(lists, list)
	}
	rarest := func(pattern []answer, allowed func(probe) bool) (best answer, ok bool) {
		for _, a := range pattern {
			if allowed(a.probe) && (!ok || having[a.key] < having[best.key]) {
				best, ok = a, true
			}
		}
		return best, ok
	}
	pick := func(allowed func(probe) bool) (map[*resource][]answer, map[probe]int) {
		picked, used := map[*resource][]answer{}, map[probe]int{}
		for _, list := range lists {
			if _, done := picked[list]; done {
				continue
			}
			picked[list] = nil
			var out []answer
			for _, pattern := range x.resources[list] {
				if a, ok := rarest(pattern, allowed); ok {
					out = append(out, a)
				}
			}
			if len(out) < len(x.resources[list]) {
				continue
			}
			for _, a := range out {
				used[a.probe]++
			}
			picked[list] = out
		}
		return picked, used
	}
	chosen, used := pick(func(probe) bool { return true })
	probes = mostUsed(used)
	if len(used) > maxProbes {
		chosen, _ = pick(func(p probe) bool { return slices.Contains(probes, p) })
	}
	return chosen, probes
}

// mostUsed are the probes that are used most, at most maxProbes.
func mostUsed(used map[probe]int) []probe {
	probes := make([]probe, 0, len(used))
	for p := range used {
		probes = append(probes, p)
	}
	slices.SortFunc(probes, func(a, b probe) int {
		return cmp.Or(cmp.Compare(used[b], used[a]), cmp.Compare(a.where, b.where), cmp.Compare(a.n, b.n), cmp.Compare(a.size, b.size))
	})
	return probes[:min(len(probes), maxProbes)]
}

// callers appends the hashes of the names of a statement's principals; none if it may
// apply to everybody.
func (s *statement) callers(keys []uint64) []uint64 {
	if s.principals == nil || s.notPrincipal || s.principals.everybody {
		return keys
	}
	for _, set := range []*textSet{&s.principals.accounts, &s.principals.arns, &s.principals.ids, &s.principals.services, &s.principals.federated} {
		for _, name := range set.few {
			keys = append(keys, hash(name))
		}
		for name := range set.many {
			keys = append(keys, hash(name))
		}
	}
	return keys
}

// vendors appends the hashes of a statement's actions, or of the services of those
// with wildcards; none if it may apply to actions of all services.
func (s *statement) vendors(keys []uint64) []uint64 {
	if s.notActions {
		return keys
	}
	start := len(keys)
	for i := range s.actions {
		a := &s.actions[i]
		if a.shape == exact {
			keys = append(keys, hash(lowerASCII(a.text)))
			continue
		}
		// Of a pattern without wildcard before its ':' the prefix has the ':'.
		vendor, _, ok := strings.Cut(a.prefix(), ":")
		if !ok {
			return keys[:start]
		}
		keys = append(keys, hash(lowerASCII(vendor)))
	}
	return keys
}

// names says how a statement may name a caller: it is the other side of
// principals.match, which has the last word.
func names(who *identity.Principal) [callerNames]string {
	if who.IsAnonymous() {
		return [callerNames]string{}
	}
	if who.Kind == identity.Service {
		return [callerNames]string{who.Name}
	}
	out := [callerNames]string{who.ARN, "", who.IssuerID, who.Account}
	if who.IssuerARN != who.ARN {
		out[1] = who.IssuerARN
	}
	if who.Session != nil {
		out[4] = who.Session.FederatedProvider
	}
	return out
}

// visit tests a statement, or those of a branch that may be about the request.
func (x *index) visit(at ref, e *evaluation) {
	switch {
	case at < 0:
		x.walk(&x.branches[^at], e)
	case at != nothing:
		e.test(int32(at))
	}
}

func (x *index) walk(b *branch, e *evaluation) {
	switch b.by {
	case byNothing:
		for _, id := range b.always {
			e.test(id)
		}
		return
	case byCaller:
		for _, key := range e.facts.callers(e.r) {
			if key != 0 {
				x.visit(b.filed.get(key), e)
			}
		}
	case byAction:
		action, vendor := e.facts.actions(e.r)
		x.visit(b.filed.get(action), e)
		x.visit(b.filed.get(vendor), e)
	case byResource:
		parts := e.facts.resource(e.r)
		for _, p := range b.probes {
			if p.where == anywhere {
				different := e.facts.distinctParts(e.r)
				for i := range different {
					x.visit(b.filed.get(p.mix(different[i].of(e.r.Resource))), e)
				}
			} else if key := p.ask(e.r.Resource, parts); key != 0 {
				x.visit(b.filed.get(key), e)
			}
		}
	}
	x.visit(b.rest, e)
}
