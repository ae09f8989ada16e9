package model

import (
	"crypto/sha256"
	"net/netip"
)

// The kinds of workload that a binding is for.
const (
	ECSTask     = "ecs-task"
	EC2Instance = "ec2-instance"
)

// Binding says which role a workload has. Its ID is that of the task or instance,
// and the name of its sessions.
type Binding struct {
	Meta
	Kind string `json:"kind"`
	// Role is the ARN of a task's role, InstanceProfile that of an instance's profile.
	Role            string `json:"role,omitzero"`
	InstanceProfile string `json:"instanceProfile,omitzero"`
	// CredentialHash and TokenHash are those of a task's secrets: the id in the path of
	// its credentials, and what it sends as Authorization, nil if nothing is asked for.
	CredentialHash []byte `json:"credentialHash,omitzero"`
	TokenHash      []byte `json:"tokenHash,omitzero"`
	// Address is the instance's. One without an address is on this machine.
	Address netip.Addr `json:"address,omitzero"`
}

// SecretHash is what is kept of a random secret that is shown once. A secret of 128
// random bits cannot be guessed, so one round is enough.
func SecretHash(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}

// BindingAddressKey is where it is kept whose an address is: it can be of one
// instance in the whole installation.
func BindingAddressKey(addr netip.Addr) string {
	return Scope{}.Key("binding.address", addr.String())
}
