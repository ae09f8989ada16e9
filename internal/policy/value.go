package policy

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// number is a decimal number as its digits, so that numbers of any length compare
// exactly and comparing allocates nothing.
type number struct {
	negative bool
	whole    string // without leading zeros
	fraction string // without trailing zeros
}

// parseNumber reads an integer or a decimal number. It is stricter than strconv:
// "inf", "nan" and hexadecimal are no numbers, or a client could send a header that
// is greater than every limit.
func parseNumber(s string) (number, bool) {
	var n number
	if s != "" && (s[0] == '-' || s[0] == '+') {
		n.negative, s = s[0] == '-', s[1:]
	}
	whole, fraction, _ := strings.Cut(s, ".")
	if whole == "" && fraction == "" || !digits(whole) || !digits(fraction) {
		return number{}, false
	}
	n.whole, n.fraction = strings.TrimLeft(whole, "0"), strings.TrimRight(fraction, "0")
	if n.whole == "" && n.fraction == "" {
		n.negative = false
	}
	return n, true
}

func (n number) compare(m number) int {
	if n.negative != m.negative {
		if n.negative {
			return -1
		}
		return 1
	}
	size := cmp.Compare(len(n.whole), len(m.whole))
	if size == 0 {
		size = strings.Compare(n.whole, m.whole)
	}
	if size == 0 {
		size = strings.Compare(n.fraction, m.fraction)
	}
	if n.negative {
		return -size
	}
	return size
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

func (r relation) holds(cmp int) bool {
	switch r {
	case less:
		return cmp < 0
	case lessEqual:
		return cmp <= 0
	case greater:
		return cmp > 0
	case greaterEqual:
		return cmp >= 0
	}
	return cmp == 0
}

// instant is a date. Nanoseconds in one integer would end in the year 2262, and
// policies that never expire say 9999.
type instant struct {
	seconds int64
	nanos   int
}

func (i instant) compare(j instant) int {
	return cmp.Or(cmp.Compare(i.seconds, j.seconds), cmp.Compare(i.nanos, j.nanos))
}

// dateForms are the forms of W3C's profile of ISO 8601, with the zone left out
// too, which stands for UTC.
var dateForms = []string{
	time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04Z07:00", "2006-01-02T15:04",
	"2006-01-02", "2006-01", "2006-01-02T15:04:05.999999999Z0700", "20060102T150405Z",
}

// parseDate reads a date. A text with '-' or 'T' is ISO 8601, any other is seconds
// since 1970, from 0 to 2^63-1.
// Source: PMapper's comparison with AWS's policy simulator; the range is that of
// the check when a policy is stored, as recorded by moto.
func parseDate(s string) (instant, bool) {
	if i := strings.IndexAny(s, "-T"); i > 0 {
		for _, form := range dateForms {
			if t, err := time.Parse(form, s); err == nil {
				return instant{t.Unix(), t.Nanosecond()}, true
			}
		}
		return instant{}, false
	}
	whole, fraction, _ := strings.Cut(s, ".")
	if whole == "" || !digits(whole) || !digits(fraction) {
		return instant{}, false
	}
	seconds, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		return instant{}, false
	}
	nanos, unit := 0, 100_000_000
	for i := 0; i < len(fraction) && unit > 0; i++ {
		nanos += int(fraction[i]-'0') * unit
		unit /= 10
	}
	return instant{seconds, nanos}, true
}

// mappedBits is the length of the prefix ::ffff: that IPv4 addresses have in IPv6.
const mappedBits = 96

// parseCIDR reads a range of addresses; an address alone is a range of one. Bits
// behind the prefix are masked, and a range of IPv4 addresses that is written in
// IPv6 is a range of IPv4 addresses, as the address of a request is.
// Source: IUG, "IP address condition operators".
func parseCIDR(s string) (netip.Prefix, bool) {
	if !strings.Contains(s, "/") {
		a, err := netip.ParseAddr(s)
		if err != nil || a.Zone() != "" {
			return netip.Prefix{}, false
		}
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, false
	}
	if p.Addr().Is4In6() && p.Bits() >= mappedBits {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-mappedBits)
	}
	return p.Masked(), true
}

// addressRange is a run of addresses, its first and its last.
type addressRange struct{ first, last netip.Addr }

func rangeOf(p netip.Prefix) addressRange {
	last := p.Addr().AsSlice()
	for bit := p.Bits(); bit < 8*len(last); bit++ {
		last[bit/8] |= 0x80 >> (bit % 8)
	}
	end, _ := netip.AddrFromSlice(last)
	return addressRange{p.Addr(), end}
}

// addressRanges are in order and apart, so that a search finds the one that an
// address may be in.
type addressRanges []addressRange

// merged brings ranges into order; one that begins in another is part of it.
func (r addressRanges) merged() addressRanges {
	slices.SortFunc(r, func(a, b addressRange) int { return a.first.Compare(b.first) })
	out := r[:0]
	for _, one := range r {
		if n := len(out); n > 0 && one.first.Compare(out[n-1].last) <= 0 {
			if one.last.Compare(out[n-1].last) > 0 {
				out[n-1].last = one.last
			}
			continue
		}
		out = append(out, one)
	}
	return out
}

// contain tells whether an address is in one of the ranges. Addresses of IPv4 come
// before those of IPv6, so no range holds both.
func (r addressRanges) contain(a netip.Addr) bool {
	after, _ := slices.BinarySearchFunc(r, a, func(one addressRange, a netip.Addr) int {
		if one.first.Compare(a) <= 0 {
			return -1
		}
		return 1
	})
	return after > 0 && a.Compare(r[after-1].last) <= 0
}
