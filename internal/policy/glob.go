package policy

import "strings"

// Glob tells whether s matches pattern, in which '*' stands for any run of bytes
// and '?' for one. Its cost is bounded by the product of the lengths.
func Glob(pattern, s string) bool { return glob(pattern, s, false) }

// glob tells whether s matches pattern, in which '*' stands for any run of bytes
// and '?' for one. It takes one pass with one point to return to, so its cost is
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
			case c == '?' || c == s[i] || fold && lower(c) == lower(s[i]):
				p++
				i++
				continue
			}
		}
		if star < 0 {
			return false
		}
		from++
		p, i = star+1, from
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
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

// token is a byte of a pattern, or one of the two wildcards. Patterns with
// variables are matched as tokens, so that a '*' in a variable's value is a star
// and not a wildcard.
type token uint16

const (
	tokenStar token = 256 + iota
	tokenAny
)

// globTokens is glob on tokens.
func globTokens(pattern []token, s string) bool {
	p, i := 0, 0
	star, from := -1, 0
	for i < len(s) {
		if p < len(pattern) {
			switch c := pattern[p]; {
			case c == tokenStar:
				star, from = p, i
				p++
				continue
			case c == tokenAny || c == token(s[i]):
				p++
				i++
				continue
			}
		}
		if star < 0 {
			return false
		}
		from++
		p, i = star+1, from
	}
	for p < len(pattern) && pattern[p] == tokenStar {
		p++
	}
	return p == len(pattern)
}

// piece is a run of tokens, or a variable.
type piece struct {
	tokens   []token
	variable bool
	key      Key
	fallback string
	has      bool // there is a fallback
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
		if strings.HasPrefix(text[i:], "${") {
			if end := strings.IndexByte(text[i:], '}'); end > 0 {
				name := text[i+2 : i+end]
				i += end + 1
				switch name {
				case "*", "?", "$":
					run = append(run, token(name[0]))
					continue
				}
				flush()
				v := piece{variable: true}
				if key, rest, ok := strings.Cut(name, ","); ok {
					name = key
					rest = strings.TrimSpace(rest)
					if len(rest) >= 2 && rest[0] == '\'' && rest[len(rest)-1] == '\'' {
						v.fallback, v.has = rest[1:len(rest)-1], true
					}
				}
				v.key = ParseKey(strings.TrimSpace(name))
				t = append(t, v)
				continue
			}
		}
		c := token(text[i])
		if wild && c == '*' {
			c = tokenStar
		} else if wild && c == '?' {
			c = tokenAny
		}
		run = append(run, c)
		i++
	}
	flush()
	return t
}

// resolve gives the tokens of a template for a request. ok is false if a variable
// has no value: then the text stands for nothing at all.
func (t template) resolve(keys Keys, buf []token) (tokens []token, ok bool) {
	for i := range t {
		p := &t[i]
		if !p.variable {
			buf = append(buf, p.tokens...)
			continue
		}
		value := p.fallback
		v, present := keys.Lookup(&p.key)
		switch {
		case present && v.List:
			return nil, false // A list has no one value to put in.
		case present:
			value = v.One
		case !p.has:
			return nil, false
		}
		for j := range len(value) {
			buf = append(buf, token(value[j]))
		}
	}
	return buf, true
}
