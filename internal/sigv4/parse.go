// Package sigv4 parses and verifies AWS Signature Version 4 on requests as they
// came over the wire. It knows no service, no user and no policy.
//
// Source of the algorithm: IAM User Guide, "Create a signed AWS API request".
package sigv4

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/latchwork/latchwork/internal/inbound"
)

// Algorithms.
const (
	AlgorithmHMAC  = "AWS4-HMAC-SHA256"
	AlgorithmECDSA = "AWS4-ECDSA-P256-SHA256"
)

// Signature is what a request claims; nothing in it is verified.
type Signature struct {
	Algorithm   string
	AccessKeyID string
	// Date, Region and Service are those of the credential scope.
	Date    string
	Region  string
	Service string
	// Scope is date/region/service/aws4_request.
	Scope string
	// SignedHeaders are lower-case names in ascending order.
	SignedHeaders []string
	signedList    string
	room          [12]string
	// Signature is hexadecimal.
	Signature string
	// SessionToken is empty for long-term keys.
	SessionToken string
	// Time is the request's own date; its text is what was signed.
	Time     time.Time
	timeText string
	// Presigned is true for a signature in the query string; Expires is then how
	// long it is good for.
	Presigned bool
	Expires   time.Duration
}

const (
	timeFormat = "20060102T150405Z"
	terminator = "aws4_request"
	// UnsignedPayload stands for a body that is not part of the signature.
	UnsignedPayload = "UNSIGNED-PAYLOAD"
)

// Parse reads the signature of a request. It returns nil and no error for a
// request that nobody tried to sign. Anything that looks like an attempt and is
// not a whole signature is an error, never anonymous.
func Parse(r *inbound.Request) (*Signature, error) {
	authorization, inHeader, err := authorizationHeader(r)
	if err != nil {
		return nil, err
	}
	query := r.RawQuery()
	inQuery := attemptsPresign(query)
	switch {
	case inHeader && inQuery:
		return nil, failf(Malformed, "the request has a signature both in the Authorization header and in the query string: send one")
	case inHeader:
		return parseHeader(r, authorization)
	case inQuery:
		return parsePresigned(query)
	}
	return nil, nil
}

// authorizationHeader finds the one Authorization header whose scheme is AWS's.
// Other schemes are not ours to judge: the caller is anonymous then.
func authorizationHeader(r *inbound.Request) (value string, found bool, err error) {
	count := 0
	for i := range r.Headers {
		if r.Headers[i].Name != "authorization" {
			continue
		}
		count++
		if v := r.Headers[i].Value; hasPrefixFold(v, "AWS4-") || hasPrefixFold(v, "AWS ") {
			value, found = v, true
		}
	}
	if found && count > 1 {
		return "", false, failf(Malformed, "the request has %d Authorization headers: send one", count)
	}
	return value, found, nil
}

// hasPrefixFold is strings.HasPrefix for the names of schemes, which ignore case: a
// signature with a misspelt scheme is refused, not taken for no signature.
func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

func parseHeader(r *inbound.Request, authorization string) (*Signature, error) {
	algorithm, fields, _ := strings.Cut(authorization, " ")
	if err := checkAlgorithm(algorithm); err != nil {
		return nil, err
	}
	s := &Signature{Algorithm: algorithm}
	var credential string
	var has [3]bool
	for len(fields) > 0 {
		var field string
		field, fields, _ = strings.Cut(fields, ",")
		field = strings.TrimSpace(field)
		if field == "" {
			continue
		}
		name, value, ok := strings.Cut(field, "=")
		if !ok {
			return nil, failf(Malformed, "a part of the Authorization header is not a valid key=value pair (missing equal-sign).")
		}
		var n int
		switch name {
		case "Credential":
			credential, n = value, 0
		case "SignedHeaders":
			s.signedList, n = value, 1
		case "Signature":
			s.Signature, n = value, 2
		default:
			continue
		}
		if has[n] {
			return nil, failf(Malformed, "the Authorization header has the parameter %s twice.", name)
		}
		has[n] = true
	}
	date, dateText, dateErr := headerDate(r)
	var missing strings.Builder
	for i, name := range []string{"Credential", "SignedHeaders", "Signature"} {
		if !has[i] {
			missing.WriteString("Authorization header requires '" + name + "' parameter. ")
		}
	}
	if dateErr == errNoDate {
		missing.WriteString("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ")
	}
	if missing.Len() > 0 {
		return nil, failf(Malformed, "%s", strings.TrimSpace(missing.String()))
	}
	if dateErr != nil {
		return nil, dateErr
	}
	s.Time, s.timeText = date, dateText
	switch r.Count("x-amz-security-token") {
	case 0:
	case 1:
		s.SessionToken, _ = r.Get("x-amz-security-token")
	default:
		return nil, failf(Malformed, "the request has several X-Amz-Security-Token headers: send one")
	}
	return s, s.finish(credential)
}

// errNoDate is compared by identity.
var errNoDate = failf(Malformed, "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")

// headerDate is the date that a request with an Authorization header was signed
// at, and its text as it goes into the string to sign: X-Amz-Date, else Date.
func headerDate(r *inbound.Request) (t time.Time, text string, err error) {
	switch r.Count("x-amz-date") {
	case 1:
		text, _ := r.Get("x-amz-date")
		t, err := parseTime(text)
		return t, text, err
	case 0:
	default:
		return time.Time{}, "", failf(Malformed, "the request has several X-Amz-Date headers: send one")
	}
	text, ok := r.Get("date")
	if !ok {
		return time.Time{}, "", errNoDate
	}
	if t, err := http.ParseTime(text); err == nil {
		return t.UTC(), t.UTC().Format(timeFormat), nil
	}
	t, err = parseTime(text)
	return t, text, err
}

func parseTime(text string) (time.Time, error) {
	t, err := time.Parse(timeFormat, text)
	if err != nil || len(text) != len(timeFormat) {
		return time.Time{}, failf(Malformed, "Date must be in ISO-8601 'basic format', such as 20060102T150405Z.")
	}
	return t, nil
}

func checkAlgorithm(algorithm string) error {
	switch algorithm {
	case AlgorithmHMAC:
		return nil
	case AlgorithmECDSA:
		return failf(Unsupported, "signatures of %s (SigV4A) are not supported yet: sign with %s.", AlgorithmECDSA, AlgorithmHMAC)
	}
	return failf(Malformed, "the signing algorithm is not supported: sign with %s.", AlgorithmHMAC)
}

// maxSignedHeaders is above the 100 headers that a request may have; maxName bounds
// the parts of a credential, of which keys of the cache are made.
const (
	maxSignedHeaders = 128
	maxName          = 128
)

// finish checks the parts that both forms have.
func (s *Signature) finish(credential string) error {
	if strings.Count(credential, "/") != 4 {
		return failf(Malformed, "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term.")
	}
	var end string
	s.AccessKeyID, s.Scope, _ = strings.Cut(credential, "/")
	s.Date, end, _ = strings.Cut(s.Scope, "/")
	s.Region, end, _ = strings.Cut(end, "/")
	s.Service, end, _ = strings.Cut(end, "/")
	if s.AccessKeyID == "" || len(s.AccessKeyID) > maxName {
		return failf(Malformed, "Credential must begin with an access key id.")
	}
	if len(s.Region) > maxName || len(s.Service) > maxName {
		return failf(BadScope, "Credential should be scoped to a valid region and service.")
	}
	if end != terminator {
		return failf(BadScope, "Credential should be scoped with a valid terminator: 'aws4_request'.")
	}
	if day := s.timeText[:8]; s.Date != day {
		return failf(BadScope, "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '%.8s' != '%s', from '%s'.", s.Date, day, s.timeText)
	}
	if len(s.Signature) != 64 || strings.Trim(s.Signature, "0123456789abcdef") != "" {
		return failf(Malformed, "the signature must be 64 lower-case hexadecimal digits.")
	}
	// Nearly every signature names fewer headers than there is room for in the
	// Signature itself, which saves an allocation.
	s.SignedHeaders = s.room[:0]
	for rest, more := s.signedList, true; more; {
		var name string
		name, rest, more = strings.Cut(rest, ";")
		s.SignedHeaders = append(s.SignedHeaders, name)
	}
	if len(s.SignedHeaders) > maxSignedHeaders {
		return failf(Malformed, "SignedHeaders names more than %d headers.", maxSignedHeaders)
	}
	for i, name := range s.SignedHeaders {
		if name == "" || name != strings.ToLower(name) {
			return failf(Malformed, "SignedHeaders must be lower-case names separated by ';'.")
		}
		if i > 0 && s.SignedHeaders[i-1] >= name {
			return failf(Malformed, "SignedHeaders must be sorted, each name once.")
		}
	}
	if !s.Signs("host") {
		return failf(Malformed, "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
	}
	return nil
}

// Signs tells whether a header, by its lower-case name, is part of the signature.
func (s *Signature) Signs(name string) bool {
	_, found := slices.BinarySearch(s.SignedHeaders, name)
	return found
}
