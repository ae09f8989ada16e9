package sts

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/latchwork/latchwork/internal/awsapi"
	"github.com/latchwork/latchwork/internal/fault"
	"github.com/latchwork/latchwork/internal/identity"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/oidc"
	wire "github.com/latchwork/latchwork/internal/wire/sts"
)

// AssumeRoleWithWebIdentity gives a session of a role to whoever has a token of an
// identity provider that the role's account has, and that the role trusts. Nobody
// signs the request: the token is the proof.
func (s *Service) AssumeRoleWithWebIdentity(ctx context.Context, in *wire.AssumeRoleWithWebIdentityRequest) (*wire.AssumeRoleWithWebIdentityResponse, error) {
	account, ok := roleAccount(*in.RoleArn)
	if !ok {
		return nil, invalid("%s is invalid", *in.RoleArn)
	}
	if in.ProviderId != nil {
		// It is for the access tokens of OAuth 2.0, which say nothing to STS.
		return nil, notBuilt("AssumeRoleWithWebIdentity with ProviderId")
	}
	token, err := oidc.Parse(in.WebIdentityToken.Reveal())
	if err != nil {
		return nil, err
	}
	provider, ok := s.cfg.World.OIDCProvider(ctx, account, token.Issuer)
	if !ok {
		return nil, fault.New("InvalidIdentityToken", "No OpenIDConnect provider found in your account for %s", token.Issuer)
	}
	claims, err := s.cfg.Identities.Verify(ctx, provider, token)
	if err != nil {
		return nil, err
	}
	caller := webIdentity(provider, claims)
	awsapi.FromContext(ctx).Caller.Principal = caller
	asked, err := tagsOf(claims)
	if err != nil {
		return nil, err
	}
	if source := claims.SourceIdentity; source != "" && !wire.API.Constraints["sourceIdentityType"].Allows(source) {
		return nil, fault.New("InvalidIdentityToken", "The source identity of the ID Token is not as source identities may be")
	}
	tags, err := mergeTags(asked, claims.TransitiveKeys, nil)
	if err != nil {
		return nil, err
	}
	p, credentials, packed, err := s.take(ctx, &taking{
		caller: caller, action: "sts:AssumeRoleWithWebIdentity", role: *in.RoleArn, account: account, session: *in.RoleSessionName,
		keys: claimKeys(provider, claims), asked: asked, transitive: claims.TransitiveKeys, tags: tags, source: claims.SourceIdentity,
		lifetime: roleLifetime(in.DurationSeconds), policy: in.Policy, policyARNs: in.PolicyArns,
		refusal: func(action string) *fault.Error { return denied("Not authorized to perform %s", action) },
	})
	if err != nil {
		return nil, err
	}
	return &wire.AssumeRoleWithWebIdentityResponse{
		AssumedRoleUser:             &wire.AssumedRoleUser{Arn: &p.ARN, AssumedRoleId: &p.UserID},
		Audience:                    &claims.Audience,
		Credentials:                 credentials,
		PackedPolicySize:            packed,
		Provider:                    &provider.ARN,
		SourceIdentity:              model.Present(claims.SourceIdentity),
		SubjectFromWebIdentityToken: &claims.Subject,
	}, nil
}

// lasting are the claims that are condition keys of the session's later requests
// too.
// Source: IAM User Guide, "IAM and AWS STS condition context keys", keys of web
// identities that are available after the role was assumed.
var lasting = []string{"amr", "aud", "id", "sub"}

func webIdentity(p *model.OIDCProvider, c *oidc.Claims) *identity.Principal {
	kept := map[string][]string{}
	for _, name := range lasting {
		if values := c.Keys[name]; len(values) > 0 {
			kept[strings.ToLower(p.Name)+":"+name] = values
		}
	}
	return &identity.Principal{
		Kind: identity.WebIdentity,
		// Source: CloudTrail User Guide, "CloudTrail userIdentity element", principalId
		// of a WebIdentityUser.
		UserID:  p.ARN + ":" + c.Audience + ":" + c.Subject,
		Session: &identity.Session{FederatedProvider: p.ARN, Keys: kept},
	}
}

// claimKeys are the condition keys of the token: its claims, below the issuer.
func claimKeys(p *model.OIDCProvider, c *oidc.Claims) []awsapi.Key {
	var out []awsapi.Key
	for _, name := range slices.Sorted(maps.Keys(c.Keys)) {
		out = append(out, awsapi.Key{Name: p.Name + ":" + name, Values: c.Keys[name], Multi: len(c.Keys[name]) > 1})
	}
	return out
}

// tagsOf are the session tags in a token; each has one value, and is as the model says
// of those in a request.
func tagsOf(c *oidc.Claims) ([]wire.Tag, error) {
	var out []wire.Tag
	for _, key := range slices.Sorted(maps.Keys(c.Tags)) {
		values := c.Tags[key]
		if len(values) != 1 {
			return nil, fault.New("InvalidIdentityToken", "The session tag %s of the ID Token must have one value", key)
		}
		if !wire.API.Constraints["tagKeyType"].Allows(key) || !wire.API.Constraints["tagValueType"].Allows(values[0]) {
			return nil, fault.New("InvalidIdentityToken", "The session tag %s of the ID Token is not as session tags may be", key)
		}
		out = append(out, wire.Tag{Key: &key, Value: &values[0]})
	}
	return out, nil
}
