package iam

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/latchwork/latchwork/internal/awsapi"
	"github.com/latchwork/latchwork/internal/fault"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/store"
	wire "github.com/latchwork/latchwork/internal/wire/iam"
)

// mergeTags adds tags to what an entity has. Keys are unique without regard to
// case, and the new spelling wins.
// Source: IAM User Guide, "Tags for AWS Identity and Access Management
// resources", rules for tagging.
func mergeTags(have map[string]string, add []wire.Tag, resource string) (map[string]string, error) {
	out := maps.Clone(have)
	if out == nil && len(add) > 0 {
		out = map[string]string{}
	}
	seen := map[string]bool{}
	for _, tag := range add {
		folded := strings.ToLower(*tag.Key)
		if seen[folded] {
			return nil, fault.New("InvalidInput", "Duplicate tag keys found. Please note that Tag keys are case insensitive.")
		}
		seen[folded] = true
		if strings.HasPrefix(folded, "aws:") {
			return nil, fault.New("InvalidInput", "The tag key %s is not valid: keys that begin with aws: are reserved.", *tag.Key)
		}
		removeTag(out, *tag.Key)
		out[*tag.Key] = *tag.Value
	}
	if len(out) > maxTags {
		return nil, exceeded("TagsPer"+quotaWords[resource], maxTags)
	}
	return out, nil
}

// quotaWords are the kinds of entities as quotas name them.
var quotaWords = map[string]string{
	"user": "User", "role": "Role", "policy": "Policy", "instance-profile": "InstanceProfile", "oidc-provider": "OpenIDConnectProvider",
}

func removeTag(tags map[string]string, key string) {
	maps.DeleteFunc(tags, func(have, _ string) bool { return strings.EqualFold(have, key) })
}

func tag[T any](ctx context.Context, s *Service, k *kind[T], name *string, tags []wire.Tag) error {
	return change(ctx, s, k, name, func(_ *store.Tx, record *T) error { return addTags(k.meta(record), tags, k.resource) })
}

func addTags(m *model.Meta, tags []wire.Tag, resource string) (err error) {
	m.Tags, err = mergeTags(m.Tags, tags, resource)
	return err
}

// untag removes tags; keys that are not there are passed over, as AWS does.
func untag[T any](ctx context.Context, s *Service, k *kind[T], name *string, keys []string) error {
	return change(ctx, s, k, name, func(_ *store.Tx, record *T) error {
		removeTags(k.meta(record), keys)
		return nil
	})
}

func removeTags(m *model.Meta, keys []string) {
	for _, key := range keys {
		removeTag(m.Tags, key)
	}
}

func listTags[T any](ctx context.Context, s *Service, k *kind[T], name *string) ([]wire.Tag, *string, error) {
	record, revision, err := listed(ctx, s, k, name)
	if err != nil {
		return nil, nil, err
	}
	return pageTags(ctx, k.meta(record), revision)
}

func pageTags(ctx context.Context, m *model.Meta, revision int64) ([]wire.Tag, *string, error) {
	return awsapi.Page(ctx, tagsOf(m.Tags), revision, func(t wire.Tag) string { return pageKey(*t.Key) })
}

// tagsOf lists tags in the order of their page keys; nil if there are none.
func tagsOf(tags map[string]string) []wire.Tag {
	var out []wire.Tag
	for key, value := range tags {
		out = append(out, wire.Tag{Key: &key, Value: &value})
	}
	slices.SortFunc(out, func(a, b wire.Tag) int { return strings.Compare(pageKey(*a.Key), pageKey(*b.Key)) })
	return out
}

// pageKey is text in lower case, made short enough for a marker, of which IAM's
// clients send at most 320 characters. Texts that differ keep different keys.
func pageKey(text string) string {
	const most = 96
	text = strings.ToLower(text)
	if len(text) <= most {
		return text
	}
	cut := most
	for !utf8.RuneStart(text[cut]) {
		cut--
	}
	sum := sha256.Sum256([]byte(text))
	return text[:cut] + hex.EncodeToString(sum[:16])
}
