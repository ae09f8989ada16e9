package cli

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/latchwork/latchwork/internal/authz"
	"github.com/latchwork/latchwork/internal/identity"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/policy"
	"github.com/latchwork/latchwork/internal/snapshot"
)

// trust tells whether the workload can take the role. Nobody knows of a role alone
// what is to take it.
func (v *confirming) trust(s *subject) bool {
	document, err := policy.Parse(policy.Trust, v.role.Trust)
	var compiled *policy.Compiled
	if err == nil {
		compiled, err = policy.Compile(document)
	}
	if err != nil {
		v.add(levelFail, "trust", "the trust policy cannot be evaluated: %v", err)
		return false
	}
	for _, w := range policy.Lint(document) {
		v.add(levelWarn, "trust", "%s: %s", w.Message, w.Fix)
	}
	entity := &snapshot.Entity{ARN: v.role.ARN, Account: v.account, Trust: &snapshot.Policy{Text: v.role.Trust, Compiled: compiled}}
	switch s.kind {
	case "":
		return true
	case webIdentity:
		return v.trustsToken(s, document, entity)
	}
	service := model.ServicePrincipal(s.kind)
	actions := []string{"sts:AssumeRole"}
	if s.kind == model.EKSPod {
		actions = append(actions, "sts:TagSession")
	}
	keys := policy.MapKeys{}
	keys.Set("aws:SourceAccount", v.account)
	who := &identity.Principal{Kind: identity.Service, Name: service}
	for _, action := range actions {
		if !v.trusts(authz.OfRole(entity, who, action, keys), service) {
			v.add(levelFail, "trust", "the role does not let %s do %s", service, action)
			v.fixTrust(map[string]any{"Service": service}, actions, nil)
			return false
		}
	}
	return true
}

// trusts tells whether a trust policy lets somebody in, and says so. What depends on
// more than is known is taken to hold.
func (v *confirming) trusts(q *authz.Query, who string) bool {
	x := authz.Explain(snapshot.New(&snapshot.Settings{}), q)
	open := depends(&x)
	switch {
	case len(open) > 0:
		v.add(levelWarn, "trust", "the role trusts %s for %s if %s is as it wants", who, q.Action, strings.Join(open, " and "))
	case x.Allowed:
		v.add(levelOK, "trust", "the role trusts %s for %s", who, q.Action)
	}
	return x.Allowed || len(open) > 0
}

// trustsToken tells whether the role trusts the token of a service account, of any
// identity provider that it names.
func (v *confirming) trustsToken(s *subject, document *policy.Document, role *snapshot.Entity) bool {
	const action = "sts:AssumeRoleWithWebIdentity"
	provider, name := "", ""
	for i := range document.Statements {
		for _, p := range document.Statements[i].Principals {
			_, issuer, ok := strings.Cut(p.Text.Text, ":oidc-provider/")
			// A token is looked up among the identity providers of the role's account.
			if p.Type != "Federated" || !ok || accountOf(p.Text.Text) != v.account {
				continue
			}
			provider, name = p.Text.Text, issuer
			keys := policy.MapKeys{}
			keys.Set(issuer+":sub", s.subject)
			keys.Set(issuer+":aud", s.audience)
			who := &identity.Principal{Kind: identity.WebIdentity, UserID: s.subject, Session: &identity.Session{FederatedProvider: provider}}
			if v.trusts(authz.OfRole(role, who, action, keys), s.subject+" of "+issuer) {
				return v.knows(provider, issuer, s.audience)
			}
		}
	}
	if provider == "" {
		v.add(levelFail, "trust", "the role trusts no identity provider of its account: that of the cluster must be named in its trust policy, with %s", action)
		return false
	}
	v.add(levelFail, "trust", "the role does not trust %s of %s for %s", s.subject, name, s.audience)
	v.fixTrust(map[string]any{"Federated": provider}, []string{action}, map[string]any{
		"StringEquals": map[string]string{name + ":sub": s.subject, name + ":aud": s.audience},
	})
	return false
}

// knows tells whether the account has an identity provider with an audience: STS takes
// no other token.
func (v *confirming) knows(provider, issuer, audience string) bool {
	audiences, err := v.client.audiences(v.ctx, provider)
	var answered *apiError
	switch {
	case errors.As(err, &answered) && answered.status == http.StatusNotFound:
		v.add(levelFail, "trust", "the account has no identity provider for %s, so no token of it is taken", issuer)
		v.fix("aws iam create-open-id-connect-provider --url %s --client-id-list %s", quoted("https://"+issuer), quoted(audience))
		return false
	case err != nil:
		v.add(levelWarn, "trust", "whether the account has the identity provider %s cannot be determined: %v", provider, err)
	case !slices.Contains(audiences, audience):
		v.add(levelFail, "trust", "the identity provider for %s does not have the audience %s, so no token for it is taken", issuer, audience)
		v.fix("aws iam add-client-id-to-open-id-connect-provider --open-id-connect-provider-arn %s --client-id %s", provider, quoted(audience))
		return false
	}
	return true
}
