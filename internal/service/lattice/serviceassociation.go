package lattice

import (
	"context"

	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/store"
	wire "github.com/latchwork/latchwork/internal/wire/vpclattice"
)

// CreateServiceNetworkServiceAssociation implements
// vpc-lattice:CreateServiceNetworkServiceAssociation.
func (s *Service) CreateServiceNetworkServiceAssociation(ctx context.Context, in *wire.CreateServiceNetworkServiceAssociationRequest) (*wire.CreateServiceNetworkServiceAssociationResponse, error) {
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	scope := s.scope(ctx)
	var a *model.ServiceAssociation
	var v *model.Service
	err := s.cfg.Update(ctx, func(tx *store.Tx) error {
		n, _, err := s.network(tx, scope, *in.ServiceNetworkIdentifier)
		if err != nil {
			return err
		}
		if v, _, err = s.service(tx, scope, *in.ServiceIdentifier); err != nil {
			return err
		}
		id := model.NewID("snsa")
		a = &model.ServiceAssociation{
			Meta:    s.meta(scope, id, "servicenetworkserviceassociation/"+id, "", in.Tags),
			Network: n.ID, NetworkARN: n.ARN, Service: v.ID, ServiceARN: v.ARN,
		}
		if err := claim(tx, scope, "snsa/"+n.ID, v.ID, id, func(holder string) error {
			return conflict(typeServiceAssociation, holder, "Association already exists.")
		}); err != nil {
			return err
		}
		if err := claimDomain(tx, scope, n.ID, v); err != nil {
			return err
		}
		return model.ServiceAssociations.Put(tx, scope.Key(id), a)
	})
	if err != nil {
		return nil, err
	}
	return &wire.CreateServiceNetworkServiceAssociationResponse{
		Arn: &a.ARN, CreatedBy: &a.Account, CustomDomainName: model.Present(v.CustomDomain), DnsEntry: dnsEntry(v), Id: &a.ID,
		Status: new(statusActive),
	}, nil
}

// joined is an association with what it joins.
type joined struct {
	*model.ServiceAssociation
	service *model.Service
	network *model.ServiceNetwork
}

func (s *Service) join(tx *store.Tx, scope model.Scope, a *model.ServiceAssociation) (*joined, error) {
	v, _, err := s.service(tx, scope, a.Service)
	if err != nil {
		return nil, err
	}
	n, _, err := s.network(tx, scope, a.Network)
	return &joined{a, v, n}, err
}

// GetServiceNetworkServiceAssociation implements
// vpc-lattice:GetServiceNetworkServiceAssociation.
func (s *Service) GetServiceNetworkServiceAssociation(ctx context.Context, in *wire.GetServiceNetworkServiceAssociationRequest) (*wire.GetServiceNetworkServiceAssociationResponse, error) {
	scope := s.scope(ctx)
	var out *wire.GetServiceNetworkServiceAssociationResponse
	err := s.cfg.View(ctx, func(tx *store.Tx) error {
		a, _, err := find(tx, model.ServiceAssociations, scope, typeServiceAssociation, *in.ServiceNetworkServiceAssociationIdentifier)
		if err != nil {
			return err
		}
		j, err := s.join(tx, scope, a)
		if err != nil {
			return err
		}
		out = &wire.GetServiceNetworkServiceAssociationResponse{
			Arn: &a.ARN, CreatedAt: at(a.Created), CreatedBy: &a.Account, CustomDomainName: model.Present(j.service.CustomDomain),
			DnsEntry: dnsEntry(j.service), Id: &a.ID, ServiceArn: &j.service.ARN, ServiceId: &j.service.ID,
			ServiceName: &j.service.Name, ServiceNetworkArn: &j.network.ARN, ServiceNetworkId: &j.network.ID,
			ServiceNetworkName: &j.network.Name, Status: new(statusActive),
		}
		return nil
	})
	return out, err
}

// ListServiceNetworkServiceAssociations implements
// vpc-lattice:ListServiceNetworkServiceAssociations.
func (s *Service) ListServiceNetworkServiceAssociations(ctx context.Context, in *wire.ListServiceNetworkServiceAssociationsRequest) (*wire.ListServiceNetworkServiceAssociationsResponse, error) {
	if in.ServiceIdentifier == nil && in.ServiceNetworkIdentifier == nil {
		return nil, invalid("serviceNetworkIdentifier", "serviceNetworkIdentifier or serviceIdentifier is required")
	}
	scope := s.scope(ctx)
	read := func(tx *store.Tx) ([]*joined, error) {
		found, err := all(model.ServiceAssociations, scope.Prefix(), func(a *model.ServiceAssociation) bool {
			return names(scope, typeService, in.ServiceIdentifier, a.Service) && names(scope, typeNetwork, in.ServiceNetworkIdentifier, a.Network)
		})(tx)
		if err != nil {
			return nil, err
		}
		out := make([]*joined, len(found))
		for i, a := range found {
			if out[i], err = s.join(tx, scope, a); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	items, next, err := list(ctx, s, read, func(j *joined) *model.Meta { return &j.Meta },
		func(j *joined) wire.ServiceNetworkServiceAssociationSummary {
			return wire.ServiceNetworkServiceAssociationSummary{
				Arn: &j.ARN, CreatedAt: at(j.Created), CreatedBy: &j.Account, CustomDomainName: model.Present(j.service.CustomDomain),
				DnsEntry: dnsEntry(j.service), Id: &j.ID, ServiceArn: &j.service.ARN, ServiceId: &j.service.ID,
				ServiceName: &j.service.Name, ServiceNetworkArn: &j.network.ARN, ServiceNetworkId: &j.network.ID,
				ServiceNetworkName: &j.network.Name, Status: new(statusActive),
			}
		})
	if err != nil {
		return nil, err
	}
	return &wire.ListServiceNetworkServiceAssociationsResponse{Items: items, NextToken: next}, nil
}

// names tells whether an identifier, if there is one, names id.
func names(scope model.Scope, kind string, identifier *string, id string) bool {
	if identifier == nil {
		return true
	}
	named, err := identify(scope, kind, *identifier)
	return err == nil && named == id
}

// DeleteServiceNetworkServiceAssociation implements
// vpc-lattice:DeleteServiceNetworkServiceAssociation.
func (s *Service) DeleteServiceNetworkServiceAssociation(ctx context.Context, in *wire.DeleteServiceNetworkServiceAssociationRequest) (*wire.DeleteServiceNetworkServiceAssociationResponse, error) {
	scope := s.scope(ctx)
	var a *model.ServiceAssociation
	err := s.cfg.Update(ctx, func(tx *store.Tx) error {
		var key string
		var err error
		if a, key, err = find(tx, model.ServiceAssociations, scope, typeServiceAssociation, *in.ServiceNetworkServiceAssociationIdentifier); err != nil {
			return err
		}
		v, _, err := s.service(tx, scope, a.Service)
		if err != nil {
			return err
		}
		if err := releaseDomain(tx, scope, a.Network, v); err != nil {
			return err
		}
		if err := release(tx, scope, "snsa/"+a.Network, a.Service); err != nil {
			return err
		}
		return model.ServiceAssociations.Delete(tx, key)
	})
	if err != nil {
		return nil, err
	}
	return &wire.DeleteServiceNetworkServiceAssociationResponse{Arn: &a.ARN, Id: &a.ID, Status: new(statusDeleting)}, nil
}
