package iam

import (
	"context"
	"strings"

	"github.com/latchwork/latchwork/internal/authz"
	"github.com/latchwork/latchwork/internal/fault"
	"github.com/latchwork/latchwork/internal/policy"
	"github.com/latchwork/latchwork/internal/snapshot"
	wire "github.com/latchwork/latchwork/internal/wire/iam"
)

// SimulateCustomPolicy tells what policies would decide that are given with the call.
// Nothing that is stored counts: neither policies and tags nor service control
// policies.
func (s *Service) SimulateCustomPolicy(ctx context.Context, in *wire.SimulateCustomPolicyRequest) (*wire.SimulateCustomPolicyResponse, error) {
	stored, err := snapshot.Pinned(ctx)
	if err != nil {
		return nil, err
	}
	settings := *stored.Settings()
	settings.Accounts = map[string]snapshot.Account{}
	for id, account := range stored.Settings().Accounts {
		account.ControlPolicies = nil
		settings.Accounts[id] = account
	}
	run := &simulation{service: s, account: accountOf(ctx), world: snapshot.New(&settings)}
	return run.answer(ctx, &wire.SimulatePrincipalPolicyRequest{
		ActionNames: in.ActionNames, CallerArn: in.CallerArn, ContextEntries: in.ContextEntries, PolicyInputList: in.PolicyInputList,
		PermissionsBoundaryPolicyInputList: in.PermissionsBoundaryPolicyInputList, ResourceArns: in.ResourceArns,
		ResourceHandlingOption: in.ResourceHandlingOption, ResourceOwner: in.ResourceOwner, ResourcePolicy: in.ResourcePolicy,
	})
}

// SimulatePrincipalPolicy tells what would be decided on calls of a user or role, or
// with the policies of a group.
func (s *Service) SimulatePrincipalPolicy(ctx context.Context, in *wire.SimulatePrincipalPolicyRequest) (*wire.SimulatePrincipalPolicyResponse, error) {
	stored, err := snapshot.Pinned(ctx)
	if err != nil {
		return nil, err
	}
	run := &simulation{service: s, account: accountOf(ctx), world: stored, stored: true}
	if run.source, run.policies, err = policySource(stored, run.account, *in.PolicySourceArn); err != nil {
		return nil, err
	}
	return run.answer(ctx, in)
}

// policySource finds the user, role or group with an ARN, and its policies. A group is
// no entity: it makes no calls.
func policySource(world *snapshot.Snapshot, account, arn string) (*snapshot.Entity, []*snapshot.Policy, error) {
	kind, owner, name, err := sourceName(arn)
	if err != nil {
		return nil, nil, err
	}
	if owner != account {
		return nil, nil, invalidInput("Invalid Policy Source Arn: caller's account %s does not have access to policies in account %s", account, owner)
	}
	if kind == groups.resource {
		found, ok := world.GroupPolicies(account, name)
		if !ok {
			return nil, nil, groups.noSuch(name)
		}
		return nil, found, nil
	}
	entity, ok := world.EntityByARN(arn)
	switch {
	case ok:
		return entity, world.IdentityPolicies(nil, entity), nil
	case kind == users.resource:
		return nil, nil, users.noSuch(name)
	}
	return nil, nil, roles.noSuch(name)
}

// sourceName reads the ARN of a user, role or group.
func sourceName(arn string) (kind, account, name string, err error) {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) == 6 && parts[0] == "arn" && parts[2] == "iam" {
		var rest string
		kind, rest, _ = strings.Cut(parts[5], "/")
		name = rest[strings.LastIndexByte(rest, '/')+1:]
		if name != "" && (kind == users.resource || kind == roles.resource || kind == groups.resource) {
			return kind, parts[4], name, nil
		}
	}
	return "", "", "", invalidInput("Invalid Entity Arn: %s does not clearly define entity type and name.", arn)
}

// invalidInput is the error of the policy simulator. Texts are AWS's where they are in
// public records.
func invalidInput(format string, args ...any) *fault.Error {
	return fault.New("InvalidInput", format, args...)
}

// Types of policies in answers. That of the model, PolicySourceType, is not what AWS
// sends; of a boundary none is known.
// Source: answers of the simulator in public records.
var sourceTypes = map[string]string{
	authz.StageIdentity.String(): "IAM Policy", authz.StageBoundary.String(): "Permissions Boundary Policy",
	authz.StageResource.String(): "Resource Policy", authz.StageService.String(): "Resource Policy",
}

func (r *simulation) simulate(action, resource string) wire.EvaluationResult {
	q := r.question(action, resource)
	explained := authz.Explain(r.world, q)
	out := wire.EvaluationResult{
		EvalActionName: &action, EvalResourceName: &resource, EvalDecision: new(decisionOf(explained.Cause)),
		MatchedStatements: matched(&explained), MissingContextValues: []string{},
	}
	details := map[string]string{}
	organizations := true
	for _, layer := range explained.Layers {
		decision := decisionOf(layer.Verdict)
		switch layer.Stage {
		case authz.StageBoundary.String():
			out.PermissionsBoundaryDecisionDetail = &wire.PermissionsBoundaryDecisionDetail{
				AllowedByPermissionsBoundary: new(decision == wire.PolicyEvaluationDecisionTypeAllowed),
			}
		case authz.StageServiceControl.String():
			organizations = layer.Verdict == "off" || decision == wire.PolicyEvaluationDecisionTypeAllowed
		}
		if kind := sourceTypes[layer.Stage]; kind != "" {
			details[kind] = decision
		}
	}
	if r.stored && r.world.Account(r.who.Account).OrgID != "" {
		out.OrganizationsDecisionDetail = &wire.OrganizationsDecisionDetail{AllowedByOrganizations: &organizations}
	}
	missing := []string{}
	for i := range r.referenced {
		if _, present := q.Keys.Lookup(&r.referenced[i]); !present {
			missing = append(missing, r.referenced[i].Text)
		}
	}
	if resource == "*" {
		out.MissingContextValues = missing
		return out
	}
	specific := wire.ResourceSpecificResult{
		EvalResourceName: out.EvalResourceName, EvalResourceDecision: out.EvalDecision, MatchedStatements: out.MatchedStatements,
		MissingContextValues: missing, PermissionsBoundaryDecisionDetail: out.PermissionsBoundaryDecisionDetail,
	}
	switch {
	case !organizations:
	case q.Service != nil || q.Account != r.who.Account:
		// Who calls and what is called must both allow.
		out.EvalDecisionDetails, specific.EvalDecisionDetails = details, details
	default:
		out.EvalDecisionDetails = map[string]string{}
	}
	out.ResourceSpecificResults = []wire.ResourceSpecificResult{specific}
	return out
}

// decisionOf is AWS's word for a verdict or a cause.
func decisionOf(verdict string) string {
	switch verdict {
	case authz.Allowed.String(), policy.Allow.String():
		return wire.PolicyEvaluationDecisionTypeAllowed
	case authz.ExplicitDeny.String():
		return wire.PolicyEvaluationDecisionTypeExplicitDeny
	}
	return wire.PolicyEvaluationDecisionTypeImplicitDeny
}

// matched lists the statements that determine a decision: those that deny, or those of
// the caller's and the resource's policies that allow. For an implicit deny there are
// none.
func matched(e *authz.Explanation) []wire.Statement {
	out := []wire.Statement{}
	effect := "Deny"
	switch {
	case e.Allowed:
		effect = "Allow"
	case e.Cause != authz.ExplicitDeny.String():
		return out
	}
	for _, layer := range e.Layers {
		kind := sourceTypes[layer.Stage]
		if kind == "" || e.Allowed && layer.Stage == authz.StageBoundary.String() {
			continue
		}
		for _, p := range layer.Policies {
			if p.Problem != "" {
				out = append(out, wire.Statement{SourcePolicyId: new(sourceID(p.Source)), SourcePolicyType: &kind})
			}
			var document *policy.Document
			for _, result := range p.Statements {
				if result.Matched && result.Effect == effect {
					if document == nil {
						document = p.Source.Compiled.Document()
					}
					start, end := document.Extent(result.Index)
					out = append(out, wire.Statement{
						SourcePolicyId: new(sourceID(p.Source)), SourcePolicyType: &kind,
						StartPosition: positionOf(document.Position(start)), EndPosition: positionOf(document.Position(end)),
					})
				}
			}
		}
	}
	return out
}

func positionOf(line, column int) *wire.Position {
	return &wire.Position{Line: new(int64(line)), Column: new(int64(column))}
}

// sourceID is the name of a managed policy; that of an inline one has its owner.
// Source: as sourceTypes, user_NAME_POLICY.
func sourceID(p *snapshot.Policy) string {
	if p.Owner == "" {
		return p.Name
	}
	kind, _, name, err := sourceName(p.Owner)
	if err != nil {
		return p.Name
	}
	return kind + "_" + name + "_" + p.Name
}

// GetContextKeysForCustomPolicy lists the condition keys that policies depend on.
func (s *Service) GetContextKeysForCustomPolicy(_ context.Context, in *wire.GetContextKeysForCustomPolicyRequest) (*wire.GetContextKeysForCustomPolicyResponse, error) {
	run := simulation{}
	return run.contextKeys(in.PolicyInputList)
}

// GetContextKeysForPrincipalPolicy lists the condition keys that the policies of a
// user, role or group depend on, and further ones.
func (s *Service) GetContextKeysForPrincipalPolicy(ctx context.Context, in *wire.GetContextKeysForPrincipalPolicyRequest) (*wire.GetContextKeysForPrincipalPolicyResponse, error) {
	stored, err := snapshot.Pinned(ctx)
	if err != nil {
		return nil, err
	}
	run := simulation{}
	if run.source, run.policies, err = policySource(stored, accountOf(ctx), *in.PolicySourceArn); err != nil {
		return nil, err
	}
	return run.contextKeys(in.PolicyInputList)
}

func (r *simulation) contextKeys(further []string) (*wire.GetContextKeysForPolicyResponse, error) {
	given, err := compiled(policy.Identity, "PolicyInputList", further)
	if err != nil {
		return nil, err
	}
	r.refer(append(r.policies, given...)...)
	names := []string{}
	for _, key := range r.referenced {
		names = append(names, key.Text)
	}
	return &wire.GetContextKeysForPolicyResponse{ContextKeyNames: names}, nil
}
