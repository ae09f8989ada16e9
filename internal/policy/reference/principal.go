package reference

import (
	"strings"

	"github.com/latchwork/latchwork/internal/identity"
	"github.com/latchwork/latchwork/internal/policy"
)

// principal tells whether a statement is for the caller, and how directly it says so.
// Source: IUG, "AWS JSON policy elements: Principal" and "NotPrincipal".
func (e *evaluation) principal(s *policy.Statement) (truth, policy.Grade) {
	switch {
	case s.Principals != nil:
		grade := e.named(s.Principals)
		return is(grade != policy.GradeNone), grade
	case s.NotPrincipals == nil:
		return yes, policy.GradeNone // A kind whose statements are for whom it is attached to.
	case s.Allow:
		// It is refused when it is stored, for it would let in the anonymous.
		return no, policy.GradeNone
	case e.Boundary:
		// Source: IUG, "Permissions boundaries for IAM entities": a Deny with
		// NotPrincipal hits everybody who has one.
		return yes, policy.GradeDirect
	}
	return is(e.named(s.NotPrincipals) == policy.GradeNone), policy.GradeDirect
}

// named is how directly the most direct of the entries names the caller.
func (e *evaluation) named(entries []policy.PrincipalEntry) policy.Grade {
	best := policy.GradeNone
	for _, entry := range entries {
		best = max(best, e.entry(entry))
	}
	return best
}

func (e *evaluation) entry(entry policy.PrincipalEntry) policy.Grade {
	name := entry.Text.Text
	switch {
	case entry.Type == "*", entry.Type == "AWS" && name == "*":
		return policy.GradeDirect // Everybody, who did not sign too.
	case e.Principal.IsAnonymous():
		return policy.GradeNone
	}
	switch entry.Type {
	case "AWS":
		return aws(name, e.Principal)
	case "Service":
		// Source: the same, "AWS service principals": the exact text.
		return direct(e.Principal.Kind == identity.Service && e.Principal.Name == name)
	case "Federated":
		// Source: the same, "Federated principals": those whom a provider vouches for. A
		// session of a role is the role's, whoever vouched when it was taken.
		return direct(e.Principal.Kind == identity.WebIdentity && e.Principal.Session != nil && e.Principal.Session.FederatedProvider == name)
	}
	return policy.GradeNone // CanonicalUser is of S3 alone.
}

func direct(b bool) policy.Grade {
	if b {
		return policy.GradeDirect
	}
	return policy.GradeNone
}

// aws tells how an account id, an ARN or a unique id names a caller.
func aws(name string, who *identity.Principal) policy.Grade {
	switch who.Kind {
	case identity.Service, identity.WebIdentity:
		return policy.GradeNone // They belong to no account.
	}
	// Source: the same, "AWS account principals": the id and the ARN of the root user
	// both mean the account, which delegates.
	account := name
	if parts := strings.SplitN(name, ":", 6); len(parts) == 6 && parts[5] == "root" {
		account = parts[4]
	}
	if account == who.Account {
		return policy.GradeAccount
	}
	// Source: the same, "IAM role principals", "Role session principals", "IAM user
	// principals"; "a unique id" for those whose entity is gone.
	switch {
	case who.Kind == identity.Root:
		return policy.GradeNone
	case name == who.ARN:
		return policy.GradeDirect
	case name != who.IssuerARN && name != who.IssuerID:
		return policy.GradeNone
	case who.Kind == identity.AssumedRole:
		return policy.GradeRole
	case who.Kind == identity.FederatedUser:
		return policy.GradeParentUser
	}
	return policy.GradeDirect
}
