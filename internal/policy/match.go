package policy

import "github.com/latchwork/latchwork/internal/identity"

// Request is the whole of what a decision is made on.
type Request struct {
	Principal *identity.Principal
	Action    string
	Resource  string
	Keys      Keys
	// HasBoundary tells whether the caller has a permissions boundary: a Deny with
	// NotPrincipal then applies whoever it names.
	// Source: IUG, "Permissions boundaries for IAM entities".
	HasBoundary bool
}

// Verdict is what one document says.
type Verdict uint8

// The verdicts. The zero Verdict allows nothing.
const (
	NoMatch Verdict = iota
	Allow
	ExplicitDeny
)

func (v Verdict) String() string {
	switch v {
	case Allow:
		return "allow"
	case ExplicitDeny:
		return "explicit deny"
	}
	return "no match"
}

// Match is what a document says of a request, and the statement that decided. The
// zero Match is: nothing, so no.
type Match struct {
	Verdict Verdict
	// Statement is the index of the statement, the first in the document if several
	// decide alike; meaningless for NoMatch.
	Statement int
	// Grade is the best grade of an allow, GradeNone for kinds without principals.
	Grade Grade
}

// Match evaluates the document. It always ends: an explicit deny that applies, else
// the most direct allow, else nothing.
func (c *Compiled) Match(r *Request) Match {
	var f Facts
	return c.MatchKnowing(r, &f)
}

// MatchKnowing is Match for one of several documents that are asked the same: f are
// facts of r, and remember what the documents before have asked. It allocates nothing
// for resources of up to 20 parts and for variables with values of up to 128 bytes.
func (c *Compiled) MatchKnowing(r *Request, f *Facts) Match {
	e := evaluation{c: c, r: r, facts: f}
	c.denies.visit(c.denies.root, &e)
	if e.best.Verdict != ExplicitDeny {
		c.allows.visit(c.allows.root, &e)
	}
	return e.best
}

// evaluation is one document being asked one request.
type evaluation struct {
	c     *Compiled
	r     *Request
	facts *Facts
	best  Match
	// actions are those of the statement before, which mostly are those of the next
	// one too, and acted is whether one of them is the request's.
	actions *pattern
	acted   bool
	// held remembers two bits for a condition that several statements have: whether
	// it was tested, and whether it held.
	held [maxRemembered / 32]uint64
}

// maxRemembered is how many conditions an evaluation remembers.
const maxRemembered = 128

// test tests a statement and notes what it says, if that changes the answer.
func (e *evaluation) test(id int32) {
	s := &e.c.statements[id]
	if !s.allow {
		if e.best.Verdict == ExplicitDeny && int(id) >= e.best.Statement {
			return
		}
		if ok, _ := s.applies(e, true); ok {
			e.best = Match{Verdict: ExplicitDeny, Statement: int(id)}
		}
		return
	}
	if e.best.Verdict == Allow && int(id) >= e.best.Statement && (e.best.Grade == GradeDirect || e.best.Grade == GradeNone) {
		return
	}
	ok, grade := s.applies(e, false)
	if !ok || e.best.Verdict == Allow && (grade < e.best.Grade || grade == e.best.Grade && int(id) >= e.best.Statement) {
		return
	}
	e.best = Match{Verdict: Allow, Statement: int(id), Grade: grade}
}

// applies tells whether a statement matches. The cheapest tests come first.
func (s *statement) applies(e *evaluation, deny bool) (bool, Grade) {
	if !e.action(s) {
		return false, GradeNone
	}
	ok, grade := s.principal(e.r, deny)
	if !ok || !s.resource(e.c.kind, e.r, deny) {
		return false, GradeNone
	}
	for _, id := range s.conditions {
		if !e.holds(id, deny) {
			return false, GradeNone
		}
	}
	return true, grade
}

// holds tells whether a condition of the document holds. One that several statements
// have is evaluated once.
func (e *evaluation) holds(id int32, deny bool) bool {
	c := &e.c.conditions[id]
	if c.remembered < 0 {
		return c.holds(e.r.Keys, deny)
	}
	word, shift := c.remembered/32, uint(c.remembered%32)*2
	switch e.held[word] >> shift & 3 {
	case 1:
		return false
	case 2:
		return true
	}
	held := c.holds(e.r.Keys, deny)
	if held {
		e.held[word] |= 2 << shift
	} else {
		e.held[word] |= 1 << shift
	}
	return held
}

// action tells whether a statement is about the action of the request.
func (e *evaluation) action(s *statement) bool {
	if e.actions != &s.actions[0] {
		e.actions, e.acted = &s.actions[0], false
		for i := range s.actions {
			if s.actions[i].match(e.r.Action) {
				e.acted = true
				break
			}
		}
	}
	return e.acted != s.notActions
}
