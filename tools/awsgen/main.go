// Command awsgen generates the packages under internal/wire from the interface
// models in models/, corrected by patches.json: types, Handler interface,
// operation tables, constraint tables and error tables; and the list of the
// operations' names that package policy has.
//
// With -matrix it writes docs/operations.md instead: which operations this
// source tree really implements, found by type-checking the service packages.
//
// Its output depends on nothing but its input, so a plain comparison finds
// drift; the tests do that.
package main

//go:generate go run . -root ../.. -matrix

import (
	"bytes"
	"embed"
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

//go:embed models/*.json patches.json
var inputs embed.FS

// target says where one model goes.
type target struct {
	model   string // file name in models/, without .json
	pkg     string // package under internal/wire
	service string // package under internal/service that implements it
	title   string // what people call it
	// percentEncoded names the string shape whose values AWS percent-encodes in
	// responses. Only IAM has one; botocore undoes it for exactly this shape.
	percentEncoded string
}

var targets = []target{
	{model: "vpc-lattice", pkg: "vpclattice", service: "lattice", title: "VPC Lattice"},
	{model: "appmesh", pkg: "appmesh", service: "mesh", title: "App Mesh"},
	{model: "iam", pkg: "iam", service: "iam", title: "IAM", percentEncoded: "policyDocumentType"},
	{model: "sts", pkg: "sts", service: "sts", title: "STS"},
	{model: "ec2-vpc", pkg: "ec2", service: "ec2", title: "EC2"},
	{model: "servicediscovery", pkg: "servicediscovery", service: "cloudmap", title: "Cloud Map"},
}

func main() {
	root := flag.String("root", ".", "root of the source tree")
	only := flag.String("package", "", "generate only this package under internal/wire")
	matrix := flag.Bool("matrix", false, "write docs/operations.md instead of the packages")
	flag.Parse()
	if err := run(*root, *only, *matrix); err != nil {
		fmt.Fprintln(os.Stderr, "awsgen:", err)
		os.Exit(1)
	}
}

func run(root, only string, matrix bool) error {
	var files map[string][]byte
	var err error
	if matrix {
		files, err = generateMatrix(root)
	} else {
		files, err = generate(only)
	}
	if err != nil {
		return err
	}
	for name, content := range files {
		path := filepath.Join(root, name)
		if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, content) {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// generate returns the content of every generated file by its path from the
// root; only, where not empty, restricts it to one package.
func generate(only string) (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, t := range targets {
		if only != "" && only != t.pkg {
			continue
		}
		m, err := loadModel(t.model)
		if err != nil {
			return nil, err
		}
		g := newGenerator(t, m)
		if err := g.emit(files); err != nil {
			return nil, fmt.Errorf("%s: %w", t.model, err)
		}
	}
	if only == "" {
		actions, err := generateActions()
		if err != nil {
			return nil, err
		}
		files[actionsFile] = actions
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("no package is called %q", only)
	}
	return files, nil
}
