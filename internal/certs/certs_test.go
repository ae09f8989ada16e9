package certs

import (
	"context"
	"log/slog"
	"slices"
	"testing"

	"github.com/latchwork/latchwork/internal/clock"
	"github.com/latchwork/latchwork/internal/store"
	"github.com/latchwork/latchwork/internal/store/etcd"
)

// plain is a Sealer that does not encrypt.
type plain struct{}

func (plain) Seal(text []byte, _ string) ([]byte, error)   { return text, nil }
func (plain) Open(sealed []byte, _ string) ([]byte, error) { return sealed, nil }

// TestIssue: a certificate has the names that are asked for and no other, and none is
// issued for what is no name.
func TestIssue(t *testing.T) {
	backend, err := etcd.Start(context.Background(), etcd.Embedded{Dir: t.TempDir(), Prefix: "t/", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = backend.Close() })
	a, err := Open(t.Context(), store.New(backend), plain{}, clock.System, Installation)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := a.Issue("A.example", "b.example", "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	if got := leaf.Leaf; !slices.Equal(got.DNSNames, []string{"a.example", "b.example"}) || len(got.IPAddresses) != 1 || got.IPAddresses[0].String() != "127.0.0.1" {
		t.Errorf("%v %v", got.DNSNames, got.IPAddresses)
	}
	if again, err := a.Issue("a.example", "b.example", "127.0.0.1"); err != nil || again != leaf {
		t.Errorf("the same names have another certificate: %v", err)
	}
	for _, names := range [][]string{nil, {""}, {" "}, {"a.example", ""}, {"a.example b.example"}, {"a.example\u00a0b.example"}, {"a.example\x00"}} {
		if leaf, err := a.Issue(names...); err == nil {
			t.Errorf("%q has a certificate for %q", names, leaf.Leaf.DNSNames)
		}
	}
}
