package authz

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/latchwork/latchwork/internal/identity"
	"github.com/latchwork/latchwork/internal/policy"
	"github.com/latchwork/latchwork/internal/snapshot"
)

// CallerKeys answers the condition keys that follow from who the caller is, from whose
// the resource is, and from the time. Enforcement points answer their own keys first
// and leave the rest to it.
// Source: IUG, "AWS global condition context keys".
type CallerKeys struct {
	Snap      *snapshot.Snapshot
	Principal *identity.Principal
	// Owner is the account that has the resource; "" if nobody knows.
	Owner string
	Now   time.Time
}

// anonymous is the value of the two keys that an unsigned request has too.
const anonymous = "anonymous"

// Lookup implements policy.Keys.
func (c *CallerKeys) Lookup(k *policy.Key) (policy.Values, bool) {
	p := c.Principal
	anonymously := p.IsAnonymous() || p.Kind == identity.WebIdentity
	switch k.ID {
	case policy.PrincipalType:
		return policy.Single(p.Kind.String()), true
	case policy.CurrentTime:
		return policy.Single(c.Now.UTC().Format(time.RFC3339)), true
	case policy.EpochTime:
		return policy.Single(strconv.FormatInt(c.Now.Unix(), 10)), true
	case policy.ResourceAccount:
		return text(c.Owner)
	case policy.ResourceOrgID:
		return text(c.Snap.Account(c.Owner).OrgID)
	case policy.ResourceOrgPaths:
		return list(c.Snap.Account(c.Owner).OrgPaths)
	case policy.PrincipalAccount:
		if anonymously {
			return policy.Single(anonymous), true
		}
		return text(p.Account)
	case policy.UserID:
		if anonymously {
			return policy.Single(anonymous), true
		}
		return text(p.UserID)
	}
	if anonymously {
		return carried(p.Session, k)
	}
	switch k.ID {
	case policy.PrincipalARN:
		// A federated user is itself; for a role session it is the role.
		if p.Kind == identity.FederatedUser {
			return policy.Single(p.ARN), true
		}
		return text(p.IssuerARN)
	case policy.PrincipalServiceName:
		if p.Kind == identity.Service {
			return policy.Single(p.Name), true
		}
		return policy.Values{}, false
	case policy.PrincipalServiceNamesList:
		if p.Kind == identity.Service {
			return list([]string{p.Name})
		}
		return policy.Values{}, false
	case policy.PrincipalOrgID:
		return text(c.Snap.Account(p.Account).OrgID)
	case policy.PrincipalOrgPaths:
		return list(c.Snap.Account(p.Account).OrgPaths)
	case policy.PrincipalTag:
		return c.tag(k.Tail)
	case policy.PrincipalIsAWSService:
		return policy.Single(strconv.FormatBool(p.Kind == identity.Service)), true
	case policy.ViaAWSService:
		return policy.Single("false"), true
	case policy.Username:
		if p.Kind == identity.User {
			return policy.Single(p.Name), true
		}
		return policy.Values{}, false
	}
	s := p.Session
	if s == nil {
		return policy.Values{}, false
	}
	switch k.ID {
	case policy.TokenIssueTime:
		return policy.Single(s.IssuedAt.UTC().Format(time.RFC3339)), true
	case policy.MultiFactorAuthPresent:
		return policy.Single(strconv.FormatBool(!s.MFAAt.IsZero())), true
	case policy.MultiFactorAuthAge:
		if s.MFAAt.IsZero() {
			return policy.Values{}, false
		}
		return policy.Single(strconv.FormatInt(int64(c.Now.Sub(s.MFAAt)/time.Second), 10)), true
	case policy.SourceIdentity:
		return text(s.SourceIdentity)
	}
	return carried(s, k)
}

// carried are the keys that a session has from where it was made.
func carried(s *identity.Session, k *policy.Key) (policy.Values, bool) {
	switch {
	case s == nil:
	case k.ID == policy.FederatedProvider:
		return text(s.FederatedProvider)
	case k.ID == policy.Other:
		return policy.MapKeys(s.Keys).Lookup(k)
	}
	return policy.Values{}, false
}

// tag is the value of a principal tag: a session's own wins over its role's. Tag
// keys compare without regard to case.
func (c *CallerKeys) tag(key string) (policy.Values, bool) {
	if c.Principal.Session != nil {
		if v, ok := Tag(c.Principal.Session.Tags, key); ok {
			return v, true
		}
	}
	if e := c.Snap.Entity(c.Principal); e != nil {
		return Tag(e.Tags, key)
	}
	return policy.Values{}, false
}

// Tag finds a tag by its key in lower case. Where tag keys may differ by case
// alone, as those of VPC Lattice may, it has all their values: a Deny then holds if
// any of them satisfies its condition, an Allow only if every one does.
func Tag(tags map[string]string, key string) (policy.Values, bool) {
	var one string
	n := 0
	for name, v := range tags {
		if strings.EqualFold(name, key) {
			one = v
			n++
		}
	}
	if n < 2 {
		return policy.Single(one), n == 1
	}
	var many []string
	for _, name := range slices.Sorted(maps.Keys(tags)) {
		if strings.EqualFold(name, key) {
			many = append(many, tags[name])
		}
	}
	return policy.Values{One: strings.Join(many, ","), Many: many, Repeated: true}, true
}

// list is the value of a key whose type is a list; an empty one is absent.
func list(values []string) (policy.Values, bool) {
	return policy.Values{Many: values, List: true}, len(values) > 0
}

// text is a single value; an empty one is absent.
func text(v string) (policy.Values, bool) { return policy.Values{One: v}, v != "" }
