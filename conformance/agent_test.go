//go:build conformance

package conformance

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sigs.k8s.io/yaml"
)

// agent is a running latchwork agent.
type agent struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write takes its log.
func (a *agent) Write(b []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.text.Write(b)
}

func (a *agent) output() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.text.String()
}

func (a *agent) says(t *testing.T, text string) {
	t.Helper()
	defer func() {
		if t.Failed() {
			t.Logf("the agent said:\n%s", a.output())
		}
	}()
	eventually(t, "the agent says "+text, func() bool { return strings.Contains(a.output(), text) })
}

func (in *installation) agent(t *testing.T, env []string, args ...string) *agent {
	t.Helper()
	a := &agent{}
	cmd := exec.Command(binary, append([]string{"agent", "--data-dir", in.dir}, args...)...)
	cmd.Env, cmd.Stderr = env, a
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		kill := time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() })
		defer kill.Stop()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the agent ended with %v:\n%s", err, a.output())
		}
	})
	a.says(t, "the agent is ready")
	return a
}

// profile is a credentials file of the AWS configuration.
func (who identity) profile() string {
	return "[default]\naws_access_key_id=" + who.id + "\naws_secret_access_key=" + who.secret + "\naws_session_token=" + who.token + "\n"
}

// printed is the configuration that latchwork envoy bootstrap prints.
func (in *installation) printed(t *testing.T, args ...string) map[string]any {
	t.Helper()
	cmd := exec.Command(binary, append([]string{"envoy", "bootstrap", "--data-dir", in.dir, "--admin", "127.0.0.1:0"}, args...)...)
	cmd.Stderr = os.Stderr
	text, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := yaml.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestAgent: stock Envoys that cannot sign get their configuration through the agent,
// and are told what the service says.
func TestAgent(t *testing.T) {
	w := newMeshWorld(t, "--proxy-authorization", "required")
	w.node("serviceBv1", nodeSpec("127.0.0.1", 8080, ""))
	w.node("serviceBv2", nodeSpec("127.0.0.1", 8080, ""))
	v1, v2 := arnOf(account, "app1/virtualNode/serviceBv1"), arnOf(account, "app1/virtualNode/serviceBv2")
	role := w.taskRole("b", v1)
	nobody := w.environ(identity{})
	socket := filepath.Join(t.TempDir(), "xds.sock")
	a := w.agent(t, append(w.environ(role), "APPMESH_RESOURCE_ARN="+v1), "--socket", socket)
	run := func(t *testing.T, version, node, api, bind string) *envoy {
		return startEnvoy(t, version, w.printed(t, "--resource", node, "--socket", socket, "--api", api, "--interception", "explicit", "--bind", bind, "--app", "127.0.0.1"), nobody)
	}
	for _, version := range envoys {
		for _, api := range []string{"GRPC", "DELTA_GRPC"} {
			t.Run(version+"/"+api, func(t *testing.T) {
				run(t, version, v1, api, "127.0.9.21").served()
				run(t, version, v2, api, "127.0.9.22").says(denied(v2))
				run(t, version, arnOf("222222222222", "app1/virtualNode/x"), api, "127.0.9.23").says(denied(arnOf("222222222222", "app1/virtualNode/x")))
			})
		}
	}
	a.says(t, "an Envoy gets its configuration")
	a.says(t, "latchwork confirm --resource "+v1)

	// Envoy and agent outlive the server.
	e := run(t, envoys[0], v1, "GRPC", "127.0.9.24")
	e.served()
	w.stop()
	a.says(t, "nobody answers at "+w.ems)
	w.run()
	updates := e.stat("listener_manager.lds.update_success")
	w.mesh("update-virtual-node", "--mesh-name", "app1", "--virtual-node-name", "serviceBv1", "--spec", nodeSpec("127.0.0.1", 8081, ""))
	eventually(t, "the Envoy comes back", func() bool { return e.stat("listener_manager.lds.update_success") > updates })
}

// TestAgentWithoutCredentials: the agent says what is missing, and takes it up when it
// is there.
func TestAgentWithoutCredentials(t *testing.T) {
	w := newMeshWorld(t, "--proxy-authorization", "required")
	w.node("serviceBv1", nodeSpec("127.0.0.1", 8080, ""))
	v1 := arnOf(account, "app1/virtualNode/serviceBv1")
	role := w.taskRole("b", v1)
	file, socket := filepath.Join(t.TempDir(), "credentials"), filepath.Join(t.TempDir(), "xds.sock")
	a := w.agent(t, append(w.environ(identity{}), "AWS_SHARED_CREDENTIALS_FILE="+file), "--resource", v1, "--socket", socket)
	a.says(t, "there are no credentials")
	e := startEnvoy(t, envoys[0], w.printed(t, "--resource", v1, "--socket", socket, "--interception", "explicit", "--bind", "127.0.9.25"), w.environ(identity{}))
	e.says("closed: 16, the agent has no credentials")
	if err := os.WriteFile(file, []byte(role.profile()), 0o600); err != nil {
		t.Fatal(err)
	}
	e.served()
}

// TestAgentChecksTheService: nothing is signed for a service that is another.
func TestAgentChecksTheService(t *testing.T) {
	w := newMeshWorld(t, "--proxy-authorization", "required")
	v1, socket := arnOf(account, "app1/virtualNode/serviceBv1"), filepath.Join(t.TempDir(), "xds.sock")
	a := w.agent(t, w.environ(w.owner), "--resource", v1, "--socket", socket, "--authority", "other.example.com")
	startEnvoy(t, envoys[0], w.printed(t, "--resource", v1, "--socket", socket), w.environ(identity{}))
	a.says(t, "is not one for other.example.com")
	if list := w.latchwork("proxies"); list != "" {
		t.Errorf("the service was asked:\n%s", list)
	}
}

// TestEnvoySigns: the configuration in which Envoy signs itself works as printed, and
// a task's role does, with Envoy's filter and with the agent.
func TestEnvoySigns(t *testing.T) {
	w := newMeshWorld(t, "--proxy-authorization", "required", "--ems-hostnames", "ems.example.com",
		"--container-credentials-addr", fmt.Sprintf("127.0.0.1:%d", freePort(t)))
	w.node("serviceBv1", nodeSpec("127.0.0.1", 8080, ""))
	v1 := arnOf(account, "app1/virtualNode/serviceBv1")
	role := w.taskRole("b", v1)
	file := w.file("credentials", role.profile())
	task := append(w.environ(identity{}), exported(t, w.latchwork("binding", "create", "ecs", "--role", w.trusting("task", "ecs-tasks.amazonaws.com")))...)
	w.allow("task", v1)
	for _, version := range envoys {
		for name, test := range map[string]struct {
			env  []string
			args []string
		}{
			"environment": {w.environ(role), nil},
			"file":        {w.environ(identity{}), []string{"--credentials", "file", "--credentials-file", file}},
			"chain":       {task, []string{"--credentials", "chain"}},
		} {
			t.Run(version+"/"+name, func(t *testing.T) {
				args := append([]string{"--via", "filter", "--envoy", version, "--resource", v1, "--interception", "explicit", "--bind", "127.0.9.26"}, test.args...)
				startEnvoy(t, version, w.printed(t, args...), test.env).served()
			})
		}
	}
	socket := filepath.Join(t.TempDir(), "xds.sock")
	w.agent(t, task, "--resource", v1, "--socket", socket)
	startEnvoy(t, envoys[0], w.printed(t, "--resource", v1, "--socket", socket, "--interception", "explicit", "--bind", "127.0.9.26"), w.environ(identity{})).served()
}
