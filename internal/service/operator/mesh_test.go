package operator

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchwork/latchwork/internal/awsapi"
	"github.com/latchwork/latchwork/internal/identity"
	"github.com/latchwork/latchwork/internal/inbound"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/store"
	"github.com/latchwork/latchwork/internal/store/etcd"
)

const owner = "111111111111"

// harness is the service behind a dispatcher; everybody is the mesh's owner.
type harness struct{ call *awsapi.Call }

func (*harness) WaitFor(context.Context, store.Revision) error { return nil }

func (*harness) Authenticate(context.Context, *inbound.Request, []byte, awsapi.Expectation) (awsapi.Caller, error) {
	return awsapi.Caller{Region: "us-west-2", Principal: &identity.Principal{Kind: identity.User, Account: owner}}, nil
}

func (h *harness) Authorize(_ context.Context, c *awsapi.Call) error { h.call = c; return nil }

// TestShareMesh: who may work in a mesh, and what it takes to say so.
func TestShareMesh(t *testing.T) {
	backend, err := etcd.Start(context.Background(), etcd.Embedded{Dir: t.TempDir(), Prefix: "t/", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { backend.Close() })
	h, s := &harness{}, store.New(backend)
	key := model.MeshKey(owner, "us-west-2", "app")
	_, err = s.Update(t.Context(), func(tx *store.Tx) error {
		return model.Meshes.Put(tx, key, &model.Mesh{MeshMeta: model.MeshMeta{Meta: model.Meta{Tags: map[string]string{"team": "blue"}}, Version: 7}})
	})
	if err != nil {
		t.Fatal(err)
	}
	binding := New(Config{State: model.State{Store: s, Published: h}})
	if gaps := binding.Gaps(); len(gaps) > 0 {
		t.Fatal(gaps)
	}
	api, err := awsapi.New(awsapi.Config{Log: slog.New(slog.DiscardHandler), Bindings: []awsapi.Binding{binding}, Authenticator: h, Authorizer: h})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	for _, step := range []struct {
		path, body string
		status     int
		want       string
		with       []string
	}{
		{"app/share", `{"accounts":["333333333333","222222222222"]}`, 200, `{"sharedWith":["222222222222","333333333333"]}`, []string{"222222222222", "333333333333"}},
		{"app/share", `{"accounts":["222222222222"]}`, 200, `{"sharedWith":["222222222222","333333333333"]}`, []string{"222222222222", "333333333333"}},
		{"app/share", `{"accounts":["` + owner + `"]}`, 400, "owns the mesh", []string{"222222222222", "333333333333"}},
		{"app/share", `{"accounts":["22222222222x"]}`, 400, "accounts[0]", []string{"222222222222", "333333333333"}},
		{"app/share", `{"accounts":[]}`, 400, "greater than or equal to 1", []string{"222222222222", "333333333333"}},
		{"app/share", `{}`, 400, "accounts", []string{"222222222222", "333333333333"}},
		{"gone/share", `{"accounts":["222222222222"]}`, 404, "account 111111111111 has no mesh gone in region us-west-2", []string{"222222222222", "333333333333"}},
		{"app/unshare", `{"accounts":["222222222222","444444444444"]}`, 200, `{"sharedWith":["333333333333"]}`, []string{"333333333333"}},
		{"app/unshare", `{"accounts":["333333333333"]}`, 200, `{"sharedWith":[]}`, nil},
	} {
		t.Run(step.path+" "+step.body, func(t *testing.T) {
			r, err := http.NewRequest("PUT", server.URL+"/latchwork/meshes/"+step.path, bytes.NewBufferString(step.body))
			if err != nil {
				t.Fatal(err)
			}
			answer, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			text, err := io.ReadAll(answer.Body)
			if err != nil || answer.StatusCode != step.status || !strings.Contains(string(text), step.want) {
				t.Errorf("%d %s, want %d %s", answer.StatusCode, text, step.status, step.want)
			}
			err = s.View(t.Context(), func(tx *store.Tx) error {
				m, err := model.Meshes.Get(tx, key)
				// It is not the mesh that has changed: its version stays.
				if err == nil && (m.Version != 7 || len(m.SharedWith)+len(step.with) > 0 && !cmp.Equal(m.SharedWith, step.with)) {
					t.Errorf("%+v", m)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		})
	}
	if c := h.call; c.Action != "appmesh:PutMeshPolicy" || c.Resources[0].ARN != "arn:aws:appmesh:us-west-2:111111111111:mesh/app" || c.Resources[0].Keys[0].Name != "aws:ResourceTag/team" {
		t.Errorf("%s on %+v", c.Action, c.Resources)
	}
}
