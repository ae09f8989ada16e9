package policy

import "strings"

// KeyID names the condition keys that enforcement points fill in on the hot path,
// so that a lookup is a switch and not a comparison of strings.
type KeyID uint8

// Well-known keys and families of keys. Other is every key without a name here.
const (
	Other KeyID = iota
	SvcsPort
	SvcsRequestMethod
	SvcsRequestPath
	SvcsRequestHeader      // family; the tail is the header's name in lower case
	SvcsRequestQueryString // family; the tail is the query key as written
	SvcsServiceNetworkARN
	SvcsServiceARN
	SvcsSourceVPC
	SvcsSourceVPCOwnerAccount
	PrincipalARN
	PrincipalAccount
	PrincipalOrgID
	PrincipalOrgPaths
	PrincipalTag // family; tag keys compare in lower case
	PrincipalType
	PrincipalIsAWSService
	PrincipalServiceName
	PrincipalServiceNamesList
	ViaAWSService
	UserID
	Username
	SourceIP
	CurrentTime
	EpochTime
	TokenIssueTime
	MultiFactorAuthPresent
	MultiFactorAuthAge
	SourceIdentity
	FederatedProvider
	UserAgent
	Referer
	SecureTransport
	RequestedRegion
	ResourceAccount
	ResourceOrgID
	ResourceOrgPaths
	ResourceTag // family
	RequestTag  // family
	TagKeys
)

// keyNames holds each name in the spelling of AWS's documents.
var keyNames = map[KeyID]string{
	SvcsPort:                  "vpc-lattice-svcs:Port",
	SvcsRequestMethod:         "vpc-lattice-svcs:RequestMethod",
	SvcsRequestPath:           "vpc-lattice-svcs:RequestPath",
	SvcsRequestHeader:         "vpc-lattice-svcs:RequestHeader/",
	SvcsRequestQueryString:    "vpc-lattice-svcs:RequestQueryString/",
	SvcsServiceNetworkARN:     "vpc-lattice-svcs:ServiceNetworkArn",
	SvcsServiceARN:            "vpc-lattice-svcs:ServiceArn",
	SvcsSourceVPC:             "vpc-lattice-svcs:SourceVpc",
	SvcsSourceVPCOwnerAccount: "vpc-lattice-svcs:SourceVpcOwnerAccount",
	PrincipalARN:              "aws:PrincipalArn",
	PrincipalAccount:          "aws:PrincipalAccount",
	PrincipalOrgID:            "aws:PrincipalOrgID",
	PrincipalOrgPaths:         "aws:PrincipalOrgPaths",
	PrincipalTag:              "aws:PrincipalTag/",
	PrincipalType:             "aws:PrincipalType",
	PrincipalIsAWSService:     "aws:PrincipalIsAWSService",
	PrincipalServiceName:      "aws:PrincipalServiceName",
	PrincipalServiceNamesList: "aws:PrincipalServiceNamesList",
	ViaAWSService:             "aws:ViaAWSService",
	UserID:                    "aws:userid",
	Username:                  "aws:username",
	SourceIP:                  "aws:SourceIp",
	CurrentTime:               "aws:CurrentTime",
	EpochTime:                 "aws:EpochTime",
	TokenIssueTime:            "aws:TokenIssueTime",
	MultiFactorAuthPresent:    "aws:MultiFactorAuthPresent",
	MultiFactorAuthAge:        "aws:MultiFactorAuthAge",
	SourceIdentity:            "aws:SourceIdentity",
	FederatedProvider:         "aws:FederatedProvider",
	UserAgent:                 "aws:UserAgent",
	Referer:                   "aws:referer",
	SecureTransport:           "aws:SecureTransport",
	RequestedRegion:           "aws:RequestedRegion",
	ResourceAccount:           "aws:ResourceAccount",
	ResourceOrgID:             "aws:ResourceOrgID",
	ResourceOrgPaths:          "aws:ResourceOrgPaths",
	ResourceTag:               "aws:ResourceTag/",
	RequestTag:                "aws:RequestTag/",
	TagKeys:                   "aws:TagKeys",
}

// keyIDs finds an id by the fixed part of a name in lower case.
var keyIDs = func() map[string]KeyID {
	m := make(map[string]KeyID, len(keyNames))
	for id, name := range keyNames {
		m[strings.ToLower(name)] = id
	}
	return m
}()

// lists are the keys whose type is a list, whatever number of values is there.
// Source: IUG, "Single-valued vs. multivalued context keys".
var lists = map[string]bool{
	"aws:calledvia": true, "aws:principalorgpaths": true, "aws:principalservicenameslist": true,
	"aws:resourceorgpaths": true, "aws:sourceorgpaths": true, "aws:tagkeys": true, "aws:vpceorgpaths": true,
	"sts:transitivetagkeys":        true,
	"vpc-lattice:securitygroupids": true, "vpc-lattice:privatednsspecifieddomains": true, "vpc-lattice:targetgrouparns": true,
}

// Key is a condition key as a policy names it.
type Key struct {
	ID KeyID
	// Name is the whole name in the form that names compare in: lower case but for
	// the tail of RequestQueryString.
	Name string
	// Tail is what follows the '/' of a family, in the form that it compares in.
	Tail string
	// Text is the name as it was written.
	Text string
}

// ParseKey reads a key's name. Names compare without regard to case, the tail of
// vpc-lattice-svcs:RequestQueryString alone does not.
// Source: IUG, "IAM JSON policy elements: Condition", "The condition key name".
func ParseKey(text string) Key {
	k := Key{Text: text, Name: strings.ToLower(text)}
	if id, ok := keyIDs[k.Name]; ok {
		k.ID = id
		return k
	}
	slash := strings.IndexByte(k.Name, '/')
	if slash < 0 {
		return k
	}
	if id, ok := keyIDs[k.Name[:slash+1]]; ok {
		k.ID, k.Tail = id, k.Name[slash+1:]
		if id == SvcsRequestQueryString {
			k.Tail = text[slash+1:]
			k.Name = k.Name[:slash+1] + k.Tail
		}
	}
	return k
}

// Canonical is the spelling of the key in AWS's documents, if it has one.
func (k *Key) Canonical() string {
	name, ok := keyNames[k.ID]
	if !ok {
		return k.Text
	}
	if strings.HasSuffix(name, "/") {
		return name + k.Text[strings.IndexByte(k.Text, '/')+1:]
	}
	return name
}

// Values are what a request has for a key that is present.
type Values struct {
	// One is the value, or for a repeated header all of them joined with ','.
	One string
	// Many holds the values of a list, or of a key that came more than once.
	Many []string
	// List marks a key whose type is a list; operators without a set prefix do
	// not match it.
	List bool
	// Repeated marks a single-valued key that came more than once in the request:
	// a Deny holds if any value satisfies its condition, an Allow only if every
	// one does, so that no client escapes a policy by sending a key twice.
	Repeated bool
}

// empty tells whether there is no value but empty texts, which some operators take
// for no value at all.
func (v *Values) empty() bool {
	if !v.List && !v.Repeated {
		return v.One == ""
	}
	for _, one := range v.Many {
		if one != "" {
			return false
		}
	}
	return true
}

// Single is one value.
func Single(v string) Values { return Values{One: v} }

// Keys answers a request's condition keys. A key that is not there is absent,
// which is never the same as empty. Lookup must not change anything.
type Keys interface {
	Lookup(k *Key) (Values, bool)
}

// Type is what the values of a condition key are.
type Type string

// The types.
const (
	String  Type = "string"
	Numeric Type = "numeric"
	Boolean Type = "boolean"
	IP      Type = "ip"
	Binary  Type = "binary"
	Date    Type = "date"
)

// Check says what is wrong with a value, or nothing.
func (t Type) Check(value string) string {
	families := map[Type]family{Numeric: familyNumeric, Boolean: familyBool, IP: familyIP, Binary: familyBinary, Date: familyDate}
	return operator{family: families[t]}.badOperand(value, false)
}

// IsList tells whether a key's type is a list, whatever number of values is there.
func (k *Key) IsList() bool { return lists[k.Name] }

// MapKeys are keys in a map by their names in lower case (see ParseKey). It is
// for the API and for simulations; the gateway has its own Keys.
type MapKeys map[string][]string

// Set puts a key with its values.
func (m MapKeys) Set(name string, values ...string) {
	k := ParseKey(name)
	if values == nil {
		values = []string{}
	}
	m[k.Name] = values
}

// Lookup implements Keys.
func (m MapKeys) Lookup(k *Key) (Values, bool) {
	values, ok := m[k.Name]
	if !ok {
		return Values{}, false
	}
	if lists[k.Name] {
		return Values{Many: values, List: true}, true
	}
	switch len(values) {
	case 0:
		return Values{}, true
	case 1:
		return Values{One: values[0]}, true
	}
	v := Values{One: strings.Join(values, ","), Many: values, Repeated: true}
	if k.ID == SvcsRequestQueryString {
		v.One = values[0] // Query values are not joined.
	}
	return v, true
}

// NoKeys has no keys.
type NoKeys struct{}

// Lookup implements Keys.
func (NoKeys) Lookup(*Key) (Values, bool) { return Values{}, false }
