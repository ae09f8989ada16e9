//go:build conformance

package conformance

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestSignersPage: docs/signers.md is what the tables and the signers' code say, which
// TestSignerMatrix and TestSDKs hold the clients against. UPDATE=1 writes it.
func TestSignersPage(t *testing.T) {
	page := signersPage(t)
	const file = "../docs/signers.md"
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(file, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != page {
		t.Errorf("docs/signers.md is not what the tests say: run this test with UPDATE=1 (%v)", err)
	}
}

// TestSignersAreQuoted: what is shown is what is installed, and the Go that is shown is
// the Go that runs.
func TestSignersAreQuoted(t *testing.T) {
	var pinned strings.Builder
	for _, file := range []string{"../tools/clients/install.sh", "../tools/clients/package.json", "../go.mod"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		pinned.Write(text)
	}
	source, err := os.ReadFile("signers_clients_test.go")
	if err != nil {
		t.Fatal(err)
	}
	var ran []string
	for line := range strings.Lines(string(source)) {
		ran = append(ran, strings.TrimSpace(line))
	}
	pins := map[string]string{}
	for _, s := range signers {
		pins[s.name] = s.pin
		if s.language() != "go" {
			continue
		}
		for line := range strings.Lines(s.unsigned + "\n" + s.sign + "\n" + s.presign) {
			if line = strings.TrimSpace(line); !slices.Contains(ran, line) {
				t.Errorf("%s: no line of the test is %s", s.name, line)
			}
		}
	}
	for _, c := range sdks {
		pins[c.title] = c.pin
	}
	for name, pin := range pins {
		if !strings.Contains(pinned.String(), pin) {
			t.Errorf("%s: nothing installs %s", name, pin)
		}
	}
}

// language is that of a signer's code.
func (s signer) language() string {
	switch s.send {
	case "python", "pycurl":
		return "python"
	case "go", "smithy-go":
		return "go"
	case "curl", "latchwork":
		return "sh"
	}
	return "js"
}

const pageBegin = `# Signers

What signers sign, held against the gateway and the API. This page is written by the tests that run each of them
(` + "`UPDATE=1`" + `), and a cell that is not as it says here fails them. What must be signed, and why a signature is refused, is in
[signing](signing.md): ` + "`latchwork doctor sigv4 last`" + ` names the reason.

## Requests to a service

Each is told that the payload is not signed (` + "`x-amz-content-sha256: UNSIGNED-PAYLOAD`" + `), but for the rows that end in "as the signer
comes". The credentials are a role's session, whose token is signed. The target has received what is marked as accepted, byte for byte, and
nothing of what is refused.

`

const pageAPI = `
## Calls of the API, signed by hand

The same signers; the payload is signed, with its hash.

`

const pageSDK = `
## CLIs and SDKs

`

const pageHow = `
## How to sign with each

The code is what the tests run. In Python ` + "`request`" + ` is an ` + "`AWSRequest`" + ` of botocore; in JavaScript it is what
` + "`HttpRequest`" + ` of the SDK has (method, protocol, hostname, path, query, headers with ` + "`host`" + `, body), and ` + "`headers`" + ` are those of
the request; in Go ` + "`r`" + ` is an ` + "`*http.Request`" + `. With a presigned link the header that says that the payload is not signed must be sent too.
`

func signersPage(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	used := map[string]bool{}
	b.WriteString(pageBegin)
	pageTable(&b, readTable(t, signerTable, signerNames()), signerNames(), probes, used)
	b.WriteString(pageAPI)
	pageTable(&b, readTable(t, signerAPITable, signerNames()), signerNames(), apiProbes, used)
	b.WriteString(pageSDK)
	calls := make([]probe, len(sdkCalls))
	for i, call := range sdkCalls {
		calls[i] = probe{name: call.name, title: call.title}
	}
	pageTable(&b, readTable(t, sdkTable, sdkNames()), sdkNames(), calls, used)
	b.WriteString("\n")
	for _, c := range sdks {
		fmt.Fprintf(&b, "- `%s` is the %s (`%s`).%s\n", c.name, c.title, c.pin, strings.TrimRight(" "+c.note, " "))
	}
	b.WriteString("\n## What the words mean\n\n| In the tables | |\n|---|---|\n")
	words := slices.SortedFunc(mapKeys(outcomes), func(a, b string) int {
		return cmp.Or(cmp.Compare(outcomes[a].code, outcomes[b].code), cmp.Compare(outcomes[a].mark, outcomes[b].mark))
	})
	for _, word := range words {
		o := outcomes[word]
		if !used[word] {
			t.Errorf("no cell is %s", word)
		}
		why := o.why
		if o.code != "" {
			why = fmt.Sprintf("refused, 403 `%s: %s`: %s", o.code, o.text, o.why)
		}
		fmt.Fprintf(&b, "| %s | %s |\n", o.mark, why)
	}
	b.WriteString(pageHow)
	for _, s := range signers {
		fmt.Fprintf(&b, "\n### `%s`: %s\n\n", s.name, s.title)
		if s.pin != "" {
			fmt.Fprintf(&b, "Tested: `%s`\n\n", s.pin)
		}
		end := "\n"
		if s.language() == "sh" {
			end = " "
		}
		code := strings.Join(s.code(true, false), end)
		if s.language() == "sh" {
			code += " URL"
		}
		fmt.Fprintf(&b, "```%s\n%s\n```\n", s.language(), code)
		if s.presign != "" {
			fmt.Fprintf(&b, "\nPresigned, instead of what follows the first line:\n\n```%s\n%s\n```\n", s.language(), s.presign)
		}
		for i, note := range s.notes {
			if i == 0 {
				b.WriteString("\n")
			}
			fmt.Fprintf(&b, "- %s\n", note)
		}
	}
	return b.String()
}

func pageTable(b *strings.Builder, table map[string]map[string]string, columns []string, rows []probe, used map[string]bool) {
	columns = slices.DeleteFunc(columns, func(column string) bool {
		return !slices.ContainsFunc(rows, func(row probe) bool { return table[row.name][column] != "-" })
	})
	fmt.Fprintf(b, "| | %s |\n|---|%s\n", strings.Join(columns, " | "), strings.Repeat("---|", len(columns)))
	for _, row := range rows {
		fmt.Fprintf(b, "| %s |", row.title)
		for _, column := range columns {
			word := table[row.name][column]
			used[word] = true
			fmt.Fprintf(b, " %s |", outcomes[word].mark)
		}
		b.WriteString("\n")
	}
}
