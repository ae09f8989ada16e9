package store

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Collection is a typed family of records: all keys below one prefix, each value
// the JSON of a T.
type Collection[T any] struct {
	// Prefix of the family's keys; it ends in '/'.
	Prefix string
}

// NewCollection makes the collection called name.
func NewCollection[T any](name string) Collection[T] {
	return Collection[T]{Prefix: name + "/"}
}

// Key is the full key of a record.
func (c Collection[T]) Key(id string) string { return c.Prefix + id }

// Owns tells whether key is one of the collection's, and its id.
func (c Collection[T]) Owns(key string) (id string, ok bool) {
	return strings.CutPrefix(key, c.Prefix)
}

// Decode reads a stored value.
func (c Collection[T]) Decode(value []byte) (*T, error) {
	record := new(T)
	if err := json.Unmarshal(value, record); err != nil {
		return nil, err
	}
	return record, nil
}

// Get reads a record; nil if there is none. The caller owns the result.
func (c Collection[T]) Get(tx *Tx, id string) (*T, error) {
	value, ok, err := tx.get(c.Key(id))
	if err != nil || !ok {
		return nil, err
	}
	record, err := c.Decode(value)
	if err != nil {
		return nil, fmt.Errorf("record %s: %w", c.Key(id), err)
	}
	return record, nil
}

// Has tells whether a record is there, without reading what is in it.
func (c Collection[T]) Has(tx *Tx, id string) (bool, error) {
	_, ok, err := tx.get(c.Key(id))
	return ok, err
}

// Put writes a record, whether it is there or not.
func (c Collection[T]) Put(tx *Tx, id string, record *T) error {
	value, err := json.Marshal(record)
	if err != nil {
		return fmt.Errorf("record %s: %w", c.Key(id), err)
	}
	return tx.set(c.Key(id), value)
}

// Delete removes a record; removing one that is not there does nothing.
func (c Collection[T]) Delete(tx *Tx, id string) error {
	_, ok, err := tx.get(c.Key(id))
	if err != nil || !ok {
		return err
	}
	return tx.set(c.Key(id), nil)
}

// Item is a record with its id.
type Item[T any] struct {
	ID     string
	Record *T
}

// List reads all records whose id starts with idPrefix, in order of id. A commit
// of the transaction fails if one of them is changed, or one is added, meanwhile.
func (c Collection[T]) List(tx *Tx, idPrefix string) ([]Item[T], error) {
	var out []Item[T]
	err := tx.scan(c.Prefix+idPrefix, func(key string, value []byte) error {
		record, err := c.Decode(value)
		if err != nil {
			return fmt.Errorf("record %s: %w", key, err)
		}
		out = append(out, Item[T]{ID: strings.TrimPrefix(key, c.Prefix), Record: record})
		return nil
	})
	return out, err
}
