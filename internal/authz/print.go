package authz

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/latchwork/latchwork/internal/policy"
)

// Print writes the explanation for people: what each layer, policy and statement said,
// and the decision.
func (x *Explanation) Print(w io.Writer) {
	for i := range x.Layers {
		x.Layers[i].print(w)
	}
	if x.Allowed {
		fmt.Fprintln(w, "decision   ALLOWED")
		return
	}
	fmt.Fprintf(w, "decision   DENIED    %s, by the %s layer\n", x.Cause, x.Stage)
	fmt.Fprintf(w, "           %s\n", x.Text)
}

func (l *LayerResult) print(w io.Writer) {
	verdict := map[string]string{
		policy.Allow.String(): "ALLOWS", policy.ExplicitDeny.String(): "DENIES", policy.NoMatch.String(): "NO ALLOW", "off": "OFF",
	}[l.Verdict]
	line := fmt.Sprintf("%-10s %-9s %s", l.Stage, verdict, l.Note)
	if l.Decides {
		line += "   <-- this layer denies"
	}
	fmt.Fprintln(w, strings.TrimRight(line, " "))
	for _, p := range l.Policies {
		name := p.Name
		if p.ARN != "" {
			name = p.ARN
		} else if p.Owner != "" {
			name += " of " + p.Owner
		}
		fmt.Fprintf(w, "%-10s   %s: %s\n", "", name, p.Verdict)
		if p.Problem != "" {
			fmt.Fprintf(w, "%-10s     the policy cannot be evaluated, so it denies: %s\n", "", p.Problem)
		}
		for _, s := range p.Statements {
			printStatement(w, &s)
		}
	}
}

func printStatement(w io.Writer, s *policy.StatementResult) {
	name := fmt.Sprintf("statement %d", s.Index+1)
	if s.Sid != "" {
		name += " " + shown(s.Sid)
	}
	matched := "matches"
	if !s.Matched {
		matched = "does not match"
	}
	fmt.Fprintf(w, "%-10s     %s (%s) %s\n", "", name, s.Effect, matched)
	for _, el := range s.Elements {
		// Of a statement that does not match, only what failed is of interest.
		if !s.Matched && el.Matched {
			continue
		}
		sign := "+"
		if !el.Matched {
			sign = "-"
		}
		what := el.Element
		if el.Element == "Condition" {
			what = "Condition " + el.Operator + " " + shown(el.Key)
		}
		received := "absent"
		if el.Present {
			received = listed(el.Received)
		}
		fmt.Fprintf(w, "%-10s       %s %s: wanted %s, received %s\n", "", sign, what, listed(el.Wanted), received)
	}
}

// listed shows values.
func listed(values []string) string {
	if len(values) == 0 {
		return "no value"
	}
	all := make([]string, len(values))
	for i, v := range values {
		all[i] = shown(v)
	}
	return strings.Join(all, ", ")
}

// shown is a text as it is shown. An empty one is not nothing, and what a client sent
// must neither begin a line of the explanation nor tell the terminal anything.
func shown(text string) string {
	if text == "" || !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
		return strconv.Quote(text)
	}
	return text
}
