package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/latchwork/latchwork/internal/snapshot"
)

// Info is what the command line must know of a running server. It is kept in the
// data directory; it holds no secret.
type Info struct {
	APIURL   string `json:"apiUrl"`
	AdminURL string `json:"adminUrl"`
	// The next three are "" where they are not served.
	ContainerCredentialsURL string `json:"containerCredentialsUrl,omitzero"`
	MetadataURL             string `json:"metadataUrl,omitzero"`
	PodIdentityURL          string `json:"podIdentityUrl,omitzero"`

	AccountID string `json:"accountId"`
	Region    string `json:"region"`
	// Gateway holds the address of a socket by listener port.
	Gateway map[int64]string `json:"gateway"`
	// EMS is the address of the Envoy management service, "" where there is none, and
	// EMSNames are the names in its certificate.
	EMS      string   `json:"ems,omitzero"`
	EMSNames []string `json:"emsNames,omitzero"`
	// CA is the file of the certificate authority's certificate.
	CA string `json:"ca"`
}

// InfoFile is where a running server keeps its Info.
func InfoFile(dataDir string) string { return filepath.Join(dataDir, "server.json") }

// ReadInfo reads the Info of the server on a data directory.
func ReadInfo(dataDir string) (*Info, error) {
	text, err := os.ReadFile(InfoFile(dataDir))
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("no server has run on %s: start one with latchwork dev, or name its directory with --data-dir", dataDir)
	}
	if err != nil {
		return nil, err
	}
	info := new(Info)
	if err := json.Unmarshal(text, info); err != nil {
		return nil, fmt.Errorf("%s: %w", InfoFile(dataDir), err)
	}
	return info, nil
}

// ReadAdmin reads the first administrator of an account.
func ReadAdmin(dataDir, account string) (*Admin, error) {
	path := AdminFile(dataDir, account)
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s is not there: the administrator of account %s was made by a server on another data directory, or the account is not in the server's configuration", path, account)
	}
	if err != nil {
		return nil, err
	}
	admin := new(Admin)
	if err := json.Unmarshal(text, admin); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return admin, nil
}

// info makes and keeps the Info.
func (s *Server) info() (*Info, error) {
	info := &Info{
		APIURL: "http://" + reachable(s.apiAddr.Addr()), AdminURL: "http://" + reachable(s.adminAt.Addr()),
		AccountID: s.cfg.AccountID, Region: s.cfg.Region, Gateway: map[int64]string{},
		CA: filepath.Join(s.cfg.DataDir, "ca.pem"),
	}
	if s.ems != nil {
		info.EMS, info.EMSNames = reachable(s.emsAddr.Addr()), s.emsNames()
	}
	for port, socket := range s.cfg.gatewayPorts {
		info.Gateway[port] = net.JoinHostPort(s.cfg.gatewayAddrs[0].String(), fmt.Sprint(socket))
	}
	for listener, url := range map[net.Listener]*string{
		s.tasks: &info.ContainerCredentialsURL, s.instances: &info.MetadataURL, s.pods: &info.PodIdentityURL,
	} {
		if listener != nil {
			*url = "http://" + reachable(listener.Addr())
		}
	}
	if abs, err := filepath.Abs(info.CA); err == nil {
		info.CA = abs
	}
	if err := os.WriteFile(info.CA, s.authority.PEM(), 0o644); err != nil {
		return nil, err
	}
	text, err := json.MarshalIndent(info, "", "  ")
	if err != nil {
		return nil, err
	}
	return info, os.WriteFile(InfoFile(s.cfg.DataDir), append(text, '\n'), 0o644)
}

// reachable is an address that can be connected to: a server on all addresses is
// reached on loopback.
func reachable(a net.Addr) string {
	tcp, ok := a.(*net.TCPAddr)
	if ok && tcp.IP.IsUnspecified() {
		return net.JoinHostPort("127.0.0.1", fmt.Sprint(tcp.Port))
	}
	return a.String()
}

// banner says what is enforced, what is not, and what to do next.
func (s *Server) banner(w io.Writer, info *Info) {
	line := func(name, format string, args ...any) {
		fmt.Fprintf(w, "  %-10s %s\n", name, fmt.Sprintf(format, args...))
	}
	storage := "embedded etcd in " + s.cfg.DataDir
	if len(s.cfg.endpoints) > 0 {
		storage = "etcd at " + strings.Join(s.cfg.endpoints, ", ")
	}
	var sockets []string
	for _, port := range slices.Sorted(maps.Keys(info.Gateway)) {
		sockets = append(sockets, fmt.Sprintf("%s (listener port %d)", info.Gateway[port], port))
	}
	fmt.Fprintln(w, "latchwork is ready")
	line("api", "%s   account %s, any region", info.APIURL, info.AccountID)
	if s.cfg.APITLSAddr != "" {
		line("", "https://%s   the same, for names such as sts.%s.amazonaws.com", s.cfg.APITLSAddr, info.Region)
	}
	line("gateway", "%s", strings.Join(sockets, ", "))
	if info.EMS != "" {
		line("envoys", "%s   for %s", info.EMS, strings.Join(info.EMSNames, ", "))
	}
	line("admin", "%s   /healthz /readyz /metrics", info.AdminURL)
	if info.ContainerCredentialsURL != "" {
		line("tasks", "%s   credentials for tasks, as from ECS", info.ContainerCredentialsURL)
	}
	if info.MetadataURL != "" {
		line("instances", "%s   credentials for instances, as from EC2; tokens are %s", info.MetadataURL, s.cfg.IMDSTokens)
	}
	if info.PodIdentityURL != "" {
		line("pods", "%s   credentials for pods of account %s, as from EKS", info.PodIdentityURL, info.AccountID)
	}
	line("store", "%s", storage)
	line("enforced", "API calls: signature and IAM policies. Services: signature, identity, network and service policy, on every request")
	if info.EMS != "" {
		line("", "Envoys: signature and appmesh:StreamAggregatedResources (proxy-authorization: %s)", s.cfg.ProxyAuthorization)
	}
	line("", "what cannot be evaluated is denied; the user guide is followed (conformance: %s)", s.cfg.Conformance)
	line("not", "security groups, private DNS options and resource policies are stored and enforce nothing")
	if s.cfg.TargetCAFile == "" {
		line("", "certificates of HTTPS targets are not checked, as in VPC Lattice; set target-ca-file to check them")
	}
	for _, a := range s.cfg.accounts {
		if admin := s.admins[a.ID]; admin != nil {
			line("new", "administrator of account %s made; its keys are in %s", a.ID, AdminFile(s.cfg.DataDir, a.ID))
		}
	}
	for _, a := range s.cfg.accounts {
		if s.ems != nil && a.ProxyAuthorization == string(snapshot.ProxyAuthorizationOff) {
			line("warning", "Envoys of account %s are served unsigned and unauthorized: proxy-authorization is off", a.ID)
		}
	}
	for port, err := range s.gateway.Problems() {
		line("problem", "listener port %d is not open: %v", port, err)
	}
	line("next", `eval "$(latchwork env --data-dir %s)" && aws vpc-lattice list-services`, s.cfg.DataDir)
}
