package server

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchwork/latchwork/internal/snapshot"
)

// TestGatewayAddresses: each is one account's, and what is wrong is said with its
// place.
func TestGatewayAddresses(t *testing.T) {
	c := Defaults()
	c.Accounts = []AccountConfig{
		{ID: "444455556666", GatewayAddresses: []string{"10.0.0.6", "::ffff:10.0.0.7"}},
		{ID: "777788889999", GatewayAddresses: []string{"2001:db8::1"}},
	}
	s, err := c.check()
	if err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]string{
		"10.0.0.6": "444455556666", "10.0.0.7": "444455556666", "2001:db8::1": "777788889999", "10.0.0.8": c.AccountID,
	} {
		if got := s.world.GatewayAccount(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s is account %s's, want %s", address, got, want)
		}
	}
	c.Accounts[1].GatewayAddresses = []string{"here", "0.0.0.0", "224.0.0.1", "10.0.0.6:80", "10.0.0.6", "10.0.0.9", "10.0.0.9"}
	err = c.Check()
	if err == nil {
		t.Fatal("not refused")
	}
	for _, want := range []string{
		`accounts[1].gateway-addresses: "here" is not an IP address of the gateway`, `"0.0.0.0"`, `"224.0.0.1"`, `"10.0.0.6:80"`,
		"accounts[1].gateway-addresses: 10.0.0.6 is one of account 444455556666 already", "10.0.0.9 is one of account 777788889999 already",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %s in\n%v", want, err)
		}
	}
}

// TestWorkloadSettings: what is wrong with where workloads get credentials.
func TestWorkloadSettings(t *testing.T) {
	c := Defaults()
	c.APITLSAddr, c.ContainerCredentialsAddr, c.IMDSAddr, c.IMDSTokens = ":443", "169.254.170.2:80", "[::1]:80", "optional"
	c.PodIdentityAddr = "[fd00:ec2::23]:80"
	if err := c.Check(); err != nil {
		t.Fatal(err)
	}
	c.APITLSAddr, c.ContainerCredentialsAddr, c.IMDSAddr, c.IMDSTokens = "443", "localhost:80", "127.0.0.1", "perhaps"
	c.PodIdentityAddr = ":80"
	err := c.Check()
	if err == nil {
		t.Fatal("not refused")
	}
	for _, want := range []string{
		`api-tls-addr: "443" is not HOST:PORT`, `container-credentials-addr: "localhost:80" is not IP:PORT`, `imds-addr: "127.0.0.1" is not IP:PORT`, `pod-identity-addr: ":80" is not IP:PORT`,
		`imds-tokens: "perhaps" is neither required nor optional`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %s in\n%v", want, err)
		}
	}
}

// TestServiceControlPolicies: an account is under the policies of its root, its units
// and its own, and what is wrong is said with its place.
func TestServiceControlPolicies(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := file("no-s3.json", `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"s3:*","Resource":"*"}]}`)
	const org, unit = "o-a1b2c3d4e5", "o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/"
	c := Defaults()
	c.Accounts = []AccountConfig{
		{ID: "444455556666", OrganizationID: org, OrganizationPaths: []string{unit}},
		{ID: "777788889999", OrganizationID: org, OrganizationPaths: []string{org + "/r-ab12/"}},
		{ID: "111122223333", OrganizationID: org},
	}
	c.Organizations = []OrganizationConfig{{ID: org, ManagementAccount: "111122223333", ServiceControlPolicies: []ControlConfig{
		{Target: unit, Policies: []string{"FullAWSAccess", good}},
		{Target: "777788889999", Policies: []string{good}},
	}}}
	s, err := c.check()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]string{}
	for id, a := range s.world.Accounts {
		for _, level := range a.ControlPolicies {
			var names []string
			for _, p := range level {
				names = append(names, p.Name)
			}
			got[id] = append(got[id], strings.Join(names, "+"))
		}
	}
	if diff := cmp.Diff(map[string][]string{
		"444455556666": {"FullAWSAccess", "FullAWSAccess+no-s3", "FullAWSAccess"},
		"777788889999": {"FullAWSAccess", "no-s3"},
		"111122223333": {"FullAWSAccess"},
	}, got); diff != "" {
		t.Error(diff)
	}
	if !s.world.Accounts["111122223333"].Management {
		t.Error("the management account is not known as one")
	}
	denies := s.world.Accounts["777788889999"].ControlPolicies[1][0]
	if want := "arn:aws:organizations::111122223333:policy/o-a1b2c3d4e5/service_control_policy/p-no-s3"; denies.ARN != want || denies.Owner != "777788889999" {
		t.Errorf("the policy is %s of %s", denies.ARN, denies.Owner)
	}

	bad := file("bad.json", "{\"Version\":\"2012-10-17\",\"Statement\":[\n  {\"Effect\":\"Deny\",\"Principal\":\"*\",\"Action\":\"s3:*\",\"Resource\":\"*\"}]}")
	c.Accounts[1].OrganizationPaths = nil
	c.Organizations = []OrganizationConfig{
		{ID: org, ServiceControlPolicies: []ControlConfig{
			{Target: unit, Policies: []string{bad, filepath.Join(dir, "none.json")}},
			{Target: org + "/r-ab12/ou-ab12-22222222/", Policies: []string{"FullAWSAccess"}},
			{Target: "444455556666"},
			{Target: "444455556666", Policies: []string{"FullAWSAccess"}},
		}},
		{ID: org},
		{ID: "acme"},
		{ID: "o-bbbbbbbbbb", ManagementAccount: "42"},
	}
	err = c.Check()
	if err == nil {
		t.Fatal("not refused")
	}
	for _, want := range []string{
		"organizations[0].service-control-policies[0].policies: " + bad + ":2:3: Policy document should not specify a principal.",
		"none.json: no such file", `service-control-policies[1].target: "o-a1b2c3d4e5/r-ab12/ou-ab12-22222222/" is neither an account of o-a1b2c3d4e5`,
		"service-control-policies[2].policies: is empty", "service-control-policies[3].target: 444455556666 is there twice",
		"accounts: 777788889999 is in o-a1b2c3d4e5, which has service control policies, and has no organization-paths",
		"organizations[1].id: o-a1b2c3d4e5 is there twice", `organizations[2].id: "acme"`, `organizations[3].management-account: "42"`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %s in\n%v", want, err)
		}
	}
	if p := snapshot.FullAWSAccess(); p.Problem != nil {
		t.Error(p.Problem)
	}
}
