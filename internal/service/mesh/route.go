package mesh

import (
	"context"

	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/store"
	"github.com/latchwork/latchwork/internal/wire"
	wiremesh "github.com/latchwork/latchwork/internal/wire/appmesh"
)

var routes = &kind[model.Route]{
	records: model.Routes, noun: "Route",
	meta:       func(r *model.Route) *model.MeshMeta { return &r.MeshMeta },
	quota:      func(q *Quotas) int { return q.Routes },
	parentNoun: "VirtualRouter",
	parent: func(tx *store.Tx, p *place) (*model.MeshMeta, error) {
		found, err := routers.get(tx, p, p.names[0])
		if err != nil {
			return nil, err
		}
		return &found.MeshMeta, nil
	},
}

func toRoute(mesh, owner, router, name *string) ref {
	return to(mesh, owner, "virtualRouter", *router, "route", *name)
}

func routeData(r *model.Route, status string) *wiremesh.RouteData {
	return &wiremesh.RouteData{
		RouteName: &r.Name, MeshName: &r.Mesh, Metadata: metadata(&r.MeshMeta), Spec: r.Spec,
		Status: &wiremesh.RouteStatus{Status: &status}, VirtualRouterName: &r.Router,
	}
}

// routeSpec gives a route a spec.
func (s *Service) routeSpec(spec *wiremesh.RouteSpec) func(*store.Tx, *place, *model.Route) error {
	return func(tx *store.Tx, p *place, r *model.Route) error {
		r.Router, r.Spec = p.names[0], spec
		return checkRoute(tx, p, spec)
	}
}

// CreateRoute implements appmesh:CreateRoute.
func (s *Service) CreateRoute(ctx context.Context, in *wiremesh.CreateRouteRequest) (*wiremesh.CreateRouteResponse, error) {
	r, err := create(ctx, s, routes, toRoute(in.MeshName, in.MeshOwner, in.VirtualRouterName, in.RouteName), in.Tags, s.routeSpec(in.Spec))
	if err != nil {
		return nil, err
	}
	return &wiremesh.CreateRouteResponse{Route: routeData(r, statusActive)}, nil
}

// DescribeRoute implements appmesh:DescribeRoute.
func (s *Service) DescribeRoute(ctx context.Context, in *wiremesh.DescribeRouteRequest) (*wiremesh.DescribeRouteResponse, error) {
	r, err := describe(ctx, s, routes, toRoute(in.MeshName, in.MeshOwner, in.VirtualRouterName, in.RouteName))
	if err != nil {
		return nil, err
	}
	return &wiremesh.DescribeRouteResponse{Route: routeData(r, statusActive)}, nil
}

// ListRoutes implements appmesh:ListRoutes.
func (s *Service) ListRoutes(ctx context.Context, in *wiremesh.ListRoutesRequest) (*wiremesh.ListRoutesResponse, error) {
	items, next, err := list(ctx, s, routes, toRouter(in.MeshName, in.MeshOwner, in.VirtualRouterName), func(r *model.Route) wiremesh.RouteRef {
		return wiremesh.RouteRef{
			Arn: &r.ARN, CreatedAt: wire.Epoch(r.Created), LastUpdatedAt: wire.Epoch(r.Updated), MeshName: &r.Mesh,
			MeshOwner: &r.MeshOwner, ResourceOwner: &r.Account, Version: &r.Version, RouteName: &r.Name, VirtualRouterName: &r.Router,
		}
	})
	if err != nil {
		return nil, err
	}
	return &wiremesh.ListRoutesResponse{Routes: items, NextToken: next}, nil
}

// UpdateRoute implements appmesh:UpdateRoute.
func (s *Service) UpdateRoute(ctx context.Context, in *wiremesh.UpdateRouteRequest) (*wiremesh.UpdateRouteResponse, error) {
	r, err := update(ctx, s, routes, toRoute(in.MeshName, in.MeshOwner, in.VirtualRouterName, in.RouteName), s.routeSpec(in.Spec))
	if err != nil {
		return nil, err
	}
	return &wiremesh.UpdateRouteResponse{Route: routeData(r, statusActive)}, nil
}

// DeleteRoute implements appmesh:DeleteRoute.
func (s *Service) DeleteRoute(ctx context.Context, in *wiremesh.DeleteRouteRequest) (*wiremesh.DeleteRouteResponse, error) {
	r, err := remove(ctx, s, routes, toRoute(in.MeshName, in.MeshOwner, in.VirtualRouterName, in.RouteName), nil)
	if err != nil {
		return nil, err
	}
	return &wiremesh.DeleteRouteResponse{Route: routeData(r, statusDeleted)}, nil
}
