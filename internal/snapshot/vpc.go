package snapshot

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/latchwork/latchwork/internal/model"
)

// VPC is where a request comes from.
type VPC struct {
	ID      string
	ARN     string
	Owner   string // account
	Network string // ARN of the service network it is associated with, "" if none
	// Evidence tells how the VPC was found: "gateway-address" is as strong as the
	// network that leads there, "cidr" as weak as the client's address.
	Evidence string
}

// Addresses are those of a request's connection.
type Addresses struct {
	Client  netip.Addr
	Gateway netip.Addr
}

// vpcTable finds VPCs by address, apart for each region. It is small: an
// installation has few VPCs.
type vpcTable struct {
	regions map[string]*regionVPCs
	// defaults holds the default VPCs that are not stored, by region.
	defaults map[string]*VPC
}

type regionVPCs struct {
	// bits holds the prefix lengths in use, longest first, of both families.
	bits4, bits6 []int
	prefixes     map[netip.Prefix]*VPC
	gateways     map[netip.Addr]*VPC
}

func (t *vpcTable) find(region string, a Addresses) (*VPC, bool) {
	client, gateway := a.Client.Unmap(), a.Gateway.Unmap()
	r := t.regions[region]
	if r != nil {
		if vpc, ok := r.gateways[gateway]; ok {
			return vpc, true
		}
		bits := r.bits4
		if client.Is6() {
			bits = r.bits6
		}
		for _, n := range bits {
			// n fits the family, and a client without an address is in no range.
			prefix, _ := client.Prefix(n)
			if vpc, ok := r.prefixes[prefix]; ok {
				return vpc, true
			}
		}
	}
	if client.IsLoopback() {
		// Not stored, or a stored one would have been found above.
		vpc, ok := t.defaults[region]
		return vpc, ok
	}
	return nil, false
}

// buildVPCTable makes the table of all regions; regions names those that a
// default VPC is needed in.
func buildVPCTable(settings *Settings, regions []string, vpcs map[string]*model.VPC,
	associations map[string]*model.VPCAssociation, problem func(record string, err error),
) *vpcTable {
	t := &vpcTable{regions: map[string]*regionVPCs{}, defaults: map[string]*VPC{}}
	networks := map[string]string{}
	for _, key := range sortedKeys(associations) {
		// A VPC has one association; of several the last one counts, always the same.
		a := associations[key]
		networks[a.Region+"/"+a.VPC] = a.NetworkARN
	}
	of := func(v *model.VPC, evidence string) *VPC {
		return &VPC{ID: v.ID, ARN: v.ARN, Owner: v.Account, Network: networks[v.Region+"/"+v.ID], Evidence: evidence}
	}
	for _, region := range regions {
		d := model.DefaultVPC(settings.DefaultAccount, region, time.Time{})
		if _, stored := vpcs[(model.Scope{Account: d.Account, Region: region}).Key(d.ID)]; !stored {
			t.defaults[region] = of(d, "cidr")
		}
	}
	for _, key := range sortedKeys(vpcs) {
		v := vpcs[key]
		r := t.regions[v.Region]
		if r == nil {
			r = &regionVPCs{prefixes: map[netip.Prefix]*VPC{}, gateways: map[netip.Addr]*VPC{}}
			t.regions[v.Region] = r
		}
		for _, c := range v.CIDRs {
			prefix := c.Prefix.Masked()
			if other, taken := r.prefixes[prefix]; taken {
				problem(model.VPCs.Key(key), fmt.Errorf("%s belongs to %s already", prefix, other.ID))
				continue
			}
			r.prefixes[prefix] = of(v, "cidr")
		}
		if text, ok := v.Tags[model.GatewayAddressTag]; ok {
			addr, err := netip.ParseAddr(text)
			if err != nil {
				problem(model.VPCs.Key(key), fmt.Errorf("tag %s: %w", model.GatewayAddressTag, err))
				continue
			}
			addr = addr.Unmap()
			if owner := settings.GatewayAccount(addr); owner != v.Account {
				problem(model.VPCs.Key(key), fmt.Errorf("tag %s: %s is an address of account %s", model.GatewayAddressTag, addr, owner))
				continue
			}
			r.gateways[addr] = of(v, "gateway-address")
		}
	}
	for _, r := range t.regions {
		for prefix := range r.prefixes {
			if prefix.Addr().Is4() {
				r.bits4 = append(r.bits4, prefix.Bits())
			} else {
				r.bits6 = append(r.bits6, prefix.Bits())
			}
		}
		r.bits4, r.bits6 = longestFirst(r.bits4), longestFirst(r.bits6)
	}
	return t
}

func longestFirst(bits []int) []int {
	slices.Sort(bits)
	bits = slices.Compact(bits)
	slices.Reverse(bits)
	return bits
}
