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
	// Statement is the index of the statement; meaningless for NoMatch.
	Statement int
	// Grade is the best grade of an allow, GradeNone for kinds without principals.
	Grade Grade
}

// Match evaluates the document. It allocates nothing for documents without policy
// variables, and it always ends: an explicit deny that applies, else the most
// direct allow, else nothing.
func (c *Compiled) Match(r *Request) Match {
	kind := c.doc.Kind
	var best Match
	if c.denies.byName == nil {
		for i := range c.denies.statements {
			if s := &c.denies.statements[i]; s.denies(kind, r) {
				return Match{Verdict: ExplicitDeny, Statement: s.source.Index}
			}
		}
	} else {
		denies := c.denies.candidates(r)
		for s := denies.statement(); s != nil; s = denies.statement() {
			if s.denies(kind, r) {
				return Match{Verdict: ExplicitDeny, Statement: s.source.Index}
			}
		}
	}
	if c.allows.byName == nil {
		for i := range c.allows.statements {
			if c.allows.statements[i].allows(kind, r, &best) {
				break
			}
		}
		return best
	}
	allows := c.allows.candidates(r)
	for s := allows.statement(); s != nil; s = allows.statement() {
		if s.allows(kind, r, &best) {
			break
		}
	}
	return best
}

func (s *statement) denies(kind Kind, r *Request) bool {
	ok, _ := s.applies(kind, r, true)
	return ok
}

// allows notes in best what the statement allows, if that is more direct, and
// tells whether nothing can be more direct.
func (s *statement) allows(kind Kind, r *Request, best *Match) bool {
	ok, grade := s.applies(kind, r, false)
	if !ok || best.Verdict == Allow && grade <= best.Grade {
		return false
	}
	*best = Match{Verdict: Allow, Statement: s.source.Index, Grade: grade}
	return grade == GradeDirect || grade == GradeNone
}

// applies tells whether a statement matches. The cheapest tests come first.
func (s *statement) applies(kind Kind, r *Request, deny bool) (bool, Grade) {
	if !s.action(r) {
		return false, GradeNone
	}
	ok, grade := s.principal(r, deny)
	if !ok || !s.resource(kind, r, deny) {
		return false, GradeNone
	}
	for i := range s.conditions {
		if !s.conditions[i].holds(r.Keys, deny) {
			return false, GradeNone
		}
	}
	return true, grade
}

func (s *statement) action(r *Request) bool {
	for i := range s.actions {
		if s.actions[i].match(r.Action) {
			return !s.notActions
		}
	}
	return s.notActions
}
