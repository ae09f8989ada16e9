package iam

import "github.com/latchwork/latchwork/internal/fault"

// The texts are AWS's own as far as they are known from recorded answers.
// Sources: IAM API Reference (codes); recorded answers in the test suites of
// LocalStack and moto, and error reports of Terraform's AWS provider (texts).

func invalid(format string, args ...any) *fault.Error {
	return fault.New("ValidationError", format, args...)
}

func noSuchEntity(format string, args ...any) *fault.Error {
	return fault.New("NoSuchEntity", format, args...)
}

func conflict(format string, args ...any) *fault.Error {
	return fault.New("DeleteConflict", format, args...)
}

func exceeded(quota string, limit int) *fault.Error {
	return fault.New("LimitExceeded", "Cannot exceed quota for %s: %d", quota, limit)
}

// outside refuses to change a policy of AWS or of another account, whatever the
// caller's policies say.
func outside() *fault.Error {
	return fault.New("AccessDenied", "Policy is outside your own account.")
}
