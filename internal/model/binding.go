package model

import (
	"crypto/sha256"
	"net/netip"
)

// The kinds of workload that a binding is for.
const (
	ECSTask     = "ecs-task"
	EC2Instance = "ec2-instance"
	EKSPod      = "eks-pod"
)

// ServicePrincipal is the service of AWS that takes the role for a kind of workload,
// and that the role must trust; "" for a kind that is none.
func ServicePrincipal(kind string) string {
	switch kind {
	case ECSTask:
		return "ecs-tasks.amazonaws.com"
	case EC2Instance:
		return "ec2.amazonaws.com"
	case EKSPod:
		return "pods.eks.amazonaws.com"
	}
	return ""
}

// Binding says which role a workload has. Its ID is that of the task or instance,
// and the name of its sessions, or that of the association of a service account.
type Binding struct {
	Meta
	Kind string `json:"kind"`
	// Role is the ARN of the role of a task or a service account, InstanceProfile that
	// of an instance's profile.
	Role            string `json:"role,omitzero"`
	InstanceProfile string `json:"instanceProfile,omitzero"`
	// CredentialHash and TokenHash are those of a task's secrets: the id in the path of
	// its credentials, and what it sends as Authorization, nil if nothing is asked for.
	CredentialHash []byte `json:"credentialHash,omitzero"`
	TokenHash      []byte `json:"tokenHash,omitzero"`
	// Address is the instance's. One without an address is on this machine.
	Address netip.Addr `json:"address,omitzero"`
	// Issuer, Namespace and ServiceAccount are whose pods have the role, Cluster is how
	// the issuer's cluster is called.
	Issuer         string `json:"issuer,omitzero"`
	Cluster        string `json:"cluster,omitzero"`
	Namespace      string `json:"namespace,omitzero"`
	ServiceAccount string `json:"serviceAccount,omitzero"`
}

// Subject is what the tokens of the service account say of it.
// Source: Kubernetes, "Service accounts": the user name of one.
func (b *Binding) Subject() string {
	return "system:serviceaccount:" + b.Namespace + ":" + b.ServiceAccount
}

// BindingPodsKey is where it is kept which binding the pods of a service account
// have: each has one in an account.
func BindingPodsKey(account, issuer, subject string) string {
	return Scope{Account: account}.Key("binding.pods", issuer, subject)
}

// SecretHash is what is kept of a random secret that is shown once. A secret of 128
// random bits cannot be guessed, so one round is enough.
func SecretHash(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}

// BindingAddressKey is where it is kept whose an address is: it can be of one
// instance in the whole installation. The zero address stands for this machine.
func BindingAddressKey(addr netip.Addr) string {
	if !addr.IsValid() {
		return Scope{}.Key("binding.address", "here")
	}
	return Scope{}.Key("binding.address", addr.String())
}
