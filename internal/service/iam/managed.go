package iam

import (
	"strings"

	"github.com/latchwork/latchwork/internal/fault"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/store"
)

// policyName reads the ARN of a managed policy. It fails only for what is no ARN
// at all; ok tells whether it is one of a policy.
func policyName(arn string) (account, name string, ok bool, err error) {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" {
		// The two spaces are AWS's.
		return "", "", false, invalid("Invalid ARN:  Could not be parsed!")
	}
	if parts[2] != "iam" || parts[3] != "" || !strings.HasPrefix(parts[5], "policy/") {
		return parts[4], "", false, nil
	}
	return parts[4], parts[5][strings.LastIndexByte(parts[5], '/')+1:], true, nil
}

// managed finds a managed policy, AWS's own or one of the account; nil if there
// is none. Unlike names, ARNs are compared exactly.
func (s *Service) managed(tx *store.Tx, account, arn string) (*model.ManagedPolicy, error) {
	if p, ok := s.awsManaged[arn]; ok {
		return p, nil
	}
	owner, name, ok, err := policyName(arn)
	if err != nil || !ok || owner != account {
		return nil, err
	}
	p, err := policies.find(tx, account, name)
	if err != nil || p == nil || p.ARN != arn {
		return nil, err
	}
	return p, nil
}

func noManaged(arn string) *fault.Error { return noSuchEntity("Policy %s was not found.", arn) }

// getManaged is managed for a policy that must be there.
func (s *Service) getManaged(tx *store.Tx, account, arn string) (*model.ManagedPolicy, error) {
	p, err := s.managed(tx, account, arn)
	if err == nil && p == nil {
		err = noManaged(arn)
	}
	return p, err
}

// ownManaged is getManaged for a policy that is about to be changed.
func (s *Service) ownManaged(tx *store.Tx, account, arn string) (*model.ManagedPolicy, error) {
	owner, _, ok, err := policyName(arn)
	if err != nil {
		return nil, err
	}
	if ok && owner != account {
		return nil, outside()
	}
	return s.getManaged(tx, account, arn)
}

// usage counts how often managed policies are attached and serve as boundaries,
// by ARN.
type usage struct {
	attached, boundary map[string]int64
}

func (u *usage) add(a *model.Attachments, boundary string) {
	for _, arn := range a.Attached {
		u.attached[arn]++
	}
	if boundary != "" {
		u.boundary[boundary]++
	}
}

// usageOf counts in an account. In a transaction that commits, the counts hold:
// nothing of the account can be attached meanwhile.
func usageOf(tx *store.Tx, account string) (*usage, error) {
	u := &usage{attached: map[string]int64{}, boundary: map[string]int64{}}
	allUsers, err := users.all(tx, account)
	if err != nil {
		return nil, err
	}
	for _, user := range allUsers {
		u.add(&user.Attachments, user.Boundary)
	}
	allGroups, err := groups.all(tx, account)
	if err != nil {
		return nil, err
	}
	for _, group := range allGroups {
		u.add(&group.Attachments, "")
	}
	allRoles, err := roles.all(tx, account)
	if err != nil {
		return nil, err
	}
	for _, role := range allRoles {
		u.add(&role.Attachments, role.Boundary)
	}
	return u, nil
}

// passes tells whether a filter for the use of policies lets a policy pass.
func (u *usage) passes(arn string, filter string, onlyAttached bool) bool {
	switch filter {
	case "PermissionsPolicy":
		return u.attached[arn] > 0
	case "PermissionsBoundary":
		return u.boundary[arn] > 0
	default:
		return !onlyAttached || u.attached[arn]+u.boundary[arn] > 0
	}
}
