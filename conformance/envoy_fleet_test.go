//go:build conformance

package conformance

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// fleet is a mesh with Envoys that carry traffic. Each stands for a mesh endpoint
// with a role of its own that may read that endpoint and nothing else. Each has an
// address of its own in 127/8 in the place of a machine.
type fleet struct {
	*installation
	t *testing.T
	// account is the owner of what is made, admin its administrator. The mesh is the
	// default account's.
	account string
	admin   identity
	mesh    string
	net     int
	hosts   int
	sds     string // the socket of an agent that has secrets
}

// newFleet starts an installation with an empty mesh; net is the second last part of
// the addresses of its machines.
func newFleet(t *testing.T, mesh string, net int, args ...string) *fleet {
	t.Helper()
	in := start(t, append(args, "--proxy-authorization", "required")...)
	f := &fleet{installation: in, t: t, account: account, admin: in.administrator(account), mesh: mesh, net: net}
	f.put("", `{"meshName":"`+mesh+`"}`)
	t.Cleanup(func() {
		if t.Failed() {
			out, _, _ := f.command(f.admin, binary, "proxies", "--data-dir", f.dir)
			t.Logf("latchwork proxies:\n%s", out)
		}
	})
	return f
}

// address is that of a new machine.
func (f *fleet) address() string {
	f.hosts++
	return fmt.Sprintf("127.0.%d.%d", f.net, f.hosts)
}

// put calls App Mesh: path is what follows /meshes in the URI.
func (f *fleet) put(path, body string) {
	f.t.Helper()
	f.request("PUT", path, body)
}

func (f *fleet) request(method, path, body string) {
	f.t.Helper()
	if f.account != account {
		path += "?meshOwner=" + account
	}
	r, err := http.NewRequest(method, f.api+"/v20190125/meshes"+path, bytes.NewReader([]byte(body)))
	if err != nil {
		f.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	hash := sha256.Sum256([]byte(body))
	if err := v4.NewSigner().SignHTTP(context.Background(), aws.Credentials{AccessKeyID: f.admin.id, SecretAccessKey: f.admin.secret}, r, hex.EncodeToString(hash[:]), "appmesh", region, time.Now()); err != nil {
		f.t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		f.t.Fatal(err)
	}
	defer answer.Body.Close()
	if text, _ := io.ReadAll(answer.Body); answer.StatusCode != 200 {
		f.t.Fatalf("%s %s %s: %d %s", method, path, body, answer.StatusCode, text)
	}
}

func (f *fleet) node(name, spec string) {
	f.t.Helper()
	f.put("/"+f.mesh+"/virtualNodes", `{"virtualNodeName":"`+name+`","spec":`+spec+`}`)
}

func (f *fleet) updateNode(name, spec string) {
	f.t.Helper()
	f.put("/"+f.mesh+"/virtualNodes/"+name, `{"spec":`+spec+`}`)
}

func (f *fleet) gateway(name, spec string) {
	f.t.Helper()
	f.put("/"+f.mesh+"/virtualGateways", `{"virtualGatewayName":"`+name+`","spec":`+spec+`}`)
}

func (f *fleet) updateGateway(name, spec string) {
	f.t.Helper()
	f.put("/"+f.mesh+"/virtualGateways/"+name, `{"spec":`+spec+`}`)
}

func (f *fleet) gatewayRoute(gateway, name, spec string) {
	f.t.Helper()
	f.put("/"+f.mesh+"/virtualGateway/"+gateway+"/gatewayRoutes", `{"gatewayRouteName":"`+name+`","spec":`+spec+`}`)
}

// router makes a virtual router with a listener.
func (f *fleet) router(name, protocol string, ports ...int) {
	f.t.Helper()
	var listeners []string
	for _, port := range ports {
		listeners = append(listeners, fmt.Sprintf(`{"portMapping":{"port":%d,"protocol":%q}}`, port, protocol))
	}
	f.put("/"+f.mesh+"/virtualRouters", `{"virtualRouterName":"`+name+`","spec":{"listeners":[`+strings.Join(listeners, ",")+`]}}`)
}

func (f *fleet) route(router, name, spec string) {
	f.t.Helper()
	f.put("/"+f.mesh+"/virtualRouter/"+router+"/routes", `{"routeName":"`+name+`","spec":`+spec+`}`)
}

func (f *fleet) updateRoute(router, name, spec string) {
	f.t.Helper()
	f.put("/"+f.mesh+"/virtualRouter/"+router+"/routes/"+name, `{"spec":`+spec+`}`)
}

// service makes a virtual service of a virtual router, or of a virtual node.
func (f *fleet) service(name, router, node string) {
	f.t.Helper()
	provider := `"virtualRouter":{"virtualRouterName":"` + router + `"}`
	if node != "" {
		provider = `"virtualNode":{"virtualNodeName":"` + node + `"}`
	}
	f.put("/"+f.mesh+"/virtualServices", `{"virtualServiceName":"`+name+`","spec":{"provider":{`+provider+`}}}`)
}

// backends is the member of a virtual node's spec.
func backends(services ...string) string {
	var out []string
	for _, s := range services {
		out = append(out, `{"virtualService":{"virtualServiceName":"`+s+`"}}`)
	}
	return `"backends":[` + strings.Join(out, ",") + `]`
}

// listen is a virtual node's spec: where it is, how it listens, and what else its
// listener or the spec has.
func listen(address, protocol string, port int, more string, spec ...string) string {
	return fmt.Sprintf(`{"serviceDiscovery":{"dns":{"hostname":%q}},"listeners":[{"portMapping":{"port":%d,"protocol":%q}%s}]%s}`,
		address, port, protocol, more, strings.Join(append([]string{""}, spec...), ","))
}

// connect starts the Envoy of a mesh endpoint on a machine, whose application is at
// app. Without the permission it is refused, and then let in by the custom policy of
// the user guide, for its own endpoint.
func (f *fleet) connect(kind, name, bind, app string, extra ...string) *envoy {
	f.t.Helper()
	ctx := context.Background()
	options := credentials.StaticCredentialsProvider{Value: aws.Credentials{AccessKeyID: f.admin.id, SecretAccessKey: f.admin.secret}}
	api := iam.New(iam.Options{Region: region, BaseEndpoint: &f.api, Credentials: options})
	role := f.mesh + "-" + name
	if _, err := api.CreateRole(ctx, &iam.CreateRoleInput{RoleName: &role, AssumeRolePolicyDocument: aws.String(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + f.account + `:root"},"Action":"sts:AssumeRole"}]}`)}); err != nil {
		f.t.Fatal(err)
	}
	session, err := sts.New(sts.Options{Region: region, BaseEndpoint: &f.api, Credentials: options}).AssumeRole(ctx, &sts.AssumeRoleInput{
		RoleArn: aws.String("arn:aws:iam::" + f.account + ":role/" + role), RoleSessionName: aws.String("task"),
	})
	if err != nil {
		f.t.Fatal(err)
	}
	arn := arnOf(f.account, f.mesh+"/"+kind+"/"+name)
	e := f.envoy(f.t, proxy{
		node: arn, who: identity{*session.Credentials.AccessKeyId, *session.Credentials.SecretAccessKey, *session.Credentials.SessionToken},
		bind: bind, app: app, delta: f.hosts%2 == 0, sds: f.sds,
	})
	e.says(denied(arn))
	statements := []string{`{"Effect":"Allow","Action":"appmesh:StreamAggregatedResources","Resource":"` + arn + `"}`}
	if _, err := api.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: &role, PolicyName: aws.String("envoy"), PolicyDocument: aws.String(
		`{"Version":"2012-10-17","Statement":[` + strings.Join(append(statements, extra...), ",") + `]}`)}); err != nil {
		f.t.Fatal(err)
	}
	e.served()
	return e
}

// unsigned proves that nobody gets a configuration without credentials.
func (f *fleet) unsigned(kind, name string) {
	f.t.Helper()
	e := f.envoy(f.t, proxy{node: arnOf(account, f.mesh+"/"+kind+"/"+name), plain: true})
	e.says("closed: 16, Missing Authentication Token")
	e.stop()
}

// machine is an Envoy with an application that answers with its name.
func (f *fleet) machine(name, address string, port int, handler http.HandlerFunc) *envoy {
	f.t.Helper()
	app := f.address()
	serveHTTP(f.t, fmt.Sprintf("%s:%d", app, port), name, handler)
	return f.connect("virtualNode", name, address, app)
}

// share calls n times and gives how often each body came; whatever is not 200 counts
// as its status.
func share(t *testing.T, n int, url, host string, header ...string) map[string]int {
	t.Helper()
	out := map[string]int{}
	for range n {
		status, body := call(t, url, host, header...)
		if status != 200 {
			body = fmt.Sprint(status)
		}
		out[strings.Fields(body + " -")[0]]++
	}
	return out
}

// reaches waits until a call gives a status and a body that begins so.
func reaches(t *testing.T, status int, body, url, host string, header ...string) {
	t.Helper()
	var got string
	defer func() {
		if t.Failed() {
			t.Logf("%s (Host %s) answered %s, want %d %s", url, host, got, status, body)
		}
	}()
	eventually(t, fmt.Sprintf("%s answers %d %s", url, status, body), func() bool {
		s, b := call(t, url, host, header...)
		got = fmt.Sprint(s, " ", b)
		return s == status && strings.HasPrefix(b, body)
	})
}
