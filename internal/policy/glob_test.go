package policy

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// naive is the definition of a glob on characters, written to be read.
func naive(pattern, s []string) bool {
	switch {
	case len(pattern) == 0:
		return len(s) == 0
	case pattern[0] == "*":
		return naive(pattern[1:], s) || len(s) > 0 && naive(pattern, s[1:])
	case len(s) == 0:
		return false
	default:
		return (pattern[0] == "?" || pattern[0] == s[0]) && naive(pattern[1:], s[1:])
	}
}

// characters splits a text; a byte that is not UTF-8 is a character.
func characters(s string) []string {
	var out []string
	for s != "" {
		_, n := utf8.DecodeRuneInString(s)
		out, s = append(out, s[:n]), s[n:]
	}
	return out
}

func FuzzGlob(f *testing.F) {
	for _, seed := range [][2]string{
		{"*", ""},
		{"a*b", "axxb"},
		{"?", "x"},
		{"*a*a*", "banana"},
		{"a**b?", "abbc"},
		{"", ""},
		{"a?", "aé"},
		{"*??", "€"},
		{"?*é", "\xc3é"},
		{"*?\ufffd", "a\xff"},
		{"a*?b", "aéb"},
		{"A?é*B", "axéb"},
		{"ab*ba", "aba"},
		{"*é", "\xc3é"},
		{"?é", "\xe2\x82é"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, pattern, s string) {
		if len(pattern) > 12 || len(s) > 24 {
			return // The naive one takes exponential time.
		}
		if !utf8.ValidString(pattern) {
			return // JSON has none.
		}
		want := naive(characters(pattern), characters(s))
		if got := Glob(pattern, s); got != want {
			t.Errorf("glob(%q, %q) = %t", pattern, s, got)
		}
		if got := globSimple(pattern, s, false); got != want {
			t.Errorf("globSimple(%q, %q) = %t", pattern, s, got)
		}
		if got := globLong(appendTokens(nil, pattern, true), s); got != want {
			t.Errorf("globLong(%q, %q) = %t", pattern, s, got)
		}
		p := compilePattern(pattern, false)
		if got := p.match(s); got != want {
			t.Errorf("pattern %q on %q = %t", pattern, s, got)
		}
		p = compilePattern(pattern, true)
		folded := naive(characters(lowerASCII(pattern)), characters(lowerASCII(s)))
		if got := p.match(s); got != folded {
			t.Errorf("without case: pattern %q on %q = %t", pattern, s, got)
		}
		if got := glob(pattern, s, true); got != folded {
			t.Errorf("without case: glob(%q, %q) = %t", pattern, s, got)
		}
		tokens := appendTokens(nil, pattern, true)
		for i, c := range tokens {
			if c == ':' {
				tokens[i] = tokenColon // As if it came with a variable.
			}
		}
		if got := globTokens(tokens, s); got != want {
			t.Errorf("tokens %q on %q = %t", pattern, s, got)
		}
	})
}

// FuzzLongGlob holds the matchers of long patterns and texts against the simple one.
func FuzzLongGlob(f *testing.F) {
	f.Add("a?b*c", "axbbc", 40)
	f.Add("?*é?", "€", 90)
	f.Fuzz(func(t *testing.T, pattern, s string, times int) {
		if len(pattern) > 40 || len(s) > 40 || times < 0 || times > 200 || !utf8.ValidString(pattern) {
			return
		}
		// Long stretches without a star, and long texts.
		long := strings.Repeat(strings.ReplaceAll(pattern, "*", ""), times)
		text := strings.Repeat(s, times)
		for _, p := range []string{"*" + long + "*", pattern + long + "*" + pattern, "*" + pattern + "*" + long} {
			for _, x := range []string{text, text + long, long + text, "x" + long} {
				want := globSimple(p, x, false)
				if got := globLong(appendTokens(nil, p, true), x); got != want {
					t.Errorf("globLong(%q, %q) = %t", p, x, got)
				}
				if got := Glob(p, x); got != want {
					t.Errorf("Glob(%q, %q) = %t", p, x, got)
				}
			}
		}
	})
}

// FuzzEqualLower holds the comparison without case against its definition.
func FuzzEqualLower(f *testing.F) {
	for _, seed := range [][2]string{{"Anonymous", "anonymous"}, {"ß", "SS"}, {"É", "é"}, {"\u212a", "k"}, {"ſ", "s"}, {"\ufffd", "\xff"}, {"", ""}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, operand, value string) {
		if !utf8.ValidString(operand) {
			return
		}
		// Not strings.EqualFold, which folds more than lower case does.
		left, right := strings.ToLower(operand), strings.ToLower(value)
		want := utf8.ValidString(value) && left == right
		if got := equalLower(left, value); got != want {
			t.Errorf("%q and %q: %t", operand, value, got)
		}
	})
}

// TestGlobIsLinear matches what takes a recursive matcher longer than anybody
// waits: eight stars against text that nearly fits.
func TestGlobIsLinear(t *testing.T) {
	text := make([]byte, 100_000)
	for i := range text {
		text[i] = 'a'
	}
	if glob("*a*a*a*a*a*a*a*a*b", string(text), false) {
		t.Error("matched")
	}
}

// FuzzARN holds the matching of ARNs, with its literal head, against its definition:
// part by part.
func FuzzARN(f *testing.F) {
	for _, seed := range [][2]string{
		{"arn:aws:iam::*:role/x*", "arn:aws:iam::1:role/x:y"},
		{"arn:*:s3:::b/*", "arn:aws:s3:::b/"},
		{"arn:aws:*:*:*:*", "arn:aws:::"},
		{"*", "x"},
		{"arn:aws:s3", "arn:aws:s3"},
		{"a?n:aws:s3::1:b", "arn:aws:s3::1:b"},
		{"arn:aws:s3:*:1:b", "arn:aws:s3"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, pattern, arn string) {
		if len(pattern) > 40 || len(arn) > 60 || strings.Count(pattern, "*") > 6 || !utf8.ValidString(pattern) {
			return
		}
		want := pattern == "*"
		parts, values := strings.SplitN(pattern, ":", 6), strings.SplitN(arn, ":", 6)
		if len(parts) == 6 && len(values) == 6 {
			want = true
			for i := range parts {
				want = want && naive(characters(parts[i]), characters(values[i]))
			}
		}
		p := compileARN(pattern)
		if got := p.match(arn); got != want {
			t.Errorf("ARN %q on %q = %t", pattern, arn, got)
		}
	})
}
