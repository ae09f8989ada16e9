package mesh

import (
	"context"

	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/store"
	"github.com/latchwork/latchwork/internal/wire"
	wiremesh "github.com/latchwork/latchwork/internal/wire/appmesh"
)

var gatewayRoutes = &kind[model.GatewayRoute]{
	records: model.GatewayRoutes, noun: "GatewayRoute",
	meta:       func(r *model.GatewayRoute) *model.MeshMeta { return &r.MeshMeta },
	quota:      func(q *Quotas) int { return q.GatewayRoutes },
	parentNoun: "VirtualGateway",
	parent: func(tx *store.Tx, p *place) (*model.MeshMeta, error) {
		found, err := gateways.get(tx, p, p.names[0])
		if err != nil {
			return nil, err
		}
		return &found.MeshMeta, nil
	},
}

func toGatewayRoute(mesh, owner, gateway, name *string) ref {
	return to(mesh, owner, "virtualGateway", *gateway, "gatewayRoute", *name)
}

func gatewayRouteData(r *model.GatewayRoute, status string) *wiremesh.GatewayRouteData {
	return &wiremesh.GatewayRouteData{
		GatewayRouteName: &r.Name, MeshName: &r.Mesh, Metadata: metadata(&r.MeshMeta), Spec: r.Spec,
		Status: &wiremesh.GatewayRouteStatus{Status: &status}, VirtualGatewayName: &r.Gateway,
	}
}

// gatewayRouteSpec gives a gateway route a spec.
func (s *Service) gatewayRouteSpec(spec *wiremesh.GatewayRouteSpec) func(*store.Tx, *place, *model.GatewayRoute) error {
	return func(tx *store.Tx, p *place, r *model.GatewayRoute) error {
		r.Gateway, r.Spec = p.names[0], spec
		return checkGatewayRoute(tx, p, spec)
	}
}

// CreateGatewayRoute implements appmesh:CreateGatewayRoute.
func (s *Service) CreateGatewayRoute(ctx context.Context, in *wiremesh.CreateGatewayRouteRequest) (*wiremesh.CreateGatewayRouteResponse, error) {
	r, err := create(ctx, s, gatewayRoutes, toGatewayRoute(in.MeshName, in.MeshOwner, in.VirtualGatewayName, in.GatewayRouteName), in.Tags, s.gatewayRouteSpec(in.Spec))
	if err != nil {
		return nil, err
	}
	return &wiremesh.CreateGatewayRouteResponse{GatewayRoute: gatewayRouteData(r, statusActive)}, nil
}

// DescribeGatewayRoute implements appmesh:DescribeGatewayRoute.
func (s *Service) DescribeGatewayRoute(ctx context.Context, in *wiremesh.DescribeGatewayRouteRequest) (*wiremesh.DescribeGatewayRouteResponse, error) {
	r, err := describe(ctx, s, gatewayRoutes, toGatewayRoute(in.MeshName, in.MeshOwner, in.VirtualGatewayName, in.GatewayRouteName))
	if err != nil {
		return nil, err
	}
	return &wiremesh.DescribeGatewayRouteResponse{GatewayRoute: gatewayRouteData(r, statusActive)}, nil
}

// ListGatewayRoutes implements appmesh:ListGatewayRoutes.
func (s *Service) ListGatewayRoutes(ctx context.Context, in *wiremesh.ListGatewayRoutesRequest) (*wiremesh.ListGatewayRoutesResponse, error) {
	items, next, err := list(ctx, s, gatewayRoutes, toGateway(in.MeshName, in.MeshOwner, in.VirtualGatewayName), func(r *model.GatewayRoute) wiremesh.GatewayRouteRef {
		return wiremesh.GatewayRouteRef{
			Arn: &r.ARN, CreatedAt: wire.Epoch(r.Created), LastUpdatedAt: wire.Epoch(r.Updated), MeshName: &r.Mesh,
			MeshOwner: &r.MeshOwner, ResourceOwner: &r.Account, Version: &r.Version, GatewayRouteName: &r.Name, VirtualGatewayName: &r.Gateway,
		}
	})
	if err != nil {
		return nil, err
	}
	return &wiremesh.ListGatewayRoutesResponse{GatewayRoutes: items, NextToken: next}, nil
}

// UpdateGatewayRoute implements appmesh:UpdateGatewayRoute.
func (s *Service) UpdateGatewayRoute(ctx context.Context, in *wiremesh.UpdateGatewayRouteRequest) (*wiremesh.UpdateGatewayRouteResponse, error) {
	r, err := update(ctx, s, gatewayRoutes, toGatewayRoute(in.MeshName, in.MeshOwner, in.VirtualGatewayName, in.GatewayRouteName), s.gatewayRouteSpec(in.Spec))
	if err != nil {
		return nil, err
	}
	return &wiremesh.UpdateGatewayRouteResponse{GatewayRoute: gatewayRouteData(r, statusActive)}, nil
}

// DeleteGatewayRoute implements appmesh:DeleteGatewayRoute.
func (s *Service) DeleteGatewayRoute(ctx context.Context, in *wiremesh.DeleteGatewayRouteRequest) (*wiremesh.DeleteGatewayRouteResponse, error) {
	r, err := remove(ctx, s, gatewayRoutes, toGatewayRoute(in.MeshName, in.MeshOwner, in.VirtualGatewayName, in.GatewayRouteName), nil)
	if err != nil {
		return nil, err
	}
	return &wiremesh.DeleteGatewayRouteResponse{GatewayRoute: gatewayRouteData(r, statusDeleted)}, nil
}
