package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchwork/latchwork/internal/server"
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

func testConfig(t *testing.T) server.Config {
	t.Helper()
	c := server.Defaults()
	c.DataDir, c.APIAddr, c.AdminAddr, c.LogLevel = filepath.Join(t.TempDir(), "data"), freeAddr(t), freeAddr(t), "error"
	_, port, _ := net.SplitHostPort(freeAddr(t))
	c.GatewayPorts = port + "=80"
	return c
}

// A server that ends answers the calls in flight, and takes no more.
func TestServerEndsAmidCalls(t *testing.T) {
	c := testConfig(t)
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	ready, done := make(chan *server.Info, 1), make(chan error, 1)
	go func() { done <- server.Run(ctx, c, io.Discard, func(i *server.Info) { ready <- i }) }()
	var info *server.Info
	select {
	case info = <-ready:
	case err := <-done:
		t.Fatalf("the server ended with %v", err)
	}
	admin, err := server.ReadAdmin(c.DataDir, info.AccountID)
	if err != nil {
		t.Fatal(err)
	}
	client := newClient(info, adminCredentials(admin))
	var calls sync.WaitGroup
	var made atomic.Int64
	for worker := range 8 {
		calls.Go(func() {
			for i := 0; ; i++ {
				in := map[string]string{"name": fmt.Sprintf("service-%d-%d", worker, i)}
				err := client.rest(t.Context(), "vpc-lattice", http.MethodPost, "/services", in, nil)
				var answered *apiError
				if errors.As(err, &answered) {
					t.Errorf("a call in flight was answered with %v", err)
				}
				if err != nil {
					return // nobody listens any more
				}
				if made.Add(1) == 50 {
					stop()
				}
			}
		})
	}
	if err := <-done; err != nil {
		t.Errorf("the server ended with %v", err)
	}
	calls.Wait()
}
