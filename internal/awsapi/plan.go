package awsapi

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/latchwork/latchwork/internal/wire"
)

type kind uint8

const (
	kindString kind = iota + 1
	kindInt
	kindBool
	kindBytes
	kindTime
	kindStruct
	kindList
	kindMap
)

// plan is what the codecs know of one wire type. Plans are made once, when the
// API is put together, and never change.
type plan struct {
	typ  reflect.Type
	kind kind
	// elem is the plan of a list's elements or a map's values.
	elem   *plan
	fields []field
}

// field is one member of a structure.
type field struct {
	index int
	// name is the member's name on the wire, wherever it travels; goName is the
	// name of the Go field.
	name, goName string
	shape        string
	required     bool
	uri          bool
	query        bool
	payload      bool
	token        bool
	plan         *plan
}

// body tells whether the member travels in the body.
func (f *field) body() bool { return !f.uri && !f.query }

func (p *plan) field(goName string) *field {
	for i := range p.fields {
		if p.fields[i].goName == goName {
			return &p.fields[i]
		}
	}
	return nil
}

// plans holds the plans made so far, so that recursive types come to an end.
type plans map[reflect.Type]*plan

var (
	timestampType = reflect.TypeFor[wire.Timestamp]()
	epochType     = reflect.TypeFor[wire.EpochSeconds]()
)

func (ps plans) of(t reflect.Type) (*plan, error) {
	if p, ok := ps[t]; ok {
		return p, nil
	}
	p := &plan{typ: t}
	ps[t] = p
	var err error
	switch {
	case t == timestampType || t == epochType:
		p.kind = kindTime
	case t.Kind() == reflect.String:
		p.kind = kindString
	case t.Kind() == reflect.Int64:
		p.kind = kindInt
	case t.Kind() == reflect.Bool:
		p.kind = kindBool
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8:
		p.kind = kindBytes
	case t.Kind() == reflect.Slice:
		p.kind = kindList
		p.elem, err = ps.of(t.Elem())
	case t.Kind() == reflect.Map && t.Key().Kind() == reflect.String:
		p.kind = kindMap
		p.elem, err = ps.of(t.Elem())
	case t.Kind() == reflect.Struct:
		p.kind = kindStruct
		err = ps.fields(p)
	default:
		err = fmt.Errorf("the codecs know no type %s", t)
	}
	return p, err
}

func (ps plans) fields(p *plan) error {
	for i := range p.typ.NumField() {
		sf := p.typ.Field(i)
		f := field{index: i, goName: sf.Name}
		f.name, _, _ = strings.Cut(sf.Tag.Get("json"), ",")
		shape, rest, _ := strings.Cut(sf.Tag.Get("aws"), ",")
		f.shape = shape
		for option := range strings.SplitSeq(rest, ",") {
			word, value, _ := strings.Cut(option, "=")
			switch word {
			case "":
			case "required":
				f.required = true
			case "payload":
				f.payload = true
			case "token":
				f.token = true
			case "uri":
				f.uri, f.name = true, value
			case "query":
				f.query, f.name = true, value
			default:
				return fmt.Errorf("%s.%s: the codecs do not know %q", p.typ, sf.Name, option)
			}
		}
		t := sf.Type
		if t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		var err error
		if f.plan, err = ps.of(t); err != nil {
			return fmt.Errorf("%s.%s: %w", p.typ, sf.Name, err)
		}
		p.fields = append(p.fields, f)
	}
	return nil
}

// get returns a member's value and whether it is there.
func (f *field) get(v reflect.Value) (reflect.Value, bool) {
	v = v.Field(f.index)
	if v.Kind() == reflect.Pointer {
		return v.Elem(), !v.IsNil()
	}
	return v, !v.IsNil()
}

// make puts an empty value into the member and returns it for filling.
func (f *field) make(v reflect.Value) reflect.Value {
	v = v.Field(f.index)
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return v.Elem()
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 0, 0))
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
	}
	return v
}

// setScalar reads the text of a path segment, a query value or a form value.
// What it returns says what a value must be, to follow "must be".
func (p *plan) setScalar(v reflect.Value, text string) (want string) {
	switch p.kind {
	case kindString:
		if !utf8.ValidString(text) {
			return "valid UTF-8"
		}
		v.SetString(text)
	case kindInt:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return "an integer"
		}
		v.SetInt(n)
	case kindBool:
		switch text {
		case "true":
			v.SetBool(true)
		case "false":
			v.SetBool(false)
		default:
			return "true or false"
		}
	case kindBytes:
		raw, err := decodeBase64(text)
		if err != nil {
			return "base64"
		}
		v.SetBytes(raw)
	case kindTime:
		var t wire.Timestamp
		if p.typ != timestampType || t.UnmarshalText([]byte(text)) != nil {
			return "an ISO 8601 timestamp"
		}
		v.Set(reflect.ValueOf(t))
	default:
		return "a single value"
	}
	return ""
}
