package server

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchwork/latchwork/internal/clock"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/service/iam"
	"github.com/latchwork/latchwork/internal/sigv4"
	"github.com/latchwork/latchwork/internal/store"
	"github.com/latchwork/latchwork/internal/wire"
)

// freeAddr is an address that nobody listens on.
func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func testConfig(t *testing.T) Config {
	t.Helper()
	c := Defaults()
	c.DataDir, c.APIAddr, c.AdminAddr, c.LogLevel = filepath.Join(t.TempDir(), "data"), freeAddr(t), freeAddr(t), "error"
	_, port, _ := net.SplitHostPort(freeAddr(t))
	c.GatewayPorts = port + "=80"
	return c
}

// openServer opens a server of which only the publisher runs.
func openServer(t *testing.T) *Server {
	t.Helper()
	checked, err := testConfig(t).check()
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{
		cfg: checked, clock: clock.System, log: slog.New(slog.DiscardHandler), verifier: sigv4.NewVerifier(), admins: map[string]*Admin{},
	}
	running, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	t.Cleanup(func() {
		stop()
		wg.Wait()
		if err := s.close(); err != nil {
			t.Error(err)
		}
	})
	if err := s.open(running); err != nil {
		t.Fatal(err)
	}
	wg.Go(func() { _ = s.publisher.Run(running) })
	return s
}

// A server takes requests when it says so.
func TestReady(t *testing.T) {
	c := testConfig(t)
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	called := false
	var banner bytes.Buffer
	err := Run(ctx, c, &banner, func(info *Info) {
		defer stop()
		called = true
		conn, err := net.Dial("tcp", info.Gateway[80])
		if err != nil {
			t.Error(err)
		} else {
			conn.Close()
		}
		answer, err := http.Get(info.AdminURL + "/readyz")
		if err != nil {
			t.Error(err)
			return
		}
		defer answer.Body.Close()
		if text, _ := io.ReadAll(answer.Body); answer.StatusCode != http.StatusOK {
			t.Errorf("not ready: %s", text)
		}
	})
	if err != nil || !called || !strings.HasPrefix(banner.String(), "latchwork is ready\n") {
		t.Errorf("ended with %v:\n%s", err, banner.String())
	}
}

func TestNotReady(t *testing.T) {
	s := openServer(t)
	if err := s.publisher.WaitFor(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if got := s.readiness(t.Context()); got.Ready || len(got.Reasons) != 1 || !strings.Contains(got.Reasons[0], "gateway") {
		t.Errorf("before the gateway runs: %+v", got)
	}
}

// Whatever stops a start, the next one has an administrator whose key is known.
func TestAdministratorIsNeverLost(t *testing.T) {
	c := testConfig(t)
	path := AdminFile(c.DataDir, c.AccountID)
	if err := os.MkdirAll(path, 0o700); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	if err := Run(ctx, c, io.Discard, nil); err == nil || ctx.Err() != nil {
		t.Fatalf("a start that cannot keep the key ended with %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := Run(ctx, c, io.Discard, func(*Info) { stop() }); err != nil {
		t.Fatal(err)
	}
	admin, err := ReadAdmin(c.DataDir, c.AccountID)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 || admin.SecretAccessKey == "" {
		t.Errorf("%v %v", info, err)
	}
	left, err := filepath.Glob(filepath.Join(c.DataDir, "*.new-*"))
	if err != nil || len(left) != 0 {
		t.Errorf("files left: %v, %v", left, err)
	}
}

// rival is a backend on which another server makes the administrator first.
type rival struct {
	store.Backend
	first func()
}

func (r *rival) Commit(ctx context.Context, conditions []store.Condition, writes []store.Write) (store.Revision, error) {
	r.first()
	return r.Backend.Commit(ctx, conditions, writes)
}

func TestAdministratorOfAnotherServer(t *testing.T) {
	s := openServer(t)
	other := s.iamConfig()
	s.store = store.New(&rival{s.backend, sync.OnceFunc(func() {
		made, err := iam.Administrator(t.Context(), other, s.cfg.AccountID, "admin", func(string, wire.Secret) error { return nil })
		if !made || err != nil {
			t.Errorf("the other server: %t, %v", made, err)
		}
	})})
	if err := s.bootstrap(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadAdmin(s.cfg.DataDir, s.cfg.AccountID); err == nil || len(s.admins) != 0 {
		t.Errorf("a key that is worth nothing was kept: %v, %v", s.admins, err)
	}
}

// A request that does not end is cut off, and the server ends all the same.
func TestShutDown(t *testing.T) {
	began, ended := make(chan struct{}), make(chan struct{})
	h := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(began)
		<-r.Context().Done()
		close(ended)
	})}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 2)
	go func() { served <- h.Serve(l) }()
	go func() {
		answer, err := http.Get("http://" + l.Addr().String())
		if err == nil {
			answer.Body.Close()
		}
	}()
	<-began
	over, stop := context.WithCancel(t.Context())
	stop()
	if err := (&Server{log: slog.New(slog.DiscardHandler)}).shutDown(over, h); err != nil {
		t.Error(err)
	}
	<-ended
	if err := <-served; err != http.ErrServerClosed {
		t.Error(err)
	}
}

// What cannot be compiled is shown, whatever it is, and to its own account only.
func TestProblems(t *testing.T) {
	s := openServer(t)
	const other = "210987654321"
	id, err := model.NewAccessKeyID(model.LongTermKey, s.cfg.AccountID)
	if err != nil {
		t.Fatal(err)
	}
	revision, err := s.store.Update(t.Context(), func(tx *store.Tx) error {
		key := &model.AccessKey{Meta: model.Meta{ID: id, Account: s.cfg.AccountID}, Sealed: []byte("of another key file"), Active: true}
		role := &model.Role{Meta: model.Meta{ID: "AROA", Account: other, ARN: "arn:aws:iam::" + other + ":role/r", Name: "r"}, Trust: "{"}
		return errors.Join(model.AccessKeys.Put(tx, id, key), model.Roles.Put(tx, model.IAMKey(other, "r"), role))
	})
	if err == nil {
		err = s.publisher.WaitFor(t.Context(), revision)
	}
	if err != nil {
		t.Fatal(err)
	}
	for account, record := range map[string]string{s.cfg.AccountID: model.AccessKeys.Key(id), other: model.Roles.Key(model.IAMKey(other, "r"))} {
		if got := s.problems(account); len(got) != 1 || got[record] == "" {
			t.Errorf("problems of account %s: %v, want one of %s", account, got, record)
		}
	}
	if got := s.readiness(t.Context()); !slices.ContainsFunc(got.Warnings, func(w string) bool { return strings.HasPrefix(w, "2 records") }) {
		t.Errorf("readiness: %+v", got)
	}
	scrape := httptest.NewRecorder()
	s.adminHandler().ServeHTTP(scrape, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if !strings.Contains(scrape.Body.String(), "\nlatchwork_snapshot_problems 2\n") {
		t.Error("the metrics do not count both")
	}
}
