package lattice

import (
	"context"
	"reflect"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"
)

// estate has one resource of every kind.
type estate struct {
	*world
	network *vpclattice.CreateServiceNetworkOutput
	service *vpclattice.CreateServiceOutput
	group   *vpclattice.CreateTargetGroupOutput
	listen  *vpclattice.CreateListenerOutput
	rule    *vpclattice.CreateRuleOutput
	snsa    *vpclattice.CreateServiceNetworkServiceAssociationOutput
	snva    *vpclattice.CreateServiceNetworkVpcAssociationOutput
}

func newEstate(t *testing.T) *estate {
	t.Helper()
	w := newWorld(t)
	e := &estate{world: w, network: w.network("network"), service: w.service("rates"), group: w.group("group")}
	e.listen = w.listener(e.service.Id, "http", 80, forward(e.group.Id))
	e.rule = must[*vpclattice.CreateRuleOutput](w)(w.CreateRule(ctx, &vpclattice.CreateRuleInput{
		ServiceIdentifier: e.service.Id, ListenerIdentifier: e.listen.Id, Name: aws.String("old"), Priority: aws.Int32(1), Match: prefix("/old"), Action: fixed(404),
	}))
	e.snsa = must[*vpclattice.CreateServiceNetworkServiceAssociationOutput](w)(w.CreateServiceNetworkServiceAssociation(ctx, &vpclattice.CreateServiceNetworkServiceAssociationInput{ServiceIdentifier: e.service.Id, ServiceNetworkIdentifier: e.network.Id}))
	e.snva = must[*vpclattice.CreateServiceNetworkVpcAssociationOutput](w)(w.CreateServiceNetworkVpcAssociation(ctx, &vpclattice.CreateServiceNetworkVpcAssociationInput{ServiceNetworkIdentifier: e.network.Id, VpcIdentifier: &w.vpc}))
	return e
}

// operation is one that takes identifiers: those of the resource and of what it is
// below.
type operation struct {
	name         string
	ids, arns    []*string
	resourceType string
	call         func(context.Context, ...*string) (any, error)
}

// reads and changes of everything by id or by ARN; deletes come last, in an order
// that works.
func (e *estate) operations() []operation {
	network, service, group, snsa, snva := []*string{e.network.Id}, []*string{e.service.Id}, []*string{e.group.Id}, []*string{e.snsa.Id}, []*string{e.snva.Id}
	networkARN, serviceARN, groupARN, snsaARN, snvaARN := []*string{e.network.Arn}, []*string{e.service.Arn}, []*string{e.group.Arn}, []*string{e.snsa.Arn}, []*string{e.snva.Arn}
	listen, listenARN := append(service, e.listen.Id), append(serviceARN, e.listen.Arn)
	rule, ruleARN := append(listen, e.rule.Id), append(listenARN, e.rule.Arn)
	return []operation{
		{"GetServiceNetwork", network, networkARN, typeNetwork, func(ctx context.Context, id ...*string) (any, error) {
			return e.GetServiceNetwork(ctx, &vpclattice.GetServiceNetworkInput{ServiceNetworkIdentifier: id[0]})
		}},
		{"UpdateServiceNetwork", network, networkARN, typeNetwork, func(ctx context.Context, id ...*string) (any, error) {
			return e.UpdateServiceNetwork(ctx, &vpclattice.UpdateServiceNetworkInput{ServiceNetworkIdentifier: id[0], AuthType: types.AuthTypeAwsIam})
		}},
		{"PutAuthPolicy", network, networkARN, typeNetwork, func(ctx context.Context, id ...*string) (any, error) {
			return e.PutAuthPolicy(ctx, &vpclattice.PutAuthPolicyInput{ResourceIdentifier: id[0], Policy: aws.String(compact)})
		}},
		{"GetAuthPolicy", network, networkARN, typeNetwork, func(ctx context.Context, id ...*string) (any, error) {
			return e.GetAuthPolicy(ctx, &vpclattice.GetAuthPolicyInput{ResourceIdentifier: id[0]})
		}},
		{"GetService", service, serviceARN, typeService, func(ctx context.Context, id ...*string) (any, error) {
			return e.GetService(ctx, &vpclattice.GetServiceInput{ServiceIdentifier: id[0]})
		}},
		{"UpdateService", service, serviceARN, typeService, func(ctx context.Context, id ...*string) (any, error) {
			return e.UpdateService(ctx, &vpclattice.UpdateServiceInput{ServiceIdentifier: id[0], AuthType: types.AuthTypeAwsIam})
		}},
		{"PutAuthPolicy", service, serviceARN, typeService, func(ctx context.Context, id ...*string) (any, error) {
			return e.PutAuthPolicy(ctx, &vpclattice.PutAuthPolicyInput{ResourceIdentifier: id[0], Policy: aws.String(compact)})
		}},
		{"GetListener", listen, listenARN, typeListener, func(ctx context.Context, id ...*string) (any, error) {
			return e.GetListener(ctx, &vpclattice.GetListenerInput{ServiceIdentifier: id[0], ListenerIdentifier: id[1]})
		}},
		{"UpdateListener", listen, listenARN, typeListener, func(ctx context.Context, id ...*string) (any, error) {
			return e.UpdateListener(ctx, &vpclattice.UpdateListenerInput{ServiceIdentifier: id[0], ListenerIdentifier: id[1], DefaultAction: fixed(404)})
		}},
		{"ListListeners", service, serviceARN, typeService, func(ctx context.Context, id ...*string) (any, error) {
			return e.ListListeners(ctx, &vpclattice.ListListenersInput{ServiceIdentifier: id[0]})
		}},
		{"ListRules", listen, listenARN, typeListener, func(ctx context.Context, id ...*string) (any, error) {
			return e.ListRules(ctx, &vpclattice.ListRulesInput{ServiceIdentifier: id[0], ListenerIdentifier: id[1]})
		}},
		{"GetRule", rule, ruleARN, typeRule, func(ctx context.Context, id ...*string) (any, error) {
			return e.GetRule(ctx, &vpclattice.GetRuleInput{ServiceIdentifier: id[0], ListenerIdentifier: id[1], RuleIdentifier: id[2]})
		}},
		{"UpdateRule", rule, ruleARN, typeRule, func(ctx context.Context, id ...*string) (any, error) {
			return e.UpdateRule(ctx, &vpclattice.UpdateRuleInput{ServiceIdentifier: id[0], ListenerIdentifier: id[1], RuleIdentifier: id[2], Action: fixed(500)})
		}},
		{"GetTargetGroup", group, groupARN, typeTargetGroup, func(ctx context.Context, id ...*string) (any, error) {
			return e.GetTargetGroup(ctx, &vpclattice.GetTargetGroupInput{TargetGroupIdentifier: id[0]})
		}},
		{"UpdateTargetGroup", group, groupARN, typeTargetGroup, func(ctx context.Context, id ...*string) (any, error) {
			return e.UpdateTargetGroup(ctx, &vpclattice.UpdateTargetGroupInput{TargetGroupIdentifier: id[0], HealthCheck: &types.HealthCheckConfig{Enabled: aws.Bool(false)}})
		}},
		{"RegisterTargets", group, groupARN, typeTargetGroup, func(ctx context.Context, id ...*string) (any, error) {
			return e.RegisterTargets(ctx, &vpclattice.RegisterTargetsInput{TargetGroupIdentifier: id[0], Targets: []types.Target{{Id: aws.String("10.0.0.1")}}})
		}},
		{"ListTargets", group, groupARN, typeTargetGroup, func(ctx context.Context, id ...*string) (any, error) {
			return e.ListTargets(ctx, &vpclattice.ListTargetsInput{TargetGroupIdentifier: id[0]})
		}},
		{"GetServiceNetworkServiceAssociation", snsa, snsaARN, typeServiceAssociation, func(ctx context.Context, id ...*string) (any, error) {
			return e.GetServiceNetworkServiceAssociation(ctx, &vpclattice.GetServiceNetworkServiceAssociationInput{ServiceNetworkServiceAssociationIdentifier: id[0]})
		}},
		{"GetServiceNetworkVpcAssociation", snva, snvaARN, typeVPCAssociation, func(ctx context.Context, id ...*string) (any, error) {
			return e.GetServiceNetworkVpcAssociation(ctx, &vpclattice.GetServiceNetworkVpcAssociationInput{ServiceNetworkVpcAssociationIdentifier: id[0]})
		}},
		{"UpdateServiceNetworkVpcAssociation", snva, snvaARN, typeVPCAssociation, func(ctx context.Context, id ...*string) (any, error) {
			return e.UpdateServiceNetworkVpcAssociation(ctx, &vpclattice.UpdateServiceNetworkVpcAssociationInput{ServiceNetworkVpcAssociationIdentifier: id[0], SecurityGroupIds: []string{"sg-12345678"}})
		}},

		{"DeregisterTargets", group, groupARN, typeTargetGroup, func(ctx context.Context, id ...*string) (any, error) {
			return e.DeregisterTargets(ctx, &vpclattice.DeregisterTargetsInput{TargetGroupIdentifier: id[0], Targets: []types.Target{{Id: aws.String("10.0.0.1")}}})
		}},
		{"DeleteServiceNetworkVpcAssociation", snva, snvaARN, typeVPCAssociation, func(ctx context.Context, id ...*string) (any, error) {
			return e.DeleteServiceNetworkVpcAssociation(ctx, &vpclattice.DeleteServiceNetworkVpcAssociationInput{ServiceNetworkVpcAssociationIdentifier: id[0]})
		}},
		{"DeleteServiceNetworkServiceAssociation", snsa, snsaARN, typeServiceAssociation, func(ctx context.Context, id ...*string) (any, error) {
			return e.DeleteServiceNetworkServiceAssociation(ctx, &vpclattice.DeleteServiceNetworkServiceAssociationInput{ServiceNetworkServiceAssociationIdentifier: id[0]})
		}},
		{"DeleteRule", rule, ruleARN, typeRule, func(ctx context.Context, id ...*string) (any, error) {
			return e.DeleteRule(ctx, &vpclattice.DeleteRuleInput{ServiceIdentifier: id[0], ListenerIdentifier: id[1], RuleIdentifier: id[2]})
		}},
		{"DeleteListener", listen, listenARN, typeListener, func(ctx context.Context, id ...*string) (any, error) {
			return e.DeleteListener(ctx, &vpclattice.DeleteListenerInput{ServiceIdentifier: id[0], ListenerIdentifier: id[1]})
		}},
		{"DeleteTargetGroup", group, groupARN, typeTargetGroup, func(ctx context.Context, id ...*string) (any, error) {
			return e.DeleteTargetGroup(ctx, &vpclattice.DeleteTargetGroupInput{TargetGroupIdentifier: id[0]})
		}},
		{"DeleteService", service, serviceARN, typeService, func(ctx context.Context, id ...*string) (any, error) {
			return e.DeleteService(ctx, &vpclattice.DeleteServiceInput{ServiceIdentifier: id[0]})
		}},
		{"DeleteServiceNetwork", network, networkARN, typeNetwork, func(ctx context.Context, id ...*string) (any, error) {
			return e.DeleteServiceNetwork(ctx, &vpclattice.DeleteServiceNetworkInput{ServiceNetworkIdentifier: id[0]})
		}},
	}
}

// settled is an answer without what differs from call to call.
var settled = []cmp.Option{
	cmp.FilterPath(func(p cmp.Path) bool {
		switch f := p.Last().String(); f {
		case ".ResultMetadata", ".LastUpdatedAt", ".noSmithyDocumentSerde":
			return true
		}
		return false
	}, cmp.Ignore()),
	cmp.Exporter(func(reflect.Type) bool { return true }),
}

// TestIdentifiers: every operation takes ids and ARNs, and answers the same.
func TestIdentifiers(t *testing.T) {
	e := newEstate(t)
	for _, op := range e.operations() {
		if strings.HasPrefix(op.name, "Delete") || op.name == "DeregisterTargets" {
			continue
		}
		byID := must[any](e.world)(op.call(ctx, op.ids...))
		byARN := must[any](e.world)(op.call(ctx, op.arns...))
		if diff := cmp.Diff(byID, byARN, settled...); diff != "" {
			t.Errorf("%s by id and by ARN (-id +arn)\n%s", op.name, diff)
		}
	}
}

// TestDeletes: by id and by ARN, everything can be deleted once, and nothing is
// left of it.
func TestDeletes(t *testing.T) {
	for _, by := range []string{"id", "ARN"} {
		t.Run(by, func(t *testing.T) {
			e := newEstate(t)
			for _, op := range e.operations() {
				identifiers := op.ids
				if by == "ARN" {
					identifiers = op.arns
				}
				if !strings.HasPrefix(op.name, "Delete") {
					must[any](e.world)(op.call(ctx, identifiers...))
					continue
				}
				must[any](e.world)(op.call(ctx, identifiers...))
				_, err := op.call(ctx, identifiers...)
				wantNotFound(t, op, err, *identifiers[len(identifiers)-1])
			}
			if left := e.contents(); left != "" {
				t.Errorf("left\n%s", left)
			}
		})
	}
}

func wantNotFound(t *testing.T, op operation, err error, identifier string) {
	t.Helper()
	var gone *types.ResourceNotFoundException
	if !asError(err, &gone) {
		t.Errorf("%s of what is not there: %v", op.name, err)
		return
	}
	if *gone.ResourceType != op.resourceType || *gone.ResourceId != identifier || !strings.Contains(*gone.Message, identifier) {
		t.Errorf("%s: not found %s %s (%s), want %s %s", op.name, *gone.ResourceType, *gone.ResourceId, *gone.Message, op.resourceType, identifier)
	}
}

// TestNotFound: every operation on what is not there says so, in AWS's words and
// with the identifier as it was sent, and stores nothing.
func TestNotFound(t *testing.T) {
	e := newEstate(t)
	missing := func(s *string) *string {
		i := strings.LastIndexByte(*s, '-')
		return aws.String((*s)[:i+1] + "00000000000000000")
	}
	for _, op := range e.operations() {
		for _, identifiers := range [][]*string{op.ids, op.arns} {
			identifiers = append([]*string(nil), identifiers...)
			last := len(identifiers) - 1
			identifiers[last] = missing(identifiers[last])
			before := e.contents()
			_, err := op.call(ctx, identifiers...)
			wantNotFound(t, op, err, *identifiers[last])
			if e.contents() != before {
				t.Errorf("%s of what is not there changed the store", op.name)
			}
		}
	}
}

// TestMalformedIdentifiers are refused before anything else.
func TestMalformedIdentifiers(t *testing.T) {
	e := newEstate(t)
	for _, op := range e.operations() {
		for _, bad := range []string{"nonsense", *op.ids[len(op.ids)-1] + "x", "arn:aws:vpc-lattice:us-west-2:1:" + *op.ids[0], strings.ToUpper(*op.ids[len(op.ids)-1])} {
			identifiers := append(append([]*string(nil), op.ids[:len(op.ids)-1]...), &bad)
			before := e.contents()
			_, err := op.call(ctx, identifiers...)
			var api smithy.APIError
			if !asError(err, &api) || api.ErrorCode() != "ValidationException" {
				t.Errorf("%s of %q: %v", op.name, bad, err)
			}
			if e.contents() != before {
				t.Errorf("%s of %q changed the store", op.name, bad)
			}
		}
	}
}
