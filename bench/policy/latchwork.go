package main

import (
	"github.com/latchwork/latchwork/internal/authz"
	"github.com/latchwork/latchwork/internal/identity"
	"github.com/latchwork/latchwork/internal/policy"
	"github.com/latchwork/latchwork/internal/snapshot"
)

// latchwork is authz.Decide, the one function that decides in the server, on policies
// of a caller, a service network and a service.
func latchwork(all [3][]statement) (func(*request) bool, error) {
	snap := snapshot.New(&snapshot.Settings{Partition: "aws", DefaultAccount: account, Accounts: map[string]snapshot.Account{account: {ID: account}}})
	own := snapshot.Compile(policy.Identity, "own", document(all[0], true))
	network := &snapshot.Network{Policy: snapshot.Compile(policy.AuthPolicy, "sn-1", document(all[1], false))}
	svc := &snapshot.Service{Policy: snapshot.Compile(policy.AuthPolicy, "svc-1", document(all[2], false))}
	for _, p := range []*snapshot.Policy{own, network.Policy, svc.Policy} {
		if p.Problem != nil {
			return nil, p.Problem
		}
	}
	network.AuthType, svc.AuthType = "AWS_IAM", "AWS_IAM"
	snap = snap.With(snapshot.Stated{
		Entity:   snapshot.Entity{Kind: identity.AssumedRole, ARN: role, ID: "AROAORDERSORDERSORDER", Account: account, Name: "orders-client"},
		Policies: []*snapshot.Policy{own},
	})
	// The principal is what verifying a signature gives: it is there before policies are
	// asked.
	who := identity.RoleSession("aws", account, role, "AROAORDERSORDERSORDER", "orders-client", "s")
	return func(r *request) bool {
		q := authz.Query{
			Request: policy.Request{Principal: &who, Action: r.action, Resource: r.resource, Keys: (*keys)(r)},
			Network: network, Service: svc,
		}
		return authz.Decide(snap, &q).Allowed
	}, nil
}

// keys answers condition keys from the texts of a request, as the gateway does.
type keys request

func (r *keys) Lookup(k *policy.Key) (policy.Values, bool) {
	switch k.ID {
	case policy.SvcsRequestMethod:
		return policy.Single(r.method), true
	case policy.PrincipalType:
		return policy.Single(r.principalType), true
	case policy.SvcsRequestHeader:
		for i := range r.headers {
			if r.headers[i].name == k.Tail {
				return policy.Single(r.headers[i].value), true
			}
		}
	}
	return policy.Values{}, false
}
