package mesh

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/appmesh"
	"github.com/aws/aws-sdk-go-v2/service/appmesh/types"
	"github.com/google/go-cmp/cmp"
)

// TestLifecycle: metadata, versions and what is left after a delete.
// Source: App Mesh API Reference, ResourceMetadata; outputs in the AWS CLI command
// reference, appmesh.
func TestLifecycle(t *testing.T) {
	w := newWorld(t)
	arn := "arn:aws:appmesh:" + region + ":" + w.account + ":mesh/app"
	m := w.mesh("app")
	if *m.Metadata.Arn != arn || *m.Metadata.MeshOwner != w.account || *m.Metadata.ResourceOwner != w.account || *m.Metadata.Version != 1 || m.Status.Status != types.MeshStatusCodeActive || m.Spec == nil {
		t.Errorf("%+v", m)
	}
	mustRefuse(w, "ConflictException", func() (any, error) {
		return w.CreateMesh(ctx, &appmesh.CreateMeshInput{MeshName: aws.String("app")})
	}, "Mesh with name app already exists")
	changed := must[*appmesh.UpdateMeshOutput](w)(w.UpdateMesh(ctx, &appmesh.UpdateMeshInput{MeshName: aws.String("app"), Spec: &types.MeshSpec{EgressFilter: &types.EgressFilter{Type: types.EgressFilterTypeAllowAll}}})).Mesh
	if *changed.Metadata.Version != 2 || !changed.Metadata.LastUpdatedAt.After(*changed.Metadata.CreatedAt) || *changed.Metadata.Uid != *m.Metadata.Uid {
		t.Errorf("%+v", changed.Metadata)
	}
	if got := must[*appmesh.DescribeMeshOutput](w)(w.DescribeMesh(ctx, &appmesh.DescribeMeshInput{MeshName: aws.String("app")})).Mesh; cmp.Diff(changed.Metadata, got.Metadata, ignore) != "" || got.Spec.EgressFilter.Type != types.EgressFilterTypeAllowAll {
		t.Errorf("%+v", got)
	}

	for _, kind := range []struct{ list, item, name, spec, word string }{
		{"virtualNodes", "virtualNodes", "virtualNodeName", `{}`, "virtualNode"},
		{"virtualRouters", "virtualRouters", "virtualRouterName", `{}`, "virtualRouter"},
		{"virtualGateways", "virtualGateways", "virtualGatewayName", `{"listeners":[]}`, "virtualGateway"},
		{"virtualServices", "virtualServices", "virtualServiceName", `{}`, "virtualService"},
		{"virtualRouter/fixed/routes", "routes", "routeName", `{"tcpRoute":{"action":{"weightedTargets":[{"virtualNode":"fixed","weight":1}]}}}`, "virtualRouter/fixed/route"},
		{"virtualGateway/fixed/gatewayRoutes", "gatewayRoutes", "gatewayRouteName", `{"httpRoute":{"match":{"prefix":"/"},"action":{"target":{"virtualService":{"virtualServiceName":"fixed"}}}}}`, "virtualGateway/fixed/gatewayRoute"},
	} {
		t.Run(kind.name, func(t *testing.T) {
			if _, text := w.raw("GET", "/meshes/app/virtualNodes/fixed", ""); strings.Contains(text, "There is no") && strings.Contains(kind.list, "fixed") {
				w.put("/meshes/app/virtualNodes", `{"virtualNodeName":"fixed","spec":{}}`)
				w.put("/meshes/app/virtualRouters", `{"virtualRouterName":"fixed","spec":{}}`)
				w.put("/meshes/app/virtualGateways", `{"virtualGatewayName":"fixed","spec":{"listeners":[]}}`)
				w.put("/meshes/app/virtualServices", `{"virtualServiceName":"fixed","spec":{}}`)
			}
			path := "/meshes/app/" + kind.list
			body := fmt.Sprintf(`{%q:"one","spec":%s}`, kind.name, kind.spec)
			metadata := func(got map[string]any) map[string]any { return got["metadata"].(map[string]any) }
			made := w.put(path, body)
			if meta := metadata(made); meta["arn"] != arn+"/"+kind.word+"/one" || meta["version"] != 1.0 || made["meshName"] != "app" || made[kind.name] != "one" {
				t.Errorf("%v", made)
			}
			if status, text := w.raw("PUT", path, body); status != 409 || !strings.Contains(text, "with name one already exists") {
				t.Errorf("%d %s", status, text)
			}
			// An update with the same spec is one.
			again := w.put(path+"/one", body)
			if meta := metadata(again); meta["version"] != 2.0 || meta["uid"] != metadata(made)["uid"] || meta["createdAt"] != metadata(made)["createdAt"] || meta["lastUpdatedAt"].(float64) <= meta["createdAt"].(float64) {
				t.Errorf("%v", again)
			}
			status, text := w.raw("GET", path, "")
			var listed map[string][]map[string]any
			if err := json.Unmarshal([]byte(text), &listed); err != nil || status != 200 {
				t.Fatalf("%d %s", status, text)
			}
			if all := listed[kind.item]; len(all) == 0 || all[len(all)-1]["arn"] != arn+"/"+kind.word+"/one" || all[len(all)-1]["version"] != 2.0 || all[len(all)-1]["resourceOwner"] != w.account || all[len(all)-1][kind.name] != "one" {
				t.Errorf("%s", text)
			}
			status, text = w.raw("DELETE", path+"/one", "")
			if status != 200 || !strings.Contains(text, `"status":"DELETED"`) || !strings.Contains(text, `"version":3`) {
				t.Errorf("%d %s", status, text)
			}
			for _, method := range []string{"GET", "DELETE", "PUT"} {
				if status, text := w.raw(method, path+"/one", body); status != 404 || !strings.Contains(text, "with name one in Mesh app") {
					t.Errorf("%s answered %d %s", method, status, text)
				}
			}
			if meta := metadata(w.put(path, body)); meta["version"] != 1.0 || meta["uid"] == metadata(made)["uid"] {
				t.Errorf("made again: %v", meta)
			}
		})
	}
	// Every write was waited for: it is in force when it is answered.
	if len(w.waited) < 2+6*4 {
		t.Errorf("%d writes were waited for", len(w.waited))
	}
}

// ignore passes over what an SDK keeps to itself.
var ignore = cmp.FilterPath(func(p cmp.Path) bool { return strings.Contains(p.GoString(), "noSmithyDocumentSerde") }, cmp.Ignore())
