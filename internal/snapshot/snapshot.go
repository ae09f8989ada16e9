// Package snapshot turns the stored records into an immutable, compiled world and
// publishes it. Every request pins one Snapshot at its start and never looks
// again; nothing in a Snapshot changes after it was published.
package snapshot

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/latchwork/latchwork/internal/identity"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/policy"
	"github.com/latchwork/latchwork/internal/store"
)

// Settings are the parts of the world that are configured and not stored. They
// are the same in all snapshots of a process.
type Settings struct {
	Partition string
	// DefaultAccount owns the default VPC.
	DefaultAccount string
	// Accounts holds the accounts of the installation by id.
	Accounts map[string]Account
}

// Account is what is configured of an account.
type Account struct {
	ID string
	// OrgID and OrgPaths are empty for an account outside any organization.
	OrgID    string
	OrgPaths []string
	// ControlPolicies are the service control policies that the account is under, by
	// level from the root of its organization to the account itself; every level must
	// allow. There are none outside any organization, and for one without any.
	ControlPolicies [][]*Policy
	// Management tells that it is the management account of its organization, which
	// service control policies do not restrict.
	Management bool
	// ProxyAuthorization says which Envoys of the account need a permission.
	ProxyAuthorization ProxyAuthorization
	// GatewayAddresses are those addresses of the gateway that only VPCs of the
	// account may have.
	GatewayAddresses []netip.Addr
}

// GatewayAccount is the account whose VPCs may have an address of the gateway: the
// one that is configured with it, else the default account.
func (s *Settings) GatewayAccount(addr netip.Addr) string {
	for id, a := range s.Accounts {
		if slices.Contains(a.GatewayAddresses, addr) {
			return id
		}
	}
	return s.DefaultAccount
}

// ProxyAuthorization is a rule of App Mesh: which Envoys may read the configuration
// of their mesh endpoint only with the permission for it.
type ProxyAuthorization string

// The rules. Anything else is as ProxyAuthorizationRequired.
const (
	// ProxyAuthorizationTLS: those of virtual gateways, and of virtual nodes that use
	// TLS. Source: App Mesh User Guide, "Envoy Proxy authorization", its first form.
	ProxyAuthorizationTLS ProxyAuthorization = "tls-and-gateways"
	// ProxyAuthorizationRequired: all.
	ProxyAuthorizationRequired ProxyAuthorization = "required"
	// ProxyAuthorizationOff: none, and nobody has to sign.
	ProxyAuthorizationOff ProxyAuthorization = "off"
)

// Policy is one policy document in force, with where it comes from.
type Policy struct {
	// ARN is that of a managed policy, "" for an inline or auth policy.
	ARN string
	// Name is the policy's name, or the id of what an auth policy belongs to.
	Name string
	// Owner is the ARN of the user, group, role, service or service network that
	// the policy is written on; "" for a managed policy.
	Owner string
	Text  string
	// Compiled is nil if the document could not be compiled. Problem says why,
	// and such a policy denies.
	Compiled *policy.Compiled
	Problem  error
}

// Entity is an IAM user or role: what policies apply to.
type Entity struct {
	Kind    identity.Kind // User or AssumedRole
	ARN     string
	ID      string
	Account string
	Name    string
	Tags    map[string]string
	Created time.Time

	inline   []*Policy
	attached []string
	groups   []string // keys of groups
	boundary string
	// bounds is a boundary that is stated, in place of the ARN of a stored one.
	bounds *Policy

	// Trust and MaxSession are a role's.
	Trust      *Policy
	MaxSession time.Duration
}

// HasBoundary tells whether the entity has a permissions boundary.
func (e *Entity) HasBoundary() bool { return e.bounds != nil || e.boundary != "" }

// group is the part of an IAM group that matters to its members.
type group struct {
	inline   []*Policy
	attached []string
}

// Key is a long-term access key.
type Key struct {
	ID     string
	Sealed []byte
	Secret []byte
	Active bool
	// Principal is nil if the owner is gone.
	Principal *identity.Principal
}

// Problem is why one record could not be compiled; what depends on it denies.
type Problem struct {
	// Record is the key of the record in the store.
	Record string
	Err    error
}

// Snapshot is the compiled world at one revision.
type Snapshot struct {
	revision  store.Revision
	published time.Time
	settings  *Settings
	sessions  *sessions

	keys     shards[*Key]
	entities shards[*Entity]
	managed  shards[*Policy]
	groups   shards[*group]
	// providers has their keys in the store.
	providers shards[*model.OIDCProvider]
	profiles  shards[*InstanceProfile]
	bindings  *bindingTable

	services     shards[*Service]
	hosts        shards[[]*Service]
	networks     shards[*Network]
	targetGroups shards[*TargetGroup]
	vpcs         *vpcTable
	ports        []int64

	meshes shards[*Mesh]
	// endpoints gives the keys of the meshes that have a mesh endpoint of an ARN.
	endpoints shards[[]string]
	// namespaces and discoverable are Cloud Map's, by namespaceKey and discoveryKey.
	namespaces   shards[*model.Namespace]
	discoverable shards[*CloudMapService]

	problems map[string]error
}

// Revision of the store that the snapshot was made from.
func (s *Snapshot) Revision() store.Revision { return s.revision }

// Published is when the snapshot came into force.
func (s *Snapshot) Published() time.Time { return s.published }

// Settings of the installation.
func (s *Snapshot) Settings() *Settings { return s.settings }

// Account gives what is configured of an account; the zero Account if nothing is.
func (s *Snapshot) Account(id string) Account { return s.settings.Accounts[id] }

// Key finds a long-term access key.
func (s *Snapshot) Key(id string) (*Key, bool) { return s.keys.get(id) }

// Entity finds the user or role whose policies apply to a principal, by
// Principal.IssuerARN. It is nil if there is none, or if it is not the same one
// any more: a role that was deleted and made again has another unique id.
func (s *Snapshot) Entity(p *identity.Principal) *Entity {
	e, ok := s.entities.get(p.IssuerARN)
	if !ok || e.ID != p.IssuerID {
		return nil
	}
	return e
}

// EntityByARN finds a user or role.
func (s *Snapshot) EntityByARN(arn string) (*Entity, bool) { return s.entities.get(arn) }

// OIDCProvider finds the identity provider that an account has for an issuer.
func (s *Snapshot) OIDCProvider(account, issuer string) (*model.OIDCProvider, bool) {
	p, ok := s.providers.get(model.OIDCProviderKey(account, model.OIDCProviderName(issuer)))
	// An issuer is its whole URL: that of another scheme is another one.
	if !ok || p.URL != issuer {
		return nil, false
	}
	return p, true
}

// Managed finds a managed policy, a customer's or AWS's own.
func (s *Snapshot) Managed(arn string) (*Policy, bool) {
	if p, ok := awsManaged()[arn]; ok {
		return p, true
	}
	return s.managed.get(arn)
}

// IdentityPolicies appends the identity policies of e to dst: its inline
// policies, its attached ones, then those of its groups. A policy that is
// attached and cannot be found is a Policy with a Problem.
func (s *Snapshot) IdentityPolicies(dst []*Policy, e *Entity) []*Policy {
	dst = append(dst, e.inline...)
	dst = s.appendManaged(dst, e.attached)
	for _, key := range e.groups {
		var ok bool
		if dst, ok = s.groupPolicies(dst, key); !ok {
			dst = append(dst, missing("group "+key))
		}
	}
	return dst
}

func (s *Snapshot) groupPolicies(dst []*Policy, key string) ([]*Policy, bool) {
	g, ok := s.groups.get(key)
	if !ok {
		return dst, false
	}
	return s.appendManaged(append(dst, g.inline...), g.attached), true
}

// GroupPolicies are the policies of a group, if it is there.
func (s *Snapshot) GroupPolicies(account, name string) ([]*Policy, bool) {
	return s.groupPolicies(nil, model.IAMKey(account, name))
}

// Boundary is the permissions boundary of e; nil if it has none.
func (s *Snapshot) Boundary(e *Entity) *Policy {
	if e.bounds != nil || e.boundary == "" {
		return e.bounds
	}
	if p, ok := s.Managed(e.boundary); ok {
		return p
	}
	return missing(e.boundary)
}

func (s *Snapshot) appendManaged(dst []*Policy, arns []string) []*Policy {
	for _, arn := range arns {
		p, ok := s.Managed(arn)
		if !ok {
			p = missing(arn)
		}
		dst = append(dst, p)
	}
	return dst
}

// Problems lists the records that could not be compiled, in order of their keys.
func (s *Snapshot) Problems() []Problem { return sortedProblems(s.problems) }

// Counts tells how much there is of what, for metrics.
func (s *Snapshot) Counts() map[string]int {
	return map[string]int{
		"access_key": s.keys.len(), "entity": s.entities.len(), "policy": s.managed.len(),
		"service": s.services.len(), "service_network": s.networks.len(), "target_group": s.targetGroups.len(),
		"mesh": s.meshes.len(), "mesh_endpoint": s.endpoints.len(),
		"oidc_provider": s.providers.len(), "instance_profile": s.profiles.len(), "binding": s.bindings.len(),
		"cloud_map_service": s.discoverable.len(),
	}
}

// Ports lists the listener ports of all services, ascending: what a gateway must
// listen on.
func (s *Snapshot) Ports() []int64 { return s.ports }

// VPC is the VPC that an address belongs to in a region, by longest prefix, or
// the one that the gateway's own address is bound to, which is stronger. Loopback
// belongs to the default VPC unless a stored one says otherwise. vpc is nil if the
// address belongs to none, and if it cannot be told: then known is false.
func (s *Snapshot) VPC(region string, client Addresses) (vpc *VPC, known bool) {
	return s.vpcs.find(region, client)
}

// AddressOwner finds the account that has an address in a VPC of any region; "" if none
// has. known is false if it cannot be told: a VPC cannot be read, or several accounts
// have the address, in different regions.
func (s *Snapshot) AddressOwner(addr netip.Addr) (account string, known bool) {
	return s.vpcs.owner(s.settings, addr)
}

// Host finds the services that a name in Host means: one for a generated DNS
// name, possibly several for a custom domain name that is used in different
// service networks. host is lower-case and without port.
func (s *Snapshot) Host(host string) []*Service {
	found, _ := s.hosts.get(host)
	return found
}

// Service finds a service by its ARN.
func (s *Snapshot) Service(arn string) (*Service, bool) { return s.services.get(arn) }

// Network finds a service network by its ARN.
func (s *Snapshot) Network(arn string) (*Network, bool) { return s.networks.get(arn) }

// TargetGroup finds a target group by its ARN.
func (s *Snapshot) TargetGroup(arn string) (*TargetGroup, bool) { return s.targetGroups.get(arn) }

// TargetGroups yields all target groups.
func (s *Snapshot) TargetGroups(yield func(*TargetGroup) bool) {
	s.targetGroups.all(func(_ string, g *TargetGroup) bool { return yield(g) })
}

// SameTargetGroups tells whether no target group has changed since another snapshot;
// false for nil.
func (s *Snapshot) SameTargetGroups(other *Snapshot) bool {
	return other != nil && s.targetGroups.parts == other.targetGroups.parts
}

// Services yields all services.
func (s *Snapshot) Services(yield func(*Service) bool) {
	s.services.all(func(_ string, v *Service) bool { return yield(v) })
}

// Network is a service network as the gateway sees it.
type Network struct {
	model.ServiceNetwork
	// Policy is nil if there is none.
	Policy *Policy
}

// Service is a service as the gateway sees it.
type Service struct {
	model.Service
	// Policy is nil if there is none.
	Policy    *Policy
	Listeners []*Listener
	// networks holds the ARNs of the service networks it is associated with.
	networks []string
}

// In tells whether the service is associated with a service network.
func (s *Service) In(networkARN string) bool {
	for _, n := range s.networks {
		if n == networkARN {
			return true
		}
	}
	return false
}

// Listener finds the listener of a port; nil if there is none.
func (s *Service) Listener(port int64) *Listener {
	for _, l := range s.Listeners {
		if l.Port == port {
			return l
		}
	}
	return nil
}

// Listener is a listener with its rules by ascending priority.
type Listener struct {
	*model.Listener
	Rules []*model.Rule
	// Incomplete tells that there are rules which cannot be read: nobody knows what is
	// to be done with a request.
	Incomplete bool
}

// TargetGroup is a target group with its targets, draining ones left out.
type TargetGroup struct {
	*model.TargetGroup
	Targets []*model.Target
	// InUse tells whether a listener or rule forwards to the group.
	InUse bool
}

// Host in a Host header or an :authority, ready for Snapshot.Host: lower-case and
// without port.
func HostName(authority string) string {
	host := authority
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		host = host[:i]
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}
