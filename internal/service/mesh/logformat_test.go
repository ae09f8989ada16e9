package mesh

import (
	"strings"
	"testing"
)

// TestLogFormat has the answers that Envoy 1.36.4 and Envoy 1.40.0 gave to a file
// access log with each format.
func TestLogFormat(t *testing.T) {
	for _, format := range []string{
		"", "plain\n", "%%", "100%%", "%PROTOCOL%", "%DURATION()%",
		`[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% "%UPSTREAM_HOST%"`,
		"%REQ(a)%%REQ(b)%", "%REQ(a?b):10%", "%REQ(:path)%", "%REQ(A_B)%", "%REQ(a!#$&'*+-.^_`|~)%", "%REQ(?b)%", "%REQ(a?)%", "%REQ(a):18446744073709551615%",
		"%START_TIME(%Y/%m/%dT%H:%M:%S%z %s)%", "%START_TIME(%s.%3f)%", "%START_TIME(())%", "%EMIT_TIME(%s)%", "%DOWNSTREAM_PEER_CERT_V_START(%Y)%",
		"%GRPC_STATUS%", "%GRPC_STATUS(NUMBER)%", "%FILTER_STATE(a:PLAIN)%", "%FILTER_STATE(a:FIELD:b):5%", "%METADATA(ROUTE:a:b)%", "%METADATA(DYNAMIC)%",
		"%DYNAMIC_METADATA(a:b)%", "%PATH%", "%PATH(WQ:ORIG):5%", "%RESPONSE_CODE_DETAILS(X)%", "%ENVIRONMENT(a b):5%", "%QUERY_PARAM(a)%",
		"%UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%", "%TRACE_ID%",
	} {
		if err := checkLogFormat(format); err != nil {
			t.Errorf("%q: %v", format, err)
		}
	}
	for format, want := range map[string]string{
		"%":                                "no command at byte 0; a percent sign itself is written %%",
		"50% off":                          "no command at byte 2",
		"%%%":                              "no command at byte 2",
		"%REQ(a":                           "no command at byte 0",
		"%REQ(a):x%":                       "no command at byte 0",
		"%REQ(a\nb)%":                      "no command at byte 0",
		"%req(a)%":                         "no command at byte 0",
		"%NOPE%":                           "no command NOPE",
		"%CEL(request.path)%":              "no command CEL",
		"%UPSTREAM_TLS_GROUP%":             "no command UPSTREAM_TLS_GROUP", // newer than 1.36
		"%REQ%":                            "REQ needs parameters",
		"%REQ()%":                          "REQ needs parameters",
		"%PROTOCOL(a)%":                    "PROTOCOL takes no parameters",
		"%RESPONSE_CODE():5%":              "RESPONSE_CODE takes no length",
		"%START_TIME(x):5%":                "START_TIME takes no length",
		"%DYNAMIC_METADATA(a:b:c):10%":     "DYNAMIC_METADATA takes no length",
		"%REQ(a):18446744073709551616%":    "length of REQ is too large",
		"%REQ(a b)%":                       `REQ cannot have the parameters "a b"`,
		"%REQ(a?b?c)%":                     "REQ cannot have",
		"%REQ(a:b)%":                       "REQ cannot have",
		"%REQ(a)b)%":                       "REQ cannot have",
		"%TRAILER(a@b)%":                   "TRAILER cannot have",
		"%START_TIME(%En)%":                "START_TIME cannot have",
		"%DOWNSTREAM_PEER_CERT_V_END(%n)%": "DOWNSTREAM_PEER_CERT_V_END cannot have",
		"%GRPC_STATUS(NOPE)%":              "GRPC_STATUS cannot have",
		"%GRPC_STATUS:3%":                  "GRPC_STATUS takes no length",
		"%FILTER_STATE(a:NOPE)%":           "FILTER_STATE cannot have",
		"%FILTER_STATE(a:FIELD)%":          "FILTER_STATE cannot have",
		"%FILTER_STATE(:PLAIN)%":           "FILTER_STATE cannot have",
		"%METADATA(NOPE:a)%":               "METADATA cannot have",
		"%PATH(NOPE)%":                     "PATH cannot have",
	} {
		if err := checkLogFormat(format); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", format, err, want)
		}
	}
}
