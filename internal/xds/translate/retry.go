package translate

import (
	"slices"
	"strings"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	previoushostsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/retry/host/previous_hosts/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	wire "github.com/latchwork/latchwork/internal/wire/appmesh"
)

// retryOn is what Envoy retries after, in the order in which it is written.
var retryOn = []string{
	wire.GrpcRetryPolicyEventCancelled, wire.GrpcRetryPolicyEventDeadlineExceeded, wire.GrpcRetryPolicyEventInternal,
	wire.GrpcRetryPolicyEventResourceExhausted, wire.GrpcRetryPolicyEventUnavailable,
	"reset", "connect-failure", "refused-stream", "retriable-status-codes",
}

// httpRetryEvents are the events of HTTP, with what Envoy calls them.
// Source: App Mesh API Reference, HttpRetryPolicy.
var httpRetryEvents = map[string]struct {
	on    []string
	codes []uint32
}{
	"server-error":  {[]string{"reset", "retriable-status-codes"}, []uint32{500, 501, 502, 503, 504, 505, 506, 507, 508, 510, 511}},
	"gateway-error": {[]string{"reset", "retriable-status-codes"}, []uint32{502, 503, 504}},
	"client-error":  {[]string{"retriable-status-codes"}, []uint32{409}},
	"stream-error":  {[]string{"refused-stream"}, nil},
}

// retries translates a retry policy; nil is App Mesh's default.
// Source: App Mesh User Guide, "Envoy defaults set by App Mesh": the default route
// retry policy, of accounts since July 2020.
func (t *translation) retries(p *wire.GrpcRetryPolicy) *routev3.RetryPolicy {
	if p == nil {
		if t.defaultRetry == nil {
			t.defaultRetry = t.retry([]string{"unavailable", "connect-failure", "refused-stream", "retriable-status-codes"}, []uint32{503}, 2)
		}
		return t.defaultRetry
	}
	var on []string
	var codes []uint32
	for _, e := range p.HttpRetryEvents {
		on, codes = append(on, httpRetryEvents[e].on...), append(codes, httpRetryEvents[e].codes...)
	}
	if slices.Contains(p.TcpRetryEvents, wire.TcpRetryPolicyEventConnectionError) {
		on = append(on, "connect-failure")
	}
	on = append(on, p.GrpcRetryEvents...)
	out := t.retry(on, codes, uint32(value(p.MaxRetries)))
	out.PerTryTimeout = duration(p.PerRetryTimeout)
	return out
}

func (t *translation) retry(on []string, codes []uint32, times uint32) *routev3.RetryPolicy {
	var conditions []string
	for _, c := range retryOn {
		if slices.Contains(on, c) {
			conditions = append(conditions, c)
		}
	}
	slices.Sort(codes)
	return &routev3.RetryPolicy{
		RetryOn:              strings.Join(conditions, ","),
		NumRetries:           wrapperspb.UInt32(times),
		RetriableStatusCodes: slices.Compact(codes),
		// Another host is tried where there is one.
		RetryHostPredicate: []*routev3.RetryPolicy_RetryHostPredicate{{
			Name:       "envoy.retry_host_predicates.previous_hosts",
			ConfigType: &routev3.RetryPolicy_RetryHostPredicate_TypedConfig{TypedConfig: t.pack(&previoushostsv3.PreviousHostsPredicate{})},
		}},
		HostSelectionRetryMaxAttempts: 5,
	}
}
