package policy_test

import (
	"fmt"
	"testing"

	"github.com/latchwork/latchwork/internal/policy"
)

func BenchmarkMatch(b *testing.B) {
	for _, n := range []int{1, 10, 100} {
		var statements []string
		for i := range n - 1 {
			statements = append(statements, fmt.Sprintf(`{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:role/other-%d"},"Action":"vpc-lattice-svcs:Invoke","Resource":"arn:aws:vpc-lattice:us-west-2:123456789012:service/svc-%d/*"}`, i, i))
		}
		statements = append(statements, `{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:role/rates-client"},"Action":"vpc-lattice-svcs:Invoke","Resource":"arn:aws:vpc-lattice:us-west-2:123456789012:service/svc-1/*","Condition":{"StringEquals":{"vpc-lattice-svcs:RequestMethod":"GET"}}}`)
		c := compile(b, policy.AuthPolicy, documentOf(statements))
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

type method struct{}

func (method) Lookup(k *policy.Key) (policy.Values, bool) {
	if k.ID == policy.SvcsRequestMethod {
		return policy.Single("GET"), true
	}
	return policy.Values{}, false
}
