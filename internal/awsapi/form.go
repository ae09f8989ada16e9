package awsapi

import (
	"maps"
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
//
// A name that belongs to no member of the operation is passed over, as AWS passes
// it over. Below a member that is known nothing is: a list of policies or of
// resources whose names are slightly wrong must not be taken for one that was
// left out.
type formBinder struct{ validator }

func (b *formBinder) structure(p *plan, v reflect.Value, in *form, path string) {
	known := make([]string, len(p.fields))
	for i := range p.fields {
		f := &p.fields[i]
		known[i] = f.name
		if b.service.Protocol == EC2Query {
			known[i] = upperFirst(f.name)
		}
		if next := in.nested[known[i]]; next != nil {
			b.member(f, v, next, b.join(path, f.name))
		}
	}
	if path != "" {
		b.only(in, path, known...)
	}
}

func (b *formBinder) member(f *field, v reflect.Value, in *form, path string) {
	if f.plan.kind == kindList && b.service.Protocol == EC2Query && len(in.nested) == 0 {
		// EC2's protocol has no empty lists: what is written as one is not there.
		// Source: Smithy, "AWS EC2 query protocol", "Collections".
		b.single(in, path, "a list")
		return
	}
	b.value(f.plan, f.make(v), in, path)
}

func (b *formBinder) value(p *plan, v reflect.Value, in *form, path string) {
	switch p.kind {
	case kindStruct:
		b.single(in, path, "a structure")
		b.structure(p, v, in, path)
	case kindList:
		b.single(in, path, "a list")
		items := in
		if b.service.Protocol == Query {
			items = b.wrapped(in, path, "member", "a list")
		}
		for i, item := range b.elements(items, path) {
			elem := reflect.New(p.elem.typ).Elem()
			b.value(p.elem, elem, item, b.index(path, i))
			v.Set(reflect.Append(v, elem))
		}
	case kindMap:
		b.single(in, path, "a map")
		for _, item := range b.elements(b.wrapped(in, path, "entry", "a map"), path) {
			b.single(item, path, "a map")
			b.only(item, path, "key", "value")
			key, value := item.nested["key"], item.nested["value"]
			if key == nil || value == nil {
				b.add(path, "", "Each entry must have a key and a value")
				continue
			}
			b.only(key, path)
			elem := reflect.New(p.elem.typ).Elem()
			b.value(p.elem, elem, value, path+"."+shorten(key.value))
			v.SetMapIndex(reflect.ValueOf(key.value).Convert(p.typ.Key()), elem)
		}
	default:
		b.only(in, path)
		if want := p.setScalar(v, in.value); in.leaf && want != "" {
			b.add(path, "", "Member must be %s", want)
		}
	}
}

// single refuses a value where a member has parts. An empty one is how SDKs write
// that there are none.
// Source: Smithy, "AWS query protocol", "Collections": an empty list is "Name=".
func (b *formBinder) single(in *form, path, want string) {
	if in.value != "" {
		b.add(path, "", "Member must be %s, not a single value", want)
	}
}

// only refuses names below a member that it does not have.
func (b *formBinder) only(in *form, path string, known ...string) {
	for _, name := range slices.Sorted(maps.Keys(in.nested)) {
		if !slices.Contains(known, name) {
			b.add(path, "", "Member must have no part named %q", shorten(name))
		}
	}
}

// wrapped is what the elements of a list or a map are numbered below: "member" or
// "entry".
func (b *formBinder) wrapped(in *form, path, name, want string) *form {
	b.only(in, path, name)
	items := in.nested[name]
	if items != nil {
		b.single(items, path, want)
	}
	return items
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
