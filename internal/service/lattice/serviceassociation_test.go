package lattice

import (
	"context"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice/types"

	"github.com/latchwork/latchwork/internal/model"
)

func (w *world) join(service, network *string) (*vpclattice.CreateServiceNetworkServiceAssociationOutput, error) {
	return w.CreateServiceNetworkServiceAssociation(ctx, &vpclattice.CreateServiceNetworkServiceAssociationInput{ServiceIdentifier: service, ServiceNetworkIdentifier: network})
}

func (w *world) enter(vpc string, network *string) (*vpclattice.CreateServiceNetworkVpcAssociationOutput, error) {
	return w.CreateServiceNetworkVpcAssociation(ctx, &vpclattice.CreateServiceNetworkVpcAssociationInput{VpcIdentifier: &vpc, ServiceNetworkIdentifier: network})
}

func TestServiceAssociations(t *testing.T) {
	w := newWorld(t)
	n1, n2, v1, v2 := w.network("one"), w.network("two"), w.service("rates"), w.service("parking")
	made := map[string]*string{}
	for _, pair := range []struct {
		name             string
		service, network *string
	}{{"rates-one", v1.Id, n1.Id}, {"rates-two", v1.Arn, n2.Arn}, {"parking-one", v2.Id, n1.Arn}} {
		a := must[*vpclattice.CreateServiceNetworkServiceAssociationOutput](w)(w.join(pair.service, pair.network))
		made[pair.name] = a.Id
		if a.Status != "ACTIVE" || *a.CreatedBy != w.account || a.DnsEntry == nil || a.CustomDomainName != nil {
			t.Errorf("%s: %+v", pair.name, a)
		}
		mustRefuse(w, "ConflictException", func(context.Context) (any, error) { return w.join(pair.service, pair.network) }, "Association already exists.")
	}
	gone := "00000000000000000"
	mustRefuse(w, "ResourceNotFoundException", func(context.Context) (any, error) { return w.join(aws.String("svc-"+gone), n1.Id) }, "svc-"+gone)
	mustRefuse(w, "ResourceNotFoundException", func(context.Context) (any, error) { return w.join(v1.Id, aws.String("sn-"+gone)) }, "sn-"+gone)

	list := func(service, network *string) string {
		t.Helper()
		out := must[*vpclattice.ListServiceNetworkServiceAssociationsOutput](w)(w.ListServiceNetworkServiceAssociations(ctx, &vpclattice.ListServiceNetworkServiceAssociationsInput{ServiceIdentifier: service, ServiceNetworkIdentifier: network}))
		var got []string
		for _, i := range out.Items {
			got = append(got, *i.ServiceName+"-"+*i.ServiceNetworkName)
		}
		return strings.Join(got, " ")
	}
	for _, test := range []struct {
		service, network *string
		want             string
	}{
		{v1.Id, nil, "rates-one rates-two"},
		{nil, n1.Arn, "rates-one parking-one"},
		{v1.Arn, n1.Id, "rates-one"},
		{v2.Id, n2.Id, ""},
		{aws.String(strings.Replace(*v1.Arn, w.account, "999999999999", 1)), nil, ""},
	} {
		if got := list(test.service, test.network); got != test.want {
			t.Errorf("associations %q, want %q", got, test.want)
		}
	}
	check := func(id *string, vpcs, services int64) {
		t.Helper()
		got := must[*vpclattice.GetServiceNetworkOutput](w)(w.GetServiceNetwork(ctx, &vpclattice.GetServiceNetworkInput{ServiceNetworkIdentifier: id}))
		if *got.NumberOfAssociatedVPCs != vpcs || *got.NumberOfAssociatedServices != services {
			t.Errorf("%d VPCs, %d services, want %d and %d", *got.NumberOfAssociatedVPCs, *got.NumberOfAssociatedServices, vpcs, services)
		}
		for _, i := range must[*vpclattice.ListServiceNetworksOutput](w)(w.ListServiceNetworks(ctx, &vpclattice.ListServiceNetworksInput{})).Items {
			if *i.Id == *id && (*i.NumberOfAssociatedVPCs != vpcs || *i.NumberOfAssociatedServices != services || *i.NumberOfAssociatedResourceConfigurations != 0) {
				t.Errorf("listed as %+v", i)
			}
		}
	}
	must[any](w)(w.enter(w.vpc, n1.Id))
	check(n1.Id, 1, 2)
	check(n2.Id, 0, 1)
	must[any](w)(w.DeleteServiceNetworkServiceAssociation(ctx, &vpclattice.DeleteServiceNetworkServiceAssociationInput{ServiceNetworkServiceAssociationIdentifier: made["rates-one"]}))
	check(n1.Id, 1, 1)
	// The pair is free again.
	must[any](w)(w.join(v1.Id, n1.Id))
}

// TestCustomDomains: two services of one network cannot answer to the same name.
func TestCustomDomains(t *testing.T) {
	w := newWorld(t)
	create := func(name, domain string) *vpclattice.CreateServiceOutput {
		return must[*vpclattice.CreateServiceOutput](w)(w.CreateService(ctx, &vpclattice.CreateServiceInput{Name: &name, CustomDomainName: &domain, CertificateArn: aws.String("arn:aws:acm:us-west-2:123456789012:certificate/0-1")}))
	}
	n1, n2 := w.network("one"), w.network("two")
	v1, v2 := create("rates", "rates.example.com"), create("other", "Rates.Example.com") // the same host
	if *v1.CustomDomainName != "rates.example.com" || *v1.CertificateArn == "" {
		t.Errorf("created %+v", v1)
	}
	a := must[*vpclattice.CreateServiceNetworkServiceAssociationOutput](w)(w.join(v1.Id, n1.Id))
	if *a.CustomDomainName != "rates.example.com" {
		t.Errorf("associated %+v", a)
	}
	mustRefuse(w, "ConflictException", func(context.Context) (any, error) { return w.join(v2.Id, n1.Id) }, "Rates.Example.com", *v1.Id)
	must[any](w)(w.join(v2.Id, n2.Id))
	must[any](w)(w.DeleteServiceNetworkServiceAssociation(ctx, &vpclattice.DeleteServiceNetworkServiceAssociationInput{ServiceNetworkServiceAssociationIdentifier: a.Id}))
	must[any](w)(w.join(v2.Id, n1.Id))

	// The certificate can be changed and taken away, the name cannot.
	up := must[*vpclattice.UpdateServiceOutput](w)(w.UpdateService(ctx, &vpclattice.UpdateServiceInput{ServiceIdentifier: v1.Id, CertificateArn: aws.String("arn:aws:acm:us-west-2:123456789012:certificate/0-2")}))
	if *up.CertificateArn != "arn:aws:acm:us-west-2:123456789012:certificate/0-2" || up.AuthType != "NONE" {
		t.Errorf("updated %+v", up)
	}
	up = must[*vpclattice.UpdateServiceOutput](w)(w.UpdateService(ctx, &vpclattice.UpdateServiceInput{ServiceIdentifier: v1.Id, CertificateArn: aws.String("")}))
	if up.CertificateArn != nil || *up.CustomDomainName != "rates.example.com" {
		t.Errorf("without a certificate %+v", up)
	}
	// An update of nothing is one too.
	must[any](w)(w.UpdateService(ctx, &vpclattice.UpdateServiceInput{ServiceIdentifier: v1.Id}))
}

func TestVPCAssociationFilters(t *testing.T) {
	w := newWorld(t)
	n1, n2 := w.network("one"), w.network("two")
	second, third := model.NewID("vpc"), model.NewID("vpc")
	w.register(second)
	w.register(third)
	must[any](w)(w.enter(w.vpc, n1.Id))
	must[any](w)(w.enter(second, n1.Arn))
	must[any](w)(w.enter(third, n2.Id))
	mustRefuse(w, "ConflictException", func(context.Context) (any, error) { return w.enter(second, n1.Id) }, "VPC has already been associated to a service network.")
	mustRefuse(w, "ResourceNotFoundException", func(context.Context) (any, error) {
		return w.enter(w.vpc, aws.String("sn-00000000000000000"))
	}, "sn-00000000000000000")
	for _, test := range []struct {
		in   vpclattice.ListServiceNetworkVpcAssociationsInput
		want string
	}{
		{vpclattice.ListServiceNetworkVpcAssociationsInput{}, w.vpc + " " + second + " " + third},
		{vpclattice.ListServiceNetworkVpcAssociationsInput{ServiceNetworkIdentifier: n1.Arn}, w.vpc + " " + second},
		{vpclattice.ListServiceNetworkVpcAssociationsInput{VpcIdentifier: &third}, third},
		{vpclattice.ListServiceNetworkVpcAssociationsInput{ServiceNetworkIdentifier: n1.Id, VpcIdentifier: &third}, ""},
	} {
		var got []string
		for _, i := range must[*vpclattice.ListServiceNetworkVpcAssociationsOutput](w)(w.ListServiceNetworkVpcAssociations(ctx, &test.in)).Items {
			got = append(got, *i.VpcId)
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("associations %v, want %s", got, test.want)
		}
	}
	// Source: VPC Lattice API Reference: five security groups, and at least one in an update.
	groups := []string{"sg-1234567a", "sg-1234567b", "sg-1234567c", "sg-1234567d", "sg-1234567e", "sg-1234567f"}
	fourth := model.NewID("vpc")
	w.register(fourth)
	mustRefuse(w, "ValidationException", func(ctx context.Context) (any, error) {
		return w.CreateServiceNetworkVpcAssociation(ctx, &vpclattice.CreateServiceNetworkVpcAssociationInput{VpcIdentifier: &fourth, ServiceNetworkIdentifier: n1.Id, SecurityGroupIds: groups})
	})
	a := must[*vpclattice.CreateServiceNetworkVpcAssociationOutput](w)(w.CreateServiceNetworkVpcAssociation(ctx, &vpclattice.CreateServiceNetworkVpcAssociationInput{
		VpcIdentifier: &fourth, ServiceNetworkIdentifier: n1.Id, SecurityGroupIds: groups[:5], PrivateDnsEnabled: aws.Bool(true),
		DnsOptions: &types.DnsOptions{PrivateDnsPreference: "SPECIFIED_DOMAINS_ONLY", PrivateDnsSpecifiedDomains: []string{"example.com"}},
	}))
	got := must[*vpclattice.GetServiceNetworkVpcAssociationOutput](w)(w.GetServiceNetworkVpcAssociation(ctx, &vpclattice.GetServiceNetworkVpcAssociationInput{ServiceNetworkVpcAssociationIdentifier: a.Id}))
	if len(got.SecurityGroupIds) != 5 || !*got.PrivateDnsEnabled || got.DnsOptions.PrivateDnsSpecifiedDomains[0] != "example.com" {
		t.Errorf("association %+v", got)
	}
	mustRefuse(w, "ValidationException", func(ctx context.Context) (any, error) {
		return w.UpdateServiceNetworkVpcAssociation(ctx, &vpclattice.UpdateServiceNetworkVpcAssociationInput{ServiceNetworkVpcAssociationIdentifier: a.Id, SecurityGroupIds: []string{}})
	})
}
