package gateway

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchwork/latchwork/internal/authz"
	"github.com/latchwork/latchwork/internal/inbound"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/snapshot"
	wire "github.com/latchwork/latchwork/internal/wire/vpclattice"
)

func TestMatches(t *testing.T) {
	exact := func(s string, sensitive bool) *wire.PathMatch {
		return &wire.PathMatch{Match: &wire.PathMatchType{Exact: &s}, CaseSensitive: &sensitive}
	}
	prefix := func(s string) *wire.PathMatch { return &wire.PathMatch{Match: &wire.PathMatchType{Prefix: &s}} }
	value := func(name string, m wire.HeaderMatchType, sensitive bool) []wire.HeaderMatch {
		return []wire.HeaderMatch{{Name: &name, Match: &m, CaseSensitive: &sensitive}}
	}
	r := &inbound.Request{Method: "GET", Target: "/Rates/a%2Fb?x=/old", Authority: "Rates.example.com:80", Headers: []inbound.Header{
		{Name: "x-mode", Value: "one"}, {Name: "x-mode", Value: "Two words"},
	}}
	for _, test := range []struct {
		name string
		m    wire.HttpMatch
		want bool
	}{
		{"method", wire.HttpMatch{Method: new("GET")}, true},
		{"method in another case", wire.HttpMatch{Method: new("get")}, false},
		{"exact without case", wire.HttpMatch{PathMatch: exact("/rates/A%2fB", false)}, true},
		{"exact with case", wire.HttpMatch{PathMatch: exact("/rates/a%2Fb", true)}, false},
		{"undecoded", wire.HttpMatch{PathMatch: exact("/Rates/a/b", false)}, false},
		{"prefix", wire.HttpMatch{PathMatch: prefix("/RATES")}, true},
		{"the query is no part of it", wire.HttpMatch{PathMatch: prefix("/Rates/a%2Fb?")}, false},
		{"a path match of nothing", wire.HttpMatch{PathMatch: &wire.PathMatch{}}, false},
		{"header", wire.HttpMatch{HeaderMatches: value("X-Mode", wire.HeaderMatchType{Exact: new("ONE")}, false)}, true},
		{"second value", wire.HttpMatch{HeaderMatches: value("X-Mode", wire.HeaderMatchType{Contains: new("o w")}, false)}, true},
		{"header with case", wire.HttpMatch{HeaderMatches: value("X-Mode", wire.HeaderMatchType{Prefix: new("two")}, true)}, false},
		{"contains with case", wire.HttpMatch{HeaderMatches: value("X-Mode", wire.HeaderMatchType{Contains: new("Words")}, true)}, false},
		{"absent header", wire.HttpMatch{HeaderMatches: value("X-None", wire.HeaderMatchType{Prefix: new("")}, false)}, false},
		{"a header match of nothing", wire.HttpMatch{HeaderMatches: value("X-Mode", wire.HeaderMatchType{}, false)}, false},
		{"host", wire.HttpMatch{HeaderMatches: value("Host", wire.HeaderMatchType{Prefix: new("rates.")}, false)}, true},
		{"all parts", wire.HttpMatch{Method: new("GET"), PathMatch: prefix("/x")}, false},
	} {
		if got := matches(&test.m, r, r.Path()); got != test.want {
			t.Errorf("%s: %t, want %t", test.name, got, test.want)
		}
	}
}

func TestRouteOrder(t *testing.T) {
	rule := func(id string, priority int64, path string) *model.Rule {
		return &model.Rule{Meta: model.Meta{ID: id}, Priority: priority, Action: &wire.RuleAction{}, Match: &wire.RuleMatch{HttpMatch: &wire.HttpMatch{PathMatch: &wire.PathMatch{Match: &wire.PathMatchType{Prefix: &path}}}}}
	}
	l := &snapshot.Listener{Listener: &model.Listener{DefaultAction: &wire.RuleAction{}}, Rules: []*model.Rule{rule("a", 1, "/a/b"), rule("b", 2, "/a")}}
	for path, want := range map[string]string{"/a/b/c": "a", "/a/c": "b", "/": ""} {
		got, action := route(l, &inbound.Request{Target: path})
		if id := ""; got != nil {
			id = got.ID
			if id != want {
				t.Errorf("%s goes to %q, want %q", path, id, want)
			}
		} else if want != "" || action != l.DefaultAction {
			t.Errorf("%s goes to the default action, want %q", path, want)
		}
	}
}

func TestWeights(t *testing.T) {
	groups := func(weights ...int64) *wire.ForwardAction {
		f := &wire.ForwardAction{}
		for i, w := range weights {
			f.TargetGroups = append(f.TargetGroups, wire.WeightedTargetGroup{TargetGroupIdentifier: new(string(rune('a' + i))), Weight: &w})
		}
		return f
	}
	if got := choose(groups(0)); got != "" {
		t.Errorf("a group of weight 0 gets requests: %q", got)
	}
	if got := choose(groups(0, 0)); got != "" {
		t.Errorf("groups of weight 0 get requests: %q", got)
	}
	const n = 20000
	count := map[string]int{}
	for range n {
		count[choose(groups(1, 0, 3))]++
	}
	// Four standard deviations of a quarter of n.
	if a := count["a"]; a < n/4-250 || a > n/4+250 || count["b"] != 0 {
		t.Errorf("of %d requests %v, want a quarter and three", n, count)
	}
}

func TestPool(t *testing.T) {
	now := time.Unix(1, 0)
	group := func(inUse bool, enabled bool, ids ...string) *snapshot.TargetGroup {
		g := &snapshot.TargetGroup{InUse: inUse, TargetGroup: &model.TargetGroup{Config: &wire.TargetGroupConfig{HealthCheck: &wire.HealthCheckConfig{Enabled: &enabled}}}}
		for _, id := range ids {
			g.Targets = append(g.Targets, &model.Target{ID: id, Port: 80, Created: now})
		}
		return g
	}
	p := &pool{targets: map[string]*target{}}
	picks := func() map[string]int {
		got := map[string]int{}
		for range 6 {
			if picked := p.pick(); picked != nil {
				got[picked.record.ID]++
			}
		}
		return got
	}
	if p.pick() != nil {
		t.Error("picked a target of an empty pool")
	}
	p.update(group(true, true, "a", "b", "c"))
	if diff := cmp.Diff(map[string]int{"a": 2, "b": 2, "c": 2}, picks()); diff != "" {
		t.Errorf("before any check (-want +got):\n%s", diff)
	}
	a, b := p.targets["a:80"], p.targets["b:80"]
	p.record(a, p.checks, true, "")
	if diff := cmp.Diff(map[string]int{"a": 6}, picks()); diff != "" {
		t.Errorf("one healthy (-want +got):\n%s", diff)
	}
	p.record(b, p.checks, true, "") // A new target needs one pass.
	p.record(a, p.checks, false, failed)
	if h, _ := a.state(); h != Healthy {
		t.Errorf("after one failure %s", h)
	}
	p.record(a, p.checks, false, failed)
	if h, reason := a.state(); h != Unhealthy || reason != failed {
		t.Errorf("after two failures %s %s", h, reason)
	}
	if diff := cmp.Diff(map[string]int{"b": 6}, picks()); diff != "" {
		t.Errorf("one unhealthy (-want +got):\n%s", diff)
	}
	for range 4 {
		p.record(a, p.checks, true, "")
	}
	if h, _ := a.state(); h != Unhealthy {
		t.Errorf("healthy again after four passes: %s", h)
	}
	p.record(a, p.checks, true, "")
	if h, _ := a.state(); h != Healthy {
		t.Errorf("after five passes %s", h)
	}
	for _, gone := range []*target{a, b} {
		p.record(gone, p.checks, false, failed)
		p.record(gone, p.checks, false, failed)
	}
	p.record(p.targets["c:80"], p.checks, false, failed)
	p.record(p.targets["c:80"], p.checks, false, failed)
	if got := picks(); len(got) != 3 {
		t.Errorf("all unhealthy: %v, want all (fail open)", got)
	}
	p.update(group(true, true, "b"))
	if h, _ := p.targets["b:80"].state(); h != Unhealthy || len(picks()) != 1 {
		t.Errorf("a target that stays is %s, want its health kept", h)
	}
	p.update(group(false, true, "b"))
	if h, _ := p.targets["b:80"].state(); h != Unused {
		t.Errorf("a target of an unused group is %s", h)
	}
	p.update(group(true, false, "b"))
	if h, _ := p.targets["b:80"].state(); h != Unavailable {
		t.Errorf("a target without health check is %s", h)
	}
}

func TestMatchesCode(t *testing.T) {
	for _, test := range []struct {
		matcher string
		status  int
		want    bool
	}{{"200", 200, true}, {"200", 201, false}, {"200-299", 204, true}, {"200,301-302", 302, true}, {"200, 404", 404, true}, {"x", 200, false}, {"200-x", 200, false}} {
		if got := matchesCode(test.matcher, test.status); got != test.want {
			t.Errorf("matcher %q, status %d: %t", test.matcher, test.status, got)
		}
	}
}

func TestSpeaks(t *testing.T) {
	for _, test := range []struct {
		version string
		major   int
		method  string
		grpc    bool
		want    bool
	}{
		{"HTTP1", 1, "GET", false, true},
		{"HTTP1", 2, "GET", false, true},
		{"HTTP1", 2, "POST", true, false},
		{"HTTP2", 1, "GET", false, false},
		{"HTTP2", 2, "GET", false, true},
		{"HTTP2", 2, "POST", true, true},
		{"GRPC", 1, "POST", false, false},
		{"GRPC", 2, "GET", false, false},
		{"GRPC", 2, "POST", false, true},
		{"GRPC", 2, "POST", true, true},
	} {
		g := &snapshot.TargetGroup{TargetGroup: &model.TargetGroup{Config: &wire.TargetGroupConfig{ProtocolVersion: &test.version}}}
		if got := speaks(g, test.major, test.method, test.grpc); got != test.want {
			t.Errorf("%+v: %t", test, got)
		}
	}
}

func TestTargetErrors(t *testing.T) {
	for _, test := range []struct {
		err  error
		want int
	}{
		{&net.OpError{Op: "dial", Err: errors.New("refused")}, http.StatusServiceUnavailable},
		{io.EOF, http.StatusBadGateway},
		{&net.OpError{Op: "read", Err: errors.New("reset")}, http.StatusBadGateway},
		{timeoutError{}, http.StatusGatewayTimeout},
		{errors.New("malformed HTTP response"), http.StatusBadGateway},
	} {
		if got, reason := classifyTargetError(t.Context(), test.err); got != test.want || reason == "" {
			t.Errorf("%v: %d %s, want %d", test.err, got, reason, test.want)
		}
	}
}

type timeoutError struct{}

func (timeoutError) Error() string   { return "timeout" }
func (timeoutError) Timeout() bool   { return true }
func (timeoutError) Temporary() bool { return false }

func TestPortMap(t *testing.T) {
	m, err := ParsePortMap("8080=80, 8443=443")
	if err != nil || m.socketPort(80) != 8080 || m.socketPort(443) != 8443 || m.socketPort(90) != 90 {
		t.Errorf("%v, %v", m, err)
	}
	for _, bad := range []string{"80", "a=1", "1=b", "0=80", "8080=80,8081=80", "8080=80,8080=81", "70000=1"} {
		if _, err := ParsePortMap(bad); err == nil {
			t.Errorf("accepted %q", bad)
		}
	}
}

func TestPercentEncode(t *testing.T) {
	if got, want := percentEncode("a% é\n"), "a%25 %C3%A9%0A"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := escapeTag("a;b\r\nc"); got != `a\;b  c` {
		t.Errorf("tag value %q", got)
	}
}

// TestRecorder: the newest requests are kept, and an id that a client chose never
// hides one of ours.
func TestRecorder(t *testing.T) {
	r := NewRecorder(2)
	make := func(id, own string) *exchange {
		x := &exchange{decisionID: id, requestID: id, Invocation: authz.Invocation{In: &inbound.Request{}, Service: &snapshot.Service{}, Network: &snapshot.Network{}}}
		if own != "" {
			x.requestID = own
		}
		r.add(x)
		return x
	}
	make("aaaa1", "")
	make("bbbb1", "aaaa1")
	for id, want := range map[string]string{"aaaa1": "aaaa1", "bbbb1": "bbbb1", "bbbb": "bbbb1"} {
		if e, ok := r.Explain(id, "", nil); !ok || e.RequestID != want {
			t.Errorf("explained %s as %+v", id, e)
		}
	}
	make("cccc1", "mine")
	if _, ok := r.Explain("aaaa1", "", nil); ok {
		t.Error("a request is kept for ever")
	}
	if e, ok := r.Explain("mine", "", nil); !ok || e.RequestID != "cccc1" || e.ClientRequestID != "mine" {
		t.Errorf("by the client's id: %+v", e)
	}
	if _, ok := r.Explain("zzzz", "", nil); ok {
		t.Error("explained what there is not")
	}
	// Requests to services of two accounts, and two that clients call as the command
	// line calls the last one.
	r = NewRecorder(8)
	refused := func(id, own, account string) {
		x := &exchange{decisionID: id, requestID: own, Invocation: authz.Invocation{In: &inbound.Request{}}, signatureErr: errors.New("no")}
		if account != "" {
			x.Service = &snapshot.Service{Service: model.Service{Meta: model.Meta{Account: account}}}
			x.Network = &snapshot.Network{ServiceNetwork: model.ServiceNetwork{}}
		}
		r.add(x)
	}
	refused("aaaa1", "aaaa1", "1")
	refused("bbbb1", "bbbb1", "2")
	refused("abcd1", "same", "1")
	refused("abcd2", Last, "2")
	refused("abcf1", "same", "")
	for i := range 8 {
		refused(fmt.Sprintf("stray%d", i), fmt.Sprintf("stray%d", i), "")
	}
	refused("abce1", Last, "")
	for _, test := range []struct{ id, account, want string }{
		{Last, "1", "abcd1"},
		{Last, "2", "abcd2"},
		{Last, "3", ""},
		{"bbbb1", "1", ""},
		{"bbbb", "1", ""},
		{"bbbb", "2", "bbbb1"},
		{"abcd", "1", "abcd1"},
		{"abce", "1", "abce1"},
		{"same", "1", "abcd1"},
		{"same", "2", ""},
		{"stray6", "1", ""},
		{"stray7", "1", "stray7"},
	} {
		e, ok := r.Explain(test.id, test.account, nil)
		if ok != (test.want != "") || ok && e.RequestID != test.want {
			t.Errorf("%s is explained to account %s as %+v, want %q", test.id, test.account, e, test.want)
		}
	}
	if a, b := newID(), newID(); a == b || !strings.Contains(a, "-") {
		t.Errorf("ids %s and %s are not random", a, b)
	}
}
