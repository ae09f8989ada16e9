//go:build conformance

package conformance

import (
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
	d.close(t, 230)
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
	callers *caseCallers
	lattice *vpclattice.Client
	// state is what the network and the service are now.
	state map[string]string
	// vpcs gives the ids of VPCs that cases state, and addresses in them.
	vpcs    map[string]string
	sources map[string]string
}

func newCaseWorld(t *testing.T, tests []*policytest.Test) *caseWorld {
	t.Helper()
	w := build(t, "NONE", "NONE", "--config", writeAccounts(t, tests), "--conformance", "observed")
	c := &caseWorld{
		world: w, callers: newCaseCallers(w.installation), state: map[string]string{},
		vpcs: map[string]string{"vpc-0123456789abcdef0": w.vpc}, sources: map[string]string{w.vpc: "127.0.0.1"},
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
		_, err := c.lattice.CreateServiceNetworkVpcAssociation(c.callers.ctx, &vpclattice.CreateServiceNetworkVpcAssociationInput{ServiceNetworkIdentifier: &w.network, VpcIdentifier: &vpc})
		c.must(err)
	}
	c.callers.texts = c.real
	return c
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
		if who := test.Query.Principal; who.Account != "" {
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
		_, err := c.lattice.UpdateServiceNetwork(c.callers.ctx, &vpclattice.UpdateServiceNetworkInput{ServiceNetworkIdentifier: &c.network, AuthType: latticetypes.AuthType(authType)})
		return err
	})
	c.guard(c.service, in.Service.AuthType, in.Service.Policy, func(authType string) error {
		_, err := c.lattice.UpdateService(c.callers.ctx, &vpclattice.UpdateServiceInput{ServiceIdentifier: &c.service, AuthType: latticetypes.AuthType(authType)})
		return err
	})
	c.tag(in.Service.Tags)
	a := c.request(test, c.callers.caller(test))
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
		_, err := c.lattice.DeleteAuthPolicy(c.callers.ctx, &vpclattice.DeleteAuthPolicyInput{ResourceIdentifier: &id})
		c.must(err)
	} else {
		_, err := c.lattice.PutAuthPolicy(c.callers.ctx, &vpclattice.PutAuthPolicyInput{ResourceIdentifier: &id, Policy: &text})
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
	_, err := c.lattice.TagResource(c.callers.ctx, &vpclattice.TagResourceInput{ResourceArn: &c.arn, Tags: tags})
	c.must(err)
	c.state["tags"] = want
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
