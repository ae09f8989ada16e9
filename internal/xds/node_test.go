package xds

import (
	"net/netip"
	"strings"
	"testing"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/latchwork/latchwork/internal/xds/translate"
)

func TestParseNode(t *testing.T) {
	longest := strings.Repeat("n", 255)
	for id, want := range map[string]string{
		"arn:aws:appmesh:us-east-1:123456789012:mesh/" + longest + "/virtualGateway/" + longest: "arn:aws:appmesh:us-east-1:123456789012:mesh/" + longest + "/virtualGateway/" + longest,
		"mesh/M/virtualNode/" + strings.Repeat("n", maxNodeID):                                  "",
		"mesh/M/virtualNode/N\x1b[2J":                                                           "",
		"arn:aws:appmesh:us-east-1:123456789012:mesh/M/virtualNode/N":                           "arn:aws:appmesh:us-east-1:123456789012:mesh/M/virtualNode/N",
		"arn:aws:appmesh:us-east-1:123456789012:mesh/M/virtualGateway/G":                        "arn:aws:appmesh:us-east-1:123456789012:mesh/M/virtualGateway/G",
		"mesh/M/virtualNode/N":              "arn:aws:appmesh:eu-west-1:111111111111:mesh/M/virtualNode/N",
		"mesh/M@222222222222/virtualNode/N": "arn:aws:appmesh:eu-west-1:111111111111:mesh/M/virtualNode/N",
		"mesh/M/virtualRouter/R":            "",
		"mesh/M/virtualNode":                "",
		"mesh/M/virtualNode/N/x":            "",
		"mesh//virtualNode/N":               "",
		"N":                                 "",
		"":                                  "",
		"arn:aws-cn:appmesh:us-east-1:123456789012:mesh/M/virtualNode/N":      "",
		"arn:aws:appmesh-preview:us-east-1:123456789012:mesh/M/virtualNode/N": "",
		"arn:aws:appmesh:us-east-1:123456789012:virtualNode/N":                "",
	} {
		c, ok := parseNode(id, "aws", "111111111111", "eu-west-1")
		if ok != (want != "") || ok && c.endpoint.ARN() != want {
			t.Errorf("%q is %q %t, want %q", id, c.endpoint.ARN(), ok, want)
		}
		if owner := c.owner; ok && (owner == "222222222222") != (id == "mesh/M@222222222222/virtualNode/N") {
			t.Errorf("%q has owner %q", id, owner)
		}
	}
}

func TestParseProxy(t *testing.T) {
	node := func(fields map[string]any) *core.Node {
		s, err := structpb.NewStruct(map[string]any{"latchwork": fields})
		if err != nil {
			t.Fatal(err)
		}
		return &core.Node{Metadata: s}
	}
	for _, test := range []struct {
		node *core.Node
		want translate.Proxy
		bad  bool
	}{
		{&core.Node{}, translate.Proxy{}, false},
		{node(map[string]any{"interception": "transparent"}), translate.Proxy{}, false},
		{node(map[string]any{"interception": "explicit"}), translate.Proxy{Explicit: true}, false},
		{
			node(map[string]any{"interception": "explicit", "bind_address": "127.0.1.2", "app_address": "::1"}),
			translate.Proxy{Explicit: true, Bind: netip.MustParseAddr("127.0.1.2"), App: netip.MustParseAddr("::1")},
			false,
		},
		{node(map[string]any{"interception": "none"}), translate.Proxy{}, true},
		{node(map[string]any{"bind_address": "127.0.1.2"}), translate.Proxy{}, true},
		{node(map[string]any{"interception": "explicit", "bind_address": "localhost"}), translate.Proxy{}, true},
		{node(map[string]any{"interception": 1}), translate.Proxy{}, false},
	} {
		p, problem := parseProxy(test.node)
		if (problem != "") != test.bad || !test.bad && p != test.want {
			t.Errorf("%v: %+v %q", test.node, p, problem)
		}
	}
}
