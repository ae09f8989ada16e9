package workload

import (
	"crypto/subtle"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/latchwork/latchwork/internal/model"
)

// Tasks serves tasks as the agent of ECS does: at /v2/credentials/ID, and in the form
// of its first version, /v1/credentials?id=ID. The id is the secret; a task that was
// given a token too sends it as Authorization.
// Source: the ECS agent, agent/handlers (its paths, codes and texts); AWS SDKs and
// Tools Reference Guide, "Container credential provider".
func (s *Service) Tasks() http.Handler {
	mux := http.NewServeMux()
	v2 := func(w http.ResponseWriter, r *http.Request) {
		s.task(w, r, "CredentialsV2Request: ", r.PathValue("id"))
	}
	mux.HandleFunc("GET /v2/credentials/{id}", v2)
	mux.HandleFunc("GET /v2/credentials/{$}", v2)
	mux.HandleFunc("GET /v2/credentials", v2)
	mux.HandleFunc("GET /v1/credentials", func(w http.ResponseWriter, r *http.Request) {
		s.task(w, r, "CredentialsV1Request: ", r.URL.Query().Get("id"))
	})
	return mux
}

// taskCredentials is what a task gets.
type taskCredentials struct {
	RoleArn         string
	AccessKeyId     string
	SecretAccessKey string
	Token           string
	Expiration      string
}

// taskError is what it gets in place of them.
type taskError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Status  int    `json:"HTTPErrorCode"`
}

func (s *Service) task(w http.ResponseWriter, r *http.Request, prefix, id string) {
	fail := func(status int, code, message string) { answer(w, status, taskError{code, prefix + message, status}) }
	snap := s.cfg.Current()
	if snap == nil {
		fail(http.StatusInternalServerError, "InternalServerError", "the server is starting and has not read its state yet")
		return
	}
	if id == "" {
		fail(http.StatusBadRequest, "NoIdInRequest", "No Credential ID in the request")
		return
	}
	b := snap.Task(id)
	if b == nil {
		fail(http.StatusBadRequest, "InvalidIdInRequest", "Credentials not found")
		return
	}
	if b.TokenHash != nil && subtle.ConstantTimeCompare(b.TokenHash, model.SecretHash(r.Header.Get("Authorization"))) == 0 {
		fail(http.StatusForbidden, "AccessDenied", "the Authorization header is not the token of these credentials: set AWS_CONTAINER_AUTHORIZATION_TOKEN as it was shown when the binding was made")
		return
	}
	c, err := s.credentials(snap, &delivery{Binding: b, role: b.Role, session: b.ID, from: client(r)})
	switch {
	case errors.Is(err, errUnassumable):
		fail(http.StatusServiceUnavailable, "CredentialsUninitialized", "Credentials uninitialized for ID")
	case err != nil:
		s.cfg.Log.Error("the credentials of a task cannot be made", "binding", b.ARN, "error", err)
		fail(http.StatusInternalServerError, "InternalServerError", "Internal server error")
	default:
		answer(w, http.StatusOK, taskCredentials{c.roleARN, c.accessKeyID, c.secret.Reveal(), c.token, timeText(c.expires)})
	}
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	// A client that went away cannot be told anything.
	_ = json.NewEncoder(w).Encode(body)
}
