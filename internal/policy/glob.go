package policy

import (
	"strings"
	"unicode/utf8"
)

// Glob tells whether s matches pattern, in which '*' stands for any run of
// characters and '?' for one.
func Glob(pattern, s string) bool { return glob(pattern, s, false) }

// glob tells whether s matches pattern, in which '*' stands for any run of
// characters and '?' for one, which may be several bytes: else a client escaped a
// '?' with a letter outside ASCII. A byte that is not UTF-8 counts as a character.
// fold compares ASCII letters without regard to case. A pattern of many stars, which
// makes a recursive matcher take seconds, costs no more here than its length.
func glob(pattern, s string, fold bool) bool {
	if !fold {
		if strings.IndexByte(pattern, '?') < 0 {
			return globStars(pattern, s)
		}
		if len(pattern)*len(s) > simpleSteps {
			var buf [256]token
			return globLong(appendTokens(buf[:0], pattern, true), s)
		}
	}
	return globSimple(pattern, s, fold)
}

// globSimple is glob in one pass with one point to return to.
func globSimple(pattern, s string, fold bool) bool {
	p, i := 0, 0
	star, from := -1, 0
	for i < len(s) {
		if p < len(pattern) {
			switch c := pattern[p]; {
			case c == '*':
				star, from = p, i
				p++
				continue
			case c == '?':
				p++
				i += width(s[i:])
				continue
			case c == s[i] || fold && lower(c) == lower(s[i]):
				p++
				i++
				continue
			}
		}
		if star < 0 {
			return false
		}
		from += width(s[from:])
		p, i = star+1, from
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// width is the number of bytes of the first character of s, which is not empty.
func width(s string) int {
	if s[0] < utf8.RuneSelf {
		return 1
	}
	_, n := utf8.DecodeRuneInString(s)
	return n
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// shape is what kind of pattern a text is. Nearly all patterns in use are exact, a
// prefix, or everything; those are one comparison.
type shape uint8

const (
	exact shape = iota
	anything
	ends // a beginning, an end, and anything between
	general
)

// pattern is a text in which '*' and '?' stand for others, ready to be matched.
// What is before its first wildcard and behind its last one is compared first: of
// many patterns in a policy hardly one fits, and a suffix such as that of "*/rates"
// would else be looked for at each place of the text.
type pattern struct {
	text string
	// The text before first is literal, and that from last on.
	first, last int32
	shape       shape
	fold        bool
}

func compilePattern(text string, fold bool) pattern {
	p := pattern{shape: general, fold: fold, text: text}
	first := strings.IndexAny(text, "*?")
	if first < 0 {
		p.shape = exact
		p.first, p.last = int32(len(text)), int32(len(text))
		return p
	}
	last := strings.LastIndexAny(text, "*?") + 1
	p.first, p.last = int32(first), int32(last)
	if strings.Trim(text[first:last], "*") == "" {
		p.shape = ends
		if len(text) == last-first {
			p.shape = anything
		}
	}
	return p
}

// prefix is what is before the first wildcard, all of an exact pattern.
func (p *pattern) prefix() string { return p.text[:p.first] }

func (p *pattern) match(s string) bool {
	switch p.shape {
	case anything:
		return true
	case exact:
		return len(s) == len(p.text) && p.equal(p.text, s)
	}
	suffix := p.text[p.last:]
	inner := len(s) - len(suffix)
	if int(p.first) > inner || !p.equal(p.text[:p.first], s[:p.first]) || !p.equal(suffix, s[inner:]) {
		return false
	}
	return p.shape == ends || glob(p.text[p.first:p.last], s[p.first:inner], p.fold)
}

// equal compares a literal part with a text of the same length.
func (p *pattern) equal(part, s string) bool {
	// Nearly everybody writes actions as AWS does.
	if part == s || !p.fold {
		return part == s
	}
	for i := range len(part) {
		if part[i] != s[i] && lower(part[i]) != lower(s[i]) {
			return false
		}
	}
	return true
}

func lowerASCII(s string) string {
	b := []byte(s)
	for i := range b {
		b[i] = lower(b[i])
	}
	return string(b)
}

// equalLower tells whether value in lower case is lowered, which already is. It
// does not fold further: AWS compares "ß" and "ss" as different. Values are ASCII
// nearly always, and for those it allocates nothing.
// Source: PMapper, "observed policy simulator behaviour".
func equalLower(lowered, value string) bool {
	for i := range len(value) {
		if value[i] >= utf8.RuneSelf {
			// ToLower makes every broken byte the same character.
			return utf8.ValidString(value) && strings.ToLower(value) == lowered
		}
	}
	if len(value) != len(lowered) {
		return false
	}
	for i := range len(value) {
		if lower(value[i]) != lowered[i] {
			return false
		}
	}
	return true
}
