package workload

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/snapshot"
	"github.com/latchwork/latchwork/internal/store"
)

const (
	profileARN = "arn:aws:iam::" + account + ":instance-profile/p/Box"
	there      = "10.0.0.1:4711"
	tokenPath  = "/latest/api/token"
	rolePath   = "/latest/meta-data/iam/security-credentials"
)

func (w *world) profile(role string) {
	w.t.Helper()
	w.change(func(tx *store.Tx) error {
		return model.Profiles.Put(tx, model.IAMKey(account, "Box"), &model.InstanceProfile{
			Meta: model.Meta{ID: "AIPA1", ARN: profileARN, Name: "Box", Account: account, Created: start, Updated: start}, Role: role,
		})
	})
}

// instanceWorld has an instance at 10.0.0.1.
func instanceWorld(t *testing.T) (*world, http.Handler) {
	w := newWorld(t)
	w.role("AROA1", trust("ec2.amazonaws.com", ""))
	w.profile("App")
	w.bind(model.Binding{Meta: model.Meta{ID: "i-1"}, Kind: model.EC2Instance, InstanceProfile: profileARN, Address: netip.MustParseAddr("10.0.0.1")})
	return w, w.service.Instances()
}

// token gets a token for an instance, as a header.
func (w *world) token(h http.Handler, from string) string {
	w.t.Helper()
	rec := w.ask(h, "PUT", tokenPath, from, "X-aws-ec2-metadata-token-ttl-seconds: 60")
	if rec.Code != 200 || rec.Header().Get("X-aws-ec2-metadata-token-ttl-seconds") != "60" || rec.Body.Len() == 0 {
		w.t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	return "X-aws-ec2-metadata-token: " + rec.Body.String()
}

func TestInstances(t *testing.T) {
	w, h := instanceWorld(t)
	token := w.token(h, there)
	get := func(path string) *httptest.ResponseRecorder { return w.ask(h, "GET", path, there, token) }
	for path, want := range map[string]string{
		rolePath: "App", rolePath + "/": "App", "/latest/meta-data/instance-id": "i-1",
		"/latest/meta-data/placement/region": region, "/latest/meta-data/placement/availability-zone": "us-west-2a",
		"/latest/meta-data/placement/availability-zone-id": "usw2-az1",
	} {
		if rec := get(path); rec.Code != 200 || rec.Body.String() != want || rec.Header().Get("Content-Type") != "text/plain" {
			t.Errorf("%s: %d %s %s", path, rec.Code, rec.Header().Get("Content-Type"), rec.Body)
		}
	}
	got := decode(t, get(rolePath+"/App"))
	s := w.session(got, "i-1")
	if got["Code"] != "Success" || got["Type"] != "AWS-HMAC" || got["LastUpdated"] != "2026-11-21T10:00:00Z" || len(got) != 7 || s.Expires.Sub(start) < 5*time.Hour {
		t.Errorf("%v", got)
	}
	wantKeys := map[string][]string{"ec2:roledelivery": {"2.0"}, "ec2:sourceinstancearn": {"arn:aws:ec2:us-west-2:" + account + ":instance/i-1"}}
	if diff := cmp.Diff(wantKeys, s.Principal.Session.Keys); diff != "" || !s.Principal.Session.Instance {
		t.Errorf("%+v", s.Principal.Session)
	}
	if got := decode(t, get("/latest/meta-data/iam/info")); got["InstanceProfileArn"] != profileARN || got["InstanceProfileId"] != "AIPA1" || got["Code"] != "Success" {
		t.Errorf("%v", got)
	}
	if got := decode(t, get("/latest/dynamic/instance-identity/document")); got["accountId"] != account || got["region"] != region || got["instanceId"] != "i-1" || got["privateIp"] != "10.0.0.1" {
		t.Errorf("%v", got)
	}
	for _, path := range []string{rolePath + "/Other", rolePath + "/app", "/latest/meta-data/ami-id", "/"} {
		if rec := get(path); rec.Code != 404 {
			t.Errorf("%s: %d", path, rec.Code)
		}
	}
	// A role that does not trust EC2 is told in an answer that is none of an error.
	// Source: EC2 User Guide, "Troubleshoot IAM and Amazon EC2".
	w.role("AROA1", trust("ecs-tasks.amazonaws.com", ""))
	rec := get(rolePath + "/App")
	if got := decode(t, rec); rec.Code != 200 || got["Code"] != "AssumeRoleUnauthorizedAccess" || got["AccessKeyId"] != nil || !strings.HasPrefix(got["Message"].(string), "EC2 cannot assume the role App.") {
		t.Errorf("%d %v", rec.Code, got)
	}
	w.profile("")
	for _, path := range []string{rolePath, rolePath + "/App", "/latest/meta-data/iam/info"} {
		if rec := get(path); rec.Code != 404 {
			t.Errorf("a profile without a role: %s: %d", path, rec.Code)
		}
	}
}

// TestMetadataTokens: who may ask at all.
func TestMetadataTokens(t *testing.T) {
	w, h := instanceWorld(t)
	w.bind(model.Binding{Meta: model.Meta{ID: "i-2"}, Kind: model.EC2Instance, InstanceProfile: profileARN, Address: netip.MustParseAddr("10.0.0.2")})
	for _, c := range []struct {
		method, from string
		headers      []string
		status       int
	}{
		{"PUT", there, nil, 400},
		{"PUT", there, []string{"X-aws-ec2-metadata-token-ttl-seconds: 0"}, 400},
		{"PUT", there, []string{"X-aws-ec2-metadata-token-ttl-seconds: 21601"}, 400},
		{"PUT", there, []string{"X-aws-ec2-metadata-token-ttl-seconds: soon"}, 400},
		{"PUT", there, []string{"X-aws-ec2-metadata-token-ttl-seconds: 21600"}, 200},
		{"PUT", there, []string{"X-aws-ec2-metadata-token-ttl-seconds: 60", "X-Forwarded-For: 10.0.0.9"}, 403},
		{"PUT", "10.0.0.3:1", []string{"X-aws-ec2-metadata-token-ttl-seconds: 60"}, 403},
		{"GET", there, nil, 405},
		{"POST", there, nil, 405},
	} {
		if rec := w.ask(h, c.method, tokenPath, c.from, c.headers...); rec.Code != c.status {
			t.Errorf("%s from %s %v: %d, want %d", c.method, c.from, c.headers, rec.Code, c.status)
		}
	}
	token := w.token(h, there)
	optional := New(w.service.cfg)
	optional.cfg.TokensOptional = true
	v1 := optional.Instances()
	if s := w.session(decode(t, w.ask(v1, "GET", rolePath+"/App", there)), "i-1"); s.Principal.Session.Keys["ec2:roledelivery"][0] != "1.0" {
		t.Errorf("%+v", s.Principal.Session)
	}
	for _, c := range []struct {
		name   string
		h      http.Handler
		from   string
		header string
		status int
	}{
		{"token", h, there, token, 200},
		{"no token", h, there, "", 401},
		{"bad token", h, there, "X-aws-ec2-metadata-token: what", 401},
		{"another instance's token", h, "10.0.0.2:1", token, 401},
		{"nobody knows who", h, "10.0.0.3:1", token, 401},
		{"no token where none is needed", v1, there, "", 200},
		{"bad token where none is needed", v1, there, "X-aws-ec2-metadata-token: what", 401},
		{"nobody knows who, and no token is needed", v1, "10.0.0.3:1", "", 404},
	} {
		var headers []string
		if c.header != "" {
			headers = []string{c.header}
		}
		if rec := w.ask(c.h, "GET", rolePath, c.from, headers...); rec.Code != c.status {
			t.Errorf("%s: %d, want %d", c.name, rec.Code, c.status)
		}
	}
	w.now = start.Add(time.Minute)
	if rec := w.ask(h, "GET", rolePath, there, token); rec.Code != 401 {
		t.Errorf("an expired token: %d", rec.Code)
	}
	early := New(Config{Current: func() *snapshot.Snapshot { return nil }}).Instances()
	for method, path := range map[string]string{"PUT": tokenPath, "GET": rolePath} {
		if rec := w.ask(early, method, path, there); rec.Code != 503 {
			t.Errorf("before the first snapshot: %d", rec.Code)
		}
	}
}

func TestZoneID(t *testing.T) {
	for region, want := range map[string]string{
		"us-west-2": "usw2-az1", "eu-central-1": "euc1-az1", "ap-southeast-2": "apse2-az1", "ap-northeast-1": "apne1-az1", "us-gov-west-1": "usgw1-az1",
	} {
		if got := zoneID(region); got != want {
			t.Errorf("%s: %s, want %s", region, got, want)
		}
	}
}

// TestOwnAddress: the machine that the server is on asks from loopback, or from the
// address that it asks at.
func TestOwnAddress(t *testing.T) {
	w, h := instanceWorld(t)
	w.bind(model.Binding{Meta: model.Meta{ID: "i-2"}, Kind: model.EC2Instance, InstanceProfile: profileARN})
	for _, c := range []struct{ from, at, want string }{
		{"127.0.0.1:1", "127.0.0.1:80", "i-2"},
		{"169.254.169.254:1", "169.254.169.254:80", "i-2"},
		{"[::ffff:169.254.169.254]:1", "169.254.169.254:80", "i-2"},
		{"169.254.169.254:1", "127.0.0.1:80", ""},
		{"10.0.0.3:1", "10.0.0.4:80", ""},
		// One that has a binding of its own has that.
		{"10.0.0.1:1", "10.0.0.1:80", "i-1"},
	} {
		r := httptest.NewRequest("PUT", tokenPath, nil)
		r.Header.Set("X-aws-ec2-metadata-token-ttl-seconds", "60")
		r.RemoteAddr = c.from
		r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, net.TCPAddrFromAddrPort(netip.MustParseAddrPort(c.at))))
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		got := ""
		if rec.Code == 200 {
			token := rec.Body.String()
			r.Method, r.URL.Path = "GET", "/latest/meta-data/instance-id"
			r.Header.Set("X-aws-ec2-metadata-token", token)
			rec = httptest.NewRecorder()
			h.ServeHTTP(rec, r)
			got = rec.Body.String()
		}
		if got != c.want {
			t.Errorf("from %s at %s: %q, want %q", c.from, c.at, got, c.want)
		}
	}
}
