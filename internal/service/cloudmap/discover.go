package cloudmap

import (
	"context"

	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/snapshot"
	wire "github.com/latchwork/latchwork/internal/wire/servicediscovery"
)

// Clients discover all the time: what they ask for is looked up in the snapshot.

// defaultDiscovered is how many instances are answered where a call does not say.
const defaultDiscovered = 100

// DiscoverInstances implements servicediscovery:DiscoverInstances. OptionalParameters
// choose among what would be answered without them.
func (s *Service) DiscoverInstances(ctx context.Context, in *wire.DiscoverInstancesRequest) (*wire.DiscoverInstancesResponse, error) {
	v, err := s.discovered(ctx, *in.NamespaceName, *in.ServiceName, in.OwnerAccount)
	if err != nil {
		return nil, err
	}
	found := kept(v.Instances, hasAll(in.QueryParameters))
	if v.CustomHealth {
		found = ofHealth(found, model.Deref(in.HealthStatus))
	}
	if len(in.OptionalParameters) > 0 {
		if better := kept(found, hasAll(in.OptionalParameters)); len(better) > 0 {
			found = better
		}
	}
	// Callers that take the first are spread over all. The slice is kept's, not the
	// snapshot's.
	s.cfg.Shuffle(len(found), func(i, j int) { found[i], found[j] = found[j], found[i] })
	limit := defaultDiscovered
	if in.MaxResults != nil {
		limit = int(*in.MaxResults)
	}
	out := &wire.DiscoverInstancesResponse{Instances: []wire.HttpInstanceSummary{}, InstancesRevision: &v.Revision}
	for _, i := range found[:min(limit, len(found))] {
		out.Instances = append(out.Instances, wire.HttpInstanceSummary{
			InstanceId: &i.ID, Attributes: i.Attributes, HealthStatus: new(health(v.CloudMapService, i)), NamespaceName: &v.NamespaceName, ServiceName: &v.Name,
		})
	}
	return out, nil
}

// DiscoverInstancesRevision implements servicediscovery:DiscoverInstancesRevision.
func (s *Service) DiscoverInstancesRevision(ctx context.Context, in *wire.DiscoverInstancesRevisionRequest) (*wire.DiscoverInstancesRevisionResponse, error) {
	v, err := s.discovered(ctx, *in.NamespaceName, *in.ServiceName, in.OwnerAccount)
	if err != nil {
		return nil, err
	}
	return &wire.DiscoverInstancesRevisionResponse{InstancesRevision: &v.Revision}, nil
}

// discovered is the service of a name. Of other accounts there is none, as none
// shares a namespace.
func (s *Service) discovered(ctx context.Context, namespace, service string, owner *string) (*snapshot.CloudMapService, error) {
	snap, err := snapshot.Pinned(ctx)
	if err != nil {
		return nil, err
	}
	scope := s.scope(ctx)
	switch v := snap.CloudMapService(scope.Account, scope.Region, namespace, service); {
	case owner != nil && *owner != scope.Account, snap.Namespace(scope.Account, scope.Region, namespace) == nil:
		return nil, noNamespace(namespace)
	case v == nil:
		return nil, noService(service)
	default:
		return v, nil
	}
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
