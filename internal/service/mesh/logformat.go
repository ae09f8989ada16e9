package mesh

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// logCommand is a command of an access log's format: a name, parameters and a
// greatest length.
var logCommand = regexp.MustCompile(`^%([A-Z0-9_]+)(?:\((.*?)\))?(?::([0-9]+))?%`)

// checkLogFormat reads a format of an access log as Envoy does: App Mesh stored any,
// and Envoy then refused the whole listener. The rules and the commands are those
// that Envoy 1.36.4 and Envoy 1.40.0 both accept; CEL, COALESCE and
// COMMON_DURATION, whose parameters are languages of their own, are not among them.
// Source: Envoy documentation, "Access log", format strings.
func checkLogFormat(format string) error {
	for rest := format; ; {
		i := strings.IndexByte(rest, '%')
		if i < 0 {
			return nil
		}
		if rest = rest[i:]; strings.HasPrefix(rest, "%%") {
			rest = rest[2:]
			continue
		}
		m := logCommand.FindStringSubmatch(rest)
		if m == nil {
			return fmt.Errorf("there is no command at byte %d; a percent sign itself is written %%%%", len(format)-len(rest))
		}
		if err := checkCommand(m[1], m[2], m[3]); err != nil {
			return err
		}
		rest = rest[len(m[0]):]
	}
}

func checkCommand(name, parameters, length string) error {
	rule, known := logCommands[name]
	switch {
	case !known:
		return fmt.Errorf("there is no command %s", name)
	case rule.needs && parameters == "":
		return fmt.Errorf("%s needs parameters", name)
	case rule.check == nil && parameters != "":
		return fmt.Errorf("%s takes no parameters", name)
	case length != "" && !rule.length:
		return fmt.Errorf("%s takes no length", name)
	}
	if _, err := strconv.ParseUint(length, 10, 64); length != "" && err != nil {
		return fmt.Errorf("the length of %s is too large", name)
	}
	if rule.check != nil && parameters != "" && !rule.check(parameters) {
		return fmt.Errorf("%s cannot have the parameters %q", name, parameters)
	}
	return nil
}

// commandRule says what a command can have.
type commandRule struct {
	needs  bool // parameters
	length bool
	check  func(parameters string) bool // nil where there can be none
}

var logCommands = func() map[string]commandRule {
	all := map[string]commandRule{
		"PATH":                  {length: true, check: regexp.MustCompile(`^(WQ|NQ)(:(ORIG|PATH|ORIG_OR_PATH))?$`).MatchString},
		"GRPC_STATUS":           {check: oneOf("CAMEL_STRING", "SNAKE_STRING", "NUMBER")},
		"RESPONSE_CODE_DETAILS": {check: anything},
		"METADATA":              {needs: true, length: true, check: regexp.MustCompile(`^(DYNAMIC|CLUSTER|ROUTE|UPSTREAM_HOST|LISTENER|VIRTUAL_HOST)(:|$)`).MatchString},
	}
	add := func(rule commandRule, names string) {
		for name := range strings.FieldsSeq(names) {
			all[name] = rule
		}
	}
	add(commandRule{needs: true, length: true, check: headerPair}, "REQ RESP TRAILER")
	add(commandRule{needs: true, length: true, check: anything}, "ENVIRONMENT QUERY_PARAM")
	add(commandRule{needs: true, length: true, check: regexp.MustCompile(`^[^:]+(:(PLAIN|TYPED|FIELD:[^:]+))?$`).MatchString}, "FILTER_STATE UPSTREAM_FILTER_STATE")
	add(commandRule{needs: true, check: anything}, "DYNAMIC_METADATA CLUSTER_METADATA UPSTREAM_METADATA")
	add(commandRule{check: timeFormat}, `START_TIME START_TIME_LOCAL EMIT_TIME EMIT_TIME_LOCAL
	DOWNSTREAM_PEER_CERT_V_START DOWNSTREAM_PEER_CERT_V_END UPSTREAM_PEER_CERT_V_START UPSTREAM_PEER_CERT_V_END`)
	add(commandRule{}, `ACCESS_LOG_TYPE BYTES_RECEIVED BYTES_RETRANSMITTED BYTES_SENT CONNECTION_ID CONNECTION_TERMINATION_DETAILS
	CUSTOM_FLAGS DOWNSTREAM_DECOMPRESSED_HEADER_BYTES_RECEIVED DOWNSTREAM_DECOMPRESSED_HEADER_BYTES_SENT
	DOWNSTREAM_DIRECT_LOCAL_ADDRESS DOWNSTREAM_DIRECT_LOCAL_ADDRESS_WITHOUT_PORT DOWNSTREAM_DIRECT_LOCAL_PORT
	DOWNSTREAM_DIRECT_REMOTE_ADDRESS DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT DOWNSTREAM_DIRECT_REMOTE_PORT
	DOWNSTREAM_HANDSHAKE_DURATION DOWNSTREAM_HEADER_BYTES_RECEIVED DOWNSTREAM_HEADER_BYTES_SENT DOWNSTREAM_LOCAL_ADDRESS
	DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT DOWNSTREAM_LOCAL_DNS_SAN DOWNSTREAM_LOCAL_EMAIL_SAN DOWNSTREAM_LOCAL_IP_SAN
	DOWNSTREAM_LOCAL_OTHERNAME_SAN DOWNSTREAM_LOCAL_PORT DOWNSTREAM_LOCAL_SUBJECT DOWNSTREAM_LOCAL_URI_SAN
	DOWNSTREAM_PEER_CERT DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_1 DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_256
	DOWNSTREAM_PEER_CHAIN_SERIALS DOWNSTREAM_PEER_DNS_SAN DOWNSTREAM_PEER_EMAIL_SAN DOWNSTREAM_PEER_FINGERPRINT_1
	DOWNSTREAM_PEER_FINGERPRINT_256 DOWNSTREAM_PEER_IP_SAN DOWNSTREAM_PEER_ISSUER DOWNSTREAM_PEER_OTHERNAME_SAN
	DOWNSTREAM_PEER_SERIAL DOWNSTREAM_PEER_SUBJECT DOWNSTREAM_PEER_URI_SAN DOWNSTREAM_REMOTE_ADDRESS
	DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT DOWNSTREAM_REMOTE_PORT DOWNSTREAM_TLS_CIPHER DOWNSTREAM_TLS_SESSION_ID
	DOWNSTREAM_TLS_VERSION DOWNSTREAM_TRANSPORT_FAILURE_REASON DOWNSTREAM_WIRE_BYTES_RECEIVED DOWNSTREAM_WIRE_BYTES_SENT
	DURATION FILTER_CHAIN_NAME GRPC_STATUS_NUMBER HOSTNAME LOCAL_REPLY_BODY PROTOCOL REQUESTED_SERVER_NAME
	REQUEST_DURATION REQUEST_HEADERS_BYTES REQUEST_TX_DURATION RESPONSE_CODE RESPONSE_DURATION RESPONSE_FLAGS
	RESPONSE_FLAGS_LONG RESPONSE_HEADERS_BYTES RESPONSE_TRAILERS_BYTES RESPONSE_TX_DURATION ROUNDTRIP_DURATION ROUTE_NAME
	STREAM_ID TLS_JA3_FINGERPRINT TLS_JA4_FINGERPRINT TRACE_ID UNIQUE_ID UPSTREAM_CLUSTER UPSTREAM_CLUSTER_RAW
	UPSTREAM_CONNECTION_ID UPSTREAM_CONNECTION_POOL_READY_DURATION UPSTREAM_DECOMPRESSED_HEADER_BYTES_RECEIVED
	UPSTREAM_DECOMPRESSED_HEADER_BYTES_SENT UPSTREAM_HEADER_BYTES_RECEIVED UPSTREAM_HEADER_BYTES_SENT UPSTREAM_HOST
	UPSTREAM_HOST_NAME UPSTREAM_HOST_NAME_WITHOUT_PORT UPSTREAM_LOCAL_ADDRESS UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT
	UPSTREAM_LOCAL_DNS_SAN UPSTREAM_LOCAL_IP_SAN UPSTREAM_LOCAL_PORT UPSTREAM_LOCAL_URI_SAN UPSTREAM_PEER_CERT
	UPSTREAM_PEER_DNS_SAN UPSTREAM_PEER_IP_SAN UPSTREAM_PEER_ISSUER UPSTREAM_PEER_SUBJECT UPSTREAM_PEER_URI_SAN
	UPSTREAM_PROTOCOL UPSTREAM_REMOTE_ADDRESS UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT UPSTREAM_REMOTE_PORT
	UPSTREAM_REQUEST_ATTEMPT_COUNT UPSTREAM_TLS_CIPHER UPSTREAM_TLS_SESSION_ID UPSTREAM_TLS_VERSION
	UPSTREAM_TRANSPORT_FAILURE_REASON UPSTREAM_WIRE_BYTES_RECEIVED UPSTREAM_WIRE_BYTES_SENT VIRTUAL_CLUSTER_NAME`)
	return all
}()

func anything(string) bool { return true }

func oneOf(values ...string) func(string) bool {
	return func(s string) bool { return slices.Contains(values, s) }
}

// headerPair is the name of a header, and that of another to take where it is not
// there.
func headerPair(parameters string) bool {
	names := strings.Split(parameters, "?")
	return len(names) <= 2 && !slices.ContainsFunc(names, func(name string) bool { return name != "" && !isHeader(name) })
}

// newline is what prints one in the format of a time.
var newline = regexp.MustCompile(`%[-_0^#]*[1-9]*[EO]?n`)

func timeFormat(parameters string) bool { return !newline.MatchString(parameters) }
