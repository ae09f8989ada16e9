package sts

import (
	"context"
	"encoding/base32"
	"encoding/binary"
	"fmt"

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
	account, ok := accountIn(*in.AccessKeyId)
	if !ok {
		return nil, invalid("The access key ID %s holds no account.", *in.AccessKeyId)
	}
	return &wire.GetAccessKeyInfoResponse{Account: &account}, nil
}

// accountIn reads the account out of an access key's id: 40 of the first 48 bits
// of the base 32 that follows the prefix of four letters. Ids of AWS's first
// years have no account and a zero before it.
func accountIn(id string) (string, bool) {
	if len(id) != 20 {
		return "", false
	}
	raw, err := base32.StdEncoding.DecodeString(id[4:])
	if err != nil {
		return "", false
	}
	var word [8]byte
	copy(word[2:], raw[:6])
	head := binary.BigEndian.Uint64(word[:])
	number := head & (1<<47 - 1) >> 7
	if head>>47 == 0 || number > 999999999999 {
		return "", false
	}
	return fmt.Sprintf("%012d", number), true
}
