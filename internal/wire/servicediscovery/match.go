package servicediscovery

import (
	"regexp"
	"strings"
)

// The patterns of these shapes use look-ahead or repeat more than 1000 times,
// which RE2 does not have; each function says the same as its shape's pattern
// and its test holds the two together. Lengths are checked beside them.

// matchNamespaceName is ^[!-~]{1,1024}$
func matchNamespaceName(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r < '!' || r > '~' })
}

// matchNewNamespaceName is ^(?!arn:)[!-~]{1,1024}$
func matchNewNamespaceName(s string) bool {
	return matchNamespaceName(s) && !strings.HasPrefix(s, "arn:")
}

const label = `([a-zA-Z0-9_][a-zA-Z0-9_-]{0,61}[a-zA-Z0-9_]|[a-zA-Z0-9])`

var serviceName = regexp.MustCompile(`\A` + label + `(\.` + label + `)*\z`)

// matchServiceName is, with label as above,
// ((?=^.{1,127}$)^label(\.label)*$)|(^\.$)
func matchServiceName(s string) bool {
	return s == "." || len(s) <= 127 && serviceName.MatchString(s)
}
