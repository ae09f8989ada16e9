package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/latchwork/latchwork/internal/inbound"
	"github.com/latchwork/latchwork/internal/inbound/httpin"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/sigv4"
)

type doctorCommands struct {
	SigV4 doctorSigV4Command `cmd:"" name:"sigv4" help:"Tell why a signature is refused: what the server has computed, what the client has, how they differ, and the fix. Exit codes: 0 the signature is valid, 1 it is refused, 2 it cannot be told."`
}

type doctorSigV4Command struct {
	Request    string `type:"path" help:"Without a server: a request of HTTP/1.1 in a file, as it went over the wire: request line, headers, an empty line, the body." placeholder:"FILE"`
	At         string `help:"When the server got it, as 2026-11-25T12:00:00Z. By default when it was signed." placeholder:"TIME"`
	Service    string `help:"Signing name of the service that it was sent to, which decides the rules: vpc-lattice-svcs for requests to services, appmesh, vpc-lattice, iam, sts and so on." placeholder:"NAME"`
	Region     string `help:"Region that it must be signed for. By default any."`
	AccessKey  string `help:"Id of the access key." placeholder:"ID"`
	SecretFile string `type:"path" help:"File with the secret of the access key; a line break at its end is no part of it." placeholder:"FILE"`
	Scheme     string `enum:"http,https" default:"http" help:"http or https: what it was sent over."`
	Output     string `short:"o" enum:"text,json" default:"text" help:"text or json."`

	ID string `arg:"" optional:"" name:"request-id" help:"Request id, or its first digits, or last for the last request that was refused."`
	apiFlags
}

func (c *doctorSigV4Command) Run(e *env) error {
	diagnose := c.offline
	switch {
	case (c.ID == "") == (c.Request == ""):
		return &exitError{ExitUsage, "give the id of a request, or --request FILE"}
	case c.ID != "" && c.At+c.Service+c.Region+c.AccessKey+c.SecretFile != "":
		return &exitError{ExitUsage, "--at, --service, --region, --access-key and --secret-file are for --request: the server knows them of its own requests"}
	case c.Request != "" && (c.Service == "" || c.AccessKey == "" || c.SecretFile == ""):
		return &exitError{ExitUsage, "--request needs --service, --access-key and --secret-file"}
	case c.ID != "":
		diagnose = c.recorded
	}
	d, err := diagnose(e)
	if _, ok := errors.AsType[*exitError](err); err != nil && !ok {
		err = &exitError{ExitUsage, err.Error()} // 1 is for a signature that is refused
	}
	if err != nil {
		return err
	}
	if c.Output == "json" {
		if err := e.json(d); err != nil {
			return err
		}
	} else {
		var text strings.Builder
		printDiagnosis(&text, d)
		fmt.Fprint(e.stdout, visible(text.String()))
	}
	if !d.Valid {
		return &exitError{code: ExitFailure}
	}
	return nil
}

// recorded asks the server for the diagnosis of a request that it remembers.
func (c *doctorSigV4Command) recorded(e *env) (*sigv4.Diagnosis, error) {
	x, err := explain(e, &c.apiFlags, c.ID)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(e.stderr, "%s %s%s, answered %d, id %s\n", x.Method, x.Host, x.Path, x.Status, x.RequestID)
	if x.Signature.Diagnosis == nil {
		text := "the signature of this request was not looked at"
		if x.Signature.State == "none" {
			text = "this request is not signed: it was decided on as an anonymous caller's"
		}
		return nil, &exitError{ExitUsage, text + "; latchwork explain says more"}
	}
	return x.Signature.Diagnosis, nil
}

// offline diagnoses the request in a file.
func (c *doctorSigV4Command) offline(e *env) (*sigv4.Diagnosis, error) {
	text, err := os.ReadFile(c.Request)
	if err != nil {
		return nil, err
	}
	in, body, err := httpin.Read(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Request, err)
	}
	if c.Scheme == "https" {
		in.TLS = &inbound.TLS{}
	}
	want := c.expect(in, body)
	s, _ := sigv4.Parse(in)
	switch {
	case c.At != "":
		if want.Now, err = time.Parse(time.RFC3339, c.At); err != nil {
			return nil, fmt.Errorf("--at: %q is not a time such as 2026-11-25T12:00:00Z", c.At)
		}
	case s != nil:
		want.Now = s.Time
	}
	secret, err := os.ReadFile(c.SecretFile)
	if err != nil {
		return nil, err
	}
	secret = bytes.TrimRight(secret, "\r\n")
	if len(secret) == 0 {
		return nil, fmt.Errorf("%s holds no secret", c.SecretFile)
	}
	if s != nil && s.AccessKeyID != c.AccessKey {
		secret = nil // The secret of another key is none.
		fmt.Fprintf(e.stderr, "the request is signed with the key %.128q, and not with %s\n", s.AccessKeyID, c.AccessKey)
	}
	if want.DataPlane {
		if err := errors.Join(in.CheckHeaders(), inbound.CheckTarget(in.Target)); err != nil {
			fmt.Fprintf(e.stderr, "the gateway answers 400 before it looks at the signature: %v\n", err)
		}
	}
	d := sigv4.NewVerifier().Diagnose(in, sigv4.Secret(secret), want)
	return &d, nil
}

// expect is what the service demands of a signature, as the server's gateway,
// management service and APIs do.
func (c *doctorSigV4Command) expect(in *inbound.Request, body []byte) sigv4.Expect {
	want := sigv4.Expect{Service: c.Service, Region: c.Region, Skew: 5 * time.Minute}
	switch {
	case c.Service == "vpc-lattice-svcs":
		want.DataPlane = true
	case c.Service == model.MeshService && strings.HasPrefix(in.Path(), "/envoy.service.discovery."):
		want.Stream = true
	case c.Service == "iam" || c.Service == "sts" || c.Service == "ec2":
		want.Skew = 15 * time.Minute
	}
	want.Body = body
	return want
}

func printDiagnosis(w io.Writer, d *sigv4.Diagnosis) {
	if d.Valid {
		fmt.Fprintln(w, "VALID")
	} else {
		fmt.Fprintf(w, "REFUSED  %s: %s\n", d.Code, d.Text)
	}
	for _, difference := range d.Differences {
		fmt.Fprintf(w, "\n%s\n", difference.Part)
		for _, line := range []struct{ name, text string }{
			{"server", difference.Server}, {"client", difference.Client}, {"fix", difference.Fix},
		} {
			if line.text == "" {
				line.text = "(nothing)"
			}
			fmt.Fprintf(w, "  %-8s %s\n", line.name, strings.ReplaceAll(line.text, "\n", "\n           "))
		}
	}
	if d.Note != "" {
		fmt.Fprintf(w, "\n%s\n", d.Note)
	}
	for _, side := range []struct {
		name     string
		computed *sigv4.Computed
	}{{"server", d.Server}, {"client", d.Client}} {
		if side.computed != nil {
			fmt.Fprintf(w, "\n%s's canonical request\n%s\n", side.name, indent(side.computed.CanonicalRequest, "  "))
			fmt.Fprintf(w, "\n%s's string to sign\n%s\n", side.name, indent(side.computed.StringToSign, "  "))
		}
	}
}
