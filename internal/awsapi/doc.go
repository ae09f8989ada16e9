// Package awsapi makes AWS APIs out of generated tables and plain Go methods.
// It knows the protocols (REST-JSON, Query, EC2 Query, and JSON with its twin in
// CBOR) and the order in which a call is handled; it knows no AWS service.
//
// One request goes through these steps, always in this order:
//
//	request id → route → authenticate → bind → validate → access row →
//	authorize → idempotency token → call → encode → observe
//
// A step that fails ends the request with an error in the shape of the service
// and protocol that the request was routed to. What is not a *fault.Error (a
// panic, an error without an AWS code, an operation without an access row) is an
// opaque internal failure to the caller; its cause goes to the log.
package awsapi
