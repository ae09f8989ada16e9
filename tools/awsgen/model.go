package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// model is one service's interface model, in botocore's format.
type model struct {
	Metadata struct {
		APIVersion     string `json:"apiVersion"`
		EndpointPrefix string `json:"endpointPrefix"`
		Protocol       string `json:"protocol"`
		ServiceID      string `json:"serviceId"`
		SigningName    string `json:"signingName"`
		TargetPrefix   string `json:"targetPrefix"`
		XMLNamespace   string `json:"xmlNamespace"`
	} `json:"metadata"`
	Operations map[string]*operation  `json:"operations"`
	Pagination map[string]*pagination `json:"pagination"`
	Shapes     map[string]*shape      `json:"shapes"`
}

type operation struct {
	Name string `json:"name"`
	HTTP struct {
		Method       string `json:"method"`
		RequestURI   string `json:"requestUri"`
		ResponseCode int    `json:"responseCode"`
	} `json:"http"`
	Input    *ref   `json:"input"`
	Output   *ref   `json:"output"`
	Errors   []ref  `json:"errors"`
	AuthType string `json:"authtype"`
}

type pagination struct {
	InputToken  string `json:"input_token"`
	OutputToken string `json:"output_token"`
	LimitKey    string `json:"limit_key"`
	MoreResults string `json:"more_results"`
}

// ref is a use of a shape: a structure's member, a list's element, an
// operation's input.
type ref struct {
	Shape            string `json:"shape"`
	Location         string `json:"location"`
	LocationName     string `json:"locationName"`
	IdempotencyToken bool   `json:"idempotencyToken"`
	ResultWrapper    string `json:"resultWrapper"`
}

type shape struct {
	Type            string          `json:"type"`
	Members         map[string]*ref `json:"members"`
	Required        []string        `json:"required"`
	Payload         string          `json:"payload"`
	Member          *ref            `json:"member"`
	Key             *ref            `json:"key"`
	Value           *ref            `json:"value"`
	Enum            []string        `json:"enum"`
	Min             *int64          `json:"min"`
	Max             *int64          `json:"max"`
	Pattern         string          `json:"pattern"`
	Sensitive       bool            `json:"sensitive"`
	Union           bool            `json:"union"`
	TimestampFormat string          `json:"timestampFormat"`
	Exception       bool            `json:"exception"`
	Fault           bool            `json:"fault"`
	Error           *struct {
		Code   string `json:"code"`
		Status int    `json:"httpStatusCode"`
	} `json:"error"`
}

func (s *shape) requires(member string) bool { return slices.Contains(s.Required, member) }

// patch corrects one value of a model. Was is the value it replaces, so that a
// newer model that no longer has the mistake fails instead of being overwritten.
type patch struct {
	Model string `json:"model"`
	Path  string `json:"path"`
	Was   any    `json:"was"`
	Value any    `json:"value"`
	Why   string `json:"why"`
}

func loadModel(name string) (*model, error) {
	raw, err := inputs.ReadFile("models/" + name + ".json")
	if err != nil {
		return nil, err
	}
	var tree any
	if err := json.Unmarshal(raw, &tree); err != nil {
		return nil, fmt.Errorf("reading model %s: %w", name, err)
	}
	patchText, err := inputs.ReadFile("patches.json")
	if err != nil {
		return nil, err
	}
	var patches []patch
	if err := json.Unmarshal(patchText, &patches); err != nil {
		return nil, fmt.Errorf("reading patches.json: %w", err)
	}
	for _, p := range patches {
		if p.Model != name {
			continue
		}
		if err := p.apply(tree); err != nil {
			return nil, fmt.Errorf("patch %s of model %s: %w", p.Path, name, err)
		}
	}
	raw, err = json.Marshal(tree)
	if err != nil {
		return nil, err
	}
	m := new(model)
	if err := json.Unmarshal(raw, m); err != nil {
		return nil, fmt.Errorf("reading model %s: %w", name, err)
	}
	return m, nil
}

func (p *patch) apply(tree any) error {
	if p.Why == "" {
		return fmt.Errorf("has no reason")
	}
	keys := strings.Split(strings.TrimPrefix(p.Path, "/"), "/")
	for i, key := range keys {
		object, ok := tree.(map[string]any)
		if !ok {
			return fmt.Errorf("%q is not in an object", key)
		}
		if i < len(keys)-1 {
			tree = object[key]
			continue
		}
		if !reflect.DeepEqual(object[key], p.Was) {
			return fmt.Errorf("the model now says %v, not %v", object[key], p.Was)
		}
		object[key] = p.Value
	}
	return nil
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
