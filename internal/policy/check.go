package policy

import (
	"fmt"
	"slices"
	"strings"
)

// check applies what holds for the kind of the document, in AWS's order: each step
// looks at all statements before the next one does.
// Source: the order and texts of IAM's answers, as recorded by moto.
func (p *parser) check(d *Document) *Error {
	if err := p.checkVersion(d); err != nil {
		return err
	}
	if p.effect != nil {
		return p.effect
	}
	for i := range d.Statements {
		if err := p.checkConditions(&d.Statements[i], d.variables()); err != nil {
			return err
		}
	}
	format, err := p.resourceFormats(d)
	if err != nil {
		return err
	}
	if err := p.checkSids(d); err != nil {
		return err
	}
	for _, step := range []func(*Statement) *Error{p.checkPrincipal, p.checkActionsThere} {
		if err := each(d, step); err != nil {
			return err
		}
	}
	if format != nil {
		return format
	}
	for _, step := range []func(*Statement) *Error{p.checkActions, p.checkResources} {
		if err := each(d, step); err != nil {
			return err
		}
	}
	return nil
}

func each(d *Document, check func(*Statement) *Error) *Error {
	for i := range d.Statements {
		if err := check(&d.Statements[i]); err != nil {
			return err
		}
	}
	return nil
}

func (p *parser) checkVersion(d *Document) *Error {
	switch p.kind {
	case Identity, Boundary, Session, ServiceControl:
		if d.Version != version2012 {
			return &Error{Offset: p.version, Message: textVersion, Detail: `add "Version": "2012-10-17"`}
		}
	}
	return nil
}

// checkSids: in IAM a Sid has letters and digits only. S3 and VPC Lattice allow more.
// Source: IUG, "IAM JSON policy elements: Sid"; the texts are AWS's.
func (p *parser) checkSids(d *Document) *Error {
	seen := map[string]bool{}
	for i := range d.Statements {
		s := &d.Statements[i]
		if p.kind.isIAM() && !alphanumeric(s.Sid) {
			return &Error{Offset: s.Offset, Message: textSid, Detail: fmt.Sprintf("found %q", s.Sid)}
		}
		if s.Sid != "" && seen[s.Sid] {
			return p.say(s.Offset, textSids, fmt.Sprintf("Statement IDs must be unique: %s is there twice", s.Sid))
		}
		seen[s.Sid] = true
	}
	return nil
}

func alphanumeric(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

func (p *parser) checkPrincipal(s *Statement) *Error {
	if !p.kind.hasPrincipal() {
		if s.Principals != nil || s.NotPrincipals != nil {
			return &Error{Offset: s.Offset, Message: textPrincipal, Detail: "each " + p.kind.String() + " applies to what it is attached to"}
		}
		return nil
	}
	if len(s.Principals) == 0 && len(s.NotPrincipals) == 0 {
		text := textNoPrincipal
		if p.kind == Trust && (s.Principals != nil || s.NotPrincipals != nil) {
			text = textNobody
		}
		return p.say(s.Offset, text, "Statement must contain a Principal")
	}
	// Source: IUG, "IAM JSON policy elements: NotPrincipal": only with Deny.
	if s.Allow && s.NotPrincipals != nil {
		return p.say(s.Offset, "Allow with NotPrincipal is not supported.",
			"NotPrincipal can only be used with the effect Deny: with Allow it would let in everybody not named, also the anonymous")
	}
	for _, list := range [][]PrincipalEntry{s.Principals, s.NotPrincipals} {
		for _, entry := range list {
			if reason := badPrincipal(p.kind, entry); reason != "" {
				message := fmt.Sprintf("Invalid principal in policy: %q:%q", entry.Type, entry.Text.Text)
				if entry.Type == "Federated" {
					message = textFederated
				}
				return p.say(entry.Offset, message, fmt.Sprintf("Invalid principal in policy: %q %s", entry.Text.Text, reason))
			}
		}
	}
	return nil
}

// badPrincipal says what is wrong with a principal, or nothing. Whether it exists
// is not checked: it may live in another account, and the text must come back as
// it was sent.
func badPrincipal(kind Kind, e PrincipalEntry) string {
	text := e.Text.Text
	switch e.Type {
	case "*":
		return ""
	case "AWS":
		if text == "*" || IsAccount(text) || isUniqueID(text) {
			return ""
		}
		parts := strings.SplitN(text, ":", 6)
		if len(parts) != 6 || parts[0] != "arn" || parts[2] != "iam" && parts[2] != "sts" {
			return "is neither *, an account id nor the ARN of a user, role or session"
		}
		if strings.ContainsAny(text, "*?") {
			return "has a wildcard: a principal is matched whole; use a condition on aws:PrincipalArn instead"
		}
		if parts[4] == "" || !canCall(parts[2], parts[5]) {
			return "names nobody: it is neither the ARN of an account's root, a user or a role nor that of a session"
		}
		return ""
	case "Service":
		if strings.Contains(text, ".") && !strings.ContainsAny(text, "*? ") {
			return ""
		}
		return "is no service principal such as ec2.amazonaws.com"
	case "Federated":
		if kind != Trust {
			return "" // Such a principal takes roles and calls nothing else.
		}
		// Source: IUG, "AWS JSON policy elements: Principal": the name of a provider
		// that AWS knows, or the ARN of one of OpenID Connect or SAML.
		arn := strings.SplitN(text, ":", 6)
		if len(arn) == 6 && arn[0] == "arn" && (strings.HasPrefix(arn[5], "oidc-provider/") || strings.HasPrefix(arn[5], "saml-provider/")) ||
			strings.Contains(text, ".") && !strings.ContainsAny(text, "*? :") {
			return ""
		}
		return "is neither the ARN of an identity provider nor a name such as accounts.google.com"
	default:
		if text == "" {
			return "is empty"
		}
		return ""
	}
}

// canCall tells whether the last part of an ARN is that of somebody who can make
// requests: groups cannot.
// Source: IUG, "AWS JSON policy elements: Principal".
func canCall(service, name string) bool {
	kind, rest, _ := strings.Cut(name, "/")
	switch {
	case service == "iam" && (kind == "user" || kind == "role"), service == "sts" && kind == "federated-user":
		return rest != ""
	case service == "sts" && kind == "assumed-role":
		role, session, _ := strings.Cut(rest, "/")
		return role != "" && session != ""
	}
	return service == "iam" && name == "root"
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
// Source: IUG, "Modify a role trust policy"; IAM's answers as recorded by moto.
var trustActions = map[string]bool{
	"sts:*": true, "sts:assumerole": true, "sts:assumerolewithsaml": true, "sts:assumerolewithwebidentity": true,
	"sts:tagsession": true, "sts:setsourceidentity": true, "sts:setcontext": true,
	"sts:decodeauthorizationmessage": true, "sts:getaccesskeyinfo": true, "sts:getcalleridentity": true,
	"sts:getfederationtoken": true, "sts:getservicebearertoken": true, "sts:getsessiontoken": true,
}

func (p *parser) checkActionsThere(s *Statement) *Error {
	if len(s.Actions) == 0 && len(s.NotActions) == 0 {
		return p.say(s.Offset, textNoActions, "Invalid action in policy: the statement has neither Action nor NotAction")
	}
	if p.kind == Trust && s.NotActions != nil {
		return &Error{Offset: s.Offset, Message: textTrustAction, Detail: "NotAction is all actions but those"}
	}
	return nil
}

func (p *parser) checkActions(s *Statement) *Error {
	for _, list := range [][]Text{s.Actions, s.NotActions} {
		for _, a := range list {
			if err := p.checkAction(a); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *parser) checkAction(a Text) *Error {
	vendor, name, colon := strings.Cut(a.Text, ":")
	found := fmt.Sprintf("found %q", a.Text)
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
		if a.Text == "*" || trustActions[strings.ToLower(a.Text)] {
			return nil
		}
		return &Error{Offset: a.Offset, Message: textTrustAction, Detail: found}
	}
	switch {
	case a.Text == "*":
		return nil
	case !colon:
		return &Error{Offset: a.Offset, Message: textVendor, Detail: found}
	// Two actions in one text are accepted and match nothing.
	case strings.Contains(name, ":") && !strings.Contains(name, ","):
		return &Error{Offset: a.Offset, Message: textColon, Detail: found}
	case vendor != "*" && !plainVendor(vendor):
		return &Error{Offset: a.Offset, Message: "Vendor " + vendor + " is not valid"}
	}
	return nil
}

// vendorMarks takes away what the name of a service may have beside letters and digits.
var vendorMarks = strings.NewReplacer("-", "", ".", "")

func plainVendor(s string) bool {
	return s != "" && alphanumeric(vendorMarks.Replace(s))
}

func (p *parser) checkResources(s *Statement) *Error {
	if p.kind == Trust {
		if s.Resources != nil || s.NotResources != nil {
			return &Error{Offset: s.Offset, Message: "Has prohibited field Resource."}
		}
		return nil
	}
	if len(s.Resources) == 0 && len(s.NotResources) == 0 {
		return p.say(s.Offset, textNoResource, "Invalid resource in policy: the statement has neither Resource nor NotResource")
	}
	if p.kind != AuthPolicy {
		return nil
	}
	for _, list := range [][]Text{s.Resources, s.NotResources} {
		for _, r := range list {
			// Source: VPC Lattice User Guide, "Resource format for auth policies": also
			// "*/rates" and "*/*" are resources, and accounts there have ten digits.
			if !strings.HasPrefix(r.Text, "*") && !strings.HasPrefix(r.Text, "arn:") {
				return &Error{Offset: r.Offset, Message: fmt.Sprintf(
					"Invalid resource in policy: %q is neither \"*\", a pattern that begins with *, nor an ARN such as arn:aws:vpc-lattice:us-west-2:123456789012:service/svc-0123456789abcdef0/*", r.Text)}
			}
		}
	}
	return nil
}

// resourceFormats looks at the resources of all statements. Of several whose format
// is wrong it gives the first one in order of its text, and AWS speaks of it only
// when it has looked at more; what cannot be read at all it refuses at once, unless
// there is one of the others before.
func (p *parser) resourceFormats(d *Document) (format, legacy *Error) {
	if p.kind == AuthPolicy || p.kind == Resource {
		return nil, nil
	}
	for _, not := range []bool{false, true} {
		for i := range d.Statements {
			list := d.Statements[i].Resources
			if not {
				list = d.Statements[i].NotResources
			}
			list = slices.Clone(list)
			slices.SortStableFunc(list, func(a, b Text) int { return strings.Compare(a.Text, b.Text) })
			for _, r := range list {
				if message := badResource(r.Text); message != "" && format == nil {
					format = &Error{Offset: r.Offset, Message: message}
					if variableInHead(r.Text) {
						format.Detail = textVariables
					}
				}
			}
			for _, r := range list {
				if reason := unreadableResource(r.Text); reason != "" && format == nil {
					return nil, &Error{Offset: r.Offset, Message: textLegacy, Detail: r.Text + " " + reason}
				}
			}
		}
	}
	return format, nil
}

// partitions are those of AWS.
// Source: AWS General Reference, "ARN format", and the SDKs' list of endpoints.
var partitions = []string{"aws", "aws-cn", "aws-us-gov", "aws-iso", "aws-iso-b", "aws-iso-e", "aws-iso-f", "aws-eusc", "*"}

// regionalS3 begin the last part of those ARNs of S3 that have a region.
// Source: Service Authorization Reference, Amazon S3, "Resource types".
var regionalS3 = []string{"accesspoint/", "access-grants/", "job/", "storage-lens/", "storage-lens-group/", "async-request/"}

// iamResources begin the last part of the ARNs of IAM.
var iamResources = []string{
	"user/", "federated-user/", "role/", "group/", "instance-profile/", "mfa/", "server-certificate/", "policy/", "sms-mfa/",
	"saml-provider/", "oidc-provider/", "report/", "access-report/",
}

// badResource is what IAM answers to a resource that is no ARN, or nothing. A short
// ARN is one.
func badResource(text string) string {
	if text == "*" {
		return ""
	}
	parts := strings.SplitN(text, ":", 6)
	if len(parts) < 2 {
		return fmt.Sprintf(textResourceARN, text)
	}
	if !slices.Contains(partitions, parts[1]) {
		shown := []string{parts[1], parts[1], "*", "*", "*", "*"}
		copy(shown[2:], parts[2:])
		return fmt.Sprintf(textPartition, shown[0], shown[1], shown[2], shown[3], shown[4], shown[5])
	}
	switch {
	case parts[0] != "arn":
		return fmt.Sprintf(textResourceARN, text)
	case len(parts) < 3:
		return textNoService
	case len(parts) < 4:
		return ""
	}
	last := ""
	if len(parts) == 6 {
		last = parts[5]
	}
	switch {
	case parts[2] == "iam" && parts[3] != "":
		return fmt.Sprintf(textRegionOfIAM, text)
	case parts[2] == "s3" && parts[3] != "" && !begins(last, regionalS3):
		return fmt.Sprintf(textRegionOfS3, text)
	// The root user is a resource of AWS's own policies for AssumeRoot.
	case parts[2] == "iam" && len(parts) == 6 && last != "*" && last != "root" && !begins(last, iamResources):
		return textIAMResources
	}
	return ""
}

func begins(text string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(text, prefix) })
}

// textVariables is about a variable where variableInHead finds one.
// Source: IUG, "IAM policy elements: Variables and tags", "Where you can use policy
// variables".
const textVariables = "variables stand only behind the fifth colon of an ARN"

// variableInHead tells whether a resource has a variable before its fifth colon.
func variableInHead(text string) bool {
	at := strings.Index(text, "${")
	return at >= 0 && strings.Count(text[:at], ":") < 5
}

// unreadableResource says what is wrong with a resource that is an ARN and has
// parts that cannot be told apart, or nothing.
func unreadableResource(text string) string {
	parts := strings.SplitN(text, ":", 6)
	switch {
	case len(parts) > 2 && parts[2] == "":
		return "names no service"
	case len(parts) < 6 && strings.Contains(text, "::"):
		return "has not the six parts of an ARN"
	}
	return ""
}

func (p *parser) checkConditions(s *Statement, variables bool) *Error {
	for i := range s.Conditions {
		c := &s.Conditions[i]
		op, _ := parseOperator(c.Operator)
		// IAM stores such a key, which no request has.
		if p.kind == AuthPolicy && !strings.Contains(c.Key, ":") {
			return &Error{Offset: c.Offset, Message: fmt.Sprintf("Invalid condition in policy: the key %q has no prefix such as aws: or vpc-lattice-svcs:", c.Key)}
		}
		for _, v := range c.Values {
			if reason := op.badOperand(v.Text, variables); reason != "" {
				return p.say(v.Offset, textLegacy, fmt.Sprintf("Invalid condition in policy: %s of %s: %q %s", c.Operator, c.Key, v.Text, reason))
			}
		}
	}
	return nil
}
