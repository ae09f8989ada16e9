package sigv4

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The parameters of a signature in the query string. Their names are
// case-sensitive: "x-amz-date" is a parameter like any other.
// Source: IAM User Guide, "Authentication methods", query parameters.
const (
	paramAlgorithm = iota
	paramCredential
	paramSignature
	paramDate
	paramSignedHeaders
	paramExpires
	paramToken
	paramRegionSet
)

var presignParams = [...]string{
	paramAlgorithm:     "X-Amz-Algorithm",
	paramCredential:    "X-Amz-Credential",
	paramSignature:     "X-Amz-Signature",
	paramDate:          "X-Amz-Date",
	paramSignedHeaders: "X-Amz-SignedHeaders",
	paramExpires:       "X-Amz-Expires",
	paramToken:         "X-Amz-Security-Token",
	paramRegionSet:     "X-Amz-Region-Set",
}

// presignParam is the number of a parameter by its decoded name, -1 for others.
func presignParam(name string) int {
	if !strings.HasPrefix(name, "X-Amz-") {
		return -1
	}
	return slices.Index(presignParams[:], name)
}

// paramName decodes the name of a query parameter.
func paramName(raw string) string {
	if !strings.ContainsAny(raw, "%+") {
		return raw
	}
	if name, err := url.QueryUnescape(raw); err == nil {
		return name
	}
	return raw
}

// attemptsPresign tells whether a query holds a parameter that only a signature
// has, however it is spelt.
func attemptsPresign(query string) bool {
	if !strings.Contains(query, "X-Amz-") && !strings.Contains(query, "%") {
		return false
	}
	for rest, more := query, true; more; {
		var part string
		part, rest, more = strings.Cut(rest, "&")
		raw, _, _ := strings.Cut(part, "=")
		if n := presignParam(paramName(raw)); n >= paramAlgorithm && n <= paramSignature {
			return true
		}
	}
	return false
}

func (s *Signature) parsePresigned(query string) error {
	var values [len(presignParams)]string
	var has [len(presignParams)]bool
	for part := range strings.SplitSeq(query, "&") {
		raw, value, _ := strings.Cut(part, "=")
		name := paramName(raw)
		n := presignParam(name)
		if n < 0 {
			continue
		}
		// Escapes in a name do not change what is signed: without this, whoever holds
		// a presigned request could hide its X-Amz-Expires.
		if raw != name {
			return failf(Malformed, "the name of the query parameter %s must be written without escapes.", name)
		}
		if has[n] {
			return failf(Malformed, "the query parameter %s is there twice.", name)
		}
		decoded, err := url.QueryUnescape(value)
		if err != nil {
			return failf(Malformed, "the query parameter %s is not percent-encoded correctly.", name)
		}
		has[n], values[n] = true, decoded
	}
	var missing strings.Builder
	for n := paramAlgorithm; n <= paramSignedHeaders; n++ {
		if values[n] == "" {
			missing.WriteString("AWS query-string parameters must include '" + presignParams[n] + "'. ")
		}
	}
	if missing.Len() > 0 {
		return failf(Malformed, "%s", strings.TrimSpace(missing.String()))
	}
	if err := checkAlgorithm(values[paramAlgorithm]); err != nil {
		return err
	}
	s.Presigned, s.Algorithm, s.Signature = true, values[paramAlgorithm], values[paramSignature]
	s.credential, s.signedList, s.SessionToken = values[paramCredential], values[paramSignedHeaders], values[paramToken]
	s.timeText, s.RegionSet = values[paramDate], values[paramRegionSet]
	var err error
	if s.Time, err = parseTime(s.timeText); err != nil {
		return err
	}
	if has[paramExpires] {
		if s.Expires, err = parseExpires(values[paramExpires]); err != nil {
			return err
		}
	}
	return s.finish()
}

// maxExpires is a week. Source: Amazon S3 API Reference, "Authenticating requests:
// using query parameters", X-Amz-Expires.
const maxExpires = 604800

func parseExpires(text string) (time.Duration, error) {
	seconds, err := strconv.ParseUint(text, 10, 32)
	if err != nil || seconds < 1 || seconds > maxExpires {
		return 0, failf(Malformed, "X-Amz-Expires must be a number of seconds from 1 to %d.", maxExpires)
	}
	return time.Duration(seconds) * time.Second, nil
}

// hideToken puts another text in the place of the session token in a request target,
// for showing it.
func hideToken(target, with string) string {
	path, query, found := strings.Cut(target, "?")
	if !found {
		return target
	}
	parts := strings.Split(query, "&")
	for i, part := range parts {
		name, _, _ := strings.Cut(part, "=")
		if strings.EqualFold(paramName(name), presignParams[paramToken]) {
			parts[i] = name + "=" + with
		}
	}
	return path + "?" + strings.Join(parts, "&")
}
