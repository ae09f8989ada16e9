package policy

import (
	"encoding/json/jsontext"
	"slices"
	"strings"

	"github.com/latchwork/latchwork/internal/identity"
)

// principals are the entries of Principal or NotPrincipal.
type principals struct {
	everybody bool
	accounts  textSet
	arns      textSet
	ids       textSet
	services  textSet
	federated textSet
}

func compilePrincipals(entries []PrincipalEntry) *principals {
	p := &principals{}
	for _, e := range entries {
		text := e.Text.Text
		switch e.Type {
		case "*":
			p.everybody = true
		case "AWS":
			switch {
			case text == "*":
				p.everybody = true
			case IsAccount(text):
				p.accounts.add(text)
			case isUniqueID(text):
				p.ids.add(text)
			default:
				parts := strings.SplitN(text, ":", 6)
				if parts[5] == "root" {
					p.accounts.add(parts[4])
				} else {
					p.arns.add(text)
				}
			}
		case "Service":
			p.services.add(text)
		case "Federated":
			p.federated.add(text)
		}
	}
	return p
}

// WithPrincipals is the document's text with each principal of type "AWS" replaced
// by what change gives for it. All else stays as it was written.
func (d *Document) WithPrincipals(change func(string) string) string {
	var out []byte
	done := 0
	for i := range d.Statements {
		s := &d.Statements[i]
		for _, e := range slices.Concat(s.Principals, s.NotPrincipals) {
			now := change(e.Text.Text)
			if e.Type != "AWS" || now == e.Text.Text {
				continue
			}
			out = append(out, d.Text[done:e.Offset]...)
			out, _ = jsontext.AppendQuote(out, now) // ids and ARNs are valid UTF-8
			// The document was parsed: there is a value at the offset.
			written, _ := jsontext.NewDecoder(strings.NewReader(d.Text[e.Offset:])).ReadValue()
			done = e.Offset + len(written)
		}
	}
	return string(append(out, d.Text[done:]...))
}

// Grade is how directly a statement names the caller; a greater one is more
// direct. Outside of VPC Lattice it decides what a resource policy alone can
// allow.
// Source: IUG, "Policy evaluation logic" and "AWS JSON policy elements: Principal".
type Grade uint8

// The grades.
const (
	GradeNone       Grade = iota
	GradeAccount          // the caller's account: delegates to its identity policies
	GradeParentUser       // the user who made a federated session
	GradeRole             // the role of a role session
	GradeDirect           // everybody, or the caller itself
)

func (p *principals) match(who *identity.Principal) Grade {
	if p.everybody {
		return GradeDirect
	}
	if who.IsAnonymous() {
		return GradeNone
	}
	switch who.Kind {
	case identity.Service:
		if p.services.has(who.Name) {
			return GradeDirect
		}
		return GradeNone
	case identity.WebIdentity:
		if who.Session != nil && p.federated.has(who.Session.FederatedProvider) {
			return GradeDirect
		}
		return GradeNone
	}
	switch {
	case p.arns.has(who.ARN) && who.Kind != identity.Root:
		return GradeDirect
	case p.arns.has(who.IssuerARN) || p.ids.has(who.IssuerID):
		switch who.Kind {
		case identity.AssumedRole:
			return GradeRole
		case identity.FederatedUser:
			return GradeParentUser
		default:
			return GradeDirect
		}
	case p.accounts.has(who.Account):
		return GradeAccount
	}
	return GradeNone
}

func (s *statement) principal(r *Request, deny bool) (bool, Grade) {
	if s.principals == nil {
		return true, GradeNone
	}
	grade := s.principals.match(r.Principal)
	if !s.notPrincipal {
		return grade != GradeNone, grade
	}
	if !deny {
		// Refused when it was stored; one that is stored all the same allows nobody.
		return false, GradeNone
	}
	return grade == GradeNone || r.HasBoundary, GradeDirect
}

// textSet is a set of texts. Up to a few it is a list: comparing them takes a
// fraction of the time that hashing the text to look for takes, and nearly all
// statements name one or two principals.
type textSet struct {
	few  []string
	many map[string]struct{}
}

// fewTexts is where a map begins to be faster.
const fewTexts = 8

func (s *textSet) add(text string) {
	switch {
	case s.many != nil:
		s.many[text] = struct{}{}
	case len(s.few) < fewTexts:
		s.few = append(s.few, text)
	default:
		s.many = make(map[string]struct{}, 2*fewTexts)
		for _, one := range append(s.few, text) {
			s.many[one] = struct{}{}
		}
		s.few = nil
	}
}

func (s *textSet) has(text string) bool {
	for _, one := range s.few {
		if one == text {
			return true
		}
	}
	if s.many == nil {
		return false
	}
	_, ok := s.many[text]
	return ok
}
