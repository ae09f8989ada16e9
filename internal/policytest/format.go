// Package policytest decides cases that are stated in files: policies, who calls, what
// is asked, and the answer that is wanted. It needs no server; the answers come from
// authz.Decide on a snapshot of what a file states, as everywhere else.
package policytest

import (
	"go.yaml.in/yaml/v3"
)

// File is one file of cases. docs/policy-tests.md is written for those who write them;
// the texts here are those of the published schema.
type File struct {
	Schema      string                 `json:"$schema" doc:"The schema of this format, for editors."`
	Description string                 `json:"description" doc:"What the cases of the file are about."`
	Source      string                 `json:"source" doc:"Where the rule is written that the cases follow; the source of every case that has none of its own."`
	Include     []string               `json:"include" doc:"Files whose accounts, policies, groups, principals, networks, services and resources this one has too. Their paths are relative to this file."`
	Accounts    map[string]Account     `json:"accounts" doc:"What is to be known of accounts, by their ids. An account that is not here belongs to no organization."`
	Policies    map[string]Policy      `json:"policies" doc:"Policy documents, by a name to use them by. A name that is an ARN makes a managed policy."`
	Groups      map[string][]Policy    `json:"groups" doc:"The policies of IAM groups, by name."`
	Principals  Definitions[Principal] `json:"principals" doc:"Callers, by a name to use them by."`
	Networks    Definitions[Network]   `json:"networks" doc:"Service networks of VPC Lattice, by a name to use them by."`
	Services    Definitions[Service]   `json:"services" doc:"Services of VPC Lattice, by a name to use them by."`
	Resources   Definitions[Resource]  `json:"resources" doc:"Other resources, by a name to use them by."`
	Defaults    Case                   `json:"defaults" doc:"What every case has that does not say otherwise. Of a request each field counts alone."`
	Cases       []rawCase              `json:"cases" doc:"The cases."`
}

// Account is what is to be known of an account.
type Account struct {
	Organization           string     `json:"organization" doc:"The id of its organization, such as o-a1b2c3d4e5."`
	OrganizationPaths      []string   `json:"organization-paths" doc:"Where it is in the organization, such as o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/."`
	Management             bool       `json:"management" doc:"It is the management account, which service control policies do not restrict."`
	ServiceControlPolicies [][]Policy `json:"service-control-policies" doc:"The service control policies that it is under, by level: the root of the organization first, then each organizational unit, then the account. Every level must allow. FullAWSAccess is the policy that restricts nothing."`
}

// Principal is a caller. Exactly one of user, role, root, service and web-identity says
// what it is; the name anonymous is the caller who did not sign. The tag of names those
// who can have a field that not all can have.
type Principal struct {
	Like                string            `json:"like" doc:"The name of a principal that this one is like, but for the fields that are here."`
	User                string            `json:"user" doc:"The ARN of an IAM user."`
	Role                string            `json:"role" doc:"The ARN of a role that the caller has a session of."`
	Root                string            `json:"root" doc:"The id of the account whose root user calls."`
	Service             string            `json:"service" doc:"The name of a service principal, such as ec2.amazonaws.com."`
	WebIdentity         string            `json:"web-identity" doc:"The ARN of the OIDC provider that vouches for the caller, who takes a role by its trust policy."`
	FederatedUser       string            `json:"federated-user" of:"user" doc:"The name of a session that the user made with GetFederationToken."`
	Session             string            `json:"session" of:"role" doc:"The name of the session of the role; session by default."`
	ID                  string            `json:"id" of:"user role" doc:"The unique id of the user or role, such as AROA…; made from the ARN by default."`
	Tags                map[string]string `json:"tags" of:"user role" doc:"The tags of the user or role."`
	Policies            []Policy          `json:"policies" of:"user role" doc:"The identity policies of the user or role."`
	Groups              []string          `json:"groups" of:"user" doc:"The names of the groups that the user is in."`
	PermissionsBoundary *Policy           `json:"permissions-boundary" of:"user role" doc:"The permissions boundary of the user or role."`
	SessionPolicies     []Policy          `json:"session-policies" of:"user role" doc:"The policies that the session was made with; an ARN is a managed policy."`
	SessionTags         map[string]string `json:"session-tags" of:"user role" doc:"The tags of the session."`
	SourceIdentity      string            `json:"source-identity" of:"user role" doc:"The source identity of the session."`
	FederatedProvider   string            `json:"federated-provider" of:"user role" doc:"The identity provider that the session was made by: aws:FederatedProvider."`
	Claims              map[string]Values `json:"claims" of:"user role web-identity" doc:"Condition keys that the session has of its identity provider, such as oidc.example.com:sub."`
	Temporary           bool              `json:"temporary" of:"user" doc:"The user signs with credentials of GetSessionToken."`
	MFAAge              *int              `json:"mfa-age" of:"user role" doc:"How many seconds ago the caller of a session gave a second factor. Without it they gave none."`
	Issued              string            `json:"issued" of:"user role" doc:"When the temporary credentials were issued; five minutes before the request by default."`
}

// Network is a service network.
type Network struct {
	Like     string  `json:"like" doc:"The name of a service network that this one is like, but for the fields that are here."`
	ARN      string  `json:"arn" doc:"Its ARN; arn:aws:vpc-lattice:us-west-2:123456789012:servicenetwork/sn-0123456789abcdef0 by default."`
	AuthType string  `json:"auth-type" enum:"NONE,AWS_IAM" doc:"NONE or AWS_IAM. One with a policy must say which."`
	Policy   *Policy `json:"policy" doc:"Its auth policy."`
}

// Service is a service of VPC Lattice.
type Service struct {
	Like     string            `json:"like" doc:"The name of a service that this one is like, but for the fields that are here."`
	ARN      string            `json:"arn" doc:"Its ARN; arn:aws:vpc-lattice:us-west-2:123456789012:service/svc-0123456789abcdef0 by default."`
	AuthType string            `json:"auth-type" enum:"NONE,AWS_IAM" doc:"NONE or AWS_IAM. One with a policy must say which."`
	Policy   *Policy           `json:"policy" doc:"Its auth policy."`
	Tags     map[string]string `json:"tags" doc:"Its tags: aws:ResourceTag."`
}

// Resource is anything else that an action is asked on.
type Resource struct {
	Like        string            `json:"like" doc:"The name of a resource that this one is like, but for the fields that are here."`
	ARN         string            `json:"arn" doc:"Its ARN, or *."`
	Account     string            `json:"account" doc:"The account that owns it; that of its ARN by default, else the caller's."`
	Policy      *Policy           `json:"policy" doc:"Its resource-based policy. That of a KMS key must allow also within one account."`
	TrustPolicy *Policy           `json:"trust-policy" doc:"The trust policy, of a role: it must allow also within one account."`
	Tags        map[string]string `json:"tags" doc:"Its tags: aws:ResourceTag."`
}

// Request is a request to a service.
type Request struct {
	Protocol       string            `json:"protocol" enum:"http,grpc" doc:"http or grpc; http by default. A gRPC call is a POST over HTTP/2."`
	TLS            *bool             `json:"tls" doc:"The request came over TLS."`
	Method         string            `json:"method" doc:"GET by default, POST of a gRPC call."`
	Path           string            `json:"path" doc:"The path as it is sent, / by default. That of a gRPC call is /package.Service/Method."`
	Query          *Query            `json:"query" doc:"The query string as it is sent, without the question mark, or the values by key."`
	Headers        map[string]Values `json:"headers" doc:"The headers, with one value or several."`
	Host           string            `json:"host" doc:"The host that the client names; rates.example.com by default."`
	Port           int64             `json:"port" doc:"The port of the listener; 80 by default, 443 over TLS."`
	SourceVPC      string            `json:"source-vpc" doc:"The VPC that the request comes from; vpc-0123456789abcdef0 by default."`
	SourceVPCOwner string            `json:"source-vpc-owner" doc:"The account that owns the VPC; that of the service by default."`
	SourceAddress  string            `json:"source-address" doc:"The address of the client; 10.0.0.10 by default."`
}

// Case is one question and the answer that is wanted: a request to a service, or an
// action on a resource.
type Case struct {
	Name      string            `json:"name" doc:"What the case shows, in a sentence. Names are unique in a file."`
	Source    string            `json:"source" doc:"Where the rule is written that the case follows."`
	Principal *Ref[Principal]   `json:"principal" doc:"Who calls: the name of a principal, anonymous, or a principal."`
	Network   *Ref[Network]     `json:"network" doc:"The service network that the request comes in through: its name, or a network. One with auth type NONE by default."`
	Service   *Ref[Service]     `json:"service" doc:"The service that the request is for: its name, or a service."`
	Request   *Request          `json:"request" doc:"The request; GET / by default."`
	Action    string            `json:"action" doc:"The action, such as s3:GetObject, of a case that is no request to a service."`
	Resource  *Ref[Resource]    `json:"resource" doc:"What the action is on: an ARN, the name of a resource, or a resource; * by default."`
	Context   map[string]Values `json:"context" doc:"Condition keys of the action, by name; a list is a key with several values. Keys that follow from the caller and the resource need not be here."`
	Time      string            `json:"time" doc:"When, such as 2026-01-01T12:00:00Z, which is the default."`
	Want      *Want             `json:"want" doc:"The answer: allow, deny, or more precisely what denies."`
}

// Want is the answer that is wanted. What is not said may be anything.
type Want struct {
	Verdict   string `json:"verdict" enum:"allow,deny" doc:"allow or deny; deny if there is anything else here."`
	Cause     string `json:"cause" enum:"explicit,implicit" doc:"explicit for a Deny that matched, implicit for want of an Allow."`
	Stage     string `json:"stage" doc:"The layer that denies: network, service, service-control, boundary, session, identity or resource."`
	Policy    string `json:"policy" doc:"The policy that denies explicitly, by its ARN or its name."`
	Statement string `json:"statement" doc:"The statement that denies explicitly: its Sid, or its number, from 1."`
	Text      string `json:"text" doc:"A part of the sentence that AWS answers with."`
}

// rawCase is a case that is read when all the rest of its file is known.
type rawCase struct{ node *yaml.Node }
