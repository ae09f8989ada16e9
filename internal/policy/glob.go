package policy

import (
	"strings"
	"unicode/utf8"
)

// Glob tells whether s matches pattern, in which '*' stands for any run of
// characters and '?' for one. Its cost is bounded by the product of the lengths.
func Glob(pattern, s string) bool { return glob(pattern, s, false) }

// glob tells whether s matches pattern, in which '*' stands for any run of
// characters and '?' for one, which may be several bytes: else a client escaped a
// '?' with a letter outside ASCII. A byte that is not UTF-8 counts as a character.
// It takes one pass with one point to return to, so its cost is
// bounded by the product of the lengths and it allocates nothing: a pattern of
// many stars, which makes a recursive matcher take seconds, costs no more here
// than its length. fold compares ASCII letters without regard to case.
func glob(pattern, s string, fold bool) bool {
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

// shape is what kind of pattern a text is. Nearly all patterns in use are exact,
// a prefix, or everything; those are one comparison.
type shape uint8

const (
	exact shape = iota
	anything
	prefix
	general
)

// pattern is a text in which '*' and '?' stand for others, ready to be matched.
type pattern struct {
	shape shape
	fold  bool
	text  string // without the last '*' for a prefix
}

func compilePattern(text string, fold bool) pattern {
	p := pattern{shape: general, fold: fold, text: text}
	body := strings.TrimRight(text, "*")
	switch {
	case text != "" && body == "":
		p.shape = anything
	case !strings.ContainsAny(body, "*?") && body == text:
		p.shape = exact
	case !strings.ContainsAny(body, "*?"):
		p.shape, p.text = prefix, body
	}
	return p
}

func (p *pattern) match(s string) bool {
	switch p.shape {
	case anything:
		return true
	case exact:
		return s == p.text || p.fold && len(s) == len(p.text) && strings.EqualFold(s, p.text)
	case prefix:
		return len(s) >= len(p.text) && (s[:len(p.text)] == p.text || p.fold && strings.EqualFold(s[:len(p.text)], p.text))
	default:
		return glob(p.text, s, p.fold)
	}
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
