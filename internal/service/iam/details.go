package iam

import (
	"context"
	"slices"
	"strings"

	"github.com/latchwork/latchwork/internal/awsapi"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/store"
	"github.com/latchwork/latchwork/internal/wire"
	wireiam "github.com/latchwork/latchwork/internal/wire/iam"
)

// detail is one entity of GetAccountAuthorizationDetails; add puts it into the
// answer.
type detail struct {
	key string
	add func(*wireiam.GetAccountAuthorizationDetailsResponse)
}

// GetAccountAuthorizationDetails shows everything that decides who may do what:
// a snapshot of the account that other tools read. Of AWS's managed policies
// those that are in use are part of it.
func (s *Service) GetAccountAuthorizationDetails(ctx context.Context, in *wireiam.GetAccountAuthorizationDetailsRequest) (*wireiam.GetAccountAuthorizationDetailsResponse, error) {
	wanted := func(filter string) bool { return len(in.Filter) == 0 || slices.Contains(in.Filter, filter) }
	var found []detail
	revision, err := s.cfg.List(ctx, func(tx *store.Tx) error {
		account := accountOf(ctx)
		if wanted(wireiam.EntityTypeGroup) {
			if err := addDetails(tx, &groups, account, &found, groupDetail); err != nil {
				return err
			}
		}
		if wanted(wireiam.EntityTypeRole) {
			if err := addDetails(tx, &roles, account, &found, roleDetail); err != nil {
				return err
			}
		}
		if wanted(wireiam.EntityTypeUser) {
			if err := addDetails(tx, &users, account, &found, userDetail); err != nil {
				return err
			}
		}
		u, err := usageOf(tx, account)
		if err != nil {
			return err
		}
		all, err := s.inScope(tx, account, wireiam.PolicyScopeTypeAll)
		if err != nil {
			return err
		}
		for _, p := range all {
			local := p.Account == account
			if local && wanted(wireiam.EntityTypeLocalManagedPolicy) ||
				!local && wanted(wireiam.EntityTypeAWSManagedPolicy) && u.passes(p.ARN, "", true) {
				found = append(found, detail{"zpolicy/" + policyKey(p), func(out *wireiam.GetAccountAuthorizationDetailsResponse) {
					out.Policies = append(out.Policies, policyDetail(p, u))
				}})
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(found, func(a, b detail) int { return strings.Compare(a.key, b.key) })
	page, next, err := awsapi.Page(ctx, found, revision, func(d detail) string { return d.key })
	if err != nil {
		return nil, err
	}
	out := &wireiam.GetAccountAuthorizationDetailsResponse{Marker: next, IsTruncated: new(next != nil)}
	for _, d := range page {
		d.add(out)
	}
	return out, nil
}

func addDetails[T any](tx *store.Tx, k *kind[T], account string, found *[]detail,
	show func(*store.Tx, *T) (func(*wireiam.GetAccountAuthorizationDetailsResponse), error),
) error {
	all, err := k.all(tx, account)
	if err != nil {
		return err
	}
	for _, record := range all {
		add, err := show(tx, record)
		if err != nil {
			return err
		}
		*found = append(*found, detail{k.resource + "/" + k.sortKey(record), add})
	}
	return nil
}

func inlineOf(a *model.Attachments) []wireiam.PolicyDetail {
	out := []wireiam.PolicyDetail{}
	for _, name := range inlineNames(a) {
		out = append(out, wireiam.PolicyDetail{PolicyName: &name, PolicyDocument: new(a.Inline[name])})
	}
	return out
}

func userDetail(_ *store.Tx, u *model.User) (func(*wireiam.GetAccountAuthorizationDetailsResponse), error) {
	return func(out *wireiam.GetAccountAuthorizationDetailsResponse) {
		out.UserDetailList = append(out.UserDetailList, wireiam.UserDetail{
			Arn: &u.ARN, CreateDate: wire.At(u.Created), Path: &u.Path, UserId: &u.ID, UserName: &u.Name,
			GroupList: append([]string{}, u.Groups...), UserPolicyList: inlineOf(&u.Attachments),
			AttachedManagedPolicies: attachedOf(&u.Attachments),
			PermissionsBoundary:     boundaryOf(u.Boundary), Tags: tagsOf(u.Tags),
		})
	}, nil
}

func groupDetail(_ *store.Tx, g *model.Group) (func(*wireiam.GetAccountAuthorizationDetailsResponse), error) {
	return func(out *wireiam.GetAccountAuthorizationDetailsResponse) {
		out.GroupDetailList = append(out.GroupDetailList, wireiam.GroupDetail{
			Arn: &g.ARN, CreateDate: wire.At(g.Created), Path: &g.Path, GroupId: &g.ID, GroupName: &g.Name,
			GroupPolicyList: inlineOf(&g.Attachments), AttachedManagedPolicies: attachedOf(&g.Attachments),
		})
	}, nil
}

func roleDetail(tx *store.Tx, r *model.Role) (func(*wireiam.GetAccountAuthorizationDetailsResponse), error) {
	holders, err := profilesOf(tx, r)
	if err != nil {
		return nil, err
	}
	if err := showTrust(tx, r); err != nil {
		return nil, err
	}
	profiles := []wireiam.InstanceProfile{}
	for _, p := range holders {
		profiles = append(profiles, profileOf(heldProfile{p, r}))
	}
	return func(out *wireiam.GetAccountAuthorizationDetailsResponse) {
		out.RoleDetailList = append(out.RoleDetailList, wireiam.RoleDetail{
			Arn: &r.ARN, CreateDate: wire.At(r.Created), Path: &r.Path, RoleId: &r.ID, RoleName: &r.Name,
			AssumeRolePolicyDocument: &r.Trust, InstanceProfileList: profiles,
			RolePolicyList: inlineOf(&r.Attachments), AttachedManagedPolicies: attachedOf(&r.Attachments),
			PermissionsBoundary: boundaryOf(r.Boundary), Tags: tagsOf(r.Tags), RoleLastUsed: &wireiam.RoleLastUsed{},
		})
	}, nil
}

func policyDetail(p *model.ManagedPolicy, u *usage) wireiam.ManagedPolicyDetail {
	out := wireiam.ManagedPolicyDetail{
		Arn: &p.ARN, PolicyId: &p.ID, PolicyName: &p.Name, Path: &p.Path, Description: model.Present(p.Description),
		CreateDate: wire.At(p.Created), UpdateDate: wire.At(p.Updated), DefaultVersionId: &p.Default, IsAttachable: new(true),
		AttachmentCount: new(u.attached[p.ARN]), PermissionsBoundaryUsageCount: new(u.boundary[p.ARN]),
	}
	for i := range p.Versions {
		out.PolicyVersionList = append(out.PolicyVersionList, fullVersion(p, &p.Versions[i]))
	}
	return out
}
