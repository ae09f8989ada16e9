// Package model holds the records that Latchwork stores: each is Meta, the
// resource as its owner described it in AWS's own shapes, and what follows from
// it. It also says where records are kept and how they are named.
package model

import (
	"crypto/rand"
	"encoding/hex"
	"strings"
	"time"

	"github.com/latchwork/latchwork/internal/store"
)

// Meta is what every record has.
type Meta struct {
	ID      string `json:"id"`
	ARN     string `json:"arn"`
	Name    string `json:"name,omitzero"`
	Account string `json:"account"`
	// Region is empty for records of IAM, which is one for all regions.
	Region  string            `json:"region,omitzero"`
	Created time.Time         `json:"created"`
	Updated time.Time         `json:"updated"`
	Tags    map[string]string `json:"tags,omitzero"`
}

// Scope is the partition of the state that a regional call works in: nothing of
// one account and region is seen from another, unless it is named by ARN and
// shared.
type Scope struct {
	Partition string
	Account   string
	Region    string
}

// ScopeOf is the scope that a record lives in.
func (m *Meta) ScopeOf(partition string) Scope {
	return Scope{Partition: partition, Account: m.Account, Region: m.Region}
}

// Key is the id of a record of this scope in its collection; parts are joined
// by '/'.
func (s Scope) Key(parts ...string) string {
	return s.Account + "/" + s.Region + "/" + strings.Join(parts, "/")
}

// Prefix starts the keys of all records of this scope.
func (s Scope) Prefix(parts ...string) string {
	if len(parts) == 0 {
		return s.Key()
	}
	return s.Key(parts...) + "/"
}

// ARN is that of a VPC Lattice resource of this scope, path for example
// "service/svc-0123456789abcdef0".
func (s Scope) ARN(service, path string) string {
	return "arn:" + s.Partition + ":" + service + ":" + s.Region + ":" + s.Account + ":" + path
}

// NewID makes a VPC Lattice or EC2 identifier: the prefix, '0' and sixteen
// hexadecimal digits, as AWS's are.
func NewID(prefix string) string {
	var b [8]byte
	rand.Read(b[:]) // never fails: it ends the process instead
	return prefix + "-0" + hex.EncodeToString(b[:])
}

// Collections of all records. Where a record's key is not Scope.Key(ID), the
// comment says what it is.
var (
	Users       = store.NewCollection[User]("iam.user")               // Account/lower-case name
	Groups      = store.NewCollection[Group]("iam.group")             // Account/lower-case name
	Roles       = store.NewCollection[Role]("iam.role")               // Account/lower-case name
	Policies    = store.NewCollection[ManagedPolicy]("iam.policy")    // Account/lower-case name
	Profiles    = store.NewCollection[InstanceProfile]("iam.profile") // Account/lower-case name
	AccessKeys  = store.NewCollection[AccessKey]("iam.accesskey")     // access key id
	AccountInfo = store.NewCollection[Account]("iam.account")         // Account

	OIDCProviders = store.NewCollection[OIDCProvider]("iam.oidcprovider") // OIDCProviderKey

	VPCs = store.NewCollection[VPC]("ec2.vpc")

	ServiceNetworks     = store.NewCollection[ServiceNetwork]("lattice.servicenetwork")
	Services            = store.NewCollection[Service]("lattice.service")
	Listeners           = store.NewCollection[Listener]("lattice.listener") // service id, listener id
	Rules               = store.NewCollection[Rule]("lattice.rule")         // service id, listener id, rule id
	TargetGroups        = store.NewCollection[TargetGroup]("lattice.targetgroup")
	Targets             = store.NewCollection[Target]("lattice.target") // target group id, target id:port
	ServiceAssociations = store.NewCollection[ServiceAssociation]("lattice.serviceassociation")
	VPCAssociations     = store.NewCollection[VPCAssociation]("lattice.vpcassociation")
	AuthPolicies        = store.NewCollection[AuthPolicy]("lattice.authpolicy")         // id of the service or service network
	ResourcePolicies    = store.NewCollection[ResourcePolicy]("lattice.resourcepolicy") // id of the service or service network

	// The records of a mesh are below MeshKey; so are those of other accounts in it.
	Meshes          = store.NewCollection[Mesh]("mesh.mesh")                     // MeshKey
	VirtualNodes    = store.NewCollection[VirtualNode]("mesh.virtualnode")       // MeshKey, name
	VirtualGateways = store.NewCollection[VirtualGateway]("mesh.virtualgateway") // MeshKey, name
	VirtualRouters  = store.NewCollection[VirtualRouter]("mesh.virtualrouter")   // MeshKey, name
	VirtualServices = store.NewCollection[VirtualService]("mesh.virtualservice") // MeshKey, name
	Routes          = store.NewCollection[Route]("mesh.route")                   // MeshKey, virtual router, name
	GatewayRoutes   = store.NewCollection[GatewayRoute]("mesh.gatewayroute")     // MeshKey, virtual gateway, name

	Bindings = store.NewCollection[Binding]("workload.binding")

	Namespaces         = store.NewCollection[Namespace]("cloudmap.namespace")
	CloudMapServices   = store.NewCollection[CloudMapService]("cloudmap.service")
	Instances          = store.NewCollection[Instance]("cloudmap.instance") // service id, instance id, which may have '/' in it
	CloudMapOperations = store.NewCollection[CloudMapOperation]("cloudmap.operation")

	// Unique holds one record for every name that may be there once only; its
	// key says for what: Scope.Key(kind, name).
	Unique = store.NewCollection[Claim]("unique")
	// Tokens holds the answers to calls with an idempotency token.
	Tokens = store.NewCollection[TokenAnswer]("token")
)

// AccountOf is the account of the record at a key of the store. A TokenAnswer is
// nobody's.
func AccountOf(key string) string {
	if id, ok := AccessKeys.Owns(key); ok {
		account, _ := AccessKeyAccount(id)
		return account
	}
	if _, ok := Tokens.Owns(key); ok {
		return ""
	}
	_, id, _ := strings.Cut(key, "/")
	account, _, _ := strings.Cut(id, "/")
	return account
}

// Claim says who holds a unique name.
type Claim struct {
	ID string `json:"id"`
}

// TokenAnswer is the answer that a call with an idempotency token got.
type TokenAnswer struct {
	// Hash of the call's parameters: the token with other parameters is refused.
	Hash    string    `json:"hash"`
	Answer  []byte    `json:"answer"`
	Expires time.Time `json:"expires"`
}
