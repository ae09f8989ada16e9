package cloudmap

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/latchwork/latchwork/internal/fault"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/store"
	wirebase "github.com/latchwork/latchwork/internal/wire"
	wire "github.com/latchwork/latchwork/internal/wire/servicediscovery"
)

// CreateService implements servicediscovery:CreateService.
func (s *Service) CreateService(ctx context.Context, in *wire.CreateServiceRequest) (*wire.CreateServiceResponse, error) {
	tags, err := newTags(in.Tags)
	if err != nil {
		return nil, err
	}
	scope := s.scope(ctx)
	within, err := namespaceOf(scope, in)
	if err != nil {
		return nil, err
	}
	if in.HealthCheckConfig != nil {
		return nil, noHealthChecks()
	}
	if in.Type != nil && in.DnsConfig != nil {
		return nil, invalid("DnsConfig", "a service of type HTTP has no DnsConfig")
	}
	dns, err := newDNS(in.DnsConfig)
	if err != nil {
		return nil, err
	}
	v := &model.CloudMapService{
		Meta: s.meta(scope, servicePath, servicePrefix, *in.Name, tags), Description: model.Deref(in.Description),
		CreatorRequestID: model.Deref(in.CreatorRequestId), DNSConfig: dns, CustomHealth: in.HealthCheckCustomConfig != nil,
	}
	err = s.cfg.Update(ctx, func(tx *store.Tx) error {
		n, err := namespace(tx, scope, within)
		if err != nil {
			return err
		}
		if dns != nil && n.Type == wire.NamespaceTypeHttp {
			return invalid("DnsConfig", "the namespace %s is an HTTP namespace: its services have no DnsConfig", n.Name)
		}
		v.Namespace, v.NamespaceName = n.ID, n.Name
		siblings, err := servicesIn(tx, scope, n.ID)
		if err != nil {
			return err
		}
		for _, have := range siblings {
			if have.Name == v.Name && repeated(have.CreatorRequestID, v.CreatorRequestID) {
				v = have
				return nil
			}
			if sameName(have, v) {
				e := fault.New("ServiceAlreadyExists", "Service already exists: %s", have.Name)
				e.Members = map[string]string{"ServiceId": have.ID, "ServiceArn": have.ARN, "CreatorRequestId": have.CreatorRequestID}
				return e
			}
		}
		return model.CloudMapServices.Put(tx, scope.Key(v.ID), v)
	})
	if err != nil {
		return nil, err
	}
	return &wire.CreateServiceResponse{Service: shown(v)}, nil
}

// namespaceOf is the namespace that a new service names, in one place or the other.
func namespaceOf(scope model.Scope, in *wire.CreateServiceRequest) (string, error) {
	id, old := model.Deref(in.NamespaceId), ""
	if in.DnsConfig != nil {
		old = model.Deref(in.DnsConfig.NamespaceId)
	}
	switch {
	case id == "" && old == "":
		return "", invalid("NamespaceId", "NamespaceId is required")
	case id != "" && old != "" && arnOf(scope, namespacePath, id) != arnOf(scope, namespacePath, old):
		return "", invalid("NamespaceId", "NamespaceId and DnsConfig.NamespaceId name different namespaces")
	case id == "":
		return old, nil
	}
	return id, nil
}

// sameName tells whether two services of a namespace cannot be told apart. Names in
// DNS ignore case.
// Source: Cloud Map API Reference, CreateService, "Name".
func sameName(a, b *model.CloudMapService) bool {
	return a.Name == b.Name || a.DNSConfig != nil && b.DNSConfig != nil && strings.EqualFold(a.Name, b.Name)
}

func noHealthChecks() error {
	return invalid("HealthCheckConfig", "Route 53 health checks are not built: use HealthCheckCustomConfig and report the health of instances with UpdateInstanceCustomHealthStatus")
}

// newDNS checks the DNS records of a service.
// Source: Cloud Map API Reference, CreateService, DnsConfig and DnsRecord.
func newDNS(c *wire.DnsConfig) (*wire.DnsConfig, error) {
	if c == nil {
		return nil, nil
	}
	policy := model.Deref(c.RoutingPolicy)
	if policy == "" {
		policy = wire.RoutingPolicyMultivalue
	}
	types, err := recordTypes(c.DnsRecords)
	switch {
	case err != nil:
		return nil, err
	case !slices.Contains([]string{"A", "AAAA", "A,AAAA", "CNAME", "SRV"}, strings.Join(types, ",")):
		return nil, invalid("DnsConfig.DnsRecords", "the types of DnsRecords are A, AAAA, A and AAAA, SRV or CNAME, not %q", strings.Join(types, ", "))
	case types[0] == wire.RecordTypeCname && policy != wire.RoutingPolicyWeighted:
		return nil, invalid("DnsConfig.RoutingPolicy", "RoutingPolicy must be WEIGHTED for a CNAME record")
	}
	return &wire.DnsConfig{DnsRecords: c.DnsRecords, RoutingPolicy: &policy}, nil
}

// recordTypes are the types of records, in order.
func recordTypes(records []wire.DnsRecord) ([]string, error) {
	var types []string
	for _, r := range records {
		if slices.Contains(types, *r.Type) {
			return nil, invalid("DnsConfig.DnsRecords", "the type %s is there twice", *r.Type)
		}
		types = append(types, *r.Type)
	}
	slices.Sort(types)
	return types, nil
}

// serviceType says how the instances of a service are discovered.
func serviceType(v *model.CloudMapService) string {
	if v.DNSConfig == nil {
		return wire.ServiceTypeHttp
	}
	return wire.ServiceTypeDnsHttp
}

// customHealth is the answered configuration of health that is reported; its only
// member is always 1.
// Source: Cloud Map API Reference, HealthCheckCustomConfig.
func customHealth(v *model.CloudMapService) *wire.HealthCheckCustomConfig {
	if !v.CustomHealth {
		return nil
	}
	return &wire.HealthCheckCustomConfig{FailureThreshold: new(int64(1))}
}

func shown(v *model.CloudMapService) *wire.Service {
	dns := v.DNSConfig
	if dns != nil {
		dns = &wire.DnsConfig{NamespaceId: &v.Namespace, DnsRecords: dns.DnsRecords, RoutingPolicy: dns.RoutingPolicy}
	}
	return &wire.Service{
		Arn: &v.ARN, Id: &v.ID, Name: &v.Name, NamespaceId: &v.Namespace, Description: model.Present(v.Description), DnsConfig: dns,
		Type: new(serviceType(v)), HealthCheckCustomConfig: customHealth(v), CreatorRequestId: model.Present(v.CreatorRequestID),
		CreateDate: wirebase.Epoch(v.Created), InstanceCount: &v.Instances, ResourceOwner: &v.Account, CreatedByAccount: &v.Account,
	}
}

// GetService implements servicediscovery:GetService.
func (s *Service) GetService(ctx context.Context, in *wire.GetServiceRequest) (*wire.GetServiceResponse, error) {
	var v *model.CloudMapService
	err := s.cfg.View(ctx, func(tx *store.Tx) (err error) {
		v, err = service(tx, s.scope(ctx), *in.Id)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &wire.GetServiceResponse{Service: shown(v)}, nil
}

// ListServices implements servicediscovery:ListServices.
func (s *Service) ListServices(ctx context.Context, in *wire.ListServicesRequest) (*wire.ListServicesResponse, error) {
	scope := s.scope(ctx)
	var tests []func(*model.CloudMapService) bool
	for _, f := range in.Filters {
		test, err := serviceFilter(scope, f)
		if err != nil {
			return nil, err
		}
		tests = append(tests, test)
	}
	services, next, err := list(ctx, s, func(tx *store.Tx) ([]*model.CloudMapService, error) {
		return all(tx, model.CloudMapServices, scope, func(v *model.CloudMapService) bool { return every(tests, v) })
	}, func(v *model.CloudMapService) (time.Time, string) { return v.Created, v.ID },
		func(v *model.CloudMapService) wire.ServiceSummary {
			return wire.ServiceSummary{
				Arn: &v.ARN, Id: &v.ID, Name: &v.Name, Description: model.Present(v.Description), DnsConfig: v.DNSConfig,
				Type: new(serviceType(v)), HealthCheckCustomConfig: customHealth(v), CreateDate: wirebase.Epoch(v.Created),
				InstanceCount: &v.Instances, ResourceOwner: &v.Account, CreatedByAccount: &v.Account,
			}
		})
	if err != nil {
		return nil, err
	}
	return &wire.ListServicesResponse{Services: services, NextToken: next}, nil
}

// serviceFilter is the test that a filter stands for.
// Source: Cloud Map API Reference, ServiceFilter.
func serviceFilter(scope model.Scope, f wire.ServiceFilter) (func(*model.CloudMapService) bool, error) {
	if err := checkFilter(*f.Name, f.Condition, f.Values, wire.FilterConditionEq); err != nil {
		return nil, err
	}
	if *f.Name == wire.ServiceFilterNameResourceOwner {
		self, err := ownerIs(f.Values)
		return func(*model.CloudMapService) bool { return self }, err
	}
	arn := arnOf(scope, namespacePath, f.Values[0])
	return func(v *model.CloudMapService) bool { return arnOf(scope, namespacePath, v.Namespace) == arn }, nil
}

// UpdateService implements servicediscovery:UpdateService. Records that are left out
// are removed; those that stay keep their type.
// Source: Cloud Map API Reference, UpdateService.
func (s *Service) UpdateService(ctx context.Context, in *wire.UpdateServiceRequest) (*wire.UpdateServiceResponse, error) {
	change := in.Service
	if change.HealthCheckConfig != nil {
		return nil, noHealthChecks()
	}
	var id *string
	scope := s.scope(ctx)
	err := s.cfg.Update(ctx, func(tx *store.Tx) error {
		v, err := service(tx, scope, *in.Id)
		if err != nil {
			return err
		}
		n, err := namespace(tx, scope, v.Namespace)
		if err != nil {
			return err
		}
		if n.Type == wire.NamespaceTypeHttp {
			return invalid("Id", "the service %s is in an HTTP namespace: it cannot be updated", v.Name)
		}
		if change.Description != nil {
			v.Description = *change.Description
		}
		if v.DNSConfig, err = changedDNS(v.DNSConfig, change.DnsConfig); err != nil {
			return err
		}
		v.Updated = s.cfg.Clock()
		if err := model.CloudMapServices.Put(tx, scope.Key(v.ID), v); err != nil {
			return err
		}
		id, err = s.done(tx, scope, wire.OperationTypeUpdateService, v.Namespace, map[string]string{wire.OperationTargetTypeService: v.ID})
		return err
	})
	if err != nil {
		return nil, err
	}
	return &wire.UpdateServiceResponse{OperationId: id}, nil
}

// changedDNS are the records of a service after an update.
func changedDNS(have *wire.DnsConfig, change *wire.DnsConfigChange) (*wire.DnsConfig, error) {
	if change == nil || len(change.DnsRecords) == 0 {
		return nil, nil
	}
	var old []string
	after := &wire.DnsConfig{DnsRecords: change.DnsRecords}
	if have != nil {
		old, _ = recordTypes(have.DnsRecords)
		after.RoutingPolicy = have.RoutingPolicy
	}
	types, err := recordTypes(change.DnsRecords)
	if err != nil {
		return nil, err
	}
	for _, t := range types {
		if !slices.Contains(old, t) {
			return nil, invalid("Service.DnsConfig", "the service has no record of type %s: types cannot be changed or added", t)
		}
	}
	return after, nil
}

// DeleteService implements servicediscovery:DeleteService.
func (s *Service) DeleteService(ctx context.Context, in *wire.DeleteServiceRequest) (*wire.DeleteServiceResponse, error) {
	scope := s.scope(ctx)
	return nil, s.cfg.Update(ctx, func(tx *store.Tx) error {
		v, err := service(tx, scope, *in.Id)
		if err != nil {
			return err
		}
		if v.Instances > 0 {
			// Source of the text: what users of Cloud Map have reported.
			return fault.New("ResourceInUse", "Service contains registered instances; delete the instances before deleting the service")
		}
		return model.CloudMapServices.Delete(tx, scope.Key(v.ID))
	})
}
