package sts

import (
	"bytes"
	"compress/flate"
	"context"
	"encoding/json"
	"strings"
	"unicode/utf8"

	"github.com/latchwork/latchwork/internal/fault"
	wire "github.com/latchwork/latchwork/internal/wire/sts"
)

// Limits of session policies.
// Source: STS API Reference, AssumeRole, Policy and PolicyArns: "The plaintext
// that you use for both inline and managed session policies can't exceed 2,048
// characters"; "You can provide up to 10 managed policy ARNs".
const (
	maxPolicyText = 2048
	maxPolicyARNs = 10
)

// sessionPolicies are the session policies of a request.
type sessionPolicies struct {
	inline []string
	arns   []string
}

// sessionPolicies checks session policies; managed ones must be AWS's or of the
// session's account.
func (s *Service) sessionPolicies(ctx context.Context, account string, inline *string, managed []wire.PolicyDescriptorType) (*sessionPolicies, error) {
	out := &sessionPolicies{}
	size := 0
	if inline != nil {
		size += utf8.RuneCountInString(*inline)
		out.inline = []string{*inline}
	}
	if len(managed) > maxPolicyARNs {
		return nil, invalid("1 validation error detected: Value at 'policyArns' failed to satisfy constraint: Member must have length less than or equal to %d", maxPolicyARNs)
	}
	for _, d := range managed {
		if d.Arn == nil {
			return nil, invalid("1 validation error detected: Value null at 'policyArns' failed to satisfy constraint: Member must not be null")
		}
		parts := strings.SplitN(*d.Arn, ":", 6)
		if len(parts) != 6 || parts[0] != "arn" || parts[2] != "iam" || !strings.HasPrefix(parts[5], "policy/") {
			return nil, invalid("%s is invalid", *d.Arn)
		}
		if owner := parts[4]; owner != "aws" && owner != account || !s.cfg.World.HasPolicy(ctx, *d.Arn) {
			return nil, invalid("Policy %s does not exist or is not attachable.", *d.Arn)
		}
		size += utf8.RuneCountInString(*d.Arn)
		out.arns = append(out.arns, *d.Arn)
	}
	if size > maxPolicyText {
		return nil, invalid("1 validation error detected: Value at 'policy' failed to satisfy constraint: Member must have length less than or equal to %d", maxPolicyText)
	}
	if inline != nil {
		if err := checkSession(*inline); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// packedBudget is how many bytes policies and tags may take in a session token
// when they are compressed. AWS does not tell its own budget; this one keeps a
// token well within the header that carries it.
const packedBudget = 4096

// packedSize is the share of the budget in percent.
func packedSize(p *sessionPolicies, tags map[string]string) (*int64, error) {
	if len(p.inline) == 0 && len(p.arns) == 0 && len(tags) == 0 {
		return new(int64(0)), nil
	}
	text, err := json.Marshal([]any{p.inline, p.arns, tags})
	if err != nil {
		return nil, err
	}
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, flate.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(text); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	percent := int64((packed.Len()*100 + packedBudget - 1) / packedBudget)
	if percent > 100 {
		return nil, fault.New("PackedPolicyTooLarge", "Packed policy consumes %d%% of allotted space, please use smaller policy.", percent)
	}
	return &percent, nil
}
