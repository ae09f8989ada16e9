package snapshot

import "github.com/latchwork/latchwork/internal/policy"

// New is the snapshot with nothing in it, for what is stated and not stored: tests of
// policies and simulations decide on one by the same functions as everything else.
func New(settings *Settings) *Snapshot {
	return &Snapshot{settings: settings, sessions: &sessions{known: map[string]*Policy{}}}
}

// Stated is a user or role with the policies that are said to apply to it.
type Stated struct {
	Entity
	// Policies are all its identity policies, those of its groups too.
	Policies []*Policy
	// Boundary is nil for one without a permissions boundary.
	Boundary *Policy
}

// With is the snapshot with a stated user or role in place of the stored one of that
// ARN.
func (s *Snapshot) With(e Stated) *Snapshot {
	made := e.Entity
	made.inline, made.attached, made.groups, made.boundary = e.Policies, nil, nil, ""
	made.bounds = e.Boundary
	entities := edit(s.entities)
	entities.set(made.ARN, &made)
	next := *s
	next.entities = entities.done()
	return &next
}

// WithManaged is the snapshot with a stated managed policy in place of the stored one
// of that ARN.
func (s *Snapshot) WithManaged(p *Policy) *Snapshot {
	managed := edit(s.managed)
	managed.set(p.ARN, p)
	next := *s
	next.managed = managed.done()
	return &next
}

// Compile makes a policy that is not stored: of a session, of the configuration, or
// stated. One that cannot be compiled has a Problem, and denies.
func Compile(kind policy.Kind, name, text string) *Policy {
	p := &Policy{Name: name, Text: text}
	var doc *policy.Document
	if doc, p.Problem = policy.Parse(kind, text); p.Problem == nil {
		p.Compiled, p.Problem = policy.Compile(doc)
	}
	return p
}
