//go:build conformance

package conformance

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	ststypes "github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice"
	latticetypes "github.com/aws/aws-sdk-go-v2/service/vpclattice/types"

	"github.com/latchwork/latchwork/internal/authz"
	callers "github.com/latchwork/latchwork/internal/identity"
	"github.com/latchwork/latchwork/internal/policytest"
	"github.com/latchwork/latchwork/internal/snapshot"
)

// TestCasesGateway: requests through the gateway are answered as the cases want, with
// the sentence that the library has. Policies, roles, users, VPCs and auth types are
// made through the API, as the cases state them.
func TestCasesGateway(t *testing.T) {
	d := &doors{skipped: map[string]int{}}
	// Accounts are a matter of the configuration: cases that state the same share a
	// server.
	groups := map[string][]*policytest.Test{}
	for _, test := range loadCases(t, "../cases/lattice") {
		if reason := unsendable(test); reason != "" {
			d.skipped[reason]++
			continue
		}
		key := accountsKey(test.Snap)
		groups[key] = append(groups[key], test)
	}
	for n, key := range slices.Sorted(mapKeys(groups)) {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			w := newCaseWorld(t, groups[key])
			for _, test := range groups[key] {
				d.asked++
				w.ask(test)
			}
		})
	}
	d.close(t, 200)
}

func mapKeys[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// accountsKey tells apart what cases state of accounts.
func accountsKey(s *snapshot.Snapshot) string {
	var b strings.Builder
	for _, id := range slices.Sorted(mapKeys(s.Settings().Accounts)) {
		a := s.Account(id)
		fmt.Fprintln(&b, id, a.OrgID, a.OrgPaths, a.Management)
		for _, level := range a.ControlPolicies {
			for _, p := range level {
				fmt.Fprint(&b, " ", p.Text)
			}
			fmt.Fprintln(&b)
		}
	}
	return b.String()
}

// unsendable says why a case cannot be asked of a gateway on this machine.
func unsendable(test *policytest.Test) string {
	who, in := test.Query.Principal, test.Invocation
	var texts strings.Builder
	for _, p := range []*snapshot.Policy{in.Service.Policy, in.Network.Policy} {
		if p != nil {
			texts.WriteString(strings.ToLower(p.Text))
		}
	}
	switch {
	case who.Kind == callers.Root:
		return "the root user signs nothing here"
	case test.Case.Time != "2026-01-01T12:00:00Z":
		return "another time"
	case strings.Contains(texts.String(), "aws:sourceip"):
		return "the client's address is a loopback address"
	case in.VPC.Owner != in.Service.Account:
		return "a VPC of another account"
	case in.Port != 80 && in.Port != 443:
		return "another port"
	case who.Session != nil && len(who.Session.Policies) > 1:
		return "several inline session policies"
	}
	return ""
}

// caseWorld is a server with one service in one service network, which become what
// each case states.
type caseWorld struct {
	*world
	lattice *vpclattice.Client
	// state is what the network and the service are now; entities is what the users and
	// roles are, by ARN, and sessions are credentials, by everything they depend on.
	state    map[string]string
	entities map[string]string
	sessions map[string]identity
	// vpcs gives the ids of VPCs that cases state, and addresses in them.
	vpcs    map[string]string
	sources map[string]string
	ctx     context.Context
}

func newCaseWorld(t *testing.T, tests []*policytest.Test) *caseWorld {
	t.Helper()
	w := build(t, "NONE", "NONE", "--config", writeAccounts(t, tests), "--conformance", "observed")
	c := &caseWorld{
		world: w, state: map[string]string{}, entities: map[string]string{}, sessions: map[string]identity{},
		vpcs: map[string]string{"vpc-0123456789abcdef0": w.vpc}, sources: map[string]string{w.vpc: "127.0.0.1"}, ctx: context.Background(),
		lattice: vpclattice.New(vpclattice.Options{Region: region, BaseEndpoint: &w.api, Credentials: w.admin.provider()}),
	}
	for _, test := range tests {
		id := test.Invocation.VPC.ID
		if c.vpcs[id] != "" {
			continue
		}
		n := len(c.vpcs)
		vpc := w.aws(w.admin, "ec2", "create-vpc", "--cidr-block", fmt.Sprintf("127.1.%d.0/24", n))["Vpc"].(map[string]any)["VpcId"].(string)
		c.vpcs[id], c.sources[vpc] = vpc, fmt.Sprintf("127.1.%d.1", n)
		_, err := c.lattice.CreateServiceNetworkVpcAssociation(c.ctx, &vpclattice.CreateServiceNetworkVpcAssociationInput{ServiceNetworkIdentifier: &w.network, VpcIdentifier: &vpc})
		c.must(err)
	}
	return c
}

func (c *caseWorld) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// writeAccounts makes the configuration with the accounts that cases state or name.
func writeAccounts(t *testing.T, tests []*policytest.Test) string {
	t.Helper()
	dir := t.TempDir()
	type object = map[string]any
	stated := tests[0].Snap.Settings().Accounts
	ids := map[string]bool{account: true}
	for id := range stated {
		ids[id] = true
	}
	for _, test := range tests {
		if who := test.Query.Principal; !who.IsAnonymous() {
			ids[who.Account] = true
		}
	}
	var accounts, organizations []object
	for _, id := range slices.Sorted(mapKeys(ids)) {
		a := stated[id]
		entry := object{"id": id}
		if a.OrgID != "" {
			entry["organization-id"], entry["organization-paths"] = a.OrgID, a.OrgPaths
		}
		accounts = append(accounts, entry)
		if len(a.ControlPolicies) == 0 {
			continue
		}
		// The levels of such accounts are the root and the account.
		var attached []object
		for n, target := range []string{a.OrgPaths[0], id} {
			var files []string
			for i, p := range a.ControlPolicies[n] {
				if p == snapshot.FullAWSAccess() {
					files = append(files, p.Name)
					continue
				}
				file := filepath.Join(dir, fmt.Sprintf("%s-%d-%d.json", id, n, i))
				if err := os.WriteFile(file, []byte(p.Text), 0o600); err != nil {
					t.Fatal(err)
				}
				files = append(files, file)
			}
			attached = append(attached, object{"target": target, "policies": files})
		}
		organizations = append(organizations, object{"id": a.OrgID, "service-control-policies": attached})
	}
	text, err := json.Marshal(object{"accounts": accounts, "organizations": organizations})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "accounts.yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// real is a text of a case with the ids that things have here.
func (c *caseWorld) real(text string) string {
	pairs := []string{"svc-0123456789abcdef0", c.service, "sn-0123456789abcdef0", c.network}
	for stated, id := range c.vpcs {
		pairs = append(pairs, stated, id)
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// ask makes the world as a case states it, sends its request, and compares.
func (c *caseWorld) ask(test *policytest.Test) {
	in := test.Invocation
	c.guard(c.network, in.Network.AuthType, in.Network.Policy, func(authType string) error {
		_, err := c.lattice.UpdateServiceNetwork(c.ctx, &vpclattice.UpdateServiceNetworkInput{ServiceNetworkIdentifier: &c.network, AuthType: latticetypes.AuthType(authType)})
		return err
	})
	c.guard(c.service, in.Service.AuthType, in.Service.Policy, func(authType string) error {
		_, err := c.lattice.UpdateService(c.ctx, &vpclattice.UpdateServiceInput{ServiceIdentifier: &c.service, AuthType: latticetypes.AuthType(authType)})
		return err
	})
	c.tag(in.Service.Tags)
	a := c.request(test, c.caller(test))
	decision := authz.Decide(test.Snap, test.Query)
	want := ""
	if !decision.Allowed {
		want = "AccessDeniedException: " + c.real(decision.DeniedText(test.Query))
	}
	denied, body := a.status == http.StatusForbidden, a.body
	if in.GRPC {
		// The status of a gRPC call is in its own headers. 7 is PERMISSION_DENIED.
		denied = a.headers.Get("Grpc-Status") == "7"
		body, _ = url.PathUnescape(a.headers.Get("Grpc-Message"))
	} else if !denied && a.status != http.StatusOK {
		c.t.Errorf("%s: answered %d %s", at(test), a.status, a.body)
	}
	switch {
	case denied != (test.Case.Want.Verdict == "deny"):
		c.t.Errorf("%s: answered %d %s, want %s", at(test), a.status, body, test.Case.Want)
	case denied && in.In.Method != http.MethodHead && body != want:
		c.t.Errorf("%s:\ngot  %s\nwant %s", at(test), body, want)
	}
}

// guard gives the network or the service the auth type and the policy of a case.
func (c *caseWorld) guard(id, authType string, p *snapshot.Policy, update func(string) error) {
	c.t.Helper()
	text := ""
	if p != nil {
		text = c.real(p.Text)
	}
	if c.state[id] == authType+text {
		return
	}
	if text == "" {
		_, err := c.lattice.DeleteAuthPolicy(c.ctx, &vpclattice.DeleteAuthPolicyInput{ResourceIdentifier: &id})
		c.must(err)
	} else {
		_, err := c.lattice.PutAuthPolicy(c.ctx, &vpclattice.PutAuthPolicyInput{ResourceIdentifier: &id, Policy: &text})
		c.must(err)
	}
	c.must(update(authType))
	c.state[id] = authType + text
}

func (c *caseWorld) tag(tags map[string]string) {
	c.t.Helper()
	want := fmt.Sprint(tags)
	if had, ok := c.state["tags"]; ok && had == want || !ok && len(tags) == 0 {
		return
	}
	_, err := c.lattice.TagResource(c.ctx, &vpclattice.TagResourceInput{ResourceArn: &c.arn, Tags: tags})
	c.must(err)
	c.state["tags"] = want
}

// caller gives the credentials of a case's caller, none for who does not sign.
func (c *caseWorld) caller(test *policytest.Test) identity {
	c.t.Helper()
	who := test.Query.Principal
	if who.IsAnonymous() {
		return identity{}
	}
	e := test.Snap.Entity(who)
	var policies []string
	for _, p := range test.Snap.IdentityPolicies(nil, e) {
		policies = append(policies, cmp.Or(p.ARN, c.real(p.Text)))
	}
	boundary := ""
	if b := test.Snap.Boundary(e); b != nil {
		boundary = c.real(b.Text)
	}
	entity := fmt.Sprint(policies, boundary, e.Tags)
	session := fmt.Sprint(entity, who.ARN)
	if s := who.Session; s != nil {
		session = fmt.Sprint(session, s.Policies, s.PolicyARNs, s.Tags, s.SourceIdentity)
	}
	if made, ok := c.sessions[session]; ok && c.entities[e.ARN] == entity {
		return made
	}
	admin := c.administrator(who.Account)
	m := &maker{caseWorld: c, client: c.iam(admin), entity: e, policies: policies, tags: tagsOf(e.Tags)}
	if c.entities[e.ARN] != entity {
		if c.entities[e.ARN] != "" {
			m.remove()
		}
		m.make(boundary)
		c.entities[e.ARN] = entity
	}
	var made identity
	if who.Kind == callers.AssumedRole {
		made = c.assumeAs(admin, who)
	} else {
		made = m.key(who)
	}
	c.sessions[session] = made
	return made
}

func tagsOf(tags map[string]string) []iamtypes.Tag {
	var out []iamtypes.Tag
	for _, key := range slices.Sorted(mapKeys(tags)) {
		out = append(out, iamtypes.Tag{Key: aws.String(key), Value: aws.String(tags[key])})
	}
	return out
}

// maker makes the user or role of a case.
type maker struct {
	*caseWorld
	client   *iam.Client
	entity   *snapshot.Entity
	policies []string
	tags     []iamtypes.Tag
}

func (m *maker) isRole() bool { return m.entity.Kind == callers.AssumedRole }

func (m *maker) make(boundary string) {
	m.t.Helper()
	name := &m.entity.Name
	_, rest, _ := strings.Cut(m.entity.ARN[strings.LastIndexByte(m.entity.ARN, ':')+1:], "/")
	path := aws.String("/" + strings.TrimSuffix(rest, *name))
	var bound *string
	if boundary != "" {
		out, err := m.client.CreatePolicy(m.ctx, &iam.CreatePolicyInput{PolicyName: aws.String(fmt.Sprintf("boundary-%d", len(m.sessions))), PolicyDocument: &boundary})
		m.must(err)
		bound = out.Policy.Arn
	}
	if m.isRole() {
		trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + m.entity.Account + `"},"Action":["sts:AssumeRole","sts:TagSession","sts:SetSourceIdentity"]}]}`
		_, err := m.client.CreateRole(m.ctx, &iam.CreateRoleInput{RoleName: name, Path: path, AssumeRolePolicyDocument: &trust, PermissionsBoundary: bound, Tags: m.tags})
		m.must(err)
	} else {
		_, err := m.client.CreateUser(m.ctx, &iam.CreateUserInput{UserName: name, Path: path, PermissionsBoundary: bound, Tags: m.tags})
		m.must(err)
		// What a user needs to make the federated session that a case states.
		m.policies = append(slices.Clone(m.policies), `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:GetFederationToken","Resource":"*"}]}`)
	}
	for i, text := range m.policies {
		inline := aws.String(fmt.Sprintf("p%d", i))
		var err error
		switch managed := strings.HasPrefix(text, "arn:"); {
		case managed && m.isRole():
			_, err = m.client.AttachRolePolicy(m.ctx, &iam.AttachRolePolicyInput{RoleName: name, PolicyArn: &text})
		case managed:
			_, err = m.client.AttachUserPolicy(m.ctx, &iam.AttachUserPolicyInput{UserName: name, PolicyArn: &text})
		case m.isRole():
			_, err = m.client.PutRolePolicy(m.ctx, &iam.PutRolePolicyInput{RoleName: name, PolicyName: inline, PolicyDocument: &text})
		default:
			_, err = m.client.PutUserPolicy(m.ctx, &iam.PutUserPolicyInput{UserName: name, PolicyName: inline, PolicyDocument: &text})
		}
		m.must(err)
	}
}

// remove deletes the user or role that another case had under the ARN.
func (m *maker) remove() {
	m.t.Helper()
	name := &m.entity.Name
	if m.isRole() {
		inline, err := m.client.ListRolePolicies(m.ctx, &iam.ListRolePoliciesInput{RoleName: name})
		m.must(err)
		for _, p := range inline.PolicyNames {
			_, err = m.client.DeleteRolePolicy(m.ctx, &iam.DeleteRolePolicyInput{RoleName: name, PolicyName: &p})
			m.must(err)
		}
		attached, err := m.client.ListAttachedRolePolicies(m.ctx, &iam.ListAttachedRolePoliciesInput{RoleName: name})
		m.must(err)
		for _, p := range attached.AttachedPolicies {
			_, err = m.client.DetachRolePolicy(m.ctx, &iam.DetachRolePolicyInput{RoleName: name, PolicyArn: p.PolicyArn})
			m.must(err)
		}
		_, err = m.client.DeleteRole(m.ctx, &iam.DeleteRoleInput{RoleName: name})
		m.must(err)
		return
	}
	inline, err := m.client.ListUserPolicies(m.ctx, &iam.ListUserPoliciesInput{UserName: name})
	m.must(err)
	for _, p := range inline.PolicyNames {
		_, err = m.client.DeleteUserPolicy(m.ctx, &iam.DeleteUserPolicyInput{UserName: name, PolicyName: &p})
		m.must(err)
	}
	keys, err := m.client.ListAccessKeys(m.ctx, &iam.ListAccessKeysInput{UserName: name})
	m.must(err)
	for _, k := range keys.AccessKeyMetadata {
		_, err = m.client.DeleteAccessKey(m.ctx, &iam.DeleteAccessKeyInput{UserName: name, AccessKeyId: k.AccessKeyId})
		m.must(err)
	}
	_, err = m.client.DeleteUser(m.ctx, &iam.DeleteUserInput{UserName: name})
	m.must(err)
}

func (c *caseWorld) sts(who identity) *sts.Client {
	return sts.New(sts.Options{Region: region, BaseEndpoint: &c.api, Credentials: who.provider()})
}

func taken(k *ststypes.Credentials) identity {
	return identity{*k.AccessKeyId, *k.SecretAccessKey, *k.SessionToken}
}

// assumeAs takes the role of a case's session.
func (c *caseWorld) assumeAs(admin identity, who *callers.Principal) identity {
	c.t.Helper()
	s := who.Session
	in := &sts.AssumeRoleInput{RoleArn: &who.IssuerARN, RoleSessionName: &s.Name, PolicyArns: descriptors(s), Policy: inlinePolicy(c, s)}
	if s.SourceIdentity != "" {
		in.SourceIdentity = &s.SourceIdentity
	}
	for _, key := range slices.Sorted(mapKeys(s.Tags)) {
		in.Tags = append(in.Tags, ststypes.Tag{Key: aws.String(key), Value: aws.String(s.Tags[key])})
	}
	out, err := c.sts(admin).AssumeRole(c.ctx, in)
	c.must(err)
	return taken(out.Credentials)
}

func descriptors(s *callers.Session) []ststypes.PolicyDescriptorType {
	var out []ststypes.PolicyDescriptorType
	for _, arn := range s.PolicyARNs {
		out = append(out, ststypes.PolicyDescriptorType{Arn: &arn})
	}
	return out
}

func inlinePolicy(c *caseWorld, s *callers.Session) *string {
	if len(s.Policies) == 0 {
		return nil
	}
	return aws.String(c.real(s.Policies[0]))
}

// key makes an access key of the user, and the session that the case states.
func (m *maker) key(who *callers.Principal) identity {
	m.t.Helper()
	out, err := m.client.CreateAccessKey(m.ctx, &iam.CreateAccessKeyInput{UserName: &m.entity.Name})
	m.must(err)
	own := identity{id: *out.AccessKey.AccessKeyId, secret: *out.AccessKey.SecretAccessKey}
	switch {
	case who.Kind == callers.FederatedUser:
		session, err := m.sts(own).GetFederationToken(m.ctx, &sts.GetFederationTokenInput{Name: &who.Name, Policy: inlinePolicy(m.caseWorld, who.Session), PolicyArns: descriptors(who.Session)})
		m.must(err)
		_, err = m.client.DeleteAccessKey(m.ctx, &iam.DeleteAccessKeyInput{UserName: &m.entity.Name, AccessKeyId: &own.id})
		m.must(err)
		return taken(session.Credentials)
	case who.Session != nil:
		session, err := m.sts(own).GetSessionToken(m.ctx, &sts.GetSessionTokenInput{})
		m.must(err)
		return taken(session.Credentials)
	}
	return own
}

// request sends the request of a case, from an address of its VPC.
func (c *caseWorld) request(test *policytest.Test, who identity) *answer {
	c.t.Helper()
	in := test.Invocation.In
	scheme := "http://"
	if in.TLS != nil {
		scheme = "https://"
	}
	r, err := http.NewRequest(in.Method, scheme+in.Authority+in.Target, http.NoBody)
	c.must(err)
	for _, h := range sentHeaders(test) {
		r.Header.Add(h[0], h[1])
	}
	if r.UserAgent() == "" {
		r.Header.Set("User-Agent", "") // Go would send its own.
	}
	if who.id != "" {
		sign(c.t, r, who)
	}
	client := c.client(in.Major == 2)
	transport := client.Transport.(*http.Transport)
	from := &net.TCPAddr{IP: net.ParseIP(c.sources[c.vpcs[test.Invocation.VPC.ID]])}
	transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		to := c.http
		if in.TLS != nil {
			to = c.https
		}
		return (&net.Dialer{LocalAddr: from}).DialContext(ctx, network, to)
	}
	resp, err := client.Do(r)
	c.must(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	c.must(err)
	return &answer{resp.StatusCode, string(body), resp.Header, resp.Proto}
}

// sentHeaders are the headers as the case states them: the library has taken off those
// that the gateway takes off.
func sentHeaders(test *policytest.Test) [][2]string {
	var out [][2]string
	if test.Invocation.GRPC {
		out = append(out, [2]string{"content-type", "application/grpc"})
	}
	if r := test.Case.Request; r != nil {
		for _, name := range slices.Sorted(mapKeys(r.Headers)) {
			for _, value := range r.Headers[name].Values {
				out = append(out, [2]string{name, value})
			}
		}
	}
	return out
}
