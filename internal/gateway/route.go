package gateway

import (
	"strings"

	"github.com/latchwork/latchwork/internal/inbound"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/snapshot"
	wire "github.com/latchwork/latchwork/internal/wire/vpclattice"
)

// route finds what a listener does with a request: the action of the first rule
// in order of priority that matches, or the default action. rule is nil for the
// default action.
// Source: VPC Lattice User Guide, "Listener rules".
func route(l *snapshot.Listener, r *inbound.Request) (rule *model.Rule, action *wire.RuleAction) {
	path := r.Path()
	for _, rule := range l.Rules {
		if rule.Match != nil && rule.Match.HttpMatch != nil && matches(rule.Match.HttpMatch, r, path) {
			return rule, rule.Action
		}
	}
	return nil, l.DefaultAction
}

// matches tells whether all parts of a match hold. Methods compare exactly; paths
// and header values without regard to case unless the match says otherwise. The
// path is the one that was signed and is forwarded, undecoded and without query.
func matches(m *wire.HttpMatch, r *inbound.Request, path string) bool {
	if m.Method != nil && *m.Method != "" && *m.Method != r.Method {
		return false
	}
	if p := m.PathMatch; p != nil {
		if p.Match == nil || !text(path, p.Match.Exact, p.Match.Prefix, nil, on(p.CaseSensitive)) {
			return false
		}
	}
	for i := range m.HeaderMatches {
		h := &m.HeaderMatches[i]
		if h.Name == nil || h.Match == nil || !header(r, h) {
			return false
		}
	}
	return true
}

// header tells whether one of the request's headers of that name matches.
func header(r *inbound.Request, h *wire.HeaderMatch) bool {
	name := strings.ToLower(*h.Name)
	if name == "host" {
		return text(r.Authority, h.Match.Exact, h.Match.Prefix, h.Match.Contains, on(h.CaseSensitive))
	}
	for i := range r.Headers {
		if r.Headers[i].Name == name &&
			text(r.Headers[i].Value, h.Match.Exact, h.Match.Prefix, h.Match.Contains, on(h.CaseSensitive)) {
			return true
		}
	}
	return false
}

// text compares a value with the one member of a match type that is set. A match
// without any member matches nothing.
func text(value string, exact, prefix, contains *string, caseSensitive bool) bool {
	switch {
	case exact != nil:
		return value == *exact || !caseSensitive && strings.EqualFold(value, *exact)
	case prefix != nil:
		n := len(*prefix)
		return len(value) >= n && (value[:n] == *prefix || !caseSensitive && strings.EqualFold(value[:n], *prefix))
	case contains != nil:
		if caseSensitive {
			return strings.Contains(value, *contains)
		}
		return strings.Contains(strings.ToLower(value), strings.ToLower(*contains))
	}
	return false
}

func on(b *bool) bool { return b != nil && *b }
