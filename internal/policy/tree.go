package policy

import (
	"bytes"
	"encoding/json/jsontext"
	"errors"
	"io"
	"slices"
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

// list yields the items of a list; any other value is a list of itself.
func (n *node) list(yield func(int, *node) bool) {
	if n.kind != '[' {
		yield(0, n)
		return
	}
	for i := range n.items {
		if !yield(i, &n.items[i]) {
			return
		}
	}
}

// size is how many values list yields.
func (n *node) size() int {
	if n.kind != '[' {
		return 1
	}
	return len(n.items)
}

// member finds a member of an object that has it.
func (n *node) member(name string) *member {
	return &n.members[slices.IndexFunc(n.members, func(m member) bool { return m.name == name })]
}

// maxDepth is above what any policy needs (six levels).
const maxDepth = 16

// parseJSON reads one JSON value and nothing after it. Duplicate member names and
// invalid UTF-8 are errors: two readers must not be able to see two policies in
// one text.
func parseJSON(text string) (node, *Error) {
	// A decoder reads a bytes.Buffer in place.
	t := tree{text: text, d: jsontext.NewDecoder(bytes.NewBufferString(text))}
	root, err := t.node(0)
	if err == nil {
		if _, extra := t.d.ReadToken(); extra == nil {
			err = &Error{Offset: int(t.d.InputOffset()), Message: "there is text after the end of the document", Syntax: true}
		} else if !errors.Is(extra, io.EOF) {
			err = jsonError(t.d, extra)
		}
	}
	if err != nil {
		err.locate(text)
		return node{}, err
	}
	return root, nil
}

// tree reads a text token by token.
type tree struct {
	text string
	d    *jsontext.Decoder
	end  int // of the last token
	// members and items are those of the values being read, the innermost last.
	members []member
	items   []node
}

// token reads a token: its kind, the offset it begins at, and what it stands for.
func (t *tree) token() (kind jsontext.Kind, start int, text string, err *Error) {
	token, fault := t.d.ReadToken()
	if fault != nil {
		return 0, 0, "", jsonError(t.d, fault)
	}
	start, t.end = t.end, int(t.d.InputOffset())
	for strings.IndexByte(" \t\r\n,:", t.text[start]) >= 0 {
		start++
	}
	kind = token.Kind()
	switch text = t.text[start:t.end]; {
	case kind == '"' && strings.IndexByte(text, '\\') >= 0:
		text = token.String()
	case kind == '"':
		text = text[1 : len(text)-1]
	}
	return kind, start, text, nil
}

func (t *tree) node(depth int) (node, *Error) {
	if depth > maxDepth {
		return node{}, &Error{Offset: int(t.d.InputOffset()), Message: "the document is nested too deeply", Syntax: true}
	}
	kind, start, text, err := t.token()
	if err != nil {
		return node{}, err
	}
	n := node{kind: kind, offset: start}
	switch kind {
	case '{':
		outer := len(t.members)
		for t.d.PeekKind() != '}' {
			_, offset, name, err := t.token()
			if err != nil {
				return node{}, err
			}
			value, err := t.node(depth + 1)
			if err != nil {
				return node{}, err
			}
			t.members = append(t.members, member{name, offset, value})
		}
		n.members, t.members = slices.Clone(t.members[outer:]), t.members[:outer]
		_, _, _, err = t.token()
	case '[':
		outer := len(t.items)
		for t.d.PeekKind() != ']' {
			item, err := t.node(depth + 1)
			if err != nil {
				return node{}, err
			}
			t.items = append(t.items, item)
		}
		n.items, t.items = slices.Clone(t.items[outer:]), t.items[:outer]
		_, _, _, err = t.token()
	case '"', '0', 't', 'f':
		n.text = text
	}
	return n, err
}

func jsonError(d *jsontext.Decoder, err error) *Error {
	var syntactic *jsontext.SyntacticError
	if !errors.As(err, &syntactic) { // Reading a text fails at its end only.
		return &Error{Offset: int(d.InputOffset()), Message: "the document ends too early", Syntax: true}
	}
	message := syntactic.Err.Error()
	if errors.Is(err, jsontext.ErrDuplicateName) {
		message = "the element " + string(syntactic.JSONPointer.LastToken()) + " is there twice"
	}
	return &Error{Offset: int(syntactic.ByteOffset), Message: message, Syntax: true}
}

// Compact is text without the white space between its JSON tokens. Order and
// spelling of everything else stay: what a caller stored comes back as it was.
func Compact(text string) (string, error) {
	v := jsontext.Value(strings.Clone(text))
	if _, err := parseJSON(text); err != nil {
		return "", err
	}
	err := v.Compact() // It was read whole, and does not fail.
	return string(v), err
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
