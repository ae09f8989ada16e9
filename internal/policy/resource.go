package policy

import "strings"

// resource is one entry of Resource or NotResource.
type resource struct {
	arn arnPattern
	// template is set if the entry has variables. Those of an auth policy may be
	// anywhere, so it is the whole text; those of the others are in the sixth part
	// of the ARN, so it is that part and arn has the five before it.
	template template
}

func compileResource(d *Document, text string) resource {
	var r resource
	text = pad(d.Kind, text)
	if d.Kind == AuthPolicy {
		// Auth policies match the text as one.
		r.arn.whole = compilePattern(text, false)
		if d.variables() {
			r.template = parseTemplate(text, true)
		}
		return r
	}
	r.arn = compileARN(text)
	if d.variables() && strings.Contains(text, "${") && !r.arn.never {
		// Source: IUG, "Variables and tags": variables stand in the resource part.
		sixth := text
		for range 5 {
			_, sixth, _ = strings.Cut(sixth, ":")
		}
		if r.template = parseTemplate(sixth, true); r.template != nil {
			r.arn = compileARN(text[:len(text)-len(sixth)] + "*")
		}
	}
	return r
}

// answers are those of the entry's pattern. Of an entry that is the ARN of nothing
// there are none: what a NotResource excepts with it is unclear.
func (r *resource) answers(kind Kind) []answer {
	if r.arn.never {
		return nil
	}
	var tokens []token
	if r.template == nil || kind != AuthPolicy {
		tokens = appendTokens(tokens, r.arn.text(), true)
	}
	if r.template != nil {
		tokens = tokens[:max(0, len(tokens)-1)] // The star that stands for the sixth part.
		for _, p := range r.template {
			if p.variable {
				tokens = append(tokens, tokenStar)
			}
			tokens = append(tokens, p.tokens...)
		}
	}
	return answers(tokens)
}

// match tells whether the entry matches; sure is false if nobody can say.
func (r *resource) match(kind Kind, keys Keys, arn string, not bool) (matched, sure bool) {
	if r.arn.never {
		// It is the ARN of nothing, so it matches nothing. What a NotResource then
		// excepts is unclear.
		return false, !not
	}
	if r.template == nil {
		return r.arn.match(arn), true
	}
	if kind != AuthPolicy {
		if !r.arn.match(arn) {
			return false, true
		}
		for range 5 {
			_, arn, _ = strings.Cut(arn, ":")
		}
	}
	var buf [256]token
	tokens, state := r.template.resolve(keys, buf[:0])
	if state == unset {
		return false, !not // As for an ARN of nothing.
	}
	matched = globTokens(tokens, arn)
	if state == ambiguous {
		return false, !matched
	}
	return matched, true
}

// resource tells whether the statement is about the resource of the request. Where
// nobody can say, a Deny is and an Allow is not.
func (s *statement) resource(kind Kind, r *Request, deny bool) bool {
	if s.anyResource {
		return true
	}
	sure := true
	for i := range s.resources {
		matched, known := s.resources[i].match(kind, r.Keys, r.Resource, s.notResources)
		if matched {
			return !s.notResources
		}
		sure = sure && known
	}
	if !sure {
		return deny
	}
	return s.notResources
}
