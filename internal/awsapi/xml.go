package awsapi

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/latchwork/latchwork/internal/fault"
	"github.com/latchwork/latchwork/internal/wire"
)

// xmlWriter writes answers of the query protocols. The first error sticks.
type xmlWriter struct {
	service *Service
	enc     *xml.Encoder
	err     error
}

func (w *xmlWriter) token(t xml.Token) {
	if w.err == nil {
		w.err = w.enc.EncodeToken(t)
	}
}

func (w *xmlWriter) open(name string, attrs ...xml.Attr) {
	w.token(xml.StartElement{Name: xml.Name{Local: name}, Attr: attrs})
}

func (w *xmlWriter) shut(name string) { w.token(xml.EndElement{Name: xml.Name{Local: name}}) }

func (w *xmlWriter) leaf(name, text string) {
	w.open(name)
	w.token(xml.CharData(text))
	w.shut(name)
}

// document runs write between the start and the end of the root element.
func (s *Service) document(root string, write func(*xmlWriter)) ([]byte, error) {
	var b bytes.Buffer
	w := &xmlWriter{service: s, enc: xml.NewEncoder(&b)}
	if s.Protocol == EC2Query {
		b.WriteString(xml.Header)
	}
	var attrs []xml.Attr
	if s.Namespace != "" {
		attrs = []xml.Attr{{Name: xml.Name{Local: "xmlns"}, Value: s.Namespace}}
	}
	w.open(root, attrs...)
	write(w)
	w.shut(root)
	if w.err == nil {
		w.err = w.enc.Flush()
	}
	return b.Bytes(), w.err
}

// encodeXML writes an operation's answer.
func (b *bound) encodeXML(output reflect.Value, requestID string) ([]byte, error) {
	v := output.Elem()
	b.out.complete(v, b.op.Pages != nil)
	return b.service.document(b.op.Name+"Response", func(w *xmlWriter) {
		if b.service.Protocol == EC2Query {
			w.leaf("requestId", requestID)
			if len(b.out.fields) == 0 {
				w.leaf("return", "true")
			}
			w.structure(b.out, v)
			return
		}
		if b.op.Result != "" {
			w.open(b.op.Result)
			w.structure(b.out, v)
			w.shut(b.op.Result)
		}
		w.open("ResponseMetadata")
		w.leaf("RequestId", requestID)
		w.shut("ResponseMetadata")
	})
}

func (w *xmlWriter) structure(p *plan, v reflect.Value) {
	for i := range p.fields {
		f := &p.fields[i]
		if member, ok := f.get(v); ok {
			w.member(f, member)
		}
	}
}

func (w *xmlWriter) member(f *field, v reflect.Value) {
	if f.plan.kind == kindString && w.service.PercentEncoded != "" && f.shape == w.service.PercentEncoded {
		w.leaf(f.name, percentEncode(v.String()))
		return
	}
	w.value(f.name, f.plan, v)
}

func (w *xmlWriter) value(name string, p *plan, v reflect.Value) {
	switch p.kind {
	case kindString:
		w.leaf(name, v.String())
	case kindInt:
		w.leaf(name, strconv.FormatInt(v.Int(), 10))
	case kindBool:
		w.leaf(name, strconv.FormatBool(v.Bool()))
	case kindBytes:
		w.leaf(name, base64.StdEncoding.EncodeToString(v.Bytes()))
	case kindTime:
		w.leaf(name, w.time(v))
	case kindStruct:
		w.open(name)
		w.structure(p, v)
		w.shut(name)
	case kindList:
		item := "member"
		if w.service.Protocol == EC2Query {
			item = "item"
		}
		w.open(name)
		for i := range v.Len() {
			w.value(item, p.elem, v.Index(i))
		}
		w.shut(name)
	case kindMap:
		w.open(name)
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		for _, key := range keys {
			w.open("entry")
			w.leaf("key", key.String())
			w.value("value", p.elem, v.MapIndex(key))
			w.shut("entry")
		}
		w.shut(name)
	}
}

// time prints whole seconds, as IAM and STS do; EC2 prints milliseconds.
func (w *xmlWriter) time(v reflect.Value) string {
	t, ok := v.Interface().(wire.Timestamp)
	if !ok {
		t.Time = v.Interface().(wire.EpochSeconds).Time
	}
	if w.service.Protocol == EC2Query {
		return t.UTC().Format("2006-01-02T15:04:05.000Z")
	}
	return t.UTC().Format("2006-01-02T15:04:05Z")
}

// percentEncode is RFC 3986's encoding of everything that is not unreserved; a
// space is %20, never "+". botocore undoes it with unquote.
func percentEncode(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9',
			c == '-', c == '.', c == '_', c == '~':
			b.WriteByte(c)
		default:
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
	return b.String()
}

// encodeXMLFault writes an error. The EC2 form has no namespace and another case
// in RequestID; both are as AWS sends them.
func (s *Service) encodeXMLFault(kind, code string, e *fault.Error, requestID string) ([]byte, error) {
	if s.Protocol == EC2Query {
		plain := &Service{Protocol: EC2Query}
		return plain.document("Response", func(w *xmlWriter) {
			w.open("Errors")
			w.open("Error")
			w.leaf("Code", code)
			w.leaf("Message", e.Message)
			w.shut("Error")
			w.shut("Errors")
			w.leaf("RequestID", requestID)
		})
	}
	return s.document("ErrorResponse", func(w *xmlWriter) {
		w.open("Error")
		w.leaf("Type", kind)
		w.leaf("Code", code)
		w.leaf("Message", e.Message)
		w.shut("Error")
		w.leaf("RequestId", requestID)
	})
}
