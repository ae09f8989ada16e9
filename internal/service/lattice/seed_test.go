package lattice

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice"
)

// The policies that people begin with: the examples of the user guide's page
// "Control access to VPC Lattice services using auth policies", on one line, and
// the templates of AWS's console.
var seedPolicies = map[string]string{
	"example 1":               `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"vpc-lattice-svcs:Invoke","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalOrgID":["o-123456example"]}}}]}`,
	"example 2":               `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":["arn:aws:iam::123456789012:role/rates-client"]},"Action":"vpc-lattice-svcs:Invoke","Resource":["arn:aws:vpc-lattice:us-west-2:123456789012:service/svc-0123456789abcdef0/*"],"Condition":{"StringEquals":{"vpc-lattice-svcs:RequestMethod":"GET"}}}]}`,
	"example 3":               `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"vpc-lattice-svcs:Invoke","Resource":"*","Condition":{"StringNotEquals":{"aws:PrincipalType":"Anonymous"},"StringEquals":{"vpc-lattice-svcs:SourceVpc":"vpc-1a2b3c4d"}}}]}`,
	"authenticated":           `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{"StringNotEqualsIgnoreCase":{"aws:PrincipalType":"anonymous"}}}]}`,
	"everybody":               `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}`,
	"ten digits and patterns": `{"Statement":[{"Effect":"Allow","Principal":"*","Action":"vpc-lattice-svcs:Invoke","Resource":["arn:aws:vpc-lattice:us-west-2:1234567890:service/svc-0123456789abcdef0/rates","*/rates","*/*"]}]}`,
}

// TestSeedPolicies are accepted as they are, on services and service networks, and
// come back as they were sent.
func TestSeedPolicies(t *testing.T) {
	both(t, func(t *testing.T, kind string) {
		g := newGuarded(t, kind)
		for name, text := range seedPolicies {
			if out := must[*vpclattice.PutAuthPolicyOutput](g.world)(g.put(text)); *out.Policy != text || *g.get().Policy != text {
				t.Errorf("%s: answered %s", name, *out.Policy)
			}
			// Pasted over several lines, it is refused with what can be pasted instead.
			if _, err := g.put(strings.Replace(text, ",", ",\r\n  ", 1)); err == nil || !strings.Contains(err.Error(), text) {
				t.Errorf("%s with a newline: %v", name, err)
			}
		}
	})
}

// TestWarnings: what is legal and probably not meant is stored and said in the log.
func TestWarnings(t *testing.T) {
	var log bytes.Buffer
	w := newWorld(t, func(c *Config) { c.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	v := w.service("rates")
	put := func(text string) string {
		t.Helper()
		log.Reset()
		must[any](w)(w.PutAuthPolicy(ctx, &vpclattice.PutAuthPolicyInput{ResourceIdentifier: v.Id, Policy: aws.String(text)}))
		return log.String()
	}
	if said := put(seedPolicies["example 2"]); said != "" {
		t.Errorf("of the user guide's example: %s", said)
	}
	// The user guide prints a service's ARN alone as a resource, which no HTTP
	// request has.
	said := put(strings.Replace(compact, `"Resource":"*"`, `"Resource":"`+*v.Arn+`"`, 1))
	if !strings.Contains(said, "resource="+*v.Arn) || !strings.Contains(said, "add /*") {
		t.Errorf("of a service's ARN alone: %q", said)
	}
}
