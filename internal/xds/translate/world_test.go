package translate

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"sync/atomic"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/latchwork/latchwork/internal/clock"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/snapshot"
	"github.com/latchwork/latchwork/internal/store"
	"github.com/latchwork/latchwork/internal/store/etcd"
	wire "github.com/latchwork/latchwork/internal/wire/appmesh"
)

// world is the store that all tests put their meshes in.
var world struct {
	store     *store.Store
	publisher *snapshot.Publisher
	meshes    atomic.Int64
}

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "translate")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		quiet := slog.New(slog.DiscardHandler)
		backend, err := etcd.Start(context.Background(), etcd.Embedded{Dir: dir, Prefix: "t/", Log: quiet})
		if err != nil {
			panic(err)
		}
		defer backend.Close()
		world.store = store.New(backend)
		world.publisher = snapshot.NewPublisher(snapshot.Config{
			Backend: backend, Clock: clock.System, Log: quiet, Settings: snapshot.Settings{Partition: "aws"},
			OpenSecret: func(*model.AccessKey) ([]byte, error) { return []byte("s"), nil },
		})
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { _ = world.publisher.Run(ctx); close(done) }()
		defer func() { cancel(); <-done }()
		return m.Run()
	}())
}

const region = "us-west-2"

// description is a mesh in the shapes of App Mesh's API, by names.
type description struct {
	Mesh            string                                       `json:"mesh"`
	Spec            *wire.MeshSpec                               `json:"spec,omitzero"`
	VirtualNodes    map[string]*wire.VirtualNodeSpec             `json:"virtualNodes,omitzero"`
	VirtualGateways map[string]*wire.VirtualGatewaySpec          `json:"virtualGateways,omitzero"`
	VirtualRouters  map[string]*wire.VirtualRouterSpec           `json:"virtualRouters,omitzero"`
	VirtualServices map[string]*wire.VirtualServiceSpec          `json:"virtualServices,omitzero"`
	Routes          map[string]map[string]*wire.RouteSpec        `json:"routes,omitzero"`        // by virtual router
	GatewayRoutes   map[string]map[string]*wire.GatewayRouteSpec `json:"gatewayRoutes,omitzero"` // by virtual gateway
	// Instances are those of AWS Cloud Map, by namespace and service.
	Instances map[string]map[string][]*model.Instance `json:"instances,omitzero"`
	// Proxies are what to translate: of each its endpoint, and how traffic gets to it.
	Proxies []proxyDescription `json:"proxies,omitzero"`
}

type proxyDescription struct {
	VirtualNode    string     `json:"virtualNode,omitzero"`
	VirtualGateway string     `json:"virtualGateway,omitzero"`
	Explicit       bool       `json:"explicit,omitzero"`
	Bind           netip.Addr `json:"bind,omitzero"`
	App            netip.Addr `json:"app,omitzero"`
}

func (p proxyDescription) proxy() Proxy { return Proxy{p.Explicit, p.Bind, p.App} }

// read is the description in a file.
func read(t testing.TB, file string) *description {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, string(text))
}

func parse(t testing.TB, text string) *description {
	t.Helper()
	d := &description{}
	if err := yaml.UnmarshalStrict([]byte(text), d); err != nil {
		t.Fatal(err)
	}
	return d
}

// published is a mesh in a snapshot.
type published struct {
	t       testing.TB
	snap    *snapshot.Snapshot
	mesh    *snapshot.Mesh
	account string
}

// publish puts a mesh into the world, in an account of its own.
func publish(t testing.TB, d *description) published {
	t.Helper()
	return put(t, d, fmt.Sprintf("%012d", world.meshes.Add(1)), true)
}

// put writes what a description has into the mesh of an account, the mesh itself only
// if whole.
func put(t testing.TB, d *description, account string, whole bool) published {
	t.Helper()
	key := func(parts ...string) string { return model.MeshKey(account, region, d.Mesh, parts...) }
	meta := func(path, name string) model.MeshMeta {
		m := model.MeshMeta{Mesh: d.Mesh, MeshOwner: account, Version: 1}
		m.Name, m.Account, m.Region = name, account, region
		m.ARN = model.Scope{Partition: "aws", Account: account, Region: region}.ARN(model.MeshService, "mesh/"+d.Mesh+path)
		return m
	}
	revision, err := world.store.Update(context.Background(), func(tx *store.Tx) error {
		if whole {
			if err := model.Meshes.Put(tx, key(), &model.Mesh{MeshMeta: meta("", d.Mesh), Spec: d.Spec}); err != nil {
				return err
			}
		}
		for name, spec := range d.VirtualNodes {
			if err := model.VirtualNodes.Put(tx, key(name), &model.VirtualNode{MeshMeta: meta("/virtualNode/"+name, name), Spec: spec}); err != nil {
				return err
			}
		}
		for name, spec := range d.VirtualGateways {
			if err := model.VirtualGateways.Put(tx, key(name), &model.VirtualGateway{MeshMeta: meta("/virtualGateway/"+name, name), Spec: spec}); err != nil {
				return err
			}
		}
		for name, spec := range d.VirtualRouters {
			if err := model.VirtualRouters.Put(tx, key(name), &model.VirtualRouter{MeshMeta: meta("/virtualRouter/"+name, name), Spec: spec}); err != nil {
				return err
			}
		}
		for name, spec := range d.VirtualServices {
			if err := model.VirtualServices.Put(tx, key(name), &model.VirtualService{MeshMeta: meta("/virtualService/"+name, name), Spec: spec}); err != nil {
				return err
			}
		}
		for router, routes := range d.Routes {
			for name, spec := range routes {
				if err := model.Routes.Put(tx, key(router, name), &model.Route{MeshMeta: meta("/virtualRouter/"+router+"/route/"+name, name), Router: router, Spec: spec}); err != nil {
					return err
				}
			}
		}
		for gateway, routes := range d.GatewayRoutes {
			for name, spec := range routes {
				if err := model.GatewayRoutes.Put(tx, key(gateway, name), &model.GatewayRoute{MeshMeta: meta("/virtualGateway/"+gateway+"/gatewayRoute/"+name, name), Gateway: gateway, Spec: spec}); err != nil {
					return err
				}
			}
		}
		scope := model.Scope{Account: account, Region: region}
		for name, services := range d.Instances {
			namespace := &model.Namespace{Meta: model.Meta{ID: "ns-" + name, Name: name, Account: account, Region: region}}
			if err := model.Namespaces.Put(tx, scope.Key(namespace.ID), namespace); err != nil {
				return err
			}
			for name, instances := range services {
				service := &model.CloudMapService{Meta: model.Meta{ID: "srv-" + name, Name: name, Account: account, Region: region}, Namespace: namespace.ID, NamespaceName: namespace.Name}
				if err := model.CloudMapServices.Put(tx, scope.Key(service.ID), service); err != nil {
					return err
				}
				for _, i := range instances {
					i.Service = service.ID
					if err := model.Instances.Put(tx, scope.Key(service.ID, i.ID), i); err != nil {
						return err
					}
				}
			}
		}
		return nil
	})
	return at(t, revision, err, account, d.Mesh)
}

// change is a mesh after a change to the store.
func change(t testing.TB, p published, fn func(*store.Tx) error) published {
	t.Helper()
	revision, err := world.store.Update(context.Background(), fn)
	return at(t, revision, err, p.account, p.mesh.Name)
}

// at is a mesh as an update of the store left it.
func at(t testing.TB, revision store.Revision, err error, account, mesh string) published {
	t.Helper()
	if err == nil {
		err = world.publisher.WaitFor(context.Background(), revision)
	}
	if err != nil {
		t.Fatal(err)
	}
	snap := world.publisher.Current()
	return published{t, snap, snap.Mesh(account, region, mesh), account}
}

func (p published) endpoint(kind model.EndpointKind, name string) model.MeshEndpoint {
	return model.MeshEndpoint{Partition: "aws", Region: region, Account: p.account, Mesh: p.mesh.Name, Kind: kind, Name: name}
}

func (p published) of(e model.MeshEndpoint, proxy Proxy) *Resources {
	p.t.Helper()
	r, err := Endpoint(p.snap, p.mesh, e, proxy, issuer{})
	if err != nil {
		p.t.Fatal(err)
	}
	return r
}

// issuer gives text that tells what it is instead of certificates.
type issuer struct{}

func (issuer) Issue(arn string, names []string) (chain, key []byte, err error) {
	return fmt.Appendf(nil, "chain of %s for %v", arn, names), fmt.Appendf(nil, "key of %s", arn), nil
}

func (issuer) CA(arn string) ([]byte, error) { return fmt.Appendf(nil, "authority of %s", arn), nil }
