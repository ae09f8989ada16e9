package policy_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"reflect"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchwork/latchwork/internal/policy"
	"github.com/latchwork/latchwork/internal/policy/random"
	"github.com/latchwork/latchwork/internal/policy/reference"
)

var (
	differentialCases = flag.Int("differential.cases", 2_000_000, "random cases that TestDifferential holds the engine against the reference on")
	differentialTime  = flag.Duration("differential.time", 5*time.Second, "after which TestDifferential does no more of them")
	differentialSeed  = flag.Uint64("differential.seed", 0, "its seed; 0 takes a random one")
)

// requestsPerPolicy shares the time that compiling takes.
const requestsPerPolicy = 16

// cell is what a condition was tested with.
type cell struct {
	operator string
	keys     string // absent, one value, a list, sent several times
}

// tally counts what the cases were.
type tally struct {
	cases    int
	verdicts map[policy.Verdict]int
	kinds    map[policy.Kind]int // allowed
	cells    map[cell]int
}

func newTally() *tally {
	return &tally{verdicts: map[policy.Verdict]int{}, kinds: map[policy.Kind]int{}, cells: map[cell]int{}}
}

func (t *tally) add(other *tally) {
	t.cases += other.cases
	for k, n := range other.verdicts {
		t.verdicts[k] += n
	}
	for k, n := range other.kinds {
		t.kinds[k] += n
	}
	for k, n := range other.cells {
		t.cells[k] += n
	}
}

// TestDifferential holds the engine against the reference on random policies of all
// kinds and requests that fit them, nearly fit them and are rubbish. Its cases are those
// of -differential.cases, a hundredth of them with -short, or as many as fit in
// -differential.time.
func TestDifferential(t *testing.T) {
	seed, cases := *differentialSeed, *differentialCases
	if seed == 0 {
		seed = rand.Uint64()
	}
	if testing.Short() {
		cases /= 100
	}
	began := time.Now()
	var (
		workers  sync.WaitGroup
		next     atomic.Uint64
		mu       sync.Mutex
		all      = newTally()
		policies = uint64(cases / requestsPerPolicy)
	)
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			mine := newTally()
			for !t.Failed() && time.Since(began) < *differentialTime {
				n := next.Add(1) - 1
				if n >= policies {
					break
				}
				if err := differential(seed, n, mine); err != nil {
					t.Errorf("-differential.seed=%d, policy %d: %v", seed, n, err)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			all.add(mine)
		})
	}
	workers.Wait()
	t.Logf("%d of %d cases in %s, seed %d: %v", all.cases, cases, time.Since(began).Round(time.Millisecond), seed, all.verdicts)
	if t.Failed() || all.cases < 200_000 { // Too few to say what they are.
		return
	}
	if allowed := all.verdicts[policy.Allow]; allowed*10 < all.cases*3 {
		t.Errorf("%d of %d cases were allowed: the rest says too little", allowed, all.cases)
	}
	// A thousand of each in two million. Of fewer cases the shares vary more.
	least := all.cases / 2000
	if all.cases < 1_000_000 {
		least /= 2
	}
	for _, kind := range random.Kinds {
		if all.kinds[kind] < least {
			t.Errorf("%s: %d cases were allowed", kind, all.kinds[kind])
		}
	}
	rarest, where := all.cases, cell{}
	for _, operator := range random.Qualified {
		for _, keys := range []string{"absent", "one value", "a list", "sent several times"} {
			n := all.cells[cell{operator, keys}]
			if n < least {
				t.Errorf("%s on a key that is %s: %d of %d cases, want %d", operator, keys, n, all.cases, least)
			}
			if n < rarest {
				rarest, where = n, cell{operator, keys}
			}
		}
	}
	t.Logf("the rarest condition: %s on a key that is %s, in %d cases", where.operator, where.keys, rarest)
}

// differential makes the nth policy of a seed and asks it.
func differential(seed, n uint64, count *tally) error {
	m := random.NewMaker(seed, n)
	made := m.Document(random.Kinds[n%uint64(len(random.Kinds))])
	d, err := random.Parsed(made)
	if err != nil {
		return err
	}
	c, err := policy.Compile(d)
	if err != nil {
		return err
	}
	for i := range requestsPerPolicy {
		r, target := m.Request(d)
		want, got := reference.Evaluate(d, r), c.Match(random.Query(&r))
		if got != want {
			return different(made, &r)
		}
		if i == 0 && len(d.Statements) < 20 { // It takes longer.
			if err := explains(c, d, &r, got); err != nil {
				return err
			}
		}
		count.cases++
		count.verdicts[want.Verdict]++
		if want.Verdict == policy.Allow {
			count.kinds[d.Kind]++
		}
		if want.Verdict == policy.ExplicitDeny && want.Statement != target {
			continue // The engine did not come to the one that was meant.
		}
		count.conditions(d, target, r)
	}
	return nil
}

// explains checks that the explanation of a request has the verdict and the elements of
// the reference.
func explains(c *policy.Compiled, d *policy.Document, r *reference.Request, decided policy.Match) error {
	explained := c.Explain(random.Query(r))
	if len(explained) != len(d.Statements) {
		return fmt.Errorf("%d statements explained of %d", len(explained), len(d.Statements))
	}
	for i, s := range explained {
		want, got, matched := reference.Explain(d, i, *r), reference.Elements{Principal: true, Resource: true, Conditions: []bool{}}, true
		for _, e := range s.Elements {
			matched = matched && e.Matched
			switch e.Element {
			case "Principal", "NotPrincipal":
				got.Principal = e.Matched
			case "Action", "NotAction":
				got.Action = e.Matched
			case "Resource", "NotResource":
				got.Resource = e.Matched
			case "Condition":
				got.Conditions = append(got.Conditions, e.Matched)
			}
		}
		if !reflect.DeepEqual(got, want) {
			return fmt.Errorf("statement %d explained as %+v, by the reference %+v\n%s\n%s on %q by %+v\nkeys %q", i, got, want, d.Text, r.Action, r.Resource, *r.Principal, r.Keys)
		}
		deny := s.Effect == "Deny"
		switch {
		case s.Matched != matched:
			return fmt.Errorf("statement %d of %s: matched %t, its elements %+v", i, d.Text, s.Matched, got)
		case matched && deny && decided.Verdict != policy.ExplicitDeny, matched && decided.Verdict == policy.NoMatch,
			!matched && decided.Verdict != policy.NoMatch && decided.Statement == i:
			return fmt.Errorf("statement %d of %s: explained as %+v, decided %+v", i, d.Text, s, decided)
		}
	}
	return nil
}

// conditions counts those of a statement that were tested: up to the first that does not
// hold, if all else fits.
func (t *tally) conditions(d *policy.Document, statement int, r reference.Request) {
	s := &d.Statements[statement]
	if len(s.Conditions) == 0 {
		return
	}
	e := reference.Explain(d, statement, r)
	if !e.Principal || !e.Action || !e.Resource {
		return
	}
	for i, c := range s.Conditions {
		key := policy.ParseKey(c.Key)
		v, present := random.Keys(&r).Lookup(&key)
		keys := "one value"
		switch {
		case !present:
			keys = "absent"
		case v.List:
			keys = "a list"
		case v.Repeated:
			keys = "sent several times"
		}
		t.cells[cell{c.Operator, keys}]++
		if !e.Conditions[i] {
			return
		}
	}
}

// different says where engine and reference differ, on a policy as small as it gets.
func different(d *policy.Document, r *reference.Request) error {
	both := func(d *policy.Document) (want, got policy.Match, c *policy.Compiled) {
		parsed, err := random.Parsed(d)
		if err != nil {
			return want, got, nil
		}
		if c, err = policy.Compile(parsed); err != nil {
			return want, got, nil
		}
		return reference.Evaluate(parsed, *r), c.Match(random.Query(r)), c
	}
	small := random.Shrink(d, func(d *policy.Document) bool {
		want, got, _ := both(d)
		return want != got
	})
	want, got, c := both(small)
	return fmt.Errorf("decided %+v, by the reference %+v\n%s of %s\n%s\n%s on %q by %+v, boundary %t\nkeys %q\n%s",
		got, want, small.Kind, small.Version, random.Text(small), r.Action, r.Resource, *r.Principal, r.Boundary, r.Keys,
		explain(c, random.Query(r)))
}
