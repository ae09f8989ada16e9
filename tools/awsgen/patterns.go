package main

import (
	"fmt"
	"regexp"
	"strings"
)

// handWritten names, by model and shape, the functions that stand in for
// patterns that RE2 cannot express: those with look-ahead and those that repeat
// more than 1000 times. They live beside the generated files, in match.go.
var handWritten = map[string]map[string]string{
	"vpc-lattice": {
		"Arn":                       "matchArn",
		"ListenerName":              "matchListenerName",
		"PolicyString":              "matchPolicyString",
		"ResourceConfigurationName": "matchResourceConfigurationName",
		"ResourceGatewayName":       "matchResourceGatewayName",
		"RuleName":                  "matchRuleName",
		"ServiceName":               "matchServiceName",
		"ServiceNetworkName":        "matchServiceNetworkName",
		"TargetGroupName":           "matchTargetGroupName",
		"WildcardArn":               "matchWildcardArn",
	},
	"servicediscovery": {
		"NamespaceName":        "matchNamespaceName",
		"NamespaceNameHttp":    "matchNewNamespaceName",
		"NamespaceNamePrivate": "matchNewNamespaceName",
		"ServiceName":          "matchServiceName",
	},
	"iam": {
		"accountAliasType": "matchAccountAlias",
	},
}

// javaEscape is a UTF-16 escape of the models. Two of them have more than four
// digits; they mean the supplementary characters.
var javaEscape = regexp.MustCompile(`\\u(10FFFF|10000|[0-9A-Fa-f]{4})`)

// translate turns a model's pattern into RE2 that must match the whole value.
func translate(pattern string) (string, error) {
	re := javaEscape.ReplaceAllString(pattern, `\x{$1}`)
	// Java reads a hyphen after a range as itself; RE2 wants it escaped.
	re = strings.ReplaceAll(re, `z-\/]`, `z\-/]`)
	re = `\A(?:` + re + `)\z`
	if _, err := regexp.Compile(re); err != nil {
		return "", fmt.Errorf("pattern %q needs a hand-written function: %w", pattern, err)
	}
	return re, nil
}
