package iam

import "strings"

// matchAccountAlias is ^[a-z0-9]([a-z0-9]|-(?!-)){1,61}[a-z0-9]$ without the
// look-ahead that RE2 does not have: 3 to 63 lower-case letters, digits and
// single hyphens inside.
func matchAccountAlias(s string) bool {
	if len(s) < 3 || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' || strings.Contains(s, "--") {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}
