// Package server puts the parts of Latchwork together and runs them.
package server

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/latchwork/latchwork/internal/gateway"
	"github.com/latchwork/latchwork/internal/service/mesh"
	"github.com/latchwork/latchwork/internal/snapshot"
)

// Config is everything that can be set: in a YAML file by these names, and most of
// it by flags of the same names, which win.
type Config struct {
	// DataDir holds the embedded store, the key file, the administrators' keys and
	// the logs.
	DataDir string `json:"data-dir"`
	// APIAddr is where all AWS APIs are served.
	APIAddr string `json:"api-addr"`
	// APITLSAddr is where they are served with TLS too, under AWS's own host names; "" is
	// nowhere.
	APITLSAddr string `json:"api-tls-addr"`
	// GatewayAddr lists the IP addresses that the gateway listens on, separated by
	// commas; GatewayPorts is SOCKET=LISTENER,…
	GatewayAddr  string `json:"gateway-addr"`
	GatewayPorts string `json:"gateway-ports"`
	AdminAddr    string `json:"admin-addr"`
	// ContainerCredentialsAddr is where tasks get the credentials of their roles, as from
	// the agent of ECS, IMDSAddr where instances do, as from the metadata service of EC2,
	// and PodIdentityAddr where pods do, as from the Pod Identity agent of EKS; "" serves
	// none. The pods are those of the default account's bindings. IMDSTokens is "required" or "optional": whether instances must
	// ask with a session token.
	ContainerCredentialsAddr string `json:"container-credentials-addr"`
	IMDSAddr                 string `json:"imds-addr"`
	PodIdentityAddr          string `json:"pod-identity-addr"`
	IMDSTokens               string `json:"imds-tokens"`
	// EMSAddr is where Envoys get their configuration, or "off". EMSHostnames are the
	// names that they know the service by, which they sign and check.
	EMSAddr      string   `json:"ems-addr"`
	EMSHostnames []string `json:"ems-hostnames"`
	// MaxProxies is how many Envoys may stand for one mesh endpoint.
	MaxProxies int `json:"max-proxies"`
	// AccountID is the default account. It owns the default VPC.
	AccountID string `json:"account-id"`
	// Region is that of the demonstration and of what prints one; any region works.
	Region string `json:"region"`
	// Accounts are further accounts, and organization ids and paths of any.
	Accounts []AccountConfig `json:"accounts"`
	// Organizations have the service control policies that accounts are under.
	Organizations []OrganizationConfig `json:"organizations"`
	// ProxyAuthorization says which Envoys need a permission for their mesh endpoint:
	// "tls-and-gateways", "required" or "off".
	ProxyAuthorization string `json:"proxy-authorization"`
	// MeshQuotas say how much there may be of App Mesh; a file only. AWS's numbers by
	// default, -1 for no limit.
	MeshQuotas mesh.Quotas `json:"mesh-quotas"`
	// Conformance is "documented" or "observed": see docs/divergences.md.
	Conformance string `json:"conformance"`
	// KeyFile encrypts what is secret in the store; DATA-DIR.key by default.
	KeyFile string `json:"key-file"`
	// AccessLog is a file, "-" for standard output, or "off"; DATA-DIR/access.log by
	// default. AuditLog is the same for calls of the APIs; DATA-DIR/audit.log.
	AccessLog string `json:"access-log"`
	AuditLog  string `json:"audit-log"`
	LogLevel  string `json:"log-level"`
	// MaxStaleness is how long the gateway answers after the store was lost; "0"
	// means for ever.
	MaxStaleness string `json:"max-staleness"`
	// TargetCAFile makes the gateway check the certificates of HTTPS targets.
	TargetCAFile string `json:"target-ca-file"`
	// Remember is how many requests can be explained.
	Remember int `json:"remember"`
	// MinFreeMiB is the free disk space in MiB that writing needs.
	MinFreeMiB int64 `json:"min-free-mib"`

	// Etcd… use a cluster elsewhere in place of the embedded store.
	EtcdEndpoints    string `json:"etcd-endpoints"`
	EtcdPrefix       string `json:"etcd-prefix"`
	EtcdCAFile       string `json:"etcd-ca-file"`
	EtcdCertFile     string `json:"etcd-cert-file"`
	EtcdKeyFile      string `json:"etcd-key-file"`
	EtcdUsername     string `json:"etcd-username"`
	EtcdPasswordFile string `json:"etcd-password-file"`
}

// AccountConfig is one account.
type AccountConfig struct {
	ID                string   `json:"id"`
	OrganizationID    string   `json:"organization-id"`
	OrganizationPaths []string `json:"organization-paths"`
	// ProxyAuthorization is that of the account; "" is the installation's.
	ProxyAuthorization string `json:"proxy-authorization"`
	// GatewayAddresses are addresses of the gateway that only VPCs of the account may
	// be bound to. Those that are no account's are the default account's.
	GatewayAddresses []string `json:"gateway-addresses"`
}

// Defaults are the settings of a server that is told nothing.
func Defaults() Config {
	return Config{
		DataDir: "./latchwork-data", APIAddr: "127.0.0.1:4000", GatewayAddr: "127.0.0.1", GatewayPorts: "8080=80,8443=443",
		AdminAddr: "127.0.0.1:4001", EMSAddr: "127.0.0.1:4443", MaxProxies: 50, IMDSTokens: "required", AccountID: "123456789012", Region: "us-west-2", Conformance: "documented",
		ProxyAuthorization: string(snapshot.ProxyAuthorizationTLS),
		LogLevel:           "info", MaxStaleness: "0", Remember: 2048, MinFreeMiB: 64, EtcdPrefix: "latchwork/",
	}
}

// LoadFile reads a configuration file over c. A key that is not known is an error,
// and so is one that is there twice.
func (c *Config) LoadFile(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := yaml.UnmarshalStrict(text, c); err != nil {
		return fmt.Errorf("configuration file %s%s: %w", path, line(text, err), err)
	}
	return nil
}

var unknownField = regexp.MustCompile(`unknown field "([^"]+)"`)

// line finds the line of an unknown key, which the YAML library does not tell.
func line(text []byte, err error) string {
	m := unknownField.FindStringSubmatch(err.Error())
	if m == nil {
		return ""
	}
	name := m[1][strings.LastIndexByte(m[1], '.')+1:]
	for n, l := range bytes.Split(text, []byte("\n")) {
		key := strings.TrimLeft(string(l), " -\t")
		if strings.HasPrefix(key, name+":") || strings.HasPrefix(key, `"`+name+`":`) {
			return fmt.Sprintf(" line %d", n+1)
		}
	}
	return ""
}

// settings is a Config that was checked.
type settings struct {
	Config
	gatewayAddrs []netip.Addr
	gatewayPorts gateway.PortMap
	maxStaleness time.Duration
	accounts     []AccountConfig
	world        snapshot.Settings
	observed     bool
	endpoints    []string
}

var (
	accountID = regexp.MustCompile(`^[0-9]{12}$`)
	orgID     = regexp.MustCompile(`^o-[a-z0-9]{10,32}$`)
	hostname  = regexp.MustCompile(`^[A-Za-z0-9_.-]+(:[0-9]+)?$`)
	region    = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-[0-9]+$`)
)

// Check tells everything that is wrong with the configuration at once.
func (c Config) Check() error {
	_, err := c.check()
	return err
}

func (c Config) check() (*settings, error) {
	s := &settings{Config: c}
	var errs []error
	wrong := func(name, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: %s", name, fmt.Sprintf(format, args...)))
	}
	if c.DataDir == "" {
		wrong("data-dir", "is empty: name a directory")
	}
	for name, addr := range map[string]string{"api-addr": c.APIAddr, "admin-addr": c.AdminAddr} {
		if _, _, err := net.SplitHostPort(addr); err != nil {
			wrong(name, "%q is not HOST:PORT, for example 127.0.0.1:4000", addr)
		}
	}
	if _, _, err := net.SplitHostPort(c.APITLSAddr); c.APITLSAddr != "" && err != nil {
		wrong("api-tls-addr", "%q is not HOST:PORT, for example 127.0.0.1:4444", c.APITLSAddr)
	}
	for name, addr := range map[string]string{"container-credentials-addr": c.ContainerCredentialsAddr, "imds-addr": c.IMDSAddr, "pod-identity-addr": c.PodIdentityAddr} {
		if _, err := netip.ParseAddrPort(addr); addr != "" && err != nil {
			wrong(name, "%q is not IP:PORT, for example 127.0.0.1:4002", addr)
		}
	}
	if c.IMDSTokens != "required" && c.IMDSTokens != "optional" {
		wrong("imds-tokens", "%q is neither required nor optional", c.IMDSTokens)
	}
	if c.EMSAddr != "off" {
		if _, _, err := net.SplitHostPort(c.EMSAddr); err != nil {
			wrong("ems-addr", "%q is neither HOST:PORT, for example 127.0.0.1:4443, nor off", c.EMSAddr)
		}
	}
	for _, name := range c.EMSHostnames {
		if !hostname.MatchString(name) {
			wrong("ems-hostnames", "%q is not a DNS name or an IP address, with a port or without", name)
		}
	}
	if c.MaxProxies < 1 {
		wrong("max-proxies", "%d is less than 1", c.MaxProxies)
	}
	for _, text := range strings.Split(c.GatewayAddr, ",") {
		addr, err := netip.ParseAddr(strings.TrimSpace(text))
		if err != nil {
			wrong("gateway-addr", "%q is not an IP address", text)
			continue
		}
		s.gatewayAddrs = append(s.gatewayAddrs, addr)
	}
	var err error
	if s.gatewayPorts, err = gateway.ParsePortMap(c.GatewayPorts); err != nil {
		wrong("gateway-ports", "%v", err)
	}
	if !accountID.MatchString(c.AccountID) {
		wrong("account-id", "%q is not 12 digits", c.AccountID)
	}
	if !region.MatchString(c.Region) {
		wrong("region", "%q is not a region such as us-west-2", c.Region)
	}
	switch c.Conformance {
	case "documented":
	case "observed":
		s.observed = true
	default:
		wrong("conformance", "%q is neither documented nor observed", c.Conformance)
	}
	if s.maxStaleness, err = time.ParseDuration(c.MaxStaleness); err != nil && c.MaxStaleness != "0" || s.maxStaleness < 0 {
		wrong("max-staleness", "%q is not a duration such as 10m, or 0", c.MaxStaleness)
	}
	switch c.LogLevel {
	case "debug", "info", "warn", "error":
	default:
		wrong("log-level", "%q is none of debug, info, warn, error", c.LogLevel)
	}
	if c.Remember < 1 || c.Remember > 1_000_000 {
		wrong("remember", "%d is not from 1 to 1000000", c.Remember)
	}
	proxyAuthorization := func(name, rule string) {
		switch snapshot.ProxyAuthorization(rule) {
		case snapshot.ProxyAuthorizationTLS, snapshot.ProxyAuthorizationRequired, snapshot.ProxyAuthorizationOff:
		default:
			wrong(name, "%q is none of %s, %s, %s", rule,
				snapshot.ProxyAuthorizationTLS, snapshot.ProxyAuthorizationRequired, snapshot.ProxyAuthorizationOff)
		}
	}
	proxyAuthorization("proxy-authorization", c.ProxyAuthorization)
	seen := map[string]bool{}
	accountOf := map[netip.Addr]string{}
	gateways := map[string][]netip.Addr{}
	for i, a := range c.Accounts {
		name := fmt.Sprintf("accounts[%d]", i)
		switch {
		case !accountID.MatchString(a.ID):
			wrong(name+".id", "%q is not 12 digits (write it in quotes)", a.ID)
		case seen[a.ID]:
			wrong(name+".id", "%s is there twice", a.ID)
		}
		seen[a.ID] = true
		if a.OrganizationID != "" && !orgID.MatchString(a.OrganizationID) {
			wrong(name+".organization-id", "%q is not an organization id such as o-a1b2c3d4e5", a.OrganizationID)
		}
		for _, p := range a.OrganizationPaths {
			if !strings.HasPrefix(p, a.OrganizationID+"/") || !strings.HasSuffix(p, "/") {
				wrong(name+".organization-paths", "%q does not begin with the organization id and end with a slash, such as o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/", p)
			}
		}
		if a.ProxyAuthorization == "" {
			a.ProxyAuthorization = c.ProxyAuthorization
		} else {
			proxyAuthorization(name+".proxy-authorization", a.ProxyAuthorization)
		}
		for _, text := range a.GatewayAddresses {
			addr, err := netip.ParseAddr(text)
			if addr = addr.Unmap(); err != nil || addr.IsUnspecified() || addr.IsMulticast() {
				wrong(name+".gateway-addresses", "%q is not an IP address of the gateway", text)
				continue
			}
			if of, taken := accountOf[addr]; taken {
				wrong(name+".gateway-addresses", "%s is one of account %s already", addr, of)
				continue
			}
			accountOf[addr] = a.ID
			gateways[a.ID] = append(gateways[a.ID], addr)
		}
		s.accounts = append(s.accounts, a)
	}
	if !seen[c.AccountID] {
		s.accounts = append([]AccountConfig{{ID: c.AccountID, ProxyAuthorization: c.ProxyAuthorization}}, s.accounts...)
	}
	s.world = snapshot.Settings{Partition: partition, DefaultAccount: c.AccountID, Accounts: map[string]snapshot.Account{}}
	for _, a := range s.accounts {
		s.world.Accounts[a.ID] = snapshot.Account{
			ID: a.ID, OrgID: a.OrganizationID, OrgPaths: a.OrganizationPaths,
			ProxyAuthorization: snapshot.ProxyAuthorization(a.ProxyAuthorization), GatewayAddresses: gateways[a.ID],
		}
	}
	controls(c.Organizations, &s.world, wrong)
	for _, e := range strings.Split(c.EtcdEndpoints, ",") {
		if e = strings.TrimSpace(e); e != "" {
			s.endpoints = append(s.endpoints, e)
		}
	}
	if !strings.HasSuffix(c.EtcdPrefix, "/") {
		wrong("etcd-prefix", "%q does not end with a slash", c.EtcdPrefix)
	}
	if (c.EtcdCertFile == "") != (c.EtcdKeyFile == "") {
		wrong("etcd-cert-file", "a client certificate needs both etcd-cert-file and etcd-key-file")
	}
	if s.KeyFile == "" {
		s.KeyFile = filepath.Clean(c.DataDir) + ".key"
	}
	if s.AccessLog == "" {
		s.AccessLog = filepath.Join(c.DataDir, "access.log")
	}
	if s.AuditLog == "" {
		s.AuditLog = filepath.Join(c.DataDir, "audit.log")
	}
	return s, errors.Join(errs...)
}
