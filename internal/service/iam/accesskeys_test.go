package iam

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchwork/latchwork/internal/identity"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/store"
)

func (w *world) storedKey(id string) *model.AccessKey {
	w.t.Helper()
	var key *model.AccessKey
	err := shared.View(context.Background(), func(tx *store.Tx) (err error) {
		key, err = model.AccessKeys.Get(tx, id)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return key
}

func TestAccessKeyLifecycle(t *testing.T) {
	w := newWorld(t, Quotas{})
	user := w.ok("CreateUser", "UserName=Alice")
	made := w.ok("CreateAccessKey", "UserName=alice")
	id, secret := made.text("AccessKey.AccessKeyId"), made.text("AccessKey.SecretAccessKey")
	if len(id) != 20 || id[:4] != "AKIA" || len(secret) != 40 || made.text("AccessKey.Status") != "Active" || made.text("AccessKey.UserName") != "Alice" {
		t.Errorf("%+v", made.root)
	}
	key := w.storedKey(id)
	if string(key.Sealed) != id+":"+secret {
		t.Errorf("sealed as %q: the id must be the associated data", key.Sealed)
	}
	if key.User != "Alice" || key.UserID != user.text("User.UserId") || key.Account != w.account || !key.Active {
		t.Errorf("%+v", key)
	}
	second := w.ok("CreateAccessKey", "UserName=alice").text("AccessKey.AccessKeyId")
	w.fails(409, "LimitExceeded", "Cannot exceed quota for AccessKeysPerUser: 2", "CreateAccessKey", "UserName=alice")
	got := w.pages("ListAccessKeys", "AccessKeyMetadata", "AccessKeyId", "UserName=alice")
	want := []string{id, second}
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	w.ok("UpdateAccessKey", "UserName=alice", "AccessKeyId="+id, "Status=Inactive")
	if w.storedKey(id).Active {
		t.Error("the key is still active")
	}
	w.fails(400, "InvalidInput", "An access key can be made Active or Inactive.", "UpdateAccessKey", "UserName=alice", "AccessKeyId="+id, "Status=Expired")

	// A key is found only at its owner.
	w.ok("CreateUser", "UserName=bob")
	none := "The Access Key with id " + id + " cannot be found."
	w.fails(404, "NoSuchEntity", none, "UpdateAccessKey", "UserName=bob", "AccessKeyId="+id, "Status=Active")
	w.fails(404, "NoSuchEntity", none, "DeleteAccessKey", "UserName=bob", "AccessKeyId="+id)
	w.ok("DeleteAccessKey", "UserName=alice", "AccessKeyId="+id)
	if w.storedKey(id) != nil {
		t.Error("the key is still stored")
	}
	w.fails(404, "NoSuchEntity", none, "DeleteAccessKey", "UserName=alice", "AccessKeyId="+id)
	w.fails(404, "NoSuchEntity", "The user with name nobody cannot be found.", "CreateAccessKey", "UserName=nobody")
}

func TestOwnAccessKeys(t *testing.T) {
	w := newWorld(t, Quotas{})
	w.ok("CreateUser", "UserName=admin")
	id := w.ok("CreateAccessKey").text("AccessKey.AccessKeyId")
	if got := w.ok("ListAccessKeys").members("AccessKeyMetadata", "UserName"); !slices.Equal(got, []string{"admin"}) {
		t.Errorf("own keys: %v", got)
	}
	w.ok("UpdateAccessKey", "AccessKeyId="+id, "Status=Inactive")
	w.ok("DeleteAccessKey", "AccessKeyId="+id)

	w.caller = &identity.Principal{Kind: identity.Root, Account: w.account, ARN: w.arn("root"), IssuerID: w.account}
	id = w.ok("CreateAccessKey").text("AccessKey.AccessKeyId")
	if key := w.storedKey(id); key.User != "" || key.UserID != "" {
		t.Errorf("root's key: %+v", key)
	}
	if got := w.ok("ListAccessKeys").members("AccessKeyMetadata", "AccessKeyId"); !slices.Equal(got, []string{id}) {
		t.Errorf("root's keys: %v", got)
	}
	w.ok("DeleteAccessKey", "AccessKeyId="+id)
}

func TestAccessKeyLastUsed(t *testing.T) {
	w := newWorld(t, Quotas{})
	w.ok("CreateUser", "UserName=u")
	id := w.ok("CreateAccessKey", "UserName=u").text("AccessKey.AccessKeyId")
	got := w.ok("GetAccessKeyLastUsed", "AccessKeyId="+id)
	if got.text("UserName") != "u" || got.text("AccessKeyLastUsed.ServiceName") != "N/A" || got.has("AccessKeyLastUsed.LastUsedDate") {
		t.Errorf("%+v", got.root)
	}
	w.lastUsed = map[string]LastUsed{id: {At: now.Add(-time.Hour), Service: "vpc-lattice", Region: "us-west-2"}}
	got = w.ok("GetAccessKeyLastUsed", "AccessKeyId="+id)
	for path, want := range map[string]string{
		"AccessKeyLastUsed.LastUsedDate": "2026-11-21T09:00:00Z", "AccessKeyLastUsed.ServiceName": "vpc-lattice", "AccessKeyLastUsed.Region": "us-west-2",
	} {
		if got.text(path) != want {
			t.Errorf("%s = %q, want %q", path, got.text(path), want)
		}
	}
	other := newWorld(t, Quotas{})
	other.fails(403, "AccessDenied", "User is not authorized to access this resource", "GetAccessKeyLastUsed", "AccessKeyId="+id)
}
