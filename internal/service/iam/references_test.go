package iam

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/store"
)

// Whatever is called in whatever order, and refused or not: both sides of a
// membership say the same, and nothing refers to what is not there.
func TestReferencesAlwaysHold(t *testing.T) {
	outer := t
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(outer, Quotas{})
		name := func(kind string) string {
			return kind + fmt.Sprint(rapid.IntRange(0, 2).Draw(t, kind))
		}
		policy := func() string { return w.arn("policy/" + name("p")) }
		steps := []func() []string{
			func() []string { return []string{"CreateUser", "UserName=" + name("u")} },
			func() []string {
				return []string{"CreateUser", "UserName=" + name("u"), "PermissionsBoundary=" + policy()}
			},
			func() []string { return []string{"DeleteUser", "UserName=" + name("u")} },
			func() []string { return []string{"UpdateUser", "UserName=" + name("u"), "NewUserName=" + name("u")} },
			func() []string { return []string{"CreateAccessKey", "UserName=" + name("u")} },
			func() []string { return []string{"CreateGroup", "GroupName=" + name("g")} },
			func() []string { return []string{"DeleteGroup", "GroupName=" + name("g")} },
			func() []string { return []string{"UpdateGroup", "GroupName=" + name("g"), "NewGroupName=" + name("g")} },
			func() []string { return []string{"AddUserToGroup", "GroupName=" + name("g"), "UserName=" + name("u")} },
			func() []string {
				return []string{"RemoveUserFromGroup", "GroupName=" + name("g"), "UserName=" + name("u")}
			},
			func() []string {
				return []string{"CreatePolicy", "PolicyName=" + name("p"), "PolicyDocument=" + identityDoc}
			},
			func() []string { return []string{"DeletePolicy", "PolicyArn=" + policy()} },
			func() []string { return []string{"AttachUserPolicy", "UserName=" + name("u"), "PolicyArn=" + policy()} },
			func() []string { return []string{"DetachUserPolicy", "UserName=" + name("u"), "PolicyArn=" + policy()} },
			func() []string {
				return []string{"AttachGroupPolicy", "GroupName=" + name("g"), "PolicyArn=" + policy()}
			},
			func() []string {
				return []string{"CreateRole", "RoleName=" + name("r"), "AssumeRolePolicyDocument=" + trustDoc}
			},
			func() []string { return []string{"DeleteRole", "RoleName=" + name("r")} },
			func() []string { return []string{"CreateInstanceProfile", "InstanceProfileName=" + name("i")} },
			func() []string {
				return []string{"AddRoleToInstanceProfile", "InstanceProfileName=" + name("i"), "RoleName=" + name("r")}
			},
			func() []string {
				return []string{"RemoveRoleFromInstanceProfile", "InstanceProfileName=" + name("i"), "RoleName=" + name("r")}
			},
		}
		for _, call := range [][]string{
			{"CreatePolicy", "PolicyName=p0", "PolicyDocument=" + identityDoc},
			{"CreateUser", "UserName=u0"},
			{"CreateAccessKey", "UserName=u0"},
			{"CreateGroup", "GroupName=g0"},
			{"AddUserToGroup", "GroupName=g0", "UserName=u0"},
			{"CreateRole", "RoleName=r0", "AssumeRolePolicyDocument=" + trustDoc},
			{"CreateInstanceProfile", "InstanceProfileName=i0"},
			{"AddRoleToInstanceProfile", "InstanceProfileName=i0", "RoleName=r0"},
		} {
			w.ok(call[0], call[1:]...)
		}
		for _, step := range rapid.SliceOfN(rapid.IntRange(0, len(steps)-1), 1, 25).Draw(t, "steps") {
			call := steps[step]()
			if status := w.call(call[0], call[1:]...).status; status >= 500 {
				t.Fatalf("%v: %d", call, status)
			}
		}
		if err := shared.View(context.Background(), func(tx *store.Tx) error { return w.references(tx) }); err != nil {
			t.Fatal(err)
		}
	})
}

func (w *world) references(tx *store.Tx) error {
	s := newService(w.cfg)
	allUsers, err := users.all(tx, w.account)
	if err != nil {
		return err
	}
	allGroups, err := groups.all(tx, w.account)
	if err != nil {
		return err
	}
	attached := func(m *model.Meta, a *model.Attachments, boundary string) error {
		for _, arn := range append(slices.Clone(a.Attached), boundary) {
			if p, err := s.managed(tx, w.account, arn); arn != "" && (err != nil || p == nil) {
				return fmt.Errorf("%s refers to %s: %v", m.ARN, arn, err)
			}
		}
		return nil
	}
	for _, u := range allUsers {
		if err := attached(&u.Meta, &u.Attachments, u.Boundary); err != nil {
			return err
		}
		for _, name := range u.Groups {
			g, err := groups.get(tx, w.account, name)
			if err != nil || !slices.Contains(g.Members, u.Name) || g.Name != name {
				return fmt.Errorf("%s is in group %s, which does not say so: %v", u.ARN, name, err)
			}
		}
		for _, id := range u.AccessKeys {
			key, err := model.AccessKeys.Get(tx, id)
			if err != nil || key == nil || key.User != u.Name || key.UserID != u.ID {
				return fmt.Errorf("%s has key %s: %+v %v", u.ARN, id, key, err)
			}
		}
	}
	for _, g := range allGroups {
		if err := attached(&g.Meta, &g.Attachments, ""); err != nil {
			return err
		}
		for _, name := range g.Members {
			u, err := users.get(tx, w.account, name)
			if err != nil || !slices.Contains(u.Groups, g.Name) || u.Name != name {
				return fmt.Errorf("%s has member %s, who does not say so: %v", g.ARN, name, err)
			}
		}
	}
	keys, err := model.AccessKeys.List(tx, "")
	if err != nil {
		return err
	}
	for _, item := range keys {
		if item.Record.Account != w.account {
			continue
		}
		u, err := users.get(tx, w.account, item.Record.User)
		if err != nil || !slices.Contains(u.AccessKeys, item.ID) {
			return fmt.Errorf("key %s is of %s, who does not say so: %v", item.ID, item.Record.User, err)
		}
	}
	allProfiles, err := profiles.all(tx, w.account)
	if err != nil {
		return err
	}
	for _, p := range allProfiles {
		if _, err := hold(tx, p); err != nil {
			return fmt.Errorf("%s: %w", p.ARN, err)
		}
	}
	return nil
}
