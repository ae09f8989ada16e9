//go:build conformance

package conformance

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// confirm runs latchwork confirm, and gives what it prints.
func (w *meshWorld) confirm(code int, args ...string) string {
	w.t.Helper()
	stdout, stderr, got := w.command(identity{}, binary, append([]string{"confirm"}, append(args, "--data-dir", w.dir)...)...)
	if got != code {
		w.t.Errorf("confirm %s: exit %d, want %d\n%s%s", strings.Join(args, " "), got, code, stdout, stderr)
	}
	return stdout
}

// hosted makes a role that a service of AWS takes.
func (w *meshWorld) hosted(name, principal, action, condition string) {
	w.t.Helper()
	w.aws(w.owner, "iam", "create-role", "--role-name", name, "--assume-role-policy-document",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":`+principal+`,"Action":"`+action+`"`+condition+`}]}`)
}

// TestConfirm goes through the user guide's page on proxy authorization: it creates the
// policies and roles with the AWS CLI, attaches them, and confirms the permission for
// each service that hosts an Envoy.
func TestConfirm(t *testing.T) {
	w := newMeshWorld(t)
	for _, name := range []string{"serviceA", "serviceBv1", "serviceBv2"} {
		w.node(name, nodeSpec("127.0.0.1", 8080, `,"tls":{"mode":"STRICT","certificate":{"file":{"certificateChain":"/c.pem","privateKey":"/k.pem"}}}`))
	}
	a, v1, v2 := arnOf(account, "app1/virtualNode/serviceA"), arnOf(account, "app1/virtualNode/serviceBv1"), arnOf(account, "app1/virtualNode/serviceBv2")
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	document := file("policy.json", `{
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": "appmesh:StreamAggregatedResources",
            "Resource": [
                "`+v1+`",
                "`+v2+`"
            ]
        }
    ]
}
`)
	custom := w.aws(w.owner, "iam", "create-policy", "--policy-name", "b-envoy", "--policy-document", "file://"+document)["Policy"].(map[string]any)["Arn"].(string)
	attach := func(role, policy string) {
		t.Helper()
		w.aws(w.owner, "iam", "attach-role-policy", "--role-name", role, "--policy-arn", policy)
	}

	w.hosted("b", `{"Service":"ecs-tasks.amazonaws.com"}`, "sts:AssumeRole", "")
	attach("b", custom)
	for _, arn := range []string{v1, v2} {
		mustContain(t, "confirm", w.confirm(0, "--resource", arn, "--principal", "b"), "policy/b-envoy v1: statement 1 allows it", "VERDICT   ALLOWED", "authorization tls-and-gateways")
	}
	out := w.confirm(1, "--resource", a, "--principal", "arn:aws:iam::"+account+":role/b")
	mustContain(t, "confirm", out, "VERDICT   DENIED (implicit deny)", "statement 1 has the action for "+v1+", "+v2+", and not for this ARN")

	// The command under FIX is what helps.
	_, fix, found := strings.Cut(out, "\nFIX       ")
	if !found || strings.Count(fix, "\n") != 1 {
		t.Fatalf("there is not one command to fix it:\n%s", out)
	}
	if stdout, stderr, code := w.command(w.owner, "sh", "-c", "PATH="+filepath.Dir(newest().path)+":$PATH; "+fix); code != 0 {
		t.Fatalf("%s%s%s", fix, stdout, stderr)
	}
	w.confirm(0, "--resource", a, "--principal", "b")

	// AWS's own policy lets all in, which is more than recommended.
	w.hosted("all", `{"Service":"ec2.amazonaws.com"}`, "sts:AssumeRole", "")
	var result struct {
		Verdict      string   `json:"verdict"`
		AlsoReadable []string `json:"alsoReadable"`
	}
	mustContain(t, "confirm", w.confirm(1, "--resource", v1, "--principal", "all"), "has no identity policies")
	attach("all", "arn:aws:iam::aws:policy/AWSAppMeshEnvoyAccess")
	out = w.confirm(0, "--resource", v1, "--principal", "all", "-o", "json")
	if err := json.Unmarshal([]byte(out), &result); err != nil || result.Verdict != "allowed" || strings.Join(result.AlsoReadable, " ") != a+" "+v2 {
		t.Errorf("%v: %s", err, out)
	}

	t.Run("ecs", func(t *testing.T) {
		task := file("task.json", `{"taskDefinition":{"family":"b","revision":1,"taskRoleArn":"arn:aws:iam::`+account+`:role/b","containerDefinitions":[
			{"name":"envoy","environment":[{"name":"APPMESH_RESOURCE_ARN","value":"`+v1+`"}]}]}}`)
		mustContain(t, "confirm", w.confirm(0, "ecs", "--task-definition", task), "WORKLOAD  task definition b:1", "the role trusts ecs-tasks.amazonaws.com")
	})
	t.Run("eks", func(t *testing.T) {
		w.aws(w.owner, "iam", "create-open-id-connect-provider", "--url", "https://oidc.example/id/B", "--client-id-list", "sts.amazonaws.com")
		w.hosted("my-deployment", `{"Federated":"arn:aws:iam::`+account+`:oidc-provider/oidc.example/id/B"}`, "sts:AssumeRoleWithWebIdentity",
			`,"Condition":{"StringEquals":{"oidc.example/id/B:sub":"system:serviceaccount:default:my-service-account"}}`)
		attach("my-deployment", custom)
		deployment := file("deployment.yaml", "kind: Deployment\nmetadata: {name: my-deployment}\nspec:\n  template:\n    spec:\n      serviceAccountName: my-service-account\n"+
			"      containers:\n      - name: envoy\n        env: [{name: APPMESH_RESOURCE_ARN, value: \""+v2+"\"}]\n")
		serviceAccount := file("account.yaml", "kind: ServiceAccount\nmetadata:\n  name: my-service-account\n  annotations:\n    eks.amazonaws.com/role-arn: arn:aws:iam::"+account+":role/my-deployment\n")
		mustContain(t, "confirm", w.confirm(0, "eks", "--deployment", deployment, "--service-account", serviceAccount),
			"WORKLOAD  deployment default/my-deployment", "the role trusts system:serviceaccount:default:my-service-account of oidc.example/id/B")
	})
	t.Run("ec2", func(t *testing.T) {
		w.aws(w.owner, "iam", "create-instance-profile", "--instance-profile-name", "box")
		w.aws(w.owner, "iam", "add-role-to-instance-profile", "--instance-profile-name", "box", "--role-name", "all")
		stdout, stderr, code := w.command(identity{}, binary, "binding", "create", "ec2", "--instance-profile", "box", "-o", "json", "--data-dir", w.dir)
		var made struct{ ID string }
		if err := json.Unmarshal([]byte(stdout), &made); err != nil || code != 0 {
			t.Fatalf("%v: %s%s", err, stdout, stderr)
		}
		mustContain(t, "confirm", w.confirm(0, "ec2", "--instance", made.ID, "--resource", v1), "instance profile box has the role", "the role trusts ec2.amazonaws.com")
	})
	// The verdict is that of the Envoy management service.
	t.Run("live", func(t *testing.T) {
		who := w.taskRole("other", a)
		e := w.envoy(t, proxy{node: v1, who: who, bind: "127.0.9.1"})
		e.says(denied(v1))
		mustContain(t, "confirm", w.confirm(1, "--resource", v1, "--principal", "other"),
			"VERDICT   DENIED (implicit deny)", "assumed-role/other/test from 127.0.0.1 was refused last at", ": 7, Unauthorized to perform")
	})
}
