//go:build conformance

package conformance

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// meshWorld is an installation with the mesh of the user guide: serviceA calls
// serviceB, which has two versions behind a router.
type meshWorld struct {
	*installation
	owner identity
}

func (w *meshWorld) mesh(args ...string) map[string]any {
	w.t.Helper()
	return w.aws(w.owner, append([]string{"appmesh"}, args...)...)
}

func (w *meshWorld) node(name, spec string) {
	w.t.Helper()
	w.mesh("create-virtual-node", "--mesh-name", "app1", "--virtual-node-name", name, "--spec", spec)
}

// nodeSpec is a virtual node that listens and is found by its address.
func nodeSpec(address string, port int, more string) string {
	return fmt.Sprintf(`{"listeners":[{"portMapping":{"port":%d,"protocol":"http"}%s}],"serviceDiscovery":{"dns":{"hostname":%q}}}`, port, more, address)
}

func newMeshWorld(t *testing.T, args ...string) *meshWorld {
	t.Helper()
	in := start(t, args...)
	w := &meshWorld{in, in.administrator(account)}
	w.mesh("create-mesh", "--mesh-name", "app1")
	return w
}

// taskRole makes a role that tasks assume, and a session of it.
func (w *meshWorld) taskRole(name string, resources ...string) identity {
	w.t.Helper()
	w.aws(w.owner, "iam", "create-role", "--role-name", name, "--assume-role-policy-document",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::`+account+`:root"},"Action":"sts:AssumeRole"}]}`)
	w.allow(name, resources...)
	return w.assume(w.owner, account, name)
}

// allow lets a role read mesh endpoints, as the user guide's custom policy does; none
// takes the policy away.
func (w *meshWorld) allow(role string, resources ...string) {
	w.t.Helper()
	if len(resources) == 0 {
		w.execute(w.environ(w.owner), newest().path, "iam", "delete-role-policy", "--role-name", role, "--policy-name", "envoy")
		return
	}
	w.aws(w.owner, "iam", "put-role-policy", "--role-name", role, "--policy-name", "envoy", "--policy-document",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"appmesh:StreamAggregatedResources","Resource":["`+strings.Join(resources, `","`)+`"]}]}`)
}

func denied(arn string) string {
	return "closed: 7, Unauthorized to perform appmesh:StreamAggregatedResources for " + arn + "."
}

// TestEnvoyAuthorization: which stock Envoys are given the configuration of a mesh
// endpoint, and what the others are told.
func TestEnvoyAuthorization(t *testing.T) {
	config := filepath.Join(t.TempDir(), "latchwork.yaml")
	if err := os.WriteFile(config, []byte("accounts:\n- id: \"222222222222\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w := newMeshWorld(t, "--config", config, "--proxy-authorization", "required")
	w.node("serviceBv1", nodeSpec("127.0.0.1", 8080, ""))
	w.node("serviceBv2", nodeSpec("127.0.0.1", 8080, ""))
	v1, v2 := arnOf(account, "app1/virtualNode/serviceBv1"), arnOf(account, "app1/virtualNode/serviceBv2")
	role := w.taskRole("b", v1)
	foreign := w.administrator("222222222222")

	for _, version := range envoys {
		for _, delta := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s delta %t", version, delta), func(t *testing.T) {
				run := func(p proxy) *envoy {
					t.Helper()
					p.version, p.delta = version, delta
					p.bind = "127.0.9.1"
					return w.envoy(t, p)
				}
				run(proxy{node: v1, plain: true}).says("closed: 16, Missing Authentication Token")
				run(proxy{node: v1, who: identity{role.id, "wrong", role.token}}).says("closed: 16, The request signature we calculated does not match the signature you provided.")
				run(proxy{node: v1, who: identity{"AKIAIOSFODNN7EXAMPLE", "x", ""}}).says("closed: 16, The security token included in the request is invalid.")
				run(proxy{node: v2, who: role}).says(denied(v2))
				run(proxy{node: v1, who: foreign}).says(denied(v1))
				run(proxy{node: v1, who: role, region: "eu-west-1"}).says("closed: 16, Credential should be scoped to a valid region.")
				run(proxy{node: arnOf(account, "app1/virtualNode/none"), who: w.owner}).says("closed: 3, No Virtual Node with name none found in mesh app1.")
				run(proxy{node: arnOf(account, "app1/virtualNode/none"), who: role}).says(denied(arnOf(account, "app1/virtualNode/none")))
				run(proxy{node: "nonsense", who: role}).says("closed: 3, node.id")

				e := run(proxy{node: v1, who: role})
				e.served()
				if strings.Contains(e.output(), "closed:") {
					t.Errorf("an authorized Envoy says\n%s", e.output())
				}
			})
		}
	}
}

// TestEnvoyRevoked: a permission that is taken away ends the live stream, and no
// other.
func TestEnvoyRevoked(t *testing.T) {
	w := newMeshWorld(t, "--proxy-authorization", "required")
	w.node("a", nodeSpec("127.0.0.1", 8080, ""))
	w.node("b", nodeSpec("127.0.0.1", 8080, ""))
	arn, other := arnOf(account, "app1/virtualNode/a"), arnOf(account, "app1/virtualNode/b")
	one, two := w.taskRole("one", arn), w.taskRole("two", other)
	a := w.envoy(t, proxy{node: arn, who: one, bind: "127.0.9.2"})
	b := w.envoy(t, proxy{node: "mesh/app1/virtualNode/b", who: two, bind: "127.0.9.3"})
	a.served()
	b.served()
	w.allow("one", other)
	a.says(denied(arn))
	// The other one is served on, and gets what changes.
	updates := b.stat("listener_manager.lds.update_success")
	w.mesh("update-virtual-node", "--mesh-name", "app1", "--virtual-node-name", "b", "--spec", nodeSpec("127.0.0.1", 8081, ""))
	eventually(t, "the other Envoy is brought up to date", func() bool { return b.stat("listener_manager.lds.update_success") > updates })
	if strings.Contains(b.output(), "closed:") {
		t.Errorf("the other Envoy says\n%s", b.output())
	}
	// With the permission the first comes back by itself.
	updates = a.stat("listener_manager.lds.update_success")
	w.allow("one", arn)
	w.mesh("update-virtual-node", "--mesh-name", "app1", "--virtual-node-name", "a", "--spec", nodeSpec("127.0.0.1", 8082, ""))
	eventually(t, "the first Envoy comes back", func() bool { return a.stat("listener_manager.lds.update_success") > updates })
	// A node that is deleted is not there any more.
	mark := b.mark()
	w.mesh("delete-virtual-node", "--mesh-name", "app1", "--virtual-node-name", "b")
	b.saysAfter(mark, "closed: 3, No Virtual Node with name b found in mesh app1.")
}

// TestEnvoySeedRule: without the permission the Envoy of a virtual node that does not
// use TLS is served, and that of one which does, or of a virtual gateway, is not.
func TestEnvoySeedRule(t *testing.T) {
	w := newMeshWorld(t)
	tls := `,"tls":{"mode":"STRICT","certificate":{"file":{"certificateChain":"/none/chain.pem","privateKey":"/none/key.pem"}}}`
	w.node("plain", nodeSpec("127.0.0.1", 8080, ""))
	w.node("tls", nodeSpec("127.0.0.1", 8080, tls))
	w.mesh("create-virtual-gateway", "--mesh-name", "app1", "--virtual-gateway-name", "gw", "--spec", `{"listeners":[{"portMapping":{"port":9080,"protocol":"http"}}]}`)
	plain, secure, gateway := arnOf(account, "app1/virtualNode/plain"), arnOf(account, "app1/virtualNode/tls"), arnOf(account, "app1/virtualGateway/gw")
	role := w.taskRole("nothing")
	w.envoy(t, proxy{node: secure, who: role}).says(denied(secure))
	w.envoy(t, proxy{node: gateway, who: role}).says(denied(gateway))
	w.envoy(t, proxy{node: plain, plain: true}).says("closed: 16, Missing Authentication Token")
	e := w.envoy(t, proxy{node: plain, who: role, bind: "127.0.9.4"})
	e.served()
	out, errs, code := w.command(w.owner, binary, "proxies", "--data-dir", w.dir)
	if code != 0 {
		t.Fatalf("latchwork proxies: %s", errs)
	}
	mustContain(t, "latchwork proxies", out, plain, "not authorized", "role/nothing", denied(secure)[len("closed: 7, "):])
	// It starts to use TLS, and its stream ends at once.
	w.mesh("update-virtual-node", "--mesh-name", "app1", "--virtual-node-name", "plain", "--spec", nodeSpec("127.0.0.1", 8080, tls))
	e.says(denied(plain))
	// An explicit deny holds whatever the rule.
	w.node("other", nodeSpec("127.0.0.1", 8080, ""))
	w.aws(w.owner, "iam", "put-role-policy", "--role-name", "nothing", "--policy-name", "deny", "--policy-document",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"appmesh:*","Resource":"*"}]}`)
	w.envoy(t, proxy{node: arnOf(account, "app1/virtualNode/other"), who: role}).says(denied(arnOf(account, "app1/virtualNode/other")))
}

// TestEnvoyManagedPolicies: AWS's policies for Envoys, of which the preview's is for
// another action.
func TestEnvoyManagedPolicies(t *testing.T) {
	w := newMeshWorld(t, "--proxy-authorization", "required")
	w.node("a", nodeSpec("127.0.0.1", 8080, ""))
	arn := arnOf(account, "app1/virtualNode/a")
	role := w.taskRole("task")
	attach := func(name string) {
		w.aws(w.owner, "iam", "attach-role-policy", "--role-name", "task", "--policy-arn", "arn:aws:iam::aws:policy/"+name)
	}
	attach("AWSAppMeshPreviewEnvoyAccess")
	e := w.envoy(t, proxy{node: arn, who: role, bind: "127.0.9.5"})
	e.says(denied(arn))
	attach("AWSAppMeshEnvoyAccess")
	e.served()
}

// TestEnvoyLegacySigner: Envoys up to 1.34 sign with a plugin of Google's gRPC client.
// No build of one is left, so a new one sends what theirs sent: the hash of an empty
// body, and the host without its port.
func TestEnvoyLegacySigner(t *testing.T) {
	w := newMeshWorld(t, "--proxy-authorization", "required")
	w.node("a", nodeSpec("127.0.0.1", 8080, ""))
	arn := arnOf(account, "app1/virtualNode/a")
	role := w.taskRole("legacy", arn)
	const host = "appmesh-envoy-management." + region + ".amazonaws.com"
	r, err := http.NewRequest("POST", "https://"+host+"/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources", nil)
	if err != nil {
		t.Fatal(err)
	}
	empty := sha256.Sum256(nil)
	hash := hex.EncodeToString(empty[:])
	r.Header.Set("X-Amz-Content-Sha256", hash)
	if err := v4.NewSigner().SignHTTP(context.Background(), aws.Credentials{AccessKeyID: role.id, SecretAccessKey: role.secret, SessionToken: role.token}, r, hash, "appmesh", region, time.Now()); err != nil {
		t.Fatal(err)
	}
	var sent []any
	for _, name := range []string{"Authorization", "X-Amz-Date", "X-Amz-Content-Sha256", "X-Amz-Security-Token"} {
		sent = append(sent, map[string]any{"key": strings.ToLower(name), "value": r.Header.Get(name)})
	}
	for _, version := range envoys {
		boot := w.bootstrap(proxy{version: version, node: arn, bind: "127.0.9.6"})
		boot["static_resources"] = map[string]any{}
		boot["dynamic_resources"].(map[string]any)["ads_config"] = map[string]any{
			"api_type": "GRPC", "transport_api_version": "V3",
			"grpc_services": []any{map[string]any{
				"google_grpc": map[string]any{
					"target_uri": w.ems, "stat_prefix": "ads",
					"channel_credentials": map[string]any{"ssl_credentials": map[string]any{"root_certs": map[string]any{"filename": filepath.Join(w.dir, "ca.pem")}}},
					"channel_args": map[string]any{"args": map[string]any{
						"grpc.default_authority": map[string]any{"string_value": host + ":443"}, "grpc.ssl_target_name_override": map[string]any{"string_value": host},
					}},
				},
				"initial_metadata": sent,
			}},
		}
		e := startEnvoy(t, version, boot, w.environ(identity{}))
		e.served()
		e.stop()
	}
}
