//go:build conformance

package conformance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/appmesh"
	"github.com/aws/aws-sdk-go-v2/service/appmesh/types"
)

// meshSpecs are the specs of one resource of each kind, as the AWS CLI and boto3
// take them: a gateway in front of a service that a router leads to a node.
var meshSpecs = map[string]string{
	"node": `{"serviceDiscovery":{"dns":{"hostname":"colors.local","responseType":"ENDPOINTS"}},
		"listeners":[{"portMapping":{"port":8080,"protocol":"http"},"healthCheck":{"protocol":"http","path":"/ping","healthyThreshold":2,"unhealthyThreshold":2,"timeoutMillis":2000,"intervalMillis":5000},
			"timeout":{"http":{"perRequest":{"unit":"s","value":0}}}}],
		"backends":[{"virtualService":{"virtualServiceName":"other.local","clientPolicy":{"tls":{"enforce":false,"ports":[],"validation":{"trust":{"file":{"certificateChain":"/ca.pem"}}}}}}}],
		"logging":{"accessLog":{"file":{"path":"/dev/stdout","format":{"text":"%START_TIME% %REQ(:path)%\n"}}}}}`,
	"router":  `{"listeners":[{"portMapping":{"port":8080,"protocol":"http"}}]}`,
	"route":   `{"priority":0,"httpRoute":{"match":{"prefix":"/","headers":[{"name":"x-color","invert":false,"match":{"range":{"start":0,"end":5}}}]},"action":{"weightedTargets":[{"virtualNode":"colors","weight":1}]},"retryPolicy":{"maxRetries":0,"perRetryTimeout":{"unit":"ms","value":100},"httpRetryEvents":["server-error"]}}}`,
	"service": `{"provider":{"virtualRouter":{"virtualRouterName":"colors"}}}`,
	"gateway": `{"listeners":[{"portMapping":{"port":9080,"protocol":"http"}}]}`,
	"entry":   `{"httpRoute":{"match":{"prefix":"/colors/"},"action":{"target":{"virtualService":{"virtualServiceName":"colors.local"}},"rewrite":{"prefix":{"defaultPrefix":"DISABLED"}}}}}`,
}

// sameJSON compares what was sent with what came back.
func sameJSON(t *testing.T, what, sent string, got any) {
	t.Helper()
	var want any
	if err := json.Unmarshal([]byte(sent), &want); err != nil {
		t.Fatal(err)
	}
	a, _ := json.Marshal(want)
	b, _ := json.Marshal(got)
	if string(a) != string(b) {
		t.Errorf("%s was sent as\n%s\nand came back as\n%s", what, a, b)
	}
}

// TestMesh makes a whole mesh with every client, and takes it down again.
func TestMesh(t *testing.T) {
	in := start(t)
	admin := in.administrator(account)
	t.Run("AWS CLI", func(t *testing.T) { meshWithCLI(t, in, admin) })
	t.Run("boto3", func(t *testing.T) { meshWithBoto(t, in, admin) })
	t.Run("AWS SDK for Go", func(t *testing.T) { meshWithSDK(t, in, admin) })
	if left := in.aws(admin, "appmesh", "list-meshes")["meshes"].([]any); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

func meshWithCLI(t *testing.T, in *installation, admin identity) {
	const mesh = "cli"
	call := func(operation string, args ...string) map[string]any {
		t.Helper()
		return in.aws(admin, append([]string{"appmesh", operation}, args...)...)
	}
	if m := call("create-mesh", "--mesh-name", mesh, "--tags", "key=team,value=blue")["mesh"].(map[string]any); m["status"].(map[string]any)["status"] != "ACTIVE" || len(m["spec"].(map[string]any)) != 0 {
		t.Errorf("create-mesh answered %v", m)
	}
	resources := []struct{ operation, member, spec, name string }{
		{"virtual-node", "virtualNode", "node", "colors"},
		{"virtual-router", "virtualRouter", "router", "colors"},
		{"route", "route", "route", "red"},
		{"virtual-service", "virtualService", "service", "colors.local"},
		{"virtual-gateway", "virtualGateway", "gateway", "edge"},
		{"gateway-route", "gatewayRoute", "entry", "colors"},
	}
	args := func(n int) []string {
		r := resources[n]
		out := []string{"--mesh-name", mesh, "--" + r.operation + "-name", r.name}
		switch r.operation {
		case "route":
			out = append(out, "--virtual-router-name", "colors")
		case "gateway-route":
			out = append(out, "--virtual-gateway-name", "edge")
		}
		return out
	}
	for n, r := range resources {
		spec := append(args(n), "--spec", meshSpecs[r.spec])
		made := call("create-"+r.operation, spec...)[r.member].(map[string]any)
		sameJSON(t, r.member, meshSpecs[r.spec], made["spec"])
		if version := call("update-"+r.operation, spec...)[r.member].(map[string]any)["metadata"].(map[string]any)["version"]; version != 2.0 {
			t.Errorf("%s has version %v after an update", r.member, version)
		}
		described := call("describe-"+r.operation, args(n)...)[r.member].(map[string]any)
		sameJSON(t, r.member, meshSpecs[r.spec], described["spec"])
		if meta := described["metadata"].(map[string]any); meta["resourceOwner"] != account || meta["meshOwner"] != account || meta["uid"] != made["metadata"].(map[string]any)["uid"] {
			t.Errorf("%s: %v", r.member, meta)
		}
		mustContain(t, "the second of a name", in.awsFails(admin, append([]string{"appmesh", "create-" + r.operation}, spec...)...), "(ConflictException)", "already exists")
	}
	for i := range 3 {
		call("create-virtual-node", "--mesh-name", mesh, "--virtual-node-name", fmt.Sprint("n", i), "--spec", "{}")
	}
	if all := call("list-virtual-nodes", "--mesh-name", mesh, "--page-size", "1")["virtualNodes"].([]any); len(all) != 4 {
		t.Errorf("four virtual nodes, listed: %v", all)
	}
	arn := "arn:aws:appmesh:" + region + ":" + account + ":mesh/" + mesh
	call("tag-resource", "--resource-arn", arn, "--tags", "key=stage,value=test")
	call("untag-resource", "--resource-arn", arn, "--tag-keys", "team")
	sameJSON(t, "the tags", `[{"key":"stage","value":"test"}]`, call("list-tags-for-resource", "--resource-arn", arn)["tags"])

	fails := func(want, operation string, args ...string) {
		t.Helper()
		mustContain(t, operation, in.awsFails(admin, append([]string{"appmesh", operation}, args...)...), want)
	}
	fails("(ResourceInUseException) when calling the DeleteMesh operation: Mesh "+mesh+" for account "+account+" has active VirtualNodes, please delete VirtualNodes before deleting the Mesh", "delete-mesh", "--mesh-name", mesh)
	fails("VirtualRouter colors for account "+account+" has active Routes", "delete-virtual-router", "--mesh-name", mesh, "--virtual-router-name", "colors")
	fails("VirtualService colors.local is being referenced in the following: GATEWAY_ROUTE: [colors]", "delete-virtual-service", "--mesh-name", mesh, "--virtual-service-name", "colors.local")
	fails("(NotFoundException)", "describe-virtual-node", "--mesh-name", mesh, "--virtual-node-name", "gone")
	fails("(BadRequestException) when calling the CreateVirtualNode operation: spec.serviceDiscovery must be there", "create-virtual-node", "--mesh-name", mesh, "--virtual-node-name", "x",
		"--spec", `{"listeners":[{"portMapping":{"port":80,"protocol":"http"}}]}`)
	call("update-mesh", "--mesh-name", mesh, "--spec", "egressFilter={type=ALLOW_ALL}")

	for n, r := range slices.Backward(resources) { // what is needed goes last
		if got := call("delete-"+r.operation, args(n)...)[r.member].(map[string]any); got["status"].(map[string]any)["status"] != "DELETED" {
			t.Errorf("delete-%s answered %v", r.operation, got)
		}
	}
	for _, n := range []string{"n0", "n1", "n2"} {
		call("delete-virtual-node", "--mesh-name", mesh, "--virtual-node-name", n)
	}
	gone := call("delete-mesh", "--mesh-name", mesh)["mesh"].(map[string]any)
	if gone["status"].(map[string]any)["status"] != "DELETED" || gone["metadata"].(map[string]any)["version"] != 3.0 {
		t.Errorf("delete-mesh answered %v", gone)
	}
}

func meshWithBoto(t *testing.T, in *installation, admin identity) {
	specs, err := json.Marshal(meshSpecs)
	if err != nil {
		t.Fatal(err)
	}
	const script = `
import boto3, json, sys
specs = {k: json.loads(v) for k, v in json.load(open(sys.argv[1])).items()}
mesh = boto3.client("appmesh")
m = dict(meshName="boto")
mesh.create_mesh(**m, spec={"egressFilter": {"type": "DROP_ALL"}})
made = [
    mesh.create_virtual_node(**m, virtualNodeName="colors", spec=specs["node"])["virtualNode"]["spec"] == specs["node"],
    mesh.create_virtual_router(**m, virtualRouterName="colors", spec=specs["router"])["virtualRouter"]["spec"] == specs["router"],
    mesh.create_route(**m, virtualRouterName="colors", routeName="red", spec=specs["route"])["route"]["spec"] == specs["route"],
    mesh.create_virtual_service(**m, virtualServiceName="colors.local", spec=specs["service"])["virtualService"]["spec"] == specs["service"],
    mesh.create_virtual_gateway(**m, virtualGatewayName="edge", spec=specs["gateway"])["virtualGateway"]["spec"] == specs["gateway"],
    mesh.create_gateway_route(**m, virtualGatewayName="edge", gatewayRouteName="colors", spec=specs["entry"])["gatewayRoute"]["spec"] == specs["entry"],
]
assert all(made), made
assert mesh.describe_route(**m, virtualRouterName="colors", routeName="red")["route"]["spec"] == specs["route"]
n = mesh.describe_virtual_node(**m, virtualNodeName="colors")["virtualNode"]
assert n["metadata"]["version"] == 1 and n["metadata"]["createdAt"].year >= 2020, n
for i in range(3):
    mesh.create_virtual_node(**m, virtualNodeName="n%d" % i, spec={})
pages = mesh.get_paginator("list_virtual_nodes").paginate(**m, PaginationConfig={"PageSize": 2})
assert [[n["virtualNodeName"] for n in p["virtualNodes"]] for p in pages] == [["colors", "n0"], ["n1", "n2"]]
a = mesh.create_virtual_node(**m, virtualNodeName="once", spec={}, clientToken="t")
assert mesh.create_virtual_node(**m, virtualNodeName="once", spec={}, clientToken="t")["virtualNode"] == a["virtualNode"]
def fails(kind, call, **kw):
    try:
        call(**m, **kw)
    except kind as e:
        return str(e)
    raise AssertionError("succeeded")
x = mesh.exceptions
fails(x.ConflictException, mesh.create_virtual_node, virtualNodeName="twice", spec={}, clientToken="t")
fails(x.NotFoundException, mesh.describe_virtual_router, virtualRouterName="gone")
fails(x.ResourceInUseException, mesh.delete_mesh)
fails(x.BadRequestException, mesh.update_virtual_node, virtualNodeName="n0", spec={"logging": {"accessLog": {"file": {"path": "/a", "format": {"text": "%NOPE%"}}}}})
mesh.delete_gateway_route(**m, virtualGatewayName="edge", gatewayRouteName="colors")
mesh.delete_virtual_gateway(**m, virtualGatewayName="edge")
mesh.delete_virtual_service(**m, virtualServiceName="colors.local")
mesh.delete_route(**m, virtualRouterName="colors", routeName="red")
mesh.delete_virtual_router(**m, virtualRouterName="colors")
for n in ("colors", "once", "n0", "n1", "n2"):
    assert mesh.delete_virtual_node(**m, virtualNodeName=n)["virtualNode"]["status"]["status"] == "DELETED"
assert mesh.delete_mesh(**m)["mesh"]["status"]["status"] == "DELETED"
`
	dir := t.TempDir()
	for name, text := range map[string]string{"mesh.py": script, "specs.json": string(specs)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, errs, code := in.command(admin, filepath.Join(tools, "boto3", "bin", "python"), filepath.Join(dir, "mesh.py"), filepath.Join(dir, "specs.json"))
	if code != 0 {
		t.Errorf("boto3: exit %d\n%s", code, errs)
	}
}

func meshWithSDK(t *testing.T, in *installation, admin identity) {
	ctx := context.Background()
	client := appmesh.New(appmesh.Options{
		Region: region, BaseEndpoint: &in.api, Credentials: credentials.NewStaticCredentialsProvider(admin.id, admin.secret, admin.token),
	})
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	mesh, colors := aws.String("sdk"), aws.String("colors")
	must(client.CreateMesh(ctx, &appmesh.CreateMeshInput{MeshName: mesh}))
	node := &types.VirtualNodeSpec{
		ServiceDiscovery: &types.ServiceDiscoveryMemberDns{Value: types.DnsServiceDiscovery{Hostname: aws.String("colors.local")}},
		Listeners: []types.Listener{{
			PortMapping:    &types.PortMapping{Port: aws.Int32(8080), Protocol: types.PortProtocolGrpc},
			ConnectionPool: &types.VirtualNodeConnectionPoolMemberGrpc{Value: types.VirtualNodeGrpcConnectionPool{MaxRequests: aws.Int32(5)}},
		}},
	}
	must(client.CreateVirtualNode(ctx, &appmesh.CreateVirtualNodeInput{MeshName: mesh, VirtualNodeName: colors, Spec: node}))
	must(client.CreateVirtualRouter(ctx, &appmesh.CreateVirtualRouterInput{MeshName: mesh, VirtualRouterName: colors, Spec: &types.VirtualRouterSpec{}}))
	must(client.CreateRoute(ctx, &appmesh.CreateRouteInput{MeshName: mesh, VirtualRouterName: colors, RouteName: colors, Spec: &types.RouteSpec{
		GrpcRoute: &types.GrpcRoute{
			Match:  &types.GrpcRouteMatch{ServiceName: aws.String("colors.Colors"), MethodName: aws.String("Get")},
			Action: &types.GrpcRouteAction{WeightedTargets: []types.WeightedTarget{{VirtualNode: colors, Weight: 100}}},
		},
	}}))
	must(client.CreateVirtualService(ctx, &appmesh.CreateVirtualServiceInput{MeshName: mesh, VirtualServiceName: aws.String("colors.local"), Spec: &types.VirtualServiceSpec{
		Provider: &types.VirtualServiceProviderMemberVirtualRouter{Value: types.VirtualRouterServiceProvider{VirtualRouterName: colors}},
	}}))
	got, err := client.DescribeVirtualNode(ctx, &appmesh.DescribeVirtualNodeInput{MeshName: mesh, VirtualNodeName: colors})
	must(got, err)
	if pool, ok := got.VirtualNode.Spec.Listeners[0].ConnectionPool.(*types.VirtualNodeConnectionPoolMemberGrpc); !ok || *pool.Value.MaxRequests != 5 {
		t.Errorf("%+v", got.VirtualNode.Spec.Listeners[0])
	}
	_, err = client.CreateRoute(ctx, &appmesh.CreateRouteInput{MeshName: mesh, VirtualRouterName: colors, RouteName: aws.String("x"), Spec: &types.RouteSpec{
		TcpRoute: &types.TcpRoute{Action: &types.TcpRouteAction{WeightedTargets: []types.WeightedTarget{{VirtualNode: aws.String("gone"), Weight: 1}}}},
	}})
	if _, ok := errors.AsType[*types.NotFoundException](err); !ok {
		t.Errorf("a route to nowhere: %v", err)
	}
	_, err = client.DeleteVirtualRouter(ctx, &appmesh.DeleteVirtualRouterInput{MeshName: mesh, VirtualRouterName: colors})
	if _, ok := errors.AsType[*types.ResourceInUseException](err); !ok {
		t.Errorf("a router in use: %v", err)
	}
	must(client.DeleteVirtualService(ctx, &appmesh.DeleteVirtualServiceInput{MeshName: mesh, VirtualServiceName: aws.String("colors.local")}))
	must(client.DeleteRoute(ctx, &appmesh.DeleteRouteInput{MeshName: mesh, VirtualRouterName: colors, RouteName: colors}))
	must(client.DeleteVirtualRouter(ctx, &appmesh.DeleteVirtualRouterInput{MeshName: mesh, VirtualRouterName: colors}))
	must(client.DeleteVirtualNode(ctx, &appmesh.DeleteVirtualNodeInput{MeshName: mesh, VirtualNodeName: colors}))
	must(client.DeleteMesh(ctx, &appmesh.DeleteMeshInput{MeshName: mesh}))
}

// TestMeshAccess: calls need their permissions, sharing lets another account in and
// no further, and all of it survives the server.
func TestMeshAccess(t *testing.T) {
	const consumer = "444455556666"
	config := filepath.Join(t.TempDir(), "latchwork.yaml")
	if err := os.WriteFile(config, []byte("accounts:\n- id: \""+consumer+"\"\nmesh-quotas:\n  virtual-nodes: 3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	in := start(t, "--config", config)
	owner, other := in.administrator(account), in.administrator(consumer)
	mesh := func(who identity, args ...string) map[string]any {
		t.Helper()
		return in.aws(who, append([]string{"appmesh"}, args...)...)
	}
	fails := func(who identity, args ...string) string {
		t.Helper()
		return in.awsFails(who, append([]string{"appmesh"}, args...)...)
	}
	arn := func(account, path string) string {
		return "arn:aws:appmesh:" + region + ":" + account + ":mesh/app" + path
	}
	mesh(owner, "create-mesh", "--mesh-name", "app")
	for _, n := range []string{"open", "closed"} {
		mesh(owner, "create-virtual-node", "--mesh-name", "app", "--virtual-node-name", n, "--spec", "{}")
	}
	mesh(owner, "create-virtual-router", "--mesh-name", "app", "--virtual-router-name", "r", "--spec", "{}")

	// A user with a policy on part of the mesh.
	in.aws(owner, "iam", "create-user", "--user-name", "bob")
	key := in.aws(owner, "iam", "create-access-key", "--user-name", "bob")["AccessKey"].(map[string]any)
	bob := identity{id: key["AccessKeyId"].(string), secret: key["SecretAccessKey"].(string)}
	mustContain(t, "a denial", fails(bob, "describe-virtual-node", "--mesh-name", "app", "--virtual-node-name", "open"),
		"(AccessDeniedException)", "User: arn:aws:iam::"+account+":user/bob is not authorized to perform: appmesh:DescribeVirtualNode on resource: "+arn(account, "/virtualNode/open"))
	in.aws(owner, "iam", "put-user-policy", "--user-name", "bob", "--policy-name", "p", "--policy-document",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"appmesh:*","Resource":["`+arn(account, "/virtualNode/open")+`","`+arn(account, "/virtualRouter/*")+`"]},`+
			`{"Effect":"Deny","Action":"appmesh:DeleteVirtualNode","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/keep":"yes"}}}]}`)
	mesh(bob, "describe-virtual-node", "--mesh-name", "app", "--virtual-node-name", "open")
	mustContain(t, "a list", fails(bob, "list-meshes"), "(AccessDeniedException)", "appmesh:ListMeshes")
	// A route needs the permission on the node that it leads to.
	to := func(node string) []string {
		return []string{
			"create-route", "--mesh-name", "app", "--virtual-router-name", "r", "--route-name", "to-" + node,
			"--spec", `{"tcpRoute":{"action":{"weightedTargets":[{"virtualNode":"` + node + `","weight":1}]}}}`,
		}
	}
	mesh(bob, to("open")...)
	mustContain(t, "a route to a node of others", fails(bob, to("closed")...), "(AccessDeniedException)", "appmesh:CreateRoute on resource: "+arn(account, "/virtualNode/closed"))
	mesh(owner, "tag-resource", "--resource-arn", arn(account, "/virtualNode/open"), "--tags", "key=keep,value=yes")
	mustContain(t, "a tag", fails(bob, "delete-virtual-node", "--mesh-name", "app", "--virtual-node-name", "open"), "with an explicit deny")

	// Another account.
	with := []string{"--mesh-name", "app", "--mesh-owner", account}
	mustContain(t, "a mesh that is not shared", fails(other, append([]string{"describe-mesh"}, with...)...), "(AccessDeniedException)", arn(account, ""))
	latchwork := func(who identity, want int, args ...string) string {
		t.Helper()
		out, errs, code := in.command(who, binary, append([]string{"mesh"}, args...)...)
		if code != want {
			t.Errorf("latchwork mesh %s: exit %d\n%s%s", strings.Join(args, " "), code, out, errs)
		}
		return out + errs
	}
	mustContain(t, "sharing without permission", latchwork(bob, 1, "share", "--data-dir", in.dir, "--mesh", "app", "--with", consumer), "appmesh:PutMeshPolicy on resource: "+arn(account, ""))
	mustContain(t, "latchwork mesh share", latchwork(owner, 0, "share", "--data-dir", in.dir, "--mesh", "app", "--with", consumer+",999999999999"), "mesh app is shared with "+consumer+", 999999999999")
	if m := mesh(other, append([]string{"describe-mesh"}, with...)...)["mesh"].(map[string]any)["metadata"].(map[string]any); m["meshOwner"] != account || m["resourceOwner"] != account {
		t.Errorf("%v", m)
	}
	mesh(other, append([]string{"describe-virtual-node", "--virtual-node-name", "open"}, with...)...)
	made := mesh(other, append([]string{"create-virtual-node", "--virtual-node-name", "theirs", "--spec", "{}"}, with...)...)["virtualNode"].(map[string]any)
	if meta := made["metadata"].(map[string]any); meta["arn"] != arn(consumer, "/virtualNode/theirs") || meta["resourceOwner"] != consumer || meta["meshOwner"] != account {
		t.Errorf("%v", meta)
	}
	mustContain(t, "a fourth node", fails(other, append([]string{"create-virtual-node", "--virtual-node-name", "fourth", "--spec", "{}"}, with...)...), "(LimitExceededException)", "can have 3 VirtualNodes")
	mustContain(t, "to change what is of others", fails(other, append([]string{"update-virtual-node", "--virtual-node-name", "open", "--spec", "{}"}, with...)...), "(AccessDeniedException)", arn(account, "/virtualNode/open"))
	mustContain(t, "to change what is of others", fails(owner, "update-virtual-node", "--mesh-name", "app", "--virtual-node-name", "theirs", "--spec", "{}"), "(AccessDeniedException)", arn(consumer, "/virtualNode/theirs"))
	mustContain(t, "a gateway of a consumer", fails(other, append([]string{"create-virtual-gateway", "--virtual-gateway-name", "g", "--spec", `{"listeners":[]}`}, with...)...), "(ForbiddenException)")
	mustContain(t, "tags of others", fails(owner, "list-tags-for-resource", "--resource-arn", arn(consumer, "/virtualNode/theirs")), "(AccessDeniedException)")

	in.kill()
	in.run()
	if m := mesh(other, "list-meshes")["meshes"].([]any); len(m) != 1 {
		t.Errorf("after a crash: %v", m)
	}
	mustContain(t, "latchwork mesh unshare", latchwork(owner, 0, "unshare", "--data-dir", in.dir, "--mesh", "app", "--with", consumer+",999999999999", "-o", "json"), `"sharedWith": []`)
	mustContain(t, "a mesh that is shared no longer", fails(other, append([]string{"describe-virtual-node", "--virtual-node-name", "theirs"}, with...)...), "(AccessDeniedException)")
	mesh(owner, "delete-virtual-node", "--mesh-name", "app", "--virtual-node-name", "theirs")
}
