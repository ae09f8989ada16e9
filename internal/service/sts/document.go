package sts

import (
	"errors"

	"github.com/latchwork/latchwork/internal/fault"
	"github.com/latchwork/latchwork/internal/policy"
)

// checkSession refuses a text that is no session policy.
func checkSession(text string) error {
	_, err := policy.Parse(policy.Session, text)
	if err == nil {
		return nil
	}
	message := err.Error()
	if e, ok := errors.AsType[*policy.Error](err); ok {
		message = e.Explained()
	}
	return fault.New("MalformedPolicyDocument", "%s", message)
}
