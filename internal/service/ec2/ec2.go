// Package ec2 carries out the few operations of EC2 that name a VPC. A VPC here is
// an address range with its owner account: it says where a client is, and so
// through which service network its requests enter.
package ec2

import (
	"context"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/latchwork/latchwork/internal/awsapi"
	"github.com/latchwork/latchwork/internal/clock"
	"github.com/latchwork/latchwork/internal/fault"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/policy"
	"github.com/latchwork/latchwork/internal/snapshot"
	"github.com/latchwork/latchwork/internal/store"
	wire "github.com/latchwork/latchwork/internal/wire/ec2"
)

// Config says what the service works with; everything is required.
type Config struct {
	model.State
	Clock clock.Clock
	// Settings name the default account, which owns the default VPC of every region,
	// and whose the gateway's addresses are.
	Settings *snapshot.Settings
}

// Service handles the operations.
type Service struct {
	wire.Unimplemented
	cfg Config
}

// New makes EC2 ready for the dispatcher.
func New(cfg Config) awsapi.Binding {
	s := &Service{cfg: cfg}
	return wire.Bind(s, s.access())
}

func (s *Service) scope(ctx context.Context) model.Scope {
	c := awsapi.FromContext(ctx)
	return model.Scope{Partition: c.Partition, Account: c.Account, Region: c.Region}
}

func badParameter(format string, args ...any) *fault.Error {
	return fault.New("InvalidParameterValue", format, args...)
}

func noSuchVPC(id string) *fault.Error {
	return fault.New("InvalidVpcID.NotFound", "The vpc ID '%s' does not exist", id)
}

// dryRun answers a call that only asks whether it may be made; the dispatcher has
// authorized it already.
func dryRun(flag *bool) error {
	if flag == nil || !*flag {
		return nil
	}
	return fault.New("DryRunOperation", "Request would have succeeded, but DryRun flag is set.").WithStatus(http.StatusPreconditionFailed)
}

// member is one of a request, and whether the caller asks for something with it.
type member struct {
	name  string
	asked bool
}

// unsupported refuses members that only a real network can honour: a VPC that lacks
// what was asked for must not look as if it had it.
func unsupported(members ...member) error {
	for _, m := range members {
		if m.asked {
			return fault.New("UnsupportedOperation", "The parameter %s is not supported: a VPC is an address range here, which CidrBlock and Ipv6CidrBlock name", m.name)
		}
	}
	return nil
}

// defaultVPC is the account's default VPC, where it has one.
func (s *Service) defaultVPC(scope model.Scope) *model.VPC {
	if scope.Account != s.cfg.Settings.DefaultAccount {
		return nil
	}
	return model.DefaultVPC(scope.Account, scope.Region, time.Time{})
}

// vpc reads a VPC; the default one is there without being stored.
func (s *Service) vpc(tx *store.Tx, scope model.Scope, id string) (*model.VPC, error) {
	v, err := model.VPCs.Get(tx, scope.Key(id))
	if err != nil || v != nil {
		return v, err
	}
	if d := s.defaultVPC(scope); d != nil && d.ID == id {
		return d, nil
	}
	return nil, noSuchVPC(id)
}

// claimKey is the unique name of an address range or a gateway address within a
// region: an address can be in one VPC only.
func claimKey(region, kind, value string) string { return "vpc/" + region + "/" + kind + "/" + value }

func claim(tx *store.Tx, region, kind, value, id string, taken func(holder string) error) error {
	key := claimKey(region, kind, value)
	holder, err := model.Unique.Get(tx, key)
	if err != nil {
		return err
	}
	if holder != nil && holder.ID != id {
		return taken(holder.ID)
	}
	return model.Unique.Put(tx, key, &model.Claim{ID: id})
}

// CreateVpc implements ec2:CreateVpc.
func (s *Service) CreateVpc(ctx context.Context, in *wire.CreateVpcRequest) (*wire.CreateVpcResponse, error) {
	if err := dryRun(in.DryRun); err != nil {
		return nil, err
	}
	err := unsupported(
		member{"InstanceTenancy", in.InstanceTenancy != nil && *in.InstanceTenancy != wire.TenancyDefault},
		member{"AmazonProvidedIpv6CidrBlock", model.Deref(in.AmazonProvidedIpv6CidrBlock)},
		member{"Ipv4IpamPoolId", in.Ipv4IpamPoolId != nil},
		member{"Ipv4NetmaskLength", in.Ipv4NetmaskLength != nil},
		member{"Ipv6CidrBlockNetworkBorderGroup", in.Ipv6CidrBlockNetworkBorderGroup != nil},
		member{"Ipv6IpamPoolId", in.Ipv6IpamPoolId != nil},
		member{"Ipv6NetmaskLength", in.Ipv6NetmaskLength != nil},
		member{"Ipv6Pool", in.Ipv6Pool != nil},
		member{"VpcEncryptionControl", in.VpcEncryptionControl != nil},
	)
	if err != nil {
		return nil, err
	}
	if in.CidrBlock == nil {
		return nil, fault.New("MissingParameter", "The request must contain the parameter cidrBlock: address ranges are registered here, not given out")
	}
	var ranges []netip.Prefix
	for _, text := range []*string{in.CidrBlock, in.Ipv6CidrBlock} {
		if text == nil {
			continue
		}
		p, err := parseRange(*text)
		if err != nil {
			return nil, err
		}
		ranges = append(ranges, p)
	}
	tags, err := specifiedTags(in.TagSpecifications)
	if err != nil {
		return nil, err
	}
	gateway, err := gatewayAddress(tags)
	if err != nil {
		return nil, err
	}
	scope := s.scope(ctx)
	var v *model.VPC
	err = s.cfg.Update(ctx, func(tx *store.Tx) error {
		now := s.cfg.Clock()
		id := model.NewID("vpc")
		v = &model.VPC{Meta: model.Meta{
			ID: id, ARN: model.VPCARN(scope.Account, scope.Region, id), Account: scope.Account, Region: scope.Region,
			Created: now, Updated: now, Tags: tags,
		}}
		for _, p := range ranges {
			if has(v, p) {
				return badParameter("The CIDR '%s' is named twice", p)
			}
			if err := s.claimRange(tx, v, p); err != nil {
				return err
			}
			v.CIDRs = append(v.CIDRs, model.CIDR{AssociationID: model.NewID("vpc-cidr-assoc"), Prefix: p})
		}
		if gateway.IsValid() {
			if err := s.claimGateway(tx, v, gateway); err != nil {
				return err
			}
		}
		return model.VPCs.Put(tx, scope.Key(id), v)
	})
	if err != nil {
		return nil, err
	}
	return &wire.CreateVpcResponse{Vpc: show(v)}, nil
}

func show(v *model.VPC) *wire.Vpc {
	out := &wire.Vpc{
		VpcId: &v.ID, OwnerId: &v.Account, State: new("available"), InstanceTenancy: new("default"),
		DhcpOptionsId: new("default"), IsDefault: &v.Default,
		CidrBlockAssociationSet: []wire.VpcCidrBlockAssociation{}, Tags: []wire.Tag{},
	}
	for _, c := range v.CIDRs {
		block := c.Prefix.String()
		associated := &wire.VpcCidrBlockState{State: new("associated")}
		if c.Prefix.Addr().Is6() {
			out.Ipv6CidrBlockAssociationSet = append(out.Ipv6CidrBlockAssociationSet, wire.VpcIpv6CidrBlockAssociation{
				AssociationId: &c.AssociationID, Ipv6CidrBlock: &block, Ipv6CidrBlockState: associated,
			})
			continue
		}
		if out.CidrBlock == nil {
			out.CidrBlock = &block
		}
		out.CidrBlockAssociationSet = append(out.CidrBlockAssociationSet, wire.VpcCidrBlockAssociation{
			AssociationId: &c.AssociationID, CidrBlock: &block, CidrBlockState: associated,
		})
	}
	for k, val := range v.Tags {
		out.Tags = append(out.Tags, wire.Tag{Key: new(k), Value: new(val)})
	}
	slices.SortFunc(out.Tags, func(a, b wire.Tag) int { return strings.Compare(*a.Key, *b.Key) })
	return out
}

// DescribeVpcs implements ec2:DescribeVpcs.
func (s *Service) DescribeVpcs(ctx context.Context, in *wire.DescribeVpcsRequest) (*wire.DescribeVpcsResponse, error) {
	if err := dryRun(in.DryRun); err != nil {
		return nil, err
	}
	scope := s.scope(ctx)
	var found []*model.VPC
	revision, err := s.cfg.List(ctx, func(tx *store.Tx) error {
		items, err := model.VPCs.List(tx, scope.Prefix())
		if err != nil {
			return err
		}
		d := s.defaultVPC(scope)
		for _, item := range items {
			if d != nil && item.Record.ID == d.ID {
				d = nil
			}
			found = append(found, item.Record)
		}
		if d != nil {
			found = append(found, d)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, id := range in.VpcIds {
		if !slices.ContainsFunc(found, func(v *model.VPC) bool { return v.ID == id }) {
			return nil, noSuchVPC(id)
		}
	}
	if len(in.VpcIds) > 0 {
		found = slices.DeleteFunc(found, func(v *model.VPC) bool { return !slices.Contains(in.VpcIds, v.ID) })
	}
	for _, f := range in.Filters {
		match, err := filter(model.Deref(f.Name))
		if err != nil {
			return nil, err
		}
		found = slices.DeleteFunc(found, func(v *model.VPC) bool {
			for _, have := range match(v) {
				if slices.ContainsFunc(f.Values, func(want string) bool { return policy.Glob(want, have) }) {
					return false
				}
			}
			return true
		})
	}
	slices.SortFunc(found, func(a, b *model.VPC) int { return strings.Compare(a.ID, b.ID) })
	page, next, err := awsapi.Page(ctx, found, revision, func(v *model.VPC) string { return v.ID })
	if err != nil {
		return nil, err
	}
	out := &wire.DescribeVpcsResponse{Vpcs: []wire.Vpc{}, NextToken: next}
	for _, v := range page {
		out.Vpcs = append(out.Vpcs, *show(v))
	}
	return out, nil
}

// filter gives what a filter looks at.
// Source: EC2 API Reference, DescribeVpcs.
func filter(name string) (func(*model.VPC) []string, error) {
	if key, ok := strings.CutPrefix(name, "tag:"); ok {
		return func(v *model.VPC) []string {
			if t, ok := v.Tags[key]; ok {
				return []string{t}
			}
			return nil
		}, nil
	}
	switch name {
	case "vpc-id":
		return func(v *model.VPC) []string { return []string{v.ID} }, nil
	case "owner-id":
		return func(v *model.VPC) []string { return []string{v.Account} }, nil
	case "state":
		return func(*model.VPC) []string { return []string{"available"} }, nil
	case "is-default", "isDefault":
		return func(v *model.VPC) []string { return []string{strconv.FormatBool(v.Default)} }, nil
	case "cidr", "cidr-block", "cidr-block-association.cidr-block":
		return func(v *model.VPC) []string {
			var out []string
			for _, c := range v.CIDRs {
				out = append(out, c.Prefix.String())
			}
			return out
		}, nil
	case "tag-key":
		return func(v *model.VPC) []string {
			var out []string
			for k := range v.Tags {
				out = append(out, k)
			}
			return out
		}, nil
	}
	return nil, badParameter("The filter '%s' is invalid", name)
}

// DeleteVpc implements ec2:DeleteVpc.
func (s *Service) DeleteVpc(ctx context.Context, in *wire.DeleteVpcRequest) (*wire.DeleteVpcResponse, error) {
	if err := dryRun(in.DryRun); err != nil {
		return nil, err
	}
	scope := s.scope(ctx)
	return nil, s.cfg.Update(ctx, func(tx *store.Tx) error {
		v, err := s.vpc(tx, scope, *in.VpcId)
		if err != nil {
			return err
		}
		if v.Default {
			return fault.New("OperationNotPermitted", "The default VPC '%s' holds loopback and cannot be deleted; another VPC with a longer prefix takes addresses from it", v.ID)
		}
		if err := unused(tx, scope, v.ID); err != nil {
			return err
		}
		for _, c := range v.CIDRs {
			if err := model.Unique.Delete(tx, claimKey(scope.Region, "cidr", c.Prefix.String())); err != nil {
				return err
			}
		}
		if gateway, err := gatewayAddress(v.Tags); err == nil && gateway.IsValid() {
			if err := model.Unique.Delete(tx, claimKey(scope.Region, "gateway", gateway.String())); err != nil {
				return err
			}
		}
		return model.VPCs.Delete(tx, scope.Key(v.ID))
	})
}

// unused refuses a VPC that something depends on.
func unused(tx *store.Tx, scope model.Scope, id string) error {
	holder, err := model.Unique.Get(tx, scope.Key("vpc", id))
	if err != nil {
		return err
	}
	if holder != nil {
		return fault.New("DependencyViolation", "The vpc '%s' has dependencies and cannot be deleted: its association %s with a service network", id, holder.ID)
	}
	groups, err := model.TargetGroups.List(tx, scope.Prefix())
	if err != nil {
		return err
	}
	for _, g := range groups {
		if g.Record.Config != nil && model.Deref(g.Record.Config.VpcIdentifier) == id {
			return fault.New("DependencyViolation", "The vpc '%s' has dependencies and cannot be deleted: target group %s", id, g.Record.ID)
		}
	}
	return nil
}
