// Package reference says what policies mean, as slowly and as literally as AWS's
// documents do: it is the specification of packages policy and authz, in a form that
// can be run. It shares nothing with them but the parsed document, the principal and
// the words of the answer; tests hold them against it.
//
// "IUG" is the IAM User Guide. Where AWS does not say, docs/divergences.md does.
package reference

import (
	"slices"
	"strings"

	"github.com/latchwork/latchwork/internal/identity"
	"github.com/latchwork/latchwork/internal/policy"
)

// Request is what is asked of a document.
type Request struct {
	Principal *identity.Principal
	Action    string
	Resource  string
	// Keys are the condition keys that are there, in any spelling; a key that is not
	// in the map is absent.
	Keys map[string][]string
	// Boundary tells whether the caller has a permissions boundary.
	Boundary bool
}

// truth is what is known of a statement, an element or a condition. Where nobody can
// say whether it holds it is maybe, and only at the end of a statement does maybe
// become what denies.
type truth int

const (
	no truth = iota
	maybe
	yes
)

func is(b bool) truth {
	if b {
		return yes
	}
	return no
}

func not(t truth) truth { return yes - t }

// evaluation is one document and one request.
type evaluation struct {
	*policy.Document
	Request
	// keys has the request's by the form of their names that compares.
	keys map[string][]string
	// variables tells whether ${…} stands for a value.
	// Source: IUG, "IAM JSON policy elements: Version": not without 2012-10-17.
	variables bool
}

func begin(d *policy.Document, r Request) *evaluation {
	e := &evaluation{Document: d, Request: r, keys: map[string][]string{}, variables: d.Version == "2012-10-17"}
	for name, values := range r.Keys {
		e.keys[keyName(name)] = values
	}
	return e
}

// Evaluate says what one document says: an explicit deny if a Deny applies, else an
// allow if an Allow does, by the one that names the caller most directly, else
// nothing. Of several that would do, the first one is named.
// Source: IUG, "Policy evaluation logic".
func Evaluate(d *policy.Document, r Request) policy.Match {
	e := begin(d, r)
	var out policy.Match
	for i := range d.Statements {
		s := &d.Statements[i]
		applies, grade := e.statement(s)
		switch {
		case !applies || out.Verdict == policy.ExplicitDeny:
		case !s.Allow:
			out = policy.Match{Verdict: policy.ExplicitDeny, Statement: i}
		case out.Verdict == policy.NoMatch || grade > out.Grade:
			out = policy.Match{Verdict: policy.Allow, Statement: i, Grade: grade}
		}
	}
	return out
}

// statement tells whether a statement applies, and how directly it names the caller.
// It applies if its principal, action, resource and each of its conditions do. Where
// nobody can say, a Deny applies and an Allow does not.
func (e *evaluation) statement(s *policy.Statement) (bool, policy.Grade) {
	fits, grade := e.principal(s)
	for _, element := range []func(*policy.Statement) truth{e.action, e.resource, e.conditions} {
		if fits != no { // What does not fit will not fit any more.
			fits = min(fits, element(s))
		}
	}
	return applied(s, fits), grade
}

func (e *evaluation) conditions(s *policy.Statement) truth {
	result := yes
	for i := range s.Conditions {
		result = min(result, e.condition(&s.Conditions[i], !s.Allow))
	}
	return result
}

// applied is what becomes of maybe.
func applied(s *policy.Statement, t truth) bool { return t == yes || t == maybe && !s.Allow }

// Elements is what came of a statement, element by element.
type Elements struct {
	Principal, Action, Resource bool
	Conditions                  []bool
}

// Explain says what came of one statement of a document.
func Explain(d *policy.Document, statement int, r Request) Elements {
	e, s := begin(d, r), &d.Statements[statement]
	named, _ := e.principal(s)
	out := Elements{
		Principal: applied(s, named), Action: applied(s, e.action(s)), Resource: applied(s, e.resource(s)),
		Conditions: make([]bool, len(s.Conditions)),
	}
	for i := range s.Conditions {
		out.Conditions[i] = applied(s, e.condition(&s.Conditions[i], !s.Allow))
	}
	return out
}

// action tells whether the action is one of Action, or none of NotAction. Actions
// compare without regard to case, and '*' and '?' are wildcards anywhere.
// Source: IUG, "IAM JSON policy elements: Action" and "NotAction".
func (e *evaluation) action(s *policy.Statement) truth {
	asked := characters(lowerASCII(e.Action))
	for _, a := range slices.Concat(s.Actions, s.NotActions) {
		if like(plain(lowerASCII(a.Text), true), asked) {
			return is(s.NotActions == nil)
		}
	}
	return is(s.NotActions != nil)
}

// lowerASCII: the names of actions are ASCII.
func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}
