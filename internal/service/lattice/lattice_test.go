package lattice

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice/types"
)

var ctx = context.Background()

// TestServiceLifecycle: what a service has goes with it, and its name can be taken
// again.
func TestServiceLifecycle(t *testing.T) {
	w := newWorld(t)
	empty := w.contents()
	n, v, g := w.network("network"), w.service("rates"), w.group("rates")
	l := w.listener(v.Id, "http", 80, forward(g.Id))
	must[*vpclattice.CreateRuleOutput](w)(w.CreateRule(ctx, &vpclattice.CreateRuleInput{
		ServiceIdentifier: v.Arn, ListenerIdentifier: l.Arn, Name: aws.String("old"), Priority: aws.Int32(1), Match: prefix("/old"), Action: fixed(404),
	}))
	if v.Status != types.ServiceStatusCreateInProgress || !strings.HasPrefix(*v.DnsEntry.DomainName, "rates-0") || !strings.HasSuffix(*v.DnsEntry.DomainName, ".7d67968.vpc-lattice-svcs.us-west-2.on.aws") {
		t.Errorf("created %v %s", v.Status, *v.DnsEntry.DomainName)
	}
	if got := must[*vpclattice.GetServiceOutput](w)(w.GetService(ctx, &vpclattice.GetServiceInput{ServiceIdentifier: v.Arn})); got.Status != types.ServiceStatusActive || got.AuthType != types.AuthTypeNone || got.CreatedAt == nil {
		t.Errorf("got %+v", got)
	}
	a := must[*vpclattice.CreateServiceNetworkServiceAssociationOutput](w)(w.CreateServiceNetworkServiceAssociation(ctx, &vpclattice.CreateServiceNetworkServiceAssociationInput{ServiceIdentifier: v.Arn, ServiceNetworkIdentifier: n.Arn}))
	if asked := w.asked["CreateServiceNetworkServiceAssociation"]; len(asked) != 3 {
		t.Errorf("the association was authorized on %v, want the association, the network and the service", asked)
	}
	mustRefuse(w, "ConflictException", func(ctx context.Context) (any, error) {
		return w.CreateServiceNetworkServiceAssociation(ctx, &vpclattice.CreateServiceNetworkServiceAssociationInput{ServiceIdentifier: v.Id, ServiceNetworkIdentifier: n.Id})
	}, "Association already exists.")
	mustRefuse(w, "ConflictException", func(ctx context.Context) (any, error) {
		return w.DeleteService(ctx, &vpclattice.DeleteServiceInput{ServiceIdentifier: v.Id})
	}, "has one or more associated service networks.")
	mustRefuse(w, "ConflictException", func(ctx context.Context) (any, error) {
		return w.DeleteServiceNetwork(ctx, &vpclattice.DeleteServiceNetworkInput{ServiceNetworkIdentifier: n.Id})
	}, "has service(s) associated")
	mustRefuse(w, "ConflictException", func(ctx context.Context) (any, error) {
		return w.DeleteTargetGroup(ctx, &vpclattice.DeleteTargetGroupInput{TargetGroupIdentifier: g.Id})
	}, "in use")
	if got := must[*vpclattice.GetTargetGroupOutput](w)(w.GetTargetGroup(ctx, &vpclattice.GetTargetGroupInput{TargetGroupIdentifier: g.Id})); len(got.ServiceArns) != 1 || got.ServiceArns[0] != *v.Arn {
		t.Errorf("serviceArns %v", got.ServiceArns)
	}
	must[any](w)(w.GetServiceNetworkServiceAssociation(ctx, &vpclattice.GetServiceNetworkServiceAssociationInput{ServiceNetworkServiceAssociationIdentifier: a.Id}))
	if asked := w.asked["GetServiceNetworkServiceAssociation"]; len(asked) != 1 || len(asked[0].Keys) != 2 || asked[0].Keys[0].Values[0] != *v.Arn || asked[0].Keys[1].Values[0] != *n.Arn {
		t.Errorf("the association was read on %+v, want the keys of what it joins", asked)
	}
	list := must[*vpclattice.ListServiceNetworkServiceAssociationsOutput](w)(w.ListServiceNetworkServiceAssociations(ctx, &vpclattice.ListServiceNetworkServiceAssociationsInput{ServiceIdentifier: v.Id}))
	if len(list.Items) != 1 || *list.Items[0].ServiceNetworkName != "network" || *list.Items[0].ServiceArn != *v.Arn {
		t.Errorf("associations %+v", list.Items)
	}
	mustRefuse(w, "ValidationException", func(ctx context.Context) (any, error) {
		return w.ListServiceNetworkServiceAssociations(ctx, &vpclattice.ListServiceNetworkServiceAssociationsInput{})
	})
	must[any](w)(w.DeleteServiceNetworkServiceAssociation(ctx, &vpclattice.DeleteServiceNetworkServiceAssociationInput{ServiceNetworkServiceAssociationIdentifier: a.Id}))
	must[any](w)(w.PutAuthPolicy(ctx, &vpclattice.PutAuthPolicyInput{ResourceIdentifier: v.Id, Policy: aws.String(compact)}))
	if got := must[*vpclattice.DeleteServiceOutput](w)(w.DeleteService(ctx, &vpclattice.DeleteServiceInput{ServiceIdentifier: v.Id})); got.Status != types.ServiceStatusDeleteInProgress {
		t.Errorf("deleted %v", got.Status)
	}
	must[any](w)(w.DeleteServiceNetwork(ctx, &vpclattice.DeleteServiceNetworkInput{ServiceNetworkIdentifier: n.Arn}))
	must[any](w)(w.DeleteTargetGroup(ctx, &vpclattice.DeleteTargetGroupInput{TargetGroupIdentifier: g.Arn}))
	if left := w.contents(); left != empty {
		t.Errorf("deleting everything left\n%s", left)
	}
	mustRefuse(w, "ResourceNotFoundException", func(ctx context.Context) (any, error) {
		return w.GetService(ctx, &vpclattice.GetServiceInput{ServiceIdentifier: v.Id})
	})
}

func TestNames(t *testing.T) {
	w := newWorld(t)
	v := w.service("rates")
	w.group("rates")
	w.network("rates")
	w.listener(v.Id, "http", 80, fixed(404))
	for _, call := range []func(context.Context) (any, error){
		func(ctx context.Context) (any, error) {
			return w.CreateService(ctx, &vpclattice.CreateServiceInput{Name: aws.String("rates")})
		},
		func(ctx context.Context) (any, error) {
			return w.CreateServiceNetwork(ctx, &vpclattice.CreateServiceNetworkInput{Name: aws.String("rates")})
		},
		func(ctx context.Context) (any, error) {
			return w.CreateTargetGroup(ctx, &vpclattice.CreateTargetGroupInput{Name: aws.String("rates"), Type: types.TargetGroupTypeIp, Config: &types.TargetGroupConfig{Port: aws.Int32(1), Protocol: types.TargetGroupProtocolHttp, VpcIdentifier: &w.vpc}})
		},
		func(ctx context.Context) (any, error) {
			return w.CreateListener(ctx, &vpclattice.CreateListenerInput{ServiceIdentifier: v.Id, Name: aws.String("http"), Protocol: types.ListenerProtocolHttp, Port: aws.Int32(81), DefaultAction: fixed(404)})
		},
		func(ctx context.Context) (any, error) {
			return w.CreateListener(ctx, &vpclattice.CreateListenerInput{ServiceIdentifier: v.Id, Name: aws.String("another"), Protocol: types.ListenerProtocolHttp, Port: aws.Int32(80), DefaultAction: fixed(404)})
		},
	} {
		mustRefuse(w, "ConflictException", call)
	}
	for _, name := range []string{"svc-x", "-ab", "ab-", "a--b", "Abc", "ab"} {
		mustRefuse(w, "ValidationException", func(ctx context.Context) (any, error) {
			return w.CreateService(ctx, &vpclattice.CreateServiceInput{Name: &name})
		})
	}
	for _, domain := range []string{"*.example.com", "a..b", "a b.c", "-a.com", "\u212aa.com", strings.ToUpper(*v.DnsEntry.DomainName)} {
		mustRefuse(w, "ValidationException", func(ctx context.Context) (any, error) {
			return w.CreateService(ctx, &vpclattice.CreateServiceInput{Name: aws.String("another"), CustomDomainName: &domain})
		})
	}
	// An ARN of another account or region names nothing here.
	for _, arn := range []string{strings.Replace(*v.Arn, w.account, "999999999999", 1), strings.Replace(*v.Arn, region, "eu-west-1", 1)} {
		mustRefuse(w, "ResourceNotFoundException", func(ctx context.Context) (any, error) {
			return w.GetService(ctx, &vpclattice.GetServiceInput{ServiceIdentifier: &arn})
		})
	}
}

func TestRules(t *testing.T) {
	w := newWorld(t)
	v, g := w.service("rates"), w.group("rates")
	l := w.listener(v.Id, "http", 80, forward(g.Arn))
	if f := l.DefaultAction.(*types.RuleActionMemberForward); *f.Value.TargetGroups[0].TargetGroupIdentifier != *g.Id || *f.Value.TargetGroups[0].Weight != 100 {
		t.Errorf("default action %+v, want the group's id and weight 100", f.Value.TargetGroups[0])
	}
	create := func(name string, priority int32) (*vpclattice.CreateRuleOutput, error) {
		return w.CreateRule(ctx, &vpclattice.CreateRuleInput{
			ServiceIdentifier: v.Id, ListenerIdentifier: l.Id, Name: &name, Priority: &priority, Match: prefix("/" + name), Action: fixed(404),
		})
	}
	one := must[*vpclattice.CreateRuleOutput](w)(create("one", 1))
	two := must[*vpclattice.CreateRuleOutput](w)(create("two", 2))
	mustRefuse(w, "ConflictException", func(context.Context) (any, error) { return create("three", 2) }, "priority 2")
	mustRefuse(w, "ConflictException", func(context.Context) (any, error) { return create("one", 3) })
	mustRefuse(w, "ValidationException", func(ctx context.Context) (any, error) {
		return w.CreateRule(ctx, &vpclattice.CreateRuleInput{ServiceIdentifier: v.Id, ListenerIdentifier: l.Id, Name: aws.String("bad"), Priority: aws.Int32(9), Match: prefix("/x"), Action: fixed(200)})
	}, "404 or 500")
	got := must[*vpclattice.GetRuleOutput](w)(w.GetRule(ctx, &vpclattice.GetRuleInput{ServiceIdentifier: v.Id, ListenerIdentifier: l.Id, RuleIdentifier: one.Arn}))
	m := got.Match.(*types.RuleMatchMemberHttpMatch).Value
	if *got.IsDefault || m.HeaderMatches == nil || len(m.HeaderMatches) != 0 || m.Method != nil || *m.PathMatch.CaseSensitive {
		t.Errorf("rule %+v, match %+v", got, m)
	}
	// Priorities change places.
	batch := must[*vpclattice.BatchUpdateRuleOutput](w)(w.BatchUpdateRule(ctx, &vpclattice.BatchUpdateRuleInput{ServiceIdentifier: v.Id, ListenerIdentifier: l.Id, Rules: []types.RuleUpdate{
		{RuleIdentifier: one.Id, Priority: aws.Int32(2)}, {RuleIdentifier: two.Id, Priority: aws.Int32(1)}, {RuleIdentifier: aws.String("rule-00000000000000000"), Priority: aws.Int32(5)},
	}}))
	if len(batch.Successful) != 2 || *batch.Successful[0].Priority != 2 || len(batch.Unsuccessful) != 1 || *batch.Unsuccessful[0].FailureCode != "ResourceNotFoundException" {
		t.Errorf("batch %+v", batch)
	}
	must[any](w)(w.UpdateRule(ctx, &vpclattice.UpdateRuleInput{ServiceIdentifier: v.Id, ListenerIdentifier: l.Id, RuleIdentifier: one.Id, Priority: aws.Int32(7)}))
	mustRefuse(w, "ConflictException", func(ctx context.Context) (any, error) {
		return w.UpdateRule(ctx, &vpclattice.UpdateRuleInput{ServiceIdentifier: v.Id, ListenerIdentifier: l.Id, RuleIdentifier: one.Id, Priority: aws.Int32(1)})
	})
	rules := must[*vpclattice.ListRulesOutput](w)(w.ListRules(ctx, &vpclattice.ListRulesInput{ServiceIdentifier: v.Id, ListenerIdentifier: l.Id}))
	var byDefault *types.RuleSummary
	for i, r := range rules.Items {
		if *r.IsDefault {
			byDefault = &rules.Items[i]
		}
	}
	if len(rules.Items) != 3 || byDefault == nil || byDefault.Priority != nil {
		t.Fatalf("rules %+v", rules.Items)
	}
	if got := must[*vpclattice.GetRuleOutput](w)(w.GetRule(ctx, &vpclattice.GetRuleInput{ServiceIdentifier: v.Id, ListenerIdentifier: l.Id, RuleIdentifier: byDefault.Id})); got.Match != nil || !*got.IsDefault {
		t.Errorf("default rule %+v", got)
	}
	for _, call := range []func(context.Context) (any, error){
		func(ctx context.Context) (any, error) {
			return w.DeleteRule(ctx, &vpclattice.DeleteRuleInput{ServiceIdentifier: v.Id, ListenerIdentifier: l.Id, RuleIdentifier: byDefault.Id})
		},
		func(ctx context.Context) (any, error) {
			return w.UpdateRule(ctx, &vpclattice.UpdateRuleInput{ServiceIdentifier: v.Id, ListenerIdentifier: l.Id, RuleIdentifier: byDefault.Id, Priority: aws.Int32(9)})
		},
	} {
		mustRefuse(w, "ValidationException", call, "default rule")
	}
	must[any](w)(w.DeleteRule(ctx, &vpclattice.DeleteRuleInput{ServiceIdentifier: v.Id, ListenerIdentifier: l.Id, RuleIdentifier: one.Id}))
	must[*vpclattice.CreateRuleOutput](w)(create("one", 7))
	// A target group belongs to one service.
	other := w.service("other")
	mustRefuse(w, "ConflictException", func(ctx context.Context) (any, error) {
		return w.CreateListener(ctx, &vpclattice.CreateListenerInput{ServiceIdentifier: other.Id, Name: aws.String("http"), Protocol: types.ListenerProtocolHttp, DefaultAction: forward(g.Id)})
	}, "belongs to one service")
	must[any](w)(w.UpdateListener(ctx, &vpclattice.UpdateListenerInput{ServiceIdentifier: v.Id, ListenerIdentifier: l.Id, DefaultAction: fixed(500)}))
	must[any](w)(w.DeleteListener(ctx, &vpclattice.DeleteListenerInput{ServiceIdentifier: v.Id, ListenerIdentifier: l.Id}))
	w.listener(v.Id, "http", 80, forward(g.Id))
}

func TestHealthChecks(t *testing.T) {
	w := newWorld(t)
	create := func(name string, version types.TargetGroupProtocolVersion, check *types.HealthCheckConfig) *types.HealthCheckConfig {
		out := must[*vpclattice.CreateTargetGroupOutput](w)(w.CreateTargetGroup(ctx, &vpclattice.CreateTargetGroupInput{Name: &name, Type: types.TargetGroupTypeIp, Config: &types.TargetGroupConfig{
			Port: aws.Int32(80), Protocol: types.TargetGroupProtocolHttps, ProtocolVersion: version, VpcIdentifier: &w.vpc, HealthCheck: check,
		}}))
		if out.Config.IpAddressType != types.IpAddressTypeIpv4 {
			t.Errorf("address type %s", out.Config.IpAddressType)
		}
		return out.Config.HealthCheck
	}
	for _, test := range []struct {
		version types.TargetGroupProtocolVersion
		enabled bool
		check   types.HealthCheckProtocolVersion
	}{
		{"", true, "HTTP1"}, {"HTTP1", true, "HTTP1"}, {"HTTP2", false, "HTTP2"}, {"GRPC", false, "HTTP1"},
	} {
		h := create("tgx"+strings.ToLower(string(test.version)), test.version, nil)
		if *h.Enabled != test.enabled || h.ProtocolVersion != test.check || h.Protocol != "HTTPS" || *h.Path != "/" || h.Port != nil ||
			*h.HealthCheckIntervalSeconds != 30 || *h.HealthCheckTimeoutSeconds != 5 || *h.HealthyThresholdCount != 5 || *h.UnhealthyThresholdCount != 2 ||
			h.Matcher.(*types.MatcherMemberHttpCode).Value != "200" {
			t.Errorf("%q: health check %+v", test.version, h)
		}
	}
	h := create("zeros", "HTTP1", &types.HealthCheckConfig{HealthCheckIntervalSeconds: aws.Int32(0), Path: aws.String(""), Port: aws.Int32(0), HealthyThresholdCount: aws.Int32(3)})
	if *h.HealthCheckIntervalSeconds != 30 || *h.Path != "/" || h.Port != nil || *h.HealthyThresholdCount != 3 {
		t.Errorf("0 does not stand for the default: %+v", h)
	}
	g := w.group("updated")
	must[any](w)(w.UpdateTargetGroup(ctx, &vpclattice.UpdateTargetGroupInput{TargetGroupIdentifier: g.Id, HealthCheck: &types.HealthCheckConfig{HealthCheckIntervalSeconds: aws.Int32(7)}}))
	up := must[*vpclattice.UpdateTargetGroupOutput](w)(w.UpdateTargetGroup(ctx, &vpclattice.UpdateTargetGroupInput{TargetGroupIdentifier: g.Id, HealthCheck: &types.HealthCheckConfig{Path: aws.String("/up")}}))
	if c := up.Config.HealthCheck; *c.HealthCheckIntervalSeconds != 7 || *c.Path != "/up" {
		t.Errorf("an update does not keep what it does not name: %+v", c)
	}
	for _, bad := range []*types.HealthCheckConfig{
		{HealthCheckIntervalSeconds: aws.Int32(4)},
		{HealthCheckTimeoutSeconds: aws.Int32(121)},
		{HealthyThresholdCount: aws.Int32(1)},
		{Matcher: &types.MatcherMemberHttpCode{Value: "500"}},
		{Matcher: &types.MatcherMemberHttpCode{Value: "299-200"}},
		{Protocol: "TCP"},
	} {
		mustRefuse(w, "ValidationException", func(ctx context.Context) (any, error) {
			return w.UpdateTargetGroup(ctx, &vpclattice.UpdateTargetGroupInput{TargetGroupIdentifier: g.Id, HealthCheck: bad})
		})
	}
	for _, kind := range []types.TargetGroupType{"LAMBDA", "ALB"} {
		mustRefuse(w, "ValidationException", func(ctx context.Context) (any, error) {
			return w.CreateTargetGroup(ctx, &vpclattice.CreateTargetGroupInput{Name: aws.String("other"), Type: kind})
		}, "not built")
	}
}

func TestTargets(t *testing.T) {
	w := newWorld(t)
	v, g := w.service("rates"), w.group("rates")
	register := func(targets ...types.Target) *vpclattice.RegisterTargetsOutput {
		return must[*vpclattice.RegisterTargetsOutput](w)(w.RegisterTargets(ctx, &vpclattice.RegisterTargetsInput{TargetGroupIdentifier: g.Id, Targets: targets}))
	}
	list := func() map[string]string {
		out := must[*vpclattice.ListTargetsOutput](w)(w.ListTargets(ctx, &vpclattice.ListTargetsInput{TargetGroupIdentifier: g.Id}))
		found := map[string]string{}
		for _, i := range out.Items {
			found[*i.Id] = string(i.Status) + " " + aws.ToString(i.ReasonCode)
		}
		return found
	}
	out := register(types.Target{Id: aws.String("10.0.0.1")}, types.Target{Id: aws.String("10.0.0.2"), Port: aws.Int32(9)}, types.Target{Id: aws.String("host")}, types.Target{Id: aws.String("::1")})
	if len(out.Successful) != 2 || *out.Successful[0].Port != 8080 || len(out.Unsuccessful) != 2 || *out.Unsuccessful[0].FailureCode != "UnsupportedTarget" {
		t.Errorf("registered %+v", out)
	}
	if got := list(); got["10.0.0.1"] != "UNUSED TargetGroupNotInUse" || len(got) != 2 {
		t.Errorf("targets %v", got)
	}
	w.listener(v.Id, "http", 80, forward(g.Id))
	if got := list(); got["10.0.0.1"] != "INITIAL InitialHealthChecking" {
		t.Errorf("targets in use %v", got)
	}
	register(types.Target{Id: aws.String("10.0.0.1")}) // again, which does nothing
	must[any](w)(w.DeregisterTargets(ctx, &vpclattice.DeregisterTargetsInput{TargetGroupIdentifier: g.Id, Targets: []types.Target{{Id: aws.String("10.0.0.1")}}}))
	if got := list(); got["10.0.0.1"] != "DRAINING DeregistrationInProgress" {
		t.Errorf("after deregistration %v", got)
	}
	w.wait(time.Minute)
	if got := list(); len(got) != 1 {
		t.Errorf("after draining %v", got)
	}
	register(types.Target{Id: aws.String("10.0.0.1")})
	if got := list(); got["10.0.0.1"] != "INITIAL InitialHealthChecking" {
		t.Errorf("registered again %v", got)
	}
	gone := must[*vpclattice.DeregisterTargetsOutput](w)(w.DeregisterTargets(ctx, &vpclattice.DeregisterTargetsInput{TargetGroupIdentifier: g.Id, Targets: []types.Target{{Id: aws.String("10.0.0.9")}}}))
	if len(gone.Unsuccessful) != 1 {
		t.Errorf("deregistered what was not there: %+v", gone)
	}
}

func TestVPCAssociations(t *testing.T) {
	w := newWorld(t)
	n, second := w.network("first"), w.network("second")
	a := must[*vpclattice.CreateServiceNetworkVpcAssociationOutput](w)(w.CreateServiceNetworkVpcAssociation(ctx, &vpclattice.CreateServiceNetworkVpcAssociationInput{
		ServiceNetworkIdentifier: n.Id, VpcIdentifier: &w.vpc, SecurityGroupIds: []string{"sg-12345678"},
	}))
	if a.Status != types.ServiceNetworkVpcAssociationStatusActive || *a.CreatedBy != w.account {
		t.Errorf("associated %+v", a)
	}
	mustRefuse(w, "ConflictException", func(ctx context.Context) (any, error) {
		return w.CreateServiceNetworkVpcAssociation(ctx, &vpclattice.CreateServiceNetworkVpcAssociationInput{ServiceNetworkIdentifier: second.Id, VpcIdentifier: &w.vpc})
	}, "VPC has already been associated to a service network.")
	mustRefuse(w, "ResourceNotFoundException", func(ctx context.Context) (any, error) {
		return w.CreateServiceNetworkVpcAssociation(ctx, &vpclattice.CreateServiceNetworkVpcAssociationInput{ServiceNetworkIdentifier: second.Id, VpcIdentifier: aws.String("vpc-12345678")})
	}, "create-vpc")
	mustRefuse(w, "ConflictException", func(ctx context.Context) (any, error) {
		return w.DeleteServiceNetwork(ctx, &vpclattice.DeleteServiceNetworkInput{ServiceNetworkIdentifier: n.Id})
	}, "ServiceNetwork "+*n.Id+" has VPC(s) associated")
	must[any](w)(w.UpdateServiceNetworkVpcAssociation(ctx, &vpclattice.UpdateServiceNetworkVpcAssociationInput{ServiceNetworkVpcAssociationIdentifier: a.Id, SecurityGroupIds: []string{"sg-87654321"}}))
	got := must[*vpclattice.GetServiceNetworkVpcAssociationOutput](w)(w.GetServiceNetworkVpcAssociation(ctx, &vpclattice.GetServiceNetworkVpcAssociationInput{ServiceNetworkVpcAssociationIdentifier: a.Arn}))
	if *got.VpcId != w.vpc || got.SecurityGroupIds[0] != "sg-87654321" || *got.ServiceNetworkName != "first" {
		t.Errorf("association %+v", got)
	}
	if all := must[*vpclattice.ListServiceNetworkVpcAssociationsOutput](w)(w.ListServiceNetworkVpcAssociations(ctx, &vpclattice.ListServiceNetworkVpcAssociationsInput{})); len(all.Items) != 1 {
		t.Errorf("associations %+v", all.Items)
	}
	if network := must[*vpclattice.GetServiceNetworkOutput](w)(w.GetServiceNetwork(ctx, &vpclattice.GetServiceNetworkInput{ServiceNetworkIdentifier: n.Id})); *network.NumberOfAssociatedVPCs != 1 || *network.NumberOfAssociatedServices != 0 {
		t.Errorf("network %+v", network)
	}
	must[any](w)(w.DeleteServiceNetworkVpcAssociation(ctx, &vpclattice.DeleteServiceNetworkVpcAssociationInput{ServiceNetworkVpcAssociationIdentifier: a.Id}))
	must[any](w)(w.CreateServiceNetworkVpcAssociation(ctx, &vpclattice.CreateServiceNetworkVpcAssociationInput{ServiceNetworkIdentifier: second.Id, VpcIdentifier: &w.vpc}))
}

const compact = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"vpc-lattice-svcs:Invoke","Resource":"*"}]}`

func TestAuthPolicies(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.MaxPolicy = 400 })
	v := w.service("rates")
	put := func(text string) func(context.Context) (any, error) {
		return func(ctx context.Context) (any, error) {
			return w.PutAuthPolicy(ctx, &vpclattice.PutAuthPolicyInput{ResourceIdentifier: v.Id, Policy: &text})
		}
	}
	get := func() *vpclattice.GetAuthPolicyOutput {
		return must[*vpclattice.GetAuthPolicyOutput](w)(w.GetAuthPolicy(ctx, &vpclattice.GetAuthPolicyInput{ResourceIdentifier: v.Arn}))
	}
	setAuth := func(a types.AuthType) {
		must[any](w)(w.UpdateService(ctx, &vpclattice.UpdateServiceInput{ServiceIdentifier: v.Id, AuthType: a}))
	}
	if got := get(); got.Policy != nil || got.State != "" {
		t.Errorf("without a policy: %+v", got)
	}
	must[any](w)(put(strings.Replace(compact, ",", " , ", 1) + "\n \n")(ctx))
	first := get()
	if *first.Policy != compact || first.State != types.AuthPolicyStateInactive {
		t.Errorf("stored %q, %s", *first.Policy, first.State)
	}
	setAuth(types.AuthTypeAwsIam)
	must[any](w)(put(compact)(ctx))
	second := get()
	if second.State != types.AuthPolicyStateActive || !second.CreatedAt.Equal(*first.CreatedAt) || !second.LastUpdatedAt.After(*first.LastUpdatedAt) {
		t.Errorf("after a second put: %+v", second)
	}
	for _, test := range []struct{ text, want string }{
		{"", "empty"},
		{"{", "not valid JSON"},
		{strings.Replace(compact, ",", ",\n", 1), compact},
		{strings.Replace(compact, `"*"}]`, `"*","Condition":{"StringEquals":{"vpc-lattice-svcs:requestmethod":"GET"}}}]`, 1), "RequestMethod"},
		{`{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`, "Principal"},
		{strings.Replace(compact, `"Resource":"*"`, `"Resource":"*`+strings.Repeat("x", 400)+`"`, 1), "maximum size of 400 bytes"},
	} {
		mustRefuse(w, "ValidationException", put(test.text), test.want)
	}
	mustRefuse(w, "ValidationException", func(ctx context.Context) (any, error) {
		return w.DeleteAuthPolicy(ctx, &vpclattice.DeleteAuthPolicyInput{ResourceIdentifier: v.Id})
	}, "aws vpc-lattice update-service --service-identifier "+*v.Id+" --auth-type NONE", "conformance: observed")
	setAuth(types.AuthTypeNone)
	for range 2 { // The second time there is nothing to delete.
		must[any](w)(w.DeleteAuthPolicy(ctx, &vpclattice.DeleteAuthPolicyInput{ResourceIdentifier: v.Id}))
	}
	if got := get(); got.Policy != nil {
		t.Errorf("after the delete: %+v", got)
	}
	mustRefuse(w, "ResourceNotFoundException", func(ctx context.Context) (any, error) {
		return w.PutAuthPolicy(ctx, &vpclattice.PutAuthPolicyInput{ResourceIdentifier: aws.String("sn-00000000000000000"), Policy: aws.String(compact)})
	})

	observed := newWorld(t, func(c *Config) { c.Observed = true })
	v = observed.service("rates")
	w = observed
	setAuth(types.AuthTypeAwsIam)
	must[any](w)(put(strings.Replace(compact, ",", ",\n", 1))(ctx))
	must[any](w)(w.DeleteAuthPolicy(ctx, &vpclattice.DeleteAuthPolicyInput{ResourceIdentifier: v.Id}))
}

func TestTags(t *testing.T) {
	w := newWorld(t)
	v := w.service("rates")
	l := w.listener(v.Id, "http", 80, fixed(404))
	for _, arn := range []*string{v.Arn, l.Arn, w.group("rates").Arn, w.network("network").Arn} {
		must[any](w)(w.TagResource(ctx, &vpclattice.TagResourceInput{ResourceArn: arn, Tags: map[string]string{"a b": "1", "c/d": "2"}}))
		must[any](w)(w.UntagResource(ctx, &vpclattice.UntagResourceInput{ResourceArn: arn, TagKeys: []string{"a b", "none"}}))
		if got := must[*vpclattice.ListTagsForResourceOutput](w)(w.ListTagsForResource(ctx, &vpclattice.ListTagsForResourceInput{ResourceArn: arn})); len(got.Tags) != 1 || got.Tags["c/d"] != "2" {
			t.Errorf("%s has tags %v", *arn, got.Tags)
		}
	}
	must[any](w)(w.GetService(ctx, &vpclattice.GetServiceInput{ServiceIdentifier: v.Id}))
	if asked := w.asked["GetService"]; len(asked) != 1 || asked[0].ARN != *v.Arn || len(asked[0].Keys) != 1 || asked[0].Keys[0].Name != "aws:ResourceTag/c/d" {
		t.Errorf("GetService was authorized on %+v", asked)
	}
	mustRefuse(w, "ValidationException", func(ctx context.Context) (any, error) {
		return w.TagResource(ctx, &vpclattice.TagResourceInput{ResourceArn: v.Arn, Tags: map[string]string{"aws:x": "1"}})
	}, "reserved")
	gone := strings.Replace(*v.Arn, *v.Id, "svc-00000000000000000", 1)
	mustRefuse(w, "ResourceNotFoundException", func(ctx context.Context) (any, error) {
		return w.TagResource(ctx, &vpclattice.TagResourceInput{ResourceArn: &gone, Tags: map[string]string{"x": "1"}})
	})
}

// TestPages: in order of creation, one at a time, as of the first page.
func TestPages(t *testing.T) {
	w := newWorld(t)
	names := []string{"zzz", "aaa", "mmm", "bbb"}
	for _, name := range names {
		w.service(name)
	}
	var got []string
	var token *string
	for page := 0; ; page++ {
		out := must[*vpclattice.ListServicesOutput](w)(w.ListServices(ctx, &vpclattice.ListServicesInput{MaxResults: aws.Int32(1), NextToken: token}))
		for _, i := range out.Items {
			got = append(got, *i.Name)
		}
		if page == 0 {
			w.service("late") // Not a part of this list.
		}
		if token = out.NextToken; token == nil {
			break
		}
	}
	if strings.Join(got, " ") != strings.Join(names, " ") {
		t.Errorf("listed %v, want %v", got, names)
	}
	mustRefuse(w, "ValidationException", func(ctx context.Context) (any, error) {
		return w.ListServices(ctx, &vpclattice.ListServicesInput{NextToken: aws.String("nonsense")})
	})
}

// TestTokens: a repeated call has no second effect.
func TestTokens(t *testing.T) {
	w := newWorld(t)
	create := func(name string) (*vpclattice.CreateServiceOutput, error) {
		return w.CreateService(ctx, &vpclattice.CreateServiceInput{Name: &name, ClientToken: aws.String("token-1")})
	}
	first := must[*vpclattice.CreateServiceOutput](w)(create("rates"))
	again := must[*vpclattice.CreateServiceOutput](w)(create("rates"))
	if *first.Id != *again.Id {
		t.Errorf("the same token made %s and %s", *first.Id, *again.Id)
	}
	mustRefuse(w, "ConflictException", func(context.Context) (any, error) { return create("other") })
}
