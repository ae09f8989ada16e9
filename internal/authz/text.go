package authz

import (
	"strings"

	"github.com/latchwork/latchwork/internal/policy"
)

// DeniedText is AWS's sentence for a denial. It is empty for an allow.
// Source: IUG, "Troubleshoot access denied error messages"; for VPC Lattice as seen
// in public transcripts.
func (d Decision) DeniedText(q *Query) string {
	if d.Allowed {
		return ""
	}
	var b strings.Builder
	b.WriteString("User: ")
	b.WriteString(q.Principal.Display())
	b.WriteString(" is not authorized to perform: ")
	b.WriteString(q.Action)
	if q.Resource != "" && q.Resource != "*" || q.Service != nil {
		b.WriteString(" on resource: ")
		b.WriteString(q.Resource)
	}
	if d.Cause == ExplicitDeny {
		b.WriteString(" with an explicit deny in " + article(d.Stage, q))
		// Source: AWS Security Blog, "Enhanced access denied error messages with
		// policy ARNs" (2026-01): within one account or organization; not for VPC
		// Lattice's requests, as far as seen.
		if q.Service == nil && !d.foreign && d.Policy != nil && d.Policy.ARN != "" && d.Stage != StageResource {
			b.WriteString(": " + d.Policy.ARN)
		}
		return b.String()
	}
	b.WriteString(" because no " + noun(d.Stage, q) + " allows the " + q.Action + " action")
	return b.String()
}

func noun(s Stage, q *Query) string {
	switch s {
	case StageBoundary:
		return "permissions boundary"
	case StageSession:
		return "session policy"
	case StageNetwork:
		return "network-based policy"
	case StageService:
		return "service-based policy"
	case StageServiceControl:
		return "service control policy"
	case StageResource:
		if trust(q) {
			return "role trust policy"
		}
		return "resource-based policy"
	}
	return "identity-based policy"
}

// trust tells whether the resource's policy is the trust policy of a role. One that
// could not be compiled has no kind; what is required is one.
func trust(q *Query) bool {
	switch {
	case q.Policy == nil:
		return false
	case q.Policy.Compiled == nil:
		return q.Required
	}
	return q.Policy.Compiled.Kind() == policy.Trust
}

func article(s Stage, q *Query) string {
	n := noun(s, q)
	switch {
	case n == "role trust policy":
		return "the " + n
	case strings.HasPrefix(n, "identity"):
		return "an " + n
	}
	return "a " + n
}
