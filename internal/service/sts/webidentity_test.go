package sts

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/go-cmp/cmp"

	"github.com/latchwork/latchwork/internal/awsapi"
	"github.com/latchwork/latchwork/internal/identity"
	"github.com/latchwork/latchwork/internal/model"
)

const (
	issuer      = "https://oidc.example/Id"
	providerARN = "arn:aws:iam::" + account + ":oidc-provider/oidc.example/Id"
	subject     = "system:serviceaccount:ns:sa"
)

// trusting gives the world an identity provider, and makes tokens of it.
func (w *world) trusting() func(change map[string]any) string {
	w.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		w.t.Fatal(err)
	}
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &key.PublicKey, KeyID: "a"}}})
	if err != nil {
		w.t.Fatal(err)
	}
	w.providers = map[string]*model.OIDCProvider{account + " " + issuer: {
		Meta: model.Meta{ARN: providerARN, Name: "oidc.example/Id", Account: account}, URL: issuer,
		ClientIDs: []string{"sts.amazonaws.com"}, KeySet: string(set),
	}}
	return func(change map[string]any) string {
		claims := map[string]any{"iss": issuer, "sub": subject, "aud": "sts.amazonaws.com", "exp": now.Add(time.Hour).Unix()}
		for name, value := range change {
			claims[name] = value
		}
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: "a"}}, nil)
		if err != nil {
			w.t.Fatal(err)
		}
		token, err := jwt.Signed(signer).Claims(claims).Serialize()
		if err != nil {
			w.t.Fatal(err)
		}
		return token
	}
}

func TestAssumeRoleWithWebIdentity(t *testing.T) {
	w := newWorld(t)
	w.caller = nil // nobody signs
	token := w.trusting()
	got := w.ok("AssumeRoleWithWebIdentity", with("WebIdentityToken="+token(map[string]any{"amr": []string{"pwd", "otp"}, "repository": "a/b"}))...).WebIdentity
	if *got.AssumedRoleUser.Arn != "arn:aws:sts::"+account+":assumed-role/App/work" || *got.Provider != providerARN || *got.Audience != "sts.amazonaws.com" ||
		*got.SubjectFromWebIdentityToken != subject || got.PackedPolicySize != nil || got.SourceIdentity != nil || !got.Credentials.Expiration.Equal(now.Add(time.Hour)) {
		t.Errorf("%+v", got)
	}
	session := &identity.Session{
		Name: "work", IssuedAt: now, Expires: now.Add(time.Hour), Tags: map[string]string{}, FederatedProvider: providerARN,
		Keys: map[string][]string{"oidc.example/id:sub": {subject}, "oidc.example/id:aud": {"sts.amazonaws.com"}, "oidc.example/id:amr": {"pwd", "otp"}},
	}
	want := identity.Principal{
		Kind: identity.AssumedRole, Partition: "aws", Account: account,
		ARN: "arn:aws:sts::" + account + ":assumed-role/App/work", IssuerARN: roleARN, IssuerID: "AROAAPP", UserID: "AROAAPP:work", Name: "App", Session: session,
	}
	if diff := cmp.Diff([]identity.Principal{want}, w.minted); diff != "" {
		t.Error(diff)
	}
	ask := []Ask{{
		Caller: &identity.Principal{
			Kind: identity.WebIdentity, UserID: providerARN + ":sts.amazonaws.com:" + subject,
			Session: &identity.Session{FederatedProvider: providerARN, Keys: session.Keys},
		},
		Action: "sts:AssumeRoleWithWebIdentity", Role: roleARN, Keys: []awsapi.Key{
			{Name: "sts:RoleSessionName", Values: []string{"work"}},
			{Name: "oidc.example/Id:amr", Values: []string{"pwd", "otp"}, Multi: true},
			{Name: "oidc.example/Id:aud", Values: []string{"sts.amazonaws.com"}},
			{Name: "oidc.example/Id:iss", Values: []string{issuer}},
			{Name: "oidc.example/Id:oaud", Values: []string{"sts.amazonaws.com"}},
			{Name: "oidc.example/Id:repository", Values: []string{"a/b"}},
			{Name: "oidc.example/Id:sub", Values: []string{subject}},
			{Name: "aws:ResourceTag/Team", Values: []string{"core"}},
			{Name: "iam:ResourceTag/Team", Values: []string{"core"}},
		},
	}}
	if diff := cmp.Diff(ask, w.asked); diff != "" {
		t.Error(diff)
	}
}

// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html, with AssumeRoleWithWebIdentity
func TestWebIdentityTags(t *testing.T) {
	w := newWorld(t)
	token := w.trusting()
	const tags, source = "https://aws.amazon.com/tags", "https://aws.amazon.com/source_identity"
	tagged := map[string]any{
		tags:   map[string]any{"principal_tags": map[string]any{"Cost": []string{"7"}}, "transitive_tag_keys": []string{"Cost"}},
		source: "erika",
	}
	got := w.ok("AssumeRoleWithWebIdentity", with("WebIdentityToken="+token(tagged), "DurationSeconds=900", "Policy="+sessionDoc)...).WebIdentity
	if *got.SourceIdentity != "erika" || *got.PackedPolicySize < 1 {
		t.Errorf("%+v", got)
	}
	s := w.minted[0].Session
	if diff := cmp.Diff(map[string]string{"Cost": "7"}, s.Tags); diff != "" || s.SourceIdentity != "erika" || len(s.TransitiveKeys) != 1 || len(s.Policies) != 1 || w.lifetime != 15*time.Minute {
		t.Errorf("%+v %v", s, w.lifetime)
	}
	var actions []string
	for _, a := range w.asked {
		actions = append(actions, a.Action)
	}
	if diff := cmp.Diff([]string{"sts:AssumeRoleWithWebIdentity", "sts:TagSession", "sts:SetSourceIdentity"}, actions); diff != "" {
		t.Error(diff)
	}
	w.deny = []string{"sts:TagSession"}
	w.fails(403, "AccessDenied", "Not authorized to perform sts:TagSession", "AssumeRoleWithWebIdentity", with("WebIdentityToken="+token(tagged))...)
	w.fails(400, "InvalidIdentityToken", "The session tag a of the ID Token must have one value", "AssumeRoleWithWebIdentity",
		with("WebIdentityToken="+token(map[string]any{tags: map[string]any{"principal_tags": map[string]any{"a": []string{"1", "2"}}}}))...)
	// What a token brings is bounded as the parameters of AssumeRole are.
	w.deny = nil
	for _, c := range []struct {
		key, value, source, want string
	}{
		{"Cost", "*", "erika", "The session tag Cost of the ID Token is not as session tags may be"},
		{"Cost", strings.Repeat("7", 257), "erika", "The session tag Cost of the ID Token is not as session tags may be"},
		{"", "7", "erika", "The session tag  of the ID Token is not as session tags may be"},
		{"Cost", "7", "erika\n", "The source identity of the ID Token is not as source identities may be"},
		{"Cost", "7", "e", "The source identity of the ID Token is not as source identities may be"},
	} {
		w.fails(400, "InvalidIdentityToken", c.want, "AssumeRoleWithWebIdentity", with("WebIdentityToken="+token(map[string]any{
			tags: map[string]any{"principal_tags": map[string]any{c.key: []string{c.value}}}, source: c.source,
		}))...)
	}
	if len(w.minted) != 1 {
		t.Errorf("%d sessions were made, all but one of them of refused tokens", len(w.minted))
	}
}

func TestAssumeRoleWithWebIdentityRefusals(t *testing.T) {
	const notAuthorized = "Not authorized to perform sts:AssumeRoleWithWebIdentity"
	for _, c := range []struct {
		name    string
		params  []string
		change  map[string]any
		deny    []string
		status  int
		code    string
		message string
	}{
		{"refused by the trust policy", basic, nil, []string{"sts:AssumeRoleWithWebIdentity"}, 403, "AccessDenied", notAuthorized},
		// A role that is there and one that is not look the same.
		{"no such role", []string{"RoleArn=arn:aws:iam::" + account + ":role/none", "RoleSessionName=work"}, nil, nil, 403, "AccessDenied", notAuthorized},
		{"no such provider", basic, map[string]any{"iss": "https://else.example"}, nil, 400, "InvalidIdentityToken", "No OpenIDConnect provider found in your account for https://else.example"},
		{
			"another account's provider",
			[]string{"RoleArn=arn:aws:iam::210987654321:role/Far", "RoleSessionName=work"},
			nil, nil, 400, "InvalidIdentityToken", "No OpenIDConnect provider found in your account for " + issuer,
		},
		{"wrong audience", basic, map[string]any{"aud": "other"}, nil, 400, "InvalidIdentityToken", "Incorrect token audience"},
		{"expired", basic, map[string]any{"exp": now.Unix()}, nil, 400, "ExpiredTokenException", "Token expired: current date/time 1795255200 must be before the expiration date/time 1795255200"},
		{"no ARN", []string{"RoleArn=this-is-not-an-arn-at-all", "RoleSessionName=work"}, nil, nil, 400, "ValidationError", "this-is-not-an-arn-at-all is invalid"},
		{"too long", with("DurationSeconds=7201"), nil, nil, 400, "ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."},
		{"too short", with("DurationSeconds=899"), nil, nil, 400, "ValidationError", "1 validation error detected: Value '899' at 'durationSeconds' failed to satisfy constraint: Member must have value greater than or equal to 900"},
		{"OAuth", with("ProviderId=graph.facebook.com"), nil, nil, 501, "NotImplemented", "STS AssumeRoleWithWebIdentity with ProviderId is not built yet"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			token := w.trusting()
			w.deny = c.deny
			w.fails(c.status, c.code, c.message, "AssumeRoleWithWebIdentity", append([]string{"WebIdentityToken=" + token(c.change)}, c.params...)...)
		})
	}
	w := newWorld(t)
	w.trusting()
	w.fails(400, "InvalidIdentityToken", "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)",
		"AssumeRoleWithWebIdentity", with("WebIdentityToken=hunter2")...)
	long := strings.Repeat("hunter2", 3000)
	w.fails(400, "ValidationError", "1 validation error detected: Value at 'webIdentityToken' failed to satisfy constraint: Member must have length less than or equal to 20000",
		"AssumeRoleWithWebIdentity", with("WebIdentityToken="+long)...)
}
