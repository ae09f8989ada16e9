package lattice

import (
	"context"
	"errors"
	"strings"

	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/policy"
	"github.com/latchwork/latchwork/internal/store"
	wire "github.com/latchwork/latchwork/internal/wire/vpclattice"
)

// resourcePolicy checks a resource policy and gives the text that is stored. It can
// only share: a Deny that is stored and refuses nobody would be a promise not kept.
// Source: VPC Lattice API Reference, PutResourcePolicy: the policy must hold what
// the RAM permission for the kind of resource does, which only allows.
func resourcePolicy(text string) (string, error) {
	d, err := policy.Parse(policy.Resource, text)
	if err != nil {
		return "", invalidPolicy(err)
	}
	for i := range d.Statements {
		st := &d.Statements[i]
		if !st.Allow {
			return "", invalid("policy", "a resource policy shares what it belongs to: Effect must be Allow in statement %d; deny in identity policies", i)
		}
		if st.NotActions != nil {
			return "", invalid("policy", "a resource policy names the actions that it shares: Action is required in statement %d", i)
		}
		for _, a := range st.Actions {
			if vendor, _, _ := strings.Cut(a.Text, ":"); !strings.EqualFold(vendor, model.LatticeService) {
				return "", invalid("policy", "Invalid action in policy: %q is not an action of vpc-lattice, such as vpc-lattice:GetServiceNetwork", a.Text)
			}
		}
	}
	return policy.Compact(text)
}

// invalidPolicy is the answer to a policy that does not parse.
func invalidPolicy(err error) error {
	var bad *policy.Error
	if !errors.As(err, &bad) {
		return err
	}
	e := invalid("policy", "%s, at line %d column %d", bad.Explained(), bad.Line, bad.Column)
	if bad.Syntax {
		e.Reason = wire.ValidationExceptionReasonCannotParse
	}
	return e
}

// sharable is a service or service network, by its ARN.
func (s *Service) sharable(tx *store.Tx, scope model.Scope, arn string) (*protected, error) {
	if kindOf(arn) == "" {
		return nil, notFound("RESOURCE_CONFIGURATION", arn) // the only other kind that the ARN's pattern lets in
	}
	return s.protected(tx, scope, arn)
}

// PutResourcePolicy implements vpc-lattice:PutResourcePolicy. The policy is stored
// and answered; other accounts do not come in by it yet.
func (s *Service) PutResourcePolicy(ctx context.Context, in *wire.PutResourcePolicyRequest) (*wire.PutResourcePolicyResponse, error) {
	text, err := resourcePolicy(*in.Policy)
	if err != nil {
		return nil, err
	}
	scope := s.scope(ctx)
	return nil, s.cfg.Update(ctx, func(tx *store.Tx) error {
		p, err := s.sharable(tx, scope, *in.ResourceArn)
		if err != nil {
			return err
		}
		record, err := model.ResourcePolicies.Get(tx, p.key)
		if err != nil {
			return err
		}
		if record == nil {
			record = &model.ResourcePolicy{Meta: model.Meta{ID: p.ID, ARN: p.ARN, Account: p.Account, Region: p.Region, Created: s.cfg.Clock()}}
		}
		record.Document, record.Updated = text, s.cfg.Clock()
		return model.ResourcePolicies.Put(tx, p.key, record)
	})
}

// GetResourcePolicy implements vpc-lattice:GetResourcePolicy. Without a policy the
// answer is empty.
func (s *Service) GetResourcePolicy(ctx context.Context, in *wire.GetResourcePolicyRequest) (*wire.GetResourcePolicyResponse, error) {
	out := &wire.GetResourcePolicyResponse{}
	err := s.cfg.View(ctx, func(tx *store.Tx) error {
		p, err := s.sharable(tx, s.scope(ctx), *in.ResourceArn)
		if err != nil {
			return err
		}
		record, err := model.ResourcePolicies.Get(tx, p.key)
		if record != nil {
			out.Policy = &record.Document
		}
		return err
	})
	return out, err
}

// DeleteResourcePolicy implements vpc-lattice:DeleteResourcePolicy. Where there is
// no policy it does nothing.
func (s *Service) DeleteResourcePolicy(ctx context.Context, in *wire.DeleteResourcePolicyRequest) (*wire.DeleteResourcePolicyResponse, error) {
	scope := s.scope(ctx)
	return nil, s.cfg.Update(ctx, func(tx *store.Tx) error {
		p, err := s.sharable(tx, scope, *in.ResourceArn)
		if err != nil {
			return err
		}
		return model.ResourcePolicies.Delete(tx, p.key)
	})
}
