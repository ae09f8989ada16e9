package cli

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/latchwork/latchwork/internal/policy"
)

type policyCommands struct {
	Check policyCheckCommand `cmd:"" help:"Check a policy and warn of what was probably not meant."`
}

type policyCheckCommand struct {
	File   string `arg:"" help:"Policy file, or - for standard input."`
	Kind   string `enum:"auth,identity,boundary,session,trust" default:"auth" help:"What the policy is for: auth (a VPC Lattice auth policy), identity, boundary, session or trust."`
	Output string `short:"o" enum:"text,json" default:"text" help:"text or json."`
}

type checkResult struct {
	Valid    bool             `json:"valid"`
	Error    string           `json:"error,omitzero"`
	Line     int              `json:"line,omitzero"`
	Column   int              `json:"column,omitzero"`
	Warnings []policy.Warning `json:"warnings"`
}

func (c *policyCheckCommand) Run(e *env) error {
	var text []byte
	var err error
	if c.File == "-" {
		text, err = io.ReadAll(os.Stdin)
	} else {
		text, err = os.ReadFile(c.File)
	}
	if err != nil {
		return err
	}
	kind := map[string]policy.Kind{
		"auth": policy.AuthPolicy, "identity": policy.Identity, "boundary": policy.Boundary,
		"session": policy.Session, "trust": policy.Trust,
	}[c.Kind]
	result := checkResult{Valid: true, Warnings: []policy.Warning{}}
	d, err := policy.Parse(kind, string(text))
	var bad *policy.Error
	if errors.As(err, &bad) {
		result = checkResult{Error: bad.Explained(), Line: bad.Line, Column: bad.Column, Warnings: []policy.Warning{}}
	} else if err != nil {
		return err
	} else {
		result.Warnings = append(result.Warnings, policy.Lint(d)...)
		if offset, found := policy.FindNewline(string(text)); found && kind == policy.AuthPolicy {
			result.Warnings = append(result.Warnings, policy.Warning{
				Code: "newline", Line: 1, Column: offset + 1,
				Message: "an auth policy must not contain newlines: put-auth-policy refuses this file unless the server follows conformance: observed; tr -d '\\n' < FILE takes them out",
			})
		}
	}
	if c.Output == "json" {
		if err := e.json(result); err != nil {
			return err
		}
	} else {
		c.print(e, &result)
	}
	if !result.Valid {
		return &exitError{code: ExitInvalid}
	}
	return nil
}

func (c *policyCheckCommand) print(e *env, r *checkResult) {
	if !r.Valid {
		fmt.Fprintf(e.stdout, "%s:%d:%d: error: %s\n", c.File, r.Line, r.Column, r.Error)
	}
	for _, w := range r.Warnings {
		fmt.Fprintf(e.stdout, "%s:%d:%d: warning: %s [%s]\n", c.File, w.Line, w.Column, w.Message, w.Code)
	}
	if r.Valid {
		fmt.Fprintf(e.stderr, "%s is a valid %s policy with %d warnings\n", c.File, c.Kind, len(r.Warnings))
	}
}
