package cloudmap

import (
	"context"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/latchwork/latchwork/internal/fault"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/store"
	wire "github.com/latchwork/latchwork/internal/wire/servicediscovery"
)

// Attributes that have a meaning.
// Source: Cloud Map API Reference, RegisterInstance, "Attributes".
const (
	attrAlias      = "AWS_ALIAS_DNS_NAME"
	attrEC2        = "AWS_EC2_INSTANCE_ID"
	attrInitHealth = "AWS_INIT_HEALTH_STATUS"
	attrCNAME      = "AWS_INSTANCE_CNAME"
	attrIPv4       = "AWS_INSTANCE_IPV4"
	attrIPv6       = "AWS_INSTANCE_IPV6"
	attrPort       = "AWS_INSTANCE_PORT"

	maxCustom     = 30
	maxAttributes = 5000 // characters in all
)

// RegisterInstance implements servicediscovery:RegisterInstance: a new instance, or
// one in place of that of the same id.
func (s *Service) RegisterInstance(ctx context.Context, in *wire.RegisterInstanceRequest) (*wire.RegisterInstanceResponse, error) {
	if err := checkAttributes(in.Attributes); err != nil {
		return nil, err
	}
	var id *string
	scope := s.scope(ctx)
	err := s.cfg.Update(ctx, func(tx *store.Tx) error {
		v, err := service(tx, scope, *in.ServiceId)
		if err != nil {
			return err
		}
		if err := fits(v, in.Attributes); err != nil {
			return err
		}
		key := scope.Key(v.ID, *in.InstanceId)
		before, err := model.Instances.Get(tx, key)
		if err != nil {
			return err
		}
		instance := &model.Instance{
			ID: *in.InstanceId, Service: v.ID, Attributes: in.Attributes, Created: s.cfg.Clock(),
			Healthy: in.Attributes[attrInitHealth] != wire.CustomHealthStatusUnhealthy, CreatorRequestID: model.Deref(in.CreatorRequestId),
		}
		if before != nil {
			instance.Created = before.Created
		} else {
			v.Instances++
		}
		if err := model.Instances.Put(tx, key, instance); err != nil {
			return err
		}
		id, err = s.changed(tx, scope, wire.OperationTypeRegisterInstance, v, instance.ID)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &wire.RegisterInstanceResponse{OperationId: id}, nil
}

// changed records that the instances of a service have changed.
func (s *Service) changed(tx *store.Tx, scope model.Scope, kind string, v *model.CloudMapService, instance string) (*string, error) {
	v.Revision++
	if err := model.CloudMapServices.Put(tx, scope.Key(v.ID), v); err != nil {
		return nil, err
	}
	return s.done(tx, scope, kind, v.Namespace, map[string]string{
		wire.OperationTargetTypeService: v.ID, wire.OperationTargetTypeInstance: instance,
	})
}

// checkAttributes checks what holds for the attributes of any instance.
func checkAttributes(attributes map[string]string) error {
	size, custom := 0, 0
	for key, value := range attributes {
		size += utf8.RuneCountInString(key) + utf8.RuneCountInString(value)
		if err := checkAttribute(key, value); err != nil {
			return err
		}
		if !strings.HasPrefix(key, "AWS_") {
			custom++
		}
	}
	_, alias := attributes[attrAlias]
	switch {
	case size > maxAttributes:
		return invalid("Attributes", "the attributes have %d characters in all: they can have %d", size, maxAttributes)
	case custom > maxCustom:
		return invalid("Attributes", "there are %d custom attributes: there can be %d", custom, maxCustom)
	}
	for key := range attributes {
		if alias && strings.HasPrefix(key, "AWS_INSTANCE_") {
			return invalid("Attributes", "%s and %s exclude each other", attrAlias, key)
		}
	}
	return nil
}

func checkAttribute(key, value string) error {
	addr, err := netip.ParseAddr(value)
	switch key {
	case attrIPv4:
		if err != nil || !addr.Is4() {
			return invalid("Attributes", "%s is not an IPv4 address: %q", key, value)
		}
	case attrIPv6:
		if err != nil || !addr.Is6() || addr.Zone() != "" {
			return invalid("Attributes", "%s is not an IPv6 address: %q", key, value)
		}
	case attrPort:
		if port, err := strconv.ParseUint(value, 10, 16); err != nil || port == 0 {
			return invalid("Attributes", "%s is not a port from 1 to 65535: %q", key, value)
		}
	case attrInitHealth:
		if value != wire.CustomHealthStatusHealthy && value != wire.CustomHealthStatusUnhealthy {
			return invalid("Attributes", "%s is HEALTHY or UNHEALTHY, not %q", key, value)
		}
	case attrEC2:
		return invalid("Attributes", "%s is not built, there are no EC2 instances to look up: use %s", key, attrIPv4)
	}
	return nil
}

// fits checks the attributes of an instance against the service.
func fits(v *model.CloudMapService, attributes map[string]string) error {
	has := func(key string) bool {
		_, ok := attributes[key]
		return ok
	}
	if has(attrInitHealth) && !v.CustomHealth {
		return invalid("Attributes", "%s needs a service with HealthCheckCustomConfig", attrInitHealth)
	}
	var types []string
	if v.DNSConfig != nil {
		types, _ = recordTypes(v.DNSConfig.DnsRecords)
	}
	if has(attrAlias) {
		address := slices.Contains(types, wire.RecordTypeA) || slices.Contains(types, wire.RecordTypeAaaa)
		if !address || model.Deref(v.DNSConfig.RoutingPolicy) != wire.RoutingPolicyWeighted {
			return invalid("Attributes", "%s needs a service with A or AAAA records and the routing policy WEIGHTED", attrAlias)
		}
		return nil
	}
	needs := map[string]string{wire.RecordTypeA: attrIPv4, wire.RecordTypeAaaa: attrIPv6, wire.RecordTypeCname: attrCNAME, wire.RecordTypeSrv: attrPort}
	for _, t := range types {
		if !has(needs[t]) {
			return invalid("Attributes", "the service has a record of type %s: %s is required", t, needs[t])
		}
		if t == wire.RecordTypeSrv && !has(attrIPv4) && !has(attrIPv6) {
			return invalid("Attributes", "the service has a record of type SRV: %s or %s is required", attrIPv4, attrIPv6)
		}
	}
	return nil
}

// instance finds an instance and its service.
func instance(tx *store.Tx, scope model.Scope, serviceID, id string) (*model.CloudMapService, *model.Instance, error) {
	v, err := service(tx, scope, serviceID)
	if err != nil {
		return nil, nil, err
	}
	i, err := model.Instances.Get(tx, scope.Key(v.ID, id))
	if err == nil && i == nil {
		err = fault.New("InstanceNotFound", "Instance not found: %s in the service %s", id, v.ID)
	}
	return v, i, err
}

// DeregisterInstance implements servicediscovery:DeregisterInstance.
func (s *Service) DeregisterInstance(ctx context.Context, in *wire.DeregisterInstanceRequest) (*wire.DeregisterInstanceResponse, error) {
	var id *string
	scope := s.scope(ctx)
	err := s.cfg.Update(ctx, func(tx *store.Tx) error {
		v, i, err := instance(tx, scope, *in.ServiceId, *in.InstanceId)
		if err != nil {
			return err
		}
		v.Instances--
		if err := model.Instances.Delete(tx, scope.Key(v.ID, i.ID)); err != nil {
			return err
		}
		id, err = s.changed(tx, scope, wire.OperationTypeDeregisterInstance, v, i.ID)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &wire.DeregisterInstanceResponse{OperationId: id}, nil
}

// GetInstance implements servicediscovery:GetInstance.
func (s *Service) GetInstance(ctx context.Context, in *wire.GetInstanceRequest) (*wire.GetInstanceResponse, error) {
	var i *model.Instance
	scope := s.scope(ctx)
	err := s.cfg.View(ctx, func(tx *store.Tx) (err error) {
		_, i, err = instance(tx, scope, *in.ServiceId, *in.InstanceId)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &wire.GetInstanceResponse{ResourceOwner: &scope.Account, Instance: &wire.Instance{
		Id: &i.ID, Attributes: i.Attributes, CreatorRequestId: model.Present(i.CreatorRequestID), CreatedByAccount: &scope.Account,
	}}, nil
}

// instancesOf are the instances of a service, by id.
func instancesOf(tx *store.Tx, scope model.Scope, service string) ([]*model.Instance, error) {
	items, err := model.Instances.List(tx, scope.Prefix(service))
	out := make([]*model.Instance, len(items))
	for i, item := range items {
		out[i] = item.Record
	}
	return out, err
}

func instanceKey(i *model.Instance) string { return i.ID }

// ListInstances implements servicediscovery:ListInstances.
func (s *Service) ListInstances(ctx context.Context, in *wire.ListInstancesRequest) (*wire.ListInstancesResponse, error) {
	scope := s.scope(ctx)
	instances, next, err := page(ctx, s, func(tx *store.Tx) ([]*model.Instance, error) {
		v, err := service(tx, scope, *in.ServiceId)
		if err != nil {
			return nil, err
		}
		return instancesOf(tx, scope, v.ID)
	}, instanceKey, func(i *model.Instance) wire.InstanceSummary {
		return wire.InstanceSummary{Id: &i.ID, Attributes: i.Attributes, CreatedByAccount: &scope.Account}
	})
	if err != nil {
		return nil, err
	}
	return &wire.ListInstancesResponse{Instances: instances, NextToken: next, ResourceOwner: &scope.Account}, nil
}

// health is what is answered of an instance's health.
// Source: the example of DiscoverInstances in the AWS CLI command reference, where a
// service has no health check.
func health(v *model.CloudMapService, i *model.Instance) string {
	switch {
	case !v.CustomHealth:
		return wire.HealthStatusUnknown
	case i.Healthy:
		return wire.HealthStatusHealthy
	}
	return wire.HealthStatusUnhealthy
}

// GetInstancesHealthStatus implements servicediscovery:GetInstancesHealthStatus.
func (s *Service) GetInstancesHealthStatus(ctx context.Context, in *wire.GetInstancesHealthStatusRequest) (*wire.GetInstancesHealthStatusResponse, error) {
	scope := s.scope(ctx)
	var v *model.CloudMapService
	statuses, next, err := page(ctx, s, func(tx *store.Tx) (found []*model.Instance, err error) {
		if v, err = service(tx, scope, *in.ServiceId); err != nil {
			return nil, err
		}
		if len(in.Instances) == 0 {
			return instancesOf(tx, scope, v.ID)
		}
		for _, id := range slices.Compact(slices.Sorted(slices.Values(in.Instances))) {
			_, i, err := instance(tx, scope, v.ID, id)
			if err != nil {
				return nil, err
			}
			found = append(found, i)
		}
		return found, nil
	}, instanceKey, func(i *model.Instance) [2]string { return [2]string{i.ID, health(v, i)} })
	if err != nil {
		return nil, err
	}
	out := &wire.GetInstancesHealthStatusResponse{Status: map[string]string{}, NextToken: next}
	for _, status := range statuses {
		out.Status[status[0]] = status[1]
	}
	return out, nil
}

// UpdateInstanceCustomHealthStatus implements
// servicediscovery:UpdateInstanceCustomHealthStatus. It is in force when it is
// answered.
func (s *Service) UpdateInstanceCustomHealthStatus(ctx context.Context, in *wire.UpdateInstanceCustomHealthStatusRequest) (*wire.UpdateInstanceCustomHealthStatusResponse, error) {
	scope := s.scope(ctx)
	return nil, s.cfg.Update(ctx, func(tx *store.Tx) error {
		v, i, err := instance(tx, scope, *in.ServiceId, *in.InstanceId)
		if err != nil {
			return err
		}
		if !v.CustomHealth {
			return fault.New("CustomHealthNotFound", "the service %s has no HealthCheckCustomConfig", v.ID)
		}
		i.Healthy = *in.Status == wire.CustomHealthStatusHealthy
		return model.Instances.Put(tx, scope.Key(v.ID, i.ID), i)
	})
}
