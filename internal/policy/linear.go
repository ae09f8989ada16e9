package policy

import (
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

// searched is how many tokens a search follows at once: the bits of a word.
const searched = 64

// firstTokens is how many tokens of a stretch a search follows: not a part of a
// character, which takes four bytes at most.
func firstTokens(stretch []token) int {
	if len(stretch) <= searched {
		return len(stretch)
	}
	for n := searched; n > searched-utf8.UTFMax; n-- {
		if t := stretch[n]; isWildcard(t) || utf8.RuneStart(t.text()) {
			return n
		}
	}
	return searched // It is not UTF-8.
}

// search finds the first place in s that a stretch matches, and gives where that
// ends; -1 if there is none. It follows all places at which the stretch may have begun
// together, one bit for each, and so reads s once (Baeza-Yates and Gonnet's "Shift-And"
// with '?'). Of a longer stretch the tokens after the 64th are compared where the ones
// before are found.
func search(stretch []token, s string) int {
	if len(stretch) == 0 {
		return 0
	}
	first := stretch[:firstTokens(stretch)]
	var literal [256]uint64
	var one uint64
	for i, t := range first {
		if t == tokenAny {
			one |= 1 << i
		} else {
			literal[t.text()] |= 1 << i
		}
	}
	last := uint64(1) << (len(first) - 1)
	var begun uint64 // the tokens up to bit i match what ends here
	for i := 0; i < len(s); {
		size := width(s[i:])
		// Matches begin, and a '?' takes what it takes, at whole characters.
		next := (begun<<1 | 1) & literal[s[i]]
		for j := i + 1; j < i+size; j++ {
			next = next << 1 & literal[s[j]]
		}
		begun = next | (begun<<1|1)&one
		i += size
		if begun&last == 0 {
			continue
		}
		if end, ok := matchStart(stretch[len(first):], s[i:]); ok {
			return i + end
		}
	}
	return -1
}
