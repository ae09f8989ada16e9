package snapshot

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchwork/latchwork/internal/identity"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/store"
)

func TestIdentities(t *testing.T) {
	w := newWorld(t)
	user := &model.User{Meta: iamMeta("user", "alice"), Groups: []string{"Staff"}, Boundary: "arn:gone", Attachments: model.Attachments{
		Inline: map[string]string{"b": allow, "a": "{"}, Attached: []string{iamMeta("policy", "p").ARN, "arn:aws:iam::aws:policy/AWSDenyAll"},
	}}
	w.change(func(tx *store.Tx) error {
		return errors.Join(
			model.Users.Put(tx, model.IAMKey(account, "alice"), user),
			model.Groups.Put(tx, model.IAMKey(account, "staff"), &model.Group{Meta: iamMeta("group", "Staff"), Attachments: model.Attachments{Inline: map[string]string{"g": allow}, Attached: []string{iamMeta("policy", "p").ARN}}}),
			model.Policies.Put(tx, model.IAMKey(account, "p"), &model.ManagedPolicy{Meta: iamMeta("policy", "p"), Default: "v2", Versions: []model.PolicyVersion{{ID: "v1", Document: "{"}, {ID: "v2", Document: allow}}}),
			model.Roles.Put(tx, model.IAMKey(account, "r"), &model.Role{Meta: iamMeta("role", "r"), Trust: trust, MaxSession: 3600, Boundary: iamMeta("policy", "p").ARN}),
		)
	})
	names := func(s *Snapshot, e *Entity) string {
		out := ""
		for _, p := range s.IdentityPolicies(nil, e) {
			out += fmt.Sprintf("%s %t, ", p.Name, p.Compiled != nil)
		}
		return out
	}
	s := w.Current()
	alice, ok := s.EntityByARN(user.ARN)
	if !ok {
		t.Fatal("no user")
	}
	if got, want := names(s, alice), "a false, b true, p true, AWSDenyAll true, g true, p true, "; got != want {
		t.Errorf("policies %q, want %q", got, want)
	}
	if b := s.Boundary(alice); !alice.HasBoundary() || b == nil || b.Problem == nil {
		t.Errorf("a boundary that is not there is %+v", b)
	}
	wantProblems(t, s, "policy a")
	role := s.Entity(&identity.Principal{IssuerARN: iamMeta("role", "r").ARN, IssuerID: "IDr"})
	if role == nil || role.Trust.Compiled == nil || role.MaxSession != time.Hour || s.Boundary(role).Compiled == nil {
		t.Fatalf("role %+v", role)
	}
	if s.Entity(&identity.Principal{IssuerARN: iamMeta("role", "r").ARN, IssuerID: "of the one before"}) != nil {
		t.Error("a role that was made again is taken for the one before")
	}
	if s.Boundary(&Entity{}) != nil {
		t.Error("a boundary of nothing")
	}

	// What an entity refers to is looked up when it is asked for: a change of a
	// managed policy or a group touches no entity.
	s = remove(w, model.Policies, model.IAMKey(account, "p"))
	if got, want := names(s, alice), "a false, b true, "+iamMeta("policy", "p").ARN+" false, AWSDenyAll true, g true, "+iamMeta("policy", "p").ARN+" false, "; got != want {
		t.Errorf("without the managed policy %q, want %q", got, want)
	}
	s = remove(w, model.Groups, model.IAMKey(account, "staff"))
	if got := names(s, alice); !strings.HasSuffix(got, "group "+account+"/staff false, ") {
		t.Errorf("without the group %q", got)
	}
	s = spoil(w, model.Users, model.IAMKey(account, "alice"))
	wantProblems(t, s, "cannot be read")
	if _, ok := s.EntityByARN(user.ARN); ok {
		t.Error("a user that cannot be read is there")
	}
	want := map[string]int{
		"access_key": 0, "entity": 1, "policy": 0, "service": 0, "service_network": 0, "target_group": 0,
		"mesh": 0, "mesh_endpoint": 0, "oidc_provider": 0, "instance_profile": 0, "binding": 0, "cloud_map_service": 0,
	}
	if diff := cmp.Diff(want, s.Counts()); diff != "" {
		t.Errorf("counts: %s", diff)
	}
}

func TestKeys(t *testing.T) {
	w := newWorld(t)
	w.change(func(tx *store.Tx) error {
		return errors.Join(
			model.Users.Put(tx, model.IAMKey(account, "alice"), &model.User{Meta: iamMeta("user", "alice")}),
			model.AccessKeys.Put(tx, "AKIAROOT", &model.AccessKey{Meta: model.Meta{Account: account}, Sealed: []byte("r"), Active: true}),
			model.AccessKeys.Put(tx, "AKIAUSER", &model.AccessKey{Meta: model.Meta{Account: account}, User: "alice", UserID: "IDalice", Sealed: []byte("u")}),
			model.AccessKeys.Put(tx, "AKIABEFORE", &model.AccessKey{Meta: model.Meta{Account: account}, User: "alice", UserID: "IDbefore", Sealed: []byte("b")}),
			model.AccessKeys.Put(tx, "AKIABROKEN", &model.AccessKey{Meta: model.Meta{Account: account}, User: "alice", UserID: "IDalice"}),
		)
	})
	s := w.Current()
	root, _ := s.Key("AKIAROOT")
	if root == nil || !root.Active || root.Principal.Kind != identity.Root || root.Principal.ARN != "arn:aws:iam::"+account+":root" || root.Principal.UserID != account {
		t.Errorf("root's key %+v", root)
	}
	user, _ := s.Key("AKIAUSER")
	if user == nil || user.Active || string(user.Secret) != "u" || user.Principal.Kind != identity.User || user.Principal.ARN != iamMeta("user", "alice").ARN || user.Principal.AccessKeyID != "AKIAUSER" {
		t.Errorf("a user's key %+v", user)
	}
	if before, _ := s.Key("AKIABEFORE"); before == nil || before.Principal != nil {
		t.Errorf("the key of a user who was deleted and made again is %+v", before)
	}
	if _, ok := s.Key("AKIABROKEN"); ok {
		t.Error("a key whose secret cannot be decrypted is there")
	}
	wantProblems(t, s, "AKIABROKEN: the secret access key cannot be decrypted: nothing sealed")
	s = remove(w, model.Users, model.IAMKey(account, "alice"))
	if user, _ := s.Key("AKIAUSER"); user == nil || user.Principal != nil {
		t.Errorf("the key of a user who is gone is %+v", user)
	}
	if user.Principal == nil {
		t.Error("a published snapshot has changed")
	}
	// A secret that was there and cannot be decrypted any more is gone.
	s = put(w, model.AccessKeys, "AKIAROOT", &model.AccessKey{Meta: model.Meta{Account: account}, Active: true})
	if _, ok := s.Key("AKIAROOT"); ok {
		t.Error("the secret of before is still in force")
	}
	remove(w, model.AccessKeys, "AKIABROKEN")
	wantProblems(t, remove(w, model.AccessKeys, "AKIAROOT"))
}

// TestOIDCProvider: an issuer is found by the account and the whole URL.
func TestOIDCProvider(t *testing.T) {
	w := newWorld(t)
	const issuer = "https://oidc.example/id"
	key := model.OIDCProviderKey(account, model.OIDCProviderName(issuer))
	put(w, model.OIDCProviders, key, &model.OIDCProvider{URL: issuer, ClientIDs: []string{"sts.amazonaws.com"}})
	s := w.Current()
	if p, ok := s.OIDCProvider(account, issuer); !ok || p.ClientIDs[0] != "sts.amazonaws.com" {
		t.Errorf("%v %v", p, ok)
	}
	for _, c := range [][2]string{
		{"222222222222", issuer},
		{account, "http://oidc.example/id"},
		{account, "oidc.example/id"},
		{account, "https://oidc.example/ID"},
		{account, "https://oidc.example/id/"},
		{account, ""},
	} {
		if p, ok := s.OIDCProvider(c[0], c[1]); ok {
			t.Errorf("%v is %v", c, p)
		}
	}
	s = remove(w, model.OIDCProviders, key)
	if p, ok := s.OIDCProvider(account, issuer); ok {
		t.Errorf("after it is gone: %v", p)
	}
}
