package snapshot

import (
	"slices"
	"testing"

	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/store"
)

func meshMeta(owner, resourceOwner, path, name string) model.MeshMeta {
	m := model.MeshMeta{Mesh: "m", MeshOwner: owner, Version: 1}
	m.Name, m.Account, m.Region = name, resourceOwner, region
	m.ARN = model.Scope{Partition: "aws", Account: resourceOwner, Region: region}.ARN(model.MeshService, "mesh/m"+path)
	return m
}

// TestSharedMesh: the account in an endpoint's ARN is that of its owner, who may
// have a mesh of the same name as the one that was shared with it.
func TestSharedMesh(t *testing.T) {
	const other = "222222222222"
	w := newWorld(t)
	node := func(owner string) *model.VirtualNode {
		return &model.VirtualNode{MeshMeta: meshMeta(owner, account, "/virtualNode/n", "n")}
	}
	s := w.change(func(tx *store.Tx) error {
		if err := model.Meshes.Put(tx, model.MeshKey(other, region, "m"), &model.Mesh{MeshMeta: meshMeta(other, other, "", "m")}); err != nil {
			return err
		}
		return model.VirtualNodes.Put(tx, model.MeshKey(other, region, "m", "n"), node(other))
	})
	arn := node(other).ARN
	shared := s.MeshOf(arn, "")
	if shared == nil || shared.MeshOwner != other || s.MeshOf(arn, account) != nil {
		t.Fatalf("the shared mesh is %v", shared)
	}
	s = w.change(func(tx *store.Tx) error {
		if err := model.Meshes.Put(tx, model.MeshKey(account, region, "m"), &model.Mesh{MeshMeta: meshMeta(account, account, "", "m")}); err != nil {
			return err
		}
		return model.VirtualNodes.Put(tx, model.MeshKey(account, region, "m", "n"), node(account))
	})
	if own := s.MeshOf(arn, ""); own == nil || own.MeshOwner != account {
		t.Errorf("the account's own mesh does not come first: %v", own)
	}
	if m := s.MeshOf(arn, other); m != shared {
		t.Error("the shared mesh was made anew although nothing in it changed, or is not found any more")
	}
	s = remove(w, model.VirtualNodes, model.MeshKey(account, region, "m", "n"))
	if m := s.MeshOf(arn, ""); m != shared || m.Node("n") == nil {
		t.Errorf("after the own node is gone: %v", m)
	}
	s = remove(w, model.Meshes, model.MeshKey(other, region, "m"))
	if m := s.MeshOf(arn, ""); m != nil {
		t.Errorf("a node of a mesh that is gone is in %v", m)
	}
}

// TestMeshMadeAnew: a change makes the mesh anew and leaves the records that did
// not change.
func TestMeshMadeAnew(t *testing.T) {
	w := newWorld(t)
	put(w, model.Meshes, model.MeshKey(account, region, "m"), &model.Mesh{MeshMeta: meshMeta(account, account, "", "m")})
	put(w, model.VirtualNodes, model.MeshKey(account, region, "m", "n"), &model.VirtualNode{MeshMeta: meshMeta(account, account, "/virtualNode/n", "n")})
	before := w.Current().Mesh(account, region, "m")
	for _, name := range []string{"b", "a"} {
		put(w, model.Routes, model.MeshKey(account, region, "m", "r", name), &model.Route{MeshMeta: meshMeta(account, account, "/virtualRouter/r/route/"+name, name), Router: "r"})
	}
	after := w.Current().Mesh(account, region, "m")
	if after == before || after.Node("n") != before.Node("n") || len(before.Routes("r")) != 0 {
		t.Error("the mesh before was changed, or an unchanged node was made anew")
	}
	var names []string
	for _, r := range after.Routes("r") {
		names = append(names, r.Name)
	}
	if !slices.Equal(names, []string{"a", "b"}) {
		t.Errorf("routes %v", names)
	}
	if p := spoil(w, model.VirtualNodes, model.MeshKey(account, region, "m", "n")); p.Mesh(account, region, "m").Node("n") != nil {
		t.Error("a node whose record cannot be read is there")
	}
}

// TestMeshUnreadable: a mesh tells what in it cannot be read, also of what could never
// be read, until it is written again or gone.
func TestMeshUnreadable(t *testing.T) {
	w := newWorld(t)
	for _, mesh := range []string{"m", "m2"} {
		meta := meshMeta(account, account, "", "m")
		meta.Mesh, meta.Name = mesh, mesh
		put(w, model.Meshes, model.MeshKey(account, region, mesh), &model.Mesh{MeshMeta: meta})
	}
	route := model.MeshKey(account, region, "m", "r", "a")
	good := &model.Route{MeshMeta: meshMeta(account, account, "/virtualRouter/r/route/a", "a"), Router: "r"}
	of := func(s *Snapshot, mesh, router string) bool {
		return s.Mesh(account, region, mesh).Unreadable(model.Routes.Key(model.MeshKey(account, region, mesh, router)))
	}
	for _, step := range []struct {
		name   string
		change func() *Snapshot
		want   bool
	}{
		{"never readable", func() *Snapshot { return spoil(w, model.Routes, route) }, true},
		{"written", func() *Snapshot { return put(w, model.Routes, route, good) }, false},
		{"spoilt", func() *Snapshot { return spoil(w, model.Routes, route) }, true},
		{"gone", func() *Snapshot { return remove(w, model.Routes, route) }, false},
	} {
		s := step.change()
		if got := of(s, "m", "r"); got != step.want {
			t.Errorf("%s: unreadable is %v", step.name, got)
		}
		if of(s, "m", "r2") || of(s, "m2", "r") || s.Mesh(account, region, "m").Unreadable(model.VirtualRouters.Key(model.MeshKey(account, region, "m", "r"))) {
			t.Errorf("%s: something else is unreadable", step.name)
		}
		if got := len(s.Problems()); (got == 1) != step.want {
			t.Errorf("%s: %d problems", step.name, got)
		}
	}
	s := spoil(w, model.VirtualNodes, model.MeshKey(account, region, "m", "n"))
	if !s.Mesh(account, region, "m").Unreadable(model.VirtualNodes.Key(model.MeshKey(account, region, "m", "n"))) {
		t.Error("a virtual node cannot be read, and its mesh does not tell")
	}
}
