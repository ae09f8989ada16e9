// Package identity says who makes a request. It knows nothing of HTTP, of
// signatures or of policies.
package identity

import "time"

// Kind tells the kinds of principal apart.
type Kind uint8

// The zero Kind is Anonymous, so that a Principal nobody filled in has no rights.
const (
	Anonymous Kind = iota
	Root
	User
	AssumedRole
	FederatedUser
	// Service is a service of AWS itself; Name is its service principal.
	Service
	// WebIdentity is somebody whom an identity provider vouches for, while a role is
	// being taken; Session names the provider. To every condition key but those of the
	// provider it is anonymous.
	WebIdentity
)

// String gives the value of the condition key aws:PrincipalType.
// Source: IAM User Guide, "AWS global condition context keys", aws:PrincipalType.
func (k Kind) String() string {
	switch k {
	case Root:
		return "Account"
	case User:
		return "User"
	case AssumedRole:
		return "AssumedRole"
	case FederatedUser:
		return "FederatedUser"
	case Service:
		return "AWSService"
	default:
		return "Anonymous"
	}
}

// Principal is who makes a request. The zero value is the anonymous caller.
//
// A Principal is immutable once built; it is shared between requests.
type Principal struct {
	Kind Kind
	// Partition is "aws" unless the installation says otherwise.
	Partition string
	// Account is the 12-digit account that the principal belongs to.
	Account string
	// ARN is the form that AWS prints in messages and logs: the user's ARN, the
	// session's (arn:aws:sts::A:assumed-role/R/S), or arn:aws:iam::A:root.
	ARN string
	// IssuerARN is the ARN of the IAM entity whose policies apply: equal to ARN
	// for a user and the root user, the role's ARN for a role session, the
	// calling user's ARN for a federated user. It is the value of aws:PrincipalArn
	// except for a federated user.
	IssuerARN string
	// IssuerID is the unique id of that entity (AIDA…, AROA…). A session whose
	// role was deleted and made again under the same name has another id and is
	// refused.
	IssuerID string
	// UserID is the value of aws:userid: AIDA…, AROA…:session, A:name, or the
	// account id for the root user. That of a web identity is for logs alone.
	UserID string
	// Name is the user's name (aws:username), the role's, or the federated name.
	Name string
	// AccessKeyID that signed the request.
	AccessKeyID string
	// Session is set for temporary credentials only.
	Session *Session
}

// Session holds what temporary credentials carry beside their principal.
type Session struct {
	Name     string
	IssuedAt time.Time
	Expires  time.Time
	// Tags are session tags, transitive ones included; they win over the tags
	// of the role.
	Tags           map[string]string
	TransitiveKeys []string
	// Policies are session policy documents (JSON text); PolicyARNs are managed
	// session policies, resolved when they are used.
	Policies       []string
	PolicyARNs     []string
	SourceIdentity string
	// FederatedProvider is the OIDC host or provider ARN, where there was one.
	FederatedProvider string
	// Keys are condition keys that stay with the session, claims of the provider or
	// where the credentials were delivered: values by the key's name in lower case.
	Keys map[string][]string
	// MFAAt is when the caller proved a second factor; zero if never.
	MFAAt time.Time
	// Chained is true for a session made by another role session.
	Chained bool
	// Instance is true for the session that an instance has of its profile's role.
	Instance bool
}

// IsAnonymous tells whether nobody signed.
func (p *Principal) IsAnonymous() bool { return p == nil || p.Kind == Anonymous }

// Attachable tells whether policies can be attached to the principal's user or role.
// Where they cannot, only a resource's own policy can allow anything.
func (p *Principal) Attachable() bool {
	return !p.IsAnonymous() && p.Kind != Service && p.Kind != WebIdentity
}

// RoleSession is the principal of a session of a role.
func RoleSession(partition, account, roleARN, roleID, roleName, session string) Principal {
	return Principal{
		Kind: AssumedRole, Partition: partition, Account: account,
		ARN:       "arn:" + partition + ":sts::" + account + ":assumed-role/" + roleName + "/" + session,
		IssuerARN: roleARN, IssuerID: roleID, UserID: roleID + ":" + session, Name: roleName,
		Session: &Session{Name: session},
	}
}

// Display is the name that denial texts and logs print: the ARN, the name of a
// service, provider, audience and subject of a web identity, or "anonymous".
func (p *Principal) Display() string {
	switch {
	case p.IsAnonymous():
		return "anonymous"
	case p.Kind == Service:
		return p.Name
	case p.Kind == WebIdentity:
		return p.UserID
	}
	return p.ARN
}
