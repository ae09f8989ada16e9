package cli

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"text/tabwriter"

	"github.com/latchwork/latchwork/internal/server"
)

type bindingCommands struct {
	Create struct {
		ECS createTaskCommand     `cmd:"" name:"ecs" help:"Give a task a role, and print the environment that makes its SDKs and Envoy use it."`
		EC2 createInstanceCommand `cmd:"" name:"ec2" help:"Give an instance the role of an instance profile."`
		EKS createPodsCommand     `cmd:"" name:"eks" help:"Give the pods of a service account a role, by Pod Identity."`
	} `cmd:"" help:"Give a workload a role."`
	List   listBindingsCommand  `cmd:"" help:"List the bindings of the account and region."`
	Delete deleteBindingCommand `cmd:"" help:"Take a role away from a workload. Keys that it has are good until they expire."`
}

// binding is one as the API shows it.
type binding struct {
	ID                 string `json:"id"`
	ARN                string `json:"arn"`
	Kind               string `json:"kind"`
	Role               string `json:"role,omitzero"`
	InstanceProfile    string `json:"instanceProfile,omitzero"`
	Address            string `json:"address,omitzero"`
	Issuer             string `json:"issuer,omitzero"`
	Cluster            string `json:"cluster,omitzero"`
	Namespace          string `json:"namespace,omitzero"`
	ServiceAccount     string `json:"serviceAccount,omitzero"`
	CredentialID       string `json:"credentialId,omitzero"`
	AuthorizationToken string `json:"authorizationToken,omitzero"`
}

const bindingsPath = "/latchwork/bindings"

type createTaskCommand struct {
	Role     string `required:"" help:"ARN of the role. It must trust ecs-tasks.amazonaws.com." placeholder:"ARN"`
	Relative bool   `help:"For a workload that reaches the server at 169.254.170.2: no token, and the relative form of the URL."`
	Output   string `short:"o" enum:"text,json" default:"text" help:"text or json."`
	apiFlags
}

func (c *createTaskCommand) Run(e *env) error {
	in := map[string]any{"kind": "ecs-task", "role": c.Role}
	if c.Relative {
		in["relative"] = true
	}
	made, info, err := c.create(e, in, c.Output)
	if err != nil || c.Output == "json" {
		return err
	}
	fmt.Fprintln(e.stderr, "These are secrets, and are not shown again:")
	path := "/v2/credentials/" + made.CredentialID
	if c.Relative {
		export(e, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", path)
		return nil
	}
	at := info.ContainerCredentialsURL
	if at == "" {
		at = "http://127.0.0.1:4002"
		fmt.Fprintln(e.stderr, "The server serves no credentials to tasks yet: start it with --container-credentials-addr 127.0.0.1:4002")
	}
	export(e, "AWS_CONTAINER_CREDENTIALS_FULL_URI", at+path)
	export(e, "AWS_CONTAINER_AUTHORIZATION_TOKEN", made.AuthorizationToken)
	return nil
}

type createInstanceCommand struct {
	InstanceProfile string `required:"" help:"Name of the instance profile. Its role must trust ec2.amazonaws.com." placeholder:"NAME"`
	Address         string `help:"IP address that the instance asks from. Without one it is on the server's own machine, and there is one such." placeholder:"IP"`
	Output          string `short:"o" enum:"text,json" default:"text" help:"text or json."`
	apiFlags
}

func (c *createInstanceCommand) Run(e *env) error {
	in := map[string]any{"kind": "ec2-instance", "instanceProfile": c.InstanceProfile}
	if c.Address != "" {
		in["address"] = c.Address
	}
	_, info, err := c.create(e, in, c.Output)
	if err != nil || c.Output == "json" {
		return err
	}
	if c.Address != "" {
		fmt.Fprintln(e.stderr, "On the instance set AWS_EC2_METADATA_SERVICE_ENDPOINT to http:// and the server's --imds-addr, as the instance reaches it.")
		return nil
	}
	at := info.MetadataURL
	if at == "" {
		at = "http://127.0.0.1:4003"
		fmt.Fprintln(e.stderr, "The server serves no instance metadata yet: start it with --imds-addr 127.0.0.1:4003")
	}
	export(e, "AWS_EC2_METADATA_SERVICE_ENDPOINT", at)
	return nil
}

type createPodsCommand struct {
	Issuer         string `required:"" help:"URL of the cluster's issuer, as aws iam create-open-id-connect-provider was given it." placeholder:"URL"`
	Cluster        string `required:"" help:"Name of the cluster, for sessions and tags." placeholder:"NAME"`
	Namespace      string `required:"" help:"Namespace of the service account." placeholder:"NAME"`
	ServiceAccount string `required:"" help:"Name of the service account." placeholder:"NAME"`
	Role           string `required:"" help:"ARN of the role. It must trust pods.eks.amazonaws.com with sts:AssumeRole and sts:TagSession." placeholder:"ARN"`
	Output         string `short:"o" enum:"text,json" default:"text" help:"text or json."`
	apiFlags
}

func (c *createPodsCommand) Run(e *env) error {
	_, info, err := c.create(e, map[string]any{
		"kind": "eks-pod", "issuer": c.Issuer, "cluster": c.Cluster, "namespace": c.Namespace, "serviceAccount": c.ServiceAccount, "role": c.Role,
	}, c.Output)
	if err != nil || c.Output == "json" {
		return err
	}
	at := info.PodIdentityURL
	if at == "" {
		at = "http://127.0.0.1:4004"
		fmt.Fprintln(e.stderr, "The server serves no credentials to pods yet: start it with --pod-identity-addr 127.0.0.1:4004")
	}
	export(e, "AWS_CONTAINER_CREDENTIALS_FULL_URI", at+"/v1/credentials")
	export(e, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/var/run/secrets/pods.eks.amazonaws.com/serviceaccount/eks-pod-identity-token")
	return nil
}

// create makes a binding. What it prints on standard output is for eval; the id is
// for people.
func (f *apiFlags) create(e *env, in map[string]any, output string) (*binding, *server.Info, error) {
	client, info, err := f.client(e)
	if err != nil {
		return nil, nil, err
	}
	made := new(binding)
	if err := client.rest(e.ctx, "latchwork", http.MethodPost, bindingsPath, in, made); err != nil {
		return nil, nil, err
	}
	if output == "json" {
		return made, info, e.json(made)
	}
	fmt.Fprintf(e.stderr, "Binding %s is made.\n", made.ID)
	return made, info, nil
}

func export(e *env, name, value string) { fmt.Fprintf(e.stdout, "export %s='%s'\n", name, value) }

// bindings lists those of the account and region.
func (c *client) bindings(ctx context.Context) ([]binding, error) {
	var out struct {
		Bindings []binding `json:"bindings"`
	}
	err := c.rest(ctx, "latchwork", http.MethodGet, bindingsPath, nil, &out)
	return out.Bindings, err
}

type listBindingsCommand struct {
	Output string `short:"o" enum:"text,json" default:"text" help:"text or json."`
	apiFlags
}

func (c *listBindingsCommand) Run(e *env) error {
	client, _, err := c.client(e)
	if err != nil {
		return err
	}
	bindings, err := client.bindings(e.ctx)
	if err != nil {
		return err
	}
	if c.Output == "json" {
		return e.json(bindings)
	}
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tKIND\tROLE OR PROFILE\tWORKLOAD")
	for _, b := range bindings {
		workload := b.Address
		if b.Issuer != "" {
			workload = b.Namespace + "/" + b.ServiceAccount + " of " + b.Issuer
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", b.ID, b.Kind, b.Role+b.InstanceProfile, workload)
	}
	return w.Flush()
}

type deleteBindingCommand struct {
	ID string `arg:"" help:"Id of the binding."`
	apiFlags
}

func (c *deleteBindingCommand) Run(e *env) error {
	client, _, err := c.client(e)
	if err != nil {
		return err
	}
	return client.rest(e.ctx, "latchwork", http.MethodDelete, bindingsPath+"/"+url.PathEscape(c.ID), nil, nil)
}
