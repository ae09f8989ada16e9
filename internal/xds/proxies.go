package xds

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/latchwork/latchwork/internal/audit"
	"github.com/latchwork/latchwork/internal/authz"
	"github.com/latchwork/latchwork/internal/store"
)

// Proxy is one Envoy that is connected, for people to look at.
type Proxy struct {
	ConnectionID string    `json:"connectionId"`
	Endpoint     string    `json:"endpoint"`
	Account      string    `json:"account"`
	MeshOwner    string    `json:"meshOwner"`
	NodeID       string    `json:"nodeId"`
	Principal    string    `json:"principal"`
	Role         string    `json:"role,omitzero"`
	SourceIP     string    `json:"sourceIp"`
	UserAgent    string    `json:"userAgent,omitzero"`
	Since        time.Time `json:"since"`
	// Authorized is false where the Envoy is served although its principal has not
	// the permission.
	Authorized  bool `json:"authorized"`
	Incremental bool `json:"incremental"`
	// Revision is the newest that the Envoy has acknowledged, 0 for none; Current is
	// the one in force, and InStep says that the Envoy has what it says.
	Revision   store.Revision `json:"revision"`
	Current    store.Revision `json:"current"`
	InStep     bool           `json:"inStep"`
	Rejections int            `json:"rejections"`
	// Rejected holds the error texts of the last responses that the Envoy refused, by
	// type.
	Rejected map[string]string `json:"rejected,omitzero"`
	// Problem is why the endpoint cannot be translated any more.
	Problem string `json:"problem,omitzero"`
	// Explanation is why the Envoy is authorized or not.
	Explanation *authz.Explanation `json:"explanation,omitzero"`
}

// Attempt is one Envoy that was refused.
type Attempt struct {
	Time        time.Time          `json:"time"`
	Endpoint    string             `json:"endpoint,omitzero"`
	Account     string             `json:"account,omitzero"`
	NodeID      string             `json:"nodeId,omitzero"`
	Principal   string             `json:"principal"`
	SourceIP    string             `json:"sourceIp"`
	Code        int                `json:"code"`
	Text        string             `json:"text"`
	Times       int                `json:"times"`
	Explanation *authz.Explanation `json:"explanation,omitzero"`
}

// Proxies lists the Envoys of an account that are connected, in order of their
// endpoints and of arrival.
func (s *Server) Proxies(account string) []Proxy {
	snap := s.cfg.Publisher.Current()
	s.mu.Lock()
	streams := make([]*stream, 0, len(s.streams))
	for st := range s.streams {
		if st.grant.endpoint.Account == account {
			streams = append(streams, st)
		}
	}
	s.mu.Unlock()
	out := make([]Proxy, 0, len(streams))
	for _, st := range streams {
		p := st.show(snap.Revision())
		if v, _ := s.decide(snap, st.grant); v.question != nil {
			p.Explanation = new(authz.Explain(snap, v.question))
		}
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b Proxy) int {
		return cmp.Or(cmp.Compare(a.Endpoint, b.Endpoint), a.Since.Compare(b.Since), cmp.Compare(a.ConnectionID, b.ConnectionID))
	})
	return out
}

// show tells of a stream; newest is the revision in force.
func (st *stream) show(newest store.Revision) Proxy {
	current := st.entry.state()
	c := st.grant.caller
	st.mu.Lock()
	defer st.mu.Unlock()
	p := Proxy{
		ConnectionID: st.id, Endpoint: st.grant.arn, Account: st.grant.endpoint.Account, NodeID: st.node.GetId(),
		Principal: c.principal.Display(), SourceIP: c.request.Remote.Addr().String(), Since: st.opened.UTC(),
		UserAgent: line(st.node.GetUserAgentName(), 256), Authorized: st.authorized, Incremental: st.incremental,
		Revision: st.acked, Current: newest, InStep: st.acked >= newest,
	}
	if version := st.node.GetUserAgentBuildVersion().GetVersion(); version != nil {
		p.UserAgent += fmt.Sprintf("/%d.%d.%d", version.GetMajorNumber(), version.GetMinorNumber(), version.GetPatch())
	}
	if c.principal.Session != nil {
		p.Role = c.principal.IssuerARN
	}
	if current.mesh != nil {
		p.MeshOwner = current.mesh.MeshOwner
	}
	if current.problem != nil {
		p.Problem = current.problem.Error()
	}
	for k := range kinds {
		p.Rejections += st.subs[k].rejections
		if sub := &st.subs[k]; sub.refuses(current.tables[k]) {
			if p.Rejected == nil {
				p.Rejected = map[string]string{}
			}
			p.Rejected[typeURLs[k]] = sub.rejected
		}
	}
	return p
}

// attempt is a stream that was refused.
type attempt struct {
	caller  *caller
	node    string
	claim   claim
	verdict verdict
	err     error
}

// attempts keeps the last refusals; those that are alike are one, as Envoys come
// back every few seconds.
type attempts struct {
	mu   sync.Mutex
	list []Attempt
}

// maxAttempts bounds how many refusals are kept.
const maxAttempts = 256

func (a *attempts) add(n Attempt) (first bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range a.list {
		old := &a.list[i]
		if old.Endpoint == n.Endpoint && old.Principal == n.Principal && old.SourceIP == n.SourceIP && old.Text == n.Text && old.NodeID == n.NodeID {
			n.Times = old.Times + 1
			a.list = append(slices.Delete(a.list, i, i+1), n)
			return false
		}
	}
	if len(a.list) == maxAttempts {
		a.list = slices.Delete(a.list, 0, 1)
	}
	n.Times = 1
	a.list = append(a.list, n)
	return true
}

// Refused lists the Envoys of an account that were refused, the newest first. What
// named no endpoint and was not signed belongs to nobody and is shown to all.
func (s *Server) Refused(account string) []Attempt {
	s.attempts.mu.Lock()
	defer s.attempts.mu.Unlock()
	out := []Attempt{}
	for i := len(s.attempts.list) - 1; i >= 0; i-- {
		if a := s.attempts.list[i]; a.Account == "" || a.Account == account {
			out = append(out, a)
		}
	}
	return out
}

// refused takes down a stream that was refused.
func (s *Server) refused(a *attempt) {
	now := s.cfg.Clock().UTC()
	code := status.Code(a.err)
	shown := Attempt{
		Time: now, NodeID: a.node, Principal: a.caller.principal.Display(), SourceIP: a.caller.request.Remote.Addr().String(),
		Code: int(code), Text: status.Convert(a.err).Message(),
		// Who named no endpoint is told of in the account of whoever asked.
		Account: cmp.Or(a.claim.endpoint.Account, a.caller.principal.Account),
	}
	if a.claim.endpoint.Name != "" {
		shown.Endpoint = a.claim.endpoint.ARN()
	}
	if a.verdict.question != nil {
		shown.Explanation = new(authz.Explain(s.cfg.Publisher.Current(), a.verdict.question))
	}
	level := slog.LevelDebug
	if s.attempts.add(shown) {
		level = slog.LevelWarn
	}
	s.cfg.Log.Log(context.Background(), level, "an Envoy was refused", "endpoint", shown.Endpoint, "principal", shown.Principal, "source", shown.SourceIP, "code", code.String(), "text", shown.Text)
	if code == codes.Unauthenticated && a.caller.principal.IsAnonymous() {
		return // not anybody's event
	}
	s.audit(audit.StreamTerminated, newID(), &grant{caller: a.caller, claim: a.claim, arn: shown.Endpoint}, a.node, a.verdict, shown.Text)
}

// opened takes down a stream that begins, closed one that has ended.
func (s *Server) opened(st *stream, v verdict) {
	s.audit(audit.StreamEstablished, st.id, st.grant, st.node.GetId(), v, "")
	s.cfg.Log.Debug("an Envoy is connected", "endpoint", st.grant.arn, "principal", st.grant.caller.principal.Display(), "authorized", v.authorized)
}

func (s *Server) closed(st *stream, err error) {
	s.leave(st)
	if code := status.Code(err); code == codes.OK || code == codes.Canceled {
		s.audit(audit.StreamGracefullyTerminated, st.id, st.grant, st.node.GetId(), verdict{}, "")
		return
	}
	s.audit(audit.StreamTerminated, st.id, st.grant, st.node.GetId(), verdict{}, status.Convert(err).Message())
	s.cfg.Log.Info("an Envoy was cut off", "endpoint", st.grant.arn, "principal", st.grant.caller.principal.Display(), "error", err)
}

// rejected takes down that a proxy refused what it was sent.
func (s *Server) rejected(st *stream, k kind, text string) {
	s.rejections.Add(1)
	s.cfg.Log.Warn("an Envoy rejected its configuration", "endpoint", st.grant.arn, "type", typeURLs[k], "error", text)
}

func (s *Server) audit(event audit.StreamStatus, id string, g *grant, node string, v verdict, failure string) {
	p := g.caller.principal
	e := &audit.StreamEntry{
		Time: s.cfg.Clock().UTC(), EventSource: "appmesh.amazonaws.com", EventName: "StreamAggregatedResources",
		EventStatus: event, ConnectionID: id, NodeARN: g.arn, NodeID: node, Account: g.endpoint.Account,
		Caller: p.Display(), AccessKeyID: g.caller.keyID, SourceIP: g.caller.request.Remote.Addr().String(), FailureReason: failure,
	}
	if v.question != nil {
		e.Decision = v.decision.Cause.String()
		if v.decision.Policy != nil {
			e.Policy = cmp.Or(v.decision.Policy.ARN, v.decision.Policy.Name)
		}
	}
	s.cfg.Audit.Stream(e)
}

// newID names a connection.
func newID() string { return rand.Text() }

// Counts are the numbers of the service, for metrics.
type Counts struct {
	Streams, Endpoints, Unauthorized int
	Rejections, Unsigned             int64
	// Pushes are responses by short names of types.
	Pushes map[string]int64
}

// shortNames of the kinds, as Envoy abbreviates them.
var shortNames = [kinds]string{"cds", "eds", "sds", "lds", "rds"}

// Counts gives the numbers as they are now.
func (s *Server) Counts() Counts {
	c := Counts{Rejections: s.rejections.Load(), Unsigned: s.unsigned.Load(), Pushes: map[string]int64{}}
	for k := range kinds {
		c.Pushes[shortNames[k]] = s.pushes[k].Load()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c.Streams, c.Endpoints = len(s.streams), len(s.proxies)
	for st := range s.streams {
		st.mu.Lock()
		if !st.authorized {
			c.Unauthorized++
		}
		st.mu.Unlock()
	}
	return c
}
