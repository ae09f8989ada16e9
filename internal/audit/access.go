// Package audit writes what was decided: one JSON line a request of the data
// plane, and one a call of the control plane.
package audit

import "time"

// none is what AWS writes for a value that does not apply.
const none = "-"

// AccessEntry is one request of the data plane, in the fields of a VPC Lattice
// access log. A string left empty is written as "-".
// Source: VPC Lattice User Guide, "Access logs"; entries seen in public
// transcripts have the fields without documentation too.
type AccessEntry struct {
	ServiceNetworkArn          string `json:"serviceNetworkArn"`
	ServiceArn                 string `json:"serviceArn"`
	TargetGroupArn             string `json:"targetGroupArn"`
	ListenerType               string `json:"listenerType"`
	ListenerID                 string `json:"listenerId"`
	ResolvedUser               string `json:"resolvedUser"`
	AuthDeniedReason           string `json:"authDeniedReason"`
	FailureReason              string `json:"failureReason"`
	CallerPrincipal            string `json:"callerPrincipal"`
	CallerPrincipalOrgID       string `json:"callerPrincipalOrgID"`
	CallerPrincipalTags        string `json:"callerPrincipalTags"`
	CallerX509SubjectCN        string `json:"callerX509SubjectCN"`
	CallerX509IssuerOU         string `json:"callerX509IssuerOU"`
	CallerX509SANNameCN        string `json:"callerX509SANNameCN"`
	CallerX509SANDNS           string `json:"callerX509SANDNS"`
	CallerX509SANURI           string `json:"callerX509SANURI"`
	SourceVpcArn               string `json:"sourceVpcArn"`
	SourceVpcID                string `json:"sourceVpcId"`
	DestinationVpcID           string `json:"destinationVpcId"`
	SourceIPPort               string `json:"sourceIpPort"`
	TargetIPPort               string `json:"targetIpPort"`
	StartTime                  string `json:"startTime"`
	RequestMethod              string `json:"requestMethod"`
	RequestPath                string `json:"requestPath"`
	HostHeader                 string `json:"hostHeader"`
	UserAgent                  string `json:"userAgent"`
	Protocol                   string `json:"protocol"`
	ResponseCode               int    `json:"responseCode"`
	GrpcResponseCode           string `json:"grpcResponseCode"`
	BytesReceived              int64  `json:"bytesReceived"`
	BytesSent                  int64  `json:"bytesSent"`
	Duration                   int64  `json:"duration"`                   // milliseconds
	RequestToTargetDuration    int64  `json:"requestToTargetDuration"`    // milliseconds
	ResponseFromTargetDuration int64  `json:"responseFromTargetDuration"` // milliseconds
	TLSVersion                 string `json:"tlsVersion"`
	SSLCipher                  string `json:"sslCipher"`
	ServerNameIndication       string `json:"serverNameIndication"`
	RequestID                  string `json:"requestId"`

	// Below here are Latchwork's own fields.

	// DecisionID names the request for latchwork explain. Unlike RequestID no
	// client chooses it.
	DecisionID string `json:"latchworkRequestId"`
	// Revision of the state that the request was decided on.
	Revision int64 `json:"latchworkRevision"`
	// SourceVpcEvidence tells how the VPC was found.
	SourceVpcEvidence string `json:"latchworkSourceVpcEvidence"`
}

// fill writes "-" where there is nothing to say.
func (e *AccessEntry) fill() {
	for _, p := range []*string{
		&e.ServiceNetworkArn, &e.ServiceArn, &e.TargetGroupArn, &e.ListenerType, &e.ListenerID, &e.ResolvedUser,
		&e.AuthDeniedReason, &e.FailureReason, &e.CallerPrincipal, &e.CallerPrincipalOrgID, &e.CallerPrincipalTags,
		&e.CallerX509SubjectCN, &e.CallerX509IssuerOU, &e.CallerX509SANNameCN, &e.CallerX509SANDNS, &e.CallerX509SANURI,
		&e.SourceVpcArn, &e.SourceVpcID, &e.DestinationVpcID, &e.SourceIPPort, &e.TargetIPPort, &e.UserAgent,
		&e.HostHeader, &e.GrpcResponseCode, &e.TLSVersion, &e.SSLCipher, &e.ServerNameIndication, &e.RequestID,
		&e.SourceVpcEvidence,
	} {
		if *p == "" {
			*p = none
		}
	}
}

// StartTimeFormat is how AWS writes the start of a request.
const StartTimeFormat = "2006-01-02T15:04:05Z"

// CallEntry is one call of the control plane.
type CallEntry struct {
	Time       time.Time `json:"time"`
	RequestID  string    `json:"requestId"`
	Service    string    `json:"service"`
	Operation  string    `json:"operation"`
	Caller     string    `json:"caller"`
	Account    string    `json:"account,omitzero"`
	Region     string    `json:"region,omitzero"`
	SourceIP   string    `json:"sourceIp"`
	Resources  []string  `json:"resources,omitzero"`
	Status     int       `json:"status"`
	Code       string    `json:"code,omitzero"`
	Message    string    `json:"message,omitzero"`
	DurationUS int64     `json:"durationMicroseconds"`
}

// StreamStatus is what became of the stream of an Envoy.
// Source: App Mesh User Guide, "Logging AWS App Mesh API calls with AWS CloudTrail".
type StreamStatus string

// The statuses.
const (
	StreamEstablished          StreamStatus = "ConnectionEstablished"
	StreamGracefullyTerminated StreamStatus = "ConnectionGracefullyTerminated"
	StreamTerminated           StreamStatus = "ConnectionTerminated"
)

// StreamEntry is one event of the stream of an Envoy.
type StreamEntry struct {
	Time         time.Time    `json:"time"`
	EventSource  string       `json:"eventSource"`
	EventName    string       `json:"eventName"`
	EventStatus  StreamStatus `json:"eventStatus"`
	ConnectionID string       `json:"connectionId"`
	// NodeARN is the mesh endpoint, NodeID how the Envoy named it.
	NodeARN     string `json:"nodeArn,omitzero"`
	NodeID      string `json:"nodeId,omitzero"`
	Account     string `json:"account,omitzero"`
	Caller      string `json:"caller"`
	AccessKeyID string `json:"accessKeyId,omitzero"`
	SourceIP    string `json:"sourceIp"`
	// Decision is the cause of what was decided, Policy what denied explicitly.
	Decision      string `json:"decision,omitzero"`
	Policy        string `json:"policy,omitzero"`
	FailureReason string `json:"failureReason,omitzero"`
}
