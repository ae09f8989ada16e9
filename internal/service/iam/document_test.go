package iam

import "testing"

// What is no policy is refused by every operation that saves one, in AWS's words,
// and nothing is stored.
func TestMalformedDocuments(t *testing.T) {
	w := newWorld(t, Quotas{})
	w.ok("CreateUser", "UserName=u")
	w.ok("CreateGroup", "GroupName=g")
	w.ok("CreateRole", "RoleName=r", "AssumeRolePolicyDocument="+trustDoc)
	w.ok("CreatePolicy", "PolicyName=p", "PolicyDocument="+identityDoc)
	identitySaves := [][]string{
		{"PutUserPolicy", "UserName=u", "PolicyName=x"},
		{"PutGroupPolicy", "GroupName=g", "PolicyName=x"},
		{"PutRolePolicy", "RoleName=r", "PolicyName=x"},
		{"CreatePolicy", "PolicyName=x"},
		{"CreatePolicyVersion", "PolicyArn=" + w.arn("policy/p")},
	}
	for _, document := range []string{
		`{`,
		`[]`,
		`{"Version":"2012-10-17"}`,
		`{"Statement":[{"Effect":"Allow","Action":"a:b","Resource":"*"}]}`,
		`{"Version":"2008-10-17","Statement":[{"Effect":"Allow","Action":"a:b","Resource":"*"}]}`,
		`{"Version":"2012-10-17","Statement":[{"Effect":"allow","Action":"a:b","Resource":"*"}]}`,
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"a:b"}]}`,
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"nocolon","Resource":"*"}]}`,
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Effect":"Deny","Action":"a:b","Resource":"*"}]}`,
		trustDoc,
	} {
		for _, save := range identitySaves {
			w.malformed(save[0], append(save[1:], "PolicyDocument="+document)...)
		}
	}
	for _, document := range []string{`{`, identityDoc, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject"}]}`} {
		w.malformed("CreateRole", "RoleName=x", "AssumeRolePolicyDocument="+document)
		w.malformed("UpdateAssumeRolePolicy", "RoleName=r", "PolicyDocument="+document)
	}
}

func (w *world) malformed(op string, params ...string) {
	w.t.Helper()
	before := w.revision()
	a := w.call(op, params...)
	if a.status != 400 || a.text("Error.Code") != "MalformedPolicyDocument" || a.text("Error.Message") == "" {
		w.t.Errorf("%s %v: %d %s: %s", op, params, a.status, a.text("Error.Code"), a.text("Error.Message"))
	}
	if w.revision() != before {
		w.t.Errorf("%s %v was refused and stored something", op, params)
	}
}

// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
func TestTrustPrincipalsExist(t *testing.T) {
	w := newWorld(t, Quotas{})
	trust := func(principal string) string {
		return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + principal + `"},"Action":"sts:AssumeRole"}]}`
	}
	user := w.arn("user/x/Alice")
	refusal := `Invalid principal in policy: "AWS":"` + user + `"`
	w.fails(400, "MalformedPolicyDocument", refusal, "CreateRole", "RoleName=r", "AssumeRolePolicyDocument="+trust(user))
	w.ok("CreateUser", "UserName=Alice", "Path=/x/")
	w.ok("CreateRole", "RoleName=r", "AssumeRolePolicyDocument="+trust(user))
	for _, principal := range []string{w.account, w.arn("root"), w.arn("role/r"), "arn:aws:iam::000000000001:role/elsewhere", "*"} {
		w.ok("UpdateAssumeRolePolicy", "RoleName=r", "PolicyDocument="+trust(principal))
	}
	w.fails(400, "MalformedPolicyDocument", `Invalid principal in policy: "AWS":"`+w.arn("user/Alice")+`"`,
		"UpdateAssumeRolePolicy", "RoleName=r", "PolicyDocument="+trust(w.arn("user/Alice")))
	w.fails(400, "MalformedPolicyDocument", `Invalid principal in policy: "AWS":"`+w.arn("role/nope")+`"`,
		"UpdateAssumeRolePolicy", "RoleName=r", "PolicyDocument="+trust(w.arn("role/nope")))
}
