package sigv4

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/latchwork/latchwork/internal/inbound"
)

// Diagnosis says what became of a request's signature, and why.
type Diagnosis struct {
	Valid bool `json:"valid"`
	// Cause, Code and Text are those of the refusal; Code is in the spelling of the
	// service's protocol, and for a stream the gRPC status.
	Cause string `json:"cause,omitzero"`
	Code  string `json:"code,omitzero"`
	Text  string `json:"text,omitzero"`
	// Server is what the verifier computed, and Client what the signer must have
	// computed, where that could be found out.
	Server *Computed `json:"server,omitzero"`
	Client *Computed `json:"client,omitzero"`
	// Differences say what is wrong, each with the fix.
	Differences []Difference `json:"differences,omitzero"`
	// Note says what can be said where no difference explains the refusal.
	Note string `json:"note,omitzero"`
}

// Computed is what is signed. A session token in it is hidden.
type Computed struct {
	CanonicalRequest string `json:"canonicalRequest"`
	StringToSign     string `json:"stringToSign"`
}

// Difference is one thing that the server and the signer see differently.
type Difference struct {
	Part   string `json:"part"`
	Server string `json:"server"`
	Client string `json:"client"`
	Fix    string `json:"fix"`
}

// The parts of a signature.
const (
	PartPath          = "path encoding"
	PartQueryOrder    = "query order"
	PartQueryEncoding = "query encoding"
	PartHeader        = "header"
	PartHost          = "host"
	PartDate          = "date"
	PartScope         = "scope"
	PartPayload       = "payload mode"
	PartMethod        = "method"
	PartSecret        = "secret"
)

// Summary is the diagnosis in a line.
func (d *Diagnosis) Summary() string {
	if d.Valid {
		return "the signature is valid"
	}
	if len(d.Differences) == 0 {
		return cmp.Or(d.Note, d.Text)
	}
	var parts []string
	for _, difference := range d.Differences {
		if !slices.Contains(parts, difference.Part) {
			parts = append(parts, difference.Part)
		}
	}
	return strings.Join(parts, ", ") + ": " + d.Differences[0].Fix
}

// Diagnose tells why the signature of a request is refused, or that it is valid. A nil
// secret stands for a key that is not known. Where the signature does not fit, it
// looks for what the signer has done differently from AWS's rules: of all ways in
// which signers are known to differ, the fewest that make it fit. It tries at most
// maxTries of them, so that it takes less than a second, and one search runs at a time,
// so that those who ask leave the processors to the requests.
func (v *Verifier) Diagnose(r *inbound.Request, secret Secret, want Expect) Diagnosis {
	s := new(Signature)
	attempted, err := s.Parse(r)
	switch {
	case !attempted:
		err = ErrMissing
	case err == nil:
		err = v.Verify(r, s, secret, want)
	}
	var d Diagnosis
	refusal, refused := errors.AsType[*Error](err)
	if refused {
		d = Refused(refusal, r, want)
	} else {
		d.Valid = true
	}
	if s.SignedHeaders == nil || refused && refusal.Cause == Malformed {
		return d // There is not enough of a signature to compute anything.
	}
	v.searching.Lock()
	defer v.searching.Unlock()
	f := v.finder(r, s, secret, want)
	defer v.free.Put(f.scratch)
	f.search()
	server, client, differences := f.result()
	d.Server = server
	if d.Valid {
		return d
	}
	d.Client = client
	for _, found := range differences {
		// What is said of the refusal itself is the better text.
		if !slices.ContainsFunc(d.Differences, func(said Difference) bool { return said.Part == found.Part }) {
			d.Differences = append(d.Differences, found)
		}
	}
	switch {
	case client != nil && *client == *server:
		d.Client, d.Note = nil, "but for that, the signature is right"
	case client == nil && refusal.Cause == Mismatch:
		d.Note = unexplained(r, s, want)
	}
	return d
}

// unexplained says what can be said of a signature that nothing explains.
func unexplained(r *inbound.Request, s *Signature, want Expect) string {
	note := "nothing that signers are known to do differently explains the signature: either it was made with another secret, or a signed part of the request was changed on the way, by a proxy for example; compare the server's canonical request with the one that the signer logs"
	changing := slices.DeleteFunc(slices.Clone(s.SignedHeaders), func(name string) bool {
		return !slices.Contains(changedByProxies, name) && !strings.HasPrefix(name, "x-forwarded-") && !strings.HasPrefix(name, "x-envoy-")
	})
	if len(changing) > 0 {
		note += "; it signs " + strings.Join(changing, ", ") + ", which proxies change: leave that out of what is signed (match_excluded_headers in Envoy's signing filter)"
	}
	if want.DataPlane && want.Body == nil && r.Method != http.MethodGet && r.Method != http.MethodHead {
		note += "; the gateway keeps no bodies, so it cannot tell whether the hash of this one was signed: tell the signer that the payload is " + UnsignedPayload + " (the payload's hash of SignHTTP in aws-sdk-go-v2)"
	}
	return note
}

// changedByProxies are headers that proxies write anew, take out or add to.
// Source: Envoy, "HTTP header sanitizing" and "HTTP header manipulation".
var changedByProxies = []string{
	"accept-encoding", "b3", "connection", "content-length", "cookie", "expect", "forwarded", "referer", "te", "traceparent", "tracestate",
	"transfer-encoding", "user-agent", "via", "x-amzn-trace-id", "x-request-id",
}

// Refused is what is known of a refusal without computing anything.
func Refused(err *Error, r *inbound.Request, want Expect) Diagnosis {
	d := Diagnosis{Cause: err.Cause.String(), Text: err.Detail}
	switch {
	case want.Stream:
		d.Code = "UNAUTHENTICATED" // the gRPC status
	case want.Service == "iam" || want.Service == "sts" || want.Service == "ec2":
		d.Code, _ = err.code()
	default:
		_, body := err.DataPlane() // has the codes of JSON APIs
		d.Code, _, _ = strings.Cut(body, ": ")
	}
	s := new(Signature)
	_, _ = s.Parse(r)
	if difference, ok := explain(err, r, s, want); ok {
		d.Differences = append(d.Differences, difference)
	}
	return d
}

// explain says what is different where that needs no key to be known. s is as far as
// it could be parsed.
func explain(err *Error, r *inbound.Request, s *Signature, want Expect) (d Difference, ok bool) {
	dates := func(fix string) Difference {
		return Difference{
			PartDate, fmt.Sprintf("the time is %s; a signature is good for %s before and after", want.Now.UTC().Format(timeFormat), span(want.Skew)), "signed at " + s.timeText, fix,
		}
	}
	scope := "service " + want.Service
	if want.Region != "" {
		scope += ", region " + want.Region
	}
	switch err.Cause {
	case Mismatch, Busy:
		return Difference{}, false
	case Missing:
		return Difference{
			PartHeader, "demands a signature", "sent no Authorization header of AWS's and no X-Amz-Signature",
			"sign the request: curl --aws-sigv4 \"aws:amz:REGION:" + want.Service + "\" --user ID:SECRET, or a signer of an SDK; if the client does sign, something on the way takes the Authorization header out",
		}, true
	case UnknownKey:
		return Difference{
			PartSecret, "knows no active access key with this id and session token", "signed with " + s.ShownKeyID(),
			"use an access key of this installation: an id that begins with ASIA needs its session token in x-amz-security-token, and a long-term key must have none",
		}, true
	case ExpiredToken:
		return Difference{
			PartSecret, "the session of this access key has ended", "signed with " + s.ShownKeyID(),
			"get new credentials: AssumeRole again, or let the SDK's credential provider refresh them in place of keeping a copy",
		}, true
	case BadScope:
		fix := "sign for " + scope
		switch {
		case s.Service != want.Service:
			fix += ": curl --aws-sigv4 takes it as the last part of aws:amz:REGION:SERVICE, the SDKs' signers as the signing name; the API of VPC Lattice is vpc-lattice, requests to services are vpc-lattice-svcs"
		case s.asymmetric():
			fix += ": x-amz-region-set must have the region, or *"
		case want.Region != "" && s.Region != want.Region:
			fix += ": set AWS_REGION, or the signer's region"
		default:
			fix += ", with the day of the request's own date in UTC and aws4_request at the end: a signer that takes the day from one clock reading and the time from another is wrong around midnight"
		}
		return Difference{PartScope, scope, s.Scope, fix}, true
	case Expired:
		fix := "set the client's clock, by NTP; sign each request anew, right before it is sent, and retries too"
		if s.Presigned {
			fix += "; a presigned request is good for X-Amz-Expires, and never longer than the service lets a signature be"
		}
		return dates(fix), true
	case NotYet:
		return dates("set the client's clock, by NTP, and format the date in UTC: a local time with a Z behind it is hours off"), true
	case PayloadHash:
		value, _ := r.Get("x-amz-content-sha256")
		if want.Stream {
			return Difference{PartPayload, UnsignedPayload + ", or the hash of nothing", value, "sign a stream without its body: use_unsigned_payload in Envoy's signing filter"}, true
		}
		return Difference{
			PartPayload, "the SHA-256 of the body as it came in", "x-amz-content-sha256: " + value,
			"send the hexadecimal SHA-256 of the very bytes of the body, or leave x-amz-content-sha256 out; " + UnsignedPayload + " is for VPC Lattice's data plane and S3",
		}, true
	case SignedPayload, MissingPayloadHeader:
		value, present := r.Get("x-amz-content-sha256")
		client := "sent no x-amz-content-sha256"
		if present {
			client = "x-amz-content-sha256: " + value
			if !s.Signs("x-amz-content-sha256") {
				client += ", not signed"
			}
		}
		return Difference{
			PartPayload, "x-amz-content-sha256: " + UnsignedPayload + ", signed", client,
			"set the header x-amz-content-sha256: " + UnsignedPayload + " before signing: -H for curl --aws-sigv4; in the request that is given to botocore, aws4, aws4fetch or @smithy/signature-v4; for aws-sdk-go-v2 also as the payload hash of SignHTTP",
		}, true
	case AbsentHeader:
		name := ""
		for _, name = range s.SignedHeaders {
			if _, there := r.Get(name); !there && name != "host" {
				break
			}
		}
		return Difference{
			PartHeader, "received no " + name, "signed " + name,
			"sign only what is sent and arrives: curl -H 'Accept:' signs a header that it then leaves out; aws-sdk-go-v2 and aws4 sign content-length, which a proxy may drop; connection, te, expect and the like end at the first hop",
		}, true
	case UnsignedHeader:
		var unsigned []string
		for i := range r.Headers {
			if name := r.Headers[i].Name; (strings.HasPrefix(name, "x-amz-") && mustBeSigned(name, want) || name == "date" && r.Count("x-amz-date") == 0) && !s.Signs(name) {
				unsigned = append(unsigned, name)
			}
		}
		return Difference{
			PartHeader, "demands " + strings.Join(unsigned, ", ") + " among the signed headers", "signed " + s.signedList,
			"set every x-amz-* header before signing and none after: a session token goes to curl --aws-sigv4 with -H 'x-amz-security-token: TOKEN', to the SDKs' signers with the credentials",
		}, true
	}
	for _, m := range malformed {
		if strings.Contains(err.Detail, m.text) {
			return Difference{m.part, m.server, m.client(r, s), m.fix}, true
		}
	}
	return Difference{PartHeader, "demands a whole signature", "sent something else", "sign with AWS's own SDK, or with curl --aws-sigv4"}, true
}

// malformed says what to change where a request has no whole signature, by a part of
// the refusal's text.
var malformed = []struct {
	text, part, server string
	client             func(*inbound.Request, *Signature) string
	fix                string
}{
	{
		"both in the Authorization header", PartHeader, "one signature", says("an Authorization header and X-Amz parameters in the query string"),
		"send a presigned URL without an Authorization header: leave --user and --aws-sigv4 out with curl",
	},
	{
		"Authorization headers", PartHeader, "one Authorization header", count("authorization"),
		"leave the other Authorization header out: a bearer token for the target needs a header of its own",
	},
	{
		"X-Amz-Date headers: send one", PartDate, "one x-amz-date", count("x-amz-date"),
		"let the signer set x-amz-date alone: curl --aws-sigv4 (7.88.1) sends it twice if it is given with -H",
	},
	{"X-Amz-Content-Sha256 headers", PartPayload, "one x-amz-content-sha256", count("x-amz-content-sha256"), "set it once"},
	{"X-Amz-Security-Token headers", PartHeader, "one x-amz-security-token", count("x-amz-security-token"), "give the session token once: to the signer's credentials, or as a header"},
	{"X-Amz-Region-Set headers", PartScope, "one x-amz-region-set", count("x-amz-region-set"), "set it once, with commas between the regions"},
	{"'X-Amz-Region-Set'", PartScope, "x-amz-region-set", says("sent none"), "name the regions in x-amz-region-set, signed, as signers of SigV4A do, or sign with " + AlgorithmHMAC},
	{"'X-Amz-Date' or a 'Date'", PartDate, "x-amz-date", says("sent no date"), "let the signer add x-amz-date, and send it: something on the way may have taken it out"},
	{"ISO-8601 'basic format'", PartDate, "x-amz-date: " + timeFormat, date, "write the date in UTC as 20060102T150405Z, without hyphens, colons and fractions"},
	{"X-Amz-Expires must", PartDate, fmt.Sprintf("a number of seconds from 1 to %d", maxExpires), says("another X-Amz-Expires"), "write the life of a presigned request in seconds"},
	{
		"SignedHeaders must be sorted", PartHeader, "names in ascending order, each once", signedList,
		"sort the names of the signed headers, not whole lines, and join the values of a header that is there twice with a comma: curl --aws-sigv4 (7.88.1) does neither, so name each header once with -H, and none that another begins with",
	},
	{
		"SignedHeaders must be lower-case", PartHeader, "lower-case names separated by ';'", signedList,
		"write the names in lower case; curl 7.88.1 signs -H 'name;' (an empty header) under a wrong name: give it a value, or leave it out",
	},
	{"SignedHeaders names more", PartHeader, fmt.Sprintf("at most %d names", maxSignedHeaders), says("more"), "sign host and the x-amz-* headers; no other needs to be signed"},
	{"'Host' or ':authority'", PartHost, "host among the signed headers", signedList, "sign the host header, and what it is on the wire: in some signers it must be set before signing"},
	{
		"slash-delimited elements", PartScope, "keyid/date/region/service/aws4_request, without region for SigV4A", says("another number of parts"),
		"give the signer the access key id, not the secret, as the first part, and region and service without slashes",
	},
	{"access key id", PartSecret, "an access key id", says("none, or a very long one"), "give the signer an access key id: an environment variable may be empty"},
	{"64 lower-case hexadecimal", PartHeader, "64 lower-case hexadecimal digits", says("another signature"), "write the signature in lower-case hexadecimal"},
	{"ECDSA signature in DER", PartHeader, "DER in lower-case hexadecimal", says("another signature"), "write the signature of SigV4A as DER in hexadecimal, not as r and s alone"},
	{"signing algorithm", PartHeader, AlgorithmHMAC + " or " + AlgorithmECDSA, says("another algorithm"), "sign with SigV4 or SigV4A: SigV2 and signatures with X.509 certificates are not taken here"},
	{"query string", PartQueryEncoding, fmt.Sprintf("valid percent escapes, at most %d bytes and %d parameters", maxQuery, maxParameters), query, "write a percent sign that stands for itself as %25, and what is long in the body"},
	{"without escapes", PartQueryEncoding, "X-Amz- parameters under their plain names", query, "write the names of X-Amz- parameters as they are"},
	{"is there twice", PartQueryEncoding, "each X-Amz- parameter once", query, "presign the URL without X-Amz- parameters in it: it may have been presigned already"},
	{"not percent-encoded correctly", PartQueryEncoding, "valid percent escapes", query, "copy the presigned URL whole, in single quotes in a shell"},
	{"query-string parameters must include", PartHeader, "all X-Amz- parameters of a presigned request", query, "copy the presigned URL whole, in single quotes in a shell: an & ends the command there"},
	{"Authorization header", PartHeader, "Credential=…, SignedHeaders=…, Signature=…, each once", says("another Authorization header"), "copy the header whole: a shell or a proxy may have cut it at a comma"},
}

func says(text string) func(*inbound.Request, *Signature) string {
	return func(*inbound.Request, *Signature) string { return text }
}

func count(name string) func(*inbound.Request, *Signature) string {
	return func(r *inbound.Request, _ *Signature) string { return fmt.Sprintf("sent %d", r.Count(name)) }
}

func date(r *inbound.Request, _ *Signature) string {
	if value, ok := r.Get("x-amz-date"); ok {
		return "x-amz-date: " + value
	}
	value, _ := r.Get("date")
	return "date: " + value
}

func signedList(_ *inbound.Request, s *Signature) string { return s.signedList }

func query(r *inbound.Request, _ *Signature) string {
	_, text, _ := strings.Cut(hideToken(r.Target, redacted), "?")
	return fmt.Sprintf("%.1024s", text)
}
