package snapshot

import (
	"hash/maphash"
	"maps"
)

// shardCount makes a change of one entry in a map of a million copy a few
// thousand entries and not all of them.
const shardCount = 512

// shards is an immutable map from strings, split so that a changed copy shares
// all but the touched parts with the one before. The zero value is empty.
type shards[V any] struct {
	seed  maphash.Seed
	parts *[shardCount]map[string]V
	size  int
}

func (s shards[V]) get(key string) (V, bool) {
	if s.parts == nil {
		var none V
		return none, false
	}
	v, ok := s.parts[maphash.String(s.seed, key)%shardCount][key]
	return v, ok
}

func (s shards[V]) len() int { return s.size }

// all yields every entry, in no order.
func (s shards[V]) all(yield func(string, V) bool) {
	if s.parts == nil {
		return
	}
	for _, part := range s.parts {
		for k, v := range part {
			if !yield(k, v) {
				return
			}
		}
	}
}

// editor collects changes to a shards value. It is used by one goroutine, the
// builder.
type editor[V any] struct {
	base   shards[V]
	parts  *[shardCount]map[string]V
	copied [shardCount]bool
	size   int
}

func edit[V any](base shards[V]) *editor[V] {
	e := &editor[V]{base: base, size: base.size}
	if base.parts == nil {
		e.base.seed = maphash.MakeSeed()
	}
	return e
}

func (e *editor[V]) part(key string) map[string]V {
	if e.parts == nil {
		e.parts = new([shardCount]map[string]V)
		if e.base.parts != nil {
			*e.parts = *e.base.parts
		}
	}
	i := maphash.String(e.base.seed, key) % shardCount
	if !e.copied[i] {
		e.copied[i] = true
		if e.parts[i] = maps.Clone(e.parts[i]); e.parts[i] == nil {
			e.parts[i] = map[string]V{}
		}
	}
	return e.parts[i]
}

// get reads what the changed map has.
func (e *editor[V]) get(key string) (V, bool) {
	if e.parts == nil {
		return e.base.get(key)
	}
	v, ok := e.parts[maphash.String(e.base.seed, key)%shardCount][key]
	return v, ok
}

func (e *editor[V]) set(key string, v V) {
	part := e.part(key)
	if _, there := part[key]; !there {
		e.size++
	}
	part[key] = v
}

func (e *editor[V]) remove(key string) {
	part := e.part(key)
	if _, there := part[key]; there {
		e.size--
		delete(part, key)
	}
}

// done gives the changed map. The editor must not be used after it.
func (e *editor[V]) done() shards[V] {
	if e.parts == nil {
		return e.base
	}
	return shards[V]{seed: e.base.seed, parts: e.parts, size: e.size}
}
