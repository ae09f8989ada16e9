package iam

import (
	"strings"
	"testing"
)

// TestAccountAlias has a case for each part of ^[a-z0-9]([a-z0-9]|-(?!-)){1,61}[a-z0-9]$
func TestAccountAlias(t *testing.T) {
	for alias, want := range map[string]bool{
		"abc": true, "a-b": true, "0a9": true, strings.Repeat("a", 63): true,
		"": false, "ab": false, strings.Repeat("a", 64): false, "-ab": false, "ab-": false, "a--b": false, "aBc": false, "a_b": false,
	} {
		if got := matchAccountAlias(alias); got != want {
			t.Errorf("matchAccountAlias(%q) = %v", alias, got)
		}
	}
}
