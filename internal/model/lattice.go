package model

import (
	"strconv"
	"time"

	wire "github.com/latchwork/latchwork/internal/wire/vpclattice"
)

// The service name in ARNs of VPC Lattice.
const LatticeService = "vpc-lattice"

// Auth types. The zero value of a stored auth type is never used: a record
// always says which.
const (
	AuthNone = "NONE"
	AuthIAM  = "AWS_IAM"
)

// ServiceNetwork is a VPC Lattice service network.
type ServiceNetwork struct {
	Meta
	AuthType string              `json:"authType"`
	Sharing  *wire.SharingConfig `json:"sharing,omitzero"`
}

// Service is a VPC Lattice service.
type Service struct {
	Meta
	AuthType     string `json:"authType"`
	CustomDomain string `json:"customDomain,omitzero"`
	Certificate  string `json:"certificate,omitzero"`
	// Domain is the generated DNS name.
	Domain string `json:"domain"`
}

// DomainHash and DomainSuffix are constant parts of generated DNS names.
// Source: seen alike in three regions of AWS; VPC Lattice User Guide, "Service
// domain names".
const (
	DomainHash   = "7d67968"
	DomainSuffix = "on.aws"
	// HostedZone is the id that answers carry; AWS has one a region.
	HostedZone = "Z09127221KTH2CFUOHIZH"
)

// ServiceDomain is a service's generated DNS name.
func ServiceDomain(name, id, region string) string {
	return name + "-" + id[len("svc-"):] + "." + DomainHash + ".vpc-lattice-svcs." + region + "." + DomainSuffix
}

// Listener is a VPC Lattice listener.
type Listener struct {
	Meta
	Service       string           `json:"service"` // id
	Protocol      string           `json:"protocol"`
	Port          int64            `json:"port"`
	DefaultAction *wire.RuleAction `json:"defaultAction"`
	// DefaultRule is the id of the rule that stands for DefaultAction.
	DefaultRule     string            `json:"defaultRule"`
	DefaultRuleTags map[string]string `json:"defaultRuleTags,omitzero"`
}

// Rule is a rule of a listener, other than the default rule.
type Rule struct {
	Meta
	Service  string           `json:"service"`  // id
	Listener string           `json:"listener"` // id
	Match    *wire.RuleMatch  `json:"match"`
	Priority int64            `json:"priority"`
	Action   *wire.RuleAction `json:"action"`
}

// TargetGroup is a VPC Lattice target group. Config has all its defaults filled
// in when it is stored.
type TargetGroup struct {
	Meta
	Type   string                  `json:"type"`
	Config *wire.TargetGroupConfig `json:"config,omitzero"`
}

// Target is a registered target. Its health is not stored: each gateway has its
// own opinion of it.
type Target struct {
	Group   string    `json:"group"` // id
	ID      string    `json:"id"`    // an address for groups of type IP
	Port    int64     `json:"port"`
	Created time.Time `json:"created"`
	// Draining is when the target was deregistered; zero while it is in service.
	Draining time.Time `json:"draining,omitzero"`
}

// TargetKey is the last part of a target's key.
func TargetKey(id string, port int64) string { return id + ":" + strconv.FormatInt(port, 10) }

// ServiceAssociation joins a service to a service network.
type ServiceAssociation struct {
	Meta
	Network    string `json:"network"`    // id
	NetworkARN string `json:"networkArn"` // of another account where the network is shared
	Service    string `json:"service"`    // id
	ServiceARN string `json:"serviceArn"`
}

// VPCAssociation joins a VPC to a service network.
type VPCAssociation struct {
	Meta
	Network           string           `json:"network"` // id
	NetworkARN        string           `json:"networkArn"`
	VPC               string           `json:"vpc"` // id
	SecurityGroups    []string         `json:"securityGroups,omitzero"`
	PrivateDNSEnabled *bool            `json:"privateDnsEnabled,omitzero"`
	DNSOptions        *wire.DnsOptions `json:"dnsOptions,omitzero"`
}

// AuthPolicy is the auth policy of a service or service network. Whether it is
// in force follows from the auth type of what it belongs to.
type AuthPolicy struct {
	Meta // ID and ARN are those of the service or service network
	// Document is compact: what GetAuthPolicy answers.
	Document string `json:"document"`
}

// ResourcePolicy says which other accounts may use a service or a service
// network in the control plane.
type ResourcePolicy struct {
	Meta
	Document string `json:"document"`
}
