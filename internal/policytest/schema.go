package policytest

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
)

// SchemaID is where the schema is published.
const SchemaID = "https://raw.githubusercontent.com/latchwork/latchwork/main/docs/policy-tests.schema.json"

// Schema is the JSON Schema of the format, made from its types.
func Schema() []byte {
	s := &schema{defs: map[string]any{}}
	root := s.of(reflect.TypeFor[File]()).(map[string]any)
	root["$schema"], root["$id"] = "https://json-schema.org/draft/2020-12/schema", SchemaID
	root["title"], root["required"], root["$defs"] = "Policy tests of Latchwork", []string{"cases"}, s.defs
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	_ = e.Encode(root) // maps of texts always have JSON
	return b.Bytes()
}

type schema struct{ defs map[string]any }

type object = map[string]any

// scalar is a text that need not have quotes.
var scalar = object{"type": []string{"string", "number", "boolean"}}

func (s *schema) of(t reflect.Type) any {
	switch t {
	case reflect.TypeFor[Policy]():
		return s.named("policy", func() any {
			return object{
				"description": "A policy document, {file: PATH} relative to this file, a name of the policies here, or the ARN of a managed policy.",
				"type":        []string{"object", "string"},
			}
		})
	case reflect.TypeFor[Values]():
		return s.named("values", func() any { return object{"anyOf": []any{scalar, object{"type": "array", "items": scalar}}} })
	case reflect.TypeFor[Query]():
		return object{"anyOf": []any{object{"type": "string"}, object{"type": "object", "additionalProperties": s.of(reflect.TypeFor[Values]())}}}
	case reflect.TypeFor[Want]():
		return s.named("want", func() any { return object{"anyOf": []any{object{"enum": []string{allow, deny}}, s.fields(t)}} })
	case reflect.TypeFor[rawCase]():
		return s.of(reflect.TypeFor[Case]())
	}
	if of, ok := reflect.New(t).Interface().(reference); ok {
		if of.defines() {
			return object{"type": "object", "additionalProperties": s.of(of.to())}
		}
		return object{"anyOf": []any{object{"type": "string"}, s.of(of.to())}}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return s.of(t.Elem())
	case reflect.Struct:
		if t == reflect.TypeFor[File]() {
			return s.fields(t)
		}
		return s.named(strings.ToLower(t.Name()), func() any { return s.fields(t) })
	case reflect.Map:
		return object{"type": "object", "additionalProperties": s.of(t.Elem())}
	case reflect.Slice:
		return object{"type": "array", "items": s.of(t.Elem())}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int64:
		return object{"type": "integer"}
	}
	return scalar
}

// reference is Definitions or a Ref: it defines things of a type, or refers to one.
type reference interface {
	to() reflect.Type
	defines() bool
}

func (*Definitions[T]) to() reflect.Type { return reflect.TypeFor[T]() }

func (*Definitions[T]) defines() bool { return true }

func (*Ref[T]) to() reflect.Type { return reflect.TypeFor[T]() }

func (*Ref[T]) defines() bool { return false }

// named puts a schema among the definitions and refers to it.
func (s *schema) named(name string, of func() any) any {
	if _, ok := s.defs[name]; !ok {
		s.defs[name] = nil
		s.defs[name] = of()
	}
	return object{"$ref": "#/$defs/" + name}
}

func (s *schema) fields(t reflect.Type) any {
	properties := object{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, ok := f.Tag.Lookup("json")
		if !ok {
			continue
		}
		of := s.of(f.Type)
		if enum := f.Tag.Get("enum"); enum != "" {
			of = object{"enum": strings.Split(enum, ",")}
		}
		if name == "stage" {
			of = object{"enum": stages}
		}
		made := object{}
		for k, v := range of.(object) {
			made[k] = v
		}
		made["description"] = f.Tag.Get("doc")
		properties[name] = made
	}
	return object{"type": "object", "additionalProperties": false, "properties": properties}
}
