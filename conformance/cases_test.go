//go:build conformance

package conformance

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/latchwork/latchwork/internal/authz"
	callers "github.com/latchwork/latchwork/internal/identity"
	"github.com/latchwork/latchwork/internal/policy"
	"github.com/latchwork/latchwork/internal/policytest"
	"github.com/latchwork/latchwork/internal/snapshot"
)

// The cases of cases/ are decided by the library in its own tests. Here the simulator
// and the gateway of a running server are asked the same questions, and must answer as
// the cases want. What a door cannot express is skipped for a reason, and how much is
// not skipped must not shrink.

// doors counts what went through a door and what did not.
type doors struct {
	asked   int
	skipped map[string]int
}

// close tells the counts, and fails if too few cases went through.
func (d *doors) close(t *testing.T, least int) {
	t.Helper()
	for reason, n := range d.skipped {
		t.Logf("%3d cases skipped: %s", n, reason)
	}
	t.Logf("%3d cases asked", d.asked)
	if d.asked < least {
		t.Errorf("%d cases asked, fewer than %d", d.asked, least)
	}
}

func loadCases(t *testing.T, paths ...string) []*policytest.Test {
	t.Helper()
	tests, err := policytest.Load(paths)
	if err != nil {
		t.Fatal(err)
	}
	return tests
}

func (who identity) provider() aws.CredentialsProvider {
	return credentials.NewStaticCredentialsProvider(who.id, who.secret, who.token)
}

func (in *installation) iam(who identity) *iam.Client {
	return iam.New(iam.Options{Region: region, BaseEndpoint: &in.api, Credentials: who.provider()})
}

// TestCasesSimulator: iam:SimulateCustomPolicy answers as the cases want.
func TestCasesSimulator(t *testing.T) {
	in := start(t)
	client := in.iam(in.administrator(account))
	d := &doors{skipped: map[string]int{}}
	for _, test := range loadCases(t, "../cases") {
		input, reason := simulated(test)
		if reason != "" {
			d.skipped[reason]++
			continue
		}
		d.asked++
		out, err := client.SimulateCustomPolicy(context.Background(), input)
		if err != nil {
			t.Errorf("%s: %v", at(test), err)
			continue
		}
		got := out.EvaluationResults[0]
		decision := authz.Decide(test.Snap, test.Query)
		want := map[authz.Cause]iamtypes.PolicyEvaluationDecisionType{
			authz.Allowed: "allowed", authz.ExplicitDeny: "explicitDeny", authz.ImplicitDeny: "implicitDeny",
		}[decision.Cause]
		if got.EvalDecision != want || decision.Allowed != (test.Case.Want.Verdict == "allow") {
			t.Errorf("%s: %s, want %s", at(test), got.EvalDecision, want)
		}
		if of := sourceOf(decision.Stage); decision.Cause == authz.ExplicitDeny && !slices.ContainsFunc(got.MatchedStatements, func(s iamtypes.Statement) bool { return string(s.SourcePolicyType) == of }) {
			t.Errorf("%s: no statement of type %s among %+v", at(test), of, got.MatchedStatements)
		}
	}
	d.close(t, 550)
}

// sourceOf is the simulator's word for the policies of a stage.
func sourceOf(s authz.Stage) string {
	switch s {
	case authz.StageBoundary:
		return "Permissions Boundary Policy"
	case authz.StageResource, authz.StageService:
		return "Resource Policy"
	}
	return "IAM Policy"
}

// simulated is the call that asks a case of the simulator, or why it cannot be asked.
func simulated(test *policytest.Test) (*iam.SimulateCustomPolicyInput, string) {
	q := test.Query
	who := q.Principal
	switch {
	case who.Kind != callers.User && who.Kind != callers.AssumedRole && who.Kind != callers.Root:
		return nil, "the caller is neither a user nor a role"
	case who.Session != nil && len(who.Session.Policies)+len(who.Session.PolicyARNs) > 0:
		return nil, "session policies"
	case len(test.Snap.Account(who.Account).ControlPolicies) > 0:
		return nil, "service control policies"
	case who.Kind == callers.AssumedRole && who.IssuerARN != "arn:aws:iam::"+who.Account+":role/"+who.Name:
		return nil, "a session of a role with a path"
	case q.Service != nil && q.Network.AuthType != "NONE":
		return nil, "a service network"
	case q.Service != nil && (q.Service.AuthType == "NONE" || q.Service.Policy == nil):
		return nil, "a service without an auth policy"
	case strings.HasPrefix(q.Action, "sts:Get"):
		return nil, "an action that needs no permission"
	}
	in := &iam.SimulateCustomPolicyInput{
		ActionNames: []string{q.Action}, ResourceArns: []string{q.Resource}, CallerArn: &who.ARN, PolicyInputList: []string{},
	}
	if q.Account != "" {
		in.ResourceOwner = &q.Account
	}
	var documents []*snapshot.Policy
	if entity := test.Snap.Entity(who); entity != nil {
		documents = test.Snap.IdentityPolicies(nil, entity)
		for _, p := range documents {
			in.PolicyInputList = append(in.PolicyInputList, p.Text)
		}
		if b := test.Snap.Boundary(entity); b != nil {
			in.PermissionsBoundaryPolicyInputList = []string{b.Text}
			documents = append(documents, b)
		}
	}
	resource := q.Policy
	if q.Service != nil {
		resource = q.Service.Policy
	}
	if resource != nil {
		if strings.Contains(resource.Text, who.IssuerID) && who.Kind == callers.User {
			return nil, "a user by the unique id"
		}
		in.ResourcePolicy = &resource.Text
		documents = append(documents, resource)
	}
	if len(in.PolicyInputList) == 0 {
		// The simulator wants one.
		in.PolicyInputList = []string{`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"none:None","Resource":"*"}]}`}
	}
	reason := ""
	in.ContextEntries, reason = contextEntries(documents, q.Keys)
	return in, reason
}

// contextEntries states every condition key that policies depend on as the case has it.
func contextEntries(documents []*snapshot.Policy, keys policy.Keys) ([]iamtypes.ContextEntry, string) {
	var out []iamtypes.ContextEntry
	seen := map[string]bool{}
	for _, p := range documents {
		for _, key := range p.Compiled.Document().ContextKeys() {
			v, ok := keys.Lookup(&key)
			if seen[key.Name] || !ok {
				continue
			}
			seen[key.Name] = true
			entry := iamtypes.ContextEntry{ContextKeyName: &key.Text, ContextKeyType: iamtypes.ContextKeyTypeEnumString, ContextKeyValues: []string{v.One}}
			if v.List {
				entry.ContextKeyType, entry.ContextKeyValues = iamtypes.ContextKeyTypeEnumStringList, v.Many
			} else if v.Repeated {
				entry.ContextKeyValues = v.Many
			}
			if len(entry.ContextKeyValues) == 0 {
				return nil, "a list without values"
			}
			out = append(out, entry)
		}
	}
	return out, ""
}

// at is a case in the words of a failure.
func at(test *policytest.Test) string {
	return fmt.Sprintf("%s:%d: %s", test.File, test.Line, test.Case.Name)
}
