package lattice

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice/types"
	"github.com/aws/smithy-go"

	"github.com/latchwork/latchwork/internal/model"
)

// TestAllLists: every list comes in pages, in order of creation, and refuses a
// token that is not its own.
func TestAllLists(t *testing.T) {
	w := newWorld(t)
	v, n, g := w.service("rates"), w.network("one"), w.group("rates")
	l := w.listener(v.Id, "first", 80, forward(g.Id))
	vpc := model.NewID("vpc")
	w.register(vpc)
	w.network("two")
	w.service("second")
	w.group("second")
	w.listener(v.Id, "second", 81, fixed(404))
	must[any](w)(w.CreateRule(ctx, &vpclattice.CreateRuleInput{ServiceIdentifier: v.Id, ListenerIdentifier: l.Id, Name: aws.String("second"), Priority: aws.Int32(1), Match: prefix("/"), Action: fixed(404)}))
	must[any](w)(w.RegisterTargets(ctx, &vpclattice.RegisterTargetsInput{TargetGroupIdentifier: g.Id, Targets: []types.Target{{Id: aws.String("10.0.0.2")}}}))
	must[any](w)(w.RegisterTargets(ctx, &vpclattice.RegisterTargetsInput{TargetGroupIdentifier: g.Id, Targets: []types.Target{{Id: aws.String("10.0.0.1")}}}))
	must[any](w)(w.join(v.Id, n.Id))
	second := must[*vpclattice.ListServicesOutput](w)(w.ListServices(ctx, &vpclattice.ListServicesInput{})).Items[1]
	must[any](w)(w.join(second.Id, n.Id))
	must[any](w)(w.enter(w.vpc, n.Id))
	must[any](w)(w.enter(vpc, n.Id))

	type page func(context.Context, *int32, *string) ([]string, *string, error)
	lists := map[string]struct {
		page page
		want string
	}{
		"ListServiceNetworks": {func(ctx context.Context, max *int32, token *string) (names []string, _ *string, _ error) {
			out, err := w.ListServiceNetworks(ctx, &vpclattice.ListServiceNetworksInput{MaxResults: max, NextToken: token})
			if err != nil {
				return nil, nil, err
			}
			for _, i := range out.Items {
				names = append(names, *i.Name)
			}
			return names, out.NextToken, nil
		}, "one two"},
		"ListServices": {func(ctx context.Context, max *int32, token *string) (names []string, _ *string, _ error) {
			out, err := w.ListServices(ctx, &vpclattice.ListServicesInput{MaxResults: max, NextToken: token})
			if err != nil {
				return nil, nil, err
			}
			for _, i := range out.Items {
				names = append(names, *i.Name)
			}
			return names, out.NextToken, nil
		}, "rates second"},
		"ListTargetGroups": {func(ctx context.Context, max *int32, token *string) (names []string, _ *string, _ error) {
			out, err := w.ListTargetGroups(ctx, &vpclattice.ListTargetGroupsInput{MaxResults: max, NextToken: token})
			if err != nil {
				return nil, nil, err
			}
			for _, i := range out.Items {
				names = append(names, *i.Name)
			}
			return names, out.NextToken, nil
		}, "rates second"},
		"ListTargets": {func(ctx context.Context, max *int32, token *string) (names []string, _ *string, _ error) {
			out, err := w.ListTargets(ctx, &vpclattice.ListTargetsInput{TargetGroupIdentifier: g.Id, MaxResults: max, NextToken: token})
			if err != nil {
				return nil, nil, err
			}
			for _, i := range out.Items {
				names = append(names, *i.Id)
			}
			return names, out.NextToken, nil
		}, "10.0.0.2 10.0.0.1"},
		"ListListeners": {func(ctx context.Context, max *int32, token *string) (names []string, _ *string, _ error) {
			out, err := w.ListListeners(ctx, &vpclattice.ListListenersInput{ServiceIdentifier: v.Arn, MaxResults: max, NextToken: token})
			if err != nil {
				return nil, nil, err
			}
			for _, i := range out.Items {
				names = append(names, fmt.Sprint(*i.Name, *i.Port, i.Protocol))
			}
			return names, out.NextToken, nil
		}, "first80HTTP second81HTTP"},
		"ListRules": {func(ctx context.Context, max *int32, token *string) (names []string, _ *string, _ error) {
			out, err := w.ListRules(ctx, &vpclattice.ListRulesInput{ServiceIdentifier: v.Id, ListenerIdentifier: l.Arn, MaxResults: max, NextToken: token})
			if err != nil {
				return nil, nil, err
			}
			for _, i := range out.Items {
				names = append(names, *i.Name)
			}
			return names, out.NextToken, nil
		}, "default second"},
		"ListServiceNetworkServiceAssociations": {func(ctx context.Context, max *int32, token *string) (names []string, _ *string, _ error) {
			out, err := w.ListServiceNetworkServiceAssociations(ctx, &vpclattice.ListServiceNetworkServiceAssociationsInput{ServiceNetworkIdentifier: n.Id, MaxResults: max, NextToken: token})
			if err != nil {
				return nil, nil, err
			}
			for _, i := range out.Items {
				names = append(names, *i.ServiceName)
			}
			return names, out.NextToken, nil
		}, "rates second"},
		"ListServiceNetworkVpcAssociations": {func(ctx context.Context, max *int32, token *string) (names []string, _ *string, _ error) {
			out, err := w.ListServiceNetworkVpcAssociations(ctx, &vpclattice.ListServiceNetworkVpcAssociationsInput{ServiceNetworkIdentifier: n.Id, MaxResults: max, NextToken: token})
			if err != nil {
				return nil, nil, err
			}
			for _, i := range out.Items {
				names = append(names, *i.VpcId)
			}
			return names, out.NextToken, nil
		}, w.vpc + " " + vpc},
	}
	refused := func(name string, err error) {
		t.Helper()
		var api smithy.APIError
		if !errors.As(err, &api) || api.ErrorCode() != "ValidationException" {
			t.Errorf("%s: %v", name, err)
		}
	}
	tokens := map[string]*string{}
	for name, l := range lists {
		for _, max := range []*int32{nil, aws.Int32(1), aws.Int32(2), aws.Int32(100)} {
			var got []string
			var token *string
			for range 4 {
				names, next, err := l.page(ctx, max, token)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if max != nil && len(names) > int(*max) {
					t.Errorf("%s: %d on a page of %d", name, len(names), *max)
				}
				got = append(got, names...)
				if token = next; token == nil {
					break
				}
				tokens[name] = token
			}
			if strings.Join(got, " ") != l.want || token != nil {
				t.Errorf("%s in pages of %v: %v, want %s", name, max, got, l.want)
			}
		}
		for _, max := range []int32{0, 101} {
			_, _, err := l.page(ctx, &max, nil)
			refused(name, err)
		}
		for _, token := range []string{"nonsense", *tokens[name] + "x", (*tokens[name])[1:]} {
			_, _, err := l.page(ctx, nil, &token)
			refused(name+" with the token "+token, err)
		}
	}
	// A token of another list.
	_, _, err := lists["ListServices"].page(ctx, nil, tokens["ListTargetGroups"])
	refused("ListServices with another's token", err)
}

// TestTokensOfEveryCreate: repeated with the same token, a create has no second
// effect; with other parameters it is refused.
func TestTokensOfEveryCreate(t *testing.T) {
	w := newWorld(t)
	v, n, g := w.service("rates"), w.network("one"), w.group("rates")
	l := w.listener(v.Id, "first", 80, fixed(404))
	tags := func(other bool) map[string]string { return map[string]string{"other": fmt.Sprint(other)} }
	for name, create := range map[string]func(token *string, other bool) (*string, error){
		"CreateServiceNetwork": func(token *string, other bool) (*string, error) {
			out, err := w.CreateServiceNetwork(ctx, &vpclattice.CreateServiceNetworkInput{ClientToken: token, Name: aws.String("new"), Tags: tags(other)})
			return idOf(out, err, func() *string { return out.Id })
		},
		"CreateService": func(token *string, other bool) (*string, error) {
			out, err := w.CreateService(ctx, &vpclattice.CreateServiceInput{ClientToken: token, Name: aws.String("new"), Tags: tags(other)})
			return idOf(out, err, func() *string { return out.Id })
		},
		"CreateTargetGroup": func(token *string, other bool) (*string, error) {
			out, err := w.CreateTargetGroup(ctx, &vpclattice.CreateTargetGroupInput{ClientToken: token, Name: aws.String("new"), Type: "IP", Config: &types.TargetGroupConfig{Protocol: "HTTP", VpcIdentifier: &w.vpc}, Tags: tags(other)})
			return idOf(out, err, func() *string { return out.Id })
		},
		"CreateListener": func(token *string, other bool) (*string, error) {
			out, err := w.CreateListener(ctx, &vpclattice.CreateListenerInput{ClientToken: token, ServiceIdentifier: v.Id, Name: aws.String("new"), Port: aws.Int32(81), Protocol: "HTTP", DefaultAction: forward(g.Id), Tags: tags(other)})
			return idOf(out, err, func() *string { return out.Id })
		},
		"CreateRule": func(token *string, other bool) (*string, error) {
			out, err := w.CreateRule(ctx, &vpclattice.CreateRuleInput{ClientToken: token, ServiceIdentifier: v.Id, ListenerIdentifier: l.Id, Name: aws.String("new"), Priority: aws.Int32(1), Match: prefix("/"), Action: fixed(404), Tags: tags(other)})
			return idOf(out, err, func() *string { return out.Id })
		},
		"CreateServiceNetworkServiceAssociation": func(token *string, other bool) (*string, error) {
			out, err := w.CreateServiceNetworkServiceAssociation(ctx, &vpclattice.CreateServiceNetworkServiceAssociationInput{ClientToken: token, ServiceIdentifier: v.Id, ServiceNetworkIdentifier: n.Id, Tags: tags(other)})
			return idOf(out, err, func() *string { return out.Id })
		},
		"CreateServiceNetworkVpcAssociation": func(token *string, other bool) (*string, error) {
			out, err := w.CreateServiceNetworkVpcAssociation(ctx, &vpclattice.CreateServiceNetworkVpcAssociationInput{ClientToken: token, VpcIdentifier: &w.vpc, ServiceNetworkIdentifier: n.Id, Tags: tags(other)})
			return idOf(out, err, func() *string { return out.Id })
		},
	} {
		first := must[*string](w)(create(&name, false))
		stored := w.contents()
		if again := must[*string](w)(create(&name, false)); *again != *first {
			t.Errorf("%s with the same token made %s and %s", name, *first, *again)
		}
		if w.contents() != stored {
			t.Errorf("%s with the same token stored something", name)
		}
		mustRefuse(w, "ConflictException", func(context.Context) (any, error) { return create(&name, true) })
		// Without it, it is another create, which finds what the first one made.
		mustRefuse(w, "ConflictException", func(context.Context) (any, error) { return create(nil, false) })
	}
}

// idOf is the id of an answer, if there is one.
func idOf[Out any](_ Out, err error, id func() *string) (*string, error) {
	if err != nil {
		return nil, err
	}
	return id(), nil
}
