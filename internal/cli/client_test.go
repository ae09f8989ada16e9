package cli

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/latchwork/latchwork/internal/server"
)

// The administrator's key is taken where nobody says whose, and only there.
func TestCallerCredentials(t *testing.T) {
	dir := t.TempDir()
	write := func(path, text string) string {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write(server.InfoFile(dir), `{"accountId":"123456789012"}`)
	write(server.AdminFile(dir, "123456789012"), `{"accessKeyId":"AKIAADMIN","secretAccessKey":"x"}`)
	shared := write(filepath.Join(dir, "credentials"), "[alice]\naws_access_key_id=AKIAALICE\naws_secret_access_key=y\n")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", shared)
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(dir, "none"))
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	for _, name := range append([]string{"AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY", "AWS_ROLE_ARN"}, credentialSettings...) {
		t.Setenv(name, "")
	}
	for _, test := range []struct {
		name, profile string
		env           map[string]string
		want          string // "": an error, and never somebody else
	}{
		{"nothing is set", "", nil, "AKIAADMIN"},
		{"--profile", "alice", nil, "AKIAALICE"},
		{"keys", "", map[string]string{"AWS_ACCESS_KEY_ID": "AKIABOB", "AWS_SECRET_ACCESS_KEY": "z"}, "AKIABOB"},
		{"keys by their other names", "", map[string]string{"AWS_ACCESS_KEY": "AKIABOB", "AWS_SECRET_KEY": "z"}, "AKIABOB"},
		{"half a key", "", map[string]string{"AWS_ACCESS_KEY_ID": "AKIABOB"}, ""},
		{"a profile", "", map[string]string{"AWS_PROFILE": "alice"}, "AKIAALICE"},
		{"a default profile", "", map[string]string{"AWS_DEFAULT_PROFILE": "alice"}, "AKIAALICE"},
		{"a profile that there is not", "", map[string]string{"AWS_PROFILE": "bob"}, ""},
		{"a token file that there is not", "", map[string]string{"AWS_WEB_IDENTITY_TOKEN_FILE": filepath.Join(dir, "none"), "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/r"}, ""},
		{"a container's endpoint that is not allowed", "", map[string]string{"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://192.0.2.1/"}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			for name, value := range test.env {
				t.Setenv(name, value)
			}
			got, err := callerCredentials(t.Context(), test.profile, dir, "")
			if got.AccessKeyID != test.want || (err == nil) != (test.want != "") {
				t.Errorf("the key of %q, %v; want %q", got.AccessKeyID, err, test.want)
			}
		})
	}
}
