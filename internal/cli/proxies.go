package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/latchwork/latchwork/internal/authz"
	"github.com/latchwork/latchwork/internal/server"
	"github.com/latchwork/latchwork/internal/xds"
)

// proxyQuery is what the commands take that ask for proxies.
type proxyQuery struct {
	Resource string `help:"Only those of this mesh endpoint." placeholder:"ARN"`
	apiFlags
}

// proxyList is what is known of proxies.
type proxyList struct {
	Connected []xds.Proxy   `json:"connected"`
	Refused   []xds.Attempt `json:"refused"`
}

func (q *proxyQuery) ask(e *env) (*proxyList, error) {
	client, _, err := q.client(e)
	if err != nil {
		return nil, err
	}
	return client.proxies(e.ctx, q.Resource)
}

// proxies lists those of a mesh endpoint, or all.
func (c *client) proxies(ctx context.Context, resource string) (*proxyList, error) {
	var out struct {
		Connected string `json:"connected"`
		Refused   string `json:"refused"`
	}
	if err := c.rest(ctx, "latchwork", "GET", "/latchwork/proxies", nil, &out); err != nil {
		return nil, err
	}
	list := &proxyList{}
	if err := json.Unmarshal([]byte(out.Connected), &list.Connected); err != nil {
		return nil, err
	}
	if err := json.Unmarshal([]byte(out.Refused), &list.Refused); err != nil {
		return nil, err
	}
	if resource != "" {
		list.Connected = slices.DeleteFunc(list.Connected, func(p xds.Proxy) bool { return p.Endpoint != resource })
		list.Refused = slices.DeleteFunc(list.Refused, func(a xds.Attempt) bool { return a.Endpoint != resource })
	}
	return list, nil
}

type proxiesCommand struct {
	proxyQuery
	Output string `short:"o" enum:"text,json" default:"text" help:"text or json."`
}

func (c *proxiesCommand) Run(e *env) error {
	list, err := c.ask(e)
	if err != nil {
		return err
	}
	if c.Output == "json" {
		return e.json(list)
	}
	if len(list.Connected) == 0 && len(list.Refused) == 0 {
		fmt.Fprintln(e.stderr, "no Envoy has come to this server")
		return nil
	}
	for i := range list.Connected {
		printProxy(e.stdout, &list.Connected[i])
	}
	for i := range list.Refused {
		printAttempt(e.stdout, &list.Refused[i])
	}
	return nil
}

func printProxy(w io.Writer, p *xds.Proxy) {
	line := func(name, format string, args ...any) {
		fmt.Fprintf(w, "  %-10s %s\n", name, fmt.Sprintf(format, args...))
	}
	fmt.Fprintln(w, p.Endpoint)
	protocol := "state of the world"
	if p.Incremental {
		protocol = "incremental"
	}
	line("connected", "since %s from %s, %s, %s", p.Since.Format(time.RFC3339), p.SourceIP, p.UserAgent, protocol)
	switch {
	case p.Authorized:
		line("authorized", "%s%s", p.Principal, allowedBy(p.Explanation))
	case p.Principal == "anonymous":
		line("warning", "not authorized, and not signed: proxy-authorization is off")
	default:
		line("warning", "not authorized: %s is served because the virtual node does not use TLS", p.Principal)
		if p.Explanation != nil {
			line("", "%s", p.Explanation.Text)
		}
	}
	switch {
	case p.InStep:
		line("in step", "revision %d", p.Revision)
	case p.Revision == 0:
		line("waiting", "nothing acknowledged yet, revision %d is current", p.Current)
	default:
		line("behind", "revision %d acknowledged, %d is current", p.Revision, p.Current)
	}
	for _, kind := range slices.Sorted(maps.Keys(p.Rejected)) {
		line("rejected", "%s: %s", kind[strings.LastIndexByte(kind, '.')+1:], p.Rejected[kind])
	}
	if p.Problem != "" {
		line("problem", "the endpoint cannot be translated, the Envoy keeps what it has: %s", p.Problem)
	}
}

// allowedBy names the statement that allows.
func allowedBy(x *authz.Explanation) string {
	if x == nil {
		return ""
	}
	for _, l := range x.Layers {
		for _, p := range l.Policies {
			if p.Verdict == "allow" {
				return ", by policy " + p.Name
			}
		}
	}
	return ""
}

func printAttempt(w io.Writer, a *xds.Attempt) {
	line := func(name, format string, args ...any) {
		fmt.Fprintf(w, "  %-10s %s\n", name, fmt.Sprintf(format, args...))
	}
	switch {
	case a.Endpoint != "":
		fmt.Fprintln(w, a.Endpoint)
	case a.NodeID != "":
		fmt.Fprintln(w, a.NodeID)
	default:
		fmt.Fprintln(w, "(an Envoy that was refused before it said what it stands for)")
	}
	line("refused", "%d, %s", a.Code, a.Text)
	line("", "%s, the last of %d at %s from %s", a.Principal, a.Times, a.Time.Format(time.RFC3339), a.SourceIP)
	if a.Explanation != nil {
		line("because", "%s", a.Explanation.Text)
	}
}

type waitCommand struct {
	proxyQuery
	Timeout time.Duration `default:"30s" help:"How long to wait."`
	Proxies int           `help:"Wait also until this many are connected." placeholder:"N"`
}

// waitStep is how often the server is asked.
const waitStep = 200 * time.Millisecond

func (c *waitCommand) Run(e *env) error {
	deadline := time.NewTimer(c.Timeout)
	defer deadline.Stop()
	ticker := time.NewTicker(waitStep)
	defer ticker.Stop()
	for {
		list, err := c.ask(e)
		if err != nil {
			return err
		}
		var behind []string
		for _, p := range list.Connected {
			if !p.InStep {
				behind = append(behind, p.Endpoint+" from "+p.SourceIP)
			}
		}
		if len(behind) == 0 && len(list.Connected) >= c.Proxies {
			fmt.Fprintln(e.stderr, "Envoys in step:", len(list.Connected))
			return nil
		}
		select {
		case <-ticker.C:
		case <-e.ctx.Done():
			return e.ctx.Err()
		case <-deadline.C:
			text := fmt.Sprintf("after %s %d Envoys are connected", c.Timeout, len(list.Connected))
			if len(behind) > 0 {
				text += fmt.Sprintf(", and %d have not acknowledged their configuration: %s; see latchwork proxies", len(behind), strings.Join(behind, ", "))
			} else {
				text += fmt.Sprintf(", expected %d", c.Proxies)
			}
			return &exitError{ExitFailure, text}
		}
	}
}

type caCommand struct {
	Mesh    bool   `help:"That of an account's meshes, which issues what AWS Certificate Manager did."`
	Account string `help:"With --mesh, the account. The default account's by default."`
	DataDir string `default:"./latchwork-data" help:"Data directory of the server."`
}

func (c *caCommand) Run(e *env) error {
	if c.Account != "" && !c.Mesh {
		return &exitError{ExitUsage, "--account is for --mesh: the installation's own authority is of no account"}
	}
	info, err := server.ReadInfo(c.DataDir)
	if err != nil {
		return err
	}
	file := info.CA
	if c.Mesh {
		file = server.MeshCAFile(c.DataDir, cmp.Or(c.Account, info.AccountID))
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	_, err = e.stdout.Write(text)
	return err
}
