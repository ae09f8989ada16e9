package sts

import (
	"context"

	"github.com/latchwork/latchwork/internal/model"
	wire "github.com/latchwork/latchwork/internal/wire/sts"
)

// GetCallerIdentity tells callers who they are.
func (s *Service) GetCallerIdentity(ctx context.Context, _ *wire.GetCallerIdentityRequest) (*wire.GetCallerIdentityResponse, error) {
	p := callerOf(ctx)
	return &wire.GetCallerIdentityResponse{Account: &p.Account, Arn: &p.ARN, UserId: &p.UserID}, nil
}

// GetAccessKeyInfo tells the account that is part of an access key's id, whether
// there is such a key or not.
// Source: STS API Reference, GetAccessKeyInfo.
func (s *Service) GetAccessKeyInfo(_ context.Context, in *wire.GetAccessKeyInfoRequest) (*wire.GetAccessKeyInfoResponse, error) {
	account, ok := model.AccessKeyAccount(*in.AccessKeyId)
	if !ok {
		return nil, invalid("The access key ID %s holds no account.", *in.AccessKeyId)
	}
	return &wire.GetAccessKeyInfoResponse{Account: &account}, nil
}
