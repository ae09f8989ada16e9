package iam

import (
	"context"
	"net/url"
	"slices"
	"strings"

	"github.com/latchwork/latchwork/internal/awsapi"
	"github.com/latchwork/latchwork/internal/fault"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/oidc"
	"github.com/latchwork/latchwork/internal/store"
	"github.com/latchwork/latchwork/internal/wire"
	wireiam "github.com/latchwork/latchwork/internal/wire/iam"
)

// Limits of one identity provider.
// Source: IAM API Reference, CreateOpenIDConnectProvider, ClientIDList and
// ThumbprintList.
const (
	maxClientIDs   = 100
	maxThumbprints = 5
)

const oidcResource = "oidc-provider"

// issuerURL checks the URL of an issuer. Unlike AWS it takes a port, and http on
// this machine's own addresses.
// Source: IAM API Reference, CreateOpenIDConnectProvider, Url.
func issuerURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.User != nil || strings.ContainsAny(text, "?#*"):
		return invalid("Invalid Open ID Connect Provider URL")
	case !oidc.Reachable(u):
		return invalid("Invalid Open ID Connect Provider URL: it must begin with https://; http:// is for an issuer on a loopback address")
	}
	return nil
}

func (s *Service) oidcARN(account, issuer string) string {
	return model.IAMARN(s.cfg.Partition, account, oidcResource, "/", model.OIDCProviderName(issuer))
}

// provider finds an identity provider of the account by ARN; nil if there is none.
func (s *Service) provider(tx *store.Tx, account, arn string) (*model.OIDCProvider, error) {
	name, ok := strings.CutPrefix(arn, s.oidcARN(account, ""))
	if !ok || name == "" {
		return nil, nil
	}
	return model.OIDCProviders.Get(tx, model.OIDCProviderKey(account, name))
}

func (s *Service) getProvider(tx *store.Tx, account, arn string) (*model.OIDCProvider, error) {
	p, err := s.provider(tx, account, arn)
	if err == nil && p == nil {
		err = noSuchEntity("OpenIDConnect Provider not found for arn %s", arn)
	}
	return p, err
}

func (s *Service) changeProvider(ctx context.Context, arn *string, fn func(*model.OIDCProvider) error) error {
	now := s.cfg.Clock()
	return s.cfg.Update(ctx, func(tx *store.Tx) error {
		p, err := s.getProvider(tx, accountOf(ctx), *arn)
		if err != nil {
			return err
		}
		if err := fn(p); err != nil {
			return err
		}
		p.Updated = now
		return model.OIDCProviders.Put(tx, model.OIDCProviderKey(p.Account, p.Name), p)
	})
}

func checkClientIDs(ids []string) error {
	if len(ids) > maxClientIDs {
		return exceeded("ClientIdsPerOpenIdConnectProvider", maxClientIDs)
	}
	return nil
}

func checkThumbprints(list []string) error {
	if len(list) > maxThumbprints {
		return fault.New("InvalidInput", "Thumbprint list must contain fewer than %d entries.", maxThumbprints)
	}
	for _, t := range list {
		if strings.Trim(strings.ToLower(t), "0123456789abcdef") != "" {
			return fault.New("InvalidInput", "Thumbprint %s is not the SHA-1 of a certificate in hexadecimal.", t)
		}
	}
	return nil
}

// unique keeps the first of texts that are the same.
func unique(texts []string) []string {
	var out []string
	for _, t := range texts {
		if !slices.Contains(out, t) {
			out = append(out, t)
		}
	}
	return out
}

// CreateOpenIDConnectProvider makes the account trust the tokens of an issuer.
func (s *Service) CreateOpenIDConnectProvider(ctx context.Context, in *wireiam.CreateOpenIDConnectProviderRequest) (*wireiam.CreateOpenIDConnectProviderResponse, error) {
	if err := issuerURL(*in.Url); err != nil {
		return nil, err
	}
	if err := checkClientIDs(in.ClientIDList); err != nil {
		return nil, err
	}
	if err := checkThumbprints(in.ThumbprintList); err != nil {
		return nil, err
	}
	tags, err := mergeTags(nil, in.Tags, oidcResource)
	if err != nil {
		return nil, err
	}
	now, account := s.cfg.Clock(), accountOf(ctx)
	made := &model.OIDCProvider{
		Meta: model.Meta{
			ARN: s.oidcARN(account, *in.Url), Name: model.OIDCProviderName(*in.Url), Account: account,
			Created: now, Updated: now, Tags: tags,
		},
		URL: *in.Url, ClientIDs: unique(in.ClientIDList), Thumbprints: in.ThumbprintList,
	}
	err = s.cfg.Update(ctx, func(tx *store.Tx) error {
		key := model.OIDCProviderKey(account, made.Name)
		if taken, err := model.OIDCProviders.Has(tx, key); err != nil {
			return err
		} else if taken {
			return fault.New("EntityAlreadyExists", "Provider with url %s already exists.", made.URL)
		}
		if limit := s.cfg.Quotas.OIDCProviders; limit != Unlimited {
			siblings, err := model.OIDCProviders.List(tx, model.OIDCProviderKey(account, ""))
			if err != nil {
				return err
			}
			if len(siblings) >= limit {
				return exceeded("OpenIdConnectProvidersPerAccount", limit)
			}
		}
		return model.OIDCProviders.Put(tx, key, made)
	})
	if err != nil {
		return nil, err
	}
	return &wireiam.CreateOpenIDConnectProviderResponse{OpenIDConnectProviderArn: &made.ARN, Tags: tagsOf(tags)}, nil
}

// GetOpenIDConnectProvider shows an identity provider. As AWS does, it shows the
// URL without the scheme.
func (s *Service) GetOpenIDConnectProvider(ctx context.Context, in *wireiam.GetOpenIDConnectProviderRequest) (*wireiam.GetOpenIDConnectProviderResponse, error) {
	var p *model.OIDCProvider
	err := s.cfg.View(ctx, func(tx *store.Tx) (err error) {
		p, err = s.getProvider(tx, accountOf(ctx), *in.OpenIDConnectProviderArn)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &wireiam.GetOpenIDConnectProviderResponse{
		Url: &p.Name, CreateDate: wire.At(p.Created), Tags: tagsOf(p.Tags),
		ClientIDList: slices.Concat([]string{}, p.ClientIDs), ThumbprintList: slices.Concat([]string{}, p.Thumbprints),
	}, nil
}

// ListOpenIDConnectProviders lists the account's identity providers.
func (s *Service) ListOpenIDConnectProviders(ctx context.Context, _ *wireiam.ListOpenIDConnectProvidersRequest) (*wireiam.ListOpenIDConnectProvidersResponse, error) {
	out := &wireiam.ListOpenIDConnectProvidersResponse{OpenIDConnectProviderList: []wireiam.OpenIDConnectProviderListEntry{}}
	return out, s.cfg.View(ctx, func(tx *store.Tx) error {
		all, err := model.OIDCProviders.List(tx, model.OIDCProviderKey(accountOf(ctx), ""))
		for i := range all {
			out.OpenIDConnectProviderList = append(out.OpenIDConnectProviderList, wireiam.OpenIDConnectProviderListEntry{Arn: &all[i].Record.ARN})
		}
		return err
	})
}

// DeleteOpenIDConnectProvider ends the trust. Roles whose trust policies name the
// provider stay; nobody can take them by it any more.
func (s *Service) DeleteOpenIDConnectProvider(ctx context.Context, in *wireiam.DeleteOpenIDConnectProviderRequest) (*wireiam.DeleteOpenIDConnectProviderResponse, error) {
	return &wireiam.DeleteOpenIDConnectProviderResponse{}, s.cfg.Update(ctx, func(tx *store.Tx) error {
		p, err := s.getProvider(tx, accountOf(ctx), *in.OpenIDConnectProviderArn)
		if err != nil {
			return err
		}
		return model.OIDCProviders.Delete(tx, model.OIDCProviderKey(p.Account, p.Name))
	})
}

// UpdateOpenIDConnectProviderThumbprint replaces the thumbprints.
func (s *Service) UpdateOpenIDConnectProviderThumbprint(ctx context.Context, in *wireiam.UpdateOpenIDConnectProviderThumbprintRequest) (*wireiam.UpdateOpenIDConnectProviderThumbprintResponse, error) {
	if err := checkThumbprints(in.ThumbprintList); err != nil {
		return nil, err
	}
	return &wireiam.UpdateOpenIDConnectProviderThumbprintResponse{}, s.changeProvider(ctx, in.OpenIDConnectProviderArn, func(p *model.OIDCProvider) error {
		p.Thumbprints = in.ThumbprintList
		return nil
	})
}

// AddClientIDToOpenIDConnectProvider adds an audience; one that is there stays.
func (s *Service) AddClientIDToOpenIDConnectProvider(ctx context.Context, in *wireiam.AddClientIDToOpenIDConnectProviderRequest) (*wireiam.AddClientIDToOpenIDConnectProviderResponse, error) {
	return &wireiam.AddClientIDToOpenIDConnectProviderResponse{}, s.changeProvider(ctx, in.OpenIDConnectProviderArn, func(p *model.OIDCProvider) error {
		p.ClientIDs = unique(append(p.ClientIDs, *in.ClientID))
		return checkClientIDs(p.ClientIDs)
	})
}

// RemoveClientIDFromOpenIDConnectProvider removes an audience; one that is not
// there is passed over.
// Source: IAM API Reference, RemoveClientIDFromOpenIDConnectProvider: "it does not
// fail or return an error if you try to remove a client ID that does not exist".
func (s *Service) RemoveClientIDFromOpenIDConnectProvider(ctx context.Context, in *wireiam.RemoveClientIDFromOpenIDConnectProviderRequest) (*wireiam.RemoveClientIDFromOpenIDConnectProviderResponse, error) {
	return &wireiam.RemoveClientIDFromOpenIDConnectProviderResponse{}, s.changeProvider(ctx, in.OpenIDConnectProviderArn, func(p *model.OIDCProvider) error {
		p.ClientIDs = slices.DeleteFunc(p.ClientIDs, func(id string) bool { return id == *in.ClientID })
		return nil
	})
}

// TagOpenIDConnectProvider adds tags.
func (s *Service) TagOpenIDConnectProvider(ctx context.Context, in *wireiam.TagOpenIDConnectProviderRequest) (*wireiam.TagOpenIDConnectProviderResponse, error) {
	return &wireiam.TagOpenIDConnectProviderResponse{}, s.changeProvider(ctx, in.OpenIDConnectProviderArn, func(p *model.OIDCProvider) error {
		return addTags(&p.Meta, in.Tags, oidcResource)
	})
}

// UntagOpenIDConnectProvider removes tags.
func (s *Service) UntagOpenIDConnectProvider(ctx context.Context, in *wireiam.UntagOpenIDConnectProviderRequest) (*wireiam.UntagOpenIDConnectProviderResponse, error) {
	return &wireiam.UntagOpenIDConnectProviderResponse{}, s.changeProvider(ctx, in.OpenIDConnectProviderArn, func(p *model.OIDCProvider) error {
		removeTags(&p.Meta, in.TagKeys)
		return nil
	})
}

// ListOpenIDConnectProviderTags lists tags.
func (s *Service) ListOpenIDConnectProviderTags(ctx context.Context, in *wireiam.ListOpenIDConnectProviderTagsRequest) (*wireiam.ListOpenIDConnectProviderTagsResponse, error) {
	var p *model.OIDCProvider
	revision, err := s.cfg.List(ctx, func(tx *store.Tx) (err error) {
		p, err = s.getProvider(tx, accountOf(ctx), *in.OpenIDConnectProviderArn)
		return err
	})
	if err != nil {
		return nil, err
	}
	page, next, err := pageTags(ctx, &p.Meta, revision)
	if err != nil {
		return nil, err
	}
	return &wireiam.ListOpenIDConnectProviderTagsResponse{Tags: page, Marker: next, IsTruncated: new(next != nil)}, nil
}

// onProvider makes the row of an operation on an identity provider.
func onProvider[In any](s *Service, arn func(*In) *string, keys ...keysOf[In, model.OIDCProvider]) awsapi.Access {
	return awsapi.Access{Resources: awsapi.Targets(func(ctx context.Context, c *awsapi.Call, in *In) ([]awsapi.Resource, error) {
		var record *model.OIDCProvider
		err := s.cfg.View(ctx, func(tx *store.Tx) (err error) {
			record, err = s.provider(tx, c.Account, *arn(in))
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

// oidcRows are those of identity providers.
func (s *Service) oidcRows() awsapi.AccessTable {
	return awsapi.AccessTable{
		"CreateOpenIDConnectProvider": withTags(awsapi.Access{Resources: awsapi.Target(func(c *awsapi.Call, in *wireiam.CreateOpenIDConnectProviderRequest) string {
			return s.oidcARN(c.Account, *in.Url)
		})}, func(in *wireiam.CreateOpenIDConnectProviderRequest) []wireiam.Tag { return in.Tags }),
		"GetOpenIDConnectProvider":    onProvider(s, func(in *wireiam.GetOpenIDConnectProviderRequest) *string { return in.OpenIDConnectProviderArn }),
		"ListOpenIDConnectProviders":  everything(),
		"DeleteOpenIDConnectProvider": onProvider(s, func(in *wireiam.DeleteOpenIDConnectProviderRequest) *string { return in.OpenIDConnectProviderArn }),
		"UpdateOpenIDConnectProviderThumbprint": onProvider(s, func(in *wireiam.UpdateOpenIDConnectProviderThumbprintRequest) *string {
			return in.OpenIDConnectProviderArn
		}),
		"AddClientIDToOpenIDConnectProvider": onProvider(s, func(in *wireiam.AddClientIDToOpenIDConnectProviderRequest) *string {
			return in.OpenIDConnectProviderArn
		}),
		"RemoveClientIDFromOpenIDConnectProvider": onProvider(s, func(in *wireiam.RemoveClientIDFromOpenIDConnectProviderRequest) *string {
			return in.OpenIDConnectProviderArn
		}),
		"TagOpenIDConnectProvider": onProvider(s, func(in *wireiam.TagOpenIDConnectProviderRequest) *string { return in.OpenIDConnectProviderArn },
			func(in *wireiam.TagOpenIDConnectProviderRequest, _ *model.OIDCProvider) []awsapi.Key {
				return requestTags(in.Tags)
			}),
		"UntagOpenIDConnectProvider": onProvider(s, func(in *wireiam.UntagOpenIDConnectProviderRequest) *string { return in.OpenIDConnectProviderArn },
			func(in *wireiam.UntagOpenIDConnectProviderRequest, _ *model.OIDCProvider) []awsapi.Key {
				return tagKeys(in.TagKeys)
			}),
		"ListOpenIDConnectProviderTags": onProvider(s, func(in *wireiam.ListOpenIDConnectProviderTagsRequest) *string {
			return in.OpenIDConnectProviderArn
		}),
	}
}
