package mesh

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/appmesh"
	"github.com/aws/aws-sdk-go-v2/service/appmesh/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"github.com/latchwork/latchwork/internal/awsapi"
)

// TestDeleteInUse: what is needed stays.
// Sources: App Mesh User Guide, the pages on deleting each kind; the texts are what
// users have reported of App Mesh.
func TestDeleteInUse(t *testing.T) {
	w := newWorld(t)
	w.furnish()
	w.put("/meshes/app/virtualRouter/bare/routes", `{"routeName":"r","spec":{"tcpRoute":{"action":{"weightedTargets":[{"virtualNode":"bare","weight":1}]}}}}`)
	w.put("/meshes/app/virtualGateway/g/gatewayRoutes", `{"gatewayRouteName":"r","spec":{"httpRoute":{"match":{"prefix":"/"},"action":{"target":{"virtualService":{"virtualServiceName":"none.local"}}}}}}`)
	for _, blocked := range []struct{ path, want string }{
		{"/meshes/app", "Mesh app for account " + w.account + " has active VirtualNodes, please delete VirtualNodes before deleting the Mesh"},
		{"/meshes/app/virtualNodes/n", "VirtualNode with name n cannot be deleted because it is a VirtualService provider"},
		{"/meshes/app/virtualNodes/bare", "VirtualNode with name bare cannot be deleted because it is used by Route r of VirtualRouter bare"},
		{"/meshes/app/virtualRouters/bare", "VirtualRouter bare for account " + w.account + " has active Routes, please delete Routes before deleting the VirtualRouter"},
		{"/meshes/app/virtualRouters/all", "VirtualRouter with name all cannot be deleted because it is a VirtualService provider"},
		{"/meshes/app/virtualGateways/g", "VirtualGateway g for account " + w.account + " has active GatewayRoutes, please delete GatewayRoutes before deleting the VirtualGateway"},
		{"/meshes/app/virtualServices/none.local", "VirtualService none.local is being referenced in the following: GATEWAY_ROUTE: [r]"},
	} {
		before := w.contents()
		if status, text := w.raw("DELETE", blocked.path, ""); status != 409 || !strings.Contains(text, blocked.want) {
			t.Errorf("%s: %d %s", blocked.path, status, text)
		}
		if w.contents() != before {
			t.Errorf("%s: changed the store", blocked.path)
		}
	}
	// A backend does not hold a virtual service.
	w.put("/meshes/app/virtualServices", `{"virtualServiceName":"backend.local","spec":{}}`)
	w.put("/meshes/app/virtualNodes", `{"virtualNodeName":"client","spec":{"backends":[{"virtualService":{"virtualServiceName":"backend.local"}}]}}`)
	// In this order everything goes.
	for _, path := range []string{
		"virtualServices/backend.local", "virtualNodes/client", "virtualGateway/g/gatewayRoutes/r", "virtualGateways/g", "virtualGateways/two",
		"virtualRouter/bare/routes/r", "virtualServices/node.local", "virtualServices/multi.local", "virtualServices/none.local",
		"virtualRouters/bare", "virtualRouters/http", "virtualRouters/all", "virtualNodes/n", "virtualNodes/multi", "virtualNodes/bare", "",
	} {
		path = strings.TrimSuffix("/meshes/app/"+path, "/")
		if status, text := w.raw("DELETE", path, ""); status != 200 {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
	if left := w.contents(); left != "" {
		t.Errorf("left: %s", left)
	}
}

// TestAtOnce: of two calls at once that cannot both be right, one is refused.
func TestAtOnce(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Quotas.VirtualNodes = 2 })
	w.mesh("app")
	w.put("/meshes/app/virtualRouters", `{"virtualRouterName":"r","spec":{}}`)
	const node, route = `{"virtualNodeName":"n","spec":{}}`, `{"routeName":"x","spec":{"tcpRoute":{"action":{"weightedTargets":[{"virtualNode":"n","weight":1}]}}}}`
	type call struct{ method, path, body string }
	both := func(calls ...call) (succeeded []string) {
		var mu sync.Mutex
		var running sync.WaitGroup
		for _, c := range calls {
			running.Go(func() {
				if status, _ := w.raw(c.method, c.path, c.body); status == 200 {
					mu.Lock()
					defer mu.Unlock()
					succeeded = append(succeeded, c.method+" "+c.path)
				}
			})
		}
		running.Wait()
		return succeeded
	}
	for range 15 {
		if done := both(call{"PUT", "/meshes/app/virtualNodes", node}, call{"PUT", "/meshes/app/virtualNodes", node}); len(done) != 1 {
			t.Fatalf("a node was made %d times", len(done))
		}
		done := both(call{"PUT", "/meshes/app/virtualRouter/r/routes", route}, call{"DELETE", "/meshes/app/virtualNodes/n", ""})
		if len(done) != 1 {
			t.Fatalf("a route to a node and the node's delete: %v succeeded", done)
		}
		w.raw("DELETE", "/meshes/app/virtualRouter/r/routes/x", "")
		w.raw("DELETE", "/meshes/app/virtualNodes/n", "")
		if done := both(
			call{"PUT", "/meshes/app/virtualNodes", `{"virtualNodeName":"a","spec":{}}`}, call{"PUT", "/meshes/app/virtualNodes", `{"virtualNodeName":"b","spec":{}}`},
			call{"PUT", "/meshes/app/virtualNodes", `{"virtualNodeName":"c","spec":{}}`},
		); len(done) != 2 {
			t.Fatalf("%v succeeded, the quota is 2", done)
		}
		for _, name := range []string{"a", "b", "c"} {
			w.raw("DELETE", "/meshes/app/virtualNodes/"+name, "")
		}
	}
}

// TestQuotas. Source: AWS General Reference, "AWS App Mesh endpoints and quotas".
func TestQuotas(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		c.Quotas = Quotas{Meshes: 1, VirtualNodes: 1, VirtualRouters: 1, VirtualServices: 1, VirtualGateways: 1, Routes: 1, GatewayRoutes: 1, Backends: 1, Listeners: 1}
	})
	w.mesh("app")
	for i, path := range []string{
		"/meshes meshName", "/meshes/app/virtualNodes virtualNodeName", "/meshes/app/virtualRouters virtualRouterName",
		"/meshes/app/virtualServices virtualServiceName", "/meshes/app/virtualGateways virtualGatewayName",
		"/meshes/app/virtualRouter/a/routes routeName", "/meshes/app/virtualGateway/a/gatewayRoutes gatewayRouteName",
	} {
		path, member, _ := strings.Cut(path, " ")
		spec := []string{
			`{}`, `{}`, `{}`, `{}`, `{"listeners":[]}`, `{"tcpRoute":{"action":{"weightedTargets":[{"virtualNode":"a","weight":1}]}}}`,
			`{"httpRoute":{"match":{"prefix":"/"},"action":{"target":{"virtualService":{"virtualServiceName":"a"}}}}}`,
		}[i]
		if i > 0 {
			w.put(path, fmt.Sprintf(`{%q:"a","spec":%s}`, member, spec))
		}
		before := w.contents()
		status, text := w.raw("PUT", path, fmt.Sprintf(`{%q:"b","spec":%s}`, member, spec))
		if status != 400 || !strings.Contains(text, " can have 1 ") {
			t.Errorf("%s: %d %s", path, status, text)
		}
		if w.contents() != before {
			t.Errorf("%s: changed the store", path)
		}
	}
	_, err := w.CreateVirtualNode(ctx, &appmesh.CreateVirtualNodeInput{MeshName: aws.String("app"), VirtualNodeName: aws.String("b"), Spec: &types.VirtualNodeSpec{}})
	if _, ok := errors.AsType[*types.LimitExceededException](err); !ok {
		t.Errorf("%v", err)
	}
	for path, spec := range map[string]string{
		"virtualNodes/a":    `{"backends":[{"virtualService":{"virtualServiceName":"a"}},{"virtualService":{"virtualServiceName":"b"}}]}`,
		"virtualRouters/a":  `{"listeners":[` + listener(1, "http") + "," + listener(2, "http") + `]}`,
		"virtualGateways/a": `{"listeners":[` + listener(1, "http") + "," + listener(2, "http") + `]}`,
	} {
		if status, text := w.raw("PUT", "/meshes/app/"+path, `{"spec":`+spec+`}`); status != 400 || !strings.Contains(text, "can have 1 entries: there are 2") {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
	// A second mesh has numbers of its own, and -1 is no limit.
	free := newWorld(t, func(c *Config) { c.Quotas = Quotas{Meshes: Unlimited} })
	for i := range 16 {
		free.mesh(fmt.Sprintf("mesh%d", i))
	}
	most := newWorld(t)
	for i := range 15 {
		most.mesh(fmt.Sprintf("mesh%d", i))
	}
	mustRefuse(most, "LimitExceededException", func() (any, error) {
		return most.CreateMesh(ctx, &appmesh.CreateMeshInput{MeshName: aws.String("mesh15")})
	}, "can have 15 Meshes")
}

// TestTags. Source: App Mesh API Reference, TagResource.
func TestTags(t *testing.T) {
	w := newWorld(t)
	w.furnish()
	tag := func(pairs ...string) []types.TagRef {
		var out []types.TagRef
		for i := 0; i < len(pairs); i += 2 {
			out = append(out, types.TagRef{Key: &pairs[i], Value: &pairs[i+1]})
		}
		return out
	}
	w.put("/meshes/app/virtualRouter/http/routes", `{"routeName":"r","spec":{"httpRoute":{"match":{},"action":{"weightedTargets":[{"virtualNode":"n","weight":1}]}}}}`)
	w.put("/meshes/app/virtualGateway/g/gatewayRoutes", `{"gatewayRouteName":"r","spec":{"httpRoute":{"match":{"prefix":"/"},"action":{"target":{"virtualService":{"virtualServiceName":"node.local"}}}}}}`)
	arn := func(path string) *string {
		return aws.String("arn:aws:appmesh:" + region + ":" + w.account + ":" + path)
	}
	for _, path := range []string{
		"mesh/app", "mesh/app/virtualNode/n", "mesh/app/virtualRouter/http", "mesh/app/virtualRouter/http/route/r", "mesh/app/virtualService/node.local",
		"mesh/app/virtualGateway/g", "mesh/app/virtualGateway/g/gatewayRoute/r",
	} {
		must[any](w)(w.TagResource(ctx, &appmesh.TagResourceInput{ResourceArn: arn(path), Tags: tag("b", "2", "a", "1")}))
		must[any](w)(w.TagResource(ctx, &appmesh.TagResourceInput{ResourceArn: arn(path), Tags: tag("b", "3", "c", "")}))
		must[any](w)(w.UntagResource(ctx, &appmesh.UntagResourceInput{ResourceArn: arn(path), TagKeys: []string{"a", "gone"}}))
		got := must[*appmesh.ListTagsForResourceOutput](w)(w.ListTagsForResource(ctx, &appmesh.ListTagsForResourceInput{ResourceArn: arn(path)})).Tags
		if diff := cmp.Diff(tag("b", "3", "c", ""), got, ignore); diff != "" {
			t.Errorf("%s: %s", path, diff)
		}
	}
	// Tags are no part of the resource: its version stays.
	if n := must[*appmesh.DescribeVirtualNodeOutput](w)(w.DescribeVirtualNode(ctx, &appmesh.DescribeVirtualNodeInput{MeshName: aws.String("app"), VirtualNodeName: aws.String("n")})).VirtualNode; *n.Metadata.Version != 1 {
		t.Errorf("%+v", n.Metadata)
	}
	var many []types.TagRef
	for i := range 49 {
		many = append(many, types.TagRef{Key: aws.String(fmt.Sprint("k", i)), Value: aws.String("")})
	}
	mustRefuse(w, "TooManyTagsException", func() (any, error) {
		return w.TagResource(ctx, &appmesh.TagResourceInput{ResourceArn: arn("mesh/app"), Tags: many})
	}, "can have 50 tags: there would be 51")
	for name, c := range map[string]struct {
		tags []types.TagRef
		want string
	}{
		"reserved": {tag("AWS:a", "1"), `the tag key "AWS:a" begins with aws:, which is reserved`},
		"twice":    {tag("a", "1", "a", "2"), `the tag key "a" is there twice`},
		"too many": {append(many, tag("x", "", "y", "")...), "less than or equal to 50"},
	} {
		t.Run(name, func(t *testing.T) {
			mustRefuse(w, "BadRequestException", func() (any, error) {
				return w.TagResource(ctx, &appmesh.TagResourceInput{ResourceArn: arn("mesh/app"), Tags: c.tags})
			}, c.want)
			mustRefuse(w, "BadRequestException", func() (any, error) {
				return w.CreateMesh(ctx, &appmesh.CreateMeshInput{MeshName: aws.String("tagged"), Tags: c.tags})
			}, c.want)
		})
	}
	for name, c := range map[string]struct{ arn, code string }{
		"no ARN":          {"app", "BadRequestException"},
		"another service": {strings.Replace(*arn("mesh/app"), "appmesh", "ec2", 1), "BadRequestException"},
		"partition":       {strings.Replace(*arn("mesh/app"), "arn:aws:", "arn:aws-cn:", 1), "NotFoundException"},
		"region":          {strings.Replace(*arn("mesh/app"), region, "eu-west-1", 1), "NotFoundException"},
		"account":         {strings.Replace(*arn("mesh/app"), w.account, "999999999999", 1), "ForbiddenException"},
		"kind":            {*arn("mesh/app/node/n"), "NotFoundException"},
		"half a path":     {*arn("mesh/app/virtualNode"), "NotFoundException"},
		"mesh":            {*arn("mesh/gone"), "NotFoundException"},
		"name":            {*arn("mesh/app/virtualNode/gone"), "NotFoundException"},
		"longer path":     {*arn("mesh/app/virtualNode/n/x/y"), "NotFoundException"},
	} {
		t.Run(name, func(t *testing.T) {
			mustRefuse(w, c.code, func() (any, error) {
				return w.TagResource(ctx, &appmesh.TagResourceInput{ResourceArn: &c.arn, Tags: tag("x", "1")})
			})
		})
	}
}

// TestClientToken: a call that is repeated has one effect; one token for two calls
// is a conflict.
// Source: App Mesh API Reference, clientToken.
func TestClientToken(t *testing.T) {
	w := newWorld(t)
	w.mesh("app")
	in := &appmesh.CreateVirtualNodeInput{MeshName: aws.String("app"), VirtualNodeName: aws.String("n"), Spec: &types.VirtualNodeSpec{}, ClientToken: aws.String("t")}
	first := must[*appmesh.CreateVirtualNodeOutput](w)(w.CreateVirtualNode(ctx, in))
	again := must[*appmesh.CreateVirtualNodeOutput](w)(w.CreateVirtualNode(ctx, in))
	if diff := cmp.Diff(first.VirtualNode.Metadata, again.VirtualNode.Metadata, ignore); diff != "" {
		t.Error(diff)
	}
	mustRefuse(w, "ConflictException", func() (any, error) {
		other := *in
		other.VirtualNodeName = aws.String("m")
		return w.CreateVirtualNode(ctx, &other)
	}, "client token")
	update := &appmesh.UpdateVirtualNodeInput{MeshName: aws.String("app"), VirtualNodeName: aws.String("n"), Spec: &types.VirtualNodeSpec{}, ClientToken: aws.String("t")}
	must[any](w)(w.UpdateVirtualNode(ctx, update))
	if n := must[*appmesh.UpdateVirtualNodeOutput](w)(w.UpdateVirtualNode(ctx, update)).VirtualNode; *n.Metadata.Version != 2 {
		t.Errorf("version %d", *n.Metadata.Version)
	}
}

// TestPages: every list shows everything once, whatever the size of its pages, and
// as it was when it began.
func TestPages(t *testing.T) {
	w := newWorld(t)
	w.mesh("app")
	var want []string
	for i := range 5 {
		name := fmt.Sprint("n", i)
		want = append(want, name)
		w.put("/meshes/app/virtualNodes", fmt.Sprintf(`{"virtualNodeName":%q,"spec":{}}`, name))
	}
	for _, limit := range []int32{1, 2, 5, 100} {
		var got []string
		pages := appmesh.NewListVirtualNodesPaginator(w, &appmesh.ListVirtualNodesInput{MeshName: aws.String("app"), Limit: &limit})
		for pages.HasMorePages() {
			page := must[*appmesh.ListVirtualNodesOutput](w)(pages.NextPage(ctx))
			if len(page.VirtualNodes) > int(limit) {
				t.Errorf("a page of %d", len(page.VirtualNodes))
			}
			for _, n := range page.VirtualNodes {
				got = append(got, *n.VirtualNodeName)
			}
			if len(got) == int(limit) {
				// What goes meanwhile is still shown.
				w.raw("DELETE", "/meshes/app/virtualNodes/n4", "")
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%d at a time: %v", limit, got)
		}
		w.raw("PUT", "/meshes/app/virtualNodes", `{"virtualNodeName":"n4","spec":{}}`)
	}
	mustRefuse(w, "BadRequestException", func() (any, error) {
		return w.ListVirtualNodes(ctx, &appmesh.ListVirtualNodesInput{MeshName: aws.String("app"), NextToken: aws.String("x")})
	}, "Invalid NextToken")
	mustRefuse(w, "BadRequestException", func() (any, error) {
		return w.ListVirtualNodes(ctx, &appmesh.ListVirtualNodesInput{MeshName: aws.String("app"), Limit: aws.Int32(101)})
	})
	for _, path := range []string{"virtualNodes", "virtualRouters", "virtualServices", "virtualGateways"} {
		if status, text := w.raw("GET", "/meshes/gone/"+path, ""); status != 404 || !strings.Contains(text, "There is no Mesh with name gone") {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
	for path, noun := range map[string]string{"virtualRouter/gone/routes": "VirtualRouter", "virtualGateway/gone/gatewayRoutes": "VirtualGateway"} {
		if status, text := w.raw("GET", "/meshes/app/"+path, ""); status != 404 || !strings.Contains(text, "There is no "+noun+" with name gone") {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
}

// TestErrorsAreModelled: SDKs know the errors by their types.
func TestErrorsAreModelled(t *testing.T) {
	w := newWorld(t)
	_, err := w.DescribeMesh(ctx, &appmesh.DescribeMeshInput{MeshName: aws.String("gone")})
	var api smithy.APIError
	if _, ok := errors.AsType[*types.NotFoundException](err); !ok || !errors.As(err, &api) || api.ErrorMessage() != "There is no Mesh with name gone of account "+w.account {
		t.Errorf("%v", err)
	}
}

// TestAccess: what each operation is authorized on.
// Sources: Service Authorization Reference, "Actions, resources, and condition keys
// for AWS App Mesh"; App Mesh User Guide, "How AWS App Mesh works with IAM": routes
// need the permission on the virtual nodes that they lead to.
func TestAccess(t *testing.T) {
	w := newWorld(t)
	w.furnish()
	arn := func(path string) string { return "arn:aws:appmesh:" + region + ":" + w.account + ":mesh/app" + path }
	route := `"spec":{"httpRoute":{"match":{},"action":{"weightedTargets":[{"virtualNode":"n","weight":1},{"virtualNode":"bare","weight":1}]}}}`
	entry := `"spec":{"httpRoute":{"match":{"prefix":"/"},"action":{"target":{"virtualService":{"virtualServiceName":"node.local"}}}}}`
	const tags = `,"tags":[{"key":"team","value":"blue"}]`
	for _, call := range []struct{ method, path, body string }{
		{"PUT", "/meshes", `{"meshName":"second"` + tags + `}`},
		{"GET", "/meshes", ""},
		{"GET", "/meshes/app", ""},
		{"PUT", "/meshes/app", `{}`},
		{"PUT", "/meshes/app/virtualNodes", `{"virtualNodeName":"new","spec":{}` + tags + `}`},
		{"GET", "/meshes/app/virtualNodes", ""},
		{"GET", "/meshes/app/virtualNodes/new", ""},
		{"PUT", "/meshes/app/virtualNodes/new", `{"spec":{}}`},
		{"DELETE", "/meshes/app/virtualNodes/new", ""},
		{"PUT", "/meshes/app/virtualServices", `{"virtualServiceName":"s","spec":{"provider":{"virtualNode":{"virtualNodeName":"n"}}}}`},
		{"PUT", "/meshes/app/virtualServices/s", `{"spec":{"provider":{"virtualRouter":{"virtualRouterName":"http"}}}}`},
		{"GET", "/meshes/app/virtualServices", ""},
		{"GET", "/meshes/app/virtualRouters/http", ""},
		{"GET", "/meshes/app/virtualRouters", ""},
		{"PUT", "/meshes/app/virtualRouter/http/routes", `{"routeName":"r",` + route + `}`},
		{"PUT", "/meshes/app/virtualRouter/http/routes/r", `{` + route + `}`},
		{"GET", "/meshes/app/virtualRouter/http/routes/r", ""},
		{"GET", "/meshes/app/virtualRouter/http/routes", ""},
		{"DELETE", "/meshes/app/virtualRouter/http/routes/r", ""},
		{"GET", "/meshes/app/virtualGateways", ""},
		{"PUT", "/meshes/app/virtualGateway/g/gatewayRoutes", `{"gatewayRouteName":"r",` + entry + `}`},
		{"PUT", "/meshes/app/virtualGateway/g/gatewayRoutes/r", `{` + entry + `}`},
		{"GET", "/meshes/app/virtualGateway/g/gatewayRoutes", ""},
		{"PUT", "/tag?resourceArn=" + arn("/virtualService/s"), `{"tags":[{"key":"team","value":"blue"}]}`},
		{"GET", "/tags?resourceArn=" + arn("/virtualService/s"), ""},
		{"PUT", "/untag?resourceArn=" + arn("/virtualService/s"), `{"tagKeys":["team","x"]}`},
	} {
		if status, text := w.raw(call.method, call.path, call.body); status != 200 {
			t.Fatalf("%s %s: %d %s", call.method, call.path, status, text)
		}
	}
	team, brings := []string{"aws:ResourceTag/team=blue"}, []string{"aws:TagKeys=team", "aws:RequestTag/team=blue"}
	type resource struct {
		ARN  string
		Keys []string
	}
	for _, test := range []struct {
		operation string
		resources []resource
		keys      []string
	}{
		{"CreateMesh", []resource{{"arn:aws:appmesh:" + region + ":" + w.account + ":mesh/second", nil}}, brings},
		{"ListMeshes", []resource{{"*", nil}}, nil},
		{"DescribeMesh", []resource{{arn(""), nil}}, nil},
		{"UpdateMesh", []resource{{arn(""), nil}}, nil},
		{"CreateVirtualNode", []resource{{arn("/virtualNode/new"), nil}}, brings},
		{"ListVirtualNodes", []resource{{arn(""), nil}}, nil},
		{"DescribeVirtualNode", []resource{{arn("/virtualNode/new"), team}}, nil},
		{"UpdateVirtualNode", []resource{{arn("/virtualNode/new"), team}}, nil},
		{"DeleteVirtualNode", []resource{{arn("/virtualNode/new"), team}}, nil},
		{"CreateVirtualService", []resource{{arn("/virtualService/s"), nil}, {arn("/virtualNode/n"), nil}}, nil},
		{"UpdateVirtualService", []resource{{arn("/virtualService/s"), nil}, {arn("/virtualRouter/http"), nil}}, nil},
		{"ListVirtualServices", []resource{{arn(""), nil}}, nil},
		{"DescribeVirtualRouter", []resource{{arn("/virtualRouter/http"), nil}}, nil},
		{"CreateRoute", []resource{{arn("/virtualRouter/http/route/r"), nil}, {arn("/virtualNode/n"), nil}, {arn("/virtualNode/bare"), nil}}, nil},
		{"UpdateRoute", []resource{{arn("/virtualRouter/http/route/r"), nil}, {arn("/virtualNode/n"), nil}, {arn("/virtualNode/bare"), nil}}, nil},
		{"DescribeRoute", []resource{{arn("/virtualRouter/http/route/r"), nil}}, nil},
		{"ListRoutes", []resource{{arn("/virtualRouter/http"), nil}}, nil},
		{"DeleteRoute", []resource{{arn("/virtualRouter/http/route/r"), nil}}, nil},
		{"CreateGatewayRoute", []resource{{arn("/virtualGateway/g/gatewayRoute/r"), nil}, {arn("/virtualService/node.local"), nil}}, nil},
		{"UpdateGatewayRoute", []resource{{arn("/virtualGateway/g/gatewayRoute/r"), nil}, {arn("/virtualService/node.local"), nil}}, nil},
		{"ListGatewayRoutes", []resource{{arn("/virtualGateway/g"), nil}}, nil},
		{"TagResource", []resource{{arn("/virtualService/s"), nil}}, brings},
		{"ListTagsForResource", []resource{{arn("/virtualService/s"), team}}, nil},
		{"UntagResource", []resource{{arn("/virtualService/s"), team}}, []string{"aws:TagKeys=team,x"}},
	} {
		t.Run(test.operation, func(t *testing.T) {
			c := w.calls[test.operation]
			if c == nil {
				t.Fatal("was not authorized")
			}
			if c.Action != "appmesh:"+test.operation {
				t.Errorf("action %s", c.Action)
			}
			var got []resource
			for _, r := range c.Resources {
				if r.Shared {
					t.Errorf("%s is said to be shared", r.ARN)
				}
				got = append(got, resource{r.ARN, keysOf(r.Keys)})
			}
			if diff := cmp.Diff(test.resources, got); diff != "" {
				t.Errorf("resources (-want +got)\n%s", diff)
			}
			if diff := cmp.Diff(test.keys, keysOf(c.Keys)); diff != "" {
				t.Errorf("keys (-want +got)\n%s", diff)
			}
		})
	}
}

// keysOf shows condition keys as "name=value,value".
func keysOf(keys []awsapi.Key) []string {
	var out []string
	for _, k := range keys {
		out = append(out, k.Name+"="+strings.Join(k.Values, ","))
	}
	return out
}
