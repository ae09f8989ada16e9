// Package lattice carries out the operations of Amazon VPC Lattice: service
// networks, services, listeners, rules, target groups, associations and auth
// policies.
//
// Every operation reads and writes in one transaction of the store, so that what
// it checked still holds when it is written, and a write is answered when it is
// in force.
package lattice

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/latchwork/latchwork/internal/awsapi"
	"github.com/latchwork/latchwork/internal/clock"
	"github.com/latchwork/latchwork/internal/fault"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/store"
	"github.com/latchwork/latchwork/internal/wire"
	wirelattice "github.com/latchwork/latchwork/internal/wire/vpclattice"
)

// Config says what the service works with. State, Clock and Partition are
// required.
type Config struct {
	model.State
	Clock     clock.Clock
	Partition string
	// DefaultAccount owns the default VPC of every region.
	DefaultAccount string
	// Observed follows what was seen of AWS where that differs from its user guide:
	// an auth policy may have newlines and may be deleted while it is in force.
	Observed bool
	// MaxPolicy is the largest compact auth policy in bytes; 0 means AWS's 10 KB.
	MaxPolicy int
	// Health tells what the gateway of this process thinks of a target; ok is false
	// where it does not know the target. nil where there is no gateway.
	Health func(groupARN, id string, port int64) (status, reason string, ok bool)
	// PortProblem tells why the gateway of this process could not open a listener
	// port, "" where it could. nil where there is no gateway.
	PortProblem func(port int64) string
	// Log is told what in an auth policy is legal and probably not meant; nil where
	// nobody wants to know.
	Log *slog.Logger
	// DrainTime is how long a deregistered target is listed as draining; 0 means
	// AWS's minute.
	DrainTime time.Duration
}

// Service handles the operations.
type Service struct {
	wirelattice.Unimplemented
	cfg Config
}

// New makes VPC Lattice ready for the dispatcher.
func New(cfg Config) awsapi.Binding {
	if cfg.MaxPolicy == 0 {
		cfg.MaxPolicy = 10 << 10
	}
	if cfg.DrainTime == 0 {
		cfg.DrainTime = time.Minute
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Service{cfg: cfg}
	return wirelattice.Bind(s, s.access())
}

// Resource types in errors. The first two are compared by clients; the others
// follow their form.
const (
	typeNetwork            = "SERVICE_NETWORK"
	typeService            = "SERVICE"
	typeListener           = "LISTENER"
	typeRule               = "RULE"
	typeTargetGroup        = "TARGET_GROUP"
	typeServiceAssociation = "SERVICE_NETWORK_SERVICE_ASSOCIATION"
	typeVPCAssociation     = "SERVICE_NETWORK_VPC_ASSOCIATION"
	typeVPC                = "VPC"
)

// Statuses.
const (
	statusActive   = "ACTIVE"
	statusCreating = "CREATE_IN_PROGRESS"
	statusDeleting = "DELETE_IN_PROGRESS"
)

// scope is the part of the state that a call works in.
func (s *Service) scope(ctx context.Context) model.Scope {
	c := awsapi.FromContext(ctx)
	return model.Scope{Partition: s.cfg.Partition, Account: c.Account, Region: c.Region}
}

func invalid(member, format string, args ...any) *fault.Error {
	return wirelattice.API.Invalid(member, format, args...)
}

// refused is a validation error about the state of things and not about a member.
func refused(format string, args ...any) *fault.Error {
	e := fault.New("ValidationException", format, args...)
	e.Reason = wirelattice.ValidationExceptionReasonOther
	return e
}

func notFound(kind, id string) *fault.Error {
	e := fault.New("ResourceNotFoundException", "%s %s not found", words(kind), id)
	e.ResourceType, e.ResourceID = kind, id
	return e
}

func conflict(kind, id, format string, args ...any) *fault.Error {
	e := fault.New("ConflictException", format, args...)
	e.ResourceType, e.ResourceID = kind, id
	return e
}

// words is a resource type as people write it: "Target group".
func words(kind string) string {
	s := strings.ToLower(strings.ReplaceAll(kind, "_", " "))
	if kind == typeVPC {
		return kind
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// kindPaths are the words in the ARNs of each kind of resource.
var kindPaths = map[string]string{
	typeNetwork: "servicenetwork", typeService: "service", typeListener: "service/listener", typeRule: "service/listener/rule",
	typeTargetGroup: "targetgroup", typeServiceAssociation: "servicenetworkserviceassociation",
	typeVPCAssociation: "servicenetworkvpcassociation",
}

// identify turns an identifier, an id or an ARN, into an id of this scope; parents
// are the ids above it. An ARN of another account or region names nothing here.
// Every part of it counts: the caller was authorized for the ARN as it is, so one
// that is not the resource's own must not lead to it.
func identify(scope model.Scope, kind, identifier string, parents ...string) (string, error) {
	if !strings.HasPrefix(identifier, "arn:") {
		return identifier, nil
	}
	parts := strings.SplitN(identifier, ":", 6)
	if len(parts) != 6 || parts[1] != scope.Partition || parts[2] != model.LatticeService || parts[3] != scope.Region || parts[4] != scope.Account {
		return "", notFound(kind, identifier)
	}
	path := strings.Split(parts[5], "/")
	ids := every(path, 1)
	if len(path)%2 != 0 || strings.Join(every(path, 0), "/") != kindPaths[kind] || !slices.Equal(ids[:len(ids)-1], parents) {
		return "", notFound(kind, identifier)
	}
	return ids[len(ids)-1], nil
}

// find reads a record by its identifier; parents are the ids above it.
func find[T any](tx *store.Tx, c store.Collection[T], scope model.Scope, kind, identifier string, parents ...string) (*T, string, error) {
	id, err := identify(scope, kind, identifier, parents...)
	if err != nil {
		return nil, "", err
	}
	key := scope.Key(append(slices.Clone(parents), id)...)
	record, err := c.Get(tx, key)
	if err != nil {
		return nil, "", err
	}
	if record == nil {
		return nil, "", notFound(kind, identifier)
	}
	return record, key, nil
}

// claim takes a unique name for a record.
func claim(tx *store.Tx, scope model.Scope, kind, name, id string, taken func(holder string) error) error {
	key := scope.Key(kind, name)
	holder, err := model.Unique.Get(tx, key)
	if err != nil {
		return err
	}
	if holder != nil {
		return taken(holder.ID)
	}
	return model.Unique.Put(tx, key, &model.Claim{ID: id})
}

func release(tx *store.Tx, scope model.Scope, kind, name string) error {
	return model.Unique.Delete(tx, scope.Key(kind, name))
}

func nameTaken(kind, name string) func(string) error {
	return func(holder string) error {
		return conflict(kind, holder, "%s with name %s already exists", words(kind), name)
	}
}

// meta is that of a new record.
func (s *Service) meta(scope model.Scope, id, path, name string, tags map[string]string) model.Meta {
	now := s.cfg.Clock()
	return model.Meta{
		ID: id, ARN: scope.ARN(model.LatticeService, path), Name: name, Account: scope.Account, Region: scope.Region,
		Created: now, Updated: now, Tags: tags,
	}
}

// sorted orders records by creation, as AWS lists them, and gives the key that a
// page begins after.
func creationKey(m *model.Meta) string {
	return m.Created.UTC().Format("20060102150405.000000000") + m.ID
}

// list answers a page of the records that read finds, in order of creation, as
// they were when the first page was asked for.
func list[T, S any](ctx context.Context, s *Service, read func(*store.Tx) ([]*T, error), meta func(*T) *model.Meta, show func(*T) S) ([]S, *string, error) {
	var found []*T
	revision, err := s.cfg.List(ctx, func(tx *store.Tx) (err error) {
		found, err = read(tx)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	slices.SortFunc(found, func(a, b *T) int { return strings.Compare(creationKey(meta(a)), creationKey(meta(b))) })
	page, next, err := awsapi.Page(ctx, found, revision, func(r *T) string { return creationKey(meta(r)) })
	if err != nil {
		return nil, nil, err
	}
	out := make([]S, len(page))
	for i, r := range page {
		out[i] = show(r)
	}
	return out, next, nil
}

// all reads all records of a family below a prefix.
func all[T any](c store.Collection[T], prefix string, keep func(*T) bool) func(*store.Tx) ([]*T, error) {
	return func(tx *store.Tx) ([]*T, error) {
		items, err := c.List(tx, prefix)
		if err != nil {
			return nil, err
		}
		out := make([]*T, 0, len(items))
		for _, item := range items {
			if keep == nil || keep(item.Record) {
				out = append(out, item.Record)
			}
		}
		return out, nil
	}
}

func at(t time.Time) *wire.Timestamp { return wire.At(t) }
