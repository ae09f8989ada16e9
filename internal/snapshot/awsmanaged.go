package snapshot

import (
	"maps"
	"slices"
	"sync"

	"github.com/latchwork/latchwork/internal/policy"
)

// AWSManagedPolicy is one of AWS's own managed policies: there from the start in
// every account, and not to be changed.
type AWSManagedPolicy struct {
	Name     string
	Path     string
	ARN      string
	Document string
}

// awsManagedDocuments holds the statements of those that make sense for the
// services here. The documents are written here from what AWS documents that each
// grants; AWS's own list actions of services that do not exist here too.
var awsManagedDocuments = []struct{ name, path, statements string }{
	{"AdministratorAccess", "/", `{"Effect":"Allow","Action":"*","Resource":"*"}`},
	{"PowerUserAccess", "/", `{"Effect":"Allow","NotAction":["iam:*","organizations:*","account:*"],"Resource":"*"},{"Effect":"Allow","Action":["iam:ListRoles","account:GetAccountInformation"],"Resource":"*"}`},
	{"AWSDenyAll", "/", `{"Sid":"DenyAll","Effect":"Deny","Action":"*","Resource":"*"}`},
	{"IAMFullAccess", "/", `{"Effect":"Allow","Action":"iam:*","Resource":"*"}`},
	{"IAMReadOnlyAccess", "/", `{"Effect":"Allow","Action":["iam:Generate*","iam:Get*","iam:List*","iam:Simulate*"],"Resource":"*"}`},
	{"IAMUserChangePassword", "/", `{"Effect":"Allow","Action":"iam:ChangePassword","Resource":"arn:aws:iam::*:user/${aws:username}"},{"Effect":"Allow","Action":"iam:GetAccountPasswordPolicy","Resource":"*"}`},
	{"VPCLatticeFullAccess", "/", `{"Effect":"Allow","Action":"vpc-lattice:*","Resource":"*"},{"Effect":"Allow","Action":["ec2:DescribeVpcs","ec2:DescribeSecurityGroups","ec2:DescribeSubnets"],"Resource":"*"}`},
	{"VPCLatticeReadOnlyAccess", "/", `{"Effect":"Allow","Action":["vpc-lattice:Get*","vpc-lattice:List*","ec2:DescribeVpcs"],"Resource":"*"}`},
	{"VPCLatticeServicesInvokeAccess", "/", `{"Effect":"Allow","Action":"vpc-lattice-svcs:Invoke","Resource":"*"}`},
	{"AWSAppMeshFullAccess", "/", `{"Effect":"Allow","Action":"appmesh:*","Resource":"*"}`},
	{"AWSAppMeshReadOnly", "/", `{"Effect":"Allow","Action":["appmesh:Describe*","appmesh:List*"],"Resource":"*"}`},
	{"AWSAppMeshEnvoyAccess", "/", `{"Effect":"Allow","Action":"appmesh:StreamAggregatedResources","Resource":"*"}`},
	{"AWSAppMeshPreviewEnvoyAccess", "/", `{"Effect":"Allow","Action":"appmesh-preview:StreamAggregatedResources","Resource":"*"}`},
}

var awsManaged = sync.OnceValue(func() map[string]*Policy {
	out := map[string]*Policy{}
	for _, p := range awsManagedDocuments {
		text := `{"Version":"2012-10-17","Statement":[` + p.statements + `]}`
		made := Compile(policy.Identity, p.name, text)
		made.ARN = "arn:aws:iam::aws:policy" + p.path + p.name
		out[made.ARN] = made
	}
	return out
})

// FullAWSAccess is the service control policy that restricts nothing. Every root,
// organizational unit and account has it until somebody detaches it.
// Source: AWS Organizations User Guide, "Service control policies (SCPs)".
var FullAWSAccess = sync.OnceValue(func() *Policy {
	p := Compile(policy.ServiceControl, "FullAWSAccess", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`)
	p.ARN = "arn:aws:organizations::aws:policy/service_control_policy/p-FullAWSAccess"
	return p
})

// AWSManaged lists AWS's own managed policies, by ARN.
func AWSManaged() []AWSManagedPolicy {
	all := awsManaged()
	out := make([]AWSManagedPolicy, 0, len(all))
	for _, arn := range slices.Sorted(maps.Keys(all)) {
		p := all[arn]
		out = append(out, AWSManagedPolicy{Name: p.Name, Path: "/", ARN: arn, Document: p.Text})
	}
	return out
}
