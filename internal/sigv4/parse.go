// Package sigv4 parses and verifies AWS Signature Version 4 on requests as they
// came over the wire. It knows no service, no user and no policy.
//
// Source of the algorithm: IAM User Guide, "Create a signed AWS API request".
package sigv4

import (
	"crypto/sha256"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

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
	// Date, Region and Service are those of the credential scope. SigV4A has no Region
	// in it, but RegionSet.
	Date      string
	Region    string
	Service   string
	RegionSet string
	// Scope is date/region/service/aws4_request, without region for SigV4A.
	Scope string
	// SignedHeaders are lower-case names in ascending order.
	SignedHeaders []string
	signedList    string
	room          [12]string
	// credential is the access key id and the scope, as one text.
	credential string
	// Signature is hexadecimal. sum is what it stands for, or for SigV4A the first size
	// bytes of der.
	Signature string
	sum       [sha256.Size]byte
	der       [maxDER]byte
	size      int
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
	s := new(Signature)
	attempted, err := s.Parse(r)
	if !attempted || err != nil {
		return nil, err
	}
	return s, nil
}

// Parse is the function Parse into a Signature that the caller has, so that it
// allocates nothing.
func (s *Signature) Parse(r *inbound.Request) (attempted bool, err error) {
	*s = Signature{}
	authorization, inHeader, err := authorizationHeader(r)
	if err != nil {
		return true, err
	}
	query := r.RawQuery()
	inQuery := attemptsPresign(query)
	switch {
	case inHeader && inQuery:
		return true, failf(Malformed, "the request has a signature both in the Authorization header and in the query string: send one")
	case inHeader:
		return true, s.parseHeader(r, authorization)
	case inQuery:
		return true, s.parsePresigned(query)
	}
	return false, nil
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
		// HTTP/2 keeps spaces before a value.
		if v := trim(r.Headers[i].Value); hasPrefixFold(v, "AWS4-") || hasPrefixFold(v, "AWS ") {
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

func (s *Signature) parseHeader(r *inbound.Request, authorization string) error {
	algorithm, fields, _ := cut(authorization, ' ')
	if err := checkAlgorithm(algorithm); err != nil {
		return err
	}
	s.Algorithm = algorithm
	var has [3]bool
	for len(fields) > 0 {
		var field string
		field, fields, _ = cut(fields, ',')
		field = trim(field)
		if field == "" {
			continue
		}
		name, value, ok := cut(field, '=')
		if !ok {
			return failf(Malformed, "a part of the Authorization header is not a valid key=value pair (missing equal-sign).")
		}
		var n int
		switch name {
		case "Credential":
			s.credential, n = value, 0
		case "SignedHeaders":
			s.signedList, n = value, 1
		case "Signature":
			s.Signature, n = value, 2
		default:
			continue
		}
		if has[n] {
			return failf(Malformed, "the Authorization header has the parameter %s twice.", name)
		}
		has[n] = true
	}
	date, dateText, dateErr := headerDate(r)
	if dateErr == error(errNoDate) || has != [3]bool{true, true, true} {
		return incomplete(has, dateErr == error(errNoDate))
	}
	if dateErr != nil {
		return dateErr
	}
	s.Time, s.timeText = date, dateText
	switch r.Count("x-amz-security-token") {
	case 0:
	case 1:
		s.SessionToken, _ = r.Get("x-amz-security-token")
	default:
		return failf(Malformed, "the request has several X-Amz-Security-Token headers: send one")
	}
	if s.asymmetric() {
		if r.Count("x-amz-region-set") > 1 {
			return failf(Malformed, "the request has several X-Amz-Region-Set headers: send one")
		}
		s.RegionSet, _ = r.Get("x-amz-region-set")
	}
	return s.finish()
}

// incomplete names everything that an Authorization header lacks, in AWS's text.
func incomplete(has [3]bool, noDate bool) error {
	var missing strings.Builder
	for i, name := range []string{"Credential", "SignedHeaders", "Signature"} {
		if !has[i] {
			missing.WriteString("Authorization header requires '" + name + "' parameter. ")
		}
	}
	if noDate {
		missing.WriteString(errNoDate.Detail)
	}
	return failf(Malformed, "%s", strings.TrimSpace(missing.String()))
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

// parseTime reads a date in the one form that is signed. It does what time.Parse
// does, which takes longer than the rest of parsing together.
func parseTime(text string) (time.Time, error) {
	var at [6]int // year, month, day, hour, minute, second
	ok := len(text) == len(timeFormat) && text[8] == 'T' && text[15] == 'Z'
	for i, place := range [6]struct{ from, to int }{{0, 4}, {4, 6}, {6, 8}, {9, 11}, {11, 13}, {13, 15}} {
		for j := place.from; ok && j < place.to; j++ {
			digit := text[j] - '0'
			ok = digit <= 9
			at[i] = 10*at[i] + int(digit)
		}
	}
	ok = ok && at[3] < 24 && at[4] < 60 && at[5] < 60
	t := time.Date(at[0], time.Month(at[1]), at[2], at[3], at[4], at[5], 0, time.UTC)
	if !ok || at[1] != int(t.Month()) || at[2] != t.Day() { // There is no such day.
		return time.Time{}, failf(Malformed, "Date must be in ISO-8601 'basic format', such as 20060102T150405Z.")
	}
	return t, nil
}

func checkAlgorithm(algorithm string) error {
	switch algorithm {
	case AlgorithmHMAC, AlgorithmECDSA:
		return nil
	}
	return failf(Malformed, "the signing algorithm is not supported: sign with %s or %s.", AlgorithmHMAC, AlgorithmECDSA)
}

// asymmetric tells whether it is a signature of SigV4A.
func (s *Signature) asymmetric() bool { return s.Algorithm == AlgorithmECDSA }

// maxDER is the size of the largest signature of P-256: two integers of 33 bytes, each
// with two bytes before it, and two before both.
const maxDER = 72

// maxSignedHeaders is above the 100 headers that a request may have; maxName bounds
// the parts of a credential, of which keys of the cache are made.
const (
	maxSignedHeaders = 128
	maxName          = 128
)

// finish checks the parts that both forms have.
func (s *Signature) finish() error {
	var end string
	slashes := strings.Count(s.credential, "/")
	switch {
	case s.asymmetric() && slashes != 3:
		return failf(Malformed, "Credential must have exactly 4 slash-delimited elements for %s, e.g. keyid/date/service/term.", AlgorithmECDSA)
	case !s.asymmetric() && slashes != 4:
		return failf(Malformed, "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term.")
	}
	s.AccessKeyID, s.Scope, _ = cut(s.credential, '/')
	s.Date, end, _ = cut(s.Scope, '/')
	if !s.asymmetric() {
		s.Region, end, _ = cut(end, '/')
	}
	s.Service, end, _ = cut(end, '/')
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
	if s.asymmetric() {
		if n := len(s.Signature); n > 2*maxDER || n%2 != 0 || !unhexLower(s.der[:], s.Signature) {
			return failf(Malformed, "the signature must be an ECDSA signature in DER, as up to %d lower-case hexadecimal digits.", 2*maxDER)
		}
		s.size = len(s.Signature) / 2
		return s.signedHeaders()
	}
	if len(s.Signature) != 2*len(s.sum) || !unhexLower(s.sum[:], s.Signature) {
		return failf(Malformed, "the signature must be 64 lower-case hexadecimal digits.")
	}
	return s.signedHeaders()
}

// signedHeaders reads the list of signed headers.
func (s *Signature) signedHeaders() error {
	// Nearly every signature names fewer headers than there is room for in the
	// Signature itself, which saves an allocation.
	s.SignedHeaders = s.room[:0]
	host := false
	for rest, more := s.signedList, true; more; {
		var name string
		name, rest, more = cut(rest, ';')
		last := ""
		if n := len(s.SignedHeaders); n > 0 {
			last = s.SignedHeaders[n-1]
		}
		switch {
		case len(s.SignedHeaders) == maxSignedHeaders:
			return failf(Malformed, "SignedHeaders names more than %d headers.", maxSignedHeaders)
		case name == "" || hasUpper(name):
			return failf(Malformed, "SignedHeaders must be lower-case names separated by ';'.")
		case last >= name:
			return failf(Malformed, "SignedHeaders must be sorted, each name once.")
		}
		host = host || name == "host"
		s.SignedHeaders = append(s.SignedHeaders, name)
	}
	if !host {
		return failf(Malformed, "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
	}
	return nil
}

// cut is strings.Cut at a byte, in half the time.
func cut(s string, c byte) (before, after string, found bool) {
	if i := strings.IndexByte(s, c); i >= 0 {
		return s[:i], s[i+1:], true
	}
	return s, "", false
}

// trim takes the spaces and tabs from the ends of a text, as HTTP and signers do.
func trim(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}

// unhexLower decodes an even number of digits, of which letters must be small; false if
// they are no such digits.
func unhexLower(to []byte, s string) bool {
	bad := byte(0)
	for i := 0; i+1 < len(s); i += 2 {
		high, low := lowerDigit[s[i]], lowerDigit[s[i+1]]
		bad |= high | low
		to[i/2] = high<<4 | low&15
	}
	return bad < 16
}

// lowerDigit is the value of a digit; 255 for what is none.
var lowerDigit = func() (value [256]byte) {
	for i := range value {
		value[i] = 255
	}
	for i, c := range []byte("0123456789abcdef") {
		value[c] = byte(i)
	}
	return value
}()

// hasUpper tells whether a name is not its own lower case.
func hasUpper(name string) bool {
	for i := range len(name) {
		if c := name[i]; 'A' <= c && c <= 'Z' || c >= utf8.RuneSelf {
			return name != strings.ToLower(name)
		}
	}
	return false
}

// ShownKeyID is the access key id, for showing it to somebody who looks into a refusal.
// People paste secrets there, so what cannot be an id is not shown.
func (s *Signature) ShownKeyID() string {
	for i := range len(s.AccessKeyID) {
		if c := s.AccessKeyID[i]; (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			return "what is no access key id"
		}
	}
	return s.AccessKeyID
}

// Signs tells whether a header, by its lower-case name, is part of the signature.
func (s *Signature) Signs(name string) bool {
	_, found := slices.BinarySearch(s.SignedHeaders, name)
	return found
}
