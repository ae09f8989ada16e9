package lattice

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice/types"
)

// TestDrainedTargetsGo: what has drained is removed from the store by a later
// deregistration, and is not there for it.
func TestDrainedTargetsGo(t *testing.T) {
	w := newWorld(t)
	v, g := w.service("rates"), w.group("rates")
	w.listener(v.Id, "http", 80, forward(g.Id))
	target := func(id string) []types.Target { return []types.Target{{Id: &id}} }
	deregister := func(id string) *vpclattice.DeregisterTargetsOutput {
		return must[*vpclattice.DeregisterTargetsOutput](w)(w.DeregisterTargets(ctx, &vpclattice.DeregisterTargetsInput{TargetGroupIdentifier: g.Id, Targets: target(id)}))
	}
	for _, id := range []string{"10.0.0.1", "10.0.0.2"} {
		must[any](w)(w.RegisterTargets(ctx, &vpclattice.RegisterTargetsInput{TargetGroupIdentifier: g.Id, Targets: target(id)}))
	}
	if out := deregister("10.0.0.1"); len(out.Successful) != 1 {
		t.Errorf("deregistered %+v", out)
	}
	if out := deregister("10.0.0.1"); len(out.Successful) != 1 { // while it drains, which goes on as it did
		t.Errorf("deregistered again %+v", out)
	}
	if !strings.Contains(w.contents(), "10.0.0.1:8080") {
		t.Error("a draining target is not stored")
	}
	w.wait(time.Minute)
	deregister("10.0.0.2")
	if left := w.contents(); strings.Contains(left, "10.0.0.1:8080") || !strings.Contains(left, "10.0.0.2:8080") {
		t.Errorf("stored\n%s", left)
	}
	if out := deregister("10.0.0.1"); len(out.Unsuccessful) != 1 || *out.Unsuccessful[0].FailureCode != "TargetNotFound" {
		t.Errorf("deregistered what has drained: %+v", out)
	}
}

// TestOneAddressIsOneTarget: however it is written.
func TestOneAddressIsOneTarget(t *testing.T) {
	w := newWorld(t)
	g := must[*vpclattice.CreateTargetGroupOutput](w)(w.CreateTargetGroup(ctx, &vpclattice.CreateTargetGroupInput{
		Name: aws.String("rates"), Type: "IP", Config: &types.TargetGroupConfig{Protocol: "HTTP", VpcIdentifier: &w.vpc, IpAddressType: "IPV6"},
	}))
	target := func(id string) []types.Target { return []types.Target{{Id: &id}} }
	for _, id := range []string{"2001:db8::a", "2001:DB8:0::A", "2001:db8:0:0:0:0:0:a"} {
		out := must[*vpclattice.RegisterTargetsOutput](w)(w.RegisterTargets(ctx, &vpclattice.RegisterTargetsInput{TargetGroupIdentifier: g.Id, Targets: target(id)}))
		if len(out.Successful) != 1 || *out.Successful[0].Id != id {
			t.Errorf("registered %+v", out)
		}
	}
	listed := must[*vpclattice.ListTargetsOutput](w)(w.ListTargets(ctx, &vpclattice.ListTargetsInput{TargetGroupIdentifier: g.Id, Targets: target("2001:db8:0::a")}))
	if len(listed.Items) != 1 || *listed.Items[0].Id != "2001:db8::a" {
		t.Errorf("targets %+v", listed.Items)
	}
	must[any](w)(w.DeregisterTargets(ctx, &vpclattice.DeregisterTargetsInput{TargetGroupIdentifier: g.Id, Targets: target("2001:db8:0::A")}))
	must[any](w)(w.DeleteTargetGroup(ctx, &vpclattice.DeleteTargetGroupInput{TargetGroupIdentifier: g.Id}))
}

// TestHealthWithoutChecks: clients wait for a target to leave INITIAL, which it
// never would where nobody checks it.
func TestHealthWithoutChecks(t *testing.T) {
	w := newWorld(t)
	v := w.service("rates")
	for i, test := range []struct {
		version types.TargetGroupProtocolVersion
		want    string
	}{{"HTTP1", "INITIAL InitialHealthChecking"}, {"GRPC", "UNAVAILABLE HealthCheckNotEnabled"}} {
		name := strings.ToLower(string(test.version))
		g := must[*vpclattice.CreateTargetGroupOutput](w)(w.CreateTargetGroup(ctx, &vpclattice.CreateTargetGroupInput{
			Name: &name, Type: "IP", Config: &types.TargetGroupConfig{Protocol: "HTTP", ProtocolVersion: test.version, VpcIdentifier: &w.vpc},
		}))
		w.listener(v.Id, name, int32(80+i), forward(g.Id))
		must[any](w)(w.RegisterTargets(ctx, &vpclattice.RegisterTargetsInput{TargetGroupIdentifier: g.Id, Targets: []types.Target{{Id: aws.String("10.0.0.1")}}}))
		found := must[*vpclattice.ListTargetsOutput](w)(w.ListTargets(ctx, &vpclattice.ListTargetsInput{TargetGroupIdentifier: g.Id})).Items[0]
		if got := string(found.Status) + " " + aws.ToString(found.ReasonCode); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}
