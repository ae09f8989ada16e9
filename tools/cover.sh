#!/usr/bin/env bash
# Fails naming every block of packages policy and authz that their tests do not run.
set -euo pipefail
cd "$(dirname "$0")/.."
packages=(./internal/policy ./internal/authz)
profile=$(mktemp)
trap 'rm -f "$profile"' EXIT
# A fixed seed: what is covered must not be a matter of luck.
go test -short -coverprofile="$profile" -coverpkg="$(IFS=,; echo "${packages[*]}")" "${packages[@]}" -differential.seed=1
# Both packages' tests count: a block is in the profile once for each of them.
uncovered=$(awk 'NR > 1 { n[$1] += $3 } END { for (block in n) if (n[block] == 0) print block }' "$profile" | sort -t: -k1,1 -k2,2n)
if [ -n "$uncovered" ]; then
	echo "no test runs:"
	echo "$uncovered"
	exit 1
fi
