package policy

import (
	"encoding/json/jsontext"
	"errors"
	"io"
	"strings"
)

// node is one JSON value with the offset it begins at. Numbers and booleans keep
// their text: a condition compares them as text.
type node struct {
	kind    jsontext.Kind
	text    string // of a string, number or boolean
	offset  int
	members []member
	items   []node
}

type member struct {
	name   string
	offset int
	value  node
}

// maxDepth is above what any policy needs (six levels).
const maxDepth = 16

// parseJSON reads one JSON value and nothing after it. Duplicate member names and
// invalid UTF-8 are errors: two readers must not be able to see two policies in
// one text.
func parseJSON(text string) (node, *Error) {
	d := jsontext.NewDecoder(strings.NewReader(text))
	root, err := readNode(d, text, 0)
	if err == nil {
		if _, extra := d.ReadToken(); extra == nil {
			err = &Error{Offset: int(d.InputOffset()), Message: "there is text after the end of the document", Syntax: true}
		} else if !errors.Is(extra, io.EOF) {
			err = jsonError(d, extra)
		}
	}
	if err != nil {
		err.locate(text)
		return node{}, err
	}
	return root, nil
}

func readNode(d *jsontext.Decoder, text string, depth int) (node, *Error) {
	if depth > maxDepth {
		return node{}, &Error{Offset: int(d.InputOffset()), Message: "the document is nested too deeply", Syntax: true}
	}
	token, err := d.ReadToken()
	if err != nil {
		return node{}, jsonError(d, err)
	}
	n := node{kind: token.Kind(), offset: tokenStart(text, int(d.InputOffset()), token)}
	switch n.kind {
	case '{':
		for d.PeekKind() != '}' {
			name, err := d.ReadToken()
			if err != nil {
				return node{}, jsonError(d, err)
			}
			m := member{name: name.String(), offset: tokenStart(text, int(d.InputOffset()), name)}
			value, fault := readNode(d, text, depth+1)
			if fault != nil {
				return node{}, fault
			}
			m.value = value
			n.members = append(n.members, m)
		}
		if _, err := d.ReadToken(); err != nil {
			return node{}, jsonError(d, err)
		}
	case '[':
		n.items = []node{}
		for d.PeekKind() != ']' {
			item, fault := readNode(d, text, depth+1)
			if fault != nil {
				return node{}, fault
			}
			n.items = append(n.items, item)
		}
		if _, err := d.ReadToken(); err != nil {
			return node{}, jsonError(d, err)
		}
	case '"', '0', 't', 'f':
		n.text = token.String()
	}
	return n, nil
}

// tokenStart is the offset at which a token that ends at end began.
func tokenStart(text string, end int, token jsontext.Token) int {
	switch token.Kind() {
	case '"':
		// The raw text may hold escapes, so look for the quote that opens it.
		for i := end - 2; i >= 0; i-- {
			if text[i] != '"' {
				continue
			}
			slashes := 0
			for j := i - 1; j >= 0 && text[j] == '\\'; j-- {
				slashes++
			}
			if slashes%2 == 0 {
				return i
			}
		}
		return 0
	case '{', '[', '}', ']':
		return end - 1
	default:
		return end - len(token.String())
	}
}

func jsonError(d *jsontext.Decoder, err error) *Error {
	var syntactic *jsontext.SyntacticError
	switch {
	case errors.As(err, &syntactic):
		message := syntactic.Err.Error()
		if errors.Is(err, jsontext.ErrDuplicateName) {
			message = "the element " + string(syntactic.JSONPointer.LastToken()) + " is there twice"
		}
		return &Error{Offset: int(syntactic.ByteOffset), Message: message, Syntax: true}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return &Error{Offset: int(d.InputOffset()), Message: "the document ends too early", Syntax: true}
	default:
		return &Error{Offset: int(d.InputOffset()), Message: err.Error(), Syntax: true}
	}
}

// Compact is text without the white space between its JSON tokens. Order and
// spelling of everything else stay: what a caller stored comes back as it was.
func Compact(text string) (string, error) {
	v := jsontext.Value(strings.Clone(text))
	if _, err := parseJSON(text); err != nil {
		return "", err
	}
	if err := v.Compact(jsontext.AllowDuplicateNames(false)); err != nil {
		return "", &Error{Message: err.Error(), Syntax: true}
	}
	return string(v), nil
}

// FindNewline gives the offset of the first line break in a document; those after
// its closing brace do not count.
// Source: VPC Lattice User Guide, "Common elements in an auth policy": "The policy
// in JSON must not contain newlines or blank lines."
func FindNewline(text string) (offset int, found bool) {
	body := strings.TrimRight(text, " \t\r\n")
	offset = strings.IndexAny(body, "\r\n")
	return offset, offset >= 0
}
