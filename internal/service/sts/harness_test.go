package sts

import (
	"context"
	"encoding/xml"
	"errors"
	"log/slog"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/latchwork/latchwork/internal/awsapi"
	"github.com/latchwork/latchwork/internal/clock"
	"github.com/latchwork/latchwork/internal/fault"
	"github.com/latchwork/latchwork/internal/identity"
	"github.com/latchwork/latchwork/internal/inbound"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/oidc"
	wire "github.com/latchwork/latchwork/internal/wire/sts"
)

const account = "123456789012"

var now = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

// world is STS behind a dispatcher; it stands in for everything that STS asks.
type world struct {
	t          *testing.T
	api        *awsapi.API
	operations map[string]*awsapi.Operation
	caller     *identity.Principal
	roles      map[string]Role
	policies   []string
	providers  map[string]*model.OIDCProvider
	// asked are the questions to the Decider; deny lists actions it refuses.
	asked []Ask
	deny  []string
	// authorized are the dispatcher's questions, as "action resource".
	authorized []string
	keys       [][]awsapi.Key
	// minted are the principals that got credentials.
	minted   []identity.Principal
	lifetime time.Duration
	broken   error
}

func (w *world) Role(_ context.Context, arn string) (Role, bool) {
	r, ok := w.roles[arn]
	return r, ok
}

func (w *world) HasPolicy(_ context.Context, arn string) bool {
	return slices.Contains(w.policies, arn)
}

func (w *world) OIDCProvider(_ context.Context, account, issuer string) (*model.OIDCProvider, bool) {
	p, ok := w.providers[account+" "+issuer]
	return p, ok
}

func (w *world) AssumeRole(_ context.Context, ask Ask) error {
	w.asked = append(w.asked, ask)
	if w.broken != nil {
		return w.broken
	}
	if slices.Contains(w.deny, ask.Action) {
		return fault.New("AccessDenied", "secret reason: policy arn:aws:iam::1:policy/p")
	}
	return nil
}

func (w *world) Mint(p identity.Principal, expiry time.Time) (id, secret, token string, err error) {
	w.minted = append(w.minted, p)
	w.lifetime = expiry.Sub(p.Session.IssuedAt)
	return "ASIAQEXAMPLEEXAMPLE1", "secret", "token", nil
}

func (w *world) Authenticate(context.Context, *inbound.Request, []byte, awsapi.Expectation) (awsapi.Caller, error) {
	return awsapi.Caller{Principal: w.caller, Region: "us-east-1", Service: "sts"}, nil
}

func (w *world) Authorize(_ context.Context, c *awsapi.Call) error {
	w.authorized = append(w.authorized, c.Action+" "+c.Resources[0].ARN)
	w.keys = append(w.keys, c.Keys)
	if slices.Contains(w.deny, c.Action) {
		return fault.New("AccessDenied", "User: %s is not authorized to perform: %s", c.Caller.Principal.ARN, c.Action)
	}
	return nil
}

const roleARN = "arn:aws:iam::" + account + ":role/team/App"

func userCaller() *identity.Principal {
	arn := "arn:aws:iam::" + account + ":user/Alice"
	return &identity.Principal{
		Kind: identity.User, Partition: "aws", Account: account, ARN: arn, IssuerARN: arn, IssuerID: "AIDAALICE",
		UserID: "AIDAALICE", Name: "Alice", AccessKeyID: "AKIAALICE",
	}
}

func rootCaller() *identity.Principal {
	arn := "arn:aws:iam::" + account + ":root"
	return &identity.Principal{
		Kind: identity.Root, Partition: "aws", Account: account, ARN: arn, IssuerARN: arn, IssuerID: account, UserID: account,
	}
}

func sessionCaller(session identity.Session) *identity.Principal {
	return &identity.Principal{
		Kind: identity.AssumedRole, Partition: "aws", Account: account,
		ARN:       "arn:aws:sts::" + account + ":assumed-role/First/s1",
		IssuerARN: "arn:aws:iam::" + account + ":role/First", IssuerID: "AROAFIRST", UserID: "AROAFIRST:s1", Name: "First",
		Session: &session,
	}
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		t: t, caller: userCaller(),
		roles: map[string]Role{
			roleARN: {
				ARN: roleARN, ID: "AROAAPP", Account: account, Name: "App", MaxSession: 2 * time.Hour,
				Tags: map[string]string{"Team": "core"},
			},
			"arn:aws:iam::210987654321:role/Far": {
				ARN: "arn:aws:iam::210987654321:role/Far", ID: "AROAFAR", Account: "210987654321", Name: "Far", MaxSession: time.Hour,
			},
		},
		policies: []string{"arn:aws:iam::aws:policy/ReadOnlyAccess", "arn:aws:iam::" + account + ":policy/own", "arn:aws:iam::210987654321:policy/far"},
	}
	binding := New(Config{World: w, Decider: w, Tokens: w, Clock: clock.Fixed(now), Partition: "aws", Authorizer: w, Identities: oidc.NewVerifier(clock.Fixed(now))})
	if gaps := binding.Gaps(); len(gaps) > 0 {
		t.Fatal(gaps)
	}
	api, err := awsapi.New(awsapi.Config{
		Bindings: []awsapi.Binding{binding}, Authenticator: w, Authorizer: w,
		Clock: clock.Fixed(now), Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	w.api = api
	w.operations = map[string]*awsapi.Operation{}
	for i := range binding.Operations {
		w.operations[binding.Operations[i].Name] = &binding.Operations[i]
	}
	return w
}

// reply is an answer: members of encoding/xml's own matching have the names of the
// wire types' fields, which are AWS's.
type reply struct {
	status             int
	AssumeRole         wire.AssumeRoleResponse                `xml:"AssumeRoleResult"`
	WebIdentity        wire.AssumeRoleWithWebIdentityResponse `xml:"AssumeRoleWithWebIdentityResult"`
	GetSessionToken    wire.GetSessionTokenResponse           `xml:"GetSessionTokenResult"`
	GetFederationToken wire.GetFederationTokenResponse        `xml:"GetFederationTokenResult"`
	GetCallerIdentity  wire.GetCallerIdentityResponse         `xml:"GetCallerIdentityResult"`
	GetAccessKeyInfo   wire.GetAccessKeyInfoResponse          `xml:"GetAccessKeyInfoResult"`
	Error              struct{ Code, Message string }
}

func (w *world) call(op string, params ...string) *reply {
	w.t.Helper()
	form := url.Values{"Action": {op}, "Version": {"2011-06-15"}}
	for _, p := range params {
		name, value, ok := strings.Cut(p, "=")
		if !ok {
			w.t.Fatalf("parameter %q", p)
		}
		form.Add(name, value)
	}
	r := httptest.NewRequest("POST", "http://sts.example/", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	rec := httptest.NewRecorder()
	w.api.ServeHTTP(rec, r)
	out := &reply{}
	if err := xml.Unmarshal(rec.Body.Bytes(), out); err != nil {
		w.t.Fatal(err)
	}
	out.status = rec.Code
	return out
}

func (w *world) ok(op string, params ...string) *reply {
	w.t.Helper()
	out := w.call(op, params...)
	if out.status != 200 {
		w.t.Fatalf("%s %v: %d %s: %s", op, params, out.status, out.Error.Code, out.Error.Message)
	}
	return out
}

// fails is call for an operation that must be refused and give no credentials.
func (w *world) fails(status int, code, message, op string, params ...string) {
	w.t.Helper()
	before := len(w.minted)
	out := w.call(op, params...)
	if out.status != status || out.Error.Code != code || out.Error.Message != message {
		w.t.Errorf("%s %v:\n got %d %s: %s\nwant %d %s: %s", op, params,
			out.status, out.Error.Code, out.Error.Message, status, code, message)
	}
	if !wire.API.Knows(w.operations[op], code) {
		w.t.Errorf("%s may not answer %s", op, code)
	}
	if len(w.minted) != before {
		w.t.Errorf("%s %v was refused and gave credentials", op, params)
	}
}

var errBroken = errors.New("the decision function is on fire")
