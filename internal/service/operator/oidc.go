package operator

import (
	"context"

	"github.com/latchwork/latchwork/internal/awsapi"
	"github.com/latchwork/latchwork/internal/fault"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/oidc"
	"github.com/latchwork/latchwork/internal/store"
)

// PutOIDCProviderKeysInput names an issuer by its URL. KeySet is a JSON Web Key Set;
// "" stands for the one that the issuer publishes.
type PutOIDCProviderKeysInput struct {
	Issuer *string `json:"issuer,omitzero" aws:"String,required"`
	KeySet *string `json:"keySet,omitzero" aws:"String,required"`
}

// PutOIDCProviderKeysOutput tells whose keys they are.
type PutOIDCProviderKeysOutput struct {
	ARN *string `json:"arn,omitzero" aws:"String"`
}

// PutOIDCProviderKeys gives an identity provider of the caller's account the keys of
// its issuer, where the server cannot reach the issuer: a Kubernetes cluster without
// a public address.
func (s *Service) PutOIDCProviderKeys(ctx context.Context, in *PutOIDCProviderKeysInput) (*PutOIDCProviderKeysOutput, error) {
	if *in.KeySet != "" {
		if _, err := oidc.ParseKeySet(*in.KeySet); err != nil {
			return nil, API.Invalid("keySet", "the key set cannot be used: %s", err)
		}
	}
	now, account := s.cfg.Clock(), awsapi.FromContext(ctx).Account
	key := model.OIDCProviderKey(account, model.OIDCProviderName(*in.Issuer))
	var p *model.OIDCProvider
	err := s.cfg.Update(ctx, func(tx *store.Tx) (err error) {
		if p, err = model.OIDCProviders.Get(tx, key); err != nil {
			return err
		}
		if p == nil || p.URL != *in.Issuer {
			return noProvider(account, *in.Issuer)
		}
		p.KeySet, p.Updated = *in.KeySet, now
		return model.OIDCProviders.Put(tx, key, p)
	})
	if err != nil {
		return nil, err
	}
	return &PutOIDCProviderKeysOutput{ARN: &p.ARN}, nil
}

func noProvider(account, issuer string) error {
	return fault.New("ResourceNotFoundException",
		"account %s has no identity provider for %s: aws iam create-open-id-connect-provider makes one; the URL must be the issuer of the tokens, letter for letter", account, issuer)
}
