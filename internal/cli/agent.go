package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/latchwork/latchwork/internal/clock"
)

type agentCommand struct {
	emsFlags
	Socket     string `env:"APPNET_RELAY_LISTENER_UDS_PATH" default:"./latchwork-xds.sock" type:"path" help:"Unix socket that the Envoy connects to."`
	SocketMode string `default:"0600" help:"Permissions of the socket: who may connect to it reads configuration with the agent's credentials."`
	Profile    string `help:"Profile of the AWS configuration to sign with."`
}

func (c *agentCommand) Run(e *env) error {
	to, err := c.find()
	if err != nil {
		return err
	}
	mode, err := strconv.ParseUint(c.SocketMode, 8, 9)
	if err != nil {
		return &exitError{ExitUsage, fmt.Sprintf("--socket-mode: %q is not a mode such as 0600 or 0660", c.SocketMode)}
	}
	pool, err := readPool(to.ca)
	if err != nil {
		return fmt.Errorf("reading the certificate authority of the Envoy management service: %w", err)
	}
	log := slog.New(slog.NewTextHandler(e.stderr, nil))
	source := &credentialSource{load: func(ctx context.Context) (aws.CredentialsProvider, error) {
		cfg, err := config.LoadDefaultConfig(ctx, config.WithRegion(to.region), config.WithSharedConfigProfile(c.Profile))
		return cfg.Credentials, err
	}}
	r, err := newRelay(relayConfig{
		address: to.address(), tls: &tls.Config{RootCAs: pool, ServerName: to.name, MinVersion: tls.VersionTLS12},
		source: source, region: to.region, clock: clock.System,
		began: func(keyID string) { log.Info("an Envoy gets its configuration", "key", keyID) },
		ended: func(err error, keyID string) {
			s := status.Convert(err)
			log.Warn("an Envoy was refused", "code", s.Code(), "text", s.Message(), "do", c.advice(s, to, keyID))
		},
	})
	if err != nil {
		return err
	}
	defer r.conn.Close()
	listener, err := listenSocket(c.Socket, fs.FileMode(mode))
	if err != nil {
		return fmt.Errorf("--socket: %w", err)
	}
	defer os.Remove(c.Socket)
	if got, err := source.Retrieve(e.ctx); err != nil {
		log.Warn("there are no credentials; they are looked for again when an Envoy comes", "error", err, "do", adviceCredentials)
	} else {
		log.Info("credentials found", "key", got.AccessKeyID, "source", got.Source)
	}
	log.Info("the agent is ready", "socket", c.Socket, "ems", to.address(), "name", to.name, "region", to.region, "resource", c.Resource)
	return r.serve(e.ctx, listener)
}

const adviceCredentials = "give the agent credentials as any AWS SDK takes them: AWS_ACCESS_KEY_ID and the like, a profile, or what latchwork binding create prints"

// advice says in plain words what a refusal means and what to do.
// Source: App Mesh User Guide, "Troubleshooting setup", for what each code means.
func (c *agentCommand) advice(s *status.Status, to *ems, keyID string) string {
	has := func(text string) bool { return strings.Contains(s.Message(), text) }
	switch s.Code() {
	case codes.Unauthenticated:
		switch {
		case has(textNoCredentials):
			return adviceCredentials
		case has("security token included in the request is invalid"):
			return "the service does not know the access key " + keyID + ": it is one of AWS or of another installation, or was deleted"
		case has("security token included in the request is expired"):
			return "the session of " + keyID + " is over, and where it came from gives no newer one"
		case has("valid region"):
			return "the stream is signed for " + to.region + " and the mesh endpoint is elsewhere: --resource and the Envoy's node.id must be the same"
		case has("Signature expired"), has("not yet current"):
			return "compare this machine's clock with the server's"
		}
		return "the secret is not that of the access key " + keyID + ", or something between the agent and the service changes the stream"
	case codes.PermissionDenied:
		return "the credentials are good and do not allow this: latchwork confirm --resource " + c.Resource + " --principal ROLE tells why, and what would allow it"
	case codes.InvalidArgument:
		return "there must be such a mesh endpoint, and the Envoy's node.id must be " + c.Resource
	case codes.ResourceExhausted:
		return "more Envoys stand for this mesh endpoint than may: latchwork proxies lists them"
	case codes.Unavailable:
		if has("certificate") || has("tls:") {
			return "the certificate at " + to.address() + " is not one for " + to.name + " that the authority in " + to.ca + " vouches for: see --authority and --ca-file"
		}
		return "nobody answers at " + to.address() + ": is the server running there, with --ems-addr?"
	}
	return "latchwork proxies and the server's log tell more"
}

// credentialSource is the ordinary chain of the AWS SDKs. It is gone through anew
// after credentials were refused: what the SDK has read from a file it does not read
// again.
type credentialSource struct {
	load    func(context.Context) (aws.CredentialsProvider, error)
	mu      sync.Mutex
	current aws.CredentialsProvider
}

// Retrieve gives the credentials of now.
func (s *credentialSource) Retrieve(ctx context.Context) (aws.Credentials, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == nil {
		loaded, err := s.load(ctx)
		if err != nil {
			return aws.Credentials{}, err
		}
		s.current = loaded
	}
	return s.current.Retrieve(ctx)
}

func (s *credentialSource) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current = nil
}

// listenSocket listens on a Unix socket that never has other permissions than mode.
// One that an agent left behind is replaced; anything else is not.
func listenSocket(path string, mode fs.FileMode) (net.Listener, error) {
	switch was, err := os.Lstat(path); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	case was.Mode().Type() != fs.ModeSocket:
		return nil, fmt.Errorf("%s is there and is no socket", path)
	default:
		if other, err := net.Dial("unix", path); err == nil {
			other.Close()
			return nil, fmt.Errorf("another agent listens on %s", path)
		}
	}
	// It is made where nobody else can come, and moved when its permissions are right.
	dir, err := os.MkdirTemp(filepath.Dir(path), ".xds-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	made := filepath.Join(dir, "s")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: made, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("%w: a shorter path may help", err)
	}
	listener.SetUnlinkOnClose(false)
	err = os.Chmod(made, mode)
	if err == nil {
		err = os.Rename(made, path)
	}
	if err != nil {
		listener.Close()
		return nil, err
	}
	return listener, nil
}
