package lattice

import (
	"context"
	"strings"

	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/store"
	wire "github.com/latchwork/latchwork/internal/wire/vpclattice"
)

func (s *Service) service(tx *store.Tx, scope model.Scope, identifier string) (*model.Service, string, error) {
	return find(tx, model.Services, scope, typeService, identifier)
}

func dnsEntry(v *model.Service) *wire.DnsEntry {
	return &wire.DnsEntry{DomainName: &v.Domain, HostedZoneId: new(model.HostedZone)}
}

// CreateService implements vpc-lattice:CreateService. The service works when the
// call is answered; the answer says CREATE_IN_PROGRESS as AWS's does.
func (s *Service) CreateService(ctx context.Context, in *wire.CreateServiceRequest) (*wire.CreateServiceResponse, error) {
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	scope := s.scope(ctx)
	var v *model.Service
	err := s.cfg.Update(ctx, func(tx *store.Tx) error {
		id := model.NewID("svc")
		v = &model.Service{
			Meta:     s.meta(scope, id, "service/"+id, *in.Name, in.Tags),
			AuthType: authTypeOr(in.AuthType, model.AuthNone), CustomDomain: model.Deref(in.CustomDomainName),
			Certificate: model.Deref(in.CertificateArn), Domain: model.ServiceDomain(*in.Name, id, scope.Region),
		}
		if err := checkDomain(v.CustomDomain); err != nil {
			return err
		}
		if err := claim(tx, scope, "service", v.Name, id, nameTaken(typeService, v.Name)); err != nil {
			return err
		}
		return model.Services.Put(tx, scope.Key(id), v)
	})
	if err != nil {
		return nil, err
	}
	return &wire.CreateServiceResponse{
		Arn: &v.ARN, AuthType: &v.AuthType, CertificateArn: model.Present(v.Certificate), CustomDomainName: model.Present(v.CustomDomain),
		DnsEntry: dnsEntry(v), Id: &v.ID, Name: &v.Name, Status: new(statusCreating),
	}, nil
}

// checkDomain refuses a custom domain name that no Host header can hold, or that
// would take another service's generated name.
func checkDomain(domain string) error {
	if domain == "" {
		return nil
	}
	if strings.HasPrefix(domain, "*.") {
		return invalid("customDomainName", "customDomainName %q has a wildcard: name one domain", domain)
	}
	for _, label := range strings.Split(domain, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' ||
			strings.Trim(label, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "" {
			return invalid("customDomainName", "customDomainName %q is not a domain name such as rates.example.com", domain)
		}
	}
	if strings.HasSuffix(strings.ToLower(domain), "."+model.DomainSuffix) {
		return invalid("customDomainName", "customDomainName %q ends in %s, which generated names do", domain, model.DomainSuffix)
	}
	return nil
}

// claimDomain takes a service's custom domain name, if it has one, for a service
// network: a request there names one service. Case does not count in names of hosts.
func claimDomain(tx *store.Tx, scope model.Scope, network string, v *model.Service) error {
	if v.CustomDomain == "" {
		return nil
	}
	return claim(tx, scope, "domain/"+network, strings.ToLower(v.CustomDomain), v.ID, func(holder string) error {
		return conflict(typeService, holder, "Service %s of service network %s has the custom domain name %s already", holder, network, v.CustomDomain)
	})
}

func releaseDomain(tx *store.Tx, scope model.Scope, network string, v *model.Service) error {
	if v.CustomDomain == "" {
		return nil
	}
	return release(tx, scope, "domain/"+network, strings.ToLower(v.CustomDomain))
}

// GetService implements vpc-lattice:GetService.
func (s *Service) GetService(ctx context.Context, in *wire.GetServiceRequest) (*wire.GetServiceResponse, error) {
	scope := s.scope(ctx)
	var out *wire.GetServiceResponse
	err := s.cfg.View(ctx, func(tx *store.Tx) error {
		v, _, err := s.service(tx, scope, *in.ServiceIdentifier)
		if err != nil {
			return err
		}
		out = &wire.GetServiceResponse{
			Arn: &v.ARN, AuthType: &v.AuthType, CertificateArn: model.Present(v.Certificate), CreatedAt: at(v.Created),
			CustomDomainName: model.Present(v.CustomDomain), DnsEntry: dnsEntry(v), Id: &v.ID, LastUpdatedAt: at(v.Updated),
			Name: &v.Name, Status: new(statusActive),
		}
		return nil
	})
	return out, err
}

// ListServices implements vpc-lattice:ListServices.
func (s *Service) ListServices(ctx context.Context, _ *wire.ListServicesRequest) (*wire.ListServicesResponse, error) {
	items, next, err := list(ctx, s, all(model.Services, s.scope(ctx).Prefix(), nil),
		func(v *model.Service) *model.Meta { return &v.Meta },
		func(v *model.Service) wire.ServiceSummary {
			return wire.ServiceSummary{
				Arn: &v.ARN, CreatedAt: at(v.Created), CustomDomainName: model.Present(v.CustomDomain), DnsEntry: dnsEntry(v),
				Id: &v.ID, LastUpdatedAt: at(v.Updated), Name: &v.Name, Status: new(statusActive),
			}
		})
	if err != nil {
		return nil, err
	}
	return &wire.ListServicesResponse{Items: items, NextToken: next}, nil
}

// UpdateService implements vpc-lattice:UpdateService. Members that are not sent
// keep their value.
func (s *Service) UpdateService(ctx context.Context, in *wire.UpdateServiceRequest) (*wire.UpdateServiceResponse, error) {
	scope := s.scope(ctx)
	var v *model.Service
	err := s.cfg.Update(ctx, func(tx *store.Tx) error {
		var key string
		var err error
		if v, key, err = s.service(tx, scope, *in.ServiceIdentifier); err != nil {
			return err
		}
		v.AuthType = authTypeOr(in.AuthType, v.AuthType)
		if in.CertificateArn != nil {
			v.Certificate = *in.CertificateArn
		}
		v.Updated = s.cfg.Clock()
		return model.Services.Put(tx, key, v)
	})
	if err != nil {
		return nil, err
	}
	return &wire.UpdateServiceResponse{
		Arn: &v.ARN, AuthType: &v.AuthType, CertificateArn: model.Present(v.Certificate), CustomDomainName: model.Present(v.CustomDomain),
		Id: &v.ID, Name: &v.Name,
	}, nil
}

// DeleteService implements vpc-lattice:DeleteService. Listeners, rules and
// policies go with it.
func (s *Service) DeleteService(ctx context.Context, in *wire.DeleteServiceRequest) (*wire.DeleteServiceResponse, error) {
	scope := s.scope(ctx)
	var v *model.Service
	err := s.cfg.Update(ctx, func(tx *store.Tx) error {
		var key string
		var err error
		if v, key, err = s.service(tx, scope, *in.ServiceIdentifier); err != nil {
			return err
		}
		joined, err := all(model.ServiceAssociations, scope.Prefix(), func(a *model.ServiceAssociation) bool { return a.Service == v.ID })(tx)
		if err != nil {
			return err
		}
		if len(joined) > 0 {
			return conflict(typeService, v.ID, "Service %s has one or more associated service networks.", v.ID)
		}
		listeners, err := model.Listeners.List(tx, scope.Prefix(v.ID))
		if err != nil {
			return err
		}
		for _, l := range listeners {
			if err := deleteListener(tx, scope, l.Record); err != nil {
				return err
			}
		}
		if err := model.AuthPolicies.Delete(tx, key); err != nil {
			return err
		}
		if err := model.ResourcePolicies.Delete(tx, key); err != nil {
			return err
		}
		if err := release(tx, scope, "service", v.Name); err != nil {
			return err
		}
		return model.Services.Delete(tx, key)
	})
	if err != nil {
		return nil, err
	}
	return &wire.DeleteServiceResponse{Arn: &v.ARN, Id: &v.ID, Name: &v.Name, Status: new(statusDeleting)}, nil
}
