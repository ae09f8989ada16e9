package etcd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// Embedded says where the member inside this process keeps its data.
type Embedded struct {
	// Dir is made with mode 0700 if it is not there.
	Dir string
	// Prefix of all keys; it ends in '/'.
	Prefix string
	// MinFree is the free space in bytes below which nothing is written any more:
	// etcd cannot go on after a failed write, so writing stops before one fails.
	MinFree int64
	Log     *slog.Logger
}

// ErrInUse says that another process serves the data directory.
var ErrInUse = errors.New("the data directory is in use by another process")

// maxSocketPath is the longest path of a Unix socket on Linux, less a margin.
const maxSocketPath = 100

// Start runs one etcd member in this process. Its sockets are Unix sockets in the
// data directory: nothing of it can be reached over a network.
func Start(ctx context.Context, c Embedded) (*Backend, error) {
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, err
	}
	unlock, err := lock(filepath.Join(c.Dir, "lock"))
	if err != nil {
		return nil, err
	}
	sockets, err := socketDir(c.Dir)
	if err != nil {
		unlock()
		return nil, err
	}
	var failed atomic.Pointer[string]
	var closing atomic.Bool
	cfg := embed.NewConfig()
	cfg.Name = "latchwork"
	cfg.Dir = filepath.Join(c.Dir, "etcd")
	client := url.URL{Scheme: "unix", Path: filepath.Join(sockets, "client.sock")}
	peer := url.URL{Scheme: "unix", Path: filepath.Join(sockets, "peer.sock")}
	for _, socket := range []url.URL{client, peer} {
		// Left over from a process that was killed; the lock says it is not ours.
		if err := os.Remove(socket.Path); err != nil && !errors.Is(err, os.ErrNotExist) {
			unlock()
			return nil, err
		}
	}
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	// One member elects itself; the wait before it does is the time to start.
	cfg.TickMs, cfg.ElectionMs = 10, 100
	cfg.QuotaBackendBytes = 8 << 30
	cfg.MaxTxnOps = maxTxnOps
	// Paging reads at the revision of its first page, so revisions are kept a while.
	cfg.AutoCompactionMode, cfg.AutoCompactionRetention = "periodic", "1h"
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(bridge(c.Log, &closing, func(message string) { failed.Store(&message) }))

	server, err := embed.StartEtcd(cfg)
	if err != nil {
		unlock()
		return nil, fmt.Errorf("starting the embedded etcd in %s: %w", cfg.Dir, err)
	}
	stop := func() {
		closing.Store(true)
		server.Close()
		unlock()
		if sockets != c.Dir {
			os.RemoveAll(sockets)
		}
	}
	select {
	case <-server.Server.ReadyNotify():
	case err := <-server.Err():
		stop()
		return nil, fmt.Errorf("starting the embedded etcd in %s: %w", cfg.Dir, err)
	case <-ctx.Done():
		stop()
		return nil, ctx.Err()
	}
	b := &Backend{
		client: v3client.New(server.Server),
		prefix: c.Prefix,
		log:    c.Log,
		alive: func() error {
			if message := failed.Load(); message != nil {
				return fmt.Errorf("the embedded etcd stopped (%s): free the disk and start again", *message)
			}
			return nil
		},
	}
	b.writable = func() error {
		if err := b.alive(); err != nil {
			return err
		}
		return room(c.Dir, c.MinFree)
	}
	b.close = func() error {
		if b.alive() != nil {
			// A member that lost its disk does not end in order; the process will.
			unlock()
			return nil
		}
		err := b.client.Close()
		stop()
		if errors.Is(err, context.Canceled) {
			return nil
		}
		return err
	}
	return b, nil
}

// room tells if the file system of dir has less than free bytes left.
func room(dir string, free int64) error {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return err
	}
	if left := int64(fs.Bavail) * fs.Bsize; left < free {
		return fmt.Errorf("the disk of %s has %d MiB left, below the %d MiB that writing needs: free some space",
			dir, left>>20, free>>20)
	}
	return nil
}

// lock takes the data directory for this process.
func lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("%w: %s", ErrInUse, filepath.Dir(path))
	}
	return func() { f.Close() }, nil
}

// socketDir is the data directory, or a private temporary one if the paths of
// sockets in the data directory would be longer than the kernel takes.
func socketDir(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if len(filepath.Join(dir, "client.sock")) <= maxSocketPath {
		return dir, nil
	}
	return os.MkdirTemp("", "latchwork-etcd-")
}

// bridge gives etcd a logger that writes to ours. etcd is chatty: what it calls
// information is our debug level. Its last words before it would end the process
// end only the goroutine that spoke them, after fatal has been told: the gateway
// must go on enforcing the last snapshot when the store is gone.
func bridge(log *slog.Logger, closing *atomic.Bool, fatal func(message string)) *zap.Logger {
	core := &slogCore{log: log.With("component", "etcd"), closing: closing, fatal: fatal}
	return zap.New(core, zap.WithFatalHook(zapcore.WriteThenGoexit), zap.WithPanicHook(goexit{}))
}

// goexit ends the goroutine like WriteThenGoexit, for zap's panics.
type goexit struct{}

func (goexit) OnWrite(entry *zapcore.CheckedEntry, fields []zapcore.Field) {
	zapcore.WriteThenGoexit.OnWrite(entry, fields)
}

type slogCore struct {
	log     *slog.Logger
	closing *atomic.Bool
	fatal   func(string)
}

// harmless are errors that etcd reports at every first start, and that mean
// nothing.
var harmless = map[string]bool{
	// The schema's version is written when the first snapshot is.
	"failed to update storage version": true,
}

func (c *slogCore) Enabled(zapcore.Level) bool { return true }

func (c *slogCore) With(fields []zapcore.Field) zapcore.Core {
	return &slogCore{log: c.log.With(attrs(fields)...), closing: c.closing, fatal: c.fatal}
}

func (c *slogCore) Check(e zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	return checked.AddCore(e, c)
}

func (c *slogCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	level := slog.LevelDebug
	switch {
	case e.Level >= zapcore.DPanicLevel:
		level = slog.LevelError
		if c.fatal != nil && e.Level > zapcore.DPanicLevel {
			c.fatal(e.Message)
		}
	case e.Level == zapcore.ErrorLevel && !harmless[e.Message] && !(c.closing != nil && c.closing.Load()):
		// While it is closed etcd calls its own end an error.
		level = slog.LevelWarn
	}
	c.log.Log(context.Background(), level, e.Message, attrs(fields)...)
	return nil
}

func (c *slogCore) Sync() error { return nil }

func attrs(fields []zapcore.Field) []any {
	enc := zapcore.NewMapObjectEncoder()
	for _, f := range fields {
		f.AddTo(enc)
	}
	out := make([]any, 0, len(enc.Fields))
	for name, value := range enc.Fields {
		if d, ok := value.(time.Duration); ok {
			value = d.String()
		}
		out = append(out, slog.Any(name, value))
	}
	return out
}
