//go:build conformance

package conformance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// envoy is a stock Envoy that stands for a mesh endpoint.
type envoy struct {
	t       *testing.T
	version string
	cmd     *exec.Cmd
	admin   string
	mu      sync.Mutex
	log     bytes.Buffer
	done    chan struct{}
}

// proxy says how an Envoy is started.
type proxy struct {
	version string // "" is the newest
	node    string // its id
	who     identity
	// bind is the address of its listeners, app that of its application; "" leaves
	// traffic to interception.
	bind, app string
	delta     bool
	plain     bool   // no signature
	region    string // of the signature; "" is region
	host      string // the name that is signed; "" is the service's
	sds       string // the socket of an agent that has secrets, if there is one
}

func arnOf(account, path string) string {
	return "arn:aws:appmesh:" + region + ":" + account + ":mesh/" + path
}

// bootstrap is the configuration of an Envoy that signs by itself.
// Source: the filter's documentation; envoyproxy/envoy 1.36 cannot say which headers
// to include.
func (in *installation) bootstrap(p proxy) map[string]any {
	type m = map[string]any
	type l = []any
	host, port, _ := net.SplitHostPort(in.ems)
	number, _ := strconv.Atoi(port)
	name := p.host
	if name == "" {
		name = "appmesh-envoy-management." + region + ".amazonaws.com"
	}
	signRegion := p.region
	if signRegion == "" {
		signRegion = region
	}
	signing := m{
		"@type":        "type.googleapis.com/envoy.extensions.filters.http.aws_request_signing.v3.AwsRequestSigning",
		"service_name": "appmesh", "region": signRegion, "use_unsigned_payload": true,
		"credential_provider": m{"custom_credential_provider_chain": true, "environment_credential_provider": m{}},
	}
	if strings.HasPrefix(p.version, "1.36") {
		signing["match_excluded_headers"] = l{m{"exact": "te"}}
	} else {
		signing["match_included_headers"] = l{m{"prefix": "x-amz-"}}
	}
	filters := l{
		m{"name": "envoy.filters.http.aws_request_signing", "typed_config": signing},
		m{"name": "envoy.filters.http.upstream_codec", "typed_config": m{"@type": "type.googleapis.com/envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec"}},
	}
	if p.plain {
		filters = filters[1:]
	}
	api := "GRPC"
	if p.delta {
		api = "DELTA_GRPC"
	}
	node := m{"id": p.node, "cluster": "test"}
	if p.bind != "" {
		meta := m{"interception": "explicit", "bind_address": p.bind}
		if p.app != "" {
			meta["app_address"] = p.app
		}
		node["metadata"] = m{"latchwork": meta}
	}
	from := m{"ads": m{}, "resource_api_version": "V3", "initial_fetch_timeout": "0s"}
	boot := m{
		"node":  node,
		"admin": m{"address": m{"socket_address": m{"address": "127.0.0.1", "port_value": 0}}},
		"dynamic_resources": m{
			"ads_config": m{
				"api_type": api, "transport_api_version": "V3", "set_node_on_first_message_only": true,
				"grpc_services": l{m{"envoy_grpc": m{"cluster_name": "appmesh_ems", "authority": name}}},
			},
			"lds_config": from, "cds_config": from,
		},
		"static_resources": m{"clusters": l{m{
			"name": "appmesh_ems", "type": "STATIC", "connect_timeout": "5s",
			"load_assignment": m{"cluster_name": "appmesh_ems", "endpoints": l{m{"lb_endpoints": l{m{"endpoint": m{"address": m{"socket_address": m{"address": host, "port_value": number}}}}}}}},
			"transport_socket": m{"name": "envoy.transport_sockets.tls", "typed_config": m{
				"@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext", "sni": name,
				"common_tls_context": m{
					"tls_params": m{"tls_maximum_protocol_version": "TLSv1_3"},
					"validation_context": m{
						"trusted_ca":                    m{"filename": filepath.Join(in.dir, "ca.pem")},
						"match_typed_subject_alt_names": l{m{"san_type": "DNS", "matcher": m{"exact": "appmesh-envoy-management." + region + ".amazonaws.com"}}},
					},
				},
			}},
			"typed_extension_protocol_options": m{"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": m{
				"@type":                "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
				"explicit_http_config": m{"http2_protocol_options": m{"connection_keepalive": m{"interval": "10s", "timeout": "20s"}}},
				"http_filters":         filters,
			}},
		}}},
	}
	if p.sds != "" {
		const name = "static_cluster_sds_unix_socket"
		static := boot["static_resources"].(m)
		static["clusters"] = append(static["clusters"].(l), m{
			"name": name, "type": "STATIC",
			"load_assignment": m{"cluster_name": name, "endpoints": l{m{"lb_endpoints": l{m{"endpoint": m{"address": m{"pipe": m{"path": p.sds}}}}}}}},
			"typed_extension_protocol_options": m{"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": m{
				"@type":                "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
				"explicit_http_config": m{"http2_protocol_options": m{}},
			}},
		})
	}
	return boot
}

// envoy starts an Envoy.
func (in *installation) envoy(t *testing.T, p proxy) *envoy {
	in.t.Helper()
	if p.version == "" {
		p.version = envoys[0]
	}
	env := in.environ(p.who)
	return startEnvoy(t, p.version, in.bootstrap(p), env)
}

func startEnvoy(t *testing.T, version string, bootstrap any, env []string) *envoy {
	t.Helper()
	dir := t.TempDir()
	text, err := json.Marshal(bootstrap)
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "boot.json")
	if err := os.WriteFile(config, text, 0o600); err != nil {
		t.Fatal(err)
	}
	e := &envoy{t: t, version: version, done: make(chan struct{})}
	e.cmd = exec.Command(filepath.Join(tools, "envoy-"+version, "envoy"), "-c", config, "-l", "warning", "--concurrency", "1",
		"--disable-hot-restart", "--admin-address-path", filepath.Join(dir, "admin"), "--drain-time-s", "1", "--parent-shutdown-time-s", "2")
	e.cmd.Env = env
	e.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	e.cmd.Stdout, e.cmd.Stderr = e, e
	if err := e.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = e.cmd.Wait(); close(e.done) }()
	t.Cleanup(e.stop)
	eventually(t, "Envoy's admin address", func() bool {
		select {
		case <-e.done:
			t.Fatalf("Envoy ended:\n%s", e.output())
		default:
		}
		text, err := os.ReadFile(filepath.Join(dir, "admin"))
		e.admin = "http://" + string(text)
		return err == nil && len(text) > 0
	})
	return e
}

// Write takes Envoy's log.
func (e *envoy) Write(b []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.log.Write(b)
}

func (e *envoy) output() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.log.String()
}

func (e *envoy) stop() {
	_ = e.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-e.done:
	case <-time.After(10 * time.Second):
		_ = e.cmd.Process.Kill()
		<-e.done
	}
}

// says waits for a text in Envoy's log.
func (e *envoy) says(text string) {
	e.t.Helper()
	e.saysAfter(0, text)
}

// saysAfter waits for a text that comes after a place in the log.
func (e *envoy) saysAfter(mark int, text string) {
	e.t.Helper()
	defer func() {
		if e.t.Failed() {
			e.t.Logf("Envoy %s said:\n%s", e.version, e.output())
		}
	}()
	eventually(e.t, "Envoy says "+text, func() bool { return strings.Contains(e.output()[mark:], text) })
}

func (e *envoy) mark() int { return len(e.output()) }

// ask asks Envoy's administration interface.
func (e *envoy) ask(path string) string {
	e.t.Helper()
	r, err := http.Get(e.admin + path)
	if err != nil {
		e.t.Fatal(err)
	}
	defer r.Body.Close()
	b, _ := io.ReadAll(r.Body)
	return string(b)
}

// stat is a counter or gauge; 0 if there is none.
func (e *envoy) stat(name string) int {
	e.t.Helper()
	m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + `: (\d+)$`).FindStringSubmatch(e.ask("/stats?filter=^" + regexp.QuoteMeta(name) + "$"))
	if m == nil {
		return 0
	}
	n, _ := strconv.Atoi(m[1])
	return n
}

// served waits until Envoy has taken its listeners.
func (e *envoy) served() {
	e.t.Helper()
	defer func() {
		if e.t.Failed() {
			e.t.Logf("Envoy %s said:\n%s", e.version, e.output())
		}
	}()
	eventually(e.t, "Envoy takes its listeners", func() bool { return e.stat("listener_manager.lds.update_success") > 0 })
}

// serveHTTP runs an application at an address until the test ends.
func serveHTTP(t *testing.T, addr, name string, handler http.HandlerFunc) {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	if handler == nil {
		handler = func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "%s %s", name, r.URL.Path) }
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	s := &http.Server{Handler: handler, Protocols: protocols}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close() })
}

// call asks for a URL with a Host, and gives the status and the body.
func call(t *testing.T, url, host string, header ...string) (int, string) {
	t.Helper()
	r, err := http.NewRequest("GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = host
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	answer, err := (&http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer answer.Body.Close()
	b, _ := io.ReadAll(answer.Body)
	return answer.StatusCode, string(b)
}
