package mesh

import (
	"context"
	"errors"

	"github.com/latchwork/latchwork/internal/awsapi"
	"github.com/latchwork/latchwork/internal/fault"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/store"
	wire "github.com/latchwork/latchwork/internal/wire/appmesh"
)

// access says what a caller must be allowed to do, by operation.
// Source: Service Authorization Reference, "Actions, resources, and condition keys
// for AWS App Mesh"; App Mesh User Guide, "How AWS App Mesh works with IAM".
func (s *Service) access() awsapi.AccessTable {
	t := awsapi.AccessTable{}
	row := func(operation string, resources resources) {
		t[operation] = awsapi.Access{Action: "appmesh:" + operation, Resources: resources}
	}
	with := func(operation string, resources resources, keys func(context.Context, *awsapi.Call) ([]awsapi.Key, error)) {
		t[operation] = awsapi.Access{Action: "appmesh:" + operation, Resources: resources, Keys: keys}
	}

	with("CreateMesh", at(s, add, func(in *wire.CreateMeshRequest) []ref { return []ref{to(in.MeshName, nil)} }),
		tagsOf(func(in *wire.CreateMeshRequest) []wire.TagRef { return in.Tags }))
	row("DescribeMesh", at(s, look, func(in *wire.DescribeMeshRequest) []ref { return []ref{to(in.MeshName, in.MeshOwner)} }))
	row("ListMeshes", awsapi.Everything)
	row("UpdateMesh", at(s, change, func(in *wire.UpdateMeshRequest) []ref { return []ref{to(in.MeshName, nil)} }))
	row("DeleteMesh", at(s, discard, func(in *wire.DeleteMeshRequest) []ref { return []ref{to(in.MeshName, nil)} }))

	with("CreateVirtualNode", at(s, add, func(in *wire.CreateVirtualNodeRequest) []ref {
		return []ref{toNode(in.MeshName, in.MeshOwner, in.VirtualNodeName)}
	}), tagsOf(func(in *wire.CreateVirtualNodeRequest) []wire.TagRef { return in.Tags }))
	row("DescribeVirtualNode", at(s, look, func(in *wire.DescribeVirtualNodeRequest) []ref {
		return []ref{toNode(in.MeshName, in.MeshOwner, in.VirtualNodeName)}
	}))
	row("UpdateVirtualNode", at(s, change, func(in *wire.UpdateVirtualNodeRequest) []ref {
		return []ref{toNode(in.MeshName, in.MeshOwner, in.VirtualNodeName)}
	}))
	row("DeleteVirtualNode", at(s, discard, func(in *wire.DeleteVirtualNodeRequest) []ref {
		return []ref{toNode(in.MeshName, in.MeshOwner, in.VirtualNodeName)}
	}))
	row("ListVirtualNodes", at(s, look, func(in *wire.ListVirtualNodesRequest) []ref { return []ref{to(in.MeshName, in.MeshOwner)} }))

	with("CreateVirtualGateway", at(s, add, func(in *wire.CreateVirtualGatewayRequest) []ref {
		return []ref{toGateway(in.MeshName, in.MeshOwner, in.VirtualGatewayName)}
	}), tagsOf(func(in *wire.CreateVirtualGatewayRequest) []wire.TagRef { return in.Tags }))
	row("DescribeVirtualGateway", at(s, look, func(in *wire.DescribeVirtualGatewayRequest) []ref {
		return []ref{toGateway(in.MeshName, in.MeshOwner, in.VirtualGatewayName)}
	}))
	row("UpdateVirtualGateway", at(s, change, func(in *wire.UpdateVirtualGatewayRequest) []ref {
		return []ref{toGateway(in.MeshName, in.MeshOwner, in.VirtualGatewayName)}
	}))
	row("DeleteVirtualGateway", at(s, discard, func(in *wire.DeleteVirtualGatewayRequest) []ref {
		return []ref{toGateway(in.MeshName, in.MeshOwner, in.VirtualGatewayName)}
	}))
	row("ListVirtualGateways", at(s, look, func(in *wire.ListVirtualGatewaysRequest) []ref { return []ref{to(in.MeshName, in.MeshOwner)} }))

	with("CreateVirtualRouter", at(s, add, func(in *wire.CreateVirtualRouterRequest) []ref {
		return []ref{toRouter(in.MeshName, in.MeshOwner, in.VirtualRouterName)}
	}), tagsOf(func(in *wire.CreateVirtualRouterRequest) []wire.TagRef { return in.Tags }))
	row("DescribeVirtualRouter", at(s, look, func(in *wire.DescribeVirtualRouterRequest) []ref {
		return []ref{toRouter(in.MeshName, in.MeshOwner, in.VirtualRouterName)}
	}))
	row("UpdateVirtualRouter", at(s, change, func(in *wire.UpdateVirtualRouterRequest) []ref {
		return []ref{toRouter(in.MeshName, in.MeshOwner, in.VirtualRouterName)}
	}))
	row("DeleteVirtualRouter", at(s, discard, func(in *wire.DeleteVirtualRouterRequest) []ref {
		return []ref{toRouter(in.MeshName, in.MeshOwner, in.VirtualRouterName)}
	}))
	row("ListVirtualRouters", at(s, look, func(in *wire.ListVirtualRoutersRequest) []ref { return []ref{to(in.MeshName, in.MeshOwner)} }))

	with("CreateVirtualService", at(s, add, func(in *wire.CreateVirtualServiceRequest) []ref {
		return append([]ref{toService(in.MeshName, in.MeshOwner, in.VirtualServiceName)}, usedByService(in.MeshName, in.MeshOwner, in.Spec)...)
	}), tagsOf(func(in *wire.CreateVirtualServiceRequest) []wire.TagRef { return in.Tags }))
	row("DescribeVirtualService", at(s, look, func(in *wire.DescribeVirtualServiceRequest) []ref {
		return []ref{toService(in.MeshName, in.MeshOwner, in.VirtualServiceName)}
	}))
	row("UpdateVirtualService", at(s, change, func(in *wire.UpdateVirtualServiceRequest) []ref {
		return append([]ref{toService(in.MeshName, in.MeshOwner, in.VirtualServiceName)}, usedByService(in.MeshName, in.MeshOwner, in.Spec)...)
	}))
	row("DeleteVirtualService", at(s, discard, func(in *wire.DeleteVirtualServiceRequest) []ref {
		return []ref{toService(in.MeshName, in.MeshOwner, in.VirtualServiceName)}
	}))
	row("ListVirtualServices", at(s, look, func(in *wire.ListVirtualServicesRequest) []ref { return []ref{to(in.MeshName, in.MeshOwner)} }))

	with("CreateRoute", at(s, add, func(in *wire.CreateRouteRequest) []ref {
		return append([]ref{toRoute(in.MeshName, in.MeshOwner, in.VirtualRouterName, in.RouteName)}, usedByRoute(in.MeshName, in.MeshOwner, in.Spec)...)
	}), tagsOf(func(in *wire.CreateRouteRequest) []wire.TagRef { return in.Tags }))
	row("DescribeRoute", at(s, look, func(in *wire.DescribeRouteRequest) []ref {
		return []ref{toRoute(in.MeshName, in.MeshOwner, in.VirtualRouterName, in.RouteName)}
	}))
	row("UpdateRoute", at(s, change, func(in *wire.UpdateRouteRequest) []ref {
		return append([]ref{toRoute(in.MeshName, in.MeshOwner, in.VirtualRouterName, in.RouteName)}, usedByRoute(in.MeshName, in.MeshOwner, in.Spec)...)
	}))
	row("DeleteRoute", at(s, discard, func(in *wire.DeleteRouteRequest) []ref {
		return []ref{toRoute(in.MeshName, in.MeshOwner, in.VirtualRouterName, in.RouteName)}
	}))
	row("ListRoutes", at(s, look, func(in *wire.ListRoutesRequest) []ref {
		return []ref{toRouter(in.MeshName, in.MeshOwner, in.VirtualRouterName)}
	}))

	with("CreateGatewayRoute", at(s, add, func(in *wire.CreateGatewayRouteRequest) []ref {
		return append([]ref{toGatewayRoute(in.MeshName, in.MeshOwner, in.VirtualGatewayName, in.GatewayRouteName)}, usedByGatewayRoute(in.MeshName, in.MeshOwner, in.Spec)...)
	}), tagsOf(func(in *wire.CreateGatewayRouteRequest) []wire.TagRef { return in.Tags }))
	row("DescribeGatewayRoute", at(s, look, func(in *wire.DescribeGatewayRouteRequest) []ref {
		return []ref{toGatewayRoute(in.MeshName, in.MeshOwner, in.VirtualGatewayName, in.GatewayRouteName)}
	}))
	row("UpdateGatewayRoute", at(s, change, func(in *wire.UpdateGatewayRouteRequest) []ref {
		return append([]ref{toGatewayRoute(in.MeshName, in.MeshOwner, in.VirtualGatewayName, in.GatewayRouteName)}, usedByGatewayRoute(in.MeshName, in.MeshOwner, in.Spec)...)
	}))
	row("DeleteGatewayRoute", at(s, discard, func(in *wire.DeleteGatewayRouteRequest) []ref {
		return []ref{toGatewayRoute(in.MeshName, in.MeshOwner, in.VirtualGatewayName, in.GatewayRouteName)}
	}))
	row("ListGatewayRoutes", at(s, look, func(in *wire.ListGatewayRoutesRequest) []ref {
		return []ref{toGateway(in.MeshName, in.MeshOwner, in.VirtualGatewayName)}
	}))

	with("TagResource", byARN(s, func(in *wire.TagResourceRequest) string { return *in.ResourceArn }),
		tagsOf(func(in *wire.TagResourceRequest) []wire.TagRef { return in.Tags }))
	with("UntagResource", byARN(s, func(in *wire.UntagResourceRequest) string { return *in.ResourceArn }),
		awsapi.ConditionKeys(func(_ *awsapi.Call, in *wire.UntagResourceRequest) []awsapi.Key {
			return []awsapi.Key{{Name: "aws:TagKeys", Values: in.TagKeys, Multi: true}}
		}))
	row("ListTagsForResource", byARN(s, func(in *wire.ListTagsForResourceRequest) string { return *in.ResourceArn }))
	return t
}

type resources = func(context.Context, *awsapi.Call) ([]awsapi.Resource, error)

// tagsOf are the condition keys of the tags that a call brings.
func tagsOf[In any](tags func(*In) []wire.TagRef) func(context.Context, *awsapi.Call) ([]awsapi.Key, error) {
	return awsapi.ConditionKeys(func(_ *awsapi.Call, in *In) []awsapi.Key {
		set := map[string]string{}
		for _, t := range tags(in) {
			set[*t.Key] = *t.Value
		}
		return awsapi.RequestTags(set)
	})
}

// byARN is a resource of the caller's own by its ARN.
func byARN[In any](s *Service, arn func(*In) string) resources {
	return awsapi.Targets(func(ctx context.Context, _ *awsapi.Call, in *In) ([]awsapi.Resource, error) {
		r := awsapi.Resource{ARN: arn(in)}
		err := s.cfg.View(ctx, func(tx *store.Tx) error {
			meta, _, err := s.tagged(tx, s.scope(ctx), r.ARN)
			var answered *fault.Error
			if errors.As(err, &answered) {
				return nil // Not there, or no ARN of ours: the handler answers that.
			}
			if err != nil {
				return err // Nobody can tell its tags, which may deny.
			}
			r.Keys = resourceTags(meta)
			return nil
		})
		return []awsapi.Resource{r}, err
	})
}

func resourceTags(m *model.MeshMeta) []awsapi.Key { return awsapi.TagKeys("aws:ResourceTag/", m.Tags) }

// intent is what a call means to do with a resource: it decides what sharing allows
// where the resource belongs to another account than the caller's.
// Source: App Mesh User Guide, "Working with shared meshes".
type intent uint8

const (
	change  intent = iota // the owner alone
	add                   // it will be the caller's own
	look                  // whoever may see the mesh; to refer to something is no more
	discard               // the owner, and the mesh's
)

// at is an operation on the first of the resources that its input names; the others
// it refers to, and the caller needs the action for these too.
func at[In any](s *Service, first intent, refs func(*In) []ref) resources {
	return awsapi.Targets(func(ctx context.Context, _ *awsapi.Call, in *In) ([]awsapi.Resource, error) {
		var out []awsapi.Resource
		err := s.cfg.View(ctx, func(tx *store.Tx) error {
			out = nil
			does := first
			for _, r := range refs(in) {
				resource, err := s.resource(ctx, tx, r, does)
				if err != nil {
					return err
				}
				out = append(out, resource)
				does = look
			}
			return nil
		})
		return out, err
	})
}

// resource is the one that a call names. One that is not there would be the
// caller's own, in a mesh that the caller may see; else the ARN is the mesh owner's,
// and nobody learns what is in the mesh.
func (s *Service) resource(ctx context.Context, tx *store.Tx, r ref, does intent) (awsapi.Resource, error) {
	scope := s.scope(ctx)
	owner := r.meshOwner(scope)
	m, err := model.Meshes.Get(tx, model.MeshKey(owner, scope.Region, r.mesh))
	if err != nil {
		return awsapi.Resource{}, err
	}
	if m == nil || !visible(m, scope.Account) {
		return awsapi.Resource{ARN: r.arn(scope, owner)}, nil
	}
	if does == add {
		return awsapi.Resource{ARN: r.arn(scope, scope.Account)}, nil
	}
	meta, _, err := lookup(tx, m, r.path)
	switch {
	case err != nil:
		return awsapi.Resource{}, err
	case meta == nil:
		return awsapi.Resource{ARN: r.arn(scope, scope.Account)}, nil
	case meta.Account == scope.Account:
		return awsapi.Resource{ARN: meta.ARN, Keys: resourceTags(meta)}, nil
	}
	return awsapi.Resource{ARN: meta.ARN, Shared: does == look || does == discard && m.Account == scope.Account}, nil
}
