package server

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/latchwork/latchwork/internal/policy"
	"github.com/latchwork/latchwork/internal/snapshot"
)

// OrganizationConfig is what AWS Organizations has of an organization: its management
// account, and the service control policies of its parts. Which accounts are in it,
// and where, their own settings say.
type OrganizationConfig struct {
	ID string `json:"id"`
	// ManagementAccount is not restricted by service control policies; "" is an
	// account that does not call here.
	ManagementAccount      string          `json:"management-account"`
	ServiceControlPolicies []ControlConfig `json:"service-control-policies"`
}

// ControlConfig says which service control policies are attached to a target: the
// root or an organizational unit by its path, or an account by its id. A target that
// is not configured has FullAWSAccess.
type ControlConfig struct {
	Target string `json:"target"`
	// Policies are files, or FullAWSAccess.
	Policies []string `json:"policies"`
}

// controls reads the service control policies of the organizations and gives each
// account those that it is under, by level.
func controls(organizations []OrganizationConfig, world *snapshot.Settings, wrong func(name, format string, args ...any)) {
	seen := map[string]bool{}
	for i, o := range organizations {
		name := fmt.Sprintf("organizations[%d]", i)
		switch {
		case !orgID.MatchString(o.ID):
			wrong(name+".id", "%q is not an organization id such as o-a1b2c3d4e5", o.ID)
			continue
		case seen[o.ID]:
			wrong(name+".id", "%s is there twice", o.ID)
			continue
		}
		seen[o.ID] = true
		if o.ManagementAccount != "" && !accountID.MatchString(o.ManagementAccount) {
			wrong(name+".management-account", "%q is not 12 digits (write it in quotes)", o.ManagementAccount)
			continue
		}
		o.control(name, world, wrong)
	}
}

func (o *OrganizationConfig) control(name string, world *snapshot.Settings, wrong func(name, format string, args ...any)) {
	attached, used := map[string][]*snapshot.Policy{}, map[string]bool{}
	for i, c := range o.ServiceControlPolicies {
		at := fmt.Sprintf("%s.service-control-policies[%d]", name, i)
		if _, twice := attached[c.Target]; twice {
			wrong(at+".target", "%s is there twice", c.Target)
		}
		// Source: AWS Organizations User Guide, "Attaching and detaching service control
		// policies": at least one is attached to everything.
		if len(c.Policies) == 0 {
			wrong(at+".policies", "is empty: FullAWSAccess is the policy that restricts nothing")
		}
		policies := []*snapshot.Policy{}
		for _, file := range c.Policies {
			p, err := o.policy(file, c.Target)
			if err != nil {
				wrong(at+".policies", "%v", err)
			}
			policies = append(policies, p)
		}
		attached[c.Target] = policies
	}
	at := func(target string) []*snapshot.Policy {
		used[target] = true
		if policies, ok := attached[target]; ok {
			return policies
		}
		return []*snapshot.Policy{snapshot.FullAWSAccess()}
	}
	for id, a := range world.Accounts {
		if a.OrgID != o.ID {
			continue
		}
		a.Management = id == o.ManagementAccount
		if len(attached) > 0 {
			if len(a.OrgPaths) == 0 && !a.Management {
				wrong("accounts", "%s is in %s, which has service control policies, and has no organization-paths: nobody can tell which it is under", id, o.ID)
			}
			for _, path := range a.OrgPaths {
				for _, target := range levels(path) {
					a.ControlPolicies = append(a.ControlPolicies, at(target))
				}
			}
			a.ControlPolicies = append(a.ControlPolicies, at(id))
		}
		world.Accounts[id] = a
	}
	for i, c := range o.ServiceControlPolicies {
		if !used[c.Target] {
			wrong(fmt.Sprintf("%s.service-control-policies[%d].target", name, i),
				"%q is neither an account of %s nor on the organization-paths of one, which are such as o-a1b2c3d4e5/r-ab12/ or o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/", c.Target, o.ID)
		}
	}
}

// levels lists the targets of an account's path: the root, then each organizational
// unit.
func levels(path string) []string {
	var out []string
	for i := range path {
		if path[i] == '/' {
			out = append(out, path[:i+1])
		}
	}
	return out[min(1, len(out)):] // the organization itself is no target
}

// policy reads a service control policy that is attached to a target.
func (o *OrganizationConfig) policy(file, target string) (*snapshot.Policy, error) {
	if full := snapshot.FullAWSAccess(); file == full.Name {
		return full, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	p := snapshot.Compile(policy.ServiceControl, strings.TrimSuffix(filepath.Base(file), filepath.Ext(file)), string(text))
	p.Owner = target
	if o.ManagementAccount != "" {
		p.ARN = "arn:" + partition + ":organizations::" + o.ManagementAccount + ":policy/" + o.ID + "/service_control_policy/p-" + p.Name
	}
	var bad *policy.Error
	if errors.As(p.Problem, &bad) {
		return p, fmt.Errorf("%s:%d:%d: %s", file, bad.Line, bad.Column, bad.Explained())
	}
	return p, p.Problem
}
