package policy

import (
	"math/big"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestNumbersCompareExactly holds numbers against big.Rat, which a float is not.
func TestNumbersCompareExactly(t *testing.T) {
	decimal := rapid.StringMatching(`[+-]?(0{0,2}[0-9]{1,20}(\.[0-9]{0,20})?|\.[0-9]{1,5})`)
	rapid.Check(t, func(rt *rapid.T) {
		a, b := decimal.Draw(rt, "a"), decimal.Draw(rt, "b")
		if rapid.Bool().Draw(rt, "alike") {
			b = strings.TrimRight(a, "0") // Often equal, often nearly.
		}
		m, ok := parseNumber(a)
		n, ok2 := parseNumber(b)
		x, xok := new(big.Rat).SetString(a)
		y, yok := new(big.Rat).SetString(b)
		if ok != xok || ok2 != yok {
			rt.Fatalf("%q is a number: %t, %q: %t", a, ok, b, ok2)
		}
		if ok && ok2 && m.compare(n) != x.Cmp(y) {
			rt.Fatalf("compare(%s, %s) = %d", a, b, m.compare(n))
		}
	})
}

func TestNoNumbers(t *testing.T) {
	for _, s := range []string{"", "-", "+", ".", "1e3", "inf", "-Infinity", "nan", "0x10", "1_000", " 1", "1 ", "1.2.3", "--1", "٣"} {
		if n, ok := parseNumber(s); ok {
			t.Errorf("%q is the number %+v", s, n)
		}
	}
}

func TestDates(t *testing.T) {
	at := func(s string) instant {
		d, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			t.Fatal(err)
		}
		return instant{d.Unix(), d.Nanosecond()}
	}
	for s, want := range map[string]instant{
		"2026-01-31T10:00:00Z": at("2026-01-31T10:00:00Z"), "2026-01-31T10:00:00": at("2026-01-31T10:00:00Z"),
		"2026-01-31T10:00Z": at("2026-01-31T10:00:00Z"), "2026-01-31T10:00": at("2026-01-31T10:00:00Z"),
		"2026-01-31": at("2026-01-31T00:00:00Z"), "2026-01": at("2026-01-01T00:00:00Z"),
		"2026-01-31T10:00:00.250+0200": at("2026-01-31T08:00:00.25Z"), "20260131T100000Z": at("2026-01-31T10:00:00Z"),
		"2026-01-31T10:00:00-01:00": at("2026-01-31T11:00:00Z"), "0": {}, "1.0000000019": {1, 1}, "9223372036854775807": {1<<63 - 1, 0},
		"9999-12-31T23:59:59Z": at("9999-12-31T23:59:59Z"), "0001-01-01T00:00:00Z": at("0001-01-01T00:00:00Z"),
	} {
		if got, ok := parseDate(s); !ok || got != want {
			t.Errorf("%q is %v, %t; want %v", s, got, ok, want)
		}
	}
	for _, s := range []string{"", "-1", "nan", "inf", "1e9", "9223372036854775808", "2026-13-01", "2026-02-30", "2026-1-1", "T", "tomorrow", ".5", "1.x", "0x10"} {
		if d, ok := parseDate(s); ok {
			t.Errorf("%q is the date %v", s, d)
		}
	}
}

// TestStoredDates: what a policy may say beside, and what a request may not.
func TestStoredDates(t *testing.T) {
	for s, want := range map[string]instant{
		"2026-01-31t10:00:00z":       {time.Date(2026, 1, 31, 10, 0, 0, 0, time.UTC).Unix(), 0},
		"2026-1-31T1:2":              {time.Date(2026, 1, 31, 1, 2, 0, 0, time.UTC).Unix(), 0},
		"2026-01-31T10:00:00.5+02":   {time.Date(2026, 1, 31, 8, 0, 0, 0, time.UTC).Unix(), 500_000_000},
		"2026-01-31T10:00:00+02:30":  {time.Date(2026, 1, 31, 7, 30, 0, 0, time.UTC).Unix(), 0},
		"01T":                        {time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC).Unix(), 0},
		"-1":                         {time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC).Unix(), 0},
		"292278993-12-31T23:59:59Z":  {time.Date(292278993, 12, 31, 23, 59, 59, 0, time.UTC).Unix(), 0},
		"-292275054-01-01T00:00:00Z": {time.Date(-292275054, 1, 1, 0, 0, 0, 0, time.UTC).Unix(), 0},
		"1767225600":                 {1767225600, 0},
	} {
		if got, ok := storedDate(s); !ok || got != want {
			t.Errorf("%q is %v, %t; want %v", s, got, ok, want)
		}
	}
	for _, s := range []string{
		"", "T", "-", "soon", "2026-13", "2026-00-01", "2026-1-32", "2026-1-1-1", "2026-01-01T24", "2026-01-01T1:60", "2026-01-01T1:1:60", "2026-01-01T1:1:1:1",
		"2026-01-01T1:1:1Z+01", "2026-01-01T1:1:1+1", "2026-01-01T1:1:1+24", "2026-01-01T1:1:1.1234567890", "2026-01-01T1:1:1.x", "292278994-01-01", "-292275055-01-01",
		"+2026-01-01", "2026-+1-01",
	} {
		if d, ok := storedDate(s); ok {
			t.Errorf("%q is the date %v", s, d)
		}
	}
}

func TestRanges(t *testing.T) {
	for s, want := range map[string]string{
		"10.1.2.3": "10.1.2.3/32", "10.1.2.3/8": "10.0.0.0/8", "2001:db8::1": "2001:db8::1/128", "2001:db8::1/32": "2001:db8::/32",
		"::ffff:10.1.2.3": "10.1.2.3/32", "::ffff:10.0.0.0/104": "10.0.0.0/8", "::/0": "::/0", "0.0.0.0/0": "0.0.0.0/0",
	} {
		if got, ok := parseCIDR(s); !ok || got.String() != want {
			t.Errorf("%q is %v, %t; want %s", s, got, ok, want)
		}
	}
	for _, s := range []string{"", "10.0.0", "10.0.0.0/33", "10.0.0.0/", "fe80::1%eth0", "fe80::%eth0/64", "10.0.0.1/8/8", "x"} {
		if p, ok := parseCIDR(s); ok {
			t.Errorf("%q is the range %v", s, p)
		}
	}
}
