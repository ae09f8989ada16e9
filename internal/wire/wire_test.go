package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/latchwork/latchwork/internal/fault"
)

func TestTimestamp(t *testing.T) {
	at := time.Date(2023, 6, 7, 5, 51, 20, 266e6, time.FixedZone("x", 7200))
	raw, err := json.Marshal(At(at))
	if err != nil || string(raw) != `"2023-06-07T03:51:20.266Z"` {
		t.Errorf("%s, %v", raw, err)
	}
	var back Timestamp
	if err := json.Unmarshal(raw, &back); err != nil || !back.Equal(at) {
		t.Errorf("%v, %v", back, err)
	}
	if raw, _ = json.Marshal(At(at.Truncate(time.Second))); string(raw) != `"2023-06-07T03:51:20.000Z"` {
		t.Errorf("a whole second is %s", raw)
	}
	for _, bad := range []string{`1686109880`, `"yesterday"`, `""`, `{}`} {
		if err := json.Unmarshal([]byte(bad), &back); err == nil {
			t.Errorf("%s was read as a timestamp", bad)
		}
	}
}

func TestEpochSeconds(t *testing.T) {
	for text, at := range map[string]time.Time{
		"1686109880.266": time.UnixMilli(1686109880266), "1686109880": time.Unix(1686109880, 0), "0": time.Unix(0, 0), "-1.5": time.UnixMilli(-1500),
	} {
		raw, err := json.Marshal(Epoch(at))
		if err != nil || string(raw) != text {
			t.Errorf("%v is %s, %v; want %s", at, raw, err, text)
		}
		var back EpochSeconds
		if err := json.Unmarshal([]byte(text), &back); err != nil || !back.Equal(at) {
			t.Errorf("%s is %v, %v", text, back, err)
		}
	}
	var back EpochSeconds
	for _, bad := range []string{`"1686109880"`, `1e300`, `{}`} {
		if err := json.Unmarshal([]byte(bad), &back); err == nil {
			t.Errorf("%s was read as seconds", bad)
		}
	}
}

func TestSecretsPrintNothing(t *testing.T) {
	secret, raw := Secret("hunter2"), SecretBytes("hunter2")
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "a", secret, "b", raw, "c", &secret)
	inJSON, err := json.Marshal(map[string]any{"a": secret, "b": raw, "c": &secret})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		log.String(), string(inJSON), fmt.Sprint(secret, raw), fmt.Sprintf("%v %+v %#v %s %q", secret, secret, secret, secret, secret),
		fmt.Sprintf("%v %+v %#v %s %q", raw, raw, raw, raw, raw), fmt.Sprintf("%v", struct{ S Secret }{secret}),
	} {
		if strings.Contains(text, "hunter2") || !strings.Contains(text, "[redacted]") {
			t.Errorf("printed as %s", text)
		}
	}
	if secret.Reveal() != "hunter2" || string(raw.Reveal()) != "hunter2" {
		t.Error("Reveal does not give the secret")
	}
}

func TestNotBuilt(t *testing.T) {
	var e *fault.Error
	if !errors.As(NotBuilt("IAM", "CreateFoo"), &e) || e.Status != 501 || !strings.Contains(e.Message, "IAM CreateFoo") {
		t.Errorf("%v", e)
	}
}
