package cli

import (
	"fmt"
	"net/url"
	"strings"
)

type meshCommands struct {
	Share   shareCommand   `cmd:"" help:"Let other accounts put resources of their own into a mesh."`
	Unshare unshareCommand `cmd:"" help:"End it. What they have put there stays, for you to delete."`
}

// sharing is what both commands take.
type sharing struct {
	Mesh   string   `required:"" help:"Name of the mesh."`
	With   []string `required:"" help:"Accounts, separated by commas." placeholder:"ACCOUNT,..."`
	Region string   `help:"Region of the mesh. The server's by default."`
	Output string   `short:"o" enum:"text,json" default:"text" help:"text or json."`
	apiFlags
}

type (
	shareCommand   struct{ sharing }
	unshareCommand struct{ sharing }
)

func (c *shareCommand) Run(e *env) error   { return c.call(e, "share") }
func (c *unshareCommand) Run(e *env) error { return c.call(e, "unshare") }

func (c *sharing) call(e *env, operation string) error {
	client, _, err := c.client(e)
	if err != nil {
		return err
	}
	if c.Region != "" {
		client.region = c.Region
	}
	var out struct {
		SharedWith []string `json:"sharedWith"`
	}
	path := "/latchwork/meshes/" + url.PathEscape(c.Mesh) + "/" + operation
	err = client.rest(e.ctx, "latchwork", "PUT", path, map[string]any{"accounts": c.With}, &out)
	if err != nil {
		return err
	}
	if c.Output == "json" {
		return e.json(out)
	}
	if len(out.SharedWith) == 0 {
		fmt.Fprintf(e.stdout, "mesh %s is shared with nobody\n", c.Mesh)
		return nil
	}
	fmt.Fprintf(e.stdout, "mesh %s is shared with %s\n", c.Mesh, strings.Join(out.SharedWith, ", "))
	return nil
}
