package xds

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchwork/latchwork/internal/clock"
	"github.com/latchwork/latchwork/internal/identity"
	"github.com/latchwork/latchwork/internal/inbound"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/policy"
	"github.com/latchwork/latchwork/internal/snapshot"
)

// TestKeysOfAStream: what is known of a stream, its caller and the endpoint.
// Source: IAM User Guide, "AWS global condition context keys".
func TestKeysOfAStream(t *testing.T) {
	s := &Server{cfg: Config{Clock: clock.Fixed(time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC))}}
	snap := snapshot.New(&snapshot.Settings{Accounts: map[string]snapshot.Account{account: {OrgID: "o-1"}}})
	signed := &caller{
		principal: &identity.Principal{Kind: identity.User, Account: account, Name: "u"},
		request: &inbound.Request{
			Remote: netip.MustParseAddrPort("[::ffff:10.1.2.3]:5"), TLS: &inbound.TLS{},
			Headers: []inbound.Header{{Name: "user-agent", Value: "envoy"}, {Name: "referer", Value: "page"}},
		},
	}
	endpoint := claim{endpoint: model.MeshEndpoint{Region: "us-west-2", Account: account}}
	for _, test := range []struct {
		name   string
		caller *caller
		want   map[string]string
	}{
		{"signed", signed, map[string]string{
			"aws:SourceIp": "10.1.2.3", "aws:SecureTransport": "true", "aws:UserAgent": "envoy", "aws:referer": "page", "aws:RequestedRegion": "us-west-2",
			"aws:ResourceAccount": account, "aws:ResourceOrgID": "o-1", "aws:ResourceTag/Team": "a", "aws:PrincipalType": "User", "aws:username": "u",
		}},
		{"not signed, in the clear, from nowhere", &caller{principal: &identity.Principal{}, request: &inbound.Request{}}, map[string]string{
			"aws:SecureTransport": "false", "aws:RequestedRegion": "us-west-2", "aws:ResourceAccount": account, "aws:ResourceOrgID": "o-1",
			"aws:ResourceTag/Team": "a", "aws:PrincipalType": "Anonymous",
		}},
	} {
		keys := s.keys(snap, &grant{caller: test.caller, claim: endpoint}, account, map[string]string{"team": "a"})
		got := map[string]string{}
		for _, name := range []string{
			"aws:SourceIp", "aws:SecureTransport", "aws:UserAgent", "aws:referer", "aws:RequestedRegion", "aws:ResourceAccount", "aws:ResourceOrgID",
			"aws:ResourceTag/Team", "aws:ResourceTag/other", "aws:PrincipalType", "aws:username", "aws:TagKeys", "aws:SourceVpc",
		} {
			key := policy.ParseKey(name)
			if v, present := keys.Lookup(&key); present {
				got[name] = v.One
			}
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: %s", test.name, diff)
		}
	}
}
