// Package wire holds what the generated packages below it share: the types of
// values that need a rule of their own on the wire.
//
// The packages below it are generated, one a service. In their types a member
// that is absent is nil: scalars are pointers, and nil lists and maps are absent
// while empty ones are there and empty. Encoded as JSON a structure has exactly
// AWS's member names, without the members that travel in the path or the query.
package wire

//go:generate go run github.com/latchwork/latchwork/tools/awsgen -root ../..

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/latchwork/latchwork/internal/fault"
)

// Timestamp is a point in time that is ISO 8601 text on the wire.
type Timestamp struct{ time.Time }

// At is the Timestamp of t.
func At(t time.Time) *Timestamp { return &Timestamp{t} }

// Format of VPC Lattice's answers: UTC, milliseconds, always three digits. The
// query protocols print whole seconds instead; their codec does that.
// Source: outputs in the AWS CLI command reference, vpc-lattice.
const timestampFormat = "2006-01-02T15:04:05.000Z"

// MarshalJSON writes the time in UTC with milliseconds.
func (t Timestamp) MarshalJSON() ([]byte, error) {
	return []byte(t.UTC().Format(`"` + timestampFormat + `"`)), nil
}

// UnmarshalJSON reads RFC 3339 text.
func (t *Timestamp) UnmarshalJSON(raw []byte) error {
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return fmt.Errorf("a timestamp must be ISO 8601 text, for example \"2006-01-02T15:04:05Z\"")
	}
	return t.UnmarshalText([]byte(text))
}

// MarshalText writes the same text as MarshalJSON, without quotes.
func (t Timestamp) MarshalText() ([]byte, error) {
	return []byte(t.UTC().Format(timestampFormat)), nil
}

// UnmarshalText reads RFC 3339 text.
func (t *Timestamp) UnmarshalText(text []byte) error {
	parsed, err := time.Parse(time.RFC3339Nano, string(text))
	if err != nil {
		return fmt.Errorf("%q is not an ISO 8601 timestamp such as 2006-01-02T15:04:05Z", text)
	}
	t.Time = parsed.UTC()
	return nil
}

// EpochSeconds is a point in time that is a JSON number of seconds since 1970
// on the wire, with milliseconds as its fraction.
type EpochSeconds struct{ time.Time }

// Epoch is the EpochSeconds of t.
func Epoch(t time.Time) *EpochSeconds { return &EpochSeconds{t} }

// MarshalJSON writes seconds with at most three decimals.
func (t EpochSeconds) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(t.UnixMilli())/1000, 'f', -1, 64), nil
}

// UnmarshalJSON reads a number of seconds.
func (t *EpochSeconds) UnmarshalJSON(raw []byte) error {
	seconds, err := strconv.ParseFloat(string(raw), 64)
	// The bound keeps the conversion exact and the year within four digits.
	if err != nil || math.Abs(seconds) > 253402300799 {
		return fmt.Errorf("a timestamp must be a number of seconds since 1970")
	}
	t.Time = time.UnixMilli(int64(math.Round(seconds * 1000))).UTC()
	return nil
}

const redacted = "[redacted]"

// Secret is a string that a codec writes to the caller and that prints as
// [redacted] everywhere else, JSON included: JSON that no codec wrote is a log or a
// record.
type Secret string

// Reveal gives the secret itself.
func (s Secret) Reveal() string { return string(s) }

func (s Secret) String() string               { return redacted }
func (s Secret) GoString() string             { return redacted }
func (s Secret) LogValue() slog.Value         { return slog.StringValue(redacted) }
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// SecretBytes is Secret for binary values.
type SecretBytes []byte

// Reveal gives the secret itself.
func (s SecretBytes) Reveal() []byte { return []byte(s) }

func (s SecretBytes) String() string               { return redacted }
func (s SecretBytes) GoString() string             { return redacted }
func (s SecretBytes) LogValue() slog.Value         { return slog.StringValue(redacted) }
func (s SecretBytes) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// NotBuilt is the answer of an operation that AWS has and Latchwork does not
// have yet. 501 is a status that no SDK retries.
func NotBuilt(service, operation string) error {
	return fault.New("NotImplemented", "%s %s is not built yet; docs/operations.md lists the operations that are",
		service, operation).WithStatus(http.StatusNotImplemented)
}
