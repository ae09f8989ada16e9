package iam

import (
	"context"

	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/store"
	wire "github.com/latchwork/latchwork/internal/wire/iam"
)

// boundaryOf shows a permissions boundary. The type is what AWS sends, though the
// interface model has another word.
func boundaryOf(arn string) *wire.AttachedPermissionsBoundary {
	if arn == "" {
		return nil
	}
	return &wire.AttachedPermissionsBoundary{
		PermissionsBoundaryArn:  &arn,
		PermissionsBoundaryType: new(wire.PermissionsBoundaryAttachmentTypePolicy),
	}
}

// setBoundary puts the ARN of a policy that exists into boundary; arn may be nil.
func (s *Service) setBoundary(tx *store.Tx, account string, boundary, arn *string) error {
	if arn == nil {
		return nil
	}
	if _, _, ok, err := policyName(*arn); err != nil || !ok {
		return invalid("Value (%s) for parameter PermissionsBoundary is invalid.", *arn)
	}
	p, err := s.managed(tx, account, *arn)
	if err != nil {
		return err
	}
	if p == nil {
		return noSuchEntity("Scope ARN: %s does not exist or is not attachable.", *arn)
	}
	*boundary = p.ARN
	return nil
}

func dropBoundary[T any](ctx context.Context, s *Service, k *kind[T], name *string) error {
	return change(ctx, s, k, name, func(_ *store.Tx, record *T) error {
		boundary := k.boundary(record)
		if *boundary == "" {
			return noSuchEntity("%s %s does not have a permission boundary attached to it.", quotaWords[k.resource], k.meta(record).Name)
		}
		*boundary = ""
		return nil
	})
}

// PutUserPermissionsBoundary sets the boundary.
func (s *Service) PutUserPermissionsBoundary(ctx context.Context, in *wire.PutUserPermissionsBoundaryRequest) (*wire.PutUserPermissionsBoundaryResponse, error) {
	return &wire.PutUserPermissionsBoundaryResponse{}, change(ctx, s, &users, in.UserName, func(tx *store.Tx, u *model.User) error {
		return s.setBoundary(tx, u.Account, &u.Boundary, in.PermissionsBoundary)
	})
}

// PutRolePermissionsBoundary sets the boundary.
func (s *Service) PutRolePermissionsBoundary(ctx context.Context, in *wire.PutRolePermissionsBoundaryRequest) (*wire.PutRolePermissionsBoundaryResponse, error) {
	return &wire.PutRolePermissionsBoundaryResponse{}, change(ctx, s, &roles, in.RoleName, func(tx *store.Tx, r *model.Role) error {
		return s.setBoundary(tx, r.Account, &r.Boundary, in.PermissionsBoundary)
	})
}

// DeleteUserPermissionsBoundary removes the boundary.
func (s *Service) DeleteUserPermissionsBoundary(ctx context.Context, in *wire.DeleteUserPermissionsBoundaryRequest) (*wire.DeleteUserPermissionsBoundaryResponse, error) {
	return &wire.DeleteUserPermissionsBoundaryResponse{}, dropBoundary(ctx, s, &users, in.UserName)
}

// DeleteRolePermissionsBoundary removes the boundary.
func (s *Service) DeleteRolePermissionsBoundary(ctx context.Context, in *wire.DeleteRolePermissionsBoundaryRequest) (*wire.DeleteRolePermissionsBoundaryResponse, error) {
	return &wire.DeleteRolePermissionsBoundaryResponse{}, dropBoundary(ctx, s, &roles, in.RoleName)
}
