package sigv4

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/latchwork/latchwork/internal/inbound"
)

// This is what signers do differently from AWS's rules, as far as it is known of real
// ones: curl, the SDKs, and what people write themselves.
// Sources: the signers' own code, run beside the verifier; curl issues 11794, 11806
// and 14370; aws-sigv4-proxy issue 116; aws4 issue 103.

func (f *finder) addMethods() {
	f.add(dimMethod, plainOption("", f.r.Method, ""))
	for _, method := range []string{strings.ToUpper(f.r.Method), strings.ToLower(f.r.Method)} {
		f.add(dimMethod, plainOption(PartMethod, method, "sign the method as it is sent, letter for letter: in capitals"))
	}
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut} {
		f.add(dimMethod, plainOption(PartMethod, method,
			"sign the method that is sent: a redirect may have turned POST into GET, and a proxy or framework may change it on the way"))
	}
}

const fixDots = "send the path without empty segments, . and ..: aws-sdk-go-v2 and minio-go sign them as they are, and AWS's rule takes them out first"

func (f *finder) addPaths(want Expect) {
	path := f.r.Path()
	if path == "" {
		path = "/"
	}
	for _, form := range pathForms(path, want.DataPlane) {
		if form != skipForm {
			f.add(dimPath, plainOption("", string(appendPath(nil, path, form)), ""))
		}
	}
	server := f.options[dimPath][0].text
	encode := func(s string) string { return string(appendEncoded(nil, s, true)) }
	decoded, err := url.PathUnescape(path)
	if err != nil {
		decoded = path
	}
	raw := "sign the path with every byte but letters, digits and -._~/ percent-encoded once more, so that %20 becomes %2520: curl --aws-sigv4 (7.88.1) signs it as it is typed, which a newer curl or a path of plain characters avoids; aws-sdk-go-v2 does with DisableURIPathEscaping, botocore with S3SigV4Auth, both meant for S3"
	if want.DataPlane && strings.Contains(path, "%25") {
		raw += "; here a path is taken as it is typed too, unless it has %25 in it"
	}
	f.add(dimPath, plainOption(PartPath, path, raw))
	f.add(dimPath, plainOption(PartPath, encode(path), fixDots))
	f.add(dimPath, plainOption(PartPath, normalize(path), raw+"; "+fixDots))
	f.add(dimPath, plainOption(PartPath, encode(normalize(decoded)),
		"encode the path twice: the signer was given the decoded path, such as URL.Path in Go, and encoded it once, which is S3's rule"))
	f.add(dimPath, plainOption(PartPath, encode(decoded), "encode the path twice, and send it without empty segments, . and ..: the signer was given the decoded path and encoded it once, which is S3's rule"))
	f.add(dimPath, plainOption(PartPath, decoded, "sign the path as it is on the wire, encoded: the signer was given the decoded one, such as URL.Path in Go or PATH_INFO in WSGI"))
	f.add(dimPath, plainOption(PartPath, encode(server), "encode the path once less: the signer encodes itself, give it the path as it is on the wire"))
	f.add(dimPath, plainOption(PartPath, strings.TrimSuffix(server, "/"), "sign the slash at the path's end, or do not send it: a URL library may have added it after signing"))
	f.add(dimPath, plainOption(PartPath, strings.TrimSuffix(server, "/")+"/", "send the slash at the path's end that was signed, or do not sign it: a URL library or proxy may have taken it out"))
	f.add(dimPath, plainOption(PartPath, "/", "sign the path: the signer was given only the host"))
	f.add(dimPath, plainOption(PartPath, "", "sign the path: the signer was given none"))
}

// piece is a parameter of a query: as it is on the wire, and canonical.
type piece struct {
	raw, name, value string
	bare             bool // without '='
}

func pieces(query string, presigned bool) (out []piece) {
	for raw := range strings.SplitSeq(query, "&") {
		name, value, found := strings.Cut(raw, "=")
		if raw != "" && (!presigned || name != presignParams[paramSignature]) {
			out = append(out, piece{raw, reencode(name), reencode(value), !found})
		}
	}
	return out
}

// canonical is the parameter as AWS's rule has it.
func (p piece) canonical() string { return p.name + "=" + p.value }

// decoded is what it says.
func (p piece) decoded() (name, value string) {
	name, _ = url.QueryUnescape(p.name)
	value, _ = url.QueryUnescape(p.value)
	return name, value
}

func byName(a, b piece) int { return strings.Compare(a.name, b.name) }

func byNameAndValue(a, b piece) int { return cmp.Or(byName(a, b), strings.Compare(a.value, b.value)) }

func byText(a, b piece) int { return strings.Compare(a.canonical(), b.canonical()) }

func byRaw(a, b piece) int { return strings.Compare(a.raw, b.raw) }

func byDecoded(a, b piece) int {
	an, av := a.decoded()
	bn, bv := b.decoded()
	return cmp.Or(strings.Compare(an, bn), strings.Compare(av, bv))
}

// join writes parameters in an order.
func join(all []piece, order func(a, b piece) int, write func(piece) string) string {
	if order != nil {
		all = slices.SortedStableFunc(slices.Values(all), order)
	}
	var texts []string
	for _, p := range all {
		texts = append(texts, write(p))
	}
	return strings.Join(texts, "&")
}

const (
	fixQueryOrder    = "sort the parameters by their encoded names, then by their encoded values: curl --aws-sigv4 (7.88.1) signs them as they are typed, so type them in this order, or use a newer curl; SDKs sort"
	fixQueryEncoding = "sign each parameter as name=value with every byte but letters, digits and -._~ percent-encoded in capitals: curl --aws-sigv4 (7.88.1) and botocore sign the text as it is typed, so type it encoded"
)

// queryForms are the ways to write a query, the server's own first.
var queryForms = []struct {
	part  string
	write func([]piece) string
	fix   string
}{
	{"", func(all []piece) string { return join(all, byNameAndValue, piece.canonical) }, ""},
	{PartQueryOrder, func(all []piece) string { return join(all, nil, piece.canonical) }, fixQueryOrder},
	{
		PartQueryOrder, func(all []piece) string { return join(all, byText, piece.canonical) },
		"sort the parameters by name, then by value, not by name=value as one text: a name comes before those that it begins, and - is before =",
	},
	{
		PartQueryOrder, func(all []piece) string { return join(all, byDecoded, piece.canonical) },
		"sort the parameters after encoding them, not before: the signing filter of Envoys of 2021 to 2024 does it before",
	},
	{
		PartQueryOrder, func(all []piece) string { return join(all, byName, piece.canonical) },
		"sort the values of one name too: minio-go leaves them as they are",
	},
	{
		PartQueryEncoding, func(all []piece) string {
			return join(all, byNameAndValue, func(p piece) string {
				if p.bare {
					return p.name
				}
				return p.canonical()
			})
		},
		"sign a parameter without a value as name= with the equals sign: curl --aws-sigv4 (7.88.1) signs it as it is typed, so type name=",
	},
	{
		PartQueryEncoding, func(all []piece) string {
			return join(plus(all), byNameAndValue, piece.canonical)
		},
		"write a space as %20, never as +: AWS's common runtime (botocore's CRT signers, aws-crt) signs a + as %2B, and other signers as a space",
	},
	{
		PartQueryEncoding, func(all []piece) string {
			return join(all, byRaw, func(p piece) string {
				if p.bare {
					return p.raw + "="
				}
				return p.raw
			})
		},
		fixQueryEncoding,
	},
	{PartQueryEncoding, func(all []piece) string { return join(all, byRaw, func(p piece) string { return p.raw }) }, fixQueryEncoding},
	{
		PartQueryEncoding, func(all []piece) string { return join(all, nil, func(p piece) string { return p.raw }) },
		fixQueryEncoding + "; and sorted by name",
	},
	{
		PartQueryEncoding, func(all []piece) string {
			return join(all, byNameAndValue, func(p piece) string {
				return string(appendEncoded(nil, p.name, false)) + "=" + string(appendEncoded(nil, p.value, false))
			})
		},
		"encode the parameters once: the signer encodes itself and was given encoded ones, as awscurl does",
	},
	{
		PartQueryEncoding, func(all []piece) string { return join(once(all), byNameAndValue, piece.canonical) },
		"sign every value of a name that is there several times: the signer keeps one, as botocore's presigner and requests-auth-aws-sigv4 do",
	},
	{
		PartQueryEncoding, func(all []piece) string {
			last := slices.Clone(all)
			slices.Reverse(last)
			return join(once(last), byNameAndValue, piece.canonical)
		},
		"sign every value of a name that is there several times: the signer keeps the last",
	},
	{
		PartQueryEncoding, func([]piece) string { return "" },
		"sign the query string: the signer was given the path alone, or parameters were added after signing",
	},
}

// plus reads a '+' as itself and not as a space.
func plus(all []piece) (out []piece) {
	for _, p := range all {
		name, value, _ := strings.Cut(strings.ReplaceAll(p.raw, "+", "%2B"), "=")
		out = append(out, piece{p.raw, reencode(name), reencode(value), p.bare})
	}
	return out
}

// once keeps the first parameter of each name.
func once(all []piece) (out []piece) {
	seen := map[string]bool{}
	for _, p := range all {
		if !seen[p.name] {
			seen[p.name] = true
			out = append(out, p)
		}
	}
	return out
}

func (f *finder) addQueries() {
	real, hidden := pieces(f.r.RawQuery(), f.s.Presigned), pieces(f.hidden.RawQuery(), f.s.Presigned)
	for _, form := range queryForms {
		f.add(dimQuery, option{part: form.part, fix: form.fix, text: form.write(real), shown: form.write(hidden)})
	}
}

func (f *finder) addHosts(want Expect) {
	forms := hostForms(f.r, want)
	for _, host := range append(forms[:], want.Hosts...) {
		if host != "" || len(f.options[dimHost]) == 0 {
			f.add(dimHost, plainOption("", host, ""))
		}
	}
	host := f.r.Authority
	bare := withoutPort(host)
	f.add(dimHost, plainOption(PartHost, bare,
		"sign the host with the port that is sent: signers leave out the scheme's own port alone, so 8080 stays; with gRPC send :authority without a port, or sign it"))
	for _, port := range []string{":80", ":443"} {
		f.add(dimHost, plainOption(PartHost, bare+port, "leave out the scheme's own port: sign the host as it is sent"))
	}
	const changed = "sign the host that arrives here: a proxy on the way has changed it; let it keep the client's (preserve_host, proxy_set_header Host $http_host)"
	for _, name := range []string{"x-forwarded-host", "x-envoy-original-host", "x-original-host"} {
		if value, ok := f.r.Get(name); ok {
			f.add(dimHost, plainOption(PartHost, value, changed))
		}
	}
	for _, same := range []string{host, bare} {
		f.add(dimHost, plainOption(PartHost, strings.ToLower(same), "sign the host in the letters that are sent: awscurl writes it in lower case, as nearly all names are"))
		f.add(dimHost, plainOption(PartHost, strings.TrimSuffix(same, "."), "sign the host with the stop at its end, or do not send it"))
	}
	f.add(dimHost, plainOption(PartHost, "", "sign the host header: some signers take it from the request's headers, where it must be set before signing"))
}

// headerLines are the lines of the signed headers.
type headerLines func(r *inbound.Request, s *Signature, host string) []string

// lines makes them from the values of each header.
func lines(write func(name string, values []string) []string) headerLines {
	return func(r *inbound.Request, s *Signature, host string) (out []string) {
		for _, name := range s.SignedHeaders {
			values := []string{host}
			if name != "host" {
				values = values[:0]
				for i := range r.Headers {
					if r.Headers[i].Name == name {
						values = append(values, r.Headers[i].Value)
					}
				}
			}
			out = append(out, write(name, values)...)
		}
		return out
	}
}

// joined writes one line a header, of its values as they come out of each.
func joined(each func(string) string, separator string) headerLines {
	return lines(func(name string, values []string) []string {
		out := make([]string, len(values))
		for i, value := range values {
			out[i] = each(value)
		}
		return []string{name + ":" + strings.Join(out, separator)}
	})
}

func folded(value string) string { return string(appendValue(nil, value)) }

func (f *finder) addHeaders() {
	server := joined(folded, ",")
	for _, form := range []struct {
		part  string
		lines headerLines
		fix   string
	}{
		{"", server, ""},
		{PartHeader, joined(trim, ","), "write runs of spaces in a header's value as one space, in signing or in the value: smithy-go's aws-http-auth only takes them from the ends"},
		{PartHeader, joined(strings.Clone, ","), "take the spaces from the ends of a header's value, or do not send them"},
		{PartHeader, joined(folded, ", "), "join the values of a header that is there several times with a comma alone; a proxy that merges such headers with a comma and a space changes what was signed"},
		{
			PartHeader, lines(func(name string, values []string) (out []string) {
				for _, value := range values {
					out = append(out, name+":"+folded(value))
				}
				return out
			}), "sign a header that is there several times as one line: curl --aws-sigv4 (7.88.1) writes a line for each -H, so give the values in one, with commas",
		},
		{
			PartHeader, lines(func(name string, values []string) []string {
				return []string{name + ":" + folded(strings.Join(values[:min(1, len(values))], ""))}
			}), "sign all values of a header that is there several times: the signer has signed the first, or a proxy has added the others",
		},
		{
			PartHeader, lines(func(name string, values []string) []string {
				return []string{name + ":" + folded(strings.Join(values[max(0, len(values)-1):], ""))}
			}), "sign all values of a header that is there several times: the signer has signed the last",
		},
		{
			PartHeader, func(r *inbound.Request, s *Signature, host string) []string {
				out := server(r, s, host)
				slices.Sort(out)
				return out
			}, "sort the headers by name, not as whole lines, where - comes before the colon: curl --aws-sigv4 (7.88.1) does, so do not sign two headers of which one name begins the other",
		},
	} {
		text := func(r *inbound.Request) string { return strings.Join(form.lines(r, &f.s, f.r.Authority), "\n") }
		f.add(dimHeaders, option{part: form.part, fix: form.fix, text: text(f.r), shown: text(f.hidden), lines: form.lines})
	}
}

func hashOf(body string) string {
	sum := sha256.Sum256([]byte(body))
	return hex.EncodeToString(sum[:])
}

func (f *finder) addPayloads(want Expect) {
	server, err := payload(f.r, &f.s, want)
	mode := "sign the payload as the service wants it: as the SHA-256 of the body"
	if want.DataPlane {
		mode = "sign the payload as " + UnsignedPayload + ": the signer hashes the body although the header says that it does not; set the header before signing, and for aws-sdk-go-v2 give it to SignHTTP as the payload's hash too"
	}
	if want.Stream {
		mode = "sign a stream as what its x-amz-content-sha256 says"
	}
	switch {
	case err == nil:
	case want.DataPlane || want.Stream:
		server = UnsignedPayload
	default:
		server = hashOf(string(want.Body))
	}
	f.add(dimPayload, plainOption("", server, ""))
	header, _ := f.r.Get("x-amz-content-sha256")
	body := string(want.Body)
	const (
		newline = "sign the very bytes that are sent: the body differs in the line break at its end; curl -d @file takes line breaks out, --data-binary @file keeps them, and echo adds one"
		breaks  = "sign the very bytes that are sent: the body differs in its line breaks, LF or CR LF"
	)
	for _, form := range []struct{ text, fix string }{
		{UnsignedPayload, mode},
		{emptyPayload, mode + "; this is the hash of nothing, which curl --aws-sigv4 (7.88.1) signs for uploads with -T and -F, and signers that are not given the body"},
		{hashOf(body), mode},
		{hashOf(body + "\n"), newline},
		{hashOf(strings.TrimRight(body, "\r\n")), newline},
		{hashOf(strings.ReplaceAll(body, "\r\n", "\n")), breaks},
		{hashOf(strings.ReplaceAll(body, "\n", "\r\n")), breaks},
		{header, mode}, // or nothing
	} {
		f.add(dimPayload, plainOption(PartPayload, form.text, form.fix))
	}
}

func (f *finder) addTimes() {
	f.add(dimTime, plainOption("", f.s.timeText, ""))
	value, ok := f.r.Get("date")
	if !ok || f.s.Presigned {
		return
	}
	const fix = "put the x-amz-date that is sent into the string to sign: it wins over a Date header; send only one of them"
	if t, err := http.ParseTime(value); err == nil {
		f.add(dimTime, plainOption(PartDate, t.UTC().Format(timeFormat), fix))
	}
	f.add(dimTime, plainOption(PartDate, value, fix+", and write it as 20060102T150405Z"))
}

// secretForms are the ways in which secrets are spoilt.
var secretForms = []struct {
	change func(string) string
	what   string
	fix    string
}{
	{func(s string) string { return s + "\n" }, "with a line break at its end", "take the line break from the end of the secret: a file or a Kubernetes secret that was made with echo has one; printf '%s' and echo -n do not"},
	{func(s string) string { return s + "\r\n" }, "with CR LF at its end", "take the line break from the end of the secret: the file comes from Windows"},
	{func(s string) string { return s + "\r" }, "with a CR at its end", "take the CR from the end of the secret: the file comes from Windows"},
	{func(s string) string { return s + " " }, "with a space at its end", "take the space from the end of the secret"},
	{func(s string) string { return " " + s }, "with a space before it", "take the space from before the secret"},
	{func(s string) string { return `"` + s + `"` }, "in double quotes", "take the quotes from the secret: env files and YAML literals keep them"},
	{func(s string) string { return "'" + s + "'" }, "in single quotes", "take the quotes from the secret: env files keep them"},
	{url.QueryEscape, "percent-encoded", "give the signer the secret as it is, not percent-encoded"},
	{func(s string) string { return strings.ReplaceAll(s, "+", " ") }, "with spaces for +", "give the signer the secret as it is: a form or URL has turned + into a space"},
	{strings.TrimSpace, "without the white space at its ends", "compare the secret that was given here: it has white space at its ends"},
}

// addKeys takes up the keys that the signature may have been made with; none if the
// secret is not known.
func (f *finder) addKeys(secret Secret, want Expect) {
	if len(secret) == 0 {
		return
	}
	s := &f.s
	withKey := func(part string, secret Secret, date, region, service, what, fix string) {
		o := option{part: part, fix: fix, shown: what, key: &signingKey{key: deriveKey(secret, date, region, service)}}
		o.text = string(o.key.key)
		if s.asymmetric() {
			key, err := derivePublic(s.AccessKeyID, secret)
			if err != nil {
				return
			}
			o.public = key
		}
		f.add(dimKey, o)
	}
	withKey("", secret, s.Date, s.Region, s.Service, "a key for "+s.Scope, "")
	for _, form := range secretForms {
		withKey(PartSecret, Secret(form.change(string(secret))), s.Date, s.Region, s.Service, "the secret "+form.what, form.fix)
	}
	if s.asymmetric() {
		return // Its key is good for every day, region and service.
	}
	withScope := func(date, region, service, fix string) {
		what := "a key for " + strings.Join([]string{date, region, service, terminator}, "/")
		withKey(PartScope, secret, date, region, service, what, fix)
	}
	const fix = "derive the signing key for the same day, region and service that the credential scope names"
	for _, service := range []string{want.Service, "vpc-lattice-svcs", "vpc-lattice", "s3", "execute-api", "appmesh", "iam", "sts"} {
		withScope(s.Date, s.Region, service, fix+": the service's signing name is "+s.Service)
	}
	for _, region := range []string{want.Region, "us-east-1", "us-east-2", "us-west-1", "us-west-2", "eu-west-1", "eu-central-1", ""} {
		withScope(s.Date, region, s.Service, fix)
	}
	for _, days := range []int{-1, 1, -2} {
		withScope(s.Time.Add(time.Duration(days)*24*time.Hour).UTC().Format("20060102"), s.Region, s.Service,
			fix+": a key that is kept is good for one day in UTC")
	}
}
