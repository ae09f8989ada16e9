package cli

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/latchwork/latchwork/internal/clock"
	"github.com/latchwork/latchwork/internal/server"
	"github.com/latchwork/latchwork/internal/sigv4"
)

type curlCommand struct {
	URL       string   `arg:"" help:"URL of the service: its DNS name or custom domain name, and the listener's port if it is not that of the scheme."`
	Method    string   `short:"X" help:"Method. GET, or POST with -d."`
	Headers   []string `short:"H" name:"header" sep:"none" help:"NAME: VALUE; may be given several times."`
	Data      *string  `short:"d" help:"Body; @FILE reads it from a file."`
	Include   bool     `short:"i" help:"Print the response's status and headers too."`
	Profile   string   `help:"Profile of the AWS configuration to sign with."`
	Role      string   `help:"Role to take and sign with, by name or ARN."`
	Session   string   `default:"latchwork-curl" help:"Name of the role session."`
	Anonymous bool     `help:"Do not sign."`
	Region    string   `help:"Region to sign for. That of the DNS name, or the server's."`
	DataDir   string   `default:"./latchwork-data" help:"Data directory of the server."`
}

func (c *curlCommand) Run(e *env) error {
	target, err := url.Parse(c.URL)
	if err != nil || target.Host == "" || target.Scheme != "http" && target.Scheme != "https" {
		return &exitError{ExitUsage, fmt.Sprintf("%q is not a URL such as http://rates.example.com/rates", c.URL)}
	}
	info, err := server.ReadInfo(c.DataDir)
	if err != nil {
		return err
	}
	r, err := c.request(e.ctx, target)
	if err != nil {
		return err
	}
	if !c.Anonymous {
		if err := c.sign(e.ctx, info, r); err != nil {
			return err
		}
	}
	transport, err := c.transport(info, target)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.Do(r)
	if err != nil {
		return fmt.Errorf("the gateway does not answer: %w", err)
	}
	defer answer.Body.Close()
	if c.Include {
		fmt.Fprintf(e.stdout, "%s %s\n", answer.Proto, answer.Status)
		_ = answer.Header.Write(e.stdout)
		fmt.Fprintln(e.stdout)
	}
	if _, err := io.Copy(e.stdout, answer.Body); err != nil {
		return err
	}
	id := answer.Header.Get("X-Latchwork-Request-Id")
	fmt.Fprintf(e.stderr, "\n%s, request %s\n", answer.Status, id)
	switch {
	case answer.StatusCode == http.StatusForbidden:
		fmt.Fprintf(e.stderr, "why: latchwork explain %s\n", id)
		return &exitError{code: ExitDenied}
	case answer.StatusCode >= 400:
		return &exitError{code: ExitFailure}
	}
	return nil
}

func (c *curlCommand) request(ctx context.Context, target *url.URL) (*http.Request, error) {
	var body []byte
	method := c.Method
	if c.Data != nil {
		body = []byte(*c.Data)
		if path, ok := strings.CutPrefix(*c.Data, "@"); ok {
			var err error
			if body, err = os.ReadFile(path); err != nil {
				return nil, err
			}
		}
		if method == "" {
			method = http.MethodPost
		}
	}
	if method == "" {
		method = http.MethodGet
	}
	r, err := http.NewRequestWithContext(ctx, method, target.String(), bytes.NewReader(body))
	if err != nil {
		return nil, &exitError{ExitUsage, err.Error()}
	}
	for _, h := range c.Headers {
		name, value, ok := strings.Cut(h, ":")
		if !ok {
			return nil, &exitError{ExitUsage, fmt.Sprintf("header %q is not NAME: VALUE", h)}
		}
		if strings.EqualFold(name, "host") {
			r.Host = strings.TrimSpace(value)
			continue
		}
		r.Header.Add(name, strings.TrimSpace(value))
	}
	return r, nil
}

// sign signs as VPC Lattice demands: the header that says that the payload is not
// signed is there, and signed.
func (c *curlCommand) sign(ctx context.Context, info *server.Info, r *http.Request) error {
	credentials, err := callerCredentials(ctx, c.Profile, c.DataDir, "")
	if err != nil {
		return err
	}
	if c.Role != "" {
		if credentials, err = newClient(info, credentials).assume(ctx, c.Role, c.Session); err != nil {
			return err
		}
	}
	region := c.Region
	if region == "" {
		region = info.Region
		if _, rest, ok := strings.Cut(r.URL.Hostname(), ".vpc-lattice-svcs."); ok {
			region, _, _ = strings.Cut(rest, ".")
		}
	}
	r.Header.Set("X-Amz-Content-Sha256", sigv4.UnsignedPayload)
	return v4.NewSigner().SignHTTP(ctx, credentials, r, sigv4.UnsignedPayload, "vpc-lattice-svcs", region, clock.System())
}

// transport connects to the gateway's socket for the URL's port, whatever the name
// resolves to.
func (c *curlCommand) transport(info *server.Info, target *url.URL) (*http.Transport, error) {
	address, err := socket(info, target)
	if err != nil {
		return nil, err
	}
	t := &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, network, address)
		},
		DisableCompression: true,
	}
	if target.Scheme == "https" {
		pool, err := readPool(info.CA)
		if err != nil {
			return nil, fmt.Errorf("reading the installation's certificate authority: %w", err)
		}
		t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool, ServerName: target.Hostname()}
		t.ForceAttemptHTTP2 = true
	}
	return t, nil
}

// socket is the address of the gateway for a URL's port: a listener's port, or a
// socket's own.
func socket(info *server.Info, target *url.URL) (string, error) {
	port := int64(80)
	if target.Scheme == "https" {
		port = 443
	}
	if text := target.Port(); text != "" {
		n, err := strconv.ParseUint(text, 10, 16)
		if err != nil {
			return "", &exitError{ExitUsage, fmt.Sprintf("port %q is not a number", text)}
		}
		port = int64(n)
	}
	if address, ok := info.Gateway[port]; ok {
		return address, nil
	}
	host := "127.0.0.1"
	for _, address := range info.Gateway {
		h, _, err := net.SplitHostPort(address)
		if err == nil {
			host = h
		}
	}
	return net.JoinHostPort(host, strconv.FormatInt(port, 10)), nil
}
