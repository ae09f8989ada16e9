package iam

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/latchwork/latchwork/internal/awsapi"
	"github.com/latchwork/latchwork/internal/clock"
	"github.com/latchwork/latchwork/internal/credential"
	"github.com/latchwork/latchwork/internal/fault"
	"github.com/latchwork/latchwork/internal/identity"
	"github.com/latchwork/latchwork/internal/inbound"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/snapshot"
	"github.com/latchwork/latchwork/internal/store"
	"github.com/latchwork/latchwork/internal/store/etcd"
	wire "github.com/latchwork/latchwork/internal/wire/iam"
)

// What the server puts in.
var _ = Config{Secrets: (*credential.KeyRing)(nil), State: model.State{Published: (*snapshot.Publisher)(nil)}}

var now = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

// shared is the store of all tests; each test works in an account of its own.
var shared *store.Store

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "iam")
	if err != nil {
		panic(err)
	}
	backend, err := etcd.Start(context.Background(), etcd.Embedded{
		Dir: dir, Prefix: "latchwork/", Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		panic(err)
	}
	shared = store.New(backend)
	code := m.Run()
	backend.Close()
	os.RemoveAll(dir)
	os.Exit(code)
}

// world is IAM behind a dispatcher, with everything that it asked of others.
type world struct {
	t       *testing.T
	account string
	api     *awsapi.API
	cfg     Config
	// caller of the calls; an administrator of the account at first.
	caller *identity.Principal
	// asked are the calls that came to the decision; refuse makes it say no.
	asked  []awsapi.Call
	refuse bool
	// waited is the last revision that a call waited for.
	waited store.Revision
	// unpublished makes waiting fail.
	unpublished error
	lastUsed    map[string]LastUsed
	operations  map[string]*awsapi.Operation
	// snapshot is what calls pin; nil for tests that need none.
	snapshot func() any
}

func (w *world) WaitFor(_ context.Context, r store.Revision) error {
	w.waited = r
	return w.unpublished
}

// Seal binds the plaintext to its key's id so that a test can tell.
func (w *world) Seal(plaintext []byte, aad string) ([]byte, error) {
	return []byte(aad + ":" + string(plaintext)), nil
}

func (w *world) Authenticate(context.Context, *inbound.Request, []byte, awsapi.Expectation) (awsapi.Caller, error) {
	return awsapi.Caller{Principal: w.caller, Region: "us-east-1", Service: "iam"}, nil
}

func (w *world) Authorize(_ context.Context, c *awsapi.Call) error {
	w.asked = append(w.asked, *c)
	if w.refuse {
		return fault.New("AccessDenied", "no")
	}
	return nil
}

var awsPolicies = []ManagedInfo{
	{
		ARN: "arn:aws:iam::aws:policy/AdministratorAccess", ID: "ANPAIWMBCKSKIEE64ZLYK", Name: "AdministratorAccess", Path: "/",
		Version: "v1", Document: administratorDocument, Created: now, Updated: now,
	},
	{
		ARN: "arn:aws:iam::aws:policy/job-function/ViewOnlyAccess", ID: "ANPAID22R6XPJATWOFDK6", Name: "ViewOnlyAccess", Path: "/job-function/",
		Version: "v19", Document: administratorDocument, Created: now, Updated: now,
	},
}

func newWorld(t *testing.T, quotas Quotas) *world {
	t.Helper()
	w := &world{t: t, account: fmt.Sprintf("%012d", rand.Uint64N(1e12))}
	w.caller = w.user("admin", "AIDAADMIN")
	w.cfg = Config{
		State: model.State{Store: shared, Published: w}, Clock: clock.Fixed(now), Partition: "aws", Secrets: w, Quotas: quotas,
		AWSManaged: func() []ManagedInfo { return awsPolicies },
		LastUsed: func(id string) (LastUsed, bool) {
			last, ok := w.lastUsed[id]
			return last, ok
		},
	}
	w.serve()
	return w
}

// serve makes the API anew, with the configuration as it is now.
func (w *world) serve() {
	w.t.Helper()
	binding := New(w.cfg)
	if gaps := binding.Gaps(); len(gaps) > 0 {
		w.t.Fatal(gaps)
	}
	api, err := awsapi.New(awsapi.Config{
		Bindings: []awsapi.Binding{binding}, Authenticator: w, Authorizer: w,
		Clock: clock.Fixed(now), Log: slog.New(slog.DiscardHandler), Snapshot: w.snapshot,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.api = api
	w.operations = map[string]*awsapi.Operation{}
	for i := range binding.Operations {
		w.operations[binding.Operations[i].Name] = &binding.Operations[i]
	}
}

func (w *world) user(name, id string) *identity.Principal {
	arn := "arn:aws:iam::" + w.account + ":user/" + name
	return &identity.Principal{Kind: identity.User, Account: w.account, ARN: arn, IssuerARN: arn, IssuerID: id, UserID: id, Name: name}
}

// arn of an entity of the test's account.
func (w *world) arn(resource string) string { return "arn:aws:iam::" + w.account + ":" + resource }

// revision of the store: what a refusal must leave as it was.
func (w *world) revision() store.Revision {
	w.t.Helper()
	page, err := shared.Backend().Range(context.Background(), "none/", "", 1, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	return page.Revision
}

// answer is what a call got.
type answer struct {
	t      *testing.T
	op     string
	status int
	root   *node
}

// node is an element of the answer, as it is on the wire.
type node struct {
	name     string
	text     string
	children []*node
}

func parse(r io.Reader) (*node, error) {
	root := &node{}
	stack := []*node{root}
	for dec := xml.NewDecoder(r); ; {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return root.children[0], nil
		}
		if err != nil {
			return nil, err
		}
		top := stack[len(stack)-1]
		switch token := token.(type) {
		case xml.StartElement:
			n := &node{name: token.Name.Local}
			top.children = append(top.children, n)
			stack = append(stack, n)
		case xml.EndElement:
			stack = stack[:len(stack)-1]
		case xml.CharData:
			top.text += string(token)
		}
	}
}

func (n *node) child(name string) *node {
	for _, c := range n.children {
		if c.name == name {
			return c
		}
	}
	return nil
}

// at follows a dotted path from the result; nil if it leads nowhere.
func (a *answer) at(path string) *node {
	n := a.root.child(a.op + "Result")
	if a.status != 200 {
		n = a.root
	}
	for _, name := range strings.Split(path, ".") {
		if n == nil {
			return nil
		}
		n = n.child(name)
	}
	return n
}

func (a *answer) has(path string) bool { return a.at(path) != nil }

func (a *answer) text(path string) string {
	if n := a.at(path); n != nil {
		return n.text
	}
	return ""
}

// members lists a member of each element of a list, or its text if name is "".
func (a *answer) members(path, name string) []string {
	out := []string{}
	n := a.at(path)
	if n == nil {
		return out
	}
	for _, m := range n.children {
		if name != "" {
			m = m.child(name)
		}
		if m != nil {
			out = append(out, m.text)
		}
	}
	return out
}

// call sends an operation with parameters such as "UserName=alice".
func (w *world) call(op string, params ...string) *answer {
	w.t.Helper()
	form := url.Values{"Action": {op}, "Version": {"2010-05-08"}}
	for _, p := range params {
		name, value, ok := strings.Cut(p, "=")
		if !ok {
			w.t.Fatalf("parameter %q", p)
		}
		form.Add(name, value)
	}
	r := httptest.NewRequest("POST", "http://iam.example/", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	rec := httptest.NewRecorder()
	w.api.ServeHTTP(rec, r)
	root, err := parse(rec.Body)
	if err != nil {
		w.t.Fatalf("%s: %v", op, err)
	}
	return &answer{t: w.t, op: op, status: rec.Code, root: root}
}

// ok is call for an operation that must succeed; a write must have been waited
// for.
func (w *world) ok(op string, params ...string) *answer {
	w.t.Helper()
	before := w.revision()
	w.waited = 0
	a := w.call(op, params...)
	if a.status != 200 {
		w.t.Fatalf("%s %v: %d %s: %s", op, params, a.status, a.text("Error.Code"), a.text("Error.Message"))
	}
	if after := w.revision(); after != before && w.waited != after {
		w.t.Errorf("%s wrote revision %d and waited for %d", op, after, w.waited)
	} else if after == before && w.waited != 0 {
		w.t.Errorf("%s wrote nothing and waited for %d", op, w.waited)
	}
	return a
}

// fails is call for an operation that must be refused, with an error that the
// model or the protocol knows, and must leave the store as it was.
func (w *world) fails(status int, code, message, op string, params ...string) {
	w.t.Helper()
	before := w.revision()
	a := w.call(op, params...)
	if a.status != status || a.text("Error.Code") != code || a.text("Error.Message") != message {
		w.t.Errorf("%s %v:\n got %d %s: %s\nwant %d %s: %s", op, params,
			a.status, a.text("Error.Code"), a.text("Error.Message"), status, code, message)
	}
	// AWS's CreateRole has this error, though its model does not list it.
	unlisted := op == "CreateRole" && code == "NoSuchEntity"
	if !wire.API.Knows(w.operations[op], code) && !unlisted {
		w.t.Errorf("%s may not answer %s", op, code)
	}
	if after := w.revision(); after != before {
		w.t.Errorf("%s %v was refused and stored something", op, params)
	}
}

// pages reads a list one item at a time and gives a member of each item.
func (w *world) pages(op, list, member string, params ...string) []string {
	w.t.Helper()
	out := []string{}
	marker := ""
	for range 1000 {
		args := append([]string{"MaxItems=1"}, params...)
		if marker != "" {
			args = append(args, "Marker="+marker)
		}
		a := w.ok(op, args...)
		got := a.members(list, member)
		if len(got) > 1 {
			w.t.Fatalf("%s gave %d items for MaxItems=1", op, len(got))
		}
		out = append(out, got...)
		marker = a.text("Marker")
		if truncated := a.text("IsTruncated"); truncated != fmt.Sprint(marker != "") {
			w.t.Fatalf("%s: IsTruncated %q with marker %q", op, truncated, marker)
		}
		if marker == "" {
			return out
		}
	}
	w.t.Fatalf("%s does not come to an end", op)
	return nil
}

// Documents that tests save.
const (
	identityDoc = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"vpc-lattice-svcs:Invoke","Resource":"*"}]}`
	trustDoc    = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:root"},"Action":"sts:AssumeRole"}]}`
)

// sized is an identity policy of about n characters that count.
func sized(n int) string {
	const frame = `{"Version":"2012-10-17","Statement":[{"Sid":"%s","Effect":"Allow","Action":"a:b","Resource":"*"}]}`
	return fmt.Sprintf(frame, strings.Repeat("x", n-len(frame)+2))
}
