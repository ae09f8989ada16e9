package ec2

import (
	"context"
	"net/netip"
	"slices"

	"github.com/latchwork/latchwork/internal/fault"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/store"
	wire "github.com/latchwork/latchwork/internal/wire/ec2"
)

// AssociateVpcCidrBlock implements ec2:AssociateVpcCidrBlock.
func (s *Service) AssociateVpcCidrBlock(ctx context.Context, in *wire.AssociateVpcCidrBlockRequest) (*wire.AssociateVpcCidrBlockResponse, error) {
	err := unsupported(
		member{"AmazonProvidedIpv6CidrBlock", model.Deref(in.AmazonProvidedIpv6CidrBlock)},
		member{"Ipv4IpamPoolId", in.Ipv4IpamPoolId != nil},
		member{"Ipv4NetmaskLength", in.Ipv4NetmaskLength != nil},
		member{"Ipv6CidrBlockNetworkBorderGroup", in.Ipv6CidrBlockNetworkBorderGroup != nil},
		member{"Ipv6IpamPoolId", in.Ipv6IpamPoolId != nil},
		member{"Ipv6NetmaskLength", in.Ipv6NetmaskLength != nil},
		member{"Ipv6Pool", in.Ipv6Pool != nil},
	)
	if err != nil {
		return nil, err
	}
	text := in.CidrBlock
	switch {
	case text == nil:
		text = in.Ipv6CidrBlock
	case in.Ipv6CidrBlock != nil:
		// Source: EC2 API Reference, AssociateVpcCidrBlock: "You must specify one of the
		// following in the request: an IPv4 CIDR block, an IPv6 pool, or […]".
		return nil, fault.New("InvalidParameterCombination", "The parameters cidrBlock and ipv6CidrBlock cannot be used together")
	}
	if text == nil {
		return nil, fault.New("MissingParameter", "The request must contain the parameter cidrBlock or ipv6CidrBlock")
	}
	p, err := parseRange(*text)
	if err != nil {
		return nil, err
	}
	scope := s.scope(ctx)
	c := model.CIDR{Prefix: p}
	err = s.cfg.Update(ctx, func(tx *store.Tx) error {
		v, err := s.vpc(tx, scope, *in.VpcId)
		if err != nil {
			return err
		}
		if err := s.claimRange(tx, v, p); err != nil {
			return err
		}
		if has(v, p) {
			return fault.New("InvalidVpc.Range", "The CIDR '%s' is one of this VPC's already", p)
		}
		c.AssociationID = model.NewID("vpc-cidr-assoc")
		v.CIDRs, v.Updated = append(v.CIDRs, c), s.cfg.Clock()
		return model.VPCs.Put(tx, scope.Key(v.ID), v)
	})
	if err != nil {
		return nil, err
	}
	shown := show(&model.VPC{CIDRs: []model.CIDR{c}})
	out := &wire.AssociateVpcCidrBlockResponse{VpcId: in.VpcId}
	if len(shown.CidrBlockAssociationSet) > 0 {
		out.CidrBlockAssociation = &shown.CidrBlockAssociationSet[0]
	} else {
		out.Ipv6CidrBlockAssociation = &shown.Ipv6CidrBlockAssociationSet[0]
	}
	return out, nil
}

// DisassociateVpcCidrBlock implements ec2:DisassociateVpcCidrBlock. The last range
// stays.
func (s *Service) DisassociateVpcCidrBlock(ctx context.Context, in *wire.DisassociateVpcCidrBlockRequest) (*wire.DisassociateVpcCidrBlockResponse, error) {
	scope := s.scope(ctx)
	var removed model.CIDR
	var id string
	err := s.cfg.Update(ctx, func(tx *store.Tx) error {
		v, n, err := s.associated(tx, scope, *in.AssociationId)
		if err != nil {
			return err
		}
		if len(v.CIDRs) == 1 {
			return fault.New("OperationNotPermitted", "The vpc CIDR block with association ID %s may not be disassociated: it is the VPC's last", *in.AssociationId)
		}
		removed, id = v.CIDRs[n], v.ID
		v.CIDRs, v.Updated = slices.Delete(v.CIDRs, n, n+1), s.cfg.Clock()
		if err := model.Unique.Delete(tx, claimKey(scope.Region, "cidr", removed.Prefix.String())); err != nil {
			return err
		}
		return model.VPCs.Put(tx, scope.Key(v.ID), v)
	})
	if err != nil {
		return nil, err
	}
	shown := show(&model.VPC{CIDRs: []model.CIDR{removed}})
	out := &wire.DisassociateVpcCidrBlockResponse{VpcId: &id}
	gone := &wire.VpcCidrBlockState{State: new("disassociated")}
	if len(shown.CidrBlockAssociationSet) > 0 {
		out.CidrBlockAssociation = &shown.CidrBlockAssociationSet[0]
		out.CidrBlockAssociation.CidrBlockState = gone
	} else {
		out.Ipv6CidrBlockAssociation = &shown.Ipv6CidrBlockAssociationSet[0]
		out.Ipv6CidrBlockAssociation.Ipv6CidrBlockState = gone
	}
	return out, nil
}

// associated finds the VPC and the place of an address range by its association.
func (s *Service) associated(tx *store.Tx, scope model.Scope, association string) (*model.VPC, int, error) {
	items, err := model.VPCs.List(tx, scope.Prefix())
	if err != nil {
		return nil, 0, err
	}
	vpcs := make([]*model.VPC, 0, len(items)+1)
	for _, item := range items {
		vpcs = append(vpcs, item.Record)
	}
	if d := s.defaultVPC(scope); d != nil && !slices.ContainsFunc(vpcs, func(v *model.VPC) bool { return v.ID == d.ID }) {
		vpcs = append(vpcs, d)
	}
	for _, v := range vpcs {
		for n, c := range v.CIDRs {
			if c.AssociationID == association {
				return v, n, nil
			}
		}
	}
	return nil, 0, fault.New("InvalidVpcCidrBlockAssociationID.NotFound", "The vpc CIDR block association ID '%s' does not exist", association)
}

// claimRange makes an address range one of a VPC's. Within an account the longest
// range that holds an address counts. Another account has no part of it: it would
// say where the clients in it are.
func (s *Service) claimRange(tx *store.Tx, v *model.VPC, p netip.Prefix) error {
	taken := func(holder string) error {
		return fault.New("InvalidVpc.Range", "The CIDR '%s' is that of %s already: an address range belongs to one VPC in a region, because it says where a client is. Take a smaller or larger range, the longest one that holds an address counts", p, holder)
	}
	// The default VPC is there without being stored, so that nobody claimed its
	// ranges.
	owner := model.Scope{Account: s.cfg.Settings.DefaultAccount, Region: v.Region}
	byDefault := s.defaultVPC(owner)
	stored, err := model.VPCs.Get(tx, owner.Key(byDefault.ID))
	if err != nil {
		return err
	}
	if stored != nil {
		byDefault = stored
	}
	if v.ID != byDefault.ID && has(byDefault, p) {
		return taken(byDefault.ID)
	}
	if err := claim(tx, v.Region, "cidr", p.String(), v.ID, taken); err != nil {
		return err
	}
	// All VPCs are looked at: two calls that take overlapping ranges at once are told
	// from one another by the store.
	all, err := model.VPCs.List(tx, "")
	if err != nil {
		return err
	}
	for _, item := range all {
		other := item.Record
		if other.Account == v.Account || other.Region != v.Region {
			continue
		}
		for _, c := range other.CIDRs {
			if c.Prefix.Overlaps(p) && !shared(other, c.Prefix) && !shared(v, p) {
				return fault.New("InvalidVpc.Range", "The CIDR '%s' overlaps %s, which is another account's", p, c.Prefix)
			}
		}
	}
	return nil
}

// shared tells whether any account may take a part of a VPC's range: loopback is in
// the default VPC so that it is in one at all.
func shared(v *model.VPC, p netip.Prefix) bool { return v.Default && p.Addr().IsLoopback() }

// has tells whether a range is one of a VPC's.
func has(v *model.VPC, p netip.Prefix) bool {
	return slices.ContainsFunc(v.CIDRs, func(c model.CIDR) bool { return c.Prefix == p })
}

// parseRange reads an address range.
func parseRange(text string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(text)
	// No client has an address of IPv6 that stands for one of IPv4: it is that one.
	if err != nil || p.Addr().Is4In6() {
		return p, badParameter("Value (%s) for parameter cidrBlock is invalid. This is not a valid CIDR block.", text)
	}
	return p.Masked(), nil
}
