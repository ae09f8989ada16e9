package policy

import "testing"

// naive is the definition of a glob, written to be read.
func naive(pattern, s string) bool {
	switch {
	case pattern == "":
		return s == ""
	case pattern[0] == '*':
		return naive(pattern[1:], s) || s != "" && naive(pattern, s[1:])
	case s == "":
		return false
	default:
		return (pattern[0] == '?' || pattern[0] == s[0]) && naive(pattern[1:], s[1:])
	}
}

func FuzzGlob(f *testing.F) {
	for _, seed := range [][2]string{{"*", ""}, {"a*b", "axxb"}, {"?", "x"}, {"*a*a*", "banana"}, {"a**b?", "abbc"}, {"", ""}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, pattern, s string) {
		if len(pattern) > 12 || len(s) > 24 {
			return // The naive one takes exponential time.
		}
		want := naive(pattern, s)
		if got := glob(pattern, s, false); got != want {
			t.Errorf("glob(%q, %q) = %t", pattern, s, got)
		}
		p := compilePattern(pattern, false)
		if got := p.match(s); got != want {
			t.Errorf("pattern %q on %q = %t", pattern, s, got)
		}
		var tokens []token
		for i := range len(pattern) {
			c := token(pattern[i])
			switch pattern[i] {
			case '*':
				c = tokenStar
			case '?':
				c = tokenAny
			}
			tokens = append(tokens, c)
		}
		if got := globTokens(tokens, s); got != want {
			t.Errorf("tokens %q on %q = %t", pattern, s, got)
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
