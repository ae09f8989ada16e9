package policy

import (
	"cmp"
	"hash/maphash"
	"slices"
)

// Facts are what the indexes of documents ask of a request: hashes of the names of
// its caller, of its action and of the parts of its resource. Each is found when it
// is first asked for, and a decision on several documents shares them. Hashes only
// choose which statements are tested, so two texts with one hash cost time alone.
//
// The zero Facts are ready. They are of one request, which must not change until
// Reset, and of one goroutine.
type Facts struct {
	known  uint8
	names  [callerNames]uint64
	action uint64
	vendor uint64
	// The parts of the resource: the few that resources have, or if there are more,
	// many.
	few   [20]part
	count int
	many  []part
	// distinct are many without those whose text there is before.
	distinct []part
}

// The groups of facts.
const (
	knowsNames uint8 = 1 << iota
	knowsAction
	knowsParts
	knowsDistinct
)

// Reset makes f ready for another request.
func (f *Facts) Reset() { f.known = 0 }

// seed is of this process, so that nobody outside can find texts with one hash.
var seed = maphash.MakeSeed()

func hash(s string) uint64 { return filled(maphash.String(seed, s)) }

// filled keeps a hash from being 0, which stands for none.
func filled(h uint64) uint64 {
	return max(h, 1)
}

// callerNames is how many names a caller has at most.
const callerNames = 5

// callers are the hashes of how statements may name the caller; 0 for none.
func (f *Facts) callers(r *Request) *[callerNames]uint64 {
	if f.known&knowsNames == 0 {
		f.known |= knowsNames
		for i, name := range names(r.Principal) {
			f.names[i] = 0
			if name != "" {
				f.names[i] = hash(name)
			}
		}
	}
	return &f.names
}

// actions are the hashes of the action and of its service, without regard to case.
func (f *Facts) actions(r *Request) (action, vendor uint64) {
	if f.known&knowsAction == 0 {
		f.known |= knowsAction
		var buf [64]byte
		lowered := buf[:0]
		colon := len(r.Action)
		for i := range len(r.Action) {
			if r.Action[i] == ':' && i < colon {
				colon = i
			}
			lowered = append(lowered, lower(r.Action[i]))
		}
		f.action = filled(maphash.Bytes(seed, lowered))
		f.vendor = filled(maphash.Bytes(seed, lowered[:colon]))
	}
	return f.action, f.vendor
}

// part is what is between two of the ':' and '/' of a resource: the offsets of its
// first byte and of the byte after its last, and its hash once it was asked for.
type part struct {
	start, end int32
	hash       uint64
}

// resource gives the parts of the request's resource.
func (f *Facts) resource(r *Request) []part {
	if f.known&knowsParts == 0 {
		f.known |= knowsParts
		f.split(r.Resource)
	}
	if f.many != nil {
		return f.many
	}
	return f.few[:f.count]
}

// distinctParts gives the parts of the request's resource, of many each text once: a client
// that repeats a part does not have the same statements tested as often.
func (f *Facts) distinctParts(r *Request) []part {
	parts := f.resource(r)
	if f.many == nil {
		return parts
	}
	if f.known&knowsDistinct == 0 {
		f.known |= knowsDistinct
		f.distinct = append(f.distinct[:0], parts...)
		for i := range f.distinct {
			f.distinct[i].of(r.Resource)
		}
		slices.SortFunc(f.distinct, func(a, b part) int { return cmp.Compare(a.hash, b.hash) })
		f.distinct = slices.CompactFunc(f.distinct, func(a, b part) bool { return a.hash == b.hash })
	}
	return f.distinct
}

func (f *Facts) split(resource string) {
	f.many, f.count = nil, 0
	start := 0
	for i := 0; i < len(resource); i++ {
		if isDelimiter(resource[i]) {
			f.add(part{start: int32(start), end: int32(i)})
			start = i + 1
		}
	}
	f.add(part{start: int32(start), end: int32(len(resource))})
}

func (f *Facts) add(p part) {
	switch {
	case f.count < len(f.few):
		f.few[f.count] = p
		f.count++
	case f.many == nil:
		f.many = append(append(make([]part, 0, 4*len(f.few)), f.few[:]...), p)
	default:
		f.many = append(f.many, p)
	}
}

func isDelimiter(c byte) bool { return c == ':' || c == '/' }

// probe is a question on the parts of a resource. A pattern that can only match
// resources with a certain answer is filed under that answer.
type probe struct {
	where where
	// n counts parts from the start or from the end, from 0.
	n uint16
	// size is that of the beginning of a part that is asked for.
	size uint16
}

// where is which part of a resource a probe asks for.
type where uint8

const (
	fromStart where = iota
	fromEnd
	anywhere
	beginning // of the part that is n-th from the start
)

// mix makes the hash of a text that of an answer to p.
func (p probe) mix(h uint64) uint64 {
	return filled(h ^ (uint64(p.where)<<32|uint64(p.n)<<16|uint64(p.size)+1)*0x9e3779b97f4a7c15)
}

// ask gives the answer of a resource to p, which is not for any part; 0 for none.
func (p probe) ask(resource string, parts []part) uint64 {
	n := int(p.n)
	if p.where == fromEnd {
		n = len(parts) - 1 - n
	}
	if n < 0 || n >= len(parts) {
		return 0
	}
	if p.where != beginning {
		return p.mix(parts[n].of(resource))
	}
	text := resource[parts[n].start:parts[n].end]
	if len(text) < int(p.size) {
		return 0
	}
	return p.mix(hash(text[:p.size]))
}

// of is the hash of a part of a resource.
func (p *part) of(resource string) uint64 {
	if p.hash == 0 {
		p.hash = hash(resource[p.start:p.end])
	}
	return p.hash
}

// answer is what resources that a pattern matches have in common.
type answer struct {
	probe probe
	key   uint64
}

// answers lists what every resource that a pattern matches has for parts. Variables
// count as wildcards. The list is empty for a pattern that tells nothing, like "*".
func answers(pattern []token) []answer {
	first, last, delimiters := len(pattern), -1, 0
	text := make([]byte, len(pattern))
	for i, t := range pattern {
		text[i] = t.text()
		switch {
		case isWildcard(t):
			first, last = min(first, i), i
		case isDelimiter(text[i]):
			delimiters++
		}
	}
	var out []answer
	add := func(p probe, start, end int) {
		if start < end { // Nearly every ARN has empty parts.
			out = append(out, answer{p, p.mix(filled(maphash.Bytes(seed, text[start:end])))})
		}
	}
	start, n := 0, 0
	for i := 0; i <= len(pattern) && n < 1<<15; i++ {
		if i < len(pattern) && (isWildcard(pattern[i]) || !isDelimiter(text[i])) {
			continue
		}
		switch {
		case i <= first:
			add(probe{where: fromStart, n: uint16(n)}, start, i)
		case start <= first:
			if size := first - start; size < 1<<15 {
				add(probe{where: beginning, n: uint16(n), size: uint16(size)}, start, first)
			}
		case start > last && delimiters-n < 1<<15:
			add(probe{where: fromEnd, n: uint16(delimiters - n)}, start, i)
		case !slices.ContainsFunc(pattern[start:i], isWildcard):
			add(probe{where: anywhere}, start, i)
		}
		start = i + 1
		n++
	}
	return out
}

func isWildcard(t token) bool { return t == tokenStar || t == tokenAny }
