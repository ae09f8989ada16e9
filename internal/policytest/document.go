package policytest

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/latchwork/latchwork/internal/policy"
	"github.com/latchwork/latchwork/internal/snapshot"
)

// Policy is a policy document, or what names one: a name of the file's policies, the
// ARN of a managed one, or a file.
type Policy struct {
	// Ref is the name.
	Ref  string
	Text string
	node *yaml.Node
	// file is where the text is from, if not from the file of cases.
	file string
	// wrong tells that there is no document, which was said.
	wrong bool
	// places say where the parts of the text are written, by their offsets, if it was
	// written as YAML.
	places []place
}

type place struct{ offset, line, column int }

func (p *Policy) read(d *decoder, n *yaml.Node) {
	*p = Policy{node: n}
	switch n.Kind {
	case yaml.ScalarNode:
		text, _ := d.scalar(n)
		if strings.HasPrefix(strings.TrimSpace(text), "{") {
			p.Text = text
		} else {
			p.Ref = text
		}
	case yaml.MappingNode:
		if len(n.Content) == 2 && n.Content[0].Value == "file" {
			p.open(d, n.Content[1])
			return
		}
		var b strings.Builder
		p.write(d, &b, n)
		p.Text = b.String()
	default:
		d.wrong(n, "here is %s, and a policy is wanted", kindOf(n))
		p.wrong = true
	}
}

// open reads a document from a file whose path is relative to the file of cases.
func (p *Policy) open(d *decoder, n *yaml.Node) {
	name, ok := d.scalar(n)
	if !ok {
		return
	}
	if !filepath.IsAbs(name) {
		name = filepath.Join(filepath.Dir(d.fileOf(n)), name)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		d.wrong(n, "%v", err)
		p.wrong = true
		return
	}
	p.Text, p.file = string(text), name
}

// write makes JSON of YAML. Every value is a text: of numbers and booleans the policy
// language compares the text, and an account id or a version needs no quotes.
func (p *Policy) write(d *decoder, b *strings.Builder, n *yaml.Node) {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	p.places = append(p.places, place{b.Len(), n.Line, n.Column})
	comma := ""
	switch {
	case n.Kind == yaml.MappingNode:
		b.WriteByte('{')
		for key, value := range d.members(n) {
			b.WriteString(comma)
			comma = ","
			p.places = append(p.places, place{b.Len(), key.Line, key.Column})
			quote(b, key.Value)
			b.WriteByte(':')
			p.write(d, b, value)
		}
		b.WriteByte('}')
	case n.Kind == yaml.SequenceNode:
		b.WriteByte('[')
		for _, item := range n.Content {
			b.WriteString(comma)
			comma = ","
			p.write(d, b, item)
		}
		b.WriteByte(']')
	case n.Tag == "!!null":
		b.WriteString("null")
	default:
		quote(b, n.Value)
	}
}

func quote(b *strings.Builder, text string) {
	raw, _ := json.Marshal(text) // a text always has JSON
	b.Write(raw)
}

// compiled remembers policies by kind and text: many cases have the same.
type compiled map[policyKey]*snapshot.Policy

type policyKey struct {
	kind policy.Kind
	text string
}

// compile makes a policy of a document for a kind, and says where it is wrong.
func (c compiled) compile(d *decoder, kind policy.Kind, p *Policy) *snapshot.Policy {
	if p.wrong {
		return &snapshot.Policy{}
	}
	key := policyKey{kind, p.Text}
	made, ok := c[key]
	if !ok {
		made = snapshot.Compile(kind, kind.String(), p.Text)
		c[key] = made
	}
	var bad *policy.Error
	switch {
	case errors.As(made.Problem, &bad):
		d.errs = append(d.errs, fmt.Errorf("%s: this is no %s: %s", p.place(d.fileOf(p.node), bad), kind, bad.Explained()))
	case made.Problem != nil:
		d.wrong(p.node, "this is no %s: %v", kind, made.Problem)
	}
	return made
}

// place is where a document is wrong.
func (p *Policy) place(file string, bad *policy.Error) string {
	if p.file != "" {
		return fmt.Sprintf("%s:%d:%d", p.file, bad.Line, bad.Column)
	}
	at := place{line: p.node.Line, column: p.node.Column}
	if i := sort.Search(len(p.places), func(i int) bool { return p.places[i].offset > bad.Offset }); i > 0 {
		at = p.places[i-1]
	}
	return fmt.Sprintf("%s:%d:%d", file, at.line, at.column)
}
