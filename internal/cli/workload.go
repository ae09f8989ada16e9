package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// container is the part of a container that says what its Envoy stands for.
type container struct {
	Name string   `json:"name"`
	Env  []envVar `json:"env"`
	// Environment is Env as ECS calls it, Secrets what of it ECS looks up elsewhere.
	Environment []envVar `json:"environment"`
	Secrets     []envVar `json:"secrets"`
}

type envVar struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// value of an environment variable; "" for one that is looked up elsewhere.
func (c *container) value(name string) (string, bool) {
	for _, v := range slices.Concat(c.Env, c.Environment, c.Secrets) {
		if v.Name == name {
			return v.Value, true
		}
	}
	return "", false
}

// resourceVariables name what an Envoy stands for, in the order in which AWS's own
// agent looks at them.
// Source: App Mesh User Guide, "Envoy image configuration variables".
var resourceVariables = []string{"APPMESH_RESOURCE_ARN", "APPMESH_RESOURCE_NAME", "APPMESH_VIRTUAL_NODE_NAME"}

// envoyContainer is the container with an Envoy, and the name of its mesh endpoint; nil
// if there is none.
func envoyContainer(all []container) (*container, string) {
	for i := range all {
		for _, name := range resourceVariables {
			if v, _ := all[i].value(name); v != "" {
				return &all[i], v
			}
		}
	}
	return nil, ""
}

// podSpec is that of a pod.
type podSpec struct {
	ServiceAccountName string      `json:"serviceAccountName"`
	Containers         []container `json:"containers"`
	InitContainers     []container `json:"initContainers"`
}

// kubernetes is an object of Kubernetes, as kubectl get -o yaml or -o json prints it.
type kubernetes struct {
	Kind     string `json:"kind"`
	Metadata struct {
		Name        string            `json:"name"`
		Namespace   string            `json:"namespace"`
		Annotations map[string]string `json:"annotations"`
	} `json:"metadata"`
	Spec struct {
		podSpec
		Template struct {
			Spec podSpec `json:"spec"`
		} `json:"template"`
	} `json:"spec"`
	Items []kubernetes `json:"items"`
}

// pod is the spec of a pod, or of the pods that the object makes.
func (k *kubernetes) pod() *podSpec {
	if k.Kind == "Pod" {
		return &k.Spec.podSpec
	}
	return &k.Spec.Template.Spec
}

// namespace is default where none is said, as for kubectl.
func (k *kubernetes) namespace() string {
	if k.Metadata.Namespace == "" {
		return "default"
	}
	return k.Metadata.Namespace
}

// readKubernetes finds the first object of some kinds in a file.
func readKubernetes(path string, kinds ...string) (*kubernetes, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	// As Kubernetes itself tells documents apart.
	for part := range bytes.SplitSeq(text, []byte("\n---")) {
		var one kubernetes
		if err := yaml.Unmarshal(part, &one); err != nil {
			return nil, fmt.Errorf("%s: %w: give what kubectl get -o yaml prints", path, err)
		}
		for _, k := range append([]kubernetes{one}, one.Items...) {
			if slices.Contains(kinds, k.Kind) {
				return &k, nil
			}
		}
	}
	return nil, fmt.Errorf("%s has no %s: give what kubectl get -o yaml prints", path, strings.Join(kinds, ", "))
}

// taskDefinition is one of ECS.
type taskDefinition struct {
	Family           string      `json:"family"`
	Revision         int         `json:"revision"`
	TaskRoleARN      string      `json:"taskRoleArn"`
	ExecutionRoleARN string      `json:"executionRoleArn"`
	Containers       []container `json:"containerDefinitions"`
}

// name of the task definition, as ECS writes it.
func (t *taskDefinition) name() string {
	if t.Revision == 0 {
		return t.Family
	}
	return fmt.Sprintf("%s:%d", t.Family, t.Revision)
}

// readTaskDefinition reads what aws ecs describe-task-definition prints, or
// register-task-definition takes.
func readTaskDefinition(path string) (*taskDefinition, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var described struct {
		TaskDefinition *taskDefinition `json:"taskDefinition"`
		taskDefinition
	}
	if err := json.Unmarshal(text, &described); err != nil {
		return nil, fmt.Errorf("%s: %w: give what aws ecs describe-task-definition prints", path, err)
	}
	t := described.TaskDefinition
	if t == nil {
		t = &described.taskDefinition
	}
	if t.Family == "" {
		return nil, fmt.Errorf("%s has no task definition: give what aws ecs describe-task-definition prints", path)
	}
	return t, nil
}
