#!/usr/bin/env bash
# Measures, and writes docs/performance.md. nginx is measured beside if it is there.
set -euo pipefail
cd "$(dirname "$0")/.."
go build -trimpath -o bin/bench ./bench
bin/bench -latchwork bin/latchwork -out docs/performance.md "$@"
# The peers of the management service are a module of their own, so that the server
# does not depend on them.
(cd bench/xds && go build -trimpath -o ../../bin/bench-xds .)
bin/bench-xds -latchwork bin/latchwork >>docs/performance.md
# So are the other policy engines.
(cd bench/policy && go build -trimpath -o ../../bin/bench-policy .)
bin/bench-policy >>docs/performance.md
