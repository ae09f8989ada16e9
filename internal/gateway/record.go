package gateway

import (
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/latchwork/latchwork/internal/authz"
	"github.com/latchwork/latchwork/internal/credential"
	"github.com/latchwork/latchwork/internal/identity"
	"github.com/latchwork/latchwork/internal/inbound"
	"github.com/latchwork/latchwork/internal/sigv4"
)

// Recorder remembers the last requests, so that their decisions can be explained.
// It keeps what the decision was made on and explains only when asked: an
// explanation costs a hundred times a decision.
type Recorder struct {
	mu sync.Mutex
	// served are the requests that reached a service, strays the others: anybody can
	// send those, and they must not take the place of what somebody wants to know.
	served, strays ring
	byID           map[string]*exchange
}

// ring holds the newest exchanges; next is where the oldest of them is.
type ring struct {
	exchanges []*exchange
	next      int
}

// push takes an exchange up and gives the one that falls out; nil if none does.
func (r *ring) push(x *exchange) (old *exchange) {
	old, r.exchanges[r.next] = r.exchanges[r.next], x
	r.next = (r.next + 1) % len(r.exchanges)
	return old
}

// newest is the i-th newest exchange; nil if there are not so many.
func (r *ring) newest(i int) *exchange {
	n := len(r.exchanges)
	return r.exchanges[(r.next-1-i+2*n)%n]
}

// NewRecorder makes a Recorder of the last size requests that reach a service, and of
// some that do not.
func NewRecorder(size int) *Recorder {
	return &Recorder{
		served: ring{exchanges: make([]*exchange, size)}, strays: ring{exchanges: make([]*exchange, size/8+1)},
		byID: make(map[string]*exchange, 2*size),
	}
}

func (r *Recorder) add(x *exchange) {
	to := &r.served
	if x.Service == nil {
		to, x = &r.strays, x.stray()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if old := to.push(x); old != nil {
		for _, id := range []string{old.decisionID, old.requestID} {
			if r.byID[id] == old {
				delete(r.byID, id)
			}
		}
	}
	// An id that the client chose names its newest request, and never takes the
	// place of one of ours, nor that of a stray the place of one that was served.
	if other := r.byID[x.requestID]; other == nil || other.decisionID != x.requestID && (x.Service != nil || other.Service == nil) {
		r.byID[x.requestID] = x
	}
	r.byID[x.decisionID] = x
}

// stray is what is kept of an exchange that has reached no service and has been
// refused: no more than is explained of it. What anybody can send must not fill the
// memory.
func (x *exchange) stray() *exchange {
	const most = 1024
	clip := func(text string) string { return strings.Clone(text[:min(len(text), most)]) }
	return &exchange{
		Invocation: authz.Invocation{
			In:   &inbound.Request{Method: clip(x.In.Method), Target: clip(x.In.Path()), Authority: clip(x.In.Authority), Remote: x.In.Remote},
			Port: x.Port,
		},
		requestID: clip(x.requestID), decisionID: x.decisionID, started: x.started, snap: x.snap, result: x.result,
	}
}

// Explanation is one request of the data plane and why it was answered as it was.
type Explanation struct {
	RequestID       string             `json:"requestId"`
	ClientRequestID string             `json:"clientRequestId,omitzero"`
	Time            time.Time          `json:"time"`
	Revision        int64              `json:"revision"`
	Method          string             `json:"method"`
	Host            string             `json:"host"`
	Path            string             `json:"path"`
	Port            int64              `json:"port"`
	Status          int                `json:"status"`
	Account         string             `json:"account,omitzero"`
	Service         string             `json:"service,omitzero"`
	Network         string             `json:"network,omitzero"`
	VPC             string             `json:"vpc,omitzero"`
	VPCEvidence     string             `json:"vpcEvidence,omitzero"`
	Note            string             `json:"note,omitzero"`
	Action          string             `json:"action,omitzero"`
	Resource        string             `json:"resource,omitzero"`
	Caller          CallerResult       `json:"caller"`
	Signature       SignatureResult    `json:"signature"`
	Decision        *authz.Explanation `json:"decision,omitzero"`
	FailureReason   string             `json:"failureReason,omitzero"`
}

// CallerResult says who the caller was.
type CallerResult struct {
	Type    string            `json:"type"`
	ARN     string            `json:"arn,omitzero"`
	Account string            `json:"account,omitzero"`
	Issuer  string            `json:"issuer,omitzero"`
	OrgID   string            `json:"organizationId,omitzero"`
	Address string            `json:"address"`
	Tags    map[string]string `json:"tags,omitzero"`
}

// SignatureResult says what became of the signature: "valid", "none", "refused" or
// "not checked".
type SignatureResult struct {
	State       string   `json:"state"`
	Error       string   `json:"error,omitzero"`
	AccessKeyID string   `json:"accessKeyId,omitzero"`
	Algorithm   string   `json:"algorithm,omitzero"`
	Scope       string   `json:"scope,omitzero"`
	Signed      []string `json:"signedHeaders,omitzero"`
	// Diagnosis is there for a signature that was looked at.
	Diagnosis *sigv4.Diagnosis `json:"diagnosis,omitzero"`
}

// Last stands for the last request that was refused.
const Last = "last"

// refused finds the newest request that the gateway refused and that an account may
// see. r.mu must be held.
func (r *Recorder) refused(account string) *exchange {
	for i := range r.served.exchanges {
		x := r.served.newest(i)
		if x == nil {
			return nil
		}
		if (x.signatureErr != nil || x.decided && !x.decision.Allowed) && x.visible(account) {
			return x
		}
	}
	return nil
}

// visible tells whether an account may see a request: it was for a service of the
// account, or reached none and belongs to nobody in particular.
func (x *exchange) visible(account string) bool {
	return x.Service == nil || x.Service.Account == account
}

// Explain explains a request to an account by the request's id, by the first digits
// of it, or the Last. A client may call its request "last": that is not its name.
func (r *Recorder) Explain(id, account string, authenticator *credential.Authenticator) (*Explanation, bool) {
	r.mu.Lock()
	var x *exchange
	if id == Last {
		x = r.refused(account)
	} else if x = r.byID[id]; x != nil && !x.visible(account) {
		x = nil
	} else if x == nil {
		// The first digits are enough, if they name one request.
		for known, candidate := range r.byID {
			if len(id) >= 4 && strings.HasPrefix(known, id) && candidate.visible(account) {
				if x != nil && x != candidate {
					x = nil
					break
				}
				x = candidate
			}
		}
	}
	r.mu.Unlock()
	if x == nil {
		return nil, false
	}
	return x.explain(authenticator), true
}

func (x *exchange) explain(authenticator *credential.Authenticator) *Explanation {
	e := &Explanation{
		RequestID: x.decisionID, Time: x.started.UTC(), Method: x.In.Method, Host: x.In.Authority, Path: x.In.Path(),
		Port:      x.Port,
		Caller:    CallerResult{Type: identity.Anonymous.String(), Address: x.In.Remote.Addr().String()},
		Signature: SignatureResult{State: "not checked"},
	}
	if x.requestID != x.decisionID {
		e.ClientRequestID = x.requestID
	}
	x.mu.Lock()
	e.Status, e.FailureReason = x.result.status, x.result.failure
	x.mu.Unlock()
	if x.snap != nil {
		e.Revision = int64(x.snap.Revision())
	}
	if x.VPC != nil {
		e.VPC, e.VPCEvidence = x.VPC.ID, x.VPC.Evidence
	}
	if x.Service == nil {
		e.Note = "no service of the service network that this client enters through has this host name and a listener on this port, or the request was refused before anybody looked"
		return e
	}
	e.Account, e.Service, e.Network = x.Service.Account, x.Service.ARN, x.Network.ARN
	e.Action, e.Resource = authz.Invoke, x.Resource()
	if x.asked() && (x.decided || x.signatureErr != nil) {
		e.Signature = x.explainSignature(authenticator)
	}
	if x.authenticated {
		p := x.principal
		e.Caller = CallerResult{
			Type: p.Kind.String(), ARN: p.ARN, Account: p.Account, Issuer: p.IssuerARN,
			OrgID: x.snap.Account(p.Account).OrgID, Address: e.Caller.Address,
		}
		for _, t := range principalTags(x.snap, p) {
			if e.Caller.Tags == nil {
				e.Caller.Tags = map[string]string{}
			}
			e.Caller.Tags[t.key] = t.value
		}
	}
	if x.decided {
		d := authz.Explain(x.snap, x.Query())
		e.Decision = &d
	}
	return e
}

func (x *exchange) explainSignature(authenticator *credential.Authenticator) SignatureResult {
	out := SignatureResult{State: "none"}
	if s := x.signature; s != nil {
		out = SignatureResult{
			State: "valid", AccessKeyID: s.ShownKeyID(), Algorithm: s.Algorithm, Scope: s.Scope, Signed: s.SignedHeaders,
			// What is left of the request is not what was signed: see Strip.
			Diagnosis: &sigv4.Diagnosis{Valid: true},
		}
	}
	if refusal, ok := errors.AsType[*sigv4.Error](x.signatureErr); ok {
		out.State, out.Error = "refused", refusal.Error()
		out.Diagnosis = new(authenticator.Diagnose(x.snap, x.In, x.expect(), refusal))
	}
	return out
}
