package policytest

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"
)

// Report is what became of all cases.
type Report struct {
	Cases   int      `json:"cases"`
	Failed  int      `json:"failed"`
	Results []Result `json:"results"`
	took    time.Duration
}

// NewReport counts results; took is how long they took.
func NewReport(results []Result, took time.Duration) *Report {
	r := &Report{Cases: len(results), Results: results, took: took}
	for i := range results {
		if !results[i].Passed {
			r.Failed++
		}
	}
	return r
}

// Text writes every difference, and whatever else has an explanation.
func (r *Report) Text(w io.Writer) {
	for i := range r.Results {
		if one := &r.Results[i]; one.Explanation != nil {
			word := "FAIL"
			if one.Passed {
				word = "ok  "
			}
			fmt.Fprintf(w, "%s %s:%d: %s\n", word, one.File, one.Line, one.Name)
			fmt.Fprint(w, indent(one.difference()))
			fmt.Fprintln(w)
		}
	}
}

// Summary is one line about all.
func (r *Report) Summary() string {
	cases := "cases"
	if r.Cases == 1 {
		cases = "case"
	}
	return fmt.Sprintf("%d %s, %d as wanted, %d not, in %s", r.Cases, cases, r.Cases-r.Failed, r.Failed, r.took.Round(time.Millisecond))
}

// difference tells what was wanted, what came, and why.
func (r *Result) difference() string {
	var b strings.Builder
	if r.Source != "" {
		fmt.Fprintf(&b, "source     %s\n", r.Source)
	}
	fmt.Fprintf(&b, "wanted     %s\ngot        %s\n", r.Want, r.Got)
	r.Explanation.Print(&b)
	return b.String()
}

func indent(text string) string {
	return "     " + strings.TrimSuffix(strings.ReplaceAll(text, "\n", "\n     "), "     ")
}

// JSON writes all results.
func (r *Report) JSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(r)
}

type junitSuites struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Time     string       `xml:"time,attr"`
	Suites   []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name    string        `xml:"name,attr"`
	Class   string        `xml:"classname,attr"`
	File    string        `xml:"file,attr"`
	Line    int           `xml:"line,attr"`
	Failure *junitFailure `xml:"failure"`
}

type junitFailure struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// JUnit writes all results as the XML that CI systems read: a test suite for each file.
func (r *Report) JUnit(w io.Writer) error {
	out := junitSuites{Tests: r.Cases, Failures: r.Failed, Time: fmt.Sprintf("%.3f", r.took.Seconds())}
	for i := range r.Results {
		one := &r.Results[i]
		if n := len(out.Suites); n == 0 || out.Suites[n-1].Name != one.File {
			out.Suites = append(out.Suites, junitSuite{Name: one.File})
		}
		suite := &out.Suites[len(out.Suites)-1]
		made := junitCase{Name: one.Name, Class: one.File, File: one.File, Line: one.Line}
		suite.Tests++
		if !one.Passed {
			suite.Failures++
			made.Failure = &junitFailure{Message: "wanted " + one.Want + "; got " + one.Got, Text: one.difference()}
		}
		suite.Cases = append(suite.Cases, made)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(out); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}
