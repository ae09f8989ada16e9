package sigv4

import (
	"fmt"
	"net/http"

	"github.com/latchwork/latchwork/internal/fault"
)

// Cause is why a signature was refused.
type Cause uint8

// The causes.
const (
	Malformed  Cause = iota + 1 // not a whole signature
	Missing                     // not signed where a signature is demanded
	UnknownKey                  // no such key, an inactive one, or a wrong session token
	ExpiredToken
	Mismatch
	Expired // too old
	NotYet  // from the future
	BadScope
	PayloadHash // the body is not the one that was signed
	SignedPayload
	MissingPayloadHeader
	AbsentHeader // a signed header is not in the request
	UnsignedHeader
	Busy // too many signatures of SigV4A at once
)

var causes = [...]string{
	Malformed: "malformed", Missing: "missing", UnknownKey: "unknown-key", ExpiredToken: "expired-token", Mismatch: "mismatch",
	Expired: "expired", NotYet: "not-yet", BadScope: "bad-scope", PayloadHash: "payload-hash", SignedPayload: "signed-payload",
	MissingPayloadHeader: "missing-payload-header", AbsentHeader: "absent-header", UnsignedHeader: "unsigned-header", Busy: "busy",
}

func (c Cause) String() string { return causes[c] }

// Error is why a request's signature was refused. Its text never holds a secret,
// a token or a whole header.
type Error struct {
	Cause  Cause
	Detail string
}

func (e *Error) Error() string { return e.Detail }

func failf(cause Cause, format string, args ...any) *Error {
	return &Error{Cause: cause, Detail: fmt.Sprintf(format, args...)}
}

// Texts of AWS. Sources: error answers as seen in public issues and articles.
const (
	textMismatch   = "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
	textUnknownKey = "The security token included in the request is invalid."
	textExpired    = "The security token included in the request is expired"
	textMissing    = "Missing Authentication Token"
	// The stop at its end is not certain; this is the one place to change it.
	textPayloadHeader = "Missing the 'x-amz-content-sha256' in canonical headers."
	textSignedPayload = "Signed payloads are not supported"
)

// ErrMissing, ErrUnknownKey and ErrExpiredToken are for callers who look keys up.
var (
	ErrMissing      = &Error{Missing, textMissing}
	ErrUnknownKey   = &Error{UnknownKey, textUnknownKey}
	ErrExpiredToken = &Error{ExpiredToken, textExpired}
)

// ErrBusy says that a signature of SigV4A was not looked at.
var ErrBusy = &Error{Busy, "Rate exceeded: too many requests with signatures of " + AlgorithmECDSA + " at once; sign with " + AlgorithmHMAC + " or try again."}

var errMismatch = &Error{Mismatch, textMismatch}

// code is the error's code in the spelling of the query protocols (IAM, STS).
func (e *Error) code() (code string, status int) {
	switch e.Cause {
	case Missing:
		return "MissingAuthenticationToken", http.StatusForbidden
	case UnknownKey:
		return "InvalidClientTokenId", http.StatusForbidden
	case ExpiredToken:
		return "ExpiredToken", http.StatusForbidden
	case Busy:
		return "Throttling", http.StatusBadRequest
	case Malformed, AbsentHeader, UnsignedHeader, MissingPayloadHeader:
		return "IncompleteSignature", http.StatusBadRequest
	default:
		return "SignatureDoesNotMatch", http.StatusForbidden
	}
}

// Fault is the error as the control plane's caller sees it, with the code of the
// query protocols; the API's dispatcher knows the other spellings.
func (e *Error) Fault() *fault.Error {
	code, _ := e.code()
	return fault.New(code, "%s", e.Detail)
}

// DataPlane is the error as VPC Lattice's data plane answers it: one line of
// plain text.
func (e *Error) DataPlane() (status int, body string) {
	code := "InvalidSignatureException"
	switch e.Cause {
	case Busy:
		return http.StatusTooManyRequests, "ThrottlingException: " + e.Detail
	case Missing:
		code = "MissingAuthenticationTokenException"
	case UnknownKey:
		code = "UnrecognizedClientException"
	case ExpiredToken:
		code = "ExpiredTokenException"
	case Malformed, AbsentHeader, UnsignedHeader, MissingPayloadHeader:
		code = "IncompleteSignatureException"
	}
	return http.StatusForbidden, code + ": " + e.Detail
}
