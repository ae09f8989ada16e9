package model

import (
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"time"
)

// GatewayAddressTag is the tag of a VPC that binds a gateway address to it: a
// request that comes in on that address comes from that VPC, whatever the
// client's address is. EC2's API has no member for it.
const GatewayAddressTag = "latchwork:gateway-address"

// VPC is an address range with its owner account: where a client is.
type VPC struct {
	Meta
	// CIDRs holds the primary range first.
	CIDRs   []CIDR `json:"cidrs"`
	Default bool   `json:"default,omitzero"`
}

// CIDR is one address range of a VPC.
type CIDR struct {
	AssociationID string       `json:"associationId"`
	Prefix        netip.Prefix `json:"prefix"`
}

// DefaultVPC is the VPC that loopback belongs to from the start, one in every
// region, owned by the installation's default account. It is not stored until
// somebody changes it.
func DefaultVPC(account, region string, created time.Time) *VPC {
	sum := sha256.Sum256([]byte("default vpc of " + account + " in " + region))
	digits := hex.EncodeToString(sum[:])
	id := "vpc-0" + digits[:16]
	return &VPC{
		Meta: Meta{
			ID: id, ARN: VPCARN(account, region, id), Account: account, Region: region,
			Created: created, Updated: created,
		},
		CIDRs: []CIDR{
			{AssociationID: "vpc-cidr-assoc-0" + digits[16:32], Prefix: netip.MustParsePrefix("127.0.0.0/8")},
			{AssociationID: "vpc-cidr-assoc-0" + digits[32:48], Prefix: netip.MustParsePrefix("::1/128")},
		},
		Default: true,
	}
}

// VPCARN is the ARN of a VPC.
func VPCARN(account, region, id string) string {
	return "arn:aws:ec2:" + region + ":" + account + ":vpc/" + id
}
