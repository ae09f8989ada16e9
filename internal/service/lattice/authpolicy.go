package lattice

import (
	"context"
	"strings"

	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/policy"
	"github.com/latchwork/latchwork/internal/store"
	wire "github.com/latchwork/latchwork/internal/wire/vpclattice"
)

// protected is a service or service network: what an auth policy belongs to.
type protected struct {
	model.Meta
	key      string
	kind     string
	authType string
	// update is the aws command that changes the auth type.
	update string
}

func (p *protected) state() *string {
	if p.authType == model.AuthIAM {
		return new(wire.AuthPolicyStateActive)
	}
	return new(wire.AuthPolicyStateInactive)
}

// kindOf tells from an identifier, an id or an ARN, what it names; "" for what can
// have no auth policy.
func kindOf(identifier string) string {
	id := identifier[strings.LastIndexByte(identifier, '/')+1:]
	switch {
	case strings.HasPrefix(id, "svc-"):
		return typeService
	case strings.HasPrefix(id, "sn-"):
		return typeNetwork
	}
	return ""
}

func (s *Service) protected(tx *store.Tx, scope model.Scope, identifier string) (*protected, error) {
	switch kindOf(identifier) {
	case typeService:
		v, key, err := s.service(tx, scope, identifier)
		if err != nil {
			return nil, err
		}
		return &protected{v.Meta, key, typeService, v.AuthType, "aws vpc-lattice update-service --service-identifier " + v.ID + " --auth-type NONE"}, nil
	case typeNetwork:
		n, key, err := s.network(tx, scope, identifier)
		if err != nil {
			return nil, err
		}
		return &protected{n.Meta, key, typeNetwork, n.AuthType, "aws vpc-lattice update-service-network --service-network-identifier " + n.ID + " --auth-type NONE"}, nil
	}
	return nil, invalid("resourceIdentifier", "an auth policy belongs to a service (svc-…) or a service network (sn-…), not to %s", identifier)
}

// newlineSetting is the setting that accepts what the user guide forbids.
const newlineSetting = "set conformance: observed to accept it as AWS does"

// document checks an auth policy; it gives the text that is stored, and what in it
// is legal and probably not meant.
func (s *Service) document(text string) (string, []policy.Finding, error) {
	if strings.TrimSpace(text) == "" {
		return "", nil, invalid("policy", "Policy must not be empty")
	}
	d, err := policy.Parse(policy.AuthPolicy, text)
	if err != nil {
		return "", nil, invalidPolicy(err)
	}
	compact, err := policy.Compact(text)
	if err != nil {
		return "", nil, err
	}
	if len(compact) > s.cfg.MaxPolicy {
		return "", nil, invalid("policy", "Policy exceeds the maximum size of %d bytes: it has %d without white space", s.cfg.MaxPolicy, len(compact))
	}
	if s.cfg.Observed {
		return compact, policy.Lint(d), nil
	}
	// Source: VPC Lattice User Guide, "Common elements in an auth policy",
	// Requirement, and "Condition keys that can be used in auth policies".
	if offset, found := policy.FindNewline(text); found {
		return "", nil, invalid("policy", "The policy in JSON must not contain newlines or blank lines: there is one at byte %d. Send this instead (or %s): %s", offset, newlineSetting, compact)
	}
	if bad := policy.MiscasedKeys(d); len(bad) > 0 {
		return "", nil, invalid("policy", "Condition keys are case sensitive: %s, at line %d column %d (or set conformance: observed)", bad[0].Message, bad[0].Line, bad[0].Column)
	}
	return compact, policy.Lint(d), nil
}

// PutAuthPolicy implements vpc-lattice:PutAuthPolicy.
func (s *Service) PutAuthPolicy(ctx context.Context, in *wire.PutAuthPolicyRequest) (*wire.PutAuthPolicyResponse, error) {
	scope := s.scope(ctx)
	text, warnings, err := s.document(*in.Policy)
	if err != nil {
		return nil, err
	}
	var p *protected
	err = s.cfg.Update(ctx, func(tx *store.Tx) error {
		if p, err = s.protected(tx, scope, *in.ResourceIdentifier); err != nil {
			return err
		}
		// The parent is read and not written: a condition on it keeps a policy from
		// outliving what it belongs to.
		record, err := model.AuthPolicies.Get(tx, p.key)
		if err != nil {
			return err
		}
		if record == nil {
			record = &model.AuthPolicy{Meta: model.Meta{ID: p.ID, ARN: p.ARN, Account: p.Account, Region: p.Region, Created: s.cfg.Clock()}}
		}
		record.Document, record.Updated = text, s.cfg.Clock()
		return model.AuthPolicies.Put(tx, p.key, record)
	})
	if err != nil {
		return nil, err
	}
	// The answer has no room for them; the first few tell what is going on.
	for _, w := range warnings[:min(len(warnings), 10)] {
		s.cfg.Log.WarnContext(ctx, "an auth policy may not do what it seems to", "resource", p.ARN, "statement", w.Statement, "sid", w.Sid, "code", w.Code, "warning", w.Message, "fix", w.Fix)
	}
	return &wire.PutAuthPolicyResponse{Policy: &text, State: p.state()}, nil
}

// GetAuthPolicy implements vpc-lattice:GetAuthPolicy. Without a policy the answer
// is empty.
func (s *Service) GetAuthPolicy(ctx context.Context, in *wire.GetAuthPolicyRequest) (*wire.GetAuthPolicyResponse, error) {
	out := &wire.GetAuthPolicyResponse{}
	err := s.cfg.View(ctx, func(tx *store.Tx) error {
		p, err := s.protected(tx, s.scope(ctx), *in.ResourceIdentifier)
		if err != nil {
			return err
		}
		record, err := model.AuthPolicies.Get(tx, p.key)
		if err != nil || record == nil {
			return err
		}
		out = &wire.GetAuthPolicyResponse{
			CreatedAt: at(record.Created), LastUpdatedAt: at(record.Updated), Policy: &record.Document, State: p.state(),
		}
		return nil
	})
	return out, err
}

// DeleteAuthPolicy implements vpc-lattice:DeleteAuthPolicy. Where there is no
// policy it does nothing.
func (s *Service) DeleteAuthPolicy(ctx context.Context, in *wire.DeleteAuthPolicyRequest) (*wire.DeleteAuthPolicyResponse, error) {
	scope := s.scope(ctx)
	err := s.cfg.Update(ctx, func(tx *store.Tx) error {
		p, err := s.protected(tx, scope, *in.ResourceIdentifier)
		if err != nil {
			return err
		}
		// Source: VPC Lattice User Guide, "Remove an auth policy": "The request fails
		// if you remove an auth policy before changing the auth type to NONE."
		if p.authType == model.AuthIAM && !s.cfg.Observed {
			return refused("The auth type of %s is AWS_IAM: change it to NONE before you remove the auth policy. Run: %s (or set conformance: observed to remove it all the same, after which every request is denied)", p.ID, p.update)
		}
		return model.AuthPolicies.Delete(tx, p.key)
	})
	return nil, err
}
