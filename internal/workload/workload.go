// Package workload gives workloads the credentials of their roles, in the ways in
// which AWS does: as the agent of ECS does to tasks, and as the metadata service of
// EC2 does to instances. A binding says who gets which role.
package workload

import (
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/latchwork/latchwork/internal/audit"
	"github.com/latchwork/latchwork/internal/authz"
	"github.com/latchwork/latchwork/internal/clock"
	"github.com/latchwork/latchwork/internal/identity"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/policy"
	"github.com/latchwork/latchwork/internal/snapshot"
	"github.com/latchwork/latchwork/internal/wire"
)

const (
	// lifetime of credentials, and when new ones are made for whoever asks: clients
	// refresh theirs some minutes before the end, and find new ones in good time.
	// Source: ECS Developer Guide, "Amazon ECS task IAM role"; EC2 User Guide, "Retrieve
	// security credentials from instance metadata": new ones are there five minutes
	// before the old ones expire.
	lifetime = 6 * time.Hour
	renewal  = lifetime / 2
	// maxSessions bounds how many workloads' credentials are remembered.
	maxSessions = 20000
)

// Config says what the service works with.
type Config struct {
	// Current gives the snapshot in force; nil before the first one.
	Current func() *snapshot.Snapshot
	Tokens  interface {
		Mint(p identity.Principal, now, expiry time.Time) (accessKeyID, secret, sessionToken string, err error)
	}
	// Secrets seals the tokens of the metadata service.
	Secrets interface {
		Seal(plaintext []byte, aad string) ([]byte, error)
		Open(sealed []byte, aad string) ([]byte, error)
	}
	// TokensOptional lets instances ask for metadata without a token, as the first
	// version of the metadata service does.
	TokensOptional bool
	Partition      string
	Audit          *audit.Writer
	// Decided is told every decision, for metrics.
	Decided func(authz.Cause, authz.Stage)
	Clock   clock.Clock
	Log     *slog.Logger
}

// Service hands out credentials.
type Service struct {
	cfg      Config
	mu       sync.Mutex
	sessions map[string]*session
}

// New makes the service.
func New(cfg Config) *Service { return &Service{cfg: cfg, sessions: map[string]*session{}} }

// session holds the credentials of a workload.
type session struct {
	roleID, roleARN    string
	accessKeyID, token string
	secret             wire.Secret
	made, expires      time.Time
}

// The service principals whom roles trust.
const (
	serviceTasks     = "ecs-tasks.amazonaws.com"
	serviceInstances = "ec2.amazonaws.com"
)

// errUnassumable says that a workload cannot have its role: there is none, or it does
// not trust the service.
var errUnassumable = errors.New("the role is gone or does not trust the service")

// credentials are those of a workload's role. Whether it may have the role is decided
// each time, so that a change of the trust policy counts at once; new keys are made
// only when the old ones get old.
func (s *Service) credentials(snap *snapshot.Snapshot, b *model.Binding, roleARN string, from netip.Addr) (*session, error) {
	who := &identity.Principal{Kind: identity.Service, Name: serviceInstances}
	if b.Kind == model.ECSTask {
		who.Name = serviceTasks
	}
	now := s.cfg.Clock()
	role, ok := snap.EntityByARN(roleARN)
	if !ok || role.Kind != identity.AssumedRole {
		s.note(b, who, roleARN, from, http.StatusForbidden, "there is no role "+roleARN)
		return nil, errUnassumable
	}
	q := authz.OfRole(role, who, "sts:AssumeRole", s.keys(snap, b, who, role, now))
	d := authz.Decide(snap, q)
	s.cfg.Decided(d.Cause, d.Stage)
	if !d.Allowed {
		s.note(b, who, roleARN, from, http.StatusForbidden, d.DeniedText(q))
		return nil, errUnassumable
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if have := s.sessions[b.ARN]; have != nil && have.roleID == role.ID && now.Before(have.made.Add(renewal)) {
		return have, nil
	}
	// The answers have whole seconds, and must not promise more than there is.
	made := &session{roleID: role.ID, roleARN: role.ARN, made: now.Truncate(time.Second)}
	made.expires = made.made.Add(lifetime)
	p := identity.RoleSession(s.cfg.Partition, role.Account, role.ARN, role.ID, role.Name, b.ID)
	p.Session.IssuedAt, p.Session.Expires = made.made, made.expires
	if b.Kind == model.EC2Instance {
		p.Session.Instance, p.Session.Keys = true, s.instanceKeys(b)
	}
	id, secret, token, err := s.cfg.Tokens.Mint(p, made.made, made.expires)
	if err != nil {
		return nil, err
	}
	made.accessKeyID, made.secret, made.token = id, wire.Secret(secret), token
	if len(s.sessions) >= maxSessions {
		clear(s.sessions)
	}
	s.sessions[b.ARN] = made
	s.note(b, who, roleARN, from, http.StatusOK, "")
	return made, nil
}

// keys are the condition keys of a service that takes a role for a workload.
type keys struct {
	own    policy.MapKeys
	caller authz.CallerKeys
	role   *snapshot.Entity
}

func (s *Service) keys(snap *snapshot.Snapshot, b *model.Binding, who *identity.Principal, role *snapshot.Entity, now time.Time) *keys {
	k := &keys{own: policy.MapKeys{}, caller: authz.CallerKeys{Snap: snap, Principal: who, Now: now}, role: role}
	k.own.Set("sts:RoleSessionName", b.ID)
	if b.Kind == model.ECSTask {
		// Source: ECS Developer Guide, "Amazon ECS task IAM role", its trust policy with
		// conditions against the confused deputy.
		scope := b.ScopeOf(s.cfg.Partition)
		k.own.Set("aws:SourceAccount", b.Account)
		k.own.Set("aws:SourceArn", scope.ARN("ecs", "task/"+b.ID))
	}
	return k
}

// instanceKeys are the condition keys of an instance's session. Where version 1 of
// the metadata service is let in, nobody can tell how the keys were had.
// Source: Service Authorization Reference, "Condition keys for Amazon EC2",
// ec2:RoleDelivery and ec2:SourceInstanceArn.
func (s *Service) instanceKeys(b *model.Binding) map[string][]string {
	delivery := "2.0"
	if s.cfg.TokensOptional {
		delivery = "1.0"
	}
	scope := b.ScopeOf(s.cfg.Partition)
	return map[string][]string{"ec2:roledelivery": {delivery}, "ec2:sourceinstancearn": {scope.ARN("ec2", "instance/"+b.ID)}}
}

// Lookup implements policy.Keys.
func (k *keys) Lookup(key *policy.Key) (policy.Values, bool) {
	if key.ID == policy.ResourceTag {
		return authz.Tag(k.role.Tags, key.Tail)
	}
	if v, ok := k.own.Lookup(key); ok {
		return v, true
	}
	return k.caller.Lookup(key)
}

// note writes down that a workload got new keys, or why it did not.
func (s *Service) note(b *model.Binding, who *identity.Principal, roleARN string, from netip.Addr, status int, message string) {
	e := &audit.CallEntry{
		Time: s.cfg.Clock().UTC(), Service: "sts", Operation: "AssumeRole", Caller: who.Name, Account: b.Account, Region: b.Region,
		SourceIP: from.String(), Resources: []string{b.ARN, roleARN}, Status: status, Message: message,
	}
	if status != http.StatusOK {
		e.Code = "AccessDenied"
		s.cfg.Log.Warn("a workload does not get its role", "binding", b.ARN, "role", roleARN, "reason", message)
	}
	s.cfg.Audit.Call(e)
}

// timeText is whole seconds: Envoy does not read fractions.
func timeText(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// client is the address that a request comes from.
func client(r *http.Request) netip.Addr {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return from.Addr().Unmap()
}
