package iam

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/latchwork/latchwork/internal/awsapi"
	"github.com/latchwork/latchwork/internal/fault"
	"github.com/latchwork/latchwork/internal/identity"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/store"
	wire "github.com/latchwork/latchwork/internal/wire/iam"
)

// access puts the rows together. A row's action is its operation.
// Source: Service Authorization Reference, "Actions, resources, and condition
// keys for AWS Identity and Access Management (IAM)".
func (s *Service) access() awsapi.AccessTable {
	table := awsapi.AccessTable{}
	for _, rows := range []awsapi.AccessTable{s.userRows(), s.groupRows(), s.roleRows(), s.policyRows(), s.profileRows(), s.oidcRows(), s.accountRows(), s.simulationRows()} {
		maps.Copy(table, rows)
	}
	for name, row := range table {
		row.Action = "iam:" + name
		resources := row.Resources
		row.Resources = func(ctx context.Context, c *awsapi.Call) ([]awsapi.Resource, error) {
			if err := mayCallIAM(c.Caller.Principal); err != nil {
				return nil, err
			}
			return resources(ctx, c)
		}
		table[name] = row
	}
	return table
}

// mayCallIAM refuses the credentials of GetFederationToken always, and those of
// GetSessionToken unless a second factor was proved.
// Source: STS API Reference, GetSessionToken and GetFederationToken,
// "Permissions"; the text is what AWS answers.
func mayCallIAM(p *identity.Principal) error {
	if p.Session == nil {
		return nil
	}
	if p.Kind == identity.FederatedUser || p.Kind != identity.AssumedRole && p.Session.MFAAt.IsZero() {
		return fault.New("InvalidClientTokenId", "The security token included in the request is invalid.")
	}
	return nil
}

// keysOf gives condition keys of the entity that a call names. found is nil if there
// is none, and then the call will fail after the decision, not before: nobody
// learns what exists without a permission for it.
type keysOf[In, T any] func(in *In, found *T) []awsapi.Key

// on makes the row of an operation on one entity that is named by name. The ARN
// has the entity's own path and spelling, so that neither evades a policy.
func on[In, T any](s *Service, k *kind[T], name func(*In) *string, keys ...keysOf[In, T]) awsapi.Access {
	return awsapi.Access{Resources: awsapi.Targets(func(ctx context.Context, c *awsapi.Call, in *In) ([]awsapi.Resource, error) {
		record, err := lookUp(ctx, s, k, c.Account, *name(in))
		if err != nil {
			return nil, err
		}
		r := awsapi.Resource{ARN: k.arn(s, c.Account, "/", *name(in))}
		if record != nil {
			r.ARN = k.meta(record).ARN
			r.Keys = resourceTags(k.meta(record).Tags)
		}
		for _, f := range keys {
			r.Keys = append(r.Keys, f(in, record)...)
		}
		return []awsapi.Resource{r}, nil
	})}
}

func lookUp[T any](ctx context.Context, s *Service, k *kind[T], account, name string) (record *T, err error) {
	err = s.cfg.View(ctx, func(tx *store.Tx) error {
		record, err = k.find(tx, account, name)
		return err
	})
	return record, err
}

// creates makes the row of an operation that creates an entity.
func creates[In, T any](s *Service, k *kind[T], name, path func(*In) *string, keys ...keysOf[In, T]) awsapi.Access {
	return awsapi.Access{Resources: awsapi.Targets(func(_ context.Context, c *awsapi.Call, in *In) ([]awsapi.Resource, error) {
		at := "/"
		if p := path(in); p != nil {
			at = *p
		}
		r := awsapi.Resource{ARN: k.arn(s, c.Account, at, *name(in))}
		for _, f := range keys {
			r.Keys = append(r.Keys, f(in, nil)...)
		}
		return []awsapi.Resource{r}, nil
	})}
}

// withTags makes the row of an operation that creates an entity and gives it tags:
// whoever brings some needs the permission to tag too, iam:TagUser and its like.
// Source: denials as seen of CreateRole with tags, "not authorized to perform:
// iam:TagRole".
func withTags[In any](row awsapi.Access, tags func(*In) []wire.Tag) awsapi.Access {
	create := row.Resources
	row.Resources = awsapi.Targets(func(ctx context.Context, c *awsapi.Call, in *In) ([]awsapi.Resource, error) {
		out, err := create(ctx, c)
		if err != nil || len(tags(in)) == 0 {
			return out, err
		}
		out[0].Keys = append(out[0].Keys, requestTags(tags(in))...)
		return append(out, awsapi.Resource{
			Action: "iam:Tag" + strings.TrimPrefix(c.Operation.Name, "Create"), ARN: out[0].ARN, Keys: out[0].Keys,
		}), nil
	})
	return row
}

// moves makes the row of an operation that renames an entity: what it is and what
// it becomes must both be allowed.
// Source: IAM API Reference, UpdateUser and UpdateGroup: "the requester must have
// appropriate permissions on both the source object and the target object".
func moves[In, T any](s *Service, k *kind[T], name, newName, newPath func(*In) *string) awsapi.Access {
	source := on(s, k, name)
	return awsapi.Access{Resources: awsapi.Targets(func(ctx context.Context, c *awsapi.Call, in *In) ([]awsapi.Resource, error) {
		out, err := source.Resources(ctx, c)
		if err != nil || newName(in) == nil && newPath(in) == nil {
			return out, err
		}
		record, err := lookUp(ctx, s, k, c.Account, *name(in))
		if err != nil {
			return nil, err
		}
		toName, toPath := *name(in), "/"
		if record != nil {
			toName, toPath = k.meta(record).Name, *k.path(record)
		}
		if newName(in) != nil {
			toName = *newName(in)
		}
		if newPath(in) != nil {
			toPath = *newPath(in)
		}
		return append(out, awsapi.Resource{ARN: k.arn(s, c.Account, toPath, toName), Keys: out[0].Keys}), nil
	})}
}

// onPolicy makes the row of an operation on a managed policy.
func onPolicy[In any](s *Service, arn func(*In) *string, keys ...keysOf[In, model.ManagedPolicy]) awsapi.Access {
	return awsapi.Access{Resources: awsapi.Targets(func(ctx context.Context, c *awsapi.Call, in *In) ([]awsapi.Resource, error) {
		if _, _, _, err := policyName(*arn(in)); err != nil {
			return nil, err
		}
		var record *model.ManagedPolicy
		err := s.cfg.View(ctx, func(tx *store.Tx) (err error) {
			record, err = s.managed(tx, c.Account, *arn(in))
			return err
		})
		if err != nil {
			return nil, err
		}
		r := awsapi.Resource{ARN: *arn(in)}
		if record != nil {
			r.Keys = resourceTags(record.Tags)
		}
		for _, f := range keys {
			r.Keys = append(r.Keys, f(in, record)...)
		}
		return []awsapi.Resource{r}, nil
	})}
}

// onSelf makes the row of an operation whose UserName may be left out: then it is
// about the caller.
func onSelf[In any](s *Service, name func(*In) *string) awsapi.Access {
	return awsapi.Access{Resources: awsapi.Targets(func(ctx context.Context, c *awsapi.Call, in *In) ([]awsapi.Resource, error) {
		user := name(in)
		if user == nil {
			p, err := self(ctx)
			if err != nil {
				return nil, err
			}
			if p.Kind == identity.Root {
				return []awsapi.Resource{{ARN: p.ARN}}, nil
			}
			user = &p.Name
		}
		return on(s, &users, func(*In) *string { return user }).Resources(ctx, c)
	})}
}

// everything is the row of an operation on no entity in particular.
func everything() awsapi.Access { return awsapi.Access{Resources: awsapi.Everything} }

// resourceTags are the condition keys of an entity's tags; IAM has two names for
// each.
func resourceTags(tags map[string]string) []awsapi.Key {
	var out []awsapi.Key
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		out = append(out,
			awsapi.Key{Name: "aws:ResourceTag/" + key, Values: []string{tags[key]}},
			awsapi.Key{Name: "iam:ResourceTag/" + key, Values: []string{tags[key]}})
	}
	return out
}

// requestTags are the condition keys of the tags that a call brings.
func requestTags(tags []wire.Tag) []awsapi.Key {
	if len(tags) == 0 {
		return nil
	}
	keys := make([]string, len(tags))
	out := make([]awsapi.Key, len(tags), len(tags)+1)
	for i, t := range tags {
		keys[i] = *t.Key
		out[i] = awsapi.Key{Name: "aws:RequestTag/" + *t.Key, Values: []string{*t.Value}}
	}
	return append(out, tagKeys(keys)...)
}

func tagKeys(keys []string) []awsapi.Key {
	if len(keys) == 0 {
		return nil
	}
	return []awsapi.Key{{Name: "aws:TagKeys", Values: keys, Multi: true}}
}

func policyARN(arn *string) []awsapi.Key {
	return []awsapi.Key{{Name: "iam:PolicyARN", Values: []string{*arn}}}
}

// boundaryKey is iam:PermissionsBoundary: absent where there is no boundary.
func boundaryKey(arn string) []awsapi.Key {
	if arn == "" {
		return nil
	}
	return []awsapi.Key{{Name: "iam:PermissionsBoundary", Values: []string{arn}}}
}

func userBoundary(u *model.User) []awsapi.Key {
	if u == nil {
		return nil
	}
	return boundaryKey(u.Boundary)
}

func roleBoundary(r *model.Role) []awsapi.Key {
	if r == nil {
		return nil
	}
	return boundaryKey(r.Boundary)
}
