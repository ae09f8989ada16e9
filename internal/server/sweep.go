package server

import (
	"context"
	"time"

	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/store"
)

const (
	// sweepEvery is how often old records are removed.
	sweepEvery = time.Hour
	// operationLife is how long an operation of Cloud Map can be looked up.
	operationLife = 24 * time.Hour
)

func (s *Server) sweep(ctx context.Context) error {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		if err := s.answers.sweep(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("old idempotency tokens could not be removed", "error", err)
		}
		if err := s.sweepOperations(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("old operations of Cloud Map could not be removed", "error", err)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *Server) sweepOperations(ctx context.Context) error {
	return sweep(ctx, s.store, model.CloudMapOperations, func(o *model.CloudMapOperation) bool { return !s.clock().Before(o.Expires) })
}

// sweep removes the records of a collection that have expired.
func sweep[T any](ctx context.Context, records *store.Store, c store.Collection[T], expired func(*T) bool) error {
	var old []string
	err := records.View(ctx, func(tx *store.Tx) error {
		items, err := c.List(tx, "")
		for _, item := range items {
			if expired(item.Record) {
				old = append(old, item.ID)
			}
		}
		return err
	})
	for len(old) > 0 && err == nil {
		n := min(len(old), 100)
		_, err = records.Update(ctx, func(tx *store.Tx) error {
			for _, id := range old[:n] {
				// It may have been written again meanwhile.
				known, err := c.Get(tx, id)
				if err != nil {
					return err
				}
				if known == nil || !expired(known) {
					continue
				}
				if err := c.Delete(tx, id); err != nil {
					return err
				}
			}
			return nil
		})
		old = old[n:]
	}
	return err
}
