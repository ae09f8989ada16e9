// Command policy measures one authorization decision beside the same decision by
// other policy engines: a caller's, a service network's and a service's policies must
// each allow. All engines run in one process and in turns, and every one builds what
// it needs of a request from the same plain texts. It writes what it found as a part
// of a page of Markdown.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/latchwork/latchwork/internal/policy"
)

type engine struct {
	name string
	make func([3][]statement) (func(*request) bool, error)
}

var engines = []engine{
	{"Latchwork", latchwork},
	{"cedar-go", cedarGo},
	{"OPA", opa},
	{"Casbin", casbinPERM},
}

var sizes = []int{3, 10, 100, 1000, 10000}

func main() {
	rounds := flag.Int("rounds", 25, "rounds of each measurement; the medians are written")
	turn := flag.Duration("turn", 2*time.Millisecond, "how long an engine runs in a round")
	flag.Parse()
	// One thread, so that its CPU time is what an engine took.
	runtime.LockOSThread()
	if err := run(*rounds, *turn); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func say(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

// cpu is the time that the thread has had.
func cpu() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		panic(err)
	}
	return time.Duration(t.Nano())
}

// short writes a number with one digit behind the point if it is below ten.
func short(v float64) string {
	if v < 10 {
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

// measured is what came of one engine in one scenario at one size.
type measured struct {
	decide func(*request) bool
	calls  int
	times  []float64 // ns a decision, one for each round
	allocs float64
}

func median(list []float64) float64 {
	list = slices.Clone(list)
	slices.Sort(list)
	return list[len(list)/2]
}

func run(rounds int, turn time.Duration) error {
	fmt.Printf("\n## Policy decisions\n\n")
	fmt.Printf("`make bench` runs `bench/policy`: one decision on three policies (the caller's, a service network's, a service's) that must all allow, with n statements in all; the others are about other paths, roles and tenants, one in ten denies. CPU time of the thread, medians of %d rounds in turns; in parentheses the median of the ratios to Latchwork in the same round. Of Latchwork it is `authz.Decide`, with all of IAM's rules; the peers get the same policies in their own languages (OPA one rule for each statement), and their requests as they want them. cedar-go 1.9.0, OPA 1.22.2, Casbin 2.135.0.\n\n", rounds)
	fmt.Printf("| | n | Latchwork | allocations | cedar-go | OPA | Casbin |\n|---|---|---|---|---|---|---|\n")
	r := theRequest()
	for _, sc := range scenarios {
		var small, large float64
		for _, n := range sizes {
			say("%s, %d statements", sc.name, n)
			all, err := one(sc, n, r, rounds, turn)
			if err != nil {
				return err
			}
			own := median(all[0].times)
			fmt.Printf("| %s | %d | %.0f ns | %.0f |", sc.name, n, own, all[0].allocs)
			for _, m := range all[1:] {
				ratios := make([]float64, rounds)
				for i := range ratios {
					ratios[i] = m.times[i] / all[0].times[i]
				}
				fmt.Printf(" %s µs (%s) |", short(median(m.times)/1000), short(median(ratios)))
			}
			fmt.Println()
			switch n {
			case 10:
				small = own
			case 10000:
				large = own
			}
		}
		say("10,000 statements take %.2f times the time of 10", large/small)
	}
	return load()
}

// one measures all engines in turns. An engine that decides otherwise than the scenario
// says is an error.
func one(sc scenario, n int, r *request, rounds int, turn time.Duration) ([]*measured, error) {
	all := make([]*measured, len(engines))
	for i, e := range engines {
		decide, err := e.make(policies(sc, n))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.name, err)
		}
		if decide(r) != sc.allowed {
			return nil, fmt.Errorf("%s, %s, %d statements: the decision is %t", e.name, sc.name, n, !sc.allowed)
		}
		m := &measured{decide: decide, calls: 1}
		for {
			began := cpu()
			for range m.calls {
				decide(r)
			}
			if cpu()-began > turn/2 {
				break
			}
			m.calls *= 2
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range m.calls {
			decide(r)
		}
		runtime.ReadMemStats(&after)
		m.allocs = float64(after.Mallocs-before.Mallocs) / float64(m.calls)
		all[i] = m
	}
	runtime.GC()
	for round := range rounds {
		for i := range all {
			m := all[(i+round)%len(all)]
			began := cpu()
			for range m.calls {
				m.decide(r)
			}
			m.times = append(m.times, float64(cpu()-began)/float64(m.calls))
		}
	}
	return all, nil
}

// load measures how long it takes until policies can be decided by, and what they keep
// of the heap.
func load() error {
	fmt.Printf("\nUntil 10,000 statements can be decided by, and what is kept of the heap for each; Latchwork's from the JSON text, which it keeps too:\n\n| | time | ratio | bytes a statement |\n|---|---|---|---|\n")
	all := policies(scenarios[0], 10000)
	var own time.Duration
	for _, e := range engines {
		say("loading 10,000 statements into %s", e.name)
		var best time.Duration
		var kept uint64
		for range 3 {
			runtime.GC()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			began := cpu()
			decide, err := e.make(all)
			if err != nil {
				return err
			}
			took := cpu() - began
			runtime.GC()
			runtime.ReadMemStats(&after)
			runtime.KeepAlive(decide)
			if best == 0 || took < best {
				best, kept = took, after.HeapAlloc-before.HeapAlloc
			}
		}
		if own == 0 {
			own = best
		}
		fmt.Printf("| %s | %v | %.3g | %d |\n", e.name, best.Round(100*time.Microsecond), float64(best)/float64(own), kept/10000)
	}
	for _, size := range []int{1, 10} {
		texts := make([]string, 10000)
		for i := range texts {
			list := make([]statement, size)
			for j := range list {
				list[j] = filler(i*size+j, false)
			}
			texts[i] = document(list, false)
		}
		began := cpu()
		compiled := make([]*policy.Compiled, len(texts))
		for i, text := range texts {
			d, err := policy.Parse(policy.AuthPolicy, text)
			if err != nil {
				return err
			}
			if compiled[i], err = policy.Compile(d); err != nil {
				return err
			}
		}
		took := cpu() - began
		runtime.KeepAlive(compiled)
		fmt.Printf("\n10,000 policies (statements in each: %d), from their texts until they can be decided by: %v.\n", size, took.Round(time.Millisecond))
	}
	return nil
}
