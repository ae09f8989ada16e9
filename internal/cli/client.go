package cli

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/config"

	"github.com/latchwork/latchwork/internal/clock"
	"github.com/latchwork/latchwork/internal/server"
)

// client calls the server's API as any other client would.
type client struct {
	url, region string
	credentials aws.Credentials
	http        *http.Client
}

func newClient(info *server.Info, c aws.Credentials) *client {
	return &client{url: info.APIURL, region: info.Region, credentials: c, http: &http.Client{Timeout: 30 * time.Second}}
}

// apiFlags are those of commands that call the API.
type apiFlags struct {
	Profile string `help:"Profile of the AWS configuration to call with. Without one, and without keys in the environment, the data directory's administrator calls."`
	DataDir string `default:"./latchwork-data" help:"Data directory of the server."`
}

func (f *apiFlags) client(e *env) (*client, *server.Info, error) {
	info, err := server.ReadInfo(f.DataDir)
	if err != nil {
		return nil, nil, err
	}
	credentials, err := callerCredentials(e.ctx, f.Profile, f.DataDir, "")
	if err != nil {
		return nil, nil, err
	}
	return newClient(info, credentials), info, nil
}

func adminCredentials(a *server.Admin) aws.Credentials {
	return aws.Credentials{AccessKeyID: a.AccessKeyID, SecretAccessKey: a.SecretAccessKey}
}

// credentialSettings are the variables that say whose credentials the SDK takes.
// Source: AWS SDKs and Tools Reference Guide, environment variables; the SDK for Go
// reads AWS_ACCESS_KEY and AWS_DEFAULT_PROFILE too.
var credentialSettings = []string{
	"AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY", "AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE",
	"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI",
}

// callerCredentials are those of a profile, or of the environment, or of the data
// directory's administrator where nobody says whose.
func callerCredentials(ctx context.Context, profile, dataDir, account string) (aws.Credentials, error) {
	set := func(name string) bool { return os.Getenv(name) != "" }
	if profile == "" && !slices.ContainsFunc(credentialSettings, set) {
		_, admin, err := installation(dataDir, account)
		if err != nil {
			return aws.Credentials{}, err
		}
		return adminCredentials(admin), nil
	}
	var options []func(*config.LoadOptions) error
	if profile != "" {
		options = append(options, config.WithSharedConfigProfile(profile))
	}
	cfg, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return aws.Credentials{}, fmt.Errorf("reading the credentials: %w", err)
	}
	c, err := cfg.Credentials.Retrieve(ctx)
	if err != nil {
		return c, fmt.Errorf("reading the credentials: %w", err)
	}
	return c, nil
}

// readPool reads the certificates of authorities.
func readPool(path string) (*x509.CertPool, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s holds no certificate in PEM", path)
	}
	return pool, nil
}

// apiError is an error answer of the API.
type apiError struct {
	status        int
	Code, Message string
}

func (e *apiError) Error() string { return e.Code + ": " + e.Message }

func (c *client) do(ctx context.Context, service, method, path, contentType string, body []byte) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, c.url+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	sum := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(ctx, c.credentials, r, hex.EncodeToString(sum[:]), service, c.region, clock.System()); err != nil {
		return nil, err
	}
	answer, err := c.http.Do(r)
	if err != nil {
		return nil, fmt.Errorf("the server does not answer: %w", err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode >= 300 {
		return nil, parseError(answer, text)
	}
	return text, nil
}

func parseError(answer *http.Response, text []byte) error {
	e := &apiError{status: answer.StatusCode, Code: answer.Header.Get("X-Amzn-Errortype")}
	var fromJSON struct{ Message string }
	var fromXML struct {
		Error struct{ Code, Message string }
	}
	switch {
	case json.Unmarshal(text, &fromJSON) == nil && fromJSON.Message != "":
		e.Message = fromJSON.Message
	case xml.Unmarshal(text, &fromXML) == nil && fromXML.Error.Code != "":
		e.Code, e.Message = fromXML.Error.Code, fromXML.Error.Message
	default:
		e.Message = strings.TrimSpace(string(text))
	}
	return e
}

// rest calls a REST operation.
func (c *client) rest(ctx context.Context, service, method, path string, in, out any) error {
	var body []byte
	contentType := ""
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return err
		}
		contentType = "application/json"
	}
	text, err := c.do(ctx, service, method, path, contentType, body)
	if err != nil || out == nil {
		return err
	}
	return json.Unmarshal(text, out)
}

// query calls a query operation of IAM or STS.
func (c *client) query(ctx context.Context, service, version, action string, parameters map[string]string, out any) error {
	form := url.Values{"Action": {action}, "Version": {version}}
	for k, v := range parameters {
		form.Set(k, v)
	}
	text, err := c.do(ctx, service, http.MethodPost, "/", "application/x-www-form-urlencoded; charset=utf-8", []byte(form.Encode()))
	if err != nil || out == nil {
		return err
	}
	return xml.Unmarshal(text, out)
}

// API versions of the query protocols.
const (
	versionIAM = "2010-05-08"
	versionSTS = "2011-06-15"
)

// assume takes a role of the caller's own account, or of any by its ARN.
func (c *client) assume(ctx context.Context, role, session string) (aws.Credentials, error) {
	if !strings.HasPrefix(role, "arn:") {
		var who struct {
			Account string `xml:"GetCallerIdentityResult>Account"`
		}
		if err := c.query(ctx, "sts", versionSTS, "GetCallerIdentity", nil, &who); err != nil {
			return aws.Credentials{}, err
		}
		role = "arn:aws:iam::" + who.Account + ":role/" + role
	}
	var got struct {
		Credentials struct {
			AccessKeyID     string `xml:"AccessKeyId"`
			SecretAccessKey string
			SessionToken    string
		} `xml:"AssumeRoleResult>Credentials"`
	}
	err := c.query(ctx, "sts", versionSTS, "AssumeRole", map[string]string{"RoleArn": role, "RoleSessionName": session}, &got)
	if err != nil {
		return aws.Credentials{}, fmt.Errorf("taking the role %s: %w", role, err)
	}
	return aws.Credentials{
		AccessKeyID: got.Credentials.AccessKeyID, SecretAccessKey: got.Credentials.SecretAccessKey,
		SessionToken: got.Credentials.SessionToken,
	}, nil
}
