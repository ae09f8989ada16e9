package iam

import (
	"context"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchwork/latchwork/internal/clock"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/policy"
	"github.com/latchwork/latchwork/internal/snapshot"
)

// simulate makes the world's calls see what is stored, as snapshots show it. Its account
// is in an organization, under the service control policies.
func (w *world) simulate(control ...string) {
	w.t.Helper()
	account := snapshot.Account{ID: w.account, OrgID: "o-1"}
	for _, text := range control {
		account.ControlPolicies = append(account.ControlPolicies, []*snapshot.Policy{snapshot.Compile(policy.ServiceControl, "control", text)})
	}
	publisher := snapshot.NewPublisher(snapshot.Config{
		Backend: shared.Backend(), Clock: clock.Fixed(now), Log: slog.New(slog.DiscardHandler),
		Settings:   snapshot.Settings{Partition: "aws", Accounts: map[string]snapshot.Account{w.account: account}},
		OpenSecret: func(*model.AccessKey) ([]byte, error) { return nil, nil },
	})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		publisher.Run(ctx)
	}()
	w.t.Cleanup(func() { stop(); <-done })
	w.snapshot = func() any {
		if err := publisher.WaitFor(ctx, w.revision()); err != nil {
			w.t.Error(err)
		}
		return publisher.Current()
	}
	w.serve()
}

func document(statements ...string) string {
	return `{"Version":"2012-10-17","Statement":[{` + strings.Join(statements, "},{") + `}]}`
}

// members is the parameters of a list.
func members(name string, values ...string) []string {
	var out []string
	for i, v := range values {
		out = append(out, name+".member."+strconv.Itoa(i+1)+"="+v)
	}
	return out
}

func params(lists ...[]string) []string {
	var out []string
	for _, l := range lists {
		out = append(out, l...)
	}
	return out
}

// entry is a context entry of a simulation.
func entry(n int, name, kind string, values ...string) []string {
	at := "ContextEntries.member." + strconv.Itoa(n) + "."
	return append([]string{at + "ContextKeyName=" + name, at + "ContextKeyType=" + kind}, members(at+"ContextKeyValues", values...)...)
}

// show writes an element of an answer: its name with its text or its children.
func (n *node) show() string {
	if n == nil {
		return "-"
	}
	if len(n.children) == 0 {
		return n.name + "=" + n.text
	}
	var out []string
	for _, c := range n.children {
		out = append(out, c.show())
	}
	return n.name + "(" + strings.Join(out, " ") + ")"
}

const allowGet = `"Effect":"Allow","Action":"s3:GetObject","Resource":"*"`

// TestSimulateShape: the answers that AWS's simulator was recorded to give.
// Source: AWS CLI, examples of simulate-custom-policy; public records of answers with
// resources, and without.
func TestSimulateShape(t *testing.T) {
	w := newWorld(t, Quotas{})
	w.simulate()
	const dated = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"dynamodb:*","Resource":"*","Condition":{"DateGreaterThan":{"aws:CurrentTime":"2018-08-16T12:00:00Z"}}}}`
	const spaced = `{"Version": "2012-10-17", "Statement": {"Sid": "", "Effect": "Allow", "Action": "s3:PutObject", "Resource": "*"}}`
	const listed = `{"Statement":[{"Action":["s3:GetObject"],"Effect":"Allow","Resource":"arn:aws:s3:::b/*"}, {"Action":"s3:*","Effect":"Allow","Resource":"arn:aws:s3:::b/k"}],"Version":"2012-10-17"}`
	const lines = "{\n    \"Version\": \"2012-10-17\",\n    \"Statement\": [\n        {\n            \"Effect\": \"Allow\",\n            \"Action\": \"a:b\",\n            \"Resource\": \"*\"\n        }\n    ]\n}"
	statement := func(from, to string) string {
		at := func(name, at string) string {
			line, column, _ := strings.Cut(at, ":")
			return name + "(Column=" + column + " Line=" + line + ")"
		}
		return "member(" + at("EndPosition", to) + " SourcePolicyId=PolicyInputList.1 SourcePolicyType=IAM Policy " + at("StartPosition", from) + ")"
	}
	for _, test := range []struct {
		name, action, policy, resource, want string
		entry                                []string
	}{
		{
			"allowed", "dynamodb:CreateBackup", dated, "",
			"member(EvalActionName=dynamodb:CreateBackup EvalDecision=allowed EvalResourceName=* MatchedStatements(" + statement("1:38", "1:167") + ") MissingContextValues=)",
			entry(1, "aws:CurrentTime", "date", "2019-04-25T11:00:00Z"),
		},
		{
			"not allowed", "dynamodb:CreateBackup", dated, "*",
			"member(EvalActionName=dynamodb:CreateBackup EvalDecision=implicitDeny EvalResourceName=* MatchedStatements= MissingContextValues=)",
			entry(1, "aws:currenttime", "date", "2014-04-25T11:00:00Z"),
		},
		{
			"nobody says when", "dynamodb:CreateBackup", dated, "",
			"member(EvalActionName=dynamodb:CreateBackup EvalDecision=implicitDeny EvalResourceName=* MatchedStatements= MissingContextValues(member=aws:CurrentTime))",
			nil,
		},
		{
			"a resource", "s3:PutObject", spaced, "arn:aws:s3:::b",
			"member(EvalActionName=s3:PutObject EvalDecision=allowed EvalDecisionDetails= EvalResourceName=arn:aws:s3:::b MatchedStatements(" + statement("1:41", "1:113") + ") MissingContextValues= " +
				"ResourceSpecificResults(member(EvalResourceDecision=allowed EvalResourceName=arn:aws:s3:::b MatchedStatements(" + statement("1:41", "1:113") + ") MissingContextValues=)))",
			nil,
		},
		{
			"statements of a list", "s3:GetObject", listed, "arn:aws:s3:::b/k",
			"member(EvalActionName=s3:GetObject EvalDecision=allowed EvalDecisionDetails= EvalResourceName=arn:aws:s3:::b/k MatchedStatements(" + statement("1:15", "1:89") + " " + statement("1:89", "1:155") + ") MissingContextValues= " +
				"ResourceSpecificResults(member(EvalResourceDecision=allowed EvalResourceName=arn:aws:s3:::b/k MatchedStatements(" + statement("1:15", "1:89") + " " + statement("1:89", "1:155") + ") MissingContextValues=)))",
			nil,
		},
		{
			"lines", "a:b", lines, "",
			"member(EvalActionName=a:b EvalDecision=allowed EvalResourceName=* MatchedStatements(" + statement("3:19", "8:10") + ") MissingContextValues=)",
			nil,
		},
	} {
		args := params(members("PolicyInputList", test.policy), members("ActionNames", test.action), test.entry)
		if test.resource != "" {
			args = append(args, members("ResourceArns", test.resource)...)
		}
		a := w.ok("SimulateCustomPolicy", args...)
		if got := a.at("EvaluationResults").children[0].show(); got != test.want {
			t.Errorf("%s: %s", test.name, cmp.Diff(test.want, got))
		}
		if a.text("IsTruncated") != "false" || a.has("Marker") {
			t.Errorf("%s: truncated", test.name)
		}
	}
}

// TestSimulateDecisions: what is simulated is decided as calls are.
func TestSimulateDecisions(t *testing.T) {
	w := newWorld(t, Quotas{})
	w.simulate()
	const lattice = "arn:aws:vpc-lattice:us-west-2:123456789012:service/svc-0123456789abcdef0/rates"
	user := w.arn("user/alice")
	alice := members("PolicyInputList", document(allowGet))
	caller := []string{"CallerArn=" + user}
	everything := document(`"Effect":"Allow","Action":"*","Resource":"*"`)
	resource := func(principal, effect string) []string {
		return []string{"ResourcePolicy=" + document(`"Effect":"`+effect+`","Principal":`+principal+`,"Action":"s3:*","Resource":"*"`)}
	}
	auth := func(effect string) []string {
		return []string{"ResourcePolicy=" + document(`"Effect":"`+effect+`","Principal":"*","Action":"vpc-lattice-svcs:Invoke","Resource":"*/rates","Condition":{"StringEquals":{"vpc-lattice-svcs:RequestMethod":"GET"}}`)}
	}
	trust := func(principal string) []string {
		return []string{"ResourcePolicy=" + document(`"Effect":"Allow","Principal":{"AWS":"`+principal+`"},"Action":"sts:AssumeRole"`)}
	}
	get := entry(1, "vpc-lattice-svcs:RequestMethod", "string", "GET")
	for _, test := range []struct {
		name, action, resource string
		args                   []string
		decision, details      string
		statements             string // ids and types
	}{
		{"explicit deny, and no allow is listed", "s3:GetObject", "arn:aws:s3:::b/k", params(members("PolicyInputList", document(allowGet), document(`"Effect":"Deny","NotAction":"iam:*","Resource":"*"`))), "explicitDeny", "", "PolicyInputList.2 IAM Policy"},
		{"several policies allow", "s3:GetObject", "*", params(members("PolicyInputList", document(allowGet), everything)), "allowed", "-", "PolicyInputList.1 IAM Policy, PolicyInputList.2 IAM Policy"},
		{"a boundary that allows", "s3:GetObject", "*", params(alice, members("PermissionsBoundaryPolicyInputList", everything)), "allowed", "-", "PolicyInputList.1 IAM Policy"},
		{"a boundary that does not", "s3:GetObject", "*", params(alice, members("PermissionsBoundaryPolicyInputList", document(`"Effect":"Allow","Action":"iam:*","Resource":"*"`))), "implicitDeny", "-", ""},
		{"a boundary that denies", "s3:GetObject", "*", params(alice, members("PermissionsBoundaryPolicyInputList", document(`"Effect":"Deny","Action":"s3:*","Resource":"*"`))), "explicitDeny", "-", "PermissionsBoundaryPolicyInputList.1 Permissions Boundary Policy"},
		{"the resource's policy alone, the user named", "s3:PutObject", "arn:aws:s3:::b/k", params(alice, caller, resource(`{"AWS":"`+user+`"}`, "Allow")), "allowed", "", "ResourcePolicy Resource Policy"},
		{"the account named, and nothing else", "s3:PutObject", "arn:aws:s3:::b/k", params(alice, caller, resource(`{"AWS":"`+w.account+`"}`, "Allow")), "implicitDeny", "", ""},
		{"the resource's policy denies", "s3:GetObject", "arn:aws:s3:::b/k", params(alice, caller, resource(`"*"`, "Deny")), "explicitDeny", "", "ResourcePolicy Resource Policy"},
		{"across accounts", "s3:GetObject", "arn:aws:s3:::b/k", params(alice, caller, resource(`{"AWS":"`+w.account+`"}`, "Allow"), []string{"ResourceOwner=arn:aws:iam::123456789012:root"}), "allowed", "IAM Policy=allowed Resource Policy=allowed", "PolicyInputList.1 IAM Policy, ResourcePolicy Resource Policy"},
		{"across accounts, the identity does not", "s3:PutObject", "arn:aws:s3:::b/k", params(alice, caller, resource(`{"AWS":"`+w.account+`"}`, "Allow"), []string{"ResourceOwner=123456789012"}), "implicitDeny", "IAM Policy=implicitDeny Resource Policy=allowed", ""},
		{"across accounts, no policy there", "sqs:SendMessage", "arn:aws:sqs:us-east-1:123456789012:q", members("PolicyInputList", everything), "implicitDeny", "IAM Policy=allowed Resource Policy=implicitDeny", ""},
		{"the ARN names the account", "sqs:SendMessage", "arn:aws:sqs:us-east-1:" + w.account + ":q", params(members("PolicyInputList", everything), []string{"ResourceOwner=123456789012"}), "allowed", "", "PolicyInputList.1 IAM Policy"},

		{"Lattice: both allow", "vpc-lattice-svcs:Invoke", lattice, params(members("PolicyInputList", everything), caller, auth("Allow"), get), "allowed", "IAM Policy=allowed Resource Policy=allowed", "PolicyInputList.1 IAM Policy, ResourcePolicy Resource Policy"},
		{"Lattice: the service alone", "vpc-lattice-svcs:Invoke", strings.Replace(lattice, "123456789012", w.account, 1), params(alice, caller, auth("Allow"), get), "implicitDeny", "IAM Policy=implicitDeny Resource Policy=allowed", ""},
		{"Lattice: the identity alone", "vpc-lattice-svcs:Invoke", strings.Replace(lattice, "123456789012", w.account, 1), params(members("PolicyInputList", everything), caller, auth("Allow")), "implicitDeny", "IAM Policy=allowed Resource Policy=implicitDeny", ""},
		{"Lattice: the service denies", "vpc-lattice-svcs:Invoke", lattice, params(members("PolicyInputList", everything), caller, auth("Deny"), get), "explicitDeny", "IAM Policy=allowed Resource Policy=explicitDeny", "ResourcePolicy Resource Policy"},
		{"Lattice: a session of a role", "vpc-lattice-svcs:Invoke", lattice, params(members("PolicyInputList", everything), []string{"CallerArn=arn:aws:sts::" + w.account + ":assumed-role/r/s"}, auth("Allow"), get), "allowed", "IAM Policy=allowed Resource Policy=allowed", "PolicyInputList.1 IAM Policy, ResourcePolicy Resource Policy"},

		{"a role trusts the user itself", "sts:AssumeRole", w.arn("role/r"), params(alice, caller, trust(user)), "allowed", "", "ResourcePolicy Resource Policy"},
		{"a role trusts the account", "sts:AssumeRole", w.arn("role/r"), params(alice, caller, trust(w.account)), "implicitDeny", "", ""},
		{"a role trusts others", "sts:AssumeRole", w.arn("role/r"), params(members("PolicyInputList", everything), caller, trust("123456789012")), "implicitDeny", "", ""},
		{"a role named by a resource is bounded", "s3:PutObject", "arn:aws:s3:::b/k", params(alice, []string{"CallerArn=" + w.arn("role/r")}, resource(`{"AWS":"`+w.arn("role/r")+`"}`, "Allow"), members("PermissionsBoundaryPolicyInputList", document(allowGet))), "implicitDeny", "", ""},
		{"the root user needs none", "s3:PutObject", "arn:aws:s3:::b/k", params(alice, []string{"CallerArn=" + w.arn("root")}), "allowed", "", ""},
		{"what needs no permission", "sts:GetCallerIdentity", "*", alice, "allowed", "-", ""},
	} {
		a := w.ok("SimulateCustomPolicy", params(members("ActionNames", test.action), members("ResourceArns", test.resource), test.args)...)
		result := a.at("EvaluationResults").children[0]
		if got := result.child("EvalDecision").text; got != test.decision {
			t.Errorf("%s: %s, want %s", test.name, got, test.decision)
		}
		details := "-"
		if d := result.child("EvalDecisionDetails"); d != nil {
			var out []string
			for _, e := range d.children {
				out = append(out, e.child("key").text+"="+e.child("value").text)
			}
			details = strings.Join(out, " ")
		}
		if details != test.details {
			t.Errorf("%s: details %q, want %q", test.name, details, test.details)
		}
		var statements []string
		for _, s := range result.child("MatchedStatements").children {
			statements = append(statements, s.child("SourcePolicyId").text+" "+s.child("SourcePolicyType").text)
		}
		if got := strings.Join(statements, ", "); got != test.statements {
			t.Errorf("%s: statements %q, want %q", test.name, got, test.statements)
		}
		_, bounded := strings.CutPrefix(strings.Join(test.args, " "), "PermissionsBoundary")
		bounded = bounded || strings.Contains(strings.Join(test.args, " "), "PermissionsBoundaryPolicyInputList")
		if d := result.child("PermissionsBoundaryDecisionDetail"); (d != nil) != bounded {
			t.Errorf("%s: boundary %s", test.name, d.show())
		}
		if d := result.child("OrganizationsDecisionDetail"); d != nil {
			t.Errorf("%s: %s, and nothing that is stored counts", test.name, d.show())
		}
	}
}

// TestSimulatePrincipal: the policies, the boundary, the tags and the organization of
// what is stored count, and what is given beside.
func TestSimulatePrincipal(t *testing.T) {
	w := newWorld(t, Quotas{})
	w.simulate(document(`"Effect":"Allow","NotAction":"ec2:*","Resource":"*"`))
	w.ok("CreatePolicy", "PolicyName=managed", "Path=/x/", "PolicyDocument="+document(`"Effect":"Allow","Action":["s3:*","ec2:*"],"Resource":"*"`))
	w.ok("CreateUser", "UserName=alice", "Path=/team/", "Tags.member.1.Key=Dept", "Tags.member.1.Value=ops")
	w.ok("CreateGroup", "GroupName=dev", "Path=/g/")
	w.ok("CreateRole", "RoleName=app", "AssumeRolePolicyDocument="+trustDoc, "PermissionsBoundary="+w.arn("policy/x/managed"))
	w.ok("AddUserToGroup", "GroupName=dev", "UserName=alice")
	w.ok("PutGroupPolicy", "GroupName=dev", "PolicyName=own", "PolicyDocument="+document(`"Effect":"Allow","Action":"sqs:*","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalTag/dept":"ops","aws:username":"alice","aws:SourceVpc":"${aws:SourceVpc}"}}`))
	w.ok("PutUserPolicy", "UserName=alice", "PolicyName=inline", "PolicyDocument="+document(`"Effect":"Deny","Action":"s3:Delete*","Resource":"*"`))
	w.ok("AttachUserPolicy", "UserName=alice", "PolicyArn="+w.arn("policy/x/managed"))
	w.ok("PutRolePolicy", "RoleName=app", "PolicyName=all", "PolicyDocument="+document(`"Effect":"Allow","Action":"*","Resource":"*"`))
	user, group, role := "PolicySourceArn="+w.arn("user/team/alice"), "PolicySourceArn="+w.arn("group/g/dev"), "PolicySourceArn="+w.arn("role/app")
	for _, test := range []struct {
		name, action string
		args         []string
		decision     string
		statements   string
		missing      string
		organization string
		boundary     string
	}{
		{"managed", "s3:GetObject", []string{user}, "allowed", "managed IAM Policy", "aws:SourceVpc", "true", ""},
		{"inline", "s3:DeleteObject", []string{user}, "explicitDeny", "user_alice_inline IAM Policy", "aws:SourceVpc", "true", ""},
		{"of a group", "sqs:SendMessage", append(entry(1, "aws:SourceVpc", "string", "vpc-1"), user), "allowed", "group_dev_own IAM Policy", "", "true", ""},
		{"of a group, a key missing", "sqs:SendMessage", []string{user}, "implicitDeny", "", "aws:SourceVpc", "true", ""},
		{"a key of the caller stated otherwise", "sqs:SendMessage", params(entry(1, "aws:SourceVpc", "string", "vpc-1"), entry(2, "aws:PrincipalTag/Dept", "string", "it"), []string{user}), "implicitDeny", "", "", "true", ""},
		{"not under the organization", "ec2:RunInstances", []string{user}, "implicitDeny", "", "aws:SourceVpc", "false", ""},
		{"a group alone", "sqs:SendMessage", []string{group}, "implicitDeny", "", "aws:PrincipalTag/dept,aws:username,aws:SourceVpc", "true", ""},
		{"a user with the policies of a group", "sqs:SendMessage", append(entry(1, "aws:SourceVpc", "string", "vpc-1"), group, "CallerArn="+w.arn("user/team/alice")), "allowed", "group_dev_own IAM Policy", "", "true", ""},
		{"a role and its boundary", "s3:GetObject", []string{role}, "allowed", "role_app_all IAM Policy", "", "true", "true"},
		{"a role beyond its boundary", "sqs:SendMessage", []string{role}, "implicitDeny", "", "", "true", "false"},
		{"a boundary in its place", "sqs:SendMessage", append(members("PermissionsBoundaryPolicyInputList", document(`"Effect":"Allow","Action":"sqs:*","Resource":"*"`)), role), "allowed", "role_app_all IAM Policy", "", "true", "true"},
		{"further policies", "iam:GetUser", append(members("PolicyInputList", document(`"Effect":"Allow","Action":"iam:*","Resource":"*"`)), user), "allowed", "PolicyInputList.1 IAM Policy", "aws:SourceVpc", "true", ""},
	} {
		a := w.ok("SimulatePrincipalPolicy", append(members("ActionNames", test.action), test.args...)...)
		result := a.at("EvaluationResults").children[0]
		var statements []string
		for _, s := range result.child("MatchedStatements").children {
			statements = append(statements, s.child("SourcePolicyId").text+" "+s.child("SourcePolicyType").text)
		}
		var missing []string
		for _, m := range result.child("MissingContextValues").children {
			missing = append(missing, m.text)
		}
		boundary := ""
		if d := result.child("PermissionsBoundaryDecisionDetail"); d != nil {
			boundary = d.children[0].text
		}
		got := []string{
			result.child("EvalDecision").text, strings.Join(statements, ", "), strings.Join(missing, ","),
			result.child("OrganizationsDecisionDetail").child("AllowedByOrganizations").text, boundary,
		}
		if diff := cmp.Diff([]string{test.decision, test.statements, test.missing, test.organization, test.boundary}, got); diff != "" {
			t.Errorf("%s: %s", test.name, diff)
		}
	}
	keys := w.ok("GetContextKeysForPrincipalPolicy", append(members("PolicyInputList", document(`"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::${aws:userid}/${AWS:Username}"`)), user)...).members("ContextKeyNames", "")
	if diff := cmp.Diff([]string{"aws:PrincipalTag/dept", "aws:username", "aws:SourceVpc", "aws:userid"}, keys); diff != "" {
		t.Error(diff)
	}
	noUser, noGroup, noRole := w.arn("user/alice"), w.arn("group/none"), w.arn("role/none")
	for _, op := range []string{"SimulatePrincipalPolicy", "GetContextKeysForPrincipalPolicy"} {
		fails := func(status int, code, message, arn string) {
			args := []string{"PolicySourceArn=" + arn}
			if op == "SimulatePrincipalPolicy" {
				args = append(args, members("ActionNames", "s3:GetObject")...)
			}
			w.fails(status, code, message, op, args...)
		}
		fails(404, "NoSuchEntity", "The user with name alice cannot be found.", noUser)
		fails(404, "NoSuchEntity", "The group with name none cannot be found.", noGroup)
		fails(404, "NoSuchEntity", "The role with name none cannot be found.", noRole)
		for _, arn := range []string{"arn:aws:sts::" + w.account + ":assumed-role/app/s", w.arn("policy/x/managed"), w.arn("user/"), "arn:aws:s3:::bucket/aaaaaaaa"} {
			fails(400, "InvalidInput", "Invalid Entity Arn: "+arn+" does not clearly define entity type and name.", arn)
		}
		fails(400, "InvalidInput", "Invalid Policy Source Arn: caller's account "+w.account+" does not have access to policies in account 000000000001", "arn:aws:iam::000000000001:user/alice")
	}
}

// TestSimulateRefuses: what cannot be simulated.
func TestSimulateRefuses(t *testing.T) {
	w := newWorld(t, Quotas{})
	w.simulate()
	resource := "ResourcePolicy=" + document(`"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"*"`)
	for _, test := range []struct {
		action, message string
		args            []string
	}{
		{"s3:*", "Invalid Action Name: s3:* is not", nil},
		{"s3:Get?", "Invalid Action Name: s3:Get?", nil},
		{"GetObject", "Invalid Action Name: GetObject", nil},
		{"s3:Get:x", "Invalid Action Name: s3:Get:x", nil},
		{"s3:GetObject", "Invalid Resource Arn: bucket is neither", members("ResourceArns", "*", "bucket")},
		{"s3:GetObject", "Invalid Input Policy: PolicyInputList.2: line 1 column 1: Syntax errors in policy.", members("PolicyInputList", document(allowGet), "[]")},
		{"s3:GetObject", "Invalid Input Policy: PermissionsBoundaryPolicyInputList.1: line 1 column 1: Syntax", members("PermissionsBoundaryPolicyInputList", "[]")},
		{"s3:GetObject", "Invalid Input Policy: only one permissions boundary", members("PermissionsBoundaryPolicyInputList", document(allowGet), document(allowGet))},
		{"s3:GetObject", "Invalid caller - Caller must be an IAM user in this context.", []string{resource}},
		{"s3:GetObject", "Invalid caller - Caller must be an IAM user in this context. Found arn:aws:sts::1:federated-user/x", []string{"CallerArn=arn:aws:sts::1:federated-user/x"}},
		{"s3:GetObject", "Invalid Input Policy: ResourcePolicy, as the resource policy that s3:GetObject depends on: ", []string{"CallerArn=" + w.arn("user/x"), "ResourcePolicy=" + document(allowGet)}},
		{"vpc-lattice-svcs:Invoke", "Invalid Input Policy: ResourcePolicy, as the auth policy that", []string{"CallerArn=" + w.arn("user/x"), resource}},
		{"sts:AssumeRole", "Invalid Input Policy: ResourcePolicy, as the trust policy that", []string{"CallerArn=" + w.arn("user/x"), resource}},
		{"s3:GetObject", "'1234' is not a valid as a Resource Owner.", []string{"ResourceOwner=1234"}},
		{"s3:GetObject", "Invalid Context Entry: AWS:X is there twice.", params(entry(1, "aws:x", "string", "a"), entry(2, "AWS:X", "string", "b"))},
		{"s3:GetObject", `Invalid Context Entry: aws:x: "many" is no number`, entry(1, "aws:x", "numeric", "many")},
		{"s3:GetObject", `Invalid Context Entry: aws:x: "yes" is neither true nor false`, entry(1, "aws:x", "booleanList", "true", "yes")},
		{"s3:GetObject", `Invalid Context Entry: aws:x: "here" is no IP address`, entry(1, "aws:x", "ip", "here")},
		{"s3:GetObject", `Invalid Context Entry: aws:x: "soon" is no date`, entry(1, "aws:x", "date", "soon")},
		{"s3:GetObject", `Invalid Context Entry: aws:x: "%" is not base64`, entry(1, "aws:x", "binary", "%")},
		{"s3:GetObject", "Invalid Context Entry: it has no ContextKeyName.", []string{"ContextEntries.member.1.ContextKeyType=string"}},
		{"ec2:RunInstances", "Invalid Resource Handling Option: there is no option EC2-Classic.", []string{"ResourceHandlingOption=EC2-Classic"}},
		{"ec2:RunInstances", "Invalid Resource Handling Option: EC2-VPC-EBS needs a resource of type image.", append(members("ResourceArns", "arn:aws:ec2:us-east-1:"+w.account+":instance/*"), "ResourceHandlingOption=EC2-VPC-EBS")},
	} {
		args := params(members("ActionNames", test.action), test.args)
		if !strings.Contains(strings.Join(args, " "), "PolicyInputList.member.2=[") {
			args = append(args, members("PolicyInputList", document(allowGet))...)
		}
		a := w.call("SimulateCustomPolicy", args...)
		if a.status != 400 || a.text("Error.Code") != "InvalidInput" || !strings.HasPrefix(a.text("Error.Message"), test.message) {
			t.Errorf("%s %v: %d %s: %s; want %s", test.action, test.args, a.status, a.text("Error.Code"), a.text("Error.Message"), test.message)
		}
	}
}

// TestSimulateContext: entries have types, and a list is one whatever is in it.
func TestSimulateContext(t *testing.T) {
	w := newWorld(t, Quotas{})
	w.simulate()
	for _, test := range []struct {
		name, condition string
		entries         []string
		want            string
	}{
		{"a string", `"StringEquals":{"a:key":"x"}`, entry(1, "a:key", "string", "x"), "allowed"},
		{"a list of one is a list", `"StringEquals":{"a:key":"x"}`, entry(1, "a:key", "stringList", "x"), "implicitDeny"},
		{"a list", `"ForAnyValue:StringEquals":{"a:key":"x"}`, entry(1, "a:key", "stringList", "y", "x"), "allowed"},
		{"a key that is a list", `"StringEquals":{"aws:TagKeys":"x"}`, entry(1, "aws:TagKeys", "string", "x"), "implicitDeny"},
		{"a number", `"NumericLessThan":{"a:key":"10"}`, entry(1, "a:key", "numeric", "9.5"), "allowed"},
		{"numbers", `"ForAllValues:NumericLessThan":{"a:key":"10"}`, entry(1, "a:key", "numericList", "9", "11"), "implicitDeny"},
		{"a truth value", `"Bool":{"a:key":"true"}`, entry(1, "a:key", "boolean", "true"), "allowed"},
		{"an address", `"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}`, entry(1, "aws:SourceIp", "ip", "10.1.2.3"), "allowed"},
		{"a date", `"DateLessThan":{"aws:CurrentTime":"2026-01-01T00:00:00Z"}`, entry(1, "aws:CurrentTime", "date", "2025-01-01T00:00:00Z"), "allowed"},
		{"bytes", `"BinaryEquals":{"a:key":"YQ=="}`, entry(1, "a:key", "binary", "YQ=="), "allowed"},
		{"without a value it is absent", `"Null":{"a:key":"true"}`, entry(1, "a:key", "string"), "allowed"},
		{"a header twice", `"StringEquals":{"vpc-lattice-svcs:RequestHeader/x":"a"}`, entry(1, "vpc-lattice-svcs:RequestHeader/x", "string", "a", "b"), "implicitDeny"},
		{"of the caller nothing is known", `"Null":{"aws:PrincipalArn":"true","aws:PrincipalType":"true"}`, nil, "allowed"},
		{"but of one that is named", `"StringEquals":{"aws:PrincipalArn":"` + w.arn("user/a/b") + `","aws:username":"b","aws:PrincipalOrgID":"o-1","aws:PrincipalType":"User"},"Null":{"aws:userid":"true"}`, []string{"CallerArn=" + w.arn("user/a/b")}, "allowed"},
		{"a session is of its role", `"ArnEquals":{"aws:PrincipalArn":"` + w.arn("role/r") + `"},"StringEquals":{"aws:PrincipalType":"AssumedRole"},"Null":{"aws:username":"true","aws:TokenIssueTime":"true"}`, []string{"CallerArn=arn:aws:sts::" + w.account + ":assumed-role/r/s"}, "allowed"},
	} {
		a := w.ok("SimulateCustomPolicy", params(members("ActionNames", "s3:GetObject"), test.entries,
			members("PolicyInputList", document(allowGet+`,"Condition":{`+test.condition+`}`)))...)
		if got := a.at("EvaluationResults").children[0].child("EvalDecision").text; got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}

// TestSimulatePages: each action on each resource is a result, and they come in pages.
func TestSimulatePages(t *testing.T) {
	w := newWorld(t, Quotas{})
	w.simulate()
	args := params(members("PolicyInputList", document(allowGet)), members("ActionNames", "s3:GetObject", "s3:PutObject"), members("ResourceArns", "arn:aws:s3:::a/k", "arn:aws:s3:::b/k"))
	want := []string{"s3:GetObject", "s3:GetObject", "s3:PutObject", "s3:PutObject"}
	if diff := cmp.Diff(want, w.pages("SimulateCustomPolicy", "EvaluationResults", "EvalActionName", args...)); diff != "" {
		t.Error(diff)
	}
	want = []string{"arn:aws:s3:::a/k", "arn:aws:s3:::b/k", "arn:aws:s3:::a/k", "arn:aws:s3:::b/k"}
	if diff := cmp.Diff(want, w.pages("SimulateCustomPolicy", "EvaluationResults", "EvalResourceName", args...)); diff != "" {
		t.Error(diff)
	}
	w.fails(400, "ValidationError", "Invalid Marker.", "SimulateCustomPolicy", append(args, "Marker=x")...)

	// What is asked is not unfolded, and a page of results that say much is shorter.
	var actions, arns []string
	for i := range 2000 {
		actions, arns = append(actions, "a:b"+strconv.Itoa(i)), append(arns, "arn:aws:s3:::"+strconv.Itoa(i))
	}
	statements := document(slices.Repeat([]string{allowGet}, 999)...)
	long := document(`"Effect":"Allow","Resource":"*","Action":["` + strings.Join(actions, `","`) + `"]`)
	for _, text := range []string{statements, long} {
		a := w.ok("SimulateCustomPolicy", params(members("PolicyInputList", text), members("ActionNames", actions...), members("ResourceArns", arns...), []string{"MaxItems=1000"})...)
		want := mostInPage / (1 + len(text)/shortest)
		if got := len(a.at("EvaluationResults").children); got != want || a.text("IsTruncated") != "true" {
			t.Errorf("%d results, want %d", got, want)
		}
	}
}

// TestContextKeys: keys of conditions and variables, each once, as they are spelled
// first.
func TestContextKeys(t *testing.T) {
	w := newWorld(t, Quotas{})
	w.simulate()
	for _, test := range []struct {
		document string
		want     []string
	}{
		{document(allowGet), []string{}},
		{
			document(`"Effect":"Allow","Action":"*","Condition":{"DateGreaterThan":{"aws:CurrentTime":"2026-01-01"}},"Resource":["arn:aws:iam::1:user/${aws:username}","arn:aws:s3:::${*}/${aws:PrincipalTag/team, 'none'}${"]`,
				`"Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringLike":{"AWS:UserName":["${aws:userid}","${}","a${aws:SourceIp}b"]},"Null":{"s3:prefix":true}}`),
			[]string{"aws:CurrentTime", "aws:username", "aws:PrincipalTag/team", "aws:userid", "aws:SourceIp", "s3:prefix"},
		},
	} {
		if diff := cmp.Diff(test.want, w.ok("GetContextKeysForCustomPolicy", members("PolicyInputList", test.document)...).members("ContextKeyNames", "")); diff != "" {
			t.Error(diff)
		}
	}
	w.fails(400, "InvalidInput", "Invalid Input Policy: PolicyInputList.1: line 1 column 1: Syntax errors in policy. (a policy is a JSON object, this is not)", "GetContextKeysForCustomPolicy", members("PolicyInputList", "[]")...)
}
