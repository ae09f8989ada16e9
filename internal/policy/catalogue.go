package policy

import (
	"slices"
	"strings"

	"github.com/latchwork/latchwork/internal/spelling"
)

// What is here is what the linter knows of AWS's services. It says nothing of services
// and keys of services that it does not know.

// furtherActions are those that are called like no operation, by the prefix of their
// service.
// Source: Service Authorization Reference, of each service.
var furtherActions = map[string][]string{
	"appmesh": {"StreamAggregatedResources", "GetMeshPolicy", "PutMeshPolicy", "DeleteMeshPolicy"},
	"iam": {
		"PassRole", "DeleteCloudFrontPublicKey", "GetCloudFrontPublicKey", "ListCloudFrontPublicKeys", "UpdateCloudFrontPublicKey",
		"UploadCloudFrontPublicKey", "ListSTSRegionalEndpointsStatus", "SetSTSRegionalEndpointStatus", "GetAccountEmailAddress",
		"GetAccountName", "UpdateAccountEmailAddress", "UpdateAccountName",
	},
	"sts":              {"TagSession", "SetSourceIdentity", "SetContext", "GetServiceBearerToken", "TagGetWebIdentityToken"},
	"vpc-lattice":      {"AssociateViaAWSService", "AssociateViaAWSService-EventsAndStates"},
	"vpc-lattice-svcs": {"Invoke", "Connect"},
}

// withoutAction are operations that have no action of their own.
var withoutAction = []string{"vpc-lattice:BatchUpdateRule"}

// actionsOf lists the actions of a service by their prefix, in any letter case; nil for
// one that the linter does not know.
var actionsOf = func() map[string][]string {
	all := map[string][]string{}
	for _, names := range []map[string][]string{operations, furtherActions} {
		for vendor, list := range names {
			for _, name := range list {
				if action := vendor + ":" + name; !slices.Contains(withoutAction, action) {
					all[vendor] = append(all[vendor], action)
				}
			}
		}
	}
	return all
}()

// arnServices are the services in the ARNs of what actions of a service are about.
var arnServices = map[string][]string{
	"appmesh": {"appmesh"}, "iam": {"iam"}, "servicediscovery": {"servicediscovery"}, "sts": {"iam", "sts"},
	"vpc-lattice": {"vpc-lattice"}, "vpc-lattice-svcs": {"vpc-lattice"},
}

// knownKey is a condition key, or a family of them if its name ends in '/'.
type knownKey struct {
	name   string
	family family
	// always tells that no request is without it.
	always bool
	// values are all that it can have, or the usual ones if open is set; nil for any.
	values []string
	open   bool
}

// knownKeys are those of the services that the linter knows.
// Source: IUG, "AWS global condition context keys" and "IAM and AWS STS condition
// context keys"; Service Authorization Reference, of each service.
var knownKeys = []knownKey{
	{name: "aws:PrincipalArn", family: familyARN},
	{name: "aws:PrincipalAccount", family: familyString, always: true},
	{name: "aws:PrincipalOrgID", family: familyString},
	{name: "aws:PrincipalOrgPaths", family: familyString},
	{name: "aws:PrincipalTag/", family: familyString},
	{name: "aws:PrincipalIsAWSService", family: familyBool},
	{name: "aws:PrincipalServiceName", family: familyString},
	{name: "aws:PrincipalServiceNamesList", family: familyString},
	{
		name: "aws:PrincipalType", family: familyString, always: true,
		values: []string{"Account", "User", "FederatedUser", "AssumedRole", "AWSService", "Anonymous"},
	},
	{name: "aws:userid", family: familyString, always: true},
	{name: "aws:username", family: familyString},
	{name: "aws:AssumedRoot", family: familyBool},
	{name: "aws:FederatedProvider", family: familyString},
	{name: "aws:TokenIssueTime", family: familyDate},
	{name: "aws:MultiFactorAuthPresent", family: familyBool},
	{name: "aws:MultiFactorAuthAge", family: familyNumeric},
	{name: "aws:SourceIdentity", family: familyString},
	{name: "aws:ChatbotSourceArn", family: familyARN},
	{name: "aws:Ec2InstanceSourceVpc", family: familyString},
	{name: "aws:Ec2InstanceSourcePrivateIPv4", family: familyIP},
	{name: "aws:SourceIp", family: familyIP},
	{name: "aws:SourceVpc", family: familyString},
	{name: "aws:SourceVpcArn", family: familyARN},
	{name: "aws:SourceVpce", family: familyString},
	{name: "aws:VpceAccount", family: familyString},
	{name: "aws:VpceOrgID", family: familyString},
	{name: "aws:VpceOrgPaths", family: familyString},
	{name: "aws:VpcSourceIp", family: familyIP},
	{name: "aws:CalledVia", family: familyString},
	{name: "aws:CalledViaFirst", family: familyString},
	{name: "aws:CalledViaLast", family: familyString},
	{name: "aws:ViaAWSService", family: familyBool},
	{name: "aws:CalledViaAWSMCP", family: familyString},
	{name: "aws:ViaAWSMCPService", family: familyBool},
	{name: "aws:IsMcpServiceAction", family: familyBool},
	{name: "aws:CurrentTime", family: familyDate, always: true},
	{name: "aws:EpochTime", family: familyDate, always: true},
	{name: "aws:SecureTransport", family: familyBool, always: true},
	{name: "aws:RequestedRegion", family: familyString, always: true},
	{name: "aws:UserAgent", family: familyString},
	{name: "aws:referer", family: familyString},
	{name: "aws:RequestTag/", family: familyString},
	{name: "aws:ResourceTag/", family: familyString},
	{name: "aws:TagKeys", family: familyString},
	{name: "aws:ResourceAccount", family: familyString},
	{name: "aws:ResourceOrgID", family: familyString},
	{name: "aws:ResourceOrgPaths", family: familyString},
	{name: "aws:SourceArn", family: familyARN},
	{name: "aws:SourceAccount", family: familyString},
	{name: "aws:SourceOwner", family: familyString},
	{name: "aws:SourceOrgID", family: familyString},
	{name: "aws:SourceOrgPaths", family: familyString},

	{name: "iam:AssociatedResourceArn", family: familyARN},
	{name: "iam:AWSServiceName", family: familyString},
	{name: "iam:FIDO-certification", family: familyString},
	{name: "iam:FIDO-FIPS-140-2-certification", family: familyString},
	{name: "iam:FIDO-FIPS-140-3-certification", family: familyString},
	{name: "iam:OrganizationsPolicyId", family: familyString},
	{name: "iam:PassedToService", family: familyString},
	{name: "iam:PermissionsBoundary", family: familyARN},
	{name: "iam:PolicyARN", family: familyARN},
	{name: "iam:RegisterSecurityKey", family: familyString},
	{name: "iam:ResourceTag/", family: familyString},
	{name: "iam:ServiceSpecificCredentialAgeDays", family: familyNumeric},
	{name: "iam:ServiceSpecificCredentialServiceName", family: familyString},

	{name: "sts:AWSServiceName", family: familyString},
	{name: "sts:DurationSeconds", family: familyNumeric},
	{name: "sts:ExternalId", family: familyString},
	{name: "sts:IdentityTokenAudience", family: familyString},
	{name: "sts:RequestContext/", family: familyString},
	{name: "sts:RequestContextProviders", family: familyARN},
	{name: "sts:RoleSessionName", family: familyString},
	{name: "sts:SigningAlgorithm", family: familyString},
	{name: "sts:SourceIdentity", family: familyString},
	{name: "sts:TaskPolicyArn", family: familyARN},
	{name: "sts:TransitiveTagKeys", family: familyString},

	{name: "servicediscovery:NamespaceArn", family: familyARN},
	{name: "servicediscovery:NamespaceName", family: familyString},
	{name: "servicediscovery:ServiceArn", family: familyARN},
	{name: "servicediscovery:ServiceCreatedByAccount", family: familyString},
	{name: "servicediscovery:ServiceName", family: familyString},

	{name: "vpc-lattice:AuthType", family: familyString, values: []string{"NONE", "AWS_IAM"}},
	{name: "vpc-lattice:CreateAction", family: familyString},
	{name: "vpc-lattice:DomainName", family: familyString},
	{name: "vpc-lattice:PrivateDnsPreference", family: familyString},
	{name: "vpc-lattice:PrivateDnsSpecifiedDomains", family: familyString},
	{name: "vpc-lattice:Protocol", family: familyString, values: []string{"HTTP", "HTTPS", "TLS_PASSTHROUGH"}},
	{name: "vpc-lattice:ResourceConfigurationArn", family: familyARN},
	{name: "vpc-lattice:SecurityGroupIds", family: familyString},
	{name: "vpc-lattice:ServiceArn", family: familyARN},
	{name: "vpc-lattice:ServiceNetworkArn", family: familyARN},
	{name: "vpc-lattice:TargetGroupArns", family: familyARN},
	{name: "vpc-lattice:VpcEndpointId", family: familyString},
	{name: "vpc-lattice:VpcId", family: familyString},

	{name: "vpc-lattice-svcs:Port", family: familyNumeric, always: true},
	{
		name: "vpc-lattice-svcs:RequestMethod", family: familyString, always: true, open: true,
		values: []string{"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"},
	},
	{name: "vpc-lattice-svcs:RequestPath", family: familyString, always: true},
	{name: "vpc-lattice-svcs:RequestHeader/", family: familyString},
	{name: "vpc-lattice-svcs:RequestQueryString/", family: familyString},
	{name: "vpc-lattice-svcs:ServiceArn", family: familyARN, always: true},
	{name: "vpc-lattice-svcs:ServiceNetworkArn", family: familyARN},
	{name: "vpc-lattice-svcs:SourceVpc", family: familyString},
	{name: "vpc-lattice-svcs:SourceVpcOwnerAccount", family: familyString},
}

// free tells that the values of a family of keys are texts of all sorts: of tags,
// headers and the like.
func (k *knownKey) free() bool { return strings.HasSuffix(k.name, "/") }

// catalogue finds a known key by its name, or the fixed part of it, in lower case.
var catalogue = func() map[string]*knownKey {
	m := make(map[string]*knownKey, len(knownKeys))
	for i := range knownKeys {
		m[strings.ToLower(knownKeys[i].name)] = &knownKeys[i]
	}
	return m
}()

// known finds what is known of a key; nil if nothing is.
func known(k *Key) *knownKey {
	if found := catalogue[k.Name]; found != nil && !found.free() {
		return found
	}
	if slash := strings.IndexByte(k.Name, '/'); slash >= 0 && slash < len(k.Name)-1 {
		return catalogue[k.Name[:slash+1]]
	}
	return nil
}

// knownPrefixes begin the keys of services all of whose keys are known.
var knownPrefixes = func() []string {
	prefixes := []string{"appmesh:"}
	for i := range knownKeys {
		prefix, _, _ := strings.Cut(knownKeys[i].name, ":")
		if prefix += ":"; !slices.Contains(prefixes, prefix) {
			prefixes = append(prefixes, prefix)
		}
	}
	return prefixes
}()

// nearest is the one of several names that a misspelt one probably stands for, "" if
// none is near.
func nearest(name string, names []string) string { return spelling.Nearest(name, names, len(name)/4) }
