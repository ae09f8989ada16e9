package authz_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/latchwork/latchwork/internal/identity"
	"github.com/latchwork/latchwork/internal/policy"
	"github.com/latchwork/latchwork/internal/policy/random"
	"github.com/latchwork/latchwork/internal/policy/reference"
)

// change compares the answers to random questions with those to the questions that they
// become when something changes. with tells whether it changed anything.
func change(t *testing.T, with func(*random.Maker, *reference.Question) bool, holds func(before, after reference.Answer) bool) {
	t.Helper()
	t.Parallel()
	seed, questions, changed, allowed := rand.Uint64(), uint64(1500), 0, 0
	if testing.Short() {
		questions /= 10
	}
	for n := range questions {
		m := random.NewMaker(seed, n)
		l, err := m.Layers(n%2 == 0)
		if err != nil {
			t.Fatal(err)
		}
		for range 8 {
			q := m.Question(l)
			other := random.Copy(q)
			if !with(m, &other) {
				continue
			}
			before, err := worldOf(q.Caller).decide(q)
			if err != nil {
				t.Fatal(err)
			}
			after, err := worldOf(other.Caller).decide(other)
			if err != nil {
				t.Fatal(err)
			}
			if !holds(before, after) {
				t.Fatalf("seed %d, policies %d: %+v became %+v\n%s\nand changed\n%s", seed, n, before, after, shown(q), shown(other))
			}
			changed++
			if before.Allowed {
				allowed++
			}
		}
	}
	if changed < int(questions) || allowed == 0 {
		t.Errorf("%d of %d questions were changed, %d were allowed before: that shows nothing", changed, 8*questions, allowed)
	}
}

// noMore tells whether nothing is allowed that was not.
func noMore(before, after reference.Answer) bool { return before.Allowed || !after.Allowed }

func same(before, after reference.Answer) bool { return before == after }

// rewritten changes the statements of one policy of a question.
func rewritten(m *random.Maker, q *reference.Question, change func(*policy.Document) []policy.Statement) bool {
	all := random.Policies(q)
	if len(all) == 0 {
		return false
	}
	p := random.Pick(m, all...)
	if p.Document == nil {
		return false
	}
	d := *p.Document
	if d.Statements = change(p.Document); len(d.Statements) == 0 {
		return false
	}
	parsed, err := random.Parsed(&d)
	if err != nil {
		panic(err) // It has no statements but legal ones.
	}
	p.Document = parsed
	return true
}

// TestMoreDenies: a deny that is added to a policy of any layer allows nothing.
func TestMoreDenies(t *testing.T) {
	change(t, func(m *random.Maker, q *reference.Question) bool {
		return rewritten(m, q, func(d *policy.Document) []policy.Statement {
			return slices.Insert(slices.Clone(d.Statements), m.IntN(len(d.Statements)+1), m.Statement(d, false))
		})
	}, noMore)
}

// TestFewerAllows: an allow that is taken from a policy of any layer allows nothing.
func TestFewerAllows(t *testing.T) {
	change(t, func(m *random.Maker, q *reference.Question) bool {
		return rewritten(m, q, func(d *policy.Document) []policy.Statement {
			at := m.IntN(len(d.Statements))
			if !d.Statements[at].Allow {
				return nil
			}
			return slices.Delete(slices.Clone(d.Statements), at, at+1)
		})
	}, noMore)
}

// TestOrderOfStatements: their order in a policy of any layer changes no answer.
func TestOrderOfStatements(t *testing.T) {
	change(t, func(m *random.Maker, q *reference.Question) bool {
		return rewritten(m, q, func(d *policy.Document) []policy.Statement { return shuffled(m, d.Statements) })
	}, same)
}

func shuffled[T any](m *random.Maker, list []T) []T {
	out := slices.Clone(list)
	m.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// TestOrderOfPolicies: the order of the policies of a layer changes no answer, nor does
// that of the levels of service control policies.
func TestOrderOfPolicies(t *testing.T) {
	change(t, func(m *random.Maker, q *reference.Question) bool {
		c := &q.Caller
		c.Identity, c.Session, c.Control = shuffled(m, c.Identity), shuffled(m, c.Session), shuffled(m, c.Control)
		for i := range c.Control {
			c.Control[i] = shuffled(m, c.Control[i])
		}
		return len(c.Identity)+len(c.Session)+len(c.Control) > 1
	}, same)
}

// TestMoreLimits: a permissions boundary, a session policy or a level of service control
// policies allows nothing. A federated user without a session policy has no permissions,
// and gets some by one.
func TestMoreLimits(t *testing.T) {
	change(t, func(m *random.Maker, q *reference.Question) bool {
		c := &q.Caller
		one := func(kind policy.Kind) reference.Policy {
			d, err := random.Parsed(m.Document(kind))
			if err != nil {
				panic(err)
			}
			return reference.Policy{Document: d}
		}
		switch m.IntN(3) {
		case 0:
			if c.Boundary != nil {
				return false
			}
			p := one(policy.Boundary)
			c.Boundary = &p
		case 1:
			if len(c.Session) > 0 || q.Principal.Kind != identity.AssumedRole {
				return false
			}
			c.Session = []reference.Policy{one(policy.Session)}
		default:
			c.Control = append(c.Control, []reference.Policy{one(policy.ServiceControl)})
		}
		return true
	}, noMore)
}

// TestGone: nothing is allowed to a caller because his user or role is gone.
func TestGone(t *testing.T) {
	change(t, func(_ *random.Maker, q *reference.Question) bool {
		gone := q.Caller.Gone
		q.Caller.Gone = true
		return !gone
	}, noMore)
}
