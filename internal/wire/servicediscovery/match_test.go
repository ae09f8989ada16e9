package servicediscovery

import (
	"strings"
	"testing"
)

func TestNamespaceName(t *testing.T) {
	for name, want := range map[string]bool{
		"shop.local": true, "~!": true, "a/b": true, "Arn:x": true, "xarn:": true,
		"": false, "a b": false, "é": false, "a\n": false, "arn:aws": false,
	} {
		if got := matchNewNamespaceName(name); got != want {
			t.Errorf("matchNewNamespaceName(%q) = %v", name, got)
		}
	}
	if !matchNamespaceName("arn:aws") || matchNamespaceName("") || matchNamespaceName("a b") {
		t.Error("an ARN is no name, or nothing is one")
	}
}

// TestServiceName has a case for each part of the pattern.
func TestServiceName(t *testing.T) {
	for name, want := range map[string]bool{
		".": true, "a": true, "7": true, "ab": true, "_a": true, "a_": true, "a-b": true, "a.b-c.d": true, "_http._tcp": true,
		strings.Repeat("a", 63): true, strings.Repeat("a", 63) + "." + strings.Repeat("b", 63): true,
		"": false, "_": false, "-a": false, "a-": false, "a..b": false, ".a": false, "a.": false, "a/b": false, "a\n": false, "é": false,
		strings.Repeat("a", 64): false, strings.Repeat("a", 63) + "." + strings.Repeat("b", 62) + ".c": false,
	} {
		if got := matchServiceName(name); got != want {
			t.Errorf("matchServiceName(%q) = %v", name, got)
		}
	}
}
