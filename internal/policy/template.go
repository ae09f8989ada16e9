package policy

import "strings"

// token is a byte of a pattern, or one of those below. Patterns with variables are
// matched as tokens, so that a '*' in a variable's value is a star and not a
// wildcard, and a ':' in it does not begin a new part of an ARN.
type token uint16

const (
	tokenStar token = 256 + iota
	tokenAny
	tokenColon // a ':' that came with a variable's value
)

// text is the byte that the token stands for; no wildcard has one.
func (t token) text() byte {
	if t == tokenColon {
		return ':'
	}
	return byte(t)
}

// globTokens is glob on tokens.
func globTokens(pattern []token, s string) bool {
	if len(pattern)*len(s) > simpleSteps {
		return globLong(pattern, s)
	}
	p, i := 0, 0
	star, from := -1, 0
	for i < len(s) {
		if p < len(pattern) {
			switch c := pattern[p]; {
			case c == tokenStar:
				star, from = p, i
				p++
				continue
			case c == tokenAny:
				p++
				i += width(s[i:])
				continue
			default:
				if n := matchCharacter(pattern[p:], s[i:]); n > 0 {
					p += n
					i += n
					continue
				}
			}
		}
		if star < 0 {
			return false
		}
		from += width(s[from:])
		p, i = star+1, from
	}
	for p < len(pattern) && pattern[p] == tokenStar {
		p++
	}
	return p == len(pattern)
}

// matchCharacter gives the size of the first character of s, if the pattern begins
// with it, else 0. A part of a character, which the value of a variable may be, is not
// the character.
func matchCharacter(pattern []token, s string) int {
	size := width(s)
	if len(pattern) < size {
		return 0
	}
	for i := range size {
		if pattern[i].text() != s[i] || isWildcard(pattern[i]) {
			return 0
		}
	}
	return size
}

// matchARNTokens is arnPattern.match for a pattern with variables.
func matchARNTokens(pattern []token, arn string) bool {
	rest := arn
	for range 5 {
		end := -1
		for j, t := range pattern {
			if t == ':' {
				end = j
				break
			}
		}
		part, after, ok := strings.Cut(rest, ":")
		if end < 0 || !ok || !globTokens(pattern[:end], part) {
			return false
		}
		pattern, rest = pattern[end+1:], after
	}
	return globTokens(pattern, rest)
}

// tokenText is the text of tokens without wildcards.
func tokenText(tokens []token) string {
	b := make([]byte, len(tokens))
	for i, t := range tokens {
		b[i] = t.text()
	}
	return string(b)
}

// piece is a run of tokens, or a variable.
type piece struct {
	tokens   []token
	variable bool
	key      Key
	fallback string
	comma    bool // there is something after the key
	has      bool // and it is a fallback
}

// template is a text with policy variables.
type template []piece

// parseTemplate splits a text at its variables. It returns nil for a text without
// any. wild says whether '*' and '?' outside variables are wildcards.
// Source: IUG, "IAM policy elements: Variables and tags".
func parseTemplate(text string, wild bool) template {
	if !strings.Contains(text, "${") {
		return nil
	}
	var t template
	var run []token
	flush := func() {
		if run != nil {
			t = append(t, piece{tokens: run})
			run = nil
		}
	}
	for i := 0; i < len(text); {
		if name, size := variable(text[i:]); size > 0 {
			i += size
			if name == "*" || name == "?" || name == "$" {
				run = append(run, token(name[0]))
				continue
			}
			flush()
			t = append(t, parseVariable(name))
			continue
		}
		run = appendTokens(run, text[i:i+1], wild)
		i++
	}
	flush()
	return t
}

// appendTokens appends a text without variables.
func appendTokens(tokens []token, text string, wild bool) []token {
	for i := range len(text) {
		c := token(text[i])
		if wild && c == '*' {
			c = tokenStar
		} else if wild && c == '?' {
			c = tokenAny
		}
		tokens = append(tokens, c)
	}
	return tokens
}

// alone tells whether the template is one variable and nothing else. Its value is
// then the whole of an ARN.
func (t template) alone() bool { return len(t) == 1 && t[0].variable }

// isARN tells whether the template has the six parts of an ARN, or may have.
func (t template) isARN() bool {
	colons := 0
	for _, p := range t {
		for _, c := range p.tokens {
			if c == ':' {
				colons++
			}
		}
	}
	return colons >= 5 || t.alone()
}

// variable finds the variable that text begins with: what is between its braces,
// and its size with them. The size is 0 for a text that begins with none; "${"
// without an end is text like any other. A '}' in a default value does not end it.
func variable(text string) (name string, size int) {
	if !strings.HasPrefix(text, "${") {
		return "", 0
	}
	end := strings.IndexByte(text, '}')
	if quote := strings.Index(text, ", '"); quote >= 0 && quote < end {
		opened := quote + len(", '")
		if closing := strings.Index(text[opened:], "'}"); closing >= 0 {
			end = opened + closing + 1
		}
	}
	if end < 0 {
		return "", 0
	}
	return text[2:end], end + 1
}

func parseVariable(name string) piece {
	v := piece{variable: true}
	if key, rest, ok := strings.Cut(name, ","); ok {
		name, v.comma = key, true
		rest = strings.TrimSpace(rest)
		if len(rest) >= 2 && rest[0] == '\'' && rest[len(rest)-1] == '\'' {
			v.fallback, v.has = rest[1:len(rest)-1], true
		}
	}
	v.key = ParseKey(strings.TrimSpace(name))
	return v
}

// resolution says what came of the variables of a template.
type resolution uint8

const (
	resolved resolution = iota
	// unset: a variable has no value, so the text matches nothing.
	// Source: IUG, "Variables and tags", "Request information that has no value".
	unset
	// ambiguous: the client sent several values for the key of a variable, and
	// nobody can say which is meant. The tokens have a wildcard in its place: what
	// they do not match, no value would make match.
	ambiguous
)

// resolve gives the tokens of a template for a request.
func (t template) resolve(keys Keys, buf []token) ([]token, resolution) {
	state := resolved
	for i := range t {
		p := &t[i]
		if !p.variable {
			buf = append(buf, p.tokens...)
			continue
		}
		value := p.fallback
		v, present := keys.Lookup(&p.key)
		switch {
		case present && v.List, !present && !p.has:
			return nil, unset // A list has no one value to put in.
		case present && v.Repeated:
			state = ambiguous
			buf = append(buf, tokenStar)
			continue
		case present:
			value = v.One
		}
		for j := range len(value) {
			c := token(value[j])
			if c == ':' {
				c = tokenColon
			}
			buf = append(buf, c)
		}
	}
	return buf, state
}
