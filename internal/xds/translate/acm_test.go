package translate

import (
	"slices"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/latchwork/latchwork/internal/model"
)

func TestUsesTLS(t *testing.T) {
	for spec, want := range map[string]bool{
		`{}`: false,
		`{listeners: [{portMapping: {port: 1, protocol: http}}]}`:               false,
		`{listeners: [{tls: {mode: DISABLED}}]}`:                                false,
		`{listeners: [{tls: {mode: DISABLED}}, {tls: {mode: STRICT}}]}`:         true,
		`{listeners: [{tls: {mode: PERMISSIVE}}]}`:                              true,
		`{backendDefaults: {clientPolicy: {}}}`:                                 false,
		`{backendDefaults: {clientPolicy: {tls: {enforce: false}}}}`:            true,
		`{backends: [{virtualService: {virtualServiceName: a}}]}`:               false,
		`{backends: [{virtualService: {clientPolicy: {tls: {ports: [1]}}}}]}`:   true,
		`{backends: [{virtualService: {}}], backendDefaults: {clientPolicy: }}`: false,
	} {
		n := &model.VirtualNode{}
		if err := yaml.Unmarshal([]byte("spec: "+spec), n); err != nil {
			t.Fatal(err)
		}
		if got := UsesTLS(n); got != want {
			t.Errorf("%s: %t", spec, got)
		}
	}
}

func TestACM(t *testing.T) {
	p := publish(t, parse(t, `
mesh: m
virtualNodes:
  node:
    listeners:
    - {portMapping: {port: 2, protocol: http}, tls: {mode: STRICT, certificate: {acm: {certificateArn: c2}}}}
    - {portMapping: {port: 1, protocol: http}, tls: {mode: PERMISSIVE, certificate: {acm: {certificateArn: c1}}}}
    - {portMapping: {port: 3, protocol: http}, tls: {mode: DISABLED, certificate: {acm: {certificateArn: c3}}}}
    - {portMapping: {port: 4, protocol: http}, tls: {mode: STRICT, certificate: {file: {certificateChain: /c, privateKey: /k}}}}
    backendDefaults: {clientPolicy: {tls: {validation: {trust: {acm: {certificateAuthorityArns: [a2, a1]}}}}}}
    backends:
    - virtualService: {virtualServiceName: a, clientPolicy: {tls: {validation: {trust: {acm: {certificateAuthorityArns: [a3, a1]}}}}}}
    - virtualService: {virtualServiceName: b, clientPolicy: {tls: {validation: {trust: {file: {certificateChain: /ca}}}}}}
virtualGateways:
  gate:
    listeners: [{portMapping: {port: 2, protocol: http}, tls: {mode: STRICT, certificate: {acm: {certificateArn: c5}}}}]
    backendDefaults: {clientPolicy: {tls: {validation: {trust: {acm: {certificateAuthorityArns: [a5]}}}}}}
`))
	for _, c := range []struct {
		kind                      model.EndpointKind
		name                      string
		certificates, authorities []string
	}{
		{model.VirtualNodeEndpoint, "node", []string{"c1", "c2"}, []string{"a1", "a2", "a3"}},
		{model.VirtualGatewayEndpoint, "gate", []string{"c5"}, []string{"a5"}},
		{model.VirtualGatewayEndpoint, "node", nil, nil},
	} {
		certificates, authorities := ACM(p.mesh, p.endpoint(c.kind, c.name))
		if !slices.Equal(certificates, c.certificates) || !slices.Equal(authorities, c.authorities) {
			t.Errorf("%s %s: %v %v", c.kind, c.name, certificates, authorities)
		}
	}
	foreign := p.endpoint(model.VirtualNodeEndpoint, "node")
	foreign.Account = "999999999999"
	if certificates, _ := ACM(p.mesh, foreign); certificates != nil {
		t.Errorf("the certificates of another account's virtual node: %v", certificates)
	}
	if _, err := Endpoint(p.snap, p.mesh, foreign, Proxy{}, issuer{}); err == nil {
		t.Error("another account's virtual node was translated")
	}
}
