package model

import (
	"time"

	wire "github.com/latchwork/latchwork/internal/wire/servicediscovery"
)

// CloudMap is the service name in ARNs of Cloud Map.
const CloudMap = "servicediscovery"

// Namespace is a Cloud Map namespace: one of HTTP, or of DNS names that nobody
// resolves here.
type Namespace struct {
	Meta
	Type             string `json:"type"`
	Description      string `json:"description,omitzero"`
	CreatorRequestID string `json:"creatorRequestId,omitzero"`
	// VPC is where the names of a private DNS namespace would be known; SOA is of
	// both kinds with DNS.
	VPC string    `json:"vpc,omitzero"`
	SOA *wire.SOA `json:"soa,omitzero"`
}

// CloudMapService is a Cloud Map service: instances under one name. Neither its
// name nor its namespace ever changes.
type CloudMapService struct {
	Meta
	Namespace        string `json:"namespace"` // id
	NamespaceName    string `json:"namespaceName"`
	Description      string `json:"description,omitzero"`
	CreatorRequestID string `json:"creatorRequestId,omitzero"`
	// DNSConfig says which DNS records there would be; nil for none.
	DNSConfig *wire.DnsConfig `json:"dnsConfig,omitzero"`
	// CustomHealth tells whether somebody reports the health of the instances. If
	// nobody does, they are all healthy.
	CustomHealth bool `json:"customHealth,omitzero"`
	// Instances is how many there are, Revision how often one was registered or
	// deregistered.
	Instances int64 `json:"instances"`
	Revision  int64 `json:"revision"`
}

// Instance is a registered instance of a Cloud Map service: what a client that
// discovers the service connects to.
type Instance struct {
	ID               string            `json:"id"`
	Service          string            `json:"service"` // id
	Attributes       map[string]string `json:"attributes"`
	Healthy          bool              `json:"healthy"`
	CreatorRequestID string            `json:"creatorRequestId,omitzero"`
	Created          time.Time         `json:"created"`
}

// CloudMapOperation is what was done at a call that AWS answers before it is done.
// It is kept for a while.
type CloudMapOperation struct {
	ID   string `json:"id"`
	Type string `json:"type"`
	// Namespace is the id of the one that it was done in, Targets the ids of what it
	// was done to, by kind.
	Namespace string            `json:"namespace"`
	Targets   map[string]string `json:"targets"`
	Created   time.Time         `json:"created"`
	Expires   time.Time         `json:"expires"`
}
