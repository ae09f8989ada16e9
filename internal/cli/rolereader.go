package cli

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// role is an IAM role as the calls of IAM show it.
type role struct {
	ARN      string
	Name     string
	Trust    string // document
	Boundary string // ARN
	Policies []rolePolicy
}

// rolePolicy is a policy of a role, inline or attached.
type rolePolicy struct {
	Name string
	// ARN and Version are an attached policy's.
	ARN, Version string
	Document     string
}

// accountOf is the account in an ARN; "" where there is none.
func accountOf(arn string) string {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) < 6 || parts[0] != "arn" {
		return ""
	}
	return parts[4]
}

// roleName reads the name of a role out of its ARN, or that of a session of it.
// Anything but an ARN is a name.
func roleName(principal string) (string, error) {
	if !strings.HasPrefix(principal, "arn:") {
		return principal, nil
	}
	parts := strings.SplitN(principal, ":", 6)
	if len(parts) == 6 {
		path := strings.Split(parts[5], "/")
		switch {
		case parts[2] == "iam" && path[0] == "role" && len(path) > 1:
			return path[len(path)-1], nil
		case parts[2] == "sts" && path[0] == "assumed-role" && len(path) == 3:
			return path[1], nil
		}
	}
	return "", &exitError{ExitUsage, fmt.Sprintf("%q is not a role: give its name, its ARN or the ARN of a session of it", principal)}
}

// iam calls an operation of IAM.
func (c *client) iam(ctx context.Context, action string, parameters map[string]string, out any) error {
	return c.query(ctx, "iam", versionIAM, action, parameters, out)
}

// page is one page of a list.
type page struct {
	More   bool   `xml:"IsTruncated"`
	Marker string `xml:"Marker"`
	// Attached are the ARNs of ListAttachedRolePolicies, Inline the names of
	// ListRolePolicies.
	Attached []string `xml:"AttachedPolicies>member>PolicyArn"`
	Inline   []string `xml:"PolicyNames>member"`
}

// listed collects all pages of what is listed of a role.
func (c *client) listed(ctx context.Context, action, role string, take func(*page)) error {
	parameters := map[string]string{"RoleName": role}
	for {
		var got struct {
			Attached page `xml:"ListAttachedRolePoliciesResult"`
			Inline   page `xml:"ListRolePoliciesResult"`
		}
		if err := c.iam(ctx, action, parameters, &got); err != nil {
			return err
		}
		p := &got.Attached
		if action == "ListRolePolicies" {
			p = &got.Inline
		}
		take(p)
		if !p.More {
			return nil
		}
		parameters["Marker"] = p.Marker
	}
}

// document undoes the percent-encoding in which IAM answers policies.
func document(text string) (string, error) { return url.PathUnescape(text) }

// readRole reads a role without its policies.
func (c *client) readRole(ctx context.Context, name string) (*role, error) {
	var got struct {
		ARN      string `xml:"GetRoleResult>Role>Arn"`
		Name     string `xml:"GetRoleResult>Role>RoleName"`
		Trust    string `xml:"GetRoleResult>Role>AssumeRolePolicyDocument"`
		Boundary string `xml:"GetRoleResult>Role>PermissionsBoundary>PermissionsBoundaryArn"`
	}
	if err := c.iam(ctx, "GetRole", map[string]string{"RoleName": name}, &got); err != nil {
		return nil, err
	}
	r := &role{ARN: got.ARN, Name: got.Name, Boundary: got.Boundary}
	var err error
	r.Trust, err = document(got.Trust)
	return r, err
}

// readPolicies reads the policies of a role: the attached ones as they are in force,
// and the inline ones.
// Source: App Mesh User Guide, "Envoy Proxy authorization", "Confirm permission".
func (c *client) readPolicies(ctx context.Context, r *role) error {
	var attached, inline []string
	if err := c.listed(ctx, "ListAttachedRolePolicies", r.Name, func(p *page) { attached = append(attached, p.Attached...) }); err != nil {
		return err
	}
	if err := c.listed(ctx, "ListRolePolicies", r.Name, func(p *page) { inline = append(inline, p.Inline...) }); err != nil {
		return err
	}
	for _, arn := range attached {
		p, err := c.managed(ctx, arn)
		if err != nil {
			return err
		}
		r.Policies = append(r.Policies, *p)
	}
	for _, name := range inline {
		var got struct {
			Document string `xml:"GetRolePolicyResult>PolicyDocument"`
		}
		if err := c.iam(ctx, "GetRolePolicy", map[string]string{"RoleName": r.Name, "PolicyName": name}, &got); err != nil {
			return err
		}
		text, err := document(got.Document)
		if err != nil {
			return err
		}
		r.Policies = append(r.Policies, rolePolicy{Name: name, Document: text})
	}
	return nil
}

// managed reads a managed policy in its default version.
func (c *client) managed(ctx context.Context, arn string) (*rolePolicy, error) {
	var policy struct {
		Name    string `xml:"GetPolicyResult>Policy>PolicyName"`
		Version string `xml:"GetPolicyResult>Policy>DefaultVersionId"`
	}
	if err := c.iam(ctx, "GetPolicy", map[string]string{"PolicyArn": arn}, &policy); err != nil {
		return nil, err
	}
	var version struct {
		Document string `xml:"GetPolicyVersionResult>PolicyVersion>Document"`
	}
	if err := c.iam(ctx, "GetPolicyVersion", map[string]string{"PolicyArn": arn, "VersionId": policy.Version}, &version); err != nil {
		return nil, err
	}
	text, err := document(version.Document)
	return &rolePolicy{Name: policy.Name, ARN: arn, Version: policy.Version, Document: text}, err
}

// instanceProfile is the ARN of the role in an instance profile; "" if it has none.
func (c *client) instanceProfile(ctx context.Context, name string) (string, error) {
	var got struct {
		Roles []string `xml:"GetInstanceProfileResult>InstanceProfile>Roles>member>Arn"`
	}
	if err := c.iam(ctx, "GetInstanceProfile", map[string]string{"InstanceProfileName": name}, &got); err != nil || len(got.Roles) == 0 {
		return "", err
	}
	return got.Roles[0], nil
}

// audiences are those that an identity provider has.
func (c *client) audiences(ctx context.Context, provider string) ([]string, error) {
	var got struct {
		ClientIDs []string `xml:"GetOpenIDConnectProviderResult>ClientIDList>member"`
	}
	err := c.iam(ctx, "GetOpenIDConnectProvider", map[string]string{"OpenIDConnectProviderArn": provider}, &got)
	return got.ClientIDs, err
}

// freeName is a name that no inline policy of the role has.
func (r *role) freeName(want string) string {
	name := want
	for n := 2; slices.ContainsFunc(r.Policies, func(p rolePolicy) bool { return p.ARN == "" && p.Name == name }); n++ {
		name = fmt.Sprintf("%s-%d", want, n)
	}
	return name
}
