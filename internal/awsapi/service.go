package awsapi

import (
	"context"
	"reflect"
)

// Protocol says how a service's requests and answers look.
type Protocol uint8

// The protocols that the interface models name rest-json, query, ec2 and json.
const (
	RESTJSON Protocol = iota + 1
	Query
	EC2Query
	JSON
)

// Service describes one AWS service. The generated wire packages hold one each;
// it is never changed.
type Service struct {
	// Name tells services apart in logs and metrics: "vpc-lattice", "iam".
	Name string
	// SigningName is the service part of the credential scope.
	SigningName string
	// Version is the API version; query protocols send it with each request.
	Version  string
	Protocol Protocol
	// Target is the service's name in requests of the protocol JSON.
	Target string
	// Namespace is the XML namespace of answers (query protocols only).
	Namespace string
	// PercentEncoded names the string shape whose values are percent-encoded in
	// answers: IAM's policy documents.
	PercentEncoded string
	// Errors holds the modelled errors by the code that goes over the wire.
	Errors map[string]ErrorShape
	// Constraints holds what the model says of values, by shape name.
	Constraints map[string]*Constraint
}

// ErrorShape is what the model says of one error.
type ErrorShape struct {
	Status int
	// Members are the body's members beside the message.
	Members []string
	// Message is the name of the message's member where that is not "message".
	Message string
}

// Spec is the modelled part of an operation.
type Spec struct {
	Name   string
	Method string
	// URI is the path template of a REST operation, for example
	// "/services/{serviceIdentifier}"; "/" for the query protocols.
	URI string
	// Status of a successful answer.
	Status int
	// Result is the element that wraps the output in a Query answer; empty where
	// the operation has no output.
	Result string
	// Errors are the codes that the model lists for the operation.
	Errors []string
	// Unsigned operations authenticate by what is in the request itself
	// (AssumeRoleWithWebIdentity); a stray signature is not looked at.
	Unsigned bool
	// Pages is nil for an operation that does not page.
	Pages *Pages
}

// Pages names the wire members that paging goes through.
type Pages struct {
	InputToken  string
	OutputToken string
	Limit       string
	More        string
}

// Operation is one operation and the method that carries it out.
type Operation struct {
	Spec
	in, out reflect.Type
	call    func(context.Context, any) (any, error)
}

// Op joins an operation's Spec and its method.
func Op[In, Out any](spec Spec, call func(context.Context, *In) (*Out, error)) Operation {
	return Operation{
		Spec: spec,
		in:   reflect.TypeFor[In](),
		out:  reflect.TypeFor[Out](),
		call: func(ctx context.Context, in any) (any, error) {
			out, err := call(ctx, in.(*In))
			if err != nil {
				return nil, err
			}
			if out == nil {
				// A method that has nothing to say may return nil; the codecs
				// see an output without members, never a typed nil.
				out = new(Out)
			}
			return out, nil
		},
	}
}

// Binding is one service with the handler that implements it.
type Binding struct {
	Service    *Service
	Operations []Operation
	// Handler is what the operations' methods belong to.
	Handler any
	// Access has one row for every operation that Handler implements.
	Access AccessTable
}
