package awsapi

import (
	"encoding/json/jsontext"
	"encoding/json/v2"
	"errors"
	"math/big"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/latchwork/latchwork/internal/fault"
	"github.com/latchwork/latchwork/internal/inbound"
	"github.com/latchwork/latchwork/internal/wire"
)

// A service of the protocol JSON is spoken to in two ways, which say the same: AWS
// JSON 1.1 names the operation in a header, and Smithy's RPC v2 in the path, with a
// body of CBOR. botocore takes the second where a service has both.
// Source: Smithy specification, "AWS JSON 1.1 protocol" and "Smithy RPC v2 CBOR
// protocol".
const (
	typeRPCJSON  = "application/x-amz-json-1.1"
	typeCBOR     = "application/cbor"
	protocolCBOR = "rpc-v2-cbor"
)

// inCBOR tells whether a request is one of Smithy's RPC v2.
func inCBOR(in *inbound.Request) bool {
	if in == nil {
		return false
	}
	protocol, _ := in.Get("smithy-protocol")
	return protocol == protocolCBOR
}

// rpcTarget is the service's and the operation's name in a request that has them;
// found is false for a request of another protocol.
func rpcTarget(in *inbound.Request) (service, operation string, found bool) {
	if inCBOR(in) {
		parts := strings.Split(in.Path(), "/")
		if len(parts) != 5 || parts[1] != "service" || parts[3] != "operation" {
			return "", "", true
		}
		return parts[2], parts[4], true
	}
	target, found := in.Get("x-amz-target")
	if !found || in.Path() != "/" {
		return "", "", false
	}
	service, operation, _ = strings.Cut(target, ".")
	return service, operation, true
}

// bindRPC fills input from the body.
func (b *bound) bindRPC(input reflect.Value, in *inbound.Request, body []byte) *fault.Error {
	if inCBOR(in) && len(body) > 0 {
		var err error
		if body, err = jsonOfCBOR(body); err != nil {
			return b.service.unparsable("", "the request body is not valid CBOR: %s", strings.TrimPrefix(err.Error(), "cbor: "))
		}
	}
	return b.bindBody(input, body)
}

var cborDecoder = must(cbor.DecOptions{
	DefaultMapType: reflect.TypeFor[map[string]any](),
	DupMapKey:      cbor.DupMapKeyEnforcedAPF,
}.DecMode())

// In CBOR a point in time is a number with tag 1.
var cborEncoder = must(cbor.EncOptions{Sort: cbor.SortBytewiseLexical, Time: cbor.TimeUnixDynamic, TimeTag: cbor.EncTagRequired}.EncMode())

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// jsonOfCBOR writes a body of CBOR as JSON says the same.
func jsonOfCBOR(body []byte) ([]byte, error) {
	var value any
	if err := cborDecoder.Unmarshal(body, &value); err != nil {
		return nil, err
	}
	return json.Marshal(value, json.WithMarshalers(json.JoinMarshalers(
		json.MarshalToFunc(func(e *jsontext.Encoder, t time.Time) error {
			return e.WriteValue(strconv.AppendFloat(nil, float64(t.UnixMilli())/1000, 'f', -1, 64))
		}),
		// No member holds one, and a large one takes long to write in decimal.
		json.MarshalToFunc(func(*jsontext.Encoder, big.Int) error {
			return errors.New("an integer has more than 64 bits")
		}),
	)))
}

// encodeRPC writes an operation's output.
func (b *bound) encodeRPC(output reflect.Value, in *inbound.Request) ([]byte, error) {
	b.out.complete(output.Elem(), b.op.Pages != nil)
	if inCBOR(in) {
		return cborEncoder.Marshal(b.out.plain(output.Elem()))
	}
	return json.Marshal(output.Interface(), json.Deterministic(true))
}

// plain is a value in terms of CBOR.
func (p *plan) plain(v reflect.Value) any {
	switch p.kind {
	case kindTime:
		return plainTime(v.Interface())
	case kindStruct:
		members := map[string]any{}
		for i := range p.fields {
			f := &p.fields[i]
			if member, ok := f.get(v); ok {
				members[f.name] = f.plan.plain(member)
			}
		}
		return members
	case kindList:
		list := make([]any, v.Len())
		for i := range list {
			list[i] = p.elem.plain(v.Index(i))
		}
		return list
	case kindMap:
		entries := map[string]any{}
		for _, key := range v.MapKeys() {
			entries[key.String()] = p.elem.plain(v.MapIndex(key))
		}
		return entries
	default:
		return v.Interface()
	}
}

// plainTime is a point in time of milliseconds, as it is in JSON.
func plainTime(v any) time.Time {
	if t, ok := v.(wire.EpochSeconds); ok {
		return t.Truncate(time.Millisecond)
	}
	return v.(wire.Timestamp).Truncate(time.Millisecond)
}

// rpcFault puts an error into the shape of the protocol: the code beside the members
// that the error's model has.
func (s *Service) rpcFault(code string, status int, e *fault.Error, in *inbound.Request) answer {
	shape := s.Errors[code]
	message := "message"
	if shape.Message != "" {
		message = shape.Message
	}
	// A message that repeats what a caller sent may hold invalid UTF-8.
	members := map[string]string{"__type": code, message: strings.ToValidUTF8(e.Message, "�")}
	for name, value := range e.Members {
		if slices.Contains(shape.Members, name) {
			members[name] = value
		}
	}
	ans := answer{status: status, code: code}
	// Nothing in a map of texts can fail to be written.
	if ans.contentType = rpcType(in); ans.contentType == typeCBOR {
		ans.body, _ = cborEncoder.Marshal(members)
	} else {
		ans.body, _ = json.Marshal(members, json.Deterministic(true))
	}
	return ans
}

func rpcType(in *inbound.Request) string {
	if inCBOR(in) {
		return typeCBOR
	}
	return typeRPCJSON
}
