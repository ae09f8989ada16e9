package workload

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"maps"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/go-cmp/cmp"

	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/oidc"
	"github.com/latchwork/latchwork/internal/store"
)

const (
	cluster = "https://oidc.cluster.example/A"
	podUID  = "6f6a3b0e-8c1d-4f5e-9a57-0d4b1c2e3f40"
	podRule = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"pods.eks.amazonaws.com"},"Action":["sts:AssumeRole","sts:TagSession"],
		"Condition":{"StringEquals":{"aws:RequestTag/kubernetes-namespace":"ns1","aws:SourceAccount":"` + account + `"},"ArnEquals":{"aws:SourceArn":"arn:aws:eks:us-west-2:` + account + `:cluster/blue"},"ForAllValues:StringLike":{"aws:TagKeys":["eks-*","kubernetes-*"]}}}]}`
)

// podWorld has a cluster whose service account ns1/sa is bound; it makes tokens.
func podWorld(t *testing.T) (*world, func(change map[string]any) string) {
	w := newWorld(t)
	w.service.cfg.PodAccount = account
	w.service.cfg.Identities = oidc.NewVerifier(func() time.Time { return w.now })
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &key.PublicKey, KeyID: "a"}}})
	if err != nil {
		t.Fatal(err)
	}
	w.change(func(tx *store.Tx) error {
		// The provider knows other audiences only.
		return model.OIDCProviders.Put(tx, model.OIDCProviderKey(account, model.OIDCProviderName(cluster)),
			&model.OIDCProvider{URL: cluster, ClientIDs: []string{"sts.amazonaws.com"}, KeySet: string(set)})
	})
	w.role("AROA1", podRule)
	w.bind(model.Binding{
		Meta: model.Meta{ID: "a-1"}, Kind: model.EKSPod, Role: roleARN,
		Issuer: cluster, Cluster: "blue", Namespace: "ns1", ServiceAccount: "sa",
	})
	return w, func(change map[string]any) string {
		claims := map[string]any{
			"iss": cluster, "sub": "system:serviceaccount:ns1:sa", "aud": []string{"pods.eks.amazonaws.com"}, "exp": start.Add(24 * time.Hour).Unix(),
			"kubernetes.io": map[string]any{"pod": map[string]string{"name": "web-7d9", "uid": podUID}},
		}
		maps.Copy(claims, change)
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: "a"}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		token, err := jwt.Signed(signer).Claims(claims).Serialize()
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
}

func (w *world) askPod(host, token string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", "http://"+host+"/v1/credentials", nil)
	r.RemoteAddr = "127.0.0.1:1"
	r.Header.Set("Authorization", token)
	rec := httptest.NewRecorder()
	w.service.Pods().ServeHTTP(rec, r)
	return rec
}

func TestPods(t *testing.T) {
	w, token := podWorld(t)
	rec := w.askPod("169.254.170.23", token(nil))
	got := decode(t, rec)
	s := w.session(got, "eks-blue-web-7d9-"+podUID)
	if rec.Code != 200 || got["AccountId"] != account || len(got) != 5 {
		t.Errorf("%d %v", rec.Code, got)
	}
	tags := map[string]string{
		"eks-cluster-arn": "arn:aws:eks:us-west-2:" + account + ":cluster/blue", "eks-cluster-name": "blue", "kubernetes-namespace": "ns1",
		"kubernetes-service-account": "sa", "kubernetes-pod-name": "web-7d9", "kubernetes-pod-uid": podUID,
	}
	session := s.Principal.Session
	if diff := cmp.Diff(tags, session.Tags); diff != "" || !slices.Equal(session.TransitiveKeys, slices.Sorted(maps.Keys(tags))) || session.Instance {
		t.Errorf("%s %v", diff, session)
	}
	if again := w.session(decode(t, w.askPod("[fd00:ec2::23]:80", token(nil))), session.Name); again != s {
		t.Error("the same pod gets other keys")
	}
	other := map[string]any{"kubernetes.io": map[string]any{"pod": map[string]string{"name": strings.Repeat("long-", 20), "uid": podUID}}}
	if got := w.session(decode(t, w.askPod("127.0.0.1:4004", token(other))), "eks-blue-long-long-long-lon-"+podUID); got == s {
		t.Error("another pod gets the same keys")
	}
}

func TestPodRefusals(t *testing.T) {
	w, token := podWorld(t)
	for _, c := range []struct {
		name, host, token string
		status            int
		want              string
	}{
		{"a name", "evil.example", token(nil), 403, "Access Denied. Called agent through invalid address"},
		{"no token", "127.0.0.1", "", 400, "Service account token cannot be empty"},
		{"no JWT", "127.0.0.1", "hunter2", 400, "Service account token cannot be parsed: "},
		{"expired", "127.0.0.1", token(map[string]any{"exp": start.Unix()}), 400, "Service account token failed basic claim validations: Token expired"},
		{"another cluster", "127.0.0.1", token(map[string]any{"iss": "https://else.example"}), 400, "(InvalidTokenException): account " + account + " has no identity provider for https://else.example, fault: client"},
		{"a token for STS", "127.0.0.1", token(map[string]any{"aud": "sts.amazonaws.com"}), 400, "(InvalidTokenException): Incorrect token audience, fault: client"},
		{"another service account", "127.0.0.1", token(map[string]any{"sub": "system:serviceaccount:ns1:other"}), 404, "(ResourceNotFoundException): there is no binding for system:serviceaccount:ns1:other"},
		{"no pod", "127.0.0.1", token(map[string]any{"kubernetes.io": nil}), 400, "(InvalidTokenException): the token is not that of a pod"},
		{"no name for a session", "127.0.0.1", token(map[string]any{"kubernetes.io": map[string]any{"pod": map[string]string{"name": "a/b", "uid": "u"}}}), 400, "(InvalidTokenException)"},
	} {
		rec := w.askPod(c.host, c.token)
		if rec.Code != c.status || !strings.Contains(rec.Body.String(), c.want) || c.token != "" && strings.Contains(rec.Body.String(), c.token) {
			t.Errorf("%s: %d %s", c.name, rec.Code, rec.Body)
		}
	}
	// Both permissions are needed.
	for _, action := range []string{"sts:AssumeRole", "sts:TagSession"} {
		w.role("AROA1", strings.Replace(podRule, `["sts:AssumeRole","sts:TagSession"]`, `"`+action+`"`, 1))
		if rec := w.askPod("127.0.0.1", token(nil)); rec.Code != 400 || !strings.Contains(rec.Body.String(), "(AccessDeniedException)") {
			t.Errorf("with %s alone: %d %s", action, rec.Code, rec.Body)
		}
	}
	w.role("AROA1", podRule)
	w.service.cfg.PodAccount = "444455556666"
	if rec := w.askPod("127.0.0.1", token(nil)); rec.Code != 400 || !strings.Contains(rec.Body.String(), "account 444455556666 has no identity provider") {
		t.Errorf("another account's pods: %d %s", rec.Code, rec.Body)
	}
}
