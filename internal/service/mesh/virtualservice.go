package mesh

import (
	"context"
	"strings"

	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/store"
	"github.com/latchwork/latchwork/internal/wire"
	wiremesh "github.com/latchwork/latchwork/internal/wire/appmesh"
)

var services = &kind[model.VirtualService]{
	records: model.VirtualServices, noun: "VirtualService",
	meta:  func(v *model.VirtualService) *model.MeshMeta { return &v.MeshMeta },
	quota: func(q *Quotas) int { return q.VirtualServices },
}

func toService(mesh, owner, name *string) ref { return to(mesh, owner, "virtualService", *name) }

func serviceData(v *model.VirtualService, status string) *wiremesh.VirtualServiceData {
	return &wiremesh.VirtualServiceData{
		VirtualServiceName: &v.Name, MeshName: &v.Mesh, Metadata: metadata(&v.MeshMeta), Spec: v.Spec,
		Status: &wiremesh.VirtualServiceStatus{Status: &status},
	}
}

// provider is what provides a virtual service: the name of a virtual node, or that
// of a virtual router, or neither.
func provider(spec *wiremesh.VirtualServiceSpec) (node, router string) {
	if p := spec.Provider; p != nil && p.VirtualNode != nil {
		node = *p.VirtualNode.VirtualNodeName
	} else if p != nil && p.VirtualRouter != nil {
		router = *p.VirtualRouter.VirtualRouterName
	}
	return node, router
}

// serviceSpec gives a virtual service a spec. Its provider must be there.
func (s *Service) serviceSpec(spec *wiremesh.VirtualServiceSpec) func(*store.Tx, *place, *model.VirtualService) error {
	return func(tx *store.Tx, p *place, v *model.VirtualService) (err error) {
		v.Spec = spec
		switch node, router := provider(spec); {
		case node != "":
			_, err = nodes.get(tx, p, node)
		case router != "":
			_, err = routers.get(tx, p, router)
		}
		return err
	}
}

// CreateVirtualService implements appmesh:CreateVirtualService.
func (s *Service) CreateVirtualService(ctx context.Context, in *wiremesh.CreateVirtualServiceRequest) (*wiremesh.CreateVirtualServiceResponse, error) {
	v, err := create(ctx, s, services, toService(in.MeshName, in.MeshOwner, in.VirtualServiceName), in.Tags, s.serviceSpec(in.Spec))
	if err != nil {
		return nil, err
	}
	return &wiremesh.CreateVirtualServiceResponse{VirtualService: serviceData(v, statusActive)}, nil
}

// DescribeVirtualService implements appmesh:DescribeVirtualService.
func (s *Service) DescribeVirtualService(ctx context.Context, in *wiremesh.DescribeVirtualServiceRequest) (*wiremesh.DescribeVirtualServiceResponse, error) {
	v, err := describe(ctx, s, services, toService(in.MeshName, in.MeshOwner, in.VirtualServiceName))
	if err != nil {
		return nil, err
	}
	return &wiremesh.DescribeVirtualServiceResponse{VirtualService: serviceData(v, statusActive)}, nil
}

// ListVirtualServices implements appmesh:ListVirtualServices.
func (s *Service) ListVirtualServices(ctx context.Context, in *wiremesh.ListVirtualServicesRequest) (*wiremesh.ListVirtualServicesResponse, error) {
	items, next, err := list(ctx, s, services, to(in.MeshName, in.MeshOwner), func(v *model.VirtualService) wiremesh.VirtualServiceRef {
		return wiremesh.VirtualServiceRef{
			Arn: &v.ARN, CreatedAt: wire.Epoch(v.Created), LastUpdatedAt: wire.Epoch(v.Updated), MeshName: &v.Mesh,
			MeshOwner: &v.MeshOwner, ResourceOwner: &v.Account, Version: &v.Version, VirtualServiceName: &v.Name,
		}
	})
	if err != nil {
		return nil, err
	}
	return &wiremesh.ListVirtualServicesResponse{VirtualServices: items, NextToken: next}, nil
}

// UpdateVirtualService implements appmesh:UpdateVirtualService.
func (s *Service) UpdateVirtualService(ctx context.Context, in *wiremesh.UpdateVirtualServiceRequest) (*wiremesh.UpdateVirtualServiceResponse, error) {
	v, err := update(ctx, s, services, toService(in.MeshName, in.MeshOwner, in.VirtualServiceName), s.serviceSpec(in.Spec))
	if err != nil {
		return nil, err
	}
	return &wiremesh.UpdateVirtualServiceResponse{VirtualService: serviceData(v, statusActive)}, nil
}

// DeleteVirtualService implements appmesh:DeleteVirtualService.
func (s *Service) DeleteVirtualService(ctx context.Context, in *wiremesh.DeleteVirtualServiceRequest) (*wiremesh.DeleteVirtualServiceResponse, error) {
	v, err := remove(ctx, s, services, toService(in.MeshName, in.MeshOwner, in.VirtualServiceName), func(tx *store.Tx, p *place, v *model.VirtualService) error {
		all, err := gatewayRoutes.all(tx, p)
		if err != nil {
			return err
		}
		var by []string
		for _, r := range all {
			if *gatewayTarget(r.Spec).VirtualService.VirtualServiceName == v.Name {
				by = append(by, r.Name)
			}
		}
		if len(by) > 0 {
			return inUse("VirtualService %s is being referenced in the following: GATEWAY_ROUTE: [%s]", v.Name, strings.Join(by, ", "))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &wiremesh.DeleteVirtualServiceResponse{VirtualService: serviceData(v, statusDeleted)}, nil
}
