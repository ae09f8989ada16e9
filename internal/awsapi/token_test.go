package awsapi_test

import (
	"context"
	"strings"
	"testing"

	"github.com/latchwork/latchwork/internal/awsapi"
	"github.com/latchwork/latchwork/internal/fault"
)

// answers is an Idempotency in memory.
type answers struct {
	hash map[string]string
	body map[string][]byte
}

func newAnswers() *answers { return &answers{map[string]string{}, map[string][]byte{}} }

func (a *answers) Once(ctx context.Context, token *awsapi.Token, call func(context.Context) ([]byte, error)) ([]byte, error) {
	if hash, ok := a.hash[token.Key]; ok {
		if hash != token.Hash {
			return nil, awsapi.ErrTokenReused
		}
		return a.body[token.Key], nil
	}
	body, err := call(ctx)
	if err == nil {
		a.hash[token.Key], a.body[token.Key] = token.Hash, body
	}
	return body, err
}

func TestIdempotencyToken(t *testing.T) {
	p := &partial{}
	h := newHarness(t, allowAll, func(cfg *awsapi.Config) { cfg.Idempotency = newAnswers() }, p.binding())
	for _, step := range []struct {
		body   string
		status int
		called int
		answer string
	}{
		{`{"name":"abc","clientToken":"one"}`, 201, 1, `{"name":"x"}`},
		{`{"clientToken":"one", "name":"abc"}`, 201, 1, `{"name":"x"}`},
		{`{"name":"abd","clientToken":"one"}`, 409, 1, "ConflictException"},
		{`{"name":"abc","clientToken":"one","tags":{}}`, 409, 1, "ConflictException"},
		{`{"name":"abc","clientToken":"two"}`, 201, 2, `{"name":"xx"}`},
		{`{"name":"abc"}`, 201, 3, `{"name":"xxx"}`},
		{`{"name":"abc"}`, 201, 4, `{"name":"xxxx"}`},
	} {
		w := h.do("POST", "/services", "vpc-lattice", "", step.body)
		answer := w.Body.String()
		if w.Code == 409 {
			answer = header(w, "x-amzn-errortype")
		}
		if w.Code != step.status || answer != step.answer || p.called != step.called {
			t.Errorf("%s: %d %s after %d calls, want %d %s after %d", step.body, w.Code, answer, p.called, step.status, step.answer, step.called)
		}
	}
}

// TestReplayIsAuthorized: a stored answer is no way round a permission.
func TestReplayIsAuthorized(t *testing.T) {
	p := &partial{}
	denied := false
	h := newHarness(t, func(*awsapi.Call) error {
		if denied {
			return fault.New("AccessDenied", "no")
		}
		return nil
	}, func(cfg *awsapi.Config) { cfg.Idempotency = newAnswers() }, p.binding())
	const body = `{"name":"abc","clientToken":"one"}`
	if w := h.do("POST", "/services", "vpc-lattice", "", body); w.Code != 201 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	denied = true
	if w := h.do("POST", "/services", "vpc-lattice", "", body); w.Code != 403 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func contains(s, part string) bool { return strings.Contains(s, part) }

// cut returns what stands between two texts.
func cut(s, from, to string) (before, between string, ok bool) {
	before, rest, ok := strings.Cut(s, from)
	if !ok {
		return s, "", false
	}
	between, _, ok = strings.Cut(rest, to)
	return before, between, ok
}
