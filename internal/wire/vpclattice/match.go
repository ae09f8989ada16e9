package vpclattice

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// The patterns of these shapes use look-ahead or repeat more than 1000 times,
// which RE2 does not have; each function says the same as its shape's pattern
// and its test holds the two together.

func matchListenerName(s string) bool              { return plainName(s, "listener-") }
func matchResourceConfigurationName(s string) bool { return plainName(s, "rcfg-") }
func matchResourceGatewayName(s string) bool       { return plainName(s, "rgw-") }
func matchRuleName(s string) bool                  { return plainName(s, "rule-") }
func matchServiceName(s string) bool               { return plainName(s, "svc-") }
func matchServiceNetworkName(s string) bool        { return plainName(s, "") }
func matchTargetGroupName(s string) bool           { return plainName(s, "tg-") }

// plainName is (?!prefix)(?![-])(?!.*[-]$)(?!.*[-]{2})[a-z0-9-]+ : lower-case
// letters, digits and single hyphens inside, not beginning like an identifier.
func plainName(s, prefix string) bool {
	if s == "" || prefix != "" && strings.HasPrefix(s, prefix) {
		return false
	}
	if s[0] == '-' || s[len(s)-1] == '-' || strings.Contains(s, "--") {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !isLowerAlnum(c) && c != '-' {
			return false
		}
	}
	return true
}

// matchPolicyString is .*\S.* over several lines: a policy that is pretty-printed
// has something to say too.
func matchPolicyString(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsSpace(r) })
}

// matchArn is
// arn:[a-z0-9][-.a-z0-9]{0,62}:vpc-lattice:([a-z0-9][-.a-z0-9]{0,62})?:\d{12}?:[^/].{0,1023}
func matchArn(s string) bool { return looseARN(s, "vpc-lattice") }

// matchWildcardArn is the same for any service.
func matchWildcardArn(s string) bool { return looseARN(s, "") }

// looseARN checks the form that both patterns share. Java reads \d{12}? as a
// reluctant count, not as an optional group: the account must be there.
func looseARN(s, service string) bool {
	parts := strings.SplitN(s, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" || !arnWord(parts[1]) {
		return false
	}
	if service != "" && parts[2] != service || !arnWord(parts[2]) {
		return false
	}
	if parts[3] != "" && !arnWord(parts[3]) {
		return false
	}
	if len(parts[4]) != 12 || strings.Trim(parts[4], "0123456789") != "" {
		return false
	}
	rest := parts[5]
	if rest == "" || rest[0] == '/' || utf8.RuneCountInString(rest) > 1024 {
		return false
	}
	return !strings.ContainsAny(rest, "\n\r\u0085\u2028\u2029")
}

// arnWord is [a-z0-9][-.a-z0-9]{0,62}.
func arnWord(s string) bool {
	if s == "" || len(s) > 63 || !isLowerAlnum(s[0]) {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !isLowerAlnum(c) && c != '-' && c != '.' {
			return false
		}
	}
	return true
}

func isLowerAlnum(c byte) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' }
