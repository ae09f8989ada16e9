package mesh

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/appmesh"
	"github.com/aws/aws-sdk-go-v2/service/appmesh/types"
)

// TestSharedMesh: what a mesh's owner and those that it is shared with may do.
// Source: App Mesh User Guide, "Working with shared meshes".
func TestSharedMesh(t *testing.T) {
	w := newWorld(t)
	owner := &w.account
	w.mesh("app")
	consumerAccount, stranger := newAccount(), newAccount()
	w.share("app", consumerAccount)
	consumer, other := w.as(consumerAccount), w.as(stranger)
	w.put("/meshes/app/virtualNodes", `{"virtualNodeName":"own","spec":{}}`)
	w.put("/meshes/app/virtualRouters", `{"virtualRouterName":"own","spec":{}}`)
	w.put("/meshes/app/virtualGateways", `{"virtualGatewayName":"own","spec":{"listeners":[]}}`)
	app := aws.String("app")

	t.Run("a consumer sees the mesh and what is in it", func(t *testing.T) {
		m := must[*appmesh.DescribeMeshOutput](w)(consumer.DescribeMesh(ctx, &appmesh.DescribeMeshInput{MeshName: app, MeshOwner: owner})).Mesh
		if *m.Metadata.MeshOwner != w.account || *m.Metadata.ResourceOwner != w.account {
			t.Errorf("%+v", m.Metadata)
		}
		meshes := must[*appmesh.ListMeshesOutput](w)(consumer.ListMeshes(ctx, &appmesh.ListMeshesInput{})).Meshes
		if len(meshes) != 1 || *meshes[0].MeshOwner != w.account {
			t.Errorf("%+v", meshes)
		}
		must[any](w)(consumer.DescribeVirtualNode(ctx, &appmesh.DescribeVirtualNodeInput{MeshName: app, MeshOwner: owner, VirtualNodeName: aws.String("own")}))
		if c := w.calls["DescribeVirtualNode"].Resources[0]; !c.Shared || c.ARN != "arn:aws:appmesh:us-west-2:"+w.account+":mesh/app/virtualNode/own" {
			t.Errorf("%+v", c)
		}
	})
	t.Run("without meshOwner a name means the caller's own mesh", func(t *testing.T) {
		mustRefuse(w, "NotFoundException", func() (any, error) {
			return consumer.DescribeMesh(ctx, &appmesh.DescribeMeshInput{MeshName: app})
		})
		must[any](w)(consumer.CreateMesh(ctx, &appmesh.CreateMeshInput{MeshName: app}))
		if m := must[*appmesh.DescribeMeshOutput](w)(consumer.DescribeMesh(ctx, &appmesh.DescribeMeshInput{MeshName: app})).Mesh; *m.Metadata.MeshOwner != consumerAccount {
			t.Errorf("%+v", m.Metadata)
		}
		if meshes := must[*appmesh.ListMeshesOutput](w)(consumer.ListMeshes(ctx, &appmesh.ListMeshesInput{})).Meshes; len(meshes) != 2 {
			t.Errorf("%+v", meshes)
		}
	})
	t.Run("a consumer's resources are its own", func(t *testing.T) {
		n := must[*appmesh.CreateVirtualNodeOutput](w)(consumer.CreateVirtualNode(ctx, &appmesh.CreateVirtualNodeInput{MeshName: app, MeshOwner: owner, VirtualNodeName: aws.String("theirs"), Spec: &types.VirtualNodeSpec{}})).VirtualNode
		if *n.Metadata.Arn != "arn:aws:appmesh:us-west-2:"+consumerAccount+":mesh/app/virtualNode/theirs" || *n.Metadata.MeshOwner != w.account || *n.Metadata.ResourceOwner != consumerAccount {
			t.Errorf("%+v", n.Metadata)
		}
		if c := w.calls["CreateVirtualNode"].Resources[0]; c.Shared || c.ARN != *n.Metadata.Arn {
			t.Errorf("%+v", c)
		}
		must[any](w)(consumer.CreateVirtualRouter(ctx, &appmesh.CreateVirtualRouterInput{MeshName: app, MeshOwner: owner, VirtualRouterName: aws.String("theirs"), Spec: &types.VirtualRouterSpec{}}))
		// It may lead to what is of others.
		must[any](w)(consumer.CreateRoute(ctx, &appmesh.CreateRouteInput{
			MeshName: app, MeshOwner: owner, VirtualRouterName: aws.String("theirs"), RouteName: aws.String("r"), Spec: tcpTo("own"),
		}))
		if c := w.calls["CreateRoute"].Resources; len(c) != 2 || c[0].Shared || !c[1].Shared || c[1].ARN != "arn:aws:appmesh:us-west-2:"+w.account+":mesh/app/virtualNode/own" {
			t.Errorf("%+v", c)
		}
		nodes := must[*appmesh.ListVirtualNodesOutput](w)(w.ListVirtualNodes(ctx, &appmesh.ListVirtualNodesInput{MeshName: app})).VirtualNodes
		if len(nodes) != 2 || *nodes[1].ResourceOwner != consumerAccount || *nodes[0].ResourceOwner != w.account || *nodes[1].MeshOwner != w.account {
			t.Errorf("%+v", nodes)
		}
	})
	t.Run("a name in the mesh is there once, whoever has it", func(t *testing.T) {
		mustRefuse(w, "ConflictException", func() (any, error) {
			return consumer.CreateVirtualNode(ctx, &appmesh.CreateVirtualNodeInput{MeshName: app, MeshOwner: owner, VirtualNodeName: aws.String("own"), Spec: &types.VirtualNodeSpec{}})
		})
		// The call is authorized as one on the caller's own.
		if c := w.calls["CreateVirtualNode"].Resources[0]; c.Shared || c.ARN != "arn:aws:appmesh:us-west-2:"+consumerAccount+":mesh/app/virtualNode/own" {
			t.Errorf("%+v", c)
		}
	})
	t.Run("nobody changes what is of another", func(t *testing.T) {
		for name, call := range map[string]func() (any, error){
			"a consumer the owner's": func() (any, error) {
				return consumer.UpdateVirtualNode(ctx, &appmesh.UpdateVirtualNodeInput{MeshName: app, MeshOwner: owner, VirtualNodeName: aws.String("own"), Spec: &types.VirtualNodeSpec{}})
			},
			"a consumer deletes the owner's": func() (any, error) {
				return consumer.DeleteVirtualNode(ctx, &appmesh.DeleteVirtualNodeInput{MeshName: app, MeshOwner: owner, VirtualNodeName: aws.String("own")})
			},
			"the owner a consumer's": func() (any, error) {
				return w.UpdateVirtualNode(ctx, &appmesh.UpdateVirtualNodeInput{MeshName: app, VirtualNodeName: aws.String("theirs"), Spec: &types.VirtualNodeSpec{}})
			},
			"a consumer adds a route to the owner's router": func() (any, error) {
				return consumer.CreateRoute(ctx, &appmesh.CreateRouteInput{MeshName: app, MeshOwner: owner, VirtualRouterName: aws.String("own"), RouteName: aws.String("r"), Spec: tcpTo("consumerAccount")})
			},
			"the owner adds a route to a consumer's router": func() (any, error) {
				return w.CreateRoute(ctx, &appmesh.CreateRouteInput{MeshName: app, VirtualRouterName: aws.String("theirs"), RouteName: aws.String("s"), Spec: tcpTo("own")})
			},
			"a consumer makes a virtual gateway": func() (any, error) {
				return consumer.CreateVirtualGateway(ctx, &appmesh.CreateVirtualGatewayInput{MeshName: app, MeshOwner: owner, VirtualGatewayName: aws.String("g"), Spec: &types.VirtualGatewaySpec{Listeners: []types.VirtualGatewayListener{}}})
			},
		} {
			t.Run(name, func(t *testing.T) { mustRefuse(w, "ForbiddenException", call, "belongs to account") })
		}
		for _, operation := range []string{"UpdateVirtualNode", "CreateRoute"} {
			if c := w.calls[operation].Resources[0]; c.Shared {
				t.Errorf("%s: %+v", operation, c)
			}
		}
	})
	t.Run("tags are private to the owner of a resource", func(t *testing.T) {
		arn := aws.String("arn:aws:appmesh:us-west-2:" + consumerAccount + ":mesh/app/virtualNode/theirs")
		must[any](w)(consumer.TagResource(ctx, &appmesh.TagResourceInput{ResourceArn: arn, Tags: []types.TagRef{{Key: aws.String("team"), Value: aws.String("blue")}}}))
		if tags := must[*appmesh.ListTagsForResourceOutput](w)(consumer.ListTagsForResource(ctx, &appmesh.ListTagsForResourceInput{ResourceArn: arn})).Tags; len(tags) != 1 {
			t.Errorf("%+v", tags)
		}
		mustRefuse(w, "ForbiddenException", func() (any, error) {
			return w.ListTagsForResource(ctx, &appmesh.ListTagsForResourceInput{ResourceArn: arn})
		}, "another account")
		// Nor does a condition of the mesh owner's policies see them.
		must[any](w)(w.DescribeVirtualNode(ctx, &appmesh.DescribeVirtualNodeInput{MeshName: app, VirtualNodeName: aws.String("theirs")}))
		if c := w.calls["DescribeVirtualNode"].Resources[0]; !c.Shared || len(c.Keys) != 0 {
			t.Errorf("%+v", c)
		}
		must[any](w)(consumer.DescribeVirtualNode(ctx, &appmesh.DescribeVirtualNodeInput{MeshName: app, MeshOwner: owner, VirtualNodeName: aws.String("theirs")}))
		if c := w.calls["DescribeVirtualNode"].Resources[0]; c.Shared || len(c.Keys) != 1 || c.Keys[0].Name != "aws:ResourceTag/team" {
			t.Errorf("%+v", c)
		}
		// The mesh of the same name that the consumer owns has an ARN of its own.
		must[any](w)(consumer.TagResource(ctx, &appmesh.TagResourceInput{ResourceArn: aws.String("arn:aws:appmesh:us-west-2:" + consumerAccount + ":mesh/app"), Tags: []types.TagRef{{Key: aws.String("a"), Value: aws.String("b")}}}))
	})
	t.Run("a mesh that is not shared is not there", func(t *testing.T) {
		for name, call := range map[string]func() (any, error){
			"mesh": func() (any, error) {
				return other.DescribeMesh(ctx, &appmesh.DescribeMeshInput{MeshName: app, MeshOwner: owner})
			},
			"nodes": func() (any, error) {
				return other.ListVirtualNodes(ctx, &appmesh.ListVirtualNodesInput{MeshName: app, MeshOwner: owner})
			},
			"create": func() (any, error) {
				return other.CreateVirtualNode(ctx, &appmesh.CreateVirtualNodeInput{MeshName: app, MeshOwner: owner, VirtualNodeName: aws.String("x"), Spec: &types.VirtualNodeSpec{}})
			},
		} {
			t.Run(name, func(t *testing.T) { mustRefuse(w, "NotFoundException", call, "There is no Mesh with name app") })
		}
		if c := w.calls["DescribeMesh"].Resources[0]; c.Shared || c.ARN != "arn:aws:appmesh:us-west-2:"+w.account+":mesh/app" {
			t.Errorf("%+v", c)
		}
		if meshes := must[*appmesh.ListMeshesOutput](w)(other.ListMeshes(ctx, &appmesh.ListMeshesInput{})).Meshes; len(meshes) != 0 {
			t.Errorf("%+v", meshes)
		}
	})
	t.Run("after unsharing only the mesh's owner gets at a consumer's resources, and may delete them", func(t *testing.T) {
		w.share("app")
		mustRefuse(w, "NotFoundException", func() (any, error) {
			return consumer.DescribeVirtualNode(ctx, &appmesh.DescribeVirtualNodeInput{MeshName: app, MeshOwner: owner, VirtualNodeName: aws.String("theirs")})
		})
		mustRefuse(w, "ResourceInUseException", func() (any, error) {
			return w.DeleteMesh(ctx, &appmesh.DeleteMeshInput{MeshName: app})
		}, "Mesh app for account "+w.account+" has active VirtualNodes, please delete VirtualNodes before deleting the Mesh")
		must[any](w)(w.DeleteVirtualNode(ctx, &appmesh.DeleteVirtualNodeInput{MeshName: app, VirtualNodeName: aws.String("theirs")}))
		if c := w.calls["DeleteVirtualNode"].Resources[0]; !c.Shared {
			t.Errorf("%+v", c)
		}
		must[any](w)(w.DeleteRoute(ctx, &appmesh.DeleteRouteInput{MeshName: app, VirtualRouterName: aws.String("theirs"), RouteName: aws.String("r")}))
		must[any](w)(w.DeleteVirtualRouter(ctx, &appmesh.DeleteVirtualRouterInput{MeshName: app, VirtualRouterName: aws.String("theirs")}))
	})
}

// tcpTo is a route to a virtual node.
func tcpTo(node string) *types.RouteSpec {
	return &types.RouteSpec{TcpRoute: &types.TcpRoute{Action: &types.TcpRouteAction{WeightedTargets: []types.WeightedTarget{{VirtualNode: &node, Weight: 1}}}}}
}
