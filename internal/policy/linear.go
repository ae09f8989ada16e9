package policy

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// Matching with one point to return to takes at worst as many steps as the product of
// the lengths of pattern and text, and whoever sends the text chooses it: a policy of
// ten kilobytes and a path as long would cost seconds. So where the product is above
// simpleSteps, the stretches of a pattern between its stars are searched for, one after
// the other, each by a method that reads the text once.
const simpleSteps = 4096

// globStars is glob for a pattern without '?', whose stretches are plain texts.
func globStars(pattern, s string) bool {
	head, rest, found := strings.Cut(pattern, "*")
	if !found {
		return pattern == s
	}
	s, ok := strings.CutPrefix(s, head)
	if !ok {
		return false
	}
	for {
		stretch, after, found := strings.Cut(rest, "*")
		if !found {
			return strings.HasSuffix(s, stretch)
		}
		// The first place that fits is the best: it leaves the most of the text.
		at := strings.Index(s, stretch)
		if at < 0 {
			return false
		}
		s, rest = s[at+len(stretch):], after
	}
}

// globLong is globTokens for long patterns and texts.
func globLong(pattern []token, s string) bool {
	head, rest, found := cutStar(pattern)
	end, ok := matchStart(head, s)
	if !found || !ok {
		return ok && end == len(s)
	}
	s = s[end:]
	for {
		stretch, after, found := cutStar(rest)
		if !found {
			return matchEnd(stretch, s)
		}
		end := search(stretch, s)
		if end < 0 {
			return false
		}
		s, rest = s[end:], after
	}
}

func cutStar(pattern []token) (before, after []token, found bool) {
	for i, t := range pattern {
		if t == tokenStar {
			return pattern[:i], pattern[i+1:], true
		}
	}
	return pattern, nil, false
}

// matchStart tells whether s begins with what a stretch matches, and where that ends.
func matchStart(stretch []token, s string) (end int, ok bool) {
	for len(stretch) > 0 {
		if end == len(s) {
			return 0, false
		}
		size, tokens := width(s[end:]), 1
		if stretch[0] != tokenAny {
			if tokens = matchCharacter(stretch, s[end:]); tokens == 0 {
				return 0, false
			}
		}
		end += size
		stretch = stretch[tokens:]
	}
	return end, true
}

// matchEnd tells whether s ends with what a stretch matches.
func matchEnd(stretch []token, s string) bool {
	for len(stretch) > 0 {
		if s == "" {
			return false
		}
		_, size := utf8.DecodeLastRuneInString(s)
		start, tokens := len(s)-size, 1
		if stretch[len(stretch)-1] != tokenAny {
			if tokens = size; len(stretch) < size || matchCharacter(stretch[len(stretch)-size:], s[start:]) != size {
				return false
			}
		}
		s, stretch = s[:start], stretch[:len(stretch)-tokens]
	}
	return true
}

// search finds the first place in s that a stretch matches, and gives where that
// ends; -1 if there is none.
func search(stretch []token, s string) int {
	switch {
	case len(stretch) == 0:
		return 0
	case len(stretch) > len(s):
		return -1 // What variables put into a pattern can be very long.
	case !slices.Contains(stretch, tokenAny):
		// Of a text that is UTF-8 every place in s begins a character. The value of a
		// variable may be half of one.
		if text := tokenText(stretch); utf8.ValidString(text) {
			at := strings.Index(s, text)
			if at < 0 {
				return -1
			}
			return at + len(text)
		}
	}
	if len(stretch) <= 64 {
		return searchShort(stretch, s)
	}
	return searchLong(stretch, s)
}

// searchShort is search for a stretch of up to 64 bytes. It follows all places at which
// the stretch may have begun together, one bit for each, and so reads s once
// (Baeza-Yates and Gonnet's "Shift-And" with '?').
func searchShort(stretch []token, s string) int {
	// literal has for each byte the tokens that are it, one those that are '?'. Bit i of
	// begun says that the tokens up to i match what ends here.
	var literal [256]uint64
	var one, begun uint64
	for i, t := range stretch {
		if t == tokenAny {
			one |= 1 << i
		} else {
			literal[t.text()] |= 1 << i
		}
	}
	last := uint64(1) << (len(stretch) - 1)
	for i := 0; i < len(s); {
		// Matches begin, and a '?' takes what it takes, at whole characters.
		moved := begun<<1 | 1
		next := moved & literal[s[i]]
		end := i + width(s[i:])
		for i++; i < end; i++ {
			next = next << 1 & literal[s[i]]
		}
		begun = next | moved&one
		if begun&last != 0 {
			return i
		}
	}
	return -1
}

// searchLong is searchShort with as many words as the stretch needs. It allocates.
func searchLong(stretch []token, s string) int {
	words := (len(stretch) + 63) / 64
	all := make([]uint64, (256+4)*words)
	literal, one := all[:256*words], all[256*words:257*words]
	begun, next, passed := all[257*words:258*words], all[258*words:259*words], all[259*words:]
	for i, t := range stretch {
		if t == tokenAny {
			one[i/64] |= 1 << (i % 64)
		} else {
			literal[int(t.text())*words+i/64] |= 1 << (i % 64)
		}
	}
	last := uint64(1) << ((len(stretch) - 1) % 64)
	for i := 0; i < len(s); {
		row, carry := literal[int(s[i])*words:][:words], uint64(1)
		for w, bits := range begun {
			moved := bits<<1 | carry
			carry = bits >> 63
			next[w], passed[w] = moved&row[w], moved&one[w]
		}
		end := i + width(s[i:])
		for i++; i < end; i++ {
			row, carry = literal[int(s[i])*words:][:words], 0
			for w, bits := range next {
				next[w] = (bits<<1 | carry) & row[w]
				carry = bits >> 63
			}
		}
		for w := range begun {
			begun[w] = next[w] | passed[w]
		}
		if begun[words-1]&last != 0 {
			return i
		}
	}
	return -1
}
