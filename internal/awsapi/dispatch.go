package awsapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"reflect"
	"runtime/debug"
	"strings"

	"github.com/latchwork/latchwork/internal/fault"
	"github.com/latchwork/latchwork/internal/inbound"
	"github.com/latchwork/latchwork/internal/inbound/httpin"
)

// ServeHTTP handles one request.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	call := &Call{
		RequestID: newRequestID(),
		Received:  a.cfg.Clock(),
		Service:   unknownREST,
		Region:    a.cfg.Region,
		Partition: a.cfg.Partition,
	}
	if a.cfg.Snapshot != nil {
		call.Snapshot = a.cfg.Snapshot()
	}
	ctx := NewContext(r.Context(), call)
	ans, err := a.guarded(ctx, call, w, r)
	if err != nil {
		ans = call.faultAnswer(a.public(ctx, call, err))
	}
	if a.cfg.Observe != nil {
		// Before the answer goes out: who has an answer finds it in the audit log.
		a.cfg.Observe(ctx, &Result{
			Call:     call,
			Status:   ans.status,
			Code:     ans.code,
			Err:      err,
			Duration: a.cfg.Clock().Sub(call.Received),
		})
	}
	a.send(w, call, ans)
}

// public is what the caller may see of an error. Everything without an AWS code
// is an internal failure; its cause goes to the log, with the request id that
// the caller has.
func (a *API) public(ctx context.Context, call *Call, err error) *fault.Error {
	e, ok := errors.AsType[*fault.Error](err)
	if ok {
		if e.Cause != nil {
			level := slog.LevelDebug
			if e.Receiver || e.Status >= http.StatusInternalServerError {
				level = slog.LevelError
			}
			a.log(ctx, level, call, "call failed", err, e.Cause)
		}
		return e
	}
	a.log(ctx, slog.LevelError, call, "call failed without an AWS error", err, nil)
	return call.Service.fault(internal, "internal error; the server's log has the cause under request id %s", call.RequestID)
}

func (a *API) log(ctx context.Context, level slog.Level, call *Call, message string, err, cause error) {
	operation := ""
	if call.Operation != nil {
		operation = call.Operation.Name
	}
	args := []any{"request_id", call.RequestID, "service", call.Service.Name, "operation", operation, "error", err}
	if cause != nil {
		args = append(args, "cause", cause)
	}
	a.cfg.Log.Log(ctx, level, message, args...)
}

// guarded turns a panic into an error. The stack goes to the log, never to the
// caller.
func (a *API) guarded(ctx context.Context, call *Call, w http.ResponseWriter, r *http.Request) (ans answer, err error) {
	defer func() {
		if p := recover(); p != nil {
			if p == http.ErrAbortHandler {
				panic(p)
			}
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return a.handle(ctx, call, w, r)
}

// handle takes the request through all steps, in the order that the package
// comment gives.
func (a *API) handle(ctx context.Context, call *Call, w http.ResponseWriter, r *http.Request) (answer, error) {
	in, err := httpin.Request(r)
	if err != nil {
		return answer{}, call.Service.fault(unknownOperation, "%s", err)
	}
	call.Request = in
	if err := a.checkHeaders(call); err != nil {
		return answer{}, err
	}
	body, err := a.read(call, w, r)
	if err != nil {
		return answer{}, err
	}
	target, err := a.route(call, body)
	if err != nil {
		return answer{}, err
	}
	if err := a.authenticate(ctx, call, body); err != nil {
		return answer{}, err
	}
	if target.unbuilt {
		// Nothing can happen: the method is the generated one.
		_, err := target.op.call(ctx, reflect.New(target.op.in).Interface())
		return answer{}, err
	}
	input := reflect.New(target.op.in)
	if err := target.bind(input, in, body); err != nil {
		return answer{}, err
	}
	call.Input, call.plan = input.Interface(), target.in
	if err := target.service.validate(target.in, input.Elem()); err != nil {
		return answer{}, err
	}
	if err := a.authorize(ctx, call, target.access); err != nil {
		return answer{}, err
	}
	return a.call(ctx, call, target.bound, input)
}

// routed is an operation together with what was already read of the request in
// order to find it.
type routed struct {
	*bound
	labels []string
	form   *form
}

func (t *routed) bind(input reflect.Value, in *inbound.Request, body []byte) error {
	var e *fault.Error
	switch t.service.Protocol {
	case RESTJSON:
		e = t.bindREST(input, t.labels, in.RawQuery(), body)
	case JSON:
		e = t.bindRPC(input, in, body)
	default:
		e = t.bindForm(input, t.form)
	}
	if e != nil {
		return e
	}
	return nil
}

func (a *API) checkHeaders(call *Call) error {
	size := 0
	for i := range call.Request.Headers {
		// The four bytes are those of ": " and the line's end.
		size += len(call.Request.Headers[i].Name) + len(call.Request.Headers[i].Value) + 4
	}
	if size > a.cfg.MaxHeader {
		return fault.New("RequestHeaderSectionTooLarge", "the request's headers have %d bytes; at most %d are allowed",
			size, a.cfg.MaxHeader).WithStatus(http.StatusRequestHeaderFieldsTooLarge)
	}
	return nil
}

func (a *API) read(call *Call, w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, a.cfg.MaxBody))
	if err == nil {
		return body, nil
	}
	call.Service = a.guess(call.Request)
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, call.Service.fault(tooLarge, "the request body is larger than the %d bytes allowed", a.cfg.MaxBody)
	}
	return nil, call.Service.unparsable("", "the request body ended early")
}

// guess names the service that a request was probably meant for, where it does
// not come to routing.
func (a *API) guess(in *inbound.Request) *Service {
	if target, _, ok := rpcTarget(in); ok {
		return a.router.serviceOfTarget(target)
	}
	if isQuery(in) {
		return unknownQuery
	}
	return a.router.serviceOf(in.Path())
}

// isQuery tells the query protocols, which have no path, from REST and from
// AWS's JSON protocols, which have no path either and name a target.
func isQuery(in *inbound.Request) bool {
	if in.Path() != "/" || in.Method != http.MethodPost && in.Method != http.MethodGet {
		return false
	}
	if _, ok := in.Get("x-amz-target"); ok {
		return false
	}
	contentType, _ := in.Get("content-type")
	return !strings.Contains(strings.ToLower(contentType), "json")
}

func (a *API) route(call *Call, body []byte) (*routed, error) {
	in := call.Request
	if target, operation, ok := rpcTarget(in); ok {
		return a.routeRPC(call, target, operation)
	}
	if isQuery(in) {
		return a.routeQuery(call, body)
	}
	path := in.Path()
	call.Service = a.router.serviceOf(path)
	if err := inbound.CheckPath(path); err != nil {
		return nil, call.Service.Invalid("path", "%s", err)
	}
	b, labels := a.router.rest(in.Method, path)
	if b == nil {
		return nil, call.Service.fault(unknownOperation, "no operation is called by %s %s", shorten(in.Method), shorten(path))
	}
	call.Service, call.Operation = b.service, b.op
	return &routed{bound: b, labels: labels}, nil
}

// routeRPC finds the operation by the service's and its own name.
func (a *API) routeRPC(call *Call, target, operation string) (*routed, error) {
	call.Service = a.router.serviceOfTarget(target)
	b := a.router.targets[target][operation]
	if b == nil || call.Request.Method != http.MethodPost {
		return nil, call.Service.fault(unknownOperation, "no operation is called by %s %s.%s", shorten(call.Request.Method), shorten(target), shorten(operation))
	}
	call.Operation = b.op
	return &routed{bound: b}, nil
}

// routeQuery finds the operation by Version and Action. The credential scope
// cannot say the service: AssumeRoleWithWebIdentity is not signed.
func (a *API) routeQuery(call *Call, body []byte) (*routed, error) {
	call.Service = unknownQuery
	parts := []string{call.Request.RawQuery()}
	if call.Request.Method == http.MethodPost {
		parts = append(parts, string(body))
	}
	form, problem := parseForm(parts...)
	if problem != "" {
		return nil, call.Service.fault(invalid, "%s", problem)
	}
	action, version := form.text("Action"), form.text("Version")
	if action == "" {
		return nil, fault.New("MissingAction", "the request names no Action")
	}
	if service := a.router.versions[version]; service != nil {
		call.Service = service
	}
	if version == "" {
		version = "NO_VERSION_SPECIFIED" // AWS's own words
	}
	b := a.router.actions[version][action]
	if b == nil {
		return nil, call.Service.fault(unknownOperation, "Could not find operation %s for version %s", shorten(action), shorten(version))
	}
	call.Service, call.Operation = b.service, b.op
	return &routed{bound: b, form: form}, nil
}

func (a *API) authenticate(ctx context.Context, call *Call, body []byte) error {
	if call.Operation.Unsigned {
		return nil
	}
	caller, err := a.cfg.Authenticator.Authenticate(ctx, call.Request, body,
		Expectation{Service: call.Service.SigningName, Protocol: call.Service.Protocol})
	if err != nil {
		return err
	}
	if caller.Principal.IsAnonymous() || caller.Principal.Account == "" {
		// An Authenticator answers an unsigned request itself; this holds even if
		// it forgets.
		return call.Service.fault(missingToken, "Missing Authentication Token")
	}
	call.Caller = caller
	call.Account = caller.Principal.Account
	if caller.Region != "" {
		call.Region = caller.Region
	}
	if caller.Principal.Partition != "" {
		call.Partition = caller.Principal.Partition
	}
	return nil
}

func (a *API) authorize(ctx context.Context, call *Call, row *Access) error {
	switch {
	case row == nil:
		return fmt.Errorf("operation %s has no access row", call.Operation.Name)
	case row.Exempt != "":
		call.Action = row.Action
		return nil
	}
	if err := row.resolve(ctx, call); err != nil {
		return err
	}
	return a.cfg.Authorizer.Authorize(ctx, call)
}

// call carries the operation out, once for each idempotency token.
func (a *API) call(ctx context.Context, call *Call, b *bound, input reflect.Value) (answer, error) {
	run := func(ctx context.Context) ([]byte, error) {
		out, err := b.op.call(ctx, call.Input)
		if err != nil {
			return nil, err
		}
		output := reflect.ValueOf(out)
		switch {
		case b.service.Protocol == RESTJSON:
			return b.encodeREST(output)
		case b.service.Protocol == JSON:
			return b.encodeRPC(output, call.Request)
		case call.inJSON():
			return b.encodeQueryJSON(output, call.RequestID)
		default:
			return b.encodeXML(output, call.RequestID)
		}
	}
	token, err := b.token(call, input)
	if err != nil {
		return answer{}, err
	}
	call.Token = token
	var body []byte
	if token != nil && a.cfg.Idempotency != nil {
		body, err = a.cfg.Idempotency.Once(ctx, token, run)
		if errors.Is(err, ErrTokenReused) {
			err = b.service.fault(conflict, "the client token was used before for a %s with other parameters", b.op.Name)
		}
	} else {
		body, err = run(ctx)
	}
	if err != nil {
		return answer{}, err
	}
	contentType := typeXML
	switch {
	case b.service.Protocol == RESTJSON || call.inJSON():
		contentType = typeJSON
	case b.service.Protocol == JSON:
		contentType = rpcType(call.Request)
	}
	return answer{status: b.op.Status, contentType: contentType, body: body}, nil
}
