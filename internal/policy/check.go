package policy

import (
	"fmt"
	"strings"
)

// check applies what holds for the kind of the document, in AWS's order.
// Source: the order and texts of IAM's answers, as recorded by others.
func (p *parser) check(d *Document) *Error {
	if err := p.checkVersion(d); err != nil {
		return err
	}
	sids := map[string]bool{}
	for i := range d.Statements {
		s := &d.Statements[i]
		if s.Sid != "" && sids[s.Sid] {
			return p.say(s.Offset, textSids, fmt.Sprintf("Statement IDs must be unique: %s is there twice", s.Sid))
		}
		sids[s.Sid] = true
		for _, check := range []func(*Statement) *Error{p.checkPrincipal, p.checkActions, p.checkResources} {
			if err := check(s); err != nil {
				return err
			}
		}
		if err := p.checkConditions(s, d.variables()); err != nil {
			return err
		}
	}
	return nil
}

func (p *parser) checkVersion(d *Document) *Error {
	switch p.kind {
	case Identity, Boundary, Session, ServiceControl:
		if d.Version != version2012 {
			return &Error{Message: textVersion, Detail: `add "Version": "2012-10-17"`}
		}
	}
	return nil
}

func (p *parser) checkPrincipal(s *Statement) *Error {
	if !p.kind.hasPrincipal() {
		if s.Principals != nil || s.NotPrincipals != nil {
			return &Error{Offset: s.Offset, Message: textPrincipal, Detail: "a " + p.kind.String() + " applies to what it is attached to"}
		}
		return nil
	}
	if len(s.Principals) == 0 && len(s.NotPrincipals) == 0 {
		if p.kind == Trust {
			return &Error{Offset: s.Offset, Message: "Missing required field Principal"}
		}
		return p.say(s.Offset, "Missing required field Principal", "Statement must contain a Principal")
	}
	// Source: IUG, "IAM JSON policy elements: NotPrincipal": only with Deny.
	if s.Allow && s.NotPrincipals != nil {
		return p.say(s.Offset, "Allow with NotPrincipal is not supported.",
			"NotPrincipal can only be used with the effect Deny: with Allow it would let in everybody not named, also the anonymous")
	}
	for _, list := range [][]PrincipalEntry{s.Principals, s.NotPrincipals} {
		for _, entry := range list {
			if reason := badPrincipal(entry); reason != "" {
				return p.say(entry.Offset, fmt.Sprintf("Invalid principal in policy: %q:%q", entry.Type, entry.Text.Text),
					fmt.Sprintf("Invalid principal in policy: %q %s", entry.Text.Text, reason))
			}
		}
	}
	return nil
}

// badPrincipal says what is wrong with a principal, or nothing. Whether it exists
// is not checked: it may live in another account, and the text must come back as
// it was sent.
func badPrincipal(e PrincipalEntry) string {
	text := e.Text.Text
	switch e.Type {
	case "*":
		return ""
	case "AWS":
		if text == "*" || isAccount(text) || isUniqueID(text) {
			return ""
		}
		parts := strings.SplitN(text, ":", 6)
		if len(parts) != 6 || parts[0] != "arn" || parts[2] != "iam" && parts[2] != "sts" {
			return "is neither *, an account id nor the ARN of a user, role or session"
		}
		if strings.ContainsAny(text, "*?") {
			return "has a wildcard: a principal is matched whole; use a condition on aws:PrincipalArn instead"
		}
		if parts[5] == "" || parts[4] == "" {
			return "names nobody"
		}
		return ""
	case "Service":
		if strings.Contains(text, ".") && !strings.ContainsAny(text, "*? ") {
			return ""
		}
		return "is no service principal such as ec2.amazonaws.com"
	default:
		if text == "" {
			return "is empty"
		}
		return ""
	}
}

// isUniqueID tells whether a principal is a unique id such as AROA….
func isUniqueID(s string) bool {
	if len(s) < 16 || len(s) > 32 || !strings.HasPrefix(s, "A") {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// trustActions may be in a trust policy.
// Source: IUG, "Modify a role trust policy"; iam error texts as recorded.
var trustActions = map[string]bool{
	"sts:assumerole": true, "sts:assumerolewithsaml": true, "sts:assumerolewithwebidentity": true,
	"sts:tagsession": true, "sts:setsourceidentity": true, "sts:setcontext": true,
}

func (p *parser) checkActions(s *Statement) *Error {
	all := s.Actions
	if all == nil {
		all = s.NotActions
	}
	if len(all) == 0 {
		return p.say(s.Offset, textNoActions, "Invalid action in policy: the statement has neither Action nor NotAction")
	}
	for _, a := range all {
		if err := p.checkAction(a); err != nil {
			return err
		}
	}
	return nil
}

func (p *parser) checkAction(a Text) *Error {
	vendor, name, colon := strings.Cut(a.Text, ":")
	switch p.kind {
	case AuthPolicy:
		// Source: VPC Lattice User Guide, "Common elements in an auth policy"; the
		// console's own templates have "*".
		if a.Text == "*" || colon && strings.EqualFold(vendor, "vpc-lattice-svcs") && name != "" {
			return nil
		}
		return &Error{Offset: a.Offset, Message: fmt.Sprintf(
			"Invalid action in policy: %q is neither \"*\" nor an action of vpc-lattice-svcs, such as vpc-lattice-svcs:Invoke", a.Text)}
	case Trust:
		if a.Text == "*" || a.Text == "sts:*" || trustActions[strings.ToLower(a.Text)] {
			return nil
		}
		return &Error{Offset: a.Offset, Message: "Trust Policy statement actions can only be sts:AssumeRole, sts:AssumeRoleWithSAML,  and sts:AssumeRoleWithWebIdentity", Detail: "found " + a.Text}
	}
	switch {
	case a.Text == "*":
		return nil
	case !colon:
		return &Error{Offset: a.Offset, Message: "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.", Detail: "found " + a.Text}
	// Two actions in one text are accepted and match nothing.
	case strings.Contains(name, ":") && !strings.Contains(name, ","):
		return &Error{Offset: a.Offset, Message: "Actions/Condition can contain only one colon.", Detail: "found " + a.Text}
	case vendor != "*" && !plainVendor(vendor):
		return &Error{Offset: a.Offset, Message: "Vendor " + vendor + " is not valid"}
	}
	return nil
}

func plainVendor(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '.' {
			return false
		}
	}
	return s != ""
}

func (p *parser) checkResources(s *Statement) *Error {
	if p.kind == Trust {
		if s.Resources != nil || s.NotResources != nil {
			return &Error{Offset: s.Offset, Message: "Has prohibited field Resource."}
		}
		return nil
	}
	all := s.Resources
	if all == nil {
		all = s.NotResources
	}
	if len(all) == 0 {
		return p.say(s.Offset, textNoResource, "Invalid resource in policy: the statement has neither Resource nor NotResource")
	}
	for _, r := range all {
		if err := p.checkResource(r); err != nil {
			return err
		}
	}
	return nil
}

func (p *parser) checkResource(r Text) *Error {
	text := r.Text
	switch p.kind {
	case AuthPolicy:
		// Source: VPC Lattice User Guide, "Resource format for auth policies": also
		// "*/rates" and "*/*" are resources, and accounts there have ten digits.
		if strings.HasPrefix(text, "*") || strings.HasPrefix(text, "arn:") {
			return nil
		}
		return &Error{Offset: r.Offset, Message: fmt.Sprintf(
			"Invalid resource in policy: %q is neither \"*\", a pattern that begins with *, nor an ARN such as arn:aws:vpc-lattice:us-west-2:123456789012:service/svc-0123456789abcdef0/*", text)}
	case Resource:
		return nil
	}
	if text == "*" {
		return nil
	}
	parts := strings.SplitN(text, ":", 6)
	switch {
	case parts[0] != "arn" || len(parts) < 3 && !strings.HasSuffix(text, "*"):
		return &Error{Offset: r.Offset, Message: fmt.Sprintf("Resource %s must be in ARN format or \"*\".", text)}
	case len(parts) > 2 && parts[2] == "" && !strings.Contains(text, "*"):
		return &Error{Offset: r.Offset, Message: textLegacy, Detail: "the service of " + text + " is empty"}
	}
	return nil
}

func (p *parser) checkConditions(s *Statement, variables bool) *Error {
	for i := range s.Conditions {
		c := &s.Conditions[i]
		op, _ := parseOperator(c.Operator)
		if !strings.Contains(c.Key, ":") {
			return p.say(c.Offset, "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.",
				fmt.Sprintf("Invalid condition in policy: the key %q has no prefix such as aws: or vpc-lattice-svcs:", c.Key))
		}
		for _, v := range c.Values {
			if reason := op.badOperand(v.Text, variables); reason != "" {
				return p.say(v.Offset, textLegacy, fmt.Sprintf("Invalid condition in policy: %s of %s: %q %s", c.Operator, c.Key, v.Text, reason))
			}
		}
	}
	return nil
}
