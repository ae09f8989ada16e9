package spelling_test

import (
	"testing"

	"github.com/latchwork/latchwork/internal/spelling"
)

func TestNearest(t *testing.T) {
	names := []string{"iam:PassRole", "iam:GetRole", "iam:TagRole"}
	for _, test := range []struct {
		name string
		most int
		want string
	}{
		{"iam:PasRole", 1, "iam:PassRole"},   // one dropped
		{"iam:PassRoles", 1, "iam:PassRole"}, // one added
		{"iam:BetRole", 1, "iam:GetRole"},    // one replaced
		{"IAM:PASSROLE", 0, "iam:PassRole"},  // case alone
		{"iam:PaRole", 1, ""},                // two changes
		{"iam:PaRole", 2, "iam:PassRole"},
		{"", 3, ""},
	} {
		if got := spelling.Nearest(test.name, names, test.most); got != test.want {
			t.Errorf("%s within %d: %q, want %q", test.name, test.most, got, test.want)
		}
	}
	if got := spelling.Nearest("a", nil, 1); got != "" {
		t.Errorf("of no names: %q", got)
	}
}
