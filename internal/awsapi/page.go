package awsapi

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json/v2"
	"errors"
	"reflect"
	"slices"
	"strings"
)

// DefaultPageSize is the size of a page whose caller names none, as in IAM.
const DefaultPageSize = 100

// Cursor is where a page begins.
type Cursor struct {
	// After is the key of the last item that the caller has; "" at the beginning.
	After string
	// Revision is the revision of the state that the first page showed; 0 at the
	// beginning.
	Revision int64
	// Limit is the most items that the page may have.
	Limit int
}

// pageToken is what an opaque token holds. Bind ties it to the request that it
// was given out for; it is no secret and grants nothing, because every page is
// authorized on its own.
type pageToken struct {
	Bind     string `json:"b"`
	After    string `json:"a"`
	Revision int64  `json:"r,omitzero"`
}

// Start reads the paging members of the call in hand. A token that is not one of
// ours, or that belongs to another operation, caller's account or filter, is the
// service's validation error.
func Start(ctx context.Context) (Cursor, error) {
	c, p, v, err := paged(ctx)
	if err != nil {
		return Cursor{}, err
	}
	cur := Cursor{Limit: DefaultPageSize}
	pages := c.Operation.Pages
	if f := p.field(pages.Limit); f != nil { // not every operation lets the caller choose
		if limit, ok := f.get(v); ok && limit.Int() > 0 {
			cur.Limit = int(min(limit.Int(), 1000))
		}
	}
	f := p.field(pages.InputToken)
	text, ok := f.get(v)
	if !ok || text.String() == "" {
		return cur, nil
	}
	bind, err := c.bind(p, v)
	if err != nil {
		return Cursor{}, err
	}
	raw, err := base64.RawURLEncoding.DecodeString(text.String())
	var t pageToken
	if err != nil || json.Unmarshal(raw, &t) != nil || t.Bind != bind || t.After == "" {
		// "Invalid Marker." is IAM's text.
		return Cursor{}, c.Service.Invalid(f.name, "Invalid %s.", f.goName)
	}
	cur.After, cur.Revision = t.After, t.Revision
	return cur, nil
}

// StaleToken is the error of a token whose state can no longer be shown.
func StaleToken(ctx context.Context) error {
	c, p, _, err := paged(ctx)
	if err != nil {
		return err
	}
	f := p.field(c.Operation.Pages.InputToken)
	return c.Service.Invalid(f.name, "Invalid %s. It is too old: list again from the beginning.", f.goName)
}

// NextToken is the token of the page that begins after the item with the key
// last.
func NextToken(ctx context.Context, last string, revision int64) (*string, error) {
	c, p, v, err := paged(ctx)
	if err != nil {
		return nil, err
	}
	bind, err := c.bind(p, v)
	if err != nil {
		return nil, err
	}
	raw, err := json.Marshal(pageToken{Bind: bind, After: last, Revision: revision})
	if err != nil {
		return nil, err
	}
	return new(base64.RawURLEncoding.EncodeToString(raw)), nil
}

// Page cuts the page that the call in hand asks for out of items, and returns the
// token of the next one, nil if there is none. key gives each item's key: unique,
// never empty, the same in every call; items must be sorted by it. revision is
// that of the state that items were taken from.
//
// Items that are added or removed between two pages do not shift the others: a
// page begins after the last key, not after a count.
func Page[T any](ctx context.Context, items []T, revision int64, key func(T) string) ([]T, *string, error) {
	cur, err := Start(ctx)
	if err != nil {
		return nil, nil, err
	}
	first := 0
	if cur.After != "" {
		i, found := slices.BinarySearchFunc(items, cur.After, func(item T, after string) int {
			return strings.Compare(key(item), after)
		})
		if first = i; found {
			first++
		}
		revision = cur.Revision
	}
	rest := items[first:]
	if len(rest) <= cur.Limit {
		return slices.Clip(rest), nil, nil
	}
	page := slices.Clip(rest[:cur.Limit])
	next, err := NextToken(ctx, key(page[len(page)-1]), revision)
	if err != nil {
		return nil, nil, err
	}
	return page, next, nil
}

var errNotPaged = errors.New("the operation does not page")

func paged(ctx context.Context) (*Call, *plan, reflect.Value, error) {
	c := FromContext(ctx)
	if c == nil || c.Operation == nil || c.Operation.Pages == nil || c.Input == nil {
		return nil, nil, reflect.Value{}, errNotPaged
	}
	p := c.plan
	if p == nil {
		// A test made the call by hand.
		var err error
		if p, err = (plans{}).of(c.Operation.in); err != nil {
			return nil, nil, reflect.Value{}, err
		}
	}
	return c, p, reflect.ValueOf(c.Input).Elem(), nil
}

// bind hashes what a token must belong to: operation, account, region, and every
// member of the input that is not about paging.
func (c *Call) bind(p *plan, v reflect.Value) (string, error) {
	sum, err := p.sum(v, c.Operation.Pages.InputToken, c.Operation.Pages.Limit)
	if err != nil {
		return "", err
	}
	// Eight bytes are enough to tell requests apart that nobody gains by forging.
	return hex.EncodeToString(hashOf(c.Service.Name, c.Operation.Name, c.Account, c.Region, sum)[:8]), nil
}
