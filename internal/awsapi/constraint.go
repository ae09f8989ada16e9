package awsapi

import (
	"regexp"
	"sync"
)

// Constraint is what the model says of one shape's values. Min and Max count
// characters of a string, bytes of a blob, elements of a list or map, and are
// the bounds of a number.
type Constraint struct {
	Min, Max       int64
	HasMin, HasMax bool
	Enum           []string
	// Pattern is the model's expression as AWS prints it in messages.
	Pattern string
	// RE2 is the same expression in Go's syntax, anchored at both ends.
	RE2 string
	// Match stands in for patterns that RE2 cannot express.
	Match func(string) bool
	// Elem, Key and Value name the shapes of a list's elements and of a map's
	// keys and values.
	Elem, Key, Value string
	// Sensitive values are not repeated in messages.
	Sensitive bool
	// Union structures have exactly one member set.
	Union bool

	compile sync.Once
	re      *regexp.Regexp
}

// Allows tells whether a string that is no member of an input is as the model says of
// the shape.
func (c *Constraint) Allows(value string) bool {
	var v validator
	v.text(c, value, "")
	return len(v.found) == 0
}

// matches tells whether a string satisfies the pattern, if there is one. It
// compiles the expression at its first use: a server needs few of them.
func (c *Constraint) matches(value string) bool {
	if c.Match != nil {
		return c.Match(value)
	}
	if c.RE2 == "" {
		return true
	}
	c.compile.Do(func() { c.re = regexp.MustCompile(c.RE2) })
	return c.re.MatchString(value)
}
