package gateway

import (
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/snapshot"
	wire "github.com/latchwork/latchwork/internal/wire/vpclattice"
)

// Health is what a gateway thinks of a target, in AWS's words.
type Health string

// The health of targets. Source: VPC Lattice API Reference, TargetSummary.
const (
	Initial     Health = "INITIAL"
	Healthy     Health = "HEALTHY"
	Unhealthy   Health = "UNHEALTHY"
	Unused      Health = "UNUSED"
	Unavailable Health = "UNAVAILABLE" // health checks are off
)

// target is one registered target as this gateway sees it. It outlives
// snapshots: its health is the gateway's own.
type target struct {
	record *model.Target
	addr   string // host:port
	mu     sync.Mutex
	health Health
	reason string
	// passes and failures in a row.
	passes, failures int64
}

func (t *target) state() (Health, string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.health, t.reason
}

// pool spreads requests over the targets of one target group.
type pool struct {
	arn    string
	group  atomic.Pointer[snapshot.TargetGroup]
	next   atomic.Uint64
	usable atomic.Pointer[[]*target]
	// leaving is true from when the group is gone until the pool is, and belongs to
	// pools.update.
	leaving bool

	mu      sync.Mutex
	targets map[string]*target
	// stop ends the group's health checks.
	stop func()
	// checks is the configuration that the checks run with.
	checks checkConfig
}

// pick chooses a target by turns: among the healthy ones, or among all if none
// is healthy ("fail open"). It is nil if the group has no targets at all.
// Source: VPC Lattice User Guide, "Target groups", "Routing".
func (p *pool) pick() *target {
	usable := p.usable.Load()
	if usable == nil || len(*usable) == 0 {
		return nil
	}
	return (*usable)[(p.next.Add(1)-1)%uint64(len(*usable))]
}

// refresh makes the list that pick chooses from. p.mu must be held.
func (p *pool) refresh() {
	var all, healthy []*target
	for _, key := range sortedTargets(p.targets) {
		t := p.targets[key]
		all = append(all, t)
		if h, _ := t.state(); h == Healthy || h == Unavailable {
			healthy = append(healthy, t)
		}
	}
	if len(healthy) == 0 {
		healthy = all
	}
	p.usable.Store(&healthy)
}

// update takes over the group as it is in a new snapshot.
func (p *pool) update(g *snapshot.TargetGroup) {
	p.group.Store(g)
	p.mu.Lock()
	defer p.mu.Unlock()
	checks := checkConfigOf(g)
	now := map[string]*target{}
	for _, record := range g.Targets {
		key := model.TargetKey(record.ID, record.Port)
		t := p.targets[key]
		// A target that was deregistered and registered again starts anew.
		if t == nil || !t.record.Created.Equal(record.Created) {
			t = &target{record: record, addr: net.JoinHostPort(record.ID, strconv.FormatInt(record.Port, 10))}
			t.health, t.reason = firstHealth(g, checks)
		} else {
			t.mu.Lock()
			if g.InUse != (t.health != Unused) || checks.enabled != p.checks.enabled {
				t.health, t.reason = firstHealth(g, checks)
				t.passes, t.failures = 0, 0
			}
			t.mu.Unlock()
		}
		now[key] = t
	}
	p.targets, p.checks = now, checks
	p.refresh()
}

// firstHealth is the health of a target that was not checked yet.
// Source: VPC Lattice User Guide, "Health checks", "Target health status";
// the reason codes of the last two are not published.
func firstHealth(g *snapshot.TargetGroup, checks checkConfig) (Health, string) {
	switch {
	case !g.InUse:
		return Unused, "TargetGroupNotInUse"
	case !checks.enabled:
		return Unavailable, "HealthCheckNotEnabled"
	default:
		return Initial, "InitialHealthChecking"
	}
}

// record takes over the result of one health check, which was made by c: a check
// that is under way may end after the pool has another configuration.
func (p *pool) record(t *target, c checkConfig, passed bool, reason string) {
	t.mu.Lock()
	before := t.health
	if passed {
		t.passes, t.failures = t.passes+1, 0
		// A target that was not healthy before needs one pass when it is new, and
		// the threshold later.
		if t.health == Initial || t.health != Healthy && t.passes >= c.healthyThreshold {
			t.health, t.reason = Healthy, ""
		}
	} else {
		t.passes, t.failures = 0, t.failures+1
		if t.failures >= c.unhealthyThreshold {
			t.health, t.reason = Unhealthy, reason
		}
	}
	changed := t.health != before
	t.mu.Unlock()
	if changed {
		p.mu.Lock()
		p.refresh()
		p.mu.Unlock()
	}
}

// choose picks one of a forward action's target groups by weight; "" if no group
// has any weight.
// Source: VPC Lattice User Guide, "Listener rules": a group's share is its weight
// over the sum of weights.
func choose(f *wire.ForwardAction) string {
	if len(f.TargetGroups) == 1 {
		g := &f.TargetGroups[0]
		if g.Weight != nil && *g.Weight == 0 {
			return ""
		}
		return *g.TargetGroupIdentifier
	}
	var total int64
	for i := range f.TargetGroups {
		total += weight(&f.TargetGroups[i])
	}
	if total <= 0 {
		return ""
	}
	n := rand.Int64N(total)
	for i := range f.TargetGroups {
		if n -= weight(&f.TargetGroups[i]); n < 0 {
			return *f.TargetGroups[i].TargetGroupIdentifier
		}
	}
	return ""
}

func weight(g *wire.WeightedTargetGroup) int64 {
	if g.Weight == nil {
		return 1
	}
	return *g.Weight
}

// checkConfig is a group's health check with all defaults filled in.
type checkConfig struct {
	enabled                              bool
	protocol, version, path, matcher     string
	port                                 int64 // 0: the target's own
	interval, timeout                    time.Duration
	healthyThreshold, unhealthyThreshold int64
}
