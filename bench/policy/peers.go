package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/casbin/casbin/v2"
	"github.com/casbin/casbin/v2/model"
	"github.com/cedar-policy/cedar-go"
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
)

// tests yields the conditions of a statement in a fixed order: a key, whether it must
// equal or not, and the text or the key that it is compared with.
func (s *statement) tests(yield func(key, operator, value string, isKey bool)) {
	for _, key := range slices.Sorted(maps.Keys(s.equal)) {
		yield(key, "==", s.equal[key], false)
	}
	for _, key := range slices.Sorted(maps.Keys(s.unequal)) {
		yield(key, "!=", s.unequal[key], false)
	}
	for _, key := range slices.Sorted(maps.Keys(s.same)) {
		yield(key, "==", s.same[key], true)
	}
}

func headerOf(key string) (name string, ok bool) {
	return strings.CutPrefix(key, "vpc-lattice-svcs:RequestHeader/")
}

// cedarGo is cedar-go with a policy set for each of the three layers.
func cedarGo(all [3][]statement) (func(*request) bool, error) {
	attribute := func(key string) string {
		if name, ok := headerOf(key); ok {
			return fmt.Sprintf("context.headers[%q]", name)
		}
		return map[string]string{keyMethod: "context.method", keyType: "context.ptype"}[key]
	}
	var sets [3]*cedar.PolicySet
	for i, statements := range all {
		var text strings.Builder
		for _, s := range statements {
			effect, principal := "permit", "principal"
			if s.deny {
				effect = "forbid"
			}
			if s.principal != "" {
				principal = fmt.Sprintf("principal == Role::%q", s.principal)
			}
			var when []string
			if s.resource != "" {
				when = append(when, fmt.Sprintf("context.arn like \"%s*\"", s.resource))
			}
			s.tests(func(key, operator, value string, isKey bool) {
				if name, ok := headerOf(key); ok {
					when = append(when, fmt.Sprintf("context.headers has %q", name))
				}
				right := fmt.Sprintf("%q", value)
				if isKey {
					right = attribute(value)
				}
				when = append(when, attribute(key)+" "+operator+" "+right)
			})
			if len(when) == 0 {
				when = []string{"true"}
			}
			fmt.Fprintf(&text, "%s(%s, action == Action::%q, resource) when { %s };\n", effect, principal, action, strings.Join(when, " && "))
		}
		set, err := cedar.NewPolicySetFromBytes("bench", []byte(text.String()))
		if err != nil {
			return nil, err
		}
		sets[i] = set
	}
	return func(r *request) bool {
		headers := cedar.RecordMap{}
		for _, h := range r.headers {
			headers[cedar.String(h.name)] = cedar.String(h.value)
		}
		q := cedar.Request{
			Principal: cedar.NewEntityUID("Role", cedar.String(r.principal)),
			Action:    cedar.NewEntityUID("Action", cedar.String(r.action)),
			Resource:  cedar.NewEntityUID("Service", "svc-0123456789abcdef0"),
			Context: cedar.NewRecord(cedar.RecordMap{
				"arn": cedar.String(r.resource), "method": cedar.String(r.method), "ptype": cedar.String(r.principalType),
				"headers": cedar.NewRecord(headers),
			}),
		}
		for _, set := range sets {
			if ok, _ := cedar.Authorize(set, cedar.EntityMap{}, q); ok != cedar.Allow {
				return false
			}
		}
		return true
	}, nil
}

// opa is Open Policy Agent with a rule for each statement, which its rule index finds.
func opa(all [3][]statement) (func(*request) bool, error) {
	input := func(key string) string {
		if name, ok := headerOf(key); ok {
			return fmt.Sprintf("input.headers[%q]", name)
		}
		return map[string]string{keyMethod: "input.method", keyType: "input.ptype"}[key]
	}
	names := [3]string{"identity", "network", "service"}
	options := []func(*rego.Rego){rego.Query("data.bench.allow"), rego.Module("bench.rego", `package bench
import rego.v1
default allow := false
allow if {
	data.bench.identity.allow
	data.bench.network.allow
	data.bench.service.allow
	not data.bench.identity.deny
	not data.bench.network.deny
	not data.bench.service.deny
}`)}
	for i, statements := range all {
		var text strings.Builder
		fmt.Fprintf(&text, "package bench.%s\n\nimport rego.v1\n\ndefault allow := false\n\ndefault deny := false\n\n", names[i])
		for _, s := range statements {
			head := "allow"
			if s.deny {
				head = "deny"
			}
			fmt.Fprintf(&text, "%s if {\n\tinput.action == %q\n", head, action)
			if s.principal != "" {
				fmt.Fprintf(&text, "\tinput.principal == %q\n", s.principal)
			}
			s.tests(func(key, operator, value string, isKey bool) {
				right := fmt.Sprintf("%q", value)
				if isKey {
					right = input(value)
				}
				fmt.Fprintf(&text, "\t%s %s %s\n", input(key), operator, right)
			})
			if s.resource != "" {
				fmt.Fprintf(&text, "\tstartswith(input.resource, %q)\n", s.resource)
			}
			text.WriteString("}\n\n")
		}
		options = append(options, rego.Module(names[i]+".rego", text.String()))
	}
	ctx := context.Background()
	query, err := rego.New(options...).PrepareForEval(ctx)
	if err != nil {
		return nil, err
	}
	return func(r *request) bool {
		headers := ast.NewObject()
		for _, h := range r.headers {
			headers.Insert(ast.StringTerm(h.name), ast.StringTerm(h.value))
		}
		input := ast.NewObject(
			ast.Item(ast.InternedTerm("action"), ast.StringTerm(r.action)),
			ast.Item(ast.InternedTerm("principal"), ast.StringTerm(r.principal)),
			ast.Item(ast.InternedTerm("ptype"), ast.StringTerm(r.principalType)),
			ast.Item(ast.InternedTerm("resource"), ast.StringTerm(r.resource)),
			ast.Item(ast.InternedTerm("method"), ast.StringTerm(r.method)),
			ast.Item(ast.InternedTerm("headers"), ast.NewTerm(headers)),
		)
		result, err := query.Eval(ctx, rego.EvalParsedInput(input))
		return err == nil && result.Allowed()
	}, nil
}

// casbinPERM is Casbin with an enforcer for each of the three layers. Its matcher is
// one for all policies, so it has a column for everything a statement may ask for.
func casbinPERM(all [3][]statement) (func(*request) bool, error) {
	var columns []string
	for i := range tenHeaders {
		columns = append(columns, fmt.Sprintf("h%d", i))
	}
	var text strings.Builder
	fmt.Fprintf(&text, "[request_definition]\nr = pr, ptype, act, res, method, tenant, %[1]s\n[policy_definition]\np = pr, act, res, method, tenant, nptype, %[1]s, eft\n", strings.Join(columns, ", "))
	text.WriteString("[policy_effect]\ne = some(where (p.eft == allow)) && !some(where (p.eft == deny))\n[matchers]\n")
	text.WriteString(`m = (p.pr == "*" || r.pr == p.pr) && r.act == p.act && keyMatch(r.res, p.res) && (p.method == "*" || p.method == "$" && r.method == r.method || r.method == p.method) && (p.tenant == "*" || p.tenant == "$" && r.tenant == r.tenant || r.tenant == p.tenant) && (p.nptype == "-" || r.ptype != p.nptype)`)
	for _, c := range columns {
		fmt.Fprintf(&text, ` && (p.%[1]s == "*" || r.%[1]s == p.%[1]s)`, c)
	}
	text.WriteString("\n")
	var enforcers [3]*casbin.Enforcer
	for i, statements := range all {
		m, err := model.NewModelFromString(text.String())
		if err != nil {
			return nil, err
		}
		e, err := casbin.NewEnforcer(m)
		if err != nil {
			return nil, err
		}
		var rules [][]string
		for _, s := range statements {
			rule := []string{"*", action, s.resource + "*", "*", "*", "-"}
			for range columns {
				rule = append(rule, "*")
			}
			if s.principal != "" {
				rule[0] = s.principal
			}
			s.tests(func(key, operator, value string, isKey bool) {
				if isKey {
					value = "$"
				}
				name, _ := headerOf(key)
				switch {
				case key == keyMethod:
					rule[3] = value
				case key == keyTenant:
					rule[4] = value
				case key == keyType:
					rule[5] = value
				default:
					var n int
					_, _ = fmt.Sscanf(name, "x-h%d", &n)
					rule[6+n] = value
				}
			})
			effect := "allow"
			if s.deny {
				effect = "deny"
			}
			rules = append(rules, append(rule, effect))
		}
		if _, err := e.AddPolicies(rules); err != nil {
			return nil, err
		}
		enforcers[i] = e
	}
	return func(r *request) bool {
		args := []any{r.principal, r.principalType, r.action, r.resource, r.method, "", "", "", "", "", "", "", "", ""}
		for _, h := range r.headers {
			if h.name == "x-tenant" {
				args[5] = h.value
			}
			if len(h.name) == 4 && strings.HasPrefix(h.name, "x-h") {
				args[6+int(h.name[3]-'0')] = h.value
			}
		}
		for _, e := range enforcers {
			if ok, err := e.Enforce(args...); err != nil || !ok {
				return false
			}
		}
		return true
	}, nil
}
