//go:build conformance

package conformance

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// issuer is a cluster that gives out tokens.
type issuer struct {
	t    *testing.T
	url  string
	key  jose.JSONWebKey
	keys string
}

func newIssuer(t *testing.T, url string) *issuer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	i := &issuer{t: t, url: url, key: jose.JSONWebKey{Key: key, KeyID: "first", Algorithm: "RS256", Use: "sig"}}
	keys, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{i.key.Public()}})
	if err != nil {
		t.Fatal(err)
	}
	i.keys = string(keys)
	return i
}

const podUID = "6f6a3b0e-8c1d-4f5e-9a57-0d4b1c2e3f40"

// name is the issuer as it is in ARNs and condition keys.
func (i *issuer) name() string {
	_, name, _ := strings.Cut(i.url, "://")
	return name
}

// token is that of a service account, in the form of Kubernetes.
func (i *issuer) token(account, audience string, expires time.Time) string {
	i.t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: i.key}, nil)
	if err != nil {
		i.t.Fatal(err)
	}
	token, err := jwt.Signed(signer).Claims(map[string]any{
		"iss": i.url, "sub": "system:serviceaccount:ns1:" + account, "aud": []string{audience},
		"iat": time.Now().Add(-time.Minute).Unix(), "nbf": time.Now().Add(-time.Minute).Unix(), "exp": expires.Unix(),
		"kubernetes.io": map[string]any{
			"namespace": "ns1", "serviceaccount": map[string]string{"name": account}, "pod": map[string]string{"name": "web-1", "uid": podUID},
		},
	}).Serialize()
	if err != nil {
		i.t.Fatal(err)
	}
	return token
}

// client is a program with a credential chain of its own that asks who it is.
type client struct {
	name string
	args []string
}

// chains are the clients whose chains are tried.
func chains(t *testing.T) []client {
	script := filepath.Join(t.TempDir(), "whoami.py")
	if err := os.WriteFile(script, []byte("import boto3\nprint(boto3.client('sts').get_caller_identity()['Arn'])\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out := []client{{"boto3", []string{filepath.Join(tools, "boto3", "bin", "python"), script}}}
	for _, c := range clis() {
		out = append(out, client{"aws " + c.name, []string{c.path, "sts", "get-caller-identity", "--query", "Arn", "--output", "text"}})
	}
	return out
}

// whoAmI runs the clients without keys, with more environment, each in a subtest:
// all must be the principal arn. For a failure with a text one client will do.
func (in *installation) whoAmI(t *testing.T, arn, failure string, env ...string) {
	clients := chains(t)
	if failure != "" {
		clients = clients[:1]
	}
	for _, c := range clients {
		t.Run(c.name, func(t *testing.T) {
			out, errs, code := in.execute(append(in.environ(identity{}), env...), c.args[0], c.args[1:]...)
			switch {
			case failure == "" && (code != 0 || strings.TrimSpace(out) != arn):
				t.Errorf("exit %d: %s%s\nwant %s", code, out, errs, arn)
			case failure != "" && (code == 0 || !strings.Contains(errs, failure)):
				t.Errorf("exit %d: %s%s\nwant %s", code, out, errs, failure)
			}
		})
	}
}

// latchwork runs a command as the installation's administrator.
func (in *installation) latchwork(args ...string) string {
	in.t.Helper()
	out, errs, code := in.command(identity{}, binary, append(args, "--data-dir", in.dir)...)
	if code != 0 {
		in.t.Fatalf("latchwork %v: exit %d\n%s%s", args, code, out, errs)
	}
	return out
}

// exported reads the lines that a command prints for eval.
func exported(t *testing.T, text string) []string {
	t.Helper()
	var out []string
	for line := range strings.Lines(text) {
		name, value, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "export "), "='")
		if !ok || !strings.HasSuffix(value, "'") {
			t.Fatalf("a line that is none for eval: %s", line)
		}
		out = append(out, name+"="+strings.TrimSuffix(value, "'"))
	}
	return out
}

func (in *installation) file(name, text string) string {
	in.t.Helper()
	path := filepath.Join(in.t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		in.t.Fatal(err)
	}
	return path
}

const listRoles = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:ListRoles","Resource":"*","Condition":{"StringEquals":{"%s:sub":"system:serviceaccount:ns1:good","aws:FederatedProvider":"%s"}}}]}`

// TestWebIdentity: IAM roles for service accounts, with the keys of a cluster that the
// server cannot reach, and with those that an issuer publishes.
func TestWebIdentity(t *testing.T) {
	secure := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	in := start(t, "--api-tls-addr", secure)
	admin := in.administrator(account)
	hidden := newIssuer(t, "https://oidc.cluster.example/id/ABC")
	var public *issuer
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/.well-known/openid-configuration" {
			fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, public.url, public.url+"/keys")
			return
		}
		_, _ = io.WriteString(w, public.keys)
	}))
	t.Cleanup(site.Close)
	public = newIssuer(t, site.URL)

	for name, i := range map[string]*issuer{"hidden": hidden, "public": public} {
		provider := in.aws(admin, "iam", "create-open-id-connect-provider", "--url", i.url, "--client-id-list", "sts.amazonaws.com")["OpenIDConnectProviderArn"].(string)
		if want := "arn:aws:iam::" + account + ":oidc-provider/" + i.name(); provider != want {
			t.Fatalf("provider %s, want %s", provider, want)
		}
		in.aws(admin, "iam", "create-role", "--role-name", name, "--assume-role-policy-document", fmt.Sprintf(
			`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Federated":"%s"},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringEquals":{"%[2]s:sub":"system:serviceaccount:ns1:good","%[2]s:aud":"sts.amazonaws.com"}}}]}`, provider, i.name()))
		in.aws(admin, "iam", "put-role-policy", "--role-name", name, "--policy-name", "list", "--policy-document", fmt.Sprintf(listRoles, i.name(), provider))
	}
	in.latchwork("oidc", "set-keys", "--issuer", hidden.url, "--jwks", in.file("jwks.json", hidden.keys))

	later := time.Now().Add(time.Hour)
	env := func(role, token string) []string {
		return []string{
			"AWS_ROLE_ARN=arn:aws:iam::" + account + ":role/" + role, "AWS_ROLE_SESSION_NAME=pod-1",
			"AWS_WEB_IDENTITY_TOKEN_FILE=" + in.file("token", token),
		}
	}
	for name, i := range map[string]*issuer{"hidden": hidden, "public": public} {
		t.Run(name, func(t *testing.T) {
			good := env(name, i.token("good", "sts.amazonaws.com", later))
			in.whoAmI(t, "arn:aws:sts::"+account+":assumed-role/"+name+"/pod-1", "", good...)
			// The token's claims are condition keys of the session's later requests.
			if out, errs, code := in.execute(append(in.environ(identity{}), good...), newest().path, "iam", "list-roles"); code != 0 {
				t.Errorf("list-roles: %s%s", out, errs)
			}
		})
	}
	for _, c := range []struct{ name, role, token, want string }{
		{"another service account", "hidden", hidden.token("bad", "sts.amazonaws.com", later), "(AccessDenied) when calling the AssumeRoleWithWebIdentity operation: Not authorized to perform sts:AssumeRoleWithWebIdentity"},
		{"no such role", "none", hidden.token("good", "sts.amazonaws.com", later), "Not authorized to perform sts:AssumeRoleWithWebIdentity"},
		{"another audience", "hidden", hidden.token("good", "vault", later), "(InvalidIdentityToken) when calling the AssumeRoleWithWebIdentity operation: Incorrect token audience"},
		{"expired", "hidden", hidden.token("good", "sts.amazonaws.com", time.Now().Add(-time.Second)), "(ExpiredTokenException)"},
		{"another cluster's key", "hidden", newIssuer(t, hidden.url).token("good", "sts.amazonaws.com", later), "(InvalidIdentityToken)"},
		{"another cluster", "hidden", newIssuer(t, "https://else.example").token("good", "sts.amazonaws.com", later), "No OpenIDConnect provider found in your account for https://else.example"},
		{"the other issuer's role", "hidden", public.token("good", "sts.amazonaws.com", later), "Not authorized to perform sts:AssumeRoleWithWebIdentity"},
	} {
		t.Run(c.name, func(t *testing.T) { in.whoAmI(t, "", c.want, env(c.role, c.token)...) })
	}

	// The form that Envoy sends and reads, and where it sends it: nobody can tell it
	// another address.
	t.Run("JSON", func(t *testing.T) {
		token := hidden.token("good", "sts.amazonaws.com", later)
		query := url.Values{
			"Action": {"AssumeRoleWithWebIdentity"}, "Version": {"2011-06-15"}, "RoleSessionName": {"envoy"},
			"RoleArn": {"arn:aws:iam::" + account + ":role/hidden"}, "WebIdentityToken": {token},
		}
		r, err := http.NewRequest("GET", "https://sts.us-west-2.amazonaws.com/?"+query.Encode(), nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept", "application/json")
		text, err := os.ReadFile(filepath.Join(in.dir, "ca.pem"))
		if err != nil {
			t.Fatal(err)
		}
		trusted := x509.NewCertPool()
		trusted.AppendCertsFromPEM(text)
		aliased := &http.Client{Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: trusted},
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, secure)
			},
		}}
		defer aliased.CloseIdleConnections()
		if answer, err := aliased.Get("https://somewhere.example/"); err == nil {
			t.Errorf("a certificate for another name: %s", answer.Status)
		}
		answer, err := aliased.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		var got struct {
			AssumeRoleWithWebIdentityResponse struct {
				AssumeRoleWithWebIdentityResult struct {
					Credentials struct {
						AccessKeyID, SecretAccessKey, SessionToken string
						Expiration                                 int64
					}
					Audience, Provider, SubjectFromWebIdentityToken string
				}
				ResponseMetadata struct{ RequestID string }
			}
		}
		if err := json.NewDecoder(answer.Body).Decode(&got); err != nil {
			t.Fatal(err)
		}
		result := got.AssumeRoleWithWebIdentityResponse.AssumeRoleWithWebIdentityResult
		c := result.Credentials
		if left := time.Until(time.Unix(c.Expiration, 0)); left < 59*time.Minute || left > time.Hour || result.SubjectFromWebIdentityToken != "system:serviceaccount:ns1:good" ||
			got.AssumeRoleWithWebIdentityResponse.ResponseMetadata.RequestID == "" {
			t.Errorf("%+v", got)
		}
		if who := in.aws(identity{c.AccessKeyID, c.SecretAccessKey, c.SessionToken}, "sts", "get-caller-identity")["Arn"]; who != "arn:aws:sts::"+account+":assumed-role/hidden/envoy" {
			t.Error(who)
		}
		in.keepsSecret(t, token, c.SecretAccessKey, c.SessionToken)
	})
}

// keepsSecret looks for secrets in everything that the server writes.
func (in *installation) keepsSecret(t *testing.T, secrets ...string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(in.dir, "audit.log"))
	if err != nil {
		t.Fatal(err)
	}
	if len(text) == 0 {
		t.Error("the audit log is empty")
	}
	for _, secret := range secrets {
		if secret == "" || strings.Contains(string(text)+in.output(), secret) {
			t.Errorf("the secret %q is in a log", secret)
		}
	}
}

// trusting makes a role that trusts an AWS service.
func (in *installation) trusting(name, service string) string {
	in.t.Helper()
	made := in.aws(in.administrator(account), "iam", "create-role", "--role-name", name, "--path", "/workloads/", "--assume-role-policy-document",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"`+service+`"},"Action":"sts:AssumeRole"}]}`)
	return made["Role"].(map[string]any)["Arn"].(string)
}

// TestContainerCredentials: the task role of ECS, at a URL on loopback. The relative
// form is always at 169.254.170.2, an address that only the superuser can have; it is
// the same path without a token.
func TestContainerCredentials(t *testing.T) {
	addr := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	in := start(t, "--container-credentials-addr", addr)
	role := in.trusting("task", "ecs-tasks.amazonaws.com")
	env := exported(t, in.latchwork("binding", "create", "ecs", "--role", role))
	if len(env) != 2 || !strings.HasPrefix(env[0], "AWS_CONTAINER_CREDENTIALS_FULL_URI=http://"+addr+"/v2/credentials/") || !strings.HasPrefix(env[1], "AWS_CONTAINER_AUTHORIZATION_TOKEN=") {
		t.Fatal(env)
	}
	var made []struct{ ID, Kind, Role string }
	if err := json.Unmarshal([]byte(in.latchwork("binding", "list", "-o", "json")), &made); err != nil || len(made) != 1 || made[0].Role != role {
		t.Fatal(made, err)
	}
	session := "arn:aws:sts::" + account + ":assumed-role/task/" + made[0].ID
	t.Run("token", func(t *testing.T) { in.whoAmI(t, session, "", env...) })
	_, token, _ := strings.Cut(env[1], "=")
	t.Run("token in a file", func(t *testing.T) {
		in.whoAmI(t, session, "", env[0], "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE="+in.file("token", token))
	})
	t.Run("wrong token", func(t *testing.T) {
		in.whoAmI(t, "", "the Authorization header is not the token", env[0], "AWS_CONTAINER_AUTHORIZATION_TOKEN=guess")
	})
	t.Run("wrong id", func(t *testing.T) { in.whoAmI(t, "", "InvalidIdInRequest", env[0]+"x", env[1]) })

	relative := exported(t, in.latchwork("binding", "create", "ecs", "--relative", "--role", role))
	_, path, _ := strings.Cut(relative[0], "=")
	if len(relative) != 1 || !strings.HasPrefix(relative[0], "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/v2/credentials/") {
		t.Fatal(relative)
	}
	answer, err := http.Get("http://" + addr + path)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var got struct{ RoleArn, SecretAccessKey, Token, Expiration string }
	if err := json.NewDecoder(answer.Body).Decode(&got); err != nil || got.RoleArn != role {
		t.Errorf("%v %v", got, err)
	}
	if expires, err := time.Parse("2006-01-02T15:04:05Z", got.Expiration); err != nil || time.Until(expires) < 15*time.Minute {
		t.Errorf("expiration %s", got.Expiration)
	}
	_, id, _ := strings.Cut(path, "credentials/")
	in.keepsSecret(t, token, id, got.SecretAccessKey, got.Token)

	t.Run("a role that does not trust ECS", func(t *testing.T) {
		other := exported(t, in.latchwork("binding", "create", "ecs", "--role", in.trusting("other", "lambda.amazonaws.com")))
		in.whoAmI(t, "", "CredentialsUninitialized", other...)
	})
	in.latchwork("binding", "delete", made[0].ID)
	t.Run("after the binding is gone", func(t *testing.T) { in.whoAmI(t, "", "InvalidIdInRequest", env...) })
}

// TestPassRole: whoever binds a role to a workload must be allowed to pass it.
func TestPassRole(t *testing.T) {
	in := start(t)
	admin := in.administrator(account)
	role := in.trusting("task", "ecs-tasks.amazonaws.com")
	in.aws(admin, "iam", "create-user", "--user-name", "deployer")
	key := in.aws(admin, "iam", "create-access-key", "--user-name", "deployer")["AccessKey"].(map[string]any)
	deployer := identity{id: key["AccessKeyId"].(string), secret: key["SecretAccessKey"].(string)}
	bind := func() (string, int) {
		_, errs, code := in.command(deployer, binary, "binding", "create", "ecs", "--role", role, "--data-dir", in.dir)
		return errs, code
	}
	may := func(service string) {
		in.aws(admin, "iam", "put-user-policy", "--user-name", "deployer", "--policy-name", "bind", "--policy-document", fmt.Sprintf(
			`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"latchwork:CreateBinding","Resource":"*"},{"Effect":"Allow","Action":"iam:PassRole","Resource":"%s","Condition":{"StringEquals":{"iam:PassedToService":"%s"}}}]}`, role, service))
	}
	may("ec2.amazonaws.com")
	if errs, code := bind(); code == 0 || !strings.Contains(errs, "is not authorized to perform: iam:PassRole on resource: "+role) {
		t.Errorf("exit %d: %s", code, errs)
	}
	may("ecs-tasks.amazonaws.com")
	if errs, code := bind(); code != 0 {
		t.Errorf("exit %d: %s", code, errs)
	}
}

// TestInstanceMetadata: the instance profile of EC2.
func TestInstanceMetadata(t *testing.T) {
	addr := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	in := start(t, "--imds-addr", addr)
	admin := in.administrator(account)
	in.trusting("web", "ec2.amazonaws.com")
	in.aws(admin, "iam", "create-instance-profile", "--instance-profile-name", "box")
	in.aws(admin, "iam", "add-role-to-instance-profile", "--instance-profile-name", "box", "--role-name", "web")
	env := append(exported(t, in.latchwork("binding", "create", "ec2", "--instance-profile", "box")), "AWS_EC2_METADATA_DISABLED=false")
	if env[0] != "AWS_EC2_METADATA_SERVICE_ENDPOINT=http://"+addr {
		t.Fatal(env)
	}
	var made []struct{ ID string }
	if err := json.Unmarshal([]byte(in.latchwork("binding", "list", "-o", "json")), &made); err != nil || len(made) != 1 {
		t.Fatal(made, err)
	}
	session := "arn:aws:sts::" + account + ":assumed-role/web/" + made[0].ID
	t.Run("loopback", func(t *testing.T) { in.whoAmI(t, session, "", env...) })
	if answer, err := http.Get("http://" + addr + "/latest/meta-data/iam/security-credentials/"); err != nil || answer.StatusCode != 401 {
		t.Errorf("without a token: %v %v", answer, err)
	}
	in.aws(admin, "iam", "update-assume-role-policy", "--role-name", "web", "--policy-document",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ecs-tasks.amazonaws.com"},"Action":"sts:AssumeRole"}]}`)
	t.Run("a role that does not trust EC2", func(t *testing.T) { in.whoAmI(t, "", "Unable to locate credentials", env...) })
	in.latchwork("binding", "delete", made[0].ID)
	t.Run("after the binding is gone", func(t *testing.T) { in.whoAmI(t, "", "Unable to locate credentials", env...) })
}

// TestPodIdentity: the Pod Identity of EKS.
func TestPodIdentity(t *testing.T) {
	addr := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	in := start(t, "--pod-identity-addr", addr)
	admin := in.administrator(account)
	cluster := newIssuer(t, "https://oidc.cluster.example/id/ABC")
	in.aws(admin, "iam", "create-open-id-connect-provider", "--url", cluster.url)
	in.latchwork("oidc", "set-keys", "--issuer", cluster.url, "--jwks", in.file("jwks.json", cluster.keys))
	made := in.aws(admin, "iam", "create-role", "--role-name", "pods", "--assume-role-policy-document",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"pods.eks.amazonaws.com"},"Action":["sts:AssumeRole","sts:TagSession"]}]}`)
	env := exported(t, in.latchwork("binding", "create", "eks", "--issuer", cluster.url, "--cluster", "blue", "--namespace", "ns1", "--service-account", "good",
		"--role", made["Role"].(map[string]any)["Arn"].(string)))
	if len(env) != 2 || env[0] != "AWS_CONTAINER_CREDENTIALS_FULL_URI=http://"+addr+"/v1/credentials" || !strings.HasPrefix(env[1], "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=") {
		t.Fatal(env)
	}
	later := time.Now().Add(time.Hour)
	with := func(token string) []string {
		return []string{env[0], "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=" + in.file("token", token)}
	}
	t.Run("pod", func(t *testing.T) {
		in.whoAmI(t, "arn:aws:sts::"+account+":assumed-role/pods/eks-blue-web-1-"+podUID, "", with(cluster.token("good", "pods.eks.amazonaws.com", later))...)
	})
	t.Run("another service account", func(t *testing.T) {
		in.whoAmI(t, "", "there is no binding for system:serviceaccount:ns1:bad", with(cluster.token("bad", "pods.eks.amazonaws.com", later))...)
	})
	t.Run("a token for STS", func(t *testing.T) {
		in.whoAmI(t, "", "Incorrect token audience", with(cluster.token("good", "sts.amazonaws.com", later))...)
	})
}
