package iam

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestOIDCProviderLifecycle(t *testing.T) {
	w := newWorld(t, Quotas{})
	thumbprint := strings.Repeat("0aF9", 10)
	made := w.ok("CreateOpenIDConnectProvider", "Url=https://oidc.example/id/ABC", "ClientIDList.member.1=sts.amazonaws.com", "ClientIDList.member.2=other",
		"ThumbprintList.member.1="+thumbprint, "Tags.member.1.Key=Team", "Tags.member.1.Value=core")
	arn := made.text("OpenIDConnectProviderArn")
	if arn != w.arn("oidc-provider/oidc.example/id/ABC") {
		t.Fatal(arn)
	}
	at := "OpenIDConnectProviderArn=" + arn
	got := w.ok("GetOpenIDConnectProvider", at)
	// Without the scheme, as AWS shows it.
	if got.text("Url") != "oidc.example/id/ABC" || got.text("CreateDate") != "2026-11-21T10:00:00Z" ||
		!slices.Equal(got.members("ClientIDList", ""), []string{"sts.amazonaws.com", "other"}) ||
		!slices.Equal(got.members("ThumbprintList", ""), []string{thumbprint}) || !slices.Equal(got.members("Tags", "Value"), []string{"core"}) {
		t.Errorf("%+v", got.root)
	}
	w.fails(409, "EntityAlreadyExists", "Provider with url https://oidc.example/id/ABC already exists.", "CreateOpenIDConnectProvider", "Url=https://oidc.example/id/ABC")
	// Another case is another issuer; no thumbprint is needed.
	other := w.ok("CreateOpenIDConnectProvider", "Url=https://oidc.example/id/abc").text("OpenIDConnectProviderArn")
	if diff := cmp.Diff([]string{arn, other}, w.ok("ListOpenIDConnectProviders").members("OpenIDConnectProviderList", "Arn")); diff != "" {
		t.Error(diff)
	}
	if n := w.ok("GetAccountSummary").at("SummaryMap"); !slices.ContainsFunc(n.children, func(e *node) bool { return e.child("key").text == "Providers" && e.child("value").text == "2" }) {
		t.Error("the summary does not count the providers")
	}
	for range 2 { // once more changes nothing
		w.ok("AddClientIDToOpenIDConnectProvider", at, "ClientID=third")
		w.ok("RemoveClientIDFromOpenIDConnectProvider", at, "ClientID=other")
	}
	w.ok("UpdateOpenIDConnectProviderThumbprint", at, "ThumbprintList=")
	w.ok("TagOpenIDConnectProvider", at, "Tags.member.1.Key=a", "Tags.member.1.Value=1", "Tags.member.2.Key=b", "Tags.member.2.Value=2")
	w.ok("UntagOpenIDConnectProvider", at, "TagKeys.member.1=TEAM")
	got = w.ok("GetOpenIDConnectProvider", at)
	if !slices.Equal(got.members("ClientIDList", ""), []string{"sts.amazonaws.com", "third"}) || len(got.members("ThumbprintList", "")) != 0 {
		t.Errorf("%+v", got.root)
	}
	if diff := cmp.Diff([]string{"a", "b"}, w.pages("ListOpenIDConnectProviderTags", "Tags", "Key", at)); diff != "" {
		t.Error(diff)
	}
	w.ok("DeleteOpenIDConnectProvider", at)
	w.fails(404, "NoSuchEntity", "OpenIDConnect Provider not found for arn "+arn, "GetOpenIDConnectProvider", at)
}

func TestOIDCProviderRefusals(t *testing.T) {
	w := newWorld(t, Quotas{OIDCProviders: 1})
	const badURL = "Invalid Open ID Connect Provider URL"
	for _, url := range []string{"oidc.example", "https://", "https://a.example?x=1", "https://a.example#f", "https://u:p@a.example", "https://a.example/*"} {
		w.fails(400, "ValidationError", badURL, "CreateOpenIDConnectProvider", "Url="+url)
	}
	for _, url := range []string{"http://oidc.example", "http://10.0.0.1", "ftp://a.example"} {
		w.fails(400, "ValidationError", badURL+": it must begin with https://; http:// is for an issuer on a loopback address", "CreateOpenIDConnectProvider", "Url="+url)
	}
	w.fails(400, "InvalidInput", "Thumbprint "+strings.Repeat("x", 40)+" is not the SHA-1 of a certificate in hexadecimal.",
		"CreateOpenIDConnectProvider", "Url=https://a.example", "ThumbprintList.member.1="+strings.Repeat("x", 40))
	many := func(name, value string, n int) []string {
		out := []string{"Url=https://a.example"}
		for i := range n {
			out = append(out, fmt.Sprintf("%s.member.%d=%s", name, i+1, fmt.Sprintf(value, i)))
		}
		return out
	}
	w.fails(400, "InvalidInput", "Thumbprint list must contain fewer than 5 entries.", "CreateOpenIDConnectProvider", many("ThumbprintList", "%040d", 6)...)
	w.fails(409, "LimitExceeded", "Cannot exceed quota for ClientIdsPerOpenIdConnectProvider: 100", "CreateOpenIDConnectProvider", many("ClientIDList", "c%d", 101)...)

	// A port and a loopback address are for issuers of one's own.
	full := many("ClientIDList", "c%d", 100)
	full[0] = "Url=http://127.0.0.1:8443/own"
	arn := w.ok("CreateOpenIDConnectProvider", full...).text("OpenIDConnectProviderArn")
	w.fails(409, "EntityAlreadyExists", "Provider with url https://127.0.0.1:8443/own already exists.", "CreateOpenIDConnectProvider", "Url=https://127.0.0.1:8443/own")
	w.fails(409, "LimitExceeded", "Cannot exceed quota for OpenIdConnectProvidersPerAccount: 1", "CreateOpenIDConnectProvider", "Url=https://b.example")
	w.fails(409, "LimitExceeded", "Cannot exceed quota for ClientIdsPerOpenIdConnectProvider: 100", "AddClientIDToOpenIDConnectProvider", "OpenIDConnectProviderArn="+arn, "ClientID=more")
	far := strings.Replace(arn, w.account, "999999999999", 1)
	for _, arn := range []string{far, w.arn("oidc-provider/none"), w.arn("oidc-provider/"), "arn:aws:iam::aws:policy/AdministratorAccess", "a-name-of-twenty-letters"} {
		w.fails(404, "NoSuchEntity", "OpenIDConnect Provider not found for arn "+arn, "DeleteOpenIDConnectProvider", "OpenIDConnectProviderArn="+arn)
	}
}
