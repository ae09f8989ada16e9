package xds

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	rpc "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/latchwork/latchwork/internal/identity"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/snapshot"
	"github.com/latchwork/latchwork/internal/store"
	wire "github.com/latchwork/latchwork/internal/wire/appmesh"
)

// TestServed: a proxy is sent its configuration, then what changes, and is in step
// when it has acknowledged.
func TestServed(t *testing.T) {
	w := newWorld(t, nil)
	w.node("a", 80)
	w.user(account, "a", arn("a"))
	s := w.open("a")
	send(t, s, first("mesh/m/virtualNode/a", clusters))
	cds := receiveOne(t, s)
	send(t, s, ack(cds))
	send(t, s, first("mesh/m/virtualNode/a", listeners))
	lds := receiveOne(t, s)
	send(t, s, ack(lds))
	if len(cds.GetResources()) == 0 || len(lds.GetResources()) == 0 {
		t.Fatalf("%d clusters, %d listeners", len(cds.GetResources()), len(lds.GetResources()))
	}
	step := func() Proxy { return w.server.Proxies(account)[0] }
	until(t, "the proxy is in step", func() bool { return step().InStep })
	p := step()
	if !p.Authorized || p.Endpoint != arn("a") || p.Explanation == nil || !p.Explanation.Allowed || len(w.server.Proxies(other)) != 0 {
		t.Errorf("%+v", p)
	}
	revision := w.node("a", 81)
	// The change is in force, whether the service has got to it or not.
	if step().InStep {
		t.Error("a proxy that nothing was sent to yet is in step")
	}
	cds = receiveOne(t, s)
	if step().InStep {
		t.Error("a proxy that has not acknowledged is in step")
	}
	// NACKs do not loop: it is sent the next version only.
	nack := ack(cds)
	nack.ErrorDetail = &rpc.Status{Message: "no such cluster"}
	for range 5 {
		send(t, s, nack)
	}
	until(t, "the rejection is known", func() bool { return len(step().Rejected) > 0 })
	if p := step(); p.Rejected[typeURLs[clusters]] != "no such cluster" || p.Rejections != 1 || p.InStep {
		t.Errorf("%+v", p)
	}
	lds = receiveOne(t, s)
	send(t, s, ack(lds))
	pushes := w.server.Counts().Pushes["cds"]
	w.node("a", 82)
	// The old cluster goes when the listeners no longer refer to it.
	var types []string
	for range 3 {
		r := receiveOne(t, s)
		types = append(types, r.GetTypeUrl())
		send(t, s, ack(r))
	}
	if !slices.Equal(types, []string{typeURLs[clusters], typeURLs[listeners], typeURLs[clusters]}) {
		t.Errorf("the order is %v", types)
	}
	until(t, "the proxy is in step again", func() bool { return step().InStep && step().Revision > revision })
	if n := w.server.Counts().Pushes["cds"]; n != pushes+2 {
		t.Errorf("%d responses for one change", n-pushes)
	}
	if w.server.Counts().Rejections != 1 {
		t.Errorf("%d rejections", w.server.Counts().Rejections)
	}
}

// TestClustersFirst: what refers to clusters is not sent before the proxy has answered
// for them, and what makes them warm is.
func TestClustersFirst(t *testing.T) {
	w := newWorld(t, nil)
	w.node("a", 80)
	w.user(account, "a", arn("a"))
	s := w.open("a")
	for _, k := range []kind{clusters, listeners} {
		send(t, s, first(arn("a"), k))
		send(t, s, ack(receiveOne(t, s)))
	}
	w.node("a", 81)
	cds := receiveOne(t, s)
	send(t, s, &discovery.DiscoveryRequest{TypeUrl: typeURLs[assignments], ResourceNames: []string{"x"}})
	eds := receiveOne(t, s)
	send(t, s, ack(cds))
	lds := receiveOne(t, s)
	for k, r := range map[kind]*discovery.DiscoveryResponse{clusters: cds, assignments: eds, listeners: lds} {
		if r.GetTypeUrl() != typeURLs[k] {
			t.Errorf("%s came in the place of %s", r.GetTypeUrl(), typeURLs[k])
		}
	}
}

// TestSessionExpires: a stream ends with the session that it rests on, and its proxy
// is to come back.
func TestSessionExpires(t *testing.T) {
	w := newWorld(t, nil)
	w.node("a", 80)
	role := "arn:aws:iam::" + account + ":role/r"
	w.change(func(tx *store.Tx) error {
		r := &model.Role{Meta: model.Meta{ID: "AROAr", ARN: role, Name: "r", Account: account}, Trust: `{"Statement":[]}`}
		r.Inline = map[string]string{"p": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"appmesh:*","Resource":"*"}]}`}
		return model.Roles.Put(tx, model.IAMKey(account, "r"), r)
	})
	end := time.Now().Add(1500 * time.Millisecond)
	id, secret, token, err := w.tokens.Mint(identity.Principal{
		Kind: identity.AssumedRole, Partition: "aws", Account: account, ARN: "arn:aws:sts::" + account + ":assumed-role/r/s", IssuerARN: role, IssuerID: "AROAr",
		UserID: "AROAr:s", Name: "r", Session: &identity.Session{Name: "s", Expires: end},
	}, end)
	if err != nil {
		t.Fatal(err)
	}
	s, err := w.dial().StreamAggregatedResources(signed(t, aws.Credentials{AccessKeyID: id, SecretAccessKey: secret, SessionToken: token}, false, time.Now()))
	if err != nil {
		t.Fatal(err)
	}
	send(t, s, first(arn("a"), clusters))
	receiveOne(t, s)
	ended(t, s, codes.OK, "")
	if time.Now().Before(end.Add(-1100 * time.Millisecond)) {
		t.Error("it ended before the session did")
	}
}

// TestRecycled: a stream ends well after its time.
func TestRecycled(t *testing.T) {
	w := newWorld(t, func(c *Config, _ *snapshot.Settings) { c.Recycle = 200 * time.Millisecond })
	w.node("a", 80)
	w.user(account, "a", arn("a"))
	s := w.open("a")
	send(t, s, first(arn("a"), clusters))
	ended(t, s, codes.OK, "")
}

// TestSlowReader: a proxy that does not read holds up nobody, and is told the newest
// state when it reads again.
func TestSlowReader(t *testing.T) {
	w := newWorld(t, nil)
	w.user(account, "a", arn("*"))
	w.node("a", 80)
	slow := w.open("a", grpc.WithInitialWindowSize(65535), grpc.WithInitialConnWindowSize(65535))
	send(t, slow, first(arn("a"), clusters))
	quick := w.open("a")
	send(t, quick, first(arn("a"), clusters))
	for port := range int64(50) {
		send(t, quick, ack(receiveOne(t, quick)))
		w.node("a", 100+port)
	}
	var last *discovery.DiscoveryResponse
	answers := 0
	want := w.server.Proxies(account)[0].Current
	for {
		last = receiveOne(t, slow)
		send(t, slow, ack(last))
		if answers++; answers > 3 {
			t.Fatalf("a proxy that did not answer was sent %d responses", answers)
		}
		if answers == 2 {
			break
		}
	}
	fresh := w.open("a")
	send(t, fresh, first(arn("a"), clusters))
	if r := receiveOne(t, fresh); r.GetVersionInfo() != last.GetVersionInfo() {
		t.Errorf("the slow proxy is at %s, the newest is %s at revision %d", last.GetVersionInfo(), r.GetVersionInfo(), want)
	}
}

// TestBlockedReader: a proxy that reads nothing at all is let go when it loses its
// permission, although what it was sent is still under way.
func TestBlockedReader(t *testing.T) {
	w := newWorld(t, nil)
	w.user(account, "a", arn("a"))
	var names []string
	w.change(func(tx *store.Tx) error {
		for i := range 400 {
			name := fmt.Sprintf("b%d", i)
			v := &model.VirtualService{MeshMeta: inMesh(account, "/virtualService/"+name, name), Spec: &wire.VirtualServiceSpec{Provider: &wire.VirtualServiceProvider{
				VirtualNode: &wire.VirtualNodeServiceProvider{VirtualNodeName: &name},
			}}}
			n := &model.VirtualNode{MeshMeta: inMesh(account, "/virtualNode/"+name, name), Spec: &wire.VirtualNodeSpec{
				Listeners:        []wire.Listener{{PortMapping: &wire.PortMapping{Port: new(int64(80)), Protocol: new("http")}}},
				ServiceDiscovery: &wire.ServiceDiscovery{Dns: &wire.DnsServiceDiscovery{Hostname: new(strings.Repeat("x", 60) + ".local")}},
			}}
			if err := errors.Join(model.VirtualServices.Put(tx, model.MeshKey(account, region, "m", name), v), model.VirtualNodes.Put(tx, model.MeshKey(account, region, "m", name), n)); err != nil {
				return err
			}
			names = append(names, name)
		}
		return nil
	})
	w.node("a", 80, names...)
	s := w.open("a", grpc.WithInitialWindowSize(65535), grpc.WithInitialConnWindowSize(65535))
	send(t, s, first(arn("a"), clusters))
	until(t, "the response is under way", func() bool { return w.server.Counts().Pushes["cds"] == 1 })
	for port := range int64(5) {
		w.node("a", 90+port, names...)
	}
	w.user(account, "a")
	until(t, "the stream is gone", func() bool { return w.server.Counts().Streams == 0 })
	ended(t, s, codes.PermissionDenied, "Unauthorized to perform")
}
