//go:build !race

package sigv4_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/latchwork/latchwork/internal/inbound"
	"github.com/latchwork/latchwork/internal/sigv4"
)

// TestVerifyAllocatesNothing: neither for a good signature nor for a forged one, nor for
// a key that nobody has. With the race detector pools forget on purpose.
func TestVerifyAllocatesNothing(t *testing.T) {
	good := sign(t, request{method: "GET", target: "/rates/today?currency=eur", service: "vpc-lattice-svcs", headers: [][2]string{{"Accept", "*/*"}}})
	forged := *good
	forged.Headers = slices.Clone(good.Headers)
	setSignature(strings.Repeat("0", 64))(&forged)
	v, want, known := sigv4.NewVerifier(), dataPlane(), sigv4.Secret(secret)
	var s sigv4.Signature
	for _, test := range []struct {
		name   string
		r      *inbound.Request
		secret sigv4.Secret
		want   sigv4.Cause
	}{{"good", good, known, 0}, {"forged", &forged, known, sigv4.Mismatch}, {"unknown key", good, nil, sigv4.UnknownKey}} {
		// The average, in whole: a collection of garbage may empty the pools.
		if n := testing.AllocsPerRun(1000, func() {
			if _, err := s.Parse(test.r); err != nil {
				t.Fatal(err)
			}
			err := v.Verify(test.r, &s, test.secret, want)
			if refusal, ok := errors.AsType[*sigv4.Error](err); ok != (test.want != 0) || ok && refusal.Cause != test.want {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", test.name, n)
		}
	}
}
