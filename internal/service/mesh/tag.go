package mesh

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/latchwork/latchwork/internal/fault"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/store"
	wiremesh "github.com/latchwork/latchwork/internal/wire/appmesh"
)

// maxTags is how many tags a resource can have.
const maxTags = 50

// newTags reads the tags that a call brings; the model bounds their number.
func newTags(list []wiremesh.TagRef) (map[string]string, error) {
	tags := map[string]string{}
	for _, t := range list {
		if strings.HasPrefix(strings.ToLower(*t.Key), "aws:") {
			return nil, invalid("tags", "the tag key %q begins with aws:, which is reserved", *t.Key)
		}
		if _, twice := tags[*t.Key]; twice {
			return nil, invalid("tags", "the tag key %q is there twice", *t.Key)
		}
		tags[*t.Key] = *t.Value
	}
	return tags, nil
}

// tagged finds the record of an ARN of the caller's own resources, whatever kind it
// is; save writes it back. Tags are private to the account that owns a resource: in
// a shared mesh neither the mesh's owner nor another consumer sees or sets them.
// Source: App Mesh User Guide, "Working with shared meshes".
func (s *Service) tagged(tx *store.Tx, scope model.Scope, arn string) (meta *model.MeshMeta, save func() error, err error) {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" || parts[2] != model.MeshService {
		return nil, nil, invalid("resourceArn", "resourceArn %q is not the ARN of an App Mesh resource", arn)
	}
	if parts[4] != scope.Account {
		return nil, nil, fault.New("ForbiddenException", "the resource %s belongs to another account", arn)
	}
	path := strings.Split(parts[5], "/")
	if parts[1] != scope.Partition || parts[3] != scope.Region || len(path)%2 != 0 || path[0] != "mesh" {
		return nil, nil, noResource(arn)
	}
	// The ARN does not say whose mesh it is: the caller's own comes first.
	own, err := model.Meshes.Get(tx, scope.Key(path[1]))
	if err != nil {
		return nil, nil, err
	}
	if own != nil {
		meta, save, err = lookup(tx, own, path[2:])
		if err != nil || meta != nil && meta.Account == scope.Account {
			return meta, save, err
		}
	}
	all, err := model.Meshes.List(tx, "")
	if err != nil {
		return nil, nil, err
	}
	for _, item := range all {
		m := item.Record
		if len(path) == 2 || m.Region != scope.Region || m.Name != path[1] || !visible(m, scope.Account) {
			continue
		}
		meta, save, err = lookup(tx, m, path[2:])
		if err != nil || meta != nil && meta.Account == scope.Account {
			return meta, save, err
		}
	}
	return nil, nil, noResource(arn)
}

func noResource(arn string) error {
	return fault.New("NotFoundException", "There is no resource %s", arn)
}

// lookup finds the record at a path in a mesh, or the mesh's own at the empty path;
// meta is nil where there is none.
func lookup(tx *store.Tx, m *model.Mesh, path []string) (meta *model.MeshMeta, save func() error, err error) {
	p := &place{mesh: m}
	switch kinds := strings.Join(every(path, 0), "/"); kinds {
	case "":
		return &m.MeshMeta, func() error { return model.Meshes.Put(tx, p.key(), m) }, nil
	case "virtualNode":
		return nodes.lookup(tx, p, path)
	case "virtualGateway":
		return gateways.lookup(tx, p, path)
	case "virtualRouter":
		return routers.lookup(tx, p, path)
	case "virtualService":
		return services.lookup(tx, p, path)
	case "virtualRouter/route":
		return routes.lookup(tx, p, path)
	case "virtualGateway/gatewayRoute":
		return gatewayRoutes.lookup(tx, p, path)
	}
	return nil, nil, nil
}

func (k *kind[T]) lookup(tx *store.Tx, p *place, path []string) (*model.MeshMeta, func() error, error) {
	key := p.key(every(path, 1)...)
	record, err := k.records.Get(tx, key)
	if record == nil || err != nil {
		return nil, nil, err
	}
	return k.meta(record), func() error { return k.records.Put(tx, key, record) }, nil
}

// every second part of a path.
func every(path []string, from int) []string {
	var out []string
	for i := from; i < len(path); i += 2 {
		out = append(out, path[i])
	}
	return out
}

// TagResource implements appmesh:TagResource.
func (s *Service) TagResource(ctx context.Context, in *wiremesh.TagResourceRequest) (*wiremesh.TagResourceResponse, error) {
	tags, err := newTags(in.Tags)
	if err != nil {
		return nil, err
	}
	return nil, s.cfg.Update(ctx, func(tx *store.Tx) error {
		meta, save, err := s.tagged(tx, s.scope(ctx), *in.ResourceArn)
		if err != nil {
			return err
		}
		if meta.Tags == nil {
			meta.Tags = map[string]string{}
		}
		maps.Copy(meta.Tags, tags)
		if len(meta.Tags) > maxTags {
			return fault.New("TooManyTagsException", "a resource can have %d tags: there would be %d", maxTags, len(meta.Tags))
		}
		return save()
	})
}

// UntagResource implements appmesh:UntagResource. Keys that are not there are
// passed over.
func (s *Service) UntagResource(ctx context.Context, in *wiremesh.UntagResourceRequest) (*wiremesh.UntagResourceResponse, error) {
	return nil, s.cfg.Update(ctx, func(tx *store.Tx) error {
		meta, save, err := s.tagged(tx, s.scope(ctx), *in.ResourceArn)
		if err != nil {
			return err
		}
		for _, key := range in.TagKeys {
			delete(meta.Tags, key)
		}
		return save()
	})
}

// ListTagsForResource implements appmesh:ListTagsForResource.
func (s *Service) ListTagsForResource(ctx context.Context, in *wiremesh.ListTagsForResourceRequest) (*wiremesh.ListTagsForResourceResponse, error) {
	tags, next, err := page(ctx, s, func(tx *store.Tx) ([]wiremesh.TagRef, error) {
		meta, _, err := s.tagged(tx, s.scope(ctx), *in.ResourceArn)
		if err != nil {
			return nil, err
		}
		var out []wiremesh.TagRef
		for _, key := range slices.Sorted(maps.Keys(meta.Tags)) {
			out = append(out, wiremesh.TagRef{Key: new(key), Value: new(meta.Tags[key])})
		}
		return out, nil
	}, func(t wiremesh.TagRef) string { return *t.Key }, func(t wiremesh.TagRef) wiremesh.TagRef { return t })
	if err != nil {
		return nil, err
	}
	return &wiremesh.ListTagsForResourceResponse{Tags: tags, NextToken: next}, nil
}
