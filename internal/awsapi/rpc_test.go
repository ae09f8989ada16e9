package awsapi_test

import (
	"encoding/hex"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/latchwork/latchwork/internal/awsapi"
	"github.com/latchwork/latchwork/internal/wire"
)

func (h *harness) json(operation, body string) *httptest.ResponseRecorder {
	return h.do("POST", "/", "codec", "application/x-amz-json-1.1", body, "X-Amz-Target", "Codec_v1."+operation)
}

func (h *harness) cbor(operation, body string) *httptest.ResponseRecorder {
	return h.do("POST", "/service/Codec_v1/operation/"+operation, "codec", "application/cbor", body, "Smithy-Protocol", "rpc-v2-cbor")
}

// diagnose is a body of CBOR in the notation of RFC 8949.
func diagnose(t *testing.T, body []byte) string {
	t.Helper()
	text, err := cbor.Diagnose(body)
	if err != nil {
		t.Fatalf("%x: %v", body, err)
	}
	return text
}

// TestRPCInput: what is said in JSON and in CBOR is the same.
func TestRPCInput(t *testing.T) {
	encode := func(v any) string {
		body, err := cbor.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	type m = map[string]any
	for _, test := range []struct {
		name, json string
		cbor       string
		want       everything
	}{
		{"empty", "", "", everything{}},
		{"empty object", "{}", encode(m{}), everything{}},
		{"null is absent", `{"name":null,"names":null}`, encode(m{"name": nil, "names": nil}), everything{}},
		{"zeroes are there", `{"name":"","count":0,"flag":false,"names":[],"map":{}}`, encode(m{"name": "", "count": 0, "flag": false, "names": []string{}, "map": m{}}), everything{
			Name: new(""), Count: new(int64(0)), Flag: new(false), Names: []string{}, Map: map[string]string{},
		}},
		{"numbers", `{"count":-7}`, encode(m{"count": -7}), everything{Count: new(int64(-7))}},
		{"a whole number of another type", `{"count":5}`, encode(m{"count": 5.0}), everything{Count: new(int64(5))}},
		{"nested", `{"leaves":[{"name":"a"},{"items":["b"]}],"self":{"leaf":{}}}`, encode(m{"leaves": []m{{"name": "a"}, {"items": []string{"b"}}}, "self": m{"leaf": m{}}}), everything{
			Leaves: []leafType{{Name: new("a")}, {Items: []string{"b"}}}, Self: &everything{Leaf: &leafType{}},
		}},
		// {_ "names": [_ (_ "a", "b")]}, as streaming encoders write.
		{"indefinite lengths", `{"names":["ab"]}`, "\xbf\x65names\x9f\x7f\x61a\x61b\xff\xff\xff", everything{Names: []string{"ab"}}},
		{"unknown members", `{"x":[1],"name":"a"}`, encode(m{"x": []int{1}, "name": "a"}), everything{Name: new("a")}},
		{"blob", `{"bytes":"Zm9v"}`, encode(m{"bytes": []byte("foo")}), everything{Bytes: []byte("foo")}},
	} {
		t.Run(test.name, func(t *testing.T) {
			h, got := codec(t, awsapi.JSON, &everything{})
			for _, send := range []func() (*httptest.ResponseRecorder, string){
				func() (*httptest.ResponseRecorder, string) { return h.json("Echo", test.json), "{}" },
				func() (*httptest.ResponseRecorder, string) { return h.cbor("Echo", test.cbor), "\xa0" },
			} {
				w, want := send()
				if w.Code != 200 || w.Body.String() != want {
					t.Fatalf("%d %q", w.Code, w.Body)
				}
				if diff := cmp.Diff(&test.want, *got); diff != "" {
					t.Errorf("input (-want +got):\n%s", diff)
				}
			}
		})
	}
}

func TestRPCOutput(t *testing.T) {
	out := output()
	out.When = &wire.Timestamp{Time: time.Date(2015, 1, 25, 8, 0, 0, 266e6, time.UTC)}
	h, _ := codec(t, awsapi.JSON, out)
	w := h.json("Echo", "{}")
	want := `{"bytes":"aGk=","count":3,"doc":"{\"a\":\"b c+%\"}","flag":false,"leaf":{"name":"<&>\"'\u0001"},` +
		`"leaves":[{"name":"a"},{"items":["x"]}],"map":{"a":"1","b":"2"},"must":[],"names":["n",""],"when":"2015-01-25T08:00:00.266Z"}`
	if diff := cmp.Diff(want, w.Body.String()); diff != "" || header(w, "Content-Type") != "application/x-amz-json-1.1" || header(w, "smithy-protocol") != "" {
		t.Errorf("%v (-want +got):\n%s", w.Result().Header, diff)
	}
	w = h.cbor("Echo", "")
	want = `{"doc": "{\"a\":\"b c+%\"}", "map": {"a": "1", "b": "2"}, "flag": false, "leaf": {"name": "<&>\"'\u0001"}, "must": [], ` +
		`"when": 1(1422172800.266), "bytes": h'6869', "count": 3, "names": ["n", ""], "leaves": [{"name": "a"}, {"items": ["x"]}]}`
	if diff := cmp.Diff(want, diagnose(t, w.Body.Bytes())); diff != "" || header(w, "Content-Type") != "application/cbor" || header(w, "smithy-protocol") != "rpc-v2-cbor" {
		t.Errorf("%v (-want +got):\n%s", w.Result().Header, diff)
	}
	if got := h.json("Epoch", "").Body.String(); got != `{"when":1686109880.266}` {
		t.Error(got)
	}
	if got := diagnose(t, h.cbor("Epoch", "").Body.Bytes()); got != `{"when": 1(1686109880.266)}` {
		t.Error(got)
	}
	if got := diagnose(t, h.cbor("Lists", "").Body.Bytes()); got != `{"names": []}` {
		t.Errorf("a required list is not there: %s", got)
	}
}

// TestRPCFaults: errors name themselves in the body, under the message's own name
// and with the members that their shape has.
func TestRPCFaults(t *testing.T) {
	h, _ := codec(t, awsapi.JSON, &everything{})
	for _, test := range []struct {
		w            *httptest.ResponseRecorder
		status       int
		code, answer string
	}{
		{h.json("Fail", ""), 409, "InUse", `{"Holder":"h","__type":"InUse","message":"held �"}`},
		{h.cbor("Fail", ""), 409, "InUse", `{"Holder": "h", "__type": "InUse", "message": "held \ufffd"}`},
		{h.json("Echo", `{"count":"x"}`), 400, "InvalidInput", `{"Message":"'count' must be an integer","__type":"InvalidInput"}`},
		{h.cbor("Echo", "\xa1\x65count\x61x"), 400, "InvalidInput", `{"__type": "InvalidInput", "Message": "'count' must be an integer"}`},
		{h.json("Echo", `{`), 400, "InvalidInput", "not valid JSON"},
		{h.cbor("Echo", "\xa1\x65count"), 400, "InvalidInput", "not valid CBOR"},
		{h.cbor("Echo", "\xa1\x01\x02"), 400, "InvalidInput", "not valid CBOR"},
		{h.cbor("Echo", "\xa2\x61a\x01\x61a\x02"), 400, "InvalidInput", "not valid CBOR"},
		{h.cbor("Echo", "\xa1\x65count\xf9\x7e\x00"), 400, "InvalidInput", "not valid CBOR"},
		{h.cbor("Echo", "\xa1\x61x\x81\xc2\x49\x01"+strings.Repeat("\x00", 8)), 400, "InvalidInput", "more than 64 bits"},
		{h.cbor("Echo", "\x01"), 400, "InvalidInput", "must be a JSON object"},
		{h.json("Nothing", ""), 404, "UnknownOperationException", "no operation is called by POST Codec_v1.Nothing"},
		{h.cbor("Nothing", ""), 404, "UnknownOperationException", "no operation is called by POST Codec_v1.Nothing"},
		{h.do("POST", "/", "codec", "", "", "X-Amz-Target", "Other.Echo"), 404, "UnknownOperationException", "Other.Echo"},
		{h.do("POST", "/", "codec", "", "", "X-Amz-Target", "Echo"), 404, "UnknownOperationException", "no operation"},
		{h.do("GET", "/", "codec", "", "", "X-Amz-Target", "Codec_v1.Echo"), 404, "UnknownOperationException", "GET Codec_v1.Echo"},
		{h.do("GET", "/service/Codec_v1/operation/Echo", "codec", "", "", "Smithy-Protocol", "rpc-v2-cbor"), 404, "UnknownOperationException", "GET Codec_v1.Echo"},
		{h.do("POST", "/operation/Echo", "codec", "", "", "Smithy-Protocol", "rpc-v2-cbor"), 404, "UnknownOperationException", "no operation"},
		{h.do("POST", "/service/Codec_v1/operation/Echo", "codec", "application/json", "{}"), 404, "", ""},
		{h.do("POST", "/", "", "", "{}", "X-Amz-Target", "Codec_v1.Echo"), 403, "MissingAuthenticationTokenException", "Missing Authentication Token"},
		{h.json("Echo", strings.Repeat(" ", awsapi.DefaultMaxBody+1)), 413, "RequestEntityTooLargeException", "larger"},
	} {
		answer := test.w.Body.String()
		if header(test.w, "Content-Type") == "application/cbor" {
			answer = diagnose(t, test.w.Body.Bytes())
		}
		if test.w.Code != test.status || !strings.Contains(answer, test.answer) || !strings.Contains(answer, test.code) {
			t.Errorf("%d %s\nwant %d %s", test.w.Code, answer, test.status, test.answer)
		}
		if test.code != "" && header(test.w, "x-amzn-ErrorType") != test.code {
			t.Errorf("x-amzn-ErrorType of %s is %s", test.code, header(test.w, "x-amzn-ErrorType"))
		}
	}
}

func FuzzCBOR(f *testing.F) {
	for _, seed := range []string{"a0", "a1646e616d656161", "a165636f756e7401", "bf656e616d65739f7f61616162ffffff", "a1647768656ec11a00000001", "818181818181", "f97e00", "c249010000000000000000"} {
		body, err := hex.DecodeString(seed)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		h, _ := codec(t, awsapi.JSON, &everything{})
		checkAnswer(t, h, h.cbor("Echo", string(body)).Code)
	})
}
