package translate

import (
	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	filelogv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/file/v3"
	"google.golang.org/protobuf/types/known/structpb"

	wire "github.com/latchwork/latchwork/internal/wire/appmesh"
)

// accessLogs are written by all filters of an endpoint.
type accessLogs []*accesslogv3.AccessLog

func (t *translation) accessLog(l *wire.Logging) accessLogs {
	file := value(value(l).AccessLog).File
	if value(file).Path == nil {
		return nil
	}
	out := &filelogv3.FileAccessLog{Path: *file.Path}
	switch format := value(file.Format); {
	case format.Text != nil:
		out.AccessLogFormat = logFormat(&corev3.SubstitutionFormatString{
			Format: &corev3.SubstitutionFormatString_TextFormatSource{TextFormatSource: &corev3.DataSource{
				Specifier: &corev3.DataSource_InlineString{InlineString: *format.Text},
			}},
		})
	case format.Json != nil:
		fields := map[string]*structpb.Value{}
		for _, f := range format.Json {
			fields[value(f.Key)] = structpb.NewStringValue(value(f.Value))
		}
		out.AccessLogFormat = logFormat(&corev3.SubstitutionFormatString{
			Format: &corev3.SubstitutionFormatString_JsonFormat{JsonFormat: &structpb.Struct{Fields: fields}},
		})
	}
	return accessLogs{{
		Name:       "envoy.access_loggers.file",
		ConfigType: &accesslogv3.AccessLog_TypedConfig{TypedConfig: t.pack(out)},
	}}
}

func logFormat(f *corev3.SubstitutionFormatString) *filelogv3.FileAccessLog_LogFormat {
	return &filelogv3.FileAccessLog_LogFormat{LogFormat: f}
}
