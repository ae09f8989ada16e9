// Package workload gives workloads the credentials of their roles, in the ways in
// which AWS does: as the agent of ECS does to tasks, as the metadata service of EC2
// does to instances, and as the Pod Identity agent of EKS does to pods. A binding says
// who gets which role.
package workload

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/latchwork/latchwork/internal/audit"
	"github.com/latchwork/latchwork/internal/authz"
	"github.com/latchwork/latchwork/internal/clock"
	"github.com/latchwork/latchwork/internal/identity"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/oidc"
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
		Mint(p identity.Principal, expiry time.Time) (accessKeyID, secret, sessionToken string, err error)
	}
	// Secrets seals the tokens of the metadata service.
	Secrets interface {
		Seal(plaintext []byte, aad string) ([]byte, error)
		Open(sealed []byte, aad string) ([]byte, error)
	}
	// Identities verifies the tokens of pods, which are those of PodAccount's clusters.
	Identities interface {
		Verify(ctx context.Context, p *model.OIDCProvider, t *oidc.Token) (*oidc.Claims, error)
	}
	PodAccount string
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

// delivery is what credentials are asked for.
type delivery struct {
	*model.Binding
	role string
	// session is the name of the session; of a binding for several workloads it tells
	// them apart.
	session string
	// tags of the session, all of them transitive.
	tags map[string]string
	from netip.Addr
}

// errUnassumable says that a workload cannot have its role: there is none, or it does
// not trust the service.
var errUnassumable = errors.New("the role is gone or does not trust the service")

// credentials are those of a workload's role. Whether it may have the role is decided
// each time, so that a change of the trust policy counts at once; new keys are made
// only when the old ones get old.
func (s *Service) credentials(snap *snapshot.Snapshot, d *delivery) (*session, error) {
	who := &identity.Principal{Kind: identity.Service, Name: model.ServicePrincipal(d.Kind)}
	now := s.cfg.Clock()
	role, ok := snap.EntityByARN(d.role)
	if !ok || role.Kind != identity.AssumedRole {
		s.note(d, who, http.StatusForbidden, "there is no role "+d.role)
		return nil, errUnassumable
	}
	actions := []string{"sts:AssumeRole"}
	if len(d.tags) > 0 {
		actions = append(actions, "sts:TagSession")
	}
	keys := s.keys(snap, d, who, role, now)
	for _, action := range actions {
		q := authz.OfRole(role, who, action, keys)
		decision := authz.Decide(snap, q)
		s.cfg.Decided(decision.Cause, decision.Stage)
		if !decision.Allowed {
			s.note(d, who, http.StatusForbidden, decision.DeniedText(q))
			return nil, errUnassumable
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	key := d.ARN + " " + d.session
	if have := s.sessions[key]; have != nil && have.roleID == role.ID && now.Before(have.made.Add(renewal)) {
		return have, nil
	}
	// The answers have whole seconds, and must not promise more than there is.
	made := &session{roleID: role.ID, roleARN: role.ARN, made: now.Truncate(time.Second)}
	made.expires = made.made.Add(lifetime)
	p := identity.RoleSession(s.cfg.Partition, role.Account, role.ARN, role.ID, role.Name, d.session)
	p.Session.IssuedAt, p.Session.Expires = made.made, made.expires
	p.Session.Tags, p.Session.TransitiveKeys = d.tags, slices.Sorted(maps.Keys(d.tags))
	if d.Kind == model.EC2Instance {
		p.Session.Instance, p.Session.Keys = true, s.instanceKeys(d.Binding)
	}
	id, secret, token, err := s.cfg.Tokens.Mint(p, made.expires)
	if err != nil {
		return nil, err
	}
	made.accessKeyID, made.secret, made.token = id, wire.Secret(secret), token
	if len(s.sessions) >= maxSessions {
		clear(s.sessions)
	}
	s.sessions[key] = made
	s.note(d, who, http.StatusOK, "")
	return made, nil
}

// keys are the condition keys of a service that takes a role for a workload.
type keys struct {
	own    policy.MapKeys
	caller authz.CallerKeys
	role   *snapshot.Entity
}

func (s *Service) keys(snap *snapshot.Snapshot, d *delivery, who *identity.Principal, role *snapshot.Entity, now time.Time) *keys {
	k := &keys{own: policy.MapKeys{}, caller: authz.CallerKeys{Snap: snap, Principal: who, Owner: role.Account, Now: now}, role: role}
	k.own.Set("sts:RoleSessionName", d.session)
	// Sources: ECS Developer Guide, "Amazon ECS task IAM role", and EKS User Guide, "EKS
	// Pod Identity role trust policies": conditions against the confused deputy.
	scope := d.ScopeOf(s.cfg.Partition)
	switch d.Kind {
	case model.ECSTask:
		k.own.Set("aws:SourceAccount", d.Account)
		k.own.Set("aws:SourceArn", scope.ARN("ecs", "task/"+d.ID))
	case model.EKSPod:
		k.own.Set("aws:SourceAccount", d.Account)
		k.own.Set("aws:SourceArn", scope.ARN("eks", "cluster/"+d.Cluster))
	}
	if len(d.tags) > 0 {
		names := slices.Sorted(maps.Keys(d.tags))
		for _, name := range names {
			k.own.Set("aws:RequestTag/"+name, d.tags[name])
		}
		k.own.Set("aws:TagKeys", names...)
		k.own.Set("sts:TransitiveTagKeys", names...)
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
func (s *Service) note(d *delivery, who *identity.Principal, status int, message string) {
	e := &audit.CallEntry{
		Time: s.cfg.Clock().UTC(), Service: "sts", Operation: "AssumeRole", Caller: who.Name, Account: d.Account, Region: d.Region,
		SourceIP: d.from.String(), Resources: []string{d.ARN, d.role}, Status: status, Message: message,
	}
	if status != http.StatusOK {
		e.Code = "AccessDenied"
		s.cfg.Log.Warn("a workload does not get its role", "binding", d.ARN, "role", d.role, "reason", message)
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
