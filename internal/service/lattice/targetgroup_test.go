package lattice

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice/types"
	"github.com/google/go-cmp/cmp"

	"github.com/latchwork/latchwork/internal/model"
)

// TestTargetGroupConfig: what is filled in, and what is refused.
// Source: VPC Lattice User Guide, "Target groups".
func TestTargetGroupConfig(t *testing.T) {
	w := newWorld(t)
	create := func(kind types.TargetGroupType, c *types.TargetGroupConfig) (*vpclattice.CreateTargetGroupOutput, error) {
		return w.CreateTargetGroup(ctx, &vpclattice.CreateTargetGroupInput{Name: aws.String(fmt.Sprint("group", w.time.UnixNano())), Type: kind, Config: c})
	}
	config := func(change func(*types.TargetGroupConfig)) *types.TargetGroupConfig {
		c := &types.TargetGroupConfig{Protocol: types.TargetGroupProtocolHttp, VpcIdentifier: &w.vpc}
		change(c)
		return c
	}
	for _, test := range []struct {
		name   string
		kind   types.TargetGroupType
		change func(*types.TargetGroupConfig)
		want   string // port, protocol version, address type, and protocol of the health check
	}{
		{"HTTP", "IP", func(*types.TargetGroupConfig) {}, "80 HTTP1 IPV4 HTTP"},
		{"HTTPS", "IP", func(c *types.TargetGroupConfig) { c.Protocol = "HTTPS" }, "443 HTTP1 IPV4 HTTPS"},
		{"IPv6", "IP", func(c *types.TargetGroupConfig) { c.IpAddressType = "IPV6" }, "80 HTTP1 IPV6 HTTP"},
		{"instances", "INSTANCE", func(c *types.TargetGroupConfig) { c.Port = aws.Int32(65535) }, "65535 HTTP1  HTTP"},
		{"gRPC", "IP", func(c *types.TargetGroupConfig) { c.ProtocolVersion = "GRPC" }, "80 GRPC IPV4 HTTP"},
		{
			"health check of another protocol", "IP",
			func(c *types.TargetGroupConfig) { c.HealthCheck = &types.HealthCheckConfig{Protocol: "HTTPS"} },
			"80 HTTP1 IPV4 HTTPS",
		},
	} {
		c := must[*vpclattice.CreateTargetGroupOutput](w)(create(test.kind, config(test.change))).Config
		if got := fmt.Sprintf("%d %s %s %s", *c.Port, c.ProtocolVersion, c.IpAddressType, c.HealthCheck.Protocol); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
	for _, test := range []struct {
		kind   types.TargetGroupType
		config *types.TargetGroupConfig
		code   string
		text   string
	}{
		{"IP", nil, "ValidationException", "protocol is required"},
		{"IP", config(func(c *types.TargetGroupConfig) { c.Protocol = "" }), "ValidationException", "protocol is required"},
		{"INSTANCE", config(func(c *types.TargetGroupConfig) { c.VpcIdentifier = nil }), "ValidationException", "vpcIdentifier is required"},
		{"IP", config(func(c *types.TargetGroupConfig) { c.Protocol = "TCP" }), "ValidationException", "not built"},
		{"IP", config(func(c *types.TargetGroupConfig) { c.LambdaEventStructureVersion = "V1" }), "ValidationException", "LAMBDA"},
		{"INSTANCE", config(func(c *types.TargetGroupConfig) { c.IpAddressType = "IPV4" }), "ValidationException", "type IP"},
		{"LAMBDA", nil, "ValidationException", "not built"},
		{"ALB", config(func(*types.TargetGroupConfig) {}), "ValidationException", "not built"},
		{"IP", config(func(c *types.TargetGroupConfig) { c.Port = aws.Int32(0) }), "ValidationException", ""},
		{"IP", config(func(c *types.TargetGroupConfig) { c.Port = aws.Int32(65536) }), "ValidationException", ""},
		{"IP", config(func(c *types.TargetGroupConfig) { c.ProtocolVersion = "HTTP3" }), "ValidationException", ""},
		{"IP", config(func(c *types.TargetGroupConfig) { c.VpcIdentifier = aws.String("vpc-12345678") }), "ResourceNotFoundException", "describe-vpcs"},
		{"IP", config(func(c *types.TargetGroupConfig) {
			c.HealthCheck = &types.HealthCheckConfig{HealthyThresholdCount: aws.Int32(1)}
		}), "ValidationException", "from 2 to 10"},
		{"PHONE", config(func(*types.TargetGroupConfig) {}), "ValidationException", ""},
	} {
		mustRefuse(w, test.code, func(context.Context) (any, error) { return create(test.kind, test.config) }, test.text)
	}
	mustRefuse(w, "ValidationException", func(ctx context.Context) (any, error) {
		return w.CreateTargetGroup(ctx, &vpclattice.CreateTargetGroupInput{Name: aws.String("tg-bad"), Type: "IP", Config: config(func(*types.TargetGroupConfig) {})})
	})
}

// TestHealthCheckMatchers: codes from 200 to 499, in lists and ranges.
// Source: VPC Lattice User Guide, "Health checks for your target groups".
func TestHealthCheckMatchers(t *testing.T) {
	w := newWorld(t)
	g := w.group("rates")
	update := func(matcher string) (*vpclattice.UpdateTargetGroupOutput, error) {
		return w.UpdateTargetGroup(ctx, &vpclattice.UpdateTargetGroupInput{TargetGroupIdentifier: g.Id, HealthCheck: &types.HealthCheckConfig{Matcher: &types.MatcherMemberHttpCode{Value: matcher}}})
	}
	for matcher, want := range map[string]string{"200": "200", "200-499": "200-499", "200,302": "200,302", "200-299,404": "200-299,404", "": "200"} {
		out := must[*vpclattice.UpdateTargetGroupOutput](w)(update(matcher))
		if got := out.Config.HealthCheck.Matcher.(*types.MatcherMemberHttpCode).Value; got != want {
			t.Errorf("%q is %q, want %q", matcher, got, want)
		}
	}
	for _, matcher := range []string{"199", "500", "200-500", "300-200", "200,", "200-", "abc", "200,,201", "2xx"} {
		mustRefuse(w, "ValidationException", func(context.Context) (any, error) { return update(matcher) })
	}
}

// TestZeroResets: 0 and "" stand for the default, whatever was set before.
func TestZeroResets(t *testing.T) {
	w := newWorld(t)
	g := w.group("rates")
	update := func(h types.HealthCheckConfig) *types.HealthCheckConfig {
		return must[*vpclattice.UpdateTargetGroupOutput](w)(w.UpdateTargetGroup(ctx, &vpclattice.UpdateTargetGroupInput{TargetGroupIdentifier: g.Id, HealthCheck: &h})).Config.HealthCheck
	}
	start := must[*vpclattice.GetTargetGroupOutput](w)(w.GetTargetGroup(ctx, &vpclattice.GetTargetGroupInput{TargetGroupIdentifier: g.Id})).Config.HealthCheck
	set := update(types.HealthCheckConfig{
		Port: aws.Int32(81), Path: aws.String("/up"), Matcher: &types.MatcherMemberHttpCode{Value: "204"}, HealthCheckIntervalSeconds: aws.Int32(5),
		HealthCheckTimeoutSeconds: aws.Int32(1), HealthyThresholdCount: aws.Int32(10), UnhealthyThresholdCount: aws.Int32(10),
	})
	if *set.Port != 81 || *set.Path != "/up" || *set.HealthyThresholdCount != 10 {
		t.Errorf("set %+v", set)
	}
	reset := update(types.HealthCheckConfig{
		Port: aws.Int32(0), Path: aws.String(""), Matcher: &types.MatcherMemberHttpCode{Value: ""}, HealthCheckIntervalSeconds: aws.Int32(0),
		HealthCheckTimeoutSeconds: aws.Int32(0), HealthyThresholdCount: aws.Int32(0), UnhealthyThresholdCount: aws.Int32(0),
	})
	if diff := cmp.Diff(start, reset, settled...); diff != "" {
		t.Errorf("reset (-start +reset)\n%s", diff)
	}
}

func TestTargetKinds(t *testing.T) {
	w := newWorld(t)
	of := func(kind types.TargetGroupType, address types.IpAddressType) *string {
		return must[*vpclattice.CreateTargetGroupOutput](w)(w.CreateTargetGroup(ctx, &vpclattice.CreateTargetGroupInput{
			Name: aws.String("group-" + strings.ToLower(string(kind)+string(address))), Type: kind,
			Config: &types.TargetGroupConfig{Protocol: "HTTP", VpcIdentifier: &w.vpc, IpAddressType: address},
		})).Id
	}
	four, six, instances := of("IP", "IPV4"), of("IP", "IPV6"), of("INSTANCE", "")
	for _, test := range []struct {
		group *string
		id    string
		ok    bool
	}{
		{four, "10.0.0.1", true},
		{four, "127.0.0.1", true},
		{four, "::1", false},
		{four, "0.0.0.0", false},
		{four, "224.0.0.1", false},
		{four, "i-0123456789abcdef0", false},
		{four, "10.0.0.1:80", false},
		{six, "2001:db8::1", true},
		{six, "10.0.0.1", false},
		{six, "::", false},
		{instances, "i-0123456789abcdef0", true},
		{instances, "rates.internal", true},
		{instances, "10.0.0.1", false},
		{instances, "user@host", false},
		{instances, "host/path", false},
	} {
		out := must[*vpclattice.RegisterTargetsOutput](w)(w.RegisterTargets(ctx, &vpclattice.RegisterTargetsInput{TargetGroupIdentifier: test.group, Targets: []types.Target{{Id: &test.id}}}))
		if (len(out.Successful) == 1) != test.ok || (len(out.Unsuccessful) == 1) == test.ok {
			t.Errorf("%s: %+v %+v, want success %t", test.id, out.Successful, out.Unsuccessful, test.ok)
			continue
		}
		if !test.ok && (*out.Unsuccessful[0].FailureCode != "UnsupportedTarget" || *out.Unsuccessful[0].FailureMessage == "" || *out.Unsuccessful[0].Id != test.id || *out.Unsuccessful[0].Port != 80) {
			t.Errorf("%s: %+v", test.id, out.Unsuccessful[0])
		}
	}
}

// TestTargetHealth: what the gateway knows counts for targets that are in use.
func TestTargetHealth(t *testing.T) {
	known := map[string][2]string{"10.0.0.1": {"HEALTHY", ""}, "10.0.0.2": {"UNHEALTHY", "HealthCheckFailed"}}
	w := newWorld(t, func(c *Config) {
		c.Health = func(_, id string, port int64) (string, string, bool) {
			h, ok := known[id]
			return h[0], h[1], ok && port == 8080
		}
	})
	v, g := w.service("rates"), w.group("rates")
	must[any](w)(w.RegisterTargets(ctx, &vpclattice.RegisterTargetsInput{TargetGroupIdentifier: g.Id, Targets: []types.Target{
		{Id: aws.String("10.0.0.1")}, {Id: aws.String("10.0.0.2")}, {Id: aws.String("10.0.0.3")}, {Id: aws.String("10.0.0.1"), Port: aws.Int32(9)},
	}}))
	list := func(targets ...types.Target) []string {
		out := must[*vpclattice.ListTargetsOutput](w)(w.ListTargets(ctx, &vpclattice.ListTargetsInput{TargetGroupIdentifier: g.Id, Targets: targets}))
		var got []string
		for _, i := range out.Items {
			got = append(got, strings.TrimSpace(fmt.Sprintf("%s:%d %s %s", *i.Id, *i.Port, i.Status, aws.ToString(i.ReasonCode))))
		}
		return got
	}
	unused := "UNUSED TargetGroupNotInUse"
	for _, test := range []struct {
		targets []types.Target
		want    []string
	}{
		{nil, []string{"10.0.0.1:8080 " + unused, "10.0.0.2:8080 " + unused, "10.0.0.3:8080 " + unused, "10.0.0.1:9 " + unused}},
		{[]types.Target{{Id: aws.String("10.0.0.1")}}, []string{"10.0.0.1:8080 " + unused, "10.0.0.1:9 " + unused}},
		{[]types.Target{{Id: aws.String("10.0.0.1"), Port: aws.Int32(9)}, {Id: aws.String("10.0.0.9")}}, []string{"10.0.0.1:9 " + unused}},
	} {
		if diff := cmp.Diff(test.want, list(test.targets...)); diff != "" {
			t.Errorf("targets (-want +got)\n%s", diff)
		}
	}
	w.listener(v.Id, "http", 80, forward(g.Id))
	if diff := cmp.Diff([]string{"10.0.0.1:8080 HEALTHY", "10.0.0.2:8080 UNHEALTHY HealthCheckFailed", "10.0.0.3:8080 INITIAL InitialHealthChecking", "10.0.0.1:9 INITIAL InitialHealthChecking"}, list()); diff != "" {
		t.Errorf("targets in use (-want +got)\n%s", diff)
	}
}

// TestDeleteTargetGroup: not while it has targets, those that drain included, and
// nothing is left of targets that have drained.
func TestDeleteTargetGroup(t *testing.T) {
	w := newWorld(t)
	v, g := w.service("rates"), w.group("rates")
	l := w.listener(v.Id, "http", 80, forward(g.Id))
	target := []types.Target{{Id: aws.String("10.0.0.1")}}
	must[any](w)(w.RegisterTargets(ctx, &vpclattice.RegisterTargetsInput{TargetGroupIdentifier: g.Id, Targets: target}))
	remove := func(ctx context.Context) (any, error) {
		return w.DeleteTargetGroup(ctx, &vpclattice.DeleteTargetGroupInput{TargetGroupIdentifier: g.Id})
	}
	mustRefuse(w, "ConflictException", remove, "in use", *v.Arn)
	must[any](w)(w.DeregisterTargets(ctx, &vpclattice.DeregisterTargetsInput{TargetGroupIdentifier: g.Id, Targets: target}))
	must[any](w)(w.DeleteListener(ctx, &vpclattice.DeleteListenerInput{ServiceIdentifier: v.Id, ListenerIdentifier: l.Id}))
	mustRefuse(w, "ConflictException", remove, "TargetGroup has targets registered with it")
	// One that drains can be deregistered again, which changes nothing.
	again := must[*vpclattice.DeregisterTargetsOutput](w)(w.DeregisterTargets(ctx, &vpclattice.DeregisterTargetsInput{TargetGroupIdentifier: g.Id, Targets: target}))
	if len(again.Successful) != 1 {
		t.Errorf("deregistered again: %+v", again)
	}
	must[any](w)(w.DeleteService(ctx, &vpclattice.DeleteServiceInput{ServiceIdentifier: v.Id}))
	must[any](w)(w.RegisterTargets(ctx, &vpclattice.RegisterTargetsInput{TargetGroupIdentifier: g.Id, Targets: target}))
	mustRefuse(w, "ConflictException", remove, "TargetGroup has targets registered with it")
	w.drain(g.Id, "10.0.0.1")
	w.wait(time.Minute)
	must[any](w)(remove(ctx))
	if left := w.contents(); left != "" {
		t.Errorf("left\n%s", left)
	}
}

// drain uses a group for long enough to deregister a target from it.
func (w *world) drain(group *string, id string) {
	w.t.Helper()
	v := w.service("drains")
	w.listener(v.Id, "http", 80, forward(group))
	must[any](w)(w.DeregisterTargets(ctx, &vpclattice.DeregisterTargetsInput{TargetGroupIdentifier: group, Targets: []types.Target{{Id: &id}}}))
	must[any](w)(w.DeleteService(ctx, &vpclattice.DeleteServiceInput{ServiceIdentifier: v.Id}))
}

// TestServiceARNs: a target group says which service uses it, by its listeners and
// its rules.
func TestServiceARNs(t *testing.T) {
	w := newWorld(t)
	v, byListener, byRule, unused := w.service("rates"), w.group("one"), w.group("two"), w.group("three")
	l := w.listener(v.Id, "http", 80, forward(byListener.Id))
	r := must[*vpclattice.CreateRuleOutput](w)(w.CreateRule(ctx, &vpclattice.CreateRuleInput{
		ServiceIdentifier: v.Id, ListenerIdentifier: l.Id, Name: aws.String("old"), Priority: aws.Int32(1), Match: prefix("/old"), Action: forward(byListener.Id, byRule.Id),
	}))
	check := func(want map[string]string) {
		t.Helper()
		got := map[string]string{}
		for _, i := range must[*vpclattice.ListTargetGroupsOutput](w)(w.ListTargetGroups(ctx, &vpclattice.ListTargetGroupsInput{})).Items {
			if i.ServiceArns == nil {
				t.Errorf("%s has no serviceArns", *i.Name)
			}
			got[*i.Name] = strings.Join(i.ServiceArns, " ")
			one := must[*vpclattice.GetTargetGroupOutput](w)(w.GetTargetGroup(ctx, &vpclattice.GetTargetGroupInput{TargetGroupIdentifier: i.Id}))
			if diff := cmp.Diff(i.ServiceArns, one.ServiceArns); diff != "" {
				t.Errorf("listed and got: %s", diff)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("serviceArns (-want +got)\n%s", diff)
		}
	}
	check(map[string]string{"one": *v.Arn, "two": *v.Arn, "three": ""})
	must[any](w)(w.DeleteRule(ctx, &vpclattice.DeleteRuleInput{ServiceIdentifier: v.Id, ListenerIdentifier: l.Id, RuleIdentifier: r.Id}))
	check(map[string]string{"one": *v.Arn, "two": "", "three": ""})
	must[any](w)(w.UpdateListener(ctx, &vpclattice.UpdateListenerInput{ServiceIdentifier: v.Id, ListenerIdentifier: l.Id, DefaultAction: forward(unused.Id)}))
	check(map[string]string{"one": "", "two": "", "three": *v.Arn})
	// A group that is used by one service only is another's when it is free.
	other := w.service("other")
	mustRefuse(w, "ConflictException", func(ctx context.Context) (any, error) {
		return w.CreateListener(ctx, &vpclattice.CreateListenerInput{ServiceIdentifier: other.Id, Name: aws.String("http"), Protocol: "HTTP", DefaultAction: forward(unused.Id)})
	}, *v.Arn)
	w.listener(other.Id, "http", 80, forward(byListener.Id))
	check(map[string]string{"one": *other.Arn, "two": "", "three": *v.Arn})
}

func TestListTargetGroups(t *testing.T) {
	w := newWorld(t)
	vpc := model.NewID("vpc")
	w.register(vpc)
	w.group("one")
	must[any](w)(w.CreateTargetGroup(ctx, &vpclattice.CreateTargetGroupInput{Name: aws.String("two"), Type: "INSTANCE", Config: &types.TargetGroupConfig{Protocol: "HTTPS", VpcIdentifier: &vpc}}))
	for _, test := range []struct {
		in   vpclattice.ListTargetGroupsInput
		want string
	}{
		{vpclattice.ListTargetGroupsInput{}, "one two"},
		{vpclattice.ListTargetGroupsInput{VpcIdentifier: &vpc}, "two"},
		{vpclattice.ListTargetGroupsInput{TargetGroupType: "IP"}, "one"},
		{vpclattice.ListTargetGroupsInput{TargetGroupType: "IP", VpcIdentifier: &vpc}, ""},
		{vpclattice.ListTargetGroupsInput{TargetGroupType: "LAMBDA"}, ""},
	} {
		var got []string
		for _, i := range must[*vpclattice.ListTargetGroupsOutput](w)(w.ListTargetGroups(ctx, &test.in)).Items {
			got = append(got, *i.Name)
			if i.Port == nil || i.Protocol == "" || i.VpcIdentifier == nil || i.Status != "ACTIVE" || i.CreatedAt == nil {
				t.Errorf("summary %+v", i)
			}
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%+v: %v, want %s", test.in, got, test.want)
		}
	}
}
