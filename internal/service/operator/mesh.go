package operator

import (
	"context"
	"slices"

	"github.com/latchwork/latchwork/internal/awsapi"
	"github.com/latchwork/latchwork/internal/fault"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/store"
)

// sharesMesh is the action that sharing needs, on the mesh. AWS shares meshes with
// AWS Resource Access Manager, which is not among the APIs here.
const sharesMesh = "appmesh:PutMeshPolicy"

// ShareMeshInput names a mesh of the caller's account and other accounts.
type ShareMeshInput struct {
	MeshName *string  `json:"-" aws:"String,required,uri=meshName"`
	Accounts []string `json:"accounts,omitzero" aws:"AccountIds,required"`
}

// ShareMeshOutput tells the accounts that a mesh is shared with.
type ShareMeshOutput struct {
	SharedWith []string `json:"sharedWith" aws:"AccountIds"`
}

// mesh is the one that is shared, as its own service names it.
func (s *Service) mesh(ctx context.Context, c *awsapi.Call, in *ShareMeshInput) ([]awsapi.Resource, error) {
	scope := scopeOf(c)
	r := awsapi.Resource{ARN: scope.ARN(model.MeshService, "mesh/"+*in.MeshName)}
	err := s.cfg.View(ctx, func(tx *store.Tx) error {
		m, err := model.Meshes.Get(tx, scope.Key(*in.MeshName))
		if err == nil && m != nil {
			r.Keys = awsapi.TagKeys("aws:ResourceTag/", m.Tags)
		}
		return err
	})
	return []awsapi.Resource{r}, err
}

func scopeOf(c *awsapi.Call) model.Scope {
	return model.Scope{Partition: c.Partition, Account: c.Account, Region: c.Region}
}

// ShareMesh lets accounts work in a mesh of the caller's.
func (s *Service) ShareMesh(ctx context.Context, in *ShareMeshInput) (*ShareMeshOutput, error) {
	own := awsapi.FromContext(ctx).Account
	if slices.Contains(in.Accounts, own) {
		return nil, API.Invalid("accounts", "account %s owns the mesh: it cannot be shared with it", own)
	}
	return s.reshare(ctx, *in.MeshName, func(with []string) []string {
		return slices.Compact(slices.Sorted(slices.Values(append(with, in.Accounts...))))
	})
}

// UnshareMesh ends it. What the accounts have put into the mesh stays, for the
// mesh's owner to delete.
// Source: App Mesh User Guide, "Working with shared meshes".
func (s *Service) UnshareMesh(ctx context.Context, in *ShareMeshInput) (*ShareMeshOutput, error) {
	return s.reshare(ctx, *in.MeshName, func(with []string) []string {
		return slices.DeleteFunc(with, func(account string) bool { return slices.Contains(in.Accounts, account) })
	})
}

func (s *Service) reshare(ctx context.Context, mesh string, change func([]string) []string) (*ShareMeshOutput, error) {
	scope := scopeOf(awsapi.FromContext(ctx))
	out := &ShareMeshOutput{}
	err := s.cfg.Update(ctx, func(tx *store.Tx) error {
		m, err := model.Meshes.Get(tx, scope.Key(mesh))
		if err != nil {
			return err
		}
		if m == nil {
			return fault.New("ResourceNotFoundException", "account %s has no mesh %s in region %s", scope.Account, mesh, scope.Region)
		}
		m.SharedWith = change(m.SharedWith)
		out.SharedWith = append([]string{}, m.SharedWith...)
		return model.Meshes.Put(tx, scope.Key(mesh), m)
	})
	return out, err
}
