package operator

import (
	"context"
	"encoding/json"

	"github.com/latchwork/latchwork/internal/authz"
	"github.com/latchwork/latchwork/internal/awsapi"
	"github.com/latchwork/latchwork/internal/fault"
	"github.com/latchwork/latchwork/internal/identity"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/policy"
	"github.com/latchwork/latchwork/internal/snapshot"
)

// ExplainPermissionInput asks whether a user or role may do something.
type ExplainPermissionInput struct {
	// Principal is the ARN of a user or role.
	Principal *string `json:"principal,omitzero" aws:"String,required"`
	Action    *string `json:"action,omitzero" aws:"String,required"`
	Resource  *string `json:"resource,omitzero" aws:"String,required"`
	// Keys are condition keys of the request that is asked about.
	Keys map[string]string `json:"keys,omitzero" aws:"StringMap"`
}

// ExplainPermissionOutput holds the explanation as JSON text.
type ExplainPermissionOutput struct {
	Explanation *string `json:"explanation,omitzero" aws:"String"`
	// ProxyAuthorization says which Envoys of the resource's account need the permission
	// for their mesh endpoint; "" where the resource is no mesh endpoint.
	ProxyAuthorization *string `json:"proxyAuthorization,omitzero" aws:"String"`
}

// supposed is a session that a role might have.
const supposed = "latchwork-confirm"

// permissionKeys are the condition keys of a request that is only asked about.
type permissionKeys struct {
	own    policy.MapKeys
	tags   map[string]string // of the resource
	caller authz.CallerKeys
}

// Lookup implements policy.Keys.
func (k *permissionKeys) Lookup(key *policy.Key) (policy.Values, bool) {
	if v, ok := k.own.Lookup(key); ok {
		return v, true
	}
	if key.ID == policy.ResourceTag {
		return authz.Tag(k.tags, key.Tail)
	}
	return k.caller.Lookup(key)
}

// ExplainPermission says what the decision would be on a request of a user, or of a
// session of a role, and why. It knows no policies of resources, and of the request
// only what it is told.
func (s *Service) ExplainPermission(ctx context.Context, in *ExplainPermissionInput) (*ExplainPermissionOutput, error) {
	call := awsapi.FromContext(ctx)
	snap, err := snapshot.Pinned(ctx)
	if err != nil {
		return nil, err
	}
	e, ok := snap.EntityByARN(*in.Principal)
	if !ok || e.Account != call.Account {
		return nil, fault.New("ResourceNotFoundException", "there is no user or role %s", *in.Principal)
	}
	who := identity.Principal{
		Kind: e.Kind, Partition: call.Partition, Account: e.Account, ARN: e.ARN, IssuerARN: e.ARN, IssuerID: e.ID, UserID: e.ID, Name: e.Name,
	}
	now := s.cfg.Clock()
	if e.Kind == identity.AssumedRole {
		who = identity.RoleSession(call.Partition, e.Account, e.ARN, e.ID, e.Name, supposed)
		who.Session.IssuedAt = now
	}
	keys := &permissionKeys{own: policy.MapKeys{}, caller: authz.CallerKeys{Snap: snap, Principal: &who, Owner: call.Account, Now: now}}
	keys.own.Set("aws:SecureTransport", "true")
	q := &authz.Query{Request: policy.Request{Principal: &who, Action: *in.Action, Resource: *in.Resource, Keys: keys}}
	out := &ExplainPermissionOutput{}
	if endpoint, ok := model.ParseMeshEndpoint(*in.Resource); ok {
		q.Account = endpoint.Account
		keys.own.Set("aws:RequestedRegion", endpoint.Region)
		if endpoint.Account == call.Account {
			// Another account's tags are its own.
			keys.tags = snap.MeshOf(*in.Resource, "").EndpointTags(endpoint)
			out.ProxyAuthorization = new(string(snap.Account(endpoint.Account).ProxyAuthorization))
		}
	}
	for name, value := range in.Keys {
		keys.own.Set(name, value)
	}
	raw, err := json.Marshal(authz.Explain(snap, q))
	if err != nil {
		return nil, err
	}
	out.Explanation = new(string(raw))
	return out, nil
}
