package inbound

import (
	"net/url"
	"strings"
	"testing"
)

func TestCheckPath(t *testing.T) {
	for _, test := range []struct {
		path string
		ok   bool
	}{
		{"/", true},
		{"/a/b", true},
		{"/a/", true},
		{"/a%2Fb", true},
		{"/a%20b", true},
		{"/...", true},
		{"/.a", true},
		{"/a.", true},
		{"/%25", true},
		{"/é", true},
		{"", false},
		{"a", false},
		{"*", false},
		{"//", false},
		{"/a//b", false},
		{"/.", false},
		{"/..", false},
		{"/a/../b", false},
		{"/a/./b", false},
		{"/%2e", false},
		{"/%2E%2e/b", false},
		{"/.%2e", false},
		{"/a\\b", false},
		{"/%5c", false},
		{"/%00", false},
		{"/%zz", false},
		{"/%2", false},
		{"/%", false},
		{"/a b", false},
		{"/a\tb", false},
		{"/a#b", false},
		{"/\x7f", false},
	} {
		if err := CheckPath(test.path); (err == nil) != test.ok {
			t.Errorf("CheckPath(%q) = %v, want it accepted: %t", test.path, err, test.ok)
		}
	}
}

// refused is the rule of CheckPath in another, slower way.
func refused(path string) bool {
	if path == "" || path[0] != '/' || strings.ContainsAny(path, " #\\\x7f") || strings.IndexFunc(path, func(r rune) bool { return r < ' ' }) >= 0 {
		return true
	}
	segments := strings.Split(path[1:], "/")
	for i, segment := range segments {
		s, err := url.PathUnescape(segment)
		if err != nil || s == "." || s == ".." || s == "" && i < len(segments)-1 || strings.ContainsAny(s, "\\\x00") {
			return true
		}
	}
	return false
}

func FuzzCheckPath(f *testing.F) {
	for _, path := range []string{"/a/%2e%2e/b", "/a//b", "/.%2E", "/...", "/a%2", "/%00", "/a/."} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		if got, want := CheckPath(path) != nil, refused(path); got != want {
			t.Fatalf("CheckPath(%q): refused %t, want %t", path, got, want)
		}
		if refused(path) {
			return
		}
		for _, segment := range strings.Split(path[1:], "/") {
			want, err := url.PathUnescape(segment)
			if got := Unescape(segment); err != nil || got != want {
				t.Errorf("segment %q reads %q, want %q (%v)", segment, got, want, err)
			}
		}
	})
}

func TestCheckTarget(t *testing.T) {
	for _, test := range []struct {
		target string
		ok     bool
	}{
		{"/a", true},
		{"/a?", true},
		{"/a?b=c&d&&=e", true},
		{"/a?b=%2F%2e%2E/../\\;:@?", true},
		{"/a?b=%25zz", true},
		{"/a?b=%00", true},
		{"/a?b=é", true},
		{"/a/..?b", false},
		{"?b", false},
		{"/a?b c", false},
		{"/a?b HTTP/1.1", false},
		{"/a?b\t", false},
		{"/a?b\r\nX: y", false},
		{"/a?b\x00", false},
		{"/a?b\x7f", false},
		{"/a?b#c", false},
		{"/a?b=%", false},
		{"/a?b=%2", false},
		{"/a?b=%zz", false},
		{"/a?b=%2F%2g", false},
		{"/a?b=%%41", false},
	} {
		if err := CheckTarget(test.target); (err == nil) != test.ok {
			t.Errorf("CheckTarget(%q) = %v, want it accepted: %t", test.target, err, test.ok)
		}
	}
}

// FuzzCheckQuery: what is accepted can be decoded, part by part, and is one word of
// a request line.
func FuzzCheckQuery(f *testing.F) {
	for _, query := range []string{"a=%2f&b", "a=%", "a b", "%zz", "a#b"} {
		f.Add(query)
	}
	f.Fuzz(func(t *testing.T, query string) {
		bad := false
		for _, part := range strings.Split(query, "&") {
			_, err := url.QueryUnescape(part)
			bad = bad || err != nil || strings.ContainsAny(part, "#\x7f") ||
				strings.IndexFunc(part, func(r rune) bool { return r <= ' ' }) >= 0
		}
		if got := CheckQuery(query) != nil; got != bad {
			t.Errorf("CheckQuery(%q): refused %t, want %t", query, got, bad)
		}
	})
}

func TestCheckTargetAllocatesNothing(t *testing.T) {
	n := testing.AllocsPerRun(100, func() {
		if err := CheckTarget("/authpolicy/arn%3Aaws%3Avpc-lattice/b/c?d=%20e&f"); err != nil {
			t.Fatal(err)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestIsGRPC(t *testing.T) {
	for _, test := range []struct {
		name  string
		major int
		verb  string
		types []string
		want  bool
	}{
		{"call", 2, "POST", []string{"application/grpc"}, true},
		{"with codec", 2, "POST", []string{"application/grpc+proto"}, true},
		{"with parameter", 2, "POST", []string{"application/grpc;v=1"}, true},
		{"HTTP/1.1", 1, "POST", []string{"application/grpc"}, false},
		{"GET", 2, "GET", []string{"application/grpc"}, false},
		{"web", 2, "POST", []string{"application/grpc-web"}, false},
		{"two content types", 2, "POST", []string{"application/grpc", "text/plain"}, false},
		{"none", 2, "POST", nil, false},
	} {
		r := &Request{Method: test.verb, Major: test.major}
		for _, v := range test.types {
			r.Headers = append(r.Headers, Header{"content-type", v})
		}
		if got := r.IsGRPC(); got != test.want {
			t.Errorf("%s: %t, want %t", test.name, got, test.want)
		}
	}
}

func TestCheckHeaders(t *testing.T) {
	many := &Request{Headers: make([]Header, MaxHeaders+1)}
	large := &Request{Headers: []Header{{"a", strings.Repeat("x", MaxHeaderBytes)}}}
	fine := &Request{Headers: make([]Header, MaxHeaders)}
	if many.CheckHeaders() == nil || large.CheckHeaders() == nil || fine.CheckHeaders() != nil {
		t.Error("limits of headers are not kept")
	}
}
