package sigv4_test

import (
	"flag"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/latchwork/latchwork/internal/inbound"
	"github.com/latchwork/latchwork/internal/sigv4"
)

var (
	mutations    = flag.Int("mutations", 50_000, "how many changes TestEveryByteCounts makes")
	mutationSeed = flag.Uint64("mutations.seed", 0, "its seed; 0 takes a random one")
)

// mutable is a good request with the parts of it that may be changed.
type mutable struct {
	name string
	r    inbound.Request
	want sigv4.Expect
	// slow requests are changed a tenth as often.
	slow bool
	// parts are signed, free ones are not.
	signed, free []part
}

// part is a stretch of a text of a request.
type part struct {
	what       string
	text       func(*inbound.Request, *sigv4.Expect) *string
	start, end int
}

func ofTarget(r *inbound.Request, _ *sigv4.Expect) *string    { return &r.Target }
func ofMethod(r *inbound.Request, _ *sigv4.Expect) *string    { return &r.Method }
func ofAuthority(r *inbound.Request, _ *sigv4.Expect) *string { return &r.Authority }

func ofHeader(n int) func(*inbound.Request, *sigv4.Expect) *string {
	return func(r *inbound.Request, _ *sigv4.Expect) *string { return &r.Headers[n].Value }
}

// mutables are requests of each kind that the verifier takes.
func mutables(t *testing.T) []*mutable {
	api := func(service, body string) sigv4.Expect {
		return sigv4.Expect{Service: service, Now: now, Skew: 15 * time.Minute, Body: []byte(body)}
	}
	token := [2]string{"X-Amz-Security-Token", "IQoJb3JpZ2luX2VjEA4aCXVzLXdlc3QtMiJH"}
	rates := request{
		method: "POST", target: "/rates/a%20b/%C3%A9.json?a=1&b=2&b=%2B", body: "{}", service: "vpc-lattice-svcs",
		headers: [][2]string{{"X-Role", "reader of many"}, {"Content-Type", "application/json"}, token},
	}
	sts := request{
		method: "POST", target: "/api?x=1", body: "Action=GetCallerIdentity&Version=2011-06-15", service: "sts",
		headers: [][2]string{{"Content-Type", "application/x-www-form-urlencoded"}, token},
	}
	rest := request{method: "GET", target: "/services/arn%3Aaws%3Avpc-lattice?maxResults=5&nextToken=a%2Fb", service: "vpc-lattice"}
	// No parameter of the query is a path in S3's form: one byte less.
	single := rates
	single.single = true
	bases := []*mutable{
		{name: "data plane", r: *sign(t, rates), want: dataPlane()},
		{name: "data plane, S3's path", r: *sign(t, single), want: dataPlane()},
		{name: "query API", r: *sign(t, sts), want: api("sts", sts.body)},
		{name: "REST API", r: *sign(t, rest), want: api("vpc-lattice", "")},
		{name: "presigned", r: *presign(t, "sts", "/?Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Expires=300", emptyHash), want: api("sts", "")},
		{name: "SigV4A", r: *signAsymmetric(t, rates, "us-*", "eu-west-1"), want: dataPlane(), slow: true},
		{name: "SigV4A at the API", r: *signAsymmetric(t, sts, "*"), want: api("sts", sts.body), slow: true},
	}
	for _, m := range bases {
		m.find(t)
	}
	return bases
}

// find lists the parts of a request.
func (m *mutable) find(t *testing.T) {
	s, err := sigv4.Parse(&m.r)
	if err != nil {
		t.Fatalf("%s: %v", m.name, err)
	}
	add(&m.r, "x-free", "anything at all")
	whole := func(what string, text func(*inbound.Request, *sigv4.Expect) *string) part {
		return part{what: what, text: text, end: len(*text(&m.r, &m.want))}
	}
	m.signed = append(m.signed, whole("method", ofMethod), whole("target", ofTarget), whole("authority", ofAuthority))
	for i, h := range m.r.Headers {
		switch {
		case h.Name == "authorization":
			// What is between its fields is no part of what is signed.
			for _, name := range []string{"Credential=", "SignedHeaders=", "Signature="} {
				start := strings.Index(h.Value, name) + len(name)
				end := len(h.Value)
				if comma := strings.IndexByte(h.Value[start:], ','); comma >= 0 {
					end = start + comma
				}
				m.signed = append(m.signed, part{"authorization " + name, ofHeader(i), start, end})
			}
		case s.Signs(h.Name):
			m.signed = append(m.signed, whole(h.Name, ofHeader(i)))
		default:
			m.free = append(m.free, whole(h.Name, ofHeader(i)))
		}
	}
}

// change gives the request with one byte of a part replaced; ok is false if that would
// not change what the request means.
func (m *mutable) change(p part, random *rand.Rand) (r inbound.Request, want sigv4.Expect, ok bool) {
	r, want = m.r, m.want
	r.Headers = slices.Clone(m.r.Headers)
	text := p.text(&r, &want)
	at := p.start + random.IntN(p.end-p.start)
	b := []byte(*text)
	c := byte(33 + random.IntN(126-33+1))
	if b[at] == c || b[at] == ' ' {
		return r, want, false
	}
	b[at] = c
	before := *text
	*text = string(b)
	if p.what == "target" && (inbound.CheckTarget(*text) != nil || sameTarget(before, *text)) {
		return r, want, false // It never comes to a signature, or is another spelling.
	}
	return r, want, true
}

// sameTarget tells whether two targets have the same path, in bytes, and queries that
// mean the same: "%2b" and "%2B".
func sameTarget(a, b string) bool {
	pathA, queryA, _ := strings.Cut(a, "?")
	pathB, queryB, _ := strings.Cut(b, "?")
	left, errA := url.ParseQuery(queryA)
	right, errB := url.ParseQuery(queryB)
	return pathA == pathB && errA == nil && errB == nil && left.Encode() == right.Encode()
}

// TestEveryByteCounts changes one byte: of a signed part, it is refused; of an unsigned
// one, accepted.
func TestEveryByteCounts(t *testing.T) {
	seed := *mutationSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	random := rand.New(rand.NewPCG(seed, 1))
	v := sigv4.NewVerifier()
	bases := mutables(t)
	known := sigv4.Secret(secret)
	verify := func(r *inbound.Request, want sigv4.Expect) error {
		s, err := sigv4.Parse(r)
		switch {
		case err != nil:
			return err
		case s == nil:
			return sigv4.ErrMissing
		case s.AccessKeyID != creds.AccessKeyID:
			return v.Verify(r, s, nil, want)
		}
		return v.Verify(r, s, known, want)
	}
	for _, m := range bases {
		if err := verify(&m.r, m.want); err != nil {
			t.Fatalf("%s, as it was signed: %v", m.name, err)
		}
	}
	tried := map[string]int{}
	for n := 0; n < *mutations; {
		m := bases[random.IntN(len(bases))]
		if m.slow && random.IntN(10) > 0 {
			continue
		}
		parts, signed := m.signed, true
		if len(m.free) > 0 && random.IntN(8) == 0 {
			parts, signed = m.free, false
		}
		p := parts[random.IntN(len(parts))]
		if p.end == p.start {
			continue
		}
		r, want, ok := m.change(p, random)
		if !ok {
			continue
		}
		n++
		tried[m.name+", "+p.what]++
		if err := verify(&r, want); (err == nil) == signed {
			t.Fatalf("-mutations.seed=%d: %s: %s was changed to %q: %v", seed, m.name, p.what, *p.text(&r, &want), err)
		}
	}
	for _, m := range bases {
		for _, p := range m.signed {
			if *mutations >= 50_000 && tried[m.name+", "+p.what] < 20 {
				t.Errorf("%s, %s was changed %d times only", m.name, p.what, tried[m.name+", "+p.what])
			}
		}
	}
	// A body is signed at the API, and not on the data plane.
	for _, m := range bases {
		want := m.want
		want.Body = append(slices.Clone(want.Body), 'x')
		if err := verify(&m.r, want); (err == nil) != want.DataPlane {
			t.Errorf("%s: another body: %v", m.name, err)
		}
	}
}
