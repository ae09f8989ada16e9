package mesh

import (
	"fmt"
	"regexp"
	"strings"
)

// logCommand is a command of an access log's format: a name, parameters and a
// greatest length.
var logCommand = regexp.MustCompile(`^%([A-Z0-9_]+)(?:\(([^)]*)\))?(?::([0-9]+))?%`)

// checkLogFormat reads a format of an access log as Envoy does: App Mesh stored any,
// and Envoy then refused the whole listener.
// Source: Envoy documentation, "Access log", format strings.
func checkLogFormat(format string) error {
	for rest := format; ; {
		i := strings.IndexByte(rest, '%')
		if i < 0 {
			return nil
		}
		rest = rest[i:]
		if strings.HasPrefix(rest, "%%") {
			rest = rest[2:]
			continue
		}
		m := logCommand.FindString(rest)
		if m == "" {
			return fmt.Errorf("there is no command at byte %d: %q; a percent sign itself is %%%%", len(format)-len(rest), rest[:min(len(rest), 32)])
		}
		rest = rest[len(m):]
	}
}
