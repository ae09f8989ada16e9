//go:build conformance

package conformance

import (
	"cmp"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// probe is a request that every signer is asked to sign: a row of the table.
type probe struct {
	name, title string
	method      string
	target      string // "/rates" if none
	canonical   string // the target in the form that is signed, if it is another
	body        string
	headers     [][2]string
	region      string // that of the server if none
	port        bool   // the URL has one
	plain       bool   // the signer is not told that the payload is not signed
	longTerm    bool   // signed with an access key of a user
	wrong       bool   // signed with another secret
	presign     bool
	http2       bool
	grpc        bool
	service     string // of the API, by its signing name; that of the gateway if none
	upload      bool   // the body comes from a file
}

var probes = []probe{
	{name: "get", title: "`GET`"},
	{name: "post", title: "`POST` with a body", method: "POST", body: `{"rate":1}`, headers: [][2]string{{"Content-Type", "application/json"}}},
	{name: "put", title: "`PUT` with a body", method: "PUT", body: "a=1&b=é", headers: [][2]string{{"Content-Type", "text/plain; charset=utf-8"}}},
	{name: "upload", title: "`PUT` of a file", method: "PUT", body: "x", upload: true},
	{name: "path-space", title: "path `/a%20b`", target: "/a%20b"},
	{name: "path-slash", title: "path `/orders%2F1`", target: "/orders%2F1"},
	{name: "path-utf8", title: "path `/caf%C3%A9`", target: "/caf%C3%A9"},
	{name: "path-colon", title: "path `/arn:aws:x`", target: "/arn:aws:x"},
	{name: "query-sorted", title: "query `?a=1&b=2`", target: "/rates?a=1&b=2"},
	{name: "query-unsorted", title: "query `?b=2&a=1`", target: "/rates?b=2&a=1", canonical: "/rates?a=1&b=2"},
	{name: "query-duplicate", title: "query `?a=2&a=1`", target: "/rates?a=2&a=1", canonical: "/rates?a=1&a=2"},
	{name: "query-encoded", title: "query `?q=a%20b%2Fc`", target: "/rates?q=a%20b%2Fc"},
	{name: "query-plus", title: "query `?q=a+b`", target: "/rates?q=a+b", canonical: "/rates?q=a%20b"},
	{name: "query-%2B", title: "query `?q=a%2Bb`", target: "/rates?q=a%2Bb"},
	{name: "query-valueless", title: "query `?flag`", target: "/rates?flag", canonical: "/rates?flag="},
	{name: "query-raw", title: "query `?u=a/b:c`", target: "/rates?u=a/b:c", canonical: "/rates?u=a%2Fb%3Ac"},
	{name: "port", title: "a port in `Host`", port: true},
	{name: "header-duplicate", title: "a header twice", headers: [][2]string{{"X-Probe", "2"}, {"X-Probe", "1"}}},
	{name: "header-spaces", title: "spaces inside a header", headers: [][2]string{{"X-Probe", "a   b"}}},
	{name: "long-term", title: "a user's access key, no token", longTerm: true},
	{name: "http2", title: "HTTP/2", http2: true},
	{name: "grpc", title: "gRPC", method: "POST", target: "/grpc.health.v1.Health/Check", grpc: true},
	{name: "presigned", title: "presigned", presign: true},
	{name: "presigned-query", title: "presigned `/a%20b?b=2&a=1`", target: "/a%20b?b=2&a=1", canonical: "/a%20b?a=1&b=2", presign: true},
	{name: "presigned-plain", title: "presigned, as the signer comes", presign: true, plain: true},
	{name: "plain", title: "`POST`, as the signer comes", method: "POST", body: "x", plain: true},
	{name: "regions-all", title: "regions `*`", region: "*"},
	{name: "regions-list", title: "regions `us-east-1,us-west-2`", region: "us-east-1,us-west-2"},
	{name: "region-other", title: "another region", region: "eu-west-1"},
	{name: "secret-other", title: "another secret", wrong: true},
}

// apiProbes are sent to the API. There the payload is signed.
var apiProbes = []probe{
	{name: "iam", title: "IAM, `POST` of a form", service: "iam", method: "POST", target: "/", body: "Action=CreateUser&Version=2010-05-08&UserName=NAME&Tags.member.1.Key=x&Tags.member.1.Value=%C3%A9+y", headers: form},
	{name: "sts", title: "STS, `POST` of a form", service: "sts", method: "POST", target: "/", body: "Action=GetCallerIdentity&Version=2011-06-15", headers: form},
	{name: "lattice", title: "VPC Lattice, `POST` of JSON", service: "vpc-lattice", method: "POST", target: "/services", body: `{"name":"s-NAME","tags":{"x":"é"}}`, headers: inJSON},
	{name: "path-arn", title: "VPC Lattice, an ARN in the path", service: "vpc-lattice", target: "/services/ARN"},
	{name: "query-arn", title: "VPC Lattice, an ARN in the query", service: "vpc-lattice", target: "/servicenetworkserviceassociations?serviceIdentifier=ARN"},
	{name: "query-unsorted", title: "VPC Lattice, a query that is not sorted", service: "vpc-lattice", target: "/servicenetworkserviceassociations?serviceIdentifier=ARN&maxResults=5"},
	{name: "appmesh", title: "App Mesh, `PUT` of JSON", service: "appmesh", method: "PUT", target: "/v20190125/meshes", body: `{"meshName":"NAME"}`, headers: inJSON},
	{name: "upload", title: "App Mesh, `PUT` of a file", service: "appmesh", method: "PUT", target: "/v20190125/meshes", body: `{"meshName":"file-NAME"}`, headers: inJSON, upload: true},
	{name: "regions-all", title: "STS, regions `*`", service: "sts", region: "*", method: "POST", target: "/", body: "Action=GetCallerIdentity&Version=2011-06-15", headers: form},
}

var (
	form   = [][2]string{{"Content-Type", "application/x-www-form-urlencoded"}}
	inJSON = [][2]string{{"Content-Type", "application/json"}}
)

// outcome is what a word of the tables stands for.
type outcome struct {
	mark string // in docs/signers.md
	// code and text are what the answer of a refused request holds.
	code, text string
	why        string // for docs/signers.md
}

// outcomes are all that may be expected. What has no code arrives at the target.
var outcomes = map[string]outcome{
	"yes":    {mark: "yes", why: "accepted; the target receives what was asked for"},
	"form":   {mark: "yes, rewritten", why: "accepted; the client sends the query in the form that is signed: sorted, percent-encoded, `flag=` for `flag`"},
	"v4a":    {mark: "yes, SigV4A", why: "accepted, signed with SigV4A"},
	"v4":     {mark: "yes, SigV4", why: "accepted, signed with SigV4 all the same"},
	"-":      {mark: "–", why: "the client cannot be asked for it"},
	"header": {"**header**", "IncompleteSignatureException", "Missing the 'x-amz-content-sha256' in canonical headers.", "the header is neither sent nor signed"},
	"hash":   {"**payload**", "InvalidSignatureException", "Signed payloads are not supported", "the header has the hash of the body, which VPC Lattice does not accept"},
	"query":  {"**query**", "InvalidSignatureException", "The request signature we calculated does not match", "what is signed for the query is not its canonical form"},
	"twice":  {"**headers**", "IncompleteSignatureException", "SignedHeaders must be sorted, each name once.", "the header is in the list of signed headers twice"},
	"path":   {"**path**", "InvalidSignatureException", "The request signature we calculated does not match", "what is signed for the path is the path as it is, and not encoded once more"},
	"body":   {"**body**", "InvalidSignatureException", "The request signature we calculated does not match", "the hash that is signed is that of an empty body"},
	"region": {"**region**", "InvalidSignatureException", "Credential should be scoped to a valid region", "signed for a region that is not the server's"},
	"secret": {"**secret**", "InvalidSignatureException", "The request signature we calculated does not match", "the secret is not that of the access key"},
}

// TestSignerMatrix: what each signer signs is accepted or refused as the table says, the
// target receives what was signed, and it receives nothing of what is refused.
func TestSignerMatrix(t *testing.T) {
	w := build(t, "NONE", "AWS_IAM")
	const role, user = "arn:aws:iam::" + account + ":role/rates-client", "arn:aws:iam::" + account + ":user/rates-user"
	session, longTerm := w.role("rates-client", invokeAll), w.user("rates-user", invokeAll)
	w.put(w.service, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":["`+role+`","`+user+`"]},"Action":"*","Resource":"*"}]}`)
	_, group := w.healthGroup()
	w.aws(w.admin, "vpc-lattice", "create-rule", "--service-identifier", w.service, "--listener-identifier", w.listener("http"), "--name", "grpc", "--priority", "1",
		"--match", "httpMatch={pathMatch={match={prefix=/grpc.health.v1.Health}}}", "--action", "forward={targetGroups=[{targetGroupIdentifier="+group+"}]}")
	table, api := readTable(t, signerTable, signerNames()), readTable(t, signerAPITable, signerNames())
	arrived := 0
	for _, s := range signers {
		t.Run(s.name, func(t *testing.T) {
			if s.missing != nil {
				if reason := s.missing(); reason != "" {
					t.Skip(reason)
				}
			}
			var asks []ask
			for _, p := range probes {
				cell := table[p.name][s.name]
				if cell == "-" {
					continue
				}
				a := newAsk(w, s, p, session)
				a.caller = "arn:aws:sts::" + account + ":assumed-role/rates-client/test"
				if p.longTerm {
					a = newAsk(w, s, p, longTerm)
					a.caller = user
				}
				asks = append(asks, a)
				if outcomes[cell].code == "" && !p.grpc {
					arrived++
				}
			}
			for _, p := range apiProbes {
				if api[p.name][s.name] != "-" {
					asks = append(asks, newAsk(w, s, p, w.admin))
				}
			}
			for i, got := range w.askAll(t, s, asks) {
				cells := table
				if asks[i].probe.service != "" {
					cells = api
				}
				asks[i].check(t, got, cells[asks[i].probe.name][s.name])
			}
		})
	}
	if got := w.backend.count(); got != arrived {
		t.Errorf("the target received %d requests, want %d", got, arrived)
	}
}

func signerNames() (names []string) {
	for _, s := range signers {
		names = append(names, s.name)
	}
	return names
}

// listener is the id of a listener of the service, by its name.
func (w *world) listener(name string) string {
	w.t.Helper()
	for _, item := range w.aws(w.admin, "vpc-lattice", "list-listeners", "--service-identifier", w.service)["items"].([]any) {
		if l := item.(map[string]any); l["name"] == name {
			return l["id"].(string)
		}
	}
	w.t.Fatalf("no listener %s", name)
	return ""
}

// readTable reads a table of words: its first line has the columns.
func readTable(t *testing.T, text string, want []string) map[string]map[string]string {
	t.Helper()
	table := map[string]map[string]string{}
	lines := strings.Split(strings.TrimSpace(text), "\n")
	columns := strings.Fields(lines[0])
	if !slices.Equal(columns, want) {
		t.Fatalf("the columns are %q, want %q", columns, want)
	}
	for _, line := range lines[1:] {
		words := strings.Fields(line)
		if len(words) != len(columns)+1 {
			t.Fatalf("a row of %d words for %d columns: %s", len(words), len(columns), line)
		}
		row := map[string]string{}
		for i, column := range columns {
			if _, ok := outcomes[words[i+1]]; !ok {
				t.Fatalf("no outcome is %s", words[i+1])
			}
			row[column] = words[i+1]
		}
		table[words[0]] = row
	}
	return table
}

// ask is a request that a signer signs and sends, as the drivers in testdata read it.
type ask struct {
	probe  probe
	caller string // ARN that the target is told
	Server string `json:"server"` // address to connect to
	// Lines are the signer's code.
	Lines   []string    `json:"lines"`
	Send    string      `json:"send"`
	Method  string      `json:"method"`
	URL     string      `json:"url"`
	Target  string      `json:"target"`
	Headers [][2]string `json:"headers"`
	Body    string      `json:"body"`
	HTTP2   bool        `json:"http2"`
	Upload  bool        `json:"upload"`
	ID      string      `json:"id"`
	Secret  string      `json:"secret"`
	Token   string      `json:"token"`
	Region  string      `json:"region"`
}

// signed is what was answered to an ask. Code is the error's of a REST API, which is in a
// header.
type signed struct {
	Status                   int
	Code, Body, Proto, Error string
}

func newAsk(w *world, s signer, p probe, who identity) ask {
	own := strings.NewReplacer("NAME", s.name, "ARN", strings.NewReplacer(":", "%3A", "/", "%2F").Replace(w.arn)).Replace
	a := ask{
		probe: p, Server: w.http, Send: s.send, Method: cmp.Or(p.method, "GET"), Target: own(cmp.Or(p.target, "/rates")), Headers: p.headers, Body: own(p.body),
		HTTP2: p.http2, Upload: p.upload, ID: who.id, Secret: who.secret, Token: who.token, Region: cmp.Or(p.region, region),
	}
	if a.Headers == nil {
		a.Headers = [][2]string{}
	}
	if p.wrong {
		a.Secret = "wrong"
	}
	switch {
	case p.service != "":
		a.Server = strings.TrimPrefix(w.api, "http://")
		a.URL = w.api + a.Target
	case p.port:
		a.URL = site + w.http[strings.LastIndex(w.http, ":"):] + a.Target
	default:
		a.URL = site + a.Target
	}
	for _, line := range s.code(!p.plain && p.service == "", p.presign) {
		a.Lines = append(a.Lines, strings.ReplaceAll(line, "vpc-lattice-svcs", cmp.Or(p.service, "vpc-lattice-svcs")))
	}
	return a
}

// check holds what was answered against a cell of the table.
func (a ask) check(t *testing.T, got signed, cell string) {
	t.Helper()
	want := outcomes[cell]
	switch {
	case got.Error != "":
		t.Errorf("%s: want %s; the signer failed: %s", a.probe.name, cell, got.Error)
		return
	case want.code != "":
		if got.Status != http.StatusForbidden || !strings.HasPrefix(cmp.Or(got.Code, got.Body), want.code) || !strings.Contains(got.Body, want.text) {
			t.Errorf("%s: want %s, which is 403 %s: %s; got %d %s %s", a.probe.name, cell, want.code, want.text, got.Status, got.Code, got.Body)
		}
		return
	case got.Status/100 != 2:
		t.Errorf("%s: want %s; got %d %s", a.probe.name, cell, got.Status, got.Body)
		return
	}
	if want := map[bool]string{false: "HTTP/1.1", true: "HTTP/2.0"}[a.HTTP2 || a.probe.grpc]; got.Proto != want {
		t.Errorf("%s: sent over %s, want %s", a.probe.name, got.Proto, want)
	}
	if a.probe.grpc || a.probe.service != "" {
		return
	}
	var e echo
	if err := json.Unmarshal([]byte(got.Body), &e); err != nil {
		t.Errorf("%s: the backend's answer: %v\n%s", a.probe.name, err, got.Body)
		return
	}
	u, err := url.Parse(a.URL)
	if err != nil {
		t.Fatal(err)
	}
	if e.Method != a.Method || e.Host != u.Host || e.Body != a.Body {
		t.Errorf("%s: the target received %s %s with the body %q", a.probe.name, e.Method, e.Host, e.Body)
	}
	target := a.Target
	if cell == "form" || a.probe.presign && a.probe.canonical != "" {
		target = a.probe.canonical
	}
	if received := withoutSignature(e.Target); received != target {
		t.Errorf("%s: the target received %s, want %s", a.probe.name, received, target)
	}
	for _, h := range a.Headers {
		var values []string
		for _, other := range a.Headers {
			if other[0] == h[0] {
				values = append(values, other[1])
			}
		}
		// Repeated headers may be joined on the way; HTTP leaves the space open.
		received := strings.ReplaceAll(strings.Join(e.Headers[h[0]], ","), ", ", ",")
		if want := strings.Join(values, ","); received != want {
			t.Errorf("%s: the target received %s: %s, want %s", a.probe.name, h[0], received, want)
		}
	}
	if got := e.Headers.Get("X-Amzn-Lattice-Identity"); !strings.HasPrefix(got, "Principal="+a.caller+";") {
		t.Errorf("%s: the caller is %s, want %s", a.probe.name, got, a.caller)
	}
}

// withoutSignature takes the parameters of a signature out of a target, and sorts what
// is left of a presigned one: signers do as they like there.
func withoutSignature(target string) string {
	path, query, _ := strings.Cut(target, "?")
	var kept []string
	for part := range strings.SplitSeq(query, "&") {
		if part != "" && !strings.HasPrefix(part, "X-Amz-") {
			kept = append(kept, part)
		}
	}
	if strings.Contains(query, "X-Amz-Signature=") {
		slices.Sort(kept)
	}
	if len(kept) == 0 {
		return path
	}
	return path + "?" + strings.Join(kept, "&")
}

const signerTable = `
                 botocore crt    crt-a  go     smithy-go-a js     js-a   aws4fetch aws4   curl   libcurl latchwork
get              yes      yes    yes    yes    yes         yes    yes    yes       yes    yes    yes     yes
post             yes      yes    yes    yes    yes         yes    yes    yes       yes    yes    yes     yes
put              yes      yes    yes    yes    yes         yes    yes    yes       yes    yes    yes     yes
upload           -        -      -      -      -           -      -      -         -      yes    yes     -
path-space       yes      yes    yes    yes    yes         yes    yes    yes       yes    yes    yes     yes
path-slash       yes      yes    yes    yes    yes         yes    yes    yes       yes    yes    yes     yes
path-utf8        yes      yes    yes    yes    yes         yes    yes    yes       yes    yes    yes     yes
path-colon       yes      yes    yes    yes    yes         yes    yes    yes       yes    yes    yes     yes
query-sorted     yes      yes    yes    yes    yes         yes    yes    yes       yes    yes    yes     yes
query-unsorted   yes      yes    yes    form   yes         form   form   yes       yes    query  yes     form
query-duplicate  yes      yes    yes    form   yes         yes    yes    yes       yes    query  yes     form
query-encoded    yes      yes    yes    yes    yes         yes    yes    yes       yes    yes    yes     yes
query-plus       query    query  query  form   yes         form   form   yes       form   query  yes     form
query-%2B        yes      yes    yes    yes    yes         yes    yes    yes       yes    yes    yes     yes
query-valueless  yes      yes    yes    form   yes         form   form   yes       form   query  yes     form
query-raw        query    yes    yes    form   yes         form   form   yes       form   query  yes     form
port             yes      yes    yes    yes    yes         yes    yes    yes       yes    yes    yes     yes
header-duplicate yes      yes    yes    yes    yes         -      -      yes       yes    twice   yes     yes
header-spaces    yes      yes    yes    yes    yes         yes    yes    yes       yes    yes    yes     yes
long-term        yes      yes    yes    yes    yes         yes    yes    yes       yes    yes    yes     yes
http2            -        -      -      yes    yes         yes    yes    -         -      yes    yes     -
grpc             -        -      -      yes    yes         -      -      -         -      -      -       -
presigned        yes      yes    yes    yes    yes         yes    -      yes       yes    -      -       -
presigned-query  yes      yes    yes    yes    yes         yes    -      yes       yes    -      -       -
presigned-plain  header   yes    yes    header header      header -      header    header -      -       -
plain            header   header header header header      hash   hash   header    header header header  yes
regions-all      -        -      yes    -      yes         -      yes    -         -      -      -       -
regions-list     -        -      yes    -      yes         -      yes    -         -      -      -       -
region-other     region   region region region region      region region region    region region region  region
secret-other     secret   secret secret secret secret      secret secret secret    secret secret secret  secret
`

const signerAPITable = `
               botocore crt crt-a go  smithy-go-a js  js-a aws4fetch aws4 curl  libcurl latchwork
iam            yes      yes yes   yes yes         yes yes  yes       yes  yes   yes     -
sts            yes      yes yes   yes yes         yes yes  yes       yes  yes   yes     -
lattice        yes      yes yes   yes yes         yes yes  yes       yes  yes   yes     -
path-arn       yes      yes yes   yes yes         yes yes  yes       yes  path  yes     -
query-arn      yes      yes yes   yes yes         yes yes  yes       yes  yes   yes     -
query-unsorted yes      yes yes   yes yes         yes yes  yes       yes  query yes     -
appmesh        yes      yes yes   yes yes         yes yes  yes       yes  yes   yes     -
upload         -        -   -     -   -           -   -    -         -    body  body    -
regions-all    -        -   yes   -   yes         -   yes  -         -    -     -       -
`
