package cloudmap

import (
	"context"
	"math/rand/v2"

	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/store"
	wire "github.com/latchwork/latchwork/internal/wire/servicediscovery"
)

// defaultDiscovered is how many instances are answered where a call does not say.
const defaultDiscovered = 100

// DiscoverInstances implements servicediscovery:DiscoverInstances.
func (s *Service) DiscoverInstances(ctx context.Context, in *wire.DiscoverInstancesRequest) (*wire.DiscoverInstancesResponse, error) {
	var v *model.CloudMapService
	var found []*model.Instance
	scope := s.scope(ctx)
	err := s.cfg.View(ctx, func(tx *store.Tx) (err error) {
		if v, err = discovered(tx, scope, *in.NamespaceName, *in.ServiceName, in.OwnerAccount); err != nil {
			return err
		}
		found, err = instancesOf(tx, scope, v.ID)
		return err
	})
	if err != nil {
		return nil, err
	}
	found = kept(found, hasAll(in.QueryParameters))
	if len(in.OptionalParameters) > 0 {
		if better := kept(found, hasAll(in.OptionalParameters)); len(better) > 0 {
			found = better
		}
	}
	if v.CustomHealth {
		found = ofHealth(found, model.Deref(in.HealthStatus))
	}
	// Callers that take the first are spread over all.
	rand.Shuffle(len(found), func(i, j int) { found[i], found[j] = found[j], found[i] })
	limit := defaultDiscovered
	if in.MaxResults != nil {
		limit = int(*in.MaxResults)
	}
	out := &wire.DiscoverInstancesResponse{Instances: []wire.HttpInstanceSummary{}, InstancesRevision: &v.Revision}
	for _, i := range found[:min(limit, len(found))] {
		out.Instances = append(out.Instances, wire.HttpInstanceSummary{
			InstanceId: &i.ID, Attributes: i.Attributes, HealthStatus: new(health(v, i)), NamespaceName: &v.NamespaceName, ServiceName: &v.Name,
		})
	}
	return out, nil
}

// DiscoverInstancesRevision implements servicediscovery:DiscoverInstancesRevision.
func (s *Service) DiscoverInstancesRevision(ctx context.Context, in *wire.DiscoverInstancesRevisionRequest) (*wire.DiscoverInstancesRevisionResponse, error) {
	var v *model.CloudMapService
	err := s.cfg.View(ctx, func(tx *store.Tx) (err error) {
		v, err = discovered(tx, s.scope(ctx), *in.NamespaceName, *in.ServiceName, in.OwnerAccount)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &wire.DiscoverInstancesRevisionResponse{InstancesRevision: &v.Revision}, nil
}

// discovered is the service of a name. Of other accounts there is none, as none
// shares a namespace.
func discovered(tx *store.Tx, scope model.Scope, namespace, service string, owner *string) (*model.CloudMapService, error) {
	if owner != nil && *owner != scope.Account {
		return nil, noNamespace(namespace)
	}
	n, v, err := named(tx, scope, namespace, service)
	switch {
	case err != nil:
		return nil, err
	case n == nil:
		return nil, noNamespace(namespace)
	case v == nil:
		return nil, noService(service)
	}
	return v, nil
}

// named are the namespace and the service of names; nil what is not there.
func named(tx *store.Tx, scope model.Scope, namespace, service string) (*model.Namespace, *model.CloudMapService, error) {
	n, err := namespaceNamed(tx, scope, namespace)
	if err != nil || n == nil {
		return nil, nil, err
	}
	services, err := all(tx, model.CloudMapServices, scope, func(v *model.CloudMapService) bool { return v.Namespace == n.ID && v.Name == service })
	if err != nil || len(services) == 0 {
		return n, nil, err
	}
	return n, services[0], nil
}

func kept(instances []*model.Instance, keep func(*model.Instance) bool) []*model.Instance {
	var out []*model.Instance
	for _, i := range instances {
		if keep(i) {
			out = append(out, i)
		}
	}
	return out
}

func hasAll(attributes map[string]string) func(*model.Instance) bool {
	return func(i *model.Instance) bool {
		for key, want := range attributes {
			if have, ok := i.Attributes[key]; !ok || have != want {
				return false
			}
		}
		return true
	}
}

// ofHealth are the instances of a health. It is not documented which a call means
// that does not say; this fails open, and never hands out what is known to be
// unhealthy while there is anything better.
func ofHealth(instances []*model.Instance, filter string) []*model.Instance {
	healthy := kept(instances, func(i *model.Instance) bool { return i.Healthy })
	switch filter {
	case wire.HealthStatusFilterAll:
		return instances
	case wire.HealthStatusFilterHealthy:
		return healthy
	case wire.HealthStatusFilterUnhealthy:
		return kept(instances, func(i *model.Instance) bool { return !i.Healthy })
	}
	if len(healthy) == 0 {
		return instances
	}
	return healthy
}
