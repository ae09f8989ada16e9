package xds

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/snapshot"
	"github.com/latchwork/latchwork/internal/store"
	wire "github.com/latchwork/latchwork/internal/wire/appmesh"
)

// TestRefusals: what is wrong with a stream is said in its status, and nothing is
// sent on it.
func TestRefusals(t *testing.T) {
	w := newWorld(t, nil)
	w.node("a", 80)
	w.user(account, "a", arn("a"))
	w.user(other, "b", "*")
	foreign := "arn:aws:appmesh:eu-west-1:" + account + ":mesh/m/virtualNode/a"
	w.user(account, "all", "*")
	for _, test := range []struct {
		name, user string
		requests   []*discovery.DiscoveryRequest
		code       codes.Code
		text       string
	}{
		{"no node", "a", []*discovery.DiscoveryRequest{{TypeUrl: typeURLs[clusters]}}, codes.InvalidArgument, "must name its node"},
		{"no endpoint", "a", []*discovery.DiscoveryRequest{first("x", clusters)}, codes.InvalidArgument, `node.id "x" is not the ARN of a virtual node`},
		{"a long name", "a", []*discovery.DiscoveryRequest{first("mesh/m/virtualNode/\n"+strings.Repeat("x", 1<<20), clusters)}, codes.InvalidArgument, "is not the ARN"},
		{"a router", "a", []*discovery.DiscoveryRequest{first("mesh/m/virtualRouter/r", clusters)}, codes.InvalidArgument, "is not the ARN"},
		{"no type", "a", []*discovery.DiscoveryRequest{{Node: node(arn("a"))}}, codes.InvalidArgument, "must have a type_url"},
		{"unknown type", "a", []*discovery.DiscoveryRequest{{Node: node(arn("a")), TypeUrl: "type.googleapis.com/x.Y"}}, codes.InvalidArgument, "no resources of type"},
		{"another node later", "all", []*discovery.DiscoveryRequest{first("mesh/m/virtualNode/a", listeners), first("mesh/m/virtualNode/b", clusters)}, codes.InvalidArgument, "must stay the same"},
		{"of another account", "b", []*discovery.DiscoveryRequest{first(arn("a"), clusters)}, codes.PermissionDenied, "Unauthorized to perform appmesh:StreamAggregatedResources for " + arn("a") + "."},
		{"of another endpoint", "a", []*discovery.DiscoveryRequest{first(arn("b"), clusters)}, codes.PermissionDenied, "Unauthorized to perform appmesh:StreamAggregatedResources for " + arn("b") + "."},
		{"not there", "all", []*discovery.DiscoveryRequest{first(arn("b"), clusters)}, codes.InvalidArgument, "No Virtual Node with name b found in mesh m."},
		{"no gateway", "all", []*discovery.DiscoveryRequest{first("mesh/m/virtualGateway/b", clusters)}, codes.InvalidArgument, "No Virtual Gateway with name b found in mesh m."},
		{"another region", "all", []*discovery.DiscoveryRequest{first(foreign, clusters)}, codes.Unauthenticated, textRegion},
		{"bad metadata", "a", []*discovery.DiscoveryRequest{{Node: &core.Node{Id: arn("a"), Metadata: metadataOf("x")}, TypeUrl: typeURLs[clusters]}}, codes.InvalidArgument, "must be transparent or explicit"},
		{"too many names", "a", []*discovery.DiscoveryRequest{{Node: node(arn("a")), TypeUrl: typeURLs[routes], ResourceNames: manyNames}}, codes.ResourceExhausted, "too many names"},
		{"huge", "a", []*discovery.DiscoveryRequest{{Node: node(arn("a") + strings.Repeat("x", 4<<20)), TypeUrl: typeURLs[routes]}}, codes.ResourceExhausted, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := w.open(test.user)
			for _, r := range test.requests {
				send(t, s, r)
			}
			ended(t, s, test.code, test.text)
		})
	}
	until(t, "no stream is left", func() bool { return w.server.Counts().Streams == 0 })
	list := w.server.Refused(account)
	if !slices.ContainsFunc(list, func(a Attempt) bool {
		return a.Endpoint == arn("b") && a.Code == int(codes.PermissionDenied) && a.Explanation != nil && !a.Explanation.Allowed
	}) {
		t.Errorf("the refusals do not tell of %s: %+v", arn("b"), list)
	}
	for _, a := range list {
		if len(a.NodeID)+len(a.Endpoint)+len(a.Text) > 4*maxNodeID || strings.ContainsAny(a.NodeID+a.Text, "\n") {
			t.Errorf("%d bytes of node id, %d of text are kept of %.100q", len(a.NodeID), len(a.Text), a.NodeID)
		}
	}
	for _, a := range w.server.Refused(other) {
		if a.Account == account || strings.Contains(a.Principal, account) {
			t.Errorf("another account is told of %+v", a)
		}
	}
}

// TestEndpointTags: of tags whose keys differ by case alone none is forgotten.
func TestEndpointTags(t *testing.T) {
	w := newWorld(t, nil)
	w.node("a", 80)
	w.change(func(tx *store.Tx) error {
		key := model.MeshKey(account, region, "m", "a")
		n, err := model.VirtualNodes.Get(tx, key)
		if err != nil {
			return err
		}
		n.Tags = map[string]string{"team": "a", "Team": "b"}
		return model.VirtualNodes.Put(tx, key, n)
	})
	w.user(account, "a", arn("a"))
	deny := func(value string) {
		w.change(func(tx *store.Tx) error {
			key := model.IAMKey(account, "a")
			u, err := model.Users.Get(tx, key)
			if err != nil {
				return err
			}
			u.Inline["tag"] = `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/team":"` + value + `"}}}]}`
			return model.Users.Put(tx, key, u)
		})
	}
	for _, value := range []string{"a", "b"} {
		deny(value)
		for range 10 {
			s := w.open("a")
			send(t, s, first(arn("a"), clusters))
			if _, err := s.Recv(); status.Code(err) != codes.PermissionDenied {
				t.Fatalf("with a deny by %s: %v", value, err)
			}
		}
	}
}

var manyNames = func() []string {
	out := make([]string, maxNames+1)
	for i := range out {
		out[i] = fmt.Sprint(i)
	}
	return out
}()

func metadataOf(mode string) *structpb.Struct {
	s, err := structpb.NewStruct(map[string]any{metadataNamespace: map[string]any{metadataInterception: mode}})
	if err != nil {
		panic(err)
	}
	return s
}

// TestSignatures: an unsigned stream is refused before anything is read, and a
// signature is good for five minutes.
func TestSignatures(t *testing.T) {
	w := newWorld(t, func(c *Config, _ *snapshot.Settings) { c.FirstRequest = 300 * time.Millisecond })
	w.node("a", 80)
	w.user(account, "a", arn("a"))
	plain, err := w.dial().StreamAggregatedResources(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	ended(t, plain, codes.Unauthenticated, textMissingToken)
	old, err := w.dial().StreamAggregatedResources(signed(t, long("a"), false, time.Now().Add(-6*time.Minute)))
	if err != nil {
		t.Fatal(err)
	}
	ended(t, old, codes.Unauthenticated, "Signature expired")
	wrong, err := w.dial().StreamAggregatedResources(signed(t, aws.Credentials{AccessKeyID: "AKIAa", SecretAccessKey: "wrong"}, false, time.Now()))
	if err != nil {
		t.Fatal(err)
	}
	ended(t, wrong, codes.Unauthenticated, "does not match the signature you provided")
	basic, err := w.dial().StreamAggregatedResources(metadata.AppendToOutgoingContext(context.Background(), "authorization", "Basic eDp5"))
	if err != nil {
		t.Fatal(err)
	}
	ended(t, basic, codes.Unauthenticated, textMissingToken)
	ended(t, w.open("a"), codes.DeadlineExceeded, "no request came")
	// SigV4A has no region in its scope: the server's own, if the set covers it.
	for set, good := range map[string]bool{"*": true, region: true, "eu-west-1": false} {
		s, err := w.dial().StreamAggregatedResources(signedFor(t, long("a"), set))
		if err != nil {
			t.Fatal(err)
		}
		send(t, s, first(arn("a"), clusters))
		if good {
			receiveOne(t, s)
		} else {
			ended(t, s, codes.Unauthenticated, textRegion)
		}
	}
	c, err := grpc.NewClient(w.addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	err = c.Invoke(signed(t, long("a"), false, time.Now()), "/envoy.service.discovery.v3.AggregatedDiscoveryService/Other", &discovery.DiscoveryRequest{}, &discovery.DiscoveryResponse{})
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("another method: %v", err)
	}
}

// TestGrantLost: whatever a stream rests on, it ends when that goes, and no other
// stream does.
func TestGrantLost(t *testing.T) {
	w := newWorld(t, nil)
	w.node("a", 80)
	w.node("b", 80)
	keep := func() sotwStream {
		s := w.open("keep")
		send(t, s, first(arn("b"), clusters))
		send(t, s, ack(receiveOne(t, s)))
		return s
	}
	w.user(account, "keep", arn("b"))
	kept := keep()
	for name, lose := range map[string]func(){
		"policy": func() { w.user(account, "a", arn("b")) },
		"user": func() {
			w.change(func(tx *store.Tx) error { return model.Users.Delete(tx, model.IAMKey(account, "a")) })
		},
		"key": func() {
			w.change(func(tx *store.Tx) error {
				k, err := model.AccessKeys.Get(tx, "AKIAa")
				if err != nil {
					return err
				}
				k.Active = false
				return model.AccessKeys.Put(tx, "AKIAa", k)
			})
		},
		"node": func() {
			w.change(func(tx *store.Tx) error {
				return model.VirtualNodes.Delete(tx, model.MeshKey(account, region, "m", "a"))
			})
		},
	} {
		w.node("a", 80)
		w.user(account, "a", arn("a"))
		s := w.open("a")
		send(t, s, first(arn("a"), clusters))
		receiveOne(t, s)
		lose()
		switch name {
		case "key", "user":
			ended(t, s, codes.Unauthenticated, "The security token included in the request is invalid.")
		case "node":
			ended(t, s, codes.InvalidArgument, "No Virtual Node with name a found in mesh m.")
		default:
			ended(t, s, codes.PermissionDenied, "Unauthorized to perform")
		}
	}
	w.node("b", 81)
	if r := receiveOne(t, kept); r.GetTypeUrl() != typeURLs[clusters] {
		t.Errorf("the other stream got %v", r)
	}
}

// TestQuota: so many proxies may stand for one endpoint, and one more may come when
// one has gone.
func TestQuota(t *testing.T) {
	w := newWorld(t, func(c *Config, _ *snapshot.Settings) { c.MaxProxies = 2 })
	w.node("a", 80)
	w.node("b", 80)
	w.user(account, "a", arn("*"))
	open := func(name string) sotwStream {
		s := w.open("a")
		send(t, s, first(arn(name), clusters))
		return s
	}
	one, two := open("a"), open("a")
	receiveOne(t, one)
	receiveOne(t, two)
	ended(t, open("a"), codes.ResourceExhausted, "Connection limit exceeded for "+arn("a")+".")
	receiveOne(t, open("b"))
	if err := one.CloseSend(); err != nil {
		t.Fatal(err)
	}
	ended(t, one, codes.OK, "")
	until(t, "there is room", func() bool { return w.server.Counts().Streams == 2 })
	receiveOne(t, open("a"))
}

// TestOff: where the rule of an account is off, nobody has to sign for its endpoints,
// and for those of another account everybody has to.
func TestOff(t *testing.T) {
	w := newWorld(t, func(_ *Config, s *snapshot.Settings) {
		s.Accounts[account] = snapshot.Account{ID: account, ProxyAuthorization: snapshot.ProxyAuthorizationOff}
	})
	w.node("a", 80)
	open := func(id string) sotwStream {
		s, err := w.dial().StreamAggregatedResources(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		send(t, s, first(id, clusters))
		return s
	}
	s := open("mesh/m/virtualNode/a")
	receiveOne(t, s)
	if p := w.server.Proxies(account); len(p) != 1 || p[0].Authorized {
		t.Errorf("%+v", p)
	}
	ended(t, open(strings.Replace(arn("a"), account, other, 1)), codes.Unauthenticated, textMissingToken)
}

// TestCertificates: a certificate of another account is nobody's to have, however much
// the role may do; and the tags of a mesh endpoint are not those of its certificate.
func TestCertificates(t *testing.T) {
	w := newWorld(t, nil)
	for _, test := range []struct{ certificate, condition string }{
		{"arn:aws:acm:" + region + ":" + other + ":certificate/x", "{}"},
		{"nonsense", "{}"},
		{"arn:aws:acm:" + region + ":" + account + ":certificate/x", `{"StringEquals":{"aws:ResourceTag/team":"a"}}`},
	} {
		certificate := test.certificate
		w.change(func(tx *store.Tx) error {
			u := &model.User{Meta: model.Meta{ID: "AIDAa", ARN: "arn:aws:iam::" + account + ":user/a", Name: "a", Account: account}, Path: "/"}
			u.Inline = map[string]string{"p": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Condition":` + test.condition + `}]}`}
			meta := inMesh(account, "/virtualNode/a", "a")
			meta.Tags = map[string]string{"team": "a"}
			return errors.Join(
				model.Users.Put(tx, model.IAMKey(account, "a"), u),
				model.AccessKeys.Put(tx, "AKIAa", &model.AccessKey{Meta: model.Meta{ID: "AKIAa", Account: account}, User: "a", UserID: "AIDAa", Sealed: []byte("x"), Active: true}),
				model.VirtualNodes.Put(tx, model.MeshKey(account, region, "m", "a"), &model.VirtualNode{MeshMeta: meta, Spec: &wire.VirtualNodeSpec{
					ServiceDiscovery: &wire.ServiceDiscovery{Dns: &wire.DnsServiceDiscovery{Hostname: new("a.local")}},
					Listeners: []wire.Listener{{PortMapping: &wire.PortMapping{Port: new(int64(80)), Protocol: new("http")}, Tls: &wire.ListenerTls{
						Mode: new("STRICT"), Certificate: &wire.ListenerTlsCertificate{Acm: &wire.ListenerTlsAcmCertificate{CertificateArn: &certificate}},
					}}},
				}}),
			)
		})
		s := w.open("a")
		send(t, s, first(arn("a"), clusters))
		ended(t, s, codes.PermissionDenied, "Unauthorized to perform acm:ExportCertificate for "+certificate+".")
	}
}

// TestUnshared: when a mesh is not shared any more, the proxies of the other account
// end.
func TestUnshared(t *testing.T) {
	w := newWorld(t, nil)
	share := func(with ...string) {
		w.change(func(tx *store.Tx) error {
			return model.Meshes.Put(tx, model.MeshKey(account, region, "m"), &model.Mesh{MeshMeta: inMesh(account, "", "m"), SharedWith: with})
		})
	}
	share(other)
	meta := inMesh(other, "/virtualNode/theirs", "theirs")
	w.change(func(tx *store.Tx) error {
		return model.VirtualNodes.Put(tx, model.MeshKey(account, region, "m", "theirs"), &model.VirtualNode{MeshMeta: meta, Spec: &wire.VirtualNodeSpec{}})
	})
	w.user(other, "b", "*")
	w.user(account, "a", "*")
	s := w.open("b")
	send(t, s, first("mesh/m@"+account+"/virtualNode/theirs", clusters))
	receiveOne(t, s)
	mine := w.open("a")
	send(t, mine, first(meta.ARN, clusters))
	ended(t, mine, codes.PermissionDenied, "Unauthorized")
	share()
	ended(t, s, codes.InvalidArgument, "No Virtual Node with name theirs found")
}
