//go:build conformance

package conformance

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// request is a request to a service.
type request struct {
	method, url, body string
	headers           [][2]string
	who               identity // signs, if there is one
	http2             bool
	change            func(*http.Request) // after it was signed
}

// answer is a service's response.
type answer struct {
	status  int
	body    string
	headers http.Header
	proto   string
}

func (a *answer) echo(t *testing.T) echo {
	t.Helper()
	var e echo
	if err := json.Unmarshal([]byte(a.body), &e); err != nil {
		t.Fatalf("the backend's answer: %v\n%d %s", err, a.status, a.body)
	}
	return e
}

// client connects to the gateway, whatever a URL's name resolves to.
func (in *installation) client(http2 bool) *http.Client {
	in.t.Helper()
	pool := x509.NewCertPool()
	pem, err := os.ReadFile(filepath.Join(in.dir, "ca.pem"))
	if err != nil || !pool.AppendCertsFromPEM(pem) {
		in.t.Fatalf("the certificate authority's certificate: %v", err)
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!http2)
	protocols.SetHTTP2(http2)
	protocols.SetUnencryptedHTTP2(http2)
	return &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			to := in.http
			if _, port, _ := net.SplitHostPort(addr); port == "443" {
				to = in.https
			}
			return (&net.Dialer{}).DialContext(ctx, network, to)
		},
		TLSClientConfig: &tls.Config{RootCAs: pool}, Protocols: protocols, DisableCompression: true, DisableKeepAlives: true,
	}}
}

func sign(t *testing.T, r *http.Request, who identity) {
	t.Helper()
	r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
	c := aws.Credentials{AccessKeyID: who.id, SecretAccessKey: who.secret, SessionToken: who.token}
	if err := v4.NewSigner().SignHTTP(context.Background(), c, r, "UNSIGNED-PAYLOAD", "vpc-lattice-svcs", region, time.Now()); err != nil {
		t.Fatal(err)
	}
}

func (in *installation) send(q request) *answer {
	in.t.Helper()
	r, err := http.NewRequest(q.method, q.url, bytes.NewReader([]byte(q.body)))
	if err != nil {
		in.t.Fatal(err)
	}
	for _, h := range q.headers {
		r.Header.Add(h[0], h[1])
	}
	if q.who.id != "" {
		sign(in.t, r, q.who)
	}
	if q.change != nil {
		q.change(r)
	}
	resp, err := in.client(q.http2).Do(r)
	if err != nil {
		in.t.Fatalf("%s %s: %v", q.method, q.url, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		in.t.Fatal(err)
	}
	return &answer{resp.StatusCode, string(body), resp.Header, resp.Proto}
}
