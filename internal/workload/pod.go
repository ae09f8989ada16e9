package workload

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"regexp"

	"github.com/latchwork/latchwork/internal/fault"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/oidc"
	"github.com/latchwork/latchwork/internal/snapshot"
)

// podAudience is whom tokens of pods are for.
// Source: EKS User Guide, "Learn how EKS Pod Identity grants pods access to AWS
// services".
const podAudience = "pods.eks.amazonaws.com"

// Pods serves pods as the Pod Identity agent of EKS does, with EKS Auth behind it in
// one: whose service account's token a pod sends as Authorization, that one's role it
// gets.
// Source: eks-pod-identity-agent, its paths and texts; EKS Auth API Reference,
// AssumeRoleForPodIdentity.
func (s *Service) Pods() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/credentials", s.pod)
	return mux
}

// podCredentials is what a pod gets.
type podCredentials struct {
	AccessKeyId     string
	SecretAccessKey string
	Token           string
	AccountId       string
	Expiration      string
}

func refusePod(w http.ResponseWriter, status int, format string, args ...any) {
	w.Header().Set("Content-Type", "text/plain")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, fmt.Sprintf(format, args...))
}

// authError is an error of EKS Auth, as the agent passes it on.
func authError(w http.ResponseWriter, status int, code, format string, args ...any) {
	refusePod(w, status, "[%s]: (%s): %s, fault: client", rand.Text(), code, fmt.Sprintf(format, args...))
}

func (s *Service) pod(w http.ResponseWriter, r *http.Request) {
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host
	}
	if _, err := netip.ParseAddr(host); err != nil {
		// A name may be one that a web site has pointed here.
		refusePod(w, http.StatusForbidden, "Access Denied. Called agent through invalid address, please use either 169.254.170.23 or [fd00:ec2::23]")
		return
	}
	snap := s.cfg.Current()
	if snap == nil {
		refusePod(w, http.StatusServiceUnavailable, "the server is starting and has not read its state yet")
		return
	}
	text := r.Header.Get("Authorization")
	if text == "" {
		refusePod(w, http.StatusBadRequest, "Service account token cannot be empty")
		return
	}
	token, err := oidc.Parse(text)
	if err != nil {
		refusePod(w, http.StatusBadRequest, "Service account token cannot be parsed: it is not a signed JWT with an issuer")
		return
	}
	provider, ok := snap.OIDCProvider(s.cfg.PodAccount, token.Issuer)
	if !ok {
		authError(w, http.StatusBadRequest, "InvalidTokenException", "account %s has no identity provider for %s", s.cfg.PodAccount, token.Issuer)
		return
	}
	// The binding is what lets the cluster's pods in: the provider need not know them.
	known := *provider
	known.ClientIDs = []string{podAudience}
	claims, err := s.cfg.Identities.Verify(r.Context(), &known, token)
	var bad *fault.Error
	switch {
	case errors.As(err, &bad) && bad.Code == "ExpiredTokenException":
		refusePod(w, http.StatusBadRequest, "Service account token failed basic claim validations: %s", bad.Message)
	case errors.As(err, &bad):
		authError(w, http.StatusBadRequest, "InvalidTokenException", "%s", bad.Message)
	case err != nil:
		s.cfg.Log.Error("the token of a pod cannot be verified", "error", err)
		refusePod(w, http.StatusInternalServerError, "Internal server error")
	default:
		s.podCredentials(w, r, snap, token.Issuer, claims)
	}
}

func (s *Service) podCredentials(w http.ResponseWriter, r *http.Request, snap *snapshot.Snapshot, issuer string, claims *oidc.Claims) {
	b := snap.Pods(s.cfg.PodAccount, issuer, claims.Subject)
	if b == nil {
		authError(w, http.StatusNotFound, "ResourceNotFoundException", "there is no binding for %s of %s", claims.Subject, issuer)
		return
	}
	name := podSession(b, claims.Pod)
	if claims.Pod.Name == "" || claims.Pod.UID == "" || !sessionName.MatchString(name) {
		authError(w, http.StatusBadRequest, "InvalidTokenException", "the token is not that of a pod")
		return
	}
	c, err := s.credentials(snap, &delivery{
		Binding: b, role: b.Role, session: name, from: client(r),
		// Source: EKS User Guide, "Grant Pods access to AWS resources based on tags".
		tags: map[string]string{
			"eks-cluster-arn": b.ScopeOf(s.cfg.Partition).ARN("eks", "cluster/"+b.Cluster), "eks-cluster-name": b.Cluster,
			"kubernetes-namespace": b.Namespace, "kubernetes-service-account": b.ServiceAccount,
			"kubernetes-pod-name": claims.Pod.Name, "kubernetes-pod-uid": claims.Pod.UID,
		},
	})
	switch {
	case errors.Is(err, errUnassumable):
		authError(w, http.StatusBadRequest, "AccessDeniedException", "Unauthorized Exception! EKS does not have permissions to assume the associated role.")
	case err != nil:
		s.cfg.Log.Error("the credentials of a pod cannot be made", "binding", b.ARN, "error", err)
		refusePod(w, http.StatusInternalServerError, "Internal server error")
	default:
		answer(w, http.StatusOK, podCredentials{c.accessKeyID, c.secret.Reveal(), c.token, b.Account, timeText(c.expires)})
	}
}

// sessionName is what a session may be called.
// Source: STS API Reference, AssumeRole, RoleSessionName.
var sessionName = regexp.MustCompile(`^[\w+=,.@-]{2,64}$`)

// podSession names a pod's session: eks-CLUSTER-POD-UID, cut so that the uid stays and
// the name has at most 64 characters.
// Source: EKS User Guide, "EKS Pod Identity": eks-clustername-podname-UUID.
func podSession(b *model.Binding, p oidc.Pod) string {
	const most = 64
	name := "eks-" + b.Cluster + "-" + p.Name
	if room := max(most-len(p.UID)-1, 0); len(name) > room {
		name = name[:room]
	}
	return name + "-" + p.UID
}
