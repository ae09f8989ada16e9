package policy

import (
	"fmt"
	"strings"
)

// parser turns a JSON tree into a Document of one kind.
type parser struct {
	kind Kind
	text string
	// version is where the value of Version is, or the document if it has none.
	version int
	// effect is what is wrong with the letter case of the first Effect that is so
	// written: AWS says it only where nothing is wrong with the syntax.
	effect *Error
}

// Texts that AWS answers. Source: recorded answers of IAM; those of VPC Lattice
// are not published, ours say the same in its form.
const (
	textSyntax       = "Syntax errors in policy."
	textVersion      = "Policy document must be version 2012-10-17 or greater."
	textLegacy       = "The policy failed legacy parsing"
	textSids         = "Statement IDs (SID) in a single policy must be unique."
	textSid          = "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [0-9A-Za-z]*"
	textNoActions    = "Policy statement must contain actions."
	textNoResource   = "Policy statement must contain resources."
	textPrincipal    = "Policy document should not specify a principal."
	textNoPrincipal  = "Missing required field Principal"
	textNobody       = "Invalid principal in policy: com.amazon.balsa.error.InvalidPolicyException: The passed in policy has a statement with no principals!"
	textTrustJSON    = "This policy contains invalid Json"
	textTrustAction  = "Trust Policy statement actions can only be sts:AssumeRole, sts:AssumeRoleWithSAML,  and sts:AssumeRoleWithWebIdentity"
	textVendor       = "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."
	textColon        = "Actions/Condition can contain only one colon."
	textFederated    = "Federated principals must be valid domain names or SAML metadata ARNs"
	textResourceARN  = "Resource %s must be in ARN format or \"*\"."
	textPartition    = "Partition \"%s\" is not valid for resource \"arn:%s:%s:%s:%s:%s\"."
	textNoService    = "Resource vendor must be fully qualified and cannot contain regexes."
	textRegionOfIAM  = "IAM resource %s cannot contain region information."
	textRegionOfS3   = "Resource %s can not contain region information."
	textIAMResources = "IAM resource path must either be \"*\" or start with user/, federated-user/, role/, group/, instance-profile/, mfa/, server-certificate/, policy/, sms-mfa/, saml-provider/, oidc-provider/, report/, access-report/."
)

// syntax is a syntax error in the words of the kind's service.
func (p *parser) syntax(offset int, format string, args ...any) *Error {
	detail := fmt.Sprintf(format, args...)
	if p.kind == AuthPolicy {
		return &Error{Offset: offset, Message: detail}
	}
	return &Error{Offset: offset, Message: textSyntax, Detail: detail}
}

// say is an error with AWS's text for IAM and ours for an auth policy.
func (p *parser) say(offset int, iam, detail string) *Error {
	if p.kind == AuthPolicy {
		return &Error{Offset: offset, Message: detail}
	}
	return &Error{Offset: offset, Message: iam, Detail: detail}
}

func (p *parser) document() (*Document, *Error) {
	for i, r := range p.text {
		// Source: IUG, "IAM and AWS STS quotas": the characters of a document.
		if (r < ' ' && r != '\t' && r != '\n' && r != '\r') || r == 0xFEFF || r > 0xFF && p.kind.isIAM() {
			return nil, p.syntax(i, "the character %U is not allowed in a policy", r)
		}
	}
	root, err := parseJSON(p.text)
	if err != nil {
		switch p.kind {
		case AuthPolicy:
			err.Detail, err.Message = err.Message, "Policy is not valid JSON"
		case Trust:
			err.Detail, err.Message = err.Message, textTrustJSON
		default:
			err.Detail, err.Message = err.Message, textSyntax
		}
		return nil, err
	}
	if root.kind != '{' {
		return nil, p.syntax(root.offset, "a policy is a JSON object, this is not")
	}
	d := &Document{Kind: p.kind, Text: p.text}
	p.version = root.offset
	var statements *node
	for i := range root.members {
		m := &root.members[i]
		switch m.name {
		case "Version":
			if m.value.kind != '"' || m.value.text != version2008 && m.value.text != version2012 {
				return nil, p.syntax(m.value.offset, "Version must be \"2012-10-17\" or \"2008-10-17\"")
			}
			d.Version, p.version = m.value.text, m.value.offset
		case "Id":
			if m.value.kind != '"' {
				return nil, p.syntax(m.value.offset, "Id must be a string")
			}
			d.ID = m.value.text
		case "Statement":
			statements = &m.value
		default:
			return nil, p.syntax(m.offset, "Policy has unsupported element %s: expected Version, Id or Statement", m.name)
		}
	}
	if statements == nil {
		return nil, p.syntax(root.offset, "Policy must contain at least one statement: the element Statement is missing")
	}
	if statements.size() == 0 {
		return nil, p.syntax(statements.offset, "Policy must contain at least one statement")
	}
	d.Statements = make([]Statement, statements.size())
	for i, item := range statements.list {
		d.Statements[i].Index = i
		if err := p.statement(&d.Statements[i], item); err != nil {
			return nil, err
		}
	}
	return d, p.check(d)
}

func (p *parser) statement(s *Statement, n *node) *Error {
	if n.kind != '{' {
		return p.syntax(n.offset, "a statement must be an object")
	}
	s.Offset = n.offset
	effect := false
	for i := range n.members {
		m := &n.members[i]
		var err *Error
		switch m.name {
		case "Sid":
			if m.value.kind != '"' {
				return p.syntax(m.value.offset, "Sid must be a string")
			}
			s.Sid = m.value.text
		case "Effect":
			effect = true
			err = p.readEffect(s, &m.value)
		case "Principal":
			s.Principals, err = p.principals(&m.value)
		case "NotPrincipal":
			s.NotPrincipals, err = p.principals(&m.value)
		case "Action":
			s.Actions, err = p.texts(m)
		case "NotAction":
			s.NotActions, err = p.texts(m)
		case "Resource":
			s.Resources, err = p.texts(m)
		case "NotResource":
			s.NotResources, err = p.texts(m)
		case "Condition":
			err = p.conditions(s, &m.value)
		default:
			return p.syntax(m.offset, "a statement has no element %s: its elements are Sid, Effect, Principal, Action, Resource and Condition", m.name)
		}
		if err != nil {
			return err
		}
	}
	if !effect {
		return p.syntax(n.offset, "Effect must be Allow or Deny: the statement has none")
	}
	for _, pair := range []struct {
		name string
		both bool
	}{
		{"Principal", s.Principals != nil && s.NotPrincipals != nil},
		{"Action", s.Actions != nil && s.NotActions != nil},
		{"Resource", s.Resources != nil && s.NotResources != nil},
	} {
		if pair.both {
			return p.syntax(n.member("Not"+pair.name).offset, "a statement has either %s or Not%s, not both", pair.name, pair.name)
		}
	}
	return nil
}

func (p *parser) readEffect(s *Statement, n *node) *Error {
	switch {
	case n.kind == '"' && n.text == "Allow":
		s.Allow = true
	case n.kind == '"' && n.text == "Deny":
	case n.kind == '"' && (strings.EqualFold(n.text, "allow") || strings.EqualFold(n.text, "deny")):
		if p.effect == nil {
			p.effect = p.say(n.offset, textLegacy, "Effect must be Allow or Deny, with exactly these letters; found "+n.text)
		}
	default:
		return p.syntax(n.offset, "Effect must be Allow or Deny")
	}
	return nil
}

// texts reads a string or a list of strings. A null in a list is passed over, as
// AWS does; it matches nothing.
func (p *parser) texts(m *member) ([]Text, *Error) {
	out := make([]Text, 0, m.value.size())
	for _, item := range m.value.list {
		switch {
		case item.kind == '"':
			out = append(out, Text{item.text, item.offset})
		case item.kind == 'n' && m.value.kind == '[':
		default:
			return nil, p.syntax(item.offset, "%s must be a string or a list of strings", m.name)
		}
	}
	return out, nil
}

func (p *parser) principals(n *node) ([]PrincipalEntry, *Error) {
	if n.kind == '"' {
		// Source for the bare account id: the AWS Gateway API controller's
		// documentation of auth policies has one.
		if n.text == "*" || p.kind == AuthPolicy && IsAccount(n.text) {
			kind := "AWS"
			if n.text == "*" {
				kind = "*"
			}
			return []PrincipalEntry{{Type: kind, Text: Text{n.text, n.offset}, Bare: true}}, nil
		}
		return nil, p.syntax(n.offset, "Invalid principal in policy: %q must be \"*\" or an object such as {\"AWS\": \"arn:aws:iam::123456789012:role/name\"}", n.text)
	}
	if n.kind != '{' {
		return nil, p.syntax(n.offset, "Invalid principal in policy: expected \"*\" or an object")
	}
	var out []PrincipalEntry
	for i := range n.members {
		m := &n.members[i]
		switch m.name {
		case "AWS", "Service", "Federated", "CanonicalUser":
		default:
			return nil, p.syntax(m.offset, "Invalid principal in policy: the type %s is none of AWS, Service, Federated, CanonicalUser", m.name)
		}
		values, err := p.texts(m)
		if err != nil {
			return nil, err
		}
		for _, v := range values {
			out = append(out, PrincipalEntry{Type: m.name, Text: v})
		}
	}
	if out == nil {
		out = []PrincipalEntry{}
	}
	return out, nil
}

func (p *parser) conditions(s *Statement, n *node) *Error {
	if n.kind != '{' {
		return p.syntax(n.offset, "Invalid condition in policy: Condition must be an object")
	}
	entries := 0
	for i := range n.members {
		entries += len(n.members[i].value.members)
	}
	out := make([]ConditionEntry, 0, entries)
	for i := range n.members {
		op := &n.members[i]
		if op.value.kind != '{' {
			return p.syntax(op.value.offset, "Invalid condition in policy: %s must hold an object of keys and values", op.name)
		}
		if len(op.value.members) == 0 {
			// Accepted by AWS whatever its name; it tests nothing.
			s.Untested = append(s.Untested, Text{op.name, op.offset})
			continue
		}
		if _, ok := parseOperator(op.name); !ok {
			return p.syntax(op.offset, "Invalid condition in policy: there is no operator %s", op.name)
		}
		for j := range op.value.members {
			m := &op.value.members[j]
			entry := ConditionEntry{Operator: op.name, Key: m.name, Offset: m.offset, Values: make([]Text, 0, m.value.size())}
			for _, item := range m.value.list {
				switch item.kind {
				case '"', '0', 't', 'f':
					text := item.text
					if item.kind != '"' {
						text = strings.TrimSpace(text)
					}
					entry.Values = append(entry.Values, Text{text, item.offset})
				default:
					return p.syntax(item.offset, "Invalid condition in policy: the values of %s must be strings, numbers or booleans", m.name)
				}
			}
			out = append(out, entry)
		}
	}
	s.Conditions = out
	return nil
}

// IsAccount tells whether a text is the id of an account.
func IsAccount(s string) bool {
	if len(s) != 12 {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}
