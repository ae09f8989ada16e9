package policy

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestCatalogueIsComplete: the linter knows every action and key that the services and
// enforcement points name, and every key that decisions look up.
func TestCatalogueIsComplete(t *testing.T) {
	literal := regexp.MustCompile(`"((?:aws|iam|sts|appmesh|servicediscovery|vpc-lattice|vpc-lattice-svcs):[A-Z][A-Za-z]+/?)"( \+)?`)
	found := 0
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.Contains(path, "policy") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range literal.FindAllStringSubmatch(string(text), -1) {
			found++
			name := m[1]
			key := ParseKey(name)
			switch {
			case strings.HasSuffix(name, "/"):
				key = ParseKey(name + "x")
			case m[2] != "":
				continue // It is a part of a name.
			}
			vendor, _, _ := strings.Cut(name, ":")
			if known(&key) == nil && !slices.Contains(actionsOf[vendor], name) {
				t.Errorf("%s: %s", path, name)
			}
		}
		return nil
	})
	if err != nil || found < 20 {
		t.Errorf("%d names, %v", found, err)
	}
	for _, name := range keyNames {
		if catalogue[strings.ToLower(name)] == nil {
			t.Errorf("%s is looked up and not known", name)
		}
	}
	for name := range lists {
		if catalogue[name] == nil {
			t.Errorf("%s is a list and not known", name)
		}
	}
	for base, op := range operators {
		if _, ok := parseOperator(spelledOperator(base)); !ok || strings.ToLower(spelledOperator(base)) != base || op.family == 0 {
			t.Errorf("operator %s", base)
		}
	}
}
