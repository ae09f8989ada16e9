package sigv4

import (
	"crypto/ecdsa"
	"slices"
	"strings"

	"github.com/latchwork/latchwork/internal/inbound"
)

// The dimensions in which a signer can differ. The key is the last one: what is
// signed does not depend on it.
const (
	dimMethod = iota
	dimPath
	dimQuery
	dimHost
	dimHeaders
	dimPayload
	dimTime
	dimKey
	dimensions
)

// option is one way to compute a part of a signature.
type option struct {
	// part and fix are empty for the ways that the server takes.
	part, fix string
	// text is what is signed, and of a key the key; shown is what may be shown of it.
	text, shown string
	lines       headerLines // of dimHeaders
	key         *signingKey // of dimKey
	public      *ecdsa.PublicKey
}

// The bounds of a search: how often a signature is compared, which costs a
// microsecond with SigV4 and ninety with SigV4A, and how many bytes are hashed. All
// combinations of three ways to differ are below them, with SigV4A of two.
const (
	maxTries           = 100_000
	maxTriesAsymmetric = 2_000
	maxHashed          = 128 << 20
)

// finder looks for what a signer has computed.
type finder struct {
	*scratch
	r, hidden *inbound.Request // hidden is without a session token
	s         Signature        // with the time that is tried
	options   [dimensions][]option
	choice    [dimensions]*option
	found     bool
	tries     int
	hashed    int
}

// hiddenToken stands for a session token until a text is shown: it is the same in
// every encoding.
const hiddenToken = "latchwork.hides.the.session.token"

func shown(text string) string { return strings.ReplaceAll(text, hiddenToken, redacted) }

func (v *Verifier) finder(r *inbound.Request, s *Signature, secret Secret, want Expect) *finder {
	hidden := *r
	hidden.Target = hideToken(r.Target, hiddenToken)
	hidden.Headers = slices.Clone(r.Headers)
	for i := range hidden.Headers {
		if hidden.Headers[i].Name == "x-amz-security-token" {
			hidden.Headers[i].Value = hiddenToken
		}
	}
	f := &finder{scratch: v.scratch(), r: r, hidden: &hidden, s: *s, tries: maxTries, hashed: maxHashed}
	if s.asymmetric() {
		f.tries = maxTriesAsymmetric
	}
	f.addMethods()
	f.addPaths(want)
	f.addQueries()
	f.addHosts(want)
	f.addHeaders()
	f.addPayloads(want)
	f.addTimes()
	f.addKeys(secret, want)
	f.reset()
	return f
}

// reset chooses the server's ways.
func (f *finder) reset() {
	for dim := range f.options {
		if len(f.options[dim]) > 0 {
			f.choice[dim] = &f.options[dim][0]
		}
	}
	f.s.timeText = f.choice[dimTime].text
}

// add takes up a way to compute a part, if it comes to another text than the ways
// before it.
func (f *finder) add(dim int, o option) {
	if !slices.ContainsFunc(f.options[dim], func(other option) bool { return other.text == o.text }) {
		f.options[dim] = append(f.options[dim], o)
	}
}

// search looks for the combination of ways that fits the signature and differs least
// from the server's. Without a key there is nothing to try.
func (f *finder) search() {
	for deviations := 0; deviations <= dimensions && len(f.options[dimKey]) > 0 && !f.found; deviations++ {
		f.found = f.try(0, deviations)
	}
	if !f.found {
		f.reset()
	}
}

// try goes through the ways of the dimensions from dim on that differ from the
// server's in so many.
func (f *finder) try(dim, deviations int) bool {
	if deviations > dimensions-dim || f.tries <= 0 || f.hashed <= 0 {
		return false
	}
	if dim == dimKey {
		f.canonical(false)
		f.hashed -= len(f.buf)
		f.toSign(&f.s)
	}
	for i := range f.options[dim] {
		o := &f.options[dim][i]
		left := deviations
		if o.part != "" {
			left--
		}
		if left < 0 {
			continue
		}
		f.choice[dim] = o
		if dim == dimTime {
			f.s.timeText = o.text
		}
		if dim < dimKey && f.try(dim+1, left) || dim == dimKey && left == 0 && f.fits(o) {
			return true
		}
	}
	return false
}

// fits tells whether the string to sign in f.buf was signed with a key.
func (f *finder) fits(o *option) bool {
	f.tries--
	if o.public != nil {
		return f.signedBy(o.public, &f.s)
	}
	return f.signedWith(o.key, &f.s)
}

// canonical writes the canonical request of the chosen ways into f.buf.
func (f *finder) canonical(hidden bool) {
	r, text := f.r, func(dim int) string { return f.choice[dim].text }
	if hidden {
		r, text = f.hidden, func(dim int) string { return f.choice[dim].shown }
	}
	b := f.buf[:0]
	for dim := dimMethod; dim <= dimQuery; dim++ {
		b = append(b, text(dim)...)
		b = append(b, '\n')
	}
	for _, line := range f.choice[dimHeaders].lines(r, &f.s, text(dimHost)) {
		b = append(b, line...)
		b = append(b, '\n')
	}
	b = append(b, '\n')
	b = append(b, f.s.signedList...)
	b = append(b, '\n')
	f.buf = append(b, text(dimPayload)...)
}

// computed is what the chosen ways come to.
func (f *finder) computed() *Computed {
	f.canonical(true)
	out := &Computed{CanonicalRequest: shown(string(f.buf))}
	f.canonical(false)
	f.s.timeText = f.choice[dimTime].text
	f.toSign(&f.s)
	out.StringToSign = string(f.buf)
	return out
}

// result gives what the signer and the server have computed, and how they differ. The
// signer's is nil if it was not found.
func (f *finder) result() (server, client *Computed, differences []Difference) {
	if f.found {
		client = f.computed()
	}
	signers := f.choice
	for dim := range f.choice {
		// Where the server takes several ways, it is shown in the one that was signed.
		if f.choice[dim] != nil && f.choice[dim].part != "" {
			f.choice[dim] = &f.options[dim][0]
		}
	}
	server = f.computed()
	for dim, o := range signers {
		if o == nil || o.part == "" {
			continue
		}
		d := Difference{o.part, shown(f.choice[dim].shown), shown(o.shown), o.fix}
		if o.part == PartSecret {
			d.Server = "the secret of " + f.s.AccessKeyID
		}
		if dim == dimHeaders {
			a := f.choice[dim].lines(f.hidden, &f.s, f.choice[dimHost].text)
			b := o.lines(f.hidden, &f.s, f.choice[dimHost].text)
			if one, other := without(a, b), without(b, a); len(one)+len(other) > 0 {
				a, b = one, other
			}
			d.Server, d.Client = shown(strings.Join(a, "\n")), shown(strings.Join(b, "\n"))
		}
		differences = append(differences, d)
	}
	return server, client, differences
}

// without are the texts of a that are not in b.
func without(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(text string) bool { return slices.Contains(b, text) })
}

// plainOption is a way whose text may be shown.
func plainOption(part, text, fix string) option {
	return option{part: part, fix: fix, text: text, shown: text}
}
