package awsapi

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/latchwork/latchwork/internal/clock"
)

// Config says what an API is made of. Bindings, Authenticator and Authorizer are
// required.
type Config struct {
	Bindings      []Binding
	Authenticator Authenticator
	Authorizer    Authorizer
	// Clock tells when a request came in; nil means the machine's clock.
	Clock clock.Clock
	// Log takes the causes of internal failures; nil means slog.Default().
	Log *slog.Logger
	// Snapshot is called once for each request; its result is Call.Snapshot.
	Snapshot func() any
	// Idempotency keeps answers by token; nil means tokens are not looked at.
	Idempotency Idempotency
	// Observe is called after each request, for audit and metrics.
	Observe func(context.Context, *Result)
	// Region is the region of calls without a credential scope; "" is us-east-1.
	Region string
	// Partition is that of principals who name none; "" is aws.
	Partition string
	// MaxBody is the most bytes of a body; 0 is DefaultMaxBody.
	MaxBody int64
	// MaxHeader is the most bytes of all header lines; 0 is DefaultMaxHeader.
	MaxHeader int
}

// Limits where the configuration names none. The largest input that a model
// allows is SAMLAssertion with 100,000 characters; a form may treble it.
const (
	DefaultMaxBody   = 1 << 20
	DefaultMaxHeader = 48 << 10
)

// Result is what became of one request.
type Result struct {
	Call *Call
	// Status and Code are those of the answer; Code is "" for a success.
	Status int
	Code   string
	// Err is why the call failed, with the cause that the caller did not see.
	Err      error
	Duration time.Duration
}

// API serves AWS APIs over HTTP.
type API struct {
	cfg    Config
	router *router
}

// New puts an API together. It fails if two operations have one route, if a type
// is one that the codecs do not know, or if an access row belongs to no operation
// or is incomplete.
func New(cfg Config) (*API, error) {
	if cfg.Authenticator == nil || cfg.Authorizer == nil {
		return nil, errors.New("an API needs an Authenticator and an Authorizer")
	}
	if cfg.Clock == nil {
		cfg.Clock = clock.System
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Region == "" {
		cfg.Region = "us-east-1"
	}
	if cfg.Partition == "" {
		cfg.Partition = "aws"
	}
	if cfg.MaxBody == 0 {
		cfg.MaxBody = DefaultMaxBody
	}
	if cfg.MaxHeader == 0 {
		cfg.MaxHeader = DefaultMaxHeader
	}
	a := &API{cfg: cfg, router: newRouter()}
	for i := range cfg.Bindings {
		if err := a.bind(&cfg.Bindings[i]); err != nil {
			return nil, fmt.Errorf("service %s: %w", cfg.Bindings[i].Service.Name, err)
		}
	}
	return a, nil
}

func (a *API) bind(binding *Binding) error {
	ps := plans{}
	unbuilt := map[string]bool{}
	for _, name := range binding.Unbuilt() {
		unbuilt[name] = true
	}
	known := map[string]bool{}
	for i := range binding.Operations {
		op := &binding.Operations[i]
		known[op.Name] = true
		b := &bound{service: binding.Service, op: op, unbuilt: unbuilt[op.Name]}
		var err error
		if b.in, err = ps.of(op.in); err != nil {
			return err
		}
		if b.out, err = ps.of(op.out); err != nil {
			return err
		}
		if err := b.checkPages(); err != nil {
			return err
		}
		if row, ok := binding.Access[op.Name]; ok {
			if row.Exempt == "" && (row.Action == "" || row.Resources == nil) {
				return fmt.Errorf("the access row of %s has no action or no resources", op.Name)
			}
			b.access = &row
		}
		if err := a.router.add(b); err != nil {
			return err
		}
	}
	for name := range binding.Access {
		if !known[name] {
			return fmt.Errorf("the access table has a row for %s, which is no operation", name)
		}
	}
	return nil
}

// checkPages finds the members that paging goes through.
func (b *bound) checkPages() error {
	pages := b.op.Pages
	if pages == nil {
		return nil
	}
	for _, member := range []struct {
		plan *plan
		name string
	}{{b.in, pages.InputToken}, {b.out, pages.OutputToken}, {b.in, pages.Limit}, {b.out, pages.More}} {
		if member.name != "" && member.plan.field(member.name) == nil {
			return fmt.Errorf("%s pages through %s, which %s does not have", b.op.Name, member.name, member.plan.typ)
		}
	}
	return nil
}

// Gaps names what is incomplete about a binding: operations that are built and
// have no access row, and rows of operations that are not built. A server's tests
// ask for it; at run time an operation without a row is refused.
func (b *Binding) Gaps() []string {
	unbuilt := map[string]bool{}
	for _, name := range b.Unbuilt() {
		unbuilt[name] = true
	}
	var gaps []string
	for i := range b.Operations {
		name := b.Operations[i].Name
		switch _, row := b.Access[name]; {
		case row && unbuilt[name]:
			gaps = append(gaps, name+" has an access row and is not built")
		case !row && !unbuilt[name]:
			gaps = append(gaps, name+" is built and has no access row")
		}
	}
	return gaps
}

// newRequestID is a random UUID, version 4.
func newRequestID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	text := hex.EncodeToString(b[:])
	return text[:8] + "-" + text[8:12] + "-" + text[12:16] + "-" + text[16:20] + "-" + text[20:]
}

var _ http.Handler = (*API)(nil)
