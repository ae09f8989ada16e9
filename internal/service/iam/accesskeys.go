package iam

import (
	"context"
	"slices"

	"github.com/latchwork/latchwork/internal/awsapi"
	"github.com/latchwork/latchwork/internal/credential"
	"github.com/latchwork/latchwork/internal/fault"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/store"
	"github.com/latchwork/latchwork/internal/wire"
	wireiam "github.com/latchwork/latchwork/internal/wire/iam"
)

// keyring is the list of access keys of a user or of the root user, open for
// change.
type keyring struct {
	ids *[]string
	// name and userID are "" for the root user.
	name, userID string
	save         func() error
}

// keyringOf reads the keyring of a user, or of the root user if name is "".
func keyringOf(tx *store.Tx, account, name string) (*keyring, error) {
	if name == "" {
		info, err := model.AccountInfo.Get(tx, account)
		if err != nil {
			return nil, err
		}
		if info == nil {
			info = &model.Account{ID: account}
		}
		return &keyring{ids: &info.AccessKeys, save: func() error { return model.AccountInfo.Put(tx, account, info) }}, nil
	}
	u, err := users.get(tx, account, name)
	if err != nil {
		return nil, err
	}
	return &keyring{ids: &u.AccessKeys, name: u.Name, userID: u.ID, save: func() error { return users.put(tx, u) }}, nil
}

// status of a key in the words of the API.
func status(key *model.AccessKey) *string {
	if key.Active {
		return new(wireiam.StatusTypeActive)
	}
	return new(wireiam.StatusTypeInactive)
}

// CreateAccessKey makes an access key; its secret is shown this once.
func (s *Service) CreateAccessKey(ctx context.Context, in *wireiam.CreateAccessKeyRequest) (*wireiam.CreateAccessKeyResponse, error) {
	name, err := owner(ctx, in.UserName)
	if err != nil {
		return nil, err
	}
	var made *model.AccessKey
	secret := wire.Secret(credential.NewSecret())
	err = s.cfg.Update(ctx, func(tx *store.Tx) (err error) {
		made, err = s.addKey(tx, accountOf(ctx), name, secret)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &wireiam.CreateAccessKeyResponse{AccessKey: &wireiam.AccessKey{
		AccessKeyId: &made.ID, SecretAccessKey: &secret, Status: status(made),
		CreateDate: wire.At(made.Created), UserName: &made.User,
	}}, nil
}

// addKey stores a new key of a user, or of the root user if name is "".
func (s *Service) addKey(tx *store.Tx, account, name string, secret wire.Secret) (*model.AccessKey, error) {
	ring, err := keyringOf(tx, account, name)
	if err != nil {
		return nil, err
	}
	if limit := s.cfg.Quotas.KeysPerUser; len(*ring.ids) >= limit {
		return nil, exceeded("AccessKeysPerUser", limit)
	}
	id, err := freeKeyID(tx, account)
	if err != nil {
		return nil, err
	}
	sealed, err := s.cfg.Secrets.Seal([]byte(secret.Reveal()), id)
	if err != nil {
		return nil, err
	}
	now := s.cfg.Clock()
	key := &model.AccessKey{
		Meta: model.Meta{ID: id, Account: account, Created: now, Updated: now},
		User: ring.name, UserID: ring.userID, Sealed: sealed, Active: true,
	}
	*ring.ids = append(*ring.ids, id)
	if err := ring.save(); err != nil {
		return nil, err
	}
	return key, model.AccessKeys.Put(tx, id, key)
}

// freeKeyID makes an id that no key has: the ids of an account are too few to
// rely on chance alone.
func freeKeyID(tx *store.Tx, account string) (string, error) {
	for {
		id, err := model.NewAccessKeyID(model.LongTermKey, account)
		if err != nil {
			return "", err
		}
		if taken, err := model.AccessKeys.Has(tx, id); err != nil || !taken {
			return id, err
		}
	}
}

func noKey(id string) *fault.Error {
	return noSuchEntity("The Access Key with id %s cannot be found.", id)
}

// keyOf reads a key that must be on a keyring of the account.
func keyOf(tx *store.Tx, ring *keyring, account, id string) (*model.AccessKey, error) {
	if !slices.Contains(*ring.ids, id) {
		return nil, noKey(id)
	}
	key, err := model.AccessKeys.Get(tx, id)
	if err == nil && (key == nil || key.Account != account) {
		err = noKey(id)
	}
	return key, err
}

// UpdateAccessKey switches a key on or off.
func (s *Service) UpdateAccessKey(ctx context.Context, in *wireiam.UpdateAccessKeyRequest) (*wireiam.UpdateAccessKeyResponse, error) {
	name, err := owner(ctx, in.UserName)
	if err != nil {
		return nil, err
	}
	if *in.Status == wireiam.StatusTypeExpired {
		// The interface model has the word for keys that AWS itself expires.
		return nil, fault.New("InvalidInput", "An access key can be made Active or Inactive.")
	}
	now := s.cfg.Clock()
	return &wireiam.UpdateAccessKeyResponse{}, s.cfg.Update(ctx, func(tx *store.Tx) error {
		ring, err := keyringOf(tx, accountOf(ctx), name)
		if err != nil {
			return err
		}
		key, err := keyOf(tx, ring, accountOf(ctx), *in.AccessKeyId)
		if err != nil {
			return err
		}
		key.Active, key.Updated = *in.Status == wireiam.StatusTypeActive, now
		return model.AccessKeys.Put(tx, key.ID, key)
	})
}

// DeleteAccessKey removes a key.
func (s *Service) DeleteAccessKey(ctx context.Context, in *wireiam.DeleteAccessKeyRequest) (*wireiam.DeleteAccessKeyResponse, error) {
	name, err := owner(ctx, in.UserName)
	if err != nil {
		return nil, err
	}
	return &wireiam.DeleteAccessKeyResponse{}, s.cfg.Update(ctx, func(tx *store.Tx) error {
		ring, err := keyringOf(tx, accountOf(ctx), name)
		if err != nil {
			return err
		}
		key, err := keyOf(tx, ring, accountOf(ctx), *in.AccessKeyId)
		if err != nil {
			return err
		}
		*ring.ids = slices.DeleteFunc(*ring.ids, func(id string) bool { return id == key.ID })
		if err := ring.save(); err != nil {
			return err
		}
		return model.AccessKeys.Delete(tx, key.ID)
	})
}

// ListAccessKeys lists the keys of a user, oldest first.
func (s *Service) ListAccessKeys(ctx context.Context, in *wireiam.ListAccessKeysRequest) (*wireiam.ListAccessKeysResponse, error) {
	name, err := owner(ctx, in.UserName)
	if err != nil {
		return nil, err
	}
	var found []*model.AccessKey
	revision, err := s.cfg.List(ctx, func(tx *store.Tx) error {
		ring, err := keyringOf(tx, accountOf(ctx), name)
		if err != nil {
			return err
		}
		for _, id := range *ring.ids {
			key, err := keyOf(tx, ring, accountOf(ctx), id)
			if err != nil {
				return err
			}
			found = append(found, key)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	age := func(k *model.AccessKey) string { return k.Created.UTC().Format("20060102150405.000000000") + k.ID }
	sortBy(found, age)
	page, next, err := awsapi.Page(ctx, found, revision, age)
	if err != nil {
		return nil, err
	}
	return &wireiam.ListAccessKeysResponse{
		AccessKeyMetadata: each(page, func(k *model.AccessKey) wireiam.AccessKeyMetadata {
			return wireiam.AccessKeyMetadata{AccessKeyId: &k.ID, CreateDate: wire.At(k.Created), Status: status(k), UserName: model.Present(k.User)}
		}),
		Marker: next, IsTruncated: new(next != nil),
	}, nil
}

// GetAccessKeyLastUsed tells whose a key is and when it was used. What is not
// known is N/A.
// Source: IAM API Reference, AccessKeyLastUsed.
func (s *Service) GetAccessKeyLastUsed(ctx context.Context, in *wireiam.GetAccessKeyLastUsedRequest) (*wireiam.GetAccessKeyLastUsedResponse, error) {
	var key *model.AccessKey
	err := s.cfg.View(ctx, func(tx *store.Tx) (err error) {
		key, err = accountKey(tx, accountOf(ctx), *in.AccessKeyId)
		if err == nil && key == nil {
			// The model knows no error for it; this is AWS's.
			err = fault.New("AccessDenied", "User is not authorized to access this resource")
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	used := &wireiam.AccessKeyLastUsed{Region: new("N/A"), ServiceName: new("N/A")}
	if s.cfg.LastUsed != nil {
		if last, ok := s.cfg.LastUsed(key.ID); ok {
			used.LastUsedDate, used.Region, used.ServiceName = wire.At(last.At), &last.Region, &last.Service
		}
	}
	return &wireiam.GetAccessKeyLastUsedResponse{AccessKeyLastUsed: used, UserName: model.Present(key.User)}, nil
}

// accountKey finds a key of an account; nil if the account has no such key.
func accountKey(tx *store.Tx, account, id string) (*model.AccessKey, error) {
	key, err := model.AccessKeys.Get(tx, id)
	if err != nil || key == nil || key.Account != account {
		return nil, err
	}
	return key, nil
}
