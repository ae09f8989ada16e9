package sigv4

import (
	"strings"
	"testing"

	"github.com/latchwork/latchwork/internal/inbound"
)

// TestCanonicalPath: dots and double slashes go as text, before any decoding, and
// what is there is encoded once more.
func TestCanonicalPath(t *testing.T) {
	for _, test := range []struct{ path, want string }{
		{"", "/"},
		{"/", "/"},
		{"//", "/"},
		{"/a/b", "/a/b"},
		{"/a/b/", "/a/b/"},
		{"/a//b", "/a/b"},
		{"//a", "/a"},
		{"/./a", "/a"},
		{"/a/.", "/a/"},
		{"/a/..", "/"},
		{"/a/b/..", "/a/"},
		{"/a/b/../c", "/a/c"},
		{"/../../a", "/a"},
		{"/...", "/..."},
		{"/.a/..b", "/.a/..b"},
		{"/%2e%2e/a", "/%252e%252e/a"},
		{"/a%2Fb", "/a%252Fb"},
		{"/a%20b", "/a%2520b"},
		{"/a:b,c", "/a%3Ab%2Cc"},
		{"/é", "/%C3%A9"},
		{"/-._~", "/-._~"},
	} {
		if got := string(appendPath(nil, test.path, normalDouble)); got != test.want {
			t.Errorf("canonical form of %q is %q, want %q", test.path, got, test.want)
		}
	}
}

func canonicalQuery(x *scratch, query string, presigned bool) string {
	x.sortQuery(query, presigned)
	return string(x.appendQuery(nil))
}

func TestCanonicalQuery(t *testing.T) {
	for _, test := range []struct{ query, want string }{
		{"", ""},
		{"a", "a="},
		{"a=", "a="},
		{"b=2&a=1", "a=1&b=2"},
		{"a=2&a=1", "a=1&a=2"},
		{"id-type=1&id=2", "id=2&id-type=1"},
		{"a-b=2&a/b=1", "a%2Fb=1&a-b=2"},
		{"a=x+y", "a=x%20y"},
		{"a=x%20y", "a=x%20y"},
		{"a=x%2By", "a=x%2By"},
		{"%61=%2f", "a=%2F"},
		{"a=b=c", "a=b%3Dc"},
		{"a;b=c", "a%3Bb=c"},
		{"&&a=1&", "a=1"},
		{"=v", "=v"},
		{"a=é", "a=%C3%A9"},
		{"X-Amz-Signature=1&a=2", "a=2"},
		{"x-amz-signature=1&a=2", "a=2&x-amz-signature=1"},
	} {
		x := NewVerifier().scratch()
		if got := canonicalQuery(x, test.query, true); got != test.want {
			t.Errorf("canonical form of %q is %q, want %q", test.query, got, test.want)
		}
	}
}

// FuzzCanonicalQuery: the canonical form is its own canonical form, and the order
// of the parameters does not change it.
func FuzzCanonicalQuery(f *testing.F) {
	f.Add("b=2&a=1&a=%2f&c+d")
	f.Fuzz(func(t *testing.T, query string) {
		if inbound.BadEscape(query) >= 0 {
			return
		}
		x := NewVerifier().scratch()
		once := canonicalQuery(x, query, false)
		if twice := canonicalQuery(x, once, false); twice != once {
			t.Errorf("%q becomes %q and then %q", query, once, twice)
		}
		parts := strings.Split(query, "&")
		for i, j := 0, len(parts)-1; i < j; i, j = i+1, j-1 {
			parts[i], parts[j] = parts[j], parts[i]
		}
		if turned := canonicalQuery(x, strings.Join(parts, "&"), false); turned != once {
			t.Errorf("%q becomes %q, and turned round %q", query, once, turned)
		}
	})
}

// FuzzCanonicalPath: no dots and no double slashes are left, and both forms never
// hold a line break, which would begin another line of the canonical request.
func FuzzCanonicalPath(f *testing.F) {
	f.Add("/a/../b//c/./%2e")
	f.Fuzz(func(t *testing.T, path string) {
		got := string(appendPath(nil, "/"+path, normalDouble)) // a target in origin form
		if !normal(got) || got[0] != '/' || strings.ContainsAny(got, "\n?#") {
			t.Errorf("%q becomes %q", path, got)
		}
	})
}
