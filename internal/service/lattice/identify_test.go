package lattice

import (
	"testing"

	"github.com/latchwork/latchwork/internal/model"
)

// TestIdentify: an ARN leads only to what it is the ARN of, since that is what the
// caller was authorized for.
func TestIdentify(t *testing.T) {
	scope := model.Scope{Partition: "aws", Account: "123456789012", Region: "us-west-2"}
	const own = "arn:aws:vpc-lattice:us-west-2:123456789012:"
	for _, test := range []struct {
		kind, identifier string
		parents          []string
		want             string // "" is not found
	}{
		{typeService, "svc-1", nil, "svc-1"},
		{typeService, own + "service/svc-1", nil, "svc-1"},
		{typeService, own + "targetgroup/svc-1", nil, ""},
		{typeService, own + "service/svc-2/listener/svc-1", nil, ""},
		{typeService, own + "svc-1", nil, ""},
		{typeService, "arn:aws:vpc-lattice:eu-west-1:123456789012:service/svc-1", nil, ""},
		{typeService, "arn:aws:vpc-lattice:us-west-2:999999999999:service/svc-1", nil, ""},
		{typeService, "arn:aws:iam:us-west-2:123456789012:service/svc-1", nil, ""},
		{typeService, "arn:aws-cn:vpc-lattice:us-west-2:123456789012:service/svc-1", nil, ""},
		{typeListener, own + "service/svc-1/listener/listener-1", []string{"svc-1"}, "listener-1"},
		{typeListener, own + "service/svc-2/listener/listener-1", []string{"svc-1"}, ""},
		{typeRule, own + "service/svc-1/listener/listener-1/rule/rule-1", []string{"svc-1", "listener-1"}, "rule-1"},
		{typeRule, own + "service/svc-1/listener/listener-2/rule/rule-1", []string{"svc-1", "listener-1"}, ""},
	} {
		got, err := identify(scope, test.kind, test.identifier, test.parents...)
		if got != test.want || (err == nil) != (test.want != "") {
			t.Errorf("%s %s below %v: %q, %v; want %q", test.kind, test.identifier, test.parents, got, err, test.want)
		}
	}
}
