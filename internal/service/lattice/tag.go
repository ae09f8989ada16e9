package lattice

import (
	"context"
	"strings"

	"github.com/latchwork/latchwork/internal/fault"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/store"
	wire "github.com/latchwork/latchwork/internal/wire/vpclattice"
)

// checkTags applies what holds for the tags of any resource.
func checkTags(tags map[string]string) error {
	if len(tags) > maxTags {
		return invalid("tags", "a resource can have %d tags: there are %d", maxTags, len(tags))
	}
	for key := range tags {
		if strings.HasPrefix(strings.ToLower(key), "aws:") {
			return invalid("tags", "the tag key %q begins with aws:, which is reserved", key)
		}
	}
	return nil
}

// maxTags is how many tags a resource can have.
const maxTags = 50

// tagged reads the record of an ARN, whatever kind it is; save writes it back.
func (s *Service) tagged(tx *store.Tx, scope model.Scope, arn string) (meta *model.Meta, save func() error, err error) {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 || parts[2] != model.LatticeService {
		return nil, nil, invalid("resourceArn", "resourceArn %q is not the ARN of a VPC Lattice resource", arn)
	}
	if parts[4] != scope.Account {
		e := fault.New("AccessDeniedException", "the resource %s belongs to another account", arn)
		return nil, nil, e
	}
	path := strings.Split(parts[5], "/")
	kind := strings.Join(every(path, 0), "/")
	ids := every(path, 1)
	switch {
	case parts[1] != scope.Partition || parts[3] != scope.Region || len(path)%2 != 0:
	case kind == "servicenetwork":
		return record(tx, model.ServiceNetworks, scope, func(r *model.ServiceNetwork) *model.Meta { return &r.Meta }, typeNetwork, arn, ids)
	case kind == "service":
		return record(tx, model.Services, scope, func(r *model.Service) *model.Meta { return &r.Meta }, typeService, arn, ids)
	case kind == "service/listener":
		return record(tx, model.Listeners, scope, func(r *model.Listener) *model.Meta { return &r.Meta }, typeListener, arn, ids)
	case kind == "service/listener/rule":
		l, err := model.Listeners.Get(tx, scope.Key(ids[:2]...))
		if err != nil {
			return nil, nil, err
		}
		if l != nil && l.DefaultRule == ids[2] {
			r := defaultRule(l)
			return &r.Meta, func() error {
				l.DefaultRuleTags = r.Tags
				return model.Listeners.Put(tx, scope.Key(ids[:2]...), l)
			}, nil
		}
		return record(tx, model.Rules, scope, func(r *model.Rule) *model.Meta { return &r.Meta }, typeRule, arn, ids)
	case kind == "targetgroup":
		return record(tx, model.TargetGroups, scope, func(r *model.TargetGroup) *model.Meta { return &r.Meta }, typeTargetGroup, arn, ids)
	case kind == "servicenetworkserviceassociation":
		return record(tx, model.ServiceAssociations, scope, func(r *model.ServiceAssociation) *model.Meta { return &r.Meta }, typeServiceAssociation, arn, ids)
	case kind == "servicenetworkvpcassociation":
		return record(tx, model.VPCAssociations, scope, func(r *model.VPCAssociation) *model.Meta { return &r.Meta }, typeVPCAssociation, arn, ids)
	}
	e := fault.New("ResourceNotFoundException", "Resource %s not found", arn)
	e.ResourceType, e.ResourceID = "RESOURCE", arn
	return nil, nil, e
}

func every(path []string, from int) []string {
	var out []string
	for i := from; i < len(path); i += 2 {
		out = append(out, path[i])
	}
	return out
}

func record[T any](tx *store.Tx, c store.Collection[T], scope model.Scope, meta func(*T) *model.Meta, kind, arn string, ids []string) (*model.Meta, func() error, error) {
	key := scope.Key(ids...)
	r, err := c.Get(tx, key)
	if err != nil {
		return nil, nil, err
	}
	if r == nil {
		return nil, nil, notFound(kind, arn)
	}
	return meta(r), func() error { return c.Put(tx, key, r) }, nil
}

// TagResource implements vpc-lattice:TagResource.
func (s *Service) TagResource(ctx context.Context, in *wire.TagResourceRequest) (*wire.TagResourceResponse, error) {
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	scope := s.scope(ctx)
	return nil, s.cfg.Update(ctx, func(tx *store.Tx) error {
		meta, save, err := s.tagged(tx, scope, *in.ResourceArn)
		if err != nil {
			return err
		}
		if meta.Tags == nil {
			meta.Tags = map[string]string{}
		}
		for key, value := range in.Tags {
			meta.Tags[key] = value
		}
		if err := checkTags(meta.Tags); err != nil {
			return err
		}
		return save()
	})
}

// UntagResource implements vpc-lattice:UntagResource. Keys that are not there are
// passed over.
func (s *Service) UntagResource(ctx context.Context, in *wire.UntagResourceRequest) (*wire.UntagResourceResponse, error) {
	scope := s.scope(ctx)
	return nil, s.cfg.Update(ctx, func(tx *store.Tx) error {
		meta, save, err := s.tagged(tx, scope, *in.ResourceArn)
		if err != nil {
			return err
		}
		for _, key := range in.TagKeys {
			delete(meta.Tags, key)
		}
		return save()
	})
}

// ListTagsForResource implements vpc-lattice:ListTagsForResource.
func (s *Service) ListTagsForResource(ctx context.Context, in *wire.ListTagsForResourceRequest) (*wire.ListTagsForResourceResponse, error) {
	out := &wire.ListTagsForResourceResponse{Tags: map[string]string{}}
	err := s.cfg.View(ctx, func(tx *store.Tx) error {
		meta, _, err := s.tagged(tx, s.scope(ctx), *in.ResourceArn)
		if err != nil {
			return err
		}
		if meta.Tags != nil {
			out.Tags = meta.Tags
		}
		return s.portProblem(tx, meta, out.Tags)
	})
	return out, err
}

// ProblemTag is a tag that a listener has while its port cannot be opened, and
// that says why. It is not stored. VPC Lattice's own answers have no member for it.
const ProblemTag = "latchwork:problem"

func (s *Service) portProblem(tx *store.Tx, meta *model.Meta, tags map[string]string) error {
	if s.cfg.PortProblem == nil || !strings.HasPrefix(meta.ID, "listener-") {
		return nil
	}
	path := strings.Split(meta.ARN[strings.LastIndexByte(meta.ARN, ':')+1:], "/")
	l, err := model.Listeners.Get(tx, model.Scope{Account: meta.Account, Region: meta.Region}.Key(every(path, 1)...))
	if err != nil || l == nil {
		return err
	}
	if problem := s.cfg.PortProblem(l.Port); problem != "" {
		if len(problem) > 256 { // the longest tag
			problem = problem[:256]
		}
		tags[ProblemTag] = problem
	}
	return nil
}
