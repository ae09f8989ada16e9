package main

import (
	"strings"
	"unicode"
)

// goName makes a model's name an exported Go name. It is the rule of AWS's Go
// SDK: the first letter is raised, nothing else changes.
func goName(name string) string {
	if name == "" {
		return ""
	}
	return strings.ToUpper(name[:1]) + name[1:]
}

// constName names one value of an enumeration: AuthType, AWS_IAM gives
// AuthTypeAwsIam.
func constName(enum, value string) string {
	var b strings.Builder
	b.WriteString(goName(enum))
	words := strings.FieldsFunc(value, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r)
	})
	for _, word := range words {
		if strings.ToUpper(word) == word {
			word = strings.ToLower(word)
		}
		b.WriteString(goName(word))
	}
	return b.String()
}
