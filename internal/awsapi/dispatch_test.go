package awsapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchwork/latchwork/internal/awsapi"
	"github.com/latchwork/latchwork/internal/fault"
	"github.com/latchwork/latchwork/internal/wire/ec2"
	"github.com/latchwork/latchwork/internal/wire/iam"
	"github.com/latchwork/latchwork/internal/wire/sts"
	"github.com/latchwork/latchwork/internal/wire/vpclattice"
)

// partial builds three operations of VPC Lattice.
type partial struct {
	vpclattice.Unimplemented
	called int
	fail   func() error
}

func (p *partial) GetService(ctx context.Context, _ *vpclattice.GetServiceRequest) (*vpclattice.GetServiceResponse, error) {
	p.called++
	if p.fail != nil {
		return nil, p.fail()
	}
	return &vpclattice.GetServiceResponse{Name: new(awsapi.FromContext(ctx).Account)}, nil
}

func (p *partial) GetListener(context.Context, *vpclattice.GetListenerRequest) (*vpclattice.GetListenerResponse, error) {
	p.called++
	return nil, nil
}

func (p *partial) CreateService(context.Context, *vpclattice.CreateServiceRequest) (*vpclattice.CreateServiceResponse, error) {
	p.called++
	return &vpclattice.CreateServiceResponse{Name: new(strings.Repeat("x", p.called))}, nil
}

func (p *partial) binding() awsapi.Binding {
	return vpclattice.Bind(p, awsapi.AccessTable{
		"GetService": {
			Action: "vpc-lattice:GetService",
			Resources: awsapi.Target(func(c *awsapi.Call, in *vpclattice.GetServiceRequest) string {
				return "arn:" + c.Partition + ":vpc-lattice:" + c.Region + ":" + c.Account + ":service/" + *in.ServiceIdentifier
			}),
			Keys: awsapi.ConditionKeys(func(*awsapi.Call, *vpclattice.GetServiceRequest) []awsapi.Key {
				return []awsapi.Key{{Name: "vpc-lattice:X", Values: []string{"y"}}}
			}),
		},
		"CreateService": {Action: "vpc-lattice:CreateService", Resources: awsapi.Everything},
	})
}

const getService = "/services/svc-0123456789abcdef0"

func TestAuthorizationSeesTheAccessRow(t *testing.T) {
	p := &partial{}
	var seen *awsapi.Call
	h := newHarness(t, func(c *awsapi.Call) error { seen = c; return nil }, func(cfg *awsapi.Config) {
		cfg.Snapshot = func() any { return "snapshot" }
	}, p.binding())
	w := h.do("GET", getService, "vpc-lattice", "", "")
	if w.Code != 200 || w.Body.String() != `{"name":"123456789012"}` {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if seen.Action != "vpc-lattice:GetService" || seen.Region != "us-west-2" || seen.Account != account || seen.Snapshot != "snapshot" {
		t.Errorf("call %+v", seen)
	}
	want := []awsapi.Resource{{ARN: "arn:aws:vpc-lattice:us-west-2:123456789012:service/svc-0123456789abcdef0"}}
	if diff := cmp.Diff(want, seen.Resources); diff != "" {
		t.Errorf("resources (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]awsapi.Key{{Name: "vpc-lattice:X", Values: []string{"y"}}}, seen.Keys); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
}

// TestRefusalsNeverReachTheHandler covers every step that can end a request.
func TestRefusalsNeverReachTheHandler(t *testing.T) {
	deny := func(*awsapi.Call) error {
		return fault.New("AccessDenied", "User: u is not authorized to perform: vpc-lattice:GetService")
	}
	for _, test := range []struct {
		name                          string
		authorize                     authorizeFunc
		method, target, service, body string
		status                        int
		code, message                 string
	}{
		{"unsigned", allowAll, "GET", getService, "", "", 403, "MissingAuthenticationTokenException", "Missing Authentication Token"},
		{"scope of another service", allowAll, "GET", getService, "iam", "", 403, "InvalidSignatureException", "'vpc-lattice'"},
		{"denied", deny, "GET", getService, "vpc-lattice", "", 403, "AccessDeniedException", "not authorized"},
		{"authorizer in trouble", func(*awsapi.Call) error { return errPlain }, "GET", getService, "vpc-lattice", "", 500, "InternalServerException", "request id"},
		{"authorizer panics", func(*awsapi.Call) error { panic("oops") }, "GET", getService, "vpc-lattice", "", 500, "InternalServerException", "request id"},
		{"no access row", allowAll, "GET", getService + "/listeners/listener-0123456789abcdef0", "vpc-lattice", "", 500, "InternalServerException", "request id"},
		{"not built", allowAll, "GET", "/servicenetworks", "vpc-lattice", "", 501, "NotImplemented", "VPC Lattice ListServiceNetworks is not built yet"},
		{"not built, unsigned", allowAll, "GET", "/servicenetworks", "", "", 403, "MissingAuthenticationTokenException", ""},
		{"unknown path", allowAll, "GET", "/nothing/here", "vpc-lattice", "", 404, "UnknownOperationException", "GET /nothing/here"},
		{"unknown method", allowAll, "PATCH", "/services", "vpc-lattice", "", 404, "UnknownOperationException", "PATCH /services"},
		{"JSON target", allowAll, "POST", "/", "vpc-lattice", `{}`, 404, "UnknownOperationException", ""},
		{"two slashes", allowAll, "GET", "//services", "vpc-lattice", "", 400, "ValidationException", "two slashes"},
		{"dot segment", allowAll, "GET", "/services/../services", "vpc-lattice", "", 400, "ValidationException", `".."`},
		{"escaped dot segment", allowAll, "GET", "/services/%2E%2e", "vpc-lattice", "", 400, "ValidationException", `"%2E%2e"`},
		{"bad escape", allowAll, "GET", "/services/%zz", "vpc-lattice", "", 400, "ValidationException", "bad percent escape"},
		{"cut escape", allowAll, "GET", "/services/%2", "vpc-lattice", "", 400, "ValidationException", "bad percent escape"},
		{"zero byte", allowAll, "GET", "/services/%00", "vpc-lattice", "", 400, "ValidationException", "%00"},
		{"backslash", allowAll, "GET", `/services/a\b`, "vpc-lattice", "", 400, "ValidationException", "backslash"},
		{"escaped backslash", allowAll, "GET", "/services/a%5Cb", "vpc-lattice", "", 400, "ValidationException", "%5C"},
		{"asterisk", allowAll, "OPTIONS", "*", "vpc-lattice", "", 404, "UnknownOperationException", ""},
		{"bad identifier", allowAll, "GET", "/services/name", "vpc-lattice", "", 400, "ValidationException", "Value 'name' at 'serviceIdentifier'"},
		{"bad UTF-8", allowAll, "GET", "/services/%ff%fe", "vpc-lattice", "", 400, "ValidationException", "UTF-8"},
		{"body cut short", allowAll, "POST", "/services", "vpc-lattice", `{"name":"a`, 400, "ValidationException", "not valid JSON"},
		{"body is no JSON", allowAll, "POST", "/services", "vpc-lattice", "name=a", 400, "ValidationException", "not valid JSON"},
		{"body is a list", allowAll, "POST", "/services", "vpc-lattice", "[]", 400, "ValidationException", "must be a JSON object"},
		{"wrong type", allowAll, "POST", "/services", "vpc-lattice", `{"name":7}`, 400, "ValidationException", "'name' must be a string"},
		{"wrong type inside", allowAll, "POST", "/services", "vpc-lattice", `{"name":"abc","tags":{"a":[]}}`, 400, "ValidationException", "'tags.a' must be a string"},
		{"repeated member", allowAll, "POST", "/services", "vpc-lattice", `{"name":"abc","name":"abd"}`, 400, "ValidationException", "duplicate"},
		{"other case", allowAll, "POST", "/services", "vpc-lattice", `{"Name":"abc"}`, 400, "ValidationException", "'name' failed to satisfy constraint: Member must not be null"},
		{"null", allowAll, "POST", "/services", "vpc-lattice", `{"name":null}`, 400, "ValidationException", "Member must not be null"},
		{"large body", allowAll, "POST", "/services", "vpc-lattice", strings.Repeat(" ", awsapi.DefaultMaxBody+1), 413, "RequestEntityTooLargeException", "1048576"},
		{"bad query number", allowAll, "GET", "/services?maxResults=ten", "vpc-lattice", "", 501, "NotImplemented", ""},
		{"bad query", allowAll, "GET", getService + "?a=%zz", "vpc-lattice", "", 400, "ValidationException", "query string"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := &partial{}
			h := newHarness(t, test.authorize, nil, p.binding())
			w := h.do(test.method, test.target, test.service, "application/json", test.body)
			if p.called != 0 {
				t.Error("the handler was called")
			}
			var body struct {
				Message string `json:"message"`
			}
			if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
				t.Fatalf("%q: %v", w.Body, err)
			}
			if w.Code != test.status || header(w, "x-amzn-errortype") != test.code || !strings.Contains(body.Message, test.message) {
				t.Errorf("%d %s %q, want %d %s %q", w.Code, header(w, "x-amzn-errortype"), body.Message, test.status, test.code, test.message)
			}
			if header(w, "Content-Type") != "application/json" {
				t.Errorf("content type %q", header(w, "Content-Type"))
			}
			r := h.last(t)
			if r.Status != w.Code || r.Code != test.code || r.Err == nil {
				t.Errorf("observed %+v", r)
			}
			if test.status == 500 && !strings.Contains(h.logged(), r.Call.RequestID) {
				t.Errorf("the log has no cause: %q", h.logged())
			}
			if strings.Contains(w.Body.String(), "secret") {
				t.Errorf("the cause was shown: %s", w.Body)
			}
		})
	}
}

func TestHandlerErrors(t *testing.T) {
	for _, test := range []struct {
		name   string
		fail   func() error
		status int
		body   string
	}{
		{
			"modelled members",
			func() error {
				return &fault.Error{Code: "ResourceNotFoundException", Message: "m", ResourceID: "svc-1", ResourceType: "SERVICE", QuotaCode: "no"}
			},
			404, `{"message":"m","resourceId":"svc-1","resourceType":"SERVICE"}`,
		},
		{
			"quota", func() error {
				return &fault.Error{Code: "ServiceQuotaExceededException", Message: "m", ServiceCode: "vpc-lattice", QuotaCode: "L-1", ResourceType: "SERVICE"}
			},
			402, `{"message":"m","resourceType":"SERVICE","serviceCode":"vpc-lattice","quotaCode":"L-1"}`,
		},
		{"validation without reason", func() error { return fault.New("ValidationException", "m") }, 400, `{"message":"m","reason":"other"}`},
		{"alias", func() error { return fault.New("Throttling", "m") }, 429, `{"message":"m"}`},
		{"wrapped", func() error { return errors.Join(errors.New("x"), fault.New("ConflictException", "m")) }, 409, `{"message":"m"}`},
		{"bad text", func() error { return fault.New("ConflictException", "\xff") }, 409, `{"message":"` + "\ufffd" + `"}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := &partial{fail: test.fail}
			w := newHarness(t, allowAll, nil, p.binding()).do("GET", getService, "vpc-lattice", "", "")
			if w.Code != test.status || w.Body.String() != test.body {
				t.Errorf("%d %s, want %d %s", w.Code, w.Body, test.status, test.body)
			}
		})
	}
}

func TestHandlerTroubleIsOpaque(t *testing.T) {
	for name, fail := range map[string]func() error{
		"plain error": func() error { return errPlain },
		"panic":       func() error { panic("disk on fire at /secret/place") },
	} {
		t.Run(name, func(t *testing.T) {
			p := &partial{fail: fail}
			h := newHarness(t, allowAll, nil, p.binding())
			w := h.do("GET", getService, "vpc-lattice", "", "")
			if w.Code != 500 || header(w, "x-amzn-errortype") != "InternalServerException" || strings.Contains(w.Body.String(), "fire") {
				t.Errorf("%d %s", w.Code, w.Body)
			}
			if !strings.Contains(h.logged(), "disk on fire") || !strings.Contains(h.logged(), header(w, "x-amzn-RequestId")) {
				t.Errorf("log: %s", h.logged())
			}
		})
	}
}

func TestLargeHeadersAreRefused(t *testing.T) {
	p := &partial{}
	h := newHarness(t, allowAll, func(cfg *awsapi.Config) { cfg.MaxHeader = 64 }, p.binding())
	w := h.do("GET", getService, "vpc-lattice", "", "")
	if w.Code != 431 || header(w, "x-amzn-errortype") != "RequestHeaderSectionTooLarge" || p.called != 0 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// TestQueryErrors looks at the errors that have no service yet, and at EC2's form.
func TestQueryErrors(t *testing.T) {
	iamBinding := exempt(iam.Bind(everyIAM{iam.Unimplemented{}}, nil))
	ec2Binding := exempt(ec2.Bind(everyEC2{ec2.Unimplemented{}}, nil))
	for _, test := range []struct {
		name, method, target, service, body string
		status                              int
		want                                string
	}{
		{"no action", "GET", "/", "", "", 400, "<Code>MissingAction</Code>"},
		{"unknown action", "POST", "/", "iam", "Action=Fly&Version=2010-05-08", 400, `xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><Error><Type>Sender</Type><Code>InvalidAction</Code><Message>Could not find operation Fly for version 2010-05-08`},
		{"unknown version", "POST", "/", "iam", "Action=GetUser&Version=1999-01-01", 400, `xmlns="http://webservices.amazon.com/AWSFault/2005-15-09"><Error><Type>Sender</Type><Code>InvalidAction</Code><Message>Could not find operation GetUser for version 1999-01-01`},
		{"no version", "POST", "/", "iam", "Action=GetUser", 400, "Could not find operation GetUser for version NO_VERSION_SPECIFIED"},
		{"repeated parameter", "POST", "/", "iam", "Action=GetUser&Version=2010-05-08&UserName=a&UserName=b", 400, "UserName occurs more than once"},
		{"in query and body", "POST", "/?Action=GetUser", "iam", "Action=GetUser&Version=2010-05-08", 400, "Action occurs more than once"},
		{"bad encoding", "POST", "/", "iam", "Action=%zz", 400, "cannot be read"},
		{"semicolon", "POST", "/", "iam", "Action=a;b", 400, "cannot be read"},
		{"deep name", "POST", "/", "iam", "Action=GetUser&Version=2010-05-08&" + strings.Repeat("a.", 100) + "b=1", 400, "nested too deeply"},
		{"signed for another service", "POST", "/", "sts", "Action=GetUser&Version=2010-05-08", 403, "<Code>SignatureDoesNotMatch</Code>"},
		{"unsigned", "POST", "/", "", "Action=GetUser&Version=2010-05-08", 403, "<Code>MissingAuthenticationToken</Code>"},
		{"bad number", "POST", "/", "iam", "Action=ListUsers&Version=2010-05-08&MaxItems=1e3", 400, "1 validation error detected: Value at &#39;maxItems&#39; failed to satisfy constraint: Member must be an integer"},
		{"number out of range", "POST", "/", "iam", "Action=ListUsers&Version=2010-05-08&MaxItems=0", 400, "Value &#39;0&#39; at &#39;maxItems&#39; failed to satisfy constraint: Member must have value greater than or equal to 1"},
		{"bad list index", "POST", "/", "iam", "Action=TagUser&Version=2010-05-08&UserName=u&Tags.member.0.Key=a", 400, "numbered from 1"},
		{"path of a list member", "POST", "/", "iam", "Action=TagUser&Version=2010-05-08&UserName=u&Tags.member.1.Value=a", 400, "Value null at &#39;tags.1.member.key&#39; failed to satisfy constraint: Member must not be null"},
		{"GET", "GET", "/?Action=GetUser&Version=2010-05-08&UserName=a", "iam", "", 501, "<Code>NotImplemented</Code>"},
		{"EC2 unsigned", "POST", "/", "", "Action=DeleteVpc&Version=2016-11-15", 403, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error><Code>MissingAuthenticationToken</Code>"},
		{"EC2 missing", "POST", "/", "ec2", "Action=DeleteVpc&Version=2016-11-15", 400, "<Code>MissingParameter</Code><Message>The request must contain the parameter VpcId</Message>"},
		{"EC2 value", "POST", "/", "ec2", "Action=DescribeVpcs&Version=2016-11-15&MaxResults=1", 400, "<Code>InvalidParameterValue</Code>"},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := newHarness(t, allowAll, nil, iamBinding, ec2Binding)
			w := h.do(test.method, test.target, test.service, formType, test.body)
			if w.Code != test.status || !strings.Contains(w.Body.String(), test.want) {
				t.Errorf("%d %s\nwant %d %s", w.Code, w.Body, test.status, test.want)
			}
			if !strings.HasPrefix(header(w, "Content-Type"), "text/xml") {
				t.Errorf("content type %q", header(w, "Content-Type"))
			}
		})
	}
}

// InvalidParameterValue is a code of the query protocols beside ValidationError,
// and EC2's name for it.
func TestInvalidParameterValue(t *testing.T) {
	for _, test := range []struct {
		service *awsapi.Service
		want    string
	}{
		{sts.API, "InvalidParameterValue"},
		{ec2.API, "InvalidParameterValue"},
		{vpclattice.API, "ValidationException"},
	} {
		t.Run(test.service.Name, func(t *testing.T) {
			b := awsapi.Binding{
				Service: test.service,
				Operations: []awsapi.Operation{awsapi.Op(awsapi.Spec{Name: "Try", Method: "GET", URI: "/try", Status: 200},
					func(context.Context, *struct{}) (*struct{}, error) {
						return nil, fault.New("InvalidParameterValue", "m")
					})},
				Handler: struct{}{},
				Access:  awsapi.AccessTable{"Try": {Exempt: "test"}},
			}
			h := newHarness(t, allowAll, nil, b)
			target := "/try"
			if test.service.Protocol != awsapi.RESTJSON {
				target = "/?Action=Try&Version=" + test.service.Version
			}
			h.do("GET", target, test.service.SigningName, "", "")
			if got := h.last(t).Code; got != test.want {
				t.Errorf("code %s, want %s", got, test.want)
			}
		})
	}
}

func TestSensitiveValuesAreNotRepeated(t *testing.T) {
	h := newHarness(t, allowAll, nil, exempt(iam.Bind(everyIAM{iam.Unimplemented{}}, nil)))
	w := h.do("POST", "/", "iam", formType, "Action=CreateLoginProfile&Version=2010-05-08&UserName=u&Password="+strings.Repeat("hunter2", 30))
	if w.Code != 400 || strings.Contains(w.Body.String(), "hunter2") || !strings.Contains(w.Body.String(), "Value at &#39;password&#39;") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestNewRefusesBadTables(t *testing.T) {
	for name, binding := range map[string]awsapi.Binding{
		"row without action":    vpclattice.Bind(&partial{}, awsapi.AccessTable{"GetService": {Resources: awsapi.Everything}}),
		"row without resources": vpclattice.Bind(&partial{}, awsapi.AccessTable{"GetService": {Action: "a:b"}}),
		"row of no operation":   vpclattice.Bind(&partial{}, awsapi.AccessTable{"Fly": {Action: "a:b", Resources: awsapi.Everything}}),
	} {
		if _, err := awsapi.New(awsapi.Config{Bindings: []awsapi.Binding{binding}, Authenticator: scopeReader{}, Authorizer: authorizeFunc(allowAll)}); err == nil {
			t.Errorf("%s: New accepted it", name)
		}
	}
	p := &partial{}
	both := []awsapi.Binding{p.binding(), p.binding()}
	if _, err := awsapi.New(awsapi.Config{Bindings: both, Authenticator: scopeReader{}, Authorizer: authorizeFunc(allowAll)}); err == nil {
		t.Error("New accepted two bindings with the same routes")
	}
	if _, err := awsapi.New(awsapi.Config{}); err == nil {
		t.Error("New accepted a configuration without Authenticator")
	}
}

func TestGaps(t *testing.T) {
	b := (&partial{}).binding()
	b.Access["GetRule"] = awsapi.Access{Action: "a:b", Resources: awsapi.Everything}
	want := []string{"GetListener is built and has no access row", "GetRule has an access row and is not built"}
	if diff := cmp.Diff(want, b.Gaps()); diff != "" {
		t.Errorf("gaps (-want +got):\n%s", diff)
	}
}

// TestRowsThatFindNothingRefuse holds an access row that goes wrong to "no".
func TestRowsThatFindNothingRefuse(t *testing.T) {
	for name, resources := range map[string]func(context.Context, *awsapi.Call) ([]awsapi.Resource, error){
		"no resource": func(context.Context, *awsapi.Call) ([]awsapi.Resource, error) { return nil, nil },
		"empty ARN":   func(context.Context, *awsapi.Call) ([]awsapi.Resource, error) { return []awsapi.Resource{{}}, nil },
		"other input": awsapi.Target(func(*awsapi.Call, *vpclattice.GetRuleRequest) string { return "*" }),
	} {
		p := &partial{}
		b := p.binding()
		b.Access["GetService"] = awsapi.Access{Action: "vpc-lattice:GetService", Resources: resources}
		w := newHarness(t, allowAll, nil, b).do("GET", getService, "vpc-lattice", "", "")
		if w.Code != 500 || p.called != 0 {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
}
