package model

import (
	"strings"
	"time"
)

// IAMKey is the key of a user, group, role, policy or instance profile. Names
// are unique without regard to case.
// Source: IAM API Reference, CreateUser, "names are not distinguished by case".
func IAMKey(account, name string) string {
	return account + "/" + strings.ToLower(name)
}

// IAMARN is the ARN of an IAM entity; path starts and ends with '/'.
func IAMARN(partition, account, kind, path, name string) string {
	return "arn:" + partition + ":iam::" + account + ":" + kind + path + name
}

// Attachments are the policies of a user, group or role.
type Attachments struct {
	// Inline holds policy documents by policy name, as they were sent.
	Inline map[string]string `json:"inline,omitzero"`
	// Attached holds the ARNs of managed policies, in order of attachment.
	Attached []string `json:"attached,omitzero"`
}

// User is an IAM user.
type User struct {
	Meta
	Path string `json:"path"`
	Attachments
	// Boundary is the ARN of the permissions boundary, or "".
	Boundary string `json:"boundary,omitzero"`
	// Groups are the names of the groups that the user is in. Group.Members says
	// the same from the other side; both are changed in one transaction.
	Groups []string `json:"groups,omitzero"`
	// AccessKeys are the ids of the user's access keys, oldest first. AccessKey
	// says the same from the other side; both are changed in one transaction.
	AccessKeys []string `json:"accessKeys,omitzero"`
}

// Group is an IAM group.
type Group struct {
	Meta
	Path string `json:"path"`
	Attachments
	Members []string `json:"members,omitzero"`
}

// Role is an IAM role.
type Role struct {
	Meta
	Path        string `json:"path"`
	Description string `json:"description,omitzero"`
	// Trust is the role's trust policy document as it is enforced: the unique ids of
	// users and roles stand in it in place of their ARNs. TrustARNs are those ARNs,
	// by id: what whoever asks is shown.
	Trust     string            `json:"trust"`
	TrustARNs map[string]string `json:"trustArns,omitzero"`
	// MaxSession is the longest session in seconds.
	MaxSession int64 `json:"maxSession"`
	Attachments
	Boundary string `json:"boundary,omitzero"`
}

// ManagedPolicy is a customer managed policy. AWS's own managed policies are
// not stored; package snapshot has them.
type ManagedPolicy struct {
	Meta
	Path        string          `json:"path"`
	Description string          `json:"description,omitzero"`
	Versions    []PolicyVersion `json:"versions"`
	// Default is the version in force, for example "v1".
	Default string `json:"default"`
	// Last is the number of the newest version ever made; numbers are not reused.
	Last int `json:"last"`
}

// PolicyVersion is one version of a managed policy.
type PolicyVersion struct {
	ID       string    `json:"id"`
	Document string    `json:"document"`
	Created  time.Time `json:"created"`
}

// DefaultDocument is the text in force; "" if the record is broken.
func (p *ManagedPolicy) DefaultDocument() string {
	for _, v := range p.Versions {
		if v.ID == p.Default {
			return v.Document
		}
	}
	return ""
}

// InstanceProfile holds at most one role.
type InstanceProfile struct {
	Meta
	Path string `json:"path"`
	Role string `json:"role,omitzero"`
}

// OIDCProvider is an issuer of OpenID Connect tokens that an account trusts. Its
// Name is the URL without the scheme, as it is in the ARN and in condition keys.
type OIDCProvider struct {
	Meta
	// URL is the issuer as its tokens name it.
	URL string `json:"url"`
	// ClientIDs are the audiences whose tokens are taken.
	ClientIDs   []string `json:"clientIds,omitzero"`
	Thumbprints []string `json:"thumbprints,omitzero"`
	// KeySet is a JSON Web Key Set in place of the one that the issuer publishes; ""
	// where the issuer is asked.
	KeySet string `json:"keySet,omitzero"`
}

// OIDCProviderKey is the key of an identity provider. Issuers are told apart by
// case.
// Source: OpenID Connect Core, 2, "iss": a case-sensitive URL.
func OIDCProviderKey(account, name string) string { return account + "/" + name }

// OIDCProviderName is an issuer's URL without the scheme.
func OIDCProviderName(url string) string {
	return strings.TrimPrefix(strings.TrimPrefix(url, "https://"), "http://")
}

// AccessKey is a long-term access key of a user or of an account's root user.
type AccessKey struct {
	Meta
	// User is the name of the owner, "" for the root user.
	User string `json:"user,omitzero"`
	// UserID is the owner's unique id: a key does not pass on to a new user of
	// the same name.
	UserID string `json:"userId,omitzero"`
	// Sealed is the secret access key, encrypted (package credential).
	Sealed []byte `json:"sealed"`
	Active bool   `json:"active"`
}

// Account is what IAM keeps of an account itself.
type Account struct {
	ID    string `json:"id"`
	Alias string `json:"alias,omitzero"`
	// AccessKeys are the ids of the root user's access keys, as in User.
	AccessKeys []string `json:"accessKeys,omitzero"`
	// Administrator is the name of the user that the installation made for the
	// account when it first saw it, "" until then.
	Administrator string `json:"administrator,omitzero"`
}
