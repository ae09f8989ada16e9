package iam

import (
	"context"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/latchwork/latchwork/internal/authz"
	"github.com/latchwork/latchwork/internal/clock"
	"github.com/latchwork/latchwork/internal/identity"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/policy"
	"github.com/latchwork/latchwork/internal/snapshot"
)

// enforced decides on what the test's calls have stored.
type enforced struct {
	*world
	publisher *snapshot.Publisher
}

func enforce(t *testing.T, w *world) enforced {
	p := snapshot.NewPublisher(snapshot.Config{
		Backend: shared.Backend(), Clock: clock.Fixed(now), Log: slog.New(slog.DiscardHandler),
		Settings:   snapshot.Settings{Partition: "aws", DefaultAccount: w.account},
		OpenSecret: func(*model.AccessKey) ([]byte, error) { return []byte("x"), nil },
	})
	go p.Run(t.Context())
	return enforced{w, p}
}

// trusts tells whether a role's trust policy lets the holder of an ARN, who is in
// force now, assume it.
func (e enforced) trusts(role, arn string) bool {
	e.t.Helper()
	ctx, cancel := context.WithTimeout(e.t.Context(), 10*time.Second)
	defer cancel()
	if err := e.publisher.WaitFor(ctx, e.revision()); err != nil {
		e.t.Fatal(err)
	}
	snap := e.publisher.Current()
	r, ok := snap.EntityByARN(role)
	who, found := snap.EntityByARN(arn)
	if !ok || !found {
		e.t.Fatalf("%s is there: %t, %s: %t", role, ok, arn, found)
	}
	p := &identity.Principal{Kind: who.Kind, Partition: "aws", Account: who.Account, ARN: arn, IssuerARN: arn, IssuerID: who.ID, UserID: who.ID, Name: who.Name}
	if who.Kind == identity.AssumedRole {
		p.ARN, p.UserID, p.Session = "arn:aws:sts::"+who.Account+":assumed-role/"+who.Name+"/s", who.ID+":s", &identity.Session{Name: "s"}
	}
	return authz.Decide(snap, &authz.Query{
		Request: policy.Request{Principal: p, Action: "sts:AssumeRole", Resource: r.ARN, Keys: policy.MapKeys{}},
		Account: r.Account, Policy: r.Trust, Required: true,
	}).Allowed
}

// trustShown is the trust policy of a role, and fails if not all answers that have
// it agree.
func (w *world) trustShown(role string) string {
	w.t.Helper()
	text, _ := url.PathUnescape(w.ok("GetRole", "RoleName="+role).text("Role.AssumeRolePolicyDocument"))
	for what, other := range map[string]string{
		"ListRoles":                      w.ok("ListRoles", "PathPrefix=/trusting/").text("Roles.member.AssumeRolePolicyDocument"),
		"GetInstanceProfile":             w.ok("GetInstanceProfile", "InstanceProfileName=p").text("InstanceProfile.Roles.member.AssumeRolePolicyDocument"),
		"UpdateRoleDescription":          w.ok("UpdateRoleDescription", "RoleName="+role, "Description=d").text("Role.AssumeRolePolicyDocument"),
		"GetAccountAuthorizationDetails": w.ok("GetAccountAuthorizationDetails", "Filter.member.1=Role", "MaxItems=1").text("RoleDetailList.member.AssumeRolePolicyDocument"),
	} {
		if other, _ = url.PathUnescape(other); other != text {
			w.t.Errorf("%s shows %s and GetRole %s", what, other, text)
		}
	}
	return text
}

// TestTrustIsInOneEntity: a user or role that is made again under the name of
// another is not trusted as that one was; one that is renamed is.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
func TestTrustIsInOneEntity(t *testing.T) {
	w := newWorld(t, Quotas{})
	e := enforce(t, w)
	alice, worker, deploy := w.arn("user/alice"), w.arn("role/worker"), w.arn("role/trusting/deploy")
	const elsewhere = "arn:aws:iam::000000000001:user/u"
	document := `{"Version" : "2012-10-17", "Statement":[
		{"Effect":"Allow","Principal":{"AWS":["` + alice + `", "` + elsewhere + `"]},"Action":"sts:AssumeRole"},
		{"Effect":"Allow","Principal":{"AWS":"` + worker + `"},"Action":"sts:AssumeRole","Condition":{"StringNotEquals":{"aws:PrincipalArn":"` + alice + `"}}}]}`
	w.ok("CreateUser", "UserName=alice")
	w.ok("CreateRole", "RoleName=worker", "AssumeRolePolicyDocument="+trustDoc)
	made := w.ok("CreateRole", "RoleName=deploy", "Path=/trusting/", "AssumeRolePolicyDocument="+document)
	if text, _ := url.PathUnescape(made.text("Role.AssumeRolePolicyDocument")); text != document {
		t.Errorf("CreateRole shows %s", text)
	}
	w.ok("CreateInstanceProfile", "InstanceProfileName=p")
	w.ok("AddRoleToInstanceProfile", "InstanceProfileName=p", "RoleName=deploy")
	shows := func(what, want string) {
		t.Helper()
		if got := w.trustShown("deploy"); got != want {
			t.Errorf("%s: shown is %s\nwant %s", what, got, want)
		}
	}
	trusts := func(arn string, want bool) {
		t.Helper()
		if got := e.trusts(deploy, arn); got != want {
			t.Errorf("trusts %s: %t", arn, got)
		}
	}
	shows("at first", document)
	trusts(alice, true)
	trusts(worker, true)

	w.ok("UpdateUser", "UserName=alice", "NewUserName=bob", "NewPath=/x/")
	trusts(w.arn("user/x/bob"), true)
	shows("renamed", strings.Replace(document, alice, w.arn("user/x/bob"), 1))
	w.ok("CreateUser", "UserName=alice")
	trusts(alice, false)
	w.ok("DeleteUser", "UserName=alice")
	w.ok("UpdateUser", "UserName=bob", "NewUserName=alice", "NewPath=/")
	trusts(alice, true)

	aliceID, workerID := w.ok("GetUser", "UserName=alice").text("User.UserId"), w.ok("GetRole", "RoleName=worker").text("Role.RoleId")
	w.ok("DeleteUser", "UserName=alice")
	w.ok("DeleteRole", "RoleName=worker")
	gone := strings.Replace(strings.Replace(document, alice, aliceID, 1), worker, workerID, 1)
	shows("deleted", gone)
	w.ok("CreateUser", "UserName=alice")
	w.ok("CreateRole", "RoleName=worker", "AssumeRolePolicyDocument="+trustDoc)
	trusts(alice, false)
	trusts(worker, false)
	shows("made again", gone)

	w.ok("UpdateAssumeRolePolicy", "RoleName=deploy", "PolicyDocument="+document)
	trusts(alice, true)
	trusts(worker, true)
	shows("trusted again", document)
}

// TestTrustOfAnotherAccount: an entity of another account that is there is bound
// like one of the own; one that is not stays the ARN that it is.
func TestTrustOfAnotherAccount(t *testing.T) {
	w, other := newWorld(t, Quotas{}), newWorld(t, Quotas{})
	e := enforce(t, w)
	there, later := other.arn("user/there"), other.arn("user/later")
	other.ok("CreateUser", "UserName=there")
	w.ok("CreateRole", "RoleName=r", `AssumeRolePolicyDocument={"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":["`+there+`","`+later+`"]},"Action":"sts:AssumeRole"}}`)
	other.ok("CreateUser", "UserName=later")
	for _, name := range []string{"there", "later"} {
		other.ok("PutUserPolicy", "UserName="+name, "PolicyName=p", "PolicyDocument="+administratorDocument)
	}
	trusts := func(arn string, want bool) {
		t.Helper()
		if got := e.trusts(w.arn("role/r"), arn); got != want {
			t.Errorf("trusts %s: %t", arn, got)
		}
	}
	trusts(there, true)
	trusts(later, true)
	other.ok("DeleteUserPolicy", "UserName=there", "PolicyName=p")
	other.ok("DeleteUser", "UserName=there")
	other.ok("CreateUser", "UserName=there")
	other.ok("PutUserPolicy", "UserName=there", "PolicyName=p", "PolicyDocument="+administratorDocument)
	trusts(there, false)
}
