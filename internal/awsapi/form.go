package awsapi

import (
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/latchwork/latchwork/internal/fault"
)

// form is a request of the query protocols, its dotted names taken apart:
// Tags.member.1.Key is the member Key of element 1 of Tags.
type form struct {
	value  string
	leaf   bool
	nested map[string]*form
}

// maxFormDepth bounds the parts of one name. The deepest name in the models has
// seven.
const maxFormDepth = 24

// parseForm reads an encoded form. A name that occurs twice is refused: two
// readers would not agree on which one counts.
func parseForm(encoded ...string) (*form, string) {
	root := &form{}
	for _, text := range encoded {
		values, err := url.ParseQuery(text)
		if err != nil {
			return nil, "the parameters cannot be read: " + strings.TrimPrefix(err.Error(), "invalid ")
		}
		for name, list := range values {
			if len(list) > 1 || !root.add(name, list[0]) {
				return nil, "the parameter " + shorten(name) + " occurs more than once or is nested too deeply"
			}
		}
	}
	return root, ""
}

func (f *form) add(name, value string) bool {
	for range maxFormDepth {
		part, rest, more := strings.Cut(name, ".")
		if f.nested == nil {
			f.nested = map[string]*form{}
		}
		next := f.nested[part]
		if next == nil {
			next = &form{}
			f.nested[part] = next
		}
		f = next
		if !more {
			if f.leaf {
				return false
			}
			f.leaf, f.value = true, value
			return true
		}
		name = rest
	}
	return false
}

// text returns a top-level parameter.
func (f *form) text(name string) string {
	if next := f.nested[name]; next != nil {
		return next.value
	}
	return ""
}

// bindForm fills input from the form.
func (b *bound) bindForm(input reflect.Value, root *form) *fault.Error {
	binder := formBinder{validator{service: b.service}}
	binder.structure(b.in, input.Elem(), root, "")
	if len(binder.found) > 0 {
		return b.service.violated(binder.found)
	}
	return nil
}

// formBinder reports what it cannot read as violations, in the same words and
// paths as the validator.
type formBinder struct{ validator }

func (b *formBinder) structure(p *plan, v reflect.Value, in *form, path string) {
	for i := range p.fields {
		f := &p.fields[i]
		name := f.name
		if b.service.Protocol == EC2Query {
			name = upperFirst(name)
		}
		if next := in.nested[name]; next != nil {
			b.member(f, v, next, b.join(path, f.name))
		}
	}
}

func (b *formBinder) member(f *field, v reflect.Value, in *form, path string) {
	switch f.plan.kind {
	case kindStruct, kindList, kindMap:
		b.value(f.plan, f.make(v), in, path)
	default:
		if in.leaf {
			b.value(f.plan, f.make(v), in, path)
		}
	}
}

func (b *formBinder) value(p *plan, v reflect.Value, in *form, path string) {
	switch p.kind {
	case kindStruct:
		b.structure(p, v, in, path)
	case kindList:
		items := in
		if b.service.Protocol == Query {
			items = in.nested["member"]
		}
		for i, item := range b.elements(items, path) {
			elem := reflect.New(p.elem.typ).Elem()
			b.value(p.elem, elem, item, b.index(path, i))
			v.Set(reflect.Append(v, elem))
		}
	case kindMap:
		for _, item := range b.elements(in.nested["entry"], path) {
			key, value := item.nested["key"], item.nested["value"]
			if key == nil || value == nil {
				b.add(path, "", "Each entry must have a key and a value")
				continue
			}
			elem := reflect.New(p.elem.typ).Elem()
			b.value(p.elem, elem, value, path+"."+shorten(key.value))
			v.SetMapIndex(reflect.ValueOf(key.value).Convert(p.typ.Key()), elem)
		}
	default:
		if want := p.setScalar(v, in.value); want != "" {
			b.add(path, "", "Member must be %s", want)
		}
	}
}

// elements returns a list's elements in the order of their numbers. Gaps are
// closed, as AWS closes them.
func (b *formBinder) elements(in *form, path string) []*form {
	if in == nil {
		return nil
	}
	type element struct {
		number int
		form   *form
	}
	var list []element
	for key, item := range in.nested {
		number, err := strconv.Atoi(key)
		if err != nil || number < 1 || key != strconv.Itoa(number) {
			b.add(path, "", "Elements of a list are numbered from 1, not %q", shorten(key))
			continue
		}
		list = append(list, element{number, item})
	}
	slices.SortFunc(list, func(x, y element) int { return x.number - y.number })
	out := make([]*form, len(list))
	for i := range list {
		out[i] = list[i].form
	}
	return out
}
