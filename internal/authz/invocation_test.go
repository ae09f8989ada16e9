package authz_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchwork/latchwork/internal/authz"
	"github.com/latchwork/latchwork/internal/inbound"
	"github.com/latchwork/latchwork/internal/policy"
)

func TestQueryValues(t *testing.T) {
	for _, test := range []struct {
		query string
		want  policy.Values
		ok    bool
	}{
		{"", policy.Values{}, false},
		{"b=1", policy.Values{}, false},
		{"A=1", policy.Values{}, false},
		{"a=1", policy.Values{One: "1"}, true},
		{"a", policy.Values{}, true},
		{"a=", policy.Values{}, true},
		{"x=y&%61=c+d%20e", policy.Values{One: "c d e"}, true},
		{"a=%zz", policy.Values{One: "%zz"}, true},
		{"a=1&&a=2&a", policy.Values{One: "1", Many: []string{"1", "2", ""}, Repeated: true}, true},
		{"a=1;a=2", policy.Values{One: "1;a=2"}, true},
	} {
		v := &authz.Invocation{In: &inbound.Request{Target: "/?" + test.query}}
		key := policy.ParseKey("vpc-lattice-svcs:RequestQueryString/a")
		got, ok := v.Lookup(&key)
		if diff := cmp.Diff(test.want, got); diff != "" || ok != test.ok {
			t.Errorf("%q: %t (-want +got):\n%s", test.query, ok, diff)
		}
	}
}

// TestStrip: neither what only the gateway may say nor what does not reach the target
// is a condition key.
func TestStrip(t *testing.T) {
	v := &authz.Invocation{In: &inbound.Request{}}
	for _, name := range []string{"te", "proxy-authorization", "upgrade", "keep-alive", "connection", "x-named", "x-amzn-lattice-identity", "x_forwarded_for", "x-kept"} {
		value := "x"
		if name == "connection" {
			value = "close, X-Named"
		}
		v.In.Headers = append(v.In.Headers, inbound.Header{Name: name, Value: value})
	}
	v.Strip()
	if diff := cmp.Diff([]inbound.Header{{Name: "x-kept", Value: "x"}}, v.In.Headers); diff != "" {
		t.Error(diff)
	}
}
