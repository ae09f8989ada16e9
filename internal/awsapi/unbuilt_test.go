package awsapi

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

//lint:file-ignore U1000 what is embedded here is looked at by reflection only

type Unimplemented struct{}

func (Unimplemented) A() {}
func (Unimplemented) B() {}
func (Unimplemented) C() {}

type (
	partB        struct{}
	pointerPartB struct{}
	hasAll       interface {
		A()
		B()
		C()
	}

	nothing    struct{ Unimplemented }
	ownPointer struct{ Unimplemented }
	ownValue   struct{ Unimplemented }
	withPart   struct {
		base
		partB
	}
	withPointer struct {
		base
		*pointerPartB
	}
	base     struct{ Unimplemented }
	shadowed struct {
		Unimplemented
		deeper
	}
	deeper         struct{ partB }
	inherits       struct{ *ownPointer }
	interfaceField struct{ hasAll }
	selfReference  struct {
		*selfReference
		Unimplemented
	}
	named struct {
		part partB
		Unimplemented
	}
)

func (partB) B()         {}
func (*pointerPartB) B() {}
func (*ownPointer) A()   {}
func (ownValue) A()      {}

func TestUnbuilt(t *testing.T) {
	for _, test := range []struct {
		name    string
		handler any
		want    []string
	}{
		{"Unimplemented itself", Unimplemented{}, []string{"A", "B", "C"}},
		{"nothing declared", nothing{}, []string{"A", "B", "C"}},
		{"nothing declared, by pointer", &nothing{}, []string{"A", "B", "C"}},
		{"declared on the pointer", &ownPointer{}, []string{"B", "C"}},
		{"declared on the value", &ownValue{}, []string{"B", "C"}},
		{"declared on the value, by value", ownValue{}, []string{"B", "C"}},
		{"declared on a part", &withPart{}, []string{"A", "C"}},
		{"declared on a pointer part", &withPointer{}, []string{"A", "C"}},
		{"a deeper part does not count", &shadowed{}, []string{"A", "B", "C"}},
		{"inherited from a handler", &inherits{}, []string{"B", "C"}},
		{"any implementation of an interface", interfaceField{Unimplemented{}}, nil},
		{"a type that embeds itself", &selfReference{}, []string{"A", "B", "C"}},
		{"a part that is not embedded", &named{}, []string{"A", "B", "C"}},
		{"no method at all", struct{}{}, []string{"A", "B", "C"}},
		{"nil", nil, []string{"A", "B", "C"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := Binding{Handler: test.handler, Operations: []Operation{
				{Spec: Spec{Name: "A"}}, {Spec: Spec{Name: "B"}}, {Spec: Spec{Name: "C"}},
			}}
			if diff := cmp.Diff(test.want, b.Unbuilt()); diff != "" {
				t.Errorf("unbuilt (-want +got):\n%s", diff)
			}
		})
	}
}
