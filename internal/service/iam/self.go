package iam

import (
	"context"

	"github.com/latchwork/latchwork/internal/awsapi"
	"github.com/latchwork/latchwork/internal/identity"
)

// self is the principal whom a call that names no user is about: the user or
// the root user who made it.
// Source: IAM API Reference, GetUser and CreateAccessKey, parameter UserName.
func self(ctx context.Context) (*identity.Principal, error) {
	p := awsapi.FromContext(ctx).Caller.Principal
	if p.Kind != identity.User && p.Kind != identity.Root {
		return nil, invalid("Must specify userName when calling with non-User credentials")
	}
	return p, nil
}

// owner is the name of the user whom a call is about, "" for the root user.
func owner(ctx context.Context, userName *string) (string, error) {
	if userName != nil {
		return *userName, nil
	}
	p, err := self(ctx)
	if err != nil || p.Kind == identity.Root {
		return "", err
	}
	return p.Name, nil
}
