package main

import (
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"testing"
)

// TestMethodsSeesPromotion type-checks handlers of every make: a method counts
// if some type of the service declares it, however deep it is embedded.
func TestMethodsSeesPromotion(t *testing.T) {
	const wireSource = `package wire
type Handler interface { A(); B(); C(); D() }
type Unimplemented struct{}
func (Unimplemented) A() {}
func (Unimplemented) B() {}
func (Unimplemented) C() {}
func (Unimplemented) D() {}`
	const serviceSource = `package service
import "wire"
type base struct { wire.Unimplemented }
type part struct{}
func (part) B() {}
type Service struct { base; *other; part }
type other struct{}
func (*other) C() {}
func (s *Service) A() {}
type helper struct{}
func (helper) D() {}`
	fset := token.NewFileSet()
	check := func(path, source string, imp types.Importer) *types.Package {
		t.Helper()
		file, err := parser.ParseFile(fset, path+".go", source, 0)
		if err != nil {
			t.Fatal(err)
		}
		conf := types.Config{Importer: imp}
		p, err := conf.Check(path, fset, []*ast.File{file}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	wire := check("wire", wireSource, importer.Default())
	service := check("service", serviceSource, importerFunc(func(string) (*types.Package, error) { return wire, nil }))
	built := map[string]bool{}
	if err := methods(service, wire, built); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"A": true, "B": true, "C": true, "D": false} {
		if built[name] != want {
			t.Errorf("built[%s] = %v, want %v", name, built[name], want)
		}
	}
}

type importerFunc func(string) (*types.Package, error)

func (f importerFunc) Import(path string) (*types.Package, error) { return f(path) }
