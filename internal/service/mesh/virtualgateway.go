package mesh

import (
	"context"

	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/store"
	"github.com/latchwork/latchwork/internal/wire"
	wiremesh "github.com/latchwork/latchwork/internal/wire/appmesh"
)

var gateways = &kind[model.VirtualGateway]{
	records: model.VirtualGateways, noun: "VirtualGateway",
	meta:          func(g *model.VirtualGateway) *model.MeshMeta { return &g.MeshMeta },
	quota:         func(q *Quotas) int { return q.VirtualGateways },
	meshOwnerOnly: true,
}

func toGateway(mesh, owner, name *string) ref { return to(mesh, owner, "virtualGateway", *name) }

func gatewayData(g *model.VirtualGateway, status string) *wiremesh.VirtualGatewayData {
	return &wiremesh.VirtualGatewayData{
		VirtualGatewayName: &g.Name, MeshName: &g.Mesh, Metadata: metadata(&g.MeshMeta), Spec: g.Spec,
		Status: &wiremesh.VirtualGatewayStatus{Status: &status},
	}
}

// gatewaySpec gives a virtual gateway a spec.
func (s *Service) gatewaySpec(spec *wiremesh.VirtualGatewaySpec) func(*store.Tx, *place, *model.VirtualGateway) error {
	return func(_ *store.Tx, _ *place, g *model.VirtualGateway) error {
		g.Spec = spec
		return s.checkGateway(spec)
	}
}

// CreateVirtualGateway implements appmesh:CreateVirtualGateway.
func (s *Service) CreateVirtualGateway(ctx context.Context, in *wiremesh.CreateVirtualGatewayRequest) (*wiremesh.CreateVirtualGatewayResponse, error) {
	g, err := create(ctx, s, gateways, toGateway(in.MeshName, in.MeshOwner, in.VirtualGatewayName), in.Tags, s.gatewaySpec(in.Spec))
	if err != nil {
		return nil, err
	}
	return &wiremesh.CreateVirtualGatewayResponse{VirtualGateway: gatewayData(g, statusActive)}, nil
}

// DescribeVirtualGateway implements appmesh:DescribeVirtualGateway.
func (s *Service) DescribeVirtualGateway(ctx context.Context, in *wiremesh.DescribeVirtualGatewayRequest) (*wiremesh.DescribeVirtualGatewayResponse, error) {
	g, err := describe(ctx, s, gateways, toGateway(in.MeshName, in.MeshOwner, in.VirtualGatewayName))
	if err != nil {
		return nil, err
	}
	return &wiremesh.DescribeVirtualGatewayResponse{VirtualGateway: gatewayData(g, statusActive)}, nil
}

// ListVirtualGateways implements appmesh:ListVirtualGateways.
func (s *Service) ListVirtualGateways(ctx context.Context, in *wiremesh.ListVirtualGatewaysRequest) (*wiremesh.ListVirtualGatewaysResponse, error) {
	items, next, err := list(ctx, s, gateways, to(in.MeshName, in.MeshOwner), func(g *model.VirtualGateway) wiremesh.VirtualGatewayRef {
		return wiremesh.VirtualGatewayRef{
			Arn: &g.ARN, CreatedAt: wire.Epoch(g.Created), LastUpdatedAt: wire.Epoch(g.Updated), MeshName: &g.Mesh,
			MeshOwner: &g.MeshOwner, ResourceOwner: &g.Account, Version: &g.Version, VirtualGatewayName: &g.Name,
		}
	})
	if err != nil {
		return nil, err
	}
	return &wiremesh.ListVirtualGatewaysResponse{VirtualGateways: items, NextToken: next}, nil
}

// UpdateVirtualGateway implements appmesh:UpdateVirtualGateway.
func (s *Service) UpdateVirtualGateway(ctx context.Context, in *wiremesh.UpdateVirtualGatewayRequest) (*wiremesh.UpdateVirtualGatewayResponse, error) {
	g, err := update(ctx, s, gateways, toGateway(in.MeshName, in.MeshOwner, in.VirtualGatewayName), s.gatewaySpec(in.Spec))
	if err != nil {
		return nil, err
	}
	return &wiremesh.UpdateVirtualGatewayResponse{VirtualGateway: gatewayData(g, statusActive)}, nil
}

// DeleteVirtualGateway implements appmesh:DeleteVirtualGateway.
func (s *Service) DeleteVirtualGateway(ctx context.Context, in *wiremesh.DeleteVirtualGatewayRequest) (*wiremesh.DeleteVirtualGatewayResponse, error) {
	g, err := remove(ctx, s, gateways, toGateway(in.MeshName, in.MeshOwner, in.VirtualGatewayName), func(tx *store.Tx, p *place, _ *model.VirtualGateway) error {
		return gatewayRoutes.none(tx, p)
	})
	if err != nil {
		return nil, err
	}
	return &wiremesh.DeleteVirtualGatewayResponse{VirtualGateway: gatewayData(g, statusDeleted)}, nil
}
