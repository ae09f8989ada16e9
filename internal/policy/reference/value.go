package reference

import (
	"math/big"
	"net"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// number reads an integer or a decimal number, of any size.
// Source: IUG, "Numeric condition operators".
func number(s string) (*big.Rat, bool) {
	plain := strings.TrimPrefix(s, "-")
	if plain == s {
		plain = strings.TrimPrefix(s, "+")
	}
	if strings.Trim(plain, "0123456789.") != "" || strings.Trim(plain, ".") == "" || strings.Count(plain, ".") > 1 {
		return nil, false // Neither "inf" nor "1e9" nor "0x50" is one.
	}
	return new(big.Rat).SetString(s)
}

func related(relation string, comparison int) truth {
	switch relation {
	case "lessthan":
		return is(comparison < 0)
	case "lessthanequals":
		return is(comparison <= 0)
	case "greaterthan":
		return is(comparison > 0)
	case "greaterthanequals":
		return is(comparison >= 0)
	}
	return is(comparison == 0)
}

// forms are those of W3C's profile of ISO 8601; one without a zone is UTC.
// Source: IUG, "Date condition operators".
var forms = []string{
	"2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05", "2006-01-02T15:04Z07:00", "2006-01-02T15:04",
	"2006-01-02", "2006-01", "20060102T150405Z",
}

// date reads a date, as nanoseconds since 1970: with a '-' or a 'T' in it it is ISO 8601,
// else seconds, up to 2^63-1 of them. Nobody measures finer than in nanoseconds.
// Source: PMapper's comparison with AWS's policy simulator.
func date(s string) (*big.Int, bool) {
	if strings.ContainsAny(s, "-T") {
		for _, form := range forms {
			if t, err := time.Parse(form, s); err == nil {
				return nanoseconds(big.NewInt(t.Unix()), int64(t.Nanosecond())), true
			}
		}
		return nil, false
	}
	whole, fraction, _ := strings.Cut(s, ".")
	seconds, ok := new(big.Int).SetString(whole, 10)
	if !ok || strings.Trim(whole+fraction, "0123456789") != "" || !seconds.IsInt64() {
		return nil, false
	}
	rest, _ := new(big.Int).SetString((fraction + "000000000")[:9], 10)
	return nanoseconds(seconds, rest.Int64()), true
}

// written is what the date of a policy can be besides: years of any length and sign,
// parts without leading zeros or left out, small letters, a zone of hours alone.
// Source: what IAM's check takes and refuses, as recorded by moto.
var written = regexp.MustCompile(`^(-?)([0-9]+)(?:-([0-9]+))?(?:-([0-9]+))?(?:T([0-9]+)?(?::([0-9]+))?(?::([0-9]+))?(?:\.([0-9]*))?)?Z?(?:\+([0-9]{2})(?::([0-9]{2}))?)?$`)

// writtenDate is the date that a policy says; the check when it was stored was that it
// is one.
func writtenDate(s string) *big.Int {
	if d, ok := date(s); ok {
		return d
	}
	parts := written.FindStringSubmatch(strings.ToUpper(s))
	part := func(i, otherwise int) int {
		n, err := strconv.Atoi(parts[i])
		if err != nil {
			return otherwise // It is left out.
		}
		return n
	}
	year := part(2, 0)
	if parts[1] == "-" {
		year = -year
	}
	t := time.Date(year, time.Month(part(3, 1)), part(4, 1), part(5, 0), part(6, 0), part(7, 0), 0, time.UTC)
	t = t.Add(-time.Duration(part(9, 0))*time.Hour - time.Duration(part(10, 0))*time.Minute)
	rest, _ := strconv.ParseInt((parts[8] + "000000000")[:9], 10, 64)
	return nanoseconds(big.NewInt(t.Unix()), rest)
}

func nanoseconds(seconds *big.Int, rest int64) *big.Int {
	out := new(big.Int).Mul(seconds, big.NewInt(int64(time.Second)))
	return out.Add(out, big.NewInt(rest))
}

// address reads an IP address. Its zone says nothing of it.
func address(s string) (net.IP, bool) {
	plain, zone, zoned := strings.Cut(s, "%")
	if zoned && (zone == "" || !strings.Contains(plain, ":")) {
		return nil, false
	}
	ip := net.ParseIP(plain)
	return ip, ip != nil
}

// within tells whether an address is in a range, or is the one that stands alone. Bits
// behind the prefix do not count. IPv4 and IPv6 never match; an IPv4 address, or a range
// of them, that is written as IPv6 is IPv4.
// Source: IUG, "IP address condition operators".
func within(text string, ip net.IP) bool {
	if !strings.Contains(text, "/") {
		return ip.Equal(net.ParseIP(text))
	}
	written, r, _ := net.ParseCIDR(text)
	size, _ := r.Mask.Size()
	if len(r.Mask) == net.IPv6len && written.To4() != nil && size >= 96 {
		r = &net.IPNet{IP: written.To4(), Mask: net.CIDRMask(size-96, 32)}
	}
	return (len(r.Mask) == net.IPv4len) == (ip.To4() != nil) && r.Contains(ip)
}
