//go:build conformance

package conformance

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSeedCommands types the commands of the user guide's page on auth policies,
// with both versions of the AWS CLI.
func TestSeedCommands(t *testing.T) {
	in := start(t)
	admin := in.administrator(account)
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return "file://" + path
	}
	const compact = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"vpc-lattice-svcs:Invoke","Resource":"*"}]}`
	pretty := file("pretty.json", strings.ReplaceAll(compact, ",", ",\n  ")+"\n")
	oneLine := file("policy.json", compact+"\n") // nearly every file ends in a newline
	for _, c := range clis() {
		for _, kind := range []struct{ name, create, update, identifier string }{
			{"network-" + c.name, "create-service-network", "update-service-network", "--service-network-identifier"},
			{"service-" + c.name, "create-service", "update-service", "--service-identifier"},
		} {
			t.Run(kind.create+" "+c.name, func(t *testing.T) {
				made := in.awsWith(c, admin, "vpc-lattice", kind.create, "--name", kind.name, "--auth-type", "AWS_IAM", "--tags", "team=a")
				id := made["id"].(string)
				if made["authType"] != "AWS_IAM" || made["name"] != kind.name || made["arn"] == nil {
					t.Errorf("create answered %v", made)
				}
				if strings.HasPrefix(id, "svc-") && (made["status"] != "CREATE_IN_PROGRESS" || made["dnsEntry"] == nil) {
					t.Errorf("create-service answered %v", made)
				}
				put := in.awsWith(c, admin, "vpc-lattice", "put-auth-policy", "--resource-identifier", id, "--policy", oneLine)
				if put["policy"] != compact || put["state"] != "Active" {
					t.Errorf("put-auth-policy answered %v", put)
				}
				refusal := in.awsFailsWith(c, admin, "vpc-lattice", "put-auth-policy", "--resource-identifier", id, "--policy", pretty)
				mustContain(t, "the refusal of newlines", refusal, "ValidationException", "newlines", compact)
				refusal = in.awsFailsWith(c, admin, "vpc-lattice", "delete-auth-policy", "--resource-identifier", id)
				mustContain(t, "the refusal to delete", refusal, "ValidationException", "aws vpc-lattice "+kind.update+" "+kind.identifier+" "+id+" --auth-type NONE")
				in.awsWith(c, admin, "vpc-lattice", kind.update, kind.identifier, id, "--auth-type", "NONE")
				if got := in.awsWith(c, admin, "vpc-lattice", "get-auth-policy", "--resource-identifier", made["arn"].(string)); got["state"] != "Inactive" || got["policy"] != compact {
					t.Errorf("under NONE get-auth-policy answered %v", got)
				}
				updated := in.awsWith(c, admin, "vpc-lattice", kind.update, kind.identifier, id, "--auth-type", "AWS_IAM")
				if updated["authType"] != "AWS_IAM" || updated["id"] != id {
					t.Errorf("%s answered %v", kind.update, updated)
				}
				if got := in.awsWith(c, admin, "vpc-lattice", "get-auth-policy", "--resource-identifier", id); got["state"] != "Active" {
					t.Errorf("the same policy is not in force again: %v", got)
				}
				in.awsWith(c, admin, "vpc-lattice", kind.update, kind.identifier, id, "--auth-type", "NONE")
				in.awsWith(c, admin, "vpc-lattice", "delete-auth-policy", "--resource-identifier", id)
				if got := in.awsWith(c, admin, "vpc-lattice", "get-auth-policy", "--resource-identifier", id); len(got) != 0 {
					t.Errorf("after delete-auth-policy there is %v", got)
				}
			})
		}
	}
}

// TestObserved follows what was seen of AWS instead of the user guide.
func TestObserved(t *testing.T) {
	in := start(t, "--conformance", "observed")
	admin := in.administrator(account)
	id := in.aws(admin, "vpc-lattice", "create-service", "--name", "rates", "--auth-type", "AWS_IAM")["id"].(string)
	got := in.aws(admin, "vpc-lattice", "put-auth-policy", "--resource-identifier", id, "--policy", "{\n \"Statement\": [{\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":\"*\",\"Resource\":\"*\"}]\n}")
	if got["policy"] != `{"Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}` {
		t.Errorf("put-auth-policy answered %v", got)
	}
	in.aws(admin, "vpc-lattice", "delete-auth-policy", "--resource-identifier", id)
}
