package vpclattice

import (
	"strings"
	"testing"
)

// TestPlainName has a case for each part of
// (?!svc-)(?![-])(?!.*[-]$)(?!.*[-]{2})[a-z0-9-]+
func TestPlainName(t *testing.T) {
	for name, want := range map[string]bool{
		"a": true, "rates": true, "a-b-c": true, "0": true, "svc": true, "asvc-b": true, "tg-x": true,
		"": false, "svc-": false, "svc-rates": false, "-a": false, "a-": false, "a--b": false,
		"A": false, "a_b": false, "a b": false, "ä": false, "a\n": false,
	} {
		if got := matchServiceName(name); got != want {
			t.Errorf("matchServiceName(%q) = %v", name, got)
		}
	}
	for prefix, match := range map[string]func(string) bool{
		"listener-": matchListenerName, "rcfg-": matchResourceConfigurationName, "rgw-": matchResourceGatewayName,
		"rule-": matchRuleName, "svc-": matchServiceName, "tg-": matchTargetGroupName,
	} {
		if match(prefix+"a") || !match("x"+prefix+"a") {
			t.Errorf("prefix %q is not refused, or is refused inside a name", prefix)
		}
	}
	if !matchServiceNetworkName("sn-a") {
		t.Error("a service network's name may begin with anything")
	}
}

// TestLooseARN has a case for each part of
// arn:[a-z0-9][-.a-z0-9]{0,62}:vpc-lattice:([a-z0-9][-.a-z0-9]{0,62})?:\d{12}?:[^/].{0,1023}
func TestLooseARN(t *testing.T) {
	const rest = ":vpc-lattice:us-west-2:123456789012:service/svc-1"
	for arn, want := range map[string]bool{
		"arn:aws" + rest:                                                  true,
		"arn:aws-cn" + rest:                                               true,
		"arn:a" + strings.Repeat("b", 62) + rest:                          true,
		"arn:aws:vpc-lattice::123456789012:x":                             true,
		"arn:aws:vpc-lattice:r:123456789012:a:b/c":                        true,
		"arn:aws:vpc-lattice:r:123456789012:" + strings.Repeat("é", 1024): true,

		"":                                       false,
		"ARN:aws" + rest:                         false,
		"arn:" + rest:                            false,
		"arn:a" + strings.Repeat("b", 63) + rest: false,
		"arn:AWS" + rest:                         false,
		"arn:-aws" + rest:                        false,
		"arn:aws:iam::123456789012:role/r":       false,
		"arn:aws:vpc-lattice:-r:123456789012:x":  false,
		"arn:aws:vpc-lattice:r::x":               false,
		"arn:aws:vpc-lattice:r:12345678901:x":    false,
		"arn:aws:vpc-lattice:r:12345678901a:x":   false,
		"arn:aws:vpc-lattice:r:123456789012":     false,
		"arn:aws:vpc-lattice:r:123456789012:":    false,
		"arn:aws:vpc-lattice:r:123456789012:/x":  false,
		"arn:aws:vpc-lattice:r:123456789012:" + strings.Repeat("é", 1025): false,
		"arn:aws:vpc-lattice:r:123456789012:a\nb":                         false,
	} {
		if got := matchArn(arn); got != want {
			t.Errorf("matchArn(%q) = %v", arn, got)
		}
	}
	if !matchWildcardArn("arn:aws:rds:us-east-1:123456789012:db/x") || matchWildcardArn("arn:aws::us-east-1:123456789012:db/x") {
		t.Error("matchWildcardArn must take any service, and no empty one")
	}
}

func TestPolicyString(t *testing.T) {
	for policy, want := range map[string]bool{"{}": true, "\n {\n}\n": true, "": false, " \n\t": false} {
		if got := matchPolicyString(policy); got != want {
			t.Errorf("matchPolicyString(%q) = %v", policy, got)
		}
	}
}
