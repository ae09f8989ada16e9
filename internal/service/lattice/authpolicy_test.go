package lattice

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice/types"
)

// guarded is a service or a service network, with what can be done to it.
type guarded struct {
	*world
	kind   string
	id     *string
	create func(name string) *string
	set    func(types.AuthType) error
	remove func() error
	// command is the one that switches its auth type off.
	command string
}

func newGuarded(t *testing.T, kind string, change ...func(*Config)) *guarded {
	t.Helper()
	w := newWorld(t, change...)
	g := &guarded{world: w, kind: kind}
	if kind == typeService {
		g.create = func(name string) *string { return w.service(name).Id }
		g.id = g.create("guarded")
		g.set = func(a types.AuthType) error {
			_, err := w.UpdateService(ctx, &vpclattice.UpdateServiceInput{ServiceIdentifier: g.id, AuthType: a})
			return err
		}
		g.remove = func() error {
			_, err := w.DeleteService(ctx, &vpclattice.DeleteServiceInput{ServiceIdentifier: g.id})
			return err
		}
		g.command = "aws vpc-lattice update-service --service-identifier " + *g.id + " --auth-type NONE"
		return g
	}
	g.create = func(name string) *string { return w.network(name).Id }
	g.id = g.create("guarded")
	g.set = func(a types.AuthType) error {
		_, err := w.UpdateServiceNetwork(ctx, &vpclattice.UpdateServiceNetworkInput{ServiceNetworkIdentifier: g.id, AuthType: a})
		return err
	}
	g.remove = func() error {
		_, err := w.DeleteServiceNetwork(ctx, &vpclattice.DeleteServiceNetworkInput{ServiceNetworkIdentifier: g.id})
		return err
	}
	g.command = "aws vpc-lattice update-service-network --service-network-identifier " + *g.id + " --auth-type NONE"
	return g
}

func (g *guarded) put(text string) (*vpclattice.PutAuthPolicyOutput, error) {
	return g.PutAuthPolicy(ctx, &vpclattice.PutAuthPolicyInput{ResourceIdentifier: g.id, Policy: &text})
}

func (g *guarded) get() *vpclattice.GetAuthPolicyOutput {
	g.t.Helper()
	return must[*vpclattice.GetAuthPolicyOutput](g.world)(g.GetAuthPolicy(ctx, &vpclattice.GetAuthPolicyInput{ResourceIdentifier: g.id}))
}

func (g *guarded) delete() (*vpclattice.DeleteAuthPolicyOutput, error) {
	return g.DeleteAuthPolicy(ctx, &vpclattice.DeleteAuthPolicyInput{ResourceIdentifier: g.id})
}

// both runs a test on a service and on a service network.
func both(t *testing.T, test func(*testing.T, string)) {
	for _, kind := range []string{typeService, typeNetwork} {
		t.Run(kind, func(t *testing.T) { test(t, kind) })
	}
}

// TestPolicyState follows the auth type, without another put.
// Source: VPC Lattice User Guide, "Change auth type".
func TestPolicyState(t *testing.T) {
	both(t, func(t *testing.T, kind string) {
		g := newGuarded(t, kind)
		for _, a := range []types.AuthType{"NONE", "AWS_IAM"} {
			if err := g.set(a); err != nil {
				t.Fatal(err)
			}
			if got := g.get(); got.Policy != nil || got.State != "" || got.CreatedAt != nil {
				t.Errorf("%s without a policy: %+v", a, got)
			}
		}
		if out := must[*vpclattice.PutAuthPolicyOutput](g.world)(g.put(compact)); out.State != "Active" || *out.Policy != compact {
			t.Errorf("put %+v", out)
		}
		put := g.get()
		for range 2 {
			for _, step := range []struct {
				auth types.AuthType
				want types.AuthPolicyState
			}{{"NONE", "Inactive"}, {"AWS_IAM", "Active"}, {"AWS_IAM", "Active"}} {
				if err := g.set(step.auth); err != nil {
					t.Fatal(err)
				}
				got := g.get()
				if got.State != step.want || *got.Policy != compact || !got.CreatedAt.Equal(*put.CreatedAt) || !got.LastUpdatedAt.Equal(*put.LastUpdatedAt) {
					t.Errorf("%s: %+v", step.auth, got)
				}
			}
		}
		must[any](g.world)(g.put(compact))
		if again := g.get(); !again.CreatedAt.Equal(*put.CreatedAt) || !again.LastUpdatedAt.After(*put.LastUpdatedAt) {
			t.Errorf("put again: %v, %v, was %v, %v", again.CreatedAt, again.LastUpdatedAt, put.CreatedAt, put.LastUpdatedAt)
		}
	})
}

// TestPolicyRemoval: documented, a policy cannot be removed while it is in force;
// observed, it can.
// Source: VPC Lattice User Guide, "Remove an auth policy".
func TestPolicyRemoval(t *testing.T) {
	both(t, func(t *testing.T, kind string) {
		g := newGuarded(t, kind)
		if err := g.set("AWS_IAM"); err != nil {
			t.Fatal(err)
		}
		refuse := func() {
			t.Helper()
			mustRefuse(g.world, "ValidationException", func(context.Context) (any, error) { return g.delete() }, "Run: "+g.command+" ", "conformance: observed")
		}
		refuse() // also where there is none: the auth type says that there should be
		must[any](g.world)(g.put(compact))
		refuse()
		if err := g.set("NONE"); err != nil {
			t.Fatal(err)
		}
		must[any](g.world)(g.delete())
		if got := g.get(); got.Policy != nil {
			t.Errorf("removed, and %+v", got)
		}

		g = newGuarded(t, kind, func(c *Config) { c.Observed = true })
		if err := g.set("AWS_IAM"); err != nil {
			t.Fatal(err)
		}
		must[any](g.world)(g.put(compact))
		must[any](g.world)(g.delete())
		if got := g.get(); got.Policy != nil {
			t.Errorf("removed, and %+v", got)
		}
	})
}

// TestPolicyGoesWithItsParent: a service or network that is made anew, under the
// same name, has no policy.
func TestPolicyGoesWithItsParent(t *testing.T) {
	both(t, func(t *testing.T, kind string) {
		g := newGuarded(t, kind)
		must[any](g.world)(g.put(compact))
		if err := g.remove(); err != nil {
			t.Fatal(err)
		}
		if left := g.contents(); left != "" {
			t.Errorf("left\n%s", left)
		}
		for _, call := range []func(context.Context) (any, error){
			func(context.Context) (any, error) { return g.put(compact) },
			func(context.Context) (any, error) { return g.delete() },
			func(ctx context.Context) (any, error) {
				return g.GetAuthPolicy(ctx, &vpclattice.GetAuthPolicyInput{ResourceIdentifier: g.id})
			},
		} {
			mustRefuse(g.world, "ResourceNotFoundException", call, *g.id)
		}
		g.id = g.create("guarded")
		if got := g.get(); got.Policy != nil {
			t.Errorf("made anew, it has %+v", got)
		}
	})
}

// TestPolicyText: which texts are stored and how, in either mode. The compact form
// that a refusal prints is one that is accepted.
func TestPolicyText(t *testing.T) {
	// The key order and the spelling are the owner's: nothing is added or moved.
	odd := `{"Statement":{"Resource":["*"],"Principal":{"AWS":"123456789012"},"Action":["vpc-lattice-svcs:Invoke"],"Effect":"Allow","Sid":"é \"\\"}}`
	const miscased = `{"Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{"StringEquals":{"vpc-lattice-svcs:requestmethod":"GET"}}}]}`
	indent := func(text string) string {
		var b strings.Builder
		depth := 0
		for _, c := range text {
			switch c {
			case '{', '[':
				depth++
				b.WriteString(string(c) + "\n" + strings.Repeat("  ", depth))
			case '}', ']':
				depth--
				b.WriteString("\n" + strings.Repeat("  ", depth) + string(c))
			default:
				b.WriteRune(c)
			}
		}
		return b.String()
	}
	for _, test := range []struct {
		name, text           string
		documented, observed string // what is stored; "!" and a text for a refusal
	}{
		{"compact", compact, compact, compact},
		{"odd", odd, odd, odd},
		{"spaces", strings.ReplaceAll(compact, ",", " ,\t"), compact, compact},
		{"a final newline", compact + "\n", compact, compact},
		{"final white space", compact + "\r\n \t\n", compact, compact},
		{"newlines", indent(compact), "!byte 1. Send this instead (or set conformance: observed to accept it as AWS does): " + compact, compact},
		{"a newline before it", "\n" + compact, "!" + compact, compact},
		{"a carriage return", strings.Replace(compact, ",", ",\r", 1), "!" + compact, compact},
		{"a miscased key", miscased, "!vpc-lattice-svcs:RequestMethod", miscased},
		{"empty", "", "!must not be empty", "!must not be empty"},
		{"white space", " \n", "!must not be empty", "!must not be empty"},
		{"no JSON", "{", "!not valid JSON", "!not valid JSON"},
		{"trailing data", compact + "{}", "!JSON", "!JSON"},
		{"a list", "[" + compact + "]", "!", "!"},
		{"a name twice", strings.Replace(compact, `"Effect":"Allow"`, `"Effect":"Deny","Effect":"Allow"`, 1), "!", "!"},
		{"no statement", `{"Version":"2012-10-17"}`, "!Statement", "!Statement"},
		{"statements of nothing", `{"Version":"2012-10-17","Statement":[]}`, "!", "!"},
		{"no effect", `{"Statement":[{"Principal":"*","Action":"*","Resource":"*"}]}`, "!Effect", "!Effect"},
		{"no principal", `{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`, "!Principal", "!Principal"},
		{"no action", `{"Statement":[{"Effect":"Allow","Principal":"*","Resource":"*"}]}`, "!Action", "!Action"},
		{"no resource", `{"Statement":[{"Effect":"Allow","Principal":"*","Action":"*"}]}`, "!Resource", "!Resource"},
		{"another version", strings.Replace(compact, "2012-10-17", "2020-01-01", 1), "!ersion", "!ersion"},
		{"another service", strings.Replace(compact, "vpc-lattice-svcs:Invoke", "s3:GetObject", 1), "!", "!"},
		{"an allow but for some", strings.Replace(compact, `"Principal":"*"`, `"NotPrincipal":{"AWS":"123456789012"}`, 1), "!NotPrincipal", "!NotPrincipal"},
		{"too large", strings.Replace(compact, `"Resource":"*"`, `"Resource":"`+strings.Repeat("*/x", 4000)+`"`, 1), "!maximum size of 10240 bytes", "!maximum size of 10240 bytes"},
		{"too large for the API", strings.Repeat(" ", 36865), "!", "!"},
		{"white space does not count", compact + strings.Repeat(" ", 30000), compact, compact},
	} {
		t.Run(test.name, func(t *testing.T) {
			for mode, want := range map[string]string{"documented": test.documented, "observed": test.observed} {
				g := newGuarded(t, typeService, func(c *Config) { c.Observed = mode == "observed" })
				if text, refused := strings.CutPrefix(want, "!"); refused {
					mustRefuse(g.world, "ValidationException", func(context.Context) (any, error) { return g.put(test.text) }, text)
					var v *types.ValidationException
					_, err := g.put(test.text)
					if !asError(err, &v) || len(v.FieldList) != 1 || *v.FieldList[0].Name != "policy" || v.Reason != "fieldValidationFailed" && v.Reason != "cannotParse" {
						t.Errorf("%s: %+v", mode, err)
					}
					if (v.Reason == "cannotParse") != (test.name == "no JSON" || test.name == "trailing data" || test.name == "a name twice") {
						t.Errorf("%s: reason %s", mode, v.Reason)
					}
					continue
				}
				out := must[*vpclattice.PutAuthPolicyOutput](g.world)(g.put(test.text))
				if got := g.get(); *got.Policy != want || *out.Policy != want {
					t.Errorf("%s: stored %s, want %s", mode, *got.Policy, want)
				}
				if !json.Valid([]byte(want)) {
					t.Errorf("%s is not JSON", want)
				}
			}
		})
	}
}

// TestPoliciesOfOthers: only services and service networks have one.
func TestPoliciesOfOthers(t *testing.T) {
	g := newGuarded(t, typeService)
	for _, id := range []string{"rcfg-0123456789abcdef0", "arn:aws:vpc-lattice:us-west-2:" + g.account + ":resourceconfiguration/rcfg-0123456789abcdef0"} {
		g.id = aws.String(id)
		mustRefuse(g.world, "ValidationException", func(context.Context) (any, error) { return g.put(compact) }, "service network")
	}
}
