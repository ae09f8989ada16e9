package policytest

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/latchwork/latchwork/internal/spelling"
)

// decoder turns the tree of a YAML or JSON file into Go values. It takes nothing that
// the types do not have, and says for everything it refuses where it is.
type decoder struct {
	file string
	// included tells which nodes are from which other files.
	included map[*yaml.Node]string
	errs     []error
}

// fileOf is the file that a node is from.
func (d *decoder) fileOf(n *yaml.Node) string { return cmp.Or(d.included[n], d.file) }

// from notes that a node and all in it are from another file.
func (d *decoder) from(n *yaml.Node, file string) {
	d.included[n] = file
	for _, item := range n.Content {
		d.from(item, file)
	}
}

// reader is a type that reads its own node.
type reader interface {
	read(d *decoder, n *yaml.Node)
}

func (d *decoder) wrong(n *yaml.Node, format string, args ...any) {
	d.errs = append(d.errs, fmt.Errorf("%s:%d:%d: %s", d.fileOf(n), n.Line, n.Column, fmt.Sprintf(format, args...)))
}

// parse reads the text of a file.
func (d *decoder) parse(file string, text []byte) *yaml.Node {
	var doc, more yaml.Node
	in := yaml.NewDecoder(bytes.NewReader(text))
	switch err := in.Decode(&doc); {
	case errors.Is(err, io.EOF):
		d.errs = append(d.errs, errors.New(file+": the file is empty"))
		return nil
	case err != nil:
		reason := strings.TrimPrefix(err.Error(), "yaml: ")
		if at, ok := strings.CutPrefix(reason, "line "); ok {
			d.errs = append(d.errs, fmt.Errorf("%s:%s", file, at))
		} else {
			d.errs = append(d.errs, fmt.Errorf("%s: %s", file, reason))
		}
		return nil
	}
	if file != d.file {
		d.from(&doc, file)
	}
	if err := in.Decode(&more); !errors.Is(err, io.EOF) {
		d.included[&more] = file
		d.wrong(&more, "the file has more than one document")
		return nil
	}
	if size(&doc, map[*yaml.Node]int{}) > maxNodes {
		d.wrong(doc.Content[0], "the file is too large, or an anchor of it has itself inside")
		return nil
	}
	return doc.Content[0]
}

// maxNodes bounds what anchors make of a file.
const maxNodes = 1_000_000

// size is how many nodes there are in one with everything that its anchors stand for,
// more than maxNodes if it is inside itself. known has the sizes of others, and what is
// being counted.
func size(n *yaml.Node, known map[*yaml.Node]int) int {
	if s, ok := known[n]; ok {
		return s
	}
	known[n] = maxNodes + 1
	s := 1
	if n.Alias != nil {
		s += size(n.Alias, known)
	}
	for _, item := range n.Content {
		s = min(s+size(item, known), maxNodes+1)
	}
	known[n] = s
	return s
}

// decode reads a node into a value. What the value has before stays where the node says
// nothing of it.
func (d *decoder) decode(n *yaml.Node, v reflect.Value) {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if r, ok := v.Addr().Interface().(reader); ok {
		r.read(d, n)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		made := reflect.New(v.Type().Elem())
		if !v.IsNil() {
			made.Elem().Set(v.Elem())
		}
		d.decode(n, made.Elem())
		v.Set(made)
	case reflect.Struct:
		d.fields(n, v)
	case reflect.Map:
		made := reflect.MakeMap(v.Type())
		for key, value := range d.members(n) {
			item := reflect.New(v.Type().Elem()).Elem()
			d.decode(value, item)
			made.SetMapIndex(reflect.ValueOf(key.Value), item)
		}
		v.Set(made)
	case reflect.Slice:
		if n.Kind != yaml.SequenceNode {
			d.wrong(n, "here is %s, and a list is wanted", kindOf(n))
			return
		}
		made := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
		for i, item := range n.Content {
			d.decode(item, made.Index(i))
		}
		v.Set(made)
	case reflect.String:
		if text, ok := d.scalar(n); ok {
			v.SetString(text)
		}
	default:
		// Numbers and booleans.
		if n.Kind != yaml.ScalarNode || n.Decode(v.Addr().Interface()) != nil {
			wanted := "a whole number"
			if v.Kind() == reflect.Bool {
				wanted = "true or false"
			}
			d.wrong(n, "here is %s, and %s is wanted", kindOf(n), wanted)
		}
	}
}

func (d *decoder) fields(n *yaml.Node, v reflect.Value) {
	for key, value := range d.members(n) {
		i := fieldNamed(v.Type(), key.Value)
		if i < 0 {
			d.wrong(key, "there is no field %q%s", key.Value, suggest(key.Value, fieldNames(v.Type())))
			continue
		}
		d.decode(value, v.Field(i))
	}
}

func fieldNamed(t reflect.Type, name string) int {
	for i := range t.NumField() {
		if tag, ok := t.Field(i).Tag.Lookup("json"); ok && tag == name {
			return i
		}
	}
	return -1
}

func fieldNames(t reflect.Type) []string {
	var out []string
	for i := range t.NumField() {
		if tag, ok := t.Field(i).Tag.Lookup("json"); ok {
			out = append(out, tag)
		}
	}
	return out
}

// members yields the keys and values of a mapping, and those that it takes from another
// by "<<" and does not have itself.
func (d *decoder) members(n *yaml.Node) func(func(key, value *yaml.Node) bool) {
	return func(yield func(key, value *yaml.Node) bool) {
		if n.Kind != yaml.MappingNode {
			d.wrong(n, "here is %s, and names with values are wanted", kindOf(n))
			return
		}
		seen := map[string]bool{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			if key.Tag != "!!merge" && seen[key.Value] {
				d.wrong(key, "%q is there twice", key.Value)
				return
			}
			seen[key.Value] = true
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, value := n.Content[i], n.Content[i+1]
			if key.Tag != "!!merge" {
				if !yield(key, value) {
					return
				}
				continue
			}
			for value.Kind == yaml.AliasNode {
				value = value.Alias
			}
			for k, v := range d.members(value) {
				if !seen[k.Value] && !yield(k, v) {
					return
				}
			}
		}
	}
}

// scalar is the text of a value as it is written: an account id without quotes is a
// text too.
func (d *decoder) scalar(n *yaml.Node) (string, bool) {
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		d.wrong(n, "here is %s, and a text is wanted", kindOf(n))
		return "", false
	}
	return n.Value, true
}

func kindOf(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Tag == "!!null":
		return "nothing"
	}
	return fmt.Sprintf("%q", n.Value)
}

// suggest proposes the name that somebody probably meant.
func suggest(got string, names []string) string {
	best := spelling.Nearest(got, names, len(got)/2)
	if best == "" {
		slices.Sort(names)
		if len(names) == 0 || len(names) > 12 {
			return ""
		}
		return ": there are " + strings.Join(names, ", ")
	}
	return fmt.Sprintf(": did you mean %q?", best)
}

// Values are one value, or a list of them.
type Values struct {
	Values []string
	List   bool
}

func (v *Values) read(d *decoder, n *yaml.Node) {
	*v = Values{Values: []string{}}
	if v.List = n.Kind == yaml.SequenceNode; v.List {
		d.decode(n, reflect.ValueOf(&v.Values).Elem())
		return
	}
	if text, ok := d.scalar(n); ok {
		v.Values = []string{text}
	}
}

// Query is a query string.
type Query struct{ Text string }

func (q *Query) read(d *decoder, n *yaml.Node) {
	if n.Kind == yaml.ScalarNode {
		q.Text, _ = d.scalar(n)
		return
	}
	var keys map[string]Values
	d.decode(n, reflect.ValueOf(&keys).Elem())
	values := url.Values{}
	for key, v := range keys {
		values[key] = v.Values
	}
	q.Text = values.Encode()
}

func (w *Want) read(d *decoder, n *yaml.Node) {
	*w = Want{}
	if n.Kind == yaml.ScalarNode {
		w.Verdict = n.Value
	} else {
		d.fields(n, reflect.ValueOf(w).Elem())
		if w.Verdict == "" {
			w.Verdict = deny
		}
	}
	precise := *w
	precise.Verdict = ""
	switch {
	case w.Verdict != allow && w.Verdict != deny:
		d.wrong(n, "%q is neither allow nor deny", w.Verdict)
	case w.Verdict == allow && precise != Want{}:
		d.wrong(n, "what denies cannot be told of something that is allowed")
	case w.Cause != "" && w.Cause != explicit && w.Cause != implicit:
		d.wrong(n, "the cause %q is neither explicit nor implicit", w.Cause)
	case w.Stage != "" && !slices.Contains(stages, w.Stage):
		d.wrong(n, "there is no stage %q%s", w.Stage, suggest(w.Stage, slices.Clone(stages)))
	case (w.Policy != "" || w.Statement != "") && w.Cause == implicit:
		d.wrong(n, "what is denied for want of an Allow is denied by no policy or statement")
	}
}

// Definitions are things with names.
type Definitions[T any] struct {
	nodes map[string]*yaml.Node
	// made are those that have been asked for; nil while one is being made.
	made map[string]*T
}

func (s *Definitions[T]) read(d *decoder, n *yaml.Node) {
	s.nodes, s.made = map[string]*yaml.Node{}, map[string]*T{}
	for key, value := range d.members(n) {
		s.nodes[key.Value] = value
	}
}

// names lists them.
func (s *Definitions[T]) names() []string { return slices.Sorted(maps.Keys(s.nodes)) }

// all reads every one, so that one that nothing uses is checked too.
func (s *Definitions[T]) all(d *decoder) {
	for _, name := range s.names() {
		s.get(d, name, s.nodes[name])
	}
}

// get gives a thing by its name, or nil and an error at the place that names it.
func (s *Definitions[T]) get(d *decoder, name string, at *yaml.Node) *T {
	if made, ok := s.made[name]; ok {
		if made == nil {
			d.wrong(at, "%q is like itself", name)
		}
		return made
	}
	n, ok := s.nodes[name]
	if !ok {
		d.wrong(at, "nothing here is named %q%s", name, suggest(name, s.names()))
		return nil
	}
	s.made[name] = nil
	s.made[name] = s.value(d, n)
	return s.made[name]
}

// value reads a thing that may be like another.
func (s *Definitions[T]) value(d *decoder, n *yaml.Node) *T {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	out := new(T)
	if n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == "like" {
				if base := s.get(d, n.Content[i+1].Value, n.Content[i+1]); base != nil {
					*out = *base
				}
			}
		}
	}
	d.decode(n, reflect.ValueOf(out).Elem())
	return out
}

// Ref is the name of a thing, or the thing itself.
type Ref[T any] struct{ node *yaml.Node }

func (r *Ref[T]) read(_ *decoder, n *yaml.Node) { r.node = n }

// name is the name, "" of a thing that is written in place.
func (r *Ref[T]) name() string {
	if r.node.Kind == yaml.ScalarNode {
		return r.node.Value
	}
	return ""
}

func (r *Ref[T]) resolve(d *decoder, in *Definitions[T]) *T {
	if name := r.name(); r.node.Kind == yaml.ScalarNode {
		return in.get(d, name, r.node)
	}
	return in.value(d, r.node)
}

func (c *rawCase) read(_ *decoder, n *yaml.Node) { c.node = n }
