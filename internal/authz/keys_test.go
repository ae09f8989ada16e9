package authz_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchwork/latchwork/internal/authz"
	"github.com/latchwork/latchwork/internal/identity"
	"github.com/latchwork/latchwork/internal/policy"
)

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

func TestCallerKeys(t *testing.T) {
	now := noon
	signed := session(own, "allowed")
	signed.UserID = "AROAallowed:s"
	signed.Session.IssuedAt, signed.Session.Tags = now.Add(-time.Minute), map[string]string{"team": "b"}
	for _, test := range []struct {
		key               string
		signed, anonymous string // "-" is absent
	}{
		{"aws:PrincipalType", "AssumedRole", "Anonymous"},
		{"aws:PrincipalArn", "arn:aws:iam::" + own + ":role/allowed", "-"},
		{"aws:PrincipalAccount", own, "anonymous"},
		{"aws:userid", "AROAallowed:s", "anonymous"},
		{"aws:username", "-", "-"},
		{"aws:PrincipalOrgID", "o-1", "-"},
		{"aws:PrincipalTag/Team", "b", "-"},
		{"aws:PrincipalTag/none", "-", "-"},
		{"aws:PrincipalIsAWSService", "false", "-"},
		{"aws:ViaAWSService", "false", "-"},
		{"aws:TokenIssueTime", "2026-11-25T11:59:00Z", "-"},
		{"aws:MultiFactorAuthPresent", "false", "-"},
		{"aws:MultiFactorAuthAge", "-", "-"},
		{"aws:SourceIdentity", "-", "-"},
		{"aws:CurrentTime", "2026-11-25T12:00:00Z", "2026-11-25T12:00:00Z"},
		{"aws:EpochTime", "1795608000", "1795608000"},
		{"aws:Unknown", "-", "-"},
		{"login.example.com:sub", "-", "-"},
	} {
		key := policy.ParseKey(test.key)
		for who, want := range map[*identity.Principal]string{signed: test.signed, anonymous: test.anonymous} {
			v, ok := (&authz.CallerKeys{Snap: world, Principal: who, Now: now}).Lookup(&key)
			got := v.One
			if !ok {
				got = "-"
			}
			if got != want {
				t.Errorf("%s of %s is %q, want %q", test.key, who.Display(), got, want)
			}
		}
	}
}

// TestCallerKeysByKind: what only some kinds of callers have.
// Source: IUG, "AWS global condition context keys".
func TestCallerKeysByKind(t *testing.T) {
	withMFA := session(own, "allowed")
	withMFA.Session.MFAAt = noon.Add(-90 * time.Second)
	withMFA.Session.SourceIdentity, withMFA.Session.FederatedProvider = "erika", "login.example.com"
	withMFA.Session.Keys = map[string][]string{"login.example.com:sub": {"1234"}, "login.example.com:amr": {"a", "b"}}
	withMFA.Session.Tags = map[string]string{"other": "x"}
	for _, test := range []struct {
		name string
		who  *identity.Principal
		key  string
		want string // "-" is absent
	}{
		{"user", user("erika"), "aws:username", "erika"},
		{"user", user("erika"), "aws:userid", "AIDAerika"},
		{"user", user("erika"), "aws:PrincipalArn", "arn:aws:iam::" + own + ":user/erika"},
		{"user: no session", user("erika"), "aws:TokenIssueTime", "-"},
		{"user: no session", user("erika"), "aws:MultiFactorAuthPresent", "-"},
		{"a user who is gone has no tags", user("nobody"), "aws:PrincipalTag/team", "-"},
		{"root", root, "aws:PrincipalType", "Account"},
		{"root", root, "aws:PrincipalArn", "arn:aws:iam::" + own + ":root"},
		{"federated", federated(), "aws:PrincipalArn", "arn:aws:sts::" + own + ":federated-user/guest"},
		{"federated", federated(), "aws:PrincipalType", "FederatedUser"},
		{"federated", federated(), "aws:username", "-"},
		{"service", &identity.Principal{Kind: identity.Service, Name: "ec2.amazonaws.com"}, "aws:PrincipalIsAWSService", "true"},
		{"service", &identity.Principal{Kind: identity.Service, Name: "ec2.amazonaws.com"}, "aws:PrincipalServiceName", "ec2.amazonaws.com"},
		{"service", &identity.Principal{Kind: identity.Service, Name: "ec2.amazonaws.com"}, "aws:PrincipalAccount", "-"},
		{"session", withMFA, "aws:PrincipalServiceName", "-"},
		{"web identity", webIdentity(), "aws:PrincipalType", "Anonymous"},
		{"web identity", webIdentity(), "aws:PrincipalAccount", "anonymous"},
		{"web identity", webIdentity(), "aws:userid", "anonymous"},
		{"web identity", webIdentity(), "aws:PrincipalArn", "-"},
		{"web identity", webIdentity(), "aws:TokenIssueTime", "-"},
		{"web identity", webIdentity(), "aws:FederatedProvider", "arn:aws:iam::" + own + ":oidc-provider/oidc.example"},
		{"claims", withMFA, "login.example.com:amr", "a,b"},
		{"no organization", session(other, "allowed"), "aws:PrincipalOrgID", "-"},
		{"no organization", session(other, "allowed"), "aws:PrincipalOrgPaths", "-"},
		{"MFA", withMFA, "aws:MultiFactorAuthPresent", "true"},
		{"MFA", withMFA, "aws:MultiFactorAuthAge", "90"},
		{"session", withMFA, "aws:SourceIdentity", "erika"},
		{"session", withMFA, "aws:FederatedProvider", "login.example.com"},
		{"claim", withMFA, "LOGIN.example.com:SUB", "1234"},
		{"no such claim", withMFA, "login.example.com:aud", "-"},
		{"the role's tag beside the session's", withMFA, "aws:PrincipalTag/team", "a"},
	} {
		key := policy.ParseKey(test.key)
		got := "-"
		if v, ok := (&authz.CallerKeys{Snap: world, Principal: test.who, Now: noon}).Lookup(&key); ok {
			got = v.One
		}
		if got != test.want {
			t.Errorf("%s: %s is %q, want %q", test.name, test.key, got, test.want)
		}
	}
	key := policy.ParseKey("aws:PrincipalOrgPaths")
	v, ok := (&authz.CallerKeys{Snap: world, Principal: root, Now: noon}).Lookup(&key)
	if diff := cmp.Diff(policy.Values{Many: []string{"o-1/r-1/"}, List: true}, v); !ok || diff != "" {
		t.Errorf("aws:PrincipalOrgPaths: %s", diff)
	}
}

// TestTag: tag keys of conditions ignore case, and those of a resource need not.
func TestTag(t *testing.T) {
	for _, test := range []struct {
		tags map[string]string
		key  string
		want policy.Values
		ok   bool
	}{
		{nil, "team", policy.Values{}, false},
		{map[string]string{"other": "a"}, "team", policy.Values{}, false},
		{map[string]string{"team": ""}, "team", policy.Values{}, true},
		{map[string]string{"TEAM": "a", "other": "b"}, "team", policy.Single("a"), true},
		{map[string]string{"team": "c", "Team": "b", "TEAM": "a"}, "team", policy.Values{One: "a,b,c", Many: []string{"a", "b", "c"}, Repeated: true}, true},
	} {
		got, ok := authz.Tag(test.tags, test.key)
		if diff := cmp.Diff(test.want, got); ok != test.ok || diff != "" {
			t.Errorf("%v: %t %s", test.tags, ok, diff)
		}
	}
}

func TestNames(t *testing.T) {
	stages := map[authz.Stage]string{
		authz.StageNone: "none", authz.StageIdentity: "identity", authz.StageBoundary: "boundary", authz.StageSession: "session",
		authz.StageNetwork: "network", authz.StageService: "service", authz.StageResource: "resource", authz.StageServiceControl: "service-control",
	}
	for s, want := range stages {
		if s.String() != want {
			t.Errorf("stage %d is %q, want %q", s, s, want)
		}
	}
	if zero := (authz.Decision{}); zero.Cause.String() != "implicit deny" || zero.Stage.String() != "none" {
		t.Errorf("the zero Decision is %s at %s", zero.Cause, zero.Stage)
	}
}
