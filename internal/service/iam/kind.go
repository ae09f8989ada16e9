package iam

import (
	"context"
	"slices"
	"strings"

	"github.com/latchwork/latchwork/internal/awsapi"
	"github.com/latchwork/latchwork/internal/credential"
	"github.com/latchwork/latchwork/internal/fault"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/store"
	wire "github.com/latchwork/latchwork/internal/wire/iam"
)

// kind is one kind of entity: what the operations on users, groups, roles,
// managed policies and instance profiles have in common.
type kind[T any] struct {
	records store.Collection[T]
	// resource is the word in the ARN, and in most texts.
	resource string
	// prefix of unique ids.
	// Source: IAM User Guide, "IAM identifiers", unique identifiers.
	prefix string
	// missing and taken are the texts of NoSuchEntity and EntityAlreadyExists.
	missing, taken string
	// quota of an account, with the word that the text has for it.
	quota     func(*Quotas) int
	quotaName string

	meta func(*T) *model.Meta
	path func(*T) *string
	// attachments and boundary are nil for kinds that have none.
	attachments func(*T) *model.Attachments
	boundary    func(*T) *string
	// Quotas of what has attachments.
	attached     func(*Quotas) int
	attachedName string
	inlineSize   func(*Quotas) int
}

var users = kind[model.User]{
	records: model.Users, resource: "user", prefix: "AIDA",
	missing: "The user with name %s cannot be found.",
	taken:   "User with name %s already exists.",
	quota:   func(q *Quotas) int { return q.Users }, quotaName: "UsersPerAccount",
	meta:         func(u *model.User) *model.Meta { return &u.Meta },
	path:         func(u *model.User) *string { return &u.Path },
	attachments:  func(u *model.User) *model.Attachments { return &u.Attachments },
	boundary:     func(u *model.User) *string { return &u.Boundary },
	attached:     func(q *Quotas) int { return q.AttachedPerUser },
	attachedName: "PoliciesPerUser",
	inlineSize:   func(q *Quotas) int { return q.UserPolicySize },
}

var groups = kind[model.Group]{
	records: model.Groups, resource: "group", prefix: "AGPA",
	missing: "The group with name %s cannot be found.",
	taken:   "Group with name %s already exists.",
	quota:   func(q *Quotas) int { return q.Groups }, quotaName: "GroupsPerAccount",
	meta:         func(g *model.Group) *model.Meta { return &g.Meta },
	path:         func(g *model.Group) *string { return &g.Path },
	attachments:  func(g *model.Group) *model.Attachments { return &g.Attachments },
	attached:     func(q *Quotas) int { return q.AttachedPerGroup },
	attachedName: "PoliciesPerGroup",
	inlineSize:   func(q *Quotas) int { return q.GroupPolicySize },
}

var roles = kind[model.Role]{
	records: model.Roles, resource: "role", prefix: "AROA",
	missing: "The role with name %s cannot be found.",
	taken:   "Role with name %s already exists.",
	quota:   func(q *Quotas) int { return q.Roles }, quotaName: "RolesPerAccount",
	meta:         func(r *model.Role) *model.Meta { return &r.Meta },
	path:         func(r *model.Role) *string { return &r.Path },
	attachments:  func(r *model.Role) *model.Attachments { return &r.Attachments },
	boundary:     func(r *model.Role) *string { return &r.Boundary },
	attached:     func(q *Quotas) int { return q.AttachedPerRole },
	attachedName: "PoliciesPerRole",
	inlineSize:   func(q *Quotas) int { return q.RolePolicySize },
}

var policies = kind[model.ManagedPolicy]{
	records: model.Policies, resource: "policy", prefix: "ANPA",
	missing: "The policy with name %s cannot be found.",
	taken:   "A policy called %s already exists. Duplicate names are not allowed.",
	quota:   func(q *Quotas) int { return q.Policies }, quotaName: "PoliciesPerAccount",
	meta: func(p *model.ManagedPolicy) *model.Meta { return &p.Meta },
	path: func(p *model.ManagedPolicy) *string { return &p.Path },
}

var profiles = kind[model.InstanceProfile]{
	records: model.Profiles, resource: "instance-profile", prefix: "AIPA",
	missing: "Instance Profile %s cannot be found.",
	taken:   "Instance Profile %s already exists.",
	quota:   func(q *Quotas) int { return q.InstanceProfiles }, quotaName: "InstanceProfilesPerAccount",
	meta: func(p *model.InstanceProfile) *model.Meta { return &p.Meta },
	path: func(p *model.InstanceProfile) *string { return &p.Path },
}

func (k *kind[T]) noSuch(name string) *fault.Error { return noSuchEntity(k.missing, name) }

func (k *kind[T]) exists(name string) *fault.Error {
	return fault.New("EntityAlreadyExists", k.taken, name)
}

// find reads an entity by its name in any letter case; nil if there is none.
func (k *kind[T]) find(tx *store.Tx, account, name string) (*T, error) {
	return k.records.Get(tx, model.IAMKey(account, name))
}

// get is find for an entity that must be there.
func (k *kind[T]) get(tx *store.Tx, account, name string) (*T, error) {
	record, err := k.find(tx, account, name)
	if err == nil && record == nil {
		err = k.noSuch(name)
	}
	return record, err
}

func (k *kind[T]) put(tx *store.Tx, record *T) error {
	m := k.meta(record)
	return k.records.Put(tx, model.IAMKey(m.Account, m.Name), record)
}

func (k *kind[T]) remove(tx *store.Tx, record *T) error {
	m := k.meta(record)
	return k.records.Delete(tx, model.IAMKey(m.Account, m.Name))
}

// all reads all entities of an account, by name in lower case.
func (k *kind[T]) all(tx *store.Tx, account string) ([]*T, error) {
	items, err := k.records.List(tx, account+"/")
	if err != nil {
		return nil, err
	}
	out := make([]*T, len(items))
	for i := range items {
		out[i] = items[i].Record
	}
	return out, nil
}

// sortKey orders entities of one account, as all does.
func (k *kind[T]) sortKey(record *T) string { return strings.ToLower(k.meta(record).Name) }

// arn that an entity of a name and path has or would have.
func (k *kind[T]) arn(s *Service, account, path, name string) string {
	return model.IAMARN(s.cfg.Partition, account, k.resource, path, name)
}

// create stores a new entity. fill sets what the kind has beyond name, path and
// tags; it runs only if the name is free.
func create[T any](ctx context.Context, s *Service, k *kind[T], name string, path *string, tags []wire.Tag,
	fill func(*store.Tx, *T) error,
) (*T, error) {
	merged, err := mergeTags(nil, tags, k.resource)
	if err != nil {
		return nil, err
	}
	account := accountOf(ctx)
	now := s.cfg.Clock()
	var made *T
	err = s.cfg.Update(ctx, func(tx *store.Tx) error {
		if taken, err := k.find(tx, account, name); err != nil {
			return err
		} else if taken != nil {
			return k.exists(name)
		}
		// Counting costs a look at all siblings, so nothing is counted in vain.
		if limit := k.quota(&s.cfg.Quotas); limit != Unlimited {
			siblings, err := k.all(tx, account)
			if err != nil {
				return err
			}
			if len(siblings) >= limit {
				return exceeded(k.quotaName, limit)
			}
		}
		made = new(T)
		at := "/"
		if path != nil {
			at = *path
		}
		*k.path(made) = at
		*k.meta(made) = model.Meta{
			ID: credential.NewUniqueID(k.prefix), ARN: k.arn(s, account, at, name), Name: name, Account: account,
			Created: now, Updated: now, Tags: merged,
		}
		if err := fill(tx, made); err != nil {
			return err
		}
		return k.put(tx, made)
	})
	return made, err
}

// read gives one entity that must be there.
func read[T any](ctx context.Context, s *Service, k *kind[T], name *string) (*T, error) {
	var record *T
	err := s.cfg.View(ctx, func(tx *store.Tx) (err error) {
		record, err = k.get(tx, accountOf(ctx), *name)
		return err
	})
	return record, err
}

// listed is read for an operation that pages through what the entity holds.
func listed[T any](ctx context.Context, s *Service, k *kind[T], name *string) (*T, int64, error) {
	var record *T
	revision, err := s.cfg.List(ctx, func(tx *store.Tx) (err error) {
		record, err = k.get(tx, accountOf(ctx), *name)
		return err
	})
	return record, revision, err
}

// change lets fn alter one entity, which must be there, and stores it.
func change[T any](ctx context.Context, s *Service, k *kind[T], name *string, fn func(*store.Tx, *T) error) error {
	now := s.cfg.Clock()
	return s.cfg.Update(ctx, func(tx *store.Tx) error {
		record, err := k.get(tx, accountOf(ctx), *name)
		if err != nil {
			return err
		}
		if err := fn(tx, record); err != nil {
			return err
		}
		k.meta(record).Updated = now
		return k.put(tx, record)
	})
}

// list gives the page of an account's entities that the call asks for. show makes
// a record what answers show; nil where it is that already.
func list[T any](ctx context.Context, s *Service, k *kind[T], pathPrefix *string, show func(*store.Tx, *T) error) (page []*T, next *string, err error) {
	_, err = s.cfg.List(ctx, func(tx *store.Tx) error {
		records, err := k.all(tx, accountOf(ctx))
		if err != nil {
			return err
		}
		found := slices.DeleteFunc(records, func(record *T) bool {
			return !strings.HasPrefix(*k.path(record), model.Deref(pathPrefix))
		})
		if page, next, err = awsapi.Page(ctx, found, int64(tx.Revision()), k.sortKey); err != nil || show == nil {
			return err
		}
		for _, record := range page {
			if err := show(tx, record); err != nil {
				return err
			}
		}
		return nil
	})
	return page, next, err
}

// rename moves an entity to another name, path or both.
func rename[T any](tx *store.Tx, s *Service, k *kind[T], record *T, newName, newPath *string) error {
	m := k.meta(record)
	old := *m
	if newName != nil {
		m.Name = *newName
	}
	if newPath != nil {
		*k.path(record) = *newPath
	}
	m.ARN = k.arn(s, m.Account, *k.path(record), m.Name)
	if model.IAMKey(old.Account, old.Name) == model.IAMKey(m.Account, m.Name) {
		return nil
	}
	if taken, err := k.find(tx, m.Account, m.Name); err != nil {
		return err
	} else if taken != nil {
		return k.exists(m.Name)
	}
	return k.records.Delete(tx, model.IAMKey(old.Account, old.Name))
}
