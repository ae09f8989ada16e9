#!/usr/bin/env bash
# Measures, and writes docs/performance.md. nginx is measured beside if it is there.
set -euo pipefail
cd "$(dirname "$0")/.."
go build -trimpath -o bin/bench ./bench
bin/bench -latchwork bin/latchwork -out docs/performance.md "$@"
