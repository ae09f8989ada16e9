package translate

import (
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	originaldstv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/original_dst/v3"
	tlsinspectorv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/tls_inspector/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	wire "github.com/latchwork/latchwork/internal/wire/appmesh"
)

// listener is a port with the protocol that is spoken on it.
type listener struct {
	port     int64
	protocol string
	// of is the listener of a virtual node or virtual gateway; a virtual router's
	// has no more than the port.
	of *wire.Listener
}

// plain tells a port of any bytes from one of requests.
func (l listener) plain() bool { return l.protocol == wire.PortProtocolTcp }

// http2 tells whether both sides speak HTTP/2.
func (l listener) http2() bool {
	return l.protocol == wire.PortProtocolHttp2 || l.protocol == wire.PortProtocolGrpc
}

func listenersOf(spec []wire.Listener) []listener {
	out := make([]listener, 0, len(spec))
	for i := range spec {
		if p := spec[i].PortMapping; p != nil {
			out = append(out, listener{value(p.Port), value(p.Protocol), &spec[i]})
		}
	}
	return out
}

// inbound starts a listener; it has an address where Proxy says.
func (t *translation) inbound(name string, direction corev3.TrafficDirection, port int64, preference string) *listenerv3.Listener {
	address := &corev3.SocketAddress{Address: "0.0.0.0", PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: uint32(port)}}
	switch {
	case t.proxy.Explicit:
		address.Address = t.bind().String()
	case preference != "":
		address.Address, address.Ipv4Compat = "::", true
	}
	return &listenerv3.Listener{
		Name:             name,
		Address:          socket(address),
		TrafficDirection: direction,
		// Statistics have the name that App Mesh's had, wherever the listener is.
		StatPrefix: listenerStats(port),
	}
}

func socket(a *corev3.SocketAddress) *corev3.Address {
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: a}}
}

func tcpAddress(host string, port int64) *corev3.Address {
	return socket(&corev3.SocketAddress{Address: host, PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: uint32(port)}})
}

// originalDestination makes a listener know where a redirected connection was going.
func (t *translation) originalDestination() *listenerv3.ListenerFilter {
	return &listenerv3.ListenerFilter{
		Name:       "envoy.filters.listener.original_dst",
		ConfigType: &listenerv3.ListenerFilter_TypedConfig{TypedConfig: t.pack(&originaldstv3.OriginalDst{})},
	}
}

// tlsInspector makes a listener see whether a connection is TLS, and for which name.
func (t *translation) tlsInspector() *listenerv3.ListenerFilter {
	return &listenerv3.ListenerFilter{
		Name:       "envoy.filters.listener.tls_inspector",
		ConfigType: &listenerv3.ListenerFilter_TypedConfig{TypedConfig: t.pack(&tlsinspectorv3.TlsInspector{})},
	}
}

// toPort matches connections that were going to a port.
func toPort(port int64) *listenerv3.FilterChainMatch {
	return &listenerv3.FilterChainMatch{DestinationPort: wrapperspb.UInt32(uint32(port))}
}

// duration reads a duration; nil is none.
func duration(d *wire.Duration) *durationpb.Duration {
	if d == nil {
		return nil
	}
	unit := time.Second
	if value(d.Unit) == wire.DurationUnitMs {
		unit = time.Millisecond
	}
	// The bound is Envoy's for most durations, and far from what overflows.
	return durationpb.New(time.Duration(min(value(d.Value), int64(maxDuration/unit))) * unit)
}

const maxDuration = 10 * 365 * 24 * time.Hour

// httpTimeoutOf is what a listener says of requests, of whichever protocol.
func httpTimeoutOf(l listener) *wire.HttpTimeout {
	switch t := value(l.of.Timeout); {
	case t.Http != nil:
		return t.Http
	case t.Http2 != nil:
		return t.Http2
	default:
		return (*wire.HttpTimeout)(t.Grpc)
	}
}
