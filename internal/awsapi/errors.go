package awsapi

import (
	"net/http"
	"slices"

	"github.com/latchwork/latchwork/internal/fault"
)

// condition is something that can go wrong at any service and that every
// protocol has a name of its own for. Each list may hold several names: the first
// that the service models is taken, and the last if it models none.
type condition struct {
	rest, query, ec2                   []string
	restStatus, queryStatus, ec2Status int
}

// The common conditions. Names and statuses: "Common Errors" in the API
// Reference of each service; EC2 API Reference, "Error codes". A code that a
// handler or an Authenticator returns is recognised in any of the spellings.
var (
	missingToken = &condition{
		[]string{"MissingAuthenticationTokenException"},
		[]string{"MissingAuthenticationToken"},
		[]string{"MissingAuthenticationToken"},
		403, 403, 403,
	}
	incompleteSignature = &condition{
		[]string{"IncompleteSignatureException"},
		[]string{"IncompleteSignature"},
		[]string{"IncompleteSignature"},
		400, 400, 400,
	}
	unknownKey = &condition{
		[]string{"UnrecognizedClientException"},
		[]string{"InvalidClientTokenId"},
		[]string{"AuthFailure"},
		403, 403, 401,
	}
	badSignature = &condition{
		[]string{"InvalidSignatureException"},
		[]string{"SignatureDoesNotMatch"},
		[]string{"SignatureDoesNotMatch"},
		403, 403, 403,
	}
	expiredToken = &condition{
		[]string{"ExpiredTokenException"},
		[]string{"ExpiredToken"},
		[]string{"RequestExpired"},
		403, 403, 400,
	}
	accessDenied = &condition{
		[]string{"AccessDeniedException"},
		[]string{"AccessDenied"},
		[]string{"UnauthorizedOperation"},
		403, 403, 403,
	}
	throttled = &condition{
		[]string{"ThrottlingException", "TooManyRequestsException", "ThrottlingException"},
		[]string{"Throttling"},
		[]string{"RequestLimitExceeded"},
		429, 400, 503,
	}
	invalid = &condition{
		[]string{"ValidationException", "BadRequestException", "ValidationException"},
		[]string{"ValidationError"},
		[]string{"InvalidParameterValue"},
		400, 400, 400,
	}
	conflict = &condition{
		[]string{"ConflictException"},
		[]string{"EntityAlreadyExists"},
		[]string{"IdempotentParameterMismatch"},
		409, 409, 400,
	}
	unknownOperation = &condition{
		[]string{"UnknownOperationException"},
		[]string{"InvalidAction"},
		[]string{"InvalidAction"},
		404, 400, 400,
	}
	tooLarge = &condition{
		[]string{"RequestEntityTooLargeException"},
		[]string{"RequestEntityTooLarge"},
		[]string{"RequestEntityTooLarge"},
		413, 413, 413,
	}
	unavailable = &condition{
		[]string{"ServiceUnavailableException"},
		[]string{"ServiceUnavailable"},
		[]string{"Unavailable"},
		503, 503, 503,
	}
	internal = &condition{
		[]string{"InternalServerException", "InternalServerErrorException", "InternalServerException"},
		[]string{"ServiceFailure", "InternalFailure"},
		[]string{"InternalError"},
		500, 500, 500,
	}
)

var conditions = []*condition{
	missingToken, incompleteSignature, unknownKey, badSignature, expiredToken, accessDenied,
	throttled, invalid, conflict, unknownOperation, tooLarge, unavailable, internal,
}

func (c *condition) names(p Protocol) ([]string, int) {
	switch p {
	case Query:
		return c.query, c.queryStatus
	case EC2Query:
		return c.ec2, c.ec2Status
	case JSON:
		if c == invalid {
			return []string{"InvalidInput", "ValidationException"}, c.restStatus
		}
		fallthrough
	default:
		return c.rest, c.restStatus
	}
}

// code is the condition's name at a service, and its status.
func (s *Service) code(c *condition) (string, int) {
	names, status := c.names(s.Protocol)
	for _, name := range names {
		if shape, ok := s.Errors[name]; ok {
			return name, shape.Status
		}
	}
	return names[len(names)-1], status
}

func conditionOf(code string) *condition {
	for _, c := range conditions {
		if slices.Contains(c.rest, code) || slices.Contains(c.query, code) || slices.Contains(c.ec2, code) {
			return c
		}
	}
	return nil
}

// translate gives the code and status that an error has at a service. A code
// that the operation models is its own; one of the common conditions gets the
// spelling of the protocol.
func (s *Service) translate(op *Operation, e *fault.Error) (code string, status int) {
	code = e.Code
	shape, modelled := s.Errors[code]
	if modelled {
		status = shape.Status
	}
	if op == nil || !slices.Contains(op.Errors, code) {
		if c := conditionOf(code); c != nil && !s.keeps(code) {
			code, status = s.code(c)
		}
	}
	if e.Status != 0 {
		status = e.Status
	}
	if status == 0 {
		status = http.StatusBadRequest
	}
	return code, status
}

// keeps tells whether a code is one of the protocol's own though it is another
// protocol's name for a common condition: STS has InvalidParameterValue beside
// ValidationError.
// Source: STS API Reference, "Common Errors".
func (s *Service) keeps(code string) bool {
	return s.Protocol == Query && code == "InvalidParameterValue"
}

// Knows tells whether an operation may return a code: because its model lists
// it, because it is one of the common conditions, or because it says that the
// operation is not built. Completeness tests ask it.
func (s *Service) Knows(op *Operation, code string) bool {
	return slices.Contains(op.Errors, code) || conditionOf(code) != nil || code == "NotImplemented"
}

func (s *Service) fault(c *condition, format string, args ...any) *fault.Error {
	code, status := s.code(c)
	return fault.New(code, format, args...).WithStatus(status)
}

// Invalid is the service's own error for a request member that is not right:
// VPC Lattice's ValidationException with a field, IAM's ValidationError, App
// Mesh's BadRequestException.
func (s *Service) Invalid(member, format string, args ...any) *fault.Error {
	e := s.fault(invalid, format, args...)
	if slices.Contains(s.Errors[e.Code].Members, "fieldList") {
		e.Reason = reasonField
		e.Fields = []fault.Field{{Name: member, Message: e.Message}}
	}
	return e
}

// Values of ValidationExceptionReason; VPC Lattice API Reference,
// ValidationException.
const (
	reasonParse = "cannotParse"
	reasonField = "fieldValidationFailed"
	reasonOther = "other"
)

// unparsable is the service's error for a body or a value that cannot be read.
func (s *Service) unparsable(member, format string, args ...any) *fault.Error {
	e := s.Invalid(member, format, args...)
	if e.Reason != "" {
		e.Reason = reasonParse
		if member == "" {
			e.Fields = nil
		}
	}
	return e
}
