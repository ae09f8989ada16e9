package awsapi

import (
	"encoding/json/jsontext"
	"encoding/json/v2"
	"net/http"
	"slices"
	"strconv"

	"github.com/latchwork/latchwork/internal/fault"
)

// answer is a complete answer, before it is sent.
type answer struct {
	status      int
	code        string // of an error
	contentType string
	body        []byte
}

const (
	typeJSON = "application/json"
	typeXML  = "text/xml;charset=UTF-8"
)

// faultAnswer puts an error into the shape of the call's service.
func (c *Call) faultAnswer(e *fault.Error) answer {
	s := c.Service
	code, status := s.translate(c.Operation, e)
	if s.Protocol == JSON {
		return s.rpcFault(code, status, e, c.Request)
	}
	if s.Protocol == RESTJSON {
		return answer{status: status, code: code, contentType: typeJSON, body: s.encodeJSONFault(code, e)}
	}
	kind := "Sender"
	if e.Receiver || status >= 500 {
		kind = "Receiver"
	}
	out := answer{status: status, code: code, contentType: typeXML}
	// Text that XML or JSON cannot hold is replaced by the encoder, so neither fails
	// by anything that a caller sends.
	if c.inJSON() {
		out.contentType = typeJSON
		out.body, _ = encodeQueryJSONFault(kind, code, e, c.RequestID)
	} else {
		out.body, _ = s.encodeXMLFault(kind, code, e, c.RequestID)
	}
	return out
}

// encodeJSONFault writes the message and those extra members that the error's
// model has.
func (s *Service) encodeJSONFault(code string, e *fault.Error) []byte {
	type fieldEntry struct {
		Name    string `json:"name"`
		Message string `json:"message"`
	}
	var out struct {
		Message      string       `json:"message"`
		Reason       string       `json:"reason,omitzero"`
		FieldList    []fieldEntry `json:"fieldList,omitzero"`
		ResourceID   string       `json:"resourceId,omitzero"`
		ResourceType string       `json:"resourceType,omitzero"`
		ServiceCode  string       `json:"serviceCode,omitzero"`
		QuotaCode    string       `json:"quotaCode,omitzero"`
	}
	out.Message = e.Message
	members := s.Errors[code].Members
	has := func(name string) bool { return slices.Contains(members, name) }
	if has("reason") {
		out.Reason = e.Reason
		if out.Reason == "" {
			out.Reason = reasonOther
		}
	}
	if has("fieldList") {
		for _, f := range e.Fields {
			out.FieldList = append(out.FieldList, fieldEntry(f))
		}
	}
	if has("resourceId") {
		out.ResourceID = e.ResourceID
	}
	if has("resourceType") {
		out.ResourceType = e.ResourceType
	}
	if has("serviceCode") {
		out.ServiceCode = e.ServiceCode
	}
	if has("quotaCode") {
		out.QuotaCode = e.QuotaCode
	}
	// A message that repeats what a caller sent may hold invalid UTF-8.
	body, err := json.Marshal(&out, jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return []byte(`{"message":"internal error"}`)
	}
	return body
}

// send writes the answer with the headers that every answer has.
func (a *API) send(w http.ResponseWriter, call *Call, ans answer) {
	h := w.Header()
	h.Set("x-amzn-RequestId", call.RequestID)
	h.Set("Date", a.cfg.Clock().UTC().Format(http.TimeFormat))
	if ans.code != "" && (call.Service.Protocol == RESTJSON || call.Service.Protocol == JSON) {
		h.Set("x-amzn-ErrorType", ans.code)
	}
	if ans.contentType == typeCBOR {
		h.Set("smithy-protocol", protocolCBOR)
	}
	if ans.status == http.StatusNoContent {
		w.WriteHeader(ans.status)
		return
	}
	h.Set("Content-Type", ans.contentType)
	h.Set("Content-Length", strconv.Itoa(len(ans.body)))
	w.WriteHeader(ans.status)
	// A caller that went away cannot be told anything.
	_, _ = w.Write(ans.body)
}
