package sts

import (
	"maps"
	"slices"
	"strings"

	"github.com/latchwork/latchwork/internal/awsapi"
	wire "github.com/latchwork/latchwork/internal/wire/sts"
)

// maxTags is the most tags of a session, inherited ones included.
// Source: IAM User Guide, "Pass session tags in AWS STS".
const maxTags = 50

// sessionTags are the tags of a session to be made.
type sessionTags struct {
	all map[string]string
	// inherited are the transitive tags of the calling session.
	inherited map[string]string
	// transitive keys of the new session.
	transitive []string
}

// mergeTags joins the tags of a request with the transitive tags of the calling
// session. Keys are unique without regard to case.
// Source: IAM User Guide, "Pass session tags in AWS STS", chaining roles with
// session tags; texts as recorded from AWS.
func mergeTags(tags []wire.Tag, transitive []string, inherited map[string]string) (*sessionTags, error) {
	out := &sessionTags{all: maps.Clone(inherited), inherited: inherited, transitive: slices.Sorted(maps.Keys(inherited))}
	if out.all == nil {
		out.all = map[string]string{}
	}
	asked := map[string]string{}
	for _, tag := range tags {
		folded := strings.ToLower(*tag.Key)
		if _, twice := asked[folded]; twice {
			return nil, badValue("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
		}
		if strings.HasPrefix(folded, "aws:") {
			return nil, badValue("The tag key %s is not valid: keys that begin with aws: are reserved.", *tag.Key)
		}
		if hasKey(inherited, *tag.Key) {
			return nil, badValue("One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the calling session.")
		}
		asked[folded] = *tag.Key
		out.all[*tag.Key] = *tag.Value
	}
	for _, key := range transitive {
		spelled, ok := asked[strings.ToLower(key)]
		if !ok {
			return nil, badValue("The specified transitive tag key must be included in the requested tags.")
		}
		if !slices.Contains(out.transitive, spelled) {
			out.transitive = append(out.transitive, spelled)
		}
	}
	if len(out.all) > maxTags {
		return nil, badValue("A session has at most %d tags; with those of the calling session there are %d.", maxTags, len(out.all))
	}
	return out, nil
}

func hasKey(tags map[string]string, key string) bool {
	_, ok := spelling(tags, key)
	return ok
}

// spelling finds a key in any letter case.
func spelling(tags map[string]string, key string) (string, bool) {
	for have := range tags {
		if strings.EqualFold(have, key) {
			return have, true
		}
	}
	return "", false
}

// requestTags are the condition keys of the tags that a request brings.
func requestTags(tags []wire.Tag) []awsapi.Key {
	if len(tags) == 0 {
		return nil
	}
	names := make([]string, len(tags))
	out := make([]awsapi.Key, len(tags), len(tags)+1)
	for i, t := range tags {
		names[i] = *t.Key
		out[i] = awsapi.Key{Name: "aws:RequestTag/" + *t.Key, Values: []string{*t.Value}}
	}
	return append(out, awsapi.Key{Name: "aws:TagKeys", Values: names, Multi: true})
}

// resourceTags are the condition keys of a role's tags. In a chain the inherited
// tags take the place of the role's own values.
// Source: IAM User Guide, "Pass session tags in AWS STS", chaining.
func resourceTags(role, inherited map[string]string) []awsapi.Key {
	var out []awsapi.Key
	for _, key := range slices.Sorted(maps.Keys(role)) {
		value := role[key]
		if have, ok := spelling(inherited, key); ok {
			value = inherited[have]
		}
		out = append(out,
			awsapi.Key{Name: "aws:ResourceTag/" + key, Values: []string{value}},
			awsapi.Key{Name: "iam:ResourceTag/" + key, Values: []string{value}})
	}
	return out
}
