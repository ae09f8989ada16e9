package server

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchwork/latchwork/internal/awsapi"
	"github.com/latchwork/latchwork/internal/clock"
	"github.com/latchwork/latchwork/internal/identity"
	"github.com/latchwork/latchwork/internal/inbound"
	"github.com/latchwork/latchwork/internal/policy"
	"github.com/latchwork/latchwork/internal/snapshot"
)

func TestSkew(t *testing.T) {
	for p, want := range map[awsapi.Protocol]time.Duration{
		awsapi.RESTJSON: 5 * time.Minute, awsapi.JSON: 5 * time.Minute, awsapi.Query: 15 * time.Minute, awsapi.EC2Query: 15 * time.Minute,
	} {
		if got := skew(p); got != want {
			t.Errorf("protocol %d: %s, want %s", p, got, want)
		}
	}
}

// shown are the keys that are there, of those that are asked for.
func shown(keys policy.Keys, names ...string) map[string]string {
	out := map[string]string{}
	for _, name := range names {
		key := policy.ParseKey(name)
		switch v, present := keys.Lookup(&key); {
		case present && v.List:
			out[name] = fmt.Sprint(v.Many)
		case present:
			out[name] = v.One
		}
	}
	return out
}

// TestKeysOfACall: what the API knows of a call, its resource and its caller; a key of
// which it knows nothing is absent.
// Source: IAM User Guide, "AWS global condition context keys".
func TestKeysOfACall(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	auth := &apiAuth{clock: clock.Fixed(now)}
	snap := snapshot.New(&snapshot.Settings{Accounts: map[string]snapshot.Account{"123456789012": {OrgID: "o-1", OrgPaths: []string{"o-1/r/"}}}})
	names := []string{
		"aws:SourceIp", "aws:SecureTransport", "aws:UserAgent", "aws:referer", "aws:RequestedRegion", "aws:ResourceAccount", "aws:ResourceOrgID",
		"aws:ResourceOrgPaths", "aws:RequestTag/Team", "aws:ResourceTag/team", "aws:TagKeys", "iam:PassedToService", "aws:PrincipalType", "aws:username",
		"aws:CurrentTime", "aws:SourceVpc", "aws:CalledVia", "aws:SourceArn",
	}
	user := &identity.Principal{Kind: identity.User, Account: "123456789012", ARN: "arn:aws:iam::123456789012:user/u", Name: "u"}
	for _, test := range []struct {
		name string
		call awsapi.Call
		who  *identity.Principal
		own  string
		more []awsapi.Key
		want map[string]string
	}{
		{
			"everything",
			awsapi.Call{
				Account: "123456789012", Region: "us-west-2", Keys: []awsapi.Key{{Name: "aws:RequestTag/team", Values: []string{"a"}}, {Name: "aws:TagKeys", Values: []string{"team"}, Multi: true}},
				Request: &inbound.Request{
					Remote: netip.MustParseAddrPort("[::ffff:10.1.2.3]:5"), TLS: &inbound.TLS{},
					Headers: []inbound.Header{{Name: "user-agent", Value: "cli"}, {Name: "referer", Value: "page"}},
				},
			},
			user, "",
			[]awsapi.Key{{Name: "aws:ResourceTag/Team", Values: []string{"b"}}, {Name: "iam:PassedToService"}},
			map[string]string{
				"aws:SourceIp": "10.1.2.3", "aws:SecureTransport": "true", "aws:UserAgent": "cli", "aws:referer": "page", "aws:RequestedRegion": "us-west-2",
				"aws:ResourceAccount": "123456789012", "aws:ResourceOrgID": "o-1", "aws:ResourceOrgPaths": "[o-1/r/]", "aws:RequestTag/Team": "a", "aws:ResourceTag/team": "b",
				"aws:TagKeys": "[team]", "aws:PrincipalType": "User", "aws:username": "u", "aws:CurrentTime": "2026-11-25T12:00:00Z",
			},
		},
		{
			"a resource of another account, unsigned and in the clear",
			awsapi.Call{Account: "123456789012", Region: "r", Request: &inbound.Request{Remote: netip.MustParseAddrPort("[2001:db8::1]:5")}},
			&identity.Principal{}, "444455556666", nil,
			map[string]string{
				"aws:SourceIp": "2001:db8::1", "aws:SecureTransport": "false", "aws:RequestedRegion": "r", "aws:ResourceAccount": "444455556666", "aws:PrincipalType": "Anonymous", "aws:CurrentTime": "2026-11-25T12:00:00Z",
			},
		},
		{
			"nothing is known of it",
			awsapi.Call{},
			&identity.Principal{}, "", nil,
			map[string]string{"aws:PrincipalType": "Anonymous", "aws:CurrentTime": "2026-11-25T12:00:00Z"},
		},
	} {
		if diff := cmp.Diff(test.want, shown(auth.keys(snap, &test.call, test.who, test.own, test.more), names...)); diff != "" {
			t.Errorf("%s: %s", test.name, diff)
		}
	}
}
