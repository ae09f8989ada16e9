package gateway

import (
	"slices"
	"strings"

	"github.com/latchwork/latchwork/internal/identity"
	"github.com/latchwork/latchwork/internal/snapshot"
)

// tag is one tag of a principal.
type tag struct{ key, value string }

// principalTags lists the tags of a principal, a session's own before its role's,
// sorted by key.
func principalTags(snap *snapshot.Snapshot, p *identity.Principal) []tag {
	all := map[string]string{}
	if e := snap.Entity(p); e != nil {
		for k, v := range e.Tags {
			all[k] = v
		}
	}
	if p.Session != nil {
		for k, v := range p.Session.Tags {
			all[k] = v
		}
	}
	out := make([]tag, 0, len(all))
	for k, v := range all {
		out = append(out, tag{k, v})
	}
	slices.SortFunc(out, func(a, b tag) int { return strings.Compare(a.key, b.key) })
	return out
}
