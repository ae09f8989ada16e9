package lattice

import (
	"context"

	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/store"
	wire "github.com/latchwork/latchwork/internal/wire/vpclattice"
)

func (s *Service) network(tx *store.Tx, scope model.Scope, identifier string) (*model.ServiceNetwork, string, error) {
	return find(tx, model.ServiceNetworks, scope, typeNetwork, identifier)
}

func authTypeOr(p *string, otherwise string) string {
	if p == nil {
		return otherwise
	}
	return *p
}

// CreateServiceNetwork implements vpc-lattice:CreateServiceNetwork.
func (s *Service) CreateServiceNetwork(ctx context.Context, in *wire.CreateServiceNetworkRequest) (*wire.CreateServiceNetworkResponse, error) {
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	scope := s.scope(ctx)
	var n *model.ServiceNetwork
	err := s.cfg.Update(ctx, func(tx *store.Tx) error {
		id := model.NewID("sn")
		n = &model.ServiceNetwork{
			Meta:     s.meta(scope, id, "servicenetwork/"+id, *in.Name, in.Tags),
			AuthType: authTypeOr(in.AuthType, model.AuthNone), Sharing: in.SharingConfig,
		}
		if err := claim(tx, scope, "servicenetwork", n.Name, id, nameTaken(typeNetwork, n.Name)); err != nil {
			return err
		}
		return model.ServiceNetworks.Put(tx, scope.Key(id), n)
	})
	if err != nil {
		return nil, err
	}
	return &wire.CreateServiceNetworkResponse{
		Arn: &n.ARN, AuthType: &n.AuthType, Id: &n.ID, Name: &n.Name, SharingConfig: n.Sharing,
	}, nil
}

// associations counts what is associated with a service network.
func associations(tx *store.Tx, scope model.Scope, network string) (vpcs, services int64, err error) {
	vs, err := all(model.VPCAssociations, scope.Prefix(), func(a *model.VPCAssociation) bool { return a.Network == network })(tx)
	if err != nil {
		return 0, 0, err
	}
	ss, err := all(model.ServiceAssociations, scope.Prefix(), func(a *model.ServiceAssociation) bool { return a.Network == network })(tx)
	return int64(len(vs)), int64(len(ss)), err
}

// GetServiceNetwork implements vpc-lattice:GetServiceNetwork.
func (s *Service) GetServiceNetwork(ctx context.Context, in *wire.GetServiceNetworkRequest) (*wire.GetServiceNetworkResponse, error) {
	scope := s.scope(ctx)
	var out *wire.GetServiceNetworkResponse
	err := s.cfg.View(ctx, func(tx *store.Tx) error {
		n, _, err := s.network(tx, scope, *in.ServiceNetworkIdentifier)
		if err != nil {
			return err
		}
		vpcs, services, err := associations(tx, scope, n.ID)
		out = &wire.GetServiceNetworkResponse{
			Arn: &n.ARN, AuthType: &n.AuthType, CreatedAt: at(n.Created), Id: &n.ID, LastUpdatedAt: at(n.Updated),
			Name: &n.Name, NumberOfAssociatedServices: &services, NumberOfAssociatedVPCs: &vpcs, SharingConfig: n.Sharing,
		}
		return err
	})
	return out, err
}

// ListServiceNetworks implements vpc-lattice:ListServiceNetworks.
func (s *Service) ListServiceNetworks(ctx context.Context, _ *wire.ListServiceNetworksRequest) (*wire.ListServiceNetworksResponse, error) {
	scope := s.scope(ctx)
	vpcs, services := map[string]int64{}, map[string]int64{}
	read := func(tx *store.Tx) ([]*model.ServiceNetwork, error) {
		vs, err := all(model.VPCAssociations, scope.Prefix(), nil)(tx)
		if err != nil {
			return nil, err
		}
		for _, a := range vs {
			vpcs[a.Network]++
		}
		ss, err := all(model.ServiceAssociations, scope.Prefix(), nil)(tx)
		if err != nil {
			return nil, err
		}
		for _, a := range ss {
			services[a.Network]++
		}
		return all(model.ServiceNetworks, scope.Prefix(), nil)(tx)
	}
	items, next, err := list(ctx, s, read,
		func(n *model.ServiceNetwork) *model.Meta { return &n.Meta },
		func(n *model.ServiceNetwork) wire.ServiceNetworkSummary {
			return wire.ServiceNetworkSummary{
				Arn: &n.ARN, CreatedAt: at(n.Created), Id: &n.ID, LastUpdatedAt: at(n.Updated), Name: &n.Name,
				NumberOfAssociatedServices: new(services[n.ID]), NumberOfAssociatedVPCs: new(vpcs[n.ID]),
				NumberOfAssociatedResourceConfigurations: new(int64(0)),
			}
		})
	if err != nil {
		return nil, err
	}
	return &wire.ListServiceNetworksResponse{Items: items, NextToken: next}, nil
}

// UpdateServiceNetwork implements vpc-lattice:UpdateServiceNetwork.
func (s *Service) UpdateServiceNetwork(ctx context.Context, in *wire.UpdateServiceNetworkRequest) (*wire.UpdateServiceNetworkResponse, error) {
	scope := s.scope(ctx)
	var n *model.ServiceNetwork
	err := s.cfg.Update(ctx, func(tx *store.Tx) error {
		var key string
		var err error
		if n, key, err = s.network(tx, scope, *in.ServiceNetworkIdentifier); err != nil {
			return err
		}
		n.AuthType, n.Updated = *in.AuthType, s.cfg.Clock()
		return model.ServiceNetworks.Put(tx, key, n)
	})
	if err != nil {
		return nil, err
	}
	return &wire.UpdateServiceNetworkResponse{Arn: &n.ARN, AuthType: &n.AuthType, Id: &n.ID, Name: &n.Name}, nil
}

// DeleteServiceNetwork implements vpc-lattice:DeleteServiceNetwork. Its
// policies go with it.
func (s *Service) DeleteServiceNetwork(ctx context.Context, in *wire.DeleteServiceNetworkRequest) (*wire.DeleteServiceNetworkResponse, error) {
	scope := s.scope(ctx)
	return nil, s.cfg.Update(ctx, func(tx *store.Tx) error {
		n, key, err := s.network(tx, scope, *in.ServiceNetworkIdentifier)
		if err != nil {
			return err
		}
		vpcs, services, err := associations(tx, scope, n.ID)
		switch {
		case err != nil:
			return err
		case vpcs > 0:
			return conflict(typeNetwork, n.ID, "ServiceNetwork %s has VPC(s) associated", n.ID)
		case services > 0:
			return conflict(typeNetwork, n.ID, "ServiceNetwork %s has service(s) associated", n.ID)
		}
		if err := model.AuthPolicies.Delete(tx, key); err != nil {
			return err
		}
		if err := model.ResourcePolicies.Delete(tx, key); err != nil {
			return err
		}
		if err := release(tx, scope, "servicenetwork", n.Name); err != nil {
			return err
		}
		return model.ServiceNetworks.Delete(tx, key)
	})
}
