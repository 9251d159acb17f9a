#!/usr/bin/env bash
# Runs the integration tests against several versions of Kubernetes, one after another: test-versions.sh VERSION ...
# The last lines are a table of them.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
failed=0
rows=()
mkdir -p bin/test-reports
for version in "$@"; do
  log=bin/test-reports/version-$version.log
  printf '\n==== Kubernetes %s\n' "$version"
  K8S_VERSION=$version hack/test.sh integration 2>&1 | tee "$log" || failed=1
  rows+=("$version $(awk '$1 == "integration" {row = $2 " " $3 " " $4} END {print row ? row : "- - -"}' "$log")")
done
printf '\n| Kubernetes | passed | failed | skipped |\n| --- | ---: | ---: | ---: |\n'
for row in "${rows[@]}"; do
  read -r version passed bad skipped <<<"$row"
  printf '| %s | %s | %s | %s |\n' "$version" "$passed" "$bad" "$skipped"
done
exit "$failed"
