package authz_test

import (
	"fmt"
	"slices"
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

// eachCaller gives a caller of each kind.
func eachCaller() (names []string, all []*identity.Principal) {
	add := func(name string, p *identity.Principal) {
		names, all = append(names, name), append(all, p)
	}
	issued := noon.Add(-time.Minute)
	temporary := func(p *identity.Principal, s identity.Session) *identity.Principal {
		made := *p
		s.IssuedAt, s.Expires = issued, noon.Add(time.Hour)
		made.Session = &s
		return &made
	}
	account := *root
	account.UserID = own
	role := *session(own, "allowed")
	role.UserID = "AROAallowed:s"
	add("root", &account)
	add("root with a session token", temporary(&account, identity.Session{}))
	add("user", user("erika"))
	add("user with a session token", temporary(user("erika"), identity.Session{MFAAt: noon.Add(-90 * time.Second)}))
	add("federated user", temporary(federated(), identity.Session{Name: "guest", Tags: map[string]string{"team": "g"}}))
	add("role", temporary(&role, identity.Session{Name: "s", Tags: map[string]string{"Team": "b"}, SourceIdentity: "erika"}))
	add("instance", temporary(&role, identity.Session{Name: "s", Instance: true, Keys: map[string][]string{"ec2:roledelivery": {"2.0"}, "ec2:sourceinstancearn": {"arn:aws:ec2:r:1:instance/i-1"}}}))
	add("role by web identity", temporary(&role, identity.Session{
		Name: "s", FederatedProvider: "arn:aws:iam::" + own + ":oidc-provider/oidc.example",
		Keys: map[string][]string{"oidc.example:sub": {"me"}, "oidc.example:aud": {"sts.amazonaws.com"}},
	}))
	add("service", &identity.Principal{Kind: identity.Service, Name: "ec2.amazonaws.com"})
	add("anonymous", anonymous)
	add("web identity", webIdentity())
	return names, all
}

// TestEveryKeyOfEveryCaller: what each kind of caller has of each key that follows from
// who calls. A key is absent or has a value; it is never there and empty.
// Source: IUG, "AWS global condition context keys", availability of each; where the
// values of principals are tabulated: IUG, "IAM policy elements: Variables and tags".
func TestEveryKeyOfEveryCaller(t *testing.T) {
	const (
		no       = "-"
		roleARN  = "arn:aws:iam::" + own + ":role/allowed"
		userARN  = "arn:aws:iam::" + own + ":user/erika"
		rootARN  = "arn:aws:iam::" + own + ":root"
		guestARN = "arn:aws:sts::" + own + ":federated-user/guest"
		provider = "arn:aws:iam::" + own + ":oidc-provider/oidc.example"
		issued   = "2026-11-25T11:59:00Z"
		at       = "2026-11-25T12:00:00Z"
		seconds  = "1795608000"
	)
	same := func(v string) []string { return slices.Repeat([]string{v}, 11) }
	want := map[string][]string{
		// root, root+token, user, user+token, federated, role, instance, role by web identity, service, anonymous, web identity
		"aws:PrincipalType":             {"Account", "Account", "User", "User", "FederatedUser", "AssumedRole", "AssumedRole", "AssumedRole", "AWSService", "Anonymous", "Anonymous"},
		"aws:PrincipalArn":              {rootARN, rootARN, userARN, userARN, guestARN, roleARN, roleARN, roleARN, no, no, no},
		"aws:PrincipalAccount":          {own, own, own, own, own, own, own, own, no, "anonymous", "anonymous"},
		"aws:userid":                    {own, own, "AIDAerika", "AIDAerika", own + ":guest", "AROAallowed:s", "AROAallowed:s", "AROAallowed:s", no, "anonymous", "anonymous"},
		"aws:username":                  {no, no, "erika", "erika", no, no, no, no, no, no, no},
		"aws:PrincipalOrgID":            {"o-1", "o-1", "o-1", "o-1", "o-1", "o-1", "o-1", "o-1", no, no, no},
		"aws:PrincipalOrgPaths":         {"[o-1/r-1/]", "[o-1/r-1/]", "[o-1/r-1/]", "[o-1/r-1/]", "[o-1/r-1/]", "[o-1/r-1/]", "[o-1/r-1/]", "[o-1/r-1/]", no, no, no},
		"aws:PrincipalTag/TEAM":         {no, no, no, no, "g", "b", "a", "a", no, no, no},
		"aws:PrincipalTag/none":         same(no),
		"aws:PrincipalIsAWSService":     {"false", "false", "false", "false", "false", "false", "false", "false", "true", no, no},
		"aws:PrincipalServiceName":      {no, no, no, no, no, no, no, no, "ec2.amazonaws.com", no, no},
		"aws:PrincipalServiceNamesList": {no, no, no, no, no, no, no, no, "[ec2.amazonaws.com]", no, no},
		"aws:ViaAWSService":             {"false", "false", "false", "false", "false", "false", "false", "false", "false", no, no},
		"aws:TokenIssueTime":            {no, issued, no, issued, issued, issued, issued, issued, no, no, no},
		"aws:MultiFactorAuthPresent":    {no, "false", no, "true", "false", "false", "false", "false", no, no, no},
		"aws:MultiFactorAuthAge":        {no, no, no, "90", no, no, no, no, no, no, no},
		"aws:SourceIdentity":            {no, no, no, no, no, "erika", no, no, no, no, no},
		"aws:FederatedProvider":         {no, no, no, no, no, no, no, provider, no, no, provider},
		"OIDC.example:sub":              {no, no, no, no, no, no, no, "me", no, no, "me"},
		"oidc.example:aud":              {no, no, no, no, no, no, no, "sts.amazonaws.com", no, no, no},
		"ec2:RoleDelivery":              {no, no, no, no, no, no, "2.0", no, no, no, no},
		"ec2:SourceInstanceArn":         {no, no, no, no, no, no, "arn:aws:ec2:r:1:instance/i-1", no, no, no, no},
		"aws:CurrentTime":               same(at),
		"aws:EpochTime":                 same(seconds),
		"aws:ResourceAccount":           same(own),
		"aws:ResourceOrgID":             same("o-1"),
		"aws:ResourceOrgPaths":          same("[o-1/r-1/]"),
	}
	// What enforcement points know, and what there is not here.
	for _, name := range []string{
		"aws:AssumedRoot", "aws:ChatbotSourceArn", "aws:Ec2InstanceSourceVpc", "aws:Ec2InstanceSourcePrivateIPv4", "aws:SourceIp", "aws:VpcSourceIp",
		"aws:SourceVpc", "aws:SourceVpcArn", "aws:SourceVpce", "aws:VpceAccount", "aws:VpceOrgID", "aws:VpceOrgPaths", "aws:CalledVia", "aws:CalledViaFirst",
		"aws:CalledViaLast", "aws:CalledViaAWSMCP", "aws:ViaAWSMCPService", "aws:IsMcpServiceAction", "aws:SecureTransport", "aws:RequestedRegion", "aws:UserAgent",
		"aws:referer", "aws:RequestTag/team", "aws:TagKeys", "aws:ResourceTag/team", "aws:SourceArn", "aws:SourceAccount", "aws:SourceOwner", "aws:SourceOrgID",
		"aws:SourceOrgPaths", "sts:ExternalId", "sts:RoleSessionName", "iam:PassedToService", "vpc-lattice-svcs:Port", "saml:sub",
	} {
		want[name] = same(no)
	}
	names, everybody := eachCaller()
	for name, values := range want {
		key := policy.ParseKey(name)
		for i, who := range everybody {
			got := no
			v, present := (&authz.CallerKeys{Snap: world, Principal: who, Owner: own, Now: noon}).Lookup(&key)
			switch {
			case present && v.List:
				got = fmt.Sprint(v.Many)
			case present:
				got = v.One
			}
			if present && (got == "" || v.List && len(v.Many) == 0) {
				t.Errorf("%s of %s is there and empty", name, names[i])
			}
			if got != values[i] {
				t.Errorf("%s of %s is %q, want %q", name, names[i], got, values[i])
			}
		}
	}
	// A resource whose owner nobody knows, and one outside any organization.
	for _, name := range []string{"aws:ResourceAccount", "aws:ResourceOrgID", "aws:ResourceOrgPaths"} {
		key := policy.ParseKey(name)
		if v, present := (&authz.CallerKeys{Snap: world, Principal: anonymous}).Lookup(&key); present {
			t.Errorf("%s of nobody's resource is %+v", name, v)
		}
		if _, present := (&authz.CallerKeys{Snap: world, Principal: anonymous, Owner: other}).Lookup(&key); present != (name == "aws:ResourceAccount") {
			t.Errorf("%s outside any organization: %t", name, present)
		}
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
