package policy_test

import (
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/latchwork/latchwork/internal/policy"
)

// sizes are numbers of statements.
var sizes = []int{1, 10, 100, 1000, 10000}

// benchmarkMatch decides one request by a policy of n statements, of which the
// last allows.
func benchmarkMatch(b *testing.B, kind policy.Kind, other func(i int) string, last string) {
	for _, n := range sizes {
		var statements []string
		for i := range n - 1 {
			statements = append(statements, other(i))
		}
		c := compile(b, kind, documentOf(append(statements, last)))
		r := &policy.Request{
			Principal: principals["session"], Action: "vpc-lattice-svcs:Invoke",
			Resource: "arn:aws:vpc-lattice:us-west-2:123456789012:service/svc-1/rates/today", Keys: method{},
		}
		b.Run(fmt.Sprintf("statements=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if c.Match(r).Verdict != policy.Allow {
					b.Fatal("not allowed")
				}
			}
		})
	}
}

const isGet = `"Condition":{"StringEquals":{"vpc-lattice-svcs:RequestMethod":"GET"}}`

// BenchmarkMatch is an auth policy with a statement a role.
func BenchmarkMatch(b *testing.B) {
	benchmarkMatch(b, policy.AuthPolicy, func(i int) string {
		return fmt.Sprintf(`{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:role/other-%d"},"Action":"vpc-lattice-svcs:Invoke","Resource":"arn:aws:vpc-lattice:us-west-2:123456789012:service/svc-%d/*"}`, i, i)
	}, `{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:role/rates-client"},"Action":"vpc-lattice-svcs:Invoke","Resource":"arn:aws:vpc-lattice:us-west-2:123456789012:service/svc-1/*",`+isGet+`}`)
}

// BenchmarkResources are auth policies whose statements are all for everybody and
// differ in what they are about, by patterns of several forms.
func BenchmarkResources(b *testing.B) {
	for _, form := range []struct{ name, other, last string }{
		{"beginning", "arn:aws:vpc-lattice:us-west-2:123456789012:service/svc-1/other-%d/*", "arn:aws:vpc-lattice:us-west-2:123456789012:service/svc-1/rates/*"},
		{"end", "*/other-%d", "*/today"},
		{"inside", "*/other-%d/*", "*/rates/*"},
		{"part", "arn:aws:vpc-lattice:us-west-2:123456789012:service/svc-1/other-%d-*", "arn:aws:vpc-lattice:us-west-2:123456789012:service/svc-1/ra*"},
		{"region", "arn:aws:vpc-lattice:*:123456789012:service/svc-1/other-%d/*", "arn:aws:vpc-lattice:*:123456789012:service/svc-1/rates/*"},
		{"variable", "*/other-%d/${aws:username}/*", "*/rates/*"},
	} {
		b.Run(form.name, func(b *testing.B) {
			benchmarkMatch(b, policy.AuthPolicy, func(i int) string {
				return fmt.Sprintf(`{"Effect":"Allow","Principal":"*","Action":"vpc-lattice-svcs:Invoke","Resource":"`+form.other+`"}`, i)
			}, `{"Effect":"Allow","Principal":"*","Action":"vpc-lattice-svcs:Invoke","Resource":"`+form.last+`",`+isGet+`}`)
		})
	}
}

// BenchmarkConditions are statements that only a condition tells apart, of which
// there are a few.
func BenchmarkConditions(b *testing.B) {
	benchmarkMatch(b, policy.AuthPolicy, func(i int) string {
		return fmt.Sprintf(`{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{"StringLike":{"vpc-lattice-svcs:RequestMethod":"P*%d"}}}`, i%5)
	}, `{"Effect":"Allow","Principal":"*","Action":"vpc-lattice-svcs:Invoke","Resource":"*",`+isGet+`}`)
}

// BenchmarkIdentity is an identity policy that speaks of other services first.
func BenchmarkIdentity(b *testing.B) {
	benchmarkMatch(b, policy.Identity, func(i int) string {
		return fmt.Sprintf(`{"Effect":"Allow","Action":["s3:GetObject","s3:List*"],"Resource":"arn:aws:s3:::bucket-%d/*"}`, i)
	}, `{"Effect":"Allow","Action":"vpc-lattice-svcs:Invoke","Resource":"arn:aws:vpc-lattice:*:123456789012:service/svc-1/*",`+isGet+`}`)
}

// BenchmarkVariable is a statement with a policy variable.
func BenchmarkVariable(b *testing.B) {
	c := compile(b, policy.AuthPolicy, documentOf([]string{
		`{"Effect":"Allow","Principal":"*","Action":"vpc-lattice-svcs:Invoke","Resource":"*/${vpc-lattice-svcs:RequestMethod}/*","Condition":{"StringLike":{"vpc-lattice-svcs:RequestMethod":"${vpc-lattice-svcs:RequestMethod}"}}}`,
	}))
	r := &policy.Request{Principal: principals["session"], Action: "vpc-lattice-svcs:Invoke", Resource: "arn:aws:vpc-lattice:r:1:service/svc-1/GET/x", Keys: method{}}
	b.ReportAllocs()
	for b.Loop() {
		if c.Match(r).Verdict != policy.Allow {
			b.Fatal("not allowed")
		}
	}
}

// BenchmarkWorst are patterns of a kilobyte and a text of eight that nearly match
// everywhere: what a matcher that tries each place would take seconds for.
func BenchmarkWorst(b *testing.B) {
	text := strings.Repeat("a", 8000)
	for _, form := range []struct{ name, pattern string }{
		{"stars", strings.Repeat("*a", 500) + "*b"},
		{"a long stretch", "*" + strings.Repeat("a", 1000) + "b*"},
		{"any character", "*" + strings.Repeat("a?", 500) + "b*"},
	} {
		b.Run(form.name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				if policy.Glob(form.pattern, text) {
					b.Fatal("matched")
				}
			}
		})
	}
}

// BenchmarkCompile makes documents ready, beside what encoding/json takes for their
// texts alone. B/statement is what is kept of one.
func BenchmarkCompile(b *testing.B) {
	for _, n := range []int{1, 40, 10000} {
		var statements []string
		for i := range n {
			statements = append(statements, fmt.Sprintf(`{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:role/app-%d"},"Action":"vpc-lattice-svcs:Invoke","Resource":"arn:aws:vpc-lattice:us-west-2:123456789012:service/svc-%d/*",%s}`, i%200, i, isGet))
		}
		text := documentOf(statements)
		b.Run(fmt.Sprintf("statements=%d/json", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				var d struct {
					Version   string
					Statement []struct {
						Effect, Action, Resource string
						Principal                map[string]string
						Condition                map[string]map[string]string
					}
				}
				if err := json.Unmarshal([]byte(text), &d); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("statements=%d/compile", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				compile(b, policy.AuthPolicy, text)
			}
		})
		b.Run(fmt.Sprintf("statements=%d/kept", n), func(b *testing.B) {
			many := max(1, 10000/n)
			kept := make([]*policy.Compiled, many)
			var before, after runtime.MemStats
			for b.Loop() {
				clear(kept)
				runtime.GC()
				runtime.ReadMemStats(&before)
				for i := range kept {
					kept[i] = compile(b, policy.AuthPolicy, strings.Clone(text))
				}
				runtime.GC()
				runtime.ReadMemStats(&after)
			}
			b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(many*n), "B/statement")
			b.ReportMetric(float64(len(text))/float64(n), "B-of-text/statement")
			runtime.KeepAlive(kept)
		})
	}
}

type method struct{}

func (method) Lookup(k *policy.Key) (policy.Values, bool) {
	if k.ID == policy.SvcsRequestMethod {
		return policy.Single("GET"), true
	}
	return policy.Values{}, false
}
