//go:build conformance

package conformance

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const site = "http://rates.example.com"

// TestSigned: who signs reaches the service, over TLS and by any of its names, and the
// target is told who it is. What each client signs is in TestSignerMatrix.
func TestSigned(t *testing.T) {
	w := build(t, "NONE", "AWS_IAM")
	who := w.role("rates-client", invokeAll)
	w.put(w.service, fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::%s:role/rates-client"},"Action":"vpc-lattice-svcs:Invoke","Resource":"%s/*"}]}`, account, w.arn))
	const caller = "Principal=arn:aws:sts::" + account + ":assumed-role/rates-client/test; SessionName=test; Type=AWS_IAM"
	check := func(t *testing.T, text string) {
		t.Helper()
		var e echo
		if err := json.Unmarshal([]byte(text), &e); err != nil {
			t.Fatalf("the backend's answer: %v\n%s", err, text)
		}
		if got := e.Headers.Get("X-Amzn-Lattice-Identity"); got != caller {
			t.Errorf("identity header %q, want %q", got, caller)
		}
		for _, gone := range []string{"Authorization", "X-Amz-Security-Token"} {
			if e.Headers.Get(gone) != "" {
				t.Errorf("%s reached the target", gone)
			}
		}
	}
	t.Run("AWS SDK for Go", func(t *testing.T) {
		for _, url := range []string{site + "/rates", "https://rates.example.com/a%2Fb?q=%20", "http://" + w.domain + "/"} {
			a := w.send(request{method: "PUT", url: url, body: "x", who: who})
			if a.status != http.StatusOK {
				t.Fatalf("%s: %d %s", url, a.status, a.body)
			}
			check(t, a.body)
		}
	})
	t.Run("latchwork curl", func(t *testing.T) {
		out, errs, code := w.command(w.admin, binary, "curl", "--data-dir", w.dir, "--role", "rates-client", "--session", "test", "-H", "X-A: b", "-d", "hello", site+"/rates")
		if code != 0 {
			t.Fatalf("exit %d\n%s%s", code, out, errs)
		}
		check(t, out)
		out, errs, code = w.command(w.admin, binary, "curl", "--data-dir", w.dir, "--role", "rates-client", "--session", "test", "https://"+w.domain+"/rates")
		if code != 0 {
			t.Fatalf("over TLS: exit %d\n%s%s", code, out, errs)
		}
		check(t, out)
		out, errs, code = w.command(w.admin, binary, "curl", "--data-dir", w.dir, "--anonymous", site+"/rates")
		mustContain(t, "the denial", out, "AccessDeniedException: User: anonymous is not authorized to perform: vpc-lattice-svcs:Invoke on resource: "+w.arn+"/rates because no service-based policy allows the vpc-lattice-svcs:Invoke action")
		mustContain(t, "the hint", errs, "latchwork explain ")
		if code != 4 {
			t.Errorf("a denied request: exit %d, want 4", code)
		}
	})
	t.Run("wrong signatures", func(t *testing.T) {
		before := w.backend.count()
		for _, test := range []struct {
			name, want string
			q          request
		}{
			{"another secret", "InvalidSignatureException: The request signature we calculated does not match", request{who: identity{who.id, "wrong", who.token}}},
			{"unknown key", "UnrecognizedClientException: ", request{who: identity{id: "AKIAAAAAAAAAAAAAAAAA", secret: "x"}}},
			{"token of another key", "UnrecognizedClientException: ", request{who: identity{w.admin.id, w.admin.secret, who.token}}},
			{"payload signed", "InvalidSignatureException: Signed payloads are not supported", request{who: who, change: func(r *http.Request) {
				r.Header.Set("X-Amz-Content-Sha256", strings.Repeat("0", 64))
			}}},
			{"payload header gone", "IncompleteSignatureException: ", request{who: who, change: func(r *http.Request) { r.Header.Del("X-Amz-Content-Sha256") }}},
			{"path changed", "InvalidSignatureException: ", request{who: who, change: func(r *http.Request) { r.URL.Path = "/admin" }}},
			{"half a signature", "IncompleteSignatureException: ", request{headers: [][2]string{{"Authorization", "AWS4-HMAC-SHA256 Credential=x"}}}},
		} {
			test.q.method, test.q.url = "GET", site+"/rates"
			a := w.send(test.q)
			if a.status != http.StatusForbidden || !strings.HasPrefix(a.body, test.want) {
				t.Errorf("%s: %d %q, want 403 %q", test.name, a.status, a.body, test.want)
			}
		}
		if w.backend.count() != before {
			t.Error("a request with a wrong signature reached the target")
		}
	})
}

// TestSeedExamples puts the three example policies of the user guide's page on the
// network and checks that each allows and denies what the page says.
func TestSeedExamples(t *testing.T) {
	const org = "o-123456example"
	config := filepath.Join(t.TempDir(), "latchwork.yaml")
	yaml := fmt.Sprintf("accounts:\n- id: %q\n  organization-id: %s\n- id: \"444455556666\"\n", account, org)
	if err := os.WriteFile(config, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	w := build(t, "AWS_IAM", "NONE", "--config", config)
	member := w.role("rates-client", invokeAll)
	other := w.role("other", invokeAll)
	// A role of an account outside of the organization.
	stranger := w.administrator("444455556666")
	w.aws(stranger, "iam", "create-role", "--role-name", "rates-client", "--assume-role-policy-document",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"444455556666"},"Action":"sts:AssumeRole"}]}`)
	w.aws(stranger, "iam", "put-role-policy", "--role-name", "rates-client", "--policy-name", "invoke", "--policy-document", invokeAll)
	outside := w.assume(stranger, "444455556666", "rates-client")
	anonymous := identity{}
	type try struct {
		name   string
		who    identity
		method string
		want   int
	}
	run := func(name, document string, tries ...try) {
		t.Run(name, func(t *testing.T) {
			w.put(w.network, document)
			for _, x := range tries {
				a := w.send(request{method: x.method, url: site + "/rates", who: x.who})
				if a.status != x.want {
					t.Errorf("%s, %s: %d %s, want %d", x.name, x.method, a.status, a.body, x.want)
				}
			}
		})
	}
	run("example 1, an organization",
		`{ "Version": "2012-10-17", "Statement": [ { "Effect": "Allow", "Principal": "*", "Action": "vpc-lattice-svcs:Invoke", "Resource": "*", "Condition": { "StringEquals": { "aws:PrincipalOrgID": [ "`+org+`" ] } } } ] }`,
		try{"member", member, "GET", 200}, try{"another member", other, "DELETE", 200}, try{"outside", outside, "GET", 403}, try{"anonymous", anonymous, "GET", 403})
	run("example 2, a role",
		`{ "Version":"2012-10-17", "Statement":[ { "Effect": "Allow", "Principal": { "AWS": [ "arn:aws:iam::`+account+`:role/rates-client" ] }, "Action": "vpc-lattice-svcs:Invoke", "Resource": [ "`+w.arn+`/*" ], "Condition": { "StringEquals": { "vpc-lattice-svcs:RequestMethod": "GET" } } } ] }`,
		try{"role", member, "GET", 200}, try{"role", member, "POST", 403}, try{"another role", other, "GET", 403},
		try{"the same name elsewhere", outside, "GET", 403}, try{"anonymous", anonymous, "GET", 403})
	vpcOnly := `{ "Version": "2012-10-17", "Statement": [ { "Effect": "Allow", "Principal": "*", "Action": "vpc-lattice-svcs:Invoke", "Resource": "*", "Condition": { "StringNotEquals": { "aws:PrincipalType": "Anonymous" }, "StringEquals": { "vpc-lattice-svcs:SourceVpc": "%s" } } } ] }`
	run("example 3, a VPC", fmt.Sprintf(vpcOnly, w.vpc),
		try{"in it", member, "GET", 200}, try{"in it, of another account", outside, "GET", 200}, try{"anonymous", anonymous, "GET", 403})
	run("example 3, another VPC", fmt.Sprintf(vpcOnly, "vpc-1a2b3c4d"), try{"not in it", member, "GET", 403})
	run("console template", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{"StringNotEqualsIgnoreCase":{"aws:PrincipalType":"anonymous"}}}]}`,
		try{"signed", member, "GET", 200}, try{"anonymous", anonymous, "GET", 403})
	run("everybody", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}`, try{"anonymous", anonymous, "GET", 200})
}

// TestConditionKeys checks every row of the user guide's table of condition keys.
func TestConditionKeys(t *testing.T) {
	w := build(t, "NONE", "AWS_IAM")
	network := strings.Replace(w.arn, "service/"+w.service, "servicenetwork/"+w.network, 1)
	for _, test := range []struct {
		condition string
		yes, no   request
	}{
		{`"NumericEquals":{"vpc-lattice-svcs:Port":"80"}`, request{}, request{url: "https://rates.example.com/"}},
		{`"StringEquals":{"vpc-lattice-svcs:RequestMethod":"GET"}`, request{}, request{method: "PUT"}},
		{
			`"StringEquals":{"vpc-lattice-svcs:RequestHeader/content-type":"application/json"}`,
			request{headers: [][2]string{{"Content-Type", "application/json"}}},
			request{headers: [][2]string{{"Content-Type", "text/plain"}}},
		},
		{
			`"StringEquals":{"vpc-lattice-svcs:RequestHeader/x-role":"reader"}`,
			request{headers: [][2]string{{"X-Role", "reader"}}},
			request{headers: [][2]string{{"X-Role", "reader"}, {"X-Role", "admin"}}},
		},
		{
			`"ForAnyValue:StringEquals":{"vpc-lattice-svcs:RequestQueryString/quux":["corge","grault"]}`,
			request{url: site + "/?quux=x&quux=grault"},
			request{url: site + "/?quux=x&Quux=grault"},
		},
		{`"StringEquals":{"vpc-lattice-svcs:RequestQueryString/quux":"corge"}`, request{url: site + "/?quux=%63orge"}, request{url: site + "/?quux=corge&quux=admin"}},
		{`"StringEquals":{"vpc-lattice-svcs:RequestPath":"/rates"}`, request{url: site + "/rates?x=1"}, request{url: site + "/rates/"}},
		{`"ArnEquals":{"vpc-lattice-svcs:ServiceNetworkArn":"` + network + `"}`, request{}, request{url: "no"}},
		{`"StringEquals":{"vpc-lattice-svcs:ServiceArn":"` + w.arn + `"}`, request{}, request{url: "no"}},
		{`"StringEquals":{"vpc-lattice-svcs:SourceVpc":"` + w.vpc + `"}`, request{}, request{url: "no"}},
		{`"StringEquals":{"vpc-lattice-svcs:SourceVpcOwnerAccount":"` + account + `"}`, request{}, request{url: "no"}},
		{`"IpAddress":{"aws:SourceIp":"127.0.0.0/8"}`, request{}, request{url: "no"}},
		{`"Bool":{"aws:SecureTransport":"true"}`, request{url: "https://rates.example.com/"}, request{}},
	} {
		t.Run(test.condition, func(t *testing.T) {
			send := func(q request) int {
				if q.method == "" {
					q.method = "GET"
				}
				if q.url == "" {
					q.url = site + "/"
				}
				return w.send(q).status
			}
			document := func(effect string) string {
				return `{"Version":"2012-10-17","Statement":[{"Effect":"` + effect + `","Principal":"*","Action":"vpc-lattice-svcs:Invoke","Resource":"*","Condition":{` + test.condition + `}}]}`
			}
			w.put(w.service, document("Allow"))
			if got := send(test.yes); got != 200 {
				t.Errorf("a request that meets the condition: %d", got)
			}
			if test.no.url != "no" {
				if got := send(test.no); got != 403 {
					t.Errorf("a request that does not: %d", got)
				}
				return
			}
			// The value is the only one there can be here: try another in the policy.
			w.put(w.service, strings.NewReplacer(account, "999999999999", `"vpc-0`, `"vpc-9`, "127.0.0.0/8", "10.0.0.0/8").Replace(document("Allow")))
			if got := send(test.yes); got != 403 {
				t.Errorf("with another value in the policy: %d", got)
			}
		})
	}
}

// TestLayers: network, service and identity must all allow, and an explicit deny
// of any wins.
func TestLayers(t *testing.T) {
	w := build(t, "AWS_IAM", "AWS_IAM")
	allow := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}`
	deny := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"},{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*/secret"}]}`
	able, unable := w.role("able", invokeAll), w.role("unable", "")
	expect := func(what string, who identity, path, want string) {
		t.Helper()
		a := w.send(request{method: "GET", url: site + path, who: who})
		if want == "" && a.status != 200 || want != "" && (a.status != 403 || !strings.HasSuffix(a.body, want)) {
			t.Errorf("%s: %d %s, want %q", what, a.status, a.body, want)
		}
	}
	const no = " policy allows the vpc-lattice-svcs:Invoke action"
	expect("AWS_IAM without any policy", able, "/", "because no network-based"+no)
	w.put(w.network, allow)
	expect("the service has no policy", able, "/", "because no service-based"+no)
	w.put(w.service, allow)
	expect("all allow", able, "/", "")
	expect("no identity policy, same account", unable, "/", "because no identity-based"+no)
	expect("anonymous needs no identity policy", identity{}, "/", "")
	w.put(w.service, deny)
	expect("explicit deny of the service", able, "/secret", "with an explicit deny in a service-based policy")
	w.put(w.service, allow)
	w.put(w.network, deny)
	expect("explicit deny of the network", able, "/secret", "with an explicit deny in a network-based policy")
	w.put(w.network, allow)
	w.aws(w.admin, "iam", "put-role-policy", "--role-name", "able", "--policy-name", "deny", "--policy-document",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}`)
	expect("explicit deny of the identity", able, "/", "with an explicit deny in an identity-based policy")
}
