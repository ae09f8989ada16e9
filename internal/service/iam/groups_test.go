package iam

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestGroupLifecycle(t *testing.T) {
	w := newWorld(t, Quotas{})
	made := w.ok("CreateGroup", "GroupName=Dev", "Path=/p/")
	if made.text("Group.Arn") != w.arn("group/p/Dev") || made.text("Group.GroupId")[:4] != "AGPA" {
		t.Errorf("%s %s", made.text("Group.Arn"), made.text("Group.GroupId"))
	}
	w.fails(409, "EntityAlreadyExists", "Group with name dev already exists.", "CreateGroup", "GroupName=dev")
	for _, name := range []string{"b", "A", "c"} {
		w.ok("CreateUser", "UserName="+name)
		w.ok("AddUserToGroup", "GroupName=DEV", "UserName="+name)
	}
	// Once more changes nothing.
	w.ok("AddUserToGroup", "GroupName=dev", "UserName=a")
	if diff := cmp.Diff([]string{"A", "b", "c"}, w.pages("GetGroup", "Users", "UserName", "GroupName=dev")); diff != "" {
		t.Error(diff)
	}
	w.ok("UpdateGroup", "GroupName=dev", "NewGroupName=Ops", "NewPath=/q/")
	if got := w.ok("GetGroup", "GroupName=ops").text("Group.Arn"); got != w.arn("group/q/Ops") {
		t.Errorf("ARN after the move: %s", got)
	}
	w.ok("CreateGroup", "GroupName=Amber")
	w.ok("AddUserToGroup", "GroupName=Amber", "UserName=b")
	if diff := cmp.Diff([]string{"Amber", "Ops"}, w.pages("ListGroupsForUser", "Groups", "GroupName", "UserName=b")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"Amber", "Ops"}, w.pages("ListGroups", "Groups", "GroupName")); diff != "" {
		t.Error(diff)
	}
	w.fails(409, "EntityAlreadyExists", "Group with name AMBER already exists.", "UpdateGroup", "GroupName=ops", "NewGroupName=AMBER")
	w.fails(404, "NoSuchEntity", "The group with name nope cannot be found.", "AddUserToGroup", "GroupName=nope", "UserName=b")
	w.fails(404, "NoSuchEntity", "The user with name nope cannot be found.", "AddUserToGroup", "GroupName=ops", "UserName=nope")
	w.ok("RemoveUserFromGroup", "GroupName=ops", "UserName=B")
	w.fails(404, "NoSuchEntity", "The user with name b is not in the group with name Ops.", "RemoveUserFromGroup", "GroupName=ops", "UserName=b")
	if got := w.ok("ListGroupsForUser", "UserName=b").members("Groups", "GroupName"); !slices.Equal(got, []string{"Amber"}) {
		t.Errorf("groups of b: %v", got)
	}
}

func TestDeleteGroupConflicts(t *testing.T) {
	w := newWorld(t, Quotas{})
	w.ok("CreateUser", "UserName=u")
	w.ok("CreateGroup", "GroupName=g")
	w.ok("AddUserToGroup", "GroupName=g", "UserName=u")
	w.ok("PutGroupPolicy", "GroupName=g", "PolicyName=p", "PolicyDocument="+identityDoc)
	w.ok("AttachGroupPolicy", "GroupName=g", "PolicyArn="+awsPolicies[0].ARN)
	w.fails(409, "DeleteConflict", "Cannot delete entity, must detach all policies first.", "DeleteGroup", "GroupName=g")
	w.ok("DetachGroupPolicy", "GroupName=g", "PolicyArn="+awsPolicies[0].ARN)
	w.fails(409, "DeleteConflict", "Cannot delete entity, must delete policies first.", "DeleteGroup", "GroupName=g")
	w.ok("DeleteGroupPolicy", "GroupName=g", "PolicyName=p")
	w.fails(409, "DeleteConflict", "Cannot delete entity, must remove users from group first.", "DeleteGroup", "GroupName=g")
	w.ok("RemoveUserFromGroup", "GroupName=g", "UserName=u")
	w.ok("DeleteGroup", "GroupName=g")
	w.fails(404, "NoSuchEntity", "The group with name g cannot be found.", "DeleteGroup", "GroupName=g")
}

func TestGroupQuotas(t *testing.T) {
	w := newWorld(t, Quotas{Groups: 3, GroupsPerUser: 2})
	w.ok("CreateUser", "UserName=u")
	for i := range 3 {
		w.ok("CreateGroup", fmt.Sprintf("GroupName=g%d", i))
	}
	w.fails(409, "LimitExceeded", "Cannot exceed quota for GroupsPerAccount: 3", "CreateGroup", "GroupName=g3")
	w.ok("AddUserToGroup", "GroupName=g0", "UserName=u")
	w.ok("AddUserToGroup", "GroupName=g1", "UserName=u")
	w.fails(409, "LimitExceeded", "Cannot exceed quota for GroupsPerUser: 2", "AddUserToGroup", "GroupName=g2", "UserName=u")
	w.ok("AddUserToGroup", "GroupName=g1", "UserName=u")
}

// A rename writes every member in one transaction: the store takes that many,
// and one more is refused with words.
func TestGroupRenameWithManyMembers(t *testing.T) {
	w := newWorld(t, Quotas{})
	w.ok("CreateGroup", "GroupName=g")
	for i := range maxRename {
		w.ok("CreateUser", fmt.Sprintf("UserName=u%d", i))
		w.ok("AddUserToGroup", "GroupName=g", fmt.Sprintf("UserName=u%d", i))
	}
	w.ok("UpdateGroup", "GroupName=g", "NewGroupName=h")
	if got := w.ok("ListGroupsForUser", "UserName=u99").members("Groups", "GroupName"); !slices.Equal(got, []string{"h"}) {
		t.Errorf("groups of a member: %v", got)
	}
	w.ok("CreateUser", "UserName=more")
	w.ok("AddUserToGroup", "GroupName=h", "UserName=more")
	w.fails(409, "LimitExceeded", "The group h has 101 members; a group with more than 100 cannot be renamed.", "UpdateGroup", "GroupName=h", "NewGroupName=g")
	w.ok("UpdateGroup", "GroupName=h", "NewPath=/other/")
}
