package policy_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/latchwork/latchwork/internal/policy"
	"github.com/latchwork/latchwork/internal/policy/random"
	"github.com/latchwork/latchwork/internal/policy/reference"
)

// policies calls holds for random policies.
func policies(t *testing.T, holds func(*random.Maker, *policy.Compiled) error) {
	t.Helper()
	t.Parallel()
	seed, number := rand.Uint64(), uint64(2000)
	if testing.Short() {
		number /= 10
	}
	for n := range number {
		m := random.NewMaker(seed, n)
		c, err := written(m.Document(random.Kinds[n%uint64(len(random.Kinds))]))
		if err != nil {
			t.Fatal(err)
		}
		if err := holds(m, c); err != nil {
			t.Fatalf("seed %d, policy %d: %v\n%s", seed, n, err, c.Document().Text)
		}
	}
}

// written is a document after it was written, read and compiled.
func written(d *policy.Document) (*policy.Compiled, error) {
	parsed, err := random.Parsed(d)
	if err != nil {
		return nil, err
	}
	return policy.Compile(parsed)
}

// change compares what random policies say with what they say when their statements are
// changed.
func change(t *testing.T, with func(*random.Maker, *policy.Document) []policy.Statement, holds func(before, after policy.Match) bool) {
	t.Helper()
	policies(t, func(m *random.Maker, c *policy.Compiled) error {
		d := *c.Document()
		if d.Statements = with(m, c.Document()); len(d.Statements) == 0 {
			return nil
		}
		other, err := written(&d)
		if err != nil {
			return err
		}
		for range 8 {
			r, _ := m.Request(c.Document())
			before, after := c.Match(random.Query(&r)), other.Match(random.Query(&r))
			if !holds(before, after) {
				return fmt.Errorf("%+v became %+v with\n%s\n%s", before, after, random.Text(&d), asked(&r))
			}
		}
		return nil
	})
}

func asked(r *reference.Request) string {
	return fmt.Sprintf("%s on %q by %+v, boundary %t\nkeys %q", r.Action, r.Resource, *r.Principal, r.Boundary, r.Keys)
}

// same tells whether two policies say the same, by whichever statement.
func same(before, after policy.Match) bool {
	return after.Verdict == before.Verdict && after.Grade == before.Grade
}

// TestMoreDenies: a deny that is added, wherever it stands, allows nothing.
func TestMoreDenies(t *testing.T) {
	change(t, func(m *random.Maker, d *policy.Document) []policy.Statement {
		return slices.Insert(slices.Clone(d.Statements), m.IntN(len(d.Statements)+1), m.Statement(d, false))
	}, func(before, after policy.Match) bool {
		return after.Verdict == policy.ExplicitDeny || same(before, after)
	})
}

// TestFewerAllows: an allow that is taken away allows nothing.
func TestFewerAllows(t *testing.T) {
	change(t, func(m *random.Maker, d *policy.Document) []policy.Statement {
		at := m.IntN(len(d.Statements))
		if !d.Statements[at].Allow {
			return nil
		}
		return slices.Delete(slices.Clone(d.Statements), at, at+1)
	}, func(before, after policy.Match) bool {
		return same(before, after) || before.Verdict == policy.Allow && (after.Verdict == policy.NoMatch || after.Grade < before.Grade)
	})
}

// TestOrder: no order matters, of statements, entries, operators or values.
func TestOrder(t *testing.T) {
	change(t, func(m *random.Maker, d *policy.Document) []policy.Statement {
		out := shuffled(m, d.Statements)
		for i := range out {
			s := &out[i]
			for _, texts := range []*[]policy.Text{&s.Actions, &s.NotActions, &s.Resources, &s.NotResources} {
				*texts = shuffled(m, *texts)
			}
			s.Conditions = shuffled(m, s.Conditions)
			for j := range s.Conditions {
				s.Conditions[j].Values = shuffled(m, s.Conditions[j].Values)
			}
			// In a text those of one operator stand together.
			slices.SortStableFunc(s.Conditions, func(a, b policy.ConditionEntry) int { return strings.Compare(b.Operator, a.Operator) })
		}
		return out
	}, same)
}

func shuffled[T any](m *random.Maker, list []T) []T {
	out := slices.Clone(list)
	m.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// TestApart: a statement says what statements for each of its actions, resources and
// principals say.
func TestApart(t *testing.T) {
	change(t, func(_ *random.Maker, d *policy.Document) []policy.Statement {
		if len(d.Statements) > 20 {
			return nil
		}
		out := apart(d.Statements, func(s *policy.Statement) *[]policy.Text { return &s.Actions })
		out = apart(out, func(s *policy.Statement) *[]policy.Text { return &s.Resources })
		return apart(out, func(s *policy.Statement) *[]policy.PrincipalEntry { return &s.Principals })
	}, same)
}

// apart makes a statement for each entry of an element.
func apart[T any](list []policy.Statement, element func(*policy.Statement) *[]T) []policy.Statement {
	var out []policy.Statement
	for _, s := range list {
		entries := *element(&s)
		if len(entries) == 0 {
			out = append(out, s)
		}
		for _, e := range entries {
			*element(&s) = []T{e}
			out = append(out, s)
		}
	}
	return out
}

// TestWiderResources: an Allow for every resource denies nothing that it allowed for
// some.
func TestWiderResources(t *testing.T) {
	change(t, func(_ *random.Maker, d *policy.Document) []policy.Statement {
		if d.Kind == policy.Trust {
			return nil
		}
		out := slices.Clone(d.Statements)
		for i := range out {
			if s := &out[i]; s.Allow {
				s.Resources, s.NotResources = []policy.Text{{Text: "*"}}, nil
			}
		}
		return out
	}, func(before, after policy.Match) bool {
		return same(before, after) || after.Verdict == policy.Allow && (before.Verdict == policy.NoMatch || after.Grade > before.Grade)
	})
}

// TestOtherKeys: a key that a policy does not name changes nothing.
func TestOtherKeys(t *testing.T) {
	policies(t, func(m *random.Maker, c *policy.Compiled) error {
		for range 8 {
			r, _ := m.Request(c.Document())
			before := c.Match(random.Query(&r))
			r.Keys = maps.Clone(r.Keys)
			maps.Copy(r.Keys, map[string][]string{"aws:SourceVpc": {""}, "aws:TagKeysOf": {"a", "b"}, "vpc-lattice-svcs:RequestQueryString/q": {"b"}})
			if after := c.Match(random.Query(&r)); after != before {
				return fmt.Errorf("with keys of no concern %+v became %+v\n%s", before, after, asked(&r))
			}
		}
		return nil
	})
}

// TestCompileAgain: the same text is the same policy.
func TestCompileAgain(t *testing.T) {
	policies(t, func(m *random.Maker, c *policy.Compiled) error {
		d := c.Document()
		again, err := policy.Parse(d.Kind, d.Text)
		if err != nil {
			return err
		}
		if !reflect.DeepEqual(again, d) {
			return fmt.Errorf("parsed again it is %+v", again)
		}
		other, err := policy.Compile(again)
		if err != nil {
			return err
		}
		for range 8 {
			r, _ := m.Request(d)
			if before, after := c.Match(random.Query(&r)), other.Match(random.Query(&r)); after != before {
				return fmt.Errorf("compiled again it says %+v, before %+v\n%s", after, before, asked(&r))
			}
		}
		return nil
	})
}

// TestAbsentIsNotEmpty: of every operator that tells them apart, a key that is absent and
// one that is empty are two things; none tells an empty one from an absent one that asks
// for something.
func TestAbsentIsNotEmpty(t *testing.T) {
	says := func(operator, operand string, keys policy.MapKeys) bool {
		c := compile(t, policy.Identity, `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"`+operator+`":{"my:key":"`+operand+`"}}}}`)
		return c.Match(&policy.Request{Principal: principals["user"], Action: "a:b", Resource: "*", Keys: keys}).Verdict == policy.Allow
	}
	absent, empty := policy.MapKeys{}, policy.MapKeys{"my:key": {""}}
	for _, test := range []struct {
		operator, operand string
		absent, empty     bool
	}{
		{"StringEquals", "", false, true},
		{"StringEquals", "${my:absent, ''}", false, true},
		{"StringEquals", "${my:key}", false, true},
		{"StringNotEquals", "", true, false},
		{"StringNotEquals", "${my:key}", true, false},
		{"StringEqualsIfExists", "a", true, false},
		{"StringEqualsIgnoreCase", "", false, true},
		{"StringLike", "*", false, true},
		{"StringNotLike", "*", true, false},
		{"NumericEqualsIfExists", "0", true, false},
		{"NumericNotEquals", "0", true, false},
		{"DateLessThanIfExists", "2026-01-01", true, false},
		{"Bool", "false", false, true},
		{"BinaryEquals", "", false, true},
		{"NotIpAddress", "10.0.0.0/8", true, false},
		{"ArnNotLike", "arn:aws:iam::1:role/a", true, false},
		// An empty text is no value to these.
		{"Null", "true", true, true},
		{"Null", "false", false, false},
		{"ForAllValues:StringEquals", "a", true, true},
		{"ForAnyValue:StringEquals", "", false, false},
	} {
		if a, e := says(test.operator, test.operand, absent), says(test.operator, test.operand, empty); a != test.absent || e != test.empty {
			t.Errorf("%s %q: %t of an absent key and %t of an empty one, want %t and %t", test.operator, test.operand, a, e, test.absent, test.empty)
		}
	}
}
