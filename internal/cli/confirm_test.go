package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/latchwork/latchwork/internal/server"
)

// confirmWorld is a server with the mesh of the user guide and roles of all sorts.
type confirmWorld struct {
	t      *testing.T
	data   string
	client *client
}

func newConfirmWorld(t *testing.T) *confirmWorld {
	t.Helper()
	alone(t)
	for _, name := range credentialSettings {
		t.Setenv(name, "")
	}
	c := testConfig(t)
	c.EMSAddr = "off"
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	ready, done := make(chan *server.Info, 1), make(chan error, 1)
	go func() { done <- server.Run(ctx, c, io.Discard, func(i *server.Info) { ready <- i }) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	var info *server.Info
	select {
	case info = <-ready:
	case err := <-done:
		done <- nil
		t.Fatalf("the server ended with %v", err)
	}
	admin, err := server.ReadAdmin(c.DataDir, info.AccountID)
	if err != nil {
		t.Fatal(err)
	}
	w := &confirmWorld{t, c.DataDir, newClient(info, adminCredentials(admin))}
	w.client.region = "us-east-1"
	return w
}

func (w *confirmWorld) iam(action string, parameters ...string) {
	w.t.Helper()
	set := map[string]string{}
	for i := 0; i < len(parameters); i += 2 {
		set[parameters[i]] = parameters[i+1]
	}
	if err := w.client.iam(w.t.Context(), action, set, nil); err != nil {
		w.t.Fatal(action, err)
	}
}

func (w *confirmWorld) mesh(method, path, body string) {
	w.t.Helper()
	if err := w.client.rest(w.t.Context(), "appmesh", method, "/v20190125/meshes"+path, json.RawMessage(body), nil); err != nil {
		w.t.Fatal(path, err)
	}
}

// arns of a mesh's virtual nodes, in JSON.
func nodes(names ...string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = `"arn:aws:appmesh:us-east-1:123456789012:mesh/app1/virtualNode/` + n + `"`
	}
	return "[" + strings.Join(quoted, ",") + "]"
}

// letting is a policy of one statement.
func letting(effect, action, resources, condition string) string {
	if condition != "" {
		condition = `,"Condition":` + condition
	}
	return fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":%q,"Action":%q,"Resource":%s%s}]}`, effect, action, resources, condition)
}

// role makes a role that a service takes, with inline policies.
func (w *confirmWorld) role(name, service string, policies ...string) {
	w.t.Helper()
	w.trusting(name, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"`+service+`"},"Action":"sts:AssumeRole"}]}`, policies...)
}

func (w *confirmWorld) trusting(name, trust string, policies ...string) {
	w.t.Helper()
	w.iam("CreateRole", "RoleName", name, "AssumeRolePolicyDocument", trust)
	for i, p := range policies {
		w.iam("PutRolePolicy", "RoleName", name, "PolicyName", fmt.Sprintf("p%d", i+1), "PolicyDocument", p)
	}
}

func (w *confirmWorld) attach(role, arn string) {
	w.t.Helper()
	w.iam("AttachRolePolicy", "RoleName", role, "PolicyArn", arn)
}

const (
	tasks     = "ecs-tasks.amazonaws.com"
	policies  = "arn:aws:iam::123456789012:policy/"
	awsPolicy = "arn:aws:iam::aws:policy/"
	provider  = "arn:aws:iam::123456789012:oidc-provider/oidc.example"
)

// populate makes everything that the cases are about.
func (w *confirmWorld) populate() {
	listener := func(more string) string {
		return `{"listeners":[{"portMapping":{"port":8080,"protocol":"http"}` + more + `}],"serviceDiscovery":{"dns":{"hostname":"localhost"}}}`
	}
	w.mesh("PUT", "", `{"meshName":"app1"}`)
	for name, spec := range map[string]string{
		"serviceBv1": listener(`,"tls":{"mode":"STRICT","certificate":{"file":{"certificateChain":"/c","privateKey":"/k"}}}`),
		"serviceBv2": listener(""),
		"managed":    listener(`,"tls":{"mode":"STRICT","certificate":{"acm":{"certificateArn":"arn:aws:acm:us-east-1:123456789012:certificate/1"}}}`),
	} {
		w.mesh("PUT", "/app1/virtualNodes", `{"virtualNodeName":"`+name+`","spec":`+spec+`}`)
	}
	w.mesh("PUT", "/app1/virtualGateways", `{"virtualGatewayName":"edge","spec":{"listeners":[{"portMapping":{"port":80,"protocol":"http"}}]}}`)

	both := letting("Allow", actionStream, nodes("serviceBv1", "serviceBv2"), "")
	w.iam("CreatePolicy", "PolicyName", "b-envoy", "PolicyDocument", both)
	w.iam("CreatePolicy", "PolicyName", "nothing-of-mesh", "PolicyDocument", letting("Allow", "s3:*", `"*"`, ""))
	w.role("custom", tasks)
	w.attach("custom", policies+"b-envoy")
	w.role("managed", tasks)
	w.attach("managed", awsPolicy+"AWSAppMeshEnvoyAccess")
	w.role("preview", tasks)
	w.attach("preview", awsPolicy+"AWSAppMeshPreviewEnvoyAccess")
	w.role("bare", tasks)
	w.role("inline", tasks, letting("Allow", "s3:GetObject", `"*"`, ""), both)
	w.role("denied", tasks, `{"Version":"2012-10-17","Statement":[{"Sid":"NotV1","Effect":"Deny","Action":"appmesh:*","Resource":`+nodes("serviceBv1")+`}]}`)
	w.attach("denied", awsPolicy+"AWSAppMeshEnvoyAccess")
	w.role("bounded", tasks, both)
	w.iam("PutRolePermissionsBoundary", "RoleName", "bounded", "PermissionsBoundary", policies+"nothing-of-mesh")
	w.role("elsewhere", tasks, letting("Allow", actionStream, `"arn:aws:appmesh:us-west-2:123456789012:mesh/app1/virtualNode/serviceBv1"`, ""))
	w.role("conditional", tasks, letting("Allow", actionStream, `"*"`, `{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}`))
	w.role("tagged", tasks, letting("Allow", actionStream, `"*"`, `{"StringEquals":{"aws:ResourceTag/team":"b"}}`))
	w.role("certified", tasks, letting("Allow", actionStream, nodes("managed"), ""), letting("Allow", "acm:ExportCertificate", `"*"`, `{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}`))
	w.role("web", "ec2.amazonaws.com", both)
	w.iam("CreateInstanceProfile", "InstanceProfileName", "box")
	w.iam("AddRoleToInstanceProfile", "InstanceProfileName", "box", "RoleName", "web")
	w.iam("CreateInstanceProfile", "InstanceProfileName", "empty")
	pods := func(condition string) string {
		return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Federated":"` + provider + `"},"Action":"sts:AssumeRoleWithWebIdentity"` + condition + `}]}`
	}
	w.iam("CreateOpenIDConnectProvider", "Url", "https://oidc.example", "ClientIDList.member.1", "sts.amazonaws.com")
	w.trusting("my-deployment", pods(`,"Condition":{"StringEquals":{"oidc.example:sub":"system:serviceaccount:ns1:my-sa","oidc.example:aud":"sts.amazonaws.com"}}`), both)
	w.trusting("any-pod", pods(""), both)
	elsewhere := strings.NewReplacer("oidc.example", "oidc.elsewhere")
	w.trusting("unknown-cluster", elsewhere.Replace(pods("")), both)
	w.trusting("cluster-of-others", strings.Replace(pods(""), "123456789012", "222222222222", 1), both)
	w.trusting("pods", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"pods.eks.amazonaws.com"},"Action":["sts:AssumeRole","sts:TagSession"]}]}`, both)
	w.role("half", "pods.eks.amazonaws.com", both)
	w.trusting("sourced", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ecs-tasks.amazonaws.com"},"Action":"sts:AssumeRole","Condition":{"ArnLike":{"aws:SourceArn":"arn:aws:ecs:*:*:task/x"}}}]}`, both)
}

const (
	podsFile = `apiVersion: apps/v1
kind: Deployment
metadata:
  name: my-deployment
  namespace: ns1
spec:
  template:
    spec:
      serviceAccountName: SA
      containers:
      - name: app
        image: app
      - name: envoy
        image: envoy
        env:
        - name: APPMESH_RESOURCE_ARN
          value: arn:aws:appmesh:us-east-1:123456789012:mesh/app1/virtualNode/serviceBv1
`
	accountFile = `{"apiVersion":"v1","kind":"List","items":[{"kind":"ServiceAccount","metadata":{"name":"SA","namespace":"ns1",
		"annotations":{"eks.amazonaws.com/role-arn":"arn:aws:iam::123456789012:role/ROLE"}}}]}`
	taskFile = `{"taskDefinition":{"family":"b","revision":7,"taskRoleArn":"ROLE","executionRoleArn":"arn:aws:iam::123456789012:role/ecsTaskExecutionRole",
		"containerDefinitions":[{"name":"app"},{"name":"envoy","environment":[{"name":"APPMESH_VIRTUAL_NODE_NAME","value":"mesh/app1/virtualNode/serviceBv1"}MORE]}]}}`
)

func TestConfirm(t *testing.T) {
	w := newConfirmWorld(t)
	w.populate()
	dir := t.TempDir()
	files := 0
	file := func(text string, replace ...string) string {
		files++
		path := filepath.Join(dir, fmt.Sprint(files))
		if err := os.WriteFile(path, []byte(strings.NewReplacer(replace...).Replace(text)), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	pod := func(account, role string) []string {
		return []string{"eks", "--deployment", file(podsFile, "SA", account), "--service-account", file(accountFile, "SA", account, "ROLE", role)}
	}
	role := func(name, node string) []string {
		return []string{"--resource", "arn:aws:appmesh:us-east-1:123456789012:mesh/app1/" + node, "--principal", name}
	}
	own := *w.client // bindings are the server's region's
	own.region = "us-west-2"
	bind := func(binding map[string]string) {
		t.Helper()
		if err := own.rest(t.Context(), "latchwork", http.MethodPost, bindingsPath, binding, nil); err != nil {
			t.Fatal(err)
		}
	}
	bind(map[string]string{"kind": "ec2-instance", "instanceProfile": "box"})
	for account, role := range map[string]string{"bound-sa": "pods", "half-sa": "half"} {
		bind(map[string]string{
			"kind": "eks-pod", "issuer": "https://oidc.example", "cluster": "blue", "namespace": "ns1", "serviceAccount": account,
			"role": "arn:aws:iam::123456789012:role/" + role,
		})
	}
	for _, test := range []struct {
		name string
		args []string
		code int
	}{
		{"custom", role("custom", "virtualNode/serviceBv1"), 0},
		{"custom-not-named", role("arn:aws:iam::123456789012:role/custom", "virtualNode/managed"), 1},
		{"custom-gateway", role("custom", "virtualGateway/edge"), 1},
		{"managed", role("managed", "virtualNode/serviceBv2"), 0},
		{"managed-certificate", role("managed", "virtualNode/managed"), 1},
		{"certificate-conditional", role("certified", "virtualNode/managed"), 2},
		{"certificate-conditional-said", append(role("certified", "virtualNode/managed"), "--key", "aws:SourceIp=10.0.0.7"), 0},
		{"managed-not-there", role("managed", "virtualNode/serviceBv3"), 0},
		{"preview", role("preview", "virtualNode/serviceBv1"), 1},
		{"bare", role("bare", "virtualNode/serviceBv2"), 1},
		{"inline", role("arn:aws:sts::123456789012:assumed-role/inline/x", "virtualNode/serviceBv1"), 0},
		{"denied", role("denied", "virtualNode/serviceBv1"), 1},
		{"bounded", role("bounded", "virtualNode/serviceBv1"), 1},
		{"elsewhere", role("elsewhere", "virtualNode/serviceBv1"), 1},
		{"conditional", role("conditional", "virtualNode/serviceBv1"), 2},
		{"conditional-said", append(role("conditional", "virtualNode/serviceBv1"), "--key", "aws:SourceIp=10.0.0.7"), 0},
		{"tagged", role("tagged", "virtualNode/serviceBv1"), 1},
		{"no-role", role("nobody", "virtualNode/serviceBv1"), 2},
		{"another-account", []string{"--resource", "arn:aws:appmesh:us-east-1:222222222222:mesh/app1/virtualNode/serviceBv1", "--principal", "managed"}, 1},

		{"eks", pod("my-sa", "my-deployment"), 0},
		{"eks-another-subject", pod("other-sa", "my-deployment"), 1},
		{"eks-any-subject", pod("my-sa", "any-pod"), 0},
		{"eks-no-trust", pod("my-sa", "custom"), 1},
		{"eks-no-trust-conditional", pod("my-sa", "conditional"), 1},
		{"eks-no-provider", pod("my-sa", "unknown-cluster"), 1},
		{"eks-provider-of-others", pod("my-sa", "cluster-of-others"), 1},
		{"eks-audience", []string{
			"eks", "--deployment", file(podsFile, "SA", "my-sa"), "--service-account",
			file(accountFile, "SA", "my-sa", "ROLE", "any-pod", `"annotations":{`, `"annotations":{"eks.amazonaws.com/audience":"vault",`),
		}, 1},
		{"eks-pod-identity", pod("bound-sa", "my-deployment"), 0},
		{"eks-pod-identity-half", pod("half-sa", "my-deployment"), 1},
		{"eks-default", []string{"eks", "--deployment", file(podsFile, "SA", "default")}, 2},
		{"eks-not-annotated", []string{"eks", "--deployment", file(podsFile, "SA", "my-sa"), "--service-account", file(accountFile, "SA", "my-sa", "eks.amazonaws.com/role-arn", "x")}, 2},
		{"eks-own-role", []string{"eks", "--deployment", file(podsFile, "SA", "default", "      - name: envoy", "      - env:\n        - name: X\n        name: x\n      - name: envoy", "        env:", "        env:\n        - name: AWS_ROLE_ARN\n          value: arn:aws:iam::123456789012:role/any-pod")}, 0},

		{"ecs", []string{"ecs", "--region", "us-east-1", "--task-definition", file(taskFile, "ROLE", "arn:aws:iam::123456789012:role/custom", "MORE", "")}, 0},
		{"ecs-sourced", []string{"ecs", "--region", "us-east-1", "--task-definition", file(taskFile, "ROLE", "arn:aws:iam::123456789012:role/sourced", "MORE", "")}, 0},
		{"ecs-no-task-role", []string{"ecs", "--region", "us-east-1", "--task-definition", file(taskFile, "ROLE", "", "MORE", "")}, 2},
		{"ecs-no-trust", []string{"ecs", "--region", "us-east-1", "--task-definition", file(taskFile, "ROLE", "arn:aws:iam::123456789012:role/web", "MORE", "")}, 1},
		{"ecs-own-keys", []string{"ecs", "--region", "us-east-1", "--task-definition", file(taskFile, "ROLE", "arn:aws:iam::123456789012:role/custom", "MORE", `,{"name":"AWS_ACCESS_KEY_ID","value":"AKIA"}`)}, 2},
		{"ecs-own-secret-keys", []string{"ecs", "--region", "us-east-1", "--task-definition", file(taskFile, "ROLE", "arn:aws:iam::123456789012:role/custom", "MORE", "", `"environment":`, `"secrets":[{"name":"AWS_ACCESS_KEY_ID","valueFrom":"arn:aws:secretsmanager:us-east-1:123456789012:secret:keys"}],"environment":`)}, 2},

		{"ec2", append([]string{"ec2", "--instance-profile", "box"}, role("", "virtualNode/serviceBv1")[:2]...), 0},
		{"ec2-empty", append([]string{"ec2", "--instance-profile", "empty"}, role("", "virtualNode/serviceBv1")[:2]...), 2},
		{"ec2-no-instance", append([]string{"ec2", "--instance", "i-0"}, role("", "virtualNode/serviceBv1")[:2]...), 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			args := append(append([]string{"confirm"}, test.args...), "--data-dir", w.data)
			var stdout, stderr bytes.Buffer
			if code := Main(args, &stdout, &stderr); code != test.code || stderr.Len() > 0 {
				t.Errorf("%d, %q; want %d", code, stderr.String(), test.code)
			}
			golden(t, "confirm/"+test.name+".txt", stdout.String())
		})
	}
	t.Run("json", func(t *testing.T) {
		var stdout, stderr bytes.Buffer
		args := append([]string{"confirm", "-o", "json", "--data-dir", w.data}, role("custom", "virtualNode/managed")...)
		if code := Main(args, &stdout, &stderr); code != 1 {
			t.Errorf("%d, %q", code, stderr.String())
		}
		golden(t, "confirm/custom-not-named.json", stdout.String())
	})
	t.Run("an instance", func(t *testing.T) {
		bindings, err := own.bindings(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range bindings {
			if b.Kind != "ec2-instance" {
				continue
			}
			var stdout, stderr bytes.Buffer
			args := append([]string{"confirm", "ec2", "--instance", b.ID, "--data-dir", w.data}, role("", "virtualNode/serviceBv1")[:2]...)
			if code := Main(args, &stdout, &stderr); code != 0 || !strings.Contains(stdout.String(), "instance "+b.ID+" has instance profile box") {
				t.Errorf("%d, %q, %q", code, stdout.String(), stderr.String())
			}
		}
		if len(bindings) != 3 {
			t.Errorf("%d bindings", len(bindings))
		}
	})
	// What FIX says helps.
	t.Run("fixed", func(t *testing.T) {
		w.iam("PutRolePolicy", "RoleName", "bare", "PolicyName", "appmesh-envoy", "PolicyDocument",
			`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"appmesh:StreamAggregatedResources","Resource":"arn:aws:appmesh:us-east-1:123456789012:mesh/app1/virtualNode/serviceBv2"}]}`)
		var stdout, stderr bytes.Buffer
		args := append([]string{"confirm", "--data-dir", w.data}, role("bare", "virtualNode/serviceBv2")...)
		if code := Main(args, &stdout, &stderr); code != 0 {
			t.Errorf("%d, %q, %q", code, stdout.String(), stderr.String())
		}
	})
}

func TestConfirmRefuses(t *testing.T) {
	alone(t)
	none := filepath.Join(t.TempDir(), "none")
	described := filepath.Join(t.TempDir(), "described")
	if err := os.WriteFile(described, []byte("Name:   my-deployment\nPod Template:\n  Service Account:  my-sa\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args []string
		says string
	}{
		{[]string{"confirm", "--resource", serviceB, "--principal", "r", "--data-dir", none}, "no server has run on"},
		{[]string{"confirm", "ec2", "--resource", serviceB}, "give --instance or --instance-profile"},
		{[]string{"confirm", "eks", "--deployment", described}, "give what kubectl get -o yaml prints"},
		{[]string{"confirm", "ecs", "--task-definition", described}, "give what aws ecs describe-task-definition prints"},
		{[]string{"confirm", "--resource", serviceB}, "missing flags: --principal"},
	} {
		var stdout, stderr bytes.Buffer
		if code := Main(test.args, &stdout, &stderr); code != exitUnknown || !strings.Contains(stderr.String(), test.says) {
			t.Errorf("%q: %d, %q", test.args, code, stderr.String())
		}
	}
}
