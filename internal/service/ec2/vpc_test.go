package ec2

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchwork/latchwork/internal/awsapi"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/snapshot"
	"github.com/latchwork/latchwork/internal/store"
	wirelattice "github.com/latchwork/latchwork/internal/wire/vpclattice"
)

// describe shows a VPC as "cidr, its other ranges; tags".
func (h *harness) describe(id string) string {
	h.t.Helper()
	got := h.must("DescribeVpcs", "VpcId.1", id).Sets
	if len(got) != 1 {
		h.t.Fatalf("%s is %+v", id, got)
	}
	v := got[0]
	text := v.CIDR
	for _, r := range v.Ranges {
		text += " " + r.CIDR
	}
	for _, r := range v.Ranges6 {
		text += " " + r.CIDR
	}
	text += ";"
	for _, t := range v.Tags {
		text += " " + t.Key + "=" + t.Value
	}
	return text
}

func (h *harness) contents() []string {
	h.t.Helper()
	page, err := h.store.Backend().Range(context.Background(), "", "", 0, 0)
	if err != nil {
		h.t.Fatal(err)
	}
	var out []string
	for _, kv := range page.KVs {
		out = append(out, kv.Key)
	}
	return out
}

// TestDefaultVPC: it is there without being stored, and its ranges are nobody
// else's all the same.
func TestDefaultVPC(t *testing.T) {
	h := newHarness(t)
	id := model.DefaultVPC(account, "us-west-2", time.Time{}).ID
	if got := h.must("DescribeVpcs").Sets; len(got) != 1 || got[0].ID != id || !got[0].Default || got[0].Owner != account || got[0].State != "available" || got[0].CIDR != "127.0.0.0/8" {
		t.Errorf("default VPC %+v", got)
	}
	if got := h.describe(id); got != "127.0.0.0/8 127.0.0.0/8 ::1/128;" {
		t.Errorf("default VPC %s", got)
	}
	if got := h.contents(); len(got) != 0 {
		t.Errorf("stored from the start: %v", got)
	}
	// Nobody takes loopback away, from whatever account; a part of it they may have.
	for _, h.account = range []string{account, "444455556666"} {
		for _, taken := range []string{"127.0.0.0/8", "127.9.9.9/8", "::1/128"} {
			if text := h.refused("InvalidVpc.Range", "CreateVpc", "CidrBlock", taken); !strings.Contains(text, id) {
				t.Error(text)
			}
		}
		h.refused("InvalidVpc.Range", "CreateVpc", "CidrBlock", "10.0.0.0/8", "Ipv6CidrBlock", "::1/128")
	}
	part := h.must("CreateVpc", "CidrBlock", "127.0.0.2/32").VpcID
	h.account = account
	h.must("CreateTags", "ResourceId.1", id, "Tag.1.Key", "Name", "Tag.1.Value", "home")
	if got := h.describe(id); got != "127.0.0.0/8 127.0.0.0/8 ::1/128; Name=home" {
		t.Errorf("tagged %s", got)
	}
	if got := h.must("DescribeVpcs").IDs; len(got) != 1 {
		t.Errorf("stored, the default VPC is listed %d times", len(got))
	}
	h.refused("InvalidVpc.Range", "CreateVpc", "CidrBlock", "127.0.0.0/8")
	h.refused("InvalidVpc.Range", "AssociateVpcCidrBlock", "VpcId", id, "CidrBlock", "127.0.0.0/8")
	// What it gives up is free, and is not its own again while another has it.
	h.must("DisassociateVpcCidrBlock", "AssociationId", model.DefaultVPC(account, "us-west-2", time.Time{}).CIDRs[0].AssociationID)
	if got := h.describe(id); got != " ::1/128; Name=home" {
		t.Errorf("without loopback %s", got)
	}
	h.refused("OperationNotPermitted", "DisassociateVpcCidrBlock", "AssociationId", model.DefaultVPC(account, "us-west-2", time.Time{}).CIDRs[1].AssociationID)
	h.refused("InvalidVpc.Range", "CreateVpc", "CidrBlock", "127.0.0.0/8") // A part of it is another account's.
	h.account = "444455556666"
	h.must("DeleteVpc", "VpcId", part)
	h.account = account
	other := h.must("CreateVpc", "CidrBlock", "127.0.0.0/8").VpcID
	h.refused("InvalidVpc.Range", "AssociateVpcCidrBlock", "VpcId", id, "CidrBlock", "127.0.0.0/8")
	h.must("DeleteVpc", "VpcId", other)
	h.must("AssociateVpcCidrBlock", "VpcId", id, "CidrBlock", "127.0.0.0/8")
	h.refused("OperationNotPermitted", "DeleteVpc", "VpcId", id)
}

func TestRanges(t *testing.T) {
	h := newHarness(t)
	for text, want := range map[string]string{
		"10.0.0.0/8": "10.0.0.0/8 10.0.0.0/8;", "10.1.2.3/16": "10.1.0.0/16 10.1.0.0/16;", "0.0.0.0/0": "0.0.0.0/0 0.0.0.0/0;",
		"192.0.2.1/32": "192.0.2.1/32 192.0.2.1/32;", "2001:DB8::1/32": " 2001:db8::/32;",
	} {
		if got := h.describe(h.must("CreateVpc", "CidrBlock", text).VpcID); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
	for _, text := range []string{"", "10.0.0.0", "10.0.0.0/33", "10.0.0/8", "::/129", "::ffff:10.0.0.0/104", "fe80::1%eth0/64", "here"} {
		h.refused("InvalidParameterValue", "CreateVpc", "CidrBlock", text)
		h.refused("InvalidParameterValue", "CreateVpc", "CidrBlock", "172.16.0.0/12", "Ipv6CidrBlock", text)
		h.refused("InvalidParameterValue", "AssociateVpcCidrBlock", "VpcId", model.DefaultVPC(account, "us-west-2", time.Time{}).ID, "CidrBlock", text)
	}
	h.refused("InvalidParameterValue", "CreateVpc", "CidrBlock", "2001:db8:1::/48", "Ipv6CidrBlock", "2001:db8:1::/48")
	h.refused("MissingParameter", "CreateVpc", "AmazonProvidedIpv6CidrBlock", "false")
	v := h.must("CreateVpc", "CidrBlock", "172.16.0.0/12", "Ipv6CidrBlock", "2001:db8:1::/48").VpcID
	h.refused("MissingParameter", "AssociateVpcCidrBlock", "VpcId", v)
	h.refused("InvalidParameterCombination", "AssociateVpcCidrBlock", "VpcId", v, "CidrBlock", "172.17.0.0/16", "Ipv6CidrBlock", "2001:db8:2::/48")
	h.refused("InvalidVpcID.NotFound", "AssociateVpcCidrBlock", "VpcId", "vpc-00000000000000000", "CidrBlock", "172.17.0.0/16")
	a := h.must("AssociateVpcCidrBlock", "VpcId", v, "CidrBlock", "172.17.1.1/16")
	if got := h.describe(v); got != "172.16.0.0/12 172.16.0.0/12 172.17.0.0/16 2001:db8:1::/48;" || a.Assoc == "" {
		t.Errorf("associated %+v, %s", a, got)
	}
	// The first range can go too; the next one is the VPC's cidrBlock then.
	first := h.must("DescribeVpcs", "VpcId.1", v).Sets[0].Ranges[0]
	_, text := h.call("DisassociateVpcCidrBlock", "AssociationId", first.Assoc)
	if !strings.Contains(text, "<state>disassociated</state>") || !strings.Contains(text, first.CIDR) || !strings.Contains(text, v) {
		t.Error(text)
	}
	if got := h.describe(v); got != "172.17.0.0/16 172.17.0.0/16 2001:db8:1::/48;" {
		t.Errorf("without the first range %s", got)
	}
	h.must("DisassociateVpcCidrBlock", "AssociationId", a.Assoc)
	h.refused("OperationNotPermitted", "DisassociateVpcCidrBlock", "AssociationId", h.must("DescribeVpcs", "VpcId.1", v).Sets[0].Ranges6[0].Assoc)
	// Another account's associations are not there.
	h.account = "444455556666"
	h.refused("InvalidVpcCidrBlockAssociationID.NotFound", "DisassociateVpcCidrBlock", "AssociationId", a.Assoc)
}

// TestUnsupportedMembers: what a VPC here cannot be is not passed over; what it is
// anyway may be asked for.
func TestUnsupportedMembers(t *testing.T) {
	h := newHarness(t)
	v := h.must("CreateVpc", "CidrBlock", "10.1.0.0/16", "InstanceTenancy", "default", "AmazonProvidedIpv6CidrBlock", "false").VpcID
	for _, m := range [][]string{
		{"InstanceTenancy", "dedicated"},
		{"InstanceTenancy", "host"},
		{"VpcEncryptionControl.Mode", "monitor"},
		{"AmazonProvidedIpv6CidrBlock", "true"},
		{"Ipv4IpamPoolId", "ipam-pool-0ab"},
		{"Ipv4NetmaskLength", "24"},
		{"Ipv6CidrBlockNetworkBorderGroup", "us-west-2"},
		{"Ipv6IpamPoolId", "ipam-pool-0ab"},
		{"Ipv6NetmaskLength", "56"},
		{"Ipv6Pool", "ipv6pool-ec2-0ab"},
	} {
		name, _, _ := strings.Cut(m[0], ".")
		for _, cidr := range [][]string{{"CidrBlock", "10.2.0.0/16"}, {"Ipv6CidrBlock", "2001:db8::/32"}, nil} {
			if text := h.refused("UnsupportedOperation", "CreateVpc", append(cidr, m...)...); !strings.Contains(text, name) {
				t.Error(text)
			}
			if name != "InstanceTenancy" && name != "VpcEncryptionControl" {
				h.refused("UnsupportedOperation", "AssociateVpcCidrBlock", append(append(cidr, m...), "VpcId", v)...)
			}
		}
	}
	h.must("AssociateVpcCidrBlock", "VpcId", v, "CidrBlock", "10.2.0.0/16", "AmazonProvidedIpv6CidrBlock", "false")
}

func TestTagsOfVPCs(t *testing.T) {
	h := newHarness(t)
	one := h.must("CreateVpc", "CidrBlock", "10.1.0.0/16", "TagSpecification.1.ResourceType", "vpc", "TagSpecification.1.Tag.1.Key", "b", "TagSpecification.1.Tag.1.Value", "2", "TagSpecification.1.Tag.2.Key", "a").VpcID
	two := h.must("CreateVpc", "CidrBlock", "10.2.0.0/16").VpcID
	if got := h.describe(one); got != "10.1.0.0/16 10.1.0.0/16; a= b=2" {
		t.Errorf("created %s", got)
	}
	h.must("CreateTags", "ResourceId.1", one, "ResourceId.2", two, "Tag.1.Key", "b", "Tag.1.Value", "3", "Tag.2.Key", "c", "Tag.2.Value", "4")
	h.must("DeleteTags", "ResourceId.1", one, "Tag.1.Key", "b", "Tag.1.Value", "2", "Tag.2.Key", "c", "Tag.2.Value", "4", "Tag.3.Key", "none")
	if a, b := h.describe(one), h.describe(two); a != "10.1.0.0/16 10.1.0.0/16; a= b=3" || b != "10.2.0.0/16 10.2.0.0/16; b=3 c=4" {
		t.Errorf("tagged %s and %s", a, b)
	}
	// One that is not there stops it for all.
	h.refused("InvalidVpcID.NotFound", "CreateTags", "ResourceId.1", one, "ResourceId.2", "vpc-00000000000000000", "Tag.1.Key", "x", "Tag.1.Value", "y")
	h.refused("InvalidParameterValue", "CreateTags", "ResourceId.1", one, "Tag.1.Key", "long", "Tag.1.Value", strings.Repeat("é", 257))
	for _, key := range []string{"aws:x", "AWS:x", "", strings.Repeat("é", 129)} {
		h.refused("InvalidParameterValue", "CreateTags", "ResourceId.1", one, "Tag.1.Key", key, "Tag.1.Value", "y")
		h.refused("InvalidParameterValue", "CreateVpc", "CidrBlock", "10.3.0.0/16", "TagSpecification.1.ResourceType", "vpc", "TagSpecification.1.Tag.1.Key", key)
	}
	h.refused("InvalidParameterValue", "CreateVpc", "CidrBlock", "10.3.0.0/16", "TagSpecification.1.ResourceType", "subnet", "TagSpecification.1.Tag.1.Key", "a")
	var many []string
	for i := range 51 {
		many = append(many, fmt.Sprintf("Tag.%d.Key", i+1), fmt.Sprint("k", i), fmt.Sprintf("Tag.%d.Value", i+1), "v")
	}
	h.refused("TagLimitExceeded", "CreateTags", append([]string{"ResourceId.1", two}, many...)...)
	h.must("DeleteTags", "ResourceId.1", two)
	h.must("CreateTags", append([]string{"ResourceId.1", two}, many[:200]...)...)
	h.refused("TagLimitExceeded", "CreateTags", "ResourceId.1", two, "Tag.1.Key", "one more")
	for _, op := range []string{"CreateTags", "DeleteTags"} {
		h.refused("DryRunOperation", op, "ResourceId.1", one, "Tag.1.Key", "z", "DryRun", "true")
	}
	h.refused("DryRunOperation", "DescribeVpcs", "DryRun", "true")
	h.refused("DryRunOperation", "DeleteVpc", "VpcId", one, "DryRun", "true")
}

// TestGatewayAddress: an address of the gateway is bound to one VPC in a region,
// however it is written.
func TestGatewayAddress(t *testing.T) {
	h := newHarness(t)
	tag := func(address string) []string {
		return []string{"Tag.1.Key", model.GatewayAddressTag, "Tag.1.Value", address}
	}
	specified := func(cidr, address string) []string {
		return []string{"CidrBlock", cidr, "TagSpecification.1.ResourceType", "vpc", "TagSpecification.1.Tag.1.Key", model.GatewayAddressTag, "TagSpecification.1.Tag.1.Value", address}
	}
	one := h.must("CreateVpc", specified("10.1.0.0/16", "192.0.2.1")...).VpcID
	two := h.must("CreateVpc", "CidrBlock", "10.2.0.0/16").VpcID
	for _, address := range []string{"192.0.2.1", "::ffff:192.0.2.1"} {
		h.refused("InvalidParameterValue", "CreateVpc", specified("10.3.0.0/16", address)...)
		h.refused("InvalidParameterValue", "CreateTags", append(tag(address), "ResourceId.1", two)...)
	}
	for _, address := range []string{"", "192.0.2.1/32", "here", "192.0.2.1:80", "0.0.0.0", "::", "224.0.0.1"} {
		h.refused("InvalidParameterValue", "CreateVpc", specified("10.3.0.0/16", address)...)
		h.refused("InvalidParameterValue", "CreateTags", append(tag(address), "ResourceId.1", two)...)
	}
	// Two VPCs at once cannot have it either.
	h.refused("InvalidParameterValue", "CreateTags", append(tag("192.0.2.9"), "ResourceId.1", one, "ResourceId.2", two)...)
	// The same again, in another form, changes nothing of the claim.
	h.must("CreateTags", append(tag("::ffff:192.0.2.1"), "ResourceId.1", one)...)
	h.refused("InvalidParameterValue", "CreateTags", append(tag("192.0.2.1"), "ResourceId.1", two)...)
	// Moved to another address, removed by value, by key, with all tags, and with the VPC.
	h.must("CreateTags", append(tag("192.0.2.2"), "ResourceId.1", one)...)
	h.must("CreateTags", append(tag("192.0.2.1"), "ResourceId.1", two)...)
	h.must("DeleteTags", append(tag("192.0.2.7"), "ResourceId.1", two)...)
	h.refused("InvalidParameterValue", "CreateTags", append(tag("192.0.2.1"), "ResourceId.1", one)...)
	h.must("DeleteTags", append(tag("192.0.2.1"), "ResourceId.1", two)...)
	h.must("CreateTags", append(tag("192.0.2.1"), "ResourceId.1", one)...)
	h.must("DeleteTags", "ResourceId.1", one)
	h.must("CreateTags", append(tag("192.0.2.1"), "ResourceId.1", two)...)
	h.must("DeleteVpc", "VpcId", two)
	h.must("DeleteVpc", "VpcId", one)
	if left := h.contents(); len(left) != 0 {
		t.Errorf("left %v", left)
	}
}

// TestGatewayAddressesOfAccounts: the configuration says whose an address is.
func TestGatewayAddressesOfAccounts(t *testing.T) {
	h := newHarness(t)
	const other = "444455556666"
	h.settings.Accounts = map[string]snapshot.Account{
		account: {ID: account}, other: {ID: other, GatewayAddresses: []netip.Addr{netip.MustParseAddr("192.0.2.6")}}, "777788889999": {ID: "777788889999"},
	}
	for i, test := range []struct {
		account, address string
		ok               bool
	}{
		{account, "192.0.2.5", true},
		{account, "192.0.2.6", false},
		{account, "::ffff:192.0.2.6", false},
		{other, "192.0.2.5", false},
		{other, "192.0.2.7", false},
		{"777788889999", "192.0.2.7", false},
		{"777788889999", "192.0.2.6", false},
		{other, "::ffff:192.0.2.6", true},
	} {
		h.account = test.account
		v := h.must("CreateVpc", "CidrBlock", fmt.Sprintf("10.%d.0.0/16", i)).VpcID
		tag := []string{"CreateTags", "ResourceId.1", v, "Tag.1.Key", model.GatewayAddressTag, "Tag.1.Value", test.address}
		create := []string{"CreateVpc", "CidrBlock", fmt.Sprintf("11.%d.0.0/16", i), "TagSpecification.1.ResourceType", "vpc", "TagSpecification.1.Tag.1.Key", model.GatewayAddressTag, "TagSpecification.1.Tag.1.Value", test.address}
		if test.ok {
			h.must(tag[0], tag[1:]...)
			h.must("DeleteTags", "ResourceId.1", v)
			h.must(create[0], create[1:]...)
			continue
		}
		for _, call := range [][]string{tag, create} {
			if text := h.refused("InvalidParameterValue", call[0], call[1:]...); !strings.Contains(text, "gateway-addresses") {
				t.Error(text)
			}
		}
	}
}

// TestRangesOfAccounts: no account takes a part of another's, in whatever order and
// by whatever call; its own it may divide, and in another region all is free.
func TestRangesOfAccounts(t *testing.T) {
	h := newHarness(t)
	const other = "444455556666"
	h.must("CreateVpc", "CidrBlock", "10.1.0.0/16", "Ipv6CidrBlock", "2001:db8::/32")
	h.must("CreateVpc", "CidrBlock", "10.1.2.0/24")
	h.must("AssociateVpcCidrBlock", "VpcId", model.DefaultVPC(account, "us-west-2", time.Time{}).ID, "CidrBlock", "10.9.0.0/16")
	h.must("CreateVpc", "CidrBlock", "127.0.1.0/24")
	h.account = other
	v := h.must("CreateVpc", "CidrBlock", "10.2.0.0/16").VpcID
	for _, cidr := range []string{"10.1.0.5/32", "10.1.0.0/17", "10.1.2.0/25", "10.0.0.0/8", "0.0.0.0/0", "2001:db8:1::/48", "::/0", "10.9.1.0/24", "127.0.1.7/32"} {
		h.refused("InvalidVpc.Range", "CreateVpc", "CidrBlock", cidr)
		h.refused("InvalidVpc.Range", "CreateVpc", "CidrBlock", "10.3.0.0/16", "Ipv6CidrBlock", cidr)
		h.refused("InvalidVpc.Range", "AssociateVpcCidrBlock", "VpcId", v, "CidrBlock", cidr)
	}
	h.must("CreateVpc", "CidrBlock", "127.0.0.2/32")
	h.must("CreateVpc", "CidrBlock", "10.2.5.0/24")
	h.account = account
	h.refused("InvalidVpc.Range", "CreateVpc", "CidrBlock", "10.0.0.0/8")
	h.refused("InvalidVpc.Range", "CreateVpc", "CidrBlock", "127.0.0.0/24")
	h.must("CreateVpc", "CidrBlock", "127.0.2.0/24")
	h.region = "eu-west-1"
	h.must("CreateVpc", "CidrBlock", "0.0.0.0/0")
}

// TestDependencies: a VPC that VPC Lattice uses stays.
func TestDependencies(t *testing.T) {
	h := newHarness(t)
	scope := model.Scope{Account: account, Region: "us-west-2"}
	write := func(fn func(*store.Tx) error) {
		t.Helper()
		if _, err := h.store.Update(context.Background(), fn); err != nil {
			t.Fatal(err)
		}
	}
	v := h.must("CreateVpc", "CidrBlock", "10.1.0.0/16").VpcID
	write(func(tx *store.Tx) error {
		return model.Unique.Put(tx, scope.Key("vpc", v), &model.Claim{ID: "snva-1"})
	})
	if text := h.refused("DependencyViolation", "DeleteVpc", "VpcId", v); !strings.Contains(text, "snva-1") {
		t.Error(text)
	}
	write(func(tx *store.Tx) error { return model.Unique.Delete(tx, scope.Key("vpc", v)) })
	write(func(tx *store.Tx) error {
		return model.TargetGroups.Put(tx, scope.Key("tg-1"), &model.TargetGroup{Meta: model.Meta{ID: "tg-1"}, Config: &wirelattice.TargetGroupConfig{VpcIdentifier: &v}})
	})
	if text := h.refused("DependencyViolation", "DeleteVpc", "VpcId", v); !strings.Contains(text, "tg-1") {
		t.Error(text)
	}
	write(func(tx *store.Tx) error { return model.TargetGroups.Delete(tx, scope.Key("tg-1")) })
	h.must("DeleteVpc", "VpcId", v)
}

// TestPages: pages hold what a filter left, and a token is good for its own list.
func TestPages(t *testing.T) {
	h := newHarness(t)
	var want []string
	for i := range 12 {
		want = append(want, h.must("CreateVpc", "CidrBlock", fmt.Sprintf("10.%d.0.0/16", i)).VpcID)
	}
	slices.Sort(want)
	var got []string
	filter := []string{"Filter.1.Name", "is-default", "Filter.1.Value.1", "false", "MaxResults", "5"}
	token := ""
	for page := range 4 {
		if page == 1 { // What happens meanwhile is no part of this list.
			h.must("DeleteVpc", "VpcId", want[11])
			for i := range 4 {
				h.must("CreateVpc", "CidrBlock", fmt.Sprintf("10.%d.0.0/16", 100+i))
			}
		}
		parameters := filter
		if token != "" {
			parameters = append(filter[:6:6], "NextToken", token)
		}
		page := h.must("DescribeVpcs", parameters...)
		if len(page.IDs) > 5 {
			t.Errorf("%d on a page", len(page.IDs))
		}
		got = append(got, page.IDs...)
		if token = page.Next; token == "" {
			break
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("pages (-want +got)\n%s", diff)
	}
	if a, text := h.call("DescribeVpcs", "NextToken", "nonsense"); a.Code == "" {
		t.Error(text)
	}
}

// TestFilters beside those of TestVPCs. A value of many stars costs no more than
// another.
func TestFilters(t *testing.T) {
	h := newHarness(t)
	one := h.must("CreateVpc", "CidrBlock", "10.1.0.0/16", "TagSpecification.1.ResourceType", "vpc", "TagSpecification.1.Tag.1.Key", "a", "TagSpecification.1.Tag.1.Value", strings.Repeat("a", 200)).VpcID
	for _, test := range []struct {
		name, value string
		want        bool
	}{
		{"isDefault", "false", true},
		{"cidr-block", "10.1.0.0/16", true},
		{"cidr-block-association.cidr-block", "10.1.*", true},
		{"state", "available", true},
		{"tag:a", "*", true},
		{"tag:A", "*", false},
		{"tag:a", strings.Repeat("*a", 60) + "b", false},
		{"tag-key", "?", true},
		{"owner-id", "4*", false},
	} {
		got := slices.Contains(h.must("DescribeVpcs", "Filter.1.Name", test.name, "Filter.1.Value.1", test.value).IDs, one)
		if got != test.want {
			t.Errorf("%s %s: %t", test.name, test.value, got)
		}
	}
}

// TestAccess: what each call is authorized on, tags included.
// Source: Service Authorization Reference, Amazon EC2.
func TestAccess(t *testing.T) {
	h := newHarness(t)
	v := h.must("CreateVpc", "CidrBlock", "10.1.0.0/16", "TagSpecification.1.ResourceType", "vpc", "TagSpecification.1.Tag.1.Key", "team", "TagSpecification.1.Tag.1.Value", "blue").VpcID
	h.must("CreateTags", "ResourceId.1", v, "Tag.1.Key", "Team", "Tag.1.Value", "red")
	a := h.must("AssociateVpcCidrBlock", "VpcId", v, "CidrBlock", "10.2.0.0/16").Assoc
	h.must("DisassociateVpcCidrBlock", "AssociationId", a)
	h.must("DeleteTags", "ResourceId.1", v, "Tag.1.Key", "Team")
	h.must("DescribeVpcs")
	h.must("DeleteVpc", "VpcId", v)
	arn := func(id string) string { return "arn:aws:ec2:us-west-2:" + account + ":vpc/" + id }
	blue := []string{"aws:ResourceTag/team=blue", "ec2:ResourceTag/team=blue"}
	both := []string{"aws:ResourceTag/Team=red,blue", "ec2:ResourceTag/Team=red,blue"}
	for _, test := range []struct {
		operation, arn string
		tags, keys     []string
	}{
		{"CreateVpc", arn("*"), []string{"aws:TagKeys=team", "aws:RequestTag/team=blue"}, nil},
		{"CreateTags", arn(v), blue, []string{"aws:TagKeys=Team", "aws:RequestTag/Team=red"}},
		{"AssociateVpcCidrBlock", arn(v), both, nil},
		{"DisassociateVpcCidrBlock", arn(v), both, nil},
		{"DeleteTags", arn(v), both, []string{"aws:TagKeys=Team", "aws:RequestTag/Team="}},
		{"DescribeVpcs", "*", nil, nil},
		{"DeleteVpc", arn(v), blue, nil},
	} {
		c := h.calls[test.operation]
		if test.operation == "CreateVpc" {
			// Whoever creates with tags needs the permission to tag too.
			tag := []awsapi.Resource{{ARN: test.arn, Action: "ec2:CreateTags", Keys: append(slices.Clone(c.Resources[0].Keys), awsapi.Key{Name: "ec2:CreateAction", Values: []string{"CreateVpc"}})}}
			if diff := cmp.Diff(tag, c.Resources[1:]); diff != "" {
				t.Errorf("the tags of CreateVpc (-want +got)\n%s", diff)
			}
			c.Resources = c.Resources[:1]
		}
		if c.Action != "ec2:"+test.operation || len(c.Resources) != 1 || c.Resources[0].ARN != test.arn {
			t.Errorf("%s: %s on %+v", test.operation, c.Action, c.Resources)
			continue
		}
		if diff := cmp.Diff([][]string{test.tags, test.keys}, [][]string{keysOf(c.Resources[0].Keys), keysOf(c.Keys)}); diff != "" {
			t.Errorf("%s (-want +got)\n%s", test.operation, diff)
		}
	}
	// What is not there is asked about all the same.
	h.refused("InvalidVpcID.NotFound", "DeleteVpc", "VpcId", v)
	h.refused("InvalidVpcCidrBlockAssociationID.NotFound", "DisassociateVpcCidrBlock", "AssociationId", a)
	if got := h.calls["DisassociateVpcCidrBlock"].Resources[0].ARN; got != arn("*") {
		t.Errorf("asked about %s", got)
	}
}

func keysOf(keys []awsapi.Key) []string {
	var out []string
	for _, k := range keys {
		out = append(out, k.Name+"="+strings.Join(k.Values, ","))
	}
	return out
}
