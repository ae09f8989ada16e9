package awsapi

import (
	"encoding/base64"
	"encoding/json/jsontext"
	"encoding/json/v2"
	"errors"
	"net/url"
	"reflect"
	"strings"

	"github.com/latchwork/latchwork/internal/fault"
)

func decodeBase64(text string) ([]byte, error) { return base64.StdEncoding.DecodeString(text) }

// bindREST fills input (a pointer to the operation's request type) from the
// path's labels, the query and the body.
func (b *bound) bindREST(input reflect.Value, labels []string, rawQuery string, body []byte) *fault.Error {
	if err := b.bindBody(input, body); err != nil {
		return err
	}
	query, err := url.ParseQuery(rawQuery)
	if err != nil {
		return b.service.unparsable("", "the query string cannot be read: %s", strings.TrimPrefix(err.Error(), "invalid "))
	}
	v := input.Elem()
	for i := range b.in.fields {
		f := &b.in.fields[i]
		switch {
		case f.uri:
			for n, label := range b.labels {
				if label == f.name {
					if want := f.plan.setScalar(f.make(v), labels[n]); want != "" {
						return b.service.unparsable(f.name, "'%s' in the path must be %s", f.name, want)
					}
				}
			}
		case f.query:
			if err := b.bindQuery(f, v, query[f.name]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *bound) bindQuery(f *field, v reflect.Value, values []string) *fault.Error {
	if len(values) == 0 {
		return nil
	}
	if f.plan.kind != kindList {
		if len(values) > 1 {
			return b.service.Invalid(f.name, "the query parameter '%s' occurs %d times; it takes one value", f.name, len(values))
		}
		if want := f.plan.setScalar(f.make(v), values[0]); want != "" {
			return b.service.unparsable(f.name, "the query parameter '%s' must be %s", f.name, want)
		}
		return nil
	}
	list := f.make(v)
	for _, value := range values {
		elem := reflect.New(f.plan.elem.typ).Elem()
		if want := f.plan.elem.setScalar(elem, value); want != "" {
			return b.service.unparsable(f.name, "the query parameter '%s' must be %s", f.name, want)
		}
		list.Set(reflect.Append(list, elem))
	}
	return nil
}

// bindBody reads the JSON body. Operations without members in the body take any
// body, as AWS does; unknown members are ignored, because newer SDKs send members
// that the model lacks. Names are compared exactly and may not repeat.
func (b *bound) bindBody(input reflect.Value, body []byte) *fault.Error {
	hasBody := false
	for i := range b.in.fields {
		hasBody = hasBody || b.in.fields[i].body()
	}
	if !hasBody || len(body) == 0 {
		return nil
	}
	err := json.Unmarshal(body, input.Interface())
	if err == nil {
		return nil
	}
	var syntactic *jsontext.SyntacticError
	if errors.As(err, &syntactic) {
		return b.service.unparsable("", "the request body is not valid JSON at byte %d: %s",
			syntactic.ByteOffset, strings.TrimPrefix(syntactic.Err.Error(), "jsontext: "))
	}
	var semantic *json.SemanticError
	if errors.As(err, &semantic) {
		member := memberPath(semantic.JSONPointer)
		if member == "" {
			return b.service.unparsable("", "the request body must be a JSON object")
		}
		return b.service.unparsable(member, "'%s' must be %s", member, wanted(semantic))
	}
	// An unexpected end of the body is an I/O error to the decoder.
	return b.service.unparsable("", "the request body is not valid JSON: %s", strings.TrimPrefix(err.Error(), "jsontext: "))
}

// memberPath writes a JSON pointer as the paths of validation messages.
func memberPath(p jsontext.Pointer) string {
	var b strings.Builder
	for token := range p.Tokens() {
		switch {
		case token != "" && strings.Trim(token, "0123456789") == "":
			b.WriteString("[" + token + "]")
		case b.Len() > 0:
			b.WriteString("." + shorten(token))
		default:
			b.WriteString(shorten(token))
		}
	}
	return b.String()
}

// wanted says what a member must be, in words of JSON rather than of Go.
func wanted(e *json.SemanticError) string {
	t := e.GoType
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == nil:
		return "of another type"
	case t == timestampType:
		return "an ISO 8601 timestamp"
	case t == epochType:
		return "a number of seconds since 1970"
	}
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Int64:
		return "an integer"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return "a base64 string"
		}
		return "a list"
	default:
		return "an object"
	}
}

// encodeREST writes an output's body: the payload member alone where there is
// one, everything otherwise.
func (b *bound) encodeREST(output reflect.Value) ([]byte, error) {
	v := output.Elem()
	b.out.complete(v, b.op.Pages != nil)
	for i := range b.out.fields {
		f := &b.out.fields[i]
		if f.payload {
			member, ok := f.get(v)
			if !ok {
				return []byte("{}"), nil
			}
			return json.Marshal(member.Interface(), json.Deterministic(true))
		}
	}
	return json.Marshal(output.Interface(), json.Deterministic(true))
}

// complete makes lists that an answer must have present where a handler left
// them nil: SDKs of dynamic languages look them up without asking.
func (p *plan) complete(v reflect.Value, all bool) {
	for i := range p.fields {
		f := &p.fields[i]
		member, ok := f.get(v)
		switch {
		case f.plan.kind == kindList && !ok && (f.required || all):
			f.make(v)
		case f.plan.kind == kindStruct && ok:
			f.plan.complete(member, false)
		case f.plan.kind == kindList && ok && f.plan.elem.kind == kindStruct:
			for j := range member.Len() {
				f.plan.elem.complete(member.Index(j), false)
			}
		}
	}
}
