package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/latchwork/latchwork/internal/authz"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/server"
	"github.com/latchwork/latchwork/internal/snapshot"
)

// confirmCommands follow the user guide's procedures to confirm the permission of an
// Envoy, one for each service that hosts it.
// Source: App Mesh User Guide, "Envoy Proxy authorization", "Confirm permission".
type confirmCommands struct {
	Role confirmRoleCommand     `cmd:"" default:"withargs" help:"Whether a role may read the configuration of a mesh endpoint."`
	EKS  confirmPodsCommand     `cmd:"" name:"eks" help:"Whether the pods of a Kubernetes deployment may."`
	ECS  confirmTaskCommand     `cmd:"" name:"ecs" help:"Whether the tasks of an ECS task definition may."`
	EC2  confirmInstanceCommand `cmd:"" name:"ec2" help:"Whether an instance may."`
}

// actionStream is what an Envoy's role needs.
const actionStream = "appmesh:StreamAggregatedResources"

// What latchwork confirm exits with, but for 0: it is not about a request.
const (
	exitNotAllowed = 1
	exitUnknown    = 2
)

type confirmFlags struct {
	MeshOwner string            `help:"Account of the mesh, if it is not the mesh endpoint's." placeholder:"ACCOUNT"`
	Key       map[string]string `help:"A condition key of the Envoy's stream, such as aws:SourceIp=10.0.0.7, where policies depend on one. May be given several times." placeholder:"KEY=VALUE"`
	Region    string            `env:"AWS_REGION" help:"Region of the mesh, where the resource is not a whole ARN. The server's by default."`
	Output    string            `short:"o" enum:"text,json" default:"text" help:"text or json."`
	apiFlags
}

type confirmRoleCommand struct {
	Resource  string `required:"" help:"ARN of the virtual node or virtual gateway." placeholder:"ARN"`
	Principal string `required:"" help:"The role, by its ARN or its name." placeholder:"ROLE"`
	confirmFlags
}

func (c *confirmRoleCommand) Run(e *env) error {
	return c.confirm(e, c.Principal, c.Resource, func(*confirming) (*subject, error) {
		return &subject{principal: c.Principal}, nil
	})
}

// confirmation is what was found out. As JSON it is part of the interface.
type confirmation struct {
	Workload string `json:"workload,omitzero"`
	Resource string `json:"resource"`
	Role     string `json:"role,omitzero"`
	// Verdict is allowed, denied or unknown, Cause that of a denial: implicit deny or
	// explicit deny. Reason is why in one sentence.
	Verdict string `json:"verdict"`
	Cause   string `json:"cause,omitzero"`
	Reason  string `json:"reason"`
	// Required says whether an Envoy is refused without the permission: yes, no or
	// unknown.
	Required string          `json:"required"`
	Findings []finding       `json:"findings"`
	Policies []confirmedRule `json:"policies"`
	// AlsoReadable are the other mesh endpoints of the mesh that the role may read.
	AlsoReadable []string `json:"alsoReadable"`
	// Fix are the commands that make it allowed, where commands can.
	Fix []string `json:"fix"`
}

// Levels of findings.
const (
	levelOK   = "ok"
	levelInfo = "info"
	levelWarn = "warn"
	levelFail = "FAIL"
)

// finding is one thing that was looked at.
type finding struct {
	Level   string `json:"level"`
	Subject string `json:"subject"`
	Text    string `json:"text"`
}

// confirmedRule is what one policy of the role says to the question.
type confirmedRule struct {
	Name    string `json:"name"`
	ARN     string `json:"arn,omitzero"`
	Version string `json:"version,omitzero"`
	Verdict string `json:"verdict"`
	Why     string `json:"why"`
}

// confirming is the work on one confirmation.
type confirming struct {
	ctx     context.Context
	flags   *confirmFlags
	client  *client
	account string
	region  string
	out     confirmation

	role     *role
	endpoint model.MeshEndpoint
}

func (v *confirming) add(level, subject, format string, args ...any) {
	v.out.Findings = append(v.out.Findings, finding{level, subject, fmt.Sprintf(format, args...)})
}

// errUnknown ends a confirmation that cannot be made.
var errUnknown = errors.New("it cannot be determined")

// unknown says why it cannot be determined.
func (v *confirming) unknown(subject, format string, args ...any) error {
	v.add(levelFail, subject, format, args...)
	v.out.Reason = v.out.Findings[len(v.out.Findings)-1].Text
	return errUnknown
}

// confirm does the work, and asks in the account of what it is about. Every error
// means that it cannot be determined.
func (f *confirmFlags) confirm(e *env, principal, resource string, find func(*confirming) (*subject, error)) error {
	out, err := f.confirmed(e, principal, resource, find)
	var exit *exitError
	switch {
	case errors.As(err, &exit):
		return err
	case err != nil:
		return &exitError{exitUnknown, err.Error()}
	case f.Output == "json":
		err = e.json(out)
	default:
		err = out.print(e.stdout)
	}
	switch {
	case err != nil:
		return &exitError{exitUnknown, err.Error()}
	case out.Verdict == "denied":
		return &exitError{code: exitNotAllowed}
	case out.Verdict == "unknown":
		return &exitError{code: exitUnknown}
	}
	return nil
}

func (f *confirmFlags) confirmed(e *env, principal, resource string, find func(*confirming) (*subject, error)) (*confirmation, error) {
	info, err := server.ReadInfo(f.DataDir)
	if err != nil {
		return nil, err
	}
	account := accountOf(principal)
	if account == "" {
		account = accountOf(resource)
	}
	if _, err := server.ReadAdmin(f.DataDir, account); err != nil {
		account = "" // the default one
	}
	credentials, err := callerCredentials(e.ctx, f.Profile, f.DataDir, account)
	if err != nil {
		return nil, err
	}
	v := &confirming{ctx: e.ctx, flags: f, client: newClient(info, credentials), region: info.Region}
	if f.Region != "" {
		v.region = f.Region
	}
	v.out = confirmation{
		Resource: resource, Verdict: "unknown", Required: "unknown",
		Findings: []finding{}, Policies: []confirmedRule{}, AlsoReadable: []string{}, Fix: []string{},
	}
	if err := v.run(find); err != nil && !errors.Is(err, errUnknown) {
		return nil, err
	}
	return &v.out, nil
}

// run finds the role and asks about it.
func (v *confirming) run(find func(*confirming) (*subject, error)) error {
	var who struct {
		Account string `xml:"GetCallerIdentityResult>Account"`
	}
	if err := v.client.query(v.ctx, "sts", versionSTS, "GetCallerIdentity", nil, &who); err != nil {
		return err
	}
	v.account = who.Account
	s, err := find(v)
	if err != nil {
		return err
	}
	if err := v.resource(); err != nil {
		return err
	}
	name, err := roleName(s.principal)
	if err != nil {
		return err
	}
	if a := accountOf(s.principal); a != "" && a != v.account {
		return v.unfound("role %s is of account %s, and account %s asks: use --profile", s.principal, a, v.account)
	}
	if v.role, err = v.client.readRole(v.ctx, name); err != nil {
		return v.unfound("role %s cannot be read: %v", name, err)
	}
	v.out.Role = v.role.ARN
	if err := v.client.readPolicies(v.ctx, v.role); err != nil {
		v.add(levelWarn, "policies", "the policies of the role cannot all be read, but the verdict counts them: %v", err)
	}
	x, rule, err := v.explain(actionStream, v.out.Resource)
	if err != nil {
		return v.unknown("verdict", "the server does not explain what the role may do: %v", err)
	}
	trusted := v.trust(s)
	v.judge(x)
	if !trusted && v.out.Verdict != "denied" {
		v.out.Verdict, v.out.Reason = "denied", "the workload cannot take the role, whatever the role may do"
	}
	if v.endpoint.Account != v.account {
		// Source: App Mesh User Guide, "Working with shared meshes".
		v.out.Required, v.out.Reason = "yes", "an Envoy may stand for mesh endpoints of its role's account alone"
		v.add(levelFail, "account", "the mesh endpoint is of account %s, and the role of %s: an Envoy may stand for mesh endpoints of its role's account alone", v.endpoint.Account, v.account)
		return nil
	}
	v.describe(rule)
	v.scope(x)
	v.live()
	return nil
}

// resource reads what the Envoy stands for.
func (v *confirming) resource() error {
	text := v.out.Resource
	arn := text
	if strings.HasPrefix(text, "mesh/") {
		// A mesh of another account has it behind its name.
		// Source: aws-app-mesh-controller-for-k8s, pkg/inject/envoy.go.
		parts := strings.Split(text, "/")
		mesh, owner, _ := strings.Cut(parts[1], "@")
		if owner != "" && v.flags.MeshOwner == "" {
			v.flags.MeshOwner = owner
		}
		parts[1] = mesh
		arn = model.Scope{Partition: "aws", Account: v.account, Region: v.region}.ARN(model.MeshService, strings.Join(parts, "/"))
		v.add(levelInfo, "resource", "%s is short for %s", text, arn)
	}
	if _, err := endpointRegion(arn); err != nil {
		return err
	}
	v.endpoint, _ = model.ParseMeshEndpoint(arn)
	v.out.Resource, v.client.region = arn, v.endpoint.Region
	return nil
}

// explain asks the server's decision about the role. rule is that of the account of a
// mesh endpoint.
func (v *confirming) explain(action, resource string) (x *authz.Explanation, rule snapshot.ProxyAuthorization, err error) {
	var out struct {
		Explanation        string                      `json:"explanation"`
		ProxyAuthorization snapshot.ProxyAuthorization `json:"proxyAuthorization"`
	}
	in := map[string]any{"principal": v.role.ARN, "action": action, "resource": resource, "keys": v.flags.Key}
	if err := v.client.rest(v.ctx, "latchwork", http.MethodPost, "/latchwork/explain-permission", in, &out); err != nil {
		return nil, "", err
	}
	x = new(authz.Explanation)
	return x, out.ProxyAuthorization, json.Unmarshal([]byte(out.Explanation), x)
}
