// Package fault holds the one error type a caller of Latchwork may see.
//
// A handler returns *Error where it knows what went wrong in AWS's terms; every
// other error becomes an opaque internal failure in the dispatcher, and its text
// stays in the operator's log.
package fault

import "fmt"

// Error is an error with an AWS code, fit to be shown to the caller.
//
// Only Code and Message are always set. The other members mirror the extra
// members that some services model on their error shapes; a codec writes those
// that the operation's model knows.
type Error struct {
	// Code is AWS's error code exactly as it goes over the wire, for example
	// "ValidationException" (VPC Lattice) or "NoSuchEntity" (IAM).
	Code string
	// Message is for the person who made the call: what was expected, what was
	// found, what to do next. It never holds a secret.
	Message string
	// Status is the HTTP status; 0 means the status that the service's model
	// gives the code, or 400 where the model has none.
	Status int

	// Reason and Fields belong to VPC Lattice's ValidationException.
	Reason string
	Fields []Field

	// ResourceID and ResourceType belong to VPC Lattice's ResourceNotFound,
	// Conflict and ServiceQuotaExceeded.
	ResourceID   string
	ResourceType string

	// ServiceCode and QuotaCode belong to quota and throttling errors.
	ServiceCode string
	QuotaCode   string

	// Members are further members of the error's shape by name, such as NamespaceId
	// of Cloud Map's NamespaceAlreadyExists.
	Members map[string]string

	// Receiver says that the fault is ours (awsQuery's <Type>Receiver</Type>).
	Receiver bool

	// Cause is what happened underneath, for the log only; never shown.
	Cause error
}

// Field names one request member that failed validation and says why.
type Field struct {
	Name    string
	Message string
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Unwrap gives the cause to errors.Is and errors.As; it is not part of the
// public text.
func (e *Error) Unwrap() error { return e.Cause }

// New makes an Error with a formatted message.
func New(code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// WithStatus sets the HTTP status and returns e.
func (e *Error) WithStatus(status int) *Error {
	e.Status = status
	return e
}

// Unavailable says that the server cannot do its work now, and why for the log:
// the store is lost, or has no room.
func Unavailable(cause error) *Error {
	return &Error{
		Code: "ServiceUnavailable", Status: 503, Receiver: true, Cause: cause,
		Message: "The request has failed due to a temporary failure of the server: its store is not available.",
	}
}
