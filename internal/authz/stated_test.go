package authz_test

import (
	"strings"
	"testing"

	"github.com/latchwork/latchwork/internal/authz"
	"github.com/latchwork/latchwork/internal/identity"
	"github.com/latchwork/latchwork/internal/policy"
	"github.com/latchwork/latchwork/internal/snapshot"
)

// controlled is a world in which the account own is under service control policies:
// levels of documents, where "" is FullAWSAccess.
func controlled(management bool, levels ...[]string) *snapshot.Snapshot {
	account := snapshot.Account{ID: own, OrgID: "o-1", Management: management}
	for n, level := range levels {
		var policies []*snapshot.Policy
		for _, text := range level {
			p := snapshot.FullAWSAccess()
			if text != "" {
				p = compiled(policy.ServiceControl, text)
				p.ARN, p.Owner = "arn:aws:organizations::1:policy/o-1/service_control_policy/p-x", []string{"root", "unit", "account"}[n]
			}
			policies = append(policies, p)
		}
		account.ControlPolicies = append(account.ControlPolicies, policies)
	}
	return snapshot.New(&snapshot.Settings{Partition: "aws", Accounts: map[string]snapshot.Account{
		own: account, other: {ID: other, OrgID: "o-1"},
	}})
}

// stated is the world with a role or user that has these policies and boundary.
func stated(w *snapshot.Snapshot, p *identity.Principal, boundary string, policies ...string) *snapshot.Snapshot {
	s := snapshot.Stated{Entity: snapshot.Entity{Kind: p.Kind, ARN: p.IssuerARN, ID: p.IssuerID, Account: p.Account, Name: p.Name}}
	for _, text := range policies {
		s.Policies = append(s.Policies, compiled(policy.Identity, text))
	}
	if boundary != "" {
		s.Boundary = compiled(policy.Boundary, boundary)
	}
	return w.With(s)
}

// linked is a session of a service-linked role.
func linked() *identity.Principal {
	p := session(own, "AWSServiceRoleForX")
	p.IssuerARN = "arn:aws:iam::" + own + ":role/aws-service-role/x.amazonaws.com/AWSServiceRoleForX"
	return p
}

// TestServiceControl: what service control policies do to whom.
// Source: AWS Organizations User Guide, "Service control policies (SCPs)" and "SCP
// evaluation"; IUG, "Policy evaluation logic".
func TestServiceControl(t *testing.T) {
	allow, deny, narrow := identityPolicy("Allow", "*"), identityPolicy("Deny", "*"), identityPolicy("Allow", "s3:*")
	const (
		implicit = "because no service control policy allows the "
		explicit = "with an explicit deny in a service control policy: arn:aws:organizations::1:policy/o-1/service_control_policy/p-x"
	)
	everybody := resourceFor(`"*"`)
	role := session(own, "r")
	for _, test := range []struct {
		name       string
		who        *identity.Principal
		levels     [][]string
		management bool
		identity   string
		action     string
		resource   *snapshot.Policy
		account    string
		want       string
	}{
		{"under none", role, nil, false, allow, "iam:ListUsers", nil, "", ""},
		{"FullAWSAccess at each level", role, [][]string{{""}, {""}, {""}}, false, allow, "iam:ListUsers", nil, "", ""},
		{"an SCP gives nothing", role, [][]string{{""}, {""}}, false, narrow, "iam:ListUsers", nil, "", "because no identity-based policy allows the iam:ListUsers action"},
		{"denied at the root", role, [][]string{{"", deny}, {""}}, false, allow, "iam:ListUsers", nil, "", explicit},
		{"denied at the account", role, [][]string{{""}, {"", deny}}, false, allow, "iam:ListUsers", nil, "", explicit},
		{"one level does not allow", role, [][]string{{""}, {narrow}, {""}}, false, allow, "iam:ListUsers", nil, "", implicit},
		{"a level without any policy", role, [][]string{{""}, {}}, false, allow, "iam:ListUsers", nil, "", implicit},
		{"one level does not allow, a later one denies", role, [][]string{{narrow}, {"", deny}}, false, allow, "iam:ListUsers", nil, "", explicit},
		{"any policy of a level allows", role, [][]string{{narrow, ""}}, false, allow, "iam:ListUsers", nil, "", ""},
		{"what each level allows", role, [][]string{{narrow}, {narrow}}, false, allow, "s3:GetObject", nil, "", ""},
		{"named before the identity policies", role, [][]string{{narrow}}, false, "", "iam:ListUsers", nil, "", implicit},
		{"an explicit deny of identity before what no SCP allows", role, [][]string{{narrow}}, false, deny, "iam:ListUsers", nil, "", "with an explicit deny in an identity-based policy"},
		{"the management account", role, [][]string{{deny}}, true, allow, "iam:ListUsers", nil, "", ""},
		{"a service-linked role", linked(), [][]string{{deny}}, false, allow, "iam:ListUsers", nil, "", ""},
		{"a user", user("erika"), [][]string{{narrow}}, false, allow, "iam:ListUsers", nil, "", implicit},
		{"the root user", root, [][]string{{narrow}}, false, "", "iam:ListUsers", nil, "", implicit},
		{"the root user, what is allowed", root, [][]string{{narrow}}, false, "", "s3:GetObject", nil, "", ""},
		{"a federated user", federated(allow), [][]string{{narrow}}, false, allow, "iam:ListUsers", nil, "", implicit},
		{"a caller of another account", session(other, "r"), [][]string{{deny}}, false, allow, "s3:GetObject", everybody, own, ""},
		{"anonymous", anonymous, [][]string{{deny}}, false, "", "s3:GetObject", everybody, own, ""},
		{"an AWS service", &identity.Principal{Kind: identity.Service, Name: "ec2.amazonaws.com"}, [][]string{{deny}}, false, "", "s3:GetObject", everybody, own, ""},
		{"a web identity", webIdentity(), [][]string{{deny}}, false, "", "s3:GetObject", everybody, own, ""},
		{"a direct grant of the resource does not pass it", role, [][]string{{identityPolicy("Allow", "iam:*")}}, false, "", "s3:GetObject", everybody, own, implicit},
		{"nor a deny", role, [][]string{{"", deny}}, false, "", "s3:GetObject", everybody, own, explicit},
		{"a direct grant under FullAWSAccess", role, [][]string{{""}}, false, "", "s3:GetObject", everybody, own, ""},
		{"a resource of another account", role, [][]string{{narrow}}, false, allow, "iam:GetUser", resource(own), other, implicit},
		{"who one is may always be asked", role, [][]string{{deny}}, false, deny, "sts:GetCallerIdentity", nil, "", ""},
		{"and a session token", user("erika"), [][]string{{deny}}, false, deny, "sts:getsessiontoken", nil, "", ""},
		{"but not by nobody", anonymous, nil, false, "", "sts:GetCallerIdentity", nil, "", "because no resource-based policy allows the sts:GetCallerIdentity action"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := controlled(test.management, test.levels...)
			if test.who.Attachable() {
				var policies []string
				if test.identity != "" {
					policies = []string{test.identity}
				}
				w = stated(w, test.who, "", policies...)
			}
			q := &authz.Query{
				Request: policy.Request{Principal: test.who, Action: test.action, Resource: "arn:aws:x:::y", Keys: policy.NoKeys{}},
				Account: test.account, Policy: test.resource,
			}
			d := authz.Decide(w, q)
			if text := d.DeniedText(q); d.Allowed != (test.want == "") || !strings.Contains(text, test.want) {
				t.Errorf("allowed %t, %q; want %q", d.Allowed, text, test.want)
			}
			explainedIn(t, w, q, d)
		})
	}
}

// TestServiceControlOfLattice: they are part of the caller's own side.
func TestServiceControlOfLattice(t *testing.T) {
	const iam, off = "AWS_IAM", "NONE"
	allow, deny, narrow := identityPolicy("Allow", "*"), identityPolicy("Deny", "*"), identityPolicy("Allow", "s3:*")
	for _, test := range []struct {
		name               string
		who                *identity.Principal
		control            string
		boundary, identity string
		authType           string
		network, service   string
		want               string
	}{
		{"allows", session(own, "r"), "", "", allow, iam, "allow", "allow", ""},
		{"denies", session(own, "r"), deny, "", allow, iam, "allow", "allow", "with an explicit deny in a service control policy"},
		{"does not allow", session(own, "r"), narrow, "", allow, iam, "allow", "allow", "because no service control policy allows the vpc-lattice-svcs:Invoke action"},
		{"is named after the service", session(own, "r"), narrow, "", allow, iam, "allow", "none", "because no service-based policy allows the vpc-lattice-svcs:Invoke action"},
		{"explicitly too", session(own, "r"), deny, "", allow, iam, "allow", "deny", "with an explicit deny in a service-based policy"},
		{"and before the boundary", session(own, "r"), deny, deny, deny, iam, "allow", "allow", "with an explicit deny in a service control policy"},
		{"the boundary before the identity policies", session(own, "r"), "", deny, deny, iam, "allow", "allow", "with an explicit deny in a permissions boundary"},
		{"but after them if nothing denies", session(own, "r"), "", narrow, narrow, iam, "allow", "allow", "because no identity-based policy allows the vpc-lattice-svcs:Invoke action"},
		{"the root user", root, deny, "", "", iam, "allow", "allow", "with an explicit deny in a service control policy"},
		{"anonymous", anonymous, deny, "", "", iam, "allow", "allow", ""},
		{"nobody is asked who they are", session(own, "r"), deny, "", "", off, "", "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := controlled(false, []string{test.control})
			if test.who.Attachable() {
				w = stated(w, test.who, test.boundary, test.identity)
			}
			q := lattice(test.who, test.authType, test.network, test.authType, test.service)
			d := authz.Decide(w, q)
			if text := d.DeniedText(q); d.Allowed != (test.want == "") || !strings.HasSuffix(text, test.want) {
				t.Errorf("allowed %t, %q; want %q", d.Allowed, text, test.want)
			}
			explainedIn(t, w, q, d)
		})
	}
}

// resourceFor is the policy of a resource that allows a principal everything.
func resourceFor(principal string) *snapshot.Policy {
	return compiled(policy.Resource, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":`+principal+`,"Action":"*","Resource":"*"}]}`)
}

// TestGrades: in one account, how directly the policy of a resource names the caller
// decides what else must allow; across accounts it makes no difference.
// Source: IUG, "Policy evaluation logic", "Permissions boundaries for IAM entities" and
// "IAM JSON policy elements: Principal".
func TestGrades(t *testing.T) {
	const (
		no, yes    = "", "x"
		byIdentity = "because no identity-based policy"
		byBoundary = "because no permissions boundary"
		bySession  = "because no session policy"
		byResource = "because no resource-based policy"
	)
	roleARN, sessionARN := `{"AWS":"arn:aws:iam::`+own+`:role/r"}`, `{"AWS":"arn:aws:sts::`+own+`:assumed-role/r/s"}`
	userARN, federatedARN := `{"AWS":"arn:aws:iam::`+own+`:user/erika"}`, `{"AWS":"arn:aws:sts::`+own+`:federated-user/guest"}`
	account := `{"AWS":"` + own + `"}`
	narrow := identityPolicy("Allow", "iam:*")
	role, limited := session(own, "r"), session(own, "r", narrow)
	for _, test := range []struct {
		name               string
		who                *identity.Principal
		identity, boundary string // "x" allows, "" does not; a boundary of "-" is none
		principal          string // of the resource's policy; "" for none
		account            string
		want               string
	}{
		{"nothing", role, no, "-", "", own, byIdentity},
		{"role ARN", role, no, "-", roleARN, own, ""},
		{"role ARN, boundary", role, no, no, roleARN, own, byBoundary},
		{"role ARN, boundary allows", role, no, yes, roleARN, own, ""},
		{"role ARN, session policy", limited, no, "-", roleARN, own, bySession},
		{"session ARN", limited, no, no, sessionARN, own, ""},
		{"everybody", limited, no, no, `"*"`, own, ""},
		{"everybody by AWS", limited, no, no, `{"AWS":"*"}`, own, ""},
		{"account", role, no, "-", account, own, byIdentity},
		{"account and identity", role, yes, "-", account, own, ""},
		{"account and identity, boundary", role, yes, no, account, own, byBoundary},
		{"another session", role, no, "-", `{"AWS":"arn:aws:sts::` + own + `:assumed-role/r/other"}`, own, byIdentity},
		{"user", user("erika"), no, no, userARN, own, ""},
		{"user by account", user("erika"), no, "-", account, own, byIdentity},
		{"federated by itself", federated(), no, no, federatedARN, own, ""},
		{"federated by itself, session policy", federated(narrow), no, no, federatedARN, own, ""},
		{"federated by its user, no session policy", federated(), yes, "-", userARN, own, bySession},
		{"federated by its user", federated(identityPolicy("Allow", "*")), no, "-", userARN, own, ""},
		{"federated by its user, boundary", federated(identityPolicy("Allow", "*")), no, no, userARN, own, byBoundary},
		{"federated by everybody", federated(), no, no, `"*"`, own, ""},

		{"across accounts: role ARN", role, no, "-", roleARN, other, byIdentity},
		{"across accounts: session ARN", role, no, "-", sessionARN, other, byIdentity},
		{"across accounts: everybody", role, no, "-", `"*"`, other, byIdentity},
		{"across accounts: identity alone", role, yes, "-", "", other, byResource},
		{"across accounts: neither", role, no, "-", "", other, byIdentity},
		{"across accounts: both by account", role, yes, "-", account, other, ""},
		{"across accounts: both by session", role, yes, "-", sessionARN, other, ""},
		{"across accounts: boundary", role, yes, no, sessionARN, other, byBoundary},
		{"across accounts: session policy", limited, yes, "-", sessionARN, other, bySession},
		{"across accounts: federated without a policy", federated(), yes, "-", federatedARN, other, bySession},
	} {
		t.Run(test.name, func(t *testing.T) {
			document := map[string]string{no: narrow, yes: identityPolicy("Allow", "*"), "-": ""}
			w := stated(controlled(false), test.who, document[test.boundary], document[test.identity])
			q := &authz.Query{
				Request: policy.Request{Principal: test.who, Action: "s3:GetObject", Resource: "arn:aws:s3:::b/k", Keys: policy.NoKeys{}},
				Account: test.account,
			}
			if test.principal != "" {
				q.Policy = resourceFor(test.principal)
			}
			d := authz.Decide(w, q)
			if text := d.DeniedText(q); d.Allowed != (test.want == "") || !strings.Contains(text, test.want) {
				t.Errorf("allowed %t, %q; want %q", d.Allowed, text, test.want)
			}
			explainedIn(t, w, q, d)
		})
	}
}

// TestNotPrincipal: a Deny with NotPrincipal spares whom it names, but not who has a
// permissions boundary; it hits the anonymous.
// Source: IUG, "IAM JSON policy elements: NotPrincipal" and "Permissions boundaries for
// IAM entities".
func TestNotPrincipal(t *testing.T) {
	document := compiled(policy.Resource, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"},{"Effect":"Deny","NotPrincipal":{"AWS":["arn:aws:iam::`+own+`:role/r","arn:aws:iam::`+own+`:user/erika"]},"Action":"*","Resource":"*"}]}`)
	wide := identityPolicy("Allow", "*")
	for _, test := range []struct {
		name     string
		who      *identity.Principal
		boundary string
		allowed  bool
	}{
		{"named", session(own, "r"), "", true},
		{"named, with a boundary", session(own, "r"), wide, false},
		{"a user", user("erika"), "", true},
		{"a user with a boundary", user("erika"), wide, false},
		{"another role", session(own, "other"), "", false},
		{"anonymous", anonymous, "", false},
		{"an AWS service", &identity.Principal{Kind: identity.Service, Name: "ec2.amazonaws.com"}, "", false},
	} {
		w := controlled(false)
		if test.who.Attachable() {
			w = stated(w, test.who, test.boundary, wide)
		}
		q := &authz.Query{Request: policy.Request{Principal: test.who, Action: "s3:GetObject", Resource: "arn:aws:s3:::b/k", Keys: policy.NoKeys{}}, Account: own, Policy: document}
		d := authz.Decide(w, q)
		if d.Allowed != test.allowed || !test.allowed && (d.Cause != authz.ExplicitDeny || d.Stage != authz.StageResource) {
			t.Errorf("%s: %+v", test.name, d)
		}
		explainedIn(t, w, q, d)
	}
}

// TestIsKey: an alias is no key, and a name is no service.
func TestIsKey(t *testing.T) {
	for resource, want := range map[string]bool{
		"arn:aws:kms:us-west-2:" + own + ":key/1": true, "arn:aws:kms:us-west-2:" + own + ":alias/key/1": false,
		"arn:aws:s3:::kms:key/1": false, "kms:key/1": false, "*": false,
	} {
		if got := authz.IsKey(resource); got != want {
			t.Errorf("%s: %t", resource, got)
		}
	}
}

// TestPolicyNamed: an explicit deny carries the ARN of the policy, if the resource is
// in the caller's account or organization.
// Source: AWS Security Blog, "Enhanced access denied error messages with policy ARNs".
func TestPolicyNamed(t *testing.T) {
	arn := "arn:aws:iam::" + own + ":policy/no"
	p := compiled(policy.Identity, identityPolicy("Deny", "*"))
	p.ARN = arn
	role := session(own, "r")
	for account, want := range map[string]string{
		"": ": " + arn, own: ": " + arn, other: ": " + arn, "999999999999": "in an identity-based policy",
	} {
		w := controlled(false).With(snapshot.Stated{
			Entity: snapshot.Entity{Kind: role.Kind, ARN: role.IssuerARN, ID: role.IssuerID, Account: own}, Policies: []*snapshot.Policy{p},
		})
		q := &authz.Query{Request: policy.Request{Principal: role, Action: "s3:GetObject", Resource: "arn:aws:s3:::b/k", Keys: policy.NoKeys{}}, Account: account}
		if text := authz.Decide(w, q).DeniedText(q); !strings.HasSuffix(text, want) {
			t.Errorf("account %q: %q, want the end %q", account, text, want)
		}
	}
}

// TestWith: what is stated takes the place of what is stored, in a snapshot of its own.
func TestWith(t *testing.T) {
	who := session(own, "nothing")
	who.Session.PolicyARNs = []string{"arn:aws:iam::" + own + ":policy/narrow"}
	with := stated(world, who, "", identityPolicy("Allow", "*"))
	q := &authz.Query{Request: policy.Request{Principal: who, Action: "iam:ListUsers", Resource: "*", Keys: policy.NoKeys{}}}
	if d := authz.Decide(with, q); d.Allowed || d.Stage != authz.StageSession {
		t.Errorf("the managed policy of the session: %+v", d)
	}
	wide := compiled(policy.Identity, identityPolicy("Allow", "*"))
	wide.ARN = who.Session.PolicyARNs[0]
	if d := authz.Decide(with.WithManaged(wide), q); !d.Allowed {
		t.Errorf("as stated: %+v", d)
	}
	if d := authz.Decide(world, q); d.Allowed || d.Stage != authz.StageIdentity {
		t.Errorf("the stored ones: %+v", d)
	}
}
