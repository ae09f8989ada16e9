package ec2

import (
	"context"
	"encoding/xml"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchwork/latchwork/internal/awsapi"
	"github.com/latchwork/latchwork/internal/clock"
	"github.com/latchwork/latchwork/internal/identity"
	"github.com/latchwork/latchwork/internal/inbound"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/snapshot"
	"github.com/latchwork/latchwork/internal/store"
	"github.com/latchwork/latchwork/internal/store/etcd"
)

const account = "123456789012"

type harness struct {
	t        *testing.T
	url      string
	account  string
	region   string
	store    *store.Store
	settings *snapshot.Settings
	// calls holds the last call of each operation that was authorized.
	calls map[string]*awsapi.Call
}

func (h *harness) Authenticate(context.Context, *inbound.Request, []byte, awsapi.Expectation) (awsapi.Caller, error) {
	return awsapi.Caller{Region: h.region, Principal: &identity.Principal{Kind: identity.User, Account: h.account, ARN: "arn:aws:iam::" + h.account + ":user/u"}}, nil
}

func (h *harness) Authorize(_ context.Context, c *awsapi.Call) error {
	h.calls[c.Operation.Name] = c
	return nil
}

func (h *harness) WaitFor(context.Context, store.Revision) error { return nil }

func newHarness(t *testing.T) *harness {
	t.Helper()
	backend, err := etcd.Start(context.Background(), etcd.Embedded{Dir: t.TempDir(), Prefix: "t/", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { backend.Close() })
	h := &harness{t: t, account: account, region: "us-west-2", store: store.New(backend), calls: map[string]*awsapi.Call{}, settings: &snapshot.Settings{DefaultAccount: account}}
	binding := New(Config{State: model.State{Store: h.store, Published: h}, Clock: clock.Fixed(time.Unix(0, 0)), Settings: h.settings})
	if gaps := binding.Gaps(); len(gaps) > 0 {
		t.Fatalf("operations without access row: %v", gaps)
	}
	api, err := awsapi.New(awsapi.Config{Bindings: []awsapi.Binding{binding}, Authenticator: h, Authorizer: h})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	h.url = server.URL
	return h
}

// vpcSet is what the tests look at of one VPC.
type vpcSet struct {
	ID      string `xml:"vpcId"`
	Owner   string `xml:"ownerId"`
	State   string `xml:"state"`
	Default bool   `xml:"isDefault"`
	CIDR    string `xml:"cidrBlock"`
	Ranges  []struct {
		Assoc string `xml:"associationId"`
		CIDR  string `xml:"cidrBlock"`
		State string `xml:"cidrBlockState>state"`
	} `xml:"cidrBlockAssociationSet>item"`
	Ranges6 []struct {
		Assoc string `xml:"associationId"`
		CIDR  string `xml:"ipv6CidrBlock"`
	} `xml:"ipv6CidrBlockAssociationSet>item"`
	Tags []struct {
		Key   string `xml:"key"`
		Value string `xml:"value"`
	} `xml:"tagSet>item"`
}

// answer is what the tests look at of any answer.
type answer struct {
	VpcID string `xml:"vpc>vpcId"`
	// IDs are those of Sets.
	IDs    []string `xml:"-"`
	Assoc  string   `xml:"cidrBlockAssociation>associationId"`
	Assoc6 string   `xml:"ipv6CidrBlockAssociation>associationId"`
	Code   string   `xml:"Errors>Error>Code"`
	Next   string   `xml:"nextToken"`
	Sets   []vpcSet `xml:"vpcSet>item"`
}

// call posts an operation: name, value, name, value.
func (h *harness) call(action string, parameters ...string) (answer, string) {
	h.t.Helper()
	form := url.Values{"Action": {action}, "Version": {"2016-11-15"}}
	for i := 0; i < len(parameters); i += 2 {
		form.Set(parameters[i], parameters[i+1])
	}
	resp, err := http.PostForm(h.url, form)
	if err != nil {
		h.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	var a answer
	if err := xml.Unmarshal(text, &a); err != nil {
		h.t.Fatalf("%v\n%s", err, text)
	}
	for _, v := range a.Sets {
		a.IDs = append(a.IDs, v.ID)
	}
	return a, string(text)
}

func (h *harness) must(action string, parameters ...string) answer {
	h.t.Helper()
	a, text := h.call(action, parameters...)
	if a.Code != "" {
		h.t.Fatalf("%s %v: %s", action, parameters, text)
	}
	return a
}

func (h *harness) refused(code, action string, parameters ...string) string {
	h.t.Helper()
	contents := func() []store.KV {
		page, err := h.store.Backend().Range(context.Background(), "", "", 0, 0)
		if err != nil {
			h.t.Fatal(err)
		}
		return page.KVs
	}
	before := contents()
	a, text := h.call(action, parameters...)
	if a.Code != code {
		h.t.Errorf("%s %v: %s, want %s", action, parameters, text, code)
	}
	if diff := cmp.Diff(before, contents()); diff != "" {
		h.t.Errorf("%s %v was refused and changed the store:\n%s", action, parameters, diff)
	}
	return text
}

func TestVPCs(t *testing.T) {
	h := newHarness(t)
	byDefault := model.DefaultVPC(account, "us-west-2", time.Time{}).ID
	if got := h.must("DescribeVpcs"); len(got.IDs) != 1 || got.IDs[0] != byDefault {
		t.Errorf("from the start there is %v, want the default VPC", got.IDs)
	}
	one := h.must("CreateVpc", "CidrBlock", "10.1.2.3/16", "TagSpecification.1.ResourceType", "vpc", "TagSpecification.1.Tag.1.Key", "Name", "TagSpecification.1.Tag.1.Value", "one").VpcID
	two := h.must("CreateVpc", "CidrBlock", "10.0.0.0/8", "Ipv6CidrBlock", "2001:db8::/32").VpcID
	h.refused("InvalidVpc.Range", "CreateVpc", "CidrBlock", "10.1.0.0/16")
	h.refused("InvalidVpc.Range", "CreateVpc", "CidrBlock", "10.9.0.0/16", "Ipv6CidrBlock", "2001:db8::/32")
	h.refused("InvalidParameterValue", "CreateVpc", "CidrBlock", "10.0.0.0")
	h.refused("MissingParameter", "CreateVpc")
	h.refused("DryRunOperation", "CreateVpc", "CidrBlock", "10.7.0.0/16", "DryRun", "true")
	for _, test := range []struct {
		parameters []string
		want       []string
	}{
		{[]string{"VpcId.1", one}, []string{one}},
		{[]string{"Filter.1.Name", "is-default", "Filter.1.Value.1", "true"}, []string{byDefault}},
		{[]string{"Filter.1.Name", "tag:Name", "Filter.1.Value.1", "o*"}, []string{one}},
		{[]string{"Filter.1.Name", "tag-key", "Filter.1.Value.1", "Name"}, []string{one}},
		{[]string{"Filter.1.Name", "cidr", "Filter.1.Value.1", "10.0.0.0/8", "Filter.2.Name", "owner-id", "Filter.2.Value.1", account}, []string{two}},
		{[]string{"Filter.1.Name", "state", "Filter.1.Value.1", "pending"}, nil},
		{[]string{"Filter.1.Name", "vpc-id", "Filter.1.Value.1", one, "Filter.1.Value.2", one[:len(one)-1] + "?"}, []string{one}},
	} {
		if got := h.must("DescribeVpcs", test.parameters...).IDs; !cmp.Equal(got, test.want) {
			t.Errorf("%v: %v, want %v", test.parameters, got, test.want)
		}
	}
	h.refused("InvalidVpcID.NotFound", "DescribeVpcs", "VpcId.1", "vpc-00000000000000000")
	h.refused("InvalidParameterValue", "DescribeVpcs", "Filter.1.Name", "colour", "Filter.1.Value.1", "x")

	third := h.must("AssociateVpcCidrBlock", "VpcId", one, "CidrBlock", "10.2.0.0/16").Assoc
	sixth := h.must("AssociateVpcCidrBlock", "VpcId", byDefault, "Ipv6CidrBlock", "2001:db8:6::/48").Assoc6
	h.refused("InvalidVpc.Range", "AssociateVpcCidrBlock", "VpcId", two, "CidrBlock", "10.2.0.0/16")
	h.refused("InvalidVpc.Range", "AssociateVpcCidrBlock", "VpcId", one, "CidrBlock", "10.2.0.0/16")
	h.must("DisassociateVpcCidrBlock", "AssociationId", third)
	h.must("DisassociateVpcCidrBlock", "AssociationId", sixth)
	h.refused("InvalidVpcCidrBlockAssociationID.NotFound", "DisassociateVpcCidrBlock", "AssociationId", third)
	h.must("AssociateVpcCidrBlock", "VpcId", two, "CidrBlock", "10.2.0.0/16")

	h.must("CreateTags", "ResourceId.1", one, "Tag.1.Key", model.GatewayAddressTag, "Tag.1.Value", "192.0.2.1")
	h.refused("InvalidParameterValue", "CreateTags", "ResourceId.1", two, "Tag.1.Key", model.GatewayAddressTag, "Tag.1.Value", "192.0.2.1")
	h.refused("InvalidParameterValue", "CreateTags", "ResourceId.1", two, "Tag.1.Key", model.GatewayAddressTag, "Tag.1.Value", "here")
	h.refused("InvalidParameterValue", "CreateTags", "ResourceId.1", two, "Tag.1.Key", "aws:x", "Tag.1.Value", "y")
	h.must("DeleteTags", "ResourceId.1", one, "Tag.1.Key", model.GatewayAddressTag)
	h.must("CreateTags", "ResourceId.1", two, "Tag.1.Key", model.GatewayAddressTag, "Tag.1.Value", "192.0.2.1")

	if text := h.refused("OperationNotPermitted", "DeleteVpc", "VpcId", byDefault); !strings.Contains(text, "loopback") {
		t.Error(text)
	}
	h.must("DeleteVpc", "VpcId", two)
	h.refused("InvalidVpcID.NotFound", "DeleteVpc", "VpcId", two)
	// What it held is free again.
	h.must("CreateVpc", "CidrBlock", "10.0.0.0/8", "TagSpecification.1.ResourceType", "vpc", "TagSpecification.1.Tag.1.Key", model.GatewayAddressTag, "TagSpecification.1.Tag.1.Value", "192.0.2.1")
}

// TestAnotherAccount sees nothing of the first one's VPCs and has no default VPC.
func TestAnotherAccount(t *testing.T) {
	h := newHarness(t)
	mine := h.must("CreateVpc", "CidrBlock", "10.0.0.0/8").VpcID
	h.account = "444455556666"
	if got := h.must("DescribeVpcs"); len(got.IDs) != 0 {
		t.Errorf("another account sees %v", got.IDs)
	}
	h.refused("InvalidVpcID.NotFound", "DeleteVpc", "VpcId", mine)
	h.refused("InvalidVpc.Range", "CreateVpc", "CidrBlock", "10.0.0.0/8")
}

// TestMisspeltLists: the caller is told, and nothing is done to all or to nothing.
func TestMisspeltLists(t *testing.T) {
	h := newHarness(t)
	v := h.must("CreateVpc", "CidrBlock", "10.0.0.0/8").VpcID
	tag := []string{"Tag.1.Key", "k", "Tag.1.Value", "v"}
	for _, op := range []string{"CreateTags", "DeleteTags"} {
		h.refused("InvalidParameterValue", op, append(tag, "ResourceId", v)...)
		h.refused("InvalidParameterValue", op, append(tag, "ResourceId.member.1", v)...)
		h.refused("MissingParameter", op, append(tag, "ResourceId", "")...)
		h.refused("MissingParameter", op, tag...)
		h.refused("InvalidParameterValue", op, "ResourceId.1", v, "Tag.1.key", "k")
	}
	h.refused("InvalidParameterValue", "DescribeVpcs", "VpcId", v)
	h.refused("InvalidParameterValue", "DescribeVpcs", "Filter.1.Name", "vpc-id", "Filter.1.Values.1", v)
	h.refused("InvalidParameterValue", "CreateVpc", "CidrBlock", "11.0.0.0/8", "TagSpecification.1.ResourceType", "vpc", "TagSpecification.1.Tags.1.Key", "k")
	if got := h.must("DescribeVpcs", "Filter", "", "VpcId", ""); len(got.IDs) != 2 {
		t.Errorf("with empty lists %v", got.IDs)
	}
}
