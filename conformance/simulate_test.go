//go:build conformance

package conformance

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

// TestSimulator simulates policies with the AWS CLI and boto3. The first call is the
// AWS CLI's own example, and so is its answer.
func TestSimulator(t *testing.T) {
	in := start(t)
	admin := in.administrator(account)
	const policy = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"dynamodb:*","Resource":"*","Condition":{"DateGreaterThan":{"aws:CurrentTime":"2018-08-16T12:00:00Z"}}}}`
	for _, c := range clis() {
		got := in.awsWith(c, admin, "iam", "simulate-custom-policy", "--policy-input-list", policy, "--action-names", "dynamodb:CreateBackup",
			"--context-entries", "ContextKeyName='aws:CurrentTime',ContextKeyValues='2019-04-25T11:00:00Z',ContextKeyType=date")
		want := map[string]any{"EvaluationResults": []any{map[string]any{
			"EvalActionName": "dynamodb:CreateBackup", "EvalResourceName": "*", "EvalDecision": "allowed",
			"MatchedStatements": []any{map[string]any{
				"SourcePolicyId": "PolicyInputList.1", "SourcePolicyType": "IAM Policy",
				"StartPosition": map[string]any{"Line": 1.0, "Column": 38.0}, "EndPosition": map[string]any{"Line": 1.0, "Column": 167.0},
			}},
			"MissingContextValues": []any{},
		}}}
		delete(got, "IsTruncated") // CLI v1 shows it, v2 does not.
		if !reflect.DeepEqual(got, want) {
			t.Errorf("AWS CLI %s: %v, want %v", c.name, got, want)
		}
		mustContain(t, "the error", in.awsFailsWith(c, admin, "iam", "simulate-custom-policy", "--policy-input-list", policy, "--action-names", "dynamodb:*"),
			"InvalidInput", "Invalid Action Name")
	}

	const script = `
import boto3, json
iam = boto3.client("iam")
def document(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": statements})
arn = iam.create_policy(PolicyName="read", PolicyDocument=document({"Effect": "Allow", "Action": "s3:Get*", "Resource": "arn:aws:s3:::b/${aws:username}/*"}))["Policy"]["Arn"]
user = iam.create_user(UserName="simon")["User"]["Arn"]
role = iam.create_role(RoleName="caller", AssumeRolePolicyDocument=document({"Effect": "Allow", "Principal": {"AWS": user}, "Action": "sts:AssumeRole"}))["Role"]["Arn"]
iam.attach_user_policy(UserName="simon", PolicyArn=arn)
iam.put_user_policy(UserName="simon", PolicyName="no", PolicyDocument=document({"Effect": "Deny", "Action": "s3:GetObject", "Resource": "*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}))
iam.put_role_policy(RoleName="caller", PolicyName="call", PolicyDocument=document({"Effect": "Allow", "Action": "vpc-lattice-svcs:Invoke", "Resource": "*"}))

def one(**kw):
    results = iam.simulate_principal_policy(**kw)["EvaluationResults"]
    assert len(results) == 1, results
    return results[0]
key = "arn:aws:s3:::b/simon/k"
r = one(PolicySourceArn=user, ActionNames=["s3:GetObject"], ResourceArns=[key])
assert r["EvalDecision"] == "allowed" and r["EvalDecisionDetails"] == {} and r["MatchedStatements"][0]["SourcePolicyId"] == "read", r
assert r["ResourceSpecificResults"][0]["MissingContextValues"] == ["aws:SecureTransport"] and r["MissingContextValues"] == [], r
r = one(PolicySourceArn=user, ActionNames=["s3:GetObject"], ResourceArns=[key], ContextEntries=[{"ContextKeyName": "aws:SecureTransport", "ContextKeyType": "boolean", "ContextKeyValues": ["false"]}])
assert r["EvalDecision"] == "explicitDeny" and [s["SourcePolicyId"] for s in r["MatchedStatements"]] == ["user_simon_no"], r
assert one(PolicySourceArn=user, ActionNames=["s3:GetObject"], ResourceArns=["arn:aws:s3:::b/other/k"])["EvalDecision"] == "implicitDeny"
assert iam.get_context_keys_for_principal_policy(PolicySourceArn=user)["ContextKeyNames"] == ["aws:SecureTransport", "aws:username"]

# A service of VPC Lattice and its caller must both allow, and no role trusts for nothing.
service = "arn:aws:vpc-lattice:us-west-2:123456789012:service/svc-0123456789abcdef0/rates"
def auth(method):
    return document({"Effect": "Allow", "Principal": {"AWS": role}, "Action": "vpc-lattice-svcs:Invoke", "Resource": "*", "Condition": {"StringEquals": {"vpc-lattice-svcs:RequestMethod": method}}})
get = [{"ContextKeyName": "vpc-lattice-svcs:RequestMethod", "ContextKeyType": "string", "ContextKeyValues": ["GET"]}]
invoke = dict(ActionNames=["vpc-lattice-svcs:Invoke"], ResourceArns=[service], ContextEntries=get)
r = one(PolicySourceArn=role, ResourcePolicy=auth("GET"), **invoke)
assert r["EvalDecision"] == "allowed" and r["EvalDecisionDetails"] == {"IAM Policy": "allowed", "Resource Policy": "allowed"}, r
r = one(PolicySourceArn=role, ResourcePolicy=auth("PUT"), **invoke)
assert r["EvalDecision"] == "implicitDeny" and r["EvalDecisionDetails"] == {"IAM Policy": "allowed", "Resource Policy": "implicitDeny"}, r
assert one(PolicySourceArn=user, ResourcePolicy=auth("GET"), CallerArn=role, **invoke)["EvalDecision"] == "implicitDeny"
trust = document({"Effect": "Deny", "Principal": {"AWS": user}, "Action": "sts:AssumeRole"})
assert one(PolicySourceArn=user, ActionNames=["sts:AssumeRole"], ResourceArns=[role], ResourcePolicy=trust)["EvalDecision"] == "explicitDeny"

pages = iam.get_paginator("simulate_custom_policy").paginate(
    PolicyInputList=[document({"Effect": "Allow", "Action": "s3:*", "Resource": "*"})], ActionNames=["s3:GetObject", "iam:GetUser"],
    ResourceArns=["arn:aws:s3:::a", "arn:aws:s3:::b"], PaginationConfig={"PageSize": 3})
assert [[r["EvalDecision"] for r in p["EvaluationResults"]] for p in pages] == [["allowed", "allowed", "implicitDeny"], ["implicitDeny"]]

def fails(kind, call, **kw):
    try:
        call(**kw)
    except kind as e:
        return e.response["Error"]["Message"]
    raise AssertionError("succeeded")
assert fails(iam.exceptions.NoSuchEntityException, iam.simulate_principal_policy, PolicySourceArn=role + "x", ActionNames=["s3:GetObject"]) == "The role with name callerx cannot be found."
fails(iam.exceptions.InvalidInputException, iam.get_context_keys_for_custom_policy, PolicyInputList=["{}"])
`
	file := filepath.Join(t.TempDir(), "simulate.py")
	if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, errs, code := in.command(admin, filepath.Join(tools, "boto3", "bin", "python"), file); code != 0 {
		t.Errorf("boto3: exit %d\n%s", code, errs)
	}
}
