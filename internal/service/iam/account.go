package iam

import (
	"context"

	"github.com/latchwork/latchwork/internal/awsapi"
	"github.com/latchwork/latchwork/internal/fault"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/store"
	wire "github.com/latchwork/latchwork/internal/wire/iam"
)

// aliasKey is where it is kept whose an alias is: aliases are unique in the
// whole installation.
func aliasKey(alias string) string { return model.Scope{}.Key("iam.alias", alias) }

func (s *Service) changeAccount(ctx context.Context, fn func(*store.Tx, *model.Account) error) error {
	return s.cfg.Update(ctx, func(tx *store.Tx) error {
		account := accountOf(ctx)
		info, err := model.AccountInfo.Get(tx, account)
		if err != nil {
			return err
		}
		if info == nil {
			info = &model.Account{ID: account}
		}
		if err := fn(tx, info); err != nil {
			return err
		}
		return model.AccountInfo.Put(tx, account, info)
	})
}

// CreateAccountAlias gives the account an alias in the place of the one it had.
// Source: IAM User Guide, "Your AWS account ID and its alias": a new alias
// overwrites the previous one.
func (s *Service) CreateAccountAlias(ctx context.Context, in *wire.CreateAccountAliasRequest) (*wire.CreateAccountAliasResponse, error) {
	return &wire.CreateAccountAliasResponse{}, s.changeAccount(ctx, func(tx *store.Tx, info *model.Account) error {
		claim, err := model.Unique.Get(tx, aliasKey(*in.AccountAlias))
		if err != nil {
			return err
		}
		if claim != nil && claim.ID != info.ID {
			return fault.New("EntityAlreadyExists", "The account alias %s already exists.", *in.AccountAlias)
		}
		if info.Alias != "" {
			if err := model.Unique.Delete(tx, aliasKey(info.Alias)); err != nil {
				return err
			}
		}
		info.Alias = *in.AccountAlias
		return model.Unique.Put(tx, aliasKey(info.Alias), &model.Claim{ID: info.ID})
	})
}

// DeleteAccountAlias takes the alias away.
func (s *Service) DeleteAccountAlias(ctx context.Context, in *wire.DeleteAccountAliasRequest) (*wire.DeleteAccountAliasResponse, error) {
	return &wire.DeleteAccountAliasResponse{}, s.changeAccount(ctx, func(tx *store.Tx, info *model.Account) error {
		if info.Alias != *in.AccountAlias {
			return noSuchEntity("The account alias %s cannot be found.", *in.AccountAlias)
		}
		info.Alias = ""
		return model.Unique.Delete(tx, aliasKey(*in.AccountAlias))
	})
}

// ListAccountAliases lists the alias, if there is one.
func (s *Service) ListAccountAliases(ctx context.Context, _ *wire.ListAccountAliasesRequest) (*wire.ListAccountAliasesResponse, error) {
	var aliases []string
	revision, err := s.cfg.List(ctx, func(tx *store.Tx) error {
		info, err := model.AccountInfo.Get(tx, accountOf(ctx))
		if err == nil && info != nil && info.Alias != "" {
			aliases = []string{info.Alias}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	page, next, err := awsapi.Page(ctx, aliases, revision, func(alias string) string { return alias })
	if err != nil {
		return nil, err
	}
	return &wire.ListAccountAliasesResponse{AccountAliases: page, Marker: next, IsTruncated: new(next != nil)}, nil
}

// GetAccountSummary counts what the account has and may have. What Latchwork has
// no notion of, such as passwords and MFA devices, is there none of.
func (s *Service) GetAccountSummary(ctx context.Context, _ *wire.GetAccountSummaryRequest) (*wire.GetAccountSummaryResponse, error) {
	q := &s.cfg.Quotas
	out := map[string]int64{
		wire.SummaryKeyTypeUsersQuota:                    int64(q.Users),
		wire.SummaryKeyTypeGroupsQuota:                   int64(q.Groups),
		wire.SummaryKeyTypeRolesQuota:                    int64(q.Roles),
		wire.SummaryKeyTypePoliciesQuota:                 int64(q.Policies),
		wire.SummaryKeyTypeInstanceProfilesQuota:         int64(q.InstanceProfiles),
		wire.SummaryKeyTypeUserPolicySizeQuota:           int64(q.UserPolicySize),
		wire.SummaryKeyTypeGroupPolicySizeQuota:          int64(q.GroupPolicySize),
		wire.SummaryKeyTypeRolePolicySizeQuota:           int64(q.RolePolicySize),
		wire.SummaryKeyTypePolicySizeQuota:               int64(q.PolicySize),
		wire.SummaryKeyTypeAssumeRolePolicySizeQuota:     int64(q.TrustPolicySize),
		wire.SummaryKeyTypeGroupsPerUserQuota:            int64(q.GroupsPerUser),
		wire.SummaryKeyTypeAccessKeysPerUserQuota:        int64(q.KeysPerUser),
		wire.SummaryKeyTypeAttachedPoliciesPerUserQuota:  int64(q.AttachedPerUser),
		wire.SummaryKeyTypeAttachedPoliciesPerGroupQuota: int64(q.AttachedPerGroup),
		wire.SummaryKeyTypeAttachedPoliciesPerRoleQuota:  int64(q.AttachedPerRole),
		wire.SummaryKeyTypeVersionsPerPolicyQuota:        int64(q.VersionsPerPolicy),
		wire.SummaryKeyTypeMFADevices:                    0,
		wire.SummaryKeyTypeMFADevicesInUse:               0,
		wire.SummaryKeyTypeAccountMFAEnabled:             0,
		wire.SummaryKeyTypeAccountPasswordPresent:        0,
		wire.SummaryKeyTypeServerCertificates:            0,
	}
	err := s.cfg.View(ctx, func(tx *store.Tx) error {
		account := accountOf(ctx)
		if err := count(tx, &users, account, out, wire.SummaryKeyTypeUsers); err != nil {
			return err
		}
		if err := count(tx, &groups, account, out, wire.SummaryKeyTypeGroups); err != nil {
			return err
		}
		if err := count(tx, &roles, account, out, wire.SummaryKeyTypeRoles); err != nil {
			return err
		}
		if err := count(tx, &profiles, account, out, wire.SummaryKeyTypeInstanceProfiles); err != nil {
			return err
		}
		providers, err := model.OIDCProviders.List(tx, model.OIDCProviderKey(account, ""))
		if err != nil {
			return err
		}
		out[wire.SummaryKeyTypeProviders] = int64(len(providers))
		own, err := policies.all(tx, account)
		if err != nil {
			return err
		}
		out[wire.SummaryKeyTypePolicies] = int64(len(own))
		for _, p := range own {
			out[wire.SummaryKeyTypePolicyVersionsInUse] += int64(len(p.Versions))
		}
		root, err := keyringOf(tx, account, "")
		if err != nil {
			return err
		}
		out[wire.SummaryKeyTypeAccountAccessKeysPresent] = int64(min(len(*root.ids), 1))
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &wire.GetAccountSummaryResponse{SummaryMap: out}, nil
}

func count[T any](tx *store.Tx, k *kind[T], account string, out map[string]int64, key string) error {
	all, err := k.all(tx, account)
	out[key] = int64(len(all))
	return err
}
