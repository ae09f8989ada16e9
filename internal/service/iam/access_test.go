package iam

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchwork/latchwork/internal/awsapi"
	"github.com/latchwork/latchwork/internal/identity"
)

func key(name string, values ...string) awsapi.Key { return awsapi.Key{Name: name, Values: values} }

func multi(name string, values ...string) awsapi.Key {
	return awsapi.Key{Name: name, Values: values, Multi: true}
}

// What a caller must be allowed to do, by operation.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html
func TestAccessRows(t *testing.T) {
	w := newWorld(t, Quotas{})
	w.ok("CreatePolicy", "PolicyName=limit", "Path=/b/", "PolicyDocument="+identityDoc, "Tags.member.1.Key=p", "Tags.member.1.Value=q")
	limit := w.arn("policy/b/limit")
	w.ok("CreateUser", "UserName=Alice", "Path=/x/", "PermissionsBoundary="+limit, "Tags.member.1.Key=Dept", "Tags.member.1.Value=ops")
	w.ok("CreateUser", "UserName=admin", "Path=/adm/")
	w.ok("CreateGroup", "GroupName=Dev", "Path=/g/")
	w.ok("CreateRole", "RoleName=App", "Path=/r/", "AssumeRolePolicyDocument="+trustDoc, "PermissionsBoundary="+limit)
	w.ok("CreateInstanceProfile", "InstanceProfileName=Box", "Path=/i/")
	issuer := w.ok("CreateOpenIDConnectProvider", "Url=https://oidc.example/id", "Tags.member.1.Key=p", "Tags.member.1.Value=q").text("OpenIDConnectProviderArn")
	id := w.ok("CreateAccessKey", "UserName=alice").text("AccessKey.AccessKeyId")
	admin := awsPolicies[0].ARN
	tags := []awsapi.Key{key("aws:ResourceTag/Dept", "ops"), key("iam:ResourceTag/Dept", "ops")}
	bounded := key("iam:PermissionsBoundary", limit)
	alice := func(keys ...awsapi.Key) []awsapi.Resource {
		return []awsapi.Resource{{ARN: w.arn("user/x/Alice"), Keys: append(append([]awsapi.Key{}, tags...), keys...)}}
	}
	plain := func(arn string, keys ...awsapi.Key) []awsapi.Resource {
		return []awsapi.Resource{{ARN: arn, Keys: keys}}
	}
	tagged := func(action, arn string, keys ...awsapi.Key) []awsapi.Resource {
		return append(plain(arn, keys...), awsapi.Resource{Action: action, ARN: arn, Keys: keys})
	}
	newTag := []string{"Tags.member.1.Key=k", "Tags.member.1.Value=v"}
	for _, c := range []struct {
		op   string
		args []string
		want []awsapi.Resource
	}{
		// The ARN is the entity's own, whatever spelling the caller uses.
		{"GetUser", []string{"UserName=ALICE"}, alice()},
		{"GetUser", nil, plain(w.arn("user/adm/admin"))},
		{"GetUser", []string{"UserName=nobody"}, plain(w.arn("user/nobody"))},
		{"DeleteUser", []string{"UserName=alice"}, alice()},
		{"ListUsers", nil, plain("*")},
		{
			"CreateUser", append([]string{"UserName=New", "Path=/n/", "PermissionsBoundary=" + limit}, newTag...),
			tagged("iam:TagUser", w.arn("user/n/New"), bounded, key("aws:RequestTag/k", "v"), multi("aws:TagKeys", "k")),
		},
		{"CreateUser", []string{"UserName=New"}, plain(w.arn("user/New"))},
		{"UpdateUser", []string{"UserName=alice", "NewUserName=Eve"}, append(alice(), awsapi.Resource{ARN: w.arn("user/x/Eve"), Keys: tags})},
		{"UpdateUser", []string{"UserName=alice", "NewPath=/z/"}, append(alice(), awsapi.Resource{ARN: w.arn("user/z/Alice"), Keys: tags})},
		{"TagUser", append([]string{"UserName=alice"}, newTag...), alice(key("aws:RequestTag/k", "v"), multi("aws:TagKeys", "k"))},
		{"UntagUser", []string{"UserName=alice", "TagKeys.member.1=Dept"}, alice(multi("aws:TagKeys", "Dept"))},
		{"PutUserPolicy", []string{"UserName=alice", "PolicyName=p", "PolicyDocument=" + identityDoc}, alice(bounded)},
		{"DeleteUserPolicy", []string{"UserName=alice", "PolicyName=p"}, alice(bounded)},
		{"AttachUserPolicy", []string{"UserName=alice", "PolicyArn=" + admin}, alice(key("iam:PolicyARN", admin), bounded)},
		{"DetachUserPolicy", []string{"UserName=alice", "PolicyArn=" + admin}, alice(key("iam:PolicyARN", admin), bounded)},
		{"PutUserPermissionsBoundary", []string{"UserName=alice", "PermissionsBoundary=" + admin}, alice(key("iam:PermissionsBoundary", admin))},
		{"DeleteUserPermissionsBoundary", []string{"UserName=alice"}, alice(bounded)},
		{"CreateAccessKey", []string{"UserName=alice"}, alice()},
		{"CreateAccessKey", nil, plain(w.arn("user/adm/admin"))},
		{"UpdateAccessKey", []string{"UserName=alice", "AccessKeyId=" + id, "Status=Active"}, alice()},
		{"GetAccessKeyLastUsed", []string{"AccessKeyId=" + id}, alice()},
		{"GetAccessKeyLastUsed", []string{"AccessKeyId=AKIAIOSFODNN7EXAMPLE"}, plain(w.arn("user/*"))},
		{"CreateGroup", []string{"GroupName=New"}, plain(w.arn("group/New"))},
		{"AddUserToGroup", []string{"GroupName=DEV", "UserName=alice"}, plain(w.arn("group/g/Dev"))},
		{"AttachGroupPolicy", []string{"GroupName=dev", "PolicyArn=" + admin}, plain(w.arn("group/g/Dev"), key("iam:PolicyARN", admin))},
		{"UpdateGroup", []string{"GroupName=dev", "NewGroupName=Ops"}, append(plain(w.arn("group/g/Dev")), awsapi.Resource{ARN: w.arn("group/g/Ops")})},
		{"CreateRole", []string{"RoleName=New", "AssumeRolePolicyDocument=" + trustDoc, "PermissionsBoundary=" + limit}, plain(w.arn("role/New"), bounded)},
		{"UpdateAssumeRolePolicy", []string{"RoleName=app", "PolicyDocument=" + trustDoc}, plain(w.arn("role/r/App"))},
		{"AttachRolePolicy", []string{"RoleName=app", "PolicyArn=" + admin}, plain(w.arn("role/r/App"), key("iam:PolicyARN", admin), bounded)},
		{"ListInstanceProfilesForRole", []string{"RoleName=app"}, plain(w.arn("role/r/App"))},
		{
			"AddRoleToInstanceProfile",
			[]string{"InstanceProfileName=box", "RoleName=app"},
			append(plain(w.arn("instance-profile/i/Box")), awsapi.Resource{
				Action: "iam:PassRole", ARN: w.arn("role/r/App"), Keys: []awsapi.Key{key("iam:PassedToService", "ec2.amazonaws.com")},
			}),
		},
		{
			"CreateRole", append([]string{"RoleName=New", "AssumeRolePolicyDocument=" + trustDoc}, newTag...),
			tagged("iam:TagRole", w.arn("role/New"), key("aws:RequestTag/k", "v"), multi("aws:TagKeys", "k")),
		},
		{
			"CreateInstanceProfile", append([]string{"InstanceProfileName=New"}, newTag...),
			tagged("iam:TagInstanceProfile", w.arn("instance-profile/New"), key("aws:RequestTag/k", "v"), multi("aws:TagKeys", "k")),
		},
		{
			"CreatePolicy", append([]string{"PolicyName=New", "Path=/p/", "PolicyDocument=" + identityDoc}, newTag...),
			tagged("iam:TagPolicy", w.arn("policy/p/New"), key("aws:RequestTag/k", "v"), multi("aws:TagKeys", "k")),
		},
		{"GetPolicy", []string{"PolicyArn=" + limit}, plain(limit, key("aws:ResourceTag/p", "q"), key("iam:ResourceTag/p", "q"))},
		{"CreatePolicyVersion", []string{"PolicyArn=" + admin, "PolicyDocument=" + identityDoc}, plain(admin)},
		{"ListPolicies", nil, plain("*")},
		{"GetAccountSummary", nil, plain("*")},
		{"ListOpenIDConnectProviders", nil, plain("*")},
		{
			"CreateOpenIDConnectProvider", append([]string{"Url=https://new.example/Id"}, newTag...),
			tagged("iam:TagOpenIDConnectProvider", w.arn("oidc-provider/new.example/Id"), key("aws:RequestTag/k", "v"), multi("aws:TagKeys", "k")),
		},
		{"GetOpenIDConnectProvider", []string{"OpenIDConnectProviderArn=" + issuer}, plain(issuer, key("aws:ResourceTag/p", "q"), key("iam:ResourceTag/p", "q"))},
		{"DeleteOpenIDConnectProvider", []string{"OpenIDConnectProviderArn=" + w.arn("oidc-provider/none")}, plain(w.arn("oidc-provider/none"))},
		{
			"UntagOpenIDConnectProvider",
			[]string{"OpenIDConnectProviderArn=" + issuer, "TagKeys.member.1=p"},
			plain(issuer, key("aws:ResourceTag/p", "q"), key("iam:ResourceTag/p", "q"), multi("aws:TagKeys", "p")),
		},
		{"CreateAccountAlias", []string{"AccountAlias=abc"}, plain("*")},
	} {
		w.refuse, w.asked = true, nil
		before := w.revision()
		a := w.call(c.op, c.args...)
		if a.status != 403 || a.text("Error.Code") != "AccessDenied" || len(w.asked) != 1 || w.asked[0].Action != "iam:"+c.op {
			t.Errorf("%s: %d %s, asked %d times", c.op, a.status, a.text("Error.Code"), len(w.asked))
			continue
		}
		if diff := cmp.Diff(c.want, w.asked[0].Resources); diff != "" {
			t.Errorf("%s %v: %s", c.op, c.args, diff)
		}
		if w.revision() != before {
			t.Errorf("%s was denied and stored something", c.op)
		}
	}
}

// Every operation that is built has a row, and no row lets a call through
// undecided.
func TestEveryRowDecides(t *testing.T) {
	w := newWorld(t, Quotas{})
	binding := New(w.cfg)
	if built := len(binding.Operations) - len(binding.Unbuilt()); len(binding.Access) != built {
		t.Errorf("%d operations and %d rows", built, len(binding.Access))
	}
	for name, row := range binding.Access {
		if row.Exempt != "" || row.Action != "iam:"+name || row.Resources == nil {
			t.Errorf("row of %s: %+v", name, row)
		}
	}
}

// https://docs.aws.amazon.com/STS/latest/APIReference/API_GetSessionToken.html, Permissions
func TestTemporaryCredentialsAndIAM(t *testing.T) {
	for _, c := range []struct {
		name    string
		kind    identity.Kind
		session *identity.Session
		refused bool
	}{
		{"user", identity.User, nil, false},
		{"GetSessionToken", identity.User, &identity.Session{}, true},
		{"GetSessionToken with MFA", identity.User, &identity.Session{MFAAt: now}, false},
		{"root's GetSessionToken", identity.Root, &identity.Session{}, true},
		{"GetFederationToken", identity.FederatedUser, &identity.Session{MFAAt: now}, true},
		{"AssumeRole", identity.AssumedRole, &identity.Session{}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, Quotas{})
			p := *w.caller
			p.Kind, p.Session = c.kind, c.session
			w.caller = &p
			if !c.refused {
				w.ok("ListUsers")
				return
			}
			w.fails(403, "InvalidClientTokenId", "The security token included in the request is invalid.", "ListUsers")
			if len(w.asked) != 0 {
				t.Error("came to the decision")
			}
		})
	}
}
