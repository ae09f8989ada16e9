package model

import "testing"

func TestParseMeshEndpoint(t *testing.T) {
	for _, arn := range []string{
		"arn:aws:appmesh:us-east-1:123456789012:mesh/app1/virtualNode/serviceBv1",
		"arn:aws:appmesh:us-east-1:123456789012:mesh/app1/virtualGateway/gw",
	} {
		e, ok := ParseMeshEndpoint(arn)
		if !ok || e.ARN() != arn {
			t.Errorf("%s became %+v %t", arn, e, ok)
		}
	}
	for _, arn := range []string{
		"",
		"mesh/app1/virtualNode/serviceBv1",
		"arn:aws:appmesh-preview:us-east-1:123456789012:mesh/app1/virtualNode/serviceBv1",
		"arn:aws:appmesh:us-east-1:123456789012:mesh/app1/virtualnode/serviceBv1",
		"arn:aws:appmesh:us-east-1:123456789012:mesh/app1/virtualRouter/r",
		"arn:aws:appmesh:us-east-1:123456789012:mesh/app1/virtualNode/",
		"arn:aws:appmesh:us-east-1:123456789012:mesh/app1/virtualNode/a/b",
		"arn:aws:appmesh:us-east-1::mesh/app1/virtualNode/a",
		"arn:aws:appmesh::123456789012:mesh/app1/virtualNode/a",
	} {
		if e, ok := ParseMeshEndpoint(arn); ok {
			t.Errorf("%s is taken for %+v", arn, e)
		}
	}
}
