package iam

import (
	"context"
	"slices"
	"strings"

	"github.com/latchwork/latchwork/internal/awsapi"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/store"
	wire "github.com/latchwork/latchwork/internal/wire/iam"
)

// policyHolder is a user, group or role that a policy is attached to.
type policyHolder struct {
	// key puts groups first, then roles and users; it also tells them apart.
	key  string
	meta *model.Meta
}

// ListEntitiesForPolicy lists what a managed policy is attached to or bounds.
func (s *Service) ListEntitiesForPolicy(ctx context.Context, in *wire.ListEntitiesForPolicyRequest) (*wire.ListEntitiesForPolicyResponse, error) {
	var found []policyHolder
	revision, err := s.cfg.List(ctx, func(tx *store.Tx) error {
		if _, err := s.getManaged(tx, accountOf(ctx), *in.PolicyArn); err != nil {
			return err
		}
		if err := holders(ctx, tx, &groups, in, &found); err != nil {
			return err
		}
		if err := holders(ctx, tx, &roles, in, &found); err != nil {
			return err
		}
		return holders(ctx, tx, &users, in, &found)
	})
	if err != nil {
		return nil, err
	}
	page, next, err := awsapi.Page(ctx, found, revision, func(h policyHolder) string { return h.key })
	if err != nil {
		return nil, err
	}
	out := &wire.ListEntitiesForPolicyResponse{Marker: next, IsTruncated: new(next != nil)}
	for _, h := range page {
		switch h.key[:strings.IndexByte(h.key, '/')] {
		case groups.resource:
			out.PolicyGroups = append(out.PolicyGroups, wire.PolicyGroup{GroupId: &h.meta.ID, GroupName: &h.meta.Name})
		case roles.resource:
			out.PolicyRoles = append(out.PolicyRoles, wire.PolicyRole{RoleId: &h.meta.ID, RoleName: &h.meta.Name})
		default:
			out.PolicyUsers = append(out.PolicyUsers, wire.PolicyUser{UserId: &h.meta.ID, UserName: &h.meta.Name})
		}
	}
	return out, nil
}

// holders appends those entities of one kind that have the policy and pass the
// filters.
func holders[T any](ctx context.Context, tx *store.Tx, k *kind[T], in *wire.ListEntitiesForPolicyRequest, found *[]policyHolder) error {
	if in.EntityFilter != nil && !strings.EqualFold(*in.EntityFilter, k.resource) {
		return nil
	}
	all, err := k.all(tx, accountOf(ctx))
	if err != nil {
		return err
	}
	usageFilter := model.Deref(in.PolicyUsageFilter)
	for _, record := range all {
		attached := slices.Contains(k.attachments(record).Attached, *in.PolicyArn)
		bounds := k.boundary != nil && *k.boundary(record) == *in.PolicyArn
		switch usageFilter {
		case wire.PolicyUsageTypePermissionsPolicy:
			bounds = false
		case wire.PolicyUsageTypePermissionsBoundary:
			attached = false
		}
		if (attached || bounds) && strings.HasPrefix(*k.path(record), model.Deref(in.PathPrefix)) {
			*found = append(*found, policyHolder{key: k.resource + "/" + k.sortKey(record), meta: k.meta(record)})
		}
	}
	return nil
}
