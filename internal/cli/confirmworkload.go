package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/latchwork/latchwork/internal/model"
)

// subject is whose permission is confirmed.
type subject struct {
	// principal is the role, by ARN or name.
	principal string
	// kind of the workload, as of a binding; "" where only the role is known.
	kind string
	// subject and audience are what the token of a service account says.
	subject, audience string
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

// found says how the role was found.
func (v *confirming) found(format string, args ...any) { v.add(levelOK, "role", format, args...) }

// unfound says why no role was found.
func (v *confirming) unfound(format string, args ...any) error {
	return v.unknown("role", format, args...)
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
