package mesh

import (
	"fmt"
	"math"
	"regexp"
	"strings"
	"time"

	"github.com/latchwork/latchwork/internal/fault"
	"github.com/latchwork/latchwork/internal/model"
	wire "github.com/latchwork/latchwork/internal/wire/appmesh"
)

// The model's own constraints are checked before a handler is called: required
// members, bounds, enumerations, and unions, which have exactly one member. What is
// here is what the user guide says besides, and what Envoy would refuse.

// first gives the first error.
func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// within checks that a list is within its quota.
func within(member string, n, most int) error {
	if most >= 0 && n > most {
		return fault.New("LimitExceededException", "%s can have %d entries: there are %d", member, most, n)
	}
	return nil
}

var durationUnits = map[string]time.Duration{wire.DurationUnitS: time.Second, wire.DurationUnitMs: time.Millisecond}

// checkDuration checks one that may be absent.
func checkDuration(member string, d *wire.Duration) error {
	switch {
	case d == nil:
		return nil
	case d.Unit == nil || d.Value == nil:
		return invalid(member, "%s must have a unit and a value", member)
	case *d.Value > int64(math.MaxInt64/durationUnits[*d.Unit]):
		return invalid(member, "%s must be less than 292 years", member)
	}
	return nil
}

// checkPositive is checkDuration of what must not be zero.
func checkPositive(member string, d *wire.Duration) error {
	if err := checkDuration(member, d); err != nil {
		return err
	}
	if d != nil && *d.Value == 0 {
		return invalid(member, "%s must be more than 0", member)
	}
	return nil
}

// checkRegex compiles what Envoy will: its regular expressions are RE2's, as Go's.
func checkRegex(member string, text *string) error {
	if text == nil {
		return nil
	}
	if _, err := regexp.Compile(*text); err != nil {
		return invalid(member, "%s is not a regular expression in RE2's syntax, which Envoy has: %s",
			member, strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	return nil
}

func checkSlash(member string, text *string) error {
	if text != nil && !strings.HasPrefix(*text, "/") {
		return invalid(member, "%s must begin with a slash: %.100q", member, *text)
	}
	return nil
}

// checkHost refuses what no host name has; whether it resolves shows when it is
// used.
func checkHost(member, host string) error {
	if strings.Trim(host, ".") == "" || len(host) > 253 || strings.ContainsFunc(host, func(c rune) bool { return c <= ' ' || c >= 0x7f || c == '/' }) {
		return invalid(member, "%s must be a host name: %.100q", member, host)
	}
	return nil
}

// port is a port of a listener with its protocol.
type port struct {
	number   int64
	protocol string
}

// findPort finds a listener's port; nil if there is none.
func findPort(ports []port, number int64) *port {
	for i := range ports {
		if ports[i].number == number {
			return &ports[i]
		}
	}
	return nil
}

// checkPorts refuses two listeners on one port.
// Source: App Mesh User Guide, "Virtual nodes", listeners.
func checkPorts(ports []port) error {
	for i, p := range ports {
		if findPort(ports[:i], p.number) != nil {
			return invalid("spec.listeners", "spec.listeners[%d].portMapping.port: another listener has port %d too", i, p.number)
		}
	}
	return nil
}

// checkHealth checks a health check of a listener.
// Source: App Mesh API Reference, HealthCheckPolicy.
func checkHealth(member string, listener port, protocol string, port *int64, path *string) error {
	if port != nil && *port != listener.number {
		return invalid(member+".port", "%s.port must be the listener's port %d: it is %d", member, listener.number, *port)
	}
	if protocol == wire.PortProtocolHttp || protocol == wire.PortProtocolHttp2 {
		if model.Deref(path) != "" {
			return checkSlash(member+".path", path)
		}
	}
	return nil
}

// checkNames checks alternative names of certificates. An empty list would demand
// nothing, which is not what somebody means who writes one.
func checkNames(member string, names *wire.SubjectAlternativeNames) error {
	if names != nil && len(names.Match.Exact) == 0 {
		return invalid(member+".match.exact", "%s.match.exact must have at least one name", member)
	}
	return nil
}

// checkLog checks how an access log is formatted.
func checkLog(format *wire.LoggingFormat) error {
	const member = "spec.logging.accessLog.file.format"
	switch {
	case format == nil:
		return nil
	case format.Text != nil:
		if err := checkLogFormat(*format.Text); err != nil {
			return invalid(member+".text", "%s.text is not a format that Envoy can use: %s", member, err)
		}
	}
	seen := map[string]bool{}
	for i, entry := range format.Json {
		at := fmt.Sprintf("%s.json[%d]", member, i)
		if seen[*entry.Key] {
			return invalid(at+".key", "%s.key: another entry has the key %q too", at, *entry.Key)
		}
		seen[*entry.Key] = true
		if err := checkLogFormat(*entry.Value); err != nil {
			return invalid(at+".value", "%s.value is not a format that Envoy can use: %s", at, err)
		}
	}
	return nil
}

// checkProtocol checks that what is set of a union by protocol is for the protocol
// of the listener.
func checkProtocol(member string, listener port, set map[string]bool) error {
	for protocol, is := range set {
		if is && protocol != listener.protocol {
			return invalid(member, "%s.%s does not fit the listener's protocol, which is %s", member, protocol, listener.protocol)
		}
	}
	return nil
}

// checkNode checks a virtual node.
func (s *Service) checkNode(spec *wire.VirtualNodeSpec) error {
	if err := first(
		within("spec.listeners", len(spec.Listeners), s.cfg.Quotas.Listeners),
		within("spec.backends", len(spec.Backends), s.cfg.Quotas.Backends),
	); err != nil {
		return err
	}
	// Source: App Mesh User Guide, "Virtual nodes": a listener needs service discovery.
	if len(spec.Listeners) > 0 && spec.ServiceDiscovery == nil {
		return invalid("spec.serviceDiscovery", "spec.serviceDiscovery must be there where there are listeners")
	}
	if d := spec.ServiceDiscovery; d != nil && d.Dns != nil {
		if err := checkHost("spec.serviceDiscovery.dns.hostname", *d.Dns.Hostname); err != nil {
			return err
		}
	}
	ports := nodePorts(spec)
	if err := checkPorts(ports); err != nil {
		return err
	}
	for i := range spec.Listeners {
		if err := checkNodeListener(fmt.Sprintf("spec.listeners[%d]", i), ports[i], &spec.Listeners[i]); err != nil {
			return err
		}
	}
	seen := map[string]bool{}
	for i := range spec.Backends {
		b := spec.Backends[i].VirtualService
		member := fmt.Sprintf("spec.backends[%d].virtualService", i)
		if err := first(checkName(member+".virtualServiceName", *b.VirtualServiceName), checkPolicy(member+".clientPolicy", b.ClientPolicy)); err != nil {
			return err
		}
		if seen[*b.VirtualServiceName] {
			return invalid(member, "%s.virtualServiceName: another backend is %s too", member, *b.VirtualServiceName)
		}
		seen[*b.VirtualServiceName] = true
	}
	if d := spec.BackendDefaults; d != nil {
		if err := checkPolicy("spec.backendDefaults.clientPolicy", d.ClientPolicy); err != nil {
			return err
		}
	}
	if l := spec.Logging; l != nil && l.AccessLog != nil {
		return checkLog(l.AccessLog.File.Format)
	}
	return nil
}

func nodePorts(spec *wire.VirtualNodeSpec) []port {
	out := make([]port, len(spec.Listeners))
	for i, l := range spec.Listeners {
		out[i] = port{*l.PortMapping.Port, *l.PortMapping.Protocol}
	}
	return out
}

func checkNodeListener(member string, listener port, l *wire.Listener) error {
	if h := l.HealthCheck; h != nil {
		if err := checkHealth(member+".healthCheck", listener, *h.Protocol, h.Port, h.Path); err != nil {
			return err
		}
	}
	if c := l.ConnectionPool; c != nil {
		if err := checkProtocol(member+".connectionPool", listener, map[string]bool{
			"http": c.Http != nil, "http2": c.Http2 != nil, "grpc": c.Grpc != nil, "tcp": c.Tcp != nil,
		}); err != nil {
			return err
		}
	}
	if o := l.OutlierDetection; o != nil {
		if err := first(
			checkPositive(member+".outlierDetection.interval", o.Interval),
			checkPositive(member+".outlierDetection.baseEjectionDuration", o.BaseEjectionDuration),
		); err != nil {
			return err
		}
	}
	if l.Tls != nil && l.Tls.Validation != nil {
		if err := checkNames(member+".tls.validation.subjectAlternativeNames", l.Tls.Validation.SubjectAlternativeNames); err != nil {
			return err
		}
	}
	if t := l.Timeout; t != nil {
		member += ".timeout"
		return first(
			checkProtocol(member, listener, map[string]bool{
				"http": t.Http != nil, "http2": t.Http2 != nil, "grpc": t.Grpc != nil, "tcp": t.Tcp != nil,
			}),
			checkHTTPTimeout(member+".http", t.Http), checkHTTPTimeout(member+".http2", t.Http2),
			checkGRPCTimeout(member+".grpc", t.Grpc), checkTCPTimeout(member+".tcp", t.Tcp),
		)
	}
	return nil
}

func checkHTTPTimeout(member string, t *wire.HttpTimeout) error {
	if t == nil {
		return nil
	}
	return first(checkDuration(member+".idle", t.Idle), checkDuration(member+".perRequest", t.PerRequest))
}

func checkGRPCTimeout(member string, t *wire.GrpcTimeout) error {
	if t == nil {
		return nil
	}
	return first(checkDuration(member+".idle", t.Idle), checkDuration(member+".perRequest", t.PerRequest))
}

func checkTCPTimeout(member string, t *wire.TcpTimeout) error {
	if t == nil {
		return nil
	}
	return checkDuration(member+".idle", t.Idle)
}

func checkPolicy(member string, p *wire.ClientPolicy) error {
	if p == nil || p.Tls == nil {
		return nil
	}
	return checkNames(member+".tls.validation.subjectAlternativeNames", p.Tls.Validation.SubjectAlternativeNames)
}

// checkGateway checks a virtual gateway.
func (s *Service) checkGateway(spec *wire.VirtualGatewaySpec) error {
	if err := within("spec.listeners", len(spec.Listeners), s.cfg.Quotas.Listeners); err != nil {
		return err
	}
	ports := gatewayPorts(spec)
	if err := checkPorts(ports); err != nil {
		return err
	}
	for i, l := range spec.Listeners {
		member := fmt.Sprintf("spec.listeners[%d]", i)
		if h := l.HealthCheck; h != nil {
			if err := checkHealth(member+".healthCheck", ports[i], *h.Protocol, h.Port, h.Path); err != nil {
				return err
			}
		}
		if c := l.ConnectionPool; c != nil {
			if err := checkProtocol(member+".connectionPool", ports[i], map[string]bool{
				"http": c.Http != nil, "http2": c.Http2 != nil, "grpc": c.Grpc != nil,
			}); err != nil {
				return err
			}
		}
		if l.Tls != nil && l.Tls.Validation != nil {
			if err := checkNames(member+".tls.validation.subjectAlternativeNames", l.Tls.Validation.SubjectAlternativeNames); err != nil {
				return err
			}
		}
	}
	if d := spec.BackendDefaults; d != nil && d.ClientPolicy != nil && d.ClientPolicy.Tls != nil {
		if err := checkNames("spec.backendDefaults.clientPolicy.tls.validation.subjectAlternativeNames", d.ClientPolicy.Tls.Validation.SubjectAlternativeNames); err != nil {
			return err
		}
	}
	if l := spec.Logging; l != nil && l.AccessLog != nil {
		return checkLog(l.AccessLog.File.Format)
	}
	return nil
}

func gatewayPorts(spec *wire.VirtualGatewaySpec) []port {
	out := make([]port, len(spec.Listeners))
	for i, l := range spec.Listeners {
		out[i] = port{*l.PortMapping.Port, *l.PortMapping.Protocol}
	}
	return out
}

// checkRouter checks a virtual router.
func (s *Service) checkRouter(spec *wire.VirtualRouterSpec) error {
	return first(within("spec.listeners", len(spec.Listeners), s.cfg.Quotas.Listeners), checkPorts(routerPorts(spec)))
}

func routerPorts(spec *wire.VirtualRouterSpec) []port {
	out := make([]port, len(spec.Listeners))
	for i, l := range spec.Listeners {
		out[i] = port{*l.PortMapping.Port, *l.PortMapping.Protocol}
	}
	return out
}
