package sts

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchwork/latchwork/internal/awsapi"
	"github.com/latchwork/latchwork/internal/identity"
)

func TestGetSessionToken(t *testing.T) {
	for _, c := range []struct {
		name     string
		caller   *identity.Principal
		params   []string
		lifetime time.Duration
	}{
		{"user", userCaller(), nil, 12 * time.Hour},
		{"user, short", userCaller(), []string{"DurationSeconds=900"}, 15 * time.Minute},
		{"user, longest", userCaller(), []string{"DurationSeconds=129600"}, 36 * time.Hour},
		{"root", rootCaller(), nil, time.Hour},
		{"root asks for more", rootCaller(), []string{"DurationSeconds=43200"}, time.Hour},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.caller = c.caller
			w.deny = []string{"sts:GetSessionToken"} // nobody is asked
			got := w.ok("GetSessionToken", c.params...).GetSessionToken
			if w.lifetime != c.lifetime || !got.Credentials.Expiration.Equal(now.Add(c.lifetime)) {
				t.Errorf("lifetime %v, expiration %v", w.lifetime, got.Credentials.Expiration)
			}
			want := *c.caller
			want.AccessKeyID = ""
			want.Session = &identity.Session{IssuedAt: now, Expires: now.Add(c.lifetime)}
			if diff := cmp.Diff([]identity.Principal{want}, w.minted); diff != "" {
				t.Error(diff)
			}
			if c.caller.Session != nil {
				t.Error("the caller's own principal was changed")
			}
		})
	}
}

func TestSessionCredentialsMakeNoSessions(t *testing.T) {
	w := newWorld(t)
	token := userCaller()
	token.Session = &identity.Session{}
	for _, caller := range []*identity.Principal{token, sessionCaller(identity.Session{})} {
		w.caller = caller
		w.fails(403, "AccessDenied", "Cannot call GetSessionToken with session credentials", "GetSessionToken")
		w.fails(403, "AccessDenied", "Cannot call GetFederationToken with session credentials", "GetFederationToken", "Name=guest")
	}
	w.caller = userCaller()
	w.fails(403, "AccessDenied", "MultiFactorAuthentication failed, unable to validate MFA code.  Please verify your MFA serial number is valid and associated with this user.",
		"GetSessionToken", "SerialNumber=arn:aws:iam::123456789012:mfa/a", "TokenCode=123456")
}

func TestGetFederationToken(t *testing.T) {
	w := newWorld(t)
	got := w.ok("GetFederationToken", "Name=guest").GetFederationToken
	const arn = "arn:aws:sts::" + account + ":federated-user/guest"
	if *got.FederatedUser.Arn != arn || *got.FederatedUser.FederatedUserId != account+":guest" || got.PackedPolicySize == nil || *got.PackedPolicySize != 0 {
		t.Errorf("%+v %v", got.FederatedUser, got.PackedPolicySize)
	}
	want := identity.Principal{
		Kind: identity.FederatedUser, Partition: "aws", Account: account, ARN: arn,
		IssuerARN: w.caller.ARN, IssuerID: "AIDAALICE", UserID: account + ":guest", Name: "guest",
		Session: &identity.Session{Name: "guest", IssuedAt: now, Expires: now.Add(12 * time.Hour), Tags: map[string]string{}},
	}
	if diff := cmp.Diff([]identity.Principal{want}, w.minted); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"sts:GetFederationToken " + arn}, w.authorized); diff != "" {
		t.Error(diff)
	}
	w.authorized, w.keys, w.minted = nil, nil, nil
	w.ok("GetFederationToken", append(tagParams("k", "v"), "Name=guest", "Policy="+sessionDoc, "DurationSeconds=900",
		"PolicyArns.member.1.arn=arn:aws:iam::"+account+":policy/own")...)
	// Tags are a permission of their own.
	if diff := cmp.Diff([]string{"sts:GetFederationToken " + arn, "sts:TagSession " + arn}, w.authorized); diff != "" {
		t.Error(diff)
	}
	keys := []awsapi.Key{{Name: "aws:RequestTag/k", Values: []string{"v"}}, {Name: "aws:TagKeys", Values: []string{"k"}, Multi: true}}
	if diff := cmp.Diff([][]awsapi.Key{keys, keys}, w.keys); diff != "" {
		t.Error(diff)
	}
	session := &identity.Session{
		Name: "guest", IssuedAt: now, Expires: now.Add(15 * time.Minute), Tags: map[string]string{"k": "v"},
		Policies: []string{sessionDoc}, PolicyARNs: []string{"arn:aws:iam::" + account + ":policy/own"},
	}
	if diff := cmp.Diff(session, w.minted[0].Session); diff != "" {
		t.Error(diff)
	}
	w.deny = []string{"sts:TagSession"}
	w.fails(403, "AccessDenied", "User: "+w.caller.ARN+" is not authorized to perform: sts:TagSession", "GetFederationToken", append(tagParams("k", "v"), "Name=guest")...)
	w.deny = []string{"sts:GetFederationToken"}
	w.fails(403, "AccessDenied", "User: "+w.caller.ARN+" is not authorized to perform: sts:GetFederationToken", "GetFederationToken", "Name=guest")
}

// Nothing can take GetCallerIdentity away, and it works for every kind of caller.
// https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
func TestGetCallerIdentity(t *testing.T) {
	for _, caller := range []*identity.Principal{userCaller(), rootCaller(), sessionCaller(identity.Session{})} {
		w := newWorld(t)
		w.caller = caller
		w.deny = []string{"sts:GetCallerIdentity"}
		got := w.ok("GetCallerIdentity").GetCallerIdentity
		if *got.Account != account || *got.Arn != caller.ARN || *got.UserId != caller.UserID {
			t.Errorf("%+v", got)
		}
	}
}

func TestGetAccessKeyInfo(t *testing.T) {
	w := newWorld(t)
	// The first bit is one, then the account's forty.
	for id, want := range map[string]string{
		"ASIAQAAAAAAAAAAAAAAA": "000000000000",
		"AKIAQAAAAAAAQAAAAAAA": "000000000001",
		// The account of which much is written about access keys.
		"ASIAY34FZKBOKMUTVV7A": "609629065308",
	} {
		if got := w.ok("GetAccessKeyInfo", "AccessKeyId="+id).GetAccessKeyInfo; *got.Account != want {
			t.Errorf("%s: %s, want %s", id, *got.Account, want)
		}
	}
	for _, id := range []string{"AKIAIOSFODNN7EXAMPLE", "AKIAQAAAAAAAAAAAAAAA1", "AKIAq234567890123456", "AKIA7777777777777777"} {
		w.fails(400, "ValidationError", "The access key ID "+id+" holds no account.", "GetAccessKeyInfo", "AccessKeyId="+id)
	}
	w.deny = []string{"sts:GetAccessKeyInfo"}
	w.fails(403, "AccessDenied", "User: "+w.caller.ARN+" is not authorized to perform: sts:GetAccessKeyInfo", "GetAccessKeyInfo", "AccessKeyId=ASIAQAAAAAAAAAAAAAAA")
	w.deny = nil
	w.caller = userCaller()
	w.caller.Session = &identity.Session{}
	w.fails(403, "AccessDenied", "User: "+w.caller.ARN+" is not authorized to perform: sts:GetAccessKeyInfo on resource: *", "GetAccessKeyInfo", "AccessKeyId=ASIAQAAAAAAAAAAAAAAA")
}
