package operator

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"testing"

	"github.com/latchwork/latchwork/internal/authz"
	"github.com/latchwork/latchwork/internal/awsapi"
	"github.com/latchwork/latchwork/internal/clock"
	"github.com/latchwork/latchwork/internal/fault"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/snapshot"
	"github.com/latchwork/latchwork/internal/store"
)

const (
	other       = "222222222222"
	endpoint    = "arn:aws:appmesh:us-east-1:" + account + ":mesh/app1/virtualNode/"
	streams     = "appmesh:StreamAggregatedResources"
	permissible = `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":"appmesh:StreamAggregatedResources","Resource":"` + endpoint + `serviceBv1"},
		{"Effect":"Allow","Action":"appmesh:StreamAggregatedResources","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/team":"b"}}},
		{"Effect":"Allow","Action":"acm:ExportCertificate","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}}]}`
)

// published is a snapshot of what fn stores.
func published(t *testing.T, w *world, fn func(*store.Tx) error) *snapshot.Snapshot {
	t.Helper()
	revision, err := w.store.Update(t.Context(), fn)
	if err != nil {
		t.Fatal(err)
	}
	publisher := snapshot.NewPublisher(snapshot.Config{
		Backend: w.store.Backend(), Clock: clock.Fixed(now), Log: slog.New(slog.DiscardHandler),
		Settings: snapshot.Settings{Partition: "aws", Accounts: map[string]snapshot.Account{
			account: {ID: account, ProxyAuthorization: snapshot.ProxyAuthorizationTLS},
		}},
		OpenSecret: func(*model.AccessKey) ([]byte, error) { return nil, nil },
	})
	running, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = publisher.Run(running)
	}()
	defer func() { stop(); <-done }()
	if err := publisher.WaitFor(t.Context(), revision); err != nil {
		t.Fatal(err)
	}
	return publisher.Current()
}

func TestExplainPermission(t *testing.T) {
	w := newWorld(t)
	role := func(name string) string { return model.IAMARN("aws", account, "role", "/", name) }
	snap := published(t, w, func(tx *store.Tx) error {
		r := &model.Role{
			Meta: model.Meta{ID: "AROAENVOY", Name: "envoy", ARN: role("envoy"), Account: account}, Inline: map[string]string{"own": permissible},
			Trust: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"}]}`,
		}
		user := &model.User{Meta: model.Meta{ID: "AIDAERIKA", Name: "erika", ARN: model.IAMARN("aws", account, "user", "/", "erika"), Account: account}}
		foreign := &model.User{Meta: model.Meta{ID: "AIDAMAX", Name: "max", ARN: model.IAMARN("aws", other, "user", "/", "max"), Account: other}}
		mesh := model.MeshMeta{Mesh: "app1", MeshOwner: account, Version: 1}
		mesh.Account, mesh.Region, mesh.Name = account, "us-east-1", "app1"
		node := mesh
		node.Name, node.ARN, node.Tags = "tagged", endpoint+"tagged", map[string]string{"team": "b"}
		twice := mesh
		twice.Name, twice.ARN, twice.Tags = "twice", endpoint+"twice", map[string]string{"team": "b", "Team": "a"}
		return errors.Join(
			model.Roles.Put(tx, model.IAMKey(account, r.Name), r), model.Users.Put(tx, model.IAMKey(account, user.Name), user),
			model.Users.Put(tx, model.IAMKey(other, foreign.Name), foreign),
			model.Meshes.Put(tx, mesh.MeshKey(), &model.Mesh{MeshMeta: mesh}),
			model.VirtualNodes.Put(tx, model.MeshKey(account, "us-east-1", "app1", "tagged"), &model.VirtualNode{MeshMeta: node}),
			model.VirtualNodes.Put(tx, model.MeshKey(account, "us-east-1", "app1", "twice"), &model.VirtualNode{MeshMeta: twice}),
		)
	})
	s := &Service{cfg: Config{Clock: clock.Fixed(now)}}
	ask := func(principal, action, resource string, keys map[string]string) (*authz.Explanation, string, error) {
		ctx := awsapi.NewContext(t.Context(), &awsapi.Call{Snapshot: snap, Account: account, Partition: "aws", Region: "us-west-2"})
		out, err := s.ExplainPermission(ctx, &ExplainPermissionInput{Principal: &principal, Action: &action, Resource: &resource, Keys: keys})
		if err != nil {
			return nil, "", err
		}
		x := new(authz.Explanation)
		if err := json.Unmarshal([]byte(*out.Explanation), x); err != nil {
			t.Fatal(err)
		}
		return x, model.Deref(out.ProxyAuthorization), nil
	}
	for _, test := range []struct {
		name, principal, action, resource string
		keys                              map[string]string
		allowed                           bool
		text, rule                        string
	}{
		{"named", role("envoy"), streams, endpoint + "serviceBv1", nil, true, "", "tls-and-gateways"},
		{"by its tag", role("envoy"), streams, endpoint + "tagged", nil, true, "", "tls-and-gateways"},
		{
			"not named", role("envoy"), streams, endpoint + "serviceBv2", nil, false, "User: arn:aws:sts::" + account + ":assumed-role/envoy/latchwork-confirm is not authorized to perform: " +
				streams + " on resource: " + endpoint + "serviceBv2 because no identity-based policy allows the " + streams + " action", "tls-and-gateways",
		},
		{"by a key that is not said", role("envoy"), "acm:ExportCertificate", "arn:aws:acm:us-east-1:" + account + ":certificate/1", nil, false, "User: arn:aws:sts::" + account + ":assumed-role/envoy/latchwork-confirm is not authorized to perform: acm:ExportCertificate on resource: arn:aws:acm:us-east-1:" + account + ":certificate/1 because no identity-based policy allows the acm:ExportCertificate action", ""},
		{"by a key that is said", role("envoy"), "acm:ExportCertificate", "arn:aws:acm:us-east-1:" + account + ":certificate/1", map[string]string{"aws:SourceIp": "10.1.1.1"}, true, "", ""},
		{
			"of another account", role("envoy"), streams, "arn:aws:appmesh:us-east-1:" + other + ":mesh/app1/virtualNode/tagged", nil, false, "User: arn:aws:sts::" + account + ":assumed-role/envoy/latchwork-confirm is not authorized to perform: " +
				streams + " on resource: arn:aws:appmesh:us-east-1:" + other + ":mesh/app1/virtualNode/tagged because no identity-based policy allows the " + streams + " action", "",
		},
		{"a user", model.IAMARN("aws", account, "user", "/", "erika"), streams, endpoint + "serviceBv1", nil, false, "User: arn:aws:iam::" + account + ":user/erika is not authorized to perform: " + streams + " on resource: " + endpoint + "serviceBv1 because no identity-based policy allows the " + streams + " action", "tls-and-gateways"},
	} {
		x, rule, err := ask(test.principal, test.action, test.resource, test.keys)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if x.Allowed != test.allowed || x.Text != test.text || rule != test.rule {
			t.Errorf("%s: %t, %q, rule %q", test.name, x.Allowed, x.Text, rule)
		}
	}
	// Of tags whose keys differ by case alone none is forgotten.
	for range 20 {
		if x, _, err := ask(role("envoy"), streams, endpoint+"twice", nil); err != nil || x.Allowed {
			t.Fatalf("by one of two tags: %+v %v", x, err)
		}
	}
	for _, principal := range []string{role("nobody"), model.IAMARN("aws", other, "user", "/", "max"), "*"} {
		_, _, err := ask(principal, streams, "*", nil)
		var f *fault.Error
		if !errors.As(err, &f) || f.Code != "ResourceNotFoundException" {
			t.Errorf("%s: %v", principal, err)
		}
	}
}

// Who asks needs the permission on whom the question is about.
func TestExplainPermissionAccess(t *testing.T) {
	w := newWorld(t)
	w.deny = "latchwork:ExplainPermission"
	arn := model.IAMARN("aws", account, "role", "/", "envoy")
	code, _ := w.call("POST", "/latchwork/explain-permission", `{"principal":"`+arn+`","action":"a:b","resource":"*"}`)
	if code != 403 || len(w.asked) != 1 || w.asked[0] != w.deny+" "+arn {
		t.Errorf("%d, asked %q", code, w.asked)
	}
}
