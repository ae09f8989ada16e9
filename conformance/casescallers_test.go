//go:build conformance

package conformance

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	ststypes "github.com/aws/aws-sdk-go-v2/service/sts/types"

	callers "github.com/latchwork/latchwork/internal/identity"
	"github.com/latchwork/latchwork/internal/policytest"
	"github.com/latchwork/latchwork/internal/snapshot"
)

// caseCallers makes the users and roles of cases through the API, as they are stated,
// and takes their sessions.
type caseCallers struct {
	*installation
	// entities is what the users and roles are now, by ARN, and sessions are credentials,
	// by everything they depend on.
	entities map[string]string
	sessions map[string]identity
	// texts puts the ids of this server into a text of a case.
	texts func(string) string
	ctx   context.Context
}

func newCaseCallers(in *installation) *caseCallers {
	return &caseCallers{
		installation: in, entities: map[string]string{}, sessions: map[string]identity{}, ctx: context.Background(),
		texts: func(text string) string { return text },
	}
}

func (in *installation) must(err error) {
	in.t.Helper()
	if err != nil {
		in.t.Fatal(err)
	}
}

// caller gives the credentials of a case's caller, none for who does not sign.
func (c *caseCallers) caller(test *policytest.Test) identity {
	c.t.Helper()
	who := test.Query.Principal
	if who.IsAnonymous() {
		return identity{}
	}
	e := test.Snap.Entity(who)
	var policies []string
	for _, p := range test.Snap.IdentityPolicies(nil, e) {
		policies = append(policies, cmp.Or(p.ARN, c.texts(p.Text)))
	}
	boundary := ""
	if b := test.Snap.Boundary(e); b != nil {
		boundary = c.texts(b.Text)
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
	m := &maker{caseCallers: c, client: c.iam(admin), entity: e, policies: policies, tags: tagsOf(e.Tags)}
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
	*caseCallers
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

func (c *caseCallers) sts(who identity) *sts.Client {
	return sts.New(sts.Options{Region: region, BaseEndpoint: &c.api, Credentials: who.provider()})
}

func taken(k *ststypes.Credentials) identity {
	return identity{*k.AccessKeyId, *k.SecretAccessKey, *k.SessionToken}
}

// assumeAs takes the role of a case's session.
func (c *caseCallers) assumeAs(admin identity, who *callers.Principal) identity {
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

func inlinePolicy(c *caseCallers, s *callers.Session) *string {
	if len(s.Policies) == 0 {
		return nil
	}
	return aws.String(c.texts(s.Policies[0]))
}

// key makes an access key of the user, and the session that the case states.
func (m *maker) key(who *callers.Principal) identity {
	m.t.Helper()
	out, err := m.client.CreateAccessKey(m.ctx, &iam.CreateAccessKeyInput{UserName: &m.entity.Name})
	m.must(err)
	own := identity{id: *out.AccessKey.AccessKeyId, secret: *out.AccessKey.SecretAccessKey}
	switch {
	case who.Kind == callers.FederatedUser:
		session, err := m.sts(own).GetFederationToken(m.ctx, &sts.GetFederationTokenInput{Name: &who.Name, Policy: inlinePolicy(m.caseCallers, who.Session), PolicyArns: descriptors(who.Session)})
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
