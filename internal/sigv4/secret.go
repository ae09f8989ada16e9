package sigv4

import (
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"
	"unsafe"
)

// Secret is key material. It prints as [redacted] wherever it is printed. Its bytes
// must not be changed once a Verifier has seen it.
type Secret []byte

const redacted = "[redacted]"

func (Secret) String() string               { return redacted }
func (Secret) GoString() string             { return redacted }
func (Secret) LogValue() slog.Value         { return slog.StringValue(redacted) }
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// same tells whether two secrets are equal. A secret is never changed, so the same
// bytes in memory need no comparison: those of a key that is in use are.
func (s Secret) same(other Secret) bool {
	if len(s) == len(other) && unsafe.SliceData(s) == unsafe.SliceData(other) {
		return true
	}
	return subtle.ConstantTimeCompare(s, other) == 1
}

// Format covers the verbs that do not ask for String, such as %d.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }
