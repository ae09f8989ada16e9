// Package cli holds the commands. Those that need a server talk to it over its
// API, with credentials, as any other client does.
package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"

	"github.com/alecthomas/kong"
)

// Exit codes; they are part of the interface.
const (
	ExitOK      = 0
	ExitFailure = 1
	ExitUsage   = 2
	ExitInvalid = 3 // policy check: a policy is not valid
	ExitDenied  = 4 // curl, explain --expect: the request was denied
)

// exitError is an error with an exit code of its own. An empty text is not
// printed.
type exitError struct {
	code int
	text string
}

func (e *exitError) Error() string { return e.text }

// env is what commands work with.
type env struct {
	ctx    context.Context
	stdout io.Writer
	stderr io.Writer
}

// print writes data for people or, with json, for programs.
func (e *env) json(v any) error {
	enc := json.NewEncoder(e.stdout)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

type commands struct {
	Server  serverCommand   `cmd:"" help:"Run the server."`
	Dev     devCommand      `cmd:"" help:"Run the server with a small demonstration: a backend, a service network, a service, a role and three policies."`
	Env     envCommand      `cmd:"" help:"Print the environment that makes aws and the SDKs use the server: eval \"$(latchwork env)\"."`
	Curl    curlCommand     `cmd:"" help:"Send a signed request to a service, through the gateway, whatever its name resolves to."`
	Explain explainCommand  `cmd:"" help:"Tell why a request was answered as it was, by the id in its response's header x-amzn-requestid."`
	Doctor  doctorCommands  `cmd:"" help:"Find out what is wrong with a request that was refused."`
	Mesh    meshCommands    `cmd:"" help:"Share meshes with other accounts."`
	Envoy   envoyCommands   `cmd:"" help:"Connect an Envoy to the mesh."`
	Agent   agentCommand    `cmd:"" help:"Sign for an Envoy of any version: give it its configuration on a local socket."`
	Confirm confirmCommands `cmd:"" help:"Confirm that what hosts an Envoy may read the configuration of its mesh endpoint, or tell why not. Exit codes: 0 allowed, 1 denied, 2 cannot be determined."`
	Policy  policyCommands  `cmd:"" help:"Check policies."`
	Test    testCommand     `cmd:"" help:"Decide cases that are stated in files, without a server: test policies in CI. Exit codes: 0 all as wanted, 1 a difference, 2 the files are wrong."`
	Proxies proxiesCommand  `cmd:"" help:"List the Envoys that are connected and those that were refused, and why."`
	Wait    waitCommand     `cmd:"" help:"Wait until every Envoy that is connected has acknowledged its newest configuration."`
	CA      caCommand       `cmd:"" name:"ca" help:"Print the certificate of the installation's own certificate authority."`
	Binding bindingCommands `cmd:"" help:"Which workload gets which role, and how it gets its credentials."`
	OIDC    oidcCommands    `cmd:"" name:"oidc" help:"Keys of OpenID Connect issuers that the server cannot reach."`
	Version versionCommand  `cmd:"" help:"Print the version."`
}

const description = `Latchwork gives you VPC Lattice with auth policies, IAM and STS on your own machines. The AWS CLI and the SDKs are its clients.

Start with:  latchwork dev

Exit codes: 0 success, 1 failure, 2 wrong usage, 3 a policy is not valid, 4 a request was denied.`

// Main runs a command line and returns its exit code.
func Main(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var c commands
	exited := -1
	parser, err := kong.New(&c, kong.Name("latchwork"), kong.Description(description),
		kong.Writers(stdout, stderr), kong.Exit(func(code int) { exited = code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}), kong.UsageOnError())
	if err != nil {
		fmt.Fprintln(stderr, "latchwork:", err)
		return ExitFailure
	}
	parsed, err := parser.Parse(args)
	if exited >= 0 {
		return exited // --help
	}
	if err != nil {
		fmt.Fprintf(stderr, "latchwork: %v\nRun latchwork --help for the commands.\n", err)
		return ExitUsage
	}
	err = parsed.Run(&env{ctx: ctx, stdout: stdout, stderr: stderr})
	var exit *exitError
	switch {
	case err == nil:
		return ExitOK
	case errors.As(err, &exit):
		if exit.text != "" {
			fmt.Fprintln(stderr, "latchwork:", exit.text)
		}
		return exit.code
	default:
		fmt.Fprintln(stderr, "latchwork:", err)
		return ExitFailure
	}
}

type versionCommand struct {
	Output string `short:"o" enum:"text,json" default:"text" help:"text or json."`
}

func (c *versionCommand) Run(e *env) error {
	version, revision := "development", ""
	if info, ok := debug.ReadBuildInfo(); ok {
		if v := info.Main.Version; v != "" && v != "(devel)" {
			version = v
		}
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				revision = s.Value
			}
		}
	}
	if c.Output == "json" {
		return e.json(map[string]string{"version": version, "revision": revision, "go": runtime.Version()})
	}
	fmt.Fprintf(e.stdout, "latchwork %s %s (%s)\n", version, revision, runtime.Version())
	return nil
}
