package cloudmap

import (
	"context"

	"github.com/latchwork/latchwork/internal/awsapi"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/snapshot"
	"github.com/latchwork/latchwork/internal/store"
	wire "github.com/latchwork/latchwork/internal/wire/servicediscovery"
)

// access says what a caller must be allowed to do, by operation.
// Source: Service Authorization Reference, "Actions, resources, and condition keys
// for AWS Cloud Map".
func (s *Service) access() awsapi.AccessTable {
	t := awsapi.AccessTable{}
	row := func(operation string, resources resources) {
		t[operation] = awsapi.Access{Action: "servicediscovery:" + operation, Resources: resources}
	}
	row("CreateHttpNamespace", newNamespace(func(in *wire.CreateHttpNamespaceRequest) []wire.Tag { return in.Tags }))
	row("CreatePrivateDnsNamespace", newNamespace(func(in *wire.CreatePrivateDnsNamespaceRequest) []wire.Tag { return in.Tags }))
	row("CreatePublicDnsNamespace", newNamespace(func(in *wire.CreatePublicDnsNamespaceRequest) []wire.Tag { return in.Tags }))
	row("GetNamespace", onNamespace(s, func(in *wire.GetNamespaceRequest) string { return *in.Id }))
	row("ListNamespaces", awsapi.Everything)
	row("DeleteNamespace", onNamespace(s, func(in *wire.DeleteNamespaceRequest) string { return *in.Id }))

	row("CreateService", awsapi.Targets(s.newService))
	row("GetService", onService(s, func(in *wire.GetServiceRequest) string { return *in.Id }))
	row("ListServices", awsapi.Everything)
	row("UpdateService", onService(s, func(in *wire.UpdateServiceRequest) string { return *in.Id }, createdBy))
	row("DeleteService", onService(s, func(in *wire.DeleteServiceRequest) string { return *in.Id }, createdBy))

	row("RegisterInstance", onService(s, func(in *wire.RegisterInstanceRequest) string { return *in.ServiceId }, serviceARN, createdBy))
	row("DeregisterInstance", onService(s, func(in *wire.DeregisterInstanceRequest) string { return *in.ServiceId }, serviceARN, createdBy))
	row("GetInstance", onService(s, func(in *wire.GetInstanceRequest) string { return *in.ServiceId }, serviceARN))
	row("ListInstances", onService(s, func(in *wire.ListInstancesRequest) string { return *in.ServiceId }, serviceARN))
	row("GetInstancesHealthStatus", onService(s, func(in *wire.GetInstancesHealthStatusRequest) string { return *in.ServiceId }, serviceARN))
	row("UpdateInstanceCustomHealthStatus", onService(s, func(in *wire.UpdateInstanceCustomHealthStatusRequest) string { return *in.ServiceId }, serviceARN, createdBy))

	row("DiscoverInstances", discovery(s, func(in *wire.DiscoverInstancesRequest) (namespace, service string) {
		return *in.NamespaceName, *in.ServiceName
	}))
	row("DiscoverInstancesRevision", discovery(s, func(in *wire.DiscoverInstancesRevisionRequest) (namespace, service string) {
		return *in.NamespaceName, *in.ServiceName
	}))

	row("GetOperation", awsapi.Targets(s.operationOf))
	row("ListOperations", awsapi.Everything)

	t["TagResource"] = awsapi.Access{
		Action: "servicediscovery:TagResource", Resources: awsapi.Everything,
		Keys: awsapi.ConditionKeys(func(_ *awsapi.Call, in *wire.TagResourceRequest) []awsapi.Key { return requestTags(in.Tags) }),
	}
	t["UntagResource"] = awsapi.Access{
		Action: "servicediscovery:UntagResource", Resources: awsapi.Everything,
		Keys: awsapi.ConditionKeys(func(_ *awsapi.Call, in *wire.UntagResourceRequest) []awsapi.Key {
			return []awsapi.Key{{Name: "aws:TagKeys", Values: in.TagKeys, Multi: true}}
		}),
	}
	row("ListTagsForResource", awsapi.Everything)
	return t
}

type resources = func(context.Context, *awsapi.Call) ([]awsapi.Resource, error)

func requestTags(list []wire.Tag) []awsapi.Key {
	tags := map[string]string{}
	for _, t := range list {
		tags[*t.Key] = *t.Value
	}
	return awsapi.RequestTags(tags)
}

func resourceTags(m *model.Meta) []awsapi.Key { return awsapi.TagKeys("aws:ResourceTag/", m.Tags) }

// tagging is what a create that brings tags needs besides.
func tagging(tags []wire.Tag) []awsapi.Resource {
	if len(tags) == 0 {
		return nil
	}
	return []awsapi.Resource{{Action: "servicediscovery:TagResource", ARN: "*", Keys: requestTags(tags)}}
}

func newNamespace[In any](tags func(*In) []wire.Tag) resources {
	return awsapi.Targets(func(_ context.Context, _ *awsapi.Call, in *In) ([]awsapi.Resource, error) {
		return append([]awsapi.Resource{{ARN: "*", Keys: requestTags(tags(in))}}, tagging(tags(in))...), nil
	})
}

// newService is an operation on the namespace and on a service that does not exist
// yet.
func (s *Service) newService(ctx context.Context, _ *awsapi.Call, in *wire.CreateServiceRequest) ([]awsapi.Resource, error) {
	scope := s.scope(ctx)
	within, err := namespaceOf(scope, in)
	if err != nil {
		return nil, err
	}
	keys := requestTags(in.Tags)
	r := awsapi.Resource{ARN: arnOf(scope, namespacePath, within)}
	err = s.cfg.View(ctx, func(tx *store.Tx) error {
		n, err := find(tx, model.Namespaces, scope, namespacePath, within)
		if n != nil {
			r.Keys = resourceTags(&n.Meta)
		}
		return err
	})
	keys = append(keys, awsapi.Key{Name: "servicediscovery:NamespaceArn", Values: []string{r.ARN}})
	r.Keys = append(r.Keys, keys...)
	return append([]awsapi.Resource{r, {ARN: scope.ARN(model.CloudMap, servicePath+"*"), Keys: keys}}, tagging(in.Tags)...), err
}

// onNamespace is an operation on a namespace by its id or ARN, with its tags. One
// that is not there has none: the handler says so after the caller was allowed to
// ask.
func onNamespace[In any](s *Service, id func(*In) string) resources {
	return awsapi.Targets(func(ctx context.Context, _ *awsapi.Call, in *In) ([]awsapi.Resource, error) {
		scope := s.scope(ctx)
		r := awsapi.Resource{ARN: arnOf(scope, namespacePath, id(in))}
		err := s.cfg.View(ctx, func(tx *store.Tx) error {
			n, err := find(tx, model.Namespaces, scope, namespacePath, id(in))
			if n != nil {
				r.Keys = resourceTags(&n.Meta)
			}
			return err
		})
		return []awsapi.Resource{r}, err
	})
}

// onService is onNamespace for services; keys are those that the operation has of it
// besides.
func onService[In any](s *Service, id func(*In) string, keys ...func(*model.CloudMapService) awsapi.Key) resources {
	return awsapi.Targets(func(ctx context.Context, _ *awsapi.Call, in *In) ([]awsapi.Resource, error) {
		scope := s.scope(ctx)
		r := awsapi.Resource{ARN: arnOf(scope, servicePath, id(in))}
		err := s.cfg.View(ctx, func(tx *store.Tx) error {
			v, err := find(tx, model.CloudMapServices, scope, servicePath, id(in))
			if v == nil || err != nil {
				return err
			}
			r.Keys = resourceTags(&v.Meta)
			for _, key := range keys {
				r.Keys = append(r.Keys, key(v))
			}
			return nil
		})
		return []awsapi.Resource{r}, err
	})
}

func serviceARN(v *model.CloudMapService) awsapi.Key {
	return awsapi.Key{Name: "servicediscovery:ServiceArn", Values: []string{v.ARN}}
}

func createdBy(v *model.CloudMapService) awsapi.Key {
	return awsapi.Key{Name: "servicediscovery:ServiceCreatedByAccount", Values: []string{v.Account}}
}

// discovery is an operation on a namespace and a service by their names. What is not
// there is any of its kind.
func discovery[In any](s *Service, names func(*In) (namespace, service string)) resources {
	return awsapi.Targets(func(ctx context.Context, _ *awsapi.Call, in *In) ([]awsapi.Resource, error) {
		scope := s.scope(ctx)
		namespaceName, serviceName := names(in)
		n := awsapi.Resource{ARN: scope.ARN(model.CloudMap, namespacePath+"*")}
		v := awsapi.Resource{ARN: scope.ARN(model.CloudMap, servicePath+"*")}
		snap, err := snapshot.Pinned(ctx)
		if err != nil {
			return nil, err
		}
		if found := snap.Namespace(scope.Account, scope.Region, namespaceName); found != nil {
			n = awsapi.Resource{ARN: found.ARN, Keys: resourceTags(&found.Meta)}
		}
		if found := snap.CloudMapService(scope.Account, scope.Region, namespaceName, serviceName); found != nil {
			v = awsapi.Resource{ARN: found.ARN, Keys: resourceTags(&found.Meta)}
		}
		keys := []awsapi.Key{
			{Name: "servicediscovery:NamespaceName", Values: []string{namespaceName}},
			{Name: "servicediscovery:ServiceName", Values: []string{serviceName}},
		}
		n.Keys, v.Keys = append(n.Keys, keys...), append(v.Keys, keys...)
		return []awsapi.Resource{n, v}, nil
	})
}

// operationOf is the namespace that an operation was done in.
func (s *Service) operationOf(ctx context.Context, _ *awsapi.Call, in *wire.GetOperationRequest) ([]awsapi.Resource, error) {
	scope := s.scope(ctx)
	r := awsapi.Resource{ARN: scope.ARN(model.CloudMap, namespacePath+"*")}
	err := s.cfg.View(ctx, func(tx *store.Tx) error {
		o, err := model.CloudMapOperations.Get(tx, scope.Key(*in.OperationId))
		if o == nil || err != nil {
			return err
		}
		r.ARN = scope.ARN(model.CloudMap, namespacePath+o.Namespace)
		n, err := model.Namespaces.Get(tx, scope.Key(o.Namespace))
		if n != nil {
			r.Keys = resourceTags(&n.Meta)
		}
		return err
	})
	return []awsapi.Resource{r}, err
}
