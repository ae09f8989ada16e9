// Package oidc verifies the tokens of OpenID Connect issuers that accounts trust.
// Its errors are those of STS, fit for the caller; what went wrong underneath is
// their cause. None of them holds a token.
package oidc

import (
	"context"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/latchwork/latchwork/internal/clock"
	"github.com/latchwork/latchwork/internal/fault"
	"github.com/latchwork/latchwork/internal/model"
)

// algorithms that a token may be signed with: those of keys that can be published.
// Source: IAM User Guide, "Create an OpenID Connect (OIDC) identity provider in
// IAM", prerequisites.
var algorithms = []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.ES256, jose.ES384, jose.ES512}

// skew is how far ahead of this machine's clock an issuer's may be.
const skew = 5 * time.Minute

// Reachable tells whether an issuer, or what it refers to, may be at a URL: https,
// or http on this machine's own addresses, where no certificate could be had.
func Reachable(u *url.URL) bool {
	addr, err := netip.ParseAddr(u.Hostname())
	own := u.Hostname() == "localhost" || err == nil && addr.IsLoopback()
	return u.Host != "" && u.User == nil && (u.Scheme == "https" || u.Scheme == "http" && own)
}

// Token is a token that was read and not verified.
type Token struct {
	signed *jwt.JSONWebToken
	// Issuer is who the token says it is from.
	Issuer string
}

// Parse reads a token.
func Parse(text string) (*Token, error) {
	signed, err := jwt.ParseSigned(text, algorithms)
	var claims jwt.Claims
	if err == nil {
		err = signed.UnsafeClaimsWithoutVerification(&claims)
	}
	if err != nil {
		return nil, invalid(err, "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)")
	}
	if claims.Issuer == "" {
		return nil, missing("iss")
	}
	return &Token{signed: signed, Issuer: claims.Issuer}, nil
}

// Claims are what a verified token says.
type Claims struct {
	Subject string
	// Audience is the one that the token was taken for.
	Audience string
	// Keys are condition keys and their values by name, without the issuer that they
	// begin with.
	Keys map[string][]string
	// Tags and TransitiveKeys are the session tags that the issuer gives.
	Tags           map[string][]string
	TransitiveKeys []string
	SourceIdentity string
	// Pod is the pod that a service account's token was made for.
	Pod Pod
}

// Pod is a pod of Kubernetes.
type Pod struct {
	Name string `json:"name"`
	UID  string `json:"uid"`
}

// Verifier verifies tokens.
type Verifier struct{ keys keySource }

// NewVerifier makes a Verifier that asks issuers for their keys.
func NewVerifier(c clock.Clock) *Verifier {
	return &Verifier{keySource{clock: c, known: map[string]*published{}}}
}

// claims are those that are read. Tags and SourceIdentity are how an issuer hands out session
// tags and the source identity.
// Source: IAM User Guide, "Pass session tags in AWS STS", passing them with
// AssumeRoleWithWebIdentity.
type claims struct {
	jwt.Claims
	Party string `json:"azp"`
	Tags  struct {
		Principal  map[string]jwt.Audience `json:"principal_tags"`
		Transitive []string                `json:"transitive_tag_keys"`
	} `json:"https://aws.amazon.com/tags"`
	SourceIdentity string `json:"https://aws.amazon.com/source_identity"`
	// Source: Kubernetes, "Managing service accounts", schema of their private claims.
	Kubernetes struct {
		Pod Pod `json:"pod"`
	} `json:"kubernetes.io"`
}

// Verify verifies a token of a provider: who signed it, when, and for whom.
func (v *Verifier) Verify(ctx context.Context, p *model.OIDCProvider, t *Token) (*Claims, error) {
	if t.Issuer != p.URL {
		return nil, invalid(nil, "No OpenIDConnect provider found in your account for %s", t.Issuer)
	}
	keys, err := v.keys.find(ctx, p, t.signed.Headers[0].KeyID)
	if err != nil {
		return nil, err
	}
	var c claims
	var all map[string]any
	if err := verified(t.signed, keys, &c, &all); err != nil {
		return nil, invalid(err, "Couldn't verify the signature of the ID Token with the keys of %s", p.URL)
	}
	if err := v.checkTimes(&c); err != nil {
		return nil, err
	}
	if c.Subject == "" {
		return nil, missing("sub")
	}
	out := &Claims{
		Subject: c.Subject, Keys: conditionKeys(all), Tags: map[string][]string{},
		TransitiveKeys: c.Tags.Transitive, SourceIdentity: c.SourceIdentity, Pod: c.Kubernetes.Pod,
	}
	for key, values := range c.Tags.Principal {
		out.Tags[key] = values
	}
	// Source: IAM User Guide, "IAM and AWS STS condition context keys", keys of web
	// identities: where azp is set it is the audience.
	audiences := []string(c.Audience)
	if c.Party != "" {
		audiences = []string{c.Party}
	}
	accepted := slices.IndexFunc(audiences, func(a string) bool { return slices.Contains(p.ClientIDs, a) })
	if accepted < 0 {
		return nil, invalid(nil, "Incorrect token audience")
	}
	out.Audience = audiences[accepted]
	out.Keys["aud"], out.Keys["oaud"] = []string{out.Audience}, c.Audience
	return out, nil
}

// verified reads the claims if one of the keys made the signature.
func verified(t *jwt.JSONWebToken, keys []jose.JSONWebKey, into ...any) error {
	err := jose.ErrCryptoFailure
	for i := range keys {
		if err = t.Claims(keys[i].Key, into...); err == nil {
			return nil
		}
	}
	return err
}

func (v *Verifier) checkTimes(c *claims) error {
	now := v.keys.clock()
	switch {
	case c.Expiry == nil:
		return missing("exp")
	case !now.Before(c.Expiry.Time()):
		return fault.New("ExpiredTokenException", "Token expired: current date/time %d must be before the expiration date/time %d", now.Unix(), c.Expiry.Time().Unix())
	case c.NotBefore != nil && now.Add(skew).Before(c.NotBefore.Time()), c.IssuedAt != nil && now.Add(skew).Before(c.IssuedAt.Time()):
		return invalid(nil, "The ID Token provided is not valid yet: compare the clocks of the issuer and of this server")
	}
	return nil
}

// conditionKeys are the claims that are text, truth values or lists of texts. Names
// of condition keys compare without regard to case, so that of claims which differ
// by case alone only one may count.
func conditionKeys(all map[string]any) map[string][]string {
	out := map[string][]string{}
	for name, value := range all {
		if name != strings.ToLower(name) {
			continue
		}
		switch value := value.(type) {
		case string:
			out[name] = []string{value}
		case bool:
			out[name] = []string{fmt.Sprint(value)}
		case []any:
			for _, one := range value {
				if text, ok := one.(string); ok {
					out[name] = append(out[name], text)
				}
			}
		}
	}
	return out
}

func invalid(cause error, format string, args ...any) *fault.Error {
	e := fault.New("InvalidIdentityToken", format, args...)
	e.Cause = cause
	return e
}

func missing(claim string) *fault.Error {
	return invalid(nil, "Missing a required claim: %s", claim)
}
