package sts

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchwork/latchwork/internal/awsapi"
	"github.com/latchwork/latchwork/internal/identity"
)

var basic = []string{"RoleArn=" + roleARN, "RoleSessionName=work"}

func with(more ...string) []string { return append(slices.Clone(basic), more...) }

func tagParams(pairs ...string) []string {
	var out []string
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, fmt.Sprintf("Tags.member.%d.Key=%s", i/2+1, pairs[i]), fmt.Sprintf("Tags.member.%d.Value=%s", i/2+1, pairs[i+1]))
	}
	return out
}

func TestAssumeRole(t *testing.T) {
	w := newWorld(t)
	got := w.ok("AssumeRole", basic...).AssumeRole
	if *got.AssumedRoleUser.Arn != "arn:aws:sts::"+account+":assumed-role/App/work" || *got.AssumedRoleUser.AssumedRoleId != "AROAAPP:work" {
		t.Errorf("%s %s", *got.AssumedRoleUser.Arn, *got.AssumedRoleUser.AssumedRoleId)
	}
	if !got.Credentials.Expiration.Equal(now.Add(time.Hour)) || got.Credentials.SecretAccessKey.Reveal() != "secret" || *got.Credentials.SessionToken != "token" {
		t.Errorf("%+v", got.Credentials)
	}
	// Recorded from AWS: absent where nothing was passed.
	if got.PackedPolicySize != nil || got.SourceIdentity != nil {
		t.Errorf("%+v", got)
	}
	want := identity.Principal{
		Kind: identity.AssumedRole, Partition: "aws", Account: account,
		ARN: "arn:aws:sts::" + account + ":assumed-role/App/work", IssuerARN: roleARN, IssuerID: "AROAAPP", UserID: "AROAAPP:work", Name: "App",
		Session: &identity.Session{Name: "work", IssuedAt: now, Expires: now.Add(time.Hour), Tags: map[string]string{}},
	}
	if diff := cmp.Diff([]identity.Principal{want}, w.minted); diff != "" {
		t.Error(diff)
	}
	ask := []Ask{{Caller: w.caller, Action: "sts:AssumeRole", Role: roleARN, Keys: []awsapi.Key{
		{Name: "sts:RoleSessionName", Values: []string{"work"}},
		{Name: "aws:ResourceTag/Team", Values: []string{"core"}},
		{Name: "iam:ResourceTag/Team", Values: []string{"core"}},
	}}}
	if diff := cmp.Diff(ask, w.asked); diff != "" {
		t.Error(diff)
	}
	if len(w.authorized) != 0 {
		t.Errorf("the dispatcher decided too: %v", w.authorized)
	}
}

func TestAssumeRoleOfAnotherAccount(t *testing.T) {
	w := newWorld(t)
	w.ok("AssumeRole", "RoleArn=arn:aws:iam::210987654321:role/Far", "RoleSessionName=work")
	if p := w.minted[0]; p.Account != "210987654321" || p.ARN != "arn:aws:sts::210987654321:assumed-role/Far/work" {
		t.Errorf("%+v", p)
	}
	// Managed session policies are those of the role's account.
	w.ok("AssumeRole", "RoleArn=arn:aws:iam::210987654321:role/Far", "RoleSessionName=work", "PolicyArns.member.1.arn=arn:aws:iam::210987654321:policy/far")
	w.fails(400, "ValidationError", "Policy arn:aws:iam::"+account+":policy/own does not exist or is not attachable.",
		"AssumeRole", "RoleArn=arn:aws:iam::210987654321:role/Far", "RoleSessionName=work", "PolicyArns.member.1.arn=arn:aws:iam::"+account+":policy/own")
}

func TestAssumeRoleRefusals(t *testing.T) {
	far := "arn:aws:iam::" + account + ":role/absent"
	refused := func(action, role string) string {
		return "User: arn:aws:iam::" + account + ":user/Alice is not authorized to perform: " + action + " on resource: " + role
	}
	federated := &identity.Principal{Kind: identity.FederatedUser, Account: account, ARN: "arn:aws:sts::" + account + ":federated-user/f", Session: &identity.Session{}}
	token := userCaller()
	token.Session = &identity.Session{}
	transitive := sessionCaller(identity.Session{Tags: map[string]string{"Cost": "1", "Own": "2"}, TransitiveKeys: []string{"cost"}})
	sourced := sessionCaller(identity.Session{SourceIdentity: "alice"})
	const chained = "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining."
	const conflict = "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the calling session."
	const noDevice = "MultiFactorAuthentication failed, unable to validate MFA code.  Please verify your MFA serial number is valid and associated with this user."
	for _, c := range []struct {
		name    string
		caller  *identity.Principal
		deny    []string
		params  []string
		status  int
		code    string
		message string
	}{
		{"root", rootCaller(), nil, basic, 403, "AccessDenied", "Roles may not be assumed by root accounts."},
		{"federated user", federated, nil, basic, 403, "AccessDenied", "User: " + federated.ARN + " is not authorized to perform: sts:AssumeRole on resource: " + roleARN},
		{"no ARN", nil, nil, []string{"RoleArn=this-is-not-an-arn-at-all", "RoleSessionName=work"}, 400, "ValidationError", "this-is-not-an-arn-at-all is invalid"},
		{"ARN of a user", nil, nil, []string{"RoleArn=arn:aws:iam::" + account + ":user/u", "RoleSessionName=work"}, 400, "ValidationError", "arn:aws:iam::" + account + ":user/u is invalid"},
		{
			"session name", nil, nil,
			[]string{"RoleArn=" + roleARN, "RoleSessionName=a/b"},
			400, "ValidationError",
			`1 validation error detected: Value 'a/b' at 'roleSessionName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\w+=,.@-]*`,
		},
		// A role that is there and one that is not look the same.
		{"no such role", nil, nil, []string{"RoleArn=" + far, "RoleSessionName=work"}, 403, "AccessDenied", refused("sts:AssumeRole", far)},
		{"denied", nil, []string{"sts:AssumeRole"}, basic, 403, "AccessDenied", refused("sts:AssumeRole", roleARN)},
		{"denied and too long", nil, []string{"sts:AssumeRole"}, with("DurationSeconds=43200"), 403, "AccessDenied", refused("sts:AssumeRole", roleARN)},
		{"tags denied", nil, []string{"sts:TagSession"}, with(tagParams("k", "v")...), 403, "AccessDenied", refused("sts:TagSession", roleARN)},
		{"source identity denied", nil, []string{"sts:SetSourceIdentity"}, with("SourceIdentity=alice"), 403, "AccessDenied", refused("sts:SetSourceIdentity", roleARN)},
		{"longer than the role allows", nil, nil, with("DurationSeconds=7201"), 400, "ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."},
		{
			"longer than any role", nil, nil, with("DurationSeconds=43201"), 400, "ValidationError",
			"1 validation error detected: Value '43201' at 'durationSeconds' failed to satisfy constraint: Member must have value less than or equal to 43200",
		},
		{"chained", sessionCaller(identity.Session{}), nil, with("DurationSeconds=3601"), 400, "ValidationError", chained},
		// Chaining is by any temporary credentials.
		{"after GetSessionToken", token, nil, with("DurationSeconds=3601"), 400, "ValidationError", chained},
		{"same tag twice", nil, nil, with(tagParams("k", "v", "K", "w")...), 400, "InvalidParameterValue", "Duplicate tag keys found. Please note that Tag keys are case insensitive."},
		{"reserved tag", nil, nil, with(tagParams("AWS:x", "v")...), 400, "InvalidParameterValue", "The tag key AWS:x is not valid: keys that begin with aws: are reserved."},
		{"transitive without tag", nil, nil, with("TransitiveTagKeys.member.1=k"), 400, "InvalidParameterValue", "The specified transitive tag key must be included in the requested tags."},
		{"inherited tag", transitive, nil, with(tagParams("COST", "9")...), 400, "InvalidParameterValue", conflict},
		{"source identity changed", sourced, nil, with("SourceIdentity=mallory"), 403, "AccessDenied", "The source identity of the calling session is alice and cannot be changed."},
		{"MFA", nil, nil, with("SerialNumber=arn:aws:iam::"+account+":mfa/a", "TokenCode=123456"), 403, "AccessDenied", noDevice},
		{"MFA code alone", nil, nil, with("TokenCode=123456"), 403, "AccessDenied", noDevice},
		{"contexts", nil, nil, with("ProvidedContexts.member.1.ContextAssertion=abcdef"), 501, "NotImplemented", "STS AssumeRole with ProvidedContexts is not built yet"},
		{"managed policy absent", nil, nil, with("PolicyArns.member.1.arn=arn:aws:iam::" + account + ":policy/nope"), 400, "ValidationError", "Policy arn:aws:iam::" + account + ":policy/nope does not exist or is not attachable."},
		{"managed policy of others", nil, nil, with("PolicyArns.member.1.arn=arn:aws:iam::210987654321:policy/far"), 400, "ValidationError", "Policy arn:aws:iam::210987654321:policy/far does not exist or is not attachable."},
		{"managed policy no ARN", nil, nil, with("PolicyArns.member.1.arn=ReadOnlyAccess-by-its-name"), 400, "ValidationError", "ReadOnlyAccess-by-its-name is invalid"},
		{"policy too long", nil, nil, with("Policy=" + strings.Repeat(" ", 2049)), 400, "ValidationError", "1 validation error detected: Value at 'policy' failed to satisfy constraint: Member must have length less than or equal to 2048"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			if c.caller != nil {
				w.caller = c.caller
			}
			w.deny = c.deny
			w.fails(c.status, c.code, c.message, "AssumeRole", c.params...)
		})
	}
}

// A decision that goes wrong is no permission, and its cause stays inside.
func TestAssumeRoleWithBrokenDecider(t *testing.T) {
	w := newWorld(t)
	w.broken = errBroken
	out := w.call("AssumeRole", basic...)
	if out.status != 500 || strings.Contains(out.Error.Message, "fire") || len(w.minted) != 0 {
		t.Errorf("%d %s, %d sessions", out.status, out.Error.Message, len(w.minted))
	}
}

func TestAssumeRoleCarriesEverything(t *testing.T) {
	w := newWorld(t)
	params := with("DurationSeconds=900", "ExternalId=ext-1", "SourceIdentity=alice",
		"Policy="+sessionDoc, "PolicyArns.member.1.arn=arn:aws:iam::aws:policy/ReadOnlyAccess",
		"PolicyArns.member.2.arn=arn:aws:iam::"+account+":policy/own", "TransitiveTagKeys.member.1=COST")
	got := w.ok("AssumeRole", append(params, tagParams("Cost", "7", "Team", "blue")...)...).AssumeRole
	if got.PackedPolicySize == nil || *got.PackedPolicySize < 1 || *got.PackedPolicySize > 100 || *got.SourceIdentity != "alice" {
		t.Errorf("%+v", got)
	}
	want := &identity.Session{
		Name: "work", IssuedAt: now, Expires: now.Add(15 * time.Minute),
		Tags: map[string]string{"Cost": "7", "Team": "blue"}, TransitiveKeys: []string{"Cost"},
		Policies: []string{sessionDoc}, PolicyARNs: []string{"arn:aws:iam::aws:policy/ReadOnlyAccess", "arn:aws:iam::" + account + ":policy/own"},
		SourceIdentity: "alice",
	}
	if diff := cmp.Diff(want, w.minted[0].Session); diff != "" {
		t.Error(diff)
	}
	keys := []awsapi.Key{
		{Name: "sts:RoleSessionName", Values: []string{"work"}},
		{Name: "sts:ExternalId", Values: []string{"ext-1"}},
		{Name: "sts:SourceIdentity", Values: []string{"alice"}},
		{Name: "aws:RequestTag/Cost", Values: []string{"7"}},
		{Name: "aws:RequestTag/Team", Values: []string{"blue"}},
		{Name: "aws:TagKeys", Values: []string{"Cost", "Team"}, Multi: true},
		{Name: "sts:TransitiveTagKeys", Values: []string{"COST"}, Multi: true},
		{Name: "aws:ResourceTag/Team", Values: []string{"core"}},
		{Name: "iam:ResourceTag/Team", Values: []string{"core"}},
	}
	var actions []string
	for _, ask := range w.asked {
		actions = append(actions, ask.Action)
		if diff := cmp.Diff(keys, ask.Keys); diff != "" {
			t.Errorf("%s: %s", ask.Action, diff)
		}
	}
	if diff := cmp.Diff([]string{"sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"}, actions); diff != "" {
		t.Error(diff)
	}
}

// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html, chaining
func TestAssumeRoleInAChain(t *testing.T) {
	w := newWorld(t)
	w.caller = sessionCaller(identity.Session{
		Tags: map[string]string{"team": "red", "own": "x"}, TransitiveKeys: []string{"Team"}, SourceIdentity: "alice",
		Policies: []string{sessionDoc}, MFAAt: now,
	})
	w.ok("AssumeRole", append(with("TransitiveTagKeys.member.1=new"), tagParams("new", "1")...)...)
	want := &identity.Session{
		Name: "work", IssuedAt: now, Expires: now.Add(time.Hour), Chained: true, SourceIdentity: "alice",
		Tags: map[string]string{"team": "red", "new": "1"}, TransitiveKeys: []string{"team", "new"},
	}
	if diff := cmp.Diff(want, w.minted[0].Session); diff != "" {
		t.Error(diff)
	}
	for _, ask := range w.asked {
		// The inherited tag takes the place of the role's own value.
		if !slices.ContainsFunc(ask.Keys, func(k awsapi.Key) bool { return k.Name == "aws:ResourceTag/Team" && k.Values[0] == "red" }) {
			t.Errorf("%s: %+v", ask.Action, ask.Keys)
		}
	}
	// Inherited tags and source identity need their permissions without being named.
	w.asked, w.minted = nil, nil
	w.ok("AssumeRole", basic...)
	if len(w.asked) != 3 {
		t.Errorf("%+v", w.asked)
	}
	w.ok("AssumeRole", with("SourceIdentity=alice", "DurationSeconds=3600")...)
}

func TestPackedPolicyTooLarge(t *testing.T) {
	w := newWorld(t)
	var pairs []string
	for i := range 50 {
		// Text that does not compress.
		pairs = append(pairs, fmt.Sprintf("k%02d", i), scrambled(i, 200))
	}
	out := w.call("AssumeRole", with(tagParams(pairs...)...)...)
	if out.status != 400 || out.Error.Code != "PackedPolicyTooLarge" || !strings.HasPrefix(out.Error.Message, "Packed policy consumes 1") || len(w.minted) != 0 {
		t.Errorf("%d %s %s", out.status, out.Error.Code, out.Error.Message)
	}
	w.ok("AssumeRole", with(tagParams(pairs[:10]...)...)...)
}

func scrambled(seed, n int) string {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	x := uint64(seed)*0x9e3779b97f4a7c15 + 1
	var b strings.Builder
	for range n {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		b.WriteByte(letters[x%uint64(len(letters))])
	}
	return b.String()
}

func TestSessionTagLimit(t *testing.T) {
	inherited := map[string]string{}
	var keys []string
	for i := range 50 {
		inherited[fmt.Sprintf("k%d", i)] = "v"
		keys = append(keys, fmt.Sprintf("k%d", i))
	}
	w := newWorld(t)
	w.caller = sessionCaller(identity.Session{Tags: inherited, TransitiveKeys: keys})
	w.ok("AssumeRole", basic...)
	w.fails(400, "InvalidParameterValue", "A session has at most 50 tags; with those of the calling session there are 51.", "AssumeRole", with(tagParams("one", "more")...)...)
}

const sessionDoc = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"vpc-lattice-svcs:Invoke","Resource":"*"}]}`

func TestMalformedSessionPolicies(t *testing.T) {
	w := newWorld(t)
	for _, document := range []string{
		`{`,
		`{"Statement":[{"Effect":"Allow","Action":"a:b","Resource":"*"}]}`,
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"a:b","Resource":"*"}]}`,
	} {
		for op, params := range map[string][]string{"AssumeRole": basic, "GetFederationToken": {"Name=guest"}} {
			out := w.call(op, append(slices.Clone(params), "Policy="+document)...)
			if out.status != 400 || out.Error.Code != "MalformedPolicyDocument" || out.Error.Message == "" || len(w.minted) != 0 {
				t.Errorf("%s %s: %d %s %s", op, document, out.status, out.Error.Code, out.Error.Message)
			}
		}
	}
}

// TestMisspeltSessionPolicies: a session policy that cannot be read is no session
// without one.
func TestMisspeltSessionPolicies(t *testing.T) {
	w := newWorld(t)
	for _, op := range [][]string{{"AssumeRole", "RoleArn=" + roleARN, "RoleSessionName=sess"}, {"GetFederationToken", "Name=sess"}} {
		for _, parameter := range []string{
			"PolicyArns.1.arn=arn:aws:iam::aws:policy/ReadOnlyAccess",
			"PolicyArns=arn:aws:iam::aws:policy/ReadOnlyAccess",
			"PolicyArns.member.arn=arn:aws:iam::aws:policy/ReadOnlyAccess",
			"PolicyArns.member.1=arn:aws:iam::aws:policy/ReadOnlyAccess",
			"PolicyArns.Member.1.arn=arn:aws:iam::aws:policy/ReadOnlyAccess",
			"PolicyArns.member.1.Arn=arn:aws:iam::aws:policy/ReadOnlyAccess",
			`Policy.1={"Version":"2012-10-17"}`,
		} {
			out := w.call(op[0], append(op[1:], parameter)...)
			if out.status != 400 || out.Error.Code != "ValidationError" {
				t.Errorf("%s with %s: %d %s", op[0], parameter, out.status, out.Error.Code)
			}
		}
	}
	if len(w.minted) != 0 {
		t.Errorf("%d sessions were made", len(w.minted))
	}
}

// An instance that takes another role does not chain.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles.html
func TestAssumeRoleOnAnInstance(t *testing.T) {
	w := newWorld(t)
	w.caller = sessionCaller(identity.Session{Instance: true, Keys: map[string][]string{"ec2:roledelivery": {"2.0"}}})
	w.ok("AssumeRole", with("DurationSeconds=7200")...)
	if s := w.minted[0].Session; s.Chained || s.Instance || s.Keys != nil || w.lifetime != 2*time.Hour {
		t.Errorf("%+v", s)
	}
}
