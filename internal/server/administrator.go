package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/latchwork/latchwork/internal/service/iam"
	"github.com/latchwork/latchwork/internal/wire"
)

// Admin is the first administrator of an account, as it is kept in the data
// directory.
type Admin struct {
	Account         string `json:"account"`
	UserName        string `json:"userName"`
	AccessKeyID     string `json:"accessKeyId"`
	SecretAccessKey string `json:"secretAccessKey"`
}

// AdminFile is where an account's first administrator is kept.
func AdminFile(dataDir, account string) string {
	return filepath.Join(dataDir, "admin-"+account+".json")
}

// bootstrap makes the first administrator of each account.
func (s *Server) bootstrap(ctx context.Context) error {
	// Half a store is no store: wait for the first snapshot.
	if err := s.publisher.WaitFor(ctx, 0); err != nil {
		return err
	}
	for _, a := range s.cfg.accounts {
		var admin *Admin
		path := AdminFile(s.cfg.DataDir, a.ID)
		made, err := iam.Administrator(ctx, s.iamConfig(), a.ID, "admin", func(keyID string, secret wire.Secret) error {
			admin = &Admin{Account: a.ID, UserName: "admin", AccessKeyID: keyID, SecretAccessKey: secret.Reveal()}
			return writeSecret(path, admin)
		})
		switch {
		case err != nil:
			// The file stays: the administrator may have been stored all the same, and is
			// made anew if not.
			return fmt.Errorf("making the first administrator of account %s: %w", a.ID, err)
		case made:
			s.admins[a.ID] = admin
		case admin != nil:
			// Another server made the administrator meanwhile, with a key of its own.
			if err := os.Remove(path); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeSecret writes a file of JSON that nobody else can read. It appears whole, and
// is on the disk when writeSecret returns.
func writeSecret(path string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".new-*") // its mode is 0600
	if err != nil {
		return err
	}
	_, err = f.Write(append(text, '\n'))
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
