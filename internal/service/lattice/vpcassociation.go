package lattice

import (
	"context"

	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/store"
	wire "github.com/latchwork/latchwork/internal/wire/vpclattice"
)

// CreateServiceNetworkVpcAssociation implements
// vpc-lattice:CreateServiceNetworkVpcAssociation. Security groups are stored and
// answered; they enforce nothing.
func (s *Service) CreateServiceNetworkVpcAssociation(ctx context.Context, in *wire.CreateServiceNetworkVpcAssociationRequest) (*wire.CreateServiceNetworkVpcAssociationResponse, error) {
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	scope := s.scope(ctx)
	var a *model.VPCAssociation
	err := s.cfg.Update(ctx, func(tx *store.Tx) error {
		n, _, err := s.network(tx, scope, *in.ServiceNetworkIdentifier)
		if err != nil {
			return err
		}
		if err := s.vpcExists(tx, scope, *in.VpcIdentifier); err != nil {
			return err
		}
		id := model.NewID("snva")
		a = &model.VPCAssociation{
			Meta:    s.meta(scope, id, "servicenetworkvpcassociation/"+id, "", in.Tags),
			Network: n.ID, NetworkARN: n.ARN, VPC: *in.VpcIdentifier, SecurityGroups: in.SecurityGroupIds,
			PrivateDNSEnabled: in.PrivateDnsEnabled, DNSOptions: in.DnsOptions,
		}
		if err := claim(tx, scope, "vpc", a.VPC, id, func(holder string) error {
			return conflict(typeVPCAssociation, holder, "VPC has already been associated to a service network.")
		}); err != nil {
			return err
		}
		return model.VPCAssociations.Put(tx, scope.Key(id), a)
	})
	if err != nil {
		return nil, err
	}
	return &wire.CreateServiceNetworkVpcAssociationResponse{
		Arn: &a.ARN, CreatedBy: &a.Account, DnsOptions: a.DNSOptions, Id: &a.ID, PrivateDnsEnabled: a.PrivateDNSEnabled,
		SecurityGroupIds: a.SecurityGroups, Status: new(statusActive),
	}, nil
}

// entered is a VPC association with its service network.
type entered struct {
	*model.VPCAssociation
	network *model.ServiceNetwork
}

// GetServiceNetworkVpcAssociation implements
// vpc-lattice:GetServiceNetworkVpcAssociation.
func (s *Service) GetServiceNetworkVpcAssociation(ctx context.Context, in *wire.GetServiceNetworkVpcAssociationRequest) (*wire.GetServiceNetworkVpcAssociationResponse, error) {
	scope := s.scope(ctx)
	var out *wire.GetServiceNetworkVpcAssociationResponse
	err := s.cfg.View(ctx, func(tx *store.Tx) error {
		a, _, err := find(tx, model.VPCAssociations, scope, typeVPCAssociation, *in.ServiceNetworkVpcAssociationIdentifier)
		if err != nil {
			return err
		}
		n, _, err := s.network(tx, scope, a.Network)
		if err != nil {
			return err
		}
		out = &wire.GetServiceNetworkVpcAssociationResponse{
			Arn: &a.ARN, CreatedAt: at(a.Created), CreatedBy: &a.Account, DnsOptions: a.DNSOptions, Id: &a.ID,
			LastUpdatedAt: at(a.Updated), PrivateDnsEnabled: a.PrivateDNSEnabled, SecurityGroupIds: a.SecurityGroups,
			ServiceNetworkArn: &n.ARN, ServiceNetworkId: &n.ID, ServiceNetworkName: &n.Name, Status: new(statusActive),
			VpcId: &a.VPC,
		}
		return nil
	})
	return out, err
}

// ListServiceNetworkVpcAssociations implements
// vpc-lattice:ListServiceNetworkVpcAssociations. Without a filter it lists all:
// clients that sweep an account rely on it.
func (s *Service) ListServiceNetworkVpcAssociations(ctx context.Context, in *wire.ListServiceNetworkVpcAssociationsRequest) (*wire.ListServiceNetworkVpcAssociationsResponse, error) {
	scope := s.scope(ctx)
	read := func(tx *store.Tx) ([]*entered, error) {
		found, err := all(model.VPCAssociations, scope.Prefix(), func(a *model.VPCAssociation) bool {
			return names(scope, typeNetwork, in.ServiceNetworkIdentifier, a.Network) && (in.VpcIdentifier == nil || a.VPC == *in.VpcIdentifier)
		})(tx)
		if err != nil {
			return nil, err
		}
		out := make([]*entered, len(found))
		for i, a := range found {
			n, _, err := s.network(tx, scope, a.Network)
			if err != nil {
				return nil, err
			}
			out[i] = &entered{a, n}
		}
		return out, nil
	}
	items, next, err := list(ctx, s, read, func(e *entered) *model.Meta { return &e.Meta },
		func(e *entered) wire.ServiceNetworkVpcAssociationSummary {
			return wire.ServiceNetworkVpcAssociationSummary{
				Arn: &e.ARN, CreatedAt: at(e.Created), CreatedBy: &e.Account, DnsOptions: e.DNSOptions, Id: &e.ID,
				LastUpdatedAt: at(e.Updated), PrivateDnsEnabled: e.PrivateDNSEnabled, ServiceNetworkArn: &e.network.ARN,
				ServiceNetworkId: &e.network.ID, ServiceNetworkName: &e.network.Name, Status: new(statusActive), VpcId: &e.VPC,
			}
		})
	if err != nil {
		return nil, err
	}
	return &wire.ListServiceNetworkVpcAssociationsResponse{Items: items, NextToken: next}, nil
}

// UpdateServiceNetworkVpcAssociation implements
// vpc-lattice:UpdateServiceNetworkVpcAssociation: of the security groups only.
func (s *Service) UpdateServiceNetworkVpcAssociation(ctx context.Context, in *wire.UpdateServiceNetworkVpcAssociationRequest) (*wire.UpdateServiceNetworkVpcAssociationResponse, error) {
	scope := s.scope(ctx)
	var a *model.VPCAssociation
	err := s.cfg.Update(ctx, func(tx *store.Tx) error {
		var key string
		var err error
		if a, key, err = find(tx, model.VPCAssociations, scope, typeVPCAssociation, *in.ServiceNetworkVpcAssociationIdentifier); err != nil {
			return err
		}
		a.SecurityGroups, a.Updated = in.SecurityGroupIds, s.cfg.Clock()
		return model.VPCAssociations.Put(tx, key, a)
	})
	if err != nil {
		return nil, err
	}
	return &wire.UpdateServiceNetworkVpcAssociationResponse{
		Arn: &a.ARN, CreatedBy: &a.Account, Id: &a.ID, SecurityGroupIds: a.SecurityGroups, Status: new(statusActive),
	}, nil
}

// DeleteServiceNetworkVpcAssociation implements
// vpc-lattice:DeleteServiceNetworkVpcAssociation.
func (s *Service) DeleteServiceNetworkVpcAssociation(ctx context.Context, in *wire.DeleteServiceNetworkVpcAssociationRequest) (*wire.DeleteServiceNetworkVpcAssociationResponse, error) {
	scope := s.scope(ctx)
	var a *model.VPCAssociation
	err := s.cfg.Update(ctx, func(tx *store.Tx) error {
		var key string
		var err error
		if a, key, err = find(tx, model.VPCAssociations, scope, typeVPCAssociation, *in.ServiceNetworkVpcAssociationIdentifier); err != nil {
			return err
		}
		if err := release(tx, scope, "vpc", a.VPC); err != nil {
			return err
		}
		return model.VPCAssociations.Delete(tx, key)
	})
	if err != nil {
		return nil, err
	}
	return &wire.DeleteServiceNetworkVpcAssociationResponse{Arn: &a.ARN, Id: &a.ID, Status: new(statusDeleting)}, nil
}
