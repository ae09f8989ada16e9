package authz_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchwork/latchwork/internal/authz"
	"github.com/latchwork/latchwork/internal/identity"
	"github.com/latchwork/latchwork/internal/inbound"
	"github.com/latchwork/latchwork/internal/policy"
	"github.com/latchwork/latchwork/internal/snapshot"
)

func TestQueryValues(t *testing.T) {
	for _, test := range []struct {
		query string
		want  policy.Values
		ok    bool
	}{
		{"", policy.Values{}, false},
		{"b=1", policy.Values{}, false},
		{"A=1", policy.Values{}, false},
		{"a=1", policy.Values{One: "1"}, true},
		{"a", policy.Values{}, true},
		{"a=", policy.Values{}, true},
		{"x=y&%61=c+d%20e", policy.Values{One: "c d e"}, true},
		{"a=%zz", policy.Values{One: "%zz"}, true},
		{"a=1&&a=2&a", policy.Values{One: "1", Many: []string{"1", "2", ""}, Repeated: true}, true},
		{"a=1;a=2", policy.Values{One: "1;a=2"}, true},
	} {
		v := &authz.Invocation{In: &inbound.Request{Target: "/?" + test.query}}
		key := policy.ParseKey("vpc-lattice-svcs:RequestQueryString/a")
		got, ok := v.Lookup(&key)
		if diff := cmp.Diff(test.want, got); diff != "" || ok != test.ok {
			t.Errorf("%q: %t (-want +got):\n%s", test.query, ok, diff)
		}
	}
}

// TestKeysOfAnInvocation: each key of VPC Lattice and of a request, where it is known
// and where it is not.
// Source: VPC Lattice User Guide, "Condition keys that can be used in auth policies".
func TestKeysOfAnInvocation(t *testing.T) {
	service := &snapshot.Service{}
	service.ARN, service.Account, service.Region = "arn:aws:vpc-lattice:us-west-2:"+own+":service/svc-1", own, "us-west-2"
	service.Tags = map[string]string{"Stage": "prod"}
	network := &snapshot.Network{}
	network.ARN = "arn:aws:vpc-lattice:us-west-2:" + own + ":servicenetwork/sn-1"
	full := &authz.Invocation{
		Port: 443, Service: service, Network: network, VPC: &snapshot.VPC{ID: "vpc-1", Owner: other},
		In: &inbound.Request{
			Method: "GET", Target: "/rates?q=1", Authority: "rates.example:443", Remote: netip.MustParseAddrPort("[::ffff:10.1.2.3]:5"), TLS: &inbound.TLS{},
			Headers: []inbound.Header{{Name: "x-role", Value: " a\t"}, {Name: "user-agent", Value: "curl"}, {Name: "referer", Value: "page"}, {Name: "authorization", Value: "secret"}, {Name: "x-amz-security-token", Value: "secret"}},
		},
		Caller: authz.CallerKeys{Snap: world, Principal: anonymous, Owner: own, Now: noon},
	}
	call := *full
	call.GRPC = true
	bare := &authz.Invocation{
		Port: 80, Service: &snapshot.Service{}, In: &inbound.Request{Method: "GET", Target: "/", Remote: netip.MustParseAddrPort("[2001:db8::1]:5")},
		Caller: authz.CallerKeys{Snap: world, Principal: user("erika"), Now: noon},
	}
	for name, want := range map[string][3]string{ // of a request, of a gRPC call, of a bare request; "-" is absent
		"vpc-lattice-svcs:Port":                               {"443", "443", "80"},
		"vpc-lattice-svcs:RequestMethod":                      {"GET", "GET", "GET"},
		"vpc-lattice-svcs:RequestPath":                        {"/rates", "/rates", "/"},
		"vpc-lattice-svcs:RequestHeader/X-Role":               {"a", "a", "-"},
		"vpc-lattice-svcs:RequestHeader/host":                 {"rates.example:443", "rates.example:443", "-"},
		"vpc-lattice-svcs:RequestHeader/authorization":        {"-", "-", "-"},
		"vpc-lattice-svcs:RequestHeader/x-amz-security-token": {"-", "-", "-"},
		"vpc-lattice-svcs:RequestQueryString/q":               {"1", "-", "-"},
		"vpc-lattice-svcs:RequestQueryString/Q":               {"-", "-", "-"},
		"vpc-lattice-svcs:ServiceArn":                         {service.ARN, service.ARN, ""},
		"vpc-lattice-svcs:ServiceNetworkArn":                  {network.ARN, network.ARN, "-"},
		"vpc-lattice-svcs:SourceVpc":                          {"vpc-1", "vpc-1", "-"},
		"vpc-lattice-svcs:SourceVpcOwnerAccount":              {other, other, "-"},
		"aws:SourceIp":                                        {"10.1.2.3", "10.1.2.3", "2001:db8::1"},
		"aws:SecureTransport":                                 {"true", "true", "false"},
		"aws:RequestedRegion":                                 {"us-west-2", "us-west-2", ""},
		"aws:UserAgent":                                       {"curl", "curl", "-"},
		"aws:referer":                                         {"page", "page", "-"},
		"aws:ResourceAccount":                                 {own, own, "-"},
		"aws:ResourceOrgID":                                   {"o-1", "o-1", "-"},
		"aws:ResourceTag/stage":                               {"prod", "prod", "-"},
		"aws:PrincipalType":                                   {"Anonymous", "Anonymous", "User"},
		"aws:username":                                        {"-", "-", "erika"},
		"aws:CurrentTime":                                     {"2026-11-25T12:00:00Z", "2026-11-25T12:00:00Z", "2026-11-25T12:00:00Z"},
		"aws:SourceVpc":                                       {"-", "-", "-"},
		"aws:SourceVpce":                                      {"-", "-", "-"},
		"aws:TagKeys":                                         {"-", "-", "-"},
		"aws:RequestTag/x":                                    {"-", "-", "-"},
		"aws:CalledVia":                                       {"-", "-", "-"},
		"vpc-lattice:AuthType":                                {"-", "-", "-"},
		"sts:RoleSessionName":                                 {"-", "-", "-"},
		"vpc-lattice-svcs:Other":                              {"-", "-", "-"},
	} {
		key := policy.ParseKey(name)
		for i, v := range []*authz.Invocation{full, &call, bare} {
			got := "-"
			if value, present := v.Lookup(&key); present {
				got = value.One
			}
			if got != want[i] {
				t.Errorf("%s, request %d: %q, want %q", name, i, got, want[i])
			}
		}
	}
}

// TestStrip: neither what only the gateway may say nor what does not reach the target
// is a condition key: SeaweedFS cce98fce trusted a header that clients could send.
func TestStrip(t *testing.T) {
	v := &authz.Invocation{In: &inbound.Request{}}
	for _, name := range []string{"te", "proxy-authorization", "upgrade", "keep-alive", "connection", "x-named", "x-amzn-lattice-identity", "x_forwarded_for", "x-kept"} {
		value := "x"
		if name == "connection" {
			value = "close, X-Named"
		}
		v.In.Headers = append(v.In.Headers, inbound.Header{Name: name, Value: value})
	}
	v.Strip()
	if diff := cmp.Diff([]inbound.Header{{Name: "x-kept", Value: "x"}}, v.In.Headers); diff != "" {
		t.Error(diff)
	}
}

// invocation is a request to a service of the account own, through no network.
func invocation(who *identity.Principal, in *inbound.Request) *authz.Invocation {
	v := &authz.Invocation{
		In: in, GRPC: in.IsGRPC(), Service: &snapshot.Service{}, Network: &snapshot.Network{},
		Caller: authz.CallerKeys{Snap: world, Principal: who, Owner: own, Now: noon},
	}
	v.Service.ARN, v.Service.Account = "arn:aws:vpc-lattice:us-west-2:"+own+":service/svc-1", own
	return v
}

// TestInvocation: a request is a question, and one that two could read differently is
// none.
func TestInvocation(t *testing.T) {
	v := invocation(session(own, "allowed"), &inbound.Request{Method: "GET", Target: "/a%2Fb?c", Major: 1})
	q := v.Query()
	if q.Action != authz.Invoke || q.Resource != v.Service.ARN+"/a%2Fb" || q.Service != v.Service || q.Network != v.Network || q.Principal != v.Caller.Principal {
		t.Errorf("the question is %+v", q)
	}
	grpc := []inbound.Header{{Name: "content-type", Value: "application/grpc"}}
	for _, test := range []struct {
		in   inbound.Request
		want string
	}{
		{inbound.Request{Method: "GET", Target: "/a", Major: 1}, ""},
		{inbound.Request{Method: "POST", Target: "/a", Major: 2, Headers: grpc}, ""},
		{inbound.Request{Method: "POST", Target: "/a?b", Major: 2, Headers: grpc}, "must not have a query string"},
		{inbound.Request{Method: "POST", Target: "/a?b", Major: 1, Headers: grpc}, ""},
		{inbound.Request{Method: "GET", Target: "/a/../b", Major: 1}, "path"},
		{inbound.Request{Method: "GET", Target: "/a", Major: 1, Headers: make([]inbound.Header, inbound.MaxHeaders+1)}, "headers"},
	} {
		err := invocation(anonymous, &test.in).Check()
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s %s: %v, want %q", test.in.Method, test.in.Target, err, test.want)
		}
	}
}

// TestRepeatedHeaders: a header that comes twice has all its values.
func TestRepeatedHeaders(t *testing.T) {
	v := invocation(anonymous, &inbound.Request{Headers: []inbound.Header{{Name: "x-a", Value: " one"}, {Name: "x-b"}, {Name: "x-a", Value: "two\t"}}})
	key := policy.ParseKey("vpc-lattice-svcs:RequestHeader/x-a")
	got, ok := v.Lookup(&key)
	if diff := cmp.Diff(policy.Values{One: "one,two", Many: []string{"one", "two"}, Repeated: true}, got); diff != "" || !ok {
		t.Errorf("%t %s", ok, diff)
	}
}

// TestPrint: an explanation for people.
func TestPrint(t *testing.T) {
	const statement = `{"Version":"2012-10-17","Statement":[{"Sid":"ReadOnly","Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{"StringEquals":{"vpc-lattice-svcs:RequestMethod":["GET","HEAD"]}}}]}`
	v := invocation(session(own, "broken"), &inbound.Request{Method: "PUT", Target: "/", Major: 1})
	v.Network.AuthType, v.Service.AuthType, v.Service.Policy = "NONE", "AWS_IAM", compiled(policy.AuthPolicy, statement)
	var denied, allowed strings.Builder
	x := authz.Explain(world, v.Query())
	x.Print(&denied)
	for _, want := range []string{
		"the policy cannot be evaluated, so it denies:", "network    OFF", "p of arn:x: no match", "statement 1 ReadOnly (Allow) does not match",
		"- Condition StringEquals vpc-lattice-svcs:RequestMethod: wanted GET, HEAD, received PUT",
		"<-- this layer denies", "DENIED    explicit deny, by the identity layer", "with an explicit deny in an identity-based policy",
	} {
		if !strings.Contains(denied.String(), want) {
			t.Errorf("no %q in\n%s", want, denied.String())
		}
	}
	v = invocation(session(own, "managed"), &inbound.Request{Method: "GET", Target: "/", Major: 1})
	v.Network.AuthType, v.Service.AuthType, v.Service.Policy = "NONE", "AWS_IAM", compiled(policy.AuthPolicy, statement)
	x = authz.Explain(world, v.Query())
	x.Print(&allowed)
	for _, want := range []string{"arn:aws:iam::aws:policy/VPCLatticeServicesInvokeAccess: allow", "statement 1 ReadOnly (Allow) matches", "decision   ALLOWED"} {
		if !strings.Contains(allowed.String(), want) {
			t.Errorf("no %q in\n%s", want, allowed.String())
		}
	}
	// Empty is neither absent nor nothing.
	const empty = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{"StringEquals":{"vpc-lattice-svcs:RequestHeader/x":["a","b"],"vpc-lattice-svcs:RequestHeader/y":[]}}}]}`
	v = invocation(session(own, "managed"), &inbound.Request{Method: "GET", Target: "/", Major: 1, Headers: []inbound.Header{{Name: "x"}}})
	v.Network.AuthType, v.Service.AuthType, v.Service.Policy = "NONE", "AWS_IAM", compiled(policy.AuthPolicy, empty)
	var shown strings.Builder
	x = authz.Explain(world, v.Query())
	x.Print(&shown)
	for _, want := range []string{`RequestHeader/x: wanted a, b, received ""`, "RequestHeader/y: wanted no value, received absent"} {
		if !strings.Contains(shown.String(), want) {
			t.Errorf("no %q in\n%s", want, shown.String())
		}
	}
	// A client can neither add a line nor tell the terminal anything.
	const spoof = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{"StringEquals":{"vpc-lattice-svcs:RequestQueryString/q":"a"}}}]}`
	v = invocation(session(own, "managed"), &inbound.Request{Method: "GET", Target: "/?q=%0Adecision%20%20%20ALLOWED%1B%5B2J%FF", Major: 1})
	v.Network.AuthType, v.Service.AuthType, v.Service.Policy = "NONE", "AWS_IAM", compiled(policy.AuthPolicy, spoof)
	var spoofed strings.Builder
	x = authz.Explain(world, v.Query())
	x.Print(&spoofed)
	if !strings.Contains(spoofed.String(), `received "\ndecision   ALLOWED\x1b[2J\xff"`) || strings.Contains(spoofed.String(), "\ndecision   ALLOWED") {
		t.Errorf("a client wrote into\n%q", spoofed.String())
	}
	for line := range strings.Lines(denied.String() + allowed.String() + shown.String()) {
		if strings.HasSuffix(line, " \n") {
			t.Errorf("%q ends in spaces", line)
		}
	}
}

// TestOfRole: whether somebody may take a role is a question about its trust policy.
func TestOfRole(t *testing.T) {
	role, ok := world.EntityByARN("arn:aws:iam::" + own + ":role/trusts-role")
	if !ok {
		t.Fatal("no such role")
	}
	q := authz.OfRole(role, session(own, "nothing"), "sts:AssumeRole", policy.NoKeys{})
	if !q.Required || q.Account != own || q.Policy != role.Trust || !authz.Decide(world, q).Allowed {
		t.Errorf("the question is %+v", q)
	}
}
