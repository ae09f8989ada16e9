package awsapi_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchwork/latchwork/internal/awsapi"
	"github.com/latchwork/latchwork/internal/wire/iam"
	"github.com/latchwork/latchwork/internal/wire/vpclattice"
)

// lister answers list operations with names.
type lister struct {
	names    []string
	revision int64
	seen     awsapi.Cursor
}

func (l *lister) page(ctx context.Context) ([]string, *string, error) {
	l.seen, _ = awsapi.Start(ctx)
	return awsapi.Page(ctx, l.names, l.revision, func(s string) string { return s })
}

type latticeLister struct {
	vpclattice.Unimplemented
	*lister
}

func (l latticeLister) ListServices(ctx context.Context, _ *vpclattice.ListServicesRequest) (*vpclattice.ListServicesResponse, error) {
	names, next, err := l.page(ctx)
	if err != nil {
		return nil, err
	}
	out := &vpclattice.ListServicesResponse{NextToken: next}
	for _, name := range names {
		out.Items = append(out.Items, vpclattice.ServiceSummary{Name: &name})
	}
	return out, nil
}

type iamLister struct {
	iam.Unimplemented
	*lister
}

func (l iamLister) ListUsers(ctx context.Context, _ *iam.ListUsersRequest) (*iam.ListUsersResponse, error) {
	names, next, err := l.page(ctx)
	if err != nil {
		return nil, err
	}
	out := &iam.ListUsersResponse{Marker: next, IsTruncated: new(next != nil)}
	for _, name := range names {
		out.Users = append(out.Users, iam.User{UserName: &name})
	}
	return out, nil
}

func (l latticeLister) ListServiceNetworks(ctx context.Context, _ *vpclattice.ListServiceNetworksRequest) (*vpclattice.ListServiceNetworksResponse, error) {
	_, next, err := l.page(ctx)
	return &vpclattice.ListServiceNetworksResponse{NextToken: next}, err
}

type listAnswer struct {
	Items     []struct{ Name string }
	NextToken *string
}

func (l *lister) list(t *testing.T, h *harness, target string) (names []string, next string) {
	t.Helper()
	w := h.do("GET", target, "vpc-lattice", "", "")
	if w.Code != 200 {
		t.Fatalf("%s: %d %s", target, w.Code, w.Body)
	}
	var a listAnswer
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
		t.Fatal(err)
	}
	for _, item := range a.Items {
		names = append(names, item.Name)
	}
	if a.NextToken != nil {
		next = url.QueryEscape(*a.NextToken)
	}
	return names, next
}

func newLister(t *testing.T, names []string) (*lister, *harness) {
	l := &lister{names: names, revision: 7}
	return l, newHarness(t, allowAll, nil,
		exempt(vpclattice.Bind(everyLattice{latticeLister{lister: l}}, nil)),
		exempt(iam.Bind(everyIAM{iamLister{lister: l}}, nil)))
}

func TestPagesCoverTheList(t *testing.T) {
	var all []string
	for i := range 105 {
		all = append(all, fmt.Sprintf("n%03d", i))
	}
	for _, size := range []int{1, 2, 50, 100} {
		l, h := newLister(t, all)
		var got []string
		target := fmt.Sprintf("/services?maxResults=%d", size)
		for next := "start"; next != ""; {
			var names []string
			at := target
			if next != "start" {
				at += "&nextToken=" + next
			}
			names, next = l.list(t, h, at)
			if len(names) > size {
				t.Fatalf("a page has %d items, want at most %d", len(names), size)
			}
			got = append(got, names...)
		}
		if diff := cmp.Diff(all, got); diff != "" {
			t.Errorf("size %d (-want +got):\n%s", size, diff)
		}
	}
	l, h := newLister(t, all)
	if names, next := l.list(t, h, "/services"); len(names) != awsapi.DefaultPageSize || next == "" {
		t.Errorf("the default page has %d items, next %q", len(names), next)
	}
}

func TestPagesDoNotShift(t *testing.T) {
	l, h := newLister(t, []string{"b", "d", "f"})
	_, next := l.list(t, h, "/services?maxResults=2")
	l.names, l.revision = []string{"a", "b", "c", "e", "f"}, 9
	names, _ := l.list(t, h, "/services?maxResults=2&nextToken="+next)
	if diff := cmp.Diff([]string{"e", "f"}, names); diff != "" {
		t.Errorf("page after d (-want +got):\n%s", diff)
	}
	if l.seen.Revision != 7 || l.seen.After != "d" {
		t.Errorf("the cursor is %+v; it must carry the revision of the first page", l.seen)
	}
}

func TestForeignTokensAreRefused(t *testing.T) {
	l, h := newLister(t, []string{"a", "b", "c"})
	_, next := l.list(t, h, "/services?maxResults=1")
	raw, _ := url.QueryUnescape(next)
	decoded, err := base64.RawURLEncoding.DecodeString(raw)
	if err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{
		"other operation": "/servicenetworks?nextToken=" + next,
		"no base64":       "/services?nextToken=%21",
		"no JSON":         "/services?nextToken=" + base64.RawURLEncoding.EncodeToString([]byte("x")),
		"cut":             "/services?nextToken=" + base64.RawURLEncoding.EncodeToString(decoded[:len(decoded)-1]),
		"forged":          "/services?nextToken=" + base64.RawURLEncoding.EncodeToString([]byte(`{"b":"0000000000000000","a":"a"}`)),
	} {
		w := h.do("GET", target, "vpc-lattice", "", "")
		if w.Code != 400 || header(w, "x-amzn-errortype") != "ValidationException" {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	w := h.do("POST", "/", "iam", formType, "Action=ListUsers&Version=2010-05-08&Marker=x")
	if w.Code != 400 || h.last(t).Code != "ValidationError" || !contains(w.Body.String(), "<Message>Invalid Marker.</Message>") {
		t.Errorf("IAM: %d %s", w.Code, w.Body)
	}
}

func TestTokenIsBoundToTheFilter(t *testing.T) {
	_, h := newLister(t, []string{"a", "b", "c"})
	w := h.do("POST", "/", "iam", formType, "Action=ListUsers&Version=2010-05-08&MaxItems=1&PathPrefix=/x/")
	if w.Code != 200 || !contains(w.Body.String(), "<IsTruncated>true</IsTruncated>") {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	_, marker, _ := cut(w.Body.String(), "<Marker>", "</Marker>")
	for filter, want := range map[string]int{"&PathPrefix=/x/": 200, "&PathPrefix=/y/": 400, "": 400} {
		w := h.do("POST", "/", "iam", formType, "Action=ListUsers&Version=2010-05-08&Marker="+url.QueryEscape(marker)+filter)
		if w.Code != want {
			t.Errorf("filter %q: %d %s", filter, w.Code, w.Body)
		}
	}
}
