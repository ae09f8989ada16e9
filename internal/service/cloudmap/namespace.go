package cloudmap

import (
	"context"
	"time"

	"github.com/latchwork/latchwork/internal/fault"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/store"
	wirebase "github.com/latchwork/latchwork/internal/wire"
	wire "github.com/latchwork/latchwork/internal/wire/servicediscovery"
)

// CreateHttpNamespace implements servicediscovery:CreateHttpNamespace.
func (s *Service) CreateHttpNamespace(ctx context.Context, in *wire.CreateHttpNamespaceRequest) (*wire.CreateHttpNamespaceResponse, error) {
	id, err := s.createNamespace(ctx, *in.Name, in.Tags, model.Namespace{
		Type: wire.NamespaceTypeHttp, Description: model.Deref(in.Description), CreatorRequestID: model.Deref(in.CreatorRequestId),
	})
	if err != nil {
		return nil, err
	}
	return &wire.CreateHttpNamespaceResponse{OperationId: id}, nil
}

// CreatePrivateDnsNamespace implements servicediscovery:CreatePrivateDnsNamespace.
func (s *Service) CreatePrivateDnsNamespace(ctx context.Context, in *wire.CreatePrivateDnsNamespaceRequest) (*wire.CreatePrivateDnsNamespaceResponse, error) {
	n := model.Namespace{
		Type: wire.NamespaceTypeDnsPrivate, Description: model.Deref(in.Description), CreatorRequestID: model.Deref(in.CreatorRequestId), VPC: *in.Vpc,
	}
	if in.Properties != nil {
		n.SOA = in.Properties.DnsProperties.SOA
	}
	id, err := s.createNamespace(ctx, *in.Name, in.Tags, n)
	if err != nil {
		return nil, err
	}
	return &wire.CreatePrivateDnsNamespaceResponse{OperationId: id}, nil
}

// CreatePublicDnsNamespace implements servicediscovery:CreatePublicDnsNamespace.
func (s *Service) CreatePublicDnsNamespace(ctx context.Context, in *wire.CreatePublicDnsNamespaceRequest) (*wire.CreatePublicDnsNamespaceResponse, error) {
	n := model.Namespace{
		Type: wire.NamespaceTypeDnsPublic, Description: model.Deref(in.Description), CreatorRequestID: model.Deref(in.CreatorRequestId),
	}
	if in.Properties != nil {
		n.SOA = in.Properties.DnsProperties.SOA
	}
	id, err := s.createNamespace(ctx, *in.Name, in.Tags, n)
	if err != nil {
		return nil, err
	}
	return &wire.CreatePublicDnsNamespaceResponse{OperationId: id}, nil
}

// createNamespace makes a namespace and gives the operation's id. A name is there
// once, so that it says which namespace is meant where instances are discovered.
func (s *Service) createNamespace(ctx context.Context, name string, list []wire.Tag, n model.Namespace) (id *string, err error) {
	tags, err := newTags(list)
	if err != nil {
		return nil, err
	}
	scope := s.scope(ctx)
	n.Meta = s.meta(scope, namespacePath, namespacePrefix, name, tags)
	err = s.cfg.Update(ctx, func(tx *store.Tx) error {
		have, err := namespaceNamed(tx, scope, name)
		if err != nil {
			return err
		}
		switch {
		case have != nil && have.Type == n.Type && repeated(have.CreatorRequestID, n.CreatorRequestID):
			n.ID = have.ID
		case have != nil:
			e := fault.New("NamespaceAlreadyExists", "Namespace with name %s already exists", name)
			e.Members = map[string]string{"NamespaceId": have.ID, "CreatorRequestId": have.CreatorRequestID}
			return e
		default:
			if err := model.Namespaces.Put(tx, scope.Key(n.ID), &n); err != nil {
				return err
			}
		}
		id, err = s.done(tx, scope, wire.OperationTypeCreateNamespace, n.ID, map[string]string{wire.OperationTargetTypeNamespace: n.ID})
		return err
	})
	return id, err
}

// namespaceNamed is the namespace of a name; nil if there is none.
func namespaceNamed(tx *store.Tx, scope model.Scope, name string) (*model.Namespace, error) {
	found, err := all(tx, model.Namespaces, scope, func(n *model.Namespace) bool { return n.Name == name })
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return found[0], nil
}

// servicesIn are the services of a namespace.
func servicesIn(tx *store.Tx, scope model.Scope, namespace string) ([]*model.CloudMapService, error) {
	return all(tx, model.CloudMapServices, scope, func(v *model.CloudMapService) bool { return v.Namespace == namespace })
}

func properties(n *model.Namespace) *wire.NamespaceProperties {
	p := &wire.NamespaceProperties{HttpProperties: &wire.HttpProperties{HttpName: &n.Name}, DnsProperties: &wire.DnsProperties{}}
	p.DnsProperties.SOA = n.SOA
	return p
}

// GetNamespace implements servicediscovery:GetNamespace.
func (s *Service) GetNamespace(ctx context.Context, in *wire.GetNamespaceRequest) (*wire.GetNamespaceResponse, error) {
	var n *model.Namespace
	var services []*model.CloudMapService
	scope := s.scope(ctx)
	err := s.cfg.View(ctx, func(tx *store.Tx) (err error) {
		if n, err = namespace(tx, scope, *in.Id); err != nil {
			return err
		}
		services, err = servicesIn(tx, scope, n.ID)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &wire.GetNamespaceResponse{Namespace: &wire.Namespace{
		Arn: &n.ARN, Id: &n.ID, Name: &n.Name, Type: &n.Type, Description: model.Present(n.Description), CreatorRequestId: model.Present(n.CreatorRequestID),
		CreateDate: wirebase.Epoch(n.Created), Properties: properties(n), ResourceOwner: &n.Account, ServiceCount: new(int64(len(services))),
	}}, nil
}

// ListNamespaces implements servicediscovery:ListNamespaces.
func (s *Service) ListNamespaces(ctx context.Context, in *wire.ListNamespacesRequest) (*wire.ListNamespacesResponse, error) {
	var tests []func(*model.Namespace) bool
	for _, f := range in.Filters {
		test, err := namespaceFilter(f)
		if err != nil {
			return nil, err
		}
		tests = append(tests, test)
	}
	scope := s.scope(ctx)
	services := map[string]int64{}
	namespaces, next, err := list(ctx, s, func(tx *store.Tx) ([]*model.Namespace, error) {
		clear(services)
		_, err := all(tx, model.CloudMapServices, scope, func(v *model.CloudMapService) bool {
			services[v.Namespace]++
			return false
		})
		if err != nil {
			return nil, err
		}
		return all(tx, model.Namespaces, scope, func(n *model.Namespace) bool { return every(tests, n) })
	}, func(n *model.Namespace) (time.Time, string) { return n.Created, n.ID },
		func(n *model.Namespace) wire.NamespaceSummary {
			return wire.NamespaceSummary{
				Arn: &n.ARN, Id: &n.ID, Name: &n.Name, Type: &n.Type, Description: model.Present(n.Description),
				CreateDate: wirebase.Epoch(n.Created), Properties: properties(n), ResourceOwner: &n.Account, ServiceCount: new(services[n.ID]),
			}
		})
	if err != nil {
		return nil, err
	}
	return &wire.ListNamespacesResponse{Namespaces: namespaces, NextToken: next}, nil
}

// namespaceFilter is the test that a filter stands for.
// Source: Cloud Map API Reference, NamespaceFilter.
func namespaceFilter(f wire.NamespaceFilter) (func(*model.Namespace) bool, error) {
	name, conditions := *f.Name, []string{wire.FilterConditionEq, wire.FilterConditionBeginsWith}
	if name == wire.NamespaceFilterNameResourceOwner {
		conditions = conditions[:1]
	}
	if err := checkFilter(name, f.Condition, f.Values, conditions...); err != nil {
		return nil, err
	}
	switch name {
	case wire.NamespaceFilterNameResourceOwner:
		self, err := ownerIs(f.Values)
		return func(*model.Namespace) bool { return self }, err
	case wire.NamespaceFilterNameType:
		return func(n *model.Namespace) bool { return selects(f.Condition, f.Values, n.Type) }, nil
	}
	return func(n *model.Namespace) bool { return selects(f.Condition, f.Values, n.Name) }, nil
}

// DeleteNamespace implements servicediscovery:DeleteNamespace.
func (s *Service) DeleteNamespace(ctx context.Context, in *wire.DeleteNamespaceRequest) (*wire.DeleteNamespaceResponse, error) {
	var id *string
	scope := s.scope(ctx)
	err := s.cfg.Update(ctx, func(tx *store.Tx) error {
		n, err := namespace(tx, scope, *in.Id)
		if err != nil {
			return err
		}
		services, err := servicesIn(tx, scope, n.ID)
		switch {
		case err != nil:
			return err
		case len(services) > 0:
			// Source of the text: what users of Cloud Map have reported.
			return fault.New("ResourceInUse", "Namespace has associated services; delete the services before deleting the namespace")
		}
		if err := model.Namespaces.Delete(tx, scope.Key(n.ID)); err != nil {
			return err
		}
		id, err = s.done(tx, scope, wire.OperationTypeDeleteNamespace, n.ID, map[string]string{wire.OperationTargetTypeNamespace: n.ID})
		return err
	})
	if err != nil {
		return nil, err
	}
	return &wire.DeleteNamespaceResponse{OperationId: id}, nil
}
