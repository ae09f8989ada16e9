package mesh

import (
	"context"

	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/store"
	"github.com/latchwork/latchwork/internal/wire"
	wiremesh "github.com/latchwork/latchwork/internal/wire/appmesh"
)

var routers = &kind[model.VirtualRouter]{
	records: model.VirtualRouters, noun: "VirtualRouter",
	meta:  func(r *model.VirtualRouter) *model.MeshMeta { return &r.MeshMeta },
	quota: func(q *Quotas) int { return q.VirtualRouters },
}

func toRouter(mesh, owner, name *string) ref { return to(mesh, owner, "virtualRouter", *name) }

func routerData(r *model.VirtualRouter, status string) *wiremesh.VirtualRouterData {
	return &wiremesh.VirtualRouterData{
		VirtualRouterName: &r.Name, MeshName: &r.Mesh, Metadata: metadata(&r.MeshMeta), Spec: r.Spec,
		Status: &wiremesh.VirtualRouterStatus{Status: &status},
	}
}

// routerSpec gives a virtual router a spec.
func (s *Service) routerSpec(spec *wiremesh.VirtualRouterSpec) func(*store.Tx, *place, *model.VirtualRouter) error {
	return func(_ *store.Tx, _ *place, r *model.VirtualRouter) error {
		r.Spec = spec
		return s.checkRouter(spec)
	}
}

// CreateVirtualRouter implements appmesh:CreateVirtualRouter.
func (s *Service) CreateVirtualRouter(ctx context.Context, in *wiremesh.CreateVirtualRouterRequest) (*wiremesh.CreateVirtualRouterResponse, error) {
	r, err := create(ctx, s, routers, toRouter(in.MeshName, in.MeshOwner, in.VirtualRouterName), in.Tags, s.routerSpec(in.Spec))
	if err != nil {
		return nil, err
	}
	return &wiremesh.CreateVirtualRouterResponse{VirtualRouter: routerData(r, statusActive)}, nil
}

// DescribeVirtualRouter implements appmesh:DescribeVirtualRouter.
func (s *Service) DescribeVirtualRouter(ctx context.Context, in *wiremesh.DescribeVirtualRouterRequest) (*wiremesh.DescribeVirtualRouterResponse, error) {
	r, err := describe(ctx, s, routers, toRouter(in.MeshName, in.MeshOwner, in.VirtualRouterName))
	if err != nil {
		return nil, err
	}
	return &wiremesh.DescribeVirtualRouterResponse{VirtualRouter: routerData(r, statusActive)}, nil
}

// ListVirtualRouters implements appmesh:ListVirtualRouters.
func (s *Service) ListVirtualRouters(ctx context.Context, in *wiremesh.ListVirtualRoutersRequest) (*wiremesh.ListVirtualRoutersResponse, error) {
	items, next, err := list(ctx, s, routers, to(in.MeshName, in.MeshOwner), func(r *model.VirtualRouter) wiremesh.VirtualRouterRef {
		return wiremesh.VirtualRouterRef{
			Arn: &r.ARN, CreatedAt: wire.Epoch(r.Created), LastUpdatedAt: wire.Epoch(r.Updated), MeshName: &r.Mesh,
			MeshOwner: &r.MeshOwner, ResourceOwner: &r.Account, Version: &r.Version, VirtualRouterName: &r.Name,
		}
	})
	if err != nil {
		return nil, err
	}
	return &wiremesh.ListVirtualRoutersResponse{VirtualRouters: items, NextToken: next}, nil
}

// UpdateVirtualRouter implements appmesh:UpdateVirtualRouter.
func (s *Service) UpdateVirtualRouter(ctx context.Context, in *wiremesh.UpdateVirtualRouterRequest) (*wiremesh.UpdateVirtualRouterResponse, error) {
	r, err := update(ctx, s, routers, toRouter(in.MeshName, in.MeshOwner, in.VirtualRouterName), s.routerSpec(in.Spec))
	if err != nil {
		return nil, err
	}
	return &wiremesh.UpdateVirtualRouterResponse{VirtualRouter: routerData(r, statusActive)}, nil
}

// DeleteVirtualRouter implements appmesh:DeleteVirtualRouter.
func (s *Service) DeleteVirtualRouter(ctx context.Context, in *wiremesh.DeleteVirtualRouterRequest) (*wiremesh.DeleteVirtualRouterResponse, error) {
	r, err := remove(ctx, s, routers, toRouter(in.MeshName, in.MeshOwner, in.VirtualRouterName), func(tx *store.Tx, p *place, r *model.VirtualRouter) error {
		if err := routes.none(tx, p); err != nil {
			return err
		}
		provided, err := services.all(tx, p)
		if err != nil {
			return err
		}
		for _, v := range provided {
			if _, router := provider(v.Spec); router == r.Name {
				return inUse("VirtualRouter with name %s cannot be deleted because it is a VirtualService provider", r.Name)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &wiremesh.DeleteVirtualRouterResponse{VirtualRouter: routerData(r, statusDeleted)}, nil
}
