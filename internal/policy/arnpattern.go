package policy

import "strings"

// arnPattern matches ARNs part by part: in the first five parts a wildcard does
// not reach over a ':', in the sixth it matches everything.
// Source: IUG, "IAM JSON policy elements: Resource" and "ARN condition operators".
type arnPattern struct {
	// whole is the pattern as one. Where no wildcard is in the first five parts,
	// matching it gives the same.
	whole pattern
	// Else head is the size of the parts before the first one with a wildcard, with
	// their ':', and parts are those from there on. Most patterns that do not fit
	// fail at the head.
	head  int32
	parts []pattern
	never bool // fewer than six parts: it is the pattern of no ARN
}

func compileARN(text string) arnPattern {
	p := arnPattern{whole: compilePattern(text, false)}
	if text == "*" {
		return p
	}
	wild := false
	rest := text
	for range 5 {
		part, after, ok := strings.Cut(rest, ":")
		if !ok {
			p.never, p.parts = true, nil
			return p
		}
		wild = wild || strings.ContainsAny(part, "*?")
		if wild {
			p.parts = append(p.parts, compilePattern(part, false))
		} else {
			p.head += int32(len(part)) + 1
		}
		rest = after
	}
	if wild {
		p.parts = append(p.parts, compilePattern(rest, false))
	}
	return p
}

// text is what the pattern was compiled from.
func (p *arnPattern) text() string { return p.whole.text }

func (p *arnPattern) match(arn string) bool {
	if p.never {
		return false
	}
	if p.parts == nil {
		return p.whole.match(arn)
	}
	rest, ok := strings.CutPrefix(arn, p.whole.text[:p.head])
	if !ok {
		return false
	}
	last := len(p.parts) - 1
	for i := range last {
		colon := strings.IndexByte(rest, ':')
		if colon < 0 || !p.parts[i].match(rest[:colon]) {
			return false
		}
		rest = rest[colon+1:]
	}
	return p.parts[last].match(rest)
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
	case Resource, AuthPolicy:
		if !strings.Contains(text, "*") {
			return text
		}
	case ServiceControl:
		if !strings.HasSuffix(text, "*") {
			return text
		}
	}
	return text + strings.Repeat(":*", missing)
}
