package xds

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/latchwork/latchwork/internal/xds/translate"
)

// kind is a type of resource. Kinds are in the order in which they are sent, which
// makes what is referred to known before what refers to it.
// Source: Envoy, "xDS REST and gRPC protocol", "Eventual consistency
// considerations".
type kind uint8

const (
	clusters kind = iota
	assignments
	secrets
	listeners
	routes
	kinds
)

var typeURLs = [kinds]string{
	clusters:    "type.googleapis.com/envoy.config.cluster.v3.Cluster",
	assignments: "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
	secrets:     "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
	listeners:   "type.googleapis.com/envoy.config.listener.v3.Listener",
	routes:      "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
}

func kindOf(typeURL string) (kind, bool) {
	k := slices.Index(typeURLs[:], typeURL)
	return kind(k), k >= 0
}

// whole tells whether each state-of-the-world response has all resources of the
// kind, so that one that is missing is gone.
func (k kind) whole() bool { return k == clusters || k == listeners }

// serial numbers the changes of one table. 0 is before all of them.
type serial uint64

// resource is one resource as it is sent.
type resource struct {
	name    string
	version string
	// any is the encoded google.protobuf.Any.
	any []byte
	// changed is the serial of the resource's last change.
	changed serial
}

// removal is a resource that is not there any more.
type removal struct {
	*resource
	at serial
}

// table is all resources of one kind of one mesh endpoint. It is immutable but for
// the messages that it keeps.
type table struct {
	kind kind
	// version is a hash of what is in the table: equal tables have equal versions,
	// on every server.
	version string
	serial  serial
	sorted  []*resource
	byName  map[string]*resource
	// removed is what went, oldest first, as far back as floor.
	removed []removal
	floor   serial

	mu       sync.Mutex
	messages map[messageKey][]byte
}

// messageKey says what a kept message is: what was made or changed after one
// serial, and what went after another.
type messageKey struct {
	incremental bool
	sent        serial
	dropped     serial
}

// maxRemoved bounds how much is remembered of what went. A proxy that is further
// behind begins anew.
const maxRemoved = 1000

// encode makes the resources of one kind from Envoy's messages.
func encode[T proto.Message](k kind, list []T, name func(T) string) ([]*resource, error) {
	out := make([]*resource, len(list))
	for i, m := range list {
		// Deterministic: equal resources must have equal bytes, or all proxies would
		// be sent what did not change.
		value, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name(m), err)
		}
		b := make([]byte, 0, len(value)+len(typeURLs[k])+16)
		b = protowire.AppendTag(b, 1, protowire.BytesType)
		b = protowire.AppendString(b, typeURLs[k])
		b = protowire.AppendTag(b, 2, protowire.BytesType)
		b = protowire.AppendBytes(b, value)
		out[i] = &resource{name: name(m), version: hash(value), any: b}
	}
	slices.SortFunc(out, func(a, b *resource) int { return cmp.Compare(a.name, b.name) })
	return out, nil
}

// hash names bytes. It has half of SHA-256: nobody gains by a collision that only
// the owner of a mesh could make.
func hash(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:16])
}

// next is the table after a change; it is before itself if nothing has changed.
// before is nil for the first.
func next(before *table, k kind, list []*resource) *table {
	if before == nil {
		before = &table{kind: k}
	}
	made := &table{
		kind: k, serial: before.serial + 1, sorted: list, byName: make(map[string]*resource, len(list)),
		removed: before.removed, floor: before.floor, messages: map[messageKey][]byte{},
	}
	same := len(list) == len(before.sorted) && before.byName != nil
	for i, r := range list {
		if old := before.byName[r.name]; old != nil && old.version == r.version {
			list[i] = old
		} else {
			r.changed, same = made.serial, false
		}
		made.byName[r.name] = list[i]
	}
	if same {
		return before
	}
	for _, old := range before.sorted {
		if made.byName[old.name] == nil {
			made.removed = append(slices.Clip(made.removed), removal{old, made.serial})
		}
	}
	if n := len(made.removed) - maxRemoved; n > 0 {
		made.floor = made.removed[n-1].at
		made.removed = made.removed[n:]
	}
	h := sha256.New()
	for _, r := range list {
		fmt.Fprintf(h, "%s %s\n", r.name, r.version)
	}
	made.version = hex.EncodeToString(h.Sum(nil)[:20])
	return made
}

// gone is what went after a serial and has not come back.
func (t *table) gone(since serial) []*resource {
	var out []*resource
	for i := len(t.removed) - 1; i >= 0 && t.removed[i].at > since; i-- {
		r := t.removed[i].resource
		if t.byName[r.name] == nil && !slices.ContainsFunc(out, func(o *resource) bool { return o.name == r.name }) {
			out = append(out, r)
		}
	}
	return out
}

// after is what was made or changed after a serial.
func (t *table) after(since serial) []*resource {
	if since == 0 {
		return t.sorted
	}
	var out []*resource
	for _, r := range t.sorted {
		if r.changed > since {
			out = append(out, r)
		}
	}
	return out
}

// message is what brings a proxy up to date that has what was there at sent, and of
// what went has heard up to dropped, but for the nonce. It is made once.
func (t *table) message(key messageKey) []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	b, ok := t.messages[key]
	if !ok {
		b = t.encode(key.incremental, t.after(key.sent), t.gone(key.dropped), nil)
		t.messages[key] = b
	}
	return b
}

// encode makes a message without its nonce. In the state-of-the-world protocol gone
// is what is about to go and still there; in the incremental one it is told of by
// name, together with names that nothing has.
func (t *table) encode(incremental bool, list, gone []*resource, missing []string) []byte {
	if incremental {
		return delta(t.kind, t.version, list, gone, missing)
	}
	version := t.version
	if len(gone) > 0 {
		version += unionMark
	}
	return sotw(t.kind, version, slices.Concat(list, gone))
}

// unionMark ends the version of a response that still has what is about to go.
const unionMark = "+"

// Fields of the messages. Source: envoy/service/discovery/v3/discovery.proto.
const (
	responseVersion   = 1
	responseResources = 2
	responseTypeURL   = 4
	responseNonce     = 5
	deltaRemovedNames = 6
	resourceVersion   = 1
	resourceAny       = 2
	resourceName      = 3
)

// sotw encodes a DiscoveryResponse without its nonce.
func sotw(k kind, version string, list []*resource) []byte {
	size := len(version) + len(typeURLs[k]) + 64
	for _, r := range list {
		size += len(r.any) + 8
	}
	b := make([]byte, 0, size)
	b = protowire.AppendTag(b, responseVersion, protowire.BytesType)
	b = protowire.AppendString(b, version)
	for _, r := range list {
		b = protowire.AppendTag(b, responseResources, protowire.BytesType)
		b = protowire.AppendBytes(b, r.any)
	}
	b = protowire.AppendTag(b, responseTypeURL, protowire.BytesType)
	return protowire.AppendString(b, typeURLs[k])
}

// delta encodes a DeltaDiscoveryResponse without its nonce.
func delta(k kind, version string, list, gone []*resource, missing []string) []byte {
	var b []byte
	b = protowire.AppendTag(b, responseVersion, protowire.BytesType)
	b = protowire.AppendString(b, version)
	for _, r := range list {
		size := protowire.SizeTag(resourceVersion) + protowire.SizeBytes(len(r.version)) +
			protowire.SizeTag(resourceAny) + protowire.SizeBytes(len(r.any)) +
			protowire.SizeTag(resourceName) + protowire.SizeBytes(len(r.name))
		b = protowire.AppendTag(b, responseResources, protowire.BytesType)
		b = protowire.AppendVarint(b, uint64(size))
		b = protowire.AppendTag(b, resourceVersion, protowire.BytesType)
		b = protowire.AppendString(b, r.version)
		b = protowire.AppendTag(b, resourceAny, protowire.BytesType)
		b = protowire.AppendBytes(b, r.any)
		b = protowire.AppendTag(b, resourceName, protowire.BytesType)
		b = protowire.AppendString(b, r.name)
	}
	for _, r := range gone {
		missing = append(slices.Clip(missing), r.name)
	}
	for _, name := range missing {
		b = protowire.AppendTag(b, deltaRemovedNames, protowire.BytesType)
		b = protowire.AppendString(b, name)
	}
	b = protowire.AppendTag(b, responseTypeURL, protowire.BytesType)
	return protowire.AppendString(b, typeURLs[k])
}

// tables is the whole configuration of a mesh endpoint.
type tables [kinds]*table

// after is the configuration that follows on another; equal tables are shared, and
// changed says whether any is not.
func (t tables) after(r *translate.Resources) (made tables, changed bool, err error) {
	var lists [kinds][]*resource
	var errs [kinds]error
	lists[clusters], errs[clusters] = encode(clusters, r.Clusters, (*clusterv3.Cluster).GetName)
	lists[assignments], errs[assignments] = encode(assignments, r.Endpoints, (*endpointv3.ClusterLoadAssignment).GetClusterName)
	lists[secrets], errs[secrets] = encode(secrets, r.Secrets, (*tlsv3.Secret).GetName)
	lists[listeners], errs[listeners] = encode(listeners, r.Listeners, (*listenerv3.Listener).GetName)
	lists[routes], errs[routes] = encode(routes, r.Routes, (*routev3.RouteConfiguration).GetName)
	if err := errors.Join(errs[:]...); err != nil {
		return t, false, err
	}
	for k := range kinds {
		made[k] = next(t[k], k, lists[k])
		changed = changed || made[k] != t[k]
	}
	return made, changed, nil
}
