// Package cloudmap carries out the operations of AWS Cloud Map that register and
// discover instances: a registry for the endpoints of virtual nodes, and for whoever
// asks for them by the API.
//
// Nobody resolves the names of DNS namespaces, and nobody checks the health of
// instances: it is what was reported. Every operation is done when it is answered.
package cloudmap

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/latchwork/latchwork/internal/awsapi"
	"github.com/latchwork/latchwork/internal/clock"
	"github.com/latchwork/latchwork/internal/fault"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/store"
	wire "github.com/latchwork/latchwork/internal/wire/servicediscovery"
)

// Config says what the service works with. All members are required.
type Config struct {
	model.State
	Clock     clock.Clock
	Partition string
	// Shuffle puts n things into an order by chance.
	Shuffle func(n int, swap func(i, j int))
	// OperationLife is how long an operation can be looked up.
	OperationLife time.Duration
}

// Service handles the operations.
type Service struct {
	wire.Unimplemented
	cfg Config
}

// New makes Cloud Map ready for the dispatcher.
func New(cfg Config) awsapi.Binding {
	s := &Service{cfg: cfg}
	return wire.Bind(s, s.access())
}

// scope is the part of the state that a call works in.
func (s *Service) scope(ctx context.Context) model.Scope {
	c := awsapi.FromContext(ctx)
	return model.Scope{Partition: s.cfg.Partition, Account: c.Account, Region: c.Region}
}

func invalid(member, format string, args ...any) *fault.Error {
	return wire.API.Invalid(member, format, args...)
}

func noNamespace(name string) error {
	return fault.New("NamespaceNotFound", "Namespace not found: %s", name)
}

func noService(name string) error {
	return fault.New("ServiceNotFound", "Service not found: %s", name)
}

// random are letters and digits as in AWS's identifiers, eight for every five bytes.
func random(bytes int) string {
	b := make([]byte, bytes)
	rand.Read(b) // never fails: it ends the process instead
	return strings.ToLower(base32.StdEncoding.EncodeToString(b))
}

// Words in ARNs, and what identifiers begin with.
const (
	namespacePath, namespacePrefix = "namespace/", "ns-"
	servicePath, servicePrefix     = "service/", "srv-"
)

func (s *Service) meta(scope model.Scope, path, prefix, name string, tags map[string]string) model.Meta {
	id, now := prefix+random(10), s.cfg.Clock()
	return model.Meta{
		ID: id, ARN: scope.ARN(model.CloudMap, path+id), Name: name, Account: scope.Account, Region: scope.Region,
		Created: now, Updated: now, Tags: tags,
	}
}

// arnOf is the ARN that an identifier, an id or an ARN, stands for.
func arnOf(scope model.Scope, path, identifier string) string {
	if strings.HasPrefix(identifier, "arn:") {
		return identifier
	}
	return scope.ARN(model.CloudMap, path+identifier)
}

// find reads a record by its id or ARN; nil if there is none. The caller was
// authorized for the ARN as it is, so one that is not the record's own does not lead
// to it.
func find[T any](tx *store.Tx, c store.Collection[T], scope model.Scope, path, identifier string) (*T, error) {
	id, ours := strings.CutPrefix(arnOf(scope, path, identifier), scope.ARN(model.CloudMap, path))
	if !ours {
		return nil, nil
	}
	return c.Get(tx, scope.Key(id))
}

func namespace(tx *store.Tx, scope model.Scope, identifier string) (*model.Namespace, error) {
	n, err := find(tx, model.Namespaces, scope, namespacePath, identifier)
	if err == nil && n == nil {
		err = noNamespace(identifier)
	}
	return n, err
}

func service(tx *store.Tx, scope model.Scope, identifier string) (*model.CloudMapService, error) {
	v, err := find(tx, model.CloudMapServices, scope, servicePath, identifier)
	if err == nil && v == nil {
		err = noService(identifier)
	}
	return v, err
}

// all are the records of a kind in the scope that keep wants.
func all[T any](tx *store.Tx, c store.Collection[T], scope model.Scope, keep func(*T) bool) ([]*T, error) {
	items, err := c.List(tx, scope.Prefix())
	var out []*T
	for _, item := range items {
		if keep(item.Record) {
			out = append(out, item.Record)
		}
	}
	return out, err
}

// list answers a page of the records that read finds, in order of creation, as they
// were when the first page was asked for.
func list[T, S any](ctx context.Context, s *Service, read func(*store.Tx) ([]*T, error), created func(*T) (time.Time, string), show func(*T) S) ([]S, *string, error) {
	key := func(r *T) string {
		at, id := created(r)
		return at.UTC().Format("20060102150405.000000000") + id
	}
	return page(ctx, s, func(tx *store.Tx) ([]*T, error) {
		found, err := read(tx)
		slices.SortFunc(found, func(a, b *T) int { return strings.Compare(key(a), key(b)) })
		return found, err
	}, key, show)
}

// page answers a page of the records that read finds in order of key.
func page[T, S any](ctx context.Context, s *Service, read func(*store.Tx) ([]*T, error), key func(*T) string, show func(*T) S) ([]S, *string, error) {
	var found []*T
	revision, err := s.cfg.List(ctx, func(tx *store.Tx) (err error) {
		found, err = read(tx)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	cut, next, err := awsapi.Page(ctx, found, revision, key)
	if err != nil {
		return nil, nil, err
	}
	out := make([]S, len(cut))
	for i, r := range cut {
		out[i] = show(r)
	}
	return out, next, nil
}

// selects tells whether a filter's values have one of the texts; an empty text is
// one that the record does not have.
func selects(condition *string, values []string, texts ...string) bool {
	return slices.ContainsFunc(texts, func(text string) bool {
		if model.Deref(condition) == wire.FilterConditionBeginsWith {
			return text != "" && strings.HasPrefix(text, values[0])
		}
		return text != "" && slices.Contains(values, text)
	})
}

// checkFilter checks a filter's condition and number of values; conditions are those
// that its name takes.
func checkFilter(name string, condition *string, values []string, conditions ...string) error {
	is := model.Deref(condition)
	if is == "" {
		is = wire.FilterConditionEq
	}
	counts := map[string]bool{
		wire.FilterConditionEq: len(values) == 1, wire.FilterConditionBeginsWith: len(values) == 1,
		wire.FilterConditionIn: len(values) > 0, wire.FilterConditionBetween: len(values) == 2,
	}
	switch {
	case !slices.Contains(conditions, is):
		return invalid("Filters", "the filter %s takes the condition %s, not %s", name, strings.Join(conditions, " or "), is)
	case !counts[is]:
		return invalid("Filters", "the filter %s has %d values, which the condition %s does not take", name, len(values), is)
	}
	return nil
}

// ownerIs reads a filter by who owns what is listed: nothing of others is seen.
func ownerIs(values []string) (self bool, err error) {
	if values[0] != "SELF" && values[0] != "OTHER_ACCOUNTS" {
		return false, invalid("Filters", "RESOURCE_OWNER is SELF or OTHER_ACCOUNTS, not %q", values[0])
	}
	return values[0] == "SELF", nil
}

// repeated tells whether a create is the one that made what there is: it was not
// known to have been answered, and is made again with the same CreatorRequestId.
func repeated(before, now string) bool { return before != "" && before == now }

// operationID is made as AWS's are: at random, with the time in milliseconds.
func operationID(now time.Time) string {
	return random(20) + "-" + strconv.FormatInt(now.UnixMilli(), 36)
}
