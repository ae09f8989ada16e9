package policy

import "strings"

// arnPattern matches ARNs part by part: in the first five parts a wildcard does
// not reach over a ':', in the sixth it matches everything.
// Source: IUG, "IAM JSON policy elements: Resource" and "ARN condition operators".
type arnPattern struct {
	// whole is used where no wildcard is in the first five parts: then matching
	// the text as one gives the same.
	whole pattern
	parts *[6]pattern
	never bool // fewer than six parts: it is the pattern of no ARN
}

func compileARN(text string) arnPattern {
	var p arnPattern
	if text == "*" {
		p.whole = compilePattern("*", false)
		return p
	}
	parts := strings.SplitN(text, ":", 6)
	if len(parts) < 6 {
		p.never = true
		return p
	}
	if !strings.ContainsAny(strings.Join(parts[:5], ":"), "*?") {
		p.whole = compilePattern(text, false)
		return p
	}
	p.parts = new([6]pattern)
	for i, part := range parts {
		p.parts[i] = compilePattern(part, false)
	}
	return p
}

func (p *arnPattern) match(arn string) bool {
	if p.never {
		return false
	}
	if p.parts == nil {
		return p.whole.match(arn)
	}
	rest := arn
	for i := range 5 {
		part, after, ok := strings.Cut(rest, ":")
		if !ok || !p.parts[i].match(part) {
			return false
		}
		rest = after
	}
	return p.parts[5].match(rest)
}

func isARN(s string) bool {
	return strings.HasPrefix(s, "arn:") && strings.Count(s, ":") >= 5
}

// pad completes a short resource ARN with parts that match everything.
// Source: AWS's own error texts show the padded form, arn:aws:*:*:*:*; which kinds
// of policy do it is from cloud-copilot's comparison with AWS.
func pad(kind Kind, text string) string {
	missing := 5 - strings.Count(text, ":")
	if missing <= 0 || !strings.HasPrefix(text, "arn:") {
		return text
	}
	switch kind {
	case Identity, Boundary, Session:
	case Resource, AuthPolicy:
		if !strings.Contains(text, "*") {
			return text
		}
	case ServiceControl:
		if !strings.HasSuffix(text, "*") {
			return text
		}
	default:
		return text
	}
	return text + strings.Repeat(":*", missing)
}
