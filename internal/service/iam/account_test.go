package iam

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchwork/latchwork/internal/store"
	"github.com/latchwork/latchwork/internal/wire"
)

func TestAccountAlias(t *testing.T) {
	w, other := newWorld(t, Quotas{}), newWorld(t, Quotas{})
	a, b := "one-"+w.account, "two-"+w.account
	w.ok("CreateAccountAlias", "AccountAlias="+a)
	other.fails(409, "EntityAlreadyExists", "The account alias "+a+" already exists.", "CreateAccountAlias", "AccountAlias="+a)
	// A new alias takes the place of the old one, which is free then.
	w.ok("CreateAccountAlias", "AccountAlias="+b)
	if diff := cmp.Diff([]string{b}, w.pages("ListAccountAliases", "AccountAliases", "")); diff != "" {
		t.Error(diff)
	}
	other.ok("CreateAccountAlias", "AccountAlias="+a)
	w.fails(404, "NoSuchEntity", "The account alias "+a+" cannot be found.", "DeleteAccountAlias", "AccountAlias="+a)
	w.ok("DeleteAccountAlias", "AccountAlias="+b)
	if got := w.pages("ListAccountAliases", "AccountAliases", ""); len(got) != 0 {
		t.Errorf("aliases %v", got)
	}
}

func TestAccountSummary(t *testing.T) {
	w := newWorld(t, Quotas{Users: 77})
	w.ok("CreateUser", "UserName=a")
	w.ok("CreateUser", "UserName=b")
	w.ok("CreateGroup", "GroupName=g")
	w.ok("CreateRole", "RoleName=r", "AssumeRolePolicyDocument="+trustDoc)
	w.ok("CreatePolicy", "PolicyName=p", "PolicyDocument="+identityDoc)
	w.ok("CreatePolicyVersion", "PolicyArn="+w.arn("policy/p"), "PolicyDocument="+identityDoc)
	got := map[string]string{}
	for _, entry := range w.ok("GetAccountSummary").at("SummaryMap").children {
		got[entry.child("key").text] = entry.child("value").text
	}
	for key, want := range map[string]string{
		"Users": "2", "Groups": "1", "Roles": "1", "Policies": "1", "PolicyVersionsInUse": "2", "InstanceProfiles": "0",
		"UsersQuota": "77", "GroupsQuota": "300", "PolicySizeQuota": "6144", "AccountAccessKeysPresent": "0",
	} {
		if got[key] != want {
			t.Errorf("%s = %q, want %q", key, got[key], want)
		}
	}
}

func TestAuthorizationDetails(t *testing.T) {
	w := newWorld(t, Quotas{})
	w.ok("CreateGroup", "GroupName=g")
	w.ok("CreateUser", "UserName=u", "Tags.member.1.Key=k", "Tags.member.1.Value=v")
	w.ok("AddUserToGroup", "GroupName=g", "UserName=u")
	w.ok("PutUserPolicy", "UserName=u", "PolicyName=inline", "PolicyDocument="+identityDoc)
	w.ok("CreateRole", "RoleName=r", "AssumeRolePolicyDocument="+trustDoc)
	w.ok("CreateInstanceProfile", "InstanceProfileName=i")
	w.ok("AddRoleToInstanceProfile", "InstanceProfileName=i", "RoleName=r")
	w.ok("CreatePolicy", "PolicyName=p", "PolicyDocument="+identityDoc)
	w.ok("AttachRolePolicy", "RoleName=r", "PolicyArn="+awsPolicies[1].ARN)

	for list, want := range map[string][]string{
		"GroupDetailList": {"g"}, "RoleDetailList": {"r"}, "UserDetailList": {"u"},
		// Of AWS's policies only what is in use.
		"Policies": {"p", "ViewOnlyAccess"},
	} {
		member := map[string]string{"Policies": "PolicyName"}[list]
		if member == "" {
			member = strings.TrimSuffix(list, "DetailList") + "Name"
		}
		if diff := cmp.Diff(want, w.pages("GetAccountAuthorizationDetails", list, member)); diff != "" {
			t.Errorf("%s: %s", list, diff)
		}
	}
	got := w.ok("GetAccountAuthorizationDetails")
	user := got.at("UserDetailList.member")
	if doc, _ := url.PathUnescape(user.child("UserPolicyList").children[0].child("PolicyDocument").text); doc != identityDoc {
		t.Errorf("inline policy %s", doc)
	}
	if user.child("GroupList").children[0].text != "g" || len(user.child("Tags").children) != 1 {
		t.Errorf("%+v", user)
	}
	role := got.at("RoleDetailList.member")
	if role.child("InstanceProfileList").children[0].child("InstanceProfileName").text != "i" {
		t.Errorf("%+v", role)
	}
	only := w.ok("GetAccountAuthorizationDetails", "Filter.member.1=LocalManagedPolicy")
	if got := only.members("Policies", "PolicyName"); !slices.Equal(got, []string{"p"}) {
		t.Errorf("filtered: %v", got)
	}
	if only.has("UserDetailList.member") {
		t.Error("the filter lets users pass")
	}
}

func TestAdministrator(t *testing.T) {
	w := newWorld(t, Quotas{})
	var id string
	var secret wire.Secret
	fresh := w.revision()
	keep := func(key string, of wire.Secret) error {
		if key == "" || w.revision() != fresh {
			t.Errorf("key %q is kept at revision %d, after it was stored", key, w.revision())
		}
		id, secret = key, of
		return nil
	}
	full := errors.New("the disk is full")
	if made, err := Administrator(context.Background(), w.cfg, w.account, "admin", func(string, wire.Secret) error { return full }); made || !errors.Is(err, full) || w.revision() != fresh {
		t.Errorf("an administrator whose key cannot be kept: %t, %v", made, err)
	}
	w.waited = 0
	made, err := Administrator(context.Background(), w.cfg, w.account, "admin", keep)
	if w.waited == 0 {
		t.Error("the administrator is made before it can do anything")
	}
	if err != nil || !made || len(id) != 20 || len(secret.Reveal()) != 40 {
		t.Fatalf("%s %v %v", id, made, err)
	}
	if got := w.ok("ListAttachedUserPolicies", "UserName=admin").members("AttachedPolicies", "PolicyArn"); !slices.Equal(got, []string{awsPolicies[0].ARN}) {
		t.Errorf("policies of the administrator: %v", got)
	}
	if got := w.ok("ListAccessKeys", "UserName=admin").members("AccessKeyMetadata", "AccessKeyId"); !slices.Equal(got, []string{id}) {
		t.Errorf("keys of the administrator: %v", got)
	}
	// Once only, even if the user is deleted.
	w.ok("DetachUserPolicy", "UserName=admin", "PolicyArn="+awsPolicies[0].ARN)
	w.ok("DeleteAccessKey", "UserName=admin", "AccessKeyId="+id)
	w.ok("DeleteUser", "UserName=admin")
	before := w.revision()
	if made, err := Administrator(context.Background(), w.cfg, w.account, "admin", keep); err != nil || made {
		t.Errorf("made a second time: %v %v", made, err)
	}
	if w.revision() != before {
		t.Error("the second time stored something")
	}
	// Without AWS's policies the administrator has the same permissions inline.
	bare := newWorld(t, Quotas{})
	cfg := bare.cfg
	cfg.AWSManaged = func() []ManagedInfo { return nil }
	kept := func(string, wire.Secret) error { return nil }
	if made, err := Administrator(context.Background(), cfg, bare.account, "root-like", kept); err != nil || !made {
		t.Fatal(err)
	}
	doc, _ := url.PathUnescape(bare.ok("GetUserPolicy", "UserName=root-like", "PolicyName=AdministratorAccess").text("PolicyDocument"))
	if doc != administratorDocument {
		t.Errorf("inline policy %s", doc)
	}
}

// What refers to each other is checked and written in one transaction: however
// the two calls meet, no attachment outlives its policy and no profile its role.
func TestReferencesHoldUnderConcurrency(t *testing.T) {
	w := newWorld(t, Quotas{})
	for i := range 20 {
		policy, role, user := fmt.Sprintf("p%d", i), fmt.Sprintf("r%d", i), fmt.Sprintf("u%d", i)
		w.ok("CreatePolicy", "PolicyName="+policy, "PolicyDocument="+identityDoc)
		w.ok("CreateUser", "UserName="+user)
		w.ok("CreateRole", "RoleName="+role, "AssumeRolePolicyDocument="+trustDoc)
		w.ok("CreateInstanceProfile", "InstanceProfileName="+role)
		var wg sync.WaitGroup
		for _, call := range [][]string{
			{"DeletePolicy", "PolicyArn=" + w.arn("policy/"+policy)},
			{"AttachUserPolicy", "UserName=" + user, "PolicyArn=" + w.arn("policy/"+policy)},
			{"DeleteRole", "RoleName=" + role},
			{"AddRoleToInstanceProfile", "InstanceProfileName=" + role, "RoleName=" + role},
		} {
			// A world of its own: the fakes are not made for two goroutines.
			one := newWorld(t, Quotas{})
			one.account, one.caller = w.account, w.caller
			wg.Go(func() { one.call(call[0], call[1:]...) })
		}
		wg.Wait()
		attached := len(w.ok("ListAttachedUserPolicies", "UserName="+user).members("AttachedPolicies", "PolicyArn"))
		kept := w.call("GetPolicy", "PolicyArn="+w.arn("policy/"+policy)).status == 200
		if kept != (attached == 1) {
			t.Fatalf("policy kept: %t, attached: %d", kept, attached)
		}
		held := w.ok("GetInstanceProfile", "InstanceProfileName="+role).has("InstanceProfile.Roles.member")
		if alive := w.call("GetRole", "RoleName="+role).status == 200; alive != held {
			t.Fatalf("role alive: %t, held: %t", alive, held)
		}
	}
}

// A write that is stored and not enforced in time is no success.
func TestUnavailable(t *testing.T) {
	w := newWorld(t, Quotas{})
	w.unpublished = fmt.Errorf("%w: too slow", store.ErrUnavailable)
	a := w.call("CreateUser", "UserName=u")
	if a.status != 503 || a.text("Error.Code") != "ServiceUnavailable" || a.text("Error.Type") != "Receiver" {
		t.Errorf("%d %s %s", a.status, a.text("Error.Code"), a.text("Error.Type"))
	}
	if strings.Contains(a.text("Error.Message"), "too slow") {
		t.Error("the cause is shown to the caller")
	}
}

// What can be attached by default is what snapshots enforce, and each policy is
// one that IAM itself would take.
func TestAWSManagedByDefault(t *testing.T) {
	s := newService(Config{})
	if s.awsManaged["arn:aws:iam::aws:policy/AdministratorAccess"] == nil {
		t.Fatal("no AdministratorAccess")
	}
	ids := map[string]bool{}
	for arn, p := range s.awsManaged {
		if p.ARN != arn || p.Account != "aws" || len(p.ID) != 21 || ids[p.ID] || p.Created.IsZero() || p.Default != "v1" {
			t.Errorf("%s: %+v", arn, p.Meta)
		}
		ids[p.ID] = true
		if err := s.checkManaged(p.DefaultDocument()); err != nil {
			t.Errorf("%s: %v", arn, err)
		}
		if _, name, ok, err := policyName(arn); err != nil || !ok || name != p.Name {
			t.Errorf("%s is not the ARN of %s", arn, p.Name)
		}
	}
}
