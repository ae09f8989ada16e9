package iam

import (
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRoleLifecycle(t *testing.T) {
	w := newWorld(t, Quotas{})
	made := w.ok("CreateRole", "RoleName=App", "Path=/svc/", "AssumeRolePolicyDocument="+trustDoc, "Description=d", "MaxSessionDuration=7200")
	if made.text("Role.Arn") != w.arn("role/svc/App") || made.text("Role.RoleId")[:4] != "AROA" {
		t.Errorf("%s %s", made.text("Role.Arn"), made.text("Role.RoleId"))
	}
	// The answer of CreateRole as it was recorded from AWS has neither.
	for _, absent := range []string{"Role.MaxSessionDuration", "Role.RoleLastUsed", "Role.Description"} {
		if made.has(absent) {
			t.Errorf("CreateRole answers %s", absent)
		}
	}
	w.fails(409, "EntityAlreadyExists", "Role with name APP already exists.", "CreateRole", "RoleName=APP", "AssumeRolePolicyDocument="+trustDoc)
	got := w.ok("GetRole", "RoleName=app")
	for path, want := range map[string]string{"Role.RoleName": "App", "Role.MaxSessionDuration": "7200", "Role.Description": "d", "Role.RoleLastUsed": ""} {
		if !got.has(path) || got.text(path) != want {
			t.Errorf("%s = %q, want %q", path, got.text(path), want)
		}
	}
	w.ok("UpdateRole", "RoleName=app", "MaxSessionDuration=3600")
	if got := w.ok("GetRole", "RoleName=app"); got.text("Role.Description") != "d" || got.text("Role.MaxSessionDuration") != "3600" {
		t.Errorf("UpdateRole changed what it did not name: %+v", got.root)
	}
	if got := w.ok("UpdateRoleDescription", "RoleName=app", "Description=e").text("Role.Description"); got != "e" {
		t.Errorf("description %q", got)
	}
	other := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"}]}`
	w.ok("UpdateAssumeRolePolicy", "RoleName=app", "PolicyDocument="+other)
	trust, _ := url.PathUnescape(w.ok("GetRole", "RoleName=app").text("Role.AssumeRolePolicyDocument"))
	if trust != other {
		t.Errorf("trust policy %s", trust)
	}
	w.ok("TagRole", "RoleName=app", "Tags.member.1.Key=k", "Tags.member.1.Value=v")
	w.ok("CreateRole", "RoleName=beta", "AssumeRolePolicyDocument="+trustDoc)
	if diff := cmp.Diff([]string{"App", "beta"}, w.pages("ListRoles", "Roles", "RoleName")); diff != "" {
		t.Error(diff)
	}
	list := w.ok("ListRoles", "PathPrefix=/svc/")
	if got := list.members("Roles", "MaxSessionDuration"); len(got) != 1 || got[0] != "3600" {
		t.Errorf("ListRoles: %v", got)
	}
	for _, absent := range []string{"Tags", "PermissionsBoundary", "RoleLastUsed"} {
		if len(list.members("Roles", absent)) != 0 {
			t.Errorf("ListRoles shows %s", absent)
		}
	}
	w.fails(400, "ValidationError", "1 validation error detected: Value '100' at 'maxSessionDuration' failed to satisfy constraint: Member must have value greater than or equal to 3600",
		"UpdateRole", "RoleName=app", "MaxSessionDuration=100")
}

func TestDeleteRoleConflicts(t *testing.T) {
	w := newWorld(t, Quotas{})
	w.ok("CreateRole", "RoleName=r", "AssumeRolePolicyDocument="+trustDoc)
	w.ok("PutRolePolicy", "RoleName=r", "PolicyName=p", "PolicyDocument="+identityDoc)
	w.ok("AttachRolePolicy", "RoleName=r", "PolicyArn="+awsPolicies[0].ARN)
	w.ok("CreateInstanceProfile", "InstanceProfileName=i")
	w.ok("AddRoleToInstanceProfile", "InstanceProfileName=i", "RoleName=R")
	w.fails(409, "DeleteConflict", "Cannot delete entity, must detach all policies first.", "DeleteRole", "RoleName=r")
	w.ok("DetachRolePolicy", "RoleName=r", "PolicyArn="+awsPolicies[0].ARN)
	w.fails(409, "DeleteConflict", "Cannot delete entity, must delete policies first.", "DeleteRole", "RoleName=r")
	w.ok("DeleteRolePolicy", "RoleName=r", "PolicyName=p")
	w.fails(409, "DeleteConflict", "Cannot delete entity, must remove roles from instance profile first.", "DeleteRole", "RoleName=r")
	w.ok("RemoveRoleFromInstanceProfile", "InstanceProfileName=i", "RoleName=r")
	w.ok("DeleteRole", "RoleName=r")
	w.fails(404, "NoSuchEntity", "The role with name r cannot be found.", "GetRole", "RoleName=r")
}

func TestInstanceProfiles(t *testing.T) {
	w := newWorld(t, Quotas{InstanceProfiles: 3})
	w.ok("CreateRole", "RoleName=r", "AssumeRolePolicyDocument="+trustDoc)
	made := w.ok("CreateInstanceProfile", "InstanceProfileName=P", "Path=/x/")
	if made.text("InstanceProfile.Arn") != w.arn("instance-profile/x/P") || made.text("InstanceProfile.InstanceProfileId")[:4] != "AIPA" || !made.has("InstanceProfile.Roles") {
		t.Errorf("%+v", made.root)
	}
	w.fails(409, "EntityAlreadyExists", "Instance Profile p already exists.", "CreateInstanceProfile", "InstanceProfileName=p")
	w.fails(404, "NoSuchEntity", "Instance Profile q cannot be found.", "GetInstanceProfile", "InstanceProfileName=q")
	w.fails(404, "NoSuchEntity", "The role with name nope cannot be found.", "AddRoleToInstanceProfile", "InstanceProfileName=p", "RoleName=nope")
	w.ok("AddRoleToInstanceProfile", "InstanceProfileName=p", "RoleName=r")
	w.fails(409, "LimitExceeded", "Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1", "AddRoleToInstanceProfile", "InstanceProfileName=p", "RoleName=r")
	if got := w.ok("GetInstanceProfile", "InstanceProfileName=p").text("InstanceProfile.Roles.member.Arn"); got != w.arn("role/r") {
		t.Errorf("role in the profile: %q", got)
	}
	w.ok("CreateInstanceProfile", "InstanceProfileName=a")
	w.ok("AddRoleToInstanceProfile", "InstanceProfileName=a", "RoleName=r")
	w.ok("CreateInstanceProfile", "InstanceProfileName=z")
	w.fails(409, "LimitExceeded", "Cannot exceed quota for InstanceProfilesPerAccount: 3", "CreateInstanceProfile", "InstanceProfileName=more")
	if diff := cmp.Diff([]string{"a", "P"}, w.pages("ListInstanceProfilesForRole", "InstanceProfiles", "InstanceProfileName", "RoleName=r")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"a", "P", "z"}, w.pages("ListInstanceProfiles", "InstanceProfiles", "InstanceProfileName")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"P"}, w.pages("ListInstanceProfiles", "InstanceProfiles", "InstanceProfileName", "PathPrefix=/x/")); diff != "" {
		t.Error(diff)
	}
	w.fails(409, "DeleteConflict", "Cannot delete entity, must remove roles from instance profile first.", "DeleteInstanceProfile", "InstanceProfileName=p")
	w.fails(404, "NoSuchEntity", "The role with name other is not in the Instance Profile P.", "RemoveRoleFromInstanceProfile", "InstanceProfileName=p", "RoleName=other")
	w.ok("RemoveRoleFromInstanceProfile", "InstanceProfileName=p", "RoleName=R")
	w.ok("DeleteInstanceProfile", "InstanceProfileName=p")
}
