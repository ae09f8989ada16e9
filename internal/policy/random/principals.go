package random

import (
	"fmt"
	"slices"

	"github.com/latchwork/latchwork/internal/identity"
	"github.com/latchwork/latchwork/internal/policy"
)

const (
	own   = "123456789012"
	other = "999999999999"
)

// Callers are the callers of requests: several of each kind.
var Callers = func() []*identity.Principal {
	out := []*identity.Principal{
		{},
		{Kind: identity.Service, Name: "ec2.amazonaws.com"},
		{Kind: identity.Service, Name: "ecs-tasks.amazonaws.com", Account: own},
		vouched("accounts.google.com"),
		vouched("arn:aws:iam::" + own + ":oidc-provider/oidc.example"),
		{Kind: identity.WebIdentity},
	}
	for _, account := range []string{own, other} {
		root := "arn:aws:iam::" + account + ":root"
		out = append(out, &identity.Principal{Kind: identity.Root, Account: account, ARN: root, IssuerARN: root, IssuerID: account, UserID: account})
		for _, name := range []string{"alice", "team/bob"} {
			alice := user(account, name)
			guest := *alice
			guest.Kind, guest.ARN, guest.Name, guest.UserID = identity.FederatedUser, "arn:aws:sts::"+account+":federated-user/guest", "guest", account+":guest"
			guest.Session = &identity.Session{Name: "guest"}
			out = append(out, alice, &guest)
		}
		for _, name := range []string{"rates-client", "deploy", "r-1", "r-2", "r-3", "r-11"} {
			out = append(out, session(account, name, "s1"))
		}
		out = append(out, session(account, "rates-client", "s2"))
	}
	return out
}()

func user(account, name string) *identity.Principal {
	arn := "arn:aws:iam::" + account + ":user/" + name
	id := fmt.Sprintf("AIDA%sUSER%d", account, len(name))
	return &identity.Principal{Kind: identity.User, Account: account, ARN: arn, IssuerARN: arn, IssuerID: id, UserID: id, Name: name}
}

func session(account, role, name string) *identity.Principal {
	path := ""
	if role == "deploy" {
		path = "ci/"
	}
	p := identity.RoleSession("aws", account, "arn:aws:iam::"+account+":role/"+path+role, fmt.Sprintf("AROA%sROLE%02d", account, len(role)), role, name)
	return &p
}

func vouched(provider string) *identity.Principal {
	return &identity.Principal{Kind: identity.WebIdentity, UserID: provider + ":me", Session: &identity.Session{FederatedProvider: provider}}
}

// principals makes the entries of Principal or NotPrincipal, those of a type together.
func (m *Maker) principals(kind policy.Kind, many bool) []policy.PrincipalEntry {
	switch {
	case m.chance(25) && (!many || m.chance(10)):
		return []policy.PrincipalEntry{{Type: "*", Text: policy.Text{Text: "*"}, Bare: true}}
	case kind == policy.AuthPolicy && m.chance(3):
		return []policy.PrincipalEntry{{Type: "AWS", Text: policy.Text{Text: pick(m, own, other)}, Bare: true}}
	}
	var out []policy.PrincipalEntry
	add := func(kind, name string) {
		out = append(out, policy.PrincipalEntry{Type: kind, Text: policy.Text{Text: name}})
	}
	n := pick(m, 1, 1, 1, 2, 3)
	if m.chance(3) {
		n = 9 + m.IntN(6)
	}
	for range n {
		switch {
		case many && m.chance(90):
			add("AWS", fmt.Sprintf("arn:aws:iam::%s:role/r-%d", own, m.IntN(60)))
		case m.chance(4):
			add("AWS", "*")
		case m.chance(4):
			add("CanonicalUser", "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be")
		case m.chance(8):
			add("Service", pick(m, "ec2.amazonaws.com", "ecs-tasks.amazonaws.com", "EC2.amazonaws.com", "lambda.amazonaws.com"))
		case m.chance(8):
			add("Federated", pick(m, "accounts.google.com", "arn:aws:iam::"+own+":oidc-provider/oidc.example", "www.amazon.com"))
		default:
			add("AWS", m.name(pick(m, Callers...)))
		}
	}
	types := []string{"AWS", "Service", "Federated", "CanonicalUser"}
	slices.SortStableFunc(out, func(a, b policy.PrincipalEntry) int { return slices.Index(types, a.Type) - slices.Index(types, b.Type) })
	return out
}

// name is a text that names a caller, or nearly does.
func (m *Maker) name(who *identity.Principal) string {
	if who.Account == "" || who.Kind == identity.Service {
		return pick(m, own, other)
	}
	switch m.IntN(8) {
	case 0:
		return who.Account
	case 1:
		return "arn:aws:iam::" + who.Account + ":root"
	case 2:
		if who.Kind != identity.Root {
			return who.IssuerID
		}
		return who.Account
	case 3, 4:
		return who.IssuerARN
	case 5:
		return "arn:aws:iam::" + who.Account + pick(m, ":role/", ":user/", ":role/ci/") + "Rates-client"
	}
	return who.ARN
}

// caller is somebody whom a statement names, if it names anybody.
func (m *Maker) caller(s *policy.Statement) *identity.Principal {
	who := pick(m, Callers...)
	if len(s.Principals) == 0 || m.chance(5) {
		return who
	}
	entry := pick(m, s.Principals...)
	var named []*identity.Principal
	for _, c := range Callers {
		switch name := entry.Text.Text; {
		case entry.Type == "*" || name == "*":
			return who
		case name == c.ARN, name == c.IssuerARN, name == c.IssuerID, name == c.Account, name == "arn:aws:iam::"+c.Account+":root",
			entry.Type == "Service" && name == c.Name, c.Session != nil && name == c.Session.FederatedProvider && name != "":
			named = append(named, c)
		}
	}
	if named == nil {
		return who
	}
	return pick(m, named...)
}
