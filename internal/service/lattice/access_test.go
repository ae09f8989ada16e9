package lattice

import (
	"context"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice/types"
	"github.com/google/go-cmp/cmp"

	"github.com/latchwork/latchwork/internal/awsapi"
)

// keysOf shows condition keys as "name=value,value".
func keysOf(keys []awsapi.Key) []string {
	var out []string
	for _, k := range keys {
		out = append(out, k.Name+"="+strings.Join(k.Values, ","))
	}
	return out
}

// TestAccess: what each kind of call is authorized on.
// Source: Service Authorization Reference, "Actions, resources, and condition keys
// for Amazon VPC Lattice".
func TestAccess(t *testing.T) {
	w := newWorld(t)
	arn := func(path string) string { return "arn:aws:vpc-lattice:" + region + ":" + w.account + ":" + path }
	tags := map[string]string{"team": "blue"}
	n := must[*vpclattice.CreateServiceNetworkOutput](w)(w.CreateServiceNetwork(ctx, &vpclattice.CreateServiceNetworkInput{Name: aws.String("network"), AuthType: types.AuthTypeAwsIam, Tags: tags}))
	v := must[*vpclattice.CreateServiceOutput](w)(w.CreateService(ctx, &vpclattice.CreateServiceInput{Name: aws.String("rates"), Tags: tags}))
	g := w.group("rates")
	l := must[*vpclattice.CreateListenerOutput](w)(w.CreateListener(ctx, &vpclattice.CreateListenerInput{
		ServiceIdentifier: v.Arn, Name: aws.String("http"), Protocol: types.ListenerProtocolHttp, DefaultAction: forward(g.Id), Tags: tags,
	}))
	r := must[*vpclattice.CreateRuleOutput](w)(w.CreateRule(ctx, &vpclattice.CreateRuleInput{
		ServiceIdentifier: v.Id, ListenerIdentifier: l.Id, Name: aws.String("old"), Priority: aws.Int32(1), Match: prefix("/old"), Action: fixed(404), Tags: tags,
	}))
	a := must[*vpclattice.CreateServiceNetworkVpcAssociationOutput](w)(w.CreateServiceNetworkVpcAssociation(ctx, &vpclattice.CreateServiceNetworkVpcAssociationInput{
		ServiceNetworkIdentifier: n.Id, VpcIdentifier: &w.vpc, SecurityGroupIds: []string{"sg-12345678", "sg-87654321"},
	}))
	must[any](w)(w.TagResource(ctx, &vpclattice.TagResourceInput{ResourceArn: a.Arn, Tags: tags}))
	must[any](w)(w.UntagResource(ctx, &vpclattice.UntagResourceInput{ResourceArn: a.Arn, TagKeys: []string{"team", "x"}}))
	must[any](w)(w.UpdateService(ctx, &vpclattice.UpdateServiceInput{ServiceIdentifier: v.Id, AuthType: types.AuthTypeNone}))
	must[any](w)(w.UpdateServiceNetworkVpcAssociation(ctx, &vpclattice.UpdateServiceNetworkVpcAssociationInput{ServiceNetworkVpcAssociationIdentifier: a.Id, SecurityGroupIds: []string{"sg-12345678"}}))
	must[any](w)(w.ListServices(ctx, &vpclattice.ListServicesInput{}))
	must[any](w)(w.ListServiceNetworkVpcAssociations(ctx, &vpclattice.ListServiceNetworkVpcAssociationsInput{ServiceNetworkIdentifier: n.Id, VpcIdentifier: &w.vpc}))
	must[any](w)(w.RegisterTargets(ctx, &vpclattice.RegisterTargetsInput{TargetGroupIdentifier: g.Id, Targets: []types.Target{{Id: aws.String("10.0.0.1")}}}))
	must[any](w)(w.PutAuthPolicy(ctx, &vpclattice.PutAuthPolicyInput{ResourceIdentifier: n.Id, Policy: aws.String(compact)}))
	must[any](w)(w.GetAuthPolicy(ctx, &vpclattice.GetAuthPolicyInput{ResourceIdentifier: v.Id}))
	must[any](w)(w.GetListener(ctx, &vpclattice.GetListenerInput{ServiceIdentifier: v.Arn, ListenerIdentifier: l.Id}))
	must[any](w)(w.GetRule(ctx, &vpclattice.GetRuleInput{ServiceIdentifier: v.Arn, ListenerIdentifier: l.Arn, RuleIdentifier: r.Id}))
	second := must[*vpclattice.CreateRuleOutput](w)(w.CreateRule(ctx, &vpclattice.CreateRuleInput{
		ServiceIdentifier: v.Id, ListenerIdentifier: l.Id, Name: aws.String("older"), Priority: aws.Int32(2), Match: prefix("/older"), Action: fixed(404),
	}))
	must[any](w)(w.BatchUpdateRule(ctx, &vpclattice.BatchUpdateRuleInput{ServiceIdentifier: v.Id, ListenerIdentifier: l.Id, Rules: []types.RuleUpdate{
		{RuleIdentifier: r.Id, Action: forward(g.Arn)}, {RuleIdentifier: second.Arn, Priority: aws.Int32(7)},
	}}))
	must[any](w)(w.DeleteServiceNetworkVpcAssociation(ctx, &vpclattice.DeleteServiceNetworkVpcAssociationInput{ServiceNetworkVpcAssociationIdentifier: a.Id}))

	requested := []string{"aws:TagKeys=team", "aws:RequestTag/team=blue"}
	tagged := []string{"aws:ResourceTag/team=blue"}
	vpcAssociation := []string{"vpc-lattice:VpcId=" + w.vpc, "vpc-lattice:ServiceNetworkArn=" + *n.Arn}
	listener, rule := "service/"+*v.Id+"/listener/"+*l.Id, "service/"+*v.Id+"/listener/"+*l.Id+"/rule/"
	type resource struct {
		ARN  string
		Keys []string
	}
	for _, test := range []struct {
		operation string
		action    string // "" is the operation's name
		resources []resource
		keys      []string
	}{
		{"CreateServiceNetwork", "", []resource{{arn("servicenetwork/sn-*"), nil}}, append(requested[:2:2], "vpc-lattice:CreateAction=CreateServiceNetwork", "vpc-lattice:AuthType=AWS_IAM")},
		{"CreateService", "", []resource{{arn("service/svc-*"), nil}}, append(requested[:2:2], "vpc-lattice:CreateAction=CreateService")},
		{"CreateTargetGroup", "", []resource{{arn("targetgroup/tg-*"), nil}}, []string{"vpc-lattice:CreateAction=CreateTargetGroup", "vpc-lattice:VpcId=" + w.vpc}},
		{"CreateListener", "", []resource{{arn("service/" + *v.Id + "/listener/listener-*"), nil}}, append(requested[:2:2], "vpc-lattice:CreateAction=CreateListener", "vpc-lattice:Protocol=HTTP", "vpc-lattice:TargetGroupArns="+*g.Arn)},
		{"CreateRule", "", []resource{{arn(rule + "rule-*"), nil}}, []string{"vpc-lattice:CreateAction=CreateRule"}},
		{"CreateServiceNetworkVpcAssociation", "", []resource{{arn("servicenetworkvpcassociation/*"), nil}, {*n.Arn, tagged}}, []string{
			"vpc-lattice:CreateAction=CreateServiceNetworkVpcAssociation", "vpc-lattice:ServiceNetworkArn=" + *n.Arn, "vpc-lattice:VpcId=" + w.vpc, "vpc-lattice:SecurityGroupIds=sg-12345678,sg-87654321",
		}},
		{"UpdateServiceNetworkVpcAssociation", "", []resource{{*a.Arn, vpcAssociation}}, []string{"vpc-lattice:SecurityGroupIds=sg-12345678"}},
		{"DeleteServiceNetworkVpcAssociation", "", []resource{{*a.Arn, vpcAssociation}}, nil},
		{"ListServiceNetworkVpcAssociations", "", []resource{{"*", nil}}, []string{"vpc-lattice:ServiceNetworkArn=" + *n.Arn, "vpc-lattice:VpcId=" + w.vpc}},
		{"ListServices", "", []resource{{"*", nil}}, nil},
		{"UpdateService", "", []resource{{*v.Arn, tagged}}, []string{"vpc-lattice:AuthType=NONE"}},
		{"GetListener", "", []resource{{arn(listener), tagged}}, nil},
		{"GetRule", "", []resource{{arn(rule + *r.Id), tagged}}, nil},
		{"RegisterTargets", "", []resource{{*g.Arn, nil}}, nil},
		{"PutAuthPolicy", "", []resource{{*n.Arn, nil}}, nil},
		{"GetAuthPolicy", "", []resource{{*v.Arn, nil}}, nil},
		{"TagResource", "", []resource{{*a.Arn, vpcAssociation}}, requested},
		{"UntagResource", "", []resource{{*a.Arn, append(tagged[:1:1], vpcAssociation...)}}, []string{"aws:TagKeys=team,x"}},
		{"BatchUpdateRule", "UpdateRule", []resource{{*r.Arn, append(tagged[:1:1], "vpc-lattice:TargetGroupArns="+*g.Arn)}, {*second.Arn, nil}}, nil},
	} {
		t.Run(test.operation, func(t *testing.T) {
			c := w.calls[test.operation]
			if c == nil {
				t.Fatal("was not authorized")
			}
			if test.action == "" {
				test.action = test.operation
			}
			if c.Action != "vpc-lattice:"+test.action {
				t.Errorf("action %s", c.Action)
			}
			var got []resource
			for _, r := range c.Resources {
				got = append(got, resource{r.ARN, keysOf(r.Keys)})
			}
			if diff := cmp.Diff(test.resources, got); diff != "" {
				t.Errorf("resources (-want +got)\n%s", diff)
			}
			if diff := cmp.Diff(test.keys, keysOf(c.Keys)); diff != "" {
				t.Errorf("keys (-want +got)\n%s", diff)
			}
		})
	}
}

// TestOnlyItsOwnARN: a caller is authorized for the ARN that it sends. One of
// another partition or service must not lead to the resource, or a Deny on the
// resource's own ARN would be escaped.
func TestOnlyItsOwnARN(t *testing.T) {
	w := newWorld(t)
	n, v, g := w.network("network"), w.service("rates"), w.group("rates")
	l := w.listener(v.Id, "http", 80, forward(g.Id))
	r := must[*vpclattice.CreateRuleOutput](w)(w.CreateRule(ctx, &vpclattice.CreateRuleInput{
		ServiceIdentifier: v.Id, ListenerIdentifier: l.Id, Name: aws.String("old"), Priority: aws.Int32(1), Match: prefix("/old"), Action: fixed(404),
	}))
	a := must[*vpclattice.CreateServiceNetworkServiceAssociationOutput](w)(w.CreateServiceNetworkServiceAssociation(ctx, &vpclattice.CreateServiceNetworkServiceAssociationInput{ServiceIdentifier: v.Id, ServiceNetworkIdentifier: n.Id}))
	for name, change := range map[string][2]string{
		"partition": {"arn:aws:", "arn:aws-cn:"},
		"region":    {":" + region + ":", ":eu-west-1:"}, "account": {":" + w.account + ":", ":999999999999:"},
	} {
		t.Run(name, func(t *testing.T) {
			other := func(arn *string) *string { return aws.String(strings.Replace(*arn, change[0], change[1], 1)) }
			for _, call := range []func(context.Context) (any, error){
				func(ctx context.Context) (any, error) {
					return w.UpdateServiceNetwork(ctx, &vpclattice.UpdateServiceNetworkInput{ServiceNetworkIdentifier: other(n.Arn), AuthType: types.AuthTypeAwsIam})
				},
				func(ctx context.Context) (any, error) {
					return w.UpdateService(ctx, &vpclattice.UpdateServiceInput{ServiceIdentifier: other(v.Arn), AuthType: types.AuthTypeAwsIam})
				},
				func(ctx context.Context) (any, error) {
					return w.DeleteListener(ctx, &vpclattice.DeleteListenerInput{ServiceIdentifier: v.Id, ListenerIdentifier: other(l.Arn)})
				},
				func(ctx context.Context) (any, error) {
					return w.DeleteListener(ctx, &vpclattice.DeleteListenerInput{ServiceIdentifier: other(v.Arn), ListenerIdentifier: l.Id})
				},
				func(ctx context.Context) (any, error) {
					return w.DeleteRule(ctx, &vpclattice.DeleteRuleInput{ServiceIdentifier: v.Id, ListenerIdentifier: l.Id, RuleIdentifier: other(r.Arn)})
				},
				func(ctx context.Context) (any, error) {
					return w.DeregisterTargets(ctx, &vpclattice.DeregisterTargetsInput{TargetGroupIdentifier: other(g.Arn), Targets: []types.Target{{Id: aws.String("10.0.0.1")}}})
				},
				func(ctx context.Context) (any, error) {
					return w.UpdateListener(ctx, &vpclattice.UpdateListenerInput{ServiceIdentifier: v.Id, ListenerIdentifier: l.Id, DefaultAction: forward(other(g.Arn))})
				},
				func(ctx context.Context) (any, error) {
					return w.DeleteServiceNetworkServiceAssociation(ctx, &vpclattice.DeleteServiceNetworkServiceAssociationInput{ServiceNetworkServiceAssociationIdentifier: other(a.Arn)})
				},
				func(ctx context.Context) (any, error) {
					return w.PutAuthPolicy(ctx, &vpclattice.PutAuthPolicyInput{ResourceIdentifier: other(v.Arn), Policy: aws.String(compact)})
				},
			} {
				mustRefuse(w, "ResourceNotFoundException", call)
			}
			want := "ResourceNotFoundException"
			if name == "account" {
				want = "AccessDeniedException"
			}
			mustRefuse(w, want, func(ctx context.Context) (any, error) {
				return w.TagResource(ctx, &vpclattice.TagResourceInput{ResourceArn: other(v.Arn), Tags: map[string]string{"x": "1"}})
			})
		})
	}
	// The model's pattern lets any service pass here, and nowhere else.
	mustRefuse(w, "ResourceNotFoundException", func(ctx context.Context) (any, error) {
		return w.PutAuthPolicy(ctx, &vpclattice.PutAuthPolicyInput{ResourceIdentifier: aws.String(strings.Replace(*v.Arn, ":vpc-lattice:", ":ec2:", 1)), Policy: aws.String(compact)})
	})
}

// TestTagsThatDifferByCase: names of condition keys ignore case, so such tags are
// one key with all their values, and none of them hides another.
func TestTagsThatDifferByCase(t *testing.T) {
	w := newWorld(t)
	v := must[*vpclattice.CreateServiceOutput](w)(w.CreateService(ctx, &vpclattice.CreateServiceInput{Name: aws.String("rates"), Tags: map[string]string{"team": "b", "Team": "a", "x": "1"}}))
	must[any](w)(w.GetService(ctx, &vpclattice.GetServiceInput{ServiceIdentifier: v.Id}))
	if diff := cmp.Diff([]string{"aws:ResourceTag/Team=a,b", "aws:ResourceTag/x=1"}, keysOf(w.calls["GetService"].Resources[0].Keys)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"aws:TagKeys=Team,team,x", "aws:RequestTag/Team=a,b", "aws:RequestTag/x=1", "vpc-lattice:CreateAction=CreateService"}, keysOf(w.calls["CreateService"].Keys)); diff != "" {
		t.Error(diff)
	}
}
