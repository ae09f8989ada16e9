package iam

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchwork/latchwork/internal/identity"
	"github.com/latchwork/latchwork/internal/store"
)

func TestUserLifecycle(t *testing.T) {
	w := newWorld(t, Quotas{})
	made := w.ok("CreateUser", "UserName=Alice", "Path=/team/a/", "Tags.member.1.Key=Dept", "Tags.member.1.Value=ops")
	if id := made.text("User.UserId"); len(id) != 21 || !strings.HasPrefix(id, "AIDA") {
		t.Errorf("user id %q", id)
	}
	for path, want := range map[string]string{
		"User.UserName": "Alice", "User.Path": "/team/a/", "User.Arn": w.arn("user/team/a/Alice"), "User.CreateDate": "2026-11-21T10:00:00Z",
	} {
		if got := made.text(path); got != want {
			t.Errorf("%s = %q, want %q", path, got, want)
		}
	}
	if got := made.members("User.Tags", "Key"); !slices.Equal(got, []string{"Dept"}) {
		t.Errorf("tags of CreateUser: %v", got)
	}
	// Names are one whatever their letter case.
	// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
	w.fails(409, "EntityAlreadyExists", "User with name aLICE already exists.", "CreateUser", "UserName=aLICE")
	if got := w.ok("GetUser", "UserName=ALICE").text("User.UserName"); got != "Alice" {
		t.Errorf("GetUser in another case: %q", got)
	}
	// https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListUsers.html: a subset of the attributes.
	list := w.ok("ListUsers")
	if got := list.members("Users", "Tags"); len(got) != 0 {
		t.Error("ListUsers shows tags")
	}
	w.ok("UpdateUser", "UserName=alice", "NewUserName=Alicia", "NewPath=/b/")
	w.fails(404, "NoSuchEntity", "The user with name Alice cannot be found.", "GetUser", "UserName=Alice")
	moved := w.ok("GetUser", "UserName=Alicia")
	if got := moved.text("User.Arn"); got != w.arn("user/b/Alicia") {
		t.Errorf("ARN after the move: %q", got)
	}
	if moved.text("User.UserId") != made.text("User.UserId") {
		t.Error("the unique id changed with the name")
	}
	// Another spelling of the same name is no conflict with oneself.
	w.ok("UpdateUser", "UserName=Alicia", "NewUserName=ALICIA")
	w.ok("CreateUser", "UserName=bob")
	w.fails(409, "EntityAlreadyExists", "User with name Bob already exists.", "UpdateUser", "UserName=alicia", "NewUserName=Bob")
	w.ok("DeleteUser", "UserName=alicia")
	w.fails(404, "NoSuchEntity", "The user with name alicia cannot be found.", "DeleteUser", "UserName=alicia")
	again := w.ok("CreateUser", "UserName=Alice")
	if again.text("User.UserId") == made.text("User.UserId") {
		t.Error("a new user has the unique id of an old one")
	}
}

func TestGetUserIsTheCaller(t *testing.T) {
	w := newWorld(t, Quotas{})
	w.ok("CreateUser", "UserName=admin", "Path=/x/")
	if got := w.ok("GetUser").text("User.Arn"); got != w.arn("user/x/admin") {
		t.Errorf("GetUser of the caller: %q", got)
	}
	w.caller = &identity.Principal{Kind: identity.Root, Account: w.account, ARN: w.arn("root"), IssuerID: w.account}
	root := w.ok("GetUser")
	if root.text("User.Arn") != w.arn("root") || root.text("User.UserId") != w.account || root.has("User.UserName") {
		t.Errorf("GetUser of root: %+v", root.root)
	}
	w.caller = &identity.Principal{Kind: identity.AssumedRole, Account: w.account, ARN: "arn:aws:sts::" + w.account + ":assumed-role/r/s", Session: &identity.Session{}}
	for _, op := range []string{"GetUser", "ListAccessKeys", "CreateAccessKey"} {
		w.fails(400, "ValidationError", "Must specify userName when calling with non-User credentials", op)
	}
}

func TestDeleteUserConflicts(t *testing.T) {
	w := newWorld(t, Quotas{})
	w.ok("CreateUser", "UserName=u")
	w.ok("CreateGroup", "GroupName=g")
	w.ok("AddUserToGroup", "GroupName=g", "UserName=u")
	w.ok("PutUserPolicy", "UserName=u", "PolicyName=p", "PolicyDocument="+identityDoc)
	w.ok("AttachUserPolicy", "UserName=u", "PolicyArn="+awsPolicies[0].ARN)
	key := w.ok("CreateAccessKey", "UserName=u").text("AccessKey.AccessKeyId")
	// One obstacle after the other.
	for _, step := range []struct {
		text string
		op   string
		args []string
	}{
		{"Cannot delete entity, must detach all policies first.", "DetachUserPolicy", []string{"UserName=u", "PolicyArn=" + awsPolicies[0].ARN}},
		{"Cannot delete entity, must delete policies first.", "DeleteUserPolicy", []string{"UserName=u", "PolicyName=p"}},
		{"Cannot delete entity, must delete access keys first.", "DeleteAccessKey", []string{"UserName=u", "AccessKeyId=" + key}},
		{"Cannot delete entity, must remove users from group first.", "RemoveUserFromGroup", []string{"GroupName=g", "UserName=u"}},
	} {
		w.fails(409, "DeleteConflict", step.text, "DeleteUser", "UserName=u")
		w.ok(step.op, step.args...)
	}
	w.ok("DeleteUser", "UserName=u")
}

func TestUserRenameIsFollowed(t *testing.T) {
	w := newWorld(t, Quotas{})
	w.ok("CreateUser", "UserName=u")
	w.ok("CreateGroup", "GroupName=g")
	w.ok("AddUserToGroup", "GroupName=g", "UserName=U")
	key := w.ok("CreateAccessKey", "UserName=u").text("AccessKey.AccessKeyId")
	w.ok("UpdateUser", "UserName=u", "NewUserName=v")
	if got := w.ok("GetGroup", "GroupName=g").members("Users", "UserName"); !slices.Equal(got, []string{"v"}) {
		t.Errorf("members after a rename: %v", got)
	}
	if got := w.ok("GetAccessKeyLastUsed", "AccessKeyId="+key).text("UserName"); got != "v" {
		t.Errorf("owner of the key after a rename: %q", got)
	}
	if got := w.ok("ListAccessKeys", "UserName=v").members("AccessKeyMetadata", "UserName"); !slices.Equal(got, []string{"v"}) {
		t.Errorf("keys after a rename: %v", got)
	}
}

func TestUserPagesAndPaths(t *testing.T) {
	w := newWorld(t, Quotas{})
	for _, args := range [][]string{
		{"UserName=delta", "Path=/x/"},
		{"UserName=Alpha", "Path=/x/y/"},
		{"UserName=charlie"},
		{"UserName=Bravo", "Path=/z/"},
	} {
		w.ok("CreateUser", args...)
	}
	if diff := cmp.Diff([]string{"Alpha", "Bravo", "charlie", "delta"}, w.pages("ListUsers", "Users", "UserName")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"Alpha", "delta"}, w.pages("ListUsers", "Users", "UserName", "PathPrefix=/x/")); diff != "" {
		t.Error(diff)
	}
	w.fails(400, "ValidationError", "Invalid Marker.", "ListUsers", "Marker=nonsense")
	// A marker belongs to the filter that it was given out for.
	marker := w.ok("ListUsers", "MaxItems=1").text("Marker")
	w.fails(400, "ValidationError", "Invalid Marker.", "ListUsers", "PathPrefix=/x/", "Marker="+marker)
}

// TestOneStateForAllPages: what is changed between two pages is on one of them as
// it was, and neither twice nor on none.
func TestOneStateForAllPages(t *testing.T) {
	w := newWorld(t, Quotas{})
	w.ok("CreateGroup", "GroupName=g")
	w.ok("CreateRole", "RoleName=r", "AssumeRolePolicyDocument="+trustDoc, "Tags.member.1.Key=a", "Tags.member.1.Value=1", "Tags.member.2.Key=b", "Tags.member.2.Value=2")
	for _, name := range []string{"bbb", "ccc", "zed"} {
		w.ok("CreateUser", "UserName="+name)
		w.ok("AddUserToGroup", "GroupName=g", "UserName="+name)
	}
	lists := []struct {
		want, list, member string
		args               []string
	}{
		{"zed", "Users", "UserName", []string{"ListUsers", "MaxItems=2"}},
		{"zed", "Users", "UserName", []string{"GetGroup", "GroupName=g", "MaxItems=2"}},
		{"b", "Tags", "Key", []string{"ListRoleTags", "RoleName=r", "MaxItems=1"}},
	}
	next := make([]string, len(lists))
	for i, l := range lists {
		next[i] = "Marker=" + w.ok(l.args[0], l.args[1:]...).text("Marker")
	}
	w.ok("UpdateUser", "UserName=zed", "NewUserName=abe")
	w.ok("UntagRole", "RoleName=r", "TagKeys.member.1=b")
	for i, l := range lists {
		if got := w.ok(l.args[0], append(l.args[1:], next[i])...).members(l.list, l.member); len(got) != 1 || got[0] != l.want {
			t.Errorf("the second page of %v has %v, want %s", l.args, got, l.want)
		}
	}
}

// forgetful has compacted every revision.
type forgetful struct{ store.Backend }

func (f forgetful) Range(ctx context.Context, prefix, after string, limit int, at store.Revision) (store.Page, error) {
	if at != 0 {
		return store.Page{}, fmt.Errorf("%w: told to", store.ErrCompacted)
	}
	return f.Backend.Range(ctx, prefix, after, limit, at)
}

func TestMarkerOfCompactedState(t *testing.T) {
	w := newWorld(t, Quotas{})
	w.ok("CreateUser", "UserName=a")
	w.ok("CreateUser", "UserName=b")
	marker := w.ok("ListUsers", "MaxItems=1").text("Marker")
	w.cfg.Store = store.New(forgetful{shared.Backend()})
	w.serve()
	w.fails(400, "ValidationError", "Invalid Marker. It is too old: list again from the beginning.", "ListUsers", "Marker="+marker)
}

func TestTags(t *testing.T) {
	holders := []struct{ noun, name, create, tag, untag, list string }{
		{"UserName", "u", "CreateUser", "TagUser", "UntagUser", "ListUserTags"},
		{"RoleName", "r", "CreateRole", "TagRole", "UntagRole", "ListRoleTags"},
		{"InstanceProfileName", "i", "CreateInstanceProfile", "TagInstanceProfile", "UntagInstanceProfile", "ListInstanceProfileTags"},
		{"PolicyArn", "", "CreatePolicy", "TagPolicy", "UntagPolicy", "ListPolicyTags"},
	}
	for _, h := range holders {
		t.Run(h.tag, func(t *testing.T) {
			w := newWorld(t, Quotas{})
			extra := map[string][]string{
				"CreateRole":   {"AssumeRolePolicyDocument=" + trustDoc},
				"CreatePolicy": {"PolicyName=p", "PolicyDocument=" + identityDoc},
			}[h.create]
			who := h.noun + "=" + h.name
			if h.create == "CreatePolicy" {
				who = "PolicyArn=" + w.arn("policy/p")
			} else {
				extra = append(extra, who)
			}
			const double = "Duplicate tag keys found. Please note that Tag keys are case insensitive."
			w.fails(400, "InvalidInput", double, h.create, append(extra,
				"Tags.member.1.Key=a", "Tags.member.1.Value=1", "Tags.member.2.Key=A", "Tags.member.2.Value=2")...)
			w.ok(h.create, extra...)
			w.ok(h.tag, who, "Tags.member.1.Key=Dept", "Tags.member.1.Value=x", "Tags.member.2.Key=b", "Tags.member.2.Value=")
			// The new spelling of a key wins.
			w.ok(h.tag, who, "Tags.member.1.Key=DEPT", "Tags.member.1.Value=y")
			if diff := cmp.Diff([]string{"b", "DEPT"}, w.pages(h.list, "Tags", "Key", who)); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff([]string{"", "y"}, w.pages(h.list, "Tags", "Value", who)); diff != "" {
				t.Error(diff)
			}
			w.fails(400, "InvalidInput", double, h.tag, who,
				"Tags.member.1.Key=a", "Tags.member.1.Value=1", "Tags.member.2.Key=A", "Tags.member.2.Value=2")
			w.fails(400, "InvalidInput", "The tag key aws:x is not valid: keys that begin with aws: are reserved.", h.tag, who,
				"Tags.member.1.Key=aws:x", "Tags.member.1.Value=1")
			w.ok(h.untag, who, "TagKeys.member.1=dept", "TagKeys.member.2=absent")
			if diff := cmp.Diff([]string{"b"}, w.pages(h.list, "Tags", "Key", who)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTagLimit(t *testing.T) {
	w := newWorld(t, Quotas{})
	w.ok("CreateUser", "UserName=u")
	var fifty []string
	for i := range 50 {
		n := fmt.Sprintf("Tags.member.%d", i+1)
		fifty = append(fifty, fmt.Sprintf("%s.Key=%s%02d", n, strings.Repeat("é", 120), i), n+".Value=v")
	}
	w.ok("TagUser", append(fifty, "UserName=u")...)
	w.fails(409, "LimitExceeded", "Cannot exceed quota for TagsPerUser: 50", "TagUser", "UserName=u", "Tags.member.1.Key=more", "Tags.member.1.Value=")
	// Long keys that begin alike still page one by one, within a marker's length.
	if got := w.pages("ListUserTags", "Tags", "Key", "UserName=u"); len(got) != 50 {
		t.Errorf("%d tags", len(got))
	}
}

func TestQuotaOfUsers(t *testing.T) {
	w := newWorld(t, Quotas{Users: 1})
	w.ok("CreateUser", "UserName=a")
	w.fails(409, "LimitExceeded", "Cannot exceed quota for UsersPerAccount: 1", "CreateUser", "UserName=b")
}

// A document comes back byte for byte, percent escapes in it included.
func TestDocumentsAreKeptAsSent(t *testing.T) {
	w := newWorld(t, Quotas{})
	document := "{\n \"Version\": \"2012-10-17\",\n\t\"Statement\": {\"Effect\":\"Allow\",\"Action\":\"a:b\",\"Resource\":\"arn:aws:s3:::x%3Ay é+\"}}\n"
	w.ok("CreateUser", "UserName=u")
	w.ok("PutUserPolicy", "UserName=u", "PolicyName=p", "PolicyDocument="+document)
	encoded := w.ok("GetUserPolicy", "UserName=u", "PolicyName=p").text("PolicyDocument")
	got, err := url.PathUnescape(encoded)
	if err != nil || got != document {
		t.Errorf("document came back as %q (%v)", got, err)
	}
	if strings.ContainsAny(encoded, "+ {") {
		t.Errorf("not percent-encoded: %s", encoded)
	}
}
