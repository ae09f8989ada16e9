package policytest

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"sigs.k8s.io/yaml"
)

// minimum is how many cases there are at least under cases/.
const minimum = 700

// TestCases: the cases of the repository, each of which has a source.
func TestCases(t *testing.T) {
	tests, err := Load([]string{"../../cases"})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range tests {
		if test.Case.Source == "" {
			t.Errorf("%s:%d: %s has no source", test.File, test.Line, test.Case.Name)
		}
		if w := test.Case.Want; w.Verdict == deny && (w.Cause == "" || w.Stage == "") {
			t.Errorf("%s:%d: %s does not say what denies", test.File, test.Line, test.Case.Name)
		}
	}
	for _, r := range Run(tests, nil, false) {
		if !r.Passed {
			t.Errorf("%s:%d: %s\n%s", r.File, r.Line, r.Name, r.difference())
		}
	}
	if len(tests) < minimum {
		t.Errorf("%d cases, fewer than %d", len(tests), minimum)
	}
}

// TestDocument: the examples of the document are files of cases that are as wanted.
func TestDocument(t *testing.T) {
	dir := t.TempDir()
	examples := documented(t)
	for name, text := range examples {
		write(t, dir, name, text)
	}
	tests, err := Load([]string{dir})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range Run(tests, nil, false) {
		if !r.Passed {
			t.Errorf("%s\n%s", r.Name, r.difference())
		}
	}
	if len(examples) != 4 || len(tests) != 10 {
		t.Errorf("%d examples with %d cases", len(examples), len(tests))
	}
}

// documented gives the examples of the document, and the policy that one of them names,
// by the names of files.
func documented(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../../docs/policy-tests.md")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, block := range regexp.MustCompile("(?s)```(yaml|json)\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		name := "within.json"
		if block[1] == "yaml" {
			name = fmt.Sprintf("%d.yaml", len(out))
		}
		out[name] = block[2]
	}
	return out
}

// TestSchema: the published schema is that of the types, and takes the files that the
// reader takes. UPDATE=1 writes it.
func TestSchema(t *testing.T) {
	const file = "../../docs/policy-tests.schema.json"
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(file, Schema(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, Schema()) {
		t.Errorf("the schema has changed: run UPDATE=1 go test ./internal/policytest")
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(want))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource(SchemaID, document); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile(SchemaID)
	if err != nil {
		t.Fatal(err)
	}
	validate := func(text []byte) error {
		raw, err := yaml.YAMLToJSON(text)
		if err != nil {
			return err
		}
		instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
		if err != nil {
			return err
		}
		return schema.Validate(instance)
	}
	files, err := filesOf("../../cases")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := validate(text); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
	for name, example := range documented(t) {
		if err := validate([]byte(example)); err != nil && name != "within.json" {
			t.Errorf("%s\n%v", example, err)
		}
	}
	for _, wrong := range []string{
		"description: x", "cases: []\nprincipels: {}", "cases: {}", "cases: [{want: perhaps}]", "cases: [{want: {stage: sevice}}]", "cases: [{principal: {user: []}}]",
		"cases: [{service: {auth-type: IAM}}]", "cases: [{request: {port: http}}]", "cases: [{request: {protocol: ftp}}]", "cases: [{context: {a: {}}}]", "cases: [{principal: 5}]",
	} {
		if err := validate([]byte(wrong)); err == nil {
			t.Errorf("the schema takes %s", wrong)
		}
	}
}

// TestWrongFiles: what is wrong is said with its place, and what was probably meant.
func TestWrongFiles(t *testing.T) {
	const fine = "\n- {name: b, principal: anonymous, service: {auth-type: NONE}, want: allow}\n"
	for _, test := range []struct{ name, text, want string }{
		{"empty", "", "f.yaml: the file is empty"},
		{"two documents", "cases:" + fine + "---\ncases:" + fine, "f.yaml:3:1: the file has more than one document"},
		{"two documents, one bad", "cases:" + fine + "---\n[", "the file has more than one document"},
		{"an anchor inside itself", "policies: &a {b: *a}\ncases:" + fine, "an anchor of it has itself inside"},
		{"no YAML", "cases: [", "f.yaml:1: did not find"},
		{"no cases", "description: x", "f.yaml: there are no cases"},
		{"a policy", `{"Version": "2012-10-17", "Statement": []}`, "f.yaml: this is a policy and no file of cases: latchwork policy check reads it"},
		{"an empty list of cases", "cases: []", "f.yaml:1:1: the list of cases is empty"},
		{"an included file that is not there", "include: [none.yaml]\ncases:" + fine, "f.yaml:1:1: include: open"},
		{"an included file that is wrong", "include: [wrong.yaml]\ncases:" + fine, "wrong.yaml:1:1: there is no field \"principels\": did you mean \"principals\"?"},
		{"an included file with cases", "include: [cases.yaml]\ncases:" + fine, "cases.yaml:2:1: a file that is included has no cases"},
		{"an included file that is no YAML", "include: [bad.yaml]\ncases:" + fine, "bad.yaml:1: did not find"},
		{"defined twice", "include: [named.yaml]\nservices: {s: {}}\ncases:" + fine, "named.yaml:1:1: services: \"s\" is defined in a file that includes this one too"},
		{"a bad policy of an included file", "include: [named.yaml]\ncases:" + fine, "named.yaml:2:35: this is no auth policy"},
		{"unknown field", "principels: {}\ncases:" + fine, `f.yaml:1:1: there is no field "principels": did you mean "principals"?`},
		{"unknown field of a case", "cases:\n- {name: a, principal: anonymous, service: {auth-type: NONE}, wants: allow}", `f.yaml:2:63: there is no field "wants": did you mean "want"?`},
		{"unknown field of a request", "cases:\n- {name: a, principal: anonymous, service: {auth-type: NONE}, request: {verb: GET}, want: allow}", `there is no field "verb"`},
		{"the same twice", "description: a\ndescription: b\ncases:" + fine, `f.yaml:2:1: "description" is there twice`},
		{"a list for a mapping", "accounts: []\ncases:" + fine, "f.yaml:1:11: here is a list, and names with values are wanted"},
		{"a mapping for a list", "cases: {}", "here is a mapping, and a list is wanted"},
		{"a mapping for a text", "description: {}\ncases:" + fine, "here is a mapping, and a text is wanted"},
		{"nothing for a text", "description:\ncases:" + fine, "here is nothing, and a text is wanted"},
		{"a text for a number", "cases:\n- {name: a, principal: anonymous, service: {auth-type: NONE}, request: {port: http}, want: allow}", `here is "http", and a whole number is wanted`},
		{"no name", "cases:\n- {principal: anonymous, service: {auth-type: NONE}, want: allow}", "f.yaml:2:3: the case has no name"},
		{"a name twice", "cases:" + fine + fine, `there is another case "b"`},
		{"nothing wanted", "cases:\n- {name: a, principal: anonymous, service: {auth-type: NONE}}", "does not say what it wants"},
		{"another verdict", "cases:\n- {name: a, principal: anonymous, service: {auth-type: NONE}, want: maybe}", `"maybe" is neither allow nor deny`},
		{"another cause", "cases:\n- {name: a, principal: anonymous, service: {auth-type: NONE}, want: {cause: bad}}", `the cause "bad"`},
		{"another stage", "cases:\n- {name: a, principal: anonymous, service: {auth-type: NONE}, want: {stage: sevice}}", `there is no stage "sevice": did you mean "service"?`},
		{"an allow that denies", "cases:\n- {name: a, principal: anonymous, service: {auth-type: NONE}, want: {verdict: allow, stage: service}}", "cannot be told of something that is allowed"},
		{"an implicit deny of a statement", "cases:\n- {name: a, principal: anonymous, service: {auth-type: NONE}, want: {cause: implicit, statement: x}}", "denied by no policy or statement"},
		{"nobody", "cases:\n- {name: a, service: {auth-type: NONE}, want: allow}", "the case has no principal"},
		{"somebody unknown", "principals: {alice: {user: 'arn:aws:iam::123456789012:user/alice'}}\ncases:\n- {name: a, principal: alise, service: {auth-type: NONE}, want: allow}", `f.yaml:3:24: nothing here is named "alise": did you mean "alice"?`},
		{"two principals in one", "principals: {a: {user: 'arn:aws:iam::123456789012:user/a', root: '123456789012'}}\ncases:" + fine, "exactly one of user, role"},
		{"a principal without an ARN", "principals: {a: {user: alice}}\ncases:" + fine, `"alice" is no ARN`},
		{"a long-term user with a session", "principals: {a: {user: 'arn:aws:iam::123456789012:user/a', mfa-age: 5}}\ncases:" + fine, "a user has no session"},
		{"an account of too few digits", "principals: {a: {user: 'arn:aws:iam::1:user/a'}}\ncases:" + fine, `f.yaml:1:17: "1" is no id of an account`},
		{"an account that is none", "accounts: {'1': {organization: o-a1b2c3d4e5}}\ncases:" + fine, `f.yaml: accounts: "1" is no id of an account`},
		{"a root user of no account", "principals: {a: {root: me}}\ncases:" + fine, `"me" is no id of an account`},
		{"a user as a role", "principals: {a: {role: 'arn:aws:iam::123456789012:user/a'}}\ncases:" + fine, "f.yaml:1:17: arn:aws:iam::123456789012:user/a is not the ARN of a role, such as arn:aws:iam::123456789012:role/name"},
		{"a session as a role", "principals: {a: {role: 'arn:aws:sts::123456789012:assumed-role/a/s'}}\ncases:" + fine, "is not the ARN of a role"},
		{"a session of a user", "principals: {a: {user: 'arn:aws:iam::123456789012:user/a', session: s1}}\ncases:" + fine, "f.yaml:1:17: a user has no session: it is for role"},
		{"policies of a service", "principals: {a: {service: ec2.amazonaws.com, policies: []}}\ncases:" + fine, "a service has no policies: it is for user, role"},
		{"a session that none can be", "principals: {a: {role: 'arn:aws:iam::123456789012:role/a', session: a b}}\ncases:" + fine, `session: "a b" is no name of one`},
		{"a service without a domain", "principals: {a: {service: ec2}}\ncases:" + fine, `"ec2" is no service principal such as ec2.amazonaws.com`},
		{"an action without a service", "cases:\n- {name: a, principal: anonymous, action: GetObject, want: deny}", `f.yaml:2:3: "GetObject" is not the name of one action`},
		{"several actions", "cases:\n- {name: a, principal: anonymous, action: 's3:Get*', want: deny}", `"s3:Get*" is not the name of one action`},
		{"a resource that is no ARN", "cases:\n- {name: a, principal: anonymous, action: 's3:GetObject', resource: {arn: photos}, want: deny}", `resource: "photos" is no ARN`},
		{"an owner that is no account", "cases:\n- {name: a, principal: anonymous, action: 's3:GetObject', resource: {account: me}, want: deny}", `"me" is no id of an account`},
		{"a group that is not there", "principals: {a: {user: 'arn:aws:iam::123456789012:user/a', groups: [g]}}\ncases:" + fine, `there is no group "g"`},
		{"like itself", "principals: {a: {like: b}, b: {like: a}}\ncases:" + fine, "is like itself"},
		{"neither service nor action", "cases:\n- {name: a, principal: anonymous, want: allow}", "exactly one of service and action"},
		{"both", "cases:\n- {name: a, principal: anonymous, service: {auth-type: NONE}, action: 's3:GetObject', want: allow}", "exactly one of service and action"},
		{"a request with keys", "cases:\n- {name: a, principal: anonymous, service: {auth-type: NONE}, context: {a:b: c}, want: allow}", "its resource and its condition keys follow"},
		{"an action with a request", "cases:\n- {name: a, principal: anonymous, action: 's3:GetObject', request: {}, want: deny}", "is no request"},
		{"no auth type", "services: {s: {policy: {Version: 2012-10-17, Statement: {Effect: Allow, Principal: '*', Action: '*', Resource: '*'}}}}\ncases:" + fine, "a policy and no auth-type"},
		{"another auth type", "services: {s: {auth-type: IAM}}\ncases:" + fine, `the auth type "IAM"`},
		{"a policy that is none", "services:\n  s:\n    auth-type: AWS_IAM\n    policy:\n      Version: 2012-10-17\n      Statement:\n      - {Effect: Allow, Principal: '*', Action: 's3:GetObject', Resource: '*'}\ncases:" + fine, "f.yaml:7:49: this is no auth policy: Invalid action"},
		{"a policy in JSON that is none", "services: {s: {auth-type: AWS_IAM, policy: '{}'}}\ncases:" + fine, "f.yaml:1:44: this is no auth policy"},
		{"a policy that is not there", "services: {s: {auth-type: AWS_IAM, policy: read}}\npolicies: {red: {}}\ncases:" + fine, `there is no policy "read": did you mean "red"?`},
		{"a managed policy that is not there", "principals: {a: {user: 'arn:aws:iam::123456789012:user/a', policies: ['arn:aws:iam::aws:policy/Nope']}}\ncases:" + fine, "there is no managed policy arn:aws:iam::aws:policy/Nope"},
		{"a managed policy of AWS's own", "policies: {'arn:aws:iam::aws:policy/AWSDenyAll': {}}\ncases:" + fine, "is a managed policy of AWS's own"},
		{"a policy that is a list", "policies: {a: []}\ncases:" + fine, "here is a list, and a policy is wanted"},
		{"a file that is not there", "policies: {a: {file: none.json}}\ncases:" + fine, "none.json: no such file"},
		{"a file that is no policy", "services: {s: {auth-type: AWS_IAM, policy: {file: bad.json}}}\ncases:" + fine, "bad.json:2:1: this is no auth policy"},
		{"a resource with two policies", "cases:\n- {name: a, principal: anonymous, action: 's3:x', resource: {policy: &p {Version: 2012-10-17, Statement: {Effect: Allow, Principal: '*', Action: '*', Resource: '*'}}, trust-policy: *p}, want: deny}", "not both"},
		{"no time", "cases:\n- {name: a, principal: anonymous, time: noon, service: {auth-type: NONE}, want: allow}", `"noon" is no time`},
		{"no address", "cases:\n- {name: a, principal: anonymous, service: {auth-type: NONE}, request: {source-address: here}, want: allow}", `"here" is no IP address`},
		{"no protocol", "cases:\n- {name: a, principal: anonymous, service: {auth-type: NONE}, request: {protocol: ftp}, want: allow}", `the protocol "ftp"`},
		{"no gRPC", "cases:\n- {name: a, principal: anonymous, service: {auth-type: NONE}, request: {protocol: grpc, method: GET}, want: allow}", "this is no gRPC call"},
		{"gRPC with a query", "cases:\n- {name: a, principal: anonymous, service: {auth-type: NONE}, request: {protocol: grpc, query: a=b}, want: allow}", "answers such a request with 400: a gRPC request must not have a query"},
		{"a path that two read differently", "cases:\n- {name: a, principal: anonymous, service: {auth-type: NONE}, request: {path: /a/../b}, want: allow}", "answers such a request with 400"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, "bad.json", "{\n")
			write(t, dir, "wrong.yaml", "principels: {}")
			write(t, dir, "cases.yaml", "\ncases: []")
			write(t, dir, "bad.yaml", "[")
			write(t, dir, "named.yaml", "services: {\n s: {auth-type: AWS_IAM, policy: {p: q}}}")
			_, err := Load([]string{write(t, dir, "f.yaml", test.text)})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v\nwant %s", err, test.want)
			}
		})
	}
	if _, err := Load([]string{t.TempDir()}); err == nil || !strings.Contains(err.Error(), "there are no") {
		t.Errorf("an empty directory: %v", err)
	}
	dir := t.TempDir()
	write(t, dir, "shared.yaml", "description: x")
	if _, err := Load([]string{dir}); err == nil || !strings.HasPrefix(err.Error(), dir+": there are no cases") {
		t.Errorf("a directory without cases: %v", err)
	}
	if _, err := Load([]string{"none"}); err == nil {
		t.Error("a path that is not there is not an error")
	}
}

func write(t testing.TB, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestReports: a difference is told in each form.
func TestReports(t *testing.T) {
	file := write(t, t.TempDir(), "f.json", `{"source": "a <page>", "cases": [
  {"name": "right", "principal": "anonymous", "service": {"auth-type": "NONE"}, "want": "allow"},
  {"name": "wrong", "principal": "anonymous", "service": {"auth-type": "AWS_IAM", "policy": {"Statement": [{"Sid": "No", "Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"}]}}, "want": {"cause": "implicit", "stage": "service"}}
]}`)
	tests, err := Load([]string{file})
	if err != nil {
		t.Fatal(err)
	}
	if results := Run(tests, regexp.MustCompile("^right$"), true); len(results) != 1 || !results[0].Passed || results[0].Explanation == nil {
		t.Errorf("--run: %+v", results)
	}
	report := NewReport(Run(tests, nil, false), 1500000)
	var text, raw, junit bytes.Buffer
	report.Text(&text)
	for _, want := range []string{
		"FAIL " + file + ":3: wrong", "wanted     deny, cause implicit, stage service", "got        deny, cause explicit, stage service, policy auth policy, statement No",
		"source     a <page>", "statement 1 No (Deny) matches", "DENIED    explicit deny, by the service layer",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, text.String())
		}
	}
	if got := report.Summary(); got != "2 cases, 1 as wanted, 1 not, in 2ms" {
		t.Error(got)
	}
	if err := report.JSON(&raw); err != nil {
		t.Fatal(err)
	}
	var back Report
	if err := json.Unmarshal(raw.Bytes(), &back); err != nil || back.Cases != 2 || back.Failed != 1 || back.Results[0].Explanation != nil || back.Results[1].Explanation.Stage != "service" {
		t.Errorf("%v\n%s", err, raw.String())
	}
	if err := report.JUnit(&junit); err != nil {
		t.Fatal(err)
	}
	var suites junitSuites
	if err := xml.Unmarshal(junit.Bytes(), &suites); err != nil {
		t.Fatal(err)
	}
	if suites.Tests != 2 || suites.Failures != 1 || len(suites.Suites) != 1 || suites.Suites[0].Cases[1].Failure == nil || !strings.Contains(suites.Suites[0].Cases[1].Failure.Text, "a <page>") {
		t.Errorf("%s", junit.String())
	}
}

// TestWants: each part of a wanted answer counts.
func TestWants(t *testing.T) {
	const policy = `{Statement: [{Effect: Allow, Principal: '*', Action: '*', Resource: '*'}, {Sid: No, Effect: Deny, Principal: '*', Action: '*', Resource: '*'}]}`
	for want, passes := range map[string]bool{
		"deny": true, "allow": false, "{}": true, "{verdict: deny}": true, "{cause: explicit}": true, "{cause: implicit}": false,
		"{stage: service}": true, "{stage: network}": false, "{statement: No}": true, "{statement: '2'}": true, "{statement: '1'}": false,
		"{policy: p}": true, "{policy: q}": false, "{text: in a service-based policy}": true, "{text: in a network-based policy}": false,
	} {
		file := write(t, t.TempDir(), "f.yaml", "policies: {p: "+policy+"}\ncases:\n- {name: a, principal: anonymous, service: {auth-type: AWS_IAM, policy: p}, want: "+want+"}")
		tests, err := Load([]string{file})
		if err != nil {
			t.Fatal(err)
		}
		if r := Run(tests, nil, false)[0]; r.Passed != passes {
			t.Errorf("%s: passed %t, got %s", want, r.Passed, r.Got)
		}
	}
}

// TestMerging: what a case has of its defaults, of what it is like, and of YAML's own
// "<<".
func TestMerging(t *testing.T) {
	file := write(t, t.TempDir(), "f.yaml", `
policies:
  base: &base {Version: 2012-10-17, Statement: &s {Effect: Allow, Action: "s3:*", Resource: "*"}}
  derived: {<<: *base, Statement: {<<: *s, Action: "ec2:*"}}
principals:
  a: {role: "arn:aws:iam::123456789012:role/path/r", session: one, policies: [base], tags: {team: blue, cost: low}}
  b: {like: a, session: two, tags: {team: red}}
defaults:
  principal: b
  service: {auth-type: NONE}
  request: {method: PUT, headers: {x-a: [one, two]}, query: {q: [1, 2], r: x y}}
  want: allow
cases:
- {name: request, request: {path: /p}}
- {name: action, action: "s3:GetObject", principal: {like: b, policies: [derived]}, want: deny}
`)
	tests, err := Load([]string{file})
	if err != nil {
		t.Fatal(err)
	}
	in := tests[0].Invocation.In
	if got := in.Method + " " + in.Target; got != "PUT /p?q=1&q=2&r=x+y" || in.Count("x-a") != 2 {
		t.Errorf("request %s, %v", got, in.Headers)
	}
	who := tests[0].Query.Principal
	if who.ARN != "arn:aws:sts::123456789012:assumed-role/r/two" {
		t.Errorf("principal %s", who.ARN)
	}
	e := tests[0].Snap.Entity(who)
	if diff := cmp.Diff(map[string]string{"team": "red"}, e.Tags); diff != "" {
		t.Error(diff)
	}
	for _, r := range Run(tests, nil, false) {
		if !r.Passed {
			t.Errorf("%s: got %s", r.Name, r.Got)
		}
	}
}

// TestInclude: what several files need is written once. In a directory a file without
// cases is left to those who include it.
func TestInclude(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "shared"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "shared"), "invoke.json", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`)
	write(t, filepath.Join(dir, "shared"), "policies.yaml", "include: [all.yaml]\npolicies: {invoke: {file: invoke.json}}")
	write(t, filepath.Join(dir, "shared"), "all.yaml", "include: [policies.yaml]\naccounts: {123456789012: {organization: o-1}}\nprincipals: {a: {user: 'arn:aws:iam::123456789012:user/a', policies: [invoke]}}\nnetworks: {n: {auth-type: NONE}}\nservices: {s: {auth-type: NONE}}\nresources: {r: {arn: 'arn:aws:s3:::b'}}\ngroups: {g: [invoke]}")
	write(t, dir, "f.yaml", "include: [shared/all.yaml]\nprincipals: {b: {like: a, groups: [g]}}\ncases:\n- {name: a, principal: b, action: 's3:x', resource: r, want: allow}\n- {name: b, principal: a, service: s, network: n, want: allow}")
	tests, err := Load([]string{dir})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range Run(tests, nil, false) {
		if !r.Passed {
			t.Errorf("%s: %s", r.Name, r.Got)
		}
	}
	if len(tests) != 2 || tests[0].Snap.Account("123456789012").OrgID != "o-1" {
		t.Errorf("%d cases", len(tests))
	}
	if _, err := Load([]string{filepath.Join(dir, "shared")}); err == nil || !strings.Contains(err.Error(), "there are no cases") {
		t.Errorf("a directory without cases: %v", err)
	}
}

// TestHiddenFolders: what begins with a dot is not for us.
func TestHiddenFolders(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, ".github"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, ".github"), "ci.yml", "on: push")
	write(t, dir, "f.yml", "cases:\n- {name: a, principal: anonymous, service: {auth-type: NONE}, want: allow}")
	if tests, err := Load([]string{dir}); err != nil || len(tests) != 1 {
		t.Errorf("%d cases, %v", len(tests), err)
	}
}

// FuzzRead: no text makes it panic, and what is read can be decided and told.
func FuzzRead(f *testing.F) {
	for _, text := range []string{
		"cases:\n- {name: a, principal: anonymous, service: {auth-type: NONE}, request: {query: {a: [b, c]}, headers: {d: e}}, want: allow}",
		"principals: {a: &a {user: 'arn:aws:iam::123456789012:user/a', groups: [g]}, b: {<<: *a, like: a}}\ngroups: {g: [{file: x}]}\ncases: [{name: a, principal: b, action: s3:x, want: {cause: explicit}}]",
		"accounts: {123456789012: {organization: o, service-control-policies: [[FullAWSAccess], [p]]}}\npolicies: {p: {Version: 2012-10-17, Statement: {Effect: Deny, Action: '*', Resource: '*'}}}\ncases: [{name: a, principal: {role: 'arn:aws:iam::123456789012:role/r'}, action: s3:x, want: deny}]",
	} {
		f.Add([]byte(text))
	}
	f.Add([]byte("cases:\n- {name: a, principal: {like: b}, action: s3:x, resource: [], context: {a: [b]}, want: {}}\ndefaults: {time: x}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		tests, err := read("f.yaml", text, compiled{})
		if err != nil {
			return
		}
		for _, r := range Run(tests, nil, false) {
			if r.Explanation != nil {
				r.difference()
			}
		}
	})
}

// BenchmarkThousand reads and decides a thousand cases.
func BenchmarkThousand(b *testing.B) {
	var text strings.Builder
	text.WriteString(`
policies: {invoke: {Version: 2012-10-17, Statement: {Effect: Allow, Action: "*", Resource: "*"}}}
principals: {client: {role: "arn:aws:iam::123456789012:role/client", policies: [invoke]}}
defaults: {principal: client}
cases:
`)
	for i := range 1000 {
		fmt.Fprintf(&text, `- name: case %d
  service: {auth-type: AWS_IAM, policy: {Version: 2012-10-17, Statement: [{Effect: Allow, Principal: {AWS: "arn:aws:iam::123456789012:role/client"}, Action: "vpc-lattice-svcs:Invoke", Resource: "*/%d", Condition: {StringEquals: {"vpc-lattice-svcs:RequestMethod": GET}}}]}}
  request: {path: /%d}
  want: allow
`, i, i, i)
	}
	file := write(b, b.TempDir(), "f.yaml", text.String())
	for b.Loop() {
		tests, err := Load([]string{file})
		if err != nil {
			b.Fatal(err)
		}
		if r := NewReport(Run(tests, nil, false), 0); r.Failed > 0 || r.Cases != 1000 {
			b.Fatal(r.Summary())
		}
	}
}
