package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/latchwork/latchwork/internal/policy"
)

type policyCommands struct {
	Check policyCheckCommand `cmd:"" help:"Check policies and tell what was probably not meant. Exit codes: 0 all are valid, 3 one is not, or with --strict there is a finding."`
}

type policyCheckCommand struct {
	Files  []string `arg:"" help:"Policy files; folders, of which all files named *.json are checked; or - for standard input."`
	Kind   string   `enum:"auth,identity,boundary,session,trust,resource,service-control" default:"auth" help:"What the policies are for: auth (VPC Lattice auth policies), identity, boundary, session, trust, resource or service-control."`
	Strict bool     `help:"Exit with 3 if there is any finding."`
	Output string   `short:"o" enum:"text,json" default:"text" help:"text or json."`
}

// checkedFile is what came of one file.
type checkedFile struct {
	File  string `json:"file"`
	Kind  string `json:"kind"`
	Valid bool   `json:"valid"`
	Error string `json:"error,omitzero"`
	// Line and Column are those of the error.
	Line     int              `json:"line,omitzero"`
	Column   int              `json:"column,omitzero"`
	Findings []policy.Finding `json:"findings"`
}

var policyKinds = map[string]policy.Kind{
	"auth": policy.AuthPolicy, "identity": policy.Identity, "boundary": policy.Boundary, "session": policy.Session,
	"trust": policy.Trust, "resource": policy.Resource, "service-control": policy.ServiceControl,
}

func (c *policyCheckCommand) Run(e *env) error {
	files, err := policyFiles(c.Files)
	if err != nil {
		return err
	}
	results := []checkedFile{}
	failed := false
	for _, file := range files {
		result, err := c.check(file)
		if err != nil {
			return err
		}
		failed = failed || !result.Valid || c.Strict && len(result.Findings) > 0
		results = append(results, *result)
	}
	if c.Output == "json" {
		if err := e.json(results); err != nil {
			return err
		}
	} else {
		for i := range results {
			results[i].print(e)
		}
	}
	if failed {
		return &exitError{code: ExitInvalid}
	}
	return nil
}

// policyFiles are the files that are named, and those in the folders that are.
func policyFiles(names []string) ([]string, error) {
	var out []string
	for _, name := range names {
		if info, err := os.Stat(name); name == "-" || err == nil && !info.IsDir() {
			out = append(out, name)
			continue
		} else if err != nil {
			return nil, err
		}
		found := len(out)
		err := filepath.WalkDir(name, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && !entry.IsDir() && strings.HasSuffix(path, ".json") {
				out = append(out, path)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		if len(out) == found {
			return nil, fmt.Errorf("in %s there is no file named *.json", name)
		}
	}
	return out, nil
}

func (c *policyCheckCommand) check(file string) (*checkedFile, error) {
	var text []byte
	var err error
	if file == "-" {
		text, err = io.ReadAll(os.Stdin)
	} else {
		text, err = os.ReadFile(file)
	}
	if err != nil {
		return nil, err
	}
	result := &checkedFile{File: file, Kind: c.Kind, Findings: []policy.Finding{}}
	d, err := policy.Parse(policyKinds[c.Kind], string(text))
	if bad, ok := errors.AsType[*policy.Error](err); ok {
		result.Error, result.Line, result.Column = bad.Explained(), bad.Line, bad.Column
		return result, nil
	}
	result.Valid = true
	result.Findings = append(result.Findings, policy.LintFile(d)...)
	return result, nil
}

func (r *checkedFile) print(e *env) {
	if !r.Valid {
		fmt.Fprintf(e.stdout, "%s:%d:%d: error: %s\n", r.File, r.Line, r.Column, r.Error)
		return
	}
	for _, f := range r.Findings {
		fmt.Fprintf(e.stdout, "%s:%d:%d: %s [%s]\n    fix: %s\n", r.File, f.Line, f.Column, f.Message, f.Code, f.Fix)
	}
	fmt.Fprintf(e.stderr, "%s is a valid %s policy; findings: %d\n", r.File, r.Kind, len(r.Findings))
}
