package iam

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestInlinePolicies(t *testing.T) {
	for _, h := range []struct{ noun, kind, list string }{
		{"User", "user", "ListUserPolicies"}, {"Group", "group", "ListGroupPolicies"}, {"Role", "role", "ListRolePolicies"},
	} {
		t.Run(h.kind, func(t *testing.T) {
			w := newWorld(t, Quotas{UserPolicySize: 300, GroupPolicySize: 300, RolePolicySize: 300})
			who := h.noun + "Name=x"
			put, get, del := "Put"+h.noun+"Policy", "Get"+h.noun+"Policy", "Delete"+h.noun+"Policy"
			w.fails(404, "NoSuchEntity", "The "+h.kind+" with name x cannot be found.", put, who, "PolicyName=p", "PolicyDocument="+identityDoc)
			if h.kind == "role" {
				w.ok("CreateRole", who, "AssumeRolePolicyDocument="+trustDoc)
			} else {
				w.ok("Create"+h.noun, who)
			}
			none := "The " + h.kind + " policy with name p cannot be found."
			w.fails(404, "NoSuchEntity", none, get, who, "PolicyName=p")
			w.fails(404, "NoSuchEntity", none, del, who, "PolicyName=p")
			w.ok(put, who, "PolicyName=p", "PolicyDocument="+sized(140))
			w.ok(put, who, "PolicyName=B", "PolicyDocument="+sized(150))
			got := w.ok(get, who, "PolicyName=P")
			if doc, _ := url.PathUnescape(got.text("PolicyDocument")); doc != sized(140) || got.text(h.noun+"Name") != "x" || got.text("PolicyName") != "p" {
				t.Errorf("%+v", got.root)
			}
			if diff := cmp.Diff([]string{"B", "p"}, w.pages(h.list, "PolicyNames", "", who)); diff != "" {
				t.Error(diff)
			}
			// The sum counts, and a policy that is replaced does not count twice.
			w.fails(409, "LimitExceeded", "Maximum policy size of 300 bytes exceeded for "+h.kind+" x", put, who, "PolicyName=c", "PolicyDocument="+sized(110))
			w.ok(put, who, "PolicyName=P", "PolicyDocument="+sized(150))
			if diff := cmp.Diff([]string{"B", "P"}, w.pages(h.list, "PolicyNames", "", who)); diff != "" {
				t.Error(diff)
			}
			w.ok(del, who, "PolicyName=b")
			w.ok(put, who, "PolicyName=white", "PolicyDocument="+strings.ReplaceAll(sized(150), ",", ",\n\t   "))
		})
	}
}

func TestManagedPolicyLifecycle(t *testing.T) {
	w := newWorld(t, Quotas{Policies: 2})
	arn := w.arn("policy/team/Read")
	made := w.ok("CreatePolicy", "PolicyName=Read", "Path=/team/", "PolicyDocument="+identityDoc, "Description=d", "Tags.member.1.Key=k", "Tags.member.1.Value=v")
	for path, want := range map[string]string{
		"Policy.Arn": arn, "Policy.DefaultVersionId": "v1", "Policy.AttachmentCount": "0", "Policy.PermissionsBoundaryUsageCount": "0", "Policy.IsAttachable": "true",
	} {
		if got := made.text(path); got != want {
			t.Errorf("%s = %q, want %q", path, got, want)
		}
	}
	w.fails(409, "EntityAlreadyExists", "A policy called READ already exists. Duplicate names are not allowed.", "CreatePolicy", "PolicyName=READ", "PolicyDocument="+identityDoc)
	got := w.ok("GetPolicy", "PolicyArn="+arn)
	if got.text("Policy.Description") != "d" || len(got.members("Policy.Tags", "Key")) != 1 {
		t.Errorf("%+v", got.root)
	}
	missing := func(arn string) string { return "Policy " + arn + " was not found." }
	for _, wrong := range []string{w.arn("policy/Read"), w.arn("policy/team/read"), "arn:aws:iam::000000000001:policy/team/Read", w.arn("role/team/Read")} {
		w.fails(404, "NoSuchEntity", missing(wrong), "GetPolicy", "PolicyArn="+wrong)
	}
	w.fails(400, "ValidationError", "Invalid ARN:  Could not be parsed!", "GetPolicy", "PolicyArn=just-a-name-of-a-policy")
	w.ok("CreatePolicy", "PolicyName=other", "PolicyDocument="+identityDoc)
	w.fails(409, "LimitExceeded", "Cannot exceed quota for PoliciesPerAccount: 2", "CreatePolicy", "PolicyName=third", "PolicyDocument="+identityDoc)

	w.ok("CreateUser", "UserName=u")
	w.ok("AttachUserPolicy", "UserName=u", "PolicyArn="+arn)
	w.fails(409, "DeleteConflict", "Cannot delete a policy attached to entities.", "DeletePolicy", "PolicyArn="+arn)
	w.ok("DetachUserPolicy", "UserName=u", "PolicyArn="+arn)
	w.ok("PutUserPermissionsBoundary", "UserName=u", "PermissionsBoundary="+arn)
	w.fails(409, "DeleteConflict", "Cannot delete a policy attached to entities.", "DeletePolicy", "PolicyArn="+arn)
	w.ok("DeleteUserPermissionsBoundary", "UserName=u")
	w.ok("CreatePolicyVersion", "PolicyArn="+arn, "PolicyDocument="+identityDoc)
	w.fails(409, "DeleteConflict", "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. The default version is deleted with the policy.", "DeletePolicy", "PolicyArn="+arn)
	w.ok("DeletePolicyVersion", "PolicyArn="+arn, "VersionId=v2")
	w.ok("DeletePolicy", "PolicyArn="+arn)
	w.fails(404, "NoSuchEntity", missing(arn), "DeletePolicy", "PolicyArn="+arn)
}

func TestPolicyVersions(t *testing.T) {
	w := newWorld(t, Quotas{})
	arn := w.arn("policy/p")
	at := "PolicyArn=" + arn
	w.ok("CreatePolicy", "PolicyName=p", "PolicyDocument="+sized(100))
	for i := 2; i <= 5; i++ {
		made := w.ok("CreatePolicyVersion", at, "PolicyDocument="+sized(100+i), fmt.Sprintf("SetAsDefault=%t", i == 3))
		if made.text("PolicyVersion.VersionId") != fmt.Sprintf("v%d", i) || made.has("PolicyVersion.Document") {
			t.Errorf("%+v", made.root)
		}
	}
	w.fails(409, "LimitExceeded", "A managed policy can have up to 5 versions. Before you create a new version, you must delete an existing version.",
		"CreatePolicyVersion", at, "PolicyDocument="+identityDoc)
	if diff := cmp.Diff([]string{"v5", "v4", "v3", "v2", "v1"}, w.pages("ListPolicyVersions", "Versions", "VersionId", at)); diff != "" {
		t.Error(diff)
	}
	if got := w.ok("ListPolicyVersions", at).members("Versions", "IsDefaultVersion"); !slices.Equal(got, []string{"false", "false", "true", "false", "false"}) {
		t.Errorf("default: %v", got)
	}
	w.fails(409, "DeleteConflict", "Cannot delete the default version of a policy.", "DeletePolicyVersion", at, "VersionId=v3")
	gone := "Policy " + arn + " version v9 does not exist or is not attachable."
	for _, op := range []string{"DeletePolicyVersion", "SetDefaultPolicyVersion", "GetPolicyVersion"} {
		w.fails(404, "NoSuchEntity", gone, op, at, "VersionId=v9")
	}
	w.ok("SetDefaultPolicyVersion", at, "VersionId=v1")
	w.ok("DeletePolicyVersion", at, "VersionId=v5")
	// v5 is not used again.
	if got := w.ok("CreatePolicyVersion", at, "PolicyDocument="+identityDoc).text("PolicyVersion.VersionId"); got != "v6" {
		t.Errorf("version after v5 was deleted: %s", got)
	}
	doc, _ := url.PathUnescape(w.ok("GetPolicyVersion", at, "VersionId=v3").text("PolicyVersion.Document"))
	if doc != sized(103) {
		t.Errorf("document of v3: %s", doc)
	}
	if got := w.ok("GetPolicy", at).text("Policy.DefaultVersionId"); got != "v1" {
		t.Errorf("default %s", got)
	}
}

func TestPolicySizes(t *testing.T) {
	w := newWorld(t, Quotas{})
	w.ok("CreatePolicy", "PolicyName=p", "PolicyDocument="+sized(6144))
	w.fails(409, "LimitExceeded", "Cannot exceed quota for PolicySize: 6144", "CreatePolicy", "PolicyName=q", "PolicyDocument="+sized(6145))
	w.fails(409, "LimitExceeded", "Cannot exceed quota for PolicySize: 6144", "CreatePolicyVersion", "PolicyArn="+w.arn("policy/p"), "PolicyDocument="+sized(6145))
	long := strings.Replace(trustDoc, `"Effect"`, `"Sid":"`+strings.Repeat("x", 2048)+`","Effect"`, 1)
	w.fails(409, "LimitExceeded", "Cannot exceed quota for ACLSizePerRole: 2048", "CreateRole", "RoleName=r", "AssumeRolePolicyDocument="+long)
	w.ok("CreateRole", "RoleName=r", "AssumeRolePolicyDocument="+trustDoc)
	w.fails(409, "LimitExceeded", "Cannot exceed quota for ACLSizePerRole: 2048", "UpdateAssumeRolePolicy", "RoleName=r", "PolicyDocument="+long)
}

// Policies of AWS and of other accounts can be read at most, whatever the
// caller's policies say.
func TestForeignPoliciesAreNotChanged(t *testing.T) {
	w := newWorld(t, Quotas{})
	for _, arn := range []string{awsPolicies[0].ARN, "arn:aws:iam::000000000001:policy/x"} {
		for _, call := range [][]string{
			{"DeletePolicy"},
			{"CreatePolicyVersion", "PolicyDocument=" + identityDoc},
			{"SetDefaultPolicyVersion", "VersionId=v1"},
			{"DeletePolicyVersion", "VersionId=v2"},
			{"TagPolicy", "Tags.member.1.Key=k", "Tags.member.1.Value=v"},
			{"UntagPolicy", "TagKeys.member.1=k"},
		} {
			w.fails(403, "AccessDenied", "Policy is outside your own account.", call[0], append(call[1:], "PolicyArn="+arn)...)
		}
	}
	got := w.ok("GetPolicyVersion", "PolicyArn="+awsPolicies[1].ARN, "VersionId=v19")
	if got.text("PolicyVersion.IsDefaultVersion") != "true" {
		t.Errorf("%+v", got.root)
	}
}

func TestAttachments(t *testing.T) {
	for _, noun := range []string{"User", "Group", "Role"} {
		t.Run(noun, func(t *testing.T) {
			w := newWorld(t, Quotas{AttachedPerUser: 2, AttachedPerGroup: 2, AttachedPerRole: 2})
			who := noun + "Name=x"
			extra := []string{who}
			if noun == "Role" {
				extra = append(extra, "AssumeRolePolicyDocument="+trustDoc)
			}
			w.ok("Create"+noun, extra...)
			w.ok("CreatePolicy", "PolicyName=AdministratorAccess", "Path=/own/", "PolicyDocument="+identityDoc)
			own := w.arn("policy/own/AdministratorAccess")
			attach, detach, list := "Attach"+noun+"Policy", "Detach"+noun+"Policy", "ListAttached"+noun+"Policies"
			w.ok(attach, who, "PolicyArn="+awsPolicies[0].ARN)
			w.ok(attach, who, "PolicyArn="+own)
			w.ok(attach, who, "PolicyArn="+own)
			if diff := cmp.Diff([]string{own, awsPolicies[0].ARN}, w.pages(list, "AttachedPolicies", "PolicyArn", who)); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff([]string{own}, w.pages(list, "AttachedPolicies", "PolicyArn", who, "PathPrefix=/own/")); diff != "" {
				t.Error(diff)
			}
			w.fails(409, "LimitExceeded", "Cannot exceed quota for PoliciesPer"+noun+": 2", attach, who, "PolicyArn="+awsPolicies[1].ARN)
			for _, absent := range []string{w.arn("policy/nope"), "arn:aws:iam::aws:policy/NoSuch", "arn:aws:iam::000000000001:policy/x"} {
				w.fails(404, "NoSuchEntity", "Policy "+absent+" does not exist or is not attachable.", attach, who, "PolicyArn="+absent)
				w.fails(404, "NoSuchEntity", "Policy "+absent+" was not found.", detach, who, "PolicyArn="+absent)
			}
			w.fails(400, "ValidationError", "Invalid ARN:  Could not be parsed!", attach, who, "PolicyArn=just-a-name-of-a-policy")
			w.fails(400, "ValidationError", "Invalid ARN:  Could not be parsed!", detach, who, "PolicyArn=just-a-name-of-a-policy")
			w.ok(detach, who, "PolicyArn="+own)
			w.fails(404, "NoSuchEntity", "Policy "+own+" was not found.", detach, who, "PolicyArn="+own)
		})
	}
}

func TestListPoliciesAndEntities(t *testing.T) {
	w := newWorld(t, Quotas{})
	for _, name := range []string{"beta", "Alpha", "gamma"} {
		w.ok("CreatePolicy", "PolicyName="+name, "Path=/p/", "PolicyDocument="+identityDoc)
	}
	alpha, beta := w.arn("policy/p/Alpha"), w.arn("policy/p/beta")
	w.ok("CreateUser", "UserName=u", "Path=/x/")
	w.ok("CreateUser", "UserName=v", "PermissionsBoundary="+alpha)
	w.ok("CreateGroup", "GroupName=g")
	w.ok("CreateRole", "RoleName=r", "AssumeRolePolicyDocument="+trustDoc, "PermissionsBoundary="+beta)
	w.ok("AttachUserPolicy", "UserName=u", "PolicyArn="+alpha)
	w.ok("AttachGroupPolicy", "GroupName=g", "PolicyArn="+alpha)
	w.ok("AttachRolePolicy", "RoleName=r", "PolicyArn="+alpha)
	w.ok("AttachRolePolicy", "RoleName=r", "PolicyArn="+awsPolicies[1].ARN)

	for _, c := range []struct {
		args []string
		want []string
	}{
		{nil, []string{"Alpha", "beta", "gamma", "AdministratorAccess", "ViewOnlyAccess"}},
		{[]string{"Scope=Local"}, []string{"Alpha", "beta", "gamma"}},
		{[]string{"Scope=AWS"}, []string{"AdministratorAccess", "ViewOnlyAccess"}},
		{[]string{"PathPrefix=/p/"}, []string{"Alpha", "beta", "gamma"}},
		{[]string{"OnlyAttached=true"}, []string{"Alpha", "beta", "ViewOnlyAccess"}},
		{[]string{"PolicyUsageFilter=PermissionsBoundary"}, []string{"Alpha", "beta"}},
		{[]string{"PolicyUsageFilter=PermissionsPolicy"}, []string{"Alpha", "ViewOnlyAccess"}},
	} {
		if diff := cmp.Diff(c.want, w.pages("ListPolicies", "Policies", "PolicyName", c.args...)); diff != "" {
			t.Errorf("%v: %s", c.args, diff)
		}
	}
	got := w.ok("GetPolicy", "PolicyArn="+alpha)
	if got.text("Policy.AttachmentCount") != "3" || got.text("Policy.PermissionsBoundaryUsageCount") != "1" {
		t.Errorf("%+v", got.root)
	}

	for _, c := range []struct {
		args                 []string
		groups, roles, users []string
	}{
		{nil, []string{"g"}, []string{"r"}, []string{"u", "v"}},
		{[]string{"EntityFilter=Role"}, nil, []string{"r"}, nil},
		{[]string{"EntityFilter=User", "PathPrefix=/x/"}, nil, nil, []string{"u"}},
		{[]string{"PolicyUsageFilter=PermissionsBoundary"}, nil, nil, []string{"v"}},
		{[]string{"PolicyUsageFilter=PermissionsPolicy"}, []string{"g"}, []string{"r"}, []string{"u"}},
	} {
		args := append([]string{"PolicyArn=" + alpha}, c.args...)
		for list, want := range map[string][]string{"PolicyGroups": c.groups, "PolicyRoles": c.roles, "PolicyUsers": c.users} {
			member := strings.TrimSuffix(strings.TrimPrefix(list, "Policy"), "s") + "Name"
			if got := w.pages("ListEntitiesForPolicy", list, member, args...); !slices.Equal(got, want) {
				t.Errorf("%v %s: got %v, want %v", c.args, list, got, want)
			}
		}
	}
}

func TestBoundaries(t *testing.T) {
	for _, noun := range []string{"User", "Role"} {
		t.Run(noun, func(t *testing.T) {
			w := newWorld(t, Quotas{})
			who := noun + "Name=x"
			create := []string{who}
			if noun == "Role" {
				create = append(create, "AssumeRolePolicyDocument="+trustDoc)
			}
			absent := w.arn("policy/nope")
			w.fails(404, "NoSuchEntity", "Scope ARN: "+absent+" does not exist or is not attachable.", "Create"+noun, append(create, "PermissionsBoundary="+absent)...)
			w.fails(400, "ValidationError", "Value ("+w.arn("role/some-role")+") for parameter PermissionsBoundary is invalid.", "Create"+noun, append(create, "PermissionsBoundary="+w.arn("role/some-role"))...)
			made := w.ok("Create"+noun, append(create, "PermissionsBoundary="+awsPolicies[0].ARN)...)
			if made.text(noun+".PermissionsBoundary.PermissionsBoundaryArn") != awsPolicies[0].ARN || made.text(noun+".PermissionsBoundary.PermissionsBoundaryType") != "Policy" {
				t.Errorf("%+v", made.root)
			}
			w.ok("CreatePolicy", "PolicyName=b", "PolicyDocument="+identityDoc)
			w.ok("Put"+noun+"PermissionsBoundary", who, "PermissionsBoundary="+w.arn("policy/b"))
			if got := w.ok("Get"+noun, who).text(noun + ".PermissionsBoundary.PermissionsBoundaryArn"); got != w.arn("policy/b") {
				t.Errorf("boundary %q", got)
			}
			w.fails(404, "NoSuchEntity", "Scope ARN: "+absent+" does not exist or is not attachable.", "Put"+noun+"PermissionsBoundary", who, "PermissionsBoundary="+absent)
			w.ok("Delete"+noun+"PermissionsBoundary", who)
			w.fails(404, "NoSuchEntity", noun+" x does not have a permission boundary attached to it.", "Delete"+noun+"PermissionsBoundary", who)
			if w.ok("Get"+noun, who).has(noun + ".PermissionsBoundary") {
				t.Error("the boundary is still shown")
			}
		})
	}
}
