package cli

import (
	"fmt"
	"regexp"

	"github.com/latchwork/latchwork/internal/clock"
	"github.com/latchwork/latchwork/internal/policytest"
)

type testCommand struct {
	Paths   []string `arg:"" optional:"" name:"path" help:"Files of cases, or directories of them."`
	Match   string   `name:"run" placeholder:"REGEXP" help:"Only the cases whose names match."`
	Explain bool     `help:"Explain every case, not only those that are not as wanted."`
	Output  string   `short:"o" enum:"text,json,junit" default:"text" help:"text, json or junit."`
	Schema  bool     `help:"Print the JSON Schema of the files."`
}

func (c *testCommand) Run(e *env) error {
	if c.Schema {
		_, err := e.stdout.Write(policytest.Schema())
		return err
	}
	if len(c.Paths) == 0 {
		return &exitError{ExitUsage, "name files of cases, or directories of them"}
	}
	only, err := regexp.Compile(c.Match)
	if err != nil {
		return &exitError{ExitUsage, "--run: " + err.Error()}
	}
	began := clock.System()
	tests, err := policytest.Load(c.Paths)
	if err != nil {
		return &exitError{ExitUsage, err.Error()}
	}
	results := policytest.Run(tests, only, c.Explain)
	if len(results) == 0 {
		return &exitError{ExitUsage, "no case has a name that matches " + c.Match}
	}
	report := policytest.NewReport(results, clock.System().Sub(began))
	switch c.Output {
	case "json":
		err = report.JSON(e.stdout)
	case "junit":
		err = report.JUnit(e.stdout)
	default:
		report.Text(e.stdout)
	}
	if err != nil {
		return err
	}
	fmt.Fprintln(e.stderr, report.Summary())
	if report.Failed > 0 {
		return &exitError{code: ExitFailure}
	}
	return nil
}
