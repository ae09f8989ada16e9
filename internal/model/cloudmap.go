package model

import "time"

// CloudMap is the service name in ARNs of Cloud Map.
const CloudMap = "servicediscovery"

// Namespace is a Cloud Map namespace: one of HTTP, or of DNS names that nobody
// resolves here.
type Namespace struct {
	Meta
	Type             string `json:"type"`
	Description      string `json:"description,omitzero"`
	CreatorRequestID string `json:"creatorRequestId,omitzero"`
}

// CloudMapService is a Cloud Map service: instances under one name. Neither its
// name nor its namespace ever changes.
type CloudMapService struct {
	Meta
	Namespace        string `json:"namespace"` // id
	NamespaceName    string `json:"namespaceName"`
	Description      string `json:"description,omitzero"`
	CreatorRequestID string `json:"creatorRequestId,omitzero"`
	// CustomHealth tells whether somebody reports the health of the instances. If
	// nobody does, they are all healthy.
	CustomHealth bool `json:"customHealth,omitzero"`
	// Instances is how many there are, Revision how often one was changed.
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
