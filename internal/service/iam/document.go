package iam

import (
	"errors"

	"github.com/latchwork/latchwork/internal/fault"
	"github.com/latchwork/latchwork/internal/policy"
)

func parseDocument(kind policy.Kind, text string) (*policy.Document, error) {
	document, err := policy.Parse(kind, text)
	if err == nil {
		return document, nil
	}
	message := err.Error()
	if e, ok := errors.AsType[*policy.Error](err); ok {
		message = e.Explained()
	}
	return nil, malformed("%s", message)
}

func malformed(format string, args ...any) *fault.Error {
	return fault.New("MalformedPolicyDocument", format, args...)
}

// checkDocument refuses a text that is no identity policy.
func (s *Service) checkDocument(text string) error {
	_, err := parseDocument(policy.Identity, text)
	return err
}

// checkManaged refuses a text that is no identity policy or too long for a
// managed policy.
func (s *Service) checkManaged(text string) error {
	if err := s.checkDocument(text); err != nil {
		return err
	}
	return checkSize(text, "PolicySize", s.cfg.Quotas.PolicySize)
}

// checkTrust refuses a text that is no trust policy or too long for one.
func (s *Service) checkTrust(text string) (*policy.Document, error) {
	document, err := parseDocument(policy.Trust, text)
	if err != nil {
		return nil, err
	}
	return document, checkSize(text, "ACLSizePerRole", s.cfg.Quotas.TrustPolicySize)
}

func checkSize(text, quota string, limit int) error {
	if policy.Size(text) > limit {
		return exceeded(quota, limit)
	}
	return nil
}
