package main

import (
	"encoding/json"
	"fmt"
)

// statement is one statement of a policy, in the form that all engines can say.
type statement struct {
	deny      bool
	principal string // "" is everybody
	resource  string // a beginning, then anything
	equal     map[string]string
	unequal   map[string]string
	// same are keys whose value must be that of another key of the request: a policy
	// variable in IAM's language.
	same map[string]string
}

// The names of what conditions ask for.
const (
	keyMethod = "vpc-lattice-svcs:RequestMethod"
	keyTenant = "vpc-lattice-svcs:RequestHeader/x-tenant"
	keyType   = "aws:PrincipalType"
)

const (
	action   = "vpc-lattice-svcs:Invoke"
	account  = "111122223333"
	service  = "arn:aws:vpc-lattice:us-west-2:" + account + ":service/svc-0123456789abcdef0"
	role     = "arn:aws:iam::" + account + ":role/orders-client"
	resource = service + "/orders/v1/items/42"
)

// header is one of the request's headers.
type header struct{ name, value string }

// request is what is asked, as plain texts: what an engine needs beside is part of
// what is measured.
type request struct {
	principal, principalType, action, resource, method string
	headers                                            []header
}

func theRequest() *request {
	r := &request{principal: role, principalType: "AssumedRole", action: action, resource: resource, method: "GET", headers: []header{
		{"x-tenant", "acme"}, {"content-type", "application/json"}, {"user-agent", "bench/1.0"},
	}}
	for i := range tenHeaders {
		r.headers = append(r.headers, header{fmt.Sprintf("x-h%d", i), fmt.Sprintf("v%d", i)})
	}
	return r
}

// tenHeaders are the headers that the statement with many conditions asks for, beside
// two keys that must equal others.
const tenHeaders = 8

// scenario is what the deciding statements are like.
type scenario struct {
	name    string
	allowed bool
	// first puts the deciding statement of each policy first and not last.
	first bool
	// change turns the allowing statement of the service's policy into that of the
	// scenario.
	change func(*statement)
}

var scenarios = []scenario{
	{name: "allowed by the last statement", allowed: true, change: func(*statement) {}},
	{name: "nothing matches", change: func(s *statement) { s.equal[keyTenant] = "nobody" }},
	{name: "denied by the first statement", first: true, change: func(s *statement) { s.deny = true }},
	{name: "ten conditions, two with variables", allowed: true, change: func(s *statement) {
		delete(s.equal, keyMethod)
		delete(s.equal, keyTenant)
		s.unequal = map[string]string{}
		for i := range tenHeaders {
			s.equal[fmt.Sprintf("vpc-lattice-svcs:RequestHeader/x-h%d", i)] = fmt.Sprintf("v%d", i)
		}
		s.same = map[string]string{
			keyTenant: keyTenant,
			keyMethod: keyMethod,
		}
	}},
}

var methods = []string{"GET", "POST", "PUT"}

// filler is a statement about something else: one of many paths, roles and tenants;
// each tenth denies.
func filler(i int, identity bool) statement {
	s := statement{deny: i%10 == 9, resource: fmt.Sprintf("%s/app%d/", service, i), equal: map[string]string{
		keyMethod: methods[i%3], keyTenant: fmt.Sprintf("tenant%d", i%50),
	}}
	if !identity {
		s.principal = fmt.Sprintf("arn:aws:iam::%s:role/app-%d", account, i%200)
	}
	return s
}

// policies are those of the caller, of the service network and of the service, with n
// statements in all.
func policies(sc scenario, n int) [3][]statement {
	deciding := [3]statement{
		{resource: service + "/", equal: map[string]string{keyMethod: "GET"}},
		{unequal: map[string]string{keyType: "Anonymous"}},
		{principal: role, resource: service + "/orders/", equal: map[string]string{keyMethod: "GET", keyTenant: "acme"}, unequal: map[string]string{keyType: "Anonymous"}},
	}
	sc.change(&deciding[2])
	var out [3][]statement
	for i, s := range deciding {
		size := n / 3
		if i == 0 {
			size += n % 3
		}
		var list []statement
		for j := range size - 1 {
			list = append(list, filler(100000*i+j, i == 0))
		}
		if sc.first {
			list = append([]statement{s}, list...)
		} else {
			list = append(list, s)
		}
		out[i] = list
	}
	return out
}

// document is a policy in IAM's language.
func document(statements []statement, identity bool) string {
	type object = map[string]any
	var list []object
	for _, s := range statements {
		conditions := object{}
		equal := object{}
		for k, v := range s.equal {
			equal[k] = v
		}
		for k, v := range s.same {
			equal[k] = "${" + v + "}"
		}
		if len(equal) > 0 {
			conditions["StringEquals"] = equal
		}
		if len(s.unequal) > 0 {
			conditions["StringNotEquals"] = s.unequal
		}
		one := object{"Effect": "Allow", "Action": action, "Resource": s.resource + "*", "Condition": conditions}
		if s.deny {
			one["Effect"] = "Deny"
		}
		switch {
		case identity:
		case s.principal == "":
			one["Principal"] = "*"
		default:
			one["Principal"] = object{"AWS": s.principal}
		}
		list = append(list, one)
	}
	text, err := json.Marshal(object{"Version": "2012-10-17", "Statement": list})
	if err != nil {
		panic(err)
	}
	return string(text)
}
