package etcd_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/latchwork/latchwork/internal/store"
	"github.com/latchwork/latchwork/internal/store/etcd"
	"github.com/latchwork/latchwork/internal/store/storetest"
)

func start(t *testing.T, dir string, minFree int64) *etcd.Backend {
	t.Helper()
	b, err := etcd.Start(context.Background(), etcd.Embedded{
		Dir: dir, Prefix: "latchwork/", MinFree: minFree, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// One member serves all the contract's tests, each below a prefix of its own.
type prefixed struct {
	store.Backend
	prefix string
}

func (p prefixed) Get(ctx context.Context, key string, at store.Revision) (store.KV, store.Revision, error) {
	kv, rev, err := p.Backend.Get(ctx, p.prefix+key, at)
	kv.Key = key
	return kv, rev, err
}

func (p prefixed) Range(ctx context.Context, prefix, after string, limit int, at store.Revision) (store.Page, error) {
	if after != "" {
		after = p.prefix + after
	}
	page, err := p.Backend.Range(ctx, p.prefix+prefix, after, limit, at)
	for i := range page.KVs {
		page.KVs[i].Key = strings.TrimPrefix(page.KVs[i].Key, p.prefix)
	}
	return page, err
}

func (p prefixed) Commit(ctx context.Context, conditions []store.Condition, writes []store.Write) (store.Revision, error) {
	cs := make([]store.Condition, len(conditions))
	for i, c := range conditions {
		if c.Prefix != "" {
			c.Prefix = p.prefix + c.Prefix
		} else {
			c.Key = p.prefix + c.Key
		}
		cs[i] = c
	}
	ws := make([]store.Write, len(writes))
	for i, w := range writes {
		ws[i] = store.Write{Key: p.prefix + w.Key, Value: w.Value}
	}
	return p.Backend.Commit(ctx, cs, ws)
}

func (p prefixed) Watch(ctx context.Context, from store.Revision) <-chan store.Batch {
	out := make(chan store.Batch)
	go func() {
		defer close(out)
		for batch := range p.Backend.Watch(ctx, from) {
			for i := range batch.Events {
				batch.Events[i].Key = strings.TrimPrefix(batch.Events[i].Key, p.prefix)
			}
			select {
			case out <- batch:
			case <-ctx.Done():
			}
		}
	}()
	return out
}

func TestContract(t *testing.T) {
	b := start(t, t.TempDir(), 0)
	defer b.Close()
	var n atomic.Int64
	storetest.Run(t, func(*testing.T) store.Backend {
		return prefixed{b, fmt.Sprintf("test%d/", n.Add(1))}
	})
}

func TestReopenKeepsEverything(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	b := start(t, dir, 0)
	wrote, err := b.Commit(ctx, nil, []store.Write{{Key: "k", Value: []byte("kept")}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := etcd.Start(ctx, etcd.Embedded{Dir: dir, Log: slog.New(slog.DiscardHandler)}); !errors.Is(err, etcd.ErrInUse) {
		t.Errorf("second start on the same directory: %v, want %v", err, etcd.ErrInUse)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b = start(t, dir, 0)
	defer b.Close()
	kv, _, err := b.Get(ctx, "k", 0)
	if err != nil || string(kv.Value) != "kept" || kv.Revision != wrote {
		t.Errorf("after reopening: %q at %d (%v), want \"kept\" at %d", kv.Value, kv.Revision, err, wrote)
	}
}

func TestLongDataDirectory(t *testing.T) {
	b := start(t, filepath.Join(t.TempDir(), strings.Repeat("long-name/", 12)), 0)
	defer b.Close()
	if err := b.Healthy(context.Background()); err != nil {
		t.Error(err)
	}
}

func TestFullDiskRefusesWritesAndServesReads(t *testing.T) {
	ctx := context.Background()
	b := start(t, t.TempDir(), 1<<62)
	defer b.Close()
	_, err := b.Commit(ctx, nil, []store.Write{{Key: "k", Value: []byte("v")}})
	if !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("write without room: %v, want %v", err, store.ErrUnavailable)
	}
	if err := b.Healthy(ctx); err == nil {
		t.Error("healthy without room to write")
	}
	if _, _, err := b.Get(ctx, "k", 0); err != nil {
		t.Errorf("read without room: %v", err)
	}
}

func TestLostBackendIsUnavailable(t *testing.T) {
	b := start(t, t.TempDir(), 0)
	b.Close()
	if _, _, err := b.Get(context.Background(), "k", 0); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("read after the end: %v, want %v", err, store.ErrUnavailable)
	}
}
