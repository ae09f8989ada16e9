//go:build conformance

package conformance

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/appmesh"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice"
)

// sdk is a client of the APIs that AWS makes.
type sdk struct {
	name, title, pin string
	// call makes all calls at an endpoint, and tells what went wrong with each.
	call func(w *world, endpoint string) map[string]string
	note string
}

// sdkCalls are what each makes: the rows of the table.
var sdkCalls = []struct{ name, title string }{
	{"iam", "IAM, `CreateUser` with a tag in UTF-8"},
	{"sts", "STS, `GetCallerIdentity`"},
	{"sts-a", "the same, told to prefer `sigv4a`"},
	{"lattice", "VPC Lattice, `CreateService`"},
	{"path-arn", "VPC Lattice, an ARN in the path"},
	{"query-arn", "VPC Lattice, an ARN in the query"},
	{"appmesh", "App Mesh, `CreateMesh`"},
}

// TestSDKs: the calls of each client are accepted, signed as the table says.
func TestSDKs(t *testing.T) {
	w := &world{installation: start(t)}
	w.admin = w.administrator(account)
	w.arn = w.aws(w.admin, "vpc-lattice", "create-service", "--name", "rates")["arn"].(string)
	table := readTable(t, sdkTable, sdkNames())
	for _, c := range sdks {
		t.Run(c.name, func(t *testing.T) {
			if c.name == "cli-2" && (runtime.GOOS != "linux" || runtime.GOARCH != "amd64") {
				t.Skip("there is no AWS CLI v2 for this machine")
			}
			wire := newTap(t, strings.TrimPrefix(w.api, "http://"))
			wrong := c.call(w, wire.url)
			for _, call := range sdkCalls {
				if text, asked := wrong[call.name]; text != "" || !asked {
					t.Errorf("%s: %s", call.name, text)
				}
			}
			if t.Failed() {
				return
			}
			algorithms := wire.algorithms()
			if len(algorithms) != len(sdkCalls) {
				t.Fatalf("%d calls were signed with %q", len(sdkCalls), algorithms)
			}
			for i, call := range sdkCalls {
				want := map[string]string{"yes": "AWS4-HMAC-SHA256", "v4a": "AWS4-ECDSA-P256-SHA256", "v4": "AWS4-HMAC-SHA256"}[table[call.name][c.name]]
				if algorithms[i] != want {
					t.Errorf("%s: signed with %s, want %s", call.name, algorithms[i], want)
				}
			}
		})
	}
}

func sdkNames() (names []string) {
	for _, c := range sdks {
		names = append(names, c.name)
	}
	return names
}

// tap passes connections on and keeps what clients send.
type tap struct {
	url  string
	mu   sync.Mutex
	sent []byte
}

func newTap(t *testing.T, to string) *tap {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	p := &tap{url: "http://" + l.Addr().String()}
	go func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", to)
			if err != nil {
				from.Close()
				continue
			}
			go func() {
				_, _ = io.Copy(server, io.TeeReader(from, p))
				server.Close()
			}()
			go func() {
				_, _ = io.Copy(from, server)
				from.Close()
			}()
		}
	}()
	return p
}

// Write keeps what is sent.
func (p *tap) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent = append(p.sent, b...)
	return len(b), nil
}

var authorization = regexp.MustCompile(`(?i)\r\nauthorization: (AWS4-[A-Z0-9-]+) `)

// algorithms are those of all requests, in their order.
func (p *tap) algorithms() (names []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, match := range authorization.FindAllSubmatch(p.sent, -1) {
		names = append(names, string(match[1]))
	}
	return names
}

// program calls with a program in another language.
func program(name, interpreter, script string) func(*world, string) map[string]string {
	return func(w *world, endpoint string) map[string]string {
		env := append(w.environ(w.admin), "AWS_ENDPOINT_URL="+endpoint, "NODE_PATH="+filepath.Join(tools, "node", "node_modules"))
		out, errs, code := w.execute(env, filepath.Join(tools, interpreter), script, name, w.arn)
		var wrong map[string]string
		if err := json.Unmarshal([]byte(out), &wrong); err != nil || code != 0 {
			w.t.Fatalf("%s: exit %d, %v\n%s%s", script, code, err, out, errs)
		}
		return wrong
	}
}

// command calls with a version of the AWS CLI.
func command(name string, version func() cli) func(*world, string) map[string]string {
	return func(w *world, endpoint string) map[string]string {
		wrong := map[string]string{}
		run := func(call string, more []string, args ...string) {
			env := append(w.environ(w.admin), "LC_ALL=C.UTF-8", "AWS_ENDPOINT_URL="+endpoint)
			_, wrong[call], _ = w.execute(append(env, more...), version().path, args...)
		}
		run("iam", nil, "iam", "create-user", "--user-name", name, "--tags", "Key=x,Value=é +y")
		run("sts", nil, "sts", "get-caller-identity")
		run("sts-a", []string{"AWS_AUTH_SCHEME_PREFERENCE=sigv4a", "AWS_SIGV4A_SIGNING_REGION_SET=*"}, "sts", "get-caller-identity")
		run("lattice", nil, "vpc-lattice", "create-service", "--name", "s-"+name, "--tags", "x=é")
		run("path-arn", nil, "vpc-lattice", "get-service", "--service-identifier", w.arn)
		run("query-arn", nil, "vpc-lattice", "list-service-network-service-associations", "--service-identifier", w.arn, "--max-results", "5")
		run("appmesh", nil, "appmesh", "create-mesh", "--mesh-name", name)
		return wrong
	}
}

// callGo calls with the AWS SDK for Go.
func callGo(w *world, endpoint string) map[string]string {
	ctx, who, name := context.Background(), w.admin.provider(), "go"
	callers := sts.Options{Region: region, BaseEndpoint: &endpoint, Credentials: who}
	lattice := vpclattice.New(vpclattice.Options{Region: region, BaseEndpoint: &endpoint, Credentials: who})
	wrong := map[string]string{}
	done := func(call string, err error) {
		wrong[call] = ""
		if err != nil {
			wrong[call] = err.Error()
		}
	}
	_, err := iam.New(iam.Options{Region: region, BaseEndpoint: &endpoint, Credentials: who}).CreateUser(ctx,
		&iam.CreateUserInput{UserName: &name, Tags: []iamtypes.Tag{{Key: aws.String("x"), Value: aws.String("é +y")}}})
	done("iam", err)
	_, err = sts.New(callers).GetCallerIdentity(ctx, nil)
	done("sts", err)
	callers.AuthSchemePreference = []string{"sigv4a"}
	_, err = sts.New(callers).GetCallerIdentity(ctx, nil)
	done("sts-a", err)
	_, err = lattice.CreateService(ctx, &vpclattice.CreateServiceInput{Name: aws.String("s-" + name), Tags: map[string]string{"x": "é"}})
	done("lattice", err)
	_, err = lattice.GetService(ctx, &vpclattice.GetServiceInput{ServiceIdentifier: &w.arn})
	done("path-arn", err)
	_, err = lattice.ListServiceNetworkServiceAssociations(ctx, &vpclattice.ListServiceNetworkServiceAssociationsInput{ServiceIdentifier: &w.arn, MaxResults: aws.Int32(5)})
	done("query-arn", err)
	_, err = appmesh.New(appmesh.Options{Region: region, BaseEndpoint: &endpoint, Credentials: who}).CreateMesh(ctx, &appmesh.CreateMeshInput{MeshName: &name})
	done("appmesh", err)
	return wrong
}

var sdks = []sdk{
	{name: "cli-1", title: "AWS CLI v1", pin: "awscli==1.46.2", note: "It has no signer for SigV4A, and takes the other one.", call: command("cli-1", func() cli { return clis()[0] })},
	{name: "cli-2", title: "AWS CLI v2", pin: "aws-cdk-asset-awscli-v2==2.0.198", note: "`AWS_AUTH_SCHEME_PREFERENCE=sigv4a` and `AWS_SIGV4A_SIGNING_REGION_SET` make it sign with SigV4A.", call: command("cli-2", newest)},
	{name: "boto3", title: "boto3", pin: "boto3[crt]==1.44.5", note: "SigV4A with `Config(auth_scheme_preference=\"sigv4a\", sigv4a_signing_region_set=\"*\")`; without CRT it takes SigV4.", call: program("boto3", "boto3/bin/python", "testdata/sdk.py")},
	{name: "go", title: "AWS SDK for Go v2", pin: "github.com/aws/aws-sdk-go-v2 v1.48.0", note: "SigV4A with `AuthSchemePreference: []string{\"sigv4a\"}`.", call: callGo},
	{name: "js", title: "AWS SDK for JavaScript v3", pin: `"@aws-sdk/client-vpc-lattice": "3.1142.0"`, note: "SigV4A with `authSchemePreference: [\"sigv4a\"]`, and `@smithy/signature-v4a` must have been imported.", call: program("js", "node/node", "testdata/sdk.js")},
}

const sdkTable = `
          cli-1 cli-2 boto3 go  js
iam       yes   yes   yes   yes yes
sts       yes   yes   yes   yes yes
sts-a     v4    v4a   v4a   v4a v4a
lattice   yes   yes   yes   yes yes
path-arn  yes   yes   yes   yes yes
query-arn yes   yes   yes   yes yes
appmesh   yes   yes   yes   yes yes
`
