package reference

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// symbol is one character of a pattern, or a wildcard.
type symbol struct {
	char string
	// star stands for any run of characters, one for any one.
	star, one bool
	// value is set for what came of a variable: it is never a wildcard, and its ':'
	// separates no parts of an ARN.
	value bool
}

// pattern is a text of a policy, read for one request.
type pattern struct {
	symbols []symbol
	// unset: a variable has no value. several: a variable has several; it is a star
	// here, for what does not match so matches with none of them.
	unset, several bool
	// alone: the text is one variable and nothing else.
	alone bool
}

// characters splits a text; a byte that is not UTF-8 is a character.
func characters(s string) []string {
	out := make([]string, 0, len(s))
	for s != "" {
		_, n := utf8.DecodeRuneInString(s)
		out, s = append(out, s[:n]), s[n:]
	}
	return out
}

// plain reads a text without variables.
func plain(text string, wildcards bool) []symbol {
	out := make([]symbol, 0, len(text))
	for _, c := range characters(text) {
		out = append(out, symbol{char: c, star: wildcards && c == "*", one: wildcards && c == "?"})
	}
	return out
}

// like tells whether symbols match a text of characters, by all the places in the text
// that the symbols so far may end at.
func like(symbols []symbol, text []string) bool {
	places := []int{0}
	for _, s := range symbols {
		if s.star {
			first := places[0]
			places = places[:0]
			for i := first; i <= len(text); i++ {
				places = append(places, i)
			}
			continue
		}
		before := places
		places = places[:0]
		for _, i := range before {
			if i < len(text) && (s.one || s.char == text[i]) {
				places = append(places, i+1)
			}
		}
		if len(places) == 0 {
			return false
		}
	}
	return places[len(places)-1] == len(text)
}

// compare matches a text; unset is the answer where a variable has no value.
func (p pattern) compare(text string, unset truth) truth {
	switch {
	case p.unset:
		return unset
	case !like(p.symbols, characters(text)):
		return no
	case p.several:
		return maybe
	}
	return yes
}

// text is that of a pattern without wildcards.
func (p pattern) text() string {
	var b strings.Builder
	for _, s := range p.symbols {
		b.WriteString(s.char)
	}
	return b.String()
}

// parts splits a pattern at its own first five ':', as an ARN.
func (p pattern) parts() [][]symbol {
	parts := [][]symbol{nil}
	for _, s := range p.symbols {
		if s.char == ":" && !s.value && len(parts) < 6 {
			parts = append(parts, nil)
			continue
		}
		parts[len(parts)-1] = append(parts[len(parts)-1], s)
	}
	return parts
}

// read reads a text in which variables may stand.
// Source: IUG, "IAM policy elements: Variables and tags".
func (e *evaluation) read(text string, wildcards bool) pattern {
	if !e.variables {
		return pattern{symbols: plain(text, wildcards)}
	}
	var p pattern
	whole := len(text)
	for text != "" {
		inner, size := variable(text)
		if size == 0 {
			// Up to what may be the next variable all is text.
			end := len(text)
			if next := strings.Index(text[1:], "$"); next >= 0 {
				end = 1 + next
			}
			p.symbols = append(p.symbols, plain(text[:end], wildcards)...)
			text = text[end:]
			continue
		}
		text = text[size:]
		switch inner {
		case "*", "?", "$": // The character itself.
			p.symbols = append(p.symbols, symbol{char: inner})
			continue
		}
		p.alone = size == whole
		e.substitute(&p, inner)
	}
	return p
}

// variable is what stands between the braces of the variable that a text begins with,
// and the size of it all; 0 if it begins with none. A "${" without an end is text. A
// default value ends at the first "'}" after its opening quote, whatever is in it.
func variable(text string) (inner string, size int) {
	if !strings.HasPrefix(text, "${") {
		return "", 0
	}
	name, _, ok := strings.Cut(text[2:], "}")
	if !ok {
		return "", 0
	}
	if before, rest, ok := strings.Cut(text[2:], ", '"); ok && len(before) < len(name) {
		if value, _, ok := strings.Cut(rest, "'}"); ok {
			name = before + ", '" + value + "'"
		}
	}
	return name, len("${") + len(name) + len("}")
}

// substitute puts the value of a variable into a pattern. The default is for a key that
// is absent; one that is empty has a value.
func (e *evaluation) substitute(p *pattern, inner string) {
	name, rest, _ := strings.Cut(inner, ",")
	rest = strings.TrimSpace(rest)
	hasDefault := len(rest) >= 2 && strings.HasPrefix(rest, "'") && strings.HasSuffix(rest, "'")
	v := e.lookup(strings.TrimSpace(name))
	value := ""
	switch {
	case v.list, v.absent && !hasDefault:
		p.unset = true // A list has no one value.
	case v.absent:
		value = rest[1 : len(rest)-1]
	case len(v.all) > 1:
		p.several = true
		p.symbols = append(p.symbols, symbol{star: true, value: true})
	default:
		value = v.one
	}
	for _, c := range characters(value) {
		p.symbols = append(p.symbols, symbol{char: c, value: true})
	}
}

// values are what a request has for a key.
type values struct {
	absent bool
	// list: the type of the key is a list, however many values are there.
	list bool
	// all are the values; one is the value that operators for one value see.
	all []string
	one string
}

// lists are the keys whose type is a list.
// Source: IUG, "Single-valued vs. multivalued context keys"; Service Authorization
// Reference, "Condition keys for Amazon VPC Lattice", of which RequestQueryString is
// left out: published policies compare it with plain operators.
var lists = []string{
	"aws:calledvia", "aws:principalorgpaths", "aws:principalservicenameslist", "aws:resourceorgpaths", "aws:sourceorgpaths",
	"aws:tagkeys", "aws:vpceorgpaths", "sts:transitivetagkeys", "vpc-lattice:securitygroupids",
	"vpc-lattice:privatednsspecifieddomains", "vpc-lattice:targetgrouparns",
}

const queryPrefix = "vpc-lattice-svcs:requestquerystring/"

// keyName is the form of a key's name that compares: names ignore case, the key of a
// query string alone does not.
// Source: IUG, "IAM JSON policy elements: Condition".
func keyName(name string) string {
	lower := strings.ToLower(name)
	if strings.HasPrefix(lower, queryPrefix) {
		return queryPrefix + name[len(queryPrefix):]
	}
	return lower
}

func (e *evaluation) lookup(name string) values {
	name = keyName(name)
	all, present := e.keys[name]
	v := values{absent: !present, list: slices.Contains(lists, name), all: all}
	switch {
	case v.absent || v.list:
	case len(all) == 0:
		v.all = []string{""} // It is there, and is empty.
	case strings.HasPrefix(name, queryPrefix):
		v.one = all[0]
	default:
		v.one = strings.Join(all, ",") // As a header that came twice.
	}
	return v
}
