package policy_test

import (
	"fmt"
	"testing"

	"github.com/latchwork/latchwork/internal/policy"
)

// benchmarkMatch decides one request by a policy of n statements, of which the
// last allows.
func benchmarkMatch(b *testing.B, kind policy.Kind, other func(i int) string, last string) {
	for _, n := range []int{1, 10, 100, 1000} {
		var statements []string
		for i := range n - 1 {
			statements = append(statements, other(i))
		}
		c := compile(b, kind, documentOf(append(statements, last)))
		r := &policy.Request{
			Principal: principals["session"], Action: "vpc-lattice-svcs:Invoke",
			Resource: "arn:aws:vpc-lattice:us-west-2:123456789012:service/svc-1/rates", Keys: method{},
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

// BenchmarkEverybody is an auth policy whose statements are all for everybody and
// differ in what they are about.
func BenchmarkEverybody(b *testing.B) {
	benchmarkMatch(b, policy.AuthPolicy, func(i int) string {
		return fmt.Sprintf(`{"Effect":"Allow","Principal":"*","Action":"vpc-lattice-svcs:Invoke","Resource":"*/other-%d"}`, i)
	}, `{"Effect":"Allow","Principal":"*","Action":"vpc-lattice-svcs:Invoke","Resource":"*/rates",`+isGet+`}`)
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

type method struct{}

func (method) Lookup(k *policy.Key) (policy.Values, bool) {
	if k.ID == policy.SvcsRequestMethod {
		return policy.Single("GET"), true
	}
	return policy.Values{}, false
}
