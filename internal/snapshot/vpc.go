package snapshot

import (
	"fmt"
	"net/netip"
	"path"
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
	// prefixes and gateways have nil for what several VPCs claim: whose it is cannot
	// be told.
	prefixes map[netip.Prefix]*VPC
	gateways map[netip.Addr]*VPC
	// disputed holds the gateway addresses that a VPC of another account than theirs
	// claims: unless one of theirs has it too, its clients are in none.
	disputed []netip.Addr
	// uncertain is true if one of the region's VPCs cannot be read: an address may be
	// in that one, also if another has a range around it.
	uncertain bool
}

// find looks for the VPC of an address; known is false if it cannot be told.
func (t *vpcTable) find(region string, a Addresses) (vpc *VPC, known bool) {
	client, gateway := a.Client.Unmap(), a.Gateway.Unmap()
	r := t.regions[region]
	if r != nil {
		if vpc, ok := r.gateways[gateway]; ok {
			return vpc, vpc != nil
		}
		if r.uncertain {
			return nil, false
		}
		bits := r.bits4
		if client.Is6() {
			bits = r.bits6
		}
		for _, n := range bits {
			// n fits the family, and a client without an address is in no range.
			prefix, _ := client.Prefix(n)
			if vpc, ok := r.prefixes[prefix]; ok {
				return vpc, vpc != nil
			}
		}
	}
	if client.IsLoopback() {
		// Not stored, or a stored one would have been found above.
		return t.defaults[region], true
	}
	return nil, true
}

// owner finds the account that has an address in a VPC, of whatever region: what has the
// address is one machine. Loopback is the default account's but for what VPCs of others
// have of it.
func (t *vpcTable) owner(settings *Settings, addr netip.Addr) (account string, known bool) {
	loopback := addr.Unmap().IsLoopback()
	for region := range t.regions {
		vpc, known := t.find(region, Addresses{Client: addr})
		switch {
		case !known:
			return "", false
		case vpc == nil, vpc.Owner == account, loopback && vpc.Owner == settings.DefaultAccount:
		case account != "":
			return "", false
		default:
			account = vpc.Owner
		}
	}
	if account == "" && loopback {
		account = settings.DefaultAccount
	}
	return account, true
}

// buildVPCTable makes the table of all regions; regions names those that a
// default VPC is needed in.
func buildVPCTable(settings *Settings, regions []string, vpcs *table[model.VPC],
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
		if _, stored := vpcs.rows[(model.Scope{Account: d.Account, Region: region}).Key(d.ID)]; !stored {
			t.defaults[region] = of(d, "cidr")
		}
	}
	in := func(region string) *regionVPCs {
		r := t.regions[region]
		if r == nil {
			r = &regionVPCs{prefixes: map[netip.Prefix]*VPC{}, gateways: map[netip.Addr]*VPC{}}
			t.regions[region] = r
		}
		return r
	}
	for key := range vpcs.unreadable {
		in(path.Base(parent(key))).uncertain = true
	}
	for _, key := range sortedKeys(vpcs.rows) {
		v := vpcs.rows[key]
		r := in(v.Region)
		for _, c := range v.CIDRs {
			prefix := c.Prefix.Masked()
			if _, taken := r.prefixes[prefix]; taken {
				problem(model.VPCs.Key(key), fmt.Errorf("another VPC has the range %s too; its clients are in none", prefix))
				r.prefixes[prefix] = nil
				continue
			}
			r.prefixes[prefix] = of(v, "cidr")
		}
		if text, ok := v.Tags[model.GatewayAddressTag]; ok {
			addr, err := netip.ParseAddr(text)
			if err != nil {
				problem(model.VPCs.Key(key), fmt.Errorf("tag %s: %w", model.GatewayAddressTag, err))
				r.uncertain = true
				continue
			}
			addr = addr.Unmap()
			if owner := settings.GatewayAccount(addr); owner != v.Account {
				problem(model.VPCs.Key(key), fmt.Errorf("tag %s: %s is an address of account %s", model.GatewayAddressTag, addr, owner))
				r.disputed = append(r.disputed, addr)
				continue
			}
			if _, taken := r.gateways[addr]; taken {
				problem(model.VPCs.Key(key), fmt.Errorf("tag %s: another VPC has the address %s too; its clients are in none", model.GatewayAddressTag, addr))
				r.gateways[addr] = nil
				continue
			}
			r.gateways[addr] = of(v, "gateway-address")
		}
	}
	for _, r := range t.regions {
		for _, addr := range r.disputed {
			if _, ok := r.gateways[addr]; !ok {
				r.gateways[addr] = nil
			}
		}
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
