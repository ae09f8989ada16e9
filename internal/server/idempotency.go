package server

import (
	"context"
	"errors"
	"hash/crc32"
	"sync"
	"time"

	"github.com/latchwork/latchwork/internal/awsapi"
	"github.com/latchwork/latchwork/internal/clock"
	"github.com/latchwork/latchwork/internal/fault"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/store"
)

// tokenLife is how long the answer to a call with an idempotency token is kept.
const tokenLife = 24 * time.Hour

// answers keeps the answers to calls with idempotency tokens in the store, so that
// a repeated call has no second effect on any server.
type answers struct {
	store *store.Store
	clock clock.Clock
	// locks let two calls with one token run one after the other in this process.
	// Calls on two servers at the same instant are told apart by unique names.
	locks [64]sync.Mutex
}

// Once implements awsapi.Idempotency.
func (a *answers) Once(ctx context.Context, t *awsapi.Token, call func(context.Context) ([]byte, error)) ([]byte, error) {
	lock := a.lock(t.Key)
	lock.Lock()
	defer lock.Unlock()
	var known *model.TokenAnswer
	err := a.store.View(ctx, func(tx *store.Tx) error {
		var err error
		known, err = model.Tokens.Get(tx, t.Key)
		return err
	})
	if errors.Is(err, store.ErrUnavailable) {
		return nil, fault.Unavailable(err)
	}
	if err != nil {
		return nil, err
	}
	if known != nil && a.clock().Before(known.Expires) {
		if known.Hash != t.Hash {
			return nil, awsapi.ErrTokenReused
		}
		return known.Answer, nil
	}
	answer, err := call(ctx)
	if err != nil {
		return nil, err
	}
	// The call has been made: an answer that cannot be kept is still its answer.
	_, _ = a.store.Update(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		return model.Tokens.Put(tx, t.Key, &model.TokenAnswer{Hash: t.Hash, Answer: answer, Expires: a.clock().Add(tokenLife)})
	})
	return answer, nil
}

// lock is that of a token: few others share it.
func (a *answers) lock(key string) *sync.Mutex {
	return &a.locks[crc32.ChecksumIEEE([]byte(key))%uint32(len(a.locks))]
}

// sweep removes answers that nobody will ask for any more.
func (a *answers) sweep(ctx context.Context) error {
	return sweep(ctx, a.store, model.Tokens, func(t *model.TokenAnswer) bool { return !a.clock().Before(t.Expires) })
}
