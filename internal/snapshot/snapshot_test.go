package snapshot

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/latchwork/latchwork/internal/clock"
	"github.com/latchwork/latchwork/internal/identity"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/store"
	"github.com/latchwork/latchwork/internal/store/etcd"
	wire "github.com/latchwork/latchwork/internal/wire/vpclattice"
)

const (
	account = "123456789012"
	region  = "us-west-2"
	allow   = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`
	open    = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}`
)

var (
	scope    = model.Scope{Partition: "aws", Account: account, Region: region}
	settings = Settings{Partition: "aws", DefaultAccount: account, Accounts: map[string]Account{}}
)

func opener(k *model.AccessKey) ([]byte, error) {
	if len(k.Sealed) == 0 {
		return nil, fmt.Errorf("nothing sealed")
	}
	return k.Sealed, nil
}

func latticeMeta(id, path string) model.Meta {
	return model.Meta{ID: id, Name: id, ARN: scope.ARN(model.LatticeService, path+id), Account: account, Region: region}
}

func iamMeta(kind, name string) model.Meta {
	return model.Meta{ID: "ID" + name, Name: name, ARN: model.IAMARN("aws", account, kind, "/", name), Account: account}
}

// step is one random write: it makes, changes or removes a record.
func step(t *rapid.T, tx *store.Tx) error {
	n := rapid.IntRange(1, 3).Draw(t, "n")
	id := fmt.Sprint(n)
	text := rapid.SampledFrom([]string{allow, open, "{"}).Draw(t, "text")
	remove := rapid.IntRange(0, 3).Draw(t, "remove") == 0
	forward := &wire.RuleAction{Forward: &wire.ForwardAction{TargetGroups: []wire.WeightedTargetGroup{{TargetGroupIdentifier: new("tg-" + fmt.Sprint(rapid.IntRange(1, 2).Draw(t, "group")))}}}}
	owner := rapid.SampledFrom([]string{account, "222222222222"}).Draw(t, "owner")
	inMesh := func(path, name string) model.MeshMeta {
		m := model.MeshMeta{Meta: latticeMeta(name, path), Mesh: "m", MeshOwner: owner, Version: int64(n)}
		m.ARN, m.Name = scope.ARN(model.MeshService, "mesh/m/"+path+name), name
		return m
	}
	key := func(parts ...string) string { return model.MeshKey(owner, region, "m", parts...) }
	switch rapid.IntRange(0, 23).Draw(t, "kind") {
	case 21:
		return write(tx, model.Namespaces, scope.Key("ns-"+id), remove, &model.Namespace{Meta: latticeMeta("ns-"+id, "namespace/")})
	case 22:
		// Nothing but the API keeps two services from having one name.
		v := &model.CloudMapService{Meta: latticeMeta("srv-"+id, "service/"), Namespace: fmt.Sprint("ns-", rapid.IntRange(1, 2).Draw(t, "namespace"))}
		v.NamespaceName, v.Name = rapid.SampledFrom([]string{"a", "a/b"}).Draw(t, "space"), rapid.SampledFrom([]string{"s", "t"}).Draw(t, "service")
		return write(tx, model.CloudMapServices, scope.Key("srv-"+id), remove, v)
	case 23:
		instance := rapid.SampledFrom([]string{"i", "i/1", "j"}).Draw(t, "instance")
		return write(tx, model.Instances, scope.Key("srv-"+id, instance), remove, &model.Instance{ID: instance, Service: "srv-" + id, Healthy: rapid.Bool().Draw(t, "healthy")})
	case 14:
		return write(tx, model.Meshes, key(), remove, &model.Mesh{MeshMeta: inMesh("", "m")})
	case 15:
		return write(tx, model.VirtualNodes, key("n"+id), remove, &model.VirtualNode{MeshMeta: inMesh("virtualNode/", "n"+id)})
	case 16:
		return write(tx, model.VirtualGateways, key("g"+id), remove, &model.VirtualGateway{MeshMeta: inMesh("virtualGateway/", "g"+id)})
	case 17:
		return write(tx, model.VirtualRouters, key("r"+id), remove, &model.VirtualRouter{MeshMeta: inMesh("virtualRouter/", "r"+id)})
	case 18:
		return write(tx, model.VirtualServices, key("s"+id), remove, &model.VirtualService{MeshMeta: inMesh("virtualService/", "s"+id)})
	case 19:
		r := "r" + fmt.Sprint(rapid.IntRange(1, 3).Draw(t, "router"))
		return write(tx, model.Routes, key(r, "x"+id), remove, &model.Route{MeshMeta: inMesh("virtualRouter/"+r+"/route/", "x"+id), Router: r})
	case 20:
		g := "g" + fmt.Sprint(rapid.IntRange(1, 3).Draw(t, "gateway"))
		return write(tx, model.GatewayRoutes, key(g, "x"+id), remove, &model.GatewayRoute{MeshMeta: inMesh("virtualGateway/"+g+"/gatewayRoute/", "x"+id), Gateway: g})
	case 0:
		return write(tx, model.Users, model.IAMKey(account, "u"+id), remove, &model.User{Meta: iamMeta("user", rapid.SampledFrom([]string{"u" + id, "U" + id}).Draw(t, "case")), Attachments: model.Attachments{Inline: map[string]string{"p": text}}, Groups: []string{"g" + id}})
	case 1:
		return write(tx, model.Roles, model.IAMKey(account, "r"+id), remove, &model.Role{Meta: iamMeta("role", "r"+id), Trust: text})
	case 2:
		return write(tx, model.Groups, model.IAMKey(account, "g"+id), remove, &model.Group{Meta: iamMeta("group", "g"+id), Attachments: model.Attachments{Inline: map[string]string{"p": text}}})
	case 3:
		return write(tx, model.Policies, model.IAMKey(account, "p"+id), remove, &model.ManagedPolicy{Meta: iamMeta("policy", "p"+id), Default: "v1", Versions: []model.PolicyVersion{{ID: "v1", Document: text}}})
	case 4:
		return write(tx, model.AccessKeys, "AKIA"+id, remove, &model.AccessKey{Meta: model.Meta{ID: "AKIA" + id, Account: account}, User: "u" + id, UserID: "IDu" + id, Sealed: []byte(rapid.SampledFrom([]string{"s", ""}).Draw(t, "sealed")), Active: true})
	case 5:
		return write(tx, model.Services, scope.Key("svc-"+id), remove, &model.Service{Meta: latticeMeta("svc-"+id, "service/"), AuthType: "AWS_IAM", Domain: "d" + id, CustomDomain: rapid.SampledFrom([]string{"", "c1", "C2"}).Draw(t, "domain")})
	case 6:
		return write(tx, model.ServiceNetworks, scope.Key("sn-"+id), remove, &model.ServiceNetwork{Meta: latticeMeta("sn-"+id, "servicenetwork/"), AuthType: "NONE"})
	case 7:
		return write(tx, model.AuthPolicies, scope.Key(rapid.SampledFrom([]string{"svc-", "sn-"}).Draw(t, "of")+id), remove, &model.AuthPolicy{Meta: model.Meta{ID: id, Account: account, Region: region}, Document: text})
	case 8:
		return write(tx, model.Listeners, scope.Key("svc-"+id, "listener-1"), remove, &model.Listener{Meta: latticeMeta("listener-1", "service/svc-"+id+"/listener/"), Service: "svc-" + id, Port: int64(80 + n), DefaultAction: forward})
	case 9:
		r := fmt.Sprint(rapid.IntRange(1, 3).Draw(t, "rule"))
		return write(tx, model.Rules, scope.Key("svc-"+id, "listener-1", "rule-"+r), remove, &model.Rule{Meta: latticeMeta("rule-"+r, "service/svc-"+id+"/listener/listener-1/rule/"), Service: "svc-" + id, Listener: "listener-1", Priority: int64(rapid.IntRange(1, 9).Draw(t, "priority")), Action: forward})
	case 10:
		return write(tx, model.TargetGroups, scope.Key("tg-"+id), remove, &model.TargetGroup{Meta: latticeMeta("tg-"+id, "targetgroup/")})
	case 11:
		target := &model.Target{Group: "tg-" + id, ID: "10.0.0.1", Port: 80}
		if rapid.Bool().Draw(t, "draining") {
			target.Draining = time.Unix(1, 0).UTC()
		}
		return write(tx, model.Targets, scope.Key("tg-"+id, "10.0.0.1:80"), remove, target)
	case 12:
		return write(tx, model.ServiceAssociations, scope.Key("snsa-"+id), remove, &model.ServiceAssociation{
			Meta: latticeMeta("snsa-"+id, "x/"), Network: "sn-1", NetworkARN: scope.ARN(model.LatticeService, "servicenetwork/sn-1"),
			Service: "svc-" + id, ServiceARN: scope.ARN(model.LatticeService, "service/svc-"+id),
		})
	default:
		return write(tx, model.VPCAssociations, scope.Key("snva-"+id), remove, &model.VPCAssociation{Meta: latticeMeta("snva-"+id, "x/"), NetworkARN: scope.ARN(model.LatticeService, "servicenetwork/sn-"+id), VPC: model.DefaultVPC(account, region, time.Time{}).ID})
	}
}

func write[T any](tx *store.Tx, c store.Collection[T], id string, remove bool, record *T) error {
	if remove {
		return c.Delete(tx, id)
	}
	return c.Put(tx, id, record)
}

// picture is what a snapshot looks like to a reader, so that two can be compared.
func picture(s *Snapshot) map[string]any {
	out := map[string]any{"ports": s.ports}
	put := func(kind, key string, v any) { out[kind+" "+key] = v }
	pol := func(p *Policy) string {
		if p == nil {
			return "none"
		}
		return fmt.Sprint(p.Name, p.ARN, p.Owner, p.Text, p.Compiled != nil, p.Problem)
	}
	for arn, e := range s.entities.all {
		var policies []string
		for _, p := range s.IdentityPolicies(nil, e) {
			policies = append(policies, pol(p))
		}
		put("entity", arn, fmt.Sprint(e.ID, e.Name, policies, pol(e.Trust)))
	}
	for arn, p := range s.managed.all {
		put("managed", arn, pol(p))
	}
	for id, k := range s.keys.all {
		put("key", id, fmt.Sprint(k.Active, string(k.Secret), k.Principal))
	}
	for arn, v := range s.services.all {
		var listeners []string
		for _, l := range v.Listeners {
			var rules []string
			for _, r := range l.Rules {
				rules = append(rules, fmt.Sprint(r.ID, r.Priority))
			}
			listeners = append(listeners, fmt.Sprint(l.ID, l.Port, rules))
		}
		put("service", arn, fmt.Sprint(v.AuthType, pol(v.Policy), listeners, v.networks))
	}
	for host, vs := range s.hosts.all {
		var arns []string
		for _, v := range vs {
			arns = append(arns, v.ARN, fmt.Sprint(len(v.Listeners), v.networks, pol(v.Policy)))
		}
		put("host", host, arns)
	}
	for arn, n := range s.networks.all {
		put("network", arn, pol(n.Policy))
	}
	for arn, g := range s.targetGroups.all {
		put("group", arn, fmt.Sprint(len(g.Targets), g.InUse))
	}
	for m := range s.Meshes {
		var in []string
		for _, arn := range sortedKeys(m.endpoints()) {
			in = append(in, arn, fmt.Sprint(s.MeshOf(arn, m.MeshOwner) == m, s.MeshOf(arn, "").MeshOwner, s.MeshOf(arn, "333333333333") == nil))
		}
		for i := range 3 {
			n := fmt.Sprint(i + 1)
			in = append(in, fmt.Sprint(m.Node("n"+n) != nil, m.Gateway("g"+n) != nil, m.Router("r"+n) != nil, m.VirtualService("s"+n) != nil))
			for _, r := range m.Routes("r" + n) {
				in = append(in, r.ARN)
			}
			for _, r := range m.GatewayRoutes("g" + n) {
				in = append(in, r.ARN)
			}
		}
		put("mesh", m.MeshKey(), in)
		if s.Mesh(m.MeshOwner, region, "m") != m {
			put("mesh", m.MeshKey(), "not found")
		}
	}
	for _, namespace := range []string{"a", "a/b"} {
		for _, service := range []string{"s", "t"} {
			n, v := s.Namespace(account, region, namespace), s.CloudMapService(account, region, namespace, service)
			in := []string{fmt.Sprint(n != nil, v != nil)}
			if n != nil {
				in = append(in, n.ID)
			}
			if v != nil {
				in = append(in, v.ID)
				for _, i := range v.Instances {
					in = append(in, fmt.Sprint(i.Service, i.ID, i.Healthy))
				}
			}
			put("instances", namespace+" "+service, in)
		}
	}
	vpc, known := s.VPC(region, Addresses{Client: netip.MustParseAddr("127.0.0.1")})
	put("vpc", "loopback", fmt.Sprint(known, vpc != nil && vpc.Network != ""))
	for _, p := range s.Problems() {
		put("problem", p.Record, p.Err.Error())
	}
	put("sizes", "", []int{s.entities.len(), s.managed.len(), s.keys.len(), s.services.len(), s.hosts.len(), s.networks.len(), s.targetGroups.len(), s.meshes.len(), s.endpoints.len(), s.discoverable.len()})
	return out
}

// TestIncrementalIsFresh: after any writes, in any batches, the snapshot that was
// built step by step is the one that is built of the store as it is.
func TestIncrementalIsFresh(t *testing.T) {
	backend, err := etcd.Start(context.Background(), etcd.Embedded{Dir: t.TempDir(), Prefix: "t/", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer backend.Close()
	s := store.New(backend)
	ctx := context.Background()
	p := NewPublisher(Config{Backend: backend, Settings: settings, OpenSecret: opener, Clock: clock.System, Log: slog.New(slog.DiscardHandler)})
	running, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() { _ = p.Run(running); close(done) }()
	defer func() { stop(); <-done }()
	rapid.Check(t, func(rt *rapid.T) {
		var last store.Revision
		for range rapid.IntRange(1, 12).Draw(rt, "writes") {
			revision, err := s.Update(ctx, func(tx *store.Tx) error { return step(rt, tx) })
			if err != nil {
				rt.Fatal(err)
			}
			last = max(last, revision)
		}
		page, err := backend.Range(ctx, "", "", 0, 0)
		if err != nil {
			rt.Fatal(err)
		}
		fresh := newBuilder(&settings, opener)
		for _, kv := range page.KVs {
			fresh.st.apply(store.Event(kv))
		}
		want := fresh.build(nil, page.Revision, time.Now())
		// The last transaction may have written nothing.
		wait, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		_ = p.WaitFor(wait, lastWrite(page))
		if diff := cmp.Diff(picture(want), picture(p.Current())); diff != "" {
			rt.Fatalf("fresh (-) and incremental (+) differ:\n%s", diff)
		}
	})
}

// lastWrite is the newest revision of a record; a deletion may be newer.
func lastWrite(page store.Page) store.Revision { return page.Revision }

func TestShards(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var s shards[int]
		want := map[string]int{}
		for range rapid.IntRange(0, 5).Draw(rt, "editions") {
			before := map[string]int{}
			for k, v := range s.all {
				before[k] = v
			}
			e := edit(s)
			for range rapid.IntRange(0, 8).Draw(rt, "changes") {
				k := rapid.StringN(0, 2, 2).Draw(rt, "key")
				if rapid.Bool().Draw(rt, "remove") {
					e.remove(k)
					delete(want, k)
				} else {
					v := rapid.Int().Draw(rt, "value")
					e.set(k, v)
					want[k] = v
				}
			}
			next := e.done()
			after := map[string]int{}
			for k, v := range s.all {
				after[k] = v
			}
			if !reflect.DeepEqual(before, after) {
				rt.Fatal("an edition changed the one before")
			}
			s = next
		}
		for k := range s.all {
			if _, ok := want[k]; !ok {
				rt.Fatalf("yields %q", k)
			}
			break
		}
		got := map[string]int{}
		for k, v := range s.all {
			got[k] = v
			if one, ok := s.get(k); !ok || one != v {
				rt.Fatalf("get(%q) = %d, %t", k, one, ok)
			}
		}
		if !reflect.DeepEqual(got, want) || s.len() != len(want) {
			rt.Fatalf("holds %v with length %d, want %v", got, s.len(), want)
		}
	})
}

func TestVPCTable(t *testing.T) {
	vpcs := newTable(model.VPCs, nil)
	add := func(id, gateway string, ranges ...string) {
		v := &model.VPC{Meta: model.Meta{ID: id, Account: account, Region: region}}
		for _, r := range ranges {
			v.CIDRs = append(v.CIDRs, model.CIDR{Prefix: netip.MustParsePrefix(r)})
		}
		if gateway != "" {
			v.Tags = map[string]string{model.GatewayAddressTag: gateway}
		}
		vpcs.rows[scope.Key(id)] = v
	}
	add("vpc-wide", "", "10.0.0.0/8", "2001:db8::/32")
	add("vpc-narrow", "192.0.2.1", "10.1.0.0/16", "2001:db8:1::/48")
	add("vpc-one", "", "127.0.0.5/32")
	add("vpc-first", "", "13.0.0.0/8")
	add("vpc-second", "", "13.0.0.0/8")
	add("vpc-lent", "192.0.2.6", "12.0.0.0/8")
	lending := settings
	lending.Accounts = map[string]Account{"444455556666": {GatewayAddresses: []netip.Addr{netip.MustParseAddr("192.0.2.6")}}}
	var problems []string
	joins := map[string]*model.VPCAssociation{"a": {Meta: model.Meta{Region: region}, VPC: "vpc-narrow", NetworkARN: "arn:sn"}}
	table := buildVPCTable(&lending, []string{region}, vpcs, joins, func(record string, err error) { problems = append(problems, record+": "+err.Error()) })
	for _, test := range []struct{ client, gateway, want, evidence string }{
		{"10.9.9.9", "127.0.0.1", "vpc-wide", "cidr"},
		{"10.1.9.9", "127.0.0.1", "vpc-narrow", "cidr"},
		{"2001:db8:1::1", "::1", "vpc-narrow", "cidr"},
		{"2001:db8:2::1", "::1", "vpc-wide", "cidr"},
		{"::ffff:10.1.0.1", "127.0.0.1", "vpc-narrow", "cidr"},
		{"11.0.0.1", "127.0.0.1", "", ""},
		{"11.0.0.1", "192.0.2.1", "vpc-narrow", "gateway-address"},
		{"10.9.9.9", "192.0.2.6", "", "unknown"},
		{"13.0.0.1", "127.0.0.1", "", "unknown"},
		{"127.0.0.5", "127.0.0.1", "vpc-one", "cidr"},
		{"127.0.0.6", "127.0.0.1", model.DefaultVPC(account, region, time.Time{}).ID, "cidr"},
		{"::1", "::1", model.DefaultVPC(account, region, time.Time{}).ID, "cidr"},
	} {
		vpc, known := table.find(region, Addresses{netip.MustParseAddr(test.client), netip.MustParseAddr(test.gateway)})
		if vpc == nil {
			vpc = &VPC{}
		}
		if !known {
			vpc = &VPC{Evidence: "unknown"}
		}
		if vpc.ID != test.want || vpc.Evidence != test.evidence {
			t.Errorf("%s at %s is in %q by %q, want %q by %q", test.client, test.gateway, vpc.ID, vpc.Evidence, test.want, test.evidence)
		}
		if vpc.ID == "vpc-narrow" && vpc.Network != "arn:sn" {
			t.Errorf("%s enters %q", test.client, vpc.Network)
		}
	}
	if vpc, _ := table.find("eu-west-1", Addresses{netip.MustParseAddr("10.1.0.1"), netip.MustParseAddr("::1")}); vpc != nil {
		t.Error("found in another region")
	}
	if len(problems) != 2 || !strings.Contains(problems[0], "192.0.2.6 is an address of account 444455556666") || !strings.Contains(problems[1], "another VPC has the range 13.0.0.0/8") {
		t.Errorf("problems %v", problems)
	}
}

// TestAddressOwner: what a VPC says whose a machine is holds in every region.
func TestAddressOwner(t *testing.T) {
	const other = "444455556666"
	w := newWorld(t)
	add := func(account, region, id, cidr string) {
		put(w, model.VPCs, model.Scope{Account: account, Region: region}.Key(id), &model.VPC{
			Meta: model.Meta{ID: id, Account: account, Region: region}, CIDRs: []model.CIDR{{Prefix: netip.MustParsePrefix(cidr)}},
		})
	}
	owners := func(want map[string]string) {
		t.Helper()
		for addr, want := range want {
			got, known := w.Current().AddressOwner(netip.MustParseAddr(addr))
			if !known {
				got = "unknown"
			}
			if got != want {
				t.Errorf("%s is of %q, want %q", addr, got, want)
			}
		}
	}
	put(w, model.Groups, model.IAMKey(account, "g"), &model.Group{})
	owners(map[string]string{"10.0.0.1": "", "127.0.0.1": account, "::1": account})
	add(account, region, "vpc-a", "10.0.0.0/16")
	add(other, "eu-west-1", "vpc-b", "10.1.0.0/16")
	add(other, "eu-west-1", "vpc-c", "127.0.0.2/32")
	add(account, "eu-west-1", "vpc-d", "10.2.0.0/16")
	add(account, region, "vpc-e", "10.2.0.0/24")
	want := map[string]string{
		"10.0.0.1": account, "::ffff:10.0.0.1": account, "10.1.0.1": other, "10.2.0.1": account, "10.3.0.1": "",
		"127.0.0.1": account, "127.0.0.2": other,
	}
	owners(want)
	// Of two accounts nobody can tell which is meant.
	add(other, "eu-west-1", "vpc-f", "10.0.0.0/8")
	want["10.0.0.1"], want["::ffff:10.0.0.1"], want["10.3.0.1"] = "unknown", "unknown", other
	owners(want)
}

func TestAWSManaged(t *testing.T) {
	for _, p := range AWSManaged() {
		made, ok := (&Snapshot{}).Managed(p.ARN)
		if !ok || made.Problem != nil {
			t.Errorf("%s: %v", p.Name, made.Problem)
		}
	}
	gone := (&Snapshot{}).Boundary(&Entity{boundary: "arn:gone"})
	if gone == nil || gone.Problem == nil {
		t.Error("a boundary that is not there does not deny")
	}
	if (&Snapshot{}).Entity(&identity.Principal{IssuerARN: "x"}) != nil {
		t.Error("found nobody's entity")
	}
}

func TestHostName(t *testing.T) {
	for in, want := range map[string]string{"A.b": "a.b", "a.b:80": "a.b", "a.b.": "a.b", "[::1]": "[::1]", "[::1]:80": "[::1]", "": ""} {
		if got := HostName(in); got != want {
			t.Errorf("HostName(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestKeyOfARN(t *testing.T) {
	for arn, want := range map[string]string{
		scope.ARN(model.LatticeService, "service/svc-1"): scope.Key("svc-1"),
		"no ARN": "no ARN",
	} {
		if got := keyOfARN(arn); got != want {
			t.Errorf("the key of %q is %q, want %q", arn, got, want)
		}
	}
}
