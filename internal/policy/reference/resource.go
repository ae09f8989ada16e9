package reference

import (
	"strings"

	"github.com/latchwork/latchwork/internal/policy"
)

// resource tells whether the resource is one of Resource, or none of NotResource. The
// policy of a role has neither: it speaks of the role.
// Source: IUG, "IAM JSON policy elements: Resource" and "NotResource".
func (e *evaluation) resource(s *policy.Statement) truth {
	switch {
	case s.Resources != nil:
		result := no
		for _, r := range s.Resources {
			// What is the ARN of nothing matches nothing.
			result = max(result, e.oneResource(r.Text, no))
		}
		return result
	case s.NotResources != nil:
		result := no
		for _, r := range s.NotResources {
			// Nobody can say what the ARN of nothing excepts.
			result = max(result, e.oneResource(r.Text, maybe))
		}
		return not(result)
	}
	return yes
}

// oneResource compares one entry. nothing is the answer for an entry that is the ARN
// of nothing: one with a variable without value, or with too few parts.
func (e *evaluation) oneResource(text string, nothing truth) truth {
	if text == "*" {
		return yes
	}
	text = complete(e.Kind, text)
	if e.Kind == policy.AuthPolicy {
		// Source: VPC Lattice User Guide, "Resource format for auth policies": also
		// "*/rates" is one, so it is matched as one text, whose wildcards match
		// everything.
		return e.read(text, true).compare(e.Resource, nothing)
	}
	parts := strings.SplitN(text, ":", 6)
	if len(parts) < 6 {
		return nothing
	}
	asked := strings.SplitN(e.Resource, ":", 6)
	if len(asked) < 6 {
		return no
	}
	for i := range 5 {
		// Wildcards of the first five parts end at the ':'.
		if !like(plain(parts[i], true), characters(asked[i])) {
			return no
		}
	}
	// Source: IUG, "IAM policy elements: Variables and tags": variables stand in what
	// comes after the fifth ':'.
	return e.read(parts[5], true).compare(asked[5], nothing)
}

// complete adds the parts that a short ARN lacks, each of them "*".
// Source: AWS's own error texts show arn:aws:*:*:*:*; which kinds do it is from
// cloud-copilot's comparison with AWS.
func complete(kind policy.Kind, text string) string {
	does := false
	switch kind {
	case policy.Identity, policy.Boundary, policy.Session:
		does = true
	case policy.Resource, policy.AuthPolicy:
		does = strings.Contains(text, "*")
	case policy.ServiceControl:
		does = strings.HasSuffix(text, "*")
	}
	for does && strings.HasPrefix(text, "arn:") && strings.Count(text, ":") < 5 {
		text += ":*"
	}
	return text
}
