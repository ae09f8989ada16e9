// Package xds is the Envoy management service: Envoys open a stream of Envoy's
// aggregated discovery service (ADS), say which mesh endpoint they stand for, and
// are sent its configuration, now and whenever it changes.
//
// A stream is authenticated by its SigV4 signature and authorized for
// appmesh:StreamAggregatedResources on the ARN of the mesh endpoint that it names,
// once and for as long as it lives: every snapshot is asked again.
//
// What a mesh endpoint is sent is made once for all its proxies (package
// translate), encoded once, and shared by their streams as bytes. A stream keeps
// for each type of resource the number of the last change that it has sent, and
// not what the proxy holds, so that a push costs what has changed and not what
// there is. That is why this is not go-control-plane's server and cache, whose
// types it speaks: they compare every resource for every stream.
//
// Source: Envoy, "xDS REST and gRPC protocol"; App Mesh User Guide, "Envoy Proxy
// authorization".
package xds
