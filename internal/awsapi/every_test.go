package awsapi_test

import (
	"encoding/json"
	"encoding/xml"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/latchwork/latchwork/internal/awsapi"
)

// send calls an operation with values for its labels and nothing else.
func send(h *harness, b *awsapi.Binding, op *awsapi.Operation, label func(name string) string) *httptest.ResponseRecorder {
	service := b.Service.SigningName
	if op.Unsigned {
		service = ""
	}
	switch b.Service.Protocol {
	case awsapi.JSON:
		return h.do("POST", "/", service, "application/x-amz-json-1.1", "{}", "X-Amz-Target", b.Service.Target+"."+op.Name)
	case awsapi.Query, awsapi.EC2Query:
		return h.do("POST", "/", service, formType, "Action="+op.Name+"&Version="+b.Service.Version)
	}
	segments := strings.Split(op.URI, "/")
	for i, segment := range segments {
		if name, ok := strings.CutPrefix(segment, "{"); ok {
			segments[i] = url.PathEscape(label(strings.TrimSuffix(name, "}")))
			segments[i] = strings.ReplaceAll(segments[i], ":", "%3A")
		}
	}
	return h.do(op.Method, strings.Join(segments, "/"), service, "application/json", "")
}

// labelled finds the members of an input that travel in the path.
func labelled(input any) map[string]string {
	got := map[string]string{}
	v := reflect.ValueOf(input).Elem()
	for i := range v.NumField() {
		_, name, ok := strings.Cut(v.Type().Field(i).Tag.Get("aws"), "uri=")
		if ok && !v.Field(i).IsNil() {
			got[name] = v.Field(i).Elem().String()
		}
	}
	return got
}

func TestEveryOperationIsRoutedWithItsLabels(t *testing.T) {
	h := newHarness(t, allowAll, nil, everyBinding()...)
	// An ARN, with everything that SDKs escape and some that they do not.
	label := func(name string) string { return "arn:aws:x:r:1:" + name + "/a b+~(é)%2F" }
	total := 0
	for _, b := range everyBinding() {
		for _, op := range b.Operations {
			total++
			send(h, &b, &op, label)
			got := h.last(t).Call
			if got.Operation == nil || got.Operation.Name != op.Name || got.Service != b.Service {
				t.Errorf("%s %s was routed to %v", b.Service.Name, op.Name, got.Operation)
				continue
			}
			if got.Input == nil {
				t.Errorf("%s %s was not bound: %v", b.Service.Name, op.Name, h.last(t).Err)
				continue
			}
			labels := labelled(got.Input)
			if want := strings.Count(op.URI, "{"); len(labels) != want {
				t.Errorf("%s %s has %d labels bound, want %d", b.Service.Name, op.Name, len(labels), want)
			}
			for name, value := range labels {
				if value != label(name) {
					t.Errorf("%s %s: label %s = %q, want %q", b.Service.Name, op.Name, name, value, label(name))
				}
			}
		}
	}
	if total < 300 {
		t.Errorf("only %d operations were tried; the models have 305", total)
	}
}

// TestEveryEmptyRequestIsAnsweredInShape sends every operation without input:
// what requires members says so in the service's own code, everything else
// reaches its method.
func TestEveryEmptyRequestIsAnsweredInShape(t *testing.T) {
	h := newHarness(t, allowAll, nil, everyBinding()...)
	codes := map[string]string{
		"vpc-lattice": "ValidationException", "appmesh": "BadRequestException",
		"iam": "ValidationError", "sts": "ValidationError", "ec2": "MissingParameter",
		"servicediscovery": "InvalidInput",
	}
	for _, b := range everyBinding() {
		for _, op := range b.Operations {
			w := send(h, &b, &op, func(string) string { return "" })
			r := h.last(t)
			if strings.Contains(op.URI, "{") {
				if r.Status != 404 && r.Status != 400 {
					t.Errorf("%s %s with empty labels: %d %s", b.Service.Name, op.Name, r.Status, r.Code)
				}
				continue
			}
			want, status := "NotImplemented", 501
			if requires(r.Call.Input) {
				want, status = codes[b.Service.Name], 400
			}
			if r.Code != want || w.Code != status {
				t.Errorf("%s %s: %d %s, want %d %s: %s", b.Service.Name, op.Name, w.Code, r.Code, status, want, w.Body)
			}
			if got := codeOf(t, b.Service, w); got != want {
				t.Errorf("%s %s: the answer's code is %q, want %q", b.Service.Name, op.Name, got, want)
			}
			if header(w, "x-amzn-RequestId") == "" || header(w, "Date") != "Sat, 21 Nov 2026 10:00:00 GMT" {
				t.Errorf("%s %s: headers %v", b.Service.Name, op.Name, w.Result().Header)
			}
		}
	}
	if strings.Contains(h.logged(), "panic") {
		t.Errorf("something panicked:\n%s", h.logged())
	}
}

func requires(input any) bool {
	v := reflect.ValueOf(input).Elem()
	for i := range v.NumField() {
		if strings.Contains(v.Type().Field(i).Tag.Get("aws"), ",required") {
			return true
		}
	}
	return false
}

// codeOf reads an error's code the way that SDKs do.
func codeOf(t *testing.T, s *awsapi.Service, w *httptest.ResponseRecorder) string {
	t.Helper()
	if s.Protocol == awsapi.JSON {
		var body struct {
			Type    string `json:"__type"`
			Message string // in any case
		}
		if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || body.Message == "" {
			t.Errorf("error body %q: %v", w.Body, err)
		}
		return body.Type
	}
	if s.Protocol == awsapi.RESTJSON {
		var body struct {
			Message string `json:"message"`
		}
		if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || body.Message == "" {
			t.Errorf("error body %q: %v", w.Body, err)
		}
		return header(w, "x-amzn-errortype")
	}
	var body struct {
		Error     struct{ Code, Message string }
		RequestID string                         `xml:"RequestId"`
		EC2       struct{ Code, Message string } `xml:"Errors>Error"`
		EC2ID     string                         `xml:"RequestID"`
	}
	if err := xml.Unmarshal(w.Body.Bytes(), &body); err != nil {
		t.Errorf("error body %q: %v", w.Body, err)
	}
	if body.RequestID+body.EC2ID != header(w, "x-amzn-RequestId") {
		t.Errorf("the body's request id is %q%q, the header's %q", body.RequestID, body.EC2ID, header(w, "x-amzn-RequestId"))
	}
	return body.Error.Code + body.EC2.Code
}
