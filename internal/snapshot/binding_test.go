package snapshot

import (
	"net/netip"
	"testing"

	"github.com/latchwork/latchwork/internal/model"
)

// TestBindings: workloads are found by what they show and by where they are.
func TestBindings(t *testing.T) {
	w := newWorld(t)
	put(w, model.Groups, model.IAMKey(account, "g"), &model.Group{})
	if s := w.Current(); s.Task("a") != nil || s.Instance(netip.MustParseAddr("127.0.0.1")) != nil {
		t.Error("something is bound before anything is stored")
	}
	bind := func(b model.Binding) {
		b.Account, b.Region = account, region
		put(w, model.Bindings, model.Scope{Account: account, Region: region}.Key(b.ID), &b)
	}
	bind(model.Binding{Meta: model.Meta{ID: "task"}, Kind: model.ECSTask, CredentialHash: model.SecretHash("a")})
	bind(model.Binding{Meta: model.Meta{ID: "broken"}, Kind: model.ECSTask})
	bind(model.Binding{Meta: model.Meta{ID: "i-1"}, Kind: model.EC2Instance, Address: netip.MustParseAddr("10.0.0.1")})
	bind(model.Binding{Meta: model.Meta{ID: "i-2"}, Kind: model.EC2Instance})
	s := w.Current()
	if b := s.Task("a"); b == nil || b.ID != "task" {
		t.Errorf("task %v", b)
	}
	for _, id := range []string{"", "b", string(model.SecretHash("a"))} {
		if b := s.Task(id); b != nil {
			t.Errorf("%q is %v", id, b)
		}
	}
	for addr, want := range map[string]string{
		"10.0.0.1": "i-1", "::ffff:10.0.0.1": "i-1", "127.0.0.1": "i-2", "127.0.0.9": "i-2", "::1": "i-2", "10.0.0.2": "", "::": "",
	} {
		got := ""
		if b := s.Instance(netip.MustParseAddr(addr)); b != nil {
			got = b.ID
		}
		if got != want {
			t.Errorf("%s is %q, want %q", addr, got, want)
		}
	}
	// Of two without an address nobody can tell which is meant.
	bind(model.Binding{Meta: model.Meta{ID: "i-3"}, Kind: model.EC2Instance})
	if b := w.Current().Instance(netip.MustParseAddr("127.0.0.1")); b != nil {
		t.Errorf("one of two: %v", b)
	}
	bind(model.Binding{Meta: model.Meta{ID: "i-3"}, Kind: model.EC2Instance, Address: netip.MustParseAddr("127.0.0.2")})
	s = w.Current()
	for addr, want := range map[string]string{"127.0.0.1": "i-2", "127.0.0.2": "i-3"} {
		if b := s.Instance(netip.MustParseAddr(addr)); b == nil || b.ID != want {
			t.Errorf("%s is %v, want %s", addr, b, want)
		}
	}
	s = remove(w, model.Bindings, model.Scope{Account: account, Region: region}.Key("task"))
	if b := s.Task("a"); b != nil {
		t.Errorf("after it is gone: %v", b)
	}
}

func TestInstanceProfile(t *testing.T) {
	w := newWorld(t)
	arn := "arn:aws:iam::" + account + ":instance-profile/Box"
	roleARN := "arn:aws:iam::" + account + ":role/r/App"
	put(w, model.Roles, model.IAMKey(account, "App"), &model.Role{Meta: model.Meta{ARN: roleARN, ID: "AROA1", Name: "App", Account: account}, Trust: "{}"})
	put(w, model.Profiles, model.IAMKey(account, "Box"), &model.InstanceProfile{Meta: model.Meta{ARN: arn, Name: "Box", Account: account}})
	if p, ok := w.Current().InstanceProfile(arn); !ok || p.RoleARN != "" {
		t.Errorf("without a role: %v", p)
	}
	put(w, model.Profiles, model.IAMKey(account, "Box"), &model.InstanceProfile{Meta: model.Meta{ARN: arn, Name: "Box", Account: account}, Role: "App"})
	if p, ok := w.Current().InstanceProfile(arn); !ok || p.RoleARN != roleARN {
		t.Errorf("with a role: %v", p)
	}
	s := remove(w, model.Profiles, model.IAMKey(account, "Box"))
	if p, ok := s.InstanceProfile(arn); ok {
		t.Errorf("after it is gone: %v", p)
	}
}
