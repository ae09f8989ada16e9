#!/usr/bin/env bash
# Runs every fuzz target for a while, as long the random policies that the engine is
# held against the reference on, and changes a million bytes of signed requests:
# fuzz.sh TIME
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:-30s}
for package in ./internal/policy ./internal/authz; do
	go test "$package" -run '^TestDifferential$' -v -timeout 0 -differential.cases 1000000000 -differential.time "$time"
done
go test ./internal/sigv4 -run '^TestEveryByteCounts$' -v -timeout 0 -mutations 1000000
go list -f '{{.ImportPath}} {{.Dir}}' ./... | while read -r package dir; do
	for target in $(grep -hoE '^func (Fuzz[A-Za-z0-9_]+)' "$dir"/*_test.go 2>/dev/null | cut -d' ' -f2); do
		echo "$package $target"
		go test "$package" -run '^$' -fuzz "^$target\$" -fuzztime "$time"
	done
done
