package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/latchwork/latchwork/internal/authz"
	"github.com/latchwork/latchwork/internal/identity"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/policy"
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

// subject is whose permission is confirmed.
type subject struct {
	// principal is the role, by ARN or name.
	principal string
	// kind of the workload, as of a binding; "" where only the role is known.
	kind string
	// subject and audience are what the token of a service account says.
	subject, audience string
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

type confirmPodsCommand struct {
	Deployment     string `required:"" type:"path" help:"The deployment, or a pod of it, as kubectl get -o yaml prints it." placeholder:"FILE"`
	ServiceAccount string `type:"path" help:"Its service account, as kubectl get -o yaml prints it. It may be in the same file." placeholder:"FILE"`
	Resource       string `help:"ARN of the virtual node or virtual gateway. That in the environment of a container by default." placeholder:"ARN"`
	confirmFlags
}

func (c *confirmPodsCommand) Run(e *env) error {
	d, err := readKubernetes(c.Deployment, "Deployment", "Pod", "StatefulSet", "DaemonSet", "ReplicaSet", "Job")
	if err != nil {
		return usage(err)
	}
	var account *kubernetes
	path := c.ServiceAccount
	if path == "" {
		path = c.Deployment
	}
	if account, err = readKubernetes(path, "ServiceAccount"); err != nil && c.ServiceAccount != "" {
		return usage(err)
	}
	pod := d.pod()
	envoy, named := envoyContainer(slices.Concat(pod.Containers, pod.InitContainers))
	resource := c.Resource
	if resource == "" {
		resource = named
	}
	role := ""
	if envoy != nil {
		role, _ = envoy.value("AWS_ROLE_ARN")
	}
	if role == "" && account != nil {
		role = account.Metadata.Annotations["eks.amazonaws.com/role-arn"]
	}
	return c.confirm(e, role, resource, func(v *confirming) (*subject, error) {
		v.out.Workload = fmt.Sprintf("%s %s/%s", strings.ToLower(d.Kind), d.namespace(), d.Metadata.Name)
		if err := v.container(envoy, named, c.Resource, "the App Mesh controller puts it into pods and not into deployments: give the file of a pod, or --resource"); err != nil {
			return nil, err
		}
		name := pod.ServiceAccountName
		if name == "" {
			name = "default"
		}
		s := &subject{subject: "system:serviceaccount:" + d.namespace() + ":" + name}
		bound, err := v.podIdentity(d.namespace(), name)
		switch {
		case err != nil:
			return nil, err
		case bound != "":
			v.found("service account %s/%s has the role by Pod Identity, which wins over annotations", d.namespace(), name)
			s.kind, s.principal = model.EKSPod, bound
			return s, nil
		case envoy != nil && has(envoy, "AWS_ROLE_ARN"):
			v.found("container %s has the role in AWS_ROLE_ARN", envoy.Name)
		case pod.ServiceAccountName == "" || name == "default":
			return nil, v.unfound("no service account of its own is assigned to the %s: assign one with serviceAccountName. If the policy is at the role of the worker nodes, use latchwork confirm ec2", strings.ToLower(d.Kind))
		case account == nil:
			return nil, v.unfound("the %s has service account %s: give it too, with --service-account", strings.ToLower(d.Kind), name)
		case account.Metadata.Name != name || account.namespace() != d.namespace():
			return nil, v.unfound("the %s has service account %s/%s, and the file has %s/%s", strings.ToLower(d.Kind), d.namespace(), name, account.namespace(), account.Metadata.Name)
		case role == "":
			return nil, v.unfound("service account %s/%s has no role: annotate it with eks.amazonaws.com/role-arn", d.namespace(), name)
		default:
			v.found("service account %s/%s has the role in its annotation eks.amazonaws.com/role-arn", d.namespace(), name)
		}
		s.kind, s.principal, s.audience = webIdentity, role, "sts.amazonaws.com"
		if account != nil && account.Metadata.Annotations["eks.amazonaws.com/audience"] != "" {
			s.audience = account.Metadata.Annotations["eks.amazonaws.com/audience"]
		}
		return s, nil
	})
}

// webIdentity is the kind of a workload that has a token of an identity provider.
const webIdentity = "web identity"

type confirmTaskCommand struct {
	TaskDefinition string `required:"" type:"path" help:"The task definition, as aws ecs describe-task-definition prints it." placeholder:"FILE"`
	Resource       string `help:"ARN of the virtual node or virtual gateway. That in the environment of a container by default." placeholder:"ARN"`
	confirmFlags
}

func (c *confirmTaskCommand) Run(e *env) error {
	t, err := readTaskDefinition(c.TaskDefinition)
	if err != nil {
		return usage(err)
	}
	envoy, named := envoyContainer(t.Containers)
	resource := c.Resource
	if resource == "" {
		resource = named
	}
	return c.confirm(e, t.TaskRoleARN, resource, func(v *confirming) (*subject, error) {
		v.out.Workload = "task definition " + t.name()
		if err := v.container(envoy, named, c.Resource, "set it in the container of the Envoy, or give --resource"); err != nil {
			return nil, err
		}
		switch {
		case t.TaskRoleARN == "" && t.ExecutionRoleARN != "":
			return nil, v.unfound("the task definition has no task role, and its execution role %s is ECS's own: no container gets it. Create a role, and register a revision with taskRoleArn", t.ExecutionRoleARN)
		case t.TaskRoleARN == "":
			return nil, v.unfound("the task definition has no task role: create one, and register a revision with taskRoleArn")
		}
		v.found("the task definition has the role as its task role")
		return &subject{principal: t.TaskRoleARN, kind: model.ECSTask}, nil
	})
}

type confirmInstanceCommand struct {
	Instance        string `help:"Id of the instance, as latchwork binding list shows it." placeholder:"ID"`
	InstanceProfile string `help:"Its instance profile, by name, in place of the id." placeholder:"NAME"`
	Resource        string `required:"" help:"ARN of the virtual node or virtual gateway." placeholder:"ARN"`
	confirmFlags
}

func (c *confirmInstanceCommand) Run(e *env) error {
	if (c.Instance == "") == (c.InstanceProfile == "") {
		return &exitError{ExitUsage, "give --instance or --instance-profile"}
	}
	return c.confirm(e, "", c.Resource, func(v *confirming) (*subject, error) {
		profile := c.InstanceProfile
		v.out.Workload = "instance profile " + profile
		if c.Instance != "" {
			v.out.Workload = "instance " + c.Instance
			bindings, err := v.client.bindings(v.ctx)
			if err != nil {
				return nil, v.unfound("the bindings cannot be read: %v", err)
			}
			i := slices.IndexFunc(bindings, func(b binding) bool { return b.ID == c.Instance && b.Kind == model.EC2Instance })
			if i < 0 {
				return nil, v.unfound("there is no instance %s among the bindings of account %s: latchwork binding create ec2 gives an instance a role", c.Instance, v.account)
			}
			profile = bindings[i].InstanceProfile[strings.LastIndexByte(bindings[i].InstanceProfile, '/')+1:]
			v.found("instance %s has instance profile %s", c.Instance, profile)
		}
		role, err := v.client.instanceProfile(v.ctx, profile)
		switch {
		case err != nil:
			return nil, v.unfound("instance profile %s cannot be read: %v", profile, err)
		case role == "":
			return nil, v.unfound("instance profile %s has no role: aws iam add-role-to-instance-profile gives it one", profile)
		}
		v.found("instance profile %s has the role", profile)
		return &subject{principal: role, kind: model.EC2Instance}, nil
	})
}

func has(c *container, name string) bool {
	v, _ := c.value(name)
	return v != ""
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

// found says how the role was found.
func (v *confirming) found(format string, args ...any) { v.add(levelOK, "role", format, args...) }

// errUnknown ends a confirmation that cannot be made.
var errUnknown = errors.New("it cannot be determined")

// unfound says why no role was found.
func (v *confirming) unfound(format string, args ...any) error {
	return v.unknown("role", format, args...)
}

// unknown says why it cannot be determined.
func (v *confirming) unknown(subject, format string, args ...any) error {
	v.add(levelFail, subject, format, args...)
	v.out.Reason = v.out.Findings[len(v.out.Findings)-1].Text
	return errUnknown
}

// container says what the container of the Envoy tells. It is an error if that has
// keys of its own: those win over every role.
func (v *confirming) container(envoy *container, named, given, advice string) error {
	switch {
	case envoy == nil && given == "":
		return v.unknown("envoy", "no container has APPMESH_RESOURCE_ARN in its environment: %s", advice)
	case envoy == nil:
		return nil
	case given != "" && given != named:
		v.add(levelWarn, "envoy", "container %s stands for %s, and not for what --resource says", envoy.Name, named)
	}
	if _, own := envoy.value("AWS_ACCESS_KEY_ID"); own {
		return v.unknown("envoy", "container %s has keys of its own in AWS_ACCESS_KEY_ID: it uses those, and no role", envoy.Name)
	}
	return nil
}

// podIdentity is the role that Pod Identity gives a service account; "" for none.
func (v *confirming) podIdentity(namespace, account string) (string, error) {
	bindings, err := v.client.bindings(v.ctx)
	if err != nil {
		v.add(levelWarn, "role", "whether Pod Identity gives the pods a role cannot be determined: %v", err)
		return "", nil
	}
	roles := map[string]bool{}
	role := ""
	for _, b := range bindings {
		if b.Kind == model.EKSPod && b.Namespace == namespace && b.ServiceAccount == account {
			role, roles[b.Role] = b.Role, true
		}
	}
	if len(roles) > 1 {
		return "", v.unfound("service accounts %s/%s of several clusters have different roles by Pod Identity; latchwork binding list shows them: use latchwork confirm --principal", namespace, account)
	}
	return role, nil
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
	if !trusted && v.out.Verdict == "allowed" {
		v.out.Verdict, v.out.Reason = "denied", "the role has the permission, but does not trust what would take it"
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

// trust tells whether the workload can take the role. Nobody knows of a role alone
// what is to take it.
func (v *confirming) trust(s *subject) bool {
	document, err := policy.Parse(policy.Trust, v.role.Trust)
	var compiled *policy.Compiled
	if err == nil {
		compiled, err = policy.Compile(document)
	}
	if err != nil {
		v.add(levelFail, "trust", "the trust policy cannot be evaluated: %v", err)
		return false
	}
	for _, w := range policy.Lint(document) {
		v.add(levelWarn, "trust", "%s", w.Message)
	}
	entity := &snapshot.Entity{ARN: v.role.ARN, Account: v.account, Trust: &snapshot.Policy{Text: v.role.Trust, Compiled: compiled}}
	switch s.kind {
	case "":
		return true
	case webIdentity:
		return v.trustsToken(s, document, entity)
	}
	service := model.ServicePrincipal(s.kind)
	actions := []string{"sts:AssumeRole"}
	if s.kind == model.EKSPod {
		actions = append(actions, "sts:TagSession")
	}
	keys := policy.MapKeys{}
	keys.Set("aws:SourceAccount", v.account)
	who := &identity.Principal{Kind: identity.Service, Name: service}
	for _, action := range actions {
		if !v.trusts(authz.OfRole(entity, who, action, keys), service) {
			v.add(levelFail, "trust", "the role does not let %s do %s", service, action)
			v.fixTrust(map[string]any{"Service": service}, actions, nil)
			return false
		}
	}
	return true
}

// trusts tells whether a trust policy lets somebody in, and says so. What depends on
// more than is known is taken to hold.
func (v *confirming) trusts(q *authz.Query, who string) bool {
	x := authz.Explain(&snapshot.Snapshot{}, q)
	open := depends(&x)
	switch {
	case len(open) > 0:
		v.add(levelWarn, "trust", "the role trusts %s for %s if %s is as it wants", who, q.Action, strings.Join(open, " and "))
	case x.Allowed:
		v.add(levelOK, "trust", "the role trusts %s for %s", who, q.Action)
	}
	return x.Allowed || len(open) > 0
}

// trustsToken tells whether the role trusts the token of a service account, of any
// identity provider that it names.
func (v *confirming) trustsToken(s *subject, document *policy.Document, role *snapshot.Entity) bool {
	const action = "sts:AssumeRoleWithWebIdentity"
	provider, name := "", ""
	for i := range document.Statements {
		for _, p := range document.Statements[i].Principals {
			_, issuer, ok := strings.Cut(p.Text.Text, ":oidc-provider/")
			if p.Type != "Federated" || !ok {
				continue
			}
			provider, name = p.Text.Text, issuer
			keys := policy.MapKeys{}
			keys.Set(issuer+":sub", s.subject)
			keys.Set(issuer+":aud", s.audience)
			who := &identity.Principal{Kind: identity.WebIdentity, UserID: s.subject, Session: &identity.Session{FederatedProvider: provider}}
			if v.trusts(authz.OfRole(role, who, action, keys), s.subject+" of "+issuer) {
				return true
			}
		}
	}
	if provider == "" {
		v.add(levelFail, "trust", "the role trusts no identity provider: that of the cluster must be named in its trust policy, with %s", action)
		return false
	}
	v.add(levelFail, "trust", "the role does not trust %s of %s for %s", s.subject, name, s.audience)
	v.fixTrust(map[string]any{"Federated": provider}, []string{action}, map[string]any{
		"StringEquals": map[string]string{name + ":sub": s.subject, name + ":aud": s.audience},
	})
	return false
}
