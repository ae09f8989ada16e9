package lattice

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice/types"
)

func TestListeners(t *testing.T) {
	w := newWorld(t)
	v, other := w.service("rates"), w.service("other")
	create := func(service *string, name string, protocol types.ListenerProtocol, port *int32) (*vpclattice.CreateListenerOutput, error) {
		return w.CreateListener(ctx, &vpclattice.CreateListenerInput{ServiceIdentifier: service, Name: &name, Protocol: protocol, Port: port, DefaultAction: fixed(404)})
	}
	for _, test := range []struct {
		name     string
		protocol types.ListenerProtocol
		port     *int32
		want     int32
	}{
		{"http", "HTTP", nil, 80}, {"https", "HTTPS", nil, 443}, {"low", "HTTP", aws.Int32(1), 1}, {"high", "HTTPS", aws.Int32(65535), 65535},
	} {
		out := must[*vpclattice.CreateListenerOutput](w)(create(v.Id, test.name, test.protocol, test.port))
		got := must[*vpclattice.GetListenerOutput](w)(w.GetListener(ctx, &vpclattice.GetListenerInput{ServiceIdentifier: v.Id, ListenerIdentifier: out.Id}))
		if *out.Port != test.want || *got.Port != test.want || got.Protocol != test.protocol || *got.Name != test.name || *got.ServiceArn != *v.Arn || *got.ServiceId != *v.Id || got.CreatedAt == nil ||
			*got.Arn != *v.Arn+"/listener/"+*out.Id || *out.Arn != *got.Arn {
			t.Errorf("%s: created %+v, got %+v", test.name, out, got)
		}
	}
	for _, test := range []struct {
		name     string
		protocol types.ListenerProtocol
		port     *int32
		code     string
		text     string
	}{
		{"http", "HTTP", aws.Int32(8080), "ConflictException", "Listener with name http already exists"},
		{"new", "HTTP", nil, "ConflictException", "port 80"},
		{"new", "HTTP", aws.Int32(443), "ConflictException", "port 443"},
		{"new", "TLS_PASSTHROUGH", nil, "ValidationException", "not built"},
		{"new", "HTTP", aws.Int32(0), "ValidationException", ""},
		{"new", "HTTP", aws.Int32(65536), "ValidationException", ""},
		{"new", "GOPHER", nil, "ValidationException", ""},
		{"listener-new", "HTTP", aws.Int32(8080), "ValidationException", ""},
		{"ab", "HTTP", aws.Int32(8080), "ValidationException", ""},
		{strings.Repeat("a", 64), "HTTP", aws.Int32(8080), "ValidationException", ""},
	} {
		mustRefuse(w, test.code, func(context.Context) (any, error) { return create(v.Id, test.name, test.protocol, test.port) }, test.text)
	}
	// Names and ports are each service's own.
	l := must[*vpclattice.CreateListenerOutput](w)(create(other.Id, "http", "HTTP", nil))
	// A listener is found below its own service only.
	for _, call := range []func(context.Context) (any, error){
		func(ctx context.Context) (any, error) {
			return w.GetListener(ctx, &vpclattice.GetListenerInput{ServiceIdentifier: v.Id, ListenerIdentifier: l.Id})
		},
		func(ctx context.Context) (any, error) {
			return w.DeleteListener(ctx, &vpclattice.DeleteListenerInput{ServiceIdentifier: v.Id, ListenerIdentifier: l.Arn})
		},
		func(ctx context.Context) (any, error) {
			return w.CreateRule(ctx, &vpclattice.CreateRuleInput{ServiceIdentifier: v.Id, ListenerIdentifier: l.Arn, Name: aws.String("new"), Priority: aws.Int32(1), Match: prefix("/"), Action: fixed(404)})
		},
	} {
		mustRefuse(w, "ResourceNotFoundException", call)
	}
}

// TestNamePatterns of everything that has a name.
// Source: VPC Lattice API Reference, patterns and lengths.
func TestNamePatterns(t *testing.T) {
	w := newWorld(t)
	v := w.service("rates")
	l := w.listener(v.Id, "http", 80, fixed(404))
	n := 0
	for kind, test := range map[string]struct {
		create   func(name string) (any, error)
		reserved string
		longest  int
	}{
		"network": {func(name string) (any, error) {
			return w.CreateServiceNetwork(ctx, &vpclattice.CreateServiceNetworkInput{Name: &name})
		}, "", 63},
		"service": {func(name string) (any, error) {
			return w.CreateService(ctx, &vpclattice.CreateServiceInput{Name: &name})
		}, "svc-", 40},
		"target group": {func(name string) (any, error) {
			return w.CreateTargetGroup(ctx, &vpclattice.CreateTargetGroupInput{Name: &name, Type: "IP", Config: &types.TargetGroupConfig{Protocol: "HTTP", VpcIdentifier: &w.vpc}})
		}, "tg-", 128},
		"listener": {func(name string) (any, error) {
			n++
			return w.CreateListener(ctx, &vpclattice.CreateListenerInput{ServiceIdentifier: v.Id, Name: &name, Protocol: "HTTP", Port: aws.Int32(int32(1000 + n)), DefaultAction: fixed(404)})
		}, "listener-", 63},
		"rule": {func(name string) (any, error) {
			n++
			return w.CreateRule(ctx, &vpclattice.CreateRuleInput{ServiceIdentifier: v.Id, ListenerIdentifier: l.Id, Name: &name, Priority: aws.Int32(int32(n)), Match: prefix("/"), Action: fixed(404)})
		}, "rule-", 63},
	} {
		t.Run(kind, func(t *testing.T) {
			for _, name := range []string{"abc", "a-b", "1-2-3", strings.Repeat("z", test.longest)} {
				must[any](w)(test.create(name))
				mustRefuse(w, "ConflictException", func(context.Context) (any, error) { return test.create(name) }, fmt.Sprintf("with name %s already exists", name))
			}
			bad := []string{"ab", "", "-ab", "ab-", "a--b", "Abc", "a_b", "a b", "ä-b", strings.Repeat("y", test.longest+1)}
			if test.reserved != "" {
				bad = append(bad, test.reserved+"abc")
			}
			for _, name := range bad {
				mustRefuse(w, "ValidationException", func(context.Context) (any, error) { return test.create(name) })
			}
		})
	}
}
