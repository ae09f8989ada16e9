package authz_test

import (
	"context"
	"log/slog"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/latchwork/latchwork/internal/authz"
	"github.com/latchwork/latchwork/internal/clock"
	"github.com/latchwork/latchwork/internal/identity"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/policy"
	"github.com/latchwork/latchwork/internal/snapshot"
	"github.com/latchwork/latchwork/internal/store"
	"github.com/latchwork/latchwork/internal/store/etcd"
)

const (
	own    = "123456789012"
	other  = "444455556666"
	invoke = "vpc-lattice-svcs:Invoke"
)

var world *snapshot.Snapshot

// TestMain publishes one snapshot that all tests decide on, through the real
// store.
func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "authz")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		quiet := slog.New(slog.DiscardHandler)
		backend, err := etcd.Start(context.Background(), etcd.Embedded{Dir: dir, Prefix: "t/", Log: quiet})
		if err != nil {
			panic(err)
		}
		defer backend.Close()
		revision, err := store.New(backend).Update(context.Background(), populate)
		if err != nil {
			panic(err)
		}
		p := snapshot.NewPublisher(snapshot.Config{
			Backend: backend, Clock: clock.System, Log: quiet,
			Settings: snapshot.Settings{Partition: "aws", DefaultAccount: own, Accounts: map[string]snapshot.Account{
				own: {ID: own, OrgID: "o-1", OrgPaths: []string{"o-1/r-1/"}},
			}},
			OpenSecret: func(*model.AccessKey) ([]byte, error) { return []byte("s"), nil },
		})
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { _ = p.Run(ctx); close(done) }()
		defer func() { cancel(); <-done }()
		if err := p.WaitFor(ctx, revision); err != nil {
			panic(err)
		}
		world = p.Current()
		return m.Run()
	}())
}

func identityPolicy(effect, action string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"` + effect + `","Action":"` + action + `","Resource":"*"}]}`
}

// populate stores roles that are named for their policies.
func populate(tx *store.Tx) error {
	role := func(account, name string, inline map[string]string, attached []string, boundary, trust string) error {
		return model.Roles.Put(tx, model.IAMKey(account, name), &model.Role{
			Meta: model.Meta{ID: "AROA" + name, ARN: "arn:aws:iam::" + account + ":role/" + name, Name: name, Account: account, Tags: map[string]string{"Team": "a"}},
			Path: "/", Trust: trust, Boundary: boundary,
			Attachments: model.Attachments{Inline: inline, Attached: attached},
		})
	}
	allow := map[string]string{"p": identityPolicy("Allow", "*")}
	anyone := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + own + `"},"Action":"sts:AssumeRole"}]}`
	for _, r := range []struct {
		account, name  string
		inline         map[string]string
		attached       []string
		boundary, text string
	}{
		{own, "allowed", allow, nil, "", anyone},
		{own, "nothing", nil, nil, "", anyone},
		{own, "denied", map[string]string{"p": identityPolicy("Allow", "*"), "q": identityPolicy("Deny", "*")}, nil, "", anyone},
		{own, "bounded", allow, nil, "arn:aws:iam::" + own + ":policy/narrow", anyone},
		{own, "bounded-deny", allow, nil, "arn:aws:iam::aws:policy/AWSDenyAll", anyone},
		{own, "bounded-wide", allow, nil, "arn:aws:iam::aws:policy/AdministratorAccess", anyone},
		{own, "managed", nil, []string{"arn:aws:iam::aws:policy/VPCLatticeServicesInvokeAccess"}, "", anyone},
		{own, "broken", map[string]string{"p": identityPolicy("Allow", "*"), "q": `{"Version":"2012-10-17","Statement":[{"Effect":"Perhaps"}]}`}, nil, "", anyone},
		{own, "dangling", nil, []string{"arn:aws:iam::aws:policy/AdministratorAccess", "arn:aws:iam::" + own + ":policy/gone"}, "", anyone},
		{other, "allowed", allow, nil, "", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":["arn:aws:iam::` + own + `:role/allowed","arn:aws:iam::` + own + `:role/nothing"]},"Action":"sts:AssumeRole"}]}`},
		{own, "trusts-role", allow, nil, "", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":["arn:aws:iam::` + own + `:role/nothing","arn:aws:iam::` + own + `:role/bounded"]},"Action":"sts:AssumeRole"}]}`},
		{own, "trusts-session", allow, nil, "", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:sts::` + own + `:assumed-role/nothing/s"},"Action":"sts:AssumeRole"}]}`},
		{own, "trusts-broken", allow, nil, "", "{"},
		{own, "denies-role", allow, nil, "", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"},{"Effect":"Deny","Principal":{"AWS":"arn:aws:iam::` + own + `:role/nothing"},"Action":"sts:AssumeRole"}]}`},
		{other, "nothing", nil, nil, "", anyone},
		{own, "trusts-nobody", allow, nil, "", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}`},
		{own, "trusts-provider", allow, nil, "", provider(own)},
		{other, "trusts-provider", allow, nil, "", provider(other)},
	} {
		if err := role(r.account, r.name, r.inline, r.attached, r.boundary, r.text); err != nil {
			return err
		}
	}
	if err := model.Users.Put(tx, model.IAMKey(own, "erika"), &model.User{
		Meta: model.Meta{ID: "AIDAerika", ARN: "arn:aws:iam::" + own + ":user/erika", Name: "erika", Account: own}, Path: "/",
		Attachments: model.Attachments{Inline: allow},
	}); err != nil {
		return err
	}
	return model.Policies.Put(tx, model.IAMKey(own, "narrow"), &model.ManagedPolicy{
		Meta: model.Meta{ARN: "arn:aws:iam::" + own + ":policy/narrow", Name: "narrow", Account: own}, Path: "/", Default: "v1",
		Versions: []model.PolicyVersion{{ID: "v1", Document: identityPolicy("Allow", "s3:*")}},
	})
}

// session is a session of a role, with inline session policies.
func session(account, role string, policies ...string) *identity.Principal {
	return &identity.Principal{
		Kind: identity.AssumedRole, Account: account, ARN: "arn:aws:sts::" + account + ":assumed-role/" + role + "/s",
		IssuerARN: "arn:aws:iam::" + account + ":role/" + role, IssuerID: "AROA" + role, Name: role,
		Session: &identity.Session{Name: "s", Policies: policies},
	}
}

// again is the session of a role that was deleted since and made again.
func again(p *identity.Principal) *identity.Principal {
	p.IssuerID = "AROAbefore"
	return p
}

func managedSession(arn string) *identity.Principal {
	p := session(own, "allowed")
	p.Session.PolicyARNs = []string{arn}
	return p
}

func user(name string) *identity.Principal {
	arn := "arn:aws:iam::" + own + ":user/" + name
	return &identity.Principal{Kind: identity.User, Account: own, ARN: arn, IssuerARN: arn, IssuerID: "AIDA" + name, UserID: "AIDA" + name, Name: name}
}

// federated is a federated session that the user erika made.
func federated(policies ...string) *identity.Principal {
	p := user("erika")
	p.Kind, p.ARN, p.Name, p.UserID = identity.FederatedUser, "arn:aws:sts::"+own+":federated-user/guest", "guest", own+":guest"
	p.Session = &identity.Session{Name: "guest", Policies: policies}
	return p
}

// provider is a trust policy for an identity provider of an account.
func provider(account string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::` + account + `:oidc-provider/oidc.example"},"Action":"sts:AssumeRoleWithWebIdentity"}]}`
}

// webIdentity is somebody whom an identity provider of the account vouches for.
func webIdentity() *identity.Principal {
	provider := "arn:aws:iam::" + own + ":oidc-provider/oidc.example"
	return &identity.Principal{
		Kind: identity.WebIdentity, UserID: provider + ":sts.amazonaws.com:me",
		Session: &identity.Session{FederatedProvider: provider, Keys: map[string][]string{"oidc.example:sub": {"me"}}},
	}
}

// resource is the policy of a resource that allows an account everything.
func resource(account string) *snapshot.Policy {
	return compiled(policy.Resource, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"`+account+`"},"Action":"*","Resource":"*"}]}`)
}

func compiled(kind policy.Kind, text string) *snapshot.Policy {
	p := snapshot.Compile(kind, "p", text)
	p.Owner = "arn:x"
	return p
}

var (
	anonymous = &identity.Principal{}
	root      = &identity.Principal{Kind: identity.Root, Account: own, ARN: "arn:aws:iam::" + own + ":root", IssuerARN: "arn:aws:iam::" + own + ":root", IssuerID: own}
)

// auth is an auth policy: "allow", "deny", "none" (says nothing), "broken", "" (there
// is none).
func auth(what string) *snapshot.Policy {
	if what == "" {
		return nil
	}
	text := map[string]string{
		"allow": `{"Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}`,
		"deny":  `{"Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"},{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*"}]}`,
		// Everybody but the roles allowed and bounded-wide is denied.
		"except":  `{"Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"},{"Effect":"Deny","NotPrincipal":{"AWS":["arn:aws:iam::` + own + `:role/allowed","arn:aws:iam::` + own + `:role/bounded-wide"]},"Action":"*","Resource":"*"}]}`,
		"account": `{"Statement":[{"Effect":"Allow","Principal":{"AWS":"` + own + `"},"Action":"*","Resource":"*"}]}`,
		"root":    `{"Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + own + `:root"},"Action":"*","Resource":"*"}]}`,
		"session": `{"Statement":[{"Effect":"Allow","Principal":{"AWS":["arn:aws:sts::` + own + `:assumed-role/nothing/s","arn:aws:sts::` + own + `:assumed-role/bounded/s","arn:aws:sts::` + own + `:assumed-role/allowed/s"]},"Action":"*","Resource":"*"}]}`,
		"user":    `{"Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + own + `:user/erika"},"Action":"*","Resource":"*"}]}`,
		"none":    `{"Statement":[{"Effect":"Allow","Principal":"*","Action":"vpc-lattice-svcs:Connect","Resource":"*"}]}`,
	}[what]
	return compiled(policy.AuthPolicy, text)
}

// lattice is a question about a service: auth types and policies of network and
// service.
func lattice(who *identity.Principal, networkAuth, network, serviceAuth, service string) *authz.Query {
	q := &authz.Query{
		Request: policy.Request{Principal: who, Action: invoke, Resource: "arn:aws:vpc-lattice:us-west-2:" + own + ":service/svc-1/", Keys: policy.NoKeys{}},
		Network: &snapshot.Network{Policy: auth(network)}, Service: &snapshot.Service{Policy: auth(service)},
	}
	q.Network.AuthType, q.Service.AuthType = networkAuth, serviceAuth
	q.Network.ID, q.Service.ID = "sn-1", "svc-1"
	return q
}

func TestLattice(t *testing.T) {
	const iam, off = "AWS_IAM", "NONE"
	allowed := session(own, "allowed")
	for _, test := range []struct {
		name                                   string
		who                                    *identity.Principal
		networkAuth, network, service, srvAuth string
		want                                   string // the end of the text; "" is allowed
	}{
		{"both off", anonymous, off, "deny", "deny", off, ""},
		{"both off, nobody's role", session(own, "nothing"), off, "", "", off, ""},
		{"all allow", allowed, iam, "allow", "allow", iam, ""},
		{"anonymous", anonymous, iam, "allow", "allow", iam, ""},
		{"network off", allowed, off, "", "allow", iam, ""},
		{"service off", allowed, iam, "allow", "", off, ""},
		{"network off with a deny", allowed, off, "deny", "allow", iam, ""},
		{"no network policy", allowed, iam, "", "allow", iam, "because no network-based policy allows the vpc-lattice-svcs:Invoke action"},
		{"no service policy", allowed, iam, "allow", "", iam, "because no service-based policy allows the vpc-lattice-svcs:Invoke action"},
		{"neither: the network is named", session(own, "nothing"), iam, "none", "none", iam, "because no network-based policy allows the vpc-lattice-svcs:Invoke action"},
		{"service and identity: the service is named", session(own, "nothing"), iam, "allow", "none", iam, "because no service-based policy allows the vpc-lattice-svcs:Invoke action"},
		{"no identity policy, same account", session(own, "nothing"), iam, "allow", "allow", iam, "because no identity-based policy allows the vpc-lattice-svcs:Invoke action"},
		{"no identity policy, one layer on", session(own, "nothing"), off, "", "allow", iam, "because no identity-based policy allows the vpc-lattice-svcs:Invoke action"},
		{"another account", session(other, "allowed"), iam, "allow", "allow", iam, ""},
		{"root", root, iam, "allow", "allow", iam, ""},
		{"managed policy", session(own, "managed"), iam, "allow", "allow", iam, ""},
		{"network denies", allowed, iam, "deny", "allow", iam, "with an explicit deny in a network-based policy"},
		{"service denies", allowed, iam, "allow", "deny", iam, "with an explicit deny in a service-based policy"},
		{"an explicit deny is named before an implicit one", allowed, iam, "none", "deny", iam, "with an explicit deny in a service-based policy"},
		{"identity denies", session(own, "denied"), iam, "allow", "allow", iam, "with an explicit deny in an identity-based policy"},
		{"anonymous is denied", anonymous, iam, "deny", "allow", iam, "with an explicit deny in a network-based policy"},
		{"boundary does not allow", session(own, "bounded"), iam, "allow", "allow", iam, "because no permissions boundary allows the vpc-lattice-svcs:Invoke action"},
		{"boundary denies", session(own, "bounded-deny"), iam, "allow", "allow", iam, "with an explicit deny in a permissions boundary"},
		{"boundary allows", session(own, "bounded-wide"), iam, "allow", "allow", iam, ""},
		{"excepted from a deny", allowed, iam, "except", "except", iam, ""},
		{"not excepted", session(own, "managed"), iam, "except", "allow", iam, "with an explicit deny in a network-based policy"},
		{"anonymous is not excepted", anonymous, iam, "allow", "except", iam, "with an explicit deny in a service-based policy"},
		// Source: IUG, "NotPrincipal": a Deny with NotPrincipal always denies a
		// principal with a permissions boundary, whomever it names.
		{"excepted, but bounded: network", session(own, "bounded-wide"), iam, "except", "allow", iam, "with an explicit deny in a network-based policy"},
		{"excepted, but bounded: service", session(own, "bounded-wide"), iam, "allow", "except", iam, "with an explicit deny in a service-based policy"},
		{"session policy allows", session(own, "allowed", identityPolicy("Allow", invoke)), iam, "allow", "allow", iam, ""},
		{"session policy does not allow", session(own, "allowed", identityPolicy("Allow", "s3:*")), iam, "allow", "allow", iam, "because no session policy allows the vpc-lattice-svcs:Invoke action"},
		{"session policy denies", session(own, "allowed", identityPolicy("Deny", "*")), iam, "allow", "allow", iam, "with an explicit deny in a session policy"},
		{"session policy is broken", session(own, "allowed", "{"), iam, "allow", "allow", iam, "with an explicit deny in a session policy"},
		{"a session policy gives nothing", session(own, "nothing", identityPolicy("Allow", "*")), iam, "allow", "allow", iam, "because no identity-based policy allows the vpc-lattice-svcs:Invoke action"},
		{"the role is gone", session(own, "never-was"), iam, "allow", "allow", iam, "because no identity-based policy allows the vpc-lattice-svcs:Invoke action"},
		{"another role of that name", func() *identity.Principal { p := session(own, "allowed"); p.IssuerID = "AROAbefore"; return p }(), iam, "allow", "allow", iam, "because no identity-based policy allows the vpc-lattice-svcs:Invoke action"},
		{"a policy that cannot be compiled", session(own, "broken"), iam, "allow", "allow", iam, "with an explicit deny in an identity-based policy"},
		{"an attached policy that is gone", session(own, "dangling"), iam, "allow", "allow", iam, "with an explicit deny in an identity-based policy"},
		{"an auth policy that cannot be compiled", allowed, iam, "allow", "broken", iam, "with an explicit deny in a service-based policy"},
		{"the same while its layer is off", allowed, iam, "allow", "broken", off, ""},
		// Source: stored policies of public workshops, which allow by account.
		{"an auth policy by account allows everybody of it", allowed, iam, "account", "root", iam, ""},
		{"and nobody of another", session(other, "allowed"), iam, "account", "allow", iam, "because no network-based policy allows the vpc-lattice-svcs:Invoke action"},
		{"and nobody who did not sign", anonymous, iam, "allow", "root", iam, "because no service-based policy allows the vpc-lattice-svcs:Invoke action"},
		// Source: VPC Lattice User Guide, "How authorization works": an auth policy takes
		// the place of no other policy, however it names the caller.
		{"a session that is named still needs an identity policy", session(own, "nothing"), iam, "session", "session", iam, "because no identity-based policy allows the vpc-lattice-svcs:Invoke action"},
		{"and is bounded", session(own, "bounded"), iam, "session", "session", iam, "because no permissions boundary allows the vpc-lattice-svcs:Invoke action"},
		{"and has its session policies", session(own, "allowed", identityPolicy("Allow", "s3:*")), iam, "session", "session", iam, "because no session policy allows the vpc-lattice-svcs:Invoke action"},
		{"a user who is named", user("erika"), iam, "user", "user", iam, ""},
		{"a federated user by the user's name", federated(identityPolicy("Allow", "*")), iam, "user", "user", iam, ""},
		{"but not without a session policy", federated(), iam, "user", "user", iam, "because no session policy allows the vpc-lattice-svcs:Invoke action"},
		{"a role made again under the name that a policy names", again(session(own, "allowed")), iam, "allow", "session", iam, "because no identity-based policy allows the vpc-lattice-svcs:Invoke action"},
		{"an auth type that nobody knows is on", allowed, "", "", "allow", iam, "because no network-based policy allows the vpc-lattice-svcs:Invoke action"},
	} {
		t.Run(test.name, func(t *testing.T) {
			q := lattice(test.who, test.networkAuth, test.network, test.srvAuth, test.service)
			d := authz.Decide(world, q)
			text := d.DeniedText(q)
			if d.Allowed != (test.want == "") || !strings.HasSuffix(text, test.want) {
				t.Errorf("allowed %t, %q; want %q", d.Allowed, text, test.want)
			}
			if !d.Allowed && !strings.HasPrefix(text, "User: "+test.who.Display()+" is not authorized to perform: "+invoke+" on resource: "+q.Resource) {
				t.Errorf("text %q", text)
			}
			explained(t, q, d)
		})
	}
}

func TestGeneral(t *testing.T) {
	trust := func(account, role string) *snapshot.Policy {
		e, ok := world.EntityByARN("arn:aws:iam::" + account + ":role/" + role)
		if !ok {
			t.Fatalf("no role %s", role)
		}
		return e.Trust
	}
	for _, test := range []struct {
		name     string
		who      *identity.Principal
		action   string
		account  string
		resource *snapshot.Policy
		required bool
		want     string
	}{
		{"identity allows", session(own, "allowed"), "iam:ListUsers", "", nil, false, ""},
		{"own account named", session(own, "allowed"), "iam:GetUser", own, nil, false, ""},
		{"nothing allows", session(own, "nothing"), "iam:ListUsers", "", nil, false, "because no identity-based policy allows the iam:ListUsers action"},
		{"another account without a policy for it", session(own, "allowed"), "iam:GetUser", other, nil, false, "because no resource-based policy allows the iam:GetUser action"},
		{"root", root, "iam:ListUsers", "", nil, false, ""},
		{"anonymous", anonymous, "iam:ListUsers", "", nil, false, "because no resource-based policy allows the iam:ListUsers action"},
		{"boundary", session(own, "bounded"), "iam:ListUsers", "", nil, false, "because no permissions boundary allows the iam:ListUsers action"},
		{"deny of a managed policy names it", session(own, "bounded-deny"), "iam:ListUsers", "", nil, false, "with an explicit deny in a permissions boundary: arn:aws:iam::aws:policy/AWSDenyAll"},

		{"trust by account and identity", session(own, "allowed"), "sts:AssumeRole", own, trust(own, "allowed"), true, ""},
		{"trust by account without identity", session(own, "nothing"), "sts:AssumeRole", own, trust(own, "allowed"), true, "because no identity-based policy allows the sts:AssumeRole action"},
		{"trust of nobody", session(own, "allowed"), "sts:AssumeRole", own, trust(own, "trusts-nobody"), true, "because no role trust policy allows the sts:AssumeRole action"},
		{"trust by role needs no identity", session(own, "nothing"), "sts:AssumeRole", own, trust(own, "trusts-role"), true, ""},
		{"but is bounded", session(own, "bounded"), "sts:AssumeRole", own, trust(own, "trusts-role"), true, "because no permissions boundary allows the sts:AssumeRole action"},
		{"trust by session", session(own, "nothing"), "sts:AssumeRole", own, trust(own, "trusts-session"), true, ""},
		{"trust by session, identity denies", session(own, "denied"), "sts:AssumeRole", own, trust(own, "trusts-session"), true, "with an explicit deny in an identity-based policy"},
		{"trust by role, which is gone", again(session(own, "nothing")), "sts:AssumeRole", own, trust(own, "trusts-role"), true, "because no identity-based policy allows the sts:AssumeRole action"},
		{"trust by session, whose role is gone", again(session(own, "nothing")), "sts:AssumeRole", own, trust(own, "trusts-session"), true, "because no identity-based policy allows the sts:AssumeRole action"},
		{"trust of everybody, the role is gone", again(session(own, "allowed")), "sts:AssumeRole", own, trust(own, "denies-role"), true, "because no identity-based policy allows the sts:AssumeRole action"},
		{"trust of everybody", session(own, "managed"), "sts:AssumeRole", own, trust(own, "denies-role"), true, ""},
		{"trust of everybody across accounts needs identity", session(other, "nothing"), "sts:AssumeRole", own, trust(own, "denies-role"), true, "because no identity-based policy allows the sts:AssumeRole action"},
		{"trust of everybody, anonymous", anonymous, "sts:AssumeRole", own, trust(own, "denies-role"), true, ""},
		{"trust denies", session(own, "nothing"), "sts:AssumeRole", own, trust(own, "denies-role"), true, "with an explicit deny in the role trust policy"},
		{"the caller's own side denies before the trust policy", session(own, "nothing", identityPolicy("Deny", "*")), "sts:AssumeRole", own, trust(own, "denies-role"), true, "with an explicit deny in a session policy"},
		{"trust is broken", session(own, "allowed"), "sts:AssumeRole", own, trust(own, "trusts-broken"), true, "with an explicit deny in the role trust policy"},
		{"trust is missing", session(own, "allowed"), "sts:AssumeRole", own, nil, true, "because no resource-based policy allows the sts:AssumeRole action"},
		{"trust by role, session policy does not allow", session(own, "nothing", identityPolicy("Allow", "s3:*")), "sts:AssumeRole", own, trust(own, "trusts-role"), true, "because no session policy allows the sts:AssumeRole action"},
		{"trust by session is not bounded by session policies", session(own, "nothing", identityPolicy("Allow", "s3:*")), "sts:AssumeRole", own, trust(own, "trusts-session"), true, ""},
		{"a resource's policy by account delegates", session(own, "nothing"), "s3:GetObject", own, resource(own), false, "because no identity-based policy allows the s3:GetObject action"},
		{"a resource's policy of another account and identity", session(own, "allowed"), "s3:GetObject", other, resource(own), false, ""},
		{"a resource's policy of another account alone", session(own, "nothing"), "s3:GetObject", other, resource(own), false, "because no identity-based policy allows the s3:GetObject action"},
		{"identity is enough beside a silent resource's policy", session(own, "allowed"), "s3:GetObject", own, resource(other), false, ""},
		{"a silent resource's policy of another account", session(own, "allowed"), "s3:GetObject", other, resource(other), false, "because no resource-based policy allows the s3:GetObject action"},
		{"root under another account's policy", root, "s3:GetObject", other, resource(own), false, ""},
		{"federated without a policy", federated(), "s3:GetObject", own, nil, false, "because no session policy allows the s3:GetObject action"},
		{"federated with a policy", federated(identityPolicy("Allow", "s3:*")), "s3:GetObject", own, nil, false, ""},
		{"federated with less than a policy", federated(identityPolicy("Allow", "iam:*")), "s3:GetObject", own, nil, false, "because no session policy allows the s3:GetObject action"},
		{"managed session policy", managedSession("arn:aws:iam::aws:policy/AdministratorAccess"), "s3:GetObject", own, nil, false, ""},
		{"managed session policy that denies", managedSession("arn:aws:iam::aws:policy/AWSDenyAll"), "s3:GetObject", own, nil, false, "with an explicit deny in a session policy: arn:aws:iam::aws:policy/AWSDenyAll"},
		{"managed session policy that is gone", managedSession("arn:aws:iam::" + own + ":policy/gone"), "s3:GetObject", own, nil, false, "with an explicit deny in a session policy: arn:aws:iam::" + own + ":policy/gone"},
		{"a long-term user", user("erika"), "s3:GetObject", own, nil, false, ""},
		{"a user who is gone", user("gone"), "s3:GetObject", own, nil, false, "because no identity-based policy allows the s3:GetObject action"},
		{"an AWS service named by nobody", &identity.Principal{Kind: identity.Service, Name: "s3.amazonaws.com", ARN: "s3.amazonaws.com"}, "sts:AssumeRole", own, trust(own, "trusts-nobody"), true, "because no role trust policy allows the sts:AssumeRole action"},
		{"an AWS service of a trust policy", &identity.Principal{Kind: identity.Service, Account: own, Name: "ec2.amazonaws.com", ARN: "ec2.amazonaws.com"}, "sts:AssumeRole", own, trust(own, "trusts-nobody"), true, ""},
		{"an AWS service has no account", &identity.Principal{Kind: identity.Service, Name: "ec2.amazonaws.com"}, "sts:AssumeRole", own, trust(own, "trusts-nobody"), true, ""},
		{"an AWS service without a policy for it", &identity.Principal{Kind: identity.Service, Name: "ec2.amazonaws.com"}, "s3:GetObject", own, nil, false, "because no resource-based policy allows the s3:GetObject action"},
		{"an AWS service where nobody asked has an account", &identity.Principal{Kind: identity.Service, Name: "ec2.amazonaws.com"}, "s3:GetObject", "", nil, false, "because no resource-based policy allows the s3:GetObject action"},
		{"a web identity of a trust policy", webIdentity(), "sts:AssumeRoleWithWebIdentity", own, trust(own, "trusts-provider"), true, ""},
		{"a web identity of another provider", webIdentity(), "sts:AssumeRoleWithWebIdentity", other, trust(other, "trusts-provider"), true, "because no role trust policy allows the sts:AssumeRoleWithWebIdentity action"},
		{"a web identity by another way", webIdentity(), "sts:AssumeRole", own, trust(own, "trusts-provider"), true, "because no role trust policy allows the sts:AssumeRole action"},
		{"a web identity without a provider", &identity.Principal{Kind: identity.WebIdentity}, "sts:AssumeRoleWithWebIdentity", own, trust(own, "trusts-provider"), true, "because no role trust policy allows the sts:AssumeRoleWithWebIdentity action"},

		{"across accounts, both allow", session(own, "allowed"), "sts:AssumeRole", other, trust(other, "allowed"), true, ""},
		{"across accounts, no identity", session(own, "nothing"), "sts:AssumeRole", other, trust(other, "allowed"), true, "because no identity-based policy allows the sts:AssumeRole action"},
		{"root by account", root, "sts:AssumeRole", own, trust(own, "allowed"), true, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			q := &authz.Query{
				Request: policy.Request{Principal: test.who, Action: test.action, Resource: "arn:aws:iam::" + test.account + ":x", Keys: policy.NoKeys{}},
				Account: test.account, Policy: test.resource, Required: test.required,
			}
			d := authz.Decide(world, q)
			if text := d.DeniedText(q); d.Allowed != (test.want == "") || !strings.HasSuffix(text, test.want) {
				t.Errorf("allowed %t, %q; want %q", d.Allowed, text, test.want)
			}
			explained(t, q, d)
		})
	}
}

// TestExplainAgrees: for any combination of layers the explanation has the verdict
// of the decision.
func TestExplainAgrees(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		types := rapid.SampledFrom([]string{"NONE", "AWS_IAM"})
		policies := rapid.SampledFrom([]string{"", "allow", "deny", "none", "except", "broken"})
		roles := rapid.SampledFrom([]string{"allowed", "nothing", "denied", "bounded", "bounded-wide", "managed", "broken", "dangling", "never-was"})
		who := session(own, roles.Draw(rt, "role"))
		if rapid.Bool().Draw(rt, "anonymous") {
			who = anonymous
		}
		q := lattice(who, types.Draw(rt, "network auth"), policies.Draw(rt, "network"), types.Draw(rt, "service auth"), policies.Draw(rt, "service"))
		explained(rt, q, authz.Decide(world, q))
	})
}

func TestZeroValuesDeny(t *testing.T) {
	if (authz.Decision{}).Allowed {
		t.Error("the zero Decision allows")
	}
	q := &authz.Query{Request: policy.Request{Principal: &identity.Principal{}, Keys: policy.NoKeys{}}}
	if authz.Decide(world, q).Allowed {
		t.Error("the zero Query is allowed")
	}
}

func BenchmarkDecide(b *testing.B) {
	q := lattice(session(own, "allowed"), "AWS_IAM", "allow", "AWS_IAM", "allow")
	b.ReportAllocs()
	for b.Loop() {
		if !authz.Decide(world, q).Allowed {
			b.Fatal("denied")
		}
	}
}
