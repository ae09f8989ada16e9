package iam

import (
	"cmp"
	"slices"
	"strings"

	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/policy"
	"github.com/latchwork/latchwork/internal/store"
)

// setTrust makes a document the trust policy of a role. It refuses one that names a
// user or role of the role's account that is not there. The ARNs of users and roles
// become their unique ids: who is made again under the name of another is not whom
// the role trusts.
// Source: IAM User Guide, "AWS JSON policy elements: Principal": the "ARN transforms
// to the role's unique principal ID when you save the policy"; the text is AWS's.
func setTrust(tx *store.Tx, r *model.Role, document *policy.Document) error {
	ids := map[string]string{}
	r.TrustARNs = map[string]string{}
	for _, statement := range document.Statements {
		for _, p := range slices.Concat(statement.Principals, statement.NotPrincipals) {
			if p.Type != "AWS" {
				continue
			}
			account, found, err := entity(tx, p.Text.Text)
			switch {
			case err != nil:
				return err
			case found != nil:
				ids[found.ARN], r.TrustARNs[found.ID] = found.ID, found.ARN
			case account == r.Account:
				return malformed("Invalid principal in policy: %q:%q", p.Type, p.Text.Text)
			}
			// One of another account need not be there: an installation need not know
			// that account.
		}
	}
	r.Trust = document.WithPrincipals(func(arn string) string { return cmp.Or(ids[arn], arn) })
	return nil
}

// showTrust puts the ARNs of users and roles that are there back into a role's
// trust policy, for an answer. Those that are gone stay ids, as in AWS.
// Source: as setTrust, "reverse transformation".
func showTrust(tx *store.Tx, r *model.Role) error {
	if len(r.TrustARNs) == 0 {
		return nil
	}
	document, err := policy.Parse(policy.Trust, r.Trust)
	if err != nil {
		return nil // It trusts nobody, and shows why.
	}
	arns := map[string]string{}
	for id, arn := range r.TrustARNs {
		account, found, err := entity(tx, arn)
		if err == nil && (found == nil || found.ID != id) {
			if strings.HasPrefix(id, users.prefix) {
				found, err = withID(tx, &users, account, id)
			} else {
				found, err = withID(tx, &roles, account, id)
			}
		}
		if err != nil {
			return err
		}
		if found != nil {
			arns[id] = found.ARN
		}
	}
	r.Trust = document.WithPrincipals(func(id string) string { return cmp.Or(arns[id], id) })
	return nil
}

// shownRole reads a role for an answer.
func shownRole(tx *store.Tx, account, name string) (*model.Role, error) {
	r, err := roles.get(tx, account, name)
	if err != nil {
		return nil, err
	}
	return r, showTrust(tx, r)
}

// entity finds the user or role with an ARN, and the account that it would be in:
// "" if it is no ARN of a user or role.
func entity(tx *store.Tx, arn string) (account string, found *model.Meta, err error) {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 || parts[2] != "iam" {
		return "", nil, nil
	}
	switch resource, _, _ := strings.Cut(parts[5], "/"); resource {
	case users.resource:
		found, err = withARN(tx, &users, parts[4], arn)
	case roles.resource:
		found, err = withARN(tx, &roles, parts[4], arn)
	default:
		return "", nil, nil
	}
	return parts[4], found, err
}

func withARN[T any](tx *store.Tx, k *kind[T], account, arn string) (*model.Meta, error) {
	record, err := k.find(tx, account, arn[strings.LastIndexByte(arn, '/')+1:])
	if err != nil || record == nil || k.meta(record).ARN != arn {
		return nil, err
	}
	return k.meta(record), nil
}

// withID finds an entity that may have another name and path than it had.
func withID[T any](tx *store.Tx, k *kind[T], account, id string) (*model.Meta, error) {
	all, err := k.all(tx, account)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(all, func(record *T) bool { return k.meta(record).ID == id })
	if i < 0 {
		return nil, nil
	}
	return k.meta(all[i]), nil
}
