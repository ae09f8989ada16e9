package workload

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/snapshot"
)

// The headers of session tokens.
const (
	tokenHeader = "X-Aws-Ec2-Metadata-Token"
	ttlHeader   = "X-Aws-Ec2-Metadata-Token-Ttl-Seconds"
	maxTTL      = 21600
)

// Instances serves instances as the metadata service of EC2 does, as far as it is
// about credentials and where the instance is. Which instance asks follows from the
// address that it asks from.
// Source: EC2 User Guide, "Use the Instance Metadata Service to access instance
// metadata" and "Instance metadata categories".
func (s *Service) Instances() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /latest/api/token", s.putToken)
	for path, serve := range map[string]func(http.ResponseWriter, *metadataRequest){
		// SDKs ask with the slash, Envoy without.
		"/latest/meta-data/iam/security-credentials":        s.roleName,
		"/latest/meta-data/iam/security-credentials/{$}":    s.roleName,
		"/latest/meta-data/iam/security-credentials/{role}": s.roleCredentials,
		"/latest/meta-data/iam/info":                        s.profileInfo,
		"/latest/meta-data/instance-id":                     func(w http.ResponseWriter, r *metadataRequest) { text(w, r.binding.ID) },
		"/latest/meta-data/placement/region":                func(w http.ResponseWriter, r *metadataRequest) { text(w, r.binding.Region) },
		"/latest/meta-data/placement/availability-zone":     func(w http.ResponseWriter, r *metadataRequest) { text(w, r.binding.Region+"a") },
		"/latest/meta-data/placement/availability-zone-id":  func(w http.ResponseWriter, r *metadataRequest) { text(w, zoneID(r.binding.Region)) },
		"/latest/dynamic/instance-identity/document":        s.identityDocument,
	} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) { s.metadata(w, r, serve) })
	}
	return mux
}

// metadataRequest is a request of an instance that is known.
type metadataRequest struct {
	*http.Request
	snap    *snapshot.Snapshot
	binding *model.Binding
}

func refuse(w http.ResponseWriter, status int) {
	http.Error(w, fmt.Sprintf("%d - %s", status, http.StatusText(status)), status)
}

func text(w http.ResponseWriter, line string) {
	w.Header().Set("Content-Type", "text/plain")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = io.WriteString(w, line)
}

// document answers JSON, which the metadata service calls plain text.
func document(w http.ResponseWriter, v any) {
	body, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		refuse(w, http.StatusInternalServerError)
		return
	}
	text(w, string(body))
}

// instance finds out which instance asks; nil if nobody knows. A client on this machine
// that asks at an address other than loopback asks from that address.
func instance(snap *snapshot.Snapshot, r *http.Request) *model.Binding {
	from := client(r)
	if b := snap.Instance(from); b != nil {
		return b
	}
	at, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	if ok && at.AddrPort().Addr().Unmap() == from {
		return snap.Instance(netip.IPv6Loopback())
	}
	return nil
}

// putToken makes a token, which later requests send along. A request that somebody
// passed on gets none, so that an open proxy on the instance is no way in.
func (s *Service) putToken(w http.ResponseWriter, r *http.Request) {
	snap := s.cfg.Current()
	if snap == nil {
		refuse(w, http.StatusServiceUnavailable)
		return
	}
	b := instance(snap, r)
	if b == nil || r.Header.Get("X-Forwarded-For") != "" {
		refuse(w, http.StatusForbidden)
		return
	}
	ttl, err := strconv.Atoi(r.Header.Get(ttlHeader))
	if err != nil || ttl < 1 || ttl > maxTTL {
		refuse(w, http.StatusBadRequest)
		return
	}
	expires := s.cfg.Clock().Add(time.Duration(ttl) * time.Second)
	sealed, err := s.cfg.Secrets.Seal(binary.BigEndian.AppendUint64(nil, uint64(expires.Unix())), tokenAAD(b))
	if err != nil {
		s.cfg.Log.Error("a token of the metadata service cannot be made", "error", err)
		refuse(w, http.StatusInternalServerError)
		return
	}
	w.Header().Set(ttlHeader, strconv.Itoa(ttl))
	text(w, base64.RawURLEncoding.EncodeToString(sealed))
}

// tokenAAD binds a token to its instance: no other one can use it.
func tokenAAD(b *model.Binding) string { return "instance metadata token of " + b.ARN }

func (s *Service) goodToken(b *model.Binding, token string) bool {
	sealed, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return false
	}
	plain, err := s.cfg.Secrets.Open(sealed, tokenAAD(b))
	return err == nil && len(plain) == 8 && uint64(s.cfg.Clock().Unix()) < binary.BigEndian.Uint64(plain)
}

// metadata finds out which instance asks, and whether it may.
func (s *Service) metadata(w http.ResponseWriter, r *http.Request, serve func(http.ResponseWriter, *metadataRequest)) {
	snap := s.cfg.Current()
	if snap == nil {
		refuse(w, http.StatusServiceUnavailable)
		return
	}
	b := instance(snap, r)
	switch token := r.Header.Get(tokenHeader); {
	case token == "" && !s.cfg.TokensOptional, token != "" && (b == nil || !s.goodToken(b, token)):
		refuse(w, http.StatusUnauthorized)
	case b == nil:
		refuse(w, http.StatusNotFound)
	default:
		serve(w, &metadataRequest{r, snap, b})
	}
}

// profile is the instance's profile; false if it is gone or has no role.
func (r *metadataRequest) profile() (*snapshot.InstanceProfile, bool) {
	p, ok := r.snap.InstanceProfile(r.binding.InstanceProfile)
	return p, ok && p.RoleARN != ""
}

func (s *Service) roleName(w http.ResponseWriter, r *metadataRequest) {
	p, ok := r.profile()
	if !ok {
		refuse(w, http.StatusNotFound)
		return
	}
	text(w, p.Role)
}

// instanceCredentials is what an instance gets; its members that are empty are left
// out where there is a Message in place of credentials.
type instanceCredentials struct {
	Code            string
	Message         string `json:",omitzero"`
	LastUpdated     string
	Type            string `json:",omitzero"`
	AccessKeyId     string `json:",omitzero"`
	SecretAccessKey string `json:",omitzero"`
	Token           string `json:",omitzero"`
	Expiration      string `json:",omitzero"`
}

func (s *Service) roleCredentials(w http.ResponseWriter, r *metadataRequest) {
	p, ok := r.profile()
	if !ok || r.PathValue("role") != p.Role {
		refuse(w, http.StatusNotFound)
		return
	}
	c, err := s.credentials(r.snap, &delivery{Binding: r.binding, role: p.RoleARN, session: r.binding.ID, from: client(r.Request)})
	switch {
	case errors.Is(err, errUnassumable):
		document(w, instanceCredentials{
			Code: "AssumeRoleUnauthorizedAccess", LastUpdated: timeText(s.cfg.Clock()),
			Message: "EC2 cannot assume the role " + p.Role + ".  Please see documentation at https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_iam-ec2.html#troubleshoot_iam-ec2_errors-info-doc.",
		})
	case err != nil:
		s.cfg.Log.Error("the credentials of an instance cannot be made", "binding", r.binding.ARN, "error", err)
		refuse(w, http.StatusInternalServerError)
	default:
		document(w, instanceCredentials{
			Code: "Success", LastUpdated: timeText(c.made), Type: "AWS-HMAC",
			AccessKeyId: c.accessKeyID, SecretAccessKey: c.secret.Reveal(), Token: c.token, Expiration: timeText(c.expires),
		})
	}
}

func (s *Service) profileInfo(w http.ResponseWriter, r *metadataRequest) {
	p, ok := r.profile()
	if !ok {
		refuse(w, http.StatusNotFound)
		return
	}
	document(w, struct{ Code, LastUpdated, InstanceProfileArn, InstanceProfileId string }{"Success", timeText(p.Updated), p.ARN, p.ID})
}

// identityDocument says where the instance is. Of the machine itself nothing is known.
func (s *Service) identityDocument(w http.ResponseWriter, r *metadataRequest) {
	b := r.binding
	document(w, struct {
		AccountID        string  `json:"accountId"`
		AvailabilityZone string  `json:"availabilityZone"`
		ImageID          *string `json:"imageId"`
		InstanceID       string  `json:"instanceId"`
		PendingTime      string  `json:"pendingTime"`
		PrivateIP        string  `json:"privateIp"`
		Region           string  `json:"region"`
		Version          string  `json:"version"`
	}{
		AccountID: b.Account, AvailabilityZone: b.Region + "a", InstanceID: b.ID, PendingTime: timeText(b.Created),
		PrivateIP: client(r.Request).String(), Region: b.Region, Version: "2017-09-30",
	})
}

// zoneWords are how the ids of availability zones shorten the words of a region.
var zoneWords = strings.NewReplacer("north", "n", "south", "s", "east", "e", "west", "w", "central", "c", "gov", "g", "iso", "i", "-", "")

// zoneID is the id of a region's first availability zone: usw2-az1 in us-west-2.
func zoneID(region string) string { return zoneWords.Replace(region) + "-az1" }
