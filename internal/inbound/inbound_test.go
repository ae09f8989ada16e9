package inbound

import (
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

func FuzzCheckPath(f *testing.F) {
	f.Add("/a/%2e%2e/b")
	f.Fuzz(func(t *testing.T, path string) {
		if CheckPath(path) != nil {
			return
		}
		for _, segment := range strings.Split(path[1:], "/") {
			if s := Unescape(segment); s == "." || s == ".." || strings.ContainsAny(s, "\\\x00") {
				t.Errorf("accepted %q, whose segment %q reads %q", path, segment, s)
			}
		}
	})
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
