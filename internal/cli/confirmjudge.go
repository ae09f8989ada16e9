package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/latchwork/latchwork/internal/authz"
	"github.com/latchwork/latchwork/internal/policy"
)

// element finds one of a statement by its name, or by that of its Not form.
func element(s *policy.StatementResult, name string) *policy.ElementResult {
	for i := range s.Elements {
		if e := &s.Elements[i]; e.Element == name || e.Element == "Not"+name {
			return e
		}
	}
	return nil
}

// reaches tells whether a statement is about the action and the resource, whatever
// its conditions say.
func reaches(s *policy.StatementResult) bool {
	action, resource := element(s, "Action"), element(s, "Resource")
	return action.Matched && (resource == nil || resource.Matched)
}

// unsaid are the keys that a statement's conditions want and that nobody can know but
// who sees the Envoy's stream and how its session was made.
func unsaid(s *policy.StatementResult) []string {
	var out []string
	for _, e := range s.Elements {
		if e.Element != "Condition" || e.Present {
			continue
		}
		name := strings.ToLower(e.Key)
		family, _, _ := strings.Cut(name, "/")
		switch family {
		case "aws:sourceip", "aws:useragent", "aws:sourceidentity", "aws:sourcearn", "aws:federatedprovider", "aws:principaltag", "aws:requesttag", "aws:tagkeys":
			out = append(out, e.Key)
		default:
			if !strings.HasPrefix(name, "aws:") { // a claim, or one of another service
				out = append(out, e.Key)
			}
		}
	}
	return out
}

// saidHolds tells whether all that is known of a request is as a statement wants it.
func saidHolds(s *policy.StatementResult) bool {
	open := unsaid(s)
	for _, e := range s.Elements {
		if !e.Matched && !(e.Element == "Condition" && slices.Contains(open, e.Key)) {
			return false
		}
	}
	return true
}

// depends lists the condition keys without which the decision may be another; none if
// it is certain.
func depends(x *authz.Explanation) []string {
	var out []string
	for _, l := range x.Layers {
		for _, p := range l.Policies {
			for i := range p.Statements {
				s := &p.Statements[i]
				open := unsaid(s)
				switch {
				case s.Effect == "Deny" && s.Matched && len(open) == 0, p.Problem != "":
					return nil // it is denied in any case
				case s.Effect == "Deny" && (x.Allowed || x.Cause == authz.ExplicitDeny.String()) && saidHolds(s):
					out = append(out, open...)
				}
			}
		}
		allows, certain := allowing(&l)
		switch {
		case l.Verdict == policy.NoMatch.String() && len(allows) == 0:
			return nil // it is not allowed in any case
		case !certain && x.Cause != authz.ExplicitDeny.String():
			out = append(out, allows...)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// allowing lists the keys that the statements of a layer depend on that may allow.
// certain is true if one of them does without any.
func allowing(l *authz.LayerResult) (keys []string, certain bool) {
	for _, p := range l.Policies {
		for i := range p.Statements {
			s := &p.Statements[i]
			if s.Effect != "Allow" || !saidHolds(s) {
				continue
			}
			open := unsaid(s)
			certain = certain || s.Matched && len(open) == 0
			keys = append(keys, open...)
		}
	}
	return keys, certain
}

// wildcards are the patterns with which the role's own policies allow the action.
func wildcards(x *authz.Explanation) []string {
	var out []string
	for _, l := range x.Layers {
		if l.Stage != authz.StageIdentity.String() {
			continue
		}
		for _, p := range l.Policies {
			for i := range p.Statements {
				s := &p.Statements[i]
				resource := element(s, "Resource")
				if s.Effect != "Allow" || !element(s, "Action").Matched || element(s, "Condition") != nil {
					continue
				}
				if resource.Element == "NotResource" {
					out = append(out, "anything but "+strings.Join(resource.Wanted, ", "))
					continue
				}
				for _, pattern := range resource.Wanted {
					if strings.ContainsAny(pattern, "*?") {
						out = append(out, pattern)
					}
				}
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// statementName is how a statement is called.
func statementName(s *policy.StatementResult) string {
	if s.Sid != "" {
		return fmt.Sprintf("statement %d (%s)", s.Index+1, s.Sid)
	}
	return fmt.Sprintf("statement %d", s.Index+1)
}

// policyName is how a policy is called, with its version.
func (v *confirming) policyName(p *authz.PolicyResult) (name, version string) {
	if p.ARN == "" {
		return "inline policy " + p.Name, ""
	}
	for _, have := range v.role.Policies {
		if have.ARN == p.ARN {
			version = have.Version
		}
	}
	if version == "" {
		return p.ARN, ""
	}
	return p.ARN + " " + version, version
}

// judge makes the verdict of the server's decision, and says what allows or what is
// in the way.
func (v *confirming) judge(x *authz.Explanation) {
	v.out.Verdict, v.out.Cause, v.out.Reason = "allowed", "", ""
	var reasons []string
	for i := range x.Layers {
		l := &x.Layers[i]
		if l.Verdict == "off" {
			continue
		}
		level := levelOK
		if l.Verdict != policy.Allow.String() {
			level = levelFail
		}
		subject, nearest := l.Stage, false
		if l.Stage == authz.StageIdentity.String() {
			subject = "policy"
		}
		// Of several policies that say the same, the one that comes nearest is told of.
		best := -1
		texts := make([]string, len(l.Policies))
		for j := range l.Policies {
			p := &l.Policies[j]
			name, version := v.policyName(p)
			why, near := v.why(p)
			texts[j] = name + ": " + why
			if l.Stage == authz.StageIdentity.String() {
				v.out.Policies = append(v.out.Policies, confirmedRule{Name: p.Name, ARN: p.ARN, Version: version, Verdict: p.Verdict, Why: why})
			}
			if p.Verdict == l.Verdict && (best < 0 || near && !nearest) {
				best, nearest = j, near
			}
		}
		text := l.Note
		for j := range texts {
			if j == best {
				text = texts[j]
			} else {
				v.add(levelInfo, subject, "%s", texts[j])
			}
		}
		v.add(level, subject, "%s", text)
		if l.Decides {
			v.out.Verdict, v.out.Cause, v.out.Reason = "denied", x.Cause, text
		}
		if level == levelFail && l.Verdict == policy.NoMatch.String() {
			reasons = append(reasons, l.Stage)
		}
	}
	if !slices.ContainsFunc(x.Layers, func(l authz.LayerResult) bool { return l.Stage == authz.StageBoundary.String() }) {
		v.add(levelOK, authz.StageBoundary.String(), "none")
	}
	if x.Allowed {
		v.out.Reason = "the role's policies allow it"
	}
	keys := depends(x)
	if len(keys) > 0 {
		v.add(levelWarn, "conditions", "it depends on %s, which confirm does not know: say it with --key %s=VALUE", strings.Join(keys, " and "), keys[0])
		if !x.Allowed {
			v.out.Verdict, v.out.Cause = "unknown", ""
			v.out.Reason = "it depends on " + strings.Join(keys, " and ") + " of the Envoy's stream"
			return
		}
	}
	if x.Cause == authz.ExplicitDeny.String() {
		return // what a Deny is for, no command can know
	}
	for _, stage := range reasons {
		switch stage {
		case authz.StageIdentity.String():
			v.fixPermission("appmesh-envoy", actionStream, []string{v.out.Resource})
		case authz.StageBoundary.String():
			v.fixBoundary()
		}
	}
}

// why says why a policy says what it says. near is true if it is at least about the
// action.
func (v *confirming) why(p *authz.PolicyResult) (text string, near bool) {
	if p.Problem != "" {
		return "it cannot be evaluated, so it denies: " + p.Problem, true
	}
	for i := range p.Statements {
		if s := &p.Statements[i]; s.Matched && (s.Effect == "Deny") == (p.Verdict == policy.ExplicitDeny.String()) {
			if s.Effect == "Deny" {
				return statementName(s) + " denies it: take that out, or except the role from it", true
			}
			return statementName(s) + " allows it", true
		}
	}
	preview := ""
	for i := range p.Statements {
		s := &p.Statements[i]
		action, resource := element(s, "Action"), element(s, "Resource")
		switch {
		case s.Effect == "Deny":
		case reaches(s):
			return statementName(s) + " has the action and the ARN, and " + conditionText(s), true
		case action.Matched && resource.Element == "NotResource":
			return fmt.Sprintf("%s has the action for anything but %s", statementName(s), strings.Join(resource.Wanted, ", ")), true
		case action.Matched:
			return fmt.Sprintf("%s has the action for %s, and not for this ARN%s", statementName(s), strings.Join(resource.Wanted, ", "), v.mistaken(resource.Wanted)), true
		case slices.ContainsFunc(action.Wanted, func(a string) bool { return strings.HasPrefix(strings.ToLower(a), "appmesh-preview:") }):
			preview = statementName(s) + " has the action of the preview channel, which begins with appmesh-preview: and is another"
		}
	}
	if preview != "" {
		return preview, true
	}
	return "it does not have the action " + actionStream, false
}

// conditionText says which conditions do not hold.
func conditionText(s *policy.StatementResult) string {
	var parts []string
	for _, e := range s.Elements {
		if e.Element == "Condition" && !e.Matched {
			received := "nothing"
			if e.Present {
				received = strings.Join(e.Received, ", ")
			}
			parts = append(parts, fmt.Sprintf("its condition %s %s wants %s and has %s", e.Operator, e.Key, strings.Join(e.Wanted, ", "), received))
		}
	}
	return strings.Join(parts, "; ")
}

// mistaken tells how an ARN in a policy is nearly the one that is meant.
func (v *confirming) mistaken(wanted []string) string {
	want := strings.SplitN(v.out.Resource, ":", 6)
	for _, w := range wanted {
		got := strings.SplitN(w, ":", 6)
		switch {
		case w == want[5]:
			return ": it must be the whole ARN"
		case len(got) != 6:
		case strings.EqualFold(got[5], want[5]) && got[5] != want[5]:
			return ": letters must be of the same case"
		case got[5] == want[5] && got[4] != want[4]:
			return ": the account is another; it must be that of the mesh endpoint's owner"
		case got[5] == want[5] && got[3] != want[3]:
			return ": the region is another"
		case got[5] == want[5] && got[2] != want[2]:
			return ": the service is another"
		case strings.Replace(got[5], "/virtualNode/", "/virtualGateway/", 1) == strings.Replace(want[5], "/virtualNode/", "/virtualGateway/", 1):
			return ": virtual nodes and virtual gateways are different things"
		}
	}
	return ""
}

// compact is JSON without escapes that a shell would show.
func compact(document any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(document); err != nil {
		panic(err) // it is made of strings
	}
	return strings.TrimSpace(b.String())
}

// quoted is a word for the shell.
func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// statement of a policy, with its members in the usual order.
type statement struct {
	Effect    string `json:"Effect"`
	Principal any    `json:"Principal,omitzero"`
	Action    any    `json:"Action"`
	Resource  any    `json:"Resource,omitzero"`
	Condition any    `json:"Condition,omitzero"`
}

// single is a list's only member, or the list.
func single(list []string) any {
	if len(list) == 1 {
		return list[0]
	}
	return list
}

func (v *confirming) fix(format string, args ...any) {
	v.out.Fix = append(v.out.Fix, fmt.Sprintf(format, args...))
}

// fixPermission gives the role a permission and nothing else.
func (v *confirming) fixPermission(name, action string, resources []string) {
	document := compact(struct {
		Version   string
		Statement []statement
	}{"2012-10-17", []statement{{Effect: "Allow", Action: action, Resource: single(resources)}}})
	v.fix("aws iam put-role-policy --role-name %s --policy-name %s --policy-document %s", v.role.Name, v.role.freeName(name), quoted(document))
}

// with is a document with one statement more; "" if it is not what it should be.
func with(document string, more statement) string {
	var d map[string]json.RawMessage
	if json.Unmarshal([]byte(document), &d) != nil {
		return ""
	}
	var list []json.RawMessage
	if json.Unmarshal(d["Statement"], &list) != nil {
		list = []json.RawMessage{d["Statement"]} // one statement may stand alone
	}
	all := struct {
		Version   json.RawMessage   `json:"Version,omitzero"`
		ID        json.RawMessage   `json:"Id,omitzero"`
		Statement []json.RawMessage `json:"Statement"`
	}{d["Version"], d["Id"], append(list, json.RawMessage(compact(more)))}
	return compact(all)
}

// fixTrust makes the role trust somebody more.
func (v *confirming) fixTrust(principal any, actions []string, condition any) {
	more := statement{Effect: "Allow", Principal: principal, Action: single(actions), Condition: condition}
	if document := with(v.role.Trust, more); document != "" {
		v.fix("aws iam update-assume-role-policy --role-name %s --policy-document %s", v.role.Name, quoted(document))
	}
}

// fixBoundary lets the permission through the boundary, for everybody who has it.
func (v *confirming) fixBoundary() {
	if strings.HasPrefix(v.role.Boundary, "arn:aws:iam::aws:") {
		return // AWS's own policies cannot be changed
	}
	p, err := v.client.managed(v.ctx, v.role.Boundary)
	if err != nil {
		v.add(levelWarn, authz.StageBoundary.String(), "%s cannot be read: %v", v.role.Boundary, err)
		return
	}
	document := with(p.Document, statement{Effect: "Allow", Action: actionStream, Resource: v.out.Resource})
	if document != "" {
		v.fix("aws iam create-policy-version --policy-arn %s --set-as-default --policy-document %s", v.role.Boundary, quoted(document))
	}
}

// print writes it for people.
func (c *confirmation) print(w io.Writer) error {
	var b strings.Builder
	line := func(name, text string) { fmt.Fprintf(&b, "%-9s %s\n", name, text) }
	if c.Workload != "" {
		line("WORKLOAD", c.Workload)
	}
	if c.Resource != "" {
		line("ENDPOINT", c.Resource)
	}
	if c.Role != "" {
		line("ROLE", c.Role)
	}
	for _, f := range c.Findings {
		fmt.Fprintf(&b, " %-7s %-12s %s\n", "["+f.Level+"]", f.Subject, f.Text)
	}
	verdict := strings.ToUpper(c.Verdict)
	if c.Cause != "" {
		verdict += " (" + c.Cause + ")"
	}
	line("VERDICT", verdict+": "+c.Reason)
	for _, fix := range c.Fix {
		line("FIX", fix)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
