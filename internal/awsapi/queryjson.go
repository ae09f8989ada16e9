package awsapi

import (
	"encoding/json/jsontext"
	"encoding/json/v2"
	"mime"
	"reflect"
	"strconv"

	"github.com/latchwork/latchwork/internal/fault"
	"github.com/latchwork/latchwork/internal/inbound"
	"github.com/latchwork/latchwork/internal/wire"
)

// inJSON tells whether a call of the query protocol is answered in JSON in place of
// XML: AWS's STS answers so whoever accepts it, and Envoy reads nothing else. Of
// IAM, which has percent-encoded documents in its answers, it is not known how they
// would look.
func (c *Call) inJSON() bool {
	if c.Service.Protocol != Query || c.Service.PercentEncoded != "" || c.Request == nil {
		return false
	}
	return accepts(c.Request) == typeJSON
}

func accepts(in *inbound.Request) string {
	accept, _ := in.Get("accept")
	media, _, err := mime.ParseMediaType(accept)
	if err != nil {
		return ""
	}
	return media
}

// queryJSON writes what the query protocol's JSON has in its own way: times are
// seconds since 1970, and a secret is what the caller asked for.
var queryJSON = json.WithMarshalers(json.JoinMarshalers(
	json.MarshalToFunc(func(e *jsontext.Encoder, t wire.Timestamp) error {
		return e.WriteValue(strconv.AppendInt(nil, t.Unix(), 10))
	}),
	json.MarshalToFunc(func(e *jsontext.Encoder, s wire.Secret) error {
		return e.WriteToken(jsontext.String(s.Reveal()))
	}),
))

type responseMetadata struct {
	RequestID string `json:"RequestId"`
}

// encodeQueryJSON writes an operation's answer: the same elements as in XML.
func (b *bound) encodeQueryJSON(output reflect.Value, requestID string) ([]byte, error) {
	b.out.complete(output.Elem(), b.op.Pages != nil)
	members := map[string]any{"ResponseMetadata": responseMetadata{requestID}}
	if b.op.Result != "" {
		members[b.op.Result] = output.Interface()
	}
	return json.Marshal(map[string]any{b.op.Name + "Response": members}, queryJSON, json.Deterministic(true))
}

// encodeQueryJSONFault writes an error.
func encodeQueryJSONFault(kind, code string, e *fault.Error, requestID string) ([]byte, error) {
	var out struct {
		Error struct {
			Code    string
			Message string
			Type    string
		}
		RequestID string `json:"RequestId"`
	}
	out.Error.Code, out.Error.Message, out.Error.Type = code, e.Message, kind
	out.RequestID = requestID
	return json.Marshal(&out, jsontext.AllowInvalidUTF8(true))
}
