#!/usr/bin/env bash
# Runs every fuzz target for a while: fuzz.sh TIME
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:-30s}
go list -f '{{.ImportPath}} {{.Dir}}' ./... | while read -r package dir; do
	for target in $(grep -hoE '^func (Fuzz[A-Za-z0-9_]+)' "$dir"/*_test.go 2>/dev/null | cut -d' ' -f2); do
		echo "$package $target"
		go test "$package" -run '^$' -fuzz "^$target\$" -fuzztime "$time"
	done
done
