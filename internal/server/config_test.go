package server

import (
	"net/netip"
	"strings"
	"testing"
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
