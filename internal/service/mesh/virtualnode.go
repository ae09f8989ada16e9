package mesh

import (
	"context"

	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/store"
	"github.com/latchwork/latchwork/internal/wire"
	wiremesh "github.com/latchwork/latchwork/internal/wire/appmesh"
)

var nodes = &kind[model.VirtualNode]{
	records: model.VirtualNodes, noun: "VirtualNode",
	meta:  func(n *model.VirtualNode) *model.MeshMeta { return &n.MeshMeta },
	quota: func(q *Quotas) int { return q.VirtualNodes },
}

func toNode(mesh, owner, name *string) ref { return to(mesh, owner, "virtualNode", *name) }

func nodeData(n *model.VirtualNode, status string) *wiremesh.VirtualNodeData {
	return &wiremesh.VirtualNodeData{
		MeshName: &n.Mesh, Metadata: metadata(&n.MeshMeta), Spec: n.Spec,
		Status: &wiremesh.VirtualNodeStatus{Status: &status}, VirtualNodeName: &n.Name,
	}
}

// nodeSpec gives a virtual node a spec.
func (s *Service) nodeSpec(spec *wiremesh.VirtualNodeSpec) func(*store.Tx, *place, *model.VirtualNode) error {
	return func(_ *store.Tx, _ *place, n *model.VirtualNode) error {
		n.Spec = spec
		return s.checkNode(spec)
	}
}

// CreateVirtualNode implements appmesh:CreateVirtualNode.
func (s *Service) CreateVirtualNode(ctx context.Context, in *wiremesh.CreateVirtualNodeRequest) (*wiremesh.CreateVirtualNodeResponse, error) {
	n, err := create(ctx, s, nodes, toNode(in.MeshName, in.MeshOwner, in.VirtualNodeName), in.Tags, s.nodeSpec(in.Spec))
	if err != nil {
		return nil, err
	}
	return &wiremesh.CreateVirtualNodeResponse{VirtualNode: nodeData(n, statusActive)}, nil
}

// DescribeVirtualNode implements appmesh:DescribeVirtualNode.
func (s *Service) DescribeVirtualNode(ctx context.Context, in *wiremesh.DescribeVirtualNodeRequest) (*wiremesh.DescribeVirtualNodeResponse, error) {
	n, err := describe(ctx, s, nodes, toNode(in.MeshName, in.MeshOwner, in.VirtualNodeName))
	if err != nil {
		return nil, err
	}
	return &wiremesh.DescribeVirtualNodeResponse{VirtualNode: nodeData(n, statusActive)}, nil
}

// ListVirtualNodes implements appmesh:ListVirtualNodes.
func (s *Service) ListVirtualNodes(ctx context.Context, in *wiremesh.ListVirtualNodesRequest) (*wiremesh.ListVirtualNodesResponse, error) {
	items, next, err := list(ctx, s, nodes, to(in.MeshName, in.MeshOwner), func(n *model.VirtualNode) wiremesh.VirtualNodeRef {
		return wiremesh.VirtualNodeRef{
			Arn: &n.ARN, CreatedAt: wire.Epoch(n.Created), LastUpdatedAt: wire.Epoch(n.Updated), MeshName: &n.Mesh,
			MeshOwner: &n.MeshOwner, ResourceOwner: &n.Account, Version: &n.Version, VirtualNodeName: &n.Name,
		}
	})
	if err != nil {
		return nil, err
	}
	return &wiremesh.ListVirtualNodesResponse{VirtualNodes: items, NextToken: next}, nil
}

// UpdateVirtualNode implements appmesh:UpdateVirtualNode.
func (s *Service) UpdateVirtualNode(ctx context.Context, in *wiremesh.UpdateVirtualNodeRequest) (*wiremesh.UpdateVirtualNodeResponse, error) {
	n, err := update(ctx, s, nodes, toNode(in.MeshName, in.MeshOwner, in.VirtualNodeName), s.nodeSpec(in.Spec))
	if err != nil {
		return nil, err
	}
	return &wiremesh.UpdateVirtualNodeResponse{VirtualNode: nodeData(n, statusActive)}, nil
}

// DeleteVirtualNode implements appmesh:DeleteVirtualNode.
func (s *Service) DeleteVirtualNode(ctx context.Context, in *wiremesh.DeleteVirtualNodeRequest) (*wiremesh.DeleteVirtualNodeResponse, error) {
	n, err := remove(ctx, s, nodes, toNode(in.MeshName, in.MeshOwner, in.VirtualNodeName), func(tx *store.Tx, p *place, n *model.VirtualNode) error {
		provided, err := services.all(tx, p)
		if err != nil {
			return err
		}
		for _, v := range provided {
			if node, _ := provider(v.Spec); node == n.Name {
				return inUse("VirtualNode with name %s cannot be deleted because it is a VirtualService provider", n.Name)
			}
		}
		all, err := routes.all(tx, p)
		if err != nil {
			return err
		}
		for _, r := range all {
			for _, t := range targets(r.Spec) {
				if *t.VirtualNode == n.Name {
					return inUse("VirtualNode with name %s cannot be deleted because it is used by Route %s of VirtualRouter %s", n.Name, r.Name, r.Router)
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &wiremesh.DeleteVirtualNodeResponse{VirtualNode: nodeData(n, statusDeleted)}, nil
}
