package iam

import (
	"context"

	"github.com/latchwork/latchwork/internal/credential"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/store"
	"github.com/latchwork/latchwork/internal/wire"
)

const (
	administratorPolicy   = "AdministratorAccess"
	administratorDocument = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`
)

// Administrator makes the first user of an account, who may do everything, and an
// access key for it. It does so once in the life of an account: made is false if
// the account had its administrator before, even if that user is gone.
//
// keep is given the key before anything is stored: a key that is stored and not
// kept would lock everybody out for good. It may be called again, with another key
// that counts instead; where made is false after all, what it was given is worth
// nothing.
func Administrator(ctx context.Context, cfg Config, account, name string, keep func(keyID string, secret wire.Secret) error) (made bool, err error) {
	s := newService(cfg)
	fresh := wire.Secret(credential.NewSecret())
	err = cfg.Update(ctx, func(tx *store.Tx) error {
		made = false
		info, err := model.AccountInfo.Get(tx, account)
		if err != nil || info != nil && info.Administrator != "" {
			return err
		}
		if info == nil {
			info = &model.Account{ID: account}
		}
		if taken, err := users.find(tx, account, name); err != nil {
			return err
		} else if taken != nil {
			return users.exists(name)
		}
		now := cfg.Clock()
		u := &model.User{
			Meta: model.Meta{
				ID: credential.NewUniqueID(users.prefix), ARN: users.arn(s, account, "/", name), Name: name, Account: account,
				Created: now, Updated: now,
			},
			Path: "/",
		}
		managed := model.IAMARN(cfg.Partition, "aws", policies.resource, "/", administratorPolicy)
		if s.awsManaged[managed] != nil {
			u.Attached = []string{managed}
		} else {
			u.Inline = map[string]string{administratorPolicy: administratorDocument}
		}
		if err := users.put(tx, u); err != nil {
			return err
		}
		key, err := s.addKey(tx, account, name, fresh)
		if err != nil {
			return err
		}
		made, info.Administrator = true, name
		if err := model.AccountInfo.Put(tx, account, info); err != nil {
			return err
		}
		return keep(key.ID, fresh)
	})
	return made && err == nil, err
}
