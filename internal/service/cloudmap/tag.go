package cloudmap

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/latchwork/latchwork/internal/fault"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/store"
	wire "github.com/latchwork/latchwork/internal/wire/servicediscovery"
)

// maxTags is how many tags a resource can have.
// Source: Cloud Map API Reference, TooManyTagsException.
const maxTags = 50

// newTags reads the tags that a call brings.
func newTags(list []wire.Tag) (map[string]string, error) {
	tags := map[string]string{}
	for _, t := range list {
		if strings.HasPrefix(strings.ToLower(*t.Key), "aws:") {
			return nil, invalid("Tags", "the tag key %q begins with aws:, which is reserved", *t.Key)
		}
		if _, twice := tags[*t.Key]; twice {
			return nil, invalid("Tags", "the tag key %q is there twice", *t.Key)
		}
		tags[*t.Key] = *t.Value
	}
	return tags, tooMany(tags, "")
}

// tooMany refuses more tags than the resource of an ARN can have; "" is a new one.
func tooMany(tags map[string]string, arn string) error {
	if len(tags) <= maxTags {
		return nil
	}
	e := fault.New("TooManyTagsException", "a resource can have %d tags: there would be %d", maxTags, len(tags))
	if arn != "" {
		e.Members = map[string]string{"ResourceName": arn}
	}
	return e
}

// tagged finds the record of an ARN; save writes it back.
func tagged(tx *store.Tx, scope model.Scope, arn string) (meta *model.Meta, save func() error, err error) {
	n, err := find(tx, model.Namespaces, scope, namespacePath, arn)
	if err != nil {
		return nil, nil, err
	}
	if n != nil {
		return &n.Meta, func() error { return model.Namespaces.Put(tx, scope.Key(n.ID), n) }, nil
	}
	v, err := find(tx, model.CloudMapServices, scope, servicePath, arn)
	if err != nil {
		return nil, nil, err
	}
	if v != nil {
		return &v.Meta, func() error { return model.CloudMapServices.Put(tx, scope.Key(v.ID), v) }, nil
	}
	return nil, nil, fault.New("ResourceNotFoundException", "Resource not found: %s", arn)
}

// TagResource implements servicediscovery:TagResource.
func (s *Service) TagResource(ctx context.Context, in *wire.TagResourceRequest) (*wire.TagResourceResponse, error) {
	tags, err := newTags(in.Tags)
	if err != nil {
		return nil, err
	}
	return nil, s.cfg.Update(ctx, func(tx *store.Tx) error {
		meta, save, err := tagged(tx, s.scope(ctx), *in.ResourceARN)
		if err != nil {
			return err
		}
		if meta.Tags == nil {
			meta.Tags = map[string]string{}
		}
		maps.Copy(meta.Tags, tags)
		if err := tooMany(meta.Tags, meta.ARN); err != nil {
			return err
		}
		return save()
	})
}

// UntagResource implements servicediscovery:UntagResource. Keys that are not there
// are passed over.
func (s *Service) UntagResource(ctx context.Context, in *wire.UntagResourceRequest) (*wire.UntagResourceResponse, error) {
	return nil, s.cfg.Update(ctx, func(tx *store.Tx) error {
		meta, save, err := tagged(tx, s.scope(ctx), *in.ResourceARN)
		if err != nil {
			return err
		}
		for _, key := range in.TagKeys {
			delete(meta.Tags, key)
		}
		return save()
	})
}

// ListTagsForResource implements servicediscovery:ListTagsForResource.
func (s *Service) ListTagsForResource(ctx context.Context, in *wire.ListTagsForResourceRequest) (*wire.ListTagsForResourceResponse, error) {
	out := &wire.ListTagsForResourceResponse{Tags: []wire.Tag{}}
	err := s.cfg.View(ctx, func(tx *store.Tx) error {
		meta, _, err := tagged(tx, s.scope(ctx), *in.ResourceARN)
		if err != nil {
			return err
		}
		for _, key := range slices.Sorted(maps.Keys(meta.Tags)) {
			out.Tags = append(out.Tags, wire.Tag{Key: new(key), Value: new(meta.Tags[key])})
		}
		return nil
	})
	return out, err
}
