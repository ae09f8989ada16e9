package server

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/latchwork/latchwork/internal/audit"
	"github.com/latchwork/latchwork/internal/authz"
	"github.com/latchwork/latchwork/internal/awsapi"
	"github.com/latchwork/latchwork/internal/clock"
	"github.com/latchwork/latchwork/internal/snapshot"
	"github.com/latchwork/latchwork/internal/xds"
)

// metrics are what /metrics shows. Labels are bounded and never name a principal,
// an ARN or a path. docs/metrics.md lists them.
type metrics struct {
	registry  *prometheus.Registry
	decisions *prometheus.CounterVec
	calls     *prometheus.CounterVec
	callTime  *prometheus.HistogramVec
}

func newMetrics(p *snapshot.Publisher, now clock.Clock, access, calls *audit.Writer, ports func() int) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		decisions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "latchwork_decisions_total", Help: "Decisions by enforcement point, cause and deciding stage.",
		}, []string{"point", "cause", "stage"}),
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "latchwork_api_requests_total", Help: "Calls of the APIs by service, operation and error code.",
		}, []string{"service", "operation", "code"}),
		callTime: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "latchwork_api_request_seconds", Help: "Duration of calls of the APIs.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .5, 1, 5},
		}, []string{"service"}),
	}
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
	}
	ofSnapshot := func(f func(*snapshot.Snapshot) float64) func() float64 {
		return func() float64 {
			if s := p.Current(); s != nil {
				return f(s)
			}
			return 0
		}
	}
	m.registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		m.decisions, m.calls, m.callTime,
		gauge("latchwork_snapshot_revision", "Revision of the state in force.",
			ofSnapshot(func(s *snapshot.Snapshot) float64 { return float64(s.Revision()) })),
		gauge("latchwork_snapshot_problems", "Records that could not be compiled; what depends on them is denied.",
			ofSnapshot(func(s *snapshot.Snapshot) float64 { return float64(len(s.Problems())) })),
		gauge("latchwork_snapshot_staleness_seconds", "How long the store could not be followed; 0 while it can.",
			func() float64 {
				if since := p.BrokenSince(); !since.IsZero() {
					return now().Sub(since).Seconds()
				}
				return 0
			}),
		gauge("latchwork_gateway_ports_failed", "Listener ports that could not be opened.", func() float64 { return float64(ports()) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "latchwork_access_log_dropped_total", Help: "Entries of the access log that were lost."},
			func() float64 { return float64(access.Dropped()) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "latchwork_audit_dropped_total", Help: "Entries of the audit log that were lost."},
			func() float64 { return float64(calls.Dropped()) }),
		&recordCounts{p},
	)
	return m
}

// ems registers the numbers of the Envoy management service.
func (m *metrics) ems(s *xds.Server) { m.registry.MustRegister(&proxyCounts{s}) }

// proxyCounts are the numbers of the Envoy management service.
type proxyCounts struct{ ems *xds.Server }

var (
	streamsDesc      = prometheus.NewDesc("latchwork_xds_streams", "Envoys that are connected.", nil, nil)
	unauthorizedDesc = prometheus.NewDesc("latchwork_xds_streams_unauthorized", "Envoys that are served without the permission.", nil, nil)
	endpointsDesc    = prometheus.NewDesc("latchwork_xds_endpoints", "Mesh endpoints that an Envoy stands for.", nil, nil)
	pushesDesc       = prometheus.NewDesc("latchwork_xds_responses_total", "Responses that were sent to Envoys, by type.", []string{"type"}, nil)
	rejectionsDesc   = prometheus.NewDesc("latchwork_xds_rejections_total", "Responses that Envoys refused.", nil, nil)
	unsignedDesc     = prometheus.NewDesc("latchwork_xds_unsigned_total", "Streams that were refused because nobody signed them.", nil, nil)
)

func (c *proxyCounts) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{streamsDesc, unauthorizedDesc, endpointsDesc, pushesDesc, rejectionsDesc, unsignedDesc} {
		ch <- d
	}
}

func (c *proxyCounts) Collect(ch chan<- prometheus.Metric) {
	n := c.ems.Counts()
	for d, v := range map[*prometheus.Desc]int{streamsDesc: n.Streams, unauthorizedDesc: n.Unauthorized, endpointsDesc: n.Endpoints} {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v))
	}
	for d, v := range map[*prometheus.Desc]int64{rejectionsDesc: n.Rejections, unsignedDesc: n.Unsigned} {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v))
	}
	for name, v := range n.Pushes {
		ch <- prometheus.MustNewConstMetric(pushesDesc, prometheus.CounterValue, float64(v), name)
	}
}

// decided counts decisions of one enforcement point.
func (m *metrics) decided(point string) func(authz.Cause, authz.Stage) {
	// Prepared counters: a request must not look them up by their labels.
	var counters [3][8]prometheus.Counter
	for _, c := range []authz.Cause{authz.ImplicitDeny, authz.ExplicitDeny, authz.Allowed} {
		for s := authz.StageNone; s <= authz.StageServiceControl; s++ {
			counters[c][s] = m.decisions.WithLabelValues(point, c.String(), s.String())
		}
	}
	return func(c authz.Cause, s authz.Stage) { counters[c][s].Inc() }
}

// recordCounts tells how many records there are of each kind.
type recordCounts struct{ publisher *snapshot.Publisher }

var recordsDesc = prometheus.NewDesc("latchwork_records", "Records in the state in force, by kind.", []string{"kind"}, nil)

func (c *recordCounts) Describe(ch chan<- *prometheus.Desc) { ch <- recordsDesc }

func (c *recordCounts) Collect(ch chan<- prometheus.Metric) {
	s := c.publisher.Current()
	if s == nil {
		return
	}
	counts := s.Counts()
	for _, kind := range slices.Sorted(maps.Keys(counts)) {
		ch <- prometheus.MustNewConstMetric(recordsDesc, prometheus.GaugeValue, float64(counts[kind]), kind)
	}
}

// observer takes down what became of every call of the APIs.
type observer struct {
	metrics *metrics
	writer  *audit.Writer
	log     *slog.Logger

	mu   sync.Mutex
	used map[string]lastUse
}

// lastUse is the last use of an access key. It is kept in memory only.
type lastUse struct {
	at              time.Time
	service, region string
}

// maxUses bounds how many access keys' last uses are kept.
const maxUses = 100_000

func (o *observer) observe(_ context.Context, r *awsapi.Result) {
	c := r.Call
	service, operation := "unknown", "unknown"
	if c.Service != nil {
		service = c.Service.Name
	}
	if c.Operation != nil {
		operation = c.Operation.Name
	}
	o.metrics.calls.WithLabelValues(service, operation, r.Code).Inc()
	o.metrics.callTime.WithLabelValues(service).Observe(r.Duration.Seconds())
	e := &audit.CallEntry{
		Time: c.Received.UTC(), RequestID: c.RequestID, Service: service, Operation: operation,
		Caller: c.Caller.Principal.Display(), Account: c.Account, Region: c.Region, Status: r.Status, Code: r.Code,
		DurationUS: r.Duration.Microseconds(),
	}
	if c.Request != nil {
		e.SourceIP = c.Request.Remote.Addr().Unmap().String()
	}
	for _, res := range c.Resources {
		e.Resources = append(e.Resources, res.ARN)
	}
	if r.Err != nil {
		e.Message = r.Err.Error()
	}
	o.writer.Call(e)
	if p := c.Caller.Principal; p != nil && p.AccessKeyID != "" {
		o.mu.Lock()
		if len(o.used) >= maxUses {
			clear(o.used)
		}
		o.used[p.AccessKeyID] = lastUse{c.Received, service, c.Region}
		o.mu.Unlock()
	}
}

func (o *observer) lastUsed(key string) (lastUse, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	u, ok := o.used[key]
	return u, ok
}
