// Package operator carries out Latchwork's own operations, which AWS has no like
// of: it explains decisions, lists records that could not be compiled, keeps the keys
// of issuers that publish none, shares meshes, and says which workload has which
// role. They are called and authorized as AWS's are, with the service name
// latchwork.
package operator

import (
	"context"
	"encoding/json"
	"net/netip"

	"github.com/latchwork/latchwork/internal/awsapi"
	"github.com/latchwork/latchwork/internal/clock"
	"github.com/latchwork/latchwork/internal/fault"
	"github.com/latchwork/latchwork/internal/model"
)

// Name is the service's name, in ARNs, actions and credential scopes.
const Name = "latchwork"

// API describes the service.
var API = &awsapi.Service{
	Name: Name, SigningName: Name, Version: "2026-11-25", Protocol: awsapi.RESTJSON,
	Errors: map[string]awsapi.ErrorShape{
		"ResourceNotFoundException": {Status: 404},
		"AccessDeniedException":     {Status: 403},
		"ValidationException":       {Status: 400},
		"ConflictException":         {Status: 409},
	},
	Constraints: map[string]*awsapi.Constraint{
		"AccountId":  {Pattern: "[0-9]{12}", RE2: `\A[0-9]{12}\z`},
		"AccountIds": {Min: 1, HasMin: true, Elem: "AccountId"},
	},
}

// Config says what the service works with.
type Config struct {
	model.State
	Clock clock.Clock
	// AddressOwner is the account that has an address in one of its VPCs; "" if none has.
	// known is false if it cannot be told.
	AddressOwner func(addr netip.Addr) (account string, known bool)
	// PodAccount is the account whose pods are served.
	PodAccount string
	// Explain gives the JSON of a decision's explanation by request id, to the
	// account that the request was for: others must not see it.
	Explain func(id, account string) (explanation any, ok bool)
	// Problems lists the records of an account that could not be compiled, each key
	// with its error.
	Problems func(account string) map[string]string
	// Proxies gives the JSON of the Envoys of an account that are connected, and of
	// those that were refused.
	Proxies func(account string) (connected, refused any)
}

// ExplainInput names a request.
type ExplainInput struct {
	RequestID *string `json:"-" aws:"String,required,uri=requestId"`
}

// ExplainOutput holds the explanation as JSON text.
type ExplainOutput struct {
	Explanation *string `json:"explanation,omitzero" aws:"String"`
}

// ProblemsInput is empty.
type ProblemsInput struct{}

// ProblemsOutput holds errors by the keys of records.
type ProblemsOutput struct {
	Problems map[string]string `json:"problems" aws:"StringMap"`
}

// ProxiesInput is empty.
type ProxiesInput struct{}

// ProxiesOutput holds two lists as JSON text.
type ProxiesOutput struct {
	Connected *string `json:"connected,omitzero" aws:"String"`
	Refused   *string `json:"refused,omitzero" aws:"String"`
}

// Service handles the operations.
type Service struct{ cfg Config }

// New makes the service ready for the dispatcher.
func New(cfg Config) awsapi.Binding {
	s := &Service{cfg}
	arn := func(c *awsapi.Call, path string) string {
		return "arn:" + c.Partition + ":" + Name + ":" + c.Region + ":" + c.Account + ":" + path
	}
	shares := awsapi.Targets(s.mesh)
	return awsapi.Binding{
		Service: API, Handler: s,
		Operations: []awsapi.Operation{
			awsapi.Op(awsapi.Spec{
				Name: "ExplainRequest", Method: "GET", URI: "/latchwork/requests/{requestId}", Status: 200,
				Errors: []string{"ResourceNotFoundException", "AccessDeniedException"},
			}, s.ExplainRequest),
			awsapi.Op(awsapi.Spec{
				Name: "ListProblems", Method: "GET", URI: "/latchwork/problems", Status: 200,
				Errors: []string{"AccessDeniedException"},
			}, s.ListProblems),
			awsapi.Op(awsapi.Spec{
				Name: "PutOIDCProviderKeys", Method: "PUT", URI: "/latchwork/oidc-provider-keys", Status: 200,
				Errors: []string{"ResourceNotFoundException", "AccessDeniedException", "ValidationException"},
			}, s.PutOIDCProviderKeys),
			awsapi.Op(awsapi.Spec{
				Name: "ShareMesh", Method: "PUT", URI: "/latchwork/meshes/{meshName}/share", Status: 200,
				Errors: []string{"ResourceNotFoundException", "AccessDeniedException", "ValidationException"},
			}, s.ShareMesh),
			awsapi.Op(awsapi.Spec{
				Name: "UnshareMesh", Method: "PUT", URI: "/latchwork/meshes/{meshName}/unshare", Status: 200,
				Errors: []string{"ResourceNotFoundException", "AccessDeniedException", "ValidationException"},
			}, s.UnshareMesh),
			awsapi.Op(awsapi.Spec{
				Name: "CreateBinding", Method: "POST", URI: "/latchwork/bindings", Status: 200,
				Errors: []string{"ResourceNotFoundException", "AccessDeniedException", "ValidationException", "ConflictException"},
			}, s.CreateBinding),
			awsapi.Op(awsapi.Spec{
				Name: "ListBindings", Method: "GET", URI: "/latchwork/bindings", Status: 200,
				Errors: []string{"AccessDeniedException"},
			}, s.ListBindings),
			awsapi.Op(awsapi.Spec{
				Name: "DeleteBinding", Method: "DELETE", URI: "/latchwork/bindings/{bindingId}", Status: 200,
				Errors: []string{"ResourceNotFoundException", "AccessDeniedException"},
			}, s.DeleteBinding),
			awsapi.Op(awsapi.Spec{
				Name: "ListProxies", Method: "GET", URI: "/latchwork/proxies", Status: 200,
				Errors: []string{"AccessDeniedException"},
			}, s.ListProxies),
			awsapi.Op(awsapi.Spec{
				Name: "ExplainPermission", Method: "POST", URI: "/latchwork/explain-permission", Status: 200,
				Errors: []string{"ResourceNotFoundException", "AccessDeniedException", "ValidationException"},
			}, s.ExplainPermission),
		},
		Access: awsapi.AccessTable{
			"ExplainRequest": {Action: "latchwork:ExplainRequest", Resources: awsapi.Target(
				func(c *awsapi.Call, in *ExplainInput) string { return arn(c, "request/"+*in.RequestID) })},
			"ListProblems":  {Action: "latchwork:ListProblems", Resources: awsapi.Everything},
			"CreateBinding": {Action: "latchwork:CreateBinding", Resources: awsapi.Targets(s.passesRole)},
			"ListBindings":  {Action: "latchwork:ListBindings", Resources: awsapi.Everything},
			"DeleteBinding": {Action: "latchwork:DeleteBinding", Resources: awsapi.Target(
				func(c *awsapi.Call, in *DeleteBindingInput) string { return scopeOf(c).ARN(Name, "binding/"+*in.ID) })},
			"PutOIDCProviderKeys": {Action: "latchwork:PutOIDCProviderKeys", Resources: awsapi.Target(
				func(c *awsapi.Call, in *PutOIDCProviderKeysInput) string {
					return model.IAMARN(c.Partition, c.Account, "oidc-provider", "/", model.OIDCProviderName(*in.Issuer))
				})},
			"ShareMesh":   {Action: sharesMesh, Resources: shares},
			"UnshareMesh": {Action: sharesMesh, Resources: shares},
			"ListProxies": {Action: "latchwork:ListProxies", Resources: awsapi.Everything},
			"ExplainPermission": {Action: "latchwork:ExplainPermission", Resources: awsapi.Target(
				func(_ *awsapi.Call, in *ExplainPermissionInput) string { return *in.Principal })},
		},
	}
}

// ExplainRequest explains a request to a service of the caller's account.
func (s *Service) ExplainRequest(ctx context.Context, in *ExplainInput) (*ExplainOutput, error) {
	account := awsapi.FromContext(ctx).Account
	explanation, ok := s.cfg.Explain(*in.RequestID, account)
	if !ok {
		return nil, fault.New("ResourceNotFoundException",
			"there is no request %s among the last ones that this server answered for account %s: the id is in the response's header x-amzn-requestid",
			*in.RequestID, account)
	}
	raw, err := json.Marshal(explanation)
	if err != nil {
		return nil, err
	}
	return &ExplainOutput{Explanation: new(string(raw))}, nil
}

// ListProblems lists the records of the caller's account that could not be
// compiled.
func (s *Service) ListProblems(ctx context.Context, _ *ProblemsInput) (*ProblemsOutput, error) {
	return &ProblemsOutput{Problems: s.cfg.Problems(awsapi.FromContext(ctx).Account)}, nil
}

// ListProxies lists the Envoys of the caller's account.
func (s *Service) ListProxies(ctx context.Context, _ *ProxiesInput) (*ProxiesOutput, error) {
	connected, refused := s.cfg.Proxies(awsapi.FromContext(ctx).Account)
	out := &ProxiesOutput{}
	for _, part := range []struct {
		from any
		to   **string
	}{{connected, &out.Connected}, {refused, &out.Refused}} {
		raw, err := json.Marshal(part.from)
		if err != nil {
			return nil, err
		}
		*part.to = new(string(raw))
	}
	return out, nil
}
