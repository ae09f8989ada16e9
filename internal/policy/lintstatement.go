package policy

import (
	"fmt"
	"slices"
	"strings"
)

func (l *linter) principals(s *Statement) {
	for _, p := range slices.Concat(s.Principals, s.NotPrincipals) {
		if why, fix := l.nobody(s, p); why != "" {
			l.find(s, p.Offset, "principal-never-matches", fix, "%s", why)
		}
		if l.doc.Kind == AuthPolicy && p.Bare && p.Type == "AWS" {
			l.find(s, p.Offset, "bare-account", fmt.Sprintf(`write {"AWS":"%s"}`, p.Text.Text), "an account alone is no principal of the policy grammar")
		}
	}
	for _, p := range s.NotPrincipals {
		if p.Text.Text == "*" {
			l.find(s, p.Offset, "excludes-everything", "leave the statement out, or name whom it excepts", "everybody is excepted, so the statement is about nobody")
			return
		}
	}
	if len(s.NotPrincipals) > 0 {
		l.find(s, s.NotPrincipals[0].Offset, "not-principal", `write "Principal":"*" with the condition {"ArnNotEquals":{"aws:PrincipalArn":"…"}}`,
			"NotPrincipal denies everybody else, the unsigned too, and whoever has a permissions boundary even if it names them; a session is only excepted if its account and role are named as well")
	}
}

// nobody says why a principal is nobody who is asked about, and what to do.
func (l *linter) nobody(s *Statement, p PrincipalEntry) (why, fix string) {
	identified := p.Type == "Service" || p.Type == "Federated" || p.Type == "CanonicalUser"
	switch l.doc.Kind {
	case AuthPolicy:
		if identified {
			return fmt.Sprintf("no caller of a VPC Lattice service is the %s principal %s", p.Type, p.Text.Text), `name accounts, users and roles with "AWS"`
		}
	case Resource:
		if p.Type == "Federated" {
			return fmt.Sprintf("%s is the principal of nobody who calls a resource: it takes a role first", p.Text.Text), `name that role with "AWS"`
		}
	case Trust:
		web := asks(s, "sts:AssumeRoleWithWebIdentity") || asks(s, "sts:AssumeRoleWithSAML")
		switch {
		case p.Type == "CanonicalUser":
			return "a canonical user is a principal of Amazon S3 and takes no roles", `name accounts, users and roles with "AWS"`
		case p.Type == "Federated" && !web:
			return p.Text.Text + " takes roles by sts:AssumeRoleWithWebIdentity or sts:AssumeRoleWithSAML alone", "use that action"
		case (p.Type == "Service" || p.Type == "AWS" && p.Text.Text != "*") && web && !asks(s, "sts:AssumeRole"):
			return p.Text.Text + " takes roles by sts:AssumeRole alone", "use that action"
		}
	}
	return "", ""
}

// asks tells whether the statement is about an action.
func asks(s *Statement, action string) bool {
	return slices.ContainsFunc(s.Actions, func(a Text) bool { return glob(a.Text, action, true) })
}

// everybody tells of an Allow that lets anybody in.
func (l *linter) everybody(s *Statement) {
	if l.doc.Kind == Trust && s.Allow {
		l.subjects(s)
	}
	open := slices.IndexFunc(s.Principals, func(p PrincipalEntry) bool { return p.Text.Text == "*" })
	if !s.Allow || open < 0 {
		return
	}
	for i := range s.Conditions {
		// A condition on who the caller is can only be met by a signed request,
		// but for the keys that anonymous callers have too.
		k := ParseKey(s.Conditions[i].Key)
		op, _ := parseOperator(s.Conditions[i].Operator)
		switch k.ID {
		case PrincipalType:
			return
		case PrincipalARN, PrincipalOrgID, PrincipalOrgPaths, PrincipalTag, Username, PrincipalIsAWSService:
			if !op.negated && !op.ifExists && op.set != forAll {
				return
			}
		}
		if l.doc.Kind == Trust && (k.ID == PrincipalAccount || k.Name == "sts:externalid") && !op.negated && !op.ifExists {
			return
		}
	}
	if l.doc.Kind == Trust {
		l.find(s, s.Principals[open].Offset, "anybody-trusted", `name accounts, or add {"StringEquals":{"aws:PrincipalOrgID":"o-…"}}`, `Principal "*" lets every account of AWS take the role`)
		return
	}
	l.find(s, s.Offset, "anonymous-allowed", `add {"StringNotEqualsIgnoreCase":{"aws:PrincipalType":"anonymous"}} to demand a signature`, `Principal "*" includes callers who do not sign`)
}

// subjects warns of a trust in an identity provider that is not for some of its
// subjects: a cluster has a provider, and all its service accounts have tokens.
func (l *linter) subjects(s *Statement) {
	for _, p := range s.Principals {
		_, issuer, ok := strings.Cut(p.Text.Text, ":oidc-provider/")
		if p.Type != "Federated" || !ok {
			continue
		}
		bound := slices.ContainsFunc(s.Conditions, func(c ConditionEntry) bool {
			op, _ := parseOperator(c.Operator)
			return strings.EqualFold(c.Key, issuer+":sub") && !op.negated && !op.ifExists && op.set != forAll
		})
		if !bound {
			l.find(s, p.Offset, "any-subject", fmt.Sprintf(`add {"StringEquals":{"%s:sub":"…"}}`, issuer), "whoever has a token of %s may take the role", issuer)
		}
	}
}

func (l *linter) actions(s *Statement) {
	if s.Allow && len(s.NotActions) > 0 {
		l.find(s, s.NotActions[0].Offset, "allow-not-action", "list what is allowed with Action, or deny with a statement of its own",
			"Allow with NotAction allows every other action of every service, those to come too")
	}
	for _, a := range s.NotActions {
		if a.Text == "*" {
			l.find(s, a.Offset, "excludes-everything", "leave the statement out, or name what it excepts", "all actions are excepted, so the statement is about none")
		}
	}
	l.redundant(s, s.Actions, true)
	l.redundant(s, s.NotActions, true)
	l.passing(s)
	for _, a := range slices.Concat(s.Actions, s.NotActions) {
		if strings.TrimSpace(a.Text) != a.Text || strings.ContainsAny(a.Text, ", \t") {
			l.find(s, a.Offset, "action-never-matches", "write each action as a text of its own, without white space", "the action %q has white space or a comma in it and matches nothing", a.Text)
			continue
		}
		l.action(s, a)
	}
}

// redundant tells of entries that another of the list covers, as its own text or by a
// wildcard.
func (l *linter) redundant(s *Statement, list []Text, fold bool) {
	spelled := func(text string) string {
		if fold {
			return strings.ToLower(text)
		}
		return text
	}
	first := map[string]int{}
	var wild []int
	for i, entry := range list {
		if _, ok := first[spelled(entry.Text)]; !ok {
			first[spelled(entry.Text)] = i
		}
		if strings.Contains(entry.Text, "*") && !strings.Contains(entry.Text, "${") {
			wild = append(wild, i)
		}
	}
	for i, entry := range list {
		text := spelled(entry.Text)
		by := first[text]
		for _, j := range wild {
			if other := list[j].Text; (j < by || by == i) && spelled(other) != text && glob(other, entry.Text, fold) {
				by = j
				break
			}
		}
		if by != i {
			l.find(s, entry.Offset, "redundant", "leave it out", "%s is covered by %s", entry.Text, list[by].Text)
		}
	}
}

// passing tells of a permission to give any role to any service.
// Source: IUG, "Grant a user permissions to pass a role to an AWS service".
func (l *linter) passing(s *Statement) {
	bound := slices.ContainsFunc(s.Conditions, func(c ConditionEntry) bool {
		return strings.EqualFold(c.Key, "iam:PassedToService") || strings.EqualFold(c.Key, "iam:AssociatedResourceArn")
	})
	everything := slices.ContainsFunc(s.Resources, func(r Text) bool { return r.Text == "*" })
	for _, a := range s.Actions {
		if s.Allow && !bound && everything && strings.EqualFold(a.Text, "iam:PassRole") {
			l.find(s, a.Offset, "pass-role-any", `name the roles, or add {"StringEquals":{"iam:PassedToService":"…"}}`, "any role may be passed to any service, and so the permissions of every role be had")
		}
	}
}

// action looks an action up in the catalogue.
func (l *linter) action(s *Statement, a Text) {
	vendor, _, _ := strings.Cut(strings.ToLower(a.Text), ":")
	names := actionsOf[vendor]
	if names == nil {
		return
	}
	same := -1
	found := slices.ContainsFunc(names, func(name string) bool { return glob(a.Text, name, true) })
	if !strings.ContainsAny(a.Text, "*?") {
		same = slices.IndexFunc(names, func(name string) bool { return strings.EqualFold(name, a.Text) })
	}
	switch {
	case !found:
		fix := "look the actions of the service up in AWS's Service Authorization Reference"
		if len(names) <= 3 {
			fix = "the actions are " + strings.Join(names, " and ")
		} else if near := nearest(a.Text, names); near != "" {
			fix = "write " + near
		}
		l.find(s, a.Offset, "unknown-action", fix, "%q matches no action", a.Text)
	case same >= 0 && names[same] != a.Text:
		l.find(s, a.Offset, "miscased-action", "write "+names[same], "the action %s is spelled %s: other tools compare its letter case", a.Text, names[same])
	}
}

// services are those whose resources the actions of the statement are about; nil if the
// linter does not know them all.
func (l *linter) services(s *Statement) []string {
	if l.doc.Kind == AuthPolicy {
		return arnServices["vpc-lattice-svcs"]
	}
	var out []string
	for _, a := range s.Actions {
		vendor, _, _ := strings.Cut(strings.ToLower(a.Text), ":")
		found := arnServices[vendor]
		if found == nil {
			return nil
		}
		out = append(out, found...)
	}
	return out
}

func (l *linter) resources(s *Statement) {
	if s.Allow && len(s.NotResources) > 0 {
		l.find(s, s.NotResources[0].Offset, "allow-not-resource", "list what is allowed with Resource, or deny with a statement of its own",
			"Allow with NotResource allows the actions on all else, also on what is made later")
	}
	for _, r := range s.NotResources {
		if r.Text == "*" {
			l.find(s, r.Offset, "excludes-everything", "leave the statement out, or name what it excepts", "all resources are excepted, so the statement is about none")
		}
	}
	l.redundant(s, s.Resources, false)
	l.redundant(s, s.NotResources, false)
	services := l.services(s)
	for _, r := range slices.Concat(s.Resources, s.NotResources) {
		if r.Text != "*" {
			l.resource(s, r, services)
		}
	}
}

func (l *linter) resource(s *Statement, r Text, services []string) {
	if l.doc.Kind != AuthPolicy && variableInHead(r.Text) {
		l.find(s, r.Offset, "variable-in-head", `write * there, and add {"StringEquals":{"aws:ResourceAccount":"${aws:PrincipalAccount}"}}`,
			"%s: %s", r.Text, textVariables)
		return
	}
	parts := strings.SplitN(pad(l.doc.Kind, r.Text), ":", 6)
	pattern := l.doc.Kind == AuthPolicy && strings.HasPrefix(r.Text, "*")
	if !pattern && len(parts) < 6 {
		l.find(s, r.Offset, "short-arn", "write all six parts, with * for those that may be anything", "%s has not the six parts of an ARN and matches nothing", r.Text)
		return
	}
	if last := parts[len(parts)-1]; strings.Contains(last, "/*/") {
		l.find(s, r.Offset, "star-crosses-slash", "name the folders, or deny what is deeper", "the * of %s stands for any text, also for one with / in it", r.Text)
	}
	if at := strings.IndexByte(r.Text, '?'); at >= 0 && l.doc.Kind == AuthPolicy && strings.Contains(r.Text[at:], "=") {
		l.find(s, r.Offset, "query-in-resource", "test the query with the key vpc-lattice-svcs:RequestQueryString/…",
			"a query is no part of a resource, and ? stands for any one character: %s matches no request", r.Text)
	}
	if pattern {
		return
	}
	service, last := parts[2], parts[5]
	switch {
	case strings.ContainsAny(service, "*?"):
		l.find(s, r.Offset, "wildcard-service", "name the service", "the service of %s is a wildcard, which AWS does not allow in ARNs", r.Text)
	case service != strings.ToLower(service):
		l.find(s, r.Offset, "miscased-arn", "write "+strings.ToLower(service), "ARNs compare with their letter case: no ARN has the service %s", service)
	case services != nil && !slices.Contains(services, service):
		l.find(s, r.Offset, "resource-of-another-service", "name a resource of "+strings.Join(slices.Compact(services), " or ")+", or *",
			"none of the actions is about %s, so the statement is not about it", r.Text)
	case service == "s3" && len(last) > 1 && strings.HasSuffix(last, "*") && !strings.Contains(last, "/"):
		l.find(s, r.Offset, "star-joins-name", fmt.Sprintf("write %s and %s/*", strings.TrimSuffix(r.Text, "*"), strings.TrimSuffix(r.Text, "*")),
			"%s is every bucket whose name begins so, whoever has it, with all that is in it", r.Text)
	}
	invoked := l.doc.Kind == AuthPolicy || slices.Contains(services, "vpc-lattice") && asks(s, svcsInvoke)
	if invoked && service == "vpc-lattice" && strings.HasPrefix(last, "service/") && !strings.ContainsAny(last[len("service/"):], "/*?") {
		l.find(s, r.Offset, "bare-service-arn", "add /*", "%s matches no HTTP request, whose resource is the ARN and the path", r.Text)
	}
}

// svcsInvoke is the action of requests to services of VPC Lattice.
// Source: Service Authorization Reference, Amazon VPC Lattice Services.
const svcsInvoke = "vpc-lattice-svcs:Invoke"
