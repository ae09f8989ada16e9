package authz_test

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchwork/latchwork/internal/authz"
	"github.com/latchwork/latchwork/internal/identity"
	"github.com/latchwork/latchwork/internal/policy"
	"github.com/latchwork/latchwork/internal/policy/random"
	"github.com/latchwork/latchwork/internal/policy/reference"
	"github.com/latchwork/latchwork/internal/snapshot"
)

var (
	differentialCases = flag.Int("differential.cases", 500_000, "random questions that TestDifferential asks both Decide and the reference")
	differentialTime  = flag.Duration("differential.time", 5*time.Second, "after which TestDifferential asks no more of them")
	differentialSeed  = flag.Uint64("differential.seed", 0, "its seed; 0 takes a random one")
)

// questionsPerLayers shares the time that compiling takes.
const questionsPerLayers = 16

// TestDifferential holds Decide and Explain against the reference on random policies in
// all layers, in answers and in the layer that they name. Its questions are those of
// -differential.cases, a twentieth of them with -short, or as many as fit in
// -differential.time.
func TestDifferential(t *testing.T) {
	seed, cases := *differentialSeed, *differentialCases
	if seed == 0 {
		seed = rand.Uint64()
	}
	if testing.Short() {
		cases /= 20
	}
	began := time.Now()
	var (
		workers sync.WaitGroup
		next    atomic.Uint64
		mu      sync.Mutex
		asked   int
		answers = map[string]int{}
	)
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			mine := map[string]int{}
			for !t.Failed() && time.Since(began) < *differentialTime {
				n := next.Add(1) - 1
				if n*questionsPerLayers >= uint64(cases) {
					break
				}
				if err := differential(seed, n, mine); err != nil {
					t.Errorf("-differential.seed=%d, policies %d: %v", seed, n, err)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			for k, n := range mine {
				answers[k] += n
				asked += n
			}
		})
	}
	workers.Wait()
	t.Logf("%d of %d questions in %s, seed %d: %v", asked, cases, time.Since(began).Round(time.Millisecond), seed, answers)
	if t.Failed() || asked < 10_000 {
		return
	}
	allowed := answers["lattice: allowed at none"] + answers["general: allowed at none"]
	if allowed*10 < asked*3 {
		t.Errorf("%d of %d questions were allowed: the rest says too little", allowed, asked)
	}
	for _, kind := range []string{"lattice", "general"} {
		stages := []string{"service-control", "identity", "boundary", "session", "network", "service"}
		if kind == "general" {
			stages = append(stages[:4], "resource")
		}
		for _, stage := range stages {
			for _, cause := range []string{"explicit deny", "implicit deny"} {
				if answer := fmt.Sprintf("%s: %s at %s", kind, cause, stage); answers[answer] < asked/1000 {
					t.Errorf("%s: %d of %d questions", answer, answers[answer], asked)
				}
			}
		}
	}
}

// differential asks about the nth policies of a seed.
func differential(seed, n uint64, count map[string]int) error {
	m := random.NewMaker(seed, n)
	l, err := m.Layers(n%2 == 0)
	if err != nil {
		return err
	}
	w := worldOf(l.Caller)
	for range questionsPerLayers {
		q := m.Question(l)
		want := reference.Decide(q)
		if got, err := w.decide(q); got != want || err != nil {
			return differ(q)
		}
		kind := "general"
		if q.Lattice != nil {
			kind = "lattice"
		}
		count[fmt.Sprintf("%s: %s at %s", kind, want.Cause, want.Stage)]++
	}
	return nil
}

// made is a question of the reference in the form that Decide takes.
type made struct {
	// compiled shares policies between questions.
	compiled map[*policy.Document]*snapshot.Policy
	base     *snapshot.Snapshot
}

func worldOf(c reference.Caller) *made {
	w := &made{compiled: map[*policy.Document]*snapshot.Policy{}}
	account := snapshot.Account{Management: c.Management}
	for _, level := range c.Control {
		account.ControlPolicies = append(account.ControlPolicies, w.policies(level))
	}
	accounts := map[string]snapshot.Account{}
	for _, p := range random.Callers {
		account.ID = p.Account
		accounts[p.Account] = account
	}
	w.base = snapshot.New(&snapshot.Settings{Partition: "aws", Accounts: accounts})
	return w
}

var errUnreadable = errors.New("it cannot be read")

func (w *made) policy(p reference.Policy) *snapshot.Policy {
	if p.Document == nil {
		return &snapshot.Policy{Name: "unreadable", Text: "{", Problem: errUnreadable}
	}
	if w.compiled[p.Document] == nil {
		made := &snapshot.Policy{Name: "p", Text: p.Document.Text}
		made.Compiled, made.Problem = policy.Compile(p.Document)
		w.compiled[p.Document] = made
	}
	return w.compiled[p.Document]
}

func (w *made) policies(list []reference.Policy) []*snapshot.Policy {
	out := make([]*snapshot.Policy, len(list))
	for i, p := range list {
		out[i] = w.policy(p)
	}
	return out
}

func (w *made) optional(p *reference.Policy) *snapshot.Policy {
	if p == nil {
		return nil
	}
	return w.policy(*p)
}

// query is a question and the snapshot to decide it on.
func (w *made) query(q reference.Question) (*snapshot.Snapshot, *authz.Query) {
	who, snap := *q.Principal, w.base
	if who.Session != nil {
		session := *who.Session
		for i, p := range q.Caller.Session {
			stated := *w.policy(p)
			if i%2 == 0 {
				session.Policies = append(session.Policies, stated.Text)
				continue
			}
			stated.ARN = fmt.Sprintf("arn:aws:iam::%s:policy/session-%d", who.Account, i)
			session.PolicyARNs = append(session.PolicyARNs, stated.ARN)
			if p.Document != nil { // What cannot be read is not there.
				snap = snap.WithManaged(&stated)
			}
		}
		who.Session = &session
	}
	if who.Attachable() && who.Kind != identity.Root {
		e := snapshot.Stated{
			Entity:   snapshot.Entity{Kind: who.Kind, ARN: who.IssuerARN, ID: who.IssuerID, Account: who.Account},
			Policies: w.policies(q.Caller.Identity), Boundary: w.optional(q.Caller.Boundary),
		}
		if who.Kind == identity.FederatedUser {
			e.Kind = identity.User
		}
		if q.Caller.Gone {
			e.ID += "again"
		}
		snap = snap.With(e)
	}
	r := q.Request
	r.Principal = &who
	out := &authz.Query{Request: *random.Query(&r), Account: q.Account, Policy: w.optional(q.ResourcePolicy), Required: q.Required}
	if q.Lattice != nil {
		out.Service = &snapshot.Service{Policy: w.optional(q.Lattice.Service.Policy)}
		out.Service.AuthType = q.Lattice.Service.AuthType
		if n := q.Lattice.Network; n != nil {
			out.Network = &snapshot.Network{Policy: w.optional(n.Policy)}
			out.Network.AuthType = n.AuthType
		}
	}
	return snap, out
}

// decide is the answer of Decide, or an error if Explain does not bear it out.
func (w *made) decide(q reference.Question) (reference.Answer, error) {
	snap, query := w.query(q)
	d := authz.Decide(snap, query)
	var wrong complaints
	explainedIn(&wrong, snap, query, d)
	return reference.Answer{Allowed: d.Allowed, Cause: d.Cause.String(), Stage: d.Stage.String()}, errors.Join(wrong...)
}

// complaints are what a check has to say.
type complaints []error

func (*complaints) Helper() {}

func (c *complaints) Errorf(format string, args ...any) { *c = append(*c, fmt.Errorf(format, args...)) }

// differ says where the answers differ, on a question as small as it gets.
func differ(q reference.Question) error {
	answers := func(q reference.Question) (want, got reference.Answer, err error) {
		got, err = worldOf(q.Caller).decide(q)
		return reference.Decide(q), got, err
	}
	for smaller := true; smaller; {
		smaller = false
		for _, candidate := range random.Smaller(q) {
			if want, got, err := answers(candidate); want != got || err != nil {
				q, smaller = candidate, true
				break
			}
		}
	}
	want, got, err := answers(q)
	return fmt.Errorf("decided %+v, by the reference %+v\n%w\n%s", got, want, err, shown(q))
}

// shown is a question in words.
func shown(q reference.Question) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s on %q by %+v\nkeys %q\n", q.Action, q.Resource, *q.Principal, q.Keys)
	show := func(what string, list ...reference.Policy) {
		for _, p := range list {
			text := "cannot be read"
			if p.Document != nil {
				text = p.Document.Text
			}
			fmt.Fprintf(&b, "%s: %s\n", what, text)
		}
	}
	if q.ResourcePolicy != nil {
		show("resource", *q.ResourcePolicy)
	}
	if l := q.Lattice; l != nil {
		for name, layer := range map[string]*reference.Layer{"network": l.Network, "service": l.Service} {
			if layer == nil {
				continue
			}
			fmt.Fprintf(&b, "%s: %s\n", name, layer.AuthType)
			if layer.Policy != nil {
				show(name, *layer.Policy)
			}
		}
	}
	show("identity", q.Caller.Identity...)
	if q.Caller.Boundary != nil {
		show("boundary", *q.Caller.Boundary)
	}
	show("session", q.Caller.Session...)
	for i, level := range q.Caller.Control {
		show(fmt.Sprintf("control %d of %d", i+1, len(q.Caller.Control)), level...)
	}
	fmt.Fprintf(&b, "account %q, required %t, gone %t, management %t", q.Account, q.Required, q.Caller.Gone, q.Caller.Management)
	return b.String()
}
