package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"unicode"

	"github.com/latchwork/latchwork/internal/gateway"
)

type explainCommand struct {
	ID     string `arg:"" help:"Request id, or its first digits, or last for the last request that was refused."`
	Output string `short:"o" enum:"text,json" default:"text" help:"text or json."`
	Expect string `enum:"allow,deny," default:"" help:"allow or deny: exit with 4 if it was the other."`
	apiFlags
}

// explain asks the server for the explanation of a request.
func explain(e *env, flags *apiFlags, id string) (*gateway.Explanation, error) {
	client, _, err := flags.client(e)
	if err != nil {
		return nil, err
	}
	var out struct {
		Explanation string `json:"explanation"`
	}
	err = client.rest(e.ctx, "latchwork", "GET", "/latchwork/requests/"+url.PathEscape(id), nil, &out)
	if err != nil {
		return nil, err
	}
	x := new(gateway.Explanation)
	return x, json.Unmarshal([]byte(out.Explanation), x)
}

func (c *explainCommand) Run(e *env) error {
	x, err := explain(e, &c.apiFlags, c.ID)
	if err != nil {
		return err
	}
	if c.Output == "json" {
		if err := e.json(x); err != nil {
			return err
		}
	} else {
		var text strings.Builder
		printExplanation(&text, x)
		fmt.Fprint(e.stdout, visible(text.String()))
	}
	allowed := x.Decision != nil && x.Decision.Allowed
	if c.Expect != "" && allowed != (c.Expect == "allow") {
		return &exitError{ExitDenied, fmt.Sprintf("expected %s, and it was not", c.Expect)}
	}
	return nil
}

func printExplanation(w io.Writer, x *gateway.Explanation) {
	line := func(name, format string, args ...any) {
		fmt.Fprintf(w, "%-10s %s\n", name, fmt.Sprintf(format, args...))
	}
	line("request", "%s %s%s on port %d, answered %d", x.Method, x.Host, x.Path, x.Port, x.Status)
	line("", "id %s, %s, revision %d", x.RequestID, x.Time.Format("2006-01-02T15:04:05.000Z"), x.Revision)
	if x.Caller.ARN == "" {
		line("caller", "%s from %s", x.Caller.Type, x.Caller.Address)
	} else {
		line("caller", "%s from %s", x.Caller.ARN, x.Caller.Address)
	}
	switch x.Signature.State {
	case "refused":
		line("signature", "REFUSED   %s", x.Signature.Error)
		if x.Signature.Diagnosis != nil {
			line("", "%s", x.Signature.Diagnosis.Summary())
			line("", "latchwork doctor sigv4 %s shows the canonical request and the string to sign", x.RequestID)
		}
	case "valid":
		line("signature", "VALID     key %s, scope %s", x.Signature.AccessKeyID, x.Signature.Scope)
	case "none":
		line("signature", "NONE      the request is not signed: an anonymous caller")
	default:
		line("signature", "NOT CHECKED")
	}
	if x.Service != "" {
		line("enters", "%s by %s, through %s", x.VPC, x.VPCEvidence, x.Network)
		line("resource", "%s", x.Resource)
	}
	if x.Note != "" {
		line("note", "%s", x.Note)
	}
	if x.Decision == nil {
		return
	}
	x.Decision.Print(w)
}

// visible shows control characters but line breaks: what clients send must not tell the
// terminal anything.
func visible(text string) string {
	var b strings.Builder
	for _, r := range strings.ToValidUTF8(text, "\ufffd") {
		if r != '\n' && unicode.IsControl(r) {
			quoted := strconv.QuoteRune(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func indent(text, with string) string {
	return with + strings.ReplaceAll(text, "\n", "\n"+with)
}
