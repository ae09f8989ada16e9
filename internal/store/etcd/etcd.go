// Package etcd is the store's backend: an etcd cluster, or one etcd member inside
// this process. Both are used through the same client, so nothing changes for the
// rest of the program when an installation outgrows one machine.
package etcd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/latchwork/latchwork/internal/store"
)

// requestTimeout bounds one request to etcd, so that a lost cluster is an answer
// and not a hang.
const requestTimeout = 5 * time.Second

// maxTxnOps is how many conditions or writes one commit may have. etcd's own limit
// of 128 is too small for the deletion of a listener with its rules; a cluster
// elsewhere has the limit that it was started with.
const maxTxnOps = 4096

// Backend implements store.Backend.
type Backend struct {
	client *clientv3.Client
	prefix string
	log    *slog.Logger
	// alive tells why the member has ended, or nil; writable also why nothing may be
	// written now.
	alive    func() error
	writable func() error
	close    func() error
}

// External says where a cluster is.
type External struct {
	Endpoints []string
	// Prefix of all keys, so that a cluster can be shared; it ends in '/'.
	Prefix   string
	Username string
	Password string
	// TLS is nil for cleartext.
	TLS *tls.Config
	Log *slog.Logger
}

// Connect uses a cluster elsewhere. It fails if the cluster does not answer now.
func Connect(ctx context.Context, c External) (*Backend, error) {
	client, err := clientv3.New(clientv3.Config{
		Endpoints:            c.Endpoints,
		DialTimeout:          requestTimeout,
		DialKeepAliveTime:    10 * time.Second,
		DialKeepAliveTimeout: 3 * time.Second,
		Username:             c.Username,
		Password:             c.Password,
		TLS:                  c.TLS,
		Logger:               bridge(c.Log, nil, nil),
	})
	if err != nil {
		return nil, fmt.Errorf("connecting to etcd at %s: %w", strings.Join(c.Endpoints, ", "), err)
	}
	b := &Backend{
		client: client, prefix: c.Prefix, log: c.Log,
		alive:    func() error { return nil },
		writable: func() error { return nil },
		close:    client.Close,
	}
	if err := b.Healthy(ctx); err != nil {
		client.Close()
		return nil, fmt.Errorf("etcd at %s does not answer: %w", strings.Join(c.Endpoints, ", "), err)
	}
	return b, nil
}

// bounded calls etcd and gives up when requestTimeout or ctx is over. A member in
// this process that has lost its disk may never return, whatever its context says;
// then the goroutine is all that is lost.
func bounded[T any](ctx context.Context, call func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	type result struct {
		answer T
		err    error
	}
	done := make(chan result, 1)
	go func() {
		defer cancel()
		answer, err := call(ctx)
		done <- result{answer, err}
	}()
	select {
	case r := <-done:
		return r.answer, classify(r.err)
	case <-ctx.Done():
		select {
		case r := <-done: // cancel is also called when the answer is there
			return r.answer, classify(r.err)
		default:
			var none T
			return none, classify(ctx.Err())
		}
	}
}

// Get implements store.Backend.
func (b *Backend) Get(ctx context.Context, key string, at store.Revision) (store.KV, store.Revision, error) {
	if err := b.alive(); err != nil {
		return store.KV{}, 0, fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	}
	answer, err := bounded(ctx, func(ctx context.Context) (*clientv3.GetResponse, error) {
		return b.client.Get(ctx, b.prefix+key, clientv3.WithRev(int64(at)))
	})
	if err != nil {
		return store.KV{}, 0, err
	}
	if at == 0 {
		at = store.Revision(answer.Header.Revision)
	}
	kv := store.KV{Key: key}
	if len(answer.Kvs) > 0 {
		kv.Value = answer.Kvs[0].Value
		kv.Revision = store.Revision(answer.Kvs[0].ModRevision)
	}
	return kv, at, nil
}

// Range implements store.Backend.
func (b *Backend) Range(ctx context.Context, prefix, after string, limit int, at store.Revision) (store.Page, error) {
	if err := b.alive(); err != nil {
		return store.Page{}, fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	}
	from := b.prefix + prefix
	if after != "" {
		from = b.prefix + after + "\x00"
	}
	answer, err := bounded(ctx, func(ctx context.Context) (*clientv3.GetResponse, error) {
		return b.client.Get(ctx, from,
			clientv3.WithRange(clientv3.GetPrefixRangeEnd(b.prefix+prefix)),
			clientv3.WithLimit(int64(limit)),
			clientv3.WithRev(int64(at)))
	})
	if err != nil {
		return store.Page{}, err
	}
	if at == 0 {
		at = store.Revision(answer.Header.Revision)
	}
	page := store.Page{Revision: at, More: answer.More, KVs: make([]store.KV, len(answer.Kvs))}
	for i, kv := range answer.Kvs {
		page.KVs[i] = store.KV{
			Key:      string(kv.Key[len(b.prefix):]),
			Value:    kv.Value,
			Revision: store.Revision(kv.ModRevision),
		}
	}
	return page, nil
}

// Commit implements store.Backend.
func (b *Backend) Commit(ctx context.Context, conditions []store.Condition, writes []store.Write) (store.Revision, error) {
	if err := b.writable(); err != nil {
		return 0, fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	}
	compares := make([]clientv3.Cmp, len(conditions))
	for i, c := range conditions {
		if c.Prefix != "" {
			// Of an empty range etcd compares a zero key, which passes.
			compares[i] = clientv3.Compare(clientv3.ModRevision(b.prefix+c.Prefix), "<", int64(c.Revision)+1).WithPrefix()
			continue
		}
		compares[i] = clientv3.Compare(clientv3.ModRevision(b.prefix+c.Key), "=", int64(c.Revision))
	}
	ops := make([]clientv3.Op, len(writes))
	for i, w := range writes {
		if w.Value == nil {
			ops[i] = clientv3.OpDelete(b.prefix + w.Key)
			continue
		}
		ops[i] = clientv3.OpPut(b.prefix+w.Key, string(w.Value))
	}
	answer, err := bounded(ctx, func(ctx context.Context) (*clientv3.TxnResponse, error) {
		return b.client.Txn(ctx).If(compares...).Then(ops...).Commit()
	})
	if err != nil {
		return 0, err
	}
	if !answer.Succeeded {
		return 0, store.ErrConflict
	}
	return store.Revision(answer.Header.Revision), nil
}

// Watch implements store.Backend.
func (b *Backend) Watch(ctx context.Context, from store.Revision) <-chan store.Batch {
	out := make(chan store.Batch)
	// RequireLeader ends the stream of a member that lost its cluster, instead of
	// leaving it silent.
	changes := b.client.Watch(clientv3.WithRequireLeader(ctx), b.prefix,
		clientv3.WithPrefix(), clientv3.WithRev(int64(from)+1))
	go func() {
		defer close(out)
		for answer := range changes {
			if err := answer.Err(); err != nil {
				b.log.Warn("the store's stream of changes broke", "error", err)
				return
			}
			batch := store.Batch{Revision: store.Revision(answer.Header.Revision)}
			for _, e := range answer.Events {
				event := store.Event{
					Key:      string(e.Kv.Key[len(b.prefix):]),
					Revision: store.Revision(e.Kv.ModRevision),
				}
				if e.Type == clientv3.EventTypePut {
					event.Value = e.Kv.Value
					if event.Value == nil {
						event.Value = []byte{}
					}
				}
				batch.Events = append(batch.Events, event)
			}
			if len(batch.Events) == 0 {
				continue
			}
			// The header's revision may be past the last event of this answer.
			batch.Revision = batch.Events[len(batch.Events)-1].Revision
			select {
			case out <- batch:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}

// Healthy implements store.Backend: it asks for a linearizable read, which needs
// a quorum, and for room to write.
func (b *Backend) Healthy(ctx context.Context) error {
	if err := b.writable(); err != nil {
		return err
	}
	_, err := bounded(ctx, func(ctx context.Context) (*clientv3.GetResponse, error) {
		return b.client.Get(ctx, b.prefix+"health", clientv3.WithCountOnly())
	})
	return err
}

// Close implements store.Backend.
func (b *Backend) Close() error { return b.close() }

// classify maps etcd's errors to the store's. Everything that is not the caller's
// own cancellation counts as unavailability: the rest of the program has no use
// for etcd's distinctions.
func classify(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, rpctypes.ErrCompacted), errors.Is(err, rpctypes.ErrFutureRev):
		return fmt.Errorf("%w: %w", store.ErrCompacted, err)
	case errors.Is(err, rpctypes.ErrTooManyOps):
		return fmt.Errorf("%w: %w: start etcd with --max-txn-ops=%d", store.ErrTooLarge, err, maxTxnOps)
	case errors.Is(err, context.Canceled):
		return err
	default:
		return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	}
}
