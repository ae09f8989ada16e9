package lattice

import (
	"context"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice/types"
)

const share = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:root"},"Action":["vpc-lattice:CreateServiceNetworkVpcAssociation","vpc-lattice:CreateServiceNetworkServiceAssociation","vpc-lattice:GetServiceNetwork"],"Resource":"*"}]}`

func (w *world) putResourcePolicy(arn, text string) func(context.Context) (any, error) {
	return func(ctx context.Context) (any, error) {
		return w.PutResourcePolicy(ctx, &vpclattice.PutResourcePolicyInput{ResourceArn: &arn, Policy: &text})
	}
}

// TestResourcePolicies: put, get and delete, on both kinds, and gone with what they
// belong to.
func TestResourcePolicies(t *testing.T) {
	w := newWorld(t)
	for _, arn := range []*string{w.service("rates").Arn, w.network("network").Arn} {
		get := func() *string {
			t.Helper()
			return must[*vpclattice.GetResourcePolicyOutput](w)(w.GetResourcePolicy(ctx, &vpclattice.GetResourcePolicyInput{ResourceArn: arn})).Policy
		}
		if got := get(); got != nil {
			t.Errorf("without a policy: %s", *got)
		}
		for range 2 { // The second time there is nothing to delete.
			must[any](w)(w.DeleteResourcePolicy(ctx, &vpclattice.DeleteResourcePolicyInput{ResourceArn: arn}))
		}
		for _, text := range []string{strings.ReplaceAll(share, ",", " ,\n"), share} {
			must[any](w)(w.putResourcePolicy(*arn, text)(ctx))
			if got := get(); aws.ToString(got) != share {
				t.Errorf("stored %s", aws.ToString(got))
			}
		}
		// It has no keys, not even the tags of what it belongs to.
		must[any](w)(w.TagResource(ctx, &vpclattice.TagResourceInput{ResourceArn: arn, Tags: map[string]string{"a": "b"}}))
		get()
		if asked := w.asked["GetResourcePolicy"]; len(asked) != 1 || asked[0].ARN != *arn || asked[0].Keys != nil {
			t.Errorf("authorized on %+v", asked)
		}
		must[any](w)(w.DeleteResourcePolicy(ctx, &vpclattice.DeleteResourcePolicyInput{ResourceArn: arn}))
		if got := get(); got != nil {
			t.Errorf("after the delete: %s", *got)
		}
		must[any](w)(w.putResourcePolicy(*arn, share)(ctx))
	}
	must[any](w)(w.DeleteService(ctx, &vpclattice.DeleteServiceInput{ServiceIdentifier: must[*vpclattice.ListServicesOutput](w)(w.ListServices(ctx, &vpclattice.ListServicesInput{})).Items[0].Id}))
	must[any](w)(w.DeleteServiceNetwork(ctx, &vpclattice.DeleteServiceNetworkInput{ServiceNetworkIdentifier: must[*vpclattice.ListServiceNetworksOutput](w)(w.ListServiceNetworks(ctx, &vpclattice.ListServiceNetworksInput{})).Items[0].Id}))
	if left := w.contents(); left != "" {
		t.Errorf("left\n%s", left)
	}
}

func TestResourcePolicyRefused(t *testing.T) {
	w := newWorld(t)
	v := w.service("rates")
	for _, test := range []struct{ name, text, want string }{
		{"white space", " ", ""},
		{"no JSON", "{", "Syntax errors in policy"},
		{"no principal", strings.Replace(share, `"Principal":{"AWS":"arn:aws:iam::123456789012:root"},`, "", 1), "Principal"},
		{"a deny", strings.Replace(share, "Allow", "Deny", 1), "Effect must be Allow"},
		{"all actions but", strings.Replace(share, `"Action"`, `"NotAction"`, 1), "Action is required"},
		{"all actions", strings.Replace(share, `"vpc-lattice:GetServiceNetwork"`, `"*"`, 1), `"*" is not an action of vpc-lattice`},
		{"actions of the data plane", strings.Replace(share, "vpc-lattice:Get", "vpc-lattice-svcs:Get", 1), "vpc-lattice-svcs"},
		{"too long", strings.Replace(share, `"*"`, `"`+strings.Repeat("x", 10000)+`"`, 1), "10000"},
	} {
		t.Run(test.name, func(t *testing.T) {
			mustRefuse(w, "ValidationException", w.putResourcePolicy(*v.Arn, test.text), test.want)
		})
	}
	var syntax *types.ValidationException
	if _, err := w.putResourcePolicy(*v.Arn, "{")(ctx); !asError(err, &syntax) || syntax.Reason != "cannotParse" || *syntax.FieldList[0].Name != "policy" {
		t.Errorf("%v", syntax)
	}
	arn := func(path string) string { return "arn:aws:vpc-lattice:" + region + ":" + w.account + ":" + path }
	for _, gone := range []struct{ arn, kind string }{
		{arn("service/svc-00000000000000000"), typeService},
		{arn("servicenetwork/sn-00000000000000000"), typeNetwork},
		{arn("resourceconfiguration/rcfg-00000000000000000"), "RESOURCE_CONFIGURATION"},
		{strings.Replace(*v.Arn, region, "eu-west-1", 1), typeService},
		{strings.Replace(*v.Arn, w.account, "999999999999", 1), typeService},
	} {
		for _, call := range []func(context.Context) (any, error){
			w.putResourcePolicy(gone.arn, share),
			func(ctx context.Context) (any, error) {
				return w.GetResourcePolicy(ctx, &vpclattice.GetResourcePolicyInput{ResourceArn: &gone.arn})
			},
			func(ctx context.Context) (any, error) {
				return w.DeleteResourcePolicy(ctx, &vpclattice.DeleteResourcePolicyInput{ResourceArn: &gone.arn})
			},
		} {
			mustRefuse(w, "ResourceNotFoundException", call, gone.arn)
			var missing *types.ResourceNotFoundException
			if _, err := call(ctx); !asError(err, &missing) || *missing.ResourceType != gone.kind {
				t.Errorf("%s: %v", gone.arn, missing)
			}
		}
	}
	// An id is none of its identifiers.
	mustRefuse(w, "ValidationException", w.putResourcePolicy(*v.Id, share))
}
