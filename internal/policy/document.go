// Package policy is the IAM policy language: it parses a document, compiles it,
// and tells what it says of a request. It decides nothing alone; package authz
// combines what several policies say.
//
// The package is pure: no I/O, no clock, no logging. Sources of the rules are
// named where they are implemented; "IUG" is the IAM User Guide.
package policy

import (
	"encoding/json/jsontext"
	"fmt"
	"strings"
)

// Kind is what a document is for. It decides which elements are legal.
type Kind uint8

// The kinds of policy.
const (
	Identity Kind = iota + 1
	Boundary
	Session
	Trust
	AuthPolicy // of a VPC Lattice service or service network
	Resource
	ServiceControl
)

func (k Kind) String() string {
	switch k {
	case Identity:
		return "identity policy"
	case Boundary:
		return "permissions boundary"
	case Session:
		return "session policy"
	case Trust:
		return "trust policy"
	case AuthPolicy:
		return "auth policy"
	case Resource:
		return "resource policy"
	case ServiceControl:
		return "service control policy"
	}
	return "policy"
}

// isIAM tells whether IAM, STS or Organizations store the kind: its grammar is
// stricter than that of the resource policies of other services.
func (k Kind) isIAM() bool { return k != AuthPolicy && k != Resource }

// hasPrincipal tells whether statements of the kind name who they are for.
func (k Kind) hasPrincipal() bool { return k == Trust || k == AuthPolicy || k == Resource }

// Error says what is wrong with a document and where.
type Error struct {
	// Offset in bytes; Line and Column count from 1, Column in bytes.
	Offset, Line, Column int
	// Message is AWS's own text where AWS has one.
	Message string
	// Detail says more than AWS's text does; may be empty.
	Detail string
	// Syntax is true for a text that is not JSON at all.
	Syntax bool
}

func (e *Error) Error() string {
	s := fmt.Sprintf("line %d column %d: %s", e.Line, e.Column, e.Message)
	if e.Detail != "" {
		s += " (" + e.Detail + ")"
	}
	return s
}

// Explained is the message with its detail, without the position.
func (e *Error) Explained() string {
	if e.Detail == "" {
		return e.Message
	}
	return e.Message + " (" + e.Detail + ")"
}

func (e *Error) locate(text string) {
	e.Line, e.Column = position(text, e.Offset)
}

func position(text string, offset int) (line, column int) {
	before := text[:offset]
	breaks := strings.Count(before, "\n")
	if breaks == 0 {
		return 1, offset + 1 // Most documents that are stored, and LastIndexByte is slow.
	}
	return 1 + breaks, offset - strings.LastIndexByte(before, '\n')
}

// Document is a parsed policy.
type Document struct {
	Kind       Kind
	Text       string
	Version    string // "" if the document has none
	ID         string
	Statements []Statement
}

// Position is the line and the column of an offset, as in Error.
func (d *Document) Position(offset int) (line, column int) { return position(d.Text, offset) }

// Extent is where AWS's policy simulator says that a statement begins and ends: behind
// the token before it in a list, behind its brace if it is in no list; and behind its
// closing brace.
// Source: answers of the simulator in public records.
func (d *Document) Extent(statement int) (start, end int) {
	// The document was parsed: there is a value at the offset of each statement.
	after := func(i int) int {
		offset := d.Statements[i].Offset
		value, _ := jsontext.NewDecoder(strings.NewReader(d.Text[offset:])).ReadValue()
		return offset + len(value)
	}
	if statement > 0 {
		return after(statement - 1), after(statement)
	}
	before := strings.TrimRight(d.Text[:d.Statements[0].Offset], " \t\r\n")
	if strings.HasSuffix(before, "[") {
		return len(before), after(0)
	}
	return d.Statements[0].Offset + 1, after(0)
}

// Variables tells whether ${…} stands for a value in this document.
// Source: IUG, "IAM JSON policy elements: Version".
func (d *Document) variables() bool { return d.Version == version2012 }

const (
	version2008 = "2008-10-17"
	version2012 = "2012-10-17"
)

// Statement is one statement; it is named by Sid or, without one, by its Index.
type Statement struct {
	Index  int
	Sid    string
	Allow  bool
	Offset int
	// Exactly one of each pair is set where the kind of the document has it.
	Principals, NotPrincipals []PrincipalEntry
	Actions, NotActions       []Text
	Resources, NotResources   []Text
	Conditions                []ConditionEntry
	// Untested are operators without a key.
	Untested []Text
}

// Text is a string of a document and where it is.
type Text struct {
	Text   string
	Offset int
}

// PrincipalEntry is one principal; Type is "AWS", "Service", "Federated" or
// "CanonicalUser", and "*" for a bare star.
type PrincipalEntry struct {
	Type string
	Text
	// Bare is set for one that is written as a text and not in an object.
	Bare bool
}

// ConditionEntry is one operator on one key.
type ConditionEntry struct {
	Operator string
	Key      string
	Values   []Text
	Offset   int
}

// Parse reads a document. The error is always an *Error.
func Parse(kind Kind, text string) (*Document, error) {
	p := parser{kind: kind, text: text}
	d, err := p.document()
	if err != nil {
		err.locate(text)
		return nil, err
	}
	return d, nil
}
