package snapshot

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/store"
)

func TestInstances(t *testing.T) {
	w := newWorld(t)
	namespace := &model.Namespace{Meta: latticeMeta("ns-1", "namespace/")}
	namespace.Name = "shop.local"
	service := func(id, name string) *model.CloudMapService {
		v := &model.CloudMapService{Meta: latticeMeta(id, "service/"), Namespace: "ns-1", NamespaceName: "shop.local"}
		v.Name = name
		return v
	}
	instance := func(id string, healthy bool) *model.Instance {
		return &model.Instance{ID: id, Service: "srv-1", Healthy: healthy}
	}
	found := func(s *Snapshot) string {
		out := ""
		for _, name := range []string{"cart", "pay"} {
			v := s.CloudMapService(account, region, "shop.local", name)
			out += fmt.Sprint(name, " ", v != nil)
			if v != nil {
				for _, i := range v.Instances {
					out += fmt.Sprint(" ", i.ID, " ", i.Healthy)
				}
			}
			out += ", "
		}
		return out
	}
	for _, step := range []struct {
		name   string
		change func() *Snapshot
		want   string
	}{
		{"no namespace", func() *Snapshot { return put(w, model.CloudMapServices, scope.Key("srv-1"), service("srv-1", "cart")) }, "cart false, pay false, "},
		{"a namespace", func() *Snapshot { return put(w, model.Namespaces, scope.Key("ns-1"), namespace) }, "cart true, pay false, "},
		{"instances", func() *Snapshot {
			return w.change(func(tx *store.Tx) error {
				return errors.Join(
					model.Instances.Put(tx, scope.Key("srv-1", "pod/2"), instance("pod/2", false)),
					model.Instances.Put(tx, scope.Key("srv-1", "pod/1"), instance("pod/1", true)),
				)
			})
		}, "cart true pod/1 true pod/2 false, pay false, "},
		{"healthy", func() *Snapshot {
			return put(w, model.Instances, scope.Key("srv-1", "pod/2"), instance("pod/2", true))
		}, "cart true pod/1 true pod/2 true, pay false, "},
		{"another service", func() *Snapshot { return put(w, model.CloudMapServices, scope.Key("srv-2"), service("srv-2", "pay")) }, "cart true pod/1 true pod/2 true, pay true, "},
		{"an instance that cannot be read", func() *Snapshot { return spoil(w, model.Instances, scope.Key("srv-1", "pod/1")) }, "cart true pod/2 true, pay true, "},
		{"deregistered", func() *Snapshot { return remove(w, model.Instances, scope.Key("srv-1", "pod/2")) }, "cart true, pay true, "},
		{"a service gone", func() *Snapshot { return remove(w, model.CloudMapServices, scope.Key("srv-1")) }, "cart false, pay true, "},
		{"the namespace gone", func() *Snapshot { return remove(w, model.Namespaces, scope.Key("ns-1")) }, "cart false, pay false, "},
	} {
		before := w.Current()
		was := ""
		if before != nil {
			was = found(before)
		}
		if diff := cmp.Diff(step.want, found(step.change())); diff != "" {
			t.Errorf("%s: %s", step.name, diff)
		}
		if before != nil && found(before) != was {
			t.Errorf("%s: a published snapshot has changed", step.name)
		}
		wantNamespace := step.name != "no namespace" && step.name != "the namespace gone"
		if n := w.Current().Namespace(account, region, "shop.local"); (n != nil) != wantNamespace || n != nil && n.ID != "ns-1" {
			t.Errorf("%s: the namespace is %v", step.name, n)
		}
		for _, of := range []struct{ account, region string }{{"222222222222", region}, {account, "eu-west-1"}} {
			if w.Current().CloudMapService(of.account, of.region, "shop.local", "cart") != nil || w.Current().Namespace(of.account, of.region, "shop.local") != nil {
				t.Errorf("%s: found in %v", step.name, of)
			}
		}
	}
}
