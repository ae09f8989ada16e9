package awsapi_test

import (
	"context"
	"html"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchwork/latchwork/internal/awsapi"
	"github.com/latchwork/latchwork/internal/fault"
	"github.com/latchwork/latchwork/internal/wire"
)

// The types below are a service of every kind of member, in the form that the
// generator writes. The cases follow botocore's protocol suites
// (tests/unit/protocols), turned round: what they serialize is our input, what
// they parse is our output.
type leafType struct {
	Name  *string  `json:"name,omitzero" aws:"String"`
	Items []string `json:"items,omitzero" aws:"StringList"`
}

type everything struct {
	Bytes  []byte            `json:"bytes,omitzero" aws:"Blob"`
	Count  *int64            `json:"count,omitzero" aws:"Integer"`
	Doc    *string           `json:"doc,omitzero" aws:"Document"`
	Flag   *bool             `json:"flag,omitzero" aws:"Boolean"`
	Leaf   *leafType         `json:"leaf,omitzero" aws:"Leaf"`
	Leaves []leafType        `json:"leaves,omitzero" aws:"LeafList"`
	Map    map[string]string `json:"map,omitzero" aws:"StringMap"`
	Must   []string          `json:"must,omitzero" aws:"StringList"`
	Name   *string           `json:"name,omitzero" aws:"String"`
	Names  []string          `json:"names,omitzero" aws:"StringList"`
	Self   *everything       `json:"self,omitzero" aws:"Everything"`
	When   *wire.Timestamp   `json:"when,omitzero" aws:"Timestamp"`
}

type epochOut struct {
	When *wire.EpochSeconds `json:"when,omitzero" aws:"Timestamp"`
}

type requiredOut struct {
	Names []string `json:"names,omitzero" aws:"StringList,required"`
	Other []string `json:"other,omitzero" aws:"StringList"`
}

type none struct{}

// codecHandler is only there for Binding.Handler.
type codecHandler struct{}

func (codecHandler) Echo()  {}
func (codecHandler) Epoch() {}
func (codecHandler) Lists() {}
func (codecHandler) None()  {}
func (codecHandler) Fail()  {}

// codecBinding is a service whose Echo records its input and answers with out.
func codecBinding(protocol awsapi.Protocol, got **everything, out *everything) awsapi.Binding {
	service := &awsapi.Service{
		Name: "codec", SigningName: "codec", Version: "1", Protocol: protocol, Target: "Codec_v1",
		Namespace: "urn:codec", PercentEncoded: "Document",
		Constraints: map[string]*awsapi.Constraint{},
		Errors:      map[string]awsapi.ErrorShape{"InvalidInput": {Status: 400, Message: "Message"}, "InUse": {Status: 409, Members: []string{"Holder"}}},
	}
	uri := func(name string) string {
		if protocol == awsapi.RESTJSON {
			return "/" + name
		}
		return "/"
	}
	return exempt(awsapi.Binding{Service: service, Handler: codecHandler{}, Operations: []awsapi.Operation{
		awsapi.Op(awsapi.Spec{Name: "Echo", Method: "POST", URI: uri("echo"), Status: 200, Result: "EchoResult"},
			func(_ context.Context, in *everything) (*everything, error) { *got = in; return out, nil }),
		awsapi.Op(awsapi.Spec{Name: "Epoch", Method: "POST", URI: uri("epoch"), Status: 200},
			func(context.Context, *none) (*epochOut, error) {
				return &epochOut{wire.Epoch(time.UnixMilli(1686109880266))}, nil
			}),
		awsapi.Op(awsapi.Spec{Name: "Lists", Method: "POST", URI: uri("lists"), Status: 201, Result: "ListsResult"},
			func(context.Context, *none) (*requiredOut, error) { return nil, nil }),
		awsapi.Op(awsapi.Spec{Name: "None", Method: "POST", URI: uri("none"), Status: 204},
			func(context.Context, *none) (*none, error) { return nil, nil }),
		awsapi.Op(awsapi.Spec{Name: "Fail", Method: "POST", URI: uri("fail"), Status: 200, Errors: []string{"InUse"}},
			func(context.Context, *none) (*none, error) {
				return nil, &fault.Error{Code: "InUse", Message: "held \xff", Members: map[string]string{"Holder": "h", "Other": "o"}}
			}),
	}})
}

func codec(t testing.TB, protocol awsapi.Protocol, out *everything) (*harness, **everything) {
	got := new(*everything)
	return newHarness(t, allowAll, nil, codecBinding(protocol, got, out)), got
}

func TestQueryInput(t *testing.T) {
	for _, test := range []struct {
		name, form string
		want       everything
	}{
		{"scalars", "name=a+b%26&count=-7&flag=true", everything{Name: new("a b&"), Count: new(int64(-7)), Flag: new(true)}},
		{"zeroes are there", "name=&count=0&flag=false", everything{Name: new(""), Count: new(int64(0)), Flag: new(false)}},
		{"structure", "leaf.name=x", everything{Leaf: &leafType{Name: new("x")}}},
		{"list", "names.member.1=a&names.member.2=b", everything{Names: []string{"a", "b"}}},
		{"list by number, not by text", "names.member.10=j&names.member.9=i&names.member.2=b", everything{Names: []string{"b", "i", "j"}}},
		{"empty list", "names=", everything{Names: []string{}}},
		{
			"list of structures", "leaves.member.1.name=a&leaves.member.2.items.member.1=b",
			everything{Leaves: []leafType{{Name: new("a")}, {Items: []string{"b"}}}},
		},
		{
			"map", "map.entry.1.key=k&map.entry.1.value=v&map.entry.2.key=l&map.entry.2.value=",
			everything{Map: map[string]string{"k": "v", "l": ""}},
		},
		{"blob", "bytes=Zm9v", everything{Bytes: []byte("foo")}},
		{"time", "when=2015-01-25T08:00:00Z", everything{When: &wire.Timestamp{Time: time.Date(2015, 1, 25, 8, 0, 0, 0, time.UTC)}}},
		{"recursion", "self.self.self.name=x", everything{Self: &everything{Self: &everything{Self: &everything{Name: new("x")}}}}},
		{"unknown members", "foo=1&bar.member.1=2&Names.1=x", everything{}},
		{"empty structure and map", "leaf=&map=", everything{Leaf: &leafType{}, Map: map[string]string{}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			h, got := codec(t, awsapi.Query, &everything{})
			w := h.do("POST", "/", "codec", formType, "Action=Echo&Version=1&"+test.form)
			if w.Code != 200 {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
			if diff := cmp.Diff(&test.want, *got); diff != "" {
				t.Errorf("input (-want +got):\n%s", diff)
			}
		})
	}
}

// TestMisshapenForms: a known member whose names are wrong is refused. Were it
// passed over, an AssumeRole with its PolicyArns written wrongly would give a
// session without them.
func TestMisshapenForms(t *testing.T) {
	for _, test := range []struct {
		protocol awsapi.Protocol
		form     string
		want     string
	}{
		{awsapi.Query, "names=a", "'names' failed to satisfy constraint: Member must be a list, not a single value"},
		{awsapi.Query, "names.1=a", `'names' failed to satisfy constraint: Member must have no part named "1"`},
		{awsapi.Query, "names.Member.1=a", `no part named "Member"`},
		{awsapi.Query, "names.member=a", "must be a list, not a single value"},
		{awsapi.Query, "names.member.1.x=a", `'names.1.member' failed to satisfy constraint: Member must have no part named "x"`},
		{awsapi.Query, "names.member.1=a&names.member.x=b", "numbered from 1"},
		{awsapi.Query, "names.member.1=a&names.2=b", `no part named "2"`},
		{awsapi.Query, "leaves.member.1.Name=a", `'leaves.1.member' failed to satisfy constraint: Member must have no part named "Name"`},
		{awsapi.Query, "leaves.member.1=a", "must be a structure"},
		{awsapi.Query, "leaf=a", "'leaf' failed to satisfy constraint: Member must be a structure"},
		{awsapi.Query, "leaf.foo.bar=2", `no part named "foo"`},
		{awsapi.Query, "leaf.=2", `no part named ""`},
		{awsapi.Query, "self.leaf.items=a", "'self.leaf.items' failed to satisfy constraint: Member must be a list"},
		{awsapi.Query, "name.1=a", "'name' failed to satisfy constraint: Member must have no part"},
		{awsapi.Query, "name=a&name.x=b", "must have no part"},
		{awsapi.Query, "count.x=1", "'count' failed to satisfy constraint: Member must have no part"},
		{awsapi.Query, "map=a", "must be a map"},
		{awsapi.Query, "map.1.key=a&map.1.value=b", `no part named "1"`},
		{awsapi.Query, "map.entry=a", "must be a map"},
		{awsapi.Query, "map.entry.1=a", "must be a map"},
		{awsapi.Query, "map.entry.1.key=a&map.entry.1.value=b&map.entry.1.x=c", `no part named "x"`},
		{awsapi.Query, "map.entry.1.key.x=a&map.entry.1.value=b", `no part named "x"`},
		{awsapi.EC2Query, "Names=a", "'Names' failed to satisfy constraint: Member must be a list"},
		{awsapi.EC2Query, "Names.member.1=a", "numbered from 1"},
		{awsapi.EC2Query, "Names.1.x=a", `no part named "x"`},
		{awsapi.EC2Query, "Leaves.1.name=a", `'Leaves.1' failed to satisfy constraint: Member must have no part named "name"`},
		{awsapi.EC2Query, "Leaf.Item.1=a", `no part named "Item"`},
		{awsapi.EC2Query, "Name.1=a", "must have no part"},
	} {
		h, _ := codec(t, test.protocol, &everything{})
		w := h.do("POST", "/", "codec", formType, "Action=Echo&Version=1&"+test.form)
		if w.Code != 400 || !strings.Contains(html.UnescapeString(w.Body.String()), test.want) {
			t.Errorf("%s: %d %s\nwant %s", test.form, w.Code, w.Body, test.want)
		}
	}
}

func TestEC2Input(t *testing.T) {
	h, got := codec(t, awsapi.EC2Query, &everything{})
	w := h.do("POST", "/", "codec", formType,
		"Action=Echo&Version=1&Name=a&Names.1=x&Names.2=y&Leaves.1.Name=l&Leaves.1.Items.1=i&Leaf.Items.1=j&name=ignored&Must=")
	if w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	want := &everything{
		Name: new("a"), Names: []string{"x", "y"},
		Leaves: []leafType{{Name: new("l"), Items: []string{"i"}}}, Leaf: &leafType{Items: []string{"j"}},
	}
	if diff := cmp.Diff(want, *got); diff != "" {
		t.Errorf("input (-want +got):\n%s", diff)
	}
}

// output has a value of every kind, some of which XML must escape.
func output() *everything {
	return &everything{
		Bytes: []byte("hi"), Count: new(int64(3)), Flag: new(false), Doc: new(`{"a":"b c+%"}`),
		Leaf:   &leafType{Name: new("<&>\"'\x01")},
		Leaves: []leafType{{Name: new("a")}, {Items: []string{"x"}}},
		Map:    map[string]string{"b": "2", "a": "1"},
		Names:  []string{"n", ""}, Must: []string{},
		When: &wire.Timestamp{Time: time.Date(2015, 1, 25, 8, 0, 0, 266e6, time.FixedZone("x", 3600))},
	}
}

func TestQueryOutput(t *testing.T) {
	h, _ := codec(t, awsapi.Query, output())
	w := h.do("POST", "/", "codec", formType, "Action=Echo&Version=1")
	want := `<EchoResponse xmlns="urn:codec"><EchoResult><bytes>aGk=</bytes><count>3</count>` +
		`<doc>%7B%22a%22%3A%22b%20c%2B%25%22%7D</doc><flag>false</flag>` +
		`<leaf><name>&lt;&amp;&gt;&#34;&#39;` + "\ufffd" + `</name></leaf>` +
		`<leaves><member><name>a</name></member><member><items><member>x</member></items></member></leaves>` +
		`<map><entry><key>a</key><value>1</value></entry><entry><key>b</key><value>2</value></entry></map>` +
		`<must></must><names><member>n</member><member></member></names><when>2015-01-25T07:00:00Z</when></EchoResult>` +
		`<ResponseMetadata><RequestId>` + header(w, "x-amzn-RequestId") + `</RequestId></ResponseMetadata></EchoResponse>`
	if diff := cmp.Diff(want, w.Body.String()); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
	w = h.do("POST", "/", "codec", formType, "Action=Lists&Version=1")
	if !strings.Contains(w.Body.String(), "<ListsResult><names></names></ListsResult>") {
		t.Errorf("a required list is not there: %s", w.Body)
	}
}

func TestEC2Output(t *testing.T) {
	h, _ := codec(t, awsapi.EC2Query, &everything{
		Leaves: []leafType{{Name: new("a")}}, Names: []string{"n"}, When: wire.At(now),
	})
	w := h.do("POST", "/", "codec", formType, "Action=Echo&Version=1")
	want := "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n" + `<EchoResponse xmlns="urn:codec"><requestId>` + header(w, "x-amzn-RequestId") +
		`</requestId><leaves><item><name>a</name></item></leaves><names><item>n</item></names><when>2026-11-21T10:00:00.000Z</when></EchoResponse>`
	if diff := cmp.Diff(want, w.Body.String()); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
	w = h.do("POST", "/", "codec", formType, "Action=None&Version=1")
	if w.Code != 204 || w.Body.Len() != 0 {
		t.Errorf("%d %q", w.Code, w.Body)
	}
}

func TestRESTInput(t *testing.T) {
	for _, test := range []struct {
		name, body string
		want       everything
	}{
		{"empty", "", everything{}},
		{"empty object", "{}", everything{}},
		{"null is absent", `{"name":null,"names":null,"map":null,"leaf":null}`, everything{}},
		{"zeroes are there", `{"name":"","count":0,"flag":false,"names":[],"map":{}}`, everything{
			Name: new(""), Count: new(int64(0)), Flag: new(false), Names: []string{}, Map: map[string]string{},
		}},
		{"nested", `{"leaves":[{"name":"a"},{"items":["b"]}],"self":{"leaf":{}}}`, everything{
			Leaves: []leafType{{Name: new("a")}, {Items: []string{"b"}}}, Self: &everything{Leaf: &leafType{}},
		}},
		{"unknown members", `{"idleTimeoutSeconds":60,"leaf":{"x":[1]}}`, everything{Leaf: &leafType{}}},
		{"blob", `{"bytes":"Zm9v"}`, everything{Bytes: []byte("foo")}},
		{"time", `{"when":"2015-01-25T08:00:00Z"}`, everything{When: &wire.Timestamp{Time: time.Date(2015, 1, 25, 8, 0, 0, 0, time.UTC)}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			h, got := codec(t, awsapi.RESTJSON, &everything{})
			w := h.do("POST", "/echo", "codec", "application/json", test.body)
			if w.Code != 200 || w.Body.String() != "{}" {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
			if diff := cmp.Diff(&test.want, *got); diff != "" {
				t.Errorf("input (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRESTOutput(t *testing.T) {
	h, _ := codec(t, awsapi.RESTJSON, output())
	w := h.do("POST", "/echo", "codec", "application/json", "{}")
	want := `{"bytes":"aGk=","count":3,"doc":"{\"a\":\"b c+%\"}","flag":false,"leaf":{"name":"<&>\"'\u0001"},` +
		`"leaves":[{"name":"a"},{"items":["x"]}],"map":{"a":"1","b":"2"},"must":[],"names":["n",""],"when":"2015-01-25T07:00:00.266Z"}`
	if diff := cmp.Diff(want, w.Body.String()); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
	for target, want := range map[string]string{
		"/epoch": `200 {"when":1686109880.266}`, "/lists": `201 {"names":[]}`, "/none": `204 `,
	} {
		w := h.do("POST", target, "codec", "", "")
		if got := strings.TrimPrefix(w.Result().Status, "") + " " + w.Body.String(); !strings.HasPrefix(got, want[:3]) || w.Body.String() != want[4:] {
			t.Errorf("%s answered %q, want %q", target, got, want)
		}
	}
	if w := h.do("POST", "/none", "codec", "", ""); header(w, "Content-Type") != "" || header(w, "x-amzn-RequestId") == "" {
		t.Errorf("headers of a 204: %v", w.Result().Header)
	}
}

// FuzzQuery and FuzzREST send anything at all: the answer is always a complete
// one, and what is wrong with a request is never our fault.
func FuzzQuery(f *testing.F) {
	for _, seed := range []string{
		"name=a&count=1&flag=true", "names.member.1=a&names.member.2=b", "leaves.member.1.items.member.3=x",
		"map.entry.1.key=a&map.entry.1.value=b", "bytes=Zm9v&when=2015-01-25T08:00:00Z", "self.self.self.self.name=1",
		"names=&names.member=1&names.member.x=2", "...=1&a..b=2", "names.member.99999999999999999999=1", "%ff=%fe&name=%ff",
	} {
		f.Add(seed, false)
		f.Add(strings.ReplaceAll(seed, ".member", ""), true)
	}
	f.Fuzz(func(t *testing.T, form string, isEC2 bool) {
		protocol := awsapi.Query
		if isEC2 {
			protocol = awsapi.EC2Query
		}
		h, _ := codec(t, protocol, &everything{})
		checkAnswer(t, h, h.do("POST", "/", "codec", formType, "Action=Echo&Version=1&"+form).Code)
	})
}

func FuzzREST(f *testing.F) {
	for _, seed := range []string{
		`{"name":"a","count":1}`, `{"leaves":[{"name":null},{}]}`, `{"self":{"self":{"self":{}}}}`, `[]`, `null`, `"x"`, `{"a":1,"a":2}`,
		`{"name":"\ud800"}`, `{"count":1e400}`, `{"when":1}`, strings.Repeat(`{"self":`, 200), `{"map":{"":""}}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		h, _ := codec(t, awsapi.RESTJSON, &everything{})
		checkAnswer(t, h, h.do("POST", "/echo?"+strings.ToValidUTF8(body, ""), "codec", "application/json", body).Code)
	})
}

func checkAnswer(t *testing.T, h *harness, status int) {
	t.Helper()
	if status != 200 && status != 400 && status != 413 {
		t.Fatalf("status %d\n%s", status, h.logged())
	}
}
