package gateway

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/snapshot"
)

// checkConfigOf reads a target group's health check. The handlers fill defaults
// in when they store it; what is missing here is taken as AWS's default too.
// Source: VPC Lattice User Guide, "Health checks for your target groups".
func checkConfigOf(g *snapshot.TargetGroup) checkConfig {
	c := checkConfig{
		protocol: "HTTP", version: "HTTP1", path: "/", matcher: "200",
		interval: 30 * time.Second, timeout: 5 * time.Second, healthyThreshold: 5, unhealthyThreshold: 2,
	}
	if g.Config == nil || g.Config.HealthCheck == nil || !g.InUse {
		return c
	}
	h := g.Config.HealthCheck
	c.enabled = on(h.Enabled)
	setText(&c.protocol, h.Protocol)
	setText(&c.version, h.ProtocolVersion)
	setText(&c.path, h.Path)
	if h.Matcher != nil {
		setText(&c.matcher, h.Matcher.HttpCode)
	}
	setNumber(&c.port, h.Port)
	setNumber(&c.healthyThreshold, h.HealthyThresholdCount)
	setNumber(&c.unhealthyThreshold, h.UnhealthyThresholdCount)
	setSeconds(&c.interval, h.HealthCheckIntervalSeconds)
	setSeconds(&c.timeout, h.HealthCheckTimeoutSeconds)
	return c
}

func setText(to *string, from *string) {
	if from != nil && *from != "" {
		*to = *from
	}
}

func setNumber(to *int64, from *int64) {
	if from != nil && *from != 0 {
		*to = *from
	}
}

func setSeconds(to *time.Duration, from *int64) {
	if from != nil && *from != 0 {
		*to = time.Duration(*from) * time.Second
	}
}

// matchesCode tells whether a status is in a matcher: numbers and ranges,
// separated by commas.
func matchesCode(matcher string, status int) bool {
	for _, part := range strings.Split(matcher, ",") {
		low, high, ranged := strings.Cut(strings.TrimSpace(part), "-")
		from, err := strconv.Atoi(low)
		if err != nil {
			continue
		}
		to := from
		if ranged {
			if to, err = strconv.Atoi(high); err != nil {
				continue
			}
		}
		if from <= status && status <= to {
			return true
		}
	}
	return false
}

// pools holds the pools of all target groups, in step with the snapshots.
type pools struct {
	mu    sync.RWMutex
	byARN map[string]*pool
	// last is the snapshot that the pools were last changed for.
	last       *snapshot.Snapshot
	ctx        context.Context
	transports *transports
	wg         sync.WaitGroup
}

func newPools(ctx context.Context, targetTLS *tls.Config) *pools {
	ps := &pools{byARN: map[string]*pool{}, ctx: ctx, transports: newTransports(targetTLS)}
	for _, transport := range ps.transports.all() {
		transport.DisableKeepAlives = true  // a check ends its connection
		transport.ResponseHeaderTimeout = 0 // it has a timeout of its own
	}
	return ps
}

func (ps *pools) get(arn string) *pool {
	ps.mu.RLock()
	defer ps.mu.RUnlock()
	return ps.byARN[arn]
}

// update takes over all target groups of a snapshot, before it is in force. Groups
// that did not change are left alone.
func (ps *pools) update(snap *snapshot.Snapshot) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if ps.ctx.Err() != nil || snap.SameTargetGroups(ps.last) {
		return
	}
	ps.last = snap
	seen := make(map[string]bool, len(ps.byARN))
	for g := range snap.TargetGroups {
		seen[g.ARN] = true
		p := ps.byARN[g.ARN]
		if p == nil {
			p = &pool{arn: g.ARN, targets: map[string]*target{}}
			ps.byARN[g.ARN] = p
		}
		if p.group.Load() == g && !p.leaving {
			continue
		}
		p.leaving = false
		if p.stop != nil {
			p.stop()
			p.stop = nil
		}
		p.update(g)
		if p.checks.enabled {
			ctx, cancel := context.WithCancel(ps.ctx)
			p.stop = cancel
			ps.check(ctx, p)
		}
	}
	for arn, p := range ps.byARN {
		switch {
		case seen[arn]:
		case p.leaving:
			delete(ps.byARN, arn)
		default:
			// Requests have the snapshot before, which may forward to it still.
			p.leaving = true
			if p.stop != nil {
				p.stop()
				p.stop = nil
			}
		}
	}
}

// check starts the health checks of a pool's targets, one goroutine a target.
func (ps *pools) check(ctx context.Context, p *pool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.checks
	for _, t := range p.targets {
		ps.wg.Go(func() {
			for {
				reason := ps.probe(ctx, c, t)
				if ctx.Err() != nil {
					return
				}
				p.record(t, c, reason == "", reason)
				timer := time.NewTimer(c.interval)
				select {
				case <-timer.C:
				case <-ctx.Done():
					timer.Stop()
					return
				}
			}
		})
	}
}

// failed is the reason code that AWS shows for a target whose check fails.
// Source: AWS CLI command reference, vpc-lattice list-targets.
const failed = "HealthCheckFailed"

// probe checks one target once; it returns the reason code of a failure.
func (ps *pools) probe(ctx context.Context, c checkConfig, t *target) string {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	port := t.record.Port
	if c.port != 0 {
		port = c.port
	}
	transport, scheme := ps.transports.of(c.protocol, c.version)
	url := fmt.Sprintf("%s://%s%s", scheme,
		net.JoinHostPort(t.record.ID, strconv.FormatInt(port, 10)), c.path)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return failed
	}
	req.Header.Set("User-Agent", "Latchwork-HealthChecker/1.0")
	answer, err := transport.RoundTrip(req) // a redirect is an answer like any other
	if err != nil {
		return failed
	}
	defer answer.Body.Close()
	_, _ = io.CopyN(io.Discard, answer.Body, 64<<10)
	if !matchesCode(c.matcher, answer.StatusCode) {
		return failed
	}
	return ""
}

// wait returns when all checks have ended, after the pools' context did.
func (ps *pools) wait() {
	ps.mu.Lock() // an update that is under way may start some
	defer ps.mu.Unlock()
	ps.wg.Wait()
}

// health tells what this gateway thinks of a target.
func (ps *pools) health(groupARN, id string, port int64) (Health, string, bool) {
	p := ps.get(groupARN)
	if p == nil {
		return "", "", false
	}
	p.mu.Lock()
	t := p.targets[model.TargetKey(id, port)]
	p.mu.Unlock()
	if t == nil {
		return "", "", false
	}
	h, reason := t.state()
	return h, reason, true
}

func sortedTargets(m map[string]*target) []string { return slices.Sorted(maps.Keys(m)) }
