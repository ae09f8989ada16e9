package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/latchwork/latchwork/internal/server"
)

// serverFlags are the settings that have flags; all of them are in the
// configuration file too. Flags that are not given do not touch what the file says.
type serverFlags struct {
	Config                   string   `help:"Configuration file (YAML). Flags win over it." placeholder:"FILE"`
	DataDir                  *string  `help:"Directory of the embedded store, keys and logs. Default ./latchwork-data."`
	APIAddr                  *string  `name:"api-addr" help:"Where all AWS APIs are served. Default 127.0.0.1:4000."`
	APITLSAddr               *string  `name:"api-tls-addr" help:"Where all AWS APIs are served with TLS, under AWS's own host names. Not served by default."`
	GatewayAddr              *string  `help:"IP addresses of the gateway, separated by commas. Default 127.0.0.1."`
	GatewayPorts             *string  `help:"SOCKET=LISTENER,...: which socket serves which listener port. Default 8080=80,8443=443."`
	AdminAddr                *string  `help:"Where health, readiness and metrics are served. Default 127.0.0.1:4001."`
	ContainerCredentialsAddr *string  `help:"Where tasks get credentials, as from the agent of ECS. Not served by default."`
	IMDSAddr                 *string  `name:"imds-addr" help:"Where instances get credentials, as from the metadata service of EC2. Not served by default."`
	PodIdentityAddr          *string  `help:"Where pods get credentials, as from the Pod Identity agent of EKS. Not served by default."`
	IMDSTokens               *string  `name:"imds-tokens" help:"required or optional: whether instances must ask with a session token. Default required."`
	EMSAddr                  *string  `name:"ems-addr" help:"Where Envoys get the configuration of App Mesh, or off. Default 127.0.0.1:4443."`
	EMSHostnames             []string `name:"ems-hostnames" help:"Names that Envoys know that address by, which they sign and check in the certificate."`
	ProxyAuthorization       *string  `help:"Which Envoys need a permission: tls-and-gateways, required or off. Default tls-and-gateways."`
	AccountID                *string  `name:"account-id" help:"Default account. Default 123456789012."`
	Region                   *string  `help:"Region that latchwork env prints. Default us-west-2."`
	Conformance              *string  `help:"documented (the user guide) or observed (what AWS was seen to do). Default documented."`
	KeyFile                  *string  `help:"File of the key that encrypts secrets in the store. Default DATA-DIR.key."`
	AccessLog                *string  `help:"Access log: a file, - for standard output, or off. Default DATA-DIR/access.log."`
	AuditLog                 *string  `help:"Log of API calls: a file, - or off. Default DATA-DIR/audit.log."`
	LogLevel                 *string  `help:"debug, info, warn or error. Default info."`
	MaxStaleness             *string  `help:"How long the gateway answers after the store was lost; 0 for ever. Default 0."`
	TargetCAFile             *string  `name:"target-ca-file" help:"Check the certificates of HTTPS targets against these."`

	EtcdEndpoints    *string `help:"Use this etcd cluster in place of the embedded one."`
	EtcdPrefix       *string `help:"Prefix of all keys in etcd. Default latchwork/."`
	EtcdCAFile       *string `name:"etcd-ca-file" help:"Certificate authorities of the etcd cluster."`
	EtcdCertFile     *string `help:"Client certificate for the etcd cluster."`
	EtcdKeyFile      *string `help:"Key of the client certificate."`
	EtcdUsername     *string `help:"User name for the etcd cluster."`
	EtcdPasswordFile *string `help:"File of the password for the etcd cluster."`
}

func (f *serverFlags) config() (server.Config, error) {
	c := server.Defaults()
	if f.Config != "" {
		if err := c.LoadFile(f.Config); err != nil {
			return c, err
		}
	}
	for _, set := range []struct {
		to   *string
		from *string
	}{
		{&c.DataDir, f.DataDir},
		{&c.APIAddr, f.APIAddr},
		{&c.APITLSAddr, f.APITLSAddr},
		{&c.GatewayAddr, f.GatewayAddr},
		{&c.GatewayPorts, f.GatewayPorts},
		{&c.AdminAddr, f.AdminAddr},
		{&c.ContainerCredentialsAddr, f.ContainerCredentialsAddr},
		{&c.IMDSAddr, f.IMDSAddr},
		{&c.PodIdentityAddr, f.PodIdentityAddr},
		{&c.IMDSTokens, f.IMDSTokens},
		{&c.EMSAddr, f.EMSAddr},
		{&c.ProxyAuthorization, f.ProxyAuthorization},
		{&c.AccountID, f.AccountID},
		{&c.Region, f.Region},
		{&c.Conformance, f.Conformance},
		{&c.KeyFile, f.KeyFile},
		{&c.AccessLog, f.AccessLog},
		{&c.AuditLog, f.AuditLog},
		{&c.LogLevel, f.LogLevel},
		{&c.MaxStaleness, f.MaxStaleness},
		{&c.TargetCAFile, f.TargetCAFile},
		{&c.EtcdEndpoints, f.EtcdEndpoints},
		{&c.EtcdPrefix, f.EtcdPrefix},
		{&c.EtcdCAFile, f.EtcdCAFile},
		{&c.EtcdCertFile, f.EtcdCertFile},
		{&c.EtcdKeyFile, f.EtcdKeyFile},
		{&c.EtcdUsername, f.EtcdUsername},
		{&c.EtcdPasswordFile, f.EtcdPasswordFile},
	} {
		if set.from != nil {
			*set.to = *set.from
		}
	}
	if f.EMSHostnames != nil {
		c.EMSHostnames = f.EMSHostnames
	}
	if err := c.Check(); err != nil {
		return c, &exitError{ExitUsage, "the configuration is not valid:\n  " + strings.ReplaceAll(err.Error(), "\n", "\n  ")}
	}
	return c, nil
}

type serverCommand struct {
	serverFlags
	CheckConfig bool `help:"Check the configuration and exit."`
}

func (c *serverCommand) Run(e *env) error {
	config, err := c.config()
	if err != nil {
		return usage(err)
	}
	if c.CheckConfig {
		fmt.Fprintln(e.stderr, "the configuration is valid")
		return nil
	}
	return server.Run(e.ctx, config, e.stderr, nil)
}

// usage makes an error of the configuration one of usage.
func usage(err error) error {
	var exit *exitError
	if errors.As(err, &exit) {
		return err
	}
	return &exitError{ExitUsage, err.Error()}
}

type envCommand struct {
	DataDir string `default:"./latchwork-data" help:"Data directory of the server."`
	Account string `help:"Account whose administrator to be; the default account if none is named."`
}

func (c *envCommand) Run(e *env) error {
	info, admin, err := installation(c.DataDir, c.Account)
	if err != nil {
		return err
	}
	printEnv(e.stdout, info, admin)
	return nil
}

func installation(dataDir, account string) (*server.Info, *server.Admin, error) {
	info, err := server.ReadInfo(dataDir)
	if err != nil {
		return nil, nil, err
	}
	if account == "" {
		account = info.AccountID
	}
	admin, err := server.ReadAdmin(dataDir, account)
	return info, admin, err
}

func printEnv(w io.Writer, info *server.Info, admin *server.Admin) {
	for _, v := range [][2]string{
		{"AWS_ENDPOINT_URL", info.APIURL},
		// CLI v1 and boto3 read the first, the SDKs for JavaScript and Java the second.
		{"AWS_DEFAULT_REGION", info.Region},
		{"AWS_REGION", info.Region},
		{"AWS_ACCESS_KEY_ID", admin.AccessKeyID},
		{"AWS_SECRET_ACCESS_KEY", admin.SecretAccessKey},
	} {
		fmt.Fprintf(w, "export %s='%s'\n", v[0], v[1])
	}
	// Left over from elsewhere they would win over the keys, or be sent with them.
	fmt.Fprintln(w, "unset AWS_SESSION_TOKEN AWS_PROFILE")
}
