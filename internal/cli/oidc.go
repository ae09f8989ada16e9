package cli

import (
	"fmt"
	"io"
	"net/http"
	"os"
)

type oidcCommands struct {
	SetKeys setKeysCommand `cmd:"" help:"Give an identity provider the keys of its issuer: kubectl get --raw /openid/v1/jwks prints those of a Kubernetes cluster."`
}

type setKeysCommand struct {
	Issuer string `required:"" help:"URL of the issuer, as aws iam create-open-id-connect-provider was given it." placeholder:"URL"`
	JWKS   string `required:"" name:"jwks" help:"File of the JSON Web Key Set, - for standard input, or none to ask the issuer again." placeholder:"FILE"`
	apiFlags
}

func (c *setKeysCommand) Run(e *env) error {
	var keys []byte
	var err error
	switch c.JWKS {
	case "none":
	case "-":
		keys, err = io.ReadAll(os.Stdin)
	default:
		keys, err = os.ReadFile(c.JWKS)
	}
	if err != nil {
		return err
	}
	client, _, err := c.client(e)
	if err != nil {
		return err
	}
	var out struct {
		ARN string `json:"arn"`
	}
	in := map[string]string{"issuer": c.Issuer, "keySet": string(keys)}
	if err := client.rest(e.ctx, "latchwork", http.MethodPut, "/latchwork/oidc-provider-keys", in, &out); err != nil {
		return err
	}
	if c.JWKS == "none" {
		fmt.Fprintf(e.stderr, "%s asks its issuer for keys\n", out.ARN)
		return nil
	}
	fmt.Fprintf(e.stderr, "%s verifies tokens with these keys; tokens with other keys are refused until you set new ones\n", out.ARN)
	return nil
}
