package mesh

import (
	"context"

	"github.com/latchwork/latchwork/internal/fault"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/store"
	"github.com/latchwork/latchwork/internal/wire"
	wiremesh "github.com/latchwork/latchwork/internal/wire/appmesh"
)

func meshData(m *model.Mesh, status string) *wiremesh.MeshData {
	spec := m.Spec
	if spec == nil {
		spec = &wiremesh.MeshSpec{}
	}
	return &wiremesh.MeshData{
		MeshName: &m.Name, Metadata: metadata(&m.MeshMeta), Spec: spec, Status: &wiremesh.MeshStatus{Status: &status},
	}
}

// CreateMesh implements appmesh:CreateMesh.
func (s *Service) CreateMesh(ctx context.Context, in *wiremesh.CreateMeshRequest) (*wiremesh.CreateMeshResponse, error) {
	r := to(in.MeshName, nil)
	if err := r.check(); err != nil {
		return nil, err
	}
	tags, err := newTags(in.Tags)
	if err != nil {
		return nil, err
	}
	scope := s.scope(ctx)
	m := &model.Mesh{MeshMeta: s.meta(r, scope, r.mesh, tags), Spec: in.Spec}
	err = s.cfg.Update(ctx, func(tx *store.Tx) error {
		taken, err := model.Meshes.Has(tx, m.MeshKey())
		switch {
		case err != nil:
			return err
		case taken:
			return exists("Mesh", r.mesh)
		}
		if most := s.cfg.Quotas.Meshes; most >= 0 {
			have, err := model.Meshes.List(tx, scope.Prefix())
			switch {
			case err != nil:
				return err
			case len(have) >= most:
				return fault.New("LimitExceededException", "account %s can have %d Meshes", scope.Account, most)
			}
		}
		return model.Meshes.Put(tx, m.MeshKey(), m)
	})
	if err != nil {
		return nil, err
	}
	return &wiremesh.CreateMeshResponse{Mesh: meshData(m, statusActive)}, nil
}

// DescribeMesh implements appmesh:DescribeMesh.
func (s *Service) DescribeMesh(ctx context.Context, in *wiremesh.DescribeMeshRequest) (*wiremesh.DescribeMeshResponse, error) {
	var p *place
	err := s.cfg.View(ctx, func(tx *store.Tx) (err error) {
		p, err = s.enter(ctx, tx, to(in.MeshName, in.MeshOwner))
		return err
	})
	if err != nil {
		return nil, err
	}
	return &wiremesh.DescribeMeshResponse{Mesh: meshData(p.mesh, statusActive)}, nil
}

// ListMeshes implements appmesh:ListMeshes: the caller's own meshes, and those that
// are shared with it.
func (s *Service) ListMeshes(ctx context.Context, _ *wiremesh.ListMeshesRequest) (*wiremesh.ListMeshesResponse, error) {
	scope := s.scope(ctx)
	items, next, err := page(ctx, s, func(tx *store.Tx) ([]*model.Mesh, error) {
		all, err := model.Meshes.List(tx, "")
		var out []*model.Mesh
		for _, item := range all {
			if m := item.Record; m.Region == scope.Region && visible(m, scope.Account) {
				out = append(out, m)
			}
		}
		return out, err
	}, func(m *model.Mesh) string { return m.MeshKey() }, func(m *model.Mesh) wiremesh.MeshRef {
		return wiremesh.MeshRef{
			Arn: &m.ARN, CreatedAt: wire.Epoch(m.Created), LastUpdatedAt: wire.Epoch(m.Updated), MeshName: &m.Name,
			MeshOwner: &m.MeshOwner, ResourceOwner: &m.Account, Version: &m.Version,
		}
	})
	if err != nil {
		return nil, err
	}
	return &wiremesh.ListMeshesResponse{Meshes: items, NextToken: next}, nil
}

// UpdateMesh implements appmesh:UpdateMesh.
func (s *Service) UpdateMesh(ctx context.Context, in *wiremesh.UpdateMeshRequest) (*wiremesh.UpdateMeshResponse, error) {
	var m *model.Mesh
	err := s.cfg.Update(ctx, func(tx *store.Tx) error {
		p, err := s.enter(ctx, tx, to(in.MeshName, nil))
		if err != nil {
			return err
		}
		m = p.mesh
		m.Spec, m.Version, m.Updated = in.Spec, m.Version+1, s.cfg.Clock()
		return model.Meshes.Put(tx, p.key(), m)
	})
	if err != nil {
		return nil, err
	}
	return &wiremesh.UpdateMeshResponse{Mesh: meshData(m, statusActive)}, nil
}

// DeleteMesh implements appmesh:DeleteMesh. Everything in the mesh must be gone.
func (s *Service) DeleteMesh(ctx context.Context, in *wiremesh.DeleteMeshRequest) (*wiremesh.DeleteMeshResponse, error) {
	var m *model.Mesh
	err := s.cfg.Update(ctx, func(tx *store.Tx) error {
		p, err := s.enter(ctx, tx, to(in.MeshName, nil))
		if err != nil {
			return err
		}
		m = p.mesh
		for _, empty := range []func(*store.Tx, *place) error{nodes.none, services.none, routers.none, gateways.none} {
			if err := empty(tx, p); err != nil {
				return err
			}
		}
		m.Version, m.Updated = m.Version+1, s.cfg.Clock()
		return model.Meshes.Delete(tx, p.key())
	})
	if err != nil {
		return nil, err
	}
	return &wiremesh.DeleteMeshResponse{Mesh: meshData(m, statusDeleted)}, nil
}

// none checks that there is no resource of a kind below the names.
// Source of the text: what users of App Mesh have reported.
func (k *kind[T]) none(tx *store.Tx, p *place) error {
	found, err := k.all(tx, p, p.names...)
	if err == nil && len(found) > 0 {
		noun, name := "Mesh", p.mesh.Name
		if len(p.names) > 0 {
			noun, name = k.parentNoun, p.names[0]
		}
		return inUse("%s %s for account %s has active %ss, please delete %ss before deleting the %s", noun, name, p.mesh.Account, k.noun, k.noun, noun)
	}
	return err
}

func inUse(format string, args ...any) error {
	return fault.New("ResourceInUseException", format, args...)
}
