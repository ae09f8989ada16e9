//go:build conformance

package conformance

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	callers "github.com/latchwork/latchwork/internal/identity"
	"github.com/latchwork/latchwork/internal/policytest"
)

// TestCasesAssumeRole: roles are taken, and refused, as the cases want.
func TestCasesAssumeRole(t *testing.T) {
	tests := loadCases(t, "../cases/combination/assume-role.yaml")
	in := start(t, "--config", writeAccounts(t, tests))
	c := newCaseCallers(in)
	owner := in.iam(in.administrator(account))
	d := &doors{skipped: map[string]int{}}
	for _, test := range tests {
		if reason := untakable(test); reason != "" {
			d.skipped[reason]++
			continue
		}
		d.asked++
		q := test.Query
		who := c.caller(test)
		name := aws.String(q.Resource[strings.LastIndexByte(q.Resource, '/')+1:])
		_, err := owner.CreateRole(c.ctx, &iam.CreateRoleInput{RoleName: name, AssumeRolePolicyDocument: &q.Policy.Text})
		c.must(err)
		take := &sts.AssumeRoleInput{RoleArn: &q.Resource, RoleSessionName: aws.String("test")}
		if id, ok := test.Case.Context["sts:ExternalId"]; ok {
			take.ExternalId = &id.Values[0]
		}
		_, err = c.sts(who).AssumeRole(c.ctx, take)
		// Why, it does not tell.
		text := "AccessDenied: User: " + q.Principal.Display() + " is not authorized to perform: sts:AssumeRole on resource: " + q.Resource
		if (err == nil) != (test.Case.Want.Verdict == "allow") || err != nil && !strings.HasSuffix(err.Error(), text) {
			t.Errorf("%s: %v\nwant %s", at(test), err, test.Case.Want)
		}
		_, err = owner.DeleteRole(c.ctx, &iam.DeleteRoleInput{RoleName: name})
		c.must(err)
	}
	d.close(t, 15)
}

// untakable says why the role of a case cannot be taken by its caller here.
func untakable(test *policytest.Test) string {
	switch who := test.Query.Principal; {
	case test.Query.Action != "sts:AssumeRole":
		return "another action"
	case who.Kind == callers.Root:
		return "the root user signs nothing here"
	case who.Kind == callers.Service || who.Kind == callers.WebIdentity:
		return "the caller does not sign"
	}
	return ""
}
